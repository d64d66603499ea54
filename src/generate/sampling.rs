//! Which token comes next: the largest logits, the nucleus, temperature, and a draw.
//!
//! In: logits over the vocabulary, the tokens that may come, a [`Sampling`], and a uniform number. Out: a token. The logits, divided
//! by the temperature, become probabilities of the tokens that may come; the `top_k` likeliest are kept; of those, whose
//! probabilities sum to 1 again, the likeliest that together reach `top_p`, the one that crosses it included (the nucleus, Holtzman
//! et al. 2019, <https://arxiv.org/abs/1904.09751>); one of what is left is drawn by its probability. Of equal logits the lower token
//! comes first. With `top_k = 1` the likeliest token comes for sure: greedy.

use serde::Serialize;

/// How tokens are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Sampling {
    /// How many of the likeliest tokens may be drawn; `None`: all.
    pub top_k: Option<usize>,
    /// The probability that those which may be drawn reach together, above 0; from 1 on: all.
    pub top_p: f64,
    /// Logits are divided by it; above 0. Below 1 the likely tokens become likelier.
    pub temperature: f64,
}

/// Tokens that may be drawn, the likeliest first.
#[derive(Debug, Clone, PartialEq)]
pub struct Choices {
    tokens: Vec<u32>,
    /// Weight of each token and of all before it, ascending; only what they are to each other counts.
    cumulative: Vec<f64>,
}

/// How many tokens are put in order at first; most of the time the nucleus has fewer.
const FEW: usize = 64;

impl Choices {
    /// Those of `allowed`, one token at least.
    ///
    /// # Panics
    /// Where no token is allowed, or one is beyond the logits.
    pub fn new(
        logits: &[f32],
        allowed: impl IntoIterator<Item = u32>,
        sampling: &Sampling,
    ) -> Self {
        let mut tokens: Vec<u32> = allowed.into_iter().collect();
        assert!(!tokens.is_empty(), "a token may come");
        let logit = |token: &u32| logits[*token as usize];
        let likelier =
            |one: &u32, other: &u32| logit(other).total_cmp(&logit(one)).then(one.cmp(other));
        let n_kept = sampling
            .top_k
            .unwrap_or(tokens.len())
            .clamp(1, tokens.len());
        if n_kept < tokens.len() {
            tokens.select_nth_unstable_by(n_kept - 1, likelier);
            tokens.truncate(n_kept);
            tokens.sort_unstable_by(likelier); // so that their sum has one order
        }
        let largest = tokens.iter().map(logit).fold(f32::NEG_INFINITY, f32::max);
        let weight = |token: &u32| (f64::from(logit(token) - largest) / sampling.temperature).exp();
        let wanted = match sampling.top_p < 1.0 {
            true => sampling.top_p * tokens.iter().map(weight).sum::<f64>(),
            false => f64::INFINITY,
        };
        let (mut cumulative, mut sum, mut n_sorted) = (Vec::new(), 0.0, 0);
        while n_sorted < tokens.len() && sum < wanted {
            let n = (4 * n_sorted).max(FEW).min(tokens.len());
            let (from, rest) = (n_sorted, &mut tokens[n_sorted..]);
            if n - from < rest.len() {
                rest.select_nth_unstable_by(n - from - 1, likelier);
            }
            rest[..n - from].sort_unstable_by(likelier);
            n_sorted = n;
            for token in &tokens[from..n] {
                if sum >= wanted {
                    break;
                }
                sum += weight(token);
                cumulative.push(sum);
            }
        }
        tokens.truncate(cumulative.len());
        Self { tokens, cumulative }
    }

    /// The token at `uniform`, a number from 0 up to and without 1.
    pub fn draw(&self, uniform: f64) -> u32 {
        let sum = self.cumulative[self.cumulative.len() - 1];
        let at = self
            .cumulative
            .partition_point(|&sum_so_far| sum_so_far <= uniform * sum);
        self.tokens[at.min(self.tokens.len() - 1)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Key;

    const ALL: Sampling = Sampling {
        top_k: None,
        top_p: 1.0,
        temperature: 1.0,
    };

    /// Logits whose softmax is this.
    fn logits(probabilities: &[f32]) -> Vec<f32> {
        probabilities.iter().map(|p| 3.0 + p.ln()).collect()
    }

    fn choices(probabilities: &[f32], sampling: Sampling) -> Choices {
        let all = 0..probabilities.len() as u32;
        Choices::new(&logits(probabilities), all, &sampling)
    }

    #[test]
    fn the_token_that_crosses_top_p_is_kept() {
        let p = [0.2, 0.5, 0.05, 0.25];
        let kept = |top_p| choices(&p, Sampling { top_p, ..ALL }).tokens;
        assert_eq!(kept(0.4), [1]);
        assert_eq!(kept(0.51), [1, 3]);
        assert_eq!(kept(0.74), [1, 3]);
        assert_eq!(kept(0.76), [1, 3, 0]);
        assert_eq!(kept(1e-9), [1]);
        assert_eq!(kept(1.0), [1, 3, 0, 2]);
    }

    #[test]
    fn top_p_is_of_what_top_k_has_left() {
        // Of .5 and .25 the first is two thirds.
        let p = [0.2, 0.5, 0.05, 0.25];
        let kept = |top_p| {
            let sampling = Sampling {
                top_k: Some(2),
                top_p,
                ..ALL
            };
            choices(&p, sampling).tokens
        };
        assert_eq!(kept(0.6), [1]);
        assert_eq!(kept(0.7), [1, 3]);
    }

    #[test]
    fn top_k_of_one_is_the_likeliest_and_of_equals_the_lowest() {
        let greedy = Sampling {
            top_k: Some(1),
            ..ALL
        };
        let choices = choices(&[0.1, 0.4, 0.4, 0.1], greedy);
        for uniform in [0.0, 0.5, 1.0 - f64::EPSILON] {
            assert_eq!(choices.draw(uniform), 1);
        }
    }

    #[test]
    fn what_is_not_allowed_never_comes() {
        let logits = logits(&[0.9, 0.06, 0.04]);
        let choices = Choices::new(&logits, [1, 2], &ALL);
        assert_eq!(choices.tokens, [1, 2]);
        assert_eq!((choices.draw(0.59), choices.draw(0.61)), (1, 2));
    }

    #[test]
    fn a_wide_nucleus_is_found_whole_and_in_order() {
        // 1000 tokens, each a little likelier than the one before it.
        let logits: Vec<f32> = (0..1000).map(|token| token as f32 * 1e-4).collect();
        let sampling = Sampling { top_p: 0.5, ..ALL };
        let choices = Choices::new(&logits, 0..1000, &sampling);
        let n = choices.tokens.len() as u32;
        let expected: Vec<u32> = (1000 - n..1000).rev().collect();
        assert_eq!(choices.tokens, expected);
        let mass = |tokens: &[u32]| -> f64 {
            let each = tokens
                .iter()
                .map(|&token| f64::from(logits[token as usize]).exp());
            each.sum()
        };
        let all: Vec<u32> = (0..1000).collect();
        let half = mass(&all) / 2.0;
        assert!(mass(&choices.tokens) >= half && mass(&choices.tokens[..n as usize - 1]) < half);
    }

    #[test]
    fn draws_follow_the_probabilities_at_any_temperature() {
        let p = [0.2, 0.5, 0.05, 0.25];
        let key = Key::from_seed(8);
        let n = 40_000;
        for temperature in [0.5, 1.0, 2.0] {
            let choices = choices(&p, Sampling { temperature, ..ALL });
            let mut counts = [0usize; 4];
            for i in 0..n {
                counts[choices.draw(key.uniform(i)) as usize] += 1;
            }
            let powers = p.map(|p| f64::from(p).powf(1.0 / temperature));
            let sum: f64 = powers.iter().sum();
            for (count, power) in counts.iter().zip(powers) {
                let (found, expected) = (*count as f64 / n as f64, power / sum);
                let error = (expected * (1.0 - expected) / n as f64).sqrt();
                assert!((found - expected).abs() < 4.0 * error, "{counts:?}");
            }
        }
    }
}
