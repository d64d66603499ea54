//! bf16 products by `vdpbf16ps`: blocks of up to 6 rows and 64 columns of the output in 24 registers.
//!
//! Each step of a block loads one pair of the panel (4 registers) and multiplies it by one pair of every row,
//! broadcast from memory. Blocks go down a panel before the next one; on their way they ask for that one, a few cache
//! lines at a time, as panels come from the last cache or from memory and lie where no hardware looks ahead.

use std::arch::x86_64::*;

use super::Rows;
use super::layout::{PANEL, Pairs, Panels, Start, bf16};

/// Rows of a block: 24 of 32 registers hold sums.
const ROWS: usize = 6;
/// Pairs that a block multiplies between two looks ahead.
const STRIDE: usize = 8;

/// Numbers of a register.
const LANES: usize = 16;

/// Whether this CPU has the instructions.
pub fn is_available() -> bool {
    std::is_x86_feature_detected!("avx512f")
        && std::is_x86_feature_detected!("avx512bw")
        && std::is_x86_feature_detected!("avx512vl")
        && std::is_x86_feature_detected!("avx512bf16")
}

/// `c (rows × n) = a · b` on top of `start`.
pub fn multiply(a: &Rows<bf16>, b: &Panels, c: &mut [f32], start: Start) {
    assert!(is_available(), "chosen only where available");
    let (n, pairs) = (b.columns(), a.width().div_ceil(2));
    let stride = a.stride() / 2;
    assert!(a.values().len() == 2 * a.n_rows() * stride && c.len() == a.n_rows() * n);
    let n_blocks = a.n_rows().div_ceil(ROWS);
    for (number, first) in (0..n).step_by(PANEL).enumerate() {
        let panel = b.panel(number);
        let count = PANEL.min(n - first);
        let start = match start {
            Start::Bias(bias) => Start::Bias(&bias[first..first + count]),
            other => other,
        };
        for (index, rows) in even_blocks(a.n_rows(), ROWS).enumerate() {
            // Nobody has asked for the first panel: its first block does.
            let (ahead, lines) = match (number, index) {
                (0, 0) => (
                    panel[..].as_ptr().wrapping_add(4 * STRIDE * PANEL),
                    4 * STRIDE,
                ),
                _ => look_ahead(panel, pairs, index, n_blocks),
            };
            let segment = Segment {
                // Rows have an even stride, so a row is whole pairs.
                left: a.values()[2 * rows.start * stride..].as_ptr().cast(),
                right: panel.as_ptr(),
                pairs,
                ahead,
            };
            let output = Output {
                values: c[rows.start * n + first..].as_mut_ptr(),
                stride: n,
                columns: count,
            };
            let steps = Steps {
                along_row: stride,
                along_pair: 1,
                lines,
            };
            // SAFETY: the CPU has the instructions. Left: rows `rows` of `a` lie within its values, each of `stride`
            // pairs, of which `pairs` are read. Right: a panel holds `pairs` rows of 64. Output: rows `rows` and
            // columns `first..first + count` lie within c, and the masks keep to them.
            unsafe { block_of(rows.len(), &[segment], &steps, &output, start) };
        }
    }
}

/// Columns `first..` of all left parts against the right ones: `c (columns × n) += sum of aᵀ · b`.
pub fn add_outer(parts: &[(&Pairs, &Pairs)], first: usize, c: &mut [f32]) {
    assert!(is_available(), "chosen only where available");
    let Some((a, b)) = parts.first() else { return };
    let n = b.columns();
    let count = c.len() / n;
    assert!(c.len() == count * n && first + count <= a.columns());
    assert!(first.is_multiple_of(Pairs::LEFT));
    let blocks: Vec<_> = (0..count)
        .step_by(Pairs::LEFT)
        .flat_map(|start| {
            let rows = Pairs::LEFT.min(count - start);
            even_blocks(rows, ROWS).map(move |rows| start + rows.start..start + rows.end)
        })
        .collect();
    let mut segments = Vec::with_capacity(parts.len());
    for (number, column) in (0..n).step_by(PANEL).enumerate() {
        for (index, rows) in blocks.iter().enumerate() {
            segments.clear();
            let mut lines = 0;
            // A task may have no rows: nothing is wanted from it.
            for (a, b) in parts.iter().filter(|(a, _)| a.pairs() > 0) {
                assert!(a.columns() >= first + count && b.columns() == n && a.pairs() == b.pairs());
                let block = a.block((first + rows.start) / Pairs::LEFT);
                let panel = b.block(number);
                let ahead = look_ahead(panel, a.pairs(), index, blocks.len());
                lines = ahead.1;
                segments.push(Segment {
                    left: block[rows.start % Pairs::LEFT..].as_ptr(),
                    right: panel.as_ptr(),
                    pairs: a.pairs(),
                    ahead: ahead.0,
                });
            }
            let output = Output {
                values: c[rows.start * n + column..].as_mut_ptr(),
                stride: n,
                columns: PANEL.min(n - column),
            };
            let next = blocks.get(index + 1).map(|rows| (rows.clone(), column));
            let next = next.unwrap_or((blocks[0].clone(), column + PANEL));
            for row in next.0 {
                let at = c.as_ptr().wrapping_add(row * n + next.1);
                (0..PANEL)
                    .step_by(LANES)
                    .for_each(|lane| prefetch(at.wrapping_add(lane).cast()));
            }
            let steps = Steps {
                along_row: 1,
                along_pair: Pairs::LEFT,
                lines,
            };
            // SAFETY: as in `multiply`; left: a block holds `pairs` lines of 16 columns, and `rows` lie within 16.
            unsafe { block_of(rows.len(), &segments, &steps, &output, Start::Output) };
        }
    }
}

/// Where the block `index` of `n_blocks` down a panel looks ahead in the next panel, and how many cache lines it asks for
/// each [`STRIDE`] pairs: together they ask for all of it.
fn look_ahead(panel: &[u32], pairs: usize, index: usize, n_blocks: usize) -> (*const u32, usize) {
    let lines = (STRIDE * PANEL / LANES).div_ceil(n_blocks);
    let first = index * lines * (pairs / STRIDE) * LANES;
    (panel.as_ptr_range().end.wrapping_add(first), lines)
}

/// Asks for a cache line, in the second cache. Any address will do.
#[inline(always)]
fn prefetch(at: *const u8) {
    // SAFETY: every x86-64 has the instruction, and it never faults.
    unsafe { _mm_prefetch::<_MM_HINT_T1>(at.cast()) }
}

/// `0..n` in the fewest ranges of at most `size`, of sizes that differ by at most one.
fn even_blocks(n: usize, size: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    let blocks = n.div_ceil(size);
    (0..blocks).map(move |i| i * n / blocks..(i + 1) * n / blocks)
}

/// A part of the inner dimension: where both operands of a block lie, and how many pairs there are.
struct Segment {
    left: *const u32,
    right: *const u32,
    pairs: usize,
    /// What to ask for on the way. Never read.
    ahead: *const u32,
}

/// How a block steps through its segments.
struct Steps {
    /// From row to row of the left operand, in pairs.
    along_row: usize,
    /// From pair to pair of the left operand.
    along_pair: usize,
    /// Cache lines to ask for each [`STRIDE`] pairs.
    lines: usize,
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
    segments: &[Segment],
    steps: &Steps,
    output: &Output,
    start: Start,
) {
    // SAFETY: passed on to the caller.
    unsafe {
        match rows {
            1 => block::<1>(segments, steps, output, start),
            2 => block::<2>(segments, steps, output, start),
            3 => block::<3>(segments, steps, output, start),
            4 => block::<4>(segments, steps, output, start),
            5 => block::<5>(segments, steps, output, start),
            _ => block::<ROWS>(segments, steps, output, start),
        }
    }
}

/// One block of the output: `N` rows, up to 64 columns. Pair p of row r of a left operand lies `r *
/// along_row + p * along_pair` from its beginning.
///
/// # Safety
/// The CPU has AVX-512 BF16. In each segment `left` has `pairs` readable pairs in each of `N` rows, and `right` points to
/// (`pairs` × 64) values; `output` points to `N` rows of `columns` <= 64 values that nobody else uses.
#[target_feature(enable = "avx512f,avx512bf16")]
unsafe fn block<const N: usize>(
    segments: &[Segment],
    steps: &Steps,
    output: &Output,
    start: Start,
) {
    let masks: [__mmask16; 4] =
        std::array::from_fn(|part| lanes(output.columns.saturating_sub(LANES * part)));
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
        for segment in segments {
            let (mut left, mut right) = (segment.left, segment.right);
            let (mut ahead, mut rest) = (segment.ahead, segment.pairs);
            while rest > 0 {
                for _ in 0..steps.lines {
                    prefetch(ahead.cast());
                    ahead = ahead.wrapping_add(LANES);
                }
                for _ in 0..rest.min(STRIDE) {
                    let panel: [__m512bh; 4] = std::array::from_fn(|part| {
                        std::mem::transmute(_mm512_loadu_si512(right.add(LANES * part).cast()))
                    });
                    for (row, sums) in sums.iter_mut().enumerate() {
                        let value = left.wrapping_add(row * steps.along_row).read_unaligned();
                        let value: __m512bh = std::mem::transmute(_mm512_set1_epi32(value as i32));
                        for (sum, &right) in sums.iter_mut().zip(&panel) {
                            *sum = _mm512_dpbf16_ps(*sum, value, right);
                        }
                    }
                    left = left.wrapping_add(steps.along_pair);
                    right = right.wrapping_add(PANEL);
                }
                rest = rest.saturating_sub(STRIDE);
            }
        }
        for (row, sums) in sums.iter().enumerate() {
            for (part, &sum) in sums.iter().enumerate() {
                let at = output.values.wrapping_add(row * output.stride + 16 * part);
                _mm512_mask_storeu_ps(at, masks[part], sum);
            }
        }
    }
}

/// Rounds to nearest, ties to even; denormal numbers become zeros.
pub fn round(x: &[f32], out: &mut [bf16]) {
    assert!(is_available() && x.len() == out.len());
    // SAFETY: the CPU has the instructions.
    unsafe { round_with(x, out) }
}

#[target_feature(enable = "avx512f,avx512bf16,avx512bw,avx512vl")]
fn round_with(x: &[f32], out: &mut [bf16]) {
    for (x, out) in x.chunks(32).zip(out.chunks_mut(32)) {
        let pairs = round_32(x);
        let mask = !0u32 >> (32 - x.len());
        // SAFETY: the mask keeps to the values of `out`, which is as long as x.
        unsafe { _mm512_mask_storeu_epi16(out.as_mut_ptr().cast(), mask, pairs) };
    }
}

/// Up to 32 neighbours as bf16, zeros beyond them.
#[target_feature(enable = "avx512f,avx512bf16,avx512bw")]
#[inline]
fn round_32(x: &[f32]) -> __m512i {
    let (low, high) = (lanes(x.len()), lanes(x.len().saturating_sub(LANES)));
    // SAFETY: the masks keep to the values of x; a load without a lane touches nothing.
    unsafe {
        let low = _mm512_maskz_loadu_ps(low, x.as_ptr());
        let high = _mm512_maskz_loadu_ps(high, x.as_ptr().wrapping_add(16));
        std::mem::transmute(_mm512_cvtne2ps_pbh(high, low))
    }
}

/// The columns of W (k × n) into one panel, at the start of a cache line. Beyond the last row and the last column the panel
/// is filled with zeros. `past_caches`: nobody reads it soon.
pub fn pack(
    weight: &[f32],
    n: usize,
    columns: std::ops::Range<usize>,
    panel: &mut [u32],
    past_caches: bool,
) {
    assert!(is_available() && columns.end <= n && columns.len() <= PANEL);
    let lines = Lines::new(panel, past_caches);
    // SAFETY: the CPU has the instructions.
    unsafe { pack_with(weight, n, columns, lines) }
}

#[target_feature(enable = "avx512f,avx512bf16,avx512bw,avx512vl")]
fn pack_with(weight: &[f32], n: usize, columns: std::ops::Range<usize>, mut panel: Lines) {
    for pair in 0..panel.pairs() {
        let row = |number: usize| {
            let row = weight.get(number * n..(number + 1) * n);
            row.map_or(&[][..], |row| &row[columns.clone()])
        };
        let (low, high) = (row(2 * pair), row(2 * pair + 1));
        for part in 0..PANEL / LANES {
            let rounded = |row: &[f32]| {
                let row = row.get(LANES * part..).unwrap_or_default();
                let mask = lanes(row.len());
                // SAFETY: the mask keeps to the values of `row`.
                let values = unsafe { _mm512_maskz_loadu_ps(mask, row.as_ptr()) };
                // SAFETY: the two types are sixteen 16-bit lanes.
                unsafe { std::mem::transmute::<__m256bh, __m256i>(_mm512_cvtneps_pbh(values)) }
            };
            panel.set(pair, part, pairs_of(rounded(low), rounded(high)));
        }
    }
}

/// Neighbouring rows of x (rows × stride), of which `columns` count: pair p of column c goes to `out[c / width * block +
/// p * width + c % width]`, where `width` is a multiple of 16. A missing last row, and columns up to a multiple of 16,
/// are zeros.
pub fn interleave(
    x: (&[bf16], usize),
    columns: usize,
    (width, block): (usize, usize),
    out: &mut [u32],
) {
    assert!(is_available() && columns <= x.1 && width.is_multiple_of(LANES));
    // SAFETY: the CPU has the instructions.
    unsafe { interleave_with(x, columns, (width, block), out) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn interleave_with(
    (values, stride): (&[bf16], usize),
    columns: usize,
    (width, block): (usize, usize),
    out: &mut [u32],
) {
    for (pair, rows) in values.chunks(2 * stride.max(1)).enumerate() {
        let (low, high) = rows.split_at(stride);
        for column in (0..columns).step_by(LANES) {
            let load = |row: &[bf16]| {
                let row = row.get(column..columns).unwrap_or_default();
                // SAFETY: the mask keeps to the values of `row`.
                unsafe { _mm256_maskz_loadu_epi16(lanes(row.len()), row.as_ptr().cast()) }
            };
            let at = column / width * block + pair * width + column % width;
            let out = &mut out[at..at + LANES];
            // SAFETY: `out` has sixteen values.
            unsafe {
                _mm512_storeu_si512(out.as_mut_ptr().cast(), pairs_of(load(low), load(high)))
            };
        }
    }
}

/// Sixteen pairs.
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn pairs_of(low: __m256i, high: __m256i) -> __m512i {
    let (low, high) = (_mm512_cvtepu16_epi32(low), _mm512_cvtepu16_epi32(high));
    _mm512_or_si512(low, _mm512_slli_epi32::<16>(high))
}

/// A panel that is being written, a cache line at a time.
struct Lines<'a> {
    panel: &'a mut [u32],
    past_caches: bool,
}

impl<'a> Lines<'a> {
    fn new(panel: &'a mut [u32], past_caches: bool) -> Self {
        assert!(panel.as_ptr().cast::<__m512i>().is_aligned());
        assert!(panel.len().is_multiple_of(PANEL));
        Self { panel, past_caches }
    }

    fn pairs(&self) -> usize {
        self.panel.len() / PANEL
    }

    /// Columns `16 * part..` of a pair.
    #[target_feature(enable = "avx512f")]
    #[inline]
    fn set(&mut self, pair: usize, part: usize, values: __m512i) {
        let out = &mut self.panel[pair * PANEL + part * LANES..][..LANES];
        let out = out.as_mut_ptr().cast();
        // SAFETY: `out` has sixteen values, at the start of a cache line: the panel is there, and has whole ones. Whoever
        // writes past the caches waits for it when dropped.
        unsafe {
            match self.past_caches {
                true => _mm512_stream_si512(out, values),
                false => _mm512_store_si512(out, values),
            }
        }
    }
}

impl Drop for Lines<'_> {
    fn drop(&mut self) {
        // What went past the caches is seen by other threads only after a fence.
        if self.past_caches {
            // SAFETY: every x86-64 has the instruction.
            unsafe { _mm_sfence() };
        }
    }
}

/// The first `n` of sixteen lanes.
#[inline(always)]
fn lanes(n: usize) -> __mmask16 {
    ((1u32 << n.min(LANES)) - 1) as __mmask16
}

/// W (columns × k) into one panel of Wᵀ, 16 columns and 16 pairs at a time. The rest as [`pack`].
pub fn pack_transposed(weight: &[f32], n_in: usize, panel: &mut [u32], past_caches: bool) {
    assert!(is_available() && panel.len().is_multiple_of(16 * PANEL));
    assert!(weight.len() <= PANEL * n_in && n_in <= panel.len() / PANEL * 2);
    let lines = Lines::new(panel, past_caches);
    // SAFETY: the CPU has the instructions.
    unsafe { pack_transposed_with(weight, n_in, lines) }
}

#[target_feature(enable = "avx512f,avx512bf16,avx512bw")]
fn pack_transposed_with(weight: &[f32], n_in: usize, mut panel: Lines) {
    // Along 16 rows of W to their ends: the hardware looks ahead in so many places, not in 64.
    for block in 0..PANEL / 16 {
        for number in 0..panel.pairs() / 16 {
            let first = 32 * number;
            let tile: [__m512i; 16] = std::array::from_fn(|column| {
                let row = (16 * block + column) * n_in;
                let row = weight.get(row..row + n_in).unwrap_or_default();
                let end = row.len().min(first + 32);
                round_32(row.get(first..end).unwrap_or_default())
            });
            let tile = transpose(tile);
            for (pair, values) in tile.into_iter().enumerate() {
                panel.set(16 * number + pair, block, values);
            }
        }
    }
}

/// Transposes 16 rows of 16 values: pairs of rows, of pairs, and so on (Eklundh 1972).
#[target_feature(enable = "avx512f")]
#[inline]
pub(super) fn transpose(rows: [__m512i; 16]) -> [__m512i; 16] {
    // Values 2i, 2i + 1 of two neighbouring rows side by side.
    let a: [__m512i; 16] = std::array::from_fn(|i| {
        let (x, y) = (rows[i / 2 * 2], rows[i / 2 * 2 + 1]);
        match i % 2 {
            0 => _mm512_unpacklo_epi32(x, y),
            _ => _mm512_unpackhi_epi32(x, y),
        }
    });
    // Then of four: in b[4g + c], lane group l holds values 4l + c of rows 4g to 4g + 3.
    let b: [__m512i; 16] = std::array::from_fn(|i| {
        let (group, c) = (i / 4 * 4, i % 4);
        let (x, y) = (a[group + c / 2], a[group + 2 + c / 2]);
        match c % 2 {
            0 => _mm512_unpacklo_epi64(x, y),
            _ => _mm512_unpackhi_epi64(x, y),
        }
    });
    // Lane groups of all sixteen rows: value 4l + c takes lane group l of b[c], b[4 + c], b[8 + c], b[12 + c].
    std::array::from_fn(|value| {
        let (l, c) = (value / 4, value % 4);
        let (x, y) = match l % 2 {
            0 => (
                _mm512_shuffle_i32x4::<0x88>(b[c], b[4 + c]),
                _mm512_shuffle_i32x4::<0x88>(b[8 + c], b[12 + c]),
            ),
            _ => (
                _mm512_shuffle_i32x4::<0xdd>(b[c], b[4 + c]),
                _mm512_shuffle_i32x4::<0xdd>(b[8 + c], b[12 + c]),
            ),
        };
        match l / 2 {
            0 => _mm512_shuffle_i32x4::<0x88>(x, y),
            _ => _mm512_shuffle_i32x4::<0xdd>(x, y),
        }
    })
}
