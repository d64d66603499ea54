//! How a network knows where its tokens stand.
//!
//! In: positions of keys and queries. Out: what attention needs of them, by the kind of network. Does not compute.

use crate::kernels::relative::{Relative, RelativeTable};
use crate::kernels::rotary::{Rotary, RotaryTable};

/// How a network knows where its tokens stand.
#[derive(Debug, Clone, Copy)]
pub enum Positions<'a> {
    /// By a table of weights that is added to the embeddings, (positions × E).
    Absolute(&'a [f32]),
    /// By vectors of distances, in all layers.
    Relative(&'a RelativeTable),
    /// By turned queries and keys, in all layers.
    Rotary(&'a RotaryTable),
}

impl<'a> Positions<'a> {
    /// What distances add to keys and values.
    pub(super) fn relative<'b>(&self, keys: &'b [u32], queries: &'b [u32]) -> Option<Relative<'b>>
    where
        'a: 'b,
    {
        match *self {
            Self::Relative(table) => Some(Relative {
                table,
                keys,
                queries,
            }),
            _ => None,
        }
    }

    /// How queries and keys are turned.
    pub(super) fn rotary<'b>(&self, keys: &'b [u32], queries: &'b [u32]) -> Option<Rotary<'b>>
    where
        'a: 'b,
    {
        match *self {
            Self::Rotary(table) => Some(Rotary {
                table,
                keys,
                queries,
            }),
            _ => None,
        }
    }
}
