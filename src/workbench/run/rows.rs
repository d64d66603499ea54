//! From files of examples to rows of the run's vocabulary: read, truncate, count, split, encode.
//!
//! In: the files of an experiment. Out: its [`Rows`] and its task. Does not train.

use std::collections::BTreeMap;
use std::path::Path;

use super::augmented::Augmented;
use super::teacher::Teacher;
use super::warnings;
use crate::config::{Experiment, Stage, StageRows, UnlabelledRows, Valid};
use crate::data::truncate::truncate_all;
use crate::data::{
    Classes, Dictionary, EncodedExample, Example, Folds, LabelKind, Labels, Task, ValidSplit,
    closure, read_examples, split,
};
use crate::error::{Error, Place, Result};
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

/// Rows as they were read, truncated.
struct RawRows {
    task: Task,
    train: Vec<Example>,
    held_out: Vec<usize>,
    valid_file: Vec<Example>,
    test: Vec<Example>,
    extra: Vec<Example>,
    of_stages: BTreeMap<String, Vec<Example>>,
}

impl Rows {
    /// Reads every file of `[data]` and builds the vocabulary from all rows that take part.
    ///
    /// # Errors
    /// Those of [`read_examples`] and of [`Folds::deal`]; [`Error::Input`] where nothing is left to train on or no token
    /// is frequent enough.
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
        let augmented = Augmented::read(experiment, &vocab, &mut dictionary, progress)?;
        let encode = |rows: &[Example]| rows.iter().map(|row| vocab.encode(row)).collect();
        let of_stages = raw.of_stages.iter();
        let mut rows = Self {
            augmented,
            teacher: Teacher::default(),
            of_stages: of_stages
                .map(|(stage, rows)| (stage.clone(), encode(rows)))
                .collect(),
            labelled: encode(&raw.train),
            held_out: raw.held_out,
            folds,
            valid_file: encode(&raw.valid_file),
            test: encode(&raw.test),
            extra: encode(&raw.extra),
            dictionary,
            vocab,
            task: raw.task,
        };
        rows.say_unknown_tokens(experiment, progress);
        rows.teacher = Teacher::read(experiment, &rows.task, [&rows.labelled, &rows.test])?;
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

    /// The rows that a stage of a fit has at its disposal: labelled ones first, then those that can only join the MLM. A stage
    /// that looks at no label has the rows in an order of their own, whichever are held out: the same for every fold.
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
        // Test rows with a soft label are labelled rows.
        let is_taught = looks_at_labels && wants(StageRows::Labelled) && self.teacher.knows_test();
        if wants(StageRows::Test) || is_taught {
            let test = self.test.iter().cloned().enumerate();
            rows.extend(test.map(|(number, row)| EncodedExample {
                target: self.teacher.of_test(number),
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
        match looks_at_labels {
            true => rows,
            false => rows
                .into_iter()
                .map(EncodedExample::without_target)
                .collect(),
        }
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
            let implied = closure(&train);
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
        for stage in &stages {
            let rows = self.of_stage(stage, &fit);
            let labelled = rows.iter().filter(|row| row.target.is_known()).count();
            let name = match stages.len() {
                1 => String::new(),
                _ => format!("stage {}: ", stage.name),
            };
            progress.say(&format!(
                "{name}rows: {labelled} labelled and {} unlabelled to train, {} to validate, {} to score",
                rows.len() - labelled,
                fit.valid.len(),
                self.test.len()
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

/// Nearly all rows hang together: no group of components holds about a tenth of them.
fn no_group_split() -> Error {
    let found = "shared sentences that tie nearly all rows together";
    let place = Place::file("data.valid");
    Error::input(place, "components of shared sentences to hold out", found)
        .with_hint("use data.valid = \"row10\", or a validation file of your own")
}

impl RawRows {
    fn read(
        experiment: &Experiment,
        dictionary: &mut Dictionary,
        progress: &Progress,
    ) -> Result<Self> {
        let data = &experiment.data;
        let format = experiment.format();
        let mut classes = Classes::new(&format);
        let mut read = |path: &Path, labels: Labels<'_>| {
            read_truncated(experiment, path, labels, dictionary, progress)
        };
        let mut train = Vec::new();
        for path in &data.train {
            train.extend(read(path, Labels::Required(&mut classes))?);
        }
        classes.close(&mut train);
        let task = format.task(&classes)?;
        let (held_out, valid_file) = match &data.valid {
            Valid::File(path) => (Vec::new(), read(path, Labels::Required(&mut classes))?),
            Valid::Split(_) if experiment.folds.k > 0 => (Vec::new(), Vec::new()),
            Valid::Split(split) => {
                let numbers = split::valid_rows(&train, *split);
                if numbers.is_empty() && *split == ValidSplit::Group {
                    return Err(no_group_split());
                }
                (numbers, Vec::new())
            }
        };
        if held_out.len() == train.len() && !train.is_empty() {
            let place = Place::file("data.valid");
            let expected = "a split that leaves rows to train on";
            return Err(Error::input(place, expected, "none left")
                .with_hint("add rows to data.train, or set data.valid = \"none\""));
        }
        let test = match &data.test {
            Some(path) => read(path, Labels::Ignored)?,
            None => Vec::new(),
        };
        let mut extra = Vec::new();
        for path in &data.unlabelled {
            extra.extend(read(path, Labels::Ignored)?);
        }
        let mut of_stages = BTreeMap::new();
        for stage in experiment.stages() {
            let mut rows = Vec::new();
            for path in &stage.files {
                rows.extend(read(path, Labels::Ignored)?);
            }
            if !rows.is_empty() {
                of_stages.insert(stage.name, rows);
            }
        }
        Ok(Self {
            task,
            train,
            held_out,
            valid_file,
            test,
            extra,
            of_stages,
        })
    }

    fn count(&self, experiment: &Experiment, progress: &Progress) -> Result<CipherVocab> {
        let min_count = experiment.vocab.min_count;
        // Rows that no step will see must not earn their tokens a row of the embedding.
        let extra: &[Example] = if experiment.learns_from(UnlabelledRows::Extra) {
            &self.extra
        } else {
            &[]
        };
        let groups = [&self.train, &self.valid_file, &self.test];
        let of_stages = self.of_stages.values().flatten();
        let rows = groups.into_iter().flatten().chain(extra).chain(of_stages);
        let vocab = CipherVocab::count(rows, min_count);
        if vocab.kept.is_empty() {
            let place = Place::file("vocab.min_count");
            let expected = format!("a token that stands in the rows {min_count} times or more");
            return Err(Error::input(place, expected, "none").with_hint("lower vocab.min_count"));
        }
        progress.say(&format!(
            "vocabulary: {} tokens with min_count {min_count}; {} rarer ones ({} occurrences) are [UNK]",
            vocab.kept.len(),
            vocab.rare_types,
            vocab.rare_tokens
        ));
        Ok(vocab)
    }
}

/// Reads one file and truncates its rows. Says once where labels are there and not wanted.
///
/// # Errors
/// Those of [`read_examples`].
pub fn read_truncated(
    experiment: &Experiment,
    path: &Path,
    labels: Labels<'_>,
    dictionary: &mut Dictionary,
    progress: &Progress,
) -> Result<Vec<Example>> {
    let are_ignored = matches!(labels, Labels::Ignored);
    let mut file = read_examples(path, &experiment.format(), labels, dictionary)?;
    if let Some(found) = &file.found_columns {
        progress.say(&format!("{}: {found}, by their names", path.display()));
    }
    if file.has_labels && are_ignored {
        progress.say(&format!(
            "{}: has labels, which are ignored",
            path.display()
        ));
    }
    let max_tokens = experiment.data.max_tokens;
    let n_cut = truncate_all(&mut file.examples, max_tokens);
    let n_rows = file.examples.len();
    let cut = warnings::cut_rows(path, n_cut, n_rows, ("data.max_tokens", max_tokens));
    cut.iter().for_each(|line| progress.say(line));
    Ok(file.examples)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Target;

    /// 20 rows `i 0 <TAB> i+1 0 <TAB> i%2`, a labelled test file and an extra file.
    fn experiment(folder: &Path) -> Experiment {
        let write = |name: &str, text: String| {
            let path = folder.join(name);
            std::fs::write(&path, text).expect("a small file");
            path
        };
        let train = (0..20)
            .map(|i| format!("{i} 0\t{} 0\t{}\n", i + 1, i % 2))
            .collect();
        let mut experiment = Experiment::default();
        experiment.data.train = vec![write("train.tsv", train)];
        experiment.data.test = Some(write("test.tsv", "1\t2\t1\n3\t4\t0\n".to_owned()));
        experiment.data.unlabelled = vec![write("extra.tsv", "77\t77\n".to_owned())];
        experiment.vocab.min_count = 1;
        experiment
    }

    #[test]
    fn validation_and_test_rows_join_training_without_labels_and_only_there() {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let experiment = experiment(folder.path());
        let all = Rows::read(&experiment, &Progress::silent()).expect("good files");
        let rows = all
            .fit(&all.held_out, &experiment, &Progress::silent())
            .expect("no pairs are asked for");
        let stage = &experiment.stages()[0];
        let learnt = all.of_stage(stage, &rows);
        assert_eq!(rows.valid_numbers, [0, 10]);
        assert_eq!((rows.train.len(), learnt.len()), (18, 18 + 2 + 2 + 1));
        assert!(learnt[..18].iter().all(|row| row.target.is_known()));
        assert!(learnt[18..].iter().all(|row| !row.target.is_known()));
        assert!(rows.valid.iter().all(|row| row.target == Target::Class(0)));
        assert!(all.test.iter().all(|row| !row.target.is_known()));
        assert_eq!(learnt[18].a, rows.valid[0].a);
    }

    #[test]
    fn a_stage_without_labels_has_the_same_rows_whichever_are_held_out() {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let experiment = experiment(folder.path());
        let all = Rows::read(&experiment, &Progress::silent()).expect("good files");
        let mut stage = experiment.stages().remove(0);
        stage.objective = ObjectiveName::Mlm;
        let of = |held_out: &[usize], stage: &Stage| {
            let rows = all
                .fit(held_out, &experiment, &Progress::silent())
                .expect("no pairs are asked for");
            all.of_stage(stage, &rows)
        };
        let rows = of(&[0, 10], &stage);
        assert_eq!(rows, of(&[3, 4, 5], &stage));
        assert_eq!(rows.len(), 20 + 2 + 1);
        assert!(rows.iter().all(|row| !row.target.is_known()));
        // Without the held-out rows it depends on them.
        stage.rows.retain(|&source| source != StageRows::Valid);
        assert_ne!(of(&[0, 10], &stage), of(&[3, 4, 5], &stage));
    }

    #[test]
    fn files_of_a_stage_are_read_and_counted_for_it_alone() {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let mut experiment = experiment(folder.path());
        let more = folder.path().join("more.tsv");
        std::fs::write(&more, "88\t88\n").expect("a small file");
        let text = format!("[[stage]]\nname = \"first\"\nobjective = \"mlm\"\nfiles = {more:?}\n");
        let text = text + "[[stage]]\nname = \"task\"\n";
        experiment.stage = toml::from_str::<Experiment>(&text)
            .expect("two stages")
            .stage;
        let all = Rows::read(&experiment, &Progress::silent()).expect("good files");
        let rows = all
            .fit(&all.held_out, &experiment, &Progress::silent())
            .expect("no pairs are asked for");
        let [first, task] = &experiment.stages()[..] else {
            panic!("two stages")
        };
        let (first, task) = (all.of_stage(first, &rows), all.of_stage(task, &rows));
        assert_eq!(first.len(), 20 + 2 + 1 + 1);
        assert_eq!(task.len(), 18 + 2 + 2 + 1);
        assert_eq!(
            all.vocab.row(crate::data::CipherId(88)),
            Some(first[23].a[0])
        );
    }

    #[test]
    fn rows_that_take_no_part_do_not_shape_the_vocabulary() {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let mut experiment = experiment(folder.path());
        let all = Rows::read(&experiment, &Progress::silent()).expect("good files");
        experiment.train.unlabelled = vec![];
        let few = Rows::read(&experiment, &Progress::silent()).expect("good files");
        let trained = few
            .fit(&few.held_out, &experiment, &Progress::silent())
            .expect("no pairs are asked for");
        assert_eq!(few.of_stage(&experiment.stages()[0], &trained).len(), 18);
        assert_eq!(all.vocab.kept.len(), few.vocab.kept.len() + 1); // 77
    }

    #[test]
    fn a_vocabulary_without_tokens_is_refused() {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let mut experiment = experiment(folder.path());
        experiment.vocab.min_count = 1000;
        let error = Rows::read(&experiment, &Progress::silent())
            .err()
            .expect("no token is that frequent");
        assert_eq!(
            error.to_string(),
            "vocab.min_count: expected a token that stands in the rows 1000 times or more, found none"
        );
    }
}
