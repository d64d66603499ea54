//! Columns of ids that would be taken for texts.
//!
//! In: rows as they were read. Out: a refusal where a text that no key names is another number in every row. Real texts have
//! several tokens, and repeat. A column that a key names is what the user says; under a header a number is no name.

use std::path::Path;

use super::super::dictionary::{CipherId, Dictionary};
use super::super::example::Example;
use super::super::format::{Column, ExampleFormat};
use super::layout::Layout;
use crate::error::{Error, Place, Result};

/// Fewer rows may hold different numbers by chance.
const LEAST_ROWS: usize = 10;

/// Refuses a text column of ids.
///
/// # Errors
/// [`Error::Input`] with the column.
pub(super) fn refuse(
    path: &Path,
    examples: &[Example],
    (format, layout): (&ExampleFormat, &Layout),
    dictionary: &Dictionary,
) -> Result<()> {
    // A number under a header may be one that stood in the settings before there was a header.
    let is_named = |column: &Option<Column>| match column {
        Some(Column::Number(_)) => !format.header,
        Some(Column::Name(_)) => true,
        None => false,
    };
    let first = (is_named(&format.text_a), layout.text_a);
    let second = layout.text_b.map(|b| (is_named(&format.text_b), b));
    let columns = [Some(first), second].into_iter().flatten();
    for (at, (is_named, column)) in columns.enumerate() {
        let texts = examples
            .iter()
            .filter_map(|example| example.texts().nth(at));
        let texts: Vec<&[CipherId]> = texts.collect();
        if is_named || !are_identifiers(&texts, dictionary) {
            continue;
        }
        let name = layout.field_name(column);
        let place = Place::file(path).field(&name);
        let key = ["text_a", "text_b"][at.min(1)];
        let value = match format.header {
            true => format!("{name:?}"),
            false => name,
        };
        let hint = format!(
            "name the text columns by `data.text_a`, `data.text_b` and a header, or take the ids out; if these are texts, \
             set `data.{key} = {value}`"
        );
        let found = "one number a row, each another, as ids are";
        return Err(Error::input(place, "texts", found).with_hint(hint));
    }
    Ok(())
}

/// Whether every text is one whole number and none comes twice.
fn are_identifiers(texts: &[&[CipherId]], dictionary: &Dictionary) -> bool {
    let number = |text: &&[CipherId]| match text {
        [id] => dictionary.name(*id).parse::<u64>().ok(),
        _ => None,
    };
    let numbers: Option<Vec<u64>> = texts.iter().map(number).collect();
    let Some(mut numbers) = numbers else {
        return false;
    };
    let n = numbers.len();
    numbers.sort_unstable();
    numbers.dedup();
    n >= LEAST_ROWS && numbers.len() == n
}
