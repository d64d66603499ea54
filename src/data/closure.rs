//! Transitive closure of positive pairs: where a means b and b means c, a means c.
//!
//! In: the rows that one model trains on. Out: pairs that they imply, with label 1, and that are not among them; and how many groups
//! contradict themselves. Rows that are held out imply nothing here, so that no model learns from them. Implies no negatives.

use std::collections::{BTreeMap, HashSet};

use super::example::{EncodedExample, Target, TextIdentity};
use super::paraphrases::Paraphrases;
use super::truncate::truncate_texts;

/// What some rows imply.
#[derive(Debug)]
pub struct Closure {
    /// In the order of the first row of their group of texts. A group gives no more pairs than it has rows: large ones would drown
    /// the rest.
    pub pairs: Vec<EncodedExample>,
    /// Groups in which a pair has label 0: they contradict themselves and give no pairs.
    pub n_contradictions: usize,
}

/// What `rows` imply, cut to `max_tokens` as they are.
pub fn closure(rows: &[EncodedExample], max_tokens: usize) -> Closure {
    let is = |target: &Target, class| target.class() == Some(class);
    let Paraphrases {
        identities,
        texts,
        pairs,
        groups: labels,
    } = Paraphrases::of(rows, |target| is(target, 1));
    let targets = rows.iter().map(|row| &row.target);
    let pairs = targets.zip(pairs);
    let pairs = pairs.filter_map(|(target, pair)| pair.map(|[a, b]| (a, b, target)));
    let mut n_rows: BTreeMap<usize, usize> = BTreeMap::new();
    let mut contradicted: HashSet<usize> = HashSet::new();
    let mut known: HashSet<(usize, usize)> = HashSet::new();
    for (a, b, target) in pairs {
        known.insert((a.min(b), a.max(b)));
        if is(target, 1) {
            *n_rows.entry(labels[a]).or_default() += 1;
        } else if is(target, 0) && labels[a] == labels[b] {
            contradicted.insert(labels[a]);
        }
    }
    let mut members: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (text, &label) in labels.iter().enumerate() {
        members.entry(label).or_default().push(text);
    }
    let mut groups: Vec<(usize, Vec<usize>)> = members.into_iter().collect();
    groups.retain(|(label, _)| n_rows.contains_key(label) && !contradicted.contains(label));
    groups.sort_by_key(|(_, members)| members[0]); // texts are numbered as they came
    let implied = groups.iter().flat_map(|(label, members)| {
        let pairs = (0..members.len()).flat_map(move |i| {
            let (first, rest) = (members[i], &members[i + 1..]);
            rest.iter().map(move |&second| (first, second))
        });
        let new = pairs.filter(|pair| !known.contains(pair));
        new.take(n_rows[label])
    });
    let pair = |(first, second): (usize, usize)| {
        let (mut a, mut b) = (texts[first].to_vec(), texts[second].to_vec());
        truncate_texts(&mut a, Some(&mut b), max_tokens);
        EncodedExample {
            a,
            b: Some(b),
            target: Target::Class(1),
            text_numbers: match (identities[first], identities[second]) {
                (TextIdentity::Number(a), TextIdentity::Number(b)) => Some([a, b]),
                _ => None,
            },
        }
    };
    Closure {
        pairs: implied.map(pair).collect(),
        n_contradictions: contradicted.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(a: u32, b: u32, label: u32) -> EncodedExample {
        EncodedExample {
            a: vec![a],
            b: Some(vec![b]),
            target: Target::Class(label),
            text_numbers: None,
        }
    }

    fn implied(rows: &[(u32, u32, u32)]) -> Vec<(u32, u32)> {
        let rows: Vec<_> = rows.iter().map(|&(a, b, label)| row(a, b, label)).collect();
        let implied = closure(&rows, 32).pairs;
        assert!(implied.iter().all(|row| row.target == Target::Class(1)));
        let pair = |row: &EncodedExample| (row.a[0], row.b.as_ref().expect("a pair")[0]);
        implied.iter().map(pair).collect()
    }

    #[test]
    fn what_is_equal_to_the_same_is_equal() {
        assert_eq!(implied(&[(1, 2, 1), (3, 2, 1), (8, 9, 1)]), [(1, 3)]);
        assert_eq!(implied(&[(1, 2, 1), (2, 3, 0), (3, 4, 0)]), []);
        // Known in the other order.
        assert_eq!(implied(&[(1, 2, 1), (2, 3, 1), (3, 1, 1)]), []);
    }

    #[test]
    fn a_group_gives_no_more_than_it_has() {
        // A chain of five texts implies six pairs.
        let chain: Vec<_> = (1..5).map(|i| (i, i + 1, 1)).collect();
        assert_eq!(implied(&chain), [(1, 3), (1, 4), (1, 5), (2, 4)]);
    }

    #[test]
    fn a_group_that_contradicts_itself_gives_nothing() {
        assert_eq!(
            implied(&[(1, 2, 1), (2, 3, 1), (1, 3, 0), (5, 6, 1), (6, 7, 1)]),
            [(5, 7)]
        );
        let rows = [
            (1, 2, 1),
            (2, 3, 1),
            (1, 3, 0),
            (3, 1, 0),
            (5, 6, 1),
            (6, 8, 0),
        ];
        let rows = rows.map(|(a, b, label)| row(a, b, label));
        assert_eq!(closure(&rows, 32).n_contradictions, 1);
    }

    #[test]
    fn a_rare_token_that_is_unknown_ties_nothing_together() {
        let numbered = |a: u32, b: u32, label, text_numbers| EncodedExample {
            text_numbers: Some(text_numbers),
            ..row(a, b, label)
        };
        // The first texts of two pairs look alike, and are not.
        let alike = [numbered(1, 2, 1, [0, 1]), numbered(1, 3, 1, [2, 3])];
        assert!(closure(&alike, 32).pairs.is_empty());
        let same = [numbered(1, 2, 1, [0, 1]), numbered(1, 3, 1, [0, 3])];
        assert_eq!(
            closure(&same, 32).pairs,
            [numbered(2, 3, 1, [1, 3])],
            "an implied pair has the numbers of its texts"
        );
    }

    #[test]
    fn an_implied_pair_is_as_long_as_a_row_may_be() {
        let row = |a: usize, b: usize, text_numbers| EncodedExample {
            a: vec![1; a],
            b: Some(vec![2; b]),
            target: Target::Class(1),
            text_numbers: Some(text_numbers),
        };
        // The last one is cut to less of the same text.
        let rows = [row(8, 2, [0, 1]), row(8, 2, [2, 1]), row(5, 5, [2, 3])];
        let pairs = closure(&rows, 10).pairs;
        let lengths = |row: &EncodedExample| (row.a.len(), row.b.as_ref().map(Vec::len));
        assert_eq!(pairs[0].text_numbers, Some([0, 2]));
        assert_eq!(lengths(&pairs[0]), (5, Some(5)));
    }

    #[test]
    fn rows_without_a_label_or_a_second_text_imply_nothing() {
        let unknown = row(2, 3, 1).without_target();
        let single = EncodedExample {
            b: None,
            ..row(2, 2, 1)
        };
        let found = closure(&[row(1, 2, 1), unknown, single], 32);
        assert!(found.pairs.is_empty() && found.n_contradictions == 0);
    }
}
