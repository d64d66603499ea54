//! `submission.csv.json`: what stands behind a submission. Told, never read back by the tool.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::WrittenSubmission;
use crate::atomic;
use crate::config::SubmitConfig;
use crate::data::source;
use crate::error::{Error, Result};
use crate::workbench::machine;
use crate::workbench::run_folder::manifest::{FileRecord, TOOL};

/// How a run makes its submission.
pub const RUN: &str = "run";

/// A run whose scores are in a submission.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Source {
    /// Its folder.
    pub run: PathBuf,
    /// The hash that tells it from other runs.
    pub config_sha256: String,
    /// Its part; the parts add up to 1.
    pub weight: f64,
}

/// The whole record.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SubmissionRecord {
    tool: &'static str,
    /// Not of a run: several processes may finish one, each by its own command, and leave the same bytes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    command: Vec<String>,
    how: String,
    runs: Vec<Source>,
    test: PathBuf,
    test_sha256: Option<String>,
    /// Of the organisers' sample, where there is one.
    like_sha256: Option<String>,
    submit: SubmitConfig,
    distinct_scores: usize,
    distinct_written: usize,
    remarks: Vec<String>,
    files: Vec<FileRecord>,
}

impl SubmissionRecord {
    /// `how` the scores of the runs became one: [`RUN`], `predict`, or the way of an ensemble.
    pub fn new(
        how: &str,
        runs: Vec<Source>,
        test: &Path,
        submit: &SubmitConfig,
        written: &WrittenSubmission,
    ) -> Self {
        Self {
            tool: TOOL,
            command: match how {
                RUN => Vec::new(),
                _ => machine::command_line(),
            },
            how: how.to_owned(),
            runs,
            test: test.to_owned(),
            test_sha256: None,
            like_sha256: None,
            submit: submit.clone(),
            distinct_scores: written.distinct,
            distinct_written: written.distinct_written,
            remarks: written.remarks.clone(),
            files: Vec::new(),
        }
    }

    /// Hashes the files, and writes the record beside the submission, as its name and `.json`.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn write(mut self, submission: &Path, files: &[(&str, &Path)]) -> Result<()> {
        if source::exists(&self.test) {
            let test = FileRecord::of("data.test", &self.test, &self.test)?;
            self.test_sha256 = Some(test.sha256);
        }
        if let Some(like) = &self.submit.like {
            self.like_sha256 = Some(FileRecord::of("submit.like", like, like)?.sha256);
        }
        for (name, at) in files {
            self.files
                .push(FileRecord::of("output", at, Path::new(name))?);
        }
        let mut text = serde_json::to_string_pretty(&self)
            .map_err(|error| Error::Unexpected(format!("record as JSON: {error}")))?;
        text.push('\n');
        let mut path = submission.as_os_str().to_owned();
        path.push(".json");
        atomic::write(Path::new(&path), text.as_bytes())
    }
}
