//! Parity with Hugging Face transformers on a tiny random `BertForPreTraining`: logits, losses, every gradient,
//! ten AdamW steps; and with `BertForSequenceClassification` on the same weights, three heads under one pass.
//! `tests/golden/make.py` made the files; `next_sentence.py` those of `BertForNextSentencePrediction`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use cipherpet::checkpoint::{BertConfig, Heads, Weights, names};
use cipherpet::data::{PackedBatch, PackedRow, visible_prefixes};
use cipherpet::kernels::path::{Path, Precision};
use cipherpet::model::tensor::{self, Matrix, Scalar};
use cipherpet::model::{Bert, Pass, Pooling, ops};
use cipherpet::train::{AdamWOptions, Optimiser};
use cipherpet::workbench::zero_shot::input::{BLANK, Input, Specials};
use cipherpet::workbench::zero_shot::prompts::Side;
use cipherpet::workbench::zero_shot::score::{Method, scores};
use dfdx::prelude::{AsArray, Backward, Cpu, HasShape, MeanTo, NoneTape, PutTape, SplitTape, Tape};
use safetensors::SafeTensors;

const HEADS: Heads = Heads {
    pooler: true,
    nsp: true,
    ..Heads::MLM
};

/// What `make.py` stored.
pub struct Golden {
    pub scalars: serde_json::Value,
    pub floats: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
    pub integers: BTreeMap<String, Vec<u32>>,
}

impl Golden {
    fn read() -> Self {
        Self::of("bert_tiny.safetensors", "bert_tiny.json")
    }

    /// The tensors of one file and the numbers of another.
    pub fn of(name: &str, json: &str) -> Self {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
        let json = std::fs::read_to_string(folder.join(json)).expect("a golden file");
        let bytes = std::fs::read(folder.join(name)).expect("a golden file");
        let file = SafeTensors::deserialize(&bytes).expect("a safetensors file");
        let (mut floats, mut integers) = (BTreeMap::new(), BTreeMap::new());
        for (name, view) in file.tensors() {
            if view.dtype() == safetensors::Dtype::F32 {
                let values = view
                    .data()
                    .chunks_exact(4)
                    .map(|b| f32::from_le_bytes(b.try_into().expect("4 bytes")));
                floats.insert(name, (view.shape().to_vec(), values.collect()));
            } else {
                let values = view
                    .data()
                    .chunks_exact(8)
                    .map(|b| i64::from_le_bytes(b.try_into().expect("8 bytes")));
                integers.insert(name, values.map(|x| x as u32).collect());
            }
        }
        Self {
            scalars: serde_json::from_str(&json).expect("JSON"),
            floats,
            integers,
        }
    }

    fn model(&self) -> Bert {
        let config: BertConfig =
            serde_json::from_value(self.scalars["config"].clone()).expect("a config");
        let mut weights = Weights::new();
        for (name, shape) in names::tensors(&config, HEADS) {
            let (_, values) = &self.floats[&name];
            weights.insert(
                name,
                ndarray::ArrayD::from_shape_vec(shape, values.clone()).expect("the shape"),
            );
        }
        Bert::new(config, HEADS, Path::resolve(Precision::F32), weights).expect("all weights")
    }

    pub fn batch(&self) -> PackedBatch {
        let mut batch = PackedBatch::default();
        for bounds in self.integers["offsets"].windows(2) {
            let row = bounds[0] as usize..bounds[1] as usize;
            batch.push(
                &self.integers["input_ids"][row.clone()],
                &self.integers["segment_ids"][row],
            );
        }
        batch
    }

    /// The losses before each of ten steps of AdamW are those of torch.
    pub fn assert_ten_steps(&self, mut model: Bert, learning_rate: f64) {
        let batch = self.batch();
        let options = AdamWOptions {
            weight_decay: 0.01,
            clip: 0.0,
            layer_decay: 1.0,
        };
        let mut optimiser = Optimiser::new(options);
        let expected = self.scalars["adamw"]["losses"].as_array();
        let expected = expected.expect("a list");
        assert_eq!(expected.len(), 10);
        for expected in expected {
            let expected = expected.as_f64().expect("a number") as f32;
            let loss = self.loss(&model, &batch);
            assert_close("loss", &[loss], &[expected], 1e-3);
            optimiser.step(&mut model, learning_rate).expect("a step");
        }
    }

    /// The loss of `make.py`: mean over MLM targets plus mean over rows. Its gradients are added to the model's.
    pub fn loss(&self, model: &Bert, batch: &PackedBatch) -> f32 {
        let pass = Pass::prediction(batch, &self.integers["mlm_positions"]);
        let states = model.encode(&pass, model.tape());
        let losses = model.mlm_losses(states, &self.integers["mlm_targets"]);
        let (mlm, tape) = losses.mean().split_tape();
        let first_tokens = first_tokens(batch);
        let states = model.encode(&Pass::prediction(batch, &first_tokens), tape);
        let logits = model.nsp_logits(model.pool(states, Pooling::Tanh));
        let labels = &self.integers["nsp_labels"];
        let nsp = cross_entropy(logits, labels);
        let total = nsp + mlm;
        let value = total.array();
        total.backward();
        value
    }
}

pub fn first_tokens(batch: &PackedBatch) -> Vec<u32> {
    batch.cls_positions().iter().map(|&p| p as u32).collect()
}

/// Mean over rows of `-log softmax(logits)[label]`.
fn cross_entropy<T: Tape<f32, Cpu>>(logits: Matrix<T>, labels: &[u32]) -> Scalar<T> {
    let (rows, classes) = *logits.shape();
    let mut one_hot = vec![0.0; rows * classes];
    for (row, &label) in labels.iter().enumerate() {
        one_hot[row * classes + label as usize] = 1.0;
    }
    let one_hot = tensor::matrix(&Cpu::default(), one_hot, rows, classes);
    dfdx::losses::cross_entropy_with_logits_loss(logits, one_hot)
}

/// Hidden states without dropout.
pub fn infer(model: &Bert, batch: &PackedBatch, positions: &[u32]) -> Matrix {
    model.encode(&Pass::prediction(batch, positions), NoneTape)
}

#[track_caller]
pub fn assert_close(what: &str, found: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (i, (x, y)) in found.iter().zip(expected).enumerate() {
        assert!(
            (x - y).abs() < tolerance,
            "{what}[{i}]: found {x}, transformers has {y}"
        );
    }
}

#[test]
fn logits_equal_transformers() {
    let golden = Golden::read();
    let (model, batch) = (golden.model(), golden.batch());
    let all: Vec<u32> = (0..batch.n_tokens() as u32).collect();
    let states = infer(&model, &batch, &all);
    let vocabulary: Vec<u32> = (0..model.config.vocab_size as u32).collect();
    let mlm = model.token_logits(states.clone(), &vocabulary).as_vec();
    assert_close("mlm_logits", &mlm, &golden.floats["mlm_logits"].1, 1e-4);
    let first_states = infer(&model, &batch, &first_tokens(&batch));
    let nsp = model.nsp_logits(model.pool(first_states, Pooling::Tanh));
    let expected = &golden.floats["nsp_logits"].1;
    assert_close("nsp_logits", &nsp.as_vec(), expected, 1e-4);
    // A few columns are the same columns.
    let few = model.token_logits(states, &[60, 3]).as_vec();
    for (row, few) in mlm.chunks(61).zip(few.chunks(2)) {
        assert_close("token_logits", few, &[row[60], row[3]], 1e-5);
    }
}

#[test]
fn loss_and_every_gradient_equal_transformers() {
    let golden = Golden::read();
    let (model, batch) = (golden.model(), golden.batch());
    let loss = golden.loss(&model, &batch);
    let expected = golden.scalars["loss"].as_f64().expect("a number") as f32;
    assert_close("loss", &[loss], &[expected], 1e-5);
    let found = model.take_gradients();
    assert_eq!(found.len(), names::tensors(&model.config, HEADS).len());
    for (name, gradient) in &found {
        let (_, expected) = &golden.floats[&format!("grad.{name}")];
        let gradient = gradient.as_slice().expect("contiguous");
        assert_close(name, gradient, expected, 1e-4);
    }
}

#[test]
fn ten_adamw_steps_equal_torch() {
    let golden = Golden::read();
    golden.assert_ten_steps(golden.model(), 1e-2);
}

/// Padding changes nothing because there is none: a row alone has the same hidden states as in the batch.
#[test]
fn a_batch_of_one_equals_the_row_in_a_batch_of_many() {
    let golden = Golden::read();
    let (model, batch) = (golden.model(), golden.batch());
    let all: Vec<u32> = (0..batch.n_tokens() as u32).collect();
    let together = infer(&model, &batch, &all).as_vec();
    for bounds in batch.offsets.windows(2) {
        let mut alone = PackedBatch::default();
        alone.push(
            &batch.input_ids[bounds[0]..bounds[1]],
            &batch.segment_ids[bounds[0]..bounds[1]],
        );
        let states = infer(&model, &alone, &all[..alone.n_tokens()]);
        let range = bounds[0] * 32..bounds[1] * 32;
        assert_close("hidden", &states.as_vec(), &together[range], 1e-5);
    }
}

/// The same weights with a classifier, and the same rows with positions and numbers of visible tokens of their own.
struct Under {
    golden: Golden,
    heads: Golden,
}

impl Under {
    fn read() -> Self {
        let (golden, heads) = (
            Golden::read(),
            Golden::of("bert_tiny_heads.safetensors", "bert_tiny.json"),
        );
        Self { golden, heads }
    }

    fn model(&self) -> Bert {
        let model = self.golden.model();
        let (config, mut weights) = (model.config.clone(), model.weights());
        let heads = Heads {
            classifier: Some(3),
            ..HEADS
        };
        for (name, shape) in names::head_tensors(&config, heads) {
            if name.starts_with("classifier.") {
                let values = self.heads.floats[&name].1.clone();
                let values = ndarray::ArrayD::from_shape_vec(shape, values).expect("the shape");
                weights.insert(name, values);
            }
        }
        Bert::new(config, heads, model.path(), weights).expect("all weights")
    }

    fn batch(&self, is_prefix: bool) -> PackedBatch {
        let (golden, heads) = (&self.golden.integers, &self.heads.integers);
        let mut batch = PackedBatch::default();
        for bounds in golden["offsets"].windows(2) {
            let row = bounds[0] as usize..bounds[1] as usize;
            let segment_ids = &golden["segment_ids"][row.clone()];
            let visible = visible_prefixes(segment_ids);
            assert_eq!(visible, heads["visible"][row.clone()]);
            batch.push_row(&PackedRow {
                input_ids: &golden["input_ids"][row.clone()],
                segment_ids,
                position_ids: Some(&heads["position_ids"][row]),
                visible: is_prefix.then_some(&visible),
            });
        }
        batch
    }

    fn assert_logits(&self, name: &str, found: &[f32]) {
        assert_close(name, found, &self.heads.floats[name].1, 1e-4);
    }
}

#[test]
fn logits_at_given_positions_equal_sequence_classification_of_transformers() {
    let under = Under::read();
    let (model, batch) = (under.model(), under.batch(false));
    let first_states = infer(&model, &batch, &first_tokens(&batch));
    let logits = model.classify(model.pool(first_states, Pooling::Tanh));
    under.assert_logits("sequence_logits", &logits.as_vec());
}

/// One pass through the encoder serves three heads, each on rows of its own: the first states of all rows are asked for by
/// two heads, and some positions by two of them as well.
#[test]
fn heads_under_one_pass_with_visible_prefixes_equal_transformers() {
    let under = Under::read();
    let (model, batch) = (under.model(), under.batch(true));
    let golden = &under.golden.integers;
    let wanted: Vec<u32> = (0..batch.n_tokens() as u32).collect();
    let pass = Pass::prediction(&batch, &wanted);
    let (states, tape) = model.encode(&pass, model.tape()).split_tape();
    let vocabulary: Vec<u32> = (0..model.config.vocab_size as u32).collect();
    let mlm_logits = model.token_logits(states.clone(), &vocabulary);
    under.assert_logits("mlm_logits", &mlm_logits.as_vec());

    let places = ops::rows(states.clone().put_tape(tape), &golden["mlm_positions"]);
    let mlm = model.mlm_losses(places, &golden["mlm_targets"]).mean();
    let (mlm, tape) = mlm.split_tape();
    let first = first_tokens(&batch);
    let pooled = |tape| {
        model.pool(
            ops::rows(states.clone().put_tape(tape), &first),
            Pooling::Tanh,
        )
    };
    let nsp_logits = model.nsp_logits(pooled(tape));
    under.assert_logits("nsp_logits", &nsp_logits.as_vec());
    let (nsp, tape) = cross_entropy(nsp_logits, &golden["nsp_labels"]).split_tape();
    let class_logits = model.classify(pooled(tape));
    under.assert_logits("class_logits", &class_logits.as_vec());
    let labels = &under.heads.integers["class_labels"];
    let loss = cross_entropy(class_logits, labels) + nsp + mlm;
    under.assert_logits("loss", &[loss.array()]);
    loss.backward();

    let gradients = model.take_gradients();
    assert_eq!(
        gradients.len(),
        names::tensors(&model.config, model.heads).len()
    );
    for (name, gradient) in &gradients {
        let gradient = gradient.as_slice().expect("contiguous");
        under.assert_logits(&format!("grad.{name}"), gradient);
    }
}

/// The losses of the MLM head are those of the logits of all tokens, and have the same gradients.
#[test]
fn logits_of_all_tokens_have_the_gradients_of_the_fused_losses() {
    let golden = Golden::read();
    let (model, batch) = (golden.model(), golden.batch());
    let targets = &golden.integers["mlm_targets"];
    let states = || {
        let pass = Pass::prediction(&batch, &golden.integers["mlm_positions"]);
        model.encode(&pass, model.tape())
    };
    let fused = model.mlm_losses(states(), targets).mean();
    let fused_loss = fused.array();
    fused.backward();
    let expected = model.take_gradients();
    let vocabulary: Vec<u32> = (0..model.config.vocab_size as u32).collect();
    let loss = cross_entropy(model.token_logits(states(), &vocabulary), targets);
    assert_close("loss", &[loss.array()], &[fused_loss], 1e-5);
    loss.backward();
    for (name, gradient) in &model.take_gradients() {
        let expected = expected[name].as_slice().expect("contiguous");
        assert_close(
            name,
            gradient.as_slice().expect("contiguous"),
            expected,
            1e-5,
        );
    }
}

/// The first sentence is read before the second is known.
#[test]
fn a_visible_prefix_hides_the_target_from_the_source() {
    let model = Golden::read().model();
    let states = |target: &[u32]| {
        let input_ids = [&[2, 9, 17, 3], target].concat();
        let segment_ids = [&[0; 4][..], &vec![1; target.len()]].concat();
        let mut batch = PackedBatch::default();
        batch.push_row(&PackedRow {
            input_ids: &input_ids,
            segment_ids: &segment_ids,
            position_ids: None,
            visible: Some(&visible_prefixes(&segment_ids)),
        });
        let wanted: Vec<u32> = (0..batch.n_tokens() as u32).collect();
        infer(&model, &batch, &wanted).as_vec()
    };
    let (one, other, longer) = (
        states(&[40, 41, 3]),
        states(&[40, 50, 7]),
        states(&[11, 12, 13, 14, 3]),
    );
    let source = 4 * 32;
    assert_eq!(one[..source + 32], other[..source + 32]); // the first token of the target too
    assert!((one[source + 32..].iter().zip(&other[source + 32..])).all(|(x, y)| x != y));
    assert_close("source", &longer[..source], &one[..source], 1e-5);
}

#[test]
fn a_linear_pooler_is_that_of_tanh_before_it() {
    let golden = Golden::read();
    let (model, batch) = (golden.model(), golden.batch());
    let pooled = |pooling| {
        let states = infer(&model, &batch, &first_tokens(&batch));
        model.pool(states, pooling).as_vec()
    };
    let tanh: Vec<f32> = pooled(Pooling::Linear).iter().map(|x| x.tanh()).collect();
    assert_close("pooled", &pooled(Pooling::Tanh), &tanh, 1e-6);
}

/// Pairs, and candidates that have the positions of a blank in the other sentence, in both orders: those that `zero-shot` makes.
#[test]
fn margins_of_pairs_and_of_candidates_in_a_blank_equal_transformers() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let json = std::fs::read_to_string(folder.join("next_sentence.json")).expect("a golden file");
    let cases: Vec<serde_json::Value> = serde_json::from_str(&json).expect("JSON");
    let specials = Specials {
        cls: 2,
        sep: 3,
        mask: 4,
        unk: 1,
    };
    let mut inputs = Vec::new();
    for case in &cases {
        let tokens = |name: &str| -> Vec<u32> {
            serde_json::from_value(case[name].clone()).expect("a list of numbers")
        };
        let mut text = tokens("before");
        if case["blank"] == true {
            text.push(BLANK);
            text.extend(tokens("behind"));
        }
        let side = match case["side"] == "prefix" {
            true => Side::Prefix,
            false => Side::Suffix,
        };
        let input = Input::soft(specials, &tokens("said"), &text, side);
        assert_eq!(
            (&input.ids, &input.types),
            (&tokens("ids"), &tokens("types"))
        );
        let positions = input.positions.clone();
        let usual = (0..input.ids.len() as u32).collect();
        assert_eq!(positions.unwrap_or(usual), tokens("positions"));
        inputs.push(input);
    }
    let logit = |case: &serde_json::Value, at: usize| case["logits"][at].as_f64();
    let margin = |case| {
        logit(case, 0)
            .zip(logit(case, 1))
            .map(|(next, not)| next - not)
    };
    let expected: Option<Vec<f32>> = cases
        .iter()
        .map(|case| Some(margin(case)? as f32))
        .collect();
    let model = Golden::read().model();
    let input = |number: usize| Ok(inputs[number].clone());
    let found = scores(Method::Nsp, &model, inputs.len(), input, |_| Ok(()));
    assert_close(
        "margin",
        &found.expect("nothing stops it"),
        &expected.expect("two logits a case"),
        1e-4,
    );
}
