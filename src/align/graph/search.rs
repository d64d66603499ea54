//! The search: several starts on a core of frequent types, self-learning from the best of them, then on the whole
//! vocabulary.
//!
//! In: two sides and what is known. Out: a [`Solution`]. A start is FAQ on a head of its own size and a few rounds; the
//! held-out likelihood chooses among them. A round is features, similarities averaged with the round before, CSLS and
//! assignment; mutual pairs are the next anchors. Learning ends when the map stops moving. At the end the pairs that are
//! not mutual climb by swaps on the bigram likelihood.
//!
//! Climbs by all types were dropped: what they find is likelier than the truth where the domain differs. Tokens right
//! before and after one on 1,500 types: LCQMC by character .961 and .944, its first 20k pairs .940 and .942, against
//! film subtitles alone .852 and .806. By types that are not mutual, at the end: .984 and .981, .937 and .958, .861 and .861.

use ndarray::Array2;
use rand::seq::SliceRandom;

use super::cooccurrence::{Graph, Side};
use super::likelihood::{self, BigramModel, Map};
use super::options::{Effort, GraphOptions};
use super::self_learning::{self, Anchor};
use super::solution::{Candidate, Match, Quality, Solution};
use super::{assignment, faq, quality, start};
use crate::error::Result;
use crate::progress::Task;
use crate::random::Purpose;

/// A type that occurs less often has too few neighbours to be told by.
const LEAST_COUNT: f64 = 5.0;
/// More cipher types than these are not matched: the scores of all pairs are held at once. Rarer types stand for one
/// token in a hundred (LCQMC, a half of its frequent words merged).
const MOST_TYPES: usize = 6000;
/// Candidates of a type in the assignment.
const CANDIDATES: usize = 20;
/// The first of them are tried in the climb.
const CLIMB_CANDIDATES: usize = 5;
/// Sweeps of a climb.
const SWEEPS: usize = 10;
/// What a type scores without counterpart: below every pair, so that types are left over only where plaintext ends.
const NOTHING: f32 = -2.0;
/// What a known pair scores.
const KNOWN: f32 = 100.0;
/// Weight of a squared difference of log frequencies against CSLS.
const FREQUENCY: f32 = 0.01;
/// Steps of FAQ, and the least gain of one against the objective.
const FAQ_STEPS: (usize, f64) = (40, 3e-4);
/// The map stands still when this share of the tokens keeps its type.
const STILL: f64 = 0.9995;

/// How far a search goes.
struct Plan {
    /// Types of the core.
    core: usize,
    /// Head sizes of the starts, the largest last.
    heads: &'static [usize],
    /// Rounds of each start, then most rounds on the core, then on the whole vocabulary.
    rounds: [usize; 3],
}

impl Plan {
    /// Head sizes where there are `n` types. Where these are fewer than the largest head they shrink together: two heads
    /// of one size would be one start, and would agree whether or not they are right.
    fn heads_of(&self, n: usize) -> impl Iterator<Item = usize> {
        let largest = self.heads.last().copied().unwrap_or(1);
        let heads = self.heads.iter();
        heads.map(move |head| (head * n.min(largest)).div_ceil(largest))
    }
}

impl Effort {
    const fn plan(self) -> Plan {
        match self {
            Self::Trial => Plan {
                core: 800,
                heads: &[300],
                rounds: [6, 0, 0],
            },
            Self::Full => Plan {
                core: 1500,
                heads: &[400, 600],
                rounds: [5, 8, 5],
            },
        }
    }
}

/// How the number of anchors grows.
struct Growth {
    begin: usize,
    step: usize,
    most: usize,
}

/// Both sides at one size of the vocabulary.
struct Level {
    cipher: Graph,
    /// Held-out cipher text by the same ranks.
    held_out: Graph,
    plain: Graph,
    /// Held-out plaintext by the same ranks.
    plain_held_out: Graph,
    /// The known plaintext rank of a cipher rank.
    known: Map,
}

/// A map and how it came about.
#[derive(Clone)]
struct State {
    map: Map,
    candidates: Vec<Vec<(u32, f32)>>,
    mutual: Vec<bool>,
    anchors: Vec<Anchor>,
    /// Held-out cipher text under the map.
    likelihood: f64,
    rounds: usize,
}

impl Level {
    fn new(cipher: &Side, plain: &Side, most: usize, known: &[(u32, u32)]) -> Self {
        let a = Graph::new(&cipher.train, LEAST_COUNT, most);
        let held_out = Graph::with_types(&cipher.held_out, a.types.clone());
        // More plaintext types than half as many again cannot find a counterpart; words have a long tail.
        let b = Graph::new(&plain.train, LEAST_COUNT, a.n() + a.n() / 2);
        let rank_in = |graph: &Graph, t: u32| graph.types.iter().position(|&other| other == t);
        let mut ranks = vec![None; a.n()];
        for &(c, p) in known {
            if let (Some(c), Some(p)) = (rank_in(&a, c), rank_in(&b, p)) {
                ranks[c] = Some(p as u32);
            }
        }
        Self {
            plain_held_out: Graph::with_types(&plain.held_out, b.types.clone()),
            cipher: a,
            held_out,
            plain: b,
            known: ranks,
        }
    }

    /// Types that have a counterpart at most.
    fn n_pairs(&self) -> usize {
        self.cipher.n().min(self.plain.n())
    }

    /// FAQ on the `n` most frequent types, of [`Level::n_pairs`].
    fn head(&self, n: usize) -> Result<Map> {
        let (a, b) = (&self.cipher, &self.plain);
        let graphs =
            start::OFFSETS.map(|offset| (start::head(a, n, offset), start::head(b, n, offset)));
        let mut affinity = start::affinity(a, b, n);
        let mut logarithms = start::logarithms(a, b, n);
        for (c, p) in self.known.iter().take(n).enumerate() {
            if let Some(p) = p.filter(|p| (*p as usize) < n) {
                affinity[(c, p as usize)] += 1.0;
                logarithms[(c, p as usize)] = 0.0;
            }
        }
        let problem = faq::Problem {
            graphs: graphs.into(),
            affinity,
        };
        let found = faq::solve(&problem, faq::sinkhorn(logarithms, 50), FAQ_STEPS)?;
        let mut map: Map = found.iter().map(|&p| Some(p as u32)).collect();
        map.resize(a.n(), None);
        Ok(map)
    }

    /// The first `most` pairs by frequency that `is_good` holds for, and all known ones.
    fn anchors(&self, map: &Map, most: usize, is_good: impl Fn(usize) -> bool) -> Vec<Anchor> {
        let mut anchors = Vec::new();
        for (cipher, plain) in map.iter().enumerate() {
            let Some(plain) = self.known[cipher].or(*plain) else {
                continue;
            };
            let is_wanted = anchors.len() < most && is_good(cipher);
            if is_wanted || self.known[cipher].is_some() {
                anchors.push(Anchor {
                    cipher: cipher as u32,
                    plain,
                });
            }
        }
        anchors
    }

    /// Features, CSLS, assignment. `similarities` are those of the rounds before, and of this one afterwards.
    fn round(&self, anchors: &[Anchor], similarities: &mut Option<Array2<f32>>) -> State {
        let mut scores = self_learning::similarities(&self.cipher, &self.plain, anchors);
        if let Some(before) = similarities {
            // Two rivals that are nearly as good would change places in every round.
            scores.zip_mut_with(before, |new, old| *new = 0.5 * (*new + old));
        }
        *similarities = Some(scores.clone());
        self_learning::csls(&mut scores, self_learning::CSLS_NEIGHBOURS);
        self_learning::penalise_frequency(&mut scores, &self.cipher, &self.plain, FREQUENCY);
        for (cipher, plain) in self.known.iter().enumerate() {
            if let Some(plain) = plain {
                scores.column_mut(*plain as usize).fill(-KNOWN);
                scores[(cipher, *plain as usize)] = KNOWN;
            }
        }
        let candidates = self_learning::best(&scores, CANDIDATES);
        let backs = self_learning::best_rows(&scores);
        let map = self.assign(&candidates);
        let is_mutual = |(cipher, plain): (usize, &Option<u32>)| {
            plain.is_some_and(|p| {
                candidates[cipher][0].0 == p && backs[p as usize] as usize == cipher
            })
        };
        let mutual = map.iter().enumerate().map(is_mutual).collect();
        State {
            map,
            candidates,
            mutual,
            anchors: anchors.to_vec(),
            likelihood: 0.0,
            rounds: 0,
        }
    }

    /// The best assignment by the scores above [`NOTHING`], those of frequent types weighed more.
    fn assign(&self, candidates: &[Vec<(u32, f32)>]) -> Map {
        let above: Vec<Vec<(u32, f32)>> = candidates
            .iter()
            .map(|candidates| {
                let scores = candidates.iter();
                scores
                    .map(|&(plain, score)| (plain, score - NOTHING))
                    .collect()
            })
            .collect();
        let weights: Vec<f32> = self
            .cipher
            .counts
            .iter()
            .map(|&count| assignment::weight(count))
            .collect();
        assignment::weighed(&above, &weights, self.plain.n())
    }

    /// Swaps among the types that no mutual choice holds, while that makes the text likelier.
    fn climb(&self, state: &mut State) {
        let model = BigramModel::new(&self.plain);
        let candidates: Vec<Vec<u32>> = state
            .candidates
            .iter()
            .map(|candidates| {
                candidates
                    .iter()
                    .take(CLIMB_CANDIDATES)
                    .map(|c| c.0)
                    .collect()
            })
            .collect();
        let known = self.known.iter().map(Option::is_some);
        let fixed: Vec<bool> = known
            .zip(&state.mutual)
            .map(|(known, mutual)| known || *mutual)
            .collect();
        likelihood::climb(
            &model,
            &self.cipher,
            &mut state.map,
            &candidates,
            &fixed,
            SWEEPS,
        );
        state.likelihood = model.mean(&self.held_out, &state.map);
    }

    /// Rounds of self-learning until the map stands still.
    fn learn(
        &self,
        mut anchors: Vec<Anchor>,
        growth: &Growth,
        most_rounds: usize,
        work: &Work,
    ) -> Result<State> {
        let model = BigramModel::new(&self.plain);
        let (mut last, mut similarities): (Option<State>, _) = (None, None);
        for round in 1..=most_rounds.max(1) {
            (work.check)()?;
            let mut state = self.round(&anchors, &mut similarities);
            let most = (growth.begin + growth.step * round).min(growth.most);
            anchors = self.anchors(&state.map, most, |c| state.mutual[c]);
            state.anchors.clone_from(&anchors);
            state.likelihood = model.mean(&self.held_out, &state.map);
            state.rounds = round;
            work.task.advance(1);
            work.task
                .note(format!("likelihood {:.3}", state.likelihood));
            let is_still = last.as_ref().is_some_and(|last| {
                quality::agreement(&self.cipher, &last.map, &state.map) >= STILL
            });
            last = Some(state);
            if is_still {
                break;
            }
        }
        Ok(last.expect("at least one round"))
    }
}

/// Who is told, and who may stop it.
struct Work<'a> {
    task: Task,
    check: &'a dyn Fn() -> Result<()>,
}

/// Searches as far as `options.effort` says.
pub(super) fn search(
    cipher: &Side,
    plain: &Side,
    options: &GraphOptions,
    task: Task,
    check: &dyn Fn() -> Result<()>,
) -> Result<Solution> {
    let plan = options.effort.plan();
    let work = Work { task, check };
    let core = Level::new(cipher, plain, plan.core, &options.anchors);
    let mut starts = Vec::new();
    for n in plan.heads_of(core.n_pairs()) {
        check()?;
        let map = core.head(n)?;
        work.task.advance(1);
        let growth = Growth {
            begin: 300,
            step: 100,
            most: 1000,
        };
        let anchors = core.anchors(&map, growth.begin, |_| true);
        starts.push(core.learn(anchors, &growth, plan.rounds[0], &work)?);
    }
    let stability = stability(&core, &starts);
    let (restarts, mut rounds) = (starts.len(), starts.iter().map(|state| state.rounds).sum());
    let best = starts
        .into_iter()
        .reduce(|a, b| if b.likelihood > a.likelihood { b } else { a });
    let mut state = best.expect("a plan has starts");
    let mut level = core;
    if plan.rounds[1] > 0 {
        let growth = Growth {
            begin: state.anchors.len(),
            step: 100,
            most: 1200,
        };
        state = level.learn(state.anchors, &growth, plan.rounds[1], &work)?;
        rounds += state.rounds;
    }
    if plan.rounds[2] > 0 {
        level = Level::new(cipher, plain, MOST_TYPES, &options.anchors);
        let growth = Growth {
            begin: state.anchors.len(),
            step: 150,
            most: 1500,
        };
        state = level.learn(state.anchors, &growth, plan.rounds[2], &work)?;
        rounds += state.rounds;
        level.climb(&mut state);
    }
    let mut solution = conclude(&level, &state, stability, cipher, options);
    solution.quality = Quality {
        rounds,
        restarts,
        ..solution.quality
    };
    Ok(solution)
}

/// Share of the core's tokens that all starts agree on.
fn stability(core: &Level, starts: &[State]) -> f64 {
    let Some((first, others)) = starts.split_first() else {
        return 1.0;
    };
    let mut common = first.map.clone();
    for other in others {
        for (plain, theirs) in common.iter_mut().zip(&other.map) {
            if plain != theirs {
                *plain = None;
            }
        }
    }
    if others.is_empty() {
        1.0
    } else {
        quality::agreement(&core.cipher, &common, &common)
    }
}

/// Matches by type number, and the figures.
fn conclude(
    level: &Level,
    state: &State,
    stability: f64,
    cipher: &Side,
    options: &GraphOptions,
) -> Solution {
    let (a, b) = (&level.cipher, &level.plain);
    let mut matches = vec![Match::default(); cipher.n_types()];
    for (rank, plain) in state.map.iter().enumerate() {
        if let Some(plain) = plain {
            let figures = quality::Figures {
                mutual: state.mutual[rank],
                count: a.counts[rank],
                stability,
            };
            matches[a.types[rank] as usize] =
                quality::matched(*plain, &state.candidates[rank], &figures, &b.types);
        }
    }
    for &(cipher, plain) in &options.anchors {
        if let Some(found) = matches.get_mut(cipher as usize) {
            let candidates = vec![Candidate { plain, weight: 1.0 }];
            *found = Match {
                candidates,
                confidence: 1.0,
                ..found.clone()
            };
        }
    }
    let model = BigramModel::new(b);
    let by_rank: Map = (0..a.n())
        .map(|rank| (rank < b.n()).then_some(rank as u32))
        .collect();
    let itself: Map = (0..b.n() as u32).map(Some).collect();
    let mut shuffled = by_rank.clone();
    shuffled.shuffle(&mut options.key.with(Purpose::Align).rng());
    let quality = Quality {
        stability,
        mutual_best: state.mutual.iter().filter(|mutual| **mutual).count(),
        likelihood: state.likelihood,
        likelihood_rank: model.mean(&level.held_out, &by_rank),
        likelihood_shuffled: model.mean(&level.held_out, &shuffled),
        order_gain: model.order_gain(&level.held_out, &state.map),
        order_gain_plain: model.order_gain(&level.plain_held_out, &itself),
        coverage: quality::coverage(a, cipher.train.total(), &matches),
        ..Quality::default()
    };
    Solution { matches, quality }
}

/// Units of work of a plan, for the bar.
pub(super) fn most_rounds(effort: Effort) -> u64 {
    let plan = effort.plan();
    (plan.heads.len() * (1 + plan.rounds[0]) + plan.rounds[1] + plan.rounds[2]) as u64
}
