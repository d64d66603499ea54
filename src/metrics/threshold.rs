//! The threshold on a score that decides best between two classes.
//!
//! In: targets of two classes and one score a row. Out: the best threshold by exact sweep over all cuts, and what a threshold
//! reaches on rows it was not chosen on. A row is said to be of the second class from the threshold on, as everywhere from
//! logit 0 on. A search that walks downhill may miss the best cut of such a step function; the sweep does not.

use super::MetricName;
use crate::data::{Scores, Target};

/// A threshold and what it reaches.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Threshold {
    /// Rows with this score or a higher one are said to be of the second class.
    pub threshold: f32,
    /// The metric on the rows that it was chosen on: rather too good for other rows.
    pub score: f64,
}

/// Rows by true and said class.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Counts {
    true_positives: usize,
    false_positives: usize,
    false_negatives: usize,
    true_negatives: usize,
}

impl Counts {
    fn add(&mut self, is_positive: bool, said: bool) {
        *match (is_positive, said) {
            (true, true) => &mut self.true_positives,
            (false, true) => &mut self.false_positives,
            (true, false) => &mut self.false_negatives,
            (false, false) => &mut self.true_negatives,
        } += 1;
    }

    /// The metric; `None` where it asks for no threshold.
    fn figure(self, metric: MetricName) -> Option<f64> {
        let errors = self.false_positives + self.false_negatives;
        let right = self.true_positives + self.true_negatives;
        // None of a class that is neither there nor said.
        let f1 = |hits: usize| match 2 * hits + errors {
            0 => None,
            all => Some(2.0 * hits as f64 / all as f64),
        };
        match metric {
            MetricName::Accuracy => Some(right as f64 / (right + errors) as f64),
            MetricName::F1 => Some(f1(self.true_positives).unwrap_or(0.0)),
            MetricName::MacroF1 => match (f1(self.true_positives), f1(self.true_negatives)) {
                (Some(second), Some(first)) => Some((second + first) / 2.0),
                (one, other) => one.or(other),
            },
            _ => None,
        }
    }
}

/// The threshold with the best accuracy, F1 or macro F1 of all cuts between distinct scores, and of none and all said.
///
/// The threshold is the centre of its gap between two scores; of equally good cuts that of the widest gap, then the
/// lowest. `None` for other metrics, where a row has no class, and where a score is NaN.
pub fn best_threshold(
    targets: &[Target],
    scores: &Scores,
    metric: MetricName,
) -> Option<Threshold> {
    let rows = by_score(targets, scores)?;
    let (&(lowest, _), &(highest, _)) = (rows.first()?, rows.last()?);
    // Every row is said at first; then those below ever higher cuts are said no more.
    let mut counts = Counts::default();
    rows.iter().for_each(|&(_, is)| counts.add(is, true));
    let mut best = (counts.figure(metric)?, 0.0, lowest);
    let mut ties = rows.chunk_by(|a, b| a.0 == b.0).peekable();
    while let Some(tie) = ties.next() {
        for &(_, is_positive) in tie {
            if is_positive {
                counts.true_positives -= 1;
            } else {
                counts.false_positives -= 1;
            }
            counts.add(is_positive, false);
        }
        let (width, threshold) = match ties.peek() {
            Some(next) => (
                f64::from(next[0].0) - f64::from(tie[0].0),
                between(tie[0].0, next[0].0),
            ),
            None => (0.0, highest.next_up()),
        };
        let figure = counts.figure(metric)?;
        if figure > best.0 || (figure == best.0 && width > best.1) {
            best = (figure, width, threshold);
        }
    }
    let (score, _, threshold) = best;
    Some(Threshold { threshold, score })
}

/// The metric of rows each of which is judged by the best threshold of the rows of all other groups; one group number a row.
///
/// `None` where [`best_threshold`] is, and where there is one group alone.
pub fn nested_threshold(
    targets: &[Target],
    scores: &Scores,
    groups: &[usize],
    metric: MetricName,
) -> Option<f64> {
    let mut numbers = groups.to_vec();
    numbers.sort_unstable();
    numbers.dedup();
    let mut counts = Counts::default();
    for group in numbers {
        let (own, others): (Vec<usize>, Vec<usize>) =
            (0..groups.len()).partition(|&row| groups[row] == group);
        let chosen_on: Vec<Target> = others.iter().map(|&row| targets[row].clone()).collect();
        let best = best_threshold(&chosen_on, &scores.select(&others), metric)?;
        for row in own {
            let said = scores.row(row)[0] >= best.threshold;
            counts.add(targets[row].is_positive()?, said);
        }
    }
    counts.figure(metric)
}

/// Score and whether it is of the second class, by rising score.
fn by_score(targets: &[Target], scores: &Scores) -> Option<Vec<(f32, bool)>> {
    if scores.width != 1 || targets.len() != scores.len() {
        return None;
    }
    let pairs = scores.values.iter().zip(targets);
    let pairs = pairs.map(|(&score, target)| {
        let is_positive = target.is_positive()?;
        (!score.is_nan()).then_some((score, is_positive))
    });
    let mut rows = pairs.collect::<Option<Vec<(f32, bool)>>>()?;
    rows.sort_by(|a, b| a.0.total_cmp(&b.0));
    Some(rows)
}

/// The centre, above `low` and not above `high`, also where no number lies between them.
fn between(low: f32, high: f32) -> f32 {
    let centre = f64::midpoint(f64::from(low), f64::from(high)) as f32;
    if centre > low { centre } else { high }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Key;

    const METRICS: [MetricName; 3] = [MetricName::Accuracy, MetricName::F1, MetricName::MacroF1];

    fn targets(labels: &[u8]) -> Vec<Target> {
        labels.iter().map(|&label| (label == 1).into()).collect()
    }

    #[test]
    fn thresholds_by_hand() {
        let labels = targets(&[0, 1, 0, 1, 1]);
        let scores = Scores::single(vec![-3.0, -1.0, 0.0, 2.0, 4.0]);
        // Accuracy .8 with a cut in (-3, -1] or in (0, 2], both of width 2: the lower. F1 6/7 for the first alone.
        let best = best_threshold(&labels, &scores, MetricName::Accuracy);
        let expected = |score| {
            Some(Threshold {
                threshold: -2.0,
                score,
            })
        };
        assert_eq!(best, expected(0.8));
        let best = best_threshold(&labels, &scores, MetricName::F1);
        assert_eq!(best, expected(6.0 / 7.0));
        assert_eq!(best_threshold(&labels, &scores, MetricName::Auc), None);
        assert_eq!(
            best_threshold(&[Target::Unknown], &scores.select(&[0]), MetricName::F1),
            None
        );
        let nan = Scores::single(vec![f32::NAN; 5]);
        assert_eq!(best_threshold(&labels, &nan, MetricName::F1), None);
    }

    #[test]
    fn a_wider_gap_wins_and_rows_of_one_class_are_all_said_or_none() {
        // Cuts above 0 and above 10 are equally good.
        let scores = Scores::single(vec![0.0, 1.0, 10.0, 10.0]);
        let labels = targets(&[0, 1, 0, 1]);
        let best = best_threshold(&labels, &scores, MetricName::Accuracy).expect("classes");
        assert_eq!((best.threshold, best.score), (0.5, 0.75));
        let of = |label| best_threshold(&targets(&[label; 4]), &scores, MetricName::Accuracy);
        let (all, none) = (of(1).expect("a class"), of(0).expect("a class"));
        assert!(all.threshold <= 0.0 && all.score == 1.0);
        assert!(none.threshold > 10.0 && none.score == 1.0);
        let macro_f1 = best_threshold(&targets(&[1; 4]), &scores, MetricName::MacroF1);
        assert_eq!(macro_f1.map(|best| best.score), Some(1.0));
        assert_eq!(between(1.0, 1.0_f32.next_up()), 1.0_f32.next_up());
    }

    #[test]
    fn no_threshold_is_better_than_the_swept_one() {
        for seed in 0..20 {
            let key = Key::from_seed(seed);
            let labels: Vec<Target> = (0..40)
                .map(|i| key.bits(i).is_multiple_of(3).into())
                .collect();
            let score = |i: u64| (key.bits(100 + i) % 15) as f32 - 7.0; // many ties
            let values: Vec<f32> = (0..40).map(score).collect();
            let scores = Scores::single(values.clone());
            for metric in METRICS {
                // As the metrics themselves count, from logit 0 on.
                let at = |threshold: f32| {
                    let moved = values.iter().map(|value| value - threshold).collect();
                    metric.of(&labels, &Scores::single(moved)).expect("classes")
                };
                let tried = (-16..=16).map(|half| at(half as f32 / 2.0));
                let best = best_threshold(&labels, &scores, metric).expect("classes");
                assert_eq!(best.score, tried.fold(0.0, f64::max), "{metric}, {seed}");
                assert_eq!(best.score, at(best.threshold), "{metric}, {seed}");
            }
        }
    }

    #[test]
    fn a_threshold_is_judged_on_the_rows_it_was_not_chosen_on() {
        // Each half alone is told apart without error, at 1 and at 3: of the other half that is wrong for one row.
        let labels = targets(&[0, 1, 0, 1]);
        let scores = Scores::single(vec![0.0, 2.0, 2.0, 4.0]);
        let nested =
            |groups: &[usize]| nested_threshold(&labels, &scores, groups, MetricName::Accuracy);
        assert_eq!(nested(&[1, 1, 2, 2]), Some(0.5));
        assert_eq!(nested(&[1; 4]), None);
        let best = best_threshold(&labels, &scores, MetricName::Accuracy).expect("classes");
        assert_eq!(best.score, 0.75);
    }
}
