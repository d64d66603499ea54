//! The waves that fixed positions are made of (Vaswani et al. 2017, <https://arxiv.org/abs/1706.03762>).
//!
//! In: how many positions and how wide. Out: sine and cosine of `position / 10000^(2 pair / width)`, in f64 and then rounded. The two
//! stand apart: NEZHA has them in turns, the files of RoFormer one behind the other.

/// Sines and cosines, each (positions × width / 2).
#[derive(Debug, Clone, PartialEq)]
pub struct Sinusoids {
    /// Of position 0, pair after pair, then of the next.
    pub sines: Vec<f32>,
    /// The same.
    pub cosines: Vec<f32>,
}

impl Sinusoids {
    /// Of `n` positions; `width` is even.
    pub fn new(n: usize, width: usize) -> Self {
        let n_pairs = width / 2;
        let speed = |pair: usize| 10_000f64.powf(-((2 * pair) as f64) / width as f64);
        let speeds: Vec<f64> = (0..n_pairs).map(speed).collect();
        let angle = |at: usize| (at / n_pairs) as f64 * speeds[at % n_pairs];
        let of = |f: fn(f64) -> f64| (0..n * n_pairs).map(|at| f(angle(at)) as f32).collect();
        Self {
            sines: of(f64::sin),
            cosines: of(f64::cos),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_waves() {
        let waves = Sinusoids::new(3, 4);
        let near = |found: f32, expected: f64| (f64::from(found) - expected).abs() < 1e-7;
        // Pair 0 turns by 1 a position, pair 1 by .01.
        let expected = [
            0.0,
            0.0,
            1f64.sin(),
            0.01f64.sin(),
            2f64.sin(),
            0.02f64.sin(),
        ];
        assert!(waves.sines.iter().zip(expected).all(|(&x, y)| near(x, y)));
        assert_eq!(waves.cosines.len(), 6);
        assert!(near(waves.cosines[5], 0.02f64.cos()));
    }
}
