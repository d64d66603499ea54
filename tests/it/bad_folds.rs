//! Folds that cannot be, that fail, or that somebody is at: what the user reads, and what stays.

use std::fs::File;

use crate::folds::{RUN, run_with, workspace};
use crate::workspace::pairs;

#[test]
fn finish_names_the_folds_that_are_missing() {
    let workspace = workspace("k = 4\nfull = true\nassign = \"row\"");
    workspace.succeed(&run_with(&["--fold", "3"]));
    insta::assert_snapshot!(
        "folds_missing",
        workspace.snapshot(&run_with(&["--finish"]))
    );
    assert!(!workspace.exists("out/oof.csv"));
}

#[test]
fn a_fold_that_is_none_is_refused() {
    let workspace = workspace("k = 2\nrepeats = 2");
    insta::assert_snapshot!(
        "fold_beyond",
        workspace.snapshot(&run_with(&["--fold", "5"]))
    );
    insta::assert_snapshot!(
        "fold_full",
        workspace.snapshot(&run_with(&["--fold", "full"]))
    );
    insta::assert_snapshot!("fold_zero", workspace.snapshot(&run_with(&["--fold", "0"])));
    let single = ["--set", "folds.k=0", "--set", "folds.repeats=1"];
    for part in [&["--fold", "1"][..], &["--finish"]] {
        let output = workspace.run(&run_with(&[part, &single].concat()));
        let stderr = String::from_utf8(output.stderr).expect("UTF-8");
        let message = format!(
            "error: {} with folds.k = 0, which has no folds\nhint: set folds.k\n",
            part.join(" ")
        );
        assert_eq!((output.status.code(), stderr), (Some(1), message));
    }
    assert!(!workspace.exists("out"));
}

#[test]
fn folds_that_cannot_be_dealt_are_refused_and_leave_nothing() {
    let workspace = workspace("k = 5");
    let cases = [
        ("k_beyond_components", "group"),
        ("k_without_label", "stratified"),
    ];
    // Four components; one row of label 1.
    let rows = "1\t2\t0\n3\t4\t0\n5\t6\t0\n7\t8\t1\n8\t7\t0\n";
    workspace.write("train.tsv", rows);
    for (name, assign) in cases {
        let set = format!("folds.assign={assign}");
        insta::assert_snapshot!(name, workspace.snapshot(&run_with(&["--set", &set])));
        assert!(!workspace.exists("out"), "{name} has left a folder");
    }
}

#[test]
fn a_validation_file_and_folds_are_refused() {
    let workspace = workspace("k = 5");
    workspace.write("valid.tsv", pairs(30, 2, true));
    let run = run_with(&["--set", "data.valid=valid.tsv"]);
    insta::assert_snapshot!("folds_and_valid_file", workspace.snapshot(&run));
    assert!(!workspace.exists("out"));
}

#[test]
fn a_fold_that_fails_does_not_stop_the_others() {
    let workspace = workspace("k = 3\nassign = \"stratified\"");
    workspace.succeed(&run_with(&["--fold", "1"]));
    workspace.write("out/fold-2", "in the way");
    let output = workspace.run(&RUN);
    let stderr = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    let error = "error: 1 of 3 models failed:\n  fold-2: cannot create out/fold-2: ";
    assert!(stderr.contains(error), "{stderr}");
    assert!(workspace.exists("out/fold-3/DONE") && !workspace.exists("out/oof.csv"));
    std::fs::remove_file(workspace.path("out/fold-2")).expect("it is there");
    workspace.succeed(&RUN);
}

#[test]
fn a_failed_fold_leaves_its_log_with_the_reason_at_the_end() {
    let workspace = workspace("k = 2\nassign = \"stratified\"");
    let output = workspace.run(&run_with(&["--set", "train.learning_rate=1e30"]));
    let stderr = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(
        stderr.contains("error: 2 of 2 models failed:\n  fold-1: "),
        "{stderr}"
    );
    for fold in ["out/fold-1", "out/fold-2"] {
        let log = workspace.text(&format!("{fold}/run.log"));
        let last = log.lines().last().expect("a line");
        assert!(
            last.starts_with("error: training diverged at step "),
            "{log}"
        );
        assert!(!workspace.exists(&format!("{fold}/DONE")));
    }
}

#[test]
fn a_fold_that_another_process_is_at_is_left_to_it() {
    let workspace = workspace("k = 2\nassign = \"stratified\"");
    workspace.succeed(&run_with(&["--fold", "1"]));
    std::fs::create_dir(workspace.path("out/fold-2")).expect("a folder");
    let lock = File::create(workspace.path("out/fold-2/.lock")).expect("a file");
    lock.lock().expect("nobody holds it");
    let output = workspace.run(&RUN);
    let stderr = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(
        stderr.contains("\n  fold-2: another run is at work in out/fold-2"),
        "{stderr}"
    );
    assert_eq!(workspace.names("out/fold-2"), [".lock"]);
    drop(lock);
    workspace.succeed(&RUN);
}

#[test]
fn scores_that_were_changed_since_are_refused() {
    let workspace = workspace("k = 2\nassign = \"stratified\"");
    workspace.succeed(&run_with(&["--fold", "1"]));
    workspace.succeed(&run_with(&["--fold", "2"]));
    let text = workspace
        .text("out/fold-2/test.csv")
        .replacen("\n0,", "\n0,1", 1);
    workspace.write("out/fold-2/test.csv", text);
    insta::assert_snapshot!("fold_changed", workspace.snapshot(&run_with(&["--finish"])));
}

#[test]
fn another_config_in_the_folder_is_refused() {
    let workspace = workspace("k = 2\nassign = \"stratified\"");
    workspace.succeed(&run_with(&["--fold", "1"]));
    for part in [&["--fold", "2"][..], &["--finish"], &[]] {
        let output = workspace.run(&run_with(&[part, &["--seed", "1"]].concat()));
        let stderr = String::from_utf8(output.stderr).expect("UTF-8");
        let message = "error: out holds another run: `seed` is 0 there, 1 here\n";
        assert!(stderr.starts_with(message), "{stderr}");
        assert_eq!(output.status.code(), Some(1));
    }
}

#[cfg(unix)]
#[test]
fn ctrl_c_in_a_fold_ends_the_whole_run() {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};

    let workspace = workspace("k = 3");
    let mut child = workspace
        .command(&run_with(&["--set", "train.epochs=1000000"]))
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("the command starts");
    let stderr = BufReader::new(child.stderr.take().expect("a pipe"));
    let mut said = stderr.lines().map(|line| line.expect("UTF-8"));
    let trains = said.any(|line| line.starts_with("epoch 1/"));
    assert!(trains, "the run has ended before its first epoch");
    let id = child.id().to_string();
    let sent = Command::new("kill").args(["-s", "INT", &id]).status();
    assert!(sent.expect("kill").success());
    let rest: Vec<String> = said.collect();
    let status = child.wait().expect("the run ends");
    // 75 where the fold can go on, 130 where it cannot.
    assert!(matches!(status.code(), Some(75 | 130)), "{status} {rest:?}");
    assert!(
        !rest.iter().any(|line| line.contains("fold 2 of 3")),
        "{rest:?}"
    );
    let log = workspace.text("out/fold-1/run.log");
    assert!(log.ends_with("error: interrupted\n"), "{log}");
    assert!(!workspace.exists("out/fold-1/.lock") && !workspace.exists("out/fold-2"));
}

#[test]
fn folds_from_machines_of_other_kernels_are_merged_and_this_is_said() {
    let workspace = workspace("k = 2\nassign = \"stratified\"");
    workspace.succeed(&run_with(&["--fold", "1"]));
    workspace.succeed(&run_with(&["--fold", "2"]));
    let mut done = workspace.json("out/fold-2/DONE");
    done["kernel_path"] = "a portable one".into();
    workspace.write("out/fold-2/DONE", done.to_string());
    let output = workspace.run(&run_with(&["--finish"]));
    assert!(output.status.success(), "{}", workspace.transcript(&output));
    let log = workspace.text("out/run.log");
    assert!(
        log.contains("\nthe folds were trained by different kernels (a portable one, "),
        "{log}"
    );
}
