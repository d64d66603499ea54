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
fn files_without_a_token_leave_no_counts() {
    let workspace = Workspace::empty();
    workspace.write_checkpoint("bert", ALL_HEADS);
    workspace.write("empty.txt", "");
    let count = ["count", "empty.txt", "--checkpoint=bert", "--out=c.tsv"];
    let output = workspace.run(&count);
    let shown = String::from_utf8(output.stderr).expect("UTF-8");
    let expected = "error: empty.txt: expected plain text, found no token in it\nhint: ";
    assert!(shown.contains(expected), "{shown}");
    assert!(!workspace.exists("c.tsv"));
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

#[test]
fn a_missing_folder_is_found_while_arguments_are_read() {
    let workspace = Workspace::empty();
    for command in [
        "align",
        "count",
        "duplicates",
        "embed",
        "generate",
        "hash",
        "predict",
        "search",
        "zero-shot",
    ] {
        let output = workspace.run(&[command, "--out", "none/at.tsv"]);
        assert_eq!(output.status.code(), Some(2), "{command}");
        let said = String::from_utf8_lossy(&output.stderr);
        let expected = "expected a file in a folder that is there, found no folder none; make the folder first";
        assert!(said.contains(expected), "{command}: {said}");
    }
}

#[cfg(unix)]
#[test]
fn a_link_that_is_named_stays_and_its_file_is_written() {
    let workspace = Workspace::empty();
    workspace.write("text.txt", "的 我\n");
    workspace.write("real.tsv", "old");
    let link = |to: &str, name: &str| {
        std::os::unix::fs::symlink(to, workspace.path(name)).expect("a link");
    };
    link("real.tsv", "link.tsv");
    workspace.succeed(&["count", "text.txt", "--out", "link.tsv"]);
    assert!(workspace.path("link.tsv").is_symlink());
    assert_eq!(workspace.text("real.tsv"), "我\t1\n的\t1\n".to_owned());
    // What a shell has opened is written to, and not replaced.
    link("/dev/stdout", "out.tsv");
    let printed = workspace.run(&["count", "text.txt", "--out", "out.tsv", "--quiet"]);
    assert!(String::from_utf8_lossy(&printed.stdout).contains("的\t1\n"));
    assert!(!workspace.exists("out.tsv.json"));
    link("nowhere/at.tsv", "lost.tsv");
    let output = workspace.run(&["count", "text.txt", "--out", "lost.tsv"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("a link that leads to no file"));
    assert!(workspace.path("lost.tsv").is_symlink());
}
