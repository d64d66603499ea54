//! A cipher of one's own text, with its key: what alignments are measured on.
//!
//! In: plain pair files (`text<TAB>text`, with a third column or without) and a BERT folder. Out: a folder with a copy of
//! each file under its own name, sentences as ids, third column as it was, and `key.tsv` (`cipher_id<TAB>plain_token`, with
//! a header, by id). The folder is there whole or not at all. Whoever has the key reads the copies: it stays at home.

use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::Serialize;

use super::Stop;
use crate::atomic;
use crate::data::source;
use crate::data::table::{Quoting, Table};
use crate::error::{Error, Place, Result};
use crate::progress::Progress;
use crate::random::Key;
use crate::vocab::encipher::{EncipherOptions, Encipherment, encipher};
use crate::vocab::{Segmenter, Unit};

/// The key in the folder of the copies.
pub const KEY: &str = "key.tsv";
/// Names of its columns.
pub const KEY_COLUMNS: [&str; 2] = ["cipher_id", "plain_token"];

/// What one id stands for, and which tokens get one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CipherOptions {
    /// `char`, `wordpiece` or `word`.
    pub unit: Unit,
    /// With `char`: the share of the frequent words that become one id each.
    pub merge: Option<f64>,
    /// Tokens that stand fewer times in all files together are left out.
    pub drop_below: u64,
    /// Chooses ids and words.
    pub seed: u64,
}

/// What was written; the object that `--json` prints.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CipherReport {
    /// The folder.
    pub out: PathBuf,
    /// The copies, in the order of the files given.
    pub files: Vec<PathBuf>,
    /// The key.
    pub key: PathBuf,
    /// Rows of all files.
    pub rows: usize,
    /// Different ids.
    pub types: usize,
    /// Ids in all sentences.
    pub tokens: usize,
    /// Their mean number in a sentence.
    pub tokens_per_sentence: f64,
    /// Words that became one id.
    pub merged_words: usize,
    /// Different tokens that were left out as rare.
    pub dropped_types: usize,
    /// How often they stood there.
    pub dropped_tokens: u64,
    /// Sentences of rare tokens alone; their most frequent one stayed.
    pub rescued_sentences: usize,
}

/// One plain file.
struct PlainPairs {
    name: PathBuf,
    /// First and second sentences in turn, as tokens.
    sentences: Vec<Vec<String>>,
    /// The third column, where there is one.
    labels: Vec<Option<String>>,
}

/// Enciphers `pairs` into the folder `out`, which must not be there or be empty.
///
/// # Errors
/// [`Error::Refused`] for options that do not go together, for two files of one name and for a folder that holds anything;
/// [`Error::Input`] for the first row that is no pair of texts; [`Error::Io`]; [`Error::Interrupted`].
pub fn cipher(
    pairs: &[PathBuf],
    checkpoint: &Path,
    out: &Path,
    options: &CipherOptions,
    (progress, stop): (&Progress, &Stop),
) -> Result<CipherReport> {
    let segmenter = Segmenter::open(checkpoint, unit_of_text(options)?)?;
    let names = names(pairs)?;
    require_free(out)?;
    let task = progress.task("enciphering", pairs.len() as u64, "files");
    let mut files = Vec::new();
    for (path, name) in pairs.iter().zip(names) {
        stop.check()?;
        files.push(PlainPairs::read(path, name, &segmenter)?);
        task.advance(1);
    }
    let all = files.iter_mut();
    let sentences = all.flat_map(|file| std::mem::take(&mut file.sentences));
    let enciphered = encipher(
        sentences.collect(),
        &EncipherOptions {
            merge: options.merge,
            drop_below: options.drop_below,
            key: Key::from_seed(options.seed),
        },
    );
    stop.check()?;
    atomic::write_folder(out, |folder| write(folder, &files, &enciphered))?;
    let tokens = enciphered.sentences.iter().map(Vec::len).sum();
    Ok(CipherReport {
        out: out.to_owned(),
        files: files.iter().map(|file| out.join(&file.name)).collect(),
        key: out.join(KEY),
        rows: files.iter().map(|file| file.labels.len()).sum(),
        types: enciphered.key.len(),
        tokens,
        tokens_per_sentence: tokens as f64 / enciphered.sentences.len() as f64,
        merged_words: enciphered.merged_words,
        dropped_types: enciphered.dropped.0,
        dropped_tokens: enciphered.dropped.1,
        rescued_sentences: enciphered.rescued,
    })
}

/// How the text is cut; where words are to be merged, into words that are spelled later.
fn unit_of_text(options: &CipherOptions) -> Result<Unit> {
    match (options.merge, options.unit) {
        (None, unit) => Ok(unit),
        (Some(share), Unit::Char) if (0.0..=1.0).contains(&share) => Ok(Unit::Mixed),
        (Some(share), Unit::Char) => Err(Error::refused(format!(
            "--merge {share}: a share lies between 0 and 1"
        ))),
        (Some(share), unit) => Err(Error::refused(format!(
            "--merge {share} with --unit {}, whose ids are no characters to merge",
            unit.name()
        ))
        .with_hint("use --unit char with --merge")),
    }
}

/// The names of the copies.
fn names(pairs: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut names = Vec::with_capacity(pairs.len());
    for path in pairs {
        let name = PathBuf::from(path.file_name().unwrap_or(path.as_os_str()));
        let found = match (name.as_os_str() == KEY, names.contains(&name)) {
            (true, _) => "the name of the key",
            (false, true) => "a name that another file has",
            (false, false) => {
                names.push(name);
                continue;
            }
        };
        let expected = "a file name of its own for the copy";
        let error = Error::input(Place::file(path), expected, found);
        return Err(error.with_hint("rename the file, or encipher it alone"));
    }
    Ok(names)
}

fn require_free(out: &Path) -> Result<()> {
    let mut entries = match std::fs::read_dir(out) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(Error::io("read", out))?,
    };
    if entries.next().is_none() {
        return Ok(());
    }
    let error = Error::refused(format!("{} is not empty", out.display()));
    Err(error.with_hint("choose another folder with --out"))
}

impl PlainPairs {
    fn read(path: &Path, name: PathBuf, segmenter: &Segmenter) -> Result<Self> {
        let bytes = source::read(path)?;
        let mut table = Table::new(path, &bytes, b'\t', Quoting::Off);
        let (mut texts, mut labels) = (Vec::new(), Vec::new());
        let mut width = None;
        while table.advance()? {
            let fields = table.fields();
            let expected = match width {
                None => "2 or 3 tab-separated fields".to_owned(),
                Some(width) => format!("{width} tab-separated fields"),
            };
            let fits = width.map_or(matches!(fields.len(), 2 | 3), |width| fields.len() == width);
            if !fits {
                let error = Error::input(table.place(), expected, fields.len());
                return Err(error.with_hint("a row is text<TAB>text, or text<TAB>text<TAB>label"));
            }
            width = Some(fields.len());
            for column in 0..2 {
                texts.push((table.place().field(column + 1), fields[column].to_owned()));
            }
            labels.push(fields.get(2).map(str::to_owned));
        }
        if labels.is_empty() {
            let expected = "one pair of sentences or more";
            return Err(Error::input(Place::file(path), expected, "an empty file"));
        }
        let cut = |(place, text): (Place, String)| {
            let tokens = segmenter.tokens(&text)?;
            match tokens.is_empty() {
                false => Ok(tokens),
                true => Err(Error::input(
                    place,
                    "a sentence of one token or more",
                    "none",
                )),
            }
        };
        Ok(Self {
            name,
            sentences: texts.into_par_iter().map(cut).collect::<Result<_>>()?,
            labels,
        })
    }
}

fn write(folder: &Path, files: &[PlainPairs], enciphered: &Encipherment) -> Result<()> {
    let mut sentences = enciphered.sentences.iter();
    for file in files {
        atomic::write_with(&folder.join(&file.name), |out| {
            for label in &file.labels {
                let mut sentence = || {
                    let ids = sentences.next().expect("two sentences a row");
                    ids.iter().map(u32::to_string).collect::<Vec<_>>().join(" ")
                };
                write!(out, "{}\t{}", sentence(), sentence())?;
                match label {
                    Some(label) => writeln!(out, "\t{label}")?,
                    None => writeln!(out)?,
                }
            }
            Ok(())
        })?;
    }
    atomic::write_with(&folder.join(KEY), |out| {
        let mut table = csv::WriterBuilder::new().delimiter(b'\t').from_writer(out);
        table.write_record(KEY_COLUMNS)?;
        for (id, token) in &enciphered.key {
            table.write_record([id.to_string().as_str(), token])?;
        }
        table.flush()
    })
}
