//! A cipher of one's own text, with its key: what alignments are measured on.
//!
//! In: plain files of one or two texts a row, with further columns or without, and a BERT folder. Under a header texts are found by
//! their usual names; else they come first. Out: a folder with a copy of each file under its own name, texts as ids, all else as
//! it was, and `key.tsv` (`cipher_id<TAB>plain_token`,
//! with a header, by id). The folder is there whole or not at all. Whoever has the key reads the copies: it stays at home.

use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::Serialize;

use super::Context;
use crate::atomic;
use crate::data::table::Table;
use crate::data::{ExampleFormat, TextKind, column_names, dialect, source};
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
    delimiter: u8,
    /// The columns of the texts, from 0.
    texts: Vec<usize>,
    /// The texts of a row one after another, as tokens.
    sentences: Vec<Vec<String>>,
    header: Option<Vec<String>>,
    /// All fields.
    rows: Vec<Vec<String>>,
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
    Context { progress, stop, .. }: Context,
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
        rows: files.iter().map(|file| file.rows.len()).sum(),
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
        let (delimiter, has_header) = dialect::of_plain_text(path, &bytes)?;
        let format = ExampleFormat {
            delimiter,
            ..ExampleFormat::default()
        };
        let mut table = format.table(path, &bytes);
        let mut header = None;
        let mut columns: Vec<usize> = (0..kind.n_texts()).collect();
        if has_header && table.advance()? {
            columns = text_columns(&table, kind)?;
            header = Some(table.fields().iter().map(str::to_owned).collect());
        }
        let (mut texts, mut rows) = (Vec::new(), Vec::new());
        let mut width = header.as_ref().map(Vec::len);
        while table.advance()? {
            let fields = table.fields();
            let fits = width.map_or(fields.len() >= kind.n_texts(), |width| {
                fields.len() == width
            });
            if !fits {
                return Err(misfit(&table, &format, kind, width));
            }
            width = Some(fields.len());
            for &column in &columns {
                texts.push((table.place().field(column + 1), fields[column].to_owned()));
            }
            rows.push(fields.iter().map(str::to_owned).collect::<Vec<String>>());
        }
        if rows.is_empty() {
            let expected = "one row or more";
            return Err(Error::input(Place::file(path), expected, "an empty file"));
        }
        let cut = |(place, text): (Place, String)| {
            let tokens = segmenter.tokens(&text)?;
            match tokens.is_empty() {
                false => Ok(tokens),
                true => {
                    let expected = "a sentence of one token or more";
                    Err(Error::input(place, expected, "none")
                        .with_hint("remove the row, or write a text there"))
                }
            }
        };
        Ok(Self {
            name,
            delimiter: delimiter as u8, // one of four in ASCII
            texts: columns,
            sentences: texts.into_par_iter().map(cut).collect::<Result<_>>()?,
            header,
            rows,
        })
    }
}

/// The columns of the texts under a header, from 0.
fn text_columns(header: &Table, kind: TextKind) -> Result<Vec<usize>> {
    let names: Vec<&str> = header.fields().iter().collect();
    let (found, expected) = match kind {
        TextKind::Single => (
            column_names::single(&names).map(|text| vec![text]),
            "a text column with a usual name, such as `text`",
        ),
        TextKind::Pair => (
            column_names::pair(&names).map(|(a, b)| vec![a, b]),
            "two text columns with usual names, such as `text_a` and `text_b`",
        ),
    };
    found.ok_or_else(|| {
        let found = format!("the columns {}", names.join(", "));
        let hint = "rename the columns in the header, or take it away and let the texts come first";
        Error::input(header.place(), expected, found).with_hint(hint)
    })
}

/// A row of another `width` than the rows above it, or of too few fields for its texts.
fn misfit(table: &Table, format: &ExampleFormat, kind: TextKind, width: Option<usize>) -> Error {
    let expected = match width {
        Some(width) => format.fields(width),
        None => format!("{} or more", format.fields(kind.n_texts())),
    };
    let error = Error::input(table.place(), expected, table.fields().len());
    error.with_hint(match kind {
        TextKind::Pair => "a row is text<TAB>text, with <TAB>label behind or without",
        TextKind::Single => "a row is text, with <TAB>label behind or without",
    })
}

fn write(folder: &Path, files: &[PlainFile], enciphered: &Encipherment) -> Result<()> {
    let mut sentences = enciphered.sentences.iter();
    let mut sentence = || {
        let ids = sentences.next().expect("as many as were read");
        ids.iter().map(u32::to_string).collect::<Vec<_>>().join(" ")
    };
    for file in files {
        let is_tab = file.delimiter == b'\t';
        atomic::write_with(&folder.join(&file.name), |out| {
            let mut table = csv::WriterBuilder::new();
            table.delimiter(file.delimiter);
            if is_tab {
                table.quote_style(csv::QuoteStyle::Never); // a quote in a TSV is a character
            }
            let mut table = table.from_writer(out);
            if let Some(header) = &file.header {
                table.write_record(header)?;
            }
            for row in &file.rows {
                let mut row = row.clone();
                for &column in &file.texts {
                    row[column] = sentence();
                }
                table.write_record(&row)?;
            }
            table.flush()
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
