//! Label smoothing: a label is not quite sure (Szegedy et al. 2015, <https://arxiv.org/abs/1512.00567>, 7).
//!
//! Of n classes that exclude each other the right one has probability `1 - ε + ε / n`, the others `ε / n`; of several labels
//! each is `1 - ε / 2` or `ε / 2`. Numbers stay. Where candidates are compared, n is their number and the objective does the same
//! ([`crate::objective::choice`]). Costs nothing but, for `pet`, one more token of the MLM head a class.

use crate::data::{LabelKind, Target};

/// The label with `epsilon`, 0 to 1, of its certainty spread over `n_classes` classes.
pub fn smoothed(target: Target, epsilon: f64, labels: LabelKind, n_classes: usize) -> Target {
    let is_of_classes = matches!(
        target,
        Target::Class(_) | Target::Several(_) | Target::Probabilities(_)
    );
    if epsilon == 0.0 || !is_of_classes {
        return target;
    }
    let each = match labels {
        LabelKind::Multilabel => epsilon / 2.0,
        _ => epsilon / n_classes as f64,
    };
    let smooth = |class| {
        let probability = target.probability(class).map_or(0.0, f64::from);
        ((1.0 - epsilon) * probability + each) as f32
    };
    Target::Probabilities((0..n_classes as u32).map(smooth).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certainty_is_spread_over_the_classes() {
        let of = |target, labels, n| smoothed(target, 0.2, labels, n);
        assert_eq!(
            of(Target::Class(1), LabelKind::Binary, 2),
            Target::Probabilities(vec![0.1, 0.9])
        );
        assert_eq!(
            of(Target::Class(0), LabelKind::Classes, 4),
            Target::Probabilities(vec![0.85, 0.05, 0.05, 0.05])
        );
        assert_eq!(
            of(Target::Several(vec![1]), LabelKind::Multilabel, 2),
            Target::Probabilities(vec![0.1, 0.9])
        );
        let soft = Target::Probabilities(vec![0.5, 0.5]);
        assert_eq!(of(soft.clone(), LabelKind::Binary, 2), soft);
        for other in [Target::Number(2.0), Target::Unknown] {
            assert_eq!(of(other.clone(), LabelKind::Ordinal, 0), other);
        }
        assert_eq!(
            smoothed(Target::Class(1), 0.0, LabelKind::Binary, 2),
            Target::Class(1)
        );
    }
}
