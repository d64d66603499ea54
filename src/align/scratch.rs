//! No alignment: every cipher id starts from fresh values.

use super::input::{AlignInput, AlignMethod};
use crate::vocab::{Mapping, MappingRow};

pub(super) fn align(input: &AlignInput) -> Mapping {
    let kept = input.cipher.kept.iter();
    let rows = kept.map(|&(cipher_id, count)| MappingRow {
        cipher_id,
        count,
        plain: None,
        plain_count: 0,
        method: AlignMethod::Scratch.name(),
        found: None,
    });
    Mapping {
        rows: rows.collect(),
        wrapped: 0,
    }
}
