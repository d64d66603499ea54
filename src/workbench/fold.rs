//! One model into one folder: the fit that a single split, each fold and the fit on all rows share.
//!
//! In: a folder, rows, a [`Start`] and options, whose key is the root of all random streams. Out: in the folder
//! `metrics.jsonl`, `model/` (the best epoch) and `valid.csv`; in memory a [`Trained`]. Does not choose rows, and does
//! not write scores of the test rows: their file has another name in each place.

use std::path::Path;

use super::rows::{FitRows, Rows};
use super::start::Start;
use super::watch::{ModelWriter, RunWatch};
use super::{Stop, folder, predict, submission};
use crate::config::Experiment;
use crate::error::Result;
use crate::model::Bert;
use crate::progress::Progress;
use crate::random::Key;
use crate::train::{self, FitReport, TrainingData};

/// A model to train.
pub struct Fit<'a> {
    /// Where it goes. The folder is there and is ours.
    pub dir: &'a Path,
    /// The settings of the run.
    pub experiment: &'a Experiment,
    /// The vocabulary, and the rows to score.
    pub rows: &'a Rows,
    /// The rows to train on and to hold out.
    pub fit_rows: &'a FitRows,
    /// What the model begins as.
    pub start: &'a Start,
    /// Root of all random streams of this fit.
    pub key: Key,
}

/// A model that is trained and on disk.
pub struct Trained {
    /// At its best epoch.
    pub model: Bert,
    /// How it came about.
    pub report: FitReport,
}

impl Fit<'_> {
    /// Trains, and leaves the best epoch in `model/` and its scores of the held-out rows in `valid.csv`.
    ///
    /// # Errors
    /// Those of the start and of training; what was finished stays.
    pub fn train(&self, (progress, stop): (&Progress, &Stop)) -> Result<Trained> {
        let mut options = self.experiment.train_options();
        options.key = self.key;
        let mut model = self.start.model(self.key)?;
        let names = self.rows.vocab.names(&self.rows.dictionary);
        let writer = ModelWriter::new(self.dir, names, &self.experiment.data.token_separator);
        let data = TrainingData {
            train: &self.fit_rows.train,
            valid: &self.fit_rows.valid,
        };
        let sizes = (
            train::total_steps(data.train.len(), &options),
            options.epochs,
            data.valid.len(),
        );
        let mut watch = RunWatch::new(self.dir, &writer, (progress, stop), sizes)?;
        let report = train::fit(&mut model, &data, &options, &mut watch)?;
        if watch.saved_epoch != Some(report.best_epoch) {
            writer.write(&model)?;
        }
        self.write_valid(&report.valid_scores)?;
        Ok(Trained { model, report })
    }

    /// Scores of the test rows by the trained model; none where there is no test file.
    ///
    /// # Errors
    /// [`Error::Interrupted`](crate::error::Error::Interrupted).
    pub fn score_test(
        &self,
        model: &Bert,
        context: (&Progress, &Stop),
    ) -> Result<Option<Vec<f32>>> {
        if self.experiment.data.test.is_none() {
            return Ok(None);
        }
        let swap = self.experiment.predict.swap;
        predict::score(model, &self.rows.test, swap, context).map(Some)
    }

    fn write_valid(&self, scores: &[f32]) -> Result<()> {
        let rows = &self.fit_rows;
        let labels = rows.valid.iter().map(|row| row.label == Some(true));
        let scored = rows.valid_numbers.iter().zip(labels).zip(scores);
        let table: Vec<_> = scored
            .map(|((&number, label), &score)| (number, label, score))
            .collect();
        submission::write_valid(&table, &self.dir.join(folder::VALID))
    }
}
