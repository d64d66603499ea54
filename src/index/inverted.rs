//! An inverted list: for each id the sets that have it. Finds the sets that have most ids in common with a query.
//!
//! In: sets of ids below a bound: tokens, or the ones of k-hot codes. Out: those with the largest overlap; of k-hot codes these are
//! the nearest by Hamming distance, which is 2 (k - overlap). Only the lists of the query's own ids are read.

use std::path::Path;

use rayon::prelude::*;
use rustc_hash::FxHashMap;

use super::codes::SetList;
use super::file::{self, Header, Section, Stored};
use super::nearest::{Neighbour, nearest_by_count};
use super::vectors::Sets;
use super::{Index, Items, Kind, Similarity, require_k};
use crate::error::{Error, Result};

/// Sets of ids below a bound.
#[derive(Debug, Clone)]
pub struct Inverted {
    sets: SetList,
    /// Ids are below it.
    bound: usize,
    /// For each id that a set has the numbers of its sets, ascending. Not one for each that there may be: the bound of a damaged file
    /// may be any number.
    lists: FxHashMap<u32, Vec<u32>>,
}

impl Inverted {
    /// An index without sets, for ids below `bound`.
    pub fn new(bound: usize) -> Self {
        Self {
            sets: SetList::default(),
            bound,
            lists: FxHashMap::default(),
        }
    }

    /// All sets in their order.
    pub fn sets(&self) -> Sets<'_> {
        self.sets.sets()
    }

    /// The ids of all sets, set after set.
    pub(super) fn ids(&self) -> &[u32] {
        self.sets.ids()
    }

    /// What was read of a file.
    ///
    /// # Errors
    /// [`Error::Input`] where its parts do not fit each other.
    pub(super) fn restored(mut stored: Stored) -> Result<Self> {
        let sizes = stored.u32s("sizes", Some(stored.header.count))?;
        let ids = stored.u32s("ids", None)?;
        let mut ends = Vec::with_capacity(sizes.len());
        let mut end = 0_usize;
        for size in sizes {
            end = end.saturating_add(size as usize);
            ends.push(end);
        }
        let sets = Sets::new(&ids, &ends).map_err(|error| stored.broken(error))?;
        if stored.header.width > u32::MAX as usize {
            return Err(stored.broken("a bound of ids that no id reaches"));
        }
        let mut index = Self::new(stored.header.width);
        index
            .add(sets.into())
            .map_err(|error| stored.broken(error))?;
        Ok(index)
    }

    /// # Errors
    /// [`Error::Refused`].
    fn require_ids(&self, sets: Sets) -> Result<()> {
        let bound = self.bound;
        for (number, set) in sets.all().enumerate() {
            if let Some(id) = set.last().filter(|&&id| id as usize >= bound) {
                let message = format!("set {number} (from 0) has the id {id}");
                let hint = format!("the index holds sets of ids below {bound}");
                return Err(Error::refused(message).with_hint(hint));
            }
            if set.len() > usize::from(u16::MAX) {
                let message = format!("set {number} (from 0) has {} ids", set.len());
                return Err(Error::refused(message).with_hint("65535 at most"));
            }
        }
        Ok(())
    }

    /// The `k` sets with the largest overlap with each query, whose ids are below the bound; k is no larger than their number.
    pub(super) fn nearest(&self, queries: Sets, k: usize) -> Vec<Vec<Neighbour>> {
        let numbers = (0..queries.len()).into_par_iter();
        let found = numbers.map_init(
            || vec![0_u16; self.len()],
            |counts, number| {
                counts.fill(0);
                for &id in queries.set(number) {
                    for &set in self.lists.get(&id).into_iter().flatten() {
                        counts[set as usize] += 1;
                    }
                }
                nearest_by_count(counts.iter().copied().enumerate(), k)
            },
        );
        found.collect()
    }
}

impl Index for Inverted {
    fn kind(&self) -> Kind {
        Kind::Inverted
    }

    fn width(&self) -> usize {
        self.bound
    }

    fn len(&self) -> usize {
        self.sets.sets().len()
    }

    fn similarity(&self) -> Option<Similarity> {
        None
    }

    fn add(&mut self, items: Items) -> Result<()> {
        let sets = items.sets()?;
        self.require_ids(sets)?;
        let n_sets = self.len() + sets.len();
        if u32::try_from(n_sets).is_err() {
            return Err(Error::refused(format!("{n_sets} sets: 4294967295 at most")));
        }
        for set in sets.all() {
            let number = self.len() as u32; // the bound was checked
            for &id in set {
                self.lists.entry(id).or_default().push(number);
            }
            self.sets.push(set.iter().copied());
        }
        Ok(())
    }

    fn search(&self, queries: Items, k: usize) -> Result<Vec<Vec<Neighbour>>> {
        require_k(k, self.len())?;
        let queries = queries.sets()?;
        self.require_ids(queries)?;
        Ok(self.nearest(queries, k))
    }

    fn save(&self, path: &Path) -> Result<()> {
        let header = Header::new(self, &())?;
        let sizes: Vec<u32> = self.sets().all().map(|set| set.len() as u32).collect();
        let sections = [
            ("sizes", Section::U32(&sizes)),
            ("ids", Section::U32(self.sets.ids())),
        ];
        file::write(path, header, &sections)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Key;

    fn sets(n: usize, bound: u64, seed: u64) -> SetList {
        let key = Key::from_seed(seed);
        let mut list = SetList::default();
        for number in 0..n {
            let key = key.at(number as u64);
            let size = key.bits(0) % 12;
            let mut ids: Vec<u32> = (1..=size).map(|at| (key.bits(at) % bound) as u32).collect();
            ids.sort_unstable();
            ids.dedup();
            list.push(ids);
        }
        list
    }

    #[test]
    fn finds_what_comparing_each_with_each_finds_in_two_batches_too() {
        let (all, queries) = (sets(500, 40, 1), sets(60, 40, 2));
        let mut index = Inverted::new(40);
        index.add(all.sets().into()).expect("ids below the bound");
        let mut in_two = Inverted::new(40);
        let mut first = SetList::default();
        let mut second = SetList::default();
        for (number, set) in all.sets().all().enumerate() {
            let half = if number < 123 {
                &mut first
            } else {
                &mut second
            };
            half.push(set.iter().copied());
        }
        in_two
            .add(first.sets().into())
            .expect("ids below the bound");
        in_two
            .add(second.sets().into())
            .expect("ids below the bound");
        for k in [1, 9, 500] {
            let found = index.search(queries.sets().into(), k).expect("enough sets");
            let again = in_two
                .search(queries.sets().into(), k)
                .expect("enough sets");
            assert_eq!(found, again);
            for (query, found) in queries.sets().all().zip(found) {
                let overlap = |set: &[u32]| set.iter().filter(|id| query.contains(id)).count();
                let mut expected: Vec<(usize, usize)> = all
                    .sets()
                    .all()
                    .enumerate()
                    .map(|(number, set)| (number, overlap(set)))
                    .collect();
                expected.sort_by_key(|&(number, overlap)| (std::cmp::Reverse(overlap), number));
                let found = found
                    .into_iter()
                    .map(|found| (found.number, found.score as usize));
                assert!(found.eq(expected.into_iter().take(k)));
            }
        }
    }

    #[test]
    fn what_is_saved_is_read_back_and_bad_sets_are_refused() {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let path = folder.path().join("index");
        let (all, queries) = (sets(100, 40, 1), sets(10, 40, 2));
        let mut index = Inverted::new(40);
        index.add(all.sets().into()).expect("ids below the bound");
        index.save(&path).expect("room");
        let read = crate::index::open(&path).expect("the index");
        assert_eq!(
            (read.kind(), read.len(), read.width()),
            (Kind::Inverted, 100, 40)
        );
        let queries = queries.sets();
        assert_eq!(
            read.search(queries.into(), 5).expect("enough sets"),
            index.search(queries.into(), 5).expect("enough sets")
        );
        let far = Sets::new(&[3, 40], &[2]).expect("a set");
        let error = index.search(far.into(), 1).expect_err("40 is no id");
        assert_eq!(error.to_string(), "set 0 (from 0) has the id 40");
        assert!(index.add(far.into()).is_err() && index.len() == 100);
        let vectors = crate::index::Vectors::new(&[1.0; 40], 40).expect("a row");
        assert!(index.add(vectors.into()).is_err());
    }

    #[test]
    fn a_bound_without_end_takes_no_memory() {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let path = folder.path().join("index");
        let mut index = Inverted::new(40);
        index
            .add(sets(100, 40, 1).sets().into())
            .expect("ids below the bound");
        index.save(&path).expect("room");
        let bytes = std::fs::read(&path).expect("the index");
        let length = u64::from_le_bytes(bytes[16..24].try_into().expect("eight")) as usize;
        let header = std::str::from_utf8(&bytes[24..24 + length]).expect("JSON");
        let header = header.replacen("\"width\":40", "\"width\":4294967295", 1);
        let start = [&bytes[..16], &(header.len() as u64).to_le_bytes()].concat();
        let damaged = [&start[..], header.as_bytes(), &bytes[24 + length..]].concat();
        std::fs::write(&path, damaged).expect("room");
        let read = crate::index::open(&path).expect("the index");
        assert_eq!((read.len(), read.width()), (100, 4_294_967_295));
        let queries = sets(10, 40, 2);
        assert_eq!(
            read.search(queries.sets().into(), 5).expect("enough sets"),
            index.search(queries.sets().into(), 5).expect("enough sets")
        );
    }
}
