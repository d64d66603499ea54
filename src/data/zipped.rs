//! Tables that come in a zip of one file, as competitions hand them out.
//!
//! In: a path that ends in `.zip`, and its bytes. Out: the bytes of the one file inside; others as they are. By the name and not by
//! the first bytes alone: weights of PyTorch are zips too, and are read as they are. Writes none.

use std::borrow::Cow;
use std::io::{Cursor, Read};
use std::path::Path;

use zip::ZipArchive;

use crate::error::{Error, Place, Result};

/// What a zip begins with.
const MARK: &[u8] = b"PK\x03\x04";

/// As of [`super::gzip`]: a few MB of zip may hold any number of bytes.
const MOST_BYTES: u64 = 4_000_000_000;

/// The content of a file that is held whole; `path` names it in errors.
///
/// # Errors
/// [`Error::Input`] where the zip is damaged, holds other than one file, or one of more than 4 GB.
pub fn content<'a>(path: &Path, bytes: Cow<'a, [u8]>) -> Result<Cow<'a, [u8]>> {
    at_most(MOST_BYTES, path, bytes)
}

fn at_most<'a>(most: u64, path: &Path, bytes: Cow<'a, [u8]>) -> Result<Cow<'a, [u8]>> {
    let is_named_so = path
        .extension()
        .is_some_and(|end| end.eq_ignore_ascii_case("zip"));
    if !is_named_so || !bytes.starts_with(MARK) {
        return Ok(bytes);
    }
    let bad = |found: String| {
        Error::input(Place::file(path), "a zip of one file", found)
            .with_hint("unpack the zip, and name a file that was in it")
    };
    let mut archive =
        ZipArchive::new(Cursor::new(&*bytes)).map_err(|error| bad(error.to_string()))?;
    let mut names = Vec::new();
    for name in archive.file_names() {
        let name = name.map_err(|error| bad(error.to_string()))?;
        // Folders, and what macOS leaves beside each file.
        if !name.ends_with('/') && !name.starts_with("__MACOSX/") {
            names.push(name.into_owned());
        }
    }
    let [name] = &names[..] else {
        let listed = names.join(", ");
        return Err(bad(format!("{} files: {listed}", names.len())));
    };
    let file = archive
        .by_name(name)
        .map_err(|error| bad(error.to_string()))?;
    let mut content = Vec::new();
    file.take(most + 1)
        .read_to_end(&mut content)
        .map_err(|error| bad(error.to_string()))?;
    if content.len() as u64 > most {
        let expected = "a zip of one file of at most 4 GB";
        let error = Error::input(Place::file(path), expected, "a larger one");
        return Err(error.with_hint("unpack the zip, and split the file"));
    }
    Ok(Cow::Owned(content))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::*;

    fn zipped(names: &[&str]) -> Vec<u8> {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        for name in names {
            let options = SimpleFileOptions::default();
            writer.start_file(*name, options).expect("memory");
            writer.write_all(b"1\t2\n").expect("memory");
        }
        writer.finish().expect("memory").into_inner()
    }

    fn read(most: u64, name: &str, bytes: &[u8]) -> Result<Vec<u8>> {
        at_most(most, Path::new(name), Cow::Borrowed(bytes)).map(Cow::into_owned)
    }

    #[test]
    fn one_file_is_read_and_other_bytes_are_as_they_are() {
        let one = zipped(&["__MACOSX/._a.tsv", "a.tsv"]);
        assert_eq!(read(4, "x.zip", &one).expect("one file"), b"1\t2\n");
        assert_eq!(read(4, "pytorch_model.bin", &one).expect("weights"), one);
        assert_eq!(read(4, "x.zip", b"1\t2\n").expect("no zip"), b"1\t2\n");
    }

    #[test]
    fn several_files_damage_and_size_are_refused() {
        let message = |most, bytes: &[u8]| {
            let error = read(most, "x.zip", bytes).expect_err("refused");
            error.to_string()
        };
        assert_eq!(
            message(4, &zipped(&["a.tsv", "b.tsv"])),
            "x.zip: expected a zip of one file, found 2 files: a.tsv, b.tsv"
        );
        let one = zipped(&["a.tsv"]);
        assert_eq!(
            message(3, &one),
            "x.zip: expected a zip of one file of at most 4 GB, found a larger one"
        );
        let cut = message(4, &one[..one.len() / 2]);
        assert!(
            cut.starts_with("x.zip: expected a zip of one file, found "),
            "{cut}"
        );
    }
}
