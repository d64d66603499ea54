//! SimBERT: one network writes a text of the same meaning and finds those that have it (<https://kexue.fm/archives/7427>;
//! what is read may be damaged, as in RoFormer-Sim, <https://kexue.fm/archives/8454>).
//!
//! Learns from pairs with label 1 alone. Where a teacher has softened the own labels they are 1 above one half; test rows, of which the
//! teacher alone speaks, take no part. Each pair is there twice, as `[CLS] a [SEP] b [SEP]` and as `[CLS] b [SEP] a [SEP]`, token types
//! 0 and 1: a token of the first text sees the first text, one of the second sees the first and the second up to itself (UniLM, Dong
//! et al. 2019, <https://arxiv.org/abs/1905.03197>). So the state of `[CLS]` knows nothing of the second text, and one pass serves both
//! losses:
//!
//! - `generation`: mean over the tokens of second texts and the `[SEP]` behind them of `-log softmax(logits)[token]` by the MLM head, at
//!   the position before the token; the first is said at the middle `[SEP]`.
//! - `similarity`: v is the pooler without tanh on the state of `[CLS]`, divided by its length, of each of the rows of a batch. Mean
//!   over the rows of `-log softmax(30 v_i·v_j over j)[partner]`; i itself is no candidate, and nor are rows whose text means the same
//!   by other positive pairs of the stage ([`Paraphrases`]).
//!
//! Loss: `similarity + mlm_weight x generation`, by default 1 : 1. Score of a pair: the cosine of v of each text read by itself, -1
//! to 1. It is no logit: figures that take 0 for the threshold (accuracy, F1, log loss) say little of it. With `corrupt_sources` that
//! share of first texts is damaged as for the MLM (`mask`, `mask_unit`, `mask_replacement`); what is written stays whole. A batch of
//! n pairs has n·2 rows. Nearest relative: [`super::cosent`], which reads both texts together.

use dfdx::prelude::{Cpu, HasShape, ReshapeTo, Tape};

use super::joint::{LabelLoss, PartNames, beside_tokens};
use super::{Batch, Draw, Loss, Objective, OutputKind, Outputs, Recipe, StepTape};
use crate::checkpoint::{BertConfig, Heads};
use crate::data::paraphrases::Paraphrases;
use crate::data::reserved::{CLS, SEP};
use crate::data::{
    EncodedExample, LabelKind, PackedRow, Scores, Target, TokenTypes, visible_prefixes,
};
use crate::model::sentence::dot;
use crate::model::tensor::Matrix;
use crate::model::{Bert, Pooling, ops};
use crate::random::{Key, Purpose};

/// The entry of the table.
pub const RECIPE: Recipe = Recipe {
    name: "simbert",
    labels: &[LabelKind::Binary],
    mlm_weight: 1.0,
    scores_are_logits: false,
    make: |options, _| {
        Box::new(Simbert {
            generation_weight: options.mlm_weight,
            corrupt_sources: options.corrupt_sources,
            groups: None,
        })
    },
};

/// What cosines are multiplied by before the softmax.
const SCALE: f64 = 30.0;

/// The parts of the loss.
const PARTS: PartNames = PartNames {
    label: "similarity",
    tokens: "generation",
};

/// See the module.
#[derive(Debug, Clone)]
pub struct Simbert {
    /// Of the generation loss, 0 or more.
    generation_weight: f64,
    /// Share of first texts that are damaged, 0 to 1.
    corrupt_sources: f64,
    /// Which rows of the stage mean the same: equal numbers do.
    groups: Option<Vec<usize>>,
}

impl Simbert {
    /// Appends `[CLS] source [SEP] target [SEP]`, of which the target is to be written.
    fn push(&self, batch: &mut Batch, source: &[u32], target: &[u32]) {
        let input_ids = [&[CLS], source, &[SEP], target, &[SEP]].concat();
        let n_read = source.len() + 2;
        let segments = (0..input_ids.len()).map(|at| u32::from(at >= n_read));
        let segment_ids: Vec<u32> = segments.collect();
        let mut position = batch.rows.n_tokens() as u32;
        batch.rows.push_row(&PackedRow {
            input_ids: &input_ids,
            segment_ids: &segment_ids,
            position_ids: None,
            visible: Some(&visible_prefixes(&segment_ids)),
        });
        batch.labelled.push(batch.positions.len() as u32);
        batch.positions.push(position);
        if self.generation_weight == 0.0 {
            return;
        }
        position += n_read as u32 - 1; // the middle [SEP]
        for (position, &token) in (position..).zip(&input_ids[n_read..]) {
            batch.masked.push(batch.positions.len() as u32);
            batch.positions.push(position);
            batch.tokens.push(token);
        }
    }

    /// The text as it is read: as it is, or damaged.
    fn source(&self, text: &[u32], draw: &Draw, key: Key) -> Vec<u32> {
        let mut text = text.to_vec();
        if key.uniform(0) < self.corrupt_sources {
            draw.masking
                .corrupt(&mut text, draw.cipher_rows.end, key.at(1));
        }
        text
    }
}

/// The group of each row: equal numbers mean the same.
fn groups_of(rows: &[EncodedExample]) -> Vec<usize> {
    let Paraphrases { pairs, groups, .. } = Paraphrases::of(rows, is_positive);
    let group = |pair: &Option<[usize; 2]>| pair.map_or(usize::MAX, |[a, _]| groups[a]);
    pairs.iter().map(group).collect()
}

fn is_positive(target: &Target) -> bool {
    target.tells_class() && target.probability(1).is_some_and(|p| p > 0.5)
}

/// The vectors of texts from the states of their `[CLS]`, each of length 1, (rows × H).
fn vectors<T: Tape<f32, Cpu>>(model: &Bert, first_states: Matrix<T>) -> Matrix<T> {
    ops::unit_rows(model.pool(first_states, Pooling::Linear))
}

/// The in-batch similarity loss of vectors of length 1 (rows × width), and its gradient by each of their elements. The partner of
/// an even row is the next one, of an odd row the one before. Rows of one group (rows) are no negatives of each other.
///
/// # Panics
/// Where there is not one group a row, or a row has no partner.
pub fn value_and_gradient(vectors: &[f32], width: usize, groups: &[usize]) -> (f32, Vec<f32>) {
    let n = groups.len();
    assert_eq!(vectors.len(), n * width, "one group a row");
    assert!(n.is_multiple_of(2), "a partner for each of {n} rows");
    let row = |i: usize| &vectors[i * width..][..width];
    let mut cosines = vec![0.0; n * n];
    for i in 0..n {
        for j in 0..i {
            let cosine = dot(row(i), row(j));
            (cosines[i * n + j], cosines[j * n + i]) = (cosine, cosine);
        }
    }
    let mut value = 0.0;
    // Derivatives by the cosines, which are there twice.
    let mut by_cosine = vec![0.0; n * n];
    for i in 0..n {
        let (partner, cosines) = (i ^ 1, &cosines[i * n..][..n]);
        let negatives = (0..n).filter(|&j| j != i && j != partner && groups[j] != groups[i]);
        // Cosines are at most 2 apart: no exponential overflows.
        let odds = negatives.map(|j| (j, (SCALE * (cosines[j] - cosines[partner])).exp()));
        let odds: Vec<(usize, f64)> = odds.collect();
        let sum: f64 = odds.iter().map(|&(_, odds)| odds).sum();
        value += sum.ln_1p() / n as f64;
        let scale = SCALE / ((1.0 + sum) * n as f64);
        let mut add = |j: usize, derivative: f64| {
            by_cosine[i * n + j] += derivative;
            by_cosine[j * n + i] += derivative;
        };
        odds.iter().for_each(|&(j, odds)| add(j, scale * odds));
        add(partner, -scale * sum);
    }
    let mut gradient = Vec::with_capacity(vectors.len());
    for derivatives in (0..n).map(|i| &by_cosine[i * n..][..n]) {
        let mut sum = vec![0.0; width];
        for (j, &derivative) in derivatives.iter().enumerate() {
            if derivative != 0.0 {
                let terms = sum.iter_mut().zip(row(j));
                terms.for_each(|(sum, &x)| *sum += derivative * f64::from(x));
            }
        }
        gradient.extend(sum.into_iter().map(|x| x as f32));
    }
    (value as f32, gradient)
}

impl Objective for Simbert {
    fn heads(&self) -> Heads {
        Heads {
            mlm: self.generation_weight > 0.0,
            pooler: true,
            nsp: false,
            classifier: None,
        }
    }

    fn mlm_weight(&self) -> f64 {
        0.0 // no row without a label takes part
    }

    fn damages_texts(&self) -> bool {
        self.corrupt_sources > 0.0
    }

    fn uses(&self, target: &Target) -> bool {
        is_positive(target)
    }

    fn is_bi_encoder(&self) -> bool {
        true
    }

    fn token_types(&self, _: &BertConfig) -> TokenTypes {
        TokenTypes::Zero
    }

    fn n_tokens(&self, row: &EncodedExample) -> usize {
        2 * row.n_tokens()
    }

    fn prepare(&mut self, rows: &[EncodedExample]) {
        self.groups = Some(groups_of(rows));
    }

    fn batch(&self, rows: &[EncodedExample], numbers: &[usize], draw: &Draw) -> Batch {
        let of_these;
        let groups = match &self.groups {
            Some(groups) => groups,
            None => {
                of_these = groups_of(rows);
                &of_these
            }
        };
        let mut batch = Batch::default();
        for &number in numbers {
            let row = &rows[number];
            let Some(b) = row.b.as_ref().filter(|_| self.uses(&row.target)) else {
                continue;
            };
            let key = draw.key.with(Purpose::Mask).at(number as u64);
            for (order, source, target) in [(0, &row.a, b), (1, b, &row.a)] {
                let source = self.source(source, draw, key.at(order));
                self.push(&mut batch, &source, target);
                batch.targets.push(row.target.clone());
                batch.groups.push(groups[number]);
            }
        }
        batch
    }

    fn loss(&self, model: &Bert, batch: &Batch, states: Matrix<StepTape>) -> Loss {
        let weight = self.generation_weight;
        beside_tokens(model, batch, states, (weight, PARTS), |first, targets| {
            let vectors = vectors(model, first);
            let (n, width) = *vectors.shape();
            let elements = vectors.reshape_like(&(n * width,));
            LabelLoss {
                loss: ops::closed_form(elements, |elements| {
                    value_and_gradient(elements, width, &batch.groups)
                }),
                n: targets.len(),
            }
        })
    }

    fn outputs(&self, model: &Bert, first_states: Matrix<StepTape>) -> Option<Outputs> {
        Some(Outputs {
            values: vectors(model, first_states),
            kind: OutputKind::Number,
        })
    }

    fn scores(&self, model: &Bert, first_states: Matrix) -> Option<Scores> {
        let vectors = vectors(model, first_states);
        let width = vectors.shape().1;
        let elements = vectors.as_vec();
        let pairs = elements.chunks_exact(2 * width);
        let cosine = |pair: &[f32]| dot(&pair[..width], &pair[width..]).clamp(-1.0, 1.0) as f32;
        Some(Scores::single(pairs.map(cosine).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Masking;
    use crate::data::reserved::FIRST_CIPHER;

    /// Two pairs of vectors in the plane.
    const FOUR: [f32; 8] = [1.0, 0.0, 0.8, 0.6, 0.0, 1.0, -0.6, 0.8];

    fn simbert(corrupt_sources: f64) -> Simbert {
        Simbert {
            generation_weight: 1.0,
            corrupt_sources,
            groups: None,
        }
    }

    fn pair(a: &[u32], b: &[u32], label: bool) -> EncodedExample {
        EncodedExample {
            a: a.to_vec(),
            b: Some(b.to_vec()),
            target: label.into(),
            text_numbers: None,
        }
    }

    fn draw(share: f64, seed: u64) -> Draw {
        Draw {
            masking: Masking::of_tokens(share),
            cipher_rows: FIRST_CIPHER..1000,
            token_types: TokenTypes::Zero,
            swap: true,
            key: Key::from_seed(seed),
        }
    }

    /// Losses of the rows by hand: cosines .8, 0, -.6 | .8, .6, 0 | 0, .6, .8 | -.6, 0, .8.
    #[test]
    fn the_similarity_loss_by_hand() {
        let (value, _) = value_and_gradient(&FOUR, 2, &[0, 0, 1, 1]);
        assert!((value - 1.237_842_6e-3).abs() < 1e-8, "{value}");
        // Of two rows of the same meaning neither is a negative of the other; of two pairs of one group nothing is left.
        let (value, gradient) = value_and_gradient(&FOUR, 2, &[0; 4]);
        assert_eq!((value, gradient), (0.0, vec![0.0; 8]));
        assert_eq!(value_and_gradient(&FOUR[..4], 2, &[0, 0]).0, 0.0);
        assert_eq!(value_and_gradient(&[], 2, &[]), (0.0, vec![]));
        // Partners at a right angle, all others like the row: ln(1 + 2 e^30) in each row.
        let apart = [1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0];
        let (value, _) = value_and_gradient(&apart, 2, &[0, 0, 1, 1]);
        let expected = (1.0 + 1.0 + 30.0_f64.exp()).ln() as f32;
        assert!((value - expected).abs() < 1e-5, "{value} {expected}");
    }

    #[test]
    fn the_gradient_is_that_of_differences() {
        let key = Key::from_seed(5);
        let width = 3;
        let vectors: Vec<f32> = (0..6 * width as u64)
            .map(|i| key.normal(i) as f32 / 3.0)
            .collect();
        let groups = [0, 0, 1, 1, 0, 0];
        let (_, gradient) = value_and_gradient(&vectors, width, &groups);
        for at in 0..vectors.len() {
            let moved = |step: f32| {
                let mut vectors = vectors.clone();
                vectors[at] += step;
                f64::from(value_and_gradient(&vectors, width, &groups).0)
            };
            let difference = (moved(1e-3) - moved(-1e-3)) / 2e-3;
            let found = f64::from(gradient[at]);
            assert!(
                (difference - found).abs() < 2e-3 * difference.abs().max(1.0),
                "{at}: {found} {difference}"
            );
        }
    }

    #[test]
    fn each_pair_is_there_in_both_orders_and_each_token_is_said_before_it_is_seen() {
        let rows = [
            pair(&[10, 11], &[12], true),
            pair(&[13], &[14], false),
            EncodedExample {
                b: None,
                ..pair(&[15], &[], true)
            },
        ];
        let batch = simbert(0.0).batch(&rows, &[0, 1, 2], &draw(0.15, 1));
        assert_eq!(
            batch.rows.input_ids,
            [2, 10, 11, 3, 12, 3, 2, 12, 3, 10, 11, 3]
        );
        assert_eq!(batch.rows.segment_ids, [0, 0, 0, 0, 1, 1, 0, 0, 0, 1, 1, 1]);
        assert_eq!(
            batch.rows.position_ids,
            [0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5]
        );
        assert_eq!(batch.rows.visible, [4, 4, 4, 4, 5, 6, 3, 3, 3, 4, 5, 6]);
        assert_eq!(batch.positions, [0, 3, 4, 6, 8, 9, 10]);
        assert_eq!(batch.labelled, [0, 3]);
        assert_eq!(batch.masked, [1, 2, 4, 5, 6]);
        assert_eq!(batch.tokens, [12, 3, 10, 11, 3]);
        assert_eq!(batch.groups.len(), 2);
        let silent = Simbert {
            generation_weight: 0.0,
            ..simbert(0.0)
        };
        let batch = silent.batch(&rows, &[0], &draw(0.15, 1));
        assert_eq!((batch.positions, batch.masked.len()), (vec![0, 6], 0));
    }

    #[test]
    fn what_means_the_same_elsewhere_in_the_stage_is_of_one_group() {
        let rows = [
            pair(&[1], &[2], true),
            pair(&[3], &[4], true),
            pair(&[5], &[6], true),
            pair(&[4], &[2], true), // joins the first two
            pair(&[5], &[2], false),
        ];
        let mut prepared = simbert(0.0);
        prepared.prepare(&rows);
        for simbert in [prepared, simbert(0.0)] {
            let groups = simbert.batch(&rows, &[1, 0, 2], &draw(0.15, 1)).groups;
            assert_eq!(groups[..2], groups[2..4]);
            assert_eq!(groups[4], groups[5]);
            assert_ne!(groups[0], groups[4]);
        }
    }

    #[test]
    fn texts_that_look_alike_and_are_not_tie_nothing_together() {
        let numbered = |a: u32, b: u32, text_numbers| EncodedExample {
            text_numbers: Some(text_numbers),
            ..pair(&[a], &[b], true)
        };
        let rows = [numbered(1, 2, [0, 1]), numbered(1, 3, [2, 3])];
        let groups = groups_of(&rows);
        assert_ne!(groups[0], groups[1]);
    }

    #[test]
    fn sources_are_damaged_as_often_as_asked_and_targets_never() {
        let text: Vec<u32> = (10..30).collect();
        let other: Vec<u32> = (30..50).collect();
        let rows = vec![pair(&text, &other, true); 400];
        let numbers: Vec<usize> = (0..rows.len()).collect();
        let batch = simbert(0.5).batch(&rows, &numbers, &draw(0.9, 2));
        let mut damaged = 0;
        for (order, row) in batch.rows.input_ids.chunks_exact(43).enumerate() {
            let (source, target) = match order % 2 {
                0 => (&text, &other),
                _ => (&other, &text),
            };
            assert_eq!(row[22..42], target[..]);
            damaged += usize::from(row[1..21] != source[..]);
        }
        // Half of 800: four standard errors are 57.
        assert!((400 - 57..400 + 57).contains(&damaged), "{damaged}");
        let whole = simbert(0.0).batch(&rows, &numbers, &draw(0.9, 2));
        assert!(
            whole
                .rows
                .input_ids
                .chunks_exact(86)
                .all(|both| both[1..21] == text[..])
        );
    }
}
