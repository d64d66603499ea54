//! `cipherpet check`: is a submission fit to upload?

use std::ops::RangeInclusive;
use std::path::PathBuf;

use clap::Args;

use super::{Reading, output};
use crate::error::Result;
use crate::workbench::submission;

/// Arguments of `check`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cipherpet check runs/first/submission.csv --test test.tsv
  cipherpet check blend.zip --test test.tsv --range 0,1
  cipherpet check s.csv --test test.csv --experiment runs/first/config.toml

Exit status 1 with the line and the reason where it is not.")]
pub struct CheckArguments {
    /// In the form of `[submit]`, by default one score a line; a .zip holds one such file
    submission: PathBuf,
    /// The test file it is for
    #[arg(long, value_name = "FILE")]
    test: PathBuf,
    /// Require every score to lie from LOW to HIGH
    #[arg(long, value_name = "LOW,HIGH", value_parser = range, allow_hyphen_values = true)]
    range: Option<RangeInclusive<f64>>,
    #[command(flatten)]
    reading: Reading,
    /// Print what was seen as one JSON object
    #[arg(long)]
    json: bool,
}

pub fn check(arguments: &CheckArguments) -> Result<()> {
    let CheckArguments {
        submission, test, ..
    } = arguments;
    let loaded = arguments.reading.load(&["submit"], "check")?;
    loaded.check_submit()?;
    let (format, submit) = (loaded.experiment.format(), &loaded.experiment.submit);
    let checked = submission::check(submission, test, &format, submit, arguments.range.clone())?;
    let text = format!(
        "{}: {} scores, one a row of {}, from {} to {}, {} distinct",
        submission.display(),
        checked.scores,
        test.display(),
        checked.min,
        checked.max,
        checked.distinct
    );
    output::print(&checked, &text, arguments.json)
}

fn range(text: &str) -> std::result::Result<RangeInclusive<f64>, String> {
    let bounds = text
        .split_once(',')
        .and_then(|(low, high)| Some((low.parse().ok()?, high.parse().ok()?)));
    match bounds {
        Some((low, high)) if low <= high => Ok(low..=high),
        _ => Err("expected two numbers, the lower first, such as 0,1".to_owned()),
    }
}
