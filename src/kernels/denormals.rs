//! Denormal numbers count as zeros while the kernels work.
//!
//! A CPU can take a hundred times as long for a product with a denormal number, and the gradients of a fresh
//! network are full of them. Each task sets the mode of its thread for as long as it runs, so results do not depend on
//! who made the threads. On CPUs other than x86-64 the mode is left alone.

/// The mode of this thread, until dropped.
#[derive(Debug)]
pub struct Flushed {
    #[cfg(target_arch = "x86_64")]
    before: u32,
    /// The mode belongs to the thread.
    _not_send: std::marker::PhantomData<*const ()>,
}

/// Treats denormal numbers as zeros on this thread until the result is dropped.
#[must_use = "dropped at once, it changes nothing"]
pub fn flushed() -> Flushed {
    #[cfg(target_arch = "x86_64")]
    let before = control();
    #[cfg(target_arch = "x86_64")]
    set_control(before | FLUSH_TO_ZERO | DENORMALS_ARE_ZEROS);
    Flushed {
        #[cfg(target_arch = "x86_64")]
        before,
        _not_send: std::marker::PhantomData,
    }
}

impl Drop for Flushed {
    fn drop(&mut self) {
        #[cfg(target_arch = "x86_64")]
        set_control(self.before);
    }
}

/// Results.
#[cfg(target_arch = "x86_64")]
const FLUSH_TO_ZERO: u32 = 1 << 15;
/// Operands.
#[cfg(target_arch = "x86_64")]
const DENORMALS_ARE_ZEROS: u32 = 1 << 6;

/// MXCSR, the control register of vector arithmetic.
#[cfg(target_arch = "x86_64")]
fn control() -> u32 {
    let mut value = 0u32;
    // SAFETY: every x86-64 CPU has the instruction; it writes four bytes to a variable of that size.
    unsafe { std::arch::asm!("stmxcsr [{}]", in(reg) &raw mut value, options(nostack)) };
    value
}

/// Exceptions stay masked: callers change the two bits of denormal numbers only.
#[cfg(target_arch = "x86_64")]
fn set_control(value: u32) {
    // SAFETY: the instruction reads four bytes. The value is one that was read before, with none or both of two defined
    // bits set, so it does not fault. Rounding stays as the compiler assumes it; denormal results that become zeros are
    // the purpose.
    unsafe { std::arch::asm!("ldmxcsr [{}]", in(reg) &raw const value, options(nostack)) };
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;
    use std::hint::black_box;

    #[test]
    fn denormal_numbers_are_zeros_while_it_lives_and_only_then() {
        let half_of_smallest = || black_box(f32::MIN_POSITIVE) * black_box(0.5);
        assert!(half_of_smallest() > 0.0);
        {
            let _flushed = flushed();
            assert_eq!(half_of_smallest(), 0.0);
            {
                let _again = flushed();
            }
            assert_eq!(half_of_smallest(), 0.0);
        }
        assert!(half_of_smallest() > 0.0);
    }
}
