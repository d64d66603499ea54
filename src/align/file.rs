//! Alignment by a table that someone else has made.
//!
//! In: `align.file`, tab-separated: a `mapping.tsv` of a run, or two columns `cipher token, plain token` with or without a
//! header. Rows with weighed candidates start from those. Ids that it does not name start from `[UNK]`; names that are not in
//! the pairs are passed over. A field may stand in double quotes, and must where it begins with one.

use std::collections::HashMap;
use std::path::Path;

use super::input::{AlignInput, AlignMethod};
use super::ladder::plain_counts;
use crate::data::CipherId;
use crate::data::source;
use crate::data::table::{Quoting, Table, quoted};
use crate::error::{Error, Place, Result};
use crate::vocab::mapping::{COLUMNS, Found};
use crate::vocab::unit::Pieces;
use crate::vocab::{Mapping, MappingRow, PlainId};

/// `method` of an id that the file does not name.
const UNNAMED: &str = "unknown";

pub(super) fn align(input: &AlignInput) -> Result<Mapping> {
    let Some(path) = input.file else {
        let error = Error::refused("`align.method = \"file\"` needs a mapping");
        return Err(error.with_hint("set `align.file`"));
    };
    let named = read(path, &source::read(path)?, input)?;
    let counts = input.counts.map(|(_, counts)| plain_counts(counts));
    let kept = input.cipher.kept.iter();
    let rows: Vec<_> = kept
        .map(|&(cipher_id, count)| {
            let (start, method) = match named.get(&cipher_id) {
                Some(start) => (start.clone(), AlignMethod::File.name()),
                None => (NamedStart::Row(input.plain.specials().unk), UNNAMED),
            };
            let known = |id: PlainId| {
                let counts = counts.as_ref()?;
                counts.get(input.plain.token(id)).copied()
            };
            match start {
                NamedStart::Row(plain) => MappingRow {
                    cipher_id,
                    count,
                    plain: Some(plain),
                    plain_count: known(plain).unwrap_or(0),
                    method,
                    found: None,
                },
                NamedStart::Found(found, plain_count) => MappingRow {
                    cipher_id,
                    count,
                    plain: None,
                    plain_count,
                    method,
                    found: Some(found),
                },
            }
        })
        .collect();
    if rows.iter().all(|row| row.method == UNNAMED) {
        let expected = "cipher tokens of the pair files";
        return Err(Error::input(Place::file(path), expected, "none of them")
            .with_hint("set `align.file` to a mapping that was made for these files"));
    }
    Ok(Mapping { rows, wrapped: 0 })
}

/// The mapping that a run has left in `path`, as alignment by graph made it.
///
/// # Errors
/// [`Error::Input`] where the file is another or does not name every id.
pub fn reread(path: &Path, input: &AlignInput) -> Result<Mapping> {
    let mut mapping = align(&AlignInput {
        file: Some(path),
        ..input.clone()
    })?;
    for row in &mut mapping.rows {
        if row.found.is_none() {
            let place = Place::file(path);
            let expected = format!(
                "a row of graph alignment for `{}`",
                input.dictionary.name(row.cipher_id)
            );
            return Err(Error::input(place, expected, "none")
                .with_hint("remove the run's folder, and run it anew"));
        }
        row.method = AlignMethod::Graph.name();
    }
    Ok(mapping)
}

/// What an id starts from.
#[derive(Clone)]
enum NamedStart {
    Row(PlainId),
    /// With the occurrences of the first candidate.
    Found(Found, u64),
}

/// Where the columns stand, counted from 0.
#[derive(Clone, Copy)]
struct Columns {
    cipher: usize,
    plain: usize,
    plain_count: Option<usize>,
    found: Option<[usize; 4]>,
}

/// What each cipher id that the file names starts from.
fn read(path: &Path, bytes: &[u8], input: &AlignInput) -> Result<HashMap<CipherId, NamedStart>> {
    let mut table = Table::new(path, bytes, b'\t', Quoting::On);
    let pieces = Pieces::new(input.checkpoint, input.plain);
    let mut start_of = HashMap::new();
    let mut columns = None;
    while table.advance()? {
        let columns = match columns {
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
        let (cipher, plain) = (columns.cipher, columns.plain);
        let fields = table.fields();
        let (Some(cipher_name), Some(plain_token)) = (fields.get(cipher), fields.get(plain)) else {
            let expected = format!("{} tab-separated fields or more", cipher.max(plain) + 1);
            return Err(Error::input(table.place(), expected, fields.len()));
        };
        let found = columns.found.map(|columns| {
            Found::parse(&table, columns, |token| {
                let rows = pieces.rows(token)?;
                match rows.is_empty() {
                    true => Err(unknown_token(&table, columns[3], token)),
                    false => Ok(rows),
                }
            })
        });
        let start = match found.transpose()?.flatten() {
            Some(found) => {
                let plain_count = columns.plain_count.and_then(|column| fields.get(column));
                NamedStart::Found(found, plain_count.and_then(|n| n.parse().ok()).unwrap_or(0))
            }
            None => NamedStart::Row(plain_row(&table, plain, plain_token, input)?),
        };
        let Some(cipher_id) = input.dictionary.get(cipher_name) else {
            continue;
        };
        if start_of.insert(cipher_id, start).is_some() {
            let found = format!("{} again", quoted(cipher_name));
            let place = table.place().field(cipher + 1);
            return Err(Error::input(place, "a new cipher token", found)
                .with_hint("remove one of its lines"));
        }
    }
    Ok(start_of)
}

/// Where cipher and plain tokens stand, by the first row, and whether that row is a header.
fn columns_of(table: &Table, input: &AlignInput) -> Result<(Columns, bool)> {
    let fields = table.fields();
    let position = |name| fields.iter().position(|field| field == name);
    if let (Some(cipher), Some(plain)) = (position(COLUMNS[0]), position(COLUMNS[2])) {
        let [.., margin, mutual, confidence, top] = COLUMNS.map(position);
        let found = [margin, mutual, confidence, top].into_iter();
        let found: Option<Vec<usize>> = found.collect();
        let columns = Columns {
            cipher,
            plain,
            plain_count: position(COLUMNS[3]),
            found: found.and_then(|found| found.try_into().ok()),
        };
        return Ok((columns, true));
    }
    if fields.len() != 2 {
        let expected = "2 tab-separated fields, or the header of a `mapping.tsv`";
        return Err(Error::input(table.place(), expected, fields.len()));
    }
    let is_header =
        input.dictionary.get(&fields[0]).is_none() && input.plain.id(&fields[1]).is_none();
    let columns = Columns {
        cipher: 0,
        plain: 1,
        plain_count: None,
        found: None,
    };
    Ok((columns, is_header))
}

fn plain_row(table: &Table, column: usize, token: &str, input: &AlignInput) -> Result<PlainId> {
    let known = input.plain.id(token);
    known.ok_or_else(|| unknown_token(table, column, token))
}

fn unknown_token(table: &Table, column: usize, token: &str) -> Error {
    let expected = "a token of the checkpoint's vocabulary";
    let place = table.place().field(column + 1);
    let error = Error::input(place, expected, quoted(&token.escape_debug().to_string()));
    error.with_hint(if token.contains('\n') || token.is_empty() {
        "a field that begins with a quote must be quoted: `\"\"\"\"` is a lone quote"
    } else {
        "set `checkpoint.dir` to the BERT that the mapping is for, or correct the token; write `[UNK]` where that BERT has no row for it"
    })
}
