//! Files as people have them: with ids and a header.

use crate::workspace::Workspace;

/// The training rows of the workspace as CSV, with ids in front.
fn with_ids(workspace: &Workspace, header: &str) -> String {
    let rows = workspace.text("train.tsv");
    let rows = rows.lines().enumerate();
    let rows = rows.map(|(i, row)| format!("{},{}\n", 5000 + i, row.replace('\t', ",")));
    format!("{header}\n{}", rows.collect::<String>())
}

#[test]
fn an_id_column_is_never_the_first_sentence() {
    let workspace = Workspace::with_pairs();
    workspace.write("named.csv", with_ids(&workspace, "id,text_a,text_b,label"));
    workspace.write(
        "other.csv",
        with_ids(&workspace, "id,left one,right one,label"),
    );
    let run = |file: &str, more: &[&str]| {
        let train = format!("--set=data.train={file}");
        let settings = [
            "--set=data.valid=row10",
            "--set=data.delimiter=,",
            "--set=data.header=true",
            "--set=train.max_steps=1",
            "--set=data.unlabelled=[]",
        ];
        // Without the test file, which has no header.
        let experiment = workspace.text("experiment.toml");
        let lines = experiment.lines().filter(|line| !line.starts_with("test"));
        workspace.write("csv.toml", lines.collect::<Vec<_>>().join("\n"));
        let arguments = [&["run", "csv.toml", &train][..], &settings, more].concat();
        let output = workspace.run(&arguments);
        let shown = String::from_utf8(output.stderr).expect("UTF-8");
        (output.status.code(), shown)
    };
    let (code, shown) = run("named.csv", &[]);
    assert_eq!(code, Some(0), "{shown}");
    let found = "named.csv: text `text_a` and `text_b`, label `label`, by their names\n";
    assert!(shown.contains(found), "{shown}");

    let (code, shown) = run("other.csv", &[]);
    assert_eq!(code, Some(1), "{shown}");
    assert!(
        shown.contains(
            "found the columns `id`, `left one`, `right one`, `label`\nhint: set `data.text_a` and"
        ),
        "{shown}"
    );
    let (code, shown) = run("other.csv", &["--set=data.text_a=1", "--set=data.text_b=2"]);
    assert_eq!(code, Some(1), "{shown}");
    assert!(
        shown.contains(
            "other.csv:id: expected texts, found one number a row, each another, as ids are\n"
        ),
        "{shown}"
    );
    let (code, shown) = run(
        "named.csv",
        &["--set=data.text_a=text_a", "--set=data.text_b=text_a"],
    );
    assert_eq!(code, Some(1), "{shown}");
    assert!(
        shown.contains(
            "--set data.text_b=text_a: expected another column than that of data.text_a,"
        ),
        "{shown}"
    );
}
