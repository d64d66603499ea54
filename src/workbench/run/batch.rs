//! Several experiments one after the other: files, and the cells of their grids.
//!
//! In: [`Loaded`] experiments. Out: a [`BatchReport`], one entry each. An experiment that fails does not stop the others;
//! one that is done is found by the hash of its config and is not done again.

use std::path::Path;

use serde::Serialize;

use super::part::{PartReport, RunPart};
use super::run;
use crate::config::Loaded;
use crate::error::{Error, Result};
use crate::workbench::Context;

/// What became of a batch; the object that `--json` prints.
#[derive(Debug, Serialize)]
pub struct BatchReport {
    /// One entry an experiment, in order.
    pub runs: Vec<CellReport>,
}

/// One experiment of a batch.
#[derive(Debug, Serialize)]
pub struct CellReport {
    /// The experiment file's name without its extension.
    pub name: String,
    /// What the grid has set: `seed = 1, train.batch = 32`; empty without a grid.
    pub cell: String,
    /// Why it failed; none where it did not.
    pub error: Option<String>,
    /// The way out of that, if one is known.
    pub hint: Option<String>,
    /// Whether the same command may do it another time.
    #[serde(skip)]
    pub may_pass: bool,
    /// What it made; none where it failed.
    pub report: Option<PartReport>,
}

impl CellReport {
    /// `experiment (seed = 1)`
    pub fn title(&self) -> String {
        title(&self.name, &self.cell)
    }

    /// Its lines among those that failed; none where it did not.
    fn failure(&self) -> Option<String> {
        let error = self.error.as_ref()?;
        let hint = self.hint.as_ref();
        let hint = hint.map_or(String::new(), |hint| format!("\n    hint: {hint}"));
        Some(format!("\n  {}: {error}{hint}", self.title()))
    }
}

impl BatchReport {
    /// Fails where an experiment has failed, with the list and the way out of each.
    ///
    /// # Errors
    /// [`Error::Refused`].
    pub fn require_success(&self) -> Result<()> {
        let failed: Vec<String> = self.runs.iter().filter_map(CellReport::failure).collect();
        if failed.is_empty() {
            return Ok(());
        }
        let (n, all) = (failed.len(), self.runs.len());
        let message = format!("{n} of {all} experiments failed:{}", failed.concat());
        let error = Error::refused(message);
        Err(match self.runs.iter().any(|cell| cell.may_pass) {
            true => error.with_hint("the same command does what is missing"),
            false => error,
        })
    }
}

/// Runs each experiment in its default folder.
///
/// # Errors
/// Only what ends everything: [`Error::Stopped`], and [`Error::Interrupted`] before anything was done.
pub fn run_all(cells: &[Loaded], part: RunPart, context: Context<'_>) -> Result<BatchReport> {
    let mut runs = Vec::new();
    for (number, loaded) in (1..).zip(cells) {
        let progress = context.progress.apart();
        let title = title(&loaded.name, &loaded.cell);
        progress.say(&format!("experiment {number} of {}: {title}", cells.len()));
        let context = context.with_progress(&progress);
        let mut cell = CellReport {
            name: loaded.name.clone(),
            cell: loaded.cell.clone(),
            error: None,
            hint: None,
            may_pass: false,
            report: None,
        };
        match run(loaded, None, part, context) {
            Ok(report) => cell.report = Some(report),
            Err(Error::Interrupted) if !runs.is_empty() => {
                let (done, all) = (runs.len(), cells.len());
                let state = format!("{done} of {all} experiments are over");
                return Err(Error::Stopped { state });
            }
            Err(error) if error.is_stop() => return Err(error),
            Err(error) => {
                progress.say(&format!("{title} failed: {error}"));
                cell.error = Some(error.to_string());
                cell.hint = error.hint().map(str::to_owned);
                // Settings and files are as they are, and --finish trains nothing.
                let is_of_machine = matches!(error, Error::Io { .. } | Error::Unexpected(_));
                cell.may_pass = is_of_machine && part != RunPart::Finish;
            }
        }
        runs.push(cell);
    }
    Ok(BatchReport { runs })
}

/// Refuses one folder for several runs.
///
/// # Errors
/// [`Error::Refused`].
pub fn require_own_folders(cells: &[Loaded], out: Option<&Path>) -> Result<()> {
    match out {
        Some(out) if cells.len() > 1 => {
            let (out, n) = (out.display(), cells.len());
            let message = format!("--out {out} is one folder, and there are {n} experiments");
            Err(Error::refused(message)
                .with_hint("leave --out away: each has a folder runs/NAME-HASH of its own"))
        }
        _ => Ok(()),
    }
}

fn title(name: &str, cell: &str) -> String {
    if cell.is_empty() {
        name.to_owned()
    } else {
        format!("{name} ({cell})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(error: &str, hint: Option<&str>, may_pass: bool) -> CellReport {
        CellReport {
            name: "e".to_owned(),
            cell: String::new(),
            error: Some(error.to_owned()),
            hint: hint.map(str::to_owned),
            may_pass,
            report: None,
        }
    }

    #[test]
    fn each_failure_has_its_own_way_out_and_the_command_helps_where_it_may() {
        let refusal = |runs| {
            let error = BatchReport { runs }.require_success();
            let error = error.expect_err("all have failed");
            (error.to_string(), error.hint().map(str::to_owned))
        };
        let (message, hint) = refusal(vec![failed("no file", Some("put it there"), false)]);
        assert_eq!(
            message,
            "1 of 1 experiments failed:\n  e: no file\n    hint: put it there"
        );
        assert_eq!(hint, None);
        let (message, hint) = refusal(vec![
            failed("no file", None, false),
            failed("cannot write", None, true),
        ]);
        assert_eq!(
            message,
            "2 of 2 experiments failed:\n  e: no file\n  e: cannot write"
        );
        assert_eq!(
            hint.as_deref(),
            Some("the same command does what is missing")
        );
    }
}
