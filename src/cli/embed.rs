//! `cipherpet embed`: vectors of texts.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{Session, output};
use crate::error::Result;
use crate::model::sentence::SentencePooling;
use crate::workbench::embed as job;

/// `--pooling`.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum PoolingChoice {
    /// The pooler without tanh, as objective simbert compares texts
    Pooler,
    /// The last state of [CLS]
    Cls,
    /// The mean of the last states of all tokens
    Mean,
}

impl From<PoolingChoice> for SentencePooling {
    fn from(choice: PoolingChoice) -> Self {
        match choice {
            PoolingChoice::Pooler => Self::Pooler,
            PoolingChoice::Cls => Self::Cls,
            PoolingChoice::Mean => Self::Mean,
        }
    }
}

/// Arguments of `embed`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cipherpet embed runs/simbert --text texts.txt --out vectors.npy
  cipherpet embed bert/ --text plain.txt --pooling mean --whitening --dimensions 128 --out vectors.npy

A line of the file is a text in the form of the run's files: ids for a cipher. A BERT folder takes
plain text. Writes float32 numbers, a row a line, each row of length 1, so that products are cosines.
Whitening takes mean and covariance from the file itself. A run of folds has several models, whose
vectors do not compare: it is refused unless it has one of all rows (folds.full).")]
pub struct EmbedArguments {
    /// A run folder with one model, or a BERT folder
    #[arg(value_name = "RUN")]
    from: PathBuf,
    /// One text a line
    #[arg(long, value_name = "FILE")]
    text: PathBuf,
    /// Where to write the vectors
    #[arg(long, value_name = "NPY", value_parser = output::file)]
    out: PathBuf,
    /// What stands for a text
    #[arg(long, value_enum, default_value = "pooler")]
    pooling: PoolingChoice,
    /// Give the vectors mean 0 and covariance 1 in all directions in which they differ
    #[arg(long)]
    whitening: bool,
    /// Directions to keep of whitened vectors, those of the most variance [default: all]
    #[arg(long, value_name = "N", requires = "whitening")]
    dimensions: Option<usize>,
    /// Leave the vectors as long as they are
    #[arg(long)]
    raw: bool,
    /// Print the report as one JSON object
    #[arg(long)]
    json: bool,
}

pub fn embed(arguments: &EmbedArguments, session: &Session) -> Result<()> {
    let EmbedArguments {
        from,
        text,
        out,
        pooling,
        whitening,
        dimensions,
        raw,
        json,
    } = arguments;
    let options = job::EmbedOptions {
        pooling: (*pooling).into(),
        whitening: *whitening,
        dimensions: *dimensions,
        raw: *raw,
    };
    let report = job::embed(from, text, out, options, session.context())?;
    let (rows, dimensions) = (report.rows, report.dimensions);
    let written = format!("{}: {rows} vectors of {dimensions} numbers", out.display());
    output::print(&report, &written, *json)
}
