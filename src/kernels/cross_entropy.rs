//! Softmax cross-entropy over rows of logits, on log-probabilities: no clipping, so that confident
//! mistakes keep their gradient.

use multiversion::multiversion;
use rayon::prelude::*;

use super::vector;

/// Turns logits (N × V) into probabilities in place; returns `-log p[target]` a row.
///
/// # Panics
/// Where a target is not below V.
pub fn forward(logits: &mut [f32], targets: &[u32]) -> Vec<f32> {
    let width = logits.len() / targets.len().max(1);
    let mut losses = vec![0.0; targets.len()];
    logits
        .par_chunks_mut(width.max(1))
        .zip(targets)
        .zip(&mut losses)
        .for_each(|((logits, &target), loss)| {
            let wanted = logits[target as usize];
            *loss = softmax(logits) - wanted;
        });
    losses
}

/// Turns probabilities (N × V) into the gradient of the logits in place: `(p - onehot) * d_losses`.
pub fn backward(probabilities: &mut [f32], targets: &[u32], d_losses: &[f32]) {
    let width = probabilities.len() / targets.len().max(1);
    probabilities
        .par_chunks_mut(width.max(1))
        .zip(targets)
        .zip(d_losses)
        .for_each(|((row, &target), &scale)| {
            row[target as usize] -= 1.0;
            scale_all(row, scale);
        });
}

#[multiversion(targets = "simd")]
fn softmax(logits: &mut [f32]) -> f32 {
    vector::softmax(logits)
}

#[multiversion(targets = "simd")]
fn scale_all(values: &mut [f32], scale: f32) {
    for value in values {
        *value *= scale;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::naive;

    #[test]
    fn equals_its_naive_twin_forward_and_backward() {
        for (n, width) in [(0, 5), (1, 1), (3, 7), (5, 33)] {
            let logits: Vec<f32> = naive::values(n * width, 1)
                .iter()
                .map(|x| 10.0 * x)
                .collect();
            let targets: Vec<u32> = (0..n).map(|i| (i * 5 % width) as u32).collect();
            let d_losses = naive::values(n, 2);
            let naive_losses = |logits: &[f32]| -> Vec<f64> {
                let loss = |row: &[f32], target: u32| {
                    let total: f64 = row.iter().map(|&z| f64::from(z).exp()).sum();
                    total.ln() - f64::from(row[target as usize])
                };
                logits
                    .chunks(width)
                    .zip(&targets)
                    .map(|(row, &target)| loss(row, target))
                    .collect()
            };
            let mut rows = logits.clone();
            let losses = forward(&mut rows, &targets);
            let expected: Vec<f32> = naive_losses(&logits).iter().map(|&x| x as f32).collect();
            naive::assert_close(&losses, &expected, 1e-5);
            backward(&mut rows, &targets, &d_losses);
            let total = |logits: &[f32]| -> f64 {
                naive_losses(logits)
                    .iter()
                    .zip(&d_losses)
                    .map(|(x, &d)| x * f64::from(d))
                    .sum()
            };
            naive::assert_close(&rows, &naive::gradient(&logits, 1e-2, total), 1e-3);
        }
    }

    #[test]
    fn a_confident_mistake_keeps_its_gradient() {
        let mut rows = vec![0.0, 100.0];
        assert_eq!(forward(&mut rows, &[0]), [100.0]);
        backward(&mut rows, &[0], &[1.0]);
        assert_eq!(rows, [-1.0, 1.0]);
    }
}
