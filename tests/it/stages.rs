//! `[[stage]]`: what is refused before the first one, what seeds and folds have of their own, and bad luck: random lists of stages
//! whose process is killed at random moments, and two processes that want one stage at once.
#![cfg(target_os = "linux")]

use cipherpet::checkpoint::read::read_model;
use cipherpet::random::Key;

use crate::kill::{Moment, Victim};
use crate::process::Running;
use crate::resume::assert_same_outcome;
use crate::workspace::{ALL_HEADS, Workspace};

/// The first of them is the same for every fold and seed.
const MASKS_THEN_LABELS: &str = "[[stage]]\nname = \"masks\"\nobjective = \"mlm\"\nepochs = 1\n\
                                 [[stage]]\nname = \"labels\"\nepochs = 1\n";

/// One to three stages of any objective for pairs labelled 0 or 1, the last of them with labels.
fn random_stages(key: Key) -> String {
    let choose = |stream: u64, n: usize| (key.bits(stream) % n as u64) as usize;
    let n_stages = 1 + choose(0, 3);
    let mut text = String::new();
    for number in 1..=n_stages {
        let stream = 100 * number as u64;
        let choose = |at: u64, n: usize| choose(stream + at, n);
        let first = usize::from(number == n_stages);
        let objective = ["mlm", "pet", "ce", "cosent", "mse"][first + choose(0, 5 - first)];
        text += &format!("[[stage]]\nname = \"s{number}\"\nobjective = \"{objective}\"\n");
        text += match objective {
            "cosent" | "mse" => "head = \"mlm\"\n",
            "ce" => ["head = \"cls\"\n", "head = \"pooler\"\n"][choose(1, 2)],
            _ => "",
        };
        let mlm_weight = ["", "mlm_weight = 0.5\n"][choose(2, 2) * usize::from(objective != "mlm")];
        text += mlm_weight;
        // Rows without a label are for those that hide tokens.
        let hides_tokens = matches!(objective, "mlm" | "pet") || !mlm_weight.is_empty();
        text += match choose(3, 3) {
            0 => "",
            2 if hides_tokens => "rows = [\"labelled\", \"test\", \"valid\"]\n",
            _ => "rows = [\"labelled\"]\n",
        };
        text += ["", "schedule = \"cosine\"\n", "schedule = \"constant\"\n"][choose(4, 3)];
        text += ["", "layer_decay = 0.7\n"][choose(5, 2)];
        text += ["", "dropout = 0.2\n"][choose(6, 2)];
        text += ["", "adversarial = \"fgm\"\n", "adversarial = \"pgd\"\n"][choose(9, 3)];
        // A mean is over fewer epochs than there are.
        let several = choose(7, 2) == 1;
        let averages = [
            "",
            "average = \"ema\"\n",
            "average = \"swa\"\naverage_epochs = 1\n",
        ];
        let average = averages[choose(10, if several { 3 } else { 2 })];
        text += average;
        // Keys that the objective reads.
        let learns_labels = usize::from(objective != "mlm");
        text += ["", "r_drop = 0.5\n"][choose(11, 2) * learns_labels];
        text += ["", "dropout_samples = 2\n"][choose(12, 2) * learns_labels];
        let is_smoothed = learns_labels * usize::from(objective != "cosent");
        text += ["", "label_smoothing = 0.1\n"][choose(12, 2) * is_smoothed];
        text += ["", "gradient_accumulation = 2\n"][choose(13, 2)];
        text += [
            "",
            "mask_unit = \"ngram\"\n",
            "mask_unit = \"pmi\"\nmask_replacement = \"similar\"\n",
        ][choose(14, 3)];
        text += &format!("epochs = {}\n", 1 + usize::from(several));
        text += match average.contains("swa") {
            true => ["", "batch = 7\n"][choose(8, 2)], // fewer steps are no second epoch
            false => ["", "max_steps = 3\n", "batch = 7\n"][choose(8, 3)],
        };
    }
    text
}

fn with_stages(stages: &str) -> Workspace {
    let workspace = Workspace::with_pairs();
    let text = workspace.text("experiment.toml");
    workspace.write("experiment.toml", text + stages);
    workspace
}

/// What is known to be refused in the last stage is refused before the first one is trained.
#[test]
fn a_later_stage_that_cannot_be_trained_is_refused_before_the_first() {
    let workspace = with_stages(MASKS_THEN_LABELS);
    let settings = [
        "--set=stage.labels.average=swa",
        "--set=stage.labels.average_epochs=1",
        "--set=stage.labels.epochs=2",
        "--set=stage.labels.max_steps=1",
    ];
    for folds in ["--set=folds.k=0", "--set=folds.k=2"] {
        let run = ["run", "experiment.toml", "--out=runs/a", folds];
        let output = workspace.run(&[&run[..], &settings].concat());
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{text}");
        let wanted =
            "stage `labels`: expected average_epochs below the 1 epochs of the stage, found 1";
        assert!(text.contains(wanted), "{text}");
        assert!(!workspace.exists("runs/stages"), "{text}");
        std::fs::remove_dir_all(workspace.path("runs")).expect("a folder of ours");
    }
}

/// Steps are counted over all stages, where a fit is saved as where it goes on.
#[test]
fn a_fit_of_two_stages_goes_on_at_the_step_that_it_was_saved_at() {
    let stages =
        "[[stage]]\nname = \"first\"\nmax_steps = 2\n[[stage]]\nname = \"second\"\nmax_steps = 2\n";
    let workspace = with_stages(stages);
    let mut places = Vec::new();
    loop {
        let run = ["run", "experiment.toml", "--out=out", "--max-minutes=0"];
        let output = workspace.run(&run);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        if let Some(before) = places.last() {
            let goes_on = format!("resuming at step {before}, in epoch ");
            let is_over = before == "4 of 4" && text.contains("resuming after the last of 4 steps");
            assert!(text.contains(&goes_on) || is_over, "{before}: {text}");
        }
        match output.status.code() {
            Some(75) => {}
            Some(0) => break,
            _ => panic!("{}", workspace.transcript(&output)),
        }
        if let Some((_, rest)) = text.rsplit_once("saved at step ") {
            places.push(rest.lines().next().expect("a line").to_owned());
        }
    }
    for place in ["1 of 4", "2 of 4", "3 of 4", "4 of 4"] {
        assert!(places.iter().any(|found| found == place), "{places:?}");
    }
}

/// Seeds and folds share the masked tokens, and differ in what that stage has not learnt, as they do without it.
#[test]
fn fresh_heads_behind_a_shared_stage_are_those_of_the_seed_and_the_fold() {
    let workspace = with_stages(MASKS_THEN_LABELS);
    workspace.write_checkpoint("bert", ALL_HEADS);
    workspace.write_counts("counts.tsv");
    let rank = "[data]\ntrain = \"train.tsv\"\n[vocab]\nmin_count = 1\n[checkpoint]\ndir = \"bert\"\n[align]\ncounts = \"counts.tsv\"\n";
    workspace.write("rank.toml", rank.to_owned() + MASKS_THEN_LABELS);
    let run = |experiment: &str, out: &str, setting: &str| {
        // What is learnt after the start is next to nothing.
        let ce = "--set=stage.labels.objective=ce";
        let slow = "--set=stage.labels.learning_rate=1e-12";
        let setting = format!("--set={setting}");
        workspace.succeed(&["run", experiment, "--out", out, ce, slow, &setting]);
    };
    let differ = |one: &str, other: &str, name: &str| {
        let weights = |out: &str| {
            let folder = workspace.path(&format!("{out}/model"));
            read_model(&folder).expect("what the run has written").1[name].clone()
        };
        let (one, other) = (weights(one), weights(other));
        one.iter().zip(&other).any(|(x, y)| (x - y).abs() > 1e-4)
    };
    const POOLER: &str = "bert.pooler.dense.weight";
    const CLASSIFIER: &str = "classifier.weight";
    const WORDS: &str = "bert.embeddings.word_embeddings.weight";
    const MASKS: &str = "cls.predictions.transform.dense.weight";
    run("experiment.toml", "runs/a", "seed=1");
    run("experiment.toml", "runs/b", "seed=2");
    run("experiment.toml", "runs/folds", "folds.k=2");
    assert_eq!(workspace.names("runs/stages").len(), 1);
    let folds = ["runs/folds/fold-1", "runs/folds/fold-2"];
    for [one, other] in [["runs/a", "runs/b"], folds] {
        for (name, expected) in [
            (POOLER, true),
            (CLASSIFIER, true),
            (WORDS, false),
            (MASKS, false),
        ] {
            assert_eq!(differ(one, other, name), expected, "{one}: {name}");
        }
    }
    // A head that the checkpoint has stays what it is.
    run("rank.toml", "rank/a", "seed=1");
    run("rank.toml", "rank/b", "seed=2");
    assert!(differ("rank/a", "rank/b", CLASSIFIER) && !differ("rank/a", "rank/b", POOLER));
}

#[test]
fn random_lists_of_stages_killed_anywhere_end_with_the_same_bytes() {
    let settings = ["--set=train.save_every_steps=2"];
    let mut kills = 0;
    for list in 0..8 {
        let key = Key::from_seed(88).at(list);
        let stages = random_stages(key.at(0));
        let mut victim = Victim::of(with_stages(&stages), &settings);
        let (mut sessions, mut in_a_row, mut ends) = (0, 0, 0);
        loop {
            let random = key.at(1).bits(sessions);
            sessions += 1;
            in_a_row += 1;
            assert!(sessions < 1000, "it never ends\n{stages}");
            // Later sessions are given more time, so that an end comes.
            let moment = Moment::Change(1 + random % 40 + 5 * in_a_row);
            let threads = ["--threads=1", "--threads=2"][(random >> 63) as usize];
            let session = victim.session(&[&settings[..], &[threads]].concat(), moment);
            if session.killed {
                continue;
            }
            assert_same_outcome(&victim.workspace, "whole/run", "run");
            ends += 1;
            // On a busy machine the process may be done before its end is ordered: then once more from the start.
            if victim.kills >= 2 || ends == 20 {
                break;
            }
            in_a_row = 0;
            for folder in ["run", "stages"] {
                let _ = std::fs::remove_dir_all(victim.workspace.path(folder)); // there is not always a stage
            }
        }
        kills += victim.kills;
    }
    assert!(kills >= 8, "{kills} kills");
}

#[test]
fn of_two_processes_that_want_one_stage_one_trains_and_the_other_waits() {
    let stages = "[[stage]]\nname = \"masks\"\nobjective = \"mlm\"\nepochs = 200\n\
                  [[stage]]\nname = \"labels\"\nepochs = 1\n";
    let workspace = with_stages(stages);
    let run = |out: &'static str, seed: &'static str| {
        ["run", "experiment.toml", "--out", out, "--seed", seed]
    };
    let mut first = Running::start(&workspace, &run("both/a", "0"));
    first.wait_for("trained once for all folds and seeds");
    first.send("STOP");
    let mut second = Running::start(&workspace, &run("both/b", "1"));
    second.wait_for("waiting");
    // Who has little time does not wait longer than that.
    let third = [&run("both/c", "2")[..], &["--max-minutes", "0.001"]].concat();
    let (status, said) = Running::start(&workspace, &third).end();
    assert_eq!(status, Some(75), "{said}");
    assert!(said.contains("another process trains it"), "{said}");
    first.send("CONT");
    second.wait_for("done already");
    for running in [first, second] {
        let (status, rest) = running.end();
        assert_eq!(status, Some(0), "{rest}");
    }
    assert_eq!(workspace.names("both/stages").len(), 1);
    // Each ends as it does alone.
    for (both, alone, seed) in [("both/a", "a/run", "0"), ("both/b", "b/run", "1")] {
        workspace.succeed(&run(alone, seed));
        assert_same_outcome(&workspace, alone, both);
    }
}
