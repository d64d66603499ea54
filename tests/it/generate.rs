//! `cipherpet generate`: sentences of the same meaning.

use std::collections::BTreeSet;

use crate::workspace::Workspace;

/// Trains `objective` into the folder `out`.
fn train(workspace: &Workspace, out: &str, settings: &[&str]) {
    let mut arguments = vec!["run", "experiment.toml", "--out", out];
    settings
        .iter()
        .for_each(|set| arguments.extend(["--set", set]));
    workspace.succeed(&arguments);
}

const SIMBERT: &str = "objective.name=simbert";

#[test]
fn sentences_are_written_ranked_and_the_same_on_any_number_of_threads() {
    let workspace = Workspace::with_pairs();
    train(&workspace, "out", &[SIMBERT]);
    let mut tables = BTreeSet::new();
    for threads in ["1", "2", "4"] {
        let command = [
            "generate",
            "out",
            "--pairs",
            "test.tsv",
            "--n",
            "12",
            "--keep",
            "3",
            "--out",
            "t.tsv",
            "--threads",
            threads,
            "--json",
        ];
        let report: serde_json::Value =
            serde_json::from_str(&workspace.succeed(&command)).expect("JSON");
        let n = report["sources"].as_u64().expect("a number");
        assert_eq!(report["drawn"], 12 * n);
        assert!(report["kept"].as_u64() <= Some(3 * n));
        assert!(report["sentences_per_second"].as_f64() > Some(0.0));
        tables.insert(workspace.text("t.tsv"));
    }
    assert_eq!(tables.len(), 1, "the same bytes");
    let table = tables.pop_first().expect("one");
    let mut lines = table.lines();
    assert_eq!(
        lines.next(),
        Some("source_row\ttext\trank\tcosine\tsentence")
    );
    let test = workspace.text("test.tsv");
    let test: Vec<Vec<&str>> = test
        .lines()
        .map(|line| line.split('\t').collect())
        .collect();
    let vocabulary = workspace.text("out/model/vocab.txt");
    let ids: BTreeSet<&str> = vocabulary.lines().skip(7).collect();
    let (mut before, mut n) = (("", "", 0, f64::NAN), 0);
    for line in lines {
        let fields: Vec<&str> = line.split('\t').collect();
        let (row, side) = (fields[0].parse::<usize>().expect("a row"), fields[1]);
        let source = test[row][usize::from(side == "b")];
        assert_ne!(fields[4], source);
        assert!(fields[4].split(' ').all(|id| ids.contains(id)), "{line}");
        let rank: u32 = fields[2].parse().expect("a rank");
        let cosine: f64 = fields[3].parse().expect("a cosine");
        assert!((-1.0..=1.0).contains(&cosine));
        if (fields[0], side) == (before.0, before.1) {
            assert_eq!(rank, before.2 + 1);
            assert!(cosine <= before.3);
        } else {
            assert_eq!(rank, 1);
        }
        before = (fields[0], side, rank, cosine);
        n += 1;
    }
    assert!(n > 40, "{n} sentences");
}

#[test]
fn greedy_writes_one_sentence_and_another_seed_others() {
    let workspace = Workspace::with_pairs();
    train(&workspace, "out", &[SIMBERT]);
    workspace.write("sentences.txt", "1 2 3\n4 5\n1 2 3\n");
    let written = |more: &[&str]| {
        let command = [
            "generate",
            "out",
            "--text",
            "sentences.txt",
            "--out",
            "t.tsv",
            "--n",
            "20",
        ];
        workspace.succeed(&[&command[..], more].concat());
        workspace.text("t.tsv")
    };
    let greedy = written(&["--top-k", "1"]);
    let starts: Vec<String> = (greedy.lines().skip(1))
        .map(|line| line.split('\t').take(3).collect::<Vec<_>>().join(" "))
        .collect();
    // The third line is the first again, and a sentence may be its own likeliest paraphrase.
    assert!(
        starts
            .iter()
            .all(|start| ["0 a 1", "1 a 1"].contains(&start.as_str()))
    );
    assert_eq!(
        greedy,
        written(&["--top-k", "1", "--seed", "5", "--temperature", "9"])
    );
    let nucleus = written(&["--top-p", "0.95"]);
    assert_ne!(nucleus, written(&["--top-p", "0.95", "--seed", "1"]));
    assert_eq!(nucleus, written(&["--top-p", "0.95", "--seed", "0"]));
    let short = written(&["--max-tokens", "1"]);
    assert!((short.lines().skip(1)).all(|line| !line.ends_with(' ') && !line.contains(' ')));
}

#[test]
fn text_stays_text_where_the_files_hold_text() {
    let workspace = Workspace::with_pairs();
    let lettered = |name: &str| {
        let text = workspace.text(name);
        let turned = text.lines().map(|line| {
            let fields: Vec<String> = (line.split('\t').enumerate())
                .map(|(column, field)| match column {
                    2 => field.to_owned(),
                    _ => field
                        .split(' ')
                        .map(|id| format!("w{id}"))
                        .collect::<Vec<_>>()
                        .join(" "),
                })
                .collect();
            fields.join("\t") + "\n"
        });
        workspace.write(name, turned.collect::<String>());
    };
    lettered("train.tsv");
    lettered("test.tsv");
    train(&workspace, "out", &[SIMBERT, "data.tokens=text"]);
    workspace.succeed(&[
        "generate", "out", "--pairs", "test.tsv", "--n", "4", "--keep", "2", "--out", "t.tsv",
    ]);
    let table = workspace.text("t.tsv");
    let sentences = table
        .lines()
        .skip(1)
        .filter_map(|line| line.split('\t').next_back());
    for sentence in sentences {
        assert!(
            sentence.split(' ').all(|word| word.starts_with('w')),
            "{sentence}"
        );
    }
}

#[test]
fn what_cannot_be_written_is_refused() {
    let workspace = Workspace::with_pairs();
    train(&workspace, "out", &[SIMBERT, "model.positions=40"]);
    train(&workspace, "pet", &[]);
    train(&workspace, "folds", &[SIMBERT, "folds.k=2"]);
    workspace.write("empty.txt", "");
    workspace.write("good.txt", "1 2\n");
    workspace.write("long.txt", "1 2\n".to_owned() + &"3 ".repeat(38) + "\n");
    let refused = |name: &str, run: &str, more: &[&str]| {
        let command = ["generate", run, "--out", "t.tsv"];
        let shown = workspace.snapshot(&[&command[..], more].concat());
        assert!(!workspace.exists("t.tsv"), "{shown}");
        insta::assert_snapshot!(format!("generate_{name}"), shown);
    };
    refused("without_the_objective", "pet", &["--text", "good.txt"]);
    refused("a_source_too_long", "out", &["--text", "long.txt"]);
    refused("an_empty_file", "out", &["--text", "empty.txt"]);
    refused(
        "keep_above_n",
        "out",
        &["--text", "good.txt", "--n", "3", "--keep", "4"],
    );
    let n = ["--text", "good.txt", "--n", "1000000000000"];
    refused("too_many", "out", &n);
    refused("folds_without_a_fold", "folds", &["--text", "good.txt"]);
    refused(
        "a_fold_beyond",
        "folds",
        &["--text", "good.txt", "--fold", "3"],
    );
    refused(
        "a_fold_of_none",
        "out",
        &["--text", "good.txt", "--fold", "1"],
    );
    refused("no_source", "out", &[]);
    let command = [
        "generate", "folds", "--text", "good.txt", "--out", "t.tsv", "--fold", "2",
    ];
    workspace.succeed(&command);
}
