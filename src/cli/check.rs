//! `cipherpet check`: is a submission fit to upload?

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use clap::Args;

use super::{Reading, output};
use crate::config::Loaded;
use crate::data::{LabelKind, Task, TextKind};
use crate::error::Result;
use crate::progress::Progress;
use crate::workbench::predict;
use crate::workbench::reading;
use crate::workbench::run_folder::names;
use crate::workbench::run_folder::record::RunRecord;
use crate::workbench::submission::{self, Checked, RowsOf};

/// Arguments of `check`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cipherpet check runs/first/submission.csv --test test.tsv
  cipherpet check blend.zip --test test.tsv --range 0,1
  cipherpet check s.csv --test test.csv --experiment runs/first/config.toml
  cipherpet check s.csv --like sample_submission.csv

With --like, header, ids, order, number of rows and columns must be those of the organisers' sample,
and values numbers or names as there. The experiment of a run knows its [submit] and the names of
the classes; in the folder of the run it need not be named.

Exit status 1 with the line and the reason where it is not.")]
pub struct CheckArguments {
    /// In the form of `[submit]`: by default `id,score` where the test file has ids, else one score a line; a .zip holds one
    /// such file
    submission: PathBuf,
    /// The test file it is for
    #[arg(long, value_name = "FILE", required_unless_present = "like")]
    test: Option<PathBuf>,
    /// The organisers' sample that it must look like
    #[arg(long, value_name = "FILE", conflicts_with = "test")]
    like: Option<PathBuf>,
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
    let submission = &arguments.submission;
    let range = arguments.range.clone();
    // What lies in the folder of a run is read as that run has written it, unless another experiment is named.
    let run = submission
        .parent()
        .filter(|run| RunRecord::read(run).is_ok());
    let beside = run.map(|run| run.join(names::CONFIG));
    let beside = beside.filter(|config| config.is_file());
    let named = arguments.reading.experiment.as_deref();
    let experiment = named.or(beside.as_deref());
    let loaded = (arguments.reading).load_from(experiment, &["submit"], "check")?;
    loaded.check_submit()?;
    // The manifest beside the experiment of a run knows the classes.
    let run = experiment.and_then(Path::parent);
    let task = run.and_then(|run| RunRecord::read(run).ok());
    let task = task.map(|record| record.task);
    let (checked, rows_of) = match (&arguments.like, &arguments.test) {
        (Some(like), _) => {
            let submit = &loaded.experiment.submit;
            let checked = submission::check_like(submission, like, task.as_ref(), submit, range)?;
            (checked, like.clone())
        }
        (None, Some(test)) => {
            // As `predict` reads a further file of the run, where the run was found and not named.
            let is_found = named.is_none() && beside.is_some();
            against_test((submission, task), (test, &loaded, is_found), range)?
        }
        (None, None) => unreachable!("clap wants one of them"),
    };
    let (what, span) = match (checked.min, checked.max) {
        (Some(min), Some(max)) => ("scores", format!(", from {min} to {max}")),
        _ => ("classes", String::new()),
    };
    let text = format!(
        "{}: {} {what}, one a row of {}{span}, {} distinct",
        submission.display(),
        checked.scores,
        rows_of.display(),
        checked.distinct
    );
    output::print(&checked, &text, arguments.json)
}

/// Beside a test file: that of the experiment, for which the sample stands, or a further one. `is_found`: it is read as `predict` does.
/// Also the file whose rows were compared.
fn against_test(
    (submission, task): (&Path, Option<Task>),
    (test, loaded, is_found): (&Path, &Loaded, bool),
    range: Option<RangeInclusive<f64>>,
) -> Result<(Checked, PathBuf)> {
    let whose = RowsOf::of(test, &loaded.experiment);
    let (submit, _) = submission::without_lost_sample(&loaded.experiment.submit, whose);
    if let (Some(like), RowsOf::Test) = (&submit.like, whose) {
        let checked = submission::check_like(submission, like, task.as_ref(), &submit, range)?;
        return Ok((checked, like.clone()));
    }
    let read = match is_found {
        true => predict::reading_of(test, &loaded.experiment, &Progress::silent())?,
        false => reading::detect_texts(&[test.to_owned()], loaded)?,
    };
    let format = read.format();
    let rows = (test, &format);
    let checked = match &submit.like {
        Some(like) => {
            let sample = (like.as_path(), task.as_ref());
            submission::check_like_of(submission, rows, sample, &submit, range)?
        }
        None => {
            let task = task.unwrap_or_else(|| unnamed(format.kind, format.labels));
            submission::check((submission, &task), rows, &submit, range)?
        }
    };
    Ok((checked, test.to_owned()))
}

/// A task whose classes nobody has named.
fn unnamed(kind: TextKind, labels: LabelKind) -> Task {
    Task {
        kind,
        labels,
        classes: Vec::new(),
    }
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
