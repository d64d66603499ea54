//! Metrics of rows that have one class each: two classes with one logit, or n with a logit each.

use super::auc::auc;
use crate::data::{Scores, Target};

/// See [`super::MetricName::Auc`].
pub fn binary_auc(targets: &[Target], scores: &Scores) -> Option<f64> {
    let labels: Option<Vec<bool>> = targets.iter().map(Target::is_positive).collect();
    auc(&labels?, &scores.column(0))
}

/// See [`super::MetricName::Accuracy`].
pub fn accuracy(targets: &[Target], scores: &Scores) -> Option<f64> {
    let pairs = classes(targets, scores)?;
    let right = pairs.iter().filter(|(class, said)| class == said).count();
    Some(right as f64 / pairs.len() as f64)
}

/// See [`super::MetricName::F1`].
pub fn f1(targets: &[Target], scores: &Scores) -> Option<f64> {
    Some(Counts::of(1, &classes(targets, scores)?).f1())
}

/// See [`super::MetricName::MacroF1`].
pub fn macro_f1(targets: &[Target], scores: &Scores) -> Option<f64> {
    let pairs = classes(targets, scores)?;
    let mut counts = vec![Counts::default(); n_classes(scores)];
    for (own, said) in pairs {
        // A class that only these rows have is none that the scores tell of.
        if let Some(counts) = counts.get_mut(own as usize) {
            counts.own += 1;
            counts.hits += u32::from(own == said);
        }
        counts[said as usize].said += 1;
    }
    // Of some of the rows, such as a slice, a class may have none; a 0 for it would tell of the rows and not of the scores.
    counts.retain(|counts| counts.own + counts.said > 0);
    let sum: f64 = counts.iter().map(Counts::f1).sum();
    Some(sum / counts.len() as f64)
}

/// See [`super::MetricName::LogLoss`].
pub fn log_loss(targets: &[Target], scores: &Scores) -> Option<f64> {
    let mut sum = 0.0;
    for (target, row) in targets.iter().zip(scores.rows()) {
        let class = target.class()? as usize;
        sum += match row {
            [logit] => softplus(if class == 1 { -logit } else { *logit }),
            row => log_sum_exp(row) - f64::from(*row.get(class)?),
        };
    }
    Some(sum / targets.len() as f64)
}

/// `ln(1 + e^x)` without overflow.
pub(super) fn softplus(x: f32) -> f64 {
    let x = f64::from(x);
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// The likeliest class of a row of scores: of one logit the second from 0 on, else the first of the highest.
pub fn likeliest(row: &[f32]) -> u32 {
    match row {
        [logit] => u32::from(*logit >= 0.0),
        row => {
            let numbered = (0..).zip(row);
            let best = numbered
                .reduce(|best: (u32, &f32), next| if next.1 > best.1 { next } else { best });
            best.map_or(0, |(class, _)| class)
        }
    }
}

/// True and said class of each row; `None` where a row has no class or a score is NaN.
fn classes(targets: &[Target], scores: &Scores) -> Option<Vec<(u32, u32)>> {
    if scores.values.iter().any(|score| score.is_nan()) {
        return None;
    }
    let rows = targets.iter().zip(scores.rows());
    rows.map(|(target, row)| Some((target.class()?, likeliest(row))))
        .collect()
}

fn n_classes(scores: &Scores) -> usize {
    scores.width.max(2)
}

/// Rows of one class.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    /// That have it.
    own: u32,
    /// That are said to have it.
    said: u32,
    /// Both.
    hits: u32,
}

impl Counts {
    /// Of `class` among (own, said) pairs.
    fn of(class: u32, pairs: &[(u32, u32)]) -> Self {
        let count = |holds: &dyn Fn(&(u32, u32)) -> bool| {
            pairs.iter().filter(|&pair| holds(pair)).count() as u32
        };
        Self {
            own: count(&|pair| pair.0 == class),
            said: count(&|pair| pair.1 == class),
            hits: count(&|pair| *pair == (class, class)),
        }
    }

    /// 0 where no row has the class or is said to.
    fn f1(&self) -> f64 {
        match self.own + self.said {
            0 => 0.0,
            all => f64::from(2 * self.hits) / f64::from(all),
        }
    }
}

fn log_sum_exp(row: &[f32]) -> f64 {
    let greatest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = row.iter().map(|x| f64::from(x - greatest).exp()).sum();
    f64::from(greatest) + sum.ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn targets(classes: &[u32]) -> Vec<Target> {
        classes.iter().copied().map(Target::Class).collect()
    }

    #[test]
    fn two_classes_by_hand() {
        let scores = Scores::single(vec![2.0, -1.0, 0.0, -3.0]);
        let targets = targets(&[1, 1, 0, 0]);
        assert_eq!(accuracy(&targets, &scores), Some(0.5)); // logit 0 says the second
        assert_eq!(f1(&targets, &scores), Some(0.5)); // 1 hit, 1 alarm, 1 miss
        assert_eq!(macro_f1(&targets, &scores), Some(0.5));
        let one = log_loss(&targets[..1], &Scores::single(vec![0.0])).expect("a class");
        assert!((one - std::f64::consts::LN_2).abs() < 1e-12);
        let far = log_loss(&targets[..1], &Scores::single(vec![-1e4])).expect("finite");
        assert!((far - 1e4).abs() < 1e-6);
    }

    #[test]
    fn three_classes_by_hand() {
        let scores = Scores {
            width: 3,
            values: vec![1.0, 0.0, 0.0, 0.0, 2.0, 2.0, 0.0, 0.0, 0.0],
        };
        // Said: 0, 1 (the first of two highest), 0.
        let targets = targets(&[0, 2, 0]);
        assert_eq!(accuracy(&targets, &scores), Some(2.0 / 3.0));
        assert_eq!(macro_f1(&targets, &scores), Some(1.0 / 3.0)); // 1, 0 (said, not there), 0
        // A class that is neither there nor said does not count: 1 of class 0 alone.
        assert_eq!(macro_f1(&targets[..1], &scores.select(&[0])), Some(1.0));
        let loss = log_loss(&targets[2..], &scores.select(&[2])).expect("a class");
        assert!((loss - 3.0_f64.ln()).abs() < 1e-12);
        assert_eq!(accuracy(&[Target::Unknown], &scores.select(&[0])), None);
        assert_eq!(log_loss(&[Target::Class(7)], &scores.select(&[0])), None);
    }
}
