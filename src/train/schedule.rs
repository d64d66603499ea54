//! Linear warm-up, then a fall to 0 over the steps of the fit, or none.

use serde::{Deserialize, Serialize};

use super::TrainOptions;

/// `train.schedule`: how the rate goes on after the warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Schedule {
    /// In a straight line to 0 at the last step.
    #[default]
    Linear,
    /// Along half a cosine to 0 at the last step (Loshchilov and Hutter 2017, <https://arxiv.org/abs/1608.03983>).
    Cosine,
    /// Not at all.
    Constant,
}

/// Steps of a fit over `n_rows` training rows: whole epochs, the last batch of each may be short, cut by
/// `max_steps`.
pub fn total_steps(n_rows: usize, options: &TrainOptions) -> usize {
    let steps = options.epochs * n_rows.div_ceil(options.batch);
    if options.max_steps > 0 {
        steps.min(options.max_steps)
    } else {
        steps
    }
}

/// Learning rate of step `step`, counted from 0, of `total` steps.
pub fn learning_rate_at(step: usize, total: usize, options: &TrainOptions) -> f64 {
    let rising = (step + 1) as f64 / options.warmup_steps.max(1) as f64;
    let part = (step as f64 / total.max(1) as f64).min(1.0);
    let falling = match options.schedule {
        Schedule::Linear => 1.0 - part,
        Schedule::Cosine => (1.0 + (std::f64::consts::PI * part).cos()) / 2.0,
        Schedule::Constant => 1.0,
    };
    options.learning_rate * rising.min(1.0) * falling
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(max_steps: usize) -> TrainOptions {
        TrainOptions {
            epochs: 3,
            max_steps,
            batch: 64,
            learning_rate: 1.0,
            warmup_steps: 10,
            schedule: Schedule::Linear,
            weight_decay: 0.0,
            dropout: 0.0,
            clip: 0.0,
            mask: 0.15,
            layer_decay: 1.0,
        }
    }

    #[test]
    fn the_last_short_batch_counts_and_max_steps_cuts() {
        assert_eq!(total_steps(129, &options(0)), 9);
        assert_eq!(total_steps(129, &options(5)), 5);
        assert_eq!(total_steps(129, &options(50)), 9);
    }

    #[test]
    fn rises_over_the_warm_up_and_falls_to_nothing() {
        let rate = |step| learning_rate_at(step, 100, &options(0));
        assert!((rate(0) - 0.1).abs() < 1e-12);
        assert!((rate(9) - 0.91).abs() < 1e-12);
        assert!((rate(50) - 0.5).abs() < 1e-12);
        assert!((rate(99) - 0.01).abs() < 1e-12);
    }

    #[test]
    fn other_schedules_fall_along_a_cosine_or_not_at_all() {
        let rate = |schedule, step| {
            let options = TrainOptions {
                schedule,
                ..options(0)
            };
            learning_rate_at(step, 100, &options)
        };
        assert!((rate(Schedule::Cosine, 25) - (1.0 + 0.5_f64.sqrt()) / 2.0).abs() < 1e-12);
        assert!((rate(Schedule::Cosine, 50) - 0.5).abs() < 1e-12);
        assert!((rate(Schedule::Constant, 99) - 1.0).abs() < 1e-12);
        assert!((rate(Schedule::Constant, 4) - 0.5).abs() < 1e-12); // the warm-up stays
    }
}
