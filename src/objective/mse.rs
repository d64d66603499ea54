//! Squared error of one number a row, for real or ordinal labels.
//!
//! Loss: mean over the labelled rows of `(f - y)^2`, plus `mlm_weight` times the MLM loss. f is the output of a linear head, as
//! in `BertForSequenceClassification` with one label, or the margin of `[YES]` over `[NO]`; y is the label as it stands, of two
//! classes 0 or 1. Scores: f, on the scale of the labels. Nearest relative: [`super::cosent`], which learns the order alone.

use dfdx::losses::mse_loss;
use dfdx::prelude::{Cpu, TensorFromVec};

use super::joint::{LabelLoss, beside_mlm, heads, output};
use super::{Answers, Batch, HeadChoice, Loss, Objective, ObjectiveOptions, Recipe, StepTape};
use crate::checkpoint::Heads;
use crate::data::{LabelKind, Scores, Target};
use crate::model::Bert;
use crate::model::tensor::{Matrix, Vector};

/// The entry of the table.
pub const RECIPE: Recipe = Recipe {
    name: "mse",
    labels: &[LabelKind::Binary, LabelKind::Ordinal],
    mlm_weight: 0.0,
    make: |options, answers| Box::new(Mse::new(options, answers)),
};

/// See the module.
#[derive(Debug, Clone)]
pub struct Mse {
    mlm_weight: f64,
    head: HeadChoice,
    tokens: Vec<u32>,
}

impl Mse {
    /// For numbers, or for 0 and 1.
    pub fn new(options: &ObjectiveOptions, answers: &Answers) -> Self {
        Self {
            mlm_weight: options.mlm_weight,
            head: options.head,
            tokens: answers.tokens.clone(),
        }
    }
}

impl Objective for Mse {
    fn heads(&self) -> Heads {
        heads(self.head, 1, self.mlm_weight)
    }

    fn mlm_weight(&self) -> f64 {
        self.mlm_weight
    }

    fn uses(&self, target: &Target) -> bool {
        target.as_number().is_some()
    }

    fn loss(&self, model: &Bert, batch: &Batch, states: Matrix<StepTape>) -> Loss {
        beside_mlm(model, batch, states, self.mlm_weight, |first, targets| {
            let labels: Option<Vec<f32>> = targets.iter().map(Target::as_number).collect();
            let labels = labels.expect("the batch has numbers only");
            let n = labels.len();
            let labels: Vector = Cpu::default().tensor_from_vec(labels, (n,));
            let scores = output(model, first, self.head, &self.tokens);
            LabelLoss {
                loss: mse_loss(scores, labels),
                n,
            }
        })
    }

    fn scores(&self, model: &Bert, first_states: Matrix) -> Option<Scores> {
        let scores = output(model, first_states, self.head, &self.tokens);
        Some(Scores::single(scores.as_vec()))
    }
}
