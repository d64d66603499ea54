//! `cipherpet score`: what the leaderboard said.

use std::path::PathBuf;

use clap::Args;

use super::output;
use crate::error::Result;
use crate::workbench::score as job;

/// Arguments of `score`.
#[derive(Debug, Args)]
#[command(after_help = "\
Example: cipherpet score runs/first 0.9137 --note \"test A\"

Every score is kept, in public_scores.jsonl of the run folder; `cipherpet board` shows the newest.")]
pub struct ScoreArguments {
    /// The run folder
    run: PathBuf,
    /// The score, as the leaderboard shows it
    #[arg(allow_negative_numbers = true)]
    score: f64,
    /// What it is the score of
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// Print what was noted as one JSON object
    #[arg(long)]
    json: bool,
}

pub fn score(arguments: &ScoreArguments) -> Result<()> {
    let ScoreArguments {
        run, score, note, ..
    } = arguments;
    let noted = job::score(run, *score, note.as_deref())?;
    let text = format!("{}: public score {score} noted", run.display());
    output::print(&noted, &text, arguments.json)
}
