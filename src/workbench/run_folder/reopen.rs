//! A run that is done, opened again: another `[predict]` or `[submit]` for the models that are there, or a submission that was lost.
//!
//! In: the folder of a run and an experiment that differs from it in those sections at most. Out: the right to write its scores and
//! its submission anew, and the record of that in the manifest. Before the first file changes the manifest says `reopened`,
//! so that one who is killed in between leaves a run that the same command mends. Computes no score and trains nothing.

use std::path::{Path, PathBuf};

use super::folder::{self, Standing};
use super::lock::Lock;
use super::manifest::{Identity, Manifest, Outcome, State};
use super::names::{CONFIG, ModelName};
use crate::atomic;
use crate::config::{Experiment, Settings};
use crate::error::{Error, Result};

/// A folder that this process alone writes into.
pub struct Reopened {
    path: PathBuf,
    manifest: Manifest,
    outcome: Outcome,
    lost: Vec<String>,
    _lock: Lock,
}

/// What was found under the lock.
pub enum Taken {
    /// Another process has been here.
    Done(Outcome),
    /// Work to do.
    Reopened(Box<Reopened>),
}

impl Reopened {
    /// Takes the folder at `path`.
    ///
    /// # Errors
    /// [`Error::Refused`] where another process is at work in it; those of [`folder::look`].
    pub fn take(path: &Path, experiment: &Experiment, identity: &Identity) -> Result<Taken> {
        let lock = Lock::take(path)?;
        let gone = || {
            let message = format!("{} holds no run that is done any more", path.display());
            Error::refused(message).with_hint("run the same command again")
        };
        let lost = match folder::look(path, experiment, identity)? {
            Standing::Done(outcome) => return Ok(Taken::Done(outcome)),
            Standing::Free => return Err(gone()),
            Standing::Outdated { lost, .. } => lost,
        };
        let manifest = Manifest::read(path)?.ok_or_else(gone)?;
        let outcome = manifest.result.clone().ok_or_else(gone)?;
        Ok(Taken::Reopened(Box::new(Self {
            path: path.to_owned(),
            manifest,
            outcome,
            lost,
            _lock: lock,
        })))
    }

    /// The figures of the run as it stands.
    pub fn outcome(&self) -> &Outcome {
        &self.outcome
    }

    /// What has become of files of the submission that are not as the run has written them, a line each.
    pub fn lost(&self) -> &[String] {
        &self.lost
    }

    /// Whether the stored scores are those of the experiment's `[predict]`.
    pub fn has_scores_of(&self, experiment: &Experiment) -> bool {
        self.manifest.predict.as_ref() == Some(&experiment.predict)
    }

    /// Records that submission, and scores unless they are kept, are no longer those of the run.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn begin(&mut self, keeps_scores: bool) -> Result<()> {
        self.manifest.state = State::Reopened;
        self.manifest.identity.submit_sha256 = String::new();
        if !keeps_scores {
            self.manifest.predict = None;
        }
        self.manifest.write(&self.path)
    }

    /// Records what has been written for `experiment`, whose identity is `identity`, and the outcome. The run is done when
    /// this returns.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn finish(
        mut self,
        (experiment, identity): (&Experiment, Identity),
        models: &[ModelName],
        outcome: Outcome,
    ) -> Result<()> {
        atomic::write(&self.path.join(CONFIG), experiment.to_toml()?.as_bytes())?;
        self.manifest.identity = identity;
        self.manifest.predict = Some(experiment.predict.clone());
        folder::close(&self.path, self.manifest, models, outcome)
    }
}
