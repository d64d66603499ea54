//! The metric by what a row is like: its length, and how much of it the vocabulary does not know.
//!
//! In: a run whose texts are known. Out: two [`Panel`]s. Knows no HTML.

use super::figures::Panel;
use super::plots::{Axis, Series, Shape, Style, extent};
use super::read::ReportedRun;
use super::statistics::{Slice, auc_standard_error, jackknife_error, slices};
use crate::error::Result;
use crate::metrics::MetricName;

/// Slices by sentence length and by unknown tokens.
const SLICES: usize = 7;
/// Parts of a slice that are left out in turn.
const PARTS: usize = 10;

/// The metric by number of tokens and by share of unknown ones.
///
/// # Errors
/// Those of the charts.
pub fn by_traits(run: &ReportedRun) -> Result<Vec<Panel>> {
    let metric = run.metric.metric().title;
    let titles = ["sentence length", "unknown tokens"].map(|of| format!("{metric} by {of}"));
    let traits = match &run.traits {
        Ok(traits) => traits,
        Err(reason) => {
            let reason = format!("the texts are not known here: {reason}");
            let panel = |title| Panel::left_out(title, reason.clone());
            return Ok(titles.map(panel).to_vec());
        }
    };
    let lengths: Vec<f64> = traits.iter().map(|of| of.tokens as f64).collect();
    let share = |unknown: usize, tokens: usize| 100.0 * unknown as f64 / tokens.max(1) as f64;
    let shares: Vec<f64> = traits
        .iter()
        .map(|of| share(of.unknown, of.tokens))
        .collect();
    let [length, unknown] = titles;
    let (row, of_row) = match run.task().kind.n_texts() {
        1 => ("row", "By the tokens of the row, after truncation."),
        _ => (
            "pair",
            "By the tokens of both sentences together, after truncation.",
        ),
    };
    Ok(vec![
        sliced(
            run,
            &length,
            &format!("tokens in the {row}"),
            of_row,
            &lengths,
        )?,
        sliced(
            run,
            &unknown,
            &format!("% unknown tokens in the {row}"),
            "By the share of tokens that are too rare for a row of their own ([UNK]).",
            &shares,
        )?,
    ])
}

/// A slice with its figure and how far it may be off.
struct Judged {
    slice: Slice,
    score: Option<f64>,
    interval: Option<(f64, f64)>,
}

fn sliced(
    run: &ReportedRun,
    title: &str,
    label: &str,
    caption: &str,
    values: &[f64],
) -> Result<Panel> {
    let judged = slices(values, SLICES)
        .into_iter()
        .map(|slice| judge(run, slice));
    let judged: Vec<Judged> = judged.collect();
    let known: Vec<&Judged> = judged.iter().filter(|one| one.score.is_some()).collect();
    let none = match run.metric {
        MetricName::Auc => "no slice has rows of both labels",
        _ => "no slice has such a figure",
    };
    match known[..] {
        [] => return Ok(Panel::left_out(title, none)),
        [only] => {
            let share = format!("{} of {} rows", only.slice.places.len(), values.len());
            let reason = format!("{share} have {} {label}", range_name(only.slice.range));
            return Ok(Panel::left_out(title, reason));
        }
        _ => {}
    }
    // The ends alone: whole ranges run into each other where texts are long.
    let names: Vec<String> = known
        .iter()
        .map(|one| format!("{:.0}", one.slice.range.1))
        .collect();
    let scores = known.iter().filter_map(|one| one.score);
    let points = (0..known.len()).map(|index| index as f64).zip(scores);
    let bare = |one: &&Judged| one.interval.or(one.score.map(|score| (score, score)));
    let series = Series {
        intervals: known.iter().filter_map(bare).collect(),
        ..Series::line("", Style::nth(0), points.collect()).shaped(Shape::Dots)
    };
    let ends = series.intervals.iter().flat_map(|&(low, high)| [low, high]);
    let Some((low, high)) = extent(ends) else {
        return Ok(Panel::left_out(title, none));
    };
    let of = run.metric.metric();
    let bounds = bounds(run.metric);
    let ends = ((low - 0.02).max(bounds.0), (high + 0.02).min(bounds.1));
    let axes = (
        &Axis::names(format!("{label}, up to"), &names),
        &Axis::linear(of.title, ends, 6),
    );
    let bars = match run.metric {
        MetricName::Auc => "two standard errors (Hanley and McNeil)",
        _ => "two standard errors (jackknife over ten parts)",
    };
    let rows = judged.iter().map(|one| table_row(run, one)).collect();
    let mut header = vec!["range", "rows", of.title];
    if !run.binary.is_empty() {
        header.insert(2, "label 1");
    }
    let caption = format!("{caption} Bars: {bars}.");
    Ok(Panel::drawn(title, caption, axes, &[series])?.with_table(header, rows))
}

fn judge(run: &ReportedRun, slice: Slice) -> Judged {
    let score = run.score_of(&slice.places);
    let error = match (run.metric, score) {
        (_, None) => None,
        (MetricName::Auc, Some(auc)) => {
            let positives = positives(run, &slice);
            Some(auc_standard_error(
                auc,
                positives,
                slice.places.len() - positives,
            ))
        }
        (_, Some(_)) => {
            let without = |part: usize| {
                let others = slice
                    .places
                    .iter()
                    .enumerate()
                    .filter(|(i, _)| i % PARTS != part);
                run.score_of(&others.map(|(_, &place)| place).collect::<Vec<_>>())
            };
            let figures = (0..PARTS).map(without).collect::<Option<Vec<f64>>>();
            figures.and_then(|figures| jackknife_error(&figures))
        }
    };
    let (lowest, highest) = bounds(run.metric);
    let around = |(score, error): (f64, f64)| {
        (
            (score - 2.0 * error).max(lowest),
            (score + 2.0 * error).min(highest),
        )
    };
    Judged {
        interval: score.zip(error).map(around),
        score,
        slice,
    }
}

/// What a metric cannot be below or above.
fn bounds(metric: MetricName) -> (f64, f64) {
    match metric {
        MetricName::LogLoss | MetricName::MeanLogLoss => (0.0, f64::INFINITY),
        MetricName::Spearman | MetricName::Pearson | MetricName::Kappa => (-1.0, 1.0),
        _ => (0.0, 1.0),
    }
}

fn positives(run: &ReportedRun, slice: &Slice) -> usize {
    let labels = slice.places.iter().filter_map(|&at| run.binary.get(at));
    labels.filter(|row| row.label).count()
}

fn table_row(run: &ReportedRun, judged: &Judged) -> Vec<String> {
    let rows = judged.slice.places.len();
    let score = judged
        .score
        .map_or("-".to_owned(), |score| format!("{score:.4}"));
    let mut cells = vec![range_name(judged.slice.range), rows.to_string(), score];
    if !run.binary.is_empty() {
        let share = 100.0 * positives(run, &judged.slice) as f64 / rows as f64;
        cells.insert(2, format!("{share:.0} %"));
    }
    cells
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_ranges() {
        assert_eq!(range_name((3.0, 3.0)), "3");
        assert_eq!(range_name((3.0, 6.2)), "3-6");
    }
}
