//! The embedded pairs: made here by a seeded grammar, encrypted with a key that only tests know.
//!
//! The tests hold the committed files (`vocab/demo/{train,test}.tsv`, `tests/demo/key.tsv`) to the
//! bytes of the generator and to what makes them a fair stand-in for a competition.
//! With `BLESS=1` in the environment the files are written instead.

mod cipher;
mod families;
mod grammar;
mod slots;

use cipher::Cipher;
use cipherpet::metrics::auc;
use grammar::Pair;
use petgraph::unionfind::UnionFind;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::LazyLock;

const SEED: u64 = 2021; // the year of the competition that the tool grew from
const TRAIN_ROWS: usize = 5000;
const TEST_ROWS: usize = 1000;

const TRAIN: &str = "vocab/demo/train.tsv";
const TEST: &str = "vocab/demo/test.tsv";
const KEY: &str = "tests/demo/key.tsv";

/// Everything the grammar makes, before encryption.
struct Demo {
    train: Vec<Pair>,
    test: Vec<Pair>,
    cipher: Cipher,
}

static DEMO: LazyLock<Demo> = LazyLock::new(|| {
    let mut train = grammar::pairs(SEED, TRAIN_ROWS + TEST_ROWS);
    let test = train.split_off(TRAIN_ROWS);
    let cipher = Cipher::draw(sentences(&train).chain(sentences(&test)), SEED);
    Demo {
        train,
        test,
        cipher,
    }
});

/// The labels of `test.tsv`, row by row, which the product does not have.
pub fn test_labels() -> Vec<bool> {
    labels(&DEMO.test)
}

fn labels(pairs: &[Pair]) -> Vec<bool> {
    pairs.iter().map(|pair| pair.is_paraphrase).collect()
}

fn sentences(pairs: &[Pair]) -> impl Iterator<Item = &str> {
    pairs
        .iter()
        .flat_map(|pair| &pair.sentences)
        .map(String::as_str)
}

fn committed(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn read(path: &str) -> String {
    std::fs::read_to_string(committed(path)).expect("the file is committed; BLESS=1 writes it")
}

/// The pairs as the committed file holds them.
fn rows(pairs: &[Pair], with_labels: bool) -> String {
    let row = |pair: &Pair| {
        let [a, b] = pair.sentences.each_ref().map(|s| DEMO.cipher.encrypt(s));
        match with_labels {
            true => format!("{a}\t{b}\t{}\n", u8::from(pair.is_paraphrase)),
            false => format!("{a}\t{b}\n"),
        }
    };
    pairs.iter().map(row).collect()
}

#[test]
fn demo_files_are_what_the_grammar_makes_and_hold_no_plain_character() {
    let made = [
        (TRAIN, rows(&DEMO.train, true)),
        (TEST, rows(&DEMO.test, false)),
        (KEY, DEMO.cipher.table()),
    ];
    for (path, content) in made {
        if std::env::var_os("BLESS").is_some_and(|value| value == "1") {
            std::fs::write(committed(path), &content).expect("the worktree is writable");
        }
        // Not `assert_eq!`: the two texts are too long to print.
        let found = read(path);
        assert!(
            found == content,
            "{path} differs from the grammar; BLESS=1 rewrites it"
        );
        if path != KEY {
            let plain = found
                .chars()
                .find(|c| !matches!(c, '0'..='9' | ' ' | '\t' | '\n'));
            assert_eq!(plain, None, "{path} holds a plain character");
        }
    }
}

#[test]
fn demo_pairs_are_unique_short_and_balanced() {
    let mut seen = HashSet::new();
    for pair in DEMO.train.iter().chain(&DEMO.test) {
        let [a, b] = &pair.sentences;
        assert_ne!(a, b);
        assert!(
            seen.insert(BTreeSet::from([a, b])),
            "{a} / {b} stands twice"
        );
    }
    let lengths: Vec<usize> = sentences(&DEMO.train).map(|s| s.chars().count()).collect();
    let mean = lengths.iter().sum::<usize>() as f64 / lengths.len() as f64;
    assert!((7.0..=9.5).contains(&mean), "mean length {mean}");
    assert!(lengths.iter().all(|&length| (2..30).contains(&length)));
    for pairs in [&DEMO.train, &DEMO.test] {
        let positives = pairs.iter().filter(|pair| pair.is_paraphrase).count();
        let share = positives as f64 / pairs.len() as f64;
        assert!((0.37..=0.45).contains(&share), "positive share {share}");
    }
}

#[test]
fn demo_sentences_tie_few_rows_together() {
    let pairs: Vec<&Pair> = DEMO.train.iter().chain(&DEMO.test).collect();
    let mut first_row: HashMap<&str, usize> = HashMap::new();
    let mut components = UnionFind::<usize>::new(pairs.len());
    for (row, pair) in pairs.iter().enumerate() {
        for sentence in &pair.sentences {
            components.union(row, *first_row.entry(sentence).or_insert(row));
        }
    }
    let mut sizes: HashMap<usize, usize> = HashMap::new();
    for component in components.into_labeling() {
        *sizes.entry(component).or_default() += 1;
    }
    let largest = sizes.values().max().copied().unwrap_or(0);
    assert!(
        largest * 50 <= pairs.len(),
        "the largest component has {largest} rows"
    );
    assert!(largest > 1, "no sentence stands twice");
}

#[test]
fn demo_test_rows_share_sentences_with_train_as_in_real_sets() {
    let in_train: HashSet<&str> = sentences(&DEMO.train).collect();
    let shares = |pair: &&Pair| pair.sentences.iter().any(|s| in_train.contains(s.as_str()));
    let share = DEMO.test.iter().filter(shares).count() as f64 / DEMO.test.len() as f64;
    assert!(
        (0.28..=0.38).contains(&share),
        "{share} of the test rows share a sentence"
    ); // real sets: .32 to .36
}

#[test]
fn demo_labels_do_not_follow_from_shared_characters() {
    for pairs in [&DEMO.train, &DEMO.test] {
        let overlaps: Vec<f32> = pairs.iter().map(jaccard).collect();
        let auc = auc(&labels(pairs), &overlaps).expect("both labels are there");
        assert!((0.62..0.75).contains(&auc), "token-Jaccard AUC {auc}");
    }
    assert_eq!(test_labels().len(), TEST_ROWS);
}

/// Shared characters over all characters of a pair.
fn jaccard(pair: &Pair) -> f32 {
    let [a, b] = pair
        .sentences
        .each_ref()
        .map(|s| s.chars().collect::<HashSet<_>>());
    a.intersection(&b).count() as f32 / a.union(&b).count() as f32
}
