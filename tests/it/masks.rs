//! `objective.mask_unit` and `objective.mask_replacement`, from the experiment file to the weights.

use std::collections::BTreeSet;
use std::fmt::Write;

use cipherpet::random::Key;

use crate::resume::assert_same_outcome;
use crate::workspace::{Workspace, metrics};

/// Pairs of sentences of three words. Of 44 words, four have two or three tokens of their own: collocations.
fn pairs(rows: u64, is_labelled: bool) -> String {
    let sentence = |key: Key| -> String {
        let word = |at| match key.bits(at) % 44 {
            0 => "1 2".to_owned(),
            1 => "3 4 5".to_owned(),
            2 => "6 7".to_owned(),
            3 => "8 9 10".to_owned(),
            other => (7 + other).to_string(),
        };
        (0..3).map(word).collect::<Vec<_>>().join(" ")
    };
    let mut text = String::new();
    for row in 0..rows {
        let key = Key::from_seed(u64::from(is_labelled)).at(row);
        let (a, b) = (sentence(key.at(0)), sentence(key.at(1)));
        let label = if is_labelled {
            ["\t0", "\t1"][row as usize % 2]
        } else {
            ""
        };
        writeln!(text, "{a}\t{b}{label}").expect("a String takes every write");
    }
    text
}

#[test]
fn every_kind_of_mask_trains_to_the_same_bytes_on_any_number_of_threads() {
    let workspace = Workspace::with_pairs();
    workspace.write("train.tsv", pairs(400, true));
    workspace.write("test.tsv", pairs(40, false));
    let mut weights = BTreeSet::new();
    let kinds = [
        ("token", "random"),
        ("token", "similar"),
        ("ngram", "random"),
        ("ngram", "similar"),
        ("pmi", "random"),
        ("pmi", "similar"),
    ];
    for (unit, replacement) in kinds {
        let run = |threads: &str| {
            let out = format!("{unit}-{replacement}-{threads}");
            workspace.succeed(&[
                "run",
                "experiment.toml",
                "--out",
                &out,
                "--threads",
                threads,
                "--set",
                "train.learning_rate=3e-3",
                "--set",
                "train.epochs=3",
                "--set",
                &format!("objective.mask_unit={unit}"),
                "--set",
                &format!("objective.mask_replacement={replacement}"),
            ]);
            out
        };
        let (one, two) = (run("1"), run("2"));
        assert_same_outcome(&workspace, &one, &two);
        let epochs = metrics(&workspace.path(&format!("{one}/metrics.jsonl")));
        let losses: Vec<f64> = (epochs.iter())
            .map(|epoch| epoch["mlm_loss"].as_f64().expect("hidden tokens"))
            .collect();
        assert!(losses[2] < losses[0], "{unit}, {replacement}: {losses:?}");
        weights.insert(workspace.read(&format!("{one}/model/model.safetensors")));
    }
    assert_eq!(weights.len(), kinds.len(), "each kind draws other masks");
}
