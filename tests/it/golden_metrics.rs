//! Every metric against scikit-learn and scipy, with and without ties. `tests/golden/metrics.py` made the file.

use std::collections::BTreeSet;

use cipherpet::data::{LabelKind, Scores, Target};
use cipherpet::metrics::retrieval::average_precision;
use cipherpet::metrics::{Figures, MetricName};
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    cases: Vec<Case>,
    rankings: Vec<Ranking>,
}

/// What was found, the nearest first.
#[derive(Deserialize)]
struct Ranking {
    relevant: Vec<bool>,
    average_precision: f64,
}

impl Golden {
    fn read() -> Self {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
        let text = std::fs::read_to_string(folder.join("metrics.json")).expect("metrics.json");
        serde_json::from_str(&text).expect("JSON")
    }
}

#[derive(Deserialize)]
struct Case {
    labels: LabelKind,
    ties: bool,
    width: usize,
    targets: Vec<GoldenTarget>,
    scores: Vec<f32>,
    figures: Figures,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum GoldenTarget {
    Number(f32),
    Several(Vec<u32>),
}

impl Case {
    fn target(&self, golden: &GoldenTarget) -> Target {
        match (self.labels, golden) {
            (LabelKind::Binary | LabelKind::Classes, GoldenTarget::Number(class)) => {
                Target::Class(*class as u32)
            }
            (LabelKind::Ordinal, GoldenTarget::Number(number)) => Target::Number(*number),
            (LabelKind::Multilabel, GoldenTarget::Several(classes)) => {
                Target::Several(classes.clone())
            }
            (labels, _) => panic!("a target that is not {}", labels.name()),
        }
    }
}

#[test]
fn every_metric_is_the_one_of_scikit_learn_or_scipy() {
    let golden = Golden::read();
    let mut seen = BTreeSet::new();
    for case in &golden.cases {
        let targets: Vec<Target> = (case.targets.iter())
            .map(|golden| case.target(golden))
            .collect();
        let scores = Scores {
            width: case.width,
            values: case.scores.clone(),
        };
        let figures = MetricName::figures(case.labels, &targets, &scores);
        assert!(figures.keys().eq(case.figures.keys()), "{figures:?}");
        for (name, wanted) in &case.figures {
            let found = figures[name];
            assert!(
                (found - wanted).abs() < 1e-9,
                "{name}, {}, ties: {}: {found} and not {wanted}",
                case.labels.name(),
                case.ties
            );
            seen.insert((*name, case.ties));
        }
    }
    // None is left out, with ties or without.
    assert_eq!(seen.len(), 2 * MetricName::ALL.len());
}

#[test]
fn precision_of_a_ranking_is_the_one_of_scikit_learn() {
    let rankings = Golden::read().rankings;
    assert_eq!(rankings.len(), 4);
    for ranking in rankings {
        let found = average_precision(ranking.relevant);
        let wanted = ranking.average_precision;
        assert!((found - wanted).abs() < 1e-12, "{found} and not {wanted}");
    }
}
