//! Matrices as NumPy writes them (`.npy`): vectors in, vectors and codes out.
//!
//! In: a file, or numbers. Out: rows of f32, or the file, whole or not at all. Reads no `.npz` and nothing of other than two
//! dimensions.

use std::fs::File;
use std::io::{BufReader, Seek};
use std::path::Path;

use ndarray::{Array2, ArrayView2};
use ndarray_npy::npy::header::{Header, ParseHeaderError};
use ndarray_npy::{ReadNpyError, ReadNpyExt, WritableElement, WriteNpyExt};

use crate::atomic;
use crate::error::{Error, Place, Result};

/// Reads a matrix of f32, or of f64, which is rounded: (rows × columns), row-major, and the number of columns.
///
/// # Errors
/// [`Error::Input`] for a file that holds no such matrix, fewer numbers than its header says, no column, or a number that is not finite; [`Error::Io`].
pub fn read_vectors(path: &Path) -> Result<(Vec<f32>, usize)> {
    let file = File::open(path).map_err(Error::io("read", path))?;
    let mut file = BufReader::with_capacity(1 << 18, file);
    require_numbers(path, &mut file)?;
    let matrix = match Array2::<f32>::read_npy(&mut file) {
        Err(ReadNpyError::WrongDescriptor(_)) => {
            file.rewind().map_err(Error::io("read", path))?;
            Array2::<f64>::read_npy(&mut file).map(|matrix| matrix.mapv(|x| x as f32))
        }
        matrix => matrix,
    };
    let matrix = matrix.map_err(|error| match error {
        ReadNpyError::Io(source) if source.kind() != std::io::ErrorKind::UnexpectedEof => {
            Error::io("read", path)(source)
        }
        other => expected_vectors(path, in_words(&other)),
    })?;
    let (n_rows, width) = matrix.dim();
    if width == 0 {
        return Err(expected_vectors(path, format!("{n_rows} x 0")));
    }
    let values: Vec<f32> = matrix.iter().copied().collect(); // a file may hold columns first
    if let Some(at) = values.iter().position(|value| !value.is_finite()) {
        let place = Place::file(path).field(format!("row {}, column {}", at / width, at % width));
        let error = Error::input(place, "a finite number", values[at]);
        return Err(error.with_hint("rows and columns count from 0"));
    }
    Ok((values, width))
}

/// Refuses a header that says more numbers than there are bytes for: as much memory is taken as it says.
fn require_numbers(path: &Path, file: &mut BufReader<File>) -> Result<()> {
    let fail = |error| Error::io("read", path)(error);
    let metadata = file.get_ref().metadata().map_err(fail)?;
    if !metadata.is_file() {
        return Ok(()); // a pipe says no length and is read once
    }
    let header = Header::from_reader(file);
    let begin = file.stream_position().map_err(fail)?;
    file.rewind().map_err(fail)?;
    let Ok(header) = header else {
        return Ok(()); // who reads the matrix says what is wrong
    };
    let bytes = match header.type_descriptor.as_string().map(String::as_str) {
        Some("<f8" | ">f8") => 8_u64,
        Some("<f4" | ">f4") => 4,
        _ => 1, // refused by who reads it
    };
    let there = metadata.len().saturating_sub(begin);
    let mut lengths = header.shape.iter().map(|&length| length as u64);
    let needed = lengths.try_fold(bytes, u64::checked_mul);
    if needed.is_some_and(|needed| needed <= there) {
        return Ok(());
    }
    let shape: Vec<String> = header.shape.iter().map(usize::to_string).collect();
    let expected = format!("no more numbers than fit into the {there} bytes behind the header");
    let found = format!("{} of {bytes} bytes each", shape.join(" x "));
    let place = Place::file(path).field("shape");
    Err(Error::input(place, expected, found)
        .with_hint("the file is cut off or damaged: copy it again, or write it again"))
}

/// What a file holds that is no matrix of floats.
fn in_words(error: &ReadNpyError) -> String {
    match error {
        ReadNpyError::WrongNdim(_, 0) => "a single number".to_owned(),
        ReadNpyError::WrongNdim(_, 1) => "numbers in one dimension".to_owned(),
        ReadNpyError::WrongNdim(_, n) => format!("numbers in {n} dimensions"),
        ReadNpyError::WrongDescriptor(descriptor) => match descriptor.as_string() {
            Some(descriptor) => type_name(descriptor),
            None => "rows of several types".to_owned(),
        },
        ReadNpyError::Io(_) => "a file that ends too soon".to_owned(),
        ReadNpyError::MissingData => "fewer numbers than its header says".to_owned(),
        ReadNpyError::ExtraBytes(n) => format!("{n} bytes behind its numbers"),
        ReadNpyError::LengthOverflow => "more numbers than there can be".to_owned(),
        ReadNpyError::ParseHeader(ParseHeaderError::MagicString) => {
            "another kind of file".to_owned()
        }
        ReadNpyError::ParseHeader(error) => format!("a damaged header ({error})"),
        ReadNpyError::ParseData(error) => format!("damaged numbers ({error})"),
    }
}

/// `<f2` as NumPy says it: float16.
fn type_name(descriptor: &str) -> String {
    let letter = descriptor.trim_start_matches(['<', '>', '|', '=']);
    let (kind, width) = letter.split_at(letter.chars().next().map_or(0, char::len_utf8));
    let kind = match kind {
        "f" => "float",
        "i" => "int",
        "u" => "uint",
        "c" => "complex",
        "b" => return "booleans".to_owned(),
        "U" | "S" | "a" => return "text".to_owned(),
        "O" => return "objects of Python".to_owned(),
        _ => return format!("type `{descriptor}`"),
    };
    match width.parse::<u64>() {
        Ok(bytes) => format!("{kind}{}", bytes.saturating_mul(8)),
        Err(_) => format!("type `{descriptor}`"),
    }
}

fn expected_vectors(path: &Path, found: impl ToString) -> Error {
    let place = Place::file(path);
    let expected = "a .npy file of a matrix (vectors x numbers) of float32 or float64";
    Error::input(place, expected, found.to_string())
        .with_hint("numpy.save(\"vectors.npy\", vectors.astype(\"float32\")) writes one")
}

/// Writes `values`, (rows × `width`), row-major.
///
/// # Errors
/// [`Error::Io`].
///
/// # Panics
/// Where they make no whole rows.
pub fn write<T: WritableElement>(path: &Path, values: &[T], width: usize) -> Result<()> {
    let shape = (values.len().checked_div(width).unwrap_or(0), width);
    let matrix = ArrayView2::from_shape(shape, values).expect("whole rows");
    atomic::write_with(path, |out| {
        matrix.write_npy(out).map_err(std::io::Error::other)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back_in_either_order_and_precision() {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let path = folder.path().join("a.npy");
        let values = [1.0_f32, 2.0, 3.0, -4.5, 5.0, 6.0];
        write(&path, &values, 3).expect("room");
        assert_eq!(read_vectors(&path).expect("vectors"), (values.to_vec(), 3));
        write(&path, &values.map(f64::from), 2).expect("room");
        assert_eq!(read_vectors(&path).expect("vectors"), (values.to_vec(), 2));
        let transposed = Array2::from_shape_vec((2, 3), values.to_vec()).expect("a matrix");
        let transposed = transposed.t(); // (3 x 2), columns first in memory and in the file
        let file = File::create(&path).expect("room");
        transposed.write_npy(file).expect("room");
        let expected = vec![1.0, -4.5, 2.0, 5.0, 3.0, 6.0];
        assert_eq!(read_vectors(&path).expect("vectors"), (expected, 2));
    }

    #[test]
    fn other_files_are_refused_with_a_way_out() {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let path = folder.path().join("a.npy");
        let refused = || {
            let error = read_vectors(&path).expect_err("refused");
            assert!(error.hint().is_some(), "{error}");
            error.to_string()
        };
        std::fs::write(&path, "1 2 3\n").expect("room");
        let expected = "expected a .npy file of a matrix (vectors x numbers) of float32 or float64";
        let found = |found: &str| {
            let shown = refused();
            let end = format!("{expected}, found {found}");
            assert!(shown.ends_with(&end), "{shown}");
        };
        found("another kind of file");
        write(&path, &[1_i32, 2], 2).expect("room");
        found("int32");
        write(&path, &[true, false], 2).expect("room");
        found("booleans");
        let put = |descriptor: &str, shape: &str, n_bytes: usize| {
            let header =
                format!("{{'descr': {descriptor}, 'fortran_order': False, 'shape': {shape}, }}\n");
            let length = (header.len() as u16).to_le_bytes();
            let bytes = [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes()].concat();
            std::fs::write(&path, [bytes, vec![0; n_bytes]].concat()).expect("room");
        };
        for (descriptor, shape, n_bytes, said) in [
            ("'<f4'", "(4,)", 16, "numbers in one dimension"),
            ("'<f8'", "(1, 2, 1)", 16, "numbers in 3 dimensions"),
            ("'<f4'", "()", 4, "a single number"),
            ("'<f2'", "(2, 4)", 16, "float16"),
            ("'<c8'", "(1, 2)", 16, "complex64"),
            ("'<U2'", "(1, 2)", 16, "text"),
            ("[('x', '<f4')]", "(1, 2)", 8, "rows of several types"),
            ("'<f4'", "(1, 2)", 16, "8 bytes behind its numbers"),
        ] {
            put(descriptor, shape, n_bytes);
            found(said);
        }
        write(&path, &[1.0_f32, f32::INFINITY], 2).expect("room");
        let shown = refused();
        assert!(
            shown.ends_with("row 0, column 1: expected a finite number, found inf"),
            "{shown}"
        );
        write(&path, &[1.0_f32; 50], 5).expect("room");
        let bytes = std::fs::read(&path).expect("the file");
        std::fs::write(&path, &bytes[..bytes.len() - 1]).expect("room");
        refused();
        write::<f32>(&path, &[], 0).expect("room");
        assert!(refused().contains("found 0 x 0"));
    }

    #[test]
    fn a_header_that_says_more_than_the_file_holds_takes_no_memory() {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let path = folder.path().join("a.npy");
        for (descr, shape, found) in [
            ("<f4", "10000000000, 4", "10000000000 x 4 of 4 bytes each"),
            ("<f8", "26, 1", "26 x 1 of 8 bytes each"),
            ("<i8", "10000000000, 4", "10000000000 x 4 of 1 bytes each"),
            (
                "<f4",
                "5000000000, 5000000000",
                "x 5000000000 of 4 bytes each",
            ),
        ] {
            let header =
                format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({shape}), }}\n");
            let length = (header.len() as u16).to_le_bytes();
            let start = &b"\x93NUMPY\x01\x00"[..];
            let bytes = [start, &length, header.as_bytes(), &[0_u8; 200]].concat();
            std::fs::write(&path, bytes).expect("room");
            let error = read_vectors(&path).expect_err("refused");
            assert!(error.hint().is_some(), "{error}");
            let shown = error.to_string();
            let expected =
                ":shape: expected no more numbers than fit into the 200 bytes behind the header";
            assert!(shown.contains(expected), "{shown}");
            assert!(shown.ends_with(found), "{shown}");
        }
    }
}
