//! From vectors to codes.
//!
//! In: vectors and a [`Projection`]. Out: codes. A code depends on its vector alone, not on the others that are coded with it.
//! Stores nothing and searches nothing.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::codes::{BitCodes, SetList, hamming, winners};
use super::projection::Projection;
use super::vectors::Vectors;
use crate::error::{Error, Result};
use crate::kernels::vector::to_length_one;

/// Vectors that are coded together: they and a panel of weights stay in the second cache.
const BLOCK: usize = 48;

/// What happens to a vector before it is projected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preparation {
    /// The mean of its numbers is taken away.
    pub centre: bool,
    /// It is scaled to length 1; a vector of zeros stays.
    pub unit_length: bool,
}

impl Preparation {
    /// In place.
    pub fn prepare(self, vector: &mut [f32]) {
        if self.centre {
            let sum: f64 = vector.iter().map(|&x| f64::from(x)).sum();
            let mean = (sum / vector.len() as f64) as f32;
            vector.iter_mut().for_each(|x| *x -= mean);
        }
        if self.unit_length {
            to_length_one(vector);
        }
    }
}

/// How activations become a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CodeRule {
    /// One bit a unit: whether it is above 0 (LSH).
    AboveZero,
    /// One bit a unit: whether it is 0 or more (DenseFly).
    ZeroOrMore,
    /// The k units with the largest activations (FlyHash, BioHash).
    KHot(usize),
}

/// Codes of vectors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Codes {
    /// A bit a unit.
    Bits(BitCodes),
    /// The ones of k-hot codes.
    KHot(SetList),
}

impl Codes {
    /// What a code has in common with one of other codes, which the same coder has made: ones of k-hot codes, else bits that agree.
    pub fn in_common(&self, number: usize, others: &Self, other: usize) -> u32 {
        match (self, others) {
            (Self::Bits(codes), Self::Bits(others)) => {
                codes.n_bits() as u32 - hamming(codes.code(number), others.code(other))
            }
            (Self::KHot(codes), Self::KHot(others)) => {
                let (code, other) = (codes.sets().set(number), others.sets().set(other));
                let is_shared = |one: &&u32| other.binary_search(one).is_ok();
                code.iter().filter(is_shared).count() as u32
            }
            _ => 0, // of two coders
        }
    }
}

/// Makes codes.
#[derive(Debug, Clone)]
pub struct Coder {
    projection: Projection,
    preparation: Preparation,
    rule: CodeRule,
}

impl Coder {
    /// # Errors
    /// [`Error::Refused`] where k is 0 or larger than the number of units.
    pub fn new(projection: Projection, preparation: Preparation, rule: CodeRule) -> Result<Self> {
        if let CodeRule::KHot(k) = rule
            && !(1..=projection.n_units()).contains(&k)
        {
            let n = projection.n_units();
            let message = format!("codes with {k} ones of {n} units");
            return Err(Error::refused(message).with_hint(format!("from 1 to {n}")));
        }
        Ok(Self {
            projection,
            preparation,
            rule,
        })
    }

    /// Its weights.
    pub fn projection(&self) -> &Projection {
        &self.projection
    }

    /// What it does to vectors.
    pub fn preparation(&self) -> Preparation {
        self.preparation
    }

    /// What it does to activations.
    pub fn rule(&self) -> CodeRule {
        self.rule
    }

    /// Codes of vectors, which have the width of the projection.
    ///
    /// # Panics
    /// Where they have another width.
    pub fn codes(&self, vectors: Vectors) -> Codes {
        match self.rule {
            CodeRule::AboveZero => Codes::Bits(self.bits(vectors, |x| x > 0.0)),
            CodeRule::ZeroOrMore => Codes::Bits(self.bits(vectors, |x| x >= 0.0)),
            CodeRule::KHot(k) => {
                let blocks = self.of_blocks(vectors, |activations| {
                    let mut sets = SetList::default();
                    let units = activations.chunks_exact(self.projection.n_units());
                    units.for_each(|activations| sets.push(winners(activations, k)));
                    sets
                });
                let mut all = SetList::default();
                blocks.iter().for_each(|sets| all.append(sets));
                Codes::KHot(all)
            }
        }
    }

    /// Low-dimensional bits of vectors: the units are cut into `n_bits` runs, and a bit says whether the activations of its run
    /// add up to more than 0. Vectors with alike codes have alike bits (Sharma and Navlakha 2018).
    pub fn pseudo_bits(&self, vectors: Vectors, n_bits: usize) -> BitCodes {
        let run = (self.projection.n_units() / n_bits).max(1);
        let blocks = self.of_blocks(vectors, |activations| {
            let mut codes = BitCodes::new(n_bits);
            for activations in activations.chunks_exact(self.projection.n_units()) {
                let sum = |run: &[f32]| run.iter().map(|&x| f64::from(x)).sum::<f64>();
                codes.push(
                    activations
                        .chunks(run)
                        .take(n_bits)
                        .map(|run| sum(run) > 0.0),
                );
            }
            codes
        });
        joined(n_bits, &blocks)
    }

    fn bits(&self, vectors: Vectors, is_one: impl Fn(f32) -> bool + Sync) -> BitCodes {
        let n_units = self.projection.n_units();
        let blocks = self.of_blocks(vectors, |activations| {
            let mut codes = BitCodes::new(n_units);
            for activations in activations.chunks_exact(n_units) {
                codes.push(activations.iter().map(|&x| is_one(x)));
            }
            codes
        });
        joined(n_units, &blocks)
    }

    /// What `code` makes of the activations of each block.
    fn of_blocks<T: Send>(&self, vectors: Vectors, code: impl Fn(&[f32]) -> T + Sync) -> Vec<T> {
        let width = self.projection.width();
        assert_eq!(vectors.width(), width, "vectors of the projection's width");
        let blocks = vectors.values().par_chunks(BLOCK * width);
        let codes = blocks.map(|block| {
            let mut block = block.to_vec();
            block
                .chunks_exact_mut(width)
                .for_each(|vector| self.preparation.prepare(vector));
            code(&self.projection.activations(&block))
        });
        codes.collect()
    }
}

fn joined(n_bits: usize, blocks: &[BitCodes]) -> BitCodes {
    let mut all = BitCodes::new(n_bits);
    blocks.iter().for_each(|codes| all.append(codes));
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::naive;
    use crate::random::Key;

    fn coder(rule: CodeRule, preparation: Preparation) -> Coder {
        let projection = Projection::sparse(40, 100, 0.1, Key::from_seed(1)).expect("a share");
        Coder::new(projection, preparation, rule).expect("a rule")
    }

    #[test]
    fn codes_have_exactly_k_ones_and_are_those_of_a_vector_alone() {
        let values = naive::values(150 * 40, 1);
        let vectors = Vectors::new(&values, 40).expect("whole rows");
        for rule in [CodeRule::KHot(5), CodeRule::AboveZero, CodeRule::ZeroOrMore] {
            let centre = Preparation {
                centre: true,
                unit_length: true,
            };
            let coder = coder(rule, centre);
            let all = coder.codes(vectors);
            let mut one_by_one: Option<Codes> = None;
            for row in values.chunks(40) {
                let code = coder.codes(Vectors::new(row, 40).expect("a row"));
                match (&mut one_by_one, code) {
                    (Some(Codes::Bits(all)), Codes::Bits(code)) => all.append(&code),
                    (Some(Codes::KHot(all)), Codes::KHot(code)) => all.append(&code),
                    (one_by_one, code) => *one_by_one = Some(code),
                }
            }
            assert_eq!(Some(&all), one_by_one.as_ref());
            match all {
                Codes::KHot(sets) => assert!(sets.sets().all().all(|set| set.len() == 5)),
                Codes::Bits(bits) => assert_eq!((bits.len(), bits.n_bits()), (150, 100)),
            }
        }
    }

    #[test]
    fn a_constant_added_to_a_vector_changes_no_centred_code() {
        let mut values = naive::values(40, 2);
        let centre = Preparation {
            centre: true,
            unit_length: false,
        };
        let coder = coder(CodeRule::KHot(8), centre);
        let code = coder.codes(Vectors::new(&values, 40).expect("a row"));
        values.iter_mut().for_each(|x| *x += 2.0);
        assert_eq!(coder.codes(Vectors::new(&values, 40).expect("a row")), code);
    }

    #[test]
    fn rules_and_pseudo_bits_by_hand() {
        // Activations of the vector (1, 2): 1, -1, 0, 2.
        let projection = Projection::learned(vec![1.0, 0.0, 1.0, -1.0, 2.0, -1.0, 0.0, 1.0], 2);
        let with = |rule| {
            let coder = Coder::new(projection.clone(), Preparation::default(), rule);
            coder.expect("a rule")
        };
        let vector = Vectors::new(&[1.0, 2.0], 2).expect("a row");
        let bits = |coder: &Coder| match coder.codes(vector) {
            Codes::Bits(bits) => (0..4).map(|at| bits.bit(0, at)).collect::<Vec<_>>(),
            Codes::KHot(_) => panic!("bits"),
        };
        assert_eq!(bits(&with(CodeRule::AboveZero)), [true, false, false, true]);
        assert_eq!(bits(&with(CodeRule::ZeroOrMore)), [true, false, true, true]);
        let pseudo = with(CodeRule::ZeroOrMore).pseudo_bits(vector, 2);
        assert_eq!((pseudo.bit(0, 0), pseudo.bit(0, 1)), (false, true)); // 1 - 1 and 0 + 2
        for k in [0, 5] {
            let error = Coder::new(
                projection.clone(),
                Preparation::default(),
                CodeRule::KHot(k),
            );
            assert_eq!(error.expect_err("refused").hint(), Some("from 1 to 4"));
        }
    }
}
