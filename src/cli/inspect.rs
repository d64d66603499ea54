//! `cipherpet inspect`: the first minute with a new competition.

use std::path::PathBuf;

use clap::Args;

use super::{Reading, Session, output};
use crate::error::Result;
use crate::workbench::inspect as job;

/// Arguments of `inspect`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cipherpet inspect train.tsv test.tsv --starter experiment.toml
  cipherpet inspect train.csv --set data.delimiter=, --set data.header=true --set data.label=label

Files with labels are for training; the first without is the test file, further ones join the MLM.
What a row holds, one text or two and which kind of label, is recognised from the columns.")]
pub struct InspectArguments {
    /// Files of texts or pairs of texts, in any number
    #[arg(required = true, value_name = "FILES")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    reading: Reading,
    /// Write a first experiment file for these files
    #[arg(long, value_name = "TOML", value_parser = output::file)]
    starter: Option<PathBuf>,
    /// Print everything as one JSON object
    #[arg(long)]
    json: bool,
}

/// What the estimates of tokens and time depend on.
const READ: [&str; 6] = [
    "data.max_tokens",
    "vocab.min_count",
    "model",
    "train.epochs",
    "train.precision",
    "predict.swap",
];

pub fn inspect(arguments: &InspectArguments, session: &Session) -> Result<()> {
    let experiment = arguments.reading.load(&READ, "inspect")?.experiment;
    let starter = arguments.starter.as_deref();
    let inspection = job::inspect(&arguments.files, &experiment, starter, session.context())?;
    output::print(&inspection, &inspection.to_string(), arguments.json)
}
