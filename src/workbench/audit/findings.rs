//! What the figures of an alignment say to the owner of a text.
//!
//! In: an [`AlignReport`]. Out: an [`AuditReport`]: one statement in words, what an attacker needs, what helps. Pure.

use indicatif::HumanCount;
use serde::Serialize;

use crate::workbench::align::AlignReport;

/// What was found; the object that `--json` prints.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AuditReport {
    /// In words.
    pub statement: String,
    /// In one word.
    pub reversible: Reversible,
    /// What somebody needs who wants to do the same.
    pub attacker_needs: String,
    /// What makes it harder, by what was measured.
    pub owner_can: Vec<&'static str>,
    /// In numbers.
    #[serde(flatten)]
    pub figures: AlignReport,
}

/// How much of the text comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reversible {
    /// Half of the tokens or more.
    Largely,
    /// A tenth of the tokens or more.
    Partly,
    /// Less.
    Hardly,
    /// Without a key there is no telling.
    CannotTell,
}

/// From `experiments/audit_grid.py`.
const OWNER_CAN: [&str; 4] = [
    "publish fewer sentences: the share that comes back falls steeply below some thousand",
    "publish the ids of a sentence in random order: nothing is left to align by",
    "give each part of the data numbers of its own, so that no number can be followed through all of it",
    "give frequent words numbers of their own beside those of characters: .82 of 20,000 pairs came back instead of .95",
];

impl Reversible {
    fn of(share: Option<f64>) -> Self {
        match share {
            Some(0.5..) => Self::Largely,
            Some(0.1..) => Self::Partly,
            Some(_) => Self::Hardly,
            None => Self::CannotTell,
        }
    }
}

impl AuditReport {
    /// What the figures say.
    pub fn of(figures: AlignReport) -> Self {
        let share = figures.token_accuracy.or(figures.estimate.share);
        let reversible = Reversible::of(share);
        Self {
            statement: statement(&figures, reversible),
            reversible,
            attacker_needs: attacker_needs(&figures, reversible),
            owner_can: OWNER_CAN.to_vec(),
            figures,
        }
    }
}

/// Tokens of plaintext that were read: `5,035,036`.
fn n_plain_tokens(figures: &AlignReport) -> HumanCount {
    let trials = figures.quality.units.iter();
    HumanCount(trials.map(|trial| trial.plain_tokens).max().unwrap_or(0))
}

fn attacker_needs(figures: &AlignReport, reversible: Reversible) -> String {
    let (plain, seconds) = (n_plain_tokens(figures), figures.seconds);
    match reversible {
        Reversible::CannotTell => format!(
            "the published files, and readable text: more of it, or of a more similar kind, than the {plain} tokens that were tried"
        ),
        _ => format!(
            "the published files, {plain} tokens of readable text of the same kind, and {seconds:.0} seconds on a machine like this one"
        ),
    }
}

fn statement(figures: &AlignReport, reversible: Reversible) -> String {
    let (plain, seconds) = (n_plain_tokens(figures), figures.seconds);
    let how_far = match reversible {
        Reversible::Largely => "largely",
        Reversible::Partly => "partly",
        Reversible::Hardly => "hardly",
        Reversible::CannotTell => {
            let reason = figures.estimate.cannot_tell.as_deref().unwrap_or_default();
            return format!(
                "Cannot tell how far the masking is reversible: {reason}. This was tried with {plain} tokens of plaintext, for \
                 {seconds:.0} seconds and without the key. It is no sign of safety: name the key (--key) to measure, or more \
                 plaintext of the same kind."
            );
        }
    };
    let estimated = match figures.token_accuracy {
        Some(_) => "",
        None => "an estimated ",
    };
    let share = figures.token_accuracy.or(figures.estimate.share);
    format!(
        "The masking is {how_far} reversible. From {plain} tokens of plaintext, in {seconds:.0} seconds and without the key, \
         {estimated}{:.1} % of the tokens are given back their plaintext. Another plaintext, more of it, or another method may \
         find more: a low figure is no proof of safety.",
        100.0 * share.unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_for_a_share_and_for_none() {
        use Reversible::{CannotTell, Hardly, Largely, Partly};
        let words = [0.0, 0.09, 0.1, 0.49, 0.5, 1.0].map(|share| Reversible::of(Some(share)));
        assert_eq!(words, [Hardly, Hardly, Partly, Partly, Largely, Largely]);
        assert_eq!(Reversible::of(None), CannotTell);
    }
}
