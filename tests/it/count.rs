//! `cipherpet count`.

use crate::workspace::{ALL_HEADS, Workspace};

#[test]
fn counts_and_their_record() {
    let workspace = Workspace::empty();
    workspace.write_checkpoint("bert", ALL_HEADS);
    workspace.write("one.txt", "a b a\nc\n");
    workspace.write("two.txt", "a c\n");
    let count = [
        "count",
        "one.txt",
        "two.txt",
        "--checkpoint",
        "bert",
        "--out",
        "counts.tsv",
    ];
    insta::assert_snapshot!("count", workspace.snapshot(&count));
    assert_eq!(workspace.text("counts.tsv"), "a\t3\nc\t2\nb\t1\n");
    let record = workspace.json("counts.tsv.json");
    assert_eq!(
        (&record["types"], &record["tokens"]),
        (&3.into(), &6.into())
    );
    let source = &record["sources"][0];
    assert_eq!((&source["bytes"], &source["lines"]), (&8.into(), &2.into()));
    assert_eq!(source["sha256"].as_str().map(str::len), Some(64));
}

#[test]
fn a_file_that_is_not_there_leaves_no_counts() {
    let workspace = Workspace::empty();
    workspace.write_checkpoint("bert", ALL_HEADS);
    let shown = workspace.snapshot(&[
        "count",
        "no.txt",
        "--checkpoint",
        "bert",
        "--out",
        "counts.tsv",
    ]);
    insta::assert_snapshot!("count_no_file", shown);
    assert!(!workspace.exists("counts.tsv"));
}
