//! The rows of an experiment as cipher ids: what its files hold, and which of them are held out.
//!
//! In: the files of an experiment. Out: [`RawRows`], and the vocabulary that they give. Rows are whole here, whatever
//! `data.max_tokens` says: a sentence is cut to another length beside each partner, so that which sentences two rows share can
//! be asked of whole ones only. What counts and what is encoded is cut. Knows no network.

use std::collections::BTreeMap;
use std::path::Path;

use super::warnings;
use crate::config::{Experiment, UnlabelledRows, Valid};
use crate::data::truncate::{n_longer, truncated};
use crate::data::{Classes, Dictionary, Example, Labels, Task, ValidSplit, read_examples, split};
use crate::error::{Error, Place, Result};
use crate::progress::Progress;
use crate::vocab::CipherVocab;

/// Rows as they were read, uncut.
pub struct RawRows {
    /// Texts of a row, kind of its label, and the names of the classes that the training files hold.
    pub task: Task,
    /// Those of the training files.
    pub train: Vec<Example>,
    /// Sorted numbers of the training rows that `data.valid` holds out; none with folds.
    pub held_out: Vec<usize>,
    /// Those of a validation file of its own.
    pub valid_file: Vec<Example>,
    /// Rows to score.
    pub test: Vec<Example>,
    /// Those of `data.unlabelled`.
    pub extra: Vec<Example>,
    /// Those of the files that a stage has for itself and learns from, by the name of the stage.
    pub of_stages: BTreeMap<String, Vec<Example>>,
}

impl RawRows {
    /// Reads every file of `[data]` and of the stages.
    ///
    /// # Errors
    /// Those of [`read_examples`]; [`Error::Input`] where `data.valid` leaves nothing to train on, or nothing to hold out.
    pub fn read(
        experiment: &Experiment,
        dictionary: &mut Dictionary,
        progress: &Progress,
    ) -> Result<Self> {
        let data = &experiment.data;
        let format = experiment.format();
        let mut classes = Classes::new(&format);
        let mut read = |path: &Path, labels: Labels<'_>| {
            read_rows(experiment, path, labels, dictionary, progress)
        };
        let mut train = Vec::new();
        for path in &data.train {
            train.extend(read(path, Labels::Required(&mut classes))?);
        }
        classes.close(&mut train);
        let task = format.task(&classes)?;
        let (held_out, valid_file) = match &data.valid {
            Valid::File(path) => (Vec::new(), read(path, Labels::Required(&mut classes))?),
            Valid::Split(_) if experiment.folds.k > 0 => (Vec::new(), Vec::new()),
            Valid::Split(split) => {
                let numbers = split::valid_rows(&train, *split);
                if numbers.is_empty() && *split == ValidSplit::Group {
                    return Err(no_group_split());
                }
                (numbers, Vec::new())
            }
        };
        if held_out.len() == train.len() && !train.is_empty() {
            let place = Place::file("data.valid");
            let expected = "a split that leaves rows to train on";
            return Err(Error::input(place, expected, "none left")
                .with_hint("add rows to data.train, or set data.valid = \"none\""));
        }
        let test = match &data.test {
            Some(path) => read(path, Labels::Unused)?,
            None => Vec::new(),
        };
        let mut extra = Vec::new();
        for path in &data.unlabelled {
            extra.extend(read(path, Labels::Unused)?);
        }
        let mut of_stages = BTreeMap::new();
        for stage in experiment.stages() {
            let mut rows = Vec::new();
            for path in &stage.files {
                rows.extend(read(path, Labels::Unused)?);
            }
            if !rows.is_empty() && stage.learns_without_labels() {
                of_stages.insert(stage.name, rows);
            }
        }
        Ok(Self {
            task,
            train,
            held_out,
            valid_file,
            test,
            extra,
            of_stages,
        })
    }

    /// The vocabulary of all rows that take part, cut.
    ///
    /// # Errors
    /// [`Error::Input`] where no token is frequent enough.
    pub fn count(&self, experiment: &Experiment, progress: &Progress) -> Result<CipherVocab> {
        let min_count = experiment.vocab.min_count;
        // Rows that no step will see must not earn their tokens a row of the embedding.
        let extra: &[Example] = if experiment.learns_from(UnlabelledRows::Extra) {
            &self.extra
        } else {
            &[]
        };
        let groups = [&self.train, &self.valid_file, &self.test];
        let of_stages = self.of_stages.values().flatten();
        let rows = groups.into_iter().flatten().chain(extra).chain(of_stages);
        let cut = rows.flat_map(|row| truncated(row, experiment.data.max_tokens));
        let vocab = CipherVocab::count_ids(cut.flatten().copied(), min_count);
        if vocab.kept.is_empty() {
            let place = Place::file("vocab.min_count");
            let expected = format!("a token that stands in the rows {min_count} times or more");
            return Err(Error::input(place, expected, "none").with_hint("lower vocab.min_count"));
        }
        progress.say(&format!(
            "vocabulary: {} tokens with min_count {min_count}; {} rarer ones ({} occurrences) are [UNK]",
            vocab.kept.len(),
            vocab.rare_types,
            vocab.rare_tokens
        ));
        Ok(vocab)
    }
}

/// Nearly all rows hang together: no group of components holds about a tenth of them.
fn no_group_split() -> Error {
    let found = "shared sentences that tie nearly all rows together";
    let place = Place::file("data.valid");
    Error::input(place, "components of shared sentences to hold out", found)
        .with_hint("use data.valid = \"row10\", or a validation file of your own")
}

/// Reads one file. Says once where labels are there and not wanted, and where many rows will be cut.
///
/// # Errors
/// Those of [`read_examples`].
pub fn read_rows(
    experiment: &Experiment,
    path: &Path,
    labels: Labels<'_>,
    dictionary: &mut Dictionary,
    progress: &Progress,
) -> Result<Vec<Example>> {
    let are_unused = matches!(labels, Labels::Unused);
    let file = read_examples(path, &experiment.format(), labels, dictionary)?;
    if let Some(found) = &file.found_columns {
        progress.say(&format!("{}: {found}, by their names", path.display()));
    }
    if file.has_labels && are_unused {
        progress.say(&format!(
            "{}: has labels, which are ignored",
            path.display()
        ));
    }
    say_cut(path, &file.examples, experiment, progress);
    Ok(file.examples)
}

/// Says how many rows of a file will be cut, where these are many.
pub fn say_cut(path: &Path, rows: &[Example], experiment: &Experiment, progress: &Progress) {
    let max_tokens = experiment.data.max_tokens;
    let limit = ("data.max_tokens", max_tokens);
    let cut = warnings::cut_rows(path, n_longer(rows, max_tokens), rows.len(), limit);
    cut.iter().for_each(|line| progress.say(line));
}
