//! Alignment of the cipher vocabulary with a plaintext vocabulary. One file a method, and refinement by the network.
//!
//! In: the kept cipher ids with their counts, the vocabulary of a checkpoint, and what a method needs besides. Out: a
//! [`Mapping`] with one row a kept id, and what is known of it ([`Alignment`]), which [`refine()`] may better. Does not
//! train: `checkpoint` gathers the rows that a model starts from.
//!
//! # How to add a method
//! 1. Add `NAME.rs` here with `pub(super) fn align(input: &AlignInput) -> Result<Mapping>`; open it with what it does and
//!    the paper. Draw from `input.key` only, and never in the order of a hash map.
//! 2. Add a variant to [`AlignMethod`], its name to [`AlignMethod::name`] and a line to [`align()`].
//! 3. What it needs beyond [`AlignInput`] becomes an `Option` field there; where it is missing, refuse with the key to set.
//! 4. Choose rows among `ladder::eligible` ones and turn them into a mapping by `ladder::cycle`, or row by row.
//! 5. Test it on a cipher whose key the test knows, and say in `experiments/` what it gains.

mod alignment;
pub mod anchors;
mod estimate;
mod file;
pub mod graph;
mod input;
mod ladder;
mod methods;
mod random;
mod rank;
mod refine;
mod scratch;
mod units;

pub use alignment::{Alignment, CoverageBand, GraphReport, Refinement, UnitTrial};
pub use estimate::{Estimate, estimate};
pub use file::reread;
pub use input::{AlignInput, AlignMethod, GraphInput};
pub use ladder::counted_share;
pub use methods::align;
pub use refine::{RefineInput, refine};

#[cfg(test)]
mod tests;
