//! `cipherpet run` from files to a run folder.

use cipherpet::metrics::auc;

use crate::demo::test_labels;
use crate::workspace::{ALL_HEADS, Workspace, metrics, skipped};

const RUN: [&str; 4] = ["run", "experiment.toml", "--out", "out"];

/// Everything that a run leaves.
const OUTPUTS: [&str; 12] = [
    "config.toml",
    "manifest.json",
    "mapping.tsv",
    "metrics.jsonl",
    "model",
    "report.html",
    "run.log",
    "submission.csv",
    "submission.csv.json",
    "submission.zip",
    "test.csv",
    "valid.csv",
];

#[test]
fn the_whole_job_from_scratch() {
    let workspace = Workspace::with_pairs();
    let output = workspace.run(&[&RUN[..], &["--json"]].concat());
    assert!(output.status.success(), "{}", workspace.transcript(&output));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("one object");
    for key in ["valid_auc", "seconds", "tokens_per_second"] {
        assert!(report[key].is_number(), "{key}: {report}");
    }
    assert_eq!(
        (&report["run"], &report["epochs"]),
        (&"out".into(), &2.into())
    );
    assert_eq!(report["submission"], "out/submission.csv");
    let stderr = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(
        stderr.lines().last(),
        Some("submission: out/submission.csv")
    );

    assert_eq!(workspace.names("out"), OUTPUTS);
    assert_eq!(metrics(&workspace.path("out/metrics.jsonl")).len(), 2);
    assert_eq!(workspace.text("out/submission.csv").lines().count(), 40);
    let valid = workspace.text("out/valid.csv");
    assert!(valid.starts_with("row,label,score\n0,"), "{valid}");
    assert_eq!(valid.lines().count(), 1 + 20);
    workspace.succeed(&["check", "out/submission.zip", "--test", "test.tsv"]);
}

#[test]
fn without_a_file_the_embedded_experiment_runs() {
    let workspace = Workspace::empty();
    let small = [
        "align.method=scratch",
        "model.layers=1",
        "model.hidden=16",
        "model.heads=2",
        "model.intermediate=32",
        "train.max_steps=1",
    ];
    let set = small.iter().flat_map(|assignment| ["--set", *assignment]);
    let run: Vec<&str> = ["run", "--json"].into_iter().chain(set).collect();
    let report: serde_json::Value =
        serde_json::from_str(&workspace.succeed(&run)).expect("one object");
    let folder = report["run"].as_str().expect("a path");
    assert!(folder.starts_with("runs/demo-"), "{folder}");
    assert!(
        workspace
            .text(&format!("{folder}/config.toml"))
            .contains("\"demo:train.tsv\"")
    );
    assert!(report["submission"].is_string());
    let manifest = workspace.json(&format!("{folder}/manifest.json"));
    assert!(manifest["corpora"].is_null(), "scratch reads no counts");
}

/// The whole default, as a newcomer meets it: its validation score, and the score on labels that only tests know.
#[test]
fn the_embedded_experiment_reaches_its_score() {
    if cfg!(debug_assertions) {
        skipped("kernels without optimisation take hours: use --release");
        return;
    }
    let workspace = Workspace::empty();
    let report = workspace.succeed(&["run", "--json", "--quiet", "--out", "out"]);
    let report: serde_json::Value = serde_json::from_str(&report).expect("one object");
    let valid_auc = report["valid_auc"]
        .as_f64()
        .expect("both classes are there");
    assert!(valid_auc > 0.87, "valid AUC {valid_auc}"); // .906 to .916 over three seeds
    let submission = workspace.text("out/submission.csv");
    let scores: Vec<f32> = submission
        .lines()
        .map(|line| line.parse().expect("a number"))
        .collect();
    let test_auc = auc(&test_labels(), &scores).expect("both classes are there");
    assert!(test_auc > 0.87, "test AUC {test_auc}");
    let manifest = workspace.json("out/manifest.json");
    let corpora = manifest["corpora"]["sources"].as_array();
    assert_eq!(corpora.map(Vec::len), Some(4));
}

#[test]
fn the_manifest_records_every_file_with_its_hash() {
    let workspace = Workspace::with_pairs();
    workspace.succeed(&RUN);
    let manifest = workspace.json("out/manifest.json");
    assert_eq!(manifest["state"], "done");
    let names = |list: &str| -> Vec<String> {
        let records = manifest[list].as_array().expect("a list");
        let name = |record: &serde_json::Value| record["path"].as_str().expect("a path").to_owned();
        records.iter().map(name).collect()
    };
    let inputs = names("inputs");
    assert!(
        inputs[0].ends_with("train.tsv") && inputs[1].ends_with("test.tsv"),
        "{inputs:?}"
    );
    let outputs = names("outputs");
    for name in [
        "mapping.tsv",
        "model/model.safetensors",
        "submission.zip",
        "run.log",
    ] {
        assert!(
            outputs.iter().any(|output| output == name),
            "{name} in {outputs:?}"
        );
    }
    for record in manifest["outputs"].as_array().expect("a list") {
        let path = format!("out/{}", record["path"].as_str().expect("a path"));
        assert_eq!(
            workspace.read(&path).len() as u64,
            record["bytes"],
            "{path}"
        );
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes_on_one_thread_and_on_two() {
    let workspace = Workspace::with_pairs();
    workspace.succeed(&["run", "experiment.toml", "--out", "one", "--threads", "1"]);
    workspace.succeed(&["run", "experiment.toml", "--out", "two", "--threads", "2"]);
    for name in [
        "submission.csv",
        "submission.zip",
        "valid.csv",
        "mapping.tsv",
        "model/model.safetensors",
    ] {
        let (one, two) = (
            workspace.read(&format!("one/{name}")),
            workspace.read(&format!("two/{name}")),
        );
        assert!(one == two, "{name} differs");
    }
    workspace.succeed(&["run", "experiment.toml", "--out", "other", "--seed", "1"]);
    assert_ne!(
        workspace.read("one/submission.csv"),
        workspace.read("other/submission.csv")
    );
}

#[test]
fn every_alignment_with_a_checkpoint() {
    let workspace = Workspace::with_pairs();
    let text = workspace.text("experiment.toml");
    let (before, rest) = text.split_once("[model]").expect("a section");
    let (_, train) = rest.split_once("[train]").expect("a section");
    let text = format!("{before}[train]{train}\n[checkpoint]\ndir = \"bert\"\n");
    workspace.write(
        "experiment.toml",
        text.replace("\"scratch\"", "\"rank\"\ncounts = \"counts.tsv\""),
    );
    workspace.write_checkpoint("bert", ALL_HEADS);
    workspace.write_counts("counts.tsv");
    workspace.succeed(&["run", "experiment.toml", "--out", "rank"]);
    let mapping = workspace.text("rank/mapping.tsv");
    let mut lines = mapping.lines();
    assert_eq!(
        lines.next(),
        Some(
            "cipher_id\tcount\tplain_token\tplain_count\tmethod\tmargin\tmutual\tconfidence\ttop3"
        )
    );
    assert!(
        lines
            .next()
            .is_some_and(|line| line.ends_with("\ta\t26\trank\t\t\t\t")),
        "{mapping}"
    );
    // 30 cipher ids, 26 letters
    assert_eq!(workspace.json("rank/manifest.json")["wrapped_ids"], 4);

    for (method, more) in [
        ("random", None),
        ("scratch", None),
        ("file", Some("align.file=rank/mapping.tsv")),
    ] {
        let method_set = format!("align.method={method}");
        let mut run = vec![
            "run",
            "experiment.toml",
            "--out",
            method,
            "--set",
            &method_set,
        ];
        run.extend(more.iter().flat_map(|more| ["--set", *more]));
        workspace.succeed(&run);
    }
    // The mapping that was used again leads to the same model.
    let weights = "model/model.safetensors";
    assert!(
        workspace.read(&format!("file/{weights}")) == workspace.read(&format!("rank/{weights}"))
    );
    assert!(
        workspace.read(&format!("random/{weights}")) != workspace.read(&format!("rank/{weights}"))
    );
}

/// A stage that looks at no label is a fit of its own; the stage behind it is told by what its tokens took.
#[test]
fn the_time_of_the_first_epoch_of_every_stage_is_told() {
    let workspace = Workspace::with_pairs();
    let stages = "[[stage]]\nname = \"masks\"\nobjective = \"mlm\"\nepochs = 1\n[[stage]]\nname = \"labels\"\n";
    let text = workspace.text("experiment.toml");
    workspace.write("experiment.toml", text + stages);
    workspace.succeed(&RUN);
    let log = workspace.text("out/run.log");
    let lines: Vec<&str> = log
        .lines()
        .filter(|line| line.starts_with("epoch "))
        .collect();
    let [first, timed, _, second, _, third, _] = &lines[..] else {
        panic!("{log}")
    };
    assert!(first.ends_with(", its time is not known yet"));
    assert!(timed.starts_with("epoch 1/1: about ") && timed.ends_with(" s of training"));
    for (line, begin) in [
        (second, "epoch 1/2 begins: "),
        (third, "epoch 2/2 begins: "),
    ] {
        assert!(line.starts_with(begin), "{line}");
        assert!(line.contains(" tokens, about "), "{line}");
    }
}

#[test]
fn max_steps_cuts_the_run_and_everything_is_written() {
    let workspace = Workspace::with_pairs();
    let json = workspace.succeed(&[&RUN[..], &["--json", "--set", "train.max_steps=3"]].concat());
    let report: serde_json::Value = serde_json::from_str(&json).expect("one object");
    assert_eq!(
        (&report["steps"], &report["epochs"]),
        (&3.into(), &1.into())
    );
    assert_eq!(workspace.names("out"), OUTPUTS);
}

#[test]
fn every_kind_of_validation() {
    let workspace = Workspace::with_pairs();
    workspace.write("valid.tsv", crate::workspace::pairs(30, 2, true));
    for (valid, rows) in [("valid.tsv", Some(30)), ("group", None), ("none", Some(0))] {
        let set = format!("data.valid={valid}");
        let out = format!("out-{valid}");
        let json = workspace.succeed(&[
            "run",
            "experiment.toml",
            "--json",
            "--out",
            &out,
            "--set",
            &set,
            "--set",
            "train.epochs=1",
        ]);
        let report: serde_json::Value = serde_json::from_str(&json).expect("one object");
        assert_eq!(report["valid_auc"].is_null(), valid == "none");
        let found = workspace.text(&format!("{out}/valid.csv")).lines().count() - 1;
        if let Some(rows) = rows {
            assert_eq!(found, rows, "{valid}");
        }
    }
}

#[test]
fn a_run_without_a_test_file_has_no_submission() {
    let workspace = Workspace::with_pairs();
    let text = workspace
        .text("experiment.toml")
        .replace("test = \"test.tsv\"\n", "");
    workspace.write("experiment.toml", text);
    let output = workspace.run(&[&RUN[..], &["--json"]].concat());
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("one object");
    assert!(report["submission"].is_null());
    assert!(!workspace.exists("out/submission.csv"));
    let stderr = String::from_utf8(output.stderr).expect("UTF-8");
    let last = "no submission, as there is no data.test; run: out";
    assert_eq!(stderr.lines().last(), Some(last));
}

#[test]
fn a_byte_order_mark_and_crlf_change_nothing() {
    let workspace = Workspace::with_pairs();
    workspace.succeed(&["run", "experiment.toml", "--out", "plain"]);
    for name in ["train.tsv", "test.tsv"] {
        let text = workspace.text(name).replace('\n', "\r\n");
        workspace.write(name, format!("\u{feff}{text}"));
    }
    workspace.succeed(&["run", "experiment.toml", "--out", "windows"]);
    assert_eq!(
        workspace.read("plain/submission.csv"),
        workspace.read("windows/submission.csv")
    );
}

#[test]
fn labels_of_a_test_file_are_ignored_and_this_is_said_once() {
    let workspace = Workspace::with_pairs();
    workspace.succeed(&["run", "experiment.toml", "--out", "without"]);
    let flip = |line: &str| format!("{line}\t1\n");
    let labelled: String = workspace.text("test.tsv").lines().map(flip).collect();
    workspace.write("test.tsv", labelled);
    let output = workspace.run(&["run", "experiment.toml", "--out", "with"]);
    let stderr = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(
        stderr
            .matches("test.tsv: has labels, which are ignored")
            .count(),
        1,
        "{stderr}"
    );
    assert_eq!(
        workspace.read("without/submission.csv"),
        workspace.read("with/submission.csv")
    );
}

#[cfg(unix)]
#[test]
fn a_disk_that_fills_up_in_training_leaves_whole_files_only() {
    let workspace = Workspace::with_pairs();
    // Files may not pass 32 blocks (16 or 32 KB, by the shell): the model is the one that is larger.
    let command = workspace.command(&RUN);
    let limited = "trap '' XFSZ; ulimit -f 32; exec \"$0\" \"$@\"";
    let output = std::process::Command::new("sh")
        .args(["-c", limited])
        .arg(command.get_program())
        .args(command.get_args())
        .current_dir(workspace.path(""))
        .output()
        .expect("a shell");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("error: cannot write "), "{stderr}");
    assert!(stderr.contains("too large"), "{stderr}");
    assert_eq!(metrics(&workspace.path("out/metrics.jsonl")).len(), 1);
    assert_eq!(workspace.json("out/manifest.json")["state"], "begun");
    let left: Vec<String> = workspace
        .names("out")
        .into_iter()
        .filter(|name| name != "model")
        .collect();
    assert_eq!(
        left,
        [
            "config.toml",
            "manifest.json",
            "mapping.tsv",
            "metrics.jsonl",
            "run.log"
        ]
    );
    if workspace.exists("out/model") {
        let whole = ["config.json"]; // small, and written before the weights
        assert!(
            workspace
                .names("out/model")
                .iter()
                .all(|name| whole.contains(&name.as_str()))
        );
    }
}
