//! Stands in for the kernels of x86-64 elsewhere: never available, so never called.

const WHY: &str = "an instruction set that is never available";

pub mod amx {
    use super::WHY;
    use crate::kernels::gemm::Rows;
    use crate::kernels::gemm::layout::{Pairs, Panels, Start, bf16};

    pub fn is_available() -> bool {
        false
    }

    pub fn multiply(_: &Rows<bf16>, _: &Panels, _: &mut [f32], _: Start) {
        unreachable!("{WHY}")
    }

    pub fn add_outer(_: &[(&Pairs, &Pairs)], _: usize, _: &mut [f32]) {
        unreachable!("{WHY}")
    }

    pub fn transpose(_: &Rows<bf16>, _: &mut [u32]) {
        unreachable!("{WHY}")
    }
}

pub mod avx512 {
    use std::ops::Range;

    use super::WHY;
    pub use super::amx::{add_outer, is_available, multiply};
    use crate::kernels::gemm::layout::bf16;

    pub fn round(_: &[f32], _: &mut [bf16]) {
        unreachable!("{WHY}")
    }

    pub fn pack(_: &[f32], _: usize, _: Range<usize>, _: &mut [u32], _: bool) {
        unreachable!("{WHY}")
    }

    pub fn pack_transposed(_: &[f32], _: usize, _: &mut [u32], _: bool) {
        unreachable!("{WHY}")
    }

    pub fn interleave(_: (&[bf16], usize), _: usize, _: (usize, usize), _: &mut [u32]) {
        unreachable!("{WHY}")
    }
}
