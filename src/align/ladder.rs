//! Plaintext rows in an order, and their deal to cipher ids: what rank and random alignment share.
//!
//! In: a vocabulary and counts of its tokens. Out: the rows that may be given, and a [`Mapping`] that gives them in turn.

use std::collections::HashMap;
use std::path::Path;

use super::input::AlignMethod;
use crate::error::{Error, Place, Result};
use crate::vocab::plain::is_special;
use crate::vocab::{CipherVocab, Mapping, MappingRow, PlainId, PlainVocab, TokenCounts};

/// Plaintext rows that stand for text (none of the form `[NAME]`) and were counted, with their counts, in row order.
pub(super) fn eligible(
    plain: &PlainVocab,
    path: &Path,
    counts: &TokenCounts,
) -> Result<Vec<(PlainId, u64)>> {
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

/// Share of the counted occurrences that are of tokens with a row in `plain`, 0 to 1, and the number of those tokens. What stands
/// for no text does not count.
pub fn counted_share(plain: &PlainVocab, counts: &TokenCounts) -> (f64, usize) {
    let (mut known, mut all, mut types) = (0.0, 0.0, 0);
    for (token, count) in &counts.entries {
        if is_special(token) || *count == 0 {
            continue;
        }
        all += *count as f64;
        if plain.id(token).is_some() {
            known += *count as f64;
            types += 1;
        }
    }
    (if all > 0.0 { known / all } else { 0.0 }, types)
}

/// Counts by token.
pub(super) fn plain_counts(counts: &TokenCounts) -> HashMap<&str, u64> {
    let entries = counts.entries.iter();
    entries
        .map(|(token, count)| (token.as_str(), *count))
        .collect()
}

/// Gives the kept ids the rows of `plain` in turn, from the first again where they are used up.
pub(super) fn cycle(
    cipher: &CipherVocab,
    plain: &[(PlainId, u64)],
    method: AlignMethod,
) -> Mapping {
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
