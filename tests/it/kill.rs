//! A real process is killed at the moment a file appears or grows, again and again, and the run still ends with the bytes
//! of one that was left alone.
//!
//! The kernel tells of each change in the run folder (inotify), so a kill falls in the middle of a write, between
//! two files, into a step or into prediction, without any waiting for time to pass.
#![cfg(target_os = "linux")]

use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Stdio};

use cipherpet::random::Key;
use inotify::{EventMask, Inotify, WatchMask};

use crate::resume::{RUN, assert_same_outcome};
use crate::workspace::Workspace;

/// When to kill.
pub enum Moment {
    /// At this change in the run folder, that of the stages, or below, from 1.
    Change(u64),
    /// When this file has been put in place, or has grown, so many times.
    File(&'static str, u64),
}

impl Moment {
    /// Counts down; true when it has come.
    fn has_come(&mut self, name: &str) -> bool {
        let (left, counts) = match self {
            Self::Change(left) => (left, true),
            Self::File(wanted, left) => (left, *wanted == name),
        };
        *left -= u64::from(counts);
        *left == 0
    }
}

/// How a session ended.
pub struct Session {
    pub killed: bool,
    pid: u32,
    stderr: String,
}

/// A run under observation, in the folder `run`.
pub struct Victim {
    pub workspace: Workspace,
    pub kills: usize,
}

impl Victim {
    /// The experiment of `workspace`; the same command in `whole/run` is left alone.
    pub fn of(workspace: Workspace, arguments: &[&str]) -> Self {
        workspace.succeed(&[&RUN[..], &["--out", "whole/run"], arguments].concat());
        std::fs::create_dir(workspace.path("over")).expect("a folder");
        Self {
            workspace,
            kills: 0,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.workspace.path(name)
    }

    /// Runs the command and kills it at `moment`, if that comes.
    pub fn session(&mut self, arguments: &[&str], moment: Moment) -> Session {
        let _ = std::fs::create_dir(self.path("run")); // an empty folder is taken
        let inotify = Inotify::init().expect("inotify");
        self.watch(&inotify);
        let command = [&RUN[..], &["--out", "run"], arguments].concat();
        let mut child = self
            .workspace
            .command(&command)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the command starts");
        let mut pipe = child.stderr.take().expect("a pipe");
        let end = self.path("over/end");
        let reader = std::thread::spawn(move || {
            let mut said = String::new();
            pipe.read_to_string(&mut said).expect("UTF-8");
            std::fs::write(end, "").expect("a small file"); // wakes the wait for changes
            said
        });
        self.kill_at(moment, inotify, &mut child);
        let status = child.wait().expect("it was started");
        let stderr = reader.join().expect("no panic");
        std::fs::remove_file(self.path("over/end")).expect("it is there");
        let killed = status.signal() == Some(9);
        assert!(killed || status.success(), "{status}: {stderr}");
        self.kills += usize::from(killed);
        Session {
            killed,
            pid: child.id(),
            stderr,
        }
    }

    fn kill_at(&self, mut moment: Moment, mut inotify: Inotify, child: &mut Child) {
        let mut buffer = [0; 4096];
        loop {
            let events = inotify.read_events_blocking(&mut buffer).expect("changes");
            let events: Vec<_> = events.map(|event| event.to_owned()).collect();
            for event in events {
                let name = event.name.unwrap_or_default().into_string();
                let name = name.expect("our names are UTF-8");
                if event.mask.contains(EventMask::CREATE | EventMask::ISDIR) {
                    self.watch(&inotify);
                }
                if name == "end" {
                    return;
                }
                if !event.mask.contains(EventMask::CREATE) && moment.has_come(&name) {
                    child.kill().expect("it was started");
                    return;
                }
            }
        }
    }

    /// All folders that the run writes to; those that are not there yet when they appear.
    fn watch(&self, inotify: &Inotify) {
        let changes =
            WatchMask::CREATE | WatchMask::MODIFY | WatchMask::MOVED_TO | WatchMask::DELETE;
        let mut folders = ["over", "run", "stages"]
            .map(|name| self.path(name))
            .to_vec();
        while let Some(folder) = folders.pop() {
            let Ok(entries) = std::fs::read_dir(&folder) else {
                continue; // not there, or not any more
            };
            let _ = inotify.watches().add(&folder, changes);
            let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
            folders.extend(paths.filter(|path| path.is_dir()));
        }
    }

    /// Whether the lock of a killed process stands in the folder, with its number.
    fn lock_names(&self, pid: u32) -> bool {
        let lock = std::fs::read(self.path("run/.lock")).unwrap_or_default();
        let owner: serde_json::Value = serde_json::from_slice(&lock).unwrap_or_default();
        owner["pid"] == pid
    }
}

#[test]
fn killed_between_any_two_files() {
    let every_step = ["--set=train.save_every_steps=1"];
    let mut victim = Victim::of(Workspace::with_pairs(), &every_step);
    // In the order in which they come; a session has its own manifest and metrics before it resumes.
    let moments = [
        (".lock", 1),
        ("manifest.json", 1),
        ("config.toml", 1),
        ("mapping.tsv", 1),
        ("1.safetensors", 1),
        ("1.json", 1),
        ("metrics.jsonl", 2),
        ("model.safetensors", 1),
        ("config.json", 1),
        ("vocab.txt", 1),
        ("metrics.jsonl", 2),
        ("valid.csv", 1),
        ("test.csv", 1),
        ("submission.csv", 1),
        ("submission.zip", 1),
        ("manifest.json", 2),
    ];
    let mut dead = None;
    for (name, times) in moments {
        // On a busy machine the process may be done before its end is ordered: then once more from the start.
        let mut tries = 0;
        let session = loop {
            let session = victim.session(&every_step, Moment::File(name, times));
            tries += 1;
            if session.killed || tries == 20 {
                break session;
            }
            assert_same_outcome(&victim.workspace, "whole/run", "run");
            std::fs::remove_dir_all(victim.path("run")).expect("a folder of ours");
            dead = None;
        };
        if let Some(pid) = dead.filter(|_| session.stderr.contains("resuming ")) {
            let expected = format!("taking over from process {pid} on ");
            assert!(session.stderr.contains(&expected), "{}", session.stderr);
        }
        dead = Some(session.pid).filter(|&pid| session.killed && victim.lock_names(pid));
    }
    victim.session(&every_step, Moment::Change(u64::MAX));
    assert!(victim.kills >= 8, "{} kills", victim.kills);
    assert_same_outcome(&victim.workspace, "whole/run", "run");
}

#[test]
fn killed_at_twenty_random_moments_on_one_thread_and_on_two() {
    let settings = ["--set=train.save_every_steps=2"];
    let mut victim = Victim::of(Workspace::with_pairs(), &settings);
    let key = Key::from_seed(20);
    let mut sessions = 0;
    while victim.kills < 20 {
        loop {
            let random = key.bits(sessions);
            sessions += 1;
            assert!(sessions < 1000, "{} kills only", victim.kills);
            let threads = ["--threads=1", "--threads=2"][(random >> 63) as usize];
            let arguments = [&settings[..], &[threads]].concat();
            let session = victim.session(&arguments, Moment::Change(1 + random % 50));
            if !session.killed {
                break;
            }
        }
        assert_same_outcome(&victim.workspace, "whole/run", "run");
        std::fs::remove_dir_all(victim.path("run")).expect("a folder of ours");
    }
}
