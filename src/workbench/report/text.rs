//! How numbers are said on a page.

use crate::metrics::mean_and_deviation;
use crate::workbench::run_folder::record::RunFigures;

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

/// `12 min 5 s`, or `12 min 5 s + 35 min 2 s shared`: of the stages that others share
pub fn time(figures: &RunFigures) -> Option<String> {
    let own = duration(figures.seconds?);
    Some(match &figures.shared_stage {
        Some(cost) => format!("{own} + {} shared", duration(cost.seconds)),
        None => own,
    })
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
    use crate::workbench::run_folder::stage_cost::StageCost;

    #[test]
    fn durations_and_spreads_as_one_says_them() {
        assert_eq!(duration(7.25), "7.2 s");
        assert_eq!(duration(61.0), "1 min 1 s");
        assert_eq!(duration(12_000.0), "3 h 20 min");
        let mut figures = RunFigures {
            seconds: Some(61.0),
            ..RunFigures::default()
        };
        assert_eq!(time(&figures).as_deref(), Some("1 min 1 s"));
        figures.shared_stage = Some(StageCost {
            seconds: 12_000.0,
            steps: 1,
            epochs: 1,
            tokens_per_second: 1.0,
        });
        let both = "1 min 1 s + 3 h 20 min shared";
        assert_eq!(time(&figures).as_deref(), Some(both));
        assert_eq!(spread(&[0.9, 0.91, 0.92]), "0.9100 ± 0.0100");
        assert_eq!(spread(&[]), "–");
    }
}
