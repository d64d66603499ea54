//! Submissions: one score a line in test order, no header; the same zipped; and the check before upload.
//!
//! Scores are logit(YES) - logit(NO), any real number, with 9 significant digits, so that no two different
//! f32 print the same and AUC loses nothing. Equal scores give equal bytes, in the zip too (its time is fixed).

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{Cursor, Read, Write};
use std::ops::RangeInclusive;
use std::path::Path;

use serde::Serialize;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipArchive, ZipWriter};

use crate::atomic;
use crate::data::{Dictionary, Labels, PairFormat, read_pairs};
use crate::error::{Error, Place, Result};

/// Digits that tell any two f32 apart.
const SIGNIFICANT_DIGITS: usize = 9;

/// What [`check`] has seen.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Checked {
    /// Lines, one a test row.
    pub scores: usize,
    /// Different values among them.
    pub distinct: usize,
    /// Lowest score.
    pub min: f64,
    /// Highest score.
    pub max: f64,
}

/// Writes the scores, and a zip of them beside where `zip` is given.
///
/// # Errors
/// [`Error::Refused`] where a score is not finite, [`Error::Io`].
pub fn write(scores: &[f32], csv: &Path, zip: Option<&Path>) -> Result<()> {
    let text = text(scores)?;
    atomic::write(csv, text.as_bytes())?;
    match zip {
        Some(zip) => atomic::write(zip, &zipped("submission.csv", text.as_bytes())?),
        None => Ok(()),
    }
}

/// Writes `row,label,score` with a header; rows count from 0.
///
/// # Errors
/// [`Error::Refused`] where a score is not finite, [`Error::Io`].
pub fn write_valid(rows: &[(usize, bool, f32)], path: &Path) -> Result<()> {
    let mut table = String::from("row,label,score\n");
    for &(row, label, score) in rows {
        require_finite(score, row)?;
        let label = u8::from(label);
        writeln!(table, "{row},{label},{}", number(score)).expect("a String takes every write");
    }
    atomic::write(path, table.as_bytes())
}

/// Reads a submission (`.csv`, or `.zip` holding one) and compares it with its test file.
///
/// # Errors
/// [`Error::Input`] with the line and the reason: not one number, not finite, out of `range`, an empty
/// line, or another number of lines than the test file has rows.
pub fn check(
    submission: &Path,
    test: &Path,
    format: &PairFormat,
    range: Option<RangeInclusive<f64>>,
) -> Result<Checked> {
    let mut dictionary = Dictionary::new(format.tokens);
    let rows = read_pairs(test, format, Labels::Ignored, &mut dictionary)?
        .pairs
        .len();
    let bytes = std::fs::read(submission).map_err(Error::io("read", submission))?;
    let is_zip = submission
        .extension()
        .is_some_and(|extension| extension == "zip");
    let bytes = if is_zip {
        unzipped(submission, bytes)?
    } else {
        bytes
    };
    let text = std::str::from_utf8(&bytes).map_err(|error| {
        let before = &bytes[..error.valid_up_to()];
        let line = 1 + before.iter().filter(|&&byte| byte == b'\n').count() as u64;
        Error::input(Place::line(submission, line), "UTF-8 text", "other bytes")
    })?;
    let mut scores = Vec::with_capacity(rows);
    for (line, text) in (1..).zip(text.lines()) {
        scores.push(score(text, range.as_ref(), Place::line(submission, line))?);
    }
    if scores.len() != rows {
        let expected = format!("{rows} scores, one a row of {}", test.display());
        return Err(Error::input(
            Place::file(submission),
            expected,
            scores.len(),
        ));
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

/// One line of a submission.
fn score(text: &str, range: Option<&RangeInclusive<f64>>, place: Place) -> Result<f64> {
    if text.trim().is_empty() {
        return Err(Error::input(place, "a score", "an empty line"));
    }
    let is_first = place.line == Some(1);
    let found = format!("`{text}`");
    let Ok(score) = text.trim().parse::<f64>() else {
        let error = Error::input(place, "one number and nothing else", found);
        return Err(if is_first {
            error.with_hint("a submission has no header")
        } else {
            error
        });
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

fn text(scores: &[f32]) -> Result<String> {
    let mut text = String::new();
    for (row, &score) in scores.iter().enumerate() {
        require_finite(score, row)?;
        text.push_str(&number(score));
        text.push('\n');
    }
    Ok(text)
}

pub(super) fn require_finite(score: f32, row: usize) -> Result<()> {
    if score.is_finite() {
        return Ok(());
    }
    let message = format!("the score of row {row} (from 0) is {score}: the training has diverged");
    Err(Error::refused(message).with_hint("lower train.learning_rate, or raise train.warmup_steps"))
}

/// A finite number with nine significant digits and no exponent, which some graders do not read.
pub(super) fn number(score: f32) -> String {
    let magnitude = if score == 0.0 {
        0
    } else {
        f64::from(score.abs()).log10().floor() as i32
    };
    let decimals = (SIGNIFICANT_DIGITS as i32 - 1 - magnitude).max(0) as usize;
    format!("{:.decimals$}", f64::from(score) + 0.0) // + 0.0 turns -0 into 0
}

/// A zip of one file that depends on nothing but its content.
fn zipped(name: &str, content: &[u8]) -> Result<Vec<u8>> {
    let failed = |error: zip::result::ZipError| Error::Unexpected(format!("zip: {error}"));
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .last_modified_time(DateTime::default()) // 1980-01-01
        .unix_permissions(0o644);
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    writer.start_file(name, options).map_err(failed)?;
    writer
        .write_all(content)
        .map_err(|error| Error::Unexpected(format!("zip: {error}")))?;
    Ok(writer.finish().map_err(failed)?.into_inner())
}

/// The one file of a zip.
fn unzipped(path: &Path, bytes: Vec<u8>) -> Result<Vec<u8>> {
    let bad = |found: String| Error::input(Place::file(path), "a zip of one file", found);
    let mut archive =
        ZipArchive::new(Cursor::new(bytes)).map_err(|error| bad(error.to_string()))?;
    if archive.len() != 1 {
        return Err(bad(format!("{} files", archive.len())));
    }
    let mut file = archive
        .by_index(0)
        .map_err(|error| bad(error.to_string()))?;
    let mut content = Vec::new();
    file.read_to_end(&mut content)
        .map_err(|error| bad(error.to_string()))?;
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_nine_significant_digits_and_no_exponent() {
        let cases = [
            (0.0, "0.00000000"),
            (-0.0, "0.00000000"),
            (1.0, "1.00000000"),
            (-12.345_678, "-12.3456783"), // the nearest f32 is -12.34567832946...
            (0.001, "0.00100000005"),
            (123_456_792.0, "123456792"),
            (1e20, "100000002004087734272"),
        ];
        for (score, expected) in cases {
            assert_eq!(number(score), expected);
        }
    }

    #[test]
    fn every_printed_f32_reads_back_the_same() {
        let key = crate::random::Key::from_seed(5);
        let drawn = (0..20_000).map(|i| f32::from_bits(key.bits(i) as u32));
        for score in drawn.filter(|score| score.is_finite()) {
            assert_eq!(number(score).parse::<f32>(), Ok(score));
        }
    }

    #[test]
    fn a_score_that_is_not_finite_is_never_written() {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let csv = folder.path().join("submission.csv");
        let error = write(&[0.5, f32::NAN], &csv, None).expect_err("NaN");
        assert_eq!(
            error.to_string(),
            "the score of row 1 (from 0) is NaN: the training has diverged"
        );
        assert!(!csv.exists());
    }

    #[test]
    fn the_zip_is_the_same_bytes_each_time_and_holds_the_csv() {
        let zip = zipped("submission.csv", b"0.5\n-1\n").expect("in memory");
        assert_eq!(
            zip,
            zipped("submission.csv", b"0.5\n-1\n").expect("in memory")
        );
        assert_eq!(
            unzipped(Path::new("a.zip"), zip).expect("a zip"),
            b"0.5\n-1\n"
        );
    }

    #[test]
    fn what_is_written_passes_the_check() {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("test.tsv"), "1\t2\n3\t4\n5\t6\n").expect("a small file");
        let zip = at("submission.zip");
        write(&[0.5, -1.0, 0.5], &at("submission.csv"), Some(&zip)).expect("finite");
        for name in ["submission.csv", "submission.zip"] {
            let checked = check(&at(name), &at("test.tsv"), &PairFormat::default(), None);
            let expected = Checked {
                scores: 3,
                distinct: 2,
                min: -1.0,
                max: 0.5,
            };
            assert_eq!(checked.expect("our own submission"), expected);
        }
    }

    #[test]
    fn bad_submissions_are_refused_with_the_line() {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let test = folder.path().join("test.tsv");
        std::fs::write(&test, "1\t2\n3\t4\n").expect("a small file");
        let submission = folder.path().join("s.csv");
        let cases = [
            (
                "0.5\n",
                "s.csv: expected 2 scores, one a row of test.tsv, found 1",
            ),
            (
                "0.5\n1\n0\n",
                "s.csv: expected 2 scores, one a row of test.tsv, found 3",
            ),
            (
                "score\n1\n",
                "s.csv:1: expected one number and nothing else, found `score`",
            ),
            (
                "1\n0,5\n",
                "s.csv:2: expected one number and nothing else, found `0,5`",
            ),
            ("1\n\n2\n", "s.csv:2: expected a score, found an empty line"),
            ("1\nnan\n", "s.csv:2: expected a finite number, found `nan`"),
            (
                "-inf\n1\n",
                "s.csv:1: expected a finite number, found `-inf`",
            ),
            (
                "1\n1.5\n",
                "s.csv:2: expected a number from 0 to 1, found `1.5`",
            ),
        ];
        let prefix = format!("{}/", folder.path().display());
        for (text, message) in cases {
            std::fs::write(&submission, text).expect("a small file");
            let checked = check(&submission, &test, &PairFormat::default(), Some(0.0..=1.0));
            let error = checked.expect_err(text).to_string();
            assert_eq!(error.replace(&prefix, ""), message);
        }
    }
}
