//! The page that sets several runs side by side.
//!
//! In: runs. Out: a page: a table, what their settings differ in, overlaid curves, and how alike their scores are.

use std::collections::{BTreeMap, BTreeSet};

use indicatif::HumanCount;
use maud::{Markup, html};

use super::binary::{self, Judged};
use super::page::{self, Cell};
use super::read::ReportedRun;
use super::text::{figure, spread, time};
use super::training::{Trained, training};
use crate::data::{Scores, Target};
use crate::error::Result;
use crate::metrics::{MetricName, ValidFigures, mean_and_deviation};
use crate::train::EpochReport;
use crate::workbench::run_folder::settings::{Settings, differing, has_training, settings};

/// The page of several runs, in the order they were named.
///
/// # Errors
/// Those of the charts.
pub fn comparison_page(runs: &[ReportedRun]) -> Result<String> {
    let names = names(runs);
    let trained: Vec<Trained> = runs
        .iter()
        .zip(&names)
        .map(|(run, name)| Trained {
            name: name.clone(),
            epochs: mean_epochs(run),
        })
        .collect();
    let judged: Vec<Judged<'_>> = runs
        .iter()
        .zip(&names)
        .filter(|(run, _)| !run.binary.is_empty())
        .map(|(run, name)| Judged {
            name: name.clone(),
            rows: &run.binary,
            are_logits: run.are_logits,
        })
        .collect();
    let scores = match judged.is_empty() {
        true => Vec::new(),
        false => vec![
            binary::roc(&judged)?,
            binary::precision_recall(&judged)?,
            binary::reliability(&judged)?,
        ],
    };
    let metrics: BTreeSet<MetricName> = runs.iter().map(|run| run.metric).collect();
    let same_rows = runs.windows(2).all(|pair| same_rows(&pair[0], &pair[1]));
    let body = html! {
        @if !same_rows {
            (page::note("The runs are scored on different rows, so that their figures compare no more than roughly."))
        }
        @if metrics.len() > 1 {
            (page::note("The runs have different metrics. Runs of one metric are ranked among themselves only."))
        }
        (overview(runs, &names))
        (differences(runs, &names))
        (page::figures("Training", &training(&trained)?))
        @if !scores.is_empty() { (page::figures("Scores", &scores)) }
        @if same_rows { (correlations(runs, &names)) }
    };
    let title = format!("{} runs", runs.len());
    let about = "Curves of training are means over the folds of a run.";
    Ok(page::page(&title, about, &body))
}

/// Folder names; whole paths where two are alike.
fn names(runs: &[ReportedRun]) -> Vec<String> {
    let is_unique = |name: &str| runs.iter().filter(|run| run.name == name).count() == 1;
    let name = |run: &ReportedRun| match is_unique(&run.name) {
        true => run.name.clone(),
        false => run.results.path.display().to_string(),
    };
    runs.iter().map(name).collect()
}

/// Whether the same rows with the same labels are scored.
fn same_rows(a: &ReportedRun, b: &ReportedRun) -> bool {
    let (own, other) = (&a.scored, &b.scored);
    let same_rows = own.rows == other.rows && own.targets == other.targets;
    same_rows && a.task().classes == b.task().classes
}

/// One entry an epoch: the mean over the folds that have reached it.
fn mean_epochs(run: &ReportedRun) -> Vec<EpochReport> {
    let mut by_epoch: BTreeMap<usize, Vec<&EpochReport>> = BTreeMap::new();
    for epoch in run.folds.iter().flat_map(|fold| &fold.epochs) {
        by_epoch.entry(epoch.epoch).or_default().push(epoch);
    }
    let mean_of = |epochs: Vec<&EpochReport>| {
        let n = epochs.len() as f64;
        let mean = |value: fn(&EpochReport) -> f64| {
            epochs.iter().map(|epoch| value(epoch)).sum::<f64>() / n
        };
        let mean_of_some = |value: fn(&EpochReport) -> Option<f64>| {
            let values: Vec<f64> = epochs.iter().filter_map(|epoch| value(epoch)).collect();
            mean_and_deviation(&values).map(|(mean, _)| mean)
        };
        EpochReport {
            loss: mean(|epoch| epoch.loss),
            losses: mean_losses(&epochs),
            curve: Vec::new(), // folds have other numbers of steps
            valid: ValidFigures {
                valid_score: mean_of_some(|epoch| epoch.valid.valid_score),
                valid_auc: mean_of_some(|epoch| epoch.valid.valid_auc),
                ..epochs[0].valid.clone()
            },
            ..epochs[0].clone()
        }
    };
    by_epoch.into_values().map(mean_of).collect()
}

/// The mean of each part of the loss.
fn mean_losses(epochs: &[&EpochReport]) -> BTreeMap<String, f64> {
    let mut losses: BTreeMap<String, f64> = BTreeMap::new();
    for (name, loss) in epochs.iter().flat_map(|epoch| &epoch.losses) {
        *losses.entry(name.clone()).or_default() += loss / epochs.len() as f64;
    }
    losses
}

/// The best run of each metric that several runs have.
fn best_of(runs: &[ReportedRun]) -> BTreeMap<MetricName, f64> {
    let mut best: BTreeMap<MetricName, (f64, usize)> = BTreeMap::new();
    for run in runs {
        let Some(score) = run.score() else { continue };
        let (found, n) = best.entry(run.metric).or_insert((score, 0));
        *n += 1;
        if run.metric.is_better(Some(score), Some(*found)) {
            *found = score;
        }
    }
    let several = best.into_iter().filter(|(_, (_, n))| *n > 1);
    several
        .map(|(metric, (score, _))| (metric, score))
        .collect()
}

fn overview(runs: &[ReportedRun], names: &[String]) -> Markup {
    let best = best_of(runs);
    let metrics: BTreeSet<MetricName> = runs.iter().map(|run| run.metric).collect();
    let row = |(run, name): (&ReportedRun, &String)| {
        let score = match run.score() {
            Some(score) if best.get(&run.metric) == Some(&score) => {
                Cell::Best(format!("{} (best)", figure(score)))
            }
            score => Cell::number(score.map(figure)),
        };
        let (interval, figures) = (run.interval(), run.figures());
        let scores: Vec<f64> = run.folds.iter().filter_map(|fold| fold.score).collect();
        let folds = run.has_folds().then(|| spread(&scores));
        let count = |figure: f64| HumanCount(figure as u64).to_string();
        let state = if run.is_done() { "" } else { " (not done)" };
        let mut cells = vec![
            Cell::wide(format!("{name}{state}")),
            score,
            Cell::number(interval.map(|(low, high)| format!("{low:.4} to {high:.4}"))),
            Cell::number(folds),
            Cell::number(Some(count(run.scored.rows.len() as f64))),
            Cell::number(time(&figures)),
            Cell::number(figures.tokens_per_second.map(count)),
            Cell::number(run.results.parameters().map(|n| count(n as f64))),
        ];
        if metrics.len() > 1 {
            cells.insert(1, Cell::text(run.metric.metric().title));
        }
        cells
    };
    let rows: Vec<Vec<Cell>> = runs.iter().zip(names).map(row).collect();
    let figure = match metrics.first() {
        Some(only) if metrics.len() == 1 => vec![only.metric().title],
        _ => vec!["metric", "figure"],
    };
    let rest = [
        "95 %",
        "fold mean ± sd",
        "rows",
        "time",
        "tokens/s",
        "parameters",
    ];
    let header = [&["run"], &figure[..], &rest].concat();
    html! { h2 { "Results" } (page::table(&header, &rows)) }
}

/// The settings that are not the same everywhere.
fn differences(runs: &[ReportedRun], names: &[String]) -> Markup {
    let settings: Vec<Settings> = runs.iter().map(settings_and_machine).collect();
    let keys = differing(&settings.iter().collect::<Vec<_>>());
    let row = |key: &String| {
        let value = |of: &Settings| {
            let missing = if has_training(of) { "not set" } else { "blend" };
            Cell::wide(of.get(key).map_or(missing, String::as_str))
        };
        let values = settings.iter().map(value);
        [Cell::text(key.as_str())]
            .into_iter()
            .chain(values)
            .collect()
    };
    let rows: Vec<Vec<Cell>> = keys.iter().map(row).collect();
    let names = names.iter().map(String::as_str);
    let header: Vec<&str> = ["setting"].into_iter().chain(names).collect();
    html! {
        h2 { "What differs" }
        @if rows.is_empty() { p { "Nothing: every setting is the same." } }
        @else { (page::table(&header, &rows)) }
    }
}

/// The settings, and what else may move a figure.
fn settings_and_machine(run: &ReportedRun) -> Settings {
    let mut all = settings(&run.config);
    let record = &run.results.record;
    for (name, value) in [
        ("(tool)", Some(&record.tool)),
        ("(kernels)", record.kernel_path.as_ref()),
        ("(processor)", record.cpu.as_ref()),
    ] {
        let value = value.map_or("not known", String::as_str);
        all.insert(name.to_owned(), value.to_owned());
    }
    all
}

/// How alike the scores are: runs that agree less gain more from a blend.
fn correlations(runs: &[ReportedRun], names: &[String]) -> Markup {
    let row = |(run, name): (&ReportedRun, &String)| {
        let with = |other: &ReportedRun| {
            let found = rank_correlation(&run.scored.scores, &other.scored.scores);
            found.map(|found| format!("{found:.3}"))
        };
        let cells = runs.iter().map(|other| Cell::number(with(other)));
        [Cell::wide(name.as_str())]
            .into_iter()
            .chain(cells)
            .collect()
    };
    let rows: Vec<Vec<Cell>> = runs.iter().zip(names).map(row).collect();
    let others = names.iter().map(String::as_str);
    let header: Vec<&str> = ["run"].into_iter().chain(others).collect();
    html! {
        h2 { "How alike the scores are" }
        p {
            "Spearman's rank correlation of the scores, of several scores a row the mean. Of runs that are equally good, those \
             that agree less gain more from a blend."
        }
        (page::table(&header, &rows))
    }
}

/// Mean over the columns that vary; `None` where none does, or where the numbers of scores differ.
fn rank_correlation(a: &Scores, b: &Scores) -> Option<f64> {
    if a.width != b.width {
        return None;
    }
    let of_column = |column: usize| {
        let targets: Vec<Target> = a.column(column).into_iter().map(Target::Number).collect();
        MetricName::Spearman.of(&targets, &Scores::single(b.column(column)))
    };
    let found: Vec<f64> = (0..a.width).filter_map(of_column).collect();
    mean_and_deviation(&found).map(|(mean, _)| mean)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rank_correlation_by_hand() {
        let of = |a: &[f32], b: &[f32]| {
            rank_correlation(&Scores::single(a.to_vec()), &Scores::single(b.to_vec()))
        };
        let found = of(&[1.0, 2.0, 30.0], &[0.3, 0.2, 0.1]).expect("both vary");
        assert!((found + 1.0).abs() < 1e-12);
        assert_eq!(of(&[1.0, 2.0], &[5.0, 5.0]), None);
        let two = |values: &[f32]| Scores {
            width: 2,
            values: values.to_vec(),
        };
        let (a, b) = (two(&[1.0, 5.0, 2.0, 4.0]), two(&[1.0, 4.0, 2.0, 5.0]));
        assert_eq!(rank_correlation(&a, &b), Some(0.0)); // 1 and -1
        assert_eq!(rank_correlation(&a, &Scores::single(vec![1.0, 2.0])), None);
    }
}
