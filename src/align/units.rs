//! Alignment by graph: pairs against plaintext, under each unit that the ids may stand for.
//!
//! In: encoded pairs, text files, a BERT folder, pairs that are known. Out: a [`Mapping`] whose rows weigh candidates, and a
//! [`GraphReport`]. What an id stands for is not known, so the plaintext is cut by every [`Unit`], each is tried for a few
//! seconds, and the one under whose bigrams held-out cipher text is likeliest is kept: the cipher side is the same in
//! all, so that likelihoods a cipher token can be compared. The arithmetic is [`graph`]'s; nothing here decodes a sentence.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::anchors::{self, Known};
use super::graph::{self, Effort, GraphOptions, Match, Quality, Side, Solution};
use super::{AlignInput, AlignMethod, Alignment, Mapping, MappingRow};
use crate::data::EncodedExample;
use crate::data::reserved::FIRST_CIPHER;
use crate::error::{Error, Result};
use crate::progress::Progress;
use crate::random::{Key, Purpose};
use crate::vocab::corpus::Corpus;
use crate::vocab::mapping::{Candidate, Found};
use crate::vocab::unit::{Unit, UnitChoice};

/// What alignment by graph looks at besides [`AlignInput`].
#[derive(Clone)]
pub struct GraphInput<'a> {
    /// In rows of the run's vocabulary.
    pub pairs: Vec<&'a EncodedExample>,
    /// Plaintext, one sentence or more a line.
    pub files: &'a [PathBuf],
    /// One a file, above 0: how much its sentences count. Empty: all the same.
    pub weights: &'a [f64],
    /// What an id may stand for.
    pub unit: UnitChoice,
    /// A table of pairs that are known.
    pub anchors: Option<&'a Path>,
    /// Shows the work.
    pub progress: &'a Progress,
    /// Asked between steps: an error ends the work.
    pub check: &'a dyn Fn() -> Result<()>,
}

/// What is known of an alignment without its key. Part of `manifest.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GraphReport {
    /// What an id was taken to stand for.
    pub unit: Unit,
    /// Every unit that was tried.
    pub units: Vec<UnitTrial>,
    /// Ids with a row of their own.
    pub cipher_types: usize,
    /// Tokens of the plaintext that they may stand for.
    pub plain_types: usize,
    /// Ids with a candidate.
    pub matched: usize,
    /// Ids that are their best token's best.
    pub mutual_best: usize,
    /// Held-out cipher text under the plaintext's bigrams: mean natural logarithm of the probability a token.
    pub likelihood: f64,
    /// The same for the map by frequency rank.
    pub likelihood_rank: f64,
    /// The same for a random map.
    pub likelihood_shuffled: f64,
    /// Share of tokens whose first candidate is the same from every start, 0 to 1.
    pub stability: f64,
    /// Rounds of self-learning.
    pub rounds: usize,
    /// Starts tried.
    pub restarts: usize,
    /// Pairs that were known.
    pub anchors: usize,
    /// By frequency band of the ids, the most frequent first.
    pub coverage: Vec<CoverageBand>,
    /// What the network changed of it; none where it was not asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refinement: Option<Refinement>,
    /// What ids may stand for, with its occurrences; known to the process that has aligned, not recorded.
    #[serde(skip)]
    pub plain_tokens: BTreeMap<String, u64>,
}

/// What a network that reads the ids under their alignment made of it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Refinement {
    /// Times that the network read.
    pub rounds: usize,
    /// Ids whose first candidate is another now.
    pub changed: usize,
    /// Their share of all tokens, 0 to 1.
    pub changed_tokens: f64,
}

/// One unit that was tried.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UnitTrial {
    /// The unit.
    pub unit: Unit,
    /// Tokens of the plaintext that ids may stand for.
    pub plain_types: usize,
    /// Occurrences of all tokens in the plaintext.
    pub plain_tokens: u64,
    /// Held-out likelihood a cipher token, after a short search where several units are tried.
    pub likelihood: f64,
}

/// Ids of about the same frequency.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CoverageBand {
    /// The first rank, from 1.
    pub first: usize,
    /// The last rank.
    pub last: usize,
    /// Ids in it.
    pub types: usize,
    /// Their share of all tokens, 0 to 1.
    pub tokens: f64,
    /// Share of the band's tokens whose id has a confidence above a half.
    pub trusted: f64,
}

/// Plaintext of one unit, counted.
struct Plain<'a> {
    corpus: Corpus<'a>,
    side: Side,
}

pub(super) fn align(input: &AlignInput) -> Result<Alignment> {
    let (Some(graph), Some(checkpoint)) = (&input.graph, input.checkpoint) else {
        let error = Error::refused("`align.method = \"graph\"` needs plaintext and a checkpoint");
        return Err(error.with_hint("set `align.plain` and `checkpoint.dir`"));
    };
    let known = match graph.anchors {
        Some(path) => anchors::read(path, input.dictionary, input.cipher)?,
        None => Vec::new(),
    };
    let cipher = cipher_side(input, graph);
    let key = input.key.with(Purpose::Align);
    let solve = |plain: &Plain, effort: Effort| -> Result<Solution> {
        let options = GraphOptions {
            anchors: pairs_of(&known, input, &plain.corpus),
            key,
            effort,
        };
        let solution =
            graph::solve_until(&cipher, &plain.side, &options, graph.progress, graph.check)?;
        (graph.check)()?;
        Ok(solution)
    };
    let units = graph.unit.units();
    let mut trials = Vec::new();
    let mut best: Option<(f64, Plain)> = None;
    let mut refused = None;
    for &unit in &units {
        let plain = match Plain::read(graph, unit, (checkpoint, input), key) {
            Ok(plain) => plain,
            // Text without a frequent word may have frequent characters.
            Err(error @ Error::Input { .. }) if units.len() > 1 => {
                graph
                    .progress
                    .say(&format!("plaintext by {}: {error}", unit.name()));
                refused = refused.or(Some(error));
                continue;
            }
            Err(error) => return Err(error),
        };
        let mut trial = UnitTrial {
            unit,
            plain_types: plain.corpus.types.len(),
            plain_tokens: plain.corpus.tokens,
            likelihood: f64::NEG_INFINITY,
        };
        if units.len() > 1 {
            trial.likelihood = solve(&plain, Effort::Trial)?.quality.likelihood;
            graph.progress.say(&format!(
                "plaintext by {}: {} types, likelihood {:.3} a cipher token",
                unit.name(),
                trial.plain_types,
                trial.likelihood
            ));
        }
        if best
            .as_ref()
            .is_none_or(|(so_far, _)| trial.likelihood > *so_far)
        {
            best = Some((trial.likelihood, plain));
        }
        trials.push(trial);
    }
    let Some((_, plain)) = best else {
        return Err(refused.unwrap_or_else(|| Error::Unexpected("no unit was tried".to_owned())));
    };
    let solution = solve(&plain, Effort::Full)?;
    if let [only] = trials.as_mut_slice() {
        only.likelihood = solution.quality.likelihood;
    }
    let n_anchors = pairs_of(&known, input, &plain.corpus).len();
    alignment(input, &plain.corpus, solution, (trials, n_anchors))
}

/// The number of all ids that have no row of their own.
fn other(input: &AlignInput) -> u32 {
    input.cipher.kept.len() as u32
}

fn cipher_side(input: &AlignInput, graph: &GraphInput) -> Side {
    let other = other(input);
    let mut side = Side::new();
    let mut sentence = Vec::new();
    for rows in graph.pairs.iter().flat_map(|pair| pair.texts()) {
        sentence.clear();
        sentence.extend(
            rows.iter()
                .map(|row| row.checked_sub(FIRST_CIPHER).unwrap_or(other)),
        );
        side.add(&sentence, 1.0);
    }
    side
}

impl<'a> Plain<'a> {
    fn read(
        graph: &GraphInput<'a>,
        unit: Unit,
        (checkpoint, input): (&Path, &AlignInput),
        key: Key,
    ) -> Result<Self> {
        let (progress, checkpoint) = (graph.progress, (checkpoint, input.plain));
        let corpus = Corpus::count(graph.files, unit, checkpoint, key, progress)?;
        (graph.check)()?;
        let mut side = Side::new();
        corpus.each_sentence(progress, |sentence, file| {
            side.add(sentence, graph.weights.get(file).copied().unwrap_or(1.0));
            Ok(())
        })?;
        (graph.check)()?;
        Ok(Self { corpus, side })
    }
}

/// The pairs whose id has a row and whose token is a type of this unit.
fn pairs_of(known: &[Known], input: &AlignInput, corpus: &Corpus) -> Vec<(u32, u32)> {
    let pairs = known.iter().filter_map(|known| {
        let row = input.cipher.row(known.cipher_id?)?;
        Some((row - FIRST_CIPHER, corpus.number(&known.plain_token)?))
    });
    let mut pairs: Vec<_> = pairs.collect();
    pairs.sort_unstable();
    pairs.dedup();
    pairs
}

fn alignment(
    input: &AlignInput,
    corpus: &Corpus,
    Solution { matches, quality }: Solution,
    (units, n_anchors): (Vec<UnitTrial>, usize),
) -> Result<Alignment> {
    let nothing = Match::default();
    let rows = input.cipher.kept.iter().enumerate();
    let rows = rows.map(|(at, &(cipher_id, count))| {
        let found = found(matches.get(at).unwrap_or(&nothing), corpus);
        let first = found.candidates.first();
        let known = first.and_then(|first| corpus.number(&first.token));
        MappingRow {
            cipher_id,
            count,
            plain: None,
            plain_count: known.map_or(0, |number| corpus.types[number as usize].count),
            method: AlignMethod::Graph.name(),
            found: Some(found),
        }
    });
    let rows: Vec<_> = rows.collect();
    let is_matched =
        |row: &&MappingRow| row.found.as_ref().is_some_and(|f| !f.candidates.is_empty());
    let matched = rows.iter().filter(is_matched).count();
    if matched == 0 {
        let error = Error::refused("alignment by graph found no plaintext for any id");
        return Err(
            error.with_hint("take more plaintext of the same kind, or another `align.unit`")
        );
    }
    let report = GraphReport {
        unit: corpus.unit(),
        units,
        cipher_types: rows.len(),
        plain_types: corpus.types.len(),
        matched,
        anchors: n_anchors,
        plain_tokens: (corpus.types.iter())
            .map(|of| (of.token.clone(), of.count))
            .collect(),
        ..GraphReport::of(quality)
    };
    Ok(Alignment {
        mapping: Mapping { rows, wrapped: 0 },
        quality: Some(Box::new(report)),
    })
}

/// A match in tokens; that of an id with all rare tokens together is none.
fn found(of: &Match, corpus: &Corpus) -> Found {
    let candidates = of
        .candidates
        .iter()
        .filter(|candidate| candidate.weight > 0.0);
    let candidates = candidates.filter_map(|candidate| {
        let known = corpus.types.get(candidate.plain as usize)?;
        Some(Candidate {
            token: known.token.clone(),
            rows: known.rows.clone(),
            weight: candidate.weight,
        })
    });
    Found {
        candidates: candidates.collect(),
        margin: of.margin,
        mutual: of.mutual,
        confidence: of.confidence,
    }
}

impl GraphReport {
    /// In one line, for people.
    pub fn describe(&self) -> String {
        format!(
            "alignment: by {}, {} of {} ids have a candidate, {} are mutually best; likelihood {:.3} a token, by rank {:.3}, \
             shuffled {:.3}",
            self.unit.name(),
            self.matched,
            self.cipher_types,
            self.mutual_best,
            self.likelihood,
            self.likelihood_rank,
            self.likelihood_shuffled
        )
    }

    /// What the arithmetic knows; the rest is empty.
    fn of(quality: Quality) -> Self {
        let bands = quality.coverage.into_iter();
        let coverage = bands.map(|band| CoverageBand {
            first: band.ranks.start + 1,
            last: band.ranks.end,
            types: band.types,
            tokens: band.tokens,
            trusted: band.trusted,
        });
        Self {
            unit: Unit::Char,
            units: Vec::new(),
            cipher_types: 0,
            plain_types: 0,
            matched: 0,
            mutual_best: quality.mutual_best,
            likelihood: quality.likelihood,
            likelihood_rank: quality.likelihood_rank,
            likelihood_shuffled: quality.likelihood_shuffled,
            stability: quality.stability,
            rounds: quality.rounds,
            restarts: quality.restarts,
            anchors: 0,
            coverage: coverage.collect(),
            refinement: None,
            plain_tokens: BTreeMap::new(),
        }
    }
}
