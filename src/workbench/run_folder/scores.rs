//! Tables of scores inside a run folder: `valid.csv`, `test.csv` and `oof.csv`.
//!
//! CSV with a header: `row`, the label, the scores, and in `oof.csv` the `fold`. Rows count from 0. Two classes and ordinals have
//! one `label` and one `score`; named classes one `label` and a `score:NAME` each; several labels a `label:NAME`, 0 or 1, and a
//! `score:NAME` each. Scores are logits with nine significant digits, so that they read back as they were. Submissions have
//! a form of their own ([`submission`](crate::workbench::submission)).

use std::path::Path;
use std::str::FromStr;

use csv::StringRecord;

use crate::atomic;
use crate::data::{LabelKind, Scores, Target, Task};
use crate::error::{Error, Place, Result};
use crate::workbench::number::{of_score, require_finite};
use crate::workbench::run_folder::names::CHANGED_HINT;

/// Rows with a label and scores of a model that has not trained on them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Scored {
    /// Number of each row, ascending, over all training files or in the validation file.
    pub rows: Vec<usize>,
    /// One a row.
    pub targets: Vec<Target>,
    /// One entry a row; means over the repeats where there are several.
    pub scores: Scores,
    /// The fold that held each row out, from 1, in the first repeat; none for a single split.
    pub folds: Option<Vec<usize>>,
}

/// Means of several models' scores of the same rows.
#[derive(Debug, Clone)]
pub struct MeanScores {
    sums: Vec<f64>,
    width: usize,
    models: usize,
}

impl MeanScores {
    /// Of `rows` rows with `width` scores each, without a model so far.
    pub fn new(rows: usize, width: usize) -> Self {
        Self {
            sums: vec![0.0; rows * width],
            width,
            models: 0,
        }
    }

    /// Adds a model's scores. The order of models is part of the last bits.
    ///
    /// # Panics
    /// Where there is another number of scores.
    pub fn add(&mut self, scores: &Scores) {
        assert_eq!(scores.values.len(), self.sums.len(), "as many scores");
        let pairs = self.sums.iter_mut().zip(&scores.values);
        pairs.for_each(|(sum, &score)| *sum += f64::from(score));
        self.models += 1;
    }

    /// The means; of one model its own scores.
    pub fn finish(self) -> Scores {
        let models = self.models as f64;
        let means = self.sums.into_iter().map(|sum| (sum / models) as f32);
        Scores {
            width: self.width,
            values: means.collect(),
        }
    }
}

/// The columns of the label, and those of the scores.
fn columns(task: &Task) -> (Vec<String>, Vec<String>) {
    let each = |what: &str| -> Vec<String> {
        let names = task.classes.iter();
        names.map(|name| format!("{what}:{name}")).collect()
    };
    let one = |what: &str| vec![what.to_owned()];
    match task.labels {
        LabelKind::Binary | LabelKind::Ordinal => (one("label"), one("score")),
        LabelKind::Classes => (one("label"), each("score")),
        LabelKind::Multilabel => (each("label"), each("score")),
    }
}

/// A label as it is written, one entry a column.
fn written(target: &Target, task: &Task) -> Vec<String> {
    match (target, task.labels) {
        (Target::Class(class), LabelKind::Binary) => vec![class.to_string()],
        (Target::Class(class), _) => vec![task.classes[*class as usize].clone()],
        (Target::Number(number), _) => vec![number.to_string()],
        (Target::Several(_), _) => (0..task.classes.len() as u32)
            .map(|class| u8::from(target.holds(class) == Some(true)).to_string())
            .collect(),
        (Target::Unknown | Target::Probabilities(_), _) => {
            vec![String::new(); columns(task).0.len()]
        }
    }
}

/// A label as it was written.
fn read_target(fields: &[&str], task: &Task) -> Option<Target> {
    match task.labels {
        LabelKind::Binary => match fields {
            ["0"] => Some(Target::Class(0)),
            ["1"] => Some(Target::Class(1)),
            _ => None,
        },
        LabelKind::Ordinal => Some(Target::Number(finite(fields.first()?)?)),
        LabelKind::Classes => {
            let mut names = task.classes.iter();
            let class = names.position(|name| Some(&name.as_str()) == fields.first())?;
            Some(Target::Class(class as u32))
        }
        LabelKind::Multilabel => {
            let mut classes = Vec::new();
            for (class, field) in (0..).zip(fields) {
                match *field {
                    "0" => {}
                    "1" => classes.push(class),
                    _ => return None,
                }
            }
            Some(Target::Several(classes))
        }
    }
}

/// A table under way.
struct Writer(csv::Writer<Vec<u8>>);

impl Writer {
    fn new(header: &[String]) -> Result<Self> {
        let mut writer = Self(csv::Writer::from_writer(Vec::new()));
        writer.line(header)?;
        Ok(writer)
    }

    fn line(&mut self, fields: &[String]) -> Result<()> {
        self.0.write_record(fields).map_err(not_csv)
    }

    fn finish(self, path: &Path) -> Result<()> {
        let bytes = self.0.into_inner();
        let bytes = bytes.map_err(|error| Error::Unexpected(format!("scores as CSV: {error}")))?;
        atomic::write(path, &bytes)
    }
}

fn not_csv(error: csv::Error) -> Error {
    Error::Unexpected(format!("scores as CSV: {error}"))
}

fn score_fields(row: usize, scores: &[f32]) -> Result<Vec<String>> {
    let field = |&score: &f32| require_finite(score, row).map(|()| of_score(score));
    scores.iter().map(field).collect()
}

/// Writes `test.csv`: the scores of the test rows in their order.
///
/// # Errors
/// [`Error::Refused`] where a score is not finite, [`Error::Io`].
pub fn write_test(scores: &Scores, task: &Task, path: &Path) -> Result<()> {
    let mut header = vec!["row".to_owned()];
    header.extend(columns(task).1);
    let mut writer = Writer::new(&header)?;
    for (row, scores) in scores.rows().enumerate() {
        let mut fields = vec![row.to_string()];
        fields.extend(score_fields(row, scores)?);
        writer.line(&fields)?;
    }
    writer.finish(path)
}

/// Reads `test.csv`; rows must stand in order.
///
/// # Errors
/// [`Error::Input`] with the line where it is no such table, [`Error::Io`].
pub fn read_test(path: &Path, task: &Task) -> Result<Scores> {
    let mut header = vec!["row".to_owned()];
    header.extend(columns(task).1);
    let mut scores = Scores::new(task.n_scores());
    let mut next = 0;
    read(path, &header, |fields| {
        let in_order = fields[0].parse() == Ok(next);
        next += 1;
        if !in_order {
            return None;
        }
        push_scores(&mut scores, &fields[1..])
    })?;
    Ok(scores)
}

fn push_scores(scores: &mut Scores, fields: &[&str]) -> Option<()> {
    for field in fields {
        scores.values.push(finite(field)?);
    }
    Some(())
}

impl Scored {
    /// Writes `valid.csv`, or with folds `oof.csv`.
    ///
    /// # Errors
    /// As [`write_test`].
    pub fn write(&self, task: &Task, path: &Path) -> Result<()> {
        let mut writer = Writer::new(&self.header(task))?;
        for (at, (&row, target)) in self.rows.iter().zip(&self.targets).enumerate() {
            let mut fields = vec![row.to_string()];
            fields.extend(written(target, task));
            fields.extend(score_fields(row, self.scores.row(at))?);
            fields.extend(self.folds.iter().map(|folds| folds[at].to_string()));
            writer.line(&fields)?;
        }
        writer.finish(path)
    }

    /// Reads `valid.csv`, or with `has_folds` `oof.csv`; rows must ascend.
    ///
    /// # Errors
    /// As [`read_test`].
    pub fn read(path: &Path, task: &Task, has_folds: bool) -> Result<Self> {
        let mut scored = Self {
            scores: Scores::new(task.n_scores()),
            folds: has_folds.then(Vec::new),
            ..Self::default()
        };
        let n_labels = columns(task).0.len();
        let header = scored.header(task);
        read(path, &header, |fields| {
            let (labels, scores) = fields[1..].split_at(n_labels);
            scored.rows.push(fields[0].parse().ok()?);
            scored.targets.push(read_target(labels, task)?);
            if let Some(folds) = &mut scored.folds {
                folds.push(fields.last()?.parse().ok()?);
            }
            push_scores(&mut scored.scores, &scores[..task.n_scores()])
        })?;
        let mut pairs = scored.rows.array_windows();
        match pairs.position(|[row, next]| row >= next) {
            None => Ok(scored),
            Some(before) => {
                let expected = format!("a row above {}", scored.rows[before]);
                let place = Place::line(path, before as u64 + 3).field("row"); // the header is line 1
                Err(Error::input(place, expected, scored.rows[before + 1]).with_hint(CHANGED_HINT))
            }
        }
    }

    /// The rows with the given places in the table.
    pub fn select(&self, places: &[usize]) -> Self {
        Self {
            rows: places.iter().map(|&at| self.rows[at]).collect(),
            targets: places.iter().map(|&at| self.targets[at].clone()).collect(),
            scores: self.scores.select(places),
            folds: (self.folds.as_ref()).map(|folds| places.iter().map(|&at| folds[at]).collect()),
        }
    }

    fn header(&self, task: &Task) -> Vec<String> {
        let (labels, scores) = columns(task);
        let mut header = vec!["row".to_owned()];
        header.extend(labels);
        header.extend(scores);
        header.extend(self.folds.iter().map(|_| "fold".to_owned()));
        header
    }
}

/// Shows the lines under the header to `parse`, one after the other.
fn read(
    path: &Path,
    header: &[String],
    mut parse: impl FnMut(&[&str]) -> Option<()>,
) -> Result<()> {
    let text = std::fs::read(path).map_err(Error::io("read", path))?;
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .from_reader(&text[..]);
    let changed = |place: Place, expected: &str, found: &str| {
        Error::input(place, expected, found).with_hint(CHANGED_HINT)
    };
    let show = |fields: &[&str]| format!("`{}`", fields.join(","));
    let names: Vec<&str> = header.iter().map(String::as_str).collect();
    let mut record = StringRecord::new();
    let mut line = 1;
    loop {
        let place = Place::line(path, line);
        let there = reader
            .read_record(&mut record)
            .map_err(|_| changed(place.clone(), "UTF-8", "other bytes"))?;
        let fields: Vec<&str> = record.iter().collect();
        if line == 1 {
            if fields != names {
                return Err(changed(place, &show(&names), &show(&fields)));
            }
        } else if !there {
            return Ok(());
        } else if fields.len() != names.len() || parse(&fields).is_none() {
            let expected = format!("the values of {}", show(&names));
            return Err(changed(place, &expected, &show(&fields)));
        }
        line = reader.position().line();
    }
}

fn finite(text: &str) -> Option<f32> {
    f32::from_str(text).ok().filter(|score| score.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Key;

    fn task(labels: LabelKind) -> Task {
        let classes: &[&str] = match labels {
            LabelKind::Binary => &["0", "1"],
            LabelKind::Ordinal => &[],
            LabelKind::Classes | LabelKind::Multilabel => &["red, light", "green", "7"],
        };
        Task {
            labels,
            classes: classes.iter().map(|&name| name.to_owned()).collect(),
            ..Task::default()
        }
    }

    fn scored(labels: LabelKind, has_folds: bool) -> Scored {
        let key = Key::from_seed(8);
        let width = task(labels).n_scores();
        let score = |i: usize| (key.bits(i as u64) as i32) as f32 / 3e8;
        let target = |i: u32| match labels {
            LabelKind::Binary => Target::Class(i % 2),
            LabelKind::Classes => Target::Class(i % 3),
            LabelKind::Ordinal => Target::Number(i as f32 / 3.0),
            LabelKind::Multilabel => Target::Several((0..3).filter(|c| i >> c & 1 == 1).collect()),
        };
        Scored {
            rows: (0..50).map(|i| 3 * i).collect(),
            targets: (0..50).map(target).collect(),
            scores: Scores {
                width,
                values: (0..50 * width).map(score).collect(),
            },
            folds: has_folds.then(|| (0..50).map(|i| 1 + i % 5).collect()),
        }
    }

    #[test]
    fn what_is_written_reads_back_the_same_for_every_kind_of_label() {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let path = folder.path().join("t.csv");
        for labels in [
            LabelKind::Binary,
            LabelKind::Classes,
            LabelKind::Multilabel,
            LabelKind::Ordinal,
        ] {
            let task = task(labels);
            for has_folds in [false, true] {
                let scored = scored(labels, has_folds);
                scored.write(&task, &path).expect("room");
                let again = Scored::read(&path, &task, has_folds).expect("our own table");
                assert_eq!(again, scored);
            }
            let test = scored(labels, false).scores;
            write_test(&test, &task, &path).expect("room");
            assert_eq!(read_test(&path, &task).expect("our own table"), test);
        }
    }

    #[test]
    fn the_columns_say_what_is_in_them() {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let path = folder.path().join("t.csv");
        let text = |labels, has_folds| {
            let first = scored(labels, has_folds).select(&[1]);
            first.write(&task(labels), &path).expect("room");
            std::fs::read_to_string(&path).expect("text")
        };
        let binary = text(LabelKind::Binary, true);
        assert!(binary.starts_with("row,label,score,fold\n3,1,"), "{binary}");
        let classes = text(LabelKind::Classes, false);
        let header = "row,label,\"score:red, light\",score:green,score:7\n3,green,";
        assert!(classes.starts_with(header), "{classes}");
        let several = text(LabelKind::Multilabel, false);
        assert!(
            several.starts_with("row,\"label:red, light\",label:green,label:7,"),
            "{several}"
        );
        assert!(several.contains("\n3,1,0,0,"), "{several}");
    }

    #[test]
    fn other_tables_are_refused_with_the_line() {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let path = folder.path().join("t.csv");
        let binary = task(LabelKind::Binary);
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
            let error = read_test(&path, &binary).expect_err(text).to_string();
            assert_eq!(error.replace(&prefix, ""), message);
        }
        for text in [
            "row,label,score\n0,2,1\n",
            "row,label,score\n3,1,1\n3,1,0\n",
        ] {
            std::fs::write(&path, text).expect("a small file");
            assert!(Scored::read(&path, &binary, false).is_err(), "{text}");
        }
    }
}
