//! bf16 products by `vdpbf16ps`: blocks of up to 6 rows and 64 columns of the output in 24 registers.
//!
//! Each step of a block loads one pair of the panel (4 registers) and multiplies it by one pair of every row,
//! broadcast from memory. On Zen 4 this reaches nine tenths of what the multipliers can do.

use std::arch::x86_64::*;

use super::Rows;
use super::bf16::{Columns, PANEL, Panels, Start, bf16};

/// Rows of a block: 24 of 32 registers hold sums.
const ROWS: usize = 6;
/// Rows of a block of the outer product: divides [`Columns::WIDTH`].
const OUTER_ROWS: usize = 4;

/// Whether this CPU has the instructions.
pub fn is_available() -> bool {
    std::is_x86_feature_detected!("avx512f") && std::is_x86_feature_detected!("avx512bf16")
}

/// `c (rows × n) = a · b` on top of `start`.
pub fn multiply(a: &Rows<bf16>, b: &Panels, c: &mut [f32], start: Start) {
    assert!(is_available(), "chosen only where available");
    let (n, pairs) = (b.columns(), a.width().div_ceil(2));
    let stride = a.stride() / 2;
    assert!(a.values().len() == 2 * a.n_rows() * stride && c.len() == a.n_rows() * n);
    for (number, first) in (0..n).step_by(PANEL).enumerate() {
        let panel = b.panel(number);
        let count = PANEL.min(n - first);
        let start = match start {
            Start::Bias(bias) => Start::Bias(&bias[first..first + count]),
            other => other,
        };
        for rows in even_blocks(a.n_rows(), ROWS) {
            let left = Left {
                // Rows have an even stride, so a row is whole pairs.
                pairs: a.values()[2 * rows.start * stride..].as_ptr().cast(),
                along_row: stride,
                along_pair: 1,
            };
            let output = Output {
                values: c[rows.start * n + first..].as_mut_ptr(),
                stride: n,
                columns: count,
            };
            // SAFETY: the CPU has the instructions. Left: rows `rows` of `a` lie within its values, each of `stride`
            // pairs, of which `pairs` are read. Right: a panel holds `pairs` rows of 64. Output: rows `rows` and
            // columns `first..first + count` lie within c, and the masks keep to them.
            unsafe { block_of(rows.len(), &left, panel.as_ptr(), pairs, &output, start) };
        }
    }
}

/// `c (columns × n) += aᵀ · b`.
pub fn add_outer(a: &Columns, b: &Panels, c: &mut [f32]) {
    assert!(is_available(), "chosen only where available");
    let n = b.columns();
    assert!(a.pairs() == b.pairs() && c.len() == a.count() * n);
    for (number, first) in (0..n).step_by(PANEL).enumerate() {
        let panel = b.panel(number);
        for row in (0..a.count()).step_by(OUTER_ROWS) {
            let block = a.block(row / Columns::WIDTH);
            let left = Left {
                pairs: block[row % Columns::WIDTH..].as_ptr(),
                along_row: 1,
                along_pair: Columns::WIDTH,
            };
            let output = Output {
                values: c[row * n + first..].as_mut_ptr(),
                stride: n,
                columns: PANEL.min(n - first),
            };
            let rows = OUTER_ROWS.min(a.count() - row);
            // SAFETY: as in `multiply`; left: a block holds `pairs` lines of 16 columns, and `row % 16 + rows` is at
            // most 16, as 4 divides 16.
            unsafe {
                block_of(
                    rows,
                    &left,
                    panel.as_ptr(),
                    b.pairs(),
                    &output,
                    Start::Output,
                )
            };
        }
    }
}

/// `0..n` in the fewest ranges of at most `size`, of sizes that differ by at most one.
fn even_blocks(n: usize, size: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    let blocks = n.div_ceil(size);
    (0..blocks).map(move |i| i * n / blocks..(i + 1) * n / blocks)
}

/// Where the left operand of a block lies: pair p of row r at `r * along_row + p * along_pair`.
struct Left {
    pairs: *const u32,
    along_row: usize,
    along_pair: usize,
}

/// Where the output of a block lies.
struct Output {
    values: *mut f32,
    stride: usize,
    columns: usize,
}

/// [`block`] with its number of rows, 1 to [`ROWS`], known to the compiler.
///
/// # Safety
/// As [`block`].
#[target_feature(enable = "avx512f,avx512bf16")]
unsafe fn block_of(
    rows: usize,
    left: &Left,
    right: *const u32,
    pairs: usize,
    output: &Output,
    start: Start,
) {
    // SAFETY: passed on to the caller.
    unsafe {
        match rows {
            1 => block::<1>(left, right, pairs, output, start),
            2 => block::<2>(left, right, pairs, output, start),
            3 => block::<3>(left, right, pairs, output, start),
            4 => block::<4>(left, right, pairs, output, start),
            5 => block::<5>(left, right, pairs, output, start),
            _ => block::<ROWS>(left, right, pairs, output, start),
        }
    }
}

/// One block of the output: `N` rows, up to 64 columns.
///
/// # Safety
/// The CPU has AVX-512 BF16. `left` has `pairs` readable pairs in each of `N` rows, `right` points to
/// (`pairs` × 64) values, `output` to `N` rows of `columns` <= 64 values that nobody else uses.
#[target_feature(enable = "avx512f,avx512bf16")]
unsafe fn block<const N: usize>(
    left: &Left,
    right: *const u32,
    pairs: usize,
    output: &Output,
    start: Start,
) {
    let masks: [__mmask16; 4] = std::array::from_fn(|part| {
        let columns = output.columns.saturating_sub(16 * part).min(16);
        ((1u32 << columns) - 1) as __mmask16
    });
    let mut sums = [[_mm512_setzero_ps(); 4]; N];
    // SAFETY: see the function's contract; masked lanes are not touched, and offsets without a lane are not
    // dereferenced.
    unsafe {
        match start {
            Start::Zero => {}
            Start::Bias(bias) => {
                let bias: [__m512; 4] = std::array::from_fn(|part| {
                    _mm512_maskz_loadu_ps(masks[part], bias.as_ptr().wrapping_add(16 * part))
                });
                sums = [bias; N];
            }
            Start::Output => {
                for (row, sums) in sums.iter_mut().enumerate() {
                    for (part, sum) in sums.iter_mut().enumerate() {
                        let at = output.values.wrapping_add(row * output.stride + 16 * part);
                        *sum = _mm512_maskz_loadu_ps(masks[part], at);
                    }
                }
            }
        }
        let (mut left_pair, mut right_pair) = (left.pairs, right);
        for _ in 0..pairs {
            let right: [__m512bh; 4] = std::array::from_fn(|part| {
                std::mem::transmute(_mm512_loadu_si512(right_pair.add(16 * part).cast()))
            });
            for (row, sums) in sums.iter_mut().enumerate() {
                let value = left_pair.add(row * left.along_row).read_unaligned();
                let value: __m512bh = std::mem::transmute(_mm512_set1_epi32(value as i32));
                for (sum, &right) in sums.iter_mut().zip(&right) {
                    *sum = _mm512_dpbf16_ps(*sum, value, right);
                }
            }
            left_pair = left_pair.wrapping_add(left.along_pair);
            right_pair = right_pair.add(PANEL);
        }
        for (row, sums) in sums.iter().enumerate() {
            for (part, &sum) in sums.iter().enumerate() {
                let at = output.values.wrapping_add(row * output.stride + 16 * part);
                _mm512_mask_storeu_ps(at, masks[part], sum);
            }
        }
    }
}
