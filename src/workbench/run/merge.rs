//! The merge of a run's folds: `oof.csv`, the averaged submission, and what they are worth.
//!
//! In: the folders of all folds, done, and the rows they were dealt from. Out: `oof.csv`, `submission.csv` and its zip in
//! the run folder, and an [`Outcome`]. The same folds give the same bytes, whichever process merges them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::baseline::baseline;
use super::plan;
use super::rows::Rows;
use crate::config::Experiment;
use crate::data::{Assign, Folds, LabelKind, Scores};
use crate::error::{Error, Result};
use crate::metrics::{Figures, MetricName, ValidFigures, mean_and_deviation};
use crate::progress::Progress;
use crate::workbench::run_folder::done::{self, FoldOutcome};
use crate::workbench::run_folder::manifest::{CrossValidation, Leakage, Outcome};
use crate::workbench::run_folder::names::{ModelName, OOF, TEST, VALID};
use crate::workbench::run_folder::scores::{self, MeanScores, Scored};
use crate::workbench::run_folder::stage_cost::StageCost;
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
        oof.write(&self.rows.task, &self.run.join(OOF))?;
        let has_submission = self.write_submission(progress)?;
        let figures = MetricName::figures(self.rows.task.labels, &oof.targets, &oof.scores);
        let cross_validation = self.figures(&oof, &figures);
        progress.say(&oof_line(self.metric(), &cross_validation));
        if let Some(line) = kernels_line(&cross_validation.folds) {
            progress.say(&line);
        }
        let all = || cross_validation.folds.iter().chain(&cross_validation.full);
        let n = all().count() as f64;
        let shared = StageCost::of_folds(all().map(|fold| fold.shared_stage.as_ref()));
        Ok(Outcome {
            valid: ValidFigures::new(self.metric(), figures),
            best_epoch: None,
            epochs: all().map(|fold| fold.epochs).max().unwrap_or(0),
            steps: all().map(|fold| fold.steps).sum(),
            seconds: all().map(|fold| fold.seconds).sum(),
            tokens_per_second: all().map(|fold| fold.tokens_per_second).sum::<f64>() / n,
            shared_stage: shared.map(Box::new),
            peak_rss_bytes: all().filter_map(|fold| fold.peak_rss_bytes).max(),
            submission: has_submission,
            baseline: baseline(self.rows, self.experiment),
            cross_validation: Some(Box::new(cross_validation)),
        })
    }

    fn metric(&self) -> MetricName {
        self.experiment.metric()
    }

    /// One line a labelled row: the mean of its scores over the repeats.
    fn oof(&self) -> Result<Scored> {
        let (labelled, task) = (&self.rows.labelled, &self.rows.task);
        let width = task.n_scores();
        let mut sums = vec![0.0_f64; labelled.len() * width];
        for fold in 0..self.folds.total() {
            let folder = self.fold_folder(fold);
            let path = folder.join(VALID);
            let scored = Scored::read(&path, task, false)?;
            let held_out = self.folds.held_out(fold);
            let expected = held_out.iter().map(|&row| &labelled[row].target);
            if scored.rows != held_out || !scored.targets.iter().eq(expected) {
                let message = format!("{} holds other rows than this run deals", path.display());
                return Err(Error::refused(message).with_hint(done::way_out(&folder)));
            }
            for (&row, scores) in scored.rows.iter().zip(scored.scores.rows()) {
                let sums = &mut sums[row * width..(row + 1) * width];
                let pairs = sums.iter_mut().zip(scores);
                pairs.for_each(|(sum, &score)| *sum += f64::from(score));
            }
        }
        let repeats = self.folds.options.repeats as f64;
        let means = sums.into_iter().map(|sum| (sum / repeats) as f32);
        Ok(Scored {
            rows: (0..labelled.len()).collect(),
            targets: labelled.iter().map(|row| row.target.clone()).collect(),
            scores: Scores {
                width,
                values: means.collect(),
            },
            folds: Some(
                self.folds
                    .first_repeat()
                    .iter()
                    .map(|fold| fold + 1)
                    .collect(),
            ),
        })
    }

    fn fold_folder(&self, fold: usize) -> PathBuf {
        ModelName::Fold(fold + 1).folder(self.run)
    }

    /// The mean of the folds' scores of each test row. False without a test file.
    fn write_submission(&self, progress: &Progress) -> Result<bool> {
        let Some(test) = &self.experiment.data.test else {
            return Ok(false);
        };
        let (rows, task) = (self.rows.test.len(), &self.rows.task);
        let mut mean = MeanScores::new(rows, task.n_scores());
        for fold in 0..self.folds.total() {
            let folder = self.fold_folder(fold);
            let path = folder.join(TEST);
            let scores = scores::read_test(&path, task)?;
            if scores.len() != rows {
                let (file, found) = (path.display(), scores.len());
                let message = format!(
                    "{file} has {found} scores, {} has {rows} rows",
                    test.display()
                );
                return Err(Error::refused(message).with_hint(done::way_out(&folder)));
            }
            mean.add(&scores);
        }
        let scores = mean.finish();
        submission::leave_run((&scores, task), self.experiment, self.run, progress)?;
        Ok(true)
    }

    fn figures(&self, oof: &Scored, figures: &Figures) -> CrossValidation {
        let (metric, labels) = (self.metric(), self.rows.task.labels);
        let is_unshared = |&row: &usize| !self.folds.is_shared[row];
        let unshared: Vec<usize> = (0..oof.rows.len()).filter(is_unshared).collect();
        let unshared = oof.select(&unshared);
        let grouped = MetricName::figures(labels, &unshared.targets, &unshared.scores);
        let interval = |metric: MetricName| {
            let key = self.experiment.key();
            metric.interval(&oof.targets, &oof.scores, key).unzip()
        };
        let (oof_score_low, oof_score_high) = interval(metric);
        let (oof_auc_low, oof_auc_high) = match labels {
            LabelKind::Binary if metric == MetricName::Auc => (oof_score_low, oof_score_high),
            LabelKind::Binary => interval(MetricName::Auc),
            _ => (None, None),
        };
        let spread = |of: fn(&FoldOutcome) -> Option<f64>| {
            let folds: Vec<f64> = self.done.iter().filter_map(of).collect();
            mean_and_deviation(&folds).unzip()
        };
        let (fold_score_mean, fold_score_sd) = spread(|fold| fold.valid.valid_score);
        let (fold_auc_mean, fold_auc_sd) = spread(|fold| fold.valid.valid_auc);
        let (oof_score, oof_auc) = (
            figures.get(&metric).copied(),
            figures.get(&MetricName::Auc).copied(),
        );
        // Dealt by groups, no row has been trained on its sentences: what rows dealt one by one give is unknown.
        let by_row =
            |score: Option<f64>| score.filter(|_| self.folds.options.assign != Assign::Group);
        CrossValidation {
            folds: self.done.clone(),
            full: self.full.clone(),
            oof_score,
            oof_score_low,
            oof_score_high,
            fold_score_mean,
            fold_score_sd: fold_score_sd.flatten(),
            oof_auc,
            oof_auc_low,
            oof_auc_high,
            fold_auc_mean,
            fold_auc_sd: fold_auc_sd.flatten(),
            leakage: Leakage {
                assign: self.folds.options.assign,
                row_auc: by_row(oof_auc),
                row_score: by_row(oof_score),
                row_rows: oof.rows.len(),
                grouped_auc: grouped.get(&MetricName::Auc).copied(),
                grouped_score: grouped.get(&metric).copied(),
                grouped_rows: unshared.rows.len(),
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
fn oof_line(metric: MetricName, figures: &CrossValidation) -> String {
    let show = |score: Option<f64>| score.map_or("none".to_owned(), |score| format!("{score:.4}"));
    let (title, leakage) = (metric.metric().title, &figures.leakage);
    format!(
        "out of fold: {title} {} ({} to {}); {} of {} rows share no sentence with their training part: {title} {}",
        show(figures.oof_score),
        show(figures.oof_score_low),
        show(figures.oof_score_high),
        leakage.grouped_rows,
        leakage.row_rows,
        show(leakage.grouped_score),
    )
}
