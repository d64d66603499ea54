//! Scores of several runs made one.
//!
//! In: one list of logits a run, rows in the same order. Out: one logit a row, so that what was blended can be
//! blended again: means of probabilities and of ranks are written as the logit of the mean, which has the same
//! order. Does not know files.

use std::collections::BTreeSet;

use rayon::prelude::*;

use crate::error::Result;
use crate::metrics::{auc, mid_ranks};

/// Rounds of the greedy selection; the best of them counts.
pub const ROUNDS: usize = 40;

/// The logit of the mean probability.
pub fn mean_of_probabilities(runs: &[&[f32]]) -> Vec<f32> {
    by_row(runs, |logits| {
        let log_mean = |sign: f64| {
            let logs = logits.iter().map(|&x| log_probability(sign * f64::from(x)));
            log_sum(logs) // of n terms each side: the n cancels
        };
        log_mean(1.0) - log_mean(-1.0)
    })
}

/// The mean logit, each run with its weight; the weights add up to 1.
pub fn mean_of_logits(runs: &[&[f32]], weights: &[f64]) -> Vec<f32> {
    by_row(runs, |logits| {
        let weighted = logits.iter().zip(weights);
        weighted.map(|(&x, weight)| f64::from(x) * weight).sum()
    })
}

/// The logit of the mean rank: mid-ranks less one half, over the number of rows, so between 0 and 1.
pub fn mean_of_ranks(runs: &[&[f32]]) -> Vec<f32> {
    let ranks: Vec<Vec<f64>> = runs.iter().map(|scores| ranks(scores)).collect();
    let n_rows = ranks.first().map_or(0, Vec::len);
    let mean = |row: usize| ranks.iter().map(|ranks| ranks[row]).sum::<f64>() / ranks.len() as f64;
    let logit = |p: f64| p.ln() - (-p).ln_1p();
    (0..n_rows).map(|row| logit(mean(row)) as f32).collect()
}

/// Weights by greedy selection with replacement (Caruana et al., ICML 2004): round by round the run that lifts
/// the AUC of the mean logit most, the first of equals; then the best round. `None` where there is no AUC.
///
/// # Errors
/// Those of `watch`, which is called before each of [`ROUNDS`].
pub fn greedy_weights(
    labels: &[bool],
    runs: &[&[f32]],
    watch: &dyn Fn() -> Result<()>,
) -> Result<Option<Vec<f64>>> {
    let mut sums = vec![0.0_f64; labels.len()];
    let mut chosen = vec![0_usize; runs.len()];
    let mut best: Option<(f64, Vec<f64>)> = None;
    for round in 1..=ROUNDS {
        watch()?;
        let candidates: Option<Vec<f64>> = runs
            .par_iter()
            .map(|run| auc(labels, &mean_with(&sums, run, round)))
            .collect();
        let Some((pick, pick_auc)) = candidates.and_then(|aucs| first_of_the_highest(&aucs)) else {
            return Ok(None);
        };
        chosen[pick] += 1;
        for (sum, &score) in sums.iter_mut().zip(runs[pick]) {
            *sum += f64::from(score);
        }
        if best.as_ref().is_none_or(|(auc, _)| pick_auc > *auc) {
            let weights = chosen.iter().map(|&n| n as f64 / round as f64);
            best = Some((pick_auc, weights.collect()));
        }
    }
    Ok(best.map(|(_, weights)| weights))
}

fn first_of_the_highest(aucs: &[f64]) -> Option<(usize, f64)> {
    let numbered = aucs.iter().copied().enumerate();
    numbered.reduce(|best, next| if next.1 > best.1 { next } else { best })
}

/// Scores of rows by weights that were chosen without them: part by part, greedy weights of all other parts.
/// Their AUC is what the choice of weights is worth on rows that it has not seen. `None` where a choice has
/// no AUC to go by.
///
/// # Errors
/// As [`greedy_weights`].
pub fn nested_scores(
    labels: &[bool],
    runs: &[&[f32]],
    parts: &[usize],
    watch: &dyn Fn() -> Result<()>,
) -> Result<Option<Vec<f32>>> {
    let mut scores = vec![0.0; labels.len()];
    for part in distinct(parts) {
        let (held, others): (Vec<usize>, Vec<usize>) =
            (0..labels.len()).partition(|&row| parts[row] == part);
        let labels: Vec<bool> = others.iter().map(|&row| labels[row]).collect();
        let Some(weights) = greedy_weights(&labels, &as_slices(&take(runs, &others)), watch)?
        else {
            return Ok(None);
        };
        let blended = mean_of_logits(&as_slices(&take(runs, &held)), &weights);
        for (row, score) in held.into_iter().zip(blended) {
            scores[row] = score;
        }
    }
    Ok(Some(scores))
}

/// The numbers of the parts, each once, ascending.
pub fn distinct(parts: &[usize]) -> BTreeSet<usize> {
    parts.iter().copied().collect()
}

fn take(runs: &[&[f32]], rows: &[usize]) -> Vec<Vec<f32>> {
    let of_run = |run: &&[f32]| rows.iter().map(|&row| run[row]).collect();
    runs.iter().map(of_run).collect()
}

fn as_slices(runs: &[Vec<f32>]) -> Vec<&[f32]> {
    runs.iter().map(Vec::as_slice).collect()
}

/// The mean of `n` runs, `n - 1` of which are in `sums` and one is `run`.
fn mean_with(sums: &[f64], run: &[f32], n: usize) -> Vec<f32> {
    let pairs = sums.iter().zip(run);
    pairs
        .map(|(sum, &score)| ((sum + f64::from(score)) / n as f64) as f32)
        .collect()
}

fn by_row(runs: &[&[f32]], blend: impl Fn(&[f32]) -> f64) -> Vec<f32> {
    let n_rows = runs.first().map_or(0, |run| run.len());
    let mut row_scores = vec![0.0; runs.len()];
    let row = |row: usize| {
        let scores = runs.iter().map(|run| run[row]);
        row_scores
            .iter_mut()
            .zip(scores)
            .for_each(|(to, score)| *to = score);
        blend(&row_scores) as f32
    };
    (0..n_rows).map(row).collect()
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
    use crate::random::Key;
    use crate::workbench::number::probability;

    fn probabilities(logits: &[f32]) -> Vec<f64> {
        logits.iter().map(|&x| probability(x.into())).collect()
    }

    /// A logit from -4 to 4 that says something of the label, with noise of its own.
    fn noisy(labels: &[bool], signal: f32, seed: u64) -> Vec<f32> {
        let key = Key::from_seed(seed);
        let draw = |i: usize| (key.bits(i as u64) >> 40) as f32 / (1 << 23) as f32 - 1.0;
        let score =
            |(i, &label): (usize, &bool)| 3.0 * draw(i) + if label { signal } else { -signal };
        labels.iter().enumerate().map(score).collect()
    }

    fn labels(n: u64) -> Vec<bool> {
        let key = Key::from_seed(77);
        (0..n).map(|i| key.bits(i).is_multiple_of(3)).collect()
    }

    fn weigh(labels: &[bool], runs: &[&[f32]]) -> Option<Vec<f64>> {
        greedy_weights(labels, runs, &|| Ok(())).expect("nothing stops it")
    }

    fn nest(labels: &[bool], runs: &[&[f32]], parts: &[usize]) -> Option<Vec<f32>> {
        nested_scores(labels, runs, parts, &|| Ok(())).expect("nothing stops it")
    }

    #[test]
    fn means_by_hand() {
        let ln3 = 3.0_f32.ln(); // the logit of 3/4
        let runs: [&[f32]; 2] = [&[ln3, 0.0, -ln3], &[0.0, 0.0, ln3]];
        // (3/4 + 1/2) / 2 = 5/8, 1/2, (1/4 + 3/4) / 2 = 1/2
        let means = probabilities(&mean_of_probabilities(&runs));
        for (mean, expected) in means.into_iter().zip([0.625, 0.5, 0.5]) {
            assert!((mean - expected).abs() < 1e-7, "{mean} {expected}");
        }
        assert_eq!(mean_of_logits(&runs, &[0.5, 0.5]), [ln3 / 2.0, 0.0, 0.0]);
        assert_eq!(mean_of_logits(&runs, &[1.0, 0.0]), runs[0]);
        // mid-ranks 3 2 1 and 1.5 1.5 3; less 1/2, over 3, the means are 7/12, 5/12 and 1/2
        let means = probabilities(&mean_of_ranks(&runs));
        for (mean, expected) in means.into_iter().zip([7.0 / 12.0, 5.0 / 12.0, 0.5]) {
            assert!((mean - expected).abs() < 1e-7, "{mean} {expected}");
        }
    }

    #[test]
    fn a_mean_of_extremes_is_finite_and_keeps_their_order() {
        let runs: [&[f32]; 2] = [&[1e6, -1e6, 60.0, 61.0], &[1e6, -1e6, 60.0, 61.0]];
        let means = mean_of_probabilities(&runs);
        assert!(means.iter().all(|mean| mean.is_finite()));
        assert_eq!(means, runs[0]); // of one and the same probability it is itself
        assert!(mean_of_ranks(&runs).iter().all(|mean| mean.is_finite()));
    }

    #[test]
    fn the_order_of_one_run_is_kept_by_every_mean() {
        let labels = labels(500);
        let run = noisy(&labels, 0.4, 1);
        let alone = auc(&labels, &run);
        assert_eq!(auc(&labels, &mean_of_ranks(&[&run])), alone);
        assert_eq!(auc(&labels, &mean_of_probabilities(&[&run])), alone);
        assert_eq!(auc(&labels, &mean_of_logits(&[&run], &[1.0])), alone);
    }

    #[test]
    fn greedy_leaves_out_noise_and_takes_two_that_complete_each_other() {
        let labels = labels(3000);
        let (a, b) = (noisy(&labels, 0.8, 1), noisy(&labels, 0.8, 2));
        let noise = noisy(&labels, 0.0, 3);
        let runs: [&[f32]; 3] = [&a, &noise, &b];
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
        assert_eq!(weigh(&[true, true], &[&[0.1, 0.2]]), None);
        assert_eq!(weigh(&labels, &[&a]), Some(vec![1.0]));
    }

    /// Of many runs that are noise, the choice looks better than it is; the nested figure does not.
    #[test]
    fn nested_scores_do_not_flatter() {
        let labels = labels(300);
        let noise: Vec<Vec<f32>> = (0..20)
            .map(|seed| noisy(&labels, 0.0, 100 + seed))
            .collect();
        let runs = as_slices(&noise);
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
        (0..40).step_by(2).for_each(|row| other[row] = !other[row]);
        let after = nest(&other, &[&a, &b], &parts).expect("both classes");
        let differs = |part: usize| (part..200).step_by(2).any(|row| before[row] != after[row]);
        assert!(!differs(0) && differs(1));
    }

    #[test]
    fn a_wish_to_stop_ends_the_rounds() {
        let labels = labels(50);
        let run = noisy(&labels, 0.5, 1);
        let stopped = || Err(crate::error::Error::Interrupted);
        assert!(greedy_weights(&labels, &[&run], &stopped).is_err());
        assert!(nested_scores(&labels, &[&run], &vec![0; 50], &stopped).is_err());
    }
}
