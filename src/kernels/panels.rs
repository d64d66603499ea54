//! Products with a fixed matrix whose every element is one sum in one order, whatever other rows are computed with it.
//!
//! In: rows. Out: their products with each row of the matrix. Slower than [`super::gemm`], whose last digits depend on how many
//! rows are multiplied at a time. For codes: a vector has the same one alone and among a million others.

use multiversion::multiversion;

use super::vector;

/// Rows of the matrix that are multiplied together.
const PANEL: usize = 64;

/// A matrix, laid out for products.
#[derive(Debug, Clone)]
pub struct Panels {
    n: usize,
    width: usize,
    /// Panels of up to 64 rows, each as [`vector::transpose`] lays it out.
    values: Vec<Vec<f32>>,
}

impl Panels {
    /// Of a `matrix` (n × width), row-major.
    ///
    /// # Panics
    /// Where it has no whole rows.
    pub fn new(matrix: &[f32], width: usize) -> Self {
        assert!(
            width > 0 && matrix.len().is_multiple_of(width),
            "whole rows"
        );
        let panels = matrix.chunks(PANEL * width).map(|rows| {
            let n = rows.len() / width;
            let mut columns = vec![0.0; width * vector::padded(n)];
            transpose(rows, (n, width), &mut columns);
            columns
        });
        Self {
            n: matrix.len() / width,
            width,
            values: panels.collect(),
        }
    }

    /// Rows of the matrix.
    pub fn n(&self) -> usize {
        self.n
    }

    /// `y (rows × n) = x (rows × width) · matrixᵀ`, on this thread.
    ///
    /// # Panics
    /// Where x and y have not as many rows.
    pub fn product(&self, x: &[f32], y: &mut [f32]) {
        let n_rows = x.len() / self.width;
        assert_eq!((x.len(), y.len()), (n_rows * self.width, n_rows * self.n));
        let mut products = vec![0.0; n_rows * PANEL];
        for (number, columns) in self.values.iter().enumerate() {
            let n = PANEL.min(self.n - number * PANEL);
            let products = &mut products[..n_rows * n];
            dots(x, (n_rows, n, self.width), columns, products);
            for (y, products) in y.chunks_exact_mut(self.n).zip(products.chunks_exact(n)) {
                y[number * PANEL..][..n].copy_from_slice(products);
            }
        }
    }
}

#[multiversion(targets = "simd")]
fn transpose(rows: &[f32], (n, width): (usize, usize), out: &mut [f32]) {
    vector::transpose((rows, width), (n, width), out);
}

#[multiversion(targets = "simd")]
fn dots(rows: &[f32], sizes: (usize, usize, usize), columns: &[f32], out: &mut [f32]) {
    vector::dots((rows, sizes.2), sizes, columns, 1.0, out);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::naive;

    #[test]
    fn equals_its_naive_twin_and_a_row_alone_to_the_bit() {
        for (n_rows, n, width) in [(1, 1, 1), (7, 64, 5), (13, 65, 33), (50, 200, 70)] {
            let (x, matrix) = (
                naive::values(n_rows * width, 1),
                naive::values(n * width, 2),
            );
            let panels = Panels::new(&matrix, width);
            let mut y = vec![f32::NAN; n_rows * n];
            panels.product(&x, &mut y);
            let columns = naive::transpose(&matrix, n, width);
            naive::assert_close(&y, &naive::matmul(&x, &columns, n_rows, n, width), 1e-5);
            for (x, y) in x.chunks(width).zip(y.chunks(n)) {
                let mut alone = vec![f32::NAN; n];
                panels.product(x, &mut alone);
                assert_eq!(alone, y);
            }
        }
    }
}
