//! Matrix products of bf16 elements with f32 sums, on own kernels: `avx512` (`vdpbf16ps`) or
//! `amx` (tiles).
//!
//! Both kernels read one layout. Left operands lie as they are, row by row ([`Rows`]). Right operands are [`Panels`]:
//! 64 columns wide, two neighbours of the inner dimension together in 32 bits, as the instructions take them.
//! Weights become panels once after each optimiser step, for both directions ([`PackedWeight`]). For the weight
//! gradient the inner dimension is the tokens, so each task lays its rows out as [`Pairs`] while they are still in the
//! caches.
//!
//! Products of two bf16 are exact in f32. An element of the result is one f32 sum over pairs, in the order of the
//! inner dimension: it does not depend on threads, nor on which rows stand beside it.

use multiversion::multiversion;
use rayon::prelude::*;

#[cfg(not(target_arch = "x86_64"))]
use super::absent::{amx, avx512};
use super::{Element, Gemm, Rows, Store, WeightGradient};
#[cfg(target_arch = "x86_64")]
use super::{amx, avx512};
use crate::kernels::buffer::Buffer;
use crate::kernels::denormals;
use crate::kernels::linear::Linear;

pub use half::bf16;

/// Columns of a panel.
pub const PANEL: usize = 64;
/// Panels hold a multiple of so many pairs, the depth of an AMX tile; those beyond the end are zeros.
pub const TILE_PAIRS: usize = 16;

/// Bytes of a packed weight beyond which the weights of a whole model do not stay in the last cache until the next
/// step reads them.
const STAYS: usize = 1 << 20;

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

    /// All panels.
    pub fn values(&self) -> &[u32] {
        &self.values
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
        panels
            .enumerate()
            .with_max_len(1)
            .for_each(|(number, panel)| {
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
        let past_caches = weight.len() * size_of::<bf16>() > STAYS;
        self.forward.fill(|first, count, panel| {
            let rows = &weight[first * n_in..(first + count) * n_in];
            avx512::pack_transposed(rows, n_in, panel, past_caches);
        });
        self.backward.fill(|first, count, panel| {
            avx512::pack(weight, n_in, first..first + count, panel, past_caches);
        });
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
        avx512::round(x, out);
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

    /// Without asking the CPU: for tests that only look at layouts, or that bring an emulator.
    #[cfg(test)]
    pub fn unchecked(kernel: Kernel) -> Self {
        Self { kernel }
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
    type Left = Pairs;
    type Right = Pairs;

    /// Activations of a task stay in the second cache; weights are packed already.
    const GROUP: usize = 128;

    /// Whole AMX tiles: 32 elements.
    fn stride(width: usize) -> usize {
        width.next_multiple_of(2 * TILE_PAIRS)
    }

    fn forward(self, x: &Rows<bf16>, linear: &Linear, y: &mut [f32]) {
        self.multiply(x, &linear.packed.forward, y, Start::Bias(linear.bias));
    }

    fn input_gradient(self, dy: &Rows<bf16>, linear: &Linear, dx: &mut [f32], into: Store) {
        let start = match into {
            Store::Overwrite => Start::Zero,
            Store::Add => Start::Output,
        };
        self.multiply(dy, &linear.packed.backward, dx, start);
    }

    fn left(self, dy: Rows<bf16>) -> Pairs {
        match self.kernel {
            Kernel::Avx512 => Pairs::of(&dy, Pairs::LEFT),
            Kernel::Amx => Pairs::in_tiles(&dy),
        }
    }

    fn right(self, x: Rows<bf16>) -> Pairs {
        Pairs::of(&x, PANEL)
    }

    fn weight_gradients(self, inputs: &[Vec<&Pairs>], products: Vec<WeightGradient<Self>>) {
        let tasks: Vec<_> = products
            .into_iter()
            .flat_map(|product| {
                let x = &inputs[product.input];
                let parts: Vec<_> = product.dy.into_iter().zip(x.iter().copied()).collect();
                let n_in = x.first().map_or(1, |x| x.columns);
                let chunks = product.gradient.chunks_mut(PANEL * n_in).enumerate();
                chunks.map(move |(number, gradient)| (number * PANEL, gradient, parts.clone()))
            })
            .collect();
        tasks.into_par_iter().for_each(|(first, gradient, parts)| {
            let _flushed = denormals::flushed();
            match self.kernel {
                Kernel::Avx512 => avx512::add_outer(&parts, first, gradient),
                Kernel::Amx => amx::add_outer(&parts, first, gradient),
            }
        });
    }
}

/// Rows of a task as an operand whose inner dimension is the rows: neighbouring rows together, in blocks of columns.
#[derive(Debug)]
pub struct Pairs {
    /// Block by block, pair by pair: `width` times the elements of rows 2p (low half) and 2p + 1. Left operands of AMX:
    /// block by block, 16 pairs by 16 pairs, column by column.
    values: Buffer<u32>,
    /// Columns of a block.
    width: usize,
    /// Pairs with a row in them.
    pairs: usize,
    columns: usize,
}

impl Pairs {
    /// Columns of a block of the left operand: one cache line of pairs, one side of an AMX tile.
    pub const LEFT: usize = 16;

    fn of(rows: &Rows<bf16>, width: usize) -> Self {
        let (pairs, columns) = (rows.n_rows().div_ceil(2), rows.width());
        let padded = pairs.next_multiple_of(TILE_PAIRS);
        let block = padded * width;
        let mut values = Buffer::new(columns.div_ceil(width) * block);
        let from = (rows.values(), rows.stride());
        avx512::interleave(from, columns, (width, block), &mut values);
        for block in values.chunks_exact_mut(block.max(1)) {
            block[pairs * width..].fill(0);
        }
        Self {
            values,
            width,
            pairs,
            columns,
        }
    }

    /// As left operand of AMX.
    fn in_tiles(rows: &Rows<bf16>) -> Self {
        let (pairs, columns) = (rows.n_rows().div_ceil(2), rows.width());
        let block = pairs.next_multiple_of(TILE_PAIRS) * Self::LEFT;
        let mut values = Buffer::new(columns.div_ceil(Self::LEFT) * block);
        amx::transpose(rows, &mut values);
        Self {
            values,
            width: Self::LEFT,
            pairs,
            columns,
        }
    }

    /// Pairs with a row in them.
    pub fn pairs(&self) -> usize {
        self.pairs
    }

    /// All blocks.
    pub fn values(&self) -> &[u32] {
        &self.values
    }

    /// Columns of all blocks.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// One block, (pairs up to a multiple of [`TILE_PAIRS`] × width); beyond the pairs are zeros. Beyond the columns
    /// is anything up to the block's end: it meets only outputs that nobody stores.
    pub fn block(&self, number: usize) -> &[u32] {
        let size = self.pairs.next_multiple_of(TILE_PAIRS) * self.width;
        &self.values[number * size..(number + 1) * size]
    }
}
