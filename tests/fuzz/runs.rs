//! Readers of experiments and of run folders: settings, manifest, figures, scores, models, whole reports and ensembles.
//!
//! Out: [`Reader`]s with good files, written by hand so that they are the same bytes everywhere. Damages nothing.

use std::path::{Path, PathBuf};

use cipherpet::config::{self, Settings};
use cipherpet::data::{LabelKind, reserved};
use cipherpet::error::{Error, Result};
use cipherpet::hash::sha256;
use cipherpet::progress::Progress;
use cipherpet::workbench::ensemble::{How, ensemble};
use cipherpet::workbench::predict::{PredictOptions, predict};
use cipherpet::workbench::run_folder::done::FoldOutcome;
use cipherpet::workbench::run_folder::folder::look;
use cipherpet::workbench::run_folder::manifest::{Identity, Manifest};
use cipherpet::workbench::run_folder::results::Results;
use cipherpet::workbench::{Stop, board, pack, report, score};
use serde_json::{Value, json};

use crate::input::Input;
use crate::models;
use crate::reader::{Reader, silently};
use crate::tables::{PAIRS, TEST};

const EXPERIMENT: &str = r#"preset = "fast"
seed = 3
[task]
kind = "pair"
labels = "binary"
metric = "auc"
[data]
train = ["train.tsv"]
test = "test.tsv"
unlabelled = "test.tsv"
valid = 0.2
delimiter = "\t"
text_a = 1
text_b = 2
label = 3
max_tokens = 20
[folds]
k = 2
assign = "stratified"
repeats = 2
full = true
[vocab]
min_count = 1
[checkpoint]
dir = "demo:"
[align]
method = "graph"
counts = "demo:counts.tsv"
plain = ["train.tsv"]
plain_weights = [1.0]
unit = "char"
[model]
positions = 64
[objective]
name = "pet"
mlm_weight = 0.5
[predict]
swap = true
[submit]
format = "csv"
id_column = "id"
score_column = "score"
probability = true
[grid]
train.batch = [8, 16]
seed = [1, 2, 3]
[train]
epochs = 2
learning_rate = 1e-4
warmup_steps = 0.1
schedule = "linear"
layer_decay = 0.9
[[stage]]
name = "adapt"
objective = "mlm"
rows = ["labelled", "test"]
epochs = 1
[[stage]]
name = "learn"
objective = "ce"
head = "pooler"
max_steps = 30
adversarial = "pgd"
average = "swa"
average_epochs = 1
mask_unit = "pmi"
[distill]
weight = 0.5
"#;

const ASSIGNMENTS: &str = "preset=best\ntrain.batch=8\ndata.test=demo:test.tsv\nalign.method=random\ngrid.seed=[1, 2]\n\
                           data.train=[\"demo:train.tsv\"]\nstage.learn.epochs=3\ntrain = {dropout = 0.2}\n";

pub fn readers() -> Vec<Reader> {
    let mut readers = experiments();
    let kinds = [
        ("run-binary", LabelKind::Binary, false),
        ("run-folds", LabelKind::Binary, true),
        ("run-classes", LabelKind::Classes, true),
        ("run-several", LabelKind::Multilabel, false),
        ("run-ordinal", LabelKind::Ordinal, false),
    ];
    let of = |(name, labels, has_folds)| {
        let mut files = inputs(labels);
        files.extend(run("run", labels, has_folds));
        Reader::new(name, 700, files, read_run)
    };
    readers.extend(kinds.map(of));
    readers.extend([blend("ensemble", LabelKind::Binary, true)]);
    readers.extend([blend("ensemble-classes", LabelKind::Classes, false)]);
    readers.push(prediction());
    readers
}

fn experiments() -> Vec<Reader> {
    let rows = || inputs(LabelKind::Binary).into_iter().map(Input::fixed);
    let mut files: Vec<Input> = rows().collect();
    files.push(Input::new("experiment.toml", EXPERIMENT));
    let of_file = Reader::new("experiment", 5000, files, |folder| {
        let file = folder.join("experiment.toml");
        config::load(Some(&file), &[])?;
        config::load_cells(Some(&file), &[])?
            .iter()
            .try_for_each(settle)
    });
    let mut files: Vec<Input> = rows().collect();
    files.push(Input::new("experiment.toml", EXPERIMENT).fixed());
    files.push(Input::new("assignments", ASSIGNMENTS));
    let of_assignments = Reader::new("assignments", 2500, files, |folder| {
        let bytes = std::fs::read(folder.join("assignments")).expect("it was written");
        let text = String::from_utf8_lossy(&bytes);
        let assignments: Vec<String> = text.split('\n').map(str::to_owned).collect();
        let assignments = &assignments[..assignments.len().min(20)];
        // Without the file as well: relative paths and keys of lists are others then.
        let _ = assignments.iter().try_for_each(|assignment| {
            config::load_cells(None, std::slice::from_ref(assignment))
                .and_then(|cells| cells.iter().try_for_each(settle))
        });
        let filled = assignments.iter().filter(|text| !text.is_empty());
        let filled: Vec<String> = filled.cloned().collect();
        config::load_cells(Some(&folder.join("experiment.toml")), &filled)?
            .iter()
            .try_for_each(settle)
    });
    vec![of_file, of_assignments]
}

/// What every command does with settings before it works.
fn settle(loaded: &config::Loaded) -> Result<()> {
    let experiment = &loaded.experiment;
    experiment.to_toml()?;
    experiment.sha256()?;
    loaded.check()?;
    experiment.stages();
    experiment.inputs();
    experiment.fold_options();
    experiment.format().check()
}

fn class_names(labels: LabelKind) -> &'static [&'static str] {
    match labels {
        LabelKind::Binary => &["0", "1"],
        LabelKind::Classes | LabelKind::Multilabel => &["sport", "news", "7"],
        LabelKind::Ordinal => &[],
    }
}

/// The label of a row in the file of pairs.
fn label(labels: LabelKind, row: usize) -> String {
    match labels {
        LabelKind::Binary => (row % 2).to_string(),
        LabelKind::Classes => class_names(labels)[row % 3].to_owned(),
        LabelKind::Multilabel => ["", "sport", "news,7"][row % 3].to_owned(),
        LabelKind::Ordinal => format!("{:.1}", (row % 5) as f32 / 2.0),
    }
}

const ROWS: usize = 12;

/// `train.tsv` and `test.tsv`.
fn inputs(labels: LabelKind) -> Vec<Input> {
    vec![
        Input::new("train.tsv", train(labels)),
        Input::new("test.tsv", TEST),
    ]
}

fn train(labels: LabelKind) -> String {
    let rows = (0..ROWS).zip(PAIRS.lines().cycle());
    rows.map(|(row, line)| {
        let (texts, _) = line.rsplit_once('\t').expect("a label");
        format!("{texts}\t{}\n", label(labels, row))
    })
    .collect()
}

/// The folder of a run that is done.
fn run(folder: &str, labels: LabelKind, has_folds: bool) -> Vec<Input> {
    let at = |name: &str| format!("{folder}/{name}");
    let (manifest, settings) = (manifest(labels, has_folds), settings(labels, has_folds));
    let scores = "{\"date\":\"2026-01-02T03:04:05Z\",\"score\":0.75,\"note\":\"A\"}\n";
    let mapping = "cipher_id\tcount\tplain_token\tplain_count\tmethod\tmargin\tmutual\tconfidence\ttop3\n\
                   1\t5\ta\t20\trank\t\t\t\t\n2\t4\tb\t0\trank\t\t\t\t\n";
    let mut files = vec![
        Input::new(&at("manifest.json"), format!("{manifest:#}\n")),
        Input::new(&at("config.toml"), settings),
        Input::new(&at("public_scores.jsonl"), scores),
        Input::new(&at("mapping.tsv"), mapping),
        Input::new(&at("test.csv"), table(labels, 3, false, true)),
    ];
    let models: &[&str] = match has_folds {
        true => &["fold-1/", "fold-2/"],
        false => &[""],
    };
    for model in models {
        files.push(Input::new(
            &at(&format!("{model}metrics.jsonl")),
            epochs(labels),
        ));
        let valid = table(labels, ROWS, false, false);
        if has_folds {
            let done = format!("{}\n", outcome(labels, Some(&valid)));
            files.push(Input::new(&at(&format!("{model}DONE")), done));
        }
        files.push(Input::new(&at(&format!("{model}valid.csv")), valid));
        let kept = at(&format!("{model}model"));
        files.extend(models::run_model(&kept, 7));
        let names = reserved::NAMES.join("\n");
        let vocabulary = format!("{names}\n1\n2\n3\n4\n5\n6\n7\n");
        files.push(Input::new(&format!("{kept}/vocab.txt"), vocabulary));
    }
    if has_folds {
        files.push(Input::new(&at("oof.csv"), table(labels, ROWS, true, false)));
    }
    files
}

fn settings(labels: LabelKind, has_folds: bool) -> String {
    let (kind, name) = (labels.name(), ["pet", "ce", "bce", "mse"][labels as usize]);
    let folds = if has_folds { 2 } else { 0 };
    format!(
        "seed = 1\n[task]\nlabels = \"{kind}\"\n[data]\ntrain = [\"../train.tsv\"]\ntest = \"../test.tsv\"\nvalid = 0.5\nmax_tokens = 20\n\
         [folds]\nk = {folds}\n[vocab]\nmin_count = 1\n[align]\nmethod = \"scratch\"\n[objective]\nname = \"{name}\"\n"
    )
}

fn metric(labels: LabelKind) -> &'static str {
    ["auc", "macro_f1", "mean_auc", "spearman"][labels as usize]
}

/// What a fit has come to; with a table of scores, what a fold has.
fn outcome(labels: LabelKind, valid: Option<&str>) -> Value {
    let mut outcome = json!({
        "metric": metric(labels), "valid_score": 0.75, "valid_auc": 0.75, "scores": {metric(labels): 0.75},
        "best_epoch": 1, "epochs": 2, "steps": 12, "seconds": 90.5, "tokens_per_second": 1000.25,
        "peak_rss_bytes": 123456789, "submission": true,
    });
    if let Some(valid) = valid {
        outcome["fold"] = 1.into();
        outcome["kernel_path"] = "f32 avx2".into();
        outcome["valid_sha256"] = sha256(valid).into();
    }
    outcome
}

fn manifest(labels: LabelKind, has_folds: bool) -> Value {
    let record = |key: &str, path: &str, content: &str| json!({"key": key, "path": path, "bytes": content.len(), "sha256": sha256(content)});
    let mut result = outcome(labels, None);
    if has_folds {
        let fold = outcome(labels, Some(""));
        let more = json!({
            "folds": [fold, fold], "full": null, "oof_score": 0.75, "oof_score_low": 0.5, "oof_score_high": 0.875,
            "fold_score_mean": 0.75, "fold_score_sd": 0.125, "oof_auc": 0.75, "oof_auc_low": 0.5, "oof_auc_high": 0.875,
            "fold_auc_mean": 0.75, "fold_auc_sd": 0.125,
            "leakage": {
                "assign": "row", "row_auc": 0.75, "row_score": 0.75, "row_rows": ROWS, "grouped_auc": 0.625,
                "grouped_score": 0.625, "grouped_rows": 4,
                "shares": {"between_folds": 0.5, "test_with_train": 0.25},
            },
        });
        let more = more.as_object().expect("an object").clone();
        result.as_object_mut().expect("an object").extend(more);
    }
    let kinds = json!({"kind": "pair", "labels": labels.name(), "classes": class_names(labels)});
    let mut manifest = json!({
        "tool": "cipherpet 0.1.0", "state": "done", "config_sha256": sha256(labels.name()),
        "inputs": [record("data.train", "../train.tsv", &train(labels)), record("data.test", "../test.tsv", TEST)],
        "submit_sha256": sha256("submit"), "task": kinds, "predict": {"swap": false}, "seed": 1, "threads": 2,
        "kernel_path": "f32 avx2", "cpu": "a processor", "corpora": null, "wrapped_ids": 0, "outputs": [],
        "result": result,
    });
    if labels == LabelKind::Ordinal {
        manifest["alignment"] = json!({
            "unit": "char", "units": [{"unit": "char", "plain_types": 9, "plain_tokens": 90, "likelihood": -2.5}],
            "plain_types": 9, "stability": 0.5, "rounds": 2, "restarts": 1, "anchors": 0, "cipher_types": 7, "matched": 5, "mutual_best": 3, "likelihood": -2.5,
            "likelihood_rank": -3.5, "likelihood_shuffled": -4.5,
            "coverage": [{"first": 1, "last": 7, "types": 7, "tokens": 1.0, "trusted": 0.5}],
        });
    }
    manifest
}

/// `metrics.jsonl`
fn epochs(labels: LabelKind) -> String {
    let line = |epoch: usize| {
        let mut line = outcome(labels, None);
        for (key, value) in [
            ("loss", 0.5),
            ("learning_rate", 1e-4),
            ("mlm_loss", 2.5),
            ("label_loss", 0.25),
        ] {
            line[key] = value.into();
        }
        line["epoch"] = epoch.into();
        for key in ["best_epoch", "epochs", "peak_rss_bytes", "submission"] {
            line.as_object_mut().expect("an object").remove(key);
        }
        format!("{line}\n")
    };
    (1..=2).map(line).collect()
}

/// `valid.csv`, `oof.csv` or, with no labels, `test.csv`.
fn table(labels: LabelKind, rows: usize, has_folds: bool, is_test: bool) -> String {
    let names = class_names(labels);
    let each =
        |what: &str| -> Vec<String> { names.iter().map(|name| format!("{what}:{name}")).collect() };
    let one = |what: &str| vec![what.to_owned()];
    let (of_labels, of_scores) = match labels {
        LabelKind::Binary | LabelKind::Ordinal => (one("label"), one("score")),
        LabelKind::Classes => (one("label"), each("score")),
        LabelKind::Multilabel => (each("label"), each("score")),
    };
    let with = |row: String, of_labels: Vec<String>, of_scores: Vec<String>, fold: String| {
        let mut fields = vec![row];
        fields.extend(of_labels.into_iter().filter(|_| !is_test));
        fields.extend(of_scores);
        fields.extend(has_folds.then_some(fold));
        fields.join(",") + "\n"
    };
    let n_scores = of_scores.len();
    let mut text = with("row".to_owned(), of_labels, of_scores, "fold".to_owned());
    for row in 0..rows {
        let of_labels = match labels {
            LabelKind::Multilabel => (0..3).map(|class| (row >> class & 1).to_string()).collect(),
            _ => vec![label(labels, row)],
        };
        let score = |column: usize| format!("{}", (row * 7 + column * 3) as f32 % 5.0 - 2.25);
        let of_scores = (0..n_scores).map(score).collect();
        text += &with(
            row.to_string(),
            of_labels,
            of_scores,
            (1 + row % 3 % 2).to_string(),
        );
    }
    text
}

/// Everything that reads a run and trains nothing.
fn read_run(folder: &Path) -> Result<()> {
    let run = folder.join("run");
    let out = folder.join("out");
    board::board(folder)?;
    let report = |runs: &[PathBuf]| report::report(runs, Some(&out), &Progress::silent());
    let results = [
        report(std::slice::from_ref(&run)).map(drop),
        report(&[run.clone(), run.clone()]).map(drop),
        score::read(&run).map(drop),
        Manifest::read(&run).map(drop),
        FoldOutcome::read(&run.join("fold-1")).map(drop),
        pack::pack(&run, &out, true, &Stop::default()).map(drop),
        standing(&run),
        test_scores(&run),
    ];
    results.into_iter().collect()
}

fn standing(run: &Path) -> Result<()> {
    let Ok(loaded) = config::load(Some(&run.join("config.toml")), &[]) else {
        return Ok(()); // a reader of its own
    };
    let identity = Identity::of(&loaded.experiment)?;
    // The good run is refused too: its hash is made up.
    match look(run, &loaded.experiment, &identity) {
        Err(error @ Error::Unexpected(_)) => Err(error),
        _ => Ok(()),
    }
}

fn test_scores(run: &Path) -> Result<()> {
    let results = Results::open(run)?;
    results.folds();
    results.folds_done();
    results.parameters();
    results.test_scores()?;
    results.labelled_scores().map(drop)
}

/// Two runs of one kind.
fn blend(name: &'static str, labels: LabelKind, has_folds: bool) -> Reader {
    let mut files = inputs(labels);
    files.extend(run("run", labels, has_folds));
    files.extend(
        run("other", labels, has_folds)
            .into_iter()
            .map(Input::fixed),
    );
    files.retain(|file| !file.name.contains("/model/") && !file.name.ends_with(".jsonl"));
    Reader::new(name, 500, files, |folder| {
        let runs: [PathBuf; 2] = ["run", "other"].map(|name| folder.join(name));
        let out = folder.join("out");
        for how in [How::Weights, How::Mean, How::Rank, How::Logit] {
            silently(|context| ensemble(&runs, how, &out, &[], context))?;
            std::fs::remove_dir_all(&out).expect("it was written");
        }
        Ok(())
    })
}

/// Rows scored by a run's model.
fn prediction() -> Reader {
    let mut files = inputs(LabelKind::Binary);
    files.extend(run("run", LabelKind::Binary, false));
    Reader::new("predict", 1000, files, |folder| {
        let (run, rows, out) = (
            folder.join("run"),
            folder.join("test.tsv"),
            folder.join("out"),
        );
        let options = PredictOptions::default();
        silently(|context| predict(&run, &rows, &out, options, context)).map(drop)
    })
}
