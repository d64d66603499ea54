//! `cipherpet inspect`: the first minute with a new competition, or with a checkpoint.

use std::path::{Path, PathBuf};

use clap::Args;

use super::{Reading, Session, output};
use crate::error::{Error, Result};
use crate::workbench::inspect::checkpoint::inspect_checkpoint;
use crate::workbench::inspect::{self as job, Starter};

/// Arguments of `inspect`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cipherpet inspect train.tsv test.tsv --starter experiment.toml
  cipherpet inspect train.csv.gz test.csv.gz --set data.label=grade
  cipherpet inspect bert-base-chinese

Files with labels are for training; the first without is the test file, further ones join the MLM.
Delimiter, header, columns, tokens and the kind of label are recognised, and the first lines say by
what. A key that is set stands.

A folder is that of a BERT: which heads it has and lacks, and what not to trust.")]
pub struct InspectArguments {
    /// Files of texts or pairs of texts, in any number; or the folder of one BERT
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
    if let Some(folder) = arguments.files.iter().find(|path| is_folder(path)) {
        arguments.require_folder_alone(folder)?;
        let inspection = inspect_checkpoint(folder)?;
        return output::print(&inspection, &inspection.to_string(), arguments.json);
    }
    let loaded = arguments.reading.load(&READ, "inspect")?;
    let starter = arguments.starter.as_deref().map(|file| Starter {
        file,
        measures: true,
    });
    let inspection = job::inspect(&arguments.files, &loaded, starter, session.context())?;
    output::print(&inspection, &inspection.to_string(), arguments.json)
}

/// A folder on the disk, or the one inside the tool.
fn is_folder(path: &Path) -> bool {
    path.is_dir() || path == Path::new("demo:")
}

impl InspectArguments {
    /// A BERT is looked at by itself, and nothing is set for it.
    fn require_folder_alone(&self, folder: &Path) -> Result<()> {
        let reading = &self.reading;
        let is_alone = self.files.len() == 1
            && self.starter.is_none()
            && reading.experiment.is_none()
            && reading.settings.set.is_empty();
        if is_alone {
            return Ok(());
        }
        let message = format!(
            "{} is a folder; with it, inspect takes no other file and no option but --json",
            folder.display()
        );
        Err(Error::refused(message).with_hint(
            "inspect the folder of a BERT and the files of a competition one after the other",
        ))
    }
}
