//! `cipherpet augment` and `data.augment`: pairs that a model writes, and who may learn from them.

use std::collections::BTreeSet;
use std::process::Output;

use serde_json::Value;

use crate::workspace::Workspace;

const SIMBERT: &str = "--set=objective.name=simbert";
const FROM: &str = "--set=data.augment=pairs";

fn run<'a>(out: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["run", "experiment.toml", "--out", out], more].concat()
}

/// With pairs of any cosine, as the generator is hardly trained.
fn augment<'a>(run: &'a str, out: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let common = [
        "augment", run, "--out", out, "--cosine", "-1", "--n", "4", "--json",
    ];
    [&common, more].concat()
}

fn models(report: &str) -> Vec<Value> {
    let report: Value = serde_json::from_str(report).expect("JSON");
    report["models"].as_array().expect("a list").clone()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The two texts of each line.
fn texts(table: &str) -> Vec<[&str; 2]> {
    table
        .lines()
        .map(|line| {
            let mut fields = line.split('\t');
            [(); 2].map(|()| fields.next().expect("two texts"))
        })
        .collect()
}

#[test]
fn pairs_come_from_training_rows_alone_and_a_model_learns_them() {
    let workspace = Workspace::with_pairs();
    workspace.succeed(&run("simbert", &[SIMBERT]));
    let mut tables = BTreeSet::new();
    for threads in ["1", "2", "4"] {
        let out = format!("pairs-{threads}");
        let report = workspace.succeed(&augment("simbert", &out, &["--threads", threads]));
        assert_eq!(models(&report)[0]["found_done"], false);
        tables.insert(workspace.text(&format!("{out}/single.tsv")));
    }
    assert_eq!(tables.len(), 1, "the same bytes");
    let table = tables.pop_first().expect("one");
    let train = workspace.text("train.tsv");
    let rows = texts(&train);
    let (held_out, seen): (Vec<_>, Vec<_>) =
        rows.iter().enumerate().partition(|(i, _)| i % 10 == 0);
    let held_out: BTreeSet<&str> = held_out.into_iter().flat_map(|(_, row)| *row).collect();
    let seen: BTreeSet<&str> = seen.into_iter().flat_map(|(_, row)| *row).collect();
    let pairs = texts(table.split_once('\n').expect("a header").1);
    assert!(pairs.len() > 100, "{} pairs", pairs.len());
    for [source, sentence] in &pairs {
        assert!(
            seen.contains(source) && !held_out.contains(source),
            "{source}"
        );
        assert!(!held_out.contains(sentence) && sentence != source);
        assert!(!rows.contains(&[source, sentence]) && !rows.contains(&[sentence, source]));
    }
    // The same command finds its table; a table that was damaged is written again.
    let again = workspace.succeed(&augment("simbert", "pairs-1", &[]));
    assert_eq!(models(&again)[0]["found_done"], true);
    workspace.write("pairs-1/single.tsv", "damaged\n");
    let again = workspace.succeed(&augment("simbert", "pairs-1", &[]));
    assert_eq!(models(&again)[0]["found_done"], false);
    assert_eq!(workspace.text("pairs-1/single.tsv"), table);

    let learn = "--set=data.augment=pairs-1";
    workspace.succeed(&run("own", &[]));
    workspace.succeed(&run("more", &[learn, "--threads=1"]));
    workspace.succeed(&run("again", &[learn, "--threads=2"]));
    let log = workspace.text("more/run.log");
    let n = pairs.len();
    assert!(
        log.contains(&format!("data.augment: {n} pairs more")),
        "{log}"
    );
    assert!(
        log.contains(&format!("rows: {} labelled and ", 180 + n)),
        "{log}"
    );
    let weights = |out: &str| workspace.read(&format!("{out}/model/model.safetensors"));
    assert!(weights("more") == weights("again"));
    assert!(weights("more") != weights("own"));
    let inputs = workspace.json("more/manifest.json")["inputs"].clone();
    let inputs = inputs.as_array().expect("a list").iter();
    let of_pairs = inputs.filter(|input| input["key"] == "data.augment");
    assert_eq!(of_pairs.count(), 2, "a table and its record");

    // Pairs are cut as rows are, so that they fit a model of as many positions as those want.
    let is_longer = |pair: &&[&str; 2]| pair.iter().flat_map(|text| text.split(' ')).count() > 5;
    let n_longer = pairs.iter().filter(is_longer).count();
    assert!(n_longer > 0);
    let short = ["--set=data.max_tokens=5", "--set=model.positions=8", learn];
    workspace.succeed(&run("short", &short));
    let cut = format!("single.tsv: {n_longer} of {n} rows");
    let log = workspace.text("short/run.log");
    assert!(log.contains(&cut), "{log}");
}

#[test]
fn each_fold_learns_the_pairs_of_its_own_generator_and_no_other_fold_will_do() {
    let workspace = Workspace::with_pairs();
    let two = "--set=folds.k=2";
    workspace.succeed(&run("simbert", &[SIMBERT, two, "--set=folds.full=true"]));
    let report = workspace.succeed(&augment("simbert", "pairs", &["--fold", "2"]));
    assert_eq!(models(&report)[0]["model"], "2");
    let refusal = |more: &[&str]| {
        let output = workspace.run(&run("student", &[&[FROM], more].concat()));
        assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
        assert!(!workspace.exists("student/manifest.json"));
        stderr(&output)
    };
    // Before all folds have pairs nothing is trained.
    let said = refusal(&[two]);
    assert!(
        said.contains("has no pairs for a model that holds out these 100 rows"),
        "{said}"
    );
    let report = workspace.succeed(&augment("simbert", "pairs", &[]));
    let written = models(&report);
    let done: Vec<&Value> = written.iter().map(|model| &model["found_done"]).collect();
    assert_eq!(done, [false, true, false]);
    workspace.succeed(&run("student", &[FROM, two]));
    for (fold, model) in [(1, &written[0]), (2, &written[1])] {
        let log = workspace.text(&format!("student/fold-{fold}/run.log"));
        let expected = format!("data.augment: {} pairs more", model["pairs"]);
        assert!(log.contains(&expected), "{log}");
    }
    for other in [&["--set=folds.k=4"][..], &[], &["--set=data.valid=none"]] {
        // A model of all rows may learn what that of `folds.full` wrote.
        if other == ["--set=data.valid=none"] {
            workspace.succeed(&run("all", &[&[FROM], other].concat()));
            continue;
        }
        std::fs::remove_dir_all(workspace.path("student")).ok();
        let said = refusal(other);
        assert!(said.contains("has no pairs for a model"), "{said}");
        assert!(said.contains("the same [folds] and data.valid"), "{said}");
    }
}

#[test]
fn pairs_of_other_files_changed_tables_and_other_options_are_refused() {
    let workspace = Workspace::with_pairs();
    workspace.succeed(&run("simbert", &[SIMBERT]));
    workspace.succeed(&run("pet", &[]));
    workspace.succeed(&augment("simbert", "pairs", &["--sources", "20"]));
    let refusal = |arguments: &[&str]| {
        let output = workspace.run(arguments);
        assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
        stderr(&output)
    };
    let said = refusal(&augment("simbert", "pairs", &["--sources", "21"]));
    assert!(
        said.contains("is of another run or of other options"),
        "{said}"
    );
    let said = refusal(&augment("simbert", "others", &["--keep", "5"]));
    assert!(said.contains("--keep 5 of --n 4"), "{said}");
    let said = refusal(&augment("pet", "others", &[]));
    assert!(said.contains("has not learnt to write sentences"), "{said}");
    assert!(!workspace.exists("others"), "nothing is left behind");
    let said = refusal(&run("student", &["--set=data.augment=nowhere"]));
    assert!(
        said.contains(
            "--set data.augment=nowhere: expected a folder that `cipherpet augment` has left"
        ),
        "{said}"
    );
    let said = refusal(&run(
        "student",
        &[
            FROM,
            "--set=task.labels=ordinal",
            "--set=objective.name=mse",
        ],
    ));
    assert!(
        said.contains("expected none, as it is for pairs labelled 0 or 1"),
        "{said}"
    );
    std::fs::create_dir(workspace.path("empty")).expect("a folder");
    let said = refusal(&run("student", &["--set=data.augment=empty"]));
    assert!(said.contains("has no pairs for a model"), "{said}");

    let table = workspace.text("pairs/single.tsv");
    workspace.write("pairs/single.tsv", table.clone() + "1 2\t2 1\t1\t0.5\n");
    let said = refusal(&run("student", &[FROM]));
    assert!(
        said.contains("single.tsv is not the table that was written"),
        "{said}"
    );
    workspace.write("pairs/single.tsv", &table);
    workspace.write("pairs/single.json", "{}");
    let said = refusal(&run("student", &[FROM]));
    assert!(
        said.contains("expected a record of `cipherpet augment`"),
        "{said}"
    );

    let train = workspace.text("train.tsv");
    workspace.write("train.tsv", train + "1 2\t3\t0\n");
    let said = refusal(&augment("simbert", "later", &[]));
    assert!(said.contains("is not the file that"), "{said}");
    workspace.succeed(&run("new", &[SIMBERT]));
    workspace.succeed(&augment("new", "new-pairs", &["--sources", "20"]));
    workspace.write(
        "train.tsv",
        workspace.text("test.tsv").replace('\n', "\t1\n"),
    );
    let said = refusal(&run("student", &["--set=data.augment=new-pairs"]));
    assert!(said.contains("is of other files"), "{said}");
}
