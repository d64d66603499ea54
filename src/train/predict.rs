//! Scores of rows by a trained model.

use crate::data::{EncodedExample, Scores};
use crate::error::Result;
use crate::model::Bert;
use crate::objective::{self, Objective};

/// Rows a packed batch. Large enough for the matrix products, small enough for the caches.
pub const PREDICT_ROWS: usize = 128;

/// Scores in row order, the mean over both orders of the texts with `swap`; empty where the objective learns no label. Goes
/// `at_once` rows at a time (packed, so rows need no sorting by length); `tick` gets the number of rows just done, and may
/// stop the work.
///
/// # Errors
/// What `tick` returns.
pub fn predict(
    objective: &dyn Objective,
    model: &Bert,
    rows: &[EncodedExample],
    swap: bool,
    at_once: usize,
    tick: &mut dyn FnMut(usize) -> Result<()>,
) -> Result<Scores> {
    let mut scores = Scores::new(1);
    for rows in rows.chunks(at_once.max(1)) {
        let Some(more) = objective::scores(objective, model, rows, swap) else {
            return Ok(Scores::default());
        };
        scores.width = more.width;
        scores.values.extend(more.values);
        tick(rows.len())?;
    }
    Ok(scores)
}
