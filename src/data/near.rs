//! Near-duplicate sentences: all pairs whose tokens and neighbours of tokens overlap enough.
//!
//! In: different sentences and a threshold. Out: every pair at or above it, with its similarity. Nothing is random, hashed to a
//! signature or missed: the result is that of comparing every sentence with every other one. Knows no rows, labels and files.
//!
//! A sentence is the set of its tokens and of its bigrams (two tokens that follow each other). Tokens alone would call two
//! sentences equal that differ in the order of their words, which changes what is asked; bigrams alone would leave a sentence of
//! one token without a set. The similarity of two sentences is the Jaccard similarity of their sets, |x ∩ y| / |x ∪ y|.
//!
//! The join is that of PPJoin (Xiao, Wang, Lin and Yu, "Efficient Similarity Joins for Near Duplicate Detection", WWW 2008), with
//! the prefix filter of AllPairs (Bayardo, Ma and Srikant, WWW 2007). Where the elements of every set are sorted, rare ones first,
//! two sets that overlap enough share an element among the first few of each: only sentences that share such a rare element are
//! compared. At .9 these are few, and the time grows about as the number of sentences; at .5 it grows faster. Chinese sentences by
//! character, 16 tokens each, at .9 with reading and table, one thread of an AMD EPYC (Zen 4): 10,000 in .06 s, 100,000 in .4 s, 759,340
//! in 4.3 s, 1,000,000 (240,660 of them changed copies) in 6.9 s and 620 MB.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;
use rustc_hash::FxHashMap;

use super::dictionary::CipherId;
use crate::error::{Error, Result};

/// Sentences that are compared between two calls of `advance`.
const BLOCK: usize = 1024;

/// More pairs are no answer that anybody reads, and need half a gigabyte.
const MOST_PAIRS: usize = 20_000_000;

/// Product and quotient of a threshold and a size may lie this much above the whole number that they are.
const ROUNDING: f64 = 1e-9;

/// Two sentences, by their numbers in what was compared.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NearPair {
    /// The lower number.
    pub first: usize,
    /// The higher number.
    pub second: usize,
    /// Jaccard similarity of their sets of tokens and bigrams: from the threshold to 1.
    pub similarity: f64,
}

/// Different sentences, numbered from 0 as they come.
#[derive(Debug, Default)]
pub struct Sentences<'a> {
    numbers: HashMap<&'a [CipherId], usize>,
    all: Vec<&'a [CipherId]>,
}

impl<'a> Sentences<'a> {
    /// The number of a sentence, a new one where it was not met before.
    pub fn number(&mut self, sentence: &'a [CipherId]) -> usize {
        *self.numbers.entry(sentence).or_insert_with(|| {
            self.all.push(sentence);
            self.all.len() - 1
        })
    }

    /// All of them, by number.
    pub fn all(&self) -> &[&'a [CipherId]] {
        &self.all
    }
}

/// Whether two sentences may be held against a threshold: above 0, up to 1.
pub fn is_threshold(threshold: f64) -> bool {
    threshold > 0.0 && threshold <= 1.0
}

/// All pairs of `sentences`, which differ from each other, with a similarity of `threshold` or more, by their numbers. `advance`
/// is told how many more sentences were compared, and may end the work.
///
/// # Errors
/// What `advance` returns; [`Error::Refused`] for 20 million pairs or more, or more than 4294967295 tokens and bigrams.
///
/// # Panics
/// Where `threshold` is none ([`is_threshold`]).
pub fn near_pairs(
    sentences: &[&[CipherId]],
    threshold: f64,
    advance: impl FnMut(usize) -> Result<()>,
) -> Result<Vec<NearPair>> {
    fewer_pairs_than(MOST_PAIRS, sentences, threshold, advance)
}

fn fewer_pairs_than(
    most: usize,
    sentences: &[&[CipherId]],
    threshold: f64,
    mut advance: impl FnMut(usize) -> Result<()>,
) -> Result<Vec<NearPair>> {
    assert!(is_threshold(threshold), "{threshold} is no threshold");
    let join = Join::new(sentences, threshold)?;
    let n_found = AtomicUsize::new(0);
    let mut pairs = Vec::new();
    let places: Vec<usize> = (0..sentences.len()).collect();
    for block in places.chunks(BLOCK) {
        let found = block.par_iter().map(|&place| {
            if n_found.load(Ordering::Relaxed) >= most {
                return Vec::new(); // it ends in a refusal
            }
            let found = join.pairs_of(place);
            n_found.fetch_add(found.len(), Ordering::Relaxed);
            found
        });
        let found: Vec<Vec<NearPair>> = found.collect();
        if n_found.load(Ordering::Relaxed) >= most {
            return Err(too_many_pairs(most, threshold));
        }
        pairs.extend(found.into_iter().flatten());
        advance(block.len())?;
    }
    pairs.sort_unstable_by_key(|pair| (pair.first, pair.second));
    Ok(pairs)
}

fn too_many_pairs(most: usize, threshold: f64) -> Error {
    let message =
        format!("{most} pairs of sentences or more have a similarity of {threshold} or more");
    Error::refused(message).with_hint("ask for a similarity nearer to 1")
}

/// The sets of all sentences, smallest first; a sentence's place is its number in this order.
struct Join {
    threshold: f64,
    /// Number of the sentence at each place.
    numbers: Vec<usize>,
    /// Elements of each set, ascending.
    sizes: Vec<usize>,
    /// Elements of the set at each place, one set after the other; each ascends, from rare to frequent.
    elements: Vec<u32>,
    /// Where the set at each place begins, and the end of the last.
    begins: Vec<usize>,
    /// Where each element stands among the first of a set: place of the set, place in the set.
    postings: Vec<(u32, u32)>,
    /// Where the postings of each element begin, and the end of the last.
    posting_begins: Vec<usize>,
}

impl Join {
    fn new(sentences: &[&[CipherId]], threshold: f64) -> Result<Self> {
        let sets = ranked_sets(sentences)?;
        let n_elements = sets.n_elements;
        let mut numbers: Vec<usize> = (0..sentences.len()).collect();
        numbers.sort_by_key(|&number| sets.of(number).len()); // stable
        let mut elements = Vec::with_capacity(sets.elements.len());
        let mut begins = vec![0];
        for &number in &numbers {
            elements.extend_from_slice(sets.of(number));
            begins.push(elements.len());
        }
        let sizes = numbers.iter().map(|&number| sets.of(number).len());
        let mut join = Self {
            threshold,
            sizes: sizes.collect(),
            numbers,
            elements,
            begins,
            postings: Vec::new(),
            posting_begins: Vec::new(),
        };
        drop(sets); // as large as what follows
        join.write_postings(n_elements);
        Ok(join)
    }

    /// The set at a place.
    fn set(&self, place: usize) -> &[u32] {
        &self.elements[self.begins[place]..self.begins[place + 1]]
    }

    /// Elements that two sets of these sizes have in common at least, where they are near.
    fn overlap(&self, one: usize, other: usize) -> usize {
        let share = self.threshold / (1.0 + self.threshold);
        (share * (one + other) as f64 - ROUNDING).ceil() as usize
    }

    /// A set finds a smaller or equal one by the first elements of both: of the smaller set all but as many as the two have in
    /// common, less one, where the larger is no larger.
    fn write_postings(&mut self, n_elements: usize) {
        let prefix = |join: &Self, place: usize| {
            let len = join.sizes[place];
            let common = join.overlap(len, len).max(1);
            join.begins[place]..join.begins[place] + len + 1 - common
        };
        let places = 0..self.numbers.len();
        let mut begins = vec![0; n_elements + 1];
        for place in places.clone() {
            for &element in &self.elements[prefix(self, place)] {
                begins[element as usize + 1] += 1;
            }
        }
        for element in 0..n_elements {
            begins[element + 1] += begins[element];
        }
        let mut next = begins.clone();
        let mut postings = vec![(0, 0); begins[n_elements]];
        for place in places {
            for (at, &element) in self.elements[prefix(self, place)].iter().enumerate() {
                let next = &mut next[element as usize];
                postings[*next] = (place as u32, at as u32); // both are below the number of elements
                *next += 1;
            }
        }
        self.postings = postings;
        self.posting_begins = begins;
    }

    /// The pairs of the set at `place` with those at lower places, which are no larger.
    fn pairs_of(&self, place: usize) -> Vec<NearPair> {
        let set = self.set(place);
        // Whatever is near has as many elements, and as many of this set.
        let least = (self.threshold * set.len() as f64 - ROUNDING).ceil() as usize;
        let first = self.sizes[..place].partition_point(|&size| size < least);
        let mut candidates: Vec<(u32, u32, u32)> = Vec::new();
        for (at, &element) in set[..set.len() + 1 - least.max(1)].iter().enumerate() {
            let element = element as usize;
            let postings =
                &self.postings[self.posting_begins[element]..self.posting_begins[element + 1]];
            let begin = postings.partition_point(|&(other, _)| (other as usize) < first);
            let end = postings.partition_point(|&(other, _)| (other as usize) < place);
            for &(other, other_at) in &postings[begin.min(end)..end] {
                let other_len = self.sizes[other as usize];
                // Positional filter: nothing before the first common element is common.
                let most = (set.len() - at).min(other_len - other_at as usize);
                if most >= self.overlap(set.len(), other_len) {
                    candidates.push((other, at as u32, other_at));
                }
            }
        }
        candidates.sort_unstable();
        candidates.dedup_by_key(|&mut (other, ..)| other); // the first common element is kept
        let pairs = candidates.into_iter().filter_map(|(other, at, other_at)| {
            let other_set = self.set(other as usize);
            let common = n_common(&set[at as usize..], &other_set[other_at as usize..]);
            let similarity = common as f64 / (set.len() + other_set.len() - common) as f64;
            let (a, b) = (self.numbers[place], self.numbers[other as usize]);
            (similarity >= self.threshold).then(|| NearPair {
                first: a.min(b),
                second: a.max(b),
                similarity,
            })
        });
        pairs.collect()
    }
}

/// Elements of two ascending sets that are the same.
fn n_common(mut one: &[u32], mut other: &[u32]) -> usize {
    let mut common = 0;
    while let ([a, rest @ ..], [b, other_rest @ ..]) = (one, other) {
        common += usize::from(a == b);
        one = if a <= b { rest } else { one };
        other = if b <= a { other_rest } else { other };
    }
    common
}

/// Sets of all sentences, by their numbers.
struct Sets {
    /// One set after the other, each ascending.
    elements: Vec<u32>,
    /// Where each set begins, and the end of the last.
    begins: Vec<usize>,
    n_elements: usize,
}

impl Sets {
    fn of(&self, number: usize) -> &[u32] {
        &self.elements[self.begins[number]..self.begins[number + 1]]
    }
}

/// The set of every sentence. Elements are numbered from rare to frequent, and in order of first appearance among equals.
fn ranked_sets(sentences: &[&[CipherId]]) -> Result<Sets> {
    let n_tokens: usize = sentences.iter().map(|sentence| sentence.len()).sum();
    if u32::try_from(2 * n_tokens.max(sentences.len())).is_err() {
        let message = format!("{n_tokens} tokens are too many to be compared; 2147483647 at most");
        return Err(Error::refused(message).with_hint("compare fewer files"));
    }
    let mut numbers: FxHashMap<(Option<CipherId>, CipherId), u32> = FxHashMap::default();
    let mut counts: Vec<u32> = Vec::new();
    let mut elements = Vec::with_capacity(2 * n_tokens);
    let mut begins = vec![0];
    for sentence in sentences {
        let tokens = sentence.iter().map(|&token| (None, token));
        let bigrams = sentence.array_windows().map(|&[a, b]| (Some(a), b));
        for element in tokens.chain(bigrams) {
            let number = *numbers.entry(element).or_insert_with(|| {
                counts.push(0);
                counts.len() as u32 - 1
            });
            counts[number as usize] += 1;
            elements.push(number);
        }
        begins.push(elements.len());
    }
    drop(numbers);
    let mut order: Vec<u32> = (0..counts.len() as u32).collect();
    order.sort_by_key(|&number| counts[number as usize]); // stable
    let mut ranks = vec![0; order.len()];
    for (rank, &number) in order.iter().enumerate() {
        ranks[number as usize] = rank as u32;
    }
    let mut sets = Sets {
        elements: Vec::with_capacity(elements.len()),
        begins: vec![0],
        n_elements: ranks.len(),
    };
    let mut set = Vec::new();
    for &[begin, end] in begins.array_windows() {
        set.clear();
        set.extend(
            elements[begin..end]
                .iter()
                .map(|&number| ranks[number as usize]),
        );
        set.sort_unstable();
        set.dedup();
        sets.elements.extend_from_slice(&set);
        sets.begins.push(sets.elements.len());
    }
    Ok(sets)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::random::Key;

    fn sentence(ids: &[u32]) -> Vec<CipherId> {
        ids.iter().copied().map(CipherId).collect()
    }

    fn pairs(sentences: &[Vec<CipherId>], threshold: f64) -> Vec<(usize, usize, f64)> {
        let views: Vec<&[CipherId]> = sentences.iter().map(Vec::as_slice).collect();
        let found = near_pairs(&views, threshold, |_| Ok(())).expect("few pairs");
        let tuple = |pair: NearPair| (pair.first, pair.second, pair.similarity);
        found.into_iter().map(tuple).collect()
    }

    /// By the definition, every sentence with every other one.
    fn brute_force(sentences: &[Vec<CipherId>]) -> Vec<(usize, usize, f64)> {
        let set = |sentence: &Vec<CipherId>| -> HashSet<Vec<CipherId>> {
            let (tokens, bigrams) = (sentence.windows(1), sentence.windows(2));
            tokens.chain(bigrams).map(<[CipherId]>::to_vec).collect()
        };
        let sets: Vec<_> = sentences.iter().map(set).collect();
        let similarity = |first: usize, second: usize| {
            let common = sets[first].intersection(&sets[second]).count();
            common as f64 / sets[first].union(&sets[second]).count() as f64
        };
        (0..sets.len())
            .flat_map(|first| (first + 1..sets.len()).map(move |second| (first, second)))
            .map(|(first, second)| (first, second, similarity(first, second)))
            .collect()
    }

    #[test]
    fn by_hand() {
        let sentences = [
            sentence(&[1, 2, 3, 4, 5]), // tokens 1 to 5, bigrams 12 23 34 45
            sentence(&[1, 2, 3, 4]),    // seven of these nine
            sentence(&[5, 4, 3, 2, 1]), // the same tokens, no bigram of them
            sentence(&[7]),
            sentence(&[7, 7]), // and the bigram 77
            sentence(&[8, 9, 8, 9]),
            sentence(&[8, 9, 8, 9, 8]), // the same set
        ];
        assert_eq!(pairs(&sentences, 0.9), [(5, 6, 1.0)]);
        assert_eq!(pairs(&sentences, 1.0), [(5, 6, 1.0)]);
        assert_eq!(
            pairs(&sentences, 7.0 / 9.0),
            [(0, 1, 7.0 / 9.0), (5, 6, 1.0)]
        );
        assert_eq!(
            pairs(&sentences, 0.5),
            [(0, 1, 7.0 / 9.0), (3, 4, 0.5), (5, 6, 1.0)]
        );
        assert!(pairs(&[], 0.9).is_empty());
        assert!(pairs(&[sentence(&[]), sentence(&[1])], 0.9).is_empty());
    }

    /// Different sentences of up to 24 of few tokens; most are a change or two away from an earlier one.
    fn random_sentences(seed: u64, n: u64) -> Vec<Vec<CipherId>> {
        let mut sentences: Vec<Vec<CipherId>> = Vec::new();
        for i in 0..n {
            let key = Key::from_seed(seed).at(i);
            let token = |at: u64| CipherId((key.bits(100 + at) % 12) as u32);
            let mut sentence: Vec<CipherId> = (0..1 + key.bits(0) % 24).map(token).collect();
            if i > 0 && !key.bits(1).is_multiple_of(4) {
                sentence = sentences[(key.bits(2) % i) as usize].clone();
                for change in 0..1 + key.bits(3) % 2 {
                    let at = (key.bits(10 + change) % sentence.len() as u64) as usize;
                    match key.bits(20 + change) % 3 {
                        0 => sentence[at] = token(at as u64),
                        1 => sentence.insert(at, token(at as u64)),
                        _ if sentence.len() > 1 => drop(sentence.remove(at)),
                        _ => {}
                    }
                }
            }
            sentences.push(sentence);
        }
        let mut seen = HashSet::new();
        sentences.retain(|sentence| seen.insert(sentence.clone()));
        sentences
    }

    #[test]
    fn the_pairs_are_those_of_comparing_all_with_all() {
        let mut n_pairs = 0;
        for seed in 0..40 {
            let sentences = random_sentences(seed, 150);
            let all = brute_force(&sentences);
            for threshold in [0.05, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 1.0] {
                let mut expected = all.clone();
                expected.retain(|&(.., similarity)| similarity >= threshold);
                assert_eq!(pairs(&sentences, threshold), expected, "{seed} {threshold}");
                n_pairs += usize::from(threshold == 0.9) * expected.len();
            }
        }
        assert!(n_pairs > 400, "{n_pairs} pairs say little");
    }

    #[test]
    fn any_number_of_threads_finds_the_same() {
        let sentences = random_sentences(99, 3000);
        let with = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            pool.expect("threads").install(|| pairs(&sentences, 0.7))
        };
        let one = with(1);
        assert!(one.len() > 1000);
        assert_eq!(one, with(3));
    }

    #[test]
    fn the_caller_hears_of_every_sentence_and_may_end_the_work() {
        let sentences = random_sentences(5, 3000);
        let views: Vec<&[CipherId]> = sentences.iter().map(Vec::as_slice).collect();
        let mut heard = 0;
        near_pairs(&views, 0.9, |n| {
            heard += n;
            Ok(())
        })
        .expect("few pairs");
        assert_eq!(heard, sentences.len());
        let ended = near_pairs(&views, 0.9, |_| Err(Error::Interrupted));
        assert!(matches!(ended, Err(Error::Interrupted)));
    }

    #[test]
    fn more_pairs_than_anybody_reads_are_refused() {
        let sentences: Vec<_> = (2..102).map(|n| sentence(&[1, 2].repeat(n))).collect(); // all of one set
        let views: Vec<&[CipherId]> = sentences.iter().map(Vec::as_slice).collect();
        let most = |most| fewer_pairs_than(most, &views, 0.9, |_| Ok(()));
        assert_eq!(most(4951).expect("one fewer").len(), 4950);
        let error = most(4950).expect_err("as many");
        assert_eq!(
            error.to_string(),
            "4950 pairs of sentences or more have a similarity of 0.9 or more"
        );
        assert_eq!(error.hint(), Some("ask for a similarity nearer to 1"));
    }
}
