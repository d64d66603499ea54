//! Streaming co-occurrence counts of one side, and the sparse graph that they make.
//!
//! In: sentences of dense type numbers. Out: a [`Graph`]: types by falling frequency, and for each the counts of its
//! neighbours at offsets -2, -1, +1 and +2, where the boundary of the sentence is a neighbour of its own. Text is not
//! kept: memory grows with the number of different pairs.

use rayon::prelude::*;
use rustc_hash::FxHashMap;

/// The boundary of a sentence among the keys of pairs.
const BOUNDARY: u32 = u32::MAX;

/// Offsets of the neighbours in [`Graph::neighbours`].
pub(super) const OFFSETS: [i32; 4] = [-2, -1, 1, 2];

/// Counts of one side, from a stream of sentences.
#[derive(Debug, Clone, Default)]
pub struct Cooccurrence {
    /// By type number.
    unigrams: Vec<f64>,
    /// Ordered pairs at distance 1 and 2; the left one in the high half of the key.
    pairs: [FxHashMap<u64, f64>; 2],
}

impl Cooccurrence {
    /// Nothing counted yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts one sentence `weight` times. Types grow as they are seen; a sentence without types counts nothing.
    pub fn add(&mut self, sentence: &[u32], weight: f64) {
        let Some(last) = sentence.iter().max() else {
            return;
        };
        if self.unigrams.len() <= *last as usize {
            self.unigrams.resize(*last as usize + 1, 0.0);
        }
        let (mut left2, mut left1) = (None, BOUNDARY);
        for &symbol in sentence.iter().chain([&BOUNDARY]) {
            self.count(0, left1, symbol, weight);
            if let Some(left2) = left2 {
                self.count(1, left2, symbol, weight);
            }
            (left2, left1) = (Some(left1), symbol);
            if let Some(count) = self.unigrams.get_mut(symbol as usize) {
                *count += weight;
            }
        }
    }

    fn count(&mut self, distance: usize, left: u32, right: u32, weight: f64) {
        let key = u64::from(left) << 32 | u64::from(right);
        *self.pairs[distance].entry(key).or_insert(0.0) += weight;
    }

    /// One more than the greatest type number seen.
    pub fn n_types(&self) -> usize {
        self.unigrams.len()
    }

    /// Weighted occurrences of all types.
    pub(super) fn total(&self) -> f64 {
        self.unigrams.iter().sum()
    }
}

/// One side of the puzzle: most sentences to learn from, the rest to judge by.
#[derive(Debug, Clone, Default)]
pub struct Side {
    /// Nine sentences of ten.
    pub train: Cooccurrence,
    /// Every tenth, by order of arrival.
    pub held_out: Cooccurrence,
    arrived: u64,
}

impl Side {
    /// A side without sentences.
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts one sentence `weight` times, on the side where its turn is.
    pub fn add(&mut self, sentence: &[u32], weight: f64) {
        self.arrived += 1;
        let side = if self.arrived.is_multiple_of(10) {
            &mut self.held_out
        } else {
            &mut self.train
        };
        side.add(sentence, weight);
    }

    /// One more than the greatest type number seen.
    pub fn n_types(&self) -> usize {
        self.train.n_types().max(self.held_out.n_types())
    }
}

/// Neighbours of all types at one offset: rows of a sparse matrix.
#[derive(Debug, Clone, Default)]
pub(super) struct Neighbours {
    /// Where the entries of a row begin; one more than there are rows.
    starts: Vec<usize>,
    /// Neighbour (the boundary is the number of types) and count, by neighbour.
    entries: Vec<(u32, f32)>,
}

impl Neighbours {
    /// Entries of row `row`.
    pub fn row(&self, row: usize) -> &[(u32, f32)] {
        &self.entries[self.starts[row]..self.starts[row + 1]]
    }

    /// The count of one neighbour, 0 where there is none.
    pub fn count(&self, row: usize, neighbour: u32) -> f32 {
        let entries = self.row(row);
        let found = entries.binary_search_by_key(&neighbour, |entry| entry.0);
        found.map_or(0.0, |at| entries[at].1)
    }

    /// From triples (row, neighbour, count) in any order, each pair once.
    fn from_triples(mut triples: Vec<(u32, u32, f32)>, n_rows: usize) -> Self {
        triples.par_sort_unstable_by_key(|&(row, neighbour, _)| (row, neighbour));
        let mut starts = vec![0; n_rows + 1];
        for &(row, _, _) in &triples {
            starts[row as usize + 1] += 1;
        }
        for row in 0..n_rows {
            starts[row + 1] += starts[row];
        }
        let entries = triples.iter().map(|&(_, n, count)| (n, count));
        Self {
            starts,
            entries: entries.collect(),
        }
    }
}

/// The counts of one side by rank: 0 is the most frequent type. The boundary is rank [`Graph::n`].
#[derive(Debug, Clone)]
pub(super) struct Graph {
    /// The type number of a rank.
    pub types: Vec<u32>,
    /// Occurrences of a rank.
    pub counts: Vec<f64>,
    /// At each of [`OFFSETS`], for each rank and last for the boundary itself.
    pub neighbours: [Neighbours; 4],
}

impl Graph {
    /// The `most` most frequent types that occur at least `least` times, ties by number.
    pub fn new(counts: &Cooccurrence, least: f64, most: usize) -> Self {
        let mut types: Vec<u32> = (0..counts.n_types() as u32).collect();
        types.retain(|&t| counts.unigrams[t as usize] >= least);
        types.sort_by(|&a, &b| {
            let (count_a, count_b) = (counts.unigrams[a as usize], counts.unigrams[b as usize]);
            count_b.total_cmp(&count_a).then(a.cmp(&b))
        });
        types.truncate(most);
        Self::with_types(counts, types)
    }

    /// The given types, by rank, whatever their frequency here.
    pub fn with_types(counts: &Cooccurrence, types: Vec<u32>) -> Self {
        let boundary = types.len() as u32;
        let mut rank_of = vec![None; counts.n_types()];
        for (rank, &t) in (0..).zip(&types) {
            if let Some(slot) = rank_of.get_mut(t as usize) {
                *slot = Some(rank);
            }
        }
        let rank = |symbol: u32| match symbol {
            BOUNDARY => Some(boundary),
            t => rank_of[t as usize],
        };
        let triples = |distance: usize| -> Vec<(u32, u32, f32)> {
            let pairs = counts.pairs[distance].iter();
            pairs
                .filter_map(|(&key, &count)| {
                    let left = rank((key >> 32) as u32)?;
                    Some((left, rank(key as u32)?, count as f32))
                })
                .collect()
        };
        let right = [triples(0), triples(1)];
        let left = right.each_ref().map(|triples| {
            let turned = triples.iter().map(|&(a, b, count)| (b, a, count));
            turned.collect::<Vec<_>>()
        });
        let ([right1, right2], [left1, left2]) = (right, left);
        let n_rows = types.len() + 1;
        let neighbours =
            [left2, left1, right1, right2].map(|triples| Neighbours::from_triples(triples, n_rows));
        let counts = types
            .iter()
            .map(|&t| counts.unigrams.get(t as usize).copied().unwrap_or(0.0))
            .collect();
        Self {
            types,
            counts,
            neighbours,
        }
    }

    /// Number of types; also the rank of the boundary.
    pub fn n(&self) -> usize {
        self.types.len()
    }
}
