//! Submissions: scores in the form that `[submit]` asks for, zipped beside, with a record of where they come from;
//! and the [`check`] before upload.
//!
//! The form is that of the organisers' sample (`submit.like`), whose columns decide. Without one it is a table with the ids of
//! the test file, or a line a row where it has none ([`row_ids`]): one score for two classes and ordinals, the name of the likeliest of several classes, a number a label.
//!
//! Scores are logit(YES) - logit(NO), any real number, with 9 significant digits, so that no two different
//! f32 print the same and AUC loses nothing. As probabilities they have as many digits as an f64 needs; where even
//! those do not tell two scores apart, [`WrittenSubmission::remarks`] say so. Equal scores give equal bytes, in the zip too.

mod check;
mod form;
mod lines;
mod record;
mod row_ids;
mod sample;

use std::collections::BTreeSet;
use std::path::Path;

pub use check::{Checked, check, check_like, check_like_of};
pub use lines::{RowsOf, without_lost_sample};
pub use record::{Source, SubmissionRecord};

use super::Stop;
use super::archive::{self, Content};
use super::number::probability;
use super::run_folder::results::Results;
use super::run_folder::{names, scores};
use super::table::table as as_table;
use crate::atomic;
use crate::config::{Experiment, SubmitConfig};
use crate::data::table::Quoting;
use crate::data::{ExampleFormat, LabelKind, Scores, Task, source};
use crate::error::{Error, Place, Result};
use crate::progress::Progress;
use form::{Columns, Form};
use lines::Lines;
use row_ids::RowIds;
use sample::Sample;

/// What has been written.
#[derive(Debug, Clone, PartialEq)]
pub struct WrittenSubmission {
    /// Different scores.
    pub distinct: usize,
    /// Different values in the file.
    pub distinct_written: usize,
    /// What a reader should know of ids and ties; mostly nothing.
    pub remarks: Vec<String>,
}

/// A submission that is not written yet.
struct Composed {
    text: String,
    form: Form,
    remarks: Vec<String>,
}

/// Leaves the submission of a run or an ensemble in its folder: `submission.csv`, checked against the test file,
/// `submission.zip`, `submission.csv.json`, and in `test.csv` the scores as they are, whatever the form of the submission.
/// Says where ids are row numbers and where probabilities tie.
///
/// # Errors
/// [`Error::Refused`] where a score is not finite or there is no `data.test`, [`Error::Io`], those of [`check`].
pub fn leave(
    (scores, task): (&Scores, &Task),
    experiment: &Experiment,
    (how, sources): (&str, Vec<Source>),
    folder: &Path,
    progress: &Progress,
) -> Result<()> {
    let Some(test) = &experiment.data.test else {
        return Err(Error::refused("a submission needs data.test").with_hint("set data.test"));
    };
    let csv = folder.join(names::SUBMISSION);
    let zip = folder.join(names::SUBMISSION_ZIP);
    let rows = (test.as_path(), &experiment.format());
    let composed = compose((scores, task), rows, &experiment.submit, RowsOf::Test)?;
    // First: the submission of an earlier version may be the only place that has the scores.
    scores::write_test(scores, task, &folder.join(names::TEST))?;
    let written = composed.write(scores, &csv)?;
    let text = std::fs::read(&csv).map_err(Error::io("read", &csv))?;
    let entry = (names::SUBMISSION.to_owned(), Content::Text(text));
    archive::write(&zip, &[entry], &Stop::default())?; // too short to be stopped
    match &experiment.submit.like {
        Some(like) => {
            check_like(&csv, like, Some(task), &experiment.submit, None)?;
        }
        // The test file of an ensemble may be gone; the scores were counted when they were read.
        None if source::exists(test) => {
            check((&csv, task), rows, &experiment.submit, None)?;
        }
        None => {}
    }
    written
        .remarks
        .iter()
        .for_each(|remark| progress.say(remark));
    SubmissionRecord::new(how, sources, test, &experiment.submit, &written).write(
        &csv,
        &[(names::SUBMISSION, &csv), (names::SUBMISSION_ZIP, &zip)],
    )
}

/// As [`leave`], of the run in `folder`, whose manifest is there.
///
/// # Errors
/// As [`leave`].
pub fn leave_run(
    scores: (&Scores, &Task),
    experiment: &Experiment,
    folder: &Path,
    progress: &Progress,
) -> Result<()> {
    let source = Source {
        run: folder.to_owned(),
        config_sha256: Results::open(folder)?.record.config_sha256,
        weight: 1.0,
    };
    leave(
        scores,
        experiment,
        (record::RUN, vec![source]),
        folder,
        progress,
    )
}

/// The setting under which a submission of this task has numbers from 0 to 1 that are taken for probabilities, as a message names it;
/// none where it has scores or names.
///
/// # Errors
/// Those of reading the sample, and [`Error::Input`] where it has other columns than the task.
pub fn asks_for_probabilities(submit: &SubmitConfig, task: &Task) -> Result<Option<&'static str>> {
    let form = match &submit.like {
        Some(like) => Sample::read(like, submit)?.form(submit, task)?,
        None => Form::of(submit, task),
    };
    let setting = match submit.probability {
        true => "submit.probability = true",
        false => "submit.like",
    };
    Ok((form.probability && form.columns != Columns::Label).then_some(setting))
}

/// Writes `submission`: the scores of the rows of a file, which is read for their ids only.
///
/// # Errors
/// [`Error::Refused`] where a score is not finite, [`Error::Io`], those of [`check_rows`].
pub fn write(
    (scores, task): (&Scores, &Task),
    rows: (&Path, &ExampleFormat),
    (submit, whose): (&SubmitConfig, RowsOf),
    submission: &Path,
) -> Result<WrittenSubmission> {
    compose((scores, task), rows, submit, whose)?.write(scores, submission)
}

fn compose(
    (scores, task): (&Scores, &Task),
    (test, format): (&Path, &ExampleFormat),
    submit: &SubmitConfig,
    whose: RowsOf,
) -> Result<Composed> {
    if let Some(like) = &submit.like {
        let sample = Sample::read(like, submit)?;
        let form = sample.form(submit, task)?;
        let lines = Lines::of(&sample, submit, (test, format), scores.len(), whose)?;
        let answers = form.answers(&scores.select(&lines.rows), task)?;
        let text = like_sample(&sample, lines.ids, answers)?;
        let remarks = lines.remark.into_iter().chain(sample.remark(&form, task));
        return Ok(Composed {
            text,
            remarks: remarks.collect(),
            form,
        });
    }
    let form = Form::of(submit, task);
    let answers = form.answers(scores, task)?;
    let row_ids = RowIds::of(submit, (test, format))?;
    let remark = row_ids.remark(submit, (test, format));
    let text = match row_ids {
        RowIds::Order => lines(&answers),
        RowIds::Column { name, ids } => {
            let ids = ids.unwrap_or_else(|| row_numbers(scores.len()));
            table(&answers, (&name, &ids), (submit, task), test)?
        }
    };
    Ok(Composed {
        text,
        form,
        remarks: remark.into_iter().collect(),
    })
}

impl Composed {
    fn write(self, scores: &Scores, submission: &Path) -> Result<WrittenSubmission> {
        let mut remarks = self.remarks;
        atomic::write(submission, self.text.as_bytes())?;
        let probability = self.form.probability && self.form.columns == Columns::Score;
        let (distinct, distinct_written) = count_distinct(&scores.values, probability);
        if distinct_written < distinct {
            remarks.push(format!(
                "submission: {distinct} different scores are {distinct_written} different probabilities, as those \
                 near 1 run out of digits; AUC sees ties there, and none with submit.probability = false"
            ));
        }
        Ok(WrittenSubmission {
            distinct,
            distinct_written,
            remarks,
        })
    }
}

/// Refuses a `[submit]` that does not go with a file of rows, before they are scored.
///
/// # Errors
/// [`Error::Input`] for a header without `submit.id_column`, for ids that do not tell the rows apart, and where `submit.like` is no
/// sample of this task or, of a test file, of these rows: its header, columns or ids; [`Error::Io`].
pub fn check_rows(
    (submit, task): (&SubmitConfig, &Task),
    rows: (&Path, &ExampleFormat),
    n_rows: usize,
    whose: RowsOf,
) -> Result<()> {
    let Some(like) = &submit.like else {
        return RowIds::of(submit, rows).map(drop);
    };
    let sample = Sample::read(like, submit)?;
    sample.form(submit, task)?;
    Lines::of(&sample, submit, rows, n_rows, whose).map(drop)
}

/// Refuses a `[submit]` that does not go with the test rows, before anything long begins.
///
/// # Errors
/// Those of [`check_rows`].
pub fn check_form(experiment: &Experiment, task: &Task, n_rows: usize) -> Result<()> {
    let Some(test) = &experiment.data.test else {
        return Ok(());
    };
    let rows = (test.as_path(), &experiment.format());
    check_rows((&experiment.submit, task), rows, n_rows, RowsOf::Test)
}

fn row_numbers(rows: usize) -> Vec<String> {
    (0..rows).map(|row| row.to_string()).collect()
}

fn lines(answers: &[Vec<String>]) -> String {
    answers.iter().map(|row| row.join(" ") + "\n").collect()
}

/// The names of the columns beside the ids, without a sample.
fn columns<'a>(submit: &'a SubmitConfig, task: &'a Task) -> Vec<&'a str> {
    match task.labels {
        LabelKind::Multilabel => task.classes.iter().map(String::as_str).collect(),
        _ => vec![&submit.score_column],
    }
}

fn table(
    answers: &[Vec<String>],
    (id_column, ids): (&str, &[String]),
    (submit, task): (&SubmitConfig, &Task),
    test: &Path,
) -> Result<String> {
    if ids.len() != answers.len() {
        let place = Place::file(test).field(id_column);
        let expected = format!("{} ids, one a score", answers.len());
        return Err(Error::input(place, expected, ids.len())
            .with_hint("set data.test to the file that was scored"));
    }
    let mut header = vec![id_column];
    header.extend(columns(submit, task));
    let rows = ids.iter().zip(answers);
    let rows = rows.map(|(id, values)| std::iter::once(id).chain(values).cloned().collect());
    as_csv(b',', &header, rows)
}

/// The sample with answers in the place of its own, and an id for each.
fn like_sample(sample: &Sample, ids: Vec<String>, answers: Vec<Vec<String>>) -> Result<String> {
    let header: Vec<&str> = sample.header.iter().map(String::as_str).collect();
    let rows = answers.into_iter().zip(ids);
    let rows = rows.map(|(mut fields, id)| {
        fields.insert(sample.id, id);
        fields
    });
    as_csv(sample.delimiter, &header, rows)
}

fn as_csv(
    delimiter: u8,
    header: &[&str],
    rows: impl Iterator<Item = Vec<String>>,
) -> Result<String> {
    let quotes = match sample::quoting(delimiter) {
        Quoting::On => csv::QuoteStyle::Necessary,
        Quoting::Off => csv::QuoteStyle::Never,
    };
    let bytes = as_table((delimiter, quotes), header, rows)?;
    Ok(String::from_utf8(bytes).expect("made of strings"))
}

/// Different scores, and different values among what is written of them.
fn count_distinct(scores: &[f32], are_probabilities: bool) -> (usize, usize) {
    let positive_zero = |score: f32| f64::from(score) + 0.0;
    let distinct: BTreeSet<u64> = scores.iter().map(|&s| positive_zero(s).to_bits()).collect();
    let written: BTreeSet<u64> = match are_probabilities {
        true => scores
            .iter()
            .map(|&s| probability(s.into()).to_bits())
            .collect(),
        false => return (distinct.len(), distinct.len()),
    };
    (distinct.len(), written.len())
}

#[cfg(test)]
mod tests;
