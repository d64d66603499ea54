//! `cipherpet run`: the whole job, of one experiment or several.

use std::path::{Path, PathBuf};

use clap::Args;

use super::{Session, Settings, output, say};
use crate::config::{self, DEFAULT_EXPERIMENT, Loaded};
use crate::error::Result;
use crate::metrics::{MetricName, ValidFigures};
use crate::workbench::Context;
use crate::workbench::report::FILE;
use crate::workbench::run as job;
use crate::workbench::run::batch::{self, BatchReport};
use crate::workbench::run::part::{FoldReport, PartReport, RunPart, RunReport};
use crate::workbench::run_folder::manifest::CrossValidation;
use crate::workbench::run_folder::names::ModelName;
use crate::workbench::run_folder::resume::minutes_to_duration;
use crate::workbench::run_folder::stage_cost::StageCost;
use crate::workbench::slurm::quoted;

/// Arguments of `run`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cipherpet run
  cipherpet run experiment.toml --set train.epochs=1 --set align.method=random
  cipherpet run experiment.toml --out runs/first --seed 1 --json
  cipherpet run experiment.toml --set folds.k=5
  cipherpet run small.toml large.toml --set 'grid.seed=[0, 1, 2]'

Paths in the file are relative to the file, in --set to the working folder. A run that is done is
not done again: its result is printed. With another [submit] its submission is written from the
stored scores; with another [predict] its models score the rows again. Neither trains. One that was
stopped or killed goes on from its last checkpoint, to the same bytes as if it had not been. Of
several experiments, one that fails does not stop the others; the exit status is 1 then. Several
processes may train folds of one run at once.")]
pub struct RunArguments {
    /// The experiment files [default: the one inside the tool]
    #[arg(value_name = "EXPERIMENT.toml")]
    experiments: Vec<PathBuf>,
    #[command(flatten)]
    settings: Settings,
    /// The run folder [default: runs/NAME-HASH]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Root of all random streams; the same as --set seed=N
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64))]
    seed: Option<u64>,
    /// Train this fold alone, counted from 1, or `full` for the fit on all rows
    #[arg(long, value_name = "F", conflicts_with = "finish")]
    fold: Option<ModelName>,
    /// Merge the folds that are trained: out-of-fold scores and submission
    #[arg(long)]
    finish: bool,
    /// Stop after about so many minutes, save, and exit with 75: the same command goes on [default: no limit]
    #[arg(long, value_name = "M", value_parser = minutes, allow_negative_numbers = true)]
    max_minutes: Option<f64>,
    /// Leave event files for TensorBoard beside metrics.jsonl: tensorboard --logdir runs
    #[arg(long)]
    tensorboard: bool,
    /// Print the result as one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn minutes(text: &str) -> std::result::Result<f64, String> {
    let minutes: f64 = text.parse().map_err(|error| format!("{error}"))?;
    if minutes >= 0.0 {
        Ok(minutes)
    } else {
        Err("0 or more are needed".to_owned())
    }
}

pub fn run(arguments: &RunArguments, session: &Session) -> Result<()> {
    if let Some(minutes) = arguments.max_minutes {
        session.stop.after(minutes_to_duration(minutes));
    }
    let out = arguments.out.as_deref();
    let cells = arguments.cells()?;
    batch::require_own_folders(&cells, out)?;
    let part = match (arguments.fold, arguments.finish) {
        (Some(name), _) => RunPart::Fold(name),
        (None, true) => RunPart::Finish,
        (None, false) => RunPart::Whole,
    };
    let context = Context {
        tensorboard: arguments.tensorboard,
        ..session.context()
    };
    if let [loaded] = &cells[..] {
        let report = job::run(loaded, out, part, context)?;
        note_found(&report, session);
        output::print(&report, &text(&report), arguments.json)?;
        if let PartReport::Run(report) = &report {
            session.note(&next_line(&report.run));
        }
        say(&last_line(&report));
        return Ok(());
    }
    let report = batch::run_all(&cells, part, context)?;
    output::print(&report, &batch_text(&report), arguments.json)?;
    for report in report.runs.iter().filter_map(|cell| cell.report.as_ref()) {
        say(&last_line(report));
    }
    report.require_success()
}

impl RunArguments {
    /// Every cell of every file.
    fn cells(&self) -> Result<Vec<Loaded>> {
        let mut assignments = self.settings.set.clone();
        assignments.extend(self.seed.map(|seed| format!("seed={seed}")));
        if self.experiments.is_empty() {
            return config::load_cells(Some(Path::new(DEFAULT_EXPERIMENT)), &assignments);
        }
        let mut cells = Vec::new();
        for file in &self.experiments {
            cells.extend(config::load_cells(Some(file), &assignments)?);
        }
        Ok(cells)
    }
}

fn note_found(report: &PartReport, session: &Session) {
    match report {
        PartReport::Run(report) if report.rewritten => {
            let run = report.run.display();
            session.note(&format!("{run} was done already: nothing was trained"));
        }
        PartReport::Run(report) if report.found_done => {
            session.note(&format!("{} is done already", report.run.display()));
        }
        PartReport::Fold(report) if report.found_done => {
            session.note(&format!("{} is done already", fold_title(report)));
        }
        _ => {}
    }
}

/// What one may do with a run; the folder stands as one types it in a shell.
fn next_line(run: &Path) -> String {
    let shown = run.display().to_string();
    let run = quoted(&shown).unwrap_or(shown);
    format!(
        "next: `cipherpet board` compares runs; `cipherpet predict {run} --pairs FILE --out FILE` scores more rows"
    )
}

/// Where the answer is.
fn last_line(report: &PartReport) -> String {
    match report {
        PartReport::Run(RunReport {
            submission: Some(submission),
            ..
        }) => format!("submission: {}", submission.display()),
        PartReport::Run(report) => format!(
            "no submission, as there is no data.test; run: {}",
            report.run.display()
        ),
        PartReport::Fold(report) if report.models_done == report.models && !report.merged => {
            format!(
                "all {} models of {} are trained; --finish merges them",
                report.models,
                report.run.display()
            )
        }
        PartReport::Fold(report) => format!(
            "{} of {} models of {} are trained",
            report.models_done,
            report.models,
            report.run.display()
        ),
    }
}

fn text(report: &PartReport) -> String {
    match report {
        PartReport::Run(report) => run_text(report),
        PartReport::Fold(report) => fold_text(report),
    }
}

fn run_text(report: &RunReport) -> String {
    let quality = match &report.cross_validation {
        Some(figures) => folds_text(report.valid.metric, figures),
        None => format!(
            "{}{}",
            heading(&format!("valid {}", report.valid.metric.metric().title)),
            score_text(&report.valid, report.best_epoch, report.epochs)
        ),
    };
    let page = report.run.join(FILE);
    let page = match page.exists() {
        true => format!("\nreport       {}", page.display()),
        false => String::new(),
    };
    let baseline = report.baseline.as_ref();
    let baseline = baseline.map_or(String::new(), |baseline| {
        let (name, score) = (heading(&baseline.name), baseline.score_text());
        // By another metric than the line above: the model's own figure of that metric.
        let of_model = baseline.metric.and_then(|metric| {
            let score = report.valid.score_by(metric)?;
            let title = metric.metric().title;
            Some(format!(", where the model has {title} {score:.4}"))
        });
        format!(
            "\n{name}{score} by {}, on the same rows{}",
            baseline.describe(),
            of_model.unwrap_or_default()
        )
    });
    format!(
        "run          {}{page}\n{quality}{baseline}\n{}",
        report.run.display(),
        cost_text(
            (report.steps, report.tokens_per_second),
            (report.seconds, report.shared_stage.as_deref()),
            report.peak_rss_bytes
        )
    )
}

fn fold_text(report: &FoldReport) -> String {
    let outcome = &report.outcome;
    format!(
        "fold         {}\n{}{}\n{}",
        fold_title(report),
        heading(&format!("valid {}", outcome.valid.metric.metric().title)),
        score_text(&outcome.valid, Some(outcome.best_epoch), outcome.epochs),
        cost_text(
            (outcome.steps, outcome.tokens_per_second),
            (outcome.seconds, outcome.shared_stage.as_ref()),
            outcome.peak_rss_bytes
        )
    )
}

fn fold_title(report: &FoldReport) -> String {
    let name = report.outcome.fold.map_or(ModelName::Full, ModelName::Fold);
    name.folder(&report.run).display().to_string()
}

/// The lines of a run with folds: out of fold, each fold, and row-wise against grouped.
fn folds_text(metric: MetricName, figures: &CrossValidation) -> String {
    let show = |score: Option<f64>| score.map_or("none".to_owned(), |score| format!("{score:.4}"));
    let each: Vec<String> = figures
        .folds
        .iter()
        .map(|fold| show(fold.valid.valid_score))
        .collect();
    let leakage = &figures.leakage;
    let assign = leakage.assign.name();
    let row_wise = match leakage.row_score {
        Some(score) => format!(
            "{score:.4} over {} rows, dealt by \"{assign}\"",
            leakage.row_rows
        ),
        None => format!("unknown, as rows are dealt by \"{assign}\""),
    };
    format!(
        "{}{} (95 %: {} to {})\nfolds        {}: mean {}, sd {}\nrow-wise     {}\ngrouped      {} over {} rows without a sentence that was trained on",
        heading(&format!("OOF {}", metric.metric().title)),
        show(figures.oof_score),
        show(figures.oof_score_low),
        show(figures.oof_score_high),
        each.join(" "),
        show(figures.fold_score_mean),
        show(figures.fold_score_sd),
        row_wise,
        show(leakage.grouped_score),
        leakage.grouped_rows,
    )
}

/// What stands before a value: as wide as the others where it can be.
pub(super) fn heading(text: &str) -> String {
    format!("{text:<12} ")
}

fn score_text(valid: &ValidFigures, best_epoch: Option<usize>, epochs: usize) -> String {
    match (valid.valid_score, best_epoch) {
        (Some(score), Some(best)) => format!("{score:.4} at epoch {best} of {epochs}"),
        (Some(score), None) => format!("{score:.4}"),
        (None, _) if valid.scores.is_empty() => {
            "none, as no rows validate that have one".to_owned()
        }
        // The log loss of the same rows tells that their scores are numbers.
        (None, _)
            if valid.metric == MetricName::Auc
                && valid.scores.contains_key(&MetricName::LogLoss) =>
        {
            "none, as the validation rows have one label only".to_owned()
        }
        // Labels of one class alone, or scores that are all equal.
        (None, _) => "none, as these labels or scores have none".to_owned(),
    }
}

pub(super) fn cost_text(
    (steps, tokens_per_second): (usize, f64),
    (seconds, shared): (f64, Option<&StageCost>),
    peak_rss_bytes: Option<u64>,
) -> String {
    let shared = shared.map_or(String::new(), |cost| {
        format!(", and {:.1} s for stages that others share", cost.seconds)
    });
    let memory = match peak_rss_bytes {
        Some(bytes) => format!("{:.0} MB", bytes as f64 / 1e6),
        None => "unknown".to_owned(),
    };
    format!(
        "training     {steps} steps, {tokens_per_second:.0} tokens/s\ntime         {seconds:.1} s{shared}\nmemory       {memory}"
    )
}

/// One line an experiment, those of one metric best first: its score, its title and its folder, or `failed`.
fn batch_text(report: &BatchReport) -> String {
    let valid = |cell: &batch::CellReport| match &cell.report {
        Some(PartReport::Run(report)) => Some(report.valid.clone()),
        Some(PartReport::Fold(report)) => Some(report.outcome.valid.clone()),
        None => None,
    };
    // Failed ones stand last, as the last lines are those that are read.
    let key = |cell: &batch::CellReport| {
        valid(cell).map_or((true, None, f64::INFINITY), |valid| {
            let sign = if valid.metric.metric().higher_is_better {
                -1.0
            } else {
                1.0
            };
            let score = valid
                .valid_score
                .map_or(f64::INFINITY, |score| sign * score);
            (false, Some(valid.metric), score)
        })
    };
    let mut cells: Vec<&batch::CellReport> = report.runs.iter().collect();
    cells.sort_by(|a, b| {
        let ((a_failed, a_metric, a), (b_failed, b_metric, b)) = (key(a), key(b));
        (a_failed, a_metric)
            .cmp(&(b_failed, b_metric))
            .then(a.total_cmp(&b))
    });
    let line = |cell: &batch::CellReport| {
        let (score, run) = match &cell.report {
            Some(PartReport::Run(report)) => {
                (report.valid.valid_score, report.run.display().to_string())
            }
            Some(PartReport::Fold(report)) => {
                (report.outcome.valid.valid_score, fold_title(report))
            }
            None => return format!("failed  {}", cell.title()),
        };
        let score = score.map_or("none  ".to_owned(), |score| format!("{score:.4}"));
        format!("{score}  {}  {run}", cell.title())
    };
    let lines: Vec<String> = cells.into_iter().map(line).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::Arguments;

    #[test]
    fn the_next_command_may_be_pasted_into_a_shell() {
        let plain = next_line(Path::new("runs/first-5eed"));
        assert!(
            plain.contains("`cipherpet predict runs/first-5eed --pairs FILE"),
            "{plain}"
        );
        let spaces = next_line(Path::new("my runs/first"));
        assert!(
            spaces.contains("`cipherpet predict 'my runs/first' --pairs FILE"),
            "{spaces}"
        );
    }

    #[test]
    fn minutes_below_zero_are_refused_by_their_range() {
        let words = ["cipherpet", "run", "--max-minutes", "-1"];
        let error = Arguments::try_parse_from(words).expect_err("below 0");
        assert!(error.to_string().contains("0 or more are needed"));
    }

    #[test]
    fn a_figure_that_is_missing_is_not_put_down_to_missing_rows() {
        let text = |scores: &[(MetricName, f64)]| {
            let figures = scores.iter().copied().collect();
            let valid = ValidFigures::new(MetricName::Spearman, figures);
            score_text(&valid, Some(2), 3)
        };
        assert_eq!(
            text(&[(MetricName::Spearman, 0.5)]),
            "0.5000 at epoch 2 of 3"
        );
        assert_eq!(text(&[]), "none, as no rows validate that have one");
        let collapsed = text(&[(MetricName::Kappa, 0.0)]);
        assert_eq!(collapsed, "none, as these labels or scores have none");
        let auc = |scores: &[(MetricName, f64)]| {
            let valid = ValidFigures::new(MetricName::Auc, scores.iter().copied().collect());
            score_text(&valid, Some(2), 3)
        };
        let one_label = auc(&[(MetricName::Accuracy, 1.0), (MetricName::LogLoss, 0.1)]);
        assert_eq!(
            one_label,
            "none, as the validation rows have one label only"
        );
        let no_numbers = auc(&[(MetricName::Accuracy, 0.5)]);
        assert_eq!(no_numbers, "none, as these labels or scores have none");
    }
}
