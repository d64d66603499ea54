//! Exponential average (Polyak and Juditsky 1992; with this warm-up: TensorFlow's `ExponentialMovingAverage`).
//!
//! After each step `average += (1 - d) (weights - average)`, `d = min(decay, (1 + n) / (10 + n))` after n steps: the first steps,
//! which are far from the end, are soon forgotten.

/// By how much of the way the average moves to the weights after `n` others.
pub fn share(n: u64, decay: f64) -> f64 {
    let n = n as f64;
    1.0 - decay.min((1.0 + n) / (10.0 + n))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_falls_to_what_the_decay_says() {
        assert!((share(1, 0.999) - 9.0 / 11.0).abs() < 1e-12);
        assert!((share(100_000, 0.999) - 0.001).abs() < 1e-12);
        assert!((share(1, 0.0) - 1.0).abs() < 1e-12);
    }
}
