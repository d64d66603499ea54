//! Ctrl-C and termination of a run at work.
#![cfg(unix)]

use crate::process::Running;
use crate::workspace::{Workspace, metrics};

/// Sends `signal` to a run once it has finished an epoch.
fn interrupt(signal: &str) {
    let workspace = Workspace::with_pairs();
    let run = [
        "run",
        "experiment.toml",
        "--out",
        "out",
        "--set",
        "train.epochs=1000000",
    ];
    let mut running = Running::start(&workspace, &run);
    running.wait_for("epoch 2/");
    running.send(signal);
    let (status, rest) = running.end();
    assert_eq!(status, Some(75), "{rest}");
    let end = "stopped: out holds what is needed to go on\nhint: run the same command again\n";
    assert!(rest.ends_with(end), "{rest}");

    let epochs = metrics(&workspace.path("out/metrics.jsonl"));
    assert_eq!(epochs[0]["epoch"], 1);
    assert_eq!(workspace.json("out/manifest.json")["state"], "begun");
    assert!(!workspace.exists("out/submission.csv"));
    // The best model so far can be used.
    workspace.succeed(&[
        "predict",
        "out",
        "--pairs",
        "test.tsv",
        "--out",
        "scores.csv",
    ]);
    workspace.succeed(&["check", "scores.csv", "--test", "test.tsv"]);

    // The run goes on, and this session too can be stopped.
    let step = rest.rsplit_once("saved at ").expect("it says where").1;
    let step = step.lines().next().expect("a line");
    let output = workspace.run(&[&run[..], &["--max-minutes", "0"]].concat());
    assert_eq!(output.status.code(), Some(75));
    let said = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(
        said.contains(&format!("resuming at {step}, in epoch ")),
        "{said}"
    );
}

#[test]
fn ctrl_c_ends_a_run_with_75_and_what_was_finished_stays() {
    interrupt("INT");
}

#[test]
fn termination_ends_a_run_in_the_same_way() {
    interrupt("TERM");
}

#[test]
fn a_second_run_in_the_folder_is_refused_with_the_owner_of_the_first() {
    let workspace = Workspace::with_pairs();
    let run = [
        "run",
        "experiment.toml",
        "--out",
        "out",
        "--set",
        "train.epochs=1000000",
    ];
    let mut running = Running::start(&workspace, &run);
    running.wait_for("rows: ");
    let output = workspace.run(&run);
    let said = String::from_utf8(output.stderr).expect("UTF-8");
    let id = running.id();
    running.send("KILL");
    running.end();
    assert_eq!(output.status.code(), Some(1), "{said}");
    let owner = format!("error: another run is at work in out: process {id} on ");
    assert!(said.starts_with(&owner), "{said}");
    assert!(
        said.ends_with("hint: wait for it, or choose another folder with --out\n"),
        "{said}"
    );
    // A process that is dead holds nothing.
    let output = workspace.run(&[&run[..], &["--max-minutes", "0"]].concat());
    assert_eq!(output.status.code(), Some(75));
}

#[test]
fn a_second_ctrl_c_waits_for_nothing_and_what_was_saved_stays() {
    let workspace = Workspace::with_pairs();
    let run = ["run", "experiment.toml", "--out", "out"];
    let stopped = workspace.run(&[&run[..], &["--max-minutes", "0"]].concat());
    assert_eq!(stopped.status.code(), Some(75));
    let saved = workspace.names("out/checkpoint");
    // A manifest that is a pipe: the run waits for it, and looks at no stop meanwhile.
    let manifest = workspace.read("out/manifest.json");
    std::fs::remove_file(workspace.path("out/manifest.json")).expect("it is there");
    let made = std::process::Command::new("mkfifo")
        .arg(workspace.path("out/manifest.json"))
        .status();
    assert!(made.expect("mkfifo").success());
    let mut running = Running::start(&workspace, &run);
    let pipe = std::fs::OpenOptions::new()
        .write(true)
        .open(workspace.path("out/manifest.json")); // returns once the run reads
    running.send("INT");
    running.wait_for("stopping; once more to stop at once, without saving");
    running.send("INT");
    let (status, rest) = running.end();
    assert_eq!(status, Some(130), "{rest}");
    drop(pipe);
    assert_eq!(workspace.names("out/checkpoint"), saved);
    std::fs::remove_file(workspace.path("out/manifest.json")).expect("it is there");
    workspace.write("out/manifest.json", manifest);
    workspace.succeed(&run);
}
