//! Labels from scores alone, where it is known how many rows have each label.
//!
//! In: one score a row, and the share of each group, lowest scores first. Out: the group of each row. This is how scores of next
//! sentence prediction become labels (Sun et al. 2021, <https://arxiv.org/abs/2109.03564>, "samples-contrast", there with equal
//! shares). Does not look at labels.

/// The group of each row, from 0: the rows with the lowest scores are group 0, about `shares[0]` of all, and so on. `shares` are 0 or
/// more and count by their sum. Rows of one score are in one group: a cut that falls among them moves to their nearer end,
/// to the lower one where both are equally near. A score that is NaN counts as the lowest.
///
/// # Panics
/// Without shares.
pub fn quantile_groups(scores: &[f32], shares: &[f64]) -> Vec<u32> {
    assert!(!shares.is_empty(), "one group or more");
    let mut order: Vec<usize> = (0..scores.len()).collect();
    let by_score = |&i: &usize, &j: &usize| {
        let nan_first = scores[j].is_nan().cmp(&scores[i].is_nan());
        nan_first.then(
            scores[i]
                .partial_cmp(&scores[j])
                .unwrap_or(std::cmp::Ordering::Equal),
        )
    };
    order.sort_by(by_score);
    let ends: Vec<usize> = (order.chunk_by(|&i, &j| scores[i] == scores[j]))
        .scan(0, |end, group| {
            *end += group.len();
            Some(*end)
        })
        .collect();
    let (whole, mut before, mut first) = (shares.iter().sum::<f64>(), 0.0, 0);
    let mut groups = vec![0; scores.len()];
    for (group, share) in (0..).zip(shares) {
        before += share;
        let wanted = (before / whole * scores.len() as f64).round() as usize;
        let end = nearest(&ends, wanted).max(first);
        order[first..end]
            .iter()
            .for_each(|&row| groups[row] = group);
        first = end;
    }
    groups
}

/// The number of rows that is nearest to `wanted` and parts no rows of one score; 0 is one of them.
fn nearest(ends: &[usize], wanted: usize) -> usize {
    let above = ends.partition_point(|&end| end < wanted);
    let lower = above.checked_sub(1).map_or(0, |at| ends[at]);
    match ends.get(above) {
        Some(&upper) if upper - wanted < wanted - lower => upper,
        Some(&upper) if upper == wanted => upper,
        _ => lower,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_by_hand() {
        let scores = [0.3, -1.0, 5.0, 0.2, 2.0];
        assert_eq!(quantile_groups(&scores, &[0.6, 0.4]), [0, 0, 1, 0, 1]);
        assert_eq!(quantile_groups(&scores, &[3.0, 2.0]), [0, 0, 1, 0, 1]);
        assert_eq!(quantile_groups(&scores, &[0.2, 0.4, 0.4]), [1, 0, 2, 1, 2]);
        assert_eq!(quantile_groups(&scores, &[1.0, 0.0]), [0; 5]);
        assert_eq!(quantile_groups(&scores, &[0.0, 1.0]), [1; 5]);
        assert_eq!(quantile_groups(&[], &[0.5, 0.5]), [0; 0]);
    }

    #[test]
    fn rows_of_one_score_have_one_label() {
        // A cut after 3 of 5 falls among three equal scores, 1..4: to their upper end.
        let scores = [0.0, 1.0, 1.0, 1.0, 2.0];
        assert_eq!(quantile_groups(&scores, &[0.6, 0.4]), [0, 0, 0, 0, 1]);
        // After 2 to the lower.
        assert_eq!(quantile_groups(&scores, &[0.4, 0.6]), [0, 1, 1, 1, 1]);
        // In the middle of four to the lower.
        assert_eq!(quantile_groups(&[1.0; 4], &[0.5, 0.5]), [1; 4]);
        assert_eq!(quantile_groups(&[0.0, -0.0], &[0.5, 0.5]), [1, 1]);
    }

    #[test]
    fn shares_hold_without_ties() {
        let scores: Vec<f32> = (0..1000).map(|row| (row * 7 % 1000) as f32).collect();
        let groups = quantile_groups(&scores, &[0.64, 0.36]);
        assert_eq!(groups.iter().filter(|&&group| group == 1).count(), 360);
        let lowest = (0..1000)
            .filter(|&row| groups[row] == 1)
            .map(|row| scores[row] as u32);
        assert_eq!(lowest.min(), Some(640));
    }
}
