//! Texts that mean the same, as far as positive pairs say so: two texts of one pair, and what hangs together by such pairs.
//!
//! In: rows in rows of the vocabulary, and which of them are positive. Out: every text once, the texts of each pair, and the group
//! of each text. The same text is one text wherever it stands. Does not look for near-duplicates ([`super::near`]).

use std::collections::HashMap;

use petgraph::unionfind::UnionFind;

use super::example::{EncodedExample, Target};

/// The texts of some rows, and their groups.
#[derive(Debug)]
pub struct Paraphrases<'a> {
    /// Every text of a pair once, in the order in which they came.
    pub texts: Vec<&'a [u32]>,
    /// Numbers of the two texts of each row; `None` for a row of one text.
    pub pairs: Vec<Option<[usize; 2]>>,
    /// The group of each text: equal numbers hang together. A text without a positive pair is alone.
    pub groups: Vec<usize>,
}

impl<'a> Paraphrases<'a> {
    /// Of all rows; the texts of a pair are of one group where `is_positive` holds for its target.
    pub fn of(rows: &'a [EncodedExample], is_positive: impl Fn(&Target) -> bool) -> Self {
        let mut numbers: HashMap<&[u32], usize> = HashMap::new();
        let mut texts: Vec<&[u32]> = Vec::new();
        let mut number = |text: &'a [u32]| {
            *numbers.entry(text).or_insert_with(|| {
                texts.push(text);
                texts.len() - 1
            })
        };
        let both = |row: &'a EncodedExample| Some([&row.a[..], row.b.as_deref()?].map(&mut number));
        let pairs: Vec<Option<[usize; 2]>> = rows.iter().map(both).collect();
        let mut groups = UnionFind::new(texts.len());
        for (row, pair) in rows.iter().zip(&pairs) {
            if let Some([a, b]) = *pair
                && is_positive(&row.target)
            {
                groups.union(a, b);
            }
        }
        Self {
            groups: groups.into_labeling(),
            texts,
            pairs,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positive_pairs_join_texts_and_nothing_else_does() {
        let row = |a: u32, b: Option<u32>, target: Target| EncodedExample {
            a: vec![a],
            b: b.map(|b| vec![b]),
            target,
            text_numbers: None,
        };
        let rows = [
            row(1, Some(2), true.into()),
            row(3, Some(2), true.into()),
            row(3, Some(4), false.into()),
            row(4, Some(5), Target::Unknown),
            row(1, None, true.into()),
        ];
        let found = Paraphrases::of(&rows, |target| target.is_positive() == Some(true));
        assert_eq!(found.texts, [&[1][..], &[2], &[3], &[4], &[5]]);
        assert_eq!(
            found.pairs,
            [Some([0, 1]), Some([2, 1]), Some([2, 3]), Some([3, 4]), None]
        );
        let groups = &found.groups;
        assert!(groups[0] == groups[1] && groups[1] == groups[2]);
        assert!(groups[3] != groups[0] && groups[4] != groups[0] && groups[3] != groups[4]);
    }
}
