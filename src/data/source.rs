//! Input files: on disk, or embedded in the binary under `demo:NAME` (the files of `vocab/demo/`).
//!
//! In: a path. Out: bytes, decompressed where gzip has compressed them ([`gzip`]) or a zip holds one file ([`zipped`]). Whole files only; text corpora are streamed by `vocab::lines` instead.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::{gzip, zipped};
use crate::error::{Error, Place, Result};

/// What embedded paths begin with; alone it names the embedded folder.
const PREFIX: &str = "demo:";

/// Name and content of each embedded file.
const EMBEDDED: &[(&str, &[u8])] = &[
    ("README.md", include_bytes!("../../vocab/demo/README.md")),
    (
        "config.json",
        include_bytes!("../../vocab/demo/config.json"),
    ),
    ("counts.tsv", include_bytes!("../../vocab/demo/counts.tsv")),
    (
        "counts.tsv.json",
        include_bytes!("../../vocab/demo/counts.tsv.json"),
    ),
    (
        "experiment.toml",
        include_bytes!("../../vocab/demo/experiment.toml"),
    ),
    (
        "model.safetensors",
        include_bytes!("../../vocab/demo/model.safetensors"),
    ),
    ("test.tsv", include_bytes!("../../vocab/demo/test.tsv")),
    ("train.tsv", include_bytes!("../../vocab/demo/train.tsv")),
    ("vocab.txt", include_bytes!("../../vocab/demo/vocab.txt")),
];

/// True for `demo:…` paths.
pub fn is_embedded(path: &Path) -> bool {
    embedded_name(path).is_some()
}

/// The whole content of a file or of an embedded file.
///
/// # Errors
/// Those of [`stored`], [`gzip::content`] and [`zipped::content`].
pub fn read(path: &Path) -> Result<Cow<'static, [u8]>> {
    let bytes = stored(path)?;
    if is_embedded(path) {
        return Ok(bytes);
    }
    zipped::content(path, gzip::content(path, bytes)?)
}

/// The bytes as they are stored. Those of a pipe (`/dev/stdin`, `<(zcat …)`) can be read once only, and are kept as long as the process lives: a table
/// is read to recognise it, again for its rows, and again for its hash.
///
/// # Errors
/// [`Error::Io`] where a file on disk cannot be read, [`Error::Input`] where no embedded file has the name.
pub fn stored(path: &Path) -> Result<Cow<'static, [u8]>> {
    static PIPES: Mutex<BTreeMap<PathBuf, Vec<u8>>> = Mutex::new(BTreeMap::new());
    let Some(name) = embedded_name(path) else {
        let from_disk = || std::fs::read(path).map_err(Error::io("read", path));
        if !is_pipe(path) {
            return from_disk().map(Cow::Owned);
        }
        let mut pipes = PIPES.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bytes) = pipes.get(path) {
            return Ok(Cow::Owned(bytes.clone()));
        }
        let bytes = from_disk()?;
        pipes.insert(path.to_owned(), bytes.clone());
        return Ok(Cow::Owned(bytes));
    };
    embedded(name).map(Cow::Borrowed).ok_or_else(|| {
        let names: Vec<_> = EMBEDDED.iter().map(|(name, _)| *name).collect();
        let expected = format!("one of the embedded files ({})", names.join(", "));
        Error::input(Place::file(path), expected, "another name")
    })
}

/// True for what is there and neither a file nor a folder.
pub fn is_pipe(path: &Path) -> bool {
    let is_neither = |found: std::fs::Metadata| !found.is_file() && !found.is_dir();
    path.metadata().is_ok_and(is_neither)
}

/// `folder/name`, for embedded folders `demo:` + `name`.
pub fn join(folder: &Path, name: &str) -> PathBuf {
    match embedded_name(folder) {
        Some(folder) => format!("{PREFIX}{folder}{name}").into(),
        None => folder.join(name),
    }
}

/// Whether the file is there.
pub fn exists(path: &Path) -> bool {
    match embedded_name(path) {
        Some(name) => embedded(name).is_some(),
        None => path.is_file(),
    }
}

fn embedded_name(path: &Path) -> Option<&str> {
    path.to_str()?.strip_prefix(PREFIX)
}

fn embedded(name: &str) -> Option<&'static [u8]> {
    let (_, bytes) = EMBEDDED.iter().find(|(known, _)| *known == name)?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_join_by_their_kind() {
        let joined = |folder| join(Path::new(folder), "vocab.txt");
        assert_eq!(joined("demo:"), Path::new("demo:vocab.txt"));
        assert_eq!(joined("models/mini"), Path::new("models/mini/vocab.txt"));
        assert!(is_embedded(Path::new("demo:")));
        assert!(!is_embedded(Path::new("folder/demo:x")));
    }

    #[test]
    fn every_embedded_file_can_be_read() {
        for (name, bytes) in EMBEDDED {
            let path = join(Path::new(PREFIX), name);
            assert!(exists(&path));
            assert_eq!(read(&path).expect("embedded").as_ref(), *bytes);
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_pipe_is_read_once_and_known_from_then_on() {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let pipe = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.expect("mkfifo").success());
        let writer = {
            let pipe = pipe.clone();
            std::thread::spawn(move || std::fs::write(pipe, "1\t2\n"))
        };
        assert!(is_pipe(&pipe) && !is_pipe(folder.path()));
        for _ in 0..3 {
            assert_eq!(read(&pipe).expect("bytes").as_ref(), b"1\t2\n");
        }
        writer.join().expect("no panic").expect("the pipe takes it");
    }

    #[test]
    fn missing_files() {
        let path = Path::new("demo:nothing");
        assert!(!exists(path));
        let message = read(path).expect_err("no such file").to_string();
        assert!(
            message.starts_with("demo:nothing: expected one of the embedded files ("),
            "{message}"
        );
        let path = Path::new("no/such/pairs.tsv");
        assert!(!exists(path));
        assert_eq!(
            read(path).expect_err("no such file").to_string(),
            "cannot read no/such/pairs.tsv: No such file or directory (os error 2)"
        );
    }
}
