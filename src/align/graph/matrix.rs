//! Dense products in f32, the same on any number of threads.
//!
//! The rows of the output are cut into tiles of a fixed size; a tile is one product of `ndarray`. (The products of
//! `kernels` stand to the right of `vocab` and cannot be used here.)

use ndarray::linalg::general_mat_mul;
use ndarray::{Array2, ArrayView2, Axis};
use rayon::prelude::*;

/// Rows of a tile.
const TILE: usize = 128;

/// `a · b`
pub(super) fn product(a: ArrayView2<f32>, b: ArrayView2<f32>) -> Array2<f32> {
    let mut c = Array2::zeros((a.nrows(), b.ncols()));
    add_product(&mut c, 1.0, a, b);
    c
}

/// `c -= a · b`, in place.
pub(super) fn subtract_product(c: &mut Array2<f32>, a: ArrayView2<f32>, b: ArrayView2<f32>) {
    add_product(c, -1.0, a, b);
}

fn add_product(c: &mut Array2<f32>, factor: f32, a: ArrayView2<f32>, b: ArrayView2<f32>) {
    c.axis_chunks_iter_mut(Axis(0), TILE)
        .into_par_iter()
        .zip(a.axis_chunks_iter(Axis(0), TILE).into_par_iter())
        .for_each(|(mut c, a)| general_mat_mul(factor, &a, &b, 1.0, &mut c));
}
