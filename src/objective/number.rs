//! What the objectives of one number a row share ([`super::cosent`], [`super::mse`]): all but the loss itself.
//!
//! In: states of `[CLS]`. Out: a number a row, by a linear head or as the margin of `[YES]` over `[NO]`; and the loss of these
//! numbers against the labels, beside the MLM term.

use dfdx::prelude::{HasShape, ReshapeTo};

use super::joint::{LabelLoss, beside_mlm, heads, output};
use super::{
    Answers, Batch, HeadChoice, Loss, Objective, ObjectiveOptions, OutputKind, Outputs, StepTape,
};
use crate::checkpoint::Heads;
use crate::data::{Scores, Target};
use crate::model::Bert;
use crate::model::tensor::{Matrix, Vector};

/// The loss of a number a row (B), B at least 1, with the labels (B) as numbers.
pub(super) type NumberLoss = fn(Vector<StepTape>, Vec<f32>) -> LabelLoss;

/// An objective over one number a row.
#[derive(Debug, Clone)]
pub(super) struct OneNumber {
    mlm_weight: f64,
    head: HeadChoice,
    tokens: Vec<u32>,
    loss: NumberLoss,
    /// The number from which on the score is 0 or more.
    middle: f32,
}

impl OneNumber {
    /// For numbers, or for 0 and 1. Scores are the numbers less `middle`.
    pub fn boxed(
        options: &ObjectiveOptions,
        answers: &Answers,
        (loss, middle): (NumberLoss, f32),
    ) -> Box<dyn Objective> {
        Box::new(Self {
            mlm_weight: options.mlm_weight,
            head: options.head,
            tokens: answers.tokens.clone(),
            loss,
            middle,
        })
    }
}

impl Objective for OneNumber {
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
            let labels = labels.expect("the batch has labels with a number only");
            (self.loss)(output(model, first, self.head, &self.tokens), labels)
        })
    }

    fn outputs(&self, model: &Bert, first_states: Matrix<StepTape>) -> Option<Outputs> {
        let numbers = output(model, first_states, self.head, &self.tokens);
        let n_rows = numbers.shape().0;
        Some(Outputs {
            values: numbers.reshape_like(&(n_rows, 1)),
            kind: OutputKind::Number,
        })
    }

    fn scores(&self, model: &Bert, first_states: Matrix) -> Option<Scores> {
        let numbers = output(model, first_states, self.head, &self.tokens).as_vec();
        let scores = numbers.into_iter().map(|number| number - self.middle);
        Some(Scores::single(scores.collect()))
    }
}
