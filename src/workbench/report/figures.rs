//! The figures of a report: which numbers, on which axes, with what to read from them.
//!
//! In: runs as [`read`](super::read) gives them. Out: a [`Panel`] each, drawn, or the reason why it is left out. Knows no
//! HTML.

use std::collections::BTreeMap;

use super::plots::{Axis, Series, Shape, Style, draw, extent};
use super::read::{Mapped, ReportedRun};
use super::statistics::{self, Reliability, Scored, Slice};
use crate::error::Result;
use crate::train::EpochReport;

/// Points a ROC curve has at most, in either direction.
const ROC_RESOLUTION: usize = 150;
/// Most bins of the score histogram, and rows that one bin is worth.
const HISTOGRAM_BINS: usize = 40;
const ROWS_A_BIN: usize = 20;
/// Bins of the reliability curve.
const RELIABILITY_BINS: usize = 10;
/// Slices by sentence length and by unknown tokens.
const SLICES: usize = 7;
/// Dots of the rank-frequency chart.
const RANKS: usize = 160;

/// A place in the report.
#[derive(Debug, Clone)]
pub struct Panel {
    /// Heading.
    pub title: &'static str,
    /// The figure, or why there is none.
    pub figure: std::result::Result<Figure, String>,
}

/// A drawn chart.
#[derive(Debug, Clone)]
pub struct Figure {
    /// What it shows and how to read it.
    pub caption: String,
    /// The chart.
    pub svg: String,
    /// Style, shape and name of each named series.
    pub legend: Vec<(Style, Shape, String)>,
    /// The numbers, where they are few: header and rows.
    pub table: Option<(Vec<&'static str>, Vec<Vec<String>>)>,
}

impl Panel {
    fn left_out(title: &'static str, reason: impl Into<String>) -> Self {
        Self {
            title,
            figure: Err(reason.into()),
        }
    }

    fn drawn(
        title: &'static str,
        caption: impl Into<String>,
        (x, y): (&Axis, &Axis),
        series: &[Series],
    ) -> Result<Self> {
        let named = series.iter().filter(|one| !one.name.is_empty());
        let legend: Vec<_> = named
            .map(|one| (one.style, one.shape, one.name.clone()))
            .collect();
        let figure = Figure {
            caption: caption.into(),
            svg: draw(x, y, series)?,
            legend,
            table: None,
        };
        Ok(Self {
            title,
            figure: Ok(figure),
        })
    }

    fn with_table(mut self, header: Vec<&'static str>, rows: Vec<Vec<String>>) -> Self {
        if let Ok(figure) = &mut self.figure {
            figure.table = Some((header, rows));
        }
        self
    }
}

/// What is drawn as one line in the curves of training.
pub struct Trained {
    /// For the legend; empty where there is only one.
    pub name: String,
    /// One entry an epoch.
    pub epochs: Vec<EpochReport>,
}

/// What is drawn as one line in the curves of scores.
pub struct Judged<'a> {
    /// For the legend; empty where there is only one.
    pub name: String,
    /// Rows with their scores.
    pub rows: &'a [Scored],
}

/// Validation AUC and both losses by epoch.
///
/// # Errors
/// Those of [`draw`], here and below.
pub fn training(trained: &[Trained]) -> Result<Vec<Panel>> {
    Ok(vec![
        by_epoch(
            "Validation AUC by epoch",
            "Area under the ROC curve of the rows held out. The best epoch is the one that is kept.",
            "AUC",
            trained,
            |epoch| epoch.valid_auc,
        )?,
        by_epoch(
            "Label loss by epoch",
            "Cross-entropy of YES against NO over the labelled training rows, mean of the epoch. Falling on while the AUC \
             falls is overfitting.",
            "loss, nats a row",
            trained,
            |epoch| epoch.losses.get("label_loss").copied(),
        )?,
        by_epoch(
            "Masked-token loss by epoch",
            "Cross-entropy of the masked tokens, mean of the epoch, over labelled and unlabelled rows.",
            "loss, nats a token",
            trained,
            |epoch| epoch.losses.get("mlm_loss").copied(),
        )?,
    ])
}

fn by_epoch(
    title: &'static str,
    caption: &str,
    unit: &str,
    trained: &[Trained],
    value: impl Fn(&EpochReport) -> Option<f64>,
) -> Result<Panel> {
    let line = |(index, one): (usize, &Trained)| {
        let points = one.epochs.iter();
        let points = points.filter_map(|epoch| Some((epoch.epoch as f64, value(epoch)?)));
        Series::line(&one.name, Style::nth(index), points.collect()).shaped(Shape::DottedLine)
    };
    let series: Vec<Series> = trained.iter().enumerate().map(line).collect();
    let values = series
        .iter()
        .flat_map(|one| &one.points)
        .map(|point| point.1);
    let Some(y) = Axis::around(unit, values) else {
        return Ok(Panel::left_out(title, "no epoch has such a figure yet"));
    };
    let epochs = trained.iter().flat_map(|one| &one.epochs);
    let last = epochs.map(|epoch| epoch.epoch).max().unwrap_or(1);
    let x = Axis::counting("epoch", last);
    Panel::drawn(title, caption, (&x, &y), &series)
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
        Axis::shares("share of label 0 taken"),
        Axis::shares("share of label 1 found"),
    );
    let caption = "Both shares over all thresholds on the score; the area below is the AUC.";
    Panel::drawn(title, caption, (&x, &y), &series)
}

/// Predicted probability against observed share.
pub fn reliability(judged: &[Judged<'_>]) -> Result<Panel> {
    let title = "Reliability";
    let bins: Vec<Vec<Reliability>> = judged
        .iter()
        .map(|one| statistics::reliability(one.rows, RELIABILITY_BINS))
        .collect();
    let lines = judged.iter().zip(&bins).enumerate();
    let line = |(index, (one, bins)): (usize, (&Judged<'_>, &Vec<Reliability>))| {
        let points = bins.iter().map(|bin| (bin.predicted, bin.observed));
        Series::line(&one.name, Style::nth(index), points.collect()).shaped(Shape::DottedLine)
    };
    let curves: Vec<Series> = lines.map(line).collect();
    if curves.iter().all(|one| one.points.is_empty()) {
        return Ok(Panel::left_out(title, "no rows are scored"));
    }
    let ideal = Series::line("ideal", Style::REFERENCE, vec![(0.0, 0.0), (1.0, 1.0)]);
    let series: Vec<Series> = [ideal].into_iter().chain(curves).collect();
    let errors = bins
        .iter()
        .filter_map(|bins| statistics::calibration_error(bins));
    let errors: Vec<String> = errors.map(|error| format!("{error:.3}")).collect();
    let caption = format!(
        "Ten bins of equally many rows. Below the diagonal the model is too sure of 1. Expected calibration error {}. \
         The AUC does not depend on it; a blend of probabilities does.",
        errors.join(", ")
    );
    let (x, y) = (
        Axis::shares("mean predicted probability of 1"),
        Axis::shares("observed share of 1"),
    );
    Panel::drawn(title, caption, (&x, &y), &series)
}

/// How far the scores of both classes stand apart.
pub fn histogram(run: &ReportedRun) -> Result<Panel> {
    let title = "Scores by label";
    let bins = (run.scored.len() / ROWS_A_BIN).clamp(10, HISTOGRAM_BINS);
    let Some(found) = statistics::histogram(&run.scored, bins) else {
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
    let room = ((edges.1 - edges.0) * 0.02).max(1e-3);
    let x = Axis::linear(
        "score, logit(YES) - logit(NO)",
        (edges.0 - room, edges.1 + room),
        7,
    );
    let y = Axis::linear("% of the label's rows", (0.0, highest * 1.06), 6);
    let caption =
        "Share of each label's rows by score. What overlaps is what the model cannot tell apart.";
    Panel::drawn(title, caption, (&x, &y), &series)
}

/// AUC by number of tokens and by share of unknown ones.
pub fn by_traits(run: &ReportedRun) -> Result<Vec<Panel>> {
    let (length, unknown) = ("AUC by sentence length", "AUC by unknown tokens");
    let traits = match &run.traits {
        Ok(traits) => traits,
        Err(reason) => {
            let reason = format!("the pairs are not known here: {reason}");
            let panel = |title| Panel::left_out(title, reason.clone());
            return Ok(vec![panel(length), panel(unknown)]);
        }
    };
    let rows = || traits.iter().zip(run.scored.iter().copied());
    let lengths: Vec<_> = rows().map(|(of, row)| (of.tokens as f64, row)).collect();
    let shares: Vec<_> = rows()
        .map(|(of, row)| (100.0 * of.unknown as f64 / of.tokens.max(1) as f64, row))
        .collect();
    Ok(vec![
        sliced(
            length,
            "tokens in the pair",
            "By the tokens of both sentences together, after truncation.",
            &statistics::slices(&lengths, SLICES),
        )?,
        sliced(
            unknown,
            "% unknown tokens in the pair",
            "By the share of tokens that are too rare for a row of their own ([UNK]).",
            &statistics::slices(&shares, SLICES),
        )?,
    ])
}

fn sliced(title: &'static str, label: &str, caption: &str, slices: &[Slice]) -> Result<Panel> {
    let known: Vec<&Slice> = slices.iter().filter(|slice| slice.auc.is_some()).collect();
    match known[..] {
        [] => return Ok(Panel::left_out(title, "no slice has rows of both labels")),
        [only] => {
            let rows: usize = slices.iter().map(|slice| slice.rows).sum();
            let share = format!("{} of {rows} rows", only.rows);
            let reason = format!("{share} have {} {label}", range_name(only.range));
            return Ok(Panel::left_out(title, reason));
        }
        _ => {}
    }
    let names: Vec<String> = known.iter().map(|slice| range_name(slice.range)).collect();
    let at = (0..known.len()).map(|index| index as f64);
    let series = Series {
        intervals: known.iter().filter_map(|slice| slice.interval()).collect(),
        ..Series::line(
            "",
            Style::nth(0),
            at.zip(known.iter().filter_map(|slice| slice.auc)).collect(),
        )
        .shaped(Shape::Dots)
    };
    let ends = series.intervals.iter().flat_map(|&(low, high)| [low, high]);
    let Some((low, high)) = extent(ends) else {
        return Ok(Panel::left_out(title, "no slice has rows of both labels"));
    };
    let x = Axis::names(label, &names);
    let y = Axis::linear("AUC", ((low - 0.02).max(0.0), (high + 0.02).min(1.0)), 6);
    let caption = format!("{caption} Bars: two standard errors (Hanley and McNeil).");
    let row = |slice: &Slice| {
        let auc = slice.auc.map_or("-".to_owned(), |auc| format!("{auc:.4}"));
        let share = 100.0 * slice.positives as f64 / slice.rows as f64;
        vec![
            range_name(slice.range),
            slice.rows.to_string(),
            format!("{share:.0} %"),
            auc,
        ]
    };
    let header = vec!["range", "rows", "label 1", "AUC"];
    Ok(Panel::drawn(title, caption, (&x, &y), &[series])?
        .with_table(header, slices.iter().map(row).collect()))
}

/// `7`, `3-6`; ASCII, as it stands in a chart.
fn range_name((low, high): (f64, f64)) -> String {
    let (low, high) = (format!("{low:.0}"), format!("{high:.0}"));
    if low == high {
        low
    } else {
        format!("{low}-{high}")
    }
}

/// Rank and frequency of cipher tokens and of the plaintext tokens they start from.
pub fn rank_frequency(run: &ReportedRun) -> Result<Panel> {
    let title = "Rank and frequency";
    let mut rows = run.mapping.clone();
    rows.sort_by_key(|row| std::cmp::Reverse(row.count)); // stable
    if rows.is_empty() {
        return Ok(Panel::left_out(title, "there is no mapping.tsv"));
    }
    let ranks = spread_ranks(rows.len());
    let per_million = |count: u64, all: u64| (1e6 * count as f64 / all as f64).log10();
    let curve = |counts: &[u64], all: u64| -> Vec<(f64, f64)> {
        let known = ranks
            .iter()
            .filter_map(|&rank| Some((rank, *counts.get(rank)?)));
        let point = |(rank, count)| (((rank + 1) as f64).log10(), per_million(count, all));
        known.filter(|&(_, count)| count > 0).map(point).collect()
    };
    let cipher: Vec<u64> = rows.iter().map(|row| row.count).collect();
    let started: Vec<u64> = rows.iter().map(|row| row.plain_count).collect();
    let plain = plain_counts(&rows);
    let (n_cipher, n_plain) = (cipher.iter().sum(), plain.iter().sum());
    let series = [
        Series::line(
            "plaintext token that the cipher token starts from",
            Style {
                colour: Some(2),
                dash: 0,
            },
            curve(&started, n_plain),
        )
        .shaped(Shape::Dots),
        Series::line(
            "plaintext, in its own order",
            Style::nth(1),
            curve(&plain, n_plain),
        ),
        Series::line("cipher", Style::nth(0), curve(&cipher, n_cipher)),
    ];
    let series: Vec<Series> = series
        .into_iter()
        .filter(|one| !one.points.is_empty())
        .collect();
    let all = || series.iter().flat_map(|one| &one.points);
    let (Some(x), Some(y)) = (
        extent(all().map(|point| point.0)),
        extent(all().map(|point| point.1)),
    ) else {
        return Ok(Panel::left_out(title, "the mapping has no counts"));
    };
    let caption = match plain.first() {
        Some(0) | None => {
            "How often each token stands in the pairs. No plaintext is counted, so nothing is aligned."
        }
        _ => {
            "How often each token stands in the pairs and in the plaintext. Dots on the plaintext line: aligned by frequency \
             alone; dots around it: by more than that. Two lines of one form are two texts of one kind."
        }
    };
    let x = Axis::decades("rank of the cipher token", (0.0, x.1 + 0.05));
    let y = Axis::decades("count per million tokens", (y.0 - 0.1, y.1 + 0.1));
    Panel::drawn(title, caption, (&x, &y), &series)
}

/// Counts of the plaintext tokens that are started from, each once, the most frequent first.
fn plain_counts(rows: &[Mapped]) -> Vec<u64> {
    let tokens = rows
        .iter()
        .map(|row| (row.plain_token.as_str(), row.plain_count));
    let tokens: BTreeMap<&str, u64> = tokens.collect();
    let mut counts: Vec<u64> = tokens.into_values().collect();
    counts.sort_unstable_by(|a, b| b.cmp(a));
    counts
}

/// At most [`RANKS`] ranks below `n`, the first ones all, then ever wider apart.
fn spread_ranks(n: usize) -> Vec<usize> {
    let step = (n as f64).ln() / RANKS as f64;
    let mut ranks: Vec<usize> = (0..=RANKS)
        .map(|i| ((i as f64 * step).exp().round() as usize - 1).min(n - 1))
        .collect();
    ranks.dedup();
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_spread_from_the_first_to_the_last() {
        assert_eq!(spread_ranks(1), [0]);
        assert_eq!(spread_ranks(3), [0, 1, 2]);
        let ranks = spread_ranks(4140);
        assert_eq!(
            (ranks[..4].to_vec(), ranks.last()),
            (vec![0, 1, 2, 3], Some(&4139))
        );
        assert!(ranks.len() <= RANKS + 1 && ranks.is_sorted());
    }

    #[test]
    fn plaintext_tokens_that_two_ids_start_from_count_once() {
        let row = |count, plain_count, token: &str| Mapped {
            count,
            plain_count,
            plain_token: token.to_owned(),
        };
        let rows = [
            row(9, 4, "b"),
            row(8, 7, "a"),
            row(1, 4, "b"),
            row(1, 4, "c"),
        ];
        assert_eq!(plain_counts(&rows), [7, 4, 4]);
    }

    #[test]
    fn a_figure_without_numbers_says_why_it_is_left_out() {
        let none = Judged {
            name: String::new(),
            rows: &[],
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
        let untrained = Trained {
            name: String::new(),
            epochs: Vec::new(),
        };
        for panel in training(&[untrained]).expect("no chart") {
            assert_eq!(reason(panel), "no epoch has such a figure yet");
        }
    }

    #[test]
    fn names_of_ranges() {
        assert_eq!(range_name((3.0, 3.0)), "3");
        assert_eq!(range_name((3.0, 6.2)), "3-6");
    }
}
