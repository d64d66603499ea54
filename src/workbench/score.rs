//! What a leaderboard said of a run's submission, kept in the run folder.
//!
//! In: a run folder, a score and a note. Out: one more line of `public_scores.jsonl`. Judges nothing.

use std::path::Path;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::run_folder::results::Results;
use crate::atomic;
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
        date: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
        score,
        note: note.map(str::to_owned),
    };
    let mut all = read(&run)?;
    all.push(noted.clone());
    let mut text = String::new();
    for noted in &all {
        text += &serde_json::to_string(noted)
            .map_err(|error| Error::Unexpected(format!("score as JSON: {error}")))?;
        text.push('\n');
    }
    atomic::write(&run.join(FILE), text.as_bytes())?;
    Ok(noted)
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
            serde_json::from_str(text)
                .map_err(|error| Error::input(Place::line(&path, line), "a public score", error))
        })
        .collect()
}
