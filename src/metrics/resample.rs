//! Rows drawn again with replacement, and the middle of what they say (percentile bootstrap, Efron 1979).
//!
//! In: a number of rows and a key; figures. Out: rows; the ends of an interval. Takes rows as independent. Computes no metric.

use crate::random::Key;

/// Times that rows are drawn again: enough for the ends to move by a few percent of the width.
pub const RESAMPLES: u64 = 1000;

/// `n` rows of `n`, drawn with replacement.
pub fn drawn(n: usize, key: Key) -> impl Iterator<Item = usize> {
    // The high half of the product is uniform in 0..n, but for a bias of n / 2^64.
    let row = move |draw| (u128::from(key.bits(draw)) * n as u128) >> 64;
    (0..n as u64).map(move |draw| row(draw) as usize)
}

/// Where the middle 95 % of some figures begins and ends; none without figures.
pub fn middle(mut figures: Vec<f64>) -> Option<(f64, f64)> {
    figures.sort_unstable_by(f64::total_cmp);
    let last = figures.len().checked_sub(1)? as f64;
    let at = |share: f64| figures[(share * last).round() as usize];
    Some((at(0.025), at(0.975)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_rows_and_the_middle_leaves_out_both_ends() {
        let rows: Vec<usize> = drawn(5, Key::from_seed(1)).collect();
        assert!(
            rows.len() == 5 && rows.iter().all(|&row| row < 5),
            "{rows:?}"
        );
        let figures = (0..=200).rev().map(f64::from).collect();
        assert_eq!(middle(figures), Some((5.0, 195.0)));
        assert_eq!(middle(Vec::new()), None);
    }
}
