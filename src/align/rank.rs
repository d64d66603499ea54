//! Rank alignment: the n-th most frequent cipher id gets the row of the n-th most frequent plaintext token.
//!
//! The frequency ladder of post kexue.fm/archives/8213. Equal counts are in order of the vocabulary's rows (the reference
//! leaves them to an unstable sort). Cipher ids beyond the last counted token begin again at the first.

use super::input::{AlignInput, AlignMethod};
use super::ladder::{cycle, eligible};
use crate::error::{Error, Result};
use crate::vocab::Mapping;

pub(super) fn align(input: &AlignInput) -> Result<Mapping> {
    let Some((path, counts)) = input.counts else {
        let message = "`align.method = \"rank\"` needs the counts of plaintext tokens";
        let hint = "set `align.counts`; `cipherpet count` makes such a file from any text";
        return Err(Error::refused(message).with_hint(hint));
    };
    let mut ladder = eligible(input.plain, path, counts)?;
    ladder.sort_by_key(|&(_, count)| std::cmp::Reverse(count)); // stable: rows stay in order
    Ok(cycle(input.cipher, &ladder, AlignMethod::Rank))
}
