//! From cipher ids to rows of the model, which are cut, and what their texts were before.
//!
//! In: rows as they were read, uncut, and a vocabulary. Out: [`EncodedExample`]s. Reads no files.

use crate::data::near::Sentences;
use crate::data::truncate::truncate_texts;
use crate::data::{EncodedExample, Example};
use crate::vocab::CipherVocab;

/// A row as the model sees it: in rows of its vocabulary, cut to `max_tokens`.
pub fn encode_cut(row: &Example, vocab: &CipherVocab, max_tokens: usize) -> EncodedExample {
    let mut row = vocab.encode(row);
    truncate_texts(&mut row.a, row.b.as_mut(), max_tokens);
    row
}

/// Encodes the rows of a run.
pub struct Encoder<'a> {
    vocab: &'a CipherVocab,
    max_tokens: usize,
    /// Every text that has a number, as it was read.
    texts: Sentences<'a>,
}

impl<'a> Encoder<'a> {
    /// To rows of `vocab` of at most `max_tokens` tokens.
    pub fn new(vocab: &'a CipherVocab, max_tokens: usize) -> Self {
        Self {
            vocab,
            max_tokens,
            texts: Sentences::default(),
        }
    }

    /// Rows that never have a label: nobody asks which texts of theirs are the same.
    pub fn unnumbered(&self, rows: &[Example]) -> Vec<EncodedExample> {
        let encode = |row| encode_cut(row, self.vocab, self.max_tokens);
        rows.iter().map(encode).collect()
    }

    /// Rows with the numbers of their texts, equal ones over all calls where the texts are equal as they were read.
    ///
    /// # Panics
    /// Where there are more texts than numbers of 32 bits.
    pub fn numbered(&mut self, rows: &'a [Example]) -> Vec<EncodedExample> {
        let mut number = |text| {
            let number = self.texts.number(text);
            u32::try_from(number).expect("fewer texts than 2^32")
        };
        let numbered = rows.iter().map(|row| {
            let a = number(&row.a);
            let b = row.b.as_deref().map_or(a, &mut number);
            EncodedExample {
                text_numbers: Some([a, b]),
                ..encode_cut(row, self.vocab, self.max_tokens)
            }
        });
        numbered.collect()
    }
}
