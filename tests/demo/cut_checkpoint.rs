//! Cuts a checkpoint's vocabulary to its most frequent tokens and stores it as f16: how `vocab/demo/` was made.
//!
//! ```sh
//! cargo run --release --example cut_checkpoint -- CHECKPOINT_DIR COUNTS.tsv N_TOKENS OUT_DIR [--mlm-only] [--learnt-positions N]
//! ```
//!
//! Kept are the five special tokens and the `N_TOKENS` most frequent others that the vocabulary has, in the order of
//! the old vocabulary. Writes `model.safetensors`, `config.json`, `vocab.txt` and the counts of the kept tokens as
//! `counts.tsv`. With `--mlm-only` the pooler and the NSP head stay behind; with `--learnt-positions` all positions after the first N are
//! made from these. Everything else is kept as it is.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use cipherpet::checkpoint::names::POSITION_EMBEDDINGS;
use cipherpet::checkpoint::positions::extend_positions;
use cipherpet::checkpoint::{Checkpoint, FloatType, Heads, remap::remap, save};
use cipherpet::error::{Error, Result};
use cipherpet::progress::{Progress, Show};
use cipherpet::vocab::{PlainId, PlainVocab, TokenCounts};
use clap::Parser;
use ndarray::Axis;

/// Cuts a checkpoint's vocabulary to its most frequent tokens and stores it as f16.
#[derive(Parser)]
struct Arguments {
    /// BERT folder to cut
    checkpoint: PathBuf,
    /// Counts of its tokens, most frequent first
    counts: PathBuf,
    /// Tokens to keep besides the special ones
    n_tokens: usize,
    /// Folder to write
    out: PathBuf,
    /// Leave the pooler and the NSP head behind
    #[arg(long)]
    mlm_only: bool,
    /// Positions that were learnt; the others, up to 128, are made from them
    #[arg(long, value_name = "N")]
    learnt_positions: Option<usize>,
}

/// Positions of the checkpoint that is written, where only some were learnt.
const POSITIONS: usize = 128;

fn main() -> ExitCode {
    let progress = Progress::new(Show::Lines, std::io::stderr());
    match cut(&Arguments::parse(), &progress) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            progress.say(&format!("error: {error}"));
            ExitCode::from(error.exit_code())
        }
    }
}

fn cut(arguments: &Arguments, progress: &Progress) -> Result<()> {
    let mut checkpoint = Checkpoint::open(&arguments.checkpoint)?;
    checkpoint.require_mlm(&arguments.checkpoint)?;
    let counts = TokenCounts::read(&arguments.counts)?;

    let keep = kept_rows(&checkpoint.plain, &counts, arguments.n_tokens);
    let (kept, dropped): (Vec<_>, Vec<_>) = counts.entries.into_iter().partition(|(token, _)| {
        let id = checkpoint.plain.id(token);
        id.is_some_and(|id| keep.contains(&id))
    });
    let total =
        |entries: &[(String, u64)]| entries.iter().map(|(_, count)| count).sum::<u64>() as f64;
    let share = 100.0 * total(&kept) / (total(&kept) + total(&dropped));

    let keep: Vec<PlainId> = keep.into_iter().collect();
    remap(&mut checkpoint.weights, &keep);
    checkpoint.config.vocab_size = keep.len();
    if let Some(learnt) = arguments.learnt_positions {
        let table = checkpoint.weights.get_mut(POSITION_EMBEDDINGS);
        let table = table.expect("every BERT has a table of positions");
        *table = table.slice_axis(Axis(0), (0..learnt).into()).to_owned();
        extend_positions(&mut checkpoint.weights, POSITIONS);
        checkpoint.config.max_position_embeddings = POSITIONS;
    }
    if arguments.mlm_only {
        checkpoint.heads = Heads::MLM;
    }
    let Checkpoint {
        config,
        plain,
        weights,
        heads,
    } = &checkpoint;
    save(&arguments.out, config, weights, *heads, FloatType::F16)?;
    write_vocabulary(&arguments.out.join("vocab.txt"), plain, &keep)?;
    TokenCounts { entries: kept }.write(&arguments.out.join("counts.tsv"))?;
    progress.say(&format!(
        "{} of {} tokens kept, {share:.2} % of what was counted",
        keep.len(),
        plain.len()
    ));
    Ok(())
}

/// The special tokens and the `n_tokens` most frequent others, in vocabulary order.
fn kept_rows(plain: &PlainVocab, counts: &TokenCounts, n_tokens: usize) -> BTreeSet<PlainId> {
    let specials = plain.specials();
    let specials = BTreeSet::from([
        specials.pad,
        specials.unk,
        specials.cls,
        specials.sep,
        specials.mask,
    ]);
    let counted = counts
        .entries
        .iter()
        .filter_map(|(token, _)| plain.id(token));
    let frequent = counted.filter(|id| !specials.contains(id)).take(n_tokens);
    frequent.chain(specials.iter().copied()).collect()
}

fn write_vocabulary(path: &Path, plain: &PlainVocab, keep: &[PlainId]) -> Result<()> {
    let lines: String = keep
        .iter()
        .map(|&id| format!("{}\n", plain.token(id)))
        .collect();
    fs::write(path, lines).map_err(Error::io("write", path))
}
