//! What the metrics say of validation rows, under the keys of every JSON that tells of a run.
//!
//! In: figures by their metrics, and the metric that decides. Out: the keys `metric`, `valid_score`, `valid_auc` and `scores`,
//! flattened into epochs, folds and runs.

use serde::{Deserialize, Serialize};

use super::{Figures, MetricName};

/// The metric of a run, its figure, and all others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ValidFigures {
    /// What decides which epoch is the best.
    #[serde(default = "area_under_curve")]
    pub metric: MetricName,
    /// Its figure for the rows, if they have one. With folds that of the out-of-fold scores.
    #[serde(default)]
    pub valid_score: Option<f64>,
    /// Area under the ROC curve of the same rows, for binary labels.
    #[serde(default)]
    pub valid_auc: Option<f64>,
    /// Every metric that the rows have.
    #[serde(default)]
    pub scores: Figures,
}

/// What earlier versions wrote knew no other.
fn area_under_curve() -> MetricName {
    MetricName::Auc
}

impl ValidFigures {
    /// Of rows with these figures.
    pub fn new(metric: MetricName, scores: Figures) -> Self {
        Self {
            metric,
            valid_score: scores.get(&metric).copied(),
            valid_auc: scores.get(&MetricName::Auc).copied(), // only binary labels have one
            scores,
        }
    }

    /// The figure of the same rows by `metric`, if they have one.
    pub fn score_by(&self, metric: MetricName) -> Option<f64> {
        match metric == self.metric {
            true => self.valid_score,
            false => self.scores.get(&metric).copied(),
        }
    }
}
