//! `config.json`: the size of a BERT or of an ALBERT.
//!
//! In: the file, checked key by key, so that an error names the key. Out: the same keys and those that
//! `transformers` needs to open the folder. Networks that compute something else than this crate does
//! (another activation, relative positions) are refused here, not when the numbers come out wrong.
//! Does not look at weights.

use std::ops::RangeInclusive;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::heads::Heads;
use super::write::FloatType;
use crate::data::source;
use crate::error::{Error, Place, Result};

/// The size of a BERT, under the keys of a Hugging Face `config.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BertConfig {
    /// Rows of the token embedding.
    pub vocab_size: usize,
    /// Width of a hidden state; a multiple of `num_attention_heads`.
    pub hidden_size: usize,
    /// Encoder layers.
    pub num_hidden_layers: usize,
    /// Heads of each attention.
    pub num_attention_heads: usize,
    /// Width inside the feed-forward block.
    pub intermediate_size: usize,
    /// Longest row, in tokens with `[CLS]` and `[SEP]`.
    pub max_position_embeddings: usize,
    /// Rows of the segment embedding.
    pub type_vocab_size: usize,
    /// Added to the variance in layer norms.
    pub layer_norm_eps: f32,
    /// Standard deviation of fresh matrices.
    pub initializer_range: f32,
    /// Dropout of hidden states, `0.0..1.0`. Kept for those who open the model; training has its own.
    pub hidden_dropout_prob: f32,
    /// Dropout of attention probabilities, `0.0..1.0`. Kept likewise.
    pub attention_probs_dropout_prob: f32,
    /// What stands between the two maps of a feed-forward block, and in the MLM head.
    #[serde(default)]
    pub hidden_act: Activation,
    /// What makes it an ALBERT; none for a BERT.
    #[serde(flatten, default, skip_serializing_if = "Option::is_none")]
    pub albert: Option<Albert>,
    /// The model wants token type 1 at every token that the other text of its row has too, 0 elsewhere. A key of this crate:
    /// `transformers` keeps it, and whoever scores rows there makes the token types.
    #[serde(default)]
    pub mark_shared: bool,
}

impl Default for BertConfig {
    /// BERT-base of Chinese characters: 12 layers of 768, 12 heads, 21,128 tokens (Devlin et al. 2019,
    /// <https://arxiv.org/abs/1810.04805>).
    fn default() -> Self {
        Self {
            vocab_size: 21128,
            hidden_size: 768,
            num_hidden_layers: 12,
            num_attention_heads: 12,
            intermediate_size: 3072,
            max_position_embeddings: 512,
            type_vocab_size: 2,
            layer_norm_eps: 1e-12,
            initializer_range: 0.02,
            hidden_dropout_prob: 0.1,
            attention_probs_dropout_prob: 0.1,
            hidden_act: Activation::Gelu,
            albert: None,
            mark_shared: false,
        }
    }
}

/// The two forms of GELU ([`crate::kernels::gelu`]), as `transformers` calls them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// By the error function.
    #[default]
    Gelu,
    /// By the hyperbolic tangent.
    #[serde(alias = "gelu_pytorch_tanh")]
    GeluNew,
}

/// What an ALBERT has and a BERT has not (Lan et al. 2020, <https://arxiv.org/abs/1909.11942>): embeddings of a width of their own
/// with a projection behind them, and layers that share their weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Albert {
    /// Width of the embeddings and of the MLM head's features.
    pub embedding_size: usize,
    /// Layers with weights of their own; a divisor of `num_hidden_layers`. Neighbours share.
    pub num_hidden_groups: usize,
}

/// What a classifier's outputs mean, for those who open the model: keys of `config.json` that transformers reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labels {
    /// One name an output.
    pub names: Vec<String>,
    /// Which loss the outputs are for.
    pub problem: Problem,
}

/// The `problem_type` of transformers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Problem {
    /// One output is a number.
    Regression,
    /// One of the classes is right.
    SingleLabelClassification,
    /// Any of them are.
    MultiLabelClassification,
}

impl Labels {
    /// `LABEL_0`, `LABEL_1`, …, as transformers calls what has no names: a number where there is one, else classes.
    pub fn unnamed(n: usize) -> Self {
        Self {
            names: (0..n).map(|i| format!("LABEL_{i}")).collect(),
            problem: if n == 1 {
                Problem::Regression
            } else {
                Problem::SingleLabelClassification
            },
        }
    }
}

/// [`Labels`] under the keys of the file.
#[derive(Serialize)]
struct LabelKeys {
    id2label: Map<String, Value>,
    label2id: Map<String, Value>,
    problem_type: Problem,
}

impl LabelKeys {
    fn of(labels: &Labels) -> Self {
        let numbered = || labels.names.iter().enumerate();
        Self {
            id2label: numbered()
                .map(|(i, name)| (i.to_string(), name.as_str().into()))
                .collect(),
            label2id: numbered()
                .map(|(i, name)| (name.clone(), i.into()))
                .collect(),
            problem_type: labels.problem,
        }
    }
}

impl BertConfig {
    /// Reads and checks a `config.json`.
    ///
    /// Sizes must be there. `type_vocab_size`, `layer_norm_eps`, `initializer_range` and the two dropouts
    /// have the defaults of `transformers`; keys this crate has no use for are ignored.
    ///
    /// # Errors
    /// [`Error::Input`] that names the key where one is missing, has the wrong type or is out of range, and
    /// where the file describes no network as this crate computes it: `model_type` other than `bert` and `albert`, `hidden_act`
    /// other than the two forms of GELU, `position_embedding_type` other than `absolute`, a `hidden_size` that the heads do not
    /// divide, layers that the groups of an ALBERT do not divide, more than one layer a group.
    pub fn read(path: &Path) -> Result<Self> {
        Self::parse(&source::read(path)?, path)
    }

    fn parse(bytes: &[u8], path: &Path) -> Result<Self> {
        let map = object(bytes, path)?;
        let keys = Keys { path, map: &map };
        let is_albert = keys.one_of(
            "model_type",
            &[("bert", false), ("albert", true)],
            "other architectures are not read",
        )?;
        let is_albert = is_albert.unwrap_or(false);
        let activations = [
            ("gelu", Activation::Gelu),
            ("gelu_new", Activation::GeluNew),
            ("gelu_pytorch_tanh", Activation::GeluNew),
        ];
        let hidden_act = keys.one_of(
            "hidden_act",
            &activations,
            "other activations are not computed; take a checkpoint trained with \"gelu\"",
        )?;
        keys.one_of(
            "position_embedding_type",
            &[("absolute", ())],
            "relative positions are not computed; take a checkpoint with absolute ones",
        )?;
        let (activation, dropout) = match is_albert {
            true => (Activation::GeluNew, 0.0),
            false => (Activation::Gelu, 0.1),
        };

        let config = Self {
            vocab_size: keys.size("vocab_size", None)?,
            hidden_size: keys.size("hidden_size", None)?,
            num_hidden_layers: keys.size("num_hidden_layers", None)?,
            num_attention_heads: keys.size("num_attention_heads", None)?,
            intermediate_size: keys.size("intermediate_size", None)?,
            max_position_embeddings: keys.size("max_position_embeddings", None)?,
            type_vocab_size: keys.size("type_vocab_size", Some(2))?,
            layer_norm_eps: keys.real("layer_norm_eps", 1e-12, f32::MIN_POSITIVE..=1.0)?,
            initializer_range: keys.real("initializer_range", 0.02, 0.0..=1.0)?,
            hidden_dropout_prob: keys.real("hidden_dropout_prob", dropout, PROBABILITY)?,
            attention_probs_dropout_prob: keys.real(
                "attention_probs_dropout_prob",
                dropout,
                PROBABILITY,
            )?,
            hidden_act: hidden_act.unwrap_or(activation),
            albert: is_albert.then(|| keys.albert()).transpose()?,
            mark_shared: keys.flag("mark_shared")?,
        };
        let heads = config.num_attention_heads;
        if !config.hidden_size.is_multiple_of(heads) {
            let expected = format!("a multiple of num_attention_heads = {heads}");
            let place = keys.place("hidden_size");
            return Err(Error::input(place, expected, config.hidden_size).with_hint(OWN_CONFIG));
        }
        config.check_groups(&keys)?;
        Ok(config)
    }

    /// An ALBERT's groups must divide its layers evenly.
    fn check_groups(&self, keys: &Keys) -> Result<()> {
        let (n_layers, n_groups) = (self.num_hidden_layers, self.n_distinct_layers());
        if n_layers.is_multiple_of(n_groups) {
            return Ok(());
        }
        let expected = format!("a divisor of num_hidden_layers = {n_layers}");
        let place = keys.place("num_hidden_groups");
        Err(Error::input(place, expected, n_groups).with_hint(OWN_CONFIG))
    }

    /// Width of the embeddings.
    pub fn embedding_size(&self) -> usize {
        self.albert
            .map_or(self.hidden_size, |albert| albert.embedding_size)
    }

    /// Layers with weights of their own.
    pub fn n_distinct_layers(&self) -> usize {
        self.albert
            .map_or(self.num_hidden_layers, |albert| albert.num_hidden_groups)
    }

    /// Which of the distinct layers each layer is, from the first to the last layer.
    pub fn layer_order(&self) -> Vec<usize> {
        let (n_layers, n_distinct) = (self.num_hidden_layers, self.n_distinct_layers());
        let order = (0..n_layers).map(|layer| layer * n_distinct / n_layers);
        order.collect()
    }

    /// As `transformers` calls the architecture.
    pub fn model_type(&self) -> &'static str {
        match self.albert {
            Some(_) => "albert",
            None => "bert",
        }
    }

    /// The text of a `config.json` that `transformers` opens: with `heads` in the architecture, `float` as the type of the
    /// weights, and `labels` where there is a classifier.
    pub(super) fn to_json(
        &self,
        heads: Heads,
        float: FloatType,
        labels: Option<&Labels>,
    ) -> String {
        /// The keys around the sizes.
        #[derive(Serialize)]
        struct File<'a> {
            architectures: [String; 1],
            model_type: &'static str,
            position_embedding_type: &'static str,
            #[serde(flatten)]
            config: &'a BertConfig,
            #[serde(skip_serializing_if = "Option::is_none")]
            inner_group_num: Option<usize>,
            pad_token_id: u32,
            tie_word_embeddings: bool,
            dtype: &'static str,
            #[serde(flatten)]
            labels: Option<LabelKeys>,
        }
        let class = match heads {
            Heads {
                classifier: Some(_),
                ..
            } => "ForSequenceClassification",
            Heads { nsp: true, .. } => "ForPreTraining",
            Heads { mlm: true, .. } => "ForMaskedLM",
            _ => "Model",
        };
        let family = match self.albert {
            Some(_) => "Albert",
            None => "Bert",
        };
        let file = File {
            architectures: [format!("{family}{class}")],
            model_type: self.model_type(),
            position_embedding_type: "absolute",
            config: self,
            inner_group_num: self.albert.map(|_| 1),
            pad_token_id: crate::data::reserved::PAD,
            tie_word_embeddings: true,
            dtype: float.name(),
            labels: labels.map(LabelKeys::of),
        };
        serde_json::to_string_pretty(&file).expect("strings, numbers and booleans are JSON") + "\n"
    }
}

fn object(bytes: &[u8], path: &Path) -> Result<Map<String, Value>> {
    serde_json::from_slice(bytes).map_err(|error| {
        let place = Place::line(path, error.line() as u64);
        Error::input(place, "a JSON object", error).with_hint(OWN_CONFIG)
    })
}

/// As what `transformers` is to open a folder: the texts under `architectures` of a `config.json`; none where it does not say.
///
/// # Errors
/// Where the file cannot be read or is no JSON object.
pub fn architectures(path: &Path) -> Result<Vec<String>> {
    let map = object(&source::read(path)?, path)?;
    let names = map.get("architectures").and_then(Value::as_array);
    let texts = names.into_iter().flatten().filter_map(Value::as_str);
    Ok(texts.map(str::to_owned).collect())
}

/// Dropout probabilities: 1 would leave nothing.
const PROBABILITY: RangeInclusive<f32> = 0.0..=0.999;
/// The way out where a key is not as a BERT has it.
const OWN_CONFIG: &str = "take the config.json that belongs to model.safetensors";

/// The keys of one file, read with errors that name them.
struct Keys<'a> {
    path: &'a Path,
    map: &'a Map<String, Value>,
}

impl Keys<'_> {
    fn place(&self, key: &str) -> Place {
        Place::file(self.path).field(key)
    }

    /// What stands at `key`, as an error shows it.
    fn found(&self, key: &str) -> String {
        self.map
            .get(key)
            .map_or_else(|| "no such key".to_owned(), Value::to_string)
    }

    fn bad(&self, key: &str, expected: &str) -> Error {
        Error::input(self.place(key), expected, self.found(key)).with_hint(OWN_CONFIG)
    }

    /// A whole number from 1. Without `default` the key must be there.
    fn size(&self, key: &str, default: Option<usize>) -> Result<usize> {
        let size = match self.map.get(key) {
            None => default,
            Some(value) => value.as_u64().and_then(|n| usize::try_from(n).ok()),
        };
        size.filter(|&n| n > 0)
            .ok_or_else(|| self.bad(key, "a whole number from 1"))
    }

    /// A number in `range`, or `default` where the key is absent.
    fn real(&self, key: &str, default: f32, range: RangeInclusive<f32>) -> Result<f32> {
        let real = match self.map.get(key) {
            None => Some(default),
            Some(value) => value.as_f64().map(|x| x as f32),
        };
        real.filter(|x| range.contains(x)).ok_or_else(|| {
            let expected = format!("a number from {:?} to {:?}", range.start(), range.end());
            self.bad(key, &expected)
        })
    }

    /// True or false; false where the key is absent.
    fn flag(&self, key: &str) -> Result<bool> {
        match self.map.get(key) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(_) => Err(self.bad(key, "true or false")),
        }
    }

    /// What one of the texts means that may stand there; none where the key is absent.
    fn one_of<A: Copy>(&self, key: &str, texts: &[(&str, A)], hint: &str) -> Result<Option<A>> {
        let Some(value) = self.map.get(key) else {
            return Ok(None);
        };
        let known = texts.iter().find(|(text, _)| value.as_str() == Some(text));
        let Some((_, meaning)) = known else {
            let names: Vec<String> = texts.iter().map(|(text, _)| format!("{text:?}")).collect();
            let expected = names.join(" or ");
            return Err(Error::input(self.place(key), expected, self.found(key)).with_hint(hint));
        };
        Ok(Some(*meaning))
    }

    /// The keys of an ALBERT, with the defaults of `transformers`.
    fn albert(&self) -> Result<Albert> {
        if self.size("inner_group_num", Some(1))? != 1 {
            let place = self.place("inner_group_num");
            let error = Error::input(place, "1 layer a group", self.found("inner_group_num"));
            return Err(error.with_hint("take an ALBERT whose groups are one layer each"));
        }
        Ok(Albert {
            embedding_size: self.size("embedding_size", Some(128))?,
            num_hidden_groups: self.size("num_hidden_groups", Some(1))?,
        })
    }
}

#[cfg(test)]
mod tests;
