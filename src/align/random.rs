//! Random alignment: the rows that rank alignment would use, in random order.
//!
//! A control: it keeps the scale of pretrained embeddings and loses all else. Without counts, every row that stands
//! for text takes part.

use rand::seq::SliceRandom;

use super::input::{AlignInput, AlignMethod};
use super::ladder::{cycle, eligible};
use crate::error::{Error, Result};
use crate::vocab::Mapping;

pub(super) fn align(input: &AlignInput) -> Result<Mapping> {
    let mut rows = match input.counts {
        Some((path, counts)) => eligible(input.plain, path, counts)?,
        None => input.plain.text_rows().map(|id| (id, 0)).collect(),
    };
    if rows.is_empty() {
        let message = "the checkpoint's vocabulary has special tokens only";
        return Err(Error::refused(message)
            .with_hint("set `checkpoint.dir` to a BERT whose vocabulary has words too"));
    }
    rows.shuffle(&mut input.key.rng());
    Ok(cycle(input.cipher, &rows, AlignMethod::Random))
}
