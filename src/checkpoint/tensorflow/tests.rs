//! What TensorFlow itself has stored, then damaged in every way.

use std::fs;

use super::*;
use crate::checkpoint::read::read_model;
use crate::checkpoint::{Heads, Weights};
use crate::random::Key;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden");
const INDEX_FILE: &str = "bert_model.ckpt.index";
const SHARDS: [&str; 2] = [
    "bert_model.ckpt.data-00000-of-00002",
    "bert_model.ckpt.data-00001-of-00002",
];

/// What `tests/golden/tensorflow_checkpoint.py` has written, to be spoilt.
struct Folder(tempfile::TempDir);

impl Folder {
    fn golden() -> Self {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let golden = Path::new(GOLDEN).join("bert_tiny_tensorflow");
        for name in [INDEX_FILE, SHARDS[0], SHARDS[1], "bert_config.json"] {
            fs::copy(golden.join(name), folder.path().join(name)).expect("a golden file");
        }
        Self(folder)
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        fs::read(self.0.path().join(name)).expect("it was copied")
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.0.path().join(name), bytes).expect("room for a small file");
    }

    fn read(&self) -> Result<Vec<StoredTensor>> {
        read(&self.0.path().join(INDEX_FILE))
    }

    /// Message and hint of the error, with the folder's path left out.
    fn error(&self) -> (String, String) {
        let error = self.read().expect_err("the checkpoint is bad");
        let folder = format!("{}/", self.0.path().display());
        let hint = error.hint().unwrap_or_default().to_owned();
        (error.to_string().replace(&folder, ""), hint)
    }
}

fn put_varint(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// A block as TensorFlow writes one.
fn block_of(entries: &[table::Entry]) -> Vec<u8> {
    let (mut content, mut before) = (Vec::new(), &[][..]);
    for (key, value) in entries {
        let pairs = key.iter().zip(before);
        let shared = pairs.take_while(|(a, b)| a == b).count();
        for length in [shared, key.len() - shared, value.len()] {
            put_varint(&mut content, length as u64);
        }
        content.extend(&key[shared..]);
        content.extend(value);
        before = key;
    }
    content.extend([0, 0, 0, 0, 1, 0, 0, 0]); // one restart, at 0
    content
}

/// How the content of a block is stored, and the number for that.
type Pack = fn(Vec<u8>) -> (Vec<u8>, u8);

const PLAIN: Pack = |content| (content, 0);
const SNAPPY: Pack = |content| {
    let packed = snap::raw::Encoder::new().compress_vec(&content);
    (packed.expect("short"), 1)
};
/// Whatever it is, it calls itself packed.
const NO_SNAPPY: Pack = |content| (content, 1);

/// A table of blocks, with right sums whatever is in them.
fn file_of(blocks: &[Vec<u8>], pack: Pack) -> Vec<u8> {
    let mut file = Vec::new();
    let mut put = |content: Vec<u8>, pack: Pack| {
        let (mut content, packing) = pack(content);
        let mut place = Vec::new();
        put_varint(&mut place, file.len() as u64);
        put_varint(&mut place, content.len() as u64);
        content.push(packing);
        let sum = masked_sum(&content);
        file.extend(content);
        file.extend(sum.to_le_bytes());
        place
    };
    let places = blocks
        .iter()
        .map(|block| (b"~".to_vec(), put(block.clone(), pack)));
    let places: Vec<table::Entry> = places.collect();
    let mut footer = put(block_of(&[]), PLAIN);
    footer.extend(put(block_of(&places), PLAIN));
    footer.resize(40, 0);
    file.extend(footer);
    file.extend(0xdb47_7524_8b80_fb57_u64.to_le_bytes());
    file
}

/// A table as TensorFlow writes one, in blocks of three entries.
fn table_of(entries: &[table::Entry], pack: Pack) -> Vec<u8> {
    let blocks: Vec<_> = entries.chunks(3).map(block_of).collect();
    file_of(&blocks, pack)
}

#[test]
fn what_tensorflow_has_stored_are_the_weights_that_transformers_has() {
    let folder = Folder::golden();
    let (config, weights, heads) = read_model(folder.0.path()).expect("a sound checkpoint");
    assert_eq!(
        heads,
        Heads {
            pooler: true,
            nsp: true,
            ..Heads::MLM
        }
    );
    assert_eq!((config.hidden_size, config.vocab_size), (32, 61));
    let bytes = fs::read(Path::new(GOLDEN).join("bert_tiny.safetensors")).expect("a golden file");
    let golden = safetensors::SafeTensors::deserialize(&bytes).expect("a golden file");
    let golden: Weights = weights
        .keys()
        .map(|name| {
            let view = golden.tensor(name).expect("the same names");
            let numbers = view.data().as_chunks::<4>().0.iter();
            let numbers = numbers.map(|&b| f32::from_le_bytes(b)).collect();
            let array = ndarray::ArrayD::from_shape_vec(view.shape().to_vec(), numbers);
            (name.clone(), array.expect("its own shape"))
        })
        .collect();
    assert!(weights == golden);
    // Moments and the step are left where they are.
    assert_eq!(folder.read().expect("sound").len(), weights.len());
}

#[test]
fn an_index_of_another_name_is_found_and_two_are_refused() {
    let folder = Folder::golden();
    for name in [INDEX_FILE, SHARDS[0], SHARDS[1]] {
        let other = name.replace("bert_model.ckpt", "model.ckpt-7");
        folder.write(&other, &folder.bytes(name));
    }
    read_model(folder.0.path()).expect("Google's own name comes first");
    fs::rename(
        folder.0.path().join(INDEX_FILE),
        folder.0.path().join("b.index"),
    )
    .expect("a small file");
    let error = read_model(folder.0.path()).expect_err("two of them");
    let message = error.to_string();
    assert!(
        message.contains("expected the index of one TensorFlow checkpoint, found 2 of them"),
        "{message}"
    );
    fs::remove_file(folder.0.path().join("b.index")).expect("a small file");
    read_model(folder.0.path()).expect("the only one");
}

#[test]
fn an_index_that_is_cut_anywhere_is_refused() {
    let folder = Folder::golden();
    let whole = folder.bytes(INDEX_FILE);
    for length in 0..whole.len() {
        folder.write(INDEX_FILE, &whole[..length]);
        let (message, hint) = folder.error();
        assert_eq!(
            message,
            format!(
                "bert_model.ckpt.index: expected the index of a TensorFlow checkpoint, found {length} bytes without the end of an index"
            )
        );
        assert_eq!(
            hint,
            "the file is cut off or damaged: copy or download it again"
        );
    }
}

/// One byte of an index: refused, or no part of what is read.
#[test]
fn a_changed_byte_of_an_index_changes_no_number() {
    let folder = Folder::golden();
    let whole = folder.bytes(INDEX_FILE);
    let sound = folder.read().expect("sound");
    for at in 0..whole.len() {
        let mut spoilt = whole.clone();
        spoilt[at] ^= 0x10;
        folder.write(INDEX_FILE, &spoilt);
        if let Ok(tensors) = folder.read() {
            assert!(tensors == sound, "byte {at}");
        }
    }
}

#[test]
fn numbers_that_are_missing_cut_or_others_are_refused_with_their_tensor() {
    let folder = Folder::golden();
    let shard = folder.bytes(SHARDS[1]);
    let mut spoilt = shard.clone();
    spoilt[100] ^= 1;
    folder.write(SHARDS[1], &spoilt);
    let (message, hint) = folder.error();
    let start = "bert_model.ckpt.data-00001-of-00002: expected numbers of `bert/";
    assert!(
        message.starts_with(start) && message.contains("check sum"),
        "{message}"
    );
    assert!(hint.starts_with("the file is damaged"), "{hint}");

    folder.write(SHARDS[1], &shard[..100]);
    let (message, hint) = folder.error();
    assert!(message.ends_with(", found 100 bytes"), "{message}");
    assert!(hint.starts_with("the file is cut off"), "{hint}");

    fs::remove_file(folder.0.path().join(SHARDS[1])).expect("it was copied");
    let (message, hint) = folder.error();
    let start = "bert_model.ckpt.data-00001-of-00002: expected the numbers of `bert/";
    assert!(
        message.starts_with(start) && message.ends_with(", found no such file"),
        "{message}"
    );
    assert_eq!(
        hint,
        "copy every data file of the checkpoint beside its index"
    );
}

#[test]
fn tensors_of_other_types_orders_and_parts_are_refused() {
    let folder = Folder::golden();
    let header = |n_shards, endianness| Header {
        n_shards,
        endianness,
    };
    let sound = Entry {
        data_type: 1,
        shape: Some(Shape {
            axes: vec![Axis { length: 61 }],
        }),
        shard: 0,
        offset: 0,
        size: 4 * 61,
        sum: 0,
        slices: Vec::new(),
    };
    let error = |header: Header, entry: Entry| {
        let key = b"cls/predictions/output_bias".to_vec();
        let entries = [
            (Vec::new(), header.encode_to_vec()),
            (key, entry.encode_to_vec()),
        ];
        folder.write(INDEX_FILE, &table_of(&entries, PLAIN));
        folder.error().0
    };
    let place = "bert_model.ckpt.index:cls/predictions/output_bias: expected";
    let double = Entry {
        data_type: 2,
        ..sound.clone()
    };
    let in_slices = Entry {
        slices: vec![Slice {}],
        ..sound.clone()
    };
    let short = Entry {
        size: 8,
        ..sound.clone()
    };
    for (entry, told) in [
        (
            double,
            "float32, float16 or bfloat16, found type 2 of TensorFlow",
        ),
        (in_slices, "a whole tensor, found one in slices"),
        (
            short,
            "a whole tensor, found another number of bytes than its shape has",
        ),
    ] {
        assert_eq!(error(header(2, 0), entry), format!("{place} {told}"));
    }
    let big = error(header(2, 1), sound.clone());
    assert!(
        big.ends_with("expected numbers in little-endian order, found others"),
        "{big}"
    );
    let none = error(header(0, 0), sound);
    assert!(
        none.ends_with("expected the number of data files as its first entry, found none"),
        "{none}"
    );
}

#[test]
fn many_tensors_at_one_place_do_not_fill_the_memory() {
    let folder = Folder::golden();
    let numbers = vec![7; 20_000];
    folder.write("bert_model.ckpt.data-00000-of-00001", &numbers);
    let entry = Entry {
        data_type: 1,
        shape: Some(Shape {
            axes: vec![Axis { length: 5000 }],
        }),
        shard: 0,
        offset: 0,
        size: 20_000,
        sum: masked_sum(&numbers),
        slices: Vec::new(),
    };
    let header = Header {
        n_shards: 1,
        endianness: 0,
    };
    let write = |n_layers: usize| {
        let layers = (0..n_layers).map(|layer| {
            let name = format!("bert/encoder/layer_{layer}/intermediate/dense/bias");
            (name.into_bytes(), entry.encode_to_vec())
        });
        let header = (Vec::new(), header.encode_to_vec());
        let mut entries: Vec<table::Entry> = std::iter::once(header).chain(layers).collect();
        entries.sort();
        folder.write(INDEX_FILE, &table_of(&entries, PLAIN));
    };
    write(56); // 4 x 20,000 and a megabyte
    assert_eq!(folder.read().expect("few").len(), 56);
    write(57);
    let (message, hint) = folder.error();
    assert_eq!(
        message,
        "bert_model.ckpt.index: expected tensors of 1128576 bytes at most, found 1140000 bytes and more in data files of 20000"
    );
    assert_eq!(hint, OTHER_INDEX);
}

#[test]
fn tables_of_any_entries_read_back_packed_or_not() {
    let key = Key::from_seed(15);
    for case in 0..200 {
        let key = key.at(case);
        let entry = |i: u64| {
            let bits = |j: u64| key.at(i).bits(j);
            let value = (0..bits(0) % 40).map(|j| bits(1 + j) as u8).collect();
            (format!("layer_{:03}/{}", i / 2, i).into_bytes(), value)
        };
        let entries: Vec<table::Entry> = (0..key.bits(0) % 20).map(entry).collect();
        for pack in [PLAIN, SNAPPY] {
            let found = table::read(&table_of(&entries, pack));
            assert_eq!(found.expect("a sound table"), entries);
        }
    }
}

/// Random bytes as a file, as a block with a right sum, and as what the index says of a tensor.
#[test]
fn random_bytes_end_in_tensors_or_in_an_error() {
    let folder = Folder::golden();
    let key = Key::from_seed(7);
    let header = (
        Vec::new(),
        Header {
            n_shards: 2,
            endianness: 0,
        }
        .encode_to_vec(),
    );
    let entries = table::read(&folder.bytes(INDEX_FILE)).expect("sound");
    let mut n_sound = 0;
    for case in 0..3000 {
        let key = key.at(case);
        let random = |n: u64| -> Vec<u8> { (0..n).map(|i| key.bits(9 + i) as u8).collect() };
        let (_, mut value) = entries[1 + key.bits(0) as usize % (entries.len() - 1)].clone();
        match key.bits(1) % 4 {
            0 => value = random(key.bits(2) % 30),
            1 => value.truncate(key.bits(2) as usize % value.len()),
            _ => {
                let at = key.bits(2) as usize % value.len();
                value[at] = key.bits(3) as u8;
            }
        }
        let name = b"cls/seq_relationship/output_bias".to_vec();
        let entries = [header.clone(), (name, value)];
        let file = match key.bits(4) % 5 {
            0 => random(key.bits(5) % 200),
            1 => {
                let mut block = block_of(&entries);
                let at = key.bits(6) as usize % block.len();
                block[at] = key.bits(7) as u8;
                file_of(&[block], PLAIN)
            }
            2 => file_of(&[random(key.bits(5) % 60)], NO_SNAPPY),
            3 => table_of(&entries, SNAPPY),
            _ => table_of(&entries, PLAIN),
        };
        folder.write(INDEX_FILE, &file);
        n_sound += usize::from(folder.read().is_ok());
    }
    assert!((1..3000).contains(&n_sound), "{n_sound} sound files");
}
