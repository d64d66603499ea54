//! The names in a run folder: its files, and the models it is made of with their folders.
//!
//! In: nothing. Out: names, and lists of what is there. Reads no file and writes none.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// The way out where a file is not as the run has written it.
pub const CHANGED_HINT: &str =
    "put back the file that the run has written, or run it again in a new folder";
/// What went in and what came out.
pub const MANIFEST: &str = "manifest.json";
/// What stands in the folder of a pretraining for [`MANIFEST`].
pub const PRETRAINING: &str = "pretraining.json";
/// The resolved experiment.
pub const CONFIG: &str = "config.toml";
/// One line an epoch.
pub const METRICS: &str = "metrics.jsonl";
/// Everything that was said.
pub const LOG: &str = "run.log";
/// Which plaintext row each cipher token started from.
pub const MAPPING: &str = "mapping.tsv";
/// The best epoch, in the layout of Hugging Face.
pub const MODEL: &str = "model";
/// The weights in [`MODEL`].
pub const WEIGHTS: &str = "model.safetensors";
/// Scores of the validation rows.
pub const VALID: &str = "valid.csv";
/// Scores of the test rows.
pub const SUBMISSION: &str = "submission.csv";
/// The same, as competitions want it uploaded.
pub const SUBMISSION_ZIP: &str = "submission.zip";
/// What stands behind the submission.
pub const SUBMISSION_JSON: &str = "submission.csv.json";
/// The outcome of a fold, written last.
pub const DONE: &str = "DONE";
/// Scores of the test rows: by one fold, or by the run.
pub const TEST: &str = "test.csv";
/// Scores of all labelled rows, each by models that have not trained on it.
pub const OOF: &str = "oof.csv";
/// The folder of all stages that runs share, beside them.
pub const SHARED_STAGES: &str = "stages";
/// The folder of the fit on all rows.
pub const FULL: &str = "full";

/// Everything a run may write besides its manifest; nothing else in a folder is ever removed.
pub const OUTPUTS: [&str; 12] = [
    CONFIG,
    METRICS,
    LOG,
    MAPPING,
    MODEL,
    VALID,
    TEST,
    OOF,
    SUBMISSION,
    SUBMISSION_ZIP,
    SUBMISSION_JSON,
    DONE,
];

/// Those that another `[predict]` or `[submit]` writes anew.
pub const REWRITTEN: [&str; 8] = [
    CONFIG,
    VALID,
    TEST,
    OOF,
    SUBMISSION,
    SUBMISSION_ZIP,
    SUBMISSION_JSON,
    DONE,
];

/// One model of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ModelName {
    /// The one model of a run without folds; it fills the run folder itself.
    Single,
    /// That of a fold, from 1.
    Fold(usize),
    /// The fit on all rows.
    Full,
}

impl ModelName {
    /// Its folder: the run folder, or one in it.
    pub fn folder(self, run: &Path) -> PathBuf {
        match self {
            Self::Single => run.to_owned(),
            Self::Fold(_) | Self::Full => run.join(self.folder_name()),
        }
    }

    /// `fold-3`, or `full`; empty for the run folder itself.
    pub fn folder_name(self) -> String {
        match self {
            Self::Single => String::new(),
            Self::Fold(number) => format!("fold-{number}"),
            Self::Full => FULL.to_owned(),
        }
    }

    /// The number of a fold, from 1.
    pub fn fold(self) -> Option<usize> {
        match self {
            Self::Fold(number) => Some(number),
            Self::Single | Self::Full => None,
        }
    }

    /// The folds that have a folder in `run`, in the order of their numbers.
    pub fn folds_in(run: &Path) -> Vec<Self> {
        let number = |entry: std::fs::DirEntry| -> Option<usize> {
            let name = entry.file_name();
            let number = name.to_str()?.strip_prefix("fold-")?.parse().ok()?;
            entry.path().is_dir().then_some(number)
        };
        let entries = std::fs::read_dir(run).into_iter().flatten().flatten();
        let mut numbers: Vec<usize> = entries.filter_map(number).collect();
        numbers.sort_unstable();
        numbers.into_iter().map(Self::Fold).collect()
    }
}

/// As `--fold` takes it: `3`, or `full`.
impl fmt::Display for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Single => f.write_str("single"),
            Self::Fold(number) => write!(f, "{number}"),
            Self::Full => f.write_str(FULL),
        }
    }
}

/// A fold, or the fit on all rows; a single split has no name to type.
impl std::str::FromStr for ModelName {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match text.parse() {
            Ok(number) if number > 0 => Ok(Self::Fold(number)),
            _ if text == FULL => Ok(Self::Full),
            _ => Err(format!("expected a fold, counted from 1, or `{FULL}`")),
        }
    }
}

/// Names in a folder, sorted.
///
/// # Errors
/// [`Error::Io`].
pub fn sorted_names(folder: &Path) -> Result<Vec<OsString>> {
    let entries = std::fs::read_dir(folder).map_err(Error::io("read", folder))?;
    let names = entries.map(|entry| entry.map(|entry| entry.file_name()));
    let mut names: Vec<_> = names
        .collect::<std::io::Result<_>>()
        .map_err(Error::io("read", folder))?;
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folds_are_named_from_one() {
        assert_eq!("3".parse(), Ok(ModelName::Fold(3)));
        assert_eq!("full".parse(), Ok(ModelName::Full));
        for text in ["0", "-1", "last", "single", ""] {
            assert!(text.parse::<ModelName>().is_err(), "{text}");
        }
        let run = Path::new("r");
        assert_eq!(ModelName::Fold(3).folder(run), Path::new("r/fold-3"));
        assert_eq!(ModelName::Full.folder(run), Path::new("r/full"));
        assert_eq!(ModelName::Single.folder(run), run);
    }

    #[test]
    fn folds_are_found_in_the_order_of_their_numbers() {
        let run = tempfile::tempdir().expect("a folder for the test");
        for name in ["fold-10", "fold-2", "fold-x", "full"] {
            std::fs::create_dir(run.path().join(name)).expect("a folder");
        }
        std::fs::write(run.path().join("fold-3"), "").expect("a small file");
        let found = ModelName::folds_in(run.path());
        assert_eq!(found, [ModelName::Fold(2), ModelName::Fold(10)]);
        assert!(ModelName::folds_in(&run.path().join("not there")).is_empty());
    }
}
