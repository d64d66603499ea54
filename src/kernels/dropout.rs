//! Dropout by a counter-based generator: the mask is a function of (key, element), so that backward draws
//! it again and nothing is stored.

use multiversion::multiversion;

use crate::random::Key;

/// A dropout mask: each element is kept with probability `1 - rate` and scaled by `1 / (1 - rate)`.
#[derive(Debug, Clone, Copy)]
pub struct Dropout {
    key: Key,
    threshold: u16,
    scale: f32,
}

impl Dropout {
    /// `rate` in 0..1, in steps of 1/65,536. `None` where the rate is 0: nothing to do.
    pub fn new(rate: f32, key: Key) -> Option<Self> {
        let threshold = (f64::from(rate) * 65_536.0).round() as u16;
        let scale = (65_536.0 / (65_536.0 - f64::from(threshold))) as f32;
        (threshold > 0).then_some(Self {
            key,
            threshold,
            scale,
        })
    }

    /// The mask number `index` of a family, such as that of one row of a batch.
    pub fn at(self, index: u64) -> Self {
        Self {
            key: self.key.at(index),
            ..self
        }
    }

    /// Multiplies elements `first..` of the masked array, which lie in `values`, by the mask.
    /// `first` is a multiple of 4.
    #[inline(always)]
    pub fn apply_from(&self, first: u64, values: &mut [f32]) {
        debug_assert_eq!(first % 4, 0);
        // One 64-bit draw serves four neighbours.
        let mut groups = values.chunks_exact_mut(4);
        let mut counter = first / 4;
        for group in &mut groups {
            let bits = self.key.bits(counter);
            for (lane, value) in group.iter_mut().enumerate() {
                *value *= self.factor((bits >> (16 * lane)) as u16);
            }
            counter += 1;
        }
        let bits = self.key.bits(counter);
        for (lane, value) in groups.into_remainder().iter_mut().enumerate() {
            *value *= self.factor((bits >> (16 * lane)) as u16);
        }
    }

    /// Multiplies the packed rows from number `first_row` on, (tokens × `width`), each by a mask of its own: the
    /// same whatever rows are beside it.
    pub fn apply_to_rows(
        &self,
        values: &mut [f32],
        offsets: &[usize],
        width: usize,
        first_row: usize,
    ) {
        for (row, bounds) in offsets.windows(2).enumerate() {
            let mask = self.at((first_row + row) as u64);
            mask.apply(&mut values[bounds[0] * width..bounds[1] * width]);
        }
    }

    /// Multiplies a whole array by the mask.
    pub fn apply(&self, values: &mut [f32]) {
        apply(self, values);
    }

    #[inline(always)]
    fn factor(&self, draw: u16) -> f32 {
        if draw < self.threshold {
            0.0
        } else {
            self.scale
        }
    }
}

#[multiversion(targets = "simd")]
fn apply(dropout: &Dropout, values: &mut [f32]) {
    dropout.apply_from(0, values);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_mean_and_repeats_itself() {
        let dropout = Dropout::new(0.1, Key::from_seed(1)).expect("a rate above 0");
        let mut values = vec![1.0; 100_003];
        dropout.apply(&mut values);
        let dropped = values.iter().filter(|&&x| x == 0.0).count() as f64 / values.len() as f64;
        assert!((dropped - 0.1).abs() < 0.004, "{dropped}"); // four standard errors
        let mean = values.iter().sum::<f32>() / values.len() as f32;
        assert!((mean - 1.0).abs() < 0.005, "{mean}");
        let mut again = vec![1.0; 100_003];
        dropout.apply(&mut again);
        assert_eq!(values, again);
        // A part of the array has the same mask as the whole.
        let mut part = vec![1.0; 1000];
        dropout.apply_from(8000, &mut part);
        assert_eq!(part, values[8000..9000]);
    }

    #[test]
    fn rate_zero_is_no_dropout() {
        assert!(Dropout::new(0.0, Key::from_seed(1)).is_none());
    }
}
