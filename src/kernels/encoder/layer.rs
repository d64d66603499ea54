//! The parts of a layer by name, and how the gradients of its weights are summed over tasks.

use crate::kernels::gemm::{Gemm, WeightGradient};
use crate::kernels::{AffineGradient, attention_block, feed_forward_block, rows};

/// One thing for each affine map and norm of a layer: weights, or gradients.
#[derive(Debug, Clone, Copy)]
pub struct LayerOf<A> {
    /// W_q.
    pub query: A,
    /// W_k.
    pub key: A,
    /// W_v.
    pub value: A,
    /// W_o.
    pub attention_output: A,
    /// After attention.
    pub attention_norm: A,
    /// W_1.
    pub intermediate: A,
    /// W_2.
    pub output: A,
    /// After the feed-forward half.
    pub output_norm: A,
}

impl<A> LayerOf<A> {
    /// Turns each of the eight into something else, in this order.
    pub fn map<B>(self, mut turn: impl FnMut(A) -> B) -> LayerOf<B> {
        LayerOf {
            query: turn(self.query),
            key: turn(self.key),
            value: turn(self.value),
            attention_output: turn(self.attention_output),
            attention_norm: turn(self.attention_norm),
            intermediate: turn(self.intermediate),
            output: turn(self.output),
            output_norm: turn(self.output_norm),
        }
    }

    /// Shows each of the eight to `see`, beside that of `other`.
    pub fn zip<B>(self, other: LayerOf<B>, mut see: impl FnMut(A, B)) {
        let mut others = Vec::with_capacity(8);
        other.map(|b| others.push(b));
        let mut others = others.into_iter();
        self.map(|a| see(a, others.next().expect("eight of both")));
    }
}

/// What backward needs of both halves.
pub(super) type SavedLayer<G> = (attention_block::Saved<G>, feed_forward_block::Saved<G>);
/// What both halves leave for the gradients of the weights.
pub(super) type LeftLayer<G> = (
    attention_block::OutputGradients<G>,
    feed_forward_block::OutputGradients<G>,
);

/// Adds the gradients of biases and norms, task after task.
pub(super) fn add_vectors<G: Gemm>(left: &[LeftLayer<G>], gradient: &mut LayerOf<AffineGradient>) {
    for (attention, feed_forward) in left {
        let mut vectors = &attention.vectors[..];
        for sum in [
            &mut gradient.query.bias,
            &mut gradient.key.bias,
            &mut gradient.value.bias,
            &mut gradient.attention_output.bias,
            &mut gradient.attention_norm.weight,
            &mut gradient.attention_norm.bias,
        ] {
            let (vector, rest) = vectors.split_at(sum.len());
            rows::add(sum, vector);
            vectors = rest;
        }
        let mut vectors = &feed_forward.vectors[..];
        for sum in [
            &mut gradient.intermediate.bias,
            &mut gradient.output.bias,
            &mut gradient.output_norm.weight,
            &mut gradient.output_norm.bias,
        ] {
            let (vector, rest) = vectors.split_at(sum.len());
            rows::add(sum, vector);
            vectors = rest;
        }
    }
}

/// Adds the gradients of all matrices of a layer.
pub(super) fn add_weights<G: Gemm>(
    gemm: G,
    saved: &[SavedLayer<G>],
    left: &[LeftLayer<G>],
    gradient: &mut LayerOf<AffineGradient>,
) {
    let inputs: [Vec<&G::Right>; 5] = [
        saved.iter().map(|(attention, _)| &attention.x).collect(),
        saved
            .iter()
            .map(|(attention, _)| attention.asking.as_ref().unwrap_or(&attention.x))
            .collect(),
        saved
            .iter()
            .map(|(attention, _)| &attention.context)
            .collect(),
        saved
            .iter()
            .map(|(_, feed_forward)| &feed_forward.x)
            .collect(),
        saved
            .iter()
            .map(|(_, feed_forward)| &feed_forward.after_gelu)
            .collect(),
    ];
    let asking = match saved.first() {
        Some((attention, _)) if attention.asking.is_some() => 1,
        _ => 0,
    };
    let product = |input, dy: fn(&LeftLayer<G>) -> &G::Left, gradient| WeightGradient {
        input,
        dy: left.iter().map(dy).collect(),
        gradient,
    };
    let products = vec![
        product(
            0,
            |(attention, _)| &attention.key,
            &mut gradient.key.weight[..],
        ),
        product(
            0,
            |(attention, _)| &attention.value,
            &mut gradient.value.weight,
        ),
        product(
            asking,
            |(attention, _)| &attention.query,
            &mut gradient.query.weight,
        ),
        product(
            2,
            |(attention, _)| &attention.output,
            &mut gradient.attention_output.weight,
        ),
        product(
            3,
            |(_, feed_forward)| &feed_forward.intermediate,
            &mut gradient.intermediate.weight,
        ),
        product(
            4,
            |(_, feed_forward)| &feed_forward.output,
            &mut gradient.output.weight,
        ),
    ];
    gemm.weight_gradients(&inputs, products);
}
