//! Packed batches: all tokens of all rows end to end, no padding.
//!
//! In: rows of vocabulary indices. Out: flat ids, segments and positions, with the offsets of the
//! rows. Real pairs have about 16 tokens; padding to the longest would be half of a batch. Does not mask and
//! does not know labels' targets.

use super::reserved::{CLS, SEP};

/// Rows end to end. Where it is not empty, `offsets` has one more entry than rows: row r is `offsets[r]..offsets[r + 1]`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PackedBatch {
    /// Rows of the vocabulary, (tokens).
    pub input_ids: Vec<u32>,
    /// Token types, (tokens).
    pub segment_ids: Vec<u32>,
    /// 0, 1, 2, … within each row, (tokens).
    pub position_ids: Vec<u32>,
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

    /// Appends a row with the given ids and segments, positions 0, 1, 2, …
    ///
    /// # Panics
    /// Where ids and segments differ in length.
    pub fn push(&mut self, input_ids: &[u32], segment_ids: &[u32]) {
        assert_eq!(input_ids.len(), segment_ids.len(), "one segment an id");
        self.input_ids.extend_from_slice(input_ids);
        self.segment_ids.extend_from_slice(segment_ids);
        self.close_row();
    }

    /// Appends `[CLS] a [SEP]`, with a second text `[CLS] a [SEP] b [SEP]`; segments all 0: the reference never uses token
    /// type 1.
    pub fn push_texts(&mut self, a: &[u32], b: Option<&[u32]>) {
        self.input_ids.push(CLS);
        for text in std::iter::once(a).chain(b) {
            self.input_ids.extend_from_slice(text);
            self.input_ids.push(SEP);
        }
        self.segment_ids.resize(self.input_ids.len(), 0);
        self.close_row();
    }

    /// Position of the `[CLS]` of each row, (rows).
    pub fn cls_positions(&self) -> &[usize] {
        &self.offsets[..self.n_rows()]
    }

    /// Ends the row whose ids were just appended.
    fn close_row(&mut self) {
        if self.offsets.is_empty() {
            self.offsets.push(0);
        }
        let length = (self.input_ids.len() - self.position_ids.len()) as u32;
        self.position_ids.extend(0..length);
        self.offsets.push(self.input_ids.len());
    }
}

#[cfg(test)]
mod tests {
    use super::super::example::{EncodedExample, Target};
    use super::*;

    #[test]
    fn rows_lie_end_to_end() {
        let mut batch = PackedBatch::default();
        assert_eq!((batch.n_rows(), batch.n_tokens()), (0, 0));
        assert!(batch.cls_positions().is_empty());
        batch.push_texts(&[10, 11], Some(&[12]));
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
            };
            let mut batch = PackedBatch::default();
            batch.push_texts(&example.a, example.b.as_deref());
            assert_eq!(batch.n_tokens(), example.n_tokens());
        }
    }
}
