//! Scores and probabilities as text: nine significant digits or more and no exponent, which some graders do not read.
//!
//! In: numbers. Out: text for tables and submissions, which reads back as the same number. Writes no file.

use crate::error::{Error, Result};

/// Digits that tell any two f32 apart.
const SIGNIFICANT_DIGITS: usize = 9;

/// A finite score. It reads back as the same f32.
pub fn of_score(score: f32) -> String {
    let magnitude = if score == 0.0 {
        0
    } else {
        f64::from(score.abs()).log10().floor() as i32
    };
    let decimals = (SIGNIFICANT_DIGITS as i32 - 1 - magnitude).max(0) as usize;
    format!("{:.decimals$}", f64::from(score) + 0.0) // + 0.0 turns -0 into 0
}

/// A number from 0 to 1. It reads back as the same f64.
pub fn of_probability(probability: f64) -> String {
    let mut text = probability.to_string(); // the shortest that reads back
    if !text.contains('.') {
        text.push('.');
    }
    let digits = text.trim_start_matches(['0', '.']).replace('.', "").len();
    let missing = if probability == 0.0 {
        SIGNIFICANT_DIGITS - 1
    } else {
        SIGNIFICANT_DIGITS.saturating_sub(digits)
    };
    text.extend(std::iter::repeat_n('0', missing));
    text
}

/// Refuses a score that no table may hold; `row` counts from 0.
///
/// # Errors
/// [`Error::Refused`].
pub fn require_finite(score: f32, row: usize) -> Result<()> {
    if score.is_finite() {
        return Ok(());
    }
    let message = format!("the score of row {row} (from 0) is {score}: the training has diverged");
    Err(Error::refused(message).with_hint("lower train.learning_rate, or raise train.warmup_steps"))
}

/// The probability of YES, 1 / (1 + e^-x), of a logit `x`.
pub fn probability(logit: f64) -> f64 {
    if logit >= 0.0 {
        1.0 / (1.0 + (-logit).exp())
    } else {
        logit.exp() / (1.0 + logit.exp())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_have_nine_significant_digits_and_no_exponent() {
        let cases = [
            (0.0, "0.00000000"),
            (-0.0, "0.00000000"),
            (1.0, "1.00000000"),
            (-12.345_678, "-12.3456783"), // the nearest f32 is -12.34567832946...
            (0.001, "0.00100000005"),
            (123_456_792.0, "123456792"),
            (1e20, "100000002004087734272"),
        ];
        for (score, expected) in cases {
            assert_eq!(of_score(score), expected);
        }
    }

    #[test]
    fn every_printed_f32_reads_back_the_same() {
        let key = crate::random::Key::from_seed(5);
        let drawn = (0..20_000).map(|i| f32::from_bits(key.bits(i) as u32));
        for score in drawn.filter(|score| score.is_finite()) {
            assert_eq!(of_score(score).parse::<f32>(), Ok(score));
        }
    }

    #[test]
    fn probabilities_have_nine_significant_digits_or_more_and_read_back() {
        let cases = [
            (0.5, "0.500000000"),
            (1.0, "1.00000000"),
            (0.0, "0.00000000"),
            (0.000_012, "0.0000120000000"),
            (0.123_456_789_012_345_6, "0.1234567890123456"),
        ];
        for (probability, expected) in cases {
            assert_eq!(of_probability(probability), expected);
        }
        let key = crate::random::Key::from_seed(6);
        for i in 0..20_000 {
            let logit = (key.bits(i) >> 40) as f64 / (1 << 24) as f64 * 80.0 - 40.0;
            let text = of_probability(probability(logit));
            assert_eq!(text.parse(), Ok(probability(logit)), "{logit}");
            let digits = text.trim_start_matches(['0', '.']).replace('.', "").len();
            assert!(digits >= 9 && !text.contains('e'), "{text}");
        }
    }

    #[test]
    fn probabilities_by_hand() {
        assert_eq!(probability(0.0), 0.5);
        assert!((probability(3.0_f64.ln()) - 0.75).abs() < 1e-15); // 1 / (1 + 1/3)
        assert!((probability(-(3.0_f64.ln())) - 0.25).abs() < 1e-15);
        assert_eq!((probability(800.0), probability(-800.0)), (1.0, 0.0));
    }

    /// Neighbours among the f32 stay apart as f64 probabilities up to 20, where dp = p (1-p) dx is
    /// 2.1e-9 * 1.9e-6 = 3.9e-15, 35 spacings of f64 below 1.
    #[test]
    fn neighbouring_scores_stay_apart_up_to_20_either_way() {
        for start in [-80.0_f32, -20.0, -3.0, -1e-3, 1e-3, 0.7, 3.0, 12.0, 19.9] {
            let mut score = start;
            for _ in 0..1000 {
                let next = score.next_up();
                assert!(
                    probability(next.into()) > probability(score.into()),
                    "{score}"
                );
                score = next;
            }
        }
        let (a, b) = (30.0_f32, 30.0_f32.next_up());
        assert_eq!(probability(a.into()), probability(b.into())); // what `remarks` is for
    }
}
