//! CoSENT: every row's score above those of all rows with a lower label (<https://kexue.fm/archives/8847>, interactive form:
//! <https://kexue.fm/archives/9341>).
//!
//! Loss: `L = log(1 + sum over pairs of rows with y_i < y_j of exp(f_i - f_j))` over the labelled rows of the batch, plus
//! `mlm_weight` times the MLM loss. f is one number a row: the output of a linear head, which learns its own scale (lambda = 1),
//! or the margin of `[YES]` over `[NO]`. Only the order of the labels counts; equal labels are no pair. The loss is not divided by
//! the number of pairs; without a pair it is 0. At most e^L - 1 pairs of the batch are the wrong way round. Scores: f, which is no
//! logit, as the same number may be added to all. Nearest relative: [`super::ce`] for 0 and 1; CoSENT also takes ordinals.
//!
//! The sum separates: `sum over j of e^(-f_j) times the sum of e^(f_i) of lower labels`. After sorting by label it is one pass up
//! for the value and one down for the gradient, O(B log B), in logarithms so that no exponential overflows.

use super::joint::LabelLoss;
use super::number::OneNumber;
use super::{Recipe, StepTape};
use crate::data::LabelKind;
use crate::model::ops;
use crate::model::tensor::Vector;

/// The entry of the table.
pub const RECIPE: Recipe = Recipe {
    name: "cosent",
    labels: &[LabelKind::Binary, LabelKind::Ordinal],
    mlm_weight: 0.0,
    scores_are_logits: false,
    make: |options, answers| OneNumber::boxed(options, answers, (loss, 0.0)),
};

fn loss(scores: Vector<StepTape>, labels: Vec<f32>) -> LabelLoss {
    LabelLoss {
        loss: ops::closed_form(scores, |scores| value_and_gradient(scores, &labels)),
        n: 1, // one loss a batch, whatever its rows
    }
}

/// The loss of scores (B) with labels (B), and its gradient by each score.
///
/// # Panics
/// Where there is not one label a score.
pub fn value_and_gradient(scores: &[f32], labels: &[f32]) -> (f32, Vec<f32>) {
    assert_eq!(scores.len(), labels.len(), "one label a score");
    let f = |row: usize| f64::from(scores[row]);
    let mut by_label: Vec<usize> = (0..scores.len()).collect();
    by_label.sort_by(|&i, &j| labels[i].total_cmp(&labels[j]));
    // `==` and not `total_cmp`, so that -0 and 0 are one label.
    let groups: Vec<&[usize]> = by_label.chunk_by(|&i, &j| labels[i] == labels[j]).collect();

    // Up: ln of the sum of e^(f_i) of all lower labels, for each group.
    let mut below = Vec::with_capacity(groups.len());
    let (mut lower, mut total) = (LogSum::default(), LogSum::default());
    total.add(0.0);
    for group in &groups {
        below.push(lower.logarithm());
        group
            .iter()
            .for_each(|&j| total.add(lower.logarithm() - f(j)));
        group.iter().for_each(|&i| lower.add(f(i)));
    }
    let value = total.logarithm();

    // Down: ln of the sum of e^(-f_j) of all higher labels.
    let mut gradient = vec![0.0; scores.len()];
    let mut higher = LogSum::default();
    for (group, below) in groups.iter().zip(below).rev() {
        for &row in *group {
            let as_lower = (f(row) + higher.logarithm() - value).exp();
            let as_higher = (below - f(row) - value).exp();
            gradient[row] = (as_lower - as_higher) as f32;
        }
        group.iter().for_each(|&j| higher.add(-f(j)));
    }
    (value as f32, gradient)
}

/// ln of a sum of exponentials, term by term.
struct LogSum {
    greatest: f64,
    /// Of e^(term - greatest).
    sum: f64,
}

impl Default for LogSum {
    fn default() -> Self {
        Self {
            greatest: f64::NEG_INFINITY,
            sum: 0.0,
        }
    }
}

impl LogSum {
    fn add(&mut self, term: f64) {
        if term == f64::NEG_INFINITY {
            return;
        }
        if term > self.greatest {
            self.sum *= (self.greatest - term).exp();
            self.greatest = term;
        }
        self.sum += (term - self.greatest).exp();
    }

    /// Minus infinity where nothing was added.
    fn logarithm(&self) -> f64 {
        self.greatest + self.sum.ln()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Key;

    /// The sum over all pairs as it is written.
    fn naive(scores: &[f32], labels: &[f32]) -> (f64, Vec<f64>) {
        let f = |i: usize| f64::from(scores[i]);
        let n = scores.len();
        let pairs = || {
            (0..n)
                .flat_map(|i| (0..n).map(move |j| (i, j)))
                .filter(|&(i, j)| labels[i] < labels[j])
        };
        let whole = 1.0 + pairs().map(|(i, j)| (f(i) - f(j)).exp()).sum::<f64>();
        let mut gradient = vec![0.0; n];
        for (i, j) in pairs() {
            let weight = (f(i) - f(j)).exp() / whole;
            gradient[i] += weight;
            gradient[j] -= weight;
        }
        (whole.ln(), gradient)
    }

    #[test]
    fn published_values() {
        let scores = [0.3, -0.2, 0.5, 0.1];
        let cases: [(f32, &[f32], f64); 4] = [
            (1.0, &[1.0, 0.0, 0.0, 1.0], 1.621_480_377_2),
            (20.0, &[1.0, 0.0, 0.0, 1.0], 8.018_480_133_8),
            (1.0, &[3.0, 2.0, 1.0, 2.0], 1.967_425_814_7),
            (1.0, &[2.0; 4], 0.0),
        ];
        for (lambda, labels, expected) in cases {
            let scaled = scores.map(|score| score * lambda);
            let (value, gradient) = value_and_gradient(&scaled, labels);
            assert!(
                (f64::from(value) - expected).abs() < 1e-6,
                "{value} {expected}"
            );
            if expected == 0.0 {
                assert_eq!(gradient, [0.0; 4]);
            }
        }
        assert_eq!(value_and_gradient(&[], &[]), (0.0, vec![]));
    }

    #[test]
    fn equals_the_sum_over_all_pairs_with_ties() {
        for seed in 0..20 {
            let key = Key::from_seed(seed);
            let n = 2 + (key.bits(0) % 60) as usize;
            let n_labels = 1 + key.bits(1) % 6;
            let labels: Vec<f32> = (0..n)
                .map(|i| (key.at(1).bits(i as u64) % n_labels) as f32 - 1.0)
                .collect();
            let scores: Vec<f32> = (0..n)
                .map(|i| (key.at(2).bits(i as u64) % 40) as f32 / 5.0 - 4.0)
                .collect();
            let (value, gradient) = value_and_gradient(&scores, &labels);
            let (expected, expected_gradient) = naive(&scores, &labels);
            assert!(
                (f64::from(value) - expected).abs() < 1e-5,
                "{value} {expected}"
            );
            for (found, expected) in gradient.iter().zip(&expected_gradient) {
                assert!(
                    (f64::from(*found) - expected).abs() < 1e-5,
                    "{found} {expected}"
                );
            }
        }
    }

    #[test]
    fn far_scores_stay_finite_and_only_the_order_of_labels_counts() {
        let (value, gradient) = value_and_gradient(&[1e4, -1e4, 0.0], &[0.0, 1.0, 2.0]);
        assert_eq!(value, 2e4);
        assert_eq!(gradient, [1.0, -1.0, 0.0]);
        let scores = [0.5, -1.0, 2.0, 0.1];
        let (near, far) = ([3.0, 2.0, 1.0, 3.0], [10.0, 7.0, -1.0, 10.0]);
        assert_eq!(
            value_and_gradient(&scores, &near),
            value_and_gradient(&scores, &far)
        );
    }
}
