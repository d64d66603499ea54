//! BERT on packed rows (Devlin et al. 2019): embeddings, post-norm layers, MLM and NSP heads.
//!
//! In: a [`PackedBatch`] and a tape (or none). Out: hidden states, logits, losses, as dfdx tensors.
//! Does not read files, knows no objective. Sizes as in [`crate::kernels`].

pub mod ops;
pub mod parameters;
pub mod tensor;

use dfdx::prelude::{Cpu, Gradients, NoneTape, OwnedTape, SplitTape, Tape, Trace};

pub use crate::checkpoint::BertConfig;
use crate::checkpoint::{Heads, Weights};
use crate::data::PackedBatch;
use crate::error::Result;
use crate::kernels::dropout::Dropout;
use crate::random::Key;
use ops::{
    Affine, AttentionParameters, AttentionRows, Embeddings, FeedForwardParameters,
    TransformParameters,
};
use parameters::Parameters;
use tensor::{Matrix, Vector, matrix};

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

/// A network and its weights.
#[derive(Debug)]
pub struct Bert {
    /// Sizes.
    pub config: BertConfig,
    /// Which heads it has.
    pub heads: Heads,
    /// Weights.
    pub parameters: Parameters,
}

impl Bert {
    /// From weights, as a checkpoint gives them.
    ///
    /// # Errors
    /// Where the weights are not exactly those that `config` and `heads` ask for.
    pub fn new(config: BertConfig, heads: Heads, weights: Weights) -> Result<Self> {
        let parameters = Parameters::new(&config, heads, weights)?;
        Ok(Self {
            config,
            heads,
            parameters,
        })
    }

    /// With fresh weights.
    ///
    /// # Errors
    /// Never for sizes above 0.
    pub fn initialise(config: BertConfig, heads: Heads, key: Key) -> Result<Self> {
        let weights = Parameters::initial_weights(&config, heads, key);
        Self::new(config, heads, weights)
    }

    /// A copy of all weights.
    pub fn weights(&self) -> Weights {
        self.parameters.weights()
    }

    /// Number of trainable scalars.
    pub fn n_parameters(&self) -> usize {
        self.parameters.count()
    }

    /// A tape that adds to `gradients`.
    pub fn tape(&self, gradients: Gradients<f32, Cpu>) -> OwnedTape<f32, Cpu> {
        matrix(&Cpu::default(), vec![], 0, 0)
            .traced(gradients)
            .split_tape()
            .1
    }

    /// Hidden states of the last layer, (T × H).
    ///
    /// # Panics
    /// Where an id, a position or a segment is beyond its table.
    pub fn encode<T: Tape<f32, Cpu>>(
        &self,
        batch: &PackedBatch,
        regularisation: Option<&Regularisation>,
        tape: T,
    ) -> Matrix<T> {
        // One stream for each of the three places of each layer; the embeddings come before layer 0.
        let dropout = |layer: usize, place: u64, rate: fn(&Regularisation) -> f32| {
            regularisation.and_then(|r| Dropout::new(rate(r), r.key.at(layer as u64).at(place)))
        };
        let epsilon = self.config.layer_norm_eps;
        let ids = [
            &batch.input_ids[..],
            &batch.position_ids,
            &batch.segment_ids,
        ];
        let before = dropout(self.config.num_hidden_layers, 0, |r| r.hidden);
        let mut hidden = ops::embed(&self.embeddings(), ids, epsilon, before, tape);
        let offsets: std::sync::Arc<[usize]> = batch.offsets.as_slice().into();
        for layer in 0..self.config.num_hidden_layers {
            let rows = AttentionRows {
                offsets: offsets.clone(),
                heads: self.config.num_attention_heads,
                dropout: dropout(layer, 1, |r| r.attention),
            };
            let after_attention = dropout(layer, 2, |r| r.hidden);
            hidden = ops::attention_block(
                hidden,
                &self.attention(layer),
                &rows,
                epsilon,
                after_attention,
            );
            let after_output = dropout(layer, 3, |r| r.hidden);
            hidden =
                ops::feed_forward_block(hidden, &self.feed_forward(layer), epsilon, after_output);
        }
        hidden
    }

    /// MLM features at `positions` of the packed batch, before the decoder: (N × H).
    pub fn mlm_features<T: Tape<f32, Cpu>>(
        &self,
        hidden: Matrix<T>,
        positions: &[u32],
    ) -> Matrix<T> {
        let head = TransformParameters {
            dense: self.parameters.affine("cls.predictions.transform.dense"),
            norm: self
                .parameters
                .affine("cls.predictions.transform.LayerNorm"),
        };
        ops::transform(
            ops::select_rows(hidden, positions),
            &head,
            self.config.layer_norm_eps,
        )
    }

    /// Cross-entropy of MLM features against target tokens, (N), over the whole vocabulary.
    pub fn mlm_losses<T: Tape<f32, Cpu>>(&self, features: Matrix<T>, targets: &[u32]) -> Vector<T> {
        ops::linear_cross_entropy(features, &self.decoder(), targets)
    }

    /// Logits of MLM features over the whole vocabulary, (N × V).
    pub fn mlm_logits<T: Tape<f32, Cpu>>(&self, features: Matrix<T>) -> Matrix<T> {
        ops::linear(features, &self.decoder())
    }

    /// Logits of a few tokens only, (N × tokens).
    pub fn mlm_logits_of(&self, features: Matrix, tokens: &[u32]) -> Matrix {
        let decoder = self.decoder();
        let device = Cpu::default();
        let pick = |table: &Matrix, width: usize| {
            crate::kernels::embedding::gather(tensor::values(table), tokens, width)
        };
        let weight = matrix(
            &device,
            pick(&decoder.weight, self.config.hidden_size),
            tokens.len(),
            self.config.hidden_size,
        );
        let bias = matrix(&device, pick(&decoder.bias, 1), 1, tokens.len());
        ops::linear(features, &Affine { weight, bias })
    }

    /// Next-sentence logits, (rows × 2), read at the first token of each row; index 0 means "is next".
    pub fn nsp_logits<T: Tape<f32, Cpu>>(
        &self,
        hidden: Matrix<T>,
        first_tokens: &[u32],
    ) -> Matrix<T> {
        let pooled = ops::linear(
            ops::select_rows(hidden, first_tokens),
            &self.parameters.affine("bert.pooler.dense"),
        );
        ops::linear(
            pooled.tanh(),
            &self.parameters.affine("cls.seq_relationship"),
        )
    }

    /// Hidden states without a tape, for prediction.
    pub fn infer(&self, batch: &PackedBatch) -> Matrix {
        self.encode(batch, None, NoneTape)
    }

    fn embeddings(&self) -> Embeddings {
        Embeddings {
            word: self
                .parameters
                .tensor("bert.embeddings.word_embeddings.weight"),
            position: self
                .parameters
                .tensor("bert.embeddings.position_embeddings.weight"),
            segment: self
                .parameters
                .tensor("bert.embeddings.token_type_embeddings.weight"),
            norm: self.parameters.affine("bert.embeddings.LayerNorm"),
        }
    }

    fn attention(&self, layer: usize) -> AttentionParameters {
        let affine = |part: &str| {
            self.parameters
                .affine(&format!("bert.encoder.layer.{layer}.attention.{part}"))
        };
        AttentionParameters {
            query: affine("self.query"),
            key: affine("self.key"),
            value: affine("self.value"),
            output: affine("output.dense"),
            norm: affine("output.LayerNorm"),
        }
    }

    fn feed_forward(&self, layer: usize) -> FeedForwardParameters {
        let affine = |part: &str| {
            self.parameters
                .affine(&format!("bert.encoder.layer.{layer}.{part}"))
        };
        FeedForwardParameters {
            intermediate: affine("intermediate.dense"),
            output: affine("output.dense"),
            norm: affine("output.LayerNorm"),
        }
    }

    /// The decoder is tied to the word embeddings; its bias is free.
    fn decoder(&self) -> Affine {
        Affine {
            weight: self
                .parameters
                .tensor("bert.embeddings.word_embeddings.weight"),
            bias: self.parameters.tensor("cls.predictions.bias"),
        }
    }
}
