//! Tokens that stand in like places: the nearest ones of each token by their neighbours.
//!
//! In: texts in rows of the vocabulary, each once. Out: up to ten tokens for each one. Draws nothing.
//!
//! A token is a vector with an entry for each left and each right neighbour, the boundary of a text among them: the positive
//! pointwise mutual information ln n(t, c) N / (n(t) n(c)), or 0 where that is negative (Bullinaria and Levy 2007; Levy and Goldberg
//! 2014). Near is what has the greatest cosine. MacBERT takes similar words of a word2vec model; on the few texts of a competition
//! counts do as well, and are the same on every machine.

use rayon::prelude::*;
use rustc_hash::FxHashMap;

use crate::data::reserved::{FIRST_CIPHER, PAD};

/// Tokens that a token may be replaced by.
const MOST: usize = 10;

/// The nearest tokens of each token.
#[derive(Debug, Default)]
pub(super) struct SimilarTokens {
    /// By token; empty for reserved ones and for those that share no neighbour with another token.
    of: Vec<Vec<u32>>,
}

/// A sparse matrix, by row or by column: the other index, ascending, and the value.
type Lines = Vec<Vec<(u32, f32)>>;

impl SimilarTokens {
    /// Those of `texts`. `[UNK]` has none and is none, but counts as a neighbour.
    pub(super) fn learn(texts: &[&[u32]]) -> Self {
        let rows = unit_rows(texts);
        let columns = transposed(&rows);
        let nearest = |sums: &mut Vec<f32>, (token, row): (usize, &Vec<(u32, f32)>)| {
            sums.resize(rows.len(), 0.0);
            nearest(token as u32, row, &columns, sums)
        };
        // Each token is summed up by one thread, in the order of its row.
        let tokens = rows.par_iter().enumerate();
        Self {
            of: tokens.map_init(Vec::new, nearest).collect(),
        }
    }

    /// The tokens nearest to one, the nearest first.
    pub(super) fn to(&self, token: u32) -> &[u32] {
        self.of.get(token as usize).map_or(&[], Vec::as_slice)
    }
}

/// The vectors of all tokens, of length 1 each; a context is twice the neighbour, and one more on the right.
fn unit_rows(texts: &[&[u32]]) -> Lines {
    let mut counts: FxHashMap<(u32, u32), u32> = FxHashMap::default();
    for text in texts {
        let ends = [&PAD];
        let left = ends.into_iter().chain(*text);
        let right = text.iter().skip(1).chain(ends);
        for ((&token, left), right) in text.iter().zip(left).zip(right) {
            if token >= FIRST_CIPHER {
                *counts.entry((token, 2 * left)).or_default() += 1;
                *counts.entry((token, 2 * right + 1)).or_default() += 1;
            }
        }
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.par_sort_unstable();
    let n_tokens = counts.last().map_or(0, |((token, _), _)| token + 1) as usize;
    let n_contexts = counts.iter().map(|((_, context), _)| context + 1).max();
    let mut of_token = vec![0.0; n_tokens];
    let mut of_context = vec![0.0; n_contexts.unwrap_or(0) as usize];
    let mut total = 0.0;
    for &((token, context), count) in &counts {
        let count = f64::from(count);
        of_token[token as usize] += count;
        of_context[context as usize] += count;
        total += count;
    }
    let mut rows = vec![Vec::new(); n_tokens];
    for &((token, context), count) in &counts {
        let expected = of_token[token as usize] * of_context[context as usize] / total;
        let information = (f64::from(count) / expected).ln();
        if information > 0.0 {
            rows[token as usize].push((context, information as f32));
        }
    }
    for row in &mut rows {
        let norm = row.iter().map(|(_, x)| x * x).sum::<f32>().sqrt();
        row.iter_mut().for_each(|(_, x)| *x /= norm);
    }
    rows
}

fn transposed(rows: &Lines) -> Lines {
    let width = rows
        .iter()
        .filter_map(|row| row.last())
        .map(|entry| entry.0 + 1);
    let mut columns = vec![Vec::new(); width.max().unwrap_or(0) as usize];
    for (token, row) in (0..).zip(rows) {
        for &(context, x) in row {
            columns[context as usize].push((token, x));
        }
    }
    columns
}

/// The nearest tokens of one. `sums` is 0 throughout, before and after.
fn nearest(token: u32, row: &[(u32, f32)], columns: &Lines, sums: &mut [f32]) -> Vec<u32> {
    for &(context, x) in row {
        for &(other, y) in &columns[context as usize] {
            sums[other as usize] += x * y;
        }
    }
    sums[token as usize] = 0.0;
    let mut found = Vec::new();
    for (other, cosine) in (0..).zip(sums) {
        if *cosine > 0.0 {
            found.push((*cosine, other));
        }
        *cosine = 0.0;
    }
    let order = |(x, a): &(f32, u32), (y, b): &(f32, u32)| y.total_cmp(x).then(a.cmp(b));
    if found.len() > MOST {
        found.select_nth_unstable_by(MOST, order);
        found.truncate(MOST);
    }
    found.sort_unstable_by(order);
    found.into_iter().map(|(_, other)| other).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::reserved::UNK;

    fn learn(texts: &[Vec<u32>]) -> SimilarTokens {
        let texts: Vec<&[u32]> = texts.iter().map(Vec::as_slice).collect();
        SimilarTokens::learn(&texts)
    }

    #[test]
    fn vectors_by_hand() {
        // Contexts: 8 on the right of 7 twice, [UNK] once; [PAD] on the left of 7 three times, and so on.
        let texts = [&[7, 8][..], &[7, 8], &[7, UNK]];
        let rows = unit_rows(&texts);
        // N = 10, n(7) = 6, n(8) = 4. Left of 7: the boundary, 3 of 3, so ln 3 10 / (6 3) = ln 5/3; right of it: 8, 2 of 2, ln 5/3; [UNK] too.
        let third = (1.0_f32 / 3.0).sqrt();
        let near = |row: &[(u32, f32)], contexts: &[u32], x: f32| {
            let found: Vec<u32> = row.iter().map(|entry| entry.0).collect();
            assert_eq!(found, contexts);
            assert!(
                row.iter().all(|entry| (entry.1 - x).abs() < 1e-6),
                "{row:?}"
            );
        };
        near(&rows[7], &[2 * PAD, 2 * UNK + 1, 2 * 8 + 1], third);
        // On the left of 8: 7, 2 of 2; on the right the boundary, 2 of 2: both ln 2 10 / (4 2).
        near(&rows[8], &[2 * PAD + 1, 2 * 7], 0.5_f32.sqrt());
        assert!(rows[..7].iter().all(Vec::is_empty));
    }

    #[test]
    fn tokens_in_like_places_are_near() {
        // 10, 11 and 12 between 7 and 8; 11 and 12 also after 9; 20 and 21 at the ends of other texts.
        let mut texts = Vec::new();
        for middle in [10, 11, 12] {
            texts.extend(vec![vec![7, middle, 8]; 4]);
        }
        texts.extend([vec![9, 11, 8], vec![9, 12, 8], vec![20, 21], vec![UNK]]);
        let similar = learn(&texts);
        assert_eq!(similar.to(11), [12, 10]);
        assert_eq!(similar.to(12), [11, 10]);
        assert_eq!(similar.to(10), [11, 12]); // as near as each other: the lower one first
        assert!(similar.to(UNK).is_empty() && similar.to(500).is_empty());
        texts.reverse();
        assert_eq!(learn(&texts).of, similar.of);
    }

    #[test]
    fn of_many_only_the_nearest_ten() {
        let texts: Vec<Vec<u32>> = (0..30).map(|i| vec![7, 100 + i, 8]).collect();
        let similar = learn(&texts);
        assert_eq!(similar.to(100), (101..111).collect::<Vec<u32>>());
        assert_eq!(similar.to(103).len(), MOST);
        assert!(!similar.to(103).contains(&103));
        assert!(learn(&[]).of.is_empty());
    }
}
