//! `cipherpet ensemble`.

use std::path::Path;

use cipherpet::workbench::run_folder::manifest::FileRecord;

use crate::hand_made::{edit_manifest, refusal, workspace, write_run};
use crate::workspace::Workspace;

const A: &str = "row,label,score\n0,1,2\n4,0,1\n5,1,-1\n9,0,-2\n";
const B: &str = "row,label,score\n0,1,-3\n4,0,-4\n5,1,4\n9,0,0\n";

/// `a` and `b`, over the same rows.
fn two_runs() -> Workspace {
    let workspace = workspace();
    write_run(&workspace, "a", A, "1\n0\n-1\n");
    write_run(&workspace, "b", B, "2\n-0.5\n0\n");
    workspace
}

fn ensemble(more: &[&str]) -> Vec<&'static str> {
    let fixed = ["ensemble", "a", "b", "--out", "out"];
    let more = more
        .iter()
        .map(|&text| -> &'static str { Box::leak(text.to_owned().into_boxed_str()) });
    fixed.into_iter().chain(more).collect()
}

fn refused(workspace: &Workspace, more: &[&str], expected: &str) {
    assert_eq!(refusal(workspace, &ensemble(more)), expected);
    assert!(!workspace.exists("out"), "a folder is left");
}

#[test]
fn the_mean_logit_of_two_runs() {
    let workspace = two_runs();
    insta::assert_snapshot!("ensemble", workspace.snapshot(&ensemble(&[])));
    assert_eq!(
        workspace.text("out/submission.csv"),
        "1.50000000\n-0.250000000\n-0.500000000\n"
    );
    assert_eq!(
        workspace.text("out/valid.csv"),
        "row,label,score\n0,1,-0.500000000\n4,0,-1.50000000\n5,1,1.50000000\n9,0,-1.00000000\n"
    );
    workspace.succeed(&["check", "out/submission.zip", "--test", "test.tsv"]);
    let record = workspace.json("out/submission.csv.json");
    assert_eq!(record["how"], "logit");
    assert_eq!(record["command"][1], "ensemble");
    let run = |i: usize| (&record["runs"][i]["run"], &record["runs"][i]["weight"]);
    assert_eq!(run(0), (&"a".into(), &0.5.into()));
    assert_eq!(run(1), (&"b".into(), &0.5.into()));
    let manifest = workspace.json("out/manifest.json");
    assert_eq!(
        (&manifest["kind"], &manifest["state"]),
        (&"ensemble".into(), &"done".into())
    );
    // Positives -.5 and 1.5 lie above both negatives.
    assert_eq!(manifest["result"]["valid_auc"], 1.0);
}

#[test]
fn each_way_by_hand() {
    let workspace = two_runs();
    // Probabilities (s(1) + s(2)) / 2 = (.7310586 + .8807971) / 2 = .8059278, logit 1.4239..., and so on;
    // ranks of a 5/6 3/6 1/6, of b 5/6 1/6 3/6.
    let near = |text: String, expected: [f64; 3]| {
        for (line, expected) in text.lines().zip(expected) {
            let score: f64 = line.parse().expect("a number");
            assert!((score - expected).abs() < 1e-6, "{text}");
        }
    };
    workspace.succeed(&ensemble(&["--how", "mean"]));
    let s = |x: f64| 1.0 / (1.0 + (-x).exp());
    let logit = |p: f64| (p / (1.0 - p)).ln();
    let mean = |a: f64, b: f64| logit((s(a) + s(b)) / 2.0);
    near(
        workspace.text("out/submission.csv"),
        [mean(1.0, 2.0), mean(0.0, -0.5), mean(-1.0, 0.0)],
    );
    workspace.succeed(&["ensemble", "a", "b", "--how", "rank", "--out", "ranks"]);
    let ranks =
        |out: &str| workspace.json(&format!("{out}/manifest.json"))["ensemble"]["ranks"].clone();
    assert_eq!((ranks("out"), ranks("ranks")), (false.into(), true.into()));
    workspace.succeed(&["ensemble", "ranks", "b", "--how", "mean", "--out", "more"]);
    assert_eq!(ranks("more"), true);
    let third = logit(1.0 / 3.0);
    near(
        workspace.text("ranks/submission.csv"),
        [logit(5.0 / 6.0), third, third],
    );
}

#[test]
fn an_ensemble_has_no_model_to_predict_with() {
    let workspace = two_runs();
    workspace.succeed(&ensemble(&[]));
    let predict = ["predict", "out", "--pairs", "test.tsv", "--out", "p.csv"];
    assert_eq!(
        refusal(&workspace, &predict),
        "error: out is an ensemble, which has no model of its own\n\
         hint: name one of its runs: `ensemble.runs` in out/manifest.json lists them"
    );
}

#[test]
fn an_ensemble_is_a_run_of_another() {
    let workspace = two_runs();
    workspace.succeed(&ensemble(&[]));
    write_run(&workspace, "c", A, "3\n3\n3\n");
    workspace.succeed(&["ensemble", "out", "c", "--out", "more"]);
    assert_eq!(
        workspace.text("more/submission.csv"),
        "2.25000000\n1.37500000\n1.25000000\n"
    );
    let again = workspace.read("more/valid.csv");
    workspace.succeed(&["ensemble", "out", "c", "--out", "more"]);
    assert_eq!(workspace.read("more/valid.csv"), again);
}

/// 40 rows in two folds; `good` tells how much a score says of the label.
fn with_folds(good: f32, seed: u64) -> String {
    let key = cipherpet::random::Key::from_seed(seed);
    let row = |row: u64| {
        let label = row.is_multiple_of(3);
        let noise = (key.bits(row) % 1000) as f32 / 500.0 - 1.0;
        let score = noise + if label { good } else { -good };
        format!("{row},{},{score},{}\n", u8::from(label), 1 + row / 3 % 2)
    };
    let rows: String = (0..40).map(row).collect();
    format!("row,label,score,fold\n{rows}")
}

#[test]
fn weights_are_told_as_fitted_and_nested() {
    let workspace = workspace();
    write_run(&workspace, "a", &with_folds(0.4, 1), "1\n0\n-1\n");
    write_run(&workspace, "b", &with_folds(0.3, 2), "2\n-0.5\n0\n");
    write_run(&workspace, "noise", &with_folds(0.0, 3), "0\n5\n0\n");
    let weigh = [
        "ensemble", "a", "noise", "b", "--how", "weights", "--out", "out", "--json",
    ];
    let report: serde_json::Value =
        serde_json::from_str(&workspace.succeed(&weigh)).expect("one object");
    let method = |name: &str| report["methods"][name].as_f64().expect("both classes");
    let weight = |run: usize| report["runs"][run]["weight"].as_f64().expect("a number");
    assert!(
        (weight(0) + weight(1) + weight(2) - 1.0).abs() < 1e-12,
        "{report}"
    );
    assert!(method("weights") >= method("logit"), "{report}");
    assert!(method("weights") >= method("weights_nested"), "{report}");
    // What the folder shows is the nested figure, and its table has the nested scores.
    assert_eq!(report["auc"], report["methods"]["weights_nested"]);
    let manifest = workspace.json("out/manifest.json");
    assert_eq!(manifest["result"]["oof_auc"], report["auc"]);
    assert!(manifest["result"]["fold_auc_sd"].is_number());
    assert!(
        workspace
            .text("out/oof.csv")
            .starts_with("row,label,score,fold\n0,1,")
    );
    // The test rows have the weights of all rows.
    let first = workspace.text("out/submission.csv");
    let first: f64 = first
        .lines()
        .next()
        .expect("three")
        .parse()
        .expect("a number");
    assert!(
        (first - (weight(0) + 2.0 * weight(2))).abs() < 1e-6,
        "{report}"
    );
}

#[test]
fn real_runs_give_the_same_bytes_on_any_number_of_threads() {
    let workspace = Workspace::with_pairs();
    for (seed, run) in [("0", "a"), ("1", "b")] {
        let run = [
            "run",
            "experiment.toml",
            "--seed",
            seed,
            "--out",
            run,
            "--set",
            "train.epochs=1",
        ];
        workspace.succeed(&run);
    }
    for threads in ["1", "2"] {
        let weigh = [
            "ensemble",
            "a",
            "b",
            "--how",
            "weights",
            "--out",
            threads,
            "--threads",
            threads,
        ];
        workspace.succeed(&weigh);
    }
    for file in [
        "valid.csv",
        "submission.csv",
        "submission.zip",
        "config.toml",
    ] {
        let read = |threads: &str| workspace.read(&format!("{threads}/{file}"));
        assert!(read("1") == read("2"), "{file} differs");
    }
}

#[test]
fn runs_of_folds_keep_their_folds_where_they_have_them_in_common() {
    let workspace = Workspace::with_pairs();
    for (name, k, batch) in [("a", 2, 32), ("b", 2, 16), ("c", 3, 32)] {
        let (k, batch) = (format!("folds.k={k}"), format!("train.batch={batch}"));
        let run = [
            "run",
            "experiment.toml",
            "--out",
            name,
            "--set",
            "train.max_steps=3",
        ];
        workspace.succeed(&[&run[..], &["--set", &k, "--set", &batch]].concat());
    }
    workspace.succeed(&["ensemble", "a", "b", "--out", "same"]);
    let column = |file: &str, column: usize| -> Vec<String> {
        let text = workspace.text(file);
        let field = |line: &str| line.split(',').nth(column).expect("a column").to_owned();
        text.lines().map(field).collect()
    };
    assert_eq!(column("same/oof.csv", 3), column("a/oof.csv", 3));
    let result = &workspace.json("same/manifest.json")["result"];
    let figure = |name: &str| result[name].as_f64().expect("both classes");
    assert!(
        figure("oof_auc_low") < figure("oof_auc") && figure("oof_auc") < figure("oof_auc_high")
    );
    assert!(figure("fold_auc_sd") > 0.0);
    workspace.succeed(&["ensemble", "a", "c", "--how", "weights", "--out", "other"]);
    assert_eq!(column("other/valid.csv", 0), column("a/oof.csv", 0));
    workspace.succeed(&["check", "other/submission.csv", "--test", "test.tsv"]);

    // The run's own submission is the mean of its models, and so is what they predict.
    workspace.succeed(&["predict", "a", "--pairs", "test.tsv", "--out", "again.csv"]);
    assert_eq!(
        workspace.text("again.csv"),
        workspace.text("a/submission.csv")
    );
    let board: serde_json::Value =
        serde_json::from_str(&workspace.succeed(&["board", ".", "--json"])).expect("one object");
    let rows = board["runs"].as_array().expect("a list");
    let row = |name: &str| {
        let named = rows.iter().find(|row| row["run"] == format!("./{name}"));
        named.expect("on the board")
    };
    assert_eq!(
        (&row("a")["folds"], &row("a")["folds_done"]),
        (&2.into(), &2.into())
    );
    assert_eq!(
        row("a")["auc"],
        workspace.json("a/manifest.json")["result"]["oof_auc"]
    );
    assert!(row("a")["parameters"].is_number() && row("same")["parameters"].is_null());
}

#[test]
fn runs_without_a_test_file_make_an_ensemble_without_a_submission() {
    let workspace = two_runs();
    for run in ["a", "b"] {
        edit_manifest(&workspace, run, |manifest| {
            manifest["inputs"]
                .as_array_mut()
                .expect("a list")
                .truncate(1);
        });
    }
    let output = workspace.run(&ensemble(&[]));
    let last = "no submission, as the runs have no test file; ensemble: out\n";
    assert!(String::from_utf8_lossy(&output.stderr).ends_with(last));
    assert!(workspace.exists("out/valid.csv") && !workspace.exists("out/submission.csv"));
}

#[test]
fn a_run_that_is_not_done() {
    let workspace = two_runs();
    edit_manifest(&workspace, "b", |manifest| {
        manifest["state"] = "begun".into()
    });
    refused(
        &workspace,
        &[],
        "error: the run in b is not done\nhint: end it first: the same `cipherpet run` again",
    );
}

#[test]
fn a_folder_that_is_no_run() {
    let workspace = two_runs();
    std::fs::remove_file(workspace.path("b/manifest.json")).expect("the file");
    refused(
        &workspace,
        &[],
        "error: b is no run: it has no manifest.json\n\
         hint: name a folder that `cipherpet run` or `cipherpet ensemble` has made",
    );
    workspace.write("b/manifest.json", "{\n\"tool\": 3}");
    refused(
        &workspace,
        &[],
        "error: b/manifest.json:2: expected the manifest of a run, found invalid type: integer `3`, \
         expected a string at line 2 column 9\n\
         hint: put back the file that the run has written, or run it again in a new folder",
    );
}

/// They lie beside the runs once a preset with such a stage was used, so that `runs/*` names them.
#[test]
fn shared_stages_among_runs_are_passed_over() {
    let workspace = two_runs();
    let stage = workspace.path("stages/0123456789abcdef");
    std::fs::create_dir_all(stage).expect("a folder");
    let line = "stages is passed over: it holds stages that runs share\n";
    for arguments in [
        &["ensemble", "a", "b", "stages", "--out", "out"][..],
        &["report", "stages", "a", "b", "--out", "both.html"],
        &["report", "a", "stages"],
    ] {
        let output = workspace.run(arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        assert_eq!(said.matches(line).count(), 1, "{said}");
    }
    let blended = &workspace.json("out/manifest.json")["ensemble"]["runs"];
    assert_eq!(blended.as_array().map(Vec::len), Some(2));
    assert!(workspace.exists("both.html") && workspace.exists("a/report.html"));
    // Alone it is what it is.
    let alone = refusal(&workspace, &["report", "stages", "--out", "one.html"]);
    let expected = "error: stages is no run: it has no manifest.json\n";
    assert!(alone.starts_with(expected), "{alone}");
}

#[test]
fn a_run_named_twice() {
    refused(
        &two_runs(),
        &["./a"],
        "error: ./a is named twice\nhint: `--how weights` finds how much each run is worth",
    );
}

#[test]
fn runs_over_rows_of_different_files() {
    let workspace = two_runs();
    edit_manifest(&workspace, "b", |manifest| {
        manifest["inputs"][0]["sha256"] = "5eed".into()
    });
    refused(
        &workspace,
        &[],
        "error: runs over rows of different files make no ensemble: a has train.tsv, b has train.tsv\n\
         hint: files are compared by content; leave one of the runs out",
    );
    // With a validation file of their own, the rows are those of that file.
    for run in ["a", "b"] {
        edit_manifest(&workspace, run, |manifest| {
            let mut valid = manifest["inputs"][1].clone();
            valid["key"] = "data.valid".into();
            manifest["inputs"]
                .as_array_mut()
                .expect("a list")
                .push(valid);
        });
    }
    workspace.succeed(&ensemble(&[]));
}

#[test]
fn runs_over_different_test_files() {
    let workspace = two_runs();
    edit_manifest(&workspace, "b", |manifest| {
        manifest["inputs"][1]["sha256"] = "5eed".into();
        manifest["inputs"][1]["path"] = "/data/test_b.tsv".into();
    });
    refused(
        &workspace,
        &[],
        "error: runs over different test files make no ensemble: a has test.tsv, b has /data/test_b.tsv\n\
         hint: files are compared by content; leave one of the runs out",
    );
    edit_manifest(&workspace, "b", |manifest| {
        manifest["inputs"]
            .as_array_mut()
            .expect("a list")
            .truncate(1);
    });
    refused(
        &workspace,
        &[],
        "error: runs over different test files make no ensemble: a has test.tsv, b has none\n\
         hint: files are compared by content; leave one of the runs out",
    );
}

#[test]
fn runs_that_held_out_different_rows() {
    let hint = "hint: runs with the same [folds], or the same data.valid, have the same rows";
    for (table, reason) in [
        (
            "row,label,score\n0,1,1\n4,0,1\n5,1,1\n",
            "row 9 is held out in a only",
        ),
        (
            "row,label,score\n0,1,1\n5,1,1\n9,0,1\n",
            "row 4 is held out in a only",
        ),
        (
            "row,label,score\n0,1,1\n2,0,1\n4,1,1\n",
            "row 2 is held out in b only",
        ),
        (
            "row,label,score\n0,1,1\n4,0,1\n5,1,1\n9,0,1\n11,0,1\n",
            "row 11 is held out in b only",
        ),
        (
            "row,label,score\n0,1,1\n4,0,1\n5,0,1\n9,0,1\n",
            "row 5 has label 1 in a and 0 in b",
        ),
    ] {
        let workspace = two_runs();
        workspace.write("b/valid.csv", table);
        refused(
            &workspace,
            &[],
            &format!("error: a and b make no ensemble: {reason}\n{hint}"),
        );
    }
}

#[test]
fn scores_that_are_damaged_or_gone() {
    let workspace = two_runs();
    workspace.write("b/submission.csv", "1\n2\n");
    refused(
        &workspace,
        &[],
        "error: a has 3 test scores, b has 2\nhint: one of them is damaged: run it again in a new folder",
    );
    workspace.write("b/submission.csv", "1\nx\n2\n");
    refused(
        &workspace,
        &[],
        "error: b/submission.csv:2: expected a finite score, found `x`\n\
         hint: put back the file that the run has written, or run it again in a new folder",
    );
    std::fs::remove_file(workspace.path("b/submission.csv")).expect("the file");
    refused(
        &workspace,
        &[],
        "error: b has no test.csv and no submission.csv of plain scores\nhint: run it again in a new folder",
    );
    std::fs::remove_file(workspace.path("b/valid.csv")).expect("the file");
    refused(
        &workspace,
        &[],
        "error: b has neither oof.csv nor valid.csv\nhint: run it again in a new folder",
    );
}

#[test]
fn a_table_that_the_run_has_not_written() {
    for (table, content) in [
        (
            "valid.csv",
            "row,label,score\n0,1,-1\n4,0,2\n5,1,1\n9,0,0\n",
        ),
        ("submission.csv", "-1\n0\n1\n"),
    ] {
        let workspace = two_runs();
        let at = workspace.path(&format!("a/{table}"));
        let record = FileRecord::of("output", &at, Path::new(table)).expect("a file");
        edit_manifest(&workspace, "a", |manifest| {
            manifest["outputs"] = serde_json::json!([record]);
        });
        workspace.succeed(&["ensemble", "a", "b", "--out", "before"]);
        workspace.write(&format!("a/{table}"), content);
        refused(
            &workspace,
            &[],
            &format!(
                "error: a/{table} is not the file that the run has written\n\
                 hint: its hash in manifest.json differs; run it again in a new folder"
            ),
        );
    }
}

#[test]
fn weights_without_both_labels() {
    let workspace = workspace();
    for run in ["a", "b"] {
        write_run(
            &workspace,
            run,
            "row,label,score\n0,1,2\n4,1,1\n",
            "1\n0\n-1\n",
        );
    }
    refused(
        &workspace,
        &["--how", "weights"],
        "error: there are too few validation rows of both labels to choose weights by\nhint: use --how logit",
    );
    workspace.succeed(&ensemble(&["--how", "logit"]));
}

/// Makes a hand-made run one of other labels, with `test.csv` in the place of plain scores.
fn relabel(workspace: &Workspace, run: &str, task: &str, metric: &str, test: &str) {
    let task: serde_json::Value = serde_json::from_str(task).expect("JSON");
    let config = workspace.text(&format!("{run}/config.toml"));
    let labels = task["labels"].as_str().expect("a word");
    workspace.write(
        &format!("{run}/config.toml"),
        format!("{config}[task]\nlabels = \"{labels}\"\nmetric = \"{metric}\"\n"),
    );
    edit_manifest(workspace, run, |manifest| {
        manifest["task"] = task;
        manifest["result"]["metric"] = metric.into();
    });
    workspace.write(&format!("{run}/test.csv"), test);
}

const CLASSES: &str = r#"{"kind":"pair","labels":"classes","classes":["x","y, z","w"]}"#;

/// Two runs of three classes, which read the rows the other way round from each other.
fn two_runs_of_classes() -> Workspace {
    let workspace = workspace();
    let table = |scores: [&str; 3]| {
        let [x, y, w] = scores;
        format!(
            "row,label,score:x,\"score:y, z\",score:w\n0,x,{x}\n4,\"y, z\",{y}\n7,w,{w}\n9,w,{w}\n"
        )
    };
    let test = "row,score:x,\"score:y, z\",score:w\n0,1,2,3\n1,3,0,0\n2,0,0,0\n";
    for (run, scores) in [
        ("a", ["2,0,0", "0,2,0", "0,0,2"]),
        ("b", ["0,0,1", "1,0,0", "0,1,0"]),
    ] {
        write_run(&workspace, run, &table(scores), "x\nx\nx\n");
        relabel(&workspace, run, CLASSES, "log_loss", test);
    }
    workspace
}

#[test]
fn runs_of_classes_are_blended_by_their_own_metric() {
    let workspace = two_runs_of_classes();
    let weigh = ensemble(&["--how", "weights", "--json"]);
    let report: serde_json::Value =
        serde_json::from_str(&workspace.succeed(&weigh)).expect("one object");
    // Less is better: all weight is on the run that is right.
    assert_eq!(
        (&report["runs"][0]["weight"], &report["runs"][1]["weight"]),
        (&1.0.into(), &0.0.into())
    );
    assert_eq!(
        (&report["metric"], &report["auc"]),
        (&"log_loss".into(), &().into())
    );
    assert_eq!(report["score"], report["runs"][0]["score"]);
    let manifest = workspace.json("out/manifest.json");
    assert_eq!(manifest["task"]["classes"][1], "y, z");
    assert_eq!(
        (
            &manifest["result"]["metric"],
            &manifest["result"]["valid_score"]
        ),
        (&"log_loss".into(), &report["score"])
    );
    assert!(
        manifest["result"]["scores"]["accuracy"] == 1.0,
        "{manifest}"
    );
    assert_eq!(workspace.text("out/submission.csv"), "w\nx\nx\n");
    assert_eq!(
        workspace.text("out/valid.csv").lines().nth(2),
        Some("4,\"y, z\",0.00000000,2.00000000,0.00000000")
    );
    for how in ["mean", "rank", "logit"] {
        let shown = workspace.succeed(&["ensemble", "a", "out", "--how", how, "--out", how]);
        assert!(shown.starts_with("log loss  weight  run\n"), "{shown}");
    }
}

#[test]
fn several_labels_and_ordinals_make_ensembles() {
    let workspace = workspace();
    let task = r#"{"kind":"pair","labels":"multilabel","classes":["p","q"]}"#;
    for (run, q) in [("a", "1"), ("b", "-3")] {
        let table = format!(
            "row,label:p,label:q,score:p,score:q\n0,1,0,2,{q}\n4,0,1,-2,1\n5,1,1,1,{q}\n9,0,0,0,0\n"
        );
        write_run(&workspace, run, &table, "");
        let test = "row,score:p,score:q\n0,1,2\n1,-1,0\n2,0,0\n";
        relabel(&workspace, run, task, "mean_auc", test);
    }
    let shown = workspace.succeed(&ensemble(&["--how", "mean"]));
    assert!(shown.starts_with("mean AUC  weight  run\n"), "{shown}");
    let submission = workspace.text("out/submission.csv");
    assert_eq!(submission.lines().next(), Some("1.00000000 2.00000000"));

    let workspace = self::workspace();
    let task = r#"{"kind":"pair","labels":"ordinal","classes":[]}"#;
    for (run, first) in [("a", "4"), ("b", "1")] {
        let table = format!("row,label,score\n0,5,{first}\n4,2.5,1\n5,0,0\n9,1,0.5\n");
        write_run(&workspace, run, &table, &format!("{first}\n2\n0\n"));
        relabel(
            &workspace,
            run,
            task,
            "spearman",
            &format!("row,score\n0,{first}\n1,2\n2,0\n"),
        );
    }
    let shown = workspace.succeed(&ensemble(&["--how", "mean"]));
    assert!(shown.starts_with("Spearman  weight  run\n"), "{shown}");
    assert_eq!(
        workspace.text("out/submission.csv"),
        "2.50000000\n2.00000000\n0.00000000\n"
    );
}

#[test]
fn runs_of_different_tasks_or_metrics() {
    let hint = "hint: runs of one [task] make an ensemble; leave one of these out";
    let cases = [
        (
            "task/labels",
            "binary",
            "task.labels of a, `classes`, found `binary` in b",
        ),
        (
            "task/classes/2",
            "v",
            "classes of a, `x, y, z, w`, found `x, y, z, v` in b",
        ),
        (
            "result/metric",
            "accuracy",
            "task.metric of a, `log_loss`, found `accuracy` in b",
        ),
    ];
    for (place, value, reason) in cases {
        let workspace = two_runs_of_classes();
        edit_manifest(&workspace, "b", |manifest| {
            let there = manifest.pointer_mut(&format!("/{place}"));
            *there.expect("it is there") = value.into();
        });
        let expected = format!("error: a and b make no ensemble: expected the {reason}\n{hint}");
        refused(&workspace, &[], &expected);
    }
}

#[test]
fn a_setting_that_is_not_of_the_submission() {
    refused(
        &two_runs(),
        &["--set", "train.epochs=3"],
        "error: --set train.epochs=3: expected data.test or a key of [submit], found `train.epochs`\n\
         hint: nothing is trained here; other keys are those of the runs",
    );
}

#[test]
fn probabilities_of_scores_that_are_no_logits() {
    let workspace = two_runs();
    let config = workspace.text("a/config.toml") + "[objective]\nname = \"cosent\"\n";
    workspace.write("a/config.toml", config);
    let probability = ["--set", "submit.probability=true"];
    refused(
        &workspace,
        &probability,
        "error: submit.probability = true: the scores of `cosent` are no logits\n\
         hint: leave out what has learnt by `cosent`, or set submit.probability = false",
    );
    refused(
        &workspace,
        &[&probability[..], &["--how", "rank"]].concat(),
        "error: submit.probability = true asks for probabilities: ranks say an order alone\n\
         hint: take runs with objective.name = \"pet\" or \"ce\" in what comes last, or set submit.probability = false",
    );
    // Whichever run comes first, and a blend of such a run too.
    for (runs, out) in [
        (["b", "a"], "b-a"),
        (["a", "b"], "a-b"),
        (["b-a", "b"], "two"),
    ] {
        let blend = [&["ensemble"][..], &runs, &["--out", out]].concat();
        let error = refusal(&workspace, &[&blend[..], &probability].concat());
        assert!(
            error.contains("the scores of `cosent` are no logits"),
            "{error}"
        );
        workspace.succeed(&blend);
    }
}

/// Half of all rows have a mean rank above one half, however few are positive.
#[test]
fn ranks_are_no_probabilities() {
    let workspace = two_runs();
    let rank = ["--how", "rank"];
    let probability = ["--set", "submit.probability=true"];
    let refusal_of = |whose: &str, hint: &str| {
        format!(
            "error: submit.probability = true asks for probabilities: ranks say an order{whose} alone\n\
             hint: {hint}, or set submit.probability = false"
        )
    };
    let both = [&rank[..], &probability].concat();
    refused(&workspace, &both, &refusal_of("", "use --how mean"));
    // Nor is what is blended with them.
    workspace.succeed(&["ensemble", "a", "b", "--how", "rank", "--out", "ranks"]);
    let of_ranks = [
        "ensemble", "b", "ranks", "--how", "mean", "--out", "of-ranks",
    ];
    assert_eq!(
        refusal(&workspace, &[&of_ranks[..], &probability].concat()),
        refusal_of(
            ", as those of ranks",
            "blend the runs themselves with --how mean"
        )
    );
    // AUC reads the order alone: a sample has its numbers from 0 to 1, the mean ranks.
    workspace.write("sample.csv", "id,score\n0,0.5\n1,0.5\n2,0.5\n");
    let like = ["--set", "submit.like=sample.csv"];
    let with_sample = [&rank[..], &like].concat();
    let output = workspace.run(&ensemble(&with_sample));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let warning = "warning: submit.like asks for probabilities: ranks say an order alone, which is enough for AUC; \
                   for what reads more, use --how mean\n";
    assert!(said.contains(warning), "{said}");
    let submission = workspace.text("out/submission.csv");
    let numbers = submission
        .lines()
        .skip(1)
        .zip([5.0 / 6.0, 1.0 / 3.0, 1.0 / 3.0]);
    for (line, expected) in numbers {
        let (_, number) = line.split_once(',').expect("two columns");
        let number: f64 = number.parse().expect("a number");
        assert!((number - expected).abs() < 1e-6, "{submission}");
    }
    assert_eq!(submission.lines().count(), 4);
    std::fs::remove_dir_all(workspace.path("out")).expect("the folder");
    // Accuracy reads more.
    for run in ["a", "b"] {
        edit_manifest(&workspace, run, |manifest| {
            manifest["result"]["metric"] = "accuracy".into()
        });
    }
    let expected =
        "error: submit.like asks for probabilities: ranks say an order alone\nhint: use --how mean";
    refused(&workspace, &with_sample, expected);
    workspace.succeed(&ensemble(&[&["--how", "mean"][..], &like].concat()));
}

#[test]
fn ranks_of_classes_say_the_class_and_no_probability() {
    let workspace = two_runs_of_classes();
    let report: serde_json::Value =
        serde_json::from_str(&workspace.succeed(&ensemble(&["--how", "rank", "--json"])))
            .expect("one object");
    assert!(
        report["score"].is_null() && report["methods"]["rank"].is_null(),
        "{report}"
    );
    assert!(report["methods"]["mean"].is_number(), "{report}");
    assert_eq!(workspace.text("out/submission.csv").lines().count(), 3);
    let result = workspace.json("out/manifest.json")["result"].clone();
    assert!(
        result["valid_score"].is_null() && result["scores"]["log_loss"].is_null(),
        "{result}"
    );
    assert!(result["scores"]["accuracy"].is_number(), "{result}");
    // All classes of `b` are wrong.
    for (how, has_probabilities) in [("rank", false), ("mean", true)] {
        workspace.succeed(&["ensemble", "b", "--how", how, "--out", how]);
        workspace.succeed(&["report", how]);
        let page = workspace.text(&format!("{how}/report.html"));
        for of_probabilities in ["Validation log loss", "log-probability of the class"] {
            let is_there = page.contains(of_probabilities);
            assert_eq!(is_there, has_probabilities, "{how}: {of_probabilities}");
        }
        let is_there = page.contains("score less that of the one said");
        assert_eq!(is_there, !has_probabilities, "{how}");
    }
    // A blend with ranks says no more; what its other runs have alone is there.
    let of_ranks = [
        "ensemble", "b", "out", "--how", "mean", "--out", "of-ranks", "--json",
    ];
    let report: serde_json::Value =
        serde_json::from_str(&workspace.succeed(&of_ranks)).expect("one object");
    assert!(
        report["score"].is_null() && report["methods"]["mean"].is_null(),
        "{report}"
    );
    assert!(
        report["runs"][0]["score"].is_number() && report["runs"][1]["score"].is_null(),
        "{report}"
    );
    // A column a class is a column of probabilities.
    let sample = "id,x,\"y, z\",w\n0,0.2,0.3,0.5\n1,0.2,0.3,0.5\n2,0.2,0.3,0.5\n";
    workspace.write("sample.csv", sample);
    let like = ["ensemble", "a", "b", "--set", "submit.like=sample.csv"];
    let by = |how| [&like[..], &["--how", how, "--out", "columns"]].concat();
    assert_eq!(
        refusal(&workspace, &by("rank")),
        "error: submit.like asks for probabilities: ranks say an order alone\nhint: use --how mean"
    );
    workspace.succeed(&by("mean"));
}

#[test]
fn a_mean_of_scores_on_different_scales_is_warned_of() {
    let workspace = two_runs();
    let plain = workspace.text("a/config.toml");
    let by_cosent = plain.clone() + "[objective]\nname = \"cosent\"\n";
    workspace.write("a/config.toml", &by_cosent);
    let said = |runs: [&str; 2], how: &str, out: &str| {
        let output = workspace.run(&["ensemble", runs[0], runs[1], "--how", how, "--out", out]);
        assert!(output.status.success(), "{}", workspace.transcript(&output));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let mut lines = said.lines();
        let warning = lines.find(|line| line.starts_with("warning: "));
        warning.unwrap_or_default().to_owned()
    };
    let warning = |scales: &str| {
        format!(
            "warning: a mean of scores on different scales: {scales}; --how rank takes nothing but their order"
        )
    };
    let expected = warning("a has learnt by `cosent`, b has logits");
    for how in ["mean", "logit"] {
        assert_eq!(said(["a", "b"], how, how), expected, "{how}");
    }
    assert_eq!(said(["a", "b"], "rank", "ranks"), "");
    let expected = warning("b has logits, ranks is made of ranks");
    assert_eq!(said(["b", "ranks"], "mean", "of-ranks"), expected);
    workspace.write("b/config.toml", &by_cosent);
    assert_eq!(said(["a", "b"], "mean", "cosent"), "");
    for run in ["a", "b"] {
        workspace.write(&format!("{run}/config.toml"), &plain);
    }
    assert_eq!(said(["a", "b"], "mean", "logits"), "");
}

#[test]
fn a_test_file_that_is_gone_or_another() {
    let workspace = two_runs();
    std::fs::rename(workspace.path("test.tsv"), workspace.path("moved.tsv")).expect("the file");
    refused(
        &workspace,
        &["--set", "submit.format=csv"],
        "error: submit.format = \"csv\" needs the ids of the test file, and test.tsv is not there\n\
         hint: --set data.test=FILE says where it lies now",
    );
    workspace.write("test.tsv", "1\t2\n3\t4\n5\t7\n");
    refused(
        &workspace,
        &[],
        "error: test.tsv is not the test file of the runs: its content differs\n\
         hint: --set data.test=FILE says where it lies now",
    );
    workspace.succeed(&ensemble(&[
        "--set",
        "submit.format=csv",
        "--set",
        "data.test=moved.tsv",
    ]));
    assert!(
        workspace
            .text("out/submission.csv")
            .starts_with("id,score\n0,1.5")
    );
}

#[test]
fn plain_scores_need_no_test_file() {
    let workspace = two_runs();
    std::fs::remove_file(workspace.path("test.tsv")).expect("the file");
    workspace.succeed(&ensemble(&[]));
    assert_eq!(workspace.text("out/submission.csv").lines().count(), 3);
}

#[test]
fn a_folder_that_holds_something_else() {
    let workspace = two_runs();
    let into_a = ["ensemble", "a", "b", "--out", "a"];
    let before = workspace.read("a/manifest.json");
    assert_eq!(
        refusal(&workspace, &into_a),
        "error: a holds another run or ensemble\nhint: choose another folder with --out, or remove this one"
    );
    assert_eq!(workspace.read("a/manifest.json"), before);
    std::fs::create_dir(workspace.path("mine")).expect("a folder");
    workspace.write("mine/thesis.tex", "years of work");
    assert_eq!(
        refusal(&workspace, &["ensemble", "a", "b", "--out", "mine"]),
        "error: mine is not empty and is no run of cipherpet\nhint: choose another folder with --out"
    );
    assert_eq!(workspace.names("mine"), ["thesis.tex"]);
}

#[test]
fn a_fold_of_any_number_is_counted_once_and_not_up_to() {
    let workspace = workspace();
    let table = "row,label,score,fold\n0,1,2,1\n1,0,-1,1000000000000000000\n";
    write_run(&workspace, "a", table, "1\n0\n-1\n");
    workspace.succeed(&["ensemble", "a", "--out", "blend"]);
    assert_eq!(
        workspace.json("blend/manifest.json")["result"]["oof_auc"],
        1.0
    );
    workspace.succeed(&["report", "a"]);
}
