//! One process at a time in one folder.
//!
//! In: a folder that is there. Out: a [`Lock`], which is held until it is dropped, with its owner written inside for
//! others to read. The system ends the lock of a process that has died; where a file system has no locks, the owner
//! decides.

use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use indicatif::HumanDuration;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::workbench::machine;

/// The file that is locked; it is there while somebody is at work, and after a kill.
pub const FILE: &str = ".lock";

/// Who holds a lock. Displays as `process 4711 on HOST, begun 3 minutes ago`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// Number of the process.
    pub pid: u32,
    /// Name of its machine.
    pub host: String,
    /// Seconds since 1970, when the lock was taken.
    pub since: u64,
}

impl Owner {
    fn this_process() -> Self {
        Self {
            pid: std::process::id(),
            host: machine::host(),
            since: now(),
        }
    }

    /// Whether it may be at work still, as far as this machine can tell.
    fn may_be_alive(&self) -> bool {
        let here = Self::this_process();
        if self.host != here.host {
            return true;
        }
        self.pid != here.pid && machine::is_process(self.pid)
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let age = HumanDuration(Duration::from_secs(now().saturating_sub(self.since)));
        write!(f, "process {} on {}, begun {age} ago", self.pid, self.host)
    }
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

/// The right to write into a folder.
#[derive(Debug)]
pub struct Lock {
    path: PathBuf,
    /// The lock ends when the file is closed.
    _file: File,
    /// Who had it before and was killed.
    left_by: Option<Owner>,
}

impl Lock {
    /// Takes the lock of `folder`.
    ///
    /// # Errors
    /// [`Error::Refused`] where another run holds it, with its owner; [`Error::Io`].
    pub fn take(folder: &Path) -> Result<Self> {
        let path = folder.join(FILE);
        loop {
            let open = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false) // it may be somebody's
                .open(&path);
            let mut file = open.map_err(Error::io("create", &path))?;
            let owner = read_owner(&mut file);
            match file.try_lock() {
                Ok(()) if !is_at(&file, &path) => continue, // its owner has just removed it
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(at_work(folder, owner.as_ref())),
                Err(TryLockError::Error(_)) => refuse_living_owner(folder, owner.as_ref())?,
            }
            write_owner(&mut file).map_err(Error::io("write", &path))?;
            return Ok(Self {
                path,
                _file: file,
                left_by: owner,
            });
        }
    }

    /// Who held the lock before and died with it.
    pub fn left_by(&self) -> Option<&Owner> {
        self.left_by.as_ref()
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // A file that cannot be removed is in nobody's way: it is not locked any more.
        let _ = std::fs::remove_file(&self.path);
    }
}

fn at_work(folder: &Path, owner: Option<&Owner>) -> Error {
    let who = owner.map_or(String::new(), |owner| format!(": {owner}"));
    Error::refused(format!(
        "another run is at work in {}{who}",
        folder.display()
    ))
    .with_hint("wait for it, or choose another folder with --out")
}

/// For file systems without locks.
fn refuse_living_owner(folder: &Path, owner: Option<&Owner>) -> Result<()> {
    match owner.filter(|owner| owner.may_be_alive()) {
        None => Ok(()),
        Some(owner) => Err(at_work(folder, Some(owner)).with_hint(format!(
            "wait for it; if it is dead, remove {}, as this file system has no locks that end by themselves",
            folder.join(FILE).display()
        ))),
    }
}

/// None where there is none, or one that is just being written.
fn read_owner(file: &mut File) -> Option<Owner> {
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

fn write_owner(file: &mut File) -> std::io::Result<()> {
    let owner = serde_json::to_string(&Owner::this_process())?;
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(owner.as_bytes())
}

/// Whether the open file is the one at `path`.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let number = |found: std::fs::Metadata| (found.dev(), found.ino());
    let (open, there) = (file.metadata().map(number), path.metadata().map(number));
    open.ok() == there.ok()
}

/// Elsewhere an open file cannot be removed.
#[cfg(not(unix))]
fn is_at(_: &File, _: &Path) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_run_is_refused_with_the_owner_until_the_lock_is_dropped() {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let lock = Lock::take(folder.path()).expect("free");
        assert_eq!(lock.left_by(), None);
        let refused = Lock::take(folder.path()).expect_err("held").to_string();
        let expected = format!(
            "another run is at work in {}: process {} on {}, begun ",
            folder.path().display(),
            std::process::id(),
            machine::host()
        );
        assert!(refused.starts_with(&expected), "{refused}");
        assert!(refused.ends_with(" ago"), "{refused}");
        drop(lock);
        assert!(!folder.path().join(FILE).exists());
        drop(Lock::take(folder.path()).expect("free again"));
    }

    #[test]
    fn a_lock_that_nobody_holds_is_taken_over_and_its_owner_is_known() {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let dead = Owner {
            pid: 4711,
            host: "elsewhere".to_owned(),
            since: now() - 180,
        };
        let text = serde_json::to_string(&dead).expect("JSON") + "          ";
        std::fs::write(folder.path().join(FILE), text).expect("a small file");
        let lock = Lock::take(folder.path()).expect("nobody holds it");
        let left_by = lock.left_by().expect("its owner");
        assert_eq!(
            left_by.to_string(),
            "process 4711 on elsewhere, begun 3 minutes ago"
        );
        // The new owner stands there alone.
        let mut file = File::open(folder.path().join(FILE)).expect("it is there");
        let owner = read_owner(&mut file).expect("whole");
        assert_eq!(owner.pid, std::process::id());
    }

    #[test]
    fn without_locks_of_the_system_the_owner_decides() {
        let folder = Path::new("run");
        let owner = |pid, host: &str| Owner {
            pid,
            host: host.to_owned(),
            since: now(),
        };
        let here = machine::host();
        let own = owner(std::process::id(), &here); // a number that is used again
        assert!(refuse_living_owner(folder, Some(&own)).is_ok());
        assert!(refuse_living_owner(folder, None).is_ok());
        let elsewhere = owner(4711, "elsewhere");
        let error = refuse_living_owner(folder, Some(&elsewhere)).expect_err("nobody can know");
        assert!(
            error
                .hint()
                .is_some_and(|hint| hint.contains("remove run/.lock")),
            "{error}"
        );
        #[cfg(target_os = "linux")]
        {
            let parent = owner(std::os::unix::process::parent_id(), &here);
            assert!(refuse_living_owner(folder, Some(&parent)).is_err());
            let nobody = owner(u32::MAX, &here); // beyond the largest number of a process
            assert!(refuse_living_owner(folder, Some(&nobody)).is_ok());
        }
    }
}
