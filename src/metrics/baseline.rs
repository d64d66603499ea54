//! What the rows give away without a network: the score to beat.
//!
//! In: rows with their labels. Out: a [`Baseline`]: for pairs, how well the share of common tokens alone ranks them. Learns nothing,
//! so it needs no rows of its own. For single texts see [`super::tfidf`].

use std::collections::HashSet;
use std::hash::Hash;

use serde::{Deserialize, Serialize};

use super::MetricName;
use crate::data::reserved::UNK;
use crate::data::{EncodedExample, LabelKind, Scores, Target};

/// A simple method, and what it reaches on the rows that the model is judged on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    /// [`OVERLAP`] or [`TFIDF`].
    pub name: String,
    /// What it is judged by, where that is not the metric of the run: see [`Baseline::metric`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<MetricName>,
    /// By that metric.
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

    /// What it is judged by in a run whose metric is `of_run`. Its score is no figure of another metric, and stands beside none.
    pub fn metric(&self, of_run: MetricName) -> MetricName {
        self.metric.unwrap_or(of_run)
    }

    /// `0.7316` by the metric of the run, `AUC 0.7316` by another.
    pub fn score_text(&self) -> String {
        let score = self.score;
        match self.metric {
            None => format!("{score:.4}"),
            Some(metric) => format!("{} {score:.4}", metric.metric().title),
        }
    }
}

/// What a share of common tokens can be judged by. It ranks rows and is neither a probability nor a grade: where the metric asks for
/// these it is judged by the default of the labels. None for labels that it does not rank.
fn ranking_metric(labels: LabelKind, metric: MetricName) -> Option<MetricName> {
    match (metric, labels) {
        (MetricName::Auc | MetricName::Spearman | MetricName::Pearson, _) => Some(metric),
        (_, LabelKind::Binary | LabelKind::Ordinal) => Some(MetricName::default_for(labels)),
        (_, LabelKind::Classes | LabelKind::Multilabel) => None,
    }
}

/// The overlap of the two texts of each row, judged by `metric`, or where that does not look at the order of scores or at a linear
/// relation, by the AUC of labels 0 and 1 and Spearman of grades. `None` for other labels, for single texts, and where the rows have
/// no such figure.
pub fn overlap<'a>(
    rows: impl IntoIterator<Item = &'a EncodedExample>,
    labels: LabelKind,
    metric: MetricName,
) -> Option<Baseline> {
    let judged_by = ranking_metric(labels, metric)?;
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
    let score = judged_by.of(&targets, &Scores::single(scores))?;
    Some(Baseline {
        name: OVERLAP.to_owned(),
        metric: (judged_by != metric).then_some(judged_by),
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
        let of = |rows: &[EncodedExample]| overlap(rows, LabelKind::Binary, MetricName::Auc);
        let found = of(&rows).expect("pairs of two classes");
        assert_eq!((found.name.as_str(), found.score), ("overlap", 1.0));
        assert_eq!(of(&rows[..1]), None);
        assert_eq!(of(&[row(&[7], None, true)]), None);
    }

    #[test]
    fn what_asks_for_more_than_an_order_is_judged_by_one_and_says_which() {
        use MetricName::{Accuracy, Auc, F1, Kappa, LogLoss, MacroF1, Pearson, Spearman};
        let mut rows = [
            row(&[7, 8], Some(&[7, 8]), true),
            row(&[7, 8], Some(&[9]), false),
        ];
        for metric in [Accuracy, F1, MacroF1, LogLoss] {
            let found = overlap(&rows, LabelKind::Binary, metric).expect("pairs of two classes");
            assert_eq!((found.metric, found.score), (Some(Auc), 1.0), "{metric}");
            assert_eq!(found.metric(metric), Auc);
            assert_eq!(found.score_text(), "AUC 1.0000");
        }
        rows[0].target = Target::Number(5.0);
        rows[1].target = Target::Number(1.0);
        let found = overlap(&rows, LabelKind::Ordinal, Kappa).expect("grades");
        assert_eq!((found.metric, found.score), (Some(Spearman), 1.0));
        for metric in [Spearman, Pearson] {
            let found = overlap(&rows, LabelKind::Ordinal, metric).expect("grades");
            assert_eq!((found.metric, found.metric(metric)), (None, metric));
            assert_eq!(found.score_text(), "1.0000");
        }
        assert_eq!(overlap(&rows, LabelKind::Classes, MacroF1), None);
    }

    /// Of runs of earlier versions, and of those whose metric it is judged by.
    #[test]
    fn without_a_metric_it_is_judged_by_that_of_the_run() {
        let text = r#"{"name":"overlap","score":0.5}"#;
        let read: Baseline = serde_json::from_str(text).expect("a baseline");
        assert_eq!(read.metric(MetricName::Spearman), MetricName::Spearman);
        assert_eq!(serde_json::to_string(&read).expect("JSON"), text);
    }
}
