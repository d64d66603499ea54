//! What the network reads for one candidate of one row.
//!
//! In: tokens of what is said and of what it is said of. Out: an [`Input`]: ids, token types and positions, in the order of
//! next sentence prediction or as one text with hidden tokens. The layouts are those of NSP-BERT (Sun et al. 2021,
//! <https://arxiv.org/abs/2109.03564>). Knows no model.

use super::prompts::Side;
use crate::data::{PackedBatch, PackedRow, reserved};
use crate::vocab::plain::PlainSpecials;

/// Stands in a text where the candidate belongs; no row of a vocabulary.
pub const BLANK: u32 = u32::MAX;

/// Rows of the special tokens that inputs are made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Specials {
    /// `[CLS]`
    pub cls: u32,
    /// `[SEP]`
    pub sep: u32,
    /// `[MASK]`
    pub mask: u32,
    /// `[UNK]`
    pub unk: u32,
}

impl Specials {
    /// Those of a run's vocabulary.
    pub const OF_RUN: Self = Self {
        cls: reserved::CLS,
        sep: reserved::SEP,
        mask: reserved::MASK,
        unk: reserved::UNK,
    };
}

impl From<PlainSpecials> for Specials {
    fn from(plain: PlainSpecials) -> Self {
        Self {
            cls: plain.cls.0,
            sep: plain.sep.0,
            mask: plain.mask.0,
            unk: plain.unk.0,
        }
    }
}

/// One row for the network.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Input {
    /// Rows of the vocabulary, (tokens).
    pub ids: Vec<u32>,
    /// Token types, (tokens).
    pub types: Vec<u32>,
    /// Rows of the position table, (tokens); `None`: 0, 1, 2, …
    pub positions: Option<Vec<u32>>,
    /// Where tokens are hidden, and which.
    pub hidden: Vec<(usize, u32)>,
}

impl Input {
    /// `[CLS] first [SEP] second [SEP]` with token types 0 and 1.
    pub fn pair(specials: Specials, first: &[u32], second: &[u32]) -> Self {
        let (cls, sep) = ([specials.cls], [specials.sep]);
        let ids = [&cls, first, &sep, second, &sep].concat();
        let mut types = vec![0; first.len() + 2];
        types.resize(ids.len(), 1);
        Self {
            ids,
            types,
            ..Self::default()
        }
    }

    /// As [`Input::pair`] of what is said and of `text`, where what is said has the positions of the [`BLANK`] in the text and what
    /// stands behind the blank is moved on by its length: a candidate that is read as if it stood there, and is yet another
    /// sentence. Where the text has no blank it is the pair alone.
    pub fn soft(specials: Specials, said: &[u32], text: &[u32], side: Side) -> Self {
        let (first_then_second, blank) = (
            |first: &[u32], second: &[u32]| Self::pair(specials, first, second),
            text.iter().position(|&token| token == BLANK),
        );
        let Some(blank) = blank else {
            return match side {
                Side::Prefix => first_then_second(said, text),
                Side::Suffix => first_then_second(text, said),
            };
        };
        let (before, behind) = (&text[..blank], &text[blank + 1..]);
        let whole = [before, behind].concat();
        let [c, a, b] = [said, before, behind].map(|part| part.len() as u32);
        let (input, positions): (_, Vec<u32>) = match side {
            Side::Prefix => (
                first_then_second(said, &whole),
                // [CLS], what is said, [SEP], before, behind, [SEP]
                (0..1)
                    .chain(a + 2..a + c + 2)
                    .chain(1..2)
                    .chain(2..a + 2)
                    .chain(a + c + 2..a + c + b + 3)
                    .collect(),
            ),
            Side::Suffix => (
                first_then_second(&whole, said),
                // [CLS], before, behind, [SEP], what is said, [SEP]
                (0..a + 1)
                    .chain(a + c + 1..a + c + b + 2)
                    .chain(a + 1..a + c + 1)
                    .chain(a + b + c + 2..a + b + c + 3)
                    .collect(),
            ),
        };
        Self {
            positions: Some(positions),
            ..input
        }
    }

    /// `[CLS] … [SEP]` of one text with token type 0: what is said beside the text, or in the place of its [`BLANK`]. `said` is given as
    /// what stands before the candidate, the candidate and what stands behind it; the candidate is hidden, token by token.
    pub fn hidden(
        specials: Specials,
        [before, candidate, behind]: [&[u32]; 3],
        text: &[u32],
        side: Side,
    ) -> Self {
        let masks = vec![specials.mask; candidate.len()];
        let said = [before, &masks, behind].concat();
        let blank = text.iter().position(|&token| token == BLANK);
        let (head, tail) = match (blank, side) {
            (Some(blank), _) => (&text[..blank], &text[blank + 1..]),
            (None, Side::Prefix) => (&text[..0], text),
            (None, Side::Suffix) => (text, &text[..0]),
        };
        let ids = [&[specials.cls], head, &said, tail, &[specials.sep]].concat();
        let first = 1 + head.len() + before.len();
        Self {
            types: vec![0; ids.len()],
            ids,
            positions: None,
            hidden: (first..).zip(candidate.iter().copied()).collect(),
        }
    }

    /// Appends it to a batch.
    pub fn push_to(&self, batch: &mut PackedBatch) {
        batch.push_row(&PackedRow {
            input_ids: &self.ids,
            segment_ids: &self.types,
            position_ids: self.positions.as_deref(),
            visible: None,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Specials = Specials {
        cls: 101,
        sep: 102,
        mask: 103,
        unk: 100,
    };

    #[test]
    fn a_pair_has_types_0_and_1() {
        let input = Input::pair(S, &[1, 2], &[3]);
        assert_eq!(input.ids, [101, 1, 2, 102, 3, 102]);
        assert_eq!(input.types, [0, 0, 0, 0, 1, 1]);
        assert_eq!((input.positions, input.hidden), (None, vec![]));
    }

    /// Two tokens, the blank, one token; the candidate has three: a = 2, b = 1, c = 3.
    #[test]
    fn a_candidate_has_the_positions_of_the_blank() {
        let (said, text) = ([7, 8, 9], [1, 2, BLANK, 3]);
        let suffix = Input::soft(S, &said, &text, Side::Suffix);
        assert_eq!(suffix.ids, [101, 1, 2, 3, 102, 7, 8, 9, 102]);
        assert_eq!(suffix.types, [0, 0, 0, 0, 0, 1, 1, 1, 1]);
        // CLS 0; before 1..a; behind a+c+1..a+c+b; SEP next; candidate a+1..a+c; SEP a+b+c+2.
        assert_eq!(suffix.positions, Some(vec![0, 1, 2, 6, 7, 3, 4, 5, 8]));
        let prefix = Input::soft(S, &said, &text, Side::Prefix);
        assert_eq!(prefix.ids, [101, 7, 8, 9, 102, 1, 2, 3, 102]);
        assert_eq!(prefix.types, [0, 0, 0, 0, 0, 1, 1, 1, 1]);
        // CLS 0; candidate a+2..a+c+1; SEP 1; before 2..a+1; behind a+c+2..; SEP next.
        assert_eq!(prefix.positions, Some(vec![0, 4, 5, 6, 1, 2, 3, 7, 8]));
        let without = Input::soft(S, &said, &[1, 2], Side::Suffix);
        assert_eq!(without, Input::pair(S, &[1, 2], &said));
    }

    #[test]
    fn positions_are_each_number_once_wherever_the_blank_stands() {
        for blank in 0..4 {
            let mut text = vec![1, 2, 3];
            text.insert(blank, BLANK);
            for side in [Side::Prefix, Side::Suffix] {
                let input = Input::soft(S, &[7, 8], &text, side);
                let mut positions = input.positions.expect("soft");
                positions.sort_unstable();
                assert_eq!(positions, (0..8).collect::<Vec<_>>(), "{blank} {side:?}");
            }
        }
    }

    #[test]
    fn a_hidden_candidate_stands_beside_the_text_or_in_its_blank() {
        let said: [&[u32]; 3] = [&[5], &[7, 8], &[6]];
        let prefix = Input::hidden(S, said, &[1, 2], Side::Prefix);
        assert_eq!(prefix.ids, [101, 5, 103, 103, 6, 1, 2, 102]);
        assert_eq!(prefix.hidden, [(2, 7), (3, 8)]);
        let suffix = Input::hidden(S, said, &[1, 2], Side::Suffix);
        assert_eq!(suffix.ids, [101, 1, 2, 5, 103, 103, 6, 102]);
        assert_eq!(suffix.hidden, [(4, 7), (5, 8)]);
        let blank = Input::hidden(S, said, &[1, BLANK, 2], Side::Prefix);
        assert_eq!(blank.ids, [101, 1, 5, 103, 103, 6, 2, 102]);
        assert_eq!(blank.hidden, [(3, 7), (4, 8)]);
        assert!(blank.types.iter().all(|&kind| kind == 0));
    }
}
