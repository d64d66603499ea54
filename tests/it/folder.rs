//! The rules of the run folder.

use crate::workspace::Workspace;

const RUN: [&str; 6] = [
    "run",
    "experiment.toml",
    "--out",
    "out",
    "--set",
    "train.epochs=1",
];

#[test]
fn a_run_that_is_done_is_found_and_not_done_again() {
    let workspace = Workspace::with_pairs();
    workspace.succeed(&RUN);
    let manifest = workspace.read("out/manifest.json");
    let json = workspace.succeed(&[&RUN[..], &["--json"]].concat());
    assert!(json.contains("\"found_done\":true"), "{json}");
    assert_eq!(workspace.read("out/manifest.json"), manifest);
}

#[test]
fn another_config_is_refused_with_its_first_key() {
    let workspace = Workspace::with_pairs();
    workspace.succeed(&RUN);
    let shown =
        workspace.snapshot(&[&RUN[..], &["--seed", "1", "--set", "train.batch=16"]].concat());
    insta::assert_snapshot!("folder_other_config", shown);
}

#[test]
fn another_input_is_refused_with_its_name() {
    let workspace = Workspace::with_pairs();
    workspace.succeed(&RUN);
    workspace.write("test.tsv", "1\t2\n");
    insta::assert_snapshot!("folder_other_input", workspace.snapshot(&RUN));
}

#[test]
fn a_folder_in_use_is_refused_and_untouched() {
    let workspace = Workspace::with_pairs();
    std::fs::create_dir(workspace.path("out")).expect("a folder");
    workspace.write("out/thesis.tex", "years of work");
    insta::assert_snapshot!("folder_in_use", workspace.snapshot(&RUN));
    assert_eq!(workspace.names("out"), ["thesis.tex"]);
}

#[test]
fn a_run_that_was_cut_starts_over() {
    let workspace = Workspace::with_pairs();
    workspace.succeed(&RUN);
    let submission = workspace.read("out/submission.csv");
    let mut manifest = workspace.json("out/manifest.json");
    manifest["state"] = "begun".into();
    workspace.write("out/manifest.json", manifest.to_string());
    workspace.write("out/submission.csv", "half");
    workspace.succeed(&RUN);
    assert_eq!(workspace.json("out/manifest.json")["state"], "done");
    assert_eq!(workspace.read("out/submission.csv"), submission);
}
