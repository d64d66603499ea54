//! Counter-based randomness: every draw is a function of a key and a counter.
//!
//! A [`Key`] is narrowed step by step: `Key::from_seed(seed).with(Purpose::Mask).at(epoch).at(row)`.
//! No draw depends on how many draws came before it elsewhere or on threads, so one more
//! draw in one stream does not shift the others. Two ways out: [`Key::rng`], a ChaCha8 stream for
//! shuffles and samples, and [`Key::bits`], a stateless hash for dropout masks.
//! Not for cryptography.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// What a stream of draws is for. The numbers are part of the result: never reuse one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub enum Purpose {
    /// Fresh parameters.
    Initialise = 1,
    /// Order of the training rows.
    Shuffle = 2,
    /// Which of the two sentences comes first.
    Swap = 3,
    /// Which tokens are masked, and by what.
    Mask = 4,
    /// Dropout of hidden states and attention.
    Dropout = 5,
    /// Alignment.
    Align = 6,
    /// Which fold a row is held out in.
    Deal = 7,
    /// The root of one fold's fit.
    Fold = 8,
    /// Rows drawn again for an interval.
    Bootstrap = 9,
    /// Halves of the rows, one to choose weights on and one to judge them by.
    Halves = 16,
    /// The ids of a cipher of one's own.
    Encipher = 17,
    /// Embedding rows of tokens whose plaintext nobody knows.
    Noise = 18,
    /// Which words of a plaintext are spelled.
    Spell = 19,
    /// Places that are hidden to refine an alignment.
    Refine = 20,
    /// The root of one stage of a fit after the first.
    Stage = 21,
    /// Dropout of the state of `[CLS]`, sample by sample.
    DropoutSamples = 22,
    /// Which pairs of lines are no neighbours, and what stands in the place of the second.
    NextSentence = 23,
    /// What is hidden of lines that are held out, and which of their pairs are no neighbours.
    HoldOut = 24,
    /// Tokens of sentences that a network writes.
    Generate = 32,
    /// Projections and learning of an index.
    Index = 40,
}

/// A point in the tree of random streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key(u64);

impl Key {
    /// The root of all streams of one seed.
    pub fn from_seed(seed: u64) -> Self {
        Self(mix(seed ^ 0x6369_7068_6572_7065)) // "cipherpe": keeps seed 0 away from the fixed point
    }

    /// The stream of one purpose.
    pub fn with(self, purpose: Purpose) -> Self {
        self.at(purpose as u64 | 1 << 63)
    }

    /// The sub-stream number `index` (epoch, step, layer, row, …).
    pub fn at(self, index: u64) -> Self {
        Self(mix(self.0.rotate_left(23) ^ mix(index)))
    }

    /// A generator for shuffles and samples.
    pub fn rng(self) -> ChaCha8Rng {
        ChaCha8Rng::seed_from_u64(self.0)
    }

    /// 64 uniform bits for counter `counter`, without state (SplitMix64, Steele et al. 2014).
    #[inline(always)]
    pub fn bits(self, counter: u64) -> u64 {
        mix(self
            .0
            .wrapping_add(counter.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
    }

    /// A uniform draw, 0 to below 1, for counter `counter`, without state.
    #[inline(always)]
    pub fn uniform(self, counter: u64) -> f64 {
        (self.bits(counter) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A draw from the standard normal distribution for counter `counter`, without state.
    pub fn normal(self, counter: u64) -> f64 {
        let uniform = |bits: u64| ((bits >> 11) as f64 + 0.5) / (1_u64 << 53) as f64; // between 0 and 1
        let (radius, angle) = (self.bits(2 * counter), self.bits(2 * counter + 1));
        normal(uniform(radius), uniform(angle))
    }
}

/// The transform of two uniform draws, `radius` above 0, to a standard normal one (Box and Muller 1958).
fn normal(radius: f64, angle: f64) -> f64 {
    (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
}

/// `n` normal values with mean 0, from the stream of `key`.
pub fn normal_values(n: usize, deviation: f32, key: Key) -> Vec<f32> {
    let mut rng = key.rng();
    let mut draw = || {
        let (radius, angle): (f64, f64) = (rng.random(), rng.random());
        (normal(1.0 - radius, angle) * f64::from(deviation)) as f32
    };
    (0..n).map(|_| draw()).collect()
}

/// The finaliser of SplitMix64: a bijection of 64 bits in which every input bit moves half the output.
#[inline(always)]
fn mix(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_of_different_keys_differ() {
        let root = Key::from_seed(0);
        let keys = [
            root,
            Key::from_seed(1),
            root.with(Purpose::Mask),
            root.with(Purpose::Dropout),
            root.at(0),
            root.at(1),
            root.at(0).at(1),
            root.at(1).at(0),
        ];
        for (i, a) in keys.iter().enumerate() {
            for b in &keys[..i] {
                assert_ne!(a.bits(0), b.bits(0));
            }
        }
    }

    #[test]
    fn bits_are_uniform_and_uncorrelated_between_neighbours() {
        let key = Key::from_seed(7).with(Purpose::Dropout);
        let n = 100_000;
        let below = (0..n).filter(|&i| key.bits(i) < u64::MAX / 10).count() as f64 / n as f64;
        assert!((below - 0.1).abs() < 0.004, "{below}"); // four standard errors
        let both = (0..n)
            .filter(|&i| {
                (key.bits(i) ^ key.bits(i + 1))
                    .count_ones()
                    .is_multiple_of(2)
            })
            .count();
        assert!((both as f64 / n as f64 - 0.5).abs() < 0.007, "{both}");
    }
}
