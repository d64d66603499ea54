//! `cipherpet embed`.

use crate::workspace::{ALL_HEADS, Workspace};
use cipherpet::checkpoint::Heads;
use ndarray::Array2;
use ndarray_npy::ReadNpyExt;

/// A run in `out`, and `texts.txt`.
fn with_run() -> Workspace {
    let workspace = Workspace::with_pairs();
    workspace.succeed(&[
        "run",
        "experiment.toml",
        "--set=objective.name=simbert",
        "--set=data.test=\"test.tsv\"",
        "--out",
        "out",
    ]);
    workspace.write("texts.txt", TEXTS);
    workspace
}

/// The second is the first again, the fifth has a token that the run does not know.
const TEXTS: &str = "1 2 3\n1 2 3\n4\n5 6 7 8 9 10\n11 999\n";

fn vectors(workspace: &Workspace, file: &str) -> Array2<f32> {
    Array2::read_npy(&workspace.read(file)[..]).expect("a file of NumPy")
}

#[test]
fn vectors_have_length_1_and_their_cosines_are_the_scores_of_pairs() {
    let workspace = with_run();
    let embed = ["embed", "out", "--text=texts.txt", "--out=vectors.npy"];
    insta::assert_snapshot!("embed", workspace.snapshot(&embed));
    let found = vectors(&workspace, "vectors.npy");
    assert_eq!(found.dim(), (5, 16));
    for row in found.rows() {
        assert!((row.dot(&row) - 1.0).abs() < 1e-5);
    }
    assert!(
        found
            .row(0)
            .iter()
            .zip(found.row(1))
            .all(|(x, y)| (x - y).abs() < 1e-6)
    );
    workspace.write("pair.tsv", "1 2 3\t5 6 7 8 9 10\n");
    workspace.succeed(&["predict", "out", "--pairs=pair.tsv", "--out=pair.csv"]);
    let score: f32 = workspace.text("pair.csv").trim().parse().expect("a score");
    assert!((found.row(0).dot(&found.row(3)) - score).abs() < 1e-5);

    // Another pooling and another length are other vectors; threads change no byte.
    let of = |flags: &[&str]| {
        workspace.succeed(&[&embed[..3], &["--out=other.npy"], flags].concat());
        workspace.read("other.npy")
    };
    let first = workspace.read("vectors.npy");
    assert_eq!(of(&["--threads=1"]), first);
    assert_eq!(of(&["--threads=2"]), first);
    assert_ne!(of(&["--pooling=mean"]), first);
    assert_ne!(of(&["--pooling=cls"]), first);
    assert_ne!(of(&["--raw"]), first);
    let raw = vectors(&workspace, "other.npy");
    let length = raw.row(0).dot(&raw.row(0)).sqrt();
    for (x, y) in raw.row(0).iter().zip(found.row(0)) {
        assert!((x / length - y).abs() < 1e-5);
    }
}

#[test]
fn whitening_keeps_the_directions_that_are_asked_for() {
    let workspace = with_run();
    let white = |more: &[&str]| {
        let command = [
            "embed",
            "out",
            "--text=texts.txt",
            "--out=white.npy",
            "--whitening",
        ];
        workspace.run(&[&command[..], more].concat())
    };
    assert!(white(&["--raw", "--dimensions=2"]).status.success());
    let found = vectors(&workspace, "white.npy");
    assert_eq!(found.dim(), (5, 2));
    for column in found.columns() {
        assert!(column.sum().abs() < 1e-3);
        assert!((column.dot(&column) / 5.0 - 1.0).abs() < 1e-3);
    }
    let output = white(&["--dimensions=4"]); // five texts, two of them the same
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        "error: --dimensions: expected 1 to 3, the directions in which the texts differ, found 4\n\
         hint: ask for fewer, or add texts\n"
    );
    workspace.write("texts.txt", "1 2\n");
    let output = white(&[]);
    let shown = String::from_utf8_lossy(&output.stderr);
    assert!(
        shown.contains("expected texts that differ, found one vector for all"),
        "{shown}"
    );
}

#[test]
fn a_bert_folder_reads_plain_text() {
    let workspace = Workspace::empty();
    workspace.write_checkpoint("bert", ALL_HEADS);
    workspace.write("plain.txt", "a b c\nA B  C\r\nz\n");
    let embed = ["embed", "bert", "--text=plain.txt", "--out=vectors.npy"];
    workspace.succeed(&[&embed[..], &["--pooling=mean"]].concat());
    let found = vectors(&workspace, "vectors.npy");
    assert_eq!(found.dim(), (3, 16));
    let apart = |i: usize, j: usize| (&found.row(i) - &found.row(j)).mapv(f32::abs).sum();
    assert!(apart(0, 1) < 1e-5 && apart(0, 2) > 1e-3);

    let bytes = workspace.read("vectors.npy");
    let [config, google] = ["bert/config.json", "bert/bert_config.json"];
    std::fs::rename(workspace.path(config), workspace.path(google)).expect("a name of Google's");
    workspace.succeed(&[&embed[..], &["--pooling=mean"]].concat());
    assert_eq!(workspace.read("vectors.npy"), bytes);

    workspace.write_checkpoint("bert", Heads::MLM);
    insta::assert_snapshot!("embed_no_pooler", workspace.snapshot(&embed));
}

/// Whatever stands between the columns of the run's files.
#[test]
fn a_comma_is_part_of_a_text_of_one_a_line() {
    let workspace = Workspace::with_pairs();
    for name in ["train.tsv", "test.tsv"] {
        let rows = workspace.text(name).replace('\t', ",");
        workspace.write(name, rows);
    }
    workspace.succeed(&[
        "run",
        "experiment.toml",
        "--set=objective.name=simbert",
        "--set=data.delimiter=,",
        "--set=data.tokens=text",
        "--out=out",
    ]);
    workspace.write("texts.txt", "1 2,3 4\n5 6\n");
    workspace.succeed(&["embed", "out", "--text=texts.txt", "--out=vectors.npy"]);
    assert_eq!(vectors(&workspace, "vectors.npy").dim(), (2, 16));
    let generate = ["generate", "out", "--text=texts.txt", "--n=2", "--keep=1"];
    workspace.succeed(&[&generate[..], &["--out=written.tsv"]].concat());
}

#[test]
fn bad_texts_are_refused_with_their_line() {
    let workspace = with_run();
    workspace.write_checkpoint("bert", ALL_HEADS);
    let long = vec!["7"; 520].join(" ");
    let letters = vec!["a"; 63].join(" ");
    for (from, text, message) in [
        (
            "out",
            "",
            "texts.txt: expected one text or more, found an empty file",
        ),
        (
            "bert",
            "",
            "texts.txt: expected one text or more, found an empty file",
        ),
        (
            "out",
            &format!("1 2\n{long}\n"),
            "texts.txt:2: expected at most 510 tokens (the model has 512 positions, 2 are for [CLS] and [SEP]), found 520",
        ),
        (
            "bert",
            &format!("{letters}\n"),
            "texts.txt:1: expected at most 62 tokens (the model has 64 positions, 2 are for [CLS] and [SEP]), found 63",
        ),
        (
            "out",
            "1 2\t0\n",
            "texts.txt:1: expected one text a line, found two columns or more",
        ),
        (
            "bert",
            "a\n \nb\n",
            "texts.txt:2: expected a text, found an empty line",
        ),
        ("out", "1 2\nx\n", "texts.txt:2:1"),
        ("nowhere", "a\n", "nowhere is no run and no BERT folder"),
    ] {
        workspace.write("texts.txt", text);
        let output = workspace.run(&["embed", from, "--text=texts.txt", "--out=bad.npy"]);
        let shown = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{shown}");
        assert!(shown.contains(&format!("error: {message}")), "{shown}");
        assert!(shown.contains("hint: "), "{shown}");
        assert!(!workspace.exists("bad.npy"));
    }
    workspace.write("texts.txt", b"a\n\xba\xc3\n");
    let output = workspace.run(&["embed", "bert", "--text=texts.txt", "--out=bad.npy"]);
    let shown = String::from_utf8_lossy(&output.stderr);
    let said =
        "error: texts.txt:2: expected UTF-8, found other bytes\nhint: save the file as UTF-8\n";
    assert!(shown.ends_with(said), "{shown}");
}

#[test]
fn vectors_of_folds_do_not_compare() {
    let workspace = Workspace::with_pairs();
    let simbert = [
        "run",
        "experiment.toml",
        "--set=objective.name=simbert",
        "--set=folds.k=2",
    ];
    workspace.succeed(&[&simbert[..], &["--out=folds"]].concat());
    workspace.succeed(&[&simbert[..], &["--set=folds.full=true", "--out=full"]].concat());
    workspace.write("texts.txt", TEXTS);
    let embed = |run| workspace.run(&["embed", run, "--text=texts.txt", "--out=vectors.npy"]);
    let output = embed("folds");
    let shown = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        shown.contains("folds has 2 models, one a fold, whose vectors do not compare"),
        "{shown}"
    );
    assert!(embed("full").status.success());
}
