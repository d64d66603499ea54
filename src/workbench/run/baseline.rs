//! What the rows of a run give away without a network, on the very rows that judge its models.
//!
//! In: the rows, and who holds out which. Out: a [`Baseline`]: for pairs the overlap of their texts, for single texts with classes
//! TF-IDF with logistic regression, learnt from the rows that each model trains on. Takes seconds, and shows no progress.

use super::rows::Rows;
use crate::config::Experiment;
use crate::data::{EncodedExample, Scores, TextKind};
use crate::metrics::baseline::{Baseline, overlap};
use crate::metrics::tfidf;

/// None where the labels have no such figure.
pub fn baseline(rows: &Rows, experiment: &Experiment) -> Option<Baseline> {
    let (labels, metric) = (rows.task.labels, experiment.metric());
    match (rows.task.kind, &rows.folds) {
        (TextKind::Pair, Some(_)) => overlap(&rows.labelled, labels, metric),
        (TextKind::Pair, None) => overlap(rows.judged(), labels, metric),
        (TextKind::Single, _) => {
            let (judged, scores) = by_words(rows)?;
            tfidf::baseline(&scores, &judged, metric)
        }
    }
}

/// The judged rows and their scores: those of a split, or of folds every row, by the rows outside its own fold.
fn by_words(rows: &Rows) -> Option<(Vec<&EncodedExample>, Scores)> {
    let (labels, n_classes) = (rows.task.labels, rows.task.classes.len());
    let without = |held_out: &[usize]| -> Vec<&EncodedExample> {
        let numbered = rows.labelled.iter().enumerate();
        let others = numbered.filter(|(number, _)| held_out.binary_search(number).is_err());
        others.map(|(_, row)| row).collect()
    };
    let Some(folds) = &rows.folds else {
        let judged: Vec<&EncodedExample> = rows.judged().collect();
        let scores = tfidf::scores(&without(&rows.held_out), &judged, labels, n_classes)?;
        return Some((judged, scores));
    };
    let (mut judged, mut all) = (Vec::new(), Scores::default());
    for fold in 0..folds.options.k {
        let held_out = folds.held_out(fold);
        let of_fold: Vec<&EncodedExample> =
            held_out.iter().map(|&row| &rows.labelled[row]).collect();
        let scores = tfidf::scores(&without(&held_out), &of_fold, labels, n_classes)?;
        all.width = scores.width;
        all.values.extend(scores.values);
        judged.extend(of_fold);
    }
    Some((judged, all))
}
