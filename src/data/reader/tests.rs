//! Formats that are read, and a test named after each malformed input.

use super::super::format::Column;
use super::super::task::LabelKind;
use super::*;

/// What is done with labels, without the classes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wanted {
    Required,
    Ignored,
    Unused,
    Optional,
}

use Wanted::{Ignored, Optional, Required, Unused};

fn read_as(text: impl AsRef<[u8]>, format: &ExampleFormat, wanted: Wanted) -> Result<ExampleFile> {
    read_with(text, format, wanted, &mut Classes::new(format))
}

pub(super) fn read_with(
    text: impl AsRef<[u8]>,
    format: &ExampleFormat,
    wanted: Wanted,
    classes: &mut Classes,
) -> Result<ExampleFile> {
    format.check()?;
    let mut dictionary = Dictionary::new(format.tokens);
    let labels = match wanted {
        Required => Labels::Required(classes),
        Ignored => Labels::Ignored,
        Unused => Labels::Unused,
        Optional => Labels::Optional(classes),
    };
    let bytes = text.as_ref();
    parse(Path::new("x.tsv"), bytes, format, labels, &mut dictionary)
}

/// `a a/b b/label` of each row, or the error and its hint.
pub(super) fn show(text: impl AsRef<[u8]>, format: &ExampleFormat, labels: Wanted) -> Vec<String> {
    match read_as(text, format, labels) {
        Ok(file) => show_file(&file),
        Err(error) => {
            let hint = error.hint().map(|hint| format!("hint: {hint}"));
            [Some(error.to_string()), hint]
                .into_iter()
                .flatten()
                .collect()
        }
    }
}

pub(super) fn show_file(file: &ExampleFile) -> Vec<String> {
    let ids = |sentence: &[CipherId]| {
        let ids: Vec<_> = sentence.iter().map(|id| id.0.to_string()).collect();
        ids.join(" ")
    };
    let show_row = |example: &Example| {
        let label = match &example.target {
            Target::Unknown => "-".to_owned(),
            Target::Class(class) => class.to_string(),
            Target::Number(number) => format!("{number:?}"),
            Target::Several(classes) => format!("{classes:?}"),
            Target::Probabilities(each) => format!("{each:?}"),
        };
        let texts = example.texts().map(|text| ids(text) + "/");
        texts.collect::<String>() + &label
    };
    file.examples.iter().map(show_row).collect()
}

fn required(text: impl AsRef<[u8]>) -> Vec<String> {
    show(text, &ExampleFormat::default(), Required)
}

fn csv_with_header() -> ExampleFormat {
    ExampleFormat {
        delimiter: ',',
        header: true,
        text_a: Some(Column::Name("left".into())),
        text_b: Some(Column::Name("right".into())),
        label: Some(Column::Name("same".into()).into()),
        ..ExampleFormat::default()
    }
}

const ID_HINT: &str =
    "hint: set `data.token_separator`, or `data.tokens = \"text\"` for tokens that are not numbers";
const LABEL_HINT: &str = "hint: rows without a label belong in `data.unlabelled`";
const SAME_HINT: &str = "hint: every row of a file has the same columns, with a label or without";

#[test]
fn default_format() {
    assert_eq!(required("1 2\t3\t1\n4\t5 6\t0\n"), ["1 2/3/1", "4/5 6/0"]);
    assert_eq!(required("1  2 \t 3\t1"), ["1 2/3/1"]);
}

#[test]
fn a_leading_zero_is_refused_for_what_it_is() {
    assert_eq!(required("0\t10\t1\n"), ["0/10/1"]);
    assert_eq!(
        required("1\t2\t1\n01 3\t2\t0\n")[0],
        "x.tsv:2:1: expected a token id without leading zeros, found `01`"
    );
}

#[test]
fn byte_order_mark_and_crlf() {
    assert_eq!(
        required("\u{feff}1 2\t3\t1\r\n4\t5 6\t0\r\n"),
        ["1 2/3/1", "4/5 6/0"]
    );
}

#[test]
fn labels_ignored_are_not_parsed() {
    let format = ExampleFormat::default();
    assert_eq!(show("1\t2\tperhaps\n", &format, Ignored), ["1/2/-"]);
    let has_labels = |text| {
        let file = read_as(text, &format, Ignored).expect("valid");
        file.has_labels
    };
    assert!(has_labels("1\t2\t0\n"));
    assert!(!has_labels("1\t2\n"));
}

#[test]
fn a_text_in_the_place_of_an_unused_label_is_refused() {
    let of = |labels: LabelKind| ExampleFormat {
        labels,
        ..ExampleFormat::default()
    };
    let hint = "hint: do the columns stand in another order than those of the training files? All files of a run have one order; \
                the column of the label may be left out";
    // The label stands first: it would be the first text, and the second text the label.
    for (labels, expected) in [
        (
            LabelKind::Binary,
            "label 0 or 1, or what stands in for an unknown one, as -1",
        ),
        (LabelKind::Ordinal, "a number as label"),
        (LabelKind::Classes, "a class"),
        (LabelKind::Multilabel, "labels"),
    ] {
        let rows = show("0\t5 6\t7\n1\t5 6\t7 8\n", &of(labels), Unused);
        let message = format!("x.tsv:2:3: expected {expected}, found `7 8`");
        assert_eq!(rows, [message, hint.to_owned()], "{labels:?}");
    }
    let text = ExampleFormat {
        tokens: TokenKind::Text,
        ..ExampleFormat::default()
    };
    assert_eq!(
        show("0\ta b\tc\n", &text, Unused)[0],
        "x.tsv:1:3: expected label 0 or 1, or what stands in for an unknown one, as -1, found `c`"
    );
    assert_eq!(
        show("5 6\t7\n", &of(LabelKind::Binary), Unused),
        ["5 6/7/-"]
    );
    let are_labels = |labels: LabelKind, fields: &[&str]| {
        for field in fields {
            let rows = show(format!("5 6\t7\t{field}\n"), &of(labels), Unused);
            assert_eq!(rows, ["5 6/7/-"], "{labels:?} {field}");
        }
    };
    let unknown = ["", "-1", "NaN", "null", "?", "0", "1.0"];
    are_labels(LabelKind::Binary, &unknown);
    are_labels(LabelKind::Ordinal, &unknown);
    are_labels(LabelKind::Ordinal, &["4.5"]);
    are_labels(LabelKind::Classes, &unknown);
    are_labels(LabelKind::Classes, &["new york", "7"]);
    are_labels(LabelKind::Multilabel, &unknown);
    are_labels(LabelKind::Multilabel, &["rude,toxic", "3,4"]);
}

#[test]
fn labels_optional_are_read_where_they_are() {
    let format = ExampleFormat::default();
    assert_eq!(show("1\t2\t1\n", &format, Optional), ["1/2/1"]);
    assert_eq!(show("1\t2\n", &format, Optional), ["1/2/-"]);
    assert_eq!(
        show("1\t2\n3\t4\t1\n", &format, Optional),
        [
            "x.tsv:2: expected 2 tab-separated fields, found 3",
            SAME_HINT
        ]
    );
    assert_eq!(
        show("3\t4\t1\n1\t2\n", &format, Optional),
        [
            "x.tsv:2: expected 3 tab-separated fields, found 2",
            SAME_HINT
        ]
    );
}

#[test]
fn csv_with_a_header_and_the_label_in_front() {
    let text = "same,id,right,left\n1,77,\"3 4\",\"1 2\"\n0,78,5,6\n";
    assert_eq!(
        show(text, &csv_with_header(), Required),
        ["1 2/3 4/1", "6/5/0"]
    );
    let test = "id,right,left\n1,2,3\n";
    assert_eq!(show(test, &csv_with_header(), Ignored), ["3/2/-"]);
}

#[test]
fn columns_by_number_move_up_where_the_label_is_absent() {
    let format = ExampleFormat {
        label: Some(Column::Number(1).into()),
        text_a: Some(Column::Number(2)),
        text_b: Some(Column::Number(3)),
        ..ExampleFormat::default()
    };
    assert_eq!(show("1\t5\t6\n", &format, Required), ["5/6/1"]);
    assert_eq!(show("5\t6\n", &format, Ignored), ["5/6/-"]);
}

#[test]
fn text_tokens_with_another_separator() {
    let format = ExampleFormat {
        token_separator: "|".into(),
        tokens: TokenKind::Text,
        ..ExampleFormat::default()
    };
    // Numbered by first appearance: x, [CLS], ", #.
    assert_eq!(
        show("x|[CLS]\t\"|x\t1\n#\tx\t0\n", &format, Required),
        ["0 1/2 0/1", "3/0/0"]
    );
    assert_eq!(
        show("x||y\tz\n", &format, Ignored),
        [
            "x.tsv:1:1: expected a token without control characters, found an empty token",
            "hint: set `data.token_separator`"
        ]
    );
}

#[test]
fn id_that_is_not_a_number() {
    assert_eq!(
        required("1\t2\t0\n1 x9 2\t3\t1\n"),
        [
            "x.tsv:2:1: expected a token id from 0 to 4294967295, found `x9`",
            ID_HINT
        ]
    );
}

#[test]
fn a_first_row_of_words_may_be_a_header() {
    let header = "set `data.header = true` where the first line names the columns";
    assert_eq!(
        required("q1\tq2\tlabel\n1\t2\t0\n"),
        [
            "x.tsv:1:1: expected a token id from 0 to 4294967295, found `q1`",
            format!("{ID_HINT}; {header}").as_str()
        ]
    );
    for no_header in ["q1\t2\t0\n", "1\t2\t0\nq1\tq2\tlabel\n"] {
        assert_eq!(required(no_header)[1], ID_HINT);
    }
    // Tokens may be words, and labels are none.
    let format = ExampleFormat {
        tokens: TokenKind::Text,
        ..ExampleFormat::default()
    };
    let said = show("q1\tq2\tlabel\nx\ty\t0\n", &format, Required);
    assert!(said[1].ends_with(&format!("; {header}")), "{said:?}");
}

#[test]
fn id_that_is_negative() {
    assert_eq!(
        required("1\t2 -3\t0\n"),
        [
            "x.tsv:1:2: expected a token id from 0 to 4294967295, found `-3`",
            ID_HINT
        ]
    );
}

#[test]
fn id_above_u32() {
    assert_eq!(required("4294967295\t1\t0\n"), ["4294967295/1/0"]);
    assert_eq!(
        required("1\t4294967296\t0\n"),
        [
            "x.tsv:1:2: expected a token id from 0 to 4294967295, found `4294967296`",
            ID_HINT
        ]
    );
}

#[test]
fn one_column() {
    assert_eq!(
        required("1 2 3\n"),
        [
            "x.tsv:1: expected 3 tab-separated fields, found 1",
            "hint: set `data.delimiter` to the character between the columns"
        ]
    );
    assert_eq!(
        show("1 2 3\n", &ExampleFormat::default(), Ignored)[0],
        "x.tsv:1: expected 2 or 3 tab-separated fields, found 1"
    );
}

#[test]
fn four_columns() {
    assert_eq!(
        show("1\t2\t0\t9\n", &ExampleFormat::default(), Optional),
        [
            "x.tsv:1: expected 2 or 3 tab-separated fields, found 4",
            "hint: a header names the columns of a wider table: `data.header`, `data.text_a`, `data.text_b`, `data.label`"
        ]
    );
    assert_eq!(
        required("1\t2\t0\n1\t2\t0\t9\n"),
        [
            "x.tsv:2: expected 3 tab-separated fields, found 4",
            SAME_HINT
        ]
    );
}

#[test]
fn a_label_column_beyond_the_last() {
    let format = ExampleFormat {
        label: Some(Column::Number(4).into()),
        ..ExampleFormat::default()
    };
    assert_eq!(
        show("1\t2\t0\n", &format, Required)[1],
        "hint: `data.label` is 4: set it to a column from 1 to 3; rows without a label belong in `data.unlabelled`"
    );
}

#[test]
fn two_columns_where_a_label_is_required() {
    assert_eq!(
        required("1\t2\n"),
        [
            "x.tsv:1: expected 3 tab-separated fields, found 2",
            "hint: rows without a label belong in `data.unlabelled`; one text and its label is `task.kind = \"single\"`"
        ]
    );
    assert_eq!(
        required("1\t2\t1\n1\t2\n"),
        [
            "x.tsv:2: expected 3 tab-separated fields, found 2",
            LABEL_HINT
        ]
    );
}

#[test]
fn empty_sentence() {
    let expected = "expected a sentence of one token or more, found an empty sentence";
    let at = |place: &str| {
        [
            format!("{place}: {expected}"),
            format!("hint: {EMPTY_HINT}"),
        ]
    };
    assert_eq!(required("1\t\t0\n"), at("x.tsv:1:2"));
    assert_eq!(required(" \t1\t0\n"), at("x.tsv:1:1"));
    let text = "left,right,same\n1,,0\n";
    assert_eq!(
        show(text, &csv_with_header(), Required),
        at("x.tsv:2:right")
    );
}

#[test]
fn empty_file() {
    for (text, found) in [
        ("", "an empty file"),
        ("\u{feff}", "an empty file"),
        ("\u{feff}\r\n\n", "blank lines only"),
    ] {
        let expected = [
            format!("x.tsv: expected one pair of sentences or more, found {found}"),
            "hint: write its rows there, one a line, or name another file".to_owned(),
        ];
        assert_eq!(required(text), expected);
    }
}

#[test]
fn header_only() {
    assert_eq!(
        show("left,right,same\n", &csv_with_header(), Required),
        [
            "x.tsv: expected one pair of sentences or more, found a header only",
            "hint: set `data.header = false` where the first line is a row"
        ]
    );
}

#[test]
fn empty_line_between_rows() {
    assert_eq!(
        required("1\t2\t1\n\n1\t2\t1\n"),
        [
            "x.tsv:2: expected a row, found an empty line",
            "hint: remove the line; where it is a row without text, write a token there"
        ]
    );
}

#[test]
fn label_other_than_0_or_1() {
    assert_eq!(
        required("1\t2\t1\r\n1\t2\t2\r\n"),
        [
            "x.tsv:2:3: expected label 0 or 1, found `2`",
            "hint: for several classes set `task.labels = \"classes\"`, for numbers whose order counts \"ordinal\"; is it \
             the column of the label? `data.label` names it"
        ]
    );
    for (label, hint) in [
        (
            "01",
            "hint: write it as 0 or 1; for numbers whose order counts set `task.labels = \"ordinal\"`",
        ),
        (
            "yes",
            "hint: write 1 for yes and 0 for no, or set `task.labels = \"classes\"`",
        ),
        (
            "True",
            "hint: write 1 for true and 0 for false, or set `task.labels = \"classes\"`",
        ),
    ] {
        let shown = required(format!("1\t2\t{label}\n"));
        assert_eq!(
            shown,
            [
                format!("x.tsv:1:3: expected label 0 or 1, found `{label}`").as_str(),
                hint
            ]
        );
    }
    assert_eq!(
        required("1\t2\t\n"),
        [
            "x.tsv:1:3: expected label 0 or 1, found nothing",
            LABEL_HINT
        ]
    );
}

#[test]
fn file_that_is_not_utf8() {
    assert_eq!(
        required(b"1\t2\t1\n1\t\xff\xfe\t1\n"),
        [
            "x.tsv:2:2: expected UTF-8, found other bytes",
            "hint: save the file as UTF-8"
        ]
    );
}

#[test]
fn missing_file() {
    let mut dictionary = Dictionary::new(TokenKind::Number);
    let path = Path::new("no/such/x.tsv");
    let outcome = read_examples(
        path,
        &ExampleFormat::default(),
        Labels::Ignored,
        &mut dictionary,
    );
    assert_eq!(
        outcome.expect_err("absent").to_string(),
        "cannot read no/such/x.tsv: No such file or directory (os error 2)"
    );
}

#[test]
fn missing_column_name() {
    assert_eq!(
        show("a,right,same\n1,2,1\n", &csv_with_header(), Required),
        [
            "x.tsv:1:left: expected a column `left`, found the columns `a`, `right`, `same`",
            "hint: set `data.text_a`, or `data.delimiter`"
        ]
    );
    assert_eq!(
        show("left,right\n1,2\n", &csv_with_header(), Required),
        [
            "x.tsv:1:same: expected a column `same`, found the columns `left`, `right`",
            "hint: set `data.label`; rows without a label belong in `data.unlabelled`"
        ]
    );
}

#[test]
fn formats_that_contradict_themselves() {
    let refused = |change: &dyn Fn(&mut ExampleFormat)| {
        let mut format = ExampleFormat::default();
        change(&mut format);
        show("1\t2\t1\n", &format, Required)
    };
    assert_eq!(
        refused(&|format| format.delimiter = '，'),
        [
            "`data.delimiter` must be one ASCII character, not `\\u{ff0c}`",
            "hint: a tab is \"\\t\", a comma \",\""
        ]
    );
    assert_eq!(
        refused(&|format| format.token_separator.clear()),
        ["`data.token_separator` must not be empty"]
    );
    assert_eq!(
        refused(&|format| format.token_separator = "\t".into()),
        ["`data.token_separator` must not hold `data.delimiter`"]
    );
    assert_eq!(
        refused(&|format| format.label = Some(Column::Number(0).into())),
        ["`data.label` is 0, columns count from 1"]
    );
    assert_eq!(
        refused(&|format| format.label = Some(Column::Number(2).into())),
        [
            "`data.text_a`, `data.text_b` and `data.label` must be different columns",
            "hint: set `data.label` to another column"
        ]
    );
    assert_eq!(
        refused(&|format| format.label = Some(Column::Name("y".into()).into())),
        [
            "`data.label` is the name `y`, without a header",
            "hint: set `data.header = true`, or give the column's number"
        ]
    );
}

#[test]
fn read_of_written_is_the_same() {
    let key = crate::random::Key::from_seed(5);
    let ids = |row: u64, half: u64| -> Vec<String> {
        let n = 1 + key.at(row).bits(half) % 9;
        (0..n)
            .map(|i| ((key.at(row).bits(10 + 20 * half + i) % 5000) as u32).to_string())
            .collect()
    };
    let rows: Vec<_> = (0..200)
        .map(|row| (ids(row, 0), ids(row, 1), key.bits(row) % 2))
        .collect();
    let text: String = rows
        .iter()
        .map(|(a, b, label)| format!("{}\t{}\t{label}\n", a.join(" "), b.join(" ")))
        .collect();
    let shown: Vec<_> = rows
        .iter()
        .map(|(a, b, label)| format!("{}/{}/{label}", a.join(" "), b.join(" ")))
        .collect();
    assert_eq!(required(text), shown);
}
