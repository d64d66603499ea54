//! The texts of a file that are nearest to other texts, by the cosine of their vectors, or by the bits that codes of these have in
//! common.
//!
//! In: a run or a BERT folder, a file to search and a file of queries, one text a line; or the vectors of the first as
//! [`super::embed`] has written them, or an index of them. Out: for each query its nearest texts, the nearest first, of equals the
//! first line. Without an index every query is held against every text. An index may miss some.

use std::fmt::{self, Display, Write};
use std::path::{Path, PathBuf};

use rustc_hash::FxHashMap;
use serde::Serialize;

use super::Context;
use super::sentences::{SentenceEncoder, Texts};
use crate::atomic;
use crate::data::npy;
use crate::error::{Error, Place, Result};
use crate::index::{self, Exact, Graph, GraphOptions, Index, Neighbour, Similarity, Vectors};
use crate::model::sentence::{SentencePooling, cosine};

/// Queries that are answered between two looks at the clock.
const QUERIES: usize = 1024;
/// Vectors that are linked between two looks at the clock.
const LINKED: usize = 256;
/// Texts that an index, or a file of vectors, is tried with.
const SAMPLE: usize = 16;
/// Cosines of the same two texts differ by less, whatever stands beside them in a batch.
const SAME_COSINE: f32 = 1e-3;
/// Of so many bits of a code one may differ for the same reason, and one besides.
const BITS_OF_ONE: u32 = 50;

/// What is searched, and how.
#[derive(Debug, Clone)]
pub struct SearchOptions {
    /// The texts to search.
    pub text: PathBuf,
    /// Their vectors, where they are there already.
    pub vectors: Option<PathBuf>,
    /// The texts to look for.
    pub queries: PathBuf,
    /// How many texts are wanted for each.
    pub k: usize,
    /// What stands for a text.
    pub pooling: SentencePooling,
    /// An index of the vectors. Where there is no such file, a graph of them is written there.
    pub index: Option<PathBuf>,
    /// How many texts an index looks at closely for a query; none: as it was made.
    pub candidates: Option<usize>,
}

/// A text that was found.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Hit {
    /// Line of the query, from 1.
    pub query: usize,
    /// 1 for the nearest.
    pub rank: usize,
    /// Line of the text, from 1.
    pub line: usize,
    /// How near it is.
    #[serde(flatten)]
    pub nearness: Nearness,
}

/// What two texts are compared by.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Nearness {
    /// Cosine of the two vectors, -1 to 1.
    Cosine(f32),
    /// Bits in which the codes of the two vectors agree; of k-hot codes the ones that both have.
    CommonBits(u32),
}

impl Nearness {
    /// The score of an index.
    fn of(score: f32, index: &dyn Index) -> Self {
        match index.similarity() {
            Some(_) => Self::Cosine(score),
            None => Self::CommonBits(score as u32),
        }
    }

    /// The column of a table.
    fn title(self) -> &'static str {
        match self {
            Self::Cosine(_) => "cosine",
            Self::CommonBits(_) => "common_bits",
        }
    }
}

impl Display for Nearness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cosine(cosine) => write!(f, "{cosine:.6}"),
            Self::CommonBits(bits) => write!(f, "{bits}"),
        }
    }
}

/// What was found; the object that `--json` prints.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SearchReport {
    /// Texts that were searched.
    pub texts: usize,
    /// Texts that were looked for.
    pub queries: usize,
    /// The index that was asked, where one was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<PathBuf>,
    /// Where the table is; none: `hits` are here alone.
    pub out: Option<PathBuf>,
    /// By query, the nearest first; empty where there is a table.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hits: Vec<Hit>,
}

/// Searches, and writes the table into `out` where one is named.
///
/// # Errors
/// Those of [`SentenceEncoder`]; [`Error::Input`] for more neighbours than texts, and for vectors or an index that are not of these texts
/// and this network; [`Error::Io`]; [`Error::Interrupted`].
pub fn search(
    from: &Path,
    options: &SearchOptions,
    out: Option<&Path>,
    context: Context,
) -> Result<SearchReport> {
    let mut encoder = SentenceEncoder::open(from, options.pooling, context.progress)?;
    let texts = encoder.read(&options.text, context.progress)?;
    require_k(options.k, &texts)?;
    let queries = encoder.read(&options.queries, context.progress)?;
    let width = encoder.width();
    let mut index = match &options.index {
        Some(file) if file.exists() => {
            if let Some(vectors) = &options.vectors {
                let line = format!(
                    "{} is not read: {} has them",
                    vectors.display(),
                    file.display()
                );
                context.progress.say(&line);
            }
            open_index(file, &texts, &encoder, context)?
        }
        _ => make_index(options, &texts, &encoder, context)?,
    };
    if let Some(candidates) = options.candidates {
        require_vectors(&*index, options)?;
        index.set_candidates(candidates);
    }
    let wanted = encoder.vectors(&queries, context)?;
    let task = context
        .progress
        .task("search", queries.rows.len() as u64, "queries");
    let mut hits = Vec::with_capacity(queries.rows.len() * options.k);
    let mut query = 0;
    for wanted in wanted.chunks(QUERIES * width) {
        let found = index.search(Vectors::new(wanted, width)?.into(), options.k)?;
        task.advance(found.len() as u64);
        for nearest in found {
            query += 1;
            hits.extend((1..).zip(nearest).map(|(rank, neighbour)| Hit {
                query,
                rank,
                line: neighbour.number + 1,
                nearness: Nearness::of(neighbour.score, &*index),
            }));
        }
        context.stop.check()?;
    }
    if let Some(out) = out {
        atomic::write(out, table(&hits).as_bytes())?;
        hits.clear();
    }
    Ok(SearchReport {
        texts: texts.rows.len(),
        queries: queries.rows.len(),
        index: options.index.clone(),
        out: out.map(Path::to_owned),
        hits,
    })
}

/// The hits as TSV with a header.
pub fn table(hits: &[Hit]) -> String {
    let title = hits.first().map_or("cosine", |hit| hit.nearness.title());
    let mut table = format!("query\trank\tline\t{title}\n");
    for hit in hits {
        let (query, rank, line, nearness) = (hit.query, hit.rank, hit.line, hit.nearness);
        writeln!(table, "{query}\t{rank}\t{line}\t{nearness}").expect("a String takes every write");
    }
    table
}

fn require_k(k: usize, texts: &Texts) -> Result<()> {
    let n = texts.rows.len();
    if (1..=n).contains(&k) {
        return Ok(());
    }
    let expected = format!("1 to {n}, the texts of {}", texts.file.display());
    let error = Error::input(Place::file("--k"), expected, k);
    Err(error.with_hint(format!("ask for {n} or fewer, but one at least")))
}

/// Refuses candidates where nothing is scored again.
fn require_vectors(index: &dyn Index, options: &SearchOptions) -> Result<()> {
    if index.similarity().is_some() {
        return Ok(());
    }
    let file = options.index.as_deref().unwrap_or(Path::new("--index"));
    let message = format!(
        "--candidates does nothing for {}, which keeps codes and no vectors",
        file.display()
    );
    let hint = "leave it away, or index with `cipherpet hash --shortlist N`";
    Err(Error::refused(message).with_hint(hint))
}

/// Every text, or where an index is asked for a graph of them, which is written.
fn make_index(
    options: &SearchOptions,
    texts: &Texts,
    encoder: &SentenceEncoder,
    context: Context,
) -> Result<Box<dyn Index>> {
    let width = encoder.width();
    let mut vectors = match &options.vectors {
        Some(file) => read_vectors(file, texts, encoder, context)?,
        None => encoder.vectors(texts, context)?,
    };
    share_vectors(&mut vectors, texts, width);
    let Some(file) = &options.index else {
        let mut index = Exact::new(Similarity::Cosine, width);
        index.add(Vectors::new(&vectors, width)?.into())?;
        return Ok(Box::new(index));
    };
    let n = texts.rows.len();
    let mut graph = Graph::new(GraphOptions::new(Similarity::Cosine), width, n)?;
    let task = context.progress.task("link", n as u64, "vectors");
    for some in vectors.chunks(LINKED * width) {
        graph.add(Vectors::new(some, width)?.into())?;
        task.advance((some.len() / width) as u64);
        context.stop.check()?;
    }
    drop(task);
    graph.save(file)?;
    let line = format!("graph of {n} texts: {}", file.display());
    context.progress.say(&line);
    Ok(Box::new(graph))
}

/// Gives a text that comes again the vector of the first: what stands beside it in a batch changes last digits, and with them the
/// order of equals.
fn share_vectors(vectors: &mut [f32], texts: &Texts, width: usize) {
    let mut firsts: FxHashMap<&[u32], usize> = FxHashMap::default();
    for (number, row) in texts.rows.iter().enumerate() {
        let first = *firsts.entry(row).or_insert(number);
        vectors.copy_within(first * width..(first + 1) * width, number * width);
    }
}

/// The index of a file, once it has shown that it is of these texts and of this network.
fn open_index(
    file: &Path,
    texts: &Texts,
    encoder: &SentenceEncoder,
    context: Context,
) -> Result<Box<dyn Index>> {
    let bad = |expected: String, found: String| {
        let hint = "give a new name, and a graph of the texts is made; or index what `cipherpet embed` makes of them: \
                    `cipherpet hash --vectors NPY --shortlist 100 --index FILE`";
        Err(Error::input(Place::file(file), expected, found).with_hint(hint))
    };
    let index = index::open(file)?;
    let found = match index.similarity() {
        Some(Similarity::Cosine) => None,
        Some(Similarity::Dot) => Some("one that compares by the dot product"),
        Some(Similarity::Euclidean) => Some("one that compares by the Euclidean distance"),
        None if index.coder().is_some() => None,
        None => Some("one of sets of ids, which are no texts"),
    };
    if let Some(found) = found {
        let expected = "an index that compares by the cosine, or by codes of vectors";
        return bad(expected.to_owned(), found.to_owned());
    }
    let (width, n) = (encoder.width(), texts.rows.len());
    if index.width() != width {
        let expected = format!("an index of vectors of {width} numbers, as the model has");
        return bad(expected, format!("of {}", index.width()));
    }
    let text = texts.file.display();
    if index.len() != n {
        let expected = format!("an index of {n} vectors, one a line of {text}");
        return bad(expected, format!("of {}", index.len()));
    }
    match first_difference(&*index, texts, encoder, context)? {
        Some((line, told, is)) => bad(
            format!("an index of the texts of {text}, made with this model"),
            match index.similarity() {
                Some(_) => {
                    format!("line {line} at a cosine of {told:.3} to a text, where it is {is:.3}")
                }
                None => format!(
                    "line {line} with {told} bits in common with a text, where they are {is}"
                ),
            },
        ),
        None => Ok(index),
    }
}

/// The first line whose score with a text is another one than the index says: the line, what it says, and what it is. Some texts are
/// tried, as an index does not say what it was made of.
fn first_difference(
    index: &dyn Index,
    texts: &Texts,
    encoder: &SentenceEncoder,
    context: Context,
) -> Result<Option<(usize, f32, f32)>> {
    let width = encoder.width();
    let wanted = vectors_of(&tried(texts), texts, encoder, context)?;
    let found = index.search(Vectors::new(&wanted, width)?.into(), 1)?;
    // A graph may have parts that no way leads to.
    let pairs = wanted.chunks_exact(width).zip(&found);
    let pairs = pairs.filter_map(|(wanted, found)| Some((wanted, found.first()?)));
    let (wanted, found): (Vec<&[f32]>, Vec<&Neighbour>) = pairs.unzip();
    let numbers: Vec<usize> = found.iter().map(|found| found.number).collect();
    let vectors = vectors_of(&numbers, texts, encoder, context)?;
    let (scores, apart) = scores(index, &wanted.concat(), &vectors, width)?;
    let mut pairs = found.iter().zip(scores);
    let differing = pairs.find(|(found, is)| (found.score - is).abs() > apart);
    Ok(differing.map(|(found, is)| (found.number + 1, found.score, is)))
}

/// What an index would say of each two vectors, and by how much it may differ.
fn scores(index: &dyn Index, a: &[f32], b: &[f32], width: usize) -> Result<(Vec<f32>, f32)> {
    let Some(coder) = index.coder().filter(|_| index.similarity().is_none()) else {
        let pairs = a.chunks_exact(width).zip(b.chunks_exact(width));
        let cosines = pairs.map(|(a, b)| cosine(a, b) as f32).collect();
        return Ok((cosines, SAME_COSINE));
    };
    let (a, b) = (Vectors::new(a, width)?, Vectors::new(b, width)?);
    let (codes, others) = (coder.codes(a), coder.codes(b));
    let numbers = 0..a.len();
    let in_common = numbers.map(|number| codes.in_common(number, &others, number) as f32);
    let most = match a.is_empty() {
        true => 0,
        false => codes.in_common(0, &codes, 0),
    };
    Ok((in_common.collect(), (1 + most / BITS_OF_ONE) as f32))
}

/// Numbers of some texts, spread over all.
fn tried(texts: &Texts) -> Vec<usize> {
    let n = texts.rows.len();
    let tried = SAMPLE.min(n);
    (0..tried).map(|at| at * n / tried).collect()
}

/// What the network makes of the texts with these numbers.
fn vectors_of(
    numbers: &[usize],
    texts: &Texts,
    encoder: &SentenceEncoder,
    context: Context,
) -> Result<Vec<f32>> {
    let rows = numbers.iter().map(|&number| texts.rows[number].clone());
    let some = Texts {
        file: texts.file.clone(),
        rows: rows.collect(),
    };
    encoder.vectors(&some, context)
}

/// The vectors of a file, once they have shown that they are of these texts and of this network.
fn read_vectors(
    file: &Path,
    texts: &Texts,
    encoder: &SentenceEncoder,
    context: Context,
) -> Result<Vec<f32>> {
    let hint = "make them from the same file with the same model and --pooling: \
                `cipherpet embed RUN --text FILE --out NPY`, without whitening";
    let width = encoder.width();
    let bad = |expected: String, found: String| {
        Error::input(Place::file(file), expected, found).with_hint(hint)
    };
    let (vectors, columns) = npy::read_vectors(file)?;
    let rows = vectors.len() / columns;
    if columns != width {
        let expected = format!("vectors of {width} numbers, as the model has");
        return Err(bad(expected, format!("vectors of {columns}")));
    }
    let text = texts.file.display();
    if rows != texts.rows.len() {
        let expected = format!("{} vectors, one a line of {text}", texts.rows.len());
        return Err(bad(expected, rows.to_string()));
    }
    let tried = tried(texts);
    let own = vectors_of(&tried, texts, encoder, context)?;
    for (&number, own) in tried.iter().zip(own.chunks_exact(width)) {
        let cosine = cosine(&vectors[number * width..][..width], own) as f32;
        if 1.0 - cosine > SAME_COSINE {
            let expected = format!("vectors of the texts of {text}, made with this model");
            let line = number + 1;
            let found = format!("that of line {line} at a cosine of {cosine:.3} to the model's");
            return Err(bad(expected, found));
        }
    }
    Ok(vectors)
}
