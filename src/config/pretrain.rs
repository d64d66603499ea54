//! The experiment file of a pretraining: plain lines instead of labelled rows, and no alignment.
//!
//! In: TOML, as for an experiment ([`super::load_as`]). Out: a [`Pretraining`] with every key filled in and every path made
//! absolute. Sections that an experiment has too are the same types. Reads no text and does no work.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::keys::Keys;
use super::settings::Settings;
use super::stages::{self, Stage, StageConfig};
use super::values::one_or_many;
use super::{CheckpointConfig, ModelConfig, TrainConfig, checkpoint_files};
use crate::checkpoint::BertConfig;
use crate::data::TokenKind;
use crate::data::masking::{MaskOptions, MaskReplacement, MaskUnit};
use crate::error::Result;
use crate::objective::{HeadChoice, ObjectiveName};
use crate::random::Key;

static PRETRAINING: LazyLock<Keys> = LazyLock::new(Keys::of::<Pretraining>);

/// A whole file. A missing key has the value of `Pretraining::default()`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Pretraining {
    /// Root of all random streams; 0 up to 2^63 - 1.
    pub seed: u64,
    /// `[text]`
    pub text: TextConfig,
    /// `[vocab]`
    pub vocab: TextVocabConfig,
    /// `[checkpoint]`; without one the network begins with fresh values.
    pub checkpoint: CheckpointConfig,
    /// `[model]`, of a network from fresh values.
    pub model: ModelConfig,
    /// `[objective]`
    pub objective: PretrainObjectiveConfig,
    /// `[train]`
    pub train: TrainConfig,
    /// `[[stage]]`, one after the other; none: what `[objective]` and `[train]` say is all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stage: Vec<StageConfig>,
}

/// `[text]`: what is read, one sentence a line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TextConfig {
    /// Files whose lines stand alone. One path may stand without brackets.
    #[serde(deserialize_with = "one_or_many")]
    #[schemars(extend("x-path" = true))]
    pub files: Vec<PathBuf>,
    /// Files whose neighbouring lines follow each other; an empty line ends a document. `nsp` needs them.
    #[serde(deserialize_with = "one_or_many")]
    #[schemars(extend("x-path" = true))]
    pub dialogues: Vec<PathBuf>,
    /// Longer runs of lines are cut into documents of so many lines; 2 or more, default 50. Lines that stand alone are held out
    /// by blocks of as many.
    pub document_lines: usize,
    /// `text` (default), or `number`: cipher ids with spaces between them.
    #[schemars(with = "String")]
    pub tokens: TokenKind,
    /// Tokens kept of a line, or of two neighbouring lines together; 2 or more, default 64.
    pub max_tokens: usize,
    /// Share of the documents, and of the blocks, that is held out to judge the network by; 0 (none) up to 0.5, default 0.01.
    pub held_out: f64,
}

/// `[vocab]`: where the vocabulary comes from; default: the checkpoint's, or without a checkpoint one that is built from the
/// text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TextVocabConfig {
    /// A `vocab.txt` for a network from fresh values.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-path" = true))]
    pub file: Option<PathBuf>,
    /// Rows of a vocabulary that is built, special tokens among them; 6 or more, default 8000, of numbers as many as there are.
    /// There may be fewer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<usize>,
    /// Rarer tokens are learnt as `[UNK]`, and their rows stay as they begin; 1 or more, default 1.
    pub min_count: u64,
    /// Whether text is written in small letters and without accents first, where no checkpoint says it; default true.
    pub lower_case: bool,
}

/// `[objective]` of a pretraining.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PretrainObjectiveConfig {
    /// `mlm` (default), or `nsp`: next sentences, and the MLM beside them.
    #[schemars(with = "String")]
    pub name: ObjectiveName,
    /// Share of tokens chosen for the MLM, between 0 and 1; default .15.
    pub mask: f64,
    /// `token` (default), `ngram` or `pmi`, as in an experiment.
    #[schemars(with = "String")]
    pub mask_unit: MaskUnit,
    /// `random` (default) or `similar`, as in an experiment.
    #[schemars(with = "String")]
    pub mask_replacement: MaskReplacement,
    /// How much the MLM counts beside `nsp`, 0 or more; default 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mlm_weight: Option<f64>,
}

impl Default for TextConfig {
    fn default() -> Self {
        Self {
            files: Vec::new(),
            dialogues: Vec::new(),
            document_lines: 50,
            tokens: TokenKind::Text,
            max_tokens: 64,
            held_out: 0.01,
        }
    }
}

impl Default for TextVocabConfig {
    fn default() -> Self {
        Self {
            file: None,
            size: None,
            min_count: 1,
            lower_case: true,
        }
    }
}

impl Default for PretrainObjectiveConfig {
    fn default() -> Self {
        Self {
            name: ObjectiveName::Mlm,
            mask: 0.15,
            mask_unit: MaskUnit::Token,
            mask_replacement: MaskReplacement::Random,
            mlm_weight: None,
        }
    }
}

impl Settings for Pretraining {
    const NAME: &'static str = "pretraining";
    const ONE: &'static str = "a pretraining";
    const HAS_GRID: bool = false;

    fn keys() -> &'static Keys {
        &PRETRAINING
    }

    fn other_command(section: &str) -> Option<&'static str> {
        Keys::experiment().find(section).map(|_| "cipherpet run")
    }
}

impl Pretraining {
    /// As [`Settings::sha256_of`], of all keys.
    ///
    /// # Errors
    /// As [`Settings::to_toml`].
    pub fn sha256(&self) -> Result<String> {
        self.sha256_of(&|_| true)
    }

    /// Every file that is read, with the key that names it, in the order of the keys. Of the checkpoint, the files that are
    /// there.
    pub fn inputs(&self) -> Vec<(String, PathBuf)> {
        let mut inputs = Vec::new();
        let mut add = |key: &str, path: &Path| inputs.push((key.to_owned(), path.to_owned()));
        let text = &self.text;
        text.files.iter().for_each(|path| add("text.files", path));
        text.dialogues
            .iter()
            .for_each(|path| add("text.dialogues", path));
        self.vocab
            .file
            .iter()
            .for_each(|path| add("vocab.file", path));
        if let Some(dir) = &self.checkpoint.dir {
            checkpoint_files(dir, true)
                .iter()
                .for_each(|path| add("checkpoint.dir", path));
        }
        inputs
    }

    /// The stages in their order, one at least, of `mlm` and `nsp`.
    pub fn stages(&self) -> Vec<Stage> {
        stages::over(self.whole_stage(), &self.stage)
    }

    /// What `[objective]` and `[train]` alone say: a stage that has the name of its objective.
    pub fn whole_stage(&self) -> Stage {
        let objective = &self.objective;
        Stage {
            name: objective.name.name().to_owned(),
            objective: objective.name,
            masking: MaskOptions {
                share: objective.mask,
                unit: objective.mask_unit,
                replacement: objective.mask_replacement,
            },
            mlm_weight: objective.mlm_weight,
            head: HeadChoice::Pooler,
            corrupt_sources: None,
            candidates: None,
            rows: Vec::new(),
            files: Vec::new(),
            options: self.train.options(),
        }
    }

    /// Whether a stage learns next sentences.
    pub fn learns_nsp(&self) -> bool {
        let mut stages = self.stages().into_iter();
        stages.any(|stage| stage.objective == ObjectiveName::Nsp)
    }

    /// Tokens of a row that are no text: `[CLS]`, and a `[SEP]` after each line.
    pub fn n_special(&self) -> usize {
        2 + usize::from(self.learns_nsp())
    }

    /// The size of a network of `vocab_size` rows from fresh values.
    pub fn scratch_size(&self, vocab_size: usize) -> BertConfig {
        self.model.size(None, vocab_size, self.train.dropout)
    }

    /// Root of the random streams.
    pub fn key(&self) -> Key {
        Key::from_seed(self.seed)
    }
}
