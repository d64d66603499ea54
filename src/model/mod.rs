//! BERT on packed rows (Devlin et al. 2019), ALBERT (Lan et al. 2020), NEZHA (Wei et al. 2019) and RoFormer (Su et al. 2021):
//! embeddings, post-norm layers, and heads on their states.
//!
//! In: a [`PackedBatch`](crate::data::PackedBatch) and a tape (or none). Out: hidden states; from those, logits and
//! losses, as dfdx tensors. Does not read files, knows no objective. Sizes as in [`crate::kernels`].
//!
//! Weights, gradients, moments and saved activations stay in here: above, there are copies of them and calls that use
//! them ([`Bert::adamw_step`], [`Bert::restore`]), so that they may lie elsewhere than in slices.
//!
//! # How to add a head
//! 1. Its tensors in the one table of [`crate::checkpoint::names`], and whether it is there in [`Heads`].
//! 2. A function on [`Bert`], states in, made of operations in [`ops`]; a new operation brings its backward.
//! 3. Its logits and every gradient in `tests/golden/make.py`.

mod adamw;
pub mod decode;
mod fresh;
mod network;
pub mod ops;
mod parameters;
mod perturb;
mod positions;
pub mod sentence;
pub mod tensor;

use std::sync::Arc;

use dfdx::prelude::{Cpu, Gradients, HasShape, OwnedTape, SplitTape, Tape, Trace};

pub use crate::checkpoint::BertConfig;
use crate::checkpoint::{Heads, Weights, names};
use crate::error::{Error, Result};
pub use crate::kernels::encoder::Regularisation;
use crate::kernels::gemm::portable::F32;
pub use crate::kernels::head::Prediction;
use crate::kernels::path::Path;
use crate::random::Key;
pub use adamw::{AdamWStep, Moment, Moments};
use network::Network;
pub use ops::Pass;
use parameters::Parameters;
pub use perturb::{SavedGradients, WordEmbeddings};
use positions::FixedPositions;
use tensor::{Matrix, Vector, matrix};

/// What follows the pooler's affine map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pooling {
    /// The hyperbolic tangent, as in BERT's pretraining.
    Tanh,
    /// Nothing, as in SimBERT.
    Linear,
}

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
            positions: Arc::new(FixedPositions::new(&config)),
            config: config.clone(),
            parameters: Arc::new(parameters),
        };
        Ok(Self {
            config,
            heads,
            network,
        })
    }

    /// From the weights of a checkpoint that may lack some of `heads`. Those begin fresh, as in [`Bert::initialise`], and
    /// are returned; weights of heads that are not among `heads` are left out.
    ///
    /// # Errors
    /// As [`Bert::new`].
    pub fn with_fresh_heads(
        config: BertConfig,
        heads: Heads,
        path: Path,
        mut weights: Weights,
        key: Key,
    ) -> Result<(Self, Heads)> {
        let fresh = fresh::complete(&config, heads, &mut weights, key);
        Ok((Self::new(config, heads, path, weights)?, fresh))
    }

    /// With fresh weights.
    ///
    /// # Errors
    /// Never for sizes above 0.
    pub fn initialise(config: BertConfig, heads: Heads, path: Path, key: Key) -> Result<Self> {
        let weights = fresh::weights(&config, heads, key);
        Self::new(config, heads, path, weights)
    }

    /// Gives `heads`, some of those that there are, the fresh weights that [`Bert::initialise`] and [`Bert::with_fresh_heads`] give them
    /// with this key.
    ///
    /// # Errors
    /// As [`Bert::restore`].
    pub fn redraw(&mut self, heads: Heads, key: Key) -> Result<()> {
        if heads.is_empty() {
            return Ok(());
        }
        let mut weights = self.weights();
        for (name, _) in names::head_tensors(&self.config, heads) {
            weights.remove(&name);
        }
        fresh::complete(&self.config, self.heads, &mut weights, key);
        self.restore(&weights)
    }

    /// How products are computed.
    pub fn path(&self) -> Path {
        self.network.parameters.path()
    }

    /// A copy of all weights.
    pub fn weights(&self) -> Weights {
        self.network.parameters.weights()
    }

    /// Overwrites all weights.
    ///
    /// # Errors
    /// [`Error::Unexpected`] while a tape still holds them.
    ///
    /// # Panics
    /// Where `weights` are not those of this network.
    pub fn restore(&mut self, weights: &Weights) -> Result<()> {
        self.parameters_mut()?.restore(weights);
        Ok(())
    }

    /// Moves `average` towards the weights, by `share` of the way, 0 to 1: 1 / n makes the mean of n weights seen one after the
    /// other, a small constant an exponential average.
    ///
    /// # Panics
    /// Where `average` is not of this network.
    pub fn average_into(&self, average: &mut Weights, share: f64) {
        self.network.parameters.average_into(average, share as f32);
    }

    /// Copies of all gradients, zeros where no pass has made one; forgets them. For tests and diagnosis.
    pub fn take_gradients(&self) -> Weights {
        self.network.parameters.take_gradients()
    }

    /// One step of AdamW with the gradients so far, which are zero afterwards. Returns their norm before clipping; a norm
    /// that is not finite changes nothing.
    ///
    /// # Errors
    /// [`Error::Unexpected`] while a tape still holds the weights.
    pub fn adamw_step(&mut self, moments: &mut Moments, step: &AdamWStep) -> Result<f64> {
        let n_layers = self.config.n_distinct_layers();
        Ok(adamw::step(self.parameters_mut()?, n_layers, moments, step))
    }

    fn parameters_mut(&mut self) -> Result<&mut Parameters> {
        Arc::get_mut(&mut self.network.parameters)
            .ok_or_else(|| Error::Unexpected("a tape outlived its step".to_owned()))
    }

    /// A fresh tape. Gradients of parameters stay with the network, those of other tensors on the tape.
    pub fn tape(&self) -> OwnedTape<f32, Cpu> {
        matrix(&Cpu::default(), vec![], 0, 0)
            .traced(Gradients::leaky())
            .split_tape()
            .1
    }

    /// Hidden states of the last layer at the wanted positions, (N × H).
    ///
    /// To give several heads the same pass, keep a clone of the states and hand the tape from head to head.
    ///
    /// # Panics
    /// Where an id, a position or a segment is beyond its table.
    pub fn encode<T: Tape<f32, Cpu>>(&self, pass: &Pass, tape: T) -> Matrix<T> {
        match self.path() {
            Path::F32 => ops::encode(F32, &self.network, pass, tape),
            Path::Bf16(gemm) => ops::encode(gemm, &self.network, pass, tape),
        }
    }

    /// Cross-entropy of the MLM head against a target token for each of the states (N × H), over the whole vocabulary,
    /// (N).
    ///
    /// # Panics
    /// Where a target is beyond the vocabulary, or there is not one a state; without an MLM head.
    pub fn mlm_losses<T: Tape<f32, Cpu>>(&self, states: Matrix<T>, targets: &[u32]) -> Vector<T> {
        match self.path() {
            Path::F32 => ops::mlm_losses(F32, &self.network, states, targets),
            Path::Bf16(gemm) => ops::mlm_losses(gemm, &self.network, states, targets),
        }
    }

    /// The likeliest token of the MLM head for each of the states (N × H), and the loss of a target token there, as
    /// [`Bert::mlm_losses`] gives it, (N).
    ///
    /// # Panics
    /// As [`Bert::mlm_losses`].
    pub fn mlm_predictions(&self, states: &Matrix, targets: &[u32]) -> Vec<Prediction> {
        assert_eq!(states.shape().0, targets.len(), "one target a state");
        let (head, states) = (self.network.head(), tensor::values(states));
        match self.path() {
            Path::F32 => head.predictions(F32, &states, targets),
            Path::Bf16(gemm) => head.predictions(gemm, &states, targets),
        }
    }

    /// What `see` makes of the logits of the MLM head over the whole vocabulary, (V), for each of the states (N × H), in their
    /// order. `see` gets the number of the state, and may overwrite its logits.
    ///
    /// # Panics
    /// Without an MLM head.
    pub fn map_mlm_logits<A: Clone + Default + Send>(
        &self,
        states: &Matrix,
        see: impl Fn(usize, &mut [f32]) -> A + Sync,
    ) -> Vec<A> {
        let (head, states) = (self.network.head(), tensor::values(states));
        match self.path() {
            Path::F32 => head.map_logits(F32, &states, see),
            Path::Bf16(gemm) => head.map_logits(gemm, &states, see),
        }
    }

    /// Logits of the MLM head for a few tokens, (N × tokens). Decoded in f32 on any path.
    ///
    /// # Panics
    /// Where a token is beyond the vocabulary; without an MLM head.
    pub fn token_logits<T: Tape<f32, Cpu>>(&self, states: Matrix<T>, tokens: &[u32]) -> Matrix<T> {
        match self.path() {
            Path::F32 => ops::token_logits(F32, &self.network, states, tokens),
            Path::Bf16(gemm) => ops::token_logits(gemm, &self.network, states, tokens),
        }
    }

    /// The pooler on the hidden states of first tokens, (N × H).
    ///
    /// # Panics
    /// Without a pooler.
    pub fn pool<T: Tape<f32, Cpu>>(&self, first_states: Matrix<T>, pooling: Pooling) -> Matrix<T> {
        let pooled = ops::linear(first_states, &self.network, "bert.pooler.dense");
        match pooling {
            Pooling::Tanh => ops::tanh(pooled),
            Pooling::Linear => pooled,
        }
    }

    /// Next-sentence logits of pooled states (N × H), (N × 2); index 0 means "is next". BERT pools with
    /// [`Pooling::Tanh`].
    ///
    /// # Panics
    /// Without an NSP head.
    pub fn nsp_logits<T: Tape<f32, Cpu>>(&self, pooled: Matrix<T>) -> Matrix<T> {
        ops::linear(pooled, &self.network, "cls.seq_relationship")
    }

    /// The outputs of the classifier for states (N × H), (N × outputs). `BertForSequenceClassification` of transformers
    /// gives it states pooled with [`Pooling::Tanh`].
    ///
    /// # Panics
    /// Without a classifier.
    pub fn classify<T: Tape<f32, Cpu>>(&self, states: Matrix<T>) -> Matrix<T> {
        ops::linear(states, &self.network, "classifier")
    }
}
