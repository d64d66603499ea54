//! BioHash: the projection whose units have learnt where the vectors lie.
//!
//! In: vectors. Out: a [`Projection`] with more units where there are more vectors, by competitive learning
//! ([`super::competitive`]). Source: Ryali, Hopfield, Grinberg and Krotov, "Bio-Inspired Hashing for Unsupervised Similarity
//! Search" (ICML 2020). Makes no codes.

use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

use super::coder::Preparation;
use super::competitive::{Begun, Epoch, Learner, Rule, Samples};
use super::projection::Projection;
use super::vectors::Vectors;
use crate::error::Result;
use crate::kernels::gemm::Store;
use crate::kernels::gemm::portable::{Operand, matmul};
use crate::kernels::rows;
use crate::random::Key;

/// How long and how fast to learn.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Learning {
    /// Passes over the vectors.
    pub epochs: usize,
    /// Vectors of a minibatch.
    pub batch: usize,
    /// Largest step of the first epoch; it falls linearly to 0.
    pub rate: f32,
    /// Constants of the learner.
    pub rule: Rule,
}

impl Default for Learning {
    /// As published for MNIST.
    fn default() -> Self {
        Self {
            epochs: 100,
            batch: 100,
            rate: 0.02,
            rule: Rule::default(),
        }
    }
}

/// Learns `n_units` units from prepared vectors, from the beginning or from where an earlier learning was cut, to the same bytes.
/// `advance` hears of every epoch and may end the work.
///
/// # Errors
/// [`Error::Refused`](crate::error::Error::Refused) for a rate at which weights become other than finite, and for a beginning of
/// another size; what `advance` returns.
pub fn learn(
    vectors: Vectors,
    preparation: Preparation,
    n_units: usize,
    learning: &Learning,
    key: Key,
    begun: Option<Begun>,
    mut advance: impl FnMut(Epoch) -> Result<()>,
) -> Result<Projection> {
    let width = vectors.width();
    let mut learner = Learner::new(n_units, width, 1.0, learning.rule, key.at(0));
    let first = learner.go_on(begun)?;
    let mut order: Vec<usize> = (0..vectors.len()).collect();
    let mut values = vec![0.0; learning.batch.max(1) * width];
    for epoch in first..learning.epochs {
        order.sort_unstable();
        order.shuffle(&mut key.at(1).at(epoch as u64).rng());
        let rate = learning.rate * (1.0 - epoch as f32 / learning.epochs as f32);
        for batch in order.chunks(learning.batch.max(1)) {
            let values = &mut values[..batch.len() * width];
            for (row, &number) in values.chunks_exact_mut(width).zip(batch) {
                row.copy_from_slice(vectors.row(number));
                preparation.prepare(row);
            }
            learner.step(&Dense { values, width }, rate);
        }
        learner.require_finite()?;
        advance(learner.after(epoch + 1))?;
    }
    Ok(Projection::learned(learner.into_weights(), width))
}

/// A minibatch of vectors.
struct Dense<'a> {
    values: &'a [f32],
    width: usize,
}

impl Samples for Dense<'_> {
    fn len(&self) -> usize {
        self.values.len() / self.width
    }

    fn overlaps(&self, units: &[f32], width: usize, overlaps: &mut [f32]) {
        let (units, vectors) = (Operand::Plain(units), Operand::Transposed(self.values));
        let (n_units, n) = (overlaps.len() / self.len(), self.len());
        matmul(
            n_units,
            n,
            width,
            units,
            vectors,
            overlaps,
            Store::Overwrite,
        );
    }

    fn drive(&self, _: usize, _: &[f32], overlap: f32) -> f32 {
        overlap
    }

    fn add(&self, sample: usize, scale: f32, sum: &mut [f32]) {
        let vector = &self.values[sample * self.width..][..self.width];
        rows::add_scaled(sum, scale, vector);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Vectors around `n_clusters` directions, cluster after cluster.
    fn clusters(n_clusters: usize, of_each: usize, width: usize) -> Vec<f32> {
        let key = Key::from_seed(11);
        let mut values = Vec::new();
        for number in 0..n_clusters * of_each {
            let cluster = key.at((number / of_each) as u64);
            let own = key.at(1000 + number as u64);
            let value = |at: u64| (cluster.normal(at) + 0.2 * own.normal(at)) as f32;
            values.extend((0..width as u64).map(value));
        }
        values
    }

    #[test]
    fn every_cluster_gets_a_unit_of_its_own_and_length_1() {
        let (n_clusters, of_each, width) = (5, 60, 24);
        let values = clusters(n_clusters, of_each, width);
        let vectors = Vectors::new(&values, width).expect("whole rows");
        let learning = Learning {
            batch: 20,
            epochs: 500,
            ..Learning::default()
        };
        let mut norms = Vec::new();
        let preparation = Preparation {
            centre: false,
            unit_length: true,
        };
        let advance = |epoch: Epoch| {
            norms.push(epoch.mean_norm);
            Ok(())
        };
        let key = Key::from_seed(5);
        let projection =
            learn(vectors, preparation, 40, &learning, key, None, advance).expect("learnt");
        assert_eq!((norms.len(), projection.n_units()), (500, 40));
        assert!(norms[0] > norms[499], "{norms:?}");
        // Units that win: their lengths are 1, and no two clusters share one.
        let mut winner_of: Vec<Vec<usize>> = Vec::new();
        for cluster in 0..n_clusters {
            let mut winners: Vec<usize> = (0..of_each)
                .map(|at| {
                    let activations = projection.activations(vectors.row(cluster * of_each + at));
                    let best = (0..40).max_by(|&a, &b| activations[a].total_cmp(&activations[b]));
                    best.expect("units")
                })
                .collect();
            winners.sort_unstable();
            winners.dedup();
            winner_of.push(winners);
        }
        let mut all = winner_of.concat();
        for &unit in &all {
            let row = &projection.weights()[unit * width..][..width];
            let length: f32 = row.iter().map(|w| w * w).sum::<f32>().sqrt();
            assert!((length - 1.0).abs() < 0.1, "{length}");
        }
        let n = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), n, "{winner_of:?}");
    }

    #[test]
    fn a_rate_that_leaves_the_numbers_is_refused() {
        let values = clusters(2, 5, 4);
        let vectors = Vectors::new(&values, 4).expect("whole rows");
        for rate in [1e20, f32::INFINITY] {
            let learning = Learning {
                rate,
                ..Learning::default()
            };
            let preparation = Preparation::default();
            let key = Key::from_seed(5);
            let error = learn(vectors, preparation, 3, &learning, key, None, |_| Ok(()));
            let error = error.expect_err("refused");
            assert!(error.to_string().contains("no finite numbers"), "{error}");
            assert_eq!(error.hint(), Some("learn at a lower rate (--rate)"));
        }
    }

    #[test]
    fn a_caller_may_end_it() {
        let values = clusters(2, 5, 4);
        let vectors = Vectors::new(&values, 4).expect("whole rows");
        let mut heard = 0;
        let advance = |_: Epoch| {
            heard += 1;
            match heard {
                3 => Err(crate::error::Error::Interrupted),
                _ => Ok(()),
            }
        };
        let preparation = Preparation::default();
        let key = Key::from_seed(5);
        let ended = learn(
            vectors,
            preparation,
            3,
            &Learning::default(),
            key,
            None,
            advance,
        );
        assert!(ended.is_err() && heard == 3);
    }

    #[test]
    fn what_was_cut_goes_on_to_the_same_bytes() {
        let values = clusters(3, 40, 6);
        let vectors = Vectors::new(&values, 6).expect("whole rows");
        let learning = Learning {
            batch: 7,
            epochs: 9,
            ..Learning::default()
        };
        let (preparation, key) = (Preparation::default(), Key::from_seed(5));
        let whole = learn(vectors, preparation, 8, &learning, key, None, |_| Ok(()));
        let whole = whole.expect("learnt");
        let mut begun = None;
        let cut = |epoch: Epoch| {
            begun = Some(Begun {
                done: epoch.done,
                weights: epoch.weights.to_vec(),
            });
            match epoch.done {
                4 => Err(crate::error::Error::Interrupted),
                _ => Ok(()),
            }
        };
        learn(vectors, preparation, 8, &learning, key, None, cut).expect_err("cut");
        let mut heard = Vec::new();
        let go_on = |epoch: Epoch| {
            heard.push(epoch.done);
            Ok(())
        };
        let small = learn(
            vectors,
            preparation,
            7,
            &learning,
            key,
            begun.clone(),
            |_| Ok(()),
        );
        let small = small.expect_err("weights of 8 units").to_string();
        assert!(small.contains("48 weights"), "{small}");
        let gone_on = learn(vectors, preparation, 8, &learning, key, begun, go_on);
        assert!(gone_on.expect("learnt").weights() == whole.weights());
        assert_eq!(heard, [5, 6, 7, 8, 9]);
    }
}
