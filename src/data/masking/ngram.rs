//! Spans of 1, 2 and 3 tokens for the MLM, as the winners of GAIIC 2021 track 3 draw them.
//!
//! In: the number of tokens of a text, the share of them that is wanted, random numbers. Out: disjoint spans from left to right.
//! Lengths are drawn with 70, 20 and 10 %; a text of fewer than 7 tokens has no span of 3, one of fewer than 4 none of 2 either (what
//! is left keeps its proportions). The token after a span is never masked. Does not look at the tokens.
//!
//! # The law
//! A text is a window on an endless one that is read from left to right: a token stays with probability 1 - p, or a span of n
//! tokens and the one after it are taken with probability p. With m the mean of n, a renewal has 1 + p m tokens, p m of them
//! masked: the share is s = p m / (1 + p m), hence **p = s / (m (1 - s))**, which is at most 1 for s up to m / (1 + m). The first token of
//! a text stands anywhere in a renewal: the last r tokens of a span begin the text with probability p P(n >= r) / (1 + p m). So each
//! token of each text is masked with probability s, whatever its place and the length of the text. The price is that spans at both
//! ends may be cut.

use std::ops::Range;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// Weights of spans of 1, 2 and 3 tokens.
const WEIGHTS: [u32; 3] = [7, 2, 1];

/// The greatest share that texts of every length can have: every other token, where all spans have one token.
pub const MOST_SHARE: f64 = 0.5;

/// Weights of the lengths, from 1, that a text of `n` tokens may have.
fn weights(n: usize) -> &'static [u32] {
    match n {
        0..4 => &WEIGHTS[..1],
        4..7 => &WEIGHTS[..2],
        _ => &WEIGHTS,
    }
}

/// The spans of a text of `n` tokens, from left to right. A share above what its lengths allow counts as the greatest there is.
pub(super) fn spans(n: usize, share: f64, rng: &mut ChaCha8Rng) -> Vec<Range<usize>> {
    let weights = weights(n);
    let total = f64::from(weights.iter().sum::<u32>());
    // P(n >= r) for r = 1, 2, …; they add up to the mean length.
    let at_least: Vec<f64> = (0..weights.len())
        .map(|shorter| f64::from(weights[shorter..].iter().sum::<u32>()) / total)
        .collect();
    let mean: f64 = at_least.iter().sum();
    let start = (share / (mean * (1.0 - share))).min(1.0);

    let mut x = rng.random::<f64>() * (1.0 + start * mean);
    let begins_with = |at_least: &f64| {
        x -= start * at_least;
        x < 0.0
    };
    let rest = at_least.iter().position(begins_with).map_or(0, |r| r + 1);
    let mut spans = Vec::new();
    let mut add = |span: Range<usize>| {
        let inside = span.start..span.end.min(n);
        if !inside.is_empty() {
            spans.push(inside);
        }
    };
    add(0..rest);
    let mut at = rest + 1; // where the span is over, or where there is none
    while at < n {
        if rng.random::<f64>() < start {
            let length = draw_length(weights, rng);
            add(at..at + length);
            at += length;
        }
        at += 1;
    }
    spans
}

fn draw_length(weights: &[u32], rng: &mut ChaCha8Rng) -> usize {
    let mut x = rng.random_range(0..weights.iter().sum::<u32>());
    let is_drawn = |weight: &u32| match x.checked_sub(*weight) {
        Some(rest) => {
            x = rest;
            false
        }
        None => true,
    };
    weights.iter().position(is_drawn).map_or(1, |at| at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Key;

    fn drawn(n: usize, share: f64, seed: u64) -> Vec<Range<usize>> {
        spans(n, share, &mut Key::from_seed(seed).rng())
    }

    /// Within four standard errors of a share `p` among `n`.
    fn assert_near(found: usize, n: usize, p: f64, what: &str) {
        let share = found as f64 / n as f64;
        let bound = 4.0 * (p * (1.0 - p) / n as f64).sqrt();
        assert!((share - p).abs() < bound, "{what}: {share} is not near {p}");
    }

    #[test]
    fn every_token_of_every_text_is_masked_with_the_probability_asked_for() {
        const TEXTS: u64 = 40_000;
        for share in [0.15, 0.4, MOST_SHARE] {
            for n in [1, 2, 3, 4, 6, 7, 13] {
                let mut masked = vec![0; n];
                for seed in 0..TEXTS {
                    let spans = drawn(n, share, seed);
                    spans.into_iter().flatten().for_each(|at| masked[at] += 1);
                }
                for (at, &count) in masked.iter().enumerate() {
                    let what = format!("token {at} of {n}");
                    assert_near(count, TEXTS as usize, share, &what);
                }
            }
        }
    }

    #[test]
    fn lengths_of_long_texts_are_seventy_twenty_ten() {
        const TOKENS: usize = 400_000;
        let spans = drawn(TOKENS, 0.15, 1);
        let of_length = |length| spans.iter().filter(|span| span.len() == length).count();
        for (length, share) in [(1, 0.7), (2, 0.2), (3, 0.1)] {
            assert_near(of_length(length), spans.len(), share, "length");
        }
        // A renewal has one token that is not masked, and p of the renewals begin with a span.
        let (mean, share) = (1.4, 0.15);
        let renewals = (TOKENS as f64 * (1.0 - share)) as usize;
        let start = share / (mean * (1.0 - share));
        assert_near(spans.len(), renewals, start, "spans");
    }

    #[test]
    fn short_texts_have_no_long_spans_and_no_two_spans_touch() {
        let mut longest = [0; 12];
        for (n, longest) in longest.iter_mut().enumerate() {
            for seed in 0..3000 {
                let spans = drawn(n, 0.3, seed);
                assert!(spans.iter().all(|span| !span.is_empty() && span.end <= n));
                assert!(spans.windows(2).all(|two| two[0].end < two[1].start));
                let lengths = spans.iter().map(Range::len);
                *longest = lengths.fold(*longest, usize::max);
            }
        }
        assert_eq!(longest, [0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3]);
    }

    #[test]
    fn a_share_of_nothing_and_one_that_cannot_be() {
        for seed in 0..100 {
            assert!(drawn(20, 0.0, seed).is_empty());
            // One token of two, and no more.
            let spans = drawn(3, 1.0, seed);
            let starts: Vec<usize> = spans.into_iter().map(|span| span.start).collect();
            assert!(starts == [0, 2] || starts == [1], "{starts:?}");
        }
    }
}
