//! BioWord: codes of tokens that have learnt which tokens stand around each other.
//!
//! In: sentences of ids below a bound. Out: for each token a k-hot code; tokens with like neighbours have like codes. Source: Liang
//! et al., "Can a Fruit Fly Learn Word Embeddings?" (ICLR 2021). Units of two networks that were trained apart have nothing to do with
//! each other: compare codes of one [`BioWord`] only. Finds no neighbours ([`super::inverted`] does).
//!
//! A sample is a window: the tokens around its centre, in the first half of the inputs, as often as they occur; the centre itself in
//! the second half. The unit with the largest overlap wins, and moves towards the sample with each input divided by how often its
//! token occurs. Where the authors leave out sentences shorter than a window, windows are cut here at the ends of a sentence:
//! sentences of ciphers have six or seven tokens. Inputs are lists of ids; the (2 · ids) numbers of a sample are never written down.

use rand::seq::SliceRandom;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::biohash::Learning;
use super::codes::{SetList, winners};
use super::competitive::{Begun, Epoch, Learner, Rule, Samples};
use crate::error::{Error, Result};
use crate::random::{Key, Purpose};

/// How a network of tokens is made.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct BioWordOptions {
    /// Units.
    pub n_units: usize,
    /// Ones of a code.
    pub k: usize,
    /// Tokens of a window with its centre: odd, 3 or more.
    pub window: usize,
    /// How long and how fast to learn; anti-learning begins after an eighth of the epochs.
    pub learning: Learning,
    /// Standard deviation of the first weights.
    pub deviation: f32,
}

impl Default for BioWordOptions {
    /// As published, but windows of 5 tokens for 11, and a rate 500 times as high: a competition has far less text, so fewer steps, and
    /// at the published rate units end nearly as they began.
    fn default() -> Self {
        Self {
            n_units: 400,
            k: 50,
            window: 5,
            learning: Learning {
                epochs: 15,
                batch: 10_000,
                rate: 1.0,
                rule: Rule::default(),
            },
            deviation: 0.02,
        }
    }
}

/// What was learnt of each token.
#[derive(Debug, Clone)]
pub struct BioWord {
    n_ids: usize,
    /// (units × 2 · ids). Not scaled to one length: units that never won would stand beside those that have learnt.
    weights: Vec<f32>,
    k: usize,
}

impl BioWord {
    /// Learns from sentences of ids below `n_ids`, from the beginning or from where an earlier learning was cut, to the same bytes.
    /// `advance` hears of every epoch and may end the work.
    ///
    /// # Errors
    /// [`Error::Refused`] for options or sentences that make no codes, for a rate that is too high, and for a beginning of another
    /// size; what `advance` returns.
    ///
    /// # Panics
    /// Where an id is not below the bound.
    pub fn learn(
        sentences: &[&[u32]],
        n_ids: usize,
        options: &BioWordOptions,
        seed: u64,
        begun: Option<Begun>,
        mut advance: impl FnMut(Epoch) -> Result<()>,
    ) -> Result<Self> {
        check(options)?;
        let windows = Windows::of(sentences, n_ids, options.window / 2);
        if windows.is_empty() {
            let refused = Error::refused("no sentence has two tokens: nothing stands around any");
            return Err(refused.with_hint("BioWord needs sentences of several tokens"));
        }
        let key = Key::from_seed(seed).with(Purpose::Index);
        let (learning, width) = (&options.learning, 2 * n_ids);
        let (units, deviation) = (options.n_units, options.deviation);
        let mut learner = Learner::new(units, width, deviation, learning.rule, key.at(0));
        let first = learner.go_on(begun)?;
        let mut order: Vec<u32> = (0..windows.len() as u32).collect();
        for epoch in first..learning.epochs {
            order.sort_unstable();
            order.shuffle(&mut key.at(1).at(epoch as u64).rng());
            let part = epoch as f32 / learning.epochs as f32;
            let begun = (epoch as f32 - learning.epochs as f32 / 8.0) / 10.0;
            learner.set_anti(learning.rule.anti * 0.5 * (1.0 + begun.tanh()));
            for numbers in order.chunks(learning.batch.max(1)) {
                let batch = Batch {
                    windows: &windows,
                    numbers,
                };
                learner.step(&batch, learning.rate * (1.0 - part));
            }
            learner.require_finite()?;
            advance(learner.after(epoch + 1))?;
        }
        let weights = learner.into_weights();
        let k = options.k;
        Ok(Self { n_ids, weights, k })
    }

    /// Number of units.
    pub fn n_units(&self) -> usize {
        self.weights.len() / (2 * self.n_ids)
    }

    /// The code of every id: the units with the largest weights at the id as a centre.
    pub fn codes(&self) -> SetList {
        let ids = 0..self.n_ids;
        let codes = ids.into_par_iter().map(|id| {
            let units = self.weights.chunks_exact(2 * self.n_ids);
            let column: Vec<f32> = units.map(|unit| unit[self.n_ids + id]).collect();
            winners(&column, self.k)
        });
        let codes: Vec<Vec<u32>> = codes.collect();
        let mut list = SetList::default();
        codes.into_iter().for_each(|code| list.push(code));
        list
    }
}

/// # Errors
/// [`Error::Refused`].
fn check(options: &BioWordOptions) -> Result<()> {
    if options.window < 3 || options.window.is_multiple_of(2) {
        let message = format!("windows of {} tokens", options.window);
        return Err(Error::refused(message).with_hint("an odd number, 3 or more"));
    }
    if !(1..=options.n_units).contains(&options.k) {
        let message = format!("codes with {} ones of {} units", options.k, options.n_units);
        return Err(Error::refused(message).with_hint("from 1 to the number of units"));
    }
    if options.n_units > usize::from(u16::MAX) {
        let message = format!("codes of {} units", options.n_units);
        return Err(Error::refused(message).with_hint("65535 units at most"));
    }
    Ok(())
}

/// All windows, as the inputs that each of them switches on.
struct Windows {
    inputs: Vec<u32>,
    /// Where the inputs of each window end.
    ends: Vec<usize>,
    /// For each input 1 over how often its token occurs; 0 for one that does not.
    shares: Vec<f32>,
}

impl Windows {
    fn of(sentences: &[&[u32]], n_ids: usize, reach: usize) -> Self {
        let mut counts = vec![0_u32; n_ids];
        let (mut inputs, mut ends) = (Vec::new(), Vec::new());
        for sentence in sentences {
            sentence.iter().for_each(|&id| counts[id as usize] += 1);
            if sentence.len() < 2 {
                continue;
            }
            for (place, &centre) in sentence.iter().enumerate() {
                inputs.extend_from_slice(&sentence[place.saturating_sub(reach)..place]);
                let end = sentence.len().min(place + 1 + reach);
                inputs.extend_from_slice(&sentence[place + 1..end]);
                inputs.push(n_ids as u32 + centre);
                ends.push(inputs.len());
            }
        }
        let share = |&count: &u32| match count {
            0 => 0.0,
            count => 1.0 / count as f32,
        };
        let shares: Vec<f32> = counts.iter().map(share).collect();
        Self {
            inputs,
            ends,
            shares: shares.repeat(2),
        }
    }

    fn len(&self) -> usize {
        self.ends.len()
    }

    fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    fn inputs(&self, number: usize) -> &[u32] {
        let begin = match number {
            0 => 0,
            number => self.ends[number - 1],
        };
        &self.inputs[begin..self.ends[number]]
    }
}

/// Some windows.
struct Batch<'a> {
    windows: &'a Windows,
    numbers: &'a [u32],
}

impl Samples for Batch<'_> {
    fn len(&self) -> usize {
        self.numbers.len()
    }

    fn overlaps(&self, units: &[f32], width: usize, overlaps: &mut [f32]) {
        let units = units.par_chunks_exact(width);
        let rows = overlaps.par_chunks_exact_mut(self.len());
        units.zip(rows).for_each(|(unit, overlaps)| {
            for (overlap, &number) in overlaps.iter_mut().zip(self.numbers) {
                let inputs = self.windows.inputs(number as usize).iter();
                *overlap = inputs.map(|&input| unit[input as usize]).sum();
            }
        });
    }

    fn drive(&self, sample: usize, unit: &[f32], _: f32) -> f32 {
        let inputs = self.windows.inputs(self.numbers[sample] as usize).iter();
        let drives =
            inputs.map(|&input| unit[input as usize] * self.windows.shares[input as usize]);
        drives.sum()
    }

    fn add(&self, sample: usize, scale: f32, sum: &mut [f32]) {
        for &input in self.windows.inputs(self.numbers[sample] as usize) {
            sum[input as usize] += scale * self.windows.shares[input as usize];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::{Index, Inverted};

    /// Tokens 0 to 9 stand among 20 to 29, tokens 10 to 19 among 30 to 39.
    fn sentences() -> Vec<Vec<u32>> {
        let key = Key::from_seed(1);
        let sentence = |number: u64| -> Vec<u32> {
            let key = key.at(number);
            let kind = (number % 2) as u32;
            let draw = |at: u64| (key.bits(at) % 10) as u32;
            let around = |at: u64| 20 + 10 * kind + draw(at);
            vec![
                around(0),
                around(1),
                10 * kind + draw(2),
                around(3),
                around(4),
            ]
        };
        (0..2000).map(sentence).collect()
    }

    fn options() -> BioWordOptions {
        let mut options = BioWordOptions {
            n_units: 20,
            k: 2,
            ..BioWordOptions::default()
        };
        options.learning.batch = 500;
        options.learning.rate = 0.01; // few steps
        options
    }

    fn learnt(sentences: &[Vec<u32>], options: &BioWordOptions) -> Result<BioWord> {
        let views: Vec<&[u32]> = sentences.iter().map(Vec::as_slice).collect();
        BioWord::learn(&views, 40, options, 1, None, |_| Ok(()))
    }

    #[test]
    fn tokens_with_the_same_neighbours_have_like_codes_on_any_number_of_threads() {
        let on = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
            let pool = pool.build().expect("threads");
            pool.install(|| learnt(&sentences(), &options()).expect("learnt").codes())
        };
        let codes = on(1);
        assert_eq!(codes, on(3));
        assert!(codes.sets().all().all(|code| code.len() == 2));
        let mut index = Inverted::new(20);
        index.add(codes.sets().into()).expect("units");
        let found = index
            .search(codes.sets().into(), 40)
            .expect("enough tokens");
        // Of the nearest of a token among the twenty that never stand around one, most are of its own kind.
        let mut right = 0;
        for (token, found) in found.iter().enumerate().take(20) {
            let others = found.iter().map(|found| found.number);
            let others = others.filter(|&other| other < 20 && other != token).take(9);
            right += others.filter(|other| other / 10 == token / 10).count();
        }
        assert!(right >= 150, "{right} of 180");
    }

    #[test]
    fn what_was_cut_goes_on_to_the_same_bytes() {
        let sentences = sentences();
        let views: Vec<&[u32]> = sentences.iter().map(Vec::as_slice).collect();
        let whole = learnt(&sentences, &options()).expect("learnt");
        let mut begun = None;
        let cut = |epoch: Epoch| {
            begun = Some(Begun {
                done: epoch.done,
                weights: epoch.weights.to_vec(),
            });
            match epoch.done {
                5 => Err(Error::Interrupted),
                _ => Ok(()),
            }
        };
        BioWord::learn(&views, 40, &options(), 1, None, cut).expect_err("cut");
        let gone_on = BioWord::learn(&views, 40, &options(), 1, begun, |_| Ok(()));
        assert!(gone_on.expect("learnt").weights == whole.weights);
    }

    #[test]
    fn windows_are_cut_at_the_ends_and_count_repetitions() {
        let windows = Windows::of(&[&[7, 3, 3], &[5], &[]], 10, 2);
        let all: Vec<&[u32]> = (0..windows.len()).map(|n| windows.inputs(n)).collect();
        assert_eq!(all, [&[3, 3, 17][..], &[7, 3, 13], &[7, 3, 13]]);
        assert_eq!(windows.shares[3], 0.5);
        assert_eq!((windows.shares[15], windows.shares[0]), (1.0, 0.0));
        let batch = Batch {
            windows: &windows,
            numbers: &[1, 0],
        };
        let mut unit = vec![0.0; 20];
        (unit[7], unit[3], unit[13]) = (1.0, 2.0, 4.0);
        let mut overlaps = [0.0; 2];
        batch.overlaps(&unit, 20, &mut overlaps);
        assert_eq!(overlaps, [7.0, 4.0]);
        assert_eq!(batch.drive(0, &unit, 7.0), 1.0 + 1.0 + 2.0);
        let mut sum = vec![0.0; 20];
        batch.add(1, 2.0, &mut sum);
        assert_eq!((sum[3], sum[17], sum[13]), (2.0, 2.0, 0.0));
    }

    #[test]
    fn the_largest_step_is_the_rate_here_too() {
        let sentences = sentences();
        let views: Vec<&[u32]> = sentences.iter().map(Vec::as_slice).collect();
        let windows = Windows::of(&views, 40, 2);
        let numbers: Vec<u32> = (0..300).collect();
        let batch = Batch {
            windows: &windows,
            numbers: &numbers,
        };
        let mut learner = Learner::new(20, 80, 0.02, Rule::default(), Key::from_seed(2));
        let before = learner.weights().to_vec();
        learner.step(&batch, 2e-3);
        let pairs = before.iter().zip(learner.weights());
        let change = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!((change - 2e-3).abs() < 1e-8, "{change}");
    }

    #[test]
    fn what_makes_no_codes_is_refused() {
        let refused = |sentences: &[Vec<u32>], options: BioWordOptions| {
            let error = learnt(sentences, &options).expect_err("refused");
            assert!(error.hint().is_some(), "{error}");
            error.to_string()
        };
        let window = BioWordOptions {
            window: 4,
            ..options()
        };
        assert_eq!(refused(&sentences(), window), "windows of 4 tokens");
        let ones = BioWordOptions { k: 21, ..options() };
        assert_eq!(
            refused(&sentences(), ones),
            "codes with 21 ones of 20 units"
        );
        let units = BioWordOptions {
            n_units: 65_536,
            ..options()
        };
        assert_eq!(refused(&sentences(), units), "codes of 65536 units");
        let mut fast = options();
        fast.learning.rate = 1e20;
        assert!(refused(&sentences(), fast).contains("no finite numbers"));
        let short = [vec![1], vec![], vec![2]];
        assert!(refused(&short, options()).contains("no sentence has two tokens"));
    }
}
