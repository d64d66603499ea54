//! Blocks of the output in tile registers: the machine code.
//!
//! In: addresses of operands. Out: one block of the output, written. [`Tiles`] is the configuration of the tile registers
//! of this thread, released when dropped, also while a panic unwinds.
//!
//! A tile is 16 rows of 64 bytes. `tdpbf16ps c, a, b` adds to c (rows × 16 f32) the product of a (rows × 16 pairs)
//! and b (16 pairs × 16 columns, interleaved as in a panel). Two shapes of block:
//!
//! | rows | tiles of c | tile loads a `tdpbf16ps` |
//! |---|---|---|
//! | [`SQUARE`]: 17 to 32 | 2 × 2 | 4 / 4 |
//! | [`WIDE`]: 1 to 16 | 1 × 4 | 5 / 4 |
//!
//! Both keep four sums apart: `tdpbf16ps` takes 16 cycles and answers after 52, so fewer would wait for each other.
//! The registers of a block with fewer rows are configured with fewer rows, so nothing beyond the operands is read or
//! written. No tile holds data from one block to the next.

use std::arch::asm;
use std::marker::PhantomData;
use std::mem::offset_of;

/// Rows of a tile, and columns of a tile of f32.
pub const TILE: usize = 16;
/// Bytes of a row of a tile.
pub const TILE_ROW: usize = 64;
/// Most rows, and columns, of a 2 × 2 block.
pub const SQUARE: (usize, usize) = (2 * TILE, 2 * TILE);
/// Most rows, and columns, of a 1 × 4 block.
pub const WIDE: (usize, usize) = (TILE, 4 * TILE);

/// How left operands lie in memory: tiles of 16 rows × 32 elements. In bytes.
#[derive(Clone, Copy)]
pub struct Left {
    /// From one row of a tile to the next.
    pub row: usize,
    /// From the tile of one step to that of the next.
    pub step: usize,
}

/// A part of the inner dimension: where both operands of a block lie. The machine code reads it.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Segment {
    /// The left tile of the first step.
    pub left: *const u8,
    /// The same of the rows from the 17th on.
    pub lower: *const u8,
    /// The block's columns of a panel at the first step; 16 pairs a step.
    pub right: *const u32,
    /// In bytes, how far from `right` lies what is wanted after this block. It is fetched into the second cache meanwhile.
    pub next: usize,
    /// At least 1.
    pub steps: usize,
}

/// Rows of f32 in memory, all columns of the block in each.
#[derive(Clone, Copy)]
pub struct Lines<P> {
    /// The first row.
    pub values: P,
    /// From one row to the next, in bytes.
    pub row: usize,
}

/// The 64 bytes that `ldtilecfg` reads (palette 1).
#[repr(C, align(64))]
struct Configuration {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

/// Rows of registers 0 to 7 for blocks of `rows` rows: sums in 0 to 3, then left and right operands.
fn rows_of_tiles(rows: usize) -> [usize; 8] {
    let full = TILE;
    if rows > TILE {
        let rest = rows - TILE;
        [full, full, rest, rest, full, rest, full, full]
    } else {
        [rows, rows, rows, rows, rows, full, full, full]
    }
}

/// The tile registers of this thread, shaped for blocks of one number of rows.
pub struct Tiles {
    rows: usize,
    /// The registers belong to the thread.
    stays: PhantomData<*const ()>,
}

impl Tiles {
    /// Shapes the registers for blocks of `rows` rows.
    ///
    /// # Safety
    /// This thread may use AMX ([`super::support::is_available`]), and no other `Tiles` lives on it.
    pub unsafe fn new(rows: usize) -> Self {
        // SAFETY: passed on to the caller.
        unsafe { configure(rows) };
        Self {
            rows,
            stays: PhantomData,
        }
    }

    /// Shapes them anew, where they are not so already. Costs about as much as three steps of a block.
    pub fn set_rows(&mut self, rows: usize) {
        if rows != self.rows {
            // SAFETY: `self` exists, so this thread may use AMX; no tile holds data between blocks.
            unsafe { configure(rows) };
            self.rows = rows;
        }
    }

    /// One block of 17 to 32 rows and 32 columns: `output = start + left · right`, summed over all segments.
    ///
    /// # Safety
    /// With the rows that were set: in each segment the left tiles are readable at 64 bytes of every row and step, `right`
    /// at 128 bytes of each of 16 lines of a panel a step; `start` is readable and `output` writable at
    /// 128 bytes of every row, and the output is nobody else's. Start and output may be the same memory.
    pub unsafe fn square(
        &mut self,
        left: Left,
        segments: &[Segment],
        start: Lines<*const f32>,
        output: Lines<*mut f32>,
    ) {
        debug_assert!((TILE + 1..=SQUARE.0).contains(&self.rows));
        // SAFETY: the registers have the rows that the contract speaks of, 64 bytes each. Every load and store below
        // is one that the contract allows; a prefetch of any address does no harm. All registers changed are named.
        unsafe {
            asm!(
                "tileloadd tmm0, [{left} + {stride}*1]", // here `left` and `lower` are the start's
                "tileloadd tmm1, [{left} + {stride}*1 + 64]",
                "tileloadd tmm2, [{lower} + {stride}*1]",
                "tileloadd tmm3, [{lower} + {stride}*1 + 64]",
                "mov {stride:e}, 256", // of a panel
                "test {n_segments}, {n_segments}",
                "jz 4f",
                "2:",
                "mov {left}, [{segment} + {at_left}]",
                "mov {lower}, [{segment} + {at_lower}]",
                "mov {right}, [{segment} + {at_right}]",
                "mov {next}, [{segment} + {at_next}]",
                "mov {steps}, [{segment} + {at_steps}]",
                "add {segment}, {size}",
                "3:",
                "tileloadd tmm4, [{left} + {row}*1]",
                "tileloadd tmm6, [{right} + {stride}*1]",
                "tdpbf16ps tmm0, tmm4, tmm6",
                "tileloadd tmm7, [{right} + {stride}*1 + 64]",
                "tdpbf16ps tmm1, tmm4, tmm7",
                "tileloadd tmm5, [{lower} + {row}*1]",
                "tdpbf16ps tmm2, tmm5, tmm6",
                "tdpbf16ps tmm3, tmm5, tmm7",
                ".irp pair, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15",
                "prefetcht1 [{right} + {next}*1 + \\pair*256]",
                "prefetcht1 [{right} + {next}*1 + \\pair*256 + 64]",
                ".endr",
                "add {left}, {step}",
                "add {lower}, {step}",
                "add {right}, 4096", // 16 pairs of a panel
                "dec {steps}",
                "jnz 3b",
                "dec {n_segments}",
                "jnz 2b",
                "4:",
                "mov {lower}, {output_row}",
                "shl {lower}, 4",
                "add {lower}, {output}", // the 17th row
                "tilestored [{output} + {output_row}*1], tmm0",
                "tilestored [{output} + {output_row}*1 + 64], tmm1",
                "tilestored [{lower} + {output_row}*1], tmm2",
                "tilestored [{lower} + {output_row}*1 + 64], tmm3",
                left = inout(reg) start.values => _,
                lower = inout(reg) start.values.wrapping_byte_add(TILE * start.row) => _,
                stride = inout(reg) start.row => _,
                row = in(reg) left.row,
                step = in(reg) left.step,
                segment = inout(reg) segments.as_ptr() => _,
                n_segments = inout(reg) segments.len() => _,
                right = out(reg) _,
                next = out(reg) _,
                steps = out(reg) _,
                output = in(reg) output.values,
                output_row = in(reg) output.row,
                at_left = const offset_of!(Segment, left),
                at_lower = const offset_of!(Segment, lower),
                at_right = const offset_of!(Segment, right),
                at_next = const offset_of!(Segment, next),
                at_steps = const offset_of!(Segment, steps),
                size = const size_of::<Segment>(),
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                options(nostack),
            );
        }
    }

    /// One block of 1 to 16 rows and 64 columns: `output = start + left · right`, summed over all segments.
    ///
    /// # Safety
    /// As [`Tiles::square`], with 256 bytes of right operand, start and output a row.
    pub unsafe fn wide(
        &mut self,
        left: Left,
        segments: &[Segment],
        start: Lines<*const f32>,
        output: Lines<*mut f32>,
    ) {
        debug_assert!((1..=WIDE.0).contains(&self.rows));
        // SAFETY: as in `square`.
        unsafe {
            asm!(
                "tileloadd tmm0, [{left} + {stride}*1]", // here `left` is the start's
                "tileloadd tmm1, [{left} + {stride}*1 + 64]",
                "tileloadd tmm2, [{left} + {stride}*1 + 128]",
                "tileloadd tmm3, [{left} + {stride}*1 + 192]",
                "mov {stride:e}, 256", // of a panel
                "test {n_segments}, {n_segments}",
                "jz 4f",
                "2:",
                "mov {left}, [{segment} + {at_left}]",
                "mov {right}, [{segment} + {at_right}]",
                "mov {steps}, [{segment} + {at_steps}]",
                "add {segment}, {size}",
                "3:",
                "tileloadd tmm4, [{left} + {row}*1]",
                "tileloadd tmm5, [{right} + {stride}*1]",
                "tdpbf16ps tmm0, tmm4, tmm5",
                "tileloadd tmm6, [{right} + {stride}*1 + 64]",
                "tdpbf16ps tmm1, tmm4, tmm6",
                "tileloadd tmm7, [{right} + {stride}*1 + 128]",
                "tdpbf16ps tmm2, tmm4, tmm7",
                "tileloadd tmm5, [{right} + {stride}*1 + 192]",
                "tdpbf16ps tmm3, tmm4, tmm5",
                "add {left}, {step}",
                "add {right}, 4096", // 16 pairs of a panel
                "dec {steps}",
                "jnz 3b",
                "dec {n_segments}",
                "jnz 2b",
                "4:",
                "tilestored [{output} + {output_row}*1], tmm0",
                "tilestored [{output} + {output_row}*1 + 64], tmm1",
                "tilestored [{output} + {output_row}*1 + 128], tmm2",
                "tilestored [{output} + {output_row}*1 + 192], tmm3",
                left = inout(reg) start.values => _,
                stride = inout(reg) start.row => _,
                row = in(reg) left.row,
                step = in(reg) left.step,
                segment = inout(reg) segments.as_ptr() => _,
                n_segments = inout(reg) segments.len() => _,
                right = out(reg) _,
                steps = out(reg) _,
                output = in(reg) output.values,
                output_row = in(reg) output.row,
                at_left = const offset_of!(Segment, left),
                at_right = const offset_of!(Segment, right),
                at_steps = const offset_of!(Segment, steps),
                size = const size_of::<Segment>(),
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                options(nostack),
            );
        }
    }
}

impl Drop for Tiles {
    fn drop(&mut self) {
        // SAFETY: `self` existed, so this thread may use AMX; nothing is left in the tiles.
        unsafe {
            asm!(
                "tilerelease",
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                options(nomem, nostack, preserves_flags),
            );
        }
    }
}

/// # Safety
/// This thread may use AMX.
unsafe fn configure(rows: usize) {
    assert!((1..=SQUARE.0).contains(&rows), "rows of a block");
    let mut configuration = Configuration {
        palette: 1,
        start_row: 0,
        reserved: [0; 14],
        row_bytes: [0; 16],
        rows: [0; 16],
    };
    for (register, rows) in rows_of_tiles(rows).into_iter().enumerate() {
        configuration.row_bytes[register] = TILE_ROW as u16;
        configuration.rows[register] = rows as u8;
    }
    // SAFETY: the configuration is one that palette 1 allows: at most 16 rows of 64 bytes, zeros elsewhere.
    unsafe {
        asm!(
            "ldtilecfg [{configuration}]",
            configuration = in(reg) &raw const configuration,
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(readonly, nostack, preserves_flags),
        );
    }
}
