//! AdamW over all parameters of a network, with clipping by the global norm.
//!
//! Biases and norms do not decay. A parameter whose gradient is exactly zero (a head that the objective does
//! not use) is left alone, moments and all, as PyTorch does with a gradient of `None`. One thing differs:
//! the correction of the moments for their start from 0 is by the steps of the network, where PyTorch counts those of each
//! parameter. A parameter whose first gradient comes late moves by the rate there, and here by about half of it (after tens of
//! steps) up to 0.1 / sqrt(0.001), about 3.2 times the rate (after thousands). With a gradient in every step both are the same. The
//! rate may fall from the heads down to the embeddings (Clark et al. 2020, ELECTRA, <https://arxiv.org/abs/2003.10555>).

use std::collections::BTreeMap;

use super::parameters::{Parameters, Update};
use crate::checkpoint::names;
use crate::kernels::adamw::AdamW;

/// What is chosen for one step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamWStep {
    /// Of the heads; of all where `layer_decay` is 1.
    pub learning_rate: f64,
    /// Decoupled decay of matrices.
    pub weight_decay: f64,
    /// Largest norm of all gradients together; 0 = no clipping.
    pub clip: f64,
    /// Factor of the rate from one layer to the next one below, in 0..=1. Layers that share their weights count as one. Of L
    /// layers, layer i (from 0) has
    /// `learning_rate · layer_decay^(L - i)`, the embeddings, the tied decoder with them, `layer_decay^(L + 1)`.
    pub layer_decay: f64,
}

/// What AdamW remembers from step to step. Opaque but for copies of its tensors.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Moments {
    pairs: BTreeMap<String, Pair>,
    steps: u64,
}

/// First and second moment of one parameter; empty where there was no gradient yet.
#[derive(Debug, Clone, Default, PartialEq)]
struct Pair {
    first: Vec<f32>,
    second: Vec<f32>,
}

/// Which of the two moments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Running mean of gradients.
    First,
    /// Running mean of their squares.
    Second,
}

impl Moments {
    /// Steps done.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// The parameters that have moments, with the number of scalars of each moment.
    pub fn parameters(&self) -> impl Iterator<Item = (&str, usize)> {
        let parameters = self.pairs.iter();
        parameters.map(|(name, pair)| (name.as_str(), pair.first.len()))
    }

    /// A copy of one moment; empty where there is none.
    pub fn tensor(&self, parameter: &str, which: Moment) -> Vec<f32> {
        let pair = self.pairs.get(parameter);
        pair.map_or_else(Vec::new, |pair| match which {
            Moment::First => pair.first.clone(),
            Moment::Second => pair.second.clone(),
        })
    }

    /// With the moments that were copied out earlier: parameter, first and second moment.
    pub fn restored(
        steps: u64,
        tensors: impl IntoIterator<Item = (String, Vec<f32>, Vec<f32>)>,
    ) -> Self {
        let pair = |(name, first, second)| (name, Pair { first, second });
        Self {
            pairs: tensors.into_iter().map(pair).collect(),
            steps,
        }
    }
}

/// One step; leaves the gradients at zero for the next one, and returns their norm before clipping. A norm that
/// is not finite changes nothing.
pub(super) fn step(
    parameters: &mut Parameters,
    n_layers: usize,
    moments: &mut Moments,
    options: &AdamWStep,
) -> f64 {
    let squares = parameters.gradient_squares();
    let norm = squares.iter().flatten().sum::<f64>().sqrt();
    if !norm.is_finite() {
        return norm;
    }
    moments.steps += 1;
    let too_long = options.clip > 0.0 && norm > options.clip;
    let constants = AdamW {
        learning_rate: 0.0,
        weight_decay: 0.0,
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-6, // BERT's own, outside the root
        step: moments.steps,
        gradient_scale: if too_long {
            (options.clip / norm) as f32
        } else {
            1.0
        },
    };
    for name in parameters.names() {
        if !moments.pairs.contains_key(name) {
            moments.pairs.insert(name.to_owned(), Pair::default());
        }
    }
    assert!(
        moments
            .pairs
            .keys()
            .map(String::as_str)
            .eq(parameters.names()),
        "moments of this network"
    );
    let states = moments.pairs.values_mut().zip(squares).collect();
    parameters.update(states, |update, (pair, square)| {
        let Update {
            name,
            is_matrix,
            values,
            gradient,
        } = update;
        if square == Some(0.0) {
            // Not always zeros: the squares of tiny numbers vanish. What stayed would join the next step, but
            // not after a restart.
            gradient.fill(0.0);
            return false;
        }
        pair.first.resize(values.len(), 0.0);
        pair.second.resize(values.len(), 0.0);
        let weight_decay = if is_matrix { options.weight_decay } else { 0.0 };
        let factor = rate_factor(name, n_layers, options.layer_decay);
        let constants = AdamW {
            learning_rate: (options.learning_rate * factor) as f32,
            weight_decay: weight_decay as f32,
            ..constants
        };
        constants.update(values, gradient, &mut pair.first, &mut pair.second);
        true
    });
    norm
}

/// By what the rate of a parameter is multiplied.
fn rate_factor(name: &str, n_layers: usize, layer_decay: f64) -> f64 {
    let below = match names::depth(name) {
        names::Depth::Embeddings => n_layers + 1,
        names::Depth::Layer(layer) => n_layers - layer,
        names::Depth::Head => 0,
    };
    layer_decay.powi(below as i32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::{BertConfig, Heads};
    use crate::kernels::path::Path;
    use crate::model::Bert;
    use crate::random::Key;

    #[test]
    fn the_rate_falls_from_the_heads_to_the_embeddings() {
        let factor = |name| rate_factor(name, 2, 0.5);
        assert_eq!(factor("classifier.weight"), 1.0);
        assert_eq!(factor("bert.pooler.dense.bias"), 1.0);
        assert_eq!(factor("cls.predictions.bias"), 1.0);
        assert_eq!(factor("bert.encoder.layer.1.output.dense.weight"), 0.5);
        assert_eq!(factor("bert.encoder.layer.0.output.dense.weight"), 0.25);
        assert_eq!(factor("bert.embeddings.word_embeddings.weight"), 0.125);
        assert_eq!(rate_factor("bert.embeddings.LayerNorm.bias", 12, 1.0), 1.0);
    }

    /// A step from equal gradients: the first step of Adam is the rate, whatever the gradient.
    #[test]
    fn a_step_moves_each_layer_by_its_own_rate_and_leaves_others_alone() {
        let config = BertConfig {
            vocab_size: 7,
            hidden_size: 4,
            num_hidden_layers: 1,
            num_attention_heads: 1,
            intermediate_size: 3,
            max_position_embeddings: 5,
            ..BertConfig::default()
        };
        let heads = Heads {
            pooler: true,
            ..Heads::MLM
        };
        let model = Bert::initialise(config, heads, Path::F32, Key::from_seed(1));
        let mut model = model.expect("a small model");
        let moved = [
            ("bert.embeddings.LayerNorm.bias", 0.25),
            ("bert.encoder.layer.0.output.dense.bias", 0.5),
            ("cls.predictions.transform.dense.bias", 1.0),
        ];
        let before = model.weights();
        for (name, _) in moved {
            let parameters = &model.network.parameters;
            let n = parameters.take_gradient(name).len();
            parameters.gradients().put(name, vec![0.5; n]);
        }
        let mut moments = Moments::default();
        let step = AdamWStep {
            learning_rate: 0.1,
            weight_decay: 0.0,
            clip: 0.0,
            layer_decay: 0.5,
        };
        let norm = model.adamw_step(&mut moments, &step).expect("no tape");
        assert!((norm - (3.0 * 4.0 * 0.25f64).sqrt()).abs() < 1e-9);
        for (name, after) in &model.weights() {
            let rate = moved.iter().find(|(other, _)| other == name);
            let by = rate.map_or(0.0, |(_, factor)| 0.1 * factor);
            for (after, before) in after.iter().zip(&before[name]) {
                assert!((before - after - by).abs() < 1e-5, "{name}");
            }
        }
        assert_eq!(moments.steps(), 1);
        let copies = moments.parameters().map(|(name, _)| {
            let of = |which| moments.tensor(name, which);
            (name.to_owned(), of(Moment::First), of(Moment::Second))
        });
        assert_eq!(Moments::restored(1, copies.collect::<Vec<_>>()), moments);
    }
}
