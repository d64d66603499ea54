//! Weights as PyTorch stores them: `pytorch_model.bin` of 1.6 or later, a zip archive of a pickle and of the numbers.
//!
//! In: the bytes of a file. Out: its tensors by name, each in rows. The pickle says which part of which entry of the archive a tensor
//! is; [`pickle`] reads it without running anything it names. Numbers of any type come out as they are stored; types that no BERT
//! is stored in are left out with their tensors, as the caller asks for those it needs. Writes nothing.

mod pickle;

use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use std::rc::Rc;

use safetensors::Dtype;
use zip::ZipArchive;

use super::weight_file::{StoredTensor, most_bytes};
use pickle::{Tensor, Value};

/// The tensors of a file, by name.
///
/// # Errors
/// What is wrong with it, in words: no such archive, a pickle that holds or calls anything but tensors, numbers that are not there,
/// or more of them than [`most_bytes`].
pub fn read(bytes: &[u8]) -> Result<Vec<StoredTensor>, String> {
    let mut archive =
        ZipArchive::new(Cursor::new(bytes)).map_err(|error| format!("no zip archive ({error})"))?;
    let names = archive.file_names().filter_map(|name| name.ok());
    let mut names = names.filter(|name| *name == "data.pkl" || name.ends_with("/data.pkl"));
    let pickle = names.next().map(|name| name.into_owned());
    drop(names);
    let pickle = pickle.ok_or("an archive without data.pkl")?;
    let folder = pickle.trim_end_matches("data.pkl").to_owned();
    let most = most_bytes(bytes.len());
    let order = entry(&mut archive, &format!("{folder}byteorder"), most);
    if order.is_ok_and(|order| order == b"big") {
        return Err("numbers in big-endian order".to_owned());
    }
    let root = pickle::read(&entry(&mut archive, &pickle, most)?)?;
    let tensors = tensors(root)?;
    let sizes = tensors.iter().map(|(name, tensor, dtype)| {
        let n_bytes = tensor.n_bytes(width(*dtype));
        n_bytes.saturating_add(name.len())
    });
    let n_bytes = sizes.fold(0, usize::saturating_add);
    if n_bytes > most {
        return Err(format!(
            "tensors of {n_bytes} bytes in a file of {}",
            bytes.len()
        ));
    }
    let mut storages = Storages {
        archive,
        folder,
        left: most,
        inflated: BTreeMap::new(),
    };
    let stored = tensors.into_iter().map(|(name, tensor, dtype)| {
        let storage = storages.get(&tensor.storage.key)?;
        let bytes = tensor.gather(storage, width(dtype));
        Ok::<_, String>(StoredTensor {
            bytes: bytes.ok_or_else(|| format!("numbers of `{name}` that are not in the file"))?,
            name: name.to_string(),
            dtype,
            shape: tensor.shape,
        })
    });
    stored.collect()
}

/// Of a number, in bytes.
fn width(dtype: Dtype) -> usize {
    dtype.bitsize() / 8
}

/// The tensors of a table by name, with the type of their numbers; without those of types that no BERT is stored in.
fn tensors(table: Value) -> Result<Vec<(Rc<str>, Tensor, Dtype)>, String> {
    let Value::Dict { pairs, .. } = table else {
        return Err("a pickle that is no table of tensors".to_owned());
    };
    let tensors = pairs.into_iter().filter_map(|pair| match pair {
        (Value::Text(name), Value::Tensor(tensor)) => {
            let dtype = tensor.storage.dtype?;
            Some((name, tensor, dtype))
        }
        _ => None, // `_metadata` and the like
    });
    Ok(tensors.collect())
}

/// The numbers of the archive, each entry inflated when a tensor lies in it.
struct Storages<'a> {
    archive: ZipArchive<Cursor<&'a [u8]>>,
    /// Of the entries.
    folder: String,
    /// Bytes that may still be inflated: entries may share what they inflate.
    left: usize,
    inflated: BTreeMap<Rc<str>, Vec<u8>>,
}

impl Storages<'_> {
    fn get(&mut self, key: &Rc<str>) -> Result<&[u8], String> {
        if !self.inflated.contains_key(key) {
            let name = format!("{}data/{key}", self.folder);
            let storage = entry(&mut self.archive, &name, self.left)?;
            self.left -= storage.len();
            self.inflated.insert(key.clone(), storage);
        }
        Ok(&self.inflated[key])
    }
}

/// An entry of the archive, of no more than `most` bytes: one that says it is longer is refused before it fills the memory.
fn entry(
    archive: &mut ZipArchive<Cursor<&[u8]>>,
    name: &str,
    most: usize,
) -> Result<Vec<u8>, String> {
    let mut file = archive
        .by_name(name)
        .map_err(|error| format!("`{name}` in the archive: {error}"))?;
    if file.size() > most as u64 {
        return Err(format!(
            "`{name}` of {} bytes where a file of this size has no more than {most} left",
            file.size()
        ));
    }
    let mut content = Vec::new();
    let read = file.by_ref().take(most as u64).read_to_end(&mut content);
    read.map_err(|error| format!("`{name}` in the archive: {error}"))?;
    Ok(content)
}

#[cfg(test)]
mod tests;
