//! Pair files: `ids<TAB>ids[<TAB>label]`, and other tables by [`ExampleFormat`].
//!
//! In: the bytes of a file. Out: pairs of [`CipherId`]s with their labels, or the first thing that is wrong with
//! file, line, field, what was expected and what was found. Does not truncate, count or shuffle; a file is held in
//! memory whole.

use std::path::{Path, PathBuf};

use super::dictionary::{CipherId, Dictionary, TokenKind};
use super::example::{Example, Target};
use super::source;
use super::table::{Quoting, Table, quoted};
use crate::error::{Error, Place, Result};

/// The way out where a label is missing.
const UNLABELLED_HINT: &str = "rows without a label belong in `data.unlabelled`";

/// A column by number (from 1) or by its name in the header.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(untagged)]
pub enum Column {
    /// Counted from 1.
    Number(usize),
    /// As the header writes it.
    Name(String),
}

/// Where the label stands.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(untagged)]
pub enum LabelColumns {
    /// In one column.
    One(Column),
    /// One column a class, each 0 or 1.
    Several(Vec<Column>),
}

/// The shape of pair files (all files of an experiment share it). All keys sit under `[data]` of the experiment file.
///
/// A file without a header has no other columns than these. One without its label column has one fewer, and those
/// behind it move up. With a header, further columns are ignored.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ExampleFormat {
    /// One ASCII character; default tab. Any other than tab lets fields stand in double quotes.
    pub delimiter: char,
    /// First line holds column names; default false.
    pub header: bool,
    /// First sentence; default column 1.
    pub text_a: Column,
    /// Second sentence; default column 2.
    pub text_b: Column,
    /// 0 or 1; default column 3.
    pub label: Column,
    /// Between tokens of a sentence; default one space.
    pub token_separator: String,
    /// Default numbers.
    pub tokens: TokenKind,
}

impl Default for ExampleFormat {
    fn default() -> Self {
        Self {
            delimiter: '\t',
            header: false,
            text_a: Column::Number(1),
            text_b: Column::Number(2),
            label: Column::Number(3),
            token_separator: " ".to_owned(),
            tokens: TokenKind::Number,
        }
    }
}

/// What is done with a label column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Labels {
    /// Every row has one (training and validation files).
    Required,
    /// May be there, is not looked at (test files, files for the MLM).
    Ignored,
    /// Read where the file has the column (a first look at a file).
    Optional,
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
}

/// Reads a pair file whole; `dictionary` learns its tokens.
///
/// # Errors
/// [`Error::Refused`] for a format that contradicts itself ([`ExampleFormat::check`]), [`Error::Io`] where the file cannot be
/// read, [`Error::Input`] for the first row that is not a pair.
pub fn read_examples(
    path: &Path,
    format: &ExampleFormat,
    labels: Labels,
    dictionary: &mut Dictionary,
) -> Result<ExampleFile> {
    format.check()?;
    parse(path, &source::read(path)?, format, labels, dictionary)
}

impl ExampleFormat {
    /// Whether the keys agree with each other.
    ///
    /// # Errors
    /// [`Error::Refused`] naming the key.
    pub fn check(&self) -> Result<()> {
        if !self.delimiter.is_ascii() || matches!(self.delimiter, '\n' | '\r' | '"') {
            let found = self.delimiter.escape_default();
            return refuse(format!(
                "`data.delimiter` must be one ASCII character, not `{found}`"
            ));
        }
        if self.token_separator.is_empty() {
            return refuse("`data.token_separator` must not be empty");
        }
        if self.quoting() == Quoting::Off && self.token_separator.contains(self.delimiter) {
            return refuse("`data.token_separator` must not hold `data.delimiter`");
        }
        for (key, column) in self.columns() {
            match column {
                Column::Number(0) => {
                    return refuse(format!("`data.{key}` is 0, columns count from 1"));
                }
                Column::Name(name) if !self.header => {
                    let message = format!("`data.{key}` is the name `{name}`, without a header");
                    let hint = "set `data.header = true`, or give the column's number";
                    return Err(Error::refused(message).with_hint(hint));
                }
                _ => {}
            }
        }
        let [(_, a), (_, b), (_, label)] = self.columns();
        if a == b || a == label || b == label {
            return refuse(
                "`data.text_a`, `data.text_b` and `data.label` must be different columns",
            );
        }
        Ok(())
    }

    fn columns(&self) -> [(&'static str, &Column); 3] {
        [
            ("text_a", &self.text_a),
            ("text_b", &self.text_b),
            ("label", &self.label),
        ]
    }

    pub(super) fn quoting(&self) -> Quoting {
        match self.delimiter {
            '\t' => Quoting::Off, // TSV has no quoting; a lone `"` is a token
            _ => Quoting::On,
        }
    }

    /// `3 tab-separated fields`.
    fn fields(&self, number: impl std::fmt::Display) -> String {
        match self.delimiter {
            '\t' => format!("{number} tab-separated fields"),
            ',' => format!("{number} comma-separated fields"),
            other => format!("{number} fields separated by `{other}`"),
        }
    }
}

fn refuse(message: impl ToString) -> Result<()> {
    Err(Error::refused(message))
}

/// Where the columns of one file stand, counted from 0.
struct Layout {
    text_a: usize,
    text_b: usize,
    label: Option<usize>,
    width: usize,
    header: Option<csv::StringRecord>,
}

impl Layout {
    /// From the first row, which is the header or shows how many columns there are.
    fn new(table: &Table, format: &ExampleFormat, labels: Labels) -> Result<Self> {
        if format.header {
            Self::from_header(table, format, labels)
        } else {
            Self::from_width(table, format, labels)
        }
    }

    fn from_header(table: &Table, format: &ExampleFormat, labels: Labels) -> Result<Self> {
        let header = table.fields();
        let find = |column: &Column| match column {
            Column::Name(name) => header.iter().position(|field| field == name),
            Column::Number(number) => (*number <= header.len()).then_some(number - 1),
        };
        let missing = |key: &str, column: &Column| {
            let (field, expected) = match column {
                Column::Name(name) => (name.clone(), format!("a column `{name}`")),
                Column::Number(n) => (n.to_string(), format!("a column number {n}")),
            };
            let names: Vec<_> = header.iter().map(quoted).collect();
            let found = format!("the columns {}", names.join(", "));
            Error::input(table.place().field(field), expected, found)
                .with_hint(format!("set `data.{key}`, or `data.delimiter`"))
        };
        let [a, b, label] = format
            .columns()
            .map(|(key, column)| find(column).ok_or_else(|| missing(key, column)));
        let label = match labels {
            Labels::Required => Some(label.map_err(|error| {
                error.with_hint(format!("set `data.label`; {UNLABELLED_HINT}"))
            })?),
            Labels::Ignored | Labels::Optional => label.ok(),
        };
        Ok(Self {
            text_a: a?,
            text_b: b?,
            label,
            width: header.len(),
            header: Some(header.clone()),
        })
    }

    fn from_width(table: &Table, format: &ExampleFormat, labels: Labels) -> Result<Self> {
        let [a, b, label] = format.columns().map(|(_, column)| match column {
            Column::Number(number) => number - 1,
            Column::Name(_) => unreachable!("`check` refuses names without a header"),
        });
        let full = a.max(b).max(label) + 1;
        let width = table.fields().len();
        let without_label = |column: usize| column - usize::from(column > label);
        match labels {
            _ if width == full => Ok(Self {
                text_a: a,
                text_b: b,
                label: Some(label),
                width,
                header: None,
            }),
            Labels::Ignored | Labels::Optional if width + 1 == full => Ok(Self {
                text_a: without_label(a),
                text_b: without_label(b),
                label: None,
                width,
                header: None,
            }),
            Labels::Required => Err(wrong_width(table, format.fields(full), full)),
            Labels::Ignored | Labels::Optional => {
                let expected = format.fields(format_args!("{} or {full}", full - 1));
                Err(wrong_width(table, expected, full))
            }
        }
    }

    /// What the errors call a column: its name in the header, or its number.
    fn field_name(&self, column: usize) -> String {
        let name = self.header.as_ref().and_then(|header| header.get(column));
        name.map_or_else(|| (column + 1).to_string(), str::to_owned)
    }
}

/// A row of another width; `full` is the width with the label column.
fn wrong_width(table: &Table, expected: String, full: usize) -> Error {
    let width = table.fields().len();
    let hint = if width == 1 {
        "set `data.delimiter` to the character between the columns"
    } else if width + 1 == full {
        UNLABELLED_HINT
    } else {
        "a header names the columns of a wider table: `data.header`, `data.text_a`, `data.text_b`, `data.label`"
    };
    Error::input(table.place(), expected, width).with_hint(hint)
}

fn parse(
    path: &Path,
    bytes: &[u8],
    format: &ExampleFormat,
    labels: Labels,
    dictionary: &mut Dictionary,
) -> Result<ExampleFile> {
    let delimiter = u8::try_from(format.delimiter).expect("`check` wants an ASCII delimiter");
    let mut table = Table::new(path, bytes, delimiter, format.quoting());
    let no_rows = |found| Error::input(Place::file(path), "one pair of sentences or more", found);
    if !table.advance()? {
        return Err(no_rows("an empty file"));
    }
    let layout = Layout::new(&table, format, labels)?;
    if format.header && !table.advance()? {
        return Err(no_rows("a header only"));
    }
    let mut examples = Vec::new();
    loop {
        examples.push(parse_row(&table, &layout, format, labels, dictionary)?);
        if !table.advance()? {
            break;
        }
    }
    Ok(ExampleFile {
        path: path.to_owned(),
        examples,
        has_labels: layout.label.is_some(),
    })
}

fn parse_row(
    table: &Table,
    layout: &Layout,
    format: &ExampleFormat,
    labels: Labels,
    dictionary: &mut Dictionary,
) -> Result<Example> {
    let fields = table.fields();
    if fields.len() != layout.width {
        let expected = format.fields(layout.width);
        let error = Error::input(table.place(), expected, fields.len());
        let label_is_missing = layout.label.is_some() && fields.len() + 1 == layout.width;
        return Err(error.with_hint(match labels {
            Labels::Required if label_is_missing => UNLABELLED_HINT,
            _ => "every row of a file has the same columns, with a label or without",
        }));
    }
    let place = |column: usize| table.place().field(layout.field_name(column));
    let mut sentence =
        |column: usize| parse_sentence(&fields[column], format, dictionary, || place(column));
    Ok(Example {
        a: sentence(layout.text_a)?,
        b: Some(sentence(layout.text_b)?),
        target: match layout.label {
            Some(column) if labels != Labels::Ignored => {
                parse_label(&fields[column], || place(column))?.into()
            }
            _ => Target::Unknown,
        },
    })
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
        return Err(Error::input(
            place(),
            "a sentence of one token or more",
            "an empty sentence",
        ));
    }
    Ok(ids)
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

fn parse_label(field: &str, place: impl Fn() -> Place) -> Result<bool> {
    match field.trim() {
        "0" => Ok(false),
        "1" => Ok(true),
        other => {
            let error = Error::input(place(), "label 0 or 1", quoted(other));
            Err(if other.is_empty() {
                error.with_hint(UNLABELLED_HINT)
            } else {
                error
            })
        }
    }
}

#[cfg(test)]
mod tests;
