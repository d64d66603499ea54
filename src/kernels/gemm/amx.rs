//! bf16 products by AMX tiles.

use super::Rows;
use super::bf16::{Pairs, Panels, Start, bf16};

/// Whether this CPU has the instructions.
pub fn is_available() -> bool {
    false
}

/// `c (rows × n) = a · b` on top of `start`.
pub fn multiply(_a: &Rows<bf16>, _b: &Panels, _c: &mut [f32], _start: Start) {
    unreachable!("not available")
}

/// `c (columns × n) += aᵀ · b`.
pub fn add_outer(_parts: &[(&Pairs, &Pairs)], _first: usize, _c: &mut [f32]) {
    unreachable!("not available")
}
