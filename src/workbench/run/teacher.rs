//! Soft labels from finished runs (Hinton et al. 2015, <https://arxiv.org/abs/1503.02531>): `[distill]`.
//!
//! In: run folders over the same training files. Out: a [`Teacher`] that says of training rows and test rows what these runs
//! think, as labels to learn from: the mean of their logits by the temperature, as probabilities, or of their grades. Of a training row
//! only a model that did not train on it has a say. A row that no run has scored keeps its own label. Trains nothing, and never speaks of
//! the rows that a student holds out. The models that scored the other rows may have trained on those, so that their labels reach the
//! student at second hand: its validation figure may be a little too good.

use std::path::Path;

use crate::config::Experiment;
use crate::data::{EncodedExample, LabelKind, Scores, Target, Task};
use crate::error::{Error, Place, Result};
use crate::objective::ObjectiveName;
use crate::progress::Progress;
use crate::workbench::run_folder::chosen::without_stages;
use crate::workbench::run_folder::manifest::FileRecord;
use crate::workbench::run_folder::names::CHANGED_HINT;
use crate::workbench::run_folder::results::Results;
use crate::workbench::run_folder::scores::Scored;

/// What finished runs say of the rows.
#[derive(Debug, Default)]
pub struct Teacher {
    /// Of each training row, in file order; empty without a teacher.
    labelled: Vec<Option<Target>>,
    /// Of each test row; empty where test rows have no part.
    test: Vec<Target>,
    /// An objective of a stage that no test row teaches, as it takes no soft label.
    without_test: Option<ObjectiveName>,
}

/// Sums of the scores of some rows.
struct Sums {
    values: Vec<f64>,
    n: Vec<usize>,
    width: usize,
}

impl Teacher {
    /// Reads the runs of `distill.from`, but for folders of shared stages among them; none: a teacher who says nothing.
    ///
    /// # Errors
    /// [`Error::Refused`] where a run is not done, has another task or other files than these rows, or scores that are neither logits
    /// nor grades; [`Error::Input`] where a table has other rows than these; those of the tables.
    pub fn read(
        experiment: &Experiment,
        task: &Task,
        [training_rows, test_rows]: [&[EncodedExample]; 2],
        progress: &Progress,
    ) -> Result<Self> {
        let distill = &experiment.distill;
        if distill.from.is_empty() {
            return Ok(Self::default());
        }
        let objectives = experiment.stages().into_iter().map(|stage| stage.objective);
        let (learn_test, leave_test): (Vec<_>, Vec<_>) = objectives
            .filter(|objective| distill.test && objective.gives_scores())
            .partition(|objective| objective.takes_soft_labels());
        let mut labelled = Sums::new(training_rows.len());
        let mut test = Sums::new(test_rows.len());
        for path in without_stages(&distill.from, progress) {
            let run = Results::open_done(&path)?;
            require_same(&run, experiment, task)?;
            require_scale(&run)?;
            let scored = run.labelled_scores()?;
            require_rows(&run, &scored, training_rows.len())?;
            labelled.add(scored.rows.iter().copied(), &scored.scores);
            if !learn_test.is_empty()
                && let Some(scores) = run.test_scores()?
            {
                require_length(&run, &scores, test_rows.len())?;
                test.add(0..scores.len(), &scores);
            }
        }
        let says =
            |mean: Option<Vec<f64>>| mean.map(|mean| soft(&mean, distill.temperature, task.labels));
        let own = training_rows.iter().map(|row| &row.target);
        let labelled = (0..).zip(own).map(|(row, own)| {
            let soft = says(labelled.mean(row))?;
            Some(mixed(&soft, own, distill.weight))
        });
        let test = (0..test_rows.len()).map(|row| says(test.mean(row)).unwrap_or_default());
        Ok(Self {
            labelled: labelled.collect(),
            test: test.collect(),
            without_test: leave_test
                .first()
                .copied()
                .filter(|_| !test_rows.is_empty()),
        })
    }

    /// What a model learns of a training row whose own label is `own`.
    pub fn of_labelled(&self, row: usize, own: &Target) -> Target {
        let says = self.labelled.get(row).and_then(Option::as_ref);
        says.unwrap_or(own).clone()
    }

    /// What a model learns of a test row.
    pub fn of_test(&self, row: usize) -> Target {
        self.test.get(row).cloned().unwrap_or_default()
    }

    /// Whether test rows have soft labels.
    pub fn knows_test(&self) -> bool {
        self.test.iter().any(Target::is_known)
    }

    /// What it says to a model that holds these training rows out (sorted numbers):
    /// `soft labels: 70377 training rows and 39607 test rows`, and who learns from no test row; none without a teacher.
    pub fn describe(&self, held_out: &[usize]) -> Option<String> {
        if self.labelled.is_empty() {
            return None;
        }
        let test = self.test.iter().filter(|target| target.is_known()).count();
        let without_test = self.without_test.map_or(String::new(), |objective| {
            format!("; `{}` learns from no test row", objective.name())
        });
        let rows = match self.n_labelled(held_out) {
            0 => format!(
                "soft labels: {test} test rows; the rows to train on keep their own labels, as no run of distill.from has \
                 scored any of them"
            ),
            known => format!("soft labels: {known} training rows and {test} test rows"),
        };
        Some(rows + &without_test)
    }

    /// Refuses a teacher who says nothing to a model that holds these training rows out (sorted numbers). A run of a single
    /// split has scored the rows that it held out itself, and its student may hold out the same.
    ///
    /// # Errors
    /// [`Error::Refused`].
    pub fn require_use(&self, held_out: &[usize]) -> Result<()> {
        if self.labelled.is_empty() || self.knows_test() || self.n_labelled(held_out) > 0 {
            return Ok(());
        }
        let message = "distill.from: these runs have scored none of the rows to train on, and no test row has a soft label";
        Err(Error::refused(message).with_hint("name runs of folds, which score every training row"))
    }

    /// How many training rows it speaks of that are not held out (sorted numbers).
    fn n_labelled(&self, held_out: &[usize]) -> usize {
        let says = |row: &usize| self.labelled[*row].is_some();
        let is_trained_on = |row: &usize| held_out.binary_search(row).is_err();
        let rows = 0..self.labelled.len();
        rows.filter(says).filter(is_trained_on).count()
    }
}

impl Sums {
    fn new(n_rows: usize) -> Self {
        Self {
            values: Vec::new(),
            n: vec![0; n_rows],
            width: 0,
        }
    }

    fn add(&mut self, rows: impl Iterator<Item = usize>, scores: &Scores) {
        if scores.is_empty() {
            return;
        }
        self.width = scores.width;
        self.values.resize(self.n.len() * scores.width, 0.0);
        for (row, scores) in rows.zip(scores.rows()) {
            let sums = self.values[row * self.width..].iter_mut();
            sums.zip(scores)
                .for_each(|(sum, &score)| *sum += f64::from(score));
            self.n[row] += 1;
        }
    }

    fn mean(&self, row: usize) -> Option<Vec<f64>> {
        let n = self.n[row];
        let sums = (n > 0).then(|| &self.values[row * self.width..][..self.width]);
        sums.map(|sums| sums.iter().map(|sum| sum / n as f64).collect())
    }
}

/// Scores as a label to learn from.
fn soft(scores: &[f64], temperature: f64, labels: LabelKind) -> Target {
    let sigmoid = |score: f64| 1.0 / (1.0 + (-score / temperature).exp());
    match labels {
        LabelKind::Ordinal => Target::Number(scores[0] as f32),
        LabelKind::Binary => {
            let second = sigmoid(scores[0]);
            Target::Probabilities(vec![(1.0 - second) as f32, second as f32])
        }
        LabelKind::Multilabel => {
            let each = scores.iter().map(|&score| sigmoid(score) as f32);
            Target::Probabilities(each.collect())
        }
        LabelKind::Classes => {
            let greatest = scores.iter().copied().fold(f64::MIN, f64::max);
            let each = scores
                .iter()
                .map(|score| ((score - greatest) / temperature).exp());
            let each: Vec<f64> = each.collect();
            let sum: f64 = each.iter().sum();
            Target::Probabilities(each.iter().map(|part| (part / sum) as f32).collect())
        }
    }
}

/// `weight` of the one, the rest of the row's own label.
fn mixed(soft: &Target, own: &Target, weight: f64) -> Target {
    let mix = |soft: f32, own: f32| weight as f32 * soft + (1.0 - weight as f32) * own;
    match (soft, own) {
        (Target::Number(soft), Target::Number(own)) => Target::Number(mix(*soft, *own)),
        (Target::Probabilities(each), own) => {
            let each = (0..).zip(each);
            let mixed = each
                .map(|(class, &soft)| own.probability(class).map_or(soft, |own| mix(soft, own)));
            Target::Probabilities(mixed.collect())
        }
        (soft, _) => soft.clone(),
    }
}

/// Refuses rows beyond the training rows.
fn require_rows(run: &Results, scored: &Scored, n_rows: usize) -> Result<()> {
    let within = scored.rows.partition_point(|&row| row < n_rows); // they ascend
    let Some(row) = scored.rows.get(within) else {
        return Ok(());
    };
    let place = Place::line(run.labelled_file()?, within as u64 + 2).field("row"); // the header is line 1
    let expected = format!("a row below {n_rows}, as many as there are training rows");
    Err(Error::input(place, expected, row).with_hint(CHANGED_HINT))
}

/// Refuses another number of scores than there are test rows.
fn require_length(run: &Results, scores: &Scores, n_rows: usize) -> Result<()> {
    if scores.len() == n_rows {
        return Ok(());
    }
    let place = Place::file(run.test_file()?.unwrap_or_else(|| run.path.clone()));
    let expected = format!("{n_rows} scores, one a row of data.test");
    Err(Error::input(place, expected, scores.len()).with_hint(CHANGED_HINT))
}

/// Row numbers and classes mean the same only over the same files.
fn require_same(run: &Results, experiment: &Experiment, task: &Task) -> Result<()> {
    let refuse = |what: &str, hint: &str| {
        let message = format!("distill.from: {} {what}", run.path.display());
        Err(Error::refused(message).with_hint(hint.to_owned()))
    };
    if run.record.task != *task {
        return refuse(
            "has another task or other classes",
            "name runs of the same [task] and training files",
        );
    }
    if run.inputs("data.valid").next().is_some() {
        return refuse(
            "has scored a validation file of its own, and no training row",
            "name runs whose validation rows are of the training files, best of all folds",
        );
    }
    let differs = |key: &str, paths: &[&Path]| -> Result<bool> {
        let mut theirs = run.inputs(key);
        for path in paths {
            let ours = FileRecord::of(key, path, path)?;
            if !theirs
                .next()
                .is_some_and(|input| input.has_content_of(&ours))
            {
                return Ok(true);
            }
        }
        Ok(theirs.next().is_some())
    };
    let train: Vec<&Path> = experiment.data.train.iter().map(|path| &**path).collect();
    let test: Vec<&Path> = experiment.data.test.iter().map(|path| &**path).collect();
    let hint = "files are compared by content; name a run over the same files";
    if differs("data.train", &train)? {
        return refuse("has other training files", hint);
    }
    let wants_test = experiment.distill.test && run.inputs("data.test").next().is_some();
    if wants_test && differs("data.test", &test)? {
        return refuse("has another test file", hint);
    }
    Ok(())
}

/// Refuses scores of which no label can be made: ranks, of classes those that are no logits, of grades those that are
/// no grades.
fn require_scale(run: &Results) -> Result<()> {
    let refuse = |what: String, hint: &str| {
        let message = format!("distill.from: {} {what}", run.path.display());
        Err(Error::refused(message).with_hint(hint.to_owned()))
    };
    if run.record.has_ranks() {
        return refuse(
            "has scores made of ranks, which say an order alone".to_owned(),
            "blend the runs themselves with `cipherpet ensemble --how mean`",
        );
    }
    let learnt_by = |objective: ObjectiveName| format!("has learnt by `{}`", objective.name());
    let experiment = run.experiment()?;
    if let Some(objective) = experiment.objective_without_logits() {
        return refuse(
            learnt_by(objective) + ", whose scores are no logits",
            "name runs with objective.name = \"pet\" or \"ce\" in what comes last",
        );
    }
    match experiment.objective_of_grades() {
        Some(objective) if !objective.scores_are_grades() => refuse(
            learnt_by(objective) + ", whose scores are on no scale",
            "train the teachers with objective.name = \"mse\" in what comes last",
        ),
        None if run.record.is_ensemble() && run.record.task.labels == LabelKind::Ordinal => refuse(
            "does not say what its runs have learnt by".to_owned(),
            "an earlier version has made it: make it again with `cipherpet ensemble`",
        ),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_become_probabilities_by_the_temperature() {
        let ln4 = 4.0_f64.ln();
        let probabilities =
            |scores: &[f64], temperature, labels| match soft(scores, temperature, labels) {
                Target::Probabilities(each) => each,
                other => panic!("{other:?}"),
            };
        let near = |found: Vec<f32>, expected: &[f32]| {
            let each = found.iter().zip(expected);
            assert!(each.clone().all(|(x, y)| (x - y).abs() < 1e-6), "{found:?}");
        };
        near(probabilities(&[ln4], 1.0, LabelKind::Binary), &[0.2, 0.8]);
        near(
            probabilities(&[ln4], 2.0, LabelKind::Binary),
            &[1.0 / 3.0, 2.0 / 3.0],
        );
        near(
            probabilities(&[ln4, 0.0], 1.0, LabelKind::Classes),
            &[0.8, 0.2],
        );
        near(
            probabilities(&[ln4, 0.0], 1.0, LabelKind::Multilabel),
            &[0.8, 0.5],
        );
        assert_eq!(soft(&[2.5], 3.0, LabelKind::Ordinal), Target::Number(2.5));
    }

    #[test]
    fn the_own_label_keeps_its_part() {
        let soft = Target::Probabilities(vec![0.4, 0.6]);
        let found = mixed(&soft, &Target::Class(1), 0.5);
        assert_eq!(found, Target::Probabilities(vec![0.2, 0.8]));
        assert_eq!(mixed(&soft, &Target::Class(0), 1.0), soft);
        let number = mixed(&Target::Number(1.0), &Target::Number(3.0), 0.25);
        assert_eq!(number, Target::Number(2.5));
    }

    #[test]
    fn runs_that_scored_a_row_share_its_mean_and_others_say_nothing() {
        let mut sums = Sums::new(3);
        sums.add([0, 2].into_iter(), &Scores::single(vec![1.0, 2.0]));
        sums.add([2].into_iter(), &Scores::single(vec![4.0]));
        let means: Vec<_> = (0..3).map(|row| sums.mean(row)).collect();
        assert_eq!(means, [Some(vec![1.0]), None, Some(vec![3.0])]);
    }
}
