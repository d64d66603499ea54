//! `cipherpet generate`: sentences of the same meaning, written by a run.

use std::path::PathBuf;

use clap::{ArgGroup, Args};

use super::numbers::at_least_one;
use super::sampling::SamplingArguments;
use super::{Session, output};
use crate::error::Result;
use crate::workbench::generate::{self as job, GenerateReport, Sources};
use crate::workbench::run_folder::names::ModelName;

/// Arguments of `generate`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("sources").required(true))]
#[command(after_help = "\
Examples:
  cipherpet generate runs/simbert --pairs train.tsv --n 100 --keep 20 --out written.tsv
  cipherpet generate runs/simbert --text sentences.txt --top-p 0.95 --out written.tsv

For each different sentence of the file --n are drawn; copies of it and of each other go, and the
--keep nearest are written, by the cosine of sentence vectors. The table has source_row (from 0,
without the header), text (a or b), rank, cosine and sentence, in the tokens of the run's files. The
same seed gives the same draws, also where more sentences stand at the end of the file.")]
pub struct GenerateArguments {
    /// The run folder; a stage of it has the objective `simbert`
    run: PathBuf,
    /// Sentences, one a line, their tokens as in the run's files
    #[arg(long, value_name = "FILE", group = "sources")]
    text: Option<PathBuf>,
    /// Rows in the form of the run's files; every text is a source, labels are ignored
    #[arg(long, value_name = "FILE", group = "sources")]
    pairs: Option<PathBuf>,
    /// Where to write the table
    #[arg(long, value_name = "TSV", value_parser = output::file)]
    out: PathBuf,
    /// Sentences to draw for each source
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = at_least_one)]
    n: usize,
    /// Sentences to keep of them, the nearest
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = at_least_one)]
    keep: usize,
    #[command(flatten)]
    sampling: SamplingArguments,
    /// The model of this fold, counted from 1, or `full`
    #[arg(long, value_name = "FOLD")]
    fold: Option<ModelName>,
    /// Print the report as one JSON object
    #[arg(long)]
    json: bool,
}

pub fn generate(arguments: &GenerateArguments, session: &Session) -> Result<()> {
    let sources = match (&arguments.text, &arguments.pairs) {
        (Some(text), _) => Sources::Text(text),
        (None, pairs) => Sources::Pairs(pairs.as_deref().expect("clap asks for one")),
    };
    let options = arguments.sampling.options(arguments.n, arguments.keep);
    let run = (&*arguments.run, arguments.fold);
    let report = job::generate(run, sources, &arguments.out, &options, session.context())?;
    output::print(&report, &text(&report), arguments.json)?;
    let (kept, out) = (report.kept, report.out.display());
    session.note(&format!("{kept} sentences: {out}"));
    Ok(())
}

fn text(report: &GenerateReport) -> String {
    let mut text = format!(
        "sources             {}\ndrawn               {}\nkept                {}\n",
        report.sources, report.drawn, report.kept
    );
    if let Some(cosine) = report.mean_best_cosine {
        text.push_str(&format!("cosine of the best  {cosine:.3} (mean)\n"));
    }
    text.push_str(&format!(
        "sentences a second  {:.0}",
        report.sentences_per_second
    ));
    text
}
