//! `cipherpet pretrain`: a BERT from lines of text.

use std::path::PathBuf;

use clap::Args;

use super::run::{cost_text, heading, minutes};
use super::{Session, Settings, output, say};
use crate::config::{self, Pretraining};
use crate::error::Result;
use crate::workbench::Context;
use crate::workbench::pretrain::{self as job, PretrainReport};
use crate::workbench::run::watch::held_out_text;
use crate::workbench::run_folder::resume::minutes_to_duration;

/// Arguments of `pretrain`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cipherpet pretrain pretrain.toml --out runs/bert
  cipherpet pretrain pretrain.toml --set train.epochs=1 --set objective.name=nsp
  cipherpet pretrain pretrain.toml --set checkpoint.dir=bert/ --max-minutes 60

Learns masked tokens, and with objective.name = \"nsp\" next sentences too, from the lines of [text]:
plain text, or cipher ids with text.tokens = \"number\". It starts from fresh values or a checkpoint.
What it leaves in model/ is a checkpoint for checkpoint.dir and for transformers. Of ids it leaves
mapping.tsv too: as align.file it lets a run start each id from itself. One that was stopped or
killed goes on from its last checkpoint, to the same bytes as if it had not been.")]
pub struct PretrainArguments {
    /// The settings: [text], [vocab], [checkpoint], [model], [objective], [train], [[stage]]
    #[arg(value_name = "CONFIG.toml")]
    config: PathBuf,
    #[command(flatten)]
    settings: Settings,
    /// The folder [default: runs/NAME-HASH]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Root of all random streams; the same as --set seed=N
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64))]
    seed: Option<u64>,
    /// Stop after about so many minutes, save, and exit with 75: the same command goes on [default: no limit]
    #[arg(long, value_name = "M", value_parser = minutes, allow_negative_numbers = true)]
    max_minutes: Option<f64>,
    /// Leave event files for TensorBoard beside metrics.jsonl: tensorboard --logdir runs
    #[arg(long)]
    tensorboard: bool,
    /// Print the result as one JSON object
    #[arg(long)]
    json: bool,
}

pub fn pretrain(arguments: &PretrainArguments, session: &Session) -> Result<()> {
    if let Some(minutes) = arguments.max_minutes {
        session.stop.after(minutes_to_duration(minutes));
    }
    let mut assignments = arguments.settings.set.clone();
    assignments.extend(arguments.seed.map(|seed| format!("seed={seed}")));
    let loaded = config::load_as::<Pretraining>(Some(&arguments.config), &assignments)?;
    let context = Context {
        tensorboard: arguments.tensorboard,
        ..session.context()
    };
    let report = job::pretrain(&loaded, arguments.out.as_deref(), context)?;
    if report.found_done {
        session.note(&format!("{} is done already", report.folder.display()));
    }
    output::print(&report, &text(&report), arguments.json)?;
    say(&format!("model: {}", report.model.display()));
    Ok(())
}

fn text(report: &PretrainReport) -> String {
    let outcome = &report.outcome;
    let held_out = match outcome.held_out.is_empty() {
        true => "nothing".to_owned(),
        false => held_out_text(&outcome.held_out),
    };
    let held_out = held_out.trim_start_matches("held out: ");
    format!(
        "{}{}\n{}{held_out}\n{}",
        heading("folder"),
        report.folder.display(),
        heading("held out"),
        cost_text(
            (outcome.steps, outcome.tokens_per_second),
            (outcome.seconds, None),
            outcome.peak_rss_bytes
        )
    )
}
