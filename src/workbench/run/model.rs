//! One model into one folder: the fit that a single split, each fold and the fit on all rows share.
//!
//! In: what all models of a run share ([`Training`]), and the name of one. Out: in its folder `metrics.jsonl`, `model/`
//! (the best epoch) and `valid.csv`, in memory a [`Trained`]. A fold, whose folder several processes may want, has a lock,
//! `test.csv`, `run.log` and `DONE` besides. Does not deal rows and does not finish the run.

use std::path::Path;
use std::time::{Duration, Instant};

use super::fitting::Fitting;
use super::plan;
use super::rows::{FitRows, Rows};
use super::shared_stage::shared;
use super::stages;
use super::start::Start;
use super::watch::CipherModelWriter;
use crate::checkpoint::Heads;
use crate::config::Experiment;
use crate::data::{Scores, Task};
use crate::error::{Error, Result};
use crate::hash::sha256_of_file;
use crate::model::Bert;
use crate::progress::Progress;
use crate::random::Key;
use crate::train::{self, FitPlan, FitReport};
use crate::workbench::run_folder::done::FoldOutcome;
use crate::workbench::run_folder::lock::Lock;
use crate::workbench::run_folder::names::{self, ModelName};
use crate::workbench::run_folder::scores::{self, Scored};
use crate::workbench::run_folder::stage_cost::StageCost;
use crate::workbench::run_folder::{folder, resume};
use crate::workbench::{Context, disk, machine};

/// What every model of a run shares.
pub struct Training<'a> {
    /// The run folder. It is there and is ours.
    pub run: &'a Path,
    /// The settings of the run.
    pub experiment: &'a Experiment,
    /// All rows, and their vocabulary.
    pub rows: &'a Rows,
    /// What each model begins as.
    pub start: &'a Start,
}

/// What came of a model, which is on disk.
pub struct Trained {
    /// How it came about.
    pub report: FitReport,
    /// Of each test row, at the best epoch; none where there is no test file.
    pub test_scores: Option<Scores>,
    /// What the stages cost that it shares with others, whoever has trained them; none where there are none.
    pub shared_stage: Option<StageCost>,
    /// How long it was at work on them, or waited for them.
    pub beside: Duration,
}

impl Trained {
    /// Its own wall time, where the work on it has `begun` then: without the stages that it shares with others.
    pub fn seconds_since(&self, begun: Instant) -> f64 {
        let here = begun.elapsed().saturating_sub(self.beside);
        self.report.earlier_seconds + here.as_secs_f64()
    }
}

impl Training<'_> {
    /// Trains a model in its folder, from the newest checkpoint on where there is one. Leaves the best epoch in `model/`, its
    /// scores of the held-out rows in `valid.csv`, and a checkpoint of the end, which [`resume::forget`] removes once the
    /// model is recorded as done.
    ///
    /// # Errors
    /// Those of the start and of training; what was finished stays.
    pub fn model(
        &self,
        name: ModelName,
        fit_rows: &FitRows,
        context: Context<'_>,
    ) -> Result<Trained> {
        let dir = name.folder(self.run);
        let task = &self.rows.task;
        let key = plan::key(self.experiment, name);
        let stages = stages::stages(self.experiment, self.rows, fit_rows, key)?;
        train::check_stages(&stages)?; // all of them, before the first one takes its time
        let plan = |stages, valid| FitPlan {
            stages,
            valid,
            labels: task.labels,
            metric: self.experiment.metric(),
            predict_swap: self.experiment.predict.swap,
            cipher_rows: self.rows.vocab.cipher_rows(),
        };
        let writer = CipherModelWriter {
            task,
            tokens: self.rows.vocab.names(&self.rows.dictionary),
            token_separator: &self.experiment.data.token_separator,
        };
        let fitting = Fitting {
            settings: &self.experiment.train,
            n_stages: self.experiment.stages().len(),
            writer: &writer,
            pace: Default::default(),
        };
        let (first, own) = stages.split_at(self.experiment.shared_stages().len());
        let begun = Instant::now();
        let (mut model, shared_stage) = self.begin(&fitting, &plan(first, &[]), key, context)?;
        let beside = match first.is_empty() {
            true => Duration::ZERO,
            false => begun.elapsed(),
        };
        let report = fitting.fit(&dir, &mut model, &plan(own, &fit_rows.valid), context)?;
        write_valid(fit_rows, &report.valid_scores, task, &dir)?;
        let mut test_scores = None;
        if self.experiment.data.test.is_some() {
            let (rows, swap) = (&self.rows.test, self.experiment.predict.swap);
            let bar = context.progress.task("score", rows.len() as u64, "rows");
            let objective =
                stages::scoring_objective(self.experiment, &self.rows.task, &self.rows.vocab);
            let at_once = train::PREDICT_ROWS;
            let scores = train::predict(&*objective, &model, rows, swap, at_once, &mut |n| {
                bar.advance(n as u64);
                context.stop.check()
            })?;
            test_scores = Some(scores);
        }
        Ok(Trained {
            report,
            test_scores,
            shared_stage,
            beside,
        })
    }

    /// The model that the stages of a fit's own begin with: that of the stages of `plan`, which it shares with other fits, where there are
    /// some. Heads that these have not learnt are of the fit's own `key`, so that seeds and folds differ in them as in fits without
    /// shared stages. Beside it what the shared stages have cost.
    fn begin(
        &self,
        fitting: &Fitting<'_>,
        plan: &FitPlan<'_>,
        key: Key,
        context: Context<'_>,
    ) -> Result<(Bert, Option<StageCost>)> {
        let Some(first) = plan.stages.first() else {
            return Ok((self.start.model(key)?.0, None));
        };
        let (model, fresh) = self.start.model(first.key)?;
        let (mut model, cost) = shared(fitting, self.run, model, plan, context)?;
        let heads = plan.stages.iter().map(|stage| stage.objective.heads());
        let learnt = heads.fold(Heads::default(), Heads::and);
        self.start.redraw(&mut model, fresh.without(learnt), key)?;
        Ok((model, cost))
    }

    /// Trains every fold that is not done.
    ///
    /// # Errors
    /// At once where everything must stop; else at the end, with a list.
    pub fn folds(&self, context: Context<'_>) -> Result<()> {
        let Context { progress, stop, .. } = context;
        let models = plan::models(self.experiment);
        let total = models.iter().filter_map(|model| model.fold()).count();
        let is_done = |model: ModelName| FoldOutcome::read(&model.folder(self.run));
        let mut failures = Vec::new();
        for &model in &models {
            stop.check()?;
            let title = match model.fold() {
                Some(number) => format!("fold {number} of {total}"),
                None => "fit on all rows".to_owned(),
            };
            if is_done(model).is_ok_and(|outcome| outcome.is_some()) {
                folder::tidy_up(&model.folder(self.run));
                progress.say(&format!("{title}: done already"));
                continue;
            }
            progress.say(&title);
            match self.fold(model, context) {
                Ok(_) => {}
                Err(error) if error.is_stop() => return Err(error),
                Err(error) => {
                    progress.say(&format!("{title} failed: {error}"));
                    failures.push((model, error));
                }
            }
        }
        // Another process may have been at work in a fold, and have done it since.
        failures.retain(|&(model, _)| !matches!(is_done(model), Ok(Some(_))));
        match failures.is_empty() {
            true => Ok(()),
            false => Err(failed(&failures, models.len())),
        }
    }

    /// Trains one fold in its folder, unless another process has done so.
    ///
    /// # Errors
    /// [`Error::Refused`] where another process is at work in the folder; those of [`Training::model`], whose message is
    /// then the last line of the fold's `run.log`.
    pub fn fold(&self, name: ModelName, context: Context<'_>) -> Result<FoldOutcome> {
        let dir = name.folder(self.run);
        std::fs::create_dir_all(&dir).map_err(Error::io("create", &dir))?;
        let lock = Lock::take(&dir)?;
        if let Some(outcome) = FoldOutcome::read(&dir)? {
            return Ok(outcome);
        }
        folder::clear(&dir)?;
        let progress = &context.progress.logging_to(&dir.join(names::LOG))?;
        resume::say_owner_before(lock.left_by(), progress);
        let filled = self.fill_fold(name, &dir, context.with_progress(progress));
        if let Err(error) = &filled {
            log_failure(error, progress);
        }
        filled
    }

    fn fill_fold(&self, name: ModelName, dir: &Path, context: Context<'_>) -> Result<FoldOutcome> {
        let begun = Instant::now();
        machine::reset_peak_rss();
        let held_out = plan::held_out(self.rows, name)?;
        let fit_rows = self
            .rows
            .fit(&held_out, self.experiment, context.progress)?;
        let trained = self.model(name, &fit_rows, context)?;
        let hashes = write_fold_scores(dir, trained.test_scores.as_ref(), &self.rows.task)?;
        let (seconds, report) = (trained.seconds_since(begun), &trained.report);
        let outcome = FoldOutcome {
            fold: name.fold(),
            valid: report.best.clone(),
            best_epoch: report.best_epoch,
            epochs: report.epochs.len(),
            steps: report.steps,
            seconds,
            tokens_per_second: report.tokens_per_second,
            shared_stage: trained.shared_stage,
            peak_rss_bytes: machine::peak_rss_bytes(),
            kernel_path: self.start.path.name().to_owned(),
            valid_sha256: hashes.valid,
            test_sha256: hashes.test,
            weights_sha256: Some(sha256_of_file(&dir.join(names::MODEL).join(names::WEIGHTS))?.1),
        };
        context.progress.say(&ended_line(&outcome));
        outcome.write(dir)?;
        resume::forget(dir)?;
        Ok(outcome)
    }
}

/// The hashes of the tables of a fold.
pub(super) struct TableHashes {
    pub valid: String,
    pub test: Option<String>,
}

/// Writes the scores of the test rows into the folder of a fold, and hashes them and `valid.csv` beside them.
///
/// # Errors
/// [`Error::Io`].
pub(super) fn write_fold_scores(
    dir: &Path,
    test_scores: Option<&Scores>,
    task: &Task,
) -> Result<TableHashes> {
    let mut test = None;
    if let Some(test_scores) = test_scores {
        let table = dir.join(names::TEST);
        scores::write_test(test_scores, task, &table)?;
        test = Some(sha256_of_file(&table)?.1);
    }
    let valid = sha256_of_file(&dir.join(names::VALID))?.1;
    Ok(TableHashes { valid, test })
}

/// Writes `valid.csv`: the scores of the rows that a model holds out.
///
/// # Errors
/// [`Error::Io`].
pub(super) fn write_valid(rows: &FitRows, scores: &Scores, task: &Task, dir: &Path) -> Result<()> {
    let targets = rows.valid.iter().map(|row| row.target.clone());
    let mut scored = Scored {
        rows: rows.valid_numbers.clone(),
        targets: targets.collect(),
        scores: scores.clone(),
        folds: None,
    };
    if scores.is_empty() {
        scored = Scored::default(); // nothing is scored where the last stage looks at no label
    }
    scored.write(task, &dir.join(names::VALID))
}

fn log_failure(error: &Error, progress: &Progress) {
    if let Some(hint) = error.hint() {
        progress.log(&format!("hint: {hint}"));
    }
    progress.log(&format!("error: {error}"));
}

fn failed(failures: &[(ModelName, Error)], n_models: usize) -> Error {
    let lines = failures
        .iter()
        .map(|(model, error)| format!("\n  {}: {error}", model.folder_name()));
    let message = format!(
        "{} of {n_models} models failed:{}",
        failures.len(),
        lines.collect::<String>()
    );
    Error::refused(message).with_hint(format!(
        "{} in their folders tells more; the same command trains what is missing",
        names::LOG
    ))
}

/// `ended: valid AUC 0.8123 at epoch 2 of 3, 61.2 s, at most 312.0 MB of memory`
fn ended_line(outcome: &FoldOutcome) -> String {
    let title = outcome.valid.metric.metric().title;
    let score = match outcome.valid.valid_score {
        Some(score) => format!("valid {title} {score:.4}"),
        None => format!("no valid {title}"),
    };
    let memory = match outcome.peak_rss_bytes {
        Some(bytes) => disk::megabytes(bytes),
        None => "an unknown amount".to_owned(),
    };
    format!(
        "ended: {score} at epoch {} of {}, {:.1} s, at most {memory} of memory",
        outcome.best_epoch, outcome.epochs, outcome.seconds
    )
}
