//! `cipherpet inspect`.

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
    insta::assert_snapshot!("inspect", shown);
    insta::assert_snapshot!("starter", workspace.text("first.toml"));
    insta::assert_snapshot!(
        "starter_in_use",
        workspace.snapshot(&[&inspect[..], &starter].concat())
    );

    let json = workspace.succeed(&[&inspect[..], &["--json"]].concat());
    let report: serde_json::Value = serde_json::from_str(&json).expect("one object");
    assert_eq!(report["survey"]["files"][0]["rows"], 200);
    assert_eq!(report["survey"]["files"][1]["role"], "test");
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
