//! Files and folders that are there whole or not at all: written beside their place, then renamed.
//!
//! In: a path and bytes. Out: the file or folder, or an error that leaves everything as it was. Knows no formats.

use std::ffi::OsStr;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::time::Duration;

use tempfile::NamedTempFile;

use crate::error::{Error, Result};

/// How the names of files begin that are being written.
const UNFINISHED: &str = ".unfinished-";
/// No file takes so long to write.
const ABANDONED: Duration = Duration::from_secs(3600);

/// Writes `bytes` to `path`. A file that was there is replaced in one step. What is no regular file (a pipe,
/// `/dev/stdout`) is written to directly.
///
/// # Errors
/// [`Error::Io`]; whatever stood at `path` is untouched then, and nothing is left beside it.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    write_with(path, |out| out.write_all(bytes))
}

/// As [`write()`], for content that is made piece by piece.
///
/// # Errors
/// As [`write()`], or what `content` returns.
pub fn write_with(
    path: &Path,
    content: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<()> {
    let fail = Error::io("write", path);
    if path.metadata().is_ok_and(|found| !found.is_file()) {
        let open = std::fs::OpenOptions::new().write(true).open(path);
        return open.and_then(|mut file| content(&mut file)).map_err(fail);
    }
    let persist = |file: NamedTempFile| file.persist(path).map_err(|failure| failure.error);
    beside(path, content)
        .and_then(persist)
        .map(drop)
        .map_err(fail)
}

/// Writes `bytes` to `path` unless there is a file already; of several processes at once, one writes. True for that one.
///
/// # Errors
/// As [`write()`].
pub fn write_new(path: &Path, bytes: &[u8]) -> Result<bool> {
    let file = beside(path, |out| out.write_all(bytes)).map_err(Error::io("write", path))?;
    match file.persist_noclobber(path) {
        Ok(_) => Ok(true),
        Err(failure) if failure.error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(failure) => Err(Error::io("write", path)(failure.error)),
    }
}

/// Makes the folder `path`, which must not be there or be empty, of what `content` writes into the folder it is given.
///
/// # Errors
/// [`Error::Io`], or what `content` returns; nothing is left then.
pub fn write_folder(path: &Path, content: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(UNFINISHED);
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o777)); // less the umask
    let folder = builder
        .tempdir_in(folder_of(path))
        .map_err(Error::io("create", path))?;
    content(folder.path())?;
    std::fs::rename(folder.path(), path).map_err(Error::io("create", path))?;
    let _ = folder.keep(); // it has another name now
    Ok(())
}

/// Whether a file of this name was being written when its process was killed, or is being written.
pub fn is_unfinished(name: &OsStr) -> bool {
    name.to_string_lossy().starts_with(UNFINISHED)
}

/// Removes what killed processes were writing into a folder, which need not be there. The caller knows that
/// nobody else is writing there.
///
/// # Errors
/// [`Error::Io`].
pub fn remove_unfinished(folder: &Path) -> Result<()> {
    remove_if(folder, |_| true)
}

/// As [`remove_unfinished`], where somebody else may be writing: only what nobody has touched for an hour.
///
/// # Errors
/// [`Error::Io`].
pub fn remove_abandoned(folder: &Path) -> Result<()> {
    remove_if(folder, |path| {
        let touched = path.metadata().and_then(|metadata| metadata.modified());
        let age = touched.ok().and_then(|touched| touched.elapsed().ok());
        age.is_some_and(|age| age > ABANDONED)
    })
}

/// Removes unfinished files and folders.
fn remove_if(folder: &Path, holds: impl Fn(&Path) -> bool) -> Result<()> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(Error::io("read", folder))?,
    };
    for entry in entries {
        let entry = entry.map_err(Error::io("read", folder))?;
        let path = entry.path();
        if is_unfinished(&entry.file_name()) && holds(&path) {
            let removed = match path.is_dir() {
                true => std::fs::remove_dir_all(&path), // of `write_folder`
                false => std::fs::remove_file(&path),
            };
            removed.map_err(Error::io("remove", &path))?;
        }
    }
    Ok(())
}

/// The folder in which `path` stands.
fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

/// A whole file in the folder of `path`, under another name; dropping it removes it.
fn beside(
    path: &Path,
    content: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(UNFINISHED);
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666)); // less the umask, as other files
    let mut file = builder.tempfile_in(folder_of(path))?;
    let mut buffer = BufWriter::new(file.as_file_mut());
    content(&mut buffer)?;
    buffer.flush()?;
    drop(buffer);
    file.as_file().sync_all()?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_file_and_nothing_else() {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let path = folder.path().join("a");
        write(&path, b"old").expect("room for three bytes");
        let failed = write_with(&path, |out| {
            out.write_all(b"half")?;
            Err(io::Error::other("no more"))
        });
        assert_eq!(
            failed.expect_err("it failed").to_string(),
            format!("cannot write {}: no more", path.display())
        );
        assert_eq!(std::fs::read(&path).expect("the file"), b"old");
        write(&path, b"new").expect("room for three bytes");
        assert_eq!(std::fs::read(&path).expect("the file"), b"new");
        assert!(write(&path.join("b"), b"x").is_err());
        assert_eq!(
            std::fs::read_dir(folder.path())
                .expect("the folder")
                .count(),
            1
        );
    }

    #[test]
    fn a_folder_is_there_whole_or_not_at_all() {
        let parent = tempfile::tempdir().expect("a folder for the test");
        let path = parent.path().join("out");
        let failed = write_folder(&path, |folder| {
            write(&folder.join("a"), b"x")?;
            Err(Error::refused("no more"))
        });
        assert_eq!(failed.expect_err("it failed").to_string(), "no more");
        let names = || std::fs::read_dir(parent.path()).expect("a folder").count();
        assert_eq!(names(), 0);
        write_folder(&path, |folder| write(&folder.join("a"), b"x")).expect("room");
        assert_eq!(std::fs::read(path.join("a")).expect("the file"), b"x");
        let full = write_folder(&path, |folder| write(&folder.join("b"), b"y"));
        assert!(full.is_err() && !path.join("b").exists() && path.join("a").exists());
        assert_eq!(names(), 1);
    }

    #[test]
    fn a_new_file_is_written_once() {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let path = folder.path().join("a");
        assert!(write_new(&path, b"first").expect("room"));
        assert!(!write_new(&path, b"second").expect("room"));
        assert_eq!(std::fs::read(&path).expect("the file"), b"first");
        let entries = std::fs::read_dir(folder.path()).expect("the folder");
        assert_eq!(entries.count(), 1);
    }

    #[test]
    fn what_a_killed_process_was_writing_is_removed_and_nothing_else() {
        let folder = tempfile::tempdir().expect("a folder for the test");
        for name in [".unfinished-a1b2", ".hidden", "unfinished"] {
            std::fs::write(folder.path().join(name), "x").expect("a small file");
        }
        remove_unfinished(folder.path()).expect("files of ours");
        assert!(!folder.path().join(".unfinished-a1b2").exists());
        assert!(folder.path().join(".hidden").exists());
        assert!(folder.path().join("unfinished").exists());
        remove_unfinished(&folder.path().join("not there")).expect("nothing to do");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_device_is_an_error_with_a_hint() {
        let error = write(Path::new("/dev/full"), b"x").expect_err("no room");
        assert!(
            error
                .to_string()
                .starts_with("cannot write /dev/full: No space left")
        );
        assert!(error.hint().is_some());
    }
}
