//! Pairs that a generator has written for the training rows of each model: `data.augment`.
//!
//! In: a folder that `cipherpet augment` has left: a table and a record for each model of its run. Out: [`Augmented`], which knows a
//! model by the rows it holds out, so that no pair comes into a fold that its generator did not hold the same rows out of. Writes
//! and judges nothing.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::encoder::Encoder;
use super::raw_rows::say_cut;
use crate::config::Experiment;
use crate::data::{
    Dictionary, EncodedExample, Example, ExampleFormat, Labels, Target, TextKind, read_examples,
};
use crate::error::{Error, Place, Result};
use crate::hash::sha256;
use crate::progress::Progress;
use crate::workbench::run_folder::manifest::FileRecord;

/// Ends the name of a record; its table has the same name before `.tsv` or `.csv`.
const RECORD: &str = "json";

/// Columns of a table: those that a pair file with a header has by their usual names, and how near the two are.
pub const HEADER: [&str; 4] = ["text_a", "text_b", "label", "cosine"];

/// What a table was written from, beside it as JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AugmentRecord {
    /// `cipherpet` and its version.
    pub tool: String,
    /// The run that wrote it, by the hash of its settings and inputs.
    pub config_sha256: String,
    /// `single`, the number of a fold, or `full`.
    pub model: String,
    /// The training files and the validation file of that run.
    pub inputs: Vec<FileRecord>,
    /// Of the numbers of the rows that its model holds out ([`held_out_sha256`]).
    pub held_out_sha256: String,
    /// How the sentences were drawn and kept.
    pub options: serde_json::Value,
    /// Sentences that others were drawn for.
    pub sources: usize,
    /// Pairs in the table.
    pub pairs: usize,
    /// Mean cosine of the pairs; null where there are none.
    pub mean_cosine: Option<f64>,
    /// The table.
    pub table: FileRecord,
}

impl AugmentRecord {
    /// Reads a record.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Input`] where it is none.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read(path).map_err(Error::io("read", path))?;
        serde_json::from_slice(&text).map_err(|error| {
            let place = Place::line(path, error.line() as u64);
            Error::input(place, "a record of `cipherpet augment`", error).with_hint(AGAIN)
        })
    }

    /// The record of a table: `fold-1.json` beside `fold-1.tsv`.
    pub fn beside(table: &Path) -> PathBuf {
        table.with_extension(RECORD)
    }
}

const AGAIN: &str = "write the pairs again with `cipherpet augment`, into a new folder";

/// 64 hexadecimal digits of the sorted numbers of rows that a model holds out.
pub fn held_out_sha256(held_out: &[usize]) -> String {
    let numbers: Vec<String> = held_out.iter().map(usize::to_string).collect();
    sha256(numbers.join(" "))
}

/// The form of the tables, for rows as those of `experiment`.
pub fn format(experiment: &Experiment) -> ExampleFormat {
    ExampleFormat {
        kind: TextKind::Pair,
        delimiter: experiment.data.delimiter,
        header: true,
        token_separator: experiment.data.token_separator.clone(),
        tokens: experiment.data.tokens,
        ..ExampleFormat::default()
    }
}

/// The files that rows of an experiment with known labels are read from.
///
/// # Errors
/// [`Error::Io`].
pub fn labelled_files(experiment: &Experiment) -> Result<Vec<FileRecord>> {
    let inputs = experiment.inputs().into_iter();
    let labelled = inputs.filter(|(key, _)| key == "data.train" || key == "data.valid");
    labelled
        .map(|(key, path)| FileRecord::of(&key, &path, &path))
        .collect()
}

/// A table of pairs as it was read.
pub struct WrittenTable {
    /// Of the rows that are held out of what their generator has seen.
    held_out_sha256: String,
    /// All positive, uncut.
    pairs: Vec<Example>,
}

/// Positive pairs, by the rows that are held out of what their generator has seen.
#[derive(Debug, Default)]
pub struct Augmented {
    folder: Option<PathBuf>,
    /// The hash of the held-out rows, and the pairs.
    tables: Vec<(String, Vec<EncodedExample>)>,
}

/// Reads the tables of `data.augment`; none without it.
///
/// # Errors
/// [`Error::Refused`] where the pairs were written for other files, or one of the tables was changed; those of the readers.
pub fn read_tables(
    experiment: &Experiment,
    dictionary: &mut Dictionary,
    progress: &Progress,
) -> Result<Vec<WrittenTable>> {
    let Some(folder) = &experiment.data.augment else {
        return Ok(Vec::new());
    };
    let ours = labelled_files(experiment)?;
    let inputs = experiment.inputs().into_iter();
    let records = inputs.filter(|(key, path)| {
        key == "data.augment" && path.extension().is_some_and(|found| found == RECORD)
    });
    let mut tables = Vec::new();
    for (_, path) in records {
        let record = AugmentRecord::read(&path)?;
        if !is_same(&record.inputs, &ours) {
            let message = format!("data.augment: {} is of other files", path.display());
            return Err(Error::refused(message).with_hint(
                "files are compared by content; write the pairs with a run over the same data.train and data.valid",
            ));
        }
        let table = folder.join(&record.table.path);
        if !record.table.is_as_written(folder)? {
            let message = format!("{} is not the table that was written", table.display());
            return Err(Error::refused(message).with_hint(AGAIN));
        }
        let pairs = match record.pairs {
            0 => Vec::new(),
            _ => read_pairs(&table, experiment, dictionary, progress)?,
        };
        tables.push(WrittenTable {
            held_out_sha256: record.held_out_sha256,
            pairs,
        });
    }
    Ok(tables)
}

impl Augmented {
    /// The tables in rows of the model, cut as other rows are.
    pub fn encoded<'a>(
        experiment: &Experiment,
        tables: &'a [WrittenTable],
        encoder: &mut Encoder<'a>,
    ) -> Self {
        let encode = |table: &'a WrittenTable| {
            let pairs = encoder.numbered(&table.pairs);
            (table.held_out_sha256.clone(), pairs)
        };
        Self {
            folder: experiment.data.augment.clone(),
            tables: tables.iter().map(encode).collect(),
        }
    }

    /// The pairs for a model that holds these rows out (sorted numbers); none without `data.augment`.
    ///
    /// # Errors
    /// [`Error::Refused`] where none were written for it.
    pub fn of(&self, held_out: &[usize]) -> Result<&[EncodedExample]> {
        let Some(folder) = &self.folder else {
            return Ok(&[]);
        };
        let hash = held_out_sha256(held_out);
        let mut tables = self.tables.iter();
        let found = tables.find(|(held_out, _)| *held_out == hash);
        let found = found.map(|(_, pairs)| &pairs[..]);
        found.ok_or_else(|| {
            let message = format!(
                "data.augment: {} has no pairs for a model that holds out these {} rows",
                folder.display(),
                held_out.len()
            );
            Error::refused(message).with_hint(
                "no pair may come from a row that is held out: write them with a run of the same [folds] and data.valid",
            )
        })
    }
}

fn is_same(theirs: &[FileRecord], ours: &[FileRecord]) -> bool {
    let mut pairs = theirs.iter().zip(ours);
    theirs.len() == ours.len() && pairs.all(|(theirs, ours)| theirs.has_content_of(ours))
}

fn read_pairs(
    table: &Path,
    experiment: &Experiment,
    dictionary: &mut Dictionary,
    progress: &Progress,
) -> Result<Vec<Example>> {
    let mut file = read_examples(table, &format(experiment), Labels::Ignored, dictionary)?;
    // A sentence may be as long as the model's positions allow, and its pair longer.
    say_cut(table, &file.examples, experiment, progress);
    for pair in &mut file.examples {
        pair.target = Target::from(true);
    }
    Ok(file.examples)
}
