//! A made-up language of 26 letters, for ciphers that can be solved in an instant.

use std::fmt::Write;

use cipherpet::random::Key;

use crate::workspace::Workspace;

const LETTERS: u64 = 26;

/// Sentences of 4 to 11 letters. Each letter has three that may follow it, the first of them mostly, and low letters open
/// sentences: frequencies and neighbours both tell letters apart.
pub fn sentences(n: u64, seed: u64) -> Vec<String> {
    let grammar = Key::from_seed(1000);
    let sentence = |row: u64| {
        let key = Key::from_seed(seed).at(row);
        let mut letter = (0..3)
            .map(|i| key.bits(100 + i) % LETTERS)
            .min()
            .unwrap_or(0);
        let mut text = String::new();
        for at in 0..4 + key.bits(0) % 8 {
            text.push((b'a' + letter as u8) as char);
            let branch = [0, 0, 0, 1, 1, 2][(key.bits(1 + at) % 6) as usize];
            let next = grammar.at(letter).bits(branch);
            letter = next % LETTERS * ((next >> 32) % LETTERS) / LETTERS; // low letters more often
        }
        text
    };
    (0..n).map(sentence).collect()
}

/// Writes `plain.txt`, and pairs of other sentences of the language as `pairs.tsv`, every other label 1.
pub fn write(workspace: &Workspace) {
    workspace.write("plain.txt", sentences(4000, 1).join("\n"));
    let mut pairs = String::new();
    for (row, two) in sentences(4000, 2).chunks(2).enumerate() {
        writeln!(pairs, "{}\t{}\t{}", two[0], two[1], row % 2).expect("a String takes every write");
    }
    workspace.write("pairs.tsv", pairs);
}
