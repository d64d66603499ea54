//! Self-learning: matched types are anchors, types are told by the anchors around them, and the best pairs become the
//! next anchors.
//!
//! In: two graphs and anchors. Out: candidates of each cipher type by CSLS (Conneau et al. 2018) on the cosine of
//! features: counts of anchors at offsets -2, -1, +1, +2, and of the boundary there, as ln((count + s) / (expected + s)),
//! less the mean over all types of the side, and [flattened](super::flatten).
//!
use ndarray::{Array2, Axis};
use rayon::prelude::*;

use super::cooccurrence::{Graph, OFFSETS};
use super::flatten::{self, normalise};
use super::matrix::product;

/// Neighbours in the mean similarity that CSLS takes off.
pub(super) const CSLS_NEIGHBOURS: usize = 10;

/// Added to observed and expected counts, so that a single neighbour says little.
const SMOOTH: f32 = 2.0;

/// A cipher rank and a plaintext rank that are held to be the same.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Anchor {
    pub cipher: u32,
    pub plain: u32,
}

/// Features of all types of one side: n × (4 × anchors + 4), rows of length 1. `anchors` are ranks of this side.
pub(super) fn features(graph: &Graph, anchors: &[u32]) -> Array2<f32> {
    let (n, width) = (graph.n(), anchors.len() + 1);
    let mut place = vec![u32::MAX; n + 1];
    for (at, &anchor) in (0..).zip(anchors.iter().chain([&(n as u32)])) {
        place[anchor as usize] = at;
    }
    // Share of an anchor among all neighbours at an offset.
    let shares: Vec<Vec<f32>> = graph
        .neighbours
        .iter()
        .map(|neighbours| {
            let mut sums = vec![0.0f64; width];
            let mut total = 0.0f64;
            for row in 0..n {
                for &(neighbour, count) in neighbours.row(row) {
                    total += f64::from(count);
                    if let Some(sum) = sums.get_mut(place[neighbour as usize] as usize) {
                        *sum += f64::from(count);
                    }
                }
            }
            sums.iter()
                .map(|sum| (sum / total.max(1.0)) as f32)
                .collect()
        })
        .collect();
    let mut features = Array2::<f32>::zeros((n, OFFSETS.len() * width));
    features
        .axis_iter_mut(Axis(0))
        .into_par_iter()
        .enumerate()
        .for_each(|(row, mut values)| {
            let values = values.as_slice_mut().expect("rows are contiguous");
            let mut counts: Vec<f32> = Vec::with_capacity(width);
            for ((neighbours, shares), values) in graph
                .neighbours
                .iter()
                .zip(&shares)
                .zip(values.chunks_mut(width))
            {
                let entries = neighbours.row(row);
                let total: f32 = entries.iter().map(|entry| entry.1).sum();
                for (value, share) in values.iter_mut().zip(shares) {
                    *value = total * share;
                }
                counts.clear();
                counts.resize(width, 0.0);
                for &(neighbour, count) in entries {
                    if let Some(value) = counts.get_mut(place[neighbour as usize] as usize) {
                        *value = count;
                    }
                }
                for (value, count) in values.iter_mut().zip(&counts) {
                    *value = ((count + SMOOTH) / (*value + SMOOTH)).ln();
                }
            }
            normalise(values);
        });
    features
}

/// Cosines of all cipher types (rows) with all plaintext types (columns).
pub(super) fn similarities(cipher: &Graph, plain: &Graph, anchors: &[Anchor]) -> Array2<f32> {
    let of_cipher: Vec<_> = anchors.iter().map(|a| a.cipher).collect();
    let of_plain: Vec<_> = anchors.iter().map(|a| a.plain).collect();
    let (mut a, mut b) = (features(cipher, &of_cipher), features(plain, &of_plain));
    flatten::centre(&mut a);
    flatten::centre(&mut b);
    flatten::flatten(&mut a, &mut b);
    product(a.view(), b.t())
}

/// CSLS: twice the similarity less the mean similarity of each of the two with its ten nearest.
pub(super) fn csls(similarities: &mut Array2<f32>, neighbours: usize) {
    let mean_of_nearest = |values: &mut Vec<f32>| -> f32 {
        let k = neighbours.min(values.len());
        if k == 0 {
            return 0.0;
        }
        values.select_nth_unstable_by(k - 1, |a, b| b.total_cmp(a));
        values.truncate(k);
        values.sort_unstable_by(f32::total_cmp);
        values.iter().sum::<f32>() / k as f32
    };
    let rows: Vec<f32> = similarities
        .axis_iter(Axis(0))
        .into_par_iter()
        .map(|row| mean_of_nearest(&mut row.to_vec()))
        .collect();
    let columns: Vec<f32> = similarities
        .axis_iter(Axis(1))
        .into_par_iter()
        .map(|column| mean_of_nearest(&mut column.to_vec()))
        .collect();
    similarities
        .axis_iter_mut(Axis(0))
        .into_par_iter()
        .zip(rows)
        .for_each(|(mut values, row)| {
            for (value, column) in values.iter_mut().zip(&columns) {
                *value = 2.0 * *value - row - column;
            }
        });
}

/// Takes `weight` × (difference of the logarithms of relative frequency)² off.
pub(super) fn penalise_frequency(
    scores: &mut Array2<f32>,
    cipher: &Graph,
    plain: &Graph,
    weight: f32,
) {
    let logarithms = |graph: &Graph| -> Vec<f32> {
        let total: f64 = graph.counts.iter().sum();
        graph
            .counts
            .iter()
            .map(|count| (count.max(0.5) / total).ln() as f32)
            .collect()
    };
    let (a, b) = (logarithms(cipher), logarithms(plain));
    scores
        .axis_iter_mut(Axis(0))
        .into_par_iter()
        .zip(a)
        .for_each(|(mut row, a)| {
            for (score, b) in row.iter_mut().zip(&b) {
                *score -= weight * (a - b) * (a - b);
            }
        });
}

/// The `k` best columns of each row, best first, ties by column.
pub fn best(scores: &Array2<f32>, k: usize) -> Vec<Vec<(u32, f32)>> {
    scores
        .axis_iter(Axis(0))
        .into_par_iter()
        .map(|row| {
            let mut entries: Vec<(u32, f32)> = (0..).zip(row.iter().copied()).collect();
            let order = |a: &(u32, f32), b: &(u32, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
            if entries.len() > k {
                entries.select_nth_unstable_by(k, order);
                entries.truncate(k);
            }
            entries.sort_unstable_by(order);
            entries
        })
        .collect()
}

/// The best row of each column.
pub(super) fn best_rows(scores: &Array2<f32>) -> Vec<u32> {
    scores
        .axis_iter(Axis(1))
        .into_par_iter()
        .map(|column| {
            let mut best = (0, f32::NEG_INFINITY);
            for (row, &score) in (0..).zip(column.iter()) {
                if score > best.1 {
                    best = (row, score);
                }
            }
            best.0
        })
        .collect()
}
