//! The main job: from an experiment to a run folder with a checked submission.
//!
//! In: a [`Loaded`] experiment. Out: a [`RunReport`], and on disk everything [`folder`] names. The steps stand in
//! [`run`] in their order; whatever can fail early does so before the first epoch.

use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::Serialize;

use super::folder::{self, Opened, RunFolder};
use super::manifest::{Identity, Outcome};
use super::rows::Rows;
use super::start::Start;
use super::watch::{ModelWriter, RunWatch};
use super::{Stop, disk, machine, predict, submission};
use crate::config::Loaded;
use crate::error::Result;
use crate::progress::Progress;
use crate::train::{self, FitReport, TrainingData};

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
    progress.log_to(&folder.join(folder::LOG))?;

    let rows = Rows::read(&loaded.experiment, progress)?;
    stop.check()?;
    let mut start = Start::build(loaded, &rows, progress)?;
    check_disk(&rows, &start, &folder)?;
    stop.check()?;
    folder.keep(start.mapping.wrapped);

    let mapping_path = folder.join(folder::MAPPING);
    start
        .mapping
        .write(&mapping_path, &rows.dictionary, &start.plain)?;
    let fit = fit(loaded, &rows, &mut start, &folder, (progress, stop))?;
    write_valid(&rows, &fit, &folder)?;
    let has_submission = write_submission(loaded, &rows, &start, &folder, (progress, stop))?;

    let outcome = Outcome {
        valid_auc: fit.best_auc,
        best_epoch: fit.best_epoch,
        epochs: fit.epochs.len(),
        steps: fit.steps,
        seconds: begun.elapsed().as_secs_f64(),
        tokens_per_second: fit.tokens_per_second,
        peak_rss_bytes: machine::peak_rss_bytes(),
        submission: has_submission,
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
    let scores = rows.valid.len() + 2 * rows.test.len(); // the submission is there twice, once zipped
    let needed = disk::run_bytes(start.model.n_parameters(), scores, rows.vocab.size());
    disk::require(needed, disk::available(folder.path()), folder.path())
}

/// Trains, and leaves the best epoch in `model/`.
fn fit(
    loaded: &Loaded,
    rows: &Rows,
    start: &mut Start,
    folder: &RunFolder,
    (progress, stop): (&Progress, &Stop),
) -> Result<FitReport> {
    let experiment = &loaded.experiment;
    let options = experiment.train_options();
    let names = rows.vocab.names(&rows.dictionary);
    let writer = ModelWriter::new(folder, names, &experiment.data.token_separator);
    let sizes = (
        train::total_steps(rows.train.len(), &options),
        options.epochs,
        rows.valid.len(),
    );
    let mut watch = RunWatch::new(folder, &writer, (progress, stop), sizes)?;
    let data = TrainingData {
        train: &rows.train,
        valid: &rows.valid,
    };
    let report = train::fit(&mut start.model, &data, &options, &mut watch)?;
    if watch.saved_epoch != Some(report.best_epoch) {
        writer.write(&start.model)?;
    }
    Ok(report)
}

fn write_valid(rows: &Rows, fit: &FitReport, folder: &RunFolder) -> Result<()> {
    let labels = rows.valid.iter().map(|row| row.label == Some(true));
    let scored = rows.valid_numbers.iter().zip(labels).zip(&fit.valid_scores);
    let table: Vec<_> = scored
        .map(|((&number, label), &score)| (number, label, score))
        .collect();
    submission::write_valid(&table, &folder.join(folder::VALID))
}

/// Scores the test rows. False where there is no test file.
fn write_submission(
    loaded: &Loaded,
    rows: &Rows,
    start: &Start,
    folder: &RunFolder,
    context: (&Progress, &Stop),
) -> Result<bool> {
    let Some(test) = &loaded.experiment.data.test else {
        return Ok(false);
    };
    let swap = loaded.experiment.predict.swap;
    let scores = predict::score(&start.model, &rows.test, swap, context)?;
    let csv = folder.join(folder::SUBMISSION);
    submission::write(&scores, &csv, Some(&folder.join(folder::SUBMISSION_ZIP)))?;
    submission::check(&csv, test, &loaded.experiment.format(), None)?;
    Ok(true)
}
