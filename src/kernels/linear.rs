//! The affine map of small heads, forward and backward: in f32 whatever the path.
//!
//! In: slices (rows × width) and weights. Out: slices. The blocks of the network go through [`super::gemm::Gemm`].

use super::gemm::Store;
use super::gemm::portable::{Operand, matmul};
use super::rows;

pub use super::gemm::weight::{Linear, LinearGradient};

impl Linear<'_> {
    /// x (rows × in) to y (rows × out).
    pub fn forward(&self, x: &[f32]) -> Vec<f32> {
        let n_rows = x.len() / self.n_in();
        let mut y = Vec::with_capacity(n_rows * self.n_out());
        for _ in 0..n_rows {
            y.extend_from_slice(self.bias);
        }
        let (x, weight) = (Operand::Plain(x), Operand::Transposed(self.weight));
        matmul(
            n_rows,
            self.n_out(),
            self.n_in(),
            x,
            weight,
            &mut y,
            Store::Add,
        );
        y
    }

    /// From dy (rows × out): adds to the gradients, and writes or adds dx (rows × in).
    pub fn backward(
        &self,
        x: &[f32],
        dy: &[f32],
        gradient: LinearGradient,
        dx: &mut [f32],
        into: Store,
    ) {
        let (n_in, n_out) = (self.n_in(), self.n_out());
        let n_rows = x.len() / n_in;
        matmul(
            n_rows,
            n_in,
            n_out,
            Operand::Plain(dy),
            Operand::Plain(self.weight),
            dx,
            into,
        );
        let (dy_transposed, x) = (Operand::Transposed(dy), Operand::Plain(x));
        matmul(
            n_out,
            n_in,
            n_rows,
            dy_transposed,
            x,
            gradient.weight,
            Store::Add,
        );
        rows::add_column_sums(dy, gradient.bias);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::gemm::weight::PackedWeight;
    use crate::kernels::naive;

    #[test]
    fn forward_and_backward_equal_their_naive_twins() {
        for (n_rows, n_in, n_out) in [(1, 1, 1), (5, 3, 7), (70, 33, 19)] {
            let (weight, bias) = (naive::values(n_out * n_in, 1), naive::values(n_out, 2));
            let (x, dy) = (
                naive::values(n_rows * n_in, 3),
                naive::values(n_rows * n_out, 4),
            );
            let linear = Linear {
                weight: &weight,
                bias: &bias,
                packed: &PackedWeight::default(),
            };
            let mut expected = naive::matmul(
                &x,
                &naive::transpose(&weight, n_out, n_in),
                n_rows,
                n_out,
                n_in,
            );
            for row in expected.chunks_mut(n_out) {
                row.iter_mut().zip(&bias).for_each(|(y, b)| *y += b);
            }
            naive::assert_close(&linear.forward(&x), &expected, 1e-5);

            let (mut d_weight, mut d_bias) = (vec![1.0; n_out * n_in], vec![1.0; n_out]);
            let mut dx = vec![0.0; n_rows * n_in];
            let gradient = LinearGradient {
                weight: &mut d_weight,
                bias: &mut d_bias,
            };
            linear.backward(&x, &dy, gradient, &mut dx, Store::Overwrite);
            naive::assert_close(&dx, &naive::matmul(&dy, &weight, n_rows, n_in, n_out), 1e-5);
            let mut expected = naive::matmul(
                &naive::transpose(&dy, n_rows, n_out),
                &x,
                n_out,
                n_in,
                n_rows,
            );
            expected.iter_mut().for_each(|g| *g += 1.0);
            naive::assert_close(&d_weight, &expected, 1e-5);
            let ones = vec![1.0; n_rows];
            let mut expected = naive::matmul(&ones, &dy, 1, n_out, n_rows);
            expected.iter_mut().for_each(|g| *g += 1.0);
            naive::assert_close(&d_bias, &expected, 1e-5);
        }
    }
}
