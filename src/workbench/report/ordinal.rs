//! What the report shows of rows with a number each: scores against labels, and what is left over by grade.
//!
//! In: targets and scores of a run. Out: a [`Panel`], and a table as HTML.

use indicatif::HumanCount;
use maud::{Markup, html};

use super::figures::Panel;
use super::page::{self, Cell};
use super::plots::{Axis, Series, Shape, Style, extent};
use super::read::ReportedRun;
use super::statistics::{Slice, slices};
use crate::error::Result;
use crate::metrics::{mean_and_deviation, mid_ranks};
use crate::objective::ObjectiveName;
use crate::random::Key;
use crate::workbench::run_folder::scores::Scored;

/// More rows than this are no dots any more.
const MOST_DOTS: usize = 1000;
/// Grades: as many different labels, or slices of their range.
const MOST_GRADES: usize = 12;
/// Shares of a grade's rows between which its scores lie.
const OUTER: (f64, f64) = (0.05, 0.95);
const INNER: (f64, f64) = (0.25, 0.75);

/// Rows of one label, or of neighbouring ones.
struct Grade {
    slice: Slice,
    scores: Vec<f64>,
}

impl Grade {
    /// The score below which this share of the rows lies; a grade has rows.
    fn quantile(&self, share: f64) -> f64 {
        let last = (self.scores.len() - 1) as f64;
        self.scores[(share * last).round() as usize]
    }

    fn middle(&self) -> f64 {
        f64::midpoint(self.slice.range.0, self.slice.range.1)
    }

    /// `3`, `0.5 to 1.25`
    fn name(&self) -> String {
        let round = |value: f64| (value * 1000.0).round() / 1000.0;
        match self.slice.range {
            (low, high) if low == high => round(low).to_string(),
            (low, high) => format!("{} to {}", round(low), round(high)),
        }
    }
}

/// The number and the score of each row.
fn columns(scored: &Scored) -> (Vec<f64>, Vec<f64>) {
    let rows = scored.targets.iter().zip(scored.scores.rows());
    rows.filter_map(|(target, row)| Some((f64::from(target.number()?), f64::from(*row.first()?))))
        .unzip()
}

/// Every label its own grade; of many labels slices of similar size.
fn grades(labels: &[f64], scores: &[f64]) -> Vec<Grade> {
    let mut different = labels.to_vec();
    different.sort_by(f64::total_cmp);
    different.dedup();
    let most = match different.len() {
        0..=MOST_GRADES => labels.len(), // a row fills a slice
        _ => MOST_GRADES,
    };
    let grade = |slice: Slice| {
        let mut scores: Vec<f64> = slice.places.iter().map(|&at| scores[at]).collect();
        scores.sort_by(f64::total_cmp);
        Grade { slice, scores }
    };
    slices(labels, most).into_iter().map(grade).collect()
}

/// Scores by label: a dot a row where there are few, and the median and the middle half of each grade.
///
/// # Errors
/// Those of the charts.
pub fn scatter(run: &ReportedRun) -> Result<Panel> {
    let title = "Scores by label";
    let (labels, scores) = columns(&run.scored);
    let (Some(x), Some(y)) = (
        extent(labels.iter().copied()),
        Axis::around("score", scores.iter().copied()),
    ) else {
        return Ok(Panel::left_out(title, "no rows are scored"));
    };
    let grades = grades(&labels, &scores);
    let step = ((x.1 - x.0) / grades.len().max(2) as f64).max(1e-3);
    let bars = |name: &str, colour: usize, (low, high): (f64, f64), shift: f64| Series {
        intervals: (grades.iter())
            .map(|grade| (grade.quantile(low), grade.quantile(high)))
            .collect(),
        ..Series::line(
            name,
            Style {
                colour: Some(colour),
                dash: 0,
            },
            (grades.iter())
                .map(|grade| (grade.middle() + shift, grade.quantile(0.5)))
                .collect(),
        )
        .shaped(Shape::Dots)
    };
    let inner = bars("median, half of the rows around it", 1, INNER, 0.0);
    let (first, drawn) = if labels.len() <= MOST_DOTS {
        // Beside the bars; how far is a function of the row.
        let key = Key::from_seed(0);
        let jitter =
            |at: usize| step * (0.12 + 0.26 * (key.bits(at as u64) % 1000) as f64 / 1000.0);
        let dots = labels.iter().zip(&scores).enumerate();
        let mut dots: Vec<(f64, f64)> = dots
            .map(|(at, (&label, &score))| (label + jitter(at), score))
            .collect();
        dots.sort_by(|a, b| a.0.total_cmp(&b.0));
        let rows = Series::line("a row, moved to the right a little", Style::nth(0), dots);
        (rows.shaped(Shape::Dots), "Dots are rows.")
    } else {
        let outer = bars("nine tenths of the rows", 0, OUTER, 0.1 * step);
        (outer, "There are too many rows for a dot each.")
    };
    let axis = Axis::linear("label", (x.0 - 0.3 * step, x.1 + 0.6 * step), 7);
    let caption = format!(
        "{drawn} Where the medians rise from label to label and the bars do not overlap, the order is right."
    );
    Panel::drawn(title, caption, (&axis, &y), &[first, inner])
}

/// What is left over by grade: by score where scores are meant to be labels, and by rank always.
pub fn section(run: &ReportedRun) -> Markup {
    let (labels, scores) = columns(&run.scored);
    let is_on_scale = is_on_scale(run);
    let narrow =
        |values: &[f64]| -> Vec<f32> { values.iter().map(|&value| value as f32).collect() };
    let (label_ranks, score_ranks) = (mid_ranks(&narrow(&labels)), mid_ranks(&narrow(&scores)));
    let n = labels.len() as f64;
    let row = |grade: &Grade| {
        let over = |of: &dyn Fn(usize) -> f64| -> Vec<f64> {
            grade.slice.places.iter().map(|&at| of(at)).collect()
        };
        let moved = |at: usize| 100.0 * (score_ranks[at] - label_ranks[at]) / n;
        let (mean, deviation) = mean_and_deviation(&grade.scores).unwrap_or_default();
        let number = |value: f64| Cell::number(Some(format!("{value:+.3}")));
        let mut cells = vec![
            Cell::text(grade.name()),
            Cell::number(Some(HumanCount(grade.scores.len() as u64).to_string())),
            Cell::number(Some(format!("{mean:.3}"))),
            Cell::number(deviation.map(|sd| format!("{sd:.3}"))),
        ];
        if is_on_scale {
            cells.push(number(average(&over(&|at| scores[at] - labels[at]))));
            let distances = over(&|at| (scores[at] - labels[at]).abs());
            cells.push(Cell::number(Some(format!("{:.3}", average(&distances)))));
        }
        let percent = |value: f64| Cell::number(Some(format!("{value:+.1} %")));
        cells.push(percent(average(&over(&moved))));
        let distances = over(&|at| moved(at).abs());
        cells.push(Cell::number(Some(format!("{:.1} %", average(&distances)))));
        cells
    };
    let mut header = vec!["label", "rows", "mean score", "sd"];
    if is_on_scale {
        header.extend(["score - label", "distance"]);
    }
    header.extend(["rank of score - of label", "distance of ranks"]);
    let rows: Vec<Vec<Cell>> = grades(&labels, &scores).iter().map(row).collect();
    html! {
        @if !rows.is_empty() {
            h2 { "What is left over by label" }
            p {
                "Means over the rows of a label. Ranks are in percent of all rows; below 0 the rows are scored too low."
                @if !is_on_scale { " The scores have a scale of their own: only their order says something." }
            }
            (page::table(&header, &rows))
        }
    }
}

/// Whether scores are meant to be labels: where the last objective is no ranking.
fn is_on_scale(run: &ReportedRun) -> bool {
    let last = run.folds.iter().find_map(|fold| fold.epochs.last());
    last.is_some_and(|epoch| epoch.objective != ObjectiveName::Cosent)
}

fn average(values: &[f64]) -> f64 {
    mean_and_deviation(values).map_or(0.0, |(mean, _)| mean)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_grades_and_many_labels_are_slices() {
        let few = grades(&[2.0, 0.5, 2.0, 0.5], &[1.0, 4.0, 3.0, 2.0]);
        let names: Vec<String> = few.iter().map(Grade::name).collect();
        assert_eq!(names, ["0.5", "2"]);
        assert_eq!((few[0].quantile(0.0), few[0].quantile(1.0)), (2.0, 4.0));
        let labels: Vec<f64> = (0..120).map(|i| f64::from(i) / 8.0).collect();
        let many = grades(&labels, &labels);
        assert_eq!(many.len(), MOST_GRADES);
        assert_eq!(many[0].name(), "0 to 1.125");
        assert_eq!(
            many.iter().map(|grade| grade.scores.len()).sum::<usize>(),
            120
        );
        assert!(grades(&[], &[]).is_empty());
    }
}
