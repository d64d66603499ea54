//! Every malformed input: what the user reads, and that nothing is left behind.

use cipherpet::checkpoint::Heads;

use crate::workspace::{ALL_HEADS, Workspace};

const RUN: [&str; 4] = ["run", "experiment.toml", "--out", "out"];

fn refused(name: &str, workspace: &Workspace, arguments: &[&str]) {
    let shown = workspace.snapshot(arguments);
    assert!(
        shown.starts_with("exit: 1\n--- stdout\n--- stderr\n"),
        "{shown}"
    );
    insta::assert_snapshot!(name, shown);
    assert!(!workspace.exists("out"), "{name} has left a folder");
}

/// A good first row, and then this one.
fn refused_row(name: &str, row: impl AsRef<[u8]>) {
    let workspace = Workspace::with_pairs();
    workspace.write("train.tsv", [b"1 2\t3\t1\n", row.as_ref(), b"\n"].concat());
    refused(name, &workspace, &RUN);
}

#[test]
fn id_that_is_not_a_number() {
    refused_row("id_not_a_number", "1 x\t3\t0");
}

#[test]
fn id_that_is_negative() {
    refused_row("id_negative", "1 -2\t3\t0");
}

#[test]
fn id_above_u32() {
    refused_row("id_above_u32", "4294967296\t3\t0");
}

#[test]
fn row_of_one_column() {
    refused_row("one_column", "1 2 3");
}

#[test]
fn row_of_four_columns() {
    refused_row("four_columns", "1\t2\t0\t9");
}

#[test]
fn row_without_a_label() {
    refused_row("no_label", "1\t2");
}

#[test]
fn sentence_that_is_empty() {
    refused_row("empty_sentence", "1\t\t0");
}

#[test]
fn label_that_is_neither_0_nor_1() {
    refused_row("label_2", "1\t2\t2");
}

#[test]
fn file_that_is_not_utf8() {
    refused_row("not_utf8", b"1\t\xff\t0");
}

#[test]
fn file_that_is_empty() {
    let workspace = Workspace::with_pairs();
    workspace.write("train.tsv", "");
    refused("empty_file", &workspace, &RUN);
    let workspace = Workspace::with_pairs();
    workspace.write("test.tsv", "");
    refused("empty_test_file", &workspace, &RUN);
}

/// An experiment that starts from the checkpoint `bert` by rank.
fn with_checkpoint(heads: Heads) -> Workspace {
    let workspace = Workspace::with_pairs();
    workspace.write(
        "experiment.toml",
        "[data]\ntrain = [\"train.tsv\"]\n[vocab]\nmin_count = 1\n[checkpoint]\ndir = \"bert\"\n\
         [align]\ncounts = \"counts.tsv\"\n",
    );
    workspace.write_checkpoint("bert", heads);
    workspace.write_counts("counts.tsv");
    workspace
}

#[test]
fn checkpoint_without_an_mlm_head() {
    let heads = Heads {
        mlm: false,
        ..ALL_HEADS
    };
    refused("no_mlm_head", &with_checkpoint(heads), &RUN);
}

#[test]
fn tensor_of_the_wrong_shape() {
    let workspace = with_checkpoint(ALL_HEADS);
    let mut config = workspace.json("bert/config.json");
    config["intermediate_size"] = 48.into();
    workspace.write("bert/config.json", config.to_string());
    refused("wrong_shape", &workspace, &RUN);
}

#[test]
fn weights_that_are_truncated() {
    let workspace = with_checkpoint(ALL_HEADS);
    let weights = workspace.read("bert/model.safetensors");
    workspace.write("bert/model.safetensors", &weights[..weights.len() - 100]);
    refused("truncated_weights", &workspace, &RUN);
}

#[test]
fn checkpoint_folder_that_is_none() {
    let workspace = with_checkpoint(ALL_HEADS);
    refused(
        "no_checkpoint",
        &workspace,
        &[&RUN[..], &["--set", "checkpoint.dir=nowhere"]].concat(),
    );
}

#[test]
fn counts_that_share_no_token_with_the_vocabulary() {
    let workspace = with_checkpoint(ALL_HEADS);
    workspace.write("counts.tsv", "Ä\t5\nÖ\t3\n");
    refused("foreign_counts", &workspace, &RUN);
}

#[test]
fn tokens_that_are_all_rare() {
    let workspace = Workspace::with_pairs();
    refused(
        "all_rare",
        &workspace,
        &[&RUN[..], &["--set", "vocab.min_count=100000"]].concat(),
    );
}

#[test]
fn a_terminal_obeys_nothing_that_stands_in_a_file() {
    let workspace = Workspace::with_pairs();
    workspace.write("train.tsv", b"1 2\t3\t1\n1 \x1b]0;title\x07\t3\t0\n");
    let output = workspace.run(&RUN);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(said.contains("found `\\u{1b}]0;title\\u{7}`"), "{said}");
    assert!(!said.contains('\u{1b}'), "{said}");
}

#[test]
fn threads_beyond_any_use_are_refused_at_once() {
    let workspace = Workspace::with_pairs();
    let output = workspace.run(&[&RUN[..], &["--threads", "60000"]].concat());
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(
        said.starts_with("error: --threads 60000: at most "),
        "{said}"
    );
    assert!(
        said.ends_with("one thread a processor is fastest\n"),
        "{said}"
    );
}
