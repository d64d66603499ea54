//! One token more for many rows at a time, with the keys and values of what stands before it kept: forward only.
//!
//! In: packed sources, and then, step by step, one token a row. Out: the last hidden states of the sources' wanted positions, then
//! of each step's tokens, (rows × H). A token sees its whole source and its own row up to itself, a source sees itself alone: so
//! nothing kept ever changes, and a step costs what its own tokens cost (UniLM's mask, Dong et al. 2019). Rows that read one
//! source share its keys and values. Chooses no token.

use rayon::prelude::*;

use super::{Encoder, PackedRows, Positions};
use crate::kernels::attention::KeysAndValues;
use crate::kernels::buffer::Buffer;
use crate::kernels::cached_attention::{CachedAttention, KeyAndValue};
use crate::kernels::feed_forward_block::FeedForwardTask;
use crate::kernels::gemm::Gemm;
use crate::kernels::relative::RelativeRow;
use crate::kernels::{denormals, rows};

/// Keys and values of every layer, of sources and of the tokens so far.
#[derive(Debug)]
pub struct Cache {
    /// Source s has tokens `offsets[s]..offsets[s + 1]`.
    offsets: Vec<usize>,
    /// In its row, of each token of the sources.
    positions: Vec<u32>,
    /// Of the sources' tokens, by layer.
    sources: Vec<KeysAndValues>,
    steps: Vec<StepCache>,
}

/// Of the tokens of one step, by the tasks that computed them.
#[derive(Debug)]
struct StepCache {
    /// Tokens of a task.
    size: usize,
    /// In its row, of each token.
    positions: Vec<u32>,
    /// By task, then by layer.
    tasks: Vec<Vec<KeysAndValues>>,
}

/// The tokens of a step, one a row; best rows of one source after each other.
#[derive(Debug, Clone, Copy)]
pub struct Step<'a> {
    /// Rows of the word table, (rows).
    pub input_ids: &'a [u32],
    /// Where each token stands in its row, (rows); a row of the table of positions, where there is one.
    pub position_ids: &'a [u32],
    /// Rows of the segment table, (rows).
    pub segment_ids: &'a [u32],
    /// Which source each row reads, (rows).
    pub sources: &'a [u32],
    /// Where the tokens of each row stand in the steps before, from the first: (rows × steps so far).
    pub earlier: &'a [u32],
}

/// Some rows of a step on their way through the layers.
struct StepPass {
    states: Buffer<f32>,
    kept: Vec<KeysAndValues>,
}

impl Cache {
    /// Steps so far.
    pub fn n_steps(&self) -> usize {
        self.steps.len()
    }

    fn source(&self, layer: usize, source: u32, hidden: usize) -> KeyAndValue<'_> {
        let (from, to) = (
            self.offsets[source as usize],
            self.offsets[source as usize + 1],
        );
        part(&self.sources[layer], from * hidden..to * hidden)
    }

    fn token(&self, layer: usize, step: usize, token: u32, hidden: usize) -> KeyAndValue<'_> {
        let StepCache { size, tasks, .. } = &self.steps[step];
        let (task, at) = (token as usize / size, token as usize % size);
        part(&tasks[task][layer], at * hidden..(at + 1) * hidden)
    }

    /// Positions of all tokens that a row of a step reads, its own last.
    fn positions(&self, step: &Step, row: usize) -> Vec<u32> {
        let (source, n_steps) = (step.sources[row] as usize, self.n_steps());
        let mut positions = self.positions[self.offsets[source]..self.offsets[source + 1]].to_vec();
        let earlier = &step.earlier[row * n_steps..(row + 1) * n_steps];
        let of_steps = self.steps.iter().zip(earlier);
        positions.extend(of_steps.map(|(step, &token)| step.positions[token as usize]));
        positions.push(step.position_ids[row]);
        positions
    }
}

fn part(of: &KeysAndValues, elements: std::ops::Range<usize>) -> KeyAndValue<'_> {
    KeyAndValue {
        key: &of.key[elements.clone()],
        value: &of.value[elements],
    }
}

impl Encoder<'_> {
    /// Last hidden states of the sources at the `wanted` positions, as [`Encoder::forward`] gives them, and what the steps need.
    ///
    /// # Panics
    /// As [`Encoder::forward`].
    pub fn begin<G: Gemm>(
        &self,
        gemm: G,
        sources: &PackedRows,
        wanted: &[u32],
    ) -> (Buffer<f32>, Cache) {
        let hidden = self.hidden();
        let (states, saved) = self.forward(gemm, sources, wanted, None);
        let n_tokens = sources.input_ids.len();
        let empty = |_| KeysAndValues {
            key: Buffer::new(n_tokens * hidden),
            value: Buffer::new(n_tokens * hidden),
        };
        let mut layers: Vec<_> = (0..self.order.len()).map(empty).collect();
        for (task, pass) in saved.tasks.iter().zip(saved.passes) {
            let elements = task.tokens.start * hidden..task.tokens.end * hidden;
            for (kept, (attention, _)) in layers.iter_mut().zip(pass.layers) {
                let KeysAndValues { key, value } = attention.into_keys_and_values();
                kept.key[elements.clone()].copy_from_slice(&key);
                kept.value[elements.clone()].copy_from_slice(&value);
            }
        }
        let cache = Cache {
            offsets: sources.offsets.to_vec(),
            positions: sources.position_ids.to_vec(),
            sources: layers,
            steps: Vec::new(),
        };
        (states, cache)
    }

    /// Last hidden states of the step's tokens, (rows × H), whose keys and values join the cache.
    ///
    /// # Panics
    /// Where an id or a position is beyond its table, or a source or an earlier token is not there.
    pub fn step<G: Gemm>(&self, gemm: G, cache: &mut Cache, step: &Step) -> Buffer<f32> {
        let (n_rows, hidden) = (step.input_ids.len(), self.hidden());
        let size = rows::task_size(n_rows, G::GROUP);
        let tasks = step.by_tasks(size, cache.n_steps());
        let mut passes: Vec<Option<StepPass>> = tasks.iter().map(|_| None).collect();
        for layers in self.stretches::<G>() {
            let tasks = passes.par_iter_mut().zip(&tasks).with_max_len(1);
            tasks.for_each(|(pass, task)| {
                let _flushed = denormals::flushed();
                let pass = pass.get_or_insert_with(|| self.embed_step(gemm, task));
                for layer in layers.clone() {
                    self.layer_step(gemm, layer, cache, task, pass);
                }
            });
        }
        let mut states = Buffer::new(n_rows * hidden);
        let mut kept = Vec::with_capacity(passes.len());
        for (states, pass) in states
            .chunks_mut(size * hidden)
            .zip(passes.into_iter().flatten())
        {
            states.copy_from_slice(&pass.states);
            kept.push(pass.kept);
        }
        cache.steps.push(StepCache {
            size,
            positions: step.position_ids.to_vec(),
            tasks: kept,
        });
        states
    }

    fn embed_step<G: Gemm>(&self, gemm: G, step: &Step) -> StepPass {
        let mut sum = Buffer::new(step.input_ids.len() * self.embedded());
        let ids = [step.input_ids, step.segment_ids, step.position_ids];
        self.sum_of_tables(ids, &mut sum);
        let mut states = self.norm.forward(sum).0;
        self.project(gemm, &mut states);
        StepPass {
            states,
            kept: Vec::with_capacity(self.order.len()),
        }
    }

    fn layer_step<G: Gemm>(
        &self,
        gemm: G,
        layer: usize,
        cache: &Cache,
        step: &Step,
        pass: &mut StepPass,
    ) {
        let (hidden, n_steps) = (self.hidden(), cache.n_steps());
        let (attention, feed_forward) = self.blocks(layer);
        let relative = self.relative_rows(cache, step);
        let rotary = self.positions.rotary(step.position_ids, step.position_ids);
        let (x, kept) = attention.forward_with(gemm, &pass.states, rotary, |qkv, context| {
            let mut first = 0;
            for same in step.sources.chunk_by(|one, other| one == other) {
                let rows = first..first + same.len();
                first = rows.end;
                let mut own = Vec::with_capacity(same.len() * (n_steps + 1));
                for row in rows.clone() {
                    let earlier = &step.earlier[row * n_steps..(row + 1) * n_steps];
                    let earlier = earlier.iter().enumerate();
                    own.extend(earlier.map(|(at, &token)| cache.token(layer, at, token, hidden)));
                    own.push(KeyAndValue {
                        key: &qkv.key[row * hidden..(row + 1) * hidden],
                        value: &qkv.value[row * hidden..(row + 1) * hidden],
                    });
                }
                let attention = CachedAttention {
                    hidden,
                    heads: self.heads,
                    source: cache.source(layer, same[0], hidden),
                    own: &own,
                    relative: relative.as_ref().map(|relative| &relative[rows.clone()]),
                };
                let elements = rows.start * hidden..rows.end * hidden;
                attention.forward(&qkv.query[elements.clone()], &mut context[elements]);
            }
        });
        let task = FeedForwardTask {
            offsets: &[0, step.input_ids.len()],
            first_row: 0,
            dropout: None,
        };
        pass.states = feed_forward.forward(gemm, &task, &x).0;
        pass.kept.push(kept);
    }
}

impl Encoder<'_> {
    /// What distances add for each row of a step, where they do.
    fn relative_rows<'b>(&'b self, cache: &Cache, step: &Step<'b>) -> Option<Vec<RelativeRow<'b>>> {
        let Positions::Relative(table) = self.positions else {
            return None;
        };
        let queries = step.position_ids.chunks(1).enumerate();
        let row = |(row, query)| RelativeRow::new(table, &cache.positions(step, row), query);
        Some(queries.map(row).collect())
    }
}

impl<'a> Step<'a> {
    /// The rows cut into tasks of `size`.
    fn by_tasks(&self, size: usize, n_steps: usize) -> Vec<Step<'a>> {
        let n_rows = self.input_ids.len();
        let of_task = |first: usize| {
            let rows = first..n_rows.min(first + size);
            Step {
                input_ids: &self.input_ids[rows.clone()],
                position_ids: &self.position_ids[rows.clone()],
                segment_ids: &self.segment_ids[rows.clone()],
                sources: &self.sources[rows.clone()],
                earlier: &self.earlier[rows.start * n_steps..rows.end * n_steps],
            }
        };
        (0..n_rows).step_by(size).map(of_task).collect()
    }
}
