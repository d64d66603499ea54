//! Joint MLM and label prediction by one head (pattern-exploiting training, Schick and Schütze 2021,
//! <https://arxiv.org/abs/2001.07676>; on ciphers: <https://kexue.fm/archives/8213>).
//!
//! A row is `[CLS] a [SEP]` or `[CLS] a [SEP] b [SEP]`. At `[CLS]` the network predicts the token of the label: `[NO]` or `[YES]`,
//! of n classes `[C0]`, `[C1]`, …; at masked places the hidden token. Rows without a label take part in the MLM only.
//! Loss: mean over all targets of the batch of `-log softmax(logits)[target]` over the whole vocabulary, where an MLM target
//! counts `mlm_weight` times: with 1 a label weighs as much as one hidden token. Scores: of two classes `logit(YES) - logit(NO)`
//! at `[CLS]` without masks, of n the logits of their tokens. Nearest relative: [`super::ce`], which asks a head of its own and
//! takes the softmax over the classes alone.

use dfdx::prelude::{Cpu, MeanTo, PutTape, SplitTape, SumTo, TensorFromVec};

use super::{Answers, Batch, Loss, LossPart, Objective, Recipe, StepTape};
use crate::checkpoint::Heads;
use crate::data::{LabelKind, Scores, Target};
use crate::model::Bert;
use crate::model::tensor::{Matrix, Vector};

/// The entry of the table.
pub const RECIPE: Recipe = Recipe {
    name: "pet",
    labels: &[LabelKind::Binary, LabelKind::Classes],
    mlm_weight: 1.0,
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

    /// The token wanted at each position, in their order, and which of them are labels.
    fn wanted(&self, batch: &Batch) -> (Vec<u32>, Vec<bool>) {
        let mut wanted = vec![0; batch.positions.len()];
        let mut is_label = vec![false; batch.positions.len()];
        for (&at, target) in batch.labelled.iter().zip(&batch.targets) {
            let class = target.class().expect("the batch has classes only");
            wanted[at as usize] = self.tokens[class as usize];
            is_label[at as usize] = true;
        }
        for (&at, &token) in batch.masked.iter().zip(&batch.tokens) {
            wanted[at as usize] = token;
        }
        (wanted, is_label)
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
        target.class().is_some()
    }

    fn loss(&self, model: &Bert, batch: &Batch, states: Matrix<StepTape>) -> Loss {
        let (wanted, is_label) = self.wanted(batch);
        let (losses, tape) = model.mlm_losses(states, &wanted).split_tape();
        let (mut label, mut mlm) = (LossPart::new("label", 0.0, 0), LossPart::new("mlm", 0.0, 0));
        for (loss, &is_label) in losses.as_vec().into_iter().zip(&is_label) {
            let part = if is_label { &mut label } else { &mut mlm };
            part.sum += f64::from(loss);
            part.n += 1;
        }
        let losses = losses.put_tape(tape);
        let total = if self.mlm_weight == 1.0 {
            losses.mean()
        } else {
            let weight = |is_label| {
                if is_label {
                    1.0
                } else {
                    self.mlm_weight as f32
                }
            };
            let weights: Vec<f32> = is_label.into_iter().map(weight).collect();
            let whole: f32 = weights.iter().sum();
            let n = weights.len();
            let weights: Vector = Cpu::default().tensor_from_vec(weights, (n,));
            (losses * weights).sum() / whole
        };
        Loss {
            total,
            parts: vec![label, mlm],
        }
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
