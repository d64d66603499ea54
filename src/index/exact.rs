//! The exactly nearest vectors, by cosine, dot product or Euclidean distance.
//!
//! In: vectors. Out: the nearest ones. Every query is held against every vector, block by block, through the project's own
//! products. These are rough in the last digits, which depend on the sizes of a block; so all vectors that may be among the
//! nearest by the bound of the rounding error are scored again, one by one. A score therefore depends on the two vectors alone,
//! equal vectors have equal scores, and nothing depends on threads.

use std::path::Path;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::file::{self, Header, Section, Stored};
use super::nearest::{Candidates, Neighbour, keep_nearest};
use super::vectors::{Vectors, dot, square_distance};
use super::{Index, Items, Kind, require_k};
use crate::error::{Error, Result};
use crate::kernels::gemm::Store;
use crate::kernels::gemm::portable::{Operand, matmul_on_this_thread};
use crate::kernels::vector::to_length_one;

/// Queries of one product.
const QUERIES: usize = 64;
/// Vectors of one product: 64 times as many scores stay in the second cache.
const ROWS: usize = 1024;
/// Products of one task, so that a single query has work for many threads.
const BLOCKS: usize = 32;

/// What near means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Similarity {
    /// Cosine of the angle; 0 for a vector of zeros.
    Cosine,
    /// Dot product.
    Dot,
    /// Minus the Euclidean distance.
    Euclidean,
}

/// Every vector, as it is compared.
#[derive(Debug, Clone)]
pub struct Exact {
    similarity: Similarity,
    width: usize,
    /// (rows × width); of length 1 for the cosine.
    values: Vec<f32>,
    /// Squared length of each row; read for the Euclidean distance alone.
    squares: Vec<f32>,
    /// Of the longest row.
    longest: f32,
}

impl Exact {
    /// An index without vectors.
    ///
    /// # Panics
    /// Where `width` is 0.
    pub fn new(similarity: Similarity, width: usize) -> Self {
        assert!(width > 0, "vectors have a width");
        Self {
            similarity,
            width,
            values: Vec::new(),
            squares: Vec::new(),
            longest: 0.0,
        }
    }

    /// The vectors as they are compared, (rows × width).
    pub(super) fn values(&self) -> &[f32] {
        &self.values
    }

    /// Gives neighbours that were found otherwise their scores for a query.
    pub(super) fn score_again(&self, query: &[f32], neighbours: &mut [Neighbour]) {
        let mut query = query.to_vec();
        if self.similarity == Similarity::Cosine {
            to_length_one(&mut query);
        }
        for neighbour in neighbours {
            neighbour.score = self.score(&query, neighbour.number);
        }
    }

    /// What was read of a file.
    ///
    /// # Errors
    /// [`Error::Input`] where its parts do not fit each other.
    pub(super) fn restored(mut stored: Stored) -> Result<Self> {
        let similarity = stored.parameters()?;
        Self::read(similarity, &mut stored)
    }

    /// The next array of a file, as [`Exact::values`] gave it.
    ///
    /// # Errors
    /// [`Error::Input`] where it is another one, or holds no vectors.
    pub(super) fn read(similarity: Similarity, stored: &mut Stored) -> Result<Self> {
        let (width, count) = (stored.header.width, stored.header.count);
        let mut index = Self::new(similarity, width);
        let values = stored.f32s("vectors", count.saturating_mul(width))?;
        let vectors = Vectors::new(&values, width).map_err(|error| stored.broken(error))?;
        let measured = index.measure(vectors);
        measured.map_err(|error| stored.broken(error))?;
        index.values = values;
        Ok(index)
    }

    /// Notes the lengths of further rows, as they will be compared.
    fn measure(&mut self, vectors: Vectors) -> Result<()> {
        let squares: Vec<f32> = vectors.rows().map(|row| dot(row, row)).collect();
        if let Some(number) = squares.iter().position(|square| !square.is_finite()) {
            let message = format!("vector {number} (from 0) is too long: its square overflows");
            return Err(Error::refused(message).with_hint("scale the vectors down"));
        }
        let longest = squares.iter().copied().fold(0.0, f32::max).sqrt();
        self.longest = self.longest.max(longest);
        self.squares.extend(squares);
        Ok(())
    }

    /// Vectors as they are compared.
    fn prepared(&self, vectors: Vectors) -> Vec<f32> {
        let mut values = vectors.values().to_vec();
        if self.similarity == Similarity::Cosine {
            values
                .par_chunks_exact_mut(self.width)
                .for_each(|row| _ = to_length_one(row));
        }
        values
    }

    fn row(&self, number: usize) -> &[f32] {
        &self.values[number * self.width..][..self.width]
    }

    /// The score of one vector for one prepared query.
    fn score(&self, query: &[f32], number: usize) -> f32 {
        match self.similarity {
            Similarity::Cosine | Similarity::Dot => dot(query, self.row(number)),
            Similarity::Euclidean => -square_distance(query, self.row(number)).sqrt(),
        }
    }

    /// Twice the bound of what rough and final scores are off together: a sum of n products is off by n u times the product of
    /// the lengths at most, where u is half of epsilon (Higham, "Accuracy and Stability of Numerical Algorithms", 3.1).
    fn margin(&self, query: &[f32]) -> f32 {
        let length = dot(query, query).sqrt();
        let n = (self.width + 3) as f32;
        let scale = match self.similarity {
            Similarity::Cosine | Similarity::Dot => length * self.longest,
            Similarity::Euclidean => (length + self.longest) * (length + self.longest),
        };
        2.02 * n * f32::EPSILON * scale
    }

    /// Candidates for each of some prepared queries among the rows of `part`.
    fn candidates(&self, queries: &[f32], k: usize, part: usize) -> Vec<Vec<usize>> {
        let n_queries = queries.len() / self.width;
        let mut candidates: Vec<Candidates> = queries
            .chunks_exact(self.width)
            .map(|query| Candidates::new(k, self.margin(query)))
            .collect();
        let mut scores = vec![0.0; n_queries * ROWS];
        let end = self.len().min((part + 1) * BLOCKS * ROWS);
        for first in (part * BLOCKS * ROWS..end).step_by(ROWS) {
            let n = ROWS.min(end - first);
            let rows = &self.values[first * self.width..][..n * self.width];
            let scores = &mut scores[..n_queries * n];
            matmul_on_this_thread(
                n_queries,
                n,
                self.width,
                Operand::Plain(queries),
                Operand::Transposed(rows),
                scores,
                Store::Overwrite,
            );
            for (candidates, scores) in candidates.iter_mut().zip(scores.chunks_exact(n)) {
                match self.similarity {
                    Similarity::Cosine | Similarity::Dot => {
                        candidates.extend(first, scores.iter().copied());
                    }
                    Similarity::Euclidean => {
                        let squares = &self.squares[first..];
                        let near = scores
                            .iter()
                            .zip(squares)
                            .map(|(dot, square)| 2.0 * dot - square);
                        candidates.extend(first, near);
                    }
                }
            }
        }
        let numbers = candidates
            .into_iter()
            .map(|found| found.numbers().collect());
        numbers.collect()
    }
}

impl Index for Exact {
    fn kind(&self) -> Kind {
        Kind::Exact
    }

    fn width(&self) -> usize {
        self.width
    }

    fn len(&self) -> usize {
        self.squares.len()
    }

    fn similarity(&self) -> Option<Similarity> {
        Some(self.similarity)
    }

    fn add(&mut self, items: Items) -> Result<()> {
        let vectors = items.vectors(self.width)?;
        let values = self.prepared(vectors);
        self.measure(Vectors::new(&values, self.width)?)?;
        if self.values.is_empty() {
            self.values = values; // the first ones are mostly all: no second copy
        } else {
            self.values.extend(values);
        }
        Ok(())
    }

    fn search(&self, queries: Items, k: usize) -> Result<Vec<Vec<Neighbour>>> {
        require_k(k, self.len())?;
        let queries = self.prepared(queries.vectors(self.width)?);
        let blocks: Vec<&[f32]> = queries.chunks(QUERIES * self.width).collect();
        let n_parts = self.len().div_ceil(BLOCKS * ROWS);
        let tasks = (0..blocks.len() * n_parts).into_par_iter().with_max_len(1);
        let candidates: Vec<Vec<Vec<usize>>> = tasks
            .map(|task| self.candidates(blocks[task / n_parts], k, task % n_parts))
            .collect();
        let queries: Vec<&[f32]> = queries.chunks_exact(self.width).collect();
        let found = queries.par_iter().enumerate().map(|(number, query)| {
            let (block, row) = (number / QUERIES, number % QUERIES);
            let parts = &candidates[block * n_parts..][..n_parts];
            let numbers = parts.iter().flat_map(|part| &part[row]);
            let mut nearest: Vec<Neighbour> = numbers
                .map(|&number| Neighbour {
                    number,
                    score: self.score(query, number),
                })
                .collect();
            keep_nearest(&mut nearest, k);
            nearest
        });
        Ok(found.collect())
    }

    fn save(&self, path: &Path) -> Result<()> {
        let header = Header::new(self, &self.similarity)?;
        file::write(path, header, &[("vectors", Section::F32(&self.values))])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::naive;

    const ALL: [Similarity; 3] = [Similarity::Cosine, Similarity::Dot, Similarity::Euclidean];

    fn built(similarity: Similarity, values: &[f32], width: usize) -> Exact {
        let mut index = Exact::new(similarity, width);
        let vectors = Vectors::new(values, width).expect("whole rows");
        index.add(vectors.into()).expect("finite numbers");
        index
    }

    fn search(index: &Exact, queries: &[f32], k: usize) -> Vec<Vec<Neighbour>> {
        let queries = Vectors::new(queries, index.width()).expect("whole rows");
        index.search(queries.into(), k).expect("enough vectors")
    }

    /// By the definition, in f64.
    fn naive_score(similarity: Similarity, a: &[f32], b: &[f32]) -> f64 {
        let sum = |a: &[f32], b: &[f32]| -> f64 {
            a.iter()
                .zip(b)
                .map(|(a, b)| f64::from(*a) * f64::from(*b))
                .sum()
        };
        match similarity {
            Similarity::Dot => sum(a, b),
            Similarity::Cosine => sum(a, b) / (sum(a, a) * sum(b, b)).sqrt(),
            Similarity::Euclidean => {
                let apart: Vec<f32> = a.iter().zip(b).map(|(a, b)| a - b).collect();
                -sum(&apart, &apart).sqrt()
            }
        }
    }

    #[test]
    fn finds_what_comparing_each_with_each_finds() {
        let (width, n) = (19, 3000); // several products
        let (values, queries) = (naive::values(n * width, 1), naive::values(70 * width, 2));
        for similarity in ALL {
            let index = built(similarity, &values, width);
            let found = search(&index, &queries, 7);
            assert_eq!(found.len(), 70);
            for (query, found) in queries.chunks(width).zip(found) {
                let rows = values.chunks(width).enumerate();
                let mut all: Vec<(f64, usize)> = rows
                    .map(|(number, row)| (naive_score(similarity, query, row), number))
                    .collect();
                all.sort_by(|a, b| b.0.total_cmp(&a.0));
                for (found, (score, number)) in found.iter().zip(all) {
                    assert_eq!(found.number, number, "{similarity:?}");
                    assert!((f64::from(found.score) - score).abs() < 1e-5);
                }
            }
        }
    }

    #[test]
    fn equal_vectors_come_by_number_wherever_they_stand() {
        let (width, n) = (33, 40_000); // more than one task
        let mut values = naive::values(n * width, 3);
        let query = values[..width].to_vec();
        let places = [0, 5, 1023, 1024, 17_000, 32_768, 39_999];
        for place in places {
            values[place * width..][..width].copy_from_slice(&query);
        }
        for similarity in ALL {
            let index = built(similarity, &values, width);
            let found = &search(&index, &query, 6)[0];
            let equal = found.iter().map(|found| found.number);
            if similarity != Similarity::Dot {
                assert!(equal.eq(places[..6].iter().copied()), "{found:?}");
                assert_eq!(found[0].score, found[5].score);
            }
            // Among many queries each has the score, to the bit, that it has alone.
            let many = search(&index, &values[..130 * width], 6);
            assert_eq!(&many[0], found);
        }
    }

    #[test]
    fn threads_change_no_bit() {
        let (width, n) = (24, 5000);
        let (values, queries) = (naive::values(n * width, 4), naive::values(200 * width, 5));
        let index = built(Similarity::Cosine, &values, width);
        let on = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
            let pool = pool.build().expect("threads");
            pool.install(|| search(&index, &queries, 9))
        };
        let one = on(1);
        assert!(one == on(2) && one == on(4));
    }

    #[test]
    fn a_vector_of_zeros_has_cosine_0_and_bad_requests_are_refused() {
        let mut index = built(Similarity::Cosine, &[1.0, 0.0, 0.0, 0.0, -1.0, 1.0], 2);
        let found = search(&index, &[2.0, 0.0], 3).remove(0);
        let numbers: Vec<usize> = found.iter().map(|found| found.number).collect();
        assert_eq!(numbers, [0, 1, 2]);
        assert_eq!(found[1].score, 0.0);
        let vectors = |values: &'static [f32], width| -> Items {
            Vectors::new(values, width).expect("whole rows").into()
        };
        let refused = |result: Result<Vec<Vec<Neighbour>>>| {
            let error = result.expect_err("refused");
            (error.to_string(), error.hint().map(str::to_owned))
        };
        let (message, hint) = refused(index.search(vectors(&[1.0, 0.0], 2), 4));
        assert_eq!(message, "the 4 nearest were asked for, the index holds 3");
        assert_eq!(hint.as_deref(), Some("ask for 3 or fewer"));
        let (message, _) = refused(index.search(vectors(&[1.0, 0.0], 2), 0));
        assert_eq!(message, "the 0 nearest were asked for");
        let (message, _) = refused(index.search(vectors(&[1.0; 3], 3), 1));
        assert_eq!(
            message,
            "the index holds vectors of 2 numbers, found vectors of 3"
        );
        let error = index.add(vectors(&[1.0; 3], 3)).expect_err("another width");
        assert!(error.to_string().contains("found vectors of 3"), "{error}");
        assert_eq!(index.len(), 3);
        let mut long = Exact::new(Similarity::Dot, 1);
        let error = long.add(vectors(&[1e30], 1)).expect_err("too long");
        assert!(error.to_string().contains("overflows") && long.is_empty());
    }

    #[test]
    fn what_is_saved_is_read_back_and_finds_the_same() {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let path = folder.path().join("index");
        let (values, queries) = (naive::values(500 * 6, 6), naive::values(10 * 6, 7));
        for similarity in ALL {
            let index = built(similarity, &values, 6);
            index.save(&path).expect("room");
            let read = super::super::open(&path).expect("the index");
            assert_eq!(
                (read.kind(), read.len(), read.width()),
                (Kind::Exact, 500, 6)
            );
            let queries = Vectors::new(&queries, 6).expect("whole rows");
            let found = read.search(queries.into(), 5).expect("enough vectors");
            assert_eq!(
                found,
                index.search(queries.into(), 5).expect("enough vectors")
            );
        }
    }
}
