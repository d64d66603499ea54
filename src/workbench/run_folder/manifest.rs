//! `manifest.json`: what went into a run, what came out, on what machine.
//!
//! A run is known by its [`Identity`] alone: its settings and the content of its inputs, wherever they lie. `[predict]` and
//! `[submit]` are no part of that: they say what is made of a model, and the manifest tells what they said. Everything else (times, threads, processor) is only told.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::done::FoldOutcome;
use super::names::{CHANGED_HINT, MANIFEST};
use super::stage_cost::StageCost;
use crate::align::GraphReport;
use crate::atomic;
use crate::config::{Experiment, PredictConfig};
use crate::data::folds::{Assign, Shares};
use crate::data::{Task, source};
use crate::error::{Error, Place, Result};
use crate::hash::{sha256, sha256_of_file};
use crate::kernels;
use crate::metrics::ValidFigures;
use crate::metrics::baseline::Baseline;
use crate::workbench::{count, machine};

/// The tool and its version, as every record names it.
pub const TOOL: &str = concat!("cipherpet ", env!("CARGO_PKG_VERSION"));

/// What makes two runs the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// SHA-256 of the settings that change a model, and of the key and content of every input that does; paths take no part.
    pub config_sha256: String,
    /// Every file the run reads.
    pub inputs: Vec<FileRecord>,
    /// SHA-256 of `[submit]` and of its sample: what the submission looks like. Another one is another submission of the same
    /// run. Empty while the submission is written anew, and in manifests of earlier versions.
    #[serde(default)]
    pub submit_sha256: String,
}

/// A file as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRecord {
    /// For inputs the config key that names it, for outputs `output`.
    pub key: String,
    /// Inputs: absolute or `demo:`. Outputs: inside the run folder.
    pub path: PathBuf,
    /// Size.
    pub bytes: u64,
    /// 64 hexadecimal digits.
    pub sha256: String,
}

/// How far a run has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It has not ended, or was cut.
    Begun,
    /// The models are there; scores or submission are written anew, for other settings.
    Reopened,
    /// Everything is written.
    Done,
}

/// The figures of a run that is done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// What the validation rows say of the best epoch; with folds, what the out-of-fold scores say.
    #[serde(flatten)]
    pub valid: ValidFigures,
    /// Counted from 1; none with folds, each of which has its own.
    pub best_epoch: Option<usize>,
    /// Epochs trained, with folds the most of one.
    pub epochs: usize,
    /// Optimiser steps, of all folds.
    pub steps: usize,
    /// Wall time of the whole run, without the stages that it shares with others; with folds the sum of theirs.
    pub seconds: f64,
    /// Training only, the first 10 steps not timed; there is no padding to count.
    pub tokens_per_second: f64,
    /// What the stages cost that it shares with others; none where there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared_stage: Option<Box<StageCost>>,
    /// Most memory held; none where the system does not tell.
    pub peak_rss_bytes: Option<u64>,
    /// The run has a submission.
    pub submission: bool,
    /// What a method without learning reaches on the same rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<Baseline>,
    /// What a run of folds has besides.
    #[serde(flatten, default, skip_serializing_if = "Option::is_none")]
    pub cross_validation: Option<Box<CrossValidation>>,
}

/// The figures of a run of folds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CrossValidation {
    /// One entry a fold, in order.
    pub folds: Vec<FoldOutcome>,
    /// The fit on all rows, if there is one.
    pub full: Option<FoldOutcome>,
    /// The metric of the run for the out-of-fold scores.
    #[serde(default)]
    pub oof_score: Option<f64>,
    /// Lower end of its interval (bootstrap over rows, 95 %).
    #[serde(default)]
    pub oof_score_low: Option<f64>,
    /// Upper end.
    #[serde(default)]
    pub oof_score_high: Option<f64>,
    /// Mean of the folds' scores.
    #[serde(default)]
    pub fold_score_mean: Option<f64>,
    /// Their sample standard deviation; none for one fold.
    #[serde(default)]
    pub fold_score_sd: Option<f64>,
    /// AUC of the out-of-fold scores, for binary labels; so are the following.
    pub oof_auc: Option<f64>,
    /// Lower end of its interval (bootstrap over rows, 95 %).
    pub oof_auc_low: Option<f64>,
    /// Upper end.
    pub oof_auc_high: Option<f64>,
    /// Mean of the folds' AUC.
    pub fold_auc_mean: Option<f64>,
    /// Their sample standard deviation; none for one fold.
    pub fold_auc_sd: Option<f64>,
    /// What shared sentences do to the estimate.
    pub leakage: Leakage,
}

/// Row-wise against grouped: how much of an AUC may come from sentences that stand on both sides of a fold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Leakage {
    /// How the rows were dealt; never `auto`.
    pub assign: Assign,
    /// Out-of-fold AUC over all rows where they were dealt one by one; unknown by `group`.
    pub row_auc: Option<f64>,
    /// The metric of the run for the same rows.
    #[serde(default)]
    pub row_score: Option<f64>,
    /// All labelled rows.
    pub row_rows: usize,
    /// Out-of-fold AUC over the rows none of whose sentences was in the training part of their fold.
    pub grouped_auc: Option<f64>,
    /// The metric of the run for the same rows.
    #[serde(default)]
    pub grouped_score: Option<f64>,
    /// Their number; all rows by `group`.
    pub grouped_rows: usize,
    /// Which shares of rows have a sentence in common with others.
    pub shares: Shares,
}

/// The whole manifest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// `cipherpet` and its version.
    pub tool: String,
    /// How far the run has come.
    pub state: State,
    /// What makes it this run.
    #[serde(flatten)]
    pub identity: Identity,
    /// Texts of a row, kind of its label, and the classes in the order of their scores.
    #[serde(default = "Task::binary_pairs")]
    pub task: Task,
    /// How the stored scores of rows came about; null while they are made anew.
    #[serde(default = "default_predict")]
    pub predict: Option<PredictConfig>,
    /// Root of all random streams.
    pub seed: u64,
    /// Threads it ran on; they change no byte of a result.
    pub threads: usize,
    /// The kernels in use: results are the same bytes on one path only.
    pub kernel_path: String,
    /// The processor's name.
    pub cpu: String,
    /// Corpora that the counts were made from, as `cipherpet count` recorded them; null where unknown.
    pub corpora: serde_json::Value,
    /// Cipher ids beyond the last counted plaintext token, which share a plaintext row with others.
    pub wrapped_ids: usize,
    /// What is known of the alignment, for methods that know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alignment: Option<Box<GraphReport>>,
    /// Of `mapping.tsv`, 64 hexadecimal digits: whoever goes on takes up no other. None in runs of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mapping_sha256: Option<String>,
    /// Every file the run has written, except this one.
    pub outputs: Vec<FileRecord>,
    /// Present once the run is done.
    pub result: Option<Outcome>,
}

/// Runs of earlier versions that said something else are other runs by their hash.
fn default_predict() -> Option<PredictConfig> {
    Some(PredictConfig::default())
}

/// The input that is the sample of the organisers.
const SAMPLE: &str = "submit.like";

impl Identity {
    /// Hashes a resolved config and every file it names.
    ///
    /// # Errors
    /// [`Error::Io`] where a file cannot be read.
    pub fn of(experiment: &Experiment) -> Result<Self> {
        let inputs = experiment.inputs();
        let inputs = inputs
            .iter()
            .map(|(key, path)| FileRecord::of(key, path, path));
        Self::new(experiment, inputs.collect::<Result<_>>()?)
    }

    /// As [`Identity::of`], of inputs whose hashes are known.
    ///
    /// # Errors
    /// [`Error::Refused`] where a path of the config is not UTF-8.
    pub fn new(experiment: &Experiment, inputs: Vec<FileRecord>) -> Result<Self> {
        let with_inputs = |settings: String, is_counted: &dyn Fn(&FileRecord) -> bool| {
            let inputs = inputs.iter().filter(|input| is_counted(input));
            let lines = inputs.map(|input| format!("\n{} {}", input.key, input.sha256));
            sha256(settings + &lines.collect::<String>())
        };
        Ok(Self {
            config_sha256: with_inputs(experiment.sha256()?, &|input| !input.is_sample()),
            submit_sha256: with_inputs(experiment.submit_sha256()?, &FileRecord::is_sample),
            inputs,
        })
    }

    /// The files that a model depends on.
    pub fn inputs_of_models(&self) -> Vec<&FileRecord> {
        let inputs = self.inputs.iter();
        inputs.filter(|input| !input.is_sample()).collect()
    }

    /// Whether both are the same run, their files under the same paths or under others.
    pub fn is_same(&self, other: &Self) -> bool {
        let (here, there) = (self.inputs_of_models(), other.inputs_of_models());
        let same_inputs = here.len() == there.len()
            && (here.iter().zip(&there)).all(|(a, b)| a.has_content_of(b));
        self.config_sha256 == other.config_sha256 && same_inputs
    }
}

impl FileRecord {
    /// Hashes the file at `at` and records it under `name`.
    ///
    /// # Errors
    /// [`Error::Io`] where the file cannot be read.
    pub fn of(key: &str, at: &Path, name: &Path) -> Result<Self> {
        let (bytes, sha256) = if source::is_embedded(at) || source::is_pipe(at) {
            let content = source::stored(at)?;
            (content.len() as u64, sha256(&content))
        } else {
            sha256_of_file(at)?
        };
        Ok(Self {
            key: key.to_owned(),
            path: name.to_owned(),
            bytes,
            sha256,
        })
    }

    fn is_sample(&self) -> bool {
        self.key == SAMPLE
    }

    /// Whether the file that this output of the run `run` records is there, and with what it was written with.
    ///
    /// # Errors
    /// [`Error::Io`] where it is there and cannot be read.
    pub fn is_as_written(&self, run: &Path) -> Result<bool> {
        let at = run.join(&self.path);
        Ok(at.is_file() && Self::of(&self.key, &at, &self.path)?.has_content_of(self))
    }

    /// The same content under the same key; the path may be another.
    pub fn has_content_of(&self, other: &Self) -> bool {
        (&self.key, self.bytes, &self.sha256) == (&other.key, other.bytes, &other.sha256)
    }
}

impl Manifest {
    /// The manifest of a run that begins now.
    pub fn begin(identity: Identity, experiment: &Experiment) -> Self {
        let counts = experiment.align.counts_to_read();
        Self {
            tool: TOOL.to_owned(),
            state: State::Begun,
            identity,
            task: Task::binary_pairs(),
            predict: Some(experiment.predict.clone()),
            seed: experiment.seed,
            threads: rayon::current_num_threads(),
            kernel_path: kernels::path::Path::resolve(experiment.train.precision)
                .name()
                .to_owned(),
            cpu: machine::cpu(),
            corpora: counts.map_or(serde_json::Value::Null, count::recorded_corpora),
            wrapped_ids: 0,
            alignment: None,
            mapping_sha256: None,
            outputs: Vec::new(),
            result: None,
        }
    }

    /// Reads the manifest of a run folder; `None` where there is none.
    ///
    /// # Errors
    /// [`Error::Io`] where it cannot be read, [`Error::Input`] where it is no manifest.
    pub fn read(folder: &Path) -> Result<Option<Self>> {
        let path = folder.join(MANIFEST);
        let text = match std::fs::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            read => read.map_err(Error::io("read", &path))?,
        };
        let manifest = serde_json::from_slice(&text).map_err(|error| {
            let place = Place::line(&path, error.line() as u64);
            Error::input(place, "the manifest of a run", error).with_hint(CHANGED_HINT)
        })?;
        Ok(Some(manifest))
    }

    /// Writes the manifest into a run folder.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn write(&self, folder: &Path) -> Result<()> {
        atomic::write(&folder.join(MANIFEST), self.text()?.as_bytes())
    }

    /// Writes the manifest into a run folder that has none; leaves the one that is there.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn write_new(&self, folder: &Path) -> Result<()> {
        atomic::write_new(&folder.join(MANIFEST), self.text()?.as_bytes()).map(drop)
    }

    fn text(&self) -> Result<String> {
        let mut text = serde_json::to_string_pretty(self)
            .map_err(|error| Error::Unexpected(format!("manifest as JSON: {error}")))?;
        text.push('\n');
        Ok(text)
    }
}
