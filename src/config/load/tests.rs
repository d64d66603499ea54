//! Tests of [`super`].

use super::*;
use crate::config::Valid;

fn in_folder(text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let file = folder.path().join("experiment.toml");
    std::fs::write(&file, text).expect("a small file");
    (folder, file)
}

/// The message and the hint, with the folder's name taken out.
fn error_of(text: &str, assignments: &[&str]) -> (String, Option<String>) {
    let (folder, file) = in_folder(text);
    let assignments: Vec<String> = assignments.iter().map(|a| (*a).to_owned()).collect();
    let error = load(Some(&file), &assignments).expect_err("a bad experiment");
    let prefix = format!("{}/", folder.path().display());
    (
        error.to_string().replace(&prefix, ""),
        error.hint().map(str::to_owned),
    )
}

fn set(assignments: &[&str]) -> Result<Loaded> {
    let assignments: Vec<String> = assignments.iter().map(|a| (*a).to_owned()).collect();
    load(None, &assignments)
}

#[test]
fn file_lies_over_default_and_set_over_file() {
    let (_folder, file) = in_folder("seed = 7\n[train]\nepochs = 5\nbatch = 8\n");
    let loaded = load(Some(&file), &["train.epochs=2".to_owned()]).expect("a good file");
    let train = &loaded.experiment.train;
    assert_eq!(
        (loaded.experiment.seed, train.epochs, train.batch),
        (7, 2, 8)
    );
    assert_eq!(train.warmup_steps, 0.1);
    assert_eq!(loaded.name, "experiment");
}

#[test]
fn paths_resolve_against_the_file_and_in_set_against_the_working_folder() {
    let text = "[data]\ntrain = [\"./data/../a.tsv\", \"/x/b.tsv\"]\nvalid = \"v.tsv\"\n\
                [checkpoint]\ndir = \"demo:\"\n";
    let (folder, file) = in_folder(text);
    let loaded = load(Some(&file), &["data.test=t.tsv".to_owned()]).expect("a good file");
    let data = &loaded.experiment.data;
    assert_eq!(data.train, [folder.path().join("a.tsv"), "/x/b.tsv".into()]);
    assert_eq!(data.valid, Valid::File(folder.path().join("v.tsv")));
    let here = std::env::current_dir().expect("a working folder");
    assert_eq!(data.test, Some(here.join("t.tsv")));
    assert_eq!(loaded.experiment.checkpoint.dir, Some("demo:".into()));
}

#[test]
fn set_takes_toml_values_bare_words_and_one_path_for_a_list() {
    let loaded = set(&[
        "align.method=random",
        "data.valid=\"group\"",
        "train.learning_rate=2e-5",
        "train.clip=1",
        "data.train=/d/a.tsv",
        "data.unlabelled=[\"/d/b.tsv\", '/d/c.tsv']",
    ])
    .expect("good values");
    let experiment = loaded.experiment;
    assert_eq!(experiment.train.learning_rate, 2e-5);
    assert_eq!(experiment.data.train, [PathBuf::from("/d/a.tsv")]);
    assert_eq!(experiment.data.unlabelled.len(), 2);
    assert_eq!(experiment.data.valid, Valid::from("group".to_owned()));
}

#[test]
fn unknown_key_names_the_line_and_the_nearest_key() {
    let (message, hint) = error_of("[train]\nbatch = 8\nepoch = 3\n", &[]);
    assert_eq!(
        message,
        "experiment.toml:3:train.epoch: expected a known key, found `train.epoch`"
    );
    assert_eq!(hint.as_deref(), Some("did you mean `train.epochs`?"));
}

#[test]
fn key_in_the_wrong_section_names_the_right_one() {
    let (message, hint) = error_of("epochs = 3\n", &[]);
    assert_eq!(
        message,
        "experiment.toml:1:epochs: expected a known key, found `epochs`"
    );
    assert_eq!(hint.as_deref(), Some("did you mean `train.epochs`?"));
}

#[test]
fn section_of_a_pretraining_names_its_command() {
    let (_, hint) = error_of("[text]\nfiles = \"a.txt\"\n", &[]);
    let expected = "`text` belongs in a file for `cipherpet pretrain`";
    assert_eq!(hint.as_deref(), Some(expected));
}

#[test]
fn key_near_nothing_lists_its_section() {
    let (_, hint) = error_of("[objective]\nsomething_else = 3\n", &[]);
    assert_eq!(
        hint.as_deref(),
        Some(
            "[objective] has name, mask, mask_unit, mask_replacement, mlm_weight, head, head_start, corrupt_sources, candidates"
        )
    );
    let (_, hint) = error_of("[something_else]\nx = 3\n", &[]);
    assert!(
        hint.expect("a hint")
            .starts_with("sections are task, data, folds, vocab")
    );
}

#[test]
fn wrong_type_names_expected_and_found() {
    let (message, _) = error_of("[train]\n\nepochs = \"three\"\n", &[]);
    assert_eq!(
        message,
        "experiment.toml:3:train.epochs: expected a whole number, 0 or more, found string \"three\""
    );
    let (message, _) = error_of("[train]\nbatch = -1\n", &[]);
    assert_eq!(
        message,
        "experiment.toml:2:train.batch: expected a whole number, 0 or more, found integer `-1`"
    );
    let (message, _) = error_of("train = 3\n", &[]);
    assert_eq!(
        message,
        "experiment.toml:1:train: expected a section, found integer `3`"
    );
    let (message, _) = error_of("[align]\nmethod = \"rnk\"\n", &[]);
    assert_eq!(
        message,
        "experiment.toml:2:align.method: expected one of `rank`, `random`, `scratch`, `file`, `graph`, found `rnk`"
    );
}

#[test]
fn toml_that_does_not_parse_names_the_line() {
    let (message, _) = error_of("seed = 1\n[train\n", &[]);
    assert!(
        message.starts_with("experiment.toml:2: expected TOML, found "),
        "{message}"
    );
}

#[test]
fn experiment_that_is_not_utf8_names_the_line() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let file = folder.path().join("e.toml");
    std::fs::write(&file, b"seed = 1\n# \xff\n").expect("a small file");
    let error = load(Some(&file), &[]).expect_err("not text");
    assert!(
        error
            .to_string()
            .ends_with("e.toml:2: expected UTF-8 text, found other bytes")
    );
}

#[test]
fn bad_assignments_repeat_what_was_typed() {
    let cases = [
        (
            "train.epochs",
            "--set train.epochs: expected key=value, found no `=`",
        ),
        (
            "train.epoch=3",
            "--set train.epoch=3: expected a known key, found `train.epoch`",
        ),
        (
            "train.epochs=three",
            "--set train.epochs=three: expected a whole number, 0 or more, found string \"three\"",
        ),
        (
            "data.train=[a.tsv]",
            "--set data.train=[a.tsv]: expected a TOML value, found a part of one",
        ),
        (
            "data.label=true",
            "--set data.label=true: expected a column number or name, or a list of them, found another value",
        ),
        (
            "train.epochs=",
            "--set train.epochs=: expected a TOML value, found nothing",
        ),
    ];
    for (assignment, message) in cases {
        let error = set(&[assignment]).expect_err(assignment);
        assert_eq!(error.to_string(), message);
    }
}

#[test]
fn hints_name_what_helps() {
    let hint = |text: &str, assignments: &[&str]| error_of(text, assignments).1;
    let quotes = Some("write it without quotes".to_owned());
    assert_eq!(hint("[train]\nepochs = \"3\"\n", &[]), quotes);
    assert_eq!(hint("[folds]\nfull = \"true\"\n", &[]), quotes);
    assert_eq!(hint("[train]\nepochs = \"three\"\n", &[]), None);
    assert_eq!(
        hint("", &["stage.a.epochs=3"]).as_deref(),
        Some("add a [[stage]] with that name to the experiment file")
    );
    assert_eq!(hint("seed = \n", &[]), None); // what the parser says is enough
    let folder = tempfile::tempdir().expect("a folder for the test");
    for (name, text, begins) in [
        ("train.tsv", &b"1 2\t3\t0\n"[..], "name an experiment file"),
        ("train.csv", b"\xff", "name an experiment file"),
        ("e.toml", b"\xff", "save the file as UTF-8"),
    ] {
        let file = folder.path().join(name);
        std::fs::write(&file, text).expect("a small file");
        let error = load(Some(&file), &[]).expect_err(name);
        let hint = error.hint().expect("a way out");
        assert!(hint.starts_with(begins), "{name}: {hint}");
    }
}
