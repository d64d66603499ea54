//! The training loop, its optimiser and schedule, and prediction.
//!
//! In: a model and a [`FitPlan`], stage after stage. Out: the model at its best epoch and a [`FitReport`]. Speaks
//! only through [`Watch`]; does not read configuration, and writes no file but checkpoints ([`resume`]).

pub mod average;
mod fit;
mod held_out;
mod optimiser;
mod predict;
pub mod resume;
mod schedule;
pub mod step;

use std::collections::BTreeMap;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::data::{EncodedExample, LabelKind, Masking, Scores};
use crate::error::Result;
use crate::metrics::{MetricName, ValidFigures};
use crate::model::Bert;
use crate::objective::{LossPart, LossReport, Objective, ObjectiveName};
use crate::random::Key;

use average::AverageKind;
pub use fit::{check_stages, fit, warm_steps};
pub use held_out::HeldOut;
pub use optimiser::{AdamWOptions, Optimiser};
pub use predict::{PREDICT_ROWS, predict};
use resume::{FitProgress, Snapshot};
pub use schedule::{
    Schedule, begun_epochs, epochs_of, learning_rate_at, peak_learning_rate, steps_of_epoch,
    total_steps, warmup_steps,
};
use step::Adversarial;

/// How one stage learns.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TrainOptions {
    /// Passes over the rows, at least 1.
    pub epochs: usize,
    /// Fewer passes where these would see more rows, one at least; 0 = no limit.
    pub max_rows: usize,
    /// Stops after so many steps; 0 = no limit.
    pub max_steps: usize,
    /// Rows a step, at least 1.
    pub batch: usize,
    /// At the top of the schedule.
    pub learning_rate: f64,
    /// Steps over which the rate rises from 0; below 1 a share of all steps.
    pub warmup_steps: f64,
    /// How the rate falls after that.
    pub schedule: Schedule,
    /// Decoupled decay of matrices.
    pub weight_decay: f64,
    /// Rate for hidden states and attention probabilities, in 0..1.
    pub dropout: f64,
    /// Largest norm of all gradients together; 0 = no clipping.
    pub clip: f64,
    /// Factor of the rate from one layer to the next one below, in 0..=1; 1 = one rate for all.
    pub layer_decay: f64,
    /// Whether the two texts of a row change places, half of the time.
    pub swap: bool,
    /// Batches a step of the optimiser, at least 1.
    pub gradient_accumulation: usize,
    /// Moves of the word embeddings to learn against.
    pub adversarial: Adversarial,
    /// How far they go, over the whole table; above 0.
    pub adversarial_epsilon: f64,
    /// How many there are with [`Adversarial::Pgd`], at least 1.
    pub adversarial_steps: usize,
    /// Weight of the R-Drop term in the whole loss, 0 or more; what that is beside the labels is said in [`step::r_drop`].
    pub r_drop: f64,
    /// Dropout masks on the state that says the label, at least 1 ([`step::dropout_samples`]).
    pub dropout_samples: usize,
    /// Certainty that a label loses, in 0..1 ([`step::label_smoothing`]).
    pub label_smoothing: f64,
    /// Which weights are validated and kept.
    pub average: AverageKind,
    /// Of [`AverageKind::Ema`], in 0..1.
    pub average_decay: f64,
    /// Of [`AverageKind::Swa`]: how many of the last epochs count, at least 1.
    pub average_epochs: usize,
}

impl Default for TrainOptions {
    /// A plain recipe of three epochs for small models.
    fn default() -> Self {
        Self {
            epochs: 3,
            max_rows: 0,
            max_steps: 0,
            batch: 64,
            learning_rate: 3e-4,
            warmup_steps: 0.1,
            schedule: Schedule::Linear,
            weight_decay: 0.01,
            dropout: 0.1,
            clip: 1.0,
            layer_decay: 1.0,
            swap: true,
            gradient_accumulation: 1,
            adversarial: Adversarial::None,
            adversarial_epsilon: 0.5,
            adversarial_steps: 3,
            r_drop: 0.0,
            dropout_samples: 1,
            label_smoothing: 0.0,
            average: AverageKind::None,
            average_decay: 0.999,
            average_epochs: 5,
        }
    }
}

impl TrainOptions {
    /// Rows of a whole step of the optimiser.
    pub fn rows_of_step(&self) -> usize {
        self.batch * self.gradient_accumulation
    }

    /// Those of the optimiser.
    pub fn adamw(&self) -> AdamWOptions {
        AdamWOptions {
            weight_decay: self.weight_decay,
            clip: self.clip,
            layer_decay: self.layer_decay,
        }
    }
}

/// One stage of a fit: an objective, and the rows it learns from.
#[derive(Debug)]
pub struct Stage {
    /// As the user calls it.
    pub name: String,
    /// What is learnt.
    pub objective: Box<dyn Objective>,
    /// Its name.
    pub objective_name: ObjectiveName,
    /// Rows that the objective learns from.
    pub rows: Vec<EncodedExample>,
    /// Which tokens become MLM targets, a share in 0..1.
    pub masking: Masking,
    /// How.
    pub options: TrainOptions,
    /// Root of all random streams of the stage.
    pub key: Key,
    /// What the stage is judged by beside labels, where that is asked for.
    pub held_out: Option<HeldOut>,
}

impl Stage {
    /// Tokens that the network reads in an epoch, `[CLS]` and `[SEP]` included: those of a labelled row as often as it stands in a batch.
    fn n_tokens(&self) -> usize {
        let extra = step::extra_copies(&self.options);
        let copies = |row: &EncodedExample| match self.objective.uses(&row.target) {
            true => 1 + extra,
            false => 1,
        };
        let rows = self.rows.iter();
        rows.map(|row| copies(row) * self.objective.n_tokens(row))
            .sum()
    }
}

/// A whole fit.
#[derive(Debug)]
pub struct FitPlan<'a> {
    /// One or more, in order.
    pub stages: &'a [Stage],
    /// Labelled rows that are held out; may be empty.
    pub valid: &'a [EncodedExample],
    /// Kind of their labels.
    pub labels: LabelKind,
    /// What decides which epoch is the best.
    pub metric: MetricName,
    /// Validation scores are means over both orders of the texts.
    pub predict_swap: bool,
    /// Rows of the vocabulary that a hidden token may be replaced by.
    pub cipher_rows: Range<u32>,
}

impl FitPlan<'_> {
    /// Steps of each stage.
    pub fn totals(&self) -> Vec<usize> {
        let steps = |stage: &Stage| total_steps(stage.rows.len(), &stage.options);
        self.stages.iter().map(steps).collect()
    }

    /// Steps that are done where a fit has come so far, over all stages.
    pub fn steps_done(&self, progress: &FitProgress) -> usize {
        let before = &self.totals()[..progress.stage.min(self.stages.len())];
        before.iter().sum::<usize>() + progress.step
    }
}

/// One step, as the watcher sees it.
#[derive(Debug, Clone, Copy)]
pub struct StepReport {
    /// Number of the stage, from 0.
    pub stage: usize,
    /// From 1, over all stages.
    pub epoch: usize,
    /// From 1, over all stages.
    pub step: usize,
    /// Of the batch.
    pub loss: f64,
    /// Of this step.
    pub learning_rate: f64,
    /// Norm of all gradients, before clipping.
    pub gradient_norm: f64,
    /// Tokens that the network reads, `[CLS]` and `[SEP]` included.
    pub tokens: usize,
}

/// An epoch, before its first step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EpochCost {
    /// Number of the stage, from 0.
    pub stage: usize,
    /// From 1, over all stages.
    pub epoch: usize,
    /// Steps of the optimiser.
    pub steps: usize,
    /// Tokens that the network reads, `[CLS]` and `[SEP]` included. The time of a later stage is told by them.
    pub tokens: usize,
    /// How long it may take, by the last epoch of the same stage; none for the first.
    pub seconds: Option<f64>,
}

/// Losses of an epoch, as they add up.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LossSums {
    /// Of the batches, each times its targets.
    pub loss: f64,
    /// Targets.
    pub n: usize,
    /// By name, in the order in which they came.
    pub parts: Vec<LossPart>,
}

impl LossSums {
    fn add(&mut self, report: &LossReport, targets: usize) {
        self.loss += report.loss * targets as f64;
        self.n += targets;
        LossPart::add_all(&mut self.parts, &report.parts);
    }

    /// The mean of each part under `NAME_loss`; 0 where it had no target.
    fn means(&self) -> BTreeMap<String, f64> {
        let mean = |part: &LossPart| part.sum / part.n.max(1) as f64;
        let named = |part: &LossPart| (format!("{}_loss", part.name), mean(part));
        self.parts.iter().map(named).collect()
    }
}

/// One epoch: a line of `metrics.jsonl`. Losses are means over the epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EpochReport {
    /// Name of the stage.
    #[serde(default)]
    pub stage: String,
    /// What it learns.
    #[serde(default)]
    pub objective: ObjectiveName,
    /// From 1, over all stages.
    pub epoch: usize,
    /// Steps so far, over all stages.
    pub steps: usize,
    /// Of the whole objective.
    pub loss: f64,
    /// What the validation rows say.
    #[serde(flatten)]
    pub valid: ValidFigures,
    /// What the held-out rows of a pretraining say, by name ([`HeldOut::figures`]).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub held_out: BTreeMap<String, f64>,
    /// Of the last step.
    pub learning_rate: f64,
    /// Training and validation of this epoch.
    pub seconds: f64,
    /// Of training in this epoch.
    pub tokens_per_second: f64,
    /// About twenty points within the epoch; empty in runs of earlier versions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub curve: Vec<CurvePoint>,
    /// The parts of the loss: `mlm_loss`, `label_loss`.
    #[serde(flatten)]
    pub losses: BTreeMap<String, f64>,
}

/// Some steps of an epoch. Losses are means over the steps since the point before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// The last of the steps, from 1, over all stages.
    pub step: usize,
    /// Of the whole objective.
    pub loss: f64,
    /// Of the last of the steps.
    pub learning_rate: f64,
    /// The parts of the loss, as in [`EpochReport::losses`].
    #[serde(flatten)]
    pub losses: BTreeMap<String, f64>,
}

/// The whole fit.
#[derive(Debug, Clone)]
pub struct FitReport {
    /// One entry an epoch.
    pub epochs: Vec<EpochReport>,
    /// Whose weights the model has now, from 1, over all stages.
    pub best_epoch: usize,
    /// What the validation rows say of it.
    pub best: ValidFigures,
    /// Steps done.
    pub steps: usize,
    /// Training only; the first ten steps (or the first third of a shorter run) are not timed.
    pub tokens_per_second: f64,
    /// Wall time of the fit before it was resumed; 0 where it was not.
    pub earlier_seconds: f64,
    /// Scores of the validation rows at the best epoch; empty where the last stage gives none.
    pub valid_scores: Scores,
}

/// Looks on, and may end the fit by returning an error. Where that is [`crate::error::Error::Interrupted`], the
/// state is saved first.
pub trait Watch {
    /// Before each epoch.
    fn epoch_begins(&mut self, cost: &EpochCost);
    /// After each step.
    fn step(&mut self, report: &StepReport) -> Result<()>;
    /// `n` more validation rows are scored.
    fn validated(&mut self, n: usize) -> Result<()>;
    /// After each epoch's validation. `best`: the model as it is now is the best so far of the last stage.
    fn epoch(&mut self, report: &EpochReport, model: &Bert, best: bool) -> Result<()>;
    /// Whether it is time to save, asked after each step and each epoch.
    fn wants_save(&mut self) -> bool;
    /// Keeps a state from which [`fit`] can go on. Called too when the fit is over.
    fn save(&mut self, state: &Snapshot) -> Result<()>;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::reserved::{FIRST_CIPHER, NO, YES};
    use crate::data::{Target, TokenTypes};
    use crate::objective::{Answers, Draw, HeadChoice, ObjectiveOptions};

    /// Seven rows of different lengths; every third has no label.
    fn stage(name: ObjectiveName, r_drop: f64) -> Stage {
        let options = ObjectiveOptions {
            name,
            mlm_weight: 1.0,
            head: HeadChoice::Pooler,
            corrupt_sources: 0.0,
            candidates: None,
            choice_smoothing: 0.0,
        };
        let answers = Answers {
            labels: LabelKind::Binary,
            n_classes: 2,
            tokens: vec![NO, YES],
        };
        let row = |row: usize| EncodedExample {
            a: vec![FIRST_CIPHER; 1 + row],
            b: Some(vec![FIRST_CIPHER; 9 - row]),
            target: match row % 3 {
                0 => Target::Unknown,
                _ => true.into(),
            },
            text_numbers: None,
        };
        let mut rows: Vec<EncodedExample> = (0..7).map(row).collect();
        rows[4].b = None;
        Stage {
            name: name.name().to_owned(),
            objective: options.objective(&answers),
            objective_name: name,
            rows,
            masking: Masking::of_tokens(0.15),
            options: TrainOptions {
                r_drop,
                ..TrainOptions::default()
            },
            key: Key::from_seed(1),
            held_out: None,
        }
    }

    #[test]
    fn an_epoch_costs_the_tokens_of_its_batches() {
        use ObjectiveName::{Bce, Ce, Mlm, Nsp, Pet, Simbert};
        for name in [Mlm, Pet, Ce, Bce, Nsp, Simbert] {
            for r_drop in [0.0, 0.5] {
                let mut stage = stage(name, r_drop);
                if name == Simbert {
                    // A stage has the rows that its objective learns from.
                    stage
                        .rows
                        .retain(|row| row.b.is_some() && row.target.is_known());
                }
                let draw = Draw {
                    masking: stage.masking.clone(),
                    cipher_rows: FIRST_CIPHER..FIRST_CIPHER + 9,
                    token_types: TokenTypes::Zero,
                    swap: true,
                    key: stage.key,
                };
                let numbers: Vec<usize> = (0..stage.rows.len()).collect();
                let batches = numbers.chunks(3);
                let batches = batches.map(|rows| stage.objective.batch(&stage.rows, rows, &draw));
                let batches = step::parts_of_one(batches.collect(), &stage.options);
                let read: usize = batches.iter().map(|batch| batch.rows.n_tokens()).sum();
                assert_eq!(stage.n_tokens(), read, "{name:?} {r_drop}");
            }
        }
    }
}
