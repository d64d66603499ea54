//! Alignment by graph: rows against plaintext, under each unit that the ids may stand for.
//!
//! In: encoded rows of one text or two, text files, a BERT folder, known pairs of id and token. Out: a [`Mapping`] whose
//! rows weigh candidates, and a [`GraphReport`]. What an id stands for is not known, so the plaintext is cut by every
//! [`Unit`], each is tried for a few seconds, and the one under whose bigrams held-out cipher text is likeliest is kept:
//! the cipher side is the same in all, so that likelihoods a cipher token can be compared. The arithmetic is [`graph`]'s;
//! nothing here decodes a sentence.

use std::path::Path;

use super::alignment::{Alignment, GraphReport, UnitTrial};
use super::anchors::{self, Known};
use super::graph::{self, Effort, GraphOptions, Match, Side, Solution};
use super::input::{AlignInput, AlignMethod, GraphInput};
use crate::data::reserved::FIRST_CIPHER;
use crate::error::{Error, Result};
use crate::random::{Key, Purpose};
use crate::vocab::corpus::Corpus;
use crate::vocab::mapping::{Candidate, Found};
use crate::vocab::{Mapping, MappingRow, Unit};

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
    // A stream below the alignment's own, which refinement draws from too.
    let key = input.key.with(Purpose::Align);
    let solve = |plain: &Plain, effort: Effort| -> Result<Solution> {
        let options = GraphOptions {
            anchors: pairs_of(&known, input, &plain.corpus),
            key,
            effort,
        };
        let solution = graph::solve(&cipher, &plain.side, &options, graph.progress, graph.check)?;
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
    for rows in graph.examples.iter().flat_map(|example| example.texts()) {
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
