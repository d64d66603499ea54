//! Run folders written by hand, of both layouts, for what reads runs.

use cipherpet::workbench::run_folder::manifest::FileRecord;
use serde_json::{Value, json};

use crate::workspace::Workspace;

/// A workspace with `train.tsv` and a `test.tsv` of three rows.
pub fn workspace() -> Workspace {
    let workspace = Workspace::empty();
    workspace.write("train.tsv", "1\t2\t1\n3\t4\t0\n");
    workspace.write("test.tsv", "1\t2\n3\t4\n5\t6\n");
    workspace
}

/// A run that is done, over the files of [`workspace`]. `table` is its `oof.csv` where it has folds, else its
/// `valid.csv`; `test` its `submission.csv`.
pub fn write_run(workspace: &Workspace, name: &str, table: &str, test: &str) {
    std::fs::create_dir_all(workspace.path(name)).expect("a folder");
    let path = |file: &str| workspace.path(file);
    let config = format!(
        "[data]\ntrain = [\"{}\"]\ntest = \"{}\"\n",
        path("train.tsv").display(),
        path("test.tsv").display(),
    );
    workspace.write(&format!("{name}/config.toml"), config);
    let record =
        |key: &str, file: &str| FileRecord::of(key, &path(file), &path(file)).expect("a file");
    let manifest = json!({
        "tool": "cipherpet 0.0.9",
        "state": "done",
        "config_sha256": format!("{name:0>8}").repeat(8),
        "inputs": [record("data.train", "train.tsv"), record("data.test", "test.tsv")],
        "kernel_path": "f32 by-hand",
        "result": {"valid_auc": 0.75, "seconds": 90.0, "tokens_per_second": 1000.0},
    });
    workspace.write(&format!("{name}/manifest.json"), manifest.to_string());
    let has_folds = table.contains(",fold");
    let file = if has_folds { "oof.csv" } else { "valid.csv" };
    workspace.write(&format!("{name}/{file}"), table);
    workspace.write(&format!("{name}/submission.csv"), test);
}

/// Changes the manifest of a run.
pub fn edit_manifest(workspace: &Workspace, run: &str, edit: impl FnOnce(&mut Value)) {
    let path = format!("{run}/manifest.json");
    let mut manifest = workspace.json(&path);
    edit(&mut manifest);
    workspace.write(&path, manifest.to_string());
}

/// What the user reads where the command is refused.
pub fn refusal(workspace: &Workspace, arguments: &[&str]) -> String {
    let shown = workspace.snapshot(arguments);
    let stderr = shown.strip_prefix("exit: 1\n--- stdout\n--- stderr\n");
    stderr
        .unwrap_or_else(|| panic!("{shown}"))
        .trim_end()
        .to_owned()
}
