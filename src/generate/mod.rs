//! Sentences that a network writes: a source in, many drawn sentences of the same meaning out (SimBERT,
//! <https://kexue.fm/archives/7427>; UniLM, Dong et al. 2019).
//!
//! In: sources as tokens of the vocabulary, and how tokens are drawn ([`sampling`]). Out: `samples` sentences a source, and, by
//! [`rank`], those that are nearest to it. The first token follows from the state of the source's `[SEP]`, which is computed once
//! for all its samples; every further one from the state of the token before it. A sentence ends with `[SEP]`, or where it is as long
//! as it may be: it is returned as it is, so there are always as many as were asked for. What has ended leaves the batch.
//!
//! A draw is a function of the key, the number of the source, that of the sample and the step: further sources or samples draw
//! nothing else for those that are there. Reads no files and decodes no cipher: tokens stay tokens.

pub mod rank;
pub mod sampling;

use std::ops::Range;

use crate::data::reserved::{CLS, SEP};
use crate::error::Result;
use crate::model::Bert;
use crate::model::decode::Decoder;
use crate::model::tensor::Matrix;
use crate::random::Key;
use sampling::{Choices, Sampling};

/// Sentences that are written at once: many for the matrix products, few for the memory. So are samples of one source.
const AT_ONCE: usize = 1024;
/// Sources that are read at once.
const SOURCES: usize = 64;

/// What is written.
#[derive(Debug, Clone, PartialEq)]
pub struct GenerateOptions {
    /// Sentences a source.
    pub samples: usize,
    /// Tokens of a sentence at most; the table of positions may end before.
    pub max_tokens: usize,
    /// How tokens are drawn.
    pub sampling: Sampling,
    /// Rows of the vocabulary that are tokens of sentences. No other is written.
    pub tokens: Range<u32>,
}

impl GenerateOptions {
    /// Sources that go through [`generate`] together, one at least.
    pub fn sources_at_once(&self) -> usize {
        (AT_ONCE / self.samples.max(1)).clamp(1, SOURCES)
    }
}

/// What is written about.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// Names its random draws.
    pub number: u64,
    /// Without `[CLS]` and `[SEP]`.
    pub tokens: &'a [u32],
}

/// A sentence under way.
#[derive(Debug, Clone, Copy)]
struct Row {
    source: usize,
    sample: usize,
}

/// `samples` sentences for each source, in the order of the samples; each of one token or more, without `[SEP]`. `tick` is called
/// once a step and may stop the work. `key` is the root of the draws.
///
/// # Errors
/// What `tick` returns.
///
/// # Panics
/// Without an MLM head or token type 1, or where the table of positions has no place behind a source.
pub fn generate(
    model: &Bert,
    sources: &[Source],
    options: &GenerateOptions,
    key: Key,
    tick: &mut dyn FnMut() -> Result<()>,
) -> Result<Vec<Vec<Vec<u32>>>> {
    let mut sentences = vec![Vec::new(); sources.len()];
    for first in (0..options.samples).step_by(AT_ONCE) {
        let samples = first..options.samples.min(first + AT_ONCE);
        let (mut decoder, states) = Decoder::begin(model, &read(sources));
        let mut next = |parents: &[u32], tokens: &[u32]| {
            tick()?;
            Ok(decoder.step(parents, tokens))
        };
        let written = write(model, sources, options, key, (samples, states), &mut next)?;
        for (all, of_block) in sentences.iter_mut().zip(written) {
            all.extend(of_block);
        }
    }
    Ok(sentences)
}

/// The sources as the network reads them.
fn read(sources: &[Source]) -> Vec<Vec<u32>> {
    let read = |source: &Source| [&[CLS], source.tokens, &[SEP]].concat();
    sources.iter().map(read).collect()
}

/// From the rows that are gone on with and the tokens that come next to the states of those.
type Next<'a> = dyn FnMut(&[u32], &[u32]) -> Result<Matrix> + 'a;

/// As [`generate`], but of some of the samples, from the states of the sources' last tokens and `next`, which is [`Decoder::step`].
fn write(
    model: &Bert,
    sources: &[Source],
    options: &GenerateOptions,
    key: Key,
    (samples, states): (Range<usize>, Matrix),
    next: &mut Next,
) -> Result<Vec<Vec<Vec<u32>>>> {
    let mut sentences = vec![vec![Vec::new(); samples.len()]; sources.len()];
    let uniform = |row: Row, step: u64| {
        let key = key.at(sources[row.source].number).at(row.sample as u64);
        key.uniform(step)
    };
    let row = |i: usize| Row {
        source: i / samples.len(),
        sample: samples.start + i % samples.len(),
    };
    let mut rows: Vec<Row> = (0..sources.len() * samples.len()).map(row).collect();
    let mut parents: Vec<u32> = rows.iter().map(|row| row.source as u32).collect();
    let of_source = |source: usize, logits: &mut [f32]| {
        let choices = Choices::new(logits, options.tokens.clone(), &options.sampling);
        let rows = samples.clone().map(|sample| Row { source, sample });
        rows.map(|row| choices.draw(uniform(row, 0))).collect()
    };
    let first: Vec<Vec<u32>> = model.map_mlm_logits(&states, of_source);
    let mut tokens = first.concat();
    for step in 1.. {
        let written = rows.iter().zip(&parents).zip(&tokens);
        let go_on: Vec<((Row, u32), u32)> = written
            .filter(|&((row, _), &token)| {
                let sentence: &mut Vec<u32> =
                    &mut sentences[row.source][row.sample - samples.start];
                if token != SEP {
                    sentence.push(token);
                }
                token != SEP && sentence.len() < longest(model, &sources[row.source], options)
            })
            .map(|((&row, &parent), &token)| ((row, parent), token))
            .collect();
        if go_on.is_empty() {
            break;
        }
        ((rows, parents), tokens) = go_on.into_iter().unzip();
        let states = next(&parents, &tokens)?;
        let allowed = || options.tokens.clone().chain([SEP]);
        tokens = model.map_mlm_logits(&states, |row, logits| {
            let choices = Choices::new(logits, allowed(), &options.sampling);
            choices.draw(uniform(rows[row], step))
        });
        parents = (0..rows.len() as u32).collect();
    }
    Ok(sentences)
}

/// Tokens of the longest sentence behind a source.
fn longest(model: &Bert, source: &Source, options: &GenerateOptions) -> usize {
    let positions = model.config.max_position_embeddings;
    options.max_tokens.min(positions - source.tokens.len() - 2)
}

#[cfg(test)]
mod tests;
