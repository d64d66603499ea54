//! Codes: the ones of a k-hot code as a set of units, or all bits packed into words.
//!
//! In: activations. Out: codes, and what two of them have in common. Does not know where activations come from.

use super::vectors::Sets;

/// Sets of ids, one behind the other, that grow.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SetList {
    ids: Vec<u32>,
    ends: Vec<usize>,
}

impl SetList {
    /// A view of all of them.
    pub fn sets(&self) -> Sets<'_> {
        Sets::of_list(&self.ids, &self.ends)
    }

    /// One more set, whose ids ascend.
    pub fn push(&mut self, set: impl IntoIterator<Item = u32>) {
        let begin = self.ids.len();
        self.ids.extend(set);
        debug_assert!(self.ids[begin..].array_windows().all(|[a, b]| a < b));
        self.ends.push(self.ids.len());
    }

    /// All ids, set after set.
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// Puts the sets of another list behind these.
    pub fn append(&mut self, other: &Self) {
        let before = self.ids.len();
        self.ids.extend_from_slice(&other.ids);
        self.ends.extend(other.ends.iter().map(|end| before + end));
    }
}

/// Codes of a fixed number of bits, each in whole words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BitCodes {
    n_bits: usize,
    words: Vec<u64>,
}

impl BitCodes {
    /// No code yet.
    ///
    /// # Panics
    /// Where `n_bits` is 0.
    pub fn new(n_bits: usize) -> Self {
        assert!(n_bits > 0, "a code has bits");
        let words = Vec::new();
        Self { n_bits, words }
    }

    /// Codes as [`BitCodes::words`] gives them; none where they are not whole or have bits beyond the last one.
    pub fn of_words(n_bits: usize, words: Vec<u64>) -> Option<Self> {
        let codes = Self { n_bits, words };
        let used = n_bits % 64;
        let mut last_words = codes.words.chunks(codes.n_words()).map(|code| code.last());
        let is_clean = |word: u64| used == 0 || word >> used == 0;
        let whole = n_bits > 0 && codes.words.len().is_multiple_of(codes.n_words());
        let clean = last_words.all(|word| word.is_some_and(|&word| is_clean(word)));
        (whole && clean).then_some(codes)
    }

    /// Bits of a code.
    pub fn n_bits(&self) -> usize {
        self.n_bits
    }

    /// Number of codes.
    pub fn len(&self) -> usize {
        self.words.len() / self.n_words()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// Words of a code.
    fn n_words(&self) -> usize {
        self.n_bits.div_ceil(64).max(1)
    }

    /// One more code.
    pub fn push(&mut self, bits: impl IntoIterator<Item = bool>) {
        let begin = self.words.len();
        self.words.resize(begin + self.n_words(), 0);
        for (at, bit) in bits.into_iter().take(self.n_bits).enumerate() {
            self.words[begin + at / 64] |= u64::from(bit) << (at % 64);
        }
    }

    /// Puts the codes of another list, of as many bits, behind these.
    pub fn append(&mut self, other: &Self) {
        assert_eq!(self.n_bits, other.n_bits, "codes of one length");
        self.words.extend_from_slice(&other.words);
    }

    /// One code; the bits after its last are 0.
    pub fn code(&self, number: usize) -> &[u64] {
        &self.words[number * self.n_words()..][..self.n_words()]
    }

    /// All codes in their order.
    pub fn all(&self) -> std::slice::ChunksExact<'_, u64> {
        self.words.chunks_exact(self.n_words())
    }

    /// All codes as ones and zeros, (codes × bits).
    pub fn unpacked(&self) -> Vec<u8> {
        let codes = 0..self.len();
        let bits = codes.flat_map(|code| (0..self.n_bits).map(move |at| (code, at)));
        bits.map(|(code, at)| u8::from(self.bit(code, at)))
            .collect()
    }

    /// All codes, code after code.
    pub fn words(&self) -> &[u64] {
        &self.words
    }

    /// Whether a bit of a code is one.
    pub fn bit(&self, number: usize, at: usize) -> bool {
        self.code(number)[at / 64] >> (at % 64) & 1 == 1
    }
}

/// In how many bits two codes differ.
pub fn hamming(a: &[u64], b: &[u64]) -> u32 {
    a.iter().zip(b).map(|(a, b)| (a ^ b).count_ones()).sum()
}

/// The `k` units with the largest activations, ascending; of equal activations the lowest units win. All units where there are no
/// more than `k`.
pub fn winners(activations: &[f32], k: usize) -> Vec<u32> {
    let mut units: Vec<u32> = (0..activations.len() as u32).collect();
    let order = |&a: &u32, &b: &u32| {
        let by_activation = activations[b as usize].total_cmp(&activations[a as usize]);
        by_activation.then(a.cmp(&b))
    };
    if k > 0 && k < units.len() {
        units.select_nth_unstable_by(k - 1, order);
    }
    units.truncate(k);
    units.sort_unstable();
    units
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_k_units_win_and_of_equals_the_lowest() {
        let activations = [1.0, 3.0, 2.0, 3.0, 2.0, 2.0, -1.0];
        assert_eq!(winners(&activations, 1), [1]);
        assert_eq!(winners(&activations, 3), [1, 2, 3]);
        assert_eq!(winners(&activations, 4), [1, 2, 3, 4]);
        assert_eq!(winners(&[0.0; 9], 4), [0, 1, 2, 3]);
        assert_eq!(winners(&activations, 7), [0, 1, 2, 3, 4, 5, 6]);
        assert_eq!(winners(&activations, 9).len(), 7);
    }

    #[test]
    fn bits_are_packed_and_compared() {
        let mut codes = BitCodes::new(70);
        codes.push((0..70).map(|at| at == 0 || at == 69));
        codes.push((0..70).map(|at| at == 1 || at == 69));
        assert_eq!(codes.len(), 2);
        assert!(codes.bit(0, 69) && codes.bit(1, 1) && !codes.bit(1, 0));
        assert_eq!(hamming(codes.code(0), codes.code(1)), 2);
        let unpacked = codes.unpacked();
        assert_eq!(unpacked.len(), 140);
        assert_eq!((unpacked[69], unpacked[70], unpacked[71]), (1, 0, 1));
        let words = codes.words().to_vec();
        assert_eq!(BitCodes::of_words(70, words), Some(codes));
        assert_eq!(BitCodes::of_words(70, vec![0, 1 << 6]), None);
        assert_eq!(BitCodes::of_words(70, vec![0; 3]), None);
    }

    #[test]
    fn the_distance_of_k_hot_codes_is_twice_what_they_do_not_share() {
        let key = crate::random::Key::from_seed(3);
        let (m, k) = (200, 10);
        let code = |number: u64| {
            let key = key.at(number);
            let activations: Vec<f32> = (0..m).map(|unit| key.normal(unit) as f32).collect();
            winners(&activations, k)
        };
        let mut bits = BitCodes::new(m as usize);
        let mut list = SetList::default();
        for number in 0..20 {
            let set = code(number);
            bits.push((0..m as u32).map(|unit| set.contains(&unit)));
            list.push(set);
        }
        for one in 0..20 {
            for other in 0..20 {
                let (a, b) = (list.sets().set(one), list.sets().set(other));
                let overlap = a.iter().filter(|unit| b.contains(unit)).count();
                let distance = hamming(bits.code(one), bits.code(other)) as usize;
                assert_eq!(distance, 2 * (k - overlap));
            }
        }
    }
}
