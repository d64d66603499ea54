//! `cipherpet search`.

use crate::workspace::Workspace;

/// A run in `out`, texts and queries.
fn with_run() -> Workspace {
    let workspace = Workspace::with_pairs();
    let run = [
        "run",
        "experiment.toml",
        "--set=objective.name=simbert",
        "--out=out",
    ];
    workspace.succeed(&run);
    let texts: String = (1..200)
        .map(|i| format!("{} {} {}\n", i % 30, i % 7, i % 11))
        .collect();
    workspace.write("texts.txt", texts);
    workspace.write("queries.txt", "3 3 3\n12 5 1\n29 1 7\n");
    workspace
}

const SEARCH: [&str; 4] = ["search", "out", "--text=texts.txt", "--queries=queries.txt"];

#[test]
fn the_nearest_texts_come_first_and_a_query_finds_itself() {
    let workspace = with_run();
    let table = workspace.succeed(&[&SEARCH[..], &["--k=3"]].concat());
    let rows: Vec<Vec<f64>> = (table.lines().skip(1))
        .map(|line| {
            line.split('\t')
                .map(|x| x.parse().expect("a number"))
                .collect()
        })
        .collect();
    assert_eq!(rows.len(), 9);
    let texts = workspace.text("texts.txt");
    let texts: Vec<&str> = texts.lines().collect();
    for (number, query) in workspace.text("queries.txt").lines().enumerate() {
        let found = &rows[3 * number..3 * number + 3];
        for (rank, row) in found.iter().enumerate() {
            assert_eq!((row[0], row[1]), (number as f64 + 1.0, rank as f64 + 1.0));
        }
        assert!(found.is_sorted_by(|one, next| one[3] >= next[3]));
        if texts.contains(&query) {
            assert_eq!(texts[found[0][2] as usize - 1], query);
            assert!((found[0][3] - 1.0).abs() < 1e-5);
        }
    }
    // A table in a file, on other threads, and from stored vectors.
    workspace.succeed(&["embed", "out", "--text=texts.txt", "--out=vectors.npy"]);
    for more in [&["--threads=1"][..], &["--threads=2"], &["--threads=4"]] {
        let out = ["--k=3", "--out=found.tsv"];
        assert_eq!(workspace.succeed(&[&SEARCH[..], &out, more].concat()), "");
        assert_eq!(workspace.text("found.tsv"), table);
    }
    let stored = workspace.succeed(&[&SEARCH[..], &["--k=3", "--vectors=vectors.npy"]].concat());
    let places = |table: &str| -> Vec<String> {
        let place = |line: &str| line.rsplit_once('\t').expect("columns").0.to_owned();
        table.lines().map(place).collect()
    };
    assert_eq!(places(&stored), places(&table));
    let json = workspace.succeed(&[&SEARCH[..], &["--k=1", "--json"]].concat());
    let report: serde_json::Value = serde_json::from_str(&json).expect("one object");
    assert_eq!(
        (report["texts"].as_u64(), report["queries"].as_u64()),
        (Some(199), Some(3))
    );
    assert_eq!(report["hits"][1]["query"], 2);
}

#[test]
fn bad_requests_are_refused() {
    let workspace = with_run();
    workspace.write("empty.txt", "");
    let embed = [
        "embed",
        "out",
        "--text=texts.txt",
        "--whitening",
        "--dimensions=3",
        "--out=narrow.npy",
    ];
    workspace.succeed(&embed);
    workspace.succeed(&["embed", "out", "--text=queries.txt", "--out=few.npy"]);
    workspace.write("none.npy", "no vectors");
    let search = |more: &[&str]| workspace.snapshot(&[&SEARCH[..2], more].concat());
    let texts = "--text=texts.txt";
    let queries = "--queries=queries.txt";
    insta::assert_snapshot!("search_k", search(&[texts, queries, "--k=200"]));
    insta::assert_snapshot!("search_k_0", search(&[texts, queries, "--k=0"]));
    insta::assert_snapshot!("search_empty", search(&["--text=empty.txt", queries]));
    insta::assert_snapshot!(
        "search_width",
        search(&[texts, queries, "--vectors=narrow.npy"])
    );
    insta::assert_snapshot!(
        "search_rows",
        search(&[texts, queries, "--vectors=few.npy"])
    );
    insta::assert_snapshot!(
        "search_no_vectors",
        search(&[texts, queries, "--vectors=none.npy"])
    );
}
