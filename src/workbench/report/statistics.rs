//! What the charts of a report show, as numbers.
//!
//! In: labels of two classes and scores (logit of 1 - logit of 0). Out: points of ROC and precision-recall curves, histograms, reliability bins, slices. Pure
//! functions; draws nothing and reads nothing.

use crate::metrics::mean_and_deviation;

/// A validation row of two classes with its score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BinaryRow {
    /// From 0 over all training files, or in the validation file.
    pub row: usize,
    /// The truth.
    pub label: bool,
    /// logit(YES) - logit(NO).
    pub score: f32,
    /// From 1; 0 where there are no folds.
    pub fold: usize,
}

impl BinaryRow {
    /// The model's probability of YES.
    pub fn probability(&self) -> f64 {
        1.0 / (1.0 + (-f64::from(self.score)).exp())
    }
}

/// Standard error of an AUC over so many rows of each class (Hanley and McNeil 1982, "The meaning and use of the area
/// under a ROC curve", Radiology 143).
pub fn auc_standard_error(auc: f64, positives: usize, negatives: usize) -> f64 {
    let (p, n) = (positives as f64, negatives as f64);
    let both_positives = auc / (2.0 - auc);
    let both_negatives = 2.0 * auc * auc / (1.0 + auc);
    let variance = auc * (1.0 - auc)
        + (p - 1.0) * (both_positives - auc * auc)
        + (n - 1.0) * (both_negatives - auc * auc);
    (variance.max(0.0) / (p * n)).sqrt()
}

/// The ROC curve: (share of negatives taken, share of positives found) from (0, 0) to (1, 1), equal scores as one step,
/// points nearer to the last than 1/`resolution` left out. Empty where a class is absent.
pub fn roc(rows: &[BinaryRow], resolution: usize) -> Vec<(f64, f64)> {
    let cuts = cuts(rows);
    let Some(&Cut { taken, found }) = cuts.last().filter(|all| all.has_both()) else {
        return Vec::new();
    };
    let (negatives, positives) = ((taken - found) as f64, found as f64);
    let point = |cut: &Cut| {
        (
            (cut.taken - cut.found) as f64 / negatives,
            cut.found as f64 / positives,
        )
    };
    let points = [(0.0, 0.0)].into_iter().chain(cuts.iter().map(point));
    thinned(points.collect(), resolution)
}

/// The precision-recall curve: (share of positives found, share of positives among the rows taken), from few rows taken to all,
/// thinned as the ROC curve; and the average precision, its step-wise area (Zhu 2004). `None` where a class is absent.
pub fn precision_recall(rows: &[BinaryRow], resolution: usize) -> Option<(Vec<(f64, f64)>, f64)> {
    let cuts = cuts(rows);
    let all = cuts.last().filter(|all| all.has_both())?;
    let positives = all.found as f64;
    let precision = |cut: &Cut| cut.found as f64 / cut.taken as f64;
    let mut before = 0;
    let mut area = 0.0;
    for cut in &cuts {
        area += (cut.found - before) as f64 / positives * precision(cut);
        before = cut.found;
    }
    let points = cuts
        .iter()
        .map(|cut| (cut.found as f64 / positives, precision(cut)));
    Some((thinned(points.collect(), resolution), area))
}

/// The rows from some score on.
struct Cut {
    taken: usize,
    /// Positives among them.
    found: usize,
}

impl Cut {
    fn has_both(&self) -> bool {
        self.found > 0 && self.found < self.taken
    }
}

/// A cut below each different score, from the highest on.
fn cuts(rows: &[BinaryRow]) -> Vec<Cut> {
    let mut order: Vec<&BinaryRow> = rows.iter().collect();
    order.sort_by(|a, b| b.score.total_cmp(&a.score));
    let (mut taken, mut found) = (0, 0);
    let cut = |ties: &[&BinaryRow]| {
        taken += ties.len();
        found += ties.iter().filter(|row| row.label).count();
        Cut { taken, found }
    };
    order.chunk_by(|a, b| a.score == b.score).map(cut).collect()
}

/// Without the points nearer to the last than 1/`resolution`; the first and the last stay.
fn thinned(points: Vec<(f64, f64)>, resolution: usize) -> Vec<(f64, f64)> {
    let mut kept: Vec<(f64, f64)> = Vec::new();
    let n = points.len();
    for (at, point) in points.into_iter().enumerate() {
        let is_far = kept.last().is_none_or(|last| {
            let step = (point.0 - last.0).abs() + (point.1 - last.1).abs();
            step * resolution as f64 >= 1.0
        });
        if is_far || at + 1 == n {
            kept.push(point);
        }
    }
    kept
}

/// The score histograms of both classes over the same bins.
#[derive(Debug, Clone, PartialEq)]
pub struct Histogram {
    /// Lower ends of the bins, and the upper end of the last.
    pub edges: Vec<f64>,
    /// Share of the rows labelled 0 in each bin.
    pub negatives: Vec<f64>,
    /// Share of the rows labelled 1 in each bin.
    pub positives: Vec<f64>,
}

/// Equal bins over all scores; `None` where there are no rows.
pub fn histogram(rows: &[BinaryRow], bins: usize) -> Option<Histogram> {
    let scores = rows.iter().map(|row| f64::from(row.score));
    let (low, high) = super::plots::extent(scores)?;
    let width = ((high - low) / bins as f64).max(f64::EPSILON);
    let mut counts = [vec![0_usize; bins], vec![0; bins]];
    for row in rows {
        let bin = ((f64::from(row.score) - low) / width) as usize;
        counts[usize::from(row.label)][bin.min(bins - 1)] += 1;
    }
    let shares = |counts: &[usize]| {
        let all = counts.iter().sum::<usize>().max(1) as f64;
        counts.iter().map(|&count| count as f64 / all).collect()
    };
    Some(Histogram {
        edges: (0..=bins).map(|i| low + i as f64 * width).collect(),
        negatives: shares(&counts[0]),
        positives: shares(&counts[1]),
    })
}

/// Rows of similar predicted probability.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reliability {
    /// Mean predicted probability of YES.
    pub predicted: f64,
    /// Share of YES among them.
    pub observed: f64,
    /// Rows.
    pub rows: usize,
}

/// Bins of about equally many rows, by rising score. Equal scores stay together, or the bins would depend on the order of
/// the rows.
pub fn reliability(rows: &[BinaryRow], bins: usize) -> Vec<Reliability> {
    let scores: Vec<f64> = rows.iter().map(|row| f64::from(row.score)).collect();
    let bin = |slice: Slice| {
        let rows: Vec<&BinaryRow> = slice.places.iter().map(|&place| &rows[place]).collect();
        let n = rows.len() as f64;
        Reliability {
            predicted: rows.iter().map(|row| row.probability()).sum::<f64>() / n,
            observed: rows.iter().filter(|row| row.label).count() as f64 / n,
            rows: rows.len(),
        }
    };
    slices(&scores, bins).into_iter().map(bin).collect()
}

/// Expected calibration error: the mean distance between predicted and observed, weighted by rows.
pub fn calibration_error(bins: &[Reliability]) -> Option<f64> {
    let rows: usize = bins.iter().map(|bin| bin.rows).sum();
    let distance = |bin: &Reliability| bin.rows as f64 * (bin.predicted - bin.observed).abs();
    (rows > 0).then(|| bins.iter().map(distance).sum::<f64>() / rows as f64)
}

/// Rows whose value lies in a range.
#[derive(Debug, Clone, PartialEq)]
pub struct Slice {
    /// Lowest and highest value among them.
    pub range: (f64, f64),
    /// Their places, by rising value.
    pub places: Vec<usize>,
}

/// Cuts rows by their values into at most `most` slices of similar size. Equal values stay together, and a value that
/// fills a slice has it alone.
pub fn slices(values: &[f64], most: usize) -> Vec<Slice> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let wanted = values.len().div_ceil(most.max(1));
    let mut slices: Vec<Vec<usize>> = Vec::new();
    for equal in order.chunk_by(|&a, &b| values[a] == values[b]) {
        match slices.last_mut() {
            Some(last) if last.len() < wanted && equal.len() < wanted => last.extend(equal),
            _ => slices.push(equal.to_vec()),
        }
    }
    let describe = |places: Vec<usize>| Slice {
        range: (values[places[0]], values[places[places.len() - 1]]),
        places,
    };
    slices.into_iter().map(describe).collect()
}

/// Standard error of a figure from what it is without each of g parts of the rows in turn (delete-a-group jackknife, Kott
/// 2001). `None` of fewer than two parts.
pub fn jackknife_error(without: &[f64]) -> Option<f64> {
    let g = without.len() as f64;
    let (_, deviation) = mean_and_deviation(without)?;
    deviation.map(|deviation| deviation * (g - 1.0) / g.sqrt())
}

/// The rows on the wrong side of a threshold, the farthest from it first; equal distances by row. Logits have theirs at 0.
pub fn worst_errors(rows: &[BinaryRow], threshold: f32, most: usize) -> Vec<BinaryRow> {
    let wrongness = |row: &BinaryRow| match row.label {
        true => threshold - row.score,
        false => row.score - threshold,
    };
    let mut wrong: Vec<BinaryRow> = rows
        .iter()
        .copied()
        .filter(|row| wrongness(row) > 0.0)
        .collect();
    wrong.sort_by(|a, b| {
        wrongness(b)
            .total_cmp(&wrongness(a))
            .then(a.row.cmp(&b.row))
    });
    wrong.truncate(most);
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(labels: &[u8], scores: &[f32]) -> Vec<BinaryRow> {
        let zipped = labels.iter().zip(scores).enumerate();
        zipped
            .map(|(row, (&label, &score))| BinaryRow {
                row,
                label: label == 1,
                score,
                fold: 0,
            })
            .collect()
    }

    fn auc_of(rows: &[BinaryRow]) -> Option<f64> {
        let rows = rows.iter().map(|row| (row.label, row.score));
        let (labels, scores): (Vec<bool>, Vec<f32>) = rows.unzip();
        crate::metrics::auc(&labels, &scores)
    }

    #[test]
    fn roc_by_hand_and_its_area_is_the_auc() {
        let rows = rows(&[0, 0, 1, 1, 1], &[0.1, 0.5, 0.5, 0.8, 0.05]);
        // .8 hits; .5 is one of each, a slanted step; .1 misses; .05 hits.
        let third = 1.0 / 3.0;
        let expected = [
            (0.0, 0.0),
            (0.0, third),
            (0.5, 2.0 * third),
            (1.0, 2.0 * third),
            (1.0, 1.0),
        ];
        let curve = roc(&rows, 1000);
        assert_eq!(curve, expected);
        let area: f64 = curve
            .windows(2)
            .map(|w| (w[1].0 - w[0].0) * (w[0].1 + w[1].1) / 2.0)
            .sum();
        assert!((area - auc_of(&rows).expect("both classes")).abs() < 1e-12);
        assert!(roc(&rows[..2], 100).is_empty());
    }

    #[test]
    fn a_thinned_roc_is_short_and_ends_at_the_corner() {
        let key = crate::random::Key::from_seed(1);
        let labels: Vec<u8> = (0..20_000).map(|i| (key.bits(i) % 2) as u8).collect();
        let scores: Vec<f32> = (0..20_000).map(|i| key.bits(i + 50_000) as f32).collect();
        let curve = roc(&rows(&labels, &scores), 100);
        assert!(curve.len() <= 202, "{}", curve.len());
        assert_eq!(curve.last(), Some(&(1.0, 1.0)));
    }

    #[test]
    fn histogram_by_hand() {
        let found = histogram(&rows(&[0, 0, 1, 1], &[0.0, 1.0, 3.0, 4.0]), 2).expect("rows");
        assert_eq!(found.edges, [0.0, 2.0, 4.0]);
        assert_eq!(
            (found.negatives, found.positives),
            (vec![1.0, 0.0], vec![0.0, 1.0])
        );
        assert_eq!(histogram(&[], 2), None);
        let same = histogram(&rows(&[0, 1], &[2.0, 2.0]), 3).expect("rows");
        assert_eq!(same.negatives.iter().sum::<f64>(), 1.0);
    }

    #[test]
    fn reliability_by_hand() {
        // sigmoid(0) = .5, and sigmoid(ln 3) = .75; half of them are 1 in the first bin, all in the second.
        let ln3 = 3.0_f32.ln();
        let found = reliability(&rows(&[0, 1, 1, 1], &[0.0, 0.0, ln3, ln3]), 2);
        let of = |bin: &Reliability| (bin.observed, bin.rows);
        assert_eq!(
            found.iter().map(of).collect::<Vec<_>>(),
            [(0.5, 2), (1.0, 2)]
        );
        assert!(found[0].predicted == 0.5 && (found[1].predicted - 0.75).abs() < 1e-7);
        let error = calibration_error(&found).expect("rows");
        assert!((error - 0.125).abs() < 1e-7, "{error}");
        assert_eq!(calibration_error(&[]), None);
        assert_eq!(reliability(&rows(&[1], &[0.0]), 10).len(), 1);
    }

    #[test]
    fn equal_scores_are_one_bin_in_any_order_of_the_rows() {
        let labels: Vec<u8> = (0..20).map(|row| u8::from(row >= 10)).collect();
        let found = reliability(&rows(&labels, &[0.5; 20]), 10);
        assert_eq!(found.len(), 1);
        let error = calibration_error(&found).expect("rows");
        let expected = 1.0 / (1.0 + (-0.5_f64).exp()) - 0.5; // .122
        assert!((error - expected).abs() < 1e-12, "{error}");
    }

    #[test]
    fn equal_values_stay_in_one_slice_and_every_row_is_in_one() {
        let sliced = slices(&[0.9, 0.0, 0.0, 0.0, 0.3, 0.0, 0.2, 0.0], 2);
        let expected = [
            ((0.0, 0.0), vec![1, 2, 3, 5, 7]),
            ((0.2, 0.9), vec![6, 4, 0]),
        ];
        assert_eq!(sliced.len(), 2);
        for (slice, (range, places)) in sliced.into_iter().zip(expected) {
            assert_eq!((slice.range, slice.places), (range, places));
        }
        assert!(slices(&[], 4).is_empty());
    }

    #[test]
    fn the_jackknife_of_a_mean_is_its_standard_error() {
        // Rows 1, 2 and 6 are a part each: means without them 4, 3.5, 1.5. Deviation of the rows 2.6458, over root 3.
        let error = jackknife_error(&[4.0, 3.5, 1.5]).expect("parts");
        assert!((error - (7.0_f64 / 3.0).sqrt()).abs() < 1e-12, "{error}");
        assert_eq!(jackknife_error(&[1.0]), None);
    }

    #[test]
    fn standard_error_of_an_auc_by_hand() {
        // A = 1: no variance. A = 1/2, one row each: A(1-A) = 1/4, root 1/2.
        assert_eq!(auc_standard_error(1.0, 5, 9), 0.0);
        assert!((auc_standard_error(0.5, 1, 1) - 0.5).abs() < 1e-12);
        // A = 1/2, 2 and 2: Q1 = Q2 = 1/3; (1/4 + 2 (1/3 - 1/4)) / 4 = 5/48
        assert!((auc_standard_error(0.5, 2, 2) - (5.0_f64 / 48.0).sqrt()).abs() < 1e-12);
    }

    #[test]
    fn the_worst_errors_are_the_surest_ones() {
        let rows = rows(&[0, 1, 0, 1, 1], &[2.0, -3.0, -1.0, 4.0, -2.0]);
        let worst = |threshold: f32| -> Vec<usize> {
            let found = worst_errors(&rows, threshold, 2);
            found.iter().map(|row| row.row).collect()
        };
        assert_eq!(worst(0.0), [1, 0]);
        assert_eq!(worst(-2.5), [0, 2]); // by 4.5, 1.5, and row 1 by .5
    }

    #[test]
    fn precision_and_recall_by_hand() {
        let row = |(row, (score, label)): (usize, (f32, bool))| BinaryRow {
            row,
            label,
            score,
            fold: 0,
        };
        let rows = [(4.0, true), (3.0, false), (2.0, true), (2.0, false)];
        let rows: Vec<BinaryRow> = rows.into_iter().enumerate().map(row).collect();
        let (points, area) = precision_recall(&rows, 100).expect("both labels");
        // 1 of 1, 1 of 2, and, tied, 2 of 4.
        assert_eq!(points, [(0.5, 1.0), (0.5, 0.5), (1.0, 0.5)]);
        assert_eq!(area, 0.5 * 1.0 + 0.5 * 0.5);
        assert_eq!(precision_recall(&rows[..1], 100), None);
    }
}
