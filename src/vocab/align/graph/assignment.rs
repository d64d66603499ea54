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
