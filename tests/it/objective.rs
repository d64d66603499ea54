//! The objective on a whole network: its state before training, gradients under dropout, threads.

use cipherpet::checkpoint::{BertConfig, Heads, Weights, remap::remap};
use cipherpet::data::{EncodedExample, Target, reserved};
use cipherpet::kernels::path::{Path, Precision};
use cipherpet::metrics::auc;
use cipherpet::model::{Bert, Regularisation};
use cipherpet::objective::pet::{self, Corruption, PetBatch};
use cipherpet::random::Key;
use cipherpet::vocab::PlainId;

use crate::workspace::skipped;

const HEADS: Heads = Heads::MLM;
const VOCAB: u32 = 307;

fn config(hidden: usize) -> BertConfig {
    BertConfig {
        vocab_size: VOCAB as usize,
        hidden_size: hidden,
        num_hidden_layers: 2,
        num_attention_heads: 4,
        intermediate_size: 4 * hidden,
        max_position_embeddings: 40,
        type_vocab_size: 2,
        layer_norm_eps: 1e-12,
        initializer_range: 0.2,
        hidden_dropout_prob: 0.0,
        attention_probs_dropout_prob: 0.0,
    }
}

/// Differences of losses are read to more digits than bf16 has.
fn path() -> Path {
    Path::resolve(Precision::F32)
}

fn model(hidden: usize) -> Bert {
    model_on(path(), hidden)
}

fn model_on(path: Path, hidden: usize) -> Bert {
    Bert::initialise(config(hidden), HEADS, path, Key::from_seed(1)).expect("sizes above 0")
}

/// Pairs of different lengths; a third of them without a label.
fn pairs(n: u64) -> Vec<EncodedExample> {
    let key = Key::from_seed(2);
    let sentence = |row: u64, side: u64| -> Vec<u32> {
        let length = 1 + key.at(row).at(side).bits(0) % 14;
        let token = |i| (key.at(row).at(side).bits(i) % u64::from(VOCAB - 7)) as u32 + 7;
        (1..=length).map(token).collect()
    };
    let label = |row: u64| (!row.is_multiple_of(3)).then_some(row % 3 == 1);
    (0..n)
        .map(|row| EncodedExample {
            a: sentence(row, 0),
            b: Some(sentence(row, 1)),
            target: label(row).map_or(Target::Unknown, Target::from),
        })
        .collect()
}

fn batch(pairs: &[EncodedExample]) -> PetBatch {
    let numbers: Vec<usize> = (0..pairs.len()).collect();
    PetBatch::new(
        pairs,
        &numbers,
        &Corruption {
            mask: 0.3,
            vocab_size: VOCAB,
            key: Key::from_seed(3),
        },
    )
}

/// Gradients with dropout on, in the order of names, and the loss.
fn gradients(model: &Bert, batch: &PetBatch) -> (f64, Weights) {
    let regularisation = Regularisation {
        hidden: 0.2,
        attention: 0.3,
        key: Key::from_seed(4),
    };
    let loss = batch
        .loss_and_gradients(model, &regularisation)
        .expect("memory");
    (loss.loss, model.take_gradients())
}

/// The loss moves along a random direction of all parameters as the gradient says, with the same dropout masks:
/// what the golden test cannot see, as transformers draws other masks.
#[test]
fn gradients_under_dropout_equal_finite_differences() {
    let pairs = pairs(12);
    let batch = batch(&pairs);
    let model = model(32);
    let (_, gradient) = gradients(&model, &batch);
    for seed in 0..4 {
        let key = Key::from_seed(100 + seed);
        let sign = |parameter: usize, i: usize| {
            if key.at(parameter as u64).bits(i as u64) & 1 == 0 {
                1.0
            } else {
                -1.0
            }
        };
        let mut along = 0.0;
        for (parameter, values) in gradient.values().enumerate() {
            along += values
                .iter()
                .enumerate()
                .map(|(i, &g)| f64::from(g) * sign(parameter, i))
                .sum::<f64>();
        }
        let moved = |step: f64| {
            let mut weights = model.weights();
            for (parameter, values) in weights.values_mut().enumerate() {
                values
                    .iter_mut()
                    .enumerate()
                    .for_each(|(i, x)| *x += (step * sign(parameter, i)) as f32);
            }
            gradients(
                &Bert::new(config(32), HEADS, path(), weights).expect("the same shapes"),
                &batch,
            )
            .0
        };
        let step = 2e-4;
        let difference = (moved(step) - moved(-step)) / (2.0 * step);
        let tolerance = 0.02 * along.abs().max(1.0);
        assert!(
            (difference - along).abs() < tolerance,
            "direction {seed}: gradient {along}, difference {difference}"
        );
    }
}

#[test]
fn loss_and_gradients_have_the_same_bits_on_one_to_four_threads() {
    let pairs = pairs(64);
    let batch = batch(&pairs);
    for precision in [Precision::F32, Precision::Bf16] {
        // 256 wide: large enough that every matrix product is cut into tiles.
        let model = model_on(Path::resolve(precision), 256);
        let on = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .expect("threads");
            pool.install(|| gradients(&model, &batch))
        };
        let (loss, one) = on(1);
        for threads in 2..=4 {
            let (other_loss, other) = on(threads);
            assert_eq!(loss.to_bits(), other_loss.to_bits());
            for (name, values) in &one {
                let same = values
                    .iter()
                    .zip(&other[name])
                    .all(|(x, y)| x.to_bits() == y.to_bits());
                let path = model.path();
                assert!(same, "{path}: {name} differs on {threads} threads");
            }
        }
    }
}

/// Rounding to 8 bits changes each product by up to 2^-8 of it, in either direction: sums of many by less.
#[test]
fn gradients_in_bf16_are_those_in_f32_within_what_rounding_allows() {
    let bf16 = Path::resolve(Precision::Bf16);
    if !bf16.packs() {
        skipped("no instructions for bf16 on this CPU");
        return;
    }
    let pairs = pairs(64);
    let batch = batch(&pairs);
    let (exact_loss, exact) = gradients(&model(64), &batch);
    let (loss, rounded) = gradients(&model_on(bf16, 64), &batch);
    assert!(
        (loss - exact_loss).abs() < 0.01 * exact_loss,
        "{loss} {exact_loss}"
    );
    let norm = |values: &mut dyn Iterator<Item = f32>| -> f64 {
        values.map(|x| f64::from(x).powi(2)).sum::<f64>().sqrt()
    };
    let all = norm(&mut exact.values().flatten().copied());
    for (name, exact) in &exact {
        let apart = norm(&mut exact.iter().zip(&rounded[name]).map(|(x, y)| x - y));
        let size = norm(&mut exact.iter().copied());
        // Keys' biases have no gradient in exact arithmetic: hence the second term.
        assert!(
            apart < 0.03 * size + 1e-3 * all,
            "{name}: {apart} of {size}"
        );
    }
}

/// [UNK], [NO] and [YES] start as the same row, so no pair is preferred: AUC is exactly one half.
#[test]
fn before_training_all_scores_are_0() {
    let mut weights = model(32).weights();
    let keep: Vec<PlainId> = [0, 100, 101, 102, 103, 100, 100]
        .into_iter()
        .chain(1..301)
        .map(PlainId)
        .collect();
    remap(&mut weights, &keep);
    let words = &weights["bert.embeddings.word_embeddings.weight"];
    let row = |id: u32| words.index_axis(ndarray::Axis(0), id as usize).to_owned();
    assert_eq!(row(reserved::UNK), row(reserved::NO));
    assert_eq!(row(reserved::UNK), row(reserved::YES));
    let model = Bert::new(config(32), HEADS, path(), weights).expect("307 rows again");
    let pairs = pairs(30);
    let scores = pet::scores(&model, &pairs, true);
    assert!(scores.iter().all(|&score| score == 0.0), "{scores:?}");
    let labels: Vec<bool> = pairs
        .iter()
        .map(|pair| pair.target == Target::Class(1))
        .collect();
    assert_eq!(auc(&labels, &scores), Some(0.5));
}

#[test]
fn a_batch_without_targets_has_loss_0_and_no_gradient() {
    let pairs: Vec<_> = pairs(3)
        .into_iter()
        .map(|pair| EncodedExample {
            target: Target::Unknown,
            ..pair
        })
        .collect();
    let corruption = Corruption {
        mask: 1e-12,
        vocab_size: VOCAB,
        key: Key::from_seed(3),
    };
    let batch = PetBatch::new(&pairs, &[0, 1, 2], &corruption);
    assert!(batch.targets.is_empty());
    let (loss, gradient) = gradients(&model(32), &batch);
    assert_eq!(loss, 0.0);
    assert!(gradient.values().flatten().all(|&g| g == 0.0));
}

#[test]
fn scores_of_both_orders_are_the_mean_of_each() {
    let model = model(32);
    let pairs = pairs(20);
    let swapped: Vec<_> = pairs
        .iter()
        .map(|pair| EncodedExample {
            a: pair.b.clone().expect("two texts"),
            b: Some(pair.a.clone()),
            target: Target::Unknown,
        })
        .collect();
    let (forward, backward) = (
        pet::scores(&model, &pairs, false),
        pet::scores(&model, &swapped, false),
    );
    assert_ne!(forward, backward);
    let both = pet::scores(&model, &pairs, true);
    for ((x, y), z) in forward.iter().zip(&backward).zip(&both) {
        assert!(((x + y) / 2.0 - z).abs() < 1e-5, "{x} {y} {z}");
    }
}
