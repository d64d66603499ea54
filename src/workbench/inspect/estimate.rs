//! How long a run will take and how much it will write, before it is begun.
//!
//! A guess from arithmetic, good to a factor of two or three: the work of a step is its matrix products, and
//! a thread does so many a second (`FLOPS_A_THREAD_F32`).

use serde::Serialize;

use crate::checkpoint::BertConfig;
use crate::kernels::path::Path;
use crate::workbench::disk;

/// Operations a second that training gets out of one thread with AVX-512: a 4 x 256 BERT costs about 21 MFLOP a token
/// and trains at 5,000 tokens/s on two threads in f32.
const FLOPS_A_THREAD_F32: f64 = 50e9;
/// The same in bf16, where it trains at 13,000 tokens/s.
const FLOPS_A_THREAD_BF16: f64 = 130e9;
/// One multiply and one add forward, and twice that backward.
const FLOPS_A_WEIGHT_TRAINING: f64 = 6.0;
/// Forward only.
const FLOPS_A_WEIGHT_SCORING: f64 = 2.0;
/// Share of tokens that the MLM head looks at: 15 % masked, and one `[CLS]` in about sixteen tokens.
const SHARE_OF_TARGETS: f64 = 0.21;

/// The work of a run, in tokens with `[CLS]` and `[SEP]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Work {
    /// Tokens trained on, over all epochs.
    pub training_tokens: f64,
    /// Tokens scored: validation each epoch and the test file, in both orders.
    pub scoring_tokens: f64,
    /// Scores written.
    pub scores: usize,
}

/// What a run of one size costs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Estimate {
    /// Transformer layers.
    pub layers: usize,
    /// Width of the hidden states.
    pub hidden: usize,
    /// Weights, all of them.
    pub parameters: usize,
    /// Wall time on `threads`.
    pub seconds: f64,
    /// At its fullest.
    pub disk_bytes: u64,
    /// Threads it is for.
    pub threads: usize,
}

/// Estimates a run of a model of this size, with products on `path`.
pub fn estimate(config: &BertConfig, work: Work, threads: usize, path: Path) -> Estimate {
    let flops_a_thread = match path {
        Path::F32 => FLOPS_A_THREAD_F32,
        Path::Bf16(_) => FLOPS_A_THREAD_BF16,
    };
    let (hidden, vocabulary) = (config.hidden_size, config.vocab_size);
    // Query, key, value, output; up and down.
    let layer = 4 * hidden * hidden + 2 * hidden * config.intermediate_size;
    let body = config.num_hidden_layers * layer;
    let head = hidden * hidden + hidden * vocabulary;
    let positions = match config.has_position_table() {
        true => config.max_position_embeddings,
        false => 0,
    };
    let embeddings = (vocabulary + positions + config.type_vocab_size) * hidden;
    let parameters = embeddings + body + hidden * hidden;
    let training = (body as f64 + SHARE_OF_TARGETS * head as f64) * FLOPS_A_WEIGHT_TRAINING;
    let scoring = body as f64 * FLOPS_A_WEIGHT_SCORING;
    let operations = training * work.training_tokens + scoring * work.scoring_tokens;
    Estimate {
        layers: config.num_hidden_layers,
        hidden,
        parameters,
        seconds: operations / (flops_a_thread * threads as f64),
        disk_bytes: disk::run_bytes(parameters, work.scores, vocabulary),
        threads,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Experiment;

    #[test]
    fn the_small_bert_trains_at_the_measured_rate_and_threads_share_the_work() {
        let config = Experiment::default().scratch_size(None, 7000);
        let work = Work {
            training_tokens: 5000.0,
            scoring_tokens: 0.0,
            scores: 10,
        };
        let two = estimate(&config, work, 2, Path::F32);
        assert!(
            (0.5..2.0).contains(&two.seconds),
            "{} s, measured 1 s",
            two.seconds
        );
        let one = estimate(&config, work, 1, Path::F32);
        assert!((one.seconds / two.seconds - 2.0).abs() < 1e-9);
        // 7000 x 256 + 512 x 256 + 2 x 256 embeddings, 4 layers of 786,432, a 256 x 256 transform
        assert_eq!(
            one.parameters,
            1_792_000 + 131_072 + 512 + 4 * 786_432 + 65_536
        );
    }
}
