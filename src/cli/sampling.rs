//! Options of commands whose model writes sentences: how tokens are drawn.

use clap::Args;

use super::numbers::{above_zero, at_least_one, share};
use crate::generate::sampling::Sampling;
use crate::workbench::generate::writer::WriterOptions;

/// The likeliest tokens that are drawn from where nothing else is said, as in SimBERT.
const TOP_K: usize = 5;

/// How tokens are drawn.
#[derive(Debug, Args)]
pub(super) struct SamplingArguments {
    /// Draw from so many of the likeliest tokens; 1 is greedy [default: 5, with --top-p all]
    #[arg(long, value_name = "K", value_parser = at_least_one)]
    top_k: Option<usize>,
    /// Draw from the likeliest tokens that reach this probability together, up to 1
    #[arg(long, value_name = "P", value_parser = share, allow_hyphen_values = true)]
    top_p: Option<f64>,
    /// Divide the logits by this: below 1 likely tokens become likelier
    #[arg(long, value_name = "T", default_value_t = 1.0, value_parser = above_zero, allow_hyphen_values = true)]
    temperature: f64,
    /// Tokens of a sentence at most [default: data.max_tokens of the run]
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    max_tokens: Option<usize>,
    /// Root of the draws
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    seed: u64,
}

impl SamplingArguments {
    /// With how many sentences to draw for a source, and how many to keep.
    pub fn options(&self, samples: usize, keep: usize) -> WriterOptions {
        let top_k = self.top_k;
        WriterOptions {
            samples,
            keep,
            max_tokens: self.max_tokens,
            sampling: Sampling {
                top_k: top_k.or(self.top_p.is_none().then_some(TOP_K)),
                top_p: self.top_p.unwrap_or(1.0),
                temperature: self.temperature,
            },
            seed: self.seed,
        }
    }
}
