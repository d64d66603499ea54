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
fn a_run_of_folds_predicts_by_the_mean_of_its_folds() {
    let workspace = Workspace::with_pairs();
    let folds = ["--set", "folds.k=2", "--set", "train.epochs=1"];
    let run = [&["run", "experiment.toml", "--out", "out"], &folds[..]].concat();
    let predict = |out| ["predict", "out", "--pairs", "test.tsv", "--out", out];
    workspace.succeed(&[&run[..], &["--fold", "2"]].concat());
    workspace.succeed(&predict("one.csv"));
    let one = workspace.text("out/fold-2/test.csv");
    let one = one.lines().skip(1).filter_map(|line| line.split_once(','));
    let one: String = one.map(|(_, score)| format!("{score}\n")).collect();
    assert_eq!(workspace.text("one.csv"), one);
    workspace.succeed(&run);
    let output = workspace.run(&predict("again.csv"));
    let stderr = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(stderr.starts_with("the mean of 2 of 2 folds\n"), "{stderr}");
    let submission = workspace.read("out/submission.csv");
    assert_eq!(workspace.read("again.csv"), submission);
    assert_ne!(workspace.read("one.csv"), submission);
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
