//! The main job: from an experiment to a run folder with a checked submission.
//!
//! In: a [`Loaded`] experiment and a [`RunPart`]. Out: a [`PartReport`], and on disk what [`run_folder`] names. There is
//! one way: open the folder, read the rows ([`rows`]), build what every model starts from ([`start`]), train the models of
//! the [`plan`] ([`model`]), finish. A single split is a plan of one model, which fills the run folder itself and
//! is the run's answer; with folds each model has a folder of its own, and their [`merge`] is the answer. Whatever can
//! fail early does so before the first epoch. [`batch`] does several experiments.
//!
//! Several processes may train different folds of one run at once, on one machine or on several: files of the run are the
//! same from each and are put there in one step, each fold's folder has a lock of its own, and nothing else is shared. A
//! fold that fails does not stop the others.
//!
//! [`run_folder`]: crate::workbench::run_folder

pub mod augmented;
mod baseline;
pub mod batch;
pub mod encoder;
mod events;
pub mod fitting;
mod grouped;
pub mod kept_model;
pub mod kept_run;
pub mod merge;
pub mod model;
mod objectives;
pub mod pace;
pub mod part;
pub mod plan;
pub mod raw_rows;
mod rewrite;
pub mod rows;
mod shared_stage;
pub mod stages;
pub mod start;
mod teacher;
pub mod warnings;
pub mod watch;

use std::path::Path;
use std::time::Instant;

use self::merge::Merge;
use self::model::{Trained, Training};
use self::part::{FoldReport, PartReport, RunPart, RunReport};
use self::rows::Rows;
use self::start::Start;
use super::run_folder::done::FoldOutcome;
use super::run_folder::folder::{self, Beginning, Opened, RunFolder, Standing};
use super::run_folder::manifest::{Identity, Outcome};
use super::run_folder::names::{LOG, ModelName};
use super::run_folder::resume;
use super::{Context, disk, machine, report, submission};
use crate::config::{Experiment, Loaded};
use crate::error::{Error, Result};

/// Runs an experiment, or a part of it, in `out`, or in `runs/NAME-HASH` under the working folder; goes on where an
/// earlier process was cut there. A run that is done, but for another `[submit]` or `[predict]` or a submission that was lost, is not
/// trained again: see [`rewrite`].
///
/// # Errors
/// Those of the config, the inputs, the folder and the disk before training; [`Error::Interrupted`] where the run
/// was stopped before there was anything to go on from, [`Error::Stopped`] after that; [`Error::Io`]. With folds also
/// [`Error::Refused`] for a fold that the run does not have, for folds that are missing at the merge, and with a list
/// of the folds that failed.
///
/// [`Error::Interrupted`]: crate::error::Error::Interrupted
/// [`Error::Stopped`]: crate::error::Error::Stopped
/// [`Error::Refused`]: crate::error::Error::Refused
/// [`Error::Io`]: crate::error::Error::Io
pub fn run(
    loaded: &Loaded,
    out: Option<&Path>,
    part: RunPart,
    context: Context<'_>,
) -> Result<PartReport> {
    loaded.check()?;
    plan::require_part(&loaded.experiment, part)?;
    let identity = Identity::of(&loaded.experiment)?;
    let path = match out {
        Some(out) => out.to_owned(),
        None => plan::default_folder(loaded, &identity),
    };
    let done = match open(&path, &loaded.experiment, &identity, part) {
        Ok(Found::Done(report)) => Ok(*report),
        Ok(Found::Ready(folder)) => fill(*folder, loaded, part, context),
        Ok(Found::Outdated) => rewrite::rewrite(&path, loaded, identity, context),
        Err(error) => Err(error),
    };
    let done = done.map_err(|error| resume::stopped(error, &path))?;
    if let PartReport::Run(run) = &done
        && (!run.found_done || run.rewritten || !path.join(report::FILE).exists())
    {
        let is_shared = plan::has_folds(&loaded.experiment);
        report::write(&path, is_shared, context.progress);
    }
    Ok(done)
}

/// What stands at the place of the run.
enum Found {
    /// The part that is asked for, done.
    Done(Box<PartReport>),
    /// The run, done, but for another `[predict]` or `[submit]`, or without its submission.
    Outdated,
    /// A folder to do it in.
    Ready(Box<RunFolder>),
}

fn open(path: &Path, experiment: &Experiment, identity: &Identity, part: RunPart) -> Result<Found> {
    let run_done = |outcome| Box::new(PartReport::Run(RunReport::new(path, outcome, true)));
    if !plan::has_folds(experiment) {
        return Ok(match RunFolder::open(path, experiment, identity.clone())? {
            Opened::Done(outcome) => Found::Done(run_done(outcome)),
            Opened::Outdated => Found::Outdated,
            Opened::Ready(folder) => Found::Ready(folder),
        });
    }
    match (part, folder::look(path, experiment, identity)?) {
        (
            RunPart::Fold(name),
            Standing::Outdated {
                has_other_scores: true,
                ..
            },
        ) => return Err(other_scores(path, name)),
        (RunPart::Fold(name), _) => {
            let dir = name.folder(path);
            if let Some(outcome) = FoldOutcome::read(&dir)? {
                folder::tidy_up(&dir);
                let report = FoldReport::new(path, &plan::models(experiment), outcome, true);
                return Ok(Found::Done(Box::new(PartReport::Fold(report))));
            }
        }
        (_, Standing::Done(outcome)) => return Ok(Found::Done(run_done(outcome))),
        (_, Standing::Outdated { .. }) => return Ok(Found::Outdated),
        (RunPart::Finish, Standing::Free) => {
            plan::require_all(experiment, path)?; // before anything is read
        }
        (RunPart::Whole, Standing::Free) => {}
    }
    let folder = RunFolder::shared(path, experiment, identity.clone());
    Ok(Found::Ready(Box::new(folder)))
}

fn other_scores(path: &Path, fold: ModelName) -> Error {
    let message = format!(
        "the models of {} are trained; --fold {fold} would score one of them alone",
        path.display()
    );
    Error::refused(message)
        .with_hint("leave --fold out: all are scored with this [predict], and merged")
}

/// Reads the rows, trains what is asked for and finishes the run.
fn fill(
    mut folder: RunFolder,
    loaded: &Loaded,
    part: RunPart,
    context: Context<'_>,
) -> Result<PartReport> {
    let begun = Instant::now();
    let experiment = &loaded.experiment;
    let mut progress = context.progress.clone();
    if folder.is_own() || part == RunPart::Finish {
        progress = progress.logging_to(&folder.join(LOG))?;
    }
    resume::say_owner_before(folder.left_by(), &progress);
    let lines = loaded.preset_line().into_iter();
    let lines = lines.chain(loaded.switched_off_lines());
    lines.for_each(|line| progress.say(&line));
    let rows = Rows::read(experiment, &progress)?;
    submission::check_form(experiment, &rows.task, rows.test.len())?;
    for model in plan::models(experiment) {
        let held_out = plan::held_out(&rows, model)?;
        rows.written_pairs(&held_out)?;
        rows.require_taught(&held_out)?;
    }
    // A single split says what it trains on before the checkpoint is opened; a fold says it in its own log.
    let single_rows =
        (!plan::has_folds(experiment)).then(|| rows.fit(&rows.held_out, experiment, &progress));
    let single_rows = single_rows.transpose()?;
    context.stop.check()?;
    let mut single = None;
    if part != RunPart::Finish {
        let logged = context.with_progress(&progress);
        let start = Start::build(loaded, &rows, Some(folder.path()), logged)?;
        if let Some(line) = warnings::preset_of_small_networks(experiment, &start.config) {
            progress.say(&line);
        }
        check_disk(experiment, &rows, &start, folder.path())?;
        context.stop.check()?;
        let mapping = start.mapping.table(&rows.dictionary, &start.plain)?;
        let beginning = Beginning {
            mapping: &mapping,
            wrapped_ids: start.mapping.wrapped,
            quality: start.quality.as_deref(),
        };
        folder.begin(experiment, &rows.task, &beginning)?;
        if part == RunPart::Whole && !folder.is_own() {
            progress = progress.logging_to(&folder.join(LOG))?; // there is a folder for it now
        }
        let context = context.with_progress(&progress);
        let training = Training {
            run: folder.path(),
            experiment,
            rows: &rows,
            start: &start,
        };
        match (part, &single_rows) {
            (RunPart::Fold(name), _) => {
                let outcome = training.fold(name, context)?;
                let models = plan::models(experiment);
                let report = FoldReport::new(folder.path(), &models, outcome, false);
                return Ok(PartReport::Fold(report));
            }
            (_, Some(fit_rows)) => {
                single = Some(training.model(ModelName::Single, fit_rows, context)?);
            }
            (_, None) => training.folds(context)?,
        }
    }
    finish(
        folder,
        experiment,
        &rows,
        (single, begun),
        context.with_progress(&progress),
    )
}

/// Writes the answer of the run and records it as done: that of its one model, trained since `begun`, or the merge of its
/// folds.
fn finish(
    folder: RunFolder,
    experiment: &Experiment,
    rows: &Rows,
    (single, begun): (Option<Trained>, Instant),
    Context { progress, .. }: Context<'_>,
) -> Result<PartReport> {
    let path = folder.path().to_owned();
    // Their ids go into the submission.
    for key in ["data.test", "submit.like"] {
        folder.require_same_input(key)?;
    }
    let outcome = match single {
        None => Merge::new(&path, experiment, rows)?.write(progress)?,
        Some(trained) => {
            if let Some(scores) = &trained.test_scores {
                submission::leave_run((scores, &rows.task), experiment, &path, progress)?;
            }
            let grouped = grouped::line(rows, experiment.metric(), &trained.report.valid_scores);
            grouped.iter().for_each(|line| progress.say(line));
            let seconds = trained.seconds_since(begun);
            let Trained {
                report,
                test_scores,
                shared_stage,
                ..
            } = trained;
            Outcome {
                valid: report.best,
                best_epoch: Some(report.best_epoch),
                epochs: report.epochs.len(),
                steps: report.steps,
                seconds,
                tokens_per_second: report.tokens_per_second,
                shared_stage: shared_stage.map(Box::new),
                peak_rss_bytes: machine::peak_rss_bytes(),
                submission: test_scores.is_some(),
                baseline: baseline::baseline(rows, experiment),
                cross_validation: None,
            }
        }
    };
    warnings::below_baseline(&outcome, experiment)
        .iter()
        .for_each(|line| progress.say(line));
    folder.finish(experiment, &plan::models(experiment), outcome.clone())?;
    Ok(PartReport::Run(RunReport::new(&path, outcome, false)))
}

/// Room for every model that is not done, and for what is made of them, beside what the run holds already.
fn check_disk(experiment: &Experiment, rows: &Rows, start: &Start, run: &Path) -> Result<()> {
    let test = rows.test.len();
    let (done, others) = plan::done_and_others(experiment, run);
    let scores = match &rows.folds {
        // Held out once a repeat and merged once; scored by each model, and a submission with its zip.
        Some(folds) => {
            let more_models = folds.total().saturating_sub(done.len());
            (folds.options.repeats + 1) * rows.labelled.len() + (more_models + 3) * test
        }
        // The submission, zipped, and its plain scores.
        None => rows.held_out.len() + rows.valid_file.len() + 3 * test,
    };
    let held: Vec<u64> = others
        .iter()
        .map(|folder| resume::held_bytes(folder))
        .collect();
    let needed = disk::training_bytes(&held, start.n_parameters(), rows.vocab.size())
        + disk::score_bytes(scores);
    let nearest = run.ancestors().find(|folder| folder.is_dir());
    let there = nearest.unwrap_or(Path::new("."));
    disk::require(needed, disk::available(there), run)
}
