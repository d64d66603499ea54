//! The weights of a network as the kernels want them: which name is which part.
//!
//! In: [`Parameters`]. Out: borrowed weights of the encoder and of the MLM head, and their gradients, taken out and put
//! back. Knows names and what they mean; does not compute and knows no tape.

use std::sync::Arc;

use super::parameters::Parameters;
use super::positions::FixedPositions;
use crate::checkpoint::{Activation, BertConfig};
use crate::kernels::AffineGradient;
use crate::kernels::encoder::{Encoder, EncoderGradient, LayerOf, Positions};
use crate::kernels::gelu::Gelu;
use crate::kernels::head::{Head, HeadGradient};
use crate::kernels::layer_norm::LayerNorm;

pub(super) const WORD: &str = "bert.embeddings.word_embeddings.weight";
const POSITION: &str = "bert.embeddings.position_embeddings.weight";
const SEGMENT: &str = "bert.embeddings.token_type_embeddings.weight";
const PROJECTION: &str = "bert.encoder.embedding_hidden_mapping_in";
const EMBEDDING_NORM: &str = "bert.embeddings.LayerNorm";
const DENSE: &str = "cls.predictions.transform.dense";
const HEAD_NORM: &str = "cls.predictions.transform.LayerNorm";
const DECODER_BIAS: &str = "cls.predictions.bias";
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
pub(super) struct Network {
    /// Sizes.
    pub(super) config: BertConfig,
    /// What is fixed.
    pub(super) positions: Arc<FixedPositions>,
    /// Weights.
    pub(super) parameters: Arc<Parameters>,
}

impl Network {
    /// Borrows the weights of embeddings and layers.
    pub(super) fn encoder(&self) -> Encoder<'_> {
        let p = &*self.parameters;
        let layer = |number: usize| LAYER.map(|part| p.linear(&layer_name(number, part)));
        Encoder {
            word: p.values(WORD),
            segment: p.values(SEGMENT),
            positions: match &*self.positions {
                FixedPositions::None => Positions::Absolute(p.values(POSITION)),
                FixedPositions::Relative(table) => Positions::Relative(table),
                FixedPositions::Rotary(table) => Positions::Rotary(table),
            },
            norm: self.norm(EMBEDDING_NORM),
            projection: self.config.albert.map(|_| p.linear(PROJECTION)),
            layers: (0..self.config.n_distinct_layers()).map(layer).collect(),
            order: self.config.layer_order(),
            gelu: self.gelu(),
            heads: self.config.num_attention_heads,
        }
    }

    /// Borrows the weights of the MLM head. The decoder is tied to the word embeddings; its bias is free.
    pub(super) fn head(&self) -> Head<'_> {
        Head {
            dense: self.parameters.linear(DENSE),
            norm: self.norm(HEAD_NORM),
            decoder: self.parameters.linear_of(WORD, DECODER_BIAS),
            gelu: self.gelu(),
        }
    }

    fn gelu(&self) -> Gelu {
        match self.config.hidden_act {
            Activation::Gelu => Gelu::Erf,
            Activation::GeluNew => Gelu::Tanh,
        }
    }

    fn norm(&self, name: &str) -> LayerNorm<'_> {
        let norm = self.parameters.linear(name);
        norm.as_norm(self.config.layer_norm_eps)
    }

    /// Lets `add` add to the gradients of embeddings and layers.
    pub(super) fn add_to_encoder(&self, add: impl FnOnce(&mut EncoderGradient)) {
        let p = &*self.parameters;
        let layer = |number: usize| LAYER.map(|part| p.take_affine(&layer_name(number, part)));
        let mut gradient = EncoderGradient {
            word: p.take_gradient(WORD),
            position: self
                .config
                .has_position_table()
                .then(|| p.take_gradient(POSITION)),
            segment: p.take_gradient(SEGMENT),
            norm: p.take_affine(EMBEDDING_NORM),
            projection: self.config.albert.map(|_| p.take_affine(PROJECTION)),
            layers: (0..self.config.n_distinct_layers()).map(layer).collect(),
        };
        add(&mut gradient);
        p.gradients().put(WORD, gradient.word);
        if let Some(position) = gradient.position {
            p.gradients().put(POSITION, position);
        }
        p.gradients().put(SEGMENT, gradient.segment);
        p.put_affine(EMBEDDING_NORM, gradient.norm);
        if let Some(projection) = gradient.projection {
            p.put_affine(PROJECTION, projection);
        }
        for (number, layer) in gradient.layers.into_iter().enumerate() {
            LAYER.zip(layer, |part, gradient| {
                p.put_affine(&layer_name(number, part), gradient);
            });
        }
    }

    /// Lets `add` add to the gradients of the MLM head.
    pub(super) fn add_to_head<A>(&self, add: impl FnOnce(&mut HeadGradient) -> A) -> A {
        let p = &*self.parameters;
        let mut gradient = HeadGradient {
            dense: p.take_affine(DENSE),
            norm: p.take_affine(HEAD_NORM),
            decoder: AffineGradient {
                weight: p.take_gradient(WORD),
                bias: p.take_gradient(DECODER_BIAS),
            },
        };
        let result = add(&mut gradient);
        p.put_affine(DENSE, gradient.dense);
        p.put_affine(HEAD_NORM, gradient.norm);
        p.gradients().put(WORD, gradient.decoder.weight);
        p.gradients().put(DECODER_BIAS, gradient.decoder.bias);
        result
    }
}

fn layer_name(number: usize, part: &str) -> String {
    format!("bert.encoder.layer.{number}.{part}")
}
