//! What an index takes: rows of numbers, and sets of ids.
//!
//! In: slices of the caller. Out: views whose sizes are checked. Copies nothing.

use multiversion::multiversion;

use crate::error::{Error, Result};
use crate::kernels::vector;

/// Rows of finite numbers, all of one width.
#[derive(Debug, Clone, Copy)]
pub struct Vectors<'a> {
    values: &'a [f32],
    width: usize,
}

impl<'a> Vectors<'a> {
    /// (rows × width), row-major.
    ///
    /// # Errors
    /// [`Error::Refused`] where the values make no whole rows, or one of them is infinite or no number.
    pub fn new(values: &'a [f32], width: usize) -> Result<Self> {
        if width == 0 || !values.len().is_multiple_of(width) {
            let message = format!("{} numbers make no vectors of {width}", values.len());
            return Err(Error::refused(message));
        }
        if let Some(at) = values.iter().position(|value| !value.is_finite()) {
            let message = format!(
                "number {} of vector {} (both from 0) is {}",
                at % width,
                at / width,
                values[at]
            );
            return Err(Error::refused(message).with_hint("vectors are finite numbers"));
        }
        Ok(Self { values, width })
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.values.len() / self.width
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Numbers of a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// All of them, (rows × width).
    pub fn values(&self) -> &'a [f32] {
        self.values
    }

    /// One row, (width).
    pub fn row(&self, number: usize) -> &'a [f32] {
        &self.values[number * self.width..][..self.width]
    }

    /// All rows in their order.
    pub fn rows(&self) -> std::slice::ChunksExact<'a, f32> {
        self.values.chunks_exact(self.width)
    }
}

/// Sets of ids, one behind the other.
#[derive(Debug, Clone, Copy)]
pub struct Sets<'a> {
    ids: &'a [u32],
    ends: &'a [usize],
}

impl<'a> Sets<'a> {
    /// `ends`: where each set ends in `ids`, which ascend within a set.
    ///
    /// # Errors
    /// [`Error::Refused`] where the ends do not ascend to the number of ids, or a set is not in ascending order or names an id
    /// twice.
    pub fn new(ids: &'a [u32], ends: &'a [usize]) -> Result<Self> {
        let last = ends.last().copied().unwrap_or_default();
        if !ends.is_sorted() || last != ids.len() {
            let message = format!("sets that end at {last} of {} ids", ids.len());
            return Err(Error::refused(message));
        }
        let sets = Self { ids, ends };
        let ascends = |set: &[u32]| set.array_windows().all(|[a, b]| a < b);
        if let Some(number) = sets.all().position(|set| !ascends(set)) {
            let message = format!("the ids of set {number} (from 0) do not ascend");
            return Err(Error::refused(message).with_hint("sort them and leave repetitions out"));
        }
        Ok(sets)
    }

    /// Of lists whose order was looked after.
    pub(super) fn of_list(ids: &'a [u32], ends: &'a [usize]) -> Self {
        Self { ids, ends }
    }

    /// Number of sets.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is no set.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// One set, ascending.
    pub fn set(&self, number: usize) -> &'a [u32] {
        let begin = match number {
            0 => 0,
            number => self.ends[number - 1],
        };
        &self.ids[begin..self.ends[number]]
    }

    /// All sets in their order.
    pub fn all(self) -> impl Iterator<Item = &'a [u32]> {
        (0..self.len()).map(move |number| self.set(number))
    }
}

/// The dot product.
#[multiversion(targets = "simd")]
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    vector::dot(a, b)
}

/// The square of the Euclidean distance.
#[multiversion(targets = "simd")]
pub(super) fn square_distance(a: &[f32], b: &[f32]) -> f32 {
    vector::sum_of(a, b, |a, b| (a - b) * (a - b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_no_vectors_or_sets_is_refused() {
        let vectors = |values: &[f32], width| {
            Vectors::new(values, width)
                .expect_err("refused")
                .to_string()
        };
        assert_eq!(vectors(&[1.0; 5], 2), "5 numbers make no vectors of 2");
        assert_eq!(vectors(&[], 0), "0 numbers make no vectors of 0");
        assert_eq!(
            vectors(&[1.0, 2.0, 3.0, f32::NAN], 2),
            "number 1 of vector 1 (both from 0) is NaN"
        );
        let sets =
            |ids: &[u32], ends: &[usize]| Sets::new(ids, ends).expect_err("refused").to_string();
        assert_eq!(sets(&[1, 2], &[1]), "sets that end at 1 of 2 ids");
        assert_eq!(sets(&[1, 2], &[3, 2]), "sets that end at 2 of 2 ids");
        let refused = sets(&[1, 2, 2, 2], &[2, 4]);
        assert_eq!(refused, "the ids of set 1 (from 0) do not ascend");
        let sets = Sets::new(&[1, 2, 1], &[2, 2, 3]).expect("three sets");
        let all: Vec<&[u32]> = sets.all().collect();
        assert_eq!(all, [&[1, 2][..], &[], &[1]]);
    }
}
