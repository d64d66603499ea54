//! Codes of vectors, or of the tokens of a cipher: trained, written, and where it is asked for indexed.
//!
//! In: a `.npy` file, or files of rows, and options. Out: the codes, an index of them, the nearest tokens, and a [`HashReport`]. What
//! learns goes on where it was cut ([`checkpoint`]). [`super::search`] takes the index of vectors, [`crate::index::open`] both. Writes
//! ids of tokens and no sentence.

mod checkpoint;
mod neighbours;

use std::fmt::{self, Display, Write};
use std::path::{Path, PathBuf};

use rustc_hash::FxHashMap;
use serde::Serialize;

use self::checkpoint::Course;
use super::Context;
use super::reading::detect_texts;
use crate::atomic;
use crate::config::Loaded;
use crate::data::{Dictionary, Example, Labels, npy, read_examples};
use crate::error::{Error, Place, Result};
use crate::hash::Hasher;
use crate::index::bioword::{BioWord, BioWordOptions};
use crate::index::coder::Codes;
use crate::index::codes::SetList;
use crate::index::competitive::Epoch;
use crate::index::{HashIndex, HashOptions, Index, Inverted, Method, Vectors};
use crate::vocab::CipherVocab;

/// Where results go.
#[derive(Debug, Clone, Copy)]
pub struct Outputs<'a> {
    /// The codes.
    pub codes: &'a Path,
    /// An index of all of them.
    pub index: Option<&'a Path>,
    /// Of tokens, a table of so many nearest ones of each.
    pub neighbours: Option<(&'a Path, usize)>,
}

/// What was made.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HashReport {
    /// `lsh`, `flyhash`, `densefly`, `biohash` or `bioword`.
    pub method: String,
    /// Vectors or tokens that have a code.
    pub items: usize,
    /// Numbers of a vector; for tokens `None`.
    pub width: Option<usize>,
    /// Bits of a code.
    pub units: usize,
    /// Ones of a code; `None` where it varies.
    pub ones: Option<usize>,
    /// Different codes among them.
    pub different_codes: usize,
    /// Mean length of the learnt weights of a unit, 1 once all of them have learnt; `None` where nothing is learnt.
    pub mean_norm: Option<f64>,
    /// The codes.
    pub out: PathBuf,
    /// The index, where one was asked for.
    pub index: Option<PathBuf>,
    /// The nearest tokens of each, where they were asked for.
    pub neighbours: Option<PathBuf>,
}

/// Trains codes of the vectors of a `.npy` file, and writes them: the numbers of the ones of each k-hot code, ascending, as a matrix
/// of u32; or the bits of each code as a matrix of u8.
///
/// # Errors
/// Those of [`npy::read_vectors`] and of [`HashIndex::train`]; [`Error::Input`] for the checkpoint of another learning; [`Error::Io`];
/// [`Error::Stopped`].
pub fn hash_vectors(
    vectors: &Path,
    options: &HashOptions,
    seed: u64,
    outputs: Outputs,
    context: Context,
) -> Result<HashReport> {
    let (values, width) = npy::read_vectors(vectors)?;
    let rows = Vectors::new(&values, width)?;
    if rows.is_empty() {
        let error = Error::input(Place::file(vectors), "a vector", "none");
        return Err(error.with_hint("`cipherpet embed` writes one a text"));
    }
    let (mut course, begun) = match options.method {
        Method::BioHash => {
            let learning_sha256 = hash_of_vectors(rows, options, seed)?;
            let n_epochs = options.learning.epochs;
            let (course, begun) = Course::open(outputs.codes, learning_sha256, n_epochs, context)?;
            (Some(course), begun)
        }
        _ => (None, None), // nothing is learnt
    };
    let advance = |epoch: Epoch| match &mut course {
        Some(course) => course.advance(epoch),
        None => Ok(()),
    };
    let mut index = HashIndex::train_from(rows, options, seed, begun, advance)?;
    let (codes, units) = (index.coder().codes(rows), options.n_units());
    let (different_codes, ones) = match &codes {
        Codes::KHot(sets) => (n_different(sets), Some(options.k)),
        Codes::Bits(bits) => {
            let different: std::collections::HashSet<&[u64]> = bits.all().collect();
            (different.len(), None)
        }
    };
    match &codes {
        Codes::KHot(sets) => npy::write(outputs.codes, sets.ids(), options.k)?,
        Codes::Bits(bits) => npy::write(outputs.codes, &bits.unpacked(), units)?,
    }
    if let Some(path) = outputs.index {
        index.add(rows.into())?;
        index.save(path)?;
    }
    let mean_norm = course.as_ref().and_then(|course| course.mean_norm);
    course.map_or(Ok(()), Course::finish)?;
    Ok(HashReport {
        method: options.method.name().to_owned(),
        items: rows.len(),
        width: Some(width),
        units,
        ones,
        different_codes,
        mean_norm,
        out: outputs.codes.to_owned(),
        index: outputs.index.map(Path::to_owned),
        neighbours: None,
    })
}

/// Of all that the weights of BioHash follow from.
fn hash_of_vectors(rows: Vectors, options: &HashOptions, seed: u64) -> Result<String> {
    let (shortlist, radius) = (0, 0); // say how the index is searched
    let options = HashOptions {
        shortlist,
        radius,
        ..*options
    };
    let mut hasher = begun_hash(&options, (rows.width(), seed))?;
    for row in rows.rows() {
        let bytes: Vec<u8> = row.iter().flat_map(|x| x.to_le_bytes()).collect();
        hasher.update(&bytes);
    }
    Ok(hasher.finish())
}

/// Of all that the weights of BioWord follow from.
fn hash_of_sentences(
    sentences: &[&[u32]],
    n_ids: usize,
    options: &BioWordOptions,
    seed: u64,
) -> Result<String> {
    let mut hasher = begun_hash(options, (n_ids, seed))?;
    for sentence in sentences {
        let length = (sentence.len() as u64).to_le_bytes();
        let ids = sentence.iter().flat_map(|id| id.to_le_bytes());
        let bytes: Vec<u8> = length.into_iter().chain(ids).collect();
        hasher.update(&bytes);
    }
    Ok(hasher.finish())
}

fn begun_hash(options: &impl Serialize, numbers: (usize, u64)) -> Result<Hasher> {
    let head = serde_json::to_vec(&(options, numbers))
        .map_err(|error| Error::Unexpected(format!("options as JSON: {error}")))?;
    let mut hasher = Hasher::default();
    hasher.update(&head);
    Ok(hasher)
}

/// Trains codes of the tokens of `files`, of all that occur `min_count` times or more, and writes them as a table: token, count and
/// the units of its code, most frequent token first. The index numbers tokens by their rows in the table, from 0.
///
/// # Errors
/// Those of the reader and of [`BioWord::learn`]; [`Error::Input`] where no token is left, and for the checkpoint of another learning;
/// [`Error::Io`]; [`Error::Stopped`].
pub fn hash_tokens(
    files: &[PathBuf],
    (loaded, min_count): (&Loaded, u64),
    options: &BioWordOptions,
    seed: u64,
    outputs: Outputs,
    context: Context,
) -> Result<HashReport> {
    let experiment = detect_texts(files, loaded)?;
    let mut dictionary = Dictionary::new(experiment.data.tokens);
    let mut examples: Vec<Example> = Vec::new();
    for path in files {
        let file = read_examples(path, &experiment.format(), Labels::Ignored, &mut dictionary)?;
        examples.extend(file.examples);
        context.stop.check()?;
    }
    let vocab = CipherVocab::count(&examples, min_count);
    if vocab.kept.is_empty() {
        let place = Place::file(files.first().map_or(Path::new("--pairs"), PathBuf::as_path));
        let expected = format!("a token that stands in the rows {min_count} times or more");
        return Err(Error::input(place, expected, "none").with_hint("lower --min-count"));
    }
    let numbers: FxHashMap<_, u32> = (0..)
        .zip(&vocab.kept)
        .map(|(n, &(id, _))| (id, n))
        .collect();
    let texts = examples.iter().flat_map(Example::texts);
    // Rare tokens are left out as if they did not stand there.
    let sentences: Vec<Vec<u32>> = texts
        .map(|text| {
            text.iter()
                .filter_map(|id| numbers.get(id).copied())
                .collect()
        })
        .collect();
    let views: Vec<&[u32]> = sentences.iter().map(Vec::as_slice).collect();
    let (n_ids, n_epochs) = (vocab.kept.len(), options.learning.epochs);
    let learning_sha256 = hash_of_sentences(&views, n_ids, options, seed)?;
    let (mut course, begun) = Course::open(outputs.codes, learning_sha256, n_epochs, context)?;
    let advance = |epoch: Epoch| course.advance(epoch);
    let codes = BioWord::learn(&views, n_ids, options, seed, begun, advance)?.codes();
    write_tokens(&codes, &vocab, &dictionary, options.n_units, outputs)?;
    let mean_norm = course.mean_norm;
    course.finish()?;
    Ok(HashReport {
        method: "bioword".to_owned(),
        items: vocab.kept.len(),
        width: None,
        units: options.n_units,
        ones: Some(options.k),
        different_codes: n_different(&codes),
        mean_norm,
        out: outputs.codes.to_owned(),
        index: outputs.index.map(Path::to_owned),
        neighbours: outputs.neighbours.map(|(path, _)| path.to_owned()),
    })
}

/// The codes of tokens, and what was asked for besides.
fn write_tokens(
    codes: &SetList,
    vocab: &CipherVocab,
    dictionary: &Dictionary,
    n_units: usize,
    outputs: Outputs,
) -> Result<()> {
    atomic::write(outputs.codes, table(vocab, dictionary, codes).as_bytes())?;
    let mut index = Inverted::new(n_units);
    index.add(codes.sets().into())?;
    if let Some(path) = outputs.index {
        index.save(path)?;
    }
    if let Some((path, n)) = outputs.neighbours {
        let kept = vocab.kept.iter();
        let names: Vec<String> = kept.map(|&(id, _)| dictionary.name(id)).collect();
        let table = neighbours::table(&index, &names, codes, n)?;
        atomic::write(path, table.as_bytes())?;
    }
    Ok(())
}

fn n_different(codes: &SetList) -> usize {
    let different: std::collections::HashSet<&[u32]> = codes.sets().all().collect();
    different.len()
}

fn table(vocab: &CipherVocab, dictionary: &Dictionary, codes: &SetList) -> String {
    let mut table = "token\tcount\tcode\n".to_owned();
    for (&(id, count), code) in vocab.kept.iter().zip(codes.sets().all()) {
        let units: Vec<String> = code.iter().map(u32::to_string).collect();
        let name = dictionary.name(id);
        let _ = writeln!(table, "{name}\t{count}\t{}", units.join(" ")); // a String takes all
    }
    table
}

impl Display for HashReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = match self.width {
            Some(width) => format!("vectors of {width} numbers"),
            None => "tokens".to_owned(),
        };
        let ones = match self.ones {
            Some(ones) => format!("{ones} ones of {} units", self.units),
            None => format!("{} bits", self.units),
        };
        writeln!(f, "{} {of}, {}: codes with {ones}", self.items, self.method)?;
        writeln!(f, "{} different codes", self.different_codes)?;
        if let Some(norm) = self.mean_norm {
            let note = match norm > 1.06 {
                true => ": above 1.06, some units have not learnt to their end (--epochs)",
                false => "",
            };
            writeln!(f, "mean length of a unit's weights {norm:.3}{note}")?;
        }
        writeln!(f, "wrote {}", self.out.display())?;
        if let Some(index) = &self.index {
            let note = match self.width {
                Some(_) => "",
                None => ", which programs open; --neighbours lists the nearest tokens",
            };
            writeln!(f, "wrote {}{note}", index.display())?;
        }
        if let Some(neighbours) = &self.neighbours {
            writeln!(f, "wrote {}", neighbours.display())?;
        }
        Ok(())
    }
}
