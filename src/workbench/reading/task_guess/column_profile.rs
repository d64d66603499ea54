//! What the fields of one column have in common.
//!
//! In: fields, one by one. Out: a [`ColumnProfile`] that tells ids, texts and labels from each other. Knows one column at a time.

use std::collections::HashSet;

use crate::data::classes::MAX_CLASSES;
use crate::data::label_field::{self, finite};
use crate::data::{Dictionary, ExampleFormat, TokenKind};

/// What the fields of a column have in common.
#[derive(Clone)]
pub(super) struct ColumnProfile {
    /// Hashes of the different fields.
    pub distinct: HashSet<u64>,
    /// Fields that are numbers.
    n_numbers: usize,
    /// Fields that say in a word that there is no number: `NaN`.
    n_missing: usize,
    /// Each of the others is 0 or 1.
    zero_one: bool,
    /// Each of the others is a number.
    numbers: bool,
    /// Each of the others is a whole number.
    integers: bool,
    /// Each has one token at most.
    pub one_token: bool,
    /// How many hold what no token can be.
    pub not_tokens: usize,
    /// Parts between label separators, in all, and the different ones.
    pub parts: usize,
    pub distinct_parts: HashSet<u64>,
}

impl Default for ColumnProfile {
    fn default() -> Self {
        Self {
            distinct: HashSet::new(),
            n_numbers: 0,
            n_missing: 0,
            zero_one: true,
            numbers: true,
            integers: true,
            one_token: true,
            not_tokens: 0,
            parts: 0,
            distinct_parts: HashSet::new(),
        }
    }
}

impl ColumnProfile {
    pub fn add(&mut self, field: &str, format: &ExampleFormat, numbers: &Dictionary) {
        let field = field.trim();
        self.distinct.insert(hash(field));
        if !field.is_empty() && label_field::is_missing(field) {
            self.n_missing += 1;
        } else {
            let number = finite(field);
            self.n_numbers += usize::from(number.is_some());
            self.zero_one &= label_field::zero_or_one(field).is_some();
            self.numbers &= number.is_some();
            self.integers &= number.is_some_and(|number| number.fract() == 0.0);
        }
        let tokens = || {
            field
                .split(&format.token_separator)
                .filter(|token| !token.is_empty())
        };
        self.one_token &= tokens().count() <= 1;
        let can_be_text = match format.tokens {
            TokenKind::Number => {
                !field.is_empty() && tokens().all(|token| numbers.get(token).is_some())
            }
            TokenKind::Text => !field.is_empty(),
        };
        self.not_tokens += usize::from(!can_be_text);
        for part in field.split(&format.label_separator) {
            self.parts += 1;
            if !part.trim().is_empty() && self.distinct_parts.len() <= MAX_CLASSES {
                self.distinct_parts.insert(hash(part.trim()));
            }
        }
    }

    /// Each field is 0 or 1; a few may say that there is none, which the reader refuses.
    pub fn is_zero_one(&self) -> bool {
        self.zero_one && self.is_numeric()
    }

    /// Each is a number, in the same way.
    pub fn is_numeric(&self) -> bool {
        self.numbers && (self.n_numbers > 0 || self.n_missing == 0)
    }

    /// Each is a whole number, in the same way.
    pub fn is_whole(&self) -> bool {
        self.integers && self.is_numeric()
    }

    /// A number a row, each another: in few rows that may be chance.
    pub fn is_ids(&self, rows: usize) -> bool {
        self.is_whole()
            && self.n_missing == 0
            && self.one_token
            && self.distinct.len() == rows
            && rows >= 10
    }

    /// Several tokens in some rows, and few fields that cannot be texts.
    pub fn has_texts(&self, rows: usize) -> bool {
        !self.one_token && 2 * self.not_tokens < rows
    }

    /// Whether this second column of two holds labels; `None` where it cannot be told.
    pub fn is_label(&self, text: &Self, rows: usize) -> Option<bool> {
        if 2 * self.not_tokens >= rows {
            return Some(true); // fewer of them are mistakes in texts, which the reader names
        }
        if !self.one_token {
            return Some(false);
        }
        let n = self.distinct.len();
        let is_few = self.is_zero_one() || (n <= MAX_CLASSES && 5 * n <= rows);
        (is_few && !text.one_token).then_some(true)
    }
}

fn hash(text: &str) -> u64 {
    use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
    BuildHasherDefault::<DefaultHasher>::default().hash_one(text)
}
