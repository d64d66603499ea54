//! Which rows validate, and which sentences are shared.
//!
//! In: examples of one text or two. Out: row numbers and shares. Two rows are connected where they hold the same sentence, token for token, or
//! where it is asked for nearly the same ([`super::near`]); a component of connected rows is the smallest part that can be held out without a sentence standing on both sides.
//! Nothing here is random. Does not read files.

use std::borrow::Borrow;
use std::collections::HashSet;

use petgraph::unionfind::UnionFind;

use super::dictionary::CipherId;
use super::example::Example;
use super::near::{Sentences, near_pairs};
use super::strata::Strata;
use crate::error::Result;

/// `data.valid` where it is no file.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ValidSplit {
    /// Rows i with i mod 10 = 0, as the reference splits.
    Row10,
    /// Whole components of shared sentences, about a tenth of the rows.
    Group,
    /// This share of the rows, above 0, at equal distances from the first row on: .1 holds out the rows of `Row10`.
    Share(f64),
    /// No row.
    None,
}

/// Sorted indices of the validation rows.
///
/// [`ValidSplit::Group`] takes no row where one component holds nearly all of them.
pub fn valid_rows<P: Borrow<Example>>(pairs: &[P], split: ValidSplit) -> Vec<usize> {
    match split {
        ValidSplit::Row10 => (0..pairs.len()).step_by(10).collect(),
        ValidSplit::Group => grouped_rows(pairs),
        ValidSplit::Share(share) => {
            let n_before = |row: usize| (row as f64 * share).floor();
            (0..pairs.len())
                .filter(|&row| row == 0 || n_before(row) > n_before(row - 1))
                .collect()
        }
        ValidSplit::None => Vec::new(),
    }
}

/// Component number of each row: rows that share a sentence, directly or through others, have the same. Numbered by
/// first row, from 0.
pub fn components<P: Borrow<Example>>(pairs: &[P]) -> Vec<usize> {
    numbered(Joined::by_sentences(pairs).rows)
}

/// As [`components`], where rows whose sentences have a similarity of `near` or more are connected too ([`near_pairs`]).
///
/// # Errors
/// Those of [`near_pairs`].
pub fn near_components<P: Borrow<Example>>(pairs: &[P], near: f64) -> Result<Vec<usize>> {
    let mut joined = Joined::by_sentences(pairs);
    for pair in near_pairs(joined.sentences.all(), near, |_| Ok(()))? {
        let [one, other] = [pair.first, pair.second].map(|sentence| joined.first_rows[sentence]);
        joined.rows.union(one, other);
    }
    Ok(numbered(joined.rows))
}

/// Rows that share a sentence as sets.
struct Joined<'a> {
    rows: UnionFind<usize>,
    sentences: Sentences<'a>,
    /// The first row of each sentence.
    first_rows: Vec<usize>,
}

impl<'a> Joined<'a> {
    fn by_sentences<P: Borrow<Example>>(pairs: &'a [P]) -> Self {
        let mut joined = Self {
            rows: UnionFind::new(pairs.len()),
            sentences: Sentences::default(),
            first_rows: Vec::new(),
        };
        for (row, pair) in pairs.iter().enumerate() {
            for sentence in pair.borrow().texts() {
                let number = joined.sentences.number(sentence);
                if number == joined.first_rows.len() {
                    joined.first_rows.push(row);
                }
                joined.rows.union(joined.first_rows[number], row);
            }
        }
        joined
    }
}

/// The number of each row's set, by first row.
fn numbered(sets: UnionFind<usize>) -> Vec<usize> {
    let labels = sets.into_labeling();
    let mut numbers: Vec<Option<usize>> = vec![None; labels.len()];
    let mut n_components = 0;
    let number = |label: usize| {
        *numbers[label].get_or_insert_with(|| {
            n_components += 1;
            n_components - 1
        })
    };
    labels.into_iter().map(number).collect()
}

/// Share of `rows` with at least one sentence that also stands in `others`, 0..=1; 0 where there are no rows.
pub fn shared_share<'a>(
    rows: impl IntoIterator<Item = &'a Example>,
    others: impl IntoIterator<Item = &'a Example>,
) -> f64 {
    let known: HashSet<&[CipherId]> = others.into_iter().flat_map(Example::texts).collect();
    let (mut shared, mut all) = (0, 0);
    for row in rows {
        all += 1;
        shared += usize::from(row.texts().any(|text| known.contains(text)));
    }
    if all == 0 {
        0.0
    } else {
        shared as f64 / all as f64
    }
}

/// Largest components first, each goes to the side that keeps the validation part nearest to a tenth of what was
/// dealt so far, in every stratum of labels alike. So every size of component and every kind of label is dealt in about
/// the same share.
fn grouped_rows<P: Borrow<Example>>(pairs: &[P]) -> Vec<usize> {
    let component_of = components(pairs);
    let strata = Strata::new(pairs);
    let n_components = count_components(&component_of);
    let counts = strata.counts(&component_of, n_components);
    let mut order: Vec<usize> = (0..n_components).collect();
    let rows = |component: usize| counts[component].iter().map(|(_, n)| n).sum::<i64>();
    order.sort_by_key(|&component| std::cmp::Reverse(rows(component))); // stable

    let mut validates = vec![false; n_components];
    let mut missing = vec![0_i64; strata.n]; // rows dealt - 10 x rows that validate
    for component in order {
        // The sum of squares changes in the strata of this component only.
        let mut growth_if_taken = 0;
        for &(stratum, n) in &counts[component] {
            missing[stratum] += n;
            let taken = missing[stratum] - 10 * n;
            growth_if_taken += taken * taken - missing[stratum] * missing[stratum];
        }
        validates[component] = growth_if_taken < 0;
        if validates[component] {
            for &(stratum, n) in &counts[component] {
                missing[stratum] -= 10 * n;
            }
        }
    }
    (0..pairs.len())
        .filter(|&row| validates[component_of[row]])
        .collect()
}

/// How many components [`components`] has numbered.
pub(super) fn count_components(component_of: &[usize]) -> usize {
    component_of.iter().max().map_or(0, |last| last + 1)
}

#[cfg(test)]
mod tests {
    use super::super::example::Target;
    use super::*;
    use crate::random::Key;

    fn pair(a: u32, b: u32, label: Option<bool>) -> Example {
        Example {
            a: vec![CipherId(a), CipherId(0)],
            b: Some(vec![CipherId(b), CipherId(0)]),
            target: label.map_or(Target::Unknown, Target::from),
        }
    }

    /// 5,000 rows over 9,000 sentences: most components are small, some have tens of rows.
    fn random_pairs() -> Vec<Example> {
        let key = Key::from_seed(11);
        let sentence = |i: u64| (key.bits(i) % 9000) as u32;
        (0..5000)
            .map(|i| {
                let label = key.bits(20_000 + i) % 100 < 36;
                pair(sentence(2 * i), sentence(2 * i + 1), Some(label))
            })
            .collect()
    }

    #[test]
    fn components_by_hand() {
        // 0-1 share 2, 1-4 share 3, 2 alone, 3 has one sentence twice; sides do not matter.
        let pairs = [(1, 2), (3, 2), (8, 9), (5, 5), (6, 3)].map(|(a, b)| pair(a, b, None));
        assert_eq!(components(&pairs), [0, 0, 1, 2, 0]);
        assert!(components::<Example>(&[]).is_empty());
    }

    #[test]
    fn near_components_by_hand() {
        let single = |ids: Vec<u32>| Example {
            a: ids.into_iter().map(CipherId).collect(),
            b: None,
            target: Target::Unknown,
        };
        // 20 tokens and 19 of them: 37 of 39 tokens and bigrams.
        let mut rows = vec![
            single((0..20).collect()),
            single((50..60).collect()),
            single((0..19).collect()),
        ];
        rows.push(Example {
            b: Some(rows[1].a.clone()),
            ..single((1..19).collect()) // 35 of 37 with row 2, of 39 with row 0
        });
        assert_eq!(components(&rows), [0, 1, 2, 1]);
        let near = |near| near_components(&rows, near).expect("few pairs");
        assert_eq!(near(0.9), [0, 0, 0, 0]);
        assert_eq!(near(0.947), [0, 1, 0, 1]); // 37/39 = .949, 35/37 = .946
        assert_eq!(near(1.0), components(&rows));
    }

    #[test]
    fn row10_takes_every_tenth() {
        let pairs: Vec<_> = (0..21).map(|i| pair(i, i, None)).collect();
        assert_eq!(valid_rows(&pairs, ValidSplit::Row10), [0, 10, 20]);
        assert!(valid_rows(&pairs, ValidSplit::None).is_empty());
    }

    #[test]
    fn a_share_takes_rows_at_equal_distances() {
        let pairs: Vec<_> = (0..10_000).map(|i| pair(i, i, None)).collect();
        let rows = |share| valid_rows(&pairs, ValidSplit::Share(share));
        assert_eq!(rows(0.1), valid_rows(&pairs, ValidSplit::Row10));
        assert_eq!(rows(0.25)[..3], [0, 4, 8]);
        for share in [0.001, 0.05, 0.15, 0.3, 0.5] {
            let n = rows(share).len() as f64;
            assert!((n - share * 10_000.0).abs() <= 1.0, "{share}: {n}");
        }
    }

    #[test]
    fn group_shares_no_sentence_and_keeps_the_shares() {
        let pairs = random_pairs();
        let rows = valid_rows(&pairs, ValidSplit::Group);
        assert!(rows.is_sorted());
        let held: HashSet<_> = rows.iter().collect();
        let valid = || rows.iter().map(|&row| &pairs[row]);
        let train = || {
            (0..pairs.len())
                .filter(|row| !held.contains(row))
                .map(|row| &pairs[row])
        };
        assert_eq!(shared_share(valid(), train()), 0.0);
        assert_eq!(shared_share(train(), valid()), 0.0);

        let share = rows.len() as f64 / pairs.len() as f64;
        assert!((share - 0.1).abs() < 0.005, "{share}");
        let positive = |rows: Vec<&Example>| {
            let n = rows
                .iter()
                .filter(|pair| pair.target == Target::Class(1))
                .count();
            n as f64 / rows.len() as f64
        };
        let difference = positive(valid().collect()) - positive(pairs.iter().collect());
        assert!(difference.abs() < 0.01, "{difference}");
        // The rows do share sentences, so the test above could fail.
        let tenth: Vec<_> = pairs.iter().step_by(10).collect();
        let rest = pairs.iter().enumerate().filter(|(i, _)| i % 10 != 0);
        assert!(shared_share(tenth, rest.map(|(_, pair)| pair)) > 0.3);
    }

    #[test]
    fn group_holds_out_a_tenth_of_every_class_of_single_texts() {
        let key = Key::from_seed(12);
        let rows: Vec<Example> = (0..4000)
            .map(|row| Example {
                a: vec![CipherId((key.bits(row) % 3000) as u32)],
                b: None,
                target: Target::Class((key.bits(10_000 + row) % 7) as u32),
            })
            .collect();
        let held = valid_rows(&rows, ValidSplit::Group);
        for class in 0..7 {
            let of_class = |row: &Example| row.target == Target::Class(class);
            let all = rows.iter().filter(|row| of_class(row)).count();
            let n = held.iter().filter(|&&row| of_class(&rows[row])).count();
            let share = n as f64 / all as f64;
            assert!((0.08..0.12).contains(&share), "class {class}: {share}");
        }
        let texts: HashSet<_> = held.iter().map(|&row| &rows[row].a).collect();
        let rest = (0..rows.len()).filter(|row| held.binary_search(row).is_err());
        assert!(rest.into_iter().all(|row| !texts.contains(&rows[row].a)));
    }

    #[test]
    fn group_goes_around_a_giant_component() {
        // 600 rows in one component, 400 alone: a tenth of all rows comes from the 400.
        let mut pairs: Vec<_> = (0..600).map(|i| pair(1, 1000 + i, Some(true))).collect();
        pairs.extend((0..400).map(|i| pair(5000 + i, 6000 + i, Some(i % 4 == 0))));
        let rows = valid_rows(&pairs, ValidSplit::Group);
        assert!(rows.iter().all(|&row| row >= 600));
        assert!((60..=140).contains(&rows.len()), "{}", rows.len());
        // Nothing can be held out of one component.
        assert!(valid_rows(&pairs[..600], ValidSplit::Group).is_empty());
    }

    #[test]
    fn shared_share_by_hand() {
        let rows = [(1, 2), (3, 4), (5, 6)].map(|(a, b)| pair(a, b, None));
        let others = [(4, 7), (7, 1)].map(|(a, b)| pair(a, b, None));
        assert_eq!(shared_share(&rows, &others), 2.0 / 3.0);
        assert_eq!(shared_share(&[], &others), 0.0);
    }
}
