//! Joint MLM and label prediction by one head (pattern-exploiting training, Schick and Schütze 2021,
//! <https://arxiv.org/abs/2001.07676>; on ciphers: <https://kexue.fm/archives/8213>).
//!
//! A row is `[CLS] a [SEP] b [SEP]`. At `[CLS]` the network predicts the token `[YES]` or `[NO]`; at masked places the
//! hidden token. Rows without a label take part in the MLM only.
//! Loss: mean over all targets of the batch of `-log softmax(logits)[target]`, so one label weighs as much as one
//! masked token. Score of a pair: `logit(YES) - logit(NO)` at `[CLS]`, without masks.

use dfdx::prelude::{Backward, MeanTo, NoneTape, PutTape, SplitTape};

use crate::data::{EncodedExample, PackedBatch, corrupt::corrupt, reserved};
use crate::error::{Error, Result};
use crate::model::{Bert, Pass, Regularisation};
use crate::random::{Key, Purpose};

/// A corrupted batch and what is to be predicted in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PetBatch {
    /// Rows as the network sees them.
    pub rows: PackedBatch,
    /// Places of the targets in the packed tokens, (N).
    pub positions: Vec<u32>,
    /// Tokens wanted there, (N): `[NO]`, `[YES]`, or the token before masking.
    pub targets: Vec<u32>,
}

/// How rows are corrupted.
#[derive(Debug, Clone, Copy)]
pub struct Corruption {
    /// Share of tokens that become targets, in 0..1.
    pub mask: f64,
    /// Rows of the run's vocabulary.
    pub vocab_size: u32,
    /// Stream of this epoch; each row has its own below it.
    pub key: Key,
}

/// Means over one batch.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct PetLoss {
    /// Over all targets.
    pub loss: f64,
    /// Sum over masked tokens.
    pub mlm_sum: f64,
    /// Sum over labels.
    pub label_sum: f64,
    /// Masked tokens.
    pub n_mlm: usize,
    /// Labels.
    pub n_labels: usize,
}

impl PetBatch {
    /// Corrupts the rows with the given numbers: swaps the sentences with probability one half, masks each.
    pub fn new(pairs: &[EncodedExample], numbers: &[usize], corruption: &Corruption) -> Self {
        let mut batch = Self::default();
        for &number in numbers {
            batch.push(&pairs[number], number as u64, corruption);
        }
        batch
    }

    fn push(&mut self, pair: &EncodedExample, number: u64, corruption: &Corruption) {
        let (mut a, mut b) = (pair.a.clone(), pair.b.clone().unwrap_or_default());
        if corruption.key.with(Purpose::Swap).bits(number) >> 63 == 1 {
            std::mem::swap(&mut a, &mut b);
        }
        let key = corruption.key.with(Purpose::Mask).at(number);
        let mask = |tokens: &mut [u32], side| {
            corrupt(tokens, corruption.mask, corruption.vocab_size, key.at(side))
        };
        let (a_targets, b_targets) = (mask(&mut a, 0), mask(&mut b, 1));

        let first = self.rows.n_tokens();
        self.rows.push_texts(&a, Some(&b));
        if let Some(label) = pair.target.is_positive() {
            self.positions.push(first as u32);
            self.targets
                .push(if label { reserved::YES } else { reserved::NO });
        }
        let a_first = first + 1; // after [CLS]
        let b_first = a_first + a.len() + 1; // after [SEP]
        for (first, targets) in [(a_first, a_targets), (b_first, b_targets)] {
            for (i, &target) in targets
                .iter()
                .enumerate()
                .filter(|&(_, &target)| target != reserved::PAD)
            {
                self.positions.push((first + i) as u32);
                self.targets.push(target);
            }
        }
    }

    /// Loss of the batch, and its gradients added to those of the model. A batch without any target has loss 0.
    ///
    /// # Errors
    /// Where memory runs out.
    pub fn loss_and_gradients(
        &self,
        model: &Bert,
        regularisation: &Regularisation,
    ) -> Result<PetLoss> {
        if self.targets.is_empty() {
            return Ok(PetLoss::default());
        }
        let pass = Pass {
            regularisation: Some(regularisation),
            ..self.pass()
        };
        let states = model.encode(&pass, model.tape());
        let losses = model.mlm_losses(states, &self.targets);
        let (losses, tape) = losses.split_tape();
        let parts = self.parts(&losses.as_vec());
        let gradients = losses.put_tape(tape).mean().try_backward();
        gradients.map_err(|error| Error::Unexpected(error.to_string()))?;
        Ok(parts)
    }

    fn pass(&self) -> Pass<'_> {
        Pass::prediction(&self.rows, &self.positions)
    }

    fn parts(&self, losses: &[f32]) -> PetLoss {
        let mut parts = PetLoss::default();
        for (&loss, &target) in losses.iter().zip(&self.targets) {
            if target == reserved::NO || target == reserved::YES {
                parts.label_sum += f64::from(loss);
                parts.n_labels += 1;
            } else {
                parts.mlm_sum += f64::from(loss);
                parts.n_mlm += 1;
            }
        }
        parts.loss = (parts.label_sum + parts.mlm_sum) / losses.len() as f64;
        parts
    }
}

/// Scores of pairs, in their order: `logit(YES) - logit(NO)` for (a, b), or the mean over (a, b) and (b, a), which go
/// through the network together.
pub fn scores(model: &Bert, pairs: &[EncodedExample], swap: bool) -> Vec<f32> {
    let mut rows = PackedBatch::default();
    for pair in pairs {
        let b = pair.b.as_deref().unwrap_or_default();
        rows.push_texts(&pair.a, Some(b));
        if swap {
            rows.push_texts(b, Some(&pair.a));
        }
    }
    let first_tokens: Vec<u32> = rows
        .cls_positions()
        .iter()
        .map(|&position| position as u32)
        .collect();
    let states = model.encode(&Pass::prediction(&rows, &first_tokens), NoneTape);
    let logits = model
        .token_logits(states, &[reserved::NO, reserved::YES])
        .as_vec();
    let score = |answer: &[f32]| answer[1] - answer[0];
    if swap {
        let both = logits.chunks_exact(4);
        both.map(|both| (score(&both[..2]) + score(&both[2..])) / 2.0)
            .collect()
    } else {
        logits.chunks_exact(2).map(score).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Target;
    use crate::data::reserved::{CLS, NO, SEP, UNK, YES};

    const VOCAB: u32 = 100;

    fn corruption(mask: f64) -> Corruption {
        Corruption {
            mask,
            vocab_size: VOCAB,
            key: Key::from_seed(1),
        }
    }

    fn pair(a: &[u32], b: &[u32], label: Option<bool>) -> EncodedExample {
        EncodedExample {
            a: a.to_vec(),
            b: Some(b.to_vec()),
            target: label.map_or(Target::Unknown, Target::from),
        }
    }

    #[test]
    fn labels_are_targets_at_cls_and_unlabelled_rows_have_none() {
        let pairs = [
            pair(&[7], &[8], Some(true)),
            pair(&[9], &[10, 11], None),
            pair(&[12], &[13], Some(false)),
        ];
        let batch = PetBatch::new(&pairs, &[0, 1, 2], &corruption(0.0));
        assert_eq!(batch.positions, [0, 11]); // rows of 5, 6 and 5 tokens
        assert_eq!(batch.targets, [YES, NO]);
        assert_eq!(batch.rows.offsets, [0, 5, 11, 16]);
        assert!(batch.rows.segment_ids.iter().all(|&segment| segment == 0));
    }

    #[test]
    fn every_target_stands_at_its_own_token() {
        // With mask = 1 every token is a target, whatever the network sees in its place.
        let pairs = [pair(&[7, 8], &[9, UNK, 10], None)];
        for number in 0..20 {
            let mut batch = PetBatch::default();
            batch.push(&pairs[0], number, &corruption(1.0));
            let swapped = batch.targets[0] == 9;
            let (positions, targets) = if swapped {
                ([1, 2, 3, 5, 6], [9, UNK, 10, 7, 8])
            } else {
                ([1, 2, 4, 5, 6], [7, 8, 9, UNK, 10])
            };
            assert_eq!(
                (&batch.positions[..], &batch.targets[..]),
                (&positions[..], &targets[..])
            );
            let special: Vec<u32> = batch
                .rows
                .input_ids
                .iter()
                .copied()
                .filter(|&id| id == CLS || id == SEP)
                .collect();
            assert_eq!(special, [CLS, SEP, SEP]);
        }
    }

    #[test]
    fn sentences_are_swapped_half_of_the_time_and_rows_draw_alone() {
        let pairs = vec![pair(&[7], &[8], None); 4000];
        let numbers: Vec<usize> = (0..pairs.len()).collect();
        let batch = PetBatch::new(&pairs, &numbers, &corruption(0.0));
        let swapped = batch
            .rows
            .input_ids
            .chunks(5)
            .filter(|row| row[1] == 8)
            .count() as f64
            / 4000.0;
        assert!((swapped - 0.5).abs() < 0.032, "{swapped}"); // four standard errors
        // A row is corrupted in the same way whatever rows are beside it.
        let alone = PetBatch::new(&pairs, &[17], &corruption(0.0));
        assert_eq!(alone.rows.input_ids, batch.rows.input_ids[17 * 5..18 * 5]);
    }
}
