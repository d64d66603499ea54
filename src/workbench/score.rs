//! What a leaderboard said of a run's submission, kept in the run folder.
//!
//! In: a run folder, a score and a note. Out: one more line of `public_scores.jsonl`. Judges nothing.

use std::fs::{File, OpenOptions};
use std::io::{Seek, Write};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::run_folder::results::Results;
use crate::error::{Error, Place, Result};

/// One line a score, the newest last.
pub const FILE: &str = "public_scores.jsonl";

/// One score of a leaderboard.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PublicScore {
    /// When it was noted, UTC: `2026-11-22T09:30:00Z`.
    pub date: String,
    /// As the leaderboard showed it.
    pub score: f64,
    /// Which test set, which day's submission, …
    pub note: Option<String>,
}

/// Notes a score of the run.
///
/// # Errors
/// [`Error::Refused`] where the score is not finite or the folder is no run; [`Error::Input`] where the scores
/// noted before are damaged; [`Error::Io`].
pub fn score(run: &Path, score: f64, note: Option<&str>) -> Result<PublicScore> {
    if !score.is_finite() {
        return Err(Error::refused(format!(
            "a public score is a finite number, not {score}"
        )));
    }
    let run = Results::open(run)?.path;
    let noted = PublicScore {
        date: date(SystemTime::now()),
        score,
        note: note.map(str::to_owned),
    };
    read(&run)?; // nothing is added to a damaged file
    let mut line = serde_json::to_string(&noted)
        .map_err(|error| Error::Unexpected(format!("score as JSON: {error}")))?;
    line.push('\n');
    let path = run.join(FILE);
    let open = OpenOptions::new().append(true).create(true).open(&path);
    open.and_then(|file| append(file, line.as_bytes()))
        .map_err(Error::io("write", &path))?;
    Ok(noted)
}

/// Adds a line whole or not at all; of several processes one after the other, so that none loses what another has noted.
fn append(mut file: File, line: &[u8]) -> std::io::Result<()> {
    let _ = file.lock(); // ends with the file; where there are no locks, lines this short do not mix
    let before = file.seek(std::io::SeekFrom::End(0))?;
    file.write_all(line)
        .and_then(|()| file.sync_all())
        .inspect_err(|_| drop(file.set_len(before)))
}

/// As records have it. A clock that stands before 1970 or after 9999 is wrong, and shows the nearest day that can be written.
fn date(now: SystemTime) -> String {
    const LAST_SECOND: u64 = 253_402_300_799;
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = Duration::from_secs(since.as_secs().min(LAST_SECOND));
    humantime::format_rfc3339_seconds(UNIX_EPOCH + seconds).to_string()
}

/// Every score noted of a run, the newest last.
///
/// # Errors
/// [`Error::Input`] with the line that is no score, [`Error::Io`].
pub fn read(run: &Path) -> Result<Vec<PublicScore>> {
    let path = run.join(FILE);
    if !path.exists() {
        return Ok(Vec::new());
    }
    let text = std::fs::read_to_string(&path).map_err(Error::io("read", &path))?;
    (1..)
        .zip(text.lines())
        .map(|(line, text)| {
            serde_json::from_str(text).map_err(|error| {
                Error::input(Place::line(&path, line), "a public score", error)
                    .with_hint("remove the line, and note the score again with `cipherpet score`")
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_wrong_is_no_panic() {
        let (day, year) = (Duration::from_secs(86_400), Duration::from_secs(31_556_952));
        assert_eq!(date(UNIX_EPOCH + day), "1970-01-02T00:00:00Z");
        assert_eq!(date(UNIX_EPOCH - day), "1970-01-01T00:00:00Z");
        assert_eq!(date(UNIX_EPOCH + 9000 * year), "9999-12-31T23:59:59Z");
    }
}
