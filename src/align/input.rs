//! What the methods are called, and what they may look at.
//!
//! Everything is lent by the caller: nothing here reads a file.

use std::path::{Path, PathBuf};

use crate::data::{Dictionary, EncodedExample};
use crate::error::Result;
use crate::progress::Progress;
use crate::random::Key;
use crate::vocab::{CipherVocab, PlainVocab, TokenCounts, UnitChoice};

/// `align.method`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AlignMethod {
    /// The n-th most frequent cipher id gets the n-th most frequent plaintext token.
    Rank,
    /// Rows of plaintext tokens in random order.
    Random,
    /// Fresh values, no plaintext.
    Scratch,
    /// As `align.file` says.
    File,
    /// By the neighbours that ids and plaintext tokens have.
    Graph,
}

impl AlignMethod {
    /// As in `align.method` and in `mapping.tsv`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rank => "rank",
            Self::Random => "random",
            Self::Scratch => "scratch",
            Self::File => "file",
            Self::Graph => "graph",
        }
    }

    /// Whether it reads the files that the key `key` names; the others of `[align]` may be named, and need not be there.
    pub fn reads(self, key: &str) -> bool {
        let keys: &[&str] = match self {
            Self::Rank | Self::Random => &["align.counts"],
            Self::Scratch => &[],
            Self::File => &["align.counts", "align.file"],
            Self::Graph => &["align.plain", "align.anchors"],
        };
        keys.contains(&key)
    }
}

/// What a method may look at.
#[derive(Clone)]
pub struct AlignInput<'a> {
    /// Kept ids, most frequent first.
    pub cipher: &'a CipherVocab,
    /// Their names.
    pub dictionary: &'a Dictionary,
    /// The checkpoint's vocabulary.
    pub plain: &'a PlainVocab,
    /// With the path it came from, for errors; rank needs it.
    pub counts: Option<(&'a Path, &'a TokenCounts)>,
    /// `align.file`
    pub file: Option<&'a Path>,
    /// The folder that `plain` is the vocabulary of: its tokenizer says of which rows a word is made.
    pub checkpoint: Option<&'a Path>,
    /// What `graph` needs besides.
    pub graph: Option<GraphInput<'a>>,
    /// The stream of the alignment: `Purpose::Align` of the run's root. Whoever has it does not apply that again.
    pub key: Key,
}

/// What alignment by graph looks at besides [`AlignInput`].
#[derive(Clone)]
pub struct GraphInput<'a> {
    /// Rows of one text or two, in rows of the run's vocabulary.
    pub examples: &'a [&'a EncodedExample],
    /// Plaintext, one sentence or more a line.
    pub files: &'a [PathBuf],
    /// One a file, above 0: how much its sentences count. Empty: all the same.
    pub weights: &'a [f64],
    /// What an id may stand for.
    pub unit: UnitChoice,
    /// A table of pairs that are known.
    pub anchors: Option<&'a Path>,
    /// Shows the work.
    pub progress: &'a Progress,
    /// Asked between steps: an error ends the work.
    pub check: &'a dyn Fn() -> Result<()>,
}
