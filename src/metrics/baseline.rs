//! What the rows give away without a network: the score to beat.
//!
//! In: rows with their labels. Out: a [`Baseline`]: for pairs, how well the share of common tokens alone ranks them. Learns nothing,
//! so it needs no rows of its own. For single texts see [`super::tfidf`].

use std::collections::HashSet;
use std::hash::Hash;

use serde::{Deserialize, Serialize};

use super::MetricName;
use crate::data::reserved::UNK;
use crate::data::{EncodedExample, Scores, Target};

/// A simple method, and what it reaches on the rows that the model is judged on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    /// [`OVERLAP`] or [`TFIDF`].
    pub name: String,
    /// By the metric of the run.
    pub score: f64,
}

/// The share of common tokens.
pub const OVERLAP: &str = "overlap";
/// Logistic regression on TF-IDF ([`super::tfidf`]).
pub const TFIDF: &str = "TF-IDF";

impl Baseline {
    /// What it looks at, in words.
    pub fn describe(&self) -> &'static str {
        match self.name.as_str() {
            TFIDF => "TF-IDF of tokens and neighbours with logistic regression",
            _ => "the share of common tokens alone",
        }
    }
}

/// The overlap of the two texts of each row, judged by a metric that looks at the order of scores or at a linear relation; `None`
/// for other metrics, for single texts, and where the rows have no such figure.
pub fn overlap<'a>(
    rows: impl IntoIterator<Item = &'a EncodedExample>,
    metric: MetricName,
) -> Option<Baseline> {
    if !matches!(
        metric,
        MetricName::Auc | MetricName::Spearman | MetricName::Pearson
    ) {
        return None;
    }
    let mut targets: Vec<Target> = Vec::new();
    let mut scores = Vec::new();
    for row in rows {
        // Unknown tokens need not be the same.
        let known = |text: &[u32]| -> Vec<u32> {
            text.iter().copied().filter(|&token| token != UNK).collect()
        };
        scores.push(jaccard(&known(&row.a), &known(row.b.as_deref()?)));
        targets.push(row.target.clone());
    }
    let score = metric.of(&targets, &Scores::single(scores))?;
    Some(Baseline {
        name: OVERLAP.to_owned(),
        score,
    })
}

/// |A ∩ B| / |A ∪ B| of the sets of tokens of two texts, 0 to 1 (Jaccard 1901); 0 for two empty ones.
pub fn jaccard<T: Eq + Hash>(a: &[T], b: &[T]) -> f32 {
    let a: HashSet<&T> = a.iter().collect();
    let b: HashSet<&T> = b.iter().collect();
    let common = a.intersection(&b).count();
    let all = a.len() + b.len() - common;
    common as f32 / all.max(1) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(a: &[u32], b: Option<&[u32]>, label: bool) -> EncodedExample {
        EncodedExample {
            a: a.to_vec(),
            b: b.map(<[u32]>::to_vec),
            target: label.into(),
            text_numbers: None,
        }
    }

    #[test]
    fn common_tokens_by_hand() {
        assert_eq!(jaccard(&[1, 2, 2, 3], &[3, 4]), 0.25);
        assert_eq!(jaccard::<u32>(&[], &[]), 0.0);
        let rows = [
            row(&[7, 8], Some(&[7, 8]), true),
            row(&[7, 8], Some(&[9]), false),
            row(&[UNK, 8], Some(&[UNK, 9]), false), // shares nothing that is known
            row(&[7, 8], Some(&[7, 9]), true),
        ];
        let found = overlap(&rows, MetricName::Auc).expect("pairs of two classes");
        assert_eq!((found.name.as_str(), found.score), ("overlap", 1.0));
        assert_eq!(overlap(&rows, MetricName::Accuracy), None);
        assert_eq!(overlap(&rows[..1], MetricName::Auc), None);
        assert_eq!(overlap(&[row(&[7], None, true)], MetricName::Auc), None);
    }
}
