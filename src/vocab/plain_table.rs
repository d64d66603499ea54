//! Plaintext in tables: the texts of a `.csv` or `.tsv` file, without its ids and labels.
//!
//! In: the bytes of a file and its name. Out: the texts, row by row, or nothing where the file is no table or holds no column of texts:
//! such a file is lines of text. Does not tokenise.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::path::Path;

use crate::data::{ExampleFormat, column_names, dialect};
use crate::error::Result;

/// A column whose fields have so many letters in the mean holds texts, where they do not come again and again: names of classes are
/// shorter, or few.
const LETTERS: usize = 5;
/// Rows for one different field, at most.
const ROWS_A_FIELD: usize = 10;

/// Whether the name of a file says that it is a table; `.gz` behind is passed over.
pub fn is_named_so(path: &Path) -> bool {
    let is = |path: &Path, wanted: &[&str]| {
        let extension = path.extension().and_then(OsStr::to_str);
        extension.is_some_and(|extension| wanted.contains(&extension))
    };
    let stem = path.file_stem().map_or(path, Path::new);
    is(path, &["csv", "tsv"]) || is(path, &["gz"]) && is(stem, &["csv", "tsv"])
}

/// The texts of a table, in order; `None` where no column holds texts. `path` names the file in errors.
///
/// # Errors
/// [`crate::error::Error::Input`] for a row that is not UTF-8.
pub fn texts(path: &Path, bytes: &[u8]) -> Result<Option<Vec<String>>> {
    let (delimiter, has_header) = dialect::of_plain_text(path, bytes)?;
    let format = ExampleFormat {
        delimiter,
        ..ExampleFormat::default()
    };
    let mut table = format.table(path, bytes).passing_empty_lines();
    let mut named = None;
    if has_header && table.advance()? {
        let names: Vec<&str> = table.fields().iter().collect();
        let pair = column_names::pair(&names).map(|(a, b)| vec![a, b]);
        named = pair.or_else(|| column_names::single(&names).map(|text| vec![text]));
    }
    let mut columns: Vec<Column> = Vec::new();
    let mut rows = 0;
    while table.advance()? {
        rows += 1;
        let fields = table.fields();
        if columns.len() < fields.len() {
            columns.resize_with(fields.len(), Column::default);
        }
        for (column, field) in columns.iter_mut().zip(fields) {
            column.letters += field.chars().filter(|c| c.is_alphabetic()).count();
            column.fields.push((rows, field.to_owned()));
        }
    }
    let is_text = |(number, column): &(usize, Column)| match &named {
        Some(named) => named.contains(number),
        None => column.letters >= LETTERS * rows && ROWS_A_FIELD * column.distinct() > rows,
    };
    let columns = columns.into_iter().enumerate().filter(is_text);
    let mut texts: Vec<(usize, String)> = columns.flat_map(|(_, column)| column.fields).collect();
    texts.sort_by_key(|(row, _)| *row); // stable: the columns of a row stay in order
    let texts: Vec<String> = texts.into_iter().map(|(_, text)| text).collect();
    Ok((!texts.is_empty()).then_some(texts))
}

/// The fields of a column with their rows.
#[derive(Default)]
struct Column {
    letters: usize,
    fields: Vec<(usize, String)>,
}

impl Column {
    fn distinct(&self) -> usize {
        let fields = self.fields.iter().map(|(_, field)| field.as_str());
        fields.collect::<HashSet<_>>().len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts_of(name: &str, text: &str) -> Option<Vec<String>> {
        texts(Path::new(name), text.as_bytes()).expect("a table")
    }

    #[test]
    fn ids_and_labels_are_no_texts() {
        let csv = "id,text_a,text_b,label\n1,你好,\"您好,再见\",体育\n2,天气,很好,财经\n";
        let expected = ["你好", "您好,再见", "天气", "很好"];
        assert_eq!(texts_of("a.csv", csv).expect("two columns"), expected);
        let rows = (0..30).map(|i| {
            format!(
                "{}天气很好\t{}\n",
                "今".repeat(i),
                ["sports", "finance"][i % 2]
            )
        });
        let texts = texts_of("a.tsv", &rows.collect::<String>()).expect("one column");
        assert!(
            texts.iter().all(|text| text.ends_with("天气很好")),
            "{texts:?}"
        );
        assert_eq!(texts_of("counts.tsv", "的\t12\n一\t7\n"), None);
        assert_eq!(texts_of("empty.csv", ""), None);
        let apart = "text,label\n今天天气,体育\n\n明天天气,财经\n";
        assert_eq!(
            texts_of("a.csv", apart).expect("one column"),
            ["今天天气", "明天天气"]
        );
    }

    #[test]
    fn names_of_tables() {
        for (name, expected) in [
            ("a/b.csv", true),
            ("b.tsv.gz", true),
            ("b.txt", false),
            ("csv", false),
            ("b.csv.txt", false),
            ("b.txt.gz", false),
        ] {
            assert_eq!(is_named_so(Path::new(name)), expected, "{name}");
        }
    }
}
