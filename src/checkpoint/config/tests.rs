//! Tests of reading and writing `config.json`.

use super::*;
use serde_json::json;

fn tiny() -> Map<String, Value> {
    let value = json!({
        "model_type": "bert", "vocab_size": 9, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2,
        "intermediate_size": 12, "max_position_embeddings": 6, "layer_norm_eps": 1e-12, "hidden_act": "gelu",
        "type_vocab_size": 1, "initializer_range": 0.02, "hidden_dropout_prob": 0, "some_new_key": [1],
    });
    value.as_object().expect("written as an object").clone()
}

fn parse(map: &Map<String, Value>) -> Result<BertConfig> {
    BertConfig::parse(
        Value::Object(map.clone()).to_string().as_bytes(),
        Path::new("config.json"),
    )
}

/// The message of the error that `tiny` gives once `key` is `value` (absent where `None`).
fn message(key: &str, value: Option<Value>) -> String {
    let mut map = tiny();
    match value {
        Some(value) => map.insert(key.to_owned(), value),
        None => map.shift_remove(key),
    };
    parse(&map).expect_err("the config is bad").to_string()
}

#[test]
fn reads_sizes_and_fills_in_the_defaults_of_transformers() {
    let config = parse(&tiny()).expect("the config of a BERT");
    assert_eq!(
        (
            config.vocab_size,
            config.hidden_size,
            config.type_vocab_size
        ),
        (9, 8, 1)
    );
    assert_eq!(config.layer_norm_eps, 1e-12);
    assert_eq!(config.hidden_dropout_prob, 0.0);
    assert_eq!(config.attention_probs_dropout_prob, 0.1); // absent
}

#[test]
fn what_is_written_reads_back_the_same() {
    let config = BertConfig {
        mark_shared: true,
        ..parse(&tiny()).expect("the config of a BERT")
    };
    let heads = Heads {
        pooler: true,
        nsp: true,
        ..Heads::MLM
    };
    let text = config.to_json(heads, FloatType::F16, None);
    assert_eq!(
        BertConfig::parse(text.as_bytes(), Path::new("config.json")).expect("as it was written"),
        config
    );
    assert!(
        text.contains("\"attention_probs_dropout_prob\": 0.1,"),
        "{text}"
    ); // not 0.10000000149
    assert!(text.contains("\"BertForPreTraining\""), "{text}");
    assert!(text.contains("\"dtype\": \"float16\""), "{text}");
}

#[test]
fn a_classifier_is_written_with_its_labels_and_nothing_else_changes() {
    let config = parse(&tiny()).expect("the config of a BERT");
    let heads = Heads {
        classifier: Some(2),
        ..Heads::MLM
    };
    let labels = Labels {
        names: vec!["no".to_owned(), "yes".to_owned()],
        problem: Problem::MultiLabelClassification,
    };
    let written: Value =
        serde_json::from_str(&config.to_json(heads, FloatType::F32, Some(&labels))).expect("JSON");
    assert_eq!(
        written["architectures"],
        json!(["BertForSequenceClassification"])
    );
    assert_eq!(written["id2label"], json!({"0": "no", "1": "yes"}));
    assert_eq!(written["label2id"], json!({"no": 0, "yes": 1}));
    assert_eq!(written["problem_type"], "multi_label_classification");
    let without: Value =
        serde_json::from_str(&config.to_json(Heads::MLM, FloatType::F32, None)).expect("JSON");
    let keys = |value: &Value| value.as_object().expect("an object").len();
    assert_eq!(keys(&written), keys(&without) + 3);
    assert_eq!(Labels::unnamed(1).problem, Problem::Regression);
    assert_eq!(Labels::unnamed(2).names, ["LABEL_0", "LABEL_1"]);
}

/// What is absent is as `transformers` has it for an ALBERT, not for a BERT.
#[test]
fn an_albert_is_read_with_its_own_defaults_and_written_back() {
    let mut map = tiny();
    map.insert("model_type".to_owned(), json!("albert"));
    map.insert("num_hidden_layers".to_owned(), json!(6));
    for key in ["hidden_act", "hidden_dropout_prob"] {
        map.shift_remove(key);
    }
    let config = parse(&map).expect("what is missing has a default");
    let albert = Albert {
        embedding_size: 128,
        num_hidden_groups: 1,
    };
    assert_eq!(config.albert, Some(albert));
    assert_eq!(config.hidden_act, Activation::GeluNew);
    assert_eq!(config.hidden_dropout_prob, 0.0);
    assert_eq!(config.layer_order(), [0; 6]);

    map.insert("num_hidden_groups".to_owned(), json!(3));
    map.insert("embedding_size".to_owned(), json!(4));
    map.insert("hidden_act".to_owned(), json!("gelu"));
    let config = parse(&map).expect("what is missing has a default");
    assert_eq!(config.layer_order(), [0, 0, 1, 1, 2, 2]);
    assert_eq!(
        (config.embedding_size(), config.n_distinct_layers()),
        (4, 3)
    );
    let text = config.to_json(Heads::MLM, FloatType::F32, None);
    let read = BertConfig::parse(text.as_bytes(), Path::new("config.json"));
    assert_eq!(read.expect("as it was written"), config);
    assert!(text.contains("\"AlbertForMaskedLM\""), "{text}");

    let message = |key: &str, value| {
        let mut map = map.clone();
        map.insert(key.to_owned(), json!(value));
        parse(&map).expect_err("the config is bad").to_string()
    };
    assert_eq!(
        message("num_hidden_groups", 4),
        "config.json:num_hidden_groups: expected a divisor of num_hidden_layers = 6, found 4"
    );
    assert_eq!(
        message("inner_group_num", 2),
        "config.json:inner_group_num: expected 1 layer a group, found 2"
    );
}

/// The config `tiny` with these keys in addition, read.
fn with(more: Value) -> Result<BertConfig> {
    let mut map = tiny();
    map.extend(more.as_object().expect("an object").clone());
    parse(&map)
}

#[test]
fn a_nezha_is_read_with_the_default_of_its_distances_and_written_back() {
    let config = with(json!({"model_type": "nezha"})).expect("a NEZHA");
    assert_eq!(config.positions, Positions::Relative { max_distance: 64 });
    let config = with(json!({"model_type": "nezha", "max_relative_position": 5}));
    let config = config.expect("a NEZHA");
    assert_eq!(config.positions, Positions::Relative { max_distance: 5 });
    assert_eq!(config.model_type(), "nezha");
    let text = config.to_json(Heads::MLM, FloatType::F32, None);
    assert!(text.contains("\"NezhaForMaskedLM\""), "{text}");
    assert!(text.contains("\"max_relative_position\": 5"), "{text}");
    assert!(!text.contains("absolute"), "{text}");
    let read = BertConfig::parse(text.as_bytes(), Path::new("config.json"));
    assert_eq!(read.expect("as it was written"), config);

    // As its makers wrote it.
    let mut map = tiny();
    map.shift_remove("model_type");
    map.insert("use_relative_position".to_owned(), json!(true));
    assert_eq!(parse(&map).expect("a NEZHA").model_type(), "nezha");
    map.insert("use_relative_position".to_owned(), json!(false));
    assert_eq!(parse(&map).expect("a BERT").model_type(), "bert");
}

#[test]
fn a_roformer_is_read_and_written_back_and_others_of_its_kind_are_refused() {
    let config = with(json!({"model_type": "roformer", "embedding_size": 8}));
    let config = config.expect("a RoFormer");
    assert_eq!(config.positions, Positions::Rotary);
    assert_eq!(
        (config.model_type(), config.embedding_size()),
        ("roformer", 8)
    );
    let heads = Heads {
        classifier: Some(2),
        ..Heads::MLM
    };
    let labels = Labels::unnamed(2);
    let text = config.to_json(heads, FloatType::F32, Some(&labels));
    assert!(text.contains("\"RoFormerForMaskedLM\""), "{text}"); // its classifier is another network
    let read = BertConfig::parse(text.as_bytes(), Path::new("config.json"));
    assert_eq!(read.expect("as it was written"), config);

    let refused = |more: Value| with(more).expect_err("the config is bad").to_string();
    assert_eq!(
        refused(json!({"model_type": "roformer", "rotary_value": true})),
        "config.json:rotary_value: expected false, found true"
    );
    assert_eq!(
        refused(json!({"model_type": "roformer", "embedding_size": 4})),
        "config.json:embedding_size: expected 8, as hidden_size, found 4"
    );
}

/// No tensor would say so, and a pair of elements has to be whole.
#[test]
fn fixed_positions_that_cannot_be_are_refused() {
    let refused = |more: Value| with(more).expect_err("the config is bad").to_string();
    assert_eq!(
        refused(json!({"model_type": "nezha", "num_attention_heads": 8})),
        "config.json:num_attention_heads: expected heads of an even width, as positions go through them in pairs, found 1"
    );
    for (key, family) in [
        ("max_relative_position", "nezha"),
        ("max_position_embeddings", "roformer"),
    ] {
        assert_eq!(
            refused(json!({"model_type": family, key: 1_000_000_000})),
            format!("config.json:{key}: expected a whole number from 1 to 65536, found 1000000000")
        );
    }
}

#[test]
fn missing_key() {
    let expected = "config.json:hidden_size: expected a whole number from 1, found no such key";
    assert_eq!(message("hidden_size", None), expected);
}

#[test]
fn ill_typed_key() {
    let start = "config.json:hidden_size: expected a whole number from 1, found ";
    assert_eq!(
        message("hidden_size", Some(json!("768"))),
        format!("{start}\"768\"")
    );
    assert_eq!(
        message("hidden_size", Some(json!(7.5))),
        format!("{start}7.5")
    );
    assert_eq!(message("hidden_size", Some(json!(0))), format!("{start}0"));
    assert_eq!(
        message("layer_norm_eps", Some(json!(null))),
        "config.json:layer_norm_eps: expected a number from 1.1754944e-38 to 1.0, found null"
    );
    assert_eq!(
        message("mark_shared", Some(json!("yes"))),
        "config.json:mark_shared: expected true or false, found \"yes\""
    );
    assert_eq!(
        message("hidden_dropout_prob", Some(json!(1))),
        "config.json:hidden_dropout_prob: expected a number from 0.0 to 0.999, found 1"
    );
}

#[test]
fn other_activation() {
    let expected = "config.json:hidden_act: expected \"gelu\" or \"gelu_new\" or \"gelu_pytorch_tanh\", found \"relu\"";
    assert_eq!(message("hidden_act", Some(json!("relu"))), expected);
}

#[test]
fn relative_positions() {
    let expected =
        "config.json:position_embedding_type: expected \"absolute\", found \"relative_key\"";
    assert_eq!(
        message("position_embedding_type", Some(json!("relative_key"))),
        expected
    );
}

#[test]
fn other_model_type() {
    let expected = "config.json:model_type: expected \"bert\" or \"albert\" or \"nezha\" or \"roformer\", found \"roberta\"";
    assert_eq!(message("model_type", Some(json!("roberta"))), expected);
}

#[test]
fn hidden_size_not_divisible_by_heads() {
    let expected =
        "config.json:hidden_size: expected a multiple of num_attention_heads = 3, found 8";
    assert_eq!(message("num_attention_heads", Some(json!(3))), expected);
}

#[test]
fn config_that_is_no_json() {
    let error =
        BertConfig::parse(b"{\n  \"vocab_size\": 9,\n", Path::new("config.json")).unwrap_err();
    let expected =
        "config.json:3: expected a JSON object, found EOF while parsing a value at line 3 column 0";
    assert_eq!(error.to_string(), expected);
}
