//! Where the columns of one file stand.
//!
//! In: the first row of a table and an [`ExampleFormat`]. Out: a [`Layout`] by column numbers. Does not read the rows.

use super::super::format::{Column, ExampleFormat};
use super::super::table::{Table, quoted};
use super::super::task::TextKind;
use super::UNLABELLED_HINT;
use crate::error::{Error, Result};

/// Columns of one file, counted from 0.
pub(super) struct Layout {
    pub text_a: usize,
    pub text_b: Option<usize>,
    /// The column of the label, or those of the classes; empty where the file has none.
    pub labels: Vec<usize>,
    pub width: usize,
    header: Option<csv::StringRecord>,
}

impl Layout {
    /// From the first row, which is the header or shows how many columns there are.
    pub fn new(table: &Table, format: &ExampleFormat, labels_required: bool) -> Result<Self> {
        if format.header {
            Self::from_header(table, format, labels_required)
        } else {
            Self::from_width(table, format, labels_required)
        }
    }

    fn from_header(table: &Table, format: &ExampleFormat, labels_required: bool) -> Result<Self> {
        let header = table.fields();
        let find = |key: &str, column: &Column| {
            let position = match column {
                Column::Name(name) => header.iter().position(|field| field == name),
                Column::Number(number) => (*number <= header.len()).then_some(number - 1),
            };
            position.ok_or_else(|| missing(table, key, column))
        };
        let labels = format.label_columns();
        let labels = labels.iter().map(|column| find("label", column));
        let labels: Result<Vec<usize>> = labels.collect();
        let labels = match labels {
            Ok(labels) => labels,
            Err(error) if labels_required => {
                let hint = format!("set `data.label`; {UNLABELLED_HINT}");
                return Err(error.with_hint(hint));
            }
            Err(_) => Vec::new(),
        };
        let mut texts = Vec::new();
        for (key, column) in format.text_columns() {
            texts.push(find(key, column)?);
        }
        Ok(Self {
            text_a: texts[0],
            text_b: texts.get(1).copied(),
            labels,
            width: header.len(),
            header: Some(header.clone()),
        })
    }

    fn from_width(table: &Table, format: &ExampleFormat, labels_required: bool) -> Result<Self> {
        let place = |column: &Column| match column {
            Column::Number(number) => number - 1,
            Column::Name(_) => unreachable!("`check` refuses names without a header"),
        };
        let texts = format.text_columns();
        let mut texts: Vec<usize> = texts.iter().map(|(_, column)| place(column)).collect();
        let mut labels: Vec<usize> = format.label_columns().iter().map(place).collect();
        let last = texts.iter().chain(&labels).max().expect("a text at least");
        let full = last + 1;
        let bare = full - labels.len();
        let width = table.fields().len();
        if width == bare && !labels_required {
            let before = |column: usize| labels.iter().filter(|&&label| label < column).count();
            texts = texts.iter().map(|&text| text - before(text)).collect();
            labels.clear();
        } else if width != full {
            let expected = if labels_required {
                format.fields(full)
            } else {
                format.fields(format_args!("{bare} or {full}"))
            };
            return Err(wrong_width(table, format, expected, bare));
        }
        Ok(Self {
            text_a: texts[0],
            text_b: texts.get(1).copied(),
            labels,
            width,
            header: None,
        })
    }

    /// A column's name in the header.
    pub fn header_name(&self, column: usize) -> Option<&str> {
        self.header.as_ref().and_then(|header| header.get(column))
    }

    /// What the errors call a column: its name in the header, or its number.
    pub fn field_name(&self, column: usize) -> String {
        let name = self.header_name(column);
        name.map_or_else(|| (column + 1).to_string(), str::to_owned)
    }
}

fn missing(table: &Table, key: &str, column: &Column) -> Error {
    let (field, expected) = match column {
        Column::Name(name) => (name.clone(), format!("a column `{name}`")),
        Column::Number(n) => (n.to_string(), format!("a column number {n}")),
    };
    let names: Vec<_> = table.fields().iter().map(quoted).collect();
    let found = format!("the columns {}", names.join(", "));
    Error::input(table.place().field(field), expected, found)
        .with_hint(format!("set `data.{key}`, or `data.delimiter`"))
}

/// A row of another width; `bare` is the width without labels.
fn wrong_width(table: &Table, format: &ExampleFormat, expected: String, bare: usize) -> Error {
    let width = table.fields().len();
    let hint = match (width, format.kind) {
        (2, TextKind::Pair) if bare == 2 => {
            format!("{UNLABELLED_HINT}; one text and its label is `task.kind = \"single\"`")
        }
        _ if width == bare => UNLABELLED_HINT.to_owned(),
        (1, _) => "set `data.delimiter` to the character between the columns".to_owned(),
        _ => {
            let texts = format.text_columns();
            let keys = texts.iter().map(|(key, _)| format!("`data.{key}`, "));
            let keys: String = keys.collect();
            format!(
                "a header names the columns of a wider table: `data.header`, {keys}`data.label`"
            )
        }
    };
    Error::input(table.place(), expected, width).with_hint(hint)
}
