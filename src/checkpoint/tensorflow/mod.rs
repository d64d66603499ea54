//! Weights as Google stored its BERTs: a TensorFlow checkpoint, `bert_model.ckpt.index` beside `bert_model.ckpt.data-…-of-…`.
//!
//! In: the index file; the files of numbers beside it. Out: those of its tensors that [`names`] knows, under our names, in rows,
//! kernels turned to `(out, in)`. Every block of the index and every tensor is checked by its sum. What a training leaves beside the
//! weights (moments of the optimiser, the step) is not read. Knows Google's names of a BERT, not those of an ALBERT. Writes nothing.

mod table;

use std::borrow::Cow;
use std::collections::{BTreeMap, btree_map};
use std::ops::Range;
use std::path::{Path, PathBuf};

use prost::Message;
use safetensors::Dtype;

use super::names;
use super::weight_file::{StoredTensor, most_bytes};
use crate::data::source;
use crate::error::{Error, Place, Result};
use table::masked_sum;

/// What every index file ends in.
pub const INDEX: &str = ".index";

/// The first entry of an index, whose key is empty.
#[derive(Clone, PartialEq, Message)]
struct Header {
    /// Files with numbers.
    #[prost(int32, tag = "1")]
    n_shards: i32,
    /// 0 is little, 1 is big.
    #[prost(int32, tag = "2")]
    endianness: i32,
}

/// What the index says of a tensor.
#[derive(Clone, PartialEq, Message)]
struct Entry {
    #[prost(int32, tag = "1")]
    data_type: i32,
    #[prost(message, optional, tag = "2")]
    shape: Option<Shape>,
    #[prost(int32, tag = "3")]
    shard: i32,
    /// Of its first byte in the shard.
    #[prost(int64, tag = "4")]
    offset: i64,
    /// Bytes.
    #[prost(int64, tag = "5")]
    size: i64,
    /// As [`masked_sum`].
    #[prost(fixed32, tag = "6")]
    sum: u32,
    /// Parts, where a tensor is cut over several devices.
    #[prost(message, repeated, tag = "7")]
    slices: Vec<Slice>,
}

#[derive(Clone, PartialEq, Message)]
struct Shape {
    #[prost(message, repeated, tag = "2")]
    axes: Vec<Axis>,
}

#[derive(Clone, PartialEq, Message)]
struct Axis {
    #[prost(int64, tag = "1")]
    length: i64,
}

/// Its extent, which nobody asks for.
#[derive(Clone, PartialEq, Message)]
struct Slice {}

/// The tensors of a checkpoint that a BERT may have.
///
/// # Errors
/// [`Error::Input`] that names the file, and the tensor where it is one: an index that is cut or damaged, a file of numbers that is
/// missing or cut, numbers with another sum, a type or order of bytes that is not read; [`Error::Io`].
pub fn read(index: &Path) -> Result<Vec<StoredTensor>> {
    let bytes = source::read(index)?;
    let entries = table::read(&bytes).map_err(|found| {
        Error::input(
            Place::file(index),
            "the index of a TensorFlow checkpoint",
            found,
        )
        .with_hint("the file is cut off or damaged: copy or download it again")
    })?;
    let mut shards = Shards::beside(index, &entries)?;
    let (mut tensors, mut n_bytes) = (Vec::new(), 0_usize);
    for (key, value) in &entries {
        let Ok(stored) = std::str::from_utf8(key) else {
            continue;
        };
        if let Some((name, is_transposed)) = names::of_google(stored) {
            let place = Place::file(index).field(stored);
            let entry = sound_entry(value, &place)?;
            n_bytes = n_bytes.saturating_add(entry.bytes.len());
            let bytes = shards.numbers(&entry, stored, n_bytes)?;
            tensors.push(entry.tensor(name, bytes, is_transposed));
        }
    }
    Ok(tensors)
}

/// An entry of the index whose numbers can be read.
struct SoundEntry {
    dtype: Dtype,
    shape: Vec<usize>,
    shard: i32,
    bytes: Range<usize>,
    sum: u32,
}

fn sound_entry(value: &[u8], place: &Place) -> Result<SoundEntry> {
    let bad =
        |found: &str| Error::input(place.clone(), "a whole tensor", found).with_hint(OTHER_INDEX);
    let entry = Entry::decode(value).map_err(|_| bad("bytes that say nothing"))?;
    if !entry.slices.is_empty() {
        return Err(
            Error::input(place.clone(), "a whole tensor", "one in slices")
                .with_hint("save the checkpoint again from one device"),
        );
    }
    let dtype = dtype(entry.data_type).ok_or_else(|| {
        let found = format!("type {} of TensorFlow", entry.data_type);
        Error::input(place.clone(), "float32, float16 or bfloat16", found)
            .with_hint("save the checkpoint again as float32")
    })?;
    let axes = entry.shape.iter().flat_map(|shape| &shape.axes);
    let shape: Option<Vec<usize>> = axes.map(|axis| axis.length.try_into().ok()).collect();
    let shape = shape.ok_or_else(|| bad("an axis shorter than nothing"))?;
    let width = dtype.bitsize() / 8;
    let wanted = shape
        .iter()
        .try_fold(width, |n, &length| n.checked_mul(length));
    let size = usize::try_from(entry.size).ok();
    let size = size.filter(|_| size == wanted);
    let size = size.ok_or_else(|| bad("another number of bytes than its shape has"))?;
    let range = usize::try_from(entry.offset)
        .ok()
        .and_then(|start| Some(start..start.checked_add(size)?));
    Ok(SoundEntry {
        dtype,
        shape,
        shard: entry.shard,
        bytes: range.ok_or_else(|| bad("numbers at no place"))?,
        sum: entry.sum,
    })
}

impl SoundEntry {
    fn tensor(self, name: String, bytes: &[u8], is_transposed: bool) -> StoredTensor {
        let width = self.dtype.bitsize() / 8;
        let (shape, bytes) = match (&self.shape[..], is_transposed) {
            (&[rows, columns], true) => (
                vec![columns, rows],
                transposed(bytes, (rows, columns), width),
            ),
            _ => (self.shape, bytes.to_vec()),
        };
        StoredTensor {
            name,
            dtype: self.dtype,
            shape,
            bytes,
        }
    }
}

const OTHER_INDEX: &str =
    "is the index that of these data files? Copy all files of the checkpoint again";

/// Types of TensorFlow that hold weights.
fn dtype(data_type: i32) -> Option<Dtype> {
    match data_type {
        1 => Some(Dtype::F32),
        14 => Some(Dtype::BF16),
        19 => Some(Dtype::F16),
        _ => None,
    }
}

/// A matrix turned, with `width` bytes a number.
fn transposed(bytes: &[u8], (rows, columns): (usize, usize), width: usize) -> Vec<u8> {
    let mut turned = Vec::with_capacity(bytes.len());
    for column in 0..columns {
        for row in 0..rows {
            let at = (row * columns + column) * width;
            turned.extend_from_slice(&bytes[at..at + width]);
        }
    }
    turned
}

/// The files of numbers, each read when a tensor lies in it.
struct Shards {
    /// Without `.index`.
    prefix: PathBuf,
    n: i32,
    read: BTreeMap<i32, Cow<'static, [u8]>>,
}

impl Shards {
    fn beside(index: &Path, entries: &[table::Entry]) -> Result<Self> {
        let header = entries.first().filter(|(key, _)| key.is_empty());
        let header = header.and_then(|(_, value)| Header::decode(value.as_slice()).ok());
        let place = Place::file(index);
        let Some(header) = header.filter(|header| header.n_shards > 0) else {
            let expected = "the number of data files as its first entry";
            return Err(Error::input(place, expected, "none").with_hint(OTHER_INDEX));
        };
        if header.endianness != 0 {
            let expected = "numbers in little-endian order";
            return Err(Error::input(place, expected, "others")
                .with_hint("save the checkpoint again on a usual machine"));
        }
        let name = index.to_string_lossy();
        Ok(Self {
            prefix: name.strip_suffix(INDEX).unwrap_or(&name).into(),
            n: header.n_shards,
            read: BTreeMap::new(),
        })
    }

    /// The bytes of the tensor `name`, with which `n_bytes` have been taken. Tensors lie beside each other: many at one place would
    /// fill the memory.
    fn numbers(&mut self, entry: &SoundEntry, name: &str, n_bytes: usize) -> Result<&[u8]> {
        let file = shard_path(&self.prefix, entry.shard, self.n);
        self.open(entry.shard, &file, name)?;
        let length = self.read.values().map(|shard| shard.len()).sum();
        if n_bytes > most_bytes(length) {
            let expected = format!("tensors of {} bytes at most", most_bytes(length));
            let found = format!("{n_bytes} bytes and more in data files of {length}");
            let index = format!("{}{INDEX}", self.prefix.display());
            return Err(Error::input(Place::file(index), expected, found).with_hint(OTHER_INDEX));
        }
        let shard = &self.read[&entry.shard];
        let bytes = shard.get(entry.bytes.clone()).ok_or_else(|| {
            let expected = format!("bytes {:?} of `{name}`", entry.bytes);
            let found = format!("{} bytes", shard.len());
            Error::input(Place::file(&file), expected, found)
                .with_hint("the file is cut off or damaged: copy or download it again")
        })?;
        let sum = masked_sum(bytes);
        if sum != entry.sum {
            let expected = format!("numbers of `{name}` with check sum {:08x}", entry.sum);
            let found = format!("{sum:08x}");
            return Err(Error::input(Place::file(&file), expected, found).with_hint(
                "the file is damaged or of another checkpoint: copy or download it again",
            ));
        }
        Ok(bytes)
    }

    /// Reads a shard where it has not been read; `name` is the tensor that lies in it.
    fn open(&mut self, number: i32, file: &Path, name: &str) -> Result<()> {
        let btree_map::Entry::Vacant(shard) = self.read.entry(number) else {
            return Ok(());
        };
        if !source::exists(file) {
            let expected = format!("the numbers of `{name}`");
            return Err(Error::input(Place::file(file), expected, "no such file")
                .with_hint("copy every data file of the checkpoint beside its index"));
        }
        shard.insert(source::read(file)?);
        Ok(())
    }
}

/// `PREFIX.data-00000-of-00001`
fn shard_path(prefix: &Path, number: i32, n: i32) -> PathBuf {
    format!("{}.data-{number:05}-of-{n:05}", prefix.display()).into()
}

/// The files of numbers that lie beside an index, by name.
pub fn data_files(index: &Path) -> Vec<PathBuf> {
    let name = index.to_string_lossy();
    let start = format!("{}.data-", name.strip_suffix(INDEX).unwrap_or(&name));
    let folder = index.parent().and_then(|folder| folder.read_dir().ok());
    let files = folder
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()));
    let mut files: Vec<PathBuf> = files
        .filter(|path| path.to_string_lossy().starts_with(&start))
        .collect();
    files.sort();
    files
}

#[cfg(test)]
mod tests;
