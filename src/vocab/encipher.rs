//! Ciphers of one's own text, in the shapes of real competitions: to measure alignments by a key that is known.
//!
//! In: sentences as tokens. Out: the same sentences as numbers, and the key. Ids are drawn without order from a range
//! with gaps: OPPO's training and test files of GAIIC 2021 hold 23,870 ids between 1 and 33,953. Those files also hold ids
//! that stand there once (8,985 of them), and no id that would stand for "rare": so nothing is left out by default, and
//! with `drop_below` rare tokens are missing from the sentences instead of being one id. Reads and writes no files.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use rand::seq::{SliceRandom, index};

use super::unit::{is_long, spelled};
use crate::random::{Key, Purpose};

/// A word must stand so often in the text to be merged into one id.
pub const FREQUENT: u64 = 5;

/// How to encipher.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EncipherOptions {
    /// Share of the frequent words (two characters or more, [`FREQUENT`] times or more) that become one id each; all
    /// other words are spelled. None: tokens stay what they are.
    pub merge: Option<f64>,
    /// Tokens that stand fewer times are left out.
    pub drop_below: u64,
    /// The root of the randomness.
    pub key: Key,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encipherment {
    /// One for each plain sentence, in order, none empty.
    pub sentences: Vec<Vec<u32>>,
    /// Cipher id and plain token, by id.
    pub key: Vec<(u32, String)>,
    /// Words that became one id.
    pub merged_words: usize,
    /// Tokens that were left out, and how often they stood there.
    pub dropped: (usize, u64),
    /// Sentences of rare tokens alone, which kept their most frequent one.
    pub rescued: usize,
}

/// Replaces every token by its id. No sentence may be empty.
pub fn encipher(sentences: Vec<Vec<String>>, options: &EncipherOptions) -> Encipherment {
    let key = options.key.with(Purpose::Encipher);
    let mut sentences = sentences;
    let mut merged_words = 0;
    if let Some(share) = options.merge {
        let merged = choose_words(&sentences, share, key.at(0));
        merged_words = merged.len();
        for sentence in &mut sentences {
            *sentence = spell_others(std::mem::take(sentence), &merged);
        }
    }
    let count_of = counts(&sentences);
    let is_rare = |token: &String| count_of[token] < options.drop_below;
    let mut rescued = 0;
    for sentence in &mut sentences {
        if sentence.iter().all(is_rare) {
            rescued += 1;
            let best = (0..sentence.len()).min_by_key(|&at| Reverse(count_of[&sentence[at]]));
            *sentence = best
                .map(|at| sentence.swap_remove(at))
                .into_iter()
                .collect();
        } else {
            sentence.retain(|token| !is_rare(token));
        }
    }
    let left = counts(&sentences);
    let n_tokens = |counts: &HashMap<String, u64>| counts.values().sum::<u64>();
    let dropped = (
        count_of.len() - left.len(),
        n_tokens(&count_of) - n_tokens(&left),
    );
    let id_of = draw_ids(by_frequency(left), key.at(1));
    let number = |token: &String| id_of[token];
    let numbers = sentences
        .iter()
        .map(|tokens| tokens.iter().map(number).collect());
    let sentences = numbers.collect();
    let mut key: Vec<(u32, String)> = id_of.into_iter().map(|(token, id)| (id, token)).collect();
    key.sort_unstable();
    Encipherment {
        sentences,
        key,
        merged_words,
        dropped,
        rescued,
    }
}

/// The words that become one id: a share of the frequent ones, drawn without regard to how frequent.
fn choose_words(sentences: &[Vec<String>], share: f64, key: Key) -> HashSet<String> {
    let mut frequent = counts(sentences);
    frequent.retain(|word, count| is_long(word) && *count >= FREQUENT);
    let mut words = by_frequency(frequent);
    words.shuffle(&mut key.rng());
    words.truncate((share * words.len() as f64).round() as usize);
    words.into_iter().collect()
}

fn spell_others(words: Vec<String>, merged: &HashSet<String>) -> Vec<String> {
    let mut tokens = Vec::with_capacity(2 * words.len());
    for word in words {
        match merged.contains(&word) {
            true => tokens.push(word),
            false => tokens.extend(spelled(&word)),
        }
    }
    tokens
}

fn counts(sentences: &[Vec<String>]) -> HashMap<String, u64> {
    let mut count_of: HashMap<String, u64> = HashMap::new();
    for token in sentences.iter().flatten() {
        match count_of.get_mut(token) {
            Some(count) => *count += 1,
            None => drop(count_of.insert(token.clone(), 1)),
        }
    }
    count_of
}

/// The tokens in an order that does not depend on the map's.
fn by_frequency(count_of: HashMap<String, u64>) -> Vec<String> {
    let mut tokens: Vec<_> = count_of.into_iter().collect();
    tokens.sort_unstable_by(|a, b| (Reverse(a.1), &a.0).cmp(&(Reverse(b.1), &b.0)));
    tokens.into_iter().map(|(token, _)| token).collect()
}

/// An id for each token, from 1, with two gaps for five ids.
fn draw_ids(tokens: Vec<String>, key: Key) -> HashMap<String, u32> {
    let n = tokens.len();
    let ids = index::sample(&mut key.rng(), n + 2 * n / 5, n); // without order
    let ids = ids.into_iter().map(|id| id as u32 + 1);
    tokens.into_iter().zip(ids).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sentences(text: &str) -> Vec<Vec<String>> {
        let tokens = |line: &str| line.split(' ').map(str::to_owned).collect();
        text.split('\n').map(tokens).collect()
    }

    fn options(merge: Option<f64>, drop_below: u64) -> EncipherOptions {
        EncipherOptions {
            merge,
            drop_below,
            key: Key::from_seed(3),
        }
    }

    /// The sentences again, by the key.
    fn decoded(cipher: &Encipherment) -> String {
        let token_of: HashMap<u32, &str> =
            (cipher.key.iter().map(|(id, token)| (*id, token.as_str()))).collect();
        let line = |ids: &Vec<u32>| {
            ids.iter()
                .map(|id| token_of[id])
                .collect::<Vec<_>>()
                .join(" ")
        };
        cipher
            .sentences
            .iter()
            .map(line)
            .collect::<Vec<_>>()
            .join("\n")
    }

    #[test]
    fn the_key_gives_the_text_back() {
        let text = "我 要 去 北京\n去 北京 吗\n要";
        let cipher = encipher(sentences(text), &options(None, 0));
        assert_eq!(decoded(&cipher), text);
        let ids: Vec<u32> = cipher.key.iter().map(|(id, _)| *id).collect();
        assert!(ids.is_sorted() && ids.len() == 5 && ids[0] >= 1 && ids[4] <= 7);
        let other = EncipherOptions {
            key: Key::from_seed(4),
            ..options(None, 0)
        };
        assert_ne!(encipher(sentences(text), &other), cipher);
    }

    #[test]
    fn a_word_is_merged_always_or_never_and_only_where_it_is_frequent() {
        // 北京, 上海, 天津 and 重庆 stand five times each, 广州 four times, and 去 is no long word.
        let line = "去 北京 上海\n去 天津 重庆\n";
        let text = line.repeat(5) + &"去 广州\n".repeat(4) + "去";
        let merged = |share| {
            let cipher = encipher(sentences(&text), &options(Some(share), 0));
            let words: Vec<String> = (cipher.key.iter().map(|(_, token)| token.clone()))
                .filter(|token| is_long(token))
                .collect();
            assert_eq!(decoded(&cipher).replace(' ', ""), text.replace(' ', ""));
            assert_eq!(words.len(), cipher.merged_words);
            for word in &words {
                // No occurrence of a merged word is spelled: its characters stand nowhere else.
                assert!(
                    cipher
                        .key
                        .iter()
                        .all(|(_, token)| !word.starts_with(token) || token == word)
                );
            }
            words
        };
        assert_eq!(merged(0.0).len(), 0);
        assert_eq!(merged(0.5).len(), 2);
        assert_eq!(merged(1.0).len(), 4);
        assert!(!merged(1.0).contains(&"广州".to_owned()));
    }

    #[test]
    fn rare_tokens_are_left_out_but_no_sentence_is_emptied() {
        // a 4, b 2, c, d and e 1: all but a are below 3. The second sentence has no a, and b is its most frequent token.
        // Left are five of the nine tokens, a and b.
        let cipher = encipher(sentences("a a c\ne d b\na b a"), &options(None, 3));
        assert_eq!(decoded(&cipher), "a a\nb\na a");
        assert_eq!((cipher.dropped, cipher.rescued), ((3, 4), 1));
    }
}
