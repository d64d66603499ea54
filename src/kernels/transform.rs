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
