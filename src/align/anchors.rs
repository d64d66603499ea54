//! Pairs of cipher id and plaintext token that are known: anchors, and keys.
//!
//! In: a table `cipher_id<TAB>plain_token`, with or without that header; a field may stand in double quotes. Out: its rows,
//! none of which contradicts another. Does not ask which tokens the plaintext has.

use std::collections::HashMap;
use std::path::Path;

use crate::data::source;
use crate::data::table::{Quoting, Table, quoted};
use crate::data::{CipherId, Dictionary};
use crate::error::{Error, Place, Result};
use crate::vocab::cipher::CipherVocab;
use crate::vocab::mapping::COLUMNS;

/// One known pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Its line in the file.
    pub line: u64,
    /// `None` where the id has no row of its own.
    pub cipher_id: Option<CipherId>,
    /// As the file writes it.
    pub plain_token: String,
}

/// Reads such a table.
///
/// # Errors
/// [`Error::Io`]; [`Error::Input`] for a row that has no two fields, for one that contradicts another (an id of two
/// tokens, or a token of two ids), and where none of the ids has a row in `vocab`.
pub fn read(path: &Path, dictionary: &Dictionary, vocab: &CipherVocab) -> Result<Vec<Known>> {
    let bytes = source::read(path)?;
    let mut table = Table::new(path, &bytes, b'\t', Quoting::On);
    let mut known = Vec::new();
    let (mut by_id, mut by_token) = (HashMap::new(), HashMap::new());
    while table.advance()? {
        let fields = table.fields();
        let (Some(id), Some(token), 2) = (fields.get(0), fields.get(1), fields.len()) else {
            let expected = "`cipher_id<TAB>plain_token`";
            let found = format!("{} fields", fields.len());
            let hint = "put a tab between the id and its token, and nothing behind them";
            return Err(Error::input(table.place(), expected, found).with_hint(hint));
        };
        if known.is_empty() && (id, token) == (COLUMNS[0], COLUMNS[2]) {
            continue;
        }
        let line = table.place().line.unwrap_or_default();
        let (id, token) = (id.to_owned(), token.to_owned());
        let (first_token, line_of_id): &(String, u64) =
            by_id.entry(id.clone()).or_insert((token.clone(), line));
        if *first_token != token {
            let expected = format!("{}, as in line {line_of_id}", quoted(first_token));
            let found = format!("{} for {}", quoted(&token), quoted(&id));
            return Err(contradiction(table.place().field(2), &expected, &found));
        }
        let (first_id, line_of_token): &(String, u64) =
            by_token.entry(token.clone()).or_insert((id.clone(), line));
        if *first_id != id {
            let expected = format!("{}, as in line {line_of_token}", quoted(first_id));
            let found = format!("{} for {}", quoted(&id), quoted(&token));
            return Err(contradiction(table.place().field(1), &expected, &found));
        }
        known.push(Known {
            line,
            cipher_id: dictionary.get(&id).filter(|&id| vocab.row(id).is_some()),
            plain_token: token,
        });
    }
    if known.iter().all(|known| known.cipher_id.is_none()) {
        let expected = "frequent cipher tokens of the pair files";
        return Err(Error::input(Place::file(path), expected, "none of them")
            .with_hint("give ids of these pair files, or lower vocab.min_count"));
    }
    Ok(known)
}

fn contradiction(place: Place, expected: &str, found: &str) -> Error {
    Error::input(place, expected, found).with_hint("correct one of the two lines, or remove it")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Example, Target, TokenKind};

    fn read_text(text: &str) -> std::result::Result<Vec<Known>, String> {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let path = folder.path().join("known.tsv");
        std::fs::write(&path, text).expect("a small file");
        let mut dictionary = Dictionary::new(TokenKind::Text);
        let ids = ["7", "8", "\""].map(|name| dictionary.id(name).expect("text"));
        let pair = Example {
            a: ids.to_vec(),
            b: None,
            target: Target::Unknown,
        };
        let vocab = CipherVocab::count([&pair], 1);
        read(&path, &dictionary, &vocab).map_err(|error| {
            let prefix = format!("{}/", folder.path().display());
            error.to_string().replace(&prefix, "")
        })
    }

    #[test]
    fn tables_with_and_without_a_header() {
        let known = |line, id, token: &str| Known {
            line,
            cipher_id: id,
            plain_token: token.to_owned(),
        };
        let rows = "7\t的\n9\t我\n\"\"\"\"\t\"\"\"\"\n7\t的\n";
        let found = [
            known(1, Some(CipherId(0)), "的"),
            known(2, None, "我"),
            known(3, Some(CipherId(2)), "\""),
            known(4, Some(CipherId(0)), "的"),
        ];
        assert_eq!(read_text(rows), Ok(found.to_vec()));
        let with_header = read_text(&format!("cipher_id\tplain_token\n{rows}"));
        assert_eq!(with_header.map(|known| known.len()), Ok(4));
    }

    #[test]
    fn contradictions_name_both_lines() {
        assert_eq!(
            read_text("7\t的\n8\t我\n7\t是\n"),
            Err("known.tsv:3:2: expected `的`, as in line 1, found `是` for `7`".into())
        );
        assert_eq!(
            read_text("7\t的\n8\t的\n"),
            Err("known.tsv:2:1: expected `7`, as in line 1, found `8` for `的`".into())
        );
    }

    #[test]
    fn other_tables() {
        assert_eq!(
            read_text("7\t的\t1\n"),
            Err("known.tsv:1: expected `cipher_id<TAB>plain_token`, found 3 fields".into())
        );
        assert_eq!(
            read_text("1\t的\n"),
            Err(
                "known.tsv: expected frequent cipher tokens of the pair files, found none of them"
                    .into()
            )
        );
    }
}
