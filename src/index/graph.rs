//! A graph of near vectors that is walked towards the query (HNSW; Malkov and Yashunin 2018): for millions of vectors.
//!
//! In: vectors. Out: nearly always the nearest ones, by cosine or Euclidean distance, after comparing a few thousand instead of all.
//! A search may miss some of them, and return fewer where the graph has parts that no way leads to. Not for the dot product.
//!
//! A vector that comes again is not linked again ([`super::equals`]): its copies would be all that a search holds, and hide what is
//! only like it. They are found with the first one.
//!
//! The graph is that of the crate `hnsw_rs`. Compared were, in November 2026:
//! - `hnsw_rs` 0.3: plain Rust, released this year (the last release mends unreachable points), vectors are added one by one, any
//!   distance, levels drawn from a fixed seed. It keeps a copy of the vectors and a counted pointer a link, so its graphs are large,
//!   and it writes two files of its own.
//! - `usearch` 2: small graphs, fast, saves into memory, most active of the three. It is C++ behind safe functions, needs a C++17
//!   compiler wherever the tool is built, is compiled with `-ffast-math`, and reads damaged files unchecked.
//! - `instant-distance` 0.6: plain Rust, small graphs, a seed; all vectors must be there at the start, and the last release is of 2023.
//!
//! With several threads none of them builds the same graph twice. The one here is built on one thread, vector after vector: the same
//! vectors in the same order give the same graph. Searches run on all threads and change nothing. An index that was read from a
//! file finds what it found before; vectors that are added to it afterwards may be linked otherwise than without the file.

use std::fs;
use std::path::Path;

use hnsw_rs::api::AnnT;
use hnsw_rs::hnsw::Hnsw;
use hnsw_rs::hnswio::HnswIo;
use hnsw_rs::prelude::Distance;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::equals::Equals;
use super::exact::Similarity;
use super::file::{self, Header, Section, Stored};
use super::nearest::{Neighbour, keep_nearest};
use super::vectors::{dot, square_distance};
use super::{Index, Items, Kind, require_k};
use crate::error::{Error, Result};
use crate::hash::Hasher;
use crate::kernels::vector::to_length_one;

/// Layers of a graph at most.
const LAYERS: usize = 16;
/// Name under which the crate writes its two files.
const NAME: &str = "graph";
/// Of the arrays in a file: the second one has the copies apart.
const FORM: u32 = 2;

/// How a graph is built and walked.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct GraphOptions {
    /// Cosine or Euclidean.
    pub similarity: Similarity,
    /// Links of a vector in each layer: 2 to 255; twice as many in the lowest.
    pub links: usize,
    /// Candidates that are held while a vector is linked.
    pub build_width: usize,
    /// Candidates that are held while a query is searched; more find more and take longer.
    pub search_width: usize,
}

impl GraphOptions {
    /// 16 links, 200 and 100 candidates.
    pub fn new(similarity: Similarity) -> Self {
        Self {
            similarity,
            links: 16,
            build_width: 200,
            search_width: 100,
        }
    }

    /// # Errors
    /// [`Error::Refused`].
    fn check(&self) -> Result<()> {
        if self.similarity == Similarity::Dot {
            let refused = Error::refused("a graph by the dot product");
            return Err(refused.with_hint("cosine or Euclidean; or the exact index"));
        }
        if !(2..256).contains(&self.links) || self.build_width == 0 || self.search_width == 0 {
            let message = format!(
                "a graph of {} links, {} candidates while it is built and {} while it is searched",
                self.links, self.build_width, self.search_width
            );
            return Err(Error::refused(message).with_hint("2 to 255 links, 1 candidate or more"));
        }
        Ok(())
    }
}

/// What is kept of a graph in a file.
#[derive(Debug, Serialize, Deserialize)]
struct Parameters {
    options: GraphOptions,
    /// [`FORM`]; older files had none.
    #[serde(default)]
    form: u32,
    /// As [`hash_of`] makes it.
    #[serde(default)]
    sha256: String,
}

/// Of all that makes a graph: the crate takes what it reads as it is, and panics or answers otherwise where that is damaged.
fn hash_of(
    options: &GraphOptions,
    (width, count): (usize, usize),
    [links, vectors, copies]: [&[u8]; 3],
) -> Result<String> {
    let head = serde_json::to_vec(&(options, width, count, links.len(), vectors.len()));
    let head = head.map_err(|error| Error::Unexpected(format!("options of a graph: {error}")))?;
    let mut hasher = Hasher::default();
    for piece in [&head[..], links, vectors, copies] {
        hasher.update(piece);
    }
    Ok(hasher.finish())
}

/// What the crate compares vectors by.
#[derive(Debug, Clone, Copy, Default)]
struct Apart {
    is_cosine: bool,
}

impl Distance<f32> for Apart {
    fn eval(&self, a: &[f32], b: &[f32]) -> f32 {
        match self.is_cosine {
            true => (1.0 - dot(a, b)).max(0.0), // the crate wants no distance below 0
            false => square_distance(a, b).sqrt(),
        }
    }
}

/// Vectors and the links between them.
pub struct Graph {
    options: GraphOptions,
    width: usize,
    equals: Equals,
    /// The different vectors, each by the number of the first item that has it.
    graph: Hnsw<'static, f32, Apart>,
}

impl std::fmt::Debug for Graph {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("Graph");
        let shown = shown.field("options", &self.options);
        shown.field("len", &self.len()).finish_non_exhaustive()
    }
}

impl Graph {
    /// A graph without vectors; `n` is about how many will be added.
    ///
    /// # Errors
    /// [`Error::Refused`] for options that make no graph.
    ///
    /// # Panics
    /// Where `width` is 0.
    pub fn new(options: GraphOptions, width: usize, n: usize) -> Result<Self> {
        assert!(width > 0, "vectors have a width");
        options.check()?;
        let apart = Apart {
            is_cosine: options.similarity == Similarity::Cosine,
        };
        let graph = Hnsw::new(options.links, n.max(1), LAYERS, options.build_width, apart);
        Ok(Self {
            options,
            width,
            equals: Equals::default(),
            graph,
        })
    }

    /// What was read of a file.
    ///
    /// # Errors
    /// [`Error::Input`] where its parts do not fit each other.
    pub(super) fn restored(mut stored: Stored) -> Result<Self> {
        let parameters: Parameters = stored.parameters()?;
        let options = parameters.options;
        let checked = options.check();
        checked.map_err(|error| stored.broken(error))?;
        let (width, count) = (stored.header.width, stored.header.count);
        if parameters.form != FORM {
            return Err(stored.of_another_version());
        }
        let (links, vectors) = (stored.bytes("links")?, stored.bytes("vectors")?);
        let copies = stored.bytes("copies")?;
        let hash = hash_of(&options, (width, count), [&links, &vectors, &copies])?;
        if hash != parameters.sha256 {
            return Err(stored.broken("a graph with another hash than when it was written"));
        }
        let equals = Equals::of_bytes(&copies, count);
        let equals = equals.ok_or_else(|| stored.broken("copies of no vector"))?;
        if count == 0 {
            return Self::new(options, width, 0);
        }
        let folder = tempfile::tempdir().map_err(Error::io("create", &std::env::temp_dir()))?;
        for (end, content) in [("graph", links), ("data", vectors)] {
            let path = folder.path().join(format!("{NAME}.hnsw.{end}"));
            fs::write(&path, content).map_err(Error::io("write", &path))?;
        }
        // The crate's graph borrows from what read it, some hundred bytes, which are kept for good.
        let reader: &'static HnswIo = Box::leak(Box::new(HnswIo::new(folder.path(), NAME)));
        let is_cosine = options.similarity == Similarity::Cosine;
        let graph = reader.load_hnsw_with_dist(Apart { is_cosine });
        let graph: Hnsw<'static, f32, Apart> = graph.map_err(|error| stored.broken(error))?;
        let n_found = graph.get_nb_point() + equals.n_copies();
        if n_found != count {
            let found = format!("{n_found} vectors for {count}");
            return Err(stored.broken(found));
        }
        Ok(Self {
            options,
            width,
            equals,
            graph,
        })
    }

    /// A vector as it is compared.
    fn prepared(&self, vector: &[f32]) -> Vec<f32> {
        let mut vector = vector.to_vec();
        if self.options.similarity == Similarity::Cosine {
            to_length_one(&mut vector);
        }
        vector
    }

    /// Links and vectors, as the crate writes them into a folder.
    fn dumped(&self) -> Result<[Vec<u8>; 2]> {
        let folder = tempfile::tempdir().map_err(Error::io("create", &std::env::temp_dir()))?;
        let name = self.graph.file_dump(folder.path(), NAME);
        let name = name.map_err(|error| Error::Unexpected(format!("graph: {error}")))?;
        let read = |end: &str| {
            let path = folder.path().join(format!("{name}.hnsw.{end}"));
            fs::read(&path).map_err(Error::io("read", &path))
        };
        Ok([read("graph")?, read("data")?])
    }
}

impl Index for Graph {
    fn kind(&self) -> Kind {
        Kind::Graph
    }

    fn width(&self) -> usize {
        self.width
    }

    fn len(&self) -> usize {
        self.graph.get_nb_point() + self.equals.n_copies()
    }

    fn similarity(&self) -> Option<Similarity> {
        Some(self.options.similarity)
    }

    fn set_candidates(&mut self, candidates: usize) {
        self.options.search_width = candidates.max(1);
    }

    fn add(&mut self, items: Items) -> Result<()> {
        let vectors = items.vectors(self.width)?;
        if self.equals.lacks_firsts() && !self.is_empty() {
            for point in self.graph.get_point_indexation() {
                self.equals.name_first(point.get_origin_id(), point.get_v());
            }
        }
        for row in vectors.rows() {
            let (number, vector) = (self.len(), self.prepared(row));
            if self.equals.push(number, &vector) {
                self.graph.insert_slice((&vector, number));
            }
        }
        Ok(())
    }

    fn search(&self, queries: Items, k: usize) -> Result<Vec<Vec<Neighbour>>> {
        require_k(k, self.len())?;
        let rows: Vec<&[f32]> = queries.vectors(self.width)?.rows().collect();
        let found = rows.par_iter().map(|row| {
            let width = self.options.search_width.max(k);
            // As many as are held: of equally near ones the lowest numbers are kept.
            let found = self.graph.search(&self.prepared(row), width, width);
            let with_copies = |found: hnsw_rs::hnsw::Neighbour| {
                let score = match self.options.similarity {
                    Similarity::Cosine => 1.0 - found.get_distance(),
                    _ => -found.get_distance(),
                };
                let numbers = self.equals.all_of(found.get_origin_id()).take(k);
                numbers.map(move |number| Neighbour { number, score })
            };
            let mut found: Vec<Neighbour> = found.into_iter().flat_map(with_copies).collect();
            keep_nearest(&mut found, k);
            found
        });
        Ok(found.collect())
    }

    fn save(&self, path: &Path) -> Result<()> {
        let [links, vectors] = match self.is_empty() {
            true => [Vec::new(), Vec::new()],
            false => self.dumped()?,
        };
        let copies = self.equals.to_bytes();
        let sizes = (self.width, self.len());
        let parameters = Parameters {
            options: self.options,
            form: FORM,
            sha256: hash_of(&self.options, sizes, [&links, &vectors, &copies])?,
        };
        let header = Header::new(self, &parameters)?;
        let sections = [
            ("links", Section::U8(&links)),
            ("vectors", Section::U8(&vectors)),
            ("copies", Section::U8(&copies)),
        ];
        file::write(path, header, &sections)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::{Exact, Vectors, open};
    use crate::kernels::naive;
    use crate::metrics::retrieval::recall;

    fn built(similarity: Similarity, vectors: Vectors) -> Graph {
        let options = GraphOptions::new(similarity);
        let mut graph = Graph::new(options, vectors.width(), vectors.len()).expect("a graph");
        graph.add(vectors.into()).expect("finite numbers");
        graph
    }

    fn numbers(found: &[Neighbour]) -> Vec<usize> {
        found.iter().map(|found| found.number).collect()
    }

    #[test]
    fn nearly_all_of_the_exactly_nearest_are_found_whatever_the_threads() {
        let width = 16;
        let (values, queries) = (naive::values(3000 * width, 1), naive::values(50 * width, 2));
        let vectors = Vectors::new(&values, width).expect("whole rows");
        let queries = Vectors::new(&queries, width).expect("whole rows");
        for similarity in [Similarity::Cosine, Similarity::Euclidean] {
            let mut exact = Exact::new(similarity, width);
            exact.add(vectors.into()).expect("finite numbers");
            let truth = exact.search(queries.into(), 10).expect("enough vectors");
            let on = |threads: usize| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
                pool.build().expect("threads").install(|| {
                    let graph = built(similarity, vectors);
                    graph.search(queries.into(), 10).expect("enough vectors")
                })
            };
            let found = on(1);
            assert_eq!(found, on(3));
            let pairs = found.iter().zip(&truth);
            let recalls = pairs.map(|(found, truth)| recall(&numbers(found), &numbers(truth)));
            let mean = recalls.sum::<f64>() / truth.len() as f64;
            assert!(mean > 0.97, "{similarity:?}: {mean}");
            let worst = found[0][0].score - truth[0][0].score;
            assert!(worst.abs() < 1e-5, "{worst}");
        }
    }

    #[test]
    fn what_is_saved_is_read_back_and_finds_the_same() {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let path = folder.path().join("index");
        let values = naive::values(400 * 8, 3);
        let vectors = Vectors::new(&values, 8).expect("whole rows");
        let queries = Vectors::new(&values[..80], 8).expect("whole rows");
        for similarity in [Similarity::Cosine, Similarity::Euclidean] {
            let graph = built(similarity, vectors);
            graph.save(&path).expect("room");
            let read = open(&path).expect("the index");
            assert_eq!(
                (read.kind(), read.len(), read.width()),
                (Kind::Graph, 400, 8)
            );
            assert_eq!(
                read.search(queries.into(), 5).expect("enough vectors"),
                graph.search(queries.into(), 5).expect("enough vectors")
            );
        }
        let none = Graph::new(GraphOptions::new(Similarity::Cosine), 8, 0).expect("a graph");
        none.save(&path).expect("room");
        assert!(open(&path).expect("the index").is_empty());
    }

    /// 40 vectors around one, with 3000 copies of one of them in their midst, and three of another.
    fn with_copies(width: usize) -> Vec<f32> {
        let (values, mid) = (naive::values(40 * width, 5), naive::values(width, 6));
        let rows: Vec<Vec<f32>> = values
            .chunks(width)
            .map(|row| row.iter().zip(&mid).map(|(x, m)| x + m).collect())
            .collect();
        let mut all = rows[..20].concat();
        all.extend(rows[3].repeat(3000));
        all.extend(rows[20..].concat());
        all.extend(rows[30].repeat(3));
        all
    }

    #[test]
    fn copies_hide_no_other_neighbour_and_come_in_their_order() {
        let width = 8;
        let values = with_copies(width);
        let vectors = Vectors::new(&values, width).expect("whole rows");
        let queries = Vectors::new(&values[..20 * width], width).expect("whole rows");
        let folder = tempfile::tempdir().expect("a folder for the test");
        let path = folder.path().join("index");
        for similarity in [Similarity::Cosine, Similarity::Euclidean] {
            let mut exact = Exact::new(similarity, width);
            exact.add(vectors.into()).expect("finite numbers");
            let whole = built(similarity, vectors);
            // In two steps with a file between them; the second has copies of what is in the first.
            let (first, second) = values.split_at(1000 * width);
            let first = Vectors::new(first, width).expect("whole rows");
            built(similarity, first).save(&path).expect("room");
            let mut in_two = open(&path).expect("the index");
            let second = Vectors::new(second, width).expect("whole rows");
            in_two.add(second.into()).expect("finite numbers");
            whole.save(&path).expect("room");
            let read = open(&path).expect("the index");
            for graph in [&whole as &dyn Index, &*in_two, &*read] {
                assert_eq!(graph.len(), 3043);
                // More than there are different vectors, and all of them.
                for k in [1, 10, 100, 3043] {
                    let truth = exact.search(queries.into(), k).expect("enough vectors");
                    let found = graph.search(queries.into(), k).expect("enough vectors");
                    for (found, truth) in found.iter().zip(&truth) {
                        assert_eq!(numbers(found), numbers(truth), "{similarity:?}, {k}");
                    }
                }
            }
        }
    }

    /// A small graph in a file, its bytes, and where its header ends.
    fn saved() -> (tempfile::TempDir, std::path::PathBuf, Vec<u8>, usize) {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let path = folder.path().join("index");
        let mut values = naive::values(12 * 4, 4);
        values.extend_from_within(..2 * 4);
        let vectors = Vectors::new(&values, 4).expect("whole rows");
        let graph = built(Similarity::Cosine, vectors);
        graph.save(&path).expect("room");
        let bytes = fs::read(&path).expect("the file");
        let header = u64::from_le_bytes(bytes[16..24].try_into().expect("eight bytes"));
        (folder, path, bytes, 24 + header as usize)
    }

    #[test]
    fn a_damaged_byte_anywhere_is_an_error_and_never_another_answer() {
        let (_folder, path, bytes, header) = saved();
        let behind = (header..bytes.len()).step_by(13);
        for at in (0..header).chain(behind).chain([bytes.len() - 1]) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            fs::write(&path, &damaged).expect("room");
            let error = open(&path).expect_err("damaged");
            assert!(error.hint().is_some(), "byte {at}: {error}");
            let shown = error.to_string();
            assert!(
                at < header || shown.contains("another hash"),
                "byte {at}: {shown}"
            );
        }
    }

    #[test]
    fn a_graph_that_links_every_copy_is_of_another_version() {
        let (_folder, path, bytes, header) = saved();
        let mut text: serde_json::Value =
            serde_json::from_slice(&bytes[24..header]).expect("the header");
        let parameters = text["parameters"].as_object_mut().expect("parameters");
        parameters.remove("form").expect("the form");
        let text = text.to_string();
        let length = (text.len() as u64).to_le_bytes();
        let old = [&bytes[..16], &length[..], text.as_bytes(), &bytes[header..]];
        fs::write(&path, old.concat()).expect("room");
        let error = open(&path).expect_err("an old file");
        let shown = error.to_string();
        assert!(shown.ends_with("found one of another version"), "{shown}");
        let hint = error.hint().expect("a way out");
        assert!(hint.starts_with("remove it, and write it again"), "{hint}");
    }

    #[test]
    fn options_that_make_no_graph_are_refused() {
        let dot = GraphOptions::new(Similarity::Dot);
        let links = GraphOptions {
            links: 1,
            ..GraphOptions::new(Similarity::Cosine)
        };
        for options in [dot, links] {
            let error = Graph::new(options, 4, 0).expect_err("refused");
            assert!(error.hint().is_some(), "{error}");
        }
    }
}
