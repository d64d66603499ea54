//! Folders of BERTs: what `inspect` says of them.

use cipherpet::checkpoint::{Heads, Positions};

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

/// An experiment that starts from the folder `bert` of this name, with two epochs' steps in a second.
fn experiment_from(workspace: &Workspace, folder: &str) {
    workspace.write_counts("counts.tsv");
    let text = format!(
        "[data]\ntrain = \"train.tsv\"\ntest = \"test.tsv\"\nmax_tokens = 20\n[vocab]\nmin_count = 1\n\
         [checkpoint]\ndir = \"{folder}\"\n[align]\ncounts = \"counts.tsv\"\n[train]\nepochs = 1\n\
         precision = \"f32\"\n[predict]\nswap = false\n"
    );
    workspace.write("experiment.toml", text);
}

/// What TensorFlow itself has stored, with 61 tokens.
fn write_google(workspace: &Workspace, folder: &str) {
    std::fs::create_dir(workspace.path(folder)).expect("a new folder");
    let golden = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/golden/bert_tiny_tensorflow"
    );
    for entry in std::fs::read_dir(golden).expect("the golden folder") {
        let path = entry.expect("readable").path();
        let name = path.file_name().expect("a name").to_string_lossy();
        let bytes = std::fs::read(&path).expect("readable");
        workspace.write(&format!("{folder}/{name}"), bytes);
    }
    let more = (0..30).map(|i| format!("t{i}"));
    let tokens: Vec<String> = crate::workspace::letters()
        .into_iter()
        .chain(more)
        .collect();
    workspace.write(&format!("{folder}/vocab.txt"), tokens.join("\n") + "\n");
}

#[test]
fn a_run_starts_from_a_folder_of_tensorflow() {
    let workspace = Workspace::with_pairs();
    write_google(&workspace, "google");
    let shown = workspace.snapshot(&["inspect", "google"]);
    insta::assert_snapshot!("inspect_tensorflow", shown);
    experiment_from(&workspace, "google");
    workspace.succeed(&["run", "experiment.toml", "--out=out"]);
    assert_eq!(workspace.json("out/model/config.json")["hidden_size"], 32);
    let inputs = workspace.text("out/manifest.json");
    for name in [
        "bert_config.json",
        "index",
        "data-00000-of-00002",
        "data-00001-of-00002",
    ] {
        assert!(inputs.contains(name), "{name} is no input:\n{inputs}");
    }

    let index = workspace.read("google/bert_model.ckpt.index");
    workspace.write("google/bert_model.ckpt.index", &index[..1000]);
    let cut = workspace.snapshot(&["inspect", "google"]);
    workspace.write("google/bert_model.ckpt.index", index);
    let data = "google/bert_model.ckpt.data-00001-of-00002";
    std::fs::remove_file(workspace.path(data)).expect("it was copied");
    let missing = workspace.snapshot(&["inspect", "google"]);
    insta::assert_snapshot!("inspect_tensorflow_damaged", cut + "\n" + &missing);
}

/// From a folder to a model folder of the same kind, and the same bytes on any number of threads.
#[test]
fn a_run_from_a_nezha_or_a_roformer_leaves_one() {
    let workspace = Workspace::with_pairs();
    let relative = Positions::Relative { max_distance: 3 };
    let mut shown = String::new();
    for (family, positions, class) in [
        ("nezha", relative, "NezhaForPreTraining"),
        ("roformer", Positions::Rotary, "RoFormerForMaskedLM"),
    ] {
        workspace.write_with_positions(family, ALL_HEADS, positions);
        shown += &workspace.snapshot(&["inspect", family]);
        experiment_from(&workspace, family);
        let weights = ["1", "2"].map(|threads| {
            let out = format!("{family}-{threads}");
            let settings = ["--threads", threads, "--set", "model.positions=5000"];
            workspace
                .succeed(&[&["run", "experiment.toml", "--out", &out][..], &settings].concat());
            let config = workspace.json(&format!("{out}/model/config.json"));
            assert_eq!(config["model_type"], family);
            assert_eq!(config["architectures"][0], class);
            assert_eq!(config["max_position_embeddings"], 5000); // more than the square of 64
            workspace.read(&format!("{out}/model/model.safetensors"))
        });
        assert!(weights[0] == weights[1]);
        // Read again by those who score with it.
        let run = format!("{family}-1");
        workspace.succeed(&[
            "predict",
            &run,
            "--pairs",
            "test.tsv",
            "--out",
            "scores.csv",
        ]);
        assert_eq!(workspace.text("scores.csv").lines().count(), 40);
    }
    insta::assert_snapshot!("inspect_other_positions", shown);
}

/// The same bytes on any number of threads: what shares weights is summed in an order of its own.
#[test]
fn a_run_from_an_albert_leaves_an_albert_and_the_same_bytes_on_any_number_of_threads() {
    let workspace = Workspace::with_pairs();
    workspace.write_albert("albert", ALL_HEADS);
    let shown = workspace.snapshot(&["inspect", "albert"]);
    insta::assert_snapshot!("inspect_albert", shown);
    experiment_from(&workspace, "albert");
    for threads in ["1", "2"] {
        let out = format!("out-{threads}");
        workspace.succeed(&[
            "run",
            "experiment.toml",
            "--out",
            &out,
            "--threads",
            threads,
        ]);
    }
    let weights = |threads: &str| workspace.read(&format!("out-{threads}/model/model.safetensors"));
    assert!(weights("1") == weights("2"));
    let config = workspace.json("out-1/model/config.json");
    assert_eq!(config["model_type"], "albert");
    assert_eq!(config["architectures"][0], "AlbertForPreTraining");
    assert_eq!(
        (&config["embedding_size"], &config["num_hidden_groups"]),
        (&8.into(), &1.into())
    );
    // Read again by those who score with it.
    workspace.succeed(&[
        "predict",
        "out-1",
        "--pairs",
        "test.tsv",
        "--out",
        "scores.csv",
    ]);
    assert_eq!(workspace.text("scores.csv").lines().count(), 40);
}
