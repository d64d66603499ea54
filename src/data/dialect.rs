//! How files of rows are written, as far as their bytes tell: delimiter, header, token separator, numbers or strings.
//!
//! In: the first rows of the files of one task, and the keys that stand because somebody set them. Out: a [`Dialect`], and why.
//! Looks at a thousand rows of each file; a row behind them that is written otherwise is for the reader to refuse. Does not
//! decide which column is what.
//!
//! The sniffer of the registry (qsv-sniffer 0.12) found a header in each of three files that have none, and knows no tokens inside
//! a field, so the rules are here:
//! 1. The delimiter is a tab, comma, semicolon or `|` that cuts every row of a file into equally many fields; one row in ten may be
//!    broken. No file is wider than one column: the setting stands.
//! 2. The first row is a header where it has no numbers above a column of numbers, or names that are usual; not where it has numbers and
//!    such names are tokens of the rows below.
//! 3. Tokens are numbers where half of the rows of a column have two of them or more with the same separator between; else strings,
//!    where half of the rows have two words or more. Numbers with further characters around them are no strings: in brackets, as lists
//!    are printed, they are refused here, and with spaces by the reader. As strings, `[1` and `1` would be two tokens.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::column_names;
use super::dictionary::TokenKind;
use super::format::ExampleFormat;
use super::source;
use crate::error::{Error, Place, Result};

/// What may stand between columns, the likeliest first.
const DELIMITERS: [char; 4] = ['\t', ',', ';', '|'];
/// What may stand between tokens, the likeliest first.
const SEPARATORS: [&str; 9] = [", ", " ", "|", ",", "_", "-", ";", "/", ":"];
/// Rows of a file that are looked at.
const ROWS: usize = 1000;

/// How rows are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dialect {
    /// Between columns.
    pub delimiter: char,
    /// The first row holds names.
    pub header: bool,
    /// Between tokens.
    pub token_separator: String,
    /// Numbers or strings.
    pub tokens: TokenKind,
    /// `tab-separated (3, 2 fields a row), no header (the first row is like the rest), numbers with a space between`
    pub why: String,
}

impl Dialect {
    /// `format` with what was found.
    pub fn in_format(&self, format: ExampleFormat) -> ExampleFormat {
        ExampleFormat {
            delimiter: self.delimiter,
            header: self.header,
            token_separator: self.token_separator.clone(),
            tokens: self.tokens,
            ..format
        }
    }
}

/// The first rows of a file as one delimiter cuts them.
struct Sample<'a> {
    path: &'a Path,
    rows: Vec<Vec<String>>,
    /// Fields that most rows have.
    width: usize,
    /// Share of the rows that have as many, 0 to 1.
    share: f64,
}

/// The dialect of files that are read alike. `is_set` says of `delimiter`, `header`, `token_separator` and `tokens` whether
/// the value in `format` stands.
///
/// # Errors
/// [`Error::Io`] and [`Error::Input`] for a file that cannot be read; [`Error::Input`] where some files have a header and others
/// have none.
pub fn detect(
    files: &[PathBuf],
    format: &ExampleFormat,
    is_set: &dyn Fn(&str) -> bool,
) -> Result<Dialect> {
    let contents = files.iter().map(|path| source::read(path));
    let contents: Vec<_> = contents.collect::<Result<_>>()?;
    let contents = files
        .iter()
        .map(PathBuf::as_path)
        .zip(contents.iter().map(AsRef::as_ref));
    of_contents(&contents.collect::<Vec<_>>(), format, is_set)
}

/// Delimiter and header of a table of plain text. Such text is full of commas, so its name has to say that something else than a
/// tab stands between columns: `.csv`, or `.csv.gz`.
///
/// # Errors
/// As [`detect`].
pub fn of_plain_text(path: &Path, bytes: &[u8]) -> Result<(char, bool)> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let is_csv = name.trim_end_matches(".gz").ends_with(".csv");
    let is_set = |key: &str| key == "tokens" || key == "delimiter" && !is_csv;
    let dialect = of_contents(&[(path, bytes)], &ExampleFormat::default(), &is_set)?;
    Ok((dialect.delimiter, dialect.header))
}

fn of_contents(
    files: &[(&Path, &[u8])],
    format: &ExampleFormat,
    is_set: &dyn Fn(&str) -> bool,
) -> Result<Dialect> {
    let mut each = files.iter();
    if let Some((path, _)) = each.find(|(_, bytes)| is_json(bytes)) {
        let expected = "a table: one row a line, with a tab or a comma between columns";
        return Err(Error::input(Place::line(*path, 1), expected, "JSON")
            .with_hint("JSON is not read: write its texts and labels as columns, such as CSV with a header"));
    }
    let samples = |delimiter: char| -> Vec<Sample<'_>> {
        let files = files.iter();
        let samples = files.map(|(path, bytes)| Sample::new(path, bytes, delimiter, format));
        samples.collect()
    };
    let delimiter = match is_set("delimiter") {
        true => None,
        false => find_delimiter(&samples),
    };
    let delimiter = delimiter.unwrap_or(format.delimiter);
    let samples = samples(delimiter);
    let (header, header_why) = match is_set("header") {
        true => (format.header, "as set"),
        false => find_header(&samples)?,
    };
    let fields = Columns::of(&samples, usize::from(header));
    let found = fields.tokens(format, is_set);
    let (tokens, token_separator) =
        found.unwrap_or_else(|| (format.tokens, format.token_separator.clone()));
    if tokens == TokenKind::Text && !is_set("tokens") && fields.are_lists(&token_separator) {
        let place = files.first().map_or_else(
            || Place::file(""),
            |(path, _)| Place::line(*path, 1 + u64::from(header)),
        );
        let expected = "numbers with a separator between";
        return Err(Error::input(place, expected, "lists in brackets")
            .with_hint("write the numbers without brackets: 1 2 3"));
    }
    let widths: Vec<String> = samples.iter().map(|file| file.width.to_string()).collect();
    let kind = match tokens {
        TokenKind::Number => "numbers",
        TokenKind::Text => "strings",
    };
    let why = format!(
        "{} ({} fields a row), {} header ({header_why}), {kind} with {} between",
        separated_by(delimiter),
        widths.join(", "),
        if header { "a" } else { "no" },
        shown(&token_separator)
    );
    Ok(Dialect {
        delimiter,
        header,
        token_separator,
        tokens,
        why,
    })
}

/// Whether a file begins as JSON of objects does: an object a line, a list of them, or either over several lines. A list of numbers is
/// none.
fn is_json(bytes: &[u8]) -> bool {
    use serde_json::Value;
    let bytes = bytes
        .strip_prefix(b"\xef\xbb\xbf")
        .unwrap_or(bytes)
        .trim_ascii_start();
    if !matches!(bytes.first(), Some(b'{' | b'[')) {
        return false;
    }
    let line = bytes
        .split(|&byte| byte == b'\n')
        .next()
        .unwrap_or_default();
    match serde_json::from_slice(line) {
        Ok(Value::Object(_)) => true,
        Ok(Value::Array(values)) => values.iter().any(Value::is_object),
        Ok(_) => false,
        Err(_) => matches!(line.trim_ascii_end(), b"{" | b"[" | b"[{"),
    }
}

/// `tab-separated`, as people say it.
fn separated_by(delimiter: char) -> String {
    match delimiter {
        '\t' => "tab-separated".to_owned(),
        ',' => "comma-separated".to_owned(),
        other => format!("separated by `{}`", other.escape_default()),
    }
}

fn shown(separator: &str) -> String {
    match separator {
        " " => "a space".to_owned(),
        other => format!("`{}`", other.escape_default()),
    }
}

/// The delimiter by rule 1; one that holds for every row stands before one that most rows have.
fn find_delimiter<'a>(samples: &dyn Fn(char) -> Vec<Sample<'a>>) -> Option<char> {
    let mut found = None;
    for delimiter in DELIMITERS {
        let samples = samples(delimiter);
        let least = samples.iter().map(|file| file.share).fold(1.0, f64::min);
        let cuts = samples.iter().any(|file| file.width > 1);
        if cuts && least == 1.0 {
            return Some(delimiter);
        }
        if cuts && least >= 0.9 {
            found = found.or(Some(delimiter));
        }
    }
    found
}

/// Whether the files have a header, and why: rule 2.
fn find_header(samples: &[Sample]) -> Result<(bool, &'static str)> {
    let mut found: Option<(&Path, (bool, &'static str))> = None;
    for sample in samples.iter().filter(|sample| !sample.rows.is_empty()) {
        let this = sample.header();
        match found {
            None => found = Some((sample.path, this)),
            Some((first, (header, _))) if header != this.0 => {
                let (with, without) = match header {
                    true => (first, sample.path),
                    false => (sample.path, first),
                };
                let expected = format!("a header, as {} has one", with.display());
                let error = Error::input(Place::line(without, 1), expected, "a row of tokens");
                return Err(error.with_hint(
                    "all files of a task are read alike: give each the same header, or set `data.header`",
                ));
            }
            Some(_) => {}
        }
    }
    Ok(found.map_or((false, "there are no rows"), |(_, header)| header))
}

impl<'a> Sample<'a> {
    fn new(path: &'a Path, bytes: &[u8], delimiter: char, format: &ExampleFormat) -> Self {
        let format = ExampleFormat {
            delimiter,
            ..format.clone()
        };
        let mut table = format.table(path, bytes);
        let mut rows: Vec<Vec<String>> = Vec::new();
        // What cannot be read as a table is for the reader to refuse.
        while rows.len() < ROWS && table.advance().unwrap_or(false) {
            rows.push(table.fields().iter().map(str::to_owned).collect());
        }
        let mut rows_of: BTreeMap<usize, usize> = BTreeMap::new();
        for row in &rows {
            *rows_of.entry(row.len()).or_default() += 1;
        }
        let widths = rows_of.into_iter().map(|(width, n)| (n, width));
        let (most, width) = widths.max().unwrap_or((0, 0));
        Self {
            path,
            width,
            share: match rows.len() {
                0 => 1.0,
                n => most as f64 / n as f64,
            },
            rows,
        }
    }

    fn header(&self) -> (bool, &'static str) {
        let (first, rest) = self.rows.split_first().expect("a file with rows");
        let names: Vec<&str> = first.iter().map(String::as_str).collect();
        let usual = column_names::pair(&names).is_some() || column_names::single(&names).is_some();
        let has_numbers = first.iter().any(|field| is_numeric(field));
        // Cipher tokens may look like a usual name: `a`, `b`.
        let is_token = |(column, name): (usize, &String)| {
            let mut fields = rest.iter().filter_map(|row| row.get(column));
            !is_numeric(name)
                && fields.any(|field| field.split_whitespace().any(|token| token == name))
        };
        let has_tokens = has_numbers && first.iter().enumerate().any(is_token);
        // One row of one column may be a text of one word: `question`.
        let is_enough = !rest.is_empty() || names.len() > 1 && !has_numbers;
        if usual && !has_tokens && is_enough {
            return (true, "usual names in the first row");
        }
        let below = |column: usize| {
            let mut fields = rest.iter().filter_map(|row| row.get(column));
            !rest.is_empty() && fields.all(|field| is_numeric(field))
        };
        let is_named = !has_numbers && (0..first.len()).any(below);
        match is_named {
            true => (true, "words above numbers"),
            false => (false, "the first row is like the rest"),
        }
    }
}

/// Numbers, with whatever stands between them.
fn is_numeric(field: &str) -> bool {
    let has_digit = field.chars().any(|c| c.is_ascii_digit());
    has_digit && !field.chars().any(char::is_alphabetic)
}

/// The fields of each column of each file, without headers.
struct Columns<'a>(Vec<Vec<&'a str>>);

impl<'a> Columns<'a> {
    fn of(samples: &'a [Sample<'_>], n_headers: usize) -> Self {
        let columns = samples.iter().flat_map(|sample| {
            let rows = sample.rows.get(n_headers..).unwrap_or_default();
            (0..sample.width).map(move |column| {
                let fields = rows.iter().filter_map(|row| row.get(column));
                fields.map(String::as_str).collect()
            })
        });
        Self(columns.collect())
    }

    /// Kind and separator by rule 3; `None` where no column tells.
    fn tokens(
        &self,
        format: &ExampleFormat,
        is_set: &dyn Fn(&str) -> bool,
    ) -> Option<(TokenKind, String)> {
        use Part::{Number, PaddedNumber, Word};
        let kinds = match (is_set("tokens"), format.tokens) {
            (true, TokenKind::Number) => vec![Number, PaddedNumber],
            (true, TokenKind::Text) => vec![Word],
            (false, _) => vec![Number, PaddedNumber, Word],
        };
        let separators: Vec<&str> = match is_set("token_separator") {
            true => vec![&format.token_separator],
            false => SEPARATORS.to_vec(),
        };
        kinds.into_iter().find_map(|kind| {
            let parts = |separator: &str| -> usize {
                let columns = self.0.iter();
                columns.map(|fields| parts(fields, separator, kind)).sum()
            };
            let mut best = None;
            for separator in &separators {
                let n = parts(separator);
                if n > best.map_or(0, |(most, _)| most) {
                    best = Some((n, *separator));
                }
            }
            best.map(|(_, separator)| (kind.tokens(), separator.to_owned()))
        })
    }

    /// Whether all columns that have strings with `separator` between are lists of numbers in brackets.
    fn are_lists(&self, separator: &str) -> bool {
        let columns = self.0.iter();
        let mut texts = columns.filter(|fields| parts(fields, separator, Part::Word) > 0);
        let all_lists = |fields: &Vec<&str>| fields.iter().all(|field| is_list(field));
        let first = texts.next();
        first.is_some_and(all_lists) && texts.all(all_lists)
    }
}

/// `[1, 2, 3]` or `(1, 2, 3)`, as Python and NumPy print numbers.
fn is_list(field: &str) -> bool {
    let inner = field.trim().strip_prefix(['[', '(']);
    inner
        .and_then(|inner| inner.strip_suffix([']', ')']))
        .is_some_and(|inner| !inner.contains(['[', ']', '(', ')']) && is_numeric(inner))
}

/// What stands between two separators.
#[derive(Debug, Clone, Copy)]
enum Part {
    Number,
    /// With spaces around it, which the reader refuses.
    PaddedNumber,
    Word,
}

impl Part {
    fn tokens(self) -> TokenKind {
        match self {
            Self::Number | Self::PaddedNumber => TokenKind::Number,
            Self::Word => TokenKind::Text,
        }
    }
}

/// Tokens of a column, where half of its rows have two or more with `separator` between; else 0.
fn parts(fields: &[&str], separator: &str, kind: Part) -> usize {
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let is_word = |part: &str| part.chars().any(char::is_alphanumeric);
    let mut in_all = 0;
    let mut rows = 0;
    for field in fields {
        let parts = || {
            let parts = field.trim().split(separator);
            parts.filter(|part| !part.is_empty())
        };
        let fits = match kind {
            Part::Number => parts().all(is_number),
            Part::PaddedNumber => {
                parts().all(|part| part.trim().is_empty() || is_number(part.trim()))
            }
            Part::Word => parts().any(is_word),
        };
        let n = parts().count();
        if fits && n > 1 {
            rows += 1;
            in_all += n;
        }
    }
    match 2 * rows >= fields.len() {
        true => in_all,
        false => 0,
    }
}

#[cfg(test)]
mod tests;
