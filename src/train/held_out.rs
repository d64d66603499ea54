//! What a pretraining is judged by: how well the network guesses hidden tokens and next sentences of lines that it never learns
//! from.
//!
//! In: rows that are held out and a model. Out: figures by name. The same tokens are hidden every time, whatever the seed, the epoch
//! and what is hidden in training, so that figures of epochs and of runs compare. Chooses no epoch: the last one of a pretraining is
//! kept, as its learning rate ends at 0 there.

use std::collections::BTreeMap;

use dfdx::prelude::NoneTape;

use super::PREDICT_ROWS;
use crate::data::{EncodedExample, Scores, Target};
use crate::error::Result;
use crate::metrics::MetricName;
use crate::model::{Bert, Pass, ops};
use crate::objective::{self, Draw, Objective};

/// Rows that are held out of a stage.
#[derive(Debug)]
pub struct HeldOut {
    /// What is asked of them. It must draw no pairs: theirs are made.
    pub objective: Box<dyn Objective>,
    /// One row or more; those with two texts are labelled.
    pub rows: Vec<EncodedExample>,
    /// How tokens are hidden: the same in every epoch and in every run on these rows.
    pub draw: Draw,
}

/// Sums over hidden tokens.
#[derive(Default)]
struct Hidden {
    n: usize,
    right: usize,
    loss: f64,
}

impl HeldOut {
    /// `masked_loss` (nats, mean over the hidden tokens), `masked_accuracy` (0 to 1) and `perplexity` (`e^masked_loss`); and where
    /// rows have two texts `nsp_accuracy` (0 to 1), read without masks. A figure that nothing was counted for is left out.
    ///
    /// # Errors
    /// What `tick` returns, which is told how many more rows are done.
    pub fn figures(
        &self,
        model: &Bert,
        tick: &mut dyn FnMut(usize) -> Result<()>,
    ) -> Result<BTreeMap<String, f64>> {
        let numbers: Vec<usize> = (0..self.rows.len()).collect();
        let (mut hidden, mut scores, mut targets) = (Hidden::default(), Scores::new(1), Vec::new());
        for numbers in numbers.chunks(PREDICT_ROWS) {
            self.add_hidden(model, numbers, &mut hidden);
            let pairs: Vec<EncodedExample> = (numbers.iter())
                .map(|&number| &self.rows[number])
                .filter(|row| self.objective.uses(&row.target))
                .cloned()
                .collect();
            if !pairs.is_empty()
                && let Some(more) = objective::scores(&*self.objective, model, &pairs, false)
            {
                scores.values.extend(more.values);
                targets.extend(pairs.into_iter().map(|row| row.target));
            }
            tick(numbers.len())?;
        }
        Ok(figures(&hidden, &targets, &scores))
    }

    fn add_hidden(&self, model: &Bert, numbers: &[usize], sums: &mut Hidden) {
        let batch = self.objective.batch(&self.rows, numbers, &self.draw);
        if batch.masked.is_empty() {
            return;
        }
        let states = model.encode(&Pass::prediction(&batch.rows, &batch.positions), NoneTape);
        let states = ops::rows(states, &batch.masked);
        let predictions = model.mlm_predictions(&states, &batch.tokens);
        for (prediction, &token) in predictions.iter().zip(&batch.tokens) {
            sums.n += 1;
            sums.right += usize::from(prediction.token == token);
            sums.loss += f64::from(prediction.loss);
        }
    }
}

fn figures(hidden: &Hidden, targets: &[Target], scores: &Scores) -> BTreeMap<String, f64> {
    let mut figures = BTreeMap::new();
    let mut add = |name: &str, figure: f64| figures.insert(name.to_owned(), figure);
    if hidden.n > 0 {
        let loss = hidden.loss / hidden.n as f64;
        add("masked_loss", loss);
        add("masked_accuracy", hidden.right as f64 / hidden.n as f64);
        add("perplexity", loss.exp());
    }
    if let Some(accuracy) = MetricName::Accuracy.of(targets, scores) {
        add("nsp_accuracy", accuracy);
    }
    figures
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_by_hand_and_none_where_nothing_was_counted() {
        let hidden = Hidden {
            n: 4,
            right: 1,
            loss: 4.0 * 2.0_f64.ln(),
        };
        let targets = [true, true, false].map(Target::from);
        let scores = Scores::single(vec![1.5, -0.1, -2.0]);
        let found = figures(&hidden, &targets, &scores);
        let names: Vec<&str> = found.keys().map(String::as_str).collect();
        let expected = [
            "masked_accuracy",
            "masked_loss",
            "nsp_accuracy",
            "perplexity",
        ];
        assert_eq!(names, expected);
        assert_eq!(found["masked_accuracy"], 0.25);
        assert!((found["perplexity"] - 2.0).abs() < 1e-12);
        assert!((found["nsp_accuracy"] - 2.0 / 3.0).abs() < 1e-12);
        assert!(figures(&Hidden::default(), &[], &Scores::new(1)).is_empty());
    }
}
