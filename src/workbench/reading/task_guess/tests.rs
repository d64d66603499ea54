//! Tests of [`super`].

use super::*;

fn guess_as(texts: &[&str], format: &ExampleFormat) -> Result<Guess> {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let files: Vec<PathBuf> = (0..texts.len())
        .map(|i| folder.path().join(format!("{i}.tsv")))
        .collect();
    for (file, text) in files.iter().zip(texts) {
        std::fs::write(file, text).expect("a small file");
    }
    guess(&files, format)
}

fn guessed(texts: &[&str]) -> Guess {
    guess_as(texts, &ExampleFormat::default()).expect("a task")
}

/// Kind, labels and reason.
fn show(texts: &[&str]) -> (TextKind, LabelKind, String) {
    let Guess { format, why } = guessed(texts);
    (format.kind, format.labels, why)
}

/// The message after the file's name, and the hint.
fn refused(text: &str) -> (String, String) {
    let error = guess_as(&[text], &ExampleFormat::default()).expect_err("not to be told");
    let message = error.to_string();
    let (_, message) = message.split_once("0.tsv:").expect("the file");
    (
        message.to_owned(),
        error.hint().expect("a way out").to_owned(),
    )
}

/// Rows `i i+1 <TAB> label`.
fn single(labels: &[&str]) -> String {
    let rows = labels.iter().enumerate();
    rows.map(|(i, label)| format!("{i} {}\t{label}\n", i + 1))
        .collect()
}

fn pairs(labels: &[&str]) -> String {
    let rows = labels.iter().enumerate();
    rows.map(|(i, label)| format!("{i} 1\t{i} 2\t{label}\n"))
        .collect()
}

#[test]
fn pairs_of_texts() {
    let (pair, single) = (TextKind::Pair, "1 2\t3\n4\t5\n");
    let why = "pairs of texts with labels 0 and 1: two text columns, and column 3 holds 0 and 1";
    let expected = (pair, LabelKind::Binary, why.to_owned());
    assert_eq!(show(&[single, &pairs(&["0", "1", "0"])]), expected);
    let guess = guessed(&[&pairs(&["0", "1"])]);
    assert_eq!(guess.format, ExampleFormat::default());
    let why = "pairs of texts without labels: two text columns and no other";
    assert_eq!(
        show(&["1 2\t3 4\n5\t6\n"]),
        (pair, LabelKind::Binary, why.to_owned())
    );
    let why = "pairs of texts with a number each: two text columns, and column 3 holds numbers with fractions";
    let expected = (pair, LabelKind::Ordinal, why.to_owned());
    assert_eq!(show(&[&pairs(&["0.5", "3", "4.75"])]), expected);
}

#[test]
fn single_texts_are_recognised_by_a_second_column_that_is_no_text() {
    let why = |with: &str| format!("single texts with {with}");
    for (labels, kind, with) in [
        (
            &["1", "0", "1"][..],
            LabelKind::Binary,
            "labels 0 and 1: one text column, and column 2 holds 0 and 1",
        ),
        (
            &["体育", "x", "x"],
            LabelKind::Classes,
            "2 classes: one text column, and column 2 holds 2 different strings (write them as 0 and 1 to have AUC)",
        ),
        (
            &["x,y", "", "y", "x,y"],
            LabelKind::Multilabel,
            "any of 2 labels: one text column, and column 2 holds 2 different names with `,` between",
        ),
        (
            &["0.5", "1.0", "4.2"],
            LabelKind::Ordinal,
            "a number each: one text column, and column 2 holds numbers with fractions",
        ),
        (
            &[
                "3", "1", "2", "1", "3", "2", "2", "1", "3", "1", "3", "2", "1", "1", "1",
            ],
            LabelKind::Classes,
            "3 classes: one text column, and column 2 holds 3 different whole numbers (set `task.labels = \"ordinal\"` \
             if their order counts)",
        ),
    ] {
        let expected = (TextKind::Single, kind, why(with));
        assert_eq!(show(&[&single(labels), "7 8\n"]), expected);
    }
}

#[test]
fn columns_of_zero_and_one_are_several_labels() {
    let guess = guessed(&["1 2\t0\t1\t1\n3\t1\t0\t0\n"]);
    assert_eq!(guess.format, three_labels());
    assert_eq!(
        guess.why,
        "single texts with any of 3 labels: one text column, and columns 2 to 4 hold 0 and 1"
    );
    let format = ExampleFormat {
        header: true,
        ..ExampleFormat::default()
    };
    let guess = guess_as(&["p\tq\tx\ty\n1 2\t3 4\t0\t1\n"], &format).expect("a task");
    assert_eq!(guess.format.kind, TextKind::Pair);
    let columns = ["x", "y"].map(|name| Column::Name(name.into())).to_vec();
    assert_eq!(guess.format.label, Some(LabelColumns::Several(columns)));
}

#[test]
fn a_header_that_calls_the_label_a_score() {
    let format = ExampleFormat {
        header: true,
        ..ExampleFormat::default()
    };
    let guess = guess_as(&["a\tb\tSimilarity\n1 2\t3\t5\n1\t2\t0\n"], &format).expect("a task");
    assert_eq!(guess.format.labels, LabelKind::Ordinal);
    assert!(
        guess
            .why
            .ends_with("and column `Similarity` holds whole numbers"),
        "{}",
        guess.why
    );
}

fn three_labels() -> ExampleFormat {
    let columns = [2, 3, 4].map(Column::Number).to_vec();
    ExampleFormat {
        kind: TextKind::Single,
        labels: LabelKind::Multilabel,
        label: Some(LabelColumns::Several(columns)),
        ..ExampleFormat::default()
    }
}

#[test]
fn what_the_settings_say_stands() {
    let format = ExampleFormat {
        labels: LabelKind::Ordinal,
        ..ExampleFormat::default()
    };
    let guess = guess_as(&[&pairs(&["0", "1"])], &format).expect("a task");
    assert_eq!(guess.format, format);
    let why = "pairs of texts with labels = \"ordinal\": two text columns, and the settings name the kind of label";
    assert_eq!(guess.why, why);
    let format = ExampleFormat {
        kind: TextKind::Single,
        ..ExampleFormat::default()
    };
    let guess = guess_as(&["5\t7\n6\t8\n"], &format).expect("a task");
    assert_eq!(
        (guess.format.kind, guess.format.labels),
        (TextKind::Single, LabelKind::Classes)
    );
    let several = three_labels();
    assert_eq!(
        guess_as(&["1\t0\t1\t0\n"], &several)
            .expect("as set")
            .format,
        several
    );
    let format = ExampleFormat {
        header: true,
        label: Some(Column::Name("y".into()).into()),
        ..ExampleFormat::default()
    };
    let guess = guess_as(&["a\tb\tid\ty\n1\t2\t77\tno\n1\t2\t78\tyes\n"], &format).expect("a task");
    assert_eq!(
        guess.format,
        ExampleFormat {
            labels: LabelKind::Classes,
            ..format
        }
    );
    assert_eq!(
        guess.why,
        "pairs of texts with 2 classes: two text columns, and column `y` holds 2 different strings \
         (write them as 0 and 1 to have AUC)"
    );
}

#[test]
fn a_second_column_that_may_be_a_text_or_a_label() {
    let values: Vec<String> = (0..30).map(|i| (i % 20).to_string()).collect();
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    let (message, hint) = refused(&single(&values));
    assert_eq!(
        message,
        "2: expected a second text, or a label of few different values, found 20 different values of one token in 30 \
         rows"
    );
    assert_eq!(
        hint,
        "set `task.kind = \"single\"` if it is a label, or `data.label = 3` if it is a text"
    );
    // One token in both columns.
    let (message, _) = refused("5\t1\n6\t0\n7\t1\n");
    assert!(
        message.ends_with("found 2 different values of one token in 3 rows"),
        "{message}"
    );
    let pairs = ExampleFormat {
        label: Some(Column::Number(3).into()),
        ..ExampleFormat::default()
    };
    assert_eq!(
        guess_as(&["5\t1\n6\t0\n"], &pairs).expect("as set").format,
        pairs
    );
}

#[test]
fn a_label_column_of_ids() {
    let ids: Vec<String> = (0..3000).map(|i| format!("user{i}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let (message, hint) = refused(&pairs(&ids));
    assert_eq!(
        message,
        "3: expected a label: 0 and 1, classes, or numbers, found 3000 different strings in 3000 rows"
    );
    assert_eq!(
        hint,
        "set `task.labels`, or `data.label` if this is a column of ids or texts"
    );
}

#[test]
fn a_bad_token_in_a_text_does_not_make_it_a_label() {
    let guess = guessed(&["1 2\t3 4\n5\tx9 7\n6 1\t8 8\n"]);
    assert_eq!(guess.format.kind, TextKind::Pair);
}

#[test]
fn ids_are_passed_over_and_what_remains_is_the_label() {
    let rows = |row: &dyn Fn(usize) -> String| (0..12).map(|i| row(i) + "\n").collect::<String>();
    let guess = guessed(&[
        &rows(&|i| format!("{}\t{i} 1\t{i} 2\t{}", 100 + i, i % 2)),
        &rows(&|i| format!("{}\t{i} 1\t{i} 2", 200 + i)),
    ]);
    let expected = ExampleFormat {
        text_a: Some(Column::Number(2)),
        text_b: Some(Column::Number(3)),
        label: Some(Column::Number(4).into()),
        ..ExampleFormat::default()
    };
    assert_eq!(guess.format, expected);
    assert_eq!(
        guess.why,
        "pairs of texts with labels 0 and 1: two text columns (column 2, column 3), and column 4 holds 0 and 1"
    );
    let guess = guessed(&[&rows(&|i| format!("{}\t{i} 1\t{i} 2", i % 2))]);
    let expected = ExampleFormat {
        label: Some(Column::Number(1).into()),
        ..expected
    };
    assert_eq!(guess.format, expected);
    let guess = guessed(&[&rows(&|i| format!("{}\t{i} 1\t{}", 100 + i, i % 3))]);
    assert_eq!(
        (guess.format.kind, guess.format.text_a),
        (TextKind::Single, Some(Column::Number(2)))
    );
    assert_eq!(guess.format.labels, LabelKind::Classes);
}

/// `q7` is no number; the header says what it is.
#[test]
fn ids_that_are_words_are_no_labels_where_the_header_calls_them_ids() {
    let format = ExampleFormat {
        header: true,
        ..ExampleFormat::default()
    };
    let rows = |header: &str, row: &dyn Fn(usize) -> String| {
        let rows = (0..12).map(|i| row(i) + "\n");
        format!("{header}\n{}", rows.collect::<String>())
    };
    let label = |file: &str| guess_as(&[file], &format).expect("a task").format.label;
    let ids = rows("id\ttext_a\ttext_b", &|i| format!("q{i}\t{i} 1\t{i} 2"));
    assert_eq!(label(&ids), None);
    let labelled = rows("编号\ttext_a\ttext_b\tz", &|i| {
        format!("q{i}\t{i} 1\t{i} 2\t{}", i % 2)
    });
    let expected = Some(Column::Name("z".into()).into());
    assert_eq!(label(&labelled), expected);
    // A name alone is not enough.
    let paid = rows("paid\ttext_a\ttext_b", &|i| {
        format!("{}\t{i} 1\t{i} 2", i % 2)
    });
    let expected = Some(Column::Name("paid".into()).into());
    assert_eq!(label(&paid), expected);
}

#[test]
fn a_header_without_usual_names_is_told_by_what_stands_under_it() {
    let format = ExampleFormat {
        header: true,
        ..ExampleFormat::default()
    };
    let name = |name: &str| Some(Column::Name(name.into()));
    let guess = guess_as(&["x\ty\tz\n1 2\t0\t3 4\n5 6\t1\t7\n"], &format).expect("a task");
    assert_eq!(
        (guess.format.text_a, guess.format.text_b, guess.format.label),
        (name("x"), name("z"), Some(Column::Name("y".into()).into()))
    );
    // Usual names of texts, and a label that is called otherwise.
    let guess = guess_as(&["text_a\ttext_b\tz\n1 2\t3\t1\n5\t6 7\t0\n"], &format).expect("a task");
    assert_eq!(guess.format.label, Some(Column::Name("z".into()).into()));
    // Two columns that may be the label: neither is taken.
    let guess = guess_as(
        &["text_a\ttext_b\tu\tz\n1 2\t3\t5\t1\n5\t6 7\t6\t0\n"],
        &format,
    )
    .expect("a task");
    assert_eq!(guess.format.label, None);
}

#[test]
fn a_job_on_texts_does_not_care_about_labels() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let file = folder.path().join("a.tsv");
    let rows = (0..3000).map(|i| format!("{i} 1\t{i} 2\tuser{i}\n"));
    std::fs::write(&file, rows.collect::<String>()).expect("a small file");
    let format = guess_texts(&[file], &ExampleFormat::default()).expect("two texts");
    assert_eq!(format, ExampleFormat::default());
}

#[test]
fn a_header_of_more_names_than_the_rows_have_fields_is_left_to_the_reader() {
    let format = ExampleFormat {
        header: true,
        ..ExampleFormat::default()
    };
    for text in ["text\tlabel\n1 2\n3\n", "text_a\ttext_b\tlabel\n1 2\n"] {
        let guess = guess_as(&[text], &format).expect("a guess");
        assert_eq!(guess.format.label, None, "{text}");
    }
}

#[test]
fn floats_of_zero_and_one_are_labels_0_and_1() {
    let why = "pairs of texts with labels 0 and 1: two text columns, and column 3 holds 0 and 1";
    let expected = (TextKind::Pair, LabelKind::Binary, why.to_owned());
    assert_eq!(show(&[&pairs(&["1.0", "0.0", "1.0"])]), expected);
    // The reader refuses the row that has none.
    assert_eq!(show(&[&pairs(&["NaN", "0", "1"])]), expected);
    let guess = guessed(&[&pairs(&["NaN", "0.5", "1"])]);
    assert_eq!(guess.format.labels, LabelKind::Ordinal);
    // Among names it may be one.
    let guess = guessed(&[&pairs(&["na", "eu", "eu"])]);
    assert_eq!(guess.format.labels, LabelKind::Classes);
    let guess = guessed(&[&pairs(&["NaN", "NaN"])]);
    assert_eq!(guess.format.labels, LabelKind::Classes);
}

#[test]
fn two_classes_that_are_numbers() {
    let guess = guessed(&[&pairs(&["-1", "1", "1"])]);
    let holds = "column 3 holds 2 different whole numbers (write them as 0 and 1 to have AUC)";
    assert!(guess.why.ends_with(holds), "{}", guess.why);
}

#[test]
fn of_files_of_one_width_the_one_whose_labels_differ_tells() {
    let stand_in = pairs(&["0", "0", "0"]);
    let guess = guessed(&[&stand_in, &pairs(&["0", "2", "1"])]);
    assert_eq!(guess.format.labels, LabelKind::Classes);
    let guess = guessed(&[&pairs(&["-1", "-1"]), &pairs(&["0", "1", "1"])]);
    assert_eq!(guess.format.labels, LabelKind::Binary);
}

#[test]
fn a_text_column_whose_name_comes_twice() {
    let format = ExampleFormat {
        header: true,
        ..ExampleFormat::default()
    };
    let text = "text_a\ttext_a\tlabel\n1 2\t3 4\t1\n5 6\t7 8\t0\n";
    let error = guess_as(&[text], &format).expect_err("which is which");
    let message = error.to_string();
    assert!(
        message.ends_with("0.tsv:1: expected each name once, found `text_a` twice"),
        "{message}"
    );
    assert_eq!(
        error.hint(),
        Some("rename one of the columns, or set `data.text_a` to the number of the right one")
    );
    let by_number = ExampleFormat {
        text_a: Some(Column::Number(1)),
        text_b: Some(Column::Number(2)),
        ..format
    };
    let guess = guess_as(&[text], &by_number).expect("told apart");
    assert_eq!(guess.format, by_number);
}
