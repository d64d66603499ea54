//! Opening run folders: new, begun, done, of another experiment.

use super::super::names::METRICS;
use super::super::reopen::{Reopened, Taken};
use super::*;
use crate::metrics::{MetricName, ValidFigures};

fn identity(experiment: &Experiment, input_sha256: &str) -> Identity {
    Identity {
        config_sha256: experiment.sha256().expect("UTF-8 paths"),
        submit_sha256: experiment.submit_sha256().expect("UTF-8 paths"),
        inputs: vec![FileRecord {
            key: "data.train".to_owned(),
            path: "/d/train.tsv".into(),
            bytes: 1,
            sha256: input_sha256.to_owned(),
        }],
    }
}

fn outcome() -> Outcome {
    Outcome {
        valid: ValidFigures::new(MetricName::Auc, [(MetricName::Auc, 0.75)].into()),
        best_epoch: Some(1),
        epochs: 1,
        steps: 3,
        seconds: 0.5,
        tokens_per_second: 100.0,
        shared_stage: None,
        peak_rss_bytes: None,
        submission: false,
        baseline: None,
        cross_validation: None,
    }
}

fn open(path: &Path, experiment: &Experiment, input: &str) -> Result<Opened> {
    RunFolder::open(path, experiment, identity(experiment, input))
}

fn ready(opened: Result<Opened>) -> Box<RunFolder> {
    match opened.expect("a free folder") {
        Opened::Ready(folder) => folder,
        Opened::Done(_) | Opened::Outdated => panic!("nothing is done yet"),
    }
}

fn begin(folder: &mut RunFolder, wrapped_ids: usize) {
    let begun = folder.begin(
        &Experiment::default(),
        &Task::binary_pairs(),
        &Beginning {
            mapping: b"cipher_id",
            wrapped_ids,
            quality: None,
        },
    );
    begun.expect("room for a manifest");
}

fn refusal(opened: Result<Opened>, folder: &Path) -> String {
    let Err(error) = opened else {
        panic!("the folder is in use")
    };
    error
        .to_string()
        .replace(&folder.display().to_string(), "RUN")
}

#[test]
fn a_run_that_fails_early_leaves_no_trace() {
    let parent = tempfile::tempdir().expect("a folder for the test");
    let path = parent.path().join("run");
    let folder = ready(open(&path, &Experiment::default(), "a"));
    assert!(path.join(CONFIG).exists());
    drop(folder);
    assert!(!path.exists());
}

#[test]
fn a_run_with_a_checkpoint_goes_on_until_it_is_done() {
    let parent = tempfile::tempdir().expect("a folder for the test");
    let path = parent.path().join("run");
    let experiment = Experiment::default();
    let mut folder = ready(open(&path, &experiment, "a"));
    begin(&mut folder, 0);
    let write = |name: &str| std::fs::write(path.join(name), "{}").expect("a small file");
    std::fs::create_dir_all(path.join("checkpoint")).expect("a folder");
    write("checkpoint/1.json");
    write(METRICS);
    write(".unfinished-a1b2");
    drop(folder); // cut here

    drop(ready(open(&path, &experiment, "a"))); // cut again, before it could be kept
    assert!(path.join(METRICS).exists());
    assert!(path.join("checkpoint/1.json").exists());
    assert!(!path.join(".unfinished-a1b2").exists());
    let folder = ready(open(&path, &experiment, "a"));
    folder
        .finish(&experiment, &[ModelName::Single], outcome())
        .expect("room for a manifest");
    assert!(!path.join("checkpoint").exists());
}

#[test]
fn a_folder_that_was_left_before_its_manifest_is_taken() {
    let parent = tempfile::tempdir().expect("a folder for the test");
    for name in [lock::FILE, ".unfinished-a1b2"] {
        std::fs::write(parent.path().join(name), "").expect("a small file");
    }
    let folder = ready(open(parent.path(), &Experiment::default(), "a"));
    assert!(!folder.join(".unfinished-a1b2").exists());
}

#[test]
fn the_same_run_is_begun_anew_without_a_checkpoint() {
    let parent = tempfile::tempdir().expect("a folder for the test");
    let path = parent.path().join("run");
    let experiment = Experiment::default();
    let mut folder = ready(open(&path, &experiment, "a"));
    begin(&mut folder, 0);
    std::fs::write(folder.join(METRICS), "{}\n").expect("a small file");
    std::fs::write(path.join("notes.txt"), "mine").expect("a small file");
    drop(folder); // cut here

    let mut folder = ready(open(&path, &experiment, "a"));
    assert!(!path.join(METRICS).exists());
    assert!(path.join("notes.txt").exists());
    begin(&mut folder, 2);
    folder
        .finish(&experiment, &[ModelName::Single], outcome())
        .expect("room for a manifest");
    match open(&path, &experiment, "a").expect("our own run") {
        Opened::Done(found) => assert_eq!(found, outcome()),
        Opened::Ready(_) | Opened::Outdated => panic!("it was done"),
    }
    let manifest = Manifest::read(&path).expect("readable").expect("there");
    assert_eq!((manifest.state, manifest.wrapped_ids), (State::Done, 2));
    assert_eq!(manifest.outputs[0].path, Path::new(CONFIG));
}

#[test]
fn another_run_is_refused_with_the_first_difference() {
    let parent = tempfile::tempdir().expect("a folder for the test");
    let path = parent.path().join("run");
    let experiment = Experiment::default();
    begin(&mut ready(open(&path, &experiment, "a")), 0);
    assert_eq!(
        refusal(open(&path, &experiment, "b"), &path),
        "RUN holds another run: /d/train.tsv has changed since"
    );
    let mut other = experiment.clone();
    other.train.epochs = 4;
    other.predict.swap = false;
    assert_eq!(
        refusal(open(&path, &other, "a"), &path),
        "RUN holds another run: `train.epochs` is 3 there, 4 here"
    );
}

#[test]
fn the_same_files_under_other_paths_are_the_same_run() {
    let parent = tempfile::tempdir().expect("a folder for the test");
    let path = parent.path().join("run");
    let mut experiment = Experiment::default();
    experiment.data.train = vec!["/d/train.tsv".into()];
    let mut folder = ready(open(&path, &experiment, "a"));
    begin(&mut folder, 0);
    folder
        .finish(&experiment, &[ModelName::Single], outcome())
        .expect("room for a manifest");
    experiment.data.train = vec!["/e/pairs.tsv".into()];
    let under_other_path = |sha256: &str| {
        let mut identity = identity(&experiment, sha256);
        identity.inputs[0].path = "/e/pairs.tsv".into();
        identity
    };
    let again = RunFolder::open(&path, &experiment, under_other_path("a"));
    assert!(matches!(again, Ok(Opened::Done(_))));
    assert_eq!(
        refusal(
            RunFolder::open(&path, &experiment, under_other_path("b")),
            &path
        ),
        "RUN holds another run: `data.train` reads /e/pairs.tsv here, which differs from /d/train.tsv there"
    );
    let mut more = under_other_path("a");
    more.inputs.push(FileRecord {
        key: "data.test".to_owned(),
        ..more.inputs[0].clone()
    });
    assert_eq!(
        refusal(RunFolder::open(&path, &experiment, more.clone()), &path),
        "RUN holds another run: `data.test` reads /e/pairs.tsv here too"
    );
    more.inputs.clear();
    assert_eq!(
        refusal(RunFolder::open(&path, &experiment, more), &path),
        "RUN holds another run: `data.train` read /d/train.tsv there too"
    );
}

#[test]
fn another_form_of_submission_is_the_same_run_and_is_recorded_before_a_file_changes() {
    let parent = tempfile::tempdir().expect("a folder for the test");
    let path = parent.path().join("run");
    let mut experiment = Experiment::default();
    let mut folder = ready(open(&path, &experiment, "a"));
    begin(&mut folder, 0);
    let finished = folder.finish(&experiment, &[ModelName::Single], outcome());
    finished.expect("room for a manifest");
    let is_outdated = |experiment: &Experiment| {
        let opened = open(&path, experiment, "a").expect("the same run");
        matches!(opened, Opened::Outdated)
    };
    assert!(!is_outdated(&experiment));
    let before = experiment.clone();
    experiment.submit.probability = true;
    assert!(is_outdated(&experiment));
    let identity = identity(&experiment, "a");
    let take = |experiment| match Reopened::take(&path, experiment, &identity) {
        Ok(Taken::Reopened(reopened)) => *reopened,
        _ => panic!("it has another submission"),
    };
    let mut reopened = take(&experiment);
    assert!(reopened.has_scores_of(&experiment));
    reopened.begin(true).expect("room for a manifest");
    drop(reopened); // killed: neither form is there
    assert!(is_outdated(&before) && is_outdated(&experiment));
    let mut reopened = take(&experiment);
    assert_eq!(*reopened.outcome(), outcome());
    reopened.begin(true).expect("room for a manifest");
    let finished = reopened.finish(
        (&experiment, identity.clone()),
        &[ModelName::Single],
        outcome(),
    );
    finished.expect("room for a manifest");
    assert!(!is_outdated(&experiment) && is_outdated(&before));
}

#[test]
fn a_run_under_way_keeps_its_way_to_score() {
    let parent = tempfile::tempdir().expect("a folder for the test");
    let path = parent.path().join("run");
    let mut experiment = Experiment::default();
    begin(&mut ready(open(&path, &experiment, "a")), 0);
    experiment.submit.probability = true; // nothing is written yet
    begin(&mut ready(open(&path, &experiment, "a")), 0);
    experiment.predict.swap = false;
    assert_eq!(
        refusal(open(&path, &experiment, "a"), &path),
        "the run in RUN was begun with predict.swap = true, not false"
    );
}

#[test]
fn a_folder_that_is_no_run_is_refused_and_untouched() {
    let parent = tempfile::tempdir().expect("a folder for the test");
    std::fs::write(parent.path().join("thesis.tex"), "years of work").expect("a small file");
    assert_eq!(
        refusal(
            open(parent.path(), &Experiment::default(), "a"),
            parent.path()
        ),
        "RUN is not empty and is no run of cipherpet"
    );
    assert_eq!(
        sorted_names(parent.path()).expect("readable"),
        ["thesis.tex"]
    );
}

#[test]
fn a_file_in_the_place_of_the_folder_is_refused_and_untouched() {
    let parent = tempfile::tempdir().expect("a folder for the test");
    let file = parent.path().join("train.tsv");
    std::fs::write(&file, "1\t2\t0\n").expect("a small file");
    let opened = open(&file, &Experiment::default(), "a");
    let hint = opened.as_ref().err().and_then(|error| error.hint());
    assert!(hint.is_some_and(|hint| hint.starts_with("--out names the folder")));
    assert_eq!(refusal(opened, &file), "RUN is a file, and no folder");
    assert_eq!(std::fs::read(&file).expect("readable"), b"1\t2\t0\n");
}

#[test]
fn two_runs_at_once_in_one_folder_are_refused() {
    let parent = tempfile::tempdir().expect("a folder for the test");
    let path = parent.path().join("run");
    let experiment = Experiment::default();
    let first = ready(open(&path, &experiment, "a"));
    let refused = refusal(open(&path, &experiment, "a"), &path);
    assert!(
        refused.starts_with("another run is at work in RUN: process "),
        "{refused}"
    );
    drop(first);
    drop(ready(open(&path, &experiment, "a")));
}
