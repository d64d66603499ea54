//! A model that a run has left, ready to score.
//!
//! In: its folder, the settings it was trained with, and what must fit it. Out: a [`Bert`]. A file in a run folder is input
//! like any other: a model whose files do not belong together is refused, not used. Scores nothing.

use std::path::Path;

use crate::checkpoint::read::read_model;
use crate::checkpoint::{BertConfig, Heads};
use crate::config::Loaded;
use crate::error::{Error, Place, Result};
use crate::kernels;
use crate::model::Bert;
use crate::objective::Objective;
use crate::vocab::CipherVocab;
use crate::workbench::run_folder::names::WEIGHTS;

/// The way out where the files do not belong together.
const CHANGED: &str =
    "the folder was changed since the run: put its files back, or run it again in a new folder";

/// Opens the model in `dir`.
///
/// # Errors
/// [`Error::Input`] where its files do not belong together, or it cannot answer as the objective asks; those of
/// [`read_model`].
pub fn open(
    dir: &Path,
    loaded: &Loaded,
    (vocab, objective): (&CipherVocab, &dyn Objective),
) -> Result<Bert> {
    // What helps with a BERT or with settings is no help with a model that fitted both when it was trained.
    let changed = |error: Error| error.with_hint(CHANGED);
    let (config, weights, heads) = read_model(dir).map_err(changed)?;
    loaded.check_model(&config).map_err(changed)?;
    require_fitting(dir, (&config, heads), (vocab, objective))?;
    let path = kernels::path::Path::resolve(loaded.experiment.train.precision);
    Bert::new(config, heads, path, weights)
}

fn require_fitting(
    dir: &Path,
    (config, heads): (&BertConfig, Heads),
    (vocab, objective): (&CipherVocab, &dyn Objective),
) -> Result<()> {
    if vocab.size() != config.vocab_size {
        let place = Place::file(dir.join("vocab.txt"));
        let expected = format!("{} tokens, as config.json says", config.vocab_size);
        return Err(Error::input(place, expected, vocab.size()).with_hint(CHANGED));
    }
    if heads.and(objective.heads()) != heads {
        let place = Place::file(dir.join(WEIGHTS));
        let expected = "the heads that the objective needs";
        return Err(Error::input(place, expected, "others").with_hint(CHANGED));
    }
    Ok(())
}
