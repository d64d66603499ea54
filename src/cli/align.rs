//! `cipherpet align`: a mapping by alignment with plaintext, and how good it is.

use std::fmt::Write;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{Reading, Session, output};
use crate::align::{AlignMethod, Estimate};
use crate::config::{AlignConfig, DEMO_CHECKPOINT, Experiment};
use crate::error::Result;
use crate::vocab::UnitChoice;
use crate::workbench::align::{self as job, AlignOptions, AlignReport};
use crate::workbench::disk::megabytes;
use crate::workbench::reading;

/// Arguments of `align`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cipherpet align --pairs train.tsv test.tsv --plain corpus.txt --checkpoint bert/ --out mapping.tsv
  cipherpet align --pairs cipher/train.tsv --plain corpus.txt --key cipher/key.tsv --out m.tsv --json

Writes which plaintext token each id may stand for, for `align.method = \"file\"`. A run with
`align.method = \"graph\"` does the same by itself. The key is only compared with.
Like a run, it looks at the first data.max_tokens tokens of a row: --set data.max_tokens=128.")]
pub struct AlignArguments {
    #[command(flatten)]
    sources: Sources,
    /// Where to write the mapping
    #[arg(long, value_name = "FILE", value_parser = output::file)]
    out: PathBuf,
    /// Print everything as one JSON object
    #[arg(long)]
    json: bool,
}

/// What `align` and `audit` take alike.
#[derive(Debug, Args)]
pub struct Sources {
    /// Files of rows with numbers for tokens; labels are not looked at
    #[arg(long, required = true, num_args = 1.., value_name = "FILES")]
    pairs: Vec<PathBuf>,
    /// Plain text files, UTF-8, one sentence or more a line
    #[arg(long, required = true, num_args = 1.., value_name = "FILES")]
    plain: Vec<PathBuf>,
    /// How much each plain file counts, in their order [default: all the same]
    #[arg(long, num_args = 1.., value_name = "WEIGHTS")]
    plain_weight: Vec<f64>,
    /// The BERT folder whose tokens the ids may stand for; `demo:` is the one inside the tool
    #[arg(long, value_name = "DIR", default_value = DEMO_CHECKPOINT)]
    checkpoint: PathBuf,
    /// What an id may stand for
    #[arg(long, value_enum, default_value_t = PlainUnit::Auto)]
    unit: PlainUnit,
    /// Known pairs: cipher_id TAB plain_token
    #[arg(long, value_name = "FILE")]
    anchors: Option<PathBuf>,
    /// The key of the ids, to tell how much is right: cipher_id TAB plain_token
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Let the BERT read the ids, and change the alignment where it knows better
    #[arg(long)]
    refine: bool,
    /// Root of the randomness
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    reading: Reading,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum PlainUnit {
    /// Try all of the others and keep the one that fits best
    Auto,
    /// A character
    Char,
    /// A token of the checkpoint's tokenizer
    Wordpiece,
    /// A word of a Chinese dictionary
    Word,
    /// A character or a word
    Mixed,
}

impl Sources {
    /// What the job takes, and how pair files are read. `who` is the command.
    pub fn load(&self, who: &str) -> Result<(AlignOptions<'_>, Experiment)> {
        let options = AlignOptions {
            files: &self.pairs,
            settings: AlignConfig {
                method: AlignMethod::Graph,
                plain: self.plain.clone(),
                plain_weights: self.plain_weight.clone(),
                unit: match self.unit {
                    PlainUnit::Auto => UnitChoice::Auto,
                    PlainUnit::Char => UnitChoice::Char,
                    PlainUnit::Wordpiece => UnitChoice::WordPiece,
                    PlainUnit::Word => UnitChoice::Word,
                    PlainUnit::Mixed => UnitChoice::Mixed,
                },
                anchors: self.anchors.clone(),
                refine: self.refine,
                ..AlignConfig::default()
            },
            checkpoint: &self.checkpoint,
            key: self.key.as_deref(),
            seed: self.seed,
        };
        let loaded = self.reading.load(
            &["data.max_tokens", "vocab.min_count", "train.precision"],
            who,
        )?;
        Ok((options, reading::detect_texts(&self.pairs, &loaded)?))
    }
}

pub fn align(arguments: &AlignArguments, session: &Session) -> Result<()> {
    let (options, experiment) = arguments.sources.load("align")?;
    let out = arguments.out.as_path();
    let report = job::align(&options, &experiment, Some(out), session.context())?;
    let text = format!("{}: {}", out.display(), show(&report));
    output::print(&report, &text, arguments.json)
}

/// `81.4 %`, or why it cannot be told.
fn expected(estimate: &Estimate) -> String {
    match (estimate.share, &estimate.cannot_tell) {
        (Some(share), _) => format!("{:.1} %", 100.0 * share),
        (None, reason) => format!("cannot tell: {}", reason.as_deref().unwrap_or("no figure")),
    }
}

/// The figures for people.
pub fn show(report: &AlignReport) -> String {
    let quality = &report.quality;
    let mut text = format!(
        "{} of {} ids have a candidate among {} plaintext tokens by {}\n",
        quality.matched,
        quality.cipher_types,
        quality.plain_types,
        quality.unit.name()
    );
    let mut line = |what: &str, figure: String| {
        let _ = writeln!(text, "  {what:<24}{figure}"); // a String takes every write
    };
    let percent = |share: f64| format!("{:.1} %", 100.0 * share);
    let order = quality.order_share().map(|share| percent(share.max(0.0)));
    line(
        "order, as in plaintext",
        order.unwrap_or_else(|| "the plaintext has none".to_owned()),
    );
    line(
        "likelihood a token",
        format!(
            "{:.3}; by rank {:.3}, shuffled {:.3}",
            quality.likelihood, quality.likelihood_rank, quality.likelihood_shuffled
        ),
    );
    for trial in &quality.units {
        let figure = format!(
            "{:.3} with {} plaintext tokens",
            trial.likelihood, trial.plain_types
        );
        line(&format!("  by {}", trial.unit.name()), figure);
    }
    line("mutually best", quality.mutual_best.to_string());
    line("stability", percent(quality.stability));
    line("expected to be right", expected(&report.estimate));
    if let Some(trusted) = report.trusted_tokens {
        line("more right than wrong", percent(trusted));
    }
    if let (Some(tokens), Some(types)) = (report.token_accuracy, report.type_accuracy) {
        line(
            "right by the key",
            format!("{} of tokens, {} of ids", percent(tokens), percent(types)),
        );
    }
    if let (Some(reachable), Some(right)) = (report.reachable_tokens, report.reachable_accuracy) {
        line(
            "in the plaintext at all",
            format!("{}; of these right {}", percent(reachable), percent(right)),
        );
    }
    for band in &report.bands {
        let right = band
            .token_accuracy
            .map(|right| format!(", right {}", percent(right)));
        let trusted = band
            .trusted
            .map(|trusted| format!(", more right than wrong {}", percent(trusted)));
        let name = format!("ids {} to {}", band.first, band.last);
        line(
            &name,
            format!(
                "{} of tokens{}{}",
                percent(band.tokens),
                trusted.unwrap_or_default(),
                right.unwrap_or_default()
            ),
        );
    }
    let memory = report
        .peak_rss_bytes
        .map(|bytes| format!(", {} of memory", megabytes(bytes)));
    line(
        "took",
        format!("{:.0} s{}", report.seconds, memory.unwrap_or_default()),
    );
    text
}
