//! Checkpoints of a fit: its whole state to disk and back, so that a fit that was cut goes on as if it had not been.
//!
//! In: a [`Snapshot`] between two steps. Out, in a folder that holds nothing else: `N.safetensors` with weights,
//! Adam moments and the best epoch's weights and scores, then `N.json` with the numbers and the hashes of both;
//! `N` counts up, and the last two are kept. A file that is not what was written is passed over for the one
//! before. Random streams need no saving: each is a function of seed, epoch and step ([`crate::random`]).
//! Does not decide when to save, and never starts over by itself.

mod tensors;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::average::Average;
use super::{CurvePoint, EpochReport, LossSums};
use crate::atomic;
use crate::checkpoint::Weights;
use crate::data::Scores;
use crate::error::{Error, Place, Result};
use crate::hash::{sha256, sha256_of_file};
use crate::model::{Bert, Moments};

/// Checkpoints that are kept: the newest, and one to fall back to.
const KEPT: usize = 2;

/// Where a fit stands.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct FitProgress {
    /// Number of the stage under way, from 0.
    pub stage: usize,
    /// Steps of this stage that are done.
    pub step: usize,
    /// Of these, steps of the epoch under way: the place in its order of rows. 0 once its report is made.
    pub epoch_step: usize,
    /// Losses of the epoch under way.
    pub sums: LossSums,
    /// Points of the epoch under way, and the losses since the last of them.
    #[serde(default)]
    pub curve: (Vec<CurvePoint>, LossSums),
    /// Epochs that are over: the lines of `metrics.jsonl`.
    pub epochs: Vec<EpochReport>,
    /// How many of them are of earlier stages.
    pub epochs_before: usize,
    /// The best of those of this stage, from 1 over all stages.
    pub best_epoch: Option<usize>,
    /// Weights in the average of this stage; 0 where there is none.
    #[serde(default, skip_serializing_if = "is_none")]
    pub averaged: u64,
    /// What is known of the speed.
    pub clock: Clock,
    /// Wall time of the fit.
    pub seconds: f64,
    /// Wall time of the epoch under way.
    pub epoch_seconds: f64,
}

fn is_none(averaged: &u64) -> bool {
    *averaged == 0
}

/// Tokens and time of training steps, the first few left out.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Clock {
    /// Steps still to be left out.
    pub skip: usize,
    /// Tokens and time of all epochs.
    pub total: (usize, Duration),
    /// Tokens and time of the epoch under way.
    pub epoch: (usize, Duration),
}

/// What the best epoch has left.
#[derive(Debug, Clone, PartialEq)]
pub struct Best {
    /// Scores of the validation rows.
    pub valid_scores: Scores,
    /// `None` while the model still has them.
    pub weights: Option<Weights>,
}

/// The state of a fit between two steps, as it is saved.
#[derive(Debug, Clone, Copy)]
pub struct Snapshot<'a> {
    /// The numbers.
    pub progress: &'a FitProgress,
    /// The model as it is now.
    pub model: &'a Bert,
    /// Of the optimiser.
    pub moments: &'a Moments,
    /// None before the end of the first epoch.
    pub best: Option<&'a Best>,
    /// Of the weights of this stage, where it has one and it has begun.
    pub average: Option<&'a Average>,
}

/// The state of a fit, as it was read.
#[derive(Debug, Clone, PartialEq)]
pub struct FitState {
    /// The numbers.
    pub progress: FitProgress,
    /// The model as it was.
    pub weights: Weights,
    /// Of the optimiser.
    pub moments: Moments,
    /// None before the end of the first epoch.
    pub best: Option<Best>,
    /// Of the weights of this stage, where it has one and it has begun.
    pub average: Option<Average>,
}

/// What a checkpoint's bytes depend on besides config and inputs. Another origin cannot go on with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// `cipherpet` and its version.
    pub tool: String,
    /// The name of the model's [`crate::kernels::path::Path`].
    pub kernel_path: String,
}

/// The checkpoints of one fit.
#[derive(Debug)]
pub struct Checkpoints {
    folder: PathBuf,
    origin: Origin,
    /// Whole ones, by rising number.
    numbers: Vec<u64>,
    next: u64,
}

/// `N.json`.
#[derive(Serialize, Deserialize)]
struct Record {
    /// Of `content` as JSON without spaces.
    sha256: String,
    content: Content,
}

#[derive(Serialize, Deserialize)]
struct Content {
    origin: Origin,
    tensors_sha256: String,
    optimiser_steps: u64,
    progress: FitProgress,
}

impl Checkpoints {
    /// The checkpoints in `folder`, which need not be there. What a killed process left half-written in it is
    /// removed. The caller holds the lock.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn open(folder: &Path, origin: Origin) -> Result<Self> {
        let mut numbers = Vec::new();
        let mut others = Vec::new();
        for path in files(folder)? {
            match number_of(&path, "json") {
                Some(number) => numbers.push(number),
                None => others.push(path),
            }
        }
        numbers.sort_unstable();
        for path in others {
            let complete = |number| numbers.binary_search(&number).is_ok();
            // A folder is not ours: notebooks leave `.ipynb_checkpoints` wherever they open a file.
            if !number_of(&path, "safetensors").is_some_and(complete) && !path.is_dir() {
                std::fs::remove_file(&path).map_err(Error::io("remove", &path))?;
            }
        }
        let next = numbers.last().map_or(1, |last| last + 1);
        Ok(Self {
            folder: folder.to_owned(),
            origin,
            numbers,
            next,
        })
    }

    /// Saves a state, and removes all but the last two.
    ///
    /// # Errors
    /// [`Error::Io`]; what was saved before is untouched then, and no file of the new one is left.
    pub fn save(&mut self, snapshot: &Snapshot) -> Result<()> {
        std::fs::create_dir_all(&self.folder).map_err(Error::io("create", &self.folder))?;
        let number = self.next;
        if let Err(error) = self.write(number, snapshot) {
            let _ = std::fs::remove_file(self.path(number, "safetensors")); // the error says enough
            return Err(error);
        }
        self.next += 1;
        self.numbers.push(number);
        while self.numbers.len() > KEPT {
            let oldest = self.numbers[0];
            self.remove(oldest)?;
        }
        Ok(())
    }

    /// The newest state that is whole, and what was wrong with those after it, which are removed.
    ///
    /// # Errors
    /// [`Error::Refused`] where it is of another [`Origin`]; [`Error::Io`].
    pub fn newest(&mut self) -> Result<(Option<FitState>, Vec<String>)> {
        let mut faults = Vec::new();
        while let Some(&number) = self.numbers.last() {
            match self.read(number) {
                Ok(state) => return Ok((Some(state), faults)),
                Err(fault @ Error::Input { .. }) => faults.push(fault.to_string()),
                Err(error) => return Err(error),
            }
            self.remove(number)?;
        }
        Ok((None, faults))
    }

    /// Removes all of them and the folder.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn remove_all(folder: &Path) -> Result<()> {
        match std::fs::remove_dir_all(folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            removed => removed.map_err(Error::io("remove", folder)),
        }
    }

    /// Whether a folder holds a checkpoint, whole or not.
    pub fn are_in(folder: &Path) -> bool {
        files(folder).is_ok_and(|paths| paths.iter().any(|path| number_of(path, "json").is_some()))
    }

    fn path(&self, number: u64, extension: &str) -> PathBuf {
        self.folder.join(format!("{number}.{extension}"))
    }

    /// The numbers last: a checkpoint without them was never finished.
    fn write(&self, number: u64, snapshot: &Snapshot) -> Result<()> {
        let path = self.path(number, "safetensors");
        tensors::write(snapshot, &path)?;
        let file = File::open(&path).map_err(Error::io("read", &path))?;
        file.sync_all().map_err(Error::io("write", &path))?;
        let content = Content {
            origin: self.origin.clone(),
            tensors_sha256: sha256_of_file(&path)?.1,
            optimiser_steps: snapshot.moments.steps(),
            progress: snapshot.progress.clone(),
        };
        let record = Record {
            sha256: content.sha256()?,
            content,
        };
        let json = serde_json::to_vec_pretty(&record).map_err(not_json)?;
        atomic::write(&self.path(number, "json"), &json)
    }

    /// # Errors
    /// [`Error::Input`] where the files are not what was written.
    fn read(&self, number: u64) -> Result<FitState> {
        let path = self.path(number, "json");
        let changed = |path: &Path, found: String| {
            Error::input(Place::file(path), "a checkpoint as it was written", found)
        };
        let text = std::fs::read(&path).map_err(Error::io("read", &path))?;
        let record: Record = serde_json::from_slice(&text)
            .map_err(|error| changed(&path, format!("no such JSON ({error})")))?;
        if record.content.sha256()? != record.sha256 {
            return Err(changed(&path, "another hash".to_owned()));
        }
        let content = record.content;
        self.require_origin(&path, &content.origin)?;

        let path = self.path(number, "safetensors");
        if !path.exists() {
            return Err(changed(&path, "no file".to_owned()));
        }
        if sha256_of_file(&path)?.1 != content.tensors_sha256 {
            return Err(changed(&path, "another hash".to_owned()));
        }
        tensors::read(&path, content.progress, content.optimiser_steps)
    }

    fn require_origin(&self, path: &Path, found: &Origin) -> Result<()> {
        let (made, here, way_out) = if found.kernel_path != self.origin.kernel_path {
            (
                format!("with the kernels `{}`", found.kernel_path),
                &self.origin.kernel_path,
                "go on on a machine like the first, or start over in another folder with --out; \
                 `train.precision = \"f32\"` is there on every machine, but its last bits too depend on the instruction set",
            )
        } else if found.tool != self.origin.tool {
            (
                format!("by `{}`", found.tool),
                &self.origin.tool,
                "go on with that version, or start over in another folder with --out",
            )
        } else {
            return Ok(());
        };
        let message = format!(
            "{} was made {made}, here is `{here}`: the result would be like neither of the two",
            path.display()
        );
        Err(Error::refused(message).with_hint(way_out))
    }

    fn remove(&mut self, number: u64) -> Result<()> {
        self.numbers.retain(|&other| other != number);
        // The numbers first: without them the tensors do not count.
        for extension in ["json", "safetensors"] {
            let path = self.path(number, extension);
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                removed => removed.map_err(Error::io("remove", &path))?,
            }
        }
        Ok(())
    }
}

impl Content {
    fn sha256(&self) -> Result<String> {
        let json = serde_json::to_vec(self).map_err(not_json)?;
        Ok(sha256(json))
    }
}

fn not_json(error: serde_json::Error) -> Error {
    Error::Unexpected(format!("checkpoint as JSON: {error}"))
}

/// Files in a folder, in no order; none where there is no folder.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(Error::io("read", folder))?,
    };
    let paths = entries.map(|entry| entry.map(|entry| entry.path()));
    let paths: std::io::Result<_> = paths.collect();
    paths.map_err(Error::io("read", folder))
}

/// 12 for `…/12.json`.
fn number_of(path: &Path, extension: &str) -> Option<u64> {
    let name = path.file_name()?.to_str()?;
    let (number, found) = name.split_once('.')?;
    number.parse().ok().filter(|_| found == extension)
}

#[cfg(test)]
mod tests;
