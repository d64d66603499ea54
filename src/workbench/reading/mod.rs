//! How files are read where no setting says it.
//!
//! In: files of one task, and settings. Out: a [`Reading`]: how rows are written ([`dialect`]), which columns are texts and labels
//! ([`task_guess`]), and why; or a refusal that names the key that decides. What a setting says stands. Rows are read
//! by [`files`] alone; [`stand_in`] tells labels that stand in for unknown ones.

pub mod files;
pub mod stand_in;
pub mod task_guess;

use std::path::{Path, PathBuf};

use crate::config::{Experiment, Loaded};
use crate::data::{Column, ExampleFormat, LabelColumns, dialect};
use crate::error::Result;

/// How files are read, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// What the reader takes.
    pub format: ExampleFormat,
    /// `comma-separated (4 fields a row), a header …`
    pub written: String,
    /// `pairs of texts with labels 0 and 1: …`
    pub task: String,
}

/// How `files` are read: texts and labels.
///
/// # Errors
/// Those of [`dialect::detect`] and [`task_guess::guess`].
pub fn detect(files: &[PathBuf], loaded: &Loaded) -> Result<Reading> {
    let (format, written) = written(files, loaded)?;
    let guess = task_guess::guess(files, &format)?;
    Ok(Reading {
        format: guess.format,
        written,
        task: guess.why,
    })
}

/// The settings to read the texts of `files` by; those of an experiment file stand as they are.
///
/// # Errors
/// Those of [`dialect::detect`] and [`task_guess::guess_texts`].
pub fn detect_texts(files: &[PathBuf], loaded: &Loaded) -> Result<Experiment> {
    if loaded.has_file() {
        return Ok(loaded.experiment.clone());
    }
    let (format, _) = written(files, loaded)?;
    let mut experiment = loaded.experiment.clone();
    experiment.read_as(&task_guess::guess_texts(files, &format)?);
    Ok(experiment)
}

/// The settings with the dialect of the files, and what it is in words.
fn written(files: &[PathBuf], loaded: &Loaded) -> Result<(ExampleFormat, String)> {
    let format = loaded.experiment.format();
    let is_set = |key: &str| loaded.has_file() || loaded.sets(&format!("data.{key}"));
    let dialect = dialect::detect(files, &format, &is_set)?;
    Ok((dialect.in_format(format), dialect.why))
}

/// How a further file of a run is read: as those of the run, or where they are written otherwise as it seems to be. The second is
/// what differs, for people.
///
/// # Errors
/// Those of [`dialect::detect`] and [`task_guess::guess_texts`].
pub fn detect_further(file: &Path, run: &ExampleFormat) -> Result<(ExampleFormat, String)> {
    let files = [file.to_owned()];
    // The ids of the run are numbers or strings, and its rows have one text or two.
    let dialect = dialect::detect(&files, run, &|key| key == "tokens")?;
    let format = dialect.in_format(ExampleFormat {
        text_a: None,
        text_b: None,
        label: None,
        ..run.clone()
    });
    let guessed = task_guess::guess_texts(&files, &format)?;
    let columns = columns(&guessed, run);
    Ok((
        ExampleFormat {
            kind: run.kind,
            ..guessed
        },
        dialect.why + &columns,
    ))
}

/// `, texts in column 2 and column 3, label in column 1`; nothing where they stand in their usual places, as those of the run do.
fn columns(format: &ExampleFormat, run: &ExampleFormat) -> String {
    let name = |column: &Column| match column {
        Column::Number(number) => format!("column {number}"),
        Column::Name(name) => format!("column `{}`", name.escape_debug()),
    };
    let texts = [&format.text_a, &format.text_b].into_iter().flatten();
    let texts: Vec<String> = texts.map(name).collect();
    let are_first = !format.header && run.text_a.is_some();
    let mut text = match texts.is_empty() {
        true if are_first => ", texts in the first columns".to_owned(),
        true => String::new(),
        false => format!(", texts in {}", texts.join(" and ")),
    };
    if let Some(LabelColumns::One(label)) = &format.label {
        text += &format!(", label in {}", name(label));
    }
    text
}
