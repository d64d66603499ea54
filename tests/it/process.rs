//! A command at work: what it says as it says it, and signals to it.

use std::io::{BufRead, BufReader, Read};
#[cfg(unix)]
use std::process::Command;
use std::process::{Child, ChildStderr, Stdio};

use crate::workspace::Workspace;

/// The command, started.
pub struct Running {
    child: Child,
    stderr: BufReader<ChildStderr>,
}

impl Running {
    pub fn start(workspace: &Workspace, arguments: &[&str]) -> Self {
        let mut command = workspace.command(arguments);
        command.stderr(Stdio::piped()).stdout(Stdio::null());
        let mut child = command.spawn().expect("the command starts");
        let stderr = BufReader::new(child.stderr.take().expect("a pipe"));
        Self { child, stderr }
    }

    /// Reads stderr up to the first line that holds `wanted`.
    pub fn wait_for(&mut self, wanted: &str) {
        let (mut said, mut line) = (String::new(), String::new());
        while !line.contains(wanted) {
            line.clear();
            let read = self.stderr.read_line(&mut line).expect("UTF-8");
            assert_ne!(read, 0, "it has ended and never said `{wanted}`:\n{said}");
            said += &line;
        }
    }

    /// The number of its process.
    #[cfg(unix)]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal by its name.
    #[cfg(unix)]
    pub fn send(&self, signal: &str) {
        let id = self.id().to_string();
        let sent = Command::new("kill").args(["-s", signal, &id]).status();
        assert!(sent.expect("kill").success());
    }

    /// Its exit status once it has ended, and the rest of what it said.
    pub fn end(mut self) -> (Option<i32>, String) {
        let mut rest = String::new();
        self.stderr.read_to_string(&mut rest).expect("UTF-8");
        (self.child.wait().expect("it ends").code(), rest)
    }
}
