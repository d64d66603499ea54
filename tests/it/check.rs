//! `cipherpet check`.

use crate::hand_made::{self, edit_manifest, refusal, write_run};
use crate::workspace::Workspace;

fn workspace() -> Workspace {
    let workspace = Workspace::empty();
    workspace.write("test.tsv", "1 2\t3\n4\t5\n6\t7\n");
    workspace
}

#[test]
fn a_good_submission() {
    let workspace = workspace();
    workspace.write("s.csv", "0.5\n-1.25\n0.5\n");
    let check = ["check", "s.csv", "--test", "test.tsv"];
    insta::assert_snapshot!("check_good", workspace.snapshot(&check));
    let json = workspace.succeed(&[&check[..], &["--json"]].concat());
    assert_eq!(
        json,
        "{\"scores\":3,\"distinct\":2,\"min\":-1.25,\"max\":0.5}\n"
    );
}

#[test]
fn bad_submissions_name_the_line_and_the_reason() {
    let workspace = workspace();
    let cases = [
        ("too_few", "0.5\n1\n"),
        ("header", "score\n1\n2\n3\n"),
        ("empty_line", "1\n\n2\n"),
        ("not_finite", "1\n2\ninf\n"),
        ("two_columns", "1,0.5\n2,0.5\n3,0.5\n"),
    ];
    for (name, text) in cases {
        workspace.write("s.csv", text);
        let shown = workspace.snapshot(&["check", "s.csv", "--test", "test.tsv"]);
        insta::assert_snapshot!(format!("check_{name}"), shown);
    }
    workspace.write("s.csv", "0.5\n1\n1.5\n");
    let shown = workspace.snapshot(&["check", "s.csv", "--test", "test.tsv", "--range", "0,1"]);
    insta::assert_snapshot!("check_out_of_range", shown);
    workspace.write("s.zip", "no zip");
    let shown = workspace.run(&["check", "s.zip", "--test", "test.tsv"]);
    let stderr = String::from_utf8_lossy(&shown.stderr);
    assert!(
        stderr.starts_with("error: s.zip: expected a zip of one file, found "),
        "{stderr}"
    );
    assert_eq!(shown.status.code(), Some(1));
}

#[test]
fn the_test_file_may_need_reading_keys() {
    let workspace = Workspace::empty();
    workspace.write("test.csv", "id,q1,q2\n0,1|2,3\n1,4,5|6\n");
    workspace.write("s.csv", "id,score\n0,1\n1,2\n");
    let check = [
        "check",
        "s.csv",
        "--test",
        "test.csv",
        "--set",
        "data.header=true",
        "--set",
        "data.delimiter=,",
        "--set",
        "data.token_separator=|",
        "--set",
        "data.text_a=q1",
        "--set",
        "data.text_b=q2",
        "--set",
        "data.label=label",
    ];
    workspace.succeed(&check);
    // The ids of the test file are missed, unless plain scores are asked for.
    workspace.write("s.csv", "1\n2\n");
    assert_eq!(
        refusal(&workspace, &check),
        "error: s.csv:1: expected the header `id,score`, found `1`\n\
         hint: submit.id_column and submit.score_column name the columns; submit.format = \"plain\" has no header; \
         --experiment RUN/config.toml knows the classes and the labels of a run"
    );
    workspace.succeed(&[&check[..], &["--set", "submit.format=plain"]].concat());
}

#[test]
fn a_submission_beside_the_sample_of_the_organisers() {
    let workspace = Workspace::empty();
    workspace.write("sample.csv", "id,label\n7,x\n5,x\n");
    workspace.write("s.csv", "id,label\n7,y\n5,x\n");
    let check = ["check", "s.csv", "--like", "sample.csv"];
    let shown = workspace.succeed(&check);
    assert_eq!(
        shown,
        "s.csv: 2 classes, one a row of sample.csv, 2 distinct\n"
    );
    let cases = [
        (
            "id,label\n5,x\n7,y\n",
            "s.csv:2:id: expected `7`, the id of row 0 (from 0) of the sample, found `5`\n\
             hint: put the rows in the order of the sample",
        ),
        (
            "id,label\n7,x\n",
            "s.csv: expected 2 rows, as sample.csv has, found 1\n\
             hint: write one line a row, or name the file that the scores are for",
        ),
        (
            "id,class\n7,x\n5,x\n",
            "s.csv:1: expected the header `id,label`, found `id,class`\n\
             hint: the header must be that of the sample",
        ),
        (
            "id,label\n7,x\n5,\n",
            "s.csv:3:label: expected a class, found nothing",
        ),
    ];
    for (text, expected) in cases {
        workspace.write("s.csv", text);
        assert_eq!(refusal(&workspace, &check), format!("error: {expected}"));
    }
}

#[test]
fn a_submission_in_the_folder_of_its_run_is_read_as_the_run_has_written_it() {
    let workspace = hand_made::workspace();
    for (run, labels, good, checked, bad) in [
        (
            "a",
            "classes",
            "x\ny\nx\n",
            "3 classes, one a row",
            "x\nz\nx\n",
        ),
        (
            "b",
            "multilabel",
            "1 2\n-1 0\n0.5 0\n",
            "3 scores, one a row",
            "1\n2\n3\n",
        ),
    ] {
        write_run(&workspace, run, "row,label,score\n0,1,2\n", good);
        let (config, file) = (
            format!("{run}/config.toml"),
            format!("{run}/submission.csv"),
        );
        let task = format!("{}[task]\nlabels = \"{labels}\"\n", workspace.text(&config));
        workspace.write(&config, task);
        edit_manifest(&workspace, run, |manifest| {
            manifest["task"] =
                serde_json::json!({"kind": "pair", "labels": labels, "classes": ["x", "y"]});
        });
        let beside = ["check", &file, "--test", "test.tsv"];
        let shown = workspace.succeed(&beside);
        assert!(shown.contains(checked), "{shown}");
        // Elsewhere nobody knows the classes.
        workspace.write("s.csv", good);
        let elsewhere = ["check", "s.csv", "--test", "test.tsv"];
        let said = refusal(&workspace, &elsewhere);
        assert!(
            said.contains("; --experiment RUN/config.toml knows the classes"),
            "{said}"
        );
        workspace.succeed(&[&elsewhere[..], &["--experiment", &config]].concat());
        workspace.write(&file, bad);
        refusal(&workspace, &beside);
    }
}

#[test]
fn a_byte_order_mark_is_no_score() {
    let workspace = workspace();
    workspace.write("s.csv", "\u{feff}0.5\r\n1\r\n2\r\n");
    workspace.succeed(&["check", "s.csv", "--test", "test.tsv"]);
}
