//! A batch for training: rows as the network sees them, and what is wanted at which position.
//!
//! In: encoded rows and a stream of random draws. Out: a [`Batch`]. Swaps the two texts of a row with probability one
//! half, if asked to, hides tokens for the MLM, and wants the label at `[CLS]`. Each row draws alone: what is beside it changes nothing.

use std::ops::Range;

use crate::data::{EncodedExample, Masking, PackedBatch, Target, TokenTypes, reserved};
use crate::random::{Key, Purpose};

/// How the rows of an epoch are drawn.
#[derive(Debug, Clone)]
pub struct Draw {
    /// Which tokens become MLM targets, and what stands in their places.
    pub masking: Masking,
    /// Rows of the vocabulary that a hidden token may be replaced by.
    pub cipher_rows: Range<u32>,
    /// What token types say.
    pub token_types: TokenTypes,
    /// Whether the two texts of a row change places, half of the time. Not where token types tell them apart.
    pub swap: bool,
    /// Stream of this epoch; each row has its own below it.
    pub key: Key,
}

impl Draw {
    /// The same, with no token hidden where the MLM has no weight.
    pub fn with_weight(&self, mlm_weight: f64) -> Self {
        let mut draw = self.clone();
        if mlm_weight == 0.0 {
            draw.masking = draw.masking.with_share(0.0);
        }
        draw
    }
}

/// A corrupted batch and what is wanted of it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Batch {
    /// Rows as the network sees them.
    pub rows: PackedBatch,
    /// Positions in the packed tokens whose states are wanted, (N).
    pub positions: Vec<u32>,
    /// Which of `positions` are the `[CLS]` of labelled rows, (L), ascending.
    pub labelled: Vec<u32>,
    /// Their labels, (L).
    pub targets: Vec<Target>,
    /// Which of `positions` are to name a token, (M), ascending: those of hidden tokens, or those before tokens to be written.
    pub masked: Vec<u32>,
    /// The tokens: those that stood there, or those that come next, (M).
    pub tokens: Vec<u32>,
    /// Which of the labelled rows mean the same: those with equal numbers, (L without its copies). Empty where nobody asks.
    pub groups: Vec<usize>,
    /// How often each label stands in `labelled` besides once.
    pub extra_copies: usize,
    /// What the means of the loss are over, where a step has further batches.
    pub whole: Option<Counts>,
}

/// What a batch or a step has to learn from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Labelled rows.
    pub labels: usize,
    /// Hidden tokens, or tokens to be written.
    pub masked: usize,
}

impl std::iter::Sum for Counts {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::default(), |sum, next| Self {
            labels: sum.labels + next.labels,
            masked: sum.masked + next.masked,
        })
    }
}

impl Batch {
    /// What it has to learn from. Copies of a label count once.
    pub fn counts(&self) -> Counts {
        Counts {
            labels: self.labelled.len() / (1 + self.extra_copies),
            masked: self.masked.len(),
        }
    }

    /// What the means of its loss are over.
    pub fn whole(&self) -> Counts {
        self.whole.unwrap_or(self.counts())
    }

    /// Its part of the labels of its step, 0 to 1.
    pub fn share_of_labels(&self) -> f32 {
        share(self.counts().labels, self.whole().labels)
    }

    /// Its part of the hidden tokens of its step, 0 to 1.
    pub fn share_of_masked(&self) -> f32 {
        share(self.counts().masked, self.whole().masked)
    }

    /// The rows with the given numbers. Labels that `uses` refuses are not wanted.
    pub fn draw(
        rows: &[EncodedExample],
        numbers: &[usize],
        draw: &Draw,
        uses: impl Fn(&Target) -> bool,
    ) -> Self {
        let mut batch = Self::default();
        for &number in numbers {
            batch.push(&rows[number], number as u64, draw, &uses);
        }
        batch
    }

    /// Every label `1 + extra` times: the rows of the labels are there again behind the others, with the same hidden tokens,
    /// which are wanted once only. For passes that differ in their dropout.
    ///
    /// # Panics
    /// Where there are copies already.
    pub fn with_copies(mut self, extra: usize) -> Self {
        assert_eq!(self.extra_copies, 0, "copies once");
        let (offsets, labelled) = (self.rows.offsets.clone(), self.labelled.clone());
        let targets = self.targets.clone();
        for _ in 0..extra {
            for &at in &labelled {
                let start = self.positions[at as usize];
                let row = offsets.partition_point(|&offset| offset < start as usize);
                self.labelled.push(self.positions.len() as u32);
                self.positions.push(self.rows.n_tokens() as u32);
                self.rows.push_copy(row);
            }
            self.targets.extend_from_slice(&targets);
        }
        self.extra_copies = extra;
        self
    }

    /// The row with this number, which chooses its random streams.
    pub(super) fn push(
        &mut self,
        row: &EncodedExample,
        number: u64,
        draw: &Draw,
        uses: impl Fn(&Target) -> bool,
    ) {
        let mut texts: Vec<Vec<u32>> = row.texts().map(<[u32]>::to_vec).collect();
        if draw.swap && draw.key.with(Purpose::Swap).bits(number) >> 63 == 1 {
            texts.reverse();
        }
        let key = draw.key.with(Purpose::Mask).at(number);
        let hide = |(side, text): (u64, &mut Vec<u32>)| {
            (draw.masking).corrupt(text, draw.cipher_rows.end, key.at(side))
        };
        let hidden: Vec<Vec<u32>> = (0..).zip(&mut texts).map(hide).collect();

        let mut position = self.rows.n_tokens() as u32;
        let second = texts.get(1).map(Vec::as_slice);
        self.rows.push_texts(&texts[0], second, draw.token_types);
        if uses(&row.target) {
            self.labelled.push(self.positions.len() as u32);
            self.positions.push(position);
            self.targets.push(row.target.clone());
        }
        position += 1; // after [CLS]
        for tokens in hidden {
            for token in tokens {
                if token != reserved::PAD {
                    self.masked.push(self.positions.len() as u32);
                    self.positions.push(position);
                    self.tokens.push(token);
                }
                position += 1;
            }
            position += 1; // after [SEP]
        }
    }
}

fn share(part: usize, whole: usize) -> f32 {
    if part == whole {
        return 1.0; // 0 of 0 too
    }
    part as f32 / whole as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::reserved::{CLS, SEP, UNK};

    fn draw(mask: f64) -> Draw {
        Draw {
            masking: Masking::of_tokens(mask),
            cipher_rows: reserved::FIRST_CIPHER..100,
            token_types: TokenTypes::Zero,
            swap: true,
            key: Key::from_seed(1),
        }
    }

    fn row(a: &[u32], b: Option<&[u32]>, target: Target) -> EncodedExample {
        EncodedExample {
            a: a.to_vec(),
            b: b.map(<[u32]>::to_vec),
            target,
            text_numbers: None,
        }
    }

    #[test]
    fn labels_are_wanted_at_cls_and_unlabelled_rows_have_none() {
        let rows = [
            row(&[7], Some(&[8]), true.into()),
            row(&[9], Some(&[10, 11]), Target::Unknown),
            row(&[12], None, Target::Number(2.5)),
            row(&[12], Some(&[13]), false.into()),
        ];
        let numbers = [0, 1, 2, 3];
        let batch = Batch::draw(&rows, &numbers, &draw(0.0), Target::is_known);
        assert_eq!(batch.rows.offsets, [0, 5, 11, 14, 19]);
        assert_eq!(
            (batch.positions, batch.labelled),
            (vec![0, 11, 14], vec![0, 1, 2])
        );
        assert_eq!(
            batch.targets,
            [true.into(), Target::Number(2.5), false.into()]
        );
        assert!(batch.rows.segment_ids.iter().all(|&segment| segment == 0));
        let classes = Batch::draw(&rows, &numbers, &draw(0.0), |target| {
            target.class().is_some()
        });
        assert_eq!(classes.positions, [0, 14]);
    }

    #[test]
    fn every_hidden_token_stands_at_its_own_position() {
        // With mask = 1 every token is hidden, whatever the network sees in its place.
        let pair = [row(&[7, 8], Some(&[9, UNK, 10]), true.into())];
        for number in 0..20 {
            let mut batch = Batch::default();
            batch.push(&pair[0], number, &draw(1.0), Target::is_known);
            let (positions, tokens) = if batch.tokens[0] == 9 {
                ([0, 1, 2, 3, 5, 6], [9, UNK, 10, 7, 8])
            } else {
                ([0, 1, 2, 4, 5, 6], [7, 8, 9, UNK, 10])
            };
            assert_eq!(
                (&batch.positions[..], &batch.tokens[..]),
                (&positions[..], &tokens[..])
            );
            assert_eq!(
                (&batch.labelled[..], &batch.masked[..]),
                (&[0][..], &[1, 2, 3, 4, 5][..])
            );
            let special = batch
                .rows
                .input_ids
                .iter()
                .filter(|&&id| id == CLS || id == SEP);
            assert_eq!(special.copied().collect::<Vec<_>>(), [CLS, SEP, SEP]);
        }
        let single = [row(&[7, 8], None, Target::Unknown)];
        let batch = Batch::draw(&single, &[0], &draw(1.0), Target::is_known);
        assert_eq!((batch.positions, batch.tokens), (vec![1, 2], vec![7, 8]));
    }

    #[test]
    fn a_mark_tells_nothing_of_what_is_hidden() {
        let rows = vec![row(&[7, 8, 9], Some(&[9, 7, 10]), Target::Unknown); 400];
        let numbers: Vec<usize> = (0..rows.len()).collect();
        let draw = Draw {
            token_types: TokenTypes::Shared,
            ..draw(0.5)
        };
        let batch = Batch::draw(&rows, &numbers, &draw, Target::is_known).rows;
        for (tokens, marks) in batch.input_ids.chunks(9).zip(batch.segment_ids.chunks(9)) {
            let (a, b) = (&tokens[1..4], &tokens[5..8]);
            for (text, other, marks) in [(a, b, &marks[1..4]), (b, a, &marks[5..8])] {
                for (token, mark) in text.iter().zip(marks) {
                    let is_shared = *token >= reserved::FIRST_CIPHER && other.contains(token);
                    assert_eq!(*mark == 1, is_shared, "{tokens:?} {marks:?}");
                }
            }
        }
    }

    #[test]
    fn texts_are_swapped_half_of_the_time_and_rows_draw_alone() {
        let rows = vec![row(&[7], Some(&[8]), Target::Unknown); 4000];
        let numbers: Vec<usize> = (0..rows.len()).collect();
        let batch = Batch::draw(&rows, &numbers, &draw(0.0), Target::is_known);
        let swapped = batch.rows.input_ids.chunks(5).filter(|row| row[1] == 8);
        let share = swapped.count() as f64 / 4000.0;
        assert!((share - 0.5).abs() < 0.032, "{share}"); // four standard errors
        let ordered = Draw {
            swap: false,
            ..draw(0.0)
        };
        let kept = Batch::draw(&rows, &numbers, &ordered, Target::is_known).rows;
        assert!(kept.input_ids.chunks(5).all(|row| row[1] == 7));
        let alone = Batch::draw(&rows, &[17], &draw(0.0), Target::is_known);
        assert_eq!(alone.rows.input_ids, batch.rows.input_ids[17 * 5..18 * 5]);
    }
}
