//! Weights as PyTorch stores them: `pytorch_model.bin` of 1.6 or later, a zip archive of a pickle and of the numbers.
//!
//! In: the bytes of a file. Out: its tensors by name, each in rows. The pickle says which part of which entry of the archive a tensor
//! is; [`pickle`] reads it without running anything it names. Numbers of any type come out as they are stored; types that no BERT
//! is stored in are left out with their tensors, as the caller asks for those it needs. Writes nothing.

mod pickle;

use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use std::rc::Rc;

use zip::ZipArchive;

use super::weight_file::StoredTensor;
use pickle::{StorageKey, Value};

/// The tensors of a file, by name.
///
/// # Errors
/// What is wrong with it, in words: no such archive, a pickle that holds or calls anything but tensors, numbers that are not there.
pub fn read(bytes: &[u8]) -> Result<Vec<StoredTensor>, String> {
    let mut archive =
        ZipArchive::new(Cursor::new(bytes)).map_err(|error| format!("no zip archive ({error})"))?;
    let names = archive.file_names().filter_map(|name| name.ok());
    let mut names = names.filter(|name| *name == "data.pkl" || name.ends_with("/data.pkl"));
    let pickle = names.next().map(|name| name.into_owned());
    drop(names);
    let pickle = pickle.ok_or("an archive without data.pkl")?;
    let folder = pickle.trim_end_matches("data.pkl").to_owned();
    let order = entry(&mut archive, &format!("{folder}byteorder"), bytes.len());
    if order.is_ok_and(|order| order == b"big") {
        return Err("numbers in big-endian order".to_owned());
    }
    let root = pickle::read(&entry(&mut archive, &pickle, bytes.len())?)?;
    let Value::Dict(entries) = root else {
        return Err("a pickle that is no table of tensors".to_owned());
    };
    let mut storages: BTreeMap<Rc<str>, Vec<u8>> = BTreeMap::new();
    let mut tensors = Vec::with_capacity(entries.len());
    for (name, value) in entries {
        let (Value::Text(name), Value::Tensor(tensor)) = (name, value) else {
            continue; // `_metadata` and the like
        };
        let StorageKey { dtype, key } = &tensor.storage;
        let Some(dtype) = *dtype else { continue };
        if !storages.contains_key(key) {
            let storage = entry(&mut archive, &format!("{folder}data/{key}"), bytes.len())?;
            storages.insert(key.clone(), storage);
        }
        let width = dtype.bitsize() / 8;
        let bytes = tensor
            .gather(&storages[key], width)
            .ok_or_else(|| format!("numbers of `{name}` that are not in the file"))?;
        tensors.push(StoredTensor {
            name: name.to_string(),
            dtype,
            shape: tensor.shape,
            bytes,
        });
    }
    Ok(tensors)
}

/// An entry of the archive. Stored entries are no longer than the archive; packed ones that say they are ten times as long are
/// refused before they fill the memory.
fn entry(
    archive: &mut ZipArchive<Cursor<&[u8]>>,
    name: &str,
    archive_length: usize,
) -> Result<Vec<u8>, String> {
    let mut file = archive
        .by_name(name)
        .map_err(|error| format!("`{name}` in the archive: {error}"))?;
    let most = 10 * archive_length as u64;
    if file.size() > most {
        return Err(format!("`{name}` of {} bytes", file.size()));
    }
    let mut content = Vec::new();
    let read = file.by_ref().take(most).read_to_end(&mut content);
    read.map_err(|error| format!("`{name}` in the archive: {error}"))?;
    Ok(content)
}

#[cfg(test)]
mod tests;
