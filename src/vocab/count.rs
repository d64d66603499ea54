//! Token counts of plaintext.
//!
//! In: text files, one or more sentences a line, and a BERT folder. Out: `token<TAB>count`, most frequent first, and what
//! was counted. Files are streamed; memory does not grow with them as long as their lines are short. Special tokens
//! and `[UNK]` are never counted. Does not align.

use std::path::{Path, PathBuf};

use rayon::prelude::*;
use tokenizers::Tokenizer;

use super::lines::{self, CHUNK_BYTES, LINES_PER_TASK, TextSource};
use super::plain::is_special;
use super::unit::{open_tokenizer, unexpected};
use crate::atomic;
use crate::data::source;
use crate::data::table::{Quoting, Table, quoted};
use crate::error::{Error, Place, Result};
use crate::progress::Progress;

/// Rows of a tokenizer at most: each thread counts all of them. The largest vocabularies have a million.
const MOST_ROWS: u32 = 1 << 22;
/// The way out where a file holds no counts.
const MAKE_IT: &str = "make the file with `cipherpet count`";

/// `token<TAB>count`, most frequent first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TokenCounts {
    /// Tokens of the plaintext vocabulary with their occurrences.
    pub entries: Vec<(String, u64)>,
}

impl TokenCounts {
    /// Reads `token<TAB>count` lines, in any order, from a file or from `demo:`.
    ///
    /// # Errors
    /// [`Error::Io`] where it cannot be read, [`Error::Input`] for the first line that is not of that form or repeats a token.
    pub fn read(path: &Path) -> Result<Self> {
        Self::parse(path, &source::read(path)?)
    }

    /// Writes `token<TAB>count` lines in the order they have, whole or not at all.
    ///
    /// # Errors
    /// [`Error::Io`] from the system.
    pub fn write(&self, path: &Path) -> Result<()> {
        atomic::write_with(path, |out| {
            let mut lines = self.entries.iter();
            lines.try_for_each(|(token, count)| writeln!(out, "{token}\t{count}"))
        })
    }

    fn parse(path: &Path, bytes: &[u8]) -> Result<Self> {
        // No quoting: `"` is a token like any other, and no token of a WordPiece vocabulary holds white space.
        let mut table = Table::new(path, bytes, b'\t', Quoting::Off);
        let mut entries = Vec::new();
        let mut seen = std::collections::HashSet::new();
        while table.advance()? {
            let fields = table.fields();
            let (Some(token), Some(count), 2) = (fields.get(0), fields.get(1), fields.len()) else {
                let found = format!("{} fields", fields.len());
                return Err(
                    Error::input(table.place(), "`token<TAB>count`", found).with_hint(MAKE_IT)
                );
            };
            let count = count.parse().map_err(|_| {
                Error::input(table.place().field(2), "a count", quoted(count)).with_hint(MAKE_IT)
            })?;
            if !seen.insert(token.to_owned()) {
                let found = format!("{} again", quoted(token));
                let place = table.place().field(1);
                return Err(Error::input(place, "a new token", found).with_hint(MAKE_IT));
            }
            entries.push((token.to_owned(), count));
        }
        if entries.is_empty() {
            let place = Place::file(path);
            let expected = "`token<TAB>count` lines";
            return Err(Error::input(place, expected, "an empty file").with_hint(MAKE_IT));
        }
        Ok(Self { entries })
    }
}

/// Counts the tokens of text files by the tokenizer of the BERT folder `checkpoint`, streaming.
///
/// The tokenizer is `tokenizer.json` as it is, without truncation; or else WordPiece over `vocab.txt`, lower-cased
/// unless `tokenizer_config.json` says `do_lower_case: false`. Entries have a positive count; equal counts are in order
/// of the vocabulary's rows. Any number of threads gives the same counts.
///
/// # Errors
/// [`Error::Io`] where a file cannot be read, [`Error::Input`] for a line that is not UTF-8 or a folder without tokenizer.
pub fn count_files(
    checkpoint: &Path,
    files: &[PathBuf],
    progress: &Progress,
) -> Result<(TokenCounts, Vec<TextSource>)> {
    count_in_chunks(checkpoint, files, progress, CHUNK_BYTES)
}

fn count_in_chunks(
    checkpoint: &Path,
    files: &[PathBuf],
    progress: &Progress,
    chunk_bytes: usize,
) -> Result<(TokenCounts, Vec<TextSource>)> {
    let tokenizer = open_tokenizer(checkpoint)?;
    let n_rows = n_rows(&tokenizer, checkpoint)?;
    let task = lines::task("counting", files, progress)?;
    let mut counter = Counter {
        tokenizer,
        counts: vec![0; n_rows],
    };
    let mut sources = Vec::with_capacity(files.len());
    for path in files {
        let work = |lines: &[&str], _| counter.count_lines(lines);
        sources.push(lines::read(path, chunk_bytes, &task, work)?);
    }
    Ok((counter.finish(), sources))
}

/// One more than the largest row of a tokenizer.
fn n_rows(tokenizer: &Tokenizer, checkpoint: &Path) -> Result<usize> {
    let rows = tokenizer.get_vocab(true).into_iter();
    let Some((token, last)) = rows.max_by_key(|(_, row)| *row) else {
        return Ok(0);
    };
    if last >= MOST_ROWS {
        let place = Place::file(source::join(checkpoint, "tokenizer.json")).field("vocab");
        let expected = format!("rows below {MOST_ROWS}");
        let found = format!("{last} for {}", quoted(&token));
        return Err(Error::input(place, expected, found)
            .with_hint("rows of a vocabulary have the numbers 0, 1, 2, …; is the file damaged?"));
    }
    Ok(last as usize + 1)
}

struct Counter {
    tokenizer: Tokenizer,
    /// By row of the vocabulary.
    counts: Vec<u64>,
}

impl Counter {
    fn count_lines(&mut self, lines: &[&str]) -> Result<()> {
        let n_rows = self.counts.len();
        let tokenizer = &self.tokenizer;
        // Sums of whole numbers: the order of the threads does not show.
        let counts = lines
            .par_chunks(LINES_PER_TASK)
            .map(|lines| count_lines(tokenizer, lines, n_rows))
            .try_reduce(
                || vec![0; n_rows],
                |mut sum, part| {
                    sum.iter_mut().zip(part).for_each(|(sum, n)| *sum += n);
                    Ok(sum)
                },
            )?;
        self.counts
            .iter_mut()
            .zip(counts)
            .for_each(|(sum, n)| *sum += n);
        Ok(())
    }

    fn finish(self) -> TokenCounts {
        let counted = (0..).zip(self.counts).filter(|&(_, count)| count > 0);
        let mut entries: Vec<(String, u64)> = counted
            .filter_map(|(row, count)| Some((self.tokenizer.id_to_token(row)?, count)))
            .filter(|(token, _)| !is_special(token))
            .collect();
        entries.sort_by_key(|(_, count)| std::cmp::Reverse(*count)); // stable: rows stay in order
        TokenCounts { entries }
    }
}

fn count_lines(tokenizer: &Tokenizer, lines: &[&str], n_rows: usize) -> Result<Vec<u64>> {
    let mut counts = vec![0; n_rows];
    for line in lines {
        let encoding = tokenizer.encode_fast(*line, false).map_err(unexpected)?;
        for &row in encoding.get_ids() {
            counts[row as usize] += 1;
        }
    }
    Ok(counts)
}

#[cfg(test)]
mod tests;
