//! A random substitution: one number for one character.
//!
//! In: sentences and a seed. Out: the key, and sentences as numbers parted by blanks.
//! The numbers have gaps, as in real sets. Does not know what the sentences mean.

use rand::SeedableRng;
use rand::seq::index;
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeMap, BTreeSet};

/// Numbers to choose from, for one in use.
const SPREAD: usize = 12;

/// The key: character to number. No two characters share one.
pub struct Cipher(BTreeMap<char, usize>);

impl Cipher {
    /// Draws a key for all characters of `sentences`.
    pub fn draw<'a>(sentences: impl Iterator<Item = &'a str>, seed: u64) -> Self {
        let characters: BTreeSet<char> = sentences.flat_map(str::chars).collect();
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let numbers = index::sample(&mut rng, characters.len() * SPREAD, characters.len());
        Self(
            characters
                .into_iter()
                .zip(numbers.iter().map(|n| n + 1))
                .collect(),
        )
    }

    /// The sentence in numbers.
    pub fn encrypt(&self, sentence: &str) -> String {
        let numbers: Vec<String> = sentence.chars().map(|c| self.0[&c].to_string()).collect();
        numbers.join(" ")
    }

    /// The key as a table with a header, by number.
    pub fn table(&self) -> String {
        let by_number: BTreeMap<usize, char> = self.0.iter().map(|(&c, &n)| (n, c)).collect();
        let rows = by_number.iter().map(|(n, c)| format!("{n}\t{c}\n"));
        std::iter::once("cipher_id\tplain_token\n".to_owned())
            .chain(rows)
            .collect()
    }
}
