//! The main job: from an experiment to a run folder with a checked submission.
//!
//! In: a [`Loaded`] experiment. Out: a [`RunReport`], and on disk everything [`folder`] names. The steps stand in
//! [`run`] in their order; whatever can fail early does so before the first epoch.

use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::Serialize;

use super::fold::Fit;
use super::folder::{self, Opened, RunFolder};
use super::manifest::{Identity, Outcome};
use super::rows::Rows;
use super::start::Start;
use super::{Stop, disk, machine, submission};
use crate::config::{Experiment, Loaded};
use crate::error::Result;
use crate::progress::Progress;

/// The result of a run; the object that `--json` prints.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunReport {
    /// The run folder.
    pub run: PathBuf,
    /// See [`Outcome`].
    pub valid_auc: Option<f64>,
    /// See [`Outcome`].
    pub best_epoch: usize,
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
}

/// Runs an experiment in `out`, or in `runs/NAME-HASH` under the working folder.
///
/// # Errors
/// Those of the config, the inputs, the folder and the disk before training; [`Error::Interrupted`] and
/// [`Error::Io`] during it, which leave the epochs that were finished.
///
/// [`Error::Interrupted`]: crate::error::Error::Interrupted
/// [`Error::Io`]: crate::error::Error::Io
pub fn run(
    loaded: &Loaded,
    out: Option<&Path>,
    (progress, stop): (&Progress, &Stop),
) -> Result<RunReport> {
    let begun = Instant::now();
    loaded.check()?;
    let identity = Identity::of(&loaded.experiment)?;
    let path = match out {
        Some(out) => out.to_owned(),
        None => default_folder(loaded, &identity),
    };
    let mut folder = match RunFolder::open(&path, &loaded.experiment, identity)? {
        Opened::Done(outcome) => return Ok(RunReport::new(&path, outcome, true)),
        Opened::Ready(folder) => folder,
    };
    let progress = &progress.logging_to(&folder.join(folder::LOG))?;

    let experiment = &loaded.experiment;
    let rows = Rows::read(experiment, progress)?;
    let fit_rows = rows.fit(&rows.held_out, experiment, progress);
    stop.check()?;
    let start = Start::build(loaded, &rows, progress)?;
    check_disk(&rows, &start, &folder)?;
    stop.check()?;
    folder.keep(start.mapping.wrapped);

    let mapping_path = folder.join(folder::MAPPING);
    start
        .mapping
        .write(&mapping_path, &rows.dictionary, &start.plain)?;
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
        write_submission(experiment, scores, folder.path())?;
    }

    let fit = trained.report;
    let outcome = Outcome {
        valid_auc: fit.best_auc,
        best_epoch: fit.best_epoch,
        epochs: fit.epochs.len(),
        steps: fit.steps,
        seconds: begun.elapsed().as_secs_f64(),
        tokens_per_second: fit.tokens_per_second,
        peak_rss_bytes: machine::peak_rss_bytes(),
        submission: scores.is_some(),
    };
    folder.finish(outcome.clone())?;
    Ok(RunReport::new(&path, outcome, false))
}

impl RunReport {
    fn new(run: &Path, outcome: Outcome, found_done: bool) -> Self {
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
        }
    }
}

fn default_folder(loaded: &Loaded, identity: &Identity) -> PathBuf {
    let hash = &identity.config_sha256[..8];
    Path::new("runs").join(format!("{}-{hash}", loaded.name))
}

fn check_disk(rows: &Rows, start: &Start, folder: &RunFolder) -> Result<()> {
    let n_valid = rows.held_out.len() + rows.valid_file.len();
    let scores = n_valid + 2 * rows.test.len(); // the submission is there twice, once zipped
    let needed = disk::run_bytes(start.n_parameters(), scores, rows.vocab.size());
    disk::require(needed, disk::available(folder.path()), folder.path())
}

/// Writes `submission.csv` and its zip into a run folder, and checks them.
fn write_submission(experiment: &Experiment, scores: &[f32], dir: &Path) -> Result<()> {
    let Some(test) = &experiment.data.test else {
        return Ok(());
    };
    let csv = dir.join(folder::SUBMISSION);
    submission::write(scores, &csv, Some(&dir.join(folder::SUBMISSION_ZIP)))?;
    submission::check(&csv, test, &experiment.format(), None)?;
    Ok(())
}
