//! Metrics of rows that have a number each.

use std::collections::BTreeMap;

use crate::data::{Scores, Target};

/// See [`super::MetricName::Spearman`].
pub fn spearman(targets: &[Target], scores: &Scores) -> Option<f64> {
    let (truth, said) = columns(targets, scores)?;
    correlation(&mid_ranks(&truth), &mid_ranks(&said))
}

/// See [`super::MetricName::Pearson`].
pub fn pearson(targets: &[Target], scores: &Scores) -> Option<f64> {
    let (truth, said) = columns(targets, scores)?;
    let wide = |values: &[f32]| values.iter().copied().map(f64::from).collect::<Vec<f64>>();
    correlation(&wide(&truth), &wide(&said))
}

/// See [`super::MetricName::Kappa`]. Grades are the whole numbers from the lowest to the highest target.
pub fn kappa(targets: &[Target], scores: &Scores) -> Option<f64> {
    let (truth, said) = columns(targets, scores)?;
    let grade = |x: f32| x.round() as i64;
    let (low, high) = (
        truth.iter().map(|&x| grade(x)).min()?,
        truth.iter().map(|&x| grade(x)).max()?,
    );
    let pairs: Vec<(i64, i64)> = truth
        .iter()
        .zip(&said)
        .map(|(&x, &y)| (grade(x), grade(y).clamp(low, high)))
        .collect();
    let count = |of: fn(&(i64, i64)) -> i64| {
        let mut counts: BTreeMap<i64, f64> = BTreeMap::new();
        pairs
            .iter()
            .for_each(|pair| *counts.entry(of(pair)).or_default() += 1.0);
        counts
    };
    let (rows, columns) = (count(|pair| pair.0), count(|pair| pair.1));
    let weight = |i: i64, j: i64| ((i - j) as f64).powi(2);
    let observed: f64 = pairs.iter().map(|&(i, j)| weight(i, j)).sum();
    let mut expected = 0.0;
    for (&i, n) in &rows {
        for (&j, m) in &columns {
            expected += weight(i, j) * n * m / pairs.len() as f64;
        }
    }
    (expected > 0.0).then(|| 1.0 - observed / expected)
}

/// Ranks from 1, ties at their mean.
pub fn mid_ranks(values: &[f32]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_unstable_by(|&i, &j| values[i].total_cmp(&values[j]));
    let mut ranks = vec![0.0; values.len()];
    let mut first = 0;
    // `==` and not `total_cmp`, so that -0 and 0 tie.
    for group in order.chunk_by(|&i, &j| values[i] == values[j]) {
        let rank = (2 * first + group.len() + 1) as f64 / 2.0;
        group.iter().for_each(|&row| ranks[row] = rank);
        first += group.len();
    }
    ranks
}

fn columns(targets: &[Target], scores: &Scores) -> Option<(Vec<f32>, Vec<f32>)> {
    let truth: Option<Vec<f32>> = targets.iter().map(Target::as_number).collect();
    let said = scores.column(0);
    let is_number = said.iter().all(|score| !score.is_nan());
    Some((truth?, said)).filter(|_| is_number)
}

/// `None` where one side does not vary.
fn correlation(x: &[f64], y: &[f64]) -> Option<f64> {
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let (x_mean, y_mean) = (mean(x), mean(y));
    let (mut xy, mut xx, mut yy) = (0.0, 0.0, 0.0);
    for (x, y) in x.iter().zip(y) {
        let (x, y) = (x - x_mean, y - y_mean);
        xy += x * y;
        xx += x * x;
        yy += y * y;
    }
    (xx > 0.0 && yy > 0.0).then(|| xy / (xx * yy).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn targets(numbers: &[f32]) -> Vec<Target> {
        numbers.iter().copied().map(Target::Number).collect()
    }

    #[test]
    fn correlations_by_hand() {
        let truth = targets(&[1.0, 2.0, 3.0, 4.0]);
        let line = Scores::single(vec![-1.0, -3.0, -5.0, -7.0]);
        assert_eq!(pearson(&truth, &line), Some(-1.0));
        let monotone = Scores::single(vec![0.0, 1.0, 10.0, 1000.0]);
        assert_eq!(spearman(&truth, &monotone), Some(1.0));
        assert_eq!(spearman(&truth, &Scores::single(vec![2.0; 4])), None);
        assert_eq!(
            mid_ranks(&[3.0, 0.0, -0.0, 3.0, 3.0]),
            [4.0, 1.5, 1.5, 4.0, 4.0]
        );
        let binary = [0, 1, 1].map(Target::Class);
        assert!(spearman(&binary, &Scores::single(vec![0.1, 0.3, 0.2])).expect("varies") > 0.8);
    }

    #[test]
    fn kappa_by_hand() {
        // Rounded and kept within 0 to 2: 0, 2, 1, 2. Observed 1; expected from one 0, two 1, one 2 against 0, 1, 2, 2:
        // (1 + 2 x 4 + 2 x (1 + 2 x 1) + 4 + 1) / 4 = 5.
        let truth = targets(&[0.0, 2.0, 1.0, 1.0]);
        let said = Scores::single(vec![-0.4, 7.0, 1.2, 1.6]);
        assert_eq!(kappa(&truth, &said), Some(0.8));
        assert_eq!(
            kappa(&targets(&[1.0, 1.0]), &Scores::single(vec![1.0, 1.0])),
            None
        );
    }
}
