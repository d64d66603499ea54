//! Whole runs over every kind of label: reading, training, scores, folds, resuming, threads, predicting again.

use crate::workspace::Workspace;

/// A task in files: `[task]` and `[objective]`, the columns, and a label for a number of the row.
struct Case {
    name: &'static str,
    settings: &'static str,
    header: &'static str,
    is_pair: bool,
    label: fn(u64) -> String,
    /// Columns of scores a row.
    width: usize,
    metric: &'static str,
}

const CASES: [Case; 8] = [
    Case {
        name: "pairs by pet",
        settings: "",
        header: "",
        is_pair: true,
        label: |i| (i % 12 / 6).to_string(),
        width: 1,
        metric: "auc",
    },
    Case {
        name: "single texts of named classes by pet",
        settings: "[task]\nkind = \"single\"\nlabels = \"classes\"\n",
        header: "",
        is_pair: false,
        label: |i| ["sport", "news, local", "7"][(i % 3) as usize].to_owned(),
        width: 3,
        metric: "macro_f1",
    },
    Case {
        name: "single texts of named classes by ce",
        settings: "[task]\nkind = \"single\"\nlabels = \"classes\"\nmetric = \"accuracy\"\n[objective]\nname = \"ce\"\n",
        header: "",
        is_pair: false,
        label: |i| ["b", "a", "c"][(i % 3) as usize].to_owned(),
        width: 3,
        metric: "accuracy",
    },
    Case {
        name: "several labels in one column",
        settings: "[task]\nkind = \"single\"\nlabels = \"multilabel\"\n[objective]\nname = \"bce\"\n",
        header: "",
        is_pair: false,
        label: |i| ["", "x", "y", "x,y"][(i % 12 / 3) as usize].to_owned(),
        width: 2,
        metric: "mean_auc",
    },
    Case {
        name: "several labels in columns of 0 and 1",
        settings: "[data]\nheader = true\ntext_a = \"text\"\nlabel = [\"toxic\", \"rude\"]\n[task]\nkind = \"single\"\nlabels = \"multilabel\"\n[objective]\nname = \"bce\"\nmlm_weight = 0.5\n",
        header: "text\ttoxic\trude\n",
        is_pair: false,
        label: |i| format!("{}\t{}", i % 12 / 6, i % 12 / 3 % 2),
        width: 2,
        metric: "mean_auc",
    },
    Case {
        name: "ordinal pairs by cosent",
        settings: "[task]\nlabels = \"ordinal\"\n[objective]\nname = \"cosent\"\n",
        header: "",
        is_pair: true,
        label: |i| format!("{:.1}", (i % 6) as f32 / 2.0),
        width: 1,
        metric: "spearman",
    },
    Case {
        name: "pairs by nsp",
        settings: "[objective]\nname = \"nsp\"\n",
        header: "",
        is_pair: true,
        label: |i| (i % 12 / 6).to_string(),
        width: 1,
        metric: "auc",
    },
    Case {
        name: "ordinal pairs by mse",
        settings: "[task]\nlabels = \"ordinal\"\nmetric = \"pearson\"\n[objective]\nname = \"mse\"\nmlm_weight = 1.0\n",
        header: "",
        is_pair: true,
        label: |i| (i % 6).to_string(),
        width: 1,
        metric: "pearson",
    },
];

const MODEL: &str = "[vocab]\nmin_count = 1\n[align]\nmethod = \"scratch\"\n[model]\nlayers = 1\nhidden = 16\nheads = 2\n\
                     intermediate = 32\n[train]\nepochs = 2\nbatch = 32\nwarmup_steps = 2\nlearning_rate = 3e-3\n";

impl Case {
    /// Rows whose tokens say something of the label: the number of the row modulo 12 stands in the text.
    fn rows(&self, n: u64, with_label: bool) -> String {
        let mut text = self.header.to_owned();
        for i in 0..n {
            text += &format!("{} {} {}", 1 + i % 12, 20 + i % 7, 30 + i % 5);
            if self.is_pair {
                text += &format!("\t{} {}", 1 + (i + 5) % 12, 40 + i % 3);
            }
            if with_label || !self.header.is_empty() {
                text += &format!("\t{}", (self.label)(i));
            }
            text.push('\n');
        }
        text
    }

    fn workspace(&self) -> Workspace {
        let workspace = Workspace::empty();
        let data = "train = \"train.tsv\"\ntest = \"test.tsv\"\n";
        let text = match self.settings.contains("[data]\n") {
            true => self
                .settings
                .replace("[data]\n", &format!("[data]\n{data}")),
            false => format!("[data]\n{data}{}", self.settings),
        };
        workspace.write("e.toml", text + MODEL);
        workspace.write("train.tsv", self.rows(240, true));
        workspace.write("test.tsv", self.rows(24, false));
        workspace
    }
}

#[test]
fn every_kind_of_label_goes_from_files_to_scores() {
    for case in &CASES {
        let workspace = case.workspace();
        let learn = [
            "--set",
            "train.epochs=20",
            "--set",
            "train.learning_rate=1e-2",
        ];
        let run = [&["run", "e.toml", "--out", "out", "--json"], &learn[..]].concat();
        let json = workspace.succeed(&run);
        let report: serde_json::Value = serde_json::from_str(&json).expect("one object");
        let name = case.name;
        assert_eq!(report["metric"], case.metric, "{name}");
        assert!(report["valid_score"].is_number(), "{name}: {json}");
        assert_eq!(
            report["valid_auc"].is_number(),
            case.metric == "auc",
            "{name}"
        );
        assert!(report["scores"][case.metric].is_number(), "{name}: {json}");
        // Rows that are told apart by their tokens are learnt. Guesses reach 0.5 at most.
        assert!(
            report["valid_score"].as_f64() > Some(0.55),
            "{name}: {json}"
        );

        let valid = workspace.text("out/valid.csv");
        let header = valid.lines().next().expect("a header");
        let columns = csv_fields(header);
        let scores = columns
            .iter()
            .filter(|name| name.starts_with("score"))
            .count();
        assert_eq!(scores, case.width, "{name}: {header}");
        assert_eq!(valid.lines().count(), 25, "{name}");
        let submission = workspace.text("out/submission.csv");
        assert_eq!(submission.lines().count(), 24, "{name}: {submission}");

        // The model that was left gives the same scores.
        workspace.succeed(&[
            "predict",
            "out",
            "--pairs",
            "test.tsv",
            "--out",
            "again.csv",
        ]);
        assert_eq!(workspace.text("again.csv"), submission, "{name}");
    }
}

fn csv_fields(line: &str) -> Vec<String> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .from_reader(line.as_bytes());
    let record = reader.records().next().expect("a line").expect("CSV");
    record.iter().map(str::to_owned).collect()
}

#[test]
fn folds_of_every_kind_of_label_merge() {
    for case in &CASES {
        let workspace = case.workspace();
        let arguments = [
            "run",
            "e.toml",
            "--out",
            "out",
            "--set",
            "folds.k=2",
            "--set",
            "train.epochs=1",
            "--json",
        ];
        let json = workspace.succeed(&arguments);
        let report: serde_json::Value = serde_json::from_str(&json).expect("one object");
        let name = case.name;
        let (low, score, high) = (
            &report["oof_score_low"],
            &report["oof_score"],
            &report["oof_score_high"],
        );
        let [low, score, high] =
            [low, score, high].map(|figure| figure.as_f64().unwrap_or(f64::NAN));
        assert!(low <= score && score <= high, "{name}: {json}");
        assert_eq!(report["folds"].as_array().map(Vec::len), Some(2), "{name}");
        assert_eq!(workspace.text("out/oof.csv").lines().count(), 241, "{name}");
        assert_eq!(
            workspace.text("out/submission.csv").lines().count(),
            24,
            "{name}"
        );
    }
}

#[test]
fn a_stopped_run_of_every_kind_of_label_ends_with_the_bytes_of_one_that_was_not_on_any_threads() {
    for case in &CASES {
        let workspace = case.workspace();
        workspace.succeed(&["run", "e.toml", "--out", "whole", "--threads", "1"]);
        let mut stops = 0;
        loop {
            let output = workspace.run(&[
                "run",
                "e.toml",
                "--out",
                "cut",
                "--max-minutes",
                "0",
                "--threads",
                "2",
            ]);
            match output.status.code() {
                Some(75) => stops += 1,
                Some(0) => break,
                _ => panic!("{}: {}", case.name, workspace.transcript(&output)),
            }
        }
        assert!(stops > 3, "{}: stopped {stops} times", case.name);
        for file in ["valid.csv", "submission.csv", "model/model.safetensors"] {
            let (whole, cut) = (format!("whole/{file}"), format!("cut/{file}"));
            assert!(
                workspace.read(&whole) == workspace.read(&cut),
                "{}: {file}",
                case.name
            );
        }
    }
}

/// Two stages: masked tokens first, then the labels.
fn staged() -> Workspace {
    let workspace = CASES[2].workspace();
    let text = workspace.text("e.toml");
    let stages = "[[stage]]\nname = \"masks\"\nobjective = \"mlm\"\nlearning_rate = 1e-3\n\
                  [[stage]]\nname = \"labels\"\nepochs = 1\nschedule = \"cosine\"\nlayer_decay = 0.8\n";
    workspace.write("e.toml", text + stages);
    workspace
}

#[test]
fn a_stage_without_labels_is_trained_once_for_all_folds_and_seeds() {
    let workspace = staged();
    let arguments = ["run", "e.toml", "--out", "runs/a", "--set", "folds.k=2"];
    workspace.succeed(&arguments);
    let stages = workspace.names("runs/stages");
    assert_eq!(stages.len(), 1, "{stages:?}");
    let log = workspace.text("runs/a/fold-2/run.log");
    assert!(log.contains("done already"), "{log}");
    let before = workspace.read(&format!(
        "runs/stages/{}/model/model.safetensors",
        stages[0]
    ));
    // Another seed, and a single split, find it again.
    workspace.succeed(&["run", "e.toml", "--out", "runs/b", "--set", "seed=5"]);
    assert_eq!(workspace.names("runs/stages"), stages);
    assert!(workspace.text("runs/b/run.log").contains("done already"));
    // Both say what it has cost, and neither counts it among its own.
    let result = |run: &str| workspace.json(&format!("runs/{run}/manifest.json"))["result"].clone();
    let (a, b) = (result("a"), result("b"));
    assert_eq!(a["shared_stage"], b["shared_stage"]);
    let record = workspace.json(&format!("runs/stages/{}/stage.json", stages[0]));
    let number = |of: &serde_json::Value, key: &str| of[key].as_f64().expect("a number");
    for key in ["seconds", "steps", "epochs", "tokens_per_second"] {
        assert_eq!(b["shared_stage"][key], record[key], "{key}");
        assert!(number(&record, key) > 0.0, "{key}: {record}");
    }
    assert_eq!(a["folds"][0]["shared_stage"], a["shared_stage"]);
    let stage_log = workspace.text(&format!("runs/stages/{}/metrics.jsonl", stages[0]));
    assert_eq!(record["epochs"], stage_log.lines().count());
    let page = workspace.text("runs/b/report.html");
    assert!(page.contains("for stages that others share"), "{page}");
    // What such a stage does not read changes no byte of it, and so not its folder.
    let settings = [
        "train.r_drop=0.5",
        "train.dropout_samples=3",
        "train.label_smoothing=0.1",
        "train.average_decay=0.9",
        "train.swap=false",
    ];
    let mut arguments = vec!["run", "e.toml", "--out", "apart/a"];
    arguments.extend(settings.iter().flat_map(|setting| ["--set", setting]));
    workspace.succeed(&arguments);
    assert_eq!(workspace.names("apart/stages"), stages);
    let apart = format!("apart/stages/{}/model/model.safetensors", stages[0]);
    assert!(workspace.read(&apart) == before);
    // Another input or network has another folder.
    let others = [
        "stage.masks.mask=0.3",
        "stage.masks.mask_unit=ngram",
        "stage.masks.mask_replacement=similar",
        "model.heads=1",
    ];
    for (n, setting) in (2..).zip(others) {
        let out = format!("runs/c{n}");
        workspace.succeed(&["run", "e.toml", "--out", &out, "--set", setting]);
        assert_eq!(workspace.names("runs/stages").len(), n, "{setting}");
    }
    let again = workspace.read(&format!(
        "runs/stages/{}/model/model.safetensors",
        stages[0]
    ));
    assert!(before == again);
    let lines = workspace.text("runs/b/metrics.jsonl");
    assert!(
        lines.contains("\"stage\":\"labels\"") && !lines.contains("\"stage\":\"masks\""),
        "{lines}"
    );
}

#[test]
fn a_stage_of_another_input_or_half_written_is_refused() {
    let workspace = staged();
    workspace.succeed(&["run", "e.toml", "--out", "runs/a"]);
    let stage = format!("runs/stages/{}", workspace.names("runs/stages")[0]);
    let record = workspace.text(&format!("{stage}/stage.json"));
    let refused = |workspace: &Workspace| {
        let output = workspace.run(&["run", "e.toml", "--out", "runs/b", "--set", "seed=5"]);
        assert_eq!(
            output.status.code(),
            Some(1),
            "{}",
            workspace.transcript(&output)
        );
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(text.contains("hint: remove "), "{text}");
        text
    };
    let other = record.replace("\"rows\": ", "\"rows\": 1");
    workspace.write(&format!("{stage}/stage.json"), other);
    assert!(refused(&workspace).contains("is of another stage than its folder is named for"));
    workspace.write(&format!("{stage}/stage.json"), &record[..record.len() / 2]);
    assert!(refused(&workspace).contains("expected the record of a stage"));
    workspace.write(&format!("{stage}/stage.json"), &record);
    workspace.write(&format!("{stage}/model/model.safetensors"), "half");
    assert!(refused(&workspace).contains("is not the file that stage.json was written for"));
}

#[test]
fn stages_that_are_cut_anywhere_end_with_the_same_bytes() {
    let workspace = staged();
    workspace.succeed(&["run", "e.toml", "--out", "whole/run"]);
    let mut stops = 0;
    loop {
        let output = workspace.run(&["run", "e.toml", "--out", "cut/run", "--max-minutes", "0"]);
        match output.status.code() {
            Some(75) => stops += 1,
            Some(0) => break,
            _ => panic!("{}", workspace.transcript(&output)),
        }
    }
    assert!(stops > 10, "{stops}");
    for file in ["valid.csv", "submission.csv", "model/model.safetensors"] {
        let (whole, cut) = (format!("whole/run/{file}"), format!("cut/run/{file}"));
        assert!(workspace.read(&whole) == workspace.read(&cut), "{file}");
    }
}

#[test]
fn two_linear_heads_of_different_size_are_refused() {
    let workspace = Workspace::with_pairs();
    let stages = "[[stage]]\nname = \"first\"\nobjective = \"ce\"\n[[stage]]\nname = \"second\"\nobjective = \"cosent\"\n";
    let text = workspace.text("experiment.toml");
    workspace.write("experiment.toml", text + stages);
    let output = workspace.run(&["run", "experiment.toml", "--out", "out"]);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("stage `first` needs a linear head of 2 outputs and stage `second` one of 1"),
        "{text}"
    );
    assert!(text.contains("hint: set `head = \"mlm\"`"), "{text}");
    workspace.succeed(&[
        "run",
        "experiment.toml",
        "--out",
        "out",
        "--set",
        "stage.second.head=mlm",
    ]);
}

/// Each row has a first text of its own: there is nothing to choose from among second texts, and every loss would be 0.
#[test]
fn candidates_on_the_wrong_side_are_refused() {
    let workspace = Workspace::with_pairs();
    let rows = (0..60).map(|i| {
        format!(
            "{} 9\t{} 8\t{}\n",
            20 + i,
            100 + i / 6,
            u8::from(i % 3 == 0)
        )
    });
    workspace.write("train.tsv", rows.collect::<String>());
    let run = |candidates: &str| {
        let out = format!("--out={candidates}");
        let candidates = format!("--set=objective.candidates={candidates}");
        workspace.run(&[
            "run",
            "experiment.toml",
            &out,
            "--set=objective.name=nsp",
            &candidates,
        ])
    };
    let output = run("second");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}");
    for wanted in [
        "stage `nsp` has nothing to choose from: no rows to train on, one of them with label 1, have the same first text",
        "hint: set candidates = \"first\" if the first texts are the candidates, or leave it out",
    ] {
        assert!(text.contains(wanted), "{text}");
    }
    let output = run("first");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{text}");
}

/// Settings of a task that cannot work, or rows that do not fit: what is said, and no folder is left.
#[test]
fn bad_tasks_are_refused_before_training() {
    const STAGES: [&str; 3] = [
        "[[stage]]\nname = \"a\"\n[[stage]]\nname = \"a\"\n",
        "[[stage]]\nname = \"a\"\n[[stage]]\nname = \"b\"\nobjective = \"mlm\"\n",
        "[[stage]]\nname = \"a\"\nobjective = \"mlm\"\nrows = [\"test\"]\n[[stage]]\nname = \"b\"\n",
    ];
    let texts = |n: usize, label: fn(usize) -> String| -> String {
        let row = |i| format!("{} {}\t{}\n", 1 + i % 9, 1 + i % 7, label(i));
        (0..n).map(row).collect()
    };
    let good = texts(60, |i| ["a", "b"][i % 2].to_owned());
    let ordinal = ["task.labels=ordinal", "objective.name=mse"];
    let cases: [(&str, String, &[&str], &str, &str); 10] = [
        (
            "a class of too few rows",
            good.clone() + "1 2\tc\n",
            &["folds.k=3"],
            "",
            "folds.k = 3: the class `c` has 1 row, and every fold needs one of each class",
        ),
        (
            "a metric of other labels",
            good.clone(),
            &["task.metric=spearman"],
            "",
            "--set task.metric=spearman: expected a metric for task.labels = \"classes\", found `spearman`",
        ),
        (
            "an objective of other labels",
            good.clone(),
            &["objective.name=bce"],
            "",
            "--set objective.name=bce: expected an objective for task.labels = \"classes\", found `bce`",
        ),
        (
            "classes that are ids",
            texts(40_000, |i| i.to_string()),
            &[],
            "",
            "train.tsv:1001:2: expected at most 1000 different labels, found one more, `1000`",
        ),
        (
            "a grade that is no number",
            texts(60, |i| (i % 5).to_string()) + "1 2\thigh\n",
            &ordinal,
            "",
            "train.tsv:61:2: expected a finite number as label, found `high`",
        ),
        (
            "a class that training has not",
            good.clone(),
            &["data.valid=other.tsv"],
            "",
            "other.tsv:1:2: expected a class of the training rows: `a`, `b`, found `news`",
        ),
        (
            "a sample of other rows",
            good.clone(),
            &["data.test=test.tsv", "submit.like=sample.csv"],
            "",
            "sample.csv:2:id: expected the number of a row of ",
        ),
        (
            "two stages of one name",
            good.clone(),
            &[],
            STAGES[0],
            "stage.a.name: expected a name of its own, found \"a\" for two stages",
        ),
        (
            "a last stage that scores nothing",
            good.clone(),
            &[],
            STAGES[1],
            "stage.b.objective: expected a last objective that scores rows, found `mlm`",
        ),
        (
            "a stage without rows",
            good,
            &[],
            STAGES[2],
            "stage.a.rows: expected rows to learn from, found none",
        ),
    ];
    let task = "[data]\ntrain = \"train.tsv\"\n[task]\nkind = \"single\"\nlabels = \"classes\"\n";
    for (name, rows, settings, stages, expected) in cases {
        let workspace = Workspace::empty();
        workspace.write("train.tsv", rows);
        workspace.write("other.tsv", "1 2\tnews\n");
        workspace.write("test.tsv", "1 2\n3 4\n");
        workspace.write("sample.csv", "id,label\n7,a\n8,a\n");
        workspace.write("e.toml", format!("{task}{MODEL}{stages}"));
        let mut arguments = vec!["run", "e.toml", "--out", "out"];
        for setting in settings {
            arguments.extend(["--set", setting]);
        }
        let output = workspace.run(&arguments);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{name}: {text}");
        assert!(
            text.contains(expected) && text.contains("\nhint: "),
            "{name}: {text}"
        );
        assert!(!workspace.exists("out"), "{name}");
    }
}
