//! Another `[submit]` or `[predict]` for a run that is done, or a submission that was lost: nothing is trained.
//!
//! In: the folder of the run and its experiment, with other values in those sections or the same. Out: the submission, from the scores that
//! are stored; where `[predict]` makes other scores, those of all rows first, by the models that the run has left. Their best
//! epochs stay: what chose them were scores by the `[predict]` that the run was trained with.

use std::path::Path;

use super::kept_model;
use super::merge::Merge;
use super::model::{write_fold_scores, write_valid};
use super::part::{PartReport, RunReport};
use super::plan;
use super::rows::{FitRows, Rows};
use super::stages;
use crate::config::Loaded;
use crate::data::{EncodedExample, Scores, Target};
use crate::error::{Error, Result};
use crate::metrics::{MetricName, ValidFigures};
use crate::progress::Progress;
use crate::train;
use crate::workbench::run_folder::done::FoldOutcome;
use crate::workbench::run_folder::lock::Lock;
use crate::workbench::run_folder::manifest::{Identity, Outcome};
use crate::workbench::run_folder::names::{LOG, MODEL, ModelName};
use crate::workbench::run_folder::reopen::{Reopened, Taken};
use crate::workbench::run_folder::results::Results;
use crate::workbench::{Context, submission};

/// Writes anew what the run in the folder `run` makes of its models.
///
/// # Errors
/// [`Error::Refused`] where another process is at work in the folder or a model is not the one that was trained; those of the
/// readers and of the submission; [`Error::Interrupted`], after which the same command begins again.
pub fn rewrite(
    run: &Path,
    loaded: &Loaded,
    identity: Identity,
    context: Context<'_>,
) -> Result<PartReport> {
    let experiment = &loaded.experiment;
    let mut reopened = match Reopened::take(run, experiment, &identity)? {
        Taken::Done(outcome) => return Ok(PartReport::Run(RunReport::new(run, outcome, true))),
        Taken::Reopened(reopened) => *reopened,
    };
    let progress = &context.progress.logging_to(&run.join(LOG))?;
    let results = Results::open(run)?;
    // Packs leave the tables out.
    let stored = match reopened.has_scores_of(experiment) {
        true => results.test_scores().ok(),
        false => None,
    };
    let outcome = match stored {
        Some(scores) => {
            let task = &results.record.task;
            if let Some(scores) = &scores {
                submission::check_form(experiment, task, scores.len())?;
            }
            reopened.begin(true)?;
            if let Some(scores) = &scores {
                submission::leave_run((scores, task), experiment, run, progress)?;
            }
            // Not before: the form may be refused.
            reopened.lost().iter().for_each(|line| progress.say(line));
            progress.say("the submission is written anew, from stored scores");
            reopened.outcome().clone()
        }
        None => {
            progress.say("all rows are scored anew, by the models of the run; nothing is trained");
            let rows = Rows::read(experiment, progress)?;
            submission::check_form(experiment, &rows.task, rows.test.len())?;
            reopened.lost().iter().for_each(|line| progress.say(line));
            reopened.begin(false)?;
            let scoring = Scoring {
                run,
                loaded,
                rows: &rows,
            };
            scoring.outcome(reopened.outcome(), context.with_progress(progress))?
        }
    };
    reopened.finish(
        (experiment, identity),
        &plan::models(experiment),
        outcome.clone(),
    )?;
    let mut report = RunReport::new(run, outcome, true);
    report.rewritten = true;
    Ok(PartReport::Run(report))
}

/// The models of a run, and the rows that they score.
struct Scoring<'a> {
    run: &'a Path,
    loaded: &'a Loaded,
    rows: &'a Rows,
}

impl Scoring<'_> {
    /// Scores all rows and writes everything that is made of their scores.
    fn outcome(&self, before: &Outcome, context: Context<'_>) -> Result<Outcome> {
        let experiment = &self.loaded.experiment;
        if plan::has_folds(experiment) {
            for model in plan::models(experiment) {
                self.fold(model, context)?;
            }
            let merge = Merge::new(self.run, experiment, self.rows)?;
            return merge.write(context.progress);
        }
        let (valid, test) = self.score(ModelName::Single, context)?;
        if let Some(scores) = &test {
            let answers = (scores, &self.rows.task);
            submission::leave_run(answers, experiment, self.run, context.progress)?;
        }
        Ok(Outcome {
            valid,
            ..before.clone()
        })
    }

    /// As [`Scoring::score`], of a fold, whose outcome is written anew too.
    fn fold(&self, model: ModelName, context: Context<'_>) -> Result<()> {
        let dir = model.folder(self.run);
        let _lock = Lock::take(&dir)?;
        let before = FoldOutcome::read_with_weights(&dir)?;
        let before = before.ok_or_else(|| {
            let message = format!("{} is not there any more", dir.display());
            Error::refused(message).with_hint("run it again in a new folder")
        })?;
        let (valid, test) = self.score(model, context)?;
        let hashes = write_fold_scores(&dir, test.as_ref(), &self.rows.task)?;
        let outcome = FoldOutcome {
            valid,
            valid_sha256: hashes.valid,
            test_sha256: hashes.test,
            ..before
        };
        outcome.write(&dir)
    }

    /// What a model says of the rows that it holds out, which is left in `valid.csv`, and of the test rows.
    fn score(
        &self,
        model: ModelName,
        context: Context<'_>,
    ) -> Result<(ValidFigures, Option<Scores>)> {
        let (experiment, task) = (&self.loaded.experiment, &self.rows.task);
        let dir = model.folder(self.run);
        let objective = stages::scoring_objective(experiment, task, &self.rows.vocab);
        let fitting = (&self.rows.vocab, &*objective);
        let bert = kept_model::open(&dir.join(MODEL), self.loaded, fitting)?;
        let score = |rows: &[EncodedExample]| {
            let bar = context.progress.task("score", rows.len() as u64, "rows");
            let (swap, at_once) = (experiment.predict.swap, train::PREDICT_ROWS);
            train::predict(&*objective, &bert, rows, swap, at_once, &mut |n| {
                bar.advance(n as u64);
                context.stop.check()
            })
        };
        let held_out = plan::held_out(self.rows, model)?;
        let fit_rows: FitRows = self.rows.fit(&held_out, experiment, &Progress::silent())?;
        let scores = score(&fit_rows.valid)?;
        write_valid(&fit_rows, &scores, task, &dir)?;
        let targets = fit_rows.valid.iter().map(|row| row.target.clone());
        let targets: Vec<Target> = targets.collect();
        let figures = MetricName::figures(task.labels, &targets, &scores);
        let test = match &experiment.data.test {
            Some(_) => Some(score(&self.rows.test)?),
            None => None,
        };
        Ok((ValidFigures::new(experiment.metric(), figures), test))
    }
}
