//! The page that sets several runs side by side.
//!
//! In: runs. Out: a page: a table, what their settings differ in, overlaid curves, and how alike their scores are.

use std::collections::BTreeMap;

use indicatif::HumanCount;
use maud::{Markup, html};

use super::figures::{self, Judged, Trained};
use super::page::{self, Cell};
use super::read::ReportedRun;
use super::statistics::rank_correlation;
use super::{duration, spread};
use crate::error::Result;
use crate::train::EpochReport;

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
        .map(|(run, name)| Judged {
            name: name.clone(),
            rows: &run.scored,
        })
        .collect();
    let scores = [figures::roc(&judged)?, figures::reliability(&judged)?];
    let same_rows = runs.windows(2).all(|pair| same_rows(&pair[0], &pair[1]));
    let body = html! {
        @if !same_rows {
            (page::note("The runs are scored on different rows, so that their AUCs compare no more than roughly."))
        }
        (overview(runs, &names))
        (differences(runs, &names))
        (page::figures("Training", &figures::training(&trained)?))
        (page::figures("Scores", &scores))
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
    let rows = |run: &ReportedRun| -> Vec<(usize, bool)> {
        run.scored.iter().map(|row| (row.row, row.label)).collect()
    };
    rows(a) == rows(b)
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
        let aucs: Vec<f64> = epochs.iter().filter_map(|epoch| epoch.valid_auc).collect();
        EpochReport {
            loss: mean(|epoch| epoch.loss),
            losses: mean_losses(&epochs),
            valid_auc: (!aucs.is_empty()).then(|| aucs.iter().sum::<f64>() / aucs.len() as f64),
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

fn overview(runs: &[ReportedRun], names: &[String]) -> Markup {
    let best = runs
        .iter()
        .filter_map(ReportedRun::auc)
        .fold(f64::NEG_INFINITY, f64::max);
    let row = |(run, name): (&ReportedRun, &String)| {
        let auc = match run.auc() {
            Some(auc) if auc == best => Cell::Best(format!("{auc:.4} (best)")),
            auc => Cell::number(auc.map(|auc| format!("{auc:.4}"))),
        };
        let (interval, figures) = (run.auc_interval(), run.figures());
        let aucs: Vec<f64> = run.folds.iter().filter_map(|fold| fold.auc).collect();
        let folds = run.has_folds().then(|| spread(&aucs));
        let count = |figure: f64| HumanCount(figure as u64).to_string();
        let state = if run.is_done() { "" } else { " (not done)" };
        vec![
            Cell::wide(format!("{name}{state}")),
            auc,
            Cell::number(interval.map(|(low, high)| format!("{low:.4} to {high:.4}"))),
            Cell::number(folds),
            Cell::number(Some(count(run.scored.len() as f64))),
            Cell::number(figures.seconds.map(duration)),
            Cell::number(figures.tokens_per_second.map(count)),
            Cell::number(run.results.parameters().map(|n| count(n as f64))),
        ]
    };
    let rows: Vec<Vec<Cell>> = runs.iter().zip(names).map(row).collect();
    let header = [
        "run",
        "AUC",
        "95 %",
        "fold mean ± sd",
        "rows",
        "time",
        "tokens/s",
        "parameters",
    ];
    html! { h2 { "Results" } (page::table(&header, &rows)) }
}

/// The settings that are not the same everywhere.
fn differences(runs: &[ReportedRun], names: &[String]) -> Markup {
    let settings: Vec<BTreeMap<String, String>> = runs.iter().map(settings_and_machine).collect();
    let mut keys: Vec<&String> = settings.iter().flat_map(BTreeMap::keys).collect();
    keys.sort();
    keys.dedup();
    keys.retain(|key| {
        settings
            .iter()
            .any(|of| of.get(*key) != settings[0].get(*key))
    });
    let row = |key: &&String| {
        let value = |of: &BTreeMap<String, String>| {
            Cell::wide(of.get(*key).map_or("not set", String::as_str))
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
fn settings_and_machine(run: &ReportedRun) -> BTreeMap<String, String> {
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

/// Every key of a `config.toml` as `section.key` with its value as TOML.
fn settings(config: &str) -> BTreeMap<String, String> {
    fn collect(prefix: &str, table: &toml::Table, into: &mut BTreeMap<String, String>) {
        for (name, value) in table {
            match value {
                toml::Value::Table(section) => collect(&format!("{prefix}{name}."), section, into),
                _ => {
                    into.insert(format!("{prefix}{name}"), value.to_string());
                }
            }
        }
    }
    let mut settings = BTreeMap::new();
    collect("", &config.parse().unwrap_or_default(), &mut settings);
    settings
}

/// How alike the scores are: runs that agree less gain more from a blend.
fn correlations(runs: &[ReportedRun], names: &[String]) -> Markup {
    let scores: Vec<Vec<f32>> = runs
        .iter()
        .map(|run| run.scored.iter().map(|row| row.score).collect())
        .collect();
    let row = |(one, name): (&Vec<f32>, &String)| {
        let with = |other| rank_correlation(one, other).map(|found| format!("{found:.3}"));
        let cells = scores.iter().map(|other| Cell::number(with(other)));
        [Cell::wide(name.as_str())]
            .into_iter()
            .chain(cells)
            .collect()
    };
    let rows: Vec<Vec<Cell>> = scores.iter().zip(names).map(row).collect();
    let others = names.iter().map(String::as_str);
    let header: Vec<&str> = ["run"].into_iter().chain(others).collect();
    html! {
        h2 { "How alike the scores are" }
        p { "Spearman's rank correlation of the scores. Of runs that are equally good, those that agree less gain more from a blend." }
        (page::table(&header, &rows))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_named_as_on_the_command_line() {
        let found = settings("seed = 1\n[train]\nepochs = 3\n[data]\ntrain = [\"a\"]\n");
        let found: Vec<_> = found.iter().map(|(k, v)| format!("{k}={v}")).collect();
        assert_eq!(found, ["data.train=[\"a\"]", "seed=1", "train.epochs=3"]);
        assert!(settings("not toml").is_empty());
    }
}
