//! Metrics of rows that have any number of labels, a logit each.

use super::auc::auc;
use super::classes::softplus;
use crate::data::{Scores, Target};

/// See [`super::MetricName::MeanAuc`].
pub fn mean_auc(targets: &[Target], scores: &Scores) -> Option<f64> {
    let mut sum = 0.0;
    let mut n = 0;
    for label in 0..scores.width {
        if let Some(auc) = auc(&column(targets, label)?, &scores.column(label)) {
            sum += auc;
            n += 1;
        }
    }
    (n > 0).then(|| sum / f64::from(n))
}

/// See [`super::MetricName::MeanLogLoss`].
pub fn mean_log_loss(targets: &[Target], scores: &Scores) -> Option<f64> {
    let mut sum = 0.0;
    for label in 0..scores.width {
        for (holds, logit) in column(targets, label)?
            .into_iter()
            .zip(scores.column(label))
        {
            sum += softplus(if holds { -logit } else { logit });
        }
    }
    Some(sum / scores.values.len() as f64)
}

/// Which rows have a label.
fn column(targets: &[Target], label: usize) -> Option<Vec<bool>> {
    targets
        .iter()
        .map(|target| target.holds(label as u32))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_over_the_labels_by_hand() {
        let targets = [vec![0], vec![], vec![0, 1]].map(Target::Several);
        // Label 0: rows 0 and 2 above row 1 by .5, and below by 1: (1 + 0) / 2. Label 1: 1. Label 2: of one value.
        let values = vec![1.0, 0.0, 9.0, 0.5, 0.0, 9.0, 0.0, 3.0, 9.0];
        let scores = Scores { width: 3, values };
        assert_eq!(mean_auc(&targets, &scores), Some(0.75));
        let even = Scores {
            width: 2,
            values: vec![0.0; 6],
        };
        let loss = mean_log_loss(&targets, &even).expect("labels");
        assert!((loss - std::f64::consts::LN_2).abs() < 1e-12);
        assert_eq!(mean_auc(&[Target::Unknown], &scores.select(&[0])), None);
    }
}
