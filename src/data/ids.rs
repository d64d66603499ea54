//! Row ids of a test file, for submissions that repeat them.
//!
//! In: a file, its [`ExampleFormat`] and a column's name, or none to look for one. Out: the ids in file order. Does not look
//! at the sentences.

use std::borrow::Cow;
use std::collections::HashSet;
use std::path::Path;

use super::format::{Column, ExampleFormat};
use super::source;
use super::table::quoted;
use crate::error::{Error, Place, Result};

/// The values of the column `name`; `None` where the file has no header, or none with this name.
///
/// # Errors
/// [`Error::Io`]; [`Error::Input`] for an id that is empty or stands there a second time, and for a row without
/// the column.
pub fn read_ids(path: &Path, format: &ExampleFormat, name: &str) -> Result<Option<Vec<String>>> {
    let Some(bytes) = read_with_header(path, format)? else {
        return Ok(None);
    };
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

/// As [`read_ids`], of a column that a file with a header must have; `key` is the setting that names it.
///
/// # Errors
/// As [`read_ids`]; [`Error::Input`] for a header without the column.
pub fn require_ids(
    path: &Path,
    format: &ExampleFormat,
    (key, name): (&str, &str),
) -> Result<Option<Vec<String>>> {
    let Some(header) = read_header(path, format)? else {
        return Ok(None);
    };
    if header.iter().any(|column| column == name) {
        return read_ids(path, format, name);
    }
    let near = |column: &&String| strsim::damerau_levenshtein(column, name) <= name.len() / 3;
    let hint = match header.iter().find(near) {
        Some(column) => format!("did you mean `{column}`?"),
        None => format!("leave {key} out to have the column found"),
    };
    let columns: Vec<String> = header.iter().map(|column| quoted(column)).collect();
    let found = format!("the columns {}", columns.join(", "));
    let expected = format!("a column `{name}`, as {key} says");
    Err(Error::input(Place::line(path, 1), expected, found).with_hint(hint))
}

/// Last words of names of ids, as [`last_word`] writes them.
const ID_WORDS: [&str; 3] = ["index", "idx", "no"];

/// Ends of names of ids, in a language that puts nothing between words.
const ID_ENDS: [&str; 3] = ["编号", "序号", "索引"];

/// The column that tells the rows apart, and its ids: `id` in small or capital letters, else the first whose name ends
/// with it and whose values are all different, else such a one that is called an index or a number in another way: `idx`, `row_no`,
/// `编号`. `None` where the file has no header or no such column.
///
/// # Errors
/// As [`read_ids`], for a column `id`.
pub fn find_ids(path: &Path, format: &ExampleFormat) -> Result<Option<(String, Vec<String>)>> {
    let others = other_columns(path, format)?;
    if let Some(name) = others.iter().find(|name| name.eq_ignore_ascii_case("id")) {
        let ids = read_ids(path, format, name)?;
        return Ok(ids.map(|ids| (name.clone(), ids)));
    }
    let (ids, others): (Vec<String>, Vec<String>) =
        others.into_iter().partition(|name| ends_with_id(name));
    let usual = others.into_iter().filter(|name| is_usual(name));
    for name in ids.into_iter().chain(usual) {
        match read_ids(path, format, &name) {
            Ok(Some(ids)) => return Ok(Some((name, ids))),
            Ok(None) | Err(Error::Input { .. }) => {} // it does not tell the rows apart
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// The column that holds just `ids`, each of which is given once, in any order; and its values. Where several do, the one that
/// [`find_ids`] would take stands before the others. `None` where the file has no header or no such column.
///
/// # Errors
/// [`Error::Io`].
pub fn find_same_ids(
    path: &Path,
    format: &ExampleFormat,
    ids: &[String],
) -> Result<Option<(String, Vec<String>)>> {
    let mut others = other_columns(path, format)?;
    // In the order of the file where names say nothing.
    let is_id = |name: &str| name.eq_ignore_ascii_case("id");
    others.sort_by_key(|name| (!is_id(name), !ends_with_id(name), !is_usual(name)));
    let wanted: HashSet<&String> = ids.iter().collect();
    for name in others {
        match read_ids(path, format, &name) {
            Ok(Some(found)) => {
                let is_same = found.len() == ids.len();
                if is_same && found.iter().all(|id| wanted.contains(id)) {
                    return Ok(Some((name, found)));
                }
            }
            Ok(None) | Err(Error::Input { .. }) => {} // it does not tell the rows apart
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// Whether a column of ids may be called so; that its values are all different is not looked at.
pub fn is_name_of_ids(name: &str) -> bool {
    ends_with_id(name) || is_usual(name)
}

fn ends_with_id(name: &str) -> bool {
    name.to_ascii_lowercase().ends_with("id")
}

/// Whether an index or a number is called so.
fn is_usual(name: &str) -> bool {
    let ends = ID_ENDS.iter().any(|end| name.trim().ends_with(end));
    ends || ID_WORDS.contains(&last_word(name).as_str())
}

/// The columns of a file that are none of the texts, as far as the settings say so; none where it has no header.
fn other_columns(path: &Path, format: &ExampleFormat) -> Result<Vec<String>> {
    let header = read_header(path, format)?.unwrap_or_default();
    let is_text = |number: usize, name: &str| {
        let texts = format.text_columns();
        texts.iter().any(|(_, column)| match column {
            Some(Column::Number(text)) => *text == number,
            Some(Column::Name(text)) => text == name,
            None => false, // found by the usual names of texts, none of which is one of ids
        })
    };
    let numbered = (1..).zip(header);
    let others = numbered.filter(|(number, name)| !is_text(*number, name));
    Ok(others.map(|(_, name)| name).collect())
}

/// The last word of a name, in small letters: `no` of `Row_No.`.
fn last_word(name: &str) -> String {
    let name = name.to_ascii_lowercase();
    let mut words = name.split(|c: char| !c.is_alphanumeric());
    let last = words.rfind(|word| !word.is_empty());
    last.unwrap_or_default().to_owned()
}

/// The first row of a file that has a header.
fn read_header(path: &Path, format: &ExampleFormat) -> Result<Option<Vec<String>>> {
    let Some(bytes) = read_with_header(path, format)? else {
        return Ok(None);
    };
    let mut table = format.table(path, &bytes);
    let has_header = table.advance()?;
    Ok(has_header.then(|| table.fields().iter().map(str::to_owned).collect()))
}

/// The bytes of a file that has a header.
fn read_with_header(path: &Path, format: &ExampleFormat) -> Result<Option<Cow<'static, [u8]>>> {
    format.check()?;
    match format.header {
        true => source::read(path).map(Some),
        false => Ok(None),
    }
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

    fn at(text: &str, work: impl Fn(&Path, &ExampleFormat)) {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let path = folder.path().join("t.csv");
        std::fs::write(&path, text).expect("a small file");
        let format = ExampleFormat {
            delimiter: ',',
            header: true,
            text_a: Some(Column::Name("q1".to_owned())),
            text_b: Some(Column::Name("q2".to_owned())),
            ..ExampleFormat::default()
        };
        work(&path, &format);
    }

    #[test]
    fn a_column_of_ids_is_found_by_its_name_and_its_values() {
        let cases = [
            ("ID,q1,q2\n7,1,2\n8,1,2\n", Some("ID")),
            ("qid,id,q1,q2\n1,7,1,2\n2,8,1,2\n", Some("id")),
            ("pid,qid,q1,q2\n7,1,1,2\n7,2,1,2\n", Some("qid")), // pid holds 7 twice
            ("grid,q1,q2\n7,1,2\n7,1,2\n", None),
            ("n,q1,q2\n7,1,2\n8,1,2\n", None),
            ("编号,q1,q2\n7,1,2\n8,1,2\n", Some("编号")),
            ("q1,样本序号,q2\n1,7,2\n1,8,2\n", Some("样本序号")),
            ("索引,q1,q2\n7,1,2\n8,1,2\n", Some("索引")),
            ("Index,q1,q2\n7,1,2\n8,1,2\n", Some("Index")),
            ("row-idx,q1,q2\n7,1,2\n8,1,2\n", Some("row-idx")),
            ("No.,q1,q2\n7,1,2\n8,1,2\n", Some("No.")),
            ("index,qid,q1,q2\n0,7,1,2\n1,8,1,2\n", Some("qid")),
            ("index,q1,q2\n7,1,2\n7,1,2\n", None), // an id is another one in each row
            ("序号,q1,q2\n7,1,2\n7,1,2\n", None),
            ("casino,reindex,q1,q2\n7,7,1,2\n8,8,1,2\n", None), // parts of words
        ];
        for (text, expected) in cases {
            at(text, |path, format| {
                let found = find_ids(path, format).expect("a good file");
                assert_eq!(
                    found.as_ref().map(|(name, _)| name.as_str()),
                    expected,
                    "{text}"
                );
            });
        }
        at("q1,q2,id\n1,2,7\n1,2,7\n", |path, format| {
            let error = find_ids(path, format).expect_err("7 twice").to_string();
            assert!(
                error.ends_with("t.csv:3:id: expected an id of its own, found `7` a second time"),
                "{error}"
            );
        });
    }

    #[test]
    fn a_column_of_the_same_ids_is_found_by_what_it_holds() {
        let wanted = ["7", "8"].map(str::to_owned);
        let cases = [
            ("pid,qid,q1,q2\n1,8,1,2\n2,7,1,2\n", Some("qid")),
            ("key,q1,q2\n8,1,2\n7,1,2\n", Some("key")),
            ("key,id,q1,q2\n7,8,1,2\n8,7,1,2\n", Some("id")),
            ("q1,q2,key\n7,1,7\n8,1,7\n", None), // a text, and 7 twice
            ("id,q1,q2\n7,1,2\n9,1,2\n", None),
            ("id,q1,q2\n7,1,2\n8,1,2\n9,1,2\n", None),
        ];
        for (text, expected) in cases {
            at(text, |path, format| {
                let found = find_same_ids(path, format, &wanted).expect("a good file");
                let name = found.as_ref().map(|(name, _)| name.as_str());
                assert_eq!(name, expected, "{text}");
            });
        }
        at("id,q1,q2\n8,1,2\n7,1,2\n", |path, format| {
            let found = find_same_ids(path, format, &wanted).expect("a good file");
            let (_, ids) = found.expect("the column");
            assert_eq!(ids, ["8", "7"]); // in the order of the file
            let bare = ExampleFormat {
                header: false,
                text_a: None,
                text_b: None,
                ..format.clone()
            };
            assert_eq!(find_same_ids(path, &bare, &wanted).expect("a file"), None);
        });
    }

    #[test]
    fn a_misspelt_column_is_refused_with_the_one_that_was_meant() {
        at("pair_id,q1,q2\n7,1,2\n", |path, format| {
            let hint = |name: &str| {
                let error = require_ids(path, format, ("submit.id_column", name)).expect_err(name);
                let expected = format!(
                    "t.csv:1: expected a column `{name}`, as submit.id_column says, found the columns `pair_id`, `q1`, `q2`"
                );
                assert!(error.to_string().ends_with(&expected), "{error}");
                error.hint().expect("a way out").to_owned()
            };
            assert_eq!(hint("pairid"), "did you mean `pair_id`?");
            assert_eq!(
                hint("row"),
                "leave submit.id_column out to have the column found"
            );
        });
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
