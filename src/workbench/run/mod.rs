//! The main job: from an experiment to a run folder with a checked submission.
//!
//! In: a [`Loaded`] experiment. Out: a [`Report`], and on disk everything [`folder`] names. The steps of a single split
//! stand in order below, those of folds in [`folds`]; whatever can fail early does so before the first epoch.

pub mod batch;
pub mod fold;
pub mod folds;
pub mod merge;
pub mod rows;
pub mod stages;
pub mod start;
mod watch;

use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::Serialize;

use super::run_folder::done::{FoldName, FoldOutcome};
use super::run_folder::folder::{self, Opened, RunFolder};
use super::run_folder::manifest::{CrossValidation, Identity, Outcome};
use super::run_folder::resume;
use super::{Stop, disk, machine, report, submission};
use crate::config::{Experiment, Loaded};
use crate::error::{Error, Result};
use crate::progress::Progress;
use fold::Fit;
use rows::Rows;
use start::Start;

/// How much of a run to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Everything that is not done.
    Whole,
    /// One fold alone, without the merge.
    Fold(FoldName),
    /// The merge alone; every fold must be done.
    Finish,
}

/// What was done; the object that `--json` prints.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Report {
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
    pub valid_auc: Option<f64>,
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
    pub peak_rss_bytes: Option<u64>,
    /// `submission.csv`; none where the experiment has no test file.
    pub submission: Option<PathBuf>,
    /// The run had been done before; nothing was computed.
    pub found_done: bool,
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

/// Runs an experiment, or a part of it, in `out`, or in `runs/NAME-HASH` under the working folder; goes on where an
/// earlier process was cut there.
///
/// # Errors
/// Those of the config, the inputs, the folder and the disk before training; [`Error::Interrupted`] where the run
/// was stopped before there was anything to go on from, [`Error::Stopped`] after that; [`Error::Io`]. With folds also
/// those of [`folds::run`].
pub fn run(
    loaded: &Loaded,
    out: Option<&Path>,
    part: Part,
    context: (&Progress, &Stop),
) -> Result<Report> {
    loaded.check()?;
    let has_folds = loaded.experiment.folds.k > 0;
    if !has_folds && part != Part::Whole {
        let option = match part {
            Part::Fold(name) => format!("--fold {name}"),
            _ => "--finish".to_owned(),
        };
        let message = format!("{option} with folds.k = 0, which has no folds");
        return Err(Error::refused(message).with_hint("set folds.k"));
    }
    let identity = Identity::of(&loaded.experiment)?;
    let path = match out {
        Some(out) => out.to_owned(),
        None => default_folder(loaded, &identity),
    };
    let done = if has_folds {
        folds::run(loaded, (&path, identity), part, context)
    } else {
        single(loaded, (&path, identity), context).map(Report::Run)
    };
    let done = done.map_err(|error| resume::stopped(error, &path))?;
    if let Report::Run(run) = &done
        && (!run.found_done || !path.join(report::FILE).exists())
    {
        report::write(&path, context.0);
    }
    Ok(done)
}

/// One model and the split of `data.valid`.
fn single(
    loaded: &Loaded,
    (path, identity): (&Path, Identity),
    context: (&Progress, &Stop),
) -> Result<RunReport> {
    match RunFolder::open(path, &loaded.experiment, identity)? {
        Opened::Done(outcome) => Ok(RunReport::new(path, outcome, true)),
        Opened::Ready(folder) => {
            let outcome = fill(*folder, loaded, context)?;
            Ok(RunReport::new(path, outcome, false))
        }
    }
}

fn fill(
    mut folder: RunFolder,
    loaded: &Loaded,
    (progress, stop): (&Progress, &Stop),
) -> Result<Outcome> {
    let begun = Instant::now();
    let progress = &progress.logging_to(&folder.join(folder::LOG))?;
    resume::say_owner_before(folder.left_by(), progress);
    let experiment = &loaded.experiment;
    let rows = Rows::read(experiment, progress)?;
    let fit_rows = rows.fit(&rows.held_out, experiment, progress);
    stop.check()?;
    let start = Start::build(loaded, &rows, folder.path(), (progress, stop))?;
    check_disk(&rows, &start, &folder)?;
    stop.check()?;
    folder.keep(start.mapping.wrapped);

    let mapping_path = folder.join(folder::MAPPING);
    start
        .mapping
        .write(&mapping_path, &rows.dictionary, &start.plain)?;
    folder.record_alignment(start.quality.as_deref())?;
    let fit = Fit {
        dir: folder.path(),
        experiment,
        rows: &rows,
        fit_rows: &fit_rows,
        start: &start,
        key: experiment.key(),
    };
    let trained = fit.train((progress, stop))?;
    let scores = fit.score_test(&trained.model, (progress, stop))?;
    if let Some(scores) = &scores {
        submission::leave_run(scores, experiment, folder.path(), progress)?;
    }

    let fit = trained.report;
    let outcome = Outcome {
        valid_auc: fit.best_score,
        best_epoch: Some(fit.best_epoch),
        epochs: fit.epochs.len(),
        steps: fit.steps,
        seconds: fit.earlier_seconds + begun.elapsed().as_secs_f64(),
        tokens_per_second: fit.tokens_per_second,
        peak_rss_bytes: machine::peak_rss_bytes(),
        submission: scores.is_some(),
        cross_validation: None,
    };
    folder.finish(outcome.clone())?;
    Ok(outcome)
}

impl RunReport {
    pub(super) fn new(run: &Path, outcome: Outcome, found_done: bool) -> Self {
        Self {
            run: run.to_owned(),
            valid_auc: outcome.valid_auc,
            best_epoch: outcome.best_epoch,
            epochs: outcome.epochs,
            steps: outcome.steps,
            seconds: outcome.seconds,
            tokens_per_second: outcome.tokens_per_second,
            peak_rss_bytes: outcome.peak_rss_bytes,
            submission: outcome.submission.then(|| run.join(folder::SUBMISSION)),
            found_done,
            cross_validation: outcome.cross_validation,
        }
    }
}

impl FoldReport {
    pub(super) fn new(
        run: &Path,
        experiment: &Experiment,
        outcome: FoldOutcome,
        found_done: bool,
    ) -> Self {
        let names = folds::names(experiment);
        let is_done = |name: &&FoldName| name.folder(run).join(folder::DONE).exists();
        Self {
            run: run.to_owned(),
            found_done,
            models_done: names.iter().filter(is_done).count(),
            models: names.len(),
            merged: run.join(folder::OOF).exists(),
            outcome,
        }
    }
}

/// `runs/NAME-HASH`
pub(super) fn default_folder(loaded: &Loaded, identity: &Identity) -> PathBuf {
    let hash = &identity.config_sha256[..8];
    Path::new("runs").join(format!("{}-{hash}", loaded.name))
}

fn check_disk(rows: &Rows, start: &Start, folder: &RunFolder) -> Result<()> {
    let n_valid = rows.held_out.len() + rows.valid_file.len();
    let scores = n_valid + 3 * rows.test.len(); // the submission, zipped, and its plain scores
    let needed = disk::run_bytes(start.n_parameters(), scores, rows.vocab.size())
        + disk::checkpoint_bytes(start.n_parameters());
    disk::require(needed, disk::available(folder.path()), folder.path())
}
