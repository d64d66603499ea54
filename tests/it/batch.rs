//! `cipherpet run` with a grid, and with several experiments.

use serde_json::Value;

use crate::folds::{json, run_with};
use crate::workspace::Workspace;

#[test]
fn a_grid_runs_every_cell_in_a_folder_of_its_own_once() {
    let workspace = Workspace::with_pairs();
    let text = workspace
        .text("experiment.toml")
        .replace("epochs = 2", "epochs = 1");
    let grid = "[grid]\nseed = [0, 1]\n\"objective.mask\" = [0.1, 0.2]\n";
    workspace.write("experiment.toml", format!("{text}\n{grid}"));
    let output = workspace.run(&["run", "experiment.toml", "--json"]);
    assert!(output.status.success(), "{}", workspace.transcript(&output));
    let report = json(&String::from_utf8(output.stdout).expect("UTF-8"));
    let cells = report["runs"].as_array().expect("a list");
    let named: Vec<&str> = cells
        .iter()
        .filter_map(|cell| cell["cell"].as_str())
        .collect();
    assert_eq!(
        named,
        [
            "seed = 0, objective.mask = 0.1",
            "seed = 0, objective.mask = 0.2",
            "seed = 1, objective.mask = 0.1",
            "seed = 1, objective.mask = 0.2"
        ]
    );
    assert_eq!(workspace.names("runs").len(), 4);
    for cell in cells {
        let run = cell["report"]["run"].as_str().expect("a folder");
        assert_eq!(
            workspace.json(&format!("{run}/manifest.json"))["state"],
            "done"
        );
        // The log of a cell is its own.
        let log = workspace.text(&format!("{run}/run.log"));
        assert_eq!(log.matches("of 4: experiment (").count(), 1, "{log}");
    }
    // One cell is lost; the others are found.
    let lost = cells[2]["report"]["run"].as_str().expect("a folder");
    let submission = workspace.read(&format!("{lost}/submission.csv"));
    std::fs::remove_dir_all(workspace.path(lost)).expect("it is there");
    let again = json(&workspace.succeed(&["run", "experiment.toml", "--json"]));
    let found: Vec<&Value> = (0..4)
        .map(|cell| &again["runs"][cell]["report"]["found_done"])
        .collect();
    assert_eq!(found, [true, true, false, true]);
    assert_eq!(
        workspace.read(&format!("{lost}/submission.csv")),
        submission
    );
    // A cell is the run of the experiment written out.
    let one = [
        "run",
        "experiment.toml",
        "--json",
        "--seed",
        "1",
        "--set",
        "objective.mask=0.1",
    ];
    let one = json(&workspace.succeed(&one));
    assert_eq!(
        (&one["run"], &one["found_done"]),
        (&lost.into(), &true.into())
    );
}

#[test]
fn an_experiment_that_fails_does_not_stop_the_others() {
    let workspace = Workspace::with_pairs();
    let text = workspace
        .text("experiment.toml")
        .replace("epochs = 2", "epochs = 1");
    workspace.write("good.toml", &text);
    workspace.write("bad.toml", text.replace("test.tsv", "nowhere.tsv"));
    let output = workspace.run(&["run", "bad.toml", "good.toml", "--json"]);
    let stderr = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    let list = "error: 1 of 2 experiments failed:\n  bad: ";
    assert!(stderr.contains(list), "{stderr}");
    assert!(
        stderr.contains("expected a file, found none at "),
        "{stderr}"
    );
    // The hint is that of the failure; this command cannot help.
    assert!(
        stderr.contains("\n    hint: correct the path, or put the file there"),
        "{stderr}"
    );
    assert!(!stderr.contains("the same command"), "{stderr}");
    let report = json(&String::from_utf8(output.stdout).expect("UTF-8"));
    assert!(report["runs"][0]["report"].is_null() && report["runs"][0]["error"].is_string());
    assert!(report["runs"][0]["hint"].is_string() && report["runs"][1]["hint"].is_null());
    assert!(report["runs"][1]["error"].is_null());
    let run = report["runs"][1]["report"]["run"]
        .as_str()
        .expect("a folder");
    assert!(workspace.exists(&format!("{run}/submission.csv")));
}

#[test]
fn one_folder_for_several_experiments_is_refused() {
    let workspace = Workspace::with_pairs();
    let run = run_with(&["--set", "grid.seed=[0, 1, 2]"]);
    insta::assert_snapshot!("grid_one_folder", workspace.snapshot(&run));
    insta::assert_snapshot!(
        "grid_no_list",
        workspace.snapshot(&run_with(&["--set", "grid.seed=3"]))
    );
    assert!(!workspace.exists("out"));
}
