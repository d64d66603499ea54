//! Graph alignment: which plaintext type each cipher type stands for, found from co-occurrence alone.
//!
//! In: counts of two sides ([`Side`]) by dense type numbers. Out: candidates with confidence for each cipher type, and
//! what is known of their quality without a key ([`Solution`]). Knows no files, vocabularies or tokenisers.

mod assignment;
mod cooccurrence;
mod faq;
mod flatten;
mod likelihood;
mod matrix;
mod quality;
mod search;
mod self_learning;
mod start;

pub use assignment::{weighed, weight};
pub use cooccurrence::{Cooccurrence, Side};
pub use self_learning::best;

use crate::error::{Error, Result};
use crate::progress::Progress;
use crate::random::Key;

/// A plaintext type that a cipher type may stand for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    /// Number of the plaintext type.
    pub plain: u32,
    /// Share of the belief; those of a type sum to 1 or less.
    pub weight: f32,
}

/// What was found for one cipher type.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Match {
    /// Best first, at most 3; empty where nothing is trusted or nothing is left.
    pub candidates: Vec<Candidate>,
    /// Score of the first candidate less that of the next best plaintext type.
    pub margin: f32,
    /// Whether each is the other's best.
    pub mutual: bool,
    /// Estimated chance that the first candidate is right, 0..=1.
    pub confidence: f32,
}

/// A band of cipher types by frequency.
#[derive(Debug, Clone, PartialEq)]
pub struct Band {
    /// Ranks by falling frequency, from 0; the end is not in it.
    pub ranks: std::ops::Range<usize>,
    /// Types in it.
    pub types: usize,
    /// Their share of all cipher tokens.
    pub tokens: f64,
    /// Share of the band's tokens whose type has a confidence above a half.
    pub trusted: f64,
}

/// What is known of a solution without a key.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Quality {
    /// Cipher types that are their best plaintext type's best.
    pub mutual_best: usize,
    /// Held-out cipher bigrams under the plaintext's bigram model: mean natural logarithm of the probability a token.
    pub likelihood: f64,
    /// The same for the map by frequency rank.
    pub likelihood_rank: f64,
    /// The same for a random map.
    pub likelihood_shuffled: f64,
    /// By frequency band of the cipher.
    pub coverage: Vec<Band>,
    /// Share of cipher tokens whose first candidate is the same over restarts; 1 where there was one.
    pub stability: f64,
    /// Rounds of self-learning.
    pub rounds: usize,
    /// Starts tried.
    pub restarts: usize,
}

/// The whole result: one match a cipher type.
#[derive(Debug, Clone, PartialEq)]
pub struct Solution {
    /// By cipher type number.
    pub matches: Vec<Match>,
    /// What is known without a key.
    pub quality: Quality,
}

/// How much time to take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// Seconds: to compare tokenisations by likelihood.
    Trial,
    /// All that helps.
    Full,
}

/// What [`solve`] is told.
#[derive(Debug, Clone)]
pub struct GraphOptions {
    /// Cipher type and plaintext type that are known to be the same.
    pub anchors: Vec<(u32, u32)>,
    /// Root of the randomness.
    pub key: Key,
    /// How much time to take.
    pub effort: Effort,
}

/// Finds the plaintext types of the cipher types.
///
/// # Errors
/// [`Error::Refused`] for a side without sentences and for anchors that contradict each other.
pub fn solve(
    cipher: &Side,
    plain: &Side,
    options: &GraphOptions,
    progress: &Progress,
) -> Result<Solution> {
    solve_until(cipher, plain, options, progress, &|| Ok(()))
}

/// [`solve`], with a way to stop: `check` is called between rounds.
///
/// # Errors
/// Those of [`solve`] and of `check`.
pub fn solve_until(
    cipher: &Side,
    plain: &Side,
    options: &GraphOptions,
    progress: &Progress,
    check: &dyn Fn() -> Result<()>,
) -> Result<Solution> {
    solve_watched(
        cipher,
        plain,
        options,
        progress,
        &Watch {
            check,
            trace: &|_, _| {},
        },
    )
}

/// Is shown what was just done, and the map as pairs of type numbers.
type Trace = dyn Fn(&str, &[(u32, u32)]);

/// Who looks on.
pub(crate) struct Watch<'a> {
    /// Called between rounds; an error ends the search.
    pub(crate) check: &'a dyn Fn() -> Result<()>,
    /// Sees each map as pairs of type numbers.
    pub(crate) trace: &'a Trace,
}

impl Watch<'_> {
    fn check(&self) -> Result<()> {
        (self.check)()
    }
}

/// [`solve_until`] before the eyes of `watch`.
pub(crate) fn solve_watched(
    cipher: &Side,
    plain: &Side,
    options: &GraphOptions,
    progress: &Progress,
    watch: &Watch,
) -> Result<Solution> {
    for (side, name) in [(cipher, "cipher"), (plain, "plaintext")] {
        if side.train.total() == 0.0 {
            let message = format!("the {name} side has no sentences to learn from");
            return Err(Error::refused(message));
        }
    }
    check_anchors(&options.anchors)?;
    let task = progress.task("aligning", search::most_rounds(options.effort), "rounds");
    search::search(cipher, plain, options, task, watch)
}

/// Refuses anchors that give a cipher type two plaintext types, or a plaintext type two cipher types.
fn check_anchors(anchors: &[(u32, u32)]) -> Result<()> {
    let mut by_cipher = std::collections::BTreeMap::new();
    let mut by_plain = std::collections::BTreeMap::new();
    for &(cipher, plain) in anchors {
        let earlier = *by_cipher.entry(cipher).or_insert(plain);
        if earlier != plain {
            return Err(Error::refused(format!(
                "anchors contradict each other: cipher type {cipher} is plaintext type {earlier} and {plain}"
            )));
        }
        let earlier = *by_plain.entry(plain).or_insert(cipher);
        if earlier != cipher {
            return Err(Error::refused(format!(
                "anchors contradict each other: plaintext type {plain} is cipher type {earlier} and {cipher}"
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
