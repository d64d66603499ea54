//! Every kind of text and label, and a test named after each label that is refused.

use super::super::format::{Column, LabelColumns};
use super::super::task::LabelKind;
use super::tests::Wanted::{self, Ignored, Optional, Required};
use super::tests::{read_with, show, show_file};
use super::*;
use crate::random::Key;

fn single(labels: LabelKind) -> ExampleFormat {
    ExampleFormat {
        kind: TextKind::Single,
        labels,
        ..ExampleFormat::default()
    }
}

/// Rows by number of class, as one training file gives them, and the names of the classes in order.
fn classes_of(text: &str, format: &ExampleFormat) -> (Vec<String>, Vec<String>) {
    let mut classes = Classes::new(format);
    let mut file = read_with(text, format, Required, &mut classes).expect("a good file");
    classes.close(&mut file.examples);
    let task = format.task(&classes).expect("a choice of classes");
    assert_eq!(Classes::of(&task), classes);
    (show_file(&file), task.classes)
}

/// The error and its hint, after a training file that was read.
fn refused_after(training: &str, text: &str, format: &ExampleFormat) -> Vec<String> {
    let mut classes = Classes::new(format);
    let mut file = read_with(training, format, Required, &mut classes).expect("a good file");
    classes.close(&mut file.examples);
    let error = read_with(text, format, Required, &mut classes).expect_err("another class");
    vec![
        error.to_string(),
        error.hint().unwrap_or_default().to_owned(),
    ]
}

#[test]
fn single_texts_have_their_label_in_the_second_column() {
    let format = single(LabelKind::Binary);
    assert_eq!(show("1 2\t1\n3\t0\n", &format, Required), ["1 2/1", "3/0"]);
    assert_eq!(show("1 2\n3\n", &format, Optional), ["1 2/-", "3/-"]);
    assert_eq!(show("1 2\t1\n", &format, Ignored), ["1 2/-"]);
    assert_eq!(
        show("1\t2\t0\n", &format, Required),
        [
            "x.tsv:1: expected 2 tab-separated fields, found 3",
            "hint: a header names the columns of a wider table: `data.header`, `data.text_a`, `data.label`"
        ]
    );
    assert_eq!(
        show("1 2\n", &format, Required)[1],
        "hint: rows without a label belong in `data.unlabelled`"
    );
    assert_eq!(
        show("", &format, Required),
        [
            "x.tsv: expected one text or more, found an empty file",
            "hint: write its rows there, one a line, or name another file"
        ]
    );
}

#[test]
fn columns_of_the_settings_stand_for_single_texts_too() {
    let format = ExampleFormat {
        text_a: Some(Column::Number(2)),
        label: Some(Column::Number(1).into()),
        ..single(LabelKind::Binary)
    };
    assert_eq!(show("1\t5 6\n", &format, Required), ["5 6/1"]);
    assert_eq!(show("5 6\n", &format, Optional), ["5 6/-"]);
    let format = ExampleFormat {
        header: true,
        text_a: Some(Column::Name("text".into())),
        label: Some(Column::Name("y".into()).into()),
        ..single(LabelKind::Ordinal)
    };
    assert_eq!(
        show("id\ty\ttext\n7\t.5\t5 6\n", &format, Required),
        ["5 6/0.5"]
    );
    assert_eq!(show("id\ttext\n7\t5 6\n", &format, Optional), ["5 6/-"]);
}

#[test]
fn classes_are_any_strings_in_the_order_of_their_names() {
    let format = single(LabelKind::Classes);
    let (rows, names) = classes_of("1\t 体育 \n2\tb c\n3\tB\n4\tb c\n", &format);
    assert_eq!(names, ["B", "b c", "体育"]);
    assert_eq!(rows, ["1/2", "2/1", "3/0", "4/1"]);
}

#[test]
fn classes_that_are_whole_numbers_stand_in_the_order_of_their_values() {
    let format = single(LabelKind::Classes);
    let (rows, names) = classes_of("1\t10\n2\t9\n3\t-1\n4\t09\n", &format);
    assert_eq!(names, ["-1", "09", "9", "10"]);
    assert_eq!(rows, ["1/3", "2/2", "3/0", "4/1"]);
    // One string among them, and all are names.
    assert_eq!(
        classes_of("1\t10\n2\t9\n3\tx\n", &format).1,
        ["10", "9", "x"]
    );
}

#[test]
fn the_order_of_rows_does_not_move_the_classes() {
    let key = Key::from_seed(7);
    for labels in [LabelKind::Classes, LabelKind::Multilabel] {
        let format = single(labels);
        let mut rows: Vec<String> = (0..60)
            .map(|row| {
                let of = |i| format!("k{}", key.at(row).bits(i) % 13);
                match labels {
                    LabelKind::Multilabel => format!("{row} 0\t{},{}\n", of(0), of(1)),
                    _ => format!("{row} 0\t{}\n", of(0)),
                }
            })
            .collect();
        let (mut shown, names) = classes_of(&rows.concat(), &format);
        rows.reverse();
        let (shown_again, names_again) = classes_of(&rows.concat(), &format);
        shown.reverse();
        assert_eq!((shown, names), (shown_again, names_again));
    }
}

#[test]
fn several_labels_in_one_column() {
    let format = single(LabelKind::Multilabel);
    let (rows, names) = classes_of("1\tx, b\n2\t\n3\tb,x,b\n4\ta\n", &format);
    assert_eq!(names, ["a", "b", "x"]);
    assert_eq!(rows, ["1/[1, 2]", "2/[]", "3/[1, 2]", "4/[0]"]);
    let format = ExampleFormat {
        label_separator: " | ".into(),
        ..format
    };
    assert_eq!(classes_of("1\ta,b | c\n", &format).1, ["a,b", "c"]);
    assert_eq!(
        show("1\ta |  | c\n", &format, Required),
        [
            "x.tsv:1:2: expected a label beside each separator, found nothing",
            "hint: set `data.label_separator`"
        ]
    );
}

fn three_columns(header: bool) -> ExampleFormat {
    ExampleFormat {
        header,
        label: Some(LabelColumns::Several([3, 4, 5].map(Column::Number).into())),
        labels: LabelKind::Multilabel,
        ..ExampleFormat::default()
    }
}

#[test]
fn several_labels_in_columns_of_their_own_keep_the_order_of_the_columns() {
    let rows = "1\t2\t0\t1\t1\n3\t4\t0\t0\t0\n";
    let expected = ["1/2/[1, 2]", "3/4/[]"].map(str::to_owned).to_vec();
    let numbered = ["label_1", "label_2", "label_3"]
        .map(str::to_owned)
        .to_vec();
    assert_eq!(
        classes_of(rows, &three_columns(false)),
        (expected.clone(), numbered)
    );
    let with_header = format!("q1\tq2\tz\ta\tm\n{rows}");
    let named = ["z", "a", "m"].map(str::to_owned).to_vec();
    assert_eq!(
        classes_of(&with_header, &three_columns(true)),
        (expected, named)
    );
    assert_eq!(show("1\t2\n", &three_columns(false), Optional), ["1/2/-"]);
    assert_eq!(
        show("1\t2\t0\n", &three_columns(false), Optional)[0],
        "x.tsv:1: expected 2 or 5 tab-separated fields, found 3"
    );
    assert_eq!(
        show("1\t2\t0\t2\t0\n", &three_columns(false), Required),
        ["x.tsv:1:4: expected label 0 or 1, found `2`"]
    );
}

#[test]
fn columns_of_labels_that_are_others_than_in_the_file_before() {
    let format = three_columns(true);
    let rows = |names: &str| format!("q1\tq2\t{names}\n1\t2\t0\t1\t1\n");
    assert_eq!(
        refused_after(&rows("z\ta\tm"), &rows("z\ta\tn"), &format)[0],
        "x.tsv:1:n: expected a class of the training rows: `z`, `a`, `m`, found `n`"
    );
    assert_eq!(
        show(rows("z\ta\tz"), &format, Required),
        [
            "x.tsv:1:z: expected a name of its own for each label's column, found `z` a second time",
            "hint: rename one of the columns in the header"
        ]
    );
    // In another order they are the same.
    let mut classes = Classes::new(&format);
    read_with(rows("z\ta\tm"), &format, Required, &mut classes).expect("a good file");
    let turned = read_with(rows("m\ta\tz"), &format, Required, &mut classes);
    assert_eq!(show_file(&turned.expect("the same names")), ["1/2/[0, 1]"]);
}

#[test]
fn label_outside_the_classes_of_the_training_rows() {
    assert_eq!(
        refused_after("1\ta\n2\tb\n", "1\tb\n2\tc\n", &single(LabelKind::Classes)),
        [
            "x.tsv:2:2: expected a class of the training rows: `a`, `b`, found `c`",
            "every class needs rows in `data.train`; rows of another one can stand in `data.unlabelled`"
        ]
    );
    let many: String = (0..30).map(|i| format!("1\tk{i:02}\n")).collect();
    assert_eq!(
        refused_after(&many, "1\tk01,k99\n", &single(LabelKind::Multilabel))[0],
        "x.tsv:1:2: expected a class of the training rows: `k00`, `k01`, `k02`, `k03`, `k04`, `k05`, … (30 in all), \
         found `k99`"
    );
}

#[test]
fn classes_of_forty_thousand_different_values() {
    let text: String = (0..40_000).map(|i| format!("1\t{i}\n")).collect();
    assert_eq!(
        show(&text, &single(LabelKind::Classes), Required),
        [
            "x.tsv:1001:2: expected at most 1000 different labels, found one more, `1000`",
            "hint: for numbers whose order counts set `task.labels = \"ordinal\"`; or is this a column of ids? Then set \
             `data.label`"
        ]
    );
    assert_eq!(
        show(&text, &single(LabelKind::Ordinal), Required).len(),
        40_000
    );
}

#[test]
fn ordinal_that_is_not_a_number() {
    let format = single(LabelKind::Ordinal);
    assert_eq!(
        show("1\t-2.5\n2\t1e1\n3\t4\n", &format, Required),
        ["1/-2.5", "2/10.0", "3/4.0"]
    );
    for wrong in ["abc", "inf", "1e99", "1,5"] {
        assert_eq!(
            show(format!("1\t0\n2\t{wrong}\n"), &format, Required),
            [
                format!("x.tsv:2:2: expected a finite number as label, found `{wrong}`"),
                "hint: labels that are no numbers are `task.labels = \"classes\"`".to_owned()
            ]
        );
    }
    assert_eq!(
        show("1\t\n", &format, Required),
        [
            "x.tsv:1:2: expected a finite number as label, found nothing",
            "hint: rows without a label belong in `data.unlabelled`"
        ]
    );
}

#[test]
fn class_that_is_empty_or_holds_control_characters() {
    let format = single(LabelKind::Classes);
    assert_eq!(
        show("1\t \n", &format, Required),
        [
            "x.tsv:1:2: expected a class, found nothing",
            "hint: rows without a label belong in `data.unlabelled`"
        ]
    );
    assert_eq!(
        show("1\ta\u{1}b\n", &format, Required),
        ["x.tsv:1:2: expected a class without control characters, found `a\\u{1}b`"]
    );
}

#[test]
fn training_rows_of_one_class() {
    let message = |text: &str, labels: LabelKind| {
        let format = single(labels);
        let mut classes = Classes::new(&format);
        read_with(text, &format, Required, &mut classes).expect("a good file");
        let error = format.task(&classes).expect_err("no choice");
        assert_eq!(
            error.hint(),
            Some("set `data.label` to the column of the label")
        );
        error.to_string()
    };
    assert_eq!(
        message("1\ta\n2\ta\n", LabelKind::Classes),
        "all training rows are of the class `a`: there is nothing to learn"
    );
    assert_eq!(
        message("1\t\n2\t\n", LabelKind::Multilabel),
        "the training rows hold no label at all"
    );
}

#[test]
fn label_columns_that_do_not_fit_the_labels() {
    let refused = |change: &dyn Fn(&mut ExampleFormat)| {
        let mut format = three_columns(false);
        change(&mut format);
        show("1\t2\t1\t1\t1\n", &format, Required)
    };
    assert_eq!(
        refused(&|format| format.labels = LabelKind::Classes),
        [
            "`data.label` is a list of columns with task.labels = \"classes\"",
            "hint: set `task.labels = \"multilabel\"`, or name one column"
        ]
    );
    assert_eq!(
        refused(&|format| format.label = Some(LabelColumns::Several(vec![]))),
        ["`data.label` is an empty list of columns"]
    );
    let separated = |separator: &str| {
        refused(&|format| {
            format.label = None;
            format.label_separator = separator.to_owned();
        })
    };
    assert_eq!(separated(""), ["`data.label_separator` must not be empty"]);
    assert_eq!(
        separated("\t"),
        ["`data.label_separator` must not hold `data.delimiter`"]
    );
    assert_eq!(
        show(
            "1\t0\n",
            &ExampleFormat {
                label: Some(Column::Number(1).into()),
                ..single(LabelKind::Binary)
            },
            Required
        ),
        [
            "`data.text_a` and `data.label` must be different columns",
            "hint: set `data.label` to another column"
        ]
    );
}

#[test]
fn read_of_written_is_the_same_for_every_kind_of_label() {
    let key = Key::from_seed(6);
    let all = [
        LabelKind::Binary,
        LabelKind::Classes,
        LabelKind::Multilabel,
        LabelKind::Ordinal,
    ];
    for (kind, labels) in [TextKind::Pair, TextKind::Single]
        .into_iter()
        .flat_map(|kind| all.map(|labels| (kind, labels)))
    {
        let format = ExampleFormat {
            kind,
            labels,
            ..ExampleFormat::default()
        };
        let mut expected = Vec::new();
        let mut text = String::new();
        for row in 0..100 {
            let draw = |i: u64, n: u64| key.at(row).bits(i) % n;
            let texts: Vec<_> = (0..kind.n_texts() as u64)
                .map(|i| draw(i, 5000).to_string())
                .collect();
            // Every class stands in one of the first rows, so that names are numbered 0, 1, 2, ….
            let class = if row < 7 { row } else { draw(3, 7) };
            let (written, shown) = match labels {
                LabelKind::Binary => (class % 2, (class % 2).to_string()),
                LabelKind::Classes => (class, class.to_string()),
                LabelKind::Multilabel => (class, format!("[{class}]")),
                LabelKind::Ordinal => (class, format!("{class}.0")),
            };
            text += &format!("{}\t{written}\n", texts.join("\t"));
            expected.push(format!("{}/{shown}", texts.join("/")));
        }
        assert_eq!(
            classes_of(&text, &format).0,
            expected,
            "{kind:?} {labels:?}"
        );
        let ignored: Wanted = Ignored;
        assert_eq!(show(&text, &format, ignored).len(), 100);
    }
}

#[test]
fn labels_0_and_1_as_floats() {
    let format = single(LabelKind::Binary);
    let rows = show("1\t1.0\n2\t0.00\n3\t1\n", &format, Required);
    assert_eq!(rows, ["1/1", "2/0", "3/1"]);
    let rows = show("1\t2\t0.0\t1.0\t1.0\n", &three_columns(false), Required);
    assert_eq!(rows, ["1/2/[1, 2]"]);
}

#[test]
fn a_word_for_nothing_among_numbers_is_a_missing_label() {
    let unlabelled = "hint: rows without a label belong in `data.unlabelled`";
    for (labels, expected) in [
        (LabelKind::Binary, "expected label 0 or 1, found `NaN`"),
        (LabelKind::Classes, "expected a class, found `NaN`"),
        (
            LabelKind::Ordinal,
            "expected a finite number as label, found `NaN`",
        ),
    ] {
        assert_eq!(
            show("1\t1\n2\tNaN\n3\t0\n4\tnull\n", &single(labels), Required),
            [&format!("x.tsv:2:2: {expected}"), unlabelled],
            "{labels:?}"
        );
    }
    // Among names it is one of them.
    let (_, names) = classes_of("1\tna\n2\teu\n3\t1\n", &single(LabelKind::Classes));
    assert_eq!(names, ["1", "eu", "na"]);
}

#[test]
fn a_label_of_minus_one_may_be_that_of_a_test_file() {
    assert_eq!(
        show("1\t-1\n", &single(LabelKind::Binary), Required),
        [
            "x.tsv:1:2: expected label 0 or 1, found `-1`",
            "hint: if -1 says that a row has no label, the row belongs in `data.unlabelled` or `data.test`; of the labels -1 \
             and 1, write 0 for -1"
        ]
    );
}
