//! Files whose rows all have one label, beside a file with others: test files often hold a label that stands in for the unknown ones.
//!
//! In: the label values of the files of a task. Out: a [`StandIn`] for each such file. A label that says that there is none makes
//! its file one without labels; any other one is for people to judge.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::data::label_field::is_missing;
use crate::data::reader::label_values::{LabelValues, MINUS_ONE};
use crate::data::{ExampleFormat, LabelKind};

/// A file whose rows all have one label, where those of another file differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StandIn {
    /// As the user named it.
    pub path: PathBuf,
    /// The label.
    pub label: String,
    /// It says that a row has no label, so the file counts as one without.
    pub is_unlabelled: bool,
}

impl StandIn {
    /// A line for people; `path` is how they call the file.
    pub fn describe(&self, path: &Path) -> String {
        let path = path.display().to_string();
        let (path, label) = (path.escape_debug(), self.label.escape_debug());
        match (self.is_unlabelled, self.label.as_str()) {
            (true, "") => {
                format!("{path}: all labels are empty, so it is read as a file without labels")
            }
            (true, _) => {
                format!("{path}: all labels are {label}, so it is read as a file without labels")
            }
            (false, _) => format!(
                "{path}: all labels are {label}. Is it the test file? Then write test = \"{path}\""
            ),
        }
    }
}

/// Those of `files`, in their order.
pub fn find(files: &[PathBuf], format: &ExampleFormat) -> Vec<StandIn> {
    let values = files.iter().map(|path| LabelValues::of(path, format));
    let values: Vec<Option<LabelValues>> = values.collect();
    let others = |file: usize| {
        let others = values
            .iter()
            .enumerate()
            .filter(move |(other, _)| *other != file);
        others.filter_map(|(_, values)| values.as_ref())
    };
    let says_none = |label: &str| match label {
        "" => format.labels != LabelKind::Multilabel, // an empty field has none of the labels
        label => label == MINUS_ONE || is_missing(label),
    };
    let of_file = |(file, path): (usize, &PathBuf)| {
        let LabelValues { only, rows, .. } = values[file].as_ref()?;
        let label = only.clone()?;
        let has_labels =
            |other: &LabelValues| other.only.as_deref().is_none_or(|label| !says_none(label));
        let is_class = label == MINUS_ONE
            && others(file).any(|other| other.only.is_none() && other.has_minus_one);
        let is_unlabelled = says_none(&label) && !is_class && others(file).any(has_labels);
        // One row has one label.
        let is_odd = *rows > 1 && others(file).any(|other| other.only.is_none());
        (is_unlabelled || is_odd).then(|| StandIn {
            path: path.clone(),
            label,
            is_unlabelled,
        })
    };
    files.iter().enumerate().filter_map(of_file).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Label and whether it says that there is none, of each file of labels that is found.
    fn found(labels: &[&[&str]], kind: LabelKind) -> Vec<(usize, String, bool)> {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let write = |(i, labels): (usize, &&[&str])| {
            let path = folder.path().join(i.to_string());
            let rows = labels.iter().map(|label| format!("1 2\t3\t{label}\n"));
            std::fs::write(&path, rows.collect::<String>()).expect("a small file");
            path
        };
        let files: Vec<PathBuf> = labels.iter().enumerate().map(write).collect();
        let format = ExampleFormat {
            labels: kind,
            ..ExampleFormat::default()
        };
        let number = |path: &Path| files.iter().position(|file| file == path).expect("a file");
        let found = find(&files, &format).into_iter();
        found
            .map(|one| (number(&one.path), one.label, one.is_unlabelled))
            .collect()
    }

    #[test]
    fn one_label_throughout_beside_a_file_with_several() {
        let several: &[&str] = &["0", "1", "0"];
        let one =
            |file: usize, label: &str, is_unlabelled| vec![(file, label.to_owned(), is_unlabelled)];
        let kind = LabelKind::Binary;
        assert_eq!(found(&[several, &["0", "0"]], kind), one(1, "0", false));
        assert_eq!(found(&[&["-1", "-1"], several], kind), one(0, "-1", true));
        assert_eq!(found(&[several, &["NaN"]], kind), one(1, "NaN", true));
        assert_eq!(found(&[several, &["", ""]], kind), one(1, "", true));
        for nothing in [
            &[several][..],
            &[several, several],
            &[several, &["1"]],
            // A file for each class.
            &[&["0", "0"], &["1", "1"]],
            &[&["-1", "-1"]],
            &[&["-1", "-1"], &["-1"]],
        ] {
            assert_eq!(found(nothing, kind), [], "{nothing:?}");
        }
    }

    #[test]
    fn a_label_that_other_rows_have_too_says_something() {
        let several: &[&str] = &["-1", "1"];
        let expected = [(1, "-1".to_owned(), false)];
        assert_eq!(
            found(&[several, &["-1", "-1"]], LabelKind::Classes),
            expected
        );
        let expected = [(1, String::new(), false)];
        assert_eq!(
            found(&[&["x", ""], &["", ""]], LabelKind::Multilabel),
            expected
        );
    }

    #[test]
    fn a_line_for_people() {
        let mut one = StandIn {
            path: PathBuf::from("sub/a.tsv"),
            label: "0".to_owned(),
            is_unlabelled: false,
        };
        assert_eq!(
            one.describe(Path::new("a.tsv")),
            "a.tsv: all labels are 0. Is it the test file? Then write test = \"a.tsv\""
        );
        one.is_unlabelled = true;
        assert_eq!(
            one.describe(&one.path),
            "sub/a.tsv: all labels are 0, so it is read as a file without labels"
        );
    }
}
