//! Which runs make an ensemble: done, over the same rows with the same labels, and for the same test file.
//!
//! In: run folders. Out: what they hold, or a refusal that names both runs.

use std::path::PathBuf;

use crate::config::{self, Experiment, SubmitFormat};
use crate::data::{Target, source};
use crate::error::{Error, Place, Result};
use crate::workbench::run_folder::manifest::FileRecord;
use crate::workbench::run_folder::names;
use crate::workbench::run_folder::results::Results;

/// Rows with a label 0 or 1 and a score of a model that has not seen the label.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct LabelledScores {
    /// Number of each row, from 0, over all training files or in the validation file.
    pub rows: Vec<usize>,
    /// One a row.
    pub labels: Vec<bool>,
    /// One a row.
    pub scores: Vec<f32>,
    /// The fold that held each row out, from 1; none for a single split.
    pub folds: Option<Vec<usize>>,
}

impl LabelledScores {
    /// # Errors
    /// [`Error::Refused`] for other labels.
    fn of(run: &Results) -> Result<Self> {
        let scored = run.labelled_scores()?;
        let labels: Option<Vec<bool>> = scored.targets.iter().map(Target::is_positive).collect();
        match labels.filter(|_| scored.scores.width == 1) {
            Some(labels) => Ok(Self {
                rows: scored.rows,
                labels,
                scores: scored.scores.values,
                folds: scored.folds,
            }),
            None => Err(Error::refused(format!(
                "{} has labels other than 0 and 1, of which no ensemble is made yet",
                run.path.display()
            ))),
        }
    }
}

/// Opens the runs, and refuses those that cannot be blended with the first.
pub(super) fn open_all(paths: &[PathBuf]) -> Result<Vec<Results>> {
    let runs: Vec<Results> = paths
        .iter()
        .map(|path| Results::open_done(path))
        .collect::<Result<_>>()?;
    let real = |run: &Results| run.path.canonicalize().unwrap_or(run.path.clone());
    for (number, run) in runs.iter().enumerate() {
        if runs[..number]
            .iter()
            .any(|before| real(before) == real(run))
        {
            let message = format!("{} is named twice", run.path.display());
            return Err(Error::refused(message)
                .with_hint("`--how weights` finds how much each run is worth"));
        }
    }
    if let Some((first, others)) = runs.split_first() {
        for other in others {
            require_same_files(first, other)?;
        }
    }
    Ok(runs)
}

/// Row numbers mean the same rows only where they count over the same files.
fn require_same_files(first: &Results, other: &Results) -> Result<()> {
    let rows_key = |run: &Results| match run.inputs("data.valid").next() {
        Some(_) => "data.valid",
        None => "data.train",
    };
    let files =
        |run: &Results, key: &str| -> Vec<FileRecord> { run.inputs(key).cloned().collect() };
    let differ = |a: &[FileRecord], b: &[FileRecord]| {
        a.len() != b.len() || a.iter().zip(b).any(|(a, b)| !a.has_content_of(b))
    };
    let name = |run: &Results, files: &[FileRecord]| match files {
        [] => format!("{} has none", run.path.display()),
        files => {
            let paths = files.iter().map(|file| file.path.display().to_string());
            format!(
                "{} has {}",
                run.path.display(),
                paths.collect::<Vec<_>>().join(" ")
            )
        }
    };
    let cases = [
        (rows_key(first), rows_key(other), "rows of different files"),
        ("data.test", "data.test", "different test files"),
    ];
    for (key, other_key, what) in cases {
        let (a, b) = (files(first, key), files(other, other_key));
        if differ(&a, &b) {
            let message = format!(
                "runs over {what} make no ensemble: {}, {}",
                name(first, &a),
                name(other, &b)
            );
            return Err(Error::refused(message)
                .with_hint("files are compared by content; leave one of the runs out"));
        }
    }
    Ok(())
}

/// The validation scores of every run, of the same rows with the same labels.
pub(super) fn read_tables(runs: &[Results]) -> Result<Vec<LabelledScores>> {
    let tables: Vec<LabelledScores> = runs.iter().map(LabelledScores::of).collect::<Result<_>>()?;
    for (run, table) in runs.iter().zip(&tables).skip(1) {
        let both = (runs[0].path.display(), run.path.display());
        require_same_rows(&tables[0], table, both)?;
    }
    Ok(tables)
}

fn require_same_rows(
    a: &LabelledScores,
    b: &LabelledScores,
    (name_a, name_b): (impl std::fmt::Display, impl std::fmt::Display),
) -> Result<()> {
    let refuse = |what: String| {
        let message = format!("{name_a} and {name_b} make no ensemble: {what}");
        Err(Error::refused(message)
            .with_hint("runs with the same [folds], or the same data.valid, have the same rows"))
    };
    let both = a.rows.iter().zip(&b.rows);
    // Both ascend: at the first difference the lower row is in one of them only.
    match both.clone().find(|(in_a, in_b)| in_a != in_b) {
        Some((in_a, in_b)) if in_a < in_b => {
            return refuse(format!("row {in_a} is held out in {name_a} only"));
        }
        Some((_, in_b)) => return refuse(format!("row {in_b} is held out in {name_b} only")),
        None => {}
    }
    let n = both.len();
    if let Some(row) = a.rows.get(n) {
        return refuse(format!("row {row} is held out in {name_a} only"));
    }
    if let Some(row) = b.rows.get(n) {
        return refuse(format!("row {row} is held out in {name_b} only"));
    }
    match (0..n).find(|&i| a.labels[i] != b.labels[i]) {
        Some(i) => {
            let (row, label) = (a.rows[i], u8::from(a.labels[i]));
            let other = u8::from(b.labels[i]);
            refuse(format!(
                "row {row} has label {label} in {name_a} and {other} in {name_b}"
            ))
        }
        None => Ok(()),
    }
}

/// The test scores of every run; none where the runs have no test file.
pub(super) fn read_test_scores(runs: &[Results]) -> Result<Option<Vec<Vec<f32>>>> {
    let of_run = |run: &Results| Ok(run.test_scores()?.map(|scores| scores.values));
    let scores: Option<Vec<Vec<f32>>> = runs.iter().map(of_run).collect::<Result<_>>()?;
    if let Some([first, others @ ..]) = scores.as_deref() {
        for (run, other) in runs[1..].iter().zip(others) {
            if first.len() != other.len() {
                let (a, b) = (runs[0].path.display(), run.path.display());
                let message = format!(
                    "{a} has {} test scores, {b} has {}",
                    first.len(),
                    other.len()
                );
                return Err(Error::refused(message)
                    .with_hint("one of them is damaged: run it again in a new folder"));
            }
        }
    }
    Ok(scores)
}

/// What the submission is made for: the reading keys and `[submit]` of the first run, under the assignments.
pub(super) fn experiment(runs: &[Results], assignments: &[String]) -> Result<Experiment> {
    for assignment in assignments {
        let key = assignment.split('=').next().unwrap_or_default().trim();
        if !key.starts_with("submit.") && key != "data.test" {
            let place = Place::file(format!("--set {assignment}"));
            return Err(
                Error::input(place, "data.test or a key of [submit]", format!("`{key}`"))
                    .with_hint("nothing is trained here; other keys are those of the runs"),
            );
        }
    }
    let loaded = config::load(Some(&runs[0].path.join(names::CONFIG)), assignments)?;
    loaded.check_submit()?;
    let experiment = loaded.experiment;
    let (Some(test), Some(record)) = (&experiment.data.test, runs[0].inputs("data.test").next())
    else {
        return Ok(experiment);
    };
    let hint = "--set data.test=FILE says where it lies now";
    if source::exists(test) {
        if !FileRecord::of("data.test", test, test)?.has_content_of(record) {
            let message = format!(
                "{} is not the test file of the runs: its content differs",
                test.display()
            );
            return Err(Error::refused(message).with_hint(hint));
        }
    } else if experiment.submit.format == SubmitFormat::Csv {
        let message = format!(
            "submit.format = \"csv\" needs the ids of the test file, and {} is not there",
            test.display()
        );
        return Err(Error::refused(message).with_hint(hint));
    }
    Ok(experiment)
}
