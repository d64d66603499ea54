//! The feed-forward half of a BERT layer: two projections around a GELU, dropout, residual sum, norm.
//!
//! In: x (T × H). Out: `LN(x + dropout(W_2 gelu(W_1 x + b_1) + b_2))`, (T × H).

use super::dropout::Dropout;
use super::gelu;
use super::gemm::Into;
use super::layer_norm::{LayerNorm, LayerNormGradient, Normalised};
use super::linear::{Linear, LinearGradient};
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
    /// Dropout of the second projection.
    pub dropout: Option<Dropout>,
}

/// Gradients of the block's weights, added to.
#[derive(Debug)]
pub struct FeedForwardBlockGradient<'a> {
    /// Of W_1.
    pub intermediate: LinearGradient<'a>,
    /// Of W_2.
    pub output: LinearGradient<'a>,
    /// Of the norm.
    pub norm: LayerNormGradient<'a>,
}

/// What backward needs of a forward.
#[derive(Debug)]
pub struct Saved {
    before_gelu: Vec<f32>,
    after_gelu: Vec<f32>,
    normalised: Normalised,
}

impl FeedForwardBlock<'_> {
    /// Output (T × H), and what backward needs.
    pub fn forward(&self, x: &[f32]) -> (Vec<f32>, Saved) {
        let before_gelu = self.intermediate.forward(x);
        let mut after_gelu = vec![0.0; before_gelu.len()];
        gelu::forward(&before_gelu, &mut after_gelu);
        let mut sum = self.output.forward(&after_gelu);
        if let Some(dropout) = self.dropout {
            dropout.apply(&mut sum);
        }
        rows::add(&mut sum, x);
        let (y, normalised) = self.norm.forward(sum);
        (
            y,
            Saved {
                before_gelu,
                after_gelu,
                normalised,
            },
        )
    }

    /// From dy (T × H), which it takes over: adds to the gradients and to dx.
    pub fn backward(
        &self,
        x: &[f32],
        saved: &Saved,
        mut dy: Vec<f32>,
        gradient: FeedForwardBlockGradient,
        dx: &mut [f32],
    ) {
        self.norm
            .backward(&saved.normalised, &mut dy, gradient.norm);
        rows::add(dx, &dy); // the residual path
        if let Some(dropout) = self.dropout {
            dropout.apply(&mut dy);
        }
        let mut d_inner = vec![0.0; saved.after_gelu.len()];
        self.output.backward(
            &saved.after_gelu,
            &dy,
            gradient.output,
            &mut d_inner,
            Into::Overwrite,
        );
        gelu::backward(&saved.before_gelu, &mut d_inner);
        self.intermediate
            .backward(x, &d_inner, gradient.intermediate, dx, Into::Add);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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

    fn naive_block(arrays: &[Vec<f32>], dropout: Option<Dropout>) -> Vec<f32> {
        let inner = naive::gelu(&naive::linear(&arrays[0], &arrays[1], &arrays[2]));
        let branch = naive::linear(&inner, &arrays[3], &arrays[4]);
        let sum = naive::residual(&branch, &naive::factors(dropout, branch.len()), &arrays[0]);
        naive::layer_norm(&sum, &arrays[5], &arrays[6], f64::from(EPSILON))
    }

    #[test]
    fn forward_and_backward_equal_their_naive_twin() {
        for dropout in [None, Dropout::new(0.3, Key::from_seed(1))] {
            let arrays = arrays();
            let block = FeedForwardBlock {
                intermediate: Linear {
                    weight: &arrays[1],
                    bias: &arrays[2],
                },
                output: Linear {
                    weight: &arrays[3],
                    bias: &arrays[4],
                },
                norm: LayerNorm {
                    weight: &arrays[5],
                    bias: &arrays[6],
                    epsilon: EPSILON,
                },
                dropout,
            };
            let (y, saved) = block.forward(&arrays[0]);
            naive::assert_close(&y, &naive_block(&arrays, dropout), 2e-5);

            let dy = naive::values(y.len(), 99);
            let mut gradients: Vec<Vec<f32>> =
                arrays.iter().map(|array| vec![0.0; array.len()]).collect();
            let [dx, iw, ib, ow, ob, nw, nb] = &mut gradients[..] else {
                unreachable!("seven arrays")
            };
            let gradient = FeedForwardBlockGradient {
                intermediate: LinearGradient {
                    weight: iw,
                    bias: ib,
                },
                output: LinearGradient {
                    weight: ow,
                    bias: ob,
                },
                norm: LayerNormGradient {
                    weight: nw,
                    bias: nb,
                },
            };
            block.backward(&arrays[0], &saved, dy.clone(), gradient, dx);
            naive::assert_gradients(&arrays, &gradients, &dy, |arrays| {
                naive_block(arrays, dropout)
            });
        }
    }
}
