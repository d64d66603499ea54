//! How sure a figure is: the middle 95 % of it over rows drawn again.
//!
//! In: targets and scores. Out: the ends of an interval (percentile bootstrap, Efron 1979). Takes rows as independent.

use rayon::prelude::*;

use super::resample::{RESAMPLES, drawn, middle};
use super::{MetricName, auc_interval};
use crate::data::{Scores, Target};
use crate::random::{Key, Purpose};

/// With more rows than this the interval is narrow, and drawing them takes long.
const MANY_ROWS: usize = 20_000;
/// Times for many rows.
const RESAMPLES_OF_MANY: u64 = 200;

impl MetricName {
    /// The middle 95 % of the metric over rows drawn again with replacement. The draws are functions of `key`, whatever the
    /// threads. `None` where the metric has no figure.
    pub fn interval(self, targets: &[Target], scores: &Scores, key: Key) -> Option<(f64, f64)> {
        if self == Self::Auc {
            let labels: Option<Vec<bool>> = targets.iter().map(Target::is_positive).collect();
            return auc_interval(&labels?, &scores.column(0), key);
        }
        self.of(targets, scores)?;
        let key = key.with(Purpose::Bootstrap);
        let resamples = match targets.len() {
            n if n > MANY_ROWS => RESAMPLES_OF_MANY,
            _ => RESAMPLES,
        };
        let figures = (0..resamples)
            .into_par_iter()
            .filter_map(|resample| {
                let rows: Vec<usize> = drawn(targets.len(), key.at(resample)).collect();
                let targets: Vec<Target> = rows.iter().map(|&row| targets[row].clone()).collect();
                self.of(&targets, &scores.select(&rows))
            })
            .collect();
        middle(figures)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_holds_the_figure_and_is_as_wide_as_theory_says() {
        let key = Key::from_seed(5);
        let said: Vec<f32> = (0..400).map(|i| (key.bits(i) % 2) as f32 - 0.5).collect();
        let right = |i: u64| !key.at(1).bits(i).is_multiple_of(5);
        let target = |i: u64| Target::Class(u32::from((said[i as usize] > 0.0) == right(i)));
        let targets: Vec<Target> = (0..400).map(target).collect();
        let scores = Scores::single(said.clone());
        let figure = MetricName::Accuracy.of(&targets, &scores).expect("classes");
        let interval = MetricName::Accuracy.interval(&targets, &scores, Key::from_seed(0));
        let (low, high) = interval.expect("classes");
        assert!(low < figure && figure < high, "{low} {figure} {high}");
        let expected = 2.0 * 1.96 * (figure * (1.0 - figure) / 400.0).sqrt();
        assert!(
            ((high - low) / expected - 1.0).abs() < 0.2,
            "{low} {high} {expected}"
        );
        let none = [Target::Unknown];
        assert_eq!(
            MetricName::Accuracy.interval(&none, &scores.select(&[0]), key),
            None
        );
    }
}
