//! Tests of [`super`].

use super::super::lines::{Lines, RowsOf};
use super::super::row_ids::ZEROS_HINT;
use super::super::{check, check_like, check_like_of, write};
use super::*;
use crate::data::{ExampleFormat, Scores};

fn task(labels: LabelKind, classes: &[&str]) -> Task {
    Task {
        labels,
        classes: classes.iter().map(|&name| name.to_owned()).collect(),
        ..Task::default()
    }
}

/// The remark on a sample of 0 and 1.
const WHOLE: &str = "submission: the sample holds whole numbers from 0 to 1; scores are written as the model gives them; \
                     submit.probability = true writes 0 to 1";

/// Writes three rows like `sample`, for a test file whose ids are a, b and c where `has_ids`; the text or the message, and
/// the remarks.
fn like(
    sample: &str,
    scores: &[f32],
    task: &Task,
    has_ids: bool,
) -> std::result::Result<(String, Vec<String>), String> {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let prefix = format!("{}/", folder.path().display());
    let put = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("a small file");
        path
    };
    let test = put("test.csv", "q1,q2,key\n1,1,a\n2,2,b\n3,3,c\n");
    let format = ExampleFormat {
        delimiter: ',',
        header: has_ids,
        ..ExampleFormat::default()
    };
    let submit = SubmitConfig {
        like: Some(put("sample.csv", sample)),
        ..SubmitConfig::default()
    };
    let out = folder.path().join("s.csv");
    let scores = Scores {
        width: scores.len() / 3,
        values: scores.to_vec(),
    };
    let local = |error: Error| error.to_string().replace(&prefix, "");
    let of_test = (&submit, RowsOf::Test);
    let written = write((&scores, task), (&test, &format), of_test, &out).map_err(local)?;
    let sample = submit.like.as_deref().expect("it is set");
    for task in [Some(task), None] {
        let checked = check_like(&out, sample, task, &submit, None).map_err(local)?;
        assert_eq!(checked.scores, 3);
    }
    let remarks = written.remarks.iter();
    let remarks = remarks.map(|remark| remark.replace(&prefix, "")).collect();
    Ok((std::fs::read_to_string(&out).expect("text"), remarks))
}

#[test]
fn one_column_of_scores_in_the_order_of_the_sample() {
    let binary = Task::binary_pairs();
    let scores = [1.0, 0.0, -2.0];
    let (text, _) = like("key\tp\nc\t0\na\t0\nb\t0\n", &scores, &binary, true).expect("fits");
    assert_eq!(
        text,
        "key\tp\nc\t-2.00000000\na\t1.00000000\nb\t0.00000000\n"
    );
    // Fractions ask for probabilities, but for ordinals.
    let fractions = "key,p\nb,.5\na,0\nc,1\n";
    let (text, _) = like(fractions, &[1.0, 0.0, 1.0], &binary, true).expect("fits");
    assert!(text.starts_with("key,p\nb,0.500000000\na,0.731"), "{text}");
    for sample in [
        "key,p\na,0.0\nb,0.0\nc,0.0\n",
        "key,Probability\na,0\nb,0\nc,0\n",
    ] {
        let (text, _) = like(sample, &[0.0, 1.0, 9.0], &binary, true).expect("fits");
        assert!(text.contains("\na,0.500000000\nb,0.731"), "{text}");
    }
    let ordinal = task(LabelKind::Ordinal, &[]);
    let (text, _) = like(fractions, &[0.25, 0.5, 1.0], &ordinal, true).expect("fits");
    assert_eq!(text, "key,p\nb,0.500000000\na,0.250000000\nc,1.00000000\n");
}

#[test]
fn classes_are_one_column_of_names_or_a_column_each_in_any_order() {
    let classes = task(LabelKind::Classes, &["x", "y"]);
    let scores = [2.0, 0.0, 0.0, 2.0, 0.0, 0.0];
    let (text, _) = like("key,what\nb,x\na,x\nc,x\n", &scores, &classes, true).expect("fits");
    assert_eq!(text, "key,what\nb,y\na,x\nc,x\n");
    let (text, _) = like("key,y,x\nb,0,0\na,0,0\nc,0,0\n", &scores, &classes, true).expect("fits");
    assert!(text.starts_with("key,y,x\nb,0.88079"), "{text}");
    assert!(text.ends_with("\nc,0.500000000,0.500000000\n"), "{text}");
}

#[test]
fn row_numbers_are_ids_where_the_test_file_has_none() {
    let binary = Task::binary_pairs();
    for (ids, first) in [("2 0 1", 0), ("3 1 2", 1)] {
        let rows: String = ids.split(' ').map(|id| format!("{id},0\n")).collect();
        let sample = format!("key,p\n{rows}");
        let (text, remarks) = like(&sample, &[1.0, 2.0, 3.0], &binary, false).expect("fits");
        assert!(
            text.contains(",3.00000000\n") && text.ends_with(",2.00000000\n"),
            "{text}"
        );
        let expected = format!(
            "submission: test.csv has no column `key`, so the ids of sample.csv are row numbers from {first}"
        );
        assert_eq!(remarks, [expected.as_str(), WHOLE]);
    }
}

#[test]
fn a_sample_of_other_ids_or_columns_is_refused() {
    let binary = Task::binary_pairs();
    let classes = task(LabelKind::Classes, &["x", "y"]);
    let cases = [
        (
            &binary,
            "key,p\na,0\nz,0\nc,0\n",
            "sample.csv:3:key: expected an id of test.csv, found `z`",
        ),
        (
            &binary,
            "key,p\na,\nb,no\nc,yes\n",
            "sample.csv:3:p: expected numbers in column `p`, as the task has labels 0 and 1, found names (`no`)",
        ),
        (
            &binary,
            "key,p\na,0\nb,0\n",
            "sample.csv: expected 3 ids, one a row of test.csv, found 2",
        ),
        (
            &binary,
            "key,p\na,0\na,0\n",
            "sample.csv:3:key: expected each id once, found `a`, which stands at sample.csv:2 too",
        ),
        (
            &binary,
            "key,p\na\n",
            "sample.csv:2: expected 2 fields, as the header has, found 1",
        ),
        (
            &binary,
            "a,0.5\nb,0.5\n",
            "sample.csv:1: expected a header with an id column and one column or more beside it, found `a,0.5`",
        ),
        (
            &binary,
            "key,p,q\na,0,0\n",
            "sample.csv:1: expected one column of scores, or columns named 0, 1, found `p,q`",
        ),
        (
            &classes,
            "key,x,z\na,0,0\n",
            "sample.csv:1: expected one column of class names, or columns named x, y, found `x,z`",
        ),
    ];
    for (task, sample, expected) in cases {
        let scores = [0.5; 6];
        let refused = like(sample, &scores[..3 * task.n_scores()], task, true);
        assert_eq!(refused.expect_err(sample), expected);
    }
}

#[test]
fn names_that_the_sample_does_not_have_are_refused() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let path = folder.path().join("sample.csv");
    std::fs::write(&path, "key,p\na,0\n").expect("a small file");
    let submit = SubmitConfig {
        score_column: "q".to_owned(),
        ..SubmitConfig::default()
    };
    let error = Sample::read(&path, &submit)
        .expect_err("no column q")
        .to_string();
    assert!(
        error.ends_with(
            "sample.csv:1: expected a column `q`, as submit.score_column says, found `key,p`"
        ),
        "{error}"
    );
}

#[test]
fn a_remark_where_values_of_0_and_1_may_be_labels_or_probabilities() {
    let binary = Task::binary_pairs();
    let ordinal = task(LabelKind::Ordinal, &[]);
    let remarks_of = |values: [&str; 3], task: &Task| {
        let [a, b, c] = values;
        let sample = format!("key,p\na,{a}\nb,{b}\nc,{c}\n");
        like(&sample, &[1.0, 0.5, 0.25], task, true)
            .expect("fits")
            .1
    };
    assert_eq!(remarks_of(["0", "1", "0"], &binary), [WHOLE]);
    for values in [["0", "0.5", "1"], ["-1", "1", "0"], ["", "", ""]] {
        assert!(remarks_of(values, &binary).is_empty(), "{values:?}");
    }
    let grades = "submission: the sample holds whole numbers; scores are written as the model gives them, with fractions: \
                  round them where whole grades are asked for";
    for values in [["0", "1", "0"], ["3", "5", "-1"]] {
        assert_eq!(remarks_of(values, &ordinal), [grades], "{values:?}");
    }
    for values in [["3", "4.5", "1"], ["3.0", "5.0", "1.0"], ["", "", ""]] {
        assert!(remarks_of(values, &ordinal).is_empty(), "{values:?}");
    }
}

#[test]
fn a_value_that_is_no_class_is_remarked() {
    let classes = task(LabelKind::Classes, &["x", "y"]);
    let remarks_of = |values: [&str; 3]| {
        let [a, b, c] = values;
        let sample = format!("key,p\na,{a}\nb,{b}\nc,{c}\n");
        let scores = [1.0, 0.0, 0.0, 1.0, 1.0, 0.0];
        let (text, remarks) = like(&sample, &scores, &classes, true).expect("fits");
        assert_eq!(text, "key,p\na,x\nb,y\nc,x\n"); // whatever the sample holds
        remarks
    };
    for values in [["x", "y", "x"], ["x", "x", "x"], ["", "NaN", "x"]] {
        assert!(remarks_of(values).is_empty(), "{values:?}");
    }
    let other = |line: u64, value: &str| {
        format!(
            "warning: sample.csv:{line}:p: `{value}` is none of the classes of the training rows, which are written: `x`, `y`"
        )
    };
    assert_eq!(remarks_of(["x", "军事", "z"]), [other(3, "军事")]);

    // Numbers that hold a place: the check without a task would want numbers.
    let folder = tempfile::tempdir().expect("a folder for the test");
    let path = folder.path().join("sample.csv");
    std::fs::write(&path, "key,p\na,0\nb,0\n").expect("a small file");
    let submit = SubmitConfig::default();
    let sample = Sample::read(&path, &submit).expect("a sample");
    let form = sample.form(&submit, &classes).expect("one column");
    let said = sample.remark(&form, &classes).expect("a remark");
    assert!(
        said.ends_with(&other(2, "0")["warning: ".len()..]),
        "{said}"
    );
    let numbers = task(LabelKind::Classes, &["0", "1"]);
    assert_eq!(sample.remark(&form, &numbers), None);
}

/// A table of three rows with these ids in its column `name`, and a sample of these ids; the scores 1, 2 and 3 by the ids of the
/// submission, or the message, and the remarks.
fn written_by_ids(
    (name, ids): (&str, [&str; 3]),
    (sample_name, sample_ids): (&str, [&str; 3]),
    id_column: Option<&str>,
    whose: RowsOf,
) -> std::result::Result<(Vec<String>, Vec<String>), String> {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let prefix = format!("{}/", folder.path().display());
    let put = |name: &str, text: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("a small file");
        path
    };
    let rows: String = ids.iter().map(|id| format!("{id},1 2,3\n")).collect();
    let test = put("test.csv", format!("{name},text_a,text_b\n{rows}"));
    let rows: String = sample_ids.iter().map(|id| format!("{id},0.5\n")).collect();
    let sample = put("sample.csv", format!("{sample_name},prob\n{rows}"));
    let format = ExampleFormat {
        delimiter: ',',
        header: true,
        ..ExampleFormat::default()
    };
    let submit = SubmitConfig {
        id_column: id_column.map(str::to_owned),
        like: Some(sample.clone()),
        ..SubmitConfig::default()
    };
    let out = folder.path().join("s.csv");
    let binary = Task::binary_pairs();
    let scores = Scores::single(vec![1.0, 2.0, 3.0]);
    let local = |text: String| text.replace(&prefix, "");
    let rows = (test.as_path(), &format);
    let written = write((&scores, &binary), rows, (&submit, whose), &out)
        .map_err(|error| local(error.to_string()))?;
    let checked = match whose {
        RowsOf::Test => check_like(&out, &sample, Some(&binary), &submit, None),
        RowsOf::Further => check_like_of(&out, rows, (&sample, Some(&binary)), &submit, None),
    };
    assert_eq!(checked.expect("our own submission").scores, 3);
    let text = std::fs::read_to_string(&out).expect("text");
    let mut lines = text.lines();
    let header = format!("{sample_name},prob");
    assert_eq!(lines.next(), Some(header.as_str()));
    let line = |line: &str| {
        let (id, number) = line.split_once(',').expect("two columns");
        let probability: f64 = number.parse().expect("a number");
        let score = (probability / (1.0 - probability)).ln();
        format!("{id} {score:.0}")
    };
    let remarks = written.remarks.into_iter().map(local);
    Ok((lines.map(line).collect(), remarks.collect()))
}

#[test]
fn ids_of_a_sample_are_found_in_a_column_of_another_name() {
    let sample = ("test_id", ["0", "1", "2"]);
    let shuffled = ["2", "0", "1"];
    let by_ids = ["0 2", "1 3", "2 1"];
    let of = |name: &str| {
        format!(
            "submission: the ids of sample.csv (`test_id`) are those of column `{name}` of test.csv"
        )
    };
    for (name, id_column, remarks) in [
        ("id", None, vec![of("id")]),
        ("qid", None, vec![of("qid")]),
        ("key", None, vec![of("key")]),
        ("id", Some("id"), vec![]),
        ("key", Some("key"), vec![]),
        // It may name the column of the sample too.
        ("id", Some("test_id"), vec![of("id")]),
    ] {
        let written = written_by_ids((name, shuffled), sample, id_column, RowsOf::Test);
        let (lines, said) = written.expect(name);
        assert_eq!(lines, by_ids, "{name}");
        assert_eq!(said, remarks, "{name}");
    }
    // Ids that are no row numbers at all.
    let test = ("id", ["92", "90", "91"]);
    let written = written_by_ids(test, ("test_id", ["90", "91", "92"]), None, RowsOf::Test);
    assert_eq!(written.expect("fits").0, ["90 2", "91 3", "92 1"]);
}

#[test]
fn row_numbers_beside_a_column_of_other_ids_are_a_warning() {
    let test = ("id", ["a", "b", "c"]);
    let written = written_by_ids(test, ("row", ["3", "1", "2"]), None, RowsOf::Test);
    let (lines, said) = written.expect("row numbers");
    assert_eq!(lines, ["3 3", "1 1", "2 2"]);
    assert_eq!(
        said,
        [
            "warning: the ids of sample.csv are not those of column `id` of test.csv, and are taken for row numbers from 1; \
          is it the sample for this file?"
        ]
    );
    let refused = |sample, id_column| {
        written_by_ids(test, sample, id_column, RowsOf::Test).expect_err("other ids")
    };
    assert_eq!(
        refused(("row", ["a", "b", "z"]), None),
        "sample.csv:4:row: expected an id of test.csv (column `id`), found `z`"
    );
    // Who names the column means it.
    assert_eq!(
        refused(("row", ["3", "1", "2"]), Some("id")),
        "sample.csv:2:row: expected an id of test.csv (column `id`), found `3`"
    );
    assert_eq!(
        refused(("row", ["a", "b", "c"]), Some("idd")),
        "test.csv:1: expected a column `idd`, as submit.id_column says, found the columns `id`, `text_a`, `text_b`"
    );
}

#[test]
fn a_further_file_has_the_form_of_the_sample_and_its_own_ids() {
    let sample = ("id", ["0", "1", "2"]);
    let other = |whose: &str| {
        format!(
            "submission: sample.csv is the sample for another file: header and columns are as there, and the ids are {whose}"
        )
    };
    for (name, id_column) in [("id", None), ("qid", None), ("key", Some("key"))] {
        let further = (name, ["12", "10", "11"]);
        let written = written_by_ids(further, sample, id_column, RowsOf::Further);
        let (lines, said) = written.expect("ids");
        assert_eq!(lines, ["12 1", "10 2", "11 3"]);
        assert_eq!(
            said,
            [other(&format!("those of column `{name}` of test.csv"))]
        );
    }
    // Row numbers where there are no ids; the sample is for as many rows, but not for these.
    let written = written_by_ids(
        ("id", ["7", "8", "9"]),
        ("row", ["1", "0", "2"]),
        None,
        RowsOf::Further,
    );
    let (lines, said) = written.expect("ids");
    assert_eq!(lines, ["7 1", "8 2", "9 3"]);
    assert_eq!(said, [other("those of column `id` of test.csv")]);
    let written = written_by_ids(
        ("note", ["x", "x", "x"]),
        ("row", ["5", "6", "7"]),
        None,
        RowsOf::Further,
    );
    let (lines, said) = written.expect("row numbers");
    assert_eq!(lines, ["0 1", "1 2", "2 3"]);
    let numbers = "row numbers from 0, as test.csv has no column of ids";
    assert_eq!(said, [other(numbers)]);
    // A copy of the test file is what the sample is for.
    let copy = written_by_ids(("id", ["1", "2", "0"]), sample, None, RowsOf::Further);
    let (lines, said) = copy.expect("its own sample");
    assert_eq!(lines, ["0 3", "1 1", "2 2"]);
    assert!(said.is_empty(), "{said:?}");
    let refused = written_by_ids(("qid", ["7", "8", "9"]), sample, Some("q"), RowsOf::Further);
    let message = refused.expect_err("a misspelt column");
    assert!(
        message.contains("expected a column `q`, as submit.id_column says"),
        "{message}"
    );
}

#[test]
fn numbers_are_no_submission_for_a_sample_of_names() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let put = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("a small file");
        path
    };
    let sample = put("sample.csv", "key,p\na,no\nb,yes\n");
    let check = |text: &str| {
        let file = put("s.csv", text);
        check_like(&file, &sample, None, &SubmitConfig::default(), None)
    };
    assert_eq!(check("key,p\na,maybe\nb,no\n").expect("names").distinct, 2);
    let error = check("key,p\na,no\nb,-0.5\n").expect_err("a number");
    let message = error.to_string();
    assert!(
        message
            .ends_with("s.csv:3:p: expected a name, as those of the sample (`no`), found `-0.5`"),
        "{message}"
    );
    assert_eq!(error.hint(), Some(CLASSES_HINT));
    // Names of which some are numbers.
    let sample = put("mixed.csv", "key,p\na,x\nb,2\n");
    let file = put("s.csv", "key,p\na,2\nb,x\n");
    check_like(&file, &sample, None, &SubmitConfig::default(), None).expect("names");
}

#[test]
fn ids_that_have_lost_their_zeros() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let put = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("a small file");
        path
    };
    let test = put("test.csv", "id,text_a,text_b\n007,1,1\n008,2,2\n");
    let format = ExampleFormat {
        delimiter: ',',
        header: true,
        ..ExampleFormat::default()
    };
    let submit = SubmitConfig::default();
    let sample = put("sample.csv", "id,p\n007,0\n8,0\n");
    let sample = Sample::read(&sample, &submit).expect("a sample");
    let lines = |submit| Lines::of(&sample, submit, (&test, &format), 2, RowsOf::Test);
    let error = lines(&submit).expect_err("another id");
    assert_eq!(error.hint(), Some(ZEROS_HINT));
    let task = Task::binary_pairs();
    for (ids, hint) in [
        (["007", "8"], ZEROS_HINT),
        (["008", "007"], "put the rows in the order of the test file"),
    ] {
        let file = put("s.csv", &format!("id,score\n{},1\n{},2\n", ids[0], ids[1]));
        let error = check((&file, &task), (&test, &format), &submit, None).expect_err("ids");
        assert_eq!(error.hint(), Some(hint));
    }
}
