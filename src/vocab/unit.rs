//! What one token stands for: a character, a WordPiece, a word, or a mixture of characters and words.
//!
//! In: a BERT folder and lines of plain text. Out: their tokens under a [`Unit`], and which rows of the checkpoint a token
//! is made of. Text is normalised as the folder's own tokenizer does it (lower case, accents, controls); white space is
//! never a token. Words are those of the dictionary of jieba (the crate `jieba-rs`, without its model for unknown words,
//! so that a word is an entry of the dictionary, a run of Latin letters and digits, or one character). Does not count and
//! does not align.
//!
//! A character is one token whatever its script: programs that cut Chinese by characters cut everything so, and single
//! letters and digits are frequent enough to be learnt from, which whole runs of them are not.

use std::cell::OnceCell;
use std::path::Path;

use jieba_rs::Jieba;
use serde::{Deserialize, Serialize};
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::{Model, ModelWrapper, NormalizedString, Normalizer, Tokenizer};

use super::plain::{PlainId, PlainVocab, is_special};
use super::word_piece::bert_tokenizer;
use crate::data::source;
use crate::data::table::quoted;
use crate::error::{Error, Place, Result};

/// What one token stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// A character, letters and digits too.
    Char,
    /// A token of the checkpoint's tokenizer; what it has no row for is `[UNK]`.
    WordPiece,
    /// A word of the dictionary, a run of letters and digits, or a character.
    Word,
    /// Characters and words, as ciphers of frequent words have them.
    Mixed,
}

impl Unit {
    /// Every unit, in the order in which they are tried.
    pub const ALL: [Self; 4] = [Self::Char, Self::WordPiece, Self::Word, Self::Mixed];

    /// As in `align.unit`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Char => "char",
            Self::WordPiece => "wordpiece",
            Self::Word => "word",
            Self::Mixed => "mixed",
        }
    }

    /// Whether text is cut into words first.
    const fn has_words(self) -> bool {
        matches!(self, Self::Word | Self::Mixed)
    }
}

/// `align.unit`: which units to try.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UnitChoice {
    /// Every unit is tried; the one that fits best is kept.
    #[default]
    Auto,
    /// [`Unit::Char`] alone.
    Char,
    /// [`Unit::WordPiece`] alone.
    WordPiece,
    /// [`Unit::Word`] alone.
    Word,
    /// [`Unit::Mixed`] alone.
    Mixed,
}

impl UnitChoice {
    /// The units to try.
    pub fn units(self) -> Vec<Unit> {
        match self {
            Self::Auto => Unit::ALL.to_vec(),
            Self::Char => vec![Unit::Char],
            Self::WordPiece => vec![Unit::WordPiece],
            Self::Word => vec![Unit::Word],
            Self::Mixed => vec![Unit::Mixed],
        }
    }
}

/// Cuts text into tokens.
pub struct Segmenter {
    unit: Unit,
    tokenizer: Tokenizer,
    words: Option<Jieba>,
}

impl Segmenter {
    /// With the tokenizer of the BERT folder `checkpoint`, or of `demo:`.
    ///
    /// # Errors
    /// Those of [`open_tokenizer`].
    pub fn open(checkpoint: &Path, unit: Unit) -> Result<Self> {
        Ok(Self {
            unit,
            tokenizer: open_tokenizer(checkpoint)?,
            words: unit.has_words().then(Jieba::new),
        })
    }

    /// The unit it cuts by.
    pub fn unit(&self) -> Unit {
        self.unit
    }

    /// The tokens of a text in order, none empty. [`Unit::Mixed`] gives words: the caller says which of them to
    /// [spell](spelled).
    ///
    /// # Errors
    /// [`Error::Unexpected`] where the tokenizer fails.
    pub fn tokens(&self, text: &str) -> Result<Vec<String>> {
        match &self.words {
            None if self.unit == Unit::WordPiece => {
                let encoding = self
                    .tokenizer
                    .encode_fast(text, false)
                    .map_err(unexpected)?;
                let rows = encoding.get_ids().iter();
                rows.map(|&row| self.tokenizer.id_to_token(row))
                    .map(|token| {
                        token.ok_or_else(|| Error::Unexpected("a row without a token".to_owned()))
                    })
                    .collect()
            }
            None => Ok(spelled(&self.normalised(text)?).collect()),
            Some(words) => {
                let cut = words.cut(text, false).into_iter();
                let words = cut.map(|word| self.normalised(word.word));
                let is_text = |word: &Result<String>| !matches!(word, Ok(word) if word.is_empty());
                words.filter(is_text).collect()
            }
        }
    }

    /// The rows that make up a token, in order: its own row, or those of the pieces that the tokenizer cuts it into, less
    /// `[UNK]`.
    ///
    /// # Errors
    /// [`Error::Unexpected`] where the tokenizer fails.
    pub fn rows(&self, token: &str, plain: &PlainVocab) -> Result<Vec<PlainId>> {
        pieces(&self.tokenizer, token, plain)
    }

    /// The text as the tokenizer sees it, without white space.
    fn normalised(&self, text: &str) -> Result<String> {
        let mut whole = String::with_capacity(text.len());
        for run in runs(text) {
            match self.tokenizer.get_normalizer() {
                Some(normalizer) if !run.starts_with(is_ideograph) => {
                    let mut normalised = NormalizedString::from(run);
                    normalizer.normalize(&mut normalised).map_err(unexpected)?;
                    whole.extend(normalised.get().chars().filter(|c| !c.is_whitespace()));
                }
                _ => whole.extend(run.chars().filter(|c| !c.is_whitespace())),
            }
        }
        Ok(whole)
    }
}

/// The characters of a token, one token each.
pub fn spelled(token: &str) -> impl Iterator<Item = String> {
    token.chars().map(String::from)
}

/// Whether a token of [`Segmenter::tokens`] is a word that could also be spelled.
pub fn is_long(token: &str) -> bool {
    token.chars().nth(1).is_some()
}

/// Whether a character is its own normal form in every BERT: not worth a call of the normalizer.
fn is_ideograph(character: char) -> bool {
    matches!(character, '\u{4e00}'..='\u{9fff}')
}

/// The text in runs of ideographs and of other characters in turn.
fn runs(mut text: &str) -> impl Iterator<Item = &str> {
    std::iter::from_fn(move || {
        let first = text.chars().next()?;
        let end = text.find(|next| is_ideograph(next) != is_ideograph(first));
        let (run, rest) = text.split_at(end.unwrap_or(text.len()));
        text = rest;
        Some(run)
    })
}

/// As [`Segmenter::rows`], by a tokenizer.
fn pieces(tokenizer: &Tokenizer, token: &str, plain: &PlainVocab) -> Result<Vec<PlainId>> {
    if is_special(token) {
        return Ok(Vec::new());
    }
    if let Some(row) = plain.id(token) {
        return Ok(vec![row]);
    }
    let encoding = tokenizer.encode_fast(token, false).map_err(unexpected)?;
    let rows = encoding.get_ids().iter().map(|&row| PlainId(row));
    let is_text = |row: &PlainId| (row.0 as usize) < plain.len() && !is_special(plain.token(*row));
    Ok(rows.filter(is_text).collect())
}

/// Rows of tokens, for whoever has tokens and no text. The tokenizer is opened for the first token that is no row.
pub struct Pieces<'a> {
    /// The folder with the tokenizer; without, tokens are rows or nothing.
    pub checkpoint: Option<&'a Path>,
    /// Its vocabulary.
    pub plain: &'a PlainVocab,
    tokenizer: OnceCell<Tokenizer>,
}

impl<'a> Pieces<'a> {
    /// Opens nothing yet.
    pub fn new(checkpoint: Option<&'a Path>, plain: &'a PlainVocab) -> Self {
        Self {
            checkpoint,
            plain,
            tokenizer: OnceCell::new(),
        }
    }

    /// As [`Segmenter::rows`].
    ///
    /// # Errors
    /// Those of [`open_tokenizer`].
    pub fn rows(&self, token: &str) -> Result<Vec<PlainId>> {
        if let Some(row) = self.plain.id(token) {
            return Ok(vec![row]);
        }
        let Some(checkpoint) = self.checkpoint.filter(|_| !token.is_empty()) else {
            return Ok(Vec::new());
        };
        if self.tokenizer.get().is_none() {
            let _ = self.tokenizer.set(open_tokenizer(checkpoint)?); // it was empty
        }
        let tokenizer = self.tokenizer.get().expect("it was set just now");
        pieces(tokenizer, token, self.plain)
    }
}

/// The way out where a file of the tokenizer is damaged.
const FROM_ITS_PAGE: &str = "take the file from the BERT's own page";

/// The folder's own tokenizer, without truncation and padding: `tokenizer.json` as it is, or else WordPiece over
/// `vocab.txt`, lower-cased unless `tokenizer_config.json` says `do_lower_case: false`.
///
/// # Errors
/// [`Error::Io`] where a file cannot be read, [`Error::Input`] for a folder without tokenizer.
pub fn open_tokenizer(checkpoint: &Path) -> Result<Tokenizer> {
    let path = source::join(checkpoint, "tokenizer.json");
    let mut tokenizer = if source::exists(&path) {
        let bytes = source::read(&path)?;
        require_json(&path, &bytes)?;
        Tokenizer::from_bytes(bytes)
            .map_err(|error| no_tokenizer(&path, &error))
            .and_then(|tokenizer| with_unknown(tokenizer, &path))?
    } else {
        word_piece(checkpoint)?
    };
    tokenizer.with_truncation(None).map_err(unexpected)?;
    tokenizer.with_padding(None);
    Ok(tokenizer)
}

/// Refuses what is no JSON: `tokenizers` panics where the damage is inside the decoder.
fn require_json(path: &Path, bytes: &[u8]) -> Result<()> {
    let parsed: serde_json::Result<serde_json::Value> = serde_json::from_slice(bytes);
    parsed.map(drop).map_err(|error| no_tokenizer(path, &error))
}

fn no_tokenizer(path: &Path, error: &dyn std::fmt::Display) -> Error {
    Error::input(Place::file(path), "a tokenizer", error).with_hint(FROM_ITS_PAGE)
}

/// Refuses a tokenizer that would fail at the first word that it does not know.
fn with_unknown(tokenizer: Tokenizer, path: &Path) -> Result<Tokenizer> {
    let unknown = match tokenizer.get_model() {
        ModelWrapper::WordPiece(model) => &model.unk_token,
        ModelWrapper::WordLevel(model) => &model.unk_token,
        ModelWrapper::BPE(_) | ModelWrapper::Unigram(_) => return Ok(tokenizer), // they do without
    };
    if tokenizer.get_model().token_to_id(unknown).is_some() {
        return Ok(tokenizer);
    }
    let place = Place::file(path).field("model.unk_token");
    let found = format!("{}, which is none", quoted(unknown));
    Err(Error::input(place, "a token of model.vocab", found)
        .with_hint(format!("add it to model.vocab, or {FROM_ITS_PAGE}")))
}

/// BERT's tokenizer over `vocab.txt`.
pub(super) fn word_piece(checkpoint: &Path) -> Result<Tokenizer> {
    PlainVocab::open(checkpoint)?; // says what is missing
    let bytes = source::read(&source::join(checkpoint, "vocab.txt"))?;
    let vocab = WordPiece::read_bytes(&bytes).map_err(unexpected)?;
    bert_tokenizer(vocab, do_lower_case(checkpoint)?)
}

/// `do_lower_case` of `tokenizer_config.json`; true where it does not say.
pub fn do_lower_case(checkpoint: &Path) -> Result<bool> {
    #[derive(Deserialize)]
    struct TokenizerConfig {
        do_lower_case: Option<bool>,
    }
    let path = source::join(checkpoint, "tokenizer_config.json");
    if !source::exists(&path) {
        return Ok(true);
    }
    let config: TokenizerConfig =
        serde_json::from_slice(&source::read(&path)?).map_err(|error| {
            let place = Place::file(&path);
            Error::input(place, "a tokenizer's settings", error).with_hint(FROM_ITS_PAGE)
        })?;
    Ok(config.do_lower_case.unwrap_or(true))
}

pub(super) fn unexpected(error: tokenizers::Error) -> Error {
    Error::Unexpected(error.to_string())
}
