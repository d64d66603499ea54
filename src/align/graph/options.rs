//! What the search is told: what is known, and how much time there is.

use crate::random::Key;

/// How much time to take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// Seconds: to compare tokenisations by likelihood.
    Trial,
    /// All that helps.
    Full,
}

/// What [`solve`](super::solve()) is told.
#[derive(Debug, Clone)]
pub struct GraphOptions {
    /// Cipher type and plaintext type that are known to be the same.
    pub anchors: Vec<(u32, u32)>,
    /// Root of the randomness.
    pub key: Key,
    /// How much time to take.
    pub effort: Effort,
}
