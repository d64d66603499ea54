//! Matrix products in f32 through the `gemm` crate, split over tiles of the output.
//!
//! The tiles depend on the sizes alone, each is computed by one thread, and the inner dimension is never
//! split: the same bytes for any number of threads.

use rayon::prelude::*;

/// A row-major matrix as it lies in memory, read plainly or transposed.
#[derive(Debug, Clone, Copy)]
pub enum Operand<'a> {
    /// As stored.
    Plain(&'a [f32]),
    /// Columns read as rows.
    Transposed(&'a [f32]),
}

impl<'a> Operand<'a> {
    /// The values, and the distance between neighbours along a row and along a column, where the operand is
    /// (`rows` × `columns`) as read.
    fn strides(self, rows: usize, columns: usize) -> (&'a [f32], isize, isize) {
        let (values, along_row, along_column) = match self {
            Self::Plain(values) => (values, 1, columns),
            Self::Transposed(values) => (values, rows, 1),
        };
        assert_eq!(
            values.len(),
            rows * columns,
            "a ({rows} x {columns}) operand"
        );
        (values, along_row as isize, along_column as isize)
    }
}

/// What becomes of the values already in the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Into {
    /// They are overwritten.
    Overwrite,
    /// The product is added to them.
    Add,
}

/// Tiles of a large product. More than the threads we expect, few enough that packing stays cheap.
const TILES: usize = 4;
/// Multiply-adds below which one tile is enough.
const SMALL: usize = 1 << 18;
/// Tiles are multiples of this, the micro-kernel's largest side.
const GRAIN: usize = 48;

/// `c (m × n) = a (m × k) · b (k × n)`, or `c += …`.
///
/// # Panics
/// Where a slice does not have the size that m, n and k say.
pub fn matmul(m: usize, n: usize, k: usize, a: Operand, b: Operand, c: &mut [f32], into: Into) {
    assert_eq!(c.len(), m * n, "a ({m} x {n}) output");
    if m == 0 || n == 0 {
        return;
    }
    if k == 0 {
        if into == Into::Overwrite {
            c.fill(0.0);
        }
        return;
    }
    let (a, a_along_row, a_along_column) = a.strides(m, k);
    let (b, b_along_row, b_along_column) = b.strides(k, n);
    let output = Output(c.as_mut_ptr());
    let tile = |first_row: usize, last_row: usize, first_column: usize, last_column: usize| {
        let output = &output;
        // SAFETY: the slices have the asserted sizes, and the tile's bounds are within m and n, so every
        // element touched is in bounds. Tiles do not overlap, so no two threads write one element.
        unsafe {
            gemm::gemm(
                last_row - first_row,
                last_column - first_column,
                k,
                output.0.add(first_row * n + first_column),
                1,
                n as isize,
                into == Into::Add,
                a.as_ptr().offset(first_row as isize * a_along_column),
                a_along_row,
                a_along_column,
                b.as_ptr().offset(first_column as isize * b_along_row),
                b_along_row,
                b_along_column,
                1.0f32,
                1.0f32,
                false,
                false,
                false,
                gemm::Parallelism::None,
            );
        }
    };
    if m * n * k <= SMALL {
        tile(0, m, 0, n);
    } else if m >= n {
        ranges(m)
            .into_par_iter()
            .for_each(|(first, last)| tile(first, last, 0, n));
    } else {
        ranges(n)
            .into_par_iter()
            .for_each(|(first, last)| tile(0, m, first, last));
    }
}

/// A pointer that may cross threads, because every thread writes a tile of its own.
struct Output(*mut f32);
// SAFETY: see `matmul`: tiles are disjoint.
unsafe impl Sync for Output {}

/// `0..size` in at most [`TILES`] ranges, by size alone.
fn ranges(size: usize) -> Vec<(usize, usize)> {
    let step = size.div_ceil(TILES).next_multiple_of(GRAIN);
    (0..size)
        .step_by(step)
        .map(|first| (first, (first + step).min(size)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::naive;

    #[test]
    fn equals_the_naive_product_in_every_orientation_and_odd_size() {
        let sizes = [
            (0, 3, 2),
            (3, 2, 0),
            (1, 1, 1),
            (2, 3, 5),
            (17, 31, 13),
            (129, 7, 64),
            (97, 101, 103),
        ];
        for (m, n, k) in sizes {
            let (a, b) = (naive::values(m * k, 1), naive::values(k * n, 2));
            let (a_t, b_t) = (naive::transpose(&a, m, k), naive::transpose(&b, k, n));
            let expected = naive::matmul(&a, &b, m, n, k);
            let cases = [
                (Operand::Plain(&a), Operand::Plain(&b)),
                (Operand::Plain(&a), Operand::Transposed(&b_t)),
                (Operand::Transposed(&a_t), Operand::Plain(&b)),
                (Operand::Transposed(&a_t), Operand::Transposed(&b_t)),
            ];
            for (a, b) in cases {
                let mut c = vec![f32::NAN; m * n];
                matmul(m, n, k, a, b, &mut c, Into::Overwrite);
                naive::assert_close(&c, &expected, 1e-5);
                matmul(m, n, k, a, b, &mut c, Into::Add);
                let twice: Vec<f32> = expected.iter().map(|x| 2.0 * x).collect();
                naive::assert_close(&c, &twice, 2e-5);
            }
        }
    }

    #[test]
    fn ranges_cover_without_overlap() {
        for size in [1, 47, 48, 49, 191, 192, 193, 1300, 7200] {
            let ranges = ranges(size);
            assert!(ranges.len() <= TILES);
            assert_eq!(ranges[0].0, 0);
            assert!(ranges.windows(2).all(|pair| pair[0].1 == pair[1].0));
            assert_eq!(ranges[ranges.len() - 1].1, size);
        }
    }
}
