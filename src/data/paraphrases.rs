//! Texts that mean the same, as far as positive pairs say so: two texts of one pair, and what hangs together by such pairs.
//!
//! In: rows in rows of the vocabulary, and which of them are positive. Out: every text once, the texts of each pair, and the group
//! of each text. The same text is one text wherever it stands, and however it is cut there; texts that differ in rare tokens alone
//! are two where rows know it ([`TextIdentity`]). Does not look for near-duplicates ([`super::near`]).

use std::collections::HashMap;

use petgraph::unionfind::UnionFind;

use super::example::{EncodedExample, Target, TextIdentity};

/// The texts of some rows, and their groups.
#[derive(Debug)]
pub struct Paraphrases<'a> {
    /// What tells each text of a pair from the others, in the order in which they came.
    pub identities: Vec<TextIdentity<'a>>,
    /// Every text once: of one that is cut in several ways the most that there is of it.
    pub texts: Vec<&'a [u32]>,
    /// Numbers of the two texts of each row; `None` for a row of one text.
    pub pairs: Vec<Option<[usize; 2]>>,
    /// The group of each text: equal numbers hang together. A text without a positive pair is alone.
    pub groups: Vec<usize>,
}

impl<'a> Paraphrases<'a> {
    /// Of all rows; the texts of a pair are of one group where `is_positive` holds for its target.
    pub fn of(rows: &'a [EncodedExample], is_positive: impl Fn(&Target) -> bool) -> Self {
        let mut numbers: HashMap<TextIdentity, usize> = HashMap::new();
        let mut identities: Vec<TextIdentity> = Vec::new();
        let mut texts: Vec<&[u32]> = Vec::new();
        let mut number = |(identity, text): (TextIdentity<'a>, &'a [u32])| {
            let number = *numbers.entry(identity).or_insert_with(|| {
                identities.push(identity);
                texts.push(text);
                texts.len() - 1
            });
            if text.len() > texts[number].len() {
                texts[number] = text;
            }
            number
        };
        let both = |row: &'a EncodedExample| {
            let [a, b] = row.pair_identities()?;
            Some([(a, &row.a[..]), (b, row.b.as_deref()?)].map(&mut number))
        };
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
            identities,
            texts,
            pairs,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_tell_what_looks_alike_and_what_is_cut() {
        let row = |a: &[u32], b: &[u32], text_numbers| EncodedExample {
            a: a.to_vec(),
            b: Some(b.to_vec()),
            target: true.into(),
            text_numbers: Some(text_numbers),
        };
        let rows = [
            row(&[1], &[9], [0, 1]), // two texts that are [1] here
            row(&[1], &[8], [2, 3]),
            row(&[1, 1, 1], &[7], [0, 4]),
        ];
        let found = Paraphrases::of(&rows, |_| true);
        assert_eq!(found.pairs, [[0, 1], [2, 3], [0, 4]].map(Some));
        assert_eq!(found.texts, [&[1, 1, 1][..], &[9], &[1], &[8], &[7]]);
        assert_ne!(found.groups[0], found.groups[2]);
        assert_eq!(found.groups[0], found.groups[4]);
    }

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
