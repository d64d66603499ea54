//! Binary cross-entropy of each label by itself, for rows that have several of n labels.
//!
//! Loss: mean over the labelled rows and the labels of `-log sigmoid(±logit)`, + where the row has the label, plus `mlm_weight`
//! times the MLM loss. Logits, one a label; of binary labels one alone. Scores: the logits. Nearest relative: [`super::ce`],
//! where one label excludes the others.

use dfdx::losses::binary_cross_entropy_with_logits_loss;
use dfdx::prelude::Cpu;

use super::joint::{LabelLoss, beside_mlm, heads, outputs};
use super::{Answers, Batch, HeadChoice, Loss, Objective, ObjectiveOptions, Recipe, StepTape};
use crate::checkpoint::Heads;
use crate::data::{LabelKind, Scores, Target};
use crate::model::Bert;
use crate::model::tensor::{Matrix, matrix};

/// The entry of the table.
pub const RECIPE: Recipe = Recipe {
    name: "bce",
    labels: &[LabelKind::Binary, LabelKind::Multilabel],
    mlm_weight: 0.0,
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

    /// The class that an output stands for.
    fn class_of(&self, output: usize) -> u32 {
        match self.labels {
            LabelKind::Binary => 1,
            _ => output as u32,
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
        target.holds(0).is_some()
    }

    fn loss(&self, model: &Bert, batch: &Batch, states: Matrix<StepTape>) -> Loss {
        beside_mlm(model, batch, states, self.mlm_weight, |first, targets| {
            let holds = |target: &Target, output| {
                let holds = target.holds(self.class_of(output));
                f32::from(holds.expect("the batch has classes only"))
            };
            let outputs_of = |target| (0..self.n_outputs).map(move |output| holds(target, output));
            let wanted: Vec<f32> = targets.iter().flat_map(outputs_of).collect();
            let wanted = matrix(&Cpu::default(), wanted, targets.len(), self.n_outputs);
            let logits = outputs(model, first, self.head);
            LabelLoss {
                loss: binary_cross_entropy_with_logits_loss(logits, wanted),
                n: targets.len(),
            }
        })
    }

    fn scores(&self, model: &Bert, first_states: Matrix) -> Option<Scores> {
        Some(Scores {
            width: self.n_outputs,
            values: outputs(model, first_states, self.head).as_vec(),
        })
    }
}
