//! A run that has left models, or has got so far as to have one: what scores further rows.
//!
//! In: a run folder. Out: its settings, its record and the folders of its models, which are what the run has written. Opens no
//! model: [`super::kept_model`] does.

use std::path::{Path, PathBuf};

use super::part::RunPart;
use super::plan;
use crate::config::{self, Experiment, Loaded};
use crate::error::{Error, Result};
use crate::progress::Progress;
use crate::workbench::run_folder::done::FoldOutcome;
use crate::workbench::run_folder::manifest::State;
use crate::workbench::run_folder::names::{self, ModelName};
use crate::workbench::run_folder::record::{RunRecord, refuse_pretraining};
use crate::workbench::run_folder::results::Results;

/// A run folder with a model.
pub struct KeptRun {
    /// The settings it was made with.
    pub loaded: Loaded,
    /// The folders of the models whose mean is the run's answer; one at least. Those of folds have one vocabulary.
    pub models: Vec<PathBuf>,
    /// From its manifest.
    pub record: RunRecord,
}

impl KeptRun {
    /// Opens `run`. A run that was cut will do, once it has finished an epoch, or a fold.
    ///
    /// # Errors
    /// [`Error::Refused`] where it holds no model, or one that is not what the run has written; those of the readers.
    pub fn open(run: &Path, progress: &Progress) -> Result<Self> {
        refuse_pretraining(run)?;
        let config_file = run.join(names::CONFIG);
        require_file(run, &config_file)?;
        refuse_ensemble(run)?;
        let loaded = config::load(Some(&config_file), &[])?;
        loaded.check_folds()?; // a list is made of their number
        let models = models(run, &loaded.experiment, progress)?;
        let results = Results::open(run)?;
        require_as_written(&results, &models)?;
        Ok(Self {
            loaded,
            models,
            record: results.record,
        })
    }

    /// The folder of the one model of the run, whose vectors are compared with each other: that of a single split, or with folds that
    /// of `folds.full`. Vectors of different models have nothing to do with each other. `run` is its folder.
    ///
    /// # Errors
    /// [`Error::Refused`] where there are folds alone, or the model is not what the run has written.
    pub fn one_model(&self, run: &Path) -> Result<PathBuf> {
        let n_folds = self.models.len();
        if self.loaded.experiment.folds.k == 0 {
            return Ok(self.models[0].clone());
        }
        let full = ModelName::Full.folder(run).join(names::MODEL);
        if !full.join(names::WEIGHTS).exists() {
            let message = format!(
                "{} has {n_folds} models, one a fold, whose vectors do not compare",
                run.display()
            );
            let hint = "train one model: without folds, or with folds.full = true beside them";
            return Err(Error::refused(message).with_hint(hint));
        }
        require_as_written(&Results::open(run)?, std::slice::from_ref(&full))?;
        Ok(full)
    }

    /// The folder of the model of one fold, or of all rows. `run` is its folder.
    ///
    /// # Errors
    /// [`Error::Refused`] where the run has no such model, or not yet, or it is not what the run has written.
    pub fn model_of(&self, run: &Path, fold: ModelName) -> Result<PathBuf> {
        if !plan::has_folds(&self.loaded.experiment) {
            let message = format!("--fold {fold}: {} has no folds", run.display());
            return Err(
                Error::refused(message).with_hint("leave --fold out: the run has one model")
            );
        }
        plan::require_part(&self.loaded.experiment, RunPart::Fold(fold))?;
        let folder = fold.folder(run);
        require_file(run, &folder.join(names::DONE))?;
        let model = folder.join(names::MODEL);
        require_file(run, &model.join(names::WEIGHTS))?;
        require_as_written(&Results::open(run)?, std::slice::from_ref(&model))?;
        Ok(model)
    }
}

/// The folders of the models whose mean is the run's answer; one at least.
fn models(run: &Path, experiment: &Experiment, progress: &Progress) -> Result<Vec<PathBuf>> {
    let mut folders = vec![run.to_owned()];
    if experiment.folds.k > 0 {
        folders = plan::models(experiment)
            .into_iter()
            .filter(|&name| name != ModelName::Full)
            .map(|name| name.folder(run))
            .collect();
        let n = folders.len();
        folders.retain(|folder| folder.join(names::DONE).exists());
        if folders.is_empty() {
            require_file(run, &ModelName::Fold(1).folder(run).join(names::DONE))?;
        }
        progress.say(&format!("the mean of {} of {n} folds", folders.len()));
    }
    for folder in &mut folders {
        folder.push(names::MODEL);
        require_file(run, &folder.join(names::WEIGHTS))?;
    }
    Ok(folders)
}

/// Refuses models of a run that is done, or of a fold that is, which are not what was written. One that was cut has no record
/// yet.
fn require_as_written(results: &Results, models: &[PathBuf]) -> Result<()> {
    if results.record.state != State::Done {
        for model in models {
            FoldOutcome::read(model.parent().unwrap_or(&results.path))?;
        }
        return Ok(());
    }
    for output in &results.record.outputs {
        let at = results.path.join(&output.path);
        if models.iter().any(|model| at.starts_with(model)) {
            results.wrote(&output.path)?;
        }
    }
    Ok(())
}

/// Refuses an ensemble. A folder without a manifest is another matter.
fn refuse_ensemble(run: &Path) -> Result<()> {
    match RunRecord::read(run) {
        Ok(record) if record.is_ensemble() => {
            let run = run.display();
            let message = format!("{run} is an ensemble, which has no model of its own");
            let manifest = names::MANIFEST;
            let hint =
                format!("name one of its runs: `ensemble.runs` in {run}/{manifest} lists them");
            Err(Error::refused(message).with_hint(hint))
        }
        _ => Ok(()),
    }
}

fn require_file(run: &Path, file: &Path) -> Result<()> {
    if file.exists() {
        return Ok(());
    }
    let message = format!(
        "{} is no run with a model: it has no {}",
        run.display(),
        file.display()
    );
    let hint =
        "`cipherpet run` makes one, from its first epoch (with folds, from its first fold) on";
    Err(Error::refused(message).with_hint(hint))
}
