//! The files of one task, read: those with labels and those without.
//!
//! In: files of rows in any order, and settings. Out: their examples, the task that they hold, and how that was recognised. Says
//! nothing of which file is for what beyond that: rows with labels are to train on, but for those whose labels all say that there
//! is none.

use std::path::{Path, PathBuf};

use super::Reading;
use super::stand_in::{self, StandIn};
use crate::config::Loaded;
use crate::data::{Classes, Dictionary, ExampleFile, Labels, Task, read_examples};
use crate::error::{Error, Place, Result};
use crate::workbench::Context;

/// The files of one task.
#[derive(Debug)]
pub struct TaskFiles {
    /// Files with labels, in the order they were given.
    pub labelled: Vec<ExampleFile>,
    /// The others, in the order they were given.
    pub unlabelled: Vec<ExampleFile>,
    /// Texts of a row, kind of its label, and the classes.
    pub task: Task,
    /// How they were read, and why.
    pub reading: Reading,
    /// Files whose rows all have one label, where those of others differ.
    pub stand_ins: Vec<StandIn>,
}

/// Reads `files` alike. Where `loaded` says nothing of how, that is found out ([`super::detect`]). Says which
/// files have a label that seems to stand in for unknown ones.
///
/// # Errors
/// Those of [`super::detect`] and of the reader; [`Error::Input`] for an experiment file; an interruption.
pub fn read_files(
    files: &[PathBuf],
    loaded: &Loaded,
    Context { progress, stop, .. }: Context,
) -> Result<TaskFiles> {
    files.iter().try_for_each(|path| refuse_experiment(path))?;
    let reading = super::detect(files, loaded)?;
    let format = &reading.format;
    let stand_ins = stand_in::find(files, format);
    let say = |one: &StandIn| progress.say(&one.describe(&one.path));
    stand_ins.iter().for_each(say);
    let unlabelled_anyway = |path: &Path| {
        let mut of_none = stand_ins.iter().filter(|one| one.is_unlabelled);
        of_none.any(|one| one.path == path)
    };
    let mut dictionary = Dictionary::new(format.tokens);
    let task = progress.task("read", files.len() as u64, "files");
    let mut classes = Classes::new(format);
    let (mut labelled, mut unlabelled) = (Vec::new(), Vec::new());
    for path in files {
        let labels = match unlabelled_anyway(path) {
            true => Labels::Ignored,
            false => Labels::Optional(&mut classes),
        };
        let mut file = read_examples(path, format, labels, &mut dictionary)?;
        file.has_labels &= !unlabelled_anyway(path);
        let group = if file.has_labels {
            &mut labelled
        } else {
            &mut unlabelled
        };
        group.push(file);
        task.advance(1);
        stop.check()?;
    }
    drop(task);
    // One order for the rows of all files.
    classes.close(
        labelled
            .iter_mut()
            .flat_map(|file: &mut ExampleFile| &mut file.examples),
    );
    let task = Task {
        kind: format.kind,
        labels: format.labels,
        classes: classes.names().to_vec(),
    };
    Ok(TaskFiles {
        labelled,
        unlabelled,
        task,
        reading,
        stand_ins,
    })
}

/// Refuses what says how files are read in the place of a file.
fn refuse_experiment(path: &Path) -> Result<()> {
    if path.extension().is_none_or(|extension| extension != "toml") {
        return Ok(());
    }
    let error = Error::input(Place::file(path), "a file of rows", "an experiment file");
    Err(error.with_hint(
        "name the files of rows; --experiment TOML gives the settings that they are read by",
    ))
}
