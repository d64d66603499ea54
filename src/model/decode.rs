//! Writing behind a source, one token at a time, with what was computed kept.
//!
//! In: sources `[CLS] a [SEP]` (token type 0), and then a token a row and step (token type 1, positions go on). Out: the hidden
//! states that predict the next tokens: first those of the sources' last tokens, then those of the tokens of a step. A token sees
//! its source and what was written before it in its row, as in a row with
//! [`visible_prefixes`](crate::data::visible_prefixes): the same numbers but for rounding, and each token is computed once.
//! Chooses no token: [`crate::generate`].

use dfdx::prelude::Cpu;

use super::Bert;
use super::ops;
use super::tensor::{Matrix, matrix};
use crate::data::PackedBatch;
use crate::kernels::buffer::Buffer;
use crate::kernels::encoder::decode::{Cache, Step};
use crate::kernels::gemm::portable::F32;
use crate::kernels::path::Path;

/// Token type of what is written.
pub const WRITTEN: u32 = 1;

/// Sources, and rows that are written behind them.
#[derive(Debug)]
pub struct Decoder<'a> {
    model: &'a Bert,
    cache: Cache,
    /// Tokens of each source.
    lengths: Vec<u32>,
    /// Of the last step; before the first, one a source.
    rows: Vec<Row>,
}

/// A row of the last step.
#[derive(Debug, Clone)]
struct Row {
    source: u32,
    /// Where its tokens stand in the steps.
    tokens: Vec<u32>,
}

impl<'a> Decoder<'a> {
    /// Reads sources, each with its `[CLS]` and `[SEP]`; and the states of their last tokens, (sources × H), which predict the
    /// first token.
    ///
    /// # Panics
    /// Where an id is beyond its table, or a source is longer than the table of positions or empty.
    pub fn begin(model: &'a Bert, sources: &[Vec<u32>]) -> (Self, Matrix) {
        let mut batch = PackedBatch::default();
        for source in sources {
            assert!(!source.is_empty(), "a source has a token");
            batch.push(source, &vec![0; source.len()]);
        }
        let last = batch.offsets.iter().skip(1).map(|&end| end as u32 - 1);
        let (packed, wanted) = (ops::packed(&batch), last.collect::<Vec<u32>>());
        let encoder = model.network.encoder();
        let (states, cache) = match model.path() {
            Path::F32 => encoder.begin(F32, &packed, &wanted),
            Path::Bf16(gemm) => encoder.begin(gemm, &packed, &wanted),
        };
        let row = |source| Row {
            source,
            tokens: Vec::new(),
        };
        let decoder = Self {
            model,
            cache,
            lengths: sources.iter().map(|source| source.len() as u32).collect(),
            rows: (0..sources.len() as u32).map(row).collect(),
        };
        let states = decoder.matrix(&states);
        (decoder, states)
    }

    /// Writes `tokens`, one behind each of the rows `parents` of the last step (before the first step: behind sources). A row may
    /// be gone on with several times, or not any more. Returns their states, (tokens × H), in this order.
    ///
    /// # Panics
    /// Where there is not one parent a token, or no such parent; where an id is beyond its table, or a row longer than the table
    /// of positions.
    pub fn step(&mut self, parents: &[u32], tokens: &[u32]) -> Matrix {
        assert_eq!(parents.len(), tokens.len(), "one parent a token");
        let rows = parents.iter().map(|&parent| &self.rows[parent as usize]);
        let sources: Vec<u32> = rows.clone().map(|row| row.source).collect();
        let earlier: Vec<u32> = rows.clone().flat_map(|row| &row.tokens).copied().collect();
        let n_steps = self.cache.n_steps() as u32;
        let positions = sources
            .iter()
            .map(|&source| self.lengths[source as usize] + n_steps);
        let step = Step {
            input_ids: tokens,
            position_ids: &positions.collect::<Vec<_>>(),
            segment_ids: &vec![WRITTEN; tokens.len()],
            sources: &sources,
            earlier: &earlier,
        };
        let encoder = self.model.network.encoder();
        let states = match self.model.path() {
            Path::F32 => encoder.step(F32, &mut self.cache, &step),
            Path::Bf16(gemm) => encoder.step(gemm, &mut self.cache, &step),
        };
        let row = |(number, row): (u32, &Row)| Row {
            source: row.source,
            tokens: [&row.tokens[..], &[number]].concat(),
        };
        self.rows = (0..).zip(rows).map(row).collect();
        self.matrix(&states)
    }

    fn matrix(&self, states: &Buffer<f32>) -> Matrix {
        let width = self.model.config.hidden_size;
        matrix(
            &Cpu::default(),
            states.to_vec(),
            states.len() / width,
            width,
        )
    }
}

/// The same by the whole rows anew at each step.
#[cfg(test)]
pub(crate) mod naive {
    use dfdx::prelude::NoneTape;

    use super::*;
    use crate::data::{PackedRow, visible_prefixes};
    use crate::model::Pass;

    /// As [`Decoder`].
    pub struct Recomputed<'a> {
        model: &'a Bert,
        /// Tokens of the source, and of the row.
        rows: Vec<(Vec<u32>, Vec<u32>)>,
    }

    impl<'a> Recomputed<'a> {
        /// As [`Decoder::begin`].
        pub fn begin(model: &'a Bert, sources: &[Vec<u32>]) -> (Self, Matrix) {
            let rows = sources.iter().map(|source| (source.clone(), Vec::new()));
            let rows = rows.collect();
            let own = Self { model, rows };
            let states = own.states();
            (own, states)
        }

        /// As [`Decoder::step`].
        pub fn step(&mut self, parents: &[u32], tokens: &[u32]) -> Matrix {
            let rows = parents.iter().zip(tokens).map(|(&parent, &token)| {
                let (source, written) = self.rows[parent as usize].clone();
                (source, [&written[..], &[token]].concat())
            });
            self.rows = rows.collect();
            self.states()
        }

        fn states(&self) -> Matrix {
            let mut batch = PackedBatch::default();
            for (source, written) in &self.rows {
                let segments = [vec![0; source.len()], vec![WRITTEN; written.len()]].concat();
                batch.push_row(&PackedRow {
                    input_ids: &[&source[..], written].concat(),
                    segment_ids: &segments,
                    position_ids: None,
                    visible: Some(&visible_prefixes(&segments)),
                });
            }
            let last = batch.offsets.iter().skip(1).map(|&end| end as u32 - 1);
            let wanted: Vec<u32> = last.collect();
            self.model
                .encode(&Pass::prediction(&batch, &wanted), NoneTape)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::naive::Recomputed;
    use super::*;
    use crate::checkpoint::{Albert, BertConfig, Heads, Positions};
    use crate::kernels::naive::assert_close;
    use crate::kernels::path::Precision;
    use crate::random::Key;

    fn model(
        precision: Precision,
        layers: usize,
        albert: Option<Albert>,
        positions: Positions,
    ) -> Bert {
        let config = BertConfig {
            vocab_size: 50,
            hidden_size: 32,
            num_hidden_layers: layers,
            num_attention_heads: 4,
            intermediate_size: 64,
            max_position_embeddings: 24,
            initializer_range: 0.3,
            hidden_dropout_prob: 0.0,
            attention_probs_dropout_prob: 0.0,
            albert,
            positions,
            ..BertConfig::default()
        };
        let path = Path::resolve(precision);
        Bert::initialise(config, Heads::MLM, path, Key::from_seed(1)).expect("sizes above 0")
    }

    fn sources() -> Vec<Vec<u32>> {
        vec![
            vec![2, 9, 8, 7, 3],
            vec![2, 3],
            vec![2, 30, 31, 32, 33, 34, 35, 36, 3],
        ]
    }

    /// Rows are gone on with several times, left out and put into another order.
    const STEPS: [(&[u32], &[u32]); 4] = [
        (&[0, 0, 1, 2, 2, 2], &[10, 11, 12, 13, 14, 15]),
        (&[5, 3, 0, 0, 2], &[20, 21, 22, 23, 24]),
        (&[4, 1], &[40, 41]),
        (&[1, 1, 0], &[42, 43, 44]),
    ];

    #[test]
    fn what_is_kept_gives_the_states_of_the_whole_rows() {
        for (precision, tolerance) in [(Precision::F32, 2e-5), (Precision::Bf16, 0.1)] {
            let shared = Albert {
                embedding_size: 16,
                num_hidden_groups: 2,
            };
            let (learnt, rotary) = (Positions::Absolute, Positions::Rotary);
            let relative = Positions::Relative { max_distance: 4 };
            for (layers, albert, positions) in [
                (0, None, learnt),
                (1, None, learnt),
                (3, None, learnt),
                (4, Some(shared), learnt),
                (3, None, relative),
                (3, None, rotary),
            ] {
                let model = model(precision, layers, albert, positions);
                let (mut decoder, states) = Decoder::begin(&model, &sources());
                let (mut whole, expected) = Recomputed::begin(&model, &sources());
                assert_close(&states.as_vec(), &expected.as_vec(), tolerance);
                for (parents, tokens) in STEPS {
                    let states = decoder.step(parents, tokens).as_vec();
                    assert_eq!(states.len(), 32 * tokens.len());
                    assert_close(&states, &whole.step(parents, tokens).as_vec(), tolerance);
                }
            }
        }
    }

    #[test]
    fn the_bytes_are_the_same_on_any_number_of_threads() {
        let model = model(Precision::Auto, 2, None, Positions::Absolute);
        // More rows than a task has.
        let parents: Vec<u32> = (0..900).map(|row| row / 300).collect();
        let of = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            pool.expect("threads").install(|| {
                let (mut decoder, states) = Decoder::begin(&model, &sources());
                let mut all = states.as_vec();
                let rows: Vec<u32> = (0..900).collect();
                for step in 0..3 {
                    let parents = if step == 0 { &parents } else { &rows };
                    let tokens: Vec<u32> = rows.iter().map(|row| 7 + (row + step) % 40).collect();
                    all.extend(decoder.step(parents, &tokens).as_vec());
                }
                all
            })
        };
        let one = of(1);
        assert!(one == of(2) && one == of(4));
    }

    #[test]
    #[should_panic(expected = "one parent a token")]
    fn a_token_without_a_parent_is_refused() {
        let model = model(Precision::F32, 1, None, Positions::Absolute);
        Decoder::begin(&model, &sources()).0.step(&[0], &[9, 10]);
    }
}
