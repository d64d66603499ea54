//! How much of a run to do, and what was done of it.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::metrics::ValidFigures;
use crate::metrics::baseline::Baseline;
use crate::workbench::run_folder::done::FoldOutcome;
use crate::workbench::run_folder::manifest::{CrossValidation, Outcome};
use crate::workbench::run_folder::names::{self, ModelName};
use crate::workbench::run_folder::stage_cost::StageCost;

/// How much of a run to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunPart {
    /// Everything that is not done.
    Whole,
    /// One fold alone, without the merge.
    Fold(ModelName),
    /// The merge alone; every fold must be done.
    Finish,
}

/// What was done; the object that `--json` prints.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum PartReport {
    /// A whole run.
    Run(RunReport),
    /// One fold of a run.
    Fold(FoldReport),
}

/// The result of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunReport {
    /// The run folder.
    pub run: PathBuf,
    /// See [`Outcome`].
    #[serde(flatten)]
    pub valid: ValidFigures,
    /// See [`Outcome`].
    pub best_epoch: Option<usize>,
    /// See [`Outcome`].
    pub epochs: usize,
    /// See [`Outcome`].
    pub steps: usize,
    /// See [`Outcome`].
    pub seconds: f64,
    /// See [`Outcome`].
    pub tokens_per_second: f64,
    /// See [`Outcome`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shared_stage: Option<Box<StageCost>>,
    /// See [`Outcome`].
    pub peak_rss_bytes: Option<u64>,
    /// `submission.csv`; none where the experiment has no test file.
    pub submission: Option<PathBuf>,
    /// The run had been done before; nothing was trained.
    pub found_done: bool,
    /// Such a run, with a submission, and where `[predict]` asks for it scores, that were written anew.
    pub rewritten: bool,
    /// See [`Outcome`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baseline: Option<Baseline>,
    /// See [`Outcome`].
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub cross_validation: Option<Box<CrossValidation>>,
}

/// The result of one fold.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FoldReport {
    /// The run folder.
    pub run: PathBuf,
    /// The fold had been done before; nothing was computed.
    pub found_done: bool,
    /// Models of the run that are done, this one among them.
    pub models_done: usize,
    /// Models of the run.
    pub models: usize,
    /// The run has its merge.
    pub merged: bool,
    /// What became of the fold.
    #[serde(flatten)]
    pub outcome: FoldOutcome,
}

impl RunReport {
    /// Of the run in the folder `run`.
    pub fn new(run: &Path, outcome: Outcome, found_done: bool) -> Self {
        Self {
            run: run.to_owned(),
            valid: outcome.valid,
            best_epoch: outcome.best_epoch,
            epochs: outcome.epochs,
            steps: outcome.steps,
            seconds: outcome.seconds,
            tokens_per_second: outcome.tokens_per_second,
            shared_stage: outcome.shared_stage,
            peak_rss_bytes: outcome.peak_rss_bytes,
            submission: outcome.submission.then(|| run.join(names::SUBMISSION)),
            found_done,
            rewritten: false,
            baseline: outcome.baseline,
            cross_validation: outcome.cross_validation,
        }
    }
}

impl FoldReport {
    /// Of a fold of the run in the folder `run`, which consists of `models`.
    pub fn new(run: &Path, models: &[ModelName], outcome: FoldOutcome, found_done: bool) -> Self {
        let is_done = |model: &&ModelName| model.folder(run).join(names::DONE).exists();
        Self {
            run: run.to_owned(),
            found_done,
            models_done: models.iter().filter(is_done).count(),
            models: models.len(),
            merged: run.join(names::OOF).exists(),
            outcome,
        }
    }
}
