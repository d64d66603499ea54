//! The script of `cipherpet slurm` under a real Slurm of one node, with tasks that are stopped, killed and cancelled.
//!
//! `tests/slurm/cluster.sh` starts it on free ports of this machine; where there is no Slurm the test says so and is skipped.
#![cfg(target_os = "linux")]

use std::collections::HashMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::JoinHandle;

use inotify::{EventMask, Inotify, WatchDescriptor, WatchMask};
use serde_json::Value;

use crate::folds::{assert_same, json};
use crate::slurm::{said, succeed, workspace};
use crate::workspace::{Workspace, skipped};

/// A real Slurm, until it is dropped.
struct Cluster {
    folder: tempfile::TempDir,
}

const CLUSTER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/slurm/cluster.sh");

impl Cluster {
    /// None, with a message, where there is no Slurm to start.
    fn start() -> Option<Self> {
        let present = "PATH=$PATH:/usr/sbin:/sbin; command -v munged slurmctld slurmd sbatch srun | wc -l; id -u";
        let mut look = Command::new("bash");
        look.args(["-c", present]);
        let found = succeed(look);
        if found.split_whitespace().collect::<Vec<_>>() != ["5", "0"] {
            skipped("Slurm and munge as root are needed; tests/slurm/install.sh installs them");
            return None;
        }
        // munge refuses a folder that others cannot enter.
        let open: std::fs::Permissions = PermissionsExt::from_mode(0o755);
        let folder = tempfile::Builder::new().permissions(open).tempdir();
        let cluster = Self {
            folder: folder.expect("a folder for the test"),
        };
        // Held together, so that they differ; free again when the daemons take them.
        let free = [0; 2].map(|_| std::net::TcpListener::bind("127.0.0.1:0").expect("a port"));
        let ports = free.map(|held| held.local_addr().expect("bound").port().to_string());
        let mut start = Command::new(CLUSTER);
        start.arg("start").arg(cluster.folder.path()).args(&ports);
        start.stdout(Stdio::null());
        let status = start.status().expect("it starts");
        assert!(status.success(), "Slurm does not start");
        Some(cluster)
    }

    fn conf(&self) -> PathBuf {
        self.folder.path().join("slurm.conf")
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).env("SLURM_CONF", self.conf());
        command
    }

    /// Submits a script; the numbers of its two jobs.
    fn submit(&self, script: &Path) -> [String; 2] {
        let said = succeed(self.command("bash", &[script.to_str().expect("UTF-8")]));
        let numbers: Vec<String> = said
            .lines()
            .filter_map(|line| line.strip_prefix("job ")?.split(' ').next())
            .map(str::to_owned)
            .collect();
        numbers.try_into().expect("two jobs")
    }

    /// Waits until a job has ended, in whatever state.
    fn wait(&self, job: &str, logs: &Path) {
        let after = format!("--dependency=afterany:{job}");
        let mut wait = self.command("timeout", &["150", "srun", "--quiet", &after, "true"]);
        let output = wait.output().expect("it starts");
        if !output.status.success() {
            let queue = succeed(self.command("squeue", &[]));
            panic!(
                "job {job} does not end: {}\n{queue}\n{}",
                said(&output),
                text_of_logs(logs)
            );
        }
    }

    /// `COMPLETED 0:0 restarts 1`
    fn state(&self, job: &str) -> String {
        let shown = succeed(self.command("scontrol", &["show", "job", "--oneliner", job]));
        let field = |name: &str| {
            let found = shown
                .split_whitespace()
                .find_map(|word| word.strip_prefix(name));
            found.unwrap_or("?").to_owned()
        };
        let (state, code) = (field("JobState="), field("ExitCode="));
        format!("{state} {code} restarts {}", field("Restarts="))
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = Command::new(CLUSTER)
            .arg("stop")
            .arg(self.folder.path())
            .status();
    }
}

/// Every log of Slurm's tasks, under its name.
fn text_of_logs(folder: &Path) -> String {
    let entries = std::fs::read_dir(folder).expect("a folder").flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    let show = |path: &PathBuf| {
        let text = std::fs::read_to_string(path).expect("UTF-8");
        format!("==> {} <==\n{text}", path.display())
    };
    paths.iter().map(show).collect()
}

/// What to do to the process at work in a fold, given its number.
type Act = Box<dyn FnOnce(&str) + Send>;

/// Watches a run from before it begins, and acts once in each fold, as soon as that has a checkpoint.
struct Watcher {
    inotify: Inotify,
    /// The folders that are watched.
    folders: HashMap<WatchDescriptor, PathBuf>,
    run: PathBuf,
    /// By name of the fold.
    acts: HashMap<&'static str, Act>,
}

impl Watcher {
    fn begin(run: PathBuf, acts: HashMap<&'static str, Act>) -> JoinHandle<()> {
        std::fs::create_dir_all(&run).expect("a folder"); // an empty one is taken
        let mut watcher = Self {
            inotify: Inotify::init().expect("inotify"),
            folders: HashMap::new(),
            run: run.clone(),
            acts,
        };
        watcher.watch(run);
        std::thread::spawn(move || watcher.look())
    }

    /// A folder, and those that were in it before one could watch.
    fn watch(&mut self, folder: PathBuf) {
        let changes = WatchMask::CREATE | WatchMask::MOVED_TO;
        if let Ok(descriptor) = self.inotify.watches().add(&folder, changes) {
            self.folders.insert(descriptor, folder.clone());
        }
        let inside = std::fs::read_dir(&folder).into_iter().flatten().flatten();
        let inside = inside.map(|entry| entry.path());
        inside
            .filter(|path| path.is_dir())
            .for_each(|path| self.watch(path));
    }

    fn look(&mut self) {
        let mut buffer = [0; 4096];
        while !self.acts.is_empty() {
            let events = self.inotify.read_events_blocking(&mut buffer);
            let events = events.expect("changes").map(|event| event.to_owned());
            for event in events.collect::<Vec<_>>() {
                let Some(folder) = self.folders.get(&event.wd) else {
                    continue;
                };
                let path = folder.join(event.name.unwrap_or_default());
                if event.mask.contains(EventMask::CREATE | EventMask::ISDIR) {
                    self.watch(path);
                } else if event.mask.contains(EventMask::MOVED_TO) {
                    self.act(&path);
                }
            }
        }
    }

    /// A checkpoint is whole once its JSON file is in place.
    fn act(&mut self, path: &Path) {
        let inside = path.strip_prefix(&self.run).expect("it is watched");
        let parts: Vec<&str> = inside.iter().filter_map(|part| part.to_str()).collect();
        if let [fold, "checkpoint", file] = parts[..]
            && file.ends_with(".json")
            && let Some(act) = self.acts.remove(fold)
        {
            let lock = std::fs::read(self.run.join(fold).join(".lock")).expect("one is at work");
            let owner: Value = serde_json::from_slice(&lock).expect("its owner");
            act(&owner["pid"].to_string());
        }
    }
}

fn send(signal: &'static str) -> Act {
    Box::new(move |pid| {
        let sent = Command::new("kill").args(["-s", signal, pid]).status();
        assert!(sent.expect("kill").success());
    })
}

/// A run of three folds that was left alone, in `whole`, and a script for the same run.
struct Trial {
    workspace: Workspace,
    /// Its run folder, inside the workspace.
    run: String,
    script: PathBuf,
    logs: PathBuf,
}

impl Trial {
    fn new() -> Self {
        let workspace = workspace("");
        let set = ["--set=train.epochs=6", "--set=train.save_every_steps=4"];
        let with_set = |first: &[&'static str]| [first, &set].concat();
        workspace.succeed(&with_set(&["run", "experiment.toml", "--out", "whole"]));
        let slurm = [
            "slurm",
            "experiment.toml",
            "--json",
            "--time=30",
            "--out=train.sh",
        ];
        let described = json(&workspace.succeed(&with_set(&slurm)));
        let run = described["tasks"][0]["run"].as_str().expect("a folder");
        Self {
            run: run.to_owned(),
            script: workspace.path("train.sh"),
            logs: workspace.path("runs/slurm"),
            workspace,
        }
    }

    fn watch(&self, acts: HashMap<&'static str, Act>) -> JoinHandle<()> {
        Watcher::begin(self.workspace.path(&self.run), acts)
    }

    /// Waits for the merge, and gives all logs.
    fn log_after(&self, cluster: &Cluster, merge: &str) -> String {
        cluster.wait(merge, &self.logs);
        text_of_logs(&self.logs)
    }

    fn assert_same(&self) {
        assert_same(&self.workspace, "whole", &self.run);
    }
}

/// The run is over: every fold has been met, or none will be.
fn require_met(watcher: JoinHandle<()>, log: &str) {
    assert!(watcher.is_finished(), "a fold was not met at work: {log}");
    watcher.join().expect("no panic");
}

#[test]
fn under_slurm_tasks_that_are_stopped_and_killed_come_again_and_end_with_the_same_bytes() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let trial = Trial::new();
    // Fold 1 is asked to stop, fold 2 is killed, fold 3 is left alone.
    let signals = HashMap::from([("fold-1", send("TERM")), ("fold-2", send("KILL"))]);
    let watcher = trial.watch(signals);
    let [tasks, merge] = cluster.submit(&trial.script);
    let log = trial.log_after(&cluster, &merge);
    require_met(watcher, &log);
    for (task, restarts) in [(0, 1), (1, 1), (2, 0)] {
        let expected = format!("COMPLETED 0:0 restarts {restarts}");
        let state = cluster.state(&format!("{tasks}_{task}"));
        assert_eq!(state, expected, "{log}");
    }
    let state = cluster.state(&format!("{merge}_0"));
    assert_eq!(state, "COMPLETED 0:0 restarts 0", "{log}");
    for line in [
        "stopped, and saved; it comes again\n",
        "ended by a signal (137); it comes again\n",
        ", which was killed\n",
    ] {
        assert_eq!(log.matches(line).count(), 1, "{line}{log}");
    }
    assert_eq!(log.matches("\nresuming at step ").count(), 2, "{log}");
    trial.assert_same();
}

#[test]
fn under_slurm_what_is_cancelled_does_not_come_again_until_it_is_submitted_again() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let trial = Trial::new();
    let conf = cluster.conf();
    let (jobs, submitted) = std::sync::mpsc::channel::<String>();
    let cancel: Act = Box::new(move |_| {
        let job = submitted.recv().expect("it was submitted");
        let mut scancel = Command::new("scancel");
        scancel.arg(job).env("SLURM_CONF", conf);
        succeed(scancel);
    });
    let watcher = trial.watch(HashMap::from([("fold-1", cancel)]));
    let [tasks, merge] = cluster.submit(&trial.script);
    jobs.send(tasks.clone()).expect("the other end waits");
    let log = trial.log_after(&cluster, &merge);
    require_met(watcher, &log);
    let state = cluster.state(&format!("{tasks}_0"));
    let is_cancelled = state.starts_with("CANCELLED ") && state.ends_with(" restarts 0");
    assert!(is_cancelled, "{state}\n{log}");
    let line = "Slurm has ended it, and it does not come again\n";
    assert!(log.contains(line), "{log}");
    // The merge has run all the same, and says what is missing.
    let state = cluster.state(&format!("{merge}_0"));
    assert_eq!(state, "FAILED 1:0 restarts 0", "{log}");
    assert!(log.contains(" is not complete: fold-1"), "{log}");
    let submission = format!("{}/submission.csv", trial.run);
    assert!(!trial.workspace.exists(&submission));

    let [_, merge] = cluster.submit(&trial.script);
    let log = trial.log_after(&cluster, &merge);
    let state = cluster.state(&format!("{merge}_0"));
    assert_eq!(state, "COMPLETED 0:0 restarts 0", "{log}");
    trial.assert_same();
}
