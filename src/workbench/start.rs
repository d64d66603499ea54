//! The model a run starts from: the checkpoint with its rows remapped, or fresh values.

use std::path::Path;

use crate::checkpoint::remap::remap;
use crate::checkpoint::{Checkpoint, Heads};
use crate::config::Loaded;
use crate::error::Result;
use crate::kernels;
use crate::model::Bert;
use crate::progress::Progress;
use crate::random::{Key, Purpose};
use crate::vocab::{AlignInput, AlignMethod, Mapping, PlainVocab, TokenCounts, align};

use super::rows::Rows;

/// A model before its first step.
pub struct Start {
    /// One embedding row a token of the run's vocabulary.
    pub model: Bert,
    /// Which plaintext row each of them came from.
    pub mapping: Mapping,
    /// The plaintext vocabulary; the special tokens alone where there is no checkpoint.
    pub plain: PlainVocab,
}

impl Start {
    /// Opens the checkpoint, aligns the vocabularies, and gathers the rows.
    ///
    /// # Errors
    /// Those of the checkpoint, of the counts and of the alignment; `data.max_tokens` beyond the model's
    /// positions.
    pub fn build(loaded: &Loaded, rows: &Rows, progress: &Progress) -> Result<Self> {
        let experiment = &loaded.experiment;
        let dir = experiment.checkpoint.dir.as_deref();
        let mut checkpoint = dir.map(Checkpoint::open).transpose()?;
        let plain = match &checkpoint {
            Some(checkpoint) => checkpoint.plain.clone(),
            None => special_tokens_alone()?,
        };
        let mapping = map(loaded, rows, &plain)?;
        let path = kernels::path::Path::resolve(experiment.train.precision);
        let model = match (checkpoint.take(), dir, mapping.keep_rows(&plain)) {
            (Some(checkpoint), Some(dir), Some(keep)) => {
                checkpoint.require_mlm(dir)?;
                loaded.check_model(&checkpoint.config)?;
                let mut config = checkpoint.config;
                config.vocab_size = keep.len();
                let mut weights = checkpoint.weights;
                remap(&mut weights, &keep);
                Bert::new(config, checkpoint.heads, path, weights)?
            }
            (base, ..) => {
                let base = base.as_ref().map(|checkpoint| &checkpoint.config);
                let config = experiment.scratch_size(base, rows.vocab.size());
                loaded.check_model(&config)?;
                let heads = Heads {
                    mlm: true,
                    pooler: false,
                    nsp: false,
                };
                let key = Key::from_seed(experiment.seed).with(Purpose::Initialise);
                Bert::initialise(config, heads, path, key)?
            }
        };
        say_start(&model, &mapping, experiment.align.method, progress);
        Ok(Self {
            model,
            mapping,
            plain,
        })
    }
}

fn map(loaded: &Loaded, rows: &Rows, plain: &PlainVocab) -> Result<Mapping> {
    let settings = &loaded.experiment.align;
    let counts_path = settings.counts.as_deref();
    let counts = counts_path.map(TokenCounts::read).transpose()?;
    let input = AlignInput {
        cipher: &rows.vocab,
        dictionary: &rows.dictionary,
        plain,
        counts: counts_path.zip(counts.as_ref()),
        file: settings.file.as_deref(),
        key: Key::from_seed(loaded.experiment.seed).with(Purpose::Align),
    };
    align(settings.method, &input)
}

/// Stands in for a checkpoint's vocabulary where a run from scratch has no checkpoint.
fn special_tokens_alone() -> Result<PlainVocab> {
    let names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
    let tokens = names.map(str::to_owned).to_vec();
    PlainVocab::from_tokens(tokens, Path::new("scratch"))
}

fn say_start(model: &Bert, mapping: &Mapping, method: AlignMethod, progress: &Progress) {
    let config = &model.config;
    progress.say(&format!(
        "model: {} layers, {} wide, {} tokens, {:.1} million parameters, from {}",
        config.num_hidden_layers,
        config.hidden_size,
        config.vocab_size,
        model.n_parameters() as f64 / 1e6,
        match method {
            AlignMethod::Rank => "the checkpoint by frequency rank",
            AlignMethod::Random => "random rows of the checkpoint",
            AlignMethod::File => "the checkpoint by a mapping file",
            AlignMethod::Scratch => "fresh values",
        }
    ));
    if mapping.wrapped > 0 {
        progress.say(&format!(
            "alignment: {} ids lie beyond the last counted plaintext token and start again from the first",
            mapping.wrapped
        ));
    }
}
