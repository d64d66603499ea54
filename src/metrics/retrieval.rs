//! How good rankings are that a search returns.
//!
//! In: what was found, nearest first, and what should have been. Out: numbers from 0 to 1. Two figures bear the name of average
//! precision in the literature on hashing, and differ: [`average_precision`] and [`average_overlap`]. Searches nothing.

/// Average precision at R of one query, where `relevant` says of the first R items that were found whether each is relevant:
/// the mean, over the relevant ones among them, of the precision down to their rank. 0 where none is.
///
/// Its mean over queries, with items of the query's class as the relevant ones, is the mAP@R of the hashing papers (Ryali et al.
/// 2020). At R = all items it is the classical average precision.
pub fn average_precision(relevant: impl IntoIterator<Item = bool>) -> f64 {
    let mut n_relevant = 0;
    let mut sum = 0.0;
    for (at, is_relevant) in relevant.into_iter().enumerate() {
        if is_relevant {
            n_relevant += 1;
            sum += f64::from(n_relevant) / (at + 1) as f64;
        }
    }
    match n_relevant {
        0 => 0.0,
        n => sum / f64::from(n),
    }
}

/// Average overlap of two rankings of different numbers down to the length R of `truth`: the mean over r = 1..R of the share of
/// the first r of one that are among the first r of the other (Webber, Moffat and Zobel 2010). The "AP" of Fly-LSH (Sharma and
/// Navlakha 2018). It asks for the order of the neighbours too, and not only for the right ones. 0 where `truth` is empty.
pub fn average_overlap(found: &[usize], truth: &[usize]) -> f64 {
    let mut ranks = std::collections::HashMap::new();
    for (rank, &number) in truth.iter().enumerate() {
        ranks.insert(number, rank);
    }
    // A number counts from the larger of its two ranks on.
    let mut begins = vec![0_usize; truth.len()];
    for (rank, number) in found.iter().enumerate().take(truth.len()) {
        if let Some(&other) = ranks.get(number) {
            begins[rank.max(other)] += 1;
        }
    }
    let mut common = 0;
    let shares = begins.iter().enumerate().map(|(at, begins)| {
        common += begins;
        common as f64 / (at + 1) as f64
    });
    let sum: f64 = shares.sum();
    sum / truth.len().max(1) as f64
}

/// Share of `truth` that is among what was found: recall@k for k of both. 1 where `truth` is empty.
pub fn recall(found: &[usize], truth: &[usize]) -> f64 {
    if truth.is_empty() {
        return 1.0;
    }
    let hits = truth.iter().filter(|number| found.contains(number)).count();
    hits as f64 / truth.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlap_asks_for_the_order_and_precision_does_not() {
        // 0/1, 1/2, 3/3.
        assert_eq!(average_overlap(&[1, 2, 3], &[3, 2, 1]), 0.5);
        let relevant = [1, 2, 3].map(|number| [3, 2, 1].contains(&number));
        assert_eq!(average_precision(relevant), 1.0);
    }

    #[test]
    fn precision_by_hand() {
        // Relevant at ranks 1, 3 and 4: (1 + 2/3 + 3/4) / 3.
        let found = average_precision([true, false, true, true, false]);
        assert!((found - (1.0 + 2.0 / 3.0 + 0.75) / 3.0).abs() < 1e-15);
        assert_eq!(average_precision([false, false]), 0.0);
        assert_eq!(average_precision([]), 0.0);
    }

    #[test]
    fn overlap_is_that_of_comparing_every_prefix() {
        let key = crate::random::Key::from_seed(4);
        let ranking = |key: crate::random::Key, n: usize| {
            let mut numbers: Vec<usize> = (0..60).collect();
            numbers.sort_by_key(|&number| key.bits(number as u64));
            numbers.truncate(n);
            numbers
        };
        for (n_found, n_truth) in [(40, 40), (10, 40), (40, 10)] {
            let (found, truth) = (ranking(key.at(1), n_found), ranking(key.at(2), n_truth));
            let share = |r: usize| {
                let first = &found[..r.min(found.len())];
                let common = first.iter().filter(|number| truth[..r].contains(number));
                common.count() as f64 / r as f64
            };
            let expected = (1..=n_truth).map(share).sum::<f64>() / n_truth as f64;
            assert!((average_overlap(&found, &truth) - expected).abs() < 1e-12);
        }
        assert_eq!(average_overlap(&[1], &[]), 0.0);
        assert_eq!(average_overlap(&[2, 1, 9], &[2, 1, 9]), 1.0);
    }

    #[test]
    fn recall_counts_what_was_found_of_the_truth() {
        assert_eq!(recall(&[1, 2, 3, 4], &[4, 9]), 0.5);
        assert_eq!(recall(&[], &[]), 1.0);
    }
}
