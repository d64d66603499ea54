//! `cipherpet inspect`: the first minute with a new competition.

use std::path::PathBuf;

use clap::Args;

use super::{Reading, Session, output};
use crate::error::Result;
use crate::workbench::inspect::{self as job, Starter};

/// Arguments of `inspect`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cipherpet inspect train.tsv test.tsv --starter experiment.toml
  cipherpet inspect train.csv.gz test.csv.gz --set data.label=grade

Files with labels are for training; the first without is the test file, further ones join the MLM.
Delimiter, header, columns, tokens and the kind of label are recognised, and the first lines say by
what. A key that is set stands.")]
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
    let loaded = arguments.reading.load(&READ, "inspect")?;
    let starter = arguments.starter.as_deref().map(|file| Starter {
        file,
        measures: true,
    });
    let inspection = job::inspect(&arguments.files, &loaded, starter, session.context())?;
    output::print(&inspection, &inspection.to_string(), arguments.json)
}
