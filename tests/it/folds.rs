//! `cipherpet run` with k folds.

use std::process::Stdio;

use cipherpet::metrics::auc;
use serde_json::Value;

use crate::workspace::Workspace;

/// 200 training rows, 40 test rows, and an experiment with these lines under `[folds]`.
pub fn workspace(folds: &str) -> Workspace {
    let workspace = Workspace::with_pairs();
    let text = workspace
        .text("experiment.toml")
        .replace("epochs = 2", "epochs = 1");
    workspace.write("experiment.toml", format!("{text}\n[folds]\n{folds}\n"));
    workspace
}

pub const RUN: [&str; 4] = ["run", "experiment.toml", "--out", "out"];

pub fn run_with<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&RUN[..], more].concat()
}

pub fn json(text: &str) -> Value {
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

/// Two run folders with the same bytes wherever they must be the same.
pub fn assert_same(workspace: &Workspace, run: &str, other: &str) {
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
            "report.html",
            "run.log",
            "submission.csv",
            "submission.csv.json",
            "submission.zip",
            "test.csv"
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
