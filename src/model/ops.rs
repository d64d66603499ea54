//! Fused operations on dfdx's tape: the only meeting of dfdx and the kernels.
//!
//! Each computes with the kernels and records one backward operation; what backward needs stays in the recorded
//! closure. Without a tape nothing is kept. Gradients of parameters go to the [`Parameters`]; the tape carries those of
//! what crosses between operations. Every operation has its derivative checked against transformers by the golden test.

use std::sync::Arc;

use dfdx::prelude::{
    Cpu, Gradients, HasErr, HasShape, PutTape, SplitTape, Tape, Tensor, TensorFromVec,
};
use dfdx::shapes::Shape;

use super::parameters::Parameters;
use super::tensor::{Matrix, Vector, matrix, values};
use crate::checkpoint::BertConfig;
use crate::data::PackedBatch;
use crate::kernels::buffer::Buffer;
use crate::kernels::encoder::{
    Encoder, EncoderGradient, LayerOf, PackedRows, Regularisation, Saved,
};
use crate::kernels::gemm::portable::F32;
use crate::kernels::gemm::{Gemm, Into};
use crate::kernels::head::{Head, HeadGradient};
use crate::kernels::layer_norm::LayerNorm;
use crate::kernels::linear::LinearGradient;
use crate::kernels::path::Path;

pub(super) const WORD: &str = "bert.embeddings.word_embeddings.weight";
const POSITION: &str = "bert.embeddings.position_embeddings.weight";
const SEGMENT: &str = "bert.embeddings.token_type_embeddings.weight";
const EMBEDDING_NORM: &str = "bert.embeddings.LayerNorm";
const DENSE: &str = "cls.predictions.transform.dense";
const HEAD_NORM: &str = "cls.predictions.transform.LayerNorm";
pub(super) const DECODER_BIAS: &str = "cls.predictions.bias";
const LAYER: LayerOf<&str> = LayerOf {
    query: "attention.self.query",
    key: "attention.self.key",
    value: "attention.self.value",
    attention_output: "attention.output.dense",
    attention_norm: "attention.output.LayerNorm",
    intermediate: "intermediate.dense",
    output: "output.dense",
    output_norm: "output.LayerNorm",
};

/// What an operation needs of a network. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Network {
    /// Sizes.
    pub config: BertConfig,
    /// Weights.
    pub parameters: Arc<Parameters>,
}

/// A batch, where its hidden states are wanted, and the dropout on the way there.
#[derive(Debug, Clone)]
pub struct Pass<'a> {
    /// The rows.
    pub batch: &'a PackedBatch,
    /// Positions in the packed tokens, (N).
    pub wanted: &'a [u32],
    /// `None` for prediction.
    pub regularisation: Option<&'a Regularisation>,
}

impl<'a> Pass<'a> {
    /// Without dropout.
    pub fn prediction(batch: &'a PackedBatch, wanted: &'a [u32]) -> Self {
        Self {
            batch,
            wanted,
            regularisation: None,
        }
    }
}

/// Last hidden states at the wanted positions, (N × H).
pub fn encode<T: Tape<f32, Cpu>>(network: &Network, pass: &Pass, tape: T) -> Matrix<T> {
    match network.parameters.path() {
        Path::F32 => encode_with(F32, network, pass, tape),
        Path::Bf16(gemm) => encode_with(gemm, network, pass, tape),
    }
}

/// Cross-entropy of the MLM head at the wanted positions against target tokens, (N).
pub fn mlm_losses<T: Tape<f32, Cpu>>(
    network: &Network,
    pass: &Pass,
    targets: &[u32],
    tape: T,
) -> Vector<T> {
    match network.parameters.path() {
        Path::F32 => mlm_losses_with(F32, network, pass, targets, tape),
        Path::Bf16(gemm) => mlm_losses_with(gemm, network, pass, targets, tape),
    }
}

/// What the decoder of the MLM head reads at the wanted positions, (N × H). Without a tape.
pub fn mlm_features(network: &Network, pass: &Pass) -> Matrix {
    fn with<G: Gemm>(gemm: G, network: &Network, pass: &Pass) -> Buffer<f32> {
        let (states, _) =
            network
                .encoder()
                .forward(gemm, &rows(pass.batch), pass.wanted, pass.regularisation);
        network.head().features(gemm, &states)
    }
    let features = match network.parameters.path() {
        Path::F32 => with(F32, network, pass),
        Path::Bf16(gemm) => with(gemm, network, pass),
    };
    let (n, width) = (pass.wanted.len(), network.config.hidden_size);
    matrix(&Cpu::default(), features.to_vec(), n, width)
}

fn encode_with<G: Gemm, T: Tape<f32, Cpu>>(
    gemm: G,
    network: &Network,
    pass: &Pass,
    mut tape: T,
) -> Matrix<T> {
    let encoder = network.encoder();
    let (states, saved) =
        encoder.forward(gemm, &rows(pass.batch), pass.wanted, pass.regularisation);
    let (n, width) = (pass.wanted.len(), network.config.hidden_size);
    let output = matrix(&Cpu::default(), states.to_vec(), n, width);
    if T::OWNS_TAPE {
        let (network, batch, y) = (network.clone(), pass.batch.clone(), output.clone());
        let regularisation = pass.regularisation.copied();
        tape.add_backward_op(move |gradients| {
            let d_states = take(gradients, &y)?;
            network.encoder_backward(gemm, &batch, saved, &d_states, regularisation);
            Ok(())
        });
    }
    output.put_tape(tape)
}

fn mlm_losses_with<G: Gemm, T: Tape<f32, Cpu>>(
    gemm: G,
    network: &Network,
    pass: &Pass,
    targets: &[u32],
    mut tape: T,
) -> Vector<T> {
    let encoder = network.encoder();
    let (states, saved) =
        encoder.forward(gemm, &rows(pass.batch), pass.wanted, pass.regularisation);
    let (losses, saved_head) = network.head().losses(gemm, &states, targets);
    let output: Vector = Cpu::default().tensor_from_vec(losses, (targets.len(),));
    if T::OWNS_TAPE {
        let (network, batch, y) = (network.clone(), pass.batch.clone(), output.clone());
        let regularisation = pass.regularisation.copied();
        tape.add_backward_op(move |gradients| {
            let d_losses = take(gradients, &y)?;
            let mut gradient = network.take_head_gradient();
            let head = network.head();
            let d_states = head.backward(gemm, saved_head, &d_losses, &mut gradient);
            network.put_head_gradient(gradient);
            network.encoder_backward(gemm, &batch, saved, &d_states, regularisation);
            Ok(())
        });
    }
    output.put_tape(tape)
}

/// The affine map `name`, (N × in) to (N × out), in f32.
pub fn linear<T: Tape<f32, Cpu>>(x: Matrix<T>, network: &Network, name: &str) -> Matrix<T> {
    let (x, mut tape) = x.split_tape();
    let inputs = values(&x);
    let linear = network.parameters.linear(name);
    let (n_rows, n_out) = (x.shape().0, linear.n_out());
    let output = matrix(x.device(), linear.forward(&inputs), n_rows, n_out);
    if T::OWNS_TAPE {
        let (parameters, name, y) = (network.parameters.clone(), name.to_owned(), output.clone());
        tape.add_backward_op(move |gradients| {
            let dy = take(gradients, &y)?;
            let mut gradient = parameters.take_affine(&name);
            let into = LinearGradient {
                weight: &mut gradient.weight,
                bias: &mut gradient.bias,
            };
            let linear = parameters.linear(&name);
            let dx = gradients.get_or_alloc_mut(&x)?;
            linear.backward(&inputs, &dy, into, dx, Into::Add);
            parameters.put_affine(&name, gradient);
            Ok(())
        });
    }
    output.put_tape(tape)
}

impl Network {
    /// Borrows the weights of embeddings and layers.
    fn encoder(&self) -> Encoder<'_> {
        let p = &*self.parameters;
        let layer = |number: usize| LAYER.map(|part| p.linear(&layer_name(number, part)));
        Encoder {
            word: p.values(WORD),
            position: p.values(POSITION),
            segment: p.values(SEGMENT),
            norm: self.norm(EMBEDDING_NORM),
            layers: (0..self.config.num_hidden_layers).map(layer).collect(),
            heads: self.config.num_attention_heads,
        }
    }

    /// Borrows the weights of the MLM head. The decoder is tied to the word embeddings; its bias is free.
    fn head(&self) -> Head<'_> {
        Head {
            dense: self.parameters.linear(DENSE),
            norm: self.norm(HEAD_NORM),
            decoder: self.parameters.linear_of(WORD, DECODER_BIAS),
        }
    }

    fn norm(&self, name: &str) -> LayerNorm<'_> {
        let norm = self.parameters.linear(name);
        norm.as_norm(self.config.layer_norm_eps)
    }

    fn encoder_backward<G: Gemm>(
        &self,
        gemm: G,
        batch: &PackedBatch,
        saved: Saved<G>,
        d_states: &[f32],
        regularisation: Option<Regularisation>,
    ) {
        let p = &*self.parameters;
        let layer = |number: usize| LAYER.map(|part| p.take_affine(&layer_name(number, part)));
        let mut gradient = EncoderGradient {
            word: p.take_gradient(WORD),
            position: p.take_gradient(POSITION),
            segment: p.take_gradient(SEGMENT),
            norm: p.take_affine(EMBEDDING_NORM),
            layers: (0..self.config.num_hidden_layers).map(layer).collect(),
        };
        self.encoder().backward(
            gemm,
            &rows(batch),
            saved,
            d_states,
            regularisation.as_ref(),
            &mut gradient,
        );
        p.gradients().put(WORD, gradient.word);
        p.gradients().put(POSITION, gradient.position);
        p.gradients().put(SEGMENT, gradient.segment);
        p.put_affine(EMBEDDING_NORM, gradient.norm);
        for (number, layer) in gradient.layers.into_iter().enumerate() {
            LAYER.zip(layer, |part, gradient| {
                p.put_affine(&layer_name(number, part), gradient);
            });
        }
    }

    fn take_head_gradient(&self) -> HeadGradient {
        let p = &*self.parameters;
        HeadGradient {
            dense: p.take_affine(DENSE),
            norm: p.take_affine(HEAD_NORM),
            decoder: crate::kernels::AffineGradient {
                weight: p.take_gradient(WORD),
                bias: p.take_gradient(DECODER_BIAS),
            },
        }
    }

    fn put_head_gradient(&self, gradient: HeadGradient) {
        let p = &*self.parameters;
        p.put_affine(DENSE, gradient.dense);
        p.put_affine(HEAD_NORM, gradient.norm);
        p.gradients().put(WORD, gradient.decoder.weight);
        p.gradients().put(DECODER_BIAS, gradient.decoder.bias);
    }
}

fn layer_name(number: usize, part: &str) -> String {
    format!("bert.encoder.layer.{number}.{part}")
}

fn rows(batch: &PackedBatch) -> PackedRows<'_> {
    PackedRows {
        input_ids: &batch.input_ids,
        position_ids: &batch.position_ids,
        segment_ids: &batch.segment_ids,
        offsets: &batch.offsets,
    }
}

/// Takes the gradient of an operation's output: nobody reads it afterwards.
fn take<S: Shape>(
    gradients: &mut Gradients<f32, Cpu>,
    output: &Tensor<S, f32, Cpu>,
) -> Result<Vec<f32>, <Cpu as HasErr>::Err> {
    Ok(std::mem::take(&mut **gradients.get_or_alloc_mut(output)?))
}
