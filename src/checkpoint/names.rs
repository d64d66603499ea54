//! The one table of tensor names and shapes.
//!
//! Our names are those of `transformers`. `canonical` turns what older or partial checkpoints call
//! a tensor into our name:
//!
//! | in the file | here |
//! |---|---|
//! | `….LayerNorm.gamma`, `….LayerNorm.beta` | `….LayerNorm.weight`, `….LayerNorm.bias` |
//! | `embeddings.…`, `encoder.…`, `pooler.…` | the same under `bert.` |
//! | `cls.predictions.decoder.weight` | tied: [`WORD_EMBEDDINGS`] |
//! | `cls.predictions.decoder.bias` | tied: [`MLM_BIAS`] |
//! | `bert.embeddings.position_ids`, … | not in the table, ignored |
//!
//! The second column of the table holds the names of Google's TensorFlow checkpoints (`of_google`), the third those that
//! `transformers` gives the tensors of an ALBERT (`of_albert`, `stored`): it has our names in memory, and layer `i` is its group `i`.
//!
//! NEZHA and RoFormer have the names of a BERT, with `nezha.` and `roformer.` in the place of `bert.`, and no table of positions
//! ([`of_stored`], [`stored`]).
//!
//! Does not read files.

use super::config::{BertConfig, Family};
use super::heads::Heads;

/// Token embedding and, tied, the matrix of the MLM decoder.
pub const WORD_EMBEDDINGS: &str = "bert.embeddings.word_embeddings.weight";
/// Position embedding, (positions, hidden), where positions are weights.
pub const POSITION_EMBEDDINGS: &str = "bert.embeddings.position_embeddings.weight";
/// Bias of the MLM decoder, one number a token.
pub const MLM_BIAS: &str = "cls.predictions.bias";
/// A second copy of [`WORD_EMBEDDINGS`] in some files.
pub(super) const DECODER_WEIGHT: &str = "cls.predictions.decoder.weight";
/// A second copy of [`MLM_BIAS`] in some files.
pub(super) const DECODER_BIAS: &str = "cls.predictions.decoder.bias";
/// Sines and then cosines of each position, (positions, width of a head), in the files of a RoFormer: they are computed, not read.
pub(super) const SINUSOIDS: &str = "bert.encoder.embed_positions.weight";
pub(super) const CLASSIFIER_WEIGHT: &str = "classifier.weight";
pub(super) const CLASSIFIER_BIAS: &str = "classifier.bias";
/// What the names of layer `i` begin with, before `i.`.
pub(super) const LAYER_PREFIX: &str = "bert.encoder.layer.";

/// What the length of an axis is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Axis {
    Vocab,
    Positions,
    Segments,
    Hidden,
    /// Of embeddings; [`Axis::Hidden`] but in an ALBERT.
    Embedding,
    Intermediate,
    /// The two answers of the NSP head.
    Answers,
    /// Of the classifier.
    Outputs,
}

impl Axis {
    fn length(self, config: &BertConfig, heads: Heads) -> usize {
        match self {
            Self::Vocab => config.vocab_size,
            Self::Positions => config.max_position_embeddings,
            Self::Segments => config.type_vocab_size,
            Self::Hidden => config.hidden_size,
            Self::Embedding => config.embedding_size(),
            Self::Intermediate => config.intermediate_size,
            Self::Answers => 2,
            Self::Outputs => heads.classifier.unwrap_or(0),
        }
    }

    /// The key of `config.json` that holds the length.
    pub(super) fn key(self, config: &BertConfig) -> Option<&'static str> {
        match self {
            Self::Vocab => Some("vocab_size"),
            Self::Positions => Some("max_position_embeddings"),
            Self::Segments => Some("type_vocab_size"),
            Self::Embedding if config.albert.is_some() => Some("embedding_size"),
            Self::Hidden | Self::Embedding => Some("hidden_size"),
            Self::Intermediate => Some("intermediate_size"),
            Self::Answers | Self::Outputs => None,
        }
    }
}

/// Name, or end of a name: here, in Google's checkpoints, in ALBERTs; and axes.
pub(super) type Row = (&'static str, &'static str, &'static str, &'static [Axis]);

/// What Google calls a matrix that it stores as `(in, out)`.
const KERNEL: &str = "/kernel";
/// What Google's names of layer `i` begin with, before `i/`.
const GOOGLE_LAYER_PREFIX: &str = "bert/encoder/layer_";
/// What an ALBERT's names of group `i` begin with, before `i` and [`ALBERT_IN_GROUP`].
const ALBERT_GROUP_PREFIX: &str = "albert.encoder.albert_layer_groups.";
/// The only layer of a group.
const ALBERT_IN_GROUP: &str = ".albert_layers.0.";

#[rustfmt::skip]
const EMBEDDINGS: &[Row] = &[
    (WORD_EMBEDDINGS, "bert/embeddings/word_embeddings", "albert.embeddings.word_embeddings.weight", &[Axis::Vocab, Axis::Embedding]),
    (POSITION_EMBEDDINGS, "bert/embeddings/position_embeddings", "albert.embeddings.position_embeddings.weight", &[Axis::Positions, Axis::Embedding]),
    ("bert.embeddings.token_type_embeddings.weight", "bert/embeddings/token_type_embeddings", "albert.embeddings.token_type_embeddings.weight", &[Axis::Segments, Axis::Embedding]),
    ("bert.embeddings.LayerNorm.weight", "bert/embeddings/LayerNorm/gamma", "albert.embeddings.LayerNorm.weight", &[Axis::Embedding]),
    ("bert.embeddings.LayerNorm.bias", "bert/embeddings/LayerNorm/beta", "albert.embeddings.LayerNorm.bias", &[Axis::Embedding]),
];

/// Where embeddings have a width of their own.
#[rustfmt::skip]
const PROJECTION: &[Row] = &[
    ("bert.encoder.embedding_hidden_mapping_in.weight", "bert/encoder/embedding_hidden_mapping_in/kernel", "albert.encoder.embedding_hidden_mapping_in.weight", &[Axis::Hidden, Axis::Embedding]),
    ("bert.encoder.embedding_hidden_mapping_in.bias", "bert/encoder/embedding_hidden_mapping_in/bias", "albert.encoder.embedding_hidden_mapping_in.bias", &[Axis::Hidden]),
];

/// Behind [`LAYER_PREFIX`]`i.` and [`GOOGLE_LAYER_PREFIX`]`i/`.
#[rustfmt::skip]
const LAYER: &[Row] = &[
    ("attention.self.query.weight", "attention/self/query/kernel", "attention.query.weight", &[Axis::Hidden, Axis::Hidden]),
    ("attention.self.query.bias", "attention/self/query/bias", "attention.query.bias", &[Axis::Hidden]),
    ("attention.self.key.weight", "attention/self/key/kernel", "attention.key.weight", &[Axis::Hidden, Axis::Hidden]),
    ("attention.self.key.bias", "attention/self/key/bias", "attention.key.bias", &[Axis::Hidden]),
    ("attention.self.value.weight", "attention/self/value/kernel", "attention.value.weight", &[Axis::Hidden, Axis::Hidden]),
    ("attention.self.value.bias", "attention/self/value/bias", "attention.value.bias", &[Axis::Hidden]),
    ("attention.output.dense.weight", "attention/output/dense/kernel", "attention.dense.weight", &[Axis::Hidden, Axis::Hidden]),
    ("attention.output.dense.bias", "attention/output/dense/bias", "attention.dense.bias", &[Axis::Hidden]),
    ("attention.output.LayerNorm.weight", "attention/output/LayerNorm/gamma", "attention.LayerNorm.weight", &[Axis::Hidden]),
    ("attention.output.LayerNorm.bias", "attention/output/LayerNorm/beta", "attention.LayerNorm.bias", &[Axis::Hidden]),
    ("intermediate.dense.weight", "intermediate/dense/kernel", "ffn.weight", &[Axis::Intermediate, Axis::Hidden]),
    ("intermediate.dense.bias", "intermediate/dense/bias", "ffn.bias", &[Axis::Intermediate]),
    ("output.dense.weight", "output/dense/kernel", "ffn_output.weight", &[Axis::Hidden, Axis::Intermediate]),
    ("output.dense.bias", "output/dense/bias", "ffn_output.bias", &[Axis::Hidden]),
    ("output.LayerNorm.weight", "output/LayerNorm/gamma", "full_layer_layer_norm.weight", &[Axis::Hidden]),
    ("output.LayerNorm.bias", "output/LayerNorm/beta", "full_layer_layer_norm.bias", &[Axis::Hidden]),
];

#[rustfmt::skip]
pub(super) const POOLER: &[Row] = &[
    ("bert.pooler.dense.weight", "bert/pooler/dense/kernel", "albert.pooler.weight", &[Axis::Hidden, Axis::Hidden]),
    ("bert.pooler.dense.bias", "bert/pooler/dense/bias", "albert.pooler.bias", &[Axis::Hidden]),
];

#[rustfmt::skip]
pub(super) const MLM: &[Row] = &[
    ("cls.predictions.transform.dense.weight", "cls/predictions/transform/dense/kernel", "predictions.dense.weight", &[Axis::Embedding, Axis::Hidden]),
    ("cls.predictions.transform.dense.bias", "cls/predictions/transform/dense/bias", "predictions.dense.bias", &[Axis::Embedding]),
    ("cls.predictions.transform.LayerNorm.weight", "cls/predictions/transform/LayerNorm/gamma", "predictions.LayerNorm.weight", &[Axis::Embedding]),
    ("cls.predictions.transform.LayerNorm.bias", "cls/predictions/transform/LayerNorm/beta", "predictions.LayerNorm.bias", &[Axis::Embedding]),
    (MLM_BIAS, "cls/predictions/output_bias", "predictions.bias", &[Axis::Vocab]),
];

#[rustfmt::skip]
pub(super) const NSP: &[Row] = &[
    ("cls.seq_relationship.weight", "cls/seq_relationship/output_weights", "sop_classifier.classifier.weight", &[Axis::Answers, Axis::Hidden]),
    ("cls.seq_relationship.bias", "cls/seq_relationship/output_bias", "sop_classifier.classifier.bias", &[Axis::Answers]),
];

#[rustfmt::skip]
const CLASSIFIER: &[Row] = &[
    (CLASSIFIER_WEIGHT, "output_weights", "classifier.weight", &[Axis::Outputs, Axis::Hidden]),
    (CLASSIFIER_BIAS, "output_bias", "classifier.bias", &[Axis::Outputs]),
];

/// Every tensor a BERT of this size has, with its shape: embeddings, layers, then the heads that are there.
/// The tied decoder is left out. Matrices are `(out, in)`.
pub fn tensors(config: &BertConfig, heads: Heads) -> Vec<(String, Vec<usize>)> {
    table(config, heads)
        .map(|(name, axes)| (name, shape(axes, config, heads)))
        .collect()
}

/// Numbers in all of [`tensors`]; the greatest there is where they are more.
pub fn n_weights(config: &BertConfig, heads: Heads) -> usize {
    let of_shape = |shape: &[usize]| {
        shape
            .iter()
            .fold(1, |n: usize, &length| n.saturating_mul(length))
    };
    let tensors = tensors(config, heads);
    tensors
        .iter()
        .fold(0, |n: usize, (_, shape)| n.saturating_add(of_shape(shape)))
}

/// Those of [`tensors`] that belong to heads.
pub fn head_tensors(config: &BertConfig, heads: Heads) -> Vec<(String, Vec<usize>)> {
    head_rows(heads)
        .map(|(name, axes)| (name, shape(axes, config, heads)))
        .collect()
}

/// The lengths of axes in a BERT of this size.
pub(super) fn shape(axes: &[Axis], config: &BertConfig, heads: Heads) -> Vec<usize> {
    let lengths = axes.iter().map(|axis| axis.length(config, heads));
    lengths.collect()
}

/// [`tensors`] before its axes are numbers.
pub(super) fn table(
    config: &BertConfig,
    heads: Heads,
) -> impl Iterator<Item = (String, &'static [Axis])> {
    let layers = (0..config.n_distinct_layers()).flat_map(|i| {
        let in_layer = move |&(end, _, _, axes): &Row| (format!("{LAYER_PREFIX}{i}.{end}"), axes);
        LAYER.iter().map(in_layer)
    });
    let has_table = config.has_position_table();
    whole(EMBEDDINGS, true)
        .filter(move |(name, _)| has_table || name != POSITION_EMBEDDINGS)
        .chain(whole(PROJECTION, config.albert.is_some()))
        .chain(layers)
        .chain(head_rows(heads))
}

fn head_rows(heads: Heads) -> impl Iterator<Item = (String, &'static [Axis])> {
    whole(POOLER, heads.pooler)
        .chain(whole(MLM, heads.mlm))
        .chain(whole(NSP, heads.nsp))
        .chain(whole(CLASSIFIER, heads.classifier.is_some()))
}

fn whole(rows: &'static [Row], there: bool) -> impl Iterator<Item = (String, &'static [Axis])> {
    let rows = if there { rows } else { &[] };
    rows.iter()
        .map(|&(name, _, _, axes)| (name.to_owned(), axes))
}

/// Where in a network a parameter stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Before the layers.
    Embeddings,
    /// In the layer with this number, from 0, of those with weights of their own.
    Layer(usize),
    /// After the layers.
    Head,
}

/// Where the parameter with one of our names stands.
pub fn depth(name: &str) -> Depth {
    let number = |rest: &str| {
        rest.split('.')
            .next()
            .and_then(|number| number.parse().ok())
    };
    match name.strip_prefix(LAYER_PREFIX).and_then(number) {
        Some(layer) => Depth::Layer(layer),
        None if name.starts_with("bert.embeddings.") => Depth::Embeddings,
        None if PROJECTION.iter().any(|row| row.0 == name) => Depth::Embeddings,
        None => Depth::Head,
    }
}

/// Our name of a tensor that a file of this architecture calls `stored`; names we do not know come back as they are.
pub(super) fn of_stored(config: &BertConfig, stored: &str) -> String {
    match config.family() {
        Family::Albert => of_albert(stored),
        Family::Bert => canonical(stored),
        // Some files of these begin as those of a BERT do.
        family => match bare(family, stored) {
            Some(bare) => canonical(bare),
            None => canonical(stored),
        },
    }
}

/// What follows the name of the architecture.
fn bare(family: Family, stored: &str) -> Option<&str> {
    stored.strip_prefix(family.model_type())?.strip_prefix('.')
}

/// Whether a file may hold the tensor with one of our names although it is no weight: numbers that are the same in every model.
pub(super) fn is_constant(ours: &str) -> bool {
    ours.ends_with("_ids") || ours.ends_with(".positions_encoding") || ours == SINUSOIDS
}

/// Our name of a tensor that a file calls `stored`; names we do not know come back as they are.
pub(super) fn canonical(stored: &str) -> String {
    let bare = ["embeddings.", "encoder.", "pooler."];
    let prefix = if bare.iter().any(|start| stored.starts_with(start)) {
        "bert."
    } else {
        ""
    };
    if let Some(start) = stored.strip_suffix("LayerNorm.gamma") {
        format!("{prefix}{start}LayerNorm.weight")
    } else if let Some(start) = stored.strip_suffix("LayerNorm.beta") {
        format!("{prefix}{start}LayerNorm.bias")
    } else {
        format!("{prefix}{stored}")
    }
}

/// Every part of the table that stands outside layers.
const OUTSIDE: [&[Row]; 6] = [EMBEDDINGS, PROJECTION, POOLER, MLM, NSP, CLASSIFIER];

/// Our name of a tensor that a file of an ALBERT calls `stored`; names we do not know come back as they are.
pub(super) fn of_albert(stored: &str) -> String {
    let bare = ["embeddings.", "encoder.", "pooler."];
    let stored = match bare.iter().any(|start| stored.starts_with(start)) {
        true => format!("albert.{stored}"),
        false => stored.to_owned(),
    };
    let in_layer = || {
        let rest = stored.strip_prefix(ALBERT_GROUP_PREFIX)?;
        let (group, end) = rest.split_once(ALBERT_IN_GROUP)?;
        let (ours, ..) = LAYER.iter().find(|row| row.2 == end)?;
        Some(format!("{LAYER_PREFIX}{group}.{ours}"))
    };
    let outside = || {
        let mut rows = OUTSIDE.into_iter().flatten();
        rows.find(|row| row.2 == stored).map(|row| row.0.to_owned())
    };
    match stored.as_str() {
        "predictions.decoder.weight" => DECODER_WEIGHT.to_owned(),
        "predictions.decoder.bias" => DECODER_BIAS.to_owned(),
        _ => in_layer().or_else(outside).unwrap_or(stored),
    }
}

/// What a file of this architecture calls the tensor with one of our names.
pub(super) fn stored(config: &BertConfig, ours: &str) -> String {
    match (config.family(), ours.strip_prefix("bert.")) {
        (Family::Albert, _) => {}
        (Family::Bert, _) | (_, None) => return ours.to_owned(),
        (family, Some(rest)) => return format!("{}.{rest}", family.model_type()),
    }
    let in_layer = || {
        let (group, end) = ours.strip_prefix(LAYER_PREFIX)?.split_once('.')?;
        let row = LAYER.iter().find(|row| row.0 == end)?;
        Some(format!(
            "{ALBERT_GROUP_PREFIX}{group}{ALBERT_IN_GROUP}{}",
            row.2
        ))
    };
    let outside = || {
        let mut rows = OUTSIDE.into_iter().flatten();
        rows.find(|row| row.0 == ours).map(|row| row.2.to_owned())
    };
    in_layer().or_else(outside).unwrap_or(ours.to_owned())
}

/// Our name of a tensor of a Google checkpoint, and whether it is stored transposed; none where a BERT has no such tensor.
pub(super) fn of_google(stored: &str) -> Option<(String, bool)> {
    let named = |rows: &'static [Row], stored: &str| {
        let row = rows.iter().find(|row| row.1 == stored);
        row.map(|row| row.0)
    };
    let name = match stored.strip_prefix(GOOGLE_LAYER_PREFIX) {
        Some(rest) => {
            let (layer, rest) = rest.split_once('/')?;
            let layer: usize = layer.parse().ok()?;
            format!("{LAYER_PREFIX}{layer}.{}", named(LAYER, rest)?)
        }
        None => {
            let mut tables = OUTSIDE.into_iter();
            tables.find_map(|rows| named(rows, stored))?.to_owned()
        }
    };
    Some((name, stored.ends_with(KERNEL)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::config::{Albert, Positions};

    fn config() -> BertConfig {
        BertConfig {
            vocab_size: 61,
            hidden_size: 32,
            num_hidden_layers: 2,
            num_attention_heads: 4,
            intermediate_size: 64,
            max_position_embeddings: 24,
            initializer_range: 0.2,
            hidden_dropout_prob: 0.0,
            attention_probs_dropout_prob: 0.0,
            ..BertConfig::default()
        }
    }

    #[test]
    fn names_of_google_come_to_ours_and_what_a_training_leaves_does_not() {
        for (stored, ours, is_transposed) in [
            ("bert/embeddings/word_embeddings", WORD_EMBEDDINGS, false),
            (
                "bert/encoder/layer_11/attention/self/key/kernel",
                "bert.encoder.layer.11.attention.self.key.weight",
                true,
            ),
            (
                "bert/encoder/layer_0/output/LayerNorm/gamma",
                "bert.encoder.layer.0.output.LayerNorm.weight",
                false,
            ),
            (
                "cls/seq_relationship/output_weights",
                "cls.seq_relationship.weight",
                false,
            ),
            ("cls/predictions/output_bias", MLM_BIAS, false),
        ] {
            let found = of_google(stored);
            assert_eq!(found, Some((ours.to_owned(), is_transposed)), "{stored}");
        }
        for other in [
            "global_step",
            "bert/encoder/layer_0/output/dense/kernel/adam_m",
            "bert/encoder/layer_x/output/dense/kernel",
            "bert/encoder/layer_1",
            "",
        ] {
            assert_eq!(of_google(other), None);
        }
    }

    #[test]
    fn names_of_an_albert_come_to_ours_and_back() {
        let config = BertConfig {
            albert: Some(Albert {
                embedding_size: 8,
                num_hidden_groups: 2,
            }),
            ..config()
        };
        let heads = Heads {
            pooler: true,
            nsp: true,
            classifier: Some(3),
            ..Heads::MLM
        };
        for (ours, _) in tensors(&config, heads) {
            let theirs = stored(&config, &ours);
            assert_eq!(of_albert(&theirs), ours);
            assert!(!theirs.starts_with("bert."), "{theirs}");
        }
        for (theirs, ours) in [
            (
                "encoder.albert_layer_groups.1.albert_layers.0.ffn.weight",
                "bert.encoder.layer.1.intermediate.dense.weight",
            ),
            ("predictions.decoder.weight", DECODER_WEIGHT),
            ("predictions.decoder.bias", DECODER_BIAS),
            (
                "albert.embeddings.position_ids",
                "albert.embeddings.position_ids",
            ),
        ] {
            assert_eq!(of_albert(theirs), ours);
        }
        let projection = "bert.encoder.embedding_hidden_mapping_in.weight";
        assert_eq!(depth(projection), Depth::Embeddings);
    }

    #[test]
    fn names_of_nezha_and_roformer_come_to_ours_and_back_without_a_table() {
        let heads = Heads {
            pooler: true,
            nsp: true,
            classifier: Some(3),
            ..Heads::MLM
        };
        let relative = Positions::Relative { max_distance: 64 };
        for (positions, prefix) in [(relative, "nezha."), (Positions::Rotary, "roformer.")] {
            let config = BertConfig {
                positions,
                ..config()
            };
            let ours = tensors(&config, heads);
            assert_eq!(ours.len() + 1, tensors(&self::config(), heads).len());
            for (ours, _) in ours {
                let theirs = stored(&config, &ours);
                assert_eq!(of_stored(&config, &theirs), ours);
                assert_eq!(of_stored(&config, &ours), ours, "as some files have it");
                assert_eq!(theirs.starts_with(prefix), ours.starts_with("bert."));
            }
            let old = format!("{prefix}embeddings.LayerNorm.gamma");
            let ours = "bert.embeddings.LayerNorm.weight";
            assert_eq!(of_stored(&config, &old), ours);
            assert_eq!(
                of_stored(&config, "embeddings.LayerNorm.beta"),
                "bert.embeddings.LayerNorm.bias"
            );
            let table = of_stored(&config, &format!("{prefix}encoder.embed_positions.weight"));
            assert!(is_constant(&table) && !is_constant(ours));
        }
    }

    /// The golden file was written by `transformers`, so its names and shapes are the truth.
    #[test]
    fn table_is_that_of_transformers() {
        let golden = include_bytes!("../../tests/golden/bert_tiny.safetensors");
        let golden = safetensors::SafeTensors::deserialize(golden).unwrap();
        let mut theirs: Vec<_> = golden
            .iter()
            .filter(|(name, _)| name.starts_with("bert.") || name.starts_with("cls."))
            .map(|(name, view)| (name.to_owned(), view.shape().to_vec()))
            .collect();
        theirs.sort();
        let mut ours = tensors(
            &config(),
            Heads {
                pooler: true,
                nsp: true,
                ..Heads::MLM
            },
        );
        ours.sort();
        assert_eq!(ours, theirs);
    }

    #[test]
    fn absent_heads_have_no_tensors() {
        let names = |heads| tensors(&config(), heads).into_iter().map(|(name, _)| name);
        let none = Heads::default();
        assert_eq!(names(none).count(), 5 + 2 * 16);
        let mlm: Vec<_> = names(Heads::MLM).skip(5 + 2 * 16).collect();
        assert_eq!(mlm.len(), 5);
        assert!(
            mlm.iter().all(|name| name.starts_with("cls.predictions.")),
            "{mlm:?}"
        );
    }

    #[test]
    fn other_dialects_come_to_our_names() {
        for (stored, ours) in [
            (
                "bert.embeddings.LayerNorm.gamma",
                "bert.embeddings.LayerNorm.weight",
            ),
            (
                "encoder.layer.0.output.LayerNorm.beta",
                "bert.encoder.layer.0.output.LayerNorm.bias",
            ),
            ("embeddings.word_embeddings.weight", WORD_EMBEDDINGS),
            ("pooler.dense.bias", "bert.pooler.dense.bias"),
            (MLM_BIAS, MLM_BIAS),
            (
                "bert.embeddings.position_ids",
                "bert.embeddings.position_ids",
            ),
            ("gamma", "gamma"),
        ] {
            assert_eq!(canonical(stored), ours);
        }
    }
}
