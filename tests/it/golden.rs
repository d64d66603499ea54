//! Parity with Hugging Face transformers on a tiny random `BertForPreTraining`: logits, losses, every gradient,
//! ten AdamW steps. `tests/golden/make.py` made the files.

use std::collections::BTreeMap;
use std::path::PathBuf;

use cipherpet::checkpoint::{BertConfig, Heads, Weights, names};
use cipherpet::data::PackedBatch;
use cipherpet::kernels::path::{Path, Precision};
use cipherpet::model::tensor::{self, Matrix};
use cipherpet::model::{Bert, Pass, Pooling};
use cipherpet::train::{AdamWOptions, Optimiser};
use dfdx::prelude::{AsArray, Backward, Cpu, MeanTo, NoneTape, SplitTape};
use safetensors::SafeTensors;

const HEADS: Heads = Heads {
    pooler: true,
    nsp: true,
    ..Heads::MLM
};

/// What `make.py` stored.
struct Golden {
    scalars: serde_json::Value,
    floats: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
    integers: BTreeMap<String, Vec<u32>>,
}

impl Golden {
    fn read() -> Self {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
        let json = std::fs::read_to_string(folder.join("bert_tiny.json")).expect("bert_tiny.json");
        let bytes =
            std::fs::read(folder.join("bert_tiny.safetensors")).expect("bert_tiny.safetensors");
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

    fn batch(&self) -> PackedBatch {
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

    /// The loss of `make.py`: mean over MLM targets plus mean over rows. Its gradients are added to the model's.
    fn loss(&self, model: &Bert, batch: &PackedBatch) -> f32 {
        let pass = Pass::prediction(batch, &self.integers["mlm_positions"]);
        let states = model.encode(&pass, model.tape());
        let losses = model.mlm_losses(states, &self.integers["mlm_targets"]);
        let (mlm, tape) = losses.mean().split_tape();
        let first_tokens = first_tokens(batch);
        let states = model.encode(&Pass::prediction(batch, &first_tokens), tape);
        let logits = model.nsp_logits(model.pool(states, Pooling::Tanh));
        let labels = &self.integers["nsp_labels"];
        let one_hot = labels
            .iter()
            .flat_map(|&label| [1.0 - label as f32, label as f32])
            .collect();
        let one_hot = tensor::matrix(&Cpu::default(), one_hot, labels.len(), 2);
        let nsp = dfdx::losses::cross_entropy_with_logits_loss(logits, one_hot);
        let total = nsp + mlm;
        let value = total.array();
        total.backward();
        value
    }
}

fn first_tokens(batch: &PackedBatch) -> Vec<u32> {
    batch.cls_positions().iter().map(|&p| p as u32).collect()
}

/// Hidden states without dropout.
fn infer(model: &Bert, batch: &PackedBatch, positions: &[u32]) -> Matrix {
    model.encode(&Pass::prediction(batch, positions), NoneTape)
}

#[track_caller]
fn assert_close(what: &str, found: &[f32], expected: &[f32], tolerance: f32) {
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
    let (mut model, batch) = (golden.model(), golden.batch());
    let options = AdamWOptions {
        weight_decay: 0.01,
        clip: 0.0,
        layer_decay: 1.0,
    };
    let mut optimiser = Optimiser::new(options);
    let mut losses = Vec::new();
    for _ in 0..10 {
        losses.push(golden.loss(&model, &batch));
        optimiser.step(&mut model, 1e-2).expect("a step");
    }
    let expected = golden.scalars["adamw"]["losses"]
        .as_array()
        .expect("an array");
    let expected: Vec<f32> = expected
        .iter()
        .map(|x| x.as_f64().expect("a number") as f32)
        .collect();
    assert_close("losses", &losses, &expected, 1e-3);
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
