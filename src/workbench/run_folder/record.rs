//! What a run folder says of its run, read back: `manifest.json`, and the `DONE` of each fold.
//!
//! In: a folder that `cipherpet run` or `cipherpet ensemble` has left. Out: a [`RunRecord`], and [`FoldFigures`]. This is the
//! one shape in which others read what [`Manifest`] and [`FoldOutcome`] write. It reads leniently: what is not there, as in
//! folders of other versions of the tool, is none. Writes nothing.
//!
//! [`Manifest`]: super::manifest::Manifest
//! [`FoldOutcome`]: super::done::FoldOutcome

use std::io::ErrorKind;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};

use super::manifest::{FileRecord, State};
use super::names::{CHANGED_HINT, DONE, MANIFEST, MODEL, PRETRAINING};
use super::stage_cost::StageCost;
use crate::data::Task;
use crate::error::{Error, Place, Result};
use crate::metrics::baseline::Baseline;
use crate::metrics::{Figures, MetricName};

/// What the manifest of an ensemble has as its `kind`.
pub const ENSEMBLE: &str = "ensemble";

/// The manifest of a run or an ensemble.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct RunRecord {
    /// `cipherpet` and its version.
    pub tool: String,
    /// `ensemble` for one; none for a run. See [`RunRecord::is_ensemble`].
    pub kind: Option<String>,
    /// How far the run has come.
    pub state: State,
    /// What tells it from other runs.
    pub config_sha256: String,
    /// Every file it has read.
    pub inputs: Vec<FileRecord>,
    /// Every file it has written.
    #[serde(default)]
    pub outputs: Vec<FileRecord>,
    /// Texts of a row, kind of its label, and the classes.
    #[serde(default = "Task::binary_pairs")]
    pub task: Task,
    /// Root of all random streams; none for an ensemble, as what follows.
    pub seed: Option<u64>,
    /// Threads it ran on.
    pub threads: Option<u64>,
    /// Begins with the precision: `f32 avx512`.
    pub kernel_path: Option<String>,
    /// The processor's name.
    pub cpu: Option<String>,
    /// How the scores of an ensemble were made; none for a run. See [`RunRecord::has_ranks`].
    #[serde(default, deserialize_with = "if_as_expected")]
    pub ensemble: Option<BlendRecord>,
    /// What is known of the alignment, for methods that know.
    #[serde(default, deserialize_with = "if_as_expected")]
    pub alignment: Option<AlignmentFigures>,
    /// Present once the run is done.
    pub result: Option<RunFigures>,
}

/// How the scores of an ensemble were made.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub struct BlendRecord {
    /// As `--how` names it.
    pub how: String,
    /// Whether they are ranks, or made of ranks; none in ensembles of earlier versions, which say how alone.
    pub ranks: Option<bool>,
}

/// What came out of a run. An ensemble writes this shape; a run writes more.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RunFigures {
    /// What decides which epoch is the best; none in runs of earlier versions, which knew AUC alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metric: Option<MetricName>,
    /// Its figure for a single split, or of all out-of-fold scores.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valid_score: Option<f64>,
    /// All metrics of the same rows.
    #[serde(skip_serializing_if = "Figures::is_empty")]
    pub scores: Figures,
    /// Lower end of the 95 % interval of all out-of-fold scores.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oof_score_low: Option<f64>,
    /// Upper end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oof_score_high: Option<f64>,
    /// Mean of the folds' scores.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fold_score_mean: Option<f64>,
    /// Their standard deviation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fold_score_sd: Option<f64>,
    /// AUC of a single split.
    pub valid_auc: Option<f64>,
    /// AUC of all out-of-fold scores.
    pub oof_auc: Option<f64>,
    /// Lower end of its 95 % interval.
    pub oof_auc_low: Option<f64>,
    /// Upper end.
    pub oof_auc_high: Option<f64>,
    /// Mean of the folds' AUC.
    pub fold_auc_mean: Option<f64>,
    /// Their standard deviation.
    pub fold_auc_sd: Option<f64>,
    /// Wall time.
    pub seconds: Option<f64>,
    /// Training only.
    pub tokens_per_second: Option<f64>,
    /// What the stages cost that it shares with others; an ensemble has none, nor what follows but the baseline.
    #[serde(skip_serializing, deserialize_with = "if_as_expected")]
    pub shared_stage: Option<StageCost>,
    /// Optimiser steps.
    #[serde(skip_serializing)]
    pub steps: Option<u64>,
    /// Most memory held.
    #[serde(skip_serializing)]
    pub peak_rss_bytes: Option<u64>,
    /// What a method without learning reaches on the same rows.
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "if_as_expected"
    )]
    pub baseline: Option<Baseline>,
    /// What shared sentences do to the estimate, with folds.
    #[serde(skip_serializing, deserialize_with = "if_as_expected")]
    pub leakage: Option<LeakageFigures>,
}

/// Row-wise against grouped.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default)]
pub struct LeakageFigures {
    /// How the rows were dealt.
    pub assign: Option<String>,
    /// AUC over the rows none of whose sentences was trained on.
    pub grouped_auc: Option<f64>,
    /// The metric of the run for the same rows.
    pub grouped_score: Option<f64>,
    /// Their number.
    pub grouped_rows: Option<u64>,
    /// Which rows share sentences.
    pub shares: ShareFigures,
}

/// Shares of rows that have a sentence in common with others.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default)]
pub struct ShareFigures {
    /// With rows of another fold.
    pub between_folds: Option<f64>,
    /// Of the test rows, with the training rows.
    pub test_with_train: Option<f64>,
}

/// How good an alignment is, by its own estimate.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default)]
pub struct AlignmentFigures {
    /// Of the text that was compared.
    pub unit: Option<String>,
    /// Different cipher tokens.
    pub cipher_types: Option<u64>,
    /// Those that have a plaintext token.
    pub matched: Option<u64>,
    /// Those that are their token's best match too.
    pub mutual_best: Option<u64>,
    /// Log likelihood a token.
    pub likelihood: Option<f64>,
    /// The same of an alignment by frequency rank.
    pub likelihood_rank: Option<f64>,
    /// The same of a shuffled one.
    pub likelihood_shuffled: Option<f64>,
    /// From the most frequent tokens to the rarest.
    pub coverage: Vec<CoverageBand>,
}

/// Cipher tokens of neighbouring frequency ranks.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default)]
pub struct CoverageBand {
    /// Its first rank, from 1.
    pub first: u64,
    /// Its last.
    pub last: u64,
    /// Different tokens.
    pub types: Option<u64>,
    /// Share of all tokens of the rows.
    pub tokens: Option<f64>,
    /// Share of them whose plaintext token is more likely right than wrong.
    pub trusted: Option<f64>,
}

/// A fold, or the fit on all rows, that is done.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default)]
pub struct FoldFigures {
    /// What decides which epoch is the best; none in folds of earlier versions, which knew AUC alone.
    pub metric: Option<MetricName>,
    /// Its figure for the rows held out.
    pub valid_score: Option<f64>,
    /// AUC of the same rows, for binary labels.
    pub valid_auc: Option<f64>,
    /// From 1.
    pub best_epoch: Option<u64>,
    /// Optimiser steps.
    pub steps: Option<u64>,
    /// Wall time.
    pub seconds: Option<f64>,
    /// Training only.
    pub tokens_per_second: Option<f64>,
    /// Most memory held.
    pub peak_rss_bytes: Option<u64>,
    /// What the stages cost that it shares with others.
    #[serde(deserialize_with = "if_as_expected")]
    pub shared_stage: Option<StageCost>,
}

impl RunRecord {
    /// Reads the manifest of a folder.
    ///
    /// # Errors
    /// [`Error::Refused`] where there is none, [`Error::Input`] where it is none of ours, [`Error::Io`].
    pub fn read(run: &Path) -> Result<Self> {
        refuse_pretraining(run)?;
        let record = read_json(&run.join(MANIFEST), "the manifest of a run")?;
        record.ok_or_else(|| {
            let message = format!("{} is no run: it has no {MANIFEST}", run.display());
            Error::refused(message)
                .with_hint("name a folder that `cipherpet run` or `cipherpet ensemble` has made")
        })
    }

    /// Whether it is of an ensemble, which has scores and no model.
    pub fn is_ensemble(&self) -> bool {
        self.kind.as_deref() == Some(ENSEMBLE)
    }

    /// Whether its scores are mean ranks, or made of such: numbers that say an order alone.
    pub fn has_ranks(&self) -> bool {
        let is_of_ranks = |blend: &BlendRecord| blend.ranks.unwrap_or(blend.how == "rank");
        self.ensemble.as_ref().is_some_and(is_of_ranks)
    }
}

/// Refuses the folder of a pretraining in the place of a run.
///
/// # Errors
/// [`Error::Refused`].
pub fn refuse_pretraining(folder: &Path) -> Result<()> {
    if !folder.join(PRETRAINING).is_file() {
        return Ok(());
    }
    let message = format!(
        "{} is a folder of `cipherpet pretrain` and no run",
        folder.display()
    );
    let model = folder.join(MODEL);
    Err(Error::refused(message).with_hint(format!("its BERT is {}", model.display())))
}

impl FoldFigures {
    /// Reads the `DONE` of a fold's folder; none where the fold is not done.
    ///
    /// # Errors
    /// [`Error::Input`] where it is no such file, [`Error::Io`].
    pub fn read(fold: &Path) -> Result<Option<Self>> {
        read_json(&fold.join(DONE), "JSON")
    }
}

/// None where there is no such file.
fn read_json<T: DeserializeOwned>(path: &Path, expected: &str) -> Result<Option<T>> {
    let bytes = match std::fs::read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        read => read.map_err(Error::io("read", path))?,
    };
    let parsed = serde_json::from_slice(&bytes);
    parsed.map(Some).map_err(|error| {
        let place = Place::line(path, error.line() as u64);
        Error::input(place, expected, error).with_hint(CHANGED_HINT)
    })
}

/// Takes what other versions of the tool write in another shape for none.
fn if_as_expected<'de, D, T>(deserializer: D) -> std::result::Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    let value = serde_json::Value::deserialize(deserializer)?;
    Ok(serde_json::from_value(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_of_a_pretraining_is_no_run() {
        let folder = tempfile::tempdir().expect("a folder for the test");
        std::fs::write(folder.path().join(PRETRAINING), "{}").expect("a small file");
        let error = RunRecord::read(folder.path()).expect_err("no run");
        let message = error.to_string();
        assert!(
            message.ends_with("is a folder of `cipherpet pretrain` and no run"),
            "{message}"
        );
        let hint = error.hint().unwrap_or_default();
        assert!(
            hint.starts_with("its BERT is ") && hint.ends_with(MODEL),
            "{hint}"
        );
    }

    fn record(more: &str) -> std::result::Result<RunRecord, serde_json::Error> {
        let head = r#""tool":"t","state":"begun","config_sha256":"","inputs":[]"#;
        serde_json::from_str(&format!("{{{head}{more}}}"))
    }

    #[test]
    fn what_is_not_there_or_has_another_shape_is_none() {
        let bare = record("").expect("of another version");
        assert_eq!(
            (bare.seed, &bare.alignment, &bare.result),
            (None, &None, &None)
        );
        let other = record(
            r#","alignment":{"matched":"all"},"result":{"leakage":7,"shared_stage":7,"steps":3}"#,
        );
        let other = other.expect("of another version");
        assert_eq!(other.alignment, None);
        let result = other.result.expect("it is there");
        assert_eq!(
            (result.steps, result.leakage, result.oof_auc),
            (Some(3), None, None)
        );
        assert_eq!(result.shared_stage, None);
        assert!(record(r#","outputs":7"#).is_err());
    }

    #[test]
    fn scores_are_ranks_by_what_an_ensemble_says_or_by_how_it_was_made() {
        for (more, has_ranks) in [
            ("", false),
            (r#","ensemble":7"#, false),
            (r#","ensemble":{"how":"rank"}"#, true),
            (r#","ensemble":{"how":"mean","runs":[]}"#, false),
            (r#","ensemble":{"how":"rank","ranks":true}"#, true),
            (r#","ensemble":{"how":"mean","ranks":true}"#, true),
            (r#","ensemble":{"how":"mean","ranks":false}"#, false),
        ] {
            let record = record(more).expect("a manifest");
            assert_eq!(record.has_ranks(), has_ranks, "{more}");
        }
    }

    #[test]
    fn an_ensemble_writes_what_it_has_figures_for() {
        let text = serde_json::to_string(&RunFigures::default()).expect("JSON");
        assert!(text.ends_with(r#""tokens_per_second":null}"#), "{text}");
    }
}
