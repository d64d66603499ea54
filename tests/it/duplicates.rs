//! `cipherpet duplicates`, and folds that keep near-duplicates together.

use crate::folds::{RUN, workspace as with_folds};
use crate::workspace::Workspace;

/// A sentence of 20 tokens from `first` on, and of `more`.
fn sentence(first: u32, more: &[u32]) -> String {
    let ids = (first..first + 20).chain(more.iter().copied());
    ids.map(|id| id.to_string()).collect::<Vec<_>>().join(" ")
}

/// Six labelled rows and three to score. The sentences from 100 and 300 on have near-duplicates with a token more.
fn toy() -> Workspace {
    let workspace = Workspace::empty();
    let [one, two, five, six] = [100, 200, 300, 400].map(|first| sentence(first, &[]));
    let [near_one, near_five] = [100, 300].map(|first| sentence(first, &[7]));
    workspace.write(
        "train.tsv",
        format!(
            "{one}\t{two}\t1\n{one}\t{two}\t1\n{two}\t{one}\t0\n{near_one}\t{two}\t0\n{five}\t{six}\t1\n8 8 1\t9 8\t0\n"
        ),
    );
    workspace.write(
        "test.tsv",
        format!("{six}\t5 6 7\n{near_five}\t1 2 3\n11 12\t13 14\n"),
    );
    workspace
}

const TABLE: &str = "kind\tfile\trow\tother_file\tother_row\tsimilarity
exact\ttrain.tsv\t0\ttrain.tsv\t1\t1.0000
swapped\ttrain.tsv\t0\ttrain.tsv\t2\t1.0000
near\ttrain.tsv\t0\ttrain.tsv\t3\t0.9512
near\ttrain.tsv\t4\ttest.tsv\t1\t0.9512
contradiction\ttrain.tsv\t0\ttrain.tsv\t2\t1.0000
contradiction\ttrain.tsv\t0\ttrain.tsv\t3\t0.9512
";

#[test]
fn summary_table_and_json() {
    let workspace = toy();
    // Files with labels come first, wherever they were named.
    let find = ["duplicates", "--pairs", "test.tsv", "train.tsv"];
    let table = [&find[..], &["--out", "duplicates.tsv"]].concat();
    insta::assert_snapshot!("duplicates", workspace.snapshot(&table));
    assert_eq!(workspace.text("duplicates.tsv"), TABLE);

    let json = workspace.succeed(&[&find[..], &["--json", "--threads=1"]].concat());
    let report: serde_json::Value = serde_json::from_str(&json).expect("one object");
    assert_eq!(report["task"]["kind"], "pair");
    assert_eq!(report["files"][0]["path"], "train.tsv");
    assert_eq!(report["files"][1]["with_train"]["exact"], 1.0 / 3.0);
    assert_eq!(report["sentences"]["near_pairs"], 2);
    assert_eq!(report["components"]["test_rows_across"], 2);
    assert_eq!(report["contradicting_rows"], 4);
    assert_eq!(report["contradictions"][1]["other_row"], 3);

    let exact = workspace.succeed(&[&find[..], &["--json", "--near=1"]].concat());
    let report: serde_json::Value = serde_json::from_str(&exact).expect("one object");
    assert_eq!(report["sentences"]["near_pairs"], 0);
    assert_eq!(report["contradicting_rows"], 3);
}

#[test]
fn labels_that_contradict_each_other_together_are_told() {
    let workspace = Workspace::empty();
    workspace.write(
        "one.tsv",
        "1 2 3\t4 5 6\t1\n4 5 6\t7 8 9\t1\n30 31\t32 33\t0\n",
    );
    workspace.write(
        "two.tsv",
        "1 2 3\t7 8 9\t0\n20 21\t4 5 6\t0\n40 41\t42 43\t1\n",
    );
    let find = ["duplicates", "--pairs", "one.tsv", "two.tsv"];
    let shown = workspace.succeed(&[&find[..], &["--out", "d.tsv"]].concat());
    let said = "chains: 1 rows have label 0 though rows with label 1 join their two texts (a = b, b = c, not a = c)\n  \
                one.tsv row 0 and two.tsv row 0: labels 1 and 0\n";
    assert!(shown.contains(said), "{shown}");
    let table = workspace.text("d.tsv");
    let rows: Vec<&str> = table.lines().skip(1).collect();
    assert_eq!(rows, ["chain\tone.tsv\t0\ttwo.tsv\t0\t1.0000"]);
    let json = workspace.succeed(&[&find[..], &["--json"]].concat());
    let report: serde_json::Value = serde_json::from_str(&json).expect("one object");
    assert_eq!(
        (&report["contradicting_rows"], &report["chain_rows"]),
        (&0.into(), &1.into())
    );
    assert_eq!(report["chains"][0]["kind"], "chain");
    assert_eq!(report["chains"][0]["other_file"], "two.tsv");
}

#[test]
fn single_texts_under_a_header_count_their_rows_without_it() {
    let workspace = Workspace::empty();
    workspace.write(
        "train.csv",
        "text,label\n1 2 3,sport\n4 5,news\n1 2 3,sport\n4 5,sport\n6 7,news\n",
    );
    let find = ["duplicates", "--pairs", "train.csv", "--out=d.tsv"];
    insta::assert_snapshot!("duplicates_single", workspace.snapshot(&find));
    assert_eq!(
        workspace.text("d.tsv").lines().skip(1).collect::<Vec<_>>(),
        [
            "exact\ttrain.csv\t0\ttrain.csv\t2\t1.0000",
            "exact\ttrain.csv\t1\ttrain.csv\t3\t1.0000",
            "contradiction\ttrain.csv\t1\ttrain.csv\t3\t1.0000",
        ]
    );
}

#[test]
fn what_cannot_be_compared_is_refused_and_leaves_no_table() {
    let workspace = toy();
    workspace.write("empty.tsv", "");
    let cases = [
        ("near_0", "--near=0", "train.tsv"),
        ("near_above_1", "--near=1.5", "train.tsv"),
        ("near_nan", "--near=nan", "train.tsv"),
        ("empty_file", "--near=0.9", "empty.tsv"),
        ("no_file", "--near=0.9", "no.tsv"),
    ];
    for (name, near, file) in cases {
        let find = [
            "duplicates",
            "--pairs",
            "train.tsv",
            file,
            near,
            "--out=d.tsv",
        ];
        let shown = workspace.snapshot(&find);
        insta::assert_snapshot!(format!("duplicates_{name}"), shown);
        assert!(!workspace.exists("d.tsv"), "{name} has left a table");
    }
}

#[test]
fn folds_hold_near_duplicates_out_together() {
    let workspace = with_folds("k = 2\nassign = \"group\"\nnear = 0.9");
    // Row 2n + 1 is row 2n with a token more in its first sentence.
    let row = |n: u32| {
        let more: &[u32] = if n % 2 == 1 { &[7] } else { &[] };
        let (a, b) = (sentence(1000 + 100 * (n / 2), more), 50_000 + n);
        format!("{a}\t{b} {b}\t{}\n", n / 2 % 2)
    };
    workspace.write("train.tsv", (0..40).map(row).collect::<String>());
    workspace.succeed(&RUN);
    let table = workspace.text("out/oof.csv");
    let folds: Vec<&str> = (table.lines().skip(1))
        .filter_map(|line| line.rsplit(',').next())
        .collect();
    assert_eq!(folds.len(), 40);
    assert!(folds.chunks(2).all(|near| near[0] == near[1]), "{table}");
    assert!(workspace.text("out/config.toml").contains("near = 0.9"));
}
