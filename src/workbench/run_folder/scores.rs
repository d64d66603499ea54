//! Tables of scores inside a run folder: `valid.csv`, `test.csv` and `oof.csv`.
//!
//! In: scores, or a table. Out: the table, or its lines. CSV with a header. Rows count from 0; scores are logit(YES) - logit(NO) with nine significant digits, so that they read
//! back as they were. Submissions have a form of their own.

use std::fmt::Write as _;
use std::path::Path;
use std::str::FromStr;

use crate::atomic;
use crate::error::{Error, Place, Result};
use crate::workbench::number::{of_score, require_finite};

/// A line of `valid.csv`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ValidScore {
    /// Number of the row over all training files (or in a validation file).
    pub row: usize,
    /// Whether the sentences mean the same.
    pub label: bool,
    /// By a model that has not trained on it.
    pub score: f32,
}

/// A line of `oof.csv`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OofScore {
    /// Number of the row over all training files.
    pub row: usize,
    /// Whether the sentences mean the same.
    pub label: bool,
    /// Mean over the repeats.
    pub score: f32,
    /// Fold of the first repeat, from 1.
    pub fold: usize,
}

/// Means of several models' scores of the same rows.
#[derive(Debug, Clone)]
pub struct MeanScores {
    sums: Vec<f64>,
    models: usize,
}

impl MeanScores {
    /// Of `rows` rows, without a model so far.
    pub fn new(rows: usize) -> Self {
        Self {
            sums: vec![0.0; rows],
            models: 0,
        }
    }

    /// Adds a model's scores, one a row. The order of models is part of the last bits.
    ///
    /// # Panics
    /// Where there is another number of scores.
    pub fn add(&mut self, scores: &[f32]) {
        assert_eq!(scores.len(), self.sums.len(), "one score a row");
        let pairs = self.sums.iter_mut().zip(scores);
        pairs.for_each(|(sum, &score)| *sum += f64::from(score));
        self.models += 1;
    }

    /// The means; of one model its own scores.
    pub fn finish(self) -> Vec<f32> {
        let models = self.models as f64;
        let means = self.sums.into_iter().map(|sum| (sum / models) as f32);
        means.collect()
    }
}

/// Writes `row,label,score`.
///
/// # Errors
/// [`Error::Refused`] where a score is not finite, [`Error::Io`].
pub fn write_valid(scores: &[ValidScore], path: &Path) -> Result<()> {
    let mut table = String::from("row,label,score\n");
    for line in scores {
        require_finite(line.score, line.row)?;
        let (row, label) = (line.row, u8::from(line.label));
        writeln!(table, "{row},{label},{}", of_score(line.score))
            .expect("a String takes every write");
    }
    atomic::write(path, table.as_bytes())
}

/// Writes `row,score` in test order.
///
/// # Errors
/// As [`write_valid`].
pub fn write_test(scores: &[f32], path: &Path) -> Result<()> {
    let mut table = String::from("row,score\n");
    for (row, &score) in scores.iter().enumerate() {
        require_finite(score, row)?;
        writeln!(table, "{row},{}", of_score(score)).expect("a String takes every write");
    }
    atomic::write(path, table.as_bytes())
}

/// Writes `row,label,score,fold`.
///
/// # Errors
/// As [`write_valid`].
pub fn write_oof(scores: &[OofScore], path: &Path) -> Result<()> {
    let mut table = String::from("row,label,score,fold\n");
    for line in scores {
        require_finite(line.score, line.row)?;
        let (row, label, fold) = (line.row, u8::from(line.label), line.fold);
        writeln!(table, "{row},{label},{},{fold}", of_score(line.score))
            .expect("a String takes every write");
    }
    atomic::write(path, table.as_bytes())
}

/// Reads `row,label,score`.
///
/// # Errors
/// [`Error::Input`] with the line where it is no such table, [`Error::Io`].
pub fn read_valid(path: &Path) -> Result<Vec<ValidScore>> {
    read(path, ["row", "label", "score"], |[row, label, score]| {
        Some(ValidScore {
            row: row.parse().ok()?,
            label: label_of(label)?,
            score: finite(score)?,
        })
    })
}

/// Reads `row,score`; rows must stand in order.
///
/// # Errors
/// As [`read_valid`].
pub fn read_test(path: &Path) -> Result<Vec<f32>> {
    let mut next = 0;
    read(path, ["row", "score"], |[row, score]| {
        let in_order = row.parse() == Ok(next);
        next += 1;
        in_order.then(|| finite(score))?
    })
}

/// Reads `row,label,score,fold`.
///
/// # Errors
/// As [`read_valid`].
pub fn read_oof(path: &Path) -> Result<Vec<OofScore>> {
    let columns = ["row", "label", "score", "fold"];
    read(path, columns, |[row, label, score, fold]| {
        Some(OofScore {
            row: row.parse().ok()?,
            label: label_of(label)?,
            score: finite(score)?,
            fold: fold.parse().ok()?,
        })
    })
}

/// The lines under the header, each parsed.
fn read<const N: usize, T>(
    path: &Path,
    columns: [&str; N],
    mut parse: impl FnMut([&str; N]) -> Option<T>,
) -> Result<Vec<T>> {
    let text = std::fs::read_to_string(path).map_err(Error::io("read", path))?;
    let mut lines = (1..).zip(text.lines());
    let header = columns.join(",");
    let found = lines.next().map_or("", |(_, line)| line);
    if found != header {
        let place = Place::line(path, 1);
        return Err(Error::input(
            place,
            format!("`{header}`"),
            format!("`{found}`"),
        ));
    }
    lines
        .map(|(number, line)| {
            let fields: Vec<&str> = line.split(',').collect();
            let parsed = <[&str; N]>::try_from(fields).ok().and_then(&mut parse);
            parsed.ok_or_else(|| {
                let place = Place::line(path, number);
                Error::input(
                    place,
                    format!("the values of `{header}`"),
                    format!("`{line}`"),
                )
            })
        })
        .collect()
}

fn label_of(text: &str) -> Option<bool> {
    match text {
        "0" => Some(false),
        "1" => Some(true),
        _ => None,
    }
}

fn finite(text: &str) -> Option<f32> {
    f32::from_str(text).ok().filter(|score| score.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back_the_same() {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let path = folder.path().join("t.csv");
        let key = crate::random::Key::from_seed(8);
        let score = |i: usize| (key.bits(i as u64) as i32) as f32 / 3e8;
        let valid: Vec<_> = (0..50)
            .map(|i| ValidScore {
                row: 3 * i,
                label: i % 3 == 0,
                score: score(i),
            })
            .collect();
        write_valid(&valid, &path).expect("room");
        assert_eq!(read_valid(&path).expect("our own table"), valid);
        let test: Vec<f32> = (0..50).map(score).collect();
        write_test(&test, &path).expect("room");
        assert_eq!(read_test(&path).expect("our own table"), test);
        let oof: Vec<_> = (0..50)
            .map(|row| OofScore {
                row,
                label: row % 2 == 0,
                score: score(row),
                fold: 1 + row % 5,
            })
            .collect();
        write_oof(&oof, &path).expect("room");
        assert_eq!(read_oof(&path).expect("our own table"), oof);
    }

    #[test]
    fn other_tables_are_refused_with_the_line() {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let path = folder.path().join("t.csv");
        let cases = [
            ("", "t.csv:1: expected `row,score`, found ``"),
            (
                "row,label\n",
                "t.csv:1: expected `row,score`, found `row,label`",
            ),
            (
                "row,score\n0,1\n1\n",
                "t.csv:3: expected the values of `row,score`, found `1`",
            ),
            (
                "row,score\n0,1\n2,1\n",
                "t.csv:3: expected the values of `row,score`, found `2,1`",
            ),
            (
                "row,score\n0,inf\n",
                "t.csv:2: expected the values of `row,score`, found `0,inf`",
            ),
        ];
        let prefix = format!("{}/", folder.path().display());
        for (text, message) in cases {
            std::fs::write(&path, text).expect("a small file");
            let error = read_test(&path).expect_err(text).to_string();
            assert_eq!(error.replace(&prefix, ""), message);
        }
        std::fs::write(&path, "row,label,score\n0,2,1\n").expect("a small file");
        assert!(read_valid(&path).is_err());
    }
}
