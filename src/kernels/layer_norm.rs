//! Layer normalisation over the last dimension (Ba et al. 2016), alone or after a residual sum.

use multiversion::multiversion;

use super::buffer::Buffer;
use super::vector;

/// Scale and shift, each (H), and the epsilon inside the square root.
#[derive(Debug, Clone, Copy)]
pub struct LayerNorm<'a> {
    /// γ.
    pub weight: &'a [f32],
    /// β.
    pub bias: &'a [f32],
    /// Added to the variance.
    pub epsilon: f32,
}

/// Gradients of γ and β, added to.
#[derive(Debug)]
pub struct LayerNormGradient<'a> {
    /// (H).
    pub weight: &'a mut [f32],
    /// (H).
    pub bias: &'a mut [f32],
}

/// What backward needs: the normalised rows and 1 / sqrt(variance + ε) of each row.
#[derive(Debug)]
pub struct Normalised {
    rows: Buffer<f32>,
    inverse_deviation: Buffer<f32>,
}

impl LayerNorm<'_> {
    /// Normalises x (rows × H), which it takes over; returns y (rows × H) and what backward needs.
    pub fn forward(&self, mut x: Buffer<f32>) -> (Buffer<f32>, Normalised) {
        let mut y = Buffer::new(x.len());
        let mut inverse_deviation = Buffer::new(x.len() / self.weight.len());
        forward_rows(self, &mut x, &mut y, &mut inverse_deviation);
        (
            y,
            Normalised {
                rows: x,
                inverse_deviation,
            },
        )
    }

    /// One row: leaves the normalised values in `x`, the output in `y`.
    #[inline(always)]
    fn row(&self, x: &mut [f32], y: &mut [f32]) -> f32 {
        let scale = 1.0 / x.len() as f32;
        let mean = vector::sum(x) * scale;
        let variance = vector::sum_of(x, x, |x, _| (x - mean) * (x - mean)) * scale;
        let inverse = 1.0 / (variance + self.epsilon).sqrt();
        for (x, ((y, weight), bias)) in x
            .iter_mut()
            .zip(y.iter_mut().zip(self.weight).zip(self.bias))
        {
            *x = (*x - mean) * inverse;
            *y = x.mul_add(*weight, *bias);
        }
        inverse
    }

    /// Turns dy (rows × H) into dx in place, and adds to the gradients of γ and β.
    pub fn backward(&self, normalised: &Normalised, dy: &mut [f32], gradient: LayerNormGradient) {
        let LayerNormGradient { weight, bias } = gradient;
        add_parameter_gradients(&normalised.rows, dy, weight, bias);
        backward_rows(self, &normalised.rows, dy, &normalised.inverse_deviation);
    }

    /// dx = (g - mean(g) - x̂ mean(g x̂)) / deviation, where g = dy γ.
    #[inline(always)]
    fn backward_row(&self, x: &[f32], dy: &mut [f32], inverse: f32) {
        for (dy, weight) in dy.iter_mut().zip(self.weight) {
            *dy *= weight;
        }
        let scale = 1.0 / x.len() as f32;
        let mean = vector::sum(dy) * scale;
        let along = vector::dot(dy, x) * scale;
        for (dy, x) in dy.iter_mut().zip(x) {
            *dy = (*dy - mean - x * along) * inverse;
        }
    }
}

#[multiversion(targets = "simd")]
fn forward_rows(norm: &LayerNorm, x: &mut [f32], y: &mut [f32], inverse_deviation: &mut [f32]) {
    let width = norm.weight.len();
    let rows = y.chunks_exact_mut(width).zip(x.chunks_exact_mut(width));
    for ((y, x), inverse) in rows.zip(inverse_deviation) {
        *inverse = norm.row(x, y);
    }
}

#[multiversion(targets = "simd")]
fn backward_rows(norm: &LayerNorm, x: &[f32], dy: &mut [f32], inverse_deviation: &[f32]) {
    let width = norm.weight.len();
    let rows = dy.chunks_exact_mut(width).zip(x.chunks_exact(width));
    for ((dy, x), &inverse) in rows.zip(inverse_deviation) {
        norm.backward_row(x, dy, inverse);
    }
}

/// Adds the gradients of γ and β over some rows.
#[multiversion(targets = "simd")]
fn add_parameter_gradients(x: &[f32], dy: &[f32], d_weight: &mut [f32], d_bias: &mut [f32]) {
    let width = d_weight.len();
    for (dy, x) in dy.chunks_exact(width).zip(x.chunks_exact(width)) {
        for ((sum, dy), x) in d_weight.iter_mut().zip(dy).zip(x) {
            *sum = dy.mul_add(*x, *sum);
        }
        vector::add(d_bias, dy);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::naive;

    #[test]
    fn forward_and_backward_equal_their_naive_twins() {
        for (n_rows, width) in [(1, 2), (3, 17), (2, 32), (67, 5)] {
            let (x, dy) = (
                naive::values(n_rows * width, 1),
                naive::values(n_rows * width, 2),
            );
            let (weight, bias) = (naive::values(width, 3), naive::values(width, 4));
            let norm = LayerNorm {
                weight: &weight,
                bias: &bias,
                epsilon: 1e-3,
            };
            let (y, normalised) = norm.forward(Buffer::from_slice(&x));
            naive::assert_close(&y, &naive::layer_norm(&x, &weight, &bias, 1e-3), 1e-5);

            let loss = |x: &[f32], weight: &[f32], bias: &[f32]| -> f64 {
                let y = naive::layer_norm(x, weight, bias, 1e-3);
                y.iter()
                    .zip(&dy)
                    .map(|(y, dy)| f64::from(*y) * f64::from(*dy))
                    .sum()
            };
            let (mut d_weight, mut d_bias) = (vec![0.0; width], vec![0.0; width]);
            let mut dx = dy.clone();
            let gradient = LayerNormGradient {
                weight: &mut d_weight,
                bias: &mut d_bias,
            };
            norm.backward(&normalised, &mut dx, gradient);
            naive::assert_close(
                &dx,
                &naive::gradient(&x, 1e-2, |x| loss(x, &weight, &bias)),
                5e-3,
            );
            naive::assert_close(
                &d_weight,
                &naive::gradient(&weight, 1e-2, |w| loss(&x, w, &bias)),
                1e-3,
            );
            naive::assert_close(
                &d_bias,
                &naive::gradient(&bias, 1e-2, |b| loss(&x, &weight, b)),
                1e-3,
            );
        }
    }
}
