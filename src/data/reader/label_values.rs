//! What the label columns of a file hold, before a row of it is read.
//!
//! In: a file and an [`ExampleFormat`]. Out: [`LabelValues`]: one value throughout, as the stand-in of a test file, or several.
//! Refuses nothing: what cannot be read is for the reader.

use std::path::Path;

use super::super::format::ExampleFormat;
use super::super::source;
use super::layout::Layout;

/// The labels of one file as they are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelValues {
    /// The value of all labels; `None` where there are several.
    pub only: Option<String>,
    /// One of them is -1.
    pub has_minus_one: bool,
    /// Rows of the file.
    pub rows: usize,
}

impl LabelValues {
    /// Those of the file at `path`; `None` where it has no labels or no rows, or cannot be read.
    pub fn of(path: &Path, format: &ExampleFormat) -> Option<Self> {
        format.check().ok()?;
        let bytes = source::read(path).ok()?;
        let mut table = format.table(path, &bytes);
        let mut is_row = table.advance().ok()?;
        if !is_row {
            return None;
        }
        let columns = Layout::new(&table, format, false).ok()?.labels;
        if format.header {
            is_row = table.advance().ok()?;
        }
        let first = columns.first().filter(|_| is_row)?;
        let first = table.fields().get(*first)?.trim().to_owned();
        let (mut is_only, mut has_minus_one, mut rows) = (true, false, 0);
        while is_row {
            for &column in &columns {
                let field = table.fields().get(column)?.trim();
                is_only &= field == first;
                has_minus_one |= field == MINUS_ONE;
            }
            rows += 1;
            is_row = table.advance().ok()?;
        }
        Some(Self {
            only: is_only.then_some(first),
            has_minus_one,
            rows,
        })
    }
}

/// What stands for an unknown label in many test files, and for the lower one of two in some training files.
pub const MINUS_ONE: &str = "-1";
