//! Two processes merge the folds of one run at the same time: both end well, with the files that one alone writes.
#![cfg(unix)]

use std::process::{Child, Output, Stdio};

use serde_json::Value;

use crate::folds::{json, run_with, workspace};
use crate::hand_made::edit_manifest;
use crate::workspace::Workspace;

/// What a merge writes, each time with the same bytes.
const MERGED: [&str; 4] = [
    "oof.csv",
    "submission.csv",
    "submission.csv.json",
    "submission.zip",
];

/// A run whose folds are done, and merged by one process.
struct Merged {
    workspace: Workspace,
    /// What that process has written.
    files: Vec<Vec<u8>>,
    names: Vec<String>,
}

impl Merged {
    fn new() -> Self {
        let workspace = workspace("k = 2\nassign = \"stratified\"");
        workspace.succeed(&run_with(&["--fold", "1"]));
        workspace.succeed(&run_with(&["--fold", "2"]));
        workspace.succeed(&run_with(&["--finish"]));
        workspace.succeed(&["check", "out/submission.zip", "--test", "test.tsv"]);
        Self {
            files: Self::read(&workspace),
            names: workspace.names("out"),
            workspace,
        }
    }

    fn read(workspace: &Workspace) -> Vec<Vec<u8>> {
        let read = |name| workspace.read(&format!("out/{name}"));
        MERGED.into_iter().map(read).collect()
    }

    /// The folds as they were before they were merged.
    fn undo(&self) {
        edit_manifest(&self.workspace, "out", |manifest| {
            manifest["state"] = "begun".into();
            manifest["outputs"] = Value::Array(Vec::new());
            manifest["result"] = Value::Null;
        });
        for name in MERGED.into_iter().chain(["report.html"]) {
            let path = self.workspace.path(&format!("out/{name}"));
            std::fs::remove_file(path).expect("it is there");
        }
    }

    /// Threads are no part of a result, and of a command line.
    fn start(&self, threads: &str) -> Child {
        let mut command = self.workspace.command(&run_with(&["--finish", threads]));
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        command.spawn().expect("the command starts")
    }

    /// After both of two merges.
    fn require_good(&self, outputs: [Output; 2]) {
        for output in &outputs {
            let said = self.workspace.transcript(output);
            assert!(output.status.success(), "{said}");
            assert!(!said.contains("no report.html"), "{said}");
        }
        assert!(Self::read(&self.workspace) == self.files, "other bytes");
        assert_eq!(self.workspace.names("out"), self.names); // nothing unfinished, and no lock
        // Every file is the one that the manifest has recorded.
        let again = json(&self.workspace.succeed(&run_with(&["--finish", "--json"])));
        assert_eq!(again["found_done"], true);
    }
}

fn end(child: Child) -> Output {
    child.wait_with_output().expect("it ends")
}

#[test]
fn two_merges_that_begin_together() {
    let merged = Merged::new();
    for _ in 0..3 {
        merged.undo();
        let both = [merged.start("--threads=1"), merged.start("--threads=2")];
        merged.require_good(both.map(end));
    }
}

/// One is stopped at each file that it begins or puts in place, and goes on when the other has ended.
#[cfg(target_os = "linux")]
#[test]
fn a_merge_inside_another_at_every_file() {
    use std::process::Command;

    use inotify::{Inotify, WatchMask};

    let merged = Merged::new();
    let send = |signal: &str, to: u32| {
        let mut kill = Command::new("kill");
        let kill = kill
            .args(["-s", signal, &to.to_string()])
            .stderr(Stdio::null());
        kill.status().expect("kill"); // of one that has just ended there is nothing to stop
    };
    std::fs::create_dir(merged.workspace.path("over")).expect("a folder");
    for moment in 1.. {
        merged.undo();
        let mut inotify = Inotify::init().expect("inotify");
        for folder in ["out", "over"] {
            let changes = WatchMask::CREATE | WatchMask::MOVED_TO;
            let added = inotify
                .watches()
                .add(merged.workspace.path(folder), changes);
            added.expect("a folder to watch");
        }
        let first = merged.start("--threads=2");
        let id = first.id();
        let over = merged.workspace.path("over/end");
        let first = std::thread::spawn(move || {
            let output = end(first);
            std::fs::write(over, "").expect("a small file"); // wakes the wait for changes
            output
        });
        let (mut changes, mut has_ended) = (0, false);
        let mut buffer = [0; 4096];
        while changes < moment && !has_ended {
            for event in inotify.read_events_blocking(&mut buffer).expect("changes") {
                has_ended |= event.name.is_some_and(|name| name == "end");
                changes += 1;
            }
        }
        if has_ended {
            assert!(moment > 12, "{moment} moments only"); // six files, begun and put in place
            return;
        }
        send("STOP", id);
        let second = end(merged.start("--threads=1"));
        send("CONT", id);
        merged.require_good([first.join().expect("no panic"), second]);
        let _ = std::fs::remove_file(merged.workspace.path("over/end"));
    }
}
