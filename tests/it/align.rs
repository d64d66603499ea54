//! `cipherpet align`, `cipherpet audit`, and runs with `align.method = "graph"`.

use serde_json::Value;

use crate::hand_made::edit_manifest;
use crate::language;
use crate::workspace::{ALL_HEADS, Workspace};

/// A language, a cipher of it in `cipher/` and a tiny BERT that knows its letters.
fn workspace() -> Workspace {
    let workspace = Workspace::empty();
    workspace.write_checkpoint("bert", ALL_HEADS);
    language::write(&workspace);
    cipher(&workspace, "cipher", "0");
    workspace
}

/// The pairs under a key of their own, in the folder `out`.
fn cipher(workspace: &Workspace, out: &str, seed: &str) {
    let sources = ["--pairs", "pairs.tsv", "--checkpoint", "bert"];
    workspace.succeed(&[&["cipher", "--out", out, "--seed", seed], &sources[..]].concat());
}

const SOURCES: [&str; 8] = [
    "--pairs",
    "cipher/pairs.tsv",
    "--plain",
    "plain.txt",
    "--checkpoint",
    "bert",
    "--unit",
    "char",
];

fn align(workspace: &Workspace, more: &[&str]) -> Value {
    let arguments = [&["align", "--out", "m.tsv", "--json"], &SOURCES[..], more].concat();
    serde_json::from_str(&workspace.succeed(&arguments)).expect("one object")
}

#[test]
fn a_small_language_is_found_and_judged_by_its_key() {
    let workspace = workspace();
    let report = align(&workspace, &["--key", "cipher/key.tsv"]);
    let number = |key: &str| {
        report[key]
            .as_f64()
            .unwrap_or_else(|| panic!("{key} in {report}"))
    };
    assert!(number("token_accuracy") > 0.9, "{report}");
    assert!(number("type_accuracy") > 0.5, "{report}");
    assert!(number("reachable_tokens") > 0.99, "{report}"); // one rare letter is not
    assert!(number("seconds") > 0.0);
    assert_eq!(report["unit"], "char");
    for key in [
        "peak_rss_bytes",
        "mutual_best",
        "likelihood",
        "likelihood_rank",
        "likelihood_shuffled",
    ] {
        assert!(report.get(key).is_some(), "{key} in {report}");
    }
    let tokens: f64 = (report["bands"].as_array().expect("a list").iter())
        .map(|band| band["tokens"].as_f64().expect("a share"))
        .sum();
    assert!((tokens - 1.0).abs() < 1e-9, "{tokens}");

    // Without the key the mapping is the same.
    let mapping = workspace.text("m.tsv");
    assert!(align(&workspace, &[])["token_accuracy"].is_null());
    assert_eq!(workspace.text("m.tsv"), mapping);
    // The five most frequent ids as anchors: what is known is taken as known.
    let key = workspace.text("cipher/key.tsv");
    let ids: Vec<&str> = (mapping.lines().skip(1).take(5))
        .filter_map(|row| row.split('\t').next())
        .collect();
    let line_of = |id: &&str| {
        key.lines()
            .find(|line| line.starts_with(&format!("{id}\t")))
    };
    let known: Vec<&str> = ids.iter().filter_map(line_of).collect();
    workspace.write("known.tsv", known.join("\n"));
    assert_eq!(align(&workspace, &["--anchors", "known.tsv"])["anchors"], 5);
    let mapping = workspace.text("m.tsv");
    for (row, line) in mapping.lines().skip(1).zip(known) {
        let token = line.split('\t').nth(1);
        assert_eq!(row.split('\t').nth(2), token, "{row}");
    }
}

#[test]
fn the_network_refines_the_same_on_any_number_of_threads() {
    let workspace = workspace();
    let plain = align(&workspace, &["--key", "cipher/key.tsv"]);
    assert!(plain.get("refinement").is_none(), "{plain}");
    let refine = |threads| {
        let report = align(
            &workspace,
            &["--refine", "--key", "cipher/key.tsv", "--threads", threads],
        );
        assert_eq!(report["refinement"]["rounds"], 2, "{report}");
        (workspace.text("m.tsv"), report["token_accuracy"].as_f64())
    };
    let (mapping, accuracy) = refine("1");
    assert_eq!(refine("3"), (mapping, accuracy));
    // Rows that the network has no positions for are not read by it: each sentence of 48 tokens or so, twice.
    let pairs = workspace.text("cipher/pairs.tsv");
    let ids: Vec<&str> = pairs.split_whitespace().take(4000).collect();
    let long: String = (ids.chunks_exact(80))
        .map(|row| format!("{}\t{}\t1\n", row[..40].join(" "), row[40..].join(" ")))
        .collect();
    workspace.write("cipher/pairs.tsv", pairs + &long);
    let report = align(&workspace, &["--refine"]);
    assert_eq!(report["refinement"]["rounds"], 2, "{report}");
    // The tiny network knows nothing, and what is sure stays.
    let (before, after) = (plain["token_accuracy"].as_f64(), accuracy);
    assert!(
        after > before.map(|before| before - 0.1),
        "{before:?} {after:?}"
    );
}

#[test]
fn an_audit_says_it_in_words_and_writes_nothing() {
    let workspace = workspace();
    let before = workspace.names(".");
    let audit = |more: &[&str]| workspace.succeed(&[&["audit"], &SOURCES[..], more].concat());
    let text = audit(&["--key", "cipher/key.tsv"]);
    assert!(
        text.starts_with("The masking is largely reversible. From "),
        "{text}"
    );
    assert!(
        text.contains("a low figure is no proof of safety"),
        "{text}"
    );
    let report: Value = serde_json::from_str(&audit(&["--json"])).expect("one object");
    assert!(report["token_accuracy"].is_null() && report["expected_accuracy"].is_f64());
    assert!(
        report["statement"]
            .as_str()
            .is_some_and(|text| text.contains("an estimated "))
    );
    let exposed = report["exposed"].as_array().expect("a list");
    assert!(!exposed.is_empty() && exposed.len() <= 20, "{report}");
    // A cut that the help names.
    audit(&["--set", "data.max_tokens=20"]);
    assert_eq!(workspace.names("."), before);

    audit(&["--key", "cipher/key.tsv", "--out", "audit.html"]);
    let page = workspace.text("audit.html");
    let most = format!("<td>{}</td>", exposed[0]["id"].as_str().expect("an id"));
    for part in [
        "What an attacker needs",
        "What an owner can do",
        "measured with the key",
        "right by the key",
        &most,
    ] {
        assert!(page.contains(part), "{part}");
    }
    assert!(!page.contains("<script"));
}

/// The same ids, dealt anew over all rows: there is no order to align by, and however sure the pairs look, it is not said that
/// the masking is reversible.
#[test]
fn an_audit_cannot_tell_where_order_is_lost() {
    let workspace = workspace();
    let pairs = workspace.text("cipher/pairs.tsv");
    let rows: Vec<Vec<&str>> = pairs.lines().map(|row| row.split('\t').collect()).collect();
    let texts = || rows.iter().flat_map(|row| &row[..2]);
    let ids: Vec<&str> = texts().flat_map(|text| text.split(' ')).collect();
    assert!(!ids.len().is_multiple_of(7919), "or it is no permutation");
    let mut dealt = (0..ids.len()).map(|at| ids[at * 7919 % ids.len()]);
    let mut deal = |text: &str| {
        let n = text.split(' ').count();
        dealt.by_ref().take(n).collect::<Vec<_>>().join(" ")
    };
    let shuffled: String = rows
        .iter()
        .map(|row| format!("{}\t{}\n", deal(row[0]), deal(row[1])))
        .collect();
    workspace.write("cipher/pairs.tsv", shuffled);
    let arguments = [&["audit", "--json"], &SOURCES[..]].concat();
    let report: Value = serde_json::from_str(&workspace.succeed(&arguments)).expect("one object");
    assert_eq!(report["reversible"], "cannot_tell", "{report}");
    assert!(report["expected_accuracy"].is_null() && report["trusted_tokens"].is_null());
    assert_eq!(report["exposed"], serde_json::json!([]));
    let statement = report["statement"].as_str().expect("a sentence");
    assert!(
        statement.starts_with("Cannot tell how far the masking is reversible: under the mapping"),
        "{statement}"
    );
}

#[test]
fn every_unit_that_can_be_is_tried_and_the_likeliest_stays() {
    let workspace = workspace();
    let arguments = [&["align", "--out", "m.tsv", "--json"], &SOURCES[..6]].concat();
    let report: Value = serde_json::from_str(&workspace.succeed(&arguments)).expect("one object");
    let units = report["units"].as_array().expect("a list");
    let names: Vec<&str> = units
        .iter()
        .filter_map(|trial| trial["unit"].as_str())
        .collect();
    // Runs of letters are one word each, for which the tiny checkpoint has no pieces.
    assert_eq!(names, ["char", "mixed"]);
    let likelihood = |trial: &Value| trial["likelihood"].as_f64().expect("a number");
    let best = units
        .iter()
        .map(likelihood)
        .fold(f64::NEG_INFINITY, f64::max);
    let chosen = units.iter().find(|trial| trial["unit"] == report["unit"]);
    assert_eq!(chosen.map(likelihood), Some(best));
}

#[test]
fn what_cannot_be_aligned_is_refused_with_the_reason() {
    let workspace = workspace();
    let refused = |more: &[&str]| {
        let arguments = [&["align", "--out", "m.tsv"], &SOURCES[..], more].concat();
        let shown = workspace.snapshot(&arguments);
        assert!(!workspace.exists("m.tsv"), "{shown}");
        shown.replace("exit: 1\n--- stdout\n--- stderr\n", "")
    };
    let key = workspace.text("cipher/key.tsv");
    let first = key.lines().nth(1).expect("an id");
    let (id, token) = first.split_once('\t').expect("two columns");
    let other = if token == "z" { "y" } else { "z" };
    workspace.write("known.tsv", format!("{first}\n{id}\t{other}\n"));
    assert_eq!(
        refused(&["--anchors", "known.tsv"]),
        format!(
            "error: known.tsv:2:2: expected `{token}`, as in line 1, found `{other}` for `{id}`\n\
             hint: correct one of the two lines, or remove it\n"
        )
    );
    // The key of another cipher of the same text.
    cipher(&workspace, "other", "1");
    let shown = refused(&["--key", "other/key.tsv"]);
    assert!(
        shown.starts_with(
            "error: other/key.tsv: expected every token of the pair files, found no `"
        ) && shown.ends_with("`\nhint: name the key.tsv that was written with these pairs\n"),
        "{shown}"
    );
    // A key of another language: every token is written in another script.
    let foreign = key.lines().skip(1).map(|line| {
        let (id, token) = line.split_once('\t').expect("two columns");
        let letter = token.chars().next().expect("a letter");
        format!(
            "{id}\t{}\n",
            char::from_u32(0x3042 + letter as u32).expect("a kana")
        )
    });
    workspace.write("foreign.tsv", foreign.collect::<String>());
    assert_eq!(
        refused(&["--key", "foreign.tsv"]),
        "error: foreign.tsv: expected plaintext tokens of the checkpoint's vocabulary, found none of them\n\
         hint: name the key.tsv that was written with these pairs\n"
    );
    assert_eq!(
        refused(&["--plain-weight", "1", "2"]),
        "error: --plain-weight has 2 numbers, --plain 1 files\nhint: give one weight a file, or none\n"
    );
    workspace.write("plain.txt", "\n\n");
    assert_eq!(
        refused(&[]),
        "error: plain.txt: expected plain text, found no token in it\nhint: give files with one sentence a line\n"
    );
    workspace.write("plain.txt", "何だ何だ\n");
    assert_eq!(
        refused(&[]),
        "error: plain.txt: expected text in the checkpoint's vocabulary, found 2 different tokens, none of which has a \
         row there\nhint: the plaintext must be in the language of the checkpoint\n"
    );
}

const EXPERIMENT: &str = r#"[data]
train = ["cipher/pairs.tsv"]
valid = "row10"

[checkpoint]
dir = "bert"

[align]
method = "graph"
plain = "plain.txt"
unit = "char"

[train]
epochs = 1
max_steps = 4
"#;

#[test]
fn a_run_starts_from_what_the_graph_found() {
    let workspace = workspace();
    workspace.write("e.toml", EXPERIMENT);
    let weights = |run: &str| workspace.read(&format!("{run}/model/model.safetensors"));
    workspace.succeed(&["run", "e.toml", "--out", "graph"]);
    let manifest = workspace.json("graph/manifest.json");
    assert_eq!(manifest["alignment"]["unit"], "char");
    assert!(
        manifest["alignment"]["matched"]
            .as_u64()
            .is_some_and(|n| n > 10)
    );
    let inputs = manifest["inputs"].as_array().expect("a list");
    assert!(inputs.iter().any(|input| input["key"] == "align.plain"));
    assert!(workspace.text("graph/report.html").contains("Aligned ids"));
    let mapping = workspace.text("graph/mapping.tsv");
    assert!(
        mapping
            .lines()
            .nth(1)
            .is_some_and(|line| line.contains("\tgraph\t")),
        "{mapping}"
    );

    // Its mapping, and that of the command with the same seed, lead to the same model.
    align(&workspace, &[]);
    let from = |file: &str, out: &str| {
        let file = format!("align.file={file}");
        let run = [
            "run",
            "e.toml",
            "--set",
            "align.method=file",
            "--set",
            &file,
            "--out",
            out,
        ];
        workspace.succeed(&run);
        weights(out)
    };
    assert!(from("graph/mapping.tsv", "again") == weights("graph"));
    assert!(from("m.tsv", "apart") == weights("graph"));
    workspace.succeed(&[
        "run",
        "e.toml",
        "--set",
        "align.soft=false",
        "--out",
        "hard",
    ]);
    assert_eq!(workspace.text("hard/mapping.tsv"), mapping);
}

#[test]
fn folds_share_one_alignment() {
    let workspace = workspace();
    workspace.write("e.toml", EXPERIMENT.to_owned() + "\n[folds]\nk = 2\n");
    let fold = |number: &str| workspace.run(&["run", "e.toml", "--out", "run", "--fold", number]);
    let stderr = |output: std::process::Output| String::from_utf8(output.stderr).expect("UTF-8");
    let first = stderr(fold("1"));
    assert!(!first.contains("taken up"), "{first}");
    let (mapping, alignment) = (
        workspace.text("run/mapping.tsv"),
        workspace.json("run/manifest.json")["alignment"].clone(),
    );
    let second = stderr(fold("2"));
    assert!(
        second.contains("alignment: taken up from mapping.tsv of this run"),
        "{second}"
    );
    workspace.succeed(&["run", "e.toml", "--out", "run", "--finish"]);
    assert_eq!(workspace.text("run/mapping.tsv"), mapping);
    assert_eq!(workspace.json("run/manifest.json")["alignment"], alignment);
    // Both at once give the same folds.
    workspace.succeed(&["run", "e.toml", "--out", "whole"]);
    let weights = |run: &str| workspace.read(&format!("{run}/fold-2/model/model.safetensors"));
    assert!(weights("run") == weights("whole"));
}

#[test]
fn a_cut_run_takes_up_the_alignment_that_it_has_written_and_no_other() {
    let workspace = workspace();
    workspace.write("e.toml", EXPERIMENT);
    workspace.succeed(&["run", "e.toml", "--out", "whole"]);
    let session = || {
        let output = workspace.run(&["run", "e.toml", "--out", "cut", "--max-minutes=0"]);
        assert_eq!(output.status.code(), Some(75));
        String::from_utf8(output.stderr).expect("UTF-8")
    };
    session();
    assert!(session().contains("alignment: taken up from mapping.tsv of this run"));
    // The same tokens under other ids.
    let mapping = workspace.text("cut/mapping.tsv");
    let mut lines: Vec<Vec<&str>> = mapping
        .lines()
        .map(|line| line.split('\t').collect())
        .collect();
    let (first, second) = (lines[1][0], lines[2][0]);
    (lines[1][0], lines[2][0]) = (second, first);
    let lines: Vec<String> = lines.iter().map(|line| line.join("\t")).collect();
    workspace.write("cut/mapping.tsv", lines.join("\n") + "\n");
    let said = session();
    let line = "alignment: mapping.tsv is not what this run has written; aligning again";
    assert!(said.contains(line), "{said}");
    assert_eq!(workspace.text("cut/mapping.tsv"), mapping);
    // As after a kill between the manifest and the mapping.
    std::fs::remove_file(workspace.path("cut/mapping.tsv")).expect("it is there");
    workspace.succeed(&["run", "e.toml", "--out", "cut"]);
    for file in ["mapping.tsv", "valid.csv", "model/model.safetensors"] {
        let (cut, whole) = (format!("cut/{file}"), format!("whole/{file}"));
        assert!(workspace.read(&cut) == workspace.read(&whole), "{file}");
    }
    // Nobody goes on from a mapping that the models before did not start from.
    let mut fold = EXPERIMENT.to_owned() + "\n[folds]\nk = 2\n";
    fold = fold.replace("max_steps = 4", "max_steps = 1");
    workspace.write("folds.toml", fold);
    let fold =
        |number: &str| workspace.run(&["run", "folds.toml", "--out", "run", "--fold", number]);
    assert!(fold("1").status.success());
    edit_manifest(&workspace, "run", |manifest| {
        manifest["mapping_sha256"] = "0".repeat(64).into()
    });
    let output = fold("2");
    assert_eq!(
        output.status.code(),
        Some(1),
        "{}",
        workspace.transcript(&output)
    );
    let said = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(
        said.contains("run was begun with another mapping.tsv than this machine makes"),
        "{said}"
    );
}

#[test]
fn labels_are_no_text_and_a_table_is_read_as_it_is_written() {
    let workspace = workspace();
    align(&workspace, &[]);
    let expected = workspace.text("m.tsv");
    let cipher = workspace.text("cipher/pairs.tsv");
    let rows = || cipher.lines().enumerate();
    let table: String = rows()
        .map(|(i, row)| format!("{i},{}\n", row.replace('\t', ",")))
        .collect();
    workspace.write("table.csv", format!("id,text_a,text_b,label\n{table}"));
    let align = |file: &str| {
        let arguments = [
            &["align", "--out", "m.tsv", "--json", "--pairs", file],
            &SOURCES[2..],
        ];
        let report = workspace.succeed(&arguments.concat());
        let report: Value = serde_json::from_str(&report).expect("one object");
        (report["cipher_tokens"].clone(), workspace.text("m.tsv"))
    };
    assert_eq!(align("table.csv").1, expected);

    // Each text alone, with a label behind it: the label was the second text.
    let texts = || cipher.lines().flat_map(|row| row.split('\t').take(2));
    let single: String = texts().map(|text| format!("{text}\n")).collect();
    let labelled = texts().enumerate();
    let labelled: String = labelled
        .map(|(i, text)| format!("{text}\t{}\n", i % 2))
        .collect();
    workspace.write("single.tsv", single);
    workspace.write("labelled.tsv", labelled);
    assert_eq!(align("labelled.tsv"), align("single.tsv"));
}
