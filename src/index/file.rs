//! The file of an index: one line that says what it is, a header, and arrays of numbers behind it.
//!
//! In: a header and arrays. Out: the file, whole or not at all, and what it holds. Knows no kind of index.
//!
//! The layout: the 16 bytes `cipherpet index` and a line break; the length of the header, as 8 bytes; the header, a JSON object
//! with the tool's version, kind, width, number of items, parameters of the kind and the arrays' names, elements and lengths;
//! the arrays in that order. All numbers have their low byte first.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{Index, Kind};
use crate::atomic;
use crate::error::{Error, Place, Result};

const MAGIC: &[u8; 16] = b"cipherpet index\n";
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Longer headers are none of ours.
const LONGEST_HEADER: u64 = 1 << 20;
/// What helps where a file is none of ours, or no longer.
const AGAIN: &str =
    "remove it, and write it again with `cipherpet hash --index` or `cipherpet search --index`";
/// Numbers that are turned into bytes, or back, at a time.
const CHUNK: usize = 1 << 16;

/// What a file says of itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Header {
    /// Version of the tool that wrote it.
    pub version: String,
    /// Which index.
    pub kind: Kind,
    /// Numbers of a vector, or the bound of the ids.
    pub width: usize,
    /// Number of items.
    pub count: usize,
    /// What the kind needs to know besides.
    pub parameters: serde_json::Value,
    /// The arrays, in their order.
    #[serde(default)]
    arrays: Vec<Array>,
}

/// One array of the file.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Array {
    name: String,
    element: Element,
    len: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Element {
    F32,
    U32,
    U64,
    U8,
}

impl Element {
    fn size(self) -> usize {
        match self {
            Self::F32 | Self::U32 => 4,
            Self::U64 => 8,
            Self::U8 => 1,
        }
    }
}

/// Numbers to be written.
#[derive(Debug, Clone, Copy)]
pub enum Section<'a> {
    /// 32-bit floats.
    F32(&'a [f32]),
    /// Ids.
    U32(&'a [u32]),
    /// Bits of codes.
    U64(&'a [u64]),
    /// What another crate wrote.
    U8(&'a [u8]),
}

impl Header {
    /// Of an index as it is now.
    ///
    /// # Errors
    /// [`Error::Unexpected`].
    pub fn new(index: &impl Index, parameters: &impl Serialize) -> Result<Self> {
        let parameters = serde_json::to_value(parameters)
            .map_err(|error| Error::Unexpected(format!("parameters of an index: {error}")))?;
        Ok(Self {
            version: VERSION.to_owned(),
            kind: index.kind(),
            width: index.width(),
            count: index.len(),
            parameters,
            arrays: Vec::new(),
        })
    }
}

/// Writes an index to `path`.
///
/// # Errors
/// [`Error::Io`].
pub fn write(path: &Path, mut header: Header, sections: &[(&str, Section)]) -> Result<()> {
    let array = |&(name, section): &(&str, Section)| {
        let (element, len) = match section {
            Section::F32(values) => (Element::F32, values.len()),
            Section::U32(values) => (Element::U32, values.len()),
            Section::U64(values) => (Element::U64, values.len()),
            Section::U8(values) => (Element::U8, values.len()),
        };
        let name = name.to_owned();
        Array { name, element, len }
    };
    header.arrays = sections.iter().map(array).collect();
    let text = serde_json::to_string(&header)
        .map_err(|error| Error::Unexpected(format!("header of an index: {error}")))?;
    atomic::write_with(path, |out| {
        out.write_all(MAGIC)?;
        out.write_all(&(text.len() as u64).to_le_bytes())?;
        out.write_all(text.as_bytes())?;
        for &(_, section) in sections {
            match section {
                Section::F32(values) => write_array(out, values, f32::to_le_bytes)?,
                Section::U32(values) => write_array(out, values, u32::to_le_bytes)?,
                Section::U64(values) => write_array(out, values, u64::to_le_bytes)?,
                Section::U8(values) => out.write_all(values)?,
            }
        }
        Ok(())
    })
}

fn write_array<T: Copy, const N: usize>(
    out: &mut dyn Write,
    values: &[T],
    bytes: impl Fn(T) -> [u8; N],
) -> io::Result<()> {
    for chunk in values.chunks(CHUNK) {
        let chunk: Vec<u8> = chunk.iter().flat_map(|&value| bytes(value)).collect();
        out.write_all(&chunk)?;
    }
    Ok(())
}

/// A file under way of being read: its arrays are taken in their order.
#[derive(Debug)]
pub struct Stored {
    /// What it says of itself.
    pub header: Header,
    path: PathBuf,
    file: BufReader<File>,
    n_taken: usize,
}

/// Reads the header of an index, and makes sure that all arrays are there.
///
/// # Errors
/// [`Error::Input`] for a file that is no index, is cut short, or comes from another version of the tool; [`Error::Io`].
pub fn read(path: &Path) -> Result<Stored> {
    let fail = |error| Error::io("read", path)(error);
    let file = File::open(path).map_err(fail)?;
    let n_bytes = file.metadata().map_err(fail)?.len();
    let mut file = BufReader::with_capacity(1 << 18, file);
    let expected = |expected: &str, found: String| Error::input(Place::file(path), expected, found);
    let mut start = [0; 24];
    if n_bytes < 24 {
        let found = format!("{n_bytes} bytes");
        return Err(expected("an index of cipherpet", found).with_hint(AGAIN));
    }
    file.read_exact(&mut start).map_err(fail)?;
    let (magic, length) = start.split_at(MAGIC.len());
    if magic != MAGIC {
        return Err(
            expected("an index of cipherpet", "another kind of file".to_owned()).with_hint(AGAIN),
        );
    }
    let length = u64::from_le_bytes(length.try_into().unwrap_or_default());
    if length > LONGEST_HEADER || length > n_bytes - 24 {
        let found = format!("one of {length} bytes in a file of {n_bytes}");
        return Err(expected("a header", found).with_hint(AGAIN));
    }
    let mut text = vec![0; length as usize];
    file.read_exact(&mut text).map_err(fail)?;
    let header = header_of(path, &text).map_err(|error| error.with_hint(AGAIN))?;
    let sizes = header.arrays.iter();
    let mut sizes = sizes.map(|array| array.len.checked_mul(array.element.size()));
    let total = sizes.try_fold(24 + length as usize, |sum, size| sum.checked_add(size?));
    if total.map(|total| total as u64) != Some(n_bytes) {
        let total = total.map_or("more than there can be".to_owned(), |n| n.to_string());
        let found = format!("{n_bytes}: the file is cut short or damaged");
        return Err(expected(&format!("{total} bytes"), found).with_hint(AGAIN));
    }
    Ok(Stored {
        header,
        path: path.to_owned(),
        file,
        n_taken: 0,
    })
}

/// The version is looked at before all else: another one may mean other things by the same words.
fn header_of(path: &Path, text: &[u8]) -> Result<Header> {
    let no_header = |error| Error::input(Place::file(path), "the header of an index", error);
    let value: serde_json::Value = serde_json::from_slice(text).map_err(no_header)?;
    let version = value["version"].as_str().unwrap_or_default();
    if version != VERSION {
        return Err(other_version(path, &format!("one of `{version}`")));
    }
    let header: Header = serde_json::from_value(value).map_err(no_header)?;
    if header.width == 0 {
        let place = Place::file(path).field("width");
        return Err(Error::input(place, "1 or more", 0));
    }
    Ok(header)
}

fn other_version(path: &Path, found: &str) -> Error {
    let place = Place::file(path).field("version");
    let expected = format!("an index of cipherpet {VERSION}");
    Error::input(place, expected, found)
}

impl Stored {
    /// What the kind wrote besides the arrays.
    ///
    /// # Errors
    /// [`Error::Input`].
    pub fn parameters<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_value(self.header.parameters.clone()).map_err(|error| self.broken(error))
    }

    /// The next array, of `len` floats.
    ///
    /// # Errors
    /// [`Error::Input`] where another one follows; [`Error::Io`].
    pub fn f32s(&mut self, name: &str, len: usize) -> Result<Vec<f32>> {
        self.next(name, Element::F32, Some(len), f32::from_le_bytes)
    }

    /// The next array, of ids; of any length where `len` is none.
    ///
    /// # Errors
    /// As [`Stored::f32s`].
    pub fn u32s(&mut self, name: &str, len: Option<usize>) -> Result<Vec<u32>> {
        self.next(name, Element::U32, len, u32::from_le_bytes)
    }

    /// The next array, of 64-bit words.
    ///
    /// # Errors
    /// As [`Stored::f32s`].
    pub fn u64s(&mut self, name: &str, len: usize) -> Result<Vec<u64>> {
        self.next(name, Element::U64, Some(len), u64::from_le_bytes)
    }

    /// The next array, of bytes.
    ///
    /// # Errors
    /// As [`Stored::f32s`].
    pub fn bytes(&mut self, name: &str) -> Result<Vec<u8>> {
        self.next(name, Element::U8, None, |[byte]| byte)
    }

    fn next<T, const N: usize>(
        &mut self,
        name: &str,
        element: Element,
        len: Option<usize>,
        number: impl Fn([u8; N]) -> T,
    ) -> Result<Vec<T>> {
        let array = self.header.arrays.get(self.n_taken).cloned();
        let fits = |array: &Array| {
            array.name == name && array.element == element && len.is_none_or(|len| len == array.len)
        };
        let Some(array) = array.filter(fits) else {
            let found = format!("no array `{name}` of the length that the header says");
            return Err(self.broken(found));
        };
        self.n_taken += 1;
        let mut numbers = Vec::with_capacity(array.len);
        let mut bytes = vec![0; CHUNK * N];
        let mut left = array.len;
        while left > 0 {
            let n = left.min(CHUNK);
            let bytes = &mut bytes[..n * N];
            let read = self.file.read_exact(bytes);
            read.map_err(Error::io("read", &self.path))?;
            let (chunks, _) = bytes.as_chunks::<N>();
            numbers.extend(chunks.iter().map(|chunk| number(*chunk)));
            left -= n;
        }
        Ok(numbers)
    }

    /// An error: the file lacks what this version writes, though it calls itself by the same number.
    pub fn of_another_version(&self) -> Error {
        other_version(&self.path, "one of another version").with_hint(AGAIN)
    }

    /// An error: the file is one of ours, but what it holds does not fit together.
    pub fn broken(&self, found: impl ToString) -> Error {
        Error::input(Place::file(&self.path), "an undamaged index", found)
            .with_hint("build the index again")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::{Exact, Similarity, Vectors, open};

    fn saved() -> (tempfile::TempDir, PathBuf, Vec<u8>) {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let path = folder.path().join("index");
        let mut index = Exact::new(Similarity::Dot, 3);
        let vectors = Vectors::new(&[1.0; 12], 3).expect("whole rows");
        index.add(vectors.into()).expect("finite numbers");
        index.save(&path).expect("room");
        let bytes = std::fs::read(&path).expect("the file");
        (folder, path, bytes)
    }

    fn refusal(path: &Path, bytes: &[u8]) -> String {
        std::fs::write(path, bytes).expect("room");
        let error = open(path).expect_err("refused");
        assert!(error.hint().is_some(), "{error}");
        error
            .to_string()
            .replace(&path.display().to_string(), "INDEX")
    }

    #[test]
    fn an_index_of_another_version_is_refused_by_name() {
        let (_folder, path, bytes) = saved();
        let at = bytes
            .windows(VERSION.len())
            .position(|part| part == VERSION.as_bytes());
        let mut other = bytes.clone();
        other[at.expect("the version")] = b'9';
        let shown = refusal(&path, &other);
        let begin = "INDEX:version: expected an index of cipherpet ";
        assert!(shown.starts_with(begin), "{shown}");
        assert!(
            shown.ends_with(&format!("found one of `9{}`", &VERSION[1..])),
            "{shown}"
        );
    }

    #[test]
    fn a_file_that_is_cut_anywhere_or_longer_is_refused() {
        let (_folder, path, bytes) = saved();
        for n in 0..bytes.len() {
            refusal(&path, &bytes[..n]);
        }
        let n = bytes.len();
        let shown = refusal(&path, &bytes[..n - 1]);
        let expected = format!(
            "INDEX: expected {n} bytes, found {}: the file is cut short or damaged",
            n - 1
        );
        assert_eq!(shown, expected);
        refusal(&path, &[&bytes[..], &[0]].concat());
    }

    #[test]
    fn other_files_and_senseless_headers_are_refused() {
        let (_folder, path, bytes) = saved();
        let shown = refusal(
            &path,
            b"text\tlabel\n a table of texts, not an index at all\n",
        );
        assert_eq!(
            shown,
            "INDEX: expected an index of cipherpet, found another kind of file"
        );
        let text = String::from_utf8_lossy(&bytes[24..]).into_owned();
        let header = text.split("]}").next().expect("a header").to_owned() + "]}";
        let numbers = &bytes[24 + header.len()..];
        let with = |from: &str, to: &str| {
            assert!(header.contains(from), "{header}");
            let header = header.replacen(from, to, 1);
            let length = (header.len() as u64).to_le_bytes();
            [MAGIC, &length[..], header.as_bytes(), numbers].concat()
        };
        for (from, to, said) in [
            ("\"width\":3", "\"width\":0", "expected 1 or more, found 0"),
            ("\"width\":3", "\"width\":4", "no array `vectors`"),
            ("\"count\":4", "\"count\":40000000000", "no array `vectors`"),
            (
                "\"len\":12",
                "\"len\":18446744073709551615",
                "more than there can be",
            ),
            ("\"exact\"", "\"exhaustive\"", "the header of an index"),
            ("\"dot\"", "\"dots\"", "an undamaged index"),
            ("\"arrays\"", "\"rays\"", "bytes, found"),
        ] {
            let shown = refusal(&path, &with(from, to));
            assert!(shown.contains(said), "{shown}");
        }
        let mut endless = bytes.clone();
        endless[16..24].copy_from_slice(&u64::MAX.to_le_bytes());
        assert!(refusal(&path, &endless).contains("expected a header"));
        // Numbers that are none.
        let mut text = with("", "");
        let n = text.len();
        text[n - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
        assert!(refusal(&path, &text).contains("number 2 of vector 3"));
    }
}
