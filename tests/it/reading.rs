//! Files as people have them: with ids and a header, compressed.

use std::io::Write;

use crate::hand_made::refusal;
use crate::workspace::{ALL_HEADS, Workspace};

fn compressed(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(content).expect("memory");
    encoder.finish().expect("memory")
}

#[test]
fn compressed_files_give_the_bytes_of_plain_ones() {
    let workspace = Workspace::with_pairs();
    let run = ["run", "experiment.toml", "--set=train.max_steps=1"];
    workspace.succeed(&[&run[..], &["--out=plain"]].concat());
    for name in ["train.tsv", "test.tsv"] {
        workspace.write(&format!("{name}.gz"), compressed(&workspace.read(name)));
    }
    let files = [
        "--set=data.train=train.tsv.gz",
        "--set=data.test=test.tsv.gz",
    ];
    workspace.succeed(&[&run[..], &files, &["--out=compressed"]].concat());
    assert_eq!(
        workspace.read("compressed/submission.csv"),
        workspace.read("plain/submission.csv")
    );
    workspace.succeed(&["check", "plain/submission.csv", "--test=test.tsv.gz"]);

    workspace.write("corpus.txt", "今天天气好\n".repeat(9));
    workspace.write("corpus.txt.gz", compressed(&workspace.read("corpus.txt")));
    workspace.succeed(&["count", "corpus.txt", "--out=plain.tsv"]);
    workspace.succeed(&["count", "corpus.txt.gz", "--out=compressed.tsv"]);
    assert_eq!(
        workspace.read("compressed.tsv"),
        workspace.read("plain.tsv")
    );
}

#[test]
fn a_compressed_file_that_was_cut_is_refused() {
    let workspace = Workspace::with_pairs();
    let bytes = compressed(&workspace.read("train.tsv"));
    workspace.write("train.tsv.gz", &bytes[..bytes.len() / 2]);
    let hint = "\nhint: get the file again: it was cut or changed\n";
    for arguments in [
        &["inspect", "train.tsv.gz"][..],
        &["count", "train.tsv.gz", "--out=counts.tsv"],
    ] {
        let output = workspace.run(arguments);
        let shown = String::from_utf8(output.stderr).expect("UTF-8");
        let begins = "error: train.tsv.gz: expected a whole gzip file, found ";
        assert!(shown.contains(begins) && shown.ends_with(hint), "{shown}");
        assert_eq!(output.status.code(), Some(1));
    }
}

/// The training rows of the workspace as CSV, with ids in front.
fn with_ids(workspace: &Workspace, header: &str) -> String {
    let rows = workspace.text("train.tsv");
    let rows = rows.lines().enumerate();
    let rows = rows.map(|(i, row)| format!("{},{}\n", 5000 + i, row.replace('\t', ",")));
    format!("{header}\n{}", rows.collect::<String>())
}

#[test]
fn an_id_column_is_never_the_first_sentence() {
    let workspace = Workspace::with_pairs();
    workspace.write("named.csv", with_ids(&workspace, "id,text_a,text_b,label"));
    workspace.write(
        "other.csv",
        with_ids(&workspace, "id,left one,right one,label"),
    );
    let run = |file: &str, more: &[&str]| {
        let train = format!("--set=data.train={file}");
        let settings = [
            "--set=data.valid=row10",
            "--set=data.delimiter=,",
            "--set=data.header=true",
            "--set=train.max_steps=1",
            "--set=data.unlabelled=[]",
        ];
        // Without the test file, which has no header.
        let experiment = workspace.text("experiment.toml");
        let lines = experiment.lines().filter(|line| !line.starts_with("test"));
        workspace.write("csv.toml", lines.collect::<Vec<_>>().join("\n"));
        let arguments = [&["run", "csv.toml", &train][..], &settings, more].concat();
        let output = workspace.run(&arguments);
        let shown = String::from_utf8(output.stderr).expect("UTF-8");
        (output.status.code(), shown)
    };
    let (code, shown) = run("named.csv", &[]);
    assert_eq!(code, Some(0), "{shown}");
    let found = "named.csv: text `text_a` and `text_b`, label `label`, by their names\n";
    assert!(shown.contains(found), "{shown}");

    let (code, shown) = run("other.csv", &[]);
    assert_eq!(code, Some(1), "{shown}");
    assert!(
        shown.contains(
            "found the columns `id`, `left one`, `right one`, `label`\nhint: set `data.text_a` and"
        ),
        "{shown}"
    );
    let (code, shown) = run("other.csv", &["--set=data.text_a=1", "--set=data.text_b=2"]);
    assert_eq!(code, Some(1), "{shown}");
    assert!(
        shown.contains(
            "other.csv:id: expected texts, found one number a row, each another, as ids are\n"
        ),
        "{shown}"
    );
    let (code, shown) = run(
        "named.csv",
        &["--set=data.text_a=text_a", "--set=data.text_b=text_a"],
    );
    assert_eq!(code, Some(1), "{shown}");
    assert!(
        shown.contains(
            "--set data.text_b=text_a: expected another column than that of data.text_a,"
        ),
        "{shown}"
    );
}

/// The rows of a file of the workspace as other people write them: ids, a header, commas, `|` between tokens.
fn as_others_do(workspace: &Workspace, name: &str, header: &str) -> String {
    let rows = workspace.text(name);
    let rows = rows.lines().enumerate();
    let rows = rows.map(|(i, row)| {
        let row = row.replace(' ', "|").replace('\t', ",");
        format!("q{i},{row}\n")
    });
    format!("{header}\n{}", rows.collect::<String>())
}

#[test]
fn one_call_finds_out_how_a_table_is_written_and_its_starter_runs() {
    let workspace = Workspace::with_pairs();
    let train = as_others_do(&workspace, "train.tsv", "id,text_a,text_b,label");
    workspace.write("train.csv", train);
    let test = as_others_do(&workspace, "test.tsv", "id,text_a,text_b");
    workspace.write("test.csv", test);
    let shown = workspace.succeed(&["inspect", "train.csv", "test.csv", "--starter=first.toml"]);
    let begins = "files: comma-separated (4, 3 fields a row), a header (usual names in the first row), numbers with `|` between\n\
                  task: pairs of texts with labels 0 and 1: two text columns, and column `label` holds 0 and 1\n";
    assert!(shown.starts_with(begins), "{shown}");
    workspace.succeed(&["run", "first.toml", "--out=out", "--set=train.max_steps=1"]);
    let submission = workspace.text("out/submission.csv");
    assert!(submission.starts_with("id,score\nq0,"), "{submission}");
    workspace.succeed(&["check", "out/submission.csv", "--test=test.csv"]);
    // The worst errors are told by the ids of the training file.
    let report = workspace.text("out/report.html");
    assert!(report.contains(">id</th>") && report.contains("<td class=\"wide\">q"));
}

#[test]
fn a_run_scores_rows_that_are_written_otherwise_than_its_own() {
    let workspace = Workspace::with_pairs();
    workspace.succeed(&[
        "run",
        "experiment.toml",
        "--out=out",
        "--set=train.max_steps=1",
    ]);
    let test = as_others_do(&workspace, "test.tsv", "id,text_a,text_b");
    workspace.write("test.csv", test);
    let output = workspace.run(&["predict", "out", "--pairs=test.csv", "--out=scores.csv"]);
    let shown = String::from_utf8(output.stderr).expect("UTF-8");
    let note =
        "test.csv is not written as the run's files: comma-separated (3 fields a row), a header";
    assert!(output.status.success() && shown.contains(note), "{shown}");
    let scores = workspace.text("scores.csv");
    let scores = scores
        .lines()
        .skip(1)
        .map(|row| row.split_once(',').expect("id and score").1);
    let expected = workspace.text("out/submission.csv");
    assert!(scores.eq(expected.lines()), "{expected}");
    workspace.write("bad.csv", "id,text_a,text_b\nq0,1 2,3 4\nq1,1 2,x\n");
    let predict = |file: &str| {
        refusal(
            &workspace,
            &["predict", "out", "--pairs", file, "--out=bad"],
        )
    };
    let shown = predict("bad.csv");
    assert!(
        shown.contains("bad.csv:3:text_b: expected a token id"),
        "{shown}"
    );
    // Where it is written as the run's files, it is told in the way of the run.
    workspace.write("bad.tsv", "1 2\t3 4\n1 2\tx\n");
    let shown = predict("bad.tsv");
    assert!(
        shown.contains("bad.tsv:2:2: expected a token id"),
        "{shown}"
    );
}

#[test]
fn a_test_file_whose_label_stands_first_is_read_so_or_refused() {
    let workspace = Workspace::with_pairs();
    let run = ["run", "experiment.toml", "--set=train.max_steps=1"];
    workspace.succeed(&[&run[..], &["--out=out"]].concat());
    let first = |(i, line): (usize, &str)| format!("{}\t{line}\n", i % 2);
    let test = workspace.text("test.tsv");
    let order: String = test.lines().enumerate().map(first).collect();
    workspace.write("order.tsv", order);
    let output = workspace.run(&["predict", "out", "--pairs=order.tsv", "--out=scores.csv"]);
    let shown = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(output.status.success(), "{shown}");
    let note = ", texts in column 2 and column 3, label in column 1";
    assert!(
        shown.contains("order.tsv is not written as the run's files: ") && shown.contains(note),
        "{shown}"
    );
    assert_eq!(
        workspace.text("scores.csv"),
        workspace.text("out/submission.csv")
    );

    for key in ["data.test", "data.unlabelled"] {
        let (set, out) = (format!("--set={key}=order.tsv"), "--out=other");
        let shown = refusal(&workspace, &[&run[..], &[&set, out]].concat());
        let message = "order.tsv:1:3: expected label 0 or 1, or what stands in for an unknown one, as -1, found `";
        assert!(shown.contains(message), "{shown}");
        assert!(
            shown.contains("\nhint: do the columns stand in another order"),
            "{shown}"
        );
    }
}

#[test]
fn plain_tables_are_counted_and_enciphered_without_ids_and_labels() {
    let workspace = Workspace::empty();
    workspace.write_checkpoint("bert", ALL_HEADS);
    let words = "id,text_a,text_b,label\nb,a b c,b c a,a\nc,\"c a,b\",a b c,b\n";
    workspace.write("words.csv", words);
    workspace.write("words.txt", "a b c\nb c a\nc a,b\na b c\n");
    for name in ["csv", "txt"] {
        let (file, out) = (format!("words.{name}"), format!("--out={name}.tsv"));
        workspace.succeed(&["count", &file, "--checkpoint=bert", &out]);
    }
    assert_eq!(workspace.text("csv.tsv"), workspace.text("txt.tsv"));
    assert!(workspace.text("csv.tsv").contains("a\t4\n"));

    let csv = "id,text_a,text_b,label\nbcbcbc,abcab,bcabc,a\nbcbcba,\"cab,ab\",abcab,b\n";
    workspace.write("plain.csv", csv);
    let cipher = [
        "cipher",
        "--pairs",
        "plain.csv",
        "--checkpoint=bert",
        "--out=out",
    ];
    workspace.succeed(&cipher);
    let copy = workspace.text("out/plain.csv");
    let rows: Vec<Vec<&str>> = copy.lines().map(|row| row.split(',').collect()).collect();
    assert_eq!(rows[0], ["id", "text_a", "text_b", "label"]);
    assert_eq!((rows[1][0], rows[1][3]), ("bcbcbc", "a"));
    assert_eq!((rows[2][0], rows[2][3]), ("bcbcba", "b"));
    assert_eq!(rows[1][1], rows[2][2]); // the same text
    assert_eq!(rows[1][1].split(' ').count(), 5);
    workspace.write("bad.csv", "x,y,z\n1,abc,abc\n2,abc,bca\n");
    let cipher = [
        "cipher",
        "--pairs",
        "bad.csv",
        "--checkpoint=bert",
        "--out=bad",
    ];
    let shown = refusal(&workspace, &cipher);
    let expected = "error: bad.csv:1: expected two text columns with usual names, such as `text_a` and `text_b`, found the \
                    columns x, y, z\nhint: rename";
    assert!(shown.starts_with(expected), "{shown}");
}
