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

#[test]
fn probabilities_under_a_header_come_from_the_same_scores() {
    let workspace = Workspace::with_pairs();
    workspace.succeed(&RUN);
    assert!(
        !workspace.exists("out/test.csv"),
        "the submission is the scores"
    );
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

    // The check knows the form from the folder's config, and refuses it as plain.
    let check = ["check", "csv/submission.zip", "--test", "test.tsv"];
    workspace.succeed(&[&check[..], &["--experiment", "csv/config.toml"]].concat());
    assert_eq!(
        refusal(&workspace, &check),
        "error: csv/submission.zip:1: expected one number and nothing else, found `id,score`\n\
         hint: a plain submission has no header; submit.format = \"csv\" has one"
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
    workspace.succeed(&[
        "predict",
        "out",
        "--pairs",
        "test.tsv",
        "--out",
        "again.csv",
    ]);
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

#[test]
fn another_form_is_another_run_and_names_the_way_out() {
    let workspace = Workspace::with_pairs();
    workspace.succeed(&RUN);
    let other = [&RUN[..], &["--set", "submit.probability=true"]].concat();
    assert_eq!(
        refusal(&workspace, &other),
        "error: out holds another run: `submit.probability` is false there, true here\n\
         hint: `cipherpet ensemble RUN --set submit.KEY=VALUE --out DIR` writes the scores of a run in another form"
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
        "error: --set submit.format=tsv: expected `plain` or `csv`, found `tsv`"
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
