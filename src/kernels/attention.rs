//! Scaled dot-product attention over packed rows (Vaswani et al. 2017): each row attends to itself only.
//!
//! In: q, k, v (T × H) of A heads, and the rows' offsets. Out: context (T × H). No masks: packed rows have no
//! padding. Rows are short (tens of tokens), so the scores of a row fit in the first cache.

use multiversion::multiversion;
use rayon::prelude::*;

use super::dropout::Dropout;
use super::{rows, vector};

/// Sizes of one attention.
#[derive(Debug, Clone, Copy)]
pub struct Attention<'a> {
    /// Row r holds tokens `offsets[r]..offsets[r + 1]`.
    pub offsets: &'a [usize],
    /// H.
    pub hidden: usize,
    /// A; divides H.
    pub heads: usize,
    /// Dropout of the probabilities.
    pub dropout: Option<Dropout>,
}

/// Attention probabilities before dropout: for each row (A × length × length), end to end.
#[derive(Debug)]
pub struct Probabilities(Vec<f32>);

/// Gradients of q, k and v, each (T × H).
#[derive(Debug)]
pub struct QkvGradient {
    /// dq.
    pub query: Vec<f32>,
    /// dk.
    pub key: Vec<f32>,
    /// dv.
    pub value: Vec<f32>,
}

impl Attention<'_> {
    /// Context (T × H), and the probabilities for backward.
    pub fn forward(&self, q: &[f32], k: &[f32], v: &[f32]) -> (Vec<f32>, Probabilities) {
        let score_offsets = self.score_offsets();
        let mut context = vec![0.0; q.len()];
        let mut probabilities = vec![0.0; score_offsets.last().copied().unwrap_or(0)];
        rows::split(&mut context, self.offsets, self.hidden)
            .into_par_iter()
            .zip(rows::split(&mut probabilities, &score_offsets, 1))
            .enumerate()
            .for_each(|(row, (context, probabilities))| {
                let tokens = self.tokens(row);
                let (q, k, v) = (&q[tokens.clone()], &k[tokens.clone()], &v[tokens]);
                row_forward(
                    &self.sizes(score_offsets[row], q),
                    q,
                    k,
                    v,
                    probabilities,
                    context,
                );
            });
        (context, Probabilities(probabilities))
    }

    /// From d_context (T × H) to the gradients of q, k and v.
    pub fn backward(
        &self,
        q: &[f32],
        k: &[f32],
        v: &[f32],
        probabilities: &Probabilities,
        d_context: &[f32],
    ) -> QkvGradient {
        let score_offsets = self.score_offsets();
        let empty = || vec![0.0; q.len()];
        let mut gradient = QkvGradient {
            query: empty(),
            key: empty(),
            value: empty(),
        };
        rows::split(&mut gradient.query, self.offsets, self.hidden)
            .into_par_iter()
            .zip(rows::split(&mut gradient.key, self.offsets, self.hidden))
            .zip(rows::split(&mut gradient.value, self.offsets, self.hidden))
            .enumerate()
            .for_each(|(row, ((dq, dk), dv))| {
                let tokens = self.tokens(row);
                let (q, k, v) = (&q[tokens.clone()], &k[tokens.clone()], &v[tokens.clone()]);
                let probabilities = &probabilities.0[score_offsets[row]..score_offsets[row + 1]];
                let inputs = RowInputs {
                    q,
                    k,
                    v,
                    probabilities,
                    d_context: &d_context[tokens],
                };
                row_backward(&self.sizes(score_offsets[row], q), &inputs, dq, dk, dv);
            });
        gradient
    }

    /// Range of a row in a (T × H) slice.
    fn tokens(&self, row: usize) -> std::ops::Range<usize> {
        self.offsets[row] * self.hidden..self.offsets[row + 1] * self.hidden
    }

    /// Where each row's probabilities begin. Rounded up to multiples of 4, as dropout counts in fours.
    fn score_offsets(&self) -> Vec<usize> {
        let mut offsets = vec![0];
        let mut total = 0;
        for bounds in self.offsets.windows(2) {
            let length = bounds[1] - bounds[0];
            total += self.heads * (length * length).next_multiple_of(4);
            offsets.push(total);
        }
        offsets
    }

    fn sizes(&self, first_score: usize, row: &[f32]) -> RowSizes {
        let (hidden, heads) = (self.hidden, self.heads);
        RowSizes {
            hidden,
            heads,
            length: row.len() / hidden,
            first_score,
            dropout: self.dropout,
        }
    }
}

/// Sizes of one row, and where its probabilities begin in the whole array.
struct RowSizes {
    hidden: usize,
    heads: usize,
    length: usize,
    first_score: usize,
    dropout: Option<Dropout>,
}

impl RowSizes {
    /// Elements of token `i` that belong to `head`.
    #[inline(always)]
    fn part(&self, head: usize, i: usize) -> std::ops::Range<usize> {
        let size = self.hidden / self.heads;
        i * self.hidden + head * size..i * self.hidden + (head + 1) * size
    }

    /// Where the probabilities of `head` lie within the row's.
    #[inline(always)]
    fn scores(&self, head: usize) -> std::ops::Range<usize> {
        let first = head * (self.length * self.length).next_multiple_of(4);
        first..first + self.length * self.length
    }

    /// Applies the dropout of `head` to its probabilities or their gradient.
    #[inline(always)]
    fn drop_out(&self, head: usize, values: &mut [f32]) {
        if let Some(dropout) = self.dropout {
            dropout.apply_from((self.first_score + self.scores(head).start) as u64, values);
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
    sizes: &RowSizes,
    q: &[f32],
    k: &[f32],
    v: &[f32],
    probabilities: &mut [f32],
    context: &mut [f32],
) {
    let (length, scale) = (sizes.length, sizes.scale());
    let mut dropped = vec![0.0; length * length];
    for head in 0..sizes.heads {
        let part = |i: usize| sizes.part(head, i);
        let scores = &mut probabilities[sizes.scores(head)];
        for i in 0..length {
            let scores = &mut scores[i * length..(i + 1) * length];
            for (j, score) in scores.iter_mut().enumerate() {
                *score = vector::dot(&q[part(i)], &k[part(j)]) * scale;
            }
            vector::softmax(scores);
        }
        dropped.copy_from_slice(scores);
        sizes.drop_out(head, &mut dropped);
        for i in 0..length {
            let context = &mut context[part(i)];
            for j in 0..length {
                vector::add_scaled(context, dropped[i * length + j], &v[part(j)]);
            }
        }
    }
}

/// What one row's backward reads.
struct RowInputs<'a> {
    q: &'a [f32],
    k: &'a [f32],
    v: &'a [f32],
    probabilities: &'a [f32],
    d_context: &'a [f32],
}

#[multiversion(targets = "simd")]
fn row_backward(
    sizes: &RowSizes,
    inputs: &RowInputs,
    dq: &mut [f32],
    dk: &mut [f32],
    dv: &mut [f32],
) {
    let RowInputs {
        q,
        k,
        v,
        probabilities,
        d_context,
    } = inputs;
    let (length, scale) = (sizes.length, sizes.scale());
    let (mut dropped, mut d_scores) = (vec![0.0; length * length], vec![0.0; length * length]);
    for head in 0..sizes.heads {
        let part = |i: usize| sizes.part(head, i);
        let weights = &probabilities[sizes.scores(head)];
        dropped.copy_from_slice(weights);
        sizes.drop_out(head, &mut dropped);
        for i in 0..length {
            let d_context = &d_context[part(i)];
            for j in 0..length {
                d_scores[i * length + j] = vector::dot(d_context, &v[part(j)]);
                vector::add_scaled(&mut dv[part(j)], dropped[i * length + j], d_context);
            }
        }
        sizes.drop_out(head, &mut d_scores);
        for i in 0..length {
            let row = i * length..(i + 1) * length;
            let along = vector::dot(&weights[row.clone()], &d_scores[row.clone()]);
            for j in 0..length {
                let at = i * length + j;
                let d_score = weights[at] * (d_scores[at] - along) * scale;
                vector::add_scaled(&mut dq[part(i)], d_score, &k[part(j)]);
                vector::add_scaled(&mut dk[part(j)], d_score, &q[part(i)]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::naive;
    use crate::random::Key;

    #[test]
    fn forward_and_backward_equal_their_naive_twins_with_and_without_dropout() {
        for (offsets, hidden, heads) in [
            (vec![0, 1], 4, 2),
            (vec![0, 3, 4, 9], 6, 1),
            (vec![0, 5, 5, 7], 10, 5),
            (vec![0, 2, 5], 34, 2),
        ] {
            let n = offsets[offsets.len() - 1] * hidden;
            let (q, k, v) = (
                naive::values(n, 1),
                naive::values(n, 2),
                naive::values(n, 3),
            );
            let d_context = naive::values(n, 4);
            for rate in [0.0, 0.3] {
                let dropout = Dropout::new(rate, Key::from_seed(5));
                let attention = Attention {
                    offsets: &offsets,
                    hidden,
                    heads,
                    dropout,
                };
                let factors = naive::factors(dropout, attention.score_offsets()[offsets.len() - 1]);
                let (context, probabilities) = attention.forward(&q, &k, &v);
                naive::assert_close(
                    &context,
                    &naive::attention(&offsets, (hidden, heads), [&q, &k, &v], &factors),
                    1e-5,
                );

                let gradient = attention.backward(&q, &k, &v, &probabilities, &d_context);
                let loss = |q: &[f32], k: &[f32], v: &[f32]| -> f64 {
                    let context = naive::attention(&offsets, (hidden, heads), [q, k, v], &factors);
                    context
                        .iter()
                        .zip(&d_context)
                        .map(|(x, d)| f64::from(*x) * f64::from(*d))
                        .sum()
                };
                naive::assert_close(
                    &gradient.query,
                    &naive::gradient(&q, 1e-2, |q| loss(q, &k, &v)),
                    1e-3,
                );
                naive::assert_close(
                    &gradient.key,
                    &naive::gradient(&k, 1e-2, |k| loss(&q, k, &v)),
                    1e-3,
                );
                naive::assert_close(
                    &gradient.value,
                    &naive::gradient(&v, 1e-2, |v| loss(&q, &k, v)),
                    1e-3,
                );
            }
        }
    }
}
