//! One process at a time in one folder.
//!
//! In: a folder that is there. Out: a [`Lock`], which is held until it is dropped. The system ends the lock of a process
//! that has died.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// The file that is locked; it is there while somebody is at work.
pub const FILE: &str = ".lock";

/// The right to write into a folder.
pub struct Lock {
    path: PathBuf,
    /// The lock ends when the file is closed.
    _file: File,
}

impl Lock {
    /// Takes the lock of `folder`.
    ///
    /// # Errors
    /// [`Error::Refused`] where another run holds it, [`Error::Io`].
    pub fn take(folder: &Path) -> Result<Self> {
        let path = folder.join(FILE);
        let file = File::create(&path).map_err(Error::io("create", &path))?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => {
                let message = format!("another run is at work in {}", folder.display());
                Err(Error::refused(message)
                    .with_hint("wait for it, or choose another folder with --out"))
            }
            // A file system without locks must not stop a run.
            Ok(()) | Err(TryLockError::Error(_)) => Ok(Self { path, _file: file }),
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // A file that cannot be removed is in nobody's way: it is not locked any more.
        let _ = std::fs::remove_file(&self.path);
    }
}
