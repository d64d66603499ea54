//! Numbers that options take, with their ranges.
//!
//! In: what was typed. Out: the number, or what was expected, for clap to show.

/// A number of things, 1 or more.
pub(super) fn at_least_one(text: &str) -> std::result::Result<usize, String> {
    match text.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err("expected a whole number, 1 or more".to_owned()),
    }
}

/// A part of a whole: above 0, up to 1.
pub(super) fn share(text: &str) -> std::result::Result<f64, String> {
    match text.parse() {
        Ok(number) if number > 0.0 && number <= 1.0 => Ok(number),
        _ => Err("expected a number above 0, up to 1".to_owned()),
    }
}

/// A number above 0.
pub(super) fn above_zero(text: &str) -> std::result::Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number > 0.0 && number.is_finite() => Ok(number),
        _ => Err("expected a number above 0".to_owned()),
    }
}

/// A cosine, -1 to 1.
pub(super) fn cosine(text: &str) -> std::result::Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if (-1.0..=1.0).contains(&number) => Ok(number),
        _ => Err("expected a number from -1 to 1".to_owned()),
    }
}
