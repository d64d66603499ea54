//! Submissions: scores in the form that `[submit]` asks for, zipped beside, with a record of where they come from;
//! and the [`check`] before upload.
//!
//! Scores are logit(YES) - logit(NO), any real number, with 9 significant digits, so that no two different
//! f32 print the same and AUC loses nothing. As probabilities they have as many digits as an f64 needs; where even
//! those do not tell two scores apart, [`WrittenSubmission::remarks`] say so. Equal scores give equal bytes, in the zip too.

mod check;
mod record;

use std::collections::BTreeSet;
use std::path::Path;

pub use check::{Checked, check};
pub use record::{Source, SubmissionRecord};

use super::archive::{self, Content};
use super::number::{of_probability, of_score, probability, require_finite};
use super::run_folder::results::{Results, holds_scores};
use super::run_folder::{names, scores};
use crate::atomic;
use crate::config::{Experiment, SubmitConfig, SubmitFormat};
use crate::data::ids::read_ids;
use crate::data::{ExampleFormat, LabelKind, Scores, Task, source};
use crate::error::{Error, Place, Result};
use crate::metrics::likeliest;
use crate::progress::Progress;

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

/// Leaves the submission of a run or an ensemble in its folder: `submission.csv`, checked against the test file,
/// `submission.zip`, `submission.csv.json`, and `test.csv` where the submission does not hold the scores as they are.
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
        return Err(Error::refused("a submission needs data.test"));
    };
    let csv = folder.join(names::SUBMISSION);
    let zip = folder.join(names::SUBMISSION_ZIP);
    let rows = (test.as_path(), &experiment.format());
    let written = write((scores, task), rows, &experiment.submit, &csv)?;
    let text = std::fs::read(&csv).map_err(Error::io("read", &csv))?;
    archive::write(&zip, &[(names::SUBMISSION.to_owned(), Content::Text(text))])?;
    if scores.width > 1 || !holds_scores(&experiment.submit) {
        scores::write_test(scores, task, &folder.join(names::TEST))?;
    }
    // The test file of an ensemble may be gone; the scores were counted when they were read.
    if scores.width == 1 && source::exists(test) {
        check(&csv, test, rows.1, &experiment.submit, None)?;
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
    leave(scores, experiment, ("run", vec![source]), folder, progress)
}

/// Writes `submission`: the scores of the rows of a test file, which is read for their ids only.
///
/// # Errors
/// [`Error::Refused`] where a score is not finite, [`Error::Io`], those of [`read_ids`].
pub fn write(
    (scores, task): (&Scores, &Task),
    (test, format): (&Path, &ExampleFormat),
    submit: &SubmitConfig,
    submission: &Path,
) -> Result<WrittenSubmission> {
    let mut remarks = Vec::new();
    let answers = Answers::new(scores, task, submit)?;
    let text = match submit.format {
        SubmitFormat::Plain => lines(&answers)?,
        SubmitFormat::Csv => {
            let ids = match read_ids(test, format, &submit.id_column)? {
                Some(ids) => ids,
                None => {
                    remarks.push(format!(
                        "submission: {} has no column `{}`, so the ids are row numbers from 0",
                        test.display(),
                        submit.id_column
                    ));
                    row_numbers(scores.len())
                }
            };
            table(&answers, &ids, submit, test)?
        }
    };
    atomic::write(submission, text.as_bytes())?;
    let (distinct, distinct_written) = count_distinct(&scores.values, submit);
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

fn row_numbers(rows: usize) -> Vec<String> {
    (0..rows).map(|row| row.to_string()).collect()
}

/// What is said of each row: the score of two classes and of ordinals, the name of the likeliest class, or one value a label.
struct Answers {
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Answers {
    fn new(scores: &Scores, task: &Task, submit: &SubmitConfig) -> Result<Self> {
        let columns = match task.labels {
            LabelKind::Multilabel => task.classes.clone(),
            _ => vec![submit.score_column.clone()],
        };
        let answer = |(row, scores): (usize, &[f32])| match task.labels {
            LabelKind::Classes => {
                scores
                    .iter()
                    .try_for_each(|&score| require_finite(score, row))?;
                Ok(vec![task.classes[likeliest(scores) as usize].clone()])
            }
            _ => scores
                .iter()
                .map(|&score| value(score, row, submit))
                .collect(),
        };
        let rows = scores.rows().enumerate().map(answer);
        Ok(Self {
            columns,
            rows: rows.collect::<Result<_>>()?,
        })
    }
}

fn lines(answers: &Answers) -> Result<String> {
    let lines = answers.rows.iter().map(|row| row.join(" ") + "\n");
    Ok(lines.collect())
}

fn table(answers: &Answers, ids: &[String], submit: &SubmitConfig, test: &Path) -> Result<String> {
    let scores = &answers.rows;
    if ids.len() != scores.len() {
        let place = Place::file(test).field(&submit.id_column);
        let expected = format!("{} ids, one a score", scores.len());
        return Err(Error::input(place, expected, ids.len()));
    }
    let failed = |error: csv::Error| Error::Unexpected(format!("submission as CSV: {error}"));
    let mut writer = csv::Writer::from_writer(Vec::new());
    let header = std::iter::once(&submit.id_column).chain(&answers.columns);
    writer.write_record(header).map_err(failed)?;
    for (id, values) in ids.iter().zip(scores) {
        let record = std::iter::once(id).chain(values);
        writer.write_record(record).map_err(failed)?;
    }
    let bytes = writer
        .into_inner()
        .map_err(|error| Error::Unexpected(format!("submission as CSV: {error}")))?;
    Ok(String::from_utf8(bytes).expect("made of strings"))
}

/// One score as it is written.
fn value(score: f32, row: usize, submit: &SubmitConfig) -> Result<String> {
    require_finite(score, row)?;
    Ok(if submit.probability {
        of_probability(probability(score.into()))
    } else {
        of_score(score)
    })
}

/// Different scores, and different values among what is written of them.
fn count_distinct(scores: &[f32], submit: &SubmitConfig) -> (usize, usize) {
    let positive_zero = |score: f32| f64::from(score) + 0.0;
    let distinct: BTreeSet<u64> = scores.iter().map(|&s| positive_zero(s).to_bits()).collect();
    let written: BTreeSet<u64> = match submit.probability {
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
