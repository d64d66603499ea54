//! `DONE`: the outcome of one fold, the last file that is written into its folder.
//!
//! In: a folder of a fold. Out: a [`FoldOutcome`], and the certainty that the scores and the model beside it are those it was
//! written with. A fold without `DONE` is not done, whatever else is there.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::names::{DONE, MODEL, TEST, VALID, WEIGHTS};
use super::stage_cost::StageCost;
use crate::atomic;
use crate::error::{Error, Place, Result};
use crate::hash::sha256_of_file;
use crate::metrics::ValidFigures;

/// What became of one fold, or of the fit on all rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FoldOutcome {
    /// From 1; none for the fit on all rows.
    pub fold: Option<usize>,
    /// What the held-out rows say of the best epoch.
    #[serde(flatten)]
    pub valid: ValidFigures,
    /// Counted from 1.
    pub best_epoch: usize,
    /// Epochs trained.
    pub epochs: usize,
    /// Optimiser steps.
    pub steps: usize,
    /// Wall time, without the stages that it shares with others.
    pub seconds: f64,
    /// Training only.
    pub tokens_per_second: f64,
    /// What the stages cost that it shares with others; none where there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared_stage: Option<StageCost>,
    /// Most memory held while the fold was at work; none where the system does not tell.
    pub peak_rss_bytes: Option<u64>,
    /// The kernels it was trained with.
    pub kernel_path: String,
    /// Of `valid.csv`, 64 hexadecimal digits.
    pub valid_sha256: String,
    /// Of `test.csv`; none without a test file.
    pub test_sha256: Option<String>,
    /// Of the model's weights; none in folds of earlier versions.
    #[serde(default)]
    pub weights_sha256: Option<String>,
}

impl FoldOutcome {
    /// Writes `DONE`.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn write(&self, dir: &Path) -> Result<()> {
        let mut text = serde_json::to_string(self)
            .map_err(|error| Error::Unexpected(format!("outcome as JSON: {error}")))?;
        text.push('\n');
        atomic::write(&dir.join(DONE), text.as_bytes())
    }

    /// Reads `DONE`, and compares scores and weights beside it with the hashes in it. `None` where the fold is not done.
    ///
    /// # Errors
    /// [`Error::Refused`] where they are others; [`Error::Input`] where `DONE` is no such file; [`Error::Io`].
    pub fn read(dir: &Path) -> Result<Option<Self>> {
        let Some(outcome) = Self::read_with_weights(dir)? else {
            return Ok(None);
        };
        Self::require(&dir.join(VALID), Some(&outcome.valid_sha256), dir)?;
        Self::require(&dir.join(TEST), outcome.test_sha256.as_ref(), dir)?;
        Ok(Some(outcome))
    }

    /// As [`FoldOutcome::read`], of a fold whose scores are to be made anew: the weights alone are compared.
    ///
    /// # Errors
    /// As [`FoldOutcome::read`].
    pub fn read_with_weights(dir: &Path) -> Result<Option<Self>> {
        let path = dir.join(DONE);
        let text = match std::fs::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            read => read.map_err(Error::io("read", &path))?,
        };
        let outcome: Self = serde_json::from_slice(&text).map_err(|error| {
            let place = Place::line(&path, error.line() as u64);
            Error::input(place, "the outcome of a fold", error).with_hint(way_out(dir))
        })?;
        let weights = dir.join(MODEL).join(WEIGHTS);
        Self::require(&weights, outcome.weights_sha256.as_ref(), dir)?;
        Ok(Some(outcome))
    }

    /// Refuses a file that is not the one with the recorded hash.
    fn require(file: &Path, recorded: Option<&String>, dir: &Path) -> Result<()> {
        let Some(recorded) = recorded else {
            return Ok(());
        };
        if file.exists() && sha256_of_file(file)?.1 == *recorded {
            return Ok(());
        }
        let (file, done) = (file.display(), dir.join(DONE));
        let message = format!(
            "{file} is not the file that {} was written for",
            done.display()
        );
        Err(Error::refused(message).with_hint(way_out(dir)))
    }
}

/// The hint where a fold in `dir` is not what the run can use.
pub fn way_out(dir: &Path) -> String {
    format!("remove {} to train the fold again", dir.display())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::MetricName;

    #[test]
    fn a_fold_is_done_with_the_scores_it_was_recorded_with() {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let dir = folder.path();
        assert_eq!(FoldOutcome::read(dir).expect("nothing there"), None);
        std::fs::write(dir.join(VALID), "row,label,score\n").expect("a small file");
        let outcome = FoldOutcome {
            fold: Some(2),
            valid: ValidFigures::new(MetricName::Auc, [(MetricName::Auc, 0.1 + 0.2)].into()),
            best_epoch: 1,
            epochs: 2,
            steps: 10,
            seconds: 0.5,
            tokens_per_second: 100.0,
            shared_stage: None,
            peak_rss_bytes: None,
            kernel_path: "avx2".to_owned(),
            valid_sha256: sha256_of_file(&dir.join(VALID)).expect("a file").1,
            test_sha256: None,
            weights_sha256: None,
        };
        outcome.write(dir).expect("room");
        assert_eq!(FoldOutcome::read(dir).expect("whole"), Some(outcome));
        let refused = || {
            let error = FoldOutcome::read(dir).expect_err("not what was written");
            let clean = |text: &str| text.replace(&dir.display().to_string(), "DIR");
            (clean(&error.to_string()), error.hint().map(clean))
        };
        let hint = Some("remove DIR to train the fold again".to_owned());
        std::fs::write(dir.join(VALID), "row,label,score\n0,1,2\n").expect("a small file");
        let message = "DIR/valid.csv is not the file that DIR/DONE was written for";
        assert_eq!(refused(), (message.to_owned(), hint.clone()));
        std::fs::remove_file(dir.join(VALID)).expect("it is there");
        assert_eq!(refused(), (message.to_owned(), hint.clone()));
        std::fs::write(dir.join(DONE), "{").expect("a small file");
        let (message, other_hint) = refused();
        assert!(message.starts_with("DIR/DONE:1: expected the outcome of a fold, found "));
        assert_eq!(other_hint, hint);
    }
}
