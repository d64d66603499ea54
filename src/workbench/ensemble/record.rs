//! The folder of an ensemble, which reads as a run's: `manifest.json`, `config.toml`, the table of scores.
//!
//! In: what was blended. Out: files. Does not write the submission.

use std::collections::BTreeSet;
use std::path::Path;

use serde::Serialize;

use super::{How, Member, Methods, says_something};
use crate::atomic;
use crate::config::{self, DataConfig, Experiment, SubmitConfig, TaskConfig};
use crate::data::{LabelKind, Task};
use crate::error::{Error, Result};
use crate::hash::sha256;
use crate::metrics::{MetricName, mean_and_deviation};
use crate::objective::ObjectiveName;
use crate::random::Key;
use crate::workbench::run_folder::folder;
use crate::workbench::run_folder::manifest::{FileRecord, Identity, State, TOOL};
use crate::workbench::run_folder::names;
use crate::workbench::run_folder::record::{ENSEMBLE, RunFigures};
use crate::workbench::run_folder::results::Results;
use crate::workbench::run_folder::scores::Scored;

/// The config key under which the files of the runs stand in the manifest.
const RUN_KEY: &str = "ensemble.run";

/// `manifest.json`: what it shares with a run's has the same keys.
#[derive(Serialize)]
pub(super) struct EnsembleManifest<'a> {
    tool: &'static str,
    kind: &'static str,
    state: State,
    #[serde(flatten)]
    identity: Identity,
    task: &'a Task,
    outputs: Vec<FileRecord>,
    ensemble: Blend<'a>,
    result: Option<RunFigures>,
}

/// How the scores were made.
#[derive(Serialize)]
pub(super) struct Blend<'a> {
    pub how: How,
    /// Whether they are ranks, or made of ranks.
    pub ranks: bool,
    pub metric: MetricName,
    pub runs: &'a [Member],
    pub methods: &'a Methods,
}

impl<'a> EnsembleManifest<'a> {
    pub(super) fn begin(identity: Identity, task: &'a Task, ensemble: Blend<'a>) -> Self {
        Self {
            tool: TOOL,
            kind: ENSEMBLE,
            state: State::Begun,
            identity,
            task,
            outputs: Vec::new(),
            ensemble,
            result: None,
        }
    }

    /// Records every file and the figures of the table; the ensemble is done when this returns.
    pub(super) fn finish(mut self, out: &Path, table: &Scored, seconds: f64) -> Result<()> {
        let names = [
            names::CONFIG,
            names::OOF,
            names::VALID,
            names::SUBMISSION,
            names::SUBMISSION_ZIP,
            names::SUBMISSION_JSON,
            names::TEST,
        ];
        self.outputs = (names.into_iter().filter(|name| out.join(name).exists()))
            .map(|name| FileRecord::of("output", &out.join(name), Path::new(name)))
            .collect::<Result<_>>()?;
        self.state = State::Done;
        let (labels, metric) = (
            self.task.labels,
            (self.ensemble.metric, self.ensemble.ranks),
        );
        self.result = Some(RunFigures {
            seconds: Some(seconds),
            ..figures(table, labels, metric)
        });
        self.write(out)
    }

    pub(super) fn write(&self, out: &Path) -> Result<()> {
        let mut text = serde_json::to_string_pretty(self)
            .map_err(|error| Error::Unexpected(format!("manifest as JSON: {error}")))?;
        text.push('\n');
        atomic::write(&out.join(names::MANIFEST), text.as_bytes())
    }
}

/// What one metric says of a table.
#[derive(Clone, Copy, Default)]
struct Estimate {
    all: Option<f64>,
    low: Option<f64>,
    high: Option<f64>,
    fold_mean: Option<f64>,
    fold_deviation: Option<f64>,
}

impl Estimate {
    fn of(table: &Scored, metric: MetricName) -> Self {
        let all = metric.of(&table.targets, &table.scores);
        let Some(folds) = &table.folds else {
            return Self {
                all,
                ..Self::default()
            };
        };
        let numbers: BTreeSet<usize> = folds.iter().copied().collect();
        let of_fold = |fold: usize| {
            let rows: Vec<usize> = (0..folds.len()).filter(|&row| folds[row] == fold).collect();
            let table = table.select(&rows);
            metric.of(&table.targets, &table.scores)
        };
        let by_fold: Vec<f64> = numbers.into_iter().filter_map(of_fold).collect();
        let (fold_mean, fold_deviation) = mean_and_deviation(&by_fold).unzip();
        let interval = metric.interval(&table.targets, &table.scores, Key::from_seed(0));
        let (low, high) = interval.unzip();
        Self {
            all,
            low,
            high,
            fold_mean,
            fold_deviation: fold_deviation.flatten(),
        }
    }
}

/// What the metric says of the table; beside it AUC under its own keys for binary labels, as in a run. Of ranks no metric of
/// probabilities says anything.
fn figures(table: &Scored, labels: LabelKind, (metric, ranks): (MetricName, bool)) -> RunFigures {
    let score = match says_something(metric, ranks) {
        true => Estimate::of(table, metric),
        false => Estimate::default(),
    };
    let mut scores = MetricName::figures(labels, &table.targets, &table.scores);
    scores.retain(|name, _| says_something(*name, ranks));
    let auc = match labels {
        LabelKind::Binary if metric == MetricName::Auc => score,
        LabelKind::Binary => Estimate::of(table, MetricName::Auc),
        _ => Estimate::default(),
    };
    let has_folds = table.folds.is_some();
    RunFigures {
        metric: Some(metric),
        valid_score: score.all,
        scores,
        oof_score_low: score.low,
        oof_score_high: score.high,
        fold_score_mean: score.fold_mean,
        fold_score_sd: score.fold_deviation,
        valid_auc: auc.all.filter(|_| !has_folds),
        oof_auc: auc.all.filter(|_| has_folds),
        oof_auc_low: auc.low,
        oof_auc_high: auc.high,
        fold_auc_mean: auc.fold_mean,
        fold_auc_sd: auc.fold_deviation,
        ..RunFigures::default()
    }
}

/// The runs, the way and the form make an ensemble what it is.
pub(super) fn identity(runs: &[Results], how: How, experiment: &Experiment) -> Result<Identity> {
    let rows = runs[0].record.inputs.iter().filter(|input| {
        matches!(
            input.key.as_str(),
            "data.train" | "data.valid" | "data.test"
        )
    });
    let mut inputs: Vec<FileRecord> = rows.cloned().collect();
    for run in runs {
        let files = [Some(run.labelled_file()?), run.test_file()?];
        for file in files.into_iter().flatten() {
            inputs.push(FileRecord::of(RUN_KEY, &file, &file)?);
        }
    }
    let mut submit = experiment.submit.clone();
    if let Some(like) = submit.like.take() {
        inputs.push(FileRecord::of("submit.like", &like, &like)?); // counts by its content
    }
    let submit = serde_json::to_string(&submit)
        .map_err(|error| Error::Unexpected(format!("[submit] as JSON: {error}")))?;
    let mut text = format!("ensemble {} {submit}", how.name());
    for run in runs {
        text += &format!("\n{}", run.record.config_sha256);
    }
    for input in &inputs {
        text += &format!("\n{} {}", input.key, input.sha256);
    }
    Ok(Identity {
        config_sha256: sha256(text),
        submit_sha256: experiment.submit_sha256()?,
        inputs,
    })
}

/// Makes the folder. One that holds the same ensemble is written anew, with the same scores.
pub(super) fn prepare(out: &Path, identity: &Identity) -> Result<()> {
    if out.join(names::MANIFEST).exists() {
        if Results::open(out)?.record.config_sha256 != identity.config_sha256 {
            let message = format!("{} holds another run or ensemble", out.display());
            return Err(Error::refused(message)
                .with_hint("choose another folder with --out, or remove this one"));
        }
    } else {
        folder::require_empty(out)?;
    }
    std::fs::create_dir_all(out).map_err(Error::io("create", out))
}

/// Writes `config.toml`, which names an objective of grades, or one that gives scores that are no logits, and the scores of the rows with
/// labels: `oof.csv`, or `valid.csv` without folds in common.
pub(super) fn write_tables(
    out: &Path,
    (experiment, objective): (&Experiment, Option<ObjectiveName>),
    table: &Scored,
    task: &Task,
) -> Result<()> {
    #[derive(Serialize)]
    struct Objective {
        name: ObjectiveName,
    }
    #[derive(Serialize)]
    struct Config<'a> {
        #[serde(skip_serializing_if = "Option::is_none")]
        task: Option<&'a TaskConfig>,
        data: &'a DataConfig,
        submit: &'a SubmitConfig,
        #[serde(skip_serializing_if = "Option::is_none")]
        objective: Option<Objective>,
    }
    let config = Config {
        task: Some(&experiment.task).filter(|task| **task != TaskConfig::default()),
        data: &experiment.data,
        submit: &experiment.submit,
        objective: objective.map(|name| Objective { name }),
    };
    let config = toml::to_string(&config).map_err(config::unwritable)?;
    atomic::write(&out.join(names::CONFIG), config.as_bytes())?;
    let name = match table.folds {
        Some(_) => names::OOF,
        None => names::VALID,
    };
    table.write(task, &out.join(name))
}
