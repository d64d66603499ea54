//! Scores of several runs made one.
//!
//! In: the scores of each run, rows in the same order. Out: scores of the same shape, so that what was blended can be
//! blended again: means of probabilities and of ranks are written as logits of the mean, which have the same order.
//! Does not know files.

use std::collections::BTreeSet;

use rayon::prelude::*;

use crate::data::{LabelKind, Scores, Target};
use crate::error::Result;
use crate::metrics::{MetricName, mid_ranks};

/// Rounds of the greedy selection; the best of them counts.
pub const ROUNDS: usize = 40;

/// The mean probability as a logit: for named classes its logarithm, else of each score for itself. Ordinals have no
/// probabilities; theirs is the mean score.
pub fn mean_of_probabilities(runs: &[&Scores], labels: LabelKind) -> Scores {
    match labels {
        LabelKind::Binary | LabelKind::Multilabel => by_value(runs, |logits| {
            let log_mean = |sign: f64| {
                let logs = logits.iter().map(|&x| log_probability(sign * f64::from(x)));
                log_sum(logs) // of n terms each side: the n cancels
            };
            log_mean(1.0) - log_mean(-1.0)
        }),
        LabelKind::Classes => mean_of_class_probabilities(runs),
        LabelKind::Ordinal => mean_of_logits(runs, &vec![1.0 / runs.len() as f64; runs.len()]),
    }
}

/// ln(mean over the runs of softmax(logits)), row by row.
fn mean_of_class_probabilities(runs: &[&Scores]) -> Scores {
    let shape = shape(runs);
    let ln_n = (runs.len() as f64).ln();
    let mut values = Vec::with_capacity(shape.values.len());
    for row in 0..shape.len() {
        let rows: Vec<&[f32]> = runs.iter().map(|run| run.row(row)).collect();
        let log_sums = rows
            .iter()
            .map(|row| log_sum(row.iter().map(|&x| x.into())));
        let log_sums: Vec<f64> = log_sums.collect();
        values.extend((0..shape.width).map(|class| {
            let pairs = rows.iter().zip(&log_sums);
            let logs = pairs.map(|(row, log_sum)| f64::from(row[class]) - log_sum);
            (log_sum(logs) - ln_n) as f32
        }));
    }
    Scores {
        width: shape.width,
        values,
    }
}

/// The mean logit, each run with its weight; the weights add up to 1.
pub fn mean_of_logits(runs: &[&Scores], weights: &[f64]) -> Scores {
    by_value(runs, |logits| {
        let weighted = logits.iter().zip(weights);
        weighted.map(|(&x, weight)| f64::from(x) * weight).sum()
    })
}

/// The logit of the mean rank: mid-ranks less one half, over their number, so between 0 and 1. Each column has ranks of its
/// own. Only the scores of named classes are compared within a row: their log-probabilities are ranked all together, so
/// that the classes of a row keep their order.
pub fn mean_of_ranks(runs: &[&Scores], labels: LabelKind) -> Scores {
    let shape = shape(runs);
    if labels == LabelKind::Classes {
        let logs: Vec<Scores> = runs
            .iter()
            .map(|&run| Scores::single(mean_of_class_probabilities(&[run]).values))
            .collect();
        return Scores {
            width: shape.width,
            values: mean_of_column_ranks(&borrowed(&logs)).values,
        };
    }
    mean_of_column_ranks(runs)
}

/// The logit of the mean rank within a column.
fn mean_of_column_ranks(runs: &[&Scores]) -> Scores {
    let shape = shape(runs);
    let logit = |p: f64| p.ln() - (-p).ln_1p();
    let mut values = vec![0.0; shape.values.len()];
    for column in 0..shape.width {
        let ranks: Vec<Vec<f64>> = runs.iter().map(|run| ranks(&run.column(column))).collect();
        let mean =
            |row: usize| ranks.iter().map(|ranks| ranks[row]).sum::<f64>() / ranks.len() as f64;
        for row in 0..shape.len() {
            values[row * shape.width + column] = logit(mean(row)) as f32;
        }
    }
    Scores {
        width: shape.width,
        values,
    }
}

/// Weights by greedy selection with replacement (Caruana et al., ICML 2004): round by round the run that makes the
/// metric of the mean logit best, the first of equals; then the best round. `None` where there is no such figure.
///
/// # Errors
/// Those of `watch`, which is called before each of [`ROUNDS`].
pub fn greedy_weights(
    (metric, targets): (MetricName, &[Target]),
    runs: &[&Scores],
    watch: &dyn Fn() -> Result<()>,
) -> Result<Option<Vec<f64>>> {
    let mut sums = vec![0.0_f64; shape(runs).values.len()];
    let mut chosen = vec![0_usize; runs.len()];
    let mut best: Option<(f64, Vec<f64>)> = None;
    for round in 1..=ROUNDS {
        watch()?;
        let candidates: Option<Vec<f64>> = runs
            .par_iter()
            .map(|run| metric.of(targets, &mean_with(&sums, run, round)))
            .collect();
        let pick = candidates.and_then(|figures| first_of_the_best(metric, &figures));
        let Some((pick, figure)) = pick else {
            return Ok(None);
        };
        chosen[pick] += 1;
        for (sum, &score) in sums.iter_mut().zip(&runs[pick].values) {
            *sum += f64::from(score);
        }
        if metric.is_better(Some(figure), best.as_ref().map(|(best, _)| *best)) {
            let weights = chosen.iter().map(|&n| n as f64 / round as f64);
            best = Some((figure, weights.collect()));
        }
    }
    Ok(best.map(|(_, weights)| weights))
}

fn first_of_the_best(metric: MetricName, figures: &[f64]) -> Option<(usize, f64)> {
    let numbered = figures.iter().copied().enumerate();
    numbered.reduce(
        |best, next| match metric.is_better(Some(next.1), Some(best.1)) {
            true => next,
            false => best,
        },
    )
}

/// Scores of rows by weights that were chosen without them: part by part, greedy weights of all other parts.
/// Their figure is what the choice of weights is worth on rows that it has not seen. `None` where a choice has
/// no figure to go by.
///
/// # Errors
/// As [`greedy_weights`].
pub fn nested_scores(
    (metric, targets): (MetricName, &[Target]),
    runs: &[&Scores],
    parts: &[usize],
    watch: &dyn Fn() -> Result<()>,
) -> Result<Option<Scores>> {
    let mut scores = shape(runs).clone();
    let width = scores.width;
    for part in distinct(parts) {
        let (held, others): (Vec<usize>, Vec<usize>) =
            (0..targets.len()).partition(|&row| parts[row] == part);
        let targets: Vec<Target> = others.iter().map(|&row| targets[row].clone()).collect();
        let seen = take(runs, &others);
        let weights = greedy_weights((metric, &targets), &borrowed(&seen), watch)?;
        let Some(weights) = weights else {
            return Ok(None);
        };
        let blended = mean_of_logits(&borrowed(&take(runs, &held)), &weights);
        for (row, blended) in held.into_iter().zip(blended.rows()) {
            scores.values[row * width..][..width].copy_from_slice(blended);
        }
    }
    Ok(Some(scores))
}

/// The numbers of the parts, each once, ascending.
pub fn distinct(parts: &[usize]) -> BTreeSet<usize> {
    parts.iter().copied().collect()
}

fn take(runs: &[&Scores], rows: &[usize]) -> Vec<Scores> {
    runs.iter().map(|run| run.select(rows)).collect()
}

fn borrowed(runs: &[Scores]) -> Vec<&Scores> {
    runs.iter().collect()
}

/// The shape that the scores of all runs have: those of the first.
fn shape<'a>(runs: &[&'a Scores]) -> &'a Scores {
    runs.first().expect("an ensemble has one run or more")
}

/// The mean of `n` runs, `n - 1` of which are in `sums` and one is `run`.
fn mean_with(sums: &[f64], run: &Scores, n: usize) -> Scores {
    let pairs = sums.iter().zip(&run.values);
    let means = pairs.map(|(sum, &score)| ((sum + f64::from(score)) / n as f64) as f32);
    Scores {
        width: run.width,
        values: means.collect(),
    }
}

/// Shows what the runs say of one row and column after the other.
fn by_value(runs: &[&Scores], blend: impl Fn(&[f32]) -> f64) -> Scores {
    let shape = shape(runs);
    let mut of_runs = vec![0.0; runs.len()];
    let value = |at: usize| {
        let values = runs.iter().map(|run| run.values[at]);
        of_runs
            .iter_mut()
            .zip(values)
            .for_each(|(to, value)| *to = value);
        blend(&of_runs) as f32
    };
    Scores {
        width: shape.width,
        values: (0..shape.values.len()).map(value).collect(),
    }
}

/// ln(1 / (1 + e^-x)) without overflow.
fn log_probability(x: f64) -> f64 {
    if x >= 0.0 {
        -(-x).exp().ln_1p()
    } else {
        x - x.exp().ln_1p()
    }
}

/// ln(sum of e^x) without underflow.
fn log_sum(logs: impl Iterator<Item = f64> + Clone) -> f64 {
    let largest = logs.clone().fold(f64::NEG_INFINITY, f64::max);
    largest + logs.map(|x| (x - largest).exp()).sum::<f64>().ln()
}

/// (mid-rank - 1/2) / n of each score.
fn ranks(scores: &[f32]) -> Vec<f64> {
    let n = scores.len() as f64;
    let ranks = mid_ranks(scores).into_iter();
    ranks.map(|rank| (rank - 0.5) / n).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::likeliest;
    use crate::random::Key;
    use crate::workbench::number::probability;

    fn probabilities(logits: &Scores) -> Vec<f64> {
        let logits = logits.values.iter();
        logits.map(|&x| probability(x.into())).collect()
    }

    fn single(scores: &[f32]) -> Scores {
        Scores::single(scores.to_vec())
    }

    fn of_probabilities(runs: &[&Scores]) -> Scores {
        mean_of_probabilities(runs, LabelKind::Binary)
    }

    fn auc(targets: &[Target], scores: &Scores) -> Option<f64> {
        MetricName::Auc.of(targets, scores)
    }

    /// A logit from -4 to 4 that says something of the label, with noise of its own.
    fn noisy(labels: &[Target], signal: f32, seed: u64) -> Scores {
        let key = Key::from_seed(seed);
        let draw = |i: usize| (key.bits(i as u64) >> 40) as f32 / (1 << 23) as f32 - 1.0;
        let score = |(i, label): (usize, &Target)| {
            let signal = if label.is_positive() == Some(true) {
                signal
            } else {
                -signal
            };
            3.0 * draw(i) + signal
        };
        Scores::single(labels.iter().enumerate().map(score).collect())
    }

    fn labels(n: u64) -> Vec<Target> {
        let key = Key::from_seed(77);
        let is_positive = |i| key.bits(i).is_multiple_of(3);
        (0..n).map(|i| is_positive(i).into()).collect()
    }

    fn weigh(labels: &[Target], runs: &[&Scores]) -> Option<Vec<f64>> {
        greedy_weights((MetricName::Auc, labels), runs, &|| Ok(())).expect("nothing stops it")
    }

    fn nest(labels: &[Target], runs: &[&Scores], parts: &[usize]) -> Option<Scores> {
        let fit = (MetricName::Auc, labels);
        nested_scores(fit, runs, parts, &|| Ok(())).expect("nothing stops it")
    }

    #[test]
    fn means_by_hand() {
        let ln3 = 3.0_f32.ln(); // the logit of 3/4
        let runs = [single(&[ln3, 0.0, -ln3]), single(&[0.0, 0.0, ln3])];
        let runs = borrowed(&runs);
        // (3/4 + 1/2) / 2 = 5/8, 1/2, (1/4 + 3/4) / 2 = 1/2
        let means = probabilities(&of_probabilities(&runs));
        for (mean, expected) in means.into_iter().zip([0.625, 0.5, 0.5]) {
            assert!((mean - expected).abs() < 1e-7, "{mean} {expected}");
        }
        let mean = mean_of_logits(&runs, &[0.5, 0.5]);
        assert_eq!(mean.values, [ln3 / 2.0, 0.0, 0.0]);
        assert_eq!(&mean_of_logits(&runs, &[1.0, 0.0]), runs[0]);
        // mid-ranks 3 2 1 and 1.5 1.5 3; less 1/2, over 3, the means are 7/12, 5/12 and 1/2
        let means = probabilities(&mean_of_ranks(&runs, LabelKind::Binary));
        for (mean, expected) in means.into_iter().zip([7.0 / 12.0, 5.0 / 12.0, 0.5]) {
            assert!((mean - expected).abs() < 1e-7, "{mean} {expected}");
        }
    }

    #[test]
    fn a_mean_of_extremes_is_finite_and_keeps_their_order() {
        let run = single(&[1e6, -1e6, 60.0, 61.0]);
        let runs = [&run, &run];
        let means = of_probabilities(&runs);
        assert!(means.values.iter().all(|mean| mean.is_finite()));
        assert_eq!(means, run); // of one and the same probability it is itself
        let ranks = mean_of_ranks(&runs, LabelKind::Binary);
        assert!(ranks.values.iter().all(|mean| mean.is_finite()));
    }

    #[test]
    fn the_order_of_one_run_is_kept_by_every_mean() {
        let labels = labels(500);
        let run = noisy(&labels, 0.4, 1);
        let alone = auc(&labels, &run);
        let ranks = mean_of_ranks(&[&run], LabelKind::Binary);
        assert_eq!(auc(&labels, &ranks), alone);
        assert_eq!(auc(&labels, &of_probabilities(&[&run])), alone);
        assert_eq!(auc(&labels, &mean_of_logits(&[&run], &[1.0])), alone);
    }

    #[test]
    fn greedy_leaves_out_noise_and_takes_two_that_complete_each_other() {
        let labels = labels(3000);
        let (a, b) = (noisy(&labels, 0.8, 1), noisy(&labels, 0.8, 2));
        let noise = noisy(&labels, 0.0, 3);
        let runs = [&a, &noise, &b];
        let weights = weigh(&labels, &runs).expect("both classes");
        assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        assert!(
            weights[1] < 0.1 && weights[0] > 0.3 && weights[2] > 0.3,
            "{weights:?}"
        );
        let fitted = auc(&labels, &mean_of_logits(&runs, &weights)).expect("both classes");
        for run in runs {
            assert!(fitted > auc(&labels, run).expect("both classes"));
        }
        assert_eq!(
            weigh(&[true, true].map(Target::from), &[&single(&[0.1, 0.2])]),
            None
        );
        assert_eq!(weigh(&labels, &[&a]), Some(vec![1.0]));
    }

    /// Of many runs that are noise, the choice looks better than it is; the nested figure does not.
    #[test]
    fn nested_scores_do_not_flatter() {
        let labels = labels(300);
        let noise: Vec<Scores> = (0..20)
            .map(|seed| noisy(&labels, 0.0, 100 + seed))
            .collect();
        let runs = borrowed(&noise);
        let weights = weigh(&labels, &runs).expect("both classes");
        let fitted = auc(&labels, &mean_of_logits(&runs, &weights)).expect("both classes");
        let parts: Vec<usize> = (0..labels.len()).map(|row| row % 5).collect();
        let nested = nest(&labels, &runs, &parts).expect("both classes");
        let nested = auc(&labels, &nested).expect("both classes");
        assert!(fitted > 0.58, "{fitted}");
        // It may fall below chance: what happens to suit the other rows suits these less.
        assert!(nested < 0.53, "{nested}");
    }

    #[test]
    fn a_row_is_scored_by_weights_that_have_not_seen_it() {
        let labels = labels(200);
        let (a, b) = (noisy(&labels, 1.0, 1), noisy(&labels, 0.9, 2));
        let parts: Vec<usize> = (0..200).map(|row| row % 2).collect();
        let before = nest(&labels, &[&a, &b], &parts).expect("both classes");
        // Another label of row 0 may change the scores of the other part only.
        let mut other = labels.clone();
        let flipped = |label: &Target| Target::from(label.is_positive() == Some(false));
        (0..40)
            .step_by(2)
            .for_each(|row| other[row] = flipped(&other[row]));
        let after = nest(&other, &[&a, &b], &parts).expect("both classes");
        let differs = |part: usize| {
            let mut rows = (part..200).step_by(2);
            rows.any(|row| before.values[row] != after.values[row])
        };
        assert!(!differs(0) && differs(1));
    }

    #[test]
    fn a_wish_to_stop_ends_the_rounds() {
        let labels = labels(50);
        let run = noisy(&labels, 0.5, 1);
        let stopped = || Err(crate::error::Error::Interrupted);
        let fit = (MetricName::Auc, &labels[..]);
        assert!(greedy_weights(fit, &[&run], &stopped).is_err());
        assert!(nested_scores(fit, &[&run], &vec![0; 50], &stopped).is_err());
    }

    fn wide(width: usize, values: &[f32]) -> Scores {
        Scores {
            width,
            values: values.to_vec(),
        }
    }

    /// Softmax of (ln 2, 0, 0) is 1/2 1/4 1/4, of (0, 0, ln 6) 1/8 1/8 6/8; their means are 5/16 3/16 8/16.
    #[test]
    fn classes_have_the_logarithm_of_their_mean_probability() {
        let a = wide(3, &[2.0_f32.ln() + 7.0, 7.0, 7.0, 900.0, -900.0, 0.0]);
        let b = wide(3, &[0.0, 0.0, 6.0_f32.ln(), 900.0, -900.0, 0.0]);
        let mean = mean_of_probabilities(&[&a, &b], LabelKind::Classes);
        for (log, expected) in mean.row(0).iter().zip([5.0, 3.0, 8.0]) {
            assert!((log.exp() - expected / 16.0).abs() < 1e-6, "{mean:?}");
        }
        assert_eq!(mean.row(1), [0.0, -1800.0, -900.0]);
    }

    /// By column the third class would win the first row, where it is the least likely of all.
    #[test]
    fn one_run_by_rank_keeps_its_classes() {
        let run = wide(3, &[1.0, 0.0, -1.0, 1.5, 2.0, 0.0, 9.0, 8.0, -3.0]);
        let ranks = mean_of_ranks(&[&run], LabelKind::Classes);
        assert_eq!((ranks.width, ranks.len()), (3, 3));
        for (ranks, row) in ranks.rows().zip(run.rows()) {
            assert_eq!(likeliest(ranks), likeliest(row), "{ranks:?}");
            assert!(ranks.iter().all(|rank| rank.is_finite()));
        }
    }

    #[test]
    fn several_labels_are_blended_each_for_itself_and_ordinals_by_score() {
        let (a, b) = (
            wide(2, &[1.0, -2.0, 3.0, 0.0]),
            wide(2, &[0.0, 2.0, -3.0, 5.0]),
        );
        let means = mean_of_probabilities(&[&a, &b], LabelKind::Multilabel);
        let ranks = mean_of_ranks(&[&a, &b], LabelKind::Multilabel);
        for column in 0..2 {
            let (a, b) = (single(&a.column(column)), single(&b.column(column)));
            assert_eq!(means.column(column), of_probabilities(&[&a, &b]).values);
            let alone = mean_of_ranks(&[&a, &b], LabelKind::Binary);
            assert_eq!(ranks.column(column), alone.values);
        }
        let numbers =
            mean_of_probabilities(&[&single(&[4.0]), &single(&[1.0])], LabelKind::Ordinal);
        assert_eq!(numbers.values, [2.5]);
    }

    #[test]
    fn weights_go_the_way_of_the_metric() {
        let targets: Vec<Target> = (0..60).map(|row| Target::Class(row % 3)).collect();
        let sure = |row: u32, class: u32| if row % 3 == class { 1.0 } else { 0.0 };
        let values =
            |sign: f32| (0..60).flat_map(move |row| (0..3).map(move |c| sign * sure(row, c)));
        let right = wide(3, &values(2.0).collect::<Vec<_>>());
        let wrong = wide(3, &values(-2.0).collect::<Vec<_>>());
        for metric in [MetricName::LogLoss, MetricName::Accuracy] {
            let fit = (metric, &targets[..]);
            let weights = greedy_weights(fit, &[&wrong, &right], &|| Ok(()));
            assert_eq!(weights.expect("nothing stops it"), Some(vec![0.0, 1.0]));
            let parts: Vec<usize> = (0..60).map(|row| row % 2).collect();
            let nested = nested_scores(fit, &[&wrong, &right], &parts, &|| Ok(()));
            assert_eq!(nested.expect("nothing stops it"), Some(right.clone()));
        }
    }
}
