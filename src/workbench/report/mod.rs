//! `report.html`: a run, or several side by side, as one file to look at.
//!
//! In: run folders. Out: one self-contained HTML page: no script, nothing fetched, light and dark, fit for a phone. The
//! figures that one asks for first stand first. Rows are told by number; no sentence and no plaintext token is shown.
//! `read` takes a folder apart, `statistics` computes, `figures` and `plots` draw, `page` sets the HTML; here is
//! what stands on the page of one run, and in `compare` what stands on that of several.

mod compare;
mod figures;
mod page;
mod plots;
mod read;
mod statistics;

use std::path::{Path, PathBuf};

use indicatif::HumanCount;
use maud::{Markup, html};
use serde::Serialize;

use self::figures::{Judged, Trained};
use self::page::{Card, Cell};
use self::read::ReportedRun;
use super::disk;
use super::run_folder::manifest::FileRecord;
use super::run_folder::names;
use super::run_folder::record::{CoverageBand, FoldFigures};
use crate::atomic;
use crate::error::{Error, Result};
use crate::metrics::mean_and_deviation;
use crate::progress::Progress;

/// Name of the report in a run folder.
pub const FILE: &str = "report.html";

/// Rows in the table of errors.
const WORST: usize = 20;

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WrittenReport {
    /// The page.
    pub report: PathBuf,
    /// The runs on it, as they were named.
    pub runs: Vec<PathBuf>,
}

/// Writes the page of one run, or the comparison of several, to `out`; by default into the folder of the one run.
///
/// # Errors
/// [`Error::Refused`] where a folder is no run, or where several have no `out`; [`Error::Input`]
/// where a file of a run is not as the tool writes it; [`Error::Io`].
pub fn report(paths: &[PathBuf], out: Option<&Path>) -> Result<WrittenReport> {
    let report = match (paths, out) {
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
        runs: paths.to_vec(),
    })
}

/// Leaves the page in the folder of a run that has just ended. The run is done with or without it, so that a failure is
/// only said.
pub fn write(run: &Path, progress: &Progress) {
    // What a process left that was killed while it wrote the page.
    let cleared = atomic::remove_unfinished(run);
    if let Err(error) = cleared.and_then(|()| report(&[run.to_owned()], None)) {
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
    let judged = [Judged {
        name: String::new(),
        rows: &run.scored,
    }];
    let scores = [
        figures::roc(&judged)?,
        figures::histogram(run)?,
        figures::reliability(&judged)?,
    ];
    let mut tokens = figures::by_traits(run)?;
    tokens.push(figures::rank_frequency(run)?);
    let body = html! {
        @if !run.is_done() {
            (page::note("This run has not ended: the figures are those of what is there so far."))
        }
        (page::cards(&summary(run)))
        (leakage(run))
        (page::figures("Training", &figures::training(&trained)?))
        @if run.has_folds() { (folds(run)) }
        (page::figures("Scores", &scores))
        (page::figures("Tokens", &tokens))
        (coverage(run))
        (worst(run))
        (origin(run))
    };
    Ok(page::page(&run.name, &about(run), &body))
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

fn summary(run: &ReportedRun) -> Vec<Card> {
    let mut cards = vec![Card {
        label: if run.has_folds() {
            "Out-of-fold AUC"
        } else {
            "Validation AUC"
        },
        value: run.auc().map_or("–".to_owned(), |auc| format!("{auc:.4}")),
        more: format!(
            "{}{} rows",
            interval(run),
            HumanCount(run.scored.len() as u64)
        ),
    }];
    if run.has_folds() {
        let aucs: Vec<f64> = run.folds.iter().filter_map(|fold| fold.auc).collect();
        cards.push(Card {
            label: "AUC of the folds",
            value: spread(&aucs),
            more: format!("mean ± sd of {}", aucs.len()),
        });
    }
    let figures = run.figures();
    if let Some(seconds) = figures.seconds {
        cards.push(Card {
            label: "Time",
            value: duration(seconds),
            more: figures.steps.map_or(String::new(), |steps| {
                format!("{} steps", HumanCount(steps))
            }),
        });
    }
    if let Some(speed) = figures.tokens_per_second {
        let memory = figures.peak_rss_bytes;
        let memory = memory.map(|bytes| format!("{} at most in memory", disk::megabytes(bytes)));
        cards.push(Card {
            label: "Tokens a second",
            value: HumanCount(speed as u64).to_string(),
            more: memory.unwrap_or_default(),
        });
    }
    cards.extend(alignment(run));
    cards.push(submission(run));
    cards
}

/// Where the run knows how good its alignment is.
fn alignment(run: &ReportedRun) -> Option<Card> {
    let known = run.results.record.alignment.as_ref()?;
    let count = |figure: Option<u64>| figure.map(|n| HumanCount(n).to_string());
    let likelihood = |figure: Option<f64>| figure.map(|found| format!("{found:.2}"));
    Some(Card {
        label: "Aligned ids",
        value: format!(
            "{} of {}",
            count(known.matched)?,
            count(known.cipher_types)?
        ),
        more: format!(
            "by {}, {} mutually best; likelihood {} a token, by rank {}, shuffled {}",
            known.unit.as_ref()?,
            count(known.mutual_best)?,
            likelihood(known.likelihood)?,
            likelihood(known.likelihood_rank)?,
            likelihood(known.likelihood_shuffled)?
        ),
    })
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

/// `95 %: 0.9012 to 0.9187, ` where both labels are there.
fn interval(run: &ReportedRun) -> String {
    match run.auc_interval() {
        Some((low, high)) => format!("95 %: {low:.4} to {high:.4}, "),
        None => String::new(),
    }
}

fn submission(run: &ReportedRun) -> Card {
    let name = names::SUBMISSION;
    let path = run.results.path.join(name);
    let scores = std::fs::read_to_string(&path).map(|text| text.lines().count());
    let mut outputs = run.results.record.outputs.iter();
    let record = outputs.find(|record| record.path == Path::new(name));
    let hash = record.map(|record| record.sha256.as_str());
    Card {
        label: "Submission",
        value: match &scores {
            Ok(lines) => format!("{} lines", HumanCount(*lines as u64)),
            Err(_) => "none".to_owned(),
        },
        more: match (&scores, hash) {
            (Ok(_), Some(hash)) => format!("{name}, SHA-256 {}…", first(hash, 12)),
            (Ok(_), None) => name.to_owned(),
            (Err(_), _) => String::new(),
        },
    }
}

/// The first characters of a text.
fn first(text: &str, n: usize) -> String {
    text.chars().take(n).collect()
}

/// `0.9123 ± 0.0040`
fn spread(values: &[f64]) -> String {
    match mean_and_deviation(values) {
        Some((mean, Some(sd))) => format!("{mean:.4} ± {sd:.4}"),
        Some((mean, None)) => format!("{mean:.4}"),
        None => "–".to_owned(),
    }
}

/// `58 s`, `12 min 5 s`, `3 h 20 min`
fn duration(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        0..60 => format!("{seconds:.1} s"),
        60..3600 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
    }
}

/// Row-wise against grouped AUC.
fn leakage(run: &ReportedRun) -> Markup {
    let row = |name: &str, auc: Option<f64>, rows: u64| {
        vec![
            Cell::wide(name),
            Cell::number(auc.map(|auc| format!("{auc:.4}"))),
            Cell::number(Some(HumanCount(rows).to_string())),
        ]
    };
    html! {
        h2 { "Row-wise against grouped" }
        @match (run.grouped(), &run.traits) {
            (Some((auc, rows)), _) => {
                p {
                    "A row that shares a sentence with rows its model was trained on may be easier than a row of the test file. \
                     If the test file shares no sentence with the training files, trust the second figure."
                    (dealt(run))
                }
                (page::table(
                    &["rows", "AUC", "number"],
                    &[
                        row("all", run.auc(), run.scored.len() as u64),
                        row("no sentence of theirs was trained on", auc, rows),
                    ],
                ))
            }
            (None, Err(reason)) => p { "Left out: the pairs are not known here: " (reason) "." },
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
    let row = |name: String, auc: Option<f64>, done: Option<&FoldFigures>| {
        let figures = done.cloned().unwrap_or_default();
        let count = |figure: Option<u64>| figure.map(|count| HumanCount(count).to_string());
        let speed = figures.tokens_per_second.map(|speed| speed as u64);
        let memory = figures.peak_rss_bytes.map(disk::megabytes);
        vec![
            Cell::text(name),
            Cell::text(if done.is_some() { "done" } else { "not done" }),
            Cell::number(auc.map(|auc| format!("{auc:.4}"))),
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
        rows.push(row(name, fold.auc, fold.done.as_ref()));
    }
    if let Some(full) = &run.full {
        rows.push(row("all rows".to_owned(), None, Some(full)));
    }
    let header = [
        "fold",
        "state",
        "AUC",
        "best epoch",
        "steps",
        "time",
        "tokens/s",
        "memory",
    ];
    html! { h2 { "Folds" } (page::table(&header, &rows)) }
}

/// The surest errors, as row numbers.
fn worst(run: &ReportedRun) -> Markup {
    let errors = statistics::worst_errors(&run.scored, WORST);
    let row = |error: &statistics::Scored| {
        let at = run.scored.iter().position(|scored| scored.row == error.row);
        let traits = at.and_then(|at| run.traits.as_ref().ok()?.get(at));
        let mut cells = vec![
            Cell::text(error.row.to_string()),
            Cell::text(u8::from(error.label).to_string()),
            Cell::number(Some(format!("{:.4}", error.probability()))),
            Cell::number(Some(format!("{:.3}", error.score))),
            Cell::number(traits.map(|of| of.tokens.to_string())),
            Cell::number(traits.map(|of| of.unknown.to_string())),
        ];
        if run.has_folds() {
            cells.push(Cell::text(error.fold.to_string()));
        }
        cells
    };
    let header = [
        "row",
        "label",
        "probability of 1",
        "score",
        "tokens",
        "unknown",
        "fold",
    ];
    let header = if run.has_folds() {
        &header[..]
    } else {
        &header[..6]
    };
    let rows: Vec<Vec<Cell>> = errors.iter().map(row).collect();
    html! {
        h2 { "Worst errors" }
        @if rows.is_empty() {
            p { "No row is on the wrong side of an even chance." }
        } @else {
            p {
                "The rows that the model is surest of and wrong about. Many of them with one trait point to wrong labels, or to \
                 something that the model cannot see."
            }
            (page::table(header, &rows))
        }
    }
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
    fn durations_and_spreads_as_one_says_them() {
        assert_eq!(duration(7.25), "7.2 s");
        assert_eq!(duration(61.0), "1 min 1 s");
        assert_eq!(duration(12_000.0), "3 h 20 min");
        assert_eq!(spread(&[0.9, 0.91, 0.92]), "0.9100 ± 0.0100");
        assert_eq!(spread(&[]), "–");
    }

    #[test]
    fn a_report_of_several_runs_needs_a_place() {
        let error = report(&["a".into(), "b".into()], None).expect_err("no place");
        assert_eq!(
            error.to_string(),
            "a report of several runs belongs in no one of their folders"
        );
        assert_eq!(error.hint(), Some("name a file with --out"));
    }
}
