//! `[align]`: which plaintext row each cipher token starts from.
//!
//! In: the table of the file, by serde. Out: typed settings. How rows are found is [`align`](mod@crate::align)'s work; whether the
//! values can be is `check`'s.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::values::one_or_many;
use crate::align::AlignMethod;
use crate::vocab::UnitChoice;

/// `[align]`: which plaintext row each cipher token starts from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AlignConfig {
    /// `rank` (default), `random`, `scratch`, `file` or `graph`.
    #[schemars(with = "String")]
    pub method: AlignMethod,
    /// `token<TAB>count` of a plaintext corpus; `rank` needs it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-path" = true))]
    pub counts: Option<PathBuf>,
    /// A mapping in the form of `mapping.tsv`, or lines `id<TAB>token`; `file` needs it. Of a BERT that was pretrained on the ids it is the
    /// `mapping.tsv` of the pretraining.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-path" = true))]
    pub file: Option<PathBuf>,
    /// Plain text files, one sentence or more a line; `graph` needs them.
    #[serde(deserialize_with = "one_or_many")]
    #[schemars(extend("x-path" = true))]
    pub plain: Vec<PathBuf>,
    /// One number a file of `plain`: how much its sentences count. Default: all the same.
    pub plain_weights: Vec<f64>,
    /// What a cipher token stands for: `auto` (default: tries all), `char`, `wordpiece`, `word` or `mixed`.
    #[schemars(with = "String")]
    pub unit: UnitChoice,
    /// Known pairs, `cipher_id<TAB>plain_token`, for `graph`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-path" = true))]
    pub anchors: Option<PathBuf>,
    /// Where a method weighs candidates: start from their mean (default), not from the first alone.
    pub soft: bool,
    /// For `graph`: the BERT itself reads the ids and changes the alignment where it knows better; default no.
    pub refine: bool,
}

impl AlignConfig {
    /// Every file that the method reads, with the key that names it. Another file of the section may be named, and need not
    /// be there.
    pub fn files(&self) -> impl Iterator<Item = (&'static str, &PathBuf)> {
        let counts = self.counts.iter().map(|path| ("align.counts", path));
        let file = self.file.iter().map(|path| ("align.file", path));
        let plain = self.plain.iter().map(|path| ("align.plain", path));
        let anchors = self.anchors.iter().map(|path| ("align.anchors", path));
        let all = counts.chain(file).chain(plain).chain(anchors);
        all.filter(|&(key, _)| self.method.reads(key))
    }

    /// The counts, where the method reads them.
    pub fn counts_to_read(&self) -> Option<&Path> {
        let is_read = self.method.reads("align.counts");
        self.counts.as_deref().filter(|_| is_read)
    }
}

impl Default for AlignConfig {
    fn default() -> Self {
        Self {
            method: AlignMethod::Rank,
            counts: None,
            file: None,
            plain: Vec::new(),
            plain_weights: Vec::new(),
            unit: UnitChoice::Auto,
            anchors: None,
            soft: true,
            refine: false,
        }
    }
}
