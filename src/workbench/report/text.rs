//! How numbers are said on a page.

use crate::metrics::mean_and_deviation;

/// `0.9123`
pub fn figure(value: f64) -> String {
    format!("{value:.4}")
}

/// `41.5 %`
pub fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

/// The first characters of a text.
pub fn first(text: &str, n: usize) -> String {
    text.chars().take(n).collect()
}

/// `0.9123 ± 0.0040`
pub fn spread(values: &[f64]) -> String {
    match mean_and_deviation(values) {
        Some((mean, Some(sd))) => format!("{mean:.4} ± {sd:.4}"),
        Some((mean, None)) => format!("{mean:.4}"),
        None => "–".to_owned(),
    }
}

/// `58 s`, `12 min 5 s`, `3 h 20 min`
pub fn duration(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        0..60 => format!("{seconds:.1} s"),
        60..3600 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_spreads_as_one_says_them() {
        assert_eq!(duration(7.25), "7.2 s");
        assert_eq!(duration(61.0), "1 min 1 s");
        assert_eq!(duration(12_000.0), "3 h 20 min");
        assert_eq!(spread(&[0.9, 0.91, 0.92]), "0.9100 ± 0.0100");
        assert_eq!(spread(&[]), "–");
    }
}
