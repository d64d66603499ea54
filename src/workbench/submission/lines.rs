//! The lines of a submission like a sample: the id of each, and the row that it is for.
//!
//! In: a [`Sample`], `[submit]`, and a file of rows, which is read for its ids only. Out: [`Lines`]. Computes no score and writes nothing.
//!
//! The ids of the sample are looked for in the test file: in the column that `submit.id_column` names, or that is called as in the
//! sample; else in any that holds just these ids. They are row numbers only where there is no such column.

use std::collections::HashMap;
use std::path::Path;

use super::row_ids::{ZEROS_HINT, differ_by_zeros};
use super::sample::Sample;
use crate::config::{Experiment, SubmitConfig};
use crate::data::ids::{find_ids, find_same_ids, read_ids, require_ids};
use crate::data::table::quoted;
use crate::data::{ExampleFormat, source};
use crate::error::{Error, Place, Result};

/// Whose rows a submission is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowsOf {
    /// The test file, which the sample is for.
    Test,
    /// A further file. The sample may be one for it; if not, header and columns are as there, and the ids are those of the file.
    Further,
}

impl RowsOf {
    /// Whether `file` is the test file of the experiment. Either may lead over a link.
    pub fn of(file: &Path, experiment: &Experiment) -> Self {
        let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let test = experiment.data.test.as_deref();
        match test.is_some_and(|test| real(test) == real(file)) {
            true => Self::Test,
            false => Self::Further,
        }
    }
}

/// The lines of a submission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lines {
    /// One a line.
    pub ids: Vec<String>,
    /// The row of each.
    pub rows: Vec<usize>,
    /// Whose ids they are.
    pub whose: &'static str,
    /// What a reader should know of them.
    pub remark: Option<String>,
}

/// What the ids of a sample are.
enum Meaning {
    /// Values of a column of the test file.
    Column { name: String, ids: Vec<String> },
    /// Numbers of its rows. `beside` is a column of other ids.
    Numbers {
        first: usize,
        beside: Option<String>,
    },
}

impl Lines {
    /// Those of `n_rows` rows.
    ///
    /// # Errors
    /// Those of [`read_ids`] and [`require_ids`]; [`Error::Input`] where the ids of the sample are not those of its test file.
    pub fn of(
        sample: &Sample,
        submit: &SubmitConfig,
        (file, format): (&Path, &ExampleFormat),
        n_rows: usize,
        whose: RowsOf,
    ) -> Result<Self> {
        let of_sample = meaning(sample, submit, (file, format), n_rows).and_then(|meaning| {
            let lines = of_sample(sample, submit, &meaning, file, n_rows)?;
            let is_doubtful = matches!(
                meaning,
                Meaning::Numbers {
                    beside: Some(_),
                    ..
                }
            );
            Ok((lines, is_doubtful))
        });
        match (of_sample, whose) {
            (Ok((lines, _)), RowsOf::Test) | (Ok((lines, false)), RowsOf::Further) => Ok(lines),
            (Ok(_) | Err(Error::Input { .. }), RowsOf::Further) => {
                of_file(sample, submit, (file, format), n_rows)
            }
            (Err(error), _) => Err(error),
        }
    }
}

/// What the ids of `sample` are in the file `test`.
fn meaning(
    sample: &Sample,
    submit: &SubmitConfig,
    (test, format): (&Path, &ExampleFormat),
    n_rows: usize,
) -> Result<Meaning> {
    let asked = asked(sample, submit);
    if let Some(ids) = read_ids(test, format, asked)? {
        let name = asked.to_owned();
        return Ok(Meaning::Column { name, ids });
    }
    if !sample.header.iter().any(|name| name == asked) {
        const KEY: &str = "submit.id_column";
        require_ids(test, format, (KEY, asked))?;
        let expected = format!("a header with a column `{asked}`, as {KEY} says");
        let error = Error::input(Place::file(test), expected, "none");
        return Err(error.with_hint(format!("leave {KEY} out: the ids are row numbers then")));
    }
    if let Some((name, ids)) = find_same_ids(test, format, &sample.ids)? {
        return Ok(Meaning::Column { name, ids });
    }
    let found = match find_ids(test, format) {
        Err(Error::Input { .. }) => None, // it does not tell the rows apart
        found => found?,
    };
    let first = usize::from(!sample.ids.iter().any(|id| id == "0"));
    Ok(match found {
        Some((name, ids)) if !are_numbers(&sample.ids, first, n_rows) => {
            Meaning::Column { name, ids }
        }
        found => Meaning::Numbers {
            first,
            beside: found.map(|(name, _)| name),
        },
    })
}

/// The column of a file of rows that should hold the ids.
fn asked<'a>(sample: &'a Sample, submit: &'a SubmitConfig) -> &'a str {
    submit.id_column.as_deref().unwrap_or(sample.id_name())
}

/// Whether the ids, each of which is there once, are the numbers of `n_rows` rows from `first` on.
fn are_numbers(ids: &[String], first: usize, n_rows: usize) -> bool {
    let rows = first..first + n_rows;
    let is_number = |id: &String| {
        let number = id.parse().ok().filter(|number| rows.contains(number));
        number.is_some_and(|number: usize| number.to_string() == *id)
    };
    ids.len() == n_rows && ids.iter().all(is_number)
}

fn row_numbers(first: usize, n_rows: usize) -> Vec<String> {
    let rows = first..first + n_rows;
    rows.map(|row| row.to_string()).collect()
}

/// The ids of the sample in its order, each for the row of the file `test` that has it.
fn of_sample(
    sample: &Sample,
    submit: &SubmitConfig,
    meaning: &Meaning,
    test: &Path,
    n_rows: usize,
) -> Result<Lines> {
    let (own, test) = (sample.id_name(), test.display());
    let numbers;
    let (ids, what) = match meaning {
        Meaning::Column { name, ids } if name == own => (ids, format!("an id of {test}")),
        Meaning::Column { name, ids } => (ids, format!("an id of {test} (column `{name}`)")),
        Meaning::Numbers { first, .. } => {
            numbers = row_numbers(*first, n_rows);
            let last = (first + n_rows).saturating_sub(1);
            let what = format!(
                "the number of a row of {test}, which has no column `{own}`, from {first} to {last}"
            );
            (&numbers, what)
        }
    };
    let is_own = matches!(meaning, Meaning::Column { name, .. } if name == own);
    let hint = match meaning {
        Meaning::Column { .. } if !is_own => {
            "submit.like must be the sample for data.test; submit.id_column names the column of data.test that holds its ids"
        }
        _ => "submit.like must be the sample for data.test",
    };
    let row_of: HashMap<&str, usize> = ids.iter().map(String::as_str).zip(0..).collect();
    let row = |(id, line): (&String, &Place)| {
        row_of.get(id.as_str()).copied().ok_or_else(|| {
            let is_column = matches!(meaning, Meaning::Column { .. });
            let is_shortened = is_column && ids.iter().any(|other| differ_by_zeros(other, id));
            let found = quoted(id);
            let error = Error::input(line.clone().field(own), what.clone(), found);
            error.with_hint(if is_shortened { ZEROS_HINT } else { hint })
        })
    };
    let rows = sample.ids.iter().zip(&sample.lines).map(row);
    let rows = rows.collect::<Result<Vec<usize>>>()?;
    let path = sample.path.display();
    if rows.len() != n_rows {
        let expected = format!("{n_rows} ids, one a row of {test}");
        let place = Place::file(&sample.path);
        return Err(Error::input(place, expected, rows.len()).with_hint(hint));
    }
    let remark = match meaning {
        Meaning::Column { name, .. } if is_own || submit.id_column.as_ref() == Some(name) => None,
        Meaning::Column { name, .. } => Some(format!(
            "submission: the ids of {path} (`{own}`) are those of column `{name}` of {test}"
        )),
        Meaning::Numbers {
            first,
            beside: None,
        } => Some(format!(
            "submission: {test} has no column `{own}`, so the ids of {path} are row numbers from {first}"
        )),
        Meaning::Numbers {
            first,
            beside: Some(name),
        } => Some(format!(
            "warning: the ids of {path} are not those of column `{name}` of {test}, and are taken for row numbers from \
             {first}; is it the sample for this file?"
        )),
    };
    Ok(Lines {
        ids: sample.ids.clone(),
        rows,
        whose: "the sample",
        remark,
    })
}

/// The ids of a file that the sample is not for, in the order of its rows.
fn of_file(
    sample: &Sample,
    submit: &SubmitConfig,
    (file, format): (&Path, &ExampleFormat),
    n_rows: usize,
) -> Result<Lines> {
    let asked = asked(sample, submit);
    let is_of_sample = sample.header.iter().any(|name| name == asked);
    let named = match read_ids(file, format, asked)? {
        None if !is_of_sample => require_ids(file, format, ("submit.id_column", asked))?,
        named => named,
    };
    let named = named.map(|ids| (asked.to_owned(), ids));
    let column = match named {
        None => find_ids(file, format)?,
        named => named,
    };
    let shown = file.display();
    let (ids, whose) = match column {
        Some((name, ids)) => (
            ids,
            format!("the ids are those of column `{name}` of {shown}"),
        ),
        None => {
            let first = usize::from(are_numbers(&sample.ids, 1, sample.ids.len()));
            let whose =
                format!("the ids are row numbers from {first}, as {shown} has no column of ids");
            (row_numbers(first, n_rows), whose)
        }
    };
    if ids.len() != n_rows {
        let expected = format!("{n_rows} ids, one a row");
        return Err(Error::input(Place::file(file), expected, ids.len()));
    }
    let path = sample.path.display();
    Ok(Lines {
        ids,
        rows: (0..n_rows).collect(),
        whose: "the file that it is for",
        remark: Some(format!(
            "submission: {path} is the sample for another file: header and columns are as there, and {whose}"
        )),
    })
}

/// `[submit]` without a sample that is gone, and a line that says so. It is missed for the rows of its own test file only: the
/// form of a further file may be another.
pub fn without_lost_sample(submit: &SubmitConfig, whose: RowsOf) -> (SubmitConfig, Option<String>) {
    let mut submit = submit.clone();
    let is_lost = |like: &Path| whose == RowsOf::Further && !source::exists(like);
    if !submit.like.as_deref().is_some_and(is_lost) {
        return (submit, None);
    }
    let like = submit.like.take();
    let line = like.map(|like| {
        let like = like.display();
        format!("submission: the sample {like} is not there, so the form is that of submit.format")
    });
    (submit, line)
}
