//! Scores against labels: one table of metrics, and how sure a figure is.
//!
//! In: the [`Target`] and the scores of each row. Out: numbers. [`MetricName::metric`] is the table: what a metric is called,
//! which direction is better, which labels it is for. Whoever chooses the best epoch, sorts a board or weighs an ensemble
//! asks it. Does not know where scores come from.
//!
//! # How to add a metric
//! 1. A variant of [`MetricName`], and its entry in [`MetricName::metric`]: name, title, direction, labels, formula with its
//!    source, function.
//! 2. The function in the file of its kind of label (`classes.rs`, `several.rs`, `ordinal.rs`, …).
//! 3. Values of scikit-learn or scipy in the golden file of the tests, ties among them.

pub mod auc;
pub mod baseline;
mod classes;
mod interval;
mod ordinal;
mod quantiles;
mod resample;
pub mod retrieval;
mod several;
mod spread;
pub mod tfidf;
mod threshold;
mod valid_figures;

use serde::{Deserialize, Serialize};

pub use auc::{auc, auc_interval};
pub use classes::likeliest;
pub use ordinal::mid_ranks;
pub use quantiles::quantile_groups;
pub use spread::mean_and_deviation;
pub use threshold::{Threshold, best_threshold, nested_threshold};
pub use valid_figures::ValidFigures;

use crate::data::{LabelKind, Scores, Target};

/// Figures by their metrics.
pub type Figures = std::collections::BTreeMap<MetricName, f64>;

/// A metric by its name, as `task.metric` writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MetricName {
    /// Area under the ROC curve.
    Auc,
    /// Share of rows whose class is right.
    Accuracy,
    /// F1 of the second of two classes.
    F1,
    /// Mean of the F1 of the classes that a row has or is said to have; others do not count, as scikit-learn has it.
    MacroF1,
    /// Negative mean log-probability of the right class.
    LogLoss,
    /// Of several labels: mean of each label's log loss.
    MeanLogLoss,
    /// Of several labels: mean of each label's AUC.
    MeanAuc,
    /// Rank correlation.
    Spearman,
    /// Linear correlation.
    Pearson,
    /// Quadratic weighted kappa.
    Kappa,
}

/// An entry of the table.
#[derive(Debug)]
pub struct Metric {
    /// As it is written in a config and in JSON.
    pub name: &'static str,
    /// As it heads a column or an axis.
    pub title: &'static str,
    /// Whether more is better.
    pub higher_is_better: bool,
    /// Kinds of label it is for.
    pub labels: &'static [LabelKind],
    /// What is computed, and by whom it was defined.
    pub formula: &'static str,
    /// From targets and scores, row by row; `None` where the rows have no such figure (one class alone, no row, a score
    /// that is NaN).
    pub compute: fn(&[Target], &Scores) -> Option<f64>,
}

use LabelKind::{Binary, Classes, Multilabel, Ordinal};

impl MetricName {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 10] = [
        Self::Auc,
        Self::Accuracy,
        Self::F1,
        Self::MacroF1,
        Self::LogLoss,
        Self::MeanLogLoss,
        Self::MeanAuc,
        Self::Spearman,
        Self::Pearson,
        Self::Kappa,
    ];

    /// The one that decides where `task.metric` is not set.
    pub fn default_for(labels: LabelKind) -> Self {
        match labels {
            Binary => Self::Auc,
            Classes => Self::MacroF1,
            Multilabel => Self::MeanAuc,
            Ordinal => Self::Spearman,
        }
    }

    /// Those for a kind of label, in the order of [`MetricName::ALL`].
    pub fn all_for(labels: LabelKind) -> impl Iterator<Item = Self> {
        Self::ALL
            .into_iter()
            .filter(move |name| name.metric().labels.contains(&labels))
    }

    /// Its entry in the table.
    pub fn metric(self) -> &'static Metric {
        match self {
            Self::Auc => &Metric {
                name: "auc",
                title: "AUC",
                higher_is_better: true,
                labels: &[Binary],
                formula: "Mann-Whitney statistic, ties at their mid-rank (Hanley and McNeil 1982)",
                compute: classes::binary_auc,
            },
            Self::Accuracy => &Metric {
                name: "accuracy",
                title: "accuracy",
                higher_is_better: true,
                labels: &[Binary, Classes],
                formula: "share of rows whose likeliest class is the right one; of two classes the second from logit 0 on",
                compute: classes::accuracy,
            },
            Self::F1 => &Metric {
                name: "f1",
                title: "F1",
                higher_is_better: true,
                labels: &[Binary],
                formula: "2 TP / (2 TP + FP + FN) of the second class, from logit 0 on (van Rijsbergen 1979)",
                compute: classes::f1,
            },
            Self::MacroF1 => &Metric {
                name: "macro_f1",
                title: "macro F1",
                higher_is_better: true,
                labels: &[Binary, Classes],
                formula: "mean of 2 TP / (2 TP + FP + FN) over the classes that a row has or is said to have",
                compute: classes::macro_f1,
            },
            Self::LogLoss => &Metric {
                name: "log_loss",
                title: "log loss",
                higher_is_better: false,
                labels: &[Binary, Classes],
                formula: "-mean log softmax(logits)[class], natural logarithm",
                compute: classes::log_loss,
            },
            Self::MeanLogLoss => &Metric {
                name: "mean_log_loss",
                title: "mean log loss",
                higher_is_better: false,
                labels: &[Multilabel],
                formula: "mean over the labels of -mean log sigmoid(±logit)",
                compute: several::mean_log_loss,
            },
            Self::MeanAuc => &Metric {
                name: "mean_auc",
                title: "mean AUC",
                higher_is_better: true,
                labels: &[Multilabel],
                formula: "mean of the AUC of each label; labels of one value only are left out",
                compute: several::mean_auc,
            },
            Self::Spearman => &Metric {
                name: "spearman",
                title: "Spearman",
                higher_is_better: true,
                labels: &[Binary, Ordinal],
                formula: "Pearson correlation of the mid-ranks (Spearman 1904)",
                compute: ordinal::spearman,
            },
            Self::Pearson => &Metric {
                name: "pearson",
                title: "Pearson",
                higher_is_better: true,
                labels: &[Ordinal],
                formula: "covariance over the product of the standard deviations",
                compute: ordinal::pearson,
            },
            Self::Kappa => &Metric {
                name: "kappa",
                title: "kappa",
                higher_is_better: true,
                labels: &[Ordinal],
                formula: "1 - sum w O / sum w E, w = (i - j)^2, scores rounded to the nearest grade (Cohen 1968)",
                compute: ordinal::kappa,
            },
        }
    }

    /// Whether it reads scores as probabilities: of numbers that are none it says nothing.
    pub fn reads_probabilities(self) -> bool {
        matches!(self, Self::LogLoss | Self::MeanLogLoss)
    }

    /// Whether it reads nothing but the order of the rows in each column of scores.
    pub fn reads_order_alone(self) -> bool {
        matches!(self, Self::Auc | Self::MeanAuc | Self::Spearman)
    }

    /// The figure of some rows; `None` where they have none.
    pub fn of(self, targets: &[Target], scores: &Scores) -> Option<f64> {
        if targets.is_empty() || targets.len() != scores.len() {
            return None;
        }
        (self.metric().compute)(targets, scores).filter(|figure| !figure.is_nan())
    }

    /// The figures of all metrics for a kind of label that the rows have.
    pub fn figures(labels: LabelKind, targets: &[Target], scores: &Scores) -> Figures {
        Self::all_for(labels)
            .filter_map(|name| Some((name, name.of(targets, scores)?)))
            .collect()
    }

    /// Whether figure `a` is better than `b`; any figure is better than none.
    pub fn is_better(self, a: Option<f64>, b: Option<f64>) -> bool {
        match (a, b) {
            (Some(a), Some(b)) if self.metric().higher_is_better => a > b,
            (Some(a), Some(b)) => a < b,
            (a, b) => a.is_some() && b.is_none(),
        }
    }

    /// Whether weights with figure `later` are kept in the place of earlier ones with `best`: where they are better, and where
    /// neither have one, as the last ones have learnt most.
    pub fn takes_over(self, later: Option<f64>, best: Option<f64>) -> bool {
        self.is_better(later, best) || (later.is_none() && best.is_none())
    }
}

impl std::fmt::Display for MetricName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.metric().name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_config_and_every_kind_of_label_has_its_own() {
        for name in MetricName::ALL {
            let written = serde_json::to_value(name).expect("a word");
            assert_eq!(written, name.metric().name);
        }
        for labels in [Binary, Classes, Multilabel, Ordinal] {
            let all: Vec<_> = MetricName::all_for(labels).collect();
            assert!(all.contains(&MetricName::default_for(labels)), "{all:?}");
        }
    }

    /// Other scores in the same order, and other probabilities that say the same class.
    #[test]
    fn who_reads_the_order_alone_sees_nothing_else_and_others_do() {
        let of = |targets: &[Target], width, values: &[f32], name: MetricName| {
            let values = values.to_vec();
            name.of(targets, &Scores { width, values })
        };
        for labels in [Binary, Classes, Multilabel, Ordinal] {
            let targets = match labels {
                Binary | Classes => [0, 0, 1, 1].map(Target::Class).to_vec(),
                Multilabel => [0, 0, 1, 1]
                    .map(|label| Target::Several(vec![label]))
                    .to_vec(),
                Ordinal => [0.0, 1.0, 2.0, 3.0].map(Target::Number).to_vec(),
            };
            let width = if matches!(labels, Binary | Ordinal) {
                1
            } else {
                2
            };
            let scores: Vec<f32> = [-1.0, 0.5, 0.2, 2.0].repeat(width);
            let moved: Vec<f32> = scores.iter().map(|score| score * 3.0 + 2.0).collect();
            let wide: Vec<f32> = scores.iter().map(|score| score * 3.0).collect();
            for name in MetricName::all_for(labels) {
                let figure = |values: &[f32]| of(&targets, width, values, name).expect("a figure");
                if name.reads_order_alone() {
                    assert_eq!(figure(&scores), figure(&moved), "{name}");
                }
                if name.reads_probabilities() {
                    assert_ne!(figure(&scores), figure(&wide), "{name}");
                } else if labels != Ordinal {
                    assert_eq!(figure(&scores), figure(&wide), "{name}");
                }
            }
        }
    }

    #[test]
    fn better_is_more_or_less() {
        let (more, less) = (MetricName::Auc, MetricName::LogLoss);
        assert!(more.is_better(Some(0.8), Some(0.7)) && !more.is_better(Some(0.7), Some(0.7)));
        assert!(less.is_better(Some(0.1), Some(0.2)) && !less.is_better(Some(0.2), Some(0.1)));
        for name in [more, less] {
            assert!(name.is_better(Some(0.0), None) && !name.is_better(None, None));
        }
    }

    #[test]
    fn what_has_no_figure_takes_over_from_its_like_alone() {
        for name in [MetricName::Spearman, MetricName::LogLoss] {
            assert!(name.takes_over(None, None) && name.takes_over(Some(0.1), None));
            assert!(!name.takes_over(None, Some(0.1)) && !name.takes_over(Some(0.1), Some(0.1)));
        }
        assert!(MetricName::Spearman.takes_over(Some(0.2), Some(0.1)));
    }
}
