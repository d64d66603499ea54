//! What is refused, and the words for it.

use crate::checkpoint::BertConfig;
use crate::config::load;

/// The message of an otherwise good scratch experiment with these assignments.
fn check(assignments: &[&str]) -> std::result::Result<(), String> {
    check_with_hint(assignments).map_err(|(message, _)| message)
}

fn check_with_hint(assignments: &[&str]) -> std::result::Result<(), (String, String)> {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let file = folder.path().join("e.toml");
    std::fs::write(folder.path().join("train.tsv"), "1\t2\t0\n").expect("a small file");
    std::fs::write(
        &file,
        "[data]\ntrain = [\"train.tsv\"]\n[align]\nmethod = \"scratch\"\n",
    )
    .expect("a small file");
    let assignments: Vec<String> = assignments.iter().map(|a| (*a).to_owned()).collect();
    let loaded = load(Some(&file), &assignments).expect("known keys of the right type");
    let prefix = format!("{}/", folder.path().display());
    loaded.check().map_err(|error| {
        let hint = error.hint().unwrap_or_default().to_owned();
        (error.to_string().replace(&prefix, ""), hint)
    })
}

#[test]
fn a_way_out_that_the_message_does_not_say_is_the_hint() {
    let missing = "correct the path, or put the file there; a relative path in an experiment file begins at the folder \
                   of that file";
    for (assignment, hint) in [
        ("data.test=/no/such.tsv", missing),
        (
            "data.test=demo:no.tsv",
            "inside the tool are demo:train.tsv, demo:test.tsv and demo:counts.tsv",
        ),
        ("folds.repeats=2", "set folds.k, or leave folds.repeats out"),
        ("folds.near=0.9", "set folds.k, or leave folds.near out"),
        ("data.delimiter=，", "a tab is \"\\t\", a comma \",\""),
        (
            "align.plain_weights=[1]",
            "give one number a file, or leave align.plain_weights out",
        ),
        ("train.epochs=0", ""), // `1 or more` says it
    ] {
        let (_, found) = check_with_hint(&[assignment]).expect_err(assignment);
        assert_eq!(found, hint, "{assignment}");
    }
}

#[test]
fn positions_that_a_checkpoint_cannot_have_are_refused_with_those_that_are_enough() {
    let refused = |wanted: usize, max_tokens: usize, own: usize| {
        let settings = [
            format!("model.positions={wanted}"),
            format!("data.max_tokens={max_tokens}"),
        ];
        let loaded = load(None, &settings).expect("known keys");
        let checkpoint = BertConfig {
            max_position_embeddings: own,
            ..BertConfig::default()
        };
        let error = loaded
            .positions(&checkpoint)
            .expect_err("too few, or too many");
        (
            error.to_string(),
            error.hint().unwrap_or_default().to_owned(),
        )
    };
    assert_eq!(
        refused(100, 32, 512),
        (
            "--set model.positions=100: expected a number from 512, which the checkpoint has, to 262144, found 100"
                .into(),
            "leave model.positions out: 512 are enough for data.max_tokens = 32".into()
        )
    );
    let hint = "set model.positions = 35: enough for data.max_tokens = 32";
    assert_eq!(refused(65, 32, 8).1, hint);
    let hint = "set model.positions = 64, and data.max_tokens to 61 or less";
    assert_eq!(refused(103, 100, 8).1, hint);
}

#[test]
fn values_out_of_range_are_refused_at_their_place() {
    assert_eq!(check(&[]), Ok(()));
    let cases = [
        ("train.epochs=0", "1 or more, found 0"),
        ("train.batch=0", "1 or more, found 0"),
        ("vocab.min_count=0", "1 or more, found 0"),
        ("data.max_tokens=1", "2 or more, found 1"),
        ("model.layers=0", "1 or more, found 0"),
        (
            "train.dropout=1",
            "a number from 0 up to, but not, 1, found 1",
        ),
        (
            "train.dropout=nan",
            "a number from 0 up to, but not, 1, found NaN",
        ),
        ("objective.mask=0", "a number between 0 and 1, found 0"),
        ("objective.mask=1", "a number between 0 and 1, found 1"),
        ("train.learning_rate=0", "a number above 0, found 0"),
        ("train.learning_rate=inf", "a number above 0, found inf"),
        ("train.clip=-1", "a number, 0 or more, found -1"),
        ("train.weight_decay=-0.1", "a number, 0 or more, found -0.1"),
        (
            "submit.id_column=\"\"",
            "a column name without control characters, found \"\"",
        ),
        (
            "submit.score_column=id",
            "another name than submit.id_column, found \"id\" for both",
        ),
        (
            "align.plain_weights=[1]",
            "0 numbers, one a file of align.plain, found 1",
        ),
        (
            "train.warmup_steps=1.5",
            "a number of steps, or a share of them below 1, found 1.5",
        ),
        (
            "train.warmup_steps=-1",
            "a number of steps, or a share of them below 1, found -1",
        ),
        (
            "data.token_separator=\"\"",
            "one or more characters, and where no quotes can stand around a field not the delimiter, found \"\"",
        ),
    ];
    for (assignment, rest) in cases {
        let message = check(&[assignment]).expect_err(assignment);
        assert_eq!(message, format!("--set {assignment}: expected {rest}"));
    }
}

#[test]
fn a_column_with_two_uses_is_refused_where_it_was_set() {
    assert_eq!(
        check(&["data.text_a=2"]).expect_err("the second text by default"),
        "--set data.text_a=2: expected another column than that of data.text_b, found column 2 for both"
    );
    assert_eq!(
        check(&["data.header=true", "data.text_a=text", "data.text_b=text"]).expect_err("one text"),
        "--set data.text_b=text: expected another column than that of data.text_a, found column `text` for both"
    );
    assert_eq!(
        check(&["data.label=1"]).expect_err("a text as label"),
        "--set data.label=1: expected another column than that of data.text_a, found column 1 for both"
    );
}

#[test]
fn folds_that_cannot_be_are_refused() {
    let refused = |assignments: &[&str]| check(assignments).expect_err("no such folds");
    assert_eq!(
        check(&["folds.k=2", "folds.full=true", "folds.repeats=3"]),
        Ok(())
    );
    assert_eq!(
        refused(&["folds.k=1"]),
        "--set folds.k=1: expected 0 (a single split), or 2 or more, found 1"
    );
    assert_eq!(
        refused(&["folds.k=5", "folds.repeats=0"]),
        "--set folds.repeats=0: expected 1 or more, found 0"
    );
    assert_eq!(
        refused(&["folds.repeats=2"]),
        "--set folds.repeats=2: expected 1, as folds.k = 0, found 2"
    );
    assert_eq!(
        refused(&["folds.full=true"]),
        "--set folds.full=true: expected false, as folds.k = 0, found true"
    );
    let group = "folds.assign=group";
    assert_eq!(check(&["folds.k=2", group, "folds.near=1"]), Ok(()));
    for near in ["0", "1.5", "nan"] {
        assert_eq!(
            refused(&["folds.k=5", group, &format!("folds.near={near}")]).to_lowercase(),
            format!("--set folds.near={near}: expected a number above 0, up to 1, found {near}")
        );
    }
    assert_eq!(
        refused(&["folds.k=5", "folds.near=0.9"]),
        "--set folds.near=0.9: expected none, as folds.assign = \"auto\", found 0.9"
    );
    assert_eq!(
        refused(&["folds.near=0.9"]),
        "--set folds.near=0.9: expected none, as folds.k = 0, found 0.9"
    );
    assert_eq!(
        refused(&["folds.k=5", "data.valid=/d/valid.tsv"]),
        "--set data.valid=/d/valid.tsv: expected no file, as folds.k = 5 holds out rows of data.train in turn, \
         found /d/valid.tsv"
    );
}

#[test]
fn a_method_without_what_it_needs_is_refused() {
    assert_eq!(
        check(&["align.method=rank"]),
        Err("experiment:checkpoint.dir: expected a path, as align.method = \"rank\" needs it, found none".into())
    );
    assert_eq!(
        check(&["align.method=rank", "checkpoint.dir=demo:"]),
        Err("experiment:align.counts: expected a path, as align.method = \"rank\" needs it, found none".into())
    );
    assert_eq!(
        check(&["align.method=file", "checkpoint.dir=demo:"]),
        Err("experiment:align.file: expected a path, as align.method = \"file\" needs it, found none".into())
    );
    assert_eq!(
        check(&["align.method=graph", "checkpoint.dir=demo:"]),
        Err("experiment:align.plain: expected a path, as align.method = \"graph\" needs it, found none".into())
    );
    assert_eq!(
        check(&[
            "align.method=random",
            "checkpoint.dir=demo:",
            "model.layers=2"
        ]),
        Err("--set model.layers=2: expected no value: the checkpoint has its size, found 2".into())
    );
}

#[test]
fn files_that_are_not_there_are_refused() {
    assert_eq!(
        check(&["data.test=/no/such.tsv"]),
        Err("--set data.test=/no/such.tsv: expected a file, found none at /no/such.tsv".into())
    );
    assert_eq!(
        check(&["data.valid=/no/row1O"]),
        Err("--set data.valid=/no/row1O: expected `row10`, `group`, `none`, a share such as 0.1, or a file, \
             found none at /no/row1O".into())
    );
    assert_eq!(
        check(&["data.train=[]"]),
        Err("--set data.train=[]: expected one file or more, found none".into())
    );
}

#[test]
fn a_file_that_the_alignment_does_not_read_need_not_be_there() {
    let named = ["align.counts=/no/counts.tsv", "align.file=/no/map.tsv"];
    assert_eq!(check(&named), Ok(())); // by scratch
    let by_file = [&named[..], &["align.method=file", "checkpoint.dir=demo:"]].concat();
    assert_eq!(
        check(&by_file),
        Err(
            "--set align.counts=/no/counts.tsv: expected a file, found none at /no/counts.tsv"
                .into()
        )
    );
    let keys = |method: &str| -> Vec<String> {
        let others = ["align.plain=/no/plain.txt", "align.anchors=/no/known.tsv"];
        let method = format!("align.method={method}");
        let settings = [&named[..], &others, &[&method]].concat();
        let settings: Vec<String> = settings.iter().map(|&text| text.to_owned()).collect();
        let experiment = load(None, &settings).expect("known keys").experiment;
        let inputs = experiment.inputs().into_iter().map(|(key, _)| key);
        inputs.filter(|key| key.starts_with("align")).collect()
    };
    assert_eq!(keys("scratch"), [""; 0]);
    assert_eq!(keys("rank"), ["align.counts"]);
    assert_eq!(keys("file"), ["align.counts", "align.file"]);
    assert_eq!(keys("graph"), ["align.plain", "align.anchors"]);
}

#[test]
fn rows_longer_than_the_model_are_refused() {
    let loaded = load(None, &["data.max_tokens=510".to_owned()]).expect("a known key");
    let config = loaded.experiment.scratch_size(None, 10);
    assert_eq!(
        loaded
            .check_model(&config)
            .expect_err("510 + 3 > 512")
            .to_string(),
        "--set data.max_tokens=510: expected at most 509 (the model has 512 positions, \
         3 are for [CLS] and [SEP]), found 510"
    );
    let hint = |max_tokens: usize| {
        let loaded = load(None, &[format!("data.max_tokens={max_tokens}")]).expect("a known key");
        let error = loaded.check_model(&config).expect_err("too long");
        error.hint().map(str::to_owned)
    };
    let expected = "lower data.max_tokens, or set model.positions = 513";
    assert_eq!(hint(510).as_deref(), Some(expected));
    assert_eq!(hint(100_000).as_deref(), Some("lower data.max_tokens")); // there are no such positions
    let single = ["data.max_tokens=510", "task.kind=single"].map(str::to_owned);
    let loaded = load(None, &single).expect("known keys");
    assert!(loaded.check_model(&config).is_ok());
    let loaded = load(None, &["data.max_tokens=509".to_owned()]).expect("a known key");
    assert!(loaded.check_model(&config).is_ok());
    let loaded = load(None, &["model.heads=3".to_owned()]).expect("a known key");
    let config = loaded.experiment.scratch_size(None, 10);
    assert_eq!(
        loaded
            .check_model(&config)
            .expect_err("256 % 3")
            .to_string(),
        "--set model.heads=3: expected a divisor of the hidden size 256, found 3"
    );
}

#[test]
fn marks_want_two_texts_and_two_token_types() {
    let single = check(&["data.mark_shared=true", "task.kind=single"]);
    assert_eq!(
        single.expect_err("one text"),
        "--set data.mark_shared=true: expected false, as task.kind = \"single\" has no second text, found true"
    );
    let apart = check(&["data.mark_shared=true", "objective.name=simbert"]);
    assert_eq!(
        apart.expect_err("each by itself"),
        "--set data.mark_shared=true: expected false, as the last stage reads each text by itself, found true"
    );
    let types = check(&["data.mark_shared=true", "objective.name=nsp"]);
    assert_eq!(
        types.expect_err("types 0 and 1"),
        "--set data.mark_shared=true: expected false, as in the last stage token types tell the texts apart, found true"
    );
    for why in [
        "task.kind=single",
        "objective.name=simbert",
        "objective.name=nsp",
    ] {
        let (_, hint) = check_with_hint(&["data.mark_shared=true", why]).expect_err(why);
        assert_eq!(hint, "--set data.mark_shared=false", "{why}");
    }
    for fine in ["objective.name=nsp", "data.mark_shared=false"] {
        assert_eq!(check(&["objective.name=nsp", fine]), Ok(()));
    }
    let of = |settings: &[&str]| {
        let settings: Vec<String> = settings.iter().map(|s| (*s).to_owned()).collect();
        load(None, &settings).expect("known keys")
    };
    let loaded = of(&["data.mark_shared=true"]);
    let mut config = loaded.experiment.scratch_size(None, 10);
    assert!(loaded.check_model(&config).is_ok());
    config.type_vocab_size = 1;
    assert_eq!(
        loaded
            .check_model(&config)
            .expect_err("one type")
            .to_string(),
        "--set data.mark_shared=true: expected false, as the model has one token type, found true"
    );
    assert!(of(&[]).check_model(&config).is_ok());
    let marks = |settings: &[&str], types| of(settings).experiment.mark_shared(types);
    assert_eq!(
        [
            marks(&[], 2),
            marks(&[], 1),
            marks(&["task.kind=single"], 2)
        ],
        [true, false, false]
    );
    assert!(!marks(&["data.mark_shared=false"], 2));
    // Where marks are refused they are not the default either.
    for name in ["simbert", "nsp"] {
        assert!(!marks(&[&format!("objective.name={name}")], 2), "{name}");
    }
}

#[test]
fn numbers_that_would_become_endless_loops_or_sizes_are_refused() {
    for (assignments, expected) in [
        (
            &["folds.k=1000000000000000000"][..],
            "--set folds.k=1000000000000000000: expected 1000 or less, found 1000000000000000000",
        ),
        (
            &["folds.k=2", "folds.repeats=100000000000"],
            "--set folds.repeats=100000000000: expected 1000 or less, found 100000000000",
        ),
        (
            &["model.intermediate=4611686018427387904"],
            "--set model.intermediate=4611686018427387904: expected 65536 or less, found 4611686018427387904",
        ),
        (
            &["model.layers=1000000000000"],
            "--set model.layers=1000000000000: expected 1000 or less, found 1000000000000",
        ),
        (
            &["train.batch=1000000000000"],
            "--set train.batch=1000000000000: expected 1000000 or less, found 1000000000000",
        ),
    ] {
        assert_eq!(check(assignments), Err(expected.to_owned()));
    }
    let assignments = ["model.hidden=65536", "model.layers=1000"].map(str::to_owned);
    let loaded = load(None, &assignments).expect("known keys");
    let config = loaded.experiment.scratch_size(None, 10);
    let message = loaded
        .check_model(&config)
        .expect_err("17 billion a layer")
        .to_string();
    assert!(
        message.starts_with(
            "--set model.hidden=65536: expected a network of at most 2000000000 weights, found "
        ),
        "{message}"
    );
}
