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
    /// What it made; none where it failed.
    pub report: Option<PartReport>,
}

impl CellReport {
    /// `experiment (seed = 1)`
    pub fn title(&self) -> String {
        title(&self.name, &self.cell)
    }
}

impl BatchReport {
    /// Fails where an experiment has failed, with the list.
    ///
    /// # Errors
    /// [`Error::Refused`].
    pub fn require_success(&self) -> Result<()> {
        let failed: Vec<String> = self
            .runs
            .iter()
            .filter_map(|cell| Some(format!("\n  {}: {}", cell.title(), cell.error.as_ref()?)))
            .collect();
        if failed.is_empty() {
            return Ok(());
        }
        let (n, all) = (failed.len(), self.runs.len());
        let message = format!("{n} of {all} experiments failed:{}", failed.concat());
        Err(Error::refused(message).with_hint("the same command does what is missing"))
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
        let (error, report) = match run(loaded, None, part, context) {
            Ok(report) => (None, Some(report)),
            Err(Error::Interrupted) if !runs.is_empty() => {
                let (done, all) = (runs.len(), cells.len());
                let state = format!("{done} of {all} experiments are over");
                return Err(Error::Stopped { state });
            }
            Err(error) if error.is_stop() => return Err(error),
            Err(error) => {
                progress.say(&format!("{title} failed: {error}"));
                (Some(error.to_string()), None)
            }
        };
        runs.push(CellReport {
            name: loaded.name.clone(),
            cell: loaded.cell.clone(),
            error,
            report,
        });
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
