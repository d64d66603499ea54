//! Reading a BERT folder.
//!
//! In: `config.json`, `model.safetensors` or else `pytorch_model.bin` or a TensorFlow checkpoint, in f32, f16 or bf16 and, for
//! [`Checkpoint::open`], the vocabulary. Out: [`Weights`] in f32 under the names of [`names`], and which heads are there. Every
//! tensor is checked before anything is returned, by [`super::weight_file`].

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::weight_file::{WeightFile, not_torch};
use super::{BertConfig, Heads, Weights, config, names, tensorflow, torch};
use crate::data::source;
use crate::error::{Error, Place, Result};
use crate::vocab::{PlainVocab, missing_folder};

/// A plaintext BERT with its vocabulary.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    /// Its size; `vocab_size` is the length of `plain`.
    pub config: BertConfig,
    /// What the rows of the token embedding stand for.
    pub plain: PlainVocab,
    /// The tensors of [`names::tensors`], all there.
    pub weights: Weights,
    /// The heads in `weights`.
    pub heads: Heads,
}

impl Checkpoint {
    /// Opens a folder or `demo:`.
    ///
    /// # Errors
    /// Those of [`read_model`], those of [`PlainVocab::open`], and [`Error::Input`] where the vocabulary has another
    /// length than `vocab_size`.
    pub fn open(dir: &Path) -> Result<Self> {
        // The vocabulary first: it is read in an instant.
        let config = read_config(dir)?;
        let plain = PlainVocab::open(dir)?;
        if plain.len() != config.vocab_size {
            let file = ["vocab.txt", "tokenizer.json"]
                .map(|name| source::join(dir, name))
                .into_iter()
                .find(|path| source::exists(path))
                .unwrap_or_else(|| dir.to_owned());
            let expected = format!("{} tokens (`vocab_size` in config.json)", config.vocab_size);
            return Err(Error::input(Place::file(file), expected, plain.len())
                .with_hint("vocabulary and model must come from the same checkpoint"));
        }
        let (config, weights, heads) = read_model(dir)?;
        Ok(Self {
            config,
            plain,
            weights,
            heads,
        })
    }

    /// Refuses where there is no MLM head. `dir` is for the message.
    ///
    /// # Errors
    /// [`Error::Input`].
    pub fn require_mlm(&self, dir: &Path) -> Result<()> {
        if self.heads.mlm {
            return Ok(());
        }
        let place = Place::file(source::join(dir, WEIGHTS));
        Err(
            Error::input(place, "an MLM head (`cls.predictions.…`)", "none").with_hint(
                "take a checkpoint that was saved as BertForMaskedLM or BertForPreTraining",
            ),
        )
    }
}

impl Checkpoint {
    /// Refuses where there is no NSP head. `dir` is for the message.
    ///
    /// # Errors
    /// [`Error::Input`].
    pub fn require_nsp(&self, dir: &Path) -> Result<()> {
        if self.heads.nsp {
            return Ok(());
        }
        let place = Place::file(source::join(dir, WEIGHTS));
        let expected = "an NSP head (`cls.seq_relationship.…`)";
        Err(Error::input(place, expected, "none").with_hint(
            "take a checkpoint that was saved as BertForPreTraining or BertForNextSentencePrediction",
        ))
    }
}

/// `config.json` and weights only, no plaintext vocabulary: for the models runs write.
///
/// # Errors
/// Those of [`Stored::read`]; and a stored decoder that differs from the token embedding is refused, because leaving it out
/// would silently change every MLM logit.
pub fn read_model(dir: &Path) -> Result<(BertConfig, Weights, Heads)> {
    let stored = Stored::read(dir)?;
    match stored.untied {
        Some(error) => Err(error),
        None => Ok((stored.config, stored.weights, stored.heads)),
    }
}

/// In which form a folder holds its weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// `model.safetensors`.
    Safetensors,
    /// `pytorch_model.bin`.
    PyTorch,
    /// `bert_model.ckpt.index` and the data beside it.
    TensorFlow,
}

/// A model as its folder holds it, with what only those want to know who look at the folder.
#[derive(Debug)]
pub struct Stored {
    /// Its size.
    pub config: BertConfig,
    /// The tensors of [`names::tensors`], all there.
    pub weights: Weights,
    /// The heads in `weights`.
    pub heads: Heads,
    /// Where the weights lie.
    pub file: PathBuf,
    /// How they are written there.
    pub format: Format,
    /// Types of their numbers as `transformers` calls them, each once.
    pub float_types: Vec<&'static str>,
    /// What [`read_model`] says of a decoder that is no copy of the token embedding.
    pub untied: Option<Error>,
    /// Names in the file of tensors that are no part of this network.
    pub unread: Vec<String>,
    /// `architectures` of the config file.
    pub architectures: Vec<String>,
}

impl Stored {
    /// Reads and checks everything but the vocabulary.
    ///
    /// # Errors
    /// [`Error::Input`] where a file is missing, where the config file is refused by [`BertConfig::read`], and where the weights
    /// are damaged, lack tensors, or have one whose shape, type or numbers cannot be right. It names the file and the tensor.
    pub fn read(dir: &Path) -> Result<Self> {
        let config = read_config(dir)?;
        let architectures = config::architectures(&config_path(dir))?;
        let (path, format) = weights_path(dir)?;
        let bytes = source::read(&path)?;
        let tensors = match format {
            Format::Safetensors => None,
            Format::PyTorch => {
                Some(torch::read(&bytes).map_err(|error| not_torch(&path, &bytes, error))?)
            }
            Format::TensorFlow => Some(tensorflow::read(&path)?),
        };
        let file = match &tensors {
            Some(tensors) => WeightFile::of_stored(&path, tensors, &config)?,
            None => WeightFile::open(&path, &bytes, &config)?,
        };
        file.refuse_other_depth()?;
        let heads = file.heads();
        let table: Vec<_> = names::table(&config, heads).collect();
        file.refuse_missing(&table)?;
        let (float_types, unread) = (file.float_types(&table), file.unread(&table));
        let mut weights = Weights::new();
        for (name, axes) in table {
            let values = file.values(&name, &names::shape(axes, &config, heads), axes)?;
            weights.insert(name, values);
        }
        Ok(Self {
            untied: file.refuse_untied(&weights).err(),
            config,
            weights,
            heads,
            file: path,
            format,
            float_types,
            unread,
            architectures,
        })
    }
}

const CONFIG: &str = "config.json";
/// What Google calls it.
const GOOGLE_CONFIG: &str = "bert_config.json";
const WEIGHTS: &str = "model.safetensors";
/// What is read where there is none.
const TORCH_WEIGHTS: &str = "pytorch_model.bin";
/// What Google calls the index of its weights; one of another name is read where it is the only one.
const GOOGLE_WEIGHTS: &str = "bert_model.ckpt.index";

/// The config file of a folder: of the two names the first that is there; without either, the first.
pub fn config_path(dir: &Path) -> PathBuf {
    let names = [CONFIG, GOOGLE_CONFIG];
    let paths = names.map(|name| source::join(dir, name));
    let there = paths.iter().find(|path| source::exists(path));
    there.unwrap_or(&paths[0]).clone()
}

/// The files of a checkpoint that are there and are read, but for the settings of its tokenizer.
pub fn files(dir: &Path) -> Vec<PathBuf> {
    let vocabularies = ["vocab.txt", "tokenizer.json"];
    let mut files = vec![config_path(dir)];
    files.extend(vocabularies.map(|name| source::join(dir, name)));
    files.retain(|path| source::exists(path));
    if let Ok((path, format)) = weights_path(dir) {
        if format == Format::TensorFlow {
            files.extend(tensorflow::data_files(&path));
        }
        files.push(path);
    }
    files
}

fn read_config(dir: &Path) -> Result<BertConfig> {
    let path = config_path(dir);
    if !source::exists(&path) {
        let found = if dir.is_dir() {
            "no config.json in it"
        } else {
            "no such folder"
        };
        let expected =
            "a BERT folder with config.json, model.safetensors and vocab.txt or tokenizer.json";
        return Err(
            Error::input(Place::file(dir), expected, found).with_hint(missing_folder::hint(dir))
        );
    }
    BertConfig::read(&path)
}

/// The file with the weights; the first of these that is there.
fn weights_path(dir: &Path) -> Result<(PathBuf, Format)> {
    let files = [
        (WEIGHTS, Format::Safetensors),
        (TORCH_WEIGHTS, Format::PyTorch),
        (GOOGLE_WEIGHTS, Format::TensorFlow),
    ];
    let files = files.map(|(name, format)| (source::join(dir, name), format));
    let mut files = files.into_iter();
    if let Some(there) = files.find(|(path, _)| source::exists(path)) {
        return Ok(there);
    }
    let entries = dir.read_dir().into_iter().flatten();
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let is_index = |path: &PathBuf| path.to_string_lossy().ends_with(tensorflow::INDEX);
    let mut indices: Vec<PathBuf> = paths.filter(is_index).collect();
    indices.sort();
    match &indices[..] {
        [] => Err(no_weights(dir)),
        [index] => Ok((index.clone(), Format::TensorFlow)),
        [first, .., last] => {
            let found = format!(
                "{} of them, from {} to {}",
                indices.len(),
                first.display(),
                last.display()
            );
            let place = Place::file(dir);
            Err(
                Error::input(place, "the index of one TensorFlow checkpoint", found)
                    .with_hint("move the others to another folder"),
            )
        }
    }
}

fn no_weights(dir: &Path) -> Error {
    let expected = "model.safetensors, pytorch_model.bin or bert_model.ckpt.index in the folder";
    Error::input(Place::file(dir), expected, "none").with_hint(
        "get it from the BERT's own page, or save the BERT again with save_pretrained of `transformers`",
    )
}

#[cfg(test)]
mod tests;
