//! One row of a task: one or two texts, and what is known of them.
//!
//! In: what readers have read. Out: [`Example`]s of cipher ids and [`EncodedExample`]s in rows of the run's vocabulary, which may know
//! what their texts were before ([`TextIdentity`]).
//! Does not read files, and does not know what the classes are called ([`super::task`]).

use super::dictionary::CipherId;

/// What is known of a row: its label.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Target {
    /// Nothing: the row can only be scored, or join the MLM.
    #[default]
    Unknown,
    /// One of n classes, from 0. Of two texts that mean the same or not: 1 or 0.
    Class(u32),
    /// A real or ordinal number.
    Number(f32),
    /// Several of n classes, ascending; none of them is an answer too.
    Several(Vec<u32>),
    /// How likely each of n classes is, 0 to 1, as a teacher or a smoothed label says it: to learn from, never to be judged by.
    /// Of classes that exclude each other they add up to 1.
    Probabilities(Vec<f32>),
}

impl Target {
    /// Whether anything is known.
    pub fn is_known(&self) -> bool {
        *self != Self::Unknown
    }

    /// The class, where there is one.
    pub fn class(&self) -> Option<u32> {
        match self {
            Self::Class(class) => Some(*class),
            _ => None,
        }
    }

    /// The number, where there is one.
    pub fn number(&self) -> Option<f32> {
        match self {
            Self::Number(number) => Some(*number),
            _ => None,
        }
    }

    /// As a number whose order counts: a number, or of two classes 0 or 1, or the probability of the second.
    pub fn as_number(&self) -> Option<f32> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Class(class @ (0 | 1)) => Some(*class as f32),
            Self::Probabilities(both) if both.len() == 2 => Some(both[1]),
            _ => None,
        }
    }

    /// Whether it tells one of n classes, for sure or by probabilities.
    pub fn tells_class(&self) -> bool {
        matches!(self, Self::Class(_) | Self::Probabilities(_))
    }

    /// How likely class `class` is; `None` where the target is no answer about classes.
    ///
    /// # Panics
    /// Where there are fewer classes.
    pub fn probability(&self, class: u32) -> Option<f32> {
        match self {
            Self::Probabilities(all) => Some(all[class as usize]),
            _ => self.holds(class).map(f32::from),
        }
    }

    /// Of two classes: whether it is the second.
    pub fn is_positive(&self) -> Option<bool> {
        self.class().map(|class| class == 1)
    }

    /// Whether class `class` is among the answers; `None` where the target is of another kind or not sure.
    pub fn holds(&self, class: u32) -> Option<bool> {
        match self {
            Self::Class(own) => Some(*own == class),
            Self::Several(classes) => Some(classes.binary_search(&class).is_ok()),
            Self::Unknown | Self::Number(_) | Self::Probabilities(_) => None,
        }
    }
}

impl From<bool> for Target {
    /// The second of two classes, or the first.
    fn from(is_positive: bool) -> Self {
        Self::Class(u32::from(is_positive))
    }
}

/// One row as it was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    /// First text, one token or more as read.
    pub a: Vec<CipherId>,
    /// Second text, one token or more as read; `None` where the task has one text a row.
    pub b: Option<Vec<CipherId>>,
    /// Its label, where it was read.
    pub target: Target,
}

impl Example {
    /// Its one or two texts.
    pub fn texts(&self) -> impl Iterator<Item = &[CipherId]> {
        std::iter::once(&self.a[..]).chain(self.b.as_deref())
    }

    /// The tokens of its texts, one after the other.
    pub fn tokens(&self) -> impl Iterator<Item = CipherId> {
        self.texts().flatten().copied()
    }
}

/// One row in rows of the run's vocabulary.
#[derive(Debug, Clone, PartialEq)]
pub struct EncodedExample {
    /// First text.
    pub a: Vec<u32>,
    /// Second text; `None` where the task has one text a row.
    pub b: Option<Vec<u32>>,
    /// Its label, where it is known.
    pub target: Target,
    /// Numbers of its texts as they were read, before they were cut and before rare tokens became `[UNK]`: equal ones for equal
    /// texts. Of one text alone it is the same number twice. `None` where nobody has numbered them.
    pub text_numbers: Option<[u32; 2]>,
}

/// What tells a text from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TextIdentity<'a> {
    /// Its number: two texts that were cut or lost their rare tokens may look alike and be different.
    Number(u32),
    /// Its tokens, where it has no number.
    Tokens(&'a [u32]),
}

impl EncodedExample {
    /// Its one or two texts.
    pub fn texts(&self) -> impl Iterator<Item = &[u32]> {
        std::iter::once(&self.a[..]).chain(self.b.as_deref())
    }

    /// The tokens of its texts, one after the other, without `[CLS]` and `[SEP]`.
    pub fn tokens(&self) -> impl Iterator<Item = u32> {
        self.texts().flatten().copied()
    }

    /// Tokens of the row `[CLS] a [SEP]`, or `[CLS] a [SEP] b [SEP]`.
    pub fn n_tokens(&self) -> usize {
        1 + self.texts().map(|text| text.len() + 1).sum::<usize>()
    }

    /// What tells its texts from others, the first before the second; `None` for a row of one text.
    pub fn pair_identities(&self) -> Option<[TextIdentity<'_>; 2]> {
        let b = self.b.as_deref()?;
        Some(match self.text_numbers {
            Some(numbers) => numbers.map(TextIdentity::Number),
            None => [&self.a[..], b].map(TextIdentity::Tokens),
        })
    }

    /// The same row with nothing known of it.
    pub fn without_target(self) -> Self {
        Self {
            target: Target::Unknown,
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_answer_for_their_own_kind_only() {
        assert_eq!(Target::from(true), Target::Class(1));
        assert_eq!(Target::Class(1).is_positive(), Some(true));
        assert_eq!(Target::Number(1.0).is_positive(), None);
        assert_eq!(Target::Unknown.holds(0), None);
        assert_eq!(Target::Class(2).holds(2), Some(true));
        let several = Target::Several(vec![1, 4]);
        let held: Vec<_> = (0..5).map(|class| several.holds(class)).collect();
        assert_eq!(held, [false, true, false, false, true].map(Some));
        assert_eq!(Target::Several(vec![]).holds(0), Some(false));
        assert!(Target::Several(vec![]).is_known() && !Target::Unknown.is_known());
    }

    #[test]
    fn numbers_tell_texts_apart_that_look_alike() {
        let row = |text_numbers| EncodedExample {
            a: vec![1],
            b: Some(vec![1]),
            target: Target::Unknown,
            text_numbers,
        };
        let is_same = |row: EncodedExample| row.pair_identities().map(|[a, b]| a == b);
        assert_eq!(is_same(row(None)), Some(true));
        assert_eq!(is_same(row(Some([3, 4]))), Some(false));
        let alone = EncodedExample {
            b: None,
            ..row(Some([3, 3]))
        };
        assert_eq!(is_same(alone), None);
    }

    #[test]
    fn probabilities_are_to_learn_from_and_not_to_judge_by() {
        let soft = Target::Probabilities(vec![0.25, 0.75]);
        assert!(soft.is_known() && soft.tells_class());
        assert_eq!(
            (soft.class(), soft.holds(1), soft.is_positive()),
            (None, None, None)
        );
        assert_eq!(
            (soft.probability(0), soft.as_number()),
            (Some(0.25), Some(0.75))
        );
        assert_eq!(Target::Class(1).probability(1), Some(1.0));
        assert_eq!(Target::Several(vec![0]).probability(1), Some(0.0));
        assert_eq!(Target::Number(1.0).probability(0), None);
        assert_eq!(Target::Probabilities(vec![0.2; 5]).as_number(), None);
    }
}
