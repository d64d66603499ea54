//! The seeded grammar behind the embedded pairs: utterances to a voice assistant, two and two.
//!
//! In: the tables of `families.rs` and `slots.rs`, and a seed. Out: unique pairs of short Chinese
//! sentences with a label: 1 for the same meaning in other words, 0 for a near-miss (another slot
//! value, from and to exchanged, a sibling intent) or, seldom, for another subject.
//! Some sentences stand in several pairs, in small components, as in real sets.
//! Does not encrypt and writes no files.

use super::families::{FAMILIES, Family};
use super::slots::SLOTS;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::HashMap;

// The shares that set how hard the pairs are.
/// How often two utterances of an intent mean the same. Intents differ in it, as they do in real sets, and most of
/// what a small network learns here in a minute is this: it did not learn to compare slot values (see the data card).
const POSITIVE: [f64; 5] = [0.02, 0.05, 0.1, 0.85, 0.95];
/// A pair that takes its first sentence from an earlier pair.
const REUSED: f64 = 0.19;
/// Rows that sentences may tie together.
const LARGEST_COMPONENT: usize = 8;
/// Among the negatives: another subject, and a sibling intent. The rest changes a slot value.
const EASY: f64 = 0.2;
const SIBLING: f64 = 0.5;
/// Among the value changes of a family with a direction: the two ends exchanged.
const SWAPPED: f64 = 0.4;
/// A second sentence in the phrasing of the first: a positive then differs in the polite words or in a slot's wording.
const SAME_PHRASING_POSITIVE: f64 = 0.15;
const SAME_PHRASING_NEGATIVE: f64 = 0.35;
/// An utterance with polite words, and a slot value in other than its usual wording.
const POLITE: f64 = 0.25;
const OTHER_WORDING: f64 = 0.3;

/// Two utterances, and whether they mean the same.
pub struct Pair {
    pub sentences: [String; 2],
    pub is_paraphrase: bool,
}

/// What an utterance means: an intent, and a value for each slot of its family.
#[derive(Clone, PartialEq, Eq)]
struct Meaning {
    family: usize,
    intent: usize,
    values: Vec<usize>,
}

/// An utterance, and how it came about.
#[derive(Clone)]
struct Utterance {
    text: String,
    meaning: Meaning,
    phrasing: usize,
}

/// Where an earlier sentence belongs: it may be taken up again while its component is small.
struct Known {
    utterance: Utterance,
    component: usize,
}

/// `n_pairs` unique pairs in random order, the same for the same seed.
pub fn pairs(seed: u64, n_pairs: usize) -> Vec<Pair> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut known: Vec<Known> = Vec::new();
    let mut by_text: HashMap<String, usize> = HashMap::new();
    let mut rows_of_component: Vec<usize> = Vec::new();
    let mut pairs = Vec::with_capacity(n_pairs);
    while pairs.len() < n_pairs {
        let earlier = if rng.random_bool(REUSED) {
            known
                .choose(&mut rng)
                .filter(|k| rows_of_component[k.component] < LARGEST_COMPONENT)
        } else {
            None
        };
        let component = earlier.map_or(rows_of_component.len(), |known| known.component);
        let first = match earlier {
            Some(known) => known.utterance.clone(),
            None => utter(&any_meaning(&mut rng), None, &mut rng),
        };
        let is_paraphrase = rng.random_bool(positive_share(&first.meaning));
        let second = answer(&first, is_paraphrase, &mut rng);
        // A new sentence must be new, so that no text has two meanings and no components merge.
        let is_new = |utterance: &Utterance| !by_text.contains_key(&utterance.text);
        if first.text == second.text || !is_new(&second) || (earlier.is_none() && !is_new(&first)) {
            continue;
        }
        if component == rows_of_component.len() {
            rows_of_component.push(0);
        }
        rows_of_component[component] += 1;
        let mut sentences = [first.text.clone(), second.text.clone()];
        sentences.shuffle(&mut rng);
        pairs.push(Pair {
            sentences,
            is_paraphrase,
        });
        for utterance in [first, second] {
            by_text.entry(utterance.text.clone()).or_insert_with(|| {
                known.push(Known {
                    utterance,
                    component,
                });
                known.len() - 1
            });
        }
    }
    pairs.shuffle(&mut rng);
    pairs
}

/// Share of positives among the pairs that begin with this intent.
fn positive_share(meaning: &Meaning) -> f64 {
    POSITIVE[(3 * meaning.family + 2 * meaning.intent) % POSITIVE.len()]
}

/// A second sentence to `first`.
fn answer(first: &Utterance, is_paraphrase: bool, rng: &mut ChaCha8Rng) -> Utterance {
    if is_paraphrase {
        let same_phrasing = rng.random_bool(SAME_PHRASING_POSITIVE);
        return loop {
            let second = utter(&first.meaning, same_phrasing.then_some(first.phrasing), rng);
            if same_phrasing || second.phrasing != first.phrasing {
                break second;
            }
        };
    }
    if rng.random_bool(EASY) {
        return loop {
            let meaning = any_meaning(rng);
            if meaning.family != first.meaning.family {
                break utter(&meaning, None, rng);
            }
        };
    }
    let meaning = near_miss(&first.meaning, rng);
    let n_phrasings = phrasings(&meaning).count();
    let same_phrasing = rng.random_bool(SAME_PHRASING_NEGATIVE) && first.phrasing < n_phrasings;
    utter(&meaning, same_phrasing.then_some(first.phrasing), rng)
}

/// Another meaning, as close as can be.
fn near_miss(meaning: &Meaning, rng: &mut ChaCha8Rng) -> Meaning {
    let family = &FAMILIES[meaning.family];
    let mut other = meaning.clone();
    let n_intents = family.intents.len();
    if n_intents > 1 && rng.random_bool(SIBLING) {
        other.intent = (meaning.intent + rng.random_range(1..n_intents)) % n_intents;
        return other;
    }
    match family.swap {
        Some((from, to)) if rng.random_bool(SWAPPED) => other.values.swap(from, to),
        _ => {
            let slot = rng.random_range(0..family.slots.len());
            while other.values == meaning.values || repeats_a_value(family, &other.values) {
                other.values[slot] = rng.random_range(0..values(family.slots[slot]).count());
            }
        }
    }
    other
}

/// A random meaning; a family with more meanings comes more often, by the square root.
fn any_meaning(rng: &mut ChaCha8Rng) -> Meaning {
    let n_meanings = |family: &Family| {
        let values: usize = family.slots.iter().map(|s| values(s).count()).product();
        values * family.intents.len()
    };
    let families: Vec<usize> = (0..FAMILIES.len()).collect();
    let family_idx = *families
        .choose_weighted(rng, |&i| n_meanings(&FAMILIES[i]).isqrt())
        .expect("every family has a meaning");
    let family = &FAMILIES[family_idx];
    let intent = rng.random_range(0..family.intents.len());
    loop {
        let values: Vec<usize> = family
            .slots
            .iter()
            .map(|slot| rng.random_range(0..values(slot).count()))
            .collect();
        if !repeats_a_value(family, &values) {
            return Meaning {
                family: family_idx,
                intent,
                values,
            };
        }
    }
}

/// Whether two slots of one kind hold the same value: a journey from a city to itself.
fn repeats_a_value(family: &Family, values: &[usize]) -> bool {
    (0..values.len()).any(|i| {
        (0..i).any(|j| kind(family.slots[i]) == kind(family.slots[j]) && values[i] == values[j])
    })
}

/// Says `meaning` in the given phrasing or a random one.
fn utter(meaning: &Meaning, phrasing: Option<usize>, rng: &mut ChaCha8Rng) -> Utterance {
    let n_phrasings = phrasings(meaning).count();
    let phrasing = phrasing.unwrap_or_else(|| rng.random_range(0..n_phrasings));
    let marked = phrasings(meaning)
        .nth(phrasing)
        .expect("the phrasing is one of the intent's");
    let (form, pattern) = marked.split_at(1);
    let mut text = pattern.to_owned();
    for (slot, &value) in FAMILIES[meaning.family].slots.iter().zip(&meaning.values) {
        let wordings: Vec<&str> = values(slot)
            .nth(value)
            .expect("the value is one of the slot's")
            .split('/')
            .collect();
        let usual = wordings[0];
        let wording = match wordings[1..].choose(rng) {
            Some(other) if rng.random_bool(OTHER_WORDING) => other,
            _ => usual,
        };
        text = text.replace(&format!("{{{slot}}}"), wording);
    }
    assert!(!text.contains(['{', '}']), "{marked} names a foreign slot");
    Utterance {
        text: politely(form, text, rng),
        meaning: meaning.clone(),
        phrasing,
    }
}

/// Puts polite words before or after a phrase, as far as its form allows.
fn politely(form: &str, text: String, rng: &mut ChaCha8Rng) -> String {
    let (before, after): (&[&str], &[&str]) = match form {
        "!" => (
            &["帮我", "请", "请帮我", "麻烦你", "你帮我", "小助手"],
            &["吧", "好吗", "谢谢", "可以吗"],
        ),
        "~" => (&["给我", "请", "请给我", "快", "小助手"], &["吧", "好吗"]),
        "?" if text.ends_with(['吗', '没', '了', '呢']) => {
            (&["请问", "问一下", "那", "小助手"], &[])
        }
        "?" => (&["请问", "问一下", "那", "小助手"], &["呢", "啊", "呀"]),
        "." => (&["查一下", "查查", "看一下", "帮我查一下", "告诉我"], &[]),
        "-" => (&[], &[]),
        other => panic!("`{other}{text}`: an unknown form"),
    };
    if !rng.random_bool(POLITE) {
        return text;
    }
    let ends_politely = rng.random_bool(0.4);
    match (ends_politely, before.choose(rng), after.choose(rng)) {
        (true, _, Some(after)) => format!("{text}{after}"),
        (_, Some(before), _) => format!("{before}{text}"),
        _ => text,
    }
}

/// The marked phrasings of a meaning's intent.
fn phrasings(meaning: &Meaning) -> impl Iterator<Item = &'static str> {
    FAMILIES[meaning.family].intents[meaning.intent].split_whitespace()
}

/// The values of a slot, each with all its wordings.
fn values(slot: &str) -> impl Iterator<Item = &'static str> {
    let (_, values) = SLOTS
        .iter()
        .find(|(name, _)| *name == kind(slot))
        .unwrap_or_else(|| panic!("slot `{slot}` has no values"));
    values.split_whitespace()
}

/// A slot's kind: its name without the digit.
fn kind(slot: &str) -> &str {
    slot.trim_end_matches(|c: char| c.is_ascii_digit())
}
