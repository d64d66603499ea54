//! The mean of the weights after each of the last epochs (Izmailov et al. 2018, <https://arxiv.org/abs/1803.05407>): with a
//! constant rate stochastic weight averaging, with a falling one the mean of the last checkpoints.

use super::Place;

/// By how much of the way the mean of `n` weights moves to the next; none where the epoch is not among the last `epochs`, or
/// not over.
pub fn share(n: u64, epochs: usize, place: Place) -> Option<f64> {
    (place.ends_epoch && place.epochs_left < epochs).then(|| 1.0 / (n + 1) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_epochs_count_the_same() {
        let at = |ends_epoch, epochs_left, n| {
            share(
                n,
                2,
                Place {
                    ends_epoch,
                    epochs_left,
                },
            )
        };
        assert_eq!(at(true, 2, 0), None);
        assert_eq!(at(false, 1, 0), None);
        assert_eq!(at(true, 1, 0), Some(1.0));
        assert_eq!(at(true, 0, 1), Some(0.5));
    }
}
