//! `config.json`: the size of a BERT, of an ALBERT, of a NEZHA or of a RoFormer.
//!
//! In: the file, checked key by key, so that an error names the key. Out: the same keys and those that
//! `transformers` needs to open the folder. Networks that compute something else than this crate does
//! (another activation, relative positions that are trained) are refused here, not when the numbers come out wrong.
//! Does not look at weights.

mod keys;

use std::ops::RangeInclusive;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use keys::Keys;

use super::float_type::FloatType;
use super::heads::Heads;
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
    /// Longest row, in tokens with `[CLS]` and `[SEP]`. Relative positions set no such bound themselves.
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
    /// How it knows where a token stands. With [`Positions::Relative`] it is a NEZHA, with [`Positions::Rotary`] a RoFormer.
    #[serde(flatten, default)]
    pub positions: Positions,
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
            positions: Positions::Absolute,
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

/// How a network knows where a token stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "PositionKeys", into = "PositionKeys")]
pub enum Positions {
    /// By trained vectors that are added to the embeddings, one a position.
    #[default]
    Absolute,
    /// By fixed vectors of distances that are added to keys and values (NEZHA, Wei et al. 2019,
    /// <https://arxiv.org/abs/1909.00204>). Tokens farther apart are taken as this far.
    Relative {
        /// `max_relative_position`, from 1.
        max_distance: usize,
    },
    /// By turned queries and keys (RoFormer, Su et al. 2021, <https://arxiv.org/abs/2104.09864>).
    Rotary,
}

/// [`Positions`] under the keys of the file.
#[derive(Serialize, Deserialize)]
struct PositionKeys {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_relative_position: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rotary_value: Option<bool>,
}

impl From<Positions> for PositionKeys {
    fn from(positions: Positions) -> Self {
        let (max_relative_position, rotary_value) = match positions {
            Positions::Absolute => (None, None),
            Positions::Relative { max_distance } => (Some(max_distance), None),
            Positions::Rotary => (None, Some(false)),
        };
        Self {
            max_relative_position,
            rotary_value,
        }
    }
}

impl From<PositionKeys> for Positions {
    fn from(keys: PositionKeys) -> Self {
        match (keys.max_relative_position, keys.rotary_value) {
            (Some(max_distance), _) => Self::Relative { max_distance },
            (None, Some(_)) => Self::Rotary,
            (None, None) => Self::Absolute,
        }
    }
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
    /// where the file describes no network as this crate computes it: `model_type` other than `bert`, `albert`, `nezha` and
    /// `roformer`, `hidden_act` other than the two forms of GELU, `position_embedding_type` other than `absolute`, a `hidden_size`
    /// that the heads do not divide (evenly, and into even parts, where positions are fixed), layers that the groups of an
    /// ALBERT do not divide, more than one layer a group, a RoFormer that turns values or has embeddings of a width of their own.
    pub fn read(path: &Path) -> Result<Self> {
        Self::parse(&source::read(path)?, path)
    }

    fn parse(bytes: &[u8], path: &Path) -> Result<Self> {
        let map = object(bytes, path)?;
        let keys = Keys { path, map: &map };
        let family = keys.family()?;
        let is_albert = family == Family::Albert;
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
            "relative positions that are trained are not computed; take a checkpoint with absolute ones, or a NEZHA",
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
            positions: keys.positions(family)?,
            mark_shared: keys.flag("mark_shared")?,
        };
        let heads = config.num_attention_heads;
        if !config.hidden_size.is_multiple_of(heads) {
            let expected = format!("a multiple of num_attention_heads = {heads}");
            let place = keys.place("hidden_size");
            return Err(Error::input(place, expected, config.hidden_size).with_hint(OWN_CONFIG));
        }
        config.check_groups(&keys)?;
        config.check_positions(&keys)?;
        Ok(config)
    }

    /// Fixed positions go through a head in pairs of elements, and their tables are as long as the file says.
    fn check_positions(&self, keys: &Keys) -> Result<()> {
        let size = self.hidden_size / self.num_attention_heads;
        if self.positions == Positions::Absolute {
            return Ok(());
        }
        if !size.is_multiple_of(2) {
            let place = keys.place("num_attention_heads");
            let expected = "heads of an even width, as positions go through them in pairs";
            return Err(Error::input(place, expected, size).with_hint(OWN_CONFIG));
        }
        keys.at_most("max_position_embeddings", self.max_position_embeddings)
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

    /// Whether its positions are a table of weights.
    pub fn has_position_table(&self) -> bool {
        self.positions == Positions::Absolute
    }

    /// Which architecture of `transformers` it is.
    pub(super) fn family(&self) -> Family {
        match (self.positions, self.albert) {
            (Positions::Relative { .. }, _) => Family::Nezha,
            (Positions::Rotary, _) => Family::RoFormer,
            (Positions::Absolute, Some(_)) => Family::Albert,
            (Positions::Absolute, None) => Family::Bert,
        }
    }

    /// As `transformers` calls the architecture.
    pub fn model_type(&self) -> &'static str {
        self.family().model_type()
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
            #[serde(skip_serializing_if = "Option::is_none")]
            position_embedding_type: Option<&'static str>,
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
        let family = self.family();
        let class = match heads {
            // Its classifier there is another network, and it has no pooler.
            Heads { mlm, .. } if family == Family::RoFormer => match mlm {
                true => "ForMaskedLM",
                false => "Model",
            },
            Heads {
                classifier: Some(_),
                ..
            } => "ForSequenceClassification",
            Heads { nsp: true, .. } => "ForPreTraining",
            Heads { mlm: true, .. } => "ForMaskedLM",
            _ => "Model",
        };
        let file = File {
            architectures: [format!("{}{class}", family.class())],
            model_type: self.model_type(),
            position_embedding_type: self.has_position_table().then_some("absolute"),
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

/// An architecture of `transformers`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    Bert,
    Albert,
    Nezha,
    RoFormer,
}

impl Family {
    const ALL: [Self; 4] = [Self::Bert, Self::Albert, Self::Nezha, Self::RoFormer];

    /// Its `model_type`, and what the names of its tensors begin with.
    pub(super) fn model_type(self) -> &'static str {
        match self {
            Self::Bert => "bert",
            Self::Albert => "albert",
            Self::Nezha => "nezha",
            Self::RoFormer => "roformer",
        }
    }

    /// What the names of its classes begin with.
    fn class(self) -> &'static str {
        match self {
            Self::Bert => "Bert",
            Self::Albert => "Albert",
            Self::Nezha => "Nezha",
            Self::RoFormer => "RoFormer",
        }
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
/// More fixed positions than any model has: no tensor of a checkpoint bounds them.
pub(super) const MOST_POSITIONS: usize = 65_536;
/// The way out where a key is not as a BERT has it.
const OWN_CONFIG: &str = "take the config.json that belongs to model.safetensors";

#[cfg(test)]
mod tests;
