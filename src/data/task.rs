//! What a task is: one text a row or two, which kind of label, and what the classes are called.
//!
//! In: `[task]` of an experiment and the labels that the training rows hold. Out: a [`Task`], the same for every row and
//! fold of a run. Does not read files and knows no metric.

use serde::{Deserialize, Serialize};

/// `task.kind`: texts of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TextKind {
    /// Two texts: do they mean the same, how near are they, …
    #[default]
    Pair,
    /// One text.
    Single,
}

/// `task.labels`: what a row is labelled with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LabelKind {
    /// 0 or 1.
    #[default]
    Binary,
    /// One of n names.
    Classes,
    /// Any number of n names, none of them too.
    Multilabel,
    /// A number, of which the order counts: grades 0 to 5, a similarity.
    Ordinal,
}

impl TextKind {
    /// As it is written in a config.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pair => "pair",
            Self::Single => "single",
        }
    }

    /// Texts of a row.
    pub fn n_texts(self) -> usize {
        match self {
            Self::Pair => 2,
            Self::Single => 1,
        }
    }
}

impl LabelKind {
    /// As it is written in a config.
    pub fn name(self) -> &'static str {
        match self {
            Self::Binary => "binary",
            Self::Classes => "classes",
            Self::Multilabel => "multilabel",
            Self::Ordinal => "ordinal",
        }
    }
}

/// The task of a run.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Task {
    /// Texts of a row.
    pub kind: TextKind,
    /// Kind of its label.
    pub labels: LabelKind,
    /// Names of the classes in the order of their numbers; `0` and `1` for two, none for ordinals.
    pub classes: Vec<String>,
}

impl Task {
    /// Two texts, labelled 0 or 1.
    pub fn binary_pairs() -> Self {
        Self {
            kind: TextKind::Pair,
            labels: LabelKind::Binary,
            classes: vec!["0".to_owned(), "1".to_owned()],
        }
    }

    /// Scores a row: one a class, and one alone for two classes and for ordinals.
    pub fn n_scores(&self) -> usize {
        match self.labels {
            LabelKind::Binary | LabelKind::Ordinal => 1,
            LabelKind::Classes | LabelKind::Multilabel => self.classes.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_says_how_many_scores_a_row_has() {
        let task = |labels, n: usize| Task {
            labels,
            classes: (0..n).map(|class| class.to_string()).collect(),
            ..Task::default()
        };
        assert_eq!(Task::binary_pairs().n_scores(), 1);
        assert_eq!(task(LabelKind::Classes, 4).n_scores(), 4);
        assert_eq!(task(LabelKind::Multilabel, 3).n_scores(), 3);
        assert_eq!(task(LabelKind::Ordinal, 0).n_scores(), 1);
    }
}
