//! `cipherpet inspect`.

use crate::hand_made::refusal;
use crate::workspace::Workspace;

#[test]
fn report_json_and_starter() {
    let workspace = Workspace::with_pairs();
    // The estimates are those of f32, whatever the CPU has.
    let inspect = [
        "inspect",
        "train.tsv",
        "test.tsv",
        "--threads=2",
        "--set=train.precision=f32",
    ];
    let starter = ["--starter", "first.toml"];
    let shown = workspace.snapshot(&[&inspect[..], &starter].concat());
    insta::assert_snapshot!("inspect", without_minutes(&shown));
    insta::assert_snapshot!("starter", starter_without_minutes(&workspace));
    insta::assert_snapshot!(
        "starter_in_use",
        workspace.snapshot(&[&inspect[..], &starter].concat())
    );

    let json = workspace.succeed(&[&inspect[..], &["--json"]].concat());
    let report: serde_json::Value = serde_json::from_str(&json).expect("one object");
    assert_eq!(report["survey"]["files"][0]["rows"], 200);
    assert_eq!(report["survey"]["files"][1]["role"], "test");
}

/// What was measured differs from machine to machine.
fn starter_without_minutes(workspace: &Workspace) -> String {
    without_minutes(&workspace.text("first.toml"))
}

fn without_minutes(text: &str) -> String {
    let measured = "on this machine about: ";
    let (before, rest) = text
        .split_once(measured)
        .expect("a preset with its minutes");
    let (minutes, after) = rest.split_once('\n').expect("further lines");
    let each = ["fast", "good", "best"].map(|name| minutes.find(&format!("\"{name}\" ")));
    assert!(each.is_sorted() && each[0] == Some(0), "{minutes}");
    format!("{before}{measured}[MINUTES]\n{after}")
}

/// Thirteen classes of 20 texts each.
fn classes() -> String {
    let row = |i: usize| format!("{} {} {}\tkind-{}\n", i % 7, i % 11, i, i % 13);
    (0..260).map(row).collect()
}

#[test]
fn single_texts_with_classes_are_recognised() {
    let workspace = Workspace::empty();
    workspace.write("train.tsv", classes());
    workspace.write("test.tsv", "1 2 3\n4 5\n");
    let inspect = [
        "inspect",
        "train.tsv",
        "test.tsv",
        "--threads=2",
        "--set=train.precision=f32",
        "--starter=first.toml",
    ];
    let shown = workspace.snapshot(&inspect);
    insta::assert_snapshot!("inspect_single", without_minutes(&shown));
    insta::assert_snapshot!("starter_single", starter_without_minutes(&workspace));
    std::fs::remove_file(workspace.path("first.toml")).expect("it was written");
    let json = workspace.succeed(&[&inspect[..], &["--json"]].concat());
    let report: serde_json::Value = serde_json::from_str(&json).expect("one object");
    assert_eq!(report["task"]["kind"], "single");
    assert_eq!(report["task"]["labels"], "classes");
    assert_eq!(report["task"]["classes"][12], "kind-9");
    let labels = &report["survey"]["files"][0]["labels"];
    assert_eq!(labels["n_classes"], 13);
    assert_eq!(
        labels["largest"][0],
        serde_json::json!({"name": "kind-0", "rows": 20})
    );
}

/// The label of a row by its number.
type Label = fn(usize) -> String;

#[test]
fn the_starter_of_every_kind_of_file_runs() {
    let of_pairs: [(Label, &str); 2] = [
        (|i| (i % 2).to_string(), "valid = \"row10\""),
        (
            |i| format!("{:.1}", (i % 11) as f32 / 2.0),
            "name = \"cosent\"",
        ),
    ];
    let of_texts: [(Label, &str); 3] = [
        (
            |i| ["no", "yes", "maybe"][i % 3].to_owned(),
            "labels = \"classes\"",
        ),
        (
            |i| ["rude", "", "toxic,rude"][i % 3].to_owned(),
            "name = \"bce\"",
        ),
        (
            |i| (i % 2).to_string(),
            "max_tokens = 126 # as many as the BERT inside the tool takes",
        ),
    ];
    let long = |i: usize| format!("{} {}", i % 7, vec!["9"; 150].join(" "));
    let cases =
        (of_pairs.map(|case| (case, true)).into_iter()).chain(of_texts.map(|case| (case, false)));
    for ((label, expected), is_pair) in cases {
        let workspace = Workspace::empty();
        let text = |i: usize, with_label: bool| {
            let mut row = if is_pair {
                format!("{} {}\t{} 5", i % 7, i % 11, i % 5)
            } else {
                long(i)
            };
            if with_label {
                row += &format!("\t{}", label(i));
            }
            row + "\n"
        };
        workspace.write(
            "train.tsv",
            (0..60).map(|i| text(i, true)).collect::<String>(),
        );
        workspace.write(
            "test.tsv",
            (0..9).map(|i| text(i, false)).collect::<String>(),
        );
        workspace.succeed(&["inspect", "train.tsv", "test.tsv", "--starter=first.toml"]);
        let starter = workspace.text("first.toml");
        assert!(starter.contains(expected), "{expected}:\n{starter}");
        workspace.succeed(&["run", "first.toml", "--out=out", "--set=train.max_steps=1"]);
        assert_eq!(
            workspace.text("out/submission.csv").lines().count(),
            9,
            "{starter}"
        );
    }
}

#[test]
fn a_starter_takes_objectives_that_have_no_place_for_marks() {
    let workspace = Workspace::with_pairs();
    workspace.succeed(&["inspect", "train.tsv", "test.tsv", "--starter=first.toml"]);
    let starter = workspace.text("first.toml");
    assert!(starter.contains("\n# mark_shared = true # "), "{starter}");
    let settings = ["--set=preset=fast", "--set=train.max_steps=1"];
    for (objective, is_marked) in [("simbert", false), ("pet", true)] {
        let (out, name) = (
            format!("--out={objective}"),
            format!("--set=objective.name={objective}"),
        );
        workspace.succeed(&[&["run", "first.toml", &out, &name], &settings[..]].concat());
        let config = workspace.json(&format!("{objective}/model/config.json"));
        assert_eq!(config["mark_shared"], is_marked, "{objective}");
    }
}

#[test]
fn a_starter_in_another_folder_finds_files_that_were_named_from_here() {
    let workspace = Workspace::with_pairs();
    for folder in ["tiny", "sub"] {
        std::fs::create_dir(workspace.path(folder)).expect("room");
    }
    for file in ["train.tsv", "test.tsv"] {
        workspace.write(&format!("tiny/{file}"), workspace.read(file));
    }
    for starter in ["sub/first.toml", "tiny/first.toml", "first.toml"] {
        let option = format!("--starter={starter}");
        workspace.succeed(&["inspect", "tiny/train.tsv", "tiny/test.tsv", &option]);
        let text = workspace.text(starter);
        let shown = match starter {
            "sub/first.toml" => format!(
                "train = [\"{}\"]",
                workspace.path("tiny/train.tsv").display()
            ),
            "tiny/first.toml" => "train = [\"train.tsv\"]".to_owned(),
            _ => "train = [\"tiny/train.tsv\"]".to_owned(),
        };
        assert!(text.contains(&shown), "{shown} in:\n{text}");
        workspace.succeed(&["run", starter, "--out=out", "--set=train.max_steps=1"]);
        std::fs::remove_dir_all(workspace.path("out")).expect("it was written");
    }
}

#[test]
fn a_second_column_that_is_a_text_or_a_label_is_refused() {
    let workspace = Workspace::empty();
    workspace.write("train.tsv", "1 2\t7\n3 4\t8\n5 6\t9\n");
    let inspect = ["inspect", "train.tsv", "--starter=first.toml"];
    insta::assert_snapshot!("inspect_undecided", workspace.snapshot(&inspect));
    assert!(!workspace.exists("first.toml"));
}

#[test]
fn an_experiment_file_is_no_file_of_rows() {
    let workspace = Workspace::with_pairs();
    let output = workspace.run(&["inspect", "experiment.toml"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        String::from_utf8(output.stderr).expect("UTF-8"),
        "error: experiment.toml: expected a file of rows, found an experiment file\n\
         hint: name the files of rows; --experiment TOML gives the settings that they are read by\n"
    );
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_stdout_is_an_error_and_a_closed_one_is_not() {
    let workspace = Workspace::with_pairs();
    let full = std::fs::File::options().write(true).open("/dev/full");
    let mut command = workspace.command(&["inspect", "train.tsv", "--json"]);
    let output = command
        .stdout(full.expect("/dev/full"))
        .output()
        .expect("it starts");
    insta::assert_snapshot!("stdout_full", workspace.transcript(&output));

    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let mut command = workspace.command(&["inspect", "train.tsv", "--json"]);
    let output = command.stdout(writer).output().expect("it starts");
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        workspace.transcript(&output)
    );
}

/// Fifty pairs, each with a label.
fn pairs(label: impl Fn(usize) -> &'static str) -> String {
    let row = |i: usize| format!("{} {}\t{} 5\t{}\n", i % 7, i % 11, i % 5, label(i));
    (0..50).map(row).collect()
}

#[test]
fn a_file_of_one_label_may_be_the_test_file() {
    let workspace = Workspace::empty();
    workspace.write("train.tsv", pairs(|i| ["0", "1"][i % 2]));
    workspace.write("zeros.tsv", pairs(|_| "0"));
    let inspect = ["inspect", "train.tsv", "zeros.tsv"];
    let output = workspace.run(&[&inspect[..], &["--starter=first.toml"]].concat());
    let line =
        "zeros.tsv: all labels are 0. Is it the test file? Then write test = \"zeros.tsv\"\n";
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && stderr.contains(line), "{stderr}");
    let starter = workspace.text("first.toml");
    let lines = format!("train = [\"train.tsv\", \"zeros.tsv\"]\n# {line}");
    assert!(starter.contains(&lines), "{starter}");
    let json = workspace.succeed(&[&inspect[..], &["--json"]].concat());
    let report: serde_json::Value = serde_json::from_str(&json).expect("one object");
    assert_eq!(
        report["stand_ins"],
        serde_json::json!([{"path": "zeros.tsv", "label": "0", "is_unlabelled": false}])
    );
}

#[test]
fn a_file_whose_labels_are_all_minus_one_is_the_test_file() {
    let workspace = Workspace::empty();
    workspace.write("train.tsv", pairs(|i| ["0", "1"][i % 2]));
    workspace.write("test.tsv", pairs(|_| "-1"));
    for files in [["train.tsv", "test.tsv"], ["test.tsv", "train.tsv"]] {
        let output = workspace.run(&[&["inspect"][..], &files].concat());
        let stderr = String::from_utf8_lossy(&output.stderr);
        let line = "test.tsv: all labels are -1, so it is read as a file without labels\n";
        assert!(output.status.success() && stderr.contains(line), "{stderr}");
        let shown = String::from_utf8_lossy(&output.stdout);
        assert!(shown.contains("with labels 0 and 1"), "{shown}");
        assert!(
            shown.contains("test.tsv (test): 50 rows, no labels\n"),
            "{shown}"
        );
    }
    workspace.succeed(&["inspect", "train.tsv", "test.tsv", "--starter=first.toml"]);
    workspace.succeed(&["run", "first.toml", "--out=out", "--set=train.max_steps=1"]);
    assert_eq!(workspace.text("out/submission.csv").lines().count(), 50);
}

#[test]
fn labels_that_are_missing_and_rows_that_are_missing_are_refused() {
    let workspace = Workspace::empty();
    workspace.write("nan.tsv", pairs(|i| ["0", "1", "NaN"][i % 3]));
    workspace.write("header.tsv", "text_a\ttext_b\tlabel\n");
    workspace.write("header.csv", "id,text,label\n");
    for (file, expected) in [
        (
            "nan.tsv",
            "error: nan.tsv:3:3: expected label 0 or 1, found `NaN`\n\
             hint: rows without a label belong in `data.unlabelled`",
        ),
        (
            "header.tsv",
            "error: header.tsv: expected one pair of sentences or more, found a header only\n\
             hint: set `data.header = false` where the first line is a row",
        ),
        (
            "header.csv",
            "error: header.csv: expected one text or more, found a header only\n\
             hint: set `data.header = false` where the first line is a row",
        ),
    ] {
        assert_eq!(refusal(&workspace, &["inspect", file]), expected);
    }
}
