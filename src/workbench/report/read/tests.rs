//! Reading run folders for the report.

use super::*;

fn folder_with(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder for the test");
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("room");
        std::fs::write(path, text).expect("room for a small file");
    }
    folder
}

const BEGUN: &str = "{\"tool\":\"t\",\"state\":\"begun\",\"config_sha256\":\"\",\"inputs\":[]}";

fn refusal(folder: &tempfile::TempDir) -> String {
    let error = ReportedRun::read(folder.path()).expect_err("something is wrong with it");
    let here = folder.path().display().to_string();
    error.to_string().replace(&here, "RUN")
}

const EPOCH: &str = "{\"epoch\":1,\"steps\":3,\"loss\":5.5,\"mlm_loss\":6.0,\"label_loss\":0.7,\
    \"learning_rate\":0.0003,\"valid_auc\":0.75,\"seconds\":1.5,\"tokens_per_second\":900.0}\n";

#[test]
fn folds_are_read_in_order_of_their_number_before_they_are_merged() {
    let folder = folder_with(&[
        ("manifest.json", BEGUN),
        ("fold-10/valid.csv", "row,label,score\n4,1,0.5\n"),
        ("fold-2/valid.csv", "row,label,score\n3,0,-1\n9,1,2\n"),
        ("fold-2/metrics.jsonl", &format!("{EPOCH}{{\"epoch\":2,")),
        ("fold-2/DONE", "{\"seconds\":7}"),
    ]);
    let run = ReportedRun::read(folder.path()).expect("a run");
    let numbers: Vec<_> = run.folds.iter().map(|fold| fold.number).collect();
    assert_eq!(numbers, [Some(2), Some(10)]);
    assert_eq!(
        (run.folds[0].epochs.len(), run.folds[0].score),
        (1, Some(1.0))
    );
    assert!(run.folds[0].done.is_some() && run.folds[1].done.is_none());
    let scored: Vec<_> = run.binary.iter().map(|row| (row.row, row.fold)).collect();
    assert_eq!(scored, [(3, 2), (4, 10), (9, 2)]);
    assert!(!run.is_done());
}

#[test]
fn merged_scores_come_before_those_of_the_folds() {
    let folder = folder_with(&[
        (
            "manifest.json",
            &BEGUN.replace("\"inputs\"", "\"result\":{\"oof_auc\":1},\"inputs\""),
        ),
        ("oof.csv", "row,label,score,fold\n0,0,-1.5,2\n1,1,2.5,1\n"),
        ("fold-1/valid.csv", "row,label,score\n1,1,9\n"),
        (
            "mapping.tsv",
            "cipher_id\tcount\tplain_token\tplain_count\tmethod\n7\t9\t\"\"\"\"\t4\trank\n",
        ),
    ]);
    let run = ReportedRun::read(folder.path()).expect("a run");
    assert_eq!((run.binary[0].fold, run.binary[1].score), (2, 2.5));
    let mapped = Mapped {
        count: 9,
        plain_count: 4,
        plain_token: "\"".to_owned(),
    };
    assert_eq!(run.mapping, [mapped]);
    assert_eq!(run.figures().oof_auc, Some(1.0));
}

#[test]
fn the_texts_of_an_ensemble_are_not_waited_for() {
    let ensemble = BEGUN.replace("\"tool\"", "\"kind\":\"ensemble\",\"tool\"");
    let folder = folder_with(&[
        ("manifest.json", &ensemble),
        ("valid.csv", "row,label,score\n0,1,2\n1,0,-1\n"),
    ]);
    let run = ReportedRun::read(folder.path()).expect("an ensemble");
    assert_eq!(run.traits, Err("an ensemble has no model".to_owned()));
}

#[test]
fn a_folder_that_is_no_run() {
    assert_eq!(
        refusal(&folder_with(&[])),
        "RUN is no run: it has no manifest.json"
    );
}

#[test]
fn files_that_do_not_hold_what_they_should() {
    let manifest = ("manifest.json", BEGUN);
    for (file, expected) in [
        (
            ("valid.csv", "row,label,score\n1,2,0.5\n"),
            "RUN/valid.csv:2: expected the values of `row,label,score`, found `1,2,0.5`",
        ),
        (
            ("metrics.jsonl", "{}\n"),
            "RUN/metrics.jsonl:1: expected the report of an epoch, found missing field `epoch` at line 1 column 2",
        ),
        (
            ("mapping.tsv", "cipher_id\tcount\n7\tmany\n"),
            "RUN/mapping.tsv:2: expected a row of a mapping, found no counts in it",
        ),
        (
            ("fold-1/DONE", "{"),
            "RUN/fold-1/DONE:1: expected JSON, found EOF while parsing an object at line 1 column 1",
        ),
    ] {
        assert_eq!(refusal(&folder_with(&[manifest, file])), expected);
    }
}
