//! The run's vocabulary: reserved rows, then the frequent cipher ids, then the tokens of classes.
//!
//! In: examples or their tokens, or the `vocab.txt` that a run has left. Out: the row of each cipher id. Rare and unknown
//! ids are `[UNK]`. Does not truncate and does not know plaintext.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;

use crate::data::reserved::{FIRST_CIPHER, NAMES, UNK};
use crate::data::source;
use crate::data::table::quoted;
use crate::data::{CipherId, Dictionary, EncodedExample, Example, TokenKind};
use crate::error::{Error, Place, Result};

/// Stands before a token of the competition that is called like a reserved row.
const ESCAPE: char = '\\';
/// The way out where a `vocab.txt` is another file.
const OF_A_RUN: &str = "name the `vocab.txt` in the `model` folder of a run";

/// Which cipher ids have a row, and which.
#[derive(Debug, Clone)]
pub struct CipherVocab {
    /// Kept ids with their counts: count descending, id ascending; row = 7 + index.
    pub kept: Vec<(CipherId, u64)>,
    /// Types below `min_count`.
    pub rare_types: usize,
    /// Their occurrences.
    pub rare_tokens: u64,
    /// Tokens `[C0]`, `[C1]`, … of classes, in the rows behind those of the kept ids; 0 where `[NO]` and `[YES]` do.
    pub n_class_tokens: usize,
    rows: HashMap<CipherId, u32>,
}

impl CipherVocab {
    /// Counts both sentences of all pairs (training, validation, test and unlabelled ones alike) and keeps what occurs
    /// `min_count` times or more.
    pub fn count<'a>(pairs: impl IntoIterator<Item = &'a Example>, min_count: u64) -> Self {
        Self::count_ids(pairs.into_iter().flat_map(Example::tokens), min_count)
    }

    /// As [`CipherVocab::count`], of tokens one after the other.
    pub fn count_ids(ids: impl IntoIterator<Item = CipherId>, min_count: u64) -> Self {
        let mut counts: HashMap<CipherId, u64> = HashMap::new();
        for id in ids {
            *counts.entry(id).or_default() += 1;
        }
        let (mut kept, rare): (Vec<_>, Vec<_>) = counts
            .into_iter()
            .partition(|&(_, count)| count >= min_count);
        kept.sort_unstable_by_key(|&(id, count)| (std::cmp::Reverse(count), id));
        Self {
            rare_types: rare.len(),
            rare_tokens: rare.iter().map(|&(_, count)| count).sum(),
            ..Self::from_kept(kept)
        }
    }

    fn from_kept(kept: Vec<(CipherId, u64)>) -> Self {
        let rows = (FIRST_CIPHER..).zip(&kept).map(|(row, &(id, _))| (id, row));
        Self {
            rows: rows.collect(),
            kept,
            rare_types: 0,
            rare_tokens: 0,
            n_class_tokens: 0,
        }
    }

    /// The same vocabulary with a token for each of `n` classes.
    pub fn with_class_tokens(self, n: usize) -> Self {
        Self {
            n_class_tokens: n,
            ..self
        }
    }

    /// Rows of the vocabulary: 7 + kept + tokens of classes.
    pub fn size(&self) -> usize {
        NAMES.len() + self.kept.len() + self.n_class_tokens
    }

    /// The rows of the kept ids: what a random token is drawn from.
    pub fn cipher_rows(&self) -> Range<u32> {
        FIRST_CIPHER..FIRST_CIPHER + self.kept.len() as u32
    }

    /// The row of the token of `class`.
    ///
    /// # Panics
    /// Where the vocabulary has no such token.
    pub fn class_row(&self, class: usize) -> u32 {
        assert!(class < self.n_class_tokens, "a class with a token");
        self.cipher_rows().end + class as u32
    }

    /// The row of a kept id.
    pub fn row(&self, id: CipherId) -> Option<u32> {
        self.rows.get(&id).copied()
    }

    /// The pair in rows of this vocabulary.
    pub fn encode(&self, pair: &Example) -> EncodedExample {
        let encode = |text: &Vec<CipherId>| {
            let row = |id| self.rows.get(id).copied().unwrap_or(UNK);
            text.iter().map(row).collect()
        };
        EncodedExample {
            a: encode(&pair.a),
            b: pair.b.as_ref().map(encode),
            target: pair.target.clone(),
            text_numbers: None,
        }
    }

    /// The names of all rows in order: `[PAD]` …, then the names of the kept ids, then `[C0]` …. This is `vocab.txt`.
    ///
    /// A token of the competition that is itself called `[CLS]` or like another reserved row or a class gets a backslash
    /// before it, so that no two rows have one name; [`CipherVocab::open`] takes it off again.
    pub fn names(&self, dictionary: &Dictionary) -> Vec<String> {
        let kept = self.kept.iter().map(|&(id, _)| {
            let name = dictionary.name(id);
            if is_taken(name.trim_start_matches(ESCAPE)) {
                format!("{ESCAPE}{name}")
            } else {
                name
            }
        });
        let classes = (0..self.n_class_tokens).map(class_name);
        let reserved = NAMES.into_iter().map(str::to_owned);
        reserved.chain(kept).chain(classes).collect()
    }

    /// Reads the `vocab.txt` a run has left, so that new pairs can be encoded (counts are 0). Ids are interned in
    /// `dictionary`.
    ///
    /// # Errors
    /// [`Error::Input`] with the line where it is not such a file.
    pub fn open(path: &Path, dictionary: &mut Dictionary) -> Result<Self> {
        let bytes = source::read(path)?;
        let text = std::str::from_utf8(&bytes).map_err(|_| {
            Error::input(Place::file(path), "UTF-8", "other bytes").with_hint(OF_A_RUN)
        })?;
        Self::parse(path, text, dictionary)
    }

    fn parse(path: &Path, text: &str, dictionary: &mut Dictionary) -> Result<Self> {
        let n_class_tokens = class_lines(text);
        let n_lines = text.lines().count() - n_class_tokens;
        let mut lines = (1..).zip(text.lines().take(n_lines));
        for (number, name) in (1..).zip(NAMES) {
            let found = lines.next().map_or("", |(_, line)| line);
            if found != name {
                let place = Place::line(path, number);
                return Err(Error::input(place, quoted(name), quoted(found)).with_hint(OF_A_RUN));
            }
        }
        let mut kept = Vec::new();
        let mut line_of: HashMap<CipherId, u64> = HashMap::new();
        for (number, line) in lines {
            let token = if is_taken(line.trim_start_matches(ESCAPE)) {
                line.strip_prefix(ESCAPE)
            } else {
                Some(line)
            };
            let id = token
                .and_then(|token| dictionary.id(token))
                .ok_or_else(|| {
                    let expected = match dictionary.kind() {
                        TokenKind::Number => "a token id from 0 to 4294967295",
                        TokenKind::Text => "the name of a cipher token",
                    };
                    Error::input(Place::line(path, number), expected, quoted(line))
                        .with_hint(OF_A_RUN)
                })?;
            if let Some(first) = line_of.insert(id, number) {
                let found = format!("{} again, as in line {first}", quoted(line));
                let place = Place::line(path, number);
                return Err(Error::input(place, "a new token", found).with_hint(OF_A_RUN));
            }
            kept.push((id, 0));
        }
        Ok(Self::from_kept(kept).with_class_tokens(n_class_tokens))
    }
}

fn class_name(class: usize) -> String {
    format!("[C{class}]")
}

/// The class whose token has this name.
fn class_of_name(name: &str) -> Option<usize> {
    let class = name.strip_prefix("[C")?.strip_suffix(']')?.parse().ok()?;
    (class_name(class) == name).then_some(class)
}

/// Whether a row of our own has this name, or could have it.
fn is_taken(name: &str) -> bool {
    NAMES.contains(&name) || class_of_name(name).is_some()
}

/// How many lines at the end of a `vocab.txt` are `[C0]`, `[C1]`, ….
fn class_lines(text: &str) -> usize {
    let last = text.lines().next_back().and_then(class_of_name);
    let n = last.map_or(0, |last| last.saturating_add(1));
    let classes: Vec<_> = text.lines().rev().take(n).map(class_of_name).collect();
    let expected = (0..n).rev().map(Some);
    if classes.len() == n && classes.into_iter().eq(expected) {
        n
    } else {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(a: &[u32], b: &[u32]) -> Example {
        let ids = |sentence: &[u32]| sentence.iter().copied().map(CipherId).collect();
        Example {
            a: ids(a),
            b: Some(ids(b)),
            target: true.into(),
        }
    }

    fn open(text: &str, kind: TokenKind) -> Result<CipherVocab> {
        CipherVocab::parse(Path::new("vocab.txt"), text, &mut Dictionary::new(kind))
    }

    #[test]
    fn order_is_count_then_id_and_rare_ids_are_unknown() {
        // Counts: 9 three times, 4 and 30 twice, 7 and 8 once.
        let pairs = [pair(&[9, 30, 9], &[4, 7]), pair(&[30], &[4, 9, 8])];
        let vocab = CipherVocab::count(&pairs, 2);
        let expected = [(9, 3), (4, 2), (30, 2)].map(|(id, n)| (CipherId(id), n));
        assert_eq!(vocab.kept, expected);
        assert_eq!(
            (vocab.rare_types, vocab.rare_tokens, vocab.size()),
            (2, 2, 10)
        );
        let encoded = vocab.encode(&pair(&[9, 4, 30], &[7, 55]));
        assert_eq!(
            (encoded.a, encoded.b),
            (vec![7, 8, 9], Some(vec![UNK, UNK]))
        );
        assert_eq!(encoded.target, true.into());
    }

    #[test]
    fn an_opened_vocabulary_encodes_the_same() {
        let pairs = [pair(&[9, 30, 9], &[4, 7]), pair(&[30], &[4, 9, 8])];
        let vocab = CipherVocab::count(&pairs, 1);
        let mut dictionary = Dictionary::new(TokenKind::Number);
        let text = vocab.names(&dictionary).join("\n") + "\n";
        let opened = CipherVocab::parse(Path::new("vocab.txt"), &text, &mut dictionary)
            .expect("a vocabulary that was written");
        for pair in &pairs {
            assert_eq!(opened.encode(pair), vocab.encode(pair));
        }
        assert_eq!(opened.size(), vocab.size());
    }

    #[test]
    fn text_tokens_called_like_reserved_rows_keep_their_own_rows() {
        let tokens = ["[CLS]", "\\[CLS]", "\\\\[MASK]", "\\", "\"", "#", "[cls]"];
        let mut dictionary = Dictionary::new(TokenKind::Text);
        let ids: Vec<u32> = tokens
            .iter()
            .map(|token| dictionary.id(token).expect("text").0)
            .collect();
        let vocab = CipherVocab::count([&pair(&ids, &ids)], 1);
        let names = vocab.names(&dictionary);
        assert_eq!(names[7..10], ["\\[CLS]", "\\\\[CLS]", "\\\\\\[MASK]"]);
        assert_eq!(names[10..], tokens[3..]);

        let mut fresh = Dictionary::new(TokenKind::Text);
        let text = names.join("\n");
        let opened = CipherVocab::parse(Path::new("vocab.txt"), &text, &mut fresh)
            .expect("a vocabulary that was written");
        let back: Vec<_> = opened.kept.iter().map(|&(id, _)| fresh.name(id)).collect();
        assert_eq!(back, tokens);
    }

    #[test]
    fn class_tokens_stand_behind_the_cipher_tokens_and_are_read_back() {
        let mut dictionary = Dictionary::new(TokenKind::Text);
        let ids = ["a", "[C0]", "[C01]", "[C7]"].map(|token| dictionary.id(token).expect("text").0);
        let vocab = CipherVocab::count([&pair(&ids, &ids)], 1).with_class_tokens(3);
        let names = vocab.names(&dictionary);
        let expected = ["a", "\\[C0]", "[C01]", "\\[C7]", "[C0]", "[C1]", "[C2]"];
        assert_eq!(names[7..], expected);
        assert_eq!((vocab.size(), vocab.cipher_rows()), (14, 7..11));
        assert_eq!([0, 1, 2].map(|class| vocab.class_row(class)), [11, 12, 13]);

        let mut fresh = Dictionary::new(TokenKind::Text);
        let opened = CipherVocab::parse(Path::new("vocab.txt"), &names.join("\n"), &mut fresh)
            .expect("a vocabulary that was written");
        assert_eq!(opened.names(&fresh), names);
        assert_eq!((opened.n_class_tokens, opened.size()), (3, 14));
        assert_eq!(
            CipherVocab::count([&pair(&ids, &ids)], 1).names(&dictionary)[7..],
            expected[..4]
        );
    }

    #[test]
    fn vocabulary_whose_class_tokens_are_not_in_a_row() {
        let text = |rest: &str| NAMES.join("\n") + rest;
        for (rest, line, found) in [
            ("\n5\n[C1]\n", 9, "[C1]"),
            ("\n5\n[C1]\n[C0]\n", 9, "[C1]"),
            ("\n[C0]\n5\n", 8, "[C0]"),
            ("\n5\n[C18446744073709551615]", 9, "[C18446744073709551615]"),
        ] {
            let error = open(&text(rest), TokenKind::Number).expect_err("not of a run");
            assert_eq!(
                error.to_string(),
                format!(
                    "vocab.txt:{line}: expected a token id from 0 to 4294967295, found `{found}`"
                )
            );
        }
    }

    #[test]
    fn vocabulary_without_the_reserved_rows() {
        let error = open("[PAD]\n[UNK]\n12\n", TokenKind::Number).expect_err("not of a run");
        assert_eq!(
            error.to_string(),
            "vocab.txt:3: expected `[CLS]`, found `12`"
        );
        assert_eq!(
            error.hint(),
            Some("name the `vocab.txt` in the `model` folder of a run")
        );
        let error = open("", TokenKind::Number).expect_err("empty");
        assert_eq!(
            error.to_string(),
            "vocab.txt:1: expected `[PAD]`, found nothing"
        );
    }

    #[test]
    fn vocabulary_with_a_word_or_a_repetition() {
        let text = |rest: &str| NAMES.join("\n") + rest;
        let message = |rest| {
            open(&text(rest), TokenKind::Number)
                .expect_err("bad")
                .to_string()
        };
        assert_eq!(
            message("\n5\n的\n"),
            "vocab.txt:9: expected a token id from 0 to 4294967295, found `的`"
        );
        assert_eq!(
            message("\n5\n6\n5\n"),
            "vocab.txt:10: expected a new token, found `5` again, as in line 8"
        );
        let error = open(&text("\n[UNK]\n"), TokenKind::Text).expect_err("reserved");
        assert_eq!(
            error.to_string(),
            "vocab.txt:8: expected the name of a cipher token, found `[UNK]`"
        );
    }
}
