//! Joint MLM and label prediction by one head (pattern-exploiting training, Schick and Schütze 2021,
//! <https://arxiv.org/abs/2001.07676>; on ciphers: <https://kexue.fm/archives/8213>).
//!
//! A row is `[CLS] a [SEP]` or `[CLS] a [SEP] b [SEP]`. At `[CLS]` the network predicts the token of the label: `[NO]` or `[YES]`,
//! of n classes `[C0]`, `[C1]`, …; at masked places the hidden token. Rows without a label take part in the MLM only.
//! Loss: mean over all targets of the batch of `-log softmax(logits)[target]` over the whole vocabulary, where an MLM target
//! counts `mlm_weight` times: with 1 a label weighs as much as one hidden token. A label in probabilities is their mean. Scores: of two classes `logit(YES) - logit(NO)`
//! at `[CLS]` without masks, of n the logits of their tokens. Nearest relative: [`super::ce`], which asks a head of its own and
//! takes the softmax over the classes alone.

use dfdx::prelude::{Cpu, MeanTo, PutTape, SplitTape, SumTo, TensorFromVec};

use super::{
    Answers, Batch, Counts, Loss, LossPart, Objective, OutputKind, Outputs, Recipe, StepTape,
};
use crate::checkpoint::Heads;
use crate::data::{LabelKind, Scores, Target};
use crate::model::tensor::{Matrix, Vector};
use crate::model::{Bert, ops};

/// The entry of the table.
pub const RECIPE: Recipe = Recipe {
    name: "pet",
    labels: &[LabelKind::Binary, LabelKind::Classes],
    mlm_weight: 1.0,
    scores_are_logits: true,
    make: |options, answers| Box::new(Pet::new(options.mlm_weight, answers)),
};

/// See the module.
#[derive(Debug, Clone)]
pub struct Pet {
    mlm_weight: f64,
    labels: LabelKind,
    /// The token of each class.
    tokens: Vec<u32>,
}

impl Pet {
    /// For classes that have tokens.
    pub fn new(mlm_weight: f64, answers: &Answers) -> Self {
        Self {
            mlm_weight,
            labels: answers.labels,
            tokens: answers.tokens.clone(),
        }
    }

    /// What is wanted of each state. A label in probabilities wants its `[CLS]` once a class.
    fn wanted(&self, batch: &Batch) -> Wanted {
        let mut wanted = Wanted::default();
        let label_weight = 1.0 / (1 + batch.extra_copies) as f32;
        let labels = batch.labelled.iter().zip(&batch.targets);
        let mut labels = labels.map(|(&at, target)| (at, target)).peekable();
        let mut masked = batch.masked.iter().zip(&batch.tokens).peekable();
        for state in 0..batch.positions.len() as u32 {
            if let Some((_, &token)) = masked.next_if(|(at, _)| **at == state) {
                wanted.push(state, token, self.mlm_weight as f32, false);
            } else if let Some((_, target)) = labels.next_if(|(at, _)| *at == state) {
                for (class, &token) in self.tokens.iter().enumerate() {
                    let probability = target.probability(class as u32);
                    let probability = probability.expect("the batch has classes only");
                    if probability > 0.0 {
                        wanted.push(state, token, probability * label_weight, true);
                    }
                }
            }
        }
        wanted
    }
}

/// Tokens that the MLM head is to find, in the order of the states.
#[derive(Default)]
struct Wanted {
    /// Of the state, which may stand here more than once.
    states: Vec<u32>,
    tokens: Vec<u32>,
    /// What the cross-entropy of each counts.
    weights: Vec<f32>,
    is_label: Vec<bool>,
}

impl Wanted {
    fn push(&mut self, state: u32, token: u32, weight: f32, is_label: bool) {
        self.states.push(state);
        self.tokens.push(token);
        self.weights.push(weight);
        self.is_label.push(is_label);
    }
}

impl Objective for Pet {
    fn heads(&self) -> Heads {
        super::mlm::Mlm.heads()
    }

    fn mlm_weight(&self) -> f64 {
        self.mlm_weight
    }

    fn uses(&self, target: &Target) -> bool {
        target.tells_class()
    }

    fn loss(&self, model: &Bert, batch: &Batch, states: Matrix<StepTape>) -> Loss {
        let wanted = self.wanted(batch);
        let states = match wanted.states.len() == batch.positions.len() {
            true => states, // one token each
            false => ops::rows(states, &wanted.states),
        };
        let (losses, tape) = model.mlm_losses(states, &wanted.tokens).split_tape();
        let Counts { labels, masked } = batch.counts();
        let mut label = LossPart::new("label", 0.0, labels);
        let mut mlm = LossPart::new("mlm", 0.0, masked);
        let of_wanted = wanted.weights.iter().zip(&wanted.is_label);
        for (loss, (&weight, &is_label)) in losses.as_vec().into_iter().zip(of_wanted) {
            match is_label {
                true => label.sum += f64::from(loss * weight),
                false => mlm.sum += f64::from(loss),
            }
        }
        let losses = losses.put_tape(tape);
        let total = if batch.whole.is_none() && wanted.weights.iter().all(|&weight| weight == 1.0) {
            losses.mean()
        } else {
            let Counts { labels, masked } = batch.whole();
            let whole = labels as f32 + self.mlm_weight as f32 * masked as f32;
            let n = wanted.weights.len();
            let weights: Vector = Cpu::default().tensor_from_vec(wanted.weights, (n,));
            (losses * weights).sum() / whole
        };
        Loss {
            total,
            parts: vec![label, mlm],
        }
    }

    fn outputs(&self, model: &Bert, first_states: Matrix<StepTape>) -> Option<Outputs> {
        Some(Outputs {
            values: model.token_logits(first_states, &self.tokens),
            kind: OutputKind::Softmax,
        })
    }

    fn scores(&self, model: &Bert, first_states: Matrix) -> Option<Scores> {
        let logits = model.token_logits(first_states, &self.tokens).as_vec();
        Some(match self.labels {
            LabelKind::Binary => Scores::single(
                logits
                    .chunks_exact(2)
                    .map(|both| both[1] - both[0])
                    .collect(),
            ),
            _ => Scores {
                width: self.tokens.len(),
                values: logits,
            },
        })
    }
}
