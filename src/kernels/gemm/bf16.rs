//! Matrix products of bf16 elements with f32 sums, on own kernels: `avx512` (`vdpbf16ps`) or
//! `amx` (tiles).
//!
//! Both kernels read one [layout](super::layout). Weights become panels once after each optimiser step, for both directions. For the
//! weight gradient the inner dimension is the tokens, so each task lays its rows out as [`Pairs`] while they are still in the caches.
//!
//! Products of two bf16 are exact in f32. An element of the result is one f32 sum over pairs, in the order of the
//! inner dimension: it does not depend on threads, nor on which rows stand beside it.

use multiversion::multiversion;
use rayon::prelude::*;

#[cfg(not(target_arch = "x86_64"))]
use super::absent::{amx, avx512};
use super::layout::{PANEL, Pairs, Panels, Start, TILE_PAIRS, bf16};
use super::weight::{Linear, PackedWeight};
use super::{Element, Gemm, Rows, Store, WeightGradient};
#[cfg(target_arch = "x86_64")]
use super::{amx, avx512};
use crate::kernels::buffer::Buffer;
use crate::kernels::denormals;

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

impl PackedWeight {
    /// Packs W (`n_out` × `n_in`), reusing the memory.
    pub fn pack(&mut self, weight: &[f32], n_out: usize, n_in: usize) {
        if self.forward.columns() != n_out || self.backward.columns() != n_in {
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
            Kernel::Avx512 => in_pairs(&dy, Pairs::LEFT),
            Kernel::Amx => in_tiles(&dy),
        }
    }

    fn right(self, x: Rows<bf16>) -> Pairs {
        in_pairs(&x, PANEL)
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

/// The rows in pairs, in blocks of `width` columns.
fn in_pairs(rows: &Rows<bf16>, width: usize) -> Pairs {
    let (pairs, columns) = (rows.n_rows().div_ceil(2), rows.width());
    let padded = pairs.next_multiple_of(TILE_PAIRS);
    let block = padded * width;
    let mut values = Buffer::new(columns.div_ceil(width) * block);
    let from = (rows.values(), rows.stride());
    avx512::interleave(from, columns, (width, block), &mut values);
    for block in values.chunks_exact_mut(block.max(1)) {
        block[pairs * width..].fill(0);
    }
    Pairs {
        values,
        width,
        pairs,
        columns,
    }
}

/// The rows as left operand of AMX.
fn in_tiles(rows: &Rows<bf16>) -> Pairs {
    let (pairs, columns) = (rows.n_rows().div_ceil(2), rows.width());
    let block = pairs.next_multiple_of(TILE_PAIRS) * Pairs::LEFT;
    let mut values = Buffer::new(columns.div_ceil(Pairs::LEFT) * block);
    amx::transpose(rows, &mut values);
    Pairs {
        values,
        width: Pairs::LEFT,
        pairs,
        columns,
    }
}
