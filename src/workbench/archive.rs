//! Zip files that depend on nothing but names and content: no times, no owners, entries in the order given.
//!
//! In: names with content or with files on disk. Out: a zip, written whole or not at all. Unpacks only archives of
//! one file, as submissions are.

use std::fs::File;
use std::io::{Cursor, Read, Write};
use std::path::{Path, PathBuf};

use zip::result::ZipError;
use zip::write::{FileOptions, SimpleFileOptions};
use zip::{CompressionMethod, DateTime, ZipArchive, ZipWriter};

use super::Stop;
use crate::atomic;
use crate::error::{Error, Place, Result};

/// A file of more bytes needs the wide fields of zip64.
const LARGE: u64 = 0xffff_ffff;

/// Bytes that are copied at a time.
const PIECE: u64 = 1 << 20;

/// What an entry holds.
pub enum Content {
    /// These bytes, compressed.
    Text(Vec<u8>),
    /// A file on disk, compressed.
    File(PathBuf),
    /// A file on disk as it is: weights hardly shrink, and take long over it.
    Stored(PathBuf),
}

/// Writes a zip of these names and their content.
///
/// # Errors
/// [`Error::Io`] where a file cannot be read or the zip cannot be written, [`Error::Interrupted`]; nothing is left then.
pub fn write(path: &Path, entries: &[(String, Content)], stop: &Stop) -> Result<()> {
    let mut failure = None;
    let written = atomic::write_with(path, |out| {
        write_entries(out, path, entries, stop).map_err(|error| {
            failure = Some(error);
            std::io::Error::other("the archive is not whole")
        })
    });
    match failure {
        Some(error) => Err(error),
        None => written,
    }
}

fn write_entries(
    out: &mut dyn Write,
    archive: &Path,
    entries: &[(String, Content)],
    stop: &Stop,
) -> Result<()> {
    let failed = |error| match error {
        ZipError::Io(source) => Error::io("write", archive)(source),
        other => Error::Unexpected(format!("zip: {other}")),
    };
    let mut writer = ZipWriter::new_stream(out);
    for (name, content) in entries {
        let (bytes, method): (&mut dyn Read, _) = match content {
            Content::Text(text) => (&mut text.as_slice(), CompressionMethod::Deflated),
            Content::File(path) => (&mut open(path)?, CompressionMethod::Deflated),
            Content::Stored(path) => (&mut open(path)?, CompressionMethod::Stored),
        };
        let size = match content {
            Content::Text(text) => text.len() as u64,
            Content::File(path) | Content::Stored(path) => {
                path.metadata().map_err(Error::io("read", path))?.len()
            }
        };
        let options = options(method).large_file(size > LARGE);
        writer.start_file(name, options).map_err(failed)?;
        // Weights take minutes to copy: piece by piece, so that Ctrl-C is heard.
        loop {
            stop.check()?;
            let piece = &mut bytes.take(PIECE);
            let copied = std::io::copy(piece, &mut writer).map_err(Error::io("write", archive))?;
            if copied < PIECE {
                break;
            }
        }
    }
    let mut out = writer.finish().map_err(failed)?;
    out.flush().map_err(Error::io("write", archive))
}

fn open(path: &Path) -> Result<File> {
    File::open(path).map_err(Error::io("read", path))
}

fn options(method: CompressionMethod) -> SimpleFileOptions {
    FileOptions::default()
        .compression_method(method)
        .last_modified_time(DateTime::default()) // 1980-01-01
        .unix_permissions(0o644)
}

/// A submission of ten million rows is smaller; a few MB of zip may hold any number of bytes.
const MOST_BYTES: u64 = 256_000_000;

/// The content of a zip of one file; `path` names it in errors.
///
/// # Errors
/// [`Error::Input`] where it is none.
pub fn read_one(path: &Path, bytes: Vec<u8>) -> Result<Vec<u8>> {
    read_at_most(MOST_BYTES, path, bytes)
}

fn read_at_most(most: u64, path: &Path, bytes: Vec<u8>) -> Result<Vec<u8>> {
    let bad = |found: String| {
        Error::input(Place::file(path), "a zip of one file", found)
            .with_hint("make the zip again, with submission.csv alone in it")
    };
    let mut archive =
        ZipArchive::new(Cursor::new(bytes)).map_err(|error| bad(error.to_string()))?;
    if archive.len() != 1 {
        return Err(bad(format!("{} files", archive.len())));
    }
    let mut file = archive
        .by_index(0)
        .map_err(|error| bad(error.to_string()))?;
    let mut content = Vec::new();
    (&mut file)
        .take(most + 1)
        .read_to_end(&mut content)
        .map_err(|error| bad(error.to_string()))?;
    if content.len() as u64 > most {
        let expected = "a zip of one file of at most 256 MB";
        return Err(Error::input(Place::file(path), expected, "a larger one"));
    }
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_zip_is_the_same_bytes_each_time_and_holds_the_content() {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let at = |name: &str| folder.path().join(name);
        let entries = [(
            "submission.csv".to_owned(),
            Content::Text(b"0.5\n-1\n".to_vec()),
        )];
        write(&at("a.zip"), &entries, &Stop::default()).expect("a small file");
        write(&at("b.zip"), &entries, &Stop::default()).expect("a small file");
        let bytes = std::fs::read(at("a.zip")).expect("the file");
        assert_eq!(bytes, std::fs::read(at("b.zip")).expect("the file"));
        assert_eq!(read_one(&at("a.zip"), bytes).expect("a zip"), b"0.5\n-1\n");
    }

    #[test]
    fn what_a_zip_may_swell_to_has_a_bound() {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let zip = folder.path().join("a.zip");
        let entries = [("a".to_owned(), Content::Text(vec![b'0'; 1000]))];
        write(&zip, &entries, &Stop::default()).expect("a small file");
        let read = |most| read_at_most(most, &zip, std::fs::read(&zip).expect("the file"));
        assert_eq!(read(1000).expect("as large as may be").len(), 1000);
        let message = read(999).expect_err("one byte more").to_string();
        assert!(
            message.ends_with("expected a zip of one file of at most 256 MB, found a larger one")
        );
    }

    #[test]
    fn files_go_in_as_they_are_and_the_order_is_kept() {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let (file, zip) = (folder.path().join("w"), folder.path().join("a.zip"));
        let weights = vec![7_u8; 2_100_000]; // more than two pieces
        std::fs::write(&file, &weights).expect("a small file");
        let entries = [
            ("z/weights".to_owned(), Content::Stored(file.clone())),
            ("a/weights".to_owned(), Content::File(file)),
        ];
        write(&zip, &entries, &Stop::default()).expect("a small file");
        assert!(zip.metadata().expect("the file").len() > 2_100_000); // once stored, once compressed
        let mut archive = ZipArchive::new(File::open(&zip).expect("the file")).expect("a zip");
        assert_eq!(archive.len(), 2);
        for (number, name) in ["z/weights", "a/weights"].into_iter().enumerate() {
            let mut entry = archive.by_index(number).expect("an entry");
            let mut content = Vec::new();
            entry.read_to_end(&mut content).expect("whole");
            assert_eq!(entry.name().expect("UTF-8"), name);
            assert!(content == weights);
        }
        let error = read_one(&zip, std::fs::read(&zip).expect("the file")).expect_err("two files");
        assert!(
            error
                .to_string()
                .ends_with("expected a zip of one file, found 2 files")
        );
    }

    #[test]
    fn a_stop_leaves_no_zip() {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let stop = Stop::default();
        stop.request();
        let entries = [("a".to_owned(), Content::Text(vec![0; 10]))];
        let stopped = write(&folder.path().join("a.zip"), &entries, &stop);
        assert!(matches!(stopped, Err(Error::Interrupted)));
        let names = std::fs::read_dir(folder.path()).expect("the folder");
        assert_eq!(names.count(), 0);
    }

    #[test]
    fn a_file_that_is_missing_leaves_no_zip() {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let (file, zip) = (folder.path().join("none"), folder.path().join("a.zip"));
        let entries = [("none".to_owned(), Content::File(file.clone()))];
        let error = write(&zip, &entries, &Stop::default())
            .expect_err("no such file")
            .to_string();
        let expected = format!("cannot read {}: No such file", file.display());
        assert!(error.starts_with(&expected), "{error}");
        assert_eq!(
            std::fs::read_dir(folder.path())
                .expect("the folder")
                .count(),
            0
        );
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_names_the_archive() {
        let full = Path::new("/dev/full");
        let entries = [("a".to_owned(), Content::Text(vec![0; 10]))];
        let error = write(full, &entries, &Stop::default()).expect_err("no room");
        assert!(
            error
                .to_string()
                .starts_with("cannot write /dev/full: No space left")
        );
        assert!(error.hint().is_some());
    }
}
