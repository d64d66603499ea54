//! The vocabulary of a pretraining and its tokenizer: given, or built from the text.
//!
//! In: `[vocab]`, the checkpoint, the lines. Out: tokens in their order, lines as their rows, and the tokenizer's files. Does not
//! choose which rows are learnt.

use std::path::Path;

use rayon::prelude::*;
use tokenizers::Tokenizer;

use super::texts::Texts;
use crate::checkpoint::tokenizer::write_bert_tokenizer;
use crate::config::Pretraining;
use crate::data::{CipherId, TokenKind};
use crate::error::{Error, Result};
use crate::progress::Progress;
use crate::vocab::unit::{do_lower_case, open_tokenizer};
use crate::vocab::word_piece::{self, SPECIALS};
use crate::vocab::{CipherVocab, PlainId, PlainVocab};

/// Rows of a vocabulary of WordPieces where `vocab.size` does not say.
const DEFAULT_SIZE: usize = 8000;

/// Tokens in their order, and how text is cut into them.
pub struct TextVocabulary {
    /// The tokens.
    pub plain: PlainVocab,
    tokenizer: Tokenizer,
    /// For WordPieces: whether text is written in small letters first.
    lower_case: Option<bool>,
}

impl TextVocabulary {
    /// That of the checkpoint or of `vocab.file`; else built from all lines.
    ///
    /// # Errors
    /// Those of the files; [`Error::Unexpected`] where `tokenizers` refuses.
    pub fn open(settings: &Pretraining, texts: &Texts, progress: &Progress) -> Result<Self> {
        let (vocab, is_text) = (&settings.vocab, settings.text.tokens == TokenKind::Text);
        let mut lower_case = is_text.then_some(vocab.lower_case);
        let plain = match (&settings.checkpoint.dir, &vocab.file) {
            (Some(dir), _) => {
                lower_case = lower_case.map(|_| do_lower_case(dir)).transpose()?;
                PlainVocab::open(dir)?
            }
            (None, Some(file)) => PlainVocab::open_file(file)?,
            (None, None) => {
                let tokens = match is_text {
                    true => {
                        let lines: Vec<&str> = texts.lines().collect();
                        let size = vocab.size.unwrap_or(DEFAULT_SIZE);
                        word_piece::train(&lines, size, vocab.lower_case)?
                    }
                    false => ids(texts, settings),
                };
                let line = format!("vocabulary: {} tokens built from the text", tokens.len());
                progress.say(&line);
                PlainVocab::from_tokens(tokens, Path::new("the text"))?
            }
        };
        let mut tokenizer = match (&settings.checkpoint.dir, lower_case) {
            (_, None) => word_piece::id_tokenizer(&plain)?,
            (Some(dir), Some(_)) => open_tokenizer(dir)?,
            (None, Some(lower_case)) => word_piece::bert_tokenizer(plain.rows(), lower_case)?,
        };
        if tokenizer.get_post_processor().is_none() {
            word_piece::with_pair_template(&mut tokenizer, &plain);
        }
        Ok(Self {
            plain,
            tokenizer,
            lower_case,
        })
    }

    /// The rows of lines, line by line.
    ///
    /// # Errors
    /// [`Error::Unexpected`] where the tokenizer fails, or gives a row that the vocabulary has not.
    pub fn rows(&self, lines: &[String]) -> Result<Vec<Vec<PlainId>>> {
        let cut = |line: &String| {
            let encoding = self.tokenizer.encode_fast(line.as_str(), false);
            let encoding =
                encoding.map_err(|error| Error::Unexpected(format!("tokenizers: {error}")))?;
            let rows = encoding.get_ids().iter().copied();
            rows.map(|row| match (row as usize) < self.plain.len() {
                true => Ok(PlainId(row)),
                false => Err(Error::Unexpected(format!(
                    "tokenizers: row {row} of {}",
                    self.plain.len()
                ))),
            })
            .collect()
        };
        lines.par_iter().map(cut).collect()
    }

    /// Whether a row is one of the special tokens, which text has no use for.
    pub fn is_special(&self, row: PlainId) -> bool {
        let specials = self.plain.specials();
        [
            specials.pad,
            specials.unk,
            specials.cls,
            specials.sep,
            specials.mask,
        ]
        .contains(&row)
    }

    /// Writes `vocab.txt`, `tokenizer.json` and `tokenizer_config.json` into `dir`.
    ///
    /// # Errors
    /// Those of [`write_bert_tokenizer`].
    pub fn write(&self, dir: &Path) -> Result<()> {
        write_bert_tokenizer(dir, self.plain.tokens(), &self.tokenizer, self.lower_case)
    }
}

/// Special tokens, then the ids of the text, the most frequent first.
fn ids(texts: &Texts, settings: &Pretraining) -> Vec<String> {
    let ids = texts.lines().flat_map(str::split_whitespace);
    let ids = ids.filter_map(|id| id.parse().ok().map(CipherId)); // all are: they were read as numbers
    let kept = CipherVocab::count_ids(ids, settings.vocab.min_count).kept;
    let most = settings.vocab.size.unwrap_or(usize::MAX) - SPECIALS.len();
    let names = kept.into_iter().take(most).map(|(id, _)| id.0.to_string());
    SPECIALS
        .map(str::to_owned)
        .into_iter()
        .chain(names)
        .collect()
}
