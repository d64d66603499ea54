//! Which fold each labelled row is held out in.
//!
//! In: pairs, a number of folds and of repeats, and how to deal. Out: [`Folds`], a fold for every row and repeat, with the
//! shares of shared sentences that the choice rests on. The folds depend on the rows alone and not on the seed of a run,
//! so that runs of several seeds or settings hold out the same rows. Does not read files or train.

use std::borrow::Borrow;
use std::collections::{HashMap, HashSet};

use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

use super::dictionary::CipherId;
use super::example::Example;
use super::split::{components, label_counts, shared_share};
use crate::error::{Error, Result};
use crate::random::{Key, Purpose};

/// `folds.assign`: how rows are dealt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Assign {
    /// `group` or `stratified`: the one whose share of sentences in common between folds is nearest to that between
    /// the training rows and the test rows. Without test rows `group`, if there are shared sentences at all.
    #[default]
    Auto,
    /// Rows in a random order, one after the other.
    Row,
    /// The same within each label.
    Stratified,
    /// Whole components of shared sentences, labels balanced: no sentence stands in two folds.
    Group,
}

impl Assign {
    /// As it is written in a config.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Row => "row",
            Self::Stratified => "stratified",
            Self::Group => "group",
        }
    }
}

/// How many folds, how often, and how they are dealt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FoldOptions {
    /// Folds of one repeat, 2 or more.
    pub k: usize,
    /// Different ways to deal all rows, 1 or more.
    pub repeats: usize,
    /// How.
    pub assign: Assign,
}

/// Folds of all repeats, numbered from 0 here: fold f belongs to repeat f / k.
#[derive(Debug, Clone, PartialEq)]
pub struct Folds {
    /// As asked for, with [`Assign::Auto`] replaced by what it chose.
    pub options: FoldOptions,
    /// For each repeat, the fold 0..k of each row.
    fold_of: Vec<Vec<usize>>,
    /// Whether a sentence of the row stands in the training part of its fold, in any repeat.
    pub is_shared: Vec<bool>,
    /// What the choice rests on.
    pub shares: Shares,
    /// What was asked for.
    asked: Assign,
    /// `auto` could not choose groups: there are too few components, or too large ones.
    no_even_groups: bool,
}

/// Shares of rows that have a sentence in common with others, 0..=1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Shares {
    /// Held-out rows with the other folds, as they were dealt (first repeat).
    pub between_folds: f64,
    /// The same if rows are dealt one by one; 0 by `group`.
    pub between_folds_by_row: f64,
    /// Test rows with the training rows; none without a test file.
    pub test_with_train: Option<f64>,
}

impl Folds {
    /// Deals `pairs` (all labelled). `test` is what [`Assign::Auto`] wants to resemble; empty where there is no test file.
    ///
    /// # Errors
    /// [`Error::Refused`] where `k` is larger than the number of components (group), or a fold would hold no row of
    /// a label.
    pub fn deal<P: Borrow<Example>>(
        pairs: &[P],
        test: &[Example],
        options: FoldOptions,
    ) -> Result<Self> {
        let component_of = components(pairs);
        let by_row = deal_once(pairs, &component_of, Assign::Stratified, options.k, 0);
        let shared_by_row = shared_rows(pairs, &by_row);
        let between_folds_by_row = share(&shared_by_row);
        let train = || pairs.iter().map(Borrow::borrow);
        let test_with_train = (!test.is_empty()).then(|| shared_share(test, train()));
        let no_even_groups = options.assign == Assign::Auto && {
            let groups = deal_once(pairs, &component_of, Assign::Group, options.k, 0);
            !are_even(pairs, &groups, options.k)
        };
        let assign = match options.assign {
            Assign::Auto if no_even_groups => Assign::Stratified,
            Assign::Auto => nearest(between_folds_by_row, test_with_train),
            assign => assign,
        };
        let n_components = component_of.iter().max().map_or(0, |last| last + 1);
        if assign == Assign::Group && options.k > n_components {
            return Err(too_few_components(options.k, n_components));
        }
        let deal = |repeat| deal_once(pairs, &component_of, assign, options.k, repeat);
        let fold_of: Vec<Vec<usize>> = (0..options.repeats).map(deal).collect();
        for repeat in &fold_of {
            require_labels(pairs, repeat, options.k, assign)?;
        }
        let mut is_shared = vec![false; pairs.len()];
        for repeat in &fold_of {
            let shared = shared_rows(pairs, repeat);
            is_shared.iter_mut().zip(shared).for_each(|(a, b)| *a |= b);
        }
        let shares = Shares {
            between_folds: share(&shared_rows(pairs, &fold_of[0])),
            between_folds_by_row,
            test_with_train,
        };
        Ok(Self {
            options: FoldOptions { assign, ..options },
            fold_of,
            is_shared,
            shares,
            asked: options.assign,
            no_even_groups,
        })
    }

    /// Folds of all repeats together.
    pub fn total(&self) -> usize {
        self.options.k * self.options.repeats
    }

    /// Sorted rows that fold `fold` (0..[`Folds::total`]) holds out.
    pub fn held_out(&self, fold: usize) -> Vec<usize> {
        let (repeat, fold) = (fold / self.options.k, fold % self.options.k);
        let rows = self.fold_of[repeat].iter().enumerate();
        rows.filter(|(_, of)| **of == fold)
            .map(|(row, _)| row)
            .collect()
    }

    /// The fold 0..k of each row in the first repeat.
    pub fn first_repeat(&self) -> &[usize] {
        &self.fold_of[0]
    }

    /// What was dealt and why, in one line, for the log.
    pub fn describe(&self) -> String {
        let FoldOptions { k, repeats, assign } = self.options;
        let mut rows: Vec<usize> = (0..self.total()).map(|f| self.held_out(f).len()).collect();
        rows.sort_unstable();
        let times = if repeats > 1 {
            format!(", {repeats} times")
        } else {
            String::new()
        };
        let percent = |share: f64| format!("{:.1} %", 100.0 * share);
        let Shares {
            between_folds_by_row,
            test_with_train,
            ..
        } = self.shares;
        let test = match test_with_train {
            Some(share) => format!("{} of test rows with train", percent(share)),
            None => "there is no test file".to_owned(),
        };
        let chosen = if self.asked == Assign::Auto {
            " (chosen by \"auto\")"
        } else {
            ""
        };
        let groups = if self.no_even_groups {
            "no even folds"
        } else {
            "0.0 %"
        };
        format!(
            "folds: {k} by \"{}\"{chosen}{times}, {} to {} rows each; rows that share a sentence with another fold: {} by \
             \"stratified\", {groups} by \"group\"; {test}",
            assign.name(),
            rows[0],
            rows[rows.len() - 1],
            percent(between_folds_by_row),
        )
    }
}

/// The fold of each row in one repeat.
fn deal_once<P: Borrow<Example>>(
    pairs: &[P],
    component_of: &[usize],
    assign: Assign,
    k: usize,
    repeat: usize,
) -> Vec<usize> {
    let key = Key::from_seed(0).with(Purpose::Deal).at(repeat as u64);
    if assign == Assign::Group {
        return deal_components(pairs, component_of, k, key);
    }
    let mut order: Vec<usize> = (0..pairs.len()).collect();
    order.shuffle(&mut key.rng());
    if assign == Assign::Stratified {
        // Stable, and dealt on from one label to the next: folds differ by one row at most, of each label too.
        order.sort_by_key(|&row| pairs[row].borrow().target.is_positive());
    }
    let mut fold_of = vec![0; pairs.len()];
    for (position, row) in order.into_iter().enumerate() {
        fold_of[row] = position % k;
    }
    fold_of
}

/// Largest components first, in a random order among equals; each goes to the fold that has the least of what the
/// component brings: negatives, positives, and rows in all, each as a share of its total.
fn deal_components<P: Borrow<Example>>(
    pairs: &[P],
    component_of: &[usize],
    k: usize,
    key: Key,
) -> Vec<usize> {
    let counts = label_counts(pairs, component_of);
    let with_total = |[negative, positive, without]: [i64; 3]| {
        [negative, positive, without, negative + positive + without].map(|n| n as f64)
    };
    let counts: Vec<[f64; 4]> = counts.into_iter().map(with_total).collect();
    let mut totals = [0.0; 4];
    for component in &counts {
        add(&mut totals, component);
    }
    let mut order: Vec<usize> = (0..counts.len()).collect();
    order.shuffle(&mut key.rng());
    order.sort_by(|&a, &b| counts[b][3].total_cmp(&counts[a][3])); // stable

    let mut dealt = vec![[0.0; 4]; k];
    let mut fold_of_component = vec![0; counts.len()];
    for component in order {
        let rows = &counts[component];
        // The sum of squared shares grows by 2 x this, and by the same amount in every fold.
        let growth = |fold: &[f64; 4]| -> f64 {
            let terms = fold.iter().zip(rows).zip(&totals);
            terms
                .map(|((fold, rows), total)| fold * rows / (total * total).max(1.0))
                .sum()
        };
        let least = (0..k).min_by(|&a, &b| growth(&dealt[a]).total_cmp(&growth(&dealt[b])));
        let fold = least.expect("k is 2 or more");
        add(&mut dealt[fold], rows);
        fold_of_component[component] = fold;
    }
    component_of
        .iter()
        .map(|&component| fold_of_component[component])
        .collect()
}

fn add(sums: &mut [f64; 4], more: &[f64; 4]) {
    sums.iter_mut().zip(more).for_each(|(sum, x)| *sum += x);
}

/// Whether a sentence of each row also stands in another fold.
pub fn shared_rows<P: Borrow<Example>>(pairs: &[P], fold_of: &[usize]) -> Vec<bool> {
    let mut home: HashMap<&[CipherId], usize> = HashMap::new();
    let mut travelling: HashSet<&[CipherId]> = HashSet::new();
    for (pair, &fold) in pairs.iter().zip(fold_of) {
        for sentence in pair.borrow().texts() {
            if *home.entry(sentence).or_insert(fold) != fold {
                travelling.insert(sentence);
            }
        }
    }
    let is_shared = |pair: &P| pair.borrow().texts().any(|text| travelling.contains(text));
    pairs.iter().map(is_shared).collect()
}

fn share(is_shared: &[bool]) -> f64 {
    let shared = is_shared.iter().filter(|&&shared| shared).count();
    shared as f64 / is_shared.len().max(1) as f64
}

/// By groups nothing is shared between folds; by rows, `by_row`. Where both are as near, there is nothing shared and
/// labels are balanced best by rows.
fn nearest(by_row: f64, test_with_train: Option<f64>) -> Assign {
    match test_with_train {
        Some(test) if test < (by_row - test).abs() => Assign::Group,
        None if by_row > 0.0 => Assign::Group,
        _ => Assign::Stratified,
    }
}

/// Every fold holds both labels, and none more than twice its share of the rows.
fn are_even<P: Borrow<Example>>(pairs: &[P], fold_of: &[usize], k: usize) -> bool {
    let counts = label_counts_of_folds(pairs, fold_of, k);
    let rows = |fold: &[i64; 3]| fold.iter().sum::<i64>() as usize;
    counts
        .iter()
        .all(|fold| fold[0] > 0 && fold[1] > 0 && rows(fold) * k <= 2 * pairs.len())
}

fn label_counts_of_folds<P: Borrow<Example>>(
    pairs: &[P],
    fold_of: &[usize],
    k: usize,
) -> Vec<[i64; 3]> {
    let mut counts = label_counts(pairs, fold_of);
    counts.resize(k, [0; 3]); // the last folds may be empty
    counts
}

fn too_few_components(k: usize, n_components: usize) -> Error {
    let message = format!(
        "folds.k = {k} with folds.assign = \"group\": the training rows have {n_components} components of shared \
         sentences, and a fold needs one at least"
    );
    Error::refused(message).with_hint("lower folds.k, or set folds.assign = \"stratified\"")
}

/// A fold without one of the labels has no AUC, and its model has learnt from another mixture than the others.
fn require_labels<P: Borrow<Example>>(
    pairs: &[P],
    fold_of: &[usize],
    k: usize,
    assign: Assign,
) -> Result<()> {
    let counts = label_counts_of_folds(pairs, fold_of, k);
    for (fold, rows) in counts.iter().enumerate() {
        let Some(label) = (0..2).find(|&label| rows[label] == 0) else {
            continue;
        };
        let all: i64 = counts.iter().map(|fold| fold[label]).sum();
        let message = format!(
            "folds.k = {k} with folds.assign = \"{}\": fold {} would hold no row of label {label}, of which there are \
             {all}",
            assign.name(),
            fold + 1
        );
        let hint = match assign {
            _ if all < 2 => "more rows of that label are needed",
            Assign::Stratified | Assign::Auto => "lower folds.k",
            Assign::Row | Assign::Group => "lower folds.k, or set folds.assign = \"stratified\"",
        };
        return Err(Error::refused(message).with_hint(hint));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
