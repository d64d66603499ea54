//! Tests of [`super`].

use super::super::example::Target;
use super::*;

fn pair(a: u32, b: u32, label: bool) -> Example {
    Example {
        a: vec![CipherId(a), CipherId(0)],
        b: Some(vec![CipherId(b), CipherId(0)]),
        target: label.into(),
    }
}

/// `rows` pairs drawn from `sentences` sentences, 36 % positive.
fn random_pairs(rows: u64, sentences: u64) -> Vec<Example> {
    let key = Key::from_seed(11);
    let sentence = |i: u64| (key.bits(i) % sentences) as u32;
    (0..rows)
        .map(|i| {
            let label = key.bits(100_000 + i) % 100 < 36;
            pair(sentence(2 * i), sentence(2 * i + 1), label)
        })
        .collect()
}

/// Rows without a sentence in common, every `positive_every`th positive.
fn lone_pairs(rows: u32, positive_every: u32) -> Vec<Example> {
    (0..rows)
        .map(|i| pair(2 * i, 2 * i + 1, i % positive_every == 0))
        .collect()
}

fn options(k: usize, repeats: usize, assign: Assign) -> FoldOptions {
    FoldOptions {
        k,
        repeats,
        assign,
        near: None,
    }
}

fn deal(pairs: &[Example], test: &[Example], k: usize, assign: Assign) -> Folds {
    Folds::deal(pairs, test, options(k, 1, assign), &Task::binary_pairs())
        .expect("folds of both labels")
}

fn refusal(pairs: &[Example], k: usize, assign: Assign) -> (String, String) {
    let error = Folds::deal(pairs, &[], options(k, 1, assign), &Task::binary_pairs())
        .expect_err("no such folds");
    (
        error.to_string(),
        error.hint().expect("a way out").to_owned(),
    )
}

#[test]
fn every_row_is_held_out_once_a_repeat_and_repeats_differ() {
    let pairs = random_pairs(500, 2000);
    for assign in [Assign::Row, Assign::Stratified, Assign::Group] {
        let folds = Folds::deal(&pairs, &[], options(5, 3, assign), &Task::binary_pairs())
            .expect("enough rows");
        assert_eq!(folds.total(), 15);
        let mut firsts = HashSet::new();
        for repeat in 0..3 {
            let mut rows: Vec<usize> = (0..5)
                .flat_map(|f| folds.held_out(5 * repeat + f))
                .collect();
            rows.sort_unstable();
            assert_eq!(rows, (0..500).collect::<Vec<_>>(), "{assign:?}");
            let first = folds.held_out(5 * repeat);
            assert!(first.is_sorted());
            firsts.insert(first);
        }
        assert_eq!(firsts.len(), 3, "{assign:?}");
    }
}

#[test]
fn no_sentence_stands_in_two_folds_by_group_and_many_do_by_row() {
    let pairs = random_pairs(3000, 9000);
    let folds = deal(&pairs, &[], 5, Assign::Group);
    for fold in 0..5 {
        let held: HashSet<usize> = folds.held_out(fold).into_iter().collect();
        let (inside, outside): (Vec<_>, Vec<_>) =
            (0..pairs.len()).partition(|row| held.contains(row));
        let of = |rows: Vec<usize>| rows.into_iter().map(|row| &pairs[row]);
        assert_eq!(shared_share(of(inside), of(outside)), 0.0);
    }
    assert!(folds.is_shared.iter().all(|shared| !shared));
    assert_eq!(folds.shares.between_folds, 0.0);
    let folds = deal(&pairs, &[], 5, Assign::Row);
    assert!(folds.shares.between_folds > 0.2, "{:?}", folds.shares);
}

#[test]
fn a_row_is_shared_where_its_sentence_is_trained_on_in_its_own_fold() {
    let pairs = random_pairs(400, 1000);
    let folds = deal(&pairs, &[], 4, Assign::Stratified);
    for fold in 0..4 {
        let held = folds.held_out(fold);
        let is_held = |row: &usize| held.binary_search(row).is_ok();
        let train: Vec<&Example> = (0..400)
            .filter(|row| !is_held(row))
            .map(|row| &pairs[row])
            .collect();
        for row in held {
            let expected = shared_share([&pairs[row]], train.iter().copied()) == 1.0;
            assert_eq!(folds.is_shared[row], expected, "row {row}");
        }
    }
    let share = folds.is_shared.iter().filter(|shared| **shared).count() as f64 / 400.0;
    assert_eq!(share, folds.shares.between_folds);
    assert!((0.1..0.9).contains(&share), "{share}"); // both kinds were seen
}

#[test]
fn folds_are_even_in_rows_and_labels() {
    let pairs = random_pairs(1003, 4000);
    let positives = pairs
        .iter()
        .filter(|pair| pair.target == Target::Class(1))
        .count();
    let spread = |assign: Assign| {
        let folds = deal(&pairs, &[], 5, assign);
        let strata = Strata::new(&pairs);
        let task = Task::binary_pairs();
        let census = Census {
            strata: &strata,
            task: &task,
            k: 5,
        };
        let counts = census.by_fold(folds.first_repeat());
        let range = |of: fn(&Vec<usize>) -> usize| {
            let values = || counts.iter().map(of);
            values().max().expect("five") - values().min().expect("five")
        };
        assert_eq!(counts.iter().map(|fold| fold[1]).sum::<usize>(), positives);
        (
            range(|fold| fold[0]),
            range(|fold| fold[1]),
            range(|fold| fold.iter().sum()),
        )
    };
    // 1003 rows: three folds have one more; the rest of each label is dealt on in the same round.
    let (negative, positive, rows) = spread(Assign::Stratified);
    assert!(negative <= 1 && positive <= 1 && rows == 1);
    assert_eq!(spread(Assign::Row).2, 1);
    // Most components have one to three rows, so the greedy deal ends within two of even.
    let (negative, positive, rows) = spread(Assign::Group);
    assert!(
        negative <= 2 && positive <= 2 && rows <= 2,
        "{negative} {positive} {rows}"
    );
}

#[test]
fn the_same_rows_are_dealt_the_same_way() {
    let pairs = random_pairs(300, 900);
    for assign in [Assign::Auto, Assign::Row, Assign::Group] {
        assert_eq!(deal(&pairs, &[], 3, assign), deal(&pairs, &[], 3, assign));
    }
}

#[test]
fn auto_resembles_the_test_rows() {
    let pairs = random_pairs(1000, 2500);
    let by_row = deal(&pairs, &[], 5, Assign::Stratified)
        .shares
        .between_folds;
    assert!(by_row > 0.4, "{by_row}");
    // Test rows that share as often as rows do: dealt by rows. Test rows of their own: by groups.
    let known: Vec<Example> = (0..100)
        .map(|i| pair(pairs[i].a[0].0, 90_000 + i as u32, false))
        .collect();
    let other: Vec<Example> = (0..100)
        .map(|i| pair(80_000 + i, 90_000 + i, false))
        .collect();
    let folds = deal(&pairs, &known, 5, Assign::Auto);
    assert_eq!(folds.options.assign, Assign::Stratified);
    assert_eq!(folds.shares.test_with_train, Some(1.0));
    let folds = deal(&pairs, &other, 5, Assign::Auto);
    assert_eq!(folds.options.assign, Assign::Group);
    assert_eq!(folds.shares.between_folds_by_row, by_row);
    // Just on either side of the middle between 0 and `by_row`.
    let mixed = |n: usize| [&known[..n], &other[..100 - n]].concat();
    let middle = (50.0 * by_row) as usize;
    assert_eq!(
        deal(&pairs, &mixed(middle - 1), 5, Assign::Auto)
            .options
            .assign,
        Assign::Group
    );
    let above = deal(&pairs, &mixed(middle + 2), 5, Assign::Auto);
    assert_eq!(above.options.assign, Assign::Stratified);
}

#[test]
fn auto_without_a_test_file_is_careful() {
    let shared = random_pairs(1000, 2500);
    let folds = deal(&shared, &[], 5, Assign::Auto);
    assert_eq!(folds.options.assign, Assign::Group);
    let lone = deal(&lone_pairs(100, 3), &[], 5, Assign::Auto);
    assert_eq!(lone.options.assign, Assign::Stratified);
    assert_eq!(
        lone.describe(),
        "folds: 5 by \"stratified\" (chosen by \"auto\"), 20 to 20 rows each; rows that share a sentence with another fold: 0.0 % by \
         \"stratified\", 0.0 % by \"group\"; there is no test file"
    );
    // One component of 600 rows: no even groups.
    let mut giant: Vec<Example> = (0..600).map(|i| pair(1, 1000 + i, i % 2 == 0)).collect();
    giant.extend(lone_pairs(100, 3).iter().map(|p| {
        pair(
            p.a[0].0 + 5000,
            p.b.as_ref().expect("two texts")[0].0 + 5000,
            p.target == Target::Class(1),
        )
    }));
    let folds = deal(&giant, &[], 5, Assign::Auto);
    assert_eq!(folds.options.assign, Assign::Stratified);
    assert!(
        folds.describe().contains("no even folds by \"group\""),
        "{}",
        folds.describe()
    );
}

#[test]
fn more_folds_than_components_are_refused() {
    // Three components.
    let pairs = [
        (1, 2, false),
        (2, 3, true),
        (4, 5, true),
        (5, 4, false),
        (6, 7, true),
    ];
    let pairs = pairs.map(|(a, b, label)| pair(a, b, label));
    let (message, hint) = refusal(&pairs, 4, Assign::Group);
    assert_eq!(
        message,
        "folds.k = 4 with folds.assign = \"group\": the training rows have 3 components of shared sentences, and a \
         fold needs one at least"
    );
    assert_eq!(hint, "lower folds.k, or set folds.assign = \"stratified\"");
}

#[test]
fn a_fold_without_a_label_is_refused() {
    let (message, hint) = refusal(&lone_pairs(40, 10), 5, Assign::Stratified);
    assert!(
        message.starts_with("folds.k = 5 with folds.assign = \"stratified\": fold ")
            && message.ends_with(" would hold no row of label 1, of which there are 4"),
        "{message}"
    );
    assert_eq!(hint, "lower folds.k");
    let (_, hint) = refusal(&lone_pairs(40, 10), 5, Assign::Row);
    assert_eq!(hint, "lower folds.k, or set folds.assign = \"stratified\"");
    let (message, hint) = refusal(&lone_pairs(40, 40), 2, Assign::Auto);
    assert!(
        message.contains("no row of label 1, of which there are 1"),
        "{message}"
    );
    assert_eq!(hint, "more rows of that label are needed");
    // More folds than rows.
    let (message, _) = refusal(&lone_pairs(4, 2), 9, Assign::Row);
    assert!(message.contains("would hold no row of label "), "{message}");
}

/// `rows` texts of one token, drawn from `texts`, with the target of each row's draw.
fn singles(rows: u64, texts: u64, target: impl Fn(u64) -> Target) -> Vec<Example> {
    let key = Key::from_seed(3);
    (0..rows)
        .map(|row| Example {
            a: vec![CipherId((key.bits(row) % texts) as u32)],
            b: None,
            target: target(key.bits(100_000 + row)),
        })
        .collect()
}

fn task(labels: LabelKind, classes: &[&str]) -> Task {
    Task {
        labels,
        classes: classes.iter().map(|&name| name.to_owned()).collect(),
        ..Task::default()
    }
}

/// The largest difference between two folds in the rows of a stratum.
fn spread(rows: &[Example], task: &Task, k: usize, assign: Assign) -> usize {
    let folds = Folds::deal(rows, &[], options(k, 1, assign), task).expect("enough rows");
    let strata = Strata::new(rows);
    let census = Census {
        strata: &strata,
        task,
        k,
    };
    let counts = census.by_fold(folds.first_repeat());
    let of_stratum = |stratum: usize| counts.iter().map(move |fold| fold[stratum]);
    (0..strata.n)
        .map(|stratum| {
            of_stratum(stratum).max().unwrap_or(0) - of_stratum(stratum).min().unwrap_or(0)
        })
        .max()
        .expect("strata")
}

#[test]
fn folds_are_even_in_every_kind_of_label() {
    let names = ["a", "b", "c", "d"];
    // One class has a tenth of the rows of another.
    let class = |draw: u64| Target::Class([0, 0, 0, 0, 1, 1, 1, 2, 2, 3][(draw % 10) as usize]);
    let several = |draw: u64| {
        let held = (0..4).filter(|class| (draw >> (3 * class)).is_multiple_of(class + 2));
        Target::Several(held.map(|class| class as u32).collect())
    };
    let number = |draw: u64| Target::Number((draw % 50) as f32 / 10.0);
    for (task, rows) in [
        (task(LabelKind::Classes, &names), singles(1003, 800, class)),
        (
            task(LabelKind::Multilabel, &names),
            singles(1003, 800, several),
        ),
        (task(LabelKind::Ordinal, &[]), singles(1003, 800, number)),
    ] {
        assert!(spread(&rows, &task, 5, Assign::Stratified) <= 1, "{task:?}");
        // Components of equal texts have few rows, of several classes.
        let spread = spread(&rows, &task, 5, Assign::Group);
        assert!(spread <= 4, "{task:?} {spread}");
    }
}

#[test]
fn single_texts_hang_together_where_they_are_equal() {
    let rows = singles(500, 300, |draw| Target::Class((draw % 3) as u32));
    let task = task(LabelKind::Classes, &["a", "b", "c"]);
    let folds = Folds::deal(&rows, &[], options(4, 1, Assign::Group), &task).expect("enough rows");
    let mut home = HashMap::new();
    for (row, &fold) in rows.iter().zip(folds.first_repeat()) {
        assert_eq!(*home.entry(&row.a).or_insert(fold), fold);
    }
    assert!(home.len() < 300);
    let by_row = Folds::deal(&rows, &[], options(4, 1, Assign::Row), &task).expect("enough rows");
    assert!(by_row.shares.between_folds > 0.3);
}

#[test]
fn a_class_with_fewer_rows_than_folds() {
    let task = task(LabelKind::Classes, &["a", "b", "c"]);
    // Four rows of c, and then one.
    let few = |n: u32| -> Vec<Example> {
        let class = |i: u32| if i < n { 2 } else { i % 2 };
        (0..40)
            .map(|i| Example {
                a: vec![CipherId(i)],
                b: None,
                target: Target::Class(class(i)),
            })
            .collect()
    };
    for assign in [Assign::Auto, Assign::Row, Assign::Stratified, Assign::Group] {
        let error = Folds::deal(&few(4), &[], options(5, 1, assign), &task).expect_err("too few");
        assert_eq!(
            error.to_string(),
            "folds.k = 5: the class `c` has 4 rows, and every fold needs one of each class"
        );
        let hint = "set folds.k to 4 or less, or leave the rows of the class out";
        assert_eq!(error.hint(), Some(hint));
    }
    let error = Folds::deal(&few(1), &[], options(2, 1, Assign::Auto), &task).expect_err("too few");
    assert_eq!(
        error.to_string(),
        "folds.k = 2: the class `c` has 1 row, and every fold needs one of each class"
    );
    assert_eq!(
        error.hint(),
        Some("the class needs more rows, or leave it out")
    );
    assert!(Folds::deal(&few(5), &[], options(5, 1, Assign::Auto), &task).is_ok());
}

#[test]
fn a_fold_that_holds_all_rows_of_a_class_is_refused() {
    let task = task(LabelKind::Classes, &["a", "b"]);
    // The rows of b are one text.
    let rows: Vec<Example> = (0..40)
        .map(|i| Example {
            a: vec![CipherId(i.min(30))],
            b: None,
            target: Target::Class(u32::from(i >= 30)),
        })
        .collect();
    let error = Folds::deal(&rows, &[], options(4, 1, Assign::Group), &task).expect_err("one text");
    let message = error.to_string();
    assert!(
        message.ends_with(" would hold all 10 rows of the class `b`"),
        "{message}"
    );
    let folds = Folds::deal(&rows, &[], options(4, 1, Assign::Auto), &task).expect("by rows");
    assert_eq!(folds.options.assign, Assign::Stratified);
}

#[test]
fn more_folds_than_rows() {
    let rows = singles(3, 100, |draw| Target::Number(draw as f32));
    let error = Folds::deal(
        &rows,
        &[],
        options(4, 1, Assign::Row),
        &task(LabelKind::Ordinal, &[]),
    );
    let message = error.expect_err("three rows").to_string();
    assert_eq!(
        message,
        "folds.k = 4 with folds.assign = \"row\": fold 4 would hold no row"
    );
}

/// Pairs of sentences of 20 tokens, of which every other one is an earlier one with a token more.
fn pairs_of_near_sentences(rows: u64) -> Vec<Example> {
    let key = Key::from_seed(21);
    let fresh = |sentence: u64| -> Vec<CipherId> {
        let token = |at: u64| CipherId((key.at(sentence).bits(at) % 5000) as u32);
        (0..20).map(token).collect()
    };
    let longer = |sentence: u64| -> Vec<CipherId> {
        let mut longer = fresh(key.bits(sentence) % sentence.max(1));
        longer.push(CipherId(9000 + (key.bits(sentence) % 3) as u32));
        longer
    };
    let pair = |row: u64| Example {
        a: fresh(2 * row),
        b: Some(match row % 2 {
            0 => longer(row),
            _ => fresh(2 * row + 1),
        }),
        target: key.bits(5000 + row).is_multiple_of(3).into(),
    };
    (0..rows).map(pair).collect()
}

#[test]
fn no_near_duplicates_are_split_over_two_folds() {
    let pairs = pairs_of_near_sentences(600);
    let split_pairs = |near: Option<f64>| {
        let options = FoldOptions {
            near,
            ..options(5, 2, Assign::Group)
        };
        let folds = Folds::deal(&pairs, &[], options, &Task::binary_pairs()).expect("enough rows");
        let rows_of: Vec<(usize, &[CipherId])> = (pairs.iter().enumerate())
            .flat_map(|(row, pair)| pair.texts().map(move |text| (row, text)))
            .collect();
        let is_near = |one: &[CipherId], other: &[CipherId]| {
            let [short, long] = if one.len() < other.len() {
                [one, other]
            } else {
                [other, one]
            };
            long.len() < short.len() + 2 && long.starts_with(&short[..20])
        };
        let mut n_near = 0;
        let mut n_split = 0;
        for (i, &(row, text)) in rows_of.iter().enumerate() {
            for &(other, other_text) in &rows_of[..i] {
                if is_near(text, other_text) {
                    n_near += 1;
                    let fold_of = folds.fold_of.iter();
                    n_split += usize::from(fold_of.clone().any(|of| of[row] != of[other]));
                }
            }
        }
        assert!(n_near > 100, "{n_near} say little");
        let line = folds.describe();
        assert_eq!(
            line.contains("sentences of similarity 0.9 or more in one fold"),
            near.is_some(),
            "{line}"
        );
        n_split
    };
    assert_eq!(split_pairs(Some(0.9)), 0);
    assert!(split_pairs(None) > 50);
}

/// Runs of before go on with the folds they have: hashes of what was dealt when rows had two classes only.
#[test]
fn two_classes_are_dealt_as_ever() {
    use sha2::{Digest, Sha256};
    let hash = |dealt: String| -> String {
        let digest = Sha256::digest(dealt);
        digest[..4]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    };
    let pairs = random_pairs(3000, 7000);
    for (assign, expected) in [
        (Assign::Row, "90caef3c"),
        (Assign::Stratified, "d5199b05"),
        (Assign::Group, "f8073b8c"),
    ] {
        let options = options(5, 2, assign);
        let folds = Folds::deal(&pairs, &[], options, &Task::binary_pairs()).expect("enough rows");
        assert_eq!(hash(format!("{:?}", folds.fold_of)), expected, "{assign:?}");
    }
    let valid = super::super::split::valid_rows(&pairs, super::super::split::ValidSplit::Group);
    assert_eq!(hash(format!("{valid:?}")), "0fb20bb5");
}
