//! Embeddings and all layers of a BERT over a packed batch, forward and backward. Layers may share their weights, and embeddings
//! may be narrower than the layers, as in ALBERT (Lan et al. 2020, <https://arxiv.org/abs/1909.11942>).
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
mod layer;
mod task;

use std::ops::Range;

use rayon::prelude::*;

use crate::kernels::attention::Attention;
use crate::kernels::attention_block::{AttentionBlock, AttentionTask};
use crate::kernels::buffer::Buffer;
use crate::kernels::dropout::Dropout;
use crate::kernels::feed_forward_block::{FeedForwardBlock, FeedForwardTask};
use crate::kernels::gelu::Gelu;
use crate::kernels::gemm::{Gemm, Rows, Store, WeightGradient};
use crate::kernels::layer_norm::{LayerNorm, LayerNormGradient, Normalised};
use crate::kernels::linear::Linear;
use crate::kernels::{AffineGradient, denormals, embedding, rows};
use crate::random::Key;
pub use layer::LayerOf;
use layer::{LeftLayer, SavedLayer, add_gradients};
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
    /// (positions × E).
    pub position: &'a [f32],
    /// (segments × E).
    pub segment: &'a [f32],
    /// After the sum of the three.
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
    /// (positions × E).
    pub position: Vec<f32>,
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
    /// Rows of the position table, (T).
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

    fn embed<G: Gemm>(
        &self,
        gemm: G,
        task: &Task,
        batch: &PackedRows,
        regularisation: Option<&Regularisation>,
    ) -> TaskPass<G> {
        let width = self.embedded();
        let tables = self.tables(task, batch);
        let mut sum = Buffer::new(task.tokens.len() * width);
        embedding::gather(tables, width, &mut sum);
        let (mut states, embedded) = self.norm.forward(sum);
        if let Some(dropout) = self.embedding_dropout(regularisation) {
            dropout.apply_to_rows(&mut states, &task.offsets, width, task.first_row);
        }
        let before_projection = self.project(gemm, &mut states);
        TaskPass {
            states,
            embedded,
            before_projection,
            layers: Vec::with_capacity(self.order.len()),
        }
    }

    /// From embeddings (tokens × E) to hidden states (tokens × H), where there is a map; and what its backward needs.
    fn project<G: Gemm>(&self, gemm: G, states: &mut Buffer<f32>) -> Option<G::Right> {
        let projection = self.projection.as_ref()?;
        let inputs = Rows::of(gemm, states, self.embedded());
        *states = Buffer::new(inputs.n_rows() * projection.n_out());
        gemm.forward(&inputs, projection, states);
        Some(gemm.right(inputs))
    }

    fn tables<'b>(&'b self, task: &Task, batch: &PackedRows<'b>) -> [(&'b [f32], &'b [u32]); 3] {
        [
            (self.word, &batch.input_ids[task.tokens.clone()]),
            (self.position, &batch.position_ids[task.tokens.clone()]),
            (self.segment, &batch.segment_ids[task.tokens.clone()]),
        ]
    }

    /// The embeddings come before layer 0: their stream has the number after the last.
    fn embedding_dropout(&self, regularisation: Option<&Regularisation>) -> Option<Dropout> {
        regularisation.and_then(|r| r.dropout(self.order.len(), DropoutSite::Embedding))
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
        &self,
        layer: usize,
        task: &'b Task,
        regularisation: Option<&Regularisation>,
    ) -> (AttentionTask<'b>, FeedForwardTask<'b>) {
        let is_last = layer + 1 == self.order.len();
        let (query_offsets, visible, asking) = if is_last {
            let asking = Some(&task.wanted[..]);
            (&task.wanted_offsets, &task.wanted_visible, asking)
        } else {
            (&task.offsets, &task.visible, None)
        };
        let dropout = |site| regularisation.and_then(|r| r.dropout(layer, site));
        let attention = AttentionTask {
            attention: Attention {
                offsets: &task.offsets,
                query_offsets,
                visible: visible.as_deref(),
                first_row: task.first_row,
                hidden: self.hidden(),
                heads: self.heads,
                dropout: dropout(DropoutSite::Probabilities),
            },
            asking,
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

    fn embed_backward(
        &self,
        tasks: &[Task],
        batch: &PackedRows,
        embedded: &[Normalised],
        mut states: Vec<Buffer<f32>>,
        regularisation: Option<&Regularisation>,
        gradient: &mut EncoderGradient,
    ) {
        let width = self.embedded();
        let dropout = self.embedding_dropout(regularisation);
        let vectors: Vec<Buffer<f32>> = states
            .par_iter_mut()
            .zip(tasks)
            .zip(embedded)
            .with_max_len(1)
            .map(|((dy, task), normalised)| {
                let _flushed = denormals::flushed();
                if let Some(dropout) = dropout {
                    dropout.apply_to_rows(dy, &task.offsets, width, task.first_row);
                }
                let mut vectors = Buffer::zeros(2 * width);
                let [weight, bias] = rows::parts(&mut vectors, [width; 2]);
                let gradient = LayerNormGradient { weight, bias };
                self.norm.backward(normalised, dy, gradient);
                vectors
            })
            .collect();
        for vectors in &vectors {
            rows::add(&mut gradient.norm.weight, &vectors[..width]);
            rows::add(&mut gradient.norm.bias, &vectors[width..]);
        }
        let scatter = |table: &mut [f32], ids: &[u32]| {
            for (task, states) in tasks.iter().zip(&states) {
                embedding::scatter_add(table, &ids[task.tokens.clone()], width, states);
            }
        };
        rayon::join(
            || scatter(&mut gradient.word, batch.input_ids),
            || {
                scatter(&mut gradient.position, batch.position_ids);
                scatter(&mut gradient.segment, batch.segment_ids);
            },
        );
    }
}

/// Through the projection: from the gradients of its outputs (T × H), by tasks, to those of its inputs (T × E). `inputs` are those of
/// forward.
fn project_backward<G: Gemm>(
    gemm: G,
    projection: &Linear,
    inputs: &[G::Right],
    d_outputs: Vec<Buffer<f32>>,
    gradient: &mut AffineGradient,
) -> Vec<Buffer<f32>> {
    let (n_in, n_out) = (projection.n_in(), projection.n_out());
    let backward = |dy: Buffer<f32>| {
        let _flushed = denormals::flushed();
        let mut d_bias = Buffer::zeros(n_out);
        rows::add_column_sums(&dy, &mut d_bias);
        let dy = Rows::of(gemm, &dy, n_out);
        let mut dx = Buffer::new(dy.n_rows() * n_in);
        gemm.input_gradient(&dy, projection, &mut dx, Store::Overwrite);
        (dx, (d_bias, gemm.left(dy)))
    };
    let tasks = d_outputs.into_par_iter().with_max_len(1).map(backward);
    let (d_inputs, left): (Vec<_>, Vec<_>) = tasks.unzip();
    for (d_bias, _) in &left {
        rows::add(&mut gradient.bias, d_bias);
    }
    let product = WeightGradient {
        input: 0,
        dy: left.iter().map(|(_, dy)| dy).collect(),
        gradient: &mut gradient.weight,
    };
    gemm.weight_gradients(&[inputs.iter().collect()], vec![product]);
    d_inputs
}
