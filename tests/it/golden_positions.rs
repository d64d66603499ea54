//! Parity with Hugging Face transformers on a tiny random `NezhaForPreTraining`, whose distances are clipped, and on a tiny random
//! RoFormer: logits, losses, every gradient, ten AdamW steps, and the folder that is written back.
//! `tests/golden/make_positions.py` made the files.

use cipherpet::checkpoint::positions::extend_positions;
use cipherpet::checkpoint::{BertConfig, FloatType, Heads, Positions, save};
use cipherpet::data::{PackedBatch, PackedRow};
use cipherpet::kernels;
use cipherpet::model::Bert;

use crate::golden::infer;
use crate::golden_albert::{
    assert_gradients, assert_logits, assert_written_back, golden_of, model_of,
};
use crate::workspace::ALL_HEADS;

const FAMILIES: [&str; 2] = ["nezha", "roformer"];

#[test]
fn logits_and_gradients_of_other_positions_equal_transformers() {
    for family in FAMILIES {
        let golden = golden_of(family);
        let model = model_of(&golden, family);
        assert_logits(&golden, &model);
        assert_gradients(&golden, &model);
    }
}

#[test]
fn ten_adamw_steps_of_other_positions_equal_torch() {
    for family in FAMILIES {
        let golden = golden_of(family);
        golden.assert_ten_steps(model_of(&golden, family), 2e-3);
    }
}

#[test]
fn a_network_of_other_positions_is_written_back_as_it_came() {
    for family in FAMILIES {
        let golden = golden_of(family);
        let model = model_of(&golden, family);
        assert_written_back(&golden, &model, &[&format!("{family}."), "cls."]);
        let folder = tempfile::tempdir().expect("a folder for the test");
        let weights = model.weights();
        let float = FloatType::F32;
        save(folder.path(), &model.config, &weights, model.heads, float).expect("room");
        let config = folder.path().join("config.json");
        let read = BertConfig::read(&config).expect("as it was written");
        assert_eq!(read, model.config);
        let text = std::fs::read_to_string(config).expect("it was written");
        let config: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(config["model_type"], family);
        let (class, key, value) = match family {
            "nezha" => (
                "NezhaForPreTraining",
                "max_relative_position",
                serde_json::json!(5),
            ),
            _ => (
                "RoFormerForMaskedLM",
                "rotary_value",
                serde_json::json!(false),
            ),
        };
        assert_eq!(config["architectures"][0], class);
        assert_eq!(config[key], value);
        assert!(config["position_embedding_type"].is_null());
    }
}

/// There is no table to make them of: the same network reads longer rows.
#[test]
fn more_positions_cost_nothing_and_rows_keep_their_states() {
    for family in FAMILIES {
        let golden = golden_of(family);
        let short = model_of(&golden, family);
        let mut weights = short.weights();
        extend_positions(&mut weights, 1000);
        assert_eq!(weights, short.weights());
        let config = BertConfig {
            max_position_embeddings: 1000,
            ..short.config.clone()
        };
        let path = kernels::path::Path::F32;
        let long = Bert::new(config, ALL_HEADS, path, weights).expect("all weights");
        let batch = golden.batch();
        let all: Vec<u32> = (0..batch.n_tokens() as u32).collect();
        let states = |model: &Bert| infer(model, &batch, &all).as_vec();
        assert_eq!(states(&short), states(&long));
        let mut batch = PackedBatch::default();
        batch.push(&[7; 900], &[0; 900]);
        assert!(infer(&long, &batch, &[899]).as_vec()[0].is_finite());
    }
}

/// Tokens are where their positions say and not where they stand; and all that counts is how far apart they are.
#[test]
fn states_follow_positions_and_not_places() {
    for family in FAMILIES {
        let golden = golden_of(family);
        let model = model_of(&golden, family);
        assert!(!matches!(model.config.positions, Positions::Absolute));
        let states = |ids: &[u32], positions: &[u32]| {
            let mut batch = PackedBatch::default();
            batch.push_row(&PackedRow {
                input_ids: ids,
                segment_ids: &vec![0; ids.len()],
                position_ids: Some(positions),
                visible: None,
            });
            let all: Vec<u32> = (0..ids.len() as u32).collect();
            infer(&model, &batch, &all).as_vec()
        };
        let straight = states(&[9, 8, 7, 6, 5], &[0, 1, 2, 3, 4]);
        let moved = states(&[9, 8, 7, 6, 5], &[12, 13, 14, 15, 16]);
        let turned = states(&[9, 6, 5, 8, 7], &[0, 3, 4, 1, 2]);
        let width = model.config.hidden_size;
        for (place, was) in [0, 3, 4, 1, 2].into_iter().enumerate() {
            let of = |states: &[f32], at: usize| states[at * width..(at + 1) * width].to_vec();
            let near = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5);
            assert!(near(&of(&turned, place), &of(&straight, was)), "{family}");
            assert!(near(&of(&moved, was), &of(&straight, was)), "{family}");
        }
        let other = states(&[9, 8, 7, 6, 5], &[0, 2, 1, 3, 4]);
        assert_ne!(other, straight);
    }
}

/// A head that the folder has not begins fresh.
#[test]
fn fresh_heads_join_a_network_of_other_positions() {
    for family in FAMILIES {
        let golden = golden_of(family);
        let whole = model_of(&golden, family);
        let mut weights = whole.weights();
        weights.retain(|name, _| !name.starts_with("bert.pooler."));
        let heads = Heads {
            classifier: Some(3),
            ..ALL_HEADS
        };
        let path = kernels::path::Path::F32;
        let key = cipherpet::random::Key::from_seed(1);
        let (_, fresh) = Bert::with_fresh_heads(whole.config.clone(), heads, path, weights, key)
            .expect("fresh heads");
        let expected = Heads {
            pooler: true,
            classifier: Some(3),
            ..Heads::default()
        };
        assert_eq!(fresh, expected);
    }
}
