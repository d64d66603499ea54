//! Figures of two classes: ROC, precision and recall, scores by label, reliability, and what thresholds reach.
//!
//! In: rows with their scores. Out: a [`Panel`] each, or the reason why it is left out; the rows of a table. Knows no HTML.

use super::figures::Panel;
use super::plots::{Axis, Series, Shape, Style};
use super::read::ReportedRun;
use super::statistics::{self, BinaryRow, Reliability};
use crate::error::Result;
use crate::metrics::{MetricName, best_threshold, nested_threshold};
use crate::workbench::run_folder::scores::Scored;

/// Points a ROC curve has at most, in either direction.
const ROC_RESOLUTION: usize = 150;
/// Most bins of the score histogram, and rows that one bin is worth.
const HISTOGRAM_BINS: usize = 40;
const ROWS_A_BIN: usize = 20;
/// Bins of the reliability curve.
const RELIABILITY_BINS: usize = 10;

/// What is drawn as one line in the curves of scores.
pub struct Judged<'a> {
    /// For the legend; empty where there is only one.
    pub name: String,
    /// Rows with their scores.
    pub rows: &'a [BinaryRow],
    /// Whether probabilities can be made of the scores.
    pub are_logits: bool,
}

/// What the best threshold for a metric is, and what it reaches.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Swept {
    /// Accuracy or F1.
    pub metric: MetricName,
    /// At logit 0, without a choice.
    pub at_zero: Option<f64>,
    /// The best one of all rows.
    pub threshold: f32,
    /// What it reaches on the rows that it was chosen on.
    pub on_its_rows: f64,
    /// What thresholds reach that were chosen on the other folds, or on the other half of the rows.
    pub on_others: Option<f64>,
}

/// Thresholds for accuracy and for F1, by exact sweep. Empty where the rows are not of two classes.
pub fn thresholds(scored: &Scored) -> Vec<Swept> {
    let Scored {
        targets, scores, ..
    } = scored;
    let groups = groups(scored);
    let sweep = |metric: MetricName| {
        let best = best_threshold(targets, scores, metric)?;
        Some(Swept {
            metric,
            at_zero: metric.of(targets, scores),
            threshold: best.threshold,
            on_its_rows: best.score,
            on_others: nested_threshold(targets, scores, &groups, metric),
        })
    };
    let metrics = [MetricName::Accuracy, MetricName::F1];
    metrics.into_iter().filter_map(sweep).collect()
}

/// The fold of each row; of a single split every other row, for two halves.
fn groups(scored: &Scored) -> Vec<usize> {
    let folds = scored.folds.clone().unwrap_or_default();
    match folds.iter().any(|&fold| fold > 0) {
        true => folds,
        false => (0..scored.rows.len()).map(|at| at % 2).collect(),
    }
}

/// The ROC curves.
pub fn roc(judged: &[Judged<'_>]) -> Result<Panel> {
    let title = "ROC curve";
    let line = |(index, one): (usize, &Judged<'_>)| {
        let points = statistics::roc(one.rows, ROC_RESOLUTION);
        Series::line(&one.name, Style::nth(index), points)
    };
    let chance = Series::line("chance", Style::REFERENCE, vec![(0.0, 0.0), (1.0, 1.0)]);
    let curves = judged.iter().enumerate().map(line);
    let curves: Vec<Series> = curves.filter(|one| !one.points.is_empty()).collect();
    if curves.is_empty() {
        return Ok(Panel::left_out(title, "no rows of both labels are scored"));
    }
    let series: Vec<Series> = [chance].into_iter().chain(curves).collect();
    let (x, y) = (
        Axis::shares("false positive rate"),
        Axis::shares("true positive rate (recall)"),
    );
    let caption = "Share of the rows with label 0, and of those with label 1, whose score is above a threshold, over all thresholds. \
                   The area below is the AUC.";
    Panel::drawn(title, caption, (&x, &y), &series)
}

/// The precision-recall curves.
pub fn precision_recall(judged: &[Judged<'_>]) -> Result<Panel> {
    let title = "Precision and recall";
    let mut areas = Vec::new();
    let mut series = Vec::new();
    for (index, one) in judged.iter().enumerate() {
        if let Some((points, area)) = statistics::precision_recall(one.rows, ROC_RESOLUTION) {
            series.push(Series::line(&one.name, Style::nth(index), points));
            areas.push(format!("{area:.4}"));
        }
    }
    if series.is_empty() {
        return Ok(Panel::left_out(title, "no rows of both labels are scored"));
    }
    let (x, y) = (Axis::shares("recall"), Axis::shares("precision"));
    let caption = format!(
        "Of the rows with label 1, the share whose score is above a threshold, and the share of label 1 among the rows above it. \
         Average precision {}.",
        areas.join(", ")
    );
    Panel::drawn(title, caption, (&x, &y), &series)
}

/// Predicted probability against observed share; without those whose scores are no logits.
pub fn reliability(judged: &[Judged<'_>]) -> Result<Panel> {
    let title = "Reliability";
    let bins: Vec<Vec<Reliability>> = judged
        .iter()
        .map(|one| match one.are_logits {
            true => statistics::reliability(one.rows, RELIABILITY_BINS),
            false => Vec::new(),
        })
        .collect();
    if !judged.iter().any(|one| one.are_logits) {
        return Ok(Panel::left_out(title, "the scores are no logits"));
    }
    let lines = judged.iter().zip(&bins).enumerate();
    let line = |(index, (one, bins)): (usize, (&Judged<'_>, &Vec<Reliability>))| {
        let points = bins.iter().map(|bin| (bin.predicted, bin.observed));
        Series::line(&one.name, Style::nth(index), points.collect()).shaped(Shape::DottedLine)
    };
    let drawn = lines.filter(|(_, (_, bins))| !bins.is_empty());
    let curves: Vec<Series> = drawn.map(line).collect();
    if curves.is_empty() {
        return Ok(Panel::left_out(title, "no rows are scored"));
    }
    let ideal = Series::line("ideal", Style::REFERENCE, vec![(0.0, 0.0), (1.0, 1.0)]);
    let series: Vec<Series> = [ideal].into_iter().chain(curves).collect();
    let errors = bins
        .iter()
        .filter_map(|bins| statistics::calibration_error(bins));
    let errors: Vec<String> = errors.map(|error| format!("{error:.3}")).collect();
    let caption = format!(
        "Up to ten bins of about equally many rows, equal scores in one. Below the diagonal the model is too sure of 1. \
         Expected calibration error {}. The AUC does not depend on it; a blend of probabilities does.",
        errors.join(", ")
    );
    let (x, y) = (
        Axis::shares("mean predicted probability of 1"),
        Axis::shares("observed share of 1"),
    );
    Panel::drawn(title, caption, (&x, &y), &series)
}

/// Narrowest range of scores that fills the chart: of less, the marks have more digits than there is room for.
const NARROWEST: f64 = 0.1;

/// How far the scores of both classes stand apart.
pub fn histogram(run: &ReportedRun) -> Result<Panel> {
    let title = "Scores by label";
    let bins = (run.binary.len() / ROWS_A_BIN).clamp(10, HISTOGRAM_BINS);
    let Some(found) = statistics::histogram(&run.binary, bins) else {
        return Ok(Panel::left_out(title, "no rows are scored"));
    };
    let steps = |shares: &[f64]| -> Vec<(f64, f64)> {
        let bins = found.edges.windows(2).zip(shares);
        bins.flat_map(|(edge, &share)| [(edge[0], 100.0 * share), (edge[1], 100.0 * share)])
            .collect()
    };
    let series = [
        Series::line("label 0", Style::nth(1), steps(&found.negatives)).shaped(Shape::Area),
        Series::line("label 1", Style::nth(0), steps(&found.positives)).shaped(Shape::Area),
    ];
    let highest = series
        .iter()
        .flat_map(|one| &one.points)
        .map(|point| point.1);
    let highest = highest.fold(0.0, f64::max);
    let edges = (found.edges[0], found.edges[bins]);
    let width = edges.1 - edges.0;
    let room = (width * 0.02).max((NARROWEST - width) / 2.0);
    let x = Axis::linear(
        match run.are_logits {
            true => "score, logit of 1 - logit of 0",
            false => "score",
        },
        (edges.0 - room, edges.1 + room),
        7,
    );
    let y = Axis::linear("% of the label's rows", (0.0, highest * 1.06), 6);
    let caption =
        "Share of each label's rows by score. What overlaps is what the model cannot tell apart.";
    Panel::drawn(title, caption, (&x, &y), &series)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Scores, Target};

    #[test]
    fn a_figure_without_numbers_says_why_it_is_left_out() {
        let none = Judged {
            name: String::new(),
            rows: &[],
            are_logits: true,
        };
        let reason = |panel: Panel| panel.figure.expect_err("nothing to draw");
        assert_eq!(
            reason(roc(std::slice::from_ref(&none)).expect("no chart")),
            "no rows of both labels are scored"
        );
        assert_eq!(
            reason(reliability(&[none]).expect("no chart")),
            "no rows are scored"
        );
    }

    #[test]
    fn thresholds_are_judged_by_folds_or_by_halves() {
        let scored = |folds: &[usize]| Scored {
            rows: vec![0, 1, 2, 3],
            targets: [0, 0, 1, 1].map(Target::Class).to_vec(),
            scores: Scores::single(vec![1.0, 3.0, 3.0, 5.0]),
            folds: Some(folds.to_vec()),
        };
        // The best cuts of all rows are above 1 and above 3, those of rows 0 and 2 above 1, of 1 and 3 above 3.
        let halves = thresholds(&scored(&[0; 4]));
        assert_eq!(halves[0].metric, MetricName::Accuracy);
        assert_eq!(
            (halves[0].at_zero, halves[0].on_its_rows),
            (Some(0.5), 0.75)
        );
        assert_eq!(halves[0].threshold, 2.0);
        assert_eq!(halves[0].on_others, Some(0.5));
        // Rows 2 and 3 are of one class: said from 3 on; rows 0 and 1 too: none of them is said. Rows 1 and 2 are wrong.
        let by_fold = thresholds(&scored(&[1, 1, 2, 2]));
        assert_eq!(by_fold[0].on_others, Some(0.5));
        let mut unknown = scored(&[0; 4]);
        unknown.targets = vec![Target::Number(1.0); 4];
        assert!(thresholds(&unknown).is_empty());
    }
}
