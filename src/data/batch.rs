//! Packed batches: all tokens of all rows end to end, no padding.
//!
//! In: rows of vocabulary indices. Out: flat ids, segments, positions and how much of its row each token sees, with the
//! offsets of the rows. Real pairs have about 16 tokens; padding to the longest would be half of a batch. Does not mask
//! tokens and does not know labels' targets.

use super::reserved::{CLS, FIRST_CIPHER, SEP};

/// What the token types of the texts of a row say ([`PackedBatch::push_texts`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TokenTypes {
    /// Nothing: all are 0.
    #[default]
    Zero,
    /// Which text a token stands in: 0 for `[CLS] a [SEP]`, 1 for `b [SEP]`, as in BERT's pretraining. The texts have an
    /// order.
    Second,
    /// Which tokens the other text has too: 1 for those.
    Shared,
}

/// One row to append.
#[derive(Debug, Clone, Copy)]
pub struct PackedRow<'a> {
    /// Rows of the vocabulary, (tokens).
    pub input_ids: &'a [u32],
    /// Token types, (tokens).
    pub segment_ids: &'a [u32],
    /// Rows of the position table, (tokens); `None`: 0, 1, 2, …
    pub position_ids: Option<&'a [u32]>,
    /// How many tokens of the row, from its first, each token sees, (tokens), from 1; `None`: all.
    pub visible: Option<&'a [u32]>,
}

/// What the tokens of a row see in a network that reads segment 0 and writes segment 1 (UniLM, Dong et al. 2019): token i
/// sees token j where the segments up to j sum to no more than those up to i. With segments 0 and 1 that is a prefix:
/// all of segment 0 for its own tokens, and up to itself for a token of segment 1.
pub fn visible_prefixes(segment_ids: &[u32]) -> Vec<u32> {
    let sums = segment_ids.iter().scan(0, |sum, segment| {
        *sum += segment;
        Some(*sum)
    });
    let sums: Vec<u32> = sums.collect();
    let seen = |own: &u32| sums.partition_point(|sum| sum <= own) as u32;
    sums.iter().map(seen).collect()
}

/// Rows end to end. Where it is not empty, `offsets` has one more entry than rows: row r is `offsets[r]..offsets[r + 1]`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PackedBatch {
    /// Rows of the vocabulary, (tokens).
    pub input_ids: Vec<u32>,
    /// Token types, (tokens).
    pub segment_ids: Vec<u32>,
    /// Rows of the position table, (tokens); 0, 1, 2, … within each row where none were given.
    pub position_ids: Vec<u32>,
    /// How many tokens of its own row each token sees, (tokens); empty where all see all.
    pub visible: Vec<u32>,
    /// Where each row begins, and the end of the last, (rows + 1).
    pub offsets: Vec<usize>,
}

impl PackedBatch {
    /// Rows pushed so far.
    pub fn n_rows(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    /// Tokens of all rows.
    pub fn n_tokens(&self) -> usize {
        self.input_ids.len()
    }

    /// Appends a row with the given ids and segments, positions 0, 1, 2, …, all tokens visible.
    ///
    /// # Panics
    /// As [`PackedBatch::push_row`].
    pub fn push(&mut self, input_ids: &[u32], segment_ids: &[u32]) {
        self.push_row(&PackedRow {
            input_ids,
            segment_ids,
            position_ids: None,
            visible: None,
        });
    }

    /// Appends a row.
    ///
    /// # Panics
    /// Where there is not one segment, position or number of visible tokens an id; where a token sees none, or more than
    /// the row has.
    pub fn push_row(&mut self, row: &PackedRow) {
        let length = row.input_ids.len();
        assert_eq!(row.segment_ids.len(), length, "one segment an id");
        if let Some(visible) = row.visible {
            assert_eq!(visible.len(), length, "one number of visible tokens an id");
            let fits = |&n: &u32| n > 0 && n as usize <= length;
            assert!(visible.iter().all(fits), "{visible:?} of {length} tokens");
            self.say_what_is_visible();
            self.visible.extend_from_slice(visible);
        }
        if let Some(positions) = row.position_ids {
            assert_eq!(positions.len(), length, "one position an id");
            self.position_ids.extend_from_slice(positions);
        }
        self.input_ids.extend_from_slice(row.input_ids);
        self.segment_ids.extend_from_slice(row.segment_ids);
        self.close_row();
    }

    /// Appends `[CLS] a [SEP]`, with a second text `[CLS] a [SEP] b [SEP]`. Segments are 0 (the reference of matching never
    /// uses token type 1), but 1 for the second text where the types tell the texts apart, and 1 where the other text has the
    /// same token where they tell that: a small network does not learn to compare from few rows, and is told. Reserved tokens,
    /// such as `[MASK]` and `[UNK]`, are never marked as shared.
    pub fn push_texts(&mut self, a: &[u32], b: Option<&[u32]>, types: TokenTypes) {
        self.input_ids.push(CLS);
        self.segment_ids.push(0);
        let texts = [Some(a), b];
        for (side, other) in [(0, texts[1]), (1, texts[0])] {
            let Some(text) = texts[side] else { continue };
            let other = other.filter(|_| types == TokenTypes::Shared);
            let other = other.unwrap_or_default();
            let own = u32::from(side == 1 && types == TokenTypes::Second);
            let is_shared = |token: &u32| *token >= FIRST_CIPHER && other.contains(token);
            self.input_ids.extend_from_slice(text);
            self.input_ids.push(SEP);
            self.segment_ids
                .extend(text.iter().map(|token| own | u32::from(is_shared(token))));
            self.segment_ids.push(own);
        }
        self.close_row();
    }

    /// Appends a row that is there already once more.
    ///
    /// # Panics
    /// Where there is no such row.
    pub fn push_copy(&mut self, row: usize) {
        let tokens = self.offsets[row]..self.offsets[row + 1];
        self.input_ids.extend_from_within(tokens.clone());
        self.segment_ids.extend_from_within(tokens.clone());
        self.position_ids.extend_from_within(tokens.clone());
        if !self.visible.is_empty() {
            self.visible.extend_from_within(tokens);
        }
        self.close_row();
    }

    /// Position of the `[CLS]` of each row, (rows).
    pub fn cls_positions(&self) -> &[usize] {
        &self.offsets[..self.n_rows()]
    }

    /// Writes down for the rows so far that all see all, where that was left unsaid.
    fn say_what_is_visible(&mut self) {
        if self.visible.is_empty() {
            for bounds in self.offsets.windows(2) {
                let length = bounds[1] - bounds[0];
                self.visible.resize(bounds[1], length as u32);
            }
        }
    }

    /// Ends the row whose ids were just appended: the rest of it is as for most rows.
    fn close_row(&mut self) {
        if self.offsets.is_empty() {
            self.offsets.push(0);
        }
        let length = (self.input_ids.len() - self.offsets[self.offsets.len() - 1]) as u32;
        if self.position_ids.len() < self.input_ids.len() {
            self.position_ids.extend(0..length);
        }
        if !self.visible.is_empty() {
            self.visible.resize(self.input_ids.len(), length);
        }
        self.offsets.push(self.input_ids.len());
    }
}

#[cfg(test)]
mod tests {
    use super::super::example::{EncodedExample, Target};
    use super::super::reserved::{MASK, UNK};
    use super::*;

    #[test]
    fn rows_lie_end_to_end() {
        let mut batch = PackedBatch::default();
        assert_eq!((batch.n_rows(), batch.n_tokens()), (0, 0));
        assert!(batch.cls_positions().is_empty());
        batch.push_texts(&[10, 11], Some(&[12]), TokenTypes::Zero);
        batch.push(&[2, 9, 3], &[0, 1, 1]);
        assert_eq!(batch.input_ids, [2, 10, 11, 3, 12, 3, 2, 9, 3]);
        assert_eq!(batch.segment_ids, [0, 0, 0, 0, 0, 0, 0, 1, 1]);
        assert_eq!(batch.position_ids, [0, 1, 2, 3, 4, 5, 0, 1, 2]);
        assert_eq!(batch.offsets, [0, 6, 9]);
        assert_eq!(batch.cls_positions(), [0, 6]);
        assert_eq!((batch.n_rows(), batch.n_tokens()), (2, 9));
    }

    #[test]
    fn n_tokens_of_an_example_is_what_it_packs_to() {
        for b in [None, Some(vec![7])] {
            let example = EncodedExample {
                a: vec![7, 8, 9],
                b,
                target: Target::Unknown,
                text_numbers: None,
            };
            let mut batch = PackedBatch::default();
            batch.push_texts(&example.a, example.b.as_deref(), TokenTypes::Shared);
            assert_eq!(batch.n_tokens(), example.n_tokens());
        }
    }

    #[test]
    fn tokens_of_both_texts_are_marked_and_reserved_ones_never() {
        let marks = |a: &[u32], b: Option<&[u32]>| {
            let mut batch = PackedBatch::default();
            batch.push_texts(a, b, TokenTypes::Shared);
            batch.segment_ids
        };
        let both = [MASK, UNK, 20, 21, 20];
        assert_eq!(
            marks(&both, Some(&[22, 20, UNK, MASK])),
            [0, 0, 0, 1, 0, 1, 0, 0, 1, 0, 0, 0]
        );
        assert_eq!(marks(&[20], None), [0, 0, 0]);
        assert_eq!(marks(&[20], Some(&[])), [0, 0, 0, 0]);
    }

    #[test]
    fn the_second_text_and_its_separator_have_type_1_where_types_tell_texts_apart() {
        let mut batch = PackedBatch::default();
        batch.push_texts(&[20, 21], Some(&[20]), TokenTypes::Second);
        batch.push_texts(&[20], None, TokenTypes::Second);
        assert_eq!(batch.segment_ids, [0, 0, 0, 0, 1, 1, 0, 0, 0]);
    }

    #[test]
    fn positions_and_what_is_visible_are_as_given_beside_rows_without() {
        let mut batch = PackedBatch::default();
        batch.push(&[2, 9], &[0, 0]);
        assert!(batch.visible.is_empty());
        batch.push_row(&PackedRow {
            input_ids: &[2, 9, 3],
            segment_ids: &[0, 1, 1],
            position_ids: Some(&[4, 0, 4]),
            visible: Some(&[1, 2, 3]),
        });
        batch.push_texts(&[10], Some(&[]), TokenTypes::Zero);
        assert_eq!(batch.position_ids, [0, 1, 4, 0, 4, 0, 1, 2, 3]);
        assert_eq!(batch.visible, [2, 2, 1, 2, 3, 4, 4, 4, 4]);
        assert_eq!(batch.offsets, [0, 2, 5, 9]);
        let mut first = PackedBatch::default();
        first.push_row(&PackedRow {
            input_ids: &[2, 9],
            segment_ids: &[0, 1],
            position_ids: None,
            visible: Some(&[1, 2]),
        });
        assert_eq!(first.visible, [1, 2]);
    }

    #[test]
    fn a_reader_sees_its_sentence_and_a_writer_what_it_has_written() {
        // As a matrix 11100, 11100, 11100, 11110, 11111.
        assert_eq!(visible_prefixes(&[0, 0, 0, 1, 1]), [3, 3, 3, 4, 5]);
        assert_eq!(visible_prefixes(&[0, 0]), [2, 2]);
        assert_eq!(visible_prefixes(&[1, 1, 1]), [1, 2, 3]);
        assert!(visible_prefixes(&[]).is_empty());
    }

    #[test]
    #[should_panic(expected = "of 2 tokens")]
    fn a_token_that_sees_more_than_its_row_is_refused() {
        PackedBatch::default().push_row(&PackedRow {
            input_ids: &[2, 9],
            segment_ids: &[0, 1],
            position_ids: None,
            visible: Some(&[1, 3]),
        });
    }
}
