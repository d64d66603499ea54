//! `cipherpet ensemble`.

use std::path::Path;

use cipherpet::workbench::run_folder::manifest::FileRecord;

use crate::hand_made::{edit_manifest, refusal, workspace, write_run};
use crate::workspace::Workspace;

const A: &str = "row,label,score\n0,1,2\n4,0,1\n5,1,-1\n9,0,-2\n";
const B: &str = "row,label,score\n0,1,-3\n4,0,-4\n5,1,4\n9,0,0\n";

/// `a` and `b`, over the same rows.
pub fn two_runs() -> Workspace {
    let workspace = workspace();
    write_run(&workspace, "a", A, "1\n0\n-1\n");
    write_run(&workspace, "b", B, "2\n-0.5\n0\n");
    workspace
}

pub fn ensemble(more: &[&str]) -> Vec<&'static str> {
    let fixed = ["ensemble", "a", "b", "--out", "out"];
    let more = more
        .iter()
        .map(|&text| -> &'static str { Box::leak(text.to_owned().into_boxed_str()) });
    fixed.into_iter().chain(more).collect()
}

pub fn refused(workspace: &Workspace, more: &[&str], expected: &str) {
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
