//! What a command leaves: on stdout text for people, or one JSON object; and where a file goes that the user has named.

use std::borrow::Cow;
use std::io::{ErrorKind, IsTerminal, Write, stdout};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::error::{Error, Result, printable};

/// Prints the text, or with `json` the value as one object on one line.
///
/// # Errors
/// [`Error::Io`]; not for a pipe that its reader has closed, who has seen enough.
pub fn print(value: &impl Serialize, text: &str, json: bool) -> Result<()> {
    let out = match json {
        true => serde_json::to_string(value)
            .map_err(|error| Error::Unexpected(format!("report as JSON: {error}")))?,
        false => text.trim_end().to_owned(),
    };
    print_text(&(out + "\n"))
}

/// Prints a text; on a terminal without what the terminal would obey.
///
/// # Errors
/// As [`print`].
pub fn print_text(text: &str) -> Result<()> {
    let mut stdout = stdout().lock();
    let text = match stdout.is_terminal() {
        true => printable(text),
        false => Cow::Borrowed(text),
    };
    match stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
    {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Error::io("write", Path::new("stdout"))(error))
        }
        _ => Ok(()),
    }
}

/// A file to write, as `--out` names it. A symbolic link stays, and the file that it leads to is written. Where there is no folder
/// for it, that is said here, before the work.
pub fn file(name: &str) -> std::result::Result<PathBuf, String> {
    let path = PathBuf::from(name);
    if !path.is_symlink() {
        return require_folder(&path).map(|()| path);
    }
    match path.metadata() {
        Ok(found) if !found.is_file() => Ok(path), // a pipe or a terminal, as /dev/stdout
        _ => path
            .canonicalize()
            .map_err(|error| format!("it is a link that leads to no file ({error})")),
    }
}

fn require_folder(file: &Path) -> std::result::Result<(), String> {
    let folder = file.parent().filter(|folder| *folder != Path::new(""));
    match folder {
        Some(folder) if !folder.is_dir() => Err(format!(
            "expected a file in a folder that is there, found no folder {}; make the folder first",
            folder.display()
        )),
        _ => Ok(()),
    }
}
