//! `cipherpet pack`: a run to hand over.

use std::path::PathBuf;

use clap::Args;

use super::{Session, output};
use crate::error::Result;
use crate::workbench::disk::megabytes;
use crate::workbench::pack as job;

/// Arguments of `pack`.
#[derive(Debug, Args)]
#[command(after_help = "\
Example: cipherpet pack runs/first --out first.zip

The zip holds config, mapping, models, manifest, submission and a README with the commands for the
receiver, and none of the data. Whoever has the same files, under any path, gets the same run: files
are known by their content. manifest.json, config.toml and submission.csv.json hold whole paths, and
so names of users and folders: their hashes are recorded, so that no path is taken out.")]
pub struct PackArguments {
    /// The run folder
    run: PathBuf,
    /// The zip to write
    #[arg(long, value_name = "FILE.zip", value_parser = output::file)]
    out: PathBuf,
    /// Add the scores of validation and test rows, for ensembles; they repeat the labels
    #[arg(long)]
    scores: bool,
    /// Print what was packed as one JSON object
    #[arg(long)]
    json: bool,
}

pub fn pack(arguments: &PackArguments, session: &Session) -> Result<()> {
    let out = &arguments.out;
    let report = job::pack(&arguments.run, out, arguments.scores, &session.stop)?;
    let text = format!(
        "{}: {} files in {}/, {}",
        report.pack.display(),
        report.files,
        report.folder,
        megabytes(report.bytes)
    );
    output::print(&report, &text, arguments.json)
}
