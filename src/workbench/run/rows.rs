//! From files of examples to rows of the run's vocabulary, and the rows of each fit and stage.
//!
//! In: the files of an experiment. Out: its [`Rows`] and its task. Does not train.

use std::collections::BTreeMap;

use super::augmented::{self, Augmented};
use super::encoder::Encoder;
use super::objectives::objective;
use super::raw_rows::RawRows;
use super::teacher::Teacher;
use super::warnings;
use crate::config::{Experiment, Stage, StageRows, UnlabelledRows};
use crate::data::{Dictionary, EncodedExample, Folds, LabelKind, Target, Task, closure};
use crate::error::Result;
use crate::objective::ObjectiveName;
use crate::progress::Progress;
use crate::vocab::CipherVocab;

/// All rows of a run.
pub struct Rows {
    /// Texts of a row, kind of its label, and the names of the classes that the training files hold.
    pub task: Task,
    /// Names of the cipher ids.
    pub dictionary: Dictionary,
    /// The rows of the model's embedding.
    pub vocab: CipherVocab,
    /// Every row of the training files, in file order.
    pub labelled: Vec<EncodedExample>,
    /// Sorted numbers of the labelled rows that `data.valid` holds out; none with folds.
    pub held_out: Vec<usize>,
    /// Who holds out which labelled row, where the experiment has folds.
    pub folds: Option<Folds>,
    /// The rows of a validation file of its own; empty where there is none.
    pub valid_file: Vec<EncodedExample>,
    /// Rows to score, in file order; empty where there is no test file.
    pub test: Vec<EncodedExample>,
    /// Further rows for the MLM.
    pub extra: Vec<EncodedExample>,
    /// Rows of the files that a stage has for itself, by the name of the stage.
    pub of_stages: BTreeMap<String, Vec<EncodedExample>>,
    /// Pairs that a generator has written for the training rows.
    augmented: Augmented,
    /// What finished runs say of the rows.
    teacher: Teacher,
}

/// The rows of one fit.
pub struct FitRows {
    /// Labelled rows to train on.
    pub train: Vec<EncodedExample>,
    /// Labelled rows that are not trained on.
    pub valid: Vec<EncodedExample>,
    /// Number of each validation row, from 0: over all training files, or in the validation file.
    pub valid_numbers: Vec<usize>,
}

impl Rows {
    /// Reads every file of `[data]` and builds the vocabulary from all rows that take part.
    ///
    /// # Errors
    /// Those of [`RawRows::read`], [`RawRows::count`] and [`Folds::deal`].
    pub fn read(experiment: &Experiment, progress: &Progress) -> Result<Self> {
        let mut dictionary = Dictionary::new(experiment.data.tokens);
        let raw = RawRows::read(experiment, &mut dictionary, progress)?;
        let vocab = raw.count(experiment, progress)?;
        let vocab = vocab.with_class_tokens(n_class_tokens(experiment, &raw.task));
        let deal = |options| Folds::deal(&raw.train, &raw.test, options, &raw.task);
        let folds = experiment.fold_options().map(deal).transpose()?;
        if let Some(folds) = &folds {
            progress.say(&folds.describe());
        }
        let written = augmented::read_tables(experiment, &mut dictionary, progress)?;
        let mut encoder = Encoder::new(&vocab, experiment.data.max_tokens);
        let labelled = encoder.numbered(&raw.train);
        let valid_file = encoder.numbered(&raw.valid_file);
        let test = encoder.numbered(&raw.test);
        let of_stages = raw.of_stages.iter();
        let of_stages = of_stages.map(|(stage, rows)| (stage.clone(), encoder.unnumbered(rows)));
        let mut rows = Self {
            of_stages: of_stages.collect(),
            extra: encoder.unnumbered(&raw.extra),
            augmented: Augmented::encoded(experiment, &written, &mut encoder),
            teacher: Teacher::default(),
            labelled,
            held_out: raw.held_out,
            folds,
            valid_file,
            test,
            dictionary,
            vocab,
            task: raw.task,
        };
        rows.say_unknown_tokens(experiment, progress);
        let mut stages = experiment.stages().into_iter();
        let has_order = stages.any(|stage| stage.objective == ObjectiveName::Nsp);
        warnings::rows_trained_on(&rows.valid_file, &rows.labelled, has_order)
            .iter()
            .for_each(|line| progress.say(line));
        let own_rows = [&rows.labelled[..], &rows.test];
        rows.teacher = Teacher::read(experiment, &rows.task, own_rows, progress)?;
        Ok(rows)
    }

    /// The rows that judge the model of a single split.
    pub fn judged(&self) -> impl Iterator<Item = &EncodedExample> {
        let held_out = self.held_out.iter().map(|&row| &self.labelled[row]);
        held_out.chain(&self.valid_file)
    }

    fn say_unknown_tokens(&self, experiment: &Experiment, progress: &Progress) {
        let rare = "a lower vocab.min_count gives more of them a row of their own";
        let other = "is it of the same cipher as the training rows?";
        let mut files = vec![
            ("the training rows", rare, &self.labelled),
            ("the validation file", other, &self.valid_file),
            ("the test file", other, &self.test),
        ];
        if experiment.learns_from(UnlabelledRows::Extra) {
            files.push(("data.unlabelled", other, &self.extra));
        }
        let lines = files
            .into_iter()
            .filter_map(|(whose, hint, rows)| warnings::unknown_tokens(whose, hint, rows));
        lines.for_each(|line| progress.say(&line));
    }

    /// Every row whose tokens the vocabulary counts.
    pub fn counted(&self, experiment: &Experiment) -> impl Iterator<Item = &EncodedExample> {
        let extra: &[EncodedExample] = match experiment.learns_from(UnlabelledRows::Extra) {
            true => &self.extra,
            false => &[],
        };
        let groups = [&self.labelled, &self.valid_file, &self.test];
        let of_stages = self.of_stages.values().flatten();
        groups.into_iter().flatten().chain(extra).chain(of_stages)
    }

    /// The rows that a stage of a fit learns from: labelled ones first, then those that can only join the MLM. A stage that
    /// looks at no label has the rows in an order of their own, whichever are held out: the same for every fold.
    pub fn of_stage(&self, stage: &Stage, fit: &FitRows) -> Vec<EncodedExample> {
        let wants = |source| stage.rows.contains(&source);
        let mut rows: Vec<EncodedExample> = Vec::new();
        let looks_at_labels = !stage.objective.labels().is_empty();
        if !looks_at_labels && wants(StageRows::Labelled) && wants(StageRows::Valid) {
            rows.extend_from_slice(&self.labelled);
            rows.extend_from_slice(&self.valid_file);
        } else {
            if wants(StageRows::Labelled) {
                rows.extend_from_slice(&fit.train);
            }
            if wants(StageRows::Valid) {
                rows.extend(
                    fit.valid
                        .iter()
                        .cloned()
                        .map(EncodedExample::without_target),
                );
            }
        }
        // Test rows with a soft label are labelled rows, where a guess does not become a sure label.
        let may_guess = stage.objective.takes_soft_labels();
        let is_taught = may_guess && wants(StageRows::Labelled) && self.teacher.knows_test();
        if wants(StageRows::Test) || is_taught {
            let test = self.test.iter().cloned().enumerate();
            rows.extend(test.map(|(number, row)| EncodedExample {
                target: match may_guess {
                    true => self.teacher.of_test(number),
                    false => Target::Unknown,
                },
                ..row
            }));
        }
        if wants(StageRows::Extra) {
            rows.extend_from_slice(&self.extra);
        }
        rows.extend(
            self.of_stages
                .get(&stage.name)
                .into_iter()
                .flatten()
                .cloned(),
        );
        if !looks_at_labels {
            rows.iter_mut().for_each(|row| row.target = Target::Unknown);
        }
        if !stage.learns_without_labels() {
            let objective = objective(stage, &self.task, &self.vocab);
            rows.retain(|row| objective.uses(&row.target));
        }
        rows
    }

    /// The rows of one fit: `held_out` (sorted) validate, with those of a validation file; the other labelled ones train.
    ///
    /// # Errors
    /// Those of [`Rows::written_pairs`].
    pub fn fit(
        &self,
        held_out: &[usize],
        experiment: &Experiment,
        progress: &Progress,
    ) -> Result<FitRows> {
        let (mut valid, mut train, mut numbers) = (Vec::new(), Vec::new(), Vec::new());
        for (number, row) in self.labelled.iter().enumerate() {
            if held_out.binary_search(&number).is_ok() {
                valid.push(row.clone());
                continue;
            }
            train.push(row.clone());
            numbers.push(number);
        }
        let taught = self.teacher.describe(held_out);
        taught.iter().for_each(|line| progress.say(line));
        if experiment.data.transitive_closure {
            let implied = closure(&train, experiment.data.max_tokens);
            let contradicting = match implied.n_contradictions {
                0 => String::new(),
                n => format!("; {n} groups contradict themselves and give none"),
            };
            progress.say(&format!(
                "transitive closure: {} pairs more{contradicting}",
                implied.pairs.len()
            ));
            train.extend(implied.pairs);
        }
        let written = self.written_pairs(held_out)?;
        if !written.is_empty() {
            progress.say(&format!("data.augment: {} pairs more", written.len()));
            train.extend_from_slice(written);
        }
        let missing = warnings::missing_classes(&train, &self.task);
        // Now only: all that is said above is said of the rows' own labels.
        for (row, number) in train.iter_mut().zip(numbers) {
            row.target = self.teacher.of_labelled(number, &row.target);
        }
        let mut valid_numbers = held_out.to_vec();
        valid_numbers.extend(0..self.valid_file.len());
        valid.extend_from_slice(&self.valid_file);
        let fit = FitRows {
            train,
            valid,
            valid_numbers,
        };
        let stages = experiment.stages();
        let n_shared = experiment.shared_stages().len();
        for (at, stage) in stages.iter().enumerate() {
            let rows = self.of_stage(stage, &fit);
            let objective = objective(stage, &self.task, &self.vocab);
            let labelled = rows.iter().filter(|row| objective.uses(&row.target));
            let labelled = labelled.count();
            let name = match stages.len() {
                1 => String::new(),
                _ => format!("stage {}: ", stage.name),
            };
            // A stage that folds and seeds share is judged by no row and scores none, as its epochs say.
            let others = match at < n_shared {
                true => String::new(),
                false => {
                    let (valid, test) = (fit.valid.len(), self.test.len());
                    format!(", {valid} to validate, {test} to score")
                }
            };
            let unlabelled = rows.len() - labelled;
            progress.say(&format!(
                "{name}rows: {labelled} labelled and {unlabelled} unlabelled to train{others}"
            ));
        }
        missing.iter().for_each(|line| progress.say(line));
        Ok(fit)
    }

    /// The pairs of `data.augment` for a model that holds these rows out (sorted numbers).
    ///
    /// # Errors
    /// [`Error::Refused`] where none were written for such a model.
    pub fn written_pairs(&self, held_out: &[usize]) -> Result<&[EncodedExample]> {
        self.augmented.of(held_out)
    }

    /// Refuses runs of `distill.from` that say nothing to a model that holds these rows out (sorted numbers).
    ///
    /// # Errors
    /// [`Error::Refused`].
    pub fn require_taught(&self, held_out: &[usize]) -> Result<()> {
        self.teacher.require_use(held_out)
    }
}

/// Tokens of classes that the vocabulary needs behind the cipher tokens: one a class, where an objective asks the MLM head
/// for more than yes or no.
fn n_class_tokens(experiment: &Experiment, task: &Task) -> usize {
    let mut stages = experiment.stages().into_iter();
    match task.labels {
        LabelKind::Classes if stages.any(|stage| stage.objective == ObjectiveName::Pet) => {
            task.classes.len()
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests;
