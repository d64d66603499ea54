//! Tests of [`super`] that look inside.

use std::collections::BTreeSet;

use dfdx::prelude::NoneTape;

use super::*;
use crate::checkpoint::Checkpoint;
use crate::config::load_as;
use crate::data::{EncodedExample, Masking, PackedBatch, Target, TokenTypes, reserved};
use crate::model::{Bert, Pass};
use crate::objective::{Batch, Draw, ObjectiveName};
use crate::progress::Progress;
use crate::random::Key;
use crate::vocab::PlainId;
use crate::workbench::run::watch::ModelWriter;

const SETTINGS: &str = "[text]\nfiles = \"f.txt\"\ndialogues = [\"d.txt\", \"e.txt\"]\ntokens = \"number\"\n\
                        document_lines = 4\nheld_out = 0.2\nmax_tokens = 8\n[model]\nlayers = 1\nhidden = 16\n\
                        heads = 2\npositions = 16\n[train]\nprecision = \"f32\"\nbatch = 8\n\
                        [[stage]]\nname = \"m\"\nobjective = \"mlm\"\n[[stage]]\nname = \"n\"\nobjective = \"nsp\"\n";

/// Line `i` of a file is the ids `1000 file + i` and one that all lines share, so that each line can be told.
fn lines(file: u32, n: u32) -> String {
    (0..n)
        .map(|line| format!("{} 7\n", 1000 * file + line))
        .collect()
}

struct Example {
    loaded: Loaded<Pretraining>,
    texts: Texts,
    vocabulary: TextVocabulary,
    rows: TextRows,
    _folder: tempfile::TempDir,
}

impl Example {
    fn new() -> Self {
        Self::with(&[])
    }

    fn with(assignments: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder for the test");
        for (name, file, n) in [("f.txt", 1, 40), ("d.txt", 2, 60), ("e.txt", 3, 41)] {
            std::fs::write(folder.path().join(name), lines(file, n)).expect("a small file");
        }
        let path = folder.path().join("p.toml");
        std::fs::write(&path, SETTINGS).expect("a small file");
        let assignments: Vec<String> = assignments.iter().map(|a| (*a).to_owned()).collect();
        let loaded = load_as::<Pretraining>(Some(&path), &assignments).expect("good settings");
        loaded.check().expect("good settings");
        let progress = Progress::silent();
        let texts = Texts::read(&loaded.experiment, &progress).expect("good texts");
        let vocabulary = TextVocabulary::open(&loaded.experiment, &texts, &progress);
        let vocabulary = vocabulary.expect("a vocabulary");
        let rows = TextRows::new(&loaded.experiment, &texts, &vocabulary, &progress);
        Self {
            rows: rows.expect("rows"),
            loaded,
            texts,
            vocabulary,
            _folder: folder,
        }
    }

    /// The line that a text is, by its first id.
    fn line(&self, text: &[u32]) -> u32 {
        let kept = &self.rows.vocab.kept;
        let row = kept[(text[0] - reserved::FIRST_CIPHER) as usize].0;
        let token = self.vocabulary.plain.token(PlainId(row.0));
        token.parse().expect("an id")
    }

    fn lines_of(&self, rows: &[EncodedExample]) -> BTreeSet<u32> {
        let texts = rows.iter().flat_map(EncodedExample::texts);
        texts.map(|text| self.line(text)).collect()
    }

    /// The line of each document, and whether it is held out.
    fn documents(&self) -> Vec<(BTreeSet<u32>, bool)> {
        let number = |line: &String| line.split(' ').next().and_then(|id| id.parse().ok());
        let documents = self.texts.documents().map(|document| {
            let lines = document
                .lines
                .iter()
                .map(|line| number(line).expect("an id"));
            (lines.collect(), document.held_out)
        });
        documents.collect()
    }
}

#[test]
fn lines_that_are_held_out_are_never_learnt_from() {
    let example = Example::new();
    let (mut held, mut learnt) = (BTreeSet::new(), BTreeSet::new());
    for (lines, held_out) in example.documents() {
        match held_out {
            true => held.extend(lines),
            false => learnt.extend(lines),
        }
    }
    assert_eq!((held.len() + learnt.len(), held.is_empty()), (141, false));
    for stage in example
        .rows
        .stages(&example.loaded.experiment)
        .expect("stages")
    {
        assert_eq!(example.lines_of(&stage.rows), learnt, "{}", stage.name);
        let judged = stage.held_out.as_ref().expect("rows to judge by");
        assert!(
            example.lines_of(&judged.rows).is_subset(&held),
            "{}",
            stage.name
        );
        // What is drawn in an epoch comes from these rows too.
        let numbers: Vec<usize> = (0..stage.rows.len()).collect();
        let draw = Draw {
            masking: Masking::of_tokens(1e-9),
            cipher_rows: example.rows.vocab.cipher_rows(),
            token_types: TokenTypes::Zero,
            swap: false,
            key: Key::from_seed(1),
        };
        let batch = stage.objective.batch(&stage.rows, &numbers, &draw);
        let first = |token: &u32| *token >= reserved::FIRST_CIPHER && example.line(&[*token]) > 7;
        let seen = batch.rows.input_ids.iter().filter(|token| first(token));
        let seen: BTreeSet<u32> = seen.map(|token| example.line(&[*token])).collect();
        assert!(seen.is_subset(&learnt), "{}", stage.name);
    }
}

#[test]
fn the_same_tokens_are_asked_for_whatever_is_hidden_in_training() {
    let asked = |assignments: &[&str]| -> Vec<Batch> {
        let example = Example::with(assignments);
        let stages = example.rows.stages(&example.loaded.experiment);
        let judged = stages.expect("stages").into_iter().map(|stage| {
            let held_out = stage.held_out.expect("rows to judge by");
            let numbers: Vec<usize> = (0..held_out.rows.len()).collect();
            (held_out.objective).batch(&held_out.rows, &numbers, &held_out.draw)
        });
        judged.collect()
    };
    let plain = asked(&[]);
    assert!(plain.iter().all(|batch| !batch.masked.is_empty()));
    for settings in [
        &["objective.mask=0.4"][..],
        &["objective.mask=0.05", "seed=3"],
        &[
            "objective.mask_unit=ngram",
            "objective.mask_replacement=similar",
        ],
        &["objective.mask_unit=pmi"],
    ] {
        assert!(asked(settings) == plain, "{settings:?}");
    }
}

#[test]
fn false_neighbours_are_of_another_document_in_training_and_in_what_is_held_out() {
    let example = Example::new();
    let documents = example.documents();
    let document = |line: u32| {
        documents
            .iter()
            .position(|(lines, _)| lines.contains(&line))
    };
    let stages = example
        .rows
        .stages(&example.loaded.experiment)
        .expect("stages");
    let stage = &stages[1];
    assert_eq!(stage.objective_name, ObjectiveName::Nsp);
    let judged = &stage.held_out.as_ref().expect("rows to judge by").rows;
    let mut labels = BTreeSet::new();
    for row in judged.iter().filter(|row| row.b.is_some()) {
        let lines: Vec<u32> = row.texts().map(|text| example.line(text)).collect();
        let is_next = row.target == Target::from(true);
        labels.insert(is_next);
        assert_eq!(is_next, lines[1] == lines[0] + 1, "{lines:?}");
        assert_eq!(
            is_next,
            document(lines[0]) == document(lines[1]),
            "{lines:?}"
        );
    }
    assert_eq!(labels.len(), 2);
    // Rows to learn from are all true, and drawn anew in each epoch.
    let pairs = stage.rows.iter().filter(|row| row.b.is_some());
    assert!(pairs.clone().all(|row| row.target == Target::from(true)));
    assert!(pairs.count() > 40);
}

#[test]
fn the_folder_opens_again_and_gives_the_logits_of_the_network_inside() {
    let example = Example::new();
    let progress = Progress::silent();
    let (vocab, vocabulary) = (&example.rows.vocab, &example.vocabulary);
    let network = Network::build(&example.loaded, vocabulary, vocab, &progress);
    let (mut model, writer) = network.expect("a network").writer(vocabulary);
    // As if it had learnt something.
    let mut weights = model.weights();
    for (number, values) in weights.values_mut().enumerate() {
        let key = Key::from_seed(number as u64);
        let moved = (0..).zip(values.iter_mut());
        moved.for_each(|(at, value)| *value += 0.1 * key.normal(at) as f32);
    }
    model.restore(&weights).expect("the same shapes");
    let folder = tempfile::tempdir().expect("a folder for the test");
    writer
        .write(&model, folder.path())
        .expect("room for a small model");

    let opened = Checkpoint::open(folder.path()).expect("a checkpoint");
    assert_eq!(opened.plain.tokens(), vocabulary.plain.tokens());
    let path = model.path();
    let plain = Bert::new(opened.config, opened.heads, path, opened.weights).expect("a model");
    let row = |id: u32| match id {
        0..reserved::FIRST_CIPHER => id, // special tokens come first in a vocabulary that is built
        _ => vocab.kept[(id - reserved::FIRST_CIPHER) as usize].0.0,
    };
    let inside = [
        reserved::CLS,
        9,
        7,
        reserved::MASK,
        reserved::SEP,
        30,
        reserved::SEP,
    ];
    let types = [0, 0, 0, 0, 0, 1, 1];
    let wanted: Vec<u32> = (0..inside.len() as u32).collect();
    let tokens: Vec<u32> = vocab.cipher_rows().chain(0..5).collect();
    let logits = |model: &Bert, ids: &[u32], tokens: &[u32]| {
        let mut batch = PackedBatch::default();
        batch.push(ids, &types);
        let states = model.encode(&Pass::prediction(&batch, &wanted), NoneTape);
        let nsp = model.nsp_logits(model.pool(states.clone(), crate::model::Pooling::Tanh));
        (model.token_logits(states, tokens).as_vec(), nsp.as_vec())
    };
    let outside = |ids: &[u32]| ids.iter().map(|&id| row(id)).collect::<Vec<_>>();
    assert_eq!(
        logits(&model, &inside, &tokens),
        logits(&plain, &outside(&inside), &outside(&tokens))
    );
}
