//! A run that was cut, in any way and at any moment, ends with the bytes of one that was not.

use std::process::Output;

use crate::hand_made::edit_manifest;
use crate::workspace::{Workspace, metrics, skipped};

/// Three epochs of eight steps; the rate is so high that the last epoch is not the best.
pub const RUN: [&str; 4] = [
    "run",
    "experiment.toml",
    "--set=train.epochs=3",
    "--set=train.learning_rate=0.02",
];

fn arguments<'a>(out: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&RUN[..], &["--out", out], more].concat()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_done_run_that_has_lost_something_is_not_called_done() {
    let workspace = Workspace::with_pairs();
    let folds = arguments("folds", &["--set=folds.k=2", "--set=train.max_steps=2"]);
    let single = arguments("run", &["--set=train.max_steps=2"]);
    workspace.succeed(&single);
    workspace.succeed(&folds);
    let refused = |arguments: &[&str]| {
        let output = workspace.run(arguments);
        assert_eq!(output.status.code(), Some(1));
        stderr(&output)
    };
    // The submission is made of the scores, which are there.
    let files = ["submission.csv", "submission.zip"].map(|name| format!("run/{name}"));
    let read = || files.each_ref().map(|file| workspace.read(file));
    let (before, model) = (read(), workspace.read("run/model/model.safetensors"));
    let mended = |found: &str| {
        let output = workspace.run(&single);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(0), "{said}");
        let lines = format!(
            "run/submission.csv {found}\nthe submission is written anew, from stored scores\n"
        );
        assert!(said.contains(&lines), "{said}");
        assert!(read() == before, "another submission");
        assert!(workspace.read("run/model/model.safetensors") == model);
    };
    workspace.write("run/submission.csv", "0.5\n");
    mended("is not the file that the run has written");
    std::fs::remove_file(workspace.path("run/submission.csv")).expect("it is there");
    mended("is gone");
    // Mended, it is done; a log is for people, and a table may be left out.
    workspace.write("run/run.log", "my notes\n");
    std::fs::remove_file(workspace.path("run/valid.csv")).expect("it is there");
    let output = workspace.run(&single);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(!stderr(&output).contains("written anew"));
    // The models score the rows where the scores have gone too.
    for name in ["run/test.csv", "run/submission.csv"] {
        std::fs::remove_file(workspace.path(name)).expect("it is there");
    }
    workspace.succeed(&single);
    assert!(read() == before, "another submission");

    // What the scores are made of must be there.
    let mapping = workspace.read("run/mapping.tsv");
    std::fs::remove_file(workspace.path("run/mapping.tsv")).expect("it is there");
    let text =
        "error: run/mapping.tsv is gone, and the run is done\nhint: remove run to run it again\n";
    assert_eq!(refused(&single), text);
    workspace.write("run/mapping.tsv", mapping);
    workspace.write("run/model/model.safetensors", "other weights");
    let text = "error: run/model/model.safetensors is not the file that the run has written\nhint: remove run to run it again\n";
    assert_eq!(refused(&single), text);

    // A fold without its model is no fold to merge.
    edit_manifest(&workspace, "folds", |manifest| {
        manifest["state"] = "begun".into()
    });
    let weights = "folds/fold-2/model/model.safetensors";
    std::fs::remove_file(workspace.path(weights)).expect("it is there");
    let text = refused(&[&folds[..], &["--finish"]].concat());
    let expected = format!("{weights} is not the file that folds/fold-2/DONE was written for");
    assert!(text.contains(&expected), "{text}");
}

#[test]
fn what_notebooks_and_killed_processes_leave_in_folders_stops_no_run() {
    let workspace = Workspace::with_pairs();
    for folder in ["run", "run/model", "run/checkpoint"] {
        std::fs::create_dir_all(workspace.path(&format!("{folder}/.unfinished-x")))
            .expect("a folder");
        if folder == "run" {
            std::fs::create_dir(workspace.path("run/.ipynb_checkpoints")).expect("a folder");
            workspace.succeed(&arguments("first", &["--set=train.max_steps=2"]));
            let stopped = workspace.run(&arguments("run", &["--max-minutes", "0"]));
            assert_eq!(stopped.status.code(), Some(75), "{}", stderr(&stopped));
        }
        std::fs::create_dir_all(workspace.path(&format!("{folder}/.ipynb_checkpoints")))
            .expect("a folder");
    }
    workspace.succeed(&arguments("run", &[]));
    workspace.succeed(&arguments("whole", &[]));
    for file in ["submission.csv", "valid.csv", "model/model.safetensors"] {
        let (run, whole) = (format!("run/{file}"), format!("whole/{file}"));
        assert!(workspace.read(&run) == workspace.read(&whole), "{file}");
    }
}

/// `metrics.jsonl` without what a clock has measured.
fn timeless_metrics(workspace: &Workspace, out: &str) -> Vec<serde_json::Value> {
    let mut lines = metrics(&workspace.path(&format!("{out}/metrics.jsonl")));
    for line in &mut lines {
        for key in ["seconds", "tokens_per_second"] {
            let removed = line.as_object_mut().expect("an object").remove(key);
            assert!(removed.is_some_and(|time| time.is_number()), "{key}");
        }
    }
    lines
}

/// Everything that a run leaves, except times, the page that shows them, and the record's command line.
pub fn assert_same_outcome(workspace: &Workspace, whole: &str, cut: &str) {
    assert_eq!(workspace.names(whole), workspace.names(cut));
    let mut files: Vec<String> = workspace.names(whole);
    let told = [
        "manifest.json",
        "metrics.jsonl",
        "report.html",
        "run.log",
        "model",
        "submission.csv.json",
    ];
    files.retain(|name| !told.contains(&name.as_str()));
    let model = workspace.names(&format!("{whole}/model"));
    assert_eq!(model, workspace.names(&format!("{cut}/model")));
    files.extend(model.iter().map(|name| format!("model/{name}")));
    for name in &files {
        let (one, other) = (format!("{whole}/{name}"), format!("{cut}/{name}"));
        assert!(
            workspace.read(&one) == workspace.read(&other),
            "{name} differs"
        );
    }
    assert_eq!(
        timeless_metrics(workspace, whole),
        timeless_metrics(workspace, cut)
    );
    let outcome = |out: &str| {
        let manifest = workspace.json(&format!("{out}/manifest.json"));
        assert_eq!(manifest["state"], "done");
        let result = &manifest["result"];
        let figures = ["valid_auc", "best_epoch", "epochs", "steps"].map(|key| result[key].clone());
        let shared = ["epochs", "steps"].map(|key| result["shared_stage"][key].clone());
        (figures, shared)
    };
    assert_eq!(outcome(whole), outcome(cut));
}

#[test]
fn a_run_that_is_stopped_after_each_step_ends_as_one_that_is_not() {
    let workspace = Workspace::with_pairs();
    workspace.succeed(&arguments("whole", &[]));
    let mut sessions = 0;
    loop {
        let threads = ["--threads=1", "--threads=2"][sessions % 2];
        let output = workspace.run(&arguments("cut", &["--max-minutes=0", threads]));
        sessions += 1;
        let said = stderr(&output);
        if sessions > 1 {
            assert!(said.contains("\nresuming "), "{said}");
        }
        match output.status.code() {
            Some(0) => break,
            Some(75) => {
                let hint = "stopped: cut holds what is needed to go on\nhint: run the same command again\n";
                assert!(said.ends_with(hint), "{said}");
            }
            _ => panic!("{}", workspace.transcript(&output)),
        }
        assert!(sessions < 40, "it does not come to an end");
    }
    // One for each of 24 steps, the three validations, and the scores of the test rows.
    assert_eq!(sessions, 24 + 3 + 1);
    assert_same_outcome(&workspace, "whole", "cut");
    let log = workspace.text("cut/run.log");
    assert_eq!(log.matches("resuming ").count(), sessions - 1);
    assert!(
        log.contains("resuming at step 9 of 24, in epoch 2"),
        "{log}"
    );
    assert!(log.contains("resuming after the last of 24 steps"), "{log}");
}

/// Two checkpoints in `cut`, of the steps 1 and 2.
fn stopped_twice(workspace: &Workspace) {
    for _ in 0..2 {
        let output = workspace.run(&arguments("cut", &["--max-minutes=0"]));
        assert_eq!(output.status.code(), Some(75), "{}", stderr(&output));
    }
    let files = ["1.json", "1.safetensors", "2.json", "2.safetensors"];
    assert_eq!(workspace.names("cut/checkpoint"), files);
}

fn flip_a_bit(workspace: &Workspace, name: &str) {
    let mut bytes = workspace.read(name);
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    workspace.write(name, bytes);
}

fn truncate(workspace: &Workspace, name: &str) {
    let bytes = workspace.read(name);
    workspace.write(name, &bytes[..bytes.len() / 2]);
}

#[test]
fn a_damaged_checkpoint_is_passed_over_for_the_one_before_and_this_is_said() {
    let workspace = Workspace::with_pairs();
    workspace.succeed(&arguments("whole", &[]));
    for (name, damage) in [
        ("2.safetensors", flip_a_bit as fn(&Workspace, &str)),
        ("2.safetensors", truncate),
        ("2.json", flip_a_bit),
        ("2.json", truncate),
    ] {
        stopped_twice(&workspace);
        damage(&workspace, &format!("cut/checkpoint/{name}"));
        let output = workspace.run(&arguments("cut", &[]));
        let said = stderr(&output);
        assert!(output.status.success(), "{said}");
        let fault =
            format!("cut/checkpoint/{name}: expected a checkpoint as it was written, found ");
        assert!(said.contains(&fault), "{said}");
        assert!(
            said.contains("; falling back to the checkpoint before\nresuming at step 1 of 24"),
            "{said}"
        );
        assert_same_outcome(&workspace, "whole", "cut");
        std::fs::remove_dir_all(workspace.path("cut")).expect("a folder of ours");
    }
}

#[test]
fn without_a_whole_checkpoint_training_begins_anew() {
    let workspace = Workspace::with_pairs();
    workspace.succeed(&arguments("whole", &[]));
    stopped_twice(&workspace);
    truncate(&workspace, "cut/checkpoint/1.json");
    std::fs::remove_file(workspace.path("cut/checkpoint/2.safetensors")).expect("it was there");
    let output = workspace.run(&arguments("cut", &[]));
    let said = stderr(&output);
    assert!(
        said.contains(
            "cut/checkpoint/2.safetensors: expected a checkpoint as it was written, found no file"
        ),
        "{said}"
    );
    assert!(
        said.contains("no checkpoint is left: training anew"),
        "{said}"
    );
    assert!(!said.contains("resuming"), "{said}");
    assert_same_outcome(&workspace, "whole", "cut");
}

#[test]
fn a_run_that_was_stopped_is_still_refused_to_another_config() {
    let workspace = Workspace::with_pairs();
    stopped_twice(&workspace);
    let output = workspace.run(&arguments("cut", &["--seed=1"]));
    assert_eq!(output.status.code(), Some(1));
    let said = stderr(&output);
    assert!(
        said.starts_with("error: cut holds another run: `seed` is 0 there, 1 here"),
        "{said}"
    );
    assert_eq!(workspace.names("cut/checkpoint").len(), 4);
}

#[test]
fn a_time_limit_must_be_a_number_of_minutes() {
    let workspace = Workspace::with_pairs();
    for bad in [
        "--max-minutes=-1",
        "--max-minutes=nan",
        "--max-minutes=soon",
    ] {
        let output = workspace.run(&arguments("out", &[bad]));
        assert_eq!(output.status.code(), Some(2), "{bad}");
        assert!(!workspace.exists("out"));
    }
}

/// With folds, what was said of a run holds of each fold.
#[test]
fn folds_that_are_stopped_after_each_step_end_as_those_that_are_not() {
    let workspace = Workspace::with_pairs();
    let folds = |out, more: &[&'static str]| {
        let folds = ["--set=folds.k=2", "--set=folds.full=true"];
        let short = ["--set=train.epochs=1", "--set=train.batch=100"];
        arguments(out, &[&folds, &short, more].concat())
            .into_iter()
            .map(str::to_owned)
            .collect::<Vec<String>>()
    };
    let run = |arguments: Vec<String>| {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        workspace.run(&arguments)
    };
    assert!(run(folds("whole", &[])).status.success());
    let mut stops = 0;
    loop {
        let output = run(folds("cut", &["--max-minutes=0"]));
        match output.status.code() {
            Some(0) => break,
            Some(75) if stops < 40 => stops += 1,
            _ => panic!("{}", workspace.transcript(&output)),
        }
    }
    // 240 rows in each fit, so three steps, after each of which it stops.
    assert!(stops >= 9, "{stops}");
    for name in ["oof.csv", "submission.csv"] {
        let (one, other) = (format!("whole/{name}"), format!("cut/{name}"));
        assert!(
            workspace.read(&one) == workspace.read(&other),
            "{name} differs"
        );
    }
    for fold in ["fold-1", "fold-2", "full"] {
        let (one, other) = (format!("whole/{fold}"), format!("cut/{fold}"));
        assert_eq!(workspace.names(&one), workspace.names(&other));
        assert_eq!(
            timeless_metrics(&workspace, &one),
            timeless_metrics(&workspace, &other)
        );
        let done = |out: &str| {
            let done = workspace.json(&format!("{out}/DONE"));
            ["valid_auc", "steps", "valid_sha256", "test_sha256"].map(|key| done[key].clone())
        };
        assert_eq!(done(&one), done(&other));
    }
}

#[cfg(unix)]
mod on_unix {
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    use super::*;

    /// The command, where no file may pass `blocks` of 512 bytes, or of 1024 in some shells.
    fn limited(workspace: &Workspace, blocks: usize, arguments: &[&str]) -> Output {
        let command = workspace.command(arguments);
        let script = "trap '' XFSZ; ulimit -f \"$1\"; shift; exec \"$@\"";
        Command::new("sh")
            .arg0("sh")
            .args(["-c", script, "sh", &blocks.to_string()])
            .arg(command.get_program())
            .args(command.get_args())
            .current_dir(workspace.path(""))
            .output()
            .expect("a shell")
    }

    #[test]
    fn a_disk_without_room_for_a_checkpoint_does_not_end_the_run() {
        let workspace = Workspace::with_pairs();
        workspace.succeed(&arguments("whole", &[]));
        // A model, the report and the checkpoint of the end fit; one under way takes three or four models and does not.
        let model = workspace.read("whole/model/model.safetensors").len();
        let blocks = model / 512 * 2;
        let every_step = "--set=train.save_every_steps=1";
        let output = limited(&workspace, blocks, &arguments("cut", &[every_step]));
        let said = stderr(&output);
        assert!(output.status.success(), "{said}");
        assert!(
            said.contains("no checkpoint at step 1: cannot write "),
            "{said}"
        );
        workspace.succeed(&arguments("full", &[every_step]));
        assert_same_outcome(&workspace, "full", "cut");

        // A run that is to stop must say that it could not save, and what it had is still there.
        let stopped = workspace.run(&arguments("stop", &["--max-minutes=0"]));
        assert_eq!(stopped.status.code(), Some(75));
        let before = workspace.read("stop/checkpoint/1.safetensors");
        let output = limited(&workspace, blocks, &arguments("stop", &["--max-minutes=0"]));
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(
            said.contains("error: cannot write stop/checkpoint/2."),
            "{said}"
        );
        assert_eq!(
            workspace.names("stop/checkpoint"),
            ["1.json", "1.safetensors"]
        );
        assert!(workspace.read("stop/checkpoint/1.safetensors") == before);
        workspace.succeed(&arguments("stop", &[]));
        assert_same_outcome(&workspace, "whole", "stop");
    }

    /// Runs in a file system of so many bytes, mounted at `disk`, twice cut and then to the end; `None` where nobody may mount.
    fn on_a_small_disk(workspace: &Workspace, bytes: usize, arguments: &[&str]) -> Option<Output> {
        let command = workspace.command(arguments);
        let script = "mkdir disk && mount -t tmpfs -o size=\"$1\" tmpfs disk || exit 99; shift
            for stop in 1 2; do \"$@\" --max-minutes=0; test $? = 75 || exit 98; done
            \"$@\" && cp -r disk/cut cut";
        let output = Command::new("unshare")
            .args(["--map-root-user", "--mount", "sh", "-c", script, "sh"])
            .arg(bytes.to_string())
            .arg(command.get_program())
            .args(command.get_args())
            .current_dir(workspace.path(""))
            .output()
            .ok()?;
        let is_mounted = output.status.code() != Some(99) && workspace.exists("disk");
        is_mounted.then_some(output)
    }

    #[test]
    fn a_run_that_fits_on_a_disk_goes_on_there() {
        let workspace = Workspace::with_pairs();
        let size = ["--set=model.hidden=128", "--set=model.intermediate=512"];
        workspace.succeed(&arguments("whole", &size));
        // Twice the model, three checkpoints of four models each, and a little more.
        let model = workspace.read("whole/model/model.safetensors").len();
        let bytes = 15 * model + (1 << 20);
        match on_a_small_disk(&workspace, bytes, &arguments("disk/cut", &size)) {
            None => {
                skipped("nobody may mount a file system here (unshare --map-root-user --mount)")
            }
            Some(output) => {
                assert!(output.status.success(), "{}", stderr(&output));
                assert_same_outcome(&workspace, "whole", "cut");
            }
        }
    }
}
