//! The first row of a report: the figures that one asks for first.
//!
//! In: a run. Out: its cards; what a run has nothing of has no card.

use std::path::Path;

use indicatif::HumanCount;

use super::page::Card;
use super::read::ReportedRun;
use super::text::{duration, figure, first, spread};
use crate::workbench::disk;
use crate::workbench::run_folder::names;
use crate::workbench::run_folder::record::RunFigures;

/// All cards, the metric first.
pub fn cards(run: &ReportedRun) -> Vec<Card> {
    let cards = [score(run), folds(run), baseline(run)]
        .into_iter()
        .flatten();
    let mut cards: Vec<Card> = cards.collect();
    let figures = run.figures();
    if let Some(seconds) = figures.seconds {
        cards.push(Card {
            label: "Time".to_owned(),
            value: duration(seconds),
            more: more_time(&figures),
        });
    }
    if let Some(speed) = figures.tokens_per_second {
        let memory = figures.peak_rss_bytes;
        let memory = memory.map(|bytes| format!("{} at most in memory", disk::megabytes(bytes)));
        cards.push(Card {
            label: "Tokens a second".to_owned(),
            value: HumanCount(speed as u64).to_string(),
            more: memory.unwrap_or_default(),
        });
    }
    cards.extend(alignment(run));
    cards.extend(submission(run));
    cards
}

/// `1,234 steps, and 35 min 2 s for stages that others share`
fn more_time(figures: &RunFigures) -> String {
    let steps = figures.steps.map(|n| format!("{} steps", HumanCount(n)));
    let shared = figures.shared_stage.as_ref();
    let shared = shared.map(|cost| {
        format!(
            "and {} for stages that others share",
            duration(cost.seconds)
        )
    });
    let parts: Vec<String> = [steps, shared].into_iter().flatten().collect();
    parts.join(", ")
}

/// The metric with its interval.
fn score(run: &ReportedRun) -> Option<Card> {
    let rows = if run.has_folds() {
        "Out-of-fold"
    } else {
        "Validation"
    };
    let interval = run
        .interval()
        .map(|(low, high)| format!("95 %: {low:.4} to {high:.4}, "));
    let n = HumanCount(run.scored.rows.len() as u64);
    Some(Card {
        label: format!("{rows} {}", run.metric.metric().title),
        value: figure(run.score()?),
        more: format!("{}{n} rows", interval.unwrap_or_default()),
    })
}

/// What the model has to beat.
fn baseline(run: &ReportedRun) -> Option<Card> {
    let figures = run.figures();
    let baseline = figures.baseline?;
    let title = baseline.metric(run.metric).metric().title;
    // By another metric than the run: the model has its figure elsewhere on the page.
    let of_model = baseline
        .metric
        .and_then(|metric| figures.scores.get(&metric));
    let of_model = of_model.map_or(String::new(), |score| {
        format!(", where the model has {title} {}", figure(*score))
    });
    Some(Card {
        label: format!("{title} of {}", baseline.name),
        value: figure(baseline.score),
        more: format!("by {}, on the same rows{of_model}", baseline.describe()),
    })
}

fn folds(run: &ReportedRun) -> Option<Card> {
    let scores: Vec<f64> = run.folds.iter().filter_map(|fold| fold.score).collect();
    (run.has_folds() && !scores.is_empty()).then(|| Card {
        label: format!("{} of the folds", run.metric.metric().title),
        value: spread(&scores),
        more: match scores.len() {
            1 => "one fold".to_owned(),
            n => format!("mean ± sd of {n}"),
        },
    })
}

/// Where the run knows how good its alignment is.
fn alignment(run: &ReportedRun) -> Option<Card> {
    let known = run.results.record.alignment.as_ref()?;
    let count = |figure: Option<u64>| figure.map(|n| HumanCount(n).to_string());
    let likelihood = |figure: Option<f64>| figure.map(|found| format!("{found:.2}"));
    Some(Card {
        label: "Aligned ids".to_owned(),
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

/// Where there is a submission.
fn submission(run: &ReportedRun) -> Option<Card> {
    let name = names::SUBMISSION;
    let text = std::fs::read_to_string(run.results.path.join(name)).ok()?;
    let mut outputs = run.results.record.outputs.iter();
    let record = outputs.find(|record| record.path == Path::new(name));
    Some(Card {
        label: "Submission".to_owned(),
        value: format!("{} lines", HumanCount(text.lines().count() as u64)),
        more: match record {
            Some(record) => format!("{name}, SHA-256 {}…", first(&record.sha256, 12)),
            None => name.to_owned(),
        },
    })
}
