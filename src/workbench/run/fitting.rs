//! A fit in a folder: checkpoints to go on from, `metrics.jsonl`, and the best epoch in `model/`.
//!
//! In: a model, the plan of its stages and the folder that it fills. Out: the model at the best epoch of its last stage. Does
//! not choose rows, and does not record the fit as done.

use std::cell::Cell;
use std::path::Path;

use super::pace::Pace;
use super::warnings;
use super::watch::{FitSize, ModelWriter, RunWatch};
use crate::config::TrainConfig;
use crate::error::Result;
use crate::model::Bert;
use crate::train::{self, FitPlan, FitReport, Stage};
use crate::workbench::Context;
use crate::workbench::run_folder::names;
use crate::workbench::run_folder::resume::Saves;

/// What all fits of a run do in the same way.
pub struct Fitting<'a> {
    /// When they save.
    pub settings: &'a TrainConfig,
    /// Stages of the run, of which a fit may have a part.
    pub n_stages: usize,
    /// How they leave a model.
    pub writer: &'a dyn ModelWriter,
    /// What one fit tells the next of the time.
    pub pace: Cell<Pace>,
}

impl Fitting<'_> {
    /// Trains `model` in `dir`, from the newest checkpoint there on.
    ///
    /// # Errors
    /// Those of training; what was finished stays.
    pub fn fit(
        &self,
        dir: &Path,
        model: &mut Bert,
        plan: &FitPlan<'_>,
        context: Context<'_>,
    ) -> Result<FitReport> {
        let size = FitSize {
            steps: plan.totals().iter().sum(),
            stages: plan.stages.iter().map(|stage| stage.name.clone()).collect(),
            epochs: plan.stages.iter().map(begun_epochs).sum(),
            valid_rows: plan.valid.len() + plan.stages.iter().map(held_out_rows).max().unwrap_or(0),
        };
        let origin = (model.path(), plan);
        let (saves, state) = Saves::open(dir, self.settings, origin, context.progress)?;
        let begin = state.as_ref().map(|state| state.progress.clone());
        let begin = begin.unwrap_or_default();
        let done = plan.steps_done(&begin);
        let mut watch = RunWatch::new(dir, self.writer, size, (saves, &begin, done), context)?;
        watch.pace = self.pace.take();
        for (stage, total) in plan.stages.iter().zip(plan.totals()) {
            let line = schedule_line(stage, total);
            let lines = [Some(line), warnings::batch_beyond_rows(stage)];
            lines
                .iter()
                .flatten()
                .for_each(|line| context.progress.say(line));
        }
        let report = train::fit(model, plan, state, &mut watch)?;
        self.pace.set(std::mem::take(&mut watch.pace));
        let last = plan.stages.last();
        let rising = last.and_then(|stage| warnings::still_rising(&report, stage, self.n_stages));
        rising.iter().for_each(|line| context.progress.say(line));
        if watch.saved_epoch != Some(report.best_epoch) {
            self.writer.write(model, &dir.join(names::MODEL))?;
        }
        Ok(report)
    }
}

fn begun_epochs(stage: &Stage) -> usize {
    train::begun_epochs(stage.rows.len(), &stage.options)
}

fn held_out_rows(stage: &Stage) -> usize {
    stage
        .held_out
        .as_ref()
        .map_or(0, |held_out| held_out.rows.len())
}

/// `stage pet: 3300 steps of 64 rows; the learning rate reaches 3.0e-4 at step 330`
fn schedule_line(stage: &Stage, total: usize) -> String {
    let options = &stage.options;
    let top = train::warmup_steps(total, options).clamp(1, total.max(1));
    let peak = train::peak_learning_rate(total, options);
    let mut line = format!(
        "stage {}: {total} steps of {} rows",
        stage.name,
        options.rows_of_step()
    );
    let epochs = train::epochs_of(stage.rows.len(), options);
    if epochs < options.epochs {
        line.push_str(&format!(
            ", {epochs} of {} epochs as train.max_rows = {}",
            options.epochs, options.max_rows
        ));
    }
    line.push_str(&format!(
        "; the learning rate reaches {peak:.1e} at step {top}"
    ));
    if peak < options.learning_rate {
        line.push_str(&format!(
            ", not {:.1e}: train.warmup_steps is more than the steps of the stage",
            options.learning_rate
        ));
    }
    line
}
