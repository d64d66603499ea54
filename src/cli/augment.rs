//! `cipherpet augment`: more positive pairs for the folds of a run.

use std::path::PathBuf;

use clap::Args;

use super::numbers::{at_least_one, cosine};
use super::sampling::SamplingArguments;
use super::{Session, output};
use crate::error::Result;
use crate::workbench::augment::{self as job, AugmentOptions, AugmentReport};
use crate::workbench::run_folder::names::ModelName;

/// Arguments of `augment`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cipherpet augment runs/simbert --out pairs
  cipherpet run experiment.toml --set data.augment=pairs

Each model of the run writes sentences about the texts of its own training rows. Those with a cosine
of --cosine or more become positive pairs: a table and a record for each model. `data.augment` of
another experiment adds them to the training rows of the fold they were written for; the experiment
has the same data.train, [folds] and data.valid. A text of a held-out row is no source, and a
sentence that is one is dropped. The same command again writes what is missing.")]
pub struct AugmentArguments {
    /// The run folder; a stage of it has the objective `simbert`
    run: PathBuf,
    /// The folder for the pairs
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
    /// Least cosine of a sentence and its source
    #[arg(long, value_name = "COSINE", default_value_t = 0.9, value_parser = cosine, allow_hyphen_values = true)]
    cosine: f64,
    /// Sentences to keep for a source, the nearest
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = at_least_one)]
    keep: usize,
    /// Texts to write about, drawn at random [default: all]
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    sources: Option<usize>,
    /// Sentences to draw for each source
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = at_least_one)]
    n: usize,
    #[command(flatten)]
    sampling: SamplingArguments,
    /// Write for the model of this fold alone, counted from 1, or `full`
    #[arg(long, value_name = "FOLD")]
    fold: Option<ModelName>,
    /// Print the report as one JSON object
    #[arg(long)]
    json: bool,
}

pub fn augment(arguments: &AugmentArguments, session: &Session) -> Result<()> {
    let options = AugmentOptions {
        cosine: arguments.cosine,
        sources: arguments.sources,
        writer: arguments.sampling.options(arguments.n, arguments.keep),
    };
    let run = (&*arguments.run, arguments.fold);
    let report = job::augment(run, &arguments.out, &options, session.context())?;
    output::print(&report, &text(&report), arguments.json)?;
    let pairs: usize = report.models.iter().map(|model| model.pairs).sum();
    session.note(&format!("{pairs} pairs: {}", report.out.display()));
    Ok(())
}

fn text(report: &AugmentReport) -> String {
    let line = |model: &job::ModelReport| {
        let cosine = match model.mean_cosine {
            Some(cosine) => format!(", mean cosine {cosine:.3}"),
            None => String::new(),
        };
        let done = if model.found_done {
            ", done already"
        } else {
            ""
        };
        format!(
            "{}  {} pairs of {} texts{cosine}{done}",
            model.model, model.pairs, model.sources
        )
    };
    let lines: Vec<String> = report.models.iter().map(line).collect();
    lines.join("\n")
}
