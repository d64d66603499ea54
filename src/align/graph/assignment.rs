//! Linear assignment: each row a column of its own, so that the sum of the scores is greatest.
//!
//! Dense and square: the crate `lapjv` (Jonker and Volgenant 1987). Sparse and rectangular, where a row may stay
//! without a column: shortest augmenting paths over candidate lists (the crates on offer are dense or for integers).

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use ndarray::ArrayView2;

use crate::error::{Error, Result};

/// The column of each row in the best assignment of a square matrix of scores.
pub(super) fn dense(scores: ArrayView2<f32>) -> Result<Vec<usize>> {
    let n = scores.nrows();
    let costs: Vec<f64> = scores.iter().map(|&score| -f64::from(score)).collect();
    let costs = lapjv::Matrix::from_shape_vec((n, n), costs)
        .map_err(|error| Error::Unexpected(format!("assignment: {error}")))?;
    let (columns, _) =
        lapjv::lapjv(&costs).map_err(|error| Error::Unexpected(format!("assignment: {error}")))?;
    Ok(columns)
}

/// A distance in the order of a heap.
#[derive(PartialEq, PartialOrd)]
struct Distance(f64);
impl Eq for Distance {}
#[expect(
    clippy::derive_ord_xor_partial_ord,
    reason = "a total order where no value is NaN"
)]
impl Ord for Distance {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

/// The best assignment where each row may take one of its candidates (column, score), each column once, or nothing
/// at the score `nothing`.
///
/// Rows are added one by one; each takes the shortest augmenting path by reduced costs (Dijkstra), which keeps the
/// duals feasible, so that the result is optimal over the candidates.
pub(super) fn sparse(
    candidates: &[Vec<(u32, f32)>],
    n_columns: usize,
    nothing: f32,
) -> Vec<Option<u32>> {
    let mut search = Sparse {
        candidates,
        nothing: f64::from(nothing),
        price: vec![0.0; n_columns],
        row_of: vec![None; n_columns],
        column_of: vec![None; candidates.len()],
        distance: vec![f64::INFINITY; n_columns],
        previous: vec![0; n_columns],
        touched: Vec::new(),
        done: Vec::new(),
        heap: BinaryHeap::new(),
    };
    for row in 0..candidates.len() {
        search.add(row);
    }
    search.column_of
}

/// What a type of `count` tokens weighs where two want the same plaintext type.
pub fn weight(count: f64) -> f32 {
    count.max(1.0).powf(0.3) as f32
}

/// As [`sparse`], where a row counts as much as its weight, and its score is above 0 by as much as a column is better
/// than nothing: of two rows that want the same column the one that loses more keeps it.
pub fn weighed(
    candidates: &[Vec<(u32, f32)>],
    weights: &[f32],
    n_columns: usize,
) -> Vec<Option<u32>> {
    let weighed: Vec<Vec<(u32, f32)>> = candidates
        .iter()
        .zip(weights)
        .map(|(candidates, weight)| {
            let scores = candidates.iter();
            scores
                .map(|&(column, score)| (column, weight * score))
                .collect()
        })
        .collect();
    sparse(&weighed, n_columns, 0.0)
}

struct Sparse<'a> {
    candidates: &'a [Vec<(u32, f32)>],
    nothing: f64,
    /// Dual of a column: what a row pays besides the cost; 0 while the column is free.
    price: Vec<f64>,
    row_of: Vec<Option<usize>>,
    column_of: Vec<Option<u32>>,
    distance: Vec<f64>,
    previous: Vec<usize>,
    touched: Vec<u32>,
    done: Vec<u32>,
    heap: BinaryHeap<Reverse<(Distance, u32)>>,
}

impl Sparse<'_> {
    /// What a row gains from a column after its price.
    fn gain(&self, column: u32, score: f32) -> f64 {
        f64::from(score) - self.price[column as usize]
    }

    /// The gain of the row where it stands: that of its column, or of nothing.
    fn held(&self, row: usize) -> f64 {
        let Some(own) = self.column_of[row] else {
            return self.nothing;
        };
        let found = self.candidates[row].iter().find(|entry| entry.0 == own);
        let &(_, score) = found.expect("a row holds one of its candidates");
        self.gain(own, score)
    }

    fn relax(&mut self, row: usize, at: f64, base: f64) {
        for &(column, score) in &self.candidates[row] {
            let reduced = at + (base - self.gain(column, score));
            let known = &mut self.distance[column as usize];
            if reduced < *known {
                if known.is_infinite() {
                    self.touched.push(column);
                }
                *known = reduced;
                self.previous[column as usize] = row;
                self.heap.push(Reverse((Distance(reduced), column)));
            }
        }
    }

    fn add(&mut self, row: usize) {
        // Distances are losses against `nothing` for the new row; the path ends at a free column, or at a row
        // that gives its column up for nothing.
        self.relax(row, 0.0, self.nothing);
        // (loss, row that ends with nothing)
        let mut best_end = (0.0, row);
        let mut free = None;
        while let Some(Reverse((Distance(at), column))) = self.heap.pop() {
            if at >= best_end.0 {
                break;
            }
            if at > self.distance[column as usize] {
                continue;
            }
            let Some(owner) = self.row_of[column as usize] else {
                free = Some((at, column));
                break;
            };
            self.done.push(column);
            let held = self.held(owner);
            let to_nothing = at + (held - self.nothing);
            if to_nothing < best_end.0 {
                best_end = (to_nothing, owner);
            }
            self.relax(owner, at, held);
        }
        let end = free.map_or(best_end.0, |(at, _)| at);
        for &column in &self.done {
            let passed = end - self.distance[column as usize];
            if passed > 0.0 {
                self.price[column as usize] += passed;
            }
        }
        match free {
            Some((_, column)) => self.turn(row, column),
            None if best_end.1 != row => {
                let freed = self.column_of[best_end.1].take();
                self.turn(row, freed.expect("the row held the column of its path"));
            }
            None => {}
        }
        for column in self.touched.drain(..) {
            self.distance[column as usize] = f64::INFINITY;
        }
        self.done.clear();
        self.heap.clear();
    }

    /// Hands the columns on along the path that ends at `column`.
    fn turn(&mut self, first: usize, mut column: u32) {
        loop {
            let row = self.previous[column as usize];
            let before = self.column_of[row].replace(column);
            self.row_of[column as usize] = Some(row);
            match before {
                Some(next) if row != first => column = next,
                _ => break,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;
    use rand::RngExt;
    use rand::seq::SliceRandom;

    use super::*;
    use crate::random::Key;

    /// The best sum over all ways to give each row from `row` on a free column, or nothing where `nothing` says so.
    fn brute_force(
        scores: &Array2<f32>,
        nothing: Option<f32>,
        row: usize,
        used: &mut [bool],
    ) -> f32 {
        if row == scores.nrows() {
            return 0.0;
        }
        let mut best = f32::NEG_INFINITY;
        if let Some(nothing) = nothing {
            best = nothing + brute_force(scores, Some(nothing), row + 1, used);
        }
        for column in 0..scores.ncols() {
            if !used[column] {
                used[column] = true;
                let rest = brute_force(scores, nothing, row + 1, used);
                best = best.max(scores[(row, column)] + rest);
                used[column] = false;
            }
        }
        best
    }

    /// Sixteenths, so that sums are exact.
    fn random_scores(rows: usize, columns: usize, key: Key) -> Array2<f32> {
        let mut rng = key.rng();
        Array2::from_shape_simple_fn((rows, columns), || rng.random_range(-16..32) as f32 / 16.0)
    }

    fn candidates(scores: &Array2<f32>) -> Vec<Vec<(u32, f32)>> {
        let rows = scores.rows().into_iter();
        rows.map(|row| (0..).zip(row.iter().copied()).collect())
            .collect()
    }

    /// The sum of an assignment; every column is given once.
    fn sum_of(scores: &Array2<f32>, columns: &[Option<u32>], nothing: f32) -> f32 {
        let mut given: Vec<_> = columns.iter().flatten().collect();
        given.sort_unstable();
        assert!(
            given.windows(2).all(|pair| pair[0] != pair[1]),
            "{columns:?}"
        );
        let rows = columns.iter().enumerate();
        rows.map(|(row, column)| column.map_or(nothing, |c| scores[(row, c as usize)]))
            .sum()
    }

    #[test]
    fn as_good_as_brute_force() {
        for n in 1..=8 {
            let scores = random_scores(n, n, Key::from_seed(n as u64));
            let best = brute_force(&scores, None, 0, &mut vec![false; n]);
            let found = dense(scores.view()).expect("square");
            let found: Vec<_> = found
                .into_iter()
                .map(|column| Some(column as u32))
                .collect();
            assert_eq!(sum_of(&scores, &found, 0.0), best);
            let found = sparse(&candidates(&scores), n, -100.0);
            assert_eq!(sum_of(&scores, &found, -100.0), best);
        }
    }

    #[test]
    fn rows_may_stay_without_a_column() {
        for (seed, (rows, columns)) in [(6, 4), (4, 6), (5, 5), (1, 3), (3, 1)]
            .into_iter()
            .enumerate()
        {
            for nothing in [-0.5, 0.0, 0.5, 1.0] {
                let scores = random_scores(rows, columns, Key::from_seed(100 + seed as u64));
                let best = brute_force(&scores, Some(nothing), 0, &mut vec![false; columns]);
                let found = sparse(&candidates(&scores), columns, nothing);
                assert_eq!(sum_of(&scores, &found, nothing), best);
            }
        }
        assert_eq!(sparse(&[Vec::new()], 0, 0.0), [None]);
    }

    #[test]
    fn a_planted_optimum_of_500_rows_is_found() {
        // score = u + v on the planted pairs, less elsewhere: no assignment can beat the planted one.
        let n = 500;
        let mut rng = Key::from_seed(5).rng();
        let mut planted: Vec<usize> = (0..n).collect();
        planted.shuffle(&mut rng);
        let u: Vec<f32> = (0..n).map(|_| rng.random()).collect();
        let v: Vec<f32> = (0..n).map(|_| rng.random()).collect();
        let scores = Array2::from_shape_fn((n, n), |(i, j)| {
            let less = if planted[i] == j {
                0.0
            } else {
                0.01 + rng.random::<f32>()
            };
            u[i] + v[j] - less
        });
        assert_eq!(dense(scores.view()).expect("square"), planted);
        let found = sparse(&candidates(&scores), n, -10.0);
        let found: Vec<_> = found.into_iter().map(|c| c.map(|c| c as usize)).collect();
        let planted: Vec<_> = planted.into_iter().map(Some).collect();
        assert_eq!(found, planted);
    }
}
