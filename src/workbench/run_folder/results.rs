//! What a run folder holds, read back: figures, validation scores, test scores, models.
//!
//! In: a folder that `cipherpet run` or `cipherpet ensemble` has left, of a single split (`valid.csv`, `model/`) or
//! of folds (`oof.csv`, `fold-1/` …). Out: [`Results`]. Reads leniently: of the manifest only what is used here, so
//! that folders of other versions of the tool show too. Writes nothing.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::manifest::{FileRecord, State};
use super::names::{self, ModelName};
use super::record::{FoldFigures, RunRecord};
use super::scores;
use crate::config::{self, Experiment, SubmitConfig, SubmitFormat};
use crate::data::table::quoted;
use crate::error::{Error, Place, Result};

/// Rows with a label and a score of a model that has not seen the label.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LabelledScores {
    /// Number of each row, from 0, over all training files or in the validation file.
    pub rows: Vec<usize>,
    /// One a row.
    pub labels: Vec<bool>,
    /// One a row.
    pub scores: Vec<f32>,
    /// The fold that held each row out, from 1; none for a single split.
    pub folds: Option<Vec<usize>>,
}

/// A run folder.
#[derive(Debug, Clone)]
pub struct Results {
    /// As the user named it.
    pub path: PathBuf,
    /// From its manifest.
    pub record: RunRecord,
}

impl Results {
    /// Reads the manifest of a run folder, finished or not.
    ///
    /// # Errors
    /// [`Error::Refused`] where the folder has none, [`Error::Input`] where it is none of ours, [`Error::Io`].
    pub fn open(path: &Path) -> Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            record: RunRecord::read(path)?,
        })
    }

    /// As [`Results::open`], of a run that is done.
    ///
    /// # Errors
    /// As [`Results::open`]; [`Error::Refused`] where it is not done.
    pub fn open_done(path: &Path) -> Result<Self> {
        let results = Self::open(path)?;
        match results.record.state {
            State::Done => Ok(results),
            State::Begun => {
                let message = format!("the run in {} is not done", path.display());
                Err(Error::refused(message)
                    .with_hint("end it first: the same `cipherpet run` again"))
            }
        }
    }

    /// The resolved experiment.
    ///
    /// # Errors
    /// Those of [`config::load`].
    pub fn experiment(&self) -> Result<Experiment> {
        Ok(config::load(Some(&self.path.join(names::CONFIG)), &[])?.experiment)
    }

    /// Folds that were asked for; 0 for a single split, and for an ensemble.
    pub fn folds(&self) -> usize {
        let text = std::fs::read_to_string(self.path.join(names::CONFIG)).unwrap_or_default();
        let config = text.parse::<toml::Table>().unwrap_or_default();
        let number = |key: &str| config.get("folds")?.get(key)?.as_integer();
        let (k, repeats) = (number("k").unwrap_or(0), number("repeats").unwrap_or(1));
        usize::try_from(k * repeats.max(1)).unwrap_or(0)
    }

    /// What the folds that are done say, in their order. A `DONE` that is none counts as not there.
    pub fn folds_done(&self) -> Vec<FoldFigures> {
        let folds = ModelName::folds_in(&self.path).into_iter();
        folds
            .filter_map(|fold| FoldFigures::read(&fold.folder(&self.path)).ok()?)
            .collect()
    }

    /// Folders of models that share the work of scoring: the one model, or one a fold.
    pub fn models(&self) -> Vec<PathBuf> {
        let one = self.path.join(names::MODEL);
        let of_folds = || {
            ModelName::folds_in(&self.path)
                .into_iter()
                .map(|fold| fold.folder(&self.path).join(names::MODEL))
        };
        let all: Vec<PathBuf> = if has_weights(&one) {
            vec![one]
        } else {
            of_folds().collect()
        };
        all.into_iter().filter(|model| has_weights(model)).collect()
    }

    /// Numbers in one model; none where there is no model, or it cannot be read.
    pub fn parameters(&self) -> Option<u64> {
        parameters(&self.models().first()?.join(names::WEIGHTS))
    }

    /// The table of scores of rows whose labels are known: `oof.csv`, or `valid.csv`.
    ///
    /// # Errors
    /// [`Error::Refused`] where there is neither.
    pub fn labelled_file(&self) -> Result<PathBuf> {
        let found = [names::OOF, names::VALID].map(|name| self.path.join(name));
        found.into_iter().find(|path| path.exists()).ok_or_else(|| {
            let path = self.path.display();
            let message = format!("{path} has neither {} nor {}", names::OOF, names::VALID);
            Error::refused(message).with_hint("run it again in a new folder")
        })
    }

    /// The scores of rows whose labels are known.
    ///
    /// # Errors
    /// As [`Results::labelled_file`]; [`Error::Input`] with the line where it is damaged.
    pub fn labelled_scores(&self) -> Result<LabelledScores> {
        read_labelled(&self.labelled_file()?)
    }

    /// The file with the score of each test row, as it came from the model: `test.csv`, or a submission that is
    /// no other; none where the run had no test file.
    ///
    /// # Errors
    /// [`Error::Refused`] where it is gone.
    pub fn test_file(&self) -> Result<Option<PathBuf>> {
        if self.inputs("data.test").next().is_none() {
            return Ok(None);
        }
        let (table, plain) = (
            self.path.join(names::TEST),
            self.path.join(names::SUBMISSION),
        );
        if table.exists() {
            return Ok(Some(table));
        }
        if plain.exists() && holds_scores(&self.experiment()?.submit) {
            return Ok(Some(plain));
        }
        let (path, test) = (self.path.display(), names::TEST);
        let message = format!(
            "{path} has no {test} and no {} of plain scores",
            names::SUBMISSION
        );
        Err(Error::refused(message).with_hint("run it again in a new folder"))
    }

    /// The score of each test row; none where the run had no test file.
    ///
    /// # Errors
    /// As [`Results::test_file`]; [`Error::Input`] with the line where it is damaged.
    pub fn test_scores(&self) -> Result<Option<Vec<f32>>> {
        let Some(path) = self.test_file()? else {
            return Ok(None);
        };
        let is_table = path.file_name().is_some_and(|name| name == names::TEST);
        if is_table {
            scores::read_test(&path)
        } else {
            read_plain(&path)
        }
        .map(Some)
    }

    /// The inputs under one config key.
    pub fn inputs<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a FileRecord> {
        self.record
            .inputs
            .iter()
            .filter(move |input| input.key == key)
    }
}

/// Whether a submission of this form is the scores as they are, one a line.
pub fn holds_scores(submit: &SubmitConfig) -> bool {
    submit.format == SubmitFormat::Plain && !submit.probability
}

fn has_weights(model: &Path) -> bool {
    model.join(names::WEIGHTS).exists()
}

/// Adds up the shapes in the header of a safetensors file; the weights themselves are not read.
fn parameters(path: &Path) -> Option<u64> {
    let mut file = File::open(path).ok()?;
    let mut length = [0; 8];
    file.read_exact(&mut length).ok()?;
    let mut header = Vec::new();
    file.take(u64::from_le_bytes(length))
        .read_to_end(&mut header)
        .ok()?;
    let header: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(&header).ok()?;
    let shapes = header
        .values()
        .filter_map(|tensor| tensor.get("shape")?.as_array());
    Some(
        shapes
            .map(|shape| shape.iter().filter_map(|n| n.as_u64()).product::<u64>())
            .sum(),
    )
}

/// Reads `oof.csv`, or `valid.csv`.
fn read_labelled(path: &Path) -> Result<LabelledScores> {
    let mut read = LabelledScores::default();
    if path.file_name().is_some_and(|name| name == names::OOF) {
        let lines = scores::read_oof(path)?;
        read.folds = Some(lines.iter().map(|line| line.fold).collect());
        let lines = lines.into_iter();
        lines.for_each(|line| read.push(line.row, line.label, line.score));
    } else {
        let lines = scores::read_valid(path)?.into_iter();
        lines.for_each(|line| read.push(line.row, line.label, line.score));
    }
    match read
        .rows
        .array_windows()
        .position(|[row, next]| row >= next)
    {
        None => Ok(read),
        Some(before) => {
            let expected = format!("a row above {}", read.rows[before]);
            let place = Place::line(path, before as u64 + 3).field("row"); // the header is line 1
            Err(Error::input(place, expected, read.rows[before + 1]))
        }
    }
}

impl LabelledScores {
    fn push(&mut self, row: usize, label: bool, score: f32) {
        self.rows.push(row);
        self.labels.push(label);
        self.scores.push(score);
    }
}

/// Reads one score a line.
fn read_plain(path: &Path) -> Result<Vec<f32>> {
    let text = std::fs::read_to_string(path).map_err(Error::io("read", path))?;
    let lines = (1..).zip(text.lines());
    let finite = |text: &str| text.parse().ok().filter(|score: &f32| score.is_finite());
    lines
        .map(|(line, text)| {
            let place = || Place::line(path, line);
            finite(text).ok_or_else(|| Error::input(place(), "a finite score", quoted(text)))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(name: &str, text: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("a small file");
        (folder, path)
    }

    #[test]
    fn tables_of_both_layouts_read_back() {
        let (_folder, path) = written("valid.csv", "row,label,score\n0,1,0.5\n10,0,-1.25\n");
        let expected = LabelledScores {
            rows: vec![0, 10],
            labels: vec![true, false],
            scores: vec![0.5, -1.25],
            folds: None,
        };
        assert_eq!(read_labelled(&path).expect("good"), expected);
        let (_folder, path) = written("oof.csv", "row,label,score,fold\n0,1,0.5,2\n10,0,-1.25,1\n");
        let with_folds = LabelledScores {
            folds: Some(vec![2, 1]),
            ..expected
        };
        assert_eq!(read_labelled(&path).expect("good"), with_folds);
        let (_folder, path) = written("submission.csv", "0.5\n-2\n");
        assert_eq!(read_plain(&path).expect("good"), [0.5, -2.0]);
    }

    #[test]
    fn damaged_tables_are_refused_with_the_line() {
        let (_folder, path) = written("valid.csv", "row,label,score\n3,1,1\n4,1,0\n4,1,0\n");
        let message = read_labelled(&path).expect_err("twice").to_string();
        assert!(
            message.ends_with("valid.csv:4:row: expected a row above 4, found 4"),
            "{message}"
        );
        for text in ["1\nnan\n", "1\n\n"] {
            let (_folder, path) = written("submission.csv", text);
            let message = read_plain(&path).expect_err(text).to_string();
            assert!(
                message.contains("submission.csv:2: expected a finite score, found "),
                "{message}"
            );
        }
    }
}
