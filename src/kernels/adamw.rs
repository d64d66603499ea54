//! AdamW (Loshchilov and Hutter 2019) over one parameter, and the norm that clipping needs.

use multiversion::multiversion;
use rayon::prelude::*;

use super::rows::CHUNK;
use super::{denormals, vector};

/// Constants of one step.
#[derive(Debug, Clone, Copy)]
pub struct AdamW {
    /// Learning rate of this step.
    pub learning_rate: f32,
    /// Decoupled weight decay: `θ -= learning_rate * weight_decay * θ`.
    pub weight_decay: f32,
    /// Decay of the first moment.
    pub beta1: f32,
    /// Decay of the second moment.
    pub beta2: f32,
    /// Added to the root of the second moment.
    pub epsilon: f32,
    /// Number of this step, from 1: corrects the moments' bias.
    pub step: u64,
    /// Every gradient is multiplied by it first: clipping.
    pub gradient_scale: f32,
}

impl AdamW {
    /// Updates θ and both moments, all of one length, and leaves the gradient at zero for the next step.
    pub fn update(
        &self,
        values: &mut [f32],
        gradient: &mut [f32],
        first: &mut [f32],
        second: &mut [f32],
    ) {
        let size = CHUNK;
        values
            .par_chunks_mut(size)
            .zip(gradient.par_chunks_mut(size))
            .zip(first.par_chunks_mut(size))
            .zip(second.par_chunks_mut(size))
            .for_each(|(((values, gradient), first), second)| {
                let _flushed = denormals::flushed();
                update_chunk(self, values, gradient, first, second);
            });
    }
}

#[multiversion(targets = "simd")]
fn update_chunk(
    adamw: &AdamW,
    values: &mut [f32],
    gradient: &mut [f32],
    first: &mut [f32],
    second: &mut [f32],
) {
    let correction = |beta: f32| (1.0 - f64::from(beta).powf(adamw.step as f64)) as f32;
    let step_size = adamw.learning_rate / correction(adamw.beta1);
    let root_correction = 1.0 / correction(adamw.beta2).sqrt();
    let keep = 1.0 - adamw.learning_rate * adamw.weight_decay;
    let moments = first.iter_mut().zip(second.iter_mut());
    for ((value, gradient), (m, v)) in values.iter_mut().zip(gradient).zip(moments) {
        let g = *gradient * adamw.gradient_scale;
        *gradient = 0.0;
        *m = adamw.beta1.mul_add(*m, (1.0 - adamw.beta1) * g);
        *v = adamw.beta2.mul_add(*v, (1.0 - adamw.beta2) * g * g);
        let denominator = v.sqrt().mul_add(root_correction, adamw.epsilon);
        *value = *value * keep - step_size * *m / denominator;
    }
}

/// Sum of squares, in f64 over fixed chunks.
pub fn sum_of_squares(values: &[f32]) -> f64 {
    let partials: Vec<f64> = values
        .par_chunks(CHUNK)
        .map(|chunk| f64::from(square(chunk)))
        .collect();
    partials.iter().sum()
}

#[multiversion(targets = "simd")]
fn square(values: &[f32]) -> f32 {
    vector::dot(values, values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::naive;

    #[test]
    fn three_steps_equal_the_formula_in_f64() {
        let n = 5000;
        let mut values = naive::values(n, 1);
        let (mut first, mut second) = (vec![0.0; n], vec![0.0; n]);
        let mut expected: Vec<(f64, f64, f64)> =
            values.iter().map(|&x| (f64::from(x), 0.0, 0.0)).collect();
        for step in 1..=3 {
            let gradient = naive::values(n, 10 + step);
            let mut used = gradient.clone();
            let adamw = AdamW {
                learning_rate: 0.01,
                weight_decay: 0.1,
                beta1: 0.9,
                beta2: 0.999,
                epsilon: 1e-6,
                step,
                gradient_scale: 0.5,
            };
            adamw.update(&mut values, &mut used, &mut first, &mut second);
            assert!(used.iter().all(|&g| g == 0.0));
            for ((x, m, v), g) in expected.iter_mut().zip(&gradient) {
                let g = f64::from(*g) * 0.5;
                *x -= 0.01 * 0.1 * *x;
                *m = 0.9 * *m + 0.1 * g;
                *v = 0.999 * *v + 0.001 * g * g;
                let (m_hat, v_hat) = (
                    *m / (1.0 - 0.9f64.powi(step as i32)),
                    *v / (1.0 - 0.999f64.powi(step as i32)),
                );
                *x -= 0.01 * m_hat / (v_hat.sqrt() + 1e-6);
            }
        }
        let expected: Vec<f32> = expected.iter().map(|&(x, _, _)| x as f32).collect();
        naive::assert_close(&values, &expected, 1e-5);
        assert!((sum_of_squares(&[3.0, 4.0]) - 25.0).abs() < 1e-12);
    }
}
