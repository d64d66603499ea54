//! Speed of writing sentences, with what was computed kept and with every row computed anew at each token:
//! `cargo bench --bench decode`. Items a second are sentences. All threads of the machine (`RAYON_NUM_THREADS` for fewer).
//!
//! Each of 8 sources of 12 tokens gets 32 sentences of 16 tokens; each token is drawn from the 5 likeliest of 7,000, as
//! `cipherpet generate` does it. Weights are random: no sentence ends before.

use cipherpet::checkpoint::{BertConfig, Heads};
use cipherpet::data::{PackedBatch, PackedRow, visible_prefixes};
use cipherpet::generate::sampling::{Choices, Sampling};
use cipherpet::kernels::path::{Path, Precision};
use cipherpet::model::decode::Decoder;
use cipherpet::model::tensor::Matrix;
use cipherpet::model::{Bert, Pass};
use cipherpet::random::Key;
use dfdx::prelude::NoneTape;
use divan::Bencher;
use divan::counter::ItemsCount;

const SOURCES: u32 = 8;
const SAMPLES: u32 = 32;
const SOURCE_TOKENS: u32 = 12;
const STEPS: usize = 16;
const VOCABULARY: u32 = 7000;
const SAMPLING: Sampling = Sampling {
    top_k: Some(5),
    top_p: 1.0,
    temperature: 1.0,
};

fn main() {
    divan::main();
}

/// Layers, hidden, heads of the sizes we care about; 4 times as wide in between.
const MINI: (usize, usize, usize) = (4, 256, 4);
const BASE: (usize, usize, usize) = (12, 768, 12);

fn model((layers, hidden, heads): (usize, usize, usize)) -> Bert {
    let config = BertConfig {
        vocab_size: VOCABULARY as usize,
        hidden_size: hidden,
        num_hidden_layers: layers,
        num_attention_heads: heads,
        intermediate_size: 4 * hidden,
        max_position_embeddings: 64,
        hidden_dropout_prob: 0.0,
        attention_probs_dropout_prob: 0.0,
        ..BertConfig::default()
    };
    let path = Path::resolve(Precision::Auto);
    Bert::initialise(config, Heads::MLM, path, Key::from_seed(1)).expect("a model")
}

fn sources() -> Vec<Vec<u32>> {
    let source = |number| (0..SOURCE_TOKENS).map(move |i| 7 + number * 97 + i * 13);
    (0..SOURCES)
        .map(|number| source(number).collect())
        .collect()
}

/// The next token of each state.
fn draw(model: &Bert, states: &Matrix, step: usize) -> Vec<u32> {
    model.map_mlm_logits(states, |row, logits| {
        let uniform = Key::from_seed(2).at(step as u64).uniform(row as u64);
        Choices::new(logits, 7..VOCABULARY, &SAMPLING).draw(uniform)
    })
}

/// For each row, where it comes from: the first step has one state a source.
fn parents(step: usize) -> Vec<u32> {
    let of_source = |row| if step == 0 { row / SAMPLES } else { row };
    (0..SOURCES * SAMPLES).map(of_source).collect()
}

fn at_parents(tokens: Vec<u32>, step: usize) -> Vec<u32> {
    let parents = parents(step).into_iter();
    parents.map(|parent| tokens[parent as usize]).collect()
}

fn cached(model: &Bert) -> Vec<u32> {
    let (mut decoder, mut states) = Decoder::begin(model, &sources());
    let mut tokens = Vec::new();
    for step in 0..STEPS {
        tokens = at_parents(draw(model, &states, step), step);
        states = decoder.step(&parents(step), &tokens);
    }
    tokens
}

/// States of the last tokens of whole rows.
fn whole(model: &Bert, rows: &[Vec<u32>]) -> Matrix {
    let mut batch = PackedBatch::default();
    for row in rows {
        let is_written = |at: usize| u32::from(at >= SOURCE_TOKENS as usize);
        let segments: Vec<u32> = (0..row.len()).map(is_written).collect();
        batch.push_row(&PackedRow {
            input_ids: row,
            segment_ids: &segments,
            position_ids: None,
            visible: Some(&visible_prefixes(&segments)),
        });
    }
    let last = batch.offsets.iter().skip(1).map(|&end| end as u32 - 1);
    let wanted: Vec<u32> = last.collect();
    model.encode(&Pass::prediction(&batch, &wanted), NoneTape)
}

fn recomputed(model: &Bert) -> Vec<u32> {
    let mut rows = sources();
    let mut states = whole(model, &rows);
    let mut tokens = Vec::new();
    for step in 0..STEPS {
        tokens = at_parents(draw(model, &states, step), step);
        let longer = parents(step).into_iter().zip(&tokens);
        let longer = longer.map(|(parent, &token)| [&rows[parent as usize][..], &[token]].concat());
        rows = longer.collect();
        states = whole(model, &rows);
    }
    tokens
}

fn bench(bencher: Bencher, size: (usize, usize, usize), write: fn(&Bert) -> Vec<u32>) {
    let model = model(size);
    let n = ItemsCount::new((SOURCES * SAMPLES) as usize);
    bencher.counter(n).bench_local(|| write(&model));
}

#[divan::bench(sample_count = 10)]
fn mini_cached(bencher: Bencher) {
    bench(bencher, MINI, cached);
}
#[divan::bench(sample_count = 10)]
fn mini_recomputed(bencher: Bencher) {
    bench(bencher, MINI, recomputed);
}
#[divan::bench(sample_count = 2)]
fn base_cached(bencher: Bencher) {
    bench(bencher, BASE, cached);
}
#[divan::bench(sample_count = 2)]
fn base_recomputed(bencher: Bencher) {
    bench(bencher, BASE, recomputed);
}
