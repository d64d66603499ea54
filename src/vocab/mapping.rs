//! `mapping.tsv`: which plaintext row each cipher id starts from.
//!
//! In: the rows that an alignment has chosen. Out: the table, and the rows to gather from the checkpoint. A mapping is an
//! initialiser of embeddings, no decoder: nothing here writes sentences.

use std::path::Path;

use super::plain::{PlainId, PlainVocab};
use crate::atomic;
use crate::data::{CipherId, Dictionary};
use crate::error::Result;

/// Names of the columns.
pub const COLUMNS: [&str; 5] = ["cipher_id", "count", "plain_token", "plain_count", "method"];

/// One cipher id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MappingRow {
    /// The kept id.
    pub cipher_id: CipherId,
    /// Its occurrences in the pairs.
    pub count: u64,
    /// `None` where it starts from fresh values (scratch); `[UNK]` where `align.file` does not name it.
    pub plain: Option<PlainId>,
    /// Occurrences of the plaintext token, 0 where none were counted.
    pub plain_count: u64,
    /// What chose the row.
    pub method: &'static str,
}

/// One row a kept cipher id, in vocabulary order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    /// In the order of `CipherVocab::kept`.
    pub rows: Vec<MappingRow>,
    /// Ids that wrapped round past the last plaintext token.
    pub wrapped: usize,
}

impl Mapping {
    /// Writes `cipher_id count plain_token plain_count method` with a header, tab-separated; a field that holds a quote
    /// stands in quotes (RFC 4180). Whole or not at all.
    ///
    /// # Errors
    /// [`Error::Io`](crate::error::Error::Io) from the system.
    pub fn write(&self, path: &Path, dictionary: &Dictionary, plain: &PlainVocab) -> Result<()> {
        atomic::write_with(path, |out| {
            let mut table = csv::WriterBuilder::new().delimiter(b'\t').from_writer(out);
            table.write_record(COLUMNS)?;
            for row in &self.rows {
                table.write_record([
                    dictionary.name(row.cipher_id).as_str(),
                    &row.count.to_string(),
                    row.plain.map_or("", |id| plain.token(id)),
                    &row.plain_count.to_string(),
                    row.method,
                ])?;
            }
            table.flush()
        })
    }

    /// Plain rows for the whole vocabulary of the run (7 + kept): PAD, UNK, CLS, SEP, MASK, UNK, UNK, then one a kept id.
    /// `None` for scratch. The answers NO and YES start as copies of `[UNK]` and part by training only.
    pub fn keep_rows(&self, plain: &PlainVocab) -> Option<Vec<PlainId>> {
        let of = plain.specials();
        let reserved = [of.pad, of.unk, of.cls, of.sep, of.mask, of.unk, of.unk];
        let kept = self.rows.iter().map(|row| row.plain);
        reserved.into_iter().map(Some).chain(kept).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::TokenKind;

    fn plain() -> PlainVocab {
        let tokens = "[MASK] [SEP] [CLS] [UNK] [PAD] 的 \" #".split(' ');
        PlainVocab::from_tokens(tokens.map(str::to_owned).collect(), Path::new("v")).expect("valid")
    }

    fn mapping(plain: &[Option<u32>]) -> Mapping {
        let rows = (0..).zip(plain).map(|(id, plain)| MappingRow {
            cipher_id: CipherId(id),
            count: 9,
            plain: plain.map(PlainId),
            plain_count: 4,
            method: "rank",
        });
        Mapping {
            rows: rows.collect(),
            wrapped: 0,
        }
    }

    #[test]
    fn keep_rows_by_hand() {
        let rows = mapping(&[Some(6), Some(5)]).keep_rows(&plain());
        let expected = [4, 3, 2, 1, 0, 3, 3, 6, 5].map(PlainId);
        assert_eq!(rows.as_deref(), Some(&expected[..]));
        assert_eq!(mapping(&[None, None]).keep_rows(&plain()), None);
    }

    #[test]
    fn written_table() {
        let mut dictionary = Dictionary::new(TokenKind::Text);
        for token in ["a\"b", "#", "x"] {
            dictionary.id(token);
        }
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("mapping.tsv");
        mapping(&[Some(6), Some(7), None])
            .write(&path, &dictionary, &plain())
            .expect("writable");
        assert_eq!(
            std::fs::read_to_string(&path).expect("written"),
            "cipher_id\tcount\tplain_token\tplain_count\tmethod\n\
             \"a\"\"b\"\t9\t\"\"\"\"\t4\trank\n#\t9\t#\t4\trank\nx\t9\t\t4\trank\n"
        );
    }
}
