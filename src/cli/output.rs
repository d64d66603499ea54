//! stdout: text for people, or one JSON object.

use std::io::{ErrorKind, IsTerminal, Write, stdout};
use std::path::Path;

use serde::Serialize;

use crate::error::{Error, Result, printable};

/// Prints the text, or with `json` the value as one object on one line.
///
/// # Errors
/// [`Error::Io`]; not for a pipe that its reader has closed, who has seen enough.
pub fn print(value: &impl Serialize, text: &str, json: bool) -> Result<()> {
    let mut out = if json {
        serde_json::to_string(value)
            .map_err(|error| Error::Unexpected(format!("report as JSON: {error}")))?
    } else {
        text.trim_end().to_owned()
    };
    out.push('\n');
    let mut stdout = stdout().lock();
    if stdout.is_terminal() {
        out = printable(&out).into_owned();
    }
    match stdout
        .write_all(out.as_bytes())
        .and_then(|()| stdout.flush())
    {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Error::io("write", Path::new("stdout"))(error))
        }
        _ => Ok(()),
    }
}
