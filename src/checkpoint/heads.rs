//! Which heads a network has.
//!
//! In: nothing. Out: [`Heads`], compared, joined and named. Does not know their tensors: that is [`super::names`].

use std::fmt;

/// Which heads a network has. `nsp` implies `pooler`. The default is none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Heads {
    /// Masked tokens: `cls.predictions.*`.
    pub mlm: bool,
    /// `bert.pooler.*`.
    pub pooler: bool,
    /// Next sentence: `cls.seq_relationship.*`.
    pub nsp: bool,
    /// Number of outputs, from 1, of a linear head for a task: `classifier.*`.
    pub classifier: Option<usize>,
}

impl Heads {
    /// The MLM head alone.
    pub const MLM: Self = Self {
        mlm: true,
        pooler: false,
        nsp: false,
        classifier: None,
    };

    /// The heads of both; a classifier has as many outputs as that of `other`, where it has one.
    pub fn and(self, other: Self) -> Self {
        Self {
            mlm: self.mlm || other.mlm,
            pooler: self.pooler || other.pooler,
            nsp: self.nsp || other.nsp,
            classifier: other.classifier.or(self.classifier),
        }
    }

    /// The heads that `other` does not have.
    pub fn without(self, other: Self) -> Self {
        Self {
            mlm: self.mlm && !other.mlm,
            pooler: self.pooler && !other.pooler,
            nsp: self.nsp && !other.nsp,
            classifier: self.classifier.filter(|_| other.classifier.is_none()),
        }
    }

    /// The same heads without the classifier.
    pub fn without_classifier(self) -> Self {
        Self {
            classifier: None,
            ..self
        }
    }

    /// What there is, one head at a time.
    pub fn each(self) -> impl Iterator<Item = Self> {
        let none = Self::default();
        let one = |there: bool, head: Self| there.then_some(head);
        [
            one(
                self.pooler,
                Self {
                    pooler: true,
                    ..none
                },
            ),
            one(self.mlm, Self::MLM),
            one(self.nsp, Self { nsp: true, ..none }),
            self.classifier.map(|n| Self {
                classifier: Some(n),
                ..none
            }),
        ]
        .into_iter()
        .flatten()
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self == Self::default()
    }
}

/// As one says them: `MLM head, pooler`.
impl fmt::Display for Heads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = [
            (self.mlm, "MLM head"),
            (self.pooler, "pooler"),
            (self.nsp, "NSP head"),
            (self.classifier.is_some(), "classifier"),
        ];
        let there = names.iter().filter(|(there, _)| *there);
        let names: Vec<&str> = there.map(|(_, name)| *name).collect();
        f.write_str(&names.join(", "))
    }
}
