//! Matrix products of bf16 elements with f32 sums, on own kernels: `avx512` (`vdpbf16ps`) or
//! `amx` (tiles).
//!
//! Both kernels read one layout. Left operands lie as they are, row by row ([`Rows`]). Right operands are [`Panels`]:
//! 64 columns wide, two neighbours of the inner dimension together in 32 bits, as the instructions take them.
//! Weights become panels once after each optimiser step, for both directions ([`PackedWeight`]). For the weight
//! gradient the inner dimension is the tokens, so both operands are interleaved from the rows that forward and
//! backward have left.
//!
//! Products of two bf16 are exact in f32. An element of the result is one f32 sum over pairs, in the order of the
//! inner dimension: it does not depend on threads, nor on which rows stand beside it.

use multiversion::multiversion;
use rayon::prelude::*;

#[cfg(not(target_arch = "x86_64"))]
use super::absent::{amx, avx512};
use super::{Element, Gemm, Into, Rows, WeightGradient};
#[cfg(target_arch = "x86_64")]
use super::{amx, avx512};
use crate::kernels::buffer::Buffer;
use crate::kernels::linear::Linear;

pub use half::bf16;

/// Columns of a panel.
pub const PANEL: usize = 64;
/// Panels hold a multiple of so many pairs, the depth of an AMX tile; those beyond the end are zeros.
pub const TILE_PAIRS: usize = 16;

/// The instructions that multiply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kernel {
    /// `vdpbf16ps` on 512-bit registers.
    Avx512,
    /// `tdpbf16ps` on tiles.
    Amx,
}

/// What the output begins with.
#[derive(Debug, Clone, Copy)]
pub enum Start<'a> {
    /// Zeros.
    Zero,
    /// The same row everywhere, (n).
    Bias(&'a [f32]),
    /// What is there.
    Output,
}

/// A right operand (k × n).
#[derive(Debug, Default)]
pub struct Panels {
    /// Panel by panel, pair by pair: `PANEL` times the elements 2p (low half) and 2p + 1 of a column.
    values: Buffer<u32>,
    /// Pairs a panel, zeros included.
    pairs: usize,
    columns: usize,
}

impl Panels {
    /// Room for (k × n) in `pairs` pairs, unwritten.
    fn new(pairs: usize, columns: usize) -> Self {
        let pairs = pairs.next_multiple_of(TILE_PAIRS);
        Self {
            values: Buffer::new(columns.div_ceil(PANEL) * pairs * PANEL),
            pairs,
            columns,
        }
    }

    /// Pairs a panel, a multiple of [`TILE_PAIRS`].
    pub fn pairs(&self) -> usize {
        self.pairs
    }

    /// n.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// One panel, (pairs × [`PANEL`]).
    pub fn panel(&self, number: usize) -> &[u32] {
        let size = self.pairs * PANEL;
        &self.values[number * size..(number + 1) * size]
    }

    /// Fills all panels in parallel: `work(first column, number of columns, panel)`.
    fn fill(&mut self, work: impl Fn(usize, usize, &mut [u32]) + Sync) {
        let columns = self.columns;
        let panels = self.values.par_chunks_mut((self.pairs * PANEL).max(1));
        panels.enumerate().for_each(|(number, panel)| {
            let first = number * PANEL;
            work(first, PANEL.min(columns - first), panel);
        });
    }
}

/// The weight of an affine map as right operand of both directions. Empty on paths that do without.
#[derive(Debug, Default)]
pub struct PackedWeight {
    /// Wᵀ, (in × out): `y = x Wᵀ`.
    forward: Panels,
    /// W, (out × in): `dx = dy W`.
    backward: Panels,
}

impl PackedWeight {
    /// Packs W (`n_out` × `n_in`), reusing the memory.
    pub fn pack(&mut self, weight: &[f32], n_out: usize, n_in: usize) {
        if self.forward.columns != n_out || self.backward.columns != n_in {
            self.forward = Panels::new(n_in.div_ceil(2), n_out);
            self.backward = Panels::new(n_out.div_ceil(2), n_in);
        }
        self.forward.fill(|first, count, panel| {
            panel.fill(0);
            pack_transposed(&weight[first * n_in..(first + count) * n_in], n_in, panel);
        });
        let columns = |number: usize, first: usize, count: usize| {
            let row = weight.get(number * n_in..(number + 1) * n_in);
            row.map(|row| &row[first..first + count])
        };
        self.backward.fill(|first, count, panel| {
            for (pair, out) in panel.chunks_exact_mut(PANEL).enumerate() {
                let low = columns(2 * pair, first, count).unwrap_or_default();
                let high = columns(2 * pair + 1, first, count).unwrap_or_default();
                round_pair(low, high, out);
            }
        });
    }
}

/// Rounds to nearest, ties to even; not a number stays so.
#[inline(always)]
fn round(x: f32) -> u32 {
    let bits = x.to_bits();
    let rounded = bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16;
    if x.is_nan() {
        bits >> 16 | 0x40
    } else {
        rounded
    }
}

/// W (columns × k) row by row into one panel of Wᵀ, which holds zeros.
#[multiversion(targets = "simd")]
fn pack_transposed(weight: &[f32], n_in: usize, panel: &mut [u32]) {
    // Sixteen pairs at a time, so that the panel's lines stay in the first cache.
    for first in (0..n_in).step_by(32) {
        for (column, row) in weight.chunks_exact(n_in).enumerate() {
            let row = &row[first..n_in.min(first + 32)];
            let out = panel[first / 2 * PANEL + column..]
                .iter_mut()
                .step_by(PANEL);
            for (out, pair) in out.zip(row.chunks(2)) {
                let high = pair.get(1).map_or(0, |&high| round(high));
                *out = round(pair[0]) | high << 16;
            }
        }
    }
}

/// Interleaves two rows of f32 into one row of pairs. A missing or short row counts as zeros.
#[multiversion(targets = "simd")]
fn round_pair(low: &[f32], high: &[f32], out: &mut [u32]) {
    for (out, low) in out.iter_mut().zip(low) {
        *out = round(*low);
    }
    for (out, high) in out.iter_mut().zip(high) {
        *out |= round(*high) << 16;
    }
    out[low.len()..].fill(0);
}

/// Interleaves two rows of elements into one row of pairs. A missing or short row counts as zeros.
#[multiversion(targets = "simd")]
fn interleave(low: &[bf16], high: &[bf16], out: &mut [u32]) {
    for (out, low) in out.iter_mut().zip(low) {
        *out = u32::from(low.to_bits());
    }
    for (out, high) in out.iter_mut().zip(high) {
        *out |= u32::from(high.to_bits()) << 16;
    }
    out[low.len()..].fill(0);
}

#[multiversion(targets = "simd")]
fn round_all(x: &[f32], out: &mut [bf16]) {
    for (out, &x) in out.iter_mut().zip(x) {
        *out = bf16::from_bits(round(x) as u16);
    }
}

#[multiversion(targets = "simd")]
fn widen_all(x: &[bf16], out: &mut [f32]) {
    for (out, x) in out.iter_mut().zip(x) {
        *out = f32::from_bits(u32::from(x.to_bits()) << 16);
    }
}

impl Element for bf16 {
    fn round(x: &[f32], out: &mut [bf16]) {
        round_all(x, out);
    }

    fn widen(x: &[bf16], out: &mut [f32]) {
        widen_all(x, out);
    }
}

/// bf16 elements, f32 sums.
#[derive(Debug, Clone, Copy)]
pub struct Bf16 {
    /// Only one that this CPU has.
    kernel: Kernel,
}

impl Bf16 {
    /// `None` where the CPU has not the instructions.
    pub fn new(kernel: Kernel) -> Option<Self> {
        let there = match kernel {
            Kernel::Avx512 => avx512::is_available(),
            Kernel::Amx => amx::is_available(),
        };
        there.then_some(Self { kernel })
    }

    /// Name of the path.
    pub fn name(self) -> &'static str {
        match self.kernel {
            Kernel::Avx512 => "bf16 avx512",
            Kernel::Amx => "bf16 amx",
        }
    }

    /// `c (rows × n) = a · b`, on top of `start`.
    fn multiply(self, a: &Rows<bf16>, b: &Panels, c: &mut [f32], start: Start) {
        assert_eq!(c.len(), a.n_rows() * b.columns(), "the size of the output");
        assert!(
            a.width().div_ceil(2) <= b.pairs(),
            "the panels hold all pairs"
        );
        match self.kernel {
            Kernel::Avx512 => avx512::multiply(a, b, c, start),
            Kernel::Amx => amx::multiply(a, b, c, start),
        }
    }
}

impl Gemm for Bf16 {
    type Element = bf16;

    /// Activations of a task stay in the second cache; weights are packed already.
    const GROUP: usize = 80;

    /// Whole AMX tiles: 32 elements.
    fn stride(width: usize) -> usize {
        width.next_multiple_of(2 * TILE_PAIRS)
    }

    fn forward(self, x: &Rows<bf16>, linear: &Linear, y: &mut [f32]) {
        self.multiply(x, &linear.packed.forward, y, Start::Bias(linear.bias));
    }

    fn input_gradient(self, dy: &Rows<bf16>, linear: &Linear, dx: &mut [f32], into: Into) {
        let start = match into {
            Into::Overwrite => Start::Zero,
            Into::Add => Start::Output,
        };
        self.multiply(dy, &linear.packed.backward, dx, start);
    }

    fn weight_gradients(self, inputs: &[Vec<&Rows<bf16>>], products: Vec<WeightGradient<bf16>>) {
        let inputs: Vec<Panels> = inputs.iter().map(|parts| tokens_as_pairs(parts)).collect();
        let tasks: Vec<_> = products
            .into_iter()
            .flat_map(|weight| {
                let (x, dy) = (&inputs[weight.input], weight.dy);
                let chunks = weight.gradient.chunks_mut(PANEL * x.columns());
                let tasks = chunks.enumerate();
                tasks.map(move |(number, gradient)| (number * PANEL, gradient, x, dy.clone()))
            })
            .collect();
        tasks.into_par_iter().for_each(|(first, gradient, x, dy)| {
            let count = gradient.len() / x.columns();
            let columns = Columns::of(&dy, (first, count), x.pairs());
            match self.kernel {
                Kernel::Avx512 => avx512::add_outer(&columns, x, gradient),
                Kernel::Amx => amx::add_outer(&columns, x, gradient),
            }
        });
    }
}

/// Pairs of all parts, each part beginning a new pair.
fn count_pairs(parts: &[&Rows<bf16>]) -> usize {
    parts.iter().map(|rows| rows.n_rows().div_ceil(2)).sum()
}

/// All pairs of rows, part after part: the two rows, of which the second may be missing.
fn row_pairs<'a>(
    parts: &'a [&Rows<bf16>],
    first: usize,
    count: usize,
) -> impl Iterator<Item = (&'a [bf16], &'a [bf16])> {
    parts.iter().flat_map(move |rows| {
        let columns = move |row: usize| &rows.row(row)[first..first + count];
        (0..rows.n_rows()).step_by(2).map(move |row| {
            let high = (row + 1 < rows.n_rows()).then(|| columns(row + 1));
            (columns(row), high.unwrap_or_default())
        })
    })
}

/// x (tokens × n) as right operand whose inner dimension is the tokens.
fn tokens_as_pairs(parts: &[&Rows<bf16>]) -> Panels {
    let columns = parts.first().map_or(0, |rows| rows.width());
    let mut panels = Panels::new(count_pairs(parts), columns);
    panels.fill(|first, count, panel| {
        let mut pairs = row_pairs(parts, first, count);
        for out in panel.chunks_exact_mut(PANEL) {
            let (low, high) = pairs.next().unwrap_or_default();
            interleave(low, high, out);
        }
    });
    panels
}

/// Up to [`PANEL`] columns of dy (tokens × n) as left operand whose inner dimension is the tokens: blocks of
/// [`Columns::WIDTH`] columns, pair by pair.
pub struct Columns {
    values: Buffer<u32>,
    pairs: usize,
    count: usize,
}

impl Columns {
    /// Columns of a block: one cache line of pairs, one side of an AMX tile.
    pub const WIDTH: usize = 16;

    /// Columns `first..first + count` of all parts, filled up to `pairs` pairs.
    fn of(parts: &[&Rows<bf16>], (first, count): (usize, usize), pairs: usize) -> Self {
        let n_blocks = count.div_ceil(Self::WIDTH);
        let mut values = Buffer::new(n_blocks * pairs * Self::WIDTH);
        let mut rows = row_pairs(parts, first, count);
        for pair in 0..pairs {
            let (low, high) = rows.next().unwrap_or_default();
            for block in 0..n_blocks {
                let from = block * Self::WIDTH;
                let part =
                    |row: &'_ [bf16]| from.min(row.len())..(from + Self::WIDTH).min(row.len());
                let out = (block * pairs + pair) * Self::WIDTH;
                interleave(
                    &low[part(low)],
                    &high[part(high)],
                    &mut values[out..out + Self::WIDTH],
                );
            }
        }
        Self {
            values,
            pairs,
            count,
        }
    }

    /// Pairs a block.
    pub fn pairs(&self) -> usize {
        self.pairs
    }

    /// Columns in all.
    pub fn count(&self) -> usize {
        self.count
    }

    /// One block, (pairs × [`Columns::WIDTH`]).
    pub fn block(&self, number: usize) -> &[u32] {
        let size = self.pairs * Self::WIDTH;
        &self.values[number * size..(number + 1) * size]
    }
}
