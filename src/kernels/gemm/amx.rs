//! bf16 products by AMX tiles, with the order of the loops chosen for Sapphire Rapids (first cache 48 KiB, second 2 MiB
//! a core).
//!
//! Registers: a block of the output stays in four tiles while the inner dimension goes by. At 2 × 2 tiles a step is
//! four `tdpbf16ps` of 16 cycles and four tile loads of 8 from the first cache, one load a product: no other use of
//! eight tiles has fewer. From the second cache (about 48 bytes a cycle) the same 4 KiB take 85 cycles, so it matters that
//! half of them come from the first: while blocks go down the rows, the 32 columns of the right operand stay; the next
//! 32 columns start with the rows that were last. At 256 elements of depth either is 16 KiB. What 1 to 16 rows are left
//! over go by 1 × 4 tiles, which keeps four sums apart for five loads.
//!
//! Second cache: `GROUP` panels at a time meet all rows, at most `DEPTH` steps deep: 1 MiB of right operand, and beside
//! it 2 KiB a row of the left one (160 KiB at 80 rows) and as much output. A block then takes `DEPTH` × 64 cycles, and
//! fetching and storing its 4 KiB of output about 100, one part in twenty. A cut at 256 elements, for the first cache,
//! would spend one part in five on that.
//!
//! Third cache and memory: while the first rows pass over a right operand, the next 32 columns of it are fetched
//! into the second cache.
//!
//! Configuring the tiles takes some 200 cycles, so rows left over wait for the end of a group. Columns left over go
//! through scratch memory. A sum runs over steps of 32 elements in their order, whatever the block: `tdpbf16ps` adds up the
//! even and the odd elements of a step apart, then both to the sum. A part of the tokens of a weight gradient ends with a
//! whole step, so one of 80 tokens takes three, the last half empty.
//!
//! The sizes above are reasoned from the published latencies and caches; `GROUP` and `DEPTH` are to be measured where
//! there are tiles.

mod support;
mod tiles;
mod transpose;

#[cfg(all(test, target_os = "linux"))]
pub mod emulator;

use std::ops::Range;

pub use support::is_available;
pub use transpose::transpose;

use super::Rows;
use super::layout::{PANEL, Pairs, Panels, Start, TILE_PAIRS, bf16};
use tiles::{Left, Lines, SQUARE, Segment, TILE, TILE_ROW, Tiles, WIDE};
use transpose::TILE_SIZE;

/// Panels that stay in the second cache while all rows pass.
const GROUP: usize = 8;
/// Most steps, of 32 elements, that a block goes on before the next.
const DEPTH: usize = 32;
/// What the output begins with where it begins with zeros.
static ZEROS: [f32; PANEL] = [0.0; PANEL];

/// Whether the instructions run on this thread: by the CPU, or, in tests, by the emulator.
fn runs() -> bool {
    #[cfg(all(test, target_os = "linux"))]
    if emulator::is_installed() {
        return true;
    }
    is_available()
}

/// `c (rows × n) = a · b` on top of `start`.
pub fn multiply(a: &Rows<bf16>, b: &Panels, c: &mut [f32], start: Start) {
    assert!(runs(), "chosen only where available");
    let steps = a.width().div_ceil(2 * TILE_PAIRS);
    let row = a.stride() * size_of::<bf16>();
    assert!(row.is_multiple_of(TILE_ROW) && steps * TILE_ROW <= row);
    assert!(a.values().len() == a.n_rows() * a.stride() && steps * TILE_PAIRS <= b.pairs());
    let part = Part {
        left: a.values().as_ptr().cast(),
        left_tile: TILE * row,
        right: b.values().as_ptr(),
        right_panel: b.pairs() * PANEL,
        steps,
    };
    let left = Left {
        row,
        step: TILE_ROW,
    };
    let size = (a.n_rows(), b.columns());
    // SAFETY: `runs`. Row r lies at `r * row`, and the pieces of its steps one after another within it. A panel has at
    // least as many pairs as the steps.
    unsafe { product(&[part], left, size, c, start) };
}

/// Columns `first..` of all left parts, as [`transpose`] lays them out, against the right ones:
/// `c (columns × n) += sum of aᵀ · b`.
pub fn add_outer(parts: &[(&Pairs, &Pairs)], first: usize, c: &mut [f32]) {
    assert!(runs(), "chosen only where available");
    let n = parts.first().map_or(0, |(_, b)| b.columns());
    if n == 0 {
        return;
    }
    let rows = c.len() / n;
    assert!(first.is_multiple_of(TILE));
    let part = |(a, b): &(&Pairs, &Pairs)| {
        assert!(a.columns() >= first + rows && b.columns() == n && a.pairs() == b.pairs());
        let steps = a.pairs().div_ceil(TILE_PAIRS);
        let left_tile = steps * TILE_SIZE;
        assert!(a.values().len() == a.columns().div_ceil(TILE) * left_tile);
        assert!(b.values().len() == n.div_ceil(PANEL) * steps * TILE_PAIRS * PANEL);
        Part {
            left: a.values()[first / TILE * left_tile..].as_ptr().cast(),
            left_tile: left_tile * size_of::<u32>(),
            right: b.values().as_ptr(),
            right_panel: steps * TILE_PAIRS * PANEL,
            steps,
        }
    };
    let parts: Vec<Part> = parts.iter().map(part).collect();
    let left = Left {
        row: TILE_ROW,
        step: TILE_SIZE * size_of::<u32>(),
    };
    // SAFETY: `runs`. Each 16 columns of a part have its steps' tiles one after another, and whole panels follow one
    // another, as asserted.
    unsafe { product(&parts, left, (rows, n), c, Start::Output) };
}

/// A part of the inner dimension: where both operands lie, and how many steps there are.
struct Part {
    /// The tile of the first rows and the first step.
    left: *const u8,
    /// From a tile to that of the next 16 rows, in bytes.
    left_tile: usize,
    /// The first panel.
    right: *const u32,
    /// From one panel to the next, in pairs of elements.
    right_panel: usize,
    steps: usize,
}

/// `c (rows × n) = left · right` on top of `start`, summed over all parts.
///
/// # Safety
/// This thread may use AMX. In each part the left operand is readable at all rows and steps, and the right one
/// at all panels of n columns and at 16 pairs a step.
unsafe fn product(
    parts: &[Part],
    left: Left,
    (rows, n): (usize, usize),
    c: &mut [f32],
    start: Start,
) {
    assert_eq!(c.len(), rows * n, "the size of the output");
    if let Start::Bias(bias) = start {
        assert_eq!(bias.len(), n, "one bias a column");
    }
    if c.is_empty() {
        return;
    }
    let whole = rows / SQUARE.0 * SQUARE.0;
    let steps = parts.iter().map(|part| part.steps).sum();
    // SAFETY: the caller's. `tiles` is this function's own, and no code that it calls makes others.
    let mut tiles = unsafe { Tiles::new(rows.min(SQUARE.0)) };
    let mut segments = Vec::new();
    for first in (0..n).step_by(GROUP * PANEL) {
        let columns = first..n.min(first + GROUP * PANEL);
        for depth in even_parts(steps, DEPTH) {
            let mut pass = Pass {
                parts,
                left,
                start: if depth.start == 0 {
                    start
                } else {
                    Start::Output
                },
                depth,
                output: &mut *c,
                n,
                segments: &mut segments,
            };
            // SAFETY: the caller's; rows, columns and depth lie within the operands.
            unsafe {
                pass.rows(&mut tiles, 0..whole, columns.clone());
                pass.rows(&mut tiles, whole..rows, columns.clone());
            }
        }
    }
}

/// `0..n` in the fewest ranges of at most `size`, of sizes that differ by at most one; one empty range where n is 0.
fn even_parts(n: usize, size: usize) -> impl Iterator<Item = Range<usize>> {
    let parts = n.div_ceil(size).max(1);
    (0..parts).map(move |i| i * n / parts..(i + 1) * n / parts)
}

/// So much of the inner dimension as goes by while blocks of the output stay in their tiles.
struct Pass<'a> {
    parts: &'a [Part],
    left: Left,
    start: Start<'a>,
    /// In steps of all parts.
    depth: Range<usize>,
    /// All of it, (rows × `n`).
    output: &'a mut [f32],
    n: usize,
    /// The block's: kept for its memory.
    segments: &'a mut Vec<Segment>,
}

impl Pass<'_> {
    /// All blocks of these rows and columns: whole blocks of rows, or one of fewer.
    ///
    /// # Safety
    /// As [`product`]; the rows, columns and depth lie within operands and output, and columns begin with a panel.
    unsafe fn rows(&mut self, tiles: &mut Tiles, rows: Range<usize>, columns: Range<usize>) {
        if rows.is_empty() {
            return;
        }
        tiles.set_rows(rows.len().min(SQUARE.0));
        let width = if rows.len() > TILE { SQUARE.1 } else { WIDE.1 };
        let last = (rows.len() - 1) / SQUARE.0;
        for (number, column) in columns.clone().step_by(width).enumerate() {
            for i in 0..=last {
                // There and back: the rows that were last are still in the first cache.
                let block = if number % 2 == 0 { i } else { last - i };
                let row = rows.start + block * SQUARE.0;
                let follows = column + width < columns.end && i == 0;
                let next = if follows { column + width } else { column };
                let block = Block {
                    rows: row..rows.end.min(row + SQUARE.0),
                    columns: column..columns.end.min(column + width),
                    next,
                };
                // SAFETY: the caller's; the block has as many rows as were set, and its columns lie in one panel.
                unsafe { self.block(tiles, block) };
            }
        }
    }

    /// One block, straight into the output or, where columns are missing, by way of scratch memory.
    ///
    /// # Safety
    /// As [`Pass::rows`]; the tiles are set to the block's rows.
    unsafe fn block(&mut self, tiles: &mut Tiles, block: Block) {
        let n = self.n;
        let width = if block.rows.len() > TILE {
            SQUARE.1
        } else {
            WIDE.1
        };
        let first = block.columns.start;
        let at = block.rows.start * n + first;
        if block.columns.len() == width {
            let output = Lines {
                values: self.output[at..].as_mut_ptr(),
                row: n * size_of::<f32>(),
            };
            let start = match self.start {
                Start::Zero => every_row(&ZEROS),
                Start::Bias(bias) => every_row(&bias[first..first + width]),
                Start::Output => as_it_is(output),
            };
            // SAFETY: the caller's. All columns of the block are there in each row of the output and in the bias.
            unsafe { self.whole_block(tiles, &block, start, output) };
            return;
        }
        let mut scratch = Scratch([0.0; SQUARE.0 * SQUARE.1]);
        let part = block.columns.len();
        for (row, line) in scratch.0.chunks_exact_mut(width).enumerate() {
            match self.start {
                Start::Zero => {}
                Start::Bias(bias) => line[..part].copy_from_slice(&bias[block.columns.clone()]),
                Start::Output if row < block.rows.len() => {
                    line[..part].copy_from_slice(&self.output[at + row * n..][..part]);
                }
                Start::Output => {}
            }
        }
        let lines = Lines {
            values: scratch.0.as_mut_ptr(),
            row: width * size_of::<f32>(),
        };
        // SAFETY: the caller's. Scratch holds 32 rows of 32, or 16 of 64.
        unsafe { self.whole_block(tiles, &block, as_it_is(lines), lines) };
        let lines = scratch.0.chunks_exact(width).take(block.rows.len());
        for (row, line) in lines.enumerate() {
            self.output[at + row * n..][..part].copy_from_slice(&line[..part]);
        }
    }

    /// One block of all columns of its kind.
    ///
    /// # Safety
    /// As [`Pass::block`]; start and output are good for the block's rows and all columns of its kind.
    unsafe fn whole_block(
        &mut self,
        tiles: &mut Tiles,
        block: &Block,
        start: Lines<*const f32>,
        output: Lines<*mut f32>,
    ) {
        self.lay_out(block);
        // SAFETY: the caller's; a panel has 64 columns in memory.
        unsafe {
            if block.rows.len() > TILE {
                tiles.square(self.left, self.segments, start, output);
            } else {
                tiles.wide(self.left, self.segments, start, output);
            }
        }
    }

    /// Where the operands of a block lie, part by part.
    fn lay_out(&mut self, block: &Block) {
        self.segments.clear();
        let mut first = 0;
        for part in self.parts {
            let steps = self.depth.start.max(first)..self.depth.end.min(first + part.steps);
            if !steps.is_empty() {
                let from = steps.start - first;
                let tile = block.rows.start / TILE * part.left_tile;
                let left = part.left.wrapping_add(from * self.left.step + tile);
                let right = |column: usize| {
                    let panel = column / PANEL * part.right_panel;
                    let line = from * TILE_PAIRS * PANEL;
                    part.right.wrapping_add(panel + line + column % PANEL)
                };
                let (now, next) = (right(block.columns.start), right(block.next));
                self.segments.push(Segment {
                    left,
                    lower: left.wrapping_add(part.left_tile),
                    right: now,
                    next: next.addr().wrapping_sub(now.addr()),
                    steps: steps.len(),
                });
            }
            first += part.steps;
        }
    }
}

/// Rows and columns of one block of the output.
struct Block {
    rows: Range<usize>,
    /// Within one panel.
    columns: Range<usize>,
    /// The column whose right operand is to be fetched meanwhile.
    next: usize,
}

/// A block of the output that lacks columns.
#[repr(align(64))]
struct Scratch([f32; SQUARE.0 * SQUARE.1]);

/// The same values in every row.
fn every_row(values: &[f32]) -> Lines<*const f32> {
    Lines {
        values: values.as_ptr(),
        row: 0,
    }
}

/// A block begins with what is there.
fn as_it_is(output: Lines<*mut f32>) -> Lines<*const f32> {
    Lines {
        values: output.values.cast_const(),
        row: output.row,
    }
}
