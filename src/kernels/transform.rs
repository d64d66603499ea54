//! The MLM head before its decoder: `LN(gelu(W x + b))`, row by row.
//!
//! In: x (N × H). Out: (N × H).

use super::gelu;
use super::gemm::Into;
use super::layer_norm::{LayerNorm, LayerNormGradient, Normalised};
use super::linear::{Linear, LinearGradient};

/// Weights of the transform.
#[derive(Debug, Clone, Copy)]
pub struct Transform<'a> {
    /// W, (H × H).
    pub dense: Linear<'a>,
    /// After the GELU.
    pub norm: LayerNorm<'a>,
}

/// Gradients of the transform's weights, added to.
#[derive(Debug)]
pub struct TransformGradient<'a> {
    /// Of W.
    pub dense: LinearGradient<'a>,
    /// Of the norm.
    pub norm: LayerNormGradient<'a>,
}

/// What backward needs of a forward.
#[derive(Debug)]
pub struct Saved {
    before_gelu: Vec<f32>,
    normalised: Normalised,
}

impl Transform<'_> {
    /// Output (N × H), and what backward needs.
    pub fn forward(&self, x: &[f32]) -> (Vec<f32>, Saved) {
        let before_gelu = self.dense.forward(x);
        let mut after_gelu = vec![0.0; before_gelu.len()];
        gelu::forward(&before_gelu, &mut after_gelu);
        let (y, normalised) = self.norm.forward(after_gelu);
        (
            y,
            Saved {
                before_gelu,
                normalised,
            },
        )
    }

    /// From dy (N × H), which it takes over: adds to the gradients and to dx.
    pub fn backward(
        &self,
        x: &[f32],
        saved: &Saved,
        mut dy: Vec<f32>,
        gradient: TransformGradient,
        dx: &mut [f32],
    ) {
        self.norm
            .backward(&saved.normalised, &mut dy, gradient.norm);
        gelu::backward(&saved.before_gelu, &mut dy);
        self.dense.backward(x, &dy, gradient.dense, dx, Into::Add);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::naive;

    fn naive_transform(arrays: &[Vec<f32>]) -> Vec<f32> {
        let inner = naive::gelu(&naive::linear(&arrays[0], &arrays[1], &arrays[2]));
        naive::layer_norm(&inner, &arrays[3], &arrays[4], 1e-3)
    }

    #[test]
    fn forward_and_backward_equal_their_naive_twin() {
        // x (3 × 5), then weight and bias of dense (5 × 5) and norm.
        let arrays: Vec<Vec<f32>> = [15, 25, 5, 5, 5]
            .iter()
            .zip(1..)
            .map(|(&n, seed)| naive::values(n, seed))
            .collect();
        let transform = Transform {
            dense: Linear {
                weight: &arrays[1],
                bias: &arrays[2],
            },
            norm: LayerNorm {
                weight: &arrays[3],
                bias: &arrays[4],
                epsilon: 1e-3,
            },
        };
        let (y, saved) = transform.forward(&arrays[0]);
        naive::assert_close(&y, &naive_transform(&arrays), 2e-5);

        let dy = naive::values(y.len(), 99);
        let mut gradients: Vec<Vec<f32>> =
            arrays.iter().map(|array| vec![0.0; array.len()]).collect();
        let [dx, dw, db, nw, nb] = &mut gradients[..] else {
            unreachable!("five arrays")
        };
        let gradient = TransformGradient {
            dense: LinearGradient {
                weight: dw,
                bias: db,
            },
            norm: LayerNormGradient {
                weight: nw,
                bias: nb,
            },
        };
        transform.backward(&arrays[0], &saved, dy.clone(), gradient, dx);
        naive::assert_gradients(&arrays, &gradients, &dy, naive_transform);
    }
}
