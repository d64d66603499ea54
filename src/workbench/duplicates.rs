//! Duplicates, near-duplicates and leaks of rows: what comes twice, and what of train stands in test.
//!
//! In: files of rows, and the similarity from which sentences are near-duplicates. Out: a [`DuplicatesReport`], as text for people and
//! as JSON; where it is asked for, a table of the rows. Names rows by file and number, and no text. Files with labels are train, the
//! others test. The comparison itself is [`crate::data::duplicates`].

use std::fmt::{self, Display};
use std::path::{Path, PathBuf};

use csv::QuoteStyle;
use serde::Serialize;

use super::Context;
use super::reading::files::{TaskFiles, read_files};
use super::table::table as as_table;
use crate::atomic;
use crate::config::Loaded;
use crate::data::duplicates::chains::chains;
use crate::data::duplicates::{
    ComponentCounts, Duplicates, Finding, Kind, Overlap, Part, SentenceCounts, find,
};
use crate::data::near::is_threshold;
use crate::data::{ExampleFile, LabelKind, Task, TextKind};
use crate::error::{Error, Place, Result};

/// Contradictions of a kind that the text for people names.
const SHOWN: usize = 5;

/// All that [`duplicates`] found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DuplicatesReport {
    /// Texts of a row, kind of its label, and the classes.
    pub task: Task,
    /// How that was recognised.
    pub task_why: String,
    /// How the rows are written, and by what that was recognised.
    pub written: String,
    /// From which similarity on sentences are near-duplicates.
    pub near: f64,
    /// Train files, then the others.
    pub files: Vec<FileDuplicates>,
    /// Of all files.
    pub sentences: SentenceCounts,
    /// Sentences that hang together.
    pub components: ComponentCounts,
    /// Rows with a label that another row contradicts.
    pub contradicting_rows: usize,
    /// Which rows contradict which.
    pub contradictions: Vec<RowPair>,
    /// Rows with label 0 whose two texts hang together by rows with label 1; none where the labels are not 0 and 1 of pairs.
    pub chain_rows: usize,
    /// These rows as the other ones, each with a row of label 1 that has its first text.
    pub chains: Vec<RowPair>,
    /// The table that was written.
    pub out: Option<PathBuf>,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FileDuplicates {
    /// As the user named it.
    pub path: PathBuf,
    /// It has labels.
    pub is_train: bool,
    /// Its rows.
    pub rows: usize,
    /// Of these, with the same texts as an earlier row of this file or of one before.
    pub exact_rows: usize,
    /// Of the others, with the same texts as an earlier row, exchanged.
    pub swapped_rows: usize,
    /// Shares of its rows that stand in another train file; `None` where there is none.
    pub with_train: Option<Overlap>,
}

/// Two rows; they count from 0 in their files, without the header.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RowPair {
    /// What they have in common.
    pub kind: Kind,
    /// File of the first row.
    pub file: PathBuf,
    /// The first row.
    pub row: usize,
    /// File of the other row.
    pub other_file: PathBuf,
    /// The other row.
    pub other_row: usize,
    /// How similar the sentences are, or the less similar ones of two pairs: above 0, and 1 for the same.
    pub similarity: f64,
}

/// Compares the rows of `files`. `near` is the similarity from which sentences are near-duplicates; `loaded` says how the files are
/// read ([`read_files`]); `out` is where to write the table.
///
/// # Errors
/// [`Error::Input`] for a `near` that is not above 0 and up to 1; those of [`read_files`] and of [`find`]; [`Error::Io`].
pub fn duplicates(
    files: &[PathBuf],
    loaded: &Loaded,
    near: f64,
    out: Option<&Path>,
    context: Context,
) -> Result<DuplicatesReport> {
    if !is_threshold(near) {
        let error = Error::input(Place::file("--near"), "a number above 0, up to 1", near);
        return Err(
            error.with_hint("1 asks for the same tokens and neighbours, .9 for nearly all of them")
        );
    }
    let TaskFiles {
        mut labelled,
        unlabelled,
        task,
        reading,
        ..
    } = read_files(files, loaded, context)?;
    labelled.extend(unlabelled);
    let files = labelled;
    let found = compare(&files, &task, near, context)?;
    if let Some(out) = out {
        atomic::write(out, &table(&files, &found)?)?;
    }
    let of_kind = |kind: Kind| -> Vec<RowPair> {
        let findings = found.findings.iter().filter(|found| found.kind == kind);
        findings.map(|found| row_pair(&files, found)).collect()
    };
    let chains = of_kind(Kind::Chain);
    Ok(DuplicatesReport {
        task,
        task_why: reading.task,
        written: reading.written,
        near,
        contradictions: of_kind(Kind::Contradiction),
        chain_rows: chains.len(),
        chains,
        files: of_files(&files, &found),
        sentences: found.sentences,
        components: found.components,
        contradicting_rows: found.contradicting_rows,
        out: out.map(Path::to_owned),
    })
}

fn compare(files: &[ExampleFile], task: &Task, near: f64, context: Context) -> Result<Duplicates> {
    let parts = files.iter().map(|file| Part {
        rows: &file.examples,
        is_train: file.has_labels,
    });
    let parts: Vec<Part> = parts.collect();
    let mut bar = None; // begins when it is known how many sentences there are
    let mut found = find(&parts, near, |n, all| {
        let begin = || context.progress.task("compare", all as u64, "sentences");
        bar.get_or_insert_with(begin).advance(n as u64);
        context.stop.check()
    })?;
    if has_chains(task) {
        found.findings.extend(chains(&parts)); // the last kind
    }
    Ok(found)
}

/// Whether label 1 can say that two texts mean the same.
fn has_chains(task: &Task) -> bool {
    task.kind == TextKind::Pair && task.labels == LabelKind::Binary
}

fn of_files(files: &[ExampleFile], found: &Duplicates) -> Vec<FileDuplicates> {
    let mut repeats = vec![(0, 0); files.len()];
    for finding in &found.findings {
        let (exact, swapped) = &mut repeats[finding.second.file];
        *exact += usize::from(finding.kind == Kind::Exact);
        *swapped += usize::from(finding.kind == Kind::Swapped);
    }
    let files = files.iter().zip(repeats).zip(&found.with_train);
    let of_file = |((file, (exact_rows, swapped_rows)), with_train): ((&ExampleFile, _), &_)| {
        FileDuplicates {
            path: file.path.clone(),
            is_train: file.has_labels,
            rows: file.examples.len(),
            exact_rows,
            swapped_rows,
            with_train: *with_train,
        }
    };
    files.map(of_file).collect()
}

fn row_pair(files: &[ExampleFile], found: &Finding) -> RowPair {
    RowPair {
        kind: found.kind,
        file: files[found.first.file].path.clone(),
        row: found.first.row,
        other_file: files[found.second.file].path.clone(),
        other_row: found.second.row,
        similarity: found.similarity,
    }
}

/// The table of all findings: TSV with a header.
fn table(files: &[ExampleFile], found: &Duplicates) -> Result<Vec<u8>> {
    let header = [
        "kind",
        "file",
        "row",
        "other_file",
        "other_row",
        "similarity",
    ];
    let rows = found.findings.iter().map(|found| {
        let name = |file: usize| files[file].path.display().to_string();
        [
            found.kind.name().to_owned(),
            name(found.first.file),
            found.first.row.to_string(),
            name(found.second.file),
            found.second.row.to_string(),
            format!("{:.4}", found.similarity),
        ]
    });
    as_table((b'\t', QuoteStyle::Necessary), header, rows)
}

impl Display for DuplicatesReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "files: {}", self.written)?;
        writeln!(f, "task: {}", self.task_why)?;
        for file in &self.files {
            self.write_file(f, file)?;
        }
        let sentences = &self.sentences;
        writeln!(
            f,
            "sentences: {} different; {} in several rows, {} in several files",
            sentences.distinct, sentences.in_several_rows, sentences.in_several_files
        )?;
        writeln!(
            f,
            "  near-duplicates (similarity {} or more): {} pairs of {} sentences",
            self.near, sentences.near_pairs, sentences.with_near_duplicate
        )?;
        self.write_components(f)?;
        self.write_contradictions(f)?;
        if let Some(out) = &self.out {
            writeln!(f, "table: {}", out.display())?;
        }
        Ok(())
    }
}

impl DuplicatesReport {
    fn write_file(&self, f: &mut fmt::Formatter<'_>, file: &FileDuplicates) -> fmt::Result {
        let role = if file.is_train { "train" } else { "test" };
        let (path, rows, exact) = (file.path.display(), file.rows, file.exact_rows);
        write!(
            f,
            "{path} ({role}): {rows} rows, {exact} repeat an earlier row"
        )?;
        match self.task.kind {
            TextKind::Pair => writeln!(f, ", {} one with its texts exchanged", file.swapped_rows)?,
            TextKind::Single => writeln!(f)?,
        }
        let Some(with_train) = file.with_train else {
            return Ok(());
        };
        let other = if file.is_train {
            "another train file"
        } else {
            "train"
        };
        writeln!(
            f,
            "  {:.1} % of its rows share a sentence with {other}, {:.1} % one of similarity {} or more",
            100.0 * with_train.exact,
            100.0 * with_train.exact_or_near,
            self.near
        )
    }

    fn write_components(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let components = &self.components;
        writeln!(
            f,
            "components (sentences joined by labelled rows and near-duplicates): {}",
            components.components
        )?;
        writeln!(
            f,
            "  the largest has {} sentences and {} rows",
            components.largest_sentences, components.largest_rows
        )?;
        if self.files.iter().any(|file| file.is_train)
            && self.files.iter().any(|file| !file.is_train)
        {
            writeln!(
                f,
                "  across train and test: {} rows of train, {} of test",
                components.train_rows_across, components.test_rows_across
            )?;
        }
        Ok(())
    }

    fn write_contradictions(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.files.iter().any(|file| file.is_train) {
            return Ok(()); // there are no labels
        }
        writeln!(
            f,
            "contradictions: {} rows have another label than a row of the same or nearly the same texts",
            self.contradicting_rows
        )?;
        write_pairs(f, &self.contradictions, |pair| {
            format!("similarity {:.2}", pair.similarity)
        })?;
        if !has_chains(&self.task) {
            return Ok(());
        }
        writeln!(
            f,
            "chains: {} rows have label 0 though rows with label 1 join their two texts (a = b, b = c, not a = c)",
            self.chain_rows
        )?;
        write_pairs(f, &self.chains, |_| "labels 1 and 0".to_owned())
    }
}

/// The first few pairs of rows with what is said of each, and how many there are more.
fn write_pairs(
    f: &mut fmt::Formatter<'_>,
    pairs: &[RowPair],
    said: impl Fn(&RowPair) -> String,
) -> fmt::Result {
    for pair in pairs.iter().take(SHOWN) {
        writeln!(
            f,
            "  {} row {} and {} row {}: {}",
            pair.file.display(),
            pair.row,
            pair.other_file.display(),
            pair.other_row,
            said(pair)
        )?;
    }
    match pairs.len().saturating_sub(SHOWN) {
        0 => Ok(()),
        more => writeln!(f, "  and {more} more pairs of rows"),
    }
}
