//! Masking of tokens for the MLM (Devlin et al. 2018, <https://arxiv.org/abs/1810.04805>, 3.1), drawn anew each epoch.
//!
//! In: one sentence in rows of the vocabulary. Out: the same with some tokens hidden, and the target
//! of each position. Targets stand on all selected positions, the unchanged ones too. Does not see `[CLS]`
//! and `[SEP]`: they are added later.
//!
//! Two settings, in any combination. What is hidden together ([`MaskUnit`]):
//!
//! | unit | selected | law |
//! |---|---|---|
//! | token | each token alone | with probability `share` |
//! | n-gram | spans of 1 to 3 tokens, never two side by side | see `ngram.rs` |
//! | PMI | collocations of 2 or 3 tokens ([`Masking::learn`]), and all other tokens alone | each with probability `share` |
//!
//! In all of them each token is selected with probability `share`, at every position of every text. A unit is hidden as a whole: .8
//! of them become `[MASK]`, .1 stay, in .1 each token is replaced ([`MaskReplacement`]).
//!
//! What is learnt from texts depends on how often things stand in different texts and on nothing else: not on the order of the texts,
//! not on how often one text is there, as many rows may repeat it, not on threads, not on random numbers. What is drawn is a function of
//! the key and the sentence alone.

mod ngram;
mod pmi;
mod similar;

use std::ops::Range;
use std::sync::Arc;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::reserved::{FIRST_CIPHER, MASK};
use crate::random::Key;
use pmi::Collocations;
use similar::SimilarTokens;

pub use ngram::MOST_SHARE as MOST_NGRAM_SHARE;

/// `objective.mask_unit`: what is hidden together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MaskUnit {
    /// Single tokens.
    #[default]
    Token,
    /// Spans of 1, 2 or 3 tokens with 70, 20 and 10 %.
    Ngram,
    /// Neighbours that stand together far more often than by chance (Levine et al. 2020, <https://arxiv.org/abs/2010.01825>).
    Pmi,
}

/// `objective.mask_replacement`: what stands where a selected token is replaced by another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MaskReplacement {
    /// Any cipher token.
    #[default]
    Random,
    /// One of the ten that have the most similar neighbours (after MacBERT, Cui et al. 2020,
    /// <https://arxiv.org/abs/2004.13922>, which takes similar words).
    Similar,
}

/// The settings of a [`Masking`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct MaskOptions {
    /// Share of tokens that become targets, 0..=1 (.15 in the reference); for n-grams up to [`MOST_NGRAM_SHARE`].
    #[serde(rename = "mask")]
    pub share: f64,
    /// What is hidden together.
    #[serde(rename = "mask_unit")]
    pub unit: MaskUnit,
    /// What takes the place of a replaced token.
    #[serde(rename = "mask_replacement")]
    pub replacement: MaskReplacement,
}

impl MaskOptions {
    /// Single tokens, replaced by any others.
    pub fn of_tokens(share: f64) -> Self {
        Self {
            share,
            unit: MaskUnit::Token,
            replacement: MaskReplacement::Random,
        }
    }
}

/// How sentences are masked: settings, and what they need to know of the language.
#[derive(Debug, Clone)]
pub struct Masking {
    options: MaskOptions,
    learnt: Arc<Learnt>,
}

/// What texts say. A table that the settings do not need is empty.
#[derive(Debug, Default)]
struct Learnt {
    collocations: Collocations,
    similar: SimilarTokens,
}

impl Masking {
    /// Masks single tokens and replaces them by any others: nothing is to be learnt.
    pub fn of_tokens(share: f64) -> Self {
        Self {
            options: MaskOptions::of_tokens(share),
            learnt: Arc::default(),
        }
    }

    /// Learns from `texts`, in rows of the vocabulary, what `options` need: collocations, similar tokens, or nothing. A text that is
    /// there several times counts once: in twelve rows of one sentence each of its pairs of rare tokens would be a collocation.
    pub fn learn<'a>(options: MaskOptions, texts: impl Iterator<Item = &'a [u32]>) -> Self {
        let mut learnt = Learnt::default();
        let needs_pairs = options.unit == MaskUnit::Pmi;
        let needs_similar = options.replacement == MaskReplacement::Similar;
        if needs_pairs || needs_similar {
            let mut texts: Vec<&[u32]> = texts.collect();
            texts.par_sort_unstable();
            texts.dedup();
            if needs_pairs {
                learnt.collocations = Collocations::learn(&texts);
            }
            if needs_similar {
                learnt.similar = SimilarTokens::learn(&texts);
            }
        }
        Self {
            options,
            learnt: Arc::new(learnt),
        }
    }

    /// The settings.
    pub fn options(&self) -> MaskOptions {
        self.options
    }

    /// The same with another share.
    pub fn with_share(&self, share: f64) -> Self {
        Self {
            options: MaskOptions {
                share,
                ..self.options
            },
            learnt: Arc::clone(&self.learnt),
        }
    }

    /// Masks one sentence in place; returns the target of each position (0 = none).
    ///
    /// One uniform r a unit decides: below .8 `share` its tokens become `[MASK]`, below .9 `share` they stay, below `share` each
    /// becomes another cipher token: one of those most similar to it, or, where there are none and without
    /// [`MaskReplacement::Similar`], a uniform one, which may be the same again. For n-grams, which are selected before, r lies
    /// below 1 and `share` is 1 in this. `[UNK]` can be selected, its target is `[UNK]`. Cipher tokens are the
    /// rows from [`FIRST_CIPHER`] to `ciphers_end`, which is not one of them; where there are none, the last kind stays as it is.
    pub fn corrupt(&self, tokens: &mut [u32], ciphers_end: u32, key: Key) -> Vec<u32> {
        let (share, n) = (self.options.share, tokens.len());
        let mut sentence = Sentence {
            targets: vec![0; n],
            tokens,
            similar: &self.learnt.similar,
            ciphers_end,
            rng: key.rng(),
        };
        match self.options.unit {
            MaskUnit::Token => (0..n).for_each(|at| sentence.visit(at..at + 1, share)),
            MaskUnit::Ngram => {
                let spans = ngram::spans(n, share, &mut sentence.rng);
                spans.into_iter().for_each(|span| sentence.visit(span, 1.0));
            }
            MaskUnit::Pmi => {
                let units = self.learnt.collocations.units(sentence.tokens);
                units
                    .into_iter()
                    .for_each(|unit| sentence.visit(unit, share));
            }
        }
        sentence.targets
    }
}

/// A sentence while it is masked.
struct Sentence<'a> {
    tokens: &'a mut [u32],
    targets: Vec<u32>,
    similar: &'a SimilarTokens,
    ciphers_end: u32,
    rng: ChaCha8Rng,
}

impl Sentence<'_> {
    /// Selects a unit with probability `share`, and does with it what r says.
    fn visit(&mut self, unit: Range<usize>, share: f64) {
        let r: f64 = self.rng.random();
        if r >= share {
            return;
        }
        for (token, target) in (self.tokens[unit.clone()].iter_mut()).zip(&mut self.targets[unit]) {
            *target = *token;
            if r < 0.8 * share {
                *token = MASK;
            } else if r >= 0.9 * share && self.ciphers_end > FIRST_CIPHER {
                *token = match self.similar.to(*token) {
                    [] => self.rng.random_range(FIRST_CIPHER..self.ciphers_end),
                    similar => similar[self.rng.random_range(0..similar.len())],
                };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::iter::repeat_n;

    use super::super::reserved::UNK;
    use super::*;

    fn corrupt(tokens: &mut [u32], mask: f64, ciphers_end: u32, key: Key) -> Vec<u32> {
        Masking::of_tokens(mask).corrupt(tokens, ciphers_end, key)
    }

    const TOKENS: usize = 200_000;
    const VOCAB: u32 = 1007;

    #[test]
    fn shares_are_eighty_ten_ten_of_the_mask() {
        let original = vec![500; TOKENS];
        let mut tokens = original.clone();
        let targets = corrupt(&mut tokens, 0.15, VOCAB, Key::from_seed(1));
        let share = |wanted: &dyn Fn(u32, u32) -> bool| -> f64 {
            let n = tokens
                .iter()
                .zip(&targets)
                .filter(|(x, y)| wanted(**x, **y));
            n.count() as f64 / TOKENS as f64
        };
        // Four standard errors of a share p among n: 4 sqrt(p (1 - p) / n).
        let near = |found: f64, p: f64| {
            let bound = 4.0 * (p * (1.0 - p) / TOKENS as f64).sqrt();
            assert!((found - p).abs() < bound, "{found} is not near {p}");
        };
        near(share(&|x, y| x == MASK && y == 500), 0.12);
        near(share(&|x, y| x == 500 && y == 500), 0.015 + 0.015 / 1000.0);
        near(
            share(&|x, y| x != MASK && x != 500 && y == 500),
            0.015 * 0.999,
        );
        near(share(&|x, y| x == 500 && y == 0), 0.85);
        for (token, target) in tokens.iter().zip(&targets) {
            assert!(*token == MASK || (FIRST_CIPHER..VOCAB).contains(token));
            assert!(*target == 500 || (*target == 0 && *token == 500));
        }
        let drawn: std::collections::BTreeSet<_> = tokens.iter().collect();
        assert!(drawn.contains(&FIRST_CIPHER) && drawn.contains(&(VOCAB - 1)));
    }

    #[test]
    fn the_key_decides() {
        let draw = |seed| {
            let mut tokens: Vec<u32> = (7..107).collect();
            let targets = corrupt(&mut tokens, 0.5, 107, Key::from_seed(seed));
            (tokens, targets)
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }

    #[test]
    fn bounds_of_the_share() {
        let mut tokens = vec![UNK, 8, 9];
        assert_eq!(corrupt(&mut tokens, 0.0, 10, Key::from_seed(3)), [0, 0, 0]);
        assert_eq!(tokens, [UNK, 8, 9]);
        // All are selected, the unknown token too.
        assert_eq!(
            corrupt(&mut tokens, 1.0, 10, Key::from_seed(3)),
            [UNK, 8, 9]
        );
    }

    #[test]
    fn a_vocabulary_without_cipher_tokens_only_masks() {
        let mut tokens = vec![UNK; 1000];
        corrupt(&mut tokens, 1.0, FIRST_CIPHER, Key::from_seed(4));
        assert!(tokens.iter().all(|&x| x == MASK || x == UNK));
    }

    const UNITS: [MaskUnit; 3] = [MaskUnit::Token, MaskUnit::Ngram, MaskUnit::Pmi];
    const REPLACEMENTS: [MaskReplacement; 2] = [MaskReplacement::Random, MaskReplacement::Similar];

    /// Sentences of three words, each of which is one of four collocations or one of forty single tokens.
    fn sentences(n: u64) -> Vec<Vec<u32>> {
        let words: [&[u32]; 4] = [&[10, 11], &[12, 13, 14], &[15, 16], &[17, 18, 19]];
        let sentence = |row: u64| {
            let key = Key::from_seed(5).at(row);
            let word = |at| match key.bits(at) % 44 {
                draw @ 0..40 => vec![40 + draw as u32],
                draw => words[draw as usize - 40].to_vec(),
            };
            (0..3).flat_map(word).collect()
        };
        (0..n).map(sentence).collect()
    }

    fn learn(unit: MaskUnit, replacement: MaskReplacement, texts: &[Vec<u32>]) -> Masking {
        let options = MaskOptions {
            share: 0.15,
            unit,
            replacement,
        };
        Masking::learn(options, texts.iter().map(Vec::as_slice))
    }

    #[test]
    fn all_units_select_the_share_and_keep_eighty_ten_ten() {
        let texts = sentences(60_000);
        for (unit, replacement) in UNITS.iter().flat_map(|u| REPLACEMENTS.map(|r| (*u, r))) {
            let masking = learn(unit, replacement, &texts);
            let [mut n, mut selected, mut masks, mut others] = [0.0; 4];
            for (row, text) in (0..).zip(&texts) {
                let mut tokens = text.clone();
                let targets = masking.corrupt(&mut tokens, 80, Key::from_seed(6).at(row));
                for ((token, target), original) in tokens.iter().zip(&targets).zip(text) {
                    n += 1.0;
                    assert!(*target == *original || *target == 0 && token == original);
                    selected += f64::from(*target != 0);
                    masks += f64::from(*token == MASK);
                    others += f64::from(*token != MASK && token != original);
                }
            }
            // Tokens of one unit are selected together: at most three times the variance of single ones. Four standard errors.
            let near = |found: f64, of: f64, p: f64| {
                let bound = 4.0 * (3.0 * p * (1.0 - p) / of).sqrt();
                let share = found / of;
                let what = format!("{unit:?}, {replacement:?}: {share} is not near {p}");
                assert!((share - p).abs() < bound, "{what}");
            };
            near(selected, n, 0.15);
            near(masks, selected, 0.8);
            near(others, selected, 0.1);
        }
    }

    #[test]
    fn texts_that_are_repeated_count_once() {
        // Sixty texts of six tokens each, with nothing behind them, in twelve rows each.
        let text = |number: u64| -> Vec<u32> {
            let key = Key::from_seed(8).at(number);
            (0..6).map(|at| 10 + (key.bits(at) % 300) as u32).collect()
        };
        let texts: Vec<Vec<u32>> = (0..60).map(text).collect();
        let repeated: Vec<Vec<u32>> = (0..720).map(|row| texts[row % 60].clone()).collect();
        let masking = learn(MaskUnit::Pmi, MaskReplacement::Similar, &repeated);
        for text in &texts {
            let units = masking.learnt.collocations.units(text);
            assert_eq!(units.len(), text.len(), "no collocation in {text:?}");
        }
        // What is true of the language is found, however often and in whatever order its texts are there.
        let texts = sentences(5_000);
        let often = texts
            .iter()
            .rev()
            .flat_map(|text| repeat_n(text, text.len()));
        let often: Vec<Vec<u32>> = often.chain(&texts).cloned().collect();
        let of = |texts: &[Vec<u32>]| learn(MaskUnit::Pmi, MaskReplacement::Similar, texts);
        let (once, often) = (of(&texts), of(&often));
        assert_eq!(once.learnt.collocations.units(&[10, 11]).len(), 1);
        for token in 10..80 {
            let similar = |masking: &Masking| masking.learnt.similar.to(token).to_vec();
            assert_eq!(similar(&once), similar(&often), "{token}");
        }
        for text in &texts {
            let units = |masking: &Masking| masking.learnt.collocations.units(text);
            assert_eq!(units(&once), units(&often));
        }
    }

    #[test]
    fn collocations_are_hidden_as_wholes() {
        let texts = sentences(10_000);
        let masking = learn(MaskUnit::Pmi, MaskReplacement::Random, &texts);
        let mut hidden = 0;
        for (row, text) in (0..).zip(&texts) {
            let mut tokens = text.clone();
            masking.corrupt(&mut tokens, 80, Key::from_seed(7).at(row));
            for (at, token) in text.iter().enumerate() {
                if *token == 12 || *token == 17 {
                    let masks = tokens[at..at + 3].iter().filter(|token| **token == MASK);
                    let masks = masks.count();
                    assert!(masks == 0 || masks == 3, "{text:?} {tokens:?}");
                    hidden += masks;
                }
            }
        }
        assert!(hidden > 0);
    }

    #[test]
    fn a_replaced_token_becomes_one_of_those_in_like_places() {
        let texts: Vec<Vec<u32>> = (0..40)
            .map(|i| vec![7 + i % 2, 10 + i, 8 - i % 2])
            .collect();
        let masking = learn(MaskUnit::Token, MaskReplacement::Similar, &texts).with_share(1.0);
        for seed in 0..400 {
            let mut tokens = vec![20, UNK];
            masking.corrupt(&mut tokens, 50, Key::from_seed(seed));
            // Those that are as near, the lowest ten of them, without itself.
            let expected = [MASK, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30];
            assert!(expected.contains(&tokens[0]), "{tokens:?}");
        }
    }

    #[test]
    fn all_units_are_functions_of_the_key_and_the_sentence() {
        let texts = sentences(2000);
        let mut turned = texts.clone();
        turned.reverse();
        for (unit, replacement) in UNITS.iter().flat_map(|u| REPLACEMENTS.map(|r| (*u, r))) {
            let (masking, again) = (
                learn(unit, replacement, &texts),
                learn(unit, replacement, &turned),
            );
            let draw = |masking: &Masking, row: usize| {
                let mut tokens = texts[row].clone();
                let key = Key::from_seed(8).at(row as u64);
                (masking.corrupt(&mut tokens, 80, key), tokens)
            };
            let all: Vec<_> = (0..2000).map(|row| draw(&masking, row)).collect();
            for row in (0..2000).rev() {
                assert_eq!(draw(&again, row), all[row], "{unit:?}");
            }
        }
    }
}
