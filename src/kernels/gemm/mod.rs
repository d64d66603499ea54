//! Matrix products of an affine map and its gradients, on one of several paths.
//!
//! [`Gemm`] is what the blocks of the network ask for; [`portable::F32`] answers with the `gemm` crate, [`bf16::Bf16`]
//! with own kernels. In: activations as [`Rows`] of the path's element, weights as [`Linear`]. Out: f32. Which path a
//! process takes is [`super::path`]'s matter.
//!
//! On every path an element of a product is one sum in one order, whatever the number of threads.

#[cfg(not(target_arch = "x86_64"))]
mod absent;
#[cfg(target_arch = "x86_64")]
pub mod amx;
#[cfg(target_arch = "x86_64")]
pub mod avx512;
pub mod bf16;
pub mod layout;
pub mod portable;
pub mod weight;

use super::buffer::{Buffer, Pooled};
use weight::Linear;

/// What becomes of the values already in the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Store {
    /// They are overwritten.
    Overwrite,
    /// The product is added to them.
    Add,
}

/// A number as it enters products.
pub trait Element: Pooled + std::fmt::Debug {
    /// Rounds to nearest, ties to even.
    fn round(x: &[f32], out: &mut [Self]);
    /// Exact.
    fn widen(x: &[Self], out: &mut [f32]);
}

/// (rows × width) elements, each row followed by zeros up to the stride that the path's kernels want.
#[derive(Debug, Default)]
pub struct Rows<E: Element> {
    values: Buffer<E>,
    n_rows: usize,
    width: usize,
    stride: usize,
}

impl<E: Element> Rows<E> {
    /// Rows whose values are still to be written through [`Rows::row_mut`].
    pub fn new<G: Gemm<Element = E>>(_: G, n_rows: usize, width: usize) -> Self {
        let stride = G::stride(width);
        let values = if stride == width {
            Buffer::new(n_rows * stride)
        } else {
            Buffer::zeros(n_rows * stride)
        };
        Self {
            values,
            n_rows,
            width,
            stride,
        }
    }

    /// Rounds x (rows × width).
    pub fn of<G: Gemm<Element = E>>(gemm: G, x: &[f32], width: usize) -> Self {
        let mut rows = Self::new(gemm, x.len() / width, width);
        for (row, x) in x.chunks_exact(width).enumerate() {
            E::round(x, rows.row_mut(row));
        }
        rows
    }

    /// One row, (width).
    pub fn row_mut(&mut self, row: usize) -> &mut [E] {
        &mut self.values[row * self.stride..][..self.width]
    }

    /// One row, (width).
    pub fn row(&self, row: usize) -> &[E] {
        &self.values[row * self.stride..][..self.width]
    }

    /// The rows at `numbers`, in their order.
    pub fn select<G: Gemm<Element = E>>(&self, gemm: G, numbers: &[u32]) -> Self {
        let mut rows = Self::new(gemm, numbers.len(), self.width);
        for (row, &number) in numbers.iter().enumerate() {
            rows.row_mut(row).copy_from_slice(self.row(number as usize));
        }
        rows
    }

    /// Number of rows.
    pub fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// Elements of a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// From one row to the next, in elements.
    pub fn stride(&self) -> usize {
        self.stride
    }

    /// All values with the zeros between rows, (rows × stride).
    pub fn values(&self) -> &[E] {
        &self.values
    }
}

/// The weight gradient of one affine map: `gradient (out × in) += dyᵀ x`, summed over all tasks.
#[derive(Debug)]
pub struct WeightGradient<'a, G: Gemm> {
    /// Which of the inputs.
    pub input: usize,
    /// Gradients of the output, one a task; each with as many rows as the input's.
    pub dy: Vec<&'a G::Left>,
    /// Added to.
    pub gradient: &'a mut [f32],
}

/// One way to compute products.
pub trait Gemm: Copy + Send + Sync + std::fmt::Debug + 'static {
    /// What activations are rounded to.
    type Element: Element;

    /// Gradients of an output, as the weight gradient reads them.
    type Left: Send + Sync + std::fmt::Debug;

    /// Inputs, as the weight gradient reads them.
    type Right: Send + Sync + std::fmt::Debug;

    /// Tokens of one task that suit the caches and the kernels.
    const GROUP: usize;

    /// Elements from one row of `width` to the next.
    fn stride(width: usize) -> usize;

    /// `y (rows × out) = x Wᵀ + b`.
    fn forward(self, x: &Rows<Self::Element>, linear: &Linear, y: &mut [f32]);

    /// `dx (rows × in) = dy W`, or added to it.
    fn input_gradient(self, dy: &Rows<Self::Element>, linear: &Linear, dx: &mut [f32], into: Store);

    /// Lays gradients of an output out for the weight gradient, while they are still in the caches.
    fn left(self, dy: Rows<Self::Element>) -> Self::Left;

    /// Lays inputs out for the weight gradient, while they are still in the caches.
    fn right(self, x: Rows<Self::Element>) -> Self::Right;

    /// All `products` in one parallel go. `inputs`: x of each map, by tasks as dy.
    fn weight_gradients(self, inputs: &[Vec<&Self::Right>], products: Vec<WeightGradient<Self>>);
}

#[cfg(test)]
mod tests;
