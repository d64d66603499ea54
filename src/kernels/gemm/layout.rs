//! How operands of bf16 products lie in memory.
//!
//! Left operands lie as they are, row by row ([`Rows`](super::Rows)). Right operands are [`Panels`]: 64 columns wide, two neighbours of the
//! inner dimension together in 32 bits, as the instructions take them. Where the inner dimension is the rows of a task, both operands
//! are [`Pairs`]. What fills them is [`super::bf16`]'s matter.

use rayon::prelude::*;

use crate::kernels::buffer::Buffer;

pub use half::bf16;

/// Columns of a panel.
pub const PANEL: usize = 64;
/// Panels hold a multiple of so many pairs, the depth of an AMX tile; those beyond the end are zeros.
pub const TILE_PAIRS: usize = 16;

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
    pub(super) fn new(pairs: usize, columns: usize) -> Self {
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
    pub(super) fn fill(&mut self, work: impl Fn(usize, usize, &mut [u32]) + Sync) {
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

/// Rows of a task as an operand whose inner dimension is the rows: neighbouring rows together, in blocks of columns.
#[derive(Debug)]
pub struct Pairs {
    /// Block by block, pair by pair: `width` times the elements of rows 2p (low half) and 2p + 1. Left operands of AMX:
    /// block by block, 16 pairs by 16 pairs, column by column.
    pub(super) values: Buffer<u32>,
    /// Columns of a block.
    pub(super) width: usize,
    /// Pairs with a row in them.
    pub(super) pairs: usize,
    pub(super) columns: usize,
}

impl Pairs {
    /// Columns of a block of the left operand: one cache line of pairs, one side of an AMX tile.
    pub const LEFT: usize = 16;

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
