//! Which of several candidates is the right one: the loss over rows that share a text (NSP-tuning over the labels of a text, Sun et al.
//! 2021, <https://arxiv.org/abs/2109.03564>).
//!
//! In: rows of pairs, and which of their two texts is the candidate. Two rows or more with the same other text, as it
//! was read, belong to one question, if one of them at least has label 1 (of soft labels: more than one half); of a candidate alone
//! there is nothing to learn. Out: the rows of a question together, and of their margins m the loss
//! `-sum over i of t_i log softmax(m)_i`, where t is 1 for the right candidate, and of several or of soft labels their share. Label
//! smoothing by ε makes t of n candidates `(1 - ε) t + ε / n`, as of n classes. The mean is over the candidates, each with the loss of
//! its question, so that parts of a step add up. Knows no network.

use std::ops::Range;

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::data::{EncodedExample, Target, TextIdentity};

/// `objective.candidates`: which text of a pair is the candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Candidates {
    /// The first text: rows with the same second text are one question.
    First,
    /// The second text: rows with the same first text are one question.
    Second,
}

impl Candidates {
    /// As it is written in a config.
    pub fn name(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Second => "second",
        }
    }

    /// The other text of a pair.
    pub fn other(self) -> Self {
        match self {
            Self::First => Self::Second,
            Self::Second => Self::First,
        }
    }
}

/// Which rows of a stage belong together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Questions {
    /// The rows of each question, ascending.
    rows: Vec<Vec<usize>>,
    /// The question of each row; none where it has no label, stands alone, or nobody knows the right candidate.
    of_row: Vec<Option<usize>>,
}

impl Questions {
    /// Those of the rows.
    pub fn of(rows: &[EncodedExample], candidates: Candidates) -> Self {
        let mut by_text: FxHashMap<TextIdentity, Vec<usize>> = FxHashMap::default();
        for (number, row) in rows.iter().enumerate() {
            let shared = row.pair_identities().map(|[a, b]| match candidates {
                Candidates::First => b,
                Candidates::Second => a,
            });
            if let Some(text) = shared.filter(|_| row.target.tells_class()) {
                by_text.entry(text).or_default().push(number);
            }
        }
        let is_question = |numbers: &Vec<usize>| {
            let mut targets = numbers.iter().map(|&number| &rows[number].target);
            numbers.len() > 1 && targets.any(|target| share(target) > 0.5)
        };
        let mut questions: Vec<Vec<usize>> = by_text.into_values().filter(is_question).collect();
        questions.sort_unstable();
        let mut of_row = vec![None; rows.len()];
        for (question, numbers) in questions.iter().enumerate() {
            numbers
                .iter()
                .for_each(|&number| of_row[number] = Some(question));
        }
        Self {
            rows: questions,
            of_row,
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The question of a row, and its rows where this is the first of them: so that an epoch asks each question once. None for a row
    /// that is no candidate.
    pub fn at(&self, number: usize) -> Option<(usize, &[usize])> {
        let question = self.of_row[number]?;
        let rows = &self.rows[question];
        let is_first = rows[0] == number;
        Some((question, if is_first { rows } else { &[] }))
    }
}

/// How much of label 1 a target has, 0 to 1.
fn share(target: &Target) -> f32 {
    target.probability(1).unwrap_or(0.0)
}

/// The mean loss of candidates with these margins (n), and its gradient by each. Candidates of one question (n) stand together;
/// `smoothing`, 0 to 1, is the certainty that the right one loses to all of its question.
///
/// # Panics
/// Where lengths differ, or a question has no label above 0.
pub fn value_and_gradient(
    margins: &[f32],
    questions: &[usize],
    targets: &[Target],
    smoothing: f64,
) -> (f32, Vec<f32>) {
    let n = margins.len();
    assert_eq!((questions.len(), targets.len()), (n, n), "one a candidate");
    let (mut value, mut gradient) = (0.0, Vec::with_capacity(n));
    let mut start = 0;
    for question in questions.chunk_by(|a, b| a == b) {
        let candidates: Range<usize> = start..start + question.len();
        start = candidates.end;
        let margins = &margins[candidates.clone()];
        let shares: Vec<f32> = targets[candidates].iter().map(share).collect();
        let sum: f32 = shares.iter().sum();
        assert!(sum > 0.0, "a right candidate");
        let most = margins.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let odds = margins.iter().map(|&m| f64::from(m - most).exp());
        let odds: Vec<f64> = odds.collect();
        let total: f64 = odds.iter().sum();
        let weight = margins.len() as f64 / n as f64;
        let each = smoothing / margins.len() as f64;
        for ((&margin, odds), share) in margins.iter().zip(odds).zip(shares) {
            let wanted = (1.0 - smoothing) * f64::from(share / sum) + each;
            let logarithm = f64::from(margin - most) - total.ln();
            value -= weight * wanted * logarithm;
            gradient.push((weight * (odds / total - wanted)) as f32);
        }
    }
    (value as f32, gradient)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(a: u32, b: Option<u32>, target: Target) -> EncodedExample {
        EncodedExample {
            a: vec![a],
            b: b.map(|b| vec![b]),
            target,
            text_numbers: None,
        }
    }

    fn rows() -> Vec<EncodedExample> {
        vec![
            row(1, Some(20), false.into()),
            row(1, Some(10), true.into()),
            row(2, Some(10), false.into()),
            row(3, Some(10), Target::Unknown),
            row(2, Some(20), true.into()),
            row(1, Some(30), false.into()), // nobody knows the right one
            row(1, None, Target::Unknown),
        ]
    }

    #[test]
    fn rows_with_the_same_other_text_are_one_question_if_one_of_them_is_right() {
        let found = Questions::of(&rows(), Candidates::First);
        assert_eq!(found.rows, [vec![0, 4], vec![1, 2]]);
        let rows_at = [
            Some((0, &[0, 4][..])),
            Some((1, &[1, 2])),
            Some((1, &[])),
            None,
            Some((0, &[])),
            None,
            None,
        ];
        for (number, expected) in rows_at.into_iter().enumerate() {
            assert_eq!(found.at(number), expected, "{number}");
        }
        let found = Questions::of(&rows(), Candidates::Second);
        assert_eq!(found.rows, [vec![0, 1, 5], vec![2, 4]]);
    }

    #[test]
    fn questions_that_look_alike_and_are_not_are_two() {
        let numbered = |b: u32, target: bool, question: u32| EncodedExample {
            text_numbers: Some([question, 10 + b]),
            ..row(1, Some(b), target.into())
        };
        let rows = [
            numbered(20, true, 0),
            numbered(21, false, 1),
            numbered(20, false, 1),
            numbered(21, true, 1),
            numbered(22, false, 0),
        ];
        let found = Questions::of(&rows, Candidates::Second);
        assert_eq!(found.rows, [vec![0, 4], vec![1, 2, 3]]);
        let found = Questions::of(&rows, Candidates::First);
        assert_eq!(found.rows, [vec![0, 2], vec![1, 3]]);
    }

    #[test]
    fn a_candidate_alone_is_no_question() {
        let mut rows = rows();
        rows.push(row(7, Some(70), true.into()));
        rows.push(row(8, Some(70), Target::Unknown));
        let found = Questions::of(&rows, Candidates::First);
        assert_eq!((found.rows.len(), found.at(7)), (2, None));
        assert!(!found.is_empty());
        assert!(Questions::of(&rows[7..], Candidates::First).is_empty());
    }

    #[test]
    fn the_loss_is_that_of_a_softmax_over_each_question() {
        // Three candidates, of which the second is right; two, of which the first is: -ln(e^1 / (e^0 + e^1 + e^-1)) and
        // -ln(e^.5 / (e^.5 + e^2)), three fifths of the one and two of the other.
        let margins = [0.0, 1.0, -1.0, 0.5, 2.0];
        let targets = [false, true, false, true, false].map(Target::from);
        let (value, gradient) = value_and_gradient(&margins, &[7, 7, 7, 3, 3], &targets, 0.0);
        let first = (1.0 + 1.0_f64.exp() + (-1.0_f64).exp()).ln() - 1.0;
        let second = 1.5_f64.exp().ln_1p();
        assert!((f64::from(value) - (0.6 * first + 0.4 * second)).abs() < 1e-6);
        for at in 0..5 {
            let moved = |by: f32| {
                let mut margins = margins;
                margins[at] += by;
                value_and_gradient(&margins, &[7, 7, 7, 3, 3], &targets, 0.0).0
            };
            let slope = (moved(1e-2) - moved(-1e-2)) / 2e-2;
            assert!((slope - gradient[at]).abs() < 1e-4, "{at}");
        }
    }

    #[test]
    fn smoothing_takes_the_same_certainty_from_few_candidates_and_from_many() {
        // At equal margins the gradient is 1 / n - t, so that t can be read from it.
        for n in [2, 5, 20, 50] {
            let targets: Vec<Target> = (0..n).map(|number| (number == 1).into()).collect();
            let margins = vec![0.5; n];
            let (value, gradient) = value_and_gradient(&margins, &vec![0; n], &targets, 0.1);
            let even = 1.0 / n as f32;
            for (number, slope) in gradient.into_iter().enumerate() {
                let wanted = if number == 1 {
                    0.9 + 0.1 * even
                } else {
                    0.1 * even
                };
                assert!((even - slope - wanted).abs() < 1e-6, "{number} of {n}");
            }
            assert!((value - (n as f32).ln()).abs() < 1e-5, "{value}");
        }
        // Margins ln 3 and 0 say 3/4 and 1/4; wanted are .9 and .1.
        let targets = [true, false].map(Target::from);
        let (value, gradient) = value_and_gradient(&[3.0_f32.ln(), 0.0], &[0, 0], &targets, 0.2);
        let expected = -(0.9 * 0.75_f32.ln() + 0.1 * 0.25_f32.ln());
        assert!((value - expected).abs() < 1e-6, "{value} {expected}");
        assert!((gradient[0] + 0.15).abs() < 1e-6 && (gradient[1] - 0.15).abs() < 1e-6);
    }

    #[test]
    fn several_right_candidates_share_and_far_margins_do_not_overflow() {
        let both = [true, true].map(Target::from);
        let (value, gradient) = value_and_gradient(&[3.0, 3.0], &[0, 0], &both, 0.0);
        assert!((value - 2.0_f32.ln()).abs() < 1e-6);
        assert_eq!(gradient, [0.0, 0.0]);
        let one = [true, false].map(Target::from);
        let (value, gradient) = value_and_gradient(&[-300.0, 300.0], &[0, 0], &one, 0.0);
        assert_eq!((value, gradient), (600.0, vec![-1.0, 1.0]));
        let (value, gradient) = value_and_gradient(&[5.0], &[0], &one[..1], 0.0);
        assert_eq!(
            (value, gradient),
            (0.0, vec![0.0]),
            "one candidate is no choice"
        );
    }
}
