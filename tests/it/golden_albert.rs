//! Parity with Hugging Face transformers on a tiny random `AlbertForPreTraining`: logits, losses, gradients of shared layers, ten
//! AdamW steps, and the file that is written back. `tests/golden/make_albert.py` made the files.

use std::collections::BTreeMap;
use std::path::Path;

use cipherpet::checkpoint::{FloatType, Heads, Weights, read::read_model, save};
use cipherpet::kernels;
use cipherpet::model::{Bert, Pooling};
use safetensors::SafeTensors;

use crate::golden::{Golden, assert_close, first_tokens, infer};
use crate::workspace::ALL_HEADS;

/// No weight: computed anew, with last bits of its own.
const CONSTANT: &str = "embed_positions.weight";

fn golden() -> Golden {
    golden_of("albert")
}

fn model(golden: &Golden) -> Bert {
    model_of(golden, "albert")
}

/// What was stored of a tiny network of one of the families.
pub fn golden_of(family: &str) -> Golden {
    let name = |end| format!("{family}_tiny.{end}");
    Golden::of(&name("safetensors"), &name("json"))
}

/// The folder as `transformers` would have left it.
pub fn model_of(golden: &Golden, family: &str) -> Bert {
    let tensors = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let tensors = tensors.join(format!("{family}_tiny.safetensors"));
    let folder = tempfile::tempdir().expect("a folder for the test");
    let config = golden.scalars["config"].to_string();
    std::fs::write(folder.path().join("config.json"), config).expect("room");
    std::fs::copy(tensors, folder.path().join("model.safetensors")).expect("room");
    let (config, weights, heads) = read_model(folder.path()).expect("a sound folder");
    assert_eq!(heads, ALL_HEADS);
    Bert::new(config, heads, kernels::path::Path::F32, weights).expect("all weights")
}

/// The tensors of a folder as its file names them.
fn tensors(file: &Path) -> BTreeMap<String, (Vec<usize>, Vec<f32>)> {
    let bytes = std::fs::read(file).expect("a file of weights");
    let file = SafeTensors::deserialize(&bytes).expect("a sound file");
    let values = |bytes: &[u8]| -> Vec<f32> {
        let numbers = bytes.chunks_exact(4);
        numbers
            .map(|b| f32::from_le_bytes(b.try_into().expect("4 bytes")))
            .collect()
    };
    let tensors = file.tensors().into_iter();
    tensors
        .map(|(name, view)| (name, (view.shape().to_vec(), values(view.data()))))
        .collect()
}

/// What [`save`] writes of these numbers.
pub fn saved(model: &Bert, weights: &Weights) -> BTreeMap<String, (Vec<usize>, Vec<f32>)> {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let float = FloatType::F32;
    save(folder.path(), &model.config, weights, model.heads, float).expect("room");
    tensors(&folder.path().join("model.safetensors"))
}

#[test]
fn logits_of_an_albert_equal_transformers() {
    let golden = golden();
    assert_logits(&golden, &model(&golden));
}

/// Those of both heads.
pub fn assert_logits(golden: &Golden, model: &Bert) {
    let batch = golden.batch();
    let all: Vec<u32> = (0..batch.n_tokens() as u32).collect();
    let states = infer(model, &batch, &all);
    let vocabulary: Vec<u32> = (0..61).collect();
    let mlm = model.token_logits(states, &vocabulary).as_vec();
    assert_close("mlm_logits", &mlm, &golden.floats["mlm_logits"].1, 1e-4);
    let first_states = infer(model, &batch, &first_tokens(&batch));
    let order = model.nsp_logits(model.pool(first_states, Pooling::Tanh));
    let expected = &golden.floats["nsp_logits"].1;
    assert_close("nsp_logits", &order.as_vec(), expected, 1e-4);
}

#[test]
fn loss_and_every_gradient_of_an_albert_equal_transformers() {
    let golden = golden();
    assert_gradients(&golden, &model(&golden));
}

/// The loss and all gradients, under the names of `transformers`.
pub fn assert_gradients(golden: &Golden, model: &Bert) {
    let loss = golden.loss(model, &golden.batch());
    let expected = golden.scalars["loss"].as_f64().expect("a number") as f32;
    assert_close("loss", &[loss], &[expected], 1e-5);
    let mut gradients = saved(model, &model.take_gradients());
    gradients.retain(|name, _| !name.ends_with(CONSTANT));
    let n_expected = golden
        .floats
        .keys()
        .filter(|name| name.starts_with("grad."));
    assert_eq!(gradients.len(), n_expected.count());
    for (name, (_, gradient)) in &gradients {
        let (_, expected) = &golden.floats[&format!("grad.{name}")];
        assert_close(name, gradient, expected, 1e-4);
    }
}

#[test]
fn ten_adamw_steps_of_an_albert_equal_torch() {
    let golden = golden();
    golden.assert_ten_steps(model(&golden), 2e-3);
}

#[test]
fn an_albert_is_written_back_as_it_came() {
    let golden = golden();
    let starts = ["albert.", "predictions.", "sop_classifier."];
    assert_written_back(&golden, &model(&golden), &starts);
}

/// All weights, to the bit, whose names start so.
pub fn assert_written_back(golden: &Golden, model: &Bert, starts: &[&str]) {
    let written = saved(model, &model.weights());
    let is_weight = |name: &&String| starts.iter().any(|start| name.starts_with(start));
    assert_eq!(
        written.len(),
        golden.floats.keys().filter(is_weight).count()
    );
    for (name, tensor) in &written {
        let expected = &golden.floats[name];
        match name.ends_with(CONSTANT) {
            true => {
                assert_eq!(tensor.0, expected.0);
                assert_close(name, &tensor.1, &expected.1, 1e-6);
            }
            false => assert!(tensor == expected, "{name}"),
        }
    }
}

/// A head that the file has not begins fresh, of the width of the embeddings.
#[test]
fn fresh_heads_of_an_albert_have_its_widths() {
    let golden = golden();
    let whole = model(&golden);
    let mut weights = whole.weights();
    weights.retain(|name, _| !name.starts_with("cls."));
    let path = kernels::path::Path::F32;
    let key = cipherpet::random::Key::from_seed(1);
    let (model, fresh) =
        Bert::with_fresh_heads(whole.config.clone(), ALL_HEADS, path, weights, key)
            .expect("fresh heads");
    let heads = Heads {
        pooler: false,
        ..ALL_HEADS
    };
    assert_eq!(fresh, heads);
    let shapes = saved(&model, &model.weights());
    assert_eq!(shapes["predictions.dense.weight"].0, [12, 32]);
    assert_eq!(shapes["sop_classifier.classifier.weight"].0, [2, 32]);
}
