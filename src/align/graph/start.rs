//! Where the search begins: matrices of the most frequent types for FAQ, and what tells a type by itself.
//!
//! In: the graphs of both sides and the size of the head. Out: matrices of FAQ's objective, the boundary's part of it
//! (a neighbour whose counterpart is known), and the logarithms of FAQ's first doubly stochastic matrix.
//!
//! Measured on the first 20k pairs of LCQMC against twelve other corpora, tokens right after FAQ on 500 types:
//! start by frequency alone, √counts not centred .264; this start, counts centred whole .608; centred by [`CENTRE`] .644;
//! boundary at [`BOUNDARY`] instead of .1 .684; on 800 types .768. Against film subtitles alone: .124, .359, .468, .493, .565.

use ndarray::Array2;

use super::cooccurrence::Graph;

/// Places of the offsets +1 and +2: the others are their mirror images.
pub(super) const OFFSETS: [usize; 2] = [2, 3];
/// The part of √expected that is taken off √count.
const CENTRE: f32 = 0.7;
/// Weight of the frequency in the affinity.
const UNIGRAM: f32 = 0.02;
/// Weight of the boundary at each offset.
const BOUNDARY: f32 = 0.03;
/// Added to observed and expected counts before their ratio is taken.
const SMOOTH: f64 = 5.0;
/// Beyond the reciprocal of this, a difference of profiles counts linearly rather than squared.
const LINEAR: f32 = 0.5;

/// Counts against their expectation at an offset: √count - [`CENTRE`] √expected, of Frobenius norm 1.
pub(super) fn head(graph: &Graph, n: usize, offset: usize) -> Array2<f32> {
    let total: f64 = graph.counts.iter().sum();
    let mut m = Array2::from_shape_fn((n, n), |(i, j)| {
        -CENTRE * ((graph.counts[i] * graph.counts[j] / total) as f32).sqrt()
    });
    for row in 0..n {
        for &(neighbour, count) in graph.neighbours[offset].row(row) {
            if (neighbour as usize) < n {
                m[(row, neighbour as usize)] += count.sqrt();
            }
        }
    }
    let norm = m.iter().map(|x| x * x).sum::<f32>().sqrt();
    m / norm.max(f32::MIN_POSITIVE)
}

/// What speaks for pairs by themselves: the frequency, and the boundary as a neighbour.
pub(super) fn affinity(a: &Graph, b: &Graph, n: usize) -> Array2<f32> {
    let mut sum = Array2::zeros((n, n));
    let mut add = |weight: f32, side: &dyn Fn(&Graph) -> Vec<f32>| {
        let (x, y) = (unit(side(a)), unit(side(b)));
        for (i, x) in x.iter().enumerate() {
            for (j, y) in y.iter().enumerate() {
                sum[(i, j)] += weight * x * y;
            }
        }
    };
    add(UNIGRAM, &|graph| {
        let counts = graph.counts[..n].iter();
        counts.map(|count| count.sqrt() as f32).collect()
    });
    for offset in 0..4 {
        add(BOUNDARY, &|graph| {
            let (counts, share) = at_boundary(graph, offset);
            let expected = graph.counts[..n].iter().map(|count| count * share);
            let pairs = counts.iter().zip(expected);
            pairs
                .map(|(count, expected)| count.sqrt() as f32 - CENTRE * expected.sqrt() as f32)
                .collect()
        });
    }
    sum
}

fn unit(vector: Vec<f32>) -> Vec<f32> {
    let norm = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    vector
        .iter()
        .map(|x| x / norm.max(f32::MIN_POSITIVE))
        .collect()
}

/// Counts beside the boundary, and their share of all occurrences.
fn at_boundary(graph: &Graph, offset: usize) -> (Vec<f64>, f64) {
    let n = graph.n();
    let mut counts = vec![0.0; n];
    for &(neighbour, count) in graph.neighbours[offset].row(n) {
        if let Some(slot) = counts.get_mut(neighbour as usize) {
            *slot = f64::from(count);
        }
    }
    let share = counts.iter().sum::<f64>() / graph.counts.iter().sum::<f64>();
    (counts, share)
}

/// Logarithms of the start: less the more the profiles of two types differ.
pub(super) fn logarithms(a: &Graph, b: &Graph, n: usize) -> Array2<f32> {
    let mut sum = Array2::zeros((n, n));
    for ((weight, x), (_, y)) in profile(a, n).into_iter().zip(profile(b, n)) {
        for (i, x) in x.iter().enumerate() {
            for (j, y) in y.iter().enumerate() {
                let difference = x - y;
                sum[(i, j)] -= weight * difference * difference / (1.0 + LINEAR * difference.abs());
            }
        }
    }
    sum
}

/// What does not change when types are renamed, for the `n` most frequent types, each with its weight: log frequency;
/// log ratios to the expected count beside the boundary and beside the type itself; the entropy of the neighbours.
fn profile(graph: &Graph, n: usize) -> Vec<(f32, Vec<f32>)> {
    let total: f64 = graph.counts.iter().sum();
    let counts = &graph.counts[..n];
    let ratio = |observed: f64, expected: f64| ((observed + SMOOTH) / (expected + SMOOTH)).ln();
    let frequency = counts.iter().map(|count| (count / total).ln() as f32);
    let mut columns = vec![(2.0, frequency.collect())];
    for offset in 0..4 {
        let (observed, share) = at_boundary(graph, offset);
        let pairs = counts.iter().zip(observed);
        let column = pairs.map(|(count, observed)| ratio(observed, count * share));
        columns.push((1.0, centred(column.collect())));
    }
    for offset in OFFSETS {
        let column = counts.iter().enumerate().map(|(rank, count)| {
            let observed = graph.neighbours[offset].count(rank, rank as u32);
            ratio(f64::from(observed), count * count / total)
        });
        columns.push((0.5, centred(column.collect())));
    }
    for offset in 0..4 {
        let column = (0..n).map(|rank| entropy(graph.neighbours[offset].row(rank), n));
        columns.push((0.5, centred(column.collect())));
    }
    columns
}

/// Entropy of the neighbours among the `n` most frequent types, in nats.
fn entropy(entries: &[(u32, f32)], n: usize) -> f64 {
    let counts = || {
        let within = entries.iter().filter(|entry| (entry.0 as usize) < n);
        within.map(|entry| f64::from(entry.1))
    };
    let sum: f64 = counts().sum();
    counts()
        .map(|count| -count / sum * (count / sum).ln())
        .sum()
}

fn centred(column: Vec<f64>) -> Vec<f32> {
    let mean = column.iter().sum::<f64>() / column.len() as f64;
    column.iter().map(|x| (x - mean) as f32).collect()
}
