//! The loop: epochs, steps, validation, the best epoch kept.

use std::time::{Duration, Instant};

use rand::seq::SliceRandom;

use super::{
    AdamWOptions, EpochReport, FitReport, Optimiser, StepReport, TrainOptions, TrainingData, Watch,
    learning_rate_at, predict, total_steps,
};
use crate::checkpoint::Weights;
use crate::error::{Error, Result};
use crate::metrics::auc;
use crate::model::{Bert, Regularisation};
use crate::objective::pet::{Corruption, PetBatch, PetLoss};
use crate::random::{Key, Purpose};

/// Steps that are not timed: memory is touched first, threads wake.
const WARM_STEPS: usize = 10;

/// Trains; leaves the best epoch's weights in `model` (the last epoch's where nothing validates).
///
/// # Errors
/// What `watch` returns; a loss or gradient that is no longer finite; no training rows.
pub fn fit(
    model: &mut Bert,
    data: &TrainingData,
    options: &TrainOptions,
    watch: &mut dyn Watch,
) -> Result<FitReport> {
    if data.train.is_empty() {
        return Err(Error::refused("no rows to train on"));
    }
    let total = total_steps(data.train.len(), options);
    let adamw = AdamWOptions {
        weight_decay: options.weight_decay,
        clip: options.clip,
    };
    let mut run = Run {
        options,
        total,
        key: options.key,
        optimiser: Optimiser::new(adamw),
        step: 0,
        clock: Clock::new(WARM_STEPS.min(total / 3)),
    };
    let labels: Vec<bool> = data.valid.iter().filter_map(|pair| pair.label).collect();
    let mut epochs = Vec::new();
    let mut best: Option<Best> = None;
    while run.step < total {
        let epoch = epochs.len() + 1;
        let begin = Instant::now();
        run.clock.begin_epoch();
        let sums = run.epoch(model, data, epoch, watch)?;
        let valid_scores = predict(model, data.valid, options.predict_swap, &mut |n| {
            watch.validated(n)
        })?;
        let report = EpochReport {
            epoch,
            steps: run.step,
            loss: mean(sums.mlm_sum + sums.label_sum, sums.n_mlm + sums.n_labels),
            mlm_loss: mean(sums.mlm_sum, sums.n_mlm),
            label_loss: mean(sums.label_sum, sums.n_labels),
            learning_rate: learning_rate_at(run.step - 1, total, options),
            valid_auc: auc(&labels, &valid_scores),
            seconds: begin.elapsed().as_secs_f64(),
            tokens_per_second: run.clock.epoch_rate(),
        };
        let is_best = best
            .as_ref()
            .is_none_or(|best| report.valid_auc.is_none() || report.valid_auc > best.auc);
        watch.epoch(&report, model, is_best)?;
        if is_best {
            // The last epoch's weights are in the model already.
            let weights = (run.step < total).then(|| model.weights());
            best = Some(Best {
                epoch,
                auc: report.valid_auc,
                weights,
                valid_scores,
            });
        }
        epochs.push(report);
    }
    let best = best.ok_or_else(|| Error::refused("no step to train"))?;
    if let Some(weights) = &best.weights {
        model.parameters_mut()?.restore(weights);
    }
    Ok(FitReport {
        epochs,
        best_epoch: best.epoch,
        best_auc: best.auc,
        steps: run.step,
        tokens_per_second: run.clock.rate(),
        valid_scores: best.valid_scores,
    })
}

/// The best epoch so far. `weights` is `None` while the model still has them.
struct Best {
    epoch: usize,
    auc: Option<f64>,
    weights: Option<Weights>,
    valid_scores: Vec<f32>,
}

/// State between steps.
struct Run<'a> {
    options: &'a TrainOptions,
    total: usize,
    key: Key,
    optimiser: Optimiser,
    step: usize,
    clock: Clock,
}

impl Run<'_> {
    /// One pass over the rows in a fresh order. Returns the sums of losses.
    fn epoch(
        &mut self,
        model: &mut Bert,
        data: &TrainingData,
        epoch: usize,
        watch: &mut dyn Watch,
    ) -> Result<PetLoss> {
        let mut order: Vec<usize> = (0..data.train.len()).collect();
        order.shuffle(&mut self.key.with(Purpose::Shuffle).at(epoch as u64).rng());
        let corruption = Corruption {
            mask: self.options.mask,
            vocab_size: model.config.vocab_size as u32,
            key: self.key.at(epoch as u64),
        };
        let mut sums = PetLoss::default();
        for numbers in order.chunks(self.options.batch) {
            if self.step == self.total {
                break;
            }
            let batch = PetBatch::new(data.train, numbers, &corruption);
            let (loss, report) = self.step(model, &batch, epoch)?;
            sums.mlm_sum += loss.mlm_sum;
            sums.label_sum += loss.label_sum;
            sums.n_mlm += loss.n_mlm;
            sums.n_labels += loss.n_labels;
            watch.step(&report)?;
        }
        Ok(sums)
    }

    fn step(
        &mut self,
        model: &mut Bert,
        batch: &PetBatch,
        epoch: usize,
    ) -> Result<(PetLoss, StepReport)> {
        let begin = Instant::now();
        let dropout = self.options.dropout as f32;
        let key = self.key.with(Purpose::Dropout).at(self.step as u64);
        let regularisation = Regularisation {
            hidden: dropout,
            attention: dropout,
            key,
        };
        let loss = batch.loss_and_gradients(model, &regularisation)?;
        let learning_rate = learning_rate_at(self.step, self.total, self.options);
        let gradient_norm = self.optimiser.step(model, learning_rate)?;
        self.step += 1;
        if !loss.loss.is_finite() || !gradient_norm.is_finite() {
            let (step, loss) = (self.step, loss.loss);
            let message = format!(
                "training diverged at step {step}: loss {loss}, gradient norm {gradient_norm}, learning rate {learning_rate:.3e}"
            );
            return Err(Error::refused(message)
                .with_hint("lower train.learning_rate, or raise train.warmup_steps"));
        }
        self.clock.step(batch.rows.n_tokens(), begin.elapsed());
        let report = StepReport {
            epoch,
            step: self.step,
            total_steps: self.total,
            loss: loss.loss,
            learning_rate,
            gradient_norm,
            tokens: batch.rows.n_tokens(),
        };
        Ok((loss, report))
    }
}

/// Tokens and time of training steps, the first few left out.
struct Clock {
    skip: usize,
    total: (usize, Duration),
    epoch: (usize, Duration),
}

impl Clock {
    fn new(skip: usize) -> Self {
        Self {
            skip,
            total: Default::default(),
            epoch: Default::default(),
        }
    }

    fn begin_epoch(&mut self) {
        self.epoch = Default::default();
    }

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

    fn rate(&self) -> f64 {
        per_second(self.total)
    }

    fn epoch_rate(&self) -> f64 {
        per_second(self.epoch)
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
