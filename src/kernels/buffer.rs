//! Memory that comes back: buffers for activations and scratch, reused from one step to the next.
//!
//! In: a length. Out: a slice of that length at the start of a cache line, its contents left over from an earlier use.
//! A dropped buffer joins a pool for its element type; the next request of about its size takes it from there. After a
//! few steps training allocates nothing large any more. Does not shrink: the most that was in use at once stays.

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, PoisonError};

use half::bf16;

/// Idle buffers by their capacity.
pub type Pool<T> = Mutex<BTreeMap<usize, Vec<Vec<T>>>>;

/// Element types that have a pool.
pub trait Pooled: Copy + Default + Send + Sync + 'static {
    /// The pool of this type.
    fn pool() -> &'static Pool<Self>;
}

macro_rules! pooled {
    ($($element:ty),*) => { $(
        impl Pooled for $element {
            fn pool() -> &'static Pool<Self> {
                static POOL: Pool<$element> = Mutex::new(BTreeMap::new());
                &POOL
            }
        }
    )* };
}
pooled!(f32, bf16, u32);

/// Bytes of a cache line. Rows of tiles and wide registers that straddle two cost two accesses.
const LINE: usize = 64;

/// A slice of fixed length that goes back to its pool when dropped.
#[derive(Debug)]
pub struct Buffer<T: Pooled> {
    values: Vec<T>,
    /// The first element at the start of a cache line.
    first: usize,
    length: usize,
}

impl<T: Pooled> Buffer<T> {
    /// `length` values of whatever an earlier use left: for callers that write them all.
    pub fn new(length: usize) -> Self {
        if length == 0 {
            return Self::default();
        }
        let capacity = capacity(length + LINE / size_of::<T>());
        let values = take(capacity).unwrap_or_else(|| vec![T::default(); capacity]);
        let first = values.as_ptr().align_offset(LINE);
        Self {
            values,
            first,
            length,
        }
    }

    /// `length` zeros.
    pub fn zeros(length: usize) -> Self {
        let mut buffer = Self::new(length);
        buffer.fill(T::default());
        buffer
    }

    /// A copy.
    pub fn from_slice(values: &[T]) -> Self {
        let mut buffer = Self::new(values.len());
        buffer.copy_from_slice(values);
        buffer
    }
}

impl<T: Pooled> Default for Buffer<T> {
    fn default() -> Self {
        Self {
            values: Vec::new(),
            first: 0,
            length: 0,
        }
    }
}

impl<T: Pooled> Deref for Buffer<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.values[self.first..self.first + self.length]
    }
}

impl<T: Pooled> DerefMut for Buffer<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.values[self.first..self.first + self.length]
    }
}

impl<T: Pooled> Drop for Buffer<T> {
    fn drop(&mut self) {
        if self.values.is_empty() {
            return;
        }
        let values = std::mem::take(&mut self.values);
        let mut pool = T::pool().lock().unwrap_or_else(PoisonError::into_inner);
        pool.entry(values.len()).or_default().push(values);
    }
}

/// Rounded up to one of four sizes an octave, so that batches of about one shape share buffers.
fn capacity(length: usize) -> usize {
    let quarter = (length.next_power_of_two() / 8).max(64);
    length.next_multiple_of(quarter)
}

/// An idle buffer of this capacity, or of up to twice as much.
fn take<T: Pooled>(capacity: usize) -> Option<Vec<T>> {
    let mut pool = T::pool().lock().unwrap_or_else(PoisonError::into_inner);
    let fitting = pool.range_mut(capacity..=2 * capacity);
    fitting.filter_map(|(_, idle)| idle.pop()).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_buffer_is_used_again_for_about_its_length() {
        // No other test asks for buffers of this size.
        let first = Buffer::<u32>::zeros(9_000_001);
        let place = first.as_ptr();
        drop(first);
        let second = Buffer::<u32>::new(9_000_000);
        assert_eq!(second.as_ptr(), place);
        assert_eq!(second.len(), 9_000_000);
    }

    #[test]
    fn a_buffer_starts_at_a_cache_line() {
        for length in [1, 16, 1000, 100_000] {
            assert_eq!(Buffer::<f32>::new(length).as_ptr().addr() % LINE, 0);
            assert_eq!(Buffer::<bf16>::zeros(length).as_ptr().addr() % LINE, 0);
        }
        assert!(Buffer::<u32>::new(0).is_empty());
    }

    #[test]
    fn capacities_waste_at_most_a_quarter() {
        for length in [1, 63, 64, 65, 1000, 1025, 65_536, 65_537, 1_000_003] {
            let capacity = capacity(length);
            assert!(capacity >= length);
            assert!(capacity <= length + length / 4 + 64, "{length}: {capacity}");
        }
    }
}
