//! Transitive closure of positive pairs: where a means b and b means c, a means c.
//!
//! In: the rows that one model trains on. Out: pairs that they imply, with label 1, and that are not among them; and how many groups
//! contradict themselves. Rows that are held out imply nothing here, so that no model learns from them. Implies no negatives.

use std::collections::{BTreeMap, HashSet};

use super::example::{EncodedExample, Target};
use super::paraphrases::Paraphrases;

/// What some rows imply.
#[derive(Debug)]
pub struct Closure {
    /// In the order of the first row of their group of texts. A group gives no more pairs than it has rows: large ones would drown
    /// the rest.
    pub pairs: Vec<EncodedExample>,
    /// Groups in which a pair has label 0: they contradict themselves and give no pairs.
    pub n_contradictions: usize,
}

/// What `rows` imply.
pub fn closure(rows: &[EncodedExample]) -> Closure {
    let is = |target: &Target, class| target.class() == Some(class);
    let Paraphrases {
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
    let pairs = implied.map(|(a, b)| EncodedExample {
        a: texts[a].to_vec(),
        b: Some(texts[b].to_vec()),
        target: Target::Class(1),
        text_numbers: None,
    });
    Closure {
        pairs: pairs.collect(),
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
        let implied = closure(&rows).pairs;
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
        assert_eq!(closure(&rows).n_contradictions, 1);
    }

    #[test]
    fn rows_without_a_label_or_a_second_text_imply_nothing() {
        let unknown = row(2, 3, 1).without_target();
        let single = EncodedExample {
            b: None,
            ..row(2, 2, 1)
        };
        let found = closure(&[row(1, 2, 1), unknown, single]);
        assert!(found.pairs.is_empty() && found.n_contradictions == 0);
    }
}
