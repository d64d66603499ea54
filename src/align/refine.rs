//! Refinement of an alignment by the network: which plaintext token would the BERT itself put where an id stands?
//!
//! In: an alignment by graph, its checkpoint, and rows of one text or two. Out: the same mapping with other candidates. The
//! BERT reads the rows under the present mapping, weights frozen; some places of every id are hidden, one at a time, and the mean
//! log-probability of every plaintext token there is a score. A token that the network expects everywhere is no news, so
//! the mean over ids is taken off; frequencies should agree; what the mapping said before counts as [`FORMER`]. Ids that
//! stand for words of several rows are left alone. Knows no sentence's plaintext.
//!
//! An id moves where the mapping is not [`SURE`] of it and the network puts [`ACCEPTED`] on another token; one that has no token takes the
//! best that nobody has, however unsure, as it has none to lose. A map that was one to one stays so: a token is given to one id, and only
//! where no id has it, or the one that has it moves too. An id that would be left without a token keeps its own: to lose it is a change
//! of which the network is not sure, and those do harm, as the figures say.
//!
//! Tokens right on ciphers of 30,000 sentences (`experiments/refine.py`): by a BERT that has read them, LCQMC .9492 before and .9512
//! after; by one that has read no text of these sources, BQ .8040 and .8043, Sohu .9495 and .9496. Where every change was taken, however
//! unsure, these were .9593, .7471 and .9292. All of them were measured when an id that was left without a token kept its own beside the
//! one that it was given to.
//!
//! The gradient of the MLM loss with respect to a soft assignment was tried as a second score: by how much the loss of
//! masked pairs falls, to first order, where an id takes a token's row. In units of its spread over the tokens, times .3, it
//! added .0025 (20k pairs) and .0018 (subtitles), a tenth of what the log-probabilities add, for 1.5 to 2.7 times the time;
//! without the units +.0002 and -.0018, times .3 and 3. Not kept.

use std::collections::HashMap;

use dfdx::prelude::NoneTape;
use ndarray::{Array2, Axis};

use super::alignment::{Alignment, Refinement};
use super::graph::{best, weighed, weight};
use crate::checkpoint::remap::remap_starts;
use crate::checkpoint::{BertConfig, Checkpoint};
use crate::data::reserved::{FIRST_CIPHER, MASK};
use crate::data::{EncodedExample, PackedBatch, TokenTypes};
use crate::error::Result;
use crate::kernels::path::Path;
use crate::model::{Bert, Pass};
use crate::progress::Progress;
use crate::random::{Key, Purpose};
use crate::vocab::mapping::{Candidate, Found, RowStart};
use crate::vocab::{Mapping, PlainId, PlainVocab};

/// Times that the network reads.
const ROUNDS: usize = 2;
/// Hidden places of an id.
const PLACES: usize = 8;
/// Longer rows are not read.
const MOST_TOKENS: usize = 128;
/// Nats that the candidate of the mapping is worth, times .3 more than its confidence.
const FORMER: f32 = 3.0;
/// Nats a squared difference of the logarithms of relative frequency.
const FREQUENCY: f64 = 0.1;
/// An id of this confidence or more is not moved.
const SURE: f32 = 0.9;
/// Share of the candidates, by a softmax of their scores, from which a token takes the place of another.
const ACCEPTED: f32 = 0.7;
/// Tokens that an id may be given.
const CANDIDATES: usize = 40;
/// Candidates of a mapping.
const KEPT: usize = 3;
/// Rows of a packed batch.
const BATCH_ROWS: usize = 128;

/// What is looked at.
pub struct RefineInput<'a> {
    /// The network before its rows were remapped.
    pub checkpoint: &'a Checkpoint,
    /// How products are computed.
    pub path: Path,
    /// Rows of one text or two, in rows of the run's vocabulary.
    pub examples: &'a [&'a EncodedExample],
    /// The stream of the alignment.
    pub key: Key,
    /// Shows the work.
    pub progress: &'a Progress,
    /// Asked between batches: an error ends the work.
    pub check: &'a dyn Fn() -> Result<()>,
}

/// Refines `alignment`, which is by graph; any other stays as it is.
///
/// # Errors
/// Those of `check`, and where memory runs out.
pub fn refine(alignment: &mut Alignment, input: &RefineInput) -> Result<()> {
    let Some(quality) = &mut alignment.quality else {
        return Ok(());
    };
    let mapping = &mut alignment.mapping;
    let tokens = Tokens::of(&quality.plain_tokens, &input.checkpoint.plain);
    if tokens.rows.is_empty() {
        return Ok(());
    }
    let before = firsts(mapping);
    let key = input.key.with(Purpose::Refine);
    let most_tokens = MOST_TOKENS.min(input.checkpoint.config.max_position_embeddings);
    let readable = |example: &&EncodedExample| example.n_tokens() <= most_tokens;
    let examples: Vec<_> = input.examples.iter().copied().filter(readable).collect();
    let n_long = input.examples.len() - examples.len();
    if n_long > 0 {
        input.progress.say(&format!(
            "refining: {n_long} rows of more than {most_tokens} tokens are not read; an id of theirs alone keeps what it has"
        ));
    }
    let input = &RefineInput {
        examples: &examples,
        ..*input
    };
    let places = (0..ROUNDS)
        .map(|round| HiddenToken::of_ids(input.examples, mapping.rows.len(), key.at(round as u64)));
    let places: Vec<_> = places.collect();
    let total = places.iter().map(|places| places.len() as u64).sum();
    let task = input.progress.task("refining", total, "places");
    for places in places {
        let model = model(mapping, &tokens, input)?;
        let read = read(
            &model,
            &places,
            input,
            &tokens,
            mapping.rows.len(),
            &mut |n| {
                task.advance(n);
                (input.check)()
            },
        )?;
        reassign(mapping, &tokens, read);
    }
    let after = firsts(mapping);
    let is_changed = |at: &usize| before[*at] != after[*at];
    let changed: Vec<usize> = (0..before.len()).filter(is_changed).collect();
    let count = |ids: &mut dyn Iterator<Item = usize>| -> u64 {
        ids.map(|at| mapping.rows[at].count).sum()
    };
    let tokens = count(&mut changed.iter().copied());
    let all = count(&mut (0..before.len())).max(1);
    quality.refinement = Some(Refinement {
        rounds: ROUNDS,
        changed: changed.len(),
        changed_tokens: tokens as f64 / all as f64,
    });
    Ok(())
}

fn firsts(mapping: &Mapping) -> Vec<Option<String>> {
    let first = |found: &Found| Some(found.candidates.first()?.token.clone());
    let rows = mapping.rows.iter();
    rows.map(|row| row.found.as_ref().and_then(first)).collect()
}

/// Plaintext tokens that an id may be given: those of one row.
struct Tokens {
    names: Vec<String>,
    rows: Vec<PlainId>,
    counts: Vec<u64>,
    /// ln of the share of all of them.
    logarithms: Vec<f64>,
    numbers: HashMap<String, u32>,
}

impl Tokens {
    fn of(counts: &std::collections::BTreeMap<String, u64>, plain: &PlainVocab) -> Self {
        let known = counts
            .iter()
            .filter_map(|(token, &count)| Some((token, plain.id(token)?, count)));
        let known: Vec<_> = known.collect();
        let total: u64 = known.iter().map(|known| known.2).sum();
        Self {
            names: known.iter().map(|known| known.0.clone()).collect(),
            rows: known.iter().map(|known| known.1).collect(),
            counts: known.iter().map(|known| known.2).collect(),
            logarithms: known
                .iter()
                .map(|known| (known.2.max(1) as f64 / total.max(1) as f64).ln())
                .collect(),
            numbers: (known.iter().zip(0..))
                .map(|(known, number)| (known.0.clone(), number))
                .collect(),
        }
    }

    /// The number of the first candidate, where it is of a single row.
    fn first_of(&self, found: &Found) -> Option<u32> {
        let first = found.candidates.first()?;
        self.numbers.get(&first.token).copied()
    }
}

/// One occurrence of an id, which the network does not see.
#[derive(Debug, Clone, Copy, PartialEq)]
struct HiddenToken {
    /// Number of the id among the kept ones.
    id: u32,
    /// Where it is hidden, by chance.
    draw: u64,
    example: u32,
    /// Among the tokens of its texts.
    token: u32,
}

impl HiddenToken {
    /// Up to [`PLACES`] occurrences of each id, by id.
    fn of_ids(examples: &[&EncodedExample], n_ids: usize, key: Key) -> Vec<Self> {
        let mut chosen: Vec<Vec<Self>> = vec![Vec::new(); n_ids];
        for (number, example) in (0..).zip(examples) {
            let key = key.at(u64::from(number));
            for (token, row) in (0..).zip(example.tokens()) {
                let Some(id) = row.checked_sub(FIRST_CIPHER) else {
                    continue;
                };
                let place = Self {
                    id,
                    draw: key.bits(u64::from(token)),
                    example: number,
                    token,
                };
                let chosen = &mut chosen[id as usize];
                let at = chosen.partition_point(|other| other.draw < place.draw);
                if at < PLACES {
                    chosen.truncate(PLACES - 1);
                    chosen.insert(at, place);
                }
            }
        }
        chosen.into_iter().flatten().collect()
    }
}

/// The network under the mapping; its rows after the run's vocabulary are those of `tokens`.
fn model(mapping: &Mapping, tokens: &Tokens, input: &RefineInput) -> Result<Bert> {
    let checkpoint = input.checkpoint;
    let mut starts = mapping
        .starts(&checkpoint.plain, true, input.key, 0)
        .unwrap_or_default();
    starts.extend(tokens.rows.iter().map(|&row| RowStart::Copy(row)));
    let config = BertConfig {
        vocab_size: starts.len(),
        ..checkpoint.config.clone()
    };
    let mut weights = checkpoint.weights.clone();
    remap_starts(&mut weights, &starts);
    Bert::new(config, checkpoint.heads, input.path, weights)
}

/// What the network says of the ids.
struct Read {
    /// Mean log-probability of each token at the hidden places of each id, (ids × tokens); 0 for ids without places.
    scores: Array2<f32>,
    /// Which ids have places.
    has_places: Vec<bool>,
}

/// Lets the network read the hidden places.
fn read(
    model: &Bert,
    places: &[HiddenToken],
    input: &RefineInput,
    tokens: &Tokens,
    n_ids: usize,
    tick: &mut dyn FnMut(u64) -> Result<()>,
) -> Result<Read> {
    let first = FIRST_CIPHER + n_ids as u32;
    let rows: Vec<u32> = (first..).take(tokens.rows.len()).collect();
    let mut sums = Array2::<f32>::zeros((n_ids, rows.len()));
    let mut n_places = vec![0.0f32; n_ids];
    for places in places.chunks(BATCH_ROWS) {
        let mut batch = PackedBatch::default();
        let mut positions = Vec::with_capacity(places.len());
        for place in places {
            let example = input.examples[place.example as usize];
            let token = place.token as usize;
            // [CLS] a [SEP], or [CLS] a [SEP] b [SEP]
            let before = if token < example.a.len() { 1 } else { 2 };
            let position = batch.n_tokens() + before + token;
            batch.push_texts(&example.a, example.b.as_deref(), TokenTypes::Zero);
            batch.input_ids[position] = MASK;
            positions.push(position as u32);
        }
        let states = model.encode(&Pass::prediction(&batch, &positions), NoneTape);
        let logits = model.token_logits(states, &rows).as_vec();
        for (place, logits) in places.iter().zip(logits.chunks(rows.len())) {
            let id = place.id as usize;
            let greatest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let whole: f32 = logits.iter().map(|logit| (logit - greatest).exp()).sum();
            let whole = greatest + whole.ln();
            for (sum, logit) in sums.row_mut(id).iter_mut().zip(logits) {
                *sum += logit - whole;
            }
            n_places[id] += 1.0;
        }
        tick(places.len() as u64)?;
    }
    for (mut sum, n) in sums.rows_mut().into_iter().zip(&n_places) {
        sum /= n.max(1.0);
    }
    Ok(Read {
        scores: sums,
        has_places: n_places.iter().map(|&n| n > 0.0).collect(),
    })
}

/// New candidates from mean log-probabilities. An id that the network has not read keeps what it has.
fn reassign(mapping: &mut Mapping, tokens: &Tokens, read: Read) {
    let Read {
        mut scores,
        has_places,
    } = read;
    let n_read = has_places.iter().filter(|has_places| **has_places).count();
    if n_read == 0 {
        return;
    }
    let mean = scores.sum_axis(Axis(0)) / n_read as f32; // those that are not read have zeros
    let all: u64 = mapping.rows.iter().map(|row| row.count).sum();
    for (row, mut scores) in mapping.rows.iter().zip(scores.rows_mut()) {
        let own = (row.count.max(1) as f64 / all.max(1) as f64).ln();
        for ((score, mean), other) in scores.iter_mut().zip(&mean).zip(&tokens.logarithms) {
            *score -= mean + (FREQUENCY * (own - other).powi(2)) as f32;
        }
        if let Some(found) = &row.found
            && let Some(number) = tokens.first_of(found)
        {
            scores[number as usize] += FORMER * (0.3 + found.confidence);
        }
    }
    let candidates = best(&scores, CANDIDATES);
    let rows = mapping.rows.iter().zip(&candidates).zip(&has_places);
    let wanted: Vec<Vec<(u32, f32)>> = rows
        .map(|((row, candidates), &has_places)| {
            let found = row.found.as_ref();
            wanted(found, has_places.then_some(candidates), tokens)
        })
        .collect();
    let rows = mapping.rows.iter();
    let former: Vec<Option<u32>> = rows
        .map(|row| tokens.first_of(row.found.as_ref()?))
        .collect();
    let rows = mapping.rows.iter();
    let weights: Vec<f32> = rows.map(|row| weight(row.count as f64)).collect();
    let chosen = assign(&former, &wanted, &weights, tokens.rows.len());
    for ((row, chosen), candidates) in mapping.rows.iter_mut().zip(chosen).zip(&candidates) {
        if let (Some(found), Some(chosen)) = (&mut row.found, chosen)
            && tokens.first_of(found) != Some(chosen)
        {
            *found = refound(found, chosen, candidates, tokens);
            row.plain_count = tokens.counts[chosen as usize];
        }
    }
}

/// What an id may be given, and by how much each is better than the last candidate: what it has, and a token that the network puts
/// [`ACCEPTED`] on; all candidates where it has none. Nothing where it keeps what it has in any case: the mapping is [`SURE`], the
/// network has no candidates or accepts no other, or the id stands for a word of several rows.
fn wanted(
    found: Option<&Found>,
    candidates: Option<&Vec<(u32, f32)>>,
    tokens: &Tokens,
) -> Vec<(u32, f32)> {
    let found = found.filter(|found| is_open(found, tokens));
    let (Some(found), Some(candidates)) = (found, candidates) else {
        return Vec::new();
    };
    let lowest = candidates.last().map_or(0.0, |last| last.1);
    let above = |&(token, score): &(u32, f32)| (token, score - lowest);
    let Some(former) = tokens.first_of(found) else {
        return candidates.iter().map(above).collect();
    };
    let mut wanted: Vec<(u32, f32)> = (candidates.iter().zip(shares(candidates)))
        .filter(|(entry, share)| entry.0 == former || *share >= ACCEPTED)
        .map(|(entry, _)| above(entry))
        .collect();
    if found.confidence >= SURE || wanted.iter().all(|entry| entry.0 == former) {
        wanted.clear();
    }
    wanted
}

/// The best assignment that takes no token from an id which gets no other: as long as there is such an id it keeps what it has, and
/// the others are assigned anew without its token. `former` is what each id has; who wants nothing keeps it. None for an id that keeps
/// what it has, be that nothing.
fn assign(
    former: &[Option<u32>],
    wanted: &[Vec<(u32, f32)>],
    weights: &[f32],
    n_tokens: usize,
) -> Vec<Option<u32>> {
    let mut keeps: Vec<bool> = wanted.iter().map(Vec::is_empty).collect();
    loop {
        let mut is_kept = vec![false; n_tokens];
        for (former, _) in former.iter().zip(&keeps).filter(|(_, keeps)| **keeps) {
            if let Some(token) = former {
                is_kept[*token as usize] = true;
            }
        }
        let free = |(wanted, &keeps): (&Vec<(u32, f32)>, &bool)| -> Vec<(u32, f32)> {
            let wanted = wanted.iter().filter(|_| !keeps);
            let free = wanted.filter(|entry| !is_kept[entry.0 as usize]);
            free.copied().collect()
        };
        let free: Vec<Vec<(u32, f32)>> = wanted.iter().zip(&keeps).map(free).collect();
        let chosen = weighed(&free, weights, n_tokens);
        let mut is_settled = true;
        for ((former, chosen), keeps) in former.iter().zip(&chosen).zip(&mut keeps) {
            if former.is_some() && chosen.is_none() && !*keeps {
                *keeps = true;
                is_settled = false;
            }
        }
        if is_settled {
            return chosen;
        }
    }
}

/// Softmax of the scores.
fn shares(candidates: &[(u32, f32)]) -> Vec<f32> {
    let scores = || candidates.iter().map(|candidate| candidate.1);
    let greatest = scores().fold(f32::NEG_INFINITY, f32::max);
    let whole: f32 = scores().map(|score| (score - greatest).exp()).sum();
    scores()
        .map(|score| (score - greatest).exp() / whole)
        .collect()
}

/// Whether the id may be given another token: it stands for none so far, or for one of a single row.
fn is_open(found: &Found, tokens: &Tokens) -> bool {
    found.candidates.is_empty() || tokens.first_of(found).is_some()
}

/// The chosen token first, then the best others, weighed by their probabilities.
fn refound(found: &Found, chosen: u32, candidates: &[(u32, f32)], tokens: &Tokens) -> Found {
    let weighed = || candidates.iter().zip(shares(candidates));
    let own = weighed().filter(|(entry, _)| entry.0 == chosen);
    let others = || weighed().filter(|(entry, _)| entry.0 != chosen);
    let kept: Vec<_> = own.chain(others().take(KEPT - 1)).collect();
    let (own, share) = (kept[0].0.1, kept[0].1);
    let margin = others().next().map_or(0.0, |(next, _)| own - next.1);
    let candidates = kept.iter().map(|&(&(number, _), weight)| Candidate {
        token: tokens.names[number as usize].clone(),
        rows: vec![tokens.rows[number as usize]],
        weight: weight.max(f32::MIN_POSITIVE),
    });
    Found {
        candidates: candidates.collect(),
        margin,
        mutual: found.mutual && margin > 0.0,
        confidence: share,
    }
}

#[cfg(test)]
mod tests;
