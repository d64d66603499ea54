//! What alignment by graph gives: matches by cipher type, and their quality without a key.

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
    /// How much likelier held-out cipher text is by its order than without, in nats a token.
    pub order_gain: f64,
    /// The same of held-out plaintext, which is what a right map of the same kind of text would have.
    pub order_gain_plain: f64,
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
