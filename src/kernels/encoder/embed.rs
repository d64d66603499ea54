//! What stands before the layers: rows of tables, summed, normalised and dropped out; and, where embeddings are narrower, their
//! projection. Forward and backward.
//!
//! In: ids of a task's tokens. Out: its first hidden states, (tokens × H); backward, the gradients of tables, norm and projection.
//! Does not attend.

use rayon::prelude::*;

use super::task::Task;
use super::{
    DropoutSite, Encoder, EncoderGradient, PackedRows, Positions, Regularisation, TaskPass,
};
use crate::kernels::buffer::Buffer;
use crate::kernels::dropout::Dropout;
use crate::kernels::gemm::{Gemm, Rows, Store, WeightGradient};
use crate::kernels::layer_norm::{LayerNormGradient, Normalised};
use crate::kernels::linear::Linear;
use crate::kernels::{AffineGradient, denormals, embedding, rows};

impl Encoder<'_> {
    pub(super) fn embed<G: Gemm>(
        &self,
        gemm: G,
        task: &Task,
        batch: &PackedRows,
        regularisation: Option<&Regularisation>,
    ) -> TaskPass<G> {
        let width = self.embedded();
        let tokens = task.tokens.clone();
        let mut sum = Buffer::new(tokens.len() * width);
        self.sum_of_tables(
            [batch.input_ids, batch.segment_ids, batch.position_ids]
                .map(|ids| &ids[tokens.clone()]),
            &mut sum,
        );
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
    pub(super) fn project<G: Gemm>(&self, gemm: G, states: &mut Buffer<f32>) -> Option<G::Right> {
        let projection = self.projection.as_ref()?;
        let inputs = Rows::of(gemm, states, self.embedded());
        *states = Buffer::new(inputs.n_rows() * projection.n_out());
        gemm.forward(&inputs, projection, states);
        Some(gemm.right(inputs))
    }

    /// The rows of the tables that tokens have, summed, (tokens × E), by their word, segment and position.
    pub(super) fn sum_of_tables(
        &self,
        [input_ids, segment_ids, position_ids]: [&[u32]; 3],
        sum: &mut [f32],
    ) {
        let (word, segment) = ((self.word, input_ids), (self.segment, segment_ids));
        match self.positions {
            Positions::Absolute(table) => {
                embedding::gather([word, (table, position_ids), segment], self.embedded(), sum);
            }
            _ => embedding::gather([word, segment], self.embedded(), sum),
        }
    }

    /// The embeddings come before layer 0: their stream has the number after the last.
    fn embedding_dropout(&self, regularisation: Option<&Regularisation>) -> Option<Dropout> {
        regularisation.and_then(|r| r.dropout(self.order.len(), DropoutSite::Embedding))
    }

    pub(super) fn embed_backward(
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
                if let Some(position) = &mut gradient.position {
                    scatter(position, batch.position_ids);
                }
                scatter(&mut gradient.segment, batch.segment_ids);
            },
        );
    }
}

/// Through the projection: from the gradients of its outputs (T × H), by tasks, to those of its inputs (T × E). `inputs` are those of
/// forward.
pub(super) fn project_backward<G: Gemm>(
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
