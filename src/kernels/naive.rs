//! Naive twins for the kernels' tests: f64 sums, one loop an index, no cleverness. Tests only.

use super::attention::Attention;
use super::dropout::Dropout;
use super::relative::Relative;
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

/// x (rows × in) times the transpose of weight (out × in), plus bias (out).
pub fn linear(x: &[f32], weight: &[f32], bias: &[f32]) -> Vec<f32> {
    let (n_out, n_in) = (bias.len(), weight.len() / bias.len());
    let n_rows = x.len() / n_in;
    let product = matmul(x, &transpose(weight, n_out, n_in), n_rows, n_out, n_in);
    product
        .iter()
        .zip(bias.iter().cycle())
        .map(|(y, b)| y + b)
        .collect()
}

/// x Φ(x).
pub fn gelu(x: &[f32]) -> Vec<f32> {
    let value = |x: f64| x * 0.5 * (1.0 + erf(x / 2f64.sqrt()));
    x.iter().map(|&x| value(f64::from(x)) as f32).collect()
}

/// The form by the hyperbolic tangent.
pub fn gelu_tanh(x: &[f32]) -> Vec<f32> {
    let inner = |x: f64| (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3));
    let value = |x: f64| 0.5 * x * (1.0 + inner(x).tanh());
    x.iter().map(|&x| value(f64::from(x)) as f32).collect()
}

/// Rows of the width of `weight`, normalised.
pub fn layer_norm(x: &[f32], weight: &[f32], bias: &[f32], epsilon: f64) -> Vec<f32> {
    let width = weight.len();
    let row = |x: &[f32]| -> Vec<f32> {
        let mean = x.iter().map(|&x| f64::from(x)).sum::<f64>() / width as f64;
        let variance = x
            .iter()
            .map(|&x| (f64::from(x) - mean).powi(2))
            .sum::<f64>()
            / width as f64;
        let normal = |x: f32| (f64::from(x) - mean) / (variance + epsilon).sqrt();
        let value = |j: usize| normal(x[j]) * f64::from(weight[j]) + f64::from(bias[j]);
        (0..width).map(|j| value(j) as f32).collect()
    };
    x.chunks(width).flat_map(row).collect()
}

/// Attention of packed rows, one row and head at a time.
pub fn attention(sizes: &Attention, [q, k, v]: [&[f32]; 3]) -> Vec<f32> {
    let (hidden, size) = (sizes.hidden, sizes.hidden / sizes.heads);
    let mut context = vec![0.0; q.len()];
    let bounds = sizes.offsets.windows(2).zip(sizes.query_offsets.windows(2));
    for (row, (keys, queries)) in bounds.enumerate() {
        let (n_keys, n_queries) = (keys[1] - keys[0], queries[1] - queries[0]);
        let stride = (n_keys * n_queries).next_multiple_of(4); // dropout draws for four at once
        let dropout = sizes.dropout.map(|d| d.at((sizes.first_row + row) as u64));
        let factors = factors(dropout, sizes.heads * stride);
        for head in 0..sizes.heads {
            let place = |first: usize, i: usize, c: usize| (first + i) * hidden + head * size + c;
            let q = |i: usize, c: usize| f64::from(q[place(queries[0], i, c)]);
            let k = |j: usize, c: usize| f64::from(k[place(keys[0], j, c)]);
            let v = |j: usize, c: usize| f64::from(v[place(keys[0], j, c)]);
            for i in 0..n_queries {
                let seen = |j: usize| match sizes.visible {
                    Some(visible) => j < visible[queries[0] + i] as usize,
                    None => true,
                };
                // What the distance to key j adds to element c of its key and its value.
                let far = |j: usize, c: usize| match sizes.relative {
                    Some(Relative {
                        table,
                        keys: of_keys,
                        queries: of_queries,
                    }) => {
                        let vector = table.vector(of_queries[queries[0] + i], of_keys[keys[0] + j]);
                        f64::from(vector[c])
                    }
                    None => 0.0,
                };
                let term = |j: usize, c: usize| q(i, c) * (k(j, c) + far(j, c));
                let product = |j: usize| (0..size).map(|c| term(j, c)).sum::<f64>();
                let powers: Vec<f64> = (0..n_keys)
                    .map(|j| match seen(j) {
                        true => (product(j) / (size as f64).sqrt()).exp(),
                        false => 0.0,
                    })
                    .collect();
                let total: f64 = powers.iter().sum();
                let factor = |j: usize| f64::from(factors[head * stride + i * n_keys + j]);
                for c in 0..size {
                    let value = |j: usize| v(j, c) + far(j, c);
                    let sum = (0..n_keys).map(|j| powers[j] / total * factor(j) * value(j));
                    context[place(queries[0], i, c)] = sum.sum::<f64>() as f32;
                }
            }
        }
    }
    context
}

/// Each pair of neighbours in heads of `size` turned by its angle at every position, of tokens (tokens × hidden).
pub fn turn<const N: usize>(
    x: &[f32],
    hidden: usize,
    size: usize,
    positions: &[u32],
    angles: [f64; N],
) -> Vec<f32> {
    assert_eq!(size, 2 * N);
    let element = |at: usize| {
        let angle = f64::from(positions[at / hidden]) * angles[at % size / 2];
        let other = match at % 2 {
            0 => -f64::from(x[at + 1]),
            _ => f64::from(x[at - 1]),
        };
        (f64::from(x[at]) * angle.cos() + other * angle.sin()) as f32
    };
    (0..x.len()).map(element).collect()
}

/// The factors by which `dropout` multiplies `n` elements.
pub fn factors(dropout: Option<Dropout>, n: usize) -> Vec<f32> {
    let mut factors = vec![1.0; n];
    if let Some(dropout) = dropout {
        dropout.apply(&mut factors);
    }
    factors
}

/// `-log softmax(logits)[target]`.
pub fn cross_entropy(logits: &[f32], target: u32) -> f64 {
    let total: f64 = logits.iter().map(|&z| f64::from(z).exp()).sum();
    total.ln() - f64::from(logits[target as usize])
}

/// The rows of x, of `width`, at `numbers`.
pub fn select(x: &[f32], numbers: &[u32], width: usize) -> Vec<f32> {
    let row = |&number: &u32| &x[number as usize * width..][..width];
    numbers.iter().flat_map(row).copied().collect()
}

/// Sum of two arrays, the first multiplied by `factors`.
pub fn residual(branch: &[f32], factors: &[f32], x: &[f32]) -> Vec<f32> {
    branch
        .iter()
        .zip(factors)
        .zip(x)
        .map(|((branch, factor), x)| branch * factor + x)
        .collect()
}

/// Fails where the gradient of any array differs from central differences of `sum(d_output * forward(arrays))`.
#[track_caller]
pub fn assert_gradients(
    arrays: &[Vec<f32>],
    gradients: &[Vec<f32>],
    d_output: &[f32],
    forward: impl Fn(&[Vec<f32>]) -> Vec<f32>,
) {
    assert_eq!(arrays.len(), gradients.len());
    for (which, found) in gradients.iter().enumerate() {
        let loss = |values: &[f32]| -> f64 {
            let mut arrays = arrays.to_vec();
            arrays[which] = values.to_vec();
            forward(&arrays)
                .iter()
                .zip(d_output)
                .map(|(y, d)| f64::from(*y) * f64::from(*d))
                .sum()
        };
        assert_close(found, &gradient(&arrays[which], 3e-3, loss), 3e-3);
    }
}
