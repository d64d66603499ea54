//! Tests on material that is not part of the project: real competition files, a pretrained checkpoint, and
//! a Python with transformers. Each is skipped, and says so, where what it needs is absent.

use std::path::{Path, PathBuf};
use std::process::Command;

use cipherpet::data::{
    Assign, Dictionary, ExampleFormat, FoldOptions, Folds, Labels, TokenKind, read_examples,
};
use cipherpet::vocab::CipherVocab;

use crate::workspace::{ALL_HEADS, Workspace, skipped};

/// A file of the folder `shared` beside the project; `None`, and a message, where it is absent.
fn shared(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../shared")
        .join(name);
    if path.exists() {
        return Some(path);
    }
    skipped(&format!("{} is not there", path.display()));
    None
}

/// A TOML assignment of a path.
fn set(key: &str, path: &Path) -> String {
    format!("{key}=\"{}\"", path.display())
}

/// A third of OPPO's test rows share a sentence with train, and so do rows dealt one by one.
#[test]
fn folds_of_oppo_are_dealt_by_rows_as_its_test_file_is() {
    let names = ["data/oppo/train.tsv", "data/oppo/test.tsv"];
    let [Some(train), Some(test)] = names.map(shared) else {
        return;
    };
    let format = ExampleFormat::default();
    let mut dictionary = Dictionary::new(format.tokens);
    let mut read = |path: &Path, labels| {
        let file = read_examples(path, &format, labels, &mut dictionary);
        file.expect("the competition's file").examples
    };
    let (train, test) = (read(&train, Labels::Required), read(&test, Labels::Ignored));
    let options = FoldOptions {
        k: 5,
        repeats: 1,
        assign: Assign::Auto,
    };
    let folds = Folds::deal(&train, &test, options).expect("enough rows of both labels");
    assert_eq!(folds.options.assign, Assign::Stratified);
    let near = |found: f64, expected: f64| assert!((found - expected).abs() < 0.005, "{found}");
    near(folds.shares.between_folds, 0.309);
    near(folds.shares.test_with_train.expect("a test file"), 0.323);
}

#[test]
fn two_thousand_oppo_rows_from_files_to_submission() {
    let names = [
        "data/oppo/train.tsv",
        "data/oppo/test.tsv",
        "models/zh-bert-mini",
        "data/plain/counts.tsv",
    ];
    let Some(paths) = names
        .iter()
        .map(|name| shared(name))
        .collect::<Option<Vec<_>>>()
    else {
        return;
    };
    let workspace = Workspace::empty();
    let head = |path: &Path, n: usize| -> String {
        let text = std::fs::read_to_string(path).expect("the competition's file");
        text.lines().take(n).flat_map(|line| [line, "\n"]).collect()
    };
    workspace.write("train.tsv", head(&paths[0], 2000));
    workspace.write("test.tsv", head(&paths[1], 300));
    let experiment = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments/oppo-mini.toml");
    let experiment = experiment.display().to_string();
    let settings = [
        "data.train=train.tsv".to_owned(),
        "data.test=test.tsv".to_owned(),
        set("checkpoint.dir", &paths[2]),
        set("align.counts", &paths[3]),
        "train.epochs=2".to_owned(),
        "train.batch=32".to_owned(),
        "train.warmup_steps=10".to_owned(),
    ];
    let mut arguments = vec!["run", &experiment, "--out", "out", "--json"];
    arguments.extend(settings.iter().flat_map(|setting| ["--set", setting]));
    let report: serde_json::Value =
        serde_json::from_str(&workspace.succeed(&arguments)).expect("one object");
    // 1,800 labelled rows and, without labels, 200 held out and 300 to score: 72 steps of 32, twice.
    assert_eq!(report["steps"], 144);
    let auc = report["valid_auc"]
        .as_f64()
        .expect("both classes are there");
    assert!(auc > 0.65, "valid AUC {auc}"); // .79 when this was written
    assert_eq!(workspace.text("out/submission.csv").lines().count(), 300);
    workspace.succeed(&["check", "out/submission.csv", "--test", "test.tsv"]);
}

/// Every model that a run writes opens in transformers with its tokenizer: the same ids, the same scores.
#[test]
fn a_written_model_is_the_same_in_transformers() {
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let import = Command::new(&python)
        .args(["-c", "import torch, transformers, safetensors"])
        .output();
    if !import.is_ok_and(|output| output.status.success()) {
        skipped(&format!(
            "{python} has no transformers (name another one in PYTHON)"
        ));
        return;
    }
    let workspace = Workspace::with_pairs();
    workspace.write_checkpoint("bert", ALL_HEADS);
    workspace.write_counts("counts.tsv");
    workspace.write(
        "rank.toml",
        "[data]\ntrain = \"train.tsv\"\ntest = \"test.tsv\"\n[vocab]\nmin_count = 1\n[checkpoint]\ndir = \"bert\"\n\
         [align]\ncounts = \"counts.tsv\"\n[train]\nepochs = 1\nwarmup_steps = 1\n[predict]\nswap = false\n",
    );
    for experiment in ["rank.toml", "experiment.toml"] {
        workspace.succeed(&[
            "run",
            experiment,
            "--out",
            "out",
            "--set",
            "predict.swap=false",
        ]);
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transformers/check.py");
        let mut check = Command::new(&python);
        check
            .arg(script)
            .arg(workspace.path("out/model"))
            .arg(workspace.path("test.tsv"));
        let output = check.output().expect("the script starts");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let found: serde_json::Value = serde_json::from_slice(&output.stdout).expect("one object");
        assert_eq!(found["pretraining"], experiment == "rank.toml");

        let mut dictionary = Dictionary::new(TokenKind::Number);
        let vocab = workspace.path("out/model/vocab.txt");
        let vocab = CipherVocab::open(&vocab, &mut dictionary).expect("the run's vocabulary");
        let test = workspace.path("test.tsv");
        let test = read_examples(
            &test,
            &ExampleFormat::default(),
            Labels::Ignored,
            &mut dictionary,
        )
        .expect("pairs");
        let ours = workspace.text("out/submission.csv");
        let rows = found["rows"].as_array().expect("a list");
        assert_eq!(rows.len(), test.examples.len());
        for ((row, pair), ours) in rows.iter().zip(&test.examples).zip(ours.lines()) {
            let pair = vocab.encode(pair);
            let ids: Vec<u32> = [
                vec![2],
                pair.a,
                vec![3],
                pair.b.expect("two texts"),
                vec![3],
            ]
            .concat();
            assert_eq!(row["ids"], serde_json::json!(ids));
            let (theirs, ours) = (
                row["score"].as_f64().expect("a number"),
                ours.parse::<f64>().expect("a number"),
            );
            assert!(
                (theirs - ours).abs() < 1e-4,
                "transformers {theirs}, ours {ours}"
            );
        }
        std::fs::remove_dir_all(workspace.path("out")).expect("the run folder");
    }
}
