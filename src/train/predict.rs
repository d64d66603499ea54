//! Scores of pairs by a trained model.

use crate::data::EncodedExample;
use crate::error::Result;
use crate::model::Bert;
use crate::objective::pet;

/// Rows a packed batch. Large enough for the matrix products, small enough for the caches.
pub const PREDICT_ROWS: usize = 128;

/// Scores in row order: `logit(YES) - logit(NO)`, the mean over both orders with `swap`. Goes `at_once` rows at a time
/// (packed, so rows need no sorting by length); `tick` gets the number of rows just done, and may stop the work.
///
/// # Errors
/// What `tick` returns.
pub fn predict(
    model: &Bert,
    pairs: &[EncodedExample],
    swap: bool,
    at_once: usize,
    tick: &mut dyn FnMut(usize) -> Result<()>,
) -> Result<Vec<f32>> {
    let mut scores = Vec::with_capacity(pairs.len());
    for pairs in pairs.chunks(at_once.max(1)) {
        scores.extend(pet::scores(model, pairs, swap));
        tick(pairs.len())?;
    }
    Ok(scores)
}
