//! Tests on material that is not part of the project: real competition files, a pretrained checkpoint, and
//! a Python with transformers. Each is skipped, and says so, where what it needs is absent.

use std::path::{Path, PathBuf};
use std::process::Command;

use cipherpet::checkpoint::{
    Checkpoint, FloatType, Heads, Positions, Problem, read::read_model, save_labelled,
};
use cipherpet::data::reserved::SEP;
use cipherpet::data::{
    Assign, Classes, Dictionary, ExampleFormat, FoldOptions, Folds, Labels, PackedBatch, TokenKind,
    TokenTypes, read_examples,
};
use cipherpet::kernels::{self, path::Precision};
use cipherpet::model::{Bert, Pass, Pooling};
use cipherpet::random::Key;
use cipherpet::vocab::CipherVocab;
use dfdx::prelude::{AsArray, Backward, MeanTo, NoneTape};

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
    let mut classes = Classes::new(&format);
    let mut read = |path: &Path, labels: Labels<'_>| {
        let file = read_examples(path, &format, labels, &mut dictionary);
        file.expect("the competition's file").examples
    };
    let train = read(&train, Labels::Required(&mut classes));
    let test = read(&test, Labels::Ignored);
    let task = format.task(&classes).expect("two classes");
    let options = FoldOptions {
        k: 5,
        repeats: 1,
        assign: Assign::Auto,
        near: None,
    };
    let folds = Folds::deal(&train, &test, options, &task).expect("enough rows of both labels");
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

/// The Python of `PYTHON`; `None`, and a message, where it has not all of these modules.
fn python_with(modules: &str) -> Option<String> {
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let import = Command::new(&python)
        .args(["-c", &format!("import {modules}")])
        .output();
    if import.is_ok_and(|output| output.status.success()) {
        return Some(python);
    }
    skipped(&format!(
        "{python} has not all of {modules} (name another one in PYTHON)"
    ));
    None
}

/// Token ids of rows of two texts; 103 is `[MASK]`.
const ALBERT_ROWS: [&[u32]; 3] = [
    &[101, 2769, 103, 3614, 1391, 5735, 3362, 102, 5735, 103, 102],
    &[101, 102],
    &[
        101, 791, 1921, 1921, 3698, 103, 2523, 1962, 102, 103, 1921, 102,
    ],
];

/// An ALBERT that others have trained: states, logits, loss and gradients as transformers has them.
#[test]
fn an_albert_of_others_is_the_same_in_transformers() {
    let Some(folder) = shared("models/albert-tiny-chinese") else {
        return;
    };
    let checkpoint = Checkpoint::open(&folder).expect("an ALBERT");
    assert_eq!(checkpoint.heads, Heads::MLM);
    assert_eq!(checkpoint.config.embedding_size(), 128);
    assert_eq!(checkpoint.config.layer_order(), [0; 4]);
    let Some(python) = python_with("torch, transformers, safetensors") else {
        return;
    };
    let workspace = Workspace::empty();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transformers/albert.py");
    workspace.write("rows.json", serde_json::json!(ALBERT_ROWS).to_string());
    let status = Command::new(python)
        .arg(script)
        .arg(&folder)
        .args(["rows.json", "theirs.safetensors"].map(|name| workspace.path(name)))
        .status();
    assert!(status.expect("the script starts").success());
    let bytes = workspace.read("theirs.safetensors");
    let theirs = safetensors::SafeTensors::deserialize(&bytes).expect("a sound file");
    let assert_near = |name: &str, ours: &[f32], tolerance: f32| {
        let view = theirs.tensor(name).expect("the script writes it");
        let theirs = view.data().chunks_exact(4);
        let theirs = theirs.map(|b| f32::from_le_bytes(b.try_into().expect("4 bytes")));
        assert_eq!(ours.len(), theirs.len(), "{name}");
        for (i, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
            let near = (ours - theirs).abs() < tolerance * theirs.abs().max(1.0);
            assert!(near, "{name}[{i}]: ours {ours}, theirs {theirs}");
        }
    };

    let Checkpoint {
        config,
        weights,
        heads,
        ..
    } = checkpoint;
    let path = kernels::path::Path::resolve(Precision::F32);
    let model = Bert::new(config, heads, path, weights).expect("all weights");
    let mut batch = PackedBatch::default();
    for ids in ALBERT_ROWS {
        let first = ids.iter().position(|&id| id == 102).expect("a [SEP]") + 1;
        let segments: Vec<u32> = (0..ids.len()).map(|i| u32::from(i >= first)).collect();
        batch.push(ids, &segments);
    }
    let all: Vec<u32> = (0..batch.n_tokens() as u32).collect();
    let states = model.encode(&Pass::prediction(&batch, &all), NoneTape);
    assert_near("states", &states.as_vec(), 2e-5);
    let masked = |&at: &u32| batch.input_ids[at as usize] == 103;
    let places: Vec<u32> = all.iter().copied().filter(masked).collect();
    let few: Vec<u32> = (1000..1100).collect();
    let pass = Pass::prediction(&batch, &places);
    let logits = model.token_logits(model.encode(&pass, NoneTape), &few);
    assert_near("logits", &logits.as_vec(), 1e-4);
    let targets: Vec<u32> = (0..places.len() as u32).map(|i| 1000 + i).collect();
    let states = model.encode(&pass, model.tape());
    let loss = model.mlm_losses(states, &targets).mean();
    assert_near("loss", &[loss.array()], 5e-5); // it is 12.3
    loss.backward();
    let saved = save_labelled(
        &workspace.path("gradients"),
        &model.config,
        &model.take_gradients(),
        (heads, &cipherpet::checkpoint::Labels::unnamed(0)),
        FloatType::F32,
    );
    saved.expect("room for them");
    let bytes = workspace.read("gradients/model.safetensors");
    let gradients = safetensors::SafeTensors::deserialize(&bytes).expect("just written");
    assert_eq!(gradients.len(), theirs.len() - 3);
    for (name, view) in gradients.tensors() {
        let ours = view.data().chunks_exact(4);
        let ours = ours.map(|b| f32::from_le_bytes(b.try_into().expect("4 bytes")));
        assert_near(&format!("grad.{name}"), &ours.collect::<Vec<_>>(), 5e-4); // they reach 17
    }
}

#[test]
fn weights_stored_by_torch_are_those_of_the_safetensors_file() {
    let Some(bert) = shared("models/zh-bert-mini") else {
        return;
    };
    let Some(python) = python_with("torch, safetensors") else {
        return;
    };
    let workspace = Workspace::empty();
    for name in ["config.json", "vocab.txt"] {
        workspace.write(name, std::fs::read(bert.join(name)).expect("readable"));
    }
    let script = "import sys, torch; from safetensors.torch import load_file; \
                  torch.save(load_file(sys.argv[1]), sys.argv[2])";
    let stored = Command::new(python)
        .args(["-c", script])
        .args([
            bert.join("model.safetensors"),
            workspace.path("pytorch_model.bin"),
        ])
        .status();
    assert!(stored.expect("the script starts").success());
    let by_torch = Checkpoint::open(&workspace.path("")).expect("the file of torch");
    let by_safetensors = Checkpoint::open(&bert).expect("the checkpoint");
    assert!(by_torch.weights == by_safetensors.weights);
    assert_eq!(by_torch.heads, by_safetensors.heads);
}

/// What transformers finds in a model folder; `None`, and a message, where there is no Python with it.
fn in_transformers(folder: &Path, pairs: &Path) -> Option<serde_json::Value> {
    let python = python_with("torch, transformers, safetensors")?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transformers/check.py");
    let output = Command::new(&python)
        .arg(script)
        .args([folder, pairs])
        .output();
    let output = output.expect("the script starts");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    Some(serde_json::from_slice(&output.stdout).expect("one object"))
}

/// A run that starts from a checkpoint, `rank.toml`, and one from nothing, `experiment.toml`.
fn two_experiments() -> Workspace {
    let workspace = Workspace::with_pairs();
    workspace.write_checkpoint("bert", ALL_HEADS);
    workspace.write_albert("albert", ALL_HEADS);
    workspace.write_with_positions("roformer", Heads::MLM, Positions::Rotary);
    workspace.write_counts("counts.tsv");
    workspace.write(
        "rank.toml",
        "[data]\ntrain = \"train.tsv\"\ntest = \"test.tsv\"\n[vocab]\nmin_count = 1\n[checkpoint]\ndir = \"bert\"\n\
         [align]\ncounts = \"counts.tsv\"\n[train]\nepochs = 1\nwarmup_steps = 1\n[predict]\nswap = false\n",
    );
    workspace
}

/// The test rows as the model in `out/model` reads them: `[CLS] a [SEP] b [SEP]`.
fn test_rows(workspace: &Workspace) -> Vec<Vec<u32>> {
    let mut dictionary = Dictionary::new(TokenKind::Number);
    let vocab = workspace.path("out/model/vocab.txt");
    let vocab = CipherVocab::open(&vocab, &mut dictionary).expect("the run's vocabulary");
    let (format, labels) = (ExampleFormat::default(), Labels::Ignored);
    let test = read_examples(
        &workspace.path("test.tsv"),
        &format,
        labels,
        &mut dictionary,
    );
    let pairs = test.expect("pairs").examples;
    let row = |pair| {
        let pair = vocab.encode(pair);
        [
            vec![2],
            pair.a,
            vec![3],
            pair.b.expect("two texts"),
            vec![3],
        ]
        .concat()
    };
    pairs.iter().map(row).collect()
}

/// Every model that a run writes opens in transformers with its tokenizer: the same ids, the same scores.
#[test]
fn a_written_model_is_the_same_in_transformers() {
    let workspace = two_experiments();
    let albert = workspace
        .text("rank.toml")
        .replace("\"bert\"", "\"albert\"");
    workspace.write("albert.toml", albert);
    let roformer = workspace
        .text("rank.toml")
        .replace("\"bert\"", "\"roformer\"");
    workspace.write("roformer.toml", roformer);
    for (experiment, mark, class) in [
        ("rank.toml", true, "BertForMaskedLM"),
        ("experiment.toml", true, "BertForMaskedLM"),
        ("rank.toml", false, "BertForMaskedLM"),
        ("albert.toml", true, "AlbertForMaskedLM"),
        ("roformer.toml", true, "RoFormerForMaskedLM"),
    ] {
        let (swap, marks) = ("predict.swap=false", format!("data.mark_shared={mark}"));
        let precision = "train.precision=f32"; // as theirs
        let settings = ["--set", swap, "--set", &marks, "--set", precision];
        workspace.succeed(&[&["run", experiment, "--out", "out"][..], &settings].concat());
        let (model, test) = (workspace.path("out/model"), workspace.path("test.tsv"));
        let Some(found) = in_transformers(&model, &test) else {
            return;
        };
        let has_nsp = !matches!(experiment, "experiment.toml" | "roformer.toml");
        assert_eq!(found["pretraining"], has_nsp);
        assert_eq!(found["model"], class);
        assert!(found["labels"].is_null());
        assert_eq!(found["marks"], mark);

        let test = test_rows(&workspace);
        let ours = workspace.text("out/submission.csv");
        let rows = found["rows"].as_array().expect("a list");
        assert_eq!(rows.len(), test.len());
        for ((row, ids), ours) in rows.iter().zip(&test).zip(ours.lines()) {
            assert_eq!(row["ids"], serde_json::json!(ids));
            let (theirs, ours) = (
                row["score"].as_f64().expect("a number"),
                ours.parse::<f64>().expect("a number"),
            );
            assert!(
                (theirs - ours).abs() < 1e-5,
                "transformers {theirs}, ours {ours}"
            );
        }
        std::fs::remove_dir_all(workspace.path("out")).expect("the run folder");
    }
}

/// A classifier beside the BERT opens as `BertForSequenceClassification`, with its labels and the same outputs.
#[test]
fn a_written_classifier_is_the_same_in_transformers() {
    let workspace = two_experiments();
    workspace.succeed(&["run", "rank.toml", "--out", "out"]);
    let folder = workspace.path("out/model");
    let (config, weights, heads) = read_model(&folder).expect("what the run has written");
    let wanted = heads.and(Heads {
        classifier: Some(3),
        ..Heads::default()
    });
    let (f32, key) = (Precision::F32, Key::from_seed(1));
    let model = Bert::with_fresh_heads(
        config,
        wanted,
        kernels::path::Path::resolve(f32),
        weights,
        key,
    );
    let (model, fresh) = model.expect("a classifier beside the rest");
    assert_eq!(fresh.to_string(), "classifier");
    let labels = cipherpet::checkpoint::Labels {
        names: ["no", "perhaps", "yes"].map(str::to_owned).to_vec(),
        problem: Problem::SingleLabelClassification,
    };
    let (config, weights) = (&model.config, model.weights());
    save_labelled(
        &folder,
        config,
        &weights,
        (model.heads, &labels),
        FloatType::F32,
    )
    .expect("room for a small model");
    let (_, read, heads) = read_model(&folder).expect("just written");
    assert_eq!((read, heads), (weights, wanted));

    let Some(found) = in_transformers(&folder, &workspace.path("test.tsv")) else {
        return;
    };
    assert_eq!(found["labels"], serde_json::json!(labels.names));
    let rows = found["rows"].as_array().expect("a list");
    for (row, ids) in rows.iter().zip(test_rows(&workspace)) {
        let texts: Vec<&[u32]> = ids[1..].split(|&id| id == SEP).collect();
        let mut batch = PackedBatch::default();
        let types = match model.config.mark_shared {
            true => TokenTypes::Shared,
            false => TokenTypes::Zero,
        };
        batch.push_texts(texts[0], Some(texts[1]), types);
        assert_eq!(batch.input_ids, ids);
        let states = model.encode(&Pass::prediction(&batch, &[0]), NoneTape);
        let ours = model.classify(model.pool(states, Pooling::Tanh)).as_vec();
        let theirs = row["class_logits"].as_array().expect("a list");
        for (ours, theirs) in ours.iter().zip(theirs) {
            let theirs = theirs.as_f64().expect("a number") as f32;
            assert!((theirs - ours).abs() < 1e-5, "{theirs} {ours}");
        }
    }
}
