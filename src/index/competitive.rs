//! Competitive learning: of all units the one that a sample drives most moves towards it. BioHash and BioWord share it.
//!
//! In: minibatches of [`Samples`], dense or sparse. Out: weights, (units × width). Does not know what the weights are for, and
//! chooses no learning rate.
//!
//! The rule of Krotov and Hopfield ("Unsupervised learning by competing hidden units", PNAS 2019), as BioHash uses it (Ryali et
//! al. 2020): with `<W,x>_μ = Σ_i sign(W_μi) |W_μi|^(p-1) x_i`, every sample moves its winner by `x - <W,x>_μ W_μ` and, where
//! there is anti-learning, the unit of the given rank by `-Δ` times that. The moves of a minibatch are added up, and the sum is
//! scaled so that its largest entry is the learning rate. Every unit that goes on winning ends with `‖W_μ‖_p = 1`.
//!
//! The winner is the unit with the largest `<W,x>_μ`, whatever its length; units that rarely win keep the length they began with
//! and win by it. [`WinnerRule::Normalised`] divides by `‖W_μ‖_p^(p-1)`, which is the energy that the rule descends.
//!
//! Units are worked on in parallel, the samples of a unit in their order: the same bytes on any number of threads.

use std::borrow::Cow;

use multiversion::multiversion;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::kernels::rows;
use crate::random::{Key, normal_values};

/// The scale of a step is no smaller.
const LEAST_STEP: f32 = 1e-30;
/// Samples whose winners are looked for together.
const BLOCK: usize = 64;

/// A minibatch.
pub trait Samples: Sync {
    /// Number of samples.
    fn len(&self) -> usize;

    /// Whether there is none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Overlap of every unit with every sample, (units × samples): what decides who wins.
    fn overlaps(&self, units: &[f32], width: usize, overlaps: &mut [f32]);

    /// `<W,x>_μ` of one unit, whose overlap with the sample is `overlap`.
    fn drive(&self, sample: usize, unit: &[f32], overlap: f32) -> f32;

    /// `sum += scale · x`.
    fn add(&self, sample: usize, scale: f32, sum: &mut [f32]);
}

/// How the winner is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WinnerRule {
    /// By `<W,x>_μ`, as published.
    Raw,
    /// By `<W,x>_μ / ‖W_μ‖_p^(p-1)`.
    Normalised,
}

/// Constants of the rule.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    /// Exponent of the norm: 2 or more.
    pub p: f32,
    /// Δ, the strength of anti-learning; 0 for none.
    pub anti: f32,
    /// Rank of the unit that anti-learns: 2 or more.
    pub rank: usize,
    /// How the winner is found.
    pub winner: WinnerRule,
}

impl Default for Rule {
    /// Those of BioHash.
    fn default() -> Self {
        Self {
            p: 2.0,
            anti: 0.0,
            rank: 2,
            winner: WinnerRule::Raw,
        }
    }
}

/// One unit's share in one sample.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Win {
    unit: usize,
    sample: usize,
    /// 1 for the winner, -Δ for the one that anti-learns.
    strength: f32,
    overlap: f32,
}

/// What a caller hears after every epoch.
#[derive(Debug, Clone, Copy)]
pub struct Epoch<'a> {
    /// Passes that are done.
    pub done: usize,
    /// Mean length of a unit's weights; near 1 at the end.
    pub mean_norm: f64,
    /// What is learnt so far, (units × width): with it a learning that was cut goes on.
    pub weights: &'a [f32],
}

/// What an earlier learning from the same input has left after an epoch.
#[derive(Debug, Clone, PartialEq)]
pub struct Begun {
    /// Passes that are done.
    pub done: usize,
    /// As [`Epoch::weights`] had them.
    pub weights: Vec<f32>,
}

/// Weights under way.
#[derive(Debug, Clone)]
pub struct Learner {
    width: usize,
    rule: Rule,
    /// (units × width).
    weights: Vec<f32>,
    /// Moves of the units of one minibatch, (units × width).
    moves: Vec<f32>,
    overlaps: Vec<f32>,
}

impl Learner {
    /// Weights from the normal distribution of mean 0.
    ///
    /// # Panics
    /// Where there are no units or no inputs.
    pub fn new(n_units: usize, width: usize, deviation: f32, rule: Rule, key: Key) -> Self {
        assert!(n_units > 0 && width > 0, "units with inputs");
        Self {
            width,
            rule,
            weights: normal_values(n_units * width, deviation, key),
            moves: vec![0.0; n_units * width],
            overlaps: Vec::new(),
        }
    }

    /// Takes the weights of an earlier learning, where there is one; the number of passes that are done.
    ///
    /// # Errors
    /// [`Error::Refused`] for weights of another size.
    pub fn go_on(&mut self, begun: Option<Begun>) -> Result<usize> {
        let Some(begun) = begun else { return Ok(0) };
        let (found, expected) = (begun.weights.len(), self.weights.len());
        if found != expected {
            let message = format!("a learning of {expected} weights goes on with {found} weights");
            return Err(Error::refused(message).with_hint("begin it anew"));
        }
        self.weights = begun.weights;
        Ok(begun.done)
    }

    /// How it stands after so many passes.
    pub fn after(&self, done: usize) -> Epoch<'_> {
        Epoch {
            done,
            mean_norm: self.mean_norm(),
            weights: &self.weights,
        }
    }

    /// Number of units.
    pub fn n_units(&self) -> usize {
        self.weights.len() / self.width
    }

    /// (units × width).
    pub fn weights(&self) -> &[f32] {
        &self.weights
    }

    /// (units × width).
    pub fn into_weights(self) -> Vec<f32> {
        self.weights
    }

    /// Anti-learning from now on.
    pub fn set_anti(&mut self, anti: f32) {
        self.rule.anti = anti;
    }

    /// Mean of `‖W_μ‖_p` over the units; near 1 once all of them have won for long enough.
    pub fn mean_norm(&self) -> f64 {
        let norms = self
            .weights
            .chunks_exact(self.width)
            .map(|row| self.norm(row));
        norms.sum::<f64>() / self.n_units() as f64
    }

    /// Steps that are too large leave the numbers: what is learnt from there on is nothing.
    ///
    /// # Errors
    /// [`Error::Refused`] for weights that are not finite.
    pub fn require_finite(&self) -> Result<()> {
        if self.weights.iter().all(|weight| weight.is_finite()) {
            return Ok(());
        }
        let refused = Error::refused("the learning ended in weights that are no finite numbers");
        Err(refused.with_hint("learn at a lower rate (--rate)"))
    }

    fn norm(&self, row: &[f32]) -> f64 {
        let p = f64::from(self.rule.p);
        let power: f64 = match self.rule.p {
            2.0 => row.iter().map(|&w| f64::from(w) * f64::from(w)).sum(),
            _ => row.iter().map(|&w| f64::from(w).abs().powf(p)).sum(),
        };
        power.powf(1.0 / p)
    }

    /// One minibatch: the entry that moves most moves by `rate`.
    pub fn step(&mut self, samples: &impl Samples, rate: f32) {
        let mut overlaps = std::mem::take(&mut self.overlaps);
        overlaps.resize(self.n_units() * samples.len(), 0.0);
        let units = powered(&self.weights, self.rule.p);
        samples.overlaps(&units, self.width, &mut overlaps);
        let wins = self.wins(&overlaps, samples.len());
        let mut begins = vec![0; self.n_units() + 1];
        wins.iter().for_each(|win| begins[win.unit + 1] += 1);
        for unit in 0..self.n_units() {
            begins[unit + 1] += begins[unit];
        }
        let wins_of = |unit: usize| &wins[begins[unit]..begins[unit + 1]];
        let moves = self.moves.par_chunks_exact_mut(self.width).enumerate();
        let largest = moves.map(|(unit, move_of)| {
            let wins = wins_of(unit);
            if wins.is_empty() {
                return 0.0;
            }
            move_of.fill(0.0);
            let row = unit * self.width..(unit + 1) * self.width;
            let mut total = 0.0;
            for win in wins {
                samples.add(win.sample, win.strength, move_of);
                total += win.strength * samples.drive(win.sample, &units[row.clone()], win.overlap);
            }
            rows::add_scaled(move_of, -total, &self.weights[row]);
            largest_magnitude(move_of)
        });
        let largest = largest.reduce(|| 0.0, f32::max).max(LEAST_STEP);
        drop(units);
        let moves = self.moves.par_chunks_exact(self.width);
        let weights = self.weights.par_chunks_exact_mut(self.width);
        let pairs = weights.zip(moves).enumerate();
        pairs
            .filter(|&(unit, _)| !wins_of(unit).is_empty())
            .for_each(|(_, (weights, moves))| add_step(weights, moves, largest, rate));
        self.overlaps = overlaps;
    }

    /// Who wins and who anti-learns, by unit and then by sample.
    fn wins(&self, overlaps: &[f32], n_samples: usize) -> Vec<Win> {
        let scales: Option<Vec<f32>> = (self.rule.winner == WinnerRule::Normalised).then(|| {
            let rows = self.weights.par_chunks_exact(self.width);
            let power = f64::from(self.rule.p) - 1.0;
            let scale = |row| {
                self.norm(row)
                    .powf(power)
                    .max(f64::from(LEAST_STEP))
                    .recip() as f32
            };
            rows.map(scale).collect()
        });
        let score = |unit: usize, overlap: f32| match &scales {
            None => overlap,
            Some(scales) => overlap * scales[unit],
        };
        let blocks = (0..n_samples.div_ceil(BLOCK)).into_par_iter();
        let wins = blocks.flat_map_iter(|block| {
            let (first, end) = (block * BLOCK, n_samples.min((block + 1) * BLOCK));
            let mut best = vec![(f32::NEG_INFINITY, 0); end - first];
            for (unit, overlaps) in overlaps.chunks_exact(n_samples).enumerate() {
                for (best, &overlap) in best.iter_mut().zip(&overlaps[first..end]) {
                    let score = score(unit, overlap);
                    if score > best.0 {
                        *best = (score, unit);
                    }
                }
            }
            let win = |unit: usize, sample: usize, strength| Win {
                unit,
                sample,
                strength,
                overlap: overlaps[unit * n_samples + sample],
            };
            let winners = best.into_iter().enumerate();
            let mut wins: Vec<Win> = winners
                .map(|(at, (_, unit))| win(unit, first + at, 1.0))
                .collect();
            if self.rule.anti != 0.0 && self.rule.rank <= self.n_units() {
                for sample in first..end {
                    let unit =
                        self.of_rank(|unit| score(unit, overlaps[unit * n_samples + sample]));
                    wins.push(win(unit, sample, -self.rule.anti));
                }
            }
            wins
        });
        let mut wins: Vec<Win> = wins.collect();
        wins.sort_by_key(|win| (win.unit, win.sample)); // stable
        wins
    }

    /// The unit that is `rank`-th by its score; of equals the lowest comes first.
    fn of_rank(&self, score: impl Fn(usize) -> f32) -> usize {
        let mut units: Vec<usize> = (0..self.n_units()).collect();
        let order = |&a: &usize, &b: &usize| score(b).total_cmp(&score(a)).then(a.cmp(&b));
        let (_, unit, _) = units.select_nth_unstable_by(self.rule.rank - 1, order);
        *unit
    }
}

/// `sign(W) |W|^(p-1)`.
fn powered(weights: &[f32], p: f32) -> Cow<'_, [f32]> {
    if p == 2.0 {
        return Cow::Borrowed(weights);
    }
    let powered = |w: &f32| w.abs().powf(p - 1.0).copysign(*w);
    Cow::Owned(weights.par_iter().map(powered).collect())
}

#[multiversion(targets = "simd")]
fn largest_magnitude(values: &[f32]) -> f32 {
    let mut lanes = [0.0_f32; 16];
    let (chunks, rest) = values.as_chunks::<16>();
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane = lane.max(value.abs());
        }
    }
    let rest = rest.iter().map(|value| value.abs());
    lanes.into_iter().chain(rest).fold(0.0, f32::max)
}

/// The quotient comes first: the largest entry moves by the rate and not by a little less.
#[multiversion(targets = "simd")]
fn add_step(weights: &mut [f32], moves: &[f32], largest: f32, rate: f32) {
    for (weight, step) in weights.iter_mut().zip(moves) {
        *weight += rate * (step / largest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::naive;

    /// Dense samples by plain loops.
    struct Plain(Vec<Vec<f32>>);

    impl Samples for Plain {
        fn len(&self) -> usize {
            self.0.len()
        }

        fn overlaps(&self, units: &[f32], width: usize, overlaps: &mut [f32]) {
            let pairs = units
                .chunks(width)
                .flat_map(|unit| self.0.iter().map(move |x| (unit, x)));
            for ((unit, x), out) in pairs.zip(overlaps) {
                *out = unit.iter().zip(x).map(|(w, x)| w * x).sum();
            }
        }

        fn drive(&self, _: usize, _: &[f32], overlap: f32) -> f32 {
            overlap
        }

        fn add(&self, sample: usize, scale: f32, sum: &mut [f32]) {
            rows::add_scaled(sum, scale, &self.0[sample]);
        }
    }

    fn samples(n: usize, width: usize, seed: u32) -> Plain {
        Plain(
            naive::values(n * width, seed as _)
                .chunks(width)
                .map(<[f32]>::to_vec)
                .collect(),
        )
    }

    fn largest_change(before: &[f32], after: &[f32]) -> f32 {
        let pairs = before.iter().zip(after);
        pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
    }

    #[test]
    fn the_largest_step_is_the_rate_in_every_minibatch() {
        for winner in [WinnerRule::Raw, WinnerRule::Normalised] {
            let rule = Rule {
                winner,
                ..Rule::default()
            };
            let mut learner = Learner::new(20, 30, 1.0, rule, Key::from_seed(1));
            for step in 0..30 {
                let rate = 0.02 * (1.0 - step as f32 / 30.0);
                let before = learner.weights().to_vec();
                learner.step(&samples(25, 30, step), rate);
                let change = largest_change(&before, learner.weights());
                assert!((change - rate).abs() < 5e-7, "step {step}: {change}"); // weights are below 4: half a last digit
            }
        }
    }

    #[test]
    fn one_step_by_the_definition() {
        // Three units of two inputs, two samples; all by hand.
        let mut learner = Learner::new(3, 2, 1.0, Rule::default(), Key::from_seed(1));
        learner.weights = vec![1.0, 0.0, 0.0, 2.0, -1.0, -1.0];
        // Overlaps of (3, 1): 3, 2, -4. Of (1, 1): 1, 2, -2.
        learner.step(&Plain(vec![vec![3.0, 1.0], vec![1.0, 1.0]]), 0.1);
        // Unit 0 moves by (3, 1) - 3 (1, 0) = (0, 1), unit 1 by (1, 1) - 2 (0, 2) = (1, -3): the largest is 3.
        let expected = [1.0, 0.1 / 3.0, 0.1 / 3.0, 1.9, -1.0, -1.0];
        naive::assert_close(learner.weights(), &expected, 1e-6);
        // By length 1 the first sample overlaps by 3, 1, -2.8 and the second by 1, 1, -1.4: of equals the lowest unit.
        let rule = Rule {
            winner: WinnerRule::Normalised,
            ..Rule::default()
        };
        let mut learner = Learner::new(3, 2, 1.0, rule, Key::from_seed(1));
        learner.weights = vec![1.0, 0.0, 0.0, 2.0, -1.0, -1.0];
        learner.step(&Plain(vec![vec![3.0, 1.0], vec![1.0, 1.0]]), 0.1);
        // (3, 1) + (1, 1) - (3 + 1) (1, 0) = (0, 2).
        naive::assert_close(learner.weights(), &[1.0, 0.1, 0.0, 2.0, -1.0, -1.0], 1e-6);
    }

    #[test]
    fn the_second_unit_unlearns_where_that_is_asked_for() {
        let rule = Rule {
            anti: 0.5,
            ..Rule::default()
        };
        let mut learner = Learner::new(3, 2, 1.0, rule, Key::from_seed(1));
        learner.weights = vec![1.0, 0.0, 0.0, 2.0, -1.0, -1.0];
        learner.step(&Plain(vec![vec![3.0, 1.0]]), 0.1);
        // The winner moves by (0, 1), unit 1 by -.5 ((3, 1) - 2 (0, 2)) = (-1.5, 1.5).
        let expected = [1.0, 0.1 / 1.5, -0.1, 2.1, -1.0, -1.0];
        naive::assert_close(learner.weights(), &expected, 1e-6);
    }

    #[test]
    fn units_that_go_on_winning_end_at_length_1_for_any_p() {
        for p in [2.0, 3.0] {
            let rule = Rule {
                p,
                winner: WinnerRule::Normalised,
                ..Rule::default()
            };
            let mut learner = Learner::new(2, 8, 1.0, rule, Key::from_seed(2));
            let samples = samples(40, 8, 5);
            for step in 0..2000 {
                learner.step(&samples, 0.02 * (1.0 - step as f32 / 2000.0));
            }
            assert!(
                (learner.mean_norm() - 1.0).abs() < 0.01,
                "{}",
                learner.mean_norm()
            );
        }
    }

    #[test]
    fn threads_change_no_bit() {
        let on = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
            let pool = pool.build().expect("threads");
            pool.install(|| {
                let rule = Rule {
                    anti: 0.3,
                    ..Rule::default()
                };
                let mut learner = Learner::new(30, 17, 1.0, rule, Key::from_seed(3));
                for step in 0..5 {
                    learner.step(&samples(200, 17, step), 0.05);
                }
                learner.into_weights()
            })
        };
        let one = on(1);
        assert!(one == on(2) && one == on(4));
    }
}
