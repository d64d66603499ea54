//! The sections of the experiment file, with their defaults.
//!
//! In: the tables of the file, by serde. Out: typed settings. The known keys are those of these types ([`super::keys`]):
//! a field of a path says so with `x-path`, one that may hold a word instead lists it in `x-words`, and a type of another
//! module is a string to the schema. Does not check ranges: `check` does.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use super::values::Valid;
use super::values::one_or_many;
use crate::checkpoint::{Activation, BertConfig, Positions};
use crate::data::split::ValidSplit;
use crate::data::{
    Assign, Column, ExampleFormat, LabelColumns, LabelKind, MaskReplacement, MaskUnit, TextKind,
    TokenKind,
};
pub use crate::kernels::path::Precision;
use crate::metrics::MetricName;
use crate::objective::{Candidates, HeadChoice, HeadStart, ObjectiveName};
use crate::train::Schedule;
use crate::train::average::AverageKind;
use crate::train::step::Adversarial;

/// `[task]`: what a row is, and what is learnt about it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TaskConfig {
    /// `pair` (default): a row has two texts; `single`: it has one, `data.text_a`.
    #[schemars(with = "String")]
    pub kind: TextKind,
    /// `binary` (default), `classes`, `multilabel` or `ordinal`.
    #[schemars(with = "String")]
    pub labels: LabelKind,
    /// What chooses the best epoch and sorts the board; default by labels ([`MetricName::default_for`]).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub metric: Option<MetricName>,
}

/// `[data]`: the files and how they are read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DataConfig {
    /// Labelled files, read one after the other. One path may stand without brackets.
    #[serde(deserialize_with = "one_or_many")]
    #[schemars(extend("x-path" = true))]
    pub train: Vec<PathBuf>,
    /// The rows to score for the submission. Without it the run leaves none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-path" = true))]
    pub test: Option<PathBuf>,
    /// Further files whose rows join the MLM without labels.
    #[serde(deserialize_with = "one_or_many")]
    #[schemars(extend("x-path" = true))]
    pub unlabelled: Vec<PathBuf>,
    /// `row10` (default), `group`, a share of the rows such as 0.1, `none`, or a labelled file. With `folds.k` the folds
    /// take its place.
    #[schemars(with = "String", extend("x-path" = true, "x-words" = Valid::WORDS))]
    pub valid: Valid,
    /// Tokens kept of the two sentences of a row together; 2 or more, default 32.
    pub max_tokens: usize,
    /// The network is told which tokens the other text of a row has too, by token type 1. Default: for pairs, where the
    /// checkpoint has two token types, no stage is of simbert and the last one is not of nsp. A last stage of simbert or nsp has no
    /// place for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mark_shared: Option<bool>,
    /// Positive pairs that the pairs to train on imply are trained on too (a = b and b = c: a = c); default false.
    pub transitive_closure: bool,
    /// A folder that `cipherpet augment` has left: its positive pairs are trained on too, each in the fold that it was written for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-path" = true))]
    pub augment: Option<PathBuf>,
    /// One ASCII character between columns; default tab.
    pub delimiter: char,
    /// The first line holds column names; default false.
    pub header: bool,
    /// Column of the first sentence: a number from 1, or a name where there is a header. Default: column 1, with a header the
    /// one with a usual name.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub text_a: Option<Column>,
    /// Column of the second sentence. Default: column 2, with a header the one with a usual name.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub text_b: Option<Column>,
    /// Column of the label, or a list of columns with 0 or 1, one a label. Default: the column after the texts, with a header
    /// the one with a usual name.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub label: Option<LabelColumns>,
    /// What stands between several labels in one column; default a comma.
    pub label_separator: String,
    /// What stands between the tokens of a sentence; default one space.
    pub token_separator: String,
    /// `number` (default) or `text`.
    #[schemars(with = "String")]
    pub tokens: TokenKind,
}

/// `[folds]`: k models, each of which holds out another part of the labelled rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FoldsConfig {
    /// Parts; 0 (default) = one model and the split of `data.valid`, else 2 or more.
    pub k: usize,
    /// `auto` (default), `row`, `stratified` or `group`.
    #[schemars(with = "String")]
    pub assign: Assign,
    /// For `group`: sentences with this similarity or more, above 0 and up to 1, stand in one fold ([`crate::data::near`]). Default:
    /// only those that are the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub near: Option<f64>,
    /// Times that all rows are dealt anew; 1 or more, default 1. There are k x repeats models.
    pub repeats: usize,
    /// One more model, trained on all labelled rows; default false. It does not take part in `submission.csv`.
    pub full: bool,
}

/// `[vocab]`: which tokens get a row of their own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct VocabConfig {
    /// Rarer tokens become `[UNK]`; 1 or more, default 5.
    pub min_count: u64,
}

/// `[checkpoint]`: the pretrained BERT.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CheckpointConfig {
    /// A Hugging Face folder, or `demo:` for the one inside the tool. Only `scratch` does without.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-path" = true))]
    pub dir: Option<PathBuf>,
}

/// `[model]`: the size of a BERT from `scratch`, and the longest row of any. A missing number is the checkpoint's, or without a checkpoint
/// that of a small BERT: 4 layers, 256 wide, heads of 64, 4 times as wide in between.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ModelConfig {
    /// Transformer layers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layers: Option<usize>,
    /// Width of the hidden states.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hidden: Option<usize>,
    /// Attention heads; divides `hidden`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heads: Option<usize>,
    /// Width of the feed-forward layers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub intermediate: Option<usize>,
    /// Tokens of the longest row, with `[CLS]` and `[SEP]`. More than the checkpoint has are made from its own
    /// ([`crate::checkpoint::positions`]).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub positions: Option<usize>,
}

impl ModelConfig {
    /// The size of a fresh model of `vocab_size` rows: `[model]`, then `base` (a checkpoint's size), then a small BERT.
    pub fn size(&self, base: Option<&BertConfig>, vocab_size: usize, dropout: f64) -> BertConfig {
        let hidden = self
            .hidden
            .or(base.map(|base| base.hidden_size))
            .unwrap_or(256);
        // A width of one's own makes the checkpoint's other widths meaningless.
        let base_width = base.filter(|base| base.hidden_size == hidden);
        let heads = base_width.map_or((hidden / 64).max(1), |base| base.num_attention_heads);
        let intermediate = base_width.map_or(4 * hidden, |base| base.intermediate_size);
        BertConfig {
            vocab_size,
            hidden_size: hidden,
            num_hidden_layers: self
                .layers
                .or(base.map(|base| base.num_hidden_layers))
                .unwrap_or(4),
            num_attention_heads: self.heads.unwrap_or(heads),
            intermediate_size: self.intermediate.unwrap_or(intermediate),
            max_position_embeddings: self
                .positions
                .or(base.map(|base| base.max_position_embeddings))
                .unwrap_or(512),
            type_vocab_size: base.map_or(2, |base| base.type_vocab_size),
            layer_norm_eps: base.map_or(1e-12, |base| base.layer_norm_eps),
            initializer_range: base.map_or(0.02, |base| base.initializer_range),
            hidden_dropout_prob: dropout as f32,
            attention_probs_dropout_prob: dropout as f32,
            hidden_act: base.map_or(Activation::Gelu, |base| base.hidden_act),
            albert: None, // weights of their own for every layer
            positions: Positions::Absolute,
            mark_shared: false,
        }
    }
}

/// `[objective]`: what is learnt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ObjectiveConfig {
    /// `pet` (default), or another of [`ObjectiveName`].
    #[schemars(with = "String")]
    pub name: ObjectiveName,
    /// Share of tokens chosen for the MLM, between 0 and 1; default .15.
    pub mask: f64,
    /// `token` (default), `ngram` (spans of 1 to 3 tokens) or `pmi` (collocations of the rows themselves): what is hidden together.
    #[schemars(with = "String")]
    pub mask_unit: MaskUnit,
    /// `random` (default): one in ten hidden tokens becomes any other; `similar`: one with the most similar neighbours.
    #[schemars(with = "String")]
    pub mask_replacement: MaskReplacement,
    /// How much the MLM counts beside the labels, 0 or more; default by objective.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mlm_weight: Option<f64>,
    /// `pooler` (default) or `cls`: what a linear head reads; `mlm`: for cosent and mse, the MLM head at `[CLS]`.
    #[schemars(with = "String")]
    pub head: HeadChoice,
    /// `nsp`: a linear head on the pooler starts as the checkpoint's next-sentence head; labels are 0 and 1. Default: fresh values.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub head_start: Option<HeadStart>,
    /// For simbert: the share of texts that are damaged, as for the MLM, before the other text of their pair is written; 0 to 1, default 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub corrupt_sources: Option<f64>,
    /// For nsp: `first` or `second` text of a pair is a candidate; rows with the same other text are one question, and what is learnt is
    /// which of them has label 1. Default: each row stands for itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub candidates: Option<Candidates>,
}

/// `[train]`: how it is learnt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TrainConfig {
    /// Passes over the rows; 1 or more, default 3.
    pub epochs: usize,
    /// Many rows: only as many whole passes as see so many rows in all, one at least; 0 (default) = no limit. `epochs` of your own takes that
    /// of a preset away.
    pub max_rows: usize,
    /// Stops after so many steps and still writes everything; 0 (default) = no limit.
    pub max_steps: usize,
    /// Rows a step; default 64.
    pub batch: usize,
    /// Peak learning rate; default 3e-4, which suits small models (a BERT-base wants about 2e-5).
    pub learning_rate: f64,
    /// Steps over which the rate rises from 0 to its peak; below 1 a share of the steps of the stage. Default .1.
    pub warmup_steps: f64,
    /// `linear` (default), `cosine` or `constant`: how the rate falls after the rise.
    #[schemars(with = "String")]
    pub schedule: Schedule,
    /// The rate of each layer as a share of the one above it, 0 to 1; default 1.
    pub layer_decay: f64,
    /// Decoupled weight decay, not on biases and norms; default .01.
    pub weight_decay: f64,
    /// Dropout of hidden states and attention, 0 up to 1; default .1.
    pub dropout: f64,
    /// Largest norm of the whole gradient; default 1, 0 = off.
    pub clip: f64,
    /// The two texts of a row change places half of the time; default true. No where their order means something.
    pub swap: bool,
    /// Batches whose gradients are added up for one step; 1 or more, default 1. cosent and simbert compare the rows of one batch,
    /// and none of two batches.
    pub gradient_accumulation: usize,
    /// `none` (default), `fgm` or `pgd`: further passes with word embeddings moved against the network.
    #[schemars(with = "String")]
    pub adversarial: Adversarial,
    /// How far they move, over the whole table; default .5.
    pub adversarial_epsilon: f64,
    /// Moves of `pgd`; 1 or more, default 3.
    pub adversarial_steps: usize,
    /// Weight of R-Drop: two passes with other dropout shall say the same; 0 (default) = off.
    pub r_drop: f64,
    /// Dropout masks on the state that says the label; 1 or more, default 1.
    pub dropout_samples: usize,
    /// Certainty that the label of a class loses, 0 up to 1; default 0. Not for cosent and simbert.
    pub label_smoothing: f64,
    /// `none` (default), `ema` (over the steps) or `swa` (over the last epochs): which weights are validated and kept.
    #[schemars(with = "String")]
    pub average: AverageKind,
    /// How slowly `ema` moves, 0 up to 1; default .999.
    pub average_decay: f64,
    /// How many of the last epochs are in `swa`; 1 or more, fewer than the stage has, default 5. The first ones are far from the end.
    pub average_epochs: usize,
    /// Which rows join the MLM without their labels; default all three.
    pub unlabelled: Vec<UnlabelledRows>,
    /// `auto` (default), `f32` or `bf16`: the number type of matrix products.
    #[schemars(with = "String")]
    pub precision: Precision,
    /// Steps between two checkpoints; 0 (default) = by time only.
    pub save_every_steps: usize,
    /// Minutes between two checkpoints; default 10, 0 = off. A run that is stopped saves one in any case.
    pub save_every_minutes: f64,
}

/// `[distill]`: soft labels from finished runs, so that one model learns what several know.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DistillConfig {
    /// Folders of finished runs or ensembles over the same files, best of folds; none (default): own labels alone. Scores of classes
    /// must be logits: those of cosent, mse and simbert are none. Grades are taught by mse alone: scores of cosent are on no scale.
    /// Ensembles by rank teach nothing.
    #[serde(deserialize_with = "one_or_many")]
    #[schemars(extend("x-path" = true))]
    pub from: Vec<PathBuf>,
    /// How much their mean score counts beside a row's own label, 0 to 1; default .5.
    pub weight: f64,
    /// Their logits are divided by it before they become probabilities; above 0, default 1.
    pub temperature: f64,
    /// Test rows have soft labels too, and are learnt from wherever labelled rows are; default true. Not by simbert, to which a pair is
    /// a positive one or none: a guess would be a sure label.
    pub test: bool,
}

/// `[predict]`: how rows are scored. Another value for a run that is done lets its models score all rows again; the best epochs
/// stay those that the scores of its training chose.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PredictConfig {
    /// Mean score of (a, b) and (b, a); default true.
    pub swap: bool,
}

/// `[submit]`: what `submission.csv` looks like.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SubmitConfig {
    /// `auto` (default), `plain` or `csv`.
    pub format: SubmitFormat,
    /// `csv`: the column of the test file that holds the ids, and the name of the first column here. Default: `id`, or
    /// the first name that ends with it (`qid`, `test_id`) and has a value of its own in each row, or one such as `index`, `row_no` or
    /// `编号` that has. A test file without a header has no ids: its rows count from 0. With a sample: the column of the test file that
    /// holds the ids of the sample.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id_column: Option<String>,
    /// `csv`: the name of the second column; default `score`.
    pub score_column: String,
    /// Writes 1 / (1 + e^-score), 0 to 1, instead of the score; default false. Of classes only where scores are logits, which those of
    /// cosent, mse and simbert are not.
    pub probability: bool,
    /// The organisers' sample submission: header, ids, order and columns are as there. Its ids are looked for in the test file; they are
    /// row numbers where no column holds them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-path" = true))]
    pub like: Option<PathBuf>,
}

/// `submit.format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SubmitFormat {
    /// `csv` where the test file has ids, else `plain`.
    #[default]
    Auto,
    /// One score a line, in the order of the test file, no header.
    Plain,
    /// A header, then id and score.
    Csv,
}

/// A source of rows for `train.unlabelled`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum UnlabelledRows {
    /// The rows of `data.test`.
    Test,
    /// The validation rows.
    Valid,
    /// The files of `data.unlabelled`.
    Extra,
}

impl UnlabelledRows {
    /// Every source.
    pub const ALL: [Self; 3] = [Self::Test, Self::Valid, Self::Extra];
}

impl Default for DataConfig {
    fn default() -> Self {
        let format = ExampleFormat::default();
        Self {
            train: Vec::new(),
            test: None,
            unlabelled: Vec::new(),
            valid: Valid::Split(ValidSplit::Row10),
            max_tokens: 32,
            mark_shared: None,
            transitive_closure: false,
            augment: None,
            delimiter: format.delimiter,
            header: format.header,
            text_a: format.text_a,
            text_b: format.text_b,
            label: None,
            label_separator: ",".to_owned(),
            token_separator: format.token_separator,
            tokens: format.tokens,
        }
    }
}

impl Default for FoldsConfig {
    fn default() -> Self {
        Self {
            k: 0,
            assign: Assign::Auto,
            near: None,
            repeats: 1,
            full: false,
        }
    }
}

impl Default for VocabConfig {
    fn default() -> Self {
        Self { min_count: 5 }
    }
}

impl Default for ObjectiveConfig {
    fn default() -> Self {
        Self {
            name: ObjectiveName::Pet,
            mask: 0.15,
            mask_unit: MaskUnit::Token,
            mask_replacement: MaskReplacement::Random,
            mlm_weight: None,
            head: HeadChoice::Pooler,
            head_start: None,
            corrupt_sources: None,
            candidates: None,
        }
    }
}

impl Default for DistillConfig {
    fn default() -> Self {
        Self {
            from: Vec::new(),
            weight: 0.5,
            temperature: 1.0,
            test: true,
        }
    }
}

impl Default for PredictConfig {
    fn default() -> Self {
        Self { swap: true }
    }
}

impl SubmitConfig {
    /// What the column of the ids is called where nothing else says so.
    pub const ID: &str = "id";
}

impl Default for SubmitConfig {
    fn default() -> Self {
        Self {
            format: SubmitFormat::Auto,
            id_column: None,
            score_column: "score".to_owned(),
            probability: false,
            like: None,
        }
    }
}
