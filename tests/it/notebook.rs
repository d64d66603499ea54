//! `experiments/walkthrough.ipynb`, executed from the first cell to the last.

use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value;

use crate::python::Python;
use crate::workspace::Workspace;

/// A network that learns nothing, fast.
const SMALL: &str = "--set align.method=scratch --set model.layers=1 --set model.hidden=16 --set model.heads=2 \
    --set model.intermediate=32 --set train.max_steps=2 --set train.epochs=1";

fn notebook() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments/walkthrough.ipynb")
}

/// Executes it in a folder of its own, with the command that was just built and no other one.
fn execute(python: &Python, workspace: &Workspace, settings: &str) -> Output {
    let command = Path::new(env!("CARGO_BIN_EXE_cipherpet"));
    let folder = command.parent().expect("a folder");
    let kept = std::fs::read(notebook()).expect("it is there");
    workspace.write("walkthrough.ipynb", kept);
    let mut execution = std::process::Command::new(&python.program);
    execution
        .args([
            "-m",
            "nbconvert",
            "--to",
            "notebook",
            "--execute",
            "--output-dir",
            ".",
        ])
        .args(["--output", "executed.ipynb"])
        .arg("walkthrough.ipynb") // it works in the folder of the notebook
        .current_dir(workspace.path(""))
        .env("PATH", python.path(&[folder]))
        .env("CIPHERPET_SETTINGS", settings)
        .env("MPLBACKEND", "module://matplotlib_inline.backend_inline");
    // Nothing outside of the folder is written.
    for folder in [
        "IPYTHONDIR",
        "JUPYTER_CONFIG_DIR",
        "JUPYTER_RUNTIME_DIR",
        "MPLCONFIGDIR",
    ] {
        execution.env(folder, workspace.path(&folder.to_lowercase()));
    }
    execution.output().expect("Python starts")
}

/// Every output of the code cells.
fn outputs(notebook: &Value) -> Vec<&Value> {
    let cells = notebook["cells"].as_array().expect("a list");
    let outputs = cells.iter().filter_map(|cell| cell["outputs"].as_array());
    outputs.flatten().collect()
}

#[test]
fn the_walkthrough_runs_and_shows_its_curves() {
    let Some(python) = Python::with(&["nbconvert", "ipykernel", "pandas", "matplotlib"]) else {
        return;
    };
    let workspace = Workspace::empty();
    let output = execute(&python, &workspace, SMALL);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    let executed = workspace.json("executed.ipynb");
    let outputs = outputs(&executed);
    let pictures = outputs
        .iter()
        .filter(|output| output["data"]["image/png"].is_string());
    assert_eq!(pictures.count(), 2);
    assert!(
        outputs
            .iter()
            .all(|output| output["output_type"] != "error")
    );
    // What the run says is a handful of lines.
    let said = outputs
        .iter()
        .filter(|output| output["output_type"] == "stream");
    let text: String = said
        .flat_map(|output| output["text"].as_array().expect("lines"))
        .map(|line| line.as_str().expect("text"))
        .collect();
    let frames = text.replace("\r\n", "\n").matches('\r').count();
    assert_eq!(frames, 0, "frames of a bar:\n{text}");
    let lines = text.lines().count();
    assert!((5..40).contains(&lines), "{lines} lines:\n{text}");
    assert!(
        text.contains("submission: runs/walkthrough/submission.csv"),
        "{text}"
    );
    assert!(workspace.exists("runs/walkthrough/report.html"));
}

#[test]
fn a_command_that_fails_ends_the_walkthrough() {
    let Some(python) = Python::with(&["nbconvert", "ipykernel", "pandas", "matplotlib"]) else {
        return;
    };
    let workspace = Workspace::empty();
    let output = execute(&python, &workspace, "--set train.epochs=0");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{stderr}");
    assert!(stderr.contains("cipherpet run ended with 1"), "{stderr}");
}

#[test]
fn the_walkthrough_is_kept_without_outputs() {
    let text = std::fs::read_to_string(notebook()).expect("it is there");
    let kept: Value = serde_json::from_str(&text).expect("JSON");
    assert!(outputs(&kept).is_empty());
    assert!(!text.contains("\"execution_count\": 1"));
}
