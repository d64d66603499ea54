//! Elementary vector arithmetic: sums, dot products, `exp`, softmax.
//!
//! Everything here is `#[inline(always)]`: it takes on the instructions of the kernel that calls it, and kernels
//! are compiled once for each instruction set (`#[multiversion(targets = "simd")]`). Sums run over `LANES` fixed
//! lanes, so a sum has one order whatever the instructions. `mul_add` rounds once on every CPU.

/// Independent partial sums of every reduction.
const LANES: usize = 16;

/// Folds the lanes in a fixed tree.
#[inline(always)]
fn fold(mut lanes: [f32; LANES]) -> f32 {
    let mut width = LANES / 2;
    while width > 0 {
        for i in 0..width {
            lanes[i] += lanes[i + width];
        }
        width /= 2;
    }
    lanes[0]
}

/// Sum of `f(a, b)` over two slices of one length.
#[inline(always)]
pub fn sum_of(a: &[f32], b: &[f32], f: impl Fn(f32, f32) -> f32) -> f32 {
    let mut lanes = [0.0; LANES];
    let (a_chunks, b_chunks) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let (a_rest, b_rest) = (a_chunks.remainder(), b_chunks.remainder());
    for (a, b) in a_chunks.zip(b_chunks) {
        for i in 0..LANES {
            lanes[i] += f(a[i], b[i]);
        }
    }
    for (i, (a, b)) in a_rest.iter().zip(b_rest).enumerate() {
        lanes[i] += f(*a, *b);
    }
    fold(lanes)
}

/// Sum of a slice.
#[inline(always)]
pub fn sum(a: &[f32]) -> f32 {
    sum_of(a, a, |x, _| x)
}

/// Dot product.
#[inline(always)]
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let (a_chunks, b_chunks) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let (a_rest, b_rest) = (a_chunks.remainder(), b_chunks.remainder());
    for (a, b) in a_chunks.zip(b_chunks) {
        for i in 0..LANES {
            lanes[i] = a[i].mul_add(b[i], lanes[i]);
        }
    }
    for (i, (a, b)) in a_rest.iter().zip(b_rest).enumerate() {
        lanes[i] = a.mul_add(*b, lanes[i]);
    }
    fold(lanes)
}

/// Divides a row by its length, and gives the factor: 1 / length, or 0 for a row of zeros, which stays one.
pub fn to_length_one(row: &mut [f32]) -> f64 {
    let squares = row.iter().map(|&x| f64::from(x) * f64::from(x));
    let length = squares.sum::<f64>().sqrt();
    let scale = if length > 0.0 { 1.0 / length } else { 0.0 };
    row.iter_mut()
        .for_each(|x| *x = (f64::from(*x) * scale) as f32);
    scale
}

/// Largest element; negative infinity for an empty slice.
#[inline(always)]
pub fn max(a: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let chunks = a.chunks_exact(LANES);
    let rest = chunks.remainder();
    for a in chunks {
        for i in 0..LANES {
            lanes[i] = if a[i] > lanes[i] { a[i] } else { lanes[i] };
        }
    }
    lanes
        .iter()
        .chain(rest)
        .fold(f32::NEG_INFINITY, |a, &b| if b > a { b } else { a })
}

/// `y += scale * x`.
#[inline(always)]
pub fn add_scaled(y: &mut [f32], scale: f32, x: &[f32]) {
    for (y, x) in y.iter_mut().zip(x) {
        *y = scale.mul_add(*x, *y);
    }
}

/// `out = sum over j of weights[j * weight_stride] * rows[j * row_stride..][..out.len()]`, for j below `n`.
///
/// The sums stay in registers, 64 at a time: four independent chains hide the latency of the additions.
#[inline(always)]
pub fn weighted_sum(
    n: usize,
    (weights, weight_stride): (&[f32], usize),
    (rows, row_stride): (&[f32], usize),
    out: &mut [f32],
) {
    sum_rows::<false>(n, (weights, weight_stride), (rows, row_stride), out);
}

/// As [`weighted_sum`], added to what is there.
#[inline(always)]
pub fn add_weighted_sum(
    n: usize,
    (weights, weight_stride): (&[f32], usize),
    (rows, row_stride): (&[f32], usize),
    out: &mut [f32],
) {
    sum_rows::<true>(n, (weights, weight_stride), (rows, row_stride), out);
}

#[inline(always)]
fn sum_rows<const ADDED: bool>(
    n: usize,
    (weights, weight_stride): (&[f32], usize),
    (rows, row_stride): (&[f32], usize),
    out: &mut [f32],
) {
    const WIDE: usize = 4 * LANES;
    let wide = out.len() / WIDE * WIDE;
    for (block, out) in out.chunks_exact_mut(WIDE).enumerate() {
        let mut sums = [0.0f32; WIDE];
        if ADDED {
            sums.copy_from_slice(out);
        }
        for j in 0..n {
            let weight = weights[j * weight_stride];
            let row = &rows[j * row_stride + block * WIDE..][..WIDE];
            for lane in 0..WIDE {
                sums[lane] = weight.mul_add(row[lane], sums[lane]);
            }
        }
        out.copy_from_slice(&sums);
    }
    let rest = &mut out[wide..];
    if !ADDED {
        rest.fill(0.0);
    }
    for j in 0..n {
        let row = &rows[j * row_stride + wide..][..rest.len()];
        add_scaled(rest, weights[j * weight_stride], row);
    }
}

/// `n` rows of `width` values, `stride` apart, into columns: value d of row j at `out[d * padded(n) + j]`. What lies between n
/// and `padded(n)` is anything.
///
/// Four by four: small enough that compilers shuffle registers, where a plain loop becomes slow scattered stores.
#[inline(always)]
pub fn transpose((rows, stride): (&[f32], usize), (n, width): (usize, usize), out: &mut [f32]) {
    const SIDE: usize = 4;
    let padded = padded(n);
    let out = &mut out[..width * padded];
    let whole = width / SIDE * SIDE;
    for first in (0..n).step_by(SIDE) {
        // Beyond the last row it is taken again.
        let row = |j: usize| &rows[(first + j).min(n - 1) * stride..][..width];
        let from: [&[f32]; SIDE] = std::array::from_fn(row);
        for d in (0..whole).step_by(SIDE) {
            let square: [&[f32]; SIDE] = std::array::from_fn(|j| &from[j][d..d + SIDE]);
            for i in 0..SIDE {
                let line = [square[0][i], square[1][i], square[2][i], square[3][i]];
                out[(d + i) * padded + first..][..SIDE].copy_from_slice(&line);
            }
        }
        for d in whole..width {
            for j in 0..SIDE {
                out[d * padded + first + j] = from[j][d];
            }
        }
    }
}

/// The next multiple of the lanes.
#[inline(always)]
pub fn padded(n: usize) -> usize {
    n.next_multiple_of(LANES)
}

/// Rows of [`dots`] that are computed together: as many chains as hide the latency of the additions.
pub const ROWS: usize = 6;

/// `out[i * n + j]` = scale × the dot product of row i of `rows` and column j of `columns`, for `n_rows` rows of
/// `width` values, `stride` apart, and n columns as [`transpose`] lays them out.
#[inline(always)]
pub fn dots(
    (rows, stride): (&[f32], usize),
    (n_rows, n, width): (usize, usize, usize),
    columns: &[f32],
    scale: f32,
    out: &mut [f32],
) {
    let stride_of_columns = padded(n);
    let columns = (&columns[..width * stride_of_columns], stride_of_columns);
    dots_of_columns((rows, stride), (n_rows, n, width), columns, scale, out);
}

/// As [`dots`], of n columns out of more: value d of column j at `columns[d * column_stride + j]`. Each line of them can be read
/// up to `padded(n)`.
#[inline(always)]
pub fn dots_of_columns(
    (rows, stride): (&[f32], usize),
    (n_rows, n, width): (usize, usize, usize),
    columns: (&[f32], usize),
    scale: f32,
    out: &mut [f32],
) {
    for first in (0..n_rows).step_by(ROWS) {
        let rows = (&rows[first * stride..], stride);
        let out = &mut out[first * n..n_rows * n];
        match n_rows - first {
            1 => dots_of::<1>(rows, (n, width), columns, scale, out),
            2 => dots_of::<2>(rows, (n, width), columns, scale, out),
            3 => dots_of::<3>(rows, (n, width), columns, scale, out),
            4 => dots_of::<4>(rows, (n, width), columns, scale, out),
            5 => dots_of::<5>(rows, (n, width), columns, scale, out),
            _ => dots_of::<ROWS>(rows, (n, width), columns, scale, out),
        }
    }
}

#[inline(always)]
fn dots_of<const N: usize>(
    (rows, stride): (&[f32], usize),
    (n, width): (usize, usize),
    (columns, column_stride): (&[f32], usize),
    scale: f32,
    out: &mut [f32],
) {
    let rows: [&[f32]; N] = std::array::from_fn(|i| &rows[i * stride..][..width]);
    for first in (0..n).step_by(LANES) {
        let mut sums = [[0.0f32; LANES]; N];
        for d in 0..width {
            let line = &columns[d * column_stride + first..][..LANES];
            for i in 0..N {
                let value = rows[i][d];
                for lane in 0..LANES {
                    sums[i][lane] = value.mul_add(line[lane], sums[i][lane]);
                }
            }
        }
        let count = LANES.min(n - first);
        for i in 0..N {
            let out = &mut out[i * n + first..][..count];
            for (out, sum) in out.iter_mut().zip(&sums[i]) {
                *out = sum * scale;
            }
        }
    }
}

/// `y += x`.
#[inline(always)]
pub fn add(y: &mut [f32], x: &[f32]) {
    for (y, x) in y.iter_mut().zip(x) {
        *y += x;
    }
}

/// `e^x`, relative error below 2e-7; 0 below -87, so that no denormals arise. NaN stays NaN.
///
/// `x = n ln 2 + r` with `|r| <= ln 2 / 2`, Taylor in `r`, `2^n` from its bits.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    const ROUND: f32 = 12_582_912.0; // 1.5 * 2^23: adding it rounds to the nearest integer
    const LN_2_HIGH: f32 = 0.693_359_4; // ln 2 in two parts, the first exact in few bits (Cody and Waite)
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    let clamped = x.clamp(-87.0, 88.0);
    let shifted = clamped.mul_add(std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = n.mul_add(-LN_2_LOW, n.mul_add(-LN_2_HIGH, clamped));
    let mut series = 1.0f32 / 5040.0;
    for coefficient in [
        1.0 / 720.0,
        1.0 / 120.0,
        1.0 / 24.0,
        1.0 / 6.0,
        0.5,
        1.0,
        1.0,
    ] {
        series = series.mul_add(r, coefficient);
    }
    let exponent = (shifted.to_bits() as i32)
        .wrapping_sub(ROUND.to_bits() as i32)
        .wrapping_add(127);
    let power = f32::from_bits((exponent as u32) << 23);
    if x < -87.0 { 0.0 } else { series * power }
}

/// Turns scores into probabilities in place, and returns the log of the sum of exponentials.
#[inline(always)]
pub fn softmax(scores: &mut [f32]) -> f32 {
    let top = max(scores);
    for score in scores.iter_mut() {
        *score = exp(*score - top);
    }
    let total = sum(scores);
    let inverse = 1.0 / total;
    for score in scores.iter_mut() {
        *score *= inverse;
    }
    top + total.ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_within_three_ulp_and_flushes_tiny_values() {
        for i in -870_000..880_000 {
            let x = i as f32 / 10_000.0;
            let exact = f64::from(x).exp();
            let error = (f64::from(exp(x)) - exact).abs() / exact;
            assert!(error < 2e-7, "exp({x}): relative error {error}");
        }
        assert_eq!(exp(-87.5), 0.0);
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
        assert!(exp(f32::NAN).is_nan());
    }

    #[test]
    fn reductions_agree_with_f64_on_every_length() {
        let values: Vec<f32> = (0..100)
            .map(|i| ((i * 37) % 101) as f32 / 50.0 - 1.0)
            .collect();
        for n in 0..100 {
            let a = &values[..n];
            let exact: f64 = a.iter().map(|&x| f64::from(x)).sum();
            let squares: f64 = a.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
            assert!((f64::from(sum(a)) - exact).abs() < 1e-5);
            assert!((f64::from(dot(a, a)) - squares).abs() < 1e-5);
            assert_eq!(max(a), a.iter().copied().fold(f32::NEG_INFINITY, f32::max));
            // The version for wide instructions is the same arithmetic: the same bits.
            assert_eq!(wide_dot(a, a), dot(a, a));
        }
    }

    #[multiversion::multiversion(targets = "simd")]
    fn wide_dot(a: &[f32], b: &[f32]) -> f32 {
        dot(a, b)
    }

    #[test]
    fn weighted_sums_of_any_width_agree_with_f64() {
        let values: Vec<f32> = (0..2000)
            .map(|i| ((i * 37) % 101) as f32 / 50.0 - 1.0)
            .collect();
        for width in [1, 16, 63, 64, 65, 130] {
            let (weights, rows) = (&values[..50], &values[100..]);
            let mut out = vec![f32::NAN; width];
            weighted_sum(5, (weights, 7), (rows, 140), &mut out);
            for (lane, &found) in out.iter().enumerate() {
                let term = |j: usize| f64::from(weights[j * 7]) * f64::from(rows[j * 140 + lane]);
                let exact: f64 = (0..5).map(term).sum();
                assert!((f64::from(found) - exact).abs() < 1e-5);
            }
            let once = out.clone();
            add_weighted_sum(5, (weights, 7), (rows, 140), &mut out);
            let twice = |(twice, once): (&f32, &f32)| (twice - 2.0 * once).abs() < 1e-5;
            assert!(out.iter().zip(&once).all(twice));
        }
    }

    #[test]
    fn dots_of_any_size_agree_with_f64() {
        let values: Vec<f32> = (0..9000)
            .map(|i| ((i * 37) % 101) as f32 / 50.0 - 1.0)
            .collect();
        let (rows, others, stride) = (&values[..4000], &values[4001..], 70);
        for (n_rows, n, width) in [(1, 1, 1), (5, 4, 3), (6, 16, 64), (13, 17, 66), (8, 35, 8)] {
            let mut columns = vec![f32::NAN; width * padded(n)];
            transpose((others, stride), (n, width), &mut columns);
            let mut out = vec![f32::NAN; n_rows * n];
            dots((rows, stride), (n_rows, n, width), &columns, 0.5, &mut out);
            for (at, &found) in out.iter().enumerate() {
                let (row, other) = (&rows[at / n * stride..], &others[at % n * stride..]);
                let products = row.iter().zip(other).take(width);
                let exact: f64 = products.map(|(x, y)| f64::from(*x) * f64::from(*y)).sum();
                assert!((f64::from(found) - 0.5 * exact).abs() < 1e-5, "{at}");
            }
        }
    }

    #[test]
    fn softmax_of_equal_scores_is_uniform_and_survives_large_ones() {
        let mut scores = vec![1000.0; 20];
        let log_sum = softmax(&mut scores);
        assert!(scores.iter().all(|p| (p - 0.05).abs() < 1e-7));
        assert!((log_sum - (1000.0 + 20f32.ln())).abs() < 1e-3);
    }
}
