//! Tables of tensors, and pickles that are none.

use std::io::Write;

use safetensors::Dtype;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::*;

/// What `tests/golden/torch_file.py` has written.
const GOLDEN: &[u8] = include_bytes!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/golden/torch_file.bin"
));

/// An archive of a pickle and a storage `0`.
fn archive(pickle: &[u8], storage: &[u8]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in [("a/data.pkl", pickle), ("a/data/0", storage)] {
        zip.start_file(name, SimpleFileOptions::default())
            .expect("memory");
        zip.write_all(content).expect("memory");
    }
    zip.finish().expect("memory").into_inner()
}

fn f32s(tensor: &StoredTensor) -> Vec<f32> {
    let numbers = tensor.bytes.as_chunks::<4>().0.iter();
    numbers.map(|&bytes| f32::from_le_bytes(bytes)).collect()
}

#[test]
fn every_kind_of_tensor_that_torch_saves_is_read_row_after_row() {
    let tensors = read(GOLDEN).expect("our own file");
    let of = |name: &str| {
        tensors
            .iter()
            .find(|tensor| tensor.name == name)
            .expect("it is there")
    };
    let shape = |name: &str| of(name).shape.clone();
    assert_eq!(
        (shape("matrix"), f32s(of("matrix"))),
        (vec![2, 3], vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0])
    );
    let transposed = vec![0.0, 3.0, 1.0, 4.0, 2.0, 5.0];
    assert_eq!(
        (shape("transposed"), f32s(of("transposed"))),
        (vec![3, 2], transposed)
    );
    assert_eq!(
        (shape("last_row"), f32s(of("last_row"))),
        (vec![3], vec![3.0, 4.0, 5.0])
    );
    assert_eq!(
        (shape("parameter"), f32s(of("parameter"))),
        (vec![1], vec![7.0])
    );
    assert_eq!((shape("number"), f32s(of("number"))), (vec![], vec![9.0]));
    assert_eq!((shape("empty"), of("empty").bytes.len()), (vec![0, 4], 0));
    assert_eq!(
        (of("half").dtype, of("half").bytes.clone()),
        (Dtype::F16, vec![0x00, 0x38, 0x00, 0xc0])
    );
    assert_eq!(
        (of("brain").dtype, of("brain").bytes.clone()),
        (Dtype::BF16, vec![0xc0, 0x3f, 0x40, 0xc0])
    );
    assert_eq!(
        (of("position_ids").dtype, shape("position_ids")),
        (Dtype::I64, vec![3])
    );
    assert_eq!(tensors.len(), 9);
}

#[test]
fn a_pickle_that_calls_anything_else_is_refused_and_nothing_is_called() {
    for (pickle, found) in [
        (
            &b"\x80\x02cposix\nsystem\nX\x04\0\0\0true\x85R."[..],
            "a call of `posix.system`, which makes no tensor; nothing was called",
        ),
        (
            b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93\x8c\x011\x85R.",
            "a call of `builtins.eval`, which makes no tensor; nothing was called",
        ),
        (
            b"\x80\x02}X\x01\0\0\0acos\nsystem\nX\x01\0\0\0b\x85Rs.",
            "a call of `os.system`, which makes no tensor; nothing was called",
        ),
        (b"\x80\x02K\x01.", "a pickle that is no table of tensors"),
        (b"\x80\x02}", "a pickle that ends too soon"),
        (
            b"\x80\x02X\xff\xff\xff\x7fa.",
            "a pickle that ends too soon",
        ),
        (b"\x80\x02s.", "a pickle that takes what it has not made"),
        (
            b"\x80\x02h\x07.",
            "a pickle that asks for what it has not kept",
        ),
        (
            b"\x80\x02i",
            "the pickle code 0x69, which no table of tensors needs",
        ),
    ] {
        assert_eq!(read(&archive(pickle, b"")).expect_err("refused"), found);
    }
    assert!(
        read(b"PK no zip")
            .expect_err("refused")
            .starts_with("no zip archive")
    );
}

#[test]
fn tables_within_tables_without_end_are_refused_however_they_are_made() {
    let n = 100_000;
    let by_value = [&b"}K\x01".repeat(n)[..], b"N", &b"s".repeat(n)].concat();
    let by_key = [&b"}".repeat(n)[..], &b"Ns".repeat(n - 1)].concat();
    let at_once = [&b"}(K\x01".repeat(n)[..], b"N", &b"u".repeat(n)].concat();
    let in_lists = [&b"(".repeat(n)[..], &b"l".repeat(n)].concat();
    let in_tuples = [&b")"[..], &b"\x85".repeat(n)].concat();
    for codes in [by_value, by_key, at_once, in_lists, in_tuples] {
        let pickle = [b"\x80\x02", &codes[..], b"."].concat();
        let found = pickle::read(&pickle).expect_err("too deep");
        assert_eq!(found, "tables within tables without end");
    }
    let flat = [
        &b"\x80\x02}"[..],
        &b"K\x01}s".repeat(1000),
        b"](K\x02K\x03e0.",
    ]
    .concat();
    pickle::read(&flat).expect("a table of empty tables");
}

/// One tensor `w` in storage `0` of f32, with these numbers after the protocol: offset, shape and strides.
fn one_tensor(offset: u8, shape: u8, stride: u8) -> Vec<u8> {
    let mut pickle = b"\x80\x02}X\x01\0\0\0wctorch._utils\n_rebuild_tensor_v2\n(".to_vec();
    pickle.extend(b"(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x02tQ");
    pickle.extend([
        b'K', offset, b'K', shape, 0x85, b'K', stride, 0x85, 0x89, b'}', b't', b'R', b's', b'.',
    ]);
    pickle
}

#[test]
fn numbers_that_are_not_in_the_file_are_refused() {
    let numbers: Vec<u8> = [1.0_f32, 2.0]
        .iter()
        .flat_map(|x| x.to_le_bytes())
        .collect();
    let tensors = read(&archive(&one_tensor(0, 2, 1), &numbers)).expect("both numbers");
    assert_eq!(f32s(&tensors[0]), [1.0, 2.0]);
    for (offset, shape, stride) in [(1, 2, 1), (0, 3, 1), (0, 2, 2), (0, 200, 0), (255, 1, 255)] {
        let found = read(&archive(&one_tensor(offset, shape, stride), &numbers));
        assert_eq!(
            found.expect_err("refused"),
            "numbers of `w` that are not in the file"
        );
    }
}

/// The codes of an f32 tensor of `n` numbers, which are all of the storage or its first.
fn vector(key: u8, n: u32) -> Vec<u8> {
    let mut codes = b"ctorch._utils\n_rebuild_tensor_v2\n(".to_vec();
    codes.extend(b"(X\x07\0\0\0storagectorch\nFloatStorage\n");
    codes.extend([b'X', 1, 0, 0, 0, key]);
    codes.extend(b"X\x03\0\0\0cpuK\x02tQK\0J");
    codes.extend(n.to_le_bytes());
    codes.extend(b"\x85K\x01\x85\x89}tR");
    codes
}

/// A pickle of such tensors: name, storage and length of each.
fn vectors(tensors: &[(&str, u8, u32)]) -> Vec<u8> {
    let mut pickle = b"\x80\x02}".to_vec();
    for &(name, key, n) in tensors {
        pickle.extend([b'X', name.len() as u8, 0, 0, 0]);
        pickle.extend(name.as_bytes());
        pickle.extend(vector(key, n));
        pickle.push(b's');
    }
    pickle.push(b'.');
    pickle
}

#[test]
fn many_names_of_one_storage_do_not_fill_the_memory() {
    let n = 150_000;
    let zeros = vec![0; 4 * n as usize]; // which are packed to next to nothing
    let alone = read(&archive(&vectors(&[("w", b'0', n)]), &zeros)).expect("a tensor");
    assert_eq!(alone[0].bytes, zeros);
    let file = archive(&vectors(&[("v", b'0', n), ("w", b'0', n)]), &zeros);
    assert_eq!(
        read(&file).expect_err("refused"),
        format!("tensors of 1200002 bytes in a file of {}", file.len())
    );
    // Weights that are tied are a few names of all that is there.
    let numbers: Vec<u8> = (0..4 * n).map(|i| (i.wrapping_mul(i) / 7) as u8).collect();
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    let pickle = vectors(&[("u", b'0', n), ("v", b'0', n), ("w", b'0', n)]);
    for (name, content) in [("a/data.pkl", &pickle), ("a/data/0", &numbers)] {
        zip.start_file(name, stored).expect("memory");
        zip.write_all(content).expect("memory");
    }
    let file = zip.finish().expect("memory").into_inner();
    assert_eq!(read(&file).expect("tied weights").len(), 3);
    // A name that comes again and again is copied as well: here one of 200,000 letters for ten tensors.
    let named = [&b"h\0"[..], &vector(b'0', 1), b"s"].concat();
    let name = [&b"X\x40\x0d\x03\0"[..], &b"n".repeat(200_000)].concat();
    let pickle = [b"\x80\x02", &name[..], b"q\x000}", &named.repeat(10), b"."].concat();
    let file = archive(&pickle, &zeros);
    assert_eq!(
        read(&file).expect_err("refused"),
        format!("tensors of 2000040 bytes in a file of {}", file.len())
    );
}

#[test]
fn storages_that_are_packed_to_nothing_do_not_fill_the_memory() {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let pickle = vectors(&[("v", b'0', 1), ("w", b'1', 1)]);
    let zeros = vec![0; 600_000];
    for (name, content) in [
        ("a/data.pkl", &pickle),
        ("a/data/0", &zeros),
        ("a/data/1", &zeros),
    ] {
        zip.start_file(name, SimpleFileOptions::default())
            .expect("memory");
        zip.write_all(content).expect("memory");
    }
    let file = zip.finish().expect("memory").into_inner();
    let found = read(&file).expect_err("refused");
    assert!(found.starts_with("`a/data/1` of 600000 bytes"), "{found}");
}

#[test]
fn lists_that_are_used_again_and_again_end_soon() {
    let n = 400_000;
    // A tuple of many, in a tuple as many times; then one of whole numbers as the shape of as many tensors.
    let shared = [
        &b"\x80\x02("[..],
        &b"N".repeat(n),
        b"tq\0(",
        &b"h\0".repeat(n),
        b"t.",
    ];
    pickle::read(&shared.concat()).expect("a tuple of tuples");
    let tensor = b"h\x01(h\x02K\0h\0h\0tR0";
    let shapes = [
        &b"\x80\x02("[..],
        &b"K\x01".repeat(n),
        b"tq\0ctorch._utils\n_rebuild_tensor_v2\nq\x01",
        b"(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000tQq\x02",
        &tensor.repeat(n),
        b".",
    ];
    assert_eq!(
        pickle::read(&shapes.concat()).expect_err("refused"),
        "a tensor of more than 8 axes"
    );
    // A long text as the name of many functions.
    let long = [
        &b"\x80\x02X\x40\x42\x0f\0"[..],
        &b"n".repeat(1_000_000),
        b"q\0",
        &b"h\0h\0\x93".repeat(n),
        b".",
    ];
    assert_eq!(
        pickle::read(&long.concat()).expect_err("refused"),
        "a function with a name without end"
    );
}

/// No pickle made of its codes ends in a panic, and some are whole.
#[test]
fn random_codes_end_in_a_value_or_an_error() {
    let codes = b"(.0NGJKMXcQRqrhjsuaetld)}]b\x80\x85\x86\x87\x88\x89\x8a\x8c\x93\x94\x95";
    let key = crate::random::Key::from_seed(5);
    let mut n_whole = 0;
    for case in 0..20_000 {
        let key = key.at(case);
        let byte = |i: u64| match key.bits(2 * i) % 3 {
            0 => (key.bits(2 * i + 1) % 256) as u8,
            _ => codes[key.bits(2 * i + 1) as usize % codes.len()],
        };
        let pickle: Vec<u8> = (0..1 + key.bits(999) % 60).map(byte).collect();
        n_whole += usize::from(pickle::read(&pickle).is_ok());
    }
    assert!((1..20_000).contains(&n_whole), "{n_whole} whole pickles");
}
