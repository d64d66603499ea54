//! How much of an alignment by graph is right, without a key: a share, or "cannot tell" with the reason.
//!
//! In: what the search found out about itself ([`GraphReport`]). Out: an [`Estimate`]. Does not look at pairs; the chance of a single
//! one is its confidence.
//!
//! A wrong map has clear margins too. Two things are not fooled. Starts of the search that end in different maps cannot all be right.
//! And a right map makes the *order* of held-out ids likely, as likely as that of plaintext; a map that fits frequencies alone does
//! not. The mean confidence, which knows the stability, adds nothing to the stability itself and the share of mutually best ids. What is
//! fitted, and on what: `experiments/audit_grid.py`.

use serde::Serialize;

use super::alignment::GraphReport;

/// Below these shares nothing is said.
const LEAST_STABILITY: f64 = 0.85;
const LEAST_ORDER: f64 = 0.25;

/// A linear function of shares, held to 0..=1.
struct Weights {
    constant: f64,
    /// Of the stability.
    stability: f64,
    /// Of the ids that are their best token's best.
    mutual: f64,
}

/// Fitted to the cells of the grid that reach both bounds.
const WEIGHTS: Weights = Weights {
    constant: -0.070,
    stability: 0.847,
    mutual: 0.234,
};

/// What can be said of an alignment without a key.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Estimate {
    /// Share of the tokens that are given their own plaintext, 0 to 1; none where it cannot be told.
    #[serde(rename = "expected_accuracy")]
    pub share: Option<f64>,
    /// Why it cannot be told; none where it can.
    pub cannot_tell: Option<String>,
}

/// The estimate for an alignment.
pub fn estimate(report: &GraphReport) -> Estimate {
    let order = report.order_share().unwrap_or(0.0);
    // Rounded down, so that what is below a bound is also below it in print.
    let percent = |share: f64| format!("{} %", (100.0 * share.max(0.0)).floor());
    let cannot_tell = if report.order_share().is_none() {
        Some(
            "the plaintext has no order that the order of the ids could be compared with"
                .to_owned(),
        )
    } else if order < LEAST_ORDER {
        Some(format!(
            "under the mapping that was found, the order of the ids tells {} of what order tells in plaintext; below {} the \
             mapping may be wrong throughout",
            percent(order),
            percent(LEAST_ORDER)
        ))
    } else if report.stability < LEAST_STABILITY {
        Some(format!(
            "searches from {} starts agree on {} of the tokens; below {} too little is known",
            report.restarts,
            percent(report.stability),
            percent(LEAST_STABILITY)
        ))
    } else {
        None
    };
    let mutual = report.mutual_best as f64 / report.cipher_types.max(1) as f64;
    let share = WEIGHTS.constant + WEIGHTS.stability * report.stability + WEIGHTS.mutual * mutual;
    Estimate {
        share: cannot_tell.is_none().then_some(share.clamp(0.0, 1.0)),
        cannot_tell,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::align::graph::Quality;

    /// What the search says of itself for a cell of the grid.
    fn report(stability: f64, order: f64, mutual: usize) -> GraphReport {
        let quality = Quality {
            stability,
            order_gain: order,
            order_gain_plain: 2.0,
            mutual_best: mutual,
            restarts: 2,
            ..Quality::default()
        };
        GraphReport {
            cipher_types: 100,
            ..GraphReport::of(quality)
        }
    }

    #[test]
    fn what_came_out_of_the_grid_comes_out_here() {
        // LCQMC by character, 8,000 rows: .914 are right. Its 20,000 rows with merged words: .821.
        let of = |report: &GraphReport| estimate(report).share;
        let share = of(&report(0.968, 1.586, 73)).expect("it can be told");
        assert!((share - 0.914).abs() < 0.05, "{share}");
        let share = of(&report(0.920, 1.467, 52)).expect("it can be told");
        assert!((share - 0.821).abs() < 0.05, "{share}");
    }

    #[test]
    fn a_map_of_mutually_best_ids_is_not_believed_without_order_or_stability() {
        let no_order = estimate(&report(0.99, -1.0, 90));
        assert_eq!(no_order.share, None);
        assert_eq!(
            no_order.cannot_tell.as_deref(),
            Some(
                "under the mapping that was found, the order of the ids tells 0 % of what order tells in plaintext; \
                 below 25 % the mapping may be wrong throughout"
            )
        );
        let nearly = estimate(&report(0.99, 0.499, 90)).cannot_tell;
        assert!(nearly.is_some_and(|why| why.contains("tells 24 % of")));
        let plain = GraphReport {
            order_gain_plain: 0.0,
            ..report(0.99, 1.4, 90)
        };
        assert_eq!(plain.order_share(), None);
        let of_plain = estimate(&plain);
        assert_eq!(of_plain.share, None);
        let why = of_plain.cannot_tell.expect("a reason");
        assert!(why.starts_with("the plaintext has no order "), "{why}");
        let unstable = estimate(&report(0.61, 1.4, 90));
        assert_eq!(unstable.share, None);
        assert_eq!(
            unstable.cannot_tell.as_deref(),
            Some(
                "searches from 2 starts agree on 61 % of the tokens; below 85 % too little is known"
            )
        );
    }
}
