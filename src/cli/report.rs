//! `cipherpet report`: a run to look at, or several side by side.

use std::path::PathBuf;

use clap::Args;

use super::{Session, output};
use crate::error::Result;
use crate::workbench::report as job;

/// Arguments of `report`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cipherpet report runs/first
  cipherpet report runs/first runs/second --out compare.html

One HTML file that needs no network and no script. A run that is not done is shown as far as it is.")]
pub struct ReportArguments {
    /// Run folders
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// Where to write the page [default for one run: RUN/report.html]
    #[arg(long, value_name = "FILE", value_parser = output::file)]
    out: Option<PathBuf>,
    /// Print what was written as one JSON object
    #[arg(long)]
    json: bool,
}

pub fn report(arguments: &ReportArguments, session: &Session) -> Result<()> {
    let progress = session.context().progress;
    let written = job::report(&arguments.runs, arguments.out.as_deref(), progress)?;
    let text = written.report.display().to_string();
    output::print(&written, &text, arguments.json)
}
