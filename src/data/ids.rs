//! Row ids of a test file, for submissions that repeat them.
//!
//! In: a file, its [`ExampleFormat`] and a column's name. Out: the ids in file order. Does not look at the sentences.

use std::collections::HashSet;
use std::path::Path;

use super::format::ExampleFormat;
use super::source;
use super::table::quoted;
use crate::error::{Error, Result};

/// The values of the column `name`; `None` where the file has no header, or none with this name.
///
/// # Errors
/// [`Error::Io`]; [`Error::Input`] for an id that is empty or stands there a second time, and for a row without
/// the column.
pub fn read_ids(path: &Path, format: &ExampleFormat, name: &str) -> Result<Option<Vec<String>>> {
    format.check()?;
    if !format.header {
        return Ok(None);
    }
    let bytes = source::read(path)?;
    let mut table = format.table(path, &bytes);
    if !table.advance()? {
        return Ok(None);
    }
    let Some(column) = table.fields().iter().position(|field| field == name) else {
        return Ok(None);
    };
    let mut ids = Vec::new();
    let mut seen = HashSet::new();
    while table.advance()? {
        let id = table.fields().get(column).unwrap_or_default().to_owned();
        if id.is_empty() || !seen.insert(id.clone()) {
            let found = match id.as_str() {
                "" => "nothing".to_owned(),
                _ => format!("{} a second time", quoted(&id)),
            };
            return Err(
                Error::input(table.place().field(name), "an id of its own", found)
                    .with_hint("set `submit.id_column` to the column that tells the rows apart"),
            );
        }
        ids.push(id);
    }
    Ok(Some(ids))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(
        text: &str,
        header: bool,
        name: &str,
    ) -> std::result::Result<Option<Vec<String>>, String> {
        let folder = tempfile::tempdir().expect("a folder for the test");
        std::fs::write(folder.path().join("t.csv"), text).expect("a small file");
        let format = ExampleFormat {
            delimiter: ',',
            header,
            ..ExampleFormat::default()
        };
        read_ids(&folder.path().join("t.csv"), &format, name).map_err(|error| {
            error
                .to_string()
                .replace(&format!("{}/", folder.path().display()), "")
        })
    }

    #[test]
    fn ids_stand_in_file_order() {
        let text = "q1,row,q2\n1,b,2\n3,\"a,\",4\n";
        assert_eq!(
            ids(text, true, "row"),
            Ok(Some(vec!["b".into(), "a,".into()]))
        );
        assert_eq!(ids(text, true, "id"), Ok(None));
        assert_eq!(ids("1,2\n", false, "row"), Ok(None));
        assert_eq!(ids("", true, "row"), Ok(None));
    }

    #[test]
    fn an_id_that_is_empty_or_not_unique() {
        assert_eq!(
            ids("row,q\n7,1\n8,1\n7,2\n", true, "row"),
            Err("t.csv:4:row: expected an id of its own, found `7` a second time".into())
        );
        assert_eq!(
            ids("row,q\n,1\n", true, "row"),
            Err("t.csv:2:row: expected an id of its own, found nothing".into())
        );
    }
}
