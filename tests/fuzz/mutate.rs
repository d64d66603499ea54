//! Damage to a file: bits, bytes, blocks, numbers, words and lines.
//!
//! In: the bytes of a good file, those of another one, and a stream of random numbers. Out: bytes that are mostly good, so that
//! a reader gets past its first look. The same stream gives the same bytes. Knows no format.

use std::ops::Range;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// Files grow no larger, so that what a reader makes of one stays small.
const MOST_BYTES: usize = 1 << 16;

/// What numbers become.
const NUMBERS: [&str; 26] = [
    "0",
    "-0",
    "-1",
    "1",
    "2",
    "0.5",
    "1.5",
    "1e308",
    "-1e308",
    "1e-320",
    "1e400",
    "1e39",
    "NaN",
    "nan",
    "inf",
    "-inf",
    "255",
    "65536",
    "4294967295",
    "4294967296",
    "9007199254740993",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "18446744073709551615",
    "340282366920938463463374607431768211456",
];

/// What words become, and what is put between bytes.
const TEXTS: [&[u8]; 34] = [
    b"null",
    b"true",
    b"[]",
    b"{}",
    b"\"\"",
    b"\"",
    b"'",
    b"\\",
    b"\\u0000",
    b"\n",
    b"\r\n",
    b"\r",
    b"\n\n",
    b"\t",
    b",",
    b":",
    b";",
    b"|",
    b" ",
    b"=",
    b".",
    b"..",
    b"/",
    b"#",
    b"-",
    b"\0",
    b"\x1b]0;title\x07",
    b"\x7f",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"\xc3\x28",
    "\u{85}\u{2028}".as_bytes(),
    "语".as_bytes(),
    "\u{1f9d1}\u{200d}\u{1f4bb}".as_bytes(),
];

/// Damages bytes in one place, perhaps with a piece of another file.
type Way = fn(&mut Vec<u8>, &[u8], &mut ChaCha8Rng);

/// Each as likely as it stands here.
const WAYS: [Way; 17] = [
    flip, flip, set, insert, insert, delete, delete, repeat, repeat, cut, splice, number, number,
    number, word, word, lines,
];

/// Damages `bytes` in one place or several; `donor` is another file to take pieces from.
pub fn mutate(bytes: &mut Vec<u8>, donor: &[u8], rng: &mut ChaCha8Rng) {
    loop {
        let way = WAYS[rng.random_range(0..WAYS.len())];
        way(bytes, donor, rng);
        bytes.truncate(MOST_BYTES);
        if rng.random_range(0..2) == 0 {
            break;
        }
    }
}

/// A place in `0..n`; 0 where there is none.
fn below(n: usize, rng: &mut ChaCha8Rng) -> usize {
    rng.random_range(0..n.max(1))
}

/// A piece of `bytes`, mostly a short one.
fn block(bytes: &[u8], rng: &mut ChaCha8Rng) -> Range<usize> {
    let begin = below(bytes.len(), rng);
    let most = match below(4, rng) {
        0 => bytes.len(),
        _ => 16,
    };
    let length = 1 + below(most, rng);
    begin..(begin + length).min(bytes.len())
}

#[expect(clippy::ptr_arg, reason = "it is a way like the others")]
fn flip(bytes: &mut Vec<u8>, _: &[u8], rng: &mut ChaCha8Rng) {
    let at = below(bytes.len(), rng);
    if let Some(byte) = bytes.get_mut(at) {
        *byte ^= 1 << below(8, rng);
    }
}

#[expect(clippy::ptr_arg, reason = "it is a way like the others")]
fn set(bytes: &mut Vec<u8>, _: &[u8], rng: &mut ChaCha8Rng) {
    let at = below(bytes.len(), rng);
    if let Some(byte) = bytes.get_mut(at) {
        *byte = rng.random_range(0..=255);
    }
}

fn insert(bytes: &mut Vec<u8>, _: &[u8], rng: &mut ChaCha8Rng) {
    let at = below(bytes.len() + 1, rng);
    let text = TEXTS[below(TEXTS.len(), rng)];
    let times = match below(12, rng) {
        0 => below(1000, rng), // long fields, deep brackets
        _ => 1,
    };
    bytes.splice(at..at, text.repeat(times));
}

fn delete(bytes: &mut Vec<u8>, _: &[u8], rng: &mut ChaCha8Rng) {
    let block = block(bytes, rng);
    bytes.drain(block);
}

fn repeat(bytes: &mut Vec<u8>, _: &[u8], rng: &mut ChaCha8Rng) {
    let copy = bytes[block(bytes, rng)].to_vec();
    let at = below(bytes.len() + 1, rng);
    bytes.splice(at..at, copy);
}

fn cut(bytes: &mut Vec<u8>, _: &[u8], rng: &mut ChaCha8Rng) {
    bytes.truncate(below(bytes.len() + 1, rng));
}

/// A piece of the other file in the place of one.
fn splice(bytes: &mut Vec<u8>, donor: &[u8], rng: &mut ChaCha8Rng) {
    let piece = donor[block(donor, rng)].to_vec();
    let at = block(bytes, rng);
    bytes.splice(at, piece);
}

fn number(bytes: &mut Vec<u8>, _: &[u8], rng: &mut ChaCha8Rng) {
    let runs = runs(bytes, |byte| byte.is_ascii_digit() || byte == b'.');
    if !runs.is_empty() {
        let at = runs[below(runs.len(), rng)].clone();
        bytes.splice(at, NUMBERS[below(NUMBERS.len(), rng)].bytes());
    }
}

/// A word becomes another one of this file or of the other, or none at all.
fn word(bytes: &mut Vec<u8>, donor: &[u8], rng: &mut ChaCha8Rng) {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte) || byte > 127;
    let words = runs(bytes, is_word);
    if words.is_empty() {
        return;
    }
    let at = words[below(words.len(), rng)].clone();
    let others = runs(donor, is_word);
    let other = match below(4, rng) {
        0 => TEXTS[below(TEXTS.len(), rng)].to_vec(),
        1 if !others.is_empty() => donor[others[below(others.len(), rng)].clone()].to_vec(),
        2 => Vec::new(),
        _ => bytes[words[below(words.len(), rng)].clone()].to_vec(),
    };
    bytes.splice(at, other);
}

/// Whole lines: one goes, comes twice, changes places with another, or all end otherwise.
fn lines(bytes: &mut Vec<u8>, _: &[u8], rng: &mut ChaCha8Rng) {
    let mut lines: Vec<Vec<u8>> = bytes
        .split_inclusive(|&byte| byte == b'\n')
        .map(<[u8]>::to_vec)
        .collect();
    if lines.is_empty() {
        return;
    }
    let (one, other) = (below(lines.len(), rng), below(lines.len(), rng));
    match below(5, rng) {
        0 => drop(lines.remove(one)),
        1 => lines.insert(other, lines[one].clone()),
        2 => lines.swap(one, other),
        3 => lines[one].reverse(),
        _ => {
            let ending = if one % 2 == 0 { "\r\n" } else { "\r" };
            for line in lines.iter_mut().filter(|line| line.ends_with(b"\n")) {
                line.pop();
                line.extend(ending.bytes());
            }
        }
    }
    *bytes = lines.concat();
}

/// Where bytes of one kind stand one after another.
fn runs(bytes: &[u8], is_kind: impl Fn(u8) -> bool) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    for at in (0..bytes.len()).filter(|&at| is_kind(bytes[at])) {
        match runs.last_mut() {
            Some(run) if run.end == at => run.end += 1,
            _ => runs.push(at..at + 1),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use cipherpet::random::Key;

    use super::*;

    #[test]
    fn a_stream_gives_the_same_damage_again_and_every_way_bears_an_empty_file() {
        let good = b"1 2\t3\t1\n4\t5 6\t0\n".to_vec();
        let damaged = |index: u64, good: &[u8]| {
            let mut bytes = good.to_vec();
            mutate(
                &mut bytes,
                b"x\ty\n",
                &mut Key::from_seed(5).at(index).rng(),
            );
            bytes
        };
        let changed = (0..1000).filter(|&index| damaged(index, &good) != good);
        assert!(changed.count() > 900);
        for index in 0..1000 {
            assert_eq!(damaged(index, &good), damaged(index, &good));
            damaged(index, b"");
        }
    }
}
