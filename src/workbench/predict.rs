//! More pairs, scored with what a run has left.
//!
//! In: a run folder and a pair file of the same cipher. Out: one score a line, as in `submission.csv`.

use std::path::Path;

use super::rows::read_truncated;
use super::{Stop, folder, submission};
use crate::checkpoint::read::read_model;
use crate::config;
use crate::data::{Dictionary, EncodedPair, Labels};
use crate::error::{Error, Result};
use crate::kernels;
use crate::model::Bert;
use crate::progress::Progress;
use crate::train;
use crate::vocab::CipherVocab;

/// Scores the rows of `pairs` into `out`; returns their number. A run that was cut will do, once it has
/// finished an epoch.
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
    let model_dir = run.join(folder::MODEL);
    let config_file = run.join(folder::CONFIG);
    for needed in [&config_file, &model_dir.join("model.safetensors")] {
        if !needed.exists() {
            let message = format!(
                "{} is no run with a model: it has no {}",
                run.display(),
                needed.display()
            );
            return Err(Error::refused(message)
                .with_hint("`cipherpet run` makes one, from its first epoch on"));
        }
    }
    let experiment = config::load(Some(&config_file), &[])?.experiment;
    let mut dictionary = Dictionary::new(experiment.data.tokens);
    let vocab = CipherVocab::open(&model_dir.join("vocab.txt"), &mut dictionary)?;
    let rows = read_truncated(
        &experiment,
        pairs,
        Labels::Ignored,
        &mut dictionary,
        progress,
    )?;
    let rows: Vec<EncodedPair> = rows.iter().map(|pair| vocab.encode(pair)).collect();

    let (config, weights, heads) = read_model(&model_dir)?;
    let path = kernels::path::Path::resolve(experiment.train.precision);
    let model = Bert::new(config, heads, path, weights)?;
    let scores = score(&model, &rows, experiment.predict.swap, (progress, stop))?;
    submission::write(&scores, out, None)?;
    Ok(scores.len())
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
