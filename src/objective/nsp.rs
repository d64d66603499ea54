//! Next sentence prediction (Devlin et al. 2018, <https://arxiv.org/abs/1810.04805>, 3.1; as a prompt for other tasks:
//! Sun et al. 2021, <https://arxiv.org/abs/2109.03564>).
//!
//! A row is `[CLS] a [SEP] b [SEP]` with token types 0 and 1; its label says whether b follows a. The pooler (tanh) and the
//! next-sentence head give two logits, of which index 0 means "is next", as in every BERT. Loss: mean of
//! `-log softmax(logits)[0 if next, else 1]`, and `mlm_weight` x MLM. Score: `logit(next) - logit(not next)`, any real number.
//! The loss is also the binary cross-entropy of `sigmoid(score)`: that of NSP-tuning, whose rows are a text and what is said for each
//! of its labels, labelled 1 for the true one. With `objective.candidates` such rows are asked together, and the loss is which of them
//! is the true one ([`super::choice`]); scores stay those of each row. Labels are 0 and 1: of a pair task 1 is what "is next" stands for.
//! Nearest relative: [`super::ce`] on the pooler, whose head has its classes in their own order, and is fresh unless
//! `objective.head_start = "nsp"`.
//!
//! Where a stage has [`Neighbours`], its rows are all true ones: a line and the next, label 1, uncut. Then every batch replaces
//! the second text of a row with probability one half, anew in each epoch, by the second text of a row of another document,
//! and the label becomes 0. Pairs are cut to their length after that, true ones and others alike.

use std::ops::Range;

use dfdx::prelude::{Cpu, Tape, cross_entropy_with_logits_loss};

use super::choice::{Candidates, Questions, value_and_gradient};
use super::joint::{LabelLoss, beside_mlm, difference};
use super::{Batch, Draw, Loss, Objective, OutputKind, Outputs, Recipe, StepTape};
use crate::checkpoint::Heads;
use crate::data::truncate::truncate_texts;
use crate::data::{EncodedExample, LabelKind, Scores, Target};
use crate::model::tensor::{Matrix, matrix};
use crate::model::{Bert, Pooling, ops};
use crate::random::{Key, Purpose};

/// The entry of the table.
pub const RECIPE: Recipe = Recipe {
    name: "nsp",
    labels: &[LabelKind::Binary],
    mlm_weight: 1.0,
    scores_are_logits: true,
    make: |options, _| {
        Box::new(Nsp {
            mlm_weight: options.mlm_weight,
            candidates: options.candidates,
            smoothing: options.choice_smoothing,
            ..Nsp::default()
        })
    },
};

/// See the module.
#[derive(Debug, Clone, Default)]
pub struct Nsp {
    /// Of the MLM term, 0 or more.
    pub mlm_weight: f64,
    /// Which rows are of one document, where pairs that are no neighbours are drawn.
    pub neighbours: Option<Neighbours>,
    /// Which text of a row is a candidate, where rows are asked together.
    pub candidates: Option<Candidates>,
    /// Certainty that the right one among candidates loses, 0 to 1.
    pub smoothing: f64,
    /// Those of the stage, once it is prepared.
    pub questions: Option<Questions>,
}

/// The documents of the first rows of a stage: a document has rows one after the other, and so has a file of documents. Rows
/// behind the last document, which have one text, take part as they are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Neighbours {
    /// Behind the last row of each document, ascending.
    documents: Vec<usize>,
    /// Behind the last row of each file, ascending.
    files: Vec<usize>,
    /// Tokens that both texts of a pair may have together.
    max_tokens: usize,
}

impl Neighbours {
    /// For pairs of at most `max_tokens` tokens.
    pub fn new(max_tokens: usize) -> Self {
        Self {
            max_tokens,
            ..Self::default()
        }
    }

    /// Adds a file by the rows that each of its documents has; documents without rows may be among them.
    pub fn push_file(&mut self, documents: impl IntoIterator<Item = usize>) {
        let mut end = self.files.last().copied().unwrap_or(0);
        for rows in documents.into_iter().filter(|&rows| rows > 0) {
            end += rows;
            self.documents.push(end);
        }
        if self.files.last().copied().unwrap_or(0) < end {
            self.files.push(end);
        }
    }

    /// Whether every row has one of another document.
    pub fn are_enough(&self) -> bool {
        self.documents.len() > 1
    }

    /// Rows of all documents.
    pub fn n_rows(&self) -> usize {
        self.files.last().copied().unwrap_or(0)
    }

    /// The row as it is, or with another second text; `key` is that of the epoch. Cut to its length.
    ///
    /// # Panics
    /// Where there is one document alone.
    pub fn draw(&self, rows: &[EncodedExample], number: usize, key: Key) -> EncodedExample {
        let key = key.with(Purpose::NextSentence).at(number as u64);
        let mut row = rows[number].clone();
        if number < self.n_rows() && key.bits(0) >> 63 == 1 {
            row.b = rows[self.other(number, key.bits(1))].b.clone();
            row.target = false.into();
        }
        truncate_texts(&mut row.a, row.b.as_mut(), self.max_tokens);
        row
    }

    /// Tokens of a row that is cut to its length, `[CLS]` and `[SEP]` included.
    fn n_tokens(&self, row: &EncodedExample) -> usize {
        let n_special = 1 + row.texts().count();
        row.n_tokens().min(self.max_tokens + n_special)
    }

    /// A row of another document: of the same file, where that has another, so that the file alone tells nothing.
    fn other(&self, number: usize, bits: u64) -> usize {
        let own = around(&self.documents, number);
        let file = around(&self.files, number);
        let from = if file == own { 0..self.n_rows() } else { file };
        let others = from.len() - own.len();
        assert!(others > 0, "two documents");
        let row = from.start + (bits % others as u64) as usize;
        if row < own.start {
            row
        } else {
            row + own.len()
        }
    }
}

/// The range that holds `number`, of those that end before each of `ends`.
fn around(ends: &[usize], number: usize) -> Range<usize> {
    let at = ends.partition_point(|&end| end <= number);
    let start = at.checked_sub(1).map_or(0, |before| ends[before]);
    start..ends[at]
}

impl Objective for Nsp {
    fn heads(&self) -> Heads {
        Heads {
            mlm: self.mlm_weight > 0.0,
            pooler: true,
            nsp: true,
            classifier: None,
        }
    }

    fn mlm_weight(&self) -> f64 {
        self.mlm_weight
    }

    fn uses(&self, target: &Target) -> bool {
        target.tells_class()
    }

    fn has_order(&self) -> bool {
        true
    }

    /// Of pairs that are drawn these are the tokens of the true ones; the others are as long on average.
    fn n_tokens(&self, row: &EncodedExample) -> usize {
        let neighbours = self.neighbours.as_ref();
        neighbours.map_or(row.n_tokens(), |neighbours| neighbours.n_tokens(row))
    }

    fn prepare(&mut self, rows: &[EncodedExample]) {
        self.questions = (self.candidates).map(|candidates| Questions::of(rows, candidates));
    }

    fn batch(&self, rows: &[EncodedExample], numbers: &[usize], draw: &Draw) -> Batch {
        let draw = &draw.with_weight(self.mlm_weight);
        let uses = |target: &Target| self.uses(target);
        if let Some(candidates) = self.candidates {
            return match &self.questions {
                Some(questions) => ask(questions, rows, numbers, draw),
                None => ask(&Questions::of(rows, candidates), rows, numbers, draw),
            };
        }
        let Some(neighbours) = &self.neighbours else {
            return Batch::draw(rows, numbers, draw, uses);
        };
        let mut batch = Batch::default();
        for &number in numbers {
            let row = neighbours.draw(rows, number, draw.key);
            batch.push(&row, number as u64, draw, uses);
        }
        batch
    }

    fn loss(&self, model: &Bert, batch: &Batch, states: Matrix<StepTape>) -> Loss {
        beside_mlm(model, batch, states, self.mlm_weight, |first, targets| {
            let logits = nsp_logits(model, first);
            let n = targets.len();
            let loss = match self.candidates {
                Some(_) => ops::closed_form(difference(logits, 0, 1), |margins| {
                    value_and_gradient(margins, &batch.groups, targets, self.smoothing)
                }),
                None => cross_entropy_with_logits_loss(logits, wanted(targets)),
            };
            LabelLoss { loss, n }
        })
    }

    fn outputs(&self, model: &Bert, first_states: Matrix<StepTape>) -> Option<Outputs> {
        Some(Outputs {
            values: nsp_logits(model, first_states),
            kind: OutputKind::Softmax,
        })
    }

    fn scores(&self, model: &Bert, first_states: Matrix) -> Option<Scores> {
        Some(Scores::single(margins(model, first_states)))
    }
}

/// How likely "is next" and "is not next" are to be, (targets × 2).
fn wanted(targets: &[Target]) -> Matrix {
    let values = targets.iter().flat_map(|target| {
        let is_next = target.as_number().expect("the batch has 0 and 1 only");
        [is_next, 1.0 - is_next]
    });
    matrix(&Cpu::default(), values.collect(), targets.len(), 2)
}

/// Each question whole, in the place of its first row; rows that are no candidates, for the MLM alone, as they are.
fn ask(questions: &Questions, rows: &[EncodedExample], numbers: &[usize], draw: &Draw) -> Batch {
    let mut batch = Batch::default();
    for &number in numbers {
        let Some((question, candidates)) = questions.at(number) else {
            if draw.masking.options().share > 0.0 {
                batch.push(&rows[number], number as u64, draw, |_| false);
            }
            continue;
        };
        for &candidate in candidates {
            batch.push(&rows[candidate], candidate as u64, draw, |_| true);
            batch.groups.push(question);
        }
    }
    batch
}

/// `logit(next) - logit(not next)` for the states of `[CLS]` (rows × H), (rows).
///
/// # Panics
/// Without pooler and NSP head.
pub fn margins(model: &Bert, first_states: Matrix) -> Vec<f32> {
    difference(nsp_logits(model, first_states), 0, 1).as_vec()
}

fn nsp_logits<T: Tape<f32, Cpu>>(model: &Bert, first_states: Matrix<T>) -> Matrix<T> {
    model.nsp_logits(model.pool(first_states, Pooling::Tanh))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Masking, TokenTypes};

    /// Row r has the texts [10 + r] and [1000 + r], which says where it is from.
    fn rows(n: u32) -> Vec<EncodedExample> {
        let row = |row: u32| EncodedExample {
            a: vec![10 + row],
            b: Some(vec![1000 + row]),
            target: true.into(),
            text_numbers: None,
        };
        (0..n).map(row).collect()
    }

    /// Files of the documents 0..3 and 3..7, 7..8, 8..12 and 12..13, and one with a single document 13..15.
    fn neighbours() -> Neighbours {
        let mut neighbours = Neighbours::new(64);
        neighbours.push_file([3, 0, 4]);
        neighbours.push_file([1, 4, 1]);
        neighbours.push_file([]);
        neighbours.push_file([2]);
        neighbours
    }

    #[test]
    fn a_false_neighbour_is_of_another_document_of_the_same_file() {
        let (neighbours, mut rows) = (neighbours(), rows(17));
        for row in &mut rows[15..] {
            *row = EncodedExample {
                b: None,
                target: Target::Unknown,
                ..row.clone()
            };
        }
        let documents = [0..3, 3..7, 7..8, 8..12, 12..13, 13..15];
        let files = [0..7, 7..13, 13..15];
        let (mut negative, mut all) = (0, 0);
        let mut seen = std::collections::BTreeSet::new();
        for epoch in 0..200 {
            let key = Key::from_seed(1).at(epoch);
            for number in 0..15 {
                let row = neighbours.draw(&rows, number, key);
                let second = row.b.expect("a pair")[0] as usize - 1000;
                all += 1;
                assert_eq!(row.a, rows[number].a);
                if row.target == Target::from(true) {
                    assert_eq!(second, number);
                    continue;
                }
                negative += 1;
                seen.insert((number, second));
                let own = documents.iter().find(|rows| rows.contains(&number));
                assert!(
                    !own.expect("a document").contains(&second),
                    "{number} {second}"
                );
                let file = files.iter().find(|rows| rows.contains(&number));
                let file = file.expect("a file");
                assert!(number >= 13 || file.contains(&second), "{number} {second}");
            }
            assert_eq!(neighbours.draw(&rows, 15, key), rows[15]);
        }
        // Half of 3000 draws: four standard errors are 110.
        assert!(
            (all / 2 - 110..all / 2 + 110).contains(&negative),
            "{negative} of {all}"
        );
        // Of 3 rows 4 others each, of 4 rows 3; then 1 x 5, 4 x 2, 1 x 5; of the last 2 rows all 13 others.
        assert_eq!(seen.len(), 12 + 12 + 5 + 8 + 5 + 26);
    }

    #[test]
    fn true_and_false_pairs_are_cut_alike() {
        let mut neighbours = Neighbours::new(6);
        neighbours.push_file([1, 1]);
        let pair = |a: usize, b: usize| EncodedExample {
            a: vec![10; a],
            b: Some(vec![11; b]),
            target: true.into(),
            text_numbers: None,
        };
        let rows = [pair(6, 6), pair(6, 2)];
        let mut lengths = std::collections::BTreeSet::new();
        for epoch in 0..50 {
            let row = neighbours.draw(&rows, 1, Key::from_seed(2).at(epoch));
            lengths.insert((
                row.target == true.into(),
                row.a.len(),
                row.b.map(|b| b.len()),
            ));
        }
        let expected = [(false, 3, Some(3)), (true, 4, Some(2))];
        assert_eq!(lengths, expected.into());
    }

    #[test]
    fn pairs_cost_the_tokens_that_are_left_of_them() {
        let text = |n: usize| vec![10; n];
        let row = |a: usize, b: Option<usize>| EncodedExample {
            a: text(a),
            b: b.map(text),
            target: true.into(),
            text_numbers: None,
        };
        let mut rows = vec![row(15, Some(15)); 20];
        rows.extend([row(3, None), row(20, None)]);
        let mut neighbours = Neighbours::new(16);
        neighbours.push_file([10, 10]);
        let draw = Draw {
            masking: Masking::of_tokens(0.15),
            cipher_rows: 7..2000,
            token_types: TokenTypes::Second,
            swap: false,
            key: Key::from_seed(3),
        };
        let numbers: Vec<usize> = (0..rows.len()).collect();
        for (neighbours, expected) in [
            (Some(neighbours), 20 * (16 + 3) + (3 + 2) + (16 + 2)),
            (None, 20 * (30 + 3) + (3 + 2) + (20 + 2)),
        ] {
            let nsp = Nsp {
                neighbours,
                ..Nsp::default()
            };
            let tokens: usize = rows.iter().map(|row| nsp.n_tokens(row)).sum();
            let read = nsp.batch(&rows, &numbers, &draw).rows.n_tokens();
            assert_eq!((tokens, read), (expected, expected));
        }
    }

    #[test]
    fn a_batch_has_the_drawn_pairs_with_types_0_and_1() {
        let rows = rows(15);
        let nsp = Nsp {
            neighbours: Some(neighbours()),
            ..Nsp::default()
        };
        let draw = Draw {
            masking: Masking::of_tokens(0.5),
            cipher_rows: 7..2000,
            token_types: TokenTypes::Second,
            swap: false,
            key: Key::from_seed(3),
        };
        let numbers: Vec<usize> = (0..15).rev().collect();
        let batch = nsp.batch(&rows, &numbers, &draw);
        assert!(batch.masked.is_empty());
        let mut labels = std::collections::BTreeSet::new();
        for (at, &number) in numbers.iter().enumerate() {
            let drawn = neighbours().draw(&rows, number, draw.key);
            let tokens = &batch.rows.input_ids[5 * at..5 * at + 5];
            assert_eq!(
                (tokens[1], tokens[3]),
                (drawn.a[0], drawn.b.expect("a pair")[0])
            );
            assert_eq!(batch.rows.segment_ids[5 * at..5 * at + 5], [0, 0, 0, 1, 1]);
            assert_eq!(batch.targets[at], drawn.target);
            labels.insert(drawn.target.is_positive());
        }
        assert_eq!(labels.len(), 2);
    }

    #[test]
    fn candidates_of_a_question_stand_together_once_an_epoch() {
        // Rows 0, 2 and 4 have one second text, 1 and 3 another; row 5 has no label, and nobody knows the right one of row 6.
        let row = |a: u32, b: u32, target: Target| EncodedExample {
            a: vec![10 + a],
            b: Some(vec![1000 + b]),
            target,
            text_numbers: None,
        };
        let rows = [
            row(0, 0, false.into()),
            row(1, 1, true.into()),
            row(2, 0, true.into()),
            row(3, 1, false.into()),
            row(4, 0, false.into()),
            row(5, 0, Target::Unknown),
            row(6, 2, false.into()),
        ];
        let draw = |share| Draw {
            masking: Masking::of_tokens(share),
            cipher_rows: 7..2000,
            token_types: TokenTypes::Second,
            swap: false,
            key: Key::from_seed(3),
        };
        let mut nsp = Nsp {
            candidates: Some(Candidates::First),
            ..Nsp::default()
        };
        let numbers = [4, 6, 3, 0, 5, 2, 1];
        let batch = nsp.batch(&rows, &numbers, &draw(0.5));
        let firsts = |batch: &Batch| -> Vec<u32> {
            let starts = batch.rows.offsets[..batch.rows.n_rows()].iter();
            starts
                .map(|&start| batch.rows.input_ids[start + 1] - 10)
                .collect()
        };
        assert_eq!(firsts(&batch), [0, 2, 4, 1, 3]);
        assert_eq!(batch.groups, [0, 0, 0, 1, 1]);
        let labels = [false, true, false, true, false].map(Target::from);
        assert_eq!(batch.targets, labels);
        assert!(batch.masked.is_empty());
        nsp.prepare(&rows);
        assert_eq!(nsp.batch(&rows, &numbers, &draw(0.5)), batch);

        nsp.mlm_weight = 1.0; // rows that are no candidates too
        let batch = nsp.batch(&rows, &numbers, &draw(1.0));
        assert_eq!(batch.rows.n_rows(), 7);
        assert_eq!((batch.labelled.len(), batch.masked.len()), (5, 14));
        assert_eq!(batch.groups, [0, 0, 0, 1, 1]);
    }
}
