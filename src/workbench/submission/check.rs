//! Is a submission fit to upload? Compared with its test file, line by line.

use std::collections::{BTreeSet, HashMap};
use std::ops::RangeInclusive;
use std::path::Path;

use serde::Serialize;

use super::row_numbers;
use crate::config::{SubmitConfig, SubmitFormat};
use crate::data::ids::read_ids;
use crate::data::table::{Quoting, Table, quoted};
use crate::data::{Dictionary, ExampleFormat, Labels, read_examples};
use crate::error::{Error, Place, Result};
use crate::workbench::archive;

/// What [`check`] has seen.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Checked {
    /// Scores, one a test row.
    pub scores: usize,
    /// Different values among them.
    pub distinct: usize,
    /// Lowest score.
    pub min: f64,
    /// Highest score.
    pub max: f64,
}

/// Reads a submission (`.csv`, or `.zip` holding one) in the form of `submit` and compares it with its test file.
/// Without a `range`, probabilities must lie from 0 to 1, other scores anywhere.
///
/// # Errors
/// [`Error::Input`] with the line and the reason: not one number, not finite, out of `range`, an empty
/// line, another header, an id out of place or twice, or another number of scores than the test file has rows.
pub fn check(
    submission: &Path,
    test: &Path,
    format: &ExampleFormat,
    submit: &SubmitConfig,
    range: Option<RangeInclusive<f64>>,
) -> Result<Checked> {
    let mut dictionary = Dictionary::new(format.tokens);
    let rows = read_examples(test, format, Labels::Ignored, &mut dictionary)?
        .examples
        .len();
    let bytes = std::fs::read(submission).map_err(Error::io("read", submission))?;
    let is_zip = submission
        .extension()
        .is_some_and(|extension| extension == "zip");
    let bytes = if is_zip {
        archive::read_one(submission, bytes)?
    } else {
        bytes
    };
    let range = match range {
        None if submit.probability => Some(0.0..=1.0),
        range => range,
    };
    let scores = match submit.format {
        SubmitFormat::Plain => plain_scores(submission, &bytes, range.as_ref())?,
        SubmitFormat::Csv => {
            let ids = read_ids(test, format, &submit.id_column)?;
            let ids = ids.unwrap_or_else(|| row_numbers(rows));
            csv_scores(submission, &bytes, (submit, &ids), range.as_ref())?
        }
    };
    if scores.len() != rows {
        let expected = format!("{rows} scores, one a row of {}", test.display());
        let place = Place::file(submission);
        return Err(Error::input(place, expected, scores.len()));
    }
    Ok(Checked {
        scores: scores.len(),
        distinct: scores
            .iter()
            .map(|score| (score + 0.0).to_bits()) // -0 and 0 are one value
            .collect::<BTreeSet<_>>()
            .len(),
        min: scores.iter().copied().fold(f64::INFINITY, f64::min),
        max: scores.iter().copied().fold(f64::NEG_INFINITY, f64::max),
    })
}

fn plain_scores(
    submission: &Path,
    bytes: &[u8],
    range: Option<&RangeInclusive<f64>>,
) -> Result<Vec<f64>> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let before = &bytes[..error.valid_up_to()];
        let line = 1 + before.iter().filter(|&&byte| byte == b'\n').count() as u64;
        Error::input(Place::line(submission, line), "UTF-8 text", "other bytes")
    })?;
    (1..)
        .zip(text.lines())
        .map(|(line, text)| {
            let place = Place::line(submission, line);
            let is_first = line == 1;
            score(text, range, place).map_err(|error| match text.trim().parse::<f64>() {
                Err(_) if is_first && !text.trim().is_empty() => error
                    .with_hint("a plain submission has no header; submit.format = \"csv\" has one"),
                _ => error,
            })
        })
        .collect()
}

/// Scores under a header, each behind its id; the ids in the order of the test file.
fn csv_scores(
    submission: &Path,
    bytes: &[u8],
    (submit, ids): (&SubmitConfig, &[String]),
    range: Option<&RangeInclusive<f64>>,
) -> Result<Vec<f64>> {
    let header = [submit.id_column.as_str(), submit.score_column.as_str()];
    let mut table = Table::new(submission, bytes, b',', Quoting::On);
    let expected = format!("the header `{}`", header.join(","));
    if !table.advance()? {
        return Err(Error::input(
            Place::file(submission),
            expected,
            "an empty file",
        ));
    }
    if table.fields() != header.as_slice() {
        let found = table.fields().iter().collect::<Vec<_>>().join(",");
        return Err(Error::input(table.place(), expected, quoted(&found))
            .with_hint("submit.id_column and submit.score_column name the columns"));
    }
    let mut scores = Vec::with_capacity(ids.len());
    let mut lines = HashMap::new();
    while table.advance()? {
        let fields = table.fields();
        if fields.len() != 2 {
            return Err(Error::input(
                table.place(),
                "an id and a score",
                format!("{} fields", fields.len()),
            ));
        }
        let place = || table.place().field(&submit.id_column);
        if let Some(before) = lines.insert(fields[0].to_owned(), table.place()) {
            let found = format!("{}, which stands at {before} too", quoted(&fields[0]));
            return Err(Error::input(place(), "each id once", found));
        }
        if let Some(id) = ids.get(scores.len())
            && *id != fields[0]
        {
            let expected = format!(
                "{}, the id of row {} (from 0) of the test file",
                quoted(id),
                scores.len()
            );
            return Err(Error::input(place(), expected, quoted(&fields[0])));
        }
        scores.push(score(
            &fields[1],
            range,
            table.place().field(&submit.score_column),
        )?);
    }
    Ok(scores)
}

/// One number.
fn score(text: &str, range: Option<&RangeInclusive<f64>>, place: Place) -> Result<f64> {
    if text.trim().is_empty() {
        let found = if place.field.is_some() {
            "nothing"
        } else {
            "an empty line"
        };
        return Err(Error::input(place, "a score", found));
    }
    let found = format!("`{text}`");
    let Ok(score) = text.trim().parse::<f64>() else {
        return Err(Error::input(place, "one number and nothing else", found));
    };
    if !score.is_finite() {
        return Err(Error::input(place, "a finite number", found));
    }
    match range {
        Some(range) if !range.contains(&score) => {
            let expected = format!("a number from {} to {}", range.start(), range.end());
            Err(Error::input(place, expected, found))
        }
        _ => Ok(score),
    }
}
