//! `cipherpet pack`: from one folder of files to another.

use std::fs::File;
use std::path::Path;

use crate::hand_made::{edit_manifest, refusal, workspace, write_run};
use crate::workspace::Workspace;

const RUN: [&str; 6] = [
    "run",
    "experiment.toml",
    "--out",
    "first",
    "--set",
    "train.epochs=1",
];

fn packed() -> Workspace {
    let workspace = Workspace::with_pairs();
    workspace.succeed(&RUN);
    workspace.succeed(&["pack", "first", "--out", "first.zip"]);
    workspace
}

/// Unpacks into a folder; returns the names inside, in their order.
fn unpack(zip: &Path, into: &Path) -> Vec<String> {
    let mut archive = zip::ZipArchive::new(File::open(zip).expect("the zip")).expect("a zip");
    archive.extract(into).expect("room for a tiny model");
    let names = archive.file_names();
    let names = names.map(|name| name.expect("UTF-8").into_owned());
    names.collect()
}

#[test]
fn the_receiver_predicts_and_runs_again_on_files_of_other_names() {
    let sender = packed();
    let receiver = Workspace::empty();
    let names = unpack(&sender.path("first.zip"), &receiver.path("got"));
    assert_eq!(
        names,
        [
            "first/manifest.json",
            "first/config.toml",
            "first/mapping.tsv",
            "first/submission.csv",
            "first/submission.zip",
            "first/submission.csv.json",
            "first/model/config.json",
            "first/model/model.safetensors",
            "first/model/tokenizer.json",
            "first/model/tokenizer_config.json",
            "first/model/vocab.txt",
            "first/README.txt",
        ]
    );
    receiver.write("pairs.tsv", sender.read("train.tsv"));
    receiver.write("to_score.tsv", sender.read("test.tsv"));
    receiver.succeed(&[
        "predict",
        "got/first",
        "--pairs",
        "to_score.tsv",
        "--out",
        "scores.csv",
    ]);
    assert_eq!(
        receiver.read("scores.csv"),
        sender.read("first/submission.csv")
    );

    let again = |more: &[&'static str]| {
        let config = "got/first/config.toml";
        let inputs = [
            "--set",
            "data.train=pairs.tsv",
            "--set",
            "data.test=to_score.tsv",
            "--json",
        ];
        let run = ["run", config]
            .into_iter()
            .chain(inputs)
            .chain(more.iter().copied());
        let report = receiver.succeed(&run.collect::<Vec<_>>());
        serde_json::from_str::<serde_json::Value>(&report).expect("one object")
    };
    let found = again(&["--out", "got/first"]);
    assert_eq!(found["found_done"], true);
    let anew = again(&[]);
    assert_eq!(anew["found_done"], false);
    let folder = anew["run"].as_str().expect("a path").to_owned();
    assert!(
        receiver.text("got/first/README.txt").contains(&folder),
        "{folder}"
    );
    assert_eq!(
        receiver.read(&format!("{folder}/submission.csv")),
        sender.read("first/submission.csv")
    );

    receiver.write("pairs.tsv", "1\t2\t0\n");
    let other = [
        "run",
        "got/first/config.toml",
        "--out",
        "got/first",
        "--set",
        "data.train=pairs.tsv",
        "--set",
        "data.test=to_score.tsv",
    ];
    let message = refusal(&receiver, &other);
    let expected = "error: got/first holds another run: `data.train` reads pairs.tsv here, which differs from ";
    assert!(message.starts_with(expected), "{message}");
}

#[test]
fn the_readme_names_commands_and_files_and_the_zip_is_the_same_each_time() {
    let workspace = packed();
    workspace.succeed(&["pack", "first", "--out", "again.zip"]);
    assert!(workspace.read("first.zip") == workspace.read("again.zip"));
    unpack(&workspace.path("first.zip"), &workspace.path("got"));
    let readme = workspace.text("got/first/README.txt");
    let hash = &workspace.json("first/manifest.json")["config_sha256"].to_string()[1..9];
    let readme = readme
        .replace(hash, "[HASH]")
        .replace(env!("CARGO_PKG_VERSION"), "[VERSION]");
    insta::assert_snapshot!("pack_readme", readme);
}

#[test]
fn no_row_and_no_label_travels_unless_it_is_asked_for() {
    let workspace = packed();
    let names = |zip: &str| unpack(&workspace.path(zip), &workspace.path("got"));
    let tables = |names: Vec<String>| -> Vec<String> {
        let is_table = |name: &String| name.ends_with("valid.csv") || name.ends_with(".tsv");
        names.into_iter().filter(is_table).collect()
    };
    assert_eq!(tables(names("first.zip")), ["first/mapping.tsv"]);
    workspace.succeed(&["pack", "first", "--out", "scores.zip", "--scores"]);
    assert_eq!(
        tables(names("scores.zip")),
        ["first/mapping.tsv", "first/valid.csv"]
    );
    workspace.succeed(&["ensemble", "got/first", "--out", "blend"]);
    assert_eq!(
        workspace.read("blend/submission.csv"),
        workspace.read("first/submission.csv")
    );
}

#[test]
fn what_the_run_has_not_written_stays_at_home() {
    let workspace = packed();
    workspace.write("first/model/train.tsv", workspace.read("train.tsv"));
    #[cfg(unix)]
    std::os::unix::fs::symlink("/etc/passwd", workspace.path("first/model/notes.txt"))
        .expect("a link");
    workspace.succeed(&["pack", "first", "--out", "again.zip"]);
    assert!(workspace.read("first.zip") == workspace.read("again.zip"));
}

#[test]
fn the_models_of_folds_travel_together() {
    let workspace = Workspace::with_pairs();
    let run = ["run", "experiment.toml", "--out", "folds"];
    let small = [
        "--set",
        "train.max_steps=2",
        "--set",
        "folds.k=2",
        "--set",
        "folds.full=true",
    ];
    workspace.succeed(&[&run[..], &small].concat());
    workspace.succeed(&["pack", "folds", "--out", "folds.zip"]);
    let names = unpack(&workspace.path("folds.zip"), &workspace.path("got"));
    for name in [
        "folds/fold-1/model/model.safetensors",
        "folds/fold-2/model/vocab.txt",
        "folds/fold-2/DONE",
        "folds/full/model/model.safetensors",
    ] {
        assert!(
            names.iter().any(|found| found == name),
            "{name} in {names:?}"
        );
    }
    assert!(
        names
            .iter()
            .all(|name| !name.ends_with("oof.csv") && !name.ends_with("valid.csv"))
    );
    let predict = [
        "predict",
        "got/folds",
        "--pairs",
        "test.tsv",
        "--out",
        "mean.csv",
    ];
    workspace.succeed(&predict);
    assert_eq!(
        workspace.text("mean.csv"),
        workspace.text("folds/submission.csv")
    );
    let again = [
        "run",
        "got/folds/config.toml",
        "--out",
        "got/folds",
        "--json",
    ];
    assert!(workspace.succeed(&again).contains("\"found_done\":true"));
}

#[test]
fn a_run_without_a_model() {
    let workspace = workspace();
    write_run(
        &workspace,
        "a",
        "row,label,score\n0,1,2\n4,0,1\n",
        "1\n0\n-1\n",
    );
    assert_eq!(
        refusal(&workspace, &["pack", "a", "--out", "a.zip"]),
        "error: a has no model to pack\nhint: of an ensemble, pack its runs; its manifest.json names them"
    );
    assert!(!workspace.exists("a.zip"));
}

#[test]
fn a_run_that_is_not_done() {
    let workspace = packed();
    edit_manifest(&workspace, "first", |manifest| {
        manifest["state"] = "begun".into()
    });
    assert_eq!(
        refusal(&workspace, &["pack", "first", "--out", "b.zip"]),
        "error: the run in first is not done\nhint: end it first: the same `cipherpet run` again"
    );
}

#[test]
fn a_model_that_is_not_the_one_the_run_has_written() {
    let workspace = packed();
    let mut weights = workspace.read("first/model/model.safetensors");
    let last = weights.len() - 1;
    weights[last] ^= 1;
    workspace.write("first/model/model.safetensors", &weights);
    assert_eq!(
        refusal(&workspace, &["pack", "first", "--out", "b.zip"]),
        "error: first/model/model.safetensors is not the file that the run has written\n\
         hint: its hash in manifest.json differs; run it again in a new folder"
    );
    assert!(!workspace.exists("b.zip"));
}
