//! The labels of a file in figures.
//!
//! In: rows and their task. Out: a [`LabelSurvey`] of the kind of their labels. Pure.

use std::fmt::{self, Display};

use serde::Serialize;

use crate::data::{Example, LabelKind, Target, Task};

/// Classes that are named: the largest ones.
const SHOWN: usize = 10;

/// What is known of the labels of a file.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "lowercase", tag = "kind")]
pub enum LabelSurvey {
    /// 0 or 1.
    Binary {
        /// Share of label 1, 0..=1.
        positive_share: f64,
    },
    /// One of n classes.
    Classes {
        /// Classes of which the file has rows.
        n_classes: usize,
        /// The largest ones, at most ten, and their rows.
        largest: Vec<ClassRows>,
    },
    /// Several labels.
    Multilabel {
        /// Labels of which the file has rows.
        n_classes: usize,
        /// Mean of labels a row.
        labels_a_row: f64,
        /// Share of rows without one of them, 0..=1.
        without_share: f64,
        /// The most frequent ones, at most ten, and their rows.
        largest: Vec<ClassRows>,
    },
    /// Numbers.
    Ordinal {
        /// The smallest.
        min: f32,
        /// The largest.
        max: f32,
        /// Arithmetic mean.
        mean: f64,
    },
}

/// Rows of a class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClassRows {
    /// As the files write it.
    pub name: String,
    /// Rows that have it.
    pub rows: usize,
}

impl LabelSurvey {
    /// Of `rows` of `task`; `None` where no row has a label.
    pub fn of(rows: &[&Example], task: &Task) -> Option<Self> {
        let targets = || {
            rows.iter()
                .map(|row| &row.target)
                .filter(|target| target.is_known())
        };
        let n = targets().count();
        if n == 0 {
            return None;
        }
        let share = |wanted: &dyn Fn(&Target) -> bool| {
            targets().filter(|target| wanted(target)).count() as f64 / n as f64
        };
        Some(match task.labels {
            LabelKind::Binary => Self::Binary {
                positive_share: share(&|target| target.is_positive() == Some(true)),
            },
            LabelKind::Classes => {
                let (n_classes, largest) = largest(targets(), task);
                Self::Classes { n_classes, largest }
            }
            LabelKind::Multilabel => {
                let (n_classes, largest) = largest(targets(), task);
                let labels: usize = targets().map(|target| classes_of(target).len()).sum();
                Self::Multilabel {
                    n_classes,
                    labels_a_row: labels as f64 / n as f64,
                    without_share: share(&|target| classes_of(target).is_empty()),
                    largest,
                }
            }
            LabelKind::Ordinal => {
                let numbers = || targets().filter_map(Target::number);
                Self::Ordinal {
                    min: numbers().fold(f32::INFINITY, f32::min),
                    max: numbers().fold(f32::NEG_INFINITY, f32::max),
                    mean: numbers().map(f64::from).sum::<f64>() / n as f64,
                }
            }
        })
    }
}

fn classes_of(target: &Target) -> &[u32] {
    match target {
        Target::Class(class) => std::slice::from_ref(class),
        Target::Several(classes) => classes,
        Target::Unknown | Target::Number(_) | Target::Probabilities(_) => &[],
    }
}

/// How many classes have rows, and the largest of them.
fn largest<'a>(targets: impl Iterator<Item = &'a Target>, task: &Task) -> (usize, Vec<ClassRows>) {
    let mut rows = vec![0; task.classes.len()];
    for &class in targets.flat_map(classes_of) {
        rows[class as usize] += 1;
    }
    let named = task.classes.iter().zip(rows).filter(|(_, rows)| *rows > 0);
    let mut classes: Vec<ClassRows> = named
        .map(|(name, rows)| ClassRows {
            name: name.clone(),
            rows,
        })
        .collect();
    let n = classes.len();
    classes.sort_by_key(|class| std::cmp::Reverse(class.rows)); // stable
    classes.truncate(SHOWN);
    (n, classes)
}

/// `36.1 % positive`, `13 classes`, …
impl Display for LabelSurvey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Binary { positive_share } => {
                write!(f, "{:.1} % positive", 100.0 * positive_share)
            }
            Self::Classes { n_classes, .. } => write!(f, "{n_classes} classes"),
            Self::Multilabel {
                n_classes,
                labels_a_row,
                without_share,
                ..
            } => write!(
                f,
                "{labels_a_row:.2} of {n_classes} labels a row, {:.1} % of the rows have none",
                100.0 * without_share
            ),
            Self::Ordinal { min, max, mean } => {
                write!(f, "labels from {min} to {max}, mean {mean:.2}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn survey(labels: LabelKind, targets: &[Target]) -> Option<LabelSurvey> {
        let rows = targets.iter().map(|target| Example {
            a: Vec::new(),
            b: None,
            target: target.clone(),
        });
        let rows: Vec<Example> = rows.collect();
        let task = Task {
            labels,
            classes: (0..12).map(|class| format!("c{class}")).collect(),
            ..Task::default()
        };
        LabelSurvey::of(&rows.iter().collect::<Vec<_>>(), &task)
    }

    fn class(name: &str, rows: usize) -> ClassRows {
        ClassRows {
            name: name.to_owned(),
            rows,
        }
    }

    #[test]
    fn figures_by_hand() {
        let unknown = Target::Unknown;
        assert_eq!(
            survey(LabelKind::Classes, std::slice::from_ref(&unknown)),
            None
        );
        let binary = [1, 0, 0, 0].map(Target::Class);
        let shown = survey(LabelKind::Binary, &binary)
            .expect("labels")
            .to_string();
        assert_eq!(shown, "25.0 % positive");

        let classes = [
            Target::Class(3),
            unknown,
            Target::Class(1),
            Target::Class(3),
        ];
        let expected = LabelSurvey::Classes {
            n_classes: 2,
            largest: vec![class("c3", 2), class("c1", 1)],
        };
        assert_eq!(survey(LabelKind::Classes, &classes), Some(expected));

        let several = [vec![0, 2], vec![2], vec![], vec![]].map(Target::Several);
        let survey_of_several = survey(LabelKind::Multilabel, &several).expect("labels");
        assert_eq!(
            survey_of_several.to_string(),
            "0.75 of 2 labels a row, 50.0 % of the rows have none"
        );
        let numbers = [0.5, 4.0, 0.0].map(Target::Number);
        let shown = survey(LabelKind::Ordinal, &numbers)
            .expect("labels")
            .to_string();
        assert_eq!(shown, "labels from 0 to 4, mean 1.50");
    }

    #[test]
    fn the_ten_largest_classes_are_named() {
        let targets: Vec<Target> = (0..12).map(Target::Class).collect();
        match survey(LabelKind::Classes, &targets) {
            Some(LabelSurvey::Classes { n_classes, largest }) => {
                assert_eq!((n_classes, largest.len()), (12, 10));
                assert_eq!(largest[9], class("c9", 1));
            }
            other => panic!("{other:?}"),
        }
    }
}
