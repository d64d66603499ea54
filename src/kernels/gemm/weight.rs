//! The weights of an affine map `y = x Wᵀ + b`, as in the checkpoint (out × in) and as the kernels want them.
//!
//! Views and memory alone: [`super::Gemm`] multiplies by them in the blocks of the network, [`crate::kernels::linear`] in small heads.

use super::layout::Panels;
use crate::kernels::layer_norm::LayerNorm;

/// Weights of one affine map.
#[derive(Debug, Clone, Copy)]
pub struct Linear<'a> {
    /// (out × in), row-major.
    pub weight: &'a [f32],
    /// (out).
    pub bias: &'a [f32],
    /// The weight as the path's kernels want it.
    pub packed: &'a PackedWeight,
}

/// Gradients of one affine map, added to.
#[derive(Debug)]
pub struct LinearGradient<'a> {
    /// (out × in).
    pub weight: &'a mut [f32],
    /// (out).
    pub bias: &'a mut [f32],
}

impl<'a> Linear<'a> {
    /// A norm with this weight as γ and this bias as β.
    pub fn as_norm(&self, epsilon: f32) -> LayerNorm<'a> {
        LayerNorm {
            weight: self.weight,
            bias: self.bias,
            epsilon,
        }
    }

    /// Width of the output.
    pub fn n_out(&self) -> usize {
        self.bias.len()
    }

    /// Width of the input.
    pub fn n_in(&self) -> usize {
        self.weight.len() / self.bias.len()
    }
}

/// The weight of an affine map as right operand of both directions. Empty on paths that do without.
#[derive(Debug, Default)]
pub struct PackedWeight {
    /// Wᵀ, (in × out): `y = x Wᵀ`.
    pub(super) forward: Panels,
    /// W, (out × in): `dx = dy W`.
    pub(super) backward: Panels,
}
