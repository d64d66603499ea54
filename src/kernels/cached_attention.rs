//! Attention of new tokens, one a row, to kept keys and values (Vaswani et al. 2017), forward only.
//!
//! In: a query for each of some rows that read the same source; keys and values of the source, which they share, and of each
//! row's own tokens, up to the new one. Out: context, (rows × H). A new token sees all of them. The scores against the source are
//! products of all queries at once; own keys are few.

use multiversion::multiversion;

use super::buffer::Buffer;
use super::relative::RelativeRow;
use super::vector;

/// Rows that read one source.
#[derive(Debug, Clone, Copy)]
pub struct CachedAttention<'a> {
    /// H.
    pub hidden: usize,
    /// A; divides H.
    pub heads: usize,
    /// Of the source, (tokens × H), one token or more.
    pub source: KeyAndValue<'a>,
    /// Of the rows' own tokens, each (H): (rows × own), row by row, from the first token to the new one.
    pub own: &'a [KeyAndValue<'a>],
    /// What distances add to keys and values, one a row, of its one query to the tokens of the source and then its own; `None`
    /// where they do not matter.
    pub relative: Option<&'a [RelativeRow<'a>]>,
}

/// Keys and values of the same tokens.
#[derive(Debug, Clone, Copy)]
pub struct KeyAndValue<'a> {
    /// (tokens × H).
    pub key: &'a [f32],
    /// (tokens × H).
    pub value: &'a [f32],
}

impl CachedAttention<'_> {
    /// Writes the context of the queries, both (rows × H).
    pub fn forward(&self, query: &[f32], context: &mut [f32]) {
        let (size, n_source) = (
            self.hidden / self.heads,
            self.source.key.len() / self.hidden,
        );
        let n_rows = query.len() / self.hidden;
        let n_own = self.own.len() / n_rows.max(1);
        let mut columns = Buffer::new(size * vector::padded(n_source));
        let mut scores = Buffer::new(n_rows * n_source);
        let mut line = Buffer::new(n_source + n_own);
        let of_row = |rows: &[RelativeRow]| rows.first().map_or(0, RelativeRow::scratch);
        let mut products = Buffer::new(self.relative.map_or(0, of_row));
        for head in 0..self.heads {
            let scratch = [
                &mut columns[..],
                &mut scores[..],
                &mut line[..],
                &mut products[..],
            ];
            head_forward(self, head * size, query, scratch, context);
        }
    }
}

/// The head whose part of a token begins at element `first`.
#[multiversion(targets = "simd")]
fn head_forward(
    of: &CachedAttention,
    first: usize,
    query: &[f32],
    scratch: [&mut [f32]; 4],
    context: &mut [f32],
) {
    let (hidden, size) = (of.hidden, of.hidden / of.heads);
    let scale = 1.0 / (size as f32).sqrt();
    let [columns, scores, line, products] = scratch;
    let (n_rows, n_source) = (query.len() / hidden, of.source.key.len() / hidden);
    let n_own = line.len() - n_source;
    let keys = (&of.source.key[first..], hidden);
    vector::transpose(keys, (n_source, size), columns);
    let (queries, sizes) = ((&query[first..], hidden), (n_rows, n_source, size));
    vector::dots(queries, sizes, columns, scale, scores);
    for (row, of_source) in scores.chunks_exact(n_source).enumerate() {
        let part = row * hidden + first..row * hidden + first + size;
        let own = &of.own[row * n_own..(row + 1) * n_own];
        line[..n_source].copy_from_slice(of_source);
        for (score, token) in line[n_source..].iter_mut().zip(own) {
            let key = &token.key[first..first + size];
            *score = vector::dot(&query[part.clone()], key) * scale;
        }
        let relative = of.relative.map(|rows| &rows[row]);
        if let Some(relative) = relative {
            relative.add_products((&query[part.clone()], hidden), scale, products, line);
        }
        vector::softmax(line);
        let context = &mut context[part];
        let values = (&of.source.value[first..], hidden);
        vector::weighted_sum(n_source, (line, 1), values, context);
        for (weight, token) in line[n_source..].iter().zip(own) {
            vector::add_scaled(context, *weight, &token.value[first..first + size]);
        }
        if let Some(relative) = relative {
            relative.add_sum(0, line, context);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::attention::Attention;
    use crate::kernels::naive;
    use crate::kernels::relative::{Relative, RelativeTable};

    #[test]
    fn a_new_token_attends_as_the_last_token_of_a_whole_row() {
        let sizes = [(4, 2, 1, 1, 1), (66, 1, 5, 3, 2), (34, 2, 19, 4, 7)];
        for (case, is_relative) in [0, 0, 1, 1, 2, 2]
            .into_iter()
            .zip([false, true].into_iter().cycle())
        {
            let (hidden, heads, n_source, n_own, n_rows) = sizes[case];
            let (size, max) = (hidden / heads, 9);
            let table = RelativeTable::new(naive::values((2 * max + 1) * size, 6), size);
            let positions: Vec<u32> = (0..(n_source + n_own) as u32).collect();
            let last = &positions[positions.len() - 1..];
            let rows = (0..n_rows).map(|_| RelativeRow::new(&table, &positions, last));
            let rows: Vec<RelativeRow> = rows.collect();
            let query = naive::values(n_rows * hidden, 1);
            let source = [2, 3].map(|seed| naive::values(n_source * hidden, seed));
            let own = [4, 5].map(|seed| naive::values(n_rows * n_own * hidden, seed));
            let tokens = own[0].chunks(hidden).zip(own[1].chunks(hidden));
            let tokens: Vec<_> = tokens
                .map(|(key, value)| KeyAndValue { key, value })
                .collect();
            let attention = CachedAttention {
                hidden,
                heads,
                source: KeyAndValue {
                    key: &source[0],
                    value: &source[1],
                },
                own: &tokens,
                relative: is_relative.then_some(&rows[..]),
            };
            let mut context = vec![f32::NAN; query.len()];
            attention.forward(&query, &mut context);
            for row in 0..n_rows {
                let tokens = |whole: usize| {
                    let own = &own[whole][row * n_own * hidden..][..n_own * hidden];
                    [&source[whole][..], own].concat()
                };
                let sizes = Attention {
                    offsets: &[0, n_source + n_own],
                    query_offsets: &[0, 1],
                    visible: None,
                    relative: is_relative.then_some(Relative {
                        table: &table,
                        keys: &positions,
                        queries: last,
                    }),
                    first_row: 0,
                    hidden,
                    heads,
                    dropout: None,
                };
                let of_row = row * hidden..(row + 1) * hidden;
                let expected =
                    naive::attention(&sizes, [&query[of_row.clone()], &tokens(0), &tokens(1)]);
                naive::assert_close(&context[of_row], &expected, 1e-5);
            }
        }
    }
}
