//! Several runs made one: blended scores of the validation rows and of the test rows, and what that is worth.
//!
//! In: run folders over the same rows and the same test file. Out: an [`EnsembleReport`], and a folder that is a run
//! to everything that reads runs: `manifest.json`, `config.toml` (the runs' `[data]` and the `[submit]` of the
//! submission), `oof.csv` or `valid.csv`, the submission. Trains nothing.
//!
//! Weights are chosen on the very rows whose AUC is told. Therefore the table of an ensemble by weights holds
//! nested scores: each row's by weights chosen without its fold (without its half, where there are no folds in
//! common). The test rows have the weights of all rows.

mod agree;
pub mod blend;
mod record;

use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::Serialize;

use super::Context;
use super::run_folder::names;
use super::submission::{self, Source};
use crate::data::{Scores, Task};
use crate::error::{Error, Result};
use crate::metrics::auc;
use crate::random::{Key, Purpose};
use agree::LabelledScores;

/// How scores become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum How {
    /// The mean probability.
    Mean,
    /// The mean rank, which takes nothing from a score but its order.
    Rank,
    /// The mean logit.
    Logit,
    /// The weighted mean logit, weights chosen by AUC.
    Weights,
}

/// A run in an ensemble.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Member {
    /// Its folder.
    pub run: PathBuf,
    /// What tells it from other runs.
    pub config_sha256: String,
    /// AUC of its scores alone; none where there are no rows of both labels.
    pub auc: Option<f64>,
    /// Its part of the scores.
    pub weight: f64,
}

/// AUC of each way on the same rows; none where there are no rows of both labels.
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
    /// AUC of the ensemble, for weights the nested one.
    pub auc: Option<f64>,
    /// `submission.csv`; none where the runs have no test file.
    pub submission: Option<PathBuf>,
}

/// Blends `runs` into the folder `out`; `assignments` are `--set` values of `submit.…` and `data.test`.
///
/// # Errors
/// [`Error::Refused`] where a run is not done, is named twice, or differs from the first in rows, labels or
/// test file; where `out` holds something else; where weights have no AUC to go by. [`Error::Input`] where a
/// table is damaged, [`Error::Io`]; [`Error::Interrupted`] before anything is written.
pub fn ensemble(
    runs: &[PathBuf],
    how: How,
    out: &Path,
    assignments: &[String],
    Context { progress, stop }: Context<'_>,
) -> Result<EnsembleReport> {
    let begun = Instant::now();
    let runs = agree::open_all(runs)?;
    let experiment = agree::experiment(&runs, assignments)?;
    let tables: Vec<LabelledScores> = agree::read_tables(&runs)?;
    let test_scores = agree::read_test_scores(&runs)?;
    let blended = Blended::new(
        &tables,
        test_scores.as_deref(),
        how,
        Context { progress, stop },
    )?;
    let identity = record::identity(&runs, how, &experiment)?;
    record::prepare(out, &identity)?;

    let members: Vec<Member> = (runs.iter().zip(&tables).zip(&blended.weights))
        .map(|((run, table), &weight)| Member {
            run: run.path.clone(),
            config_sha256: run.record.config_sha256.clone(),
            auc: auc(&table.labels, &table.scores),
            weight,
        })
        .collect();
    let manifest = record::EnsembleManifest::begin(identity, how, &members, &blended.methods);
    manifest.write(out)?;
    record::write_tables(out, &experiment, &blended.table)?;
    if let Some(scores) = &blended.test {
        let source = |member: &Member| Source {
            run: member.run.clone(),
            config_sha256: member.config_sha256.clone(),
            weight: member.weight,
        };
        let origin = (how.name(), members.iter().map(source).collect());
        let answers = (&Scores::single(scores.clone()), &Task::binary_pairs());
        submission::leave(answers, &experiment, origin, out, progress)?;
    }
    manifest.finish(out, &blended.table, begun.elapsed().as_secs_f64())?;
    Ok(EnsembleReport {
        ensemble: out.to_owned(),
        how,
        auc: auc(&blended.table.labels, &blended.table.scores),
        submission: blended.test.map(|_| out.join(names::SUBMISSION)),
        methods: blended.methods,
        runs: members,
    })
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
    table: LabelledScores,
    test: Option<Vec<f32>>,
    weights: Vec<f64>,
    methods: Methods,
}

impl Blended {
    fn new(
        tables: &[LabelledScores],
        test: Option<&[Vec<f32>]>,
        how: How,
        Context { progress, stop }: Context<'_>,
    ) -> Result<Self> {
        let runs: Vec<&[f32]> = tables.iter().map(|table| table.scores.as_slice()).collect();
        let labels = &tables[0].labels;
        let folds = common_folds(tables);
        let equal = vec![1.0 / runs.len() as f64; runs.len()];
        let means = [
            blend::mean_of_probabilities(&runs),
            blend::mean_of_ranks(&runs),
            blend::mean_of_logits(&runs, &equal),
        ];
        let parts = folds.clone().unwrap_or_else(|| halves(&tables[0].rows));
        let rounds = blend::ROUNDS * (1 + blend::distinct(&parts).len());
        let task = progress.task("weigh", rounds as u64, "rounds");
        let watch = || {
            task.advance(1);
            stop.check()
        };
        let fitted = blend::greedy_weights(labels, &runs, &watch)?;
        let nested = blend::nested_scores(labels, &runs, &parts, &watch)?;
        drop(task);
        let methods = Methods {
            mean: auc(labels, &means[0]),
            rank: auc(labels, &means[1]),
            logit: auc(labels, &means[2]),
            weights: (fitted.as_ref())
                .and_then(|weights| auc(labels, &blend::mean_of_logits(&runs, weights))),
            weights_nested: (nested.as_ref()).and_then(|scores| auc(labels, scores)),
        };
        let [mean, rank, logit] = means;
        let (scores, weights) = match how {
            How::Mean => (mean, equal),
            How::Rank => (rank, equal),
            How::Logit => (logit, equal),
            How::Weights => nested.zip(fitted).ok_or_else(|| {
                Error::refused(
                    "there are too few validation rows of both labels to choose weights by",
                )
                .with_hint("use --how logit")
            })?,
        };
        let blend_test = |runs: &[Vec<f32>]| {
            let runs: Vec<&[f32]> = runs.iter().map(Vec::as_slice).collect();
            match how {
                How::Mean => blend::mean_of_probabilities(&runs),
                How::Rank => blend::mean_of_ranks(&runs),
                How::Logit | How::Weights => blend::mean_of_logits(&runs, &weights),
            }
        };
        Ok(Self {
            test: test.map(blend_test),
            table: LabelledScores {
                rows: tables[0].rows.clone(),
                labels: labels.clone(),
                scores,
                folds,
            },
            weights,
            methods,
        })
    }
}

/// The folds, where all runs have held out the same rows in each.
fn common_folds(tables: &[LabelledScores]) -> Option<Vec<usize>> {
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
