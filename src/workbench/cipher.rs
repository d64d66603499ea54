//! A cipher of one's own text, with its key: what alignments are measured on.
//!
//! In: plain files of one or two texts a row, with columns of labels behind or without, and a BERT folder. Out: a folder with
//! a copy of each file under its own name, texts as ids, labels as they were, and `key.tsv` (`cipher_id<TAB>plain_token`,
//! with a header, by id). The folder is there whole or not at all. Whoever has the key reads the copies: it stays at home.

use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::Serialize;

use super::Context;
use crate::atomic;
use crate::data::source;
use crate::data::table::{Quoting, Table};
use crate::data::task::TextKind;
use crate::error::{Error, Place, Result};
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
struct PlainFile {
    name: PathBuf,
    kind: TextKind,
    /// The texts of a row one after another, as tokens.
    sentences: Vec<Vec<String>>,
    /// For each row the fields behind its texts.
    labels: Vec<Vec<String>>,
}

/// Enciphers the files into the folder `out`, which must not be there or be empty. All share one key.
///
/// # Errors
/// [`Error::Refused`] for options that do not go together, for two files of one name and for a folder that holds anything;
/// [`Error::Input`] for the first row without its texts; [`Error::Io`]; [`Error::Interrupted`].
pub fn cipher(
    plain: &[(TextKind, PathBuf)],
    checkpoint: &Path,
    out: &Path,
    options: &CipherOptions,
    Context { progress, stop }: Context,
) -> Result<CipherReport> {
    let segmenter = Segmenter::open(checkpoint, unit_of_text(options)?)?;
    let names = names(plain)?;
    require_free(out)?;
    let task = progress.task("enciphering", plain.len() as u64, "files");
    let mut files = Vec::new();
    for ((kind, path), name) in plain.iter().zip(names) {
        stop.check()?;
        files.push(PlainFile::read(path, *kind, name, &segmenter)?);
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
fn names(plain: &[(TextKind, PathBuf)]) -> Result<Vec<PathBuf>> {
    let mut names = Vec::with_capacity(plain.len());
    for (_, path) in plain {
        let mut name = PathBuf::from(path.file_name().unwrap_or(path.as_os_str()));
        // The copy is not compressed.
        if name.extension().is_some_and(|extension| extension == "gz") {
            name.set_extension("");
        }
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

impl PlainFile {
    fn read(path: &Path, kind: TextKind, name: PathBuf, segmenter: &Segmenter) -> Result<Self> {
        let bytes = source::read(path)?;
        let mut table = Table::new(path, &bytes, b'\t', Quoting::Off);
        let (mut texts, mut labels) = (Vec::new(), Vec::new());
        let mut width = None;
        while table.advance()? {
            let fields = table.fields();
            let expected = match (width, kind) {
                (Some(width), _) => format!("{width} tab-separated fields"),
                (None, TextKind::Single) => "1 tab-separated field or more".to_owned(),
                (None, TextKind::Pair) => "2 tab-separated fields or more".to_owned(),
            };
            let fits = width.map_or(fields.len() >= kind.n_texts(), |width| {
                fields.len() == width
            });
            if !fits {
                let error = Error::input(table.place(), expected, fields.len());
                return Err(error.with_hint(match kind {
                    TextKind::Pair => "a row is text<TAB>text, with <TAB>label behind or without",
                    TextKind::Single => "a row is text, with <TAB>label behind or without",
                }));
            }
            width = Some(fields.len());
            for column in 0..kind.n_texts() {
                texts.push((table.place().field(column + 1), fields[column].to_owned()));
            }
            let behind = fields.iter().skip(kind.n_texts());
            labels.push(behind.map(str::to_owned).collect());
        }
        if labels.is_empty() {
            let expected = "one row or more";
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
            kind,
            sentences: texts.into_par_iter().map(cut).collect::<Result<_>>()?,
            labels,
        })
    }
}

fn write(folder: &Path, files: &[PlainFile], enciphered: &Encipherment) -> Result<()> {
    let mut sentences = enciphered.sentences.iter();
    let mut sentence = || {
        let ids = sentences.next().expect("as many as were read");
        ids.iter().map(u32::to_string).collect::<Vec<_>>().join(" ")
    };
    for file in files {
        atomic::write_with(&folder.join(&file.name), |out| {
            for labels in &file.labels {
                let texts = (0..file.kind.n_texts()).map(|_| sentence());
                let fields: Vec<String> = texts.chain(labels.iter().cloned()).collect();
                writeln!(out, "{}", fields.join("\t"))?;
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
