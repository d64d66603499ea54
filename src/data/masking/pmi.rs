//! Collocations: neighbours that stand together far more often than by chance, learnt from the texts themselves (PMI-Masking,
//! Levine et al. 2020, <https://arxiv.org/abs/2010.01825>).
//!
//! In: texts in rows of the vocabulary, each once. Out: a table of pairs and triples, and the units of a sentence by that table. Draws nothing.
//!
//! The pointwise mutual information of a pair is ln p(ab) / (p(a) p(b)). That of a triple is the least one over all ways to cut it
//! (their equation 3): ln p(abc) / (p(a) p(b) p(c)), ln p(abc) / (p(ab) p(c)), ln p(abc) / (p(a) p(bc)), so that a good pair with any token
//! beside it is no good triple. The paper takes the best so many that about half of all tokens stand in one; here a threshold
//! takes what is far beyond chance, and nothing where there is nothing to find.

use std::cmp::Reverse;
use std::ops::Range;

use rustc_hash::FxHashMap;

use crate::data::reserved::{FIRST_CIPHER, PAD};

/// Times that a collocation stands in the texts, at least, as in the paper.
const MIN_COUNT: u32 = 10;
/// Least pointwise mutual information, in nats: 20 times as often as by chance.
const MIN_PMI: f64 = 3.0;

/// Two or three tokens; a pair ends with [`PAD`].
type Ngram = [u32; 3];

/// The table of collocations.
#[derive(Debug, Default)]
pub(super) struct Collocations {
    /// Place in the order of falling information, from 0; of equal ones the lower tokens come first.
    ranks: FxHashMap<Ngram, u32>,
}

/// How often tokens, pairs and triples stand in texts.
#[derive(Default)]
struct Counts {
    tokens: FxHashMap<u32, u32>,
    ngrams: FxHashMap<Ngram, u32>,
    /// Of all tokens, pairs and triples.
    totals: [f64; 3],
}

impl Counts {
    fn of(texts: &[&[u32]]) -> Self {
        let mut counts = Self::default();
        for text in texts {
            for &token in *text {
                *counts.tokens.entry(token).or_default() += 1;
            }
            let pairs = text.windows(2).map(|pair| [pair[0], pair[1], PAD]);
            let triples = text
                .windows(3)
                .map(|triple| [triple[0], triple[1], triple[2]]);
            for ngram in pairs.chain(triples) {
                *counts.ngrams.entry(ngram).or_default() += 1;
            }
            for (length, total) in (1..).zip(&mut counts.totals) {
                *total += (text.len() + 1).saturating_sub(length) as f64;
            }
        }
        counts
    }

    /// ln p(token).
    fn token(&self, token: u32) -> f64 {
        (f64::from(self.tokens[&token]) / self.totals[0]).ln()
    }

    /// ln p(ngram).
    fn ngram(&self, ngram: Ngram) -> f64 {
        (f64::from(self.ngrams[&ngram]) / self.totals[length(ngram) - 1]).ln()
    }

    /// Pointwise mutual information in nats.
    fn pmi(&self, ngram: Ngram) -> f64 {
        let [a, b, c] = ngram;
        if c == PAD {
            return self.ngram(ngram) - (self.token(a) + self.token(b));
        }
        let cuts = [
            self.token(a) + self.token(b) + self.token(c),
            self.ngram([a, b, PAD]) + self.token(c),
            self.token(a) + self.ngram([b, c, PAD]),
        ];
        self.ngram(ngram) - cuts.into_iter().fold(f64::NEG_INFINITY, f64::max)
    }
}

fn length(ngram: Ngram) -> usize {
    if ngram[2] == PAD { 2 } else { 3 }
}

impl Collocations {
    /// Those of `texts`. `[UNK]` stands in none of them.
    pub(super) fn learn(texts: &[&[u32]]) -> Self {
        let counts = Counts::of(texts);
        let is_known = |ngram: &Ngram| ngram[..length(*ngram)].iter().all(|&x| x >= FIRST_CIPHER);
        let frequent = (counts.ngrams.iter())
            .filter(|&(ngram, count)| *count >= MIN_COUNT && is_known(ngram))
            .map(|(&ngram, _)| (counts.pmi(ngram), ngram));
        let mut found: Vec<(f64, Ngram)> = frequent.filter(|(pmi, _)| *pmi >= MIN_PMI).collect();
        found.sort_unstable_by(|(x, a), (y, b)| y.total_cmp(x).then(a.cmp(b)));
        let ranked = found.into_iter().map(|(_, ngram)| ngram).zip(0..);
        Self {
            ranks: ranked.collect(),
        }
    }

    /// Cuts a sentence into collocations and, between them, single tokens, from left to right. Triples are taken before pairs, those
    /// of more information first; of equal ones, the left one.
    pub(super) fn units(&self, tokens: &[u32]) -> Vec<Range<usize>> {
        let pairs = tokens.windows(2).map(|pair| [pair[0], pair[1], PAD]);
        let triples = tokens
            .windows(3)
            .map(|triple| [triple[0], triple[1], triple[2]]);
        let mut found: Vec<_> = (pairs.enumerate().chain(triples.enumerate()))
            .filter_map(|(at, ngram)| {
                let rank = self.ranks.get(&ngram)?;
                Some((Reverse(length(ngram)), *rank, at))
            })
            .collect();
        found.sort_unstable();
        // Of the unit that begins here; 0 inside of one.
        let mut lengths = vec![1; tokens.len()];
        for (Reverse(length), _, at) in found {
            let places = &mut lengths[at..at + length];
            if places.iter().all(|&place| place == 1) {
                places.fill(0);
                places[0] = length;
            }
        }
        let begin = lengths
            .iter()
            .enumerate()
            .filter(|(_, length)| **length > 0);
        begin.map(|(at, &length)| at..at + length).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::reserved::UNK;

    /// Single texts of 40 other tokens, 10 times each, so that what is tested is rare.
    fn with_others(mut texts: Vec<Vec<u32>>) -> Vec<Vec<u32>> {
        texts.extend((0..400).map(|i| vec![1000 + i % 40]));
        texts
    }

    fn learn(texts: &[Vec<u32>]) -> Collocations {
        let texts: Vec<&[u32]> = texts.iter().map(Vec::as_slice).collect();
        Collocations::learn(&texts)
    }

    fn ranked(collocations: &Collocations) -> Vec<Ngram> {
        let mut ranked: Vec<_> = collocations.ranks.iter().collect();
        ranked.sort_by_key(|(_, rank)| **rank);
        ranked.into_iter().map(|(ngram, _)| *ngram).collect()
    }

    #[test]
    fn information_by_hand() {
        // 17 tokens, 10 pairs, 4 triples; p(7) = 4/17, p(8) = 6/17, p(9) = 7/17, p(7 8) = 3/10, p(8 9) = 4/10, p(9 8) = 3/10.
        let texts = [
            &[7, 8, 9][..],
            &[7, 8, 9],
            &[7, 8, 9],
            &[7],
            &[9, 8],
            &[9, 8],
            &[9, 8, 9],
        ];
        let counts = Counts::of(&texts);
        assert_eq!(counts.totals, [17.0, 10.0, 4.0]);
        let near = |ngram, expected: f64| {
            let found = counts.pmi(ngram);
            assert!((found - expected.ln()).abs() < 1e-12, "{ngram:?}: {found}");
        };
        near([7, 8, PAD], 0.3 / (4.0 / 17.0 * 6.0 / 17.0));
        near([9, 8, PAD], 0.3 / (7.0 / 17.0 * 6.0 / 17.0));
        // Of a triple the cut that explains it best: 7 8 | 9 with .3 7/17, as 7 | 8 9 has 4/17 .4 and 7 | 8 | 9 less.
        near([7, 8, 9], 0.75 / (0.3 * 7.0 / 17.0));
    }

    #[test]
    fn collocations_are_frequent_and_beyond_chance() {
        let mut texts = vec![vec![7, 8, 9]; 10]; // always together
        texts.extend(vec![vec![10, 11]; 9]); // too seldom
        texts.extend(vec![vec![UNK, 12]; 10]);
        // 14 stands beside each of 15 to 24 ten times: by chance.
        texts.extend((0..200).map(|i| vec![14, 15 + i % 10]));
        texts.extend((0..200).map(|i| vec![15 + i % 10, 14]));
        let texts = with_others(texts);
        let found = ranked(&learn(&texts));
        // Pairs and triples stand in texts as often, but there are fewer triples, and one of them is a greater share.
        assert_eq!(found, [[7, 8, 9], [7, 8, PAD], [8, 9, PAD]]);
        let mut turned = texts.clone();
        turned.reverse();
        assert_eq!(ranked(&learn(&turned)), found);
    }

    #[test]
    fn sentences_are_cut_into_the_longest_then_the_surest() {
        let table = [
            [7, 8, 9],
            [9, 10, PAD],
            [8, 9, PAD],
            [10, 11, PAD],
            [12, 12, PAD],
        ];
        let collocations = Collocations {
            ranks: table.into_iter().zip(0..).collect(),
        };
        let units = |tokens: &[u32]| -> Vec<Vec<u32>> {
            let units = collocations.units(tokens).into_iter();
            units.map(|unit| tokens[unit].to_vec()).collect()
        };
        assert_eq!(units(&[7, 8, 9, 10, 11]), [&[7, 8, 9][..], &[10, 11]]);
        assert_eq!(units(&[8, 9, 10, 11]), [&[8][..], &[9, 10], &[11]]);
        assert_eq!(units(&[12, 12, 12, 7]), [&[12, 12][..], &[12], &[7]]);
        assert_eq!(units(&[UNK]), [[UNK]]);
        assert!(units(&[]).is_empty());
    }
}
