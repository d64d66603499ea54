//! Likelihood of cipher text under a bigram model of the plaintext, and the climb by swaps that raises it.
//!
//! In: a map from cipher ranks to plaintext ranks. The model is P(right | left) with absolute discounting, backed by
//! the unigrams; the boundary of a sentence is a symbol of both sides.

use rayon::prelude::*;

use super::cooccurrence::Graph;

/// What is taken off each count of the model and given to pairs that were not seen.
const DISCOUNT: f64 = 0.75;
/// Place of the right neighbours among the offsets.
const RIGHT: usize = 2;
/// Place of the left neighbours among the offsets.
const LEFT: usize = 1;
/// A gain below this share of the likelihood's unit is rounding.
const LEAST_GAIN: f64 = 1e-3;

/// The plaintext rank of each cipher rank. The boundary, one past the last rank, stands for itself.
pub(super) type Map = Vec<Option<u32>>;

/// The plaintext's bigram model.
pub(super) struct BigramModel<'a> {
    graph: &'a Graph,
    /// P(right) by rank, the boundary last.
    unigram: Vec<f64>,
    /// By left rank: occurrences as a left neighbour, and the mass kept for unseen pairs.
    left: Vec<(f64, f64)>,
    /// Probability of a cipher type without counterpart.
    unknown: f64,
}

impl<'a> BigramModel<'a> {
    /// The model of a plaintext graph.
    pub fn new(graph: &'a Graph) -> Self {
        let n = graph.n();
        let mut seen = vec![0.0f64; n + 1];
        let mut left = Vec::with_capacity(n + 1);
        for row in 0..=n {
            let entries = graph.neighbours[RIGHT].row(row);
            let mut total = 0.0;
            let mut kept = 0.0;
            for &(neighbour, count) in entries {
                let count = f64::from(count);
                seen[neighbour as usize] += count;
                total += count;
                kept += DISCOUNT.min(count);
            }
            left.push((total, kept));
        }
        let total: f64 = seen.iter().sum::<f64>() + (n + 1) as f64;
        let unigram = seen.iter().map(|count| (count + 1.0) / total).collect();
        Self {
            graph,
            unigram,
            left,
            unknown: 1.0 / total,
        }
    }

    /// ln P(right | left); a type without counterpart is unknown.
    pub fn log_probability(&self, left: Option<u32>, right: Option<u32>) -> f64 {
        let Some(right) = right else {
            return self.unknown.ln();
        };
        let back = self.unigram[right as usize];
        let Some((row, &(total, kept))) =
            left.map(|left| (left as usize, &self.left[left as usize]))
        else {
            return back.ln();
        };
        if total <= 0.0 {
            return back.ln();
        }
        let count = f64::from(self.graph.neighbours[RIGHT].count(row, right));
        let seen = (count - DISCOUNT).max(0.0);
        ((seen + kept * back) / total).ln()
    }

    /// Mean logarithm of the probability of a symbol of the cipher (the closing boundary is one) under `map`.
    pub fn mean(&self, cipher: &Graph, map: &Map) -> f64 {
        self.mean_of(cipher, map, |left, right| self.log_probability(left, right))
    }

    /// How much likelier a symbol of the cipher is by its left neighbour than by itself, under `map`: mean of
    /// ln P(right | left) - ln P(right). What order tells, whatever the frequencies; 0 or less for text without order.
    pub fn order_gain(&self, cipher: &Graph, map: &Map) -> f64 {
        self.mean_of(cipher, map, |left, right| {
            self.log_probability(left, right) - self.log_probability(None, right)
        })
    }

    /// Mean over the pairs of neighbours of the cipher of what `of` says of their plaintext ranks.
    fn mean_of(
        &self,
        cipher: &Graph,
        map: &Map,
        of: impl Fn(Option<u32>, Option<u32>) -> f64 + Sync,
    ) -> f64 {
        let side = self.side(cipher, map);
        let sums: Vec<(f64, f64)> = (0..=cipher.n())
            .into_par_iter()
            .map(|row| {
                let entries = cipher.neighbours[RIGHT].row(row).iter();
                entries.fold((0.0, 0.0), |(sum, total), &(neighbour, count)| {
                    let count = f64::from(count);
                    let value = of(side(row as u32), side(neighbour));
                    (sum + count * value, total + count)
                })
            })
            .collect();
        let (sum, total) = sums
            .iter()
            .fold((0.0, 0.0), |sum, part| (sum.0 + part.0, sum.1 + part.1));
        sum / total.max(1.0)
    }

    /// The plaintext rank of a cipher rank or of the boundary.
    fn side<'m>(
        &self,
        cipher: &Graph,
        map: &'m Map,
    ) -> impl Fn(u32) -> Option<u32> + Sync + use<'m> {
        let (boundary, own) = (cipher.n() as u32, self.graph.n() as u32);
        move |rank| {
            if rank == boundary {
                Some(own)
            } else {
                map[rank as usize]
            }
        }
    }

    /// Log-probability of all pairs that touch one of `ranks`, with the plaintext rank that `of` gives.
    fn touching(&self, cipher: &Graph, ranks: &[u32], of: &impl Fn(u32) -> Option<u32>) -> f64 {
        let mut sum = 0.0;
        for (at, &rank) in ranks.iter().enumerate() {
            let own = of(rank);
            for &(neighbour, count) in cipher.neighbours[RIGHT].row(rank as usize) {
                if !ranks[..at].contains(&neighbour) {
                    sum += f64::from(count) * self.log_probability(own, of(neighbour));
                }
            }
            for &(neighbour, count) in cipher.neighbours[LEFT].row(rank as usize) {
                if !ranks[..=at].contains(&neighbour) {
                    sum += f64::from(count) * self.log_probability(of(neighbour), own);
                }
            }
        }
        sum
    }

    /// What the whole log-probability gains where cipher rank `rank` becomes `plain`, and the present owner of
    /// `plain`, where there is one, becomes what `rank` was.
    fn gain(
        &self,
        cipher: &Graph,
        map: &Map,
        (rank, owner): (u32, Option<u32>),
        plain: u32,
    ) -> f64 {
        let before = self.side(cipher, map);
        let old = before(rank);
        let after = |other: u32| {
            if other == rank {
                Some(plain)
            } else if Some(other) == owner {
                old
            } else {
                before(other)
            }
        };
        let both = [rank, owner.unwrap_or(rank)];
        let ranks = if owner.is_some() {
            &both[..]
        } else {
            &both[..1]
        };
        self.touching(cipher, ranks, &after) - self.touching(cipher, ranks, &before)
    }
}

/// Swaps while that raises the likelihood of `cipher`: each rank may take one of its candidates. `fixed` ranks stay.
/// Proposals are valued in parallel on one map, then made best first where they still gain. The number of swaps.
pub(super) fn climb(
    model: &BigramModel,
    cipher: &Graph,
    map: &mut Map,
    candidates: &[Vec<u32>],
    fixed: &[bool],
    most_sweeps: usize,
) -> usize {
    let mut swaps = 0;
    let mut stale = vec![true; cipher.n()];
    for _ in 0..most_sweeps {
        let mut owner_of = owners(map, model.graph.n());
        let mut proposals: Vec<(f64, u32, u32)> = (0..cipher.n() as u32)
            .into_par_iter()
            .flat_map_iter(|rank| {
                let (map, owner_of) = (&*map, &owner_of);
                let open = stale[rank as usize] && !fixed[rank as usize];
                let own = candidates[rank as usize]
                    .iter()
                    .take(if open { usize::MAX } else { 0 });
                own.filter_map(move |&plain| {
                    let owner = owner_of[plain as usize];
                    if map[rank as usize] == Some(plain) || owner.is_some_and(|o| fixed[o as usize])
                    {
                        return None;
                    }
                    let gain = model.gain(cipher, map, (rank, owner), plain);
                    (gain > LEAST_GAIN).then_some((gain, rank, plain))
                })
            })
            .collect();
        proposals.sort_by(|a, b| b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
        let mut made = 0;
        stale.fill(false);
        for (_, rank, plain) in proposals {
            let owner = owner_of[plain as usize];
            if owner == Some(rank) || model.gain(cipher, map, (rank, owner), plain) <= LEAST_GAIN {
                continue;
            }
            let old = map[rank as usize].replace(plain);
            owner_of[plain as usize] = Some(rank);
            if let Some(owner) = owner {
                map[owner as usize] = old;
            }
            if let Some(old) = old {
                owner_of[old as usize] = owner;
            }
            made += 1;
            // Only what stands beside a moved rank can gain anew.
            for moved in [Some(rank), owner].into_iter().flatten() {
                stale[moved as usize] = true;
                for offset in [LEFT, RIGHT] {
                    for &(neighbour, _) in cipher.neighbours[offset].row(moved as usize) {
                        if let Some(slot) = stale.get_mut(neighbour as usize) {
                            *slot = true;
                        }
                    }
                }
            }
        }
        swaps += made;
        if made == 0 {
            break;
        }
    }
    swaps
}

/// The cipher rank that each plaintext rank belongs to.
pub(super) fn owners(map: &Map, n_plain: usize) -> Vec<Option<u32>> {
    let mut owner_of = vec![None; n_plain];
    for (rank, plain) in (0..).zip(map) {
        if let Some(plain) = plain {
            owner_of[*plain as usize] = Some(rank);
        }
    }
    owner_of
}

#[cfg(test)]
mod tests {
    use rand::RngExt;

    use super::*;
    use crate::align::graph::Cooccurrence;
    use crate::random::Key;

    fn graph(n: u32, seed: u64) -> Graph {
        let mut rng = Key::from_seed(seed).rng();
        let mut counts = Cooccurrence::new();
        for _ in 0..50 {
            let sentence: Vec<u32> = (0..6).map(|_| rng.random_range(0..n)).collect();
            counts.add(&sentence, 1.0);
        }
        Graph::new(&counts, 1.0, usize::MAX)
    }

    /// The whole log-probability: 50 sentences of 6 types and a closing boundary.
    fn total(model: &BigramModel, cipher: &Graph, map: &Map) -> f64 {
        model.mean(cipher, map) * 350.0
    }

    #[test]
    fn probabilities_of_what_may_follow_sum_to_one() {
        let plain = graph(7, 1);
        let model = BigramModel::new(&plain);
        for left in 0..=7 {
            let sum: f64 = (0..=7)
                .map(|right| model.log_probability(Some(left), Some(right)).exp())
                .sum();
            assert!((sum - 1.0).abs() < 1e-9, "{left}: {sum}");
        }
    }

    #[test]
    fn the_gain_of_a_swap_is_the_difference_it_makes() {
        let (cipher, plain) = (graph(6, 2), graph(8, 3));
        let model = BigramModel::new(&plain);
        let map: Map = vec![Some(3), Some(0), None, Some(7), Some(1), Some(5)];
        let owner_of = owners(&map, 8);
        for rank in 0..6 {
            for to in (0..8).filter(|to| map[rank as usize] != Some(*to)) {
                let owner = owner_of[to as usize];
                let mut after = map.clone();
                let old = after[rank as usize].replace(to);
                if let Some(owner) = owner {
                    after[owner as usize] = old;
                }
                let expected = total(&model, &cipher, &after) - total(&model, &cipher, &map);
                let gain = model.gain(&cipher, &map, (rank, owner), to);
                assert!(
                    (gain - expected).abs() < 1e-6,
                    "{rank} -> {to}: {gain} and {expected}"
                );
            }
        }
    }

    #[test]
    fn a_climb_undoes_swaps_and_leaves_fixed_types_alone() {
        let plain = graph(12, 4);
        let model = BigramModel::new(&plain);
        let truth: Map = (0..12).map(Some).collect();
        let mut map = truth.clone();
        map.swap(0, 1);
        map.swap(5, 9);
        let all = vec![(0..12).collect::<Vec<u32>>(); 12];
        let mut fixed = vec![false; 12];
        // The plaintext is its own cipher: the identity is likelier than its neighbours.
        climb(&model, &plain, &mut map, &all, &fixed, 20);
        assert_eq!(map, truth);
        map.swap(0, 1);
        fixed[0] = true;
        climb(&model, &plain, &mut map, &all, &fixed, 20);
        assert_eq!(map[0], Some(1));
    }
}
