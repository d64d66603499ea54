//! The feed-forward half of a BERT layer: two projections around a GELU, dropout, residual sum, norm.
//!
//! In: x (T × H) of some consecutive rows of a batch. Out: `LN(x + dropout(W_2 gelu(W_1 x + b_1) + b_2))`, (T × H). One
//! task of one thread: everything between x and y stays in its caches.

use super::buffer::Buffer;
use super::dropout::Dropout;
use super::gelu::Gelu;
use super::gemm::{Element, Gemm, Rows, Store};
use super::layer_norm::{LayerNorm, LayerNormGradient, Normalised};
use super::linear::Linear;
use super::rows;

/// Weights of the block.
#[derive(Debug, Clone, Copy)]
pub struct FeedForwardBlock<'a> {
    /// W_1, (I × H).
    pub intermediate: Linear<'a>,
    /// W_2, (H × I).
    pub output: Linear<'a>,
    /// After the residual sum.
    pub norm: LayerNorm<'a>,
    /// Between the two.
    pub gelu: Gelu,
}

/// The rows that a task has, and their dropout.
#[derive(Debug, Clone, Copy)]
pub struct FeedForwardTask<'a> {
    /// Row r holds tokens `offsets[r]..offsets[r + 1]`.
    pub offsets: &'a [usize],
    /// Number of row 0 in the batch: names its dropout mask.
    pub first_row: usize,
    /// Dropout of the second projection.
    pub dropout: Option<Dropout>,
}

/// What backward needs of a forward.
#[derive(Debug)]
pub struct SavedFeedForward<G: Gemm> {
    /// Input of W_1.
    pub x: G::Right,
    before_gelu: Rows<G::Element>,
    /// Input of W_2.
    pub after_gelu: G::Right,
    normalised: Normalised,
}

/// What a backward leaves for the gradients of the weights.
#[derive(Debug)]
pub struct OutputGradients<G: Gemm> {
    /// Of W_1's output.
    pub intermediate: G::Left,
    /// Of W_2's output.
    pub output: G::Left,
    /// Gradients of b_1 (I), of b_2, γ and β (3 × H).
    pub vectors: Buffer<f32>,
}

impl FeedForwardBlock<'_> {
    /// Output (T × H), and what backward needs.
    pub fn forward<G: Gemm>(
        &self,
        gemm: G,
        task: &FeedForwardTask,
        x: &[f32],
    ) -> (Buffer<f32>, SavedFeedForward<G>) {
        let (n_hidden, n_inner) = (self.intermediate.n_in(), self.intermediate.n_out());
        let inputs = Rows::of(gemm, x, n_hidden);
        let n_rows = inputs.n_rows();
        let mut inner = Buffer::new(n_rows * n_inner);
        gemm.forward(&inputs, &self.intermediate, &mut inner);
        let mut before_gelu = Rows::new(gemm, n_rows, n_inner);
        let mut after_gelu = Rows::new(gemm, n_rows, n_inner);
        let mut activated = Buffer::new(n_inner);
        for (row, inner) in inner.chunks_exact(n_inner).enumerate() {
            Element::round(inner, before_gelu.row_mut(row));
            self.gelu.forward(inner, &mut activated);
            Element::round(&activated, after_gelu.row_mut(row));
        }
        let mut sum = Buffer::new(x.len());
        gemm.forward(&after_gelu, &self.output, &mut sum);
        task.drop_out(&mut sum, n_hidden);
        rows::add(&mut sum, x);
        let (y, normalised) = self.norm.forward(sum);
        let saved = SavedFeedForward {
            x: gemm.right(inputs),
            before_gelu,
            after_gelu: gemm.right(after_gelu),
            normalised,
        };
        (y, saved)
    }

    /// From dy (T × H), which it takes over, to dx (T × H).
    pub fn backward<G: Gemm>(
        &self,
        gemm: G,
        task: &FeedForwardTask,
        saved: &SavedFeedForward<G>,
        mut dy: Buffer<f32>,
    ) -> (Buffer<f32>, OutputGradients<G>) {
        let (n_hidden, n_inner) = (self.intermediate.n_in(), self.intermediate.n_out());
        let mut vectors = Buffer::zeros(n_inner + 3 * n_hidden);
        let [d_inner_bias, d_output_bias, weight, bias] =
            rows::parts(&mut vectors, [n_inner, n_hidden, n_hidden, n_hidden]);
        let gradient = LayerNormGradient { weight, bias };
        self.norm.backward(&saved.normalised, &mut dy, gradient);
        let mut dx = Buffer::from_slice(&dy); // the residual path
        task.drop_out(&mut dy, n_hidden);
        rows::add_column_sums(&dy, d_output_bias);
        let output = Rows::of(gemm, &dy, n_hidden);

        let n_rows = output.n_rows();
        let mut d_inner = Buffer::new(n_rows * n_inner);
        gemm.input_gradient(&output, &self.output, &mut d_inner, Store::Overwrite);
        let mut intermediate = Rows::new(gemm, n_rows, n_inner);
        let mut before_gelu = Buffer::new(n_inner);
        for (row, d_inner) in d_inner.chunks_exact_mut(n_inner).enumerate() {
            Element::widen(saved.before_gelu.row(row), &mut before_gelu);
            self.gelu.backward(&before_gelu, d_inner);
            rows::add(d_inner_bias, d_inner);
            Element::round(d_inner, intermediate.row_mut(row));
        }
        gemm.input_gradient(&intermediate, &self.intermediate, &mut dx, Store::Add);
        let gradients = OutputGradients {
            intermediate: gemm.left(intermediate),
            output: gemm.left(output),
            vectors,
        };
        (dx, gradients)
    }
}

impl FeedForwardTask<'_> {
    fn drop_out(&self, values: &mut [f32], width: usize) {
        if let Some(dropout) = self.dropout {
            dropout.apply_to_rows(values, self.offsets, width, self.first_row);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::gemm::WeightGradient;
    use crate::kernels::gemm::portable::F32;
    use crate::kernels::gemm::weight::PackedWeight;
    use crate::kernels::naive;
    use crate::random::Key;

    const EPSILON: f32 = 1e-3;

    /// x (3 × 5), then weight and bias of intermediate (7 × 5), output (5 × 7), norm.
    fn arrays() -> Vec<Vec<f32>> {
        [15, 35, 7, 35, 5, 5, 5]
            .iter()
            .zip(1..)
            .map(|(&n, seed)| naive::values(n, seed))
            .collect()
    }

    fn naive_block(arrays: &[Vec<f32>], task: &FeedForwardTask, gelu: Gelu) -> Vec<f32> {
        let inner = naive::linear(&arrays[0], &arrays[1], &arrays[2]);
        let inner = match gelu {
            Gelu::Erf => naive::gelu(&inner),
            Gelu::Tanh => naive::gelu_tanh(&inner),
        };
        let branch = naive::linear(&inner, &arrays[3], &arrays[4]);
        let mut factors = vec![1.0; branch.len()];
        task.drop_out(&mut factors, 5);
        let sum = naive::residual(&branch, &factors, &arrays[0]);
        naive::layer_norm(&sum, &arrays[5], &arrays[6], f64::from(EPSILON))
    }

    #[test]
    fn forward_and_backward_equal_their_naive_twin() {
        let dropout = Dropout::new(0.3, Key::from_seed(1));
        for (dropout, gelu) in [
            (None, Gelu::Erf),
            (dropout, Gelu::Erf),
            (dropout, Gelu::Tanh),
        ] {
            let (arrays, packed) = (arrays(), PackedWeight::default());
            let linear = |i: usize| Linear {
                weight: &arrays[i],
                bias: &arrays[i + 1],
                packed: &packed,
            };
            let block = FeedForwardBlock {
                intermediate: linear(1),
                output: linear(3),
                norm: LayerNorm {
                    weight: &arrays[5],
                    bias: &arrays[6],
                    epsilon: EPSILON,
                },
                gelu,
            };
            let task = FeedForwardTask {
                offsets: &[0, 1, 3],
                first_row: 4,
                dropout,
            };
            let (y, saved) = block.forward(F32, &task, &arrays[0]);
            naive::assert_close(&y, &naive_block(&arrays, &task, gelu), 2e-5);

            let dy = naive::values(y.len(), 99);
            let (dx, left) = block.backward(F32, &task, &saved, Buffer::from_slice(&dy));
            let (mut inner, mut outer) = (vec![0.0; 35], vec![0.0; 35]);
            let products = [
                (0, &left.intermediate, &mut inner),
                (1, &left.output, &mut outer),
            ];
            let products = products.map(|(input, dy, gradient)| WeightGradient {
                input,
                dy: vec![dy],
                gradient,
            });
            let inputs = [vec![&saved.x], vec![&saved.after_gelu]];
            F32.weight_gradients(&inputs, products.into());
            let vectors = &left.vectors;
            let gradients = [
                dx.to_vec(),
                inner,
                vectors[..7].to_vec(),
                outer,
                vectors[7..12].to_vec(),
                vectors[12..17].to_vec(),
                vectors[17..].to_vec(),
            ];
            naive::assert_gradients(&arrays, &gradients, &dy, |arrays| {
                naive_block(arrays, &task, gelu)
            });
        }
    }
}
