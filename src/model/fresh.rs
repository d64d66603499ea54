//! Fresh weights, of a whole network or of the heads that a checkpoint lacks.
//!
//! Matrices are normal with `initializer_range`, biases 0, norms 1 and 0, as BERT's own. Each tensor has a random stream
//! of its own, by its place in the table of names.

use ndarray::ArrayD;

use crate::checkpoint::{BertConfig, Heads, Weights, names};
use crate::random::{Key, normal_values};

/// All weights of a network.
pub(super) fn weights(config: &BertConfig, heads: Heads, key: Key) -> Weights {
    tensors(config, heads, key).collect()
}

fn tensors(
    config: &BertConfig,
    heads: Heads,
    key: Key,
) -> impl Iterator<Item = (String, ArrayD<f32>)> {
    let range = config.initializer_range;
    let tensors = names::tensors(config, heads).into_iter().enumerate();
    tensors.map(move |(index, (name, shape))| {
        let n: usize = shape.iter().product();
        let values = if shape.len() > 1 {
            normal_values(n, range, key.at(index as u64))
        } else if name.ends_with("LayerNorm.weight") {
            vec![1.0; n]
        } else {
            vec![0.0; n]
        };
        let array = ArrayD::from_shape_vec(shape, values).expect("n is the product of the shape");
        (name, array)
    })
}

/// Leaves the weights of exactly `heads`: removes those of others, and gives those that are not there as a whole fresh
/// weights. Returns the latter.
pub(super) fn complete(
    config: &BertConfig,
    heads: Heads,
    weights: &mut Weights,
    key: Key,
) -> Heads {
    let every = Heads {
        pooler: true,
        nsp: true,
        classifier: Some(1),
        ..Heads::MLM
    };
    let wanted = names::head_tensors(config, heads);
    for (name, _) in names::head_tensors(config, every) {
        if wanted.iter().all(|(other, _)| *other != name) {
            weights.remove(&name);
        }
    }
    let mut fresh = Heads::default();
    for head in heads.each() {
        let tensors = names::head_tensors(config, head);
        let has = |(name, shape): &(String, Vec<usize>)| {
            weights
                .get(name)
                .is_some_and(|array| array.shape() == shape)
        };
        if !tensors.iter().all(has) {
            fresh = fresh.and(head);
        }
    }
    let of_fresh = names::head_tensors(config, fresh);
    let made = tensors(config, heads, key);
    weights.extend(made.filter(|(name, _)| of_fresh.iter().any(|(other, _)| other == name)));
    fresh
}
