//! `cipherpet zero-shot`: scores without labels, of pairs and by prompts.

use std::path::Path;
use std::process::Command;

use cipherpet::checkpoint::{Checkpoint, Heads};
use cipherpet::data::PackedBatch;
use cipherpet::kernels::path::{self, Precision};
use cipherpet::model::{Bert, Pass, Pooling};
use dfdx::prelude::NoneTape;
use serde_json::Value;

use crate::python::Python;
use crate::workspace::{ALL_HEADS, Workspace};

/// The rows of `text.tsv` and `cipher.tsv`: the letters of a pair and its label.
const ROWS: [(&str, &str, u8); 6] = [
    ("a b c", "b c d", 1),
    ("e f", "z y x", 0),
    ("q", "q", 1),
    ("h e l l o", "w o r l d", 0),
    ("t h e", "e n d", 1),
    ("a", "z", 0),
];

/// The same pairs as text and as a cipher whose key `map.tsv` holds, and a BERT over letters.
fn letters() -> Workspace {
    let workspace = Workspace::empty();
    workspace.write_checkpoint("bert", ALL_HEADS);
    let text = |(a, b, label): &(&str, &str, u8)| format!("{a}\t{b}\t{label}\n");
    workspace.write("text.tsv", ROWS.iter().map(text).collect::<String>());
    workspace.write("cipher.tsv", enciphered(&ROWS));
    let map = ('a'..='z').map(|letter| format!("{}\t{letter}\n", number(letter)));
    workspace.write("map.tsv", map.collect::<String>());
    workspace.write(
        "cipher.toml",
        "[data]\ntrain = \"cipher.tsv\"\nvalid = \"none\"\n[vocab]\nmin_count = 1\n[checkpoint]\ndir = \"bert\"\n\
         [align]\nmethod = \"file\"\nfile = \"map.tsv\"\n[train]\nprecision = \"f32\"\nepochs = 1\nbatch = 4\nwarmup_steps = 1\n",
    );
    workspace
}

/// The number that stands for a letter.
fn number(letter: char) -> u32 {
    100 + 7 * (letter as u32 - 'a' as u32)
}

/// A file of pairs and their labels, letter by letter.
fn enciphered(rows: &[(&str, &str, u8)]) -> String {
    let encipher = |text: &str| {
        let letters = text.chars().filter(|&letter| letter != ' ');
        let ids: Vec<String> = letters.map(|letter| number(letter).to_string()).collect();
        ids.join(" ")
    };
    let row =
        |&(a, b, label): &(&str, &str, u8)| format!("{}\t{}\t{label}\n", encipher(a), encipher(b));
    rows.iter().map(row).collect()
}

const TEXT: [&str; 8] = [
    "zero-shot",
    "--text",
    "--pairs",
    "text.tsv",
    "--set",
    "checkpoint.dir=bert",
    "--set",
    "train.precision=f32",
];

/// Margin of two texts by the checkpoint of [`letters`], with token type 0 for the first and `second_type` for the other.
fn margins(workspace: &Workspace, second_type: u32) -> impl Fn(&str, &str) -> f32 + use<> {
    let checkpoint = Checkpoint::open(&workspace.path("bert")).expect("just written");
    let path = path::Path::resolve(Precision::F32);
    let (config, heads) = (checkpoint.config.clone(), checkpoint.heads);
    let model = Bert::new(config, heads, path, checkpoint.weights.clone()).expect("all weights");
    move |first, second| {
        let row = |token: &str| checkpoint.plain.id(token).expect("a letter").0;
        let [first, second] = [first, second].map(|text| text.split(' ').map(row));
        let first = [row("[CLS]")]
            .into_iter()
            .chain(first)
            .chain([row("[SEP]")]);
        let first: Vec<u32> = first.collect();
        let second: Vec<u32> = second.chain([row("[SEP]")]).collect();
        let types = [vec![0; first.len()], vec![second_type; second.len()]].concat();
        let mut batch = PackedBatch::default();
        batch.push(&[first, second].concat(), &types);
        let states = model.encode(&Pass::prediction(&batch, &[0]), NoneTape);
        let logits = model.nsp_logits(model.pool(states, Pooling::Tanh)).as_vec();
        logits[0] - logits[1]
    }
}

/// The column `score` of a table.
fn scores(workspace: &Workspace, table: &str) -> Vec<f32> {
    let text = workspace.text(table);
    let rows = text.lines().skip(1);
    rows.map(|row| row.split('\t').nth(1).and_then(|score| score.parse().ok()))
        .map(|score| score.expect("a score a row"))
        .collect()
}

#[track_caller]
fn assert_near(found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() < 1e-6, "{found} {expected}");
    }
}

#[test]
fn a_pair_is_scored_by_the_margin_of_next_sentence_prediction_in_both_orders() {
    let workspace = letters();
    workspace.succeed(&[&TEXT[..], &["--out", "scores.tsv"]].concat());
    let margin = margins(&workspace, 1);
    let expected = ROWS.map(|(a, b, _)| (margin(a, b) + margin(b, a)) / 2.0);
    assert_near(&scores(&workspace, "scores.tsv"), &expected);
    let one_order = ["--set", "predict.swap=false", "--out", "one.tsv"];
    workspace.succeed(&[&TEXT[..], &one_order].concat());
    let expected = ROWS.map(|(a, b, _)| margin(a, b));
    assert_near(&scores(&workspace, "one.tsv"), &expected);
}

#[test]
fn a_cipher_with_its_true_map_is_scored_as_its_text_from_a_file_and_from_a_run() {
    let workspace = letters();
    workspace.succeed(&[&TEXT[..], &["--out", "text.scores"]].concat());
    workspace.succeed(&["zero-shot", "cipher.toml", "--out", "file.scores"]);
    workspace.succeed(&["run", "cipher.toml", "--out", "out", "--quiet"]);
    workspace.succeed(&["zero-shot", "out", "--out", "run.scores"]);
    let of_text = scores(&workspace, "text.scores");
    assert_near(&scores(&workspace, "file.scores"), &of_text);
    // The run has trained; its start has not.
    assert_near(&scores(&workspace, "run.scores"), &of_text);
    // Rows that the vocabulary has not counted.
    let more = ["--pairs", "cipher.tsv", "--set", "data.train=more.tsv"];
    let all = workspace.text("cipher.tsv");
    workspace.write("more.tsv", format!("{all}100 107\t114\t1\n"));
    workspace.succeed(
        &[
            &["zero-shot", "cipher.toml", "--out", "more.scores"],
            &more[..],
        ]
        .concat(),
    );
    assert_near(&scores(&workspace, "more.scores"), &of_text);
}

#[test]
fn labels_follow_from_scores_by_the_prior_and_are_only_compared_with() {
    let workspace = letters();
    let arguments = [
        &TEXT[..],
        &["--prior=0.5", "--probe", "--out", "scores.tsv", "--json"],
    ]
    .concat();
    let report: Value = serde_json::from_str(&workspace.succeed(&arguments)).expect("one object");
    assert_eq!(
        (&report["rows"], &report["labelled_rows"]),
        (&6.into(), &6.into())
    );
    assert_eq!(report["prior"], serde_json::json!([0.5, 0.5]));
    let table = workspace.text("scores.tsv");
    let label = |row: &str| row.rsplit('\t').next() == Some("1");
    let said: Vec<bool> = table.lines().skip(1).map(label).collect();
    assert_eq!(said.iter().filter(|&&label| label).count(), 3);
    let found = scores(&workspace, "scores.tsv");
    let lowest_of_1 = (0..6)
        .filter(|&row| said[row])
        .map(|row| found[row])
        .reduce(f32::min);
    let highest_of_0 = (0..6)
        .filter(|&row| !said[row])
        .map(|row| found[row])
        .reduce(f32::max);
    assert!(lowest_of_1 > highest_of_0);
    let right = (0..6)
        .filter(|&row| said[row] == (ROWS[row].2 == 1))
        .count();
    assert_eq!(report["accuracy"], right as f64 / 6.0);
    let above = |row: usize, other: usize| match found[row].total_cmp(&found[other]) {
        std::cmp::Ordering::Greater => 1.0,
        std::cmp::Ordering::Equal => 0.5,
        std::cmp::Ordering::Less => 0.0,
    };
    let pairs = [0, 2, 4]
        .into_iter()
        .flat_map(|row| [1, 3, 5].map(|other| above(row, other)));
    let auc = report["figures"]["auc"].as_f64().expect("both classes");
    assert!((auc - pairs.sum::<f64>() / 9.0).abs() < 1e-12);
    assert!(
        report["probe_auc"]
            .as_f64()
            .is_some_and(|auc| (0.0..=1.0).contains(&auc))
    );

    // Without labels the same scores, labels and probe, and no figures.
    let text = workspace.text("text.tsv");
    let bare: Vec<&str> = text.lines().map(|row| &row[..row.len() - 2]).collect();
    workspace.write("text.tsv", bare.join("\n"));
    let unlabelled: Value =
        serde_json::from_str(&workspace.succeed(&arguments)).expect("one object");
    assert_eq!(workspace.text("scores.tsv"), table);
    assert_eq!(unlabelled["probe_auc"], report["probe_auc"]);
    assert_eq!(
        (&unlabelled["labelled_rows"], &unlabelled["accuracy"]),
        (&0.into(), &Value::Null)
    );
    assert_eq!(unlabelled["figures"], serde_json::json!({}));
}

const PROMPTS: &str = "template = \"i t i s {}\"\n[[label]]\nname = \"1\"\nprompt = \"g o\"\n[[label]]\nname = \"0\"\nprompt = \"n\"\n";

/// Single texts with a label, and prompts.
fn singles() -> Workspace {
    let workspace = letters();
    workspace.write("text.tsv", "a b c\t1\nx y z\t0\nh e l l o\t1\nq\t0\n");
    workspace.write("prompts.toml", PROMPTS);
    workspace
}

const PROMPT: [&str; 4] = ["--set", "task.kind=single", "--prompts", "prompts.toml"];

#[test]
fn prompts_say_labels_by_either_head() {
    let workspace = singles();
    for method in ["nsp", "pet"] {
        let arguments = [
            &TEXT[..],
            &PROMPT,
            &["--method", method, "--out", "scores.tsv"],
        ]
        .concat();
        let shown = workspace.snapshot(&arguments);
        let shown = shown.lines().filter(|line| !line.starts_with("rows/s"));
        let shown: Vec<&str> = shown.collect();
        insta::assert_snapshot!(format!("zero_shot_{method}"), shown.join("\n"));
        let table = workspace.text("scores.tsv");
        for row in table.lines().skip(1) {
            let fields: Vec<&str> = row.split('\t').collect();
            let score: f32 = fields[1].parse().expect("a score");
            assert_eq!(fields[2], if score >= 0.0 { "1" } else { "0" }, "{row}");
        }
    }
    // Labels of any name have a score each, in the order of the data.
    let names = workspace
        .text("text.tsv")
        .replace("\t1", "\tyes")
        .replace("\t0", "\tno");
    workspace.write("text.tsv", names);
    workspace.write(
        "prompts.toml",
        PROMPTS
            .replace("\"1\"", "\"yes\"")
            .replace("\"0\"", "\"no\""),
    );
    let classes = ["--set", "task.labels=classes", "--out", "named.tsv"];
    workspace.succeed(&[&TEXT[..], &PROMPT, &classes].concat());
    let named = workspace.text("named.tsv");
    assert_eq!(
        named.lines().next(),
        Some("row\tscore_no\tscore_yes\tlabel")
    );
    for row in named.lines().skip(1) {
        let fields: Vec<&str> = row.split('\t').collect();
        let [no, yes] = [1, 2].map(|at| fields[at].parse::<f32>().expect("a score"));
        assert_eq!(fields[3], if yes > no { "yes" } else { "no" });
    }
}

#[test]
fn threads_change_no_byte() {
    let workspace = letters();
    let table = |threads: &str| {
        workspace.succeed(
            &[
                &TEXT[..],
                &["--probe", "--threads", threads, "--out", "t.tsv"],
            ]
            .concat(),
        );
        workspace.read("t.tsv")
    };
    let one = table("1");
    assert_eq!([table("2"), table("4")], [one.clone(), one]);
}

#[test]
fn what_cannot_be_scored_is_refused_and_leaves_no_table() {
    let workspace = singles();
    workspace.write_checkpoint("mlm", Heads::MLM);
    let prompts = |name: &str, text: &str| workspace.write(&format!("{name}.toml"), text);
    prompts("no_place", &PROMPTS.replace("{}", "it"));
    prompts("other_label", &PROMPTS.replace("\"0\"", "\"2\""));
    prompts("one_short", "[[label]]\nname = \"1\"\nprompt = \"a\"\n");
    prompts("blank", &format!("blank = \"__\"\n{PROMPTS}"));
    prompts("long", &PROMPTS.replace("i t i s", &"i ".repeat(70)));
    let single = ["--set", "task.kind=single"];
    let cases: [(&str, &[&str]); 11] = [
        (
            "no_nsp_head",
            &["--set", "checkpoint.dir=mlm", "--prompts", "prompts.toml"],
        ),
        ("no_prompts", &[]),
        ("pet_without_prompts", &["--method", "pet"]),
        ("no_place", &["--prompts", "no_place.toml"]),
        ("other_label", &["--prompts", "other_label.toml"]),
        ("one_short", &["--prompts", "one_short.toml"]),
        ("no_blank", &["--prompts", "blank.toml"]),
        ("long_prompt", &["--prompts", "long.toml"]),
        (
            "long_text",
            &[
                "--prompts",
                "prompts.toml",
                "--set",
                "data.max_tokens=60",
                "--pairs",
                "long.tsv",
            ],
        ),
        ("prior", &["--prompts", "prompts.toml", "--prior", "1.5"]),
        (
            "ordinal",
            &["--prompts", "prompts.toml", "--set", "task.labels=ordinal"],
        ),
    ];
    workspace.write("long.tsv", format!("{}\t1\n", "a ".repeat(80)));
    for (name, more) in cases {
        let mut arguments = [&TEXT[..], &single, more, &["--out", "t.tsv"]].concat();
        if more.contains(&"--pairs") {
            arguments.drain(2..4);
        }
        insta::assert_snapshot!(format!("zero_shot_{name}"), workspace.snapshot(&arguments));
        assert!(!workspace.exists("t.tsv"), "{name} has left a table");
    }
    prompts("empty", &PROMPTS.replace("\"n\"", "\" \""));
    let empty = ["--prompts", "empty.toml"];
    let refused = workspace.snapshot(&[&TEXT[..], &single, &empty].concat());
    let said = "error: empty.toml:7:label[2].prompt: expected a prompt of one token or more, found none\n\
                hint: write there what stands for the label in the template\n";
    assert!(refused.contains(said), "{refused}");
    // The prior is looked at before the rows are: these are too long.
    let prior = ["--prompts", "long.toml", "--prior", "1.5"];
    let refused = workspace.snapshot(&[&TEXT[..], &single, &prior].concat());
    assert!(refused.contains("error: --prior 1.5: "), "{refused}");
    let cipher = ["zero-shot", "cipher.toml", "--set"];
    let refused = workspace.snapshot(&[&cipher[..], &["align.method=scratch"]].concat());
    insta::assert_snapshot!("zero_shot_from_scratch", refused);
    let refused = workspace.snapshot(&[&cipher[..], &["checkpoint.dir=mlm"]].concat());
    insta::assert_snapshot!("zero_shot_cipher_without_nsp_head", refused);
}

#[test]
fn a_checkpoint_that_is_called_a_roberta_is_warned_of() {
    let workspace = letters();
    workspace.write_checkpoint("chinese-roberta-wwm-ext", ALL_HEADS);
    let arguments = [
        &TEXT[..],
        &["--set", "checkpoint.dir=chinese-roberta-wwm-ext"],
    ]
    .concat();
    let output = workspace.run(&arguments);
    let told = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(
        output.status.success() && told.contains("trained without next sentences"),
        "{told}"
    );
    let [config, google] = ["config.json", "bert_config.json"]
        .map(|name| workspace.path("chinese-roberta-wwm-ext").join(name));
    std::fs::rename(config, google).expect("a name of Google's");
    let told = String::from_utf8(workspace.run(&arguments).stderr).expect("UTF-8");
    assert!(told.contains("trained without next sentences"), "{told}");
    let quiet = String::from_utf8(workspace.run(&TEXT).stderr).expect("UTF-8");
    assert!(!quiet.contains("next sentences"), "{quiet}");
}

/// Two questions, of three candidates and of two; the network says what the checkpoint says, as nothing moves.
#[test]
fn candidates_of_one_text_are_compared_with_each_other() {
    let workspace = letters();
    let rows = [
        ("a b c", "e n d", 0),
        ("h e l l o", "w o r l d", 1),
        ("e f", "e n d", 1),
        ("z y", "w o r l d", 0),
        ("q", "e n d", 0),
    ];
    workspace.write("questions.tsv", enciphered(&rows));
    let margin = margins(&workspace, 1);
    let odds = |at: usize| margin(rows[at].0, rows[at].1).exp();
    // What is said of each candidate; with label smoothing all of a question are wanted a little.
    let losses = |numbers: &[usize]| -> Vec<f32> {
        let sum: f32 = numbers.iter().map(|&at| odds(at)).sum();
        numbers.iter().map(|&at| -(odds(at) / sum).ln()).collect()
    };
    let smoothed = |losses: &[f32], epsilon: f32| {
        let mean = losses.iter().sum::<f32>() / losses.len() as f32;
        (1.0 - epsilon) * losses[0] + epsilon * mean
    };
    let (of_three, of_two) = (losses(&[2, 0, 4]), losses(&[1, 3]));
    let arguments = [
        "run",
        "cipher.toml",
        "--set=data.train=questions.tsv",
        "--set=objective.name=nsp",
        "--set=objective.candidates=first",
        "--set=objective.mlm_weight=0",
        "--set=train.dropout=0",
        "--set=train.batch=8",
        "--set=train.learning_rate=1e-30",
    ];
    for (out, epsilon) in [("sure", 0.0), ("smoothed", 0.2)] {
        let smoothing = format!("train.label_smoothing={epsilon}");
        let more = ["--out", out, "--set", &smoothing];
        workspace.succeed(&[&arguments[..], &more].concat());
        let lines = workspace.text(&format!("{out}/metrics.jsonl"));
        let epoch: Value = serde_json::from_str(&lines).expect("a line");
        let found = epoch["label_loss"].as_f64().expect("a number") as f32;
        let [of_three, of_two] = [&of_three, &of_two].map(|losses| smoothed(losses, epsilon));
        let expected = (3.0 * of_three + 2.0 * of_two) / 5.0;
        assert!((found - expected).abs() < 1e-5, "{found} {expected}");
    }
}

/// A rate that moves nothing leaves the scores of the start: token types are 0, as no marks are asked for.
#[test]
fn a_linear_head_starts_as_the_next_sentence_head_with_next_as_label_1() {
    let workspace = letters();
    let margin = margins(&workspace, 0);
    let expected = ROWS.map(|(a, b, _)| margin(a, b));
    let settings = [
        "data.test=cipher.tsv",
        "objective.head_start=nsp",
        "data.mark_shared=false",
        "predict.swap=false",
        "train.learning_rate=1e-30",
    ];
    let settings: Vec<&str> = settings.iter().flat_map(|set| ["--set", *set]).collect();
    for objective in ["ce", "bce", "cosent", "mse"] {
        let name = format!("objective.name={objective}");
        let run = ["run", "cipher.toml", "--out", objective, "--set", &name];
        workspace.succeed(&[&run[..], &settings].concat());
        let table = workspace.text(&format!("{objective}/submission.csv"));
        let found = table.lines().map(|line| line.parse().expect("a score"));
        // Of labels 0 and 1 the score of `mse` is 0 half-way.
        let middle = if objective == "mse" { 0.5 } else { 0.0 };
        let expected = expected.map(|margin| margin - middle);
        assert_near(&found.collect::<Vec<f32>>(), &expected);
    }
    workspace.write_checkpoint("bert", Heads::MLM);
    let cases = [
        ("no_head", "objective.name=ce"),
        ("other_objective", "objective.name=pet"),
        ("other_head", "objective.head=cls"),
    ];
    for (name, set) in cases {
        let run = [
            "run",
            "cipher.toml",
            "--out",
            "no",
            "--set",
            "objective.name=ce",
            "--set",
            set,
        ];
        let shown = workspace.snapshot(&[&run[..], &settings].concat());
        let shown: Vec<&str> = shown
            .lines()
            .filter(|line| {
                ["exit", "error", "hint"]
                    .iter()
                    .any(|word| line.starts_with(word))
            })
            .collect();
        insta::assert_snapshot!(format!("head_start_{name}"), shown.join("\n"));
    }
}

#[test]
fn a_long_second_text_beside_a_blank_is_cut() {
    let workspace = singles();
    let long = "w o r l d ".repeat(30);
    workspace.write("text.tsv", format!("a b __ c\t{long}\t1\nx __ y\tz\t0\n"));
    let head = "blank = \"__\"\ntext = \"{a} {b}\"\n";
    workspace.write("prompts.toml", format!("{head}{PROMPTS}"));
    let more = ["--prompts", "prompts.toml", "--set", "data.max_tokens=20"];
    workspace.succeed(&[&TEXT[..], &more, &["--out", "long.tsv"]].concat());
    // As if it had been written so.
    let cut = format!("{}w o", "w o r l d ".repeat(3));
    workspace.write("text.tsv", format!("a b __ c\t{cut}\t1\nx __ y\tz\t0\n"));
    workspace.succeed(&[&TEXT[..], &more, &["--out", "cut.tsv"]].concat());
    assert_eq!(workspace.text("long.tsv"), workspace.text("cut.tsv"));
}

/// Text, cut by either tokenizer, with and without a blank: the same margins as `BertForNextSentencePrediction`.
#[test]
fn prompts_in_a_blank_are_scored_as_by_transformers() {
    let workspace = singles();
    let Some(python) = Python::with(&["torch", "transformers", "safetensors"]) else {
        return;
    };
    for (side, blank) in [
        ("prefix", false),
        ("suffix", false),
        ("prefix", true),
        ("suffix", true),
    ] {
        let head = match blank {
            true => format!("blank = \"__\"\ntext = \"{{a}} w a s __ o k\"\nside = \"{side}\"\n"),
            false => format!("side = \"{side}\"\n"),
        };
        workspace.write("prompts.toml", head + PROMPTS);
        workspace.succeed(&[&TEXT[..], &PROMPT, &["--out", "t.tsv"]].concat());
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transformers/prompts.py");
        let output = Command::new(&python.program)
            .arg(script)
            .args([workspace.path("bert"), workspace.path("text.tsv")])
            .args([
                side,
                if blank { "w a s __ o k" } else { "" },
                "i t i s g o",
                "i t i s n",
            ])
            .output()
            .expect("the script starts");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{stderr}");
        let theirs: Vec<f32> = serde_json::from_slice(&output.stdout).expect("a list");
        let ours = scores(&workspace, "t.tsv");
        assert_eq!(ours.len(), theirs.len());
        for (ours, theirs) in ours.iter().zip(&theirs) {
            assert!(
                (ours - theirs).abs() < 1e-5,
                "{side} {blank}: {ours} {theirs}"
            );
        }
    }
}
