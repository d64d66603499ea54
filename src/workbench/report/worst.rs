//! The rows that a model is surest of and wrong about, by kind of label.
//!
//! In: a run. Out: a table as HTML; rows are told by number, and by id where their files have one. Names of classes are input and are escaped.

use maud::{Markup, html};

use super::page::{self, Cell};
use super::read::ReportedRun;
use super::statistics;
use super::text::figure;
use crate::data::{LabelKind, Target};
use crate::metrics::{MetricName, best_threshold, likeliest, mid_ranks};

/// Rows in the table.
const WORST: usize = 20;

/// The table of the worst rows.
pub fn section(run: &ReportedRun) -> Markup {
    let (about, header, found) = match run.task().labels {
        LabelKind::Binary => binary(run),
        LabelKind::Classes => classes(run),
        LabelKind::Multilabel => several(run),
        LabelKind::Ordinal => ordinals(run),
    };
    let traits_of = |at: usize| run.traits.as_ref().ok().and_then(|all| all.get(at));
    let id_of = |at: usize| traits_of(at).and_then(|traits| traits.id.as_deref());
    let has_ids = found.iter().any(|(at, _)| id_of(*at).is_some());
    let row = |(at, cells): &(usize, Vec<Cell>)| {
        let traits = traits_of(*at);
        let mut row = vec![Cell::text(run.scored.rows[*at].to_string())];
        if has_ids {
            row.push(Cell::wide(id_of(*at).unwrap_or("–")));
        }
        row.extend(cells.iter().cloned());
        row.push(Cell::number(traits.map(|of| of.tokens.to_string())));
        row.push(Cell::number(traits.map(|of| of.unknown.to_string())));
        if let (true, Some(folds)) = (run.has_folds(), &run.scored.folds) {
            row.push(Cell::text(folds[*at].to_string()));
        }
        row
    };
    let rows: Vec<Vec<Cell>> = found.iter().map(row).collect();
    let ends = ["tokens", "unknown", "fold"];
    let ends = ends.iter().take(if run.has_folds() { 3 } else { 2 });
    let begins = ["row", "id"];
    let begins = begins.iter().take(if has_ids { 2 } else { 1 });
    let header: Vec<&str> = begins.chain(header).chain(ends).copied().collect();
    html! {
        h2 { "Worst errors" }
        @if run.scored.rows.is_empty() {
            p { "Left out: no rows are scored." }
        } @else if rows.is_empty() {
            p { "No row is on the wrong side." }
        } @else {
            p {
                (about) " Many of them with one trait point to wrong labels, or to something that the model cannot see."
            }
            (page::table(&header, &rows))
        }
    }
}

/// What they are, names of columns, and places with their cells.
type Found = (
    &'static str,
    &'static [&'static str],
    Vec<(usize, Vec<Cell>)>,
);

fn binary(run: &ReportedRun) -> Found {
    // Where scores are no logits, 0 is no even chance.
    let threshold = match run.are_logits {
        true => Some(0.0),
        false => best_threshold(
            &run.scored.targets,
            &run.scored.scores,
            MetricName::Accuracy,
        )
        .map(|best| best.threshold),
    };
    let errors = threshold.map(|from| statistics::worst_errors(&run.binary, from, WORST));
    let errors = errors.unwrap_or_default();
    let place = |row: usize| run.scored.rows.binary_search(&row).ok(); // they ascend
    let cells = |error: &statistics::BinaryRow| {
        let mut cells = vec![Cell::text(u8::from(error.label).to_string())];
        if run.are_logits {
            cells.push(Cell::number(Some(figure(error.probability()))));
        }
        cells.push(Cell::number(Some(format!("{:.3}", error.score))));
        Some((place(error.row)?, cells))
    };
    let about = match run.are_logits {
        true => "The rows that the model is surest of and wrong about.",
        false => {
            "The rows on the wrong side of the threshold with the best accuracy, the farthest from it first."
        }
    };
    let header: &[&str] = match run.are_logits {
        true => &["label", "probability of 1", "score"],
        false => &["label", "score"],
    };
    (about, header, errors.iter().filter_map(cells).collect())
}

/// The log-probability of each row's labels, natural logarithm.
fn log_probability(run: &ReportedRun, metric: MetricName) -> impl Fn(usize) -> f64 {
    let logs: Vec<f64> = (0..run.scored.rows.len())
        .map(|at| {
            let row = run.scored.select(&[at]);
            let loss = metric.of(&row.targets, &row.scores);
            loss.map_or(f64::INFINITY, |loss| -loss)
        })
        .collect();
    move |at| logs[at]
}

fn classes(run: &ReportedRun) -> Found {
    let said = |at: usize| likeliest(run.scored.scores.row(at));
    let log = log_probability(run, MetricName::LogLoss);
    // Where there are no probabilities: how far the class stands behind the one that is said.
    let behind = |at: usize| {
        let (row, own) = (run.scored.scores.row(at), run.scored.targets[at].class());
        let own = own.map_or(f32::NEG_INFINITY, |class| row[class as usize]);
        f64::from(own - row[said(at) as usize])
    };
    let value = |at: usize| if run.are_logits { log(at) } else { behind(at) };
    let is_wrong = |&at: &usize| run.scored.targets[at].class() != Some(said(at));
    let name = |class: u32| Cell::wide(run.task().classes[class as usize].as_str());
    let cells = |at: usize| {
        let own = run.scored.targets[at].class();
        let own = own.map_or(Cell::text("–"), name);
        (at, vec![own, name(said(at)), thousandths(value(at))])
    };
    let wrong = (0..run.scored.rows.len()).filter(is_wrong).collect();
    let (about, header): (_, &[&str]) = match run.are_logits {
        true => (
            "The rows whose class is the least likely to the model.",
            &["class", "said", "log-probability of the class"],
        ),
        false => (
            "The rows whose class stands farthest behind the one that is said.",
            &["class", "said", "score less that of the one said"],
        ),
    };
    (
        about,
        header,
        lowest(wrong, &value).into_iter().map(cells).collect(),
    )
}

fn several(run: &ReportedRun) -> Found {
    let log = log_probability(run, MetricName::MeanLogLoss);
    let names = |holds: &dyn Fn(u32) -> bool| {
        let numbered = (0..).zip(&run.task().classes);
        let names = numbered.filter(|(class, _)| holds(*class));
        let names: Vec<&str> = names.map(|(_, name)| name.as_str()).collect();
        match names.is_empty() {
            true => Cell::text("none"),
            false => Cell::wide(names.join(", ")),
        }
    };
    let is_said = |at: usize, class: u32| run.scored.scores.row(at)[class as usize] >= 0.0;
    let holds = |at: usize, class: u32| run.scored.targets[at].holds(class) == Some(true);
    let n = run.task().classes.len() as u32;
    let is_wrong = |&at: &usize| (0..n).any(|class| holds(at, class) != is_said(at, class));
    // Where there are no probabilities: the score that is farthest on the wrong side.
    let farthest = |at: usize| {
        let sides = (0..n).zip(run.scored.scores.row(at));
        let sides = sides.map(|(class, &score)| if holds(at, class) { score } else { -score });
        f64::from(sides.fold(f32::INFINITY, f32::min))
    };
    let value = |at: usize| {
        if run.are_logits {
            log(at)
        } else {
            farthest(at)
        }
    };
    let cells = |at: usize| {
        let (own, said) = (|class| holds(at, class), |class| is_said(at, class));
        (at, vec![names(&own), names(&said), thousandths(value(at))])
    };
    let wrong = (0..run.scored.rows.len()).filter(is_wrong).collect();
    let (about, header): (_, &[&str]) = match run.are_logits {
        true => (
            "The rows whose labels are the least likely to the model.",
            &["labels", "said", "log-probability of a label"],
        ),
        false => (
            "The rows with the score that is farthest on the wrong side of 0.",
            &["labels", "said", "how far"],
        ),
    };
    (
        about,
        header,
        lowest(wrong, &value).into_iter().map(cells).collect(),
    )
}

fn ordinals(run: &ReportedRun) -> Found {
    let number = |target: &Target| target.number().unwrap_or(f32::NAN);
    let labels: Vec<f32> = run.scored.targets.iter().map(number).collect();
    let scores = match run.scored.rows.is_empty() {
        true => Vec::new(),
        false => run.scored.scores.column(0),
    };
    let (truth, said) = (mid_ranks(&labels), mid_ranks(&scores));
    let percent = |rank: f64| 100.0 * (rank - 0.5) / labels.len() as f64;
    let difference = |at: usize| percent(said[at]) - percent(truth[at]);
    let cells = |at: usize| {
        let cells = vec![
            Cell::number(Some(labels[at].to_string())),
            Cell::number(Some(format!("{:.3}", scores[at]))),
            Cell::number(Some(format!("{:.1} %", percent(truth[at])))),
            Cell::number(Some(format!("{:.1} %", percent(said[at])))),
            Cell::number(Some(format!("{:+.1} %", difference(at)))),
        ];
        (at, cells)
    };
    let moved = (0..labels.len())
        .filter(|&at| difference(at) != 0.0)
        .collect();
    (
        "The rows whose scores stand farthest from where their labels would put them; ranks in percent of all rows.",
        &[
            "label",
            "score",
            "rank of label",
            "rank of score",
            "difference",
        ],
        lowest(moved, &|at| -difference(at).abs())
            .into_iter()
            .map(cells)
            .collect(),
    )
}

/// The places with the lowest values, the lowest first; equal ones in their order.
fn lowest(mut places: Vec<usize>, value: &impl Fn(usize) -> f64) -> Vec<usize> {
    places.sort_by(|&a, &b| value(a).total_cmp(&value(b)));
    places.truncate(WORST);
    places
}

fn thousandths(value: f64) -> Cell {
    Cell::number(Some(format!("{value:.3}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_come_first_and_equal_ones_in_their_order() {
        let values = [3.0, 1.0, 2.0, 1.0];
        assert_eq!(lowest(vec![0, 1, 2, 3], &|at| values[at]), [1, 3, 2, 0]);
        assert_eq!(lowest((0..50).collect(), &|at| -(at as f64)).len(), WORST);
    }
}
