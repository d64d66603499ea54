//! `report.html`: a run, or several side by side, as one file to look at.
//!
//! In: run folders. Out: one self-contained HTML page: no script, nothing fetched, light and dark, fit for a phone. The
//! figures that one asks for first stand first. Rows are told by number; no sentence and no plaintext token is shown.
//! `read` takes a folder apart, `statistics` computes, `plots` draws, `page` sets the HTML. `training` and `traits` are
//! for every kind of label; `binary`, `classes`, `several` and `ordinal` for one each. Here is what stands on the page of
//! one run, and in `compare` what stands on that of several. The page of an audit is made of the same parts.

mod binary;
mod classes;
mod compare;
pub(super) mod figures;
mod ordinal;
pub(super) mod page;
pub(super) mod plots;
mod read;
mod several;
mod statistics;
mod summary;
pub(super) mod text;
mod training;
mod traits;
mod worst;

use std::path::{Path, PathBuf};

use indicatif::HumanCount;
use maud::{Markup, html};
use serde::Serialize;

use self::binary::{Judged, Swept};
use self::page::Cell;
use self::read::ReportedRun;
use self::text::{duration, figure, first};
use self::training::{Stage, Trained};
use super::disk;
use super::run_folder::chosen::without_stages;
use super::run_folder::manifest::FileRecord;
use super::run_folder::record::{CoverageBand, FoldFigures};
use super::run_folder::stage_cost::StageCost;
use crate::atomic;
use crate::config;
use crate::data::LabelKind;
use crate::error::{Error, Result};
use crate::metrics::MetricName;
use crate::progress::Progress;

/// Name of the report in a run folder.
pub const FILE: &str = "report.html";

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WrittenReport {
    /// The page.
    pub report: PathBuf,
    /// The runs on it, as they were named.
    pub runs: Vec<PathBuf>,
}

/// Writes the page of one run, or the comparison of several, to `out`; by default into the folder of the one run. Folders of shared
/// stages among several are passed over.
///
/// # Errors
/// [`Error::Refused`] where a folder is no run, or where several have no `out`; [`Error::Input`]
/// where a file of a run is not as the tool writes it; [`Error::Io`].
pub fn report(paths: &[PathBuf], out: Option<&Path>, progress: &Progress) -> Result<WrittenReport> {
    let paths = without_stages(paths, progress);
    let report = match (&paths[..], out) {
        (_, Some(out)) => out.to_owned(),
        ([run], None) => run.join(FILE),
        (_, None) => {
            let error =
                Error::refused("a report of several runs belongs in no one of their folders");
            return Err(error.with_hint("name a file with --out"));
        }
    };
    let runs = paths.iter().map(|path| ReportedRun::read(path));
    let runs: Vec<ReportedRun> = runs.collect::<Result<_>>()?;
    let html = match &runs[..] {
        [run] => run_page(run)?,
        runs => compare::comparison_page(runs)?,
    };
    atomic::write(&report, html.as_bytes())?;
    Ok(WrittenReport {
        report,
        runs: paths,
    })
}

/// Leaves the page in the folder of a run that has just ended. The run is done with or without it, so that a failure is
/// only said. A folder `is_shared` where another process may be merging the same folds just now.
pub fn write(run: &Path, is_shared: bool, progress: &Progress) {
    // What a process left that was killed while it wrote the page.
    let cleared = match is_shared {
        true => atomic::remove_abandoned(run),
        false => atomic::remove_unfinished(run),
    };
    if let Err(error) = cleared.and_then(|()| report(&[run.to_owned()], None, progress)) {
        progress.say(&format!(
            "no {FILE}: {error}; `cipherpet report {}` tries again",
            run.display()
        ));
    }
}

fn run_page(run: &ReportedRun) -> Result<String> {
    let trained: Vec<Trained> = run
        .folds
        .iter()
        .map(|fold| Trained {
            name: fold.number.map_or(String::new(), |n| format!("fold {n}")),
            epochs: fold.epochs.clone(),
        })
        .collect();
    let mut tokens = traits::by_traits(run)?;
    tokens.push(figures::rank_frequency(run)?);
    let body = html! {
        @if !run.is_done() {
            (page::note("This run has not ended: the figures are those of what is there so far."))
        }
        (page::cards(&summary::cards(run)))
        (other_metrics(run))
        (leakage(run))
        (stages(&shared_stages(run), run.figures().shared_stage, &training::common_stages(&trained)))
        (page::figures("Training", &training::training(&trained)?))
        @if run.has_folds() { (folds(run)) }
        (scores(run)?)
        (page::figures("Tokens", &tokens))
        (coverage(run))
        (worst::section(run))
        (origin(run))
    };
    Ok(page::page(&run.name, &about(run), &body))
}

/// What is shown of the scores, by kind of label.
fn scores(run: &ReportedRun) -> Result<Markup> {
    let title = "Scores";
    let shown = match run.task().labels {
        LabelKind::Binary => {
            let judged = [Judged {
                name: String::new(),
                rows: &run.binary,
                are_logits: run.are_logits,
            }];
            let panels = [
                binary::roc(&judged)?,
                binary::precision_recall(&judged)?,
                binary::histogram(run)?,
                binary::reliability(&judged)?,
            ];
            html! { (page::figures(title, &panels)) (thresholds(run)) }
        }
        LabelKind::Classes => classes::section(run),
        LabelKind::Multilabel => several::section(run),
        LabelKind::Ordinal => html! {
            (page::figures(title, &[ordinal::scatter(run)?]))
            (ordinal::section(run))
        },
    };
    Ok(shown)
}

/// What the rows reach by the metrics that do not decide.
fn other_metrics(run: &ReportedRun) -> Markup {
    let figures = MetricName::figures(run.task().labels, &run.scored.targets, &run.scored.scores);
    // There is no loss of probabilities where there are none.
    let is_shown =
        |name: MetricName| name != run.metric && (run.are_logits || !name.reads_probabilities());
    let others = figures.iter().filter(|(name, _)| is_shown(**name));
    let row = |(name, &value): (&MetricName, &f64)| {
        let of = name.metric();
        let better = if of.higher_is_better {
            "higher"
        } else {
            "lower"
        };
        vec![
            Cell::text(of.title),
            Cell::text(better),
            Cell::number(Some(figure(value))),
        ]
    };
    let rows: Vec<Vec<Cell>> = others.map(row).collect();
    html! {
        @if !rows.is_empty() {
            h2 { "Other metrics" }
            (page::table(&["metric", "better", "value"], &rows))
        }
    }
}

/// The stages of the settings that are trained beside the run: it has no epoch of theirs.
fn shared_stages(run: &ReportedRun) -> Vec<config::Stage> {
    let Ok(experiment) = run.results.experiment() else {
        return Vec::new(); // of another version of the tool
    };
    let is_own = |stage: &config::Stage| {
        let mut epochs = run.folds.iter().flat_map(|fold| &fold.epochs);
        epochs.any(|epoch| epoch.stage == stage.name)
    };
    let mut shared = experiment.shared_stages();
    shared.retain(|stage| !is_own(stage));
    shared
}

/// What was learnt one after the other. The epochs and steps of those that are `shared` stand beside the run: `cost` has their sum.
fn stages(shared: &[config::Stage], cost: Option<StageCost>, own: &[Stage]) -> Markup {
    let span = |first: usize, last: usize| match first == last {
        true => first.to_string(),
        false => format!("{first} to {last}"),
    };
    let row_of_shared = |stage: &config::Stage| {
        let alone = cost.as_ref().filter(|_| shared.len() == 1);
        let epochs = span(1, alone.map_or(stage.options.epochs, |cost| cost.epochs));
        vec![
            Cell::text(stage.name.as_str()),
            Cell::text(stage.objective.name()),
            Cell::text(format!("{epochs}, trained once for all folds and seeds")),
            Cell::number(None),
        ]
    };
    let row = |stage: &Stage| {
        vec![
            Cell::text(stage.name.as_str()),
            Cell::text(stage.objective.name()),
            Cell::text(span(stage.epochs.0, stage.epochs.1)),
            Cell::number(Some(HumanCount(stage.steps as u64).to_string())),
        ]
    };
    let mut rows: Vec<Vec<Cell>> = shared.iter().map(row_of_shared).collect();
    rows.extend(own.iter().map(row));
    let is_named = own.iter().any(|stage| !stage.name.is_empty());
    html! {
        @if is_named || !shared.is_empty() {
            h2 { "Stages" }
            (page::table(&["stage", "objective", "epochs", "steps"], &rows))
        }
    }
}

/// The best threshold on the score, and what it is worth on other rows than those it was chosen on.
fn thresholds(run: &ReportedRun) -> Markup {
    let value = |value: Option<f64>| Cell::number(value.map(figure));
    let row = |swept: &Swept| {
        vec![
            Cell::text(swept.metric.metric().title),
            value(swept.at_zero),
            value(swept.on_others),
            Cell::number(Some(format!("{:.4}", swept.threshold))),
            value(Some(swept.on_its_rows)),
        ]
    };
    let rows: Vec<Vec<Cell>> = binary::thresholds(&run.scored).iter().map(row).collect();
    let others = match run.has_folds() {
        true => "on the other folds",
        false => "on the other half",
    };
    let chosen = format!("threshold chosen {others}");
    let header = [
        "metric",
        "at score 0",
        &chosen,
        "best threshold",
        "on the same rows",
    ];
    html! {
        @if !rows.is_empty() {
            h2 { "Thresholds" }
            p {
                "A row is said to be 1 from the threshold on. The best threshold is that of all scored rows, by exact sweep; what it \
                 reaches on these same rows is too good for other rows. Judged by thresholds that were chosen " (others)
                ", the rows reach what stands in the third column."
            }
            (page::table(&header, &rows))
        }
    }
}

/// `cipherpet 0.1.0 · seed 0 · AVX-512 · AMD EPYC`
fn about(run: &ReportedRun) -> String {
    let record = &run.results.record;
    let parts = [
        Some(record.tool.clone()),
        record.seed.map(|seed| format!("seed {seed}")),
        record.kernel_path.clone(),
        record.threads.map(|n| format!("{n} threads")),
        record.cpu.clone(),
        run.results
            .parameters()
            .map(|n| format!("{} parameters", HumanCount(n))),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" · ")
}

/// Which share of the tokens stands for ids with a confidence above a half, from the most frequent ids to the rarest.
fn coverage(run: &ReportedRun) -> Markup {
    let known = run.results.record.alignment.as_ref();
    let bands = known.map_or(&[][..], |known| &known.coverage);
    let row = |band: &CoverageBand| {
        let share = |share: Option<f64>| share.map(|share| format!("{:.1} %", 100.0 * share));
        vec![
            Cell::text(format!("{} to {}", band.first, band.last)),
            Cell::number(band.types.map(|n| HumanCount(n).to_string())),
            Cell::number(share(band.tokens)),
            Cell::number(share(band.trusted)),
        ]
    };
    html! {
        @if !bands.is_empty() {
            h2 { "Alignment by frequency" }
            p { "Ids by how often they stand in the pairs. Trusted: of the tokens of the band, those whose plaintext token is \
                 more likely right than wrong, by the alignment's own estimate." }
            (page::table(
                &["ids by rank", "ids", "of all tokens", "trusted"],
                &bands.iter().map(row).collect::<Vec<_>>(),
            ))
        }
    }
}

/// Row-wise against grouped.
fn leakage(run: &ReportedRun) -> Markup {
    let row = |name: &str, score: Option<f64>, rows: u64| {
        vec![
            Cell::wide(name),
            Cell::number(score.map(figure)),
            Cell::number(Some(HumanCount(rows).to_string())),
        ]
    };
    html! {
        h2 { "Row-wise against grouped" }
        @match (run.grouped(), &run.traits) {
            (Some((score, rows)), _) => {
                p {
                    "A row that shares a sentence with rows its model was trained on may be easier than a row of the test file. \
                     If the test file shares no sentence with the training files, trust the second figure."
                    (dealt(run))
                }
                (page::table(
                    &["rows", run.metric.metric().title, "number"],
                    &[
                        row("all", run.score(), run.scored.rows.len() as u64),
                        row("no sentence of theirs was trained on", score, rows),
                    ],
                ))
            }
            (None, Err(reason)) => p { "Left out: the texts are not known here: " (reason) "." },
            (None, Ok(_)) => p { "Left out: no rows are scored." },
        }
    }
}

/// How the rows were dealt to the folds, and what they share; nothing where it is not recorded.
fn dealt(run: &ReportedRun) -> String {
    let recorded = run.figures().leakage.unwrap_or_default();
    let share = |share: Option<f64>| share.map(|share| format!("{:.0} %", 100.0 * share));
    let (Some(assign), Some(folds)) = (recorded.assign, share(recorded.shares.between_folds))
    else {
        return String::new();
    };
    let test = share(recorded.shares.test_with_train)
        .map(|test| format!("; {test} of the test rows share one with the training rows"));
    format!(
        " With folds.assign = \"{assign}\" {folds} of the rows share a sentence with another fold{}.",
        test.unwrap_or_default()
    )
}

fn folds(run: &ReportedRun) -> Markup {
    let row = |name: String, score: Option<f64>, done: Option<&FoldFigures>| {
        let figures = done.cloned().unwrap_or_default();
        let count = |figure: Option<u64>| figure.map(|count| HumanCount(count).to_string());
        let speed = figures.tokens_per_second.map(|speed| speed as u64);
        let memory = figures.peak_rss_bytes.map(disk::megabytes);
        vec![
            Cell::text(name),
            Cell::text(if done.is_some() { "done" } else { "not done" }),
            Cell::number(score.map(figure)),
            Cell::number(count(figures.best_epoch)),
            Cell::number(count(figures.steps)),
            Cell::number(figures.seconds.map(duration)),
            Cell::number(count(speed)),
            Cell::number(memory),
        ]
    };
    let mut rows: Vec<Vec<Cell>> = Vec::new();
    for fold in &run.folds {
        let name = fold.number.map_or(String::new(), |n| n.to_string());
        rows.push(row(name, fold.score, fold.done.as_ref()));
    }
    if let Some(full) = &run.full {
        rows.push(row("all rows".to_owned(), None, Some(full)));
    }
    let header = [
        "fold",
        "state",
        run.metric.metric().title,
        "best epoch",
        "steps",
        "time",
        "tokens/s",
        "memory",
    ];
    html! { h2 { "Folds" } (page::table(&header, &rows)) }
}

/// What went in, on what, and what came out.
fn origin(run: &ReportedRun) -> Markup {
    let row = |record: &FileRecord| {
        vec![
            Cell::text(record.key.clone()),
            Cell::wide(record.path.display().to_string()),
            Cell::number(Some(HumanCount(record.bytes).to_string())),
            Cell::text(first(&record.sha256, 16)),
        ]
    };
    let inputs: Vec<Vec<Cell>> = run.results.record.inputs.iter().map(row).collect();
    html! {
        h2 { "What went in" }
        (page::table(&["key", "file", "bytes", "SHA-256 (first 16)"], &inputs))
        (page::folded("config.toml: every setting", &run.config))
        (page::folded("manifest.json: every hash, the machine, the corpora, what came out", &run.manifest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_of_several_runs_needs_a_place() {
        let paths = ["a".into(), "b".into()];
        let error = report(&paths, None, &Progress::silent()).expect_err("no place");
        assert_eq!(
            error.to_string(),
            "a report of several runs belongs in no one of their folders"
        );
        assert_eq!(error.hint(), Some("name a file with --out"));
    }
}
