//! Labels that contradict what others say together: a means b and b means c, but a does not mean c.
//!
//! In: files of rows with two texts, whose label 1 says that both mean the same. Out: a [`Finding`] for each row with label 0 whose
//! two texts hang together by rows with label 1. Sentences are the same token for token: a chain of near-duplicates ends anywhere.

use petgraph::unionfind::UnionFind;
use rustc_hash::FxHashSet;

use super::{Finding, Key, Kind, Part, Row, RowOfFile, number_rows};
use crate::data::near::Sentences;

/// The rows with label 0 that end a chain, each with the first row of label 1 that has its first text. Left out are rows whose two
/// texts stand in a row with label 1 themselves, which [`super::find`] tells, and rows of the same text twice.
///
/// The time is that of reading the rows.
pub fn chains(files: &[Part]) -> Vec<Finding> {
    let mut sentences = Sentences::default();
    let rows = number_rows(files, &mut sentences);
    let n_sentences = sentences.all().len();
    let pairs = || {
        let pairs = rows.iter();
        pairs.filter_map(|row| Some((row, row.b?, row.target.is_positive()?)))
    };
    let mut components = UnionFind::new(n_sentences);
    let mut positive: FxHashSet<Key> = FxHashSet::default();
    let mut first_rows: Vec<Option<RowOfFile>> = vec![None; n_sentences];
    for (row, b, _) in pairs().filter(|&(.., is_positive)| is_positive) {
        components.union(row.a, b);
        positive.insert(row.key());
        for sentence in row.sentences() {
            first_rows[sentence].get_or_insert(row.at);
        }
    }
    let component_of = components.into_labeling();
    let ends_chain = |row: &Row, b: usize| {
        row.a != b && component_of[row.a] == component_of[b] && !positive.contains(&row.key())
    };
    let negative = pairs().filter(|&(.., is_positive)| !is_positive);
    let ends = negative.filter(|&(row, b, _)| ends_chain(row, b));
    let findings = ends.filter_map(|(row, ..)| {
        Some(Finding {
            kind: Kind::Chain,
            first: first_rows[row.a]?,
            second: row.at,
            similarity: 1.0,
        })
    });
    let mut findings: Vec<Finding> = findings.collect();
    findings.sort_by_key(|found| (found.first, found.second));
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::dictionary::CipherId;
    use crate::data::example::{Example, Target};

    fn row(a: u32, b: Option<u32>, label: Option<u32>) -> Example {
        Example {
            a: vec![CipherId(a)],
            b: b.map(|b| vec![CipherId(b)]),
            target: label.map_or(Target::Unknown, Target::Class),
        }
    }

    /// The row with label 1 and that with label 0, of one file.
    fn found(rows: &[(u32, u32, u32)]) -> Vec<(usize, usize)> {
        let rows = rows
            .iter()
            .map(|&(a, b, label)| row(a, Some(b), Some(label)));
        let rows: Vec<Example> = rows.collect();
        let found = chains(&[Part {
            rows: &rows,
            is_train: true,
        }]);
        assert!(found.iter().all(|found| found.kind == Kind::Chain));
        let rows = found
            .iter()
            .map(|found| (found.first.row, found.second.row));
        rows.collect()
    }

    #[test]
    fn what_is_equal_to_the_same_cannot_differ() {
        assert_eq!(found(&[(1, 2, 1), (2, 3, 1), (1, 3, 0)]), [(0, 2)]);
        // In any order of rows and texts, and by longer ways.
        assert_eq!(
            found(&[(4, 1, 0), (2, 1, 1), (3, 2, 1), (3, 4, 1), (1, 4, 0)]),
            [(1, 4), (3, 0)]
        );
        assert_eq!(found(&[(1, 2, 1), (2, 3, 0), (3, 4, 1), (1, 4, 0)]), []);
    }

    #[test]
    fn direct_contradictions_and_the_same_text_twice_are_no_chains() {
        assert_eq!(
            found(&[(1, 2, 1), (2, 3, 1), (1, 3, 1), (3, 1, 0), (2, 2, 0)]),
            []
        );
    }

    #[test]
    fn rows_without_a_label_or_a_second_text_join_nothing() {
        let train = [
            row(1, Some(2), Some(1)),
            row(2, None, Some(1)),
            row(1, Some(3), Some(0)),
        ];
        let test = [row(2, Some(3), None)];
        let files = [(&train[..], true), (&test[..], false)];
        let files = files.map(|(rows, is_train)| Part { rows, is_train });
        assert_eq!(chains(&files), []);
    }

    /// The way from one end to the other is as long as there are rows.
    #[test]
    fn a_long_chain_takes_no_longer_than_its_rows() {
        let mut rows: Vec<_> = (0..200_000).map(|text| (text, text + 1, 1)).collect();
        rows.push((0, 200_000, 0));
        assert_eq!(found(&rows), [(0, 200_000)]);
    }
}
