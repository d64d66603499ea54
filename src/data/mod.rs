//! Examples of desensitised text, one or two texts a row: reading, truncating, splitting, masking, packing.
//!
//! In: files (on disk or embedded). Out: [`Example`]s of cipher ids, which rows validate or stand in which fold, and
//! [`PackedBatch`]es. Does not know the vocabulary's rows beyond the [`reserved`] ones, nor tensors.
//!
//! # How to add a reader
//! 1. Add a file beside `reader.rs` with a function `bytes -> Result<Vec<Example>>`.
//! 2. Take its bytes from [`source::read`], so that `demo:` paths work.
//! 3. Every refusal is an [`Error::Input`](crate::error::Error::Input) with file, line and field; add a test for each.

pub mod batch;
pub mod classes;
mod closure;
pub mod column_names;
pub mod dialect;
pub mod dictionary;
pub mod duplicates;
pub mod example;
pub mod folds;
pub mod format;
pub mod gzip;
pub mod ids;
pub mod label_field;
pub mod masking;
pub mod near;
pub mod npy;
pub mod paraphrases;
pub mod reader;
pub mod reserved;
pub mod scores;
pub mod source;
pub mod split;
mod strata;
pub mod table;
pub mod task;
pub mod truncate;
pub mod zipped;

pub use batch::{PackedBatch, PackedRow, TokenTypes, visible_prefixes};
pub use classes::Classes;
pub use closure::closure;
pub use dictionary::{CipherId, Dictionary, TokenKind};
pub use example::{EncodedExample, Example, Target, TextIdentity};
pub use folds::{Assign, FoldOptions, Folds};
pub use format::{Column, ExampleFormat, LabelColumns};
pub use masking::{MaskOptions, MaskReplacement, MaskUnit, Masking};
pub use reader::{ExampleFile, Labels, read_examples};
pub use scores::Scores;
pub use split::ValidSplit;
pub use task::{LabelKind, Task, TextKind};
