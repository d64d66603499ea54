//! Tables with delimiters, row by row, with line numbers that hold.
//!
//! In: the bytes of a TSV or CSV file. Out: rows of text fields and the line each begins on. A byte order mark, CRLF and CR
//! alone are accepted. Does not know what the columns mean.

use std::path::Path;

use csv::{ErrorKind, StringRecord};

use crate::error::{Error, Place, Result};

/// Whether a field may stand in double quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quoting {
    /// A quote is a character like any other.
    Off,
    /// RFC 4180.
    On,
}

/// Rows of one file.
pub struct Table<'a> {
    path: &'a Path,
    bytes: &'a [u8],
    reader: csv::Reader<&'a [u8]>,
    record: StringRecord,
    /// Bytes whose line breaks are counted in `line`.
    counted: usize,
    line: u64,
    passes_empty_lines: bool,
}

impl<'a> Table<'a> {
    /// Begins at the first row of `bytes`; `path` names the file in errors.
    pub fn new(path: &'a Path, bytes: &'a [u8], delimiter: u8, quoting: Quoting) -> Self {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(delimiter)
            .quoting(quoting == Quoting::On)
            .from_reader(bytes);
        Self {
            path,
            bytes,
            reader,
            record: StringRecord::new(),
            counted: 0,
            line: 1,
            passes_empty_lines: false,
        }
    }

    /// The same with empty lines passed over: in text of no rows they say nothing.
    pub fn passing_empty_lines(self) -> Self {
        Self {
            passes_empty_lines: true,
            ..self
        }
    }

    /// Goes to the next row; false at the end. Empty lines at the end of the file are ignored.
    ///
    /// # Errors
    /// [`Error::Input`] for a field that is not UTF-8, and for an empty line before the last row unless such are passed over.
    pub fn advance(&mut self) -> Result<bool> {
        let before = self.reader.position().byte() as usize;
        let outcome = self.reader.read_record(&mut self.record);
        if !matches!(outcome, Ok(false)) {
            self.begin_row(before)?;
        }
        outcome.map_err(|error| self.unreadable(&error))
    }

    /// Fields of this row.
    pub fn fields(&self) -> &StringRecord {
        &self.record
    }

    /// Where this row begins.
    pub fn place(&self) -> Place {
        Place::line(self.path, self.line)
    }

    /// The csv reader passes over line ends lazily: a record's position may lie before the `\n` of
    /// the row above, and before empty lines. Count from the bytes instead.
    fn begin_row(&mut self, before: usize) -> Result<()> {
        let breaks = self.bytes[before..]
            .iter()
            .take_while(|byte| matches!(byte, b'\r' | b'\n'));
        let begin = before + breaks.count();
        self.line += line_ends(&self.bytes[self.counted..begin]);
        self.counted = begin;
        // The reader has passed over the `\r` of the row above, and not yet over its `\n`.
        let ends_above = before > 0 && self.bytes[before - 1..].starts_with(b"\r\n");
        let empty = line_ends(&self.bytes[before..begin]) - u64::from(ends_above);
        if empty > 0 && !self.passes_empty_lines {
            let place = Place::line(self.path, self.line - empty);
            return Err(Error::input(place, "a row", "an empty line").with_hint(
                "remove the line; where it is a row without text, write a token there",
            ));
        }
        Ok(())
    }

    fn unreadable(&self, error: &csv::Error) -> Error {
        match error.kind() {
            ErrorKind::Utf8 { err, .. } => {
                Error::input(self.place().field(err.field() + 1), "UTF-8", "other bytes")
                    .with_hint("save the file as UTF-8")
            }
            _ => Error::Unexpected(format!("{}: {error}", self.path.display())),
        }
    }
}

/// Lines that end in `bytes`, each with `\n`, `\r\n`, or `\r` alone.
fn line_ends(bytes: &[u8]) -> u64 {
    let next = bytes.iter().skip(1).chain([&0]);
    let ends = bytes.iter().zip(next);
    ends.filter(|&(&byte, &next)| byte == b'\n' || (byte == b'\r' && next != b'\n'))
        .count() as u64
}

/// Input text as it stands in an error: in backquotes, cut after 40 characters, `nothing` where it is empty.
pub fn quoted(text: &str) -> String {
    match text.char_indices().nth(40) {
        Some((end, _)) => format!("`{}…`", &text[..end]),
        None if text.is_empty() => "nothing".to_owned(),
        None => format!("`{text}`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `line:field|field` of each row, then the error if there is one.
    fn rows(bytes: &[u8], quoting: Quoting) -> Vec<String> {
        let mut table = Table::new(Path::new("t"), bytes, b'\t', quoting);
        let mut rows = Vec::new();
        loop {
            match table.advance() {
                Ok(true) => {
                    let fields: Vec<_> = table.fields().iter().collect();
                    rows.push(format!("{}={}", table.place(), fields.join("|")));
                }
                Ok(false) => return rows,
                Err(error) => {
                    rows.push(error.to_string());
                    return rows;
                }
            }
        }
    }

    #[test]
    fn lines_are_counted_whatever_ends_them() {
        let expected = ["t:1=a|b", "t:2=c|d", "t:3=e|f"];
        assert_eq!(rows(b"a\tb\nc\td\ne\tf", Quoting::Off), expected);
        assert_eq!(rows(b"a\tb\r\nc\td\r\ne\tf\r\n", Quoting::Off), expected);
        assert_eq!(rows(b"a\tb\rc\td\re\tf\r", Quoting::Off), expected);
        assert_eq!(rows(b"a\tb\rc\td\r\ne\tf\n\r", Quoting::Off), expected);
        let with_mark = b"\xef\xbb\xbfa\tb\r\nc\td\ne\tf\n\n\r\n";
        assert_eq!(rows(with_mark, Quoting::Off), expected);
    }

    #[test]
    fn a_quoted_line_break_counts() {
        assert_eq!(
            rows(b"\"a\nb\"\t1\nc\t\"d\"\n", Quoting::On),
            ["t:1=a\nb|1", "t:3=c|d"]
        );
        assert_eq!(
            rows(b"\"a\t1\nc\"\t2\n", Quoting::Off),
            ["t:1=\"a|1", "t:2=c\"|2"]
        );
    }

    #[test]
    fn empty_line() {
        assert_eq!(
            rows(b"\na\n", Quoting::Off),
            ["t:1: expected a row, found an empty line"]
        );
        for bytes in [
            &b"a\n\n\nb\n"[..],
            b"a\r\n\r\n\r\nb\r\n",
            b"a\n\r\n\nb",
            b"a\r\r\rb\r",
        ] {
            assert_eq!(
                rows(bytes, Quoting::Off),
                ["t:1=a", "t:2: expected a row, found an empty line"]
            );
        }
    }

    #[test]
    fn not_utf8() {
        assert_eq!(
            rows(b"a\tb\r\na\t\xc4\xe3\n", Quoting::Off),
            ["t:1=a|b", "t:2:2: expected UTF-8, found other bytes"]
        );
    }

    #[test]
    fn found_text_is_cut() {
        assert_eq!(quoted("x"), "`x`");
        assert_eq!(quoted(""), "nothing");
        assert_eq!(quoted(&"语".repeat(41)), format!("`{}…`", "语".repeat(40)));
    }
}
