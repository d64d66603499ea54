//! Squared error of one number a row, for real or ordinal labels.
//!
//! Loss: mean over the labelled rows of `(f - y)^2`, plus `mlm_weight` times the MLM loss. f is the output of a linear head, as
//! in `BertForSequenceClassification` with one label, or the margin of `[YES]` over `[NO]`; y is the label as it stands, of two
//! classes 0 or 1. Scores: f, on the scale of the labels; of two classes `f - 0.5`, which is 0 half-way between them and no logit.
//! Nearest relative: [`super::cosent`], which learns the order alone.

use dfdx::losses::mse_loss;
use dfdx::prelude::{Cpu, TensorFromVec};

use super::joint::LabelLoss;
use super::number::OneNumber;
use super::{Recipe, StepTape};
use crate::data::LabelKind;
use crate::model::tensor::Vector;

/// The entry of the table.
pub const RECIPE: Recipe = Recipe {
    name: "mse",
    labels: &[LabelKind::Binary, LabelKind::Ordinal],
    mlm_weight: 0.0,
    scores_are_logits: false,
    make: |options, answers| {
        let middle = match answers.labels {
            LabelKind::Binary => 0.5, // whoever cuts scores of two classes cuts at 0
            _ => 0.0,
        };
        OneNumber::boxed(options, answers, (loss, middle))
    },
};

fn loss(scores: Vector<StepTape>, labels: Vec<f32>) -> LabelLoss {
    let n = labels.len();
    let labels: Vector = Cpu::default().tensor_from_vec(labels, (n,));
    LabelLoss {
        loss: mse_loss(scores, labels),
        n,
    }
}
