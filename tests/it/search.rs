//! `cipherpet search`.

use cipherpet::index::{Graph, GraphOptions, Index, Similarity};

use crate::workspace::{ALL_HEADS, Workspace};

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

/// (query, line) of each row of a table.
fn hits(table: &str) -> Vec<(String, String)> {
    let row = |line: &str| {
        let cells: Vec<&str> = line.split('\t').collect();
        (cells[0].to_owned(), cells[2].to_owned())
    };
    table.lines().skip(1).map(row).collect()
}

#[test]
fn an_index_is_made_once_and_finds_what_every_text_would() {
    let workspace = with_run();
    let search = |more: &[&str]| workspace.succeed(&[&SEARCH[..], more].concat());
    let exact = hits(&search(&["--k=5"]));
    // 199 texts, and more candidates than that: the graph looks at all of them.
    let by_graph = ["--k=5", "--index=texts.index", "--candidates=300"];
    assert_eq!(hits(&search(&by_graph)), exact);
    let bytes = workspace.read("texts.index");
    for threads in ["--threads=1", "--threads=4"] {
        assert_eq!(hits(&search(&[&by_graph[..], &[threads]].concat())), exact);
        assert_eq!(workspace.read("texts.index"), bytes, "it is read now");
    }
    workspace.succeed(&["embed", "out", "--text=texts.txt", "--out=vectors.npy"]);
    let stored = ["--vectors=vectors.npy", "--index=again.index"];
    assert_eq!(
        hits(&search(&[&by_graph[..1], &stored, &by_graph[2..]].concat())),
        exact
    );
    let both = workspace.run(&[&SEARCH[..], &by_graph, &stored[..1]].concat());
    let said = String::from_utf8_lossy(&both.stderr);
    assert!(
        said.contains("vectors.npy is not read: texts.index has them"),
        "{said}"
    );
    let hash = [
        "hash",
        "--vectors=vectors.npy",
        "--method=lsh",
        "--shortlist=50",
        "--out=codes.npy",
        "--index=hash.index",
    ];
    workspace.succeed(&hash);
    let by_hash = ["--k=5", "--index=hash.index", "--candidates=199"];
    assert_eq!(hits(&search(&by_hash)), exact);
}

#[test]
fn an_index_of_something_else_is_refused() {
    let workspace = with_run();
    let embed = ["embed", "out", "--text=texts.txt"];
    workspace.succeed(&[&embed[..], &["--out=vectors.npy"]].concat());
    let narrow = ["--whitening", "--dimensions=3", "--out=narrow.npy"];
    workspace.succeed(&[&embed[..], &narrow].concat());
    for (vectors, shortlist, index) in [
        ("vectors.npy", "9", "good.index"),
        ("narrow.npy", "9", "narrow.index"),
    ] {
        let [vectors, index] = [("vectors", vectors), ("index", index)]
            .map(|(option, file)| format!("--{option}={file}"));
        let shortlist = format!("--shortlist={shortlist}");
        workspace.succeed(&[
            "hash",
            &vectors,
            "--method=lsh",
            &shortlist,
            "--out=codes.npy",
            &index,
        ]);
    }
    let texts = workspace.text("texts.txt");
    let few: String = texts
        .lines()
        .take(100)
        .map(|line| format!("{line}\n"))
        .collect();
    workspace.write("few.txt", few);
    workspace.write("none.index", "no index");
    let search = |text: &str, index: &str| {
        let (text, index) = (format!("--text={text}"), format!("--index={index}"));
        workspace.snapshot(&["search", "out", &text, "--queries=queries.txt", &index])
    };
    let hash = [
        "hash",
        "--pairs=train.tsv",
        "--epochs=1",
        "--out=t.tsv",
        "--index=tokens.index",
    ];
    workspace.succeed(&hash);
    let shown = search("texts.txt", "tokens.index");
    assert!(shown.contains("found one of sets of ids"), "{shown}");
    let distances = Graph::new(GraphOptions::new(Similarity::Euclidean), 3, 1);
    let distances = distances.and_then(|graph| graph.save(&workspace.path("distances.index")));
    distances.expect("room");
    let shown = search("texts.txt", "distances.index");
    assert!(
        shown.contains("found one that compares by the Euclidean distance"),
        "{shown}"
    );
    insta::assert_snapshot!("search_index_width", search("texts.txt", "narrow.index"));
    insta::assert_snapshot!("search_index_rows", search("few.txt", "good.index"));
    insta::assert_snapshot!("search_index_broken", search("texts.txt", "none.index"));
    let no_folder = search("texts.txt", "none/texts.index");
    assert!(no_folder.contains("found no folder none"), "{no_folder}");
    let both = ["--index=both", "--out=./both"];
    let both = workspace.snapshot(&[&SEARCH[..], &both].concat());
    assert!(
        both.contains("--index <FILE> names ./both, and so does --out"),
        "{both}"
    );
    assert!(!workspace.exists("both"));
    let alone = workspace.snapshot(&[&SEARCH[..], &["--candidates=5"]].concat());
    insta::assert_snapshot!("search_candidates_alone", alone);
}

#[test]
fn an_index_of_other_texts_or_of_another_order_is_refused() {
    let workspace = Workspace::empty();
    workspace.write_checkpoint("bert", ALL_HEADS); // tells texts apart, which a run of a few steps does not
    let letter = |n: usize| char::from(b'a' + (n % 26) as u8);
    let texts: Vec<String> = (0..60)
        .map(|i| format!("{} {} {}\n", letter(i), letter(i / 7), letter(i * i)))
        .collect();
    workspace.write("texts.txt", texts.concat());
    workspace.write(
        "turned.txt",
        texts.iter().rev().cloned().collect::<String>(),
    );
    workspace.write("longer.txt", texts.concat().replace(' ', " x "));
    let search = |text: &str| {
        let text = format!("--text={text}");
        let search = [
            "search",
            "bert",
            &text,
            "--queries=texts.txt",
            "--pooling=mean",
        ];
        workspace.run(&[&search[..], &["--k=1", "--index=texts.index"]].concat())
    };
    assert!(search("texts.txt").status.success(), "made");
    assert!(search("texts.txt").status.success(), "read");
    for other in ["turned.txt", "longer.txt"] {
        let refused = search(other);
        assert_eq!(refused.status.code(), Some(1));
        let error = String::from_utf8_lossy(&refused.stderr);
        let expected = format!(
            "texts.index: expected an index of the texts of {other}, made with this model, found line "
        );
        assert!(error.contains(&expected), "{error}");
    }
    // The same for a file of vectors, before an index is made of them.
    let embed = |text: &str, out: &str| {
        let (text, out) = (format!("--text={text}"), format!("--out={out}"));
        workspace.succeed(&["embed", "bert", &text, "--pooling=mean", &out]);
    };
    embed("texts.txt", "right.npy");
    embed("turned.txt", "turned.npy");
    let search = |vectors: &str, pooling: &str| {
        let (vectors, pooling) = (
            format!("--vectors={vectors}"),
            format!("--pooling={pooling}"),
        );
        let search = ["search", "bert", "--text=texts.txt", "--queries=texts.txt"];
        let more = ["--k=1", "--index=new.index", &vectors, &pooling];
        workspace.run(&[&search[..], &more].concat())
    };
    for (vectors, pooling) in [("turned.npy", "mean"), ("right.npy", "pooler")] {
        let refused = search(vectors, pooling);
        assert_eq!(refused.status.code(), Some(1));
        let error = String::from_utf8_lossy(&refused.stderr);
        let expected = format!(
            "{vectors}: expected vectors of the texts of texts.txt, made with this model, found that of line "
        );
        assert!(error.contains(&expected), "{error}");
        assert!(!workspace.path("new.index").exists());
    }
    assert!(search("right.npy", "mean").status.success());
}

#[test]
fn a_line_that_comes_often_hides_no_other_text_from_a_graph() {
    let workspace = with_run();
    let texts = workspace.text("texts.txt");
    let often = |line: &str| format!("{line}\n").repeat(1500);
    // Copies stand among texts of several lengths, so in batches of several kinds.
    workspace.write("texts.txt", format!("{0}{texts}{0}", often("3 3 3")));
    let search = |more: &[&str]| hits(&workspace.succeed(&[&SEARCH[..], more].concat()));
    // More than all copies, and so some texts that are only like a query.
    let exact = search(&["--k=3010"]);
    let by_graph = ["--k=3010", "--index=texts.index"];
    assert_eq!(search(&by_graph), exact, "made");
    assert_eq!(search(&by_graph), exact, "read");
}

#[test]
fn an_index_of_codes_alone_finds_by_common_bits() {
    let workspace = Workspace::empty();
    workspace.write_checkpoint("bert", ALL_HEADS);
    let letter = |n: usize| char::from(b'a' + (n % 26) as u8);
    let texts: Vec<String> = (0..60)
        .map(|i| format!("{} {} {}\n", letter(i), letter(i / 7), letter(i * i)))
        .collect();
    workspace.write("texts.txt", texts.concat());
    let turned: String = texts.iter().rev().cloned().collect();
    workspace.write("turned.txt", turned);
    let embed = ["embed", "bert", "--text=texts.txt", "--pooling=mean"];
    workspace.succeed(&[&embed[..], &["--out=vectors.npy"]].concat());
    for (method, own) in [("lsh", "64"), ("flyhash", "64"), ("densefly", "1280")] {
        let method = format!("--method={method}");
        let hash = ["hash", "--vectors=vectors.npy", "--k=64", &method];
        let more = ["--out=codes.npy", "--index=codes.index"];
        workspace.succeed(&[&hash[..], &more].concat());
        let search = |text: &str, more: &[&str]| {
            let text = format!("--text={text}");
            let search = ["search", "bert", &text, "--queries=texts.txt"];
            let index = ["--pooling=mean", "--index=codes.index"];
            workspace.snapshot(&[&search[..], &index, more].concat())
        };
        let found = search("texts.txt", &["--k=1", "--out=found.tsv"]);
        assert!(found.starts_with("exit: 0"), "{found}");
        let table = workspace.text("found.tsv");
        assert!(
            table.starts_with("query\trank\tline\tcommon_bits\n"),
            "{table}"
        );
        let bits = |line: &str| line.rsplit('\t').next().expect("a cell").to_owned();
        assert_eq!(table.lines().count(), 61);
        let all_find_themselves = table.lines().skip(1).all(|line| bits(line) == own);
        assert!(all_find_themselves, "{method}: {table}");
        let json = search("texts.txt", &["--k=1", "--json"]);
        let hit = format!("\"common_bits\": {own}");
        let squeezed = json.replace(' ', "");
        assert!(squeezed.contains(&hit.replace(' ', "")), "{json}");
        let other = search("turned.txt", &[]);
        assert!(other.starts_with("exit: 1"), "{other}");
        assert!(other.contains(" bits in common with a text, where they are "));
        let candidates = search("texts.txt", &["--candidates=5"]);
        let said =
            "error: --candidates does nothing for codes.index, which keeps codes and no vectors";
        assert!(candidates.contains(said), "{candidates}");
    }
}
