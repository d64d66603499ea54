//! The few best of many scores.
//!
//! In: scores one after the other, each with its number. Out: the largest ones, of equals the lowest number first; or, where the
//! scores are still rough, all that may be among the largest.

/// An item that was found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Neighbour {
    /// Its number: how many items were added before it.
    pub number: usize,
    /// Larger is nearer. Cosine or dot product; minus the Euclidean distance; of codes and sets what they have in common.
    pub score: f32,
}

/// Sorts nearest first, of equals the lowest number first, and keeps the first `k`.
pub fn keep_nearest(neighbours: &mut Vec<Neighbour>, k: usize) {
    let order = |a: &Neighbour, b: &Neighbour| {
        let by_score = b.score.total_cmp(&a.score);
        by_score.then(a.number.cmp(&b.number))
    };
    if neighbours.len() > k && k > 0 {
        neighbours.select_nth_unstable_by(k - 1, order);
    }
    neighbours.truncate(k);
    neighbours.sort_unstable_by(order);
}

/// The `k` items with the largest counts, of equals those that come first; `items` come by ascending number.
pub fn nearest_by_count(
    items: impl Iterator<Item = (usize, u16)> + Clone,
    k: usize,
) -> Vec<Neighbour> {
    let mut n_with = Vec::new();
    for (_, count) in items.clone() {
        let count = usize::from(count);
        if count >= n_with.len() {
            n_with.resize(count + 1, 0);
        }
        n_with[count] += 1;
    }
    // All above the cut are found, and as many at the cut as there is room for.
    let (mut cut, mut n_above) = (n_with.len(), 0);
    while cut > 0 && n_above < k {
        cut -= 1;
        n_above += n_with[cut];
    }
    let mut room = k.saturating_sub(n_above - n_with.get(cut).unwrap_or(&0));
    let mut found = Vec::with_capacity(k.min(n_above));
    for (number, count) in items {
        let is_found = match usize::from(count).cmp(&cut) {
            std::cmp::Ordering::Less => false,
            std::cmp::Ordering::Greater => true,
            std::cmp::Ordering::Equal if room == 0 => false,
            std::cmp::Ordering::Equal => {
                room -= 1;
                true
            }
        };
        if is_found {
            let score = f32::from(count);
            found.push(Neighbour { number, score });
        }
    }
    keep_nearest(&mut found, k);
    found
}

/// Collects every item whose rough score is among the `k` largest, or less than a margin below the k-th largest.
#[derive(Debug)]
pub struct Candidates {
    k: usize,
    margin: f32,
    /// Scores below it cannot be among the nearest.
    floor: f32,
    /// Length at which the floor is raised.
    limit: usize,
    found: Vec<Neighbour>,
}

impl Candidates {
    /// Rough scores are off by half of `margin` at most.
    pub fn new(k: usize, margin: f32) -> Self {
        Self {
            k,
            margin,
            floor: f32::NEG_INFINITY,
            limit: 2 * k + 64,
            found: Vec::new(),
        }
    }

    /// Takes the scores of items that are numbered from `first` on.
    pub fn extend(&mut self, first: usize, scores: impl IntoIterator<Item = f32>) {
        for (at, score) in scores.into_iter().enumerate() {
            if score >= self.floor {
                let number = first + at;
                self.found.push(Neighbour { number, score });
                if self.found.len() >= self.limit {
                    self.raise_floor();
                }
            }
        }
    }

    /// Numbers of all candidates.
    pub fn numbers(mut self) -> impl Iterator<Item = usize> {
        self.raise_floor();
        self.found.into_iter().map(|found| found.number)
    }

    fn raise_floor(&mut self) {
        if self.found.len() < self.k {
            return;
        }
        let by_score = |a: &Neighbour, b: &Neighbour| b.score.total_cmp(&a.score);
        let (_, kth, _) = self.found.select_nth_unstable_by(self.k - 1, by_score);
        self.floor = kth.score - self.margin;
        self.found.retain(|found| found.score >= self.floor);
        self.limit = 2 * self.found.len() + 64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Key;

    #[test]
    fn candidates_are_those_near_the_kth_and_no_others() {
        let key = Key::from_seed(1);
        let scores: Vec<f32> = (0..5000)
            .map(|i| (key.bits(i) % 1000) as f32 / 100.0)
            .collect();
        for (k, margin) in [(1, 0.0), (10, 0.0), (10, 0.5), (5000, 0.0)] {
            let mut candidates = Candidates::new(k, margin);
            candidates.extend(0, scores[..700].iter().copied());
            candidates.extend(700, scores[700..].iter().copied());
            let mut numbers: Vec<usize> = candidates.numbers().collect();
            numbers.sort_unstable();
            let mut sorted = scores.clone();
            sorted.sort_by(|a, b| b.total_cmp(a));
            let floor = sorted[k - 1] - margin;
            let expected = (0..5000).filter(|&i| scores[i] >= floor);
            assert!(numbers.into_iter().eq(expected), "k = {k}");
        }
    }

    #[test]
    fn by_count_is_by_score() {
        let key = Key::from_seed(2);
        let counts: Vec<u16> = (0..300).map(|i| (key.bits(i) % 9) as u16).collect();
        let all = counts.iter().map(|&count| f32::from(count)).enumerate();
        let all: Vec<Neighbour> = all
            .map(|(number, score)| Neighbour { number, score })
            .collect();
        for k in [1, 2, 40, 299, 300] {
            let mut expected = all.clone();
            keep_nearest(&mut expected, k);
            let found = nearest_by_count(counts.iter().copied().enumerate(), k);
            assert_eq!(found, expected);
        }
        assert_eq!(
            nearest_by_count([(5, 0), (9, 0)].into_iter(), 1)[0].number,
            5
        );
    }

    #[test]
    fn of_equals_the_lowest_number_is_kept_and_comes_first() {
        let of = |(number, score)| Neighbour { number, score };
        let mut found: Vec<Neighbour> = [(4, 1.0), (9, 1.0), (2, 1.0), (7, 2.0), (1, 0.0)]
            .map(of)
            .into();
        keep_nearest(&mut found, 3);
        assert_eq!(found, [(7, 2.0), (2, 1.0), (4, 1.0)].map(of));
    }
}
