//! How reversible a masking is: for whoever is about to publish desensitised sentences.
//!
//! In: what [`align`](super::align) takes. Out: its figures, and one statement of them in words. Writes nothing.

use serde::Serialize;

use super::Context;
use super::align::{self, AlignOptions, AlignReport};
use crate::config::Experiment;
use crate::error::Result;

/// What was found; the object that `--json` prints.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AuditReport {
    /// In words.
    pub statement: String,
    /// In one word.
    pub reversible: Reversible,
    /// In numbers.
    #[serde(flatten)]
    pub figures: AlignReport,
}

/// How much of the text comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Reversible {
    /// Half of the tokens or more.
    Largely,
    /// A tenth of the tokens or more.
    Partly,
    /// Less.
    Hardly,
}

/// Aligns the rows with the plaintext and says what came of it.
///
/// # Errors
/// Those of [`align::align`].
pub fn audit(
    options: &AlignOptions,
    experiment: &Experiment,
    context: Context,
) -> Result<AuditReport> {
    let figures = align::align(options, experiment, None, context)?;
    let share = figures.token_accuracy.unwrap_or(figures.expected_accuracy);
    let reversible = Reversible::of(share);
    Ok(AuditReport {
        statement: statement(&figures, reversible),
        reversible,
        figures,
    })
}

impl Reversible {
    fn of(share: f64) -> Self {
        match share {
            0.5.. => Self::Largely,
            0.1.. => Self::Partly,
            _ => Self::Hardly,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Largely => "largely",
            Self::Partly => "partly",
            Self::Hardly => "hardly",
        }
    }
}

fn statement(figures: &AlignReport, reversible: Reversible) -> String {
    let percent = |share: f64| format!("{:.1} %", 100.0 * share);
    let plain = figures.quality.units.iter();
    let plain = plain.map(|trial| trial.plain_tokens).max().unwrap_or(0);
    let found = match figures.token_accuracy {
        Some(right) => format!(
            "{} of the tokens are given back their plaintext",
            percent(right)
        ),
        None => format!(
            "an estimated {} of the tokens are given back their plaintext, {} with more right than wrong",
            percent(figures.expected_accuracy),
            percent(figures.trusted_tokens)
        ),
    };
    format!(
        "The masking is {} reversible. From {plain} tokens of plaintext, in {:.0} seconds and without the key, {found}. \
         Another plaintext, more of it, or another method may find more: a low figure is no proof of safety.",
        reversible.name(),
        figures.seconds
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_for_shares() {
        let words = [0.0, 0.09, 0.1, 0.49, 0.5, 1.0].map(|share| Reversible::of(share).name());
        assert_eq!(
            words,
            ["hardly", "hardly", "partly", "partly", "largely", "largely"]
        );
    }
}
