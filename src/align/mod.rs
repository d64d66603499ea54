//! Alignment of the cipher vocabulary with a plaintext vocabulary. One file a method, and refinement by the network.
//!
//! In: the kept cipher ids with their counts, the vocabulary of a checkpoint, and what a method needs besides. Out: a
//! [`Mapping`] with one row a kept id, and what is known of it ([`Alignment`]), which [`refine()`] may better. Does not
//! train: `checkpoint` gathers the rows that a model starts from.
//!
//! # How to add a method
//! 1. Add `NAME.rs` here with `pub(super) fn align(input: &AlignInput) -> Result<Mapping>`; open it with what it does and
//!    the paper. Draw from `input.key` only, and never in the order of a hash map.
//! 2. Add a variant to [`AlignMethod`], its name to [`AlignMethod::name`] and a line to [`align`].
//! 3. What it needs beyond [`AlignInput`] becomes an `Option` field there; where it is missing, refuse with the key to set.
//! 4. Choose rows among `eligible` ones and turn them into a mapping by `cycle`, or row by row.
//! 5. Test it on a cipher whose key the test knows, and say in `experiments/` what it gains.

pub mod anchors;
mod file;
pub mod graph;
mod random;
mod rank;
mod refine;
mod scratch;
mod units;

use std::collections::HashMap;
use std::path::Path;

use crate::data::Dictionary;
use crate::error::{Error, Place, Result};
use crate::random::Key;
use crate::vocab::{CipherVocab, Mapping, MappingRow, PlainId, PlainVocab, TokenCounts};

pub use file::reread;
pub use refine::{RefineInput, refine};
pub use units::{CoverageBand, GraphInput, GraphReport, Refinement, UnitTrial};

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
    /// The root of the run's randomness; a method draws from its `Purpose::Align`.
    pub key: Key,
}

/// A mapping, and what is known of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Alignment {
    /// One row a kept id.
    pub mapping: Mapping,
    /// What is known without a key, for methods that know.
    pub quality: Option<Box<GraphReport>>,
}

impl From<Mapping> for Alignment {
    /// Of which nothing is known.
    fn from(mapping: Mapping) -> Self {
        Self {
            mapping,
            quality: None,
        }
    }
}

/// Aligns by one method.
///
/// # Errors
/// [`Error::Refused`] where the method lacks an input, [`Error::Input`] where counts or file do not fit the vocabularies.
pub fn align(method: AlignMethod, input: &AlignInput) -> Result<Alignment> {
    match method {
        AlignMethod::Rank => rank::align(input).map(Alignment::from),
        AlignMethod::Random => random::align(input).map(Alignment::from),
        AlignMethod::Scratch => Ok(scratch::align(input).into()),
        AlignMethod::File => file::align(input).map(Alignment::from),
        AlignMethod::Graph => units::align(input),
    }
}

/// Plaintext rows that stand for text (none of the form `[NAME]`) and were counted, with their counts, in row order.
fn eligible(plain: &PlainVocab, path: &Path, counts: &TokenCounts) -> Result<Vec<(PlainId, u64)>> {
    let count_of = plain_counts(counts);
    let rows: Vec<_> = plain
        .text_rows()
        .filter_map(|id| Some((id, *count_of.get(plain.token(id))?)))
        .filter(|&(_, count)| count > 0)
        .collect();
    if rows.is_empty() {
        let expected = "counts of tokens of the checkpoint's vocabulary";
        let found = format!("none of its {} tokens there", counts.entries.len());
        return Err(Error::input(Place::file(path), expected, found)
            .with_hint("count the corpus with this checkpoint's tokenizer: `cipherpet count`"));
    }
    Ok(rows)
}

/// Counts by token.
fn plain_counts(counts: &TokenCounts) -> HashMap<&str, u64> {
    let entries = counts.entries.iter();
    entries
        .map(|(token, count)| (token.as_str(), *count))
        .collect()
}

/// Gives the kept ids the rows of `plain` in turn, from the first again where they are used up.
fn cycle(cipher: &CipherVocab, plain: &[(PlainId, u64)], method: AlignMethod) -> Mapping {
    let rows = cipher.kept.iter().zip(plain.iter().cycle());
    let rows = rows.map(|(&(cipher_id, count), &(plain, plain_count))| MappingRow {
        cipher_id,
        count,
        plain: Some(plain),
        plain_count,
        method: method.name(),
        found: None,
    });
    Mapping {
        rows: rows.collect(),
        wrapped: cipher.kept.len().saturating_sub(plain.len()),
    }
}

#[cfg(test)]
mod tests;
