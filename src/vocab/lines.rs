//! Plain text files as chunks of whole lines.
//!
//! In: the path of a UTF-8 file, which gzip may have compressed. Out: its lines, a chunk at a time, and what the file was: size,
//! lines, hash. A file is streamed; memory does not grow with it as long as its lines are short. Of a table ([`plain_table`]), which
//! is held whole, each text is a line. Does not tokenise.

use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};

use super::plain_table;
use crate::data::{gzip, source};
use crate::error::{Error, Place, Result};
use crate::hash::Hasher;
use crate::progress::{Progress, Task};

/// Bytes of text that are read before they are worked on in parallel.
pub const CHUNK_BYTES: usize = 1 << 20;
/// Bytes of a line: a book is no sentence, and what is made of one grows with it.
const LONGEST_LINE: u64 = 1 << 20;
/// Lines that one thread works on at a time.
pub const LINES_PER_TASK: usize = 256;

/// A text file as it was.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct TextSource {
    /// As the user named it.
    pub path: PathBuf,
    /// Size, decompressed.
    pub bytes: u64,
    /// Lines, empty ones too.
    pub lines: u64,
    /// Of the content, in hexadecimal.
    pub sha256: String,
}

/// A task of as many bytes as the files have.
///
/// # Errors
/// [`Error::Io`] for the first file that is not there.
pub fn task(name: &str, files: &[PathBuf], progress: &Progress) -> Result<Task> {
    let mut total = 0;
    for path in files {
        let metadata = path.metadata().map_err(Error::io("read", path))?;
        total += metadata.len();
    }
    Ok(progress.task(name, total, "bytes"))
}

/// Gives `work` the lines of a file in order, [`CHUNK_BYTES`] or a line more at a time, with the number (from 1) of the
/// first of them.
///
/// # Errors
/// [`Error::Io`] where the file cannot be read, [`Error::Input`] for a line that is not UTF-8 or longer than 1 MB, what `work`
/// returns.
pub fn read(
    path: &Path,
    chunk_bytes: usize,
    task: &Task,
    mut work: impl FnMut(&[&str], u64) -> Result<()>,
) -> Result<TextSource> {
    task.note(path.display().to_string());
    if plain_table::is_named_so(path)
        && let Some(source) = read_table(path, chunk_bytes, task, &mut work)?
    {
        return Ok(source);
    }
    let file = File::open(path).map_err(Error::io("read", path))?;
    let content = gzip::stream(BufReader::new(file)).map_err(Error::io("read", path))?;
    let mut reader = BufReader::new(content);
    let mut hasher = Hasher::default();
    let (mut bytes, mut lines) = (0, 0);
    let mut chunk = Vec::with_capacity(chunk_bytes);
    loop {
        chunk.clear();
        let first_line = lines + 1;
        while chunk.len() < chunk_bytes {
            let mut line = (&mut reader).take(LONGEST_LINE + 1);
            let read = line.read_until(b'\n', &mut chunk);
            let read = read.map_err(|error| match error.kind() {
                // The kinds that a decoder gives; a disk gives others.
                ErrorKind::InvalidInput | ErrorKind::InvalidData | ErrorKind::UnexpectedEof => {
                    gzip::damaged(path, &error)
                }
                _ => Error::io("read", path)(error),
            })?;
            if read == 0 {
                break;
            }
            lines += 1;
            if read as u64 > LONGEST_LINE {
                let expected = "a line of at most 1 MB";
                let error = Error::input(Place::line(path, lines), expected, "a longer one");
                return Err(error.with_hint("a line is a sentence: put each on a line of its own"));
            }
        }
        if chunk.is_empty() {
            break;
        }
        hasher.update(&chunk);
        bytes += chunk.len() as u64;
        let text = utf8(path, first_line, &chunk)?;
        work(&text.lines().collect::<Vec<_>>(), first_line)?;
        task.advance(chunk.len() as u64);
    }
    Ok(TextSource {
        path: path.to_owned(),
        bytes,
        lines,
        sha256: hasher.finish(),
    })
}

/// As [`read`], the texts of a table one after another; `None` where the file holds no column of texts.
fn read_table(
    path: &Path,
    chunk_bytes: usize,
    task: &Task,
    work: &mut impl FnMut(&[&str], u64) -> Result<()>,
) -> Result<Option<TextSource>> {
    let content = source::read(path)?;
    let Some(texts) = plain_table::texts(path, &content)? else {
        return Ok(None);
    };
    let mut first = 0;
    while first < texts.len() {
        let mut bytes = 0;
        let fits = texts[first..].iter().take_while(|text| {
            let begins = bytes < chunk_bytes;
            bytes += text.len();
            begins
        });
        let last = first + fits.count();
        let texts: Vec<&str> = texts[first..last].iter().map(String::as_str).collect();
        work(&texts, first as u64 + 1)?;
        first = last;
    }
    task.advance(content.len() as u64);
    let mut hasher = Hasher::default();
    hasher.update(&content);
    Ok(Some(TextSource {
        path: path.to_owned(),
        bytes: content.len() as u64,
        lines: content.iter().filter(|&&byte| byte == b'\n').count() as u64,
        sha256: hasher.finish(),
    }))
}

/// `chunk` holds whole lines, the first of which has the number `first_line`.
fn utf8<'a>(path: &Path, first_line: u64, chunk: &'a [u8]) -> Result<&'a str> {
    std::str::from_utf8(chunk).map_err(|error| {
        let valid = &chunk[..error.valid_up_to()];
        let line = first_line + valid.iter().filter(|&&byte| byte == b'\n').count() as u64;
        Error::input(Place::line(path, line), "UTF-8", "other bytes")
            .with_hint("save the file as UTF-8")
    })
}
