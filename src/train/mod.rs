//! The training loop, its optimiser and schedule, and prediction.
//!
//! In: a model, encoded pairs and [`TrainOptions`]. Out: the model at its best epoch and a [`FitReport`]. Speaks
//! only through [`Watch`]; does not read configuration, and writes no file but checkpoints ([`resume`]).

mod fit;
mod optimiser;
mod predict;
pub mod resume;
mod schedule;

use serde::{Deserialize, Serialize};

use crate::data::EncodedExample;
use crate::error::Result;
use crate::model::Bert;
use crate::objective::pet::PetLoss;
use crate::random::Key;

pub use fit::fit;
pub use optimiser::{AdamWOptions, Optimiser};
pub use predict::{PREDICT_ROWS, predict};
use resume::Snapshot;
pub use schedule::{Schedule, learning_rate_at, total_steps};

/// What the loop needs to know.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainOptions {
    /// Passes over the training rows, at least 1.
    pub epochs: usize,
    /// Stops after so many steps; 0 = no limit.
    pub max_steps: usize,
    /// Rows a step, at least 1.
    pub batch: usize,
    /// At the top of the schedule.
    pub learning_rate: f64,
    /// Steps over which the rate rises from 0.
    pub warmup_steps: usize,
    /// How the rate falls after that.
    pub schedule: Schedule,
    /// Decoupled decay of matrices.
    pub weight_decay: f64,
    /// Rate for hidden states and attention probabilities, in 0..1.
    pub dropout: f64,
    /// Largest norm of all gradients together; 0 = no clipping.
    pub clip: f64,
    /// Share of tokens that become MLM targets, in 0..1.
    pub mask: f64,
    /// Validation scores are means over both orders of the sentences.
    pub predict_swap: bool,
    /// Root of all random streams of this fit.
    pub key: Key,
}

impl TrainOptions {
    fn adamw(&self) -> AdamWOptions {
        AdamWOptions {
            weight_decay: self.weight_decay,
            clip: self.clip,
            layer_decay: 1.0,
        }
    }
}

/// Rows of a fit.
#[derive(Debug, Clone, Copy)]
pub struct TrainingData<'a> {
    /// Labelled rows and, without a label, those that only join the MLM.
    pub train: &'a [EncodedExample],
    /// Labelled rows that are held out; may be empty.
    pub valid: &'a [EncodedExample],
}

/// One step, as the watcher sees it.
#[derive(Debug, Clone, Copy)]
pub struct StepReport {
    /// From 1.
    pub epoch: usize,
    /// From 1, over all epochs.
    pub step: usize,
    /// Of the whole fit.
    pub total_steps: usize,
    /// Mean over the batch's targets.
    pub loss: f64,
    /// Of this step.
    pub learning_rate: f64,
    /// Norm of all gradients, before clipping.
    pub gradient_norm: f64,
    /// Tokens of the batch, `[CLS]` and `[SEP]` included.
    pub tokens: usize,
}

/// Losses of an epoch, as they add up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct LossSums {
    /// Over masked tokens.
    pub mlm: f64,
    /// Masked tokens.
    pub n_mlm: usize,
    /// Over labels.
    pub label: f64,
    /// Labels.
    pub n_labels: usize,
}

impl LossSums {
    fn add(&mut self, loss: &PetLoss) {
        self.mlm += loss.mlm_sum;
        self.n_mlm += loss.n_mlm;
        self.label += loss.label_sum;
        self.n_labels += loss.n_labels;
    }
}

/// One epoch: a line of `metrics.jsonl`. Losses are means over the epoch's targets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EpochReport {
    /// From 1.
    pub epoch: usize,
    /// Steps so far, over all epochs.
    pub steps: usize,
    /// Over labels and masked tokens together.
    pub loss: f64,
    /// Over masked tokens; 0 where there was none.
    pub mlm_loss: f64,
    /// Over labels; 0 where there was none.
    pub label_loss: f64,
    /// Of the last step.
    pub learning_rate: f64,
    /// Area under the ROC curve of the validation rows, if there are both classes.
    pub valid_auc: Option<f64>,
    /// Training and validation of this epoch.
    pub seconds: f64,
    /// Of training in this epoch.
    pub tokens_per_second: f64,
}

/// The whole fit.
#[derive(Debug, Clone)]
pub struct FitReport {
    /// One entry an epoch.
    pub epochs: Vec<EpochReport>,
    /// Whose weights the model has now, from 1.
    pub best_epoch: usize,
    /// Its validation AUC.
    pub best_auc: Option<f64>,
    /// Steps done.
    pub steps: usize,
    /// Training only; the first ten steps (or the first third of a shorter run) are not timed.
    pub tokens_per_second: f64,
    /// Wall time of the fit before it was resumed; 0 where it was not.
    pub earlier_seconds: f64,
    /// Scores of the validation rows at the best epoch.
    pub valid_scores: Vec<f32>,
}

/// Looks on, and may end the fit by returning an error. Where that is [`crate::error::Error::Interrupted`], the
/// state is saved first.
pub trait Watch {
    /// After each step.
    fn step(&mut self, report: &StepReport) -> Result<()>;
    /// `n` more validation rows are scored.
    fn validated(&mut self, n: usize) -> Result<()>;
    /// After each epoch's validation. `best`: the model as it is now is the best so far.
    fn epoch(&mut self, report: &EpochReport, model: &Bert, best: bool) -> Result<()>;
    /// Whether it is time to save, asked after each step and each epoch.
    fn wants_save(&mut self) -> bool;
    /// Keeps a state from which [`fit`] can go on. Called too when the fit is over.
    fn save(&mut self, state: &Snapshot) -> Result<()>;
}
