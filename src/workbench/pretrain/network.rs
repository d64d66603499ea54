//! The network of a pretraining: how it begins, and how it is left in the order of its vocabulary.
//!
//! In: the checkpoint or sizes, and the rows that are learnt. Out: a [`Bert`] whose rows are those of the run, and a folder whose
//! rows are those of `vocab.txt`. Rows that are not learnt are left as they began. Does not train.

use std::path::Path;

use ndarray::{ArrayD, Axis};

use super::vocabulary::TextVocabulary;
use crate::checkpoint::positions::extend_positions;
use crate::checkpoint::remap::remap;
use crate::checkpoint::{BertConfig, Checkpoint, FloatType, Heads, Weights, names, save};
use crate::config::{Loaded, Pretraining};
use crate::data::reserved;
use crate::error::Result;
use crate::kernels;
use crate::model::Bert;
use crate::progress::Progress;
use crate::random::Purpose;
use crate::vocab::{CipherVocab, PlainId};
use crate::workbench::run::start::say_fresh_heads;
use crate::workbench::run::watch::ModelWriter;

/// Tensors with a row a token.
const BY_TOKEN: [&str; 2] = [names::WORD_EMBEDDINGS, names::MLM_BIAS];

/// A network before its first step.
pub struct Network {
    /// With rows of the run.
    pub model: Bert,
    /// The tensors with a row a token as they began, in the order of the vocabulary.
    began: Weights,
    /// The row in the vocabulary of each row of the run.
    rows: Vec<PlainId>,
}

impl Network {
    /// The checkpoint with a fresh head where it lacks one, or fresh values.
    ///
    /// # Errors
    /// Those of the checkpoint; [`Error::Input`](crate::error::Error::Input) for sizes that cannot be.
    pub fn build(
        loaded: &Loaded<Pretraining>,
        vocabulary: &TextVocabulary,
        vocab: &CipherVocab,
        progress: &Progress,
    ) -> Result<Self> {
        let settings = &loaded.experiment;
        let nsp = settings.learns_nsp();
        let needed = Heads {
            pooler: nsp,
            nsp,
            ..Heads::MLM
        };
        let path = kernels::path::Path::resolve(settings.train.precision);
        let key = settings.key().with(Purpose::Initialise);
        let dir = settings.checkpoint.dir.as_deref();
        let whole = match dir.map(Checkpoint::open).transpose()? {
            Some(checkpoint) => {
                let config = BertConfig {
                    max_position_embeddings: loaded.positions(&checkpoint.config)?,
                    mark_shared: false, // token types tell the texts apart
                    ..checkpoint.config
                };
                loaded.check_model(&config)?;
                say_fresh_heads(checkpoint.heads, needed, progress);
                let heads = checkpoint.heads.without_classifier().and(needed);
                let mut weights = checkpoint.weights;
                extend_positions(&mut weights, config.max_position_embeddings);
                Bert::with_fresh_heads(config, heads, path, weights, key)?.0
            }
            None => {
                let config = settings.scratch_size(vocabulary.plain.len());
                loaded.check_model(&config)?;
                Bert::initialise(config, needed, path, key)?
            }
        };
        let rows = plain_rows(vocabulary, vocab);
        let mut weights = whole.weights();
        let began = weights
            .iter()
            .filter(|(name, _)| BY_TOKEN.contains(&name.as_str()));
        let began = began.map(|(name, values)| (name.clone(), values.clone()));
        let began: Weights = began.collect();
        remap(&mut weights, &rows);
        let config = BertConfig {
            vocab_size: rows.len(),
            ..whole.config.clone()
        };
        let model = Bert::new(config, whole.heads, path, weights)?;
        say(&model, vocabulary.plain.len(), dir, progress);
        Ok(Self { model, began, rows })
    }

    /// How its model is left.
    pub fn writer(self, vocabulary: &TextVocabulary) -> (Bert, PlainModelWriter<'_>) {
        let writer = PlainModelWriter {
            vocabulary,
            began: self.began,
            rows: self.rows,
        };
        (self.model, writer)
    }

    /// Weights of the network as it is left.
    pub fn n_parameters(&self) -> usize {
        let grown = self.began.values().map(ArrayD::len).sum::<usize>();
        names::n_weights(&self.model.config, self.model.heads) + grown
    }
}

/// The row in the vocabulary of each row of the run. `[NO]` and `[YES]`, which nothing asks for, begin as `[UNK]`.
fn plain_rows(vocabulary: &TextVocabulary, vocab: &CipherVocab) -> Vec<PlainId> {
    let specials = vocabulary.plain.specials();
    let mut rows = vec![
        specials.pad,
        specials.unk,
        specials.cls,
        specials.sep,
        specials.mask,
        specials.unk,
        specials.unk,
    ];
    rows.extend(vocab.kept.iter().map(|&(id, _)| PlainId(id.0)));
    rows
}

fn say(model: &Bert, n_tokens: usize, dir: Option<&Path>, progress: &Progress) {
    let config = &model.config;
    progress.say(&format!(
        "model: {} layers, {} wide, {} of {n_tokens} tokens, from {}",
        config.num_hidden_layers,
        config.hidden_size,
        config.vocab_size - reserved::FIRST_CIPHER as usize,
        match dir {
            Some(_) => "the checkpoint",
            None => "fresh values",
        }
    ));
    progress.say(&format!("products: {}", model.path()));
}

/// Leaves a model with its rows in the order of the vocabulary.
pub struct PlainModelWriter<'a> {
    vocabulary: &'a TextVocabulary,
    began: Weights,
    rows: Vec<PlainId>,
}

impl ModelWriter for PlainModelWriter<'_> {
    fn write(&self, model: &Bert, dir: &Path) -> Result<()> {
        let mut weights = model.weights();
        for (name, began) in &self.began {
            let trained = &weights[name];
            let mut whole = began.clone();
            for (row, plain) in self.rows.iter().enumerate() {
                if [reserved::NO, reserved::YES].contains(&(row as u32)) {
                    continue; // tokens of our own
                }
                let mut place = whole.index_axis_mut(Axis(0), plain.0 as usize);
                place.assign(&trained.index_axis(Axis(0), row));
            }
            weights.insert(name.clone(), whole);
        }
        let config = BertConfig {
            vocab_size: self.vocabulary.plain.len(),
            ..model.config.clone()
        };
        save(dir, &config, &weights, model.heads, FloatType::F32)?;
        self.vocabulary.write(dir)
    }
}
