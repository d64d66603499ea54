//! Measures the indexes: on MNIST against the published tables of BioHash and Fly-LSH, and on any vectors by recall and speed.
//!
//! ```sh
//! cargo run --release --example hashing -- mnist FOLDER [--seeds 3] [--lengths 2,4,8,16,32] [--epochs 100] …
//! cargo run --release --example hashing -- overlap FOLDER
//! cargo run --release --example hashing -- recall VECTORS.npy [--queries 1000] [--rows N] …
//! ```
//!
//! In: the four `.gz` files of MNIST, or vectors. Out: a row a measurement, tab-separated, on stdout. `experiments/hashing.sh`
//! calls it and says what the figures mean.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Instant;

use cipherpet::data::npy::read_vectors;
use cipherpet::error::{Error, Result};
use cipherpet::index::coder::Preparation;
use cipherpet::index::competitive::WinnerRule;
use cipherpet::index::{
    Exact, Graph, GraphOptions, HashIndex, HashOptions, Index, Kind, Method, Neighbour, Similarity,
    Vectors,
};
use cipherpet::metrics::retrieval::{average_overlap, average_precision, recall};
use cipherpet::random::Key;
use clap::{Parser, Subcommand, ValueEnum};
use rand::seq::SliceRandom;

/// Pixels of a digit.
const PIXELS: usize = 784;
/// Queries of each class.
const QUERIES_OF_CLASS: usize = 100;
/// Queries whose whole rankings are held at a time.
const CHUNK: usize = 50;

/// Measures the indexes.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// mAP@All by class, 1,000 queries: the table of BioHash
    Mnist(Mnist),
    /// Average overlap with the nearest 2 % by Euclidean distance: the figures of Fly-LSH
    Overlap(Mnist),
    /// Recall@10 against queries a second, build time and memory of every index, on vectors of yours
    Recall(Recall),
}

#[derive(clap::Args)]
struct Recall {
    /// Vectors, a .npy matrix; the last ones are the queries
    vectors: PathBuf,
    /// Queries
    #[arg(long, default_value_t = 1000)]
    queries: usize,
    /// So many vectors: the first ones, or copies of all with a little noise where there are fewer
    #[arg(long)]
    rows: Option<usize>,
    /// Ones of a k-hot code, and 4 times as many bits of LSH
    #[arg(long, default_value_t = 32)]
    k: usize,
    /// Epochs of BioHash
    #[arg(long, default_value_t = 5)]
    epochs: usize,
    /// Vectors that BioHash learns from
    #[arg(long, default_value_t = 100_000)]
    learn: usize,
    /// Candidates that are scored again, or held by the graph
    #[arg(long, value_delimiter = ',', default_value = "10,30,100,300,1000,3000")]
    widths: Vec<usize>,
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "exact,graph,lsh,flyhash,densefly,biohash"
    )]
    indexes: Vec<String>,
}

#[derive(clap::Args)]
struct Mnist {
    /// Folder with train-images-idx3-ubyte.gz and the other three
    folder: PathBuf,
    /// Seeds, from 0 on
    #[arg(long, default_value_t = 1)]
    seeds: u64,
    /// Lengths of the codes
    #[arg(long, value_delimiter = ',', default_value = "2,4,8,16,32")]
    lengths: Vec<usize>,
    #[arg(long, value_delimiter = ',', default_value = "lsh,flyhash,biohash")]
    methods: Vec<Word>,
    /// Epochs of BioHash
    #[arg(long, default_value_t = 100)]
    epochs: usize,
    /// How BioHash finds its winners
    #[arg(long, value_delimiter = ',', default_value = "raw,normalised")]
    winners: Vec<Winner>,
    /// What happens to a vector first, for BioHash
    #[arg(long, value_delimiter = ',', default_value = "length")]
    preparations: Vec<Prepared>,
    /// Vectors of `overlap`
    #[arg(long, default_value_t = 10_000)]
    rows: usize,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Word {
    Lsh,
    #[value(name = "flyhash")]
    FlyHash,
    #[value(name = "densefly")]
    DenseFly,
    #[value(name = "biohash")]
    BioHash,
}

#[derive(Clone, Copy, ValueEnum)]
enum Winner {
    Raw,
    Normalised,
}

#[derive(Clone, Copy, ValueEnum)]
enum Prepared {
    /// As it is
    Plain,
    /// To length 1
    Length,
    /// The mean taken away
    Centre,
    /// The mean taken away, then to length 1
    Both,
}

fn main() -> std::process::ExitCode {
    let done = match Arguments::parse().what {
        What::Mnist(mnist) => by_class(&mnist),
        What::Overlap(mnist) => by_overlap(&mnist),
        What::Recall(recall) => by_recall(&recall),
    };
    match done {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => cipherpet::cli::report(&error),
    }
}

/// All 70,000 digits.
struct Digits {
    values: Vec<f32>,
    classes: Vec<u8>,
}

impl Digits {
    fn read(folder: &Path) -> Result<Self> {
        let (mut values, mut classes) = (Vec::new(), Vec::new());
        for part in ["train", "t10k"] {
            let images = unzipped(&folder.join(format!("{part}-images-idx3-ubyte.gz")))?;
            let labels = unzipped(&folder.join(format!("{part}-labels-idx1-ubyte.gz")))?;
            values.extend(images[16..].iter().map(|&pixel| f32::from(pixel) / 255.0));
            classes.extend_from_slice(&labels[8..]);
        }
        Ok(Self { values, classes })
    }

    /// Queries, so many of each class, and all others; both by their numbers.
    fn split(&self, seed: u64) -> (Vec<usize>, Vec<usize>) {
        let mut order: Vec<usize> = (0..self.classes.len()).collect();
        order.shuffle(&mut Key::from_seed(seed).at(1).rng());
        let mut left = [QUERIES_OF_CLASS; 10];
        let (queries, others): (Vec<usize>, Vec<usize>) = order.iter().partition(|&&number| {
            let left = &mut left[usize::from(self.classes[number])];
            let is_query = *left > 0;
            *left -= usize::from(is_query);
            is_query
        });
        (queries, others)
    }

    fn rows(&self, numbers: &[usize]) -> Vec<f32> {
        let rows = numbers
            .iter()
            .flat_map(|&number| &self.values[number * PIXELS..][..PIXELS]);
        rows.copied().collect()
    }
}

fn unzipped(path: &Path) -> Result<Vec<u8>> {
    let fail = |error| Error::io("read", path)(error);
    let file = std::fs::File::open(path).map_err(fail)?;
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(file)
        .read_to_end(&mut bytes)
        .map_err(fail)?;
    Ok(bytes)
}

/// Options of every variant that is asked for, with a name.
fn variants(arguments: &Mnist, k: usize) -> Vec<(String, HashOptions)> {
    let mut variants = Vec::new();
    for &word in &arguments.methods {
        let (method, name) = match word {
            Word::Lsh => (Method::Lsh, "lsh"),
            Word::FlyHash => (Method::FlyHash, "flyhash"),
            Word::DenseFly => (Method::DenseFly, "densefly"),
            Word::BioHash => (Method::BioHash, "biohash"),
        };
        let options = HashOptions::new(method, k);
        if word != Word::BioHash {
            variants.push((name.to_owned(), options));
            continue;
        }
        for &winner in &arguments.winners {
            for &prepared in &arguments.preparations {
                let mut options = options;
                options.learning.epochs = arguments.epochs;
                let (rule, rule_name) = match winner {
                    Winner::Raw => (WinnerRule::Raw, "raw"),
                    Winner::Normalised => (WinnerRule::Normalised, "normalised"),
                };
                options.learning.rule.winner = rule;
                let (centre, unit_length, prepared) = match prepared {
                    Prepared::Plain => (false, false, "plain"),
                    Prepared::Length => (false, true, "length"),
                    Prepared::Centre => (true, false, "centre"),
                    Prepared::Both => (true, true, "both"),
                };
                options.preparation = Preparation {
                    centre,
                    unit_length,
                };
                variants.push((format!("{name} {rule_name} {prepared}"), options));
            }
        }
    }
    variants
}

/// DenseFly twice: by all bits of all codes, and by those that stand in bins near the query's.
fn with_all_bins(variants: Vec<(String, HashOptions)>) -> Vec<(String, HashOptions)> {
    let twice = variants.into_iter().flat_map(|(name, options)| {
        if options.method != Method::DenseFly {
            return vec![(name, options)];
        }
        let mut all = options;
        all.radius = options.k as u32; // no two bins differ in more bits
        vec![
            (format!("{name} all bits"), all),
            (format!("{name} bins"), options),
        ]
    });
    twice.collect()
}

fn by_class(arguments: &Mnist) -> Result<()> {
    let digits = Digits::read(&arguments.folder)?;
    print_row(&["method", "k", "seed", "map_at_all", "mean_norm", "seconds"]);
    for seed in 0..arguments.seeds {
        let (queries, others) = digits.split(seed);
        let values = digits.rows(&others);
        let vectors = Vectors::new(&values, PIXELS)?;
        for &k in &arguments.lengths {
            for (name, options) in variants(arguments, k) {
                let begin = Instant::now();
                let mut mean_norm = f64::NAN;
                let advance = |epoch: cipherpet::index::competitive::Epoch| {
                    mean_norm = epoch.mean_norm;
                    Ok(())
                };
                let mut index = HashIndex::train(vectors, &options, seed, advance)?;
                let seconds = begin.elapsed().as_secs_f64();
                index.add(vectors.into())?;
                let mut sum = 0.0;
                for chunk in queries.chunks(CHUNK) {
                    let rows = digits.rows(chunk);
                    let rows = Vectors::new(&rows, PIXELS)?;
                    let found = index.search(rows.into(), index.len())?;
                    for (query, found) in chunk.iter().zip(found) {
                        let class = digits.classes[*query];
                        let is_relevant =
                            |found: &Neighbour| digits.classes[others[found.number]] == class;
                        sum += average_precision(found.iter().map(is_relevant));
                    }
                }
                print_row(&[
                    &name,
                    &k.to_string(),
                    &seed.to_string(),
                    &format!("{:.2}", 100.0 * sum / queries.len() as f64),
                    &format!("{mean_norm:.3}"),
                    &format!("{seconds:.1}"),
                ]);
            }
        }
    }
    Ok(())
}

fn by_overlap(arguments: &Mnist) -> Result<()> {
    let digits = Digits::read(&arguments.folder)?;
    print_row(&["method", "k", "seed", "average_overlap", "seconds"]);
    for seed in 0..arguments.seeds {
        let mut order: Vec<usize> = (0..digits.classes.len()).collect();
        order.shuffle(&mut Key::from_seed(seed).at(2).rng());
        order.truncate(arguments.rows);
        let mut values = digits.rows(&order);
        let centre = Preparation {
            centre: true,
            unit_length: false,
        };
        values
            .chunks_exact_mut(PIXELS)
            .for_each(|row| centre.prepare(row));
        let vectors = Vectors::new(&values, PIXELS)?;
        let queries = &values[..1000.min(order.len()) * PIXELS];
        let n_true = order.len() / 50; // 2 %
        let mut exact = Exact::new(Similarity::Euclidean, PIXELS);
        exact.add(vectors.into())?;
        let truth =
            without_itself(exact.search(Vectors::new(queries, PIXELS)?.into(), n_true + 1)?);
        for &k in &arguments.lengths {
            for (name, options) in with_all_bins(variants(arguments, k)) {
                let begin = Instant::now();
                let mut index = HashIndex::train(vectors, &options, seed, |_| Ok(()))?;
                let seconds = begin.elapsed().as_secs_f64();
                index.add(vectors.into())?;
                let found = index.search(Vectors::new(queries, PIXELS)?.into(), n_true + 1)?;
                let overlaps = without_itself(found).into_iter().zip(&truth);
                let sum: f64 = overlaps
                    .map(|(found, truth)| average_overlap(&found, truth))
                    .sum();
                print_row(&[
                    &name,
                    &k.to_string(),
                    &seed.to_string(),
                    &format!("{:.4}", sum / truth.len() as f64),
                    &format!("{seconds:.1}"),
                ]);
            }
        }
    }
    Ok(())
}

/// Numbers of the neighbours of query i without i, one fewer than were asked for.
fn without_itself(found: Vec<Vec<Neighbour>>) -> Vec<Vec<usize>> {
    let queries = found.into_iter().enumerate();
    let others = queries.map(|(query, found)| {
        let n = found.len() - 1;
        let numbers = found.into_iter().map(|found| found.number);
        numbers.filter(|&number| number != query).take(n).collect()
    });
    others.collect()
}

/// Neighbours that count.
const NEAREST: usize = 10;

fn by_recall(arguments: &Recall) -> Result<()> {
    let (mut values, width) = read_vectors(&arguments.vectors)?;
    let n_queries = arguments.queries.min(values.len() / width / 2);
    let queries = values.split_off(values.len() - n_queries * width);
    grow(&mut values, width, arguments.rows);
    let (vectors, queries) = (
        Vectors::new(&values, width)?,
        Vectors::new(&queries, width)?,
    );
    print_row(&[
        "index",
        "width",
        "rows",
        "recall_at_10",
        "queries_a_second",
        "build_seconds",
        "megabytes",
    ]);
    let mut exact = Exact::new(Similarity::Cosine, width);
    exact.add(vectors.into())?;
    let truth: Vec<Vec<usize>> = numbers(exact.search(queries.into(), NEAREST)?);
    drop(exact);
    for name in &arguments.indexes {
        let (before, begin) = (resident(), Instant::now());
        let mut index = build(name, vectors, arguments)?;
        let built = begin.elapsed().as_secs_f64();
        let megabytes = resident().saturating_sub(before) / 1_000_000;
        let widths = match index.kind() {
            Kind::Exact => &[0][..],
            _ => &arguments.widths,
        };
        for &width in widths {
            index.set_candidates(width);
            let begin = Instant::now();
            let found = numbers(index.search(queries.into(), NEAREST)?);
            let seconds = begin.elapsed().as_secs_f64();
            let pairs = found.iter().zip(&truth);
            let sum: f64 = pairs.map(|(found, truth)| recall(found, truth)).sum();
            print_row(&[
                name,
                &width.to_string(),
                &vectors.len().to_string(),
                &format!("{:.4}", sum / truth.len() as f64),
                &format!("{:.1}", queries.len() as f64 / seconds),
                &format!("{built:.1}"),
                &megabytes.to_string(),
            ]);
        }
    }
    Ok(())
}

fn numbers(found: Vec<Vec<Neighbour>>) -> Vec<Vec<usize>> {
    let numbers = |found: Vec<Neighbour>| found.into_iter().map(|found| found.number).collect();
    found.into_iter().map(numbers).collect()
}

/// The first rows, or copies of all with noise of a twentieth of a vector's length.
fn grow(values: &mut Vec<f32>, width: usize, rows: Option<usize>) {
    let Some(rows) = rows else { return };
    let n = values.len() / width;
    values.truncate(rows * width);
    let key = Key::from_seed(0);
    for copy in n..rows {
        let original: Vec<f32> = values[copy % n * width..][..width].to_vec();
        let square: f32 = original.iter().map(|x| x * x).sum();
        let scale = 0.05 * f64::from((square / width as f32).sqrt());
        let key = key.at(copy as u64);
        let noisy = original.iter().zip(0..);
        values.extend(noisy.map(|(x, at)| x + (scale * key.normal(at)) as f32));
    }
}

fn build(name: &str, vectors: Vectors, arguments: &Recall) -> Result<Box<dyn Index>> {
    let method = match name {
        "exact" => {
            let mut index = Exact::new(Similarity::Cosine, vectors.width());
            index.add(vectors.into())?;
            return Ok(Box::new(index));
        }
        "graph" => {
            let options = GraphOptions::new(Similarity::Cosine);
            let mut index = Graph::new(options, vectors.width(), vectors.len())?;
            index.add(vectors.into())?;
            return Ok(Box::new(index));
        }
        "lsh" => Method::Lsh,
        "flyhash" => Method::FlyHash,
        "densefly" => Method::DenseFly,
        "biohash" => Method::BioHash,
        other => {
            let refused = Error::refused(format!("an index `{other}`"));
            return Err(refused.with_hint("exact, graph, lsh, flyhash, densefly or biohash"));
        }
    };
    let k = match method {
        Method::Lsh => 4 * arguments.k, // a code of as many bytes as the ones of the others
        _ => arguments.k,
    };
    let mut options = HashOptions::new(method, k);
    options.shortlist = 1; // keeps the vectors
    options.learning.epochs = arguments.epochs;
    let few = arguments.learn.min(vectors.len()) * vectors.width();
    let learnt_from = Vectors::new(&vectors.values()[..few], vectors.width())?;
    let mut index = HashIndex::train(learnt_from, &options, 0, |_| Ok(()))?;
    index.add(vectors.into())?;
    Ok(Box::new(index))
}

/// Bytes of this process in memory; 0 where the system does not say.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = text
        .split(' ')
        .nth(1)
        .and_then(|pages| pages.parse::<u64>().ok());
    pages.unwrap_or(0) * 4096
}

#[expect(clippy::print_stdout, reason = "it is what the example is for")]
fn print_row(fields: &[&str]) {
    println!("{}", fields.join("\t"));
}
