//! `cipherpet run`: the whole job.

use std::path::{Path, PathBuf};

use clap::Args;

use super::{Session, Settings, output, say};
use crate::config::{self, DEFAULT_EXPERIMENT};
use crate::error::Result;
use crate::workbench::run::{self as job, RunReport};

/// Arguments of `run`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cipherpet run
  cipherpet run experiment.toml --set train.epochs=1 --set align.method=random
  cipherpet run experiment.toml --out runs/first --seed 1 --json

Paths in the file are relative to the file, in --set to the working folder. A run that is done is
not done again: its result is printed.")]
pub struct RunArguments {
    /// The experiment file [default: the one inside the tool]
    #[arg(value_name = "EXPERIMENT.toml")]
    experiment: Option<PathBuf>,
    #[command(flatten)]
    settings: Settings,
    /// The run folder [default: runs/NAME-HASH]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Root of all random streams; the same as --set seed=N
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64))]
    seed: Option<u64>,
    /// Print the result as one JSON object
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &RunArguments, session: &Session) -> Result<()> {
    let file = arguments.experiment.as_deref();
    let mut assignments = arguments.settings.set.clone();
    assignments.extend(arguments.seed.map(|seed| format!("seed={seed}")));
    let loaded = config::load(file.or(Some(Path::new(DEFAULT_EXPERIMENT))), &assignments)?;
    let report = job::run(&loaded, arguments.out.as_deref(), session.context())?;
    if report.found_done {
        session.note(&format!("{} is done already", report.run.display()));
    }
    output::print(&report, &text(&report), arguments.json)?;
    say(&match &report.submission {
        Some(submission) => format!("submission: {}", submission.display()),
        None => format!(
            "no submission, as there is no data.test; run: {}",
            report.run.display()
        ),
    });
    Ok(())
}

fn text(report: &RunReport) -> String {
    let auc = match report.valid_auc {
        Some(auc) => format!(
            "{auc:.4} at epoch {} of {}",
            report.best_epoch, report.epochs
        ),
        None => "none, as no rows of both labels validate".to_owned(),
    };
    let memory = match report.peak_rss_bytes {
        Some(bytes) => format!("{:.0} MB", bytes as f64 / 1e6),
        None => "unknown".to_owned(),
    };
    format!(
        "run          {}\nvalid AUC    {auc}\ntraining     {} steps, {:.0} tokens/s\ntime         {:.1} s\nmemory       {memory}",
        report.run.display(),
        report.steps,
        report.tokens_per_second,
        report.seconds
    )
}
