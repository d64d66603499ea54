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
    c.axis_chunks_iter_mut(Axis(0), TILE)
        .into_par_iter()
        .zip(a.axis_chunks_iter(Axis(0), TILE).into_par_iter())
        .for_each(|(mut c, a)| general_mat_mul(1.0, &a, &b, 0.0, &mut c));
    c
}
