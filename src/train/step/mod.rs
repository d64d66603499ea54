//! One step of the optimiser as a gradient: the passes over a batch, and what may go around them.
//!
//! In: a network, an objective, the batches of a step. Out: the loss as numbers; the gradient stays with the network. One file
//! a kind, each off by default. What each costs in time, as a multiple of a plain step of 64 pairs of OPPO (4 layers of 256; medians of
//! two runs of 60 steps after each other, to within .05; one thread of an AMD EPYC of Zen 4, bf16, 2026-11-29):
//!
//! | setting of `[train]` | file | passes of the network a step | time |
//! |---|---|---|---|
//! | `adversarial = "fgm"` | [`fgm`] | 2 | 2.0 |
//! | `adversarial = "pgd"` | [`pgd`] | 1 + `adversarial_steps` | 4.0 (3 moves) |
//! | `r_drop` | [`r_drop`] | 1, labelled rows twice | 1.5 |
//! | `dropout_samples` | [`dropout_samples`] | 1, heads on labels several times | 1.06 (4 masks) |
//! | `label_smoothing` | [`label_smoothing`] | 1 | 1.05 |
//! | `gradient_accumulation` | here | 1 over as many batches | 1.0 a batch |
//! | `layer_decay` | [`crate::model::AdamWStep`] | 1 | 1.0 |
//! | `average = "ema"` | [`super::average::ema`] | 1 | 1.07 |
//! | `average = "swa"` | [`super::average::swa`] | 1 | 1.0 |
//!
//! # How to add a kind
//! A file here with its formula, source and cost, its settings in [`super::TrainOptions`], and its line in [`gradient`] or
//! [`loss_and_gradients`]. Does not update weights.

pub mod dropout_samples;
pub mod fgm;
pub mod label_smoothing;
pub mod pgd;
pub mod r_drop;

use dfdx::prelude::{AsArray, Backward};
use serde::{Deserialize, Serialize};

use super::TrainOptions;
use crate::error::{Error, Result};
use crate::model::{Bert, Pass, Regularisation};
use crate::objective::{Batch, Counts, Loss, LossPart, LossReport, Objective};
use crate::random::{Key, Purpose};

/// `train.adversarial`: a move of the word embeddings that makes the loss larger, to learn against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Adversarial {
    /// None.
    #[default]
    None,
    /// One move.
    Fgm,
    /// Several small ones.
    Pgd,
}

/// What is added to the pass of a batch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PassOptions {
    /// Weight of the R-Drop term in the whole loss, 0 or more.
    pub r_drop: f64,
    /// Dropout masks on the state of `[CLS]`, at least 1.
    pub dropout_samples: usize,
}

impl Default for PassOptions {
    fn default() -> Self {
        Self {
            r_drop: 0.0,
            dropout_samples: 1,
        }
    }
}

/// The gradient of a step, added to that of the model, which is zero before. `batches` are the parts of one step; `key` is
/// the stream of dropout of the step.
///
/// # Errors
/// Where memory runs out.
pub fn gradient(
    model: &mut Bert,
    objective: &dyn Objective,
    batches: &[Batch],
    options: &TrainOptions,
    key: Key,
) -> Result<LossReport> {
    let of_pass = PassOptions {
        r_drop: options.r_drop,
        dropout_samples: options.dropout_samples,
    };
    let mut n_passes = 0;
    let mut pass = |model: &Bert| {
        let mut sum = LossReport::default();
        for batch in batches {
            let regularisation = Regularisation {
                hidden: options.dropout as f32,
                attention: options.dropout as f32,
                key: match n_passes {
                    0 => key,
                    number => key.at(number),
                },
            };
            let regularisation = Some(&regularisation);
            n_passes += 1;
            sum.add(loss_and_gradients(
                objective,
                model,
                batch,
                regularisation,
                &of_pass,
            )?);
        }
        Ok(sum)
    };
    let loss = pass(model)?;
    match options.adversarial {
        Adversarial::None => {}
        Adversarial::Fgm => fgm::add(model, options.adversarial_epsilon, &mut pass)?,
        Adversarial::Pgd => {
            let (epsilon, steps) = (options.adversarial_epsilon, options.adversarial_steps);
            pgd::add(model, epsilon, steps, &mut pass)?;
        }
    }
    Ok(loss)
}

/// How often a labelled row stands in a batch besides once.
pub fn extra_copies(options: &TrainOptions) -> usize {
    usize::from(options.r_drop > 0.0)
}

/// The batches of one step, each of which knows what the others have.
pub fn parts_of_one(batches: Vec<Batch>, options: &TrainOptions) -> Vec<Batch> {
    let whole: Counts = batches.iter().map(Batch::counts).sum();
    let is_alone = batches.len() == 1;
    let batches = batches.into_iter().map(|batch| Batch {
        whole: (!is_alone).then_some(whole),
        ..batch
    });
    match extra_copies(options) {
        0 => batches.collect(),
        extra => batches.map(|batch| batch.with_copies(extra)).collect(),
    }
}

/// The loss of a batch, and its gradients added to those of the model. A batch without any target has loss 0.
///
/// # Errors
/// Where memory runs out.
pub fn loss_and_gradients(
    objective: &dyn Objective,
    model: &Bert,
    batch: &Batch,
    regularisation: Option<&Regularisation>,
    options: &PassOptions,
) -> Result<LossReport> {
    if batch.positions.is_empty() {
        return Ok(LossReport::default());
    }
    let pass = Pass {
        regularisation,
        ..Pass::prediction(&batch.rows, &batch.positions)
    };
    let states = model.encode(&pass, model.tape());
    let weight = options.r_drop as f32 * batch.share_of_labels();
    let (states, term) = match weight > 0.0 {
        true => r_drop::term(objective, model, batch, states, weight),
        false => (states, None),
    };
    let dropout = regularisation.and_then(|regularisation| {
        let key = regularisation.key.with(Purpose::DropoutSamples);
        dropout_samples::Masks::new(options.dropout_samples, regularisation.hidden, key)
    });
    let Loss { total, mut parts } = match dropout {
        Some(masks) => {
            let (batch, states) = masks.apply(batch, states);
            objective.loss(model, &batch, states)
        }
        None => objective.loss(model, batch, states),
    };
    let total = match term {
        None => total,
        Some(term) => {
            let n = batch.counts().labels;
            let sum = f64::from(term.array() / weight) * n as f64;
            parts.push(LossPart::new("r_drop", sum, n));
            total + term
        }
    };
    let loss = f64::from(total.array());
    let gradients = total.try_backward();
    gradients.map_err(|error| Error::Unexpected(error.to_string()))?;
    Ok(LossReport { loss, parts })
}
