//! Matrix products in f32 through the `gemm` crate: every CPU has this path.
//!
//! Large products are split over tiles of the output. The tiles depend on the sizes alone and each is computed by one
//! thread. The inner dimension is split by the tasks of the batch only, which are added in their order: the same bytes
//! for any number of threads.

use rayon::prelude::*;

use super::weight::Linear;
use super::{Element, Gemm, Rows, Store, WeightGradient};
use crate::kernels::denormals;

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

/// Tiles of a large product. More than the threads we expect, few enough that packing stays cheap.
const TILES: usize = 4;
/// Multiply-adds below which one tile is enough.
const SMALL: usize = 1 << 18;
/// Tiles are multiples of this, the micro-kernel's largest side.
const GRAIN: usize = 48;

/// `c (m × n) = a (m × k) · b (k × n)`, or `c += …`, in parallel.
///
/// # Panics
/// Where a slice does not have the size that m, n and k say.
pub fn matmul(m: usize, n: usize, k: usize, a: Operand, b: Operand, c: &mut [f32], into: Store) {
    assert_eq!(c.len(), m * n, "a ({m} x {n}) output");
    let rows = if m * n * k <= SMALL { m } else { tile(m) };
    c.par_chunks_mut((rows * n).max(1))
        .enumerate()
        .for_each(|(number, c)| {
            let first = number * rows;
            product((first, c.len() / n), (m, n, k), a, b, c, into);
        });
}

/// As [`matmul`], on this thread: for callers that share work out themselves.
///
/// # Panics
/// As [`matmul`].
pub fn matmul_on_this_thread(
    m: usize,
    n: usize,
    k: usize,
    a: Operand,
    b: Operand,
    c: &mut [f32],
    into: Store,
) {
    product((0, m), (m, n, k), a, b, c, into);
}

/// Rows `first..first + count` of `c (m × n) = a · b` into `c (count × n)`, on this thread.
fn product(
    (first, count): (usize, usize),
    (m, n, k): (usize, usize, usize),
    a: Operand,
    b: Operand,
    c: &mut [f32],
    into: Store,
) {
    assert_eq!(c.len(), count * n, "a ({count} x {n}) output");
    assert!(first + count <= m, "rows within the product");
    if k == 0 && into == Store::Overwrite {
        c.fill(0.0);
    }
    if count == 0 || n == 0 || k == 0 {
        return;
    }
    let (a, a_along_row, a_along_column) = a.strides(m, k);
    let (b, b_along_row, b_along_column) = b.strides(k, n);
    // SAFETY: `strides` has checked that a holds (m × k) and b (k × n) elements, c holds (count × n), and the
    // rows read of a are within m: every element touched is in bounds. c is borrowed mutably.
    unsafe {
        gemm::gemm(
            count,
            n,
            k,
            c.as_mut_ptr(),
            1,
            n as isize,
            into == Store::Add,
            a.as_ptr().offset(first as isize * a_along_column),
            a_along_row,
            a_along_column,
            b.as_ptr(),
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
}

/// Rows of one tile of `size`, by size alone.
fn tile(size: usize) -> usize {
    size.div_ceil(TILES).next_multiple_of(GRAIN)
}

impl Element for f32 {
    fn round(x: &[f32], out: &mut [f32]) {
        out.copy_from_slice(x);
    }

    fn widen(x: &[f32], out: &mut [f32]) {
        out.copy_from_slice(x);
    }
}

/// 32-bit floats all the way.
#[derive(Debug, Clone, Copy)]
pub struct F32;

impl Gemm for F32 {
    type Element = f32;
    type Left = Rows<f32>;
    type Right = Rows<f32>;

    /// The `gemm` crate packs the weights anew for every task.
    const GROUP: usize = 256;

    fn stride(width: usize) -> usize {
        width
    }

    fn forward(self, x: &Rows<f32>, linear: &Linear, y: &mut [f32]) {
        let (n_in, n_out) = (linear.n_in(), linear.n_out());
        for row in y.chunks_exact_mut(n_out) {
            row.copy_from_slice(linear.bias);
        }
        let (a, b) = (
            Operand::Plain(x.values()),
            Operand::Transposed(linear.weight),
        );
        let m = x.n_rows();
        product((0, m), (m, n_out, n_in), a, b, y, Store::Add);
    }

    fn input_gradient(self, dy: &Rows<f32>, linear: &Linear, dx: &mut [f32], into: Store) {
        let (n_in, n_out) = (linear.n_in(), linear.n_out());
        let (a, b) = (Operand::Plain(dy.values()), Operand::Plain(linear.weight));
        let m = dy.n_rows();
        product((0, m), (m, n_in, n_out), a, b, dx, into);
    }

    fn left(self, dy: Rows<f32>) -> Rows<f32> {
        dy
    }

    fn right(self, x: Rows<f32>) -> Rows<f32> {
        x
    }

    fn weight_gradients(self, inputs: &[Vec<&Rows<f32>>], products: Vec<WeightGradient<F32>>) {
        let tiles: Vec<_> = products
            .into_iter()
            .flat_map(|weight| {
                let (x, dy) = (&inputs[weight.input], weight.dy);
                let (n_in, n_out) = (x[0].width(), dy[0].width());
                let rows = tile(n_out);
                let tiles = weight.gradient.chunks_mut(rows * n_in).enumerate();
                tiles.map(move |(number, c)| (number * rows, c, x, dy.clone()))
            })
            .collect();
        let tiles = tiles.into_par_iter().with_max_len(1);
        tiles.for_each(|(first, c, x, dy)| {
            let _flushed = denormals::flushed();
            for (x, dy) in x.iter().zip(dy) {
                let (k, n_in, n_out) = (x.n_rows(), x.width(), dy.width());
                let (a, b) = (Operand::Transposed(dy.values()), Operand::Plain(x.values()));
                let count = c.len() / n_in;
                product((first, count), (n_out, n_in, k), a, b, c, Store::Add);
            }
        });
    }
}
