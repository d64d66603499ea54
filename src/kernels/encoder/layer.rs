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
pub(super) type SavedLayer<G> = (
    attention_block::SavedAttention<G>,
    feed_forward_block::SavedFeedForward<G>,
);
/// What both halves leave for the gradients of the weights.
pub(super) type LeftLayer<G> = (
    attention_block::OutputGradients<G>,
    feed_forward_block::OutputGradients<G>,
);

/// Adds the gradients of a stretch of layers, of which `order` says which of `gradients` is each one's. `saved` and `left` hold, for
/// each task, one entry a layer. What layers share is summed over them in their order, and over the tasks of each.
pub(super) fn add_gradients<G: Gemm>(
    gemm: G,
    order: &[usize],
    saved: &[Vec<SavedLayer<G>>],
    left: &[Vec<LeftLayer<G>>],
    gradients: &mut [LayerOf<AffineGradient>],
) {
    let (mut inputs, mut products) = (Vec::new(), Vec::new());
    for (number, gradient) in gradients.iter_mut().enumerate() {
        let layers = (0..order.len()).filter(|&layer| order[layer] == number);
        let layers: Vec<usize> = layers.collect();
        if layers.is_empty() {
            continue;
        }
        let saved: Vec<_> = layers
            .iter()
            .flat_map(|&layer| saved.iter().map(move |task| &task[layer]))
            .collect();
        let left: Vec<_> = layers
            .iter()
            .flat_map(|&layer| left.iter().map(move |task| &task[layer]))
            .collect();
        add_vectors(&left, gradient);
        add_products(&saved, &left, gradient, (&mut inputs, &mut products));
    }
    gemm.weight_gradients(&inputs, products);
}

/// Adds the gradients of biases and norms, task after task.
fn add_vectors<G: Gemm>(left: &[&LeftLayer<G>], gradient: &mut LayerOf<AffineGradient>) {
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

/// The products that the gradients of a layer's matrices are, and their inputs.
fn add_products<'a, G: Gemm>(
    saved: &[&'a SavedLayer<G>],
    left: &[&'a LeftLayer<G>],
    gradient: &'a mut LayerOf<AffineGradient>,
    (inputs, products): (&mut Vec<Vec<&'a G::Right>>, &mut Vec<WeightGradient<'a, G>>),
) {
    let (all, asking, context, inner, outer) = (0, 1, 2, 3, 4);
    let first = inputs.len();
    inputs.extend([
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
            .collect::<Vec<_>>(),
    ]);
    let asks_elsewhere = |(attention, _): &&SavedLayer<G>| attention.asking.is_some();
    let asking = match saved.iter().any(asks_elsewhere) {
        true => asking,
        false => all,
    };
    let mut product =
        |input: usize, dy: fn(&LeftLayer<G>) -> &G::Left, weight: &'a mut Vec<f32>| {
            products.push(WeightGradient {
                input: first + input,
                dy: left.iter().map(|left| dy(left)).collect(),
                gradient: weight,
            });
        };
    let (q, k, v) = (&mut gradient.query, &mut gradient.key, &mut gradient.value);
    product(all, |(attention, _)| &attention.key, &mut k.weight);
    product(all, |(attention, _)| &attention.value, &mut v.weight);
    product(asking, |(attention, _)| &attention.query, &mut q.weight);
    let [attention_output, intermediate, output] = [
        &mut gradient.attention_output,
        &mut gradient.intermediate,
        &mut gradient.output,
    ];
    product(
        context,
        |(attention, _)| &attention.output,
        &mut attention_output.weight,
    );
    product(
        inner,
        |(_, feed_forward)| &feed_forward.intermediate,
        &mut intermediate.weight,
    );
    product(
        outer,
        |(_, feed_forward)| &feed_forward.output,
        &mut output.weight,
    );
}
