//! `cipherpet inspect`.

use crate::workspace::Workspace;

#[test]
fn report_json_and_starter() {
    let workspace = Workspace::with_pairs();
    // The estimates are those of f32, whatever the CPU has.
    let inspect = [
        "inspect",
        "train.tsv",
        "test.tsv",
        "--threads=2",
        "--set=train.precision=f32",
    ];
    let starter = ["--starter", "first.toml"];
    let shown = workspace.snapshot(&[&inspect[..], &starter].concat());
    insta::assert_snapshot!("inspect", shown);
    insta::assert_snapshot!("starter", workspace.text("first.toml"));
    insta::assert_snapshot!(
        "starter_in_use",
        workspace.snapshot(&[&inspect[..], &starter].concat())
    );

    let json = workspace.succeed(&[&inspect[..], &["--json"]].concat());
    let report: serde_json::Value = serde_json::from_str(&json).expect("one object");
    assert_eq!(report["survey"]["files"][0]["rows"], 200);
    assert_eq!(report["survey"]["files"][1]["role"], "test");
}

/// Thirteen classes of 20 texts each.
fn classes() -> String {
    let row = |i: usize| format!("{} {} {}\tkind-{}\n", i % 7, i % 11, i, i % 13);
    (0..260).map(row).collect()
}

#[test]
fn single_texts_with_classes_are_recognised() {
    let workspace = Workspace::empty();
    workspace.write("train.tsv", classes());
    workspace.write("test.tsv", "1 2 3\n4 5\n");
    let inspect = [
        "inspect",
        "train.tsv",
        "test.tsv",
        "--threads=2",
        "--set=train.precision=f32",
        "--starter=first.toml",
    ];
    insta::assert_snapshot!("inspect_single", workspace.snapshot(&inspect));
    insta::assert_snapshot!("starter_single", workspace.text("first.toml"));
    std::fs::remove_file(workspace.path("first.toml")).expect("it was written");
    let json = workspace.succeed(&[&inspect[..], &["--json"]].concat());
    let report: serde_json::Value = serde_json::from_str(&json).expect("one object");
    assert_eq!(report["task"]["kind"], "single");
    assert_eq!(report["task"]["labels"], "classes");
    assert_eq!(report["task"]["classes"][12], "kind-9");
    let labels = &report["survey"]["files"][0]["labels"];
    assert_eq!(labels["n_classes"], 13);
    assert_eq!(
        labels["largest"][0],
        serde_json::json!({"name": "kind-0", "rows": 20})
    );
}

#[test]
fn a_second_column_that_is_a_text_or_a_label_is_refused() {
    let workspace = Workspace::empty();
    workspace.write("train.tsv", "1 2\t7\n3 4\t8\n5 6\t9\n");
    let inspect = ["inspect", "train.tsv", "--starter=first.toml"];
    insta::assert_snapshot!("inspect_undecided", workspace.snapshot(&inspect));
    assert!(!workspace.exists("first.toml"));
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_stdout_is_an_error_and_a_closed_one_is_not() {
    let workspace = Workspace::with_pairs();
    let full = std::fs::File::options().write(true).open("/dev/full");
    let mut command = workspace.command(&["inspect", "train.tsv", "--json"]);
    let output = command
        .stdout(full.expect("/dev/full"))
        .output()
        .expect("it starts");
    insta::assert_snapshot!("stdout_full", workspace.transcript(&output));

    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let mut command = workspace.command(&["inspect", "train.tsv", "--json"]);
    let output = command.stdout(writer).output().expect("it starts");
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        workspace.transcript(&output)
    );
}
