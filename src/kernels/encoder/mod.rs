//! Embeddings and all layers of a BERT over a packed batch, forward and backward. Layers may share their weights, and embeddings
//! may be narrower than the layers, as in ALBERT (Lan et al. 2020, <https://arxiv.org/abs/1909.11942>). Where a token stands
//! is known by a table, by distances as in NEZHA or by turned queries and keys as in RoFormer ([`Positions`]).
//!
//! In: ids and offsets of the rows, and the positions whose hidden states are wanted. Out: those, (N × H). The
//! batch is cut at row borders into tasks of about [`Gemm::GROUP`] tokens. A task goes through a stretch of layers on
//! one thread; only the weight gradients are sums over tasks, and they are split over the output.
//!
//! A stretch has as many layers as stay in the last cache together: all of a small model, so that threads seldom wait
//! for each other; one of a large model, so that its weights come from memory once for all tasks.
//!
//! Threads take tasks one by one (`with_max_len(1)`): a thread that the system has held up leaves the rest to the
//! others.
//!
//! Nothing is computed that nobody reads: in the last layer only the wanted positions ask, so its queries, output
//! projection and feed-forward half run at those alone.

pub mod decode;
mod embed;
mod layer;
mod positions;
mod task;

use std::ops::Range;

use rayon::prelude::*;

use crate::kernels::attention::Attention;
use crate::kernels::attention_block::{AttentionBlock, AttentionTask};
use crate::kernels::buffer::Buffer;
use crate::kernels::dropout::Dropout;
use crate::kernels::feed_forward_block::{FeedForwardBlock, FeedForwardTask};
use crate::kernels::gelu::Gelu;
use crate::kernels::gemm::Gemm;
use crate::kernels::layer_norm::{LayerNorm, Normalised};
use crate::kernels::linear::Linear;
use crate::kernels::{AffineGradient, denormals, rows};
use crate::random::Key;
use embed::project_backward;
pub use layer::LayerOf;
use layer::{LeftLayer, SavedLayer, add_gradients};
pub use positions::Positions;
use task::{Task, tasks};

/// Dropout of one forward pass.
#[derive(Debug, Clone, Copy)]
pub struct Regularisation {
    /// Rate for hidden states, in 0..1.
    pub hidden: f32,
    /// Rate for attention probabilities, in 0..1.
    pub attention: f32,
    /// Stream of this pass.
    pub key: Key,
}

/// Where in a layer a mask applies. Each has a stream of its own.
#[derive(Clone, Copy)]
enum DropoutSite {
    Embedding,
    Probabilities,
    Attention,
    FeedForward,
}

impl Regularisation {
    fn dropout(&self, layer: usize, site: DropoutSite) -> Option<Dropout> {
        let rate = match site {
            DropoutSite::Probabilities => self.attention,
            _ => self.hidden,
        };
        Dropout::new(rate, self.key.at(layer as u64).at(site as u64))
    }
}

/// Weights and sizes.
#[derive(Debug)]
pub struct Encoder<'a> {
    /// (V × E).
    pub word: &'a [f32],
    /// (segments × E).
    pub segment: &'a [f32],
    /// Where a token stands.
    pub positions: Positions<'a>,
    /// After the sum of the tables.
    pub norm: LayerNorm<'a>,
    /// From embeddings to hidden states, (H × E). Without one E is H.
    pub projection: Option<Linear<'a>>,
    /// All weights of layers. Norms are maps whose weight is γ.
    pub layers: Vec<LayerOf<Linear<'a>>>,
    /// Which of `layers` each layer has, from the first to the last layer.
    pub order: Vec<usize>,
    /// Of all layers.
    pub gelu: Gelu,
    /// A.
    pub heads: usize,
}

/// Gradients of everything, added to.
#[derive(Debug)]
pub struct EncoderGradient {
    /// (V × E).
    pub word: Vec<f32>,
    /// (positions × E), where there is a table.
    pub position: Option<Vec<f32>>,
    /// (segments × E).
    pub segment: Vec<f32>,
    /// Of the norm after the sum.
    pub norm: AffineGradient,
    /// Where there is one.
    pub projection: Option<AffineGradient>,
    /// One an entry of [`Encoder::layers`], summed over the layers that have it.
    pub layers: Vec<LayerOf<AffineGradient>>,
}

/// A packed batch.
#[derive(Debug, Clone, Copy)]
pub struct PackedRows<'a> {
    /// Rows of the word table, (T).
    pub input_ids: &'a [u32],
    /// Where each token stands in its row, (T); a row of the table of positions, where there is one.
    pub position_ids: &'a [u32],
    /// Rows of the segment table, (T).
    pub segment_ids: &'a [u32],
    /// How many tokens of its own row each token sees, (T); `None` where all see all.
    pub visible: Option<&'a [u32]>,
    /// Row r holds tokens `offsets[r]..offsets[r + 1]`.
    pub offsets: &'a [usize],
}

/// Bytes of weights that a stretch of layers may have: half of a common last cache.
const STRETCH_BYTES: usize = 16 << 20;

/// What backward needs of a forward.
#[derive(Debug)]
pub struct SavedEncoder<G: Gemm> {
    tasks: Vec<Task>,
    passes: Vec<TaskPass<G>>,
}

/// One task on its way through the layers.
#[derive(Debug)]
struct TaskPass<G: Gemm> {
    /// Hidden states so far; empty once the output has them.
    states: Buffer<f32>,
    embedded: Normalised,
    /// Input of the projection, where there is one.
    before_projection: Option<G::Right>,
    layers: Vec<SavedLayer<G>>,
}

impl Encoder<'_> {
    /// H.
    fn hidden(&self) -> usize {
        match &self.projection {
            Some(projection) => projection.n_out(),
            None => self.embedded(),
        }
    }

    /// E.
    fn embedded(&self) -> usize {
        self.norm.weight.len()
    }

    /// Last hidden states at the `wanted` positions, in their order, (N × H); and what backward needs.
    ///
    /// # Panics
    /// Where an id or a position is beyond its table.
    pub fn forward<G: Gemm>(
        &self,
        gemm: G,
        batch: &PackedRows,
        wanted: &[u32],
        regularisation: Option<&Regularisation>,
    ) -> (Buffer<f32>, SavedEncoder<G>) {
        let hidden = self.hidden();
        let tasks = tasks(batch, wanted, G::GROUP);
        let mut passes: Vec<Option<TaskPass<G>>> = tasks.iter().map(|_| None).collect();
        for layers in self.stretches::<G>() {
            let tasks = passes.par_iter_mut().zip(&tasks).with_max_len(1);
            tasks.for_each(|(pass, task)| {
                let _flushed = denormals::flushed();
                let pass =
                    pass.get_or_insert_with(|| self.embed(gemm, task, batch, regularisation));
                for layer in layers.clone() {
                    self.layer_forward(gemm, layer, task, pass, regularisation);
                }
            });
        }
        let mut passes: Vec<TaskPass<G>> = passes.into_iter().flatten().collect();
        let mut output = Buffer::new(wanted.len() * hidden);
        for (task, pass) in tasks.iter().zip(&mut passes) {
            let states = std::mem::take(&mut pass.states);
            for (i, &to) in task.outputs.iter().enumerate() {
                // Without layers nobody has picked the wanted ones yet.
                let from = match self.order.len() {
                    0 => task.wanted[i] as usize,
                    _ => i,
                };
                let state = &states[from * hidden..(from + 1) * hidden];
                output[to * hidden..(to + 1) * hidden].copy_from_slice(state);
            }
        }
        (output, SavedEncoder { tasks, passes })
    }

    /// The layers in stretches, from the first to the last; one empty stretch where there are none.
    fn stretches<G: Gemm>(&self) -> Vec<Range<usize>> {
        let mut weights = 0;
        if let Some(layer) = self.layers.first() {
            layer.map(|part| weights += part.weight.len());
        }
        let bytes = weights * size_of::<G::Element>();
        let n_layers = self.order.len();
        let length = (STRETCH_BYTES / bytes.max(1)).clamp(1, n_layers.max(1));
        let starts = (0..n_layers.max(1)).step_by(length);
        starts
            .map(|start| start..n_layers.min(start + length))
            .collect()
    }

    fn layer_forward<G: Gemm>(
        &self,
        gemm: G,
        layer: usize,
        task: &Task,
        pass: &mut TaskPass<G>,
        regularisation: Option<&Regularisation>,
    ) {
        let (attention, feed_forward) = self.blocks(layer);
        let (attention_task, feed_forward_task) = self.parts(layer, task, regularisation);
        let (x, attention) = attention.forward(gemm, &attention_task, &pass.states);
        let (x, feed_forward) = feed_forward.forward(gemm, &feed_forward_task, &x);
        pass.states = x;
        pass.layers.push((attention, feed_forward));
    }

    fn blocks(&self, layer: usize) -> (AttentionBlock<'_>, FeedForwardBlock<'_>) {
        let layer = &self.layers[self.order[layer]];
        let attention = AttentionBlock {
            query: layer.query,
            key: layer.key,
            value: layer.value,
            output: layer.attention_output,
            norm: layer.attention_norm.as_norm(self.norm.epsilon),
        };
        let feed_forward = FeedForwardBlock {
            intermediate: layer.intermediate,
            output: layer.output,
            norm: layer.output_norm.as_norm(self.norm.epsilon),
            gelu: self.gelu,
        };
        (attention, feed_forward)
    }

    fn parts<'b>(
        &'b self,
        layer: usize,
        task: &'b Task,
        regularisation: Option<&Regularisation>,
    ) -> (AttentionTask<'b>, FeedForwardTask<'b>) {
        let is_last = layer + 1 == self.order.len();
        let (query_offsets, visible, asking, queries) = if is_last {
            let asking = Some(&task.wanted[..]);
            let queries = &task.wanted_positions;
            (&task.wanted_offsets, &task.wanted_visible, asking, queries)
        } else {
            (&task.offsets, &task.visible, None, &task.positions)
        };
        let dropout = |site| regularisation.and_then(|r| r.dropout(layer, site));
        let attention = AttentionTask {
            attention: Attention {
                offsets: &task.offsets,
                query_offsets,
                visible: visible.as_deref(),
                relative: self.positions.relative(&task.positions, queries),
                first_row: task.first_row,
                hidden: self.hidden(),
                heads: self.heads,
                dropout: dropout(DropoutSite::Probabilities),
            },
            asking,
            rotary: self.positions.rotary(&task.positions, queries),
            dropout: dropout(DropoutSite::Attention),
        };
        let feed_forward = FeedForwardTask {
            offsets: query_offsets,
            first_row: task.first_row,
            dropout: dropout(DropoutSite::FeedForward),
        };
        (attention, feed_forward)
    }

    /// From the gradient of the output (N × H): adds to the gradients of all weights.
    pub fn backward<G: Gemm>(
        &self,
        gemm: G,
        batch: &PackedRows,
        saved: SavedEncoder<G>,
        d_output: &[f32],
        regularisation: Option<&Regularisation>,
        gradient: &mut EncoderGradient,
    ) {
        let SavedEncoder { tasks, mut passes } = saved;
        if tasks.is_empty() {
            return;
        }
        let mut states = self.d_states(&tasks, d_output);
        for layers in self.stretches::<G>().into_iter().rev() {
            let saved: Vec<Vec<SavedLayer<G>>> = passes
                .iter_mut()
                .map(|pass| pass.layers.split_off(layers.start))
                .collect();
            let left: Vec<Vec<LeftLayer<G>>> = states
                .par_iter_mut()
                .zip(&tasks)
                .zip(&saved)
                .with_max_len(1)
                .map(|((dy, task), saved)| {
                    let _flushed = denormals::flushed();
                    let mut left = Vec::with_capacity(saved.len());
                    for (layer, saved) in layers.clone().zip(saved).rev() {
                        let parts = self.parts(layer, task, regularisation);
                        let (attention, feed_forward) = self.blocks(layer);
                        let taken = std::mem::take(dy);
                        let (dx, inner) = feed_forward.backward(gemm, &parts.1, &saved.1, taken);
                        let (dx, outer) = attention.backward(gemm, &parts.0, &saved.0, dx);
                        *dy = dx;
                        left.push((outer, inner));
                    }
                    left.reverse();
                    left
                })
                .collect();
            let order = &self.order[layers];
            add_gradients(gemm, order, &saved, &left, &mut gradient.layers);
        }
        let (embedded, before): (Vec<_>, Vec<_>) = passes
            .into_iter()
            .map(|pass| (pass.embedded, pass.before_projection))
            .unzip();
        let before: Vec<G::Right> = before.into_iter().flatten().collect();
        if let (Some(projection), Some(gradient)) = (&self.projection, &mut gradient.projection) {
            states = project_backward(gemm, projection, &before, states, gradient);
        }
        self.embed_backward(&tasks, batch, &embedded, states, regularisation, gradient);
    }

    /// The output's gradient, sorted back to the tasks.
    fn d_states(&self, tasks: &[Task], d_output: &[f32]) -> Vec<Buffer<f32>> {
        let hidden = self.hidden();
        let of_task = |task: &Task| {
            let n_states = match self.order.len() {
                0 => task.tokens.len(),
                _ => task.wanted.len(),
            };
            let mut states = Buffer::zeros(n_states * hidden);
            for (i, &from) in task.outputs.iter().enumerate() {
                let to = match self.order.len() {
                    0 => task.wanted[i] as usize,
                    _ => i,
                };
                let d_state = &d_output[from * hidden..(from + 1) * hidden];
                rows::add(&mut states[to * hidden..(to + 1) * hidden], d_state);
            }
            states
        };
        tasks.iter().map(of_task).collect()
    }
}
