//! Vocabularies: counting both sides, units of text, mapping files.
//!
//! In: pairs of cipher ids, the vocabulary of a plaintext BERT, a corpus. Out: the run's own vocabulary
//! ([`CipherVocab`]), token counts ([`TokenCounts`]), text as tokens of a [`Unit`], and the [`Mapping`] that says which
//! plaintext rows each cipher id starts from. [`encipher`] makes ciphers of one's own text. Cipher and plain ids are two
//! types, so that a mix-up does not compile. Does not choose the rows, does not touch weights, and never writes a decoded
//! sentence.

pub mod cipher;
pub mod corpus;
pub mod count;
pub mod encipher;
pub mod lines;
pub mod mapping;
pub mod missing_folder;
pub mod plain;
mod plain_table;
pub mod unit;
pub mod word_piece;

pub use cipher::CipherVocab;
pub use count::TokenCounts;
pub use mapping::{Mapping, MappingRow};
pub use plain::{PlainId, PlainVocab};
pub use unit::{Segmenter, Unit, UnitChoice};
