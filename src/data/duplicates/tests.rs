//! Tests of [`super`].

use super::super::dictionary::CipherId;
use super::*;

/// Twenty tokens; the same number is the same text, and 100 + n is n with a token more.
fn text(number: u32) -> Vec<CipherId> {
    let base = 1000 * (number % 100);
    let mut ids: Vec<u32> = (base..base + 20).collect();
    ids.extend((number >= 100).then_some(base + 20));
    ids.into_iter().map(CipherId).collect()
}

fn row(a: u32, b: Option<u32>, label: Option<u32>) -> Example {
    Example {
        a: text(a),
        b: b.map(text),
        target: label.map_or(Target::Unknown, Target::Class),
    }
}

fn find_in(train: &[Example], test: &[Example]) -> Duplicates {
    let files = [(train, true), (test, false)];
    let files = files.map(|(rows, is_train)| Part { rows, is_train });
    find(&files, 0.9, |_, _| Ok(())).expect("few pairs")
}

/// `kind first-second` with `t` before rows of the test file.
fn shown(found: &Duplicates, kind: Kind) -> Vec<String> {
    let of_kind = found.findings.iter().filter(|found| found.kind == kind);
    let name = |at: RowOfFile| format!("{}{}", ["", "t"][at.file], at.row);
    of_kind
        .map(|found| {
            format!(
                "{}-{} {:.2}",
                name(found.first),
                name(found.second),
                found.similarity
            )
        })
        .collect()
}

#[test]
fn pairs_by_hand() {
    let train = [
        row(1, Some(2), Some(1)),
        row(1, Some(2), Some(1)),   // row 0 once more
        row(2, Some(1), Some(0)),   // exchanged, another label
        row(101, Some(2), Some(0)), // 101 is near 1
        row(5, Some(6), Some(1)),
        row(7, Some(7), Some(1)),
    ];
    let test = [
        row(6, Some(8), None),
        row(105, Some(9), None),
        row(7, Some(7), None),
        row(10, Some(11), None),
    ];
    let found = find_in(&train, &test);
    assert_eq!(shown(&found, Kind::Exact), ["0-1 1.00", "5-t2 1.00"]);
    assert_eq!(shown(&found, Kind::Swapped), ["0-2 1.00"]);
    assert_eq!(shown(&found, Kind::Near), ["0-3 0.95", "4-t1 0.95"]);
    assert_eq!(shown(&found, Kind::Contradiction), ["0-2 1.00", "0-3 0.95"]);
    assert_eq!(found.contradicting_rows, 4);
    let expected = SentenceCounts {
        distinct: 11,
        in_several_rows: 4,  // 1, 2, 6, 7
        in_several_files: 2, // 6, 7
        with_near_duplicate: 4,
        near_pairs: 2,
    };
    assert_eq!(found.sentences, expected);
    // {1 2 101}, {5 6 105}, {7}, {8}, {9}, {10}, {11}
    let expected = ComponentCounts {
        components: 7,
        largest_sentences: 3,
        largest_rows: 4,
        train_rows_across: 2, // 4 and 5
        test_rows_across: 3,
    };
    assert_eq!(found.components, expected);
    let overlap = Overlap {
        exact: 0.5,
        exact_or_near: 0.75,
    };
    assert_eq!(found.with_train, [None, Some(overlap)]);
}

#[test]
fn single_texts_by_hand() {
    let train = [
        row(1, None, Some(0)),
        row(2, None, Some(1)),
        row(101, None, Some(2)),
        row(2, None, Some(1)),
        row(1, None, Some(2)),
    ];
    let found = find_in(&train, &[]);
    assert_eq!(shown(&found, Kind::Exact), ["0-4 1.00", "1-3 1.00"]);
    assert!(shown(&found, Kind::Swapped).is_empty());
    assert_eq!(shown(&found, Kind::Near), ["0-2 0.95"]);
    assert_eq!(shown(&found, Kind::Contradiction), ["0-2 0.95", "0-4 1.00"]);
    assert_eq!(found.contradicting_rows, 3);
    assert_eq!(found.components.components, 2);
    assert_eq!(
        found.with_train,
        [
            None,
            Some(Overlap {
                exact: 0.0,
                exact_or_near: 0.0
            })
        ]
    );
}

#[test]
fn labels_contradict_only_where_they_differ_and_are_known() {
    let train = [row(1, Some(2), Some(1)), row(101, Some(102), Some(1))];
    let found = find_in(&train, &[row(1, Some(2), None)]);
    assert!(shown(&found, Kind::Contradiction).is_empty());
    assert_eq!(found.contradicting_rows, 0);
    // Both texts have to be near.
    let train = [row(1, Some(2), Some(1)), row(101, Some(3), Some(0))];
    assert!(shown(&find_in(&train, &[]), Kind::Contradiction).is_empty());
    // Either text is near either text of the other: found once.
    let train = [row(1, Some(101), Some(1)), row(1, Some(1), Some(0))];
    assert_eq!(
        shown(&find_in(&train, &[]), Kind::Contradiction),
        ["0-1 0.95"]
    );
}

#[test]
fn a_train_file_overlaps_with_the_others_and_not_with_itself() {
    let one = [row(1, None, Some(0)), row(1, None, Some(0))];
    let other = [row(101, None, Some(0)), row(3, None, Some(0))];
    let files = [&one[..], &other].map(|rows| Part {
        rows,
        is_train: true,
    });
    let found = find(&files, 0.9, |_, _| Ok(())).expect("few pairs");
    let near = |exact_or_near| {
        Some(Overlap {
            exact: 0.0,
            exact_or_near,
        })
    };
    assert_eq!(found.with_train, [near(1.0), near(0.5)]);
}

#[test]
fn nothing_is_found_in_nothing() {
    let found = find(&[], 0.9, |_, _| Ok(())).expect("no pairs");
    assert!(found.findings.is_empty() && found.with_train.is_empty());
    assert_eq!(found.components.components, 0);
}
