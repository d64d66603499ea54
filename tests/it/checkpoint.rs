//! Folders of BERTs: what `inspect` says of them.

use cipherpet::checkpoint::Heads;

use crate::workspace::{ALL_HEADS, Workspace};

#[test]
fn inspect_names_what_a_folder_holds_and_lacks() {
    let workspace = Workspace::empty();
    workspace.write_checkpoint("bert", ALL_HEADS);
    insta::assert_snapshot!("inspect_folder", workspace.snapshot(&["inspect", "bert"]));
    let json = workspace.succeed(&["inspect", "bert", "--json"]);
    let report: serde_json::Value = serde_json::from_str(&json).expect("one object");
    assert_eq!(report["lacks"], serde_json::json!(["classifier"]));
    assert_eq!(report["config"]["hidden_size"], 16);
    assert_eq!(report["format"], "safetensors");
    assert_eq!(report["tied"], true);
    assert_eq!(report["warnings"], serde_json::json!([]));

    let demo = workspace.snapshot(&["inspect", "demo:"]);
    insta::assert_snapshot!("inspect_demo", demo);
}

/// Heads without their training, and what belongs to no network.
#[test]
fn inspect_warns_of_heads_that_are_there_and_were_never_trained() {
    let workspace = Workspace::empty();
    let config = |folder: &str, from: &str, to: &str| {
        let name = format!("{folder}/config.json");
        let text = workspace.text(&name);
        assert!(text.contains(from), "{text}");
        workspace.write(&name, text.replace(from, to));
    };
    workspace.write_checkpoint("chinese-roberta", ALL_HEADS);
    workspace.write_checkpoint("masked", ALL_HEADS);
    config("masked", "BertForPreTraining", "BertForMaskedLM");
    workspace.write_checkpoint("bare", Heads::default());
    std::fs::remove_file(workspace.path("bare/vocab.txt")).expect("it was written");
    let shown = ["chinese-roberta", "masked", "bare"]
        .map(|folder| workspace.snapshot(&["inspect", folder]));
    insta::assert_snapshot!("inspect_folder_warnings", shown.join("\n"));

    let fresh = workspace.path("fresh");
    crate::workspace::save_fresh(&fresh, ALL_HEADS);
    let json = workspace.succeed(&["inspect", "fresh", "--json"]);
    for head in ["MLM head", "pooler", "NSP head"] {
        assert!(
            json.contains(&format!("the {head} looks untrained")),
            "{json}"
        );
    }
}

#[test]
fn a_folder_is_inspected_alone() {
    let workspace = Workspace::with_pairs();
    workspace.write_checkpoint("bert", ALL_HEADS);
    let shown = [
        &["inspect", "train.tsv", "bert"][..],
        &["inspect", "bert", "--starter=first.toml"],
        &["inspect", "bert", "--set=train.epochs=1"],
        &["inspect", "."],
    ]
    .map(|arguments| workspace.snapshot(arguments));
    insta::assert_snapshot!("inspect_folder_refused", shown.join("\n"));
}
