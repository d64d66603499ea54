//! `cipherpet duplicates`: what comes twice, and what of train stands in test.

use std::path::PathBuf;

use clap::Args;

use super::{Reading, Session, output};
use crate::error::Result;
use crate::workbench::duplicates as job;

/// Arguments of `duplicates`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cipherpet duplicates --pairs train.tsv test.tsv --out duplicates.tsv
  cipherpet duplicates --pairs train.csv --near 0.8 --json

Files with labels are train, the others test; they are read as by `inspect`. The similarity of two
sentences is the Jaccard similarity of their sets of tokens and bigrams: bigrams tell the order.
Pairs whose texts are exchanged contradict each other too where their labels differ. In a chain,
rows with label 1 join the two texts of a row with label 0: a = b and b = c, but not a = c.

The table has kind (exact, swapped, near, contradiction, chain), file, row, other_file, other_row
and similarity. Rows count from 0, without the header. Each repeated text is held against its
first row; the other row of a chain has label 0. A row stands against itself where its own two
texts are near. No text is written. For folds without near-duplicates across them set
folds.assign=group and folds.near=0.9.")]
pub struct DuplicatesArguments {
    /// Files of texts or pairs of texts, in any number
    #[arg(long, required = true, num_args = 1.., value_name = "FILES")]
    pairs: Vec<PathBuf>,
    /// From which similarity on sentences are near-duplicates: above 0, up to 1
    #[arg(
        long,
        value_name = "SIMILARITY",
        default_value_t = 0.9,
        allow_hyphen_values = true
    )]
    near: f64,
    #[command(flatten)]
    reading: Reading,
    /// Write a table of the rows
    #[arg(long, value_name = "TSV", value_parser = output::file)]
    out: Option<PathBuf>,
    /// Print everything as one JSON object
    #[arg(long)]
    json: bool,
}

pub fn duplicates(arguments: &DuplicatesArguments, session: &Session) -> Result<()> {
    let DuplicatesArguments {
        pairs,
        near,
        reading,
        out,
        json,
    } = arguments;
    let loaded = reading.load(&[], "duplicates")?;
    let report = job::duplicates(pairs, &loaded, *near, out.as_deref(), session.context())?;
    output::print(&report, &report.to_string(), *json)
}
