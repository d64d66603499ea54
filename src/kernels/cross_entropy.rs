//! Softmax cross-entropy of a row of logits, on log-probabilities: no clipping, so that confident mistakes keep
//! their gradient.

use multiversion::multiversion;

use super::vector;

/// Returns `-log softmax(logits)[target]`, and turns the logits (V) into its gradient, `softmax - onehot`.
///
/// # Panics
/// Where the target is not below V.
pub fn loss_and_gradient(logits: &mut [f32], target: u32) -> f32 {
    let wanted = logits[target as usize];
    let loss = softmax(logits) - wanted;
    logits[target as usize] -= 1.0;
    loss
}

#[multiversion(targets = "simd")]
fn softmax(logits: &mut [f32]) -> f32 {
    vector::softmax(logits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::naive;

    #[test]
    fn equals_its_naive_twin_forward_and_backward() {
        for (width, target) in [(1, 0), (7, 2), (33, 32)] {
            let logits: Vec<f32> = naive::values(width, 1).iter().map(|x| 10.0 * x).collect();
            let mut row = logits.clone();
            let loss = loss_and_gradient(&mut row, target);
            let expected = naive::cross_entropy(&logits, target);
            naive::assert_close(&[loss], &[expected as f32], 1e-5);
            let loss = |logits: &[f32]| naive::cross_entropy(logits, target);
            naive::assert_close(&row, &naive::gradient(&logits, 1e-2, loss), 1e-3);
        }
    }

    #[test]
    fn a_confident_mistake_keeps_its_gradient() {
        let mut row = [0.0, 100.0];
        assert_eq!(loss_and_gradient(&mut row, 0), 100.0);
        assert_eq!(row, [-1.0, 1.0]);
    }
}
