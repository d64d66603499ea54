//! The table file in which TensorFlow keeps the index of a checkpoint: sorted keys with values, in blocks, as LevelDB stores them
//! (<https://github.com/google/leveldb/blob/main/doc/table_format.md>).
//!
//! In: bytes. Out: keys and values, in order. Blocks are checked by their sums and may be packed with Snappy. A damaged file is an
//! error, never a panic, and what it says of lengths is held against what is there before memory is taken. Does not know what the
//! values mean.

use std::borrow::Cow;

/// Two places of blocks, padding and the magic number.
const FOOTER: usize = 48;
const MAGIC: u64 = 0xdb47_7524_8b80_fb57;
/// Behind each block: how it is packed, and its sum.
const TRAILER: usize = 5;
/// No name of a tensor is longer.
const LONGEST_KEY: usize = 4096;
/// Snappy packs no better than this.
const MOST_PACKED: usize = 64;

/// A key and its value.
pub type Entry = (Vec<u8>, Vec<u8>);

/// All entries of a table, in the order of their keys.
///
/// # Errors
/// What is wrong with it, in words.
pub fn read(bytes: &[u8]) -> Result<Vec<Entry>, String> {
    let cut = || format!("{} bytes without the end of an index", bytes.len());
    let footer = bytes.len().checked_sub(FOOTER).ok_or_else(cut)?;
    let (body, mut footer) = bytes.split_at(footer);
    let magic = footer.last_chunk().map(|&bytes| u64::from_le_bytes(bytes));
    if magic != Some(MAGIC) {
        return Err(cut());
    }
    place(&mut footer).ok_or_else(cut)?; // of blocks about blocks; there are none
    let index = place(&mut footer).ok_or_else(cut)?;
    let mut entries = Vec::new();
    let mut end = 0;
    for (_, value) in block_entries(&block(body, index)?)? {
        let at = place(&mut value.as_slice()).ok_or("a block at no place")?;
        // Blocks follow each other: a file that names one of them again and again would fill the memory.
        if at.0 < end {
            return Err("blocks that overlap".to_owned());
        }
        end = at.0.saturating_add(at.1);
        entries.extend(block_entries(&block(body, at)?)?);
    }
    Ok(entries)
}

/// Where a block begins, and its length.
fn place(bytes: &mut &[u8]) -> Option<(usize, usize)> {
    let mut next = || usize::try_from(varint(bytes)?).ok();
    Some((next()?, next()?))
}

/// A number of seven bits a byte, the lowest first.
fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

/// The content of a block, unpacked.
fn block(body: &[u8], (start, length): (usize, usize)) -> Result<Cow<'_, [u8]>, String> {
    let with_trailer = length
        .checked_add(TRAILER)
        .and_then(|length| body.get(start..start.checked_add(length)?))
        .ok_or_else(|| format!("a block of {length} bytes at {start}, which is not in the file"))?;
    let (summed, sum) = with_trailer.split_at(length + 1);
    let sum = sum.first_chunk().map(|&bytes| u32::from_le_bytes(bytes));
    if sum != Some(masked_sum(summed)) {
        return Err(format!("a block at {start} whose check sum is another"));
    }
    let (content, packing) = summed.split_at(length);
    match packing {
        [0] => Ok(Cow::Borrowed(content)),
        [1] => {
            let bad = || format!("a block at {start} that Snappy cannot unpack");
            let unpacked = snap::raw::decompress_len(content).map_err(|_| bad())?;
            if unpacked > content.len().saturating_mul(MOST_PACKED) {
                return Err(bad());
            }
            let content = snap::raw::Decoder::new().decompress_vec(content);
            content.map(Cow::Owned).map_err(|_| bad())
        }
        other => Err(format!(
            "a block packed in the way {other:?}, which is not known"
        )),
    }
}

/// The entries of a block. A key is stored as what it shares with the one before, and the rest.
fn block_entries(content: &[u8]) -> Result<Vec<Entry>, String> {
    const BAD: &str = "a block that ends inside an entry";
    let (rest, n_restarts) = content.split_last_chunk().ok_or(BAD)?;
    let restarts = (u32::from_le_bytes(*n_restarts) as usize).saturating_mul(4);
    let mut rest = &rest[..rest.len().checked_sub(restarts).ok_or(BAD)?];
    let mut entries: Vec<Entry> = Vec::new();
    let mut key = Vec::new();
    while !rest.is_empty() {
        let mut length = || usize::try_from(varint(&mut rest)?).ok();
        let lengths = (|| Some((length()?, length()?, length()?)))();
        let (shared, own, n_value) = lengths.ok_or(BAD)?;
        let (own, after) = rest.split_at_checked(own).ok_or(BAD)?;
        let (value, after) = after.split_at_checked(n_value).ok_or(BAD)?;
        if shared > key.len() {
            return Err("a key that shares more than the one before has".to_owned());
        }
        key.truncate(shared);
        key.extend_from_slice(own);
        if key.len() > LONGEST_KEY {
            return Err(format!("a key of {} bytes", key.len()));
        }
        entries.push((key.clone(), value.to_vec()));
        rest = after;
    }
    Ok(entries)
}

/// CRC-32C, turned and shifted, so that the sum of bytes with sums inside stays a good one.
pub fn masked_sum(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes)
        .rotate_right(15)
        .wrapping_add(0xa282_ead8)
}
