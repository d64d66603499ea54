//! What training holds and asks for: resident size over a thousand batches, and large allocations once it runs.
//!
//! A program of its own, because the allocator counts for the whole process.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use cipherpet::checkpoint::{BertConfig, Heads};
use cipherpet::data::{EncodedExample, LabelKind, Masking, TokenTypes, reserved};
use cipherpet::kernels::path::{Path, Precision};
use cipherpet::model::{Bert, Regularisation};
use cipherpet::objective::{
    Answers, Batch, Draw, HeadChoice, Objective, ObjectiveName, ObjectiveOptions,
};
use cipherpet::random::Key;
use cipherpet::train::step::{PassOptions, loss_and_gradients};
use cipherpet::train::{AdamWOptions, Optimiser};

/// What counts as large: more than the states at target positions, which the tape holds, less than those at all tokens.
const LARGE: usize = 128 << 10;

static N_LARGE: AtomicUsize = AtomicUsize::new(0);

struct Counting;

fn count(size: usize) {
    if size > LARGE {
        N_LARGE.fetch_add(1, Ordering::Relaxed);
    }
}

// SAFETY: every call is passed on to the system's allocator as it came, under the contract that it came with.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: as the caller's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as the caller's.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: as the caller's.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size);
        // SAFETY: as the caller's.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

const VOCABULARY: u32 = 2000;

fn model(precision: Precision) -> Bert {
    let config = BertConfig {
        vocab_size: VOCABULARY as usize,
        hidden_size: 128,
        num_hidden_layers: 2,
        num_attention_heads: 2,
        intermediate_size: 512,
        max_position_embeddings: 64,
        ..BertConfig::default()
    };
    let heads = Heads::MLM;
    let path = Path::resolve(precision);
    Bert::initialise(config, heads, path, Key::from_seed(1)).expect("sizes above 0")
}

fn pet() -> Box<dyn Objective> {
    let options = ObjectiveOptions {
        name: ObjectiveName::Pet,
        mlm_weight: 1.0,
        head: HeadChoice::Pooler,
        corrupt_sources: 0.0,
        candidates: None,
        choice_smoothing: 0.0,
    };
    options.objective(&Answers {
        labels: LabelKind::Binary,
        n_classes: 2,
        tokens: vec![reserved::NO, reserved::YES],
    })
}

/// A batch of 8 to 48 pairs whose sentences have 1 to 16 tokens.
fn batch(number: u64) -> Batch {
    let key = Key::from_seed(2).at(number);
    let sentence = |row: u64, side: u64| -> Vec<u32> {
        let key = key.at(row).at(side);
        let token = |i| 7 + (key.bits(i) % u64::from(VOCABULARY - 7)) as u32;
        (1..=1 + key.bits(0) % 16).map(token).collect()
    };
    let rows: Vec<EncodedExample> = (0..8 + key.bits(0) % 41)
        .map(|row| EncodedExample {
            a: sentence(row, 0),
            b: Some(sentence(row, 1)),
            target: row.is_multiple_of(2).into(),
            text_numbers: None,
        })
        .collect();
    let numbers: Vec<usize> = (0..rows.len()).collect();
    let draw = Draw {
        masking: Masking::of_tokens(0.15),
        cipher_rows: reserved::FIRST_CIPHER..VOCABULARY,
        token_types: TokenTypes::Zero,
        swap: true,
        key,
    };
    pet().batch(&rows, &numbers, &draw)
}

fn step(model: &mut Bert, optimiser: &mut Optimiser, number: u64) {
    let regularisation = Regularisation {
        hidden: 0.1,
        attention: 0.1,
        key: Key::from_seed(3).at(number),
    };
    let (options, batch) = (PassOptions::default(), batch(number));
    loss_and_gradients(&*pet(), model, &batch, Some(&regularisation), &options).expect("memory");
    optimiser.step(model, 1e-4).expect("a step");
}

#[cfg(target_os = "linux")]
fn resident_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("procfs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next());
    1024 * kilobytes
        .and_then(|number| number.parse::<usize>().ok())
        .expect("a number of kilobytes")
}

#[test]
fn a_thousand_batches_of_varied_shape_hold_no_more_and_ask_for_nothing_large() {
    for precision in [Precision::F32, Precision::Bf16] {
        let mut model = model(precision);
        let mut optimiser = Optimiser::new(AdamWOptions {
            weight_decay: 0.01,
            clip: 1.0,
            layer_decay: 1.0,
        });
        // Buffers for the largest of these shapes are there afterwards.
        for number in 0..700 {
            step(&mut model, &mut optimiser, number);
        }
        let before = N_LARGE.load(Ordering::Relaxed);
        #[cfg(target_os = "linux")]
        let resident = resident_bytes();
        for number in 700..1700 {
            step(&mut model, &mut optimiser, number);
        }
        let n_large = N_LARGE.load(Ordering::Relaxed) - before;
        // The `gemm` crate, which computes in f32, asks for room to pack in at every call and gives it back.
        if model.path().packs() {
            assert!(n_large <= 10, "{n_large} large allocations in 1,000 steps");
        }
        #[cfg(target_os = "linux")]
        {
            let grown = resident_bytes().saturating_sub(resident);
            assert!(grown < 2 << 20, "{grown} bytes more after 1,000 steps");
        }
    }
}
