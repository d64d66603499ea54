//! `[submit]`: the form of a submission, from the run to the check.

use crate::hand_made::refusal;
use crate::process::Running;
use crate::workspace::Workspace;

const RUN: [&str; 6] = [
    "run",
    "experiment.toml",
    "--out",
    "out",
    "--set",
    "train.max_steps=2",
];

const PREDICT: [&str; 6] = [
    "predict",
    "out",
    "--pairs",
    "test.tsv",
    "--out",
    "again.csv",
];

#[test]
fn probabilities_under_a_header_come_from_the_same_scores() {
    let workspace = Workspace::with_pairs();
    workspace.succeed(&RUN);
    assert!(workspace.text("out/test.csv").starts_with("row,score\n0,"));
    let plain = workspace.text("out/submission.csv");
    let forms = [
        "--set",
        "submit.format=csv",
        "--set",
        "submit.probability=true",
    ];
    let output = workspace.run(&[&["ensemble", "out", "--out", "csv"][..], &forms].concat());
    assert!(output.status.success(), "{}", workspace.transcript(&output));
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        stderr.contains("has no column `id`, so the ids are row numbers from 0"),
        "{stderr}"
    );
    let csv = workspace.text("csv/submission.csv");
    let mut lines = csv.lines();
    assert_eq!(lines.next(), Some("id,score"));
    for (row, (line, score)) in lines.zip(plain.lines()).enumerate() {
        let (id, probability) = line.split_once(',').expect("two columns");
        let (probability, score): (f64, f64) = (
            probability.parse().expect("a number"),
            score.parse().expect("a number"),
        );
        assert_eq!(id, row.to_string());
        assert!(
            (probability - 1.0 / (1.0 + (-score).exp())).abs() < 1e-7,
            "{line} {score}"
        );
    }
    assert_eq!(csv.lines().count(), 41);

    // The check knows the form from the folder's config, and elsewhere refuses it as plain.
    workspace.succeed(&["check", "csv/submission.zip", "--test", "test.tsv"]);
    workspace.write("s.zip", workspace.read("csv/submission.zip"));
    let check = ["check", "s.zip", "--test", "test.tsv"];
    workspace.succeed(&[&check[..], &["--experiment", "csv/config.toml"]].concat());
    assert_eq!(
        refusal(&workspace, &check),
        "error: s.zip:1: expected one number and nothing else, found `id,score`\n\
         hint: a plain submission has no header; submit.format = \"csv\" has one; \
         --experiment RUN/config.toml knows the classes and the labels of a run"
    );
    // The plain scores stay beside, so that an ensemble of it is none of probabilities.
    assert!(workspace.text("csv/test.csv").starts_with("row,score\n0,"));
    workspace.succeed(&[
        "ensemble",
        "csv",
        "--out",
        "back",
        "--set",
        "submit.format=plain",
        "--set",
        "submit.probability=false",
    ]);
    assert_eq!(workspace.text("back/submission.csv"), plain);
}

#[test]
fn a_run_writes_the_form_it_is_asked_for_and_predict_does_too() {
    let workspace = Workspace::with_pairs();
    let forms = [
        "--set",
        "submit.format=csv",
        "--set",
        "submit.id_column=row",
        "--set",
        "submit.score_column=p",
        "--set",
        "submit.probability=true",
    ];
    workspace.succeed(&[&RUN[..], &forms].concat());
    let csv = workspace.text("out/submission.csv");
    assert!(csv.starts_with("row,p\n0,0."), "{csv}");
    assert!(workspace.exists("out/test.csv"));
    workspace.succeed(&PREDICT);
    assert_eq!(workspace.text("again.csv"), csv);
    let record = workspace.json("again.csv.json");
    assert_eq!(
        (&record["how"], &record["runs"][0]["run"]),
        (&"predict".into(), &"out".into())
    );
    workspace.succeed(&[
        "predict",
        "out",
        "--pairs",
        "test.tsv",
        "--out",
        "/dev/null",
    ]);
}

/// What training leaves.
const OF_TRAINING: [&str; 3] = ["model/model.safetensors", "metrics.jsonl", "mapping.tsv"];

/// Runs, and expects that the run was found, trained nothing, and wrote its submission anew.
fn rewritten(workspace: &Workspace, arguments: &[&str]) -> serde_json::Value {
    let output = workspace.run(&[arguments, &["--json"]].concat());
    assert!(output.status.success(), "{}", workspace.transcript(&output));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(
        (&report["found_done"], &report["rewritten"]),
        (&true.into(), &true.into())
    );
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(!stderr.contains("epoch 1"), "{stderr}");
    report
}

#[test]
fn another_form_is_written_from_stored_scores_without_training() {
    let workspace = Workspace::with_pairs();
    let summary = workspace.succeed(&RUN);
    assert!(
        summary.contains("\nreport       out/report.html\n"),
        "{summary}"
    );
    let trained = OF_TRAINING.map(|name| workspace.read(&format!("out/{name}")));
    let plain = workspace.text("out/submission.csv");
    let forms = [
        "--set",
        "submit.format=csv",
        "--set",
        "submit.probability=true",
    ];
    let other = [&RUN[..], &forms].concat();
    rewritten(&workspace, &other);
    assert_eq!(
        trained,
        OF_TRAINING.map(|name| workspace.read(&format!("out/{name}")))
    );
    // As if it had been asked for at once, and told in every record.
    workspace.succeed(
        &[
            &["run", "experiment.toml", "--out", "fresh"],
            &RUN[4..],
            &forms,
        ]
        .concat(),
    );
    for name in [
        "submission.csv",
        "submission.zip",
        "test.csv",
        "config.toml",
    ] {
        let (ours, fresh) = (format!("out/{name}"), format!("fresh/{name}"));
        assert_eq!(workspace.read(&ours), workspace.read(&fresh), "{name}");
    }
    let manifests = ["out", "fresh"].map(|run| workspace.json(&format!("{run}/manifest.json")));
    for key in ["config_sha256", "submit_sha256", "state", "predict"] {
        assert_eq!(manifests[0][key], manifests[1][key], "{key}");
    }
    assert_eq!(manifests[0]["result"]["steps"], 2);
    assert!(
        workspace
            .text("out/run.log")
            .contains("written anew, from stored scores")
    );
    // Found as it is now, and back again.
    let again: serde_json::Value =
        serde_json::from_str(&workspace.succeed(&[&other[..], &["--json"]].concat()))
            .expect("JSON");
    assert_eq!(
        (&again["found_done"], &again["rewritten"]),
        (&true.into(), &false.into())
    );
    rewritten(&workspace, &RUN);
    assert_eq!(workspace.text("out/submission.csv"), plain);
    workspace.succeed(&PREDICT);
    assert_eq!(workspace.text("again.csv"), plain);
}

#[test]
fn another_sample_is_another_form_of_the_same_run() {
    let workspace = Workspace::with_pairs();
    let header = |name: &str| {
        (0..40)
            .rev()
            .map(|row| format!("{row},0.5\n"))
            .fold(format!("key,{name}\n"), |text, line| text + &line)
    };
    workspace.write("sample.csv", header("p"));
    let run = [
        "run",
        "experiment.toml",
        "--set",
        "train.max_steps=2",
        "--set",
        "submit.like=sample.csv",
    ];
    workspace.succeed(&run);
    let [folder] = &workspace.names("runs")[..] else {
        panic!("one run")
    };
    let submission = format!("runs/{folder}/submission.csv");
    assert!(workspace.text(&submission).starts_with("key,p\n39,0."));
    workspace.write("sample.csv", header("q"));
    rewritten(&workspace, &run);
    assert!(workspace.text(&submission).starts_with("key,q\n39,0."));
    // A form that is refused is not said to be written.
    workspace.write("sample.csv", "key,p\n0,0.5\n");
    let refused = workspace.run(&run);
    let stderr = String::from_utf8_lossy(&refused.stderr);
    assert!(
        !refused.status.success() && !stderr.contains("written anew"),
        "{stderr}"
    );
    rewritten(&workspace, &run[..4]);
    assert_eq!(workspace.names("runs").len(), 1);
    assert_eq!(workspace.text(&submission).lines().count(), 40);
}

#[cfg(unix)]
#[test]
fn the_test_file_behind_a_link_is_the_test_file() {
    let workspace = Workspace::with_pairs();
    std::fs::create_dir(workspace.path("real")).expect("room");
    workspace.write("real/test.tsv", workspace.read("test.tsv"));
    std::os::unix::fs::symlink("real", workspace.path("link")).expect("a link");
    let rows: String = (0..40).rev().map(|row| format!("{row},0.5\n")).collect();
    workspace.write("sample.csv", format!("key,p\n{rows}"));
    let linked = [
        "--set=data.test=link/test.tsv",
        "--set=submit.like=sample.csv",
    ];
    workspace.succeed(&[&RUN[..], &linked].concat());
    let submission = workspace.text("out/submission.csv");
    assert!(submission.starts_with("key,p\n39,0."), "{submission}");
    for pairs in ["link/test.tsv", "real/test.tsv"] {
        workspace.succeed(&["predict", "out", "--pairs", pairs, "--out", "again.csv"]);
        assert_eq!(workspace.text("again.csv"), submission, "{pairs}");
    }
}

#[test]
fn another_way_to_score_asks_the_models_that_are_there() {
    let workspace = Workspace::with_pairs();
    let folds = ["--set", "folds.k=2", "--set", "folds.full=true"];
    for more in [&[][..], &folds] {
        let run = [&RUN[..], more].concat();
        workspace.succeed(&run);
        let tables: &[&str] = match more {
            [] => &["valid.csv", "submission.csv"],
            _ => &[
                "oof.csv",
                "submission.csv",
                "fold-2/valid.csv",
                "fold-1/test.csv",
                "full/test.csv",
            ],
        };
        let read = || {
            tables
                .iter()
                .map(|name| workspace.text(&format!("out/{name}")))
                .collect::<Vec<_>>()
        };
        let manifest = || workspace.json("out/manifest.json");
        let (before, result) = (read(), manifest()["result"].clone());
        let once = [&run[..], &["--set", "predict.swap=false"]].concat();
        rewritten(&workspace, &once);
        let after = read();
        assert!(before.iter().zip(&after).all(|(a, b)| a != b), "{tables:?}");
        assert_eq!(manifest()["predict"]["swap"], false);
        assert_ne!(manifest()["result"]["scores"], result["scores"]);
        workspace.succeed(&PREDICT);
        assert_eq!(
            workspace.text("again.csv"),
            workspace.text("out/submission.csv")
        );
        rewritten(&workspace, &run);
        assert_eq!(read(), before);
        assert_eq!(manifest()["result"]["scores"], result["scores"]);
        std::fs::remove_dir_all(workspace.path("out")).expect("the run");
    }
}

#[test]
fn a_rewrite_that_was_cut_is_mended_and_until_then_no_result() {
    let workspace = Workspace::with_pairs();
    let run = [&RUN[..], &["--set", "folds.k=2"]].concat();
    workspace.succeed(&run);
    let names = [
        "submission.csv",
        "oof.csv",
        "fold-1/valid.csv",
        "fold-1/DONE",
    ];
    let read = || names.map(|name| workspace.read(&format!("out/{name}")));
    let before = read();
    let text = workspace.text("out/manifest.json");
    let text = text.replacen("\"state\": \"done\"", "\"state\": \"reopened\"", 1);
    let predict = text.find("\"predict\": {").expect("the key");
    let end = predict + text[predict..].find('}').expect("its end") + 1;
    let cut = format!("{}\"predict\": null{}", &text[..predict], &text[end..]);
    workspace.write("out/manifest.json", cut);
    workspace.write("out/submission.csv", "half");
    workspace.write("out/fold-1/valid.csv", "half");
    let blend = ["ensemble", "out", "--out", "blend"];
    assert!(refusal(&workspace, &blend).starts_with("error: the run in out is not done\n"));
    let one = [&run[..], &["--fold", "1"]].concat();
    assert!(refusal(&workspace, &one).contains("hint: leave --fold out"));
    rewritten(&workspace, &run);
    assert_eq!(read(), before);
}

/// A table with a header and ids, 40 rows.
fn write_table(workspace: &Workspace, header: &str) {
    let pairs = workspace.text("test.tsv");
    let line = |(row, line): (usize, &str)| format!("q{row}\t{line}\n");
    let rows: String = pairs.lines().enumerate().map(line).collect();
    workspace.write("test.tsv", format!("{header}\n{rows}"));
    let pairs = workspace.text("train.tsv");
    let rows: String = pairs.lines().enumerate().map(line).collect();
    workspace.write("train.tsv", format!("{header}\tlabel\n{rows}"));
}

#[test]
fn ids_of_the_test_file_are_in_the_submission_and_a_misspelt_column_is_refused_before_training() {
    let workspace = Workspace::with_pairs();
    write_table(&workspace, "qid\ta\tb");
    let columns = ["header=true", "text_a=a", "text_b=b", "label=label"];
    let columns = columns.map(|assignment| format!("--set=data.{assignment}"));
    let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
    let run = [&RUN[..], &columns].concat();
    let misspelt = [&run[..], &["--quiet", "--set", "submit.id_column=q_id"]].concat();
    assert_eq!(
        refusal(&workspace, &misspelt),
        "error: test.tsv:1: expected a column `q_id`, as submit.id_column says, found the columns `qid`, `a`, `b`\n\
         hint: did you mean `qid`?"
    );
    assert!(!workspace.exists("out"));
    workspace.succeed(&run);
    let text = workspace.text("out/submission.csv");
    assert!(text.starts_with("qid,score\nq0,"), "{text}");
    workspace.succeed(&[
        "check",
        "out/submission.csv",
        "--test",
        "test.tsv",
        "--experiment",
        "out/config.toml",
    ]);
    workspace.succeed(&PREDICT);
    assert_eq!(workspace.text("again.csv"), text);
    // Asked for in words, they are plain scores; and the stored ones are the same.
    rewritten(
        &workspace,
        &[&run[..], &["--set", "submit.format=plain"]].concat(),
    );
    let scores = text
        .lines()
        .skip(1)
        .map(|line| line.split_once(',').expect("two columns").1);
    assert!(workspace.text("out/submission.csv").lines().eq(scores));
}

/// The rows of a table without a header, between commas, under `header`, with the ids that `id` makes of their numbers.
fn with_ids(table: &str, header: &str, id: impl Fn(usize) -> usize) -> String {
    let line = |(row, line): (usize, &str)| format!("{},{}\n", id(row), line.replace('\t', ","));
    let rows: String = table.lines().enumerate().map(line).collect();
    format!("{header}\n{rows}")
}

#[test]
fn a_sample_of_other_column_names_is_written_by_the_ids_of_the_rows() {
    let workspace = Workspace::with_pairs();
    let (train, test) = (workspace.text("train.tsv"), workspace.text("test.tsv"));
    workspace.write("train.csv", with_ids(&train, "id,a,b,label", |row| row));
    // 7 has no divisor in common with 40: every id once, and few where they would be row numbers.
    let shuffled = |row| (7 * row + 3) % 40;
    workspace.write("test.csv", with_ids(&test, "id,a,b", shuffled));
    workspace.write("other.csv", with_ids(&test, "id,a,b", |row| 900 + row));
    let rows: String = (0..40).map(|id| format!("{id},0.5\n")).collect();
    workspace.write("sample.csv", format!("test_id,prob\n{rows}"));
    let run = [
        &RUN[..],
        &[
            "--set=data.train=[\"train.csv\"]",
            "--set=data.test=test.csv",
            "--set=data.delimiter=,",
            "--set=data.header=true",
            "--set=data.text_a=a",
            "--set=data.text_b=b",
            "--set=data.label=label",
        ],
    ]
    .concat();
    workspace.succeed(&run);
    let column = |file: &str| -> std::collections::BTreeMap<usize, f64> {
        let text = workspace.text(file);
        let lines = text.lines().skip(1);
        let fields = lines.map(|line| line.split_once(',').expect("two columns"));
        let read = fields.map(|(id, x)| (id.parse().expect("an id"), x.parse().expect("a number")));
        read.collect()
    };
    let scores = column("out/submission.csv");
    let like = [&run[..], &["--set=submit.like=sample.csv"]].concat();
    rewritten(&workspace, &like);
    let text = workspace.text("out/submission.csv");
    assert!(text.starts_with("test_id,prob\n0,0."), "{text}");
    let same = |probability: f64, score: f64| {
        let expected = 1.0 / (1.0 + (-score).exp());
        assert!(
            (probability - expected).abs() < 1e-6,
            "{probability} {score}"
        );
    };
    for (id, probability) in column("out/submission.csv") {
        same(probability, scores[&id]);
    }
    let log = workspace.text("out/run.log");
    assert!(
        log.contains("sample.csv (`test_id`) are those of column `id` of "),
        "{log}"
    );
    // The column may be named, as a starter does.
    rewritten(
        &workspace,
        &[&like[..], &["--set=submit.id_column=id"]].concat(),
    );
    assert_eq!(workspace.text("out/submission.csv"), text);

    // The same texts under other ids, in the form of the sample.
    let output = workspace.run(&["predict", "out", "--pairs=other.csv", "--out=other.out"]);
    assert!(output.status.success(), "{}", workspace.transcript(&output));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("sample.csv is the sample for another file: header and columns are as there, and the ids are those of column `id` of other.csv"),
        "{said}"
    );
    let other = workspace.text("other.out");
    assert!(other.starts_with("test_id,prob\n900,0."), "{other}");
    for (id, probability) in column("other.out") {
        same(probability, scores[&shuffled(id - 900)]);
    }
    let record = workspace.json("other.out.json");
    assert!(record["like_sha256"].is_string(), "{record}");
    let config = ["--experiment", "out/config.toml"];
    let check = |file, test| [&["check", file, "--test", test][..], &config].concat();
    workspace.succeed(&check("other.out", "other.csv"));
    workspace.succeed(&check("out/submission.csv", "test.csv"));
    // Neither is fit for the rows of the other.
    let said = refusal(&workspace, &check("out/submission.csv", "other.csv"));
    assert!(
        said.contains(":test_id: expected `900`, the id of row 0 (from 0)"),
        "{said}"
    );
    let said = refusal(&workspace, &check("other.out", "test.csv"));
    assert!(
        said.contains("expected `0`, the id of row 0 (from 0) of the sample"),
        "{said}"
    );
    // Where the sample has gone, there is the form of submit.format.
    std::fs::remove_file(workspace.path("sample.csv")).expect("it is there");
    let output = workspace.run(&["predict", "out", "--pairs=other.csv", "--out=plain.out"]);
    assert!(output.status.success(), "{}", workspace.transcript(&output));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("sample.csv is not there, so the form is that of submit.format"),
        "{said}"
    );
    assert!(workspace.text("plain.out").starts_with("id,score\n900,"));
    workspace.succeed(&check("plain.out", "other.csv"));
}

#[test]
fn the_check_in_the_folder_of_a_run_reads_another_layout_as_predict_does() {
    let workspace = Workspace::with_pairs();
    workspace.succeed(&RUN);
    let pairs = workspace.text("test.tsv").replace('\t', ",");
    workspace.write("test.csv", format!("text_a,text_b\n{pairs}"));
    workspace.succeed(&["check", "out/submission.csv", "--test", "test.csv"]);
}

#[test]
fn a_grid_of_forms_is_no_grid_of_runs() {
    let workspace = Workspace::with_pairs();
    assert_eq!(
        refusal(
            &workspace,
            &[
                "run",
                "experiment.toml",
                "--set",
                "grid.predict.swap=[true, false]"
            ]
        ),
        "error: --set grid.predict.swap=[true, false]: expected a key that changes a model, found `predict.swap`\n\
         hint: train once; then `cipherpet run` with --set predict.swap=VALUE uses the same model"
    );
}

#[test]
fn column_names_that_cannot_be() {
    let workspace = Workspace::with_pairs();
    let refused =
        |assignment: &str| refusal(&workspace, &[&RUN[..], &["--set", assignment]].concat());
    assert_eq!(
        refused("submit.score_column=id"),
        "error: --set submit.score_column=id: expected another name than submit.id_column, found \"id\" for both"
    );
    assert_eq!(
        refused("submit.format=tsv"),
        "error: --set submit.format=tsv: expected one of `auto`, `plain`, `csv`, found `tsv`"
    );
    assert!(!workspace.exists("out"));
}

#[test]
fn a_test_file_that_changes_under_a_run_gets_no_submission() {
    let workspace = Workspace::with_pairs();
    let run = [
        "run",
        "experiment.toml",
        "--out=out",
        "--set=train.epochs=300",
    ];
    let mut running = Running::start(&workspace, &run);
    running.wait_for("epoch 1/");
    let test = workspace.text("test.tsv");
    workspace.write("test.tsv", test.clone() + "1 2\t3\n");
    let (status, rest) = running.end();
    assert_eq!(status, Some(1), "{rest}");
    assert!(
        rest.contains("test.tsv has changed since the run began\nhint: put the file back"),
        "{rest}"
    );
    assert!(!workspace.exists("out/submission.csv"));
    // Put back, the run ends where it was.
    workspace.write("test.tsv", test);
    workspace.succeed(&run);
    assert_eq!(workspace.text("out/submission.csv").lines().count(), 40);
}
