//! `cipherpet cipher`: a cipher of one's own text, with its key.

use std::path::PathBuf;

use clap::{ArgGroup, Args, ValueEnum};

use super::{Session, output};
use crate::config::DEMO_CHECKPOINT;
use crate::data::task::TextKind;
use crate::error::Result;
use crate::vocab::Unit;
use crate::workbench::cipher::{self as job, CipherOptions};

/// Arguments of `cipher`.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("plain").args(["pairs", "single"]).required(true).multiple(true)))]
#[command(after_help = "\
Examples:
  cipherpet cipher --pairs train.tsv dev.tsv --checkpoint bert/ --out cipher/
  cipherpet cipher --pairs train.tsv --checkpoint bert/ --out mixed/ --merge .5 --drop-below 5
  cipherpet cipher --single reviews.tsv --checkpoint bert/ --out cipher/

Writes a copy of each file with numbers for tokens, and key.tsv with what they stand for: to measure
alignments and methods on text of your own. All files share one key. A character is one id, letters
and digits too. In a .csv file, and under a header, texts are found by the names of their columns.
All other columns are copied as they are. With the key anyone can read the
copies.")]
pub struct CipherArguments {
    /// Plain files of pairs: text TAB text, with columns of labels behind or without
    #[arg(long, num_args = 1.., value_name = "FILES")]
    pairs: Vec<PathBuf>,
    /// Plain files of single texts: text, with columns of labels behind or without
    #[arg(long, num_args = 1.., value_name = "FILES")]
    single: Vec<PathBuf>,
    /// The BERT folder whose tokenizer lower-cases and cuts; `demo:` is the one inside the tool
    #[arg(long, value_name = "DIR", default_value = DEMO_CHECKPOINT)]
    checkpoint: PathBuf,
    /// The folder to write; must not be there, or be empty
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// What one id stands for
    #[arg(long, value_enum, default_value_t = IdUnit::Char)]
    unit: IdUnit,
    /// With `--unit char`: this share of the frequent words, 0 to 1, become one id each
    #[arg(long, value_name = "SHARE")]
    merge: Option<f64>,
    /// Leave out tokens that stand fewer times in all files together
    #[arg(long, value_name = "COUNT", default_value_t = 1)]
    drop_below: u64,
    /// Chooses ids and words
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Print what was written as one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum IdUnit {
    /// A character
    Char,
    /// A token of the checkpoint's tokenizer
    Wordpiece,
    /// A word of a Chinese dictionary
    Word,
}

pub fn cipher(arguments: &CipherArguments, session: &Session) -> Result<()> {
    let options = CipherOptions {
        unit: match arguments.unit {
            IdUnit::Char => Unit::Char,
            IdUnit::Wordpiece => Unit::WordPiece,
            IdUnit::Word => Unit::Word,
        },
        merge: arguments.merge,
        drop_below: arguments.drop_below,
        seed: arguments.seed,
    };
    let of_kind = |kind, paths: &[PathBuf]| {
        let with_kind = paths.iter().map(|path| (kind, path.clone()));
        with_kind.collect::<Vec<_>>()
    };
    let pairs = of_kind(TextKind::Pair, &arguments.pairs);
    let plain = [pairs, of_kind(TextKind::Single, &arguments.single)].concat();
    let CipherArguments {
        checkpoint, out, ..
    } = arguments;
    let report = job::cipher(&plain, checkpoint, out, &options, session.context())?;
    let mut text = format!(
        "{}: {} rows in {} files, {} ids, {:.2} in a sentence; the key is {}",
        report.out.display(),
        report.rows,
        report.files.len(),
        report.types,
        report.tokens_per_sentence,
        report.key.display()
    );
    if report.merged_words > 0 {
        text += &format!("\n{} words are one id each", report.merged_words);
    }
    if report.dropped_types > 0 {
        text += &format!(
            "\nleft out: {} rarer tokens ({} occurrences); {} sentences of such alone kept one",
            report.dropped_types, report.dropped_tokens, report.rescued_sentences
        );
    }
    output::print(&report, &text, arguments.json)
}
