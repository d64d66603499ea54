//! The merge of a run's folds: `oof.csv`, the averaged submission, and what they are worth.
//!
//! In: the folders of all folds, done, and the rows they were dealt from. Out: `oof.csv`, `submission.csv` and its zip in
//! the run folder, and an [`Outcome`]. The same folds give the same bytes, whichever process merges them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::plan;
use super::rows::Rows;
use crate::config::Experiment;
use crate::data::{Assign, Folds};
use crate::error::{Error, Result};
use crate::metrics::{auc, auc_interval, mean_and_deviation};
use crate::progress::Progress;
use crate::workbench::run_folder::done::FoldOutcome;
use crate::workbench::run_folder::manifest::{CrossValidation, Leakage, Outcome};
use crate::workbench::run_folder::names::{ModelName, OOF, TEST, VALID};
use crate::workbench::run_folder::scores::{self, MeanScores, OofScore};
use crate::workbench::submission;

/// What is merged.
pub struct Merge<'a> {
    run: &'a Path,
    experiment: &'a Experiment,
    rows: &'a Rows,
    /// How the rows were dealt.
    folds: &'a Folds,
    /// Every fold, in order.
    done: Vec<FoldOutcome>,
    /// The fit on all rows.
    full: Option<FoldOutcome>,
}

impl<'a> Merge<'a> {
    /// The folds of the run in the folder `run`.
    ///
    /// # Errors
    /// Those of [`plan::require_all`].
    pub fn new(run: &'a Path, experiment: &'a Experiment, rows: &'a Rows) -> Result<Self> {
        let folds = rows.folds.as_ref();
        let folds = folds.ok_or_else(|| Error::Unexpected("rows without folds".to_owned()))?;
        let mut done = plan::require_all(experiment, run)?;
        let full = match experiment.folds.full {
            true => done.pop(),
            false => None,
        };
        Ok(Self {
            run,
            experiment,
            rows,
            folds,
            done,
            full,
        })
    }

    /// Writes the merged files and computes the figures.
    ///
    /// # Errors
    /// [`Error::Refused`] where a fold holds scores of other rows; [`Error::Input`], [`Error::Io`].
    pub fn write(self, progress: &Progress) -> Result<Outcome> {
        let oof = self.oof()?;
        scores::write_oof(&oof, &self.run.join(OOF))?;
        let has_submission = self.write_submission(progress)?;
        let cross_validation = self.figures(&oof);
        progress.say(&oof_line(&cross_validation));
        if let Some(line) = kernels_line(&cross_validation.folds) {
            progress.say(&line);
        }
        let all = || cross_validation.folds.iter().chain(&cross_validation.full);
        let n = all().count() as f64;
        Ok(Outcome {
            valid_auc: cross_validation.oof_auc,
            best_epoch: None,
            epochs: all().map(|fold| fold.epochs).max().unwrap_or(0),
            steps: all().map(|fold| fold.steps).sum(),
            seconds: all().map(|fold| fold.seconds).sum(),
            tokens_per_second: all().map(|fold| fold.tokens_per_second).sum::<f64>() / n,
            peak_rss_bytes: all().filter_map(|fold| fold.peak_rss_bytes).max(),
            submission: has_submission,
            cross_validation: Some(Box::new(cross_validation)),
        })
    }

    /// One line a labelled row: the mean of its scores over the repeats.
    fn oof(&self) -> Result<Vec<OofScore>> {
        let mut sums = vec![0.0_f64; self.rows.labelled.len()];
        for fold in 0..self.folds.total() {
            let path = self.fold_folder(fold).join(VALID);
            let lines = scores::read_valid(&path)?;
            let held_out = self.folds.held_out(fold);
            let rows = lines.iter().map(|line| (line.row, Some(line.label)));
            let expected = held_out.iter().map(|&row| (row, self.label(row)));
            if !rows.eq(expected) {
                let message = format!("{} holds other rows than this run deals", path.display());
                return Err(Error::refused(message)
                    .with_hint("was it made by another version? train the fold again"));
            }
            for line in lines {
                sums[line.row] += f64::from(line.score);
            }
        }
        let repeats = self.folds.options.repeats as f64;
        let lines = sums.iter().zip(self.folds.first_repeat()).enumerate();
        Ok(lines
            .map(|(row, (sum, fold))| OofScore {
                row,
                label: self.label(row) == Some(true),
                score: (sum / repeats) as f32,
                fold: fold + 1,
            })
            .collect())
    }

    fn label(&self, row: usize) -> Option<bool> {
        self.rows.labelled[row].target.is_positive()
    }

    fn fold_folder(&self, fold: usize) -> PathBuf {
        ModelName::Fold(fold + 1).folder(self.run)
    }

    /// The mean of the folds' scores of each test row. False without a test file.
    fn write_submission(&self, progress: &Progress) -> Result<bool> {
        let Some(test) = &self.experiment.data.test else {
            return Ok(false);
        };
        let rows = self.rows.test.len();
        let mut mean = MeanScores::new(rows);
        for fold in 0..self.folds.total() {
            let path = self.fold_folder(fold).join(TEST);
            let scores = scores::read_test(&path)?;
            if scores.len() != rows {
                let (file, found) = (path.display(), scores.len());
                let message = format!(
                    "{file} has {found} scores, {} has {rows} rows",
                    test.display()
                );
                return Err(Error::refused(message).with_hint("train the fold again"));
            }
            mean.add(&scores);
        }
        submission::leave_run(&mean.finish(), self.experiment, self.run, progress)?;
        Ok(true)
    }

    fn figures(&self, oof: &[OofScore]) -> CrossValidation {
        let (labels, scores): (Vec<bool>, Vec<f32>) =
            oof.iter().map(|line| (line.label, line.score)).unzip();
        let unshared = oof.iter().filter(|line| !self.folds.is_shared[line.row]);
        let (grouped_labels, grouped_scores): (Vec<bool>, Vec<f32>) =
            unshared.map(|line| (line.label, line.score)).unzip();
        let interval = auc_interval(&labels, &scores, self.experiment.key());
        let of_folds: Vec<f64> = self.done.iter().filter_map(|fold| fold.valid_auc).collect();
        let spread = mean_and_deviation(&of_folds);
        let oof_auc = auc(&labels, &scores);
        CrossValidation {
            folds: self.done.clone(),
            full: self.full.clone(),
            oof_auc,
            oof_auc_low: interval.map(|(low, _)| low),
            oof_auc_high: interval.map(|(_, high)| high),
            fold_auc_mean: spread.map(|(mean, _)| mean),
            fold_auc_sd: spread.and_then(|(_, deviation)| deviation),
            leakage: Leakage {
                assign: self.folds.options.assign,
                // Dealt by groups, no row has been trained on its sentences: what rows dealt one by one give is unknown.
                row_auc: oof_auc.filter(|_| self.folds.options.assign != Assign::Group),
                row_rows: oof.len(),
                grouped_auc: auc(&grouped_labels, &grouped_scores),
                grouped_rows: grouped_labels.len(),
                shares: self.folds.shares,
            },
        }
    }
}

/// Says where folds come from machines whose results are not the same bytes.
fn kernels_line(folds: &[FoldOutcome]) -> Option<String> {
    let paths: BTreeSet<&str> = folds.iter().map(|fold| fold.kernel_path.as_str()).collect();
    let paths: Vec<&str> = paths.into_iter().collect();
    (paths.len() > 1).then(|| {
        format!(
            "the folds were trained by different kernels ({}): another machine gives other last digits",
            paths.join(", ")
        )
    })
}

/// `out of fold: AUC 0.8123 (0.8011 to 0.8230); 3012 of 5000 rows share no sentence with their training part: AUC 0.7911`
fn oof_line(figures: &CrossValidation) -> String {
    let show = |auc: Option<f64>| auc.map_or("none".to_owned(), |auc| format!("{auc:.4}"));
    let leakage = &figures.leakage;
    format!(
        "out of fold: AUC {} ({} to {}); {} of {} rows share no sentence with their training part: AUC {}",
        show(figures.oof_auc),
        show(figures.oof_auc_low),
        show(figures.oof_auc_high),
        leakage.grouped_rows,
        leakage.row_rows,
        show(leakage.grouped_auc),
    )
}
