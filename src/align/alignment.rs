//! What an alignment gives: the mapping, and what is known of it without a key.
//!
//! In: the figures of [`graph`](super::graph). Out: [`Alignment`] and [`GraphReport`], which stands in `manifest.json`. Does
//! not find anything.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::graph::Quality;
use crate::vocab::{Mapping, Unit};

/// A mapping, and what is known of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Alignment {
    /// One row a kept id.
    pub mapping: Mapping,
    /// What is known without a key, for methods that know.
    pub quality: Option<Box<GraphReport>>,
}

impl From<Mapping> for Alignment {
    /// Of which nothing is known.
    fn from(mapping: Mapping) -> Self {
        Self {
            mapping,
            quality: None,
        }
    }
}

/// What is known of an alignment without its key. Part of `manifest.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GraphReport {
    /// What an id was taken to stand for.
    pub unit: Unit,
    /// Every unit that was tried.
    pub units: Vec<UnitTrial>,
    /// Ids with a row of their own.
    pub cipher_types: usize,
    /// Tokens of the plaintext that they may stand for.
    pub plain_types: usize,
    /// Ids with a candidate.
    pub matched: usize,
    /// Ids that are their best token's best.
    pub mutual_best: usize,
    /// Held-out cipher text under the plaintext's bigrams: mean natural logarithm of the probability a token.
    pub likelihood: f64,
    /// The same for the map by frequency rank.
    pub likelihood_rank: f64,
    /// The same for a random map.
    pub likelihood_shuffled: f64,
    /// How much likelier held-out cipher text is by the order of its tokens than without, in nats a token; 0 or less where
    /// there is no order to align by.
    #[serde(default)]
    pub order_gain: f64,
    /// The same of held-out plaintext.
    #[serde(default)]
    pub order_gain_plain: f64,
    /// Share of tokens whose first candidate is the same from every start, 0 to 1.
    pub stability: f64,
    /// Rounds of self-learning.
    pub rounds: usize,
    /// Starts tried.
    pub restarts: usize,
    /// Pairs that were known.
    pub anchors: usize,
    /// By frequency band of the ids, the most frequent first.
    pub coverage: Vec<CoverageBand>,
    /// What the network changed of it; none where it was not asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refinement: Option<Refinement>,
    /// What ids may stand for, with its occurrences; known to the process that has aligned, not recorded.
    #[serde(skip)]
    pub plain_tokens: BTreeMap<String, u64>,
}

/// What a network that reads the ids under their alignment made of it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Refinement {
    /// Times that the network read.
    pub rounds: usize,
    /// Ids whose first candidate is another now.
    pub changed: usize,
    /// Their share of all tokens, 0 to 1.
    pub changed_tokens: f64,
}

/// One unit that was tried.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UnitTrial {
    /// The unit.
    pub unit: Unit,
    /// Tokens of the plaintext that ids may stand for.
    pub plain_types: usize,
    /// Occurrences of all tokens in the plaintext.
    pub plain_tokens: u64,
    /// Held-out likelihood a cipher token, after a short search where several units are tried.
    pub likelihood: f64,
}

/// Ids of about the same frequency.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CoverageBand {
    /// The first rank, from 1.
    pub first: usize,
    /// The last rank.
    pub last: usize,
    /// Ids in it.
    pub types: usize,
    /// Their share of all tokens, 0 to 1.
    pub tokens: f64,
    /// Share of the band's tokens whose id has a confidence above a half.
    pub trusted: f64,
}

impl GraphReport {
    /// What the order of held-out ids tells under the map, as a share of what it tells in plaintext; below 0 where there is no
    /// order to align by, `None` where the plaintext itself has none.
    pub fn order_share(&self) -> Option<f64> {
        (self.order_gain_plain > 0.0).then(|| self.order_gain / self.order_gain_plain)
    }

    /// In one line, for people.
    pub fn describe(&self) -> String {
        format!(
            "alignment: by {}, {} of {} ids have a candidate, {} are mutually best; likelihood {:.3} a token, by rank {:.3}, \
             shuffled {:.3}",
            self.unit.name(),
            self.matched,
            self.cipher_types,
            self.mutual_best,
            self.likelihood,
            self.likelihood_rank,
            self.likelihood_shuffled
        )
    }

    /// What the arithmetic knows; the rest is empty.
    pub(super) fn of(quality: Quality) -> Self {
        let bands = quality.coverage.into_iter();
        let coverage = bands.map(|band| CoverageBand {
            first: band.ranks.start + 1,
            last: band.ranks.end,
            types: band.types,
            tokens: band.tokens,
            trusted: band.trusted,
        });
        Self {
            unit: Unit::Char,
            units: Vec::new(),
            cipher_types: 0,
            plain_types: 0,
            matched: 0,
            mutual_best: quality.mutual_best,
            likelihood: quality.likelihood,
            likelihood_rank: quality.likelihood_rank,
            likelihood_shuffled: quality.likelihood_shuffled,
            order_gain: quality.order_gain,
            order_gain_plain: quality.order_gain_plain,
            stability: quality.stability,
            rounds: quality.rounds,
            restarts: quality.restarts,
            anchors: 0,
            coverage: coverage.collect(),
            refinement: None,
            plain_tokens: BTreeMap::new(),
        }
    }
}
