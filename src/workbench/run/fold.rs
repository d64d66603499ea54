//! One model into one folder: the fit that a single split, each fold and the fit on all rows share; and one fold.
//!
//! In: a folder, rows, a [`Start`] and options, whose key is the root of all random streams. Out: in the folder
//! `metrics.jsonl`, `model/` (the best epoch) and `valid.csv`; in memory a [`Trained`]. A [`Fold`] adds `test.csv`,
//! `run.log` and `DONE`. Does not choose rows.

use std::path::Path;
use std::time::Instant;

use super::rows::{FitRows, Rows};
use super::stages;
use super::start::Start;
use super::watch::{ModelWriter, RunWatch};
use crate::config::Experiment;
use crate::data::{Task, reserved};
use crate::error::{Error, Result};
use crate::hash::sha256_of_file;
use crate::metrics::MetricName;
use crate::model::Bert;
use crate::progress::Progress;
use crate::random::{Key, Purpose};
use crate::train::{self, FitPlan, FitReport, Stage};
use crate::workbench::run_folder::done::{FoldName, FoldOutcome};
use crate::workbench::run_folder::lock::Lock;
use crate::workbench::run_folder::resume::Saves;
use crate::workbench::run_folder::scores::{self, ValidScore};
use crate::workbench::run_folder::{folder, resume};
use crate::workbench::{Stop, disk, machine, predict};

/// A model to train.
pub struct Fit<'a> {
    /// Where it goes. The folder is there and is ours.
    pub dir: &'a Path,
    /// The settings of the run.
    pub experiment: &'a Experiment,
    /// The vocabulary, and the rows to score.
    pub rows: &'a Rows,
    /// The rows to train on and to hold out.
    pub fit_rows: &'a FitRows,
    /// What the model begins as.
    pub start: &'a Start,
    /// Root of all random streams of this fit.
    pub key: Key,
}

/// A model that is trained and on disk.
pub struct Trained {
    /// At its best epoch.
    pub model: Bert,
    /// How it came about.
    pub report: FitReport,
}

impl Fit<'_> {
    /// Trains, from the newest checkpoint on where there is one, and leaves the best epoch in `model/`, its scores of
    /// the held-out rows in `valid.csv`, and a checkpoint of the end, which [`resume::forget`]
    /// removes once the fit is recorded as done.
    ///
    /// # Errors
    /// Those of the start and of training; what was finished stays.
    pub fn train(&self, (progress, stop): (&Progress, &Stop)) -> Result<Trained> {
        let task = Task::binary_pairs();
        let stages = stages::stages(self.experiment, &task, &self.fit_rows.train, self.key);
        let plan = FitPlan {
            stages: &stages,
            valid: &self.fit_rows.valid,
            labels: task.labels,
            metric: MetricName::default_for(task.labels),
            predict_swap: self.experiment.predict.swap,
            cipher_rows: reserved::FIRST_CIPHER..self.rows.vocab.size() as u32,
        };
        let mut model = self.start.model(self.key)?;
        let names = self.rows.vocab.names(&self.rows.dictionary);
        let writer = ModelWriter::new(self.dir, names, &self.experiment.data.token_separator);
        let steps = |stage: &Stage| train::total_steps(stage.rows.len(), &stage.options);
        let sizes = (
            stages.iter().map(steps).sum(),
            stages.iter().map(|stage| stage.options.epochs).sum(),
            plan.valid.len(),
        );
        let (saves, state) = Saves::open(
            self.dir,
            &self.experiment.train,
            (self.start.path, sizes.0),
            progress,
        )?;
        let begin = state.as_ref().map(|state| state.progress.clone());
        let begin = (saves, &begin.unwrap_or_default());
        let mut watch = RunWatch::new(self.dir, &writer, (progress, stop), sizes, begin)?;
        let report = train::fit(&mut model, &plan, state, &mut watch)?;
        if watch.saved_epoch != Some(report.best_epoch) {
            writer.write(&model)?;
        }
        self.write_valid(&report.valid_scores.values)?;
        Ok(Trained { model, report })
    }

    /// Scores of the test rows by the trained model; none where there is no test file.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub fn score_test(
        &self,
        model: &Bert,
        context: (&Progress, &Stop),
    ) -> Result<Option<Vec<f32>>> {
        if self.experiment.data.test.is_none() {
            return Ok(None);
        }
        let swap = self.experiment.predict.swap;
        let objective = stages::scoring_objective(&Task::binary_pairs());
        let scores = predict::score(&*objective, model, &self.rows.test, swap, context)?;
        Ok(Some(scores.values))
    }

    fn write_valid(&self, scores: &[f32]) -> Result<()> {
        let rows = &self.fit_rows;
        let labels = rows
            .valid
            .iter()
            .map(|row| row.target.is_positive() == Some(true));
        let scored = rows.valid_numbers.iter().zip(labels).zip(scores);
        let table: Vec<_> = scored
            .map(|((&row, label), &score)| ValidScore { row, label, score })
            .collect();
        scores::write_valid(&table, &self.dir.join(folder::VALID))
    }
}

/// One fold of a run, or its fit on all rows.
pub struct Fold<'a> {
    /// Which.
    pub name: FoldName,
    /// The run folder.
    pub run: &'a Path,
    /// The settings of the run.
    pub experiment: &'a Experiment,
    /// All rows.
    pub rows: &'a Rows,
    /// Sorted numbers of the labelled rows that the fold holds out.
    pub held_out: Vec<usize>,
    /// What every fold's model begins as.
    pub start: &'a Start,
}

impl Fold<'_> {
    /// Trains the fold in its folder, from its newest checkpoint on, unless another process has done so.
    ///
    /// # Errors
    /// [`Error::Refused`] where another process is at work in the folder; those of [`Fit::train`], whose message is then
    /// the last line of the fold's `run.log`.
    pub fn train(&self, (progress, stop): (&Progress, &Stop)) -> Result<FoldOutcome> {
        let dir = self.name.folder(self.run);
        std::fs::create_dir_all(&dir).map_err(Error::io("create", &dir))?;
        let lock = Lock::take(&dir)?;
        if let Some(outcome) = FoldOutcome::read(&dir)? {
            return Ok(outcome);
        }
        folder::clear(&dir)?;
        let progress = &progress.logging_to(&dir.join(folder::LOG))?;
        resume::say_owner_before(lock.left_by(), progress);
        let filled = self.fill(&dir, (progress, stop));
        if let Err(error) = &filled {
            if let Some(hint) = error.hint() {
                progress.log(&format!("hint: {hint}"));
            }
            progress.log(&format!("error: {error}"));
        }
        filled
    }

    fn fill(&self, dir: &Path, (progress, stop): (&Progress, &Stop)) -> Result<FoldOutcome> {
        let begun = Instant::now();
        machine::reset_peak_rss();
        let fit_rows = self.rows.fit(&self.held_out, self.experiment, progress);
        let key = self.experiment.key().with(Purpose::Fold);
        let fit = Fit {
            dir,
            experiment: self.experiment,
            rows: self.rows,
            fit_rows: &fit_rows,
            start: self.start,
            key: key.at(self.name.stream()),
        };
        let Trained { model, report } = fit.train((progress, stop))?;
        let test = dir.join(folder::TEST);
        let scores = fit.score_test(&model, (progress, stop))?;
        if let Some(scores) = &scores {
            scores::write_test(scores, &test)?;
        }
        let outcome = FoldOutcome {
            fold: match self.name {
                FoldName::Number(number) => Some(number),
                FoldName::Full => None,
            },
            valid_auc: report.best_score,
            best_epoch: report.best_epoch,
            epochs: report.epochs.len(),
            steps: report.steps,
            seconds: report.earlier_seconds + begun.elapsed().as_secs_f64(),
            tokens_per_second: report.tokens_per_second,
            peak_rss_bytes: machine::peak_rss_bytes(),
            kernel_path: self.start.path.name().to_owned(),
            valid_sha256: sha256_of_file(&dir.join(folder::VALID))?.1,
            test_sha256: match scores {
                Some(_) => Some(sha256_of_file(&test)?.1),
                None => None,
            },
        };
        progress.say(&ended_line(&outcome));
        outcome.write(dir)?;
        resume::forget(dir)?;
        Ok(outcome)
    }
}

/// `ended: valid AUC 0.8123 at epoch 2 of 3, 61.2 s, at most 312.0 MB of memory`
fn ended_line(outcome: &FoldOutcome) -> String {
    let auc = match outcome.valid_auc {
        Some(auc) => format!("valid AUC {auc:.4}"),
        None => "no valid AUC".to_owned(),
    };
    let memory = match outcome.peak_rss_bytes {
        Some(bytes) => disk::megabytes(bytes),
        None => "an unknown amount".to_owned(),
    };
    format!(
        "ended: {auc} at epoch {} of {}, {:.1} s, at most {memory} of memory",
        outcome.best_epoch, outcome.epochs, outcome.seconds
    )
}
