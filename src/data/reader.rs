//! Files of examples: `ids<TAB>ids[<TAB>label]`, `ids[<TAB>label]`, and other tables by [`ExampleFormat`].
//!
//! In: the bytes of a file. Out: one or two texts of [`CipherId`]s a row, with its label, or the first thing that is wrong
//! with file, line, field, what was expected and what was found. Does not truncate, count or shuffle; a file is held in
//! memory whole.

mod identifiers;
mod label;
pub mod label_values;
mod layout;

use std::path::{Path, PathBuf};

use super::classes::Classes;
use super::dictionary::{CipherId, Dictionary, TokenKind};
use super::example::{Example, Target};
use super::format::ExampleFormat;
use super::source;
use super::table::{Table, quoted};
use super::task::TextKind;
use crate::error::{Error, Place, Result};
use label::LabelReader;
use layout::Layout;

/// The way out where a label is missing.
const UNLABELLED_HINT: &str = "rows without a label belong in `data.unlabelled`";

/// The way out where a text is empty. A test file has to keep its rows.
const EMPTY_HINT: &str = "write a new token there, the same for every empty text; rows to train on may be removed instead";

/// The way out where a file has no row.
const NO_ROWS_HINT: &str = "write its rows there, one a line, or name another file";

/// What is done with the label of each row.
#[derive(Debug)]
pub enum Labels<'a> {
    /// Every row has one (training and validation files); the classes learn its name while they are open.
    Required(&'a mut Classes),
    /// May be there, is not looked at (files of which a job wants the texts alone).
    Ignored,
    /// May be there and is not learnt from (test files, files for the MLM). A text in its place is refused: the columns stand in
    /// another order, and the label would be read as a text.
    Unused,
    /// Read where the file has the column (a first look at a file).
    Optional(&'a mut Classes),
}

/// One file.
#[derive(Debug, Clone)]
pub struct ExampleFile {
    /// As the user named it.
    pub path: PathBuf,
    /// Rows in file order, at least one.
    pub examples: Vec<Example>,
    /// The file has a label column (read or ignored).
    pub has_labels: bool,
    /// Which columns of a header were taken for what, where it was by their names and not by a key.
    pub found_columns: Option<String>,
}

/// Reads a file whole; `dictionary` learns its tokens, and the classes of `labels` their names.
///
/// # Errors
/// [`Error::Refused`] for a format that contradicts itself ([`ExampleFormat::check`]), [`Error::Io`] where the file cannot be
/// read, [`Error::Input`] for the first row that is not as the format says.
pub fn read_examples(
    path: &Path,
    format: &ExampleFormat,
    labels: Labels<'_>,
    dictionary: &mut Dictionary,
) -> Result<ExampleFile> {
    format.check()?;
    parse(path, &source::read(path)?, format, labels, dictionary)
}

fn parse(
    path: &Path,
    bytes: &[u8],
    format: &ExampleFormat,
    labels: Labels<'_>,
    dictionary: &mut Dictionary,
) -> Result<ExampleFile> {
    let mut table = format.table(path, bytes);
    let no_rows = |found| {
        let expected = match format.kind {
            TextKind::Pair => "one pair of sentences or more",
            TextKind::Single => "one text or more",
        };
        Error::input(Place::file(path), expected, found)
    };
    if !table.advance()? {
        let is_blank = bytes.iter().any(|byte| matches!(byte, b'\n' | b'\r'));
        let found = match is_blank {
            true => "blank lines only",
            false => "an empty file",
        };
        return Err(no_rows(found).with_hint(NO_ROWS_HINT));
    }
    let labels_required = matches!(labels, Labels::Required(_));
    let labels_unused = matches!(labels, Labels::Unused);
    let layout = Layout::new(&table, format, labels_required)?;
    let has_labels = !layout.labels.is_empty();
    let mut label_reader = match labels {
        Labels::Required(classes) | Labels::Optional(classes) if has_labels => {
            Some(LabelReader::new(&table, &layout, format, classes)?)
        }
        _ => None,
    };
    if format.header && !table.advance()? {
        let hint = "set `data.header = false` where the first line is a row";
        return Err(no_rows("a header only").with_hint(hint));
    }
    let mut examples = Vec::new();
    loop {
        require_width(&table, &layout, format, labels_required)?;
        let is_meant = examples.is_empty() && !format.header && is_of_words(&table, format);
        let of_text = |error| or_header(error, is_meant && format.tokens == TokenKind::Number);
        let place = |column: usize| table.place().field(layout.field_name(column));
        let mut text = |column: usize| {
            parse_sentence(&table.fields()[column], format, dictionary, || {
                place(column)
            })
        };
        examples.push(Example {
            a: text(layout.text_a).map_err(of_text)?,
            b: layout.text_b.map(text).transpose().map_err(of_text)?,
            target: match &mut label_reader {
                Some(reader) => reader
                    .target(table.fields(), &layout.labels, place)
                    .map_err(|error| or_header(error, is_meant))?,
                None => {
                    if labels_unused {
                        label::refuse_texts(table.fields(), &layout.labels, format, place)
                            .map_err(|error| or_header(error, is_meant))?;
                    }
                    Target::Unknown
                }
            },
        });
        if !table.advance()? {
            break;
        }
    }
    if let Some(reader) = label_reader {
        reader.refuse_missing()?;
    }
    identifiers::refuse(path, &examples, (format, &layout), dictionary)?;
    Ok(ExampleFile {
        path: path.to_owned(),
        examples,
        has_labels,
        found_columns: layout.found_by_name(format),
    })
}

/// Whether no token of a row begins as a number does: as a first row, it may name the columns.
fn is_of_words(table: &Table, format: &ExampleFormat) -> bool {
    let mut fields = table.fields().iter();
    let begins_number = |c: char| c.is_ascii_digit() || "+-.".contains(c);
    fields.all(|field| {
        let mut tokens = field.split(format.token_separator.as_str());
        !tokens.any(|token| token.trim_start().starts_with(begins_number))
    })
}

/// The error of a row; where it `may_be` a header, with that way out too.
fn or_header(error: Error, may_be: bool) -> Error {
    const HEADER_HINT: &str = "set `data.header = true` where the first line names the columns";
    if !may_be {
        return error;
    }
    let hint = match error.hint() {
        Some(hint) => format!("{hint}; {HEADER_HINT}"),
        None => HEADER_HINT.to_owned(),
    };
    error.with_hint(hint)
}

fn require_width(
    table: &Table,
    layout: &Layout,
    format: &ExampleFormat,
    labels_required: bool,
) -> Result<()> {
    let n_fields = table.fields().len();
    if n_fields == layout.width {
        return Ok(());
    }
    let error = Error::input(table.place(), format.fields(layout.width), n_fields);
    let label_is_missing =
        !layout.labels.is_empty() && n_fields + layout.labels.len() == layout.width;
    Err(error.with_hint(if labels_required && label_is_missing {
        UNLABELLED_HINT
    } else {
        "every row of a file has the same columns, with a label or without"
    }))
}

fn parse_sentence(
    field: &str,
    format: &ExampleFormat,
    dictionary: &mut Dictionary,
    place: impl Fn() -> Place,
) -> Result<Vec<CipherId>> {
    let separator = format.token_separator.as_str();
    // Doubled or trailing white space says nothing; an empty token between other separators does.
    let loose = separator.trim().is_empty();
    let mut ids = Vec::new();
    if !field.trim().is_empty() {
        for token in field.split(separator) {
            if token.is_empty() && loose {
                continue;
            }
            ids.push(parse_token(token, format.tokens, dictionary, &place)?);
        }
    }
    if ids.is_empty() {
        let expected = "a sentence of one token or more";
        return Err(Error::input(place(), expected, "an empty sentence").with_hint(EMPTY_HINT));
    }
    Ok(ids)
}

/// `01`, but not `0`.
fn has_leading_zero(token: &str) -> bool {
    let rest = token.strip_prefix('0').unwrap_or_default();
    !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit())
}

fn parse_token(
    token: &str,
    kind: TokenKind,
    dictionary: &mut Dictionary,
    place: impl Fn() -> Place,
) -> Result<CipherId> {
    let found = || match token {
        "" => "an empty token".to_owned(),
        _ => quoted(&token.escape_debug().to_string()),
    };
    match kind {
        TokenKind::Number if has_leading_zero(token) => {
            let expected = "a token id without leading zeros";
            Err(Error::input(place(), expected, found()).with_hint(
                "set `data.tokens = \"text\"`: two spellings of one number are two tokens then",
            ))
        }
        TokenKind::Number => dictionary.id(token).ok_or_else(|| {
            Error::input(place(), "a token id from 0 to 4294967295", found())
                .with_hint("set `data.token_separator`, or `data.tokens = \"text\"` for tokens that are not numbers")
        }),
        // `vocab.txt` and `mapping.tsv` hold one token a line.
        TokenKind::Text if token.is_empty() || token.contains(char::is_control) => {
            Err(Error::input(place(), "a token without control characters", found())
                .with_hint("set `data.token_separator`"))
        }
        TokenKind::Text => dictionary
            .id(token)
            .ok_or_else(|| Error::input(place(), "fewer than 4294967296 different tokens", "more")),
    }
}

#[cfg(test)]
mod columns;
#[cfg(test)]
mod kinds;
#[cfg(test)]
mod tests;
