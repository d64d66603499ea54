//! How reversible a masking is: for whoever is about to publish desensitised sentences.
//!
//! In: what [`align`](super::align) takes. Out: [`findings`]: its figures, one statement of them in words, and what they mean for the
//! owner of the text; and where it is asked for, a [`page`]. Names no plaintext.

pub mod findings;
pub mod page;

use std::path::Path;

use super::Context;
use super::align::{self, AlignOptions};
use crate::atomic;
use crate::config::Experiment;
use crate::error::Result;
pub use findings::{AuditReport, Reversible};

/// Aligns the rows with the plaintext and says what came of it; `out` is where to write the page.
///
/// # Errors
/// Those of [`align::align`]; [`crate::error::Error::Io`].
pub fn audit(
    options: &AlignOptions,
    experiment: &Experiment,
    out: Option<&Path>,
    context: Context,
) -> Result<AuditReport> {
    let report = AuditReport::of(align::align(options, experiment, None, context)?);
    if let Some(out) = out {
        let page = page::page(&report, options.files, &options.settings.plain)?;
        atomic::write(out, page.as_bytes())?;
    }
    Ok(report)
}
