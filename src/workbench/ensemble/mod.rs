//! Several runs made one: blended scores of the validation rows and of the test rows, and what that is worth.
//!
//! In: run folders over the same rows and the same test file. Out: an [`EnsembleReport`], and a folder that is a run
//! to everything that reads runs: `manifest.json`, `config.toml` (the runs' `[data]` and the `[submit]` of the
//! submission), `oof.csv` or `valid.csv`, the submission. Trains nothing.
//!
//! The runs have one task and one metric, whose direction decides which weights are better.
//!
//! Weights are chosen on the very rows whose figure is told. Therefore the table of an ensemble by weights holds
//! nested scores: each row's by weights chosen without its fold (without its half, where there are no folds in
//! common). The test rows have the weights of all rows.

mod agree;
pub mod blend;
mod record;

use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::Serialize;

use super::Context;
use super::run_folder::chosen::without_stages;
use super::run_folder::names;
use super::run_folder::scores::Scored;
use super::submission::{self, Source};
use crate::data::{LabelKind, Scores, Task};
use crate::error::{Error, Result};
use crate::metrics::MetricName;
use crate::random::{Key, Purpose};

/// How scores become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum How {
    /// The mean probability.
    Mean,
    /// The mean rank, which takes nothing from a score but its order: within its column, or, for named classes, among the
    /// log-probabilities of all rows and classes. It says an order and the likeliest class, and no probability.
    Rank,
    /// The mean logit.
    Logit,
    /// The weighted mean logit, weights chosen by the metric of the runs.
    Weights,
}

/// A run in an ensemble.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Member {
    /// Its folder.
    pub run: PathBuf,
    /// What tells it from other runs.
    pub config_sha256: String,
    /// The metric of its scores alone; none where the rows have no such figure.
    pub score: Option<f64>,
    /// AUC of the same for binary labels.
    pub auc: Option<f64>,
    /// Its part of the scores.
    pub weight: f64,
}

/// The metric of each way on the same rows; none where the rows have no such figure.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Methods {
    /// [`How::Mean`].
    pub mean: Option<f64>,
    /// [`How::Rank`].
    pub rank: Option<f64>,
    /// [`How::Logit`].
    pub logit: Option<f64>,
    /// [`How::Weights`] on the rows that they were chosen on: too good to be true.
    pub weights: Option<f64>,
    /// [`How::Weights`] on rows that took no part in the choice.
    pub weights_nested: Option<f64>,
}

/// What came of it; the object that `--json` prints.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EnsembleReport {
    /// The folder.
    pub ensemble: PathBuf,
    /// The way of the submission.
    pub how: How,
    /// In the order given.
    pub runs: Vec<Member>,
    /// Every way, for comparison.
    pub methods: Methods,
    /// What the figures are.
    pub metric: MetricName,
    /// That of the ensemble, for weights the nested one.
    pub score: Option<f64>,
    /// AUC of the same for binary labels.
    pub auc: Option<f64>,
    /// `submission.csv`; none where the runs have no test file.
    pub submission: Option<PathBuf>,
}

/// Blends `runs` into the folder `out`; folders of shared stages among them are passed over. `assignments` are `--set` values of `submit.…` and `data.test`.
///
/// # Errors
/// [`Error::Refused`] where a run is not done, is named twice, or differs from the first in task, metric, rows,
/// labels or test file; where `out` holds something else; where weights have no figure to go by; where the submission asks for
/// probabilities and the scores are none. [`Error::Input`] where a table is damaged, [`Error::Io`]; [`Error::Interrupted`] before anything is written.
pub fn ensemble(
    runs: &[PathBuf],
    how: How,
    out: &Path,
    assignments: &[String],
    context: Context<'_>,
) -> Result<EnsembleReport> {
    let progress = context.progress;
    let begun = Instant::now();
    let runs = agree::open_all(&without_stages(runs, progress))?;
    let experiment = agree::experiment(&runs, assignments)?;
    let [without_logits, of_grades] = match how {
        How::Rank => [None, None], // whatever the scores are, they are ranks now
        _ => [
            agree::objective_without_logits(&runs)?,
            agree::objective_of_grades(&runs)?,
        ],
    };
    agree::require_logits(&experiment.submit, without_logits)?;
    let (task, metric) = (&runs[0].record.task, agree::metric(&runs[0]));
    let of_ranks: Vec<bool> = runs.iter().map(|run| run.record.has_ranks()).collect();
    let is_of_ranks = how == How::Rank || of_ranks.contains(&true);
    let mut warnings = Vec::new();
    if is_of_ranks && experiment.data.test.is_some() {
        let asked = (task, metric);
        let warning = agree::require_no_probabilities(&runs, how, &experiment.submit, asked)?;
        warnings.extend(warning);
    }
    if matches!(how, How::Mean | How::Logit) {
        warnings.extend(agree::mixed_scales(&runs)?);
    }
    let tables: Vec<Scored> = agree::read_tables(&runs)?;
    let test_scores = agree::read_test_scores(&runs)?;
    let blended = Blended::new(
        (task, metric),
        (&tables, test_scores.as_deref()),
        (how, &of_ranks),
        context,
    )?;
    warnings.iter().for_each(|line| progress.say(line));
    let identity = record::identity(&runs, how, &experiment)?;
    record::prepare(out, &identity)?;

    let members: Vec<Member> = (runs.iter().zip(&tables).zip(&blended.weights))
        .map(|((run, table), &weight)| {
            let (score, auc) = figures(table, task, (metric, run.record.has_ranks()));
            Member {
                run: run.path.clone(),
                config_sha256: run.record.config_sha256.clone(),
                score,
                auc,
                weight,
            }
        })
        .collect();
    let blend = record::Blend {
        how,
        ranks: is_of_ranks,
        metric,
        runs: &members,
        methods: &blended.methods,
    };
    let manifest = record::EnsembleManifest::begin(identity, task, blend);
    manifest.write(out)?;
    let objective = without_logits.or(of_grades);
    record::write_tables(out, (&experiment, objective), &blended.table, task)?;
    if let Some(scores) = &blended.test {
        let source = |member: &Member| Source {
            run: member.run.clone(),
            config_sha256: member.config_sha256.clone(),
            weight: member.weight,
        };
        let origin = (how.name(), members.iter().map(source).collect());
        submission::leave((scores, task), &experiment, origin, out, progress)?;
    }
    manifest.finish(out, &blended.table, begun.elapsed().as_secs_f64())?;
    let (score, auc) = figures(&blended.table, task, (metric, is_of_ranks));
    Ok(EnsembleReport {
        ensemble: out.to_owned(),
        how,
        metric,
        score,
        auc,
        submission: blended.test.map(|_| out.join(names::SUBMISSION)),
        methods: blended.methods,
        runs: members,
    })
}

/// The metric of a table, whose scores may be ranks, and its AUC where the labels are binary.
fn figures(
    table: &Scored,
    task: &Task,
    (metric, ranks): (MetricName, bool),
) -> (Option<f64>, Option<f64>) {
    let of = |metric: MetricName| metric.of(&table.targets, &table.scores);
    let is_binary = task.labels == LabelKind::Binary;
    let score = of(metric).filter(|_| says_something(metric, ranks));
    (score, is_binary.then(|| of(MetricName::Auc)).flatten())
}

/// Whether a metric says something of scores that may be ranks, which are no probabilities.
fn says_something(metric: MetricName, ranks: bool) -> bool {
    !(ranks && metric.reads_probabilities())
}

impl How {
    /// As it is typed.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mean => "mean",
            Self::Rank => "rank",
            Self::Logit => "logit",
            Self::Weights => "weights",
        }
    }
}

/// All that is computed.
struct Blended {
    table: Scored,
    test: Option<Scores>,
    weights: Vec<f64>,
    methods: Methods,
}

impl Blended {
    fn new(
        (task, metric): (&Task, MetricName),
        (tables, test): (&[Scored], Option<&[Scores]>),
        (how, of_ranks): (How, &[bool]),
        Context { progress, stop, .. }: Context<'_>,
    ) -> Result<Self> {
        let runs: Vec<&Scores> = tables.iter().map(|table| &table.scores).collect();
        let targets = &tables[0].targets;
        let folds = common_folds(tables);
        let equal = vec![1.0 / runs.len() as f64; runs.len()];
        let means = [
            blend::mean_of_probabilities(&runs, task.labels),
            blend::mean_of_ranks(&runs, task.labels),
            blend::mean_of_logits(&runs, &equal),
        ];
        let parts = folds.clone().unwrap_or_else(|| halves(&tables[0].rows));
        let rounds = blend::ROUNDS * (1 + blend::distinct(&parts).len());
        let bar = progress.task("weigh", rounds as u64, "rounds");
        let watch = || {
            bar.advance(1);
            stop.check()
        };
        let fit = (metric, targets.as_slice());
        let fitted = blend::greedy_weights(fit, &runs, &watch)?;
        let nested = blend::nested_scores(fit, &runs, &parts, &watch)?;
        drop(bar);
        let has_ranks = of_ranks.contains(&true);
        let figure = |scores: &Scores, ranks: bool| {
            let score = metric.of(targets, scores);
            score.filter(|_| says_something(metric, ranks))
        };
        let methods = Methods {
            mean: figure(&means[0], has_ranks),
            rank: figure(&means[1], true),
            logit: figure(&means[2], has_ranks),
            weights: (fitted.as_ref())
                .and_then(|weights| figure(&blend::mean_of_logits(&runs, weights), has_ranks)),
            weights_nested: nested.as_ref().and_then(|scores| figure(scores, has_ranks)),
        };
        let [mean, rank, logit] = means;
        let (scores, weights) = match how {
            How::Mean => (mean, equal),
            How::Rank => (rank, equal),
            How::Logit => (logit, equal),
            How::Weights => nested
                .zip(fitted)
                .ok_or_else(|| no_weights(task.labels, metric))?,
        };
        let blend_test = |runs: &[Scores]| {
            let runs: Vec<&Scores> = runs.iter().collect();
            match how {
                How::Mean => blend::mean_of_probabilities(&runs, task.labels),
                How::Rank => blend::mean_of_ranks(&runs, task.labels),
                How::Logit | How::Weights => blend::mean_of_logits(&runs, &weights),
            }
        };
        Ok(Self {
            test: test.map(blend_test),
            table: Scored {
                rows: tables[0].rows.clone(),
                targets: targets.clone(),
                scores,
                folds,
            },
            weights,
            methods,
        })
    }
}

fn no_weights(labels: LabelKind, metric: MetricName) -> Error {
    let message = match labels {
        LabelKind::Binary => {
            "there are too few validation rows of both labels to choose weights by".to_owned()
        }
        _ => format!(
            "there are too few validation rows with different labels to choose weights by: they have no {}",
            metric.metric().title
        ),
    };
    Error::refused(message).with_hint("use --how logit")
}

/// The folds, where all runs have held out the same rows in each.
fn common_folds(tables: &[Scored]) -> Option<Vec<usize>> {
    let folds = tables[0].folds.as_ref()?;
    let same = tables
        .iter()
        .all(|table| table.folds.as_ref() == Some(folds));
    same.then(|| folds.clone())
}

/// 0 or 1 a row, by its number alone.
fn halves(rows: &[usize]) -> Vec<usize> {
    let key = Key::from_seed(0).with(Purpose::Halves);
    rows.iter()
        .map(|&row| (key.bits(row as u64) & 1) as usize)
        .collect()
}
