//! What a run folder holds, read back: figures, validation scores, test scores, models.
//!
//! In: a folder that `cipherpet run` or `cipherpet ensemble` has left, of a single split (`valid.csv`, `model/`) or
//! of folds (`oof.csv`, `fold-1/` …). Out: [`Results`]. Reads leniently: of the manifest only what is used here, so
//! that folders of other versions of the tool show too. Writes nothing.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use super::manifest::{FileRecord, State};
use super::names::{self, ModelName};
use super::record::{FoldFigures, RunRecord};
use super::scores::{self, Scored};
use crate::config::{self, Experiment, SubmitConfig, SubmitFormat};
use crate::data::Scores;
use crate::data::table::quoted;
use crate::error::{Error, Place, Result};

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
            State::Begun | State::Reopened => {
                let message = format!("the run in {} is not done", path.display());
                Err(Error::refused(message)
                    .with_hint("end it first: the same `cipherpet run` again"))
            }
        }
    }

    /// Whether the run, which is done, has written `file`, a path in its folder. One that was cut or replaced since must
    /// neither travel under the run's name nor score rows.
    ///
    /// # Errors
    /// [`Error::Refused`] for such a file; [`Error::Io`].
    pub fn wrote(&self, file: &Path) -> Result<bool> {
        let mut outputs = self.record.outputs.iter();
        let Some(output) = outputs.find(|output| output.path == file) else {
            return Ok(false);
        };
        if output.is_as_written(&self.path)? {
            return Ok(true);
        }
        let at = self.path.join(file);
        let message = format!("{} is not the file that the run has written", at.display());
        Err(Error::refused(message)
            .with_hint("its hash in manifest.json differs; run it again in a new folder"))
    }

    /// Refuses a table in the folder of a run that is done where it is not the one that the run has written.
    fn require_written(&self, table: &Path) -> Result<()> {
        match (self.record.state, table.file_name()) {
            // Runs of earlier versions and made by hand do not list every table.
            (State::Done, Some(name)) => self.wrote(Path::new(name)).map(drop),
            _ => Ok(()),
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
        usize::try_from(k.saturating_mul(repeats.max(1))).unwrap_or(0)
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
    /// As [`Results::labelled_file`]; [`Error::Refused`] where the run is done and has written another table; [`Error::Input`] with
    /// the line where it is damaged.
    pub fn labelled_scores(&self) -> Result<Scored> {
        let path = self.labelled_file()?;
        self.require_written(&path)?;
        let has_folds = path.file_name().is_some_and(|name| name == names::OOF);
        Scored::read(&path, &self.record.task, has_folds)
    }

    /// The file with the score of each test row, as it came from the model: `test.csv`, or in runs of
    /// earlier versions a submission that is no other; none where the run had no test file.
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
        if plain.exists() && holds_scores(&plain, &self.experiment()?.submit)? {
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
    /// As [`Results::test_file`]; [`Error::Refused`] where the run is done and has written another table; [`Error::Input`] with the
    /// line where it is damaged.
    pub fn test_scores(&self) -> Result<Option<Scores>> {
        let Some(path) = self.test_file()? else {
            return Ok(None);
        };
        self.require_written(&path)?;
        let is_table = path.file_name().is_some_and(|name| name == names::TEST);
        if is_table {
            scores::read_test(&path, &self.record.task)
        } else {
            read_plain(&path).map(Scores::single)
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

/// Whether a submission of this form is the scores as they are, one a line. The ids of the test file may have made a table of
/// it, which a header tells.
fn holds_scores(submission: &Path, submit: &SubmitConfig) -> Result<bool> {
    if submit.format == SubmitFormat::Csv || submit.probability || submit.like.is_some() {
        return Ok(false);
    }
    let file = File::open(submission).map_err(Error::io("read", submission))?;
    let mut first = String::new();
    // A header of ids and scores is no longer.
    let read = BufReader::new(file).take(1 << 16).read_line(&mut first);
    Ok(read.is_ok() && !first.contains(','))
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

/// Reads one score a line.
fn read_plain(path: &Path) -> Result<Vec<f32>> {
    let text = std::fs::read_to_string(path).map_err(Error::io("read", path))?;
    let lines = (1..).zip(text.lines());
    let finite = |text: &str| text.parse().ok().filter(|score: &f32| score.is_finite());
    lines
        .map(|(line, text)| {
            let place = || Place::line(path, line);
            finite(text).ok_or_else(|| {
                Error::input(place(), "a finite score", quoted(text)).with_hint(names::CHANGED_HINT)
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_folds_than_can_be_counted() {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let config = format!("[folds]\nk = {}\nrepeats = 3\n", i64::MAX);
        std::fs::write(folder.path().join(names::CONFIG), config).expect("a small file");
        let manifest = r#"{"tool":"t","state":"begun","config_sha256":"","inputs":[]}"#;
        std::fs::write(folder.path().join(names::MANIFEST), manifest).expect("a small file");
        let run = Results::open(folder.path()).expect("a run");
        assert_eq!(run.folds(), i64::MAX as usize);
    }

    #[test]
    fn a_plain_submission_reads_back_and_a_damaged_one_is_refused_with_the_line() {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let path = folder.path().join("submission.csv");
        std::fs::write(&path, "0.5\n-2\n").expect("a small file");
        assert_eq!(read_plain(&path).expect("good"), [0.5, -2.0]);
        for text in ["1\nnan\n", "1\n\n"] {
            std::fs::write(&path, text).expect("a small file");
            let message = read_plain(&path).expect_err(text).to_string();
            assert!(
                message.contains("submission.csv:2: expected a finite score, found "),
                "{message}"
            );
        }
    }
}
