//! What the network learns from a batch: one file per objective. Batch in, loss and scores out.
//!
//! # How to add an objective
//! 1. A file with `//!` stating the formula, logits or probabilities, label range and paper.
//! 2. A batch builder from [`crate::data::EncodedExample`] rows, random draws through [`crate::random::Key`].
//! 3. A loss written in dfdx operations over the losses that [`crate::model::Bert`] returns.
//! 4. Scores: one `f32` a pair, larger for "the same meaning".
//!
//! Does not know about folds, files or optimisers.

pub mod pet;

use serde::{Deserialize, Serialize};

/// An objective by its name, as `objective.name` and a stage write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ObjectiveName {
    /// Joint MLM and label prediction by one head.
    #[default]
    Pet,
}
