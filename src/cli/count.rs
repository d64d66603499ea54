//! `cipherpet count`: token counts of plain text, for the rank alignment.

use std::path::PathBuf;

use clap::Args;

use super::{Session, output};
use crate::config::DEMO_CHECKPOINT;
use crate::error::Result;
use crate::workbench::count as job;

/// Arguments of `count`.
#[derive(Debug, Args)]
#[command(after_help = "\
Example: cipherpet count corpus/*.txt --checkpoint bert-base-chinese --out counts.tsv

A .csv or .tsv file is a table: its ids and labels are not counted.
Writes token<TAB>count, most frequent first, and beside it a .json that records what was counted.")]
pub struct CountArguments {
    /// Plain text files, UTF-8
    #[arg(required = true, value_name = "FILES")]
    files: Vec<PathBuf>,
    /// The BERT folder whose tokenizer counts; `demo:` is the one inside the tool
    #[arg(long, value_name = "DIR", default_value = DEMO_CHECKPOINT)]
    checkpoint: PathBuf,
    /// Where to write the counts
    #[arg(long, value_name = "FILE", value_parser = output::file)]
    out: PathBuf,
    /// Print the record as one JSON object
    #[arg(long)]
    json: bool,
}

pub fn count(arguments: &CountArguments, session: &Session) -> Result<()> {
    let CountArguments {
        files,
        checkpoint,
        out,
        json,
    } = arguments;
    let record = job::count(checkpoint, files, out, session.context())?;
    let text = format!(
        "{}: {} tokens, {} occurrences in {} files",
        out.display(),
        record.types,
        record.tokens,
        record.sources.len()
    );
    output::print(&record, &text, *json)
}
