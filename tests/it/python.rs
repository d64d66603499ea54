//! The Python of the tests that need one: `PYTHON`, or `python3`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::workspace::skipped;

/// A Python that can import certain modules.
pub struct Python {
    /// The interpreter itself.
    pub program: PathBuf,
    /// The folder with the programs of its environment.
    bin: PathBuf,
}

impl Python {
    /// `None`, and a message, where there is none or it lacks one of `modules`.
    pub fn with(modules: &[&str]) -> Option<Self> {
        let program = std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned());
        let list = modules.join(", ");
        let script = format!("import sys, os, {list}; print(sys.executable); print(sys.prefix)");
        let output = Command::new(&program).args(["-c", &script]).output();
        let told = output.ok().filter(|output| output.status.success());
        let Some(told) = told else {
            skipped(&format!(
                "{program} has not all of {list} (name another Python in PYTHON)"
            ));
            return None;
        };
        let told = String::from_utf8(told.stdout).expect("UTF-8");
        let (program, prefix) = told.trim_end().split_once('\n').expect("two lines");
        Some(Self {
            program: program.into(),
            bin: PathBuf::from(prefix).join("bin"),
        })
    }

    /// `PATH` with the programs of its environment first, then `more`, then what was there.
    pub fn path(&self, more: &[&Path]) -> OsString {
        let inherited = std::env::var_os("PATH").unwrap_or_default();
        let mut folders = vec![self.bin.clone()];
        folders.extend(more.iter().map(|&folder| folder.to_owned()));
        folders.extend(std::env::split_paths(&inherited));
        std::env::join_paths(folders).expect("no folder with a colon")
    }
}
