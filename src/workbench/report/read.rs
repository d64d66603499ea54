//! What a run folder holds, as far as a report shows it.
//!
//! In: the folder of a run, with or without folds, done or cut. Out: a [`ReportedRun`]. A file that is not there (yet) is an
//! empty list; one that is there and does not hold what it should is an error. The inputs of the run are read again for
//! [`ReportedRun::traits`] where they are as they were. Nothing of a sentence is kept but its number of tokens.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::statistics::BinaryRow;
use crate::config::{Experiment, Valid};
use crate::data::folds::shared_rows;
use crate::data::ids::find_ids;
use crate::data::reserved::UNK;
use crate::data::table::{Quoting, Table};
use crate::data::{Classes, Dictionary, Example, Labels, Scores, Target, Task};
use crate::error::{Error, Place, Result};
use crate::metrics::MetricName;
use crate::progress::Progress;
use crate::random::Key;
use crate::train::EpochReport;
use crate::vocab::CipherVocab;
use crate::workbench::run::encoder::encode_cut;
use crate::workbench::run::raw_rows::read_rows;
use crate::workbench::run_folder::manifest::{FileRecord, State};
use crate::workbench::run_folder::names::{self, ModelName};
use crate::workbench::run_folder::record::{FoldFigures, RunFigures};
use crate::workbench::run_folder::results::Results;
use crate::workbench::run_folder::scores::Scored;

/// A kept cipher token and what it starts from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapped {
    /// Its occurrences.
    pub count: u64,
    /// Those of the plaintext token, 0 where none were counted.
    pub plain_count: u64,
    /// To tell plaintext tokens apart; never shown.
    pub plain_token: String,
}

/// A run, read from its folder.
#[derive(Debug, Clone)]
pub struct ReportedRun {
    /// The folder, as other commands see it.
    pub results: Results,
    /// The last part of its path.
    pub name: String,
    /// `manifest.json`, set out to be read.
    pub manifest: String,
    /// `config.toml` as it stands there.
    pub config: String,
    /// One entry without a number where there are no folds.
    pub folds: Vec<Fold>,
    /// The figures of the fit on all rows, where there is one.
    pub full: Option<FoldFigures>,
    /// What decides which epoch is the best.
    pub metric: MetricName,
    /// Validation rows, or all rows out of fold, by row. It has folds always: 0 where the run has none.
    pub scored: Scored,
    /// The same of two classes; empty for other labels.
    pub binary: Vec<BinaryRow>,
    /// Whether the scores are logits, of which probabilities can be made.
    pub are_logits: bool,
    /// One a kept cipher token.
    pub mapping: Vec<Mapped>,
    /// Of each of `scored`; or why they are not known.
    pub traits: std::result::Result<Vec<Traits>, String>,
}

/// One trained model.
#[derive(Debug, Clone)]
pub struct Fold {
    /// From 1; none where there are no folds.
    pub number: Option<usize>,
    /// `metrics.jsonl`
    pub epochs: Vec<EpochReport>,
    /// The metric of the rows it was not trained on.
    pub score: Option<f64>,
    /// Its figures once it is done.
    pub done: Option<FoldFigures>,
}

/// What can be said of a row without saying what stands in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traits {
    /// Of all its sentences, as the model saw them.
    pub tokens: usize,
    /// How many of them have no row in the vocabulary.
    pub unknown: usize,
    /// Whether a sentence of it stands in a row that its model was trained on, with the label.
    pub shared: bool,
    /// Its id, where the labelled files have a column of ids.
    pub id: Option<String>,
}

impl ReportedRun {
    /// Reads the folder of a run.
    ///
    /// # Errors
    /// [`Error::Refused`] where it is no run, [`Error::Input`] for the first line that is not as the tool writes it,
    /// [`Error::Io`].
    pub fn read(path: &Path) -> Result<Self> {
        let results = Results::open(path)?;
        let manifest = set_out(&path.join(names::MANIFEST))?;
        let config = read_text(&path.join(names::CONFIG))?.unwrap_or_default();
        let mut folds = ModelName::folds_in(path);
        if folds.is_empty() {
            folds.push(ModelName::Single);
        }
        let scored = read_scored(&results, &folds)?;
        let mut run = Self {
            are_logits: are_logits(&results),
            name: name_of(path),
            metric: MetricName::default_for(results.record.task.labels),
            results,
            manifest,
            config,
            binary: binary(&scored),
            scored,
            mapping: read_mapping(&path.join(names::MAPPING))?,
            traits: Ok(Vec::new()),
            folds: Vec::new(),
            full: FoldFigures::read(&ModelName::Full.folder(path))?,
        };
        for fold in folds {
            run.folds
                .push(run.read_fold(fold.fold(), &fold.folder(path))?);
        }
        run.metric = run.read_metric();
        run.read_fold_scores()?;
        run.traits = run.read_traits();
        Ok(run)
    }

    /// Whether the run has ended.
    pub fn is_done(&self) -> bool {
        self.results.record.state == State::Done
    }

    /// The figures of the result; all of them none before the run is done.
    pub fn figures(&self) -> RunFigures {
        self.results.record.result.clone().unwrap_or_default()
    }

    /// What its rows are labelled with.
    pub fn task(&self) -> &Task {
        &self.results.record.task
    }

    /// The metric over all scored rows.
    pub fn score(&self) -> Option<f64> {
        self.figure(&self.scored)
    }

    /// The metric of a table; none where it reads probabilities and the scores are ranks, which are none.
    fn figure(&self, table: &Scored) -> Option<f64> {
        let score = self.metric.of(&table.targets, &table.scores);
        score.filter(|_| self.says_something(self.metric))
    }

    /// Whether a metric says something of scores that may be ranks.
    fn says_something(&self, metric: MetricName) -> bool {
        !(metric.reads_probabilities() && self.results.record.has_ranks())
    }

    /// The 95 % interval of the metric, as the run has recorded it, or computed now.
    pub fn interval(&self) -> Option<(f64, f64)> {
        if !self.says_something(self.metric) {
            return None;
        }
        let figures = self.figures();
        let recorded = figures.oof_score_low.zip(figures.oof_score_high);
        let of_auc = || {
            let recorded = figures.oof_auc_low.zip(figures.oof_auc_high);
            recorded.filter(|_| self.metric == MetricName::Auc)
        };
        recorded.or_else(of_auc).or_else(|| {
            let key = Key::from_seed(self.results.record.seed.unwrap_or(0));
            let Scored {
                targets, scores, ..
            } = &self.scored;
            self.metric.interval(targets, scores, key)
        })
    }

    /// The metric over some of the scored rows.
    pub fn score_of(&self, places: &[usize]) -> Option<f64> {
        self.figure(&self.scored.select(places))
    }

    /// Whether it has folds.
    pub fn has_folds(&self) -> bool {
        self.folds.iter().any(|fold| fold.number.is_some())
    }

    fn read_fold(&self, number: Option<usize>, dir: &Path) -> Result<Fold> {
        Ok(Fold {
            number,
            epochs: read_epochs(&dir.join(names::METRICS))?,
            score: None, // once the metric is known
            done: FoldFigures::read(dir)?,
        })
    }

    /// As recorded, by the run or by an epoch of one that has not ended, or as the settings say. Runs of earlier versions
    /// knew AUC alone, which is the default of their labels.
    fn read_metric(&self) -> MetricName {
        let labels = self.task().labels;
        let of_epoch = || {
            let mut epochs = self.folds.iter().flat_map(|fold| &fold.epochs);
            epochs.next().map(|epoch| epoch.valid.metric)
        };
        let of_settings = || Some(self.results.experiment().ok()?.metric());
        let named = self.figures().metric.or_else(of_epoch);
        named
            .or_else(of_settings)
            .filter(|metric| metric.metric().labels.contains(&labels))
            .unwrap_or(MetricName::default_for(labels))
    }

    fn read_fold_scores(&mut self) -> Result<()> {
        let whole = self.score();
        for fold in &mut self.folds {
            let Some(number) = fold.number else {
                fold.score = whole;
                continue;
            };
            let dir = ModelName::Fold(number).folder(&self.results.path);
            let table = read_valid(&dir.join(names::VALID), &self.results.record.task)?;
            fold.score = table.and_then(|rows| self.metric.of(&rows.targets, &rows.scores));
        }
        Ok(())
    }

    /// The metric and number of the rows none of whose sentences their model was trained on: as recorded, or computed now.
    pub fn grouped(&self) -> Option<(Option<f64>, u64)> {
        let recorded = self.figures().leakage.unwrap_or_default();
        let of_auc = recorded
            .grouped_auc
            .filter(|_| self.metric == MetricName::Auc);
        let score = recorded.grouped_score.or(of_auc);
        if let (Some(rows), Some(_)) = (recorded.grouped_rows, score) {
            return Some((score, rows));
        }
        let traits = self.traits.as_ref().ok()?;
        let unshared = (0..traits.len()).filter(|&at| !traits[at].shared);
        let unshared: Vec<usize> = unshared.collect();
        Some((self.score_of(&unshared), unshared.len() as u64))
    }

    /// Reads the pairs again. The reason where they cannot be known.
    fn read_traits(&self) -> std::result::Result<Vec<Traits>, String> {
        if self.scored.rows.is_empty() {
            return Err("no rows are scored".to_owned());
        }
        if self.results.record.is_ensemble() {
            return Err("an ensemble has no model".to_owned());
        }
        let said = |error: Error| error.to_string();
        let experiment = self.results.experiment().map_err(said)?;
        let mut files = experiment.data.train.clone();
        if let Valid::File(path) = &experiment.data.valid {
            files.insert(0, path.clone()); // its rows count from 0
        }
        for file in &files {
            self.require_unchanged(file)?;
        }
        let (pairs, vocab) = self.read_examples(&experiment, &files).map_err(said)?;
        let mut fold_of = vec![usize::MAX; pairs.len()]; // of the rows that are trained on only
        let folds = self.scored.folds.iter().flatten();
        let scored = || self.scored.rows.iter().copied();
        for ((row, target), &fold) in scored().zip(&self.scored.targets).zip(folds) {
            match pairs.get(row) {
                Some(pair) if pair.target == *target => fold_of[row] = fold,
                _ => return Err(format!("row {row} is another one in the inputs")),
            }
        }
        let shared = shared_rows(&pairs, &fold_of);
        let format = experiment.format();
        let ids = files
            .iter()
            .map(|file| Some(find_ids(file, &format).ok()??.1));
        let ids: Vec<String> = ids.collect::<Option<Vec<_>>>().unwrap_or_default().concat();
        let of_row = |row: usize| {
            let encoded = encode_cut(&pairs[row], &vocab, experiment.data.max_tokens);
            let tokens = || encoded.tokens();
            Traits {
                tokens: tokens().count(),
                unknown: tokens().filter(|&row| row == UNK).count(),
                shared: shared[row],
                id: ids.get(row).cloned(),
            }
        };
        Ok(scored().map(of_row).collect())
    }

    fn require_unchanged(&self, file: &Path) -> std::result::Result<(), String> {
        let now = FileRecord::of("", file, file)
            .map_err(|_| format!("{} cannot be read now", file.display()))?;
        let mut inputs = self.results.record.inputs.iter();
        match inputs.any(|input| input.sha256 == now.sha256) {
            true => Ok(()),
            false => Err(format!("{} has changed since the run", file.display())),
        }
    }

    /// The rows of the files, uncut, and the vocabulary of the model.
    fn read_examples(
        &self,
        experiment: &Experiment,
        files: &[PathBuf],
    ) -> Result<(Vec<Example>, CipherVocab)> {
        let model = self.results.models().into_iter().next();
        let Some(model) = model else {
            return Err(Error::refused("there is no model yet"));
        };
        let vocabulary = model.join("vocab.txt");
        let mut dictionary = Dictionary::new(experiment.data.tokens);
        let vocab = CipherVocab::open(&vocabulary, &mut dictionary)?;
        let mut pairs = Vec::new();
        let mut classes = Classes::of(self.task());
        for file in files {
            let silent = Progress::silent();
            let labels = Labels::Required(&mut classes);
            pairs.extend(read_rows(
                experiment,
                file,
                labels,
                &mut dictionary,
                &silent,
            )?);
        }
        Ok((pairs, vocab))
    }
}

/// The last part of the path, also where it ends in `..` or `.`.
fn name_of(path: &Path) -> String {
    let whole = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let name = whole.file_name().unwrap_or(whole.as_os_str());
    name.to_string_lossy().into_owned()
}

/// The file's text, `None` where there is no such file.
fn read_text(path: &Path) -> Result<Option<String>> {
    match std::fs::read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        read => {
            let bytes = read.map_err(Error::io("read", path))?;
            Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
        }
    }
}

fn changed(place: Place, expected: &str, found: impl ToString) -> Error {
    Error::input(place, expected, found).with_hint(names::CHANGED_HINT)
}

/// Settings that cannot be read say nothing against it.
fn are_logits(results: &Results) -> bool {
    let experiment = results.experiment().ok();
    let without = experiment.and_then(|experiment| experiment.objective_without_logits());
    !results.record.has_ranks() && without.is_none()
}

/// The JSON of a file with one value a line; empty where there is no such file.
fn set_out(path: &Path) -> Result<String> {
    let text = read_text(path)?.unwrap_or_default();
    let value: serde_json::Value = serde_json::from_str(&text)
        .map_err(|error| changed(Place::line(path, error.line() as u64), "JSON", error))?;
    Ok(serde_json::to_string_pretty(&value).unwrap_or_default())
}

/// `oof.csv`, or before it is merged the tables of the folds so far, or `valid.csv`.
fn read_scored(run: &Results, folds: &[ModelName]) -> Result<Scored> {
    let task = &run.record.task;
    if run.labelled_file().is_ok() {
        let mut scored = run.labelled_scores()?;
        let rows = scored.rows.len();
        scored.folds.get_or_insert_with(|| vec![0; rows]);
        return Ok(scored);
    }
    let mut all = Scored {
        scores: Scores::new(task.n_scores()),
        folds: Some(Vec::new()),
        ..Scored::default()
    };
    for fold in folds {
        let table = fold.folder(&run.path).join(names::VALID);
        if let (Some(table), Some(of_rows)) = (read_valid(&table, task)?, &mut all.folds) {
            let number = fold.fold().unwrap_or(0);
            of_rows.resize(of_rows.len() + table.rows.len(), number);
            all.rows.extend(table.rows);
            all.targets.extend(table.targets);
            all.scores.values.extend(table.scores.values);
        }
    }
    let mut places: Vec<usize> = (0..all.rows.len()).collect();
    places.sort_by_key(|&at| all.rows[at]); // stable, and the folds stand in order
    places.dedup_by_key(|at| all.rows[*at]); // repeats, of which one will do until they are merged
    Ok(all.select(&places))
}

/// The rows of a fold's `valid.csv`, none where it is not there.
fn read_valid(path: &Path, task: &Task) -> Result<Option<Scored>> {
    if !path.exists() {
        return Ok(None);
    }
    Scored::read(path, task, false).map(Some)
}

/// Rows with labels 0 and 1; none of those of other labels.
fn binary(table: &Scored) -> Vec<BinaryRow> {
    let folds = table.folds.iter().flatten();
    let rows = table.rows.iter().zip(&table.targets).zip(folds);
    let row = |(at, ((&row, target), &fold)): (usize, ((&usize, &Target), &usize))| {
        Some(BinaryRow {
            row,
            label: target.is_positive()?,
            score: *table.scores.row(at).first()?,
            fold,
        })
    };
    match table.scores.width {
        1 => rows.enumerate().filter_map(row).collect(),
        _ => Vec::new(),
    }
}

/// One report an epoch. A last line that a cut run did not finish is passed over.
fn read_epochs(path: &Path) -> Result<Vec<EpochReport>> {
    let text = read_text(path)?.unwrap_or_default();
    let mut epochs = Vec::new();
    for (number, line) in (1..).zip(text.split_inclusive('\n')) {
        match serde_json::from_str(line) {
            Ok(epoch) => epochs.push(epoch),
            Err(_) if !line.ends_with('\n') => {}
            Err(error) => {
                let place = Place::line(path, number);
                return Err(changed(place, "the report of an epoch", error));
            }
        }
    }
    Ok(epochs)
}

/// The counts of a `mapping.tsv`.
fn read_mapping(path: &Path) -> Result<Vec<Mapped>> {
    let text = read_text(path)?.unwrap_or_default();
    let mut table = Table::new(path, text.as_bytes(), b'\t', Quoting::On);
    let mut rows = Vec::new();
    if !table.advance()? {
        return Ok(rows); // not there
    }
    while table.advance()? {
        let count = |field: usize| table.fields().get(field)?.parse().ok();
        let (Some(count), Some(plain_count)) = (count(1), count(3)) else {
            let expected = "a row of a mapping";
            return Err(changed(table.place(), expected, "no counts in it"));
        };
        rows.push(Mapped {
            count,
            plain_count,
            plain_token: table.fields().get(2).unwrap_or_default().to_owned(),
        });
    }
    Ok(rows)
}

#[cfg(test)]
mod tests;
