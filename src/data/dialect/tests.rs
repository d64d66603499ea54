//! Tests of [`super`].

use super::*;

fn detect_in(texts: &[&str], set: &[&str]) -> Result<Dialect> {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let write = |(i, text): (usize, &&str)| {
        let path = folder.path().join(format!("{i}.tsv"));
        std::fs::write(&path, text).expect("a small file");
        path
    };
    let files: Vec<PathBuf> = texts.iter().enumerate().map(write).collect();
    detect(&files, &ExampleFormat::default(), &|key| set.contains(&key))
}

/// Delimiter, header, separator, kind.
fn found(texts: &[&str]) -> (char, bool, String, TokenKind) {
    let dialect = detect_in(texts, &[]).expect("files that agree");
    let Dialect {
        delimiter,
        header,
        token_separator,
        tokens,
        ..
    } = dialect;
    (delimiter, header, token_separator, tokens)
}

#[test]
fn files_as_people_have_them() {
    use TokenKind::{Number, Text};
    let cases: [(&[&str], char, bool, &str, TokenKind); 22] = [
        (
            &["1 2\t3 4\t0\n5\t6 7\t1\n", "1 2\t3\n4 5\t6 7\n"],
            '\t',
            false,
            " ",
            Number,
        ),
        (
            &["id,text_a,text_b,label\n7,1|2,3|4,1\n8,1|2,3,0\n"],
            ',',
            true,
            "|",
            Number,
        ),
        (&["id;a;b\n7;1,2;3,4\n8;1,2;3,5\n"], ';', true, ",", Number),
        // A comma between tokens cuts rows unequally.
        (&["1,2,3\t4,5\n6,7\t8,9,10\n"], '\t', false, ",", Number),
        (
            &["text\tlabel\na1 b2\tx\nc3 a1\ty\n"],
            '\t',
            true,
            " ",
            Text,
        ),
        (&["a1 b2\tx\nc3 a1\ty\n"], '\t', false, " ", Text),
        (
            &["a1-b2|c3-d4|0\na1-b2|c3-d4-e5|1\n"],
            '|',
            false,
            "-",
            Text,
        ),
        // A date does not outweigh a text.
        (
            &["d,t\n2021-03-04,1 2 3 4\n2021-03-05,1 2 3 4\n"],
            ',',
            true,
            " ",
            Number,
        ),
        // A quoted field may hold the delimiter.
        (
            &["a,b\n\"1 2, 3 4\",5 6\n1 2,5 6\n"],
            ',',
            true,
            " ",
            Number,
        ),
        // A comma and a space are one separator, also where a comma stands between columns.
        (
            &["1, 2, 1\t3, 4\t0\n2, 3\t4\t1\n"],
            '\t',
            false,
            ", ",
            Number,
        ),
        (
            &["\"1, 2, 1\",0\n\"2, 3, 2\",1\n"],
            ',',
            false,
            ", ",
            Number,
        ),
        (&["\"1,2,1\",0\n\"2,3,2\",1\n"], ',', false, ",", Number),
        (&["w1, w2, w3\t0\nw2, w1\t1\n"], '\t', false, ", ", Text),
        // Tokens that look like usual names.
        (
            &["a\tb\t1\na c\tb\t0\nb d\ta c\t0\n"],
            '\t',
            false,
            " ",
            Text,
        ),
        (
            &["text_a\ttext_b\t2021\na1 b2\tc3\t1\nb2\ta1 c3\t0\n"],
            '\t',
            true,
            " ",
            Text,
        ),
        // Numbers with spaces around: for the reader to refuse.
        (
            &["1 | 2 | 1\t3 | 4\n2 | 3\t4 | 4\n"],
            '\t',
            false,
            "|",
            Number,
        ),
        (
            &["1, 2,1\t3, 4,5\n2,3, 1\t4, 4,1\n"],
            '\t',
            false,
            ",",
            Number,
        ),
        (&["1; 2; 1\t3; 4\n2; 3\t4; 4\n"], '\t', false, ";", Number),
        (
            &["1,   2\t3,   4\n2,   3\t4,   4\n"],
            '\t',
            false,
            ", ",
            Number,
        ),
        // One column, one token: nothing to tell by.
        (&["1\n2\n"], '\t', false, " ", Number),
        (
            &["第一\t第二\t1\n第三\t第四\t0\n"],
            '\t',
            false,
            " ",
            Number,
        ),
        (&[""], '\t', false, " ", Number),
    ];
    for (texts, delimiter, header, separator, tokens) in cases {
        let expected = (delimiter, header, separator.to_owned(), tokens);
        assert_eq!(found(texts), expected, "{texts:?}");
    }
}

#[test]
fn a_broken_row_does_not_hide_the_delimiter() {
    let row = |i: usize| match i {
        7 => "1 2\n".to_owned(),
        _ => format!("{i} 2,3 4,1\n"),
    };
    let text: String = (0..20).map(row).collect();
    assert_eq!(found(&[&text]).0, ',');
    // Neither a header nor a text: the row is for the reader to name.
    assert!(!found(&["x9 7\t8\t1\n1 2\t3\t0\n"]).1);
}

#[test]
fn what_is_set_stands() {
    let texts = ["id,a,b\n7,1|2,3|4\n"];
    let dialect = detect_in(&texts, &["delimiter"]).expect("one file");
    assert_eq!(dialect.delimiter, '\t');
    let dialect = detect_in(&texts, &["header", "token_separator", "tokens"]).expect("one file");
    assert_eq!(
        dialect,
        Dialect {
            delimiter: ',',
            header: false,
            token_separator: " ".to_owned(),
            tokens: TokenKind::Number,
            why:
                "comma-separated (3 fields a row), no header (as set), numbers with a space between"
                    .to_owned(),
        }
    );
}

#[test]
fn numbers_in_brackets_are_refused() {
    let error = detect_in(&["\"[1, 2, 1]\",0\n\"[2, 3]\",1\n"], &[]).expect_err("lists");
    let message = error.to_string();
    assert!(
        message.ends_with(
            "0.tsv:1: expected numbers with a separator between, found lists in brackets"
        ),
        "{message}"
    );
}

#[test]
fn json_is_refused_for_what_it_is() {
    let line = r#"{"a": "1 2", "b": "3", "label": 0}"#;
    for text in [
        format!("{line}\n{line}\n"),
        format!("\u{feff}{line}\r\n"),
        format!("[{line}, {line}]"),
        format!("[\n  {line}\n]\n"),
        "{\n  \"a\": 1\n}\n".to_owned(),
    ] {
        let error = detect_in(&["1 2\t3\t0\n", &text], &[]).expect_err(&text);
        let expected = "1.tsv:1: expected a table: one row a line, with a tab or a comma between columns, found JSON";
        assert!(error.to_string().ends_with(expected), "{error}");
        assert!(
            error
                .hint()
                .is_some_and(|hint| hint.starts_with("JSON is not read: "))
        );
    }
    // Tokens of text may look like it.
    for text in [
        "{ a }\tb\n{ c\td e\n",
        "[CLS] a\tb c\n[SEP] d\te\n",
        "[UNK]\tb\n",
    ] {
        assert!(detect_in(&[text], &[]).is_ok(), "{text}");
    }
}

#[test]
fn files_with_and_without_a_header() {
    let error = detect_in(&["text_a,text_b\n1 2,3 4\n", "1 2,3 4\n"], &[]).expect_err("two kinds");
    let message = error.to_string();
    assert!(
        message.contains("1.tsv:1: expected a header, as "),
        "{message}"
    );
    assert!(
        message.ends_with("0.tsv has one, found a row of tokens"),
        "{message}"
    );
}

#[test]
fn a_header_alone_is_a_header() {
    for text in [
        "text_a\ttext_b\tlabel\n",
        "id,q1,q2,label\n",
        "text,label\n",
    ] {
        assert!(found(&[text]).1, "{text}");
    }
    // A row with a number, and a text of one word.
    for text in ["a\tb\t1\n", "question\n", "1\t2\t0\n"] {
        assert!(!found(&[text]).1, "{text}");
    }
}
