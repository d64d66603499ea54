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
use super::split::{components, count_components, near_components, shared_share};
use super::strata::Strata;
use super::table::quoted;
use super::task::{LabelKind, Task};
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
    /// The same within each class (numbers: within each tenth; several labels: by the rarest of a row).
    Stratified,
    /// Whole components of shared sentences, labels balanced as by `stratified`: no sentence stands in two folds, and with
    /// [`FoldOptions::near`] none that is nearly the same.
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
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FoldOptions {
    /// Folds of one repeat, 2 or more.
    pub k: usize,
    /// Different ways to deal all rows, 1 or more.
    pub repeats: usize,
    /// How.
    pub assign: Assign,
    /// For [`Assign::Group`]: sentences with this similarity or more count as the same ([`super::near`]), above 0 and up to 1.
    pub near: Option<f64>,
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
    /// Deals `pairs` (all labelled, as `task` says). `test` is what [`Assign::Auto`] wants to resemble; empty where there is
    /// no test file.
    ///
    /// # Errors
    /// [`Error::Refused`] where `k` is larger than the number of components (group) or than the rows of a class, a fold
    /// would hold no row, for two classes none of a label, or for more all rows of a class; those of [`near_components`].
    pub fn deal<P: Borrow<Example>>(
        pairs: &[P],
        test: &[Example],
        options: FoldOptions,
        task: &Task,
    ) -> Result<Self> {
        let component_of = match options.near {
            Some(near) => near_components(pairs, near)?,
            None => components(pairs),
        };
        let strata = Strata::new(pairs);
        let census = Census {
            strata: &strata,
            task,
            k: options.k,
        };
        census.require_rows_of_classes()?;
        let deal = |assign, repeat| deal_once(&strata, &component_of, assign, options.k, repeat);
        let by_row = deal(Assign::Stratified, 0);
        let shared_by_row = shared_rows(pairs, &by_row);
        let between_folds_by_row = share(&shared_by_row);
        let train = || pairs.iter().map(Borrow::borrow);
        let test_with_train = (!test.is_empty()).then(|| shared_share(test, train()));
        let no_even_groups =
            options.assign == Assign::Auto && !census.are_even(&deal(Assign::Group, 0));
        let assign = match options.assign {
            Assign::Auto if no_even_groups => Assign::Stratified,
            Assign::Auto => nearest(between_folds_by_row, test_with_train),
            assign => assign,
        };
        let n_components = count_components(&component_of);
        if assign == Assign::Group && options.k > n_components {
            return Err(too_few_components(options.k, n_components));
        }
        let fold_of: Vec<Vec<usize>> = (0..options.repeats)
            .map(|repeat| deal(assign, repeat))
            .collect();
        for repeat in &fold_of {
            census.require_folds(repeat, assign)?;
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
        let FoldOptions {
            k, repeats, assign, ..
        } = self.options;
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
        let near = self.options.near.map_or_else(String::new, |near| {
            format!(", sentences of similarity {near} or more in one fold")
        });
        let groups = if self.no_even_groups {
            "no even folds"
        } else {
            "0.0 %"
        };
        format!(
            "folds: {k} by \"{}\"{chosen}{times}, {} to {} rows each{near}; rows that share a sentence with another fold: {} by \
             \"stratified\", {groups} by \"group\"; {test}",
            assign.name(),
            rows[0],
            rows[rows.len() - 1],
            percent(between_folds_by_row),
        )
    }
}

/// The fold of each row in one repeat.
fn deal_once(
    strata: &Strata,
    component_of: &[usize],
    assign: Assign,
    k: usize,
    repeat: usize,
) -> Vec<usize> {
    let key = Key::from_seed(0).with(Purpose::Deal).at(repeat as u64);
    if assign == Assign::Group {
        return deal_components(strata, component_of, k, key);
    }
    let mut order: Vec<usize> = (0..component_of.len()).collect();
    order.shuffle(&mut key.rng());
    if assign == Assign::Stratified {
        // Stable, and dealt on from one stratum to the next: folds differ by one row at most, of each stratum too.
        order.sort_by_key(|&row| strata.of[row]);
    }
    let mut fold_of = vec![0; order.len()];
    for (position, row) in order.into_iter().enumerate() {
        fold_of[row] = position % k;
    }
    fold_of
}

/// Largest components first, in a random order among equals; each goes to the fold that has the least of what the
/// component brings: rows of each stratum, and rows in all, each as a share of its total.
fn deal_components(strata: &Strata, component_of: &[usize], k: usize, key: Key) -> Vec<usize> {
    let counts = strata.counts(component_of, count_components(component_of));
    let all = strata.n; // rows in all stand behind those of the strata
    let with_all = |counts: Vec<(usize, i64)>| -> Vec<(usize, f64)> {
        let rows: i64 = counts.iter().map(|(_, n)| n).sum();
        let counts = counts.into_iter().chain([(all, rows)]);
        counts.map(|(stratum, n)| (stratum, n as f64)).collect()
    };
    let counts: Vec<Vec<(usize, f64)>> = counts.into_iter().map(with_all).collect();
    let add = |sums: &mut [f64], more: &[(usize, f64)]| {
        more.iter().for_each(|&(stratum, n)| sums[stratum] += n);
    };
    let mut totals = vec![0.0; all + 1];
    for component in &counts {
        add(&mut totals, component);
    }
    let rows = |component: usize| counts[component].last().map_or(0.0, |&(_, n)| n);
    let mut order: Vec<usize> = (0..counts.len()).collect();
    order.shuffle(&mut key.rng());
    order.sort_by(|&a, &b| rows(b).total_cmp(&rows(a))); // stable

    let mut dealt = vec![vec![0.0; all + 1]; k];
    let mut fold_of_component = vec![0; counts.len()];
    for component in order {
        // The sum of squared shares grows by 2 x this, and by the same amount in every fold.
        let growth = |fold: &[f64]| -> f64 {
            let terms = counts[component].iter().map(|&(stratum, n)| {
                let total = totals[stratum];
                fold[stratum] * n / (total * total).max(1.0)
            });
            terms.sum()
        };
        let least = (0..k).min_by(|&a, &b| growth(&dealt[a]).total_cmp(&growth(&dealt[b])));
        let fold = least.expect("k is 2 or more");
        add(&mut dealt[fold], &counts[component]);
        fold_of_component[component] = fold;
    }
    component_of
        .iter()
        .map(|&component| fold_of_component[component])
        .collect()
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

fn too_few_components(k: usize, n_components: usize) -> Error {
    let message = format!(
        "folds.k = {k} with folds.assign = \"group\": the training rows have {n_components} components of shared \
         sentences, and a fold needs one at least"
    );
    Error::refused(message).with_hint("lower folds.k, or set folds.assign = \"stratified\"")
}

/// How the labels lie in folds, and whether folds will do for them.
struct Census<'a> {
    strata: &'a Strata,
    task: &'a Task,
    k: usize,
}

impl Census<'_> {
    /// Strata of which a fold wants rows: the classes, where a row has one.
    fn classes(&self) -> std::ops::Range<usize> {
        match self.task.labels {
            LabelKind::Binary => 0..2,
            LabelKind::Classes => 0..self.task.classes.len(),
            LabelKind::Multilabel | LabelKind::Ordinal => 0..0,
        }
    }

    fn class_name(&self, class: usize) -> &str {
        self.task.classes.get(class).map_or("?", String::as_str)
    }

    /// The last class may have no row.
    fn n_strata(&self) -> usize {
        self.strata.n.max(self.classes().end)
    }

    /// Rows of each stratum, in all.
    fn totals(&self) -> Vec<usize> {
        let mut totals = vec![0; self.n_strata()];
        self.strata
            .of
            .iter()
            .for_each(|&stratum| totals[stratum] += 1);
        totals
    }

    /// Rows of each stratum, by fold.
    fn by_fold(&self, fold_of: &[usize]) -> Vec<Vec<usize>> {
        let mut counts = vec![vec![0; self.n_strata()]; self.k];
        for (&fold, &stratum) in fold_of.iter().zip(&self.strata.of) {
            counts[fold][stratum] += 1;
        }
        counts
    }

    /// Every fold holds rows, of each class, and none more than twice its share of the rows.
    fn are_even(&self, fold_of: &[usize]) -> bool {
        self.by_fold(fold_of).iter().all(|fold| {
            let rows: usize = fold.iter().sum();
            let has_classes = self.classes().all(|class| fold[class] > 0);
            rows > 0 && has_classes && rows * self.k <= 2 * fold_of.len()
        })
    }

    /// Of more than two classes each needs a row a fold; for two see [`Census::require_folds`].
    fn require_rows_of_classes(&self) -> Result<()> {
        if self.task.labels != LabelKind::Classes {
            return Ok(());
        }
        let (k, totals) = (self.k, self.totals());
        let few = self.classes().filter(|&class| totals[class] < k);
        let Some(class) = few.min_by_key(|&class| totals[class]) else {
            return Ok(());
        };
        let (name, rows) = (self.class_name(class), totals[class]);
        let s = if rows == 1 { "" } else { "s" };
        let message = format!(
            "folds.k = {k}: the class {} has {rows} row{s}, and every fold needs one of each class",
            quoted(name)
        );
        Err(Error::refused(message).with_hint(match rows {
            0 | 1 => "the class needs more rows, or leave it out".to_owned(),
            _ => format!("set folds.k to {rows} or less, or leave the rows of the class out"),
        }))
    }

    /// A fold without one of two labels has no AUC, and a fold that holds all rows of a class trains a model that has
    /// never seen it.
    fn require_folds(&self, fold_of: &[usize], assign: Assign) -> Result<()> {
        let (k, totals) = (self.k, self.totals());
        for (fold, rows) in self.by_fold(fold_of).iter().enumerate() {
            let wrong = match self.task.labels {
                LabelKind::Binary => {
                    let label = self.classes().find(|&label| rows[label] == 0);
                    label.map(|label| {
                        let (name, all) = (self.class_name(label), totals[label]);
                        (
                            format!("no row of label {name}, of which there are {all}"),
                            all < 2,
                        )
                    })
                }
                LabelKind::Classes => {
                    let class = self.classes().find(|&class| rows[class] == totals[class]);
                    class.map(|class| {
                        let (name, all) = (quoted(self.class_name(class)), totals[class]);
                        (format!("all {all} rows of the class {name}"), false)
                    })
                }
                LabelKind::Multilabel | LabelKind::Ordinal => {
                    let is_empty = rows.iter().sum::<usize>() == 0;
                    is_empty.then(|| ("no row".to_owned(), false))
                }
            };
            let Some((wrong, needs_rows)) = wrong else {
                continue;
            };
            let message = format!(
                "folds.k = {k} with folds.assign = \"{}\": fold {} would hold {wrong}",
                assign.name(),
                fold + 1
            );
            let hint = match assign {
                _ if needs_rows => "more rows of that label are needed",
                Assign::Stratified | Assign::Auto => "lower folds.k",
                Assign::Row | Assign::Group => {
                    "lower folds.k, or set folds.assign = \"stratified\""
                }
            };
            return Err(Error::refused(message).with_hint(hint));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
