//! What is said of each row of a submission.
//!
//! In: scores, the task, and which columns are asked for. Out: one text a column and row. Knows no files and no ids.

use crate::config::SubmitConfig;
use crate::data::{LabelKind, Scores, Task};
use crate::error::Result;
use crate::metrics::likeliest;
use crate::workbench::number::{of_probability, of_score, probability, require_finite};

/// The columns beside the id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Columns {
    /// One score.
    Score,
    /// The name of the likeliest class.
    Label,
    /// A column for each class, by its number.
    Each(Vec<usize>),
}

/// Columns, and what their numbers are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Form {
    /// Beside the id.
    pub columns: Columns,
    /// Numbers from 0 to 1 in the place of scores.
    pub probability: bool,
}

impl Form {
    /// That of `[submit]` without a sample.
    pub fn of(submit: &SubmitConfig, task: &Task) -> Self {
        let columns = match task.labels {
            LabelKind::Multilabel => Columns::Each((0..task.classes.len()).collect()),
            LabelKind::Classes => Columns::Label,
            LabelKind::Binary | LabelKind::Ordinal => Columns::Score,
        };
        Self {
            columns,
            probability: submit.probability,
        }
    }

    /// One entry a row, with one text a column.
    ///
    /// # Errors
    /// [`Error::Refused`](crate::error::Error::Refused) for a score that is not finite.
    pub fn answers(&self, scores: &Scores, task: &Task) -> Result<Vec<Vec<String>>> {
        let answer = |(row, scores): (usize, &[f32])| {
            let mut finite = scores.iter().map(|&score| require_finite(score, row));
            finite.try_for_each(|outcome| outcome)?;
            Ok(self.answer(scores, task))
        };
        scores.rows().enumerate().map(answer).collect()
    }

    fn answer(&self, scores: &[f32], task: &Task) -> Vec<String> {
        match &self.columns {
            Columns::Label => vec![task.classes[likeliest(scores) as usize].clone()],
            Columns::Score if self.probability => {
                vec![of_probability(probability(scores[0].into()))]
            }
            Columns::Score => vec![of_score(scores[0])],
            Columns::Each(classes) if self.probability => {
                let probabilities = probabilities(scores, task.labels);
                let each = classes.iter();
                each.map(|&class| of_probability(probabilities[class]))
                    .collect()
            }
            Columns::Each(classes) => {
                let each = classes.iter();
                each.map(|&class| of_score(scores[class])).collect()
            }
        }
    }
}

/// One a class: they add up to 1, but for several labels.
fn probabilities(scores: &[f32], labels: LabelKind) -> Vec<f64> {
    match (labels, scores) {
        (LabelKind::Binary, &[score]) => {
            vec![probability((-score).into()), probability(score.into())]
        }
        (LabelKind::Classes, scores) => {
            let largest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let powers = scores.iter().map(|&x| f64::from(x - largest).exp());
            let powers: Vec<f64> = powers.collect();
            let sum: f64 = powers.iter().sum();
            powers.into_iter().map(|power| power / sum).collect()
        }
        (_, scores) => scores.iter().map(|&x| probability(x.into())).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(labels: LabelKind, classes: &[&str]) -> Task {
        Task {
            labels,
            classes: classes.iter().map(|&name| name.to_owned()).collect(),
            ..Task::default()
        }
    }

    fn numbers(form: &Form, scores: &[f32], task: &Task) -> Vec<f64> {
        let scores = Scores {
            width: scores.len(),
            values: scores.to_vec(),
        };
        let answers = form.answers(&scores, task).expect("finite");
        let number = |text: &String| text.parse().expect("a number");
        answers[0].iter().map(number).collect()
    }

    /// Softmax of (ln 2, 0, 0) is 1/2 1/4 1/4; the logit ln 3 is 3/4.
    #[test]
    fn probabilities_of_each_class_by_hand() {
        let near = |found: Vec<f64>, expected: &[f64]| {
            assert_eq!(found.len(), expected.len());
            let pairs = found.iter().zip(expected);
            assert!(
                pairs.clone().all(|(a, b)| (a - b).abs() < 1e-7),
                "{found:?}"
            );
        };
        let each = |order: &[usize]| Form {
            columns: Columns::Each(order.to_vec()),
            probability: true,
        };
        let classes = task(LabelKind::Classes, &["x", "y", "z"]);
        let ln = |x: f32| x.ln();
        near(
            numbers(&each(&[2, 0, 1]), &[ln(2.0), 0.0, 0.0], &classes),
            &[0.25, 0.5, 0.25],
        );
        let several = task(LabelKind::Multilabel, &["x", "y"]);
        near(
            numbers(&each(&[0, 1]), &[ln(3.0), -ln(3.0)], &several),
            &[0.75, 0.25],
        );
        let binary = Task::binary_pairs();
        near(numbers(&each(&[0, 1]), &[ln(3.0)], &binary), &[0.25, 0.75]);
    }
}
