//! Token counts of plaintext files, with the record of what was counted.
//!
//! In: text files and a BERT folder. Out: `counts.tsv` and, beside it, `counts.tsv.json`, which every run that
//! uses the counts copies into its manifest.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Context;
use crate::atomic;
use crate::data::source;
use crate::error::{Error, Place, Result};
use crate::vocab::count::count_files;
use crate::vocab::lines::TextSource;

/// What was counted, and by which tokenizer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CountRecord {
    /// `cipherpet` and its version.
    pub tool: String,
    /// The BERT folder whose tokenizer was used.
    pub checkpoint: PathBuf,
    /// Different tokens.
    pub types: usize,
    /// Occurrences of all tokens.
    pub tokens: u64,
    /// The files, in the order they were given.
    pub sources: Vec<TextSource>,
}

/// Counts `files` and writes `out`, and where that is a file `out` + `.json`.
///
/// # Errors
/// [`Error::Refused`] where the record would replace one of the files, [`Error::Input`] where they hold no token; those of [`count_files`]; [`Error::Io`]; [`Error::Interrupted`].
pub fn count(
    checkpoint: &Path,
    files: &[PathBuf],
    out: &Path,
    Context { progress, stop, .. }: Context<'_>,
) -> Result<CountRecord> {
    let record_path = record_path(out);
    let is_record = |file: &&PathBuf| file.canonicalize().ok() == record_path.canonicalize().ok();
    if record_path.exists()
        && let Some(file) = files.iter().find(is_record)
    {
        let message = format!(
            "the record of the counts would be written over {}",
            file.display()
        );
        return Err(Error::refused(message).with_hint("give --out another name"));
    }
    let (counts, sources) = count_files(checkpoint, files, progress)?;
    stop.check()?;
    let record = CountRecord {
        tool: concat!("cipherpet ", env!("CARGO_PKG_VERSION")).to_owned(),
        checkpoint: checkpoint.to_owned(),
        types: counts.entries.len(),
        tokens: counts.entries.iter().map(|(_, count)| count).sum(),
        sources,
    };
    if record.tokens == 0 {
        let file = files.first().map_or(Path::new("FILES"), PathBuf::as_path);
        let error = Error::input(Place::file(file), "plain text", "no token in it");
        return Err(error.with_hint("name files with text: alignments need tokens to count"));
    }
    counts.write(out)?;
    let mut text = serde_json::to_string_pretty(&record)
        .map_err(|error| Error::Unexpected(format!("count record as JSON: {error}")))?;
    text.push('\n');
    // Nothing stands beside a pipe.
    if out.is_file() {
        atomic::write(&record_path, text.as_bytes())?;
    }
    Ok(record)
}

/// The record beside a file of counts as it stands there; null where there is none.
pub fn recorded_corpora(counts: &Path) -> serde_json::Value {
    let path = record_path(counts);
    let found = source::exists(&path).then(|| source::read(&path).ok());
    let parsed = found.flatten().map(|text| serde_json::from_slice(&text));
    parsed.and_then(|value| value.ok()).unwrap_or_default()
}

/// `counts.tsv` -> `counts.tsv.json`
fn record_path(counts: &Path) -> PathBuf {
    let mut name: OsString = counts.as_os_str().to_owned();
    name.push(".json");
    PathBuf::from(name)
}
