//! `cipherpet pretrain`: from lines to a BERT that opens again, under stops, threads and bad inputs.

use std::fmt::Write;

use cipherpet::checkpoint::{Checkpoint, names};
use cipherpet::random::Key;
use cipherpet::vocab::PlainVocab;

use crate::workspace::{ALL_HEADS, Workspace, metrics};

/// Both objectives, one after the other, in well under a second.
const SETTINGS: &str = r#"[text]
files = "questions.txt"
dialogues = ["talk.txt", "more.txt"]
document_lines = 10
max_tokens = 12
held_out = 0.1

[vocab]
size = 60

[model]
layers = 1
hidden = 16
heads = 2
intermediate = 32
positions = 20

[train]
batch = 16
warmup_steps = 2
learning_rate = 0.02

[[stage]]
name = "masks"
objective = "mlm"
epochs = 1

[[stage]]
name = "next"
objective = "nsp"
epochs = 2
"#;

/// Lines of words, or of ids; an empty line after every seventh where they are dialogues.
fn lines(n: u64, seed: u64, word: impl Fn(u64) -> String, is_dialogue: bool) -> String {
    let mut text = String::new();
    for line in 0..n {
        let key = Key::from_seed(seed).at(line);
        let words = 1 + key.bits(0) % 5;
        let words: Vec<String> = (1..=words).map(|at| word(key.bits(at) % 12)).collect();
        writeln!(text, "{}", words.join(" ")).expect("a String takes every write");
        if is_dialogue && line % 7 == 6 {
            text.push('\n');
        }
    }
    text
}

fn letters(number: u64) -> String {
    [
        "好", "abba", "Ab", "你", "cab", "!", "baab", "知", "道", "bc", "cc", "a",
    ][number as usize]
        .to_owned()
}

fn id(number: u64) -> String {
    (number * number + 3).to_string()
}

fn workspace_of(word: impl Fn(u64) -> String + Copy, settings: &str) -> Workspace {
    let workspace = Workspace::empty();
    workspace.write("pretrain.toml", settings);
    workspace.write("questions.txt", lines(60, 1, word, false));
    workspace.write("talk.txt", lines(70, 2, word, true));
    workspace.write("more.txt", lines(50, 3, word, true));
    workspace
}

fn with_text() -> Workspace {
    workspace_of(letters, SETTINGS)
}

fn arguments<'a>(out: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["pretrain", "pretrain.toml", "--out", out], more].concat()
}

/// What a clock has measured, taken out.
fn timeless(workspace: &Workspace, out: &str) -> Vec<serde_json::Value> {
    let mut lines = metrics(&workspace.path(&format!("{out}/metrics.jsonl")));
    for line in &mut lines {
        for key in ["seconds", "tokens_per_second"] {
            line.as_object_mut().expect("an object").remove(key);
        }
    }
    lines
}

#[test]
fn a_pretraining_that_is_stopped_after_each_step_ends_as_one_that_is_not() {
    let workspace = with_text();
    workspace.succeed(&arguments("whole", &["--threads=1"]));
    let mut sessions = 0;
    loop {
        let threads = ["--threads=1", "--threads=2"][sessions % 2];
        let output = workspace.run(&arguments("cut", &["--max-minutes=0", threads]));
        sessions += 1;
        match output.status.code() {
            Some(0) => break,
            Some(75) => {}
            _ => panic!("{}", workspace.transcript(&output)),
        }
        assert!(sessions < 100, "it does not come to an end");
    }
    let steps = workspace.json("whole/pretraining.json")["result"]["steps"].as_u64();
    assert!(
        sessions as u64 > steps.expect("a number"),
        "{sessions} sessions of {steps:?} steps"
    );
    for name in [
        "model.safetensors",
        "config.json",
        "vocab.txt",
        "tokenizer.json",
    ] {
        let file = |out: &str| workspace.read(&format!("{out}/model/{name}"));
        assert!(file("whole") == file("cut"), "{name} differs");
    }
    assert_eq!(timeless(&workspace, "whole"), timeless(&workspace, "cut"));
    assert_eq!(workspace.names("whole"), workspace.names("cut"));
    // Done, it is not done again.
    let again = workspace.succeed(&arguments("cut", &["--json"]));
    let again: serde_json::Value = serde_json::from_str(&again).expect("one object");
    assert_eq!(again["found_done"], true);
    let output = workspace.run(&arguments("cut", &["--seed=1"]));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        said.starts_with("error: cut holds another pretraining: `seed` is 0 there, 1 here"),
        "{said}"
    );
    workspace.write("talk.txt", "x\n");
    let output = workspace.run(&arguments("cut", &[]));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("talk.txt has changed since"), "{said}");
}

#[test]
fn each_epoch_tells_how_well_held_out_lines_are_guessed() {
    let workspace = with_text();
    let output = workspace.run(&arguments("out", &[]));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    let lines = metrics(&workspace.path("out/metrics.jsonl"));
    let stages: Vec<_> = lines.iter().map(|line| line["stage"].clone()).collect();
    assert_eq!(stages, ["masks", "next", "next"]);
    for line in &lines {
        let figures = line["held_out"].as_object().expect("figures");
        let share = |name: &str| {
            figures
                .get(name)
                .map(|figure| figure.as_f64().expect("a number"))
        };
        assert!((0.0..=1.0).contains(&share("masked_accuracy").expect("a figure")));
        let (loss, perplexity) = (share("masked_loss"), share("perplexity"));
        let (loss, perplexity) = (loss.expect("a figure"), perplexity.expect("a figure"));
        assert!((loss.exp() - perplexity).abs() < 1e-9 * perplexity);
        assert_eq!(share("nsp_accuracy").is_some(), line["objective"] == "nsp");
    }
    assert!(said.contains("held out: masked accuracy 0."), "{said}");
    assert!(said.contains(", NSP accuracy 0."), "{said}");
    let record = workspace.json("out/pretraining.json");
    assert_eq!(record["state"], "done");
    assert_eq!(record["result"]["held_out"], lines[2]["held_out"]);
    let texts = record["texts"].as_array().expect("a list");
    let counted: Vec<_> = texts.iter().map(|text| text["lines"].clone()).collect();
    assert_eq!(counted, [60, 80, 57]);
}

#[test]
fn what_is_left_is_a_checkpoint_for_a_run_and_for_more_pretraining() {
    let workspace = with_text();
    workspace.succeed(&arguments("first", &[]));
    let first = Checkpoint::open(&workspace.path("first/model")).expect("a checkpoint");
    assert_eq!(first.heads, ALL_HEADS);
    assert_eq!(
        first.plain.tokens()[..5],
        ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    );
    // A run starts from it.
    workspace.write("train.tsv", crate::workspace::pairs(60, 0, true));
    let run = "[data]\ntrain = \"train.tsv\"\nmax_tokens = 12\n[checkpoint]\ndir = \"first/model\"\n\
               [align]\nmethod = \"random\"\n[vocab]\nmin_count = 1\n[train]\nepochs = 1\n";
    workspace.write("run.toml", run);
    workspace.succeed(&["run", "run.toml", "--out", "run"]);
    // More pretraining leaves the tokens that do not occur as they were, and the vocabulary byte for byte.
    workspace.write("few.txt", "好 你\n你 好 好\n好 !\n! 你\n".repeat(20));
    let more = "text.files = \"few.txt\"\ntext.max_tokens = 12\ncheckpoint.dir = \"first/model\"\ntrain.epochs = 1\n\
                text.document_lines = 10\n";
    workspace.write("more.toml", more);
    workspace.succeed(&["pretrain", "more.toml", "--out", "second"]);
    let second = Checkpoint::open(&workspace.path("second/model")).expect("a checkpoint");
    assert_eq!(second.heads, first.heads);
    for name in ["vocab.txt", "tokenizer.json", "tokenizer_config.json"] {
        let file = |out: &str| workspace.read(&format!("{out}/model/{name}"));
        assert!(file("first") == file("second"), "{name} differs");
    }
    let row = |checkpoint: &Checkpoint, token: &str| {
        let row = checkpoint.plain.id(token).expect("a token").0 as usize;
        let words = &checkpoint.weights[names::WORD_EMBEDDINGS];
        words.index_axis(ndarray::Axis(0), row).to_owned()
    };
    for (token, is_learnt) in [("好", true), ("[MASK]", true), ("知", false), ("c", false)] {
        let moved = row(&first, token) != row(&second, token);
        assert_eq!(moved, is_learnt, "{token}");
    }
}

#[test]
fn ids_are_pretrained_on_as_they_are_and_a_run_finds_them_again() {
    let settings = SETTINGS.replace("[vocab]\nsize = 60\n", "");
    let settings = settings.replace("[text]\n", "[text]\ntokens = \"number\"\n");
    let workspace = workspace_of(id, &settings);
    workspace.succeed(&arguments("bert", &[]));
    let plain = PlainVocab::open(&workspace.path("bert/model")).expect("a vocabulary");
    let ids: Vec<u64> = plain.tokens()[5..]
        .iter()
        .map(|token| token.parse().expect("a number"))
        .collect();
    assert_eq!(ids.len(), 12);
    assert!(
        (0..12).all(|number| ids.contains(&(number * number + 3))),
        "{ids:?}"
    );
    // The mapping says that each id is itself.
    let rows = "3\t4 7\t1\n12 19\t28\t0\n".repeat(30);
    workspace.write("train.tsv", rows);
    let run = "[data]\ntrain = \"train.tsv\"\nmax_tokens = 12\n[checkpoint]\ndir = \"bert/model\"\n\
               [align]\nmethod = \"file\"\nfile = \"bert/mapping.tsv\"\n[train]\nepochs = 1\n";
    workspace.write("run.toml", run);
    workspace.succeed(&["run", "run.toml", "--out", "run"]);
    let mapping = workspace.text("run/mapping.tsv");
    for line in mapping.lines().skip(1) {
        let fields: Vec<&str> = line.split('\t').collect();
        assert_eq!(fields[0], fields[2], "{mapping}");
    }
    assert_eq!(mapping.lines().count(), 1 + 6);
    // Counts of another vocabulary throw those rows away. One id in a thousand tokens is too little to be refused.
    workspace.write("counts.tsv", "的\t999\n3\t1\n");
    let rank = [
        "--set=align.method=rank",
        "--set=align.counts=counts.tsv",
        "--out=rank",
    ];
    let warning = |more: &[&str]| -> String {
        let output = workspace.run(&[&["run", "run.toml"][..], &rank, more].concat());
        assert!(output.status.success(), "{}", workspace.transcript(&output));
        let log = workspace.text("rank/run.log");
        std::fs::remove_dir_all(workspace.path("rank")).expect("the folder");
        let mut lines = log.lines();
        let line = lines.find(|line| line.starts_with("warning: ") && line.contains("counts.tsv"));
        line.unwrap_or_default().to_owned()
    };
    let poor = warning(&[]);
    let expected = "counts.tsv: 0.1 % of what it counts are tokens of the checkpoint (1 of them, for 6 ids); the ids are tokens \
                    of the checkpoint themselves: with align.method = \"file\" and align.file = ";
    assert!(poor.contains(expected), "{poor}");
    assert!(
        poor.ends_with("bert/mapping.tsv each starts from itself"),
        "{poor}"
    );
    std::fs::rename(workspace.path("bert/model"), workspace.path("moved")).expect("the folder");
    let moved = warning(&["--set=checkpoint.dir=moved"]);
    assert!(
        moved.ends_with("a table of lines `id<TAB>id` each starts from itself"),
        "{moved}"
    );
    // All is of the vocabulary, and little of it; of half of the ids nothing is said.
    let moved = ["--set=checkpoint.dir=moved"];
    workspace.write("counts.tsv", "4\t9\n3\t1\n");
    let few = warning(&moved);
    assert!(
        few.contains("it counts 2 different tokens for 6 ids, which share them; "),
        "{few}"
    );
    workspace.write("counts.tsv", "4\t9\n3\t1\n7\t1\n");
    assert_eq!(warning(&moved), "");
}

#[test]
fn bad_inputs_are_refused_with_place_found_expected_and_hint_and_leave_nothing() {
    let workspace = with_text();
    workspace.write("empty.txt", "");
    workspace.write("blank.txt", "\n \n");
    workspace.write("no_mask.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\na\n");
    workspace.write("other.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nx\n");
    workspace.write("short.txt", "a\nb\n");
    let text = SETTINGS.replace("[vocab]\nsize = 60\n", "");
    workspace.write("given.toml", &text);
    let bytes: &[u8] = b"ab\n\xff\n";
    workspace.write("bytes.txt", bytes);
    let cases = [
        (
            "pretrain.toml",
            "text.dialoges=talk.txt",
            "error: --set text.dialoges=talk.txt: expected a known key, found `text.dialoges`\n\
             hint: did you mean `text.dialogues`?\n",
        ),
        (
            "pretrain.toml",
            "text.files=empty.txt",
            "error: empty.txt: expected a sentence a line, found no line with text\nhint: leave the file out\n",
        ),
        (
            "pretrain.toml",
            "text.files=blank.txt",
            "error: blank.txt: expected a sentence a line, found no line with text\nhint: leave the file out\n",
        ),
        (
            "pretrain.toml",
            "text.files=bytes.txt",
            "error: bytes.txt:2: expected UTF-8, found other bytes\nhint: save the file as UTF-8\n",
        ),
        (
            "pretrain.toml",
            "text.dialogues=[]",
            "error: --set text.dialogues=[]: expected one file or more, as `nsp` needs neighbours, found none\n",
        ),
        (
            "pretrain.toml",
            "text.dialogues=short.txt",
            "error: text.dialogues: expected 4 documents or more, of which 2 are held out (a document has at most \
             text.document_lines = 10 lines), found 1\n",
        ),
        (
            "given.toml",
            "vocab.file=no_mask.txt",
            "error: no_mask.txt: expected the special tokens [PAD], [UNK], [CLS], [SEP], [MASK], found none called \
             [MASK]\n",
        ),
        (
            "given.toml",
            "vocab.file=other.txt",
            "error: vocab.min_count: expected a token that stands in the text 1 times or more, found none\n",
        ),
        (
            "pretrain.toml",
            "text.max_tokens=18",
            "error: --set text.max_tokens=18: expected at most 17 (the model has 20 positions, 3 are for [CLS] and \
             [SEP]), found 18\nhint: lower text.max_tokens, or set model.positions = 21\n",
        ),
        (
            "pretrain.toml",
            "text.tokens=number",
            "error: questions.txt:1: expected token ids from 0 to 4294967295 with spaces between them, found `",
        ),
    ];
    for (file, assignment, expected) in cases {
        let output = workspace.run(&["pretrain", file, "--out", "out", "--set", assignment]);
        let said = workspace.transcript(&output);
        let at = said.find("error: ").unwrap_or(0);
        assert!(said[at..].starts_with(expected), "{assignment}: {said}");
        assert!(said.contains("\nhint: "), "{assignment}: {said}");
        assert_eq!(output.status.code(), Some(1), "{assignment}");
        assert!(!workspace.exists("out"), "{assignment}");
    }
}

#[test]
fn a_share_that_holds_out_every_document_is_refused_and_leaves_nothing() {
    let workspace = with_text();
    let (masks, _) = SETTINGS
        .split_once("[[stage]]\nname = \"next\"")
        .expect("two stages");
    workspace.write("masks.toml", masks);
    workspace.write("one.txt", "a\nab\n");
    workspace.write("other.txt", "b\nba\n");
    let run = [
        "pretrain",
        "masks.toml",
        "--out=out",
        "--set=text.files=one.txt",
        "--set=text.dialogues=other.txt",
        "--set=text.held_out=0.5",
    ];
    let output = workspace.run(&run);
    let said = workspace.transcript(&output);
    let expected = "error: text.held_out: expected a share that leaves a document to learn from, found 0.5, which holds out all 2\n\
                    hint: lower it,";
    assert!(said.contains(expected), "{said}");
    assert_eq!(output.status.code(), Some(1));
    assert!(!workspace.exists("out"));
}
