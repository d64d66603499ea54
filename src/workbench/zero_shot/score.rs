//! Scores of inputs by the network's own heads.
//!
//! In: [`Input`]s one after the other. Out: a number each, in their order: the margin of the NSP head, or how likely the MLM head
//! finds the hidden tokens. Knows no rows and no labels.

use dfdx::prelude::NoneTape;
use serde::Serialize;

use super::input::Input;
use crate::checkpoint::Heads;
use crate::data::PackedBatch;
use crate::error::Result;
use crate::model::{Bert, Pass};
use crate::objective::nsp::margins;
use crate::train::PREDICT_ROWS;

/// How an input is scored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// `logit(next) - logit(not next)`, any real number (Sun et al. 2021, <https://arxiv.org/abs/2109.03564>).
    Nsp,
    /// Mean log-probability of the hidden tokens, 0 or less (Schick and Schütze 2021, <https://arxiv.org/abs/2001.07676>).
    Pet,
}

impl Method {
    /// The heads that it asks.
    pub fn heads(self) -> Heads {
        match self {
            Self::Nsp => Heads {
                pooler: true,
                nsp: true,
                ..Heads::default()
            },
            Self::Pet => Heads::MLM,
        }
    }

    fn of_batch(self, model: &Bert, inputs: &[Input]) -> Vec<f32> {
        let mut batch = PackedBatch::default();
        inputs.iter().for_each(|input| input.push_to(&mut batch));
        let first = batch.cls_positions();
        if self == Self::Nsp {
            let first: Vec<u32> = first.iter().map(|&position| position as u32).collect();
            return margins(
                model,
                model.encode(&Pass::prediction(&batch, &first), NoneTape),
            );
        }
        let hidden = inputs.iter().zip(first).flat_map(|(input, first)| {
            let hidden = input.hidden.iter();
            hidden.map(move |(position, token)| ((first + position) as u32, *token))
        });
        let (wanted, tokens): (Vec<u32>, Vec<u32>) = hidden.unzip();
        let states = model.encode(&Pass::prediction(&batch, &wanted), NoneTape);
        let losses = model.mlm_losses(states, &tokens).as_vec();
        let mut losses = losses.as_slice();
        let mean = |input: &Input| {
            let (own, rest) = losses.split_at(input.hidden.len());
            losses = rest;
            -own.iter().sum::<f32>() / own.len() as f32
        };
        inputs.iter().map(mean).collect()
    }
}

/// Scores of `n` inputs by their numbers. `tick` gets the number of inputs just done, and may stop the work.
///
/// # Errors
/// What `input` and `tick` return.
pub fn scores(
    method: Method,
    model: &Bert,
    n: usize,
    input: impl Fn(usize) -> Result<Input>,
    mut tick: impl FnMut(usize) -> Result<()>,
) -> Result<Vec<f32>> {
    let mut scores = Vec::with_capacity(n);
    for first in (0..n).step_by(PREDICT_ROWS) {
        let numbers = first..(first + PREDICT_ROWS).min(n);
        let inputs: Vec<Input> = numbers.map(&input).collect::<Result<_>>()?;
        scores.extend(method.of_batch(model, &inputs));
        tick(inputs.len())?;
    }
    Ok(scores)
}
