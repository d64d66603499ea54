//! `cipherpet search`: the nearest texts.

use std::path::PathBuf;

use clap::Args;

use super::embed::PoolingChoice;
use super::{Session, numbers, output};
use crate::error::Result;
use crate::workbench::search as job;

/// Arguments of `search`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cipherpet search runs/simbert --text texts.txt --queries queries.txt --k 10 --out found.tsv
  cipherpet embed runs/simbert --text texts.txt --out vectors.npy
  cipherpet search runs/simbert --text texts.txt --vectors vectors.npy --queries queries.txt
  cipherpet search runs/simbert --text texts.txt --queries queries.txt --index texts.index

A line of a file is a text, as for `embed`. The table has query and line (both from 1), rank (1 is
the nearest) and the cosine of the two vectors. A query that stands in the file finds itself.

Without --index every query is compared with every text, which is right for some hundred thousand
texts. With it the first call makes a graph of the texts and writes it (on one thread: about a
minute for 50,000 texts); later calls read it, and answer faster. A graph finds nearly all of the
nearest texts, more of them with more --candidates. An index of `cipherpet hash --shortlist` will do
too. One without --shortlist holds codes alone: the last column is common_bits then, the bits of the
two codes that agree, or the ones that both have (flyhash, biohash).")]
pub struct SearchArguments {
    /// A run folder with one model, or a BERT folder
    #[arg(value_name = "RUN")]
    from: PathBuf,
    /// The texts to search, one a line
    #[arg(long, value_name = "FILE")]
    text: PathBuf,
    /// Their vectors as `embed` has written them, so that they are not computed again
    #[arg(long, value_name = "NPY")]
    vectors: Option<PathBuf>,
    /// The texts to look for, one a line
    #[arg(long, value_name = "FILE")]
    queries: PathBuf,
    /// How many texts to find for each
    #[arg(long, value_name = "N", default_value_t = 10)]
    k: usize,
    /// What stands for a text
    #[arg(long, value_enum, default_value = "pooler")]
    pooling: PoolingChoice,
    /// Search by this index; where there is no such file, make a graph of the texts and keep it there
    #[arg(long, value_name = "FILE", value_parser = output::file)]
    index: Option<PathBuf>,
    /// How many texts the index looks at closely for a query [default: a graph 100]
    #[arg(long, value_name = "N", requires = "index", value_parser = numbers::at_least_one)]
    candidates: Option<usize>,
    /// Where to write the table [default: stdout]
    #[arg(long, value_name = "TSV", value_parser = output::file)]
    out: Option<PathBuf>,
    /// Print the report as one JSON object
    #[arg(long)]
    json: bool,
}

pub fn search(arguments: &SearchArguments, session: &Session) -> Result<()> {
    let SearchArguments {
        from,
        text,
        vectors,
        queries,
        k,
        pooling,
        index,
        candidates,
        out,
        json,
    } = arguments;
    let options = job::SearchOptions {
        text: text.clone(),
        vectors: vectors.clone(),
        queries: queries.clone(),
        k: *k,
        pooling: (*pooling).into(),
        index: index.clone(),
        candidates: *candidates,
    };
    let report = job::search(from, &options, out.as_deref(), session.context())?;
    if *json || out.is_none() {
        output::print(&report, &job::table(&report.hits), *json)?;
    }
    if let Some(out) = out {
        let (queries, texts) = (report.queries, report.texts);
        let line = format!("{}: {queries} queries among {texts} texts", out.display());
        session.note(&line);
    }
    Ok(())
}
