//! What the network learns from a batch: one file per objective. Batch in, loss and scores out.
//!
//! # How to add an objective
//! 1. A file with `//!` stating the formula, logits or probabilities, label range and paper.
//! 2. A batch builder from [`crate::data::EncodedPair`] rows, random draws through [`crate::random::Key`].
//! 3. A loss written in dfdx operations over the losses that [`crate::model::Bert`] returns.
//! 4. Scores: one `f32` a pair, larger for "the same meaning".
//!
//! Does not know about folds, files or optimisers.

pub mod pet;
