//! Tables that a command leaves, as text with one delimiter.
//!
//! In: a header and rows of fields. Out: the bytes of the file. Writes no file.

use csv::QuoteStyle;

use crate::error::{Error, Result};

/// A line for the header and one for each row.
///
/// # Errors
/// [`Error::Unexpected`] for a row of another number of fields than the header.
pub fn table<H, R>(
    (delimiter, quotes): (u8, QuoteStyle),
    header: H,
    rows: impl Iterator<Item = R>,
) -> Result<Vec<u8>>
where
    H: IntoIterator<Item: AsRef<[u8]>>,
    R: IntoIterator<Item: AsRef<[u8]>>,
{
    let mut table = csv::WriterBuilder::new()
        .delimiter(delimiter)
        .quote_style(quotes)
        .from_writer(Vec::new());
    let failed = |error: csv::Error| Error::Unexpected(format!("table: {error}"));
    table.write_record(header).map_err(failed)?;
    for row in rows {
        table.write_record(row).map_err(failed)?;
    }
    let bytes = table.into_inner();
    bytes.map_err(|error| Error::Unexpected(format!("table: {error}")))
}
