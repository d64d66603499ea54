//! `cipherpet predict`: more pairs, scored by a run.

use std::path::PathBuf;

use clap::Args;

use super::Session;
use crate::error::Result;
use crate::workbench::predict as job;

/// Arguments of `predict`.
#[derive(Debug, Args)]
#[command(after_help = "Example: cipherpet predict runs/first --pairs test_b.tsv --out test_b.csv")]
pub struct PredictArguments {
    /// The run folder
    run: PathBuf,
    /// Pairs of the same cipher, in the form of the run's files; labels are ignored
    #[arg(long, value_name = "FILE")]
    pairs: PathBuf,
    /// Where to write one score a line
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

pub fn predict(arguments: &PredictArguments, session: &Session) -> Result<()> {
    let PredictArguments { run, pairs, out } = arguments;
    let scores = job::predict(run, pairs, out, session.context())?;
    session.note(&format!("{scores} scores: {}", out.display()));
    Ok(())
}
