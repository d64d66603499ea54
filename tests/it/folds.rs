//! `cipherpet run` with k folds, a grid, and several experiments.

use std::fs::File;
use std::process::Stdio;

use cipherpet::metrics::auc;
use serde_json::Value;

use crate::workspace::{Workspace, pairs};

/// 200 training rows, 40 test rows, and an experiment with these lines under `[folds]`.
fn workspace(folds: &str) -> Workspace {
    let workspace = Workspace::with_pairs();
    let text = workspace
        .text("experiment.toml")
        .replace("epochs = 2", "epochs = 1");
    workspace.write("experiment.toml", format!("{text}\n[folds]\n{folds}\n"));
    workspace
}

const RUN: [&str; 4] = ["run", "experiment.toml", "--out", "out"];

fn run_with<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&RUN[..], more].concat()
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("one object")
}

/// The columns of a table under its header, as numbers.
fn table(workspace: &Workspace, name: &str, header: &str) -> Vec<Vec<f64>> {
    let text = workspace.text(name);
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some(header), "{name}");
    let numbers = |line: &str| {
        line.split(',')
            .map(|x| x.parse().expect("a number"))
            .collect()
    };
    lines.map(numbers).collect()
}

fn valid(workspace: &Workspace, fold: usize) -> Vec<Vec<f64>> {
    table(
        workspace,
        &format!("out/fold-{fold}/valid.csv"),
        "row,label,score",
    )
}

fn test_scores(workspace: &Workspace, folder: &str) -> Vec<f64> {
    let rows = table(workspace, &format!("out/{folder}/test.csv"), "row,score");
    rows.iter().map(|row| row[1]).collect()
}

fn oof(workspace: &Workspace) -> Vec<Vec<f64>> {
    table(workspace, "out/oof.csv", "row,label,score,fold")
}

fn submission(workspace: &Workspace) -> Vec<f64> {
    let text = workspace.text("out/submission.csv");
    text.lines()
        .map(|line| line.parse().expect("a number"))
        .collect()
}

fn auc_of<'a>(rows: impl IntoIterator<Item = &'a Vec<f64>>) -> f64 {
    let (labels, scores): (Vec<bool>, Vec<f32>) = rows
        .into_iter()
        .map(|row| (row[1] == 1.0, row[2] as f32))
        .unzip();
    auc(&labels, &scores).expect("both classes")
}

/// Every file of the folds and of their merge that must not depend on how they were trained.
fn bytes(workspace: &Workspace, run: &str) -> Vec<(String, Vec<u8>)> {
    let mut names: Vec<String> = [
        "config.toml",
        "mapping.tsv",
        "oof.csv",
        "submission.csv",
        "submission.zip",
    ]
    .map(String::from)
    .into();
    for fold in 1..=3 {
        for name in ["valid.csv", "test.csv", "model/model.safetensors"] {
            names.push(format!("fold-{fold}/{name}"));
        }
    }
    let read = |name: String| {
        let bytes = workspace.read(&format!("{run}/{name}"));
        (name, bytes)
    };
    names.into_iter().map(read).collect()
}

fn assert_same(workspace: &Workspace, run: &str, other: &str) {
    for ((name, ours), (_, theirs)) in bytes(workspace, run)
        .into_iter()
        .zip(bytes(workspace, other))
    {
        assert!(ours == theirs, "{name} differs between {run} and {other}");
    }
}

#[test]
fn every_row_is_held_out_once_and_the_submission_is_the_mean() {
    let workspace = workspace("k = 3\nassign = \"stratified\"");
    let output = workspace.run(&run_with(&["--json"]));
    assert!(output.status.success(), "{}", workspace.transcript(&output));
    let stderr = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(
        stderr.lines().last(),
        Some("submission: out/submission.csv")
    );
    assert_eq!(
        workspace.names("out"),
        [
            "config.toml",
            "fold-1",
            "fold-2",
            "fold-3",
            "manifest.json",
            "mapping.tsv",
            "oof.csv",
            "run.log",
            "submission.csv",
            "submission.zip"
        ]
    );
    for fold in ["out/fold-1", "out/fold-2", "out/fold-3"] {
        let expected = [
            "DONE",
            "metrics.jsonl",
            "model",
            "run.log",
            "test.csv",
            "valid.csv",
        ];
        assert_eq!(workspace.names(fold), expected);
    }
    // oof.csv: each row once, in order, with the label of the file and the score of its fold.
    let oof = oof(&workspace);
    let train = workspace.text("train.tsv");
    let labels: Vec<f64> = train
        .lines()
        .map(|line| f64::from(u8::from(line.ends_with("\t1"))))
        .collect();
    assert_eq!(oof.len(), 200);
    let mut held_out = 0;
    for fold in 1..=3 {
        for row in valid(&workspace, fold) {
            let merged = &oof[row[0] as usize];
            assert_eq!(merged[..], [row[0], row[1], row[2], fold as f64]);
            assert_eq!(row[1], labels[row[0] as usize]);
            held_out += 1;
        }
    }
    assert_eq!(held_out, 200);
    // submission.csv: the mean of three models, which are not the same.
    let folds = ["fold-1", "fold-2", "fold-3"].map(|fold| test_scores(&workspace, fold));
    assert!(folds[0] != folds[1] && folds[1] != folds[2]);
    for (row, score) in submission(&workspace).into_iter().enumerate() {
        let mean = (folds[0][row] + folds[1][row] + folds[2][row]) / 3.0;
        assert!(
            (score - mean).abs() < 1e-6,
            "row {row}: {score}, mean {mean}"
        );
    }
    workspace.succeed(&["check", "out/submission.zip", "--test", "test.tsv"]);

    let report = json(&String::from_utf8(output.stdout).expect("UTF-8"));
    assert_eq!(report["valid_auc"], report["oof_auc"]);
    let result = &workspace.json("out/manifest.json")["result"];
    assert_eq!(result["oof_auc"], report["oof_auc"]);
    let oof_auc = result["oof_auc"].as_f64().expect("both classes");
    assert!((oof_auc - auc_of(&oof)).abs() < 1e-12);
    let (low, high) = (&result["oof_auc_low"], &result["oof_auc_high"]);
    assert!(
        low.as_f64() < Some(oof_auc) && Some(oof_auc) < high.as_f64(),
        "{low} {high}"
    );
    let each: Vec<f64> = (1..=3)
        .map(|fold| auc_of(&valid(&workspace, fold)))
        .collect();
    let mean = each.iter().sum::<f64>() / 3.0;
    let sd = (each.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 2.0).sqrt();
    let near = |key: &str, expected: f64| {
        let found = result[key].as_f64().expect("a number");
        assert!(
            (found - expected).abs() < 1e-12,
            "{key}: {found}, {expected}"
        );
    };
    near("fold_auc_mean", mean);
    near("fold_auc_sd", sd);
    for (fold, expected) in (1..).zip(each) {
        let found = &result["folds"][fold - 1];
        assert_eq!((&found["fold"], &found["steps"]), (&fold.into(), &8.into())); // ceil(240 / 32)
        assert!((found["valid_auc"].as_f64().expect("a number") - expected).abs() < 1e-12);
        if cfg!(target_os = "linux") {
            assert!(found["peak_rss_bytes"].as_u64() > Some(1 << 20));
        }
    }
}

#[test]
fn held_out_rows_join_the_mlm_of_their_fold_without_labels() {
    let workspace = workspace("k = 4\nassign = \"row\"");
    workspace.succeed(&run_with(&["--fold", "2"]));
    let line = "rows: 150 labelled and 90 unlabelled to train, 50 to validate, 40 to score";
    let log = workspace.text("out/fold-2/run.log");
    assert!(log.lines().any(|found| found == line), "{log}");
    assert!(log.starts_with("vocabulary: "), "{log}"); // what was said before there was a folder
    assert!(
        log.contains("\nfolds: 4 by \"row\", 50 to 50 rows each; "),
        "{log}"
    );
    let memory = " of memory\n";
    assert!(
        log.contains("\nended: valid AUC ") && log.ends_with(memory),
        "{log}"
    );
    // Without them.
    workspace.succeed(&[
        "run",
        "experiment.toml",
        "--out",
        "other",
        "--fold",
        "2",
        "--set",
        "train.unlabelled=[\"test\"]",
    ]);
    let line = "rows: 150 labelled and 40 unlabelled to train, 50 to validate, 40 to score";
    assert!(workspace.text("other/fold-2/run.log").contains(line));
}

#[test]
fn repeats_deal_anew_and_oof_scores_are_their_mean() {
    let workspace = workspace("k = 2\nrepeats = 2\nassign = \"stratified\"");
    workspace.succeed(&RUN);
    let mut sums = vec![0.0; 200];
    let mut first_fold = vec![0.0; 200];
    for fold in 1..=4 {
        for row in valid(&workspace, fold) {
            sums[row[0] as usize] += row[2];
            if fold <= 2 {
                first_fold[row[0] as usize] = fold as f64;
            }
        }
    }
    assert_ne!(valid(&workspace, 1), valid(&workspace, 3));
    for row in oof(&workspace) {
        let number = row[0] as usize;
        assert!((row[2] - sums[number] / 2.0).abs() < 1e-6);
        assert_eq!(row[3], first_fold[number]);
    }
    let folds = [1, 2, 3, 4].map(|fold| test_scores(&workspace, &format!("fold-{fold}")));
    for (row, score) in submission(&workspace).into_iter().enumerate() {
        let mean = folds.iter().map(|fold| fold[row]).sum::<f64>() / 4.0;
        assert!((score - mean).abs() < 1e-6);
    }
}

#[test]
fn a_fit_on_all_rows_stands_beside_the_folds() {
    let workspace = workspace("k = 2\nfull = true");
    workspace.succeed(&RUN);
    let log = workspace.text("out/full/run.log");
    let line = "rows: 200 labelled and 40 unlabelled to train, 0 to validate, 40 to score";
    assert!(log.contains(line), "{log}");
    // It takes no part in the submission.
    let folds = ["fold-1", "fold-2"].map(|fold| test_scores(&workspace, fold));
    let full = test_scores(&workspace, "full");
    assert!(full != folds[0] && full != folds[1]);
    for (row, score) in submission(&workspace).into_iter().enumerate() {
        assert!((score - (folds[0][row] + folds[1][row]) / 2.0).abs() < 1e-6);
    }
    let result = &workspace.json("out/manifest.json")["result"];
    assert_eq!(result["folds"].as_array().map(Vec::len), Some(2));
    assert_eq!(
        (&result["full"]["fold"], &result["full"]["valid_auc"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(
        result["steps"],
        result["folds"][0]["steps"].as_u64().expect("steps") * 3
    );
}

#[test]
fn row_wise_and_grouped_stand_side_by_side() {
    let workspace = workspace("k = 3\nassign = \"row\"");
    // 60 rows whose first sentence stands in three of them, and 140 rows with sentences of their own.
    let rows = (0..200).map(|row| {
        let first = if row < 60 { row / 3 } else { row };
        format!("{first} 1\t{row} 2\t{}\n", row * 7 % 3 % 2)
    });
    workspace.write("train.tsv", rows.collect::<String>());
    workspace.succeed(&RUN);

    let oof = oof(&workspace);
    // Shared: a row of a triple that does not stand in one fold as a whole.
    let fold_of = |row: usize| oof[row][3];
    let is_shared = |row: usize| {
        let triple = row / 3 * 3..row / 3 * 3 + 3;
        row < 60
            && triple
                .into_iter()
                .any(|other| fold_of(other) != fold_of(row))
    };
    let alone: Vec<&Vec<f64>> = oof
        .iter()
        .filter(|row| !is_shared(row[0] as usize))
        .collect();
    assert!((141..=199).contains(&alone.len()), "{}", alone.len());
    let leakage = &workspace.json("out/manifest.json")["result"]["leakage"];
    assert_eq!(leakage["assign"], "row");
    assert_eq!(
        (&leakage["row_rows"], &leakage["grouped_rows"]),
        (&200.into(), &alone.len().into())
    );
    let near = |key: &str, expected: f64| {
        let found = leakage[key].as_f64().expect("a number");
        assert!(
            (found - expected).abs() < 1e-12,
            "{key}: {found}, {expected}"
        );
    };
    near("row_auc", auc_of(&oof));
    near("grouped_auc", auc_of(alone.iter().copied()));
    let share = (200 - alone.len()) as f64 / 200.0;
    assert_eq!(leakage["shares"]["between_folds"], share);
}

#[test]
fn folds_by_two_processes_at_once_are_those_of_one() {
    let workspace = workspace("k = 3");
    workspace.succeed(&["run", "experiment.toml", "--out", "whole", "--threads", "2"]);
    // All three begin together in a folder that is not there yet.
    let children: Vec<_> = ["1", "2", "3"]
        .map(|fold| {
            workspace
                .command(&run_with(&["--fold", fold, "--threads", "1"]))
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .expect("the command starts")
        })
        .into();
    for child in children {
        let output = child.wait_with_output().expect("it ends");
        assert!(output.status.success(), "{}", workspace.transcript(&output));
    }
    assert_eq!(workspace.json("out/manifest.json")["state"], "begun");
    assert!(!workspace.exists("out/oof.csv"));
    workspace.succeed(&run_with(&["--finish"]));
    assert_eq!(workspace.json("out/manifest.json")["state"], "done");
    assert_same(&workspace, "out", "whole");
    let names = workspace.names("out");
    assert!(names.iter().all(|name| !name.starts_with('.')), "{names:?}");
}

#[test]
fn what_is_done_is_not_done_again() {
    let workspace = workspace("k = 2\nassign = \"stratified\"");
    let fold = json(&workspace.succeed(&run_with(&["--fold", "1", "--json"])));
    assert_eq!(
        (&fold["fold"], &fold["found_done"]),
        (&1.into(), &false.into())
    );
    assert_eq!(
        (&fold["models_done"], &fold["models"]),
        (&1.into(), &2.into())
    );
    let done = workspace.read("out/fold-1/DONE");
    let again = json(&workspace.succeed(&run_with(&["--fold", "1", "--json"])));
    assert_eq!(again["found_done"], true);
    let report = json(&workspace.succeed(&run_with(&["--json"])));
    assert_eq!(report["found_done"], false);
    assert!(
        workspace
            .text("out/run.log")
            .contains("\nfold 1 of 2: done already\nfold 2 of 2\n")
    );
    assert_eq!(workspace.read("out/fold-1/DONE"), done);
    let manifest = workspace.read("out/manifest.json");
    for part in [&["--json"][..], &["--json", "--finish"]] {
        let again = json(&workspace.succeed(&run_with(part)));
        assert_eq!(
            (&again["found_done"], &again["oof_auc"]),
            (&true.into(), &report["oof_auc"])
        );
    }
    assert_eq!(workspace.read("out/manifest.json"), manifest);
}

#[test]
fn a_fold_that_was_cut_is_trained_anew() {
    let workspace = workspace("k = 2\nassign = \"stratified\"");
    workspace.succeed(&RUN);
    let merged = [
        workspace.read("out/oof.csv"),
        workspace.read("out/submission.csv"),
    ];
    std::fs::remove_file(workspace.path("out/fold-2/DONE")).expect("it is there");
    std::fs::remove_file(workspace.path("out/oof.csv")).expect("it is there");
    workspace.write("out/fold-2/valid.csv", "half");
    let mut manifest = workspace.json("out/manifest.json");
    manifest["state"] = "begun".into();
    workspace.write("out/manifest.json", manifest.to_string());
    workspace.succeed(&RUN);
    assert_eq!(
        [
            workspace.read("out/oof.csv"),
            workspace.read("out/submission.csv")
        ],
        merged
    );
}

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

#[test]
fn folds_without_a_test_file_have_no_submission() {
    let workspace = workspace("k = 2");
    let text = workspace
        .text("experiment.toml")
        .replace("test = \"test.tsv\"\n", "");
    workspace.write("experiment.toml", text);
    let report = json(&workspace.succeed(&run_with(&["--json"])));
    assert!(report["submission"].is_null() && report["oof_auc"].is_number());
    assert!(!workspace.exists("out/submission.csv") && !workspace.exists("out/fold-1/test.csv"));
}

#[test]
fn a_grid_runs_every_cell_in_a_folder_of_its_own_once() {
    let workspace = Workspace::with_pairs();
    let text = workspace
        .text("experiment.toml")
        .replace("epochs = 2", "epochs = 1");
    let grid = "[grid]\nseed = [0, 1]\n\"objective.mask\" = [0.1, 0.2]\n";
    workspace.write("experiment.toml", format!("{text}\n{grid}"));
    let output = workspace.run(&["run", "experiment.toml", "--json"]);
    assert!(output.status.success(), "{}", workspace.transcript(&output));
    let report = json(&String::from_utf8(output.stdout).expect("UTF-8"));
    let cells = report["runs"].as_array().expect("a list");
    let named: Vec<&str> = cells
        .iter()
        .filter_map(|cell| cell["cell"].as_str())
        .collect();
    assert_eq!(
        named,
        [
            "seed = 0, objective.mask = 0.1",
            "seed = 0, objective.mask = 0.2",
            "seed = 1, objective.mask = 0.1",
            "seed = 1, objective.mask = 0.2"
        ]
    );
    assert_eq!(workspace.names("runs").len(), 4);
    for cell in cells {
        let run = cell["report"]["run"].as_str().expect("a folder");
        assert_eq!(
            workspace.json(&format!("{run}/manifest.json"))["state"],
            "done"
        );
        // The log of a cell is its own.
        let log = workspace.text(&format!("{run}/run.log"));
        assert_eq!(log.matches("of 4: experiment (").count(), 1, "{log}");
    }
    // One cell is lost; the others are found.
    let lost = cells[2]["report"]["run"].as_str().expect("a folder");
    let submission = workspace.read(&format!("{lost}/submission.csv"));
    std::fs::remove_dir_all(workspace.path(lost)).expect("it is there");
    let again = json(&workspace.succeed(&["run", "experiment.toml", "--json"]));
    let found: Vec<&Value> = (0..4)
        .map(|cell| &again["runs"][cell]["report"]["found_done"])
        .collect();
    assert_eq!(found, [true, true, false, true]);
    assert_eq!(
        workspace.read(&format!("{lost}/submission.csv")),
        submission
    );
    // A cell is the run of the experiment written out.
    let one = [
        "run",
        "experiment.toml",
        "--json",
        "--seed",
        "1",
        "--set",
        "objective.mask=0.1",
    ];
    let one = json(&workspace.succeed(&one));
    assert_eq!(
        (&one["run"], &one["found_done"]),
        (&lost.into(), &true.into())
    );
}

#[test]
fn an_experiment_that_fails_does_not_stop_the_others() {
    let workspace = Workspace::with_pairs();
    let text = workspace
        .text("experiment.toml")
        .replace("epochs = 2", "epochs = 1");
    workspace.write("good.toml", &text);
    workspace.write("bad.toml", text.replace("test.tsv", "nowhere.tsv"));
    let output = workspace.run(&["run", "bad.toml", "good.toml", "--json"]);
    let stderr = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    let list = "error: 1 of 2 experiments failed:\n  bad: ";
    assert!(stderr.contains(list), "{stderr}");
    assert!(
        stderr.contains("expected a file, found none at "),
        "{stderr}"
    );
    let report = json(&String::from_utf8(output.stdout).expect("UTF-8"));
    assert!(report["runs"][0]["report"].is_null() && report["runs"][0]["error"].is_string());
    assert!(report["runs"][1]["error"].is_null());
    let run = report["runs"][1]["report"]["run"]
        .as_str()
        .expect("a folder");
    assert!(workspace.exists(&format!("{run}/submission.csv")));
}

#[test]
fn one_folder_for_several_experiments_is_refused() {
    let workspace = Workspace::with_pairs();
    let run = run_with(&["--set", "grid.seed=[0, 1, 2]"]);
    insta::assert_snapshot!("grid_one_folder", workspace.snapshot(&run));
    insta::assert_snapshot!(
        "grid_no_list",
        workspace.snapshot(&run_with(&["--set", "grid.seed=3"]))
    );
    assert!(!workspace.exists("out"));
}

#[test]
fn the_folds_do_not_move_with_the_seed() {
    let workspace = workspace("k = 2\nassign = \"stratified\"");
    for (out, seed) in [("out", "0"), ("other", "1")] {
        workspace.succeed(&[
            "run",
            "experiment.toml",
            "--out",
            out,
            "--seed",
            seed,
            "--fold",
            "1",
        ]);
    }
    let rows = |out: &str| {
        let table = table(
            &workspace,
            &format!("{out}/fold-1/valid.csv"),
            "row,label,score",
        );
        let split = |row: Vec<f64>| (row[0], row[2]);
        table
            .into_iter()
            .map(split)
            .unzip::<f64, f64, Vec<_>, Vec<_>>()
    };
    let ((ours, our_scores), (theirs, their_scores)) = (rows("out"), rows("other"));
    assert_eq!(ours, theirs);
    assert_ne!(our_scores, their_scores);
}
