//! Sentences that a run writes about sentences of a file: other ways to say the same.
//!
//! In: a run folder with the objective `simbert`, and a file of sentences, or of rows as those of the run. Out: a table of the nearest
//! of the drawn sentences, one a line, in the tokens of the files: ids where those are ids. Nothing is looked up in a mapping, so a
//! cipher stays a cipher. The drawing itself is [`crate::generate`]; [`writer`] opens the model.

pub mod writer;

use std::path::{Path, PathBuf};
use std::time::Instant;

use csv::QuoteStyle;
use rustc_hash::FxHashSet;
use serde::Serialize;

use super::Context;
use super::run::warnings;
use super::run_folder::names::ModelName;
use super::table::table as as_table;
use crate::atomic;
use crate::data::{EncodedExample, Example, Labels, Target, read_examples};
use crate::error::{Error, Place, Result};
use crate::generate::rank::Ranked;
use writer::{Writer, WriterOptions};

/// Columns of the table.
const HEADER: [&str; 5] = ["source_row", "text", "rank", "cosine", "sentence"];

/// Where the sources are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Sources<'a> {
    /// One sentence a line, its tokens as in the files of the run.
    Text(&'a Path),
    /// Rows as in the files of the run; every text is a source, and labels are ignored.
    Pairs(&'a Path),
}

/// What was written, and how fast; the object that `--json` prints.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GenerateReport {
    /// Where the table is.
    pub out: PathBuf,
    /// Different sentences of the file.
    pub sources: usize,
    /// Sentences that were drawn.
    pub drawn: usize,
    /// Of these, written to the table: different ones, none of them its source.
    pub kept: usize,
    /// Mean cosine of those with rank 1 to their sources; `None` where nothing was kept.
    pub mean_best_cosine: Option<f64>,
    /// Time in the network, drawing and ranking together.
    pub seconds: f64,
    /// Drawn sentences by that time.
    pub sentences_per_second: f64,
}

/// A different sentence, and where it stands first.
struct Sentence {
    /// From 0, without the header.
    row: usize,
    /// `a` or `b`.
    text: &'static str,
    /// In rows of the vocabulary.
    tokens: Vec<u32>,
}

/// Writes sentences about each different sentence of a file to the table `out`. `fold` names a model of a run of folds.
///
/// # Errors
/// Those of [`Writer::open`], of [`WriterOptions::check`] and of the readers; [`Error::Input`] for a sentence that the model has no
/// positions for; [`Error::Interrupted`], which leaves no file.
pub fn generate(
    (run, fold): (&Path, Option<ModelName>),
    sources: Sources,
    out: &Path,
    options: &WriterOptions,
    context: Context<'_>,
) -> Result<GenerateReport> {
    options.check()?;
    let mut writer = Writer::open(run, fold)?;
    let sentences = read(sources, &mut writer, context)?;
    context.stop.check()?;
    let tokens: Vec<Vec<u32>> = sentences.iter().map(|s| s.tokens.clone()).collect();
    let begun = Instant::now();
    let written = writer.write(&tokens, options, &|_, _| true, context)?;
    let seconds = begun.elapsed().as_secs_f64();
    atomic::write(out, &table(&writer, &sentences, &written)?)?;
    let best: Vec<f64> = (written.iter().filter_map(|ranked| ranked.first()))
        .map(|best| f64::from(best.cosine))
        .collect();
    let drawn = sentences.len() * options.samples;
    Ok(GenerateReport {
        out: out.to_owned(),
        sources: sentences.len(),
        drawn,
        kept: written.iter().map(Vec::len).sum(),
        mean_best_cosine: (!best.is_empty()).then(|| best.iter().sum::<f64>() / best.len() as f64),
        seconds,
        sentences_per_second: drawn as f64 / seconds.max(f64::MIN_POSITIVE),
    })
}

/// The different sentences of a file, in its order.
fn read(sources: Sources, writer: &mut Writer, context: Context<'_>) -> Result<Vec<Sentence>> {
    let of_run = writer.experiment.format();
    let (path, format, labels) = match sources {
        Sources::Pairs(path) => (path, of_run, Labels::Unused),
        Sources::Text(path) => (path, of_run.one_a_line(), Labels::Ignored),
    };
    let file = read_examples(path, &format, labels, &mut writer.dictionary)?;
    let mut seen = FxHashSet::default();
    let mut sentences = Vec::new();
    for (row, example) in file.examples.into_iter().enumerate() {
        let b = example.b.map(|b| ("b", b));
        for (text, ids) in [("a", example.a)].into_iter().chain(b) {
            if ids.len() > writer.longest_source() {
                return Err(too_long(sources, row, (text, ids.len()), writer));
            }
            if seen.insert(ids.clone()) {
                let alone = Example {
                    a: ids,
                    b: None,
                    target: Target::Unknown,
                };
                let tokens = writer.vocab.encode(&alone).a;
                sentences.push(Sentence { row, text, tokens });
            }
        }
    }
    let rows: Vec<EncodedExample> = (sentences.iter())
        .map(|sentence| EncodedExample {
            a: sentence.tokens.clone(),
            b: None,
            target: Target::Unknown,
            text_numbers: None,
        })
        .collect();
    let hint = "is it of the cipher that the run was trained on?";
    let unknown = warnings::unknown_tokens(&path.display().to_string(), hint, &rows);
    unknown.iter().for_each(|line| context.progress.say(line));
    Ok(sentences)
}

fn too_long(sources: Sources, row: usize, (text, length): (&str, usize), writer: &Writer) -> Error {
    let place = match sources {
        Sources::Text(path) => Place::line(path, row as u64 + 1),
        Sources::Pairs(path) => Place::file(path).field(format!("row {row}, text {text}")),
    };
    let longest = writer.longest_source();
    let expected =
        format!("{longest} tokens or fewer, as the positions of the model leave room for one more");
    Error::input(place, expected, format!("{length} tokens"))
        .with_hint("shorten the sentence; `model.positions` gives the model of a new run more")
}

/// TSV with a header. Tokens hold no tabs, so that nothing needs quotes, but where a tab stands between them.
fn table(writer: &Writer, sentences: &[Sentence], written: &[Vec<Ranked>]) -> Result<Vec<u8>> {
    let has_tabs = writer.experiment.data.token_separator.contains('\t');
    let quotes = if has_tabs {
        QuoteStyle::Necessary
    } else {
        QuoteStyle::Never
    };
    let rows = sentences.iter().zip(written).flat_map(|(source, ranked)| {
        (1..).zip(ranked).map(move |(place, found): (usize, _)| {
            [
                source.row.to_string(),
                source.text.to_owned(),
                place.to_string(),
                format!("{:.4}", found.cosine),
                writer.text(&found.sentence),
            ]
        })
    });
    as_table((b'\t', quotes), HEADER, rows)
}
