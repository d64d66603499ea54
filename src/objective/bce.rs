//! Binary cross-entropy of each label by itself, for rows that have several of n labels.
//!
//! Loss: mean over the labelled rows and the labels of `-log sigmoid(±logit)`, + where the row has the label, plus `mlm_weight`
//! times the MLM loss. Logits, one a label; of binary labels one alone. Scores: the logits. Nearest relative: [`super::ce`],
//! where one label excludes the others.

use std::ops::Range;

use dfdx::losses::binary_cross_entropy_with_logits_loss;

use super::joint::{LabelLoss, beside_mlm, heads, outputs, probabilities};
use super::{
    Answers, Batch, HeadChoice, Loss, Objective, ObjectiveOptions, OutputKind, Outputs, Recipe,
    StepTape,
};
use crate::checkpoint::Heads;
use crate::data::{LabelKind, Scores, Target};
use crate::model::Bert;
use crate::model::tensor::Matrix;

/// The entry of the table.
pub const RECIPE: Recipe = Recipe {
    name: "bce",
    labels: &[LabelKind::Binary, LabelKind::Multilabel],
    mlm_weight: 0.0,
    scores_are_logits: true,
    make: |options, answers| Box::new(Bce::new(options, answers)),
};

/// See the module.
#[derive(Debug, Clone, Copy)]
pub struct Bce {
    mlm_weight: f64,
    head: HeadChoice,
    labels: LabelKind,
    n_outputs: usize,
}

impl Bce {
    /// For several labels, or for 0 and 1.
    pub fn new(options: &ObjectiveOptions, answers: &Answers) -> Self {
        Self {
            mlm_weight: options.mlm_weight,
            head: options.head,
            labels: answers.labels,
            n_outputs: match answers.labels {
                LabelKind::Binary => 1,
                _ => answers.n_classes,
            },
        }
    }

    /// The classes that the outputs stand for.
    fn classes(&self) -> Range<u32> {
        match self.labels {
            LabelKind::Binary => 1..2,
            _ => 0..self.n_outputs as u32,
        }
    }
}

impl Objective for Bce {
    fn heads(&self) -> Heads {
        heads(self.head, self.n_outputs, self.mlm_weight)
    }

    fn mlm_weight(&self) -> f64 {
        self.mlm_weight
    }

    fn uses(&self, target: &Target) -> bool {
        target.probability(0).is_some()
    }

    fn loss(&self, model: &Bert, batch: &Batch, states: Matrix<StepTape>) -> Loss {
        beside_mlm(model, batch, states, self.mlm_weight, |first, targets| {
            let wanted = probabilities(targets, self.classes());
            let logits = outputs(model, first, self.head);
            LabelLoss {
                loss: binary_cross_entropy_with_logits_loss(logits, wanted),
                n: targets.len(),
            }
        })
    }

    fn outputs(&self, model: &Bert, first_states: Matrix<StepTape>) -> Option<Outputs> {
        Some(Outputs {
            values: outputs(model, first_states, self.head),
            kind: OutputKind::Sigmoid,
        })
    }

    fn scores(&self, model: &Bert, first_states: Matrix) -> Option<Scores> {
        Some(Scores {
            width: self.n_outputs,
            values: outputs(model, first_states, self.head).as_vec(),
        })
    }
}
