//! Vectors of texts from the states of a network, to be compared and searched.
//!
//! In: packed rows of one text each. Out: a vector a row, as it comes or of length 1; and whitening, learnt from vectors.
//! Does not know tokens or files.

use dfdx::prelude::{HasShape, NoneTape};
use nalgebra::{DMatrix, SymmetricEigen};
use serde::{Deserialize, Serialize};

use super::tensor::values;
use super::{Bert, Pass, Pooling};
use crate::data::PackedBatch;
use crate::kernels::vector::to_length_one;

/// Eigenvalues below this share of the largest are rounding errors.
const LEAST_SHARE: f64 = 1e-10;

/// What stands for a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SentencePooling {
    /// The pooler without tanh on the state of `[CLS]`: what SimBERT compares.
    #[default]
    Pooler,
    /// The state of `[CLS]`.
    Cls,
    /// The mean of the states of all tokens, `[CLS]` and `[SEP]` among them.
    Mean,
}

/// Vectors of the rows, (rows × H).
///
/// # Panics
/// With [`SentencePooling::Pooler`] without a pooler.
pub fn sentence_vectors(model: &Bert, rows: &PackedBatch, pooling: SentencePooling) -> Vec<f32> {
    let wanted: Vec<u32> = match pooling {
        SentencePooling::Mean => (0..rows.n_tokens() as u32).collect(),
        _ => rows.cls_positions().iter().map(|&at| at as u32).collect(),
    };
    let states = model.encode(&Pass::prediction(rows, &wanted), NoneTape);
    match pooling {
        SentencePooling::Pooler => values(&model.pool(states, Pooling::Linear)).to_vec(),
        SentencePooling::Cls => values(&states).to_vec(),
        SentencePooling::Mean => {
            let (width, states) = (states.shape().1, values(&states));
            let mean = |tokens: &[usize]| -> Vec<f32> {
                let mut sum = vec![0.0_f64; width];
                let states = &states[tokens[0] * width..tokens[1] * width];
                for state in states.chunks_exact(width) {
                    let terms = sum.iter_mut().zip(state);
                    terms.for_each(|(sum, &x)| *sum += f64::from(x));
                }
                let n = (tokens[1] - tokens[0]) as f64;
                sum.into_iter().map(|sum| (sum / n) as f32).collect()
            };
            rows.offsets.windows(2).flat_map(mean).collect()
        }
    }
}

/// The dot product of two vectors of one width, summed in f64.
pub fn dot(a: &[f32], b: &[f32]) -> f64 {
    let products = a.iter().zip(b);
    products.map(|(&x, &y)| f64::from(x) * f64::from(y)).sum()
}

/// The cosine of two vectors of one width, -1 to 1; 0 where one has no length.
pub fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let lengths = (dot(a, a) * dot(b, b)).sqrt();
    match lengths > 0.0 {
        true => dot(a, b) / lengths,
        false => 0.0,
    }
}

/// Divides each row (of `width`) by its length; a row of zeros stays one.
pub fn normalise(vectors: &mut [f32], width: usize) {
    for row in vectors.chunks_exact_mut(width) {
        to_length_one(row);
    }
}

/// An affine map after which vectors have mean 0 and covariance 1 in every direction that is kept, those of the most variance
/// first (BERT-whitening, Su et al. 2021, <https://arxiv.org/abs/2103.15316>).
#[derive(Debug, Clone)]
pub struct Whitening {
    mean: Vec<f64>,
    /// (width × directions), each divided by its standard deviation.
    directions: DMatrix<f64>,
}

impl Whitening {
    /// From vectors (rows × width), one or more. The directions in which they differ are at most the width, and at most the rows
    /// less one.
    ///
    /// # Panics
    /// Where there is no whole row.
    pub fn learn(vectors: &[f32], width: usize) -> Self {
        let n = vectors.len() / width;
        assert!(n > 0 && vectors.len() == n * width, "whole rows");
        let mut mean = vec![0.0; width];
        for row in vectors.chunks_exact(width) {
            let terms = mean.iter_mut().zip(row);
            terms.for_each(|(mean, &x)| *mean += f64::from(x) / n as f64);
        }
        let mut covariance = DMatrix::<f64>::zeros(width, width);
        let mut centred = vec![0.0; width];
        for row in vectors.chunks_exact(width) {
            for ((centred, &x), mean) in centred.iter_mut().zip(row).zip(&mean) {
                *centred = f64::from(x) - mean;
            }
            for (mut column, &x) in covariance.column_iter_mut().zip(&centred) {
                // Half of a symmetric matrix would do, but whole columns go through the vector units.
                for (sum, &y) in column.iter_mut().zip(&centred) {
                    *sum += x * y / n as f64;
                }
            }
        }
        let SymmetricEigen {
            eigenvectors,
            eigenvalues,
        } = SymmetricEigen::new(covariance);
        let mut order: Vec<usize> = (0..width).collect();
        order.sort_by(|&i, &j| eigenvalues[j].total_cmp(&eigenvalues[i]));
        let least = LEAST_SHARE * eigenvalues[order[0]].max(0.0);
        order.retain(|&at| eigenvalues[at] > least);
        let mut directions = DMatrix::zeros(width, order.len());
        for (to, &at) in order.iter().enumerate() {
            let direction = eigenvectors.column(at);
            // An eigenvector has no sign of its own: its largest entry is positive.
            let largest = direction.iter().copied();
            let largest = largest.max_by(|x, y| x.abs().total_cmp(&y.abs()));
            let sign = largest.unwrap_or(1.0).signum();
            let scaled = direction * (sign / eigenvalues[at].sqrt());
            directions.set_column(to, &scaled);
        }
        Self { mean, directions }
    }

    /// Directions that are kept.
    pub fn dimensions(&self) -> usize {
        self.directions.ncols()
    }

    /// The same with the first `n` directions alone.
    ///
    /// # Panics
    /// Where there are fewer.
    pub fn first(self, n: usize) -> Self {
        Self {
            directions: self.directions.columns(0, n).into_owned(),
            ..self
        }
    }

    /// The vectors (rows × width) by the map, (rows × directions).
    pub fn apply(&self, vectors: &[f32]) -> Vec<f32> {
        let width = self.mean.len();
        let mut mapped = Vec::with_capacity(vectors.len() / width * self.dimensions());
        let mut centred = vec![0.0; width];
        for row in vectors.chunks_exact(width) {
            for ((centred, &x), mean) in centred.iter_mut().zip(row).zip(&self.mean) {
                *centred = f64::from(x) - mean;
            }
            let along = |direction: nalgebra::DVectorView<f64>| -> f32 {
                let products = direction.iter().zip(&centred);
                products.map(|(x, y)| x * y).sum::<f64>() as f32
            };
            mapped.extend(self.directions.column_iter().map(along));
        }
        mapped
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Key;

    #[test]
    fn whitened_vectors_have_mean_0_and_covariance_1() {
        let (n, width) = (200, 5);
        let key = Key::from_seed(3);
        let mut vectors = Vec::new();
        for row in 0..n {
            let draw = |i: u64| key.at(row).normal(i) as f32;
            let (x, y, z) = (draw(0), draw(1), draw(2));
            // Three directions of very different size in five numbers, off the origin.
            vectors.extend([9.0 * x + 4.0, y - x, 0.1 * z, y, 3.0 * x + z]);
        }
        let whitening = Whitening::learn(&vectors, width);
        assert_eq!(whitening.dimensions(), 3);
        let white = whitening.apply(&vectors);
        let column = |i: usize| white.chunks_exact(3).map(move |row| f64::from(row[i]));
        for i in 0..3 {
            assert!(column(i).sum::<f64>().abs() / (n as f64) < 1e-5);
            for j in 0..3 {
                let products = column(i).zip(column(j));
                let covariance = products.map(|(x, y)| x * y).sum::<f64>() / n as f64;
                let expected = f64::from(u8::from(i == j));
                assert!((covariance - expected).abs() < 1e-4, "{i} {j} {covariance}");
            }
        }
        let first = whitening.first(1).apply(&vectors);
        assert_eq!(first.len(), n as usize);
        assert!(
            first
                .iter()
                .zip(white.chunks_exact(3))
                .all(|(x, row)| *x == row[0])
        );
    }

    #[test]
    fn one_vector_differs_in_no_direction() {
        assert_eq!(Whitening::learn(&[1.0, 2.0], 2).dimensions(), 0);
    }

    #[test]
    fn cosines_of_known_vectors() {
        assert!((cosine(&[3.0, 4.0], &[4.0, 3.0]) - 0.96).abs() < 1e-6);
        assert_eq!(cosine(&[1.0, 0.0], &[0.0, 2.0]), 0.0);
        assert_eq!(cosine(&[0.0, 0.0], &[1.0, 1.0]), 0.0);
    }

    #[test]
    fn rows_get_length_1_and_zeros_stay() {
        let mut rows = [3.0, 4.0, 0.0, 0.0];
        normalise(&mut rows, 2);
        assert_eq!(rows, [0.6, 0.8, 0.0, 0.0]);
    }
}
