//! Arithmetic on slices: everything the network computes, forward and backward.
//!
//! In: row-major slices and sizes; out: slices. Knows nothing of dfdx, files or configuration.
//! The naive twin of each kernel stands in its tests.
//!
//! Two rules make results the same bytes for any number of threads: work is cut into tasks by the batch and the sizes
//! alone ([`rows::n_tasks`]), and sums over tasks are made in their order, whoever computed them.
//! Matrix products go one of several ways ([`path`], [`gemm`]), each with bytes of its own. All other vector code is
//! ordinary loops, compiled once for each instruction set and chosen when first called (`multiversion`).
//!
//! Sizes: T packed tokens, H hidden, E embeddings (H but in ALBERT), A heads, I intermediate, V vocabulary, N target positions.

pub mod adamw;
pub mod attention;
pub mod attention_block;
pub mod buffer;
pub mod cached_attention;
pub mod cross_entropy;
pub mod denormals;
pub mod dropout;
pub mod embedding;
pub mod encoder;
pub mod feed_forward_block;
pub mod gelu;
pub mod gemm;
pub mod head;
pub mod layer_norm;
pub mod linear;
pub mod panels;
pub mod path;
pub mod relative;
pub mod rotary;
pub mod rows;
pub mod tanh;
pub mod vector;

#[cfg(test)]
pub(crate) mod naive;

/// Gradients of an affine map, or of a norm: weight (or γ) and bias (or β).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AffineGradient {
    /// As the weight.
    pub weight: Vec<f32>,
    /// As the bias.
    pub bias: Vec<f32>,
}
