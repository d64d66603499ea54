//! Codes by their bits, all of them or only those in bins near the query's.
//!
//! In: codes of a fixed number of bits, and for each a short key. Out: the codes that differ least. Without keys every code is
//! looked at; with keys those alone whose keys are near the query's (multi-probe; Sharma and Navlakha 2018), which misses some.

use rustc_hash::FxHashMap;

use super::codes::{BitCodes, hamming};
use super::nearest::{Neighbour, nearest_by_count};

/// Codes in bins.
#[derive(Debug, Clone, Default)]
pub struct Bins {
    /// Key of each bin, in order of first appearance.
    keys: Vec<u64>,
    /// Numbers of the codes in each bin, ascending.
    members: Vec<Vec<u32>>,
    places: FxHashMap<u64, usize>,
}

impl Bins {
    /// Puts a code behind those that are there.
    pub fn push(&mut self, key: u64, number: u32) {
        let place = *self.places.entry(key).or_insert_with(|| {
            self.keys.push(key);
            self.members.push(Vec::new());
            self.keys.len() - 1
        });
        self.members[place].push(number);
    }

    /// The key of each of `n` codes.
    pub fn keys_by_number(&self, n: usize) -> Vec<u64> {
        let mut keys = vec![0; n];
        for (&key, members) in self.keys.iter().zip(&self.members) {
            for &number in members {
                keys[number as usize] = key;
            }
        }
        keys
    }

    /// Codes in the bins whose keys differ from `key` in `radius` bits or fewer, ascending; in the fewest bits beyond that which
    /// are needed for `least` codes.
    pub fn near(&self, key: u64, radius: u32, least: usize) -> Vec<u32> {
        let distances: Vec<u32> = self
            .keys
            .iter()
            .map(|&other| (key ^ other).count_ones())
            .collect();
        let mut n_at = [0_usize; 65];
        for (members, &distance) in self.members.iter().zip(&distances) {
            n_at[distance as usize] += members.len();
        }
        let mut total: usize = n_at[..=radius.min(64) as usize].iter().sum();
        let mut radius = radius.min(64);
        while total < least && radius < 64 {
            radius += 1;
            total += n_at[radius as usize];
        }
        let mut numbers = Vec::with_capacity(total);
        for (members, &distance) in self.members.iter().zip(&distances) {
            if distance <= radius {
                numbers.extend_from_slice(members);
            }
        }
        numbers.sort_unstable();
        numbers
    }
}

/// The `k` codes, of all or of those at `numbers`, that agree with `code` in most bits; the score is the number of these.
pub fn nearest_bits(
    codes: &BitCodes,
    code: &[u64],
    numbers: Option<&[u32]>,
    k: usize,
) -> Vec<Neighbour> {
    let agreement = |other: &[u64]| (codes.n_bits() as u32 - hamming(code, other)) as u16;
    let counts: Vec<u16> = match numbers {
        None => codes.all().map(agreement).collect(),
        Some(numbers) => {
            let others = numbers.iter().map(|&number| codes.code(number as usize));
            others.map(agreement).collect()
        }
    };
    match numbers {
        None => nearest_by_count(counts.iter().copied().enumerate(), k),
        Some(numbers) => {
            let numbers = numbers.iter().map(|&number| number as usize);
            nearest_by_count(numbers.zip(counts.iter().copied()), k)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Key;

    fn codes(n: u64, n_bits: usize, seed: u64) -> BitCodes {
        let key = Key::from_seed(seed);
        let mut codes = BitCodes::new(n_bits);
        for number in 0..n {
            let key = key.at(number);
            codes.push((0..n_bits as u64).map(|at| key.bits(at).is_multiple_of(2)));
        }
        codes
    }

    #[test]
    fn all_codes_are_ranked_by_how_many_bits_agree() {
        let (all, queries) = (codes(300, 70, 1), codes(20, 70, 2));
        for number in 0..20 {
            let found = nearest_bits(&all, queries.code(number), None, 7);
            let agree = |other: usize| {
                let agree = |&at: &usize| all.bit(other, at) == queries.bit(number, at);
                (0..70).filter(agree).count()
            };
            let mut expected: Vec<(usize, usize)> =
                (0..300).map(|other| (other, agree(other))).collect();
            expected.sort_by_key(|&(other, agree)| (std::cmp::Reverse(agree), other));
            let found = found
                .iter()
                .map(|found| (found.number, found.score as usize));
            assert!(found.eq(expected.into_iter().take(7)));
        }
    }

    #[test]
    fn bins_give_those_within_the_radius_and_more_where_these_are_too_few() {
        let keys = codes(200, 6, 3);
        let mut bins = Bins::default();
        for number in 0..200 {
            bins.push(keys.code(number)[0], number as u32);
        }
        let query = 0b10_1100;
        let within = |radius: u32| {
            let near =
                |&number: &u32| (keys.code(number as usize)[0] ^ query).count_ones() <= radius;
            (0..200_u32).filter(near).collect::<Vec<u32>>()
        };
        assert_eq!(bins.near(query, 1, 0), within(1));
        let two = within(2);
        assert_eq!(bins.near(query, 0, two.len()), two);
        assert_eq!(bins.near(query, 0, 200).len(), 200);
        assert_eq!(bins.near(query, 900, 0).len(), 200);
        let some = nearest_bits(&keys, &[query], Some(&two), 3);
        assert!(
            some.iter()
                .all(|found| two.contains(&(found.number as u32)))
        );
    }
}
