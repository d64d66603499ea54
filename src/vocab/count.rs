//! Token counts of plaintext.
//!
//! In: text files, one or more sentences a line, and a BERT folder. Out: `token<TAB>count`, most frequent first, and what
//! was counted. Files are streamed; memory does not grow with them as long as their lines are short. Special tokens
//! and `[UNK]` are never counted. Does not align.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::{AddedToken, Tokenizer};

use super::plain::{PlainVocab, is_special};
use crate::atomic;
use crate::data::source;
use crate::data::table::{Quoting, Table, quoted};
use crate::error::{Error, Place, Result};
use crate::progress::{Progress, Task};

/// Bytes of text that are read, then counted in parallel.
const CHUNK_BYTES: usize = 1 << 20;
/// Lines that one thread counts at a time.
const LINES_PER_TASK: usize = 256;

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
                return Err(Error::input(table.place(), "`token<TAB>count`", found)
                    .with_hint("make the file with `cipherpet count`"));
            };
            let count = count
                .parse()
                .map_err(|_| Error::input(table.place().field(2), "a count", quoted(count)))?;
            if !seen.insert(token.to_owned()) {
                let found = format!("{} again", quoted(token));
                return Err(Error::input(table.place().field(1), "a new token", found));
            }
            entries.push((token.to_owned(), count));
        }
        if entries.is_empty() {
            let place = Place::file(path);
            return Err(Error::input(
                place,
                "`token<TAB>count` lines",
                "an empty file",
            ));
        }
        Ok(Self { entries })
    }
}

/// One counted file, recorded in `counts.tsv.json` beside the counts.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct CountSource {
    /// As the user named it.
    pub path: PathBuf,
    /// Size.
    pub bytes: u64,
    /// Lines, empty ones too.
    pub lines: u64,
    /// Of the content, in hexadecimal.
    pub sha256: String,
}

/// Records what was counted: the sources as a JSON list, whole or not at all.
///
/// # Errors
/// [`Error::Io`] from the system.
pub fn write_sources(path: &Path, sources: &[CountSource]) -> Result<()> {
    atomic::write_with(path, |out| {
        serde_json::to_writer_pretty(&mut *out, sources)?;
        writeln!(out)
    })
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
) -> Result<(TokenCounts, Vec<CountSource>)> {
    count_in_chunks(checkpoint, files, progress, CHUNK_BYTES)
}

fn count_in_chunks(
    checkpoint: &Path,
    files: &[PathBuf],
    progress: &Progress,
    chunk_bytes: usize,
) -> Result<(TokenCounts, Vec<CountSource>)> {
    let tokenizer = open_tokenizer(checkpoint)?;
    let last_row = tokenizer.get_vocab(true).into_values().max();
    let mut total = 0;
    for path in files {
        let metadata = path.metadata().map_err(Error::io("read", path))?;
        total += metadata.len();
    }
    let task = progress.task("counting", total, "bytes");
    let mut counter = Counter {
        tokenizer,
        counts: vec![0; last_row.map_or(0, |row| row as usize + 1)],
        chunk_bytes,
        task,
    };
    let mut sources = Vec::with_capacity(files.len());
    for path in files {
        sources.push(counter.count_file(path)?);
    }
    Ok((counter.finish(), sources))
}

struct Counter {
    tokenizer: Tokenizer,
    /// By row of the vocabulary.
    counts: Vec<u64>,
    chunk_bytes: usize,
    task: Task,
}

impl Counter {
    fn count_file(&mut self, path: &Path) -> Result<CountSource> {
        self.task.note(path.display().to_string());
        let file = File::open(path).map_err(Error::io("read", path))?;
        let mut reader = BufReader::new(file);
        let mut hash = Sha256::new();
        let (mut bytes, mut lines) = (0, 0);
        let mut chunk = Vec::with_capacity(self.chunk_bytes);
        loop {
            chunk.clear();
            let first_line = lines + 1;
            while chunk.len() < self.chunk_bytes {
                let read = reader.read_until(b'\n', &mut chunk);
                if read.map_err(Error::io("read", path))? == 0 {
                    break;
                }
                lines += 1;
            }
            if chunk.is_empty() {
                break;
            }
            hash.update(&chunk);
            bytes += chunk.len() as u64;
            self.count_chunk(path, first_line, &chunk)?;
            self.task.advance(chunk.len() as u64);
        }
        let sha256 = hash
            .finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        Ok(CountSource {
            path: path.to_owned(),
            bytes,
            lines,
            sha256,
        })
    }

    /// `chunk` holds whole lines, the first of which has the number `first_line`.
    fn count_chunk(&mut self, path: &Path, first_line: u64, chunk: &[u8]) -> Result<()> {
        let text = std::str::from_utf8(chunk).map_err(|error| {
            let valid = &chunk[..error.valid_up_to()];
            let line = first_line + valid.iter().filter(|&&byte| byte == b'\n').count() as u64;
            Error::input(Place::line(path, line), "UTF-8", "other bytes")
                .with_hint("save the file as UTF-8")
        })?;
        let lines: Vec<&str> = text.lines().collect();
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

/// The folder's own tokenizer, without truncation and padding.
fn open_tokenizer(checkpoint: &Path) -> Result<Tokenizer> {
    let path = source::join(checkpoint, "tokenizer.json");
    let mut tokenizer = if source::exists(&path) {
        Tokenizer::from_bytes(source::read(&path)?)
            .map_err(|error| Error::input(Place::file(&path), "a tokenizer", error))?
    } else {
        word_piece(checkpoint)?
    };
    tokenizer.with_truncation(None).map_err(unexpected)?;
    tokenizer.with_padding(None);
    Ok(tokenizer)
}

/// BERT's tokenizer over `vocab.txt`.
fn word_piece(checkpoint: &Path) -> Result<Tokenizer> {
    PlainVocab::open(checkpoint)?; // says what is missing
    let bytes = source::read(&source::join(checkpoint, "vocab.txt"))?;
    let vocab = WordPiece::read_bytes(&bytes).map_err(unexpected)?;
    let model = WordPiece::builder().vocab(vocab).build();
    let model = model.map_err(unexpected)?;
    let lower_case = do_lower_case(checkpoint)?;
    let mut tokenizer = Tokenizer::new(model);
    tokenizer
        .with_normalizer(Some(BertNormalizer::new(true, true, None, lower_case)))
        .map_err(unexpected)?
        .with_pre_tokenizer(Some(BertPreTokenizer));
    let specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
    tokenizer
        .add_special_tokens(specials.map(|token| AddedToken::from(token, true)))
        .map_err(unexpected)?;
    Ok(tokenizer)
}

/// `do_lower_case` of `tokenizer_config.json`; true where it does not say.
fn do_lower_case(checkpoint: &Path) -> Result<bool> {
    #[derive(Deserialize)]
    struct TokenizerConfig {
        do_lower_case: Option<bool>,
    }
    let path = source::join(checkpoint, "tokenizer_config.json");
    if !source::exists(&path) {
        return Ok(true);
    }
    let config: TokenizerConfig = serde_json::from_slice(&source::read(&path)?)
        .map_err(|error| Error::input(Place::file(&path), "a tokenizer's settings", error))?;
    Ok(config.do_lower_case.unwrap_or(true))
}

fn unexpected(error: tokenizers::Error) -> Error {
    Error::Unexpected(error.to_string())
}

#[cfg(test)]
mod tests;
