//! Scores against labels: the area under the ROC curve, and how sure it is.
//!
//! In: one score and one label a row. Out: numbers. Does not know where scores come from.

use rayon::prelude::*;

use super::resample::{RESAMPLES, drawn, middle};
use crate::random::{Key, Purpose};

/// Area under the ROC curve by the Mann-Whitney statistic, ties at their mid-rank.
///
/// Any monotone map of the scores leaves it unchanged. `None` where one class is absent, the
/// lengths differ, or a score is NaN: there is no AUC then.
pub fn auc(labels: &[bool], scores: &[f32]) -> Option<f64> {
    let order = ascending(labels, scores)?;
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

/// The middle 95 % of the AUC over rows drawn again with replacement, 1000 times (percentile bootstrap, Efron 1979).
///
/// Takes rows as independent. The draws are functions of `key`, whatever the threads. `None` where [`auc`] is, or where
/// one class is so rare that no draw holds it.
pub fn auc_interval(labels: &[bool], scores: &[f32], key: Key) -> Option<(f64, f64)> {
    let order = ascending(labels, scores)?;
    let groups: Vec<&[usize]> = order.chunk_by(|&i, &j| scores[i] == scores[j]).collect();
    let key = key.with(Purpose::Bootstrap);
    let aucs = (0..RESAMPLES)
        .into_par_iter()
        .filter_map(|resample| {
            let times = times_drawn(order.len(), key.at(resample));
            weighted_auc(&groups, labels, &times)
        })
        .collect();
    middle(aucs)
}

/// How often each of `n` rows is among `n` drawn with replacement.
fn times_drawn(n: usize, key: Key) -> Vec<u32> {
    let mut times = vec![0; n];
    drawn(n, key).for_each(|row| times[row] += 1);
    times
}

/// AUC with rows counted `times`; `groups` are rows of equal score, ascending.
fn weighted_auc(groups: &[&[usize]], labels: &[bool], times: &[u32]) -> Option<f64> {
    let (mut negatives_below, mut positives, mut twice_wins) = (0_u64, 0_u64, 0_u128);
    for group in groups {
        let (mut negative, mut positive) = (0_u64, 0_u64);
        for &row in *group {
            let count = if labels[row] {
                &mut positive
            } else {
                &mut negative
            };
            *count += u64::from(times[row]);
        }
        twice_wins += u128::from(positive) * u128::from(2 * negatives_below + negative);
        negatives_below += negative;
        positives += positive;
    }
    let pairs = u128::from(positives) * u128::from(negatives_below);
    (pairs > 0).then(|| twice_wins as f64 / (2.0 * pairs as f64))
}

/// Rows by ascending score; `None` where lengths differ or a score is NaN.
fn ascending(labels: &[bool], scores: &[f32]) -> Option<Vec<usize>> {
    if labels.len() != scores.len() || scores.iter().any(|s| s.is_nan()) {
        return None;
    }
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_unstable_by(|&i, &j| scores[i].total_cmp(&scores[j]));
    Some(order)
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

    /// `n` rows, a third positive, whose scores overlap.
    fn overlapping(n: u64) -> (Vec<bool>, Vec<f32>) {
        let key = Key::from_seed(4);
        let labels: Vec<bool> = (0..n).map(|i| key.bits(i).is_multiple_of(3)).collect();
        let noise = |i: u64| (key.bits(n + i) % 1000) as f32 / 400.0;
        let scores = (0..n)
            .zip(&labels)
            .map(|(i, &label)| noise(i) + f32::from(label));
        (labels.clone(), scores.collect())
    }

    #[test]
    fn counting_every_row_once_gives_the_auc_itself() {
        let (labels, mut scores) = overlapping(400);
        scores
            .iter_mut()
            .for_each(|score| *score = (*score * 10.0).round()); // many ties
        let order = ascending(&labels, &scores).expect("no NaN");
        let groups: Vec<&[usize]> = order.chunk_by(|&i, &j| scores[i] == scores[j]).collect();
        let once = weighted_auc(&groups, &labels, &[1; 400]).expect("both classes");
        assert!((once - auc(&labels, &scores).expect("both classes")).abs() < 1e-12);
        // Positive .8 drawn twice, negative .1 three times, negative .9 once: wins 2 x 3 of 2 x 4.
        let by_hand = weighted_auc(&[&[1], &[0], &[2]], &[true, false, false], &[2, 3, 1]);
        assert_eq!(by_hand, Some(0.75));
    }

    #[test]
    fn the_interval_holds_the_auc_and_is_as_wide_as_theory_says() {
        let (labels, scores) = overlapping(2000);
        let middle = auc(&labels, &scores).expect("both classes");
        let interval = auc_interval(&labels, &scores, Key::from_seed(0)).expect("both classes");
        assert!(interval.0 < middle && middle < interval.1, "{interval:?}");
        // Standard error of Hanley and McNeil (1982): q1 = a/(2-a), q2 = 2a^2/(1+a).
        let positives = labels.iter().filter(|&&label| label).count() as f64;
        let negatives = labels.len() as f64 - positives;
        let (q1, q2) = (
            middle / (2.0 - middle),
            2.0 * middle * middle / (1.0 + middle),
        );
        let variance = middle * (1.0 - middle)
            + (positives - 1.0) * (q1 - middle * middle)
            + (negatives - 1.0) * (q2 - middle * middle);
        let expected = 2.0 * 1.96 * (variance / (positives * negatives)).sqrt();
        let width = interval.1 - interval.0;
        assert!((width / expected - 1.0).abs() < 0.2, "{width}, {expected}");
    }

    #[test]
    fn the_interval_is_a_function_of_its_key_on_any_number_of_threads() {
        let (labels, scores) = overlapping(100);
        let interval = |seed| auc_interval(&labels, &scores, Key::from_seed(seed));
        let one_thread = rayon::ThreadPoolBuilder::new().num_threads(1).build();
        let alone = one_thread.expect("a thread").install(|| interval(0));
        assert_eq!(alone, interval(0));
        assert_ne!(interval(0), interval(1));
        assert_eq!(auc_interval(&[true], &[1.0], Key::from_seed(0)), None);
    }
}
