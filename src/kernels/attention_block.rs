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
