//! The loop: epochs, steps, validation, the best epoch kept.

use std::time::{Duration, Instant};

use rand::seq::SliceRandom;

use super::resume::{Best, Clock, FitProgress, FitState, Snapshot};
use super::{
    EpochReport, FitReport, LossSums, Optimiser, PREDICT_ROWS, StepReport, TrainOptions,
    TrainingData, Watch, learning_rate_at, predict, total_steps,
};
use crate::error::{Error, Result};
use crate::metrics::auc;
use crate::model::{Bert, Moments, Regularisation};
use crate::objective::pet::{Corruption, PetBatch};
use crate::random::{Key, Purpose};

/// Steps that are not timed: memory is touched first, threads wake.
const WARM_STEPS: usize = 10;

/// Trains, from the first step or from a saved `state` of the same fit; leaves the best epoch's weights in
/// `model` (the last epoch's where nothing validates). Every number but times is the same whether and where
/// the fit was cut.
///
/// # Errors
/// What `watch` returns; a loss or gradient that is no longer finite; no training rows.
///
/// # Panics
/// Where `state` is of another model.
pub fn fit(
    model: &mut Bert,
    data: &TrainingData,
    options: &TrainOptions,
    state: Option<FitState>,
    watch: &mut dyn Watch,
) -> Result<FitReport> {
    if data.train.is_empty() {
        return Err(Error::refused("no rows to train on"));
    }
    let mut run = Run::new(model, data, options, state, watch)?;
    if !run.is_wound_up() {
        while !run.is_over() {
            run.epoch()?;
        }
        run.wind_up()?;
    }
    run.fit_report()
}

/// A fit under way.
struct Run<'a> {
    model: &'a mut Bert,
    data: &'a TrainingData<'a>,
    options: &'a TrainOptions,
    watch: &'a mut dyn Watch,
    total: usize,
    key: Key,
    optimiser: Optimiser,
    progress: FitProgress,
    best: Option<Best>,
    fit_time: Stopwatch,
    epoch_time: Stopwatch,
}

impl<'a> Run<'a> {
    fn new(
        model: &'a mut Bert,
        data: &'a TrainingData<'a>,
        options: &'a TrainOptions,
        state: Option<FitState>,
        watch: &'a mut dyn Watch,
    ) -> Result<Self> {
        let total = total_steps(data.train.len(), options);
        let (progress, moments, best) = match state {
            Some(state) => {
                model.restore(&state.weights)?;
                (state.progress, state.moments, state.best)
            }
            None => {
                let clock = Clock {
                    skip: WARM_STEPS.min(total / 3),
                    ..Clock::default()
                };
                let progress = FitProgress {
                    clock,
                    ..FitProgress::default()
                };
                (progress, Moments::default(), None)
            }
        };
        Ok(Self {
            model,
            data,
            options,
            watch,
            total,
            key: options.key,
            optimiser: Optimiser::resume(options.adamw(), moments),
            fit_time: Stopwatch::begin(progress.seconds),
            epoch_time: Stopwatch::begin(progress.epoch_seconds),
            progress,
            best,
        })
    }

    /// All steps are done, and the last epoch has its report.
    fn is_over(&self) -> bool {
        self.progress.step == self.total && self.progress.epoch_step == 0
    }

    /// It is over, and the model is that of the best epoch.
    fn is_wound_up(&self) -> bool {
        self.is_over()
            && self
                .best
                .as_ref()
                .is_some_and(|best| best.weights.is_none())
    }

    /// What is left of the epoch under way.
    fn epoch(&mut self) -> Result<()> {
        self.steps()?;
        let watch = &mut *self.watch;
        let (valid, swap) = (self.data.valid, self.options.predict_swap);
        let scores = predict(self.model, valid, swap, PREDICT_ROWS, &mut |n| {
            watch.validated(n)
        });
        let scores = match scores {
            Err(error) => return self.heed(Err(error)), // the rows are scored again after a restart
            Ok(scores) => scores,
        };
        let report = self.report(&scores);
        let is_best =
            self.best.is_none() || report.valid_auc.is_none() || report.valid_auc > self.best_auc();
        let told = self.watch.epoch(&report, self.model, is_best);
        if is_best {
            self.progress.best_epoch = Some(report.epoch);
            self.best = Some(Best {
                valid_scores: scores,
                // The last epoch's weights are in the model already.
                weights: (self.progress.step < self.total).then(|| self.model.weights()),
            });
        }
        self.progress.epochs.push(report);
        self.progress.epoch_step = 0;
        self.progress.sums = LossSums::default();
        self.progress.clock.epoch = Default::default();
        self.epoch_time = Stopwatch::begin(0.0);
        self.heed(told)
    }

    /// The steps that are left of the epoch under way.
    fn steps(&mut self) -> Result<()> {
        let epoch = self.progress.epochs.len() + 1;
        let mut order: Vec<usize> = (0..self.data.train.len()).collect();
        order.shuffle(&mut self.key.with(Purpose::Shuffle).at(epoch as u64).rng());
        let corruption = Corruption {
            mask: self.options.mask,
            vocab_size: self.model.config.vocab_size as u32,
            key: self.key.at(epoch as u64),
        };
        let batches = order.chunks(self.options.batch);
        for numbers in batches.skip(self.progress.epoch_step) {
            if self.progress.step == self.total {
                break;
            }
            let batch = PetBatch::new(self.data.train, numbers, &corruption);
            let report = self.step(&batch, epoch)?;
            let told = self.watch.step(&report);
            self.heed(told)?;
        }
        Ok(())
    }

    fn step(&mut self, batch: &PetBatch, epoch: usize) -> Result<StepReport> {
        let begin = Instant::now();
        let dropout = self.options.dropout as f32;
        let step = self.progress.step;
        let regularisation = Regularisation {
            hidden: dropout,
            attention: dropout,
            key: self.key.with(Purpose::Dropout).at(step as u64),
        };
        let loss = batch.loss_and_gradients(self.model, &regularisation)?;
        let learning_rate = learning_rate_at(step, self.total, self.options);
        let gradient_norm = self.optimiser.step(self.model, learning_rate)?;
        let report = StepReport {
            epoch,
            step: step + 1,
            total_steps: self.total,
            loss: loss.loss,
            learning_rate,
            gradient_norm,
            tokens: batch.rows.n_tokens(),
        };
        require_finite(&report)?;
        self.progress.step += 1;
        self.progress.epoch_step += 1;
        self.progress.sums.add(&loss);
        self.progress.clock.step(report.tokens, begin.elapsed());
        Ok(report)
    }

    fn report(&self, valid_scores: &[f32]) -> EpochReport {
        let labels = self
            .data
            .valid
            .iter()
            .filter_map(|row| row.target.is_positive());
        let sums = &self.progress.sums;
        EpochReport {
            epoch: self.progress.epochs.len() + 1,
            steps: self.progress.step,
            loss: mean(sums.mlm + sums.label, sums.n_mlm + sums.n_labels),
            mlm_loss: mean(sums.mlm, sums.n_mlm),
            label_loss: mean(sums.label, sums.n_labels),
            learning_rate: learning_rate_at(self.progress.step - 1, self.total, self.options),
            valid_auc: auc(&labels.collect::<Vec<bool>>(), valid_scores),
            seconds: self.epoch_time.seconds(),
            tokens_per_second: per_second(self.progress.clock.epoch),
        }
    }

    fn best_auc(&self) -> Option<f64> {
        let epoch = self.progress.best_epoch?;
        self.progress.epochs[epoch - 1].valid_auc
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
        self.progress.seconds = self.fit_time.seconds();
        self.progress.epoch_seconds = self.epoch_time.seconds();
        self.watch.save(&Snapshot {
            progress: &self.progress,
            model: self.model,
            moments: self.optimiser.moments(),
            best: self.best.as_ref(),
        })
    }

    /// Goes back to the best epoch, and saves that: what comes after the fit need not train again.
    fn wind_up(&mut self) -> Result<()> {
        if let Some(weights) = self.best.as_mut().and_then(|best| best.weights.take()) {
            self.model.restore(&weights)?;
        }
        self.optimiser = Optimiser::new(self.options.adamw()); // no step will ask for the moments
        self.save()
    }

    fn fit_report(self) -> Result<FitReport> {
        let best_auc = self.best_auc();
        let (Some(best), Some(best_epoch)) = (self.best, self.progress.best_epoch) else {
            return Err(Error::refused("no step to train"));
        };
        Ok(FitReport {
            best_epoch,
            best_auc,
            steps: self.progress.step,
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
