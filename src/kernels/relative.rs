//! Relative positions of attention: a vector for the distance from a query to a key is added to the key in the scores, and to the
//! value in the context (Shaw et al. 2018, <https://arxiv.org/abs/1803.02155>; fixed vectors in NEZHA, Wei et al. 2019,
//! <https://arxiv.org/abs/1909.00204>).
//!
//! In: a table R of one vector a distance, of the size of a head, and the positions of queries and keys. Out: `a · R[key - query]`
//! added to products, and `Σ w R[key - query]` added to sums: forward and backward are these two. The table is fixed, so
//! there is no gradient for it. Distances are clipped at both ends of the table.
//!
//! Where keys stand at consecutive positions, as nearly always, the rows of R that a query needs lie side by side: neither of the two
//! looks up single rows.

use std::ops::Range;

use super::vector;

/// Queries whose products are made at a time.
const BLOCK: usize = vector::ROWS;

/// The vectors of all distances.
#[derive(Debug)]
pub struct RelativeTable {
    /// Elements of a vector: those of a head.
    size: usize,
    /// Of the distances from -max to max, (2 max + 1 × size).
    rows: Vec<f32>,
    /// The same as columns, (size × stride).
    columns: Vec<f32>,
    stride: usize,
}

impl RelativeTable {
    /// Of vectors of `size` for the distances from -max to max, (2 max + 1 × size).
    pub fn new(rows: Vec<f32>, size: usize) -> Self {
        let n = rows.len() / size;
        // Whole lanes are read from any column on.
        let stride = vector::padded(n) + vector::padded(1);
        let mut columns = vec![0.0; size * stride];
        for (number, row) in rows.chunks_exact(size).enumerate() {
            for (d, &value) in row.iter().enumerate() {
                columns[d * stride + number] = value;
            }
        }
        Self {
            size,
            rows,
            columns,
            stride,
        }
    }

    /// The number of the last row.
    fn last(&self) -> i64 {
        (self.rows.len() / self.size) as i64 - 1
    }

    /// The row of a distance.
    #[inline(always)]
    fn row_of(&self, key: i64, query: i64) -> usize {
        let last = self.last();
        (key - query + last / 2).clamp(0, last) as usize
    }

    /// Room that [`RelativeRow::add_products`] needs, whatever the row.
    pub fn scratch(&self) -> usize {
        BLOCK * self.rows.len() / self.size
    }

    /// The vector of the distance from a query to a key.
    #[cfg(test)]
    pub fn vector(&self, query: u32, key: u32) -> &[f32] {
        let row = self.row_of(i64::from(key), i64::from(query));
        &self.rows[row * self.size..(row + 1) * self.size]
    }
}

/// The positions of an attention over some rows of a batch.
#[derive(Debug, Clone, Copy)]
pub struct Relative<'a> {
    /// Vectors of the distances.
    pub table: &'a RelativeTable,
    /// In its row, of each token, (tokens).
    pub keys: &'a [u32],
    /// In its row, of each token that asks, (queries).
    pub queries: &'a [u32],
}

impl<'a> Relative<'a> {
    /// Of one row.
    pub fn row(&self, keys: Range<usize>, queries: Range<usize>) -> RelativeRow<'a> {
        RelativeRow::new(self.table, &self.keys[keys], &self.queries[queries])
    }
}

/// The positions of one row.
#[derive(Debug)]
pub struct RelativeRow<'a> {
    table: &'a RelativeTable,
    queries: &'a [u32],
    n_keys: usize,
    /// The keys, cut where their positions do not go on.
    runs: Vec<Run>,
    /// Lowest and highest position of a key.
    bounds: (i64, i64),
}

/// Keys at consecutive positions.
#[derive(Debug)]
struct Run {
    keys: Range<usize>,
    /// Of the first key.
    position: i64,
}

/// How the keys of a run lie to one query.
struct Span {
    /// So many from the first are as far before the query as the table goes, or farther.
    before: usize,
    /// From this one on they are as far behind it.
    behind: usize,
    /// Row of the table of the first between these two, where there is one.
    first: usize,
}

impl<'a> RelativeRow<'a> {
    /// Of keys and queries at these positions.
    pub fn new(table: &'a RelativeTable, keys: &[u32], queries: &'a [u32]) -> Self {
        let mut first = 0;
        let follows = |one: &u32, next: &u32| one.checked_add(1) == Some(*next);
        let run = |run: &[u32]| {
            let keys = first..first + run.len();
            first = keys.end;
            let position = i64::from(run[0]);
            Run { keys, position }
        };
        let runs: Vec<Run> = keys.chunk_by(follows).map(run).collect();
        let lowest = runs.iter().map(|run| run.position).min();
        let highest = runs
            .iter()
            .map(|run| run.position + run.keys.len() as i64 - 1)
            .max();
        Self {
            table,
            queries,
            n_keys: keys.len(),
            runs,
            bounds: (lowest.unwrap_or(0), highest.unwrap_or(0)),
        }
    }

    /// Room that [`RelativeRow::add_products`] needs.
    pub fn scratch(&self) -> usize {
        self.table.scratch()
    }

    #[inline(always)]
    fn span(&self, run: &Run, query: u32) -> Span {
        let (last, length) = (self.table.last(), run.keys.len() as i64);
        // Row of the first key, were the table long enough.
        let shift = run.position - i64::from(query) + last / 2;
        let before = (-shift).clamp(0, length);
        Span {
            before: before as usize,
            behind: (last + 1 - shift).clamp(before, length) as usize,
            first: (shift + before).clamp(0, last) as usize,
        }
    }

    /// `out[i × keys + j] += scale × row i of rows · R[key j - query i]`. `rows` are of the size of a head, one a query, so many
    /// elements apart as their second part says. `products` is room of [`RelativeTable::scratch`].
    #[inline(always)]
    pub fn add_products(
        &self,
        (rows, stride): (&[f32], usize),
        scale: f32,
        products: &mut [f32],
        out: &mut [f32],
    ) {
        let table = self.table;
        let lines = out.chunks_mut(BLOCK * self.n_keys);
        for (block, (queries, out)) in self.queries.chunks(BLOCK).zip(lines).enumerate() {
            let positions = queries.iter().map(|&query| i64::from(query));
            let farthest = |low: (i64, i64), query| (low.0.min(query), low.1.max(query));
            let (least, most) = positions.fold((i64::MAX, i64::MIN), farthest);
            // The rows of the table that any of these queries needs.
            let from = table.row_of(self.bounds.0, most);
            let n = table.row_of(self.bounds.1, least) + 1 - from;
            let products = &mut products[..queries.len() * n];
            vector::dots_of_columns(
                (&rows[block * BLOCK * stride..], stride),
                (queries.len(), n, table.size),
                (&table.columns[from..], table.stride),
                scale,
                products,
            );
            let lines = out.chunks_exact_mut(self.n_keys);
            for ((&query, products), out) in queries.iter().zip(products.chunks_exact(n)).zip(lines)
            {
                for run in &self.runs {
                    let span = self.span(run, query);
                    let (near, behind) = out[run.keys.clone()].split_at_mut(span.behind);
                    let (before, near) = near.split_at_mut(span.before);
                    before.iter_mut().for_each(|out| *out += products[0]);
                    if !near.is_empty() {
                        vector::add(near, &products[span.first - from..]);
                    }
                    behind.iter_mut().for_each(|out| *out += products[n - 1]);
                }
            }
        }
    }

    /// `out += Σ weights[j] R[key j - query i]`, over as many keys as there are weights.
    #[inline(always)]
    pub fn add_sum(&self, i: usize, weights: &[f32], out: &mut [f32]) {
        let (size, rows) = (self.table.size, &self.table.rows[..]);
        for run in &self.runs {
            let weights = &weights[run.keys.start.min(weights.len())..];
            let weights = &weights[..run.keys.len().min(weights.len())];
            let span = self.span(run, self.queries[i]);
            let (near, behind) = weights.split_at(span.behind.min(weights.len()));
            let (before, near) = near.split_at(span.before.min(near.len()));
            if !before.is_empty() {
                vector::add_scaled(out, vector::sum(before), &rows[..size]);
            }
            let of_near = (&rows[span.first * size..], size);
            vector::add_weighted_sum(near.len(), (near, 1), of_near, out);
            if !behind.is_empty() {
                vector::add_scaled(out, vector::sum(behind), &rows[rows.len() - size..]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::naive;

    const SIZE: usize = 6;

    /// Positions of keys and of queries: a whole row, some of a long one, a blank filled in the middle, none in order.
    fn cases() -> [(Vec<u32>, Vec<u32>); 5] {
        let long: Vec<u32> = (0..40).collect();
        [
            (vec![0], vec![0]),
            ((0..9).collect(), (0..9).collect()),
            (long.clone(), vec![39, 0, 7, 8, 8, 20, 31]),
            (vec![0, 1, 4, 5, 6, 2, 3, 7], (0..8).collect()),
            (vec![9, 3, 30, 3, 0], vec![30, 0]),
        ]
    }

    #[test]
    fn products_and_sums_of_any_positions_are_those_of_single_vectors() {
        for max in [0, 1, 4, 64] {
            let table = naive::values((2 * max + 1) * SIZE, 1);
            let table = RelativeTable::new(table, SIZE);
            for (keys, queries) in cases() {
                let row = RelativeRow::new(&table, &keys, &queries);
                let (n_keys, stride) = (keys.len(), SIZE + 3);
                let rows = naive::values(queries.len() * stride, 2);
                let before = naive::values(queries.len() * n_keys, 3);
                let mut products = before.clone();
                let mut scratch = vec![f32::NAN; table.scratch()];
                row.add_products((&rows, stride), 0.5, &mut scratch, &mut products);
                for (i, &query) in queries.iter().enumerate() {
                    let vector = |j: usize| table.vector(query, keys[j]);
                    let product = |j: usize| -> f32 {
                        let terms = rows[i * stride..].iter().zip(vector(j));
                        terms.map(|(x, r)| x * r).sum()
                    };
                    let line = i * n_keys..(i + 1) * n_keys;
                    let expected: Vec<f32> = (0..n_keys)
                        .map(|j| before[i * n_keys + j] + 0.5 * product(j))
                        .collect();
                    naive::assert_close(&products[line.clone()], &expected, 1e-5);

                    for n_weights in [n_keys, n_keys / 2] {
                        let weights = &before[line.clone()][..n_weights];
                        let mut sum = naive::values(SIZE, 4);
                        let mut expected = sum.clone();
                        row.add_sum(i, weights, &mut sum);
                        for (j, weight) in weights.iter().enumerate() {
                            let terms = expected.iter_mut().zip(vector(j));
                            terms.for_each(|(sum, r)| *sum += weight * r);
                        }
                        naive::assert_close(&sum, &expected, 1e-5);
                    }
                }
            }
        }
    }

    #[test]
    fn distances_count_from_the_query_to_the_key_and_are_clipped() {
        let table = RelativeTable::new(vec![-2.0, -1.0, 0.0, 1.0, 2.0], 1);
        let distance = |query, key| table.vector(query, key)[0];
        assert_eq!(
            [distance(3, 3), distance(3, 4), distance(3, 2)],
            [0.0, 1.0, -1.0]
        );
        assert_eq!([distance(0, 9), distance(9, 0)], [2.0, -2.0]);
    }
}
