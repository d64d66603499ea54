//! Where the columns of one file stand.
//!
//! In: the first row of a table and an [`ExampleFormat`]. Out: a [`Layout`] by column numbers. With a header, columns that no key
//! names are found by their usual names, or refused: none is taken because of its place. Does not read the rows.

use super::super::column_names;
use super::super::format::{Column, ExampleFormat, LabelColumns};
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
        let texts = texts_of_header(table, format)?;
        let labels = match labels_of_header(table, format, &texts) {
            Ok(labels) => labels,
            Err(error) if labels_required => {
                let hint = format!("set `data.label`; {UNLABELLED_HINT}");
                return Err(error.with_hint(hint));
            }
            Err(_) => Vec::new(),
        };
        let columns: Vec<usize> = texts.iter().chain(&labels).copied().collect();
        require_names_once(table, format, (&texts, &labels))?;
        let keys = format.text_columns().into_iter().map(|(key, _)| key);
        let keys = keys.chain(labels.iter().map(|_| "label"));
        for (at, key) in keys.enumerate() {
            if columns[..at].contains(&columns[at]) {
                return Err(twice(table, columns[at], key));
            }
        }
        Ok(Self {
            text_a: texts[0],
            text_b: texts.get(1).copied(),
            labels,
            width: table.fields().len(),
            header: Some(table.fields().clone()),
        })
    }

    fn from_width(table: &Table, format: &ExampleFormat, labels_required: bool) -> Result<Self> {
        let place = |column: &Column| match column {
            Column::Number(number) => number - 1,
            Column::Name(_) => unreachable!("`check` refuses names without a header"),
        };
        let texts = format.text_columns();
        let texts = texts.iter().filter_map(|(_, column)| column.as_ref());
        let mut texts: Vec<usize> = texts.map(place).collect();
        let labels = format.label_columns().unwrap_or_default();
        let mut labels: Vec<usize> = labels.iter().map(place).collect();
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

    /// What the columns of a header were taken for, where no key names one of them.
    pub fn found_by_name(&self, format: &ExampleFormat) -> Option<String> {
        let is_set = |column: &Option<Column>| column.is_some();
        let texts_are_set =
            is_set(&format.text_a) && (self.text_b.is_none() || is_set(&format.text_b));
        let label_is_set = self.labels.is_empty() || format.label.is_some();
        if !format.header || texts_are_set && label_is_set {
            return None;
        }
        let name = |column: usize| quoted(&self.field_name(column));
        let second = self.text_b.map(|b| format!(" and {}", name(b)));
        let labels: Vec<String> = self.labels.iter().map(|&label| name(label)).collect();
        let label = match labels.is_empty() {
            true => "no label".to_owned(),
            false => format!("label {}", labels.join(", ")),
        };
        let (first, second) = (name(self.text_a), second.unwrap_or_default());
        Some(format!("text {first}{second}, {label}"))
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

/// The columns of the texts, under a header: those that keys name, the others by their usual names.
fn texts_of_header(table: &Table, format: &ExampleFormat) -> Result<Vec<usize>> {
    let names: Vec<&str> = table.fields().iter().collect();
    let mut set = Vec::new();
    for (key, column) in format.text_columns() {
        let find = |column: Column| find(table, key, &column);
        set.push(column.map(find).transpose()?);
    }
    let partner = |known: usize| column_names::partner(&names, known);
    let found = match set[..] {
        [Some(text)] => Some(vec![text]),
        [None] => column_names::single(&names).map(|text| vec![text]),
        [Some(a), Some(b)] => Some(vec![a, b]),
        [Some(a), None] => partner(a).map(|b| vec![a, b]),
        [None, Some(b)] => partner(b).map(|a| vec![a, b]),
        _ => column_names::pair(&names).map(|(a, b)| vec![a, b]),
    };
    found.ok_or_else(|| unnamed_texts(table, format, &set))
}

fn labels_of_header(table: &Table, format: &ExampleFormat, texts: &[usize]) -> Result<Vec<usize>> {
    let Some(columns) = format.label_columns() else {
        let names: Vec<&str> = table.fields().iter().collect();
        let label = column_names::label(&names, texts);
        return label.map(|label| vec![label]).ok_or_else(|| {
            let expected = "a label column with a usual name, such as `label`";
            Error::input(table.place(), expected, found_columns(table))
        });
    };
    let columns = columns.iter();
    columns.map(|column| find(table, "label", column)).collect()
}

/// Refuses names that come twice, but for columns that a key tells by their number. Of several labels [`super::label`] does.
fn require_names_once(
    table: &Table,
    format: &ExampleFormat,
    (texts, labels): (&[usize], &[usize]),
) -> Result<()> {
    let names: Vec<&str> = table.fields().iter().collect();
    let is_number = |column: &Option<Column>| matches!(column, Some(Column::Number(_)));
    let keys = format.text_columns();
    let texts = texts
        .iter()
        .zip(&keys)
        .filter(|(_, (_, set))| !is_number(set));
    let texts = texts.map(|(&column, (key, _))| (column, *key));
    let label = match &format.label {
        None | Some(LabelColumns::One(Column::Name(_))) => labels.first(),
        Some(_) => None,
    };
    for (column, key) in texts.chain(label.map(|&column| (column, "label"))) {
        column_names::require_once(&names, column, key, table.place())?;
    }
    Ok(())
}

/// The column that a key names, under a header.
fn find(table: &Table, key: &str, column: &Column) -> Result<usize> {
    let header = table.fields();
    let position = match column {
        Column::Name(name) => header.iter().position(|field| field == name),
        Column::Number(number) => (*number <= header.len()).then_some(number - 1),
    };
    position.ok_or_else(|| missing(table, key, column))
}

fn found_columns(table: &Table) -> String {
    let names: Vec<_> = table.fields().iter().map(quoted).collect();
    format!("the columns {}", names.join(", "))
}

fn missing(table: &Table, key: &str, column: &Column) -> Error {
    let (field, expected) = match column {
        Column::Name(name) => (name.clone(), format!("a column `{name}`")),
        Column::Number(n) => (n.to_string(), format!("a column number {n}")),
    };
    Error::input(table.place().field(field), expected, found_columns(table))
        .with_hint(format!("set `data.{key}`, or `data.delimiter`"))
}

/// Texts that no key names and no usual name either; `set` holds those that a key names.
fn unnamed_texts(table: &Table, format: &ExampleFormat, set: &[Option<usize>]) -> Error {
    let (expected, hint) = match (format.kind, set) {
        (TextKind::Single, _) => (
            "a text column with a usual name, such as `text`",
            "set `data.text_a` to the name of the text column",
        ),
        (TextKind::Pair, [None, None]) => (
            "two text columns with usual names, such as `text_a` and `text_b`",
            "set `data.text_a` and `data.text_b` to the names of the text columns; one text a row is \
             `task.kind = \"single\"`",
        ),
        (TextKind::Pair, [None, _]) => (
            "a first text column with a usual name, such as `text_a`",
            "set `data.text_a` to the name of the first text column",
        ),
        (TextKind::Pair, _) => (
            "a second text column with a usual name, such as `text_b`",
            "set `data.text_b` to the name of the second text column; one text a row is `task.kind = \"single\"`",
        ),
    };
    let hint = match table.fields().len() {
        1 => "set `data.delimiter` to the character between the columns",
        _ => hint,
    };
    Error::input(table.place(), expected, found_columns(table)).with_hint(hint)
}

/// One column for two keys, the second of which is `key`.
fn twice(table: &Table, column: usize, key: &str) -> Error {
    let name = table.fields().get(column).unwrap_or_default();
    let expected = format!("a column of its own for `data.{key}`");
    let found = format!("{}, which has another use already", quoted(name));
    Error::input(table.place().field(name), expected, found)
        .with_hint(format!("set `data.{key}` to another column"))
}

/// A row of another width; `bare` is the width without labels.
fn wrong_width(table: &Table, format: &ExampleFormat, expected: String, bare: usize) -> Error {
    let width = table.fields().len();
    let label_beyond = match &format.label {
        Some(LabelColumns::One(Column::Number(label))) => {
            Some(label).filter(|label| **label > width)
        }
        _ => None,
    };
    let hint = match (width, format.kind) {
        _ if width > 1
            && let Some(label) = label_beyond =>
        {
            format!(
                "`data.label` is {label}: set it to a column from 1 to {width}; {UNLABELLED_HINT}"
            )
        }
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
