//! More positive pairs for the training rows of each model of a run, written by that model.
//!
//! In: a run with the objective `simbert`. Out: a folder with a table of pairs and a record for each of its models, which
//! `data.augment` of another experiment takes ([`augmented`]). A model writes about texts that it may see: none that stands in a row
//! it holds out is a source or is kept, so that no fold learns from its own held-out rows. Trains nothing.

use std::path::{Path, PathBuf};
use std::time::Instant;

use csv::QuoteStyle;
use rand::seq::index;
use rustc_hash::FxHashSet;
use serde::Serialize;

use super::Context;
use super::generate::writer::{Writer, WriterOptions};
use super::run::augmented::{self, AugmentRecord};
use super::run::kept_run::KeptRun;
use super::run::plan;
use super::run::rows::Rows;
use super::run_folder::manifest::{FileRecord, TOOL};
use super::run_folder::names::{self, ModelName};
use super::run_folder::record::RunRecord;
use super::table::table;
use crate::atomic;
use crate::config::Experiment;
use crate::data::EncodedExample;
use crate::data::reserved::FIRST_CIPHER;
use crate::error::{Error, Result};
use crate::generate::rank::Ranked;
use crate::progress::Progress;
use crate::random::{Key, Purpose};

/// How pairs are made.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct AugmentOptions {
    /// Cosine that a sentence has with its source at least, -1 to 1.
    pub cosine: f64,
    /// Texts that sentences are drawn for, at most; `None`: all.
    pub sources: Option<usize>,
    /// How sentences are drawn, and how many are kept for a source.
    #[serde(flatten)]
    pub writer: WriterOptions,
}

/// What was written; the object that `--json` prints.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AugmentReport {
    /// The folder of the tables.
    pub out: PathBuf,
    /// One entry a model.
    pub models: Vec<ModelReport>,
}

/// The pairs of one model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelReport {
    /// `single`, the number of a fold, or `full`.
    pub model: String,
    /// The table.
    pub table: PathBuf,
    /// Different texts that sentences were drawn for.
    pub sources: usize,
    /// Pairs in the table.
    pub pairs: usize,
    /// Mean cosine of the pairs; null where there are none.
    pub mean_cosine: Option<f64>,
    /// Time that this call took for it.
    pub seconds: f64,
    /// The table was there already; nothing was drawn.
    pub found_done: bool,
}

/// The texts of a model's rows.
struct Texts<'a> {
    /// Those that sentences are drawn for, in the order of the files.
    sources: Vec<&'a [u32]>,
    /// Those of rows that are held out.
    held_out: FxHashSet<&'a [u32]>,
    /// The rows that are trained on, in both orders.
    pairs: FxHashSet<(&'a [u32], &'a [u32])>,
}

/// Writes pairs for each model of `run` that is done, or for that of `fold` alone, into the folder `out`. A table that is there, of the
/// same run and options, stays.
///
/// # Errors
/// Those of [`Writer::open`] and of [`WriterOptions::check`]; [`Error::Refused`] where the files of the run have changed, or `out` holds
/// pairs of another run or of other options; [`Error::Interrupted`], which leaves whole tables only.
pub fn augment(
    (run, fold): (&Path, Option<ModelName>),
    out: &Path,
    options: &AugmentOptions,
    context: Context<'_>,
) -> Result<AugmentReport> {
    options.writer.check()?;
    let kept = KeptRun::open(run, &Progress::silent())?;
    if let Some(fold) = fold {
        kept.model_of(run, fold)?; // before anything is read
    }
    let KeptRun { loaded, record, .. } = kept;
    let experiment = &loaded.experiment;
    let models = models(run, experiment, fold);
    let inputs = augmented::labelled_files(experiment)?;
    require_unchanged(run, &record, &inputs)?;
    let rows = Rows::read(experiment, &Progress::silent())?;
    let mut reports = Vec::new();
    for &model in &models {
        let begun = Instant::now();
        let held_out = plan::held_out(&rows, model)?;
        let texts = Texts::of(&rows, &held_out, options);
        let record = AugmentRecord {
            tool: TOOL.to_owned(),
            config_sha256: record.config_sha256.clone(),
            model: model.to_string(),
            inputs: inputs.clone(),
            held_out_sha256: augmented::held_out_sha256(&held_out),
            options: serde_json::to_value(options).map_err(|error| not_json(&error))?,
            sources: texts.sources.len(),
            pairs: 0,
            mean_cosine: None,
            table: FileRecord {
                key: "table".to_owned(),
                path: table_name(model, experiment).into(),
                bytes: 0,
                sha256: String::new(),
            },
        };
        let there = found(out, &record)?;
        let found_done = there.is_some();
        let record = match there {
            Some(record) => record,
            None => {
                if models.len() > 1 {
                    context.progress.say(&format!("model {model}"));
                }
                let fold = (model != ModelName::Single).then_some(model);
                let writer = Writer::open(run, fold)?;
                write((&writer, &rows), &texts, out, (options, record), context)?
            }
        };
        reports.push(ModelReport {
            model: record.model,
            table: out.join(&record.table.path),
            sources: record.sources,
            pairs: record.pairs,
            mean_cosine: record.mean_cosine,
            seconds: begun.elapsed().as_secs_f64(),
            found_done,
        });
    }
    Ok(AugmentReport {
        out: out.to_owned(),
        models: reports,
    })
}

/// Those that are done, or the one that is asked for.
fn models(run: &Path, experiment: &Experiment, fold: Option<ModelName>) -> Vec<ModelName> {
    match fold {
        Some(fold) => vec![fold],
        None if !plan::has_folds(experiment) => vec![ModelName::Single],
        None => (plan::models(experiment).into_iter())
            .filter(|model| model.folder(run).join(names::DONE).exists())
            .collect(),
    }
}

fn require_unchanged(run: &Path, record: &RunRecord, inputs: &[FileRecord]) -> Result<()> {
    for input in inputs {
        if !record.inputs.iter().any(|was| was.has_content_of(input)) {
            let (path, run) = (input.path.display(), run.display());
            let message = format!(
                "{}: {path} is not the file that {run} was trained on",
                input.key
            );
            return Err(Error::refused(message)
                .with_hint("put the file back, or run the experiment again in a new folder"));
        }
    }
    Ok(())
}

fn table_name(model: ModelName, experiment: &Experiment) -> String {
    let extension = match experiment.data.delimiter {
        '\t' => "tsv",
        _ => "csv",
    };
    match model {
        ModelName::Single => format!("{model}.{extension}"),
        ModelName::Fold(_) | ModelName::Full => format!("{}.{extension}", model.folder_name()),
    }
}

/// The record of a table that is there already and is as `wanted`.
fn found(out: &Path, wanted: &AugmentRecord) -> Result<Option<AugmentRecord>> {
    let path = AugmentRecord::beside(&out.join(&wanted.table.path));
    if !path.exists() {
        return Ok(None);
    }
    let there = AugmentRecord::read(&path)?;
    let is_same = there.config_sha256 == wanted.config_sha256
        && there.held_out_sha256 == wanted.held_out_sha256
        && there.options == wanted.options;
    if !is_same {
        let message = format!("{} is of another run or of other options", path.display());
        return Err(Error::refused(message).with_hint("name another folder with --out"));
    }
    let is_whole = there.table.is_as_written(out)?;
    Ok(is_whole.then_some(there))
}

fn write(
    (writer, rows): (&Writer, &Rows),
    texts: &Texts,
    out: &Path,
    (options, record): (&AugmentOptions, AugmentRecord),
    context: Context<'_>,
) -> Result<AugmentRecord> {
    if writer.vocab.names(&writer.dictionary) != rows.vocab.names(&rows.dictionary) {
        let message = "the files give another vocabulary than that of the model";
        return Err(Error::refused(message).with_hint(
            "was it made by another version? run the experiment again in a new folder",
        ));
    }
    let mut sources = texts.sources.clone();
    sources.retain(|source| source.len() <= writer.longest_source());
    let is_wanted = |source: usize, found: &Ranked| {
        let sentence = &found.sentence[..];
        f64::from(found.cosine) >= options.cosine
            && !texts.held_out.contains(sentence)
            && !texts.pairs.contains(&(sources[source], sentence))
    };
    let owned: Vec<Vec<u32>> = sources.iter().map(|source| source.to_vec()).collect();
    let written = writer.write(&owned, &options.writer, &is_wanted, context)?;
    let cosines = written
        .iter()
        .flatten()
        .map(|found| f64::from(found.cosine));
    let (pairs, sum) = cosines.fold((0, 0.0), |(n, sum), cosine| (n + 1, sum + cosine));
    let lines = owned.iter().zip(&written).flat_map(|(source, ranked)| {
        ranked.iter().map(|found| {
            [
                writer.text(source),
                writer.text(&found.sentence),
                "1".to_owned(),
                format!("{:.4}", found.cosine),
            ]
        })
    });
    let delimiter = writer.experiment.data.delimiter;
    let quotes = match delimiter {
        '\t' => QuoteStyle::Never, // a tab parts fields that have no quotes
        _ => QuoteStyle::Necessary,
    };
    let table = table((delimiter as u8, quotes), augmented::HEADER, lines)?;
    std::fs::create_dir_all(out).map_err(Error::io("create", out))?;
    let at = out.join(&record.table.path);
    atomic::write(&at, &table)?;
    let record = AugmentRecord {
        sources: sources.len(),
        pairs,
        mean_cosine: (pairs > 0).then(|| sum / pairs as f64),
        table: FileRecord::of(&record.table.key, &at, &record.table.path)?,
        ..record
    };
    let json = serde_json::to_string_pretty(&record).map_err(|error| not_json(&error))?;
    atomic::write(&AugmentRecord::beside(&at), (json + "\n").as_bytes())?;
    Ok(record)
}

impl<'a> Texts<'a> {
    fn of(rows: &'a Rows, held_out: &[usize], options: &AugmentOptions) -> Self {
        let is_held_out = |number: usize| held_out.binary_search(&number).is_ok();
        let rows_held_out = held_out.iter().map(|&row| &rows.labelled[row]);
        let rows_held_out = rows_held_out.chain(&rows.valid_file);
        // A text that is cut to less, or more, is the same text.
        let numbers: FxHashSet<u32> = rows_held_out.clone().flat_map(text_numbers).collect();
        let held_out: FxHashSet<&[u32]> = rows_held_out.flat_map(EncodedExample::texts).collect();
        let train = rows.labelled.iter().enumerate();
        let train = train.filter(|&(number, _)| !is_held_out(number));
        let (mut seen, mut pairs) = (FxHashSet::default(), FxHashSet::default());
        let mut sources = Vec::new();
        for (_, row) in train {
            if let Some(b) = &row.b {
                pairs.extend([(&row.a[..], &b[..]), (&b[..], &row.a[..])]);
            }
            for (text, number) in row.texts().zip(text_numbers(row)) {
                let has_names = text.iter().all(|&token| token >= FIRST_CIPHER);
                let is_held_out = held_out.contains(text) || numbers.contains(&number);
                if has_names && !is_held_out && seen.insert(text) {
                    sources.push(text);
                }
            }
        }
        if let Some(most) = options.sources.filter(|&most| most < sources.len()) {
            let mut rng = Key::from_seed(options.writer.seed)
                .with(Purpose::Generate)
                .rng();
            let mut chosen = index::sample(&mut rng, sources.len(), most).into_vec();
            chosen.sort_unstable(); // in the order of the files
            sources = chosen.into_iter().map(|at| sources[at]).collect();
        }
        Self {
            sources,
            held_out,
            pairs,
        }
    }
}

/// The numbers of the texts of a row: all labelled rows of a run have them.
fn text_numbers(row: &EncodedExample) -> impl Iterator<Item = u32> {
    row.text_numbers.into_iter().flatten()
}

fn not_json(error: &serde_json::Error) -> Error {
    Error::Unexpected(format!("record: {error}"))
}
