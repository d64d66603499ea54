//! What the stages cost that look at no label: they are trained once, beside the runs that share them.
//!
//! In: the figures of their fit, as `stage.json` has them. Out: a [`StageCost`], which runs and folds record under
//! `shared_stage`. Their own seconds and steps are without it, whoever has trained the stages.

use serde::{Deserialize, Serialize};

/// What they cost together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StageCost {
    /// Wall time, by whoever trained them.
    pub seconds: f64,
    /// Optimiser steps.
    pub steps: usize,
    /// Epochs of them all.
    pub epochs: usize,
    /// Training only, the first 10 steps not timed.
    pub tokens_per_second: f64,
}

impl StageCost {
    /// Of the folds of a run. Folds that share their stages have recorded the same and count once; a stage of labelled rows is
    /// another one in each fold. None where no fold has such stages.
    pub fn of_folds<'a>(folds: impl IntoIterator<Item = Option<&'a Self>>) -> Option<Self> {
        let mut different: Vec<&Self> = Vec::new();
        for cost in folds.into_iter().flatten() {
            if !different.contains(&cost) {
                different.push(cost);
            }
        }
        let speeds = different.iter().map(|cost| cost.tokens_per_second);
        let epochs = different.iter().map(|cost| cost.epochs).max()?;
        Some(Self {
            seconds: different.iter().map(|cost| cost.seconds).sum(),
            steps: different.iter().map(|cost| cost.steps).sum(),
            epochs,
            tokens_per_second: speeds.sum::<f64>() / different.len() as f64,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_that_folds_share_counts_once_and_others_add_up() {
        let cost = |seconds: f64, epochs: usize| StageCost {
            seconds,
            steps: 10,
            epochs,
            tokens_per_second: 100.0 * seconds,
        };
        assert_eq!(StageCost::of_folds([None, None]), None);
        let shared = cost(2.0, 3);
        let folds = [Some(&shared), Some(&shared), None];
        assert_eq!(StageCost::of_folds(folds), Some(shared.clone()));
        let other = cost(4.0, 2);
        let both = StageCost::of_folds([Some(&shared), Some(&other)]).expect("there are two");
        assert_eq!((both.seconds, both.steps, both.epochs), (6.0, 20, 3));
        assert_eq!(both.tokens_per_second, 300.0);
    }
}
