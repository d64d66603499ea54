//! Gradients of an output as left operand whose inner dimension is the tokens: the transpose that left tiles need.
//!
//! In: dy (tokens × n). Out: tiles of 16 columns × 32 tokens, each 1 KiB in one piece, all steps of 16 columns one after
//! another; zeros beyond the last token and the last column.

use std::arch::x86_64::*;

use super::super::layout::{TILE_PAIRS, bf16};
use super::super::{Rows, avx512};
use super::tiles::TILE;

/// Tokens of a tile.
const TOKENS: usize = 2 * TILE_PAIRS;
/// Pairs of elements of a tile.
pub const TILE_SIZE: usize = TILE * TILE_PAIRS;

/// Tokens that are not there.
static ZEROS: [bf16; TILE] = [bf16::ZERO; TILE];

/// Writes all tiles of dy.
pub fn transpose(dy: &Rows<bf16>, tiles: &mut [u32]) {
    assert!(avx512::is_available());
    // SAFETY: the CPU has the instructions.
    unsafe { transpose_with(dy, tiles) }
}

#[target_feature(enable = "avx512f,avx512bw")]
fn transpose_with(dy: &Rows<bf16>, tiles: &mut [u32]) {
    let (rows, stride, values) = (dy.n_rows(), dy.stride(), dy.values());
    let (blocks, steps) = (dy.width().div_ceil(TILE), rows.div_ceil(TOKENS));
    assert!(values.len() == rows * stride && blocks * TILE <= stride);
    assert_eq!(tiles.len(), blocks * steps * TILE_SIZE);
    for step in 0..steps {
        for block in 0..blocks {
            let tile = &mut tiles[(block * steps + step) * TILE_SIZE..][..TILE_SIZE];
            for (half, out) in tile.chunks_exact_mut(TILE_SIZE / 2).enumerate() {
                let tokens: [*const bf16; TOKENS] = std::array::from_fn(|i| {
                    let row = step * TOKENS + i;
                    let at = values.as_ptr().wrapping_add(row * stride + block * TILE);
                    let token = if row < rows { at } else { ZEROS.as_ptr() };
                    token.wrapping_add(8 * half)
                });
                // SAFETY: each token has 16 elements at this block, zeros included, as asserted.
                unsafe { transpose_8(tokens, out) };
            }
        }
    }
}

/// 8 columns of 32 tokens: `out` (8 columns × 16 pairs).
///
/// # Safety
/// The CPU has AVX-512 F and BW, and 8 elements are readable at each of `tokens`.
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
unsafe fn transpose_8(tokens: [*const bf16; TOKENS], out: &mut [u32]) {
    assert!(out.len() == 8 * TILE_PAIRS);
    let token = |number: usize| -> __m128i {
        // SAFETY: the caller's; 8 elements are 16 bytes.
        unsafe { _mm_loadu_si128(tokens[number].cast()) }
    };
    // Register i holds tokens i, i + 8, i + 16 and i + 24, one in each quarter. The quarters are transposed side by
    // side, so that in the end each holds 8 tokens in a row.
    let rows: [__m512i; 8] = std::array::from_fn(|i| {
        let row = _mm512_castsi128_si512(token(i));
        let row = _mm512_inserti32x4::<1>(row, token(i + 8));
        let row = _mm512_inserti32x4::<2>(row, token(i + 16));
        _mm512_inserti32x4::<3>(row, token(i + 24))
    });
    // Columns 0 to 3 of two tokens, and columns 4 to 7 of them.
    let low: [__m512i; 4] =
        std::array::from_fn(|i| _mm512_unpacklo_epi16(rows[2 * i], rows[2 * i + 1]));
    let high: [__m512i; 4] =
        std::array::from_fn(|i| _mm512_unpackhi_epi16(rows[2 * i], rows[2 * i + 1]));
    for (half, pairs) in [low, high].into_iter().enumerate() {
        // Two columns of four tokens: tokens 0 to 3 of each quarter, then 4 to 7.
        let first = [pairs[0], pairs[2]];
        let second = [pairs[1], pairs[3]];
        let even: [__m512i; 2] =
            std::array::from_fn(|i| _mm512_unpacklo_epi32(first[i], second[i]));
        let odd: [__m512i; 2] = std::array::from_fn(|i| _mm512_unpackhi_epi32(first[i], second[i]));
        let columns = [
            _mm512_unpacklo_epi64(even[0], even[1]),
            _mm512_unpackhi_epi64(even[0], even[1]),
            _mm512_unpacklo_epi64(odd[0], odd[1]),
            _mm512_unpackhi_epi64(odd[0], odd[1]),
        ];
        for (column, value) in columns.into_iter().enumerate() {
            let at = &mut out[(4 * half + column) * TILE_PAIRS..][..TILE_PAIRS];
            // SAFETY: 16 pairs are 64 bytes.
            unsafe { _mm512_storeu_si512(at.as_mut_ptr().cast(), value) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::gemm::bf16::{Bf16, Kernel};

    #[test]
    fn a_tile_holds_the_tokens_of_a_column_in_a_row() {
        if !avx512::is_available() {
            crate::progress::skipped("no AVX-512 BF16 on this CPU");
            return;
        }
        for (n_rows, width) in [(0, 5), (1, 1), (32, 16), (33, 83), (70, 64), (95, 40)] {
            let mut dy = Rows::new(Bf16::unchecked(Kernel::Amx), n_rows, width);
            for row in 0..n_rows {
                for (column, x) in dy.row_mut(row).iter_mut().enumerate() {
                    *x = bf16::from_bits((1 + row * width + column) as u16);
                }
            }
            let (blocks, steps) = (width.div_ceil(16), n_rows.div_ceil(32));
            let mut tiles = vec![u32::MAX; blocks * steps * 256];
            transpose(&dy, &mut tiles);
            for column in 0..16 * blocks {
                for token in 0..32 * steps {
                    let tile = (column / 16) * steps + token / 32;
                    let pair = tiles[tile * 256 + column % 16 * 16 + token % 32 / 2];
                    let found = pair >> (16 * (token % 2)) & 0xffff;
                    let inside = token < n_rows && column < width;
                    let expected = if inside {
                        1 + token * width + column
                    } else {
                        0
                    };
                    assert_eq!(found, expected as u32, "column {column}, token {token}");
                }
            }
        }
    }
}
