//! `cipherpet cipher`.

use std::collections::HashMap;

use crate::workspace::{ALL_HEADS, Workspace, skipped};

/// The copy `name` in `folder` with every id replaced by its token.
fn decoded(workspace: &Workspace, folder: &str, name: &str) -> String {
    let key = workspace.text(&format!("{folder}/key.tsv"));
    let mut lines = key.lines();
    assert_eq!(lines.next(), Some("cipher_id\tplain_token"));
    let entry = |line: &'static str| line.split_once('\t').expect("two columns");
    let lines: Vec<&'static str> = lines.map(|line| &*line.to_owned().leak()).collect();
    let token_of: HashMap<&str, &str> = lines.into_iter().map(entry).collect();
    let text = workspace.text(&format!("{folder}/{name}"));
    let mut plain = String::new();
    for line in text.lines() {
        for (column, field) in line.split('\t').enumerate() {
            if column > 0 {
                plain.push('\t');
            }
            match column {
                0 | 1 => plain.extend(field.split(' ').map(|id| token_of[id])),
                _ => plain.push_str(field),
            }
        }
        plain.push('\n');
    }
    plain
}

fn workspace() -> Workspace {
    let workspace = Workspace::empty();
    workspace.write_checkpoint("bert", ALL_HEADS);
    workspace.write("train.tsv", "A bc\tcab\t1\nb,\tbb  7\t0.5\n");
    workspace.write("test.tsv", "abc\tB c\n");
    workspace
}

const CIPHER: [&str; 8] = [
    "cipher",
    "--pairs",
    "train.tsv",
    "test.tsv",
    "--checkpoint",
    "bert",
    "--out",
    "out",
];

#[test]
fn the_key_gives_the_text_back_with_its_labels() {
    let workspace = workspace();
    insta::assert_snapshot!("cipher", workspace.snapshot(&CIPHER));
    assert_eq!(workspace.names("out"), ["key.tsv", "test.tsv", "train.tsv"]);
    // Lower-cased as the tokenizer does it, white space gone; labels as they were.
    let train = decoded(&workspace, "out", "train.tsv");
    assert_eq!(train, "abc\tcab\t1\nb,\tbb7\t0.5\n");
    assert_eq!(decoded(&workspace, "out", "test.tsv"), "abc\tbc\n");

    // The same seed gives the same bytes, another one other ids.
    let mut again = CIPHER;
    again[7] = "again";
    workspace.succeed(&again);
    assert_eq!(
        workspace.read("again/train.tsv"),
        workspace.read("out/train.tsv")
    );
    again[7] = "other";
    workspace.succeed(&[&again[..], &["--seed", "1"]].concat());
    assert_ne!(
        workspace.read("other/train.tsv"),
        workspace.read("out/train.tsv")
    );
    assert_eq!(decoded(&workspace, "other", "train.tsv"), train);
}

#[test]
fn single_texts_share_the_key_of_the_pairs() {
    let workspace = workspace();
    workspace.write("labels.tsv", "A b\t1\t北京\ncc\t0\t\n");
    workspace.write("texts.tsv", "bca\n");
    let more = ["--single", "labels.tsv", "texts.tsv"];
    workspace.succeed(&[&CIPHER[..], &more].concat());
    // Whatever stands behind the text is no text: labels stay, names that the key could spell too.
    assert_eq!(workspace.text("out/labels.tsv").lines().count(), 2);
    for (line, labels) in (workspace.text("out/labels.tsv").lines()).zip(["1\t北京", "0\t"]) {
        let (ids, behind) = line.split_once('\t').expect("a label");
        assert!(ids.split(' ').all(|id| id.parse::<u32>().is_ok()), "{line}");
        assert_eq!(behind, labels);
    }
    assert_eq!(decoded(&workspace, "out", "texts.tsv"), "bca\n");
    assert_eq!(decoded(&workspace, "out", "test.tsv"), "abc\tbc\n");
}

#[test]
fn words_and_wordpieces() {
    let workspace = workspace();
    let rows = "北京的天气\t今天北京\n".repeat(6);
    workspace.write("train.tsv", rows.clone() + "火车票\t天气\n");
    let cipher = |out: &str, more: &[&str]| {
        let mut arguments = vec!["cipher", "--pairs", "train.tsv", "--checkpoint", "bert"];
        arguments.extend(["--out", out, "--json"].iter().chain(more));
        let json = workspace.succeed(&arguments);
        serde_json::from_str::<serde_json::Value>(&json).expect("one object")
    };
    // 北京 的 天气 | 今天 北京 six times, 火车票 | 天气 once.
    let words = cipher("words", &["--unit", "word"]);
    assert_eq!((&words["types"], &words["tokens"]), (&5.into(), &32.into()));
    // 北京, 天气 and 今天 stand five times or more; two of the three are one id each, and 火车票
    // is spelled; of its characters the first stays, as the sentence has no other token.
    let mixed = cipher("mixed", &["--merge", "0.6", "--drop-below", "2"]);
    assert_eq!(mixed["merged_words"], 2);
    assert_eq!(
        (&mixed["dropped_types"], &mixed["rescued_sentences"]),
        (&2.into(), &1.into())
    );
    let plain = decoded(&workspace, "mixed", "train.tsv");
    assert!(plain.starts_with(&rows), "{plain}");
    // The tokenizer has rows for none of it.
    let pieces = cipher("pieces", &["--unit", "wordpiece"]);
    assert_eq!(pieces["types"], 1);
    assert!(workspace.text("pieces/key.tsv").ends_with("\t[UNK]\n"));
}

#[test]
fn what_cannot_be_enciphered_leaves_nothing() {
    let workspace = workspace();
    let refused = |arguments: &[&str]| {
        let shown = workspace.snapshot(arguments);
        assert!(!workspace.exists("out"), "{shown}");
        shown.replace("exit: 1\n--- stdout\n--- stderr\n", "")
    };
    std::fs::create_dir(workspace.path("more")).expect("a folder");
    workspace.write("more/train.tsv", "a\tb\n");
    let mut twice = CIPHER;
    twice[3] = "more/train.tsv";
    assert_eq!(
        refused(&twice),
        "error: more/train.tsv: expected a file name of its own for the copy, found a name that another file has\n\
         hint: rename the file, or encipher it alone\n"
    );
    workspace.write("key.tsv", "a\tb\n");
    twice[3] = "key.tsv";
    assert_eq!(
        refused(&twice),
        "error: key.tsv: expected a file name of its own for the copy, found the name of the key\n\
         hint: rename the file, or encipher it alone\n"
    );
    let with = |more: [&'static str; 4]| [&CIPHER[..], &more].concat();
    assert_eq!(
        refused(&with(["--unit", "word", "--merge", "0.5"])),
        "error: --merge 0.5 with --unit word, whose ids are no characters to merge\n\
         hint: use --unit char with --merge\n"
    );
    assert_eq!(
        refused(&with(["--seed", "1", "--merge", "1.5"])),
        "error: --merge 1.5: a share lies between 0 and 1\n"
    );
    workspace.write("test.tsv", "a\tb\nc\n");
    assert_eq!(
        refused(&CIPHER),
        "error: test.tsv:2: expected 2 tab-separated fields, found 1\n\
         hint: a row is text<TAB>text, with <TAB>label behind or without\n"
    );
    workspace.write("test.tsv", "a\tb\nc\t \n");
    assert_eq!(
        refused(&CIPHER),
        "error: test.tsv:2:2: expected a sentence of one token or more, found none\n\
         hint: remove the row, or write a text there\n"
    );
    let mut here = CIPHER;
    here[7] = ".";
    assert_eq!(
        refused(&here),
        "error: . is not empty\nhint: choose another folder with --out\n"
    );
}

#[test]
fn real_text_comes_back() {
    let path =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/lcqmc/dev.tsv");
    let Ok(text) = std::fs::read_to_string(&path) else {
        skipped(&format!("{} is not there", path.display()));
        return;
    };
    let workspace = workspace();
    let rows: String = text
        .lines()
        .take(300)
        .flat_map(|line| [line, "\n"])
        .collect();
    workspace.write("train.tsv", &rows);
    workspace.write("test.tsv", "甲\t乙\n");
    workspace.succeed(&[&CIPHER[..], &["--merge", "0.5"]].concat());
    let bare = |text: &str| text.to_lowercase().replace([' ', '\u{3000}'], "");
    let decoded = decoded(&workspace, "out", "train.tsv");
    let pairs = bare(&decoded)
        .lines()
        .zip(bare(&rows).lines())
        .filter(|(a, b)| a == b)
        .count();
    assert!(pairs > 295, "{pairs}"); // accents and rare forms are normalised
}
