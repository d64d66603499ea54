//! `objective = "simbert"`: from scratch, from a checkpoint, after a stage, cut and resumed, and what it refuses.

use crate::workspace::{ALL_HEADS, Workspace, metrics};

/// The settings of a run that learns it.
const SIMBERT: [&str; 4] = [
    "run",
    "experiment.toml",
    "--set=objective.name=simbert",
    "--set=train.batch=16",
];

fn run<'a>(out: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&SIMBERT[..], &["--out", out], more].concat()
}

fn scores(workspace: &Workspace, file: &str) -> Vec<f32> {
    let text = workspace.text(file);
    text.lines().map(|x| x.parse().expect("a score")).collect()
}

#[test]
fn both_losses_fall_and_scores_are_cosines_of_texts_read_apart() {
    let workspace = Workspace::with_pairs();
    let more = [
        "--set=train.epochs=12",
        "--set=train.learning_rate=0.01",
        "--set=train.dropout=0",
    ];
    workspace.succeed(&run("out", &more));
    let epochs = metrics(&workspace.path("out/metrics.jsonl"));
    let loss = |epoch: usize, part: &str| epochs[epoch][part].as_f64().expect("a loss");
    for (part, share) in [("similarity_loss", 0.5), ("generation_loss", 0.95)] {
        let (first, last) = (loss(0, part), loss(11, part));
        assert!(last < share * first, "{part}: {first} {last}");
    }
    // The label is that the second text is the first reversed: with the same tokens a vector can tell it.
    let auc = epochs[11]["valid_score"].as_f64().expect("both labels");
    assert!(auc > 0.9, "{auc}");

    let of_run = scores(&workspace, "out/submission.csv");
    assert!(of_run.iter().all(|score| (-1.0..=1.0).contains(score)));
    let predict = |out: &'static str, flags: &[&'static str]| {
        let command = ["predict", "out", "--pairs=test.tsv", "--out", out];
        workspace.succeed(&[&command[..], flags].concat());
        scores(&workspace, out)
    };
    assert_eq!(predict("one.csv", &["--swap=false"]), of_run);
    assert_eq!(predict("both.csv", &["--swap=true"]), of_run);
    let alone = predict("alone.csv", &["--one-by-one"]);
    assert!(alone.iter().zip(&of_run).all(|(x, y)| (x - y).abs() < 1e-4));
    let turned = |line: &str| line.split('\t').rev().collect::<Vec<_>>().join("\t");
    let test = workspace.text("test.tsv");
    workspace.write(
        "test.tsv",
        test.lines()
            .map(|line| turned(line) + "\n")
            .collect::<String>(),
    );
    let turned = predict("turned.csv", &[]);
    assert!(
        turned
            .iter()
            .zip(&of_run)
            .all(|(x, y)| (x - y).abs() < 1e-5)
    );
}

#[test]
fn it_starts_from_a_checkpoint_or_follows_a_stage_and_blends_with_others() {
    let workspace = Workspace::with_pairs();
    workspace.write_checkpoint("bert", ALL_HEADS);
    workspace.write_counts("counts.tsv");
    let of_bert = "data.train = \"train.tsv\"\ncheckpoint.dir = \"bert\"\nalign.counts = \"counts.tsv\"\nvocab.min_count = 1\n\
                   train.epochs = 1\nobjective = { name = \"simbert\", corrupt_sources = 0.5 }\n";
    workspace.write("of-bert.toml", of_bert);
    workspace.succeed(&["run", "of-bert.toml", "--out", "of-bert"]);
    let stages = "[[stage]]\nname = \"masks\"\nobjective = \"mlm\"\nepochs = 1\n\
                  [[stage]]\nname = \"pairs\"\nobjective = \"simbert\"\nepochs = 1\n";
    let text = workspace.text("experiment.toml");
    workspace.write("staged.toml", text + stages);
    workspace.succeed(&["run", "staged.toml", "--out", "staged"]);
    let epochs = metrics(&workspace.path("staged/metrics.jsonl"));
    let last = epochs.last().expect("an epoch");
    assert_eq!(last["objective"], "simbert");
    // No mark of shared tokens: each text is read by itself.
    assert_eq!(
        workspace.json("staged/model/config.json")["mark_shared"],
        serde_json::Value::Bool(false)
    );
    workspace.succeed(&["run", "experiment.toml", "--out", "pet"]);
    workspace.succeed(&["ensemble", "staged", "pet", "--out", "blend"]);
    assert_eq!(scores(&workspace, "blend/submission.csv").len(), 40);
}

#[test]
fn what_does_not_fit_it_is_refused() {
    let workspace = Workspace::with_pairs();
    for (settings, message) in [
        (
            &["--set=objective.corrupt_sources=1.5"][..],
            "error: --set objective.corrupt_sources=1.5: expected a number from 0 to 1, found 1.5\n",
        ),
        (
            &["--set=task.kind=single"],
            "error: --set objective.name=simbert: expected an objective for task.kind = \"single\", found `simbert`\n\
             hint: `simbert` writes one text of a pair from the other\n",
        ),
        (
            &["--set=task.labels=ordinal"],
            "error: --set objective.name=simbert: expected an objective for task.labels = \"ordinal\", found `simbert`\n\
             hint: `simbert` learns from labels that are binary\n",
        ),
    ] {
        let output = workspace.run(&run("out", settings));
        assert_eq!(output.status.code(), Some(1));
        let shown = String::from_utf8_lossy(&output.stderr);
        assert!(shown.contains(message), "{shown}");
        assert!(!workspace.exists("out"));
    }
    let negatives: String = (1..9).map(|i| format!("{i} 2\t{i} 3\t0\n")).collect();
    workspace.write("train.tsv", negatives);
    let output = workspace.run(&run("out", &["--set=data.valid=none"]));
    assert_eq!(output.status.code(), Some(1));
    let shown = String::from_utf8_lossy(&output.stderr);
    assert!(
        shown.contains(
            "stage `simbert` has no rows to train on\nhint: `simbert` learns from pairs with label 1 alone: "
        ),
        "{shown}"
    );
    assert!(!shown.contains("is more than its 0 rows"), "{shown}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_run_that_is_killed_anywhere_ends_with_the_same_bytes() {
    use crate::kill::{Moment, Victim};
    use crate::resume::assert_same_outcome;

    let settings = [
        "--set=objective.name=simbert",
        "--set=objective.corrupt_sources=0.5",
        "--set=train.batch=16",
        "--set=train.r_drop=0.5",
        "--set=train.save_every_steps=2",
    ];
    let mut victim = Victim::of(Workspace::with_pairs(), &settings);
    let mut sessions = 0;
    loop {
        sessions += 1;
        assert!(sessions < 100, "it never ends");
        let threads = ["--threads=1", "--threads=2"][sessions % 2];
        let moment = Moment::Change(25 + 15 * sessions as u64);
        let session = victim.session(&[&settings[..], &[threads]].concat(), moment);
        if !session.killed {
            break;
        }
    }
    assert!(victim.kills > 0, "nothing was killed");
    assert_same_outcome(&victim.workspace, "whole/run", "run");
}
