//! BERT on packed rows (Devlin et al. 2019): embeddings, post-norm layers, MLM and NSP heads.
//!
//! In: a [`PackedBatch`] and a tape (or none). Out: hidden states, logits, losses, as dfdx tensors.
//! Does not read files, knows no objective. Sizes as in [`crate::kernels`].

pub mod ops;
pub mod parameters;
pub mod tensor;

use std::sync::Arc;

use dfdx::prelude::{Cpu, Gradients, NoneTape, OwnedTape, SplitTape, Tape, Trace};

pub use crate::checkpoint::BertConfig;
use crate::checkpoint::{Heads, Weights};
use crate::data::PackedBatch;
use crate::error::{Error, Result};
use crate::kernels::embedding;
pub use crate::kernels::encoder::Regularisation;
use crate::kernels::gemm::bf16::PackedWeight;
use crate::kernels::linear::Linear;
use crate::kernels::path::Path;
use crate::random::Key;
use ops::Network;
pub use ops::Pass;
use parameters::Parameters;
use tensor::{Matrix, Vector, matrix, values};

/// A network and its weights.
#[derive(Debug)]
pub struct Bert {
    /// Sizes.
    pub config: BertConfig,
    /// Which heads it has.
    pub heads: Heads,
    network: Network,
}

impl Bert {
    /// From weights, as a checkpoint gives them, with products on `path`.
    ///
    /// # Errors
    /// Where the weights are not exactly those that `config` and `heads` ask for.
    pub fn new(config: BertConfig, heads: Heads, path: Path, weights: Weights) -> Result<Self> {
        let parameters = Parameters::new(&config, heads, path, weights)?;
        let network = Network {
            config: config.clone(),
            parameters: Arc::new(parameters),
        };
        Ok(Self {
            config,
            heads,
            network,
        })
    }

    /// With fresh weights.
    ///
    /// # Errors
    /// Never for sizes above 0.
    pub fn initialise(config: BertConfig, heads: Heads, path: Path, key: Key) -> Result<Self> {
        let weights = Parameters::initial_weights(&config, heads, key);
        Self::new(config, heads, path, weights)
    }

    /// How products are computed.
    pub fn path(&self) -> Path {
        self.network.parameters.path()
    }

    /// A copy of all weights.
    pub fn weights(&self) -> Weights {
        self.network.parameters.weights()
    }

    /// Number of trainable scalars.
    pub fn n_parameters(&self) -> usize {
        self.network.parameters.count()
    }

    /// The weights with their gradients.
    pub fn parameters(&self) -> &Parameters {
        &self.network.parameters
    }

    /// The weights, to be changed.
    ///
    /// # Errors
    /// [`Error::Unexpected`] while a tape still holds them.
    pub fn parameters_mut(&mut self) -> Result<&mut Parameters> {
        Arc::get_mut(&mut self.network.parameters)
            .ok_or_else(|| Error::Unexpected("a tape outlived its step".to_owned()))
    }

    /// A fresh tape. Gradients of parameters go to [`Bert::parameters`], those of other tensors stay on it.
    pub fn tape(&self) -> OwnedTape<f32, Cpu> {
        matrix(&Cpu::default(), vec![], 0, 0)
            .traced(Gradients::leaky())
            .split_tape()
            .1
    }

    /// Hidden states of the last layer at the wanted positions, (N × H).
    ///
    /// # Panics
    /// Where an id, a position or a segment is beyond its table.
    pub fn encode<T: Tape<f32, Cpu>>(&self, pass: &Pass, tape: T) -> Matrix<T> {
        ops::encode(&self.network, pass, tape)
    }

    /// Cross-entropy at the wanted positions against target tokens, over the whole vocabulary, (N).
    ///
    /// # Panics
    /// As [`Bert::encode`]; where a target is beyond the vocabulary.
    pub fn mlm_losses<T: Tape<f32, Cpu>>(
        &self,
        pass: &Pass,
        targets: &[u32],
        tape: T,
    ) -> Vector<T> {
        ops::mlm_losses(&self.network, pass, targets, tape)
    }

    /// MLM features at `positions` of a packed batch, before the decoder: (N × H). For prediction.
    pub fn mlm_features(&self, batch: &PackedBatch, positions: &[u32]) -> Matrix {
        ops::mlm_features(&self.network, &Pass::prediction(batch, positions))
    }

    /// Logits of MLM features for a few tokens, (N × tokens), in f32.
    pub fn mlm_logits_of(&self, features: &Matrix, tokens: &[u32]) -> Matrix {
        let parameters = &self.network.parameters;
        let pick = |name: &str, width: usize| {
            let mut rows = vec![0.0; tokens.len() * width];
            embedding::select(parameters.values(name), tokens, width, &mut rows);
            rows
        };
        let (weight, bias) = (
            pick(ops::WORD, self.config.hidden_size),
            pick(ops::DECODER_BIAS, 1),
        );
        let decoder = Linear {
            weight: &weight,
            bias: &bias,
            packed: &PackedWeight::default(),
        };
        let logits = decoder.forward(&values(features));
        let n_rows = logits.len() / tokens.len().max(1);
        matrix(&Cpu::default(), logits, n_rows, tokens.len())
    }

    /// Next-sentence logits of the hidden states at first tokens, (rows × 2); index 0 means "is next".
    pub fn nsp_logits<T: Tape<f32, Cpu>>(&self, first_states: Matrix<T>) -> Matrix<T> {
        let pooled = ops::linear(first_states, &self.network, "bert.pooler.dense");
        ops::linear(pooled.tanh(), &self.network, "cls.seq_relationship")
    }

    /// Hidden states at `positions` without a tape, for prediction.
    pub fn infer(&self, batch: &PackedBatch, positions: &[u32]) -> Matrix {
        self.encode(&Pass::prediction(batch, positions), NoneTape)
    }
}
