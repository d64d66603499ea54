//! The shape of a task's files: which columns hold texts and labels, and how they are written.
//!
//! In: `[data]` and `[task]` of an experiment. Out: an [`ExampleFormat`] whose keys agree with each other. Does not read
//! files.

use std::path::Path;

use super::dictionary::TokenKind;
use super::table::{Quoting, Table};
use super::task::{LabelKind, TextKind};
use crate::error::{Error, Result};

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
    /// One column a class, each 0 or 1 ([`LabelKind::Multilabel`] only).
    Several(Vec<Column>),
}

impl From<Column> for LabelColumns {
    fn from(column: Column) -> Self {
        Self::One(column)
    }
}

/// The shape of a task's files (all files of an experiment share it). The keys sit under `[data]` of the experiment file,
/// `kind` and `labels` under `[task]`.
///
/// A file without a header has no other columns than these. One without its label columns has fewer, and those
/// behind them move up. With a header, columns are found by their usual names ([`super::column_names`]) where no key names
/// them, and further columns are ignored.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ExampleFormat {
    /// Texts of a row; default two.
    pub kind: TextKind,
    /// What a label is; default 0 or 1.
    pub labels: LabelKind,
    /// One ASCII character; default tab. Any other than tab lets fields stand in double quotes.
    pub delimiter: char,
    /// First line holds column names; default false.
    pub header: bool,
    /// First text; `None` (default) for column 1, or with a header for the one with a usual name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text_a: Option<Column>,
    /// Second text; `None` (default) for column 2, or with a header for the one with a usual name. Not looked at where a row
    /// has one text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text_b: Option<Column>,
    /// The label; `None` (default) for the column behind the texts: 3 for pairs, 2 for single texts; with a header for the one
    /// with a usual name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<LabelColumns>,
    /// Between several labels in one column; default a comma. An empty field has none of them.
    pub label_separator: String,
    /// Between tokens of a sentence; default one space.
    pub token_separator: String,
    /// Default numbers.
    pub tokens: TokenKind,
}

impl Default for ExampleFormat {
    fn default() -> Self {
        Self {
            kind: TextKind::Pair,
            labels: LabelKind::Binary,
            delimiter: '\t',
            header: false,
            text_a: None,
            text_b: None,
            label: None,
            label_separator: ",".to_owned(),
            token_separator: " ".to_owned(),
            tokens: TokenKind::Number,
        }
    }
}

/// A delimiter that stands in no text: the unit separator of ASCII.
const BETWEEN_NOTHING: char = '\u{1f}';

impl ExampleFormat {
    /// Of a file of one text a line, its tokens written as here. A delimiter such as a comma is part of a text there, and a text may stand
    /// in quotes where it may here.
    pub fn one_a_line(&self) -> Self {
        let default = Self::default();
        Self {
            kind: TextKind::Single,
            delimiter: match self.delimiter {
                '\t' => '\t',
                _ => BETWEEN_NOTHING,
            },
            text_a: Some(Column::Number(1)),
            token_separator: self.token_separator.clone(),
            tokens: self.tokens,
            ..default
        }
    }

    /// Whether the keys agree with each other.
    ///
    /// # Errors
    /// [`Error::Refused`] naming the key.
    pub fn check(&self) -> Result<()> {
        if !self.delimiter.is_ascii() || matches!(self.delimiter, '\n' | '\r' | '"') {
            let found = self.delimiter.escape_default();
            let message = format!("`data.delimiter` must be one ASCII character, not `{found}`");
            let hint = "a tab is \"\\t\", a comma \",\"";
            return Err(Error::refused(message).with_hint(hint));
        }
        self.check_separator("token_separator", &self.token_separator)?;
        self.check_labels()?;
        let columns = self.columns();
        for (key, column) in &columns {
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
        match self.repeated_column() {
            Some((_, key, _)) => {
                let texts = match self.kind {
                    TextKind::Pair => "`data.text_a`, `data.text_b`",
                    TextKind::Single => "`data.text_a`",
                };
                let message = format!("{texts} and `data.label` must be different columns");
                let hint = format!("set `data.{key}` to another column");
                Err(Error::refused(message).with_hint(hint))
            }
            None => Ok(()),
        }
    }

    /// Two keys of one column, the column last; none where each has its own.
    pub fn repeated_column(&self) -> Option<(&'static str, &'static str, Column)> {
        let columns = self.columns();
        let mut each = columns.iter().enumerate();
        each.find_map(|(at, (key, column))| {
            let mut before = columns[..at].iter();
            let (first, _) = before.find(|(_, other)| other == column)?;
            Some((*first, *key, column.clone()))
        })
    }

    fn check_labels(&self) -> Result<()> {
        let in_columns = match &self.label {
            Some(LabelColumns::Several(columns)) if columns.is_empty() => {
                return refuse("`data.label` is an empty list of columns");
            }
            Some(LabelColumns::Several(_)) => true,
            _ => false,
        };
        match self.labels {
            LabelKind::Multilabel if in_columns => Ok(()),
            LabelKind::Multilabel => self.check_separator("label_separator", &self.label_separator),
            other if in_columns => Err(Error::refused(format!(
                "`data.label` is a list of columns with task.labels = \"{}\"",
                other.name()
            ))
            .with_hint("set `task.labels = \"multilabel\"`, or name one column")),
            _ => Ok(()),
        }
    }

    fn check_separator(&self, key: &str, separator: &str) -> Result<()> {
        if separator.is_empty() {
            return refuse(format!("`data.{key}` must not be empty"));
        }
        if self.quoting() == Quoting::Off && separator.contains(self.delimiter) {
            return refuse(format!("`data.{key}` must not hold `data.delimiter`"));
        }
        Ok(())
    }

    /// The columns of the texts and of the label that are known without a look at the file, with their keys, in this order.
    fn columns(&self) -> Vec<(&'static str, Column)> {
        let texts = self.text_columns().into_iter();
        let texts = texts.filter_map(|(key, column)| Some((key, column?)));
        let labels = self.label_columns().into_iter().flatten();
        texts
            .chain(labels.map(|column| ("label", column)))
            .collect()
    }

    /// The one or two columns of the texts, with their keys; none for one that a header has to tell.
    pub(super) fn text_columns(&self) -> Vec<(&'static str, Option<Column>)> {
        let keys = [("text_a", &self.text_a), ("text_b", &self.text_b)].into_iter();
        let numbered = (1..).zip(keys.take(self.kind.n_texts()));
        numbered
            .map(|(number, (key, column))| {
                let by_place = (!self.header).then_some(Column::Number(number));
                (key, column.clone().or(by_place))
            })
            .collect()
    }

    /// The column of the label, or those of the classes; none where a header has to tell.
    pub(super) fn label_columns(&self) -> Option<Vec<Column>> {
        match &self.label {
            None if self.header => None,
            None => Some(vec![Column::Number(self.kind.n_texts() + 1)]),
            Some(LabelColumns::One(column)) => Some(vec![column.clone()]),
            Some(LabelColumns::Several(columns)) => Some(columns.clone()),
        }
    }

    /// The rows of a file's bytes; `path` names it in errors.
    ///
    /// # Panics
    /// Where the delimiter is not one that [`ExampleFormat::check`] lets pass.
    pub fn table<'a>(&self, path: &'a Path, bytes: &'a [u8]) -> Table<'a> {
        let delimiter = u8::try_from(self.delimiter).expect("`check` wants an ASCII delimiter");
        Table::new(path, bytes, delimiter, self.quoting())
    }

    fn quoting(&self) -> Quoting {
        match self.delimiter {
            '\t' => Quoting::Off, // TSV has no quoting; a lone `"` is a token
            _ => Quoting::On,
        }
    }

    /// `3 tab-separated fields`.
    pub fn fields(&self, number: impl std::fmt::Display) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delimiter_is_part_of_a_text_of_one_a_line() {
        let commas = ExampleFormat {
            delimiter: ',',
            header: true,
            text_a: Some(Column::Name("left".to_owned())),
            tokens: TokenKind::Text,
            ..ExampleFormat::default()
        };
        let lines = commas.one_a_line();
        assert_eq!((lines.delimiter, lines.header), ('\u{1f}', false));
        assert_eq!(
            (lines.kind, lines.tokens),
            (TextKind::Single, TokenKind::Text)
        );
        lines.check().expect("keys that agree");
        let tabs = ExampleFormat {
            token_separator: "\t".to_owned(),
            ..commas.clone()
        };
        let lines = tabs.one_a_line();
        assert_eq!(&*lines.token_separator, "\t");
        lines.check().expect("keys that agree");
        let path = Path::new("texts");
        let mut table = commas.one_a_line().table(path, b"a, b\n\"a, b\"\n");
        for _ in 0..2 {
            assert!(table.advance().expect("a row"));
            assert_eq!(table.fields(), vec!["a, b"]);
        }
        assert_eq!(ExampleFormat::default().one_a_line().delimiter, '\t');
    }
}
