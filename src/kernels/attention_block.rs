//! The attention half of a BERT layer: projections, attention, output projection, dropout, residual sum, norm.
//!
//! In: x (T × H). Out: `LN(x + dropout(W_o context + b_o))`, (T × H).

use super::attention::{Attention, Probabilities, QkvGradient};
use super::dropout::Dropout;
use super::gemm::Into;
use super::layer_norm::{LayerNorm, LayerNormGradient, Normalised};
use super::linear::{Linear, LinearGradient};
use super::rows;

/// Weights and sizes of the block.
#[derive(Debug, Clone, Copy)]
pub struct AttentionBlock<'a> {
    /// W_q, (H × H).
    pub query: Linear<'a>,
    /// W_k, (H × H).
    pub key: Linear<'a>,
    /// W_v, (H × H).
    pub value: Linear<'a>,
    /// W_o, (H × H).
    pub output: Linear<'a>,
    /// After the residual sum.
    pub norm: LayerNorm<'a>,
    /// Rows, heads and the dropout of probabilities.
    pub attention: Attention<'a>,
    /// Dropout of the output projection.
    pub dropout: Option<Dropout>,
}

/// Gradients of the block's weights, added to.
#[derive(Debug)]
pub struct AttentionBlockGradient<'a> {
    /// Of W_q.
    pub query: LinearGradient<'a>,
    /// Of W_k.
    pub key: LinearGradient<'a>,
    /// Of W_v.
    pub value: LinearGradient<'a>,
    /// Of W_o.
    pub output: LinearGradient<'a>,
    /// Of the norm.
    pub norm: LayerNormGradient<'a>,
}

/// What backward needs of a forward.
#[derive(Debug)]
pub struct Saved {
    query: Vec<f32>,
    key: Vec<f32>,
    value: Vec<f32>,
    probabilities: Probabilities,
    context: Vec<f32>,
    normalised: Normalised,
}

impl AttentionBlock<'_> {
    /// Output (T × H), and what backward needs.
    pub fn forward(&self, x: &[f32]) -> (Vec<f32>, Saved) {
        let (query, key, value) = (
            self.query.forward(x),
            self.key.forward(x),
            self.value.forward(x),
        );
        let (context, probabilities) = self.attention.forward(&query, &key, &value);
        let mut sum = self.output.forward(&context);
        if let Some(dropout) = self.dropout {
            dropout.apply(&mut sum);
        }
        rows::add(&mut sum, x);
        let (y, normalised) = self.norm.forward(sum);
        (
            y,
            Saved {
                query,
                key,
                value,
                probabilities,
                context,
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
        gradient: AttentionBlockGradient,
        dx: &mut [f32],
    ) {
        self.norm
            .backward(&saved.normalised, &mut dy, gradient.norm);
        rows::add(dx, &dy); // the residual path
        if let Some(dropout) = self.dropout {
            dropout.apply(&mut dy);
        }
        let mut d_context = vec![0.0; x.len()];
        self.output.backward(
            &saved.context,
            &dy,
            gradient.output,
            &mut d_context,
            Into::Overwrite,
        );
        let Saved {
            query,
            key,
            value,
            probabilities,
            ..
        } = saved;
        let QkvGradient {
            query: dq,
            key: dk,
            value: dv,
        } = self
            .attention
            .backward(query, key, value, probabilities, &d_context);
        self.query.backward(x, &dq, gradient.query, dx, Into::Add);
        self.key.backward(x, &dk, gradient.key, dx, Into::Add);
        self.value.backward(x, &dv, gradient.value, dx, Into::Add);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::naive;
    use crate::random::Key;

    const HIDDEN: usize = 6;
    const HEADS: usize = 2;
    const OFFSETS: [usize; 4] = [0, 1, 4, 9];
    const EPSILON: f32 = 1e-3;

    /// x, then weight and bias of query, key, value, output, norm.
    fn arrays() -> Vec<Vec<f32>> {
        let sizes = [9 * HIDDEN, 36, 6, 36, 6, 36, 6, 36, 6, 6, 6];
        sizes
            .iter()
            .zip(1..)
            .map(|(&n, seed)| naive::values(n, seed))
            .collect()
    }

    fn block(arrays: &[Vec<f32>], dropouts: [Option<Dropout>; 2]) -> AttentionBlock<'_> {
        let linear = |i: usize| Linear {
            weight: &arrays[i],
            bias: &arrays[i + 1],
        };
        AttentionBlock {
            query: linear(1),
            key: linear(3),
            value: linear(5),
            output: linear(7),
            norm: LayerNorm {
                weight: &arrays[9],
                bias: &arrays[10],
                epsilon: EPSILON,
            },
            attention: Attention {
                offsets: &OFFSETS,
                hidden: HIDDEN,
                heads: HEADS,
                dropout: dropouts[0],
            },
            dropout: dropouts[1],
        }
    }

    fn naive_block(arrays: &[Vec<f32>], dropouts: [Option<Dropout>; 2]) -> Vec<f32> {
        let linear = |x: &[f32], i: usize| naive::linear(x, &arrays[i], &arrays[i + 1]);
        let x = &arrays[0];
        let (q, k, v) = (linear(x, 1), linear(x, 3), linear(x, 5));
        let factors = naive::factors(dropouts[0], 2 * (4 + 12 + 28)); // rows of 1, 3 and 5 tokens, two heads
        let context = naive::attention(&OFFSETS, (HIDDEN, HEADS), [&q, &k, &v], &factors);
        let sum = naive::residual(
            &linear(&context, 7),
            &naive::factors(dropouts[1], x.len()),
            x,
        );
        naive::layer_norm(&sum, &arrays[9], &arrays[10], f64::from(EPSILON))
    }

    #[test]
    fn forward_and_backward_equal_their_naive_twin() {
        let dropout = |seed| Dropout::new(0.3, Key::from_seed(seed));
        for dropouts in [[None, None], [dropout(1), dropout(2)]] {
            let arrays = arrays();
            let block = block(&arrays, dropouts);
            let (y, saved) = block.forward(&arrays[0]);
            naive::assert_close(&y, &naive_block(&arrays, dropouts), 2e-5);

            let dy = naive::values(y.len(), 99);
            let mut gradients: Vec<Vec<f32>> =
                arrays.iter().map(|array| vec![0.0; array.len()]).collect();
            let [dx, qw, qb, kw, kb, vw, vb, ow, ob, nw, nb] = &mut gradients[..] else {
                unreachable!("eleven arrays")
            };
            let gradient = AttentionBlockGradient {
                query: LinearGradient {
                    weight: qw,
                    bias: qb,
                },
                key: LinearGradient {
                    weight: kw,
                    bias: kb,
                },
                value: LinearGradient {
                    weight: vw,
                    bias: vb,
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
                naive_block(arrays, dropouts)
            });
        }
    }
}
