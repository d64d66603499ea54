//! Which vectors of an index are the same, number by number.
//!
//! In: vectors in the order in which they are added. Out: the first item that has the vector of another, and all items that have
//! that of a first one. Keeps a fingerprint of each different vector, the vectors themselves are somewhere else.

use rustc_hash::FxHashMap;

use crate::hash::Hasher;

/// Bytes of a copy as it is stored: two numbers.
const STORED: usize = 16;

/// Items that have one vector.
#[derive(Debug, Clone, Default)]
pub struct Equals {
    /// By the fingerprint of a vector the first item that has it.
    firsts: FxHashMap<u128, usize>,
    /// The other items that have the vector of a first one, ascending.
    copies: FxHashMap<usize, Vec<usize>>,
    n_copies: usize,
}

impl Equals {
    /// Takes the vector of an item behind those that are there; whether no item had it before.
    pub fn push(&mut self, number: usize, vector: &[f32]) -> bool {
        let first = *self.firsts.entry(fingerprint(vector)).or_insert(number);
        if first != number {
            self.copies.entry(first).or_default().push(number);
            self.n_copies += 1;
        }
        first == number
    }

    /// Number of items that have the vector of an earlier one.
    pub fn n_copies(&self) -> usize {
        self.n_copies
    }

    /// Whether the first items have to be named by [`Equals::name_first`] before any is added: they are not stored.
    pub fn lacks_firsts(&self) -> bool {
        self.firsts.is_empty()
    }

    /// The vector of an item that is the first to have it.
    pub fn name_first(&mut self, number: usize, vector: &[f32]) {
        self.firsts.insert(fingerprint(vector), number);
    }

    /// A first item and those that have its vector, ascending.
    pub fn all_of(&self, first: usize) -> impl Iterator<Item = usize> {
        let copies = self.copies.get(&first).into_iter().flatten();
        std::iter::once(first).chain(copies.copied())
    }

    /// The copies as bytes: of each its number and that of the first one, by ascending number.
    pub fn to_bytes(&self) -> Vec<u8> {
        let of_first = |(&first, copies): (&usize, &Vec<usize>)| {
            let pairs = copies.iter().map(|&copy| [copy as u64, first as u64]);
            pairs.collect::<Vec<_>>()
        };
        let mut pairs: Vec<[u64; 2]> = self.copies.iter().flat_map(of_first).collect();
        pairs.sort_unstable();
        let numbers = pairs.as_flattened().iter();
        numbers.flat_map(|number| number.to_le_bytes()).collect()
    }

    /// What [`Equals::to_bytes`] gave for an index of `count` items; none where it cannot be that.
    pub fn of_bytes(bytes: &[u8], count: usize) -> Option<Self> {
        let (pairs, rest) = bytes.as_chunks::<STORED>();
        let mut equals = Self::default();
        let mut last = 0;
        for pair in pairs {
            let (numbers, _) = pair.as_chunks::<8>();
            let number = |at: usize| usize::try_from(u64::from_le_bytes(numbers[at])).ok();
            let (copy, first) = (number(0)?, number(1)?);
            if first >= copy || copy <= last || copy >= count {
                return None;
            }
            last = copy;
            equals.copies.entry(first).or_default().push(copy);
        }
        equals.n_copies = pairs.len();
        rest.is_empty().then_some(equals)
    }
}

/// 128 bits of a hash: two vectors that have the same ones are the same.
fn fingerprint(vector: &[f32]) -> u128 {
    let bytes: Vec<u8> = vector.iter().flat_map(|x| x.to_le_bytes()).collect();
    let mut hasher = Hasher::default();
    hasher.update(&bytes);
    let hash = hasher.finish_bytes();
    let (half, _) = hash.as_chunks::<16>();
    u128::from_le_bytes(half[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_are_told_from_the_first_and_stored() {
        let vectors: [&[f32]; 6] = [&[1.0], &[2.0], &[1.0], &[3.0], &[2.0], &[1.0]];
        let mut equals = Equals::default();
        let are_new: Vec<bool> = (0..)
            .zip(vectors)
            .map(|(number, vector)| equals.push(number, vector))
            .collect();
        assert_eq!(are_new, [true, true, false, true, false, false]);
        let all_of = |equals: &Equals, first| equals.all_of(first).collect::<Vec<usize>>();
        let bytes = equals.to_bytes();
        let mut read = Equals::of_bytes(&bytes, 6).expect("whole pairs");
        for equals in [&equals, &read] {
            assert_eq!(equals.n_copies(), 3);
            assert_eq!(all_of(equals, 0), [0, 2, 5]);
            assert_eq!(all_of(equals, 1), [1, 4]);
            assert_eq!(all_of(equals, 3), [3]);
        }
        assert!(read.lacks_firsts() && !equals.lacks_firsts());
        for first in [0, 1, 3] {
            read.name_first(first, vectors[first]);
        }
        assert!(!read.push(6, &[3.0]));
        assert_eq!(all_of(&read, 3), [3, 6]);
        assert!(Equals::of_bytes(&bytes, 5).is_none(), "item 5 of 5");
        assert!(Equals::of_bytes(&bytes[1..], 6).is_none());
    }
}
