//! More pairs, scored with what a run has left.
//!
//! In: a run folder and a pair file of the same cipher. Out: one score a line, as in `submission.csv`.

use std::path::{Path, PathBuf};

use super::done::FoldName;
use super::results::Results;
use super::rows::read_truncated;
use super::scores::MeanScores;
use super::{Stop, folder, folds, submission};
use crate::checkpoint::read::read_model;
use crate::config::{self, Experiment};
use crate::data::{Dictionary, EncodedPair, Labels};
use crate::error::{Error, Result};
use crate::kernels;
use crate::model::Bert;
use crate::progress::Progress;
use crate::train;
use crate::vocab::CipherVocab;

/// Scores the rows of `pairs` into `out`, in the form of the run's `[submit]`, with a record beside; returns their
/// number. A run of folds gives the mean over the folds that are done. A run that was cut will do, once it has finished
/// an epoch, or a fold.
///
/// # Errors
/// [`Error::Refused`] where `run` holds no model; those of the readers; [`Error::Interrupted`], which leaves
/// no file.
pub fn predict(
    run: &Path,
    pairs: &Path,
    out: &Path,
    (progress, stop): (&Progress, &Stop),
) -> Result<usize> {
    let config_file = run.join(folder::CONFIG);
    require_file(run, &config_file)?;
    let experiment = config::load(Some(&config_file), &[])?.experiment;
    let models = models(run, &experiment, progress)?;
    let mut dictionary = Dictionary::new(experiment.data.tokens);
    // The folds of a run have one vocabulary.
    let vocab = CipherVocab::open(&models[0].join("vocab.txt"), &mut dictionary)?;
    let rows = read_truncated(
        &experiment,
        pairs,
        Labels::Ignored,
        &mut dictionary,
        progress,
    )?;
    let rows: Vec<EncodedPair> = rows.iter().map(|pair| vocab.encode(pair)).collect();

    let path = kernels::path::Path::resolve(experiment.train.precision);
    let mut mean = MeanScores::new(rows.len());
    for dir in &models {
        let (config, weights, heads) = read_model(dir)?;
        let model = Bert::new(config, heads, path, weights)?;
        mean.add(&score(
            &model,
            &rows,
            experiment.predict.swap,
            (progress, stop),
        )?);
    }
    let (scores, submit) = (mean.finish(), &experiment.submit);
    let written = submission::write(&scores, (pairs, &experiment.format()), submit, out)?;
    written
        .remarks
        .iter()
        .for_each(|remark| progress.say(remark));
    if out.is_file() {
        let source = submission::Source {
            run: run.to_owned(),
            config_sha256: Results::open(run)?.record.config_sha256,
            weight: 1.0,
        };
        submission::Record::new("predict", vec![source], pairs, submit, &written)
            .write(out, &[(&out.to_string_lossy(), out)])?;
    }
    Ok(scores.len())
}

/// The folders of the models whose mean is the run's answer; one at least.
fn models(run: &Path, experiment: &Experiment, progress: &Progress) -> Result<Vec<PathBuf>> {
    let mut folders = vec![run.to_owned()];
    if experiment.folds.k > 0 {
        folders = folds::names(experiment)
            .into_iter()
            .filter(|&name| name != FoldName::Full)
            .map(|name| name.folder(run))
            .collect();
        let n = folders.len();
        folders.retain(|folder| folder.join(folder::DONE).exists());
        if folders.is_empty() {
            require_file(run, &FoldName::Number(1).folder(run).join(folder::DONE))?;
        }
        progress.say(&format!("the mean of {} of {n} folds", folders.len()));
    }
    for folder in &mut folders {
        folder.push(folder::MODEL);
        require_file(run, &folder.join("model.safetensors"))?;
    }
    Ok(folders)
}

fn require_file(run: &Path, file: &Path) -> Result<()> {
    if file.exists() {
        return Ok(());
    }
    let message = format!(
        "{} is no run with a model: it has no {}",
        run.display(),
        file.display()
    );
    let hint =
        "`cipherpet run` makes one, from its first epoch (with folds, from its first fold) on";
    Err(Error::refused(message).with_hint(hint))
}

/// Scores rows under a progress bar.
///
/// # Errors
/// [`Error::Interrupted`].
pub fn score(
    model: &Bert,
    rows: &[EncodedPair],
    swap: bool,
    (progress, stop): (&Progress, &Stop),
) -> Result<Vec<f32>> {
    let task = progress.task("score", rows.len() as u64, "rows");
    train::predict(model, rows, swap, &mut |n| {
        task.advance(n as u64);
        stop.check()
    })
}
