//! Stands in for the kernels of x86-64 elsewhere: never available, so never called.

use super::Rows;
use super::bf16::{Columns, Panels, Start, bf16};

macro_rules! absent {
    ($($kernel:ident),*) => { $(
        pub mod $kernel {
            use super::*;

            pub fn is_available() -> bool {
                false
            }

            pub fn multiply(_: &Rows<bf16>, _: &Panels, _: &mut [f32], _: Start) {
                unreachable!("an instruction set that is never available")
            }

            pub fn add_outer(_: &Columns, _: &Panels, _: &mut [f32]) {
                unreachable!("an instruction set that is never available")
            }
        }
    )* };
}
absent!(amx, avx512);
