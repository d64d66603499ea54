//! What a validation file says of rows none of whose sentences was trained on, as folds say it of theirs.
//!
//! In: the rows of a run and the scores of those of its validation file. Out: a line. Texts are compared as they were read.

use std::collections::HashSet;

use super::rows::Rows;
use crate::data::{EncodedExample, Scores, Target};
use crate::metrics::MetricName;

/// `validation file: 120 of 200 rows share no sentence with the training rows: AUC 0.7911`; none without such a file.
pub fn line(rows: &Rows, metric: MetricName, scores: &Scores) -> Option<String> {
    let valid = &rows.valid_file;
    if valid.is_empty() || scores.len() != valid.len() {
        return None;
    }
    let unshared = unshared(valid, &rows.labelled);
    let targets = unshared.iter().map(|&row| valid[row].target.clone());
    let targets: Vec<Target> = targets.collect();
    let score = metric.of(&targets, &scores.select(&unshared));
    Some(format!(
        "validation file: {} of {} rows share no sentence with the training rows: {} {}",
        unshared.len(),
        valid.len(),
        metric.metric().title,
        score.map_or("none".to_owned(), |score| format!("{score:.4}"))
    ))
}

/// The rows none of whose texts stands among `trained`.
fn unshared(rows: &[EncodedExample], trained: &[EncodedExample]) -> Vec<usize> {
    let texts = |row: &EncodedExample| row.text_numbers.into_iter().flatten();
    let known: HashSet<u32> = trained.iter().flat_map(texts).collect();
    let is_new = |&row: &usize| !texts(&rows[row]).any(|text| known.contains(&text));
    (0..rows.len()).filter(is_new).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_that_has_one_text_of_the_training_rows_is_shared() {
        let row = |a, b| EncodedExample {
            a: vec![7],
            b: Some(vec![7]),
            target: Target::Unknown,
            text_numbers: Some([a, b]),
        };
        let rows = [row(1, 2), row(3, 4), row(5, 1), row(6, 6)];
        assert_eq!(unshared(&rows, &[row(9, 1), row(8, 7)]), [1, 3]);
        assert_eq!(unshared(&rows, &[]), [0, 1, 2, 3]);
    }
}
