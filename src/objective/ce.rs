//! Softmax cross-entropy of a linear head on `[CLS]`: what `BertForSequenceClassification` is trained with (Devlin et al. 2018,
//! <https://arxiv.org/abs/1810.04805>, 4.1).
//!
//! Loss: mean over the labelled rows of `-log softmax(logits)[class]`, of a label in probabilities their mean of it, plus `mlm_weight` times the MLM loss. Logits, one a class.
//! Scores: of 0 and 1 `logit(1) - logit(0)`, of named classes their logits. Nearest relative: [`super::pet`], which asks the MLM head.

use dfdx::losses::cross_entropy_with_logits_loss;

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
    name: "ce",
    labels: &[LabelKind::Binary, LabelKind::Classes],
    mlm_weight: 0.0,
    scores_are_logits: true,
    make: |options, answers| Box::new(Ce::new(options, answers)),
};

/// See the module.
#[derive(Debug, Clone, Copy)]
pub struct Ce {
    mlm_weight: f64,
    head: HeadChoice,
    labels: LabelKind,
    n_classes: usize,
}

impl Ce {
    /// For two classes or more.
    pub fn new(options: &ObjectiveOptions, answers: &Answers) -> Self {
        Self {
            mlm_weight: options.mlm_weight,
            head: options.head,
            labels: answers.labels,
            n_classes: answers.n_classes,
        }
    }
}

impl Objective for Ce {
    fn heads(&self) -> Heads {
        heads(self.head, self.n_classes, self.mlm_weight)
    }

    fn mlm_weight(&self) -> f64 {
        self.mlm_weight
    }

    fn uses(&self, target: &Target) -> bool {
        target.tells_class()
    }

    fn loss(&self, model: &Bert, batch: &Batch, states: Matrix<StepTape>) -> Loss {
        beside_mlm(model, batch, states, self.mlm_weight, |first, targets| {
            let wanted = probabilities(targets, 0..self.n_classes as u32);
            let logits = outputs(model, first, self.head);
            LabelLoss {
                loss: cross_entropy_with_logits_loss(logits, wanted),
                n: targets.len(),
            }
        })
    }

    fn outputs(&self, model: &Bert, first_states: Matrix<StepTape>) -> Option<Outputs> {
        Some(Outputs {
            values: outputs(model, first_states, self.head),
            kind: OutputKind::Softmax,
        })
    }

    fn scores(&self, model: &Bert, first_states: Matrix) -> Option<Scores> {
        let logits = outputs(model, first_states, self.head).as_vec();
        Some(match self.labels {
            LabelKind::Binary => Scores::single(
                logits
                    .chunks_exact(2)
                    .map(|both| both[1] - both[0])
                    .collect(),
            ),
            _ => Scores {
                width: self.n_classes,
                values: logits,
            },
        })
    }
}
