//! Files as people have them: with ids and a header, compressed.

use std::io::Write;

use crate::workspace::Workspace;

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
