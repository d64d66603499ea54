//! `cipherpet slurm`: what its script says, and what it does with stand-ins for Slurm's commands.
#![cfg(unix)]

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;

use crate::folds::{assert_same, json};
use crate::workspace::Workspace;

/// 200 training rows in three folds.
pub fn workspace(more: &str) -> Workspace {
    crate::folds::workspace(&format!("k = 3\nassign = \"stratified\"\n{more}"))
}

/// Runs `cipherpet slurm experiment.toml --json` with these arguments.
fn describe(workspace: &Workspace, more: &[&str]) -> Value {
    let arguments = [&["slurm", "experiment.toml", "--json"], more].concat();
    json(&workspace.succeed(&arguments))
}

/// Runs, expects success, and gives stdout.
pub fn succeed(mut command: Command) -> String {
    let output = command.output().expect("it starts");
    assert!(output.status.success(), "{command:?}: {}", said(&output));
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// stdout and stderr.
pub fn said(output: &Output) -> String {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    format!("{}{}", text(&output.stdout), text(&output.stderr))
}

#[test]
fn bad_options_and_folders_are_refused() {
    let workspace = workspace("");
    let slurm = ["slurm", "experiment.toml"];
    let snapshot = |more: &[&str]| workspace.snapshot(&[&slurm[..], more].concat());
    insta::assert_snapshot!("slurm_time", snapshot(&["--time", "1:59"]));
    insta::assert_snapshot!("slurm_partition", snapshot(&["--partition", "a b"]));
    insta::assert_snapshot!("slurm_sbatch", snapshot(&["--sbatch", "qos=long"]));
    let run = describe(&workspace, &[])["tasks"][0]["run"].clone();
    let run = run.as_str().expect("a folder");
    std::fs::create_dir_all(workspace.path(run)).expect("a folder");
    workspace.write(&format!("{run}/notes.txt"), "not a run");
    let refused = workspace.run(&slurm);
    assert_eq!(refused.status.code(), Some(1));
    assert!(said(&refused).contains(run), "{}", said(&refused));
    assert!(refused.stdout.is_empty());
}

/// `CELL FOLD` of each task, `-` for a run without folds.
fn names(script: &Value) -> Vec<String> {
    let tasks = script["tasks"].as_array().expect("a list");
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let name = |task: &Value| format!("{} {}", text(&task["cell"]), text(&task["fold"]));
    tasks.iter().map(name).collect()
}

#[test]
fn a_task_a_fold_and_cell_and_a_merge_a_run_of_folds() {
    let workspace = workspace("repeats = 2\nfull = true");
    let set = ["--set=grid.seed=[7, 8]", "--set=data.token_separator=\" \""];
    let script = describe(&workspace, &set);
    let models = ["1", "2", "3", "4", "5", "6", "full"];
    let expected: Vec<String> = ["seed = 7", "seed = 8"]
        .iter()
        .flat_map(|cell| models.map(|model| format!("{cell} {model}")))
        .collect();
    assert_eq!(names(&script), expected);
    let tasks = script["tasks"].as_array().expect("a list");
    assert_ne!(tasks[6]["run"], tasks[7]["run"]);
    let runs = [&tasks[6]["run"], &tasks[7]["run"]].map(Value::clone);
    assert_eq!(script["merges"], Value::from(runs.to_vec()));
    assert!(script["script"].is_null() && script["submit"].is_null());

    let text = script["text"].as_str().expect("text");
    assert!(text.contains("\n#SBATCH --array=0-13\n"), "{text}");
    let line = text
        .lines()
        .find_map(|line| line.trim().strip_prefix("13) run "))
        .expect("the line of a task");
    let run = tasks[13]["run"].as_str().expect("a folder");
    let expected = [
        "--set",
        set[0].trim_start_matches("--set="),
        "--set",
        "data.token_separator=\" \"",
        "--set",
        "seed=8", // takes the place of the list
        "--out",
        run,
        "--fold",
        "full",
        ";;",
    ];
    assert_eq!(shlex::split(line).expect("words"), expected);
    // Without --time there is nothing to stop for.
    assert!(!text.contains("--max-minutes"), "{text}");
    // What is printed is the script.
    let printed = workspace.succeed(&[&["slurm", "experiment.toml"], &set[..]].concat());
    assert_eq!(printed.trim_end(), text.trim_end());
}

#[test]
fn a_run_without_folds_is_one_task_and_has_no_merge() {
    let workspace = Workspace::with_pairs();
    let script = describe(&workspace, &["--set=grid.folds.k=[0, 2]"]);
    let expected = ["folds.k = 0 -", "folds.k = 2 1", "folds.k = 2 2"];
    assert_eq!(names(&script), expected);
    let run = &script["tasks"][1]["run"];
    assert_eq!(script["merges"], Value::from(vec![run.clone()]));
    // The same files under other names are the same run, which is trained once.
    workspace.write("copy.tsv", workspace.read("test.tsv"));
    let script = describe(
        &workspace,
        &["--set=grid.data.test=[\"test.tsv\", \"copy.tsv\"]"],
    );
    assert_eq!(script["tasks"].as_array().map(Vec::len), Some(1));
    assert_eq!(script["merges"], Value::from(Vec::<Value>::new()));
    assert!(
        script["text"]
            .as_str()
            .expect("text")
            .contains("\nmerges=0\n")
    );
}

/// A name that goes wrong wherever it is not quoted.
const ODD: &str = "it's \"a\" $(exit 9) `x`; *";

/// Notes what it is asked to submit, and gives jobs the numbers 71, 72, …
const SBATCH: &str = r#"#!/bin/bash
printf '%s|' "$@" >>"$RECORD"
echo >>"$RECORD"
echo "7$(wc -l <"$RECORD")"
"#;

/// As Slurm does, ends the task that it puts back into the queue.
const SCONTROL: &str = r#"#!/bin/bash
case $1 in
show) echo "JobId=73 ArrayJobId=71 JobState=$STATE Reason=None" ;;
requeue) echo "requeue $2" >>"$RECORD"; kill -KILL $PPID ;;
esac
"#;

/// A script, and a stand-in for a cluster.
struct StandIn {
    workspace: Workspace,
    folder: PathBuf,
}

impl StandIn {
    /// The files of [`workspace`] in a folder with an [`ODD`] name, and an experiment of that name.
    fn new() -> Self {
        let workspace = workspace("");
        let folder = workspace.path(ODD);
        for folder in [&folder, &workspace.path("programs")] {
            std::fs::create_dir(folder).expect("a folder");
        }
        for name in ["train.tsv", "test.tsv"] {
            workspace.write(&format!("{ODD}/{name}"), workspace.read(name));
        }
        let experiment = workspace.read("experiment.toml");
        workspace.write(&format!("{ODD}/{ODD}.toml"), experiment);
        workspace.write("record", "");
        let stand_in = Self { workspace, folder };
        stand_in.program("sbatch", SBATCH);
        stand_in.program("scontrol", SCONTROL);
        stand_in
    }

    fn program(&self, name: &str, text: &str) {
        let name = format!("programs/{name}");
        self.workspace.write(&name, text);
        let executable = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(self.workspace.path(&name), executable).expect("a file of ours");
    }

    fn cipherpet(&self, arguments: &[&str]) -> String {
        let mut command = self.workspace.command(arguments);
        command.current_dir(&self.folder);
        succeed(command)
    }

    fn bash(&self, arguments: &[&str]) -> Command {
        let path = std::env::var("PATH").expect("PATH");
        let programs = self.workspace.path("programs");
        let mut command = Command::new("bash");
        command
            .args(arguments)
            .current_dir(&self.folder)
            .env("PATH", format!("{}:{path}", programs.display()))
            .env("RECORD", self.workspace.path("record"))
            .env("STATE", "RUNNING");
        command
    }

    /// A task of the script, or with `finish` a merge, as Slurm starts it: from a copy, and in another folder.
    fn task(&self, script: &str, number: &str, role: &[&str]) -> Command {
        self.workspace.write("copy", script);
        let mut command = self.bash(&["../copy"]);
        command
            .args(role)
            .env("SLURM_ARRAY_JOB_ID", "71")
            .env("SLURM_ARRAY_TASK_ID", number)
            .env("SLURM_CPUS_ON_NODE", "1");
        command
    }

    /// What the stand-ins were asked for since the last call.
    fn record(&self) -> Vec<String> {
        let lines = self.workspace.text("record");
        self.workspace.write("record", "");
        lines.lines().map(str::to_owned).collect()
    }
}

/// Expects an end by this status, or by the signal of SIGKILL for none.
fn ends_with(mut command: Command, status: Option<i32>, line: &str) {
    let output = command.output().expect("it starts");
    let said = said(&output);
    assert_eq!(output.status.code(), status, "{said}");
    assert!(said.contains(line), "{said}");
}

#[test]
fn the_script_works_wherever_it_lies_and_ends_with_the_bytes_of_one_run() {
    let stand_in = StandIn::new();
    let experiment = format!("{ODD}.toml");
    stand_in.cipherpet(&["run", &experiment, "--out", "whole"]);
    let out = format!("{ODD}.sh");
    let slurm = ["slurm", &experiment, "--time", "2", "--out", &out, "--json"];
    let described = json(&stand_in.cipherpet(&slurm));
    let script = stand_in.workspace.text(&format!("{ODD}/{out}"));
    assert_eq!(described["text"], script.as_str());
    succeed(stand_in.bash(&["-n", &out]));

    // Submitted with the very words that are shown.
    let submit = described["submit"].as_str().expect("a command");
    let submitted = succeed(stand_in.bash(&["-c", submit]));
    let name = "it-s--a----exit-9---x----";
    let logs = stand_in.folder.join("runs/slurm");
    assert!(logs.is_dir());
    let lines: Vec<String> = [("71 trains", 71), ("72 merges after that", 72)]
        .iter()
        .map(|(job, id)| format!("job {job}; logs: {}/{name}-{id}_*.log", logs.display()))
        .collect();
    assert_eq!(submitted.lines().collect::<Vec<_>>(), lines);
    let log = format!("--output=runs/slurm/{name}-%A_%a.log");
    let file = stand_in.folder.join(&out);
    let file = file.display();
    assert_eq!(
        stand_in.record(),
        [
            format!("--parsable|{log}|{file}|"),
            format!("--parsable|{log}|--array=0-0|--dependency=afterany:71|{file}|finish|"),
        ]
    );

    // A merge that comes too early.
    let missing = "is not complete: fold-1, fold-2, fold-3 missing\n";
    ends_with(stand_in.task(&script, "0", &["finish"]), Some(1), missing);
    // A task that stops after each step, once; then it has time.
    assert_eq!(script.matches(" --max-minutes 1 ;;").count(), 3, "{script}");
    let hasty = script.replace(" --max-minutes 1 ;;", " --max-minutes 0 ;;");
    let stopped = "stopped, and saved; it comes again\n";
    ends_with(stand_in.task(&hasty, "0", &[]), None, stopped);
    assert_eq!(stand_in.record(), ["requeue 71_0"]);
    ends_with(
        stand_in.task(&script, "0", &[]),
        Some(0),
        "resuming at step 1 of 8",
    );
    // One that is cancelled.
    let mut cancelled = stand_in.task(&hasty, "1", &[]);
    cancelled.env("STATE", "COMPLETING");
    ends_with(
        cancelled,
        Some(75),
        "Slurm has ended it, and it does not come again\n",
    );
    // One that is killed, and one that always is.
    stand_in.program("killed", "#!/bin/bash\nkill -KILL $$\n");
    let tool = format!("\ntool={}\n", env!("CARGO_BIN_EXE_cipherpet"));
    let killed = stand_in.workspace.path("programs/killed");
    let deadly = script.replace(&tool, &format!("\ntool={}\n", killed.display()));
    assert_ne!(deadly, script);
    assert!(stand_in.record().is_empty());
    let again = "ended by a signal (137); it comes again\n";
    ends_with(stand_in.task(&deadly, "1", &[]), None, again);
    assert_eq!(stand_in.record(), ["requeue 71_1"]);
    let mut tenth = stand_in.task(&deadly, "1", &[]);
    tenth.env("SLURM_RESTART_COUNT", "10");
    ends_with(tenth, Some(137), "restarted 10 times before: no more\n");
    ends_with(stand_in.task(&script, "3", &[]), Some(2), "no task 3\n");
    // What is done is found done.
    for number in ["1", "2", "2"] {
        ends_with(
            stand_in.task(&script, number, &[]),
            Some(0),
            "models of runs/",
        );
    }
    for _ in 0..2 {
        ends_with(
            stand_in.task(&script, "0", &["finish"]),
            Some(0),
            "submission: runs/",
        );
    }
    assert!(stand_in.record().is_empty());
    let run = described["tasks"][0]["run"].as_str().expect("a folder");
    let inside = |name: &str| format!("{ODD}/{name}");
    assert_same(&stand_in.workspace, &inside("whole"), &inside(run));

    // The experiment is edited while tasks wait.
    stand_in.workspace.write(
        &inside(&experiment),
        stand_in
            .workspace
            .text(&inside(&experiment))
            .replace("batch = 32", "batch = 16"),
    );
    ends_with(stand_in.task(&script, "1", &[]), Some(1), "train.batch");
}
