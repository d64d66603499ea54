//! The loop: stages, epochs, steps, validation, the best epoch of each stage kept.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rand::seq::SliceRandom;

use super::average::{self, Average, AverageKind};
use super::resume::{Best, Clock, FitProgress, FitState, Snapshot};
use super::schedule::begun_epochs;
use super::{
    CurvePoint, EpochCost, EpochReport, FitPlan, FitReport, LossSums, Optimiser, PREDICT_ROWS,
    Stage, StepReport, Watch, learning_rate_at, predict, step, steps_of_epoch,
};
use crate::checkpoint::Weights;
use crate::data::{Scores, Target};
use crate::error::{Error, Result};
use crate::metrics::{MetricName, ValidFigures};
use crate::model::{Bert, Moments};
use crate::objective::{Batch, Counts, Draw, ObjectiveName};
use crate::random::Purpose;

/// Steps that are not timed: memory is touched first, threads wake.
const WARM_STEPS: usize = 10;
/// Points of the curve of an epoch.
const CURVE_POINTS: usize = 20;

/// First steps of a fit of `total` steps that say nothing of the speed of the others.
pub fn warm_steps(total: usize) -> usize {
    WARM_STEPS.min(total / 3)
}

/// Trains stage after stage, from the first step or from a saved `state` of the same fit. The weights go from stage to
/// stage, the moments of the optimiser begin anew with each. Every stage ends with the weights of its best epoch (the last
/// where nothing validates), and so does `model`. Every number but times is the same whether and where the fit was cut.
///
/// # Errors
/// What `watch` returns; a loss or gradient that is no longer finite; those of [`check_stages`].
///
/// # Panics
/// Where `state` is of another model.
pub fn fit(
    model: &mut Bert,
    plan: &FitPlan,
    state: Option<FitState>,
    watch: &mut dyn Watch,
) -> Result<FitReport> {
    check_stages(plan.stages)?;
    let mut run = Run::new(model, plan, state, watch)?;
    while !run.is_wound_up() {
        while !run.stage_is_over() {
            run.epoch()?;
        }
        run.end_stage()?;
    }
    run.fit_report()
}

/// What [`fit`] refuses before its first step. Who trains stages in several fits asks for all of them before the first.
///
/// # Errors
/// [`Error::Refused`] for a stage without rows, or of no more epochs than its mean is over.
pub fn check_stages(stages: &[Stage]) -> Result<()> {
    stages.iter().try_for_each(|stage| {
        if stage.rows.is_empty() {
            return Err(no_rows(stage));
        }
        require_epochs(stage)
    })
}

fn no_rows(stage: &Stage) -> Error {
    let message = format!("stage `{}` has no rows to train on", stage.name);
    Error::refused(message).with_hint(match stage.objective_name {
        ObjectiveName::Mlm => "what its `rows` and `files` name is empty: name others",
        ObjectiveName::Simbert => {
            "`simbert` learns from pairs with label 1 alone: add some to data.train, or choose another objective"
        }
        _ => {
            "its objective uses none of its rows: name others in `rows`, or set `mlm_weight` above 0 for rows without a label"
        }
    })
}

/// A mean over all epochs has those in it that have learnt little. How many there are is known only with the rows, as `max_steps`
/// may end a stage before its last one.
fn require_epochs(stage: &Stage) -> Result<()> {
    let options = &stage.options;
    let (averaged, epochs) = (
        options.average_epochs,
        begun_epochs(stage.rows.len(), options),
    );
    if options.average != AverageKind::Swa || averaged < epochs {
        return Ok(());
    }
    let message = format!(
        "stage `{}`: expected average_epochs below the {epochs} epochs of the stage, found {averaged}",
        stage.name
    );
    Err(Error::refused(message)
        .with_hint("set fewer average_epochs, more epochs or max_steps, or average = \"ema\""))
}

/// A fit under way.
struct Run<'a> {
    model: &'a mut Bert,
    plan: &'a FitPlan<'a>,
    watch: &'a mut dyn Watch,
    /// Steps of each stage.
    totals: Vec<usize>,
    optimiser: Optimiser,
    progress: FitProgress,
    best: Option<Best>,
    average: Option<Average>,
    fit_time: Stopwatch,
    epoch_time: Stopwatch,
}

impl<'a> Run<'a> {
    fn new(
        model: &'a mut Bert,
        plan: &'a FitPlan<'a>,
        state: Option<FitState>,
        watch: &'a mut dyn Watch,
    ) -> Result<Self> {
        let totals = plan.totals();
        let (progress, moments, best, average) = match state {
            Some(state) => {
                model.restore(&state.weights)?;
                (state.progress, state.moments, state.best, state.average)
            }
            None => {
                let clock = Clock {
                    skip: warm_steps(totals.iter().sum()),
                    ..Clock::default()
                };
                let progress = FitProgress {
                    clock,
                    ..FitProgress::default()
                };
                (progress, Moments::default(), None, None)
            }
        };
        let options = &plan.stages[progress.stage].options;
        Ok(Self {
            optimiser: Optimiser::resume(options.adamw(), moments),
            model,
            plan,
            watch,
            totals,
            fit_time: Stopwatch::begin(progress.seconds),
            epoch_time: Stopwatch::begin(progress.epoch_seconds),
            progress,
            best,
            average,
        })
    }

    fn stage(&self) -> &'a Stage {
        &self.plan.stages[self.progress.stage]
    }

    fn is_last_stage(&self) -> bool {
        self.progress.stage + 1 == self.plan.stages.len()
    }

    /// Steps of the stages before this one.
    fn steps_before(&self) -> usize {
        self.totals[..self.progress.stage].iter().sum()
    }

    /// All steps of the stage are done, and its last epoch has its report.
    fn stage_is_over(&self) -> bool {
        self.progress.step == self.totals[self.progress.stage] && self.progress.epoch_step == 0
    }

    /// The last stage is over, and the model is that of its best epoch.
    fn is_wound_up(&self) -> bool {
        let best_is_in = |best: &Best| best.weights.is_none();
        self.is_last_stage() && self.stage_is_over() && self.best.as_ref().is_some_and(best_is_in)
    }

    /// What is left of the epoch under way.
    fn epoch(&mut self) -> Result<()> {
        if self.progress.epoch_step == 0 {
            self.watch.epoch_begins(&self.cost());
        }
        self.steps()?;
        let last_weights = self.put_average_in()?;
        let (scores, held_out) = match self.validate() {
            Err(error) => {
                self.restore(last_weights)?;
                return self.heed(Err(error)); // the rows are scored again after a restart
            }
            Ok(seen) => seen,
        };
        let report = self.report(&scores, held_out);
        let (metric, score) = (self.plan.metric, report.valid.valid_score);
        let is_best = match &self.best {
            None => true,
            Some(_) => metric.takes_over(score, self.best_score()),
        };
        let told = self
            .watch
            .epoch(&report, self.model, is_best && self.is_last_stage());
        if is_best {
            self.progress.best_epoch = Some(report.epoch);
            // The last epoch's weights are in the model already, where they are no average.
            let more_to_come = self.progress.step < self.totals[self.progress.stage];
            let may_change = more_to_come || last_weights.is_some();
            self.best = Some(Best {
                valid_scores: scores,
                weights: may_change.then(|| self.model.weights()),
            });
        }
        self.restore(last_weights)?;
        self.progress.epochs.push(report);
        self.progress.epoch_step = 0;
        self.progress.sums = LossSums::default();
        self.progress.curve = Default::default();
        self.progress.clock.epoch = Default::default();
        self.epoch_time = Stopwatch::begin(0.0);
        self.heed(told)
    }

    /// Of the epoch that begins.
    fn cost(&self) -> EpochCost {
        let stage = self.stage();
        let of_epoch = steps_of_epoch(stage.rows.len(), &stage.options);
        let steps = of_epoch.min(self.totals[self.progress.stage] - self.progress.step);
        let last = self.progress.epochs[self.progress.epochs_before..].last();
        let part = steps as f64 / of_epoch as f64;
        EpochCost {
            stage: self.progress.stage,
            epoch: self.progress.epochs.len() + 1,
            steps,
            tokens: (stage.n_tokens() as f64 * part) as usize,
            seconds: last.map(|report| report.seconds * part),
        }
    }

    /// Puts the average into the model, where there is one, and gives the last weights.
    fn put_average_in(&mut self) -> Result<Option<Weights>> {
        let Some(average) = &self.average else {
            return Ok(None);
        };
        let last = self.model.weights();
        self.model.restore(&average.weights)?;
        Ok(Some(last))
    }

    fn restore(&mut self, weights: Option<Weights>) -> Result<()> {
        weights.map_or(Ok(()), |weights| self.model.restore(&weights))
    }

    /// Scores of the validation rows, empty where the stage's objective gives none; and the figures of the held-out rows.
    fn validate(&mut self) -> Result<(Scores, BTreeMap<String, f64>)> {
        let (stage, valid) = (self.stage(), self.plan.valid);
        let (swap, watch) = (self.plan.predict_swap, &mut *self.watch);
        let mut tick = |n| watch.validated(n);
        let (objective, model) = (&*stage.objective, &*self.model);
        let scores = predict(objective, model, valid, swap, PREDICT_ROWS, &mut tick)?;
        let held_out = stage.held_out.as_ref();
        let figures = held_out.map(|rows| rows.figures(model, &mut tick));
        Ok((scores, figures.transpose()?.unwrap_or_default()))
    }

    /// The steps that are left of the epoch under way.
    fn steps(&mut self) -> Result<()> {
        let stage = self.stage();
        let epoch = (self.progress.epochs.len() - self.progress.epochs_before + 1) as u64;
        let mut order: Vec<usize> = (0..stage.rows.len()).collect();
        order.shuffle(&mut stage.key.with(Purpose::Shuffle).at(epoch).rng());
        let draw = Draw {
            masking: stage.masking.clone(),
            cipher_rows: self.plan.cipher_rows.clone(),
            token_types: stage.objective.token_types(&self.model.config),
            swap: stage.options.swap && !stage.objective.has_order(),
            key: stage.key.at(epoch),
        };
        let options = &stage.options;
        let rows_of_steps = order.chunks(options.rows_of_step());
        for rows_of_step in rows_of_steps.skip(self.progress.epoch_step) {
            if self.progress.step == self.totals[self.progress.stage] {
                break;
            }
            let batches = rows_of_step.chunks(options.batch);
            let batches = batches.map(|rows| stage.objective.batch(&stage.rows, rows, &draw));
            let report = self.step(&step::parts_of_one(batches.collect(), options))?;
            let told = self.watch.step(&report);
            self.heed(told)?;
        }
        Ok(())
    }

    fn step(&mut self, batches: &[Batch]) -> Result<StepReport> {
        let begin = Instant::now();
        let Stage {
            options,
            objective,
            key,
            ..
        } = self.stage();
        let (step, total) = (self.progress.step, self.totals[self.progress.stage]);
        let key = key.with(Purpose::Dropout).at(step as u64);
        let loss = step::gradient(self.model, &**objective, batches, options, key)?;
        let learning_rate = learning_rate_at(step, total, options);
        let gradient_norm = self.optimiser.step(self.model, learning_rate)?;
        let report = StepReport {
            stage: self.progress.stage,
            epoch: self.progress.epochs.len() + 1,
            step: self.steps_before() + step + 1,
            loss: loss.loss,
            learning_rate,
            gradient_norm,
            tokens: batches.iter().map(|batch| batch.rows.n_tokens()).sum(),
        };
        require_finite(&report)?;
        self.progress.step += 1;
        self.progress.epoch_step += 1;
        let Counts { labels, masked } = batches.iter().map(Batch::counts).sum();
        self.progress.sums.add(&loss, labels + masked);
        self.progress.curve.1.add(&loss, labels + masked);
        let steps = steps_of_epoch(self.stage().rows.len(), options);
        let is_last = self.progress.step == total || self.progress.epoch_step == steps;
        let place = average::Place {
            ends_epoch: is_last,
            epochs_left: (total - self.progress.step).div_ceil(steps),
        };
        average::renew(&mut self.average, self.model, options, place);
        if is_last
            || self
                .progress
                .epoch_step
                .is_multiple_of(steps.div_ceil(CURVE_POINTS))
        {
            let sums = std::mem::take(&mut self.progress.curve.1);
            self.progress.curve.0.push(CurvePoint {
                step: report.step,
                loss: mean(sums.loss, sums.n),
                learning_rate,
                losses: sums.means(),
            });
        }
        self.progress.clock.step(report.tokens, begin.elapsed());
        Ok(report)
    }

    fn report(&self, scores: &Scores, held_out: BTreeMap<String, f64>) -> EpochReport {
        let stage = self.stage();
        let targets: Vec<Target> = self
            .plan
            .valid
            .iter()
            .map(|row| row.target.clone())
            .collect();
        let figures = MetricName::figures(self.plan.labels, &targets, scores);
        let (sums, step) = (&self.progress.sums, self.progress.step);
        let total = self.totals[self.progress.stage];
        EpochReport {
            stage: stage.name.clone(),
            objective: stage.objective_name,
            epoch: self.progress.epochs.len() + 1,
            steps: self.steps_before() + step,
            loss: mean(sums.loss, sums.n),
            losses: sums.means(),
            learning_rate: learning_rate_at(step - 1, total, &stage.options),
            valid: ValidFigures::new(self.plan.metric, figures),
            held_out,
            seconds: self.epoch_time.seconds(),
            tokens_per_second: per_second(self.progress.clock.epoch),
            curve: self.progress.curve.0.clone(),
        }
    }

    fn best_score(&self) -> Option<f64> {
        let epoch = self.progress.best_epoch?;
        self.progress.epochs[epoch - 1].valid.valid_score
    }

    /// Saves where the watcher wants to, or wants to stop.
    fn heed(&mut self, told: Result<()>) -> Result<()> {
        let stopping = matches!(told, Err(Error::Interrupted));
        if stopping || (told.is_ok() && self.watch.wants_save()) {
            self.save()?;
        }
        told
    }

    fn save(&mut self) -> Result<()> {
        self.progress.averaged = self.average.as_ref().map_or(0, |average| average.n);
        self.progress.seconds = self.fit_time.seconds();
        self.progress.epoch_seconds = self.epoch_time.seconds();
        self.watch.save(&Snapshot {
            progress: &self.progress,
            model: self.model,
            moments: self.optimiser.moments(),
            best: self.best.as_ref(),
            average: self.average.as_ref(),
        })
    }

    /// Goes back to the best epoch of the stage and on to the next stage, and saves that: nothing that comes after has to
    /// train it again.
    fn end_stage(&mut self) -> Result<()> {
        if let Some(weights) = self.best.as_mut().and_then(|best| best.weights.take()) {
            self.model.restore(&weights)?;
        }
        if !self.is_last_stage() {
            self.progress.stage += 1;
            self.progress.step = 0;
            self.progress.epochs_before = self.progress.epochs.len();
            self.progress.best_epoch = None;
            self.best = None;
        }
        self.average = None;
        self.optimiser = Optimiser::new(self.stage().options.adamw());
        self.save()
    }

    fn fit_report(self) -> Result<FitReport> {
        let (Some(best), Some(best_epoch)) = (self.best, self.progress.best_epoch) else {
            return Err(Error::refused("no step to train"));
        };
        Ok(FitReport {
            best_epoch,
            best: self.progress.epochs[best_epoch - 1].valid.clone(),
            steps: self.totals.iter().sum(),
            tokens_per_second: per_second(self.progress.clock.total),
            epochs: self.progress.epochs,
            earlier_seconds: self.fit_time.earlier,
            valid_scores: best.valid_scores,
        })
    }
}

fn require_finite(report: &StepReport) -> Result<()> {
    let (step, loss, gradient_norm) = (report.step, report.loss, report.gradient_norm);
    if loss.is_finite() && gradient_norm.is_finite() {
        return Ok(());
    }
    let message = format!(
        "training diverged at step {step}: loss {loss}, gradient norm {gradient_norm}, learning rate {:.3e}",
        report.learning_rate
    );
    Err(Error::refused(message).with_hint("lower train.learning_rate, or raise train.warmup_steps"))
}

impl Clock {
    fn step(&mut self, tokens: usize, time: Duration) {
        if self.skip > 0 {
            self.skip -= 1;
            return;
        }
        for (sum, duration) in [&mut self.total, &mut self.epoch] {
            *sum += tokens;
            *duration += time;
        }
    }
}

/// Wall time, with what earlier sessions took.
struct Stopwatch {
    earlier: f64,
    begun: Instant,
}

impl Stopwatch {
    fn begin(earlier: f64) -> Self {
        Self {
            earlier,
            begun: Instant::now(),
        }
    }

    fn seconds(&self) -> f64 {
        self.earlier + self.begun.elapsed().as_secs_f64()
    }
}

fn per_second((tokens, time): (usize, Duration)) -> f64 {
    if time.is_zero() {
        0.0
    } else {
        tokens as f64 / time.as_secs_f64()
    }
}

fn mean(sum: f64, n: usize) -> f64 {
    if n == 0 { 0.0 } else { sum / n as f64 }
}
