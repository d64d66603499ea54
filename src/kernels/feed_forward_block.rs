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
