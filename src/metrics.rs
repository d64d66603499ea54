//! Scores against labels: the area under the ROC curve.
//!
//! In: one score and one label a row. Out: a number. Does not know where scores come from.

/// Area under the ROC curve by the Mann-Whitney statistic, ties at their mid-rank.
///
/// Any monotone map of the scores leaves it unchanged. `None` where one class is absent, the
/// lengths differ, or a score is NaN: there is no AUC then.
pub fn auc(labels: &[bool], scores: &[f32]) -> Option<f64> {
    if labels.len() != scores.len() || scores.iter().any(|s| s.is_nan()) {
        return None;
    }
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_unstable_by(|&i, &j| scores[i].total_cmp(&scores[j]));
    let mut positive_rank_sum = 0.0;
    let mut first = 0;
    // `==` and not `total_cmp`, so that -0 and 0 tie.
    for group in order.chunk_by(|&i, &j| scores[i] == scores[j]) {
        let mid_rank = (2 * first + group.len() + 1) as f64 / 2.0; // ranks count from 1
        positive_rank_sum += mid_rank * group.iter().filter(|&&i| labels[i]).count() as f64;
        first += group.len();
    }
    let positives = labels.iter().filter(|&&label| label).count() as f64;
    let negatives = labels.len() as f64 - positives;
    let pairs = positives * negatives;
    (pairs > 0.0).then(|| (positive_rank_sum - positives * (positives + 1.0) / 2.0) / pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auc_by_hand() {
        // Pairs (positive, negative): .8>.1, .8>.4, .35>.1, .35<.4 -> 3/4 (scikit-learn's example).
        let auc_of = |labels: &[u8], scores: &[f32]| {
            auc(&labels.iter().map(|&y| y == 1).collect::<Vec<_>>(), scores)
        };
        assert_eq!(auc_of(&[0, 0, 1, 1], &[0.1, 0.4, 0.35, 0.8]), Some(0.75));
        // Ties count one half: sklearn.metrics.roc_auc_score gives .625 and .5.
        assert_eq!(auc_of(&[0, 1, 0, 1], &[0.2, 0.2, 0.5, 0.9]), Some(0.625));
        assert_eq!(auc_of(&[0, 1, 0, 1], &[0.0, -0.0, 0.0, -0.0]), Some(0.5));
        assert_eq!(auc_of(&[1, 1], &[0.1, 0.2]), None);
        assert_eq!(auc_of(&[0, 1], &[0.1, f32::NAN]), None);
    }

    #[test]
    fn auc_is_unmoved_by_a_monotone_map_and_mirrored_by_a_sign() {
        let key = crate::random::Key::from_seed(3);
        let labels: Vec<bool> = (0..500).map(|i| key.bits(i).is_multiple_of(3)).collect();
        let scores: Vec<f32> = (0..500).map(|i| (key.bits(1000 + i) % 97) as f32).collect();
        let plain = auc(&labels, &scores).expect("both classes");
        let mapped: Vec<f32> = scores.iter().map(|s| (s / 50.0).exp()).collect();
        assert_eq!(auc(&labels, &mapped), Some(plain));
        let mirrored: Vec<f32> = scores.iter().map(|s| -s).collect();
        let other = auc(&labels, &mirrored).expect("both classes");
        assert!((plain + other - 1.0).abs() < 1e-12);
    }
}
