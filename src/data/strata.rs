//! Rows of one kind of label, so that splits and folds can deal each kind evenly.
//!
//! In: targets. Out: the stratum of each row, from 0. Classes are strata themselves; numbers are cut at their deciles; a
//! row of several labels counts for the rarest of them; rows without a label come last. Nothing here is random.

use std::borrow::Borrow;

use super::example::{Example, Target};

/// Parts into which numbers are cut.
const BINS: usize = 10;

/// The stratum of each row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Strata {
    /// By row, below `n`.
    pub of: Vec<usize>,
    /// How many there are; some may be empty.
    pub n: usize,
}

impl Strata {
    /// Of rows whose targets are of one kind, or unknown.
    pub fn new<P: Borrow<Example>>(rows: &[P]) -> Self {
        let targets: Vec<&Target> = rows.iter().map(|row| &row.borrow().target).collect();
        let known = match targets.iter().find(|target| target.is_known()) {
            Some(Target::Number(_)) => by_quantile(&targets),
            Some(Target::Several(_)) => by_rarest(&targets),
            Some(Target::Class(_) | Target::Unknown | Target::Probabilities(_)) | None => {
                let class = |target: &&Target| target.class().map(|class| class as usize);
                targets.iter().map(class).collect()
            }
        };
        // Two classes at least: a missing one is a stratum without rows.
        let n_known = known
            .iter()
            .flatten()
            .max()
            .map_or(0, |last| last + 1)
            .max(2);
        Self {
            of: known.iter().map(|of| of.unwrap_or(n_known)).collect(),
            n: n_known + 1,
        }
    }

    /// For each part the strata it has rows of, ascending, with their numbers of rows; `part_of` numbers the part of each
    /// row from 0, below `n_parts`.
    pub fn counts(&self, part_of: &[usize], n_parts: usize) -> Vec<Vec<(usize, i64)>> {
        let mut rows: Vec<(usize, usize)> = part_of
            .iter()
            .copied()
            .zip(self.of.iter().copied())
            .collect();
        rows.sort_unstable();
        let mut counts = vec![Vec::new(); n_parts];
        for run in rows.chunk_by(|a, b| a == b) {
            let (part, stratum) = run[0];
            counts[part].push((stratum, run.len() as i64));
        }
        counts
    }
}

/// A number's bin is the decile of the smallest rank that its value has, so that equal numbers stay together.
fn by_quantile(targets: &[&Target]) -> Vec<Option<usize>> {
    let mut sorted: Vec<f32> = targets
        .iter()
        .filter_map(|target| target.number())
        .collect();
    sorted.sort_unstable_by(f32::total_cmp);
    let bin = |number: f32| {
        let smaller = sorted.partition_point(|&other| other < number);
        BINS * smaller / sorted.len()
    };
    targets
        .iter()
        .map(|target| target.number().map(bin))
        .collect()
}

/// The rarest label of a row, over all rows; the lowest of equally rare ones. Rows with none of them are a stratum too.
///
/// One pass of what iterative stratification does again after each row (Sechidis, Tsoumakas and Vlahavas 2011, "On the
/// Stratification of Multi-Label Data"): the rarest label is the one that an uneven deal hurts most.
fn by_rarest(targets: &[&Target]) -> Vec<Option<usize>> {
    fn held(target: &Target) -> Option<&[u32]> {
        match target {
            Target::Several(classes) => Some(classes),
            _ => None,
        }
    }
    let mut rows_with: Vec<usize> = Vec::new();
    for &class in targets.iter().filter_map(|target| held(target)).flatten() {
        let class = class as usize;
        rows_with.resize(rows_with.len().max(class + 1), 0);
        rows_with[class] += 1;
    }
    let rarest = |classes: &[u32]| {
        let by_rarity = classes.iter().map(|&class| class as usize);
        by_rarity
            .min_by_key(|&class| (rows_with[class], class))
            .unwrap_or(rows_with.len())
    };
    targets
        .iter()
        .map(|target| held(target).map(rarest))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strata(targets: impl IntoIterator<Item = Target>) -> Strata {
        let row = |target| Example {
            a: Vec::new(),
            b: None,
            target,
        };
        Strata::new(&targets.into_iter().map(row).collect::<Vec<_>>())
    }

    #[test]
    fn classes_are_strata_and_rows_without_a_label_come_last() {
        let targets = [Target::Class(1), Target::Unknown, Target::Class(3)];
        assert_eq!(
            strata(targets),
            Strata {
                of: vec![1, 4, 3],
                n: 5
            }
        );
        // A class that no row has is one all the same.
        let targets = [Target::Class(0), Target::Unknown];
        assert_eq!(
            strata(targets),
            Strata {
                of: vec![0, 2],
                n: 3
            }
        );
        assert_eq!(strata([]), Strata { of: vec![], n: 3 });
    }

    #[test]
    fn numbers_are_cut_at_their_deciles_and_equal_ones_stay_together() {
        let hundred = strata((0..100).map(|i| Target::Number(i as f32)));
        assert_eq!(hundred.of, (0..100).map(|i| i / 10).collect::<Vec<_>>());
        // Six of ten are 0: their smallest rank is 0, that of 1 is 6, that of 2 is 9.
        let grades = [0.0, 0.0, 1.0, 0.0, 2.0, 0.0, 1.0, 0.0, 1.0, 0.0];
        assert_eq!(
            strata(grades.map(Target::Number)).of,
            [0, 0, 6, 0, 9, 0, 6, 0, 6, 0]
        );
    }

    #[test]
    fn a_row_of_several_labels_counts_for_the_rarest() {
        // Label 0 stands in three rows, 1 in two, 2 in one.
        let targets = [&[0, 1, 2][..], &[0, 1], &[0], &[]].map(|of| Target::Several(of.to_vec()));
        assert_eq!(
            strata(targets),
            Strata {
                of: vec![2, 1, 0, 3],
                n: 5
            }
        );
        // Of equally rare ones the lowest.
        assert_eq!(strata([Target::Several(vec![1, 2])]).of, [1]);
    }

    #[test]
    fn counts_of_parts() {
        let targets = [1, 0, 1, 1].map(Target::Class);
        let counts = strata(targets).counts(&[0, 1, 0, 1], 3);
        assert_eq!(counts, [vec![(1, 2)], vec![(0, 1), (1, 1)], vec![]]);
    }
}
