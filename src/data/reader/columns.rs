//! Tests: which columns of a file are taken for what, by place, by name and by key.

use super::super::format::Column;
use super::tests::Wanted::{Ignored, Required};
use super::tests::show;
use super::*;

#[test]
fn columns_by_number_under_a_header() {
    let format = ExampleFormat {
        header: true,
        ..ExampleFormat::default()
    };
    assert_eq!(
        show("a\tb\ty\textra\n1\t2\t1\tz\n", &format, Required),
        ["1/2/1"]
    );
    let format = ExampleFormat {
        label: Some(Column::Number(3).into()),
        ..format
    };
    assert_eq!(
        show("a\tb\n1\t2\n", &format, Required)[0],
        "x.tsv:1:3: expected a column number 3, found the columns `a`, `b`"
    );
}

/// Rows with an id, two texts, and a label.
fn with_ids(header: &str, n: usize) -> String {
    let row = |i: usize| format!("{},{} 5,{} 6,{}\n", 700 + i, i % 3, i % 4, i % 2);
    format!("{header}\n") + &(0..n).map(row).collect::<String>()
}

fn csv_with_any_header() -> ExampleFormat {
    ExampleFormat {
        delimiter: ',',
        header: true,
        ..ExampleFormat::default()
    }
}

#[test]
fn columns_under_a_header_are_found_by_their_names_and_never_by_their_place() {
    let format = csv_with_any_header();
    let expected = ["0 5/0 6/0", "1 5/1 6/1"];
    for header in ["id,text_a,text_b,label", "id,Sentence1,Sentence2,y"] {
        assert_eq!(show(with_ids(header, 2), &format, Required), expected);
    }
    // The label stands first, and `score` has no claim beside it.
    let rows = show("label,q1,q2,score\n1,2 5,3 6,9\n", &format, Required);
    assert_eq!(rows, ["2 5/3 6/1"]);
    assert_eq!(
        show(with_ids("id,x,z,label", 20), &format, Required),
        [
            "x.tsv:1: expected two text columns with usual names, such as `text_a` and `text_b`, found the columns `id`, \
             `x`, `z`, `label`",
            "hint: set `data.text_a` and `data.text_b` to the names of the text columns; one text a row is \
             `task.kind = \"single\"`"
        ]
    );
    assert_eq!(
        show(with_ids("id,text_a,text_b,c", 20), &format, Required),
        [
            "x.tsv:1: expected a label column with a usual name, such as `label`, found the columns `id`, `text_a`, \
             `text_b`, `c`",
            "hint: set `data.label`; rows without a label belong in `data.unlabelled`"
        ]
    );
    let single = ExampleFormat {
        kind: TextKind::Single,
        ..csv_with_any_header()
    };
    assert_eq!(
        show("id,text,label\n7,1 2,1\n", &single, Required),
        ["1 2/1"]
    );
    assert_eq!(
        show("id,words,label\n7,1 2,1\n", &single, Required),
        [
            "x.tsv:1: expected a text column with a usual name, such as `text`, found the columns `id`, `words`, `label`",
            "hint: set `data.text_a` to the name of the text column"
        ]
    );
}

#[test]
fn the_other_text_of_a_pair_is_the_one_that_belongs_to_it() {
    let format = ExampleFormat {
        text_a: Some(Column::Name("q2".into())),
        ..csv_with_any_header()
    };
    let rows = show("id,q1,q2,label\n7,1,2,1\n", &format, Required);
    assert_eq!(rows, ["2/1/1"]);
    // Column 2 by default was the first text once more.
    assert_eq!(
        show("id,q2,z,label\n7,1,2,1\n", &format, Required),
        [
            "x.tsv:1: expected a second text column with a usual name, such as `text_b`, found the columns `id`, `q2`, \
             `z`, `label`",
            "hint: set `data.text_b` to the name of the second text column; one text a row is `task.kind = \"single\"`"
        ]
    );
}

#[test]
fn a_column_by_name_and_again_by_number() {
    let format = ExampleFormat {
        text_a: Some(Column::Name("text".into())),
        text_b: Some(Column::Number(2)),
        ..csv_with_any_header()
    };
    assert_eq!(
        show("id,text,label\n7,1 2,1\n", &format, Required),
        [
            "x.tsv:1:text: expected a column of its own for `data.text_b`, found `text`, which has another use already",
            "hint: set `data.text_b` to another column"
        ]
    );
}

#[test]
fn ids_are_not_taken_for_texts() {
    let by_number = ExampleFormat {
        text_a: Some(Column::Number(1)),
        text_b: Some(Column::Number(2)),
        ..csv_with_any_header()
    };
    let expected = "expected texts, found one number a row, each another, as ids are";
    let hint = |value: &str| {
        format!(
            "hint: name the text columns by `data.text_a`, `data.text_b` and a header, or take the ids out; if these are \
             texts, set `data.text_a = {value}`"
        )
    };
    let text = with_ids("id,text_a,text_b,label", 20);
    assert_eq!(
        show(&text, &by_number, Required),
        [format!("x.tsv:id: {expected}"), hint("\"id\"")]
    );
    let by_name = ExampleFormat {
        text_a: Some(Column::Name("id".into())),
        ..by_number
    };
    assert_eq!(show(&text, &by_name, Required).len(), 20);
    // A test file with an id where the training file has none.
    let tab = |n: u64| -> String {
        let row = |i| format!("{}\t{} 5\t{} 6\n", 700 + i * i % 101, i % 3, i % 4);
        (0..n).map(row).collect()
    };
    let format = ExampleFormat::default();
    assert_eq!(
        show(tab(20), &format, Ignored),
        [format!("x.tsv:1: {expected}"), hint("1")]
    );
    assert_eq!(show(tab(9), &format, Ignored).len(), 9);
    let set = ExampleFormat {
        text_a: Some(Column::Number(1)),
        ..format
    };
    assert_eq!(show(tab(20), &set, Ignored).len(), 20);
}

#[test]
fn a_name_that_comes_twice_is_refused_where_it_is_used() {
    let format = csv_with_any_header();
    let hint = |key: &str| {
        format!(
            "hint: rename one of the columns, or set `data.{key}` to the number of the right one"
        )
    };
    let text = "id,text_a,text_b,label,label\n7,1,2,1,0\n";
    assert_eq!(
        show(text, &format, Required),
        [
            "x.tsv:1: expected each name once, found `label` twice",
            &hint("label")
        ]
    );
    let second = ExampleFormat {
        label: Some(Column::Number(5).into()),
        ..format.clone()
    };
    assert_eq!(show(text, &second, Required), ["1/2/0"]);
    let text = "text_a,text_a,text_b,text_a,label\n1,2,3,4,1\n";
    assert_eq!(
        show(text, &format, Required),
        [
            "x.tsv:1: expected each name once, found `text_a` 3 times",
            &hint("text_a")
        ]
    );
    // What is not used may be called as it likes.
    let text = "id,id,text_a,text_b,label\n7,7,1,2,1\n";
    assert_eq!(show(text, &format, Required), ["1/2/1"]);
}
