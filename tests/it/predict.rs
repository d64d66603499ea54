//! `cipherpet predict`.

use crate::hand_made::edit_manifest;
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

#[cfg(unix)]
#[test]
fn rows_from_a_pipe_have_the_scores_of_the_file_and_its_ids() {
    use std::io::Write;
    use std::process::Stdio;
    let workspace = Workspace::with_pairs();
    workspace.succeed(&["run", "experiment.toml", "--out", "out"]);
    let row = |(number, line): (usize, &str)| {
        let (a, b) = line.split_once('\t').expect("a pair");
        format!("{:03},{a},{b}\n", number + 7)
    };
    let rows: String = pairs(7, 5, false).lines().enumerate().map(row).collect();
    let table = format!("id,text_a,text_b\n{rows}");
    workspace.write("new.csv", &table);
    workspace.succeed(&["predict", "out", "--pairs=new.csv", "--out=file.csv"]);
    let mut predict =
        workspace.command(&["predict", "out", "--pairs=/dev/stdin", "--out=pipe.csv"]);
    predict
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut child = predict.spawn().expect("the command starts");
    let mut pipe = child.stdin.take().expect("a pipe");
    pipe.write_all(table.as_bytes()).expect("the pipe takes it");
    drop(pipe);
    let output = child.wait_with_output().expect("its end");
    assert!(output.status.success(), "{}", workspace.transcript(&output));
    assert!(workspace.text("file.csv").starts_with("id,score\n007,"));
    assert_eq!(workspace.text("pipe.csv"), workspace.text("file.csv"));
}

#[test]
fn one_by_one_gives_the_same_scores_and_the_time_of_a_row() {
    let workspace = Workspace::with_pairs();
    workspace.succeed(&["run", "experiment.toml", "--out", "out"]);
    let output = workspace.succeed(&[
        "predict",
        "out",
        "--pairs=test.tsv",
        "--out=alone.csv",
        "--one-by-one",
        "--json",
    ]);
    let report: serde_json::Value = serde_json::from_str(&output).expect("JSON");
    let rows = workspace.text("out/submission.csv").lines().count();
    assert_eq!(report["rows"], rows);
    let time = |key: &str| report["latency"][key].as_f64().expect("a number");
    let (p50, p99) = (time("p50_milliseconds"), time("p99_milliseconds"));
    assert!(0.0 < p50 && p50 <= p99 && p99 <= time("largest_milliseconds"));
    // The f32 path may sum in another order for another number of rows.
    let scores = |name: &str| -> Vec<f32> {
        let text = workspace.text(name);
        text.lines().map(|x| x.parse().expect("a score")).collect()
    };
    let together = scores("out/submission.csv");
    for (alone, together) in scores("alone.csv").iter().zip(&together) {
        assert!((alone - together).abs() < 1e-4, "{alone} {together}");
    }
}

#[test]
fn both_orders_are_the_mean_of_one_and_the_other() {
    let workspace = Workspace::with_pairs();
    workspace.succeed(&["run", "experiment.toml", "--out", "out"]);
    let turned = |line: &str| line.split('\t').rev().collect::<Vec<_>>().join("\t");
    let test = workspace.text("test.tsv");
    let lines: Vec<_> = test.lines().map(turned).collect();
    workspace.write("turned.tsv", lines.join("\n") + "\n");
    let predict = |pairs: &str, swap: &str| -> Vec<f32> {
        workspace.succeed(&[
            "predict",
            "out",
            "--pairs",
            pairs,
            "--swap",
            swap,
            "--out",
            "scores.csv",
        ]);
        let text = workspace.text("scores.csv");
        text.lines().map(|x| x.parse().expect("a score")).collect()
    };
    let (both, one, other) = (
        predict("test.tsv", "true"),
        predict("test.tsv", "false"),
        predict("turned.tsv", "false"),
    );
    assert_ne!(one, other);
    for ((both, one), other) in both.iter().zip(&one).zip(&other) {
        assert!(
            (both - (one + other) / 2.0).abs() < 1e-4,
            "{both} {one} {other}"
        );
    }
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

#[test]
fn a_folder_that_was_changed_since_gives_no_scores() {
    let run = [
        "run",
        "experiment.toml",
        "--out",
        "out",
        "--set=train.max_steps=2",
    ];
    let predict = [
        "predict",
        "out",
        "--pairs",
        "test.tsv",
        "--out",
        "scores.csv",
    ];
    let refused = |workspace: &Workspace| {
        let output = workspace.run(&predict);
        assert_eq!(output.status.code(), Some(1));
        assert!(!workspace.exists("scores.csv"));
        String::from_utf8(output.stderr).expect("UTF-8")
    };
    // A run that is done knows what it has written.
    let workspace = Workspace::with_pairs();
    workspace.succeed(&run);
    let vocabulary = workspace.text("out/model/vocab.txt");
    workspace.write("out/model/vocab.txt", vocabulary.clone() + "999\n");
    let text = refused(&workspace);
    assert!(
        text.starts_with("error: out/model/vocab.txt is not the file that the run has written"),
        "{text}"
    );

    // One that was cut has no record yet, but its files must belong together.
    edit_manifest(&workspace, "out", |manifest| {
        manifest["state"] = "begun".into()
    });
    let text = refused(&workspace);
    assert!(
        text.contains("out/model/vocab.txt: expected 37 tokens, as config.json says, found 38"),
        "{text}"
    );
    workspace.write("out/model/vocab.txt", vocabulary);
    let config = workspace.text("out/config.toml");
    workspace.write(
        "out/config.toml",
        config.replace("max_tokens = 32", "max_tokens = 5000"),
    );
    let text = refused(&workspace);
    assert!(
        text.contains("config.toml:") && text.contains("data.max_tokens: expected at most 509"),
        "{text}"
    );
    // Nothing is trained here, so that other settings are no way out.
    let hint = "\nhint: the folder was changed since the run: put its files back, or run it again in a new folder\n";
    assert!(text.ends_with(hint), "{text}");
    workspace.write(
        "out/config.toml",
        config.replace("name = \"pet\"", "name = \"ce\""),
    );
    let text = refused(&workspace);
    assert!(
        text.contains("model.safetensors: expected the heads that the objective needs"),
        "{text}"
    );
}

#[test]
fn a_damaged_manifest_gives_no_scores() {
    let workspace = Workspace::with_pairs();
    workspace.succeed(&[
        "run",
        "experiment.toml",
        "--out",
        "out",
        "--set=train.max_steps=2",
    ]);
    let manifest = workspace.read("out/manifest.json");
    workspace.write("out/manifest.json", &manifest[..manifest.len() / 2]);
    let output = workspace.run(&[
        "predict",
        "out",
        "--pairs",
        "test.tsv",
        "--out",
        "scores.csv",
    ]);
    let said = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.starts_with("error: out/manifest.json:"), "{said}");
    let left = |name: &String| name.starts_with("scores.csv");
    assert!(!workspace.names("").iter().any(left));
}
