//! Masked tokens alone (Devlin et al. 2018, <https://arxiv.org/abs/1810.04805>, 3.1).
//!
//! Loss: mean over the hidden tokens of the batch of `-log softmax(logits)[token]`. Looks at no label and gives no scores: a
//! stage before the one that learns the task.

use dfdx::prelude::{AsArray, MeanTo};

use super::{Batch, Loss, LossPart, Objective, Outputs, Recipe, StepTape};
use crate::checkpoint::Heads;
use crate::data::{Scores, Target};
use crate::model::Bert;
use crate::model::tensor::Matrix;

/// The entry of the table.
pub const RECIPE: Recipe = Recipe {
    name: "mlm",
    labels: &[],
    mlm_weight: 1.0,
    scores_are_logits: false,
    make: |_, _| Box::new(Mlm),
};

/// See the module.
#[derive(Debug, Clone, Copy)]
pub struct Mlm;

impl Objective for Mlm {
    fn heads(&self) -> Heads {
        Heads {
            mlm: true,
            pooler: false,
            nsp: false,
            classifier: None,
        }
    }

    fn mlm_weight(&self) -> f64 {
        1.0
    }

    fn uses(&self, _: &Target) -> bool {
        false
    }

    fn loss(&self, model: &Bert, batch: &Batch, states: Matrix<StepTape>) -> Loss {
        let mean = model.mlm_losses(states, &batch.tokens).mean();
        let n = batch.tokens.len();
        let sum = f64::from(mean.array()) * n as f64;
        Loss {
            parts: vec![LossPart::new("mlm", sum, n)],
            total: mean * batch.share_of_masked(),
        }
    }

    fn outputs(&self, _: &Bert, _: Matrix<StepTape>) -> Option<Outputs> {
        None
    }

    fn scores(&self, _: &Bert, _: Matrix) -> Option<Scores> {
        None
    }
}
