//! Naive twins for the kernels' tests: f64 sums, one loop an index, no cleverness. Tests only.

use crate::random::Key;

/// `n` values in -1..1, the same for the same `seed`.
pub fn values(n: usize, seed: u64) -> Vec<f32> {
    let key = Key::from_seed(seed);
    (0..n as u64)
        .map(|i| (key.bits(i) >> 40) as f32 / (1 << 23) as f32 - 1.0)
        .collect()
}

/// Fails where any pair differs by more than `tolerance`, relative to the larger of 1 and the value.
#[track_caller]
pub fn assert_close(found: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(found.len(), expected.len());
    for (i, (x, y)) in found.iter().zip(expected).enumerate() {
        let limit = tolerance * y.abs().max(1.0);
        assert!(
            (x - y).abs() <= limit,
            "element {i}: found {x}, expected {y}"
        );
    }
}

/// (rows × columns) to (columns × rows).
pub fn transpose(x: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    (0..columns)
        .flat_map(|j| (0..rows).map(move |i| x[i * columns + j]))
        .collect()
}

/// a (m × k) · b (k × n).
pub fn matmul(a: &[f32], b: &[f32], m: usize, n: usize, k: usize) -> Vec<f32> {
    let element = |i: usize, j: usize| -> f64 {
        (0..k)
            .map(|p| f64::from(a[i * k + p]) * f64::from(b[p * n + j]))
            .sum()
    };
    (0..m)
        .flat_map(|i| (0..n).map(move |j| element(i, j) as f32))
        .collect()
}

/// Central differences of `loss` at `x`, element by element, in f64 steps of `step`.
pub fn gradient(x: &[f32], step: f32, loss: impl Fn(&[f32]) -> f64) -> Vec<f32> {
    (0..x.len())
        .map(|i| {
            let moved = |by: f32| {
                let mut x = x.to_vec();
                x[i] += by;
                (loss(&x), f64::from(x[i]))
            };
            let ((above, x_above), (below, x_below)) = (moved(step), moved(-step));
            ((above - below) / (x_above - x_below)) as f32
        })
        .collect()
}

/// The error function within 2e-8: the Maclaurin series up to 4, where its terms still cancel exactly enough.
pub fn erf(x: f64) -> f64 {
    if x.abs() > 4.0 {
        return x.signum();
    }
    let (mut term, mut sum) = (x, x);
    for n in 1..200 {
        term *= -x * x / f64::from(n);
        sum += term / f64::from(2 * n + 1);
    }
    2.0 / std::f64::consts::PI.sqrt() * sum
}
