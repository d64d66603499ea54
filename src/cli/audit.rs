//! `cipherpet audit`: how reversible a masking is.

use clap::Args;

use super::align::{Sources, show};
use super::{Session, output};
use crate::error::Result;
use crate::workbench::audit as job;

/// Arguments of `audit`.
#[derive(Debug, Args)]
#[command(after_help = "\
Example: cipherpet audit --pairs train.tsv test.tsv --plain corpus.txt --key key.tsv

For whoever is about to publish desensitised sentences: how much of them comes back from public
plaintext alone. Without --key the share is an estimate. Writes no file and no decoded sentence.")]
pub struct AuditArguments {
    #[command(flatten)]
    sources: Sources,
    /// Print everything as one JSON object
    #[arg(long)]
    json: bool,
}

pub fn audit(arguments: &AuditArguments, session: &Session) -> Result<()> {
    let (options, experiment) = arguments.sources.load("audit")?;
    let report = job::audit(&options, &experiment, session.context())?;
    let text = format!("{}\n\n{}", report.statement, show(&report.figures));
    output::print(&report, &text, arguments.json)
}
