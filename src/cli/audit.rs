//! `cipherpet audit`: how reversible a masking is.

use std::path::PathBuf;

use clap::Args;

use super::align::{Sources, show};
use super::{Session, output};
use crate::error::Result;
use crate::workbench::audit::{self as job, AuditReport};

/// Arguments of `audit`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cipherpet audit --pairs train.tsv test.tsv --plain corpus.txt --out audit.html
  cipherpet audit --pairs train.tsv test.tsv --plain corpus.txt --key key.tsv

For whoever is about to publish desensitised sentences: how much of them comes back from public
plaintext alone. Without --key the share is an estimate. It writes no decoded sentence.")]
pub struct AuditArguments {
    #[command(flatten)]
    sources: Sources,
    /// Write it as one HTML page, too
    #[arg(long, value_name = "FILE", value_parser = output::file)]
    out: Option<PathBuf>,
    /// Print everything as one JSON object
    #[arg(long)]
    json: bool,
}

/// The statement, what it means, and the figures.
fn describe(report: &AuditReport) -> String {
    let exposed = report.figures.exposed.iter().take(10);
    let exposed: Vec<String> = exposed
        .map(|one| format!("{} ({:.1} %)", one.id, 100.0 * one.tokens))
        .collect();
    let mut text = format!(
        "{}\n\nAn attacker needs {}.\n",
        report.statement, report.attacker_needs
    );
    if !exposed.is_empty() {
        let list = exposed.join(", ");
        text.push_str(&format!(
            "Most exposed are the ids {list} (share of all tokens).\n"
        ));
    }
    text.push_str("An owner can\n");
    for advice in &report.owner_can {
        text.push_str(&format!("- {advice}\n"));
    }
    format!("{text}\n{}", show(&report.figures))
}

pub fn audit(arguments: &AuditArguments, session: &Session) -> Result<()> {
    let (options, experiment) = arguments.sources.load("audit")?;
    let report = job::audit(
        &options,
        &experiment,
        arguments.out.as_deref(),
        session.context(),
    )?;
    let text = describe(&report);
    output::print(&report, &text, arguments.json)?;
    if let Some(out) = &arguments.out {
        session.note(&format!("page: {}", out.display()));
    }
    Ok(())
}
