//! Scaled dot-product attention over packed rows (Vaswani et al. 2017): each row attends to itself only.
//!
//! In: q of the tokens that ask, k and v of all tokens, each (tokens × H) of A heads. Out: context, as q. Packed rows have
//! no padding, so there are no masks; a query may see a prefix of its row alone, and keys and values may depend on how far they
//! are from it ([`super::relative`]). Rows are short (tens of tokens), so the scores of a row fit in the first cache; they
//! are computed by one thread, row by row.

use multiversion::multiversion;

use super::buffer::Buffer;
use super::dropout::Dropout;
use super::relative::{Relative, RelativeRow};
use super::vector;

/// Sizes of one attention over consecutive rows of a batch.
#[derive(Debug, Clone, Copy)]
pub struct Attention<'a> {
    /// Row r has k and v at tokens `offsets[r]..offsets[r + 1]`.
    pub offsets: &'a [usize],
    /// Row r has q and context at `query_offsets[r]..query_offsets[r + 1]`; the same as `offsets` where all ask.
    pub query_offsets: &'a [usize],
    /// How many tokens of its row, from the first, each query sees, (queries), from 1; `None` where all see all.
    pub visible: Option<&'a [u32]>,
    /// What distances add to keys and values; `None` where they do not matter.
    pub relative: Option<Relative<'a>>,
    /// Number of row 0 in the batch: names its dropout mask.
    pub first_row: usize,
    /// H.
    pub hidden: usize,
    /// A; divides H.
    pub heads: usize,
    /// Dropout of the probabilities.
    pub dropout: Option<Dropout>,
}

/// q, k and v, or their gradients.
#[derive(Debug)]
pub struct Qkv {
    /// (queries × H).
    pub query: Buffer<f32>,
    /// (tokens × H).
    pub key: Buffer<f32>,
    /// (tokens × H).
    pub value: Buffer<f32>,
}

/// What later tokens need of a layer's tokens.
#[derive(Debug)]
pub struct KeysAndValues {
    /// (tokens × H).
    pub key: Buffer<f32>,
    /// (tokens × H).
    pub value: Buffer<f32>,
}

impl From<Qkv> for KeysAndValues {
    fn from(Qkv { key, value, .. }: Qkv) -> Self {
        Self { key, value }
    }
}

impl Attention<'_> {
    /// Writes the context (queries × H); returns the probabilities before dropout, for each row and head
    /// (queries × tokens), end to end.
    pub fn forward(&self, qkv: &Qkv, context: &mut [f32]) -> Buffer<f32> {
        let mut probabilities = Buffer::new(self.rows().map(|row| row.n_scores()).sum());
        let mut scratch = Buffer::new(self.scratch(1));
        let mut products = Buffer::new(self.products());
        let mut first = 0;
        for row in self.rows().filter(|row| row.n_scores() > 0) {
            let scores = &mut probabilities[first..first + row.n_scores()];
            first += scores.len();
            let context = &mut context[row.queries()];
            let scratch = [&mut scratch[..], &mut products[..]];
            row_forward(&row, qkv, scores, scratch, context);
        }
        probabilities
    }

    /// From d_context (queries × H) to the gradients of q, k and v.
    pub fn backward(&self, qkv: &Qkv, probabilities: &[f32], d_context: &[f32]) -> Qkv {
        let mut gradient = Qkv {
            query: Buffer::new(qkv.query.len()),
            key: Buffer::new(qkv.key.len()),
            value: Buffer::new(qkv.value.len()),
        };
        let mut scratch = Buffer::new(self.scratch(2));
        let mut products = Buffer::new(self.products());
        let mut first = 0;
        for row in self.rows().filter(|row| row.n_keys > 0) {
            let scores = &probabilities[first..first + row.n_scores()];
            first += scores.len();
            let d_context = &d_context[row.queries()];
            let scratch = [&mut scratch[..], &mut products[..]];
            row_backward(&row, qkv, scores, d_context, scratch, &mut gradient);
        }
        gradient
    }

    fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        let bounds = self.offsets.windows(2).zip(self.query_offsets.windows(2));
        bounds.enumerate().map(|(row, (keys, queries))| Row {
            hidden: self.hidden,
            heads: self.heads,
            first_key: keys[0],
            n_keys: keys[1] - keys[0],
            first_query: queries[0],
            n_queries: queries[1] - queries[0],
            visible: self.visible.map(|visible| &visible[queries[0]..queries[1]]),
            relative: self
                .relative
                .map(|relative| relative.row(keys[0]..keys[1], queries[0]..queries[1])),
            dropout: self
                .dropout
                .map(|dropout| dropout.at((self.first_row + row) as u64)),
        })
    }

    /// Room for the transposed keys or values of one head of the largest row, and for its scores so many `times`.
    fn scratch(&self, times: usize) -> usize {
        let of_row = |row: Row| row.transposed() + times * row.n_queries * row.n_keys;
        self.rows().map(of_row).max().unwrap_or(0)
    }

    /// Room for products with the vectors of distances.
    fn products(&self) -> usize {
        self.relative.map_or(0, |relative| relative.table.scratch())
    }
}

/// One row of the batch.
struct Row<'a> {
    hidden: usize,
    heads: usize,
    first_key: usize,
    n_keys: usize,
    first_query: usize,
    n_queries: usize,
    visible: Option<&'a [u32]>,
    relative: Option<RelativeRow<'a>>,
    dropout: Option<Dropout>,
}

impl Row<'_> {
    /// Scores of all heads.
    fn n_scores(&self) -> usize {
        self.heads * self.n_queries * self.n_keys
    }

    /// Where the row lies in q and context.
    fn queries(&self) -> std::ops::Range<usize> {
        self.first_query * self.hidden..(self.first_query + self.n_queries) * self.hidden
    }

    /// Where the row lies in k and v.
    fn keys(&self) -> std::ops::Range<usize> {
        self.first_key * self.hidden..(self.first_key + self.n_keys) * self.hidden
    }

    /// Elements of the row's token `i` that belong to `head`.
    #[inline(always)]
    fn part(&self, head: usize, i: usize) -> std::ops::Range<usize> {
        let size = self.hidden / self.heads;
        i * self.hidden + head * size..i * self.hidden + (head + 1) * size
    }

    /// Where the scores of `head` lie within the row's.
    #[inline(always)]
    fn scores(&self, head: usize) -> std::ops::Range<usize> {
        let size = self.n_queries * self.n_keys;
        head * size..(head + 1) * size
    }

    /// Keys that query `i` sees.
    #[inline(always)]
    fn n_visible(&self, i: usize) -> usize {
        self.visible
            .map_or(self.n_keys, |visible| visible[i] as usize)
    }

    /// Values of one head's keys, transposed.
    fn transposed(&self) -> usize {
        self.hidden / self.heads * vector::padded(self.n_keys)
    }

    /// Applies the dropout of `head` to its probabilities or their gradient.
    #[inline(always)]
    fn drop_out(&self, head: usize, values: &mut [f32]) {
        if let Some(dropout) = self.dropout {
            // One 64-bit draw serves four scores.
            let size = (self.n_queries * self.n_keys).next_multiple_of(4);
            dropout.apply_from((head * size) as u64, values);
        }
    }

    /// Factor of the products of queries and keys.
    #[inline(always)]
    fn scale(&self) -> f32 {
        1.0 / ((self.hidden / self.heads) as f32).sqrt()
    }
}

#[multiversion(targets = "simd")]
fn row_forward(
    row: &Row,
    qkv: &Qkv,
    probabilities: &mut [f32],
    [scratch, products]: [&mut [f32]; 2],
    context: &mut [f32],
) {
    let (n_keys, scale) = (row.n_keys, row.scale());
    let size = row.hidden / row.heads;
    let q = &qkv.query[row.queries()];
    let (k, v) = (&qkv.key[row.keys()], &qkv.value[row.keys()]);
    let (keys, scratch) = scratch.split_at_mut(row.transposed());
    for head in 0..row.heads {
        let (part, first) = (|i: usize| row.part(head, i), head * size);
        let scores = &mut probabilities[row.scores(head)];
        vector::transpose((&k[first..], row.hidden), (n_keys, size), keys);
        let sizes = (row.n_queries, n_keys, size);
        vector::dots((&q[first..], row.hidden), sizes, keys, scale, scores);
        if let Some(relative) = &row.relative {
            relative.add_products((&q[first..], row.hidden), scale, products, scores);
        }
        for (i, scores) in scores.chunks_exact_mut(n_keys).enumerate() {
            let (seen, unseen) = scores.split_at_mut(row.n_visible(i));
            vector::softmax(seen);
            unseen.fill(0.0);
        }
        let dropped = &mut scratch[..scores.len()];
        dropped.copy_from_slice(scores);
        row.drop_out(head, dropped);
        for (i, weights) in dropped.chunks_exact(n_keys).enumerate() {
            let (n, values) = (row.n_visible(i), (&v[first..], row.hidden));
            let context = &mut context[part(i)];
            vector::weighted_sum(n, (weights, 1), values, context);
            if let Some(relative) = &row.relative {
                relative.add_sum(i, &weights[..n], context);
            }
        }
    }
}

#[multiversion(targets = "simd")]
fn row_backward(
    row: &Row,
    qkv: &Qkv,
    probabilities: &[f32],
    d_context: &[f32],
    [scratch, products]: [&mut [f32]; 2],
    gradient: &mut Qkv,
) {
    let (n_keys, n_queries, scale) = (row.n_keys, row.n_queries, row.scale());
    let q = &qkv.query[row.queries()];
    let (k, v) = (&qkv.key[row.keys()], &qkv.value[row.keys()]);
    let dq = &mut gradient.query[row.queries()];
    let (dk, dv) = (
        &mut gradient.key[row.keys()],
        &mut gradient.value[row.keys()],
    );
    if n_queries == 0 {
        dk.fill(0.0);
        dv.fill(0.0);
        return;
    }
    let size = row.hidden / row.heads;
    let (values, scratch) = scratch.split_at_mut(row.transposed());
    let (dropped, d_scores) = scratch.split_at_mut(scratch.len() / 2);
    for head in 0..row.heads {
        let first = head * size;
        let part = |i: usize| row.part(head, i);
        let weights = &probabilities[row.scores(head)];
        let (dropped, d_scores) = (
            &mut dropped[..weights.len()],
            &mut d_scores[..weights.len()],
        );
        dropped.copy_from_slice(weights);
        row.drop_out(head, dropped);
        vector::transpose((&v[first..], row.hidden), (n_keys, size), values);
        let (rows, sizes) = ((&d_context[first..], row.hidden), (n_queries, n_keys, size));
        vector::dots(rows, sizes, values, 1.0, d_scores);
        if let Some(relative) = &row.relative {
            relative.add_products(rows, 1.0, products, d_scores);
        }
        row.drop_out(head, d_scores);
        let lines = weights
            .chunks_exact(n_keys)
            .zip(d_scores.chunks_exact_mut(n_keys));
        for (i, (weights, d_scores)) in lines.enumerate() {
            let n_visible = row.n_visible(i);
            let (d_scores, unseen) = d_scores.split_at_mut(n_visible);
            let weights = &weights[..n_visible];
            let along = vector::dot(weights, d_scores);
            for (d_score, &weight) in d_scores.iter_mut().zip(weights) {
                *d_score = weight * (*d_score - along) * scale;
            }
            unseen.fill(0.0);
            let keys = (&k[first..], row.hidden);
            let dq = &mut dq[part(i)];
            vector::weighted_sum(n_visible, (d_scores, 1), keys, dq);
            if let Some(relative) = &row.relative {
                relative.add_sum(i, d_scores, dq);
            }
        }
        for j in 0..n_keys {
            let (d_scores, dropped) = (&d_scores[j..], &dropped[j..]);
            let (asked, given) = ((&q[first..], row.hidden), (&d_context[first..], row.hidden));
            vector::weighted_sum(n_queries, (d_scores, n_keys), asked, &mut dk[part(j)]);
            vector::weighted_sum(n_queries, (dropped, n_keys), given, &mut dv[part(j)]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::naive;
    use crate::kernels::relative::RelativeTable;
    use crate::random::Key;

    /// Offsets of tokens, offsets of queries, hidden, heads.
    fn cases() -> [(Vec<usize>, Vec<usize>, usize, usize); 5] {
        [
            (vec![0, 1], vec![0, 1], 4, 2),
            (vec![0, 3, 4, 9], vec![0, 3, 4, 9], 6, 1),
            (vec![0, 5, 5, 7], vec![0, 5, 5, 7], 10, 5),
            (vec![0, 2, 5], vec![0, 2, 5], 34, 2),
            (vec![0, 4, 6, 9], vec![0, 1, 1, 3], 8, 2), // fewer ask than are asked
        ]
    }

    /// A number from 1 to the length of its row for each query.
    fn some_visible(offsets: &[usize], query_offsets: &[usize]) -> Vec<u32> {
        let key = Key::from_seed(6);
        let bounds = offsets.windows(2).zip(query_offsets.windows(2));
        let of_row = |(keys, queries): (&[usize], &[usize])| -> Vec<u32> {
            let n_keys = (keys[1] - keys[0]) as u64;
            let draw = |query| 1 + (key.bits(query as u64) % n_keys) as u32;
            (queries[0]..queries[1]).map(draw).collect()
        };
        bounds.flat_map(of_row).collect()
    }

    /// Positions of keys and of queries: those of each row from 0 on, of queries any of these; in every second row two are swapped.
    fn some_positions(offsets: &[usize], query_offsets: &[usize]) -> [Vec<u32>; 2] {
        let (mut keys, mut queries) = (Vec::new(), Vec::new());
        let bounds = offsets.windows(2).zip(query_offsets.windows(2));
        for (row, (of_row, asking)) in bounds.enumerate() {
            let n = (of_row[1] - of_row[0]) as u32;
            let mut positions: Vec<u32> = (0..n).collect();
            if row % 2 == 1 && n > 2 {
                positions.swap(1, 2);
            }
            queries.extend((0..asking[1] - asking[0]).map(|i| positions[i * 2 % positions.len()]));
            keys.extend(positions);
        }
        [keys, queries]
    }

    #[test]
    fn forward_and_backward_equal_their_naive_twins_with_and_without_dropout_and_prefixes() {
        for (case, is_prefix, max) in (0..4 * cases().len())
            .map(|i| (i / 4, i % 2 == 1, (i % 4 > 1).then_some(1 + i / 4 % 3)))
        {
            let (offsets, query_offsets, hidden, heads) = cases()[case].clone();
            let visible = some_visible(&offsets, &query_offsets);
            let [keys, queries] = some_positions(&offsets, &query_offsets);
            let size = hidden / heads;
            let table =
                max.map(|max| RelativeTable::new(naive::values((2 * max + 1) * size, 7), size));
            let n = |offsets: &[usize]| offsets[offsets.len() - 1] * hidden;
            let (q, d_context) = (
                naive::values(n(&query_offsets), 1),
                naive::values(n(&query_offsets), 4),
            );
            let (k, v) = (naive::values(n(&offsets), 2), naive::values(n(&offsets), 3));
            for rate in [0.0, 0.3] {
                let dropout = Dropout::new(rate, Key::from_seed(5));
                let attention = Attention {
                    offsets: &offsets,
                    query_offsets: &query_offsets,
                    visible: is_prefix.then_some(&visible[..]),
                    relative: table.as_ref().map(|table| Relative {
                        table,
                        keys: &keys,
                        queries: &queries,
                    }),
                    first_row: 3,
                    hidden,
                    heads,
                    dropout,
                };
                let expected =
                    |q: &[f32], k: &[f32], v: &[f32]| naive::attention(&attention, [q, k, v]);
                let qkv = Qkv {
                    query: Buffer::from_slice(&q),
                    key: Buffer::from_slice(&k),
                    value: Buffer::from_slice(&v),
                };
                let mut context = vec![f32::NAN; q.len()];
                let probabilities = attention.forward(&qkv, &mut context);
                naive::assert_close(&context, &expected(&q, &k, &v), 1e-5);

                let gradient = attention.backward(&qkv, &probabilities, &d_context);
                let loss = |context: Vec<f32>| -> f64 {
                    let products = context.iter().zip(&d_context);
                    products.map(|(x, d)| f64::from(*x) * f64::from(*d)).sum()
                };
                let numeric = naive::gradient(&q, 1e-2, |q| loss(expected(q, &k, &v)));
                naive::assert_close(&gradient.query, &numeric, 1e-3);
                let numeric = naive::gradient(&k, 1e-2, |k| loss(expected(&q, k, &v)));
                naive::assert_close(&gradient.key, &numeric, 1e-3);
                let numeric = naive::gradient(&v, 1e-2, |v| loss(expected(&q, &k, v)));
                naive::assert_close(&gradient.value, &numeric, 1e-3);
            }
        }
    }

    #[test]
    fn what_a_query_does_not_see_does_not_change_a_bit() {
        let attention = Attention {
            offsets: &[0, 20],
            query_offsets: &[0, 20],
            visible: Some(&[3; 20]),
            relative: None,
            first_row: 0,
            hidden: 8,
            heads: 2,
            dropout: None,
        };
        let context = |last: f32| {
            let [query, key, mut value] = [1, 2, 3].map(|seed| naive::values(20 * 8, seed));
            let mut key = key;
            for x in key[3 * 8..].iter_mut().chain(&mut value[3 * 8..]) {
                *x = last;
            }
            let [query, key, value] = [query, key, value].map(|x| Buffer::from_slice(&x));
            let mut context = vec![f32::NAN; 20 * 8];
            attention.forward(&Qkv { query, key, value }, &mut context);
            context
        };
        assert_eq!(context(1.0), context(-40.0));
    }
}
