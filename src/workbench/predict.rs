//! More pairs, scored with what a run has left.
//!
//! In: a run folder and a pair file of the same cipher. Out: their scores in the form of `submission.csv`.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::run::encoder::encode_cut;
use super::run::kept_run::KeptRun;
use super::run::raw_rows::read_rows;
use super::run::{kept_model, stages, warnings};
use super::run_folder::scores::MeanScores;
use super::submission::{self, RowsOf};
use super::{Context, reading};
use crate::config::Experiment;
use crate::data::{Dictionary, EncodedExample, ExampleFormat, Labels, read_examples};
use crate::error::{Error, Result};
use crate::progress::Progress;
use crate::train;
use crate::vocab::CipherVocab;

/// What was scored, and how fast; the object that `--json` prints.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PredictReport {
    /// Where the scores are.
    pub out: PathBuf,
    /// Rows scored.
    pub rows: usize,
    /// Models whose mean they are.
    pub models: usize,
    /// Time in the networks, both orders of a pair together.
    pub seconds: f64,
    /// Rows by that time.
    pub rows_per_second: f64,
    /// Of single rows, where they were scored one by one.
    pub latency: Option<Latency>,
}

/// Times of single rows, from encoded tokens to the score, over all models.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Latency {
    /// Half of the rows took no longer.
    pub p50_milliseconds: f64,
    /// 99 of 100 rows took no longer.
    pub p99_milliseconds: f64,
    /// The slowest row.
    pub largest_milliseconds: f64,
}

impl Latency {
    /// By nearest rank; `None` without rows.
    fn of(mut times: Vec<Duration>) -> Option<Self> {
        times.sort_unstable();
        let rank = |percent: usize| (times.len() * percent).div_ceil(100).max(1) - 1;
        let milliseconds = |rank: usize| times.get(rank).map(|time| time.as_secs_f64() * 1e3);
        Some(Self {
            p50_milliseconds: milliseconds(rank(50))?,
            p99_milliseconds: milliseconds(rank(99))?,
            largest_milliseconds: milliseconds(rank(100))?,
        })
    }
}

/// How rows are scored.
#[derive(Debug, Clone, Copy, Default)]
pub struct PredictOptions {
    /// Each row goes through the network alone, as in a competition that asks for rows one at a time.
    pub one_by_one: bool,
    /// The mean over both orders of the sentences; `None`: as the run's `predict.swap`.
    pub swap: Option<bool>,
}

/// Scores the rows of `pairs` into `out`, in the form of the run's `[submit]` and its sample, with a record beside. A run of folds
/// gives the mean over the folds that are done. A run that was cut will do, once it has finished an epoch, or a fold.
///
/// # Errors
/// [`Error::Refused`] where `run` holds no model, or one that is not what the run has written; [`Error::Input`] where the files of
/// a model do not belong together; those of the readers; [`Error::Interrupted`], which leaves no file.
pub fn predict(
    run: &Path,
    pairs: &Path,
    out: &Path,
    options: PredictOptions,
    Context { progress, stop, .. }: Context<'_>,
) -> Result<PredictReport> {
    let KeptRun {
        loaded,
        models,
        record,
    } = KeptRun::open(run, progress)?;
    let experiment = &reading_of(pairs, &loaded.experiment, progress)?;
    let task = &record.task;
    let mut dictionary = Dictionary::new(experiment.data.tokens);
    // The folds of a run have one vocabulary.
    let vocab = CipherVocab::open(&models[0].join("vocab.txt"), &mut dictionary)?;
    let rows = read_rows(experiment, pairs, Labels::Unused, &mut dictionary, progress)?;
    let encode = |row| encode_cut(row, &vocab, experiment.data.max_tokens);
    let rows: Vec<EncodedExample> = rows.iter().map(encode).collect();
    let whose = pairs.display().to_string();
    let hint = "is it of the cipher that the run was trained on?";
    let unknown = warnings::unknown_tokens(&whose, hint, &rows);
    unknown.iter().for_each(|line| progress.say(line));

    let rows_of = RowsOf::of(pairs, experiment);
    let (submit, lost) = submission::without_lost_sample(&experiment.submit, rows_of);
    let submit = &submit;
    lost.iter().for_each(|line| progress.say(line));
    let of_pairs = (pairs, &experiment.format());
    submission::check_rows((submit, task), of_pairs, rows.len(), rows_of)?;
    let swap = options.swap.unwrap_or(experiment.predict.swap);
    let mut mean = MeanScores::new(rows.len(), task.n_scores());
    let at_once = if options.one_by_one {
        1
    } else {
        train::PREDICT_ROWS
    };
    let objective = stages::scoring_objective(experiment, task, &vocab);
    let mut times = vec![Duration::ZERO; rows.len().div_ceil(at_once)];
    for dir in &models {
        let model = kept_model::open(dir, &loaded, (&vocab, &*objective))?;
        let bar = progress.task("score", rows.len() as u64, "rows");
        let mut times = times.iter_mut();
        let mut begun = Instant::now();
        let scores = train::predict(&*objective, &model, &rows, swap, at_once, &mut |n| {
            *times.next().expect("one entry a batch") += begun.elapsed();
            bar.advance(n as u64);
            begun = Instant::now();
            stop.check()
        })?;
        mean.add(&scores);
    }
    let scores = mean.finish();
    let written = submission::write((&scores, task), of_pairs, (submit, rows_of), out)?;
    written
        .remarks
        .iter()
        .for_each(|remark| progress.say(remark));
    if out.is_file() {
        let source = submission::Source {
            run: run.to_owned(),
            config_sha256: record.config_sha256.clone(),
            weight: 1.0,
        };
        submission::SubmissionRecord::new("predict", vec![source], pairs, submit, &written)
            .write(out, &[(&out.to_string_lossy(), out)])?;
    }
    let seconds = times.iter().sum::<Duration>().as_secs_f64();
    Ok(PredictReport {
        out: out.to_owned(),
        rows: scores.len(),
        models: models.len(),
        seconds,
        rows_per_second: scores.len() as f64 / seconds.max(f64::MIN_POSITIVE),
        latency: Latency::of(times).filter(|_| options.one_by_one),
    })
}

/// The settings of a run, with the way in which `pairs` are written where that is another.
///
/// # Errors
/// Those of [`read_examples`].
pub fn reading_of(
    pairs: &Path,
    experiment: &Experiment,
    progress: &Progress,
) -> Result<Experiment> {
    let read = |format: &ExampleFormat| {
        let mut dictionary = Dictionary::new(format.tokens);
        read_examples(pairs, format, Labels::Unused, &mut dictionary).map(|_| ())
    };
    let mut experiment = experiment.clone();
    let format = experiment.format();
    let Err(error @ Error::Input { .. }) = read(&format) else {
        return Ok(experiment);
    };
    let Ok((other, written)) = reading::detect_further(pairs, &format) else {
        return Err(error);
    };
    let is_written_alike = other.delimiter == format.delimiter && other.header == format.header;
    match read(&other) {
        Ok(()) => {
            let file = pairs.display();
            progress.say(&format!(
                "{file} is not written as the run's files: {written}"
            ));
            experiment.read_as(&other);
            Ok(experiment)
        }
        // What is wrong is told in the way in which the file is written.
        Err(other) => Err(if is_written_alike { error } else { other }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workbench::Stop;
    use crate::workbench::run_folder::names;

    #[test]
    fn more_folds_than_a_list_holds_are_refused() {
        let run = tempfile::tempdir().expect("a folder for the test");
        let config = run.path().join(names::CONFIG);
        std::fs::write(&config, "[folds]\nk = 4294967296\n").expect("a small file");
        let context = Context {
            progress: &Progress::silent(),
            stop: &Stop::default(),
            tensorboard: false,
        };
        let file = run.path().join("pairs.tsv");
        let predicted = predict(run.path(), &file, &file, PredictOptions::default(), context);
        let message = predicted.expect_err("too many").to_string();
        let expected = "config.toml:2:folds.k: expected 1000 or less, found 4294967296";
        assert!(message.ends_with(expected), "{message}");
    }

    #[test]
    fn percentiles_are_by_nearest_rank() {
        let times: Vec<Duration> = (1..=200).rev().map(Duration::from_millis).collect();
        let latency = Latency::of(times).expect("200 rows");
        assert_eq!(latency.p50_milliseconds, 100.0);
        assert_eq!(latency.p99_milliseconds, 198.0);
        assert_eq!(latency.largest_milliseconds, 200.0);
        assert_eq!(Latency::of(vec![]), None);
    }
}
