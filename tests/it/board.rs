//! `cipherpet board` and `cipherpet score`.

use crate::hand_made::{edit_manifest, refusal, workspace, write_run};
use crate::workspace::Workspace;

const TABLE: &str = "row,label,score\n0,1,2\n4,0,1\n";

/// Under `runs`: a single split, folds that are done, folds under way, a run that has just begun, and two folders
/// that are none.
fn runs() -> Workspace {
    let workspace = workspace();
    std::fs::create_dir_all(workspace.path("runs/empty")).expect("a folder");
    write_run(&workspace, "runs/single", TABLE, "1\n0\n-1\n");
    let folds = "row,label,score,fold\n0,1,2,1\n4,0,1,2\n";
    for run in ["runs/five/a|b", "runs/five/half", "runs/new"] {
        write_run(&workspace, run, folds, "1\n0\n-1\n");
        let config = workspace.text(&format!("{run}/config.toml"));
        workspace.write(&format!("{run}/config.toml"), config + "[folds]\nk = 2\n");
        edit_manifest(&workspace, run, |manifest| {
            manifest["state"] = "begun".into();
            manifest["result"] = serde_json::Value::Null;
        });
    }
    edit_manifest(&workspace, "runs/five/a|b", |manifest| {
        manifest["state"] = "done".into();
        manifest["result"] = serde_json::json!({
            "oof_auc": 0.875, "fold_auc_mean": 0.86, "fold_auc_sd": 0.0125, "seconds": 600,
            "tokens_per_second": 5000.4, "folds": [{"fold": 1}],
        });
    });
    for (run, fold, auc) in [("a|b", 1, 0.87), ("a|b", 2, 0.85), ("half", 1, 0.8)] {
        let folder = format!("runs/five/{run}/fold-{fold}");
        std::fs::create_dir_all(workspace.path(&folder)).expect("a folder");
        let done =
            serde_json::json!({"valid_auc": auc, "seconds": 30.0, "tokens_per_second": 4000.0});
        workspace.write(&format!("{folder}/DONE"), done.to_string());
    }
    std::fs::create_dir_all(workspace.path("runs/damaged")).expect("a folder");
    workspace.write("runs/damaged/manifest.json", "{");
    workspace
}

#[test]
fn runs_stand_best_first_in_every_form() {
    let workspace = runs();
    workspace.succeed(&["score", "runs/single", "0.7", "--note", "test A"]);
    workspace.succeed(&["score", "runs/single", "0.7125", "--note", "test B"]);
    insta::assert_snapshot!("board", workspace.snapshot(&["board"]));
    insta::assert_snapshot!(
        "board_md",
        workspace.snapshot(&["board", "--md", "--quiet"])
    );
    insta::assert_snapshot!(
        "board_csv",
        workspace.snapshot(&["board", "runs", "--csv", "--quiet"])
    );
    let board: serde_json::Value =
        serde_json::from_str(&workspace.succeed(&["board", "--json", "--quiet"]))
            .expect("one object");
    let names: Vec<_> = board["runs"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|run| &run["run"])
        .collect();
    assert_eq!(
        names,
        ["runs/five/a|b", "runs/five/half", "runs/single", "runs/new"]
    );
    assert_eq!(board["runs"][1]["fold_auc_mean"], 0.8);
    assert_eq!(board["runs"][1]["folds_done"], 1);
    assert_eq!(board["runs"][2]["public_score"], 0.7125);
    assert_eq!(board["skipped"][0]["run"], "runs/damaged");
}

/// What is minimised goes the other way, and no figure of one metric is compared with one of another.
#[test]
fn runs_of_one_metric_stand_together_in_its_direction() {
    let workspace = workspace();
    let runs = [
        ("runs/a", "log_loss", Some(0.5)),
        ("runs/b", "auc", Some(0.6)),
        ("runs/c", "log_loss", Some(0.25)),
        ("runs/d", "log_loss", None),
        ("runs/e", "auc", Some(0.9)),
    ];
    for (run, metric, score) in runs {
        write_run(&workspace, run, TABLE, "1\n0\n-1\n");
        let config = workspace.text(&format!("{run}/config.toml"));
        let more = format!(
            "[task]\nmetric = \"{metric}\"\n[objective]\nname = \"ce\"\n[train]\nepochs = 3\n"
        );
        workspace.write(&format!("{run}/config.toml"), config + &more);
        edit_manifest(&workspace, run, |manifest| {
            manifest["result"] = match score {
                Some(score) => serde_json::json!({"metric": metric, "valid_score": score}),
                None => serde_json::Value::Null,
            };
        });
    }
    let config = workspace.text("runs/c/config.toml");
    let stages = "[[stage]]\nname = \"first\"\n[[stage]]\nname = \"last\"\n";
    workspace.write("runs/c/config.toml", config + stages);
    let board: serde_json::Value =
        serde_json::from_str(&workspace.succeed(&["board", "--json"])).expect("one object");
    let column = |key: &str| -> Vec<serde_json::Value> {
        let rows = board["runs"].as_array().expect("a list");
        rows.iter().map(|row| row[key].clone()).collect()
    };
    assert_eq!(
        column("run"),
        ["runs/e", "runs/b", "runs/c", "runs/a", "runs/d"]
    );
    assert_eq!(
        column("metric"),
        ["auc", "auc", "log_loss", "log_loss", "log_loss"]
    );
    assert_eq!(column("score")[2], 0.25);
    assert_eq!(
        (&column("objective")[0], &column("stages")[0]),
        (&"ce".into(), &().into())
    );
    assert_eq!(column("stages")[2], "first → last");
    let shown = workspace.succeed(&["board"]);
    let line = shown
        .lines()
        .find(|line| line.contains("runs/c"))
        .expect("a line");
    assert!(line.contains("log loss   0.25000"), "{line}");
    assert!(line.contains("stages = first last"), "{line}");
}

#[test]
fn a_real_run_shows_its_parameters() {
    let workspace = Workspace::with_pairs();
    let output = workspace.run(&[
        "run",
        "experiment.toml",
        "--out",
        "runs/a",
        "--set",
        "train.max_steps=1",
    ]);
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    let board: serde_json::Value =
        serde_json::from_str(&workspace.succeed(&["board", "--json"])).expect("one object");
    let row = &board["runs"][0];
    let millions = row["parameters"].as_u64().expect("a model") as f64 / 1e6;
    assert!(
        log.contains(&format!(", {millions:.1} million parameters")),
        "{log} {row}"
    );
    let kernels = workspace.json("runs/a/manifest.json")["kernel_path"].to_string();
    let precision = row["precision"].as_str().expect("text");
    assert!(kernels.starts_with(&format!("\"{precision} ")), "{kernels}");
    assert!(matches!(precision, "f32" | "bf16"), "{precision}");
    let config = workspace.json("runs/a/manifest.json")["config_sha256"].to_string();
    assert!(config.contains(row["config"].as_str().expect("text")));
    // A run folder itself is a board of one.
    let alone = workspace.succeed(&["board", "runs/a", "--json"]);
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&alone).expect("one object"),
        board
    );
}

#[test]
fn no_folder_and_no_runs() {
    let workspace = Workspace::empty();
    assert_eq!(
        refusal(&workspace, &["board"]),
        "error: there is no folder runs\n\
         hint: `cipherpet run` makes runs in `runs`; `cipherpet board DIR` looks into another folder"
    );
    std::fs::create_dir(workspace.path("runs")).expect("a folder");
    let output = workspace.run(&["board", "--csv"]);
    assert!(output.status.success());
    assert_eq!(String::from_utf8_lossy(&output.stderr), "no runs in runs\n");
}

#[test]
fn every_public_score_is_kept_with_its_day() {
    let workspace = runs();
    let noted = workspace.succeed(&["score", "runs/single", "-0.5", "--json"]);
    workspace.succeed(&["score", "runs/single", "0.9137", "--note", "test \"A\""]);
    let text = workspace.text("runs/single/public_scores.jsonl");
    let lines: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&noted).expect("one object"),
        lines[0]
    );
    assert_eq!(
        (&lines[0]["score"], &lines[0]["note"]),
        (&(-0.5).into(), &serde_json::Value::Null)
    );
    assert_eq!(lines[1]["note"], "test \"A\"");
    let date = lines[1]["date"].as_str().expect("text");
    assert!(
        date.len() == 20 && date.starts_with("20") && date.ends_with('Z'),
        "{date}"
    );
}

#[test]
fn scores_that_cannot_be_noted() {
    let workspace = runs();
    assert_eq!(
        refusal(&workspace, &["score", "runs/single", "nan"]),
        "error: a public score is a finite number, not NaN"
    );
    assert_eq!(
        refusal(&workspace, &["score", "runs/empty", "0.9"]),
        "error: runs/empty is no run: it has no manifest.json\n\
         hint: name a folder that `cipherpet run` or `cipherpet ensemble` has made"
    );
    assert!(!workspace.exists("runs/single/public_scores.jsonl"));
    workspace.write("runs/single/public_scores.jsonl", "0.9\n");
    let message = refusal(&workspace, &["score", "runs/single", "0.9"]);
    let expected =
        "error: runs/single/public_scores.jsonl:1: expected a public score, found invalid type";
    assert!(message.starts_with(expected), "{message}");
    assert_eq!(workspace.text("runs/single/public_scores.jsonl"), "0.9\n");
    // The board leaves the run out and says why.
    let shown = workspace.snapshot(&["board"]);
    assert!(
        shown.contains("left out runs/single: runs/single/public_scores.jsonl:1: "),
        "{shown}"
    );
}

#[test]
fn scores_that_are_noted_at_once_are_all_kept() {
    let workspace = runs();
    let score = |n: u32| {
        let arguments = ["score", "runs/single", &n.to_string(), "--threads=1"];
        let mut command = workspace.command(&arguments);
        command.stdout(std::process::Stdio::null());
        command.spawn().expect("it starts")
    };
    let processes: Vec<_> = (0..30).map(score).collect();
    for mut process in processes {
        assert!(process.wait().expect("it ends").success());
    }
    let text = workspace.text("runs/single/public_scores.jsonl");
    let noted = text.lines().map(|line| {
        let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
        line["score"].as_f64().expect("a number")
    });
    let mut noted: Vec<f64> = noted.collect();
    noted.sort_by(f64::total_cmp);
    assert_eq!(noted, (0..30).map(f64::from).collect::<Vec<_>>());
}

#[test]
fn the_minutes_of_a_shared_stage_stand_beside_those_of_the_run() {
    let workspace = runs();
    let cost = serde_json::json!({"seconds": 1200.0, "steps": 40, "epochs": 2, "tokens_per_second": 900.0});
    edit_manifest(&workspace, "runs/single", |manifest| {
        manifest["result"]["shared_stage"] = cost.clone();
    });
    let done = "runs/five/half/fold-1/DONE";
    let mut fold = workspace.json(done);
    fold["shared_stage"] = cost.clone();
    workspace.write(done, fold.to_string());
    let table = workspace.succeed(&["board", "--quiet"]);
    for minutes in ["1.5 + 20.0 shared", "0.5 + 20.0 shared"] {
        assert!(table.contains(minutes), "{minutes}: {table}");
    }
    let board = workspace.succeed(&["board", "--json", "--quiet"]);
    let board: serde_json::Value = serde_json::from_str(&board).expect("one object");
    assert_eq!(board["runs"][2]["minutes"], 1.5);
    assert_eq!(board["runs"][2]["shared_minutes"], 20.0);
    assert!(board["runs"][0]["shared_minutes"].is_null());
}
