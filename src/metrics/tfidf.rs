//! TF-IDF with logistic regression: what single texts give away without a network.
//!
//! In: labelled rows to learn from, and rows to judge by. Out: a [`Baseline`]. Features are the tokens of a text and its pairs of
//! neighbours, weighted as in scikit-learn's `TfidfVectorizer`: count times `ln((1 + n) / (1 + df)) + 1`, each text of length 1. The
//! loss is that of its `LogisticRegression` with C = 1, one class against the rest, by L-BFGS. Takes seconds. Knows no files.

use std::collections::HashMap;

use liblbfgs::lbfgs;
use rustc_hash::FxHashMap;

use super::MetricName;
use super::baseline::{Baseline, TFIDF};
use crate::data::{EncodedExample, LabelKind, Scores, Target};

/// Steps of L-BFGS: scikit-learn's own limit.
const MOST_STEPS: usize = 100;

/// A token, or two neighbours.
type Feature = (u32, Option<u32>);

/// The weights of the features of a text, by ascending number.
type Row = Vec<(u32, f32)>;

/// The baseline's scores of `judged`, learnt from `rows`; none for pairs, for labels that are no classes, and where no row has a
/// label.
pub fn scores<'a>(
    rows: &[&'a EncodedExample],
    judged: &[&'a EncodedExample],
    labels: LabelKind,
    n_classes: usize,
) -> Option<Scores> {
    let known: Vec<&EncodedExample> = rows
        .iter()
        .copied()
        .filter(|row| row.b.is_none() && row.target.is_known())
        .collect();
    if known.is_empty() || labels == LabelKind::Ordinal || judged.iter().any(|row| row.b.is_some())
    {
        return None;
    }
    let features = Features::of(&known);
    let learnt: Vec<Row> = known.iter().map(|row| features.row(row)).collect();
    let judged: Vec<Row> = judged.iter().map(|row| features.row(row)).collect();
    let classes = match labels {
        LabelKind::Binary => 1..2,
        _ => 0..n_classes as u32,
    };
    let mut scores = Scores {
        width: classes.len(),
        values: vec![0.0; judged.len() * classes.len()],
    };
    for (column, class) in classes.enumerate() {
        let is_in: Vec<bool> = known
            .iter()
            .map(|row| row.target.holds(class) == Some(true))
            .collect();
        let weights = fit(&learnt, &is_in, features.idf.len());
        for (row, text) in judged.iter().enumerate() {
            scores.values[row * scores.width + column] = score(text, &weights) as f32;
        }
    }
    Some(scores)
}

/// The scores of `judged` against their labels, by `metric`; none as in [`scores`], and where the metric has no figure.
pub fn baseline(
    scores: &Scores,
    judged: &[&EncodedExample],
    metric: MetricName,
) -> Option<Baseline> {
    let targets: Vec<Target> = judged.iter().map(|row| row.target.clone()).collect();
    Some(Baseline {
        name: TFIDF.to_owned(),
        metric: None,
        score: metric.of(&targets, scores)?,
    })
}

/// The features of some texts, numbered as they came.
struct Features {
    numbers: FxHashMap<Feature, u32>,
    idf: Vec<f32>,
}

impl Features {
    fn of(rows: &[&EncodedExample]) -> Self {
        let mut numbers: FxHashMap<Feature, u32> = FxHashMap::default();
        let mut texts_with: Vec<u32> = Vec::new();
        for row in rows {
            for (feature, _) in counts(row) {
                let number = *numbers.entry(feature).or_insert(texts_with.len() as u32);
                if number as usize == texts_with.len() {
                    texts_with.push(0);
                }
                texts_with[number as usize] += 1;
            }
        }
        let n = rows.len() as f32;
        let idf = |df: u32| ((1.0 + n) / (1.0 + df as f32)).ln() + 1.0;
        Self {
            idf: texts_with.into_iter().map(idf).collect(),
            numbers,
        }
    }

    /// Features that were not learnt are left out.
    fn row(&self, row: &EncodedExample) -> Row {
        let known = counts(row).into_iter().filter_map(|(feature, count)| {
            let number = *self.numbers.get(&feature)?;
            Some((number, count * self.idf[number as usize]))
        });
        let mut known: Row = known.collect();
        known.sort_unstable_by_key(|(number, _)| *number);
        let length = known.iter().map(|(_, x)| x * x).sum::<f32>().sqrt();
        known.iter_mut().for_each(|(_, x)| *x /= length);
        known
    }
}

/// How often each feature stands in the text of a row, in the order in which they came.
fn counts(row: &EncodedExample) -> Vec<(Feature, f32)> {
    let mut places: HashMap<Feature, usize> = HashMap::new();
    let mut counts: Vec<(Feature, f32)> = Vec::new();
    let single = row.a.iter().map(|&token| (token, None));
    let pairs = row.a.windows(2).map(|pair| (pair[0], Some(pair[1])));
    for feature in single.chain(pairs) {
        let place = *places.entry(feature).or_insert(counts.len());
        if place == counts.len() {
            counts.push((feature, 0.0));
        }
        counts[place].1 += 1.0;
    }
    counts
}

/// Weights of the features, and last the intercept.
fn fit(rows: &[Row], is_in: &[bool], n_features: usize) -> Vec<f64> {
    let mut weights = vec![0.0; n_features + 1];
    // ½ |w|² + Σ ln(1 + exp(-y f)); the intercept is free.
    let loss = |weights: &[f64], gradient: &mut [f64]| {
        let (of_features, _) = weights.split_at(n_features);
        gradient[..n_features].copy_from_slice(of_features);
        gradient[n_features] = 0.0;
        let mut sum = of_features.iter().map(|w| w * w).sum::<f64>() / 2.0;
        for (row, &is_in) in rows.iter().zip(is_in) {
            let sign = if is_in { 1.0 } else { -1.0 };
            let margin = sign * score(row, weights);
            sum += (-margin.abs()).exp().ln_1p() + (-margin).max(0.0);
            let slope = -sign / (1.0 + margin.exp());
            for &(feature, x) in row {
                gradient[feature as usize] += slope * f64::from(x);
            }
            gradient[n_features] += slope;
        }
        Ok(sum)
    };
    // A line search that gives up leaves the best weights so far, which is what is wanted here.
    let _ = lbfgs()
        .with_max_iterations(MOST_STEPS)
        .minimize(&mut weights, loss, |_| false);
    weights
}

fn score(row: &Row, weights: &[f64]) -> f64 {
    let of = |&(feature, x): &(u32, f32)| weights[feature as usize] * f64::from(x);
    row.iter().map(of).sum::<f64>() + weights[weights.len() - 1]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::reserved::UNK;

    fn row(text: &[u32], target: Target) -> EncodedExample {
        EncodedExample {
            a: text.to_vec(),
            b: None,
            target,
            text_numbers: None,
        }
    }

    #[test]
    fn weights_by_hand() {
        let rows = [row(&[7, 8], true.into()), row(&[7], false.into())];
        let features = Features::of(&rows.iter().collect::<Vec<_>>());
        // 7 stands in both texts: ln(3/3) + 1; 8 and the pair in one: ln(3/2) + 1.
        let rare = 1.5_f32.ln() + 1.0;
        let length = (1.0 + 2.0 * rare * rare).sqrt();
        let found = features.row(&rows[0]);
        let expected = [(0, 1.0 / length), (1, rare / length), (2, rare / length)];
        assert_eq!(found.len(), 3);
        for ((feature, x), (number, y)) in found.into_iter().zip(expected) {
            assert!(feature == number && (x - y).abs() < 1e-6);
        }
        assert_eq!(features.row(&row(&[99], Target::Unknown)), []);
    }

    #[test]
    fn a_pair_with_a_rare_token_is_no_single_token() {
        let rows = [row(&[7, UNK], true.into()), row(&[7], false.into())];
        let counted = counts(&rows[0]);
        let expected = [((7, None), 1.0), ((UNK, None), 1.0), ((7, Some(UNK)), 1.0)];
        assert_eq!(counted, expected);
    }

    /// `LogisticRegression(C=1, tol=1e-10)` on `TfidfVectorizer(ngram_range=(1, 2), token_pattern=r"\S+")` of scikit-learn 1.9.1.
    #[test]
    fn scores_equal_those_of_scikit_learn() {
        let texts: [(&[u32], u32); 6] = [
            (&[7, 8, 9], 1),
            (&[7, 9], 1),
            (&[10, 8], 0),
            (&[10, 11], 0),
            (&[7, 12], 1),
            (&[10, 12], 0),
        ];
        let rows = texts.map(|(text, class)| row(text, Target::Class(class)));
        let rows: Vec<&EncodedExample> = rows.iter().collect();
        let judged = [
            row(&[7, 11], true.into()),
            row(&[10, 9], false.into()),
            row(&[7, 8, 9, 7], true.into()),
        ];
        let judged: Vec<&EncodedExample> = judged.iter().collect();
        let found = scores(&rows, &judged, LabelKind::Binary, 2).expect("classes");
        let expected = [0.070403, -0.083108, 0.558322];
        let each = found.values.iter().zip(expected);
        assert!(each.clone().all(|(x, y)| (x - y).abs() < 1e-3), "{found:?}");
        let auc = baseline(&found, &judged, MetricName::Auc).expect("two classes");
        assert_eq!((auc.name.as_str(), auc.score), ("TF-IDF", 1.0));
    }

    #[test]
    fn pairs_and_numbers_have_no_such_baseline() {
        let pair = EncodedExample {
            b: Some(vec![8]),
            ..row(&[7], true.into())
        };
        assert_eq!(scores(&[&pair], &[&pair], LabelKind::Binary, 2), None);
        let number = row(&[7], Target::Number(1.0));
        assert_eq!(scores(&[&number], &[&number], LabelKind::Ordinal, 0), None);
    }
}
