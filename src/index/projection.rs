//! The matrix W that turns a vector into activations, one a unit; codes are made of these ([`super::coder`]).
//!
//! In: a width, a number of units and a key, or a matrix that was learnt. Out: `W x`. The three families of codes differ in how
//! W is had and in nothing else: drawn from the normal distribution (LSH; Charikar 2002), sparse and binary (FlyHash; Dasgupta,
//! Stevens and Navlakha 2017), learnt (BioHash; Ryali, Hopfield, Grinberg and Krotov 2020).

use rand::RngExt;

use crate::error::{Error, Result};
use crate::kernels::panels::Panels;
use crate::random::{Key, normal_values};

/// W, (units × width).
#[derive(Debug, Clone)]
pub struct Projection {
    width: usize,
    weights: Vec<f32>,
    panels: Panels,
}

impl Projection {
    /// What was learnt, (units × width).
    ///
    /// # Panics
    /// Where it has no whole rows.
    pub fn learned(weights: Vec<f32>, width: usize) -> Self {
        let panels = Panels::new(&weights, width);
        Self {
            width,
            weights,
            panels,
        }
    }

    /// Every weight from the standard normal distribution.
    pub fn gaussian(width: usize, n_units: usize, key: Key) -> Self {
        Self::learned(normal_values(n_units * width, 1.0, key), width)
    }

    /// Every unit adds up exactly `floor(share · width)` different inputs.
    ///
    /// # Errors
    /// [`Error::Refused`] where that is none, or more than there are.
    pub fn sparse(width: usize, n_units: usize, share: f64, key: Key) -> Result<Self> {
        let n_inputs = (share * width as f64 + 1e-9).floor() as usize; // 0.29 · 100 is 29
        if n_inputs == 0 || n_inputs > width {
            let message =
                format!("a share of {share} of {width} numbers is {n_inputs} numbers a unit");
            return Err(Error::refused(message).with_hint("from 1 / width to 1"));
        }
        let mut weights = vec![0.0; n_units * width];
        let mut inputs: Vec<usize> = (0..width).collect();
        for (unit, row) in weights.chunks_exact_mut(width).enumerate() {
            let mut rng = key.at(unit as u64).rng();
            for place in 0..n_inputs {
                inputs.swap(place, rng.random_range(place..width));
                row[inputs[place]] = 1.0;
            }
        }
        Ok(Self::learned(weights, width))
    }

    /// Every unit adds up each input with probability `share` (DenseFly; Sharma and Navlakha 2018).
    pub fn bernoulli(width: usize, n_units: usize, share: f64, key: Key) -> Self {
        let mut rng = key.rng();
        let mut draw = || f32::from(rng.random::<f64>() < share);
        let weights = (0..n_units * width).map(|_| draw()).collect();
        Self::learned(weights, width)
    }

    /// Numbers of a vector.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Rows of W.
    pub fn n_units(&self) -> usize {
        self.panels.n()
    }

    /// W, (units × width).
    pub fn weights(&self) -> &[f32] {
        &self.weights
    }

    /// Activations (rows × units) of `vectors` (rows × width), on this thread. Those of a vector depend on it alone.
    pub fn activations(&self, vectors: &[f32]) -> Vec<f32> {
        let mut activations = vec![0.0; vectors.len() / self.width * self.n_units()];
        self.panels.product(vectors, &mut activations);
        activations
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sparse_unit_has_exactly_its_share_of_inputs_and_no_two_are_alike() {
        for (width, share, n_inputs) in [(784, 0.1, 78), (100, 0.29, 29), (10, 0.1, 1)] {
            let sparse = Projection::sparse(width, 50, share, Key::from_seed(1)).expect("a share");
            for row in sparse.weights().chunks(width) {
                let ones = row.iter().filter(|&&weight| weight == 1.0).count();
                let zeros = row.iter().filter(|&&weight| weight == 0.0).count();
                assert_eq!((ones, zeros), (n_inputs, width - n_inputs));
            }
        }
        let sparse = Projection::sparse(784, 2, 0.1, Key::from_seed(1)).expect("a share");
        assert_ne!(sparse.weights()[..784], sparse.weights()[784..]);
        let error = Projection::sparse(9, 5, 0.1, Key::from_seed(1)).expect_err("none");
        assert_eq!(
            error.to_string(),
            "a share of 0.1 of 9 numbers is 0 numbers a unit"
        );
    }

    #[test]
    fn drawn_weights_have_the_moments_they_should() {
        let mean = |weights: &[f32], f: fn(f32) -> f32| {
            weights
                .iter()
                .map(|&weight| f64::from(f(weight)))
                .sum::<f64>()
                / weights.len() as f64
        };
        let gaussian = Projection::gaussian(100, 500, Key::from_seed(2));
        assert!(mean(gaussian.weights(), |w| w).abs() < 0.02); // four standard errors
        assert!((mean(gaussian.weights(), |w| w * w) - 1.0).abs() < 0.03);
        let bernoulli = Projection::bernoulli(100, 500, 0.1, Key::from_seed(2));
        assert!((mean(bernoulli.weights(), |w| w) - 0.1).abs() < 0.006);
    }

    #[test]
    fn activations_are_the_product() {
        let projection = Projection::learned(vec![1.0, 2.0, 0.0, -1.0, 0.5, 0.5], 2);
        let activations = projection.activations(&[1.0, 2.0, 4.0, 0.0]);
        assert_eq!(activations, [5.0, -2.0, 1.5, 4.0, 0.0, 2.0]);
    }
}
