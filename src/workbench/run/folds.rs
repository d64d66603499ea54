//! A run of k folds: all of them one after the other, one alone, or the merge of those that are there.
//!
//! In: an experiment with `folds.k` and a [`Part`]. Out: `fold-1/` … `fold-K/` and `full/` in the run folder ([`Fold`]), and
//! what the merge makes of them ([`Merge`]). Several processes may train different folds of one run at once, on one
//! machine or on several: files of the run are the same from each and are put there in one step, each fold's folder has
//! a lock of its own, and nothing else is shared. A fold that fails does not stop the others.

use std::path::Path;

use super::fold::Fold;
use super::merge::Merge;
use super::rows::Rows;
use super::start::Start;
use super::{FoldReport, Part, Report, RunReport};
use crate::atomic;
use crate::config::{Experiment, Loaded};
use crate::data::Folds;
use crate::error::{Error, Result};
use crate::progress::Progress;
use crate::workbench::run_folder::done::{FoldName, FoldOutcome};
use crate::workbench::run_folder::folder::{self, CONFIG, LOG, MAPPING};
use crate::workbench::run_folder::manifest::{Identity, Manifest, Outcome, State};
use crate::workbench::{Stop, disk};

/// Does a part of a run of folds in the folder at `path`.
///
/// # Errors
/// Those of the inputs, the folder and the disk before training; [`Error::Refused`] for a fold that the run does not
/// have, for folds that are missing at the merge, and with a list of the folds that failed.
pub fn run(
    loaded: &Loaded,
    (path, identity): (&Path, Identity),
    part: Part,
    (progress, stop): (&Progress, &Stop),
) -> Result<Report> {
    let experiment = &loaded.experiment;
    let found = folder::look(path, experiment, &identity)?;
    match part {
        Part::Fold(name) => {
            require_fold(experiment, name)?;
            if let Some(outcome) = FoldOutcome::read(&name.folder(path))? {
                folder::tidy_up(&name.folder(path));
                return Ok(Report::Fold(FoldReport::new(
                    path, experiment, outcome, true,
                )));
            }
        }
        Part::Whole | Part::Finish => {
            if let Some(outcome) = found {
                return Ok(Report::Run(RunReport::new(path, outcome, true)));
            }
        }
    }
    if part == Part::Finish {
        require_all(path, experiment)?; // before anything is read
    }
    let rows = Rows::read(experiment, progress)?;
    let folds = rows.folds.as_ref();
    let folds = folds.ok_or_else(|| Error::Unexpected("rows without folds".to_owned()))?;
    stop.check()?;
    let run = FoldsRun {
        path,
        experiment,
        rows: &rows,
        folds,
    };
    if part == Part::Finish {
        let progress = &progress.logging_to(&path.join(LOG))?;
        return run.merge(progress);
    }
    let start = Start::build(loaded, &rows, path, (progress, stop))?;
    run.check_disk(&start)?;
    stop.check()?;
    run.begin(identity, &start)?;
    match part {
        Part::Fold(name) => {
            let outcome = run.fold(name, &start).train((progress, stop))?;
            let report = FoldReport::new(path, experiment, outcome, false);
            Ok(Report::Fold(report))
        }
        Part::Whole | Part::Finish => {
            let progress = &progress.logging_to(&path.join(LOG))?;
            run.train_all(&start, (progress, stop))?;
            run.merge(progress)
        }
    }
}

/// Every model of a run of folds, in order.
pub fn names(experiment: &Experiment) -> Vec<FoldName> {
    let settings = &experiment.folds;
    let mut names: Vec<_> = (1..=settings.k * settings.repeats)
        .map(FoldName::Number)
        .collect();
    if settings.full {
        names.push(FoldName::Full);
    }
    names
}

/// A run under way.
struct FoldsRun<'a> {
    path: &'a Path,
    experiment: &'a Experiment,
    rows: &'a Rows,
    folds: &'a Folds,
}

impl FoldsRun<'_> {
    /// Room for every fold that is not done.
    fn check_disk(&self, start: &Start) -> Result<()> {
        let missing = names(self.experiment)
            .into_iter()
            .filter(|name| !name.folder(self.path).join(folder::DONE).exists())
            .count() as u64;
        let (labelled, test) = (self.rows.labelled.len(), self.rows.test.len());
        // Held out once a repeat and merged once; scored by each model, and a submission with its zip.
        let scores = (self.folds.options.repeats + 1) * labelled + (self.folds.total() + 3) * test;
        let (parameters, vocabulary) = (start.n_parameters(), self.rows.vocab.size());
        let needed = disk::run_bytes(parameters, scores, vocabulary)
            + disk::checkpoint_bytes(parameters)
            + missing.saturating_sub(1) * disk::fold_bytes(parameters, vocabulary);
        let nearest = self.path.ancestors().find(|folder| folder.is_dir());
        let there = nearest.unwrap_or(Path::new("."));
        disk::require(needed, disk::available(there), self.path)
    }

    /// The files of the run, the same from every process; the manifest is that of the first.
    fn begin(&self, identity: Identity, start: &Start) -> Result<()> {
        std::fs::create_dir_all(self.path).map_err(Error::io("create", self.path))?;
        let mut manifest = Manifest::begin(identity, self.experiment);
        manifest.wrapped_ids = start.mapping.wrapped;
        manifest.alignment = start.quality.clone();
        // The manifest first: without it the folder would be taken for somebody else's.
        manifest.write_new(self.path)?;
        let config = self.experiment.to_toml()?;
        atomic::write(&self.path.join(CONFIG), config.as_bytes())?;
        let mapping = self.path.join(MAPPING);
        start
            .mapping
            .write(&mapping, &self.rows.dictionary, &start.plain)
    }

    fn fold<'a>(&'a self, name: FoldName, start: &'a Start) -> Fold<'a> {
        Fold {
            name,
            run: self.path,
            experiment: self.experiment,
            rows: self.rows,
            held_out: match name {
                FoldName::Number(number) => self.folds.held_out(number - 1),
                FoldName::Full => Vec::new(),
            },
            start,
        }
    }

    /// Trains what is not done.
    ///
    /// # Errors
    /// At once where everything must stop; else at the end, with a list.
    fn train_all(&self, start: &Start, (progress, stop): (&Progress, &Stop)) -> Result<()> {
        let names = names(self.experiment);
        let total = self.folds.total();
        let mut failures = Vec::new();
        for &name in &names {
            stop.check()?;
            let title = match name {
                FoldName::Number(number) => format!("fold {number} of {total}"),
                FoldName::Full => "fit on all rows".to_owned(),
            };
            if FoldOutcome::read(&name.folder(self.path)).is_ok_and(|outcome| outcome.is_some()) {
                folder::tidy_up(&name.folder(self.path));
                progress.say(&format!("{title}: done already"));
                continue;
            }
            progress.say(&title);
            match self.fold(name, start).train((progress, stop)) {
                Ok(_) => {}
                Err(error) if error.is_stop() => return Err(error),
                Err(error) => {
                    progress.say(&format!("{title} failed: {error}"));
                    failures.push((name, error));
                }
            }
        }
        // Another process may have been at work in a fold, and have done it since.
        failures
            .retain(|(name, _)| !matches!(FoldOutcome::read(&name.folder(self.path)), Ok(Some(_))));
        match failures.is_empty() {
            true => Ok(()),
            false => Err(failed(&failures, names.len())),
        }
    }

    /// Merges the folds, and records the run as done.
    fn merge(&self, progress: &Progress) -> Result<Report> {
        let mut done = require_all(self.path, self.experiment)?;
        let full = match self.experiment.folds.full {
            true => done.pop(),
            false => None,
        };
        let merge = Merge {
            run: self.path,
            experiment: self.experiment,
            rows: self.rows,
            folds: self.folds,
            done,
            full,
        };
        let outcome = merge.write(progress)?;
        self.record(outcome.clone())?;
        Ok(Report::Run(RunReport::new(self.path, outcome, false)))
    }

    fn record(&self, outcome: Outcome) -> Result<()> {
        let manifest = Manifest::read(self.path)?;
        let mut manifest = manifest.ok_or_else(|| {
            let message = format!("{} has lost its manifest", self.path.display());
            Error::refused(message).with_hint("run the same command again")
        })?;
        manifest.outputs = folder::output_records(self.path, Path::new(""))?;
        for name in names(self.experiment) {
            let inner = name.folder_name();
            let records = folder::output_records(self.path, Path::new(&inner))?;
            manifest.outputs.extend(records);
        }
        manifest.state = State::Done;
        manifest.result = Some(outcome);
        manifest.write(self.path)
    }
}

/// The outcomes of all folds, in order.
///
/// # Errors
/// [`Error::Refused`] with the names of those that are missing; those of [`FoldOutcome::read`].
fn require_all(run: &Path, experiment: &Experiment) -> Result<Vec<FoldOutcome>> {
    let (mut done, mut missing) = (Vec::new(), Vec::new());
    for name in names(experiment) {
        match FoldOutcome::read(&name.folder(run))? {
            Some(outcome) => done.push(outcome),
            None => missing.push(name),
        }
    }
    let Some(first) = missing.first() else {
        return Ok(done);
    };
    let list: Vec<String> = missing.iter().map(|name| name.folder_name()).collect();
    let message = format!(
        "{} is not complete: {} missing",
        run.display(),
        list.join(", ")
    );
    Err(Error::refused(message).with_hint(format!(
        "`cipherpet run` with --fold {first} trains one, without --fold all that are missing"
    )))
}

fn require_fold(experiment: &Experiment, name: FoldName) -> Result<()> {
    if names(experiment).contains(&name) {
        return Ok(());
    }
    let settings = &experiment.folds;
    let error = match name {
        FoldName::Number(number) => Error::refused(format!(
            "--fold {number}: folds.k = {} and folds.repeats = {} make folds 1 to {}",
            settings.k,
            settings.repeats,
            settings.k * settings.repeats
        )),
        FoldName::Full => Error::refused("--fold full: folds.full = false")
            .with_hint("set folds.full = true for a fit on all rows"),
    };
    Err(error)
}

fn failed(failures: &[(FoldName, Error)], n_models: usize) -> Error {
    let lines = failures
        .iter()
        .map(|(name, error)| format!("\n  {}: {error}", name.folder_name()));
    let message = format!(
        "{} of {n_models} models failed:{}",
        failures.len(),
        lines.collect::<String>()
    );
    Error::refused(message).with_hint(format!(
        "{LOG} in their folders tells more; the same command trains what is missing"
    ))
}
