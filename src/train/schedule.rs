//! Linear warm-up, then a fall to 0 over the rest of the steps, or none.

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

/// Passes over `n_rows` training rows: `epochs`, or as many whole ones as see no more than `max_rows` rows, one at least. Does not
/// know `max_steps`.
pub fn epochs_of(n_rows: usize, options: &TrainOptions) -> usize {
    match options.max_rows {
        0 => options.epochs,
        most => options.epochs.min((most / n_rows.max(1)).max(1)),
    }
}

/// Steps of a fit over `n_rows` training rows: whole epochs, the last batch of each may be short, cut by
/// `max_steps`.
pub fn total_steps(n_rows: usize, options: &TrainOptions) -> usize {
    let steps = epochs_of(n_rows, options) * steps_of_epoch(n_rows, options);
    if options.max_steps > 0 {
        steps.min(options.max_steps)
    } else {
        steps
    }
}

/// Steps of a whole epoch; the last may be short.
pub fn steps_of_epoch(n_rows: usize, options: &TrainOptions) -> usize {
    n_rows.div_ceil(options.rows_of_step())
}

/// Epochs that a fit begins: fewer than asked for where `max_rows` or `max_steps` cuts it. Without a row there is none.
pub fn begun_epochs(n_rows: usize, options: &TrainOptions) -> usize {
    total_steps(n_rows, options).div_ceil(steps_of_epoch(n_rows, options).max(1))
}

/// Steps over which the rate rises, of `total` steps.
pub fn warmup_steps(total: usize, options: &TrainOptions) -> usize {
    if options.warmup_steps < 1.0 {
        (options.warmup_steps * total as f64).round() as usize
    } else {
        options.warmup_steps as usize
    }
}

/// Learning rate of step `step`, counted from 0, of `total` steps: a straight rise to `options.learning_rate` at the last
/// step of the warm-up, and the schedule over the steps after it.
pub fn learning_rate_at(step: usize, total: usize, options: &TrainOptions) -> f64 {
    let warmup = warmup_steps(total, options);
    if step < warmup {
        return options.learning_rate * (step + 1) as f64 / warmup as f64;
    }
    let part = (step - warmup) as f64 / total.saturating_sub(warmup).max(1) as f64;
    let falling = match options.schedule {
        Schedule::Linear => 1.0 - part,
        Schedule::Cosine => (1.0 + (std::f64::consts::PI * part).cos()) / 2.0,
        Schedule::Constant => 1.0,
    };
    options.learning_rate * falling
}

/// The highest rate of a fit of `total` steps: `options.learning_rate`, or less where the warm-up outlasts the fit.
pub fn peak_learning_rate(total: usize, options: &TrainOptions) -> f64 {
    let top = warmup_steps(total, options).saturating_sub(1);
    learning_rate_at(top.min(total.saturating_sub(1)), total, options)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(max_steps: usize) -> TrainOptions {
        TrainOptions {
            max_steps,
            learning_rate: 1.0,
            warmup_steps: 10.0,
            ..TrainOptions::default()
        }
    }

    #[test]
    fn the_last_short_batch_counts_and_max_steps_cuts() {
        assert_eq!(total_steps(129, &options(0)), 9);
        assert_eq!(total_steps(129, &options(5)), 5);
        assert_eq!(total_steps(129, &options(50)), 9);
        let epochs = [0, 3, 5, 7, 50].map(|max_steps| begun_epochs(129, &options(max_steps)));
        assert_eq!(epochs, [3, 1, 2, 3, 3]);
        let accumulated = TrainOptions {
            gradient_accumulation: 2,
            ..options(0)
        };
        assert_eq!(total_steps(129, &accumulated), 6);
    }

    #[test]
    fn many_rows_are_passed_over_as_often_as_max_rows_lets_and_once_at_least() {
        let of = |n_rows, max_rows| {
            let options = TrainOptions {
                max_rows,
                ..options(0)
            };
            epochs_of(n_rows, &options)
        };
        assert_eq!(of(100, 0), 3);
        assert_eq!(
            [99, 100, 199, 200, 299, 300, 900].map(|most| of(100, most)),
            [1, 1, 1, 2, 2, 3, 3]
        );
        let cut = TrainOptions {
            max_rows: 258,
            ..options(4)
        };
        assert_eq!((total_steps(129, &cut), begun_epochs(129, &cut)), (4, 2)); // of 3 steps each
        assert_eq!((total_steps(0, &cut), begun_epochs(0, &cut)), (0, 0));
    }

    #[test]
    fn rises_over_the_warm_up_and_falls_to_nothing() {
        let rate = |step| learning_rate_at(step, 110, &options(0));
        assert!((rate(0) - 0.1).abs() < 1e-12);
        assert_eq!((rate(9), rate(10)), (1.0, 1.0));
        assert!((rate(60) - 0.5).abs() < 1e-12);
        assert!((rate(109) - 0.01).abs() < 1e-12);
        assert_eq!(peak_learning_rate(110, &options(0)), 1.0);
    }

    #[test]
    fn a_share_is_of_the_steps_and_a_short_fit_says_how_far_it_rises() {
        let share = |warmup_steps| TrainOptions {
            warmup_steps,
            ..options(0)
        };
        assert_eq!(warmup_steps(264, &share(0.1)), 26);
        assert_eq!(warmup_steps(264, &share(0.0)), 0);
        assert_eq!(warmup_steps(264, &share(200.0)), 200);
        assert_eq!(learning_rate_at(0, 264, &share(0.0)), 1.0);
        assert_eq!(peak_learning_rate(264, &share(0.1)), 1.0);
        assert_eq!(peak_learning_rate(50, &share(200.0)), 0.25);
        assert_eq!(peak_learning_rate(2, &share(0.1)), 1.0); // no step is left for a rise
    }

    #[test]
    fn other_schedules_fall_along_a_cosine_or_not_at_all() {
        let rate = |schedule, step| {
            let options = TrainOptions {
                schedule,
                ..options(0)
            };
            learning_rate_at(step, 110, &options)
        };
        assert!((rate(Schedule::Cosine, 35) - (1.0 + 0.5_f64.sqrt()) / 2.0).abs() < 1e-12);
        assert!((rate(Schedule::Cosine, 60) - 0.5).abs() < 1e-12);
        assert!((rate(Schedule::Constant, 109) - 1.0).abs() < 1e-12);
        assert!((rate(Schedule::Constant, 4) - 0.5).abs() < 1e-12); // the warm-up stays
    }
}
