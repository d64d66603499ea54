//! Graph alignment: which plaintext type each cipher type stands for, found from co-occurrence alone.
//!
//! In: counts of two sides ([`Side`]) by dense type numbers. Out: candidates with confidence for each cipher type, and
//! what is known of their quality without a key ([`Solution`]). Knows no files, vocabularies or tokenisers.

mod assignment;
mod cooccurrence;
mod faq;
mod matrix;
mod self_learning;

pub use cooccurrence::{Cooccurrence, Side};

use ndarray::Array2;

use crate::error::{Error, Result};
use crate::progress::Progress;
use crate::random::Key;
use cooccurrence::Graph;
use self_learning::Anchor;

/// A plaintext type that a cipher type may stand for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    /// Number of the plaintext type.
    pub plain: u32,
    /// Share of the belief; those of a type sum to 1 or less.
    pub weight: f32,
}

/// What was found for one cipher type.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Match {
    /// Best first, at most 3; empty where nothing is trusted or nothing is left.
    pub candidates: Vec<Candidate>,
    /// Score of the first candidate less that of the next best plaintext type.
    pub margin: f32,
    /// Whether each is the other's best.
    pub mutual: bool,
    /// Estimated chance that the first candidate is right, 0..=1.
    pub confidence: f32,
}

/// A band of cipher types by frequency.
#[derive(Debug, Clone, PartialEq)]
pub struct Band {
    /// Ranks by falling frequency, from 0; the end is not in it.
    pub ranks: std::ops::Range<usize>,
    /// Types in it.
    pub types: usize,
    /// Their share of all cipher tokens.
    pub tokens: f64,
    /// Share of the band's tokens whose type has a confidence above a half.
    pub trusted: f64,
}

/// What is known of a solution without a key.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Quality {
    /// Cipher types that are their best plaintext type's best.
    pub mutual_best: usize,
    /// Held-out cipher bigrams under the plaintext's bigram model: mean natural logarithm of the probability a token.
    pub likelihood: f64,
    /// The same for the map by frequency rank.
    pub likelihood_rank: f64,
    /// The same for a random map.
    pub likelihood_shuffled: f64,
    /// By frequency band of the cipher.
    pub coverage: Vec<Band>,
    /// Share of cipher tokens whose first candidate is the same over restarts; 1 where there was one.
    pub stability: f64,
    /// Rounds of self-learning.
    pub rounds: usize,
    /// Starts tried.
    pub restarts: usize,
}

/// The whole result: one match a cipher type.
#[derive(Debug, Clone, PartialEq)]
pub struct Solution {
    /// By cipher type number.
    pub matches: Vec<Match>,
    /// What is known without a key.
    pub quality: Quality,
}

/// How much time to take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// Seconds: to compare tokenisations by likelihood.
    Trial,
    /// All that helps.
    Full,
}

/// What [`solve`] is told.
#[derive(Debug, Clone)]
pub struct GraphOptions {
    /// Cipher type and plaintext type that are known to be the same.
    pub anchors: Vec<(u32, u32)>,
    /// Root of the randomness.
    pub key: Key,
    /// How much time to take.
    pub effort: Effort,
}

/// Finds the plaintext types of the cipher types.
///
/// # Errors
/// [`Error::Refused`] for a side without sentences and for anchors that contradict each other.
pub fn solve(
    cipher: &Side,
    plain: &Side,
    options: &GraphOptions,
    progress: &Progress,
) -> Result<Solution> {
    solve_traced(cipher, plain, options, progress, &|_, _| {})
}

pub(crate) fn solve_traced(
    cipher: &Side,
    plain: &Side,
    options: &GraphOptions,
    _progress: &Progress,
    trace: &dyn Fn(&str, &[(u32, u32)]),
) -> Result<Solution> {
    for (side, name) in [(cipher, "cipher"), (plain, "plaintext")] {
        if side.train.total() == 0.0 {
            return Err(Error::refused(format!("the {name} side has no sentences")));
        }
    }
    check_anchors(&options.anchors)?;
    let a = Graph::new(&cipher.train, 5.0);
    let b = Graph::new(&plain.train, 5.0);
    let show = |what: &str, pairs: &[(u32, u32)]| {
        let named: Vec<_> = pairs
            .iter()
            .map(|&(c, p)| (a.types[c as usize], b.types[p as usize]))
            .collect();
        trace(what, &named);
    };
    show(&format!("types {} {}", a.n(), b.n()), &[]);
    let n = 500.min(a.n()).min(b.n());
    let problem = faq::Problem {
        graphs: (2..4).map(|o| (head(&a, n, o), head(&b, n, o))).collect(),
        affinity: affinity(&a, &b, n) * 0.02,
    };
    let start = faq::sinkhorn(start(&a, &b, n), 50);
    let found = faq::solve(&problem, start, 60, 1e-4)?;
    let mut pairs: Vec<(u32, u32)> = (0..).zip(found.columns.iter().map(|&j| j as u32)).collect();
    show(
        &format!(
            "faq n {n} objective {:.4} steps {}",
            found.objective, found.steps
        ),
        &pairs,
    );
    let mut anchors: Vec<Anchor> = pairs
        .iter()
        .take(300)
        .map(|&(cipher, plain)| Anchor {
            cipher,
            plain,
            weight: 1.0,
        })
        .collect();
    let mut last = Vec::new();
    for round in 0..15 {
        let mut scores = self_learning::similarities(&a, &b, &anchors);
        self_learning::csls(&mut scores, self_learning::NEAREST);
        self_learning::penalise_frequency(&mut scores, &a, &b, 0.02);
        let candidates = self_learning::best(&scores, 30);
        let backs = self_learning::best_rows(&scores);
        let columns = assignment::sparse(&candidates, b.n(), -5.0);
        pairs = (0..)
            .zip(&columns)
            .filter_map(|(c, p)| Some((c, (*p)?)))
            .collect();
        let mut mutual = 0;
        anchors.clear();
        let most = (300 + 100 * round).min(1500);
        for &(cipher, plain) in &pairs {
            let is_mutual =
                candidates[cipher as usize][0].0 == plain && backs[plain as usize] == cipher;
            mutual += usize::from(is_mutual);
            if is_mutual && anchors.len() < most {
                anchors.push(Anchor {
                    cipher,
                    plain,
                    weight: 1.0,
                });
            }
        }
        show(
            &format!("round {round} mutual {mutual} anchors {}", anchors.len()),
            &pairs,
        );
        if pairs == last {
            break;
        }
        last = pairs.clone();
    }
    let mut matches = vec![Match::default(); cipher.n_types()];
    for (c, p) in pairs {
        let found = &mut matches[a.types[c as usize] as usize];
        found.candidates = vec![Candidate {
            plain: b.types[p as usize],
            weight: 1.0,
        }];
        found.mutual = anchors.iter().any(|anchor| anchor.cipher == c);
        found.confidence = if found.mutual { 0.9 } else { 0.4 };
    }
    Ok(Solution {
        matches,
        quality: Quality::default(),
    })
}

/// Refuses anchors that give a cipher type two plaintext types, or a plaintext type two cipher types.
fn check_anchors(anchors: &[(u32, u32)]) -> Result<()> {
    let mut by_cipher = std::collections::BTreeMap::new();
    let mut by_plain = std::collections::BTreeMap::new();
    for &(cipher, plain) in anchors {
        let earlier = *by_cipher.entry(cipher).or_insert(plain);
        if earlier != plain {
            return Err(Error::refused(format!(
                "anchors contradict each other: cipher type {cipher} is plaintext type {earlier} and {plain}"
            )));
        }
        let earlier = *by_plain.entry(plain).or_insert(cipher);
        if earlier != cipher {
            return Err(Error::refused(format!(
                "anchors contradict each other: plaintext type {plain} is cipher type {earlier} and {cipher}"
            )));
        }
    }
    Ok(())
}

/// √(joint probability) of the most frequent types at an offset, of Frobenius norm 1.
fn head(graph: &Graph, n: usize, offset: usize) -> Array2<f32> {
    let mut m = Array2::zeros((n, n));
    for row in 0..n {
        for &(neighbour, count) in graph.neighbours[offset].row(row) {
            if (neighbour as usize) < n {
                m[(row, neighbour as usize)] = count.sqrt();
            }
        }
    }
    let norm: f32 = m.iter().map(|x: &f32| x * x).sum::<f32>().sqrt();
    m / norm.max(f32::MIN_POSITIVE)
}

/// √(share of the boundary's neighbours) on both sides of it, and of occurrences.
fn affinity(a: &Graph, b: &Graph, n: usize) -> Array2<f32> {
    let mut sum = Array2::zeros((n, n));
    let mut add = |x: Vec<f32>, y: Vec<f32>, weight: f32| {
        let unit = |v: Vec<f32>| -> Vec<f32> {
            let norm = v.iter().map(|x| x * x).sum::<f32>().sqrt();
            v.into_iter()
                .map(|x| x / norm.max(f32::MIN_POSITIVE))
                .collect()
        };
        let (x, y) = (unit(x), unit(y));
        for (i, x) in x.iter().enumerate() {
            for (j, y) in y.iter().enumerate() {
                sum[(i, j)] += weight * x * y;
            }
        }
    };
    let unigram =
        |g: &Graph| -> Vec<f32> { g.counts[..n].iter().map(|c| (*c as f32).sqrt()).collect() };
    add(unigram(a), unigram(b), 1.0);
    for offset in 0..4 {
        let boundary = |g: &Graph| -> Vec<f32> {
            let mut v = vec![0.0; n];
            for &(neighbour, count) in g.neighbours[offset].row(g.n()) {
                if (neighbour as usize) < n {
                    v[neighbour as usize] = count.sqrt();
                }
            }
            v
        };
        add(boundary(a), boundary(b), 1.0);
    }
    sum
}

/// Logarithms of the start: -2 (difference of log frequency)².
fn start(a: &Graph, b: &Graph, n: usize) -> Array2<f32> {
    let logs = |g: &Graph| -> Vec<f32> {
        let total: f64 = g.counts.iter().sum();
        g.counts[..n]
            .iter()
            .map(|c| (c / total).ln() as f32)
            .collect()
    };
    let (a, b) = (logs(a), logs(b));
    Array2::from_shape_fn((n, n), |(i, j)| -2.0 * (a[i] - b[j]) * (a[i] - b[j]))
}
