//! `cipherpet predict`.

use crate::workspace::{Workspace, pairs};

#[test]
fn predicting_the_test_file_again_gives_the_submission() {
    let workspace = Workspace::with_pairs();
    workspace.succeed(&["run", "experiment.toml", "--out", "out"]);
    let predict = [
        "predict",
        "out",
        "--pairs",
        "test.tsv",
        "--out",
        "again.csv",
    ];
    insta::assert_snapshot!("predict", workspace.snapshot(&predict));
    assert_eq!(
        workspace.read("again.csv"),
        workspace.read("out/submission.csv")
    );

    workspace.write("more.tsv", pairs(7, 5, true) + "999\t999 1\t0\n");
    workspace.succeed(&["predict", "out", "--pairs", "more.tsv", "--out", "more.csv"]);
    assert_eq!(workspace.text("more.csv").lines().count(), 8);
}

#[test]
fn a_folder_that_is_no_run() {
    let workspace = Workspace::with_pairs();
    let shown = workspace.snapshot(&[
        "predict",
        "out",
        "--pairs",
        "test.tsv",
        "--out",
        "again.csv",
    ]);
    insta::assert_snapshot!("predict_no_run", shown);
    assert!(!workspace.exists("again.csv"));
}
