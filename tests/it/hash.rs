//! `cipherpet hash`.

use cipherpet::data::npy;
use cipherpet::index::{Kind, Sets, Vectors, open};

use crate::workspace::Workspace;

/// Two clusters of 30 vectors of 20 numbers.
fn vectors() -> Vec<f32> {
    let number = |at: usize| ((at * 7919) % 1000) as f32 / 1000.0;
    let value = |row: usize, at: usize| {
        let main = if (row < 30) == (at < 10) { 3.0 } else { 0.0 };
        main + number(row * 20 + at)
    };
    (0..60)
        .flat_map(|row| (0..20).map(move |at| value(row, at)))
        .collect()
}

fn with_vectors() -> Workspace {
    let workspace = Workspace::empty();
    npy::write(&workspace.path("v.npy"), &vectors(), 20).expect("room");
    workspace
}

const SIZES: [&str; 4] = ["--k", "4", "--activity", "0.2"];
const EPOCHS: [&str; 2] = ["--epochs", "20"];

#[test]
fn codes_of_vectors_and_their_index() {
    let workspace = with_vectors();
    let hash = [
        "hash",
        "--vectors",
        "v.npy",
        "--out",
        "c.npy",
        "--index",
        "v.index",
    ];
    let hash = [&hash[..], &SIZES, &EPOCHS].concat();
    insta::assert_snapshot!("hash", workspace.snapshot(&hash));
    let codes = workspace.read("c.npy");
    let header = String::from_utf8_lossy(&codes[..128]).into_owned();
    assert!(
        header.contains("'<u4'") && header.contains("(60, 4)"),
        "{header}"
    );
    let index = open(&workspace.path("v.index")).expect("the index");
    assert_eq!(
        (index.kind(), index.len(), index.width()),
        (Kind::Hash, 60, 20)
    );
    let values = vectors();
    let queries = Vectors::new(&values[..20], 20).expect("a row");
    let found = index.search(queries.into(), 30).expect("enough vectors");
    assert!(found[0].iter().all(|found| found.number < 30), "{found:?}");
    // Threads change no byte.
    workspace.succeed(&[&hash[..], &["--threads", "2"]].concat());
    let index = workspace.read("v.index");
    workspace.succeed(&[&hash[..], &["--threads", "1"]].concat());
    assert!(workspace.read("c.npy") == codes && workspace.read("v.index") == index);
}

#[test]
fn every_method_of_vectors_says_what_it_wrote() {
    let workspace = with_vectors();
    for (method, kind, units) in [
        ("lsh", "'|u1'", 4),
        ("flyhash", "'<u4'", 20),
        ("densefly", "'|u1'", 20),
        ("biohash", "'<u4'", 20),
    ] {
        let hash = [
            "hash",
            "--vectors=v.npy",
            "--out=c.npy",
            "--json",
            "--method",
            method,
        ];
        // What a method does not look at is refused.
        let sizes = if method == "lsh" { &SIZES[..2] } else { &SIZES };
        let epochs = EPOCHS.iter().filter(|_| method == "biohash");
        let sizes: Vec<&str> = sizes.iter().chain(epochs).copied().collect();
        let shown = workspace.succeed(&[&hash[..], &sizes].concat());
        let report: serde_json::Value = serde_json::from_str(&shown).expect("JSON");
        assert_eq!(
            (&report["method"], &report["units"]),
            (&method.into(), &units.into())
        );
        let header = String::from_utf8_lossy(&workspace.read("c.npy")[..128]).into_owned();
        assert!(header.contains(kind), "{method}: {header}");
    }
}

#[test]
fn codes_of_tokens_are_a_table_and_an_index_by_its_rows() {
    let workspace = Workspace::empty();
    workspace.write("pairs.tsv", pairs());
    let hash = [
        "hash",
        "--pairs",
        "pairs.tsv",
        "--out",
        "t.tsv",
        "--index",
        "t.index",
    ];
    let hash = [&hash[..], &["--units", "30", "--k", "5", "--epochs", "4"]].concat();
    insta::assert_snapshot!("hash_tokens", workspace.snapshot(&hash));
    let table = workspace.text("t.tsv");
    let mut lines = table.lines();
    assert_eq!(lines.next(), Some("token\tcount\tcode"));
    let index = open(&workspace.path("t.index")).expect("the index");
    assert_eq!(
        (index.kind(), index.len(), index.width()),
        (Kind::Inverted, 12, 30)
    );
    for line in lines {
        let code = line.split('\t').nth(2).expect("three fields");
        let units: Vec<u32> = code
            .split(' ')
            .map(|unit| unit.parse().expect("a unit"))
            .collect();
        let code = Sets::new(&units, &[5]).expect("five ones, ascending");
        let found = index.search(code.into(), 1).expect("a token");
        assert_eq!(found[0][0].score, 5.0); // itself, or one with the same code
    }
}

/// 200 rows of few tokens.
fn pairs() -> String {
    let row = |n: usize| {
        let (a, b, c) = (n % 7, 10 + n % 3, n % 5);
        format!("{a} {b} {c}\t{} {}\n", n % 4, 20 + n % 2)
    };
    (0..200).map(row).collect()
}

#[test]
fn what_learns_goes_on_where_it_was_cut_to_the_same_bytes() {
    let workspace = with_vectors();
    workspace.write("pairs.tsv", pairs());
    let vectors = ["--vectors=v.npy", "--k=4", "--activity=0.2", "--epochs=6"];
    let tokens = ["--pairs=pairs.tsv", "--units=30", "--k=5", "--epochs=6"];
    for of in [&vectors, &tokens] {
        let hash = |out: &str, more: &[&str]| {
            let (out, index) = (format!("--out={out}"), format!("--index={out}.index"));
            let hash = [&["hash", &out, &index][..], of, more].concat();
            let output = workspace.run(&hash);
            let said = String::from_utf8(output.stderr).expect("UTF-8");
            (output.status.code(), said)
        };
        assert_eq!(hash("whole", &[]).0, Some(0));
        for epoch in 1..=2 {
            let (status, said) = hash("cut", &["--max-minutes=0"]);
            assert_eq!(status, Some(75), "{said}");
            let end =
                "cut.checkpoint holds what is needed to go on\nhint: run the same command again\n";
            assert!(said.ends_with(end), "{said}");
            let resumed = format!("resuming after epoch {} of 6", epoch - 1);
            assert_eq!(said.contains(&resumed), epoch > 1, "{said}");
            assert!(!workspace.exists("cut") && workspace.exists("cut.checkpoint"));
        }
        // Another learning neither takes it up nor writes over it.
        let checkpoint = workspace.read("cut.checkpoint");
        for other in ["--seed=1", "--rate=0.5"] {
            let (status, said) = hash("cut", &[other]);
            assert_eq!(status, Some(1), "{said}");
            let refused = "error: cut.checkpoint: expected a checkpoint of this input, these options and this seed, found one of others\nhint: ";
            assert!(said.contains(refused), "{said}");
        }
        assert!(workspace.read("cut.checkpoint") == checkpoint);
        let (status, said) = hash("cut", &[]);
        assert_eq!(status, Some(0), "{said}");
        assert!(said.contains("resuming after epoch 2 of 6"), "{said}");
        for file in ["", ".index"] {
            let [whole, cut] = ["whole", "cut"].map(|name| format!("{name}{file}"));
            assert!(workspace.read(&whole) == workspace.read(&cut), "{cut}");
        }
        assert!(!workspace.exists("cut.checkpoint"));
        // A damaged one counts for nothing, wherever the damage is.
        for at in [20, checkpoint.len() - 3] {
            let mut damaged = checkpoint.clone();
            damaged[at] ^= 1;
            workspace.write("cut.checkpoint", &damaged);
            let (status, said) = hash("cut", &[]);
            assert_eq!(status, Some(0), "{said}");
            let line = "cut.checkpoint is not as it was written: learning anew";
            assert!(said.contains(line), "{said}");
            assert!(workspace.read("whole") == workspace.read("cut"));
        }
        std::fs::remove_file(workspace.path("cut")).expect("it was written");
    }
}

#[test]
fn the_nearest_tokens_are_a_table() {
    let workspace = Workspace::empty();
    workspace.write("pairs.tsv", pairs());
    let hash = ["hash", "--pairs=pairs.tsv", "--units=30", "--k=5"];
    let more = [
        "--epochs=4",
        "--out=t.tsv",
        "--neighbours=n.tsv",
        "--nearest=3",
    ];
    workspace.succeed(&[&hash[..], &more].concat());
    let codes: std::collections::HashMap<String, Vec<String>> = workspace
        .text("t.tsv")
        .lines()
        .skip(1)
        .map(|line| {
            let cells: Vec<&str> = line.split('\t').collect();
            let code = cells[2].split(' ').map(str::to_owned);
            (cells[0].to_owned(), code.collect())
        })
        .collect();
    let table = workspace.text("n.tsv");
    let mut lines = table.lines();
    assert_eq!(lines.next(), Some("token\trank\tneighbour\tcommon"));
    assert_eq!(lines.clone().count(), 3 * codes.len());
    for line in lines {
        let cells: Vec<&str> = line.split('\t').collect();
        assert_ne!(cells[0], cells[2], "{line}");
        let (code, other) = (&codes[cells[0]], &codes[cells[2]]);
        let common = code.iter().filter(|one| other.contains(one)).count();
        assert_eq!(cells[3], common.to_string(), "{line}");
    }
    let of_vectors = ["hash", "--vectors=v.npy", "--out=c.npy", "--neighbours=n"];
    let shown = workspace.snapshot(&of_vectors);
    assert!(
        shown.contains("--neighbours does nothing for biohash: it is for bioword"),
        "{shown}"
    );
}

#[test]
fn bad_requests_are_refused_and_nothing_is_written() {
    let workspace = with_vectors();
    workspace.write("text.npy", "no matrix");
    workspace.write("pairs.tsv", "1 2\t3\n2 3\t4\n");
    for (name, arguments) in [
        ("no_matrix", &["--vectors", "text.npy"][..]),
        ("no_file", &["--vectors", "none.npy"]),
        ("activity", &["--vectors", "v.npy", "--activity", "0"]),
        (
            "tokens_of_vectors",
            &["--vectors", "v.npy", "--method", "bioword"],
        ),
        (
            "vectors_of_tokens",
            &["--pairs", "pairs.tsv", "--method", "lsh"],
        ),
        (
            "rate_of_lsh",
            &["--vectors", "v.npy", "--method", "lsh", "--rate", "1"],
        ),
        (
            "winner_of_flyhash",
            &["--vectors=v.npy", "--method=flyhash", "--winner=normalised"],
        ),
        ("units_of_vectors", &["--vectors", "v.npy", "--units", "9"]),
        (
            "shortlist_of_tokens",
            &["--pairs", "pairs.tsv", "--shortlist", "9"],
        ),
        ("window", &["--pairs", "pairs.tsv", "--window", "4"]),
        ("min_count", &["--pairs", "pairs.tsv", "--min-count", "90"]),
    ] {
        let shown = workspace.snapshot(&[&["hash", "--out", "out"][..], arguments].concat());
        insta::assert_snapshot!(format!("hash_{name}"), shown);
        assert!(!workspace.exists("out"), "{name}");
    }
    for (arguments, said) in [
        (["--vectors=v.npy", "--rate=1e20"], "no finite numbers"),
        (["--pairs=pairs.tsv", "--rate=1e20"], "no finite numbers"),
        (
            ["--pairs=pairs.tsv", "--units=1000000000000"],
            "codes of 1000000000000 units",
        ),
    ] {
        let shown = workspace.snapshot(&[&["hash", "--out=out"][..], &arguments].concat());
        assert!(shown.starts_with("exit: 1\n"), "{shown}");
        assert!(shown.contains(said) && shown.contains("hint: "), "{shown}");
        assert!(!workspace.exists("out"), "{said}");
    }
    let both = workspace.snapshot(&["hash", "--out=out", "--vectors=v.npy", "--index=./out"]);
    assert!(both.contains("names ./out, and so does"), "{both}");
    assert!(!workspace.exists("out"));
    npy::write::<f32>(&workspace.path("no_rows.npy"), &[], 20).expect("room");
    let shown = workspace.snapshot(&["hash", "--out=out", "--vectors=no_rows.npy"]);
    assert!(
        shown.contains("expected a vector, found none\nhint: "),
        "{shown}"
    );
    let nowhere = ["--out=c.npy", "--vectors=v.npy", "--index=none/v.index"];
    let shown = workspace.snapshot(&[&["hash"][..], &nowhere].concat());
    assert!(shown.contains("found no folder none"), "{shown}");
    assert!(!workspace.exists("c.npy"));
}
