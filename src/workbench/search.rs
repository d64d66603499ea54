//! The texts of a file that are nearest to other texts, by the cosine of their vectors.
//!
//! In: a run or a BERT folder, a file to search and a file of queries, one text a line; or the vectors of the first as
//! [`super::embed`] has written them. Out: for each query its nearest texts, the nearest first, of equals the first line. Exact: every
//! query is held against every text.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::Context;
use super::sentences::{SentenceEncoder, Texts};
use crate::atomic;
use crate::data::npy;
use crate::error::{Error, Place, Result};
use crate::index::{Exact, Index, Similarity, Vectors};
use crate::model::sentence::SentencePooling;

/// Queries that are answered between two looks at the clock.
const QUERIES: usize = 1024;

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
    /// Cosine of the two vectors, -1 to 1.
    pub cosine: f32,
}

/// What was found; the object that `--json` prints.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SearchReport {
    /// Texts that were searched.
    pub texts: usize,
    /// Texts that were looked for.
    pub queries: usize,
    /// Where the table is; none: `hits` are here alone.
    pub out: Option<PathBuf>,
    /// By query, the nearest first; empty where there is a table.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hits: Vec<Hit>,
}

/// Searches, and writes the table into `out` where one is named.
///
/// # Errors
/// Those of [`SentenceEncoder`]; [`Error::Input`] for more neighbours than texts, and for vectors that are not of these texts and this
/// network; [`Error::Io`]; [`Error::Interrupted`].
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
    let vectors = match &options.vectors {
        Some(file) => read_vectors(file, &texts, width)?,
        None => encoder.vectors(&texts, context)?,
    };
    let wanted = encoder.vectors(&queries, context)?;
    let mut index = Exact::new(Similarity::Cosine, width);
    index.add(Vectors::new(&vectors, width)?.into())?;
    drop(vectors);
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
                cosine: neighbour.score,
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
        out: out.map(Path::to_owned),
        hits,
    })
}

/// The hits as TSV with a header.
pub fn table(hits: &[Hit]) -> String {
    let mut table = "query\trank\tline\tcosine\n".to_owned();
    for hit in hits {
        let (query, rank, line, cosine) = (hit.query, hit.rank, hit.line, hit.cosine);
        writeln!(table, "{query}\t{rank}\t{line}\t{cosine:.6}")
            .expect("a String takes every write");
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

fn read_vectors(file: &Path, texts: &Texts, width: usize) -> Result<Vec<f32>> {
    let hint = "make them from the same file with the same model: `cipherpet embed RUN --text FILE --out NPY`, without whitening";
    let bad = |expected: String, found: String| {
        Error::input(Place::file(file), expected, found).with_hint(hint)
    };
    let (vectors, columns) = npy::read_vectors(file)?;
    let rows = vectors.len() / columns;
    if columns != width {
        let expected = format!("vectors of {width} numbers, as the model has");
        return Err(bad(expected, format!("vectors of {columns}")));
    }
    if rows != texts.rows.len() {
        let (n, text) = (texts.rows.len(), texts.file.display());
        let expected = format!("{n} vectors, one a line of {text}");
        return Err(bad(expected, rows.to_string()));
    }
    Ok(vectors)
}
