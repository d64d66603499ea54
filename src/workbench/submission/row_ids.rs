//! How a submission without a sample tells its rows apart: by ids in a column, or by their order alone.
//!
//! In: `[submit]`, and a test file, read for its ids only. Out: [`RowIds`]. Computes no score and writes nothing.

use std::path::Path;

use crate::config::{SubmitConfig, SubmitFormat};
use crate::data::ids::{find_ids, require_ids};
use crate::data::{ExampleFormat, source};
use crate::error::Result;

/// What stands for the rows of a test file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum RowIds {
    /// Their order: one line a row, no header.
    Order,
    /// A column of ids under a header.
    Column {
        /// Its name.
        name: String,
        /// One a row; none where the file has none, and the rows count from 0.
        ids: Option<Vec<String>>,
    },
}

impl RowIds {
    /// Those that `submit` asks for, or those that the file `test` has.
    ///
    /// # Errors
    /// Those of [`require_ids`] and [`find_ids`].
    pub fn of(submit: &SubmitConfig, (test, format): (&Path, &ExampleFormat)) -> Result<Self> {
        if submit.format == SubmitFormat::Plain || is_without_file(submit, test) {
            return Ok(Self::Order);
        }
        if let Some(name) = &submit.id_column {
            return Ok(Self::Column {
                name: name.clone(),
                ids: require_ids(test, format, ("submit.id_column", name))?,
            });
        }
        Ok(match (find_ids(test, format)?, submit.format) {
            (Some((name, ids)), _) => Self::Column {
                name,
                ids: Some(ids),
            },
            (None, SubmitFormat::Csv) => Self::Column {
                name: SubmitConfig::ID.to_owned(),
                ids: None,
            },
            (None, _) => Self::Order,
        })
    }

    /// What a reader should know: ids that nobody has given.
    pub fn remark(
        &self,
        submit: &SubmitConfig,
        (test, format): (&Path, &ExampleFormat),
    ) -> Option<String> {
        let test_file = test.display();
        match self {
            Self::Column { name, ids: None } => Some(format!(
                "submission: {test_file} has no column `{name}`, so the ids are row numbers from 0"
            )),
            Self::Order if format.header && is_without_file(submit, test) => Some(format!(
                "submission: {test_file} is not there, so its ids are unknown and one score a line is written"
            )),
            _ => None,
        }
    }
}

/// The way out where ids have gone through a program that took them for numbers.
pub(super) const ZEROS_HINT: &str = "ids are text: keep their leading zeros (pandas: dtype=str)";

/// Whether two ids are one number, written with another number of leading zeros.
pub(super) fn differ_by_zeros(a: &str, b: &str) -> bool {
    a != b && a.trim_start_matches('0') == b.trim_start_matches('0')
}

/// Blends are made of scores, after the test file has gone.
fn is_without_file(submit: &SubmitConfig, test: &Path) -> bool {
    let is_there = source::exists(test) || source::is_pipe(test);
    submit.format == SubmitFormat::Auto && !is_there
}
