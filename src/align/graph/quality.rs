//! What is known of a solution without a key: the confidence of each pair, and figures of the whole.
//!
//! In: scores and map of the last round. Out: [`Match`]es and [`Quality`].

use super::cooccurrence::Graph;
use super::likelihood::Map;
use super::solution::{Band, Candidate, Match};

/// Ranks at which a band of the cipher begins.
const BANDS: [usize; 6] = [0, 100, 300, 1000, 3000, 10_000];
/// How much better a candidate must score to be e times as likely.
const TEMPERATURE: f32 = 0.05;
/// Candidates of a match.
const CANDIDATES: usize = 3;

/// Fitted on 2026-11-30 to ciphers of ten sources by character whose key is known, each against the other nine as plaintext. An id weighs the
/// root of its count, every source the same. `experiments/confidence.py` makes it and tells the calibration error of each source that is
/// left out of the fit.
pub(super) const CONFIDENCE: Confidence = Confidence {
    constant: -10.96,
    margin: 9.19,
    mutual: 0.99,
    logarithm_of_count: 0.60,
    stability: 8.32,
};

/// Weights of a logistic function of "the first candidate is right".
pub(super) struct Confidence {
    pub constant: f32,
    pub margin: f32,
    pub mutual: f32,
    pub logarithm_of_count: f32,
    /// Of the share of tokens that all starts agree on. A pair in a map that is wrong throughout looks like one in a right map; this does not.
    pub stability: f32,
}

impl Confidence {
    /// Chance that a pair of this `margin` is right.
    pub fn of(&self, margin: f32, figures: &Figures) -> f32 {
        let sum = self.constant
            + self.margin * margin.clamp(-0.5, 0.5)
            + self.mutual * f32::from(u8::from(figures.mutual))
            + self.logarithm_of_count * (figures.count.max(1.0).ln() as f32).min(8.0)
            + self.stability * figures.stability as f32;
        1.0 / (1.0 + (-sum).exp())
    }
}

/// Figures of a pair beside its scores.
#[derive(Clone, Copy)]
pub(super) struct Figures {
    /// Whether each is the other's best.
    pub mutual: bool,
    /// Occurrences of the cipher type.
    pub count: f64,
    /// Of the search, 0 to 1.
    pub stability: f64,
}

/// The match of one cipher type: what the map says first, then the best of the other candidates. `scores` are best
/// first and by plaintext rank; `types` turns ranks into type numbers.
pub(super) fn matched(
    plain: u32,
    scores: &[(u32, f32)],
    figures: &Figures,
    types: &[u32],
) -> Match {
    let others = || scores.iter().filter(|entry| entry.0 != plain);
    let lowest = scores.last().map_or(0.0, |entry| entry.1);
    let own = scores
        .iter()
        .find(|entry| entry.0 == plain)
        .map_or(lowest, |entry| entry.1);
    let margin = others().next().map_or(0.0, |next| own - next.1);
    let confidence = CONFIDENCE.of(margin, figures);
    // Half of what is left goes to the others: the right type may stand beyond them.
    let others: Vec<(u32, f32)> = others()
        .take(CANDIDATES - 1)
        .map(|&(other, score)| (other, ((score - own) / TEMPERATURE).min(0.0).exp()))
        .collect();
    let sum: f32 = others.iter().map(|other| other.1).sum();
    let share = 0.5 * (1.0 - confidence) / sum.max(1.0);
    let mut candidates = vec![Candidate {
        plain: types[plain as usize],
        weight: confidence,
    }];
    candidates.extend(others.iter().map(|&(other, weight)| Candidate {
        plain: types[other as usize],
        weight: (weight * share).min(confidence),
    }));
    Match {
        candidates,
        margin,
        mutual: figures.mutual,
        confidence,
    }
}

/// Types, tokens and trusted tokens by frequency band; `total` counts all tokens of the side, `matches` are by type.
pub(super) fn coverage(cipher: &Graph, total: f64, matches: &[Match]) -> Vec<Band> {
    let ends = BANDS[1..].iter().copied().chain([usize::MAX]);
    let bands = BANDS
        .iter()
        .zip(ends)
        .map(|(&begin, end)| begin..end.min(cipher.n()));
    let band = |ranks: std::ops::Range<usize>| {
        let tokens: f64 = cipher.counts[ranks.clone()].iter().sum();
        let is_trusted = |rank: &usize| matches[cipher.types[*rank] as usize].confidence > 0.5;
        let trusted: f64 = ranks
            .clone()
            .filter(is_trusted)
            .map(|rank| cipher.counts[rank])
            .sum();
        Band {
            types: ranks.len(),
            tokens: tokens / total,
            trusted: trusted / tokens.max(f64::MIN_POSITIVE),
            ranks,
        }
    };
    bands.filter(|ranks| !ranks.is_empty()).map(band).collect()
}

/// Share of the cipher's tokens (among those of its types) that two maps agree on.
pub(super) fn agreement(cipher: &Graph, a: &Map, b: &Map) -> f64 {
    let pairs = cipher.counts.iter().zip(a.iter().zip(b));
    let (mut same, mut all) = (0.0, 0.0);
    for (count, (a, b)) in pairs {
        all += count;
        if a.is_some() && a == b {
            same += count;
        }
    }
    same / f64::max(all, f64::MIN_POSITIVE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn confidence_rises_with_margin_mutuality_frequency_and_stability() {
        let figures = Figures {
            mutual: false,
            count: 10.0,
            stability: 0.9,
        };
        let base = CONFIDENCE.of(0.1, &figures);
        assert!(CONFIDENCE.of(0.2, &figures) > base);
        let better = [
            Figures {
                mutual: true,
                ..figures
            },
            Figures {
                count: 100.0,
                ..figures
            },
            Figures {
                stability: 0.95,
                ..figures
            },
        ];
        for better in &better {
            assert!(CONFIDENCE.of(0.1, better) > base);
        }
    }

    #[test]
    fn a_frequent_mutual_pair_is_believed_in_a_stable_map_alone() {
        let of = |stability| {
            let figures = Figures {
                mutual: true,
                count: 1000.0,
                stability,
            };
            CONFIDENCE.of(0.15, &figures)
        };
        assert!(of(0.97) > 0.9, "{}", of(0.97));
        assert!(of(0.3) < 0.25, "{}", of(0.3));
    }

    #[test]
    fn the_map_comes_first_and_weights_sum_to_one_or_less() {
        // The climb chose plaintext rank 2, which scores second: the margin is negative.
        let scores = [(0, 0.5), (2, 0.375), (1, 0.25), (3, 0.0)];
        let figures = Figures {
            mutual: false,
            count: 50.0,
            stability: 0.9,
        };
        let found = matched(2, &scores, &figures, &[10, 11, 12, 13]);
        let plain: Vec<u32> = found.candidates.iter().map(|c| c.plain).collect();
        assert_eq!(plain, [12, 10, 11]);
        assert_eq!(found.margin, -0.125);
        assert!(found.candidates.iter().map(|c| c.weight).sum::<f32>() <= 1.0);
        assert!(
            found
                .candidates
                .iter()
                .all(|c| c.weight <= found.confidence)
        );
    }
}
