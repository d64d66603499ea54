//! The vocabulary of a plaintext BERT.
//!
//! In: `vocab.txt` (one token a line, row = line - 1) or `tokenizer.json` (Hugging Face). Out: tokens by row and rows by
//! token. Does not tokenise: `count` does.

use std::collections::HashMap;
use std::path::Path;

use serde::Deserialize;

use super::missing_folder;
use crate::data::source;
use crate::error::{Error, Place, Result};

/// A row of a checkpoint's vocabulary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PlainId(pub u32);

/// Rows of the special tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlainSpecials {
    /// `[PAD]`
    pub pad: PlainId,
    /// `[UNK]`
    pub unk: PlainId,
    /// `[CLS]`
    pub cls: PlainId,
    /// `[SEP]`
    pub sep: PlainId,
    /// `[MASK]`
    pub mask: PlainId,
}

/// Tokens in row order.
#[derive(Debug, Clone)]
pub struct PlainVocab {
    tokens: Vec<String>,
    ids: HashMap<String, PlainId>,
    specials: PlainSpecials,
}

impl PlainVocab {
    /// From `vocab.txt` or else `tokenizer.json` in a folder (or `demo:`).
    ///
    /// # Errors
    /// [`Error::Input`] where there is neither, where the file is not of that kind, or a special token is missing.
    pub fn open(dir: &Path) -> Result<Self> {
        let vocab = source::join(dir, "vocab.txt");
        if source::exists(&vocab) {
            return Self::open_file(&vocab);
        }
        let tokenizer = source::join(dir, "tokenizer.json");
        if source::exists(&tokenizer) {
            let tokens = tokens_of_tokenizer(&tokenizer, &source::read(&tokenizer)?)?;
            return Self::from_tokens(tokens, &tokenizer);
        }
        Err(Error::input(
            Place::file(dir),
            "`vocab.txt` or `tokenizer.json`",
            "neither",
        )
        .with_hint(missing_folder::hint(dir)))
    }

    /// From a file in the form of `vocab.txt`.
    ///
    /// # Errors
    /// [`Error::Io`]; those of [`PlainVocab::from_tokens`], and [`Error::Input`] for a line that is not UTF-8.
    pub fn open_file(path: &Path) -> Result<Self> {
        Self::from_tokens(lines(path, &source::read(path)?)?, path)
    }

    /// From tokens in row order. `origin` names the file in errors. Of two equal tokens the later counts, as in
    /// `transformers`.
    ///
    /// # Errors
    /// [`Error::Input`] naming the special tokens that are missing.
    pub fn from_tokens(tokens: Vec<String>, origin: &Path) -> Result<Self> {
        let ids: HashMap<String, PlainId> = (0..)
            .zip(&tokens)
            .map(|(row, token)| (token.clone(), PlainId(row)))
            .collect();
        let names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
        let missing: Vec<_> = names
            .into_iter()
            .filter(|name| !ids.contains_key(*name))
            .collect();
        if !missing.is_empty() {
            let expected = format!("the special tokens {}", names.join(", "));
            let found = format!("none called {}", missing.join(", "));
            return Err(Error::input(Place::file(origin), expected, found)
                .with_hint("the checkpoint must be a BERT with its own vocabulary"));
        }
        let [pad, unk, cls, sep, mask] = names.map(|name| ids[name]);
        Ok(Self {
            tokens,
            ids,
            specials: PlainSpecials {
                pad,
                unk,
                cls,
                sep,
                mask,
            },
        })
    }

    /// Rows.
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Never: the special tokens are there.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// The row of a token.
    pub fn id(&self, token: &str) -> Option<PlainId> {
        self.ids.get(token).copied()
    }

    /// The token of a row.
    ///
    /// # Panics
    /// Where the row is of another vocabulary.
    pub fn token(&self, id: PlainId) -> &str {
        &self.tokens[id.0 as usize]
    }

    /// Tokens in row order.
    pub fn tokens(&self) -> &[String] {
        &self.tokens
    }

    /// Every token with its row; of two equal tokens the one that counts comes last.
    pub fn rows(&self) -> impl Iterator<Item = (String, u32)> {
        self.tokens.iter().cloned().zip(0..)
    }

    /// Rows of the special tokens.
    pub fn specials(&self) -> PlainSpecials {
        self.specials
    }

    /// Rows of the tokens that stand for text, in order: all but those of the form `[NAME]` (`[CLS]`, `[unused1]`, …).
    pub fn text_rows(&self) -> impl Iterator<Item = PlainId> {
        (0..)
            .zip(&self.tokens)
            .filter(|(_, token)| !is_special(token))
            .map(|(row, _)| PlainId(row))
    }
}

/// Whether a token has the form `[NAME]`: it stands for no text.
pub fn is_special(token: &str) -> bool {
    token.len() > 2 && token.starts_with('[') && token.ends_with(']')
}

/// Lines end with `\n` or `\r\n` only: some vocabularies hold U+2028 as a token.
fn lines(path: &Path, bytes: &[u8]) -> Result<Vec<String>> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    (1..)
        .zip(bytes.split(|&byte| byte == b'\n'))
        .map(|(number, line)| {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let text = std::str::from_utf8(line);
            text.map(str::to_owned).map_err(|_| {
                Error::input(Place::line(path, number), "UTF-8", "other bytes")
                    .with_hint("save the file as UTF-8")
            })
        })
        .collect()
}

/// What `tokenizer.json` says of the vocabulary.
#[derive(Deserialize)]
struct TokenizerFile {
    model: TokenizerModel,
    #[serde(default)]
    added_tokens: Vec<AddedToken>,
}

#[derive(Deserialize)]
struct TokenizerModel {
    vocab: HashMap<String, u32>,
}

#[derive(Deserialize)]
struct AddedToken {
    id: u32,
    content: String,
}

/// `vocab.txt` is read in its place.
const OTHER_TOKENIZER: &str =
    "put the BERT's vocab.txt into the folder, or take the file from the BERT's own page";

fn tokens_of_tokenizer(path: &Path, bytes: &[u8]) -> Result<Vec<String>> {
    let file: TokenizerFile = serde_json::from_slice(bytes).map_err(|error| {
        let expected = "a tokenizer with `model.vocab` from tokens to rows (WordPiece)";
        Error::input(Place::file(path), expected, error).with_hint(OTHER_TOKENIZER)
    })?;
    let added = file
        .added_tokens
        .into_iter()
        .map(|token| (token.content, token.id));
    let mut rows: Vec<(u32, String)> = file
        .model
        .vocab
        .into_iter()
        .chain(added)
        .map(|(token, row)| (row, token))
        .collect();
    rows.sort_unstable();
    rows.dedup();
    if let Some((row, _)) = (0..).zip(&rows).find(|(row, (found, _))| row != found) {
        let place = Place::file(path).field("model.vocab");
        let found = format!("no token or two for row {}", rows[row as usize].0.min(row));
        return Err(Error::input(place, "one token for each row", found).with_hint(OTHER_TOKENIZER));
    }
    Ok(rows.into_iter().map(|(_, token)| token).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPECIALS: [&str; 5] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];

    fn folder(name: &str, content: &[u8]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(folder.path().join(name), content).expect("writable");
        folder
    }

    /// The error without the temporary folder's name.
    fn error(folder: &tempfile::TempDir) -> String {
        let error = PlainVocab::open(folder.path()).expect_err("bad vocabulary");
        let prefix = format!("{}/", folder.path().display());
        error.to_string().replace(&prefix, "")
    }

    #[test]
    fn vocab_txt_keeps_every_line_as_a_row() {
        let text = format!("{}\r\n\u{2028}\n\" \n#\n的\n", SPECIALS.join("\r\n"));
        let vocab = PlainVocab::open(folder("vocab.txt", text.as_bytes()).path()).expect("valid");
        assert_eq!(vocab.len(), 9);
        assert_eq!(vocab.specials().mask, PlainId(4));
        assert_eq!(vocab.id("\u{2028}"), Some(PlainId(5)));
        assert_eq!(vocab.id("\" "), Some(PlainId(6)));
        assert_eq!((vocab.token(PlainId(8)), vocab.id("不")), ("的", None));
    }

    #[test]
    fn tokenizer_json_gives_the_same_rows() {
        let json = r###"{"added_tokens": [{"id": 0, "content": "[PAD]", "special": true},
            {"id": 6, "content": "[new]"}], "model": {"type": "WordPiece", "vocab":
            {"[MASK]": 4, "##a": 5, "[PAD]": 0, "[SEP]": 3, "[UNK]": 1, "[CLS]": 2}}}"###;
        let vocab =
            PlainVocab::open(folder("tokenizer.json", json.as_bytes()).path()).expect("valid");
        let tokens: Vec<_> = (0..7).map(|row| vocab.token(PlainId(row))).collect();
        assert_eq!(tokens[..5], SPECIALS);
        assert_eq!(tokens[5..], ["##a", "[new]"]);
    }

    #[test]
    fn text_rows_leave_out_tokens_in_brackets() {
        let tokens = SPECIALS
            .into_iter()
            .chain(["[unused1]", "[", "]", "[]", "a]"]);
        let vocab = PlainVocab::from_tokens(tokens.map(str::to_owned).collect(), Path::new("v"))
            .expect("valid");
        let rows: Vec<_> = vocab.text_rows().map(|id| id.0).collect();
        assert_eq!(rows, [6, 7, 8, 9]);
    }

    #[test]
    fn missing_special_tokens() {
        assert_eq!(
            error(&folder("vocab.txt", b"[PAD]\n<unk>\n[CLS]\n[SEP]\n")),
            "vocab.txt: expected the special tokens [PAD], [UNK], [CLS], [SEP], [MASK], found none called [UNK], [MASK]"
        );
    }

    #[test]
    fn no_vocabulary_at_all() {
        let folder = folder("other", b"");
        let error = PlainVocab::open(folder.path()).expect_err("nothing there");
        assert!(
            error
                .to_string()
                .ends_with(": expected `vocab.txt` or `tokenizer.json`, found neither")
        );
    }

    #[test]
    fn vocab_txt_that_is_not_utf8() {
        assert_eq!(
            error(&folder("vocab.txt", b"[PAD]\n\xff\n")),
            "vocab.txt:2: expected UTF-8, found other bytes"
        );
    }

    #[test]
    fn tokenizer_json_with_gaps_or_repetitions() {
        let json = |vocab: &str| format!(r#"{{"model": {{"vocab": {vocab}}}}}"#);
        let message = |vocab: &str| error(&folder("tokenizer.json", json(vocab).as_bytes()));
        assert_eq!(
            message(r#"{"a": 0, "b": 2}"#),
            "tokenizer.json:model.vocab: expected one token for each row, found no token or two for row 1"
        );
        assert_eq!(
            message(r#"{"a": 0, "b": 0}"#),
            "tokenizer.json:model.vocab: expected one token for each row, found no token or two for row 0"
        );
    }

    #[test]
    fn tokenizer_json_of_another_kind() {
        let found = error(&folder(
            "tokenizer.json",
            br#"{"model": {"vocab": [["a", -1.0]]}}"#,
        ));
        assert!(
            found.starts_with("tokenizer.json: expected a tokenizer with `model.vocab` from tokens to rows (WordPiece), found "),
            "{found}"
        );
    }
}
