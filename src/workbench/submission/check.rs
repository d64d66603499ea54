//! Is a submission fit to upload? Compared with its test file or the organisers' sample, line by line.

use std::collections::{BTreeSet, HashMap};
use std::ops::RangeInclusive;
use std::path::Path;

use serde::Serialize;

use super::form::{Columns, Form};
use super::lines::{Lines, RowsOf};
use super::row_ids::{RowIds, ZEROS_HINT, differ_by_zeros};
use super::sample::{CLASSES_HINT, Sample, quoting};
use super::{columns, row_numbers};
use crate::config::SubmitConfig;
use crate::data::label_field::finite;
use crate::data::table::{Table, quoted};
use crate::data::{Dictionary, ExampleFormat, LabelKind, Labels, Task, read_examples};
use crate::error::{Error, Place, Result};
use crate::workbench::archive;

/// What [`check`] has seen.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Checked {
    /// Rows with a score, or with several.
    pub scores: usize,
    /// Different values among them.
    pub distinct: usize,
    /// Lowest score; none of names.
    pub min: Option<f64>,
    /// Highest score; none of names.
    pub max: Option<f64>,
}

/// Reads a submission (`.csv`, or `.zip` holding one) in the form of `submit` and compares it with its test file. `task` may
/// come without its classes, where nobody knows them. Without a `range`, probabilities must lie from 0 to 1, other scores
/// anywhere.
///
/// # Errors
/// [`Error::Input`] with the line and the reason: not one number or class, not finite, out of `range`, an empty
/// line, another header, an id out of place or twice, or another number of scores than the test file has rows.
pub fn check(
    (submission, task): (&Path, &Task),
    (test, format): (&Path, &ExampleFormat),
    submit: &SubmitConfig,
    range: Option<RangeInclusive<f64>>,
) -> Result<Checked> {
    let rows = count_rows(test, format)?;
    let bytes = read(submission)?;
    let form = Form::of(submit, task);
    let is_unknown = task.classes.is_empty() && task.labels != LabelKind::Ordinal;
    let hint = is_unknown.then_some(RUN_HINT);
    let value = match form.columns {
        Columns::Label => Value::Name(known(task)),
        Columns::Score | Columns::Each(_) => Value::number(range, form.probability, hint),
    };
    let mut seen = Seen::default();
    let width = match task.labels {
        LabelKind::Multilabel => known(task).map(<[String]>::len),
        _ => Some(1),
    };
    match RowIds::of(submit, (test, format))? {
        RowIds::Order => read_plain((submission, &bytes), (&value, width), &mut seen)?,
        RowIds::Column { name, ids } => {
            let ids = ids.unwrap_or_else(|| row_numbers(rows));
            let mut header = vec![name.as_str()];
            header.extend(
                width
                    .is_some()
                    .then(|| columns(submit, task))
                    .into_iter()
                    .flatten(),
            );
            let header_hint = and(
                "submit.id_column and submit.score_column name the columns; submit.format = \"plain\" has no header",
                hint,
            );
            let expected = Expected {
                header: &header,
                is_open: width.is_none(),
                header_hint: &header_hint,
                id: 0,
                ids: &ids,
                whose: "the test file",
            };
            read_table((submission, &bytes, b','), &expected, &value, &mut seen)?;
        }
    }
    if seen.rows != rows {
        let expected = format!("{rows} scores, one a row of {}", test.display());
        let place = Place::file(submission);
        return Err(Error::input(place, expected, seen.rows).with_hint(OTHER_ROWS));
    }
    Ok(seen.into())
}

/// As [`check`], against the organisers' sample alone: its header, its ids in their order, its number of rows; and numbers, or
/// names of classes. Without a `task` the sample says which: numbers where its own values are numbers, else
/// names, and no number where it holds none.
///
/// # Errors
/// As [`check`]; those of reading the sample.
pub fn check_like(
    submission: &Path,
    like: &Path,
    task: Option<&Task>,
    submit: &SubmitConfig,
    range: Option<RangeInclusive<f64>>,
) -> Result<Checked> {
    let sample = Sample::read(like, submit)?;
    let n_rows = format!("{} rows, as {} has", sample.ids.len(), like.display());
    let lines = (sample.ids.as_slice(), "the sample", n_rows.as_str());
    check_lines(submission, (&sample, lines), (submit, task), range)
}

/// As [`check_like`], against the sample and a file of rows that it may be for or not, as [`super::write`] writes them.
///
/// # Errors
/// As [`check_like`]; those of the readers.
pub fn check_like_of(
    submission: &Path,
    (test, format): (&Path, &ExampleFormat),
    (like, task): (&Path, Option<&Task>),
    submit: &SubmitConfig,
    range: Option<RangeInclusive<f64>>,
) -> Result<Checked> {
    let sample = Sample::read(like, submit)?;
    let rows = count_rows(test, format)?;
    let lines = Lines::of(&sample, submit, (test, format), rows, RowsOf::Further)?;
    let n_rows = format!("{rows} rows, one a row of {}", test.display());
    let lines = (lines.ids.as_slice(), lines.whose, n_rows.as_str());
    check_lines(submission, (&sample, lines), (submit, task), range)
}

/// As [`check_like`], with ids, whose they are, and how many rows there should be.
fn check_lines(
    submission: &Path,
    (sample, (ids, whose, n_rows)): (&Sample, (&[String], &'static str, &str)),
    (submit, task): (&SubmitConfig, Option<&Task>),
    range: Option<RangeInclusive<f64>>,
) -> Result<Checked> {
    let number = |range| Value::number(range, sample.has_probabilities(submit, task), None);
    let value = match task {
        Some(task) => match sample.form(submit, task)?.columns {
            Columns::Label => Value::Name(known(task)),
            Columns::Score | Columns::Each(_) => number(range),
        },
        None if sample.others().len() > 1 || sample.has_only_numbers() => number(range),
        None => sample
            .only_names()
            .map_or(Value::Name(None), Value::NoNumber),
    };
    let header: Vec<&str> = sample.header.iter().map(String::as_str).collect();
    let expected = Expected {
        header: &header,
        is_open: false,
        header_hint: "the header must be that of the sample",
        id: sample.id,
        ids,
        whose,
    };
    let bytes = read(submission)?;
    let mut seen = Seen::default();
    let file = (submission, bytes.as_slice(), sample.delimiter);
    read_table(file, &expected, &value, &mut seen)?;
    if seen.rows != ids.len() {
        let place = Place::file(submission);
        return Err(Error::input(place, n_rows, seen.rows).with_hint(OTHER_ROWS));
    }
    Ok(seen.into())
}

/// The rows of a file.
fn count_rows(test: &Path, format: &ExampleFormat) -> Result<usize> {
    let mut dictionary = Dictionary::new(format.tokens);
    let read = read_examples(test, format, Labels::Ignored, &mut dictionary)?;
    Ok(read.examples.len())
}

/// The way out where a submission has more or fewer rows than it should.
const OTHER_ROWS: &str = "write one line a row, or name the file that the scores are for";

/// The way out where a task has no classes: a submission may hold names, or several numbers a row.
const RUN_HINT: &str = "--experiment RUN/config.toml knows the classes and the labels of a run";

/// A hint, and one more where there is one.
fn and(hint: &str, more: Option<&str>) -> String {
    match more {
        Some(more) => format!("{hint}; {more}"),
        None => hint.to_owned(),
    }
}

fn read(submission: &Path) -> Result<Vec<u8>> {
    let bytes = std::fs::read(submission).map_err(Error::io("read", submission))?;
    let is_zip = submission
        .extension()
        .is_some_and(|extension| extension == "zip");
    match is_zip {
        true => archive::read_one(submission, bytes),
        false => Ok(bytes),
    }
}

/// The classes, where they are known.
fn known(task: &Task) -> Option<&[String]> {
    Some(task.classes.as_slice()).filter(|classes| !classes.is_empty())
}

/// What a field must be.
enum Value<'a> {
    /// A number in the range.
    Number {
        range: Option<RangeInclusive<f64>>,
        /// The way out where it is none.
        hint: Option<&'static str>,
    },
    /// One of the names, or any where they are not known.
    Name(Option<&'a [String]>),
    /// A name and no number, as this one.
    NoNumber(&'a str),
}

impl Value<'_> {
    fn number(
        range: Option<RangeInclusive<f64>>,
        is_probability: bool,
        hint: Option<&'static str>,
    ) -> Self {
        Self::Number {
            range: range.or_else(|| is_probability.then_some(0.0..=1.0)),
            hint,
        }
    }

    /// How an error calls it.
    fn what(&self) -> &'static str {
        match self {
            Self::Number { .. } => "a score",
            Self::Name(_) | Self::NoNumber(_) => "a class",
        }
    }

    fn see(&self, text: &str, place: Place, seen: &mut Seen) -> Result<()> {
        if text.trim().is_empty() {
            let found = if place.field.is_some() {
                "nothing"
            } else {
                "an empty line"
            };
            return Err(Error::input(place, self.what(), found));
        }
        match self {
            Self::Number { range, hint } => {
                seen.number(number(text, (range.as_ref(), *hint), place)?);
            }
            Self::Name(Some(names)) if !names.iter().any(|name| name == text) => {
                let expected = format!("one of the classes {}", names.join(", "));
                return Err(Error::input(place, expected, quoted(text)));
            }
            Self::NoNumber(name) if finite(text.trim()).is_some() => {
                let expected = format!("a name, as those of the sample (`{name}`)");
                return Err(Error::input(place, expected, quoted(text)).with_hint(CLASSES_HINT));
            }
            Self::Name(_) | Self::NoNumber(_) => {
                seen.names.insert(text.to_owned());
            }
        }
        Ok(())
    }
}

/// One number.
fn number(
    text: &str,
    (range, hint): (Option<&RangeInclusive<f64>>, Option<&str>),
    place: Place,
) -> Result<f64> {
    let found = format!("`{text}`");
    let Ok(score) = text.trim().parse::<f64>() else {
        let error = Error::input(place, "one number and nothing else", found);
        return Err(match hint {
            Some(hint) => error.with_hint(hint),
            None => error,
        });
    };
    if !score.is_finite() {
        return Err(Error::input(place, "a finite number", found));
    }
    match range {
        Some(range) if !range.contains(&score) => {
            let expected = format!("a number from {} to {}", range.start(), range.end());
            Err(Error::input(place, expected, found)
                .with_hint("--range LOW,HIGH says which numbers are right"))
        }
        _ => Ok(score),
    }
}

/// What has been read so far.
#[derive(Default)]
struct Seen {
    rows: usize,
    numbers: BTreeSet<u64>,
    names: BTreeSet<String>,
    range: Option<(f64, f64)>,
}

impl Seen {
    fn number(&mut self, number: f64) {
        self.numbers.insert((number + 0.0).to_bits()); // -0 and 0 are one value
        let (low, high) = self.range.unwrap_or((number, number));
        self.range = Some((low.min(number), high.max(number)));
    }
}

impl From<Seen> for Checked {
    fn from(seen: Seen) -> Self {
        let (min, max) = seen.range.unzip();
        Self {
            scores: seen.rows,
            distinct: seen.numbers.len() + seen.names.len(),
            min,
            max,
        }
    }
}

/// A line a row: one value, or `width` with a space between them. Of an unknown width all lines have that of the first.
fn read_plain(
    (submission, bytes): (&Path, &[u8]),
    (value, width): (&Value<'_>, Option<usize>),
    seen: &mut Seen,
) -> Result<()> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes); // as tables may have it
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let before = &bytes[..error.valid_up_to()];
        let line = 1 + before.iter().filter(|&&byte| byte == b'\n').count() as u64;
        Error::input(Place::line(submission, line), "UTF-8 text", "other bytes")
            .with_hint("save the file as UTF-8")
    })?;
    let mut width = width;
    for (line, text) in (1..).zip(text.lines()) {
        let place = Place::line(submission, line);
        let width = *width.get_or_insert_with(|| text.split(' ').count());
        seen.rows += 1;
        if width == 1 {
            value.see(text, place, seen).map_err(|error| {
                let is_number = text.trim().parse::<f64>().is_ok();
                match (line == 1 && !text.trim().is_empty() && !is_number, value) {
                    (true, Value::Number { hint, .. }) => error.with_hint(and(
                        "a plain submission has no header; submit.format = \"csv\" has one",
                        *hint,
                    )),
                    _ => error,
                }
            })?;
            continue;
        }
        let fields: Vec<&str> = text.split(' ').collect();
        if fields.len() != width {
            let expected = format!("{width} numbers with a space between them");
            return Err(Error::input(place, expected, quoted(text)));
        }
        for field in fields {
            value.see(field, place.clone(), seen)?;
        }
    }
    Ok(())
}

/// How a table must look.
struct Expected<'a> {
    /// Its columns; those in front where it is open.
    header: &'a [&'a str],
    /// It may have more columns, of which nobody knows the names.
    is_open: bool,
    header_hint: &'a str,
    /// The column of the ids.
    id: usize,
    ids: &'a [String],
    /// Whose ids they are.
    whose: &'static str,
}

/// Values under a header, beside their ids; the ids in their order.
fn read_table(
    (submission, bytes, delimiter): (&Path, &[u8], u8),
    expected: &Expected<'_>,
    value: &Value<'_>,
    seen: &mut Seen,
) -> Result<()> {
    let mut table = Table::new(submission, bytes, delimiter, quoting(delimiter));
    let between = char::from(delimiter).to_string();
    let more = if expected.is_open { ",…" } else { "" };
    let shown = format!("the header `{}{more}`", expected.header.join(&between));
    if !table.advance()? {
        return Err(Error::input(
            Place::file(submission),
            shown,
            "an empty file",
        ));
    }
    let header: Vec<String> = table.fields().iter().map(str::to_owned).collect();
    let fits = match expected.is_open {
        true => header.len() > expected.header.len() && header.starts_with(&owned(expected.header)),
        false => header == expected.header,
    };
    if !fits {
        let found = quoted(&header.join(&between));
        return Err(Error::input(table.place(), shown, found).with_hint(expected.header_hint));
    }
    let mut lines = HashMap::new();
    while table.advance()? {
        let fields = table.fields();
        if fields.len() != header.len() {
            let what = match header.len() {
                2 => format!("an id and {}", value.what()),
                n => format!("an id and {} scores", n - 1),
            };
            let found = format!("{} fields", fields.len());
            return Err(Error::input(table.place(), what, found));
        }
        let id = &fields[expected.id];
        let place = || table.place().field(&header[expected.id]);
        if let Some(before) = lines.insert(id.to_owned(), table.place()) {
            let found = format!("{}, which stands at {before} too", quoted(id));
            return Err(Error::input(place(), "each id once", found));
        }
        if let Some(expected_id) = expected.ids.get(seen.rows)
            && expected_id != id
        {
            let what = format!(
                "{}, the id of row {} (from 0) of {}",
                quoted(expected_id),
                seen.rows,
                expected.whose
            );
            let error = Error::input(place(), what, quoted(id));
            return Err(match differ_by_zeros(expected_id, id) {
                true => error.with_hint(ZEROS_HINT),
                false => {
                    error.with_hint(format!("put the rows in the order of {}", expected.whose))
                }
            });
        }
        seen.rows += 1;
        for (column, text) in fields.iter().enumerate() {
            if column != expected.id {
                value.see(text, table.place().field(&header[column]), seen)?;
            }
        }
    }
    Ok(())
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}
