//! Files that gzip has compressed.
//!
//! In: bytes, or a file that is read in a stream. Out: the bytes that were compressed; others as they are. Recognised by the
//! first bytes, whatever the name. Does not know what the files are for.

use std::borrow::Cow;
use std::io::{BufRead, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use crate::error::{Error, Place, Result};

/// What a file of gzip begins with: its mark, and the only method there is.
const MARK: [u8; 3] = [0x1f, 0x8b, 8];

/// A file whose rows fit in memory is smaller; a few MB of gzip may hold any number of bytes.
const MOST_BYTES: u64 = 4_000_000_000;

/// The content of a file that is held whole; `path` names it in errors.
///
/// # Errors
/// [`Error::Input`] where the compressed file is damaged, or holds more than 4 GB.
pub fn content<'a>(path: &Path, bytes: Cow<'a, [u8]>) -> Result<Cow<'a, [u8]>> {
    at_most(MOST_BYTES, path, bytes)
}

fn at_most<'a>(most: u64, path: &Path, bytes: Cow<'a, [u8]>) -> Result<Cow<'a, [u8]>> {
    // A file of weights begins with a length, which may be any bytes.
    let is_weights = path.extension().is_some_and(|end| end == "safetensors");
    if is_weights || !bytes.starts_with(&MARK) {
        return Ok(bytes);
    }
    let mut content = Vec::new();
    let read = MultiGzDecoder::new(&*bytes)
        .take(most + 1)
        .read_to_end(&mut content);
    read.map_err(|error| damaged(path, &error))?;
    if content.len() as u64 > most {
        let expected = "a gzip file that holds at most 4 GB";
        let error = Error::input(Place::file(path), expected, "a larger one");
        return Err(error.with_hint("decompress the file, and split it"));
    }
    Ok(Cow::Owned(content))
}

/// A reader of the content of `file`. Its errors are told by [`damaged`].
///
/// # Errors
/// [`std::io::Error`] where the file cannot be read.
pub fn stream<'a>(mut file: impl BufRead + 'a) -> std::io::Result<Box<dyn Read + 'a>> {
    Ok(match file.fill_buf()?.starts_with(&MARK) {
        true => Box::new(MultiGzDecoder::new(file)),
        false => Box::new(file),
    })
}

/// The error for a compressed file that cannot be read to its end.
pub fn damaged(path: &Path, error: &std::io::Error) -> Error {
    Error::input(Place::file(path), "a whole gzip file", error)
        .with_hint("get the file again: it was cut or changed")
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn compressed(content: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(content).expect("memory");
        encoder.finish().expect("memory")
    }

    fn read(most: u64, bytes: &[u8]) -> Result<Vec<u8>> {
        let content = at_most(most, Path::new("x.tsv.gz"), Cow::Borrowed(bytes))?;
        Ok(content.into_owned())
    }

    #[test]
    fn compressed_parts_are_read_one_after_the_other_and_others_as_they_are() {
        let parts = [compressed(b"1\t2\n"), compressed(b"3\t4\n")].concat();
        assert_eq!(read(100, &parts).expect("two parts"), b"1\t2\n3\t4\n");
        assert_eq!(read(100, b"1\t2\n").expect("plain"), b"1\t2\n");
        let mut streamed = Vec::new();
        let mut reader = stream(&parts[..]).expect("memory");
        reader.read_to_end(&mut streamed).expect("two parts");
        assert_eq!(streamed, b"1\t2\n3\t4\n");
    }

    #[test]
    fn what_a_file_may_swell_to_has_a_bound() {
        let bytes = compressed(&[b'0'; 100_000]);
        assert!(bytes.len() < 1000);
        assert_eq!(
            read(100_000, &bytes).expect("as large as may be").len(),
            100_000
        );
        let message = read(99_999, &bytes).expect_err("one byte more").to_string();
        assert_eq!(
            message,
            "x.tsv.gz: expected a gzip file that holds at most 4 GB, found a larger one"
        );
    }

    #[test]
    fn a_file_that_was_cut_is_named() {
        let bytes = compressed(b"1\t2\n");
        let error = read(100, &bytes[..bytes.len() - 4]).expect_err("cut");
        let message = error.to_string();
        assert!(
            message.starts_with("x.tsv.gz: expected a whole gzip file, found "),
            "{message}"
        );
        assert_eq!(
            error.hint(),
            Some("get the file again: it was cut or changed")
        );
    }

    #[test]
    fn weights_are_never_taken_for_a_compressed_file() {
        let bytes = [&MARK[..], &[0; 20]].concat();
        let path = Path::new("model.safetensors");
        let read = at_most(100, path, Cow::Borrowed(&bytes)).expect("as it is");
        assert_eq!(&*read, bytes);
    }
}
