//! Multi-sample dropout: the label is asked of one state of `[CLS]` under several dropout masks, and the loss is their mean
//! (Inoue 2019, <https://arxiv.org/abs/1905.09788>).
//!
//! In: the states of a batch. Out: the same with the states of the labels as often as there are masks, each under its own.
//! The rate is `train.dropout`. One pass of the encoder serves all. Prediction drops nothing.

use dfdx::prelude::{Cpu, HasShape, Tape};

use crate::kernels::dropout::Dropout;
use crate::model::ops;
use crate::model::tensor::{Matrix, matrix};
use crate::objective::Batch;
use crate::random::Key;

/// The masks of one pass.
#[derive(Debug)]
pub struct Masks {
    samples: usize,
    dropout: Option<Dropout>,
}

impl Masks {
    /// None where there is nothing to do: one sample, or nothing dropped.
    pub fn new(samples: usize, rate: f32, key: Key) -> Option<Self> {
        let dropout = Dropout::new(rate, key);
        (samples > 1 && dropout.is_some()).then_some(Self { samples, dropout })
    }

    /// The batch with `samples` times as many labels, and their states.
    pub fn apply<T: Tape<f32, Cpu>>(&self, batch: &Batch, states: Matrix<T>) -> (Batch, Matrix<T>) {
        let (n, width) = *states.shape();
        let labelled = &batch.labelled;
        let mut more = batch.clone();
        let mut numbers: Vec<u32> = (0..n as u32).collect();
        for _ in 1..self.samples {
            more.labelled
                .extend((numbers.len() as u32..).take(labelled.len()));
            numbers.extend_from_slice(labelled);
            more.targets.extend_from_slice(&batch.targets);
        }
        more.positions = numbers
            .iter()
            .map(|&at| batch.positions[at as usize])
            .collect();
        more.extra_copies = (1 + batch.extra_copies) * self.samples - 1;
        let mut masks = vec![1.0; numbers.len() * width];
        for (sample, labelled) in more.labelled.chunks(labelled.len().max(1)).enumerate() {
            let mut mask = vec![1.0; labelled.len() * width];
            if let Some(dropout) = self.dropout {
                dropout.at(sample as u64).apply(&mut mask);
            }
            for (&at, mask) in labelled.iter().zip(mask.chunks_exact(width)) {
                masks[at as usize * width..][..width].copy_from_slice(mask);
            }
        }
        let masks = matrix(&Cpu::default(), masks, numbers.len(), width);
        (more, ops::rows(states, &numbers) * masks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Target;

    fn batch() -> Batch {
        Batch {
            positions: vec![0, 2, 5, 9],
            labelled: vec![0, 2],
            targets: vec![Target::Class(1), Target::Class(0)],
            masked: vec![1, 3],
            tokens: vec![8, 9],
            ..Batch::default()
        }
    }

    fn states() -> Matrix {
        matrix(&Cpu::default(), (1..=16).map(|x| x as f32).collect(), 4, 4)
    }

    #[test]
    fn without_dropout_every_sample_is_the_state_itself() {
        let masks = Masks {
            samples: 3,
            dropout: None,
        };
        let (more, copies) = masks.apply(&batch(), states());
        assert_eq!(more.labelled, [0, 2, 4, 5, 6, 7]);
        assert_eq!(more.positions, [0, 2, 5, 9, 0, 5, 0, 5]);
        assert_eq!((more.extra_copies, more.counts()), (2, batch().counts()));
        let (values, copies) = (states().as_vec(), copies.as_vec());
        assert_eq!(copies[..16], values);
        let labelled = [&values[..4], &values[8..12]].concat();
        assert_eq!(copies[16..], [&labelled[..], &labelled].concat());
    }

    #[test]
    fn each_sample_has_a_mask_of_its_own_and_hidden_tokens_have_none() {
        let masks = Masks::new(2, 0.5, Key::from_seed(1)).expect("two samples");
        let (_, copies) = masks.apply(&batch(), states());
        let (values, copies) = (states().as_vec(), copies.as_vec());
        assert_eq!(
            (&copies[4..8], &copies[12..16]),
            (&values[4..8], &values[12..16])
        );
        let first = [&copies[..4], &copies[8..12]].concat();
        assert_ne!(first, copies[16..]);
        let of_state = |(at, x): (usize, &f32)| *x == 0.0 || *x == 2.0 * values[at];
        assert!(copies[..4].iter().enumerate().all(of_state));
    }

    #[test]
    fn one_sample_or_nothing_to_drop_is_one_pass() {
        let key = Key::from_seed(1);
        assert!(Masks::new(1, 0.5, key).is_none() && Masks::new(4, 0.0, key).is_none());
    }
}
