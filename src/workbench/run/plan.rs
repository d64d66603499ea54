//! The models of a run: the one of a single split, or one a fold and, where it is asked for, the fit on all rows.
//!
//! In: an experiment. Out: the names of its models in their order, with the rows and the random streams of each, and
//! which of them are missing. Trains nothing.

use std::path::{Path, PathBuf};

use super::part::RunPart;
use super::rows::Rows;
use crate::config::{Experiment, Loaded};
use crate::error::{Error, Result};
use crate::random::{Key, Purpose};
use crate::workbench::run_folder::done::FoldOutcome;
use crate::workbench::run_folder::manifest::Identity;
use crate::workbench::run_folder::names::{DONE, ModelName};

/// Whether the run has folds, and its models folders of their own.
pub fn has_folds(experiment: &Experiment) -> bool {
    experiment.folds.k > 0
}

/// Every model of the run, in order.
pub fn models(experiment: &Experiment) -> Vec<ModelName> {
    if !has_folds(experiment) {
        return vec![ModelName::Single];
    }
    let settings = &experiment.folds;
    let mut models: Vec<_> = (1..=settings.k * settings.repeats)
        .map(ModelName::Fold)
        .collect();
    if settings.full {
        models.push(ModelName::Full);
    }
    models
}

/// Sorted numbers of the labelled rows that a model holds out.
///
/// # Errors
/// [`Error::Unexpected`] for a fold of rows that were not dealt.
pub fn held_out(rows: &Rows, model: ModelName) -> Result<Vec<usize>> {
    match model {
        ModelName::Single => Ok(rows.held_out.clone()),
        ModelName::Full => Ok(Vec::new()),
        ModelName::Fold(number) => {
            let folds = rows.folds.as_ref();
            let folds = folds.ok_or_else(|| Error::Unexpected("rows without folds".to_owned()))?;
            Ok(folds.held_out(number - 1))
        }
    }
}

/// Root of all random streams of a model.
pub fn key(experiment: &Experiment, model: ModelName) -> Key {
    let root = experiment.key();
    match model {
        ModelName::Single => root,
        ModelName::Full => root.with(Purpose::Fold).at(0),
        ModelName::Fold(number) => root.with(Purpose::Fold).at(number as u64),
    }
}

/// The folders of the models in `run`, those that have an outcome and those that have none. A single split has none until
/// the run is done.
pub fn done_and_others(experiment: &Experiment, run: &Path) -> (Vec<PathBuf>, Vec<PathBuf>) {
    let folders = models(experiment).into_iter();
    folders
        .map(|model| model.folder(run))
        .partition(|folder| folder.join(DONE).exists())
}

/// Refuses a part that the run does not have.
///
/// # Errors
/// [`Error::Refused`].
pub fn require_part(experiment: &Experiment, part: RunPart) -> Result<()> {
    let option = match part {
        RunPart::Whole => return Ok(()),
        RunPart::Fold(name) => format!("--fold {name}"),
        RunPart::Finish => "--finish".to_owned(),
    };
    if !has_folds(experiment) {
        let message = format!("{option} with folds.k = 0, which has no folds");
        return Err(Error::refused(message).with_hint("set folds.k"));
    }
    let settings = &experiment.folds;
    match part {
        RunPart::Fold(model) if !models(experiment).contains(&model) => Err(match model {
            ModelName::Full => Error::refused(format!("{option}: folds.full = false"))
                .with_hint("set folds.full = true for a fit on all rows"),
            ModelName::Single | ModelName::Fold(_) => Error::refused(format!(
                "{option}: folds.k = {} and folds.repeats = {} make folds 1 to {}",
                settings.k,
                settings.repeats,
                settings.k * settings.repeats
            )),
        }),
        _ => Ok(()),
    }
}

/// The outcomes of all models of a run of folds, in order.
///
/// # Errors
/// [`Error::Refused`] with the names of those that are missing; those of [`FoldOutcome::read`].
pub fn require_all(experiment: &Experiment, run: &Path) -> Result<Vec<FoldOutcome>> {
    let (mut done, mut missing) = (Vec::new(), Vec::new());
    for model in models(experiment) {
        match FoldOutcome::read(&model.folder(run))? {
            Some(outcome) => done.push(outcome),
            None => missing.push(model),
        }
    }
    let Some(first) = missing.first() else {
        return Ok(done);
    };
    let list: Vec<String> = missing.iter().map(|model| model.folder_name()).collect();
    let message = format!(
        "{} is not complete: {} missing",
        run.display(),
        list.join(", ")
    );
    Err(Error::refused(message).with_hint(format!(
        "`cipherpet run` with --fold {first} trains one, without --fold all that are missing"
    )))
}

/// `runs/NAME-HASH`
pub fn default_folder(loaded: &Loaded, identity: &Identity) -> PathBuf {
    let hash = &identity.config_sha256[..8];
    Path::new("runs").join(format!("{}-{hash}", loaded.name))
}
