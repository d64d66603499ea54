//! Alignment by a table that someone else has made.
//!
//! In: `align.file`, tab-separated: a `mapping.tsv` of a run, or two columns `cipher token, plain token` with or without a
//! header. Ids that it does not name start from `[UNK]`; names that are not in the pairs are passed over. A field may
//! stand in double quotes, and must where it begins with one.

use std::collections::HashMap;
use std::path::Path;

use super::{AlignInput, AlignMethod, Mapping, MappingRow, plain_counts};
use crate::data::CipherId;
use crate::data::source;
use crate::data::table::{Quoting, Table, quoted};
use crate::error::{Error, Place, Result};
use crate::vocab::mapping::COLUMNS;
use crate::vocab::plain::PlainId;

/// `method` of an id that the file does not name.
const UNNAMED: &str = "unknown";

pub(super) fn align(input: &AlignInput) -> Result<Mapping> {
    let Some(path) = input.file else {
        let error = Error::refused("`align.method = \"file\"` needs a mapping");
        return Err(error.with_hint("set `align.file`"));
    };
    let plain_of = read(path, &source::read(path)?, input)?;
    let counts = input.counts.map(|(_, counts)| plain_counts(counts));
    let kept = input.cipher.kept.iter();
    let rows: Vec<_> = kept
        .map(|&(cipher_id, count)| {
            let (plain, method) = match plain_of.get(&cipher_id) {
                Some(&plain) => (plain, AlignMethod::File.name()),
                None => (input.plain.specials().unk, UNNAMED),
            };
            let known = counts
                .as_ref()
                .and_then(|c| c.get(input.plain.token(plain)));
            MappingRow {
                cipher_id,
                count,
                plain: Some(plain),
                plain_count: known.copied().unwrap_or(0),
                method,
            }
        })
        .collect();
    if rows.iter().all(|row| row.method == UNNAMED) {
        let expected = "cipher tokens of the pair files";
        return Err(Error::input(Place::file(path), expected, "none of them"));
    }
    Ok(Mapping { rows, wrapped: 0 })
}

/// The plain row of each cipher id that the file names.
fn read(path: &Path, bytes: &[u8], input: &AlignInput) -> Result<HashMap<CipherId, PlainId>> {
    let mut table = Table::new(path, bytes, b'\t', Quoting::On);
    let mut plain_of = HashMap::new();
    let mut columns = None;
    while table.advance()? {
        let (cipher, plain) = match columns {
            Some(columns) => columns,
            None => {
                let (found, is_header) = columns_of(&table, input)?;
                columns = Some(found);
                if is_header {
                    continue;
                }
                found
            }
        };
        let fields = table.fields();
        let (Some(cipher_name), Some(plain_token)) = (fields.get(cipher), fields.get(plain)) else {
            let expected = format!("{} tab-separated fields or more", cipher.max(plain) + 1);
            return Err(Error::input(table.place(), expected, fields.len()));
        };
        let plain_id = plain_row(&table, plain, plain_token, input)?;
        let Some(cipher_id) = input.dictionary.get(cipher_name) else {
            continue;
        };
        if plain_of.insert(cipher_id, plain_id).is_some() {
            let found = format!("{} again", quoted(cipher_name));
            let place = table.place().field(cipher + 1);
            return Err(Error::input(place, "a new cipher token", found));
        }
    }
    Ok(plain_of)
}

/// Where cipher and plain tokens stand, by the first row, and whether that row is a header.
fn columns_of(table: &Table, input: &AlignInput) -> Result<((usize, usize), bool)> {
    let fields = table.fields();
    let position = |name| fields.iter().position(|field| field == name);
    if let (Some(cipher), Some(plain)) = (position(COLUMNS[0]), position(COLUMNS[2])) {
        return Ok(((cipher, plain), true));
    }
    if fields.len() != 2 {
        let expected = "2 tab-separated fields, or the header of a `mapping.tsv`";
        return Err(Error::input(table.place(), expected, fields.len()));
    }
    let is_header =
        input.dictionary.get(&fields[0]).is_none() && input.plain.id(&fields[1]).is_none();
    Ok(((0, 1), is_header))
}

fn plain_row(table: &Table, column: usize, token: &str, input: &AlignInput) -> Result<PlainId> {
    input.plain.id(token).ok_or_else(|| {
        let expected = "a token of the checkpoint's vocabulary";
        let place = table.place().field(column + 1);
        let error = Error::input(place, expected, quoted(&token.escape_debug().to_string()));
        if token.contains('\n') || token.is_empty() {
            error.with_hint(
                "a field that begins with a quote must be quoted: `\"\"\"\"` is a lone quote",
            )
        } else {
            error
        }
    })
}
