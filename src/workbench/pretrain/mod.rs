//! Pretraining: from lines of plain text, or of cipher ids, to a BERT.
//!
//! In: a [`Loaded`] pretraining. Out: a [`PretrainReport`], and in its folder `model/` (a Hugging Face folder whose rows are in
//! the order of its `vocab.txt`), `metrics.jsonl`, `run.log`, `config.toml` and `pretraining.json`. The lines become [`texts`],
//! tokens of a [`vocabulary`], [`rows`] of a [`network`]; the fit is that of a run, with its stages, checkpoints and stops. Rows
//! that stand in no line keep what they begin with. Of ids there is a `mapping.tsv` too, which says that each is itself: a run with
//! `align.method = "file"` starts from it. No text is written.

pub mod folder;
mod network;
mod rows;
mod texts;
mod vocabulary;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::{Deserialize, Serialize};

use self::folder::{Identity, Opened, PretrainFolder};
use self::network::Network;
use self::rows::TextRows;
use self::texts::Texts;
use self::vocabulary::TextVocabulary;
use super::run::fitting::Fitting;
use super::run_folder::names::{LOG, MAPPING, MODEL};
use super::run_folder::resume;
use super::{Context, disk, machine};
use crate::atomic;
use crate::config::{Loaded, Pretraining};
use crate::data::{LabelKind, TokenKind};
use crate::error::Result;
use crate::metrics::MetricName;
use crate::train::FitPlan;

/// What came of a pretraining.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PretrainOutcome {
    /// Of the last epoch, by name; empty where nothing is held out. See [`crate::train::HeldOut::figures`].
    pub held_out: BTreeMap<String, f64>,
    /// Epochs of all stages.
    pub epochs: usize,
    /// Optimiser steps.
    pub steps: usize,
    /// Wall time of all sessions.
    pub seconds: f64,
    /// Of training alone.
    pub tokens_per_second: f64,
    /// Most memory of the last session, where the system tells.
    pub peak_rss_bytes: Option<u64>,
}

/// The object that `--json` prints.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PretrainReport {
    /// The folder.
    pub folder: PathBuf,
    /// The BERT in it.
    pub model: PathBuf,
    /// What came of it.
    #[serde(flatten)]
    pub outcome: PretrainOutcome,
    /// It had been done before; nothing was trained.
    pub found_done: bool,
}

/// Pretrains in `out`, or in `runs/NAME-HASH` under the working folder; goes on where an earlier process was cut there.
///
/// # Errors
/// Those of the settings, the inputs, the folder and the disk before training;
/// [`Error::Interrupted`](crate::error::Error::Interrupted) where it was stopped before there was anything to go on from,
/// [`Error::Stopped`](crate::error::Error::Stopped) after that; [`Error::Io`](crate::error::Error::Io).
pub fn pretrain(
    loaded: &Loaded<Pretraining>,
    out: Option<&Path>,
    context: Context<'_>,
) -> Result<PretrainReport> {
    loaded.check()?;
    let identity = Identity::of(&loaded.experiment)?;
    let path = match out {
        Some(out) => out.to_owned(),
        None => {
            let hash = &identity.config_sha256[..8];
            Path::new("runs").join(format!("{}-{hash}", loaded.name))
        }
    };
    let report = |outcome, found_done| PretrainReport {
        model: path.join(MODEL),
        folder: path.clone(),
        outcome,
        found_done,
    };
    match PretrainFolder::open(&path, &loaded.experiment, identity)? {
        Opened::Done(outcome) => Ok(report(outcome, true)),
        Opened::Ready(folder) => {
            let outcome = fill(*folder, loaded, context);
            Ok(report(
                outcome.map_err(|error| resume::stopped(error, &path))?,
                false,
            ))
        }
    }
}

fn fill(
    mut folder: PretrainFolder,
    loaded: &Loaded<Pretraining>,
    context: Context<'_>,
) -> Result<PretrainOutcome> {
    let begun = Instant::now();
    let settings = &loaded.experiment;
    let dir = folder.path().to_owned();
    let progress = &context.progress.logging_to(&dir.join(LOG))?;
    let context = context.with_progress(progress);
    resume::say_owner_before(folder.left_by(), progress);
    let lines = loaded.switched_off_lines();
    lines.iter().for_each(|line| progress.say(line));
    let texts = Texts::read(settings, progress)?;
    context.stop.check()?;
    let vocabulary = TextVocabulary::open(settings, &texts, progress)?;
    let rows = TextRows::new(settings, &texts, &vocabulary, progress)?;
    let stages = rows.stages(settings)?;
    context.stop.check()?;
    let network = Network::build(loaded, &vocabulary, &rows.vocab, progress)?;
    let (parameters, tokens) = (network.n_parameters(), vocabulary.plain.len());
    let held = [resume::held_bytes(&dir)];
    let needed = disk::training_bytes(&held, parameters, tokens);
    disk::require(needed, disk::available(&dir), &dir)?;
    folder.begin(&texts.sources)?;
    if settings.text.tokens == TokenKind::Number {
        atomic::write(&dir.join(MAPPING), &rows.mapping(&vocabulary)?)?;
    }
    let plan = FitPlan {
        stages: &stages,
        valid: &[],
        labels: LabelKind::Binary,
        metric: MetricName::Accuracy,
        predict_swap: false,
        cipher_rows: rows.vocab.cipher_rows(),
    };
    let (mut model, writer) = network.writer(&vocabulary);
    let fitting = Fitting {
        settings: &settings.train,
        n_stages: stages.len(),
        writer: &writer,
        pace: Default::default(),
    };
    let report = fitting.fit(&dir, &mut model, &plan, context)?;
    let last = report.epochs.last();
    let outcome = PretrainOutcome {
        held_out: last.map(|epoch| epoch.held_out.clone()).unwrap_or_default(),
        epochs: report.epochs.len(),
        steps: report.steps,
        seconds: report.earlier_seconds + begun.elapsed().as_secs_f64(),
        tokens_per_second: report.tokens_per_second,
        peak_rss_bytes: machine::peak_rss_bytes(),
    };
    folder.finish(outcome.clone())?;
    Ok(outcome)
}

#[cfg(test)]
mod tests;
