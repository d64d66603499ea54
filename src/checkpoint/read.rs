//! Reading a BERT folder.
//!
//! In: `config.json`, `model.safetensors` or else `pytorch_model.bin`, in f32, f16 or bf16 and, for [`Checkpoint::open`], the vocabulary. Out:
//! [`Weights`] in f32 under the names of [`names`], and which heads are there. Every tensor is checked before
//! anything is returned: its presence, shape and type, that its numbers are finite, and that a tied copy equals
//! what it is tied to. Does not read TensorFlow checkpoints.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use ndarray::{ArrayD, IxDyn};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use super::names::{self, Axis};
use super::torch::StoredTensor;
use super::{BertConfig, Weights, torch};
use crate::data::source;
use crate::error::{Error, Place, Result};
use crate::vocab::{PlainVocab, missing_folder};

/// Which heads a network has. `nsp` implies `pooler`. The default is none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Heads {
    /// Masked tokens: `cls.predictions.*`.
    pub mlm: bool,
    /// `bert.pooler.*`.
    pub pooler: bool,
    /// Next sentence: `cls.seq_relationship.*`.
    pub nsp: bool,
    /// Number of outputs, from 1, of a linear head for a task: `classifier.*`.
    pub classifier: Option<usize>,
}

impl Heads {
    /// The MLM head alone.
    pub const MLM: Self = Self {
        mlm: true,
        pooler: false,
        nsp: false,
        classifier: None,
    };

    /// The heads of both; a classifier has as many outputs as that of `other`, where it has one.
    pub fn and(self, other: Self) -> Self {
        Self {
            mlm: self.mlm || other.mlm,
            pooler: self.pooler || other.pooler,
            nsp: self.nsp || other.nsp,
            classifier: other.classifier.or(self.classifier),
        }
    }

    /// The same heads without the classifier.
    pub fn without_classifier(self) -> Self {
        Self {
            classifier: None,
            ..self
        }
    }

    /// What there is, one head at a time.
    pub fn each(self) -> impl Iterator<Item = Self> {
        let none = Self::default();
        let one = |there: bool, head: Self| there.then_some(head);
        [
            one(
                self.pooler,
                Self {
                    pooler: true,
                    ..none
                },
            ),
            one(self.mlm, Self::MLM),
            one(self.nsp, Self { nsp: true, ..none }),
            self.classifier.map(|n| Self {
                classifier: Some(n),
                ..none
            }),
        ]
        .into_iter()
        .flatten()
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self == Self::default()
    }
}

/// As one says them: `MLM head, pooler`.
impl fmt::Display for Heads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = [
            (self.mlm, "MLM head"),
            (self.pooler, "pooler"),
            (self.nsp, "NSP head"),
            (self.classifier.is_some(), "classifier"),
        ];
        let there = names.iter().filter(|(there, _)| *there);
        let names: Vec<&str> = there.map(|(_, name)| *name).collect();
        f.write_str(&names.join(", "))
    }
}

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
        let (weights, heads) = read_weights(dir, &config)?;
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

/// `config.json` and weights only, no plaintext vocabulary: for the models runs write.
///
/// # Errors
/// [`Error::Input`] where a file is missing, where `config.json` is refused by [`BertConfig::read`], and where
/// `model.safetensors` is damaged, lacks tensors, or has one whose shape, type or numbers cannot be right. It names the file
/// and the tensor. A stored decoder that differs from the token embedding is refused, because leaving
/// it out would silently change every MLM logit.
pub fn read_model(dir: &Path) -> Result<(BertConfig, Weights, Heads)> {
    let config = read_config(dir)?;
    let (weights, heads) = read_weights(dir, &config)?;
    Ok((config, weights, heads))
}

const CONFIG: &str = "config.json";
const WEIGHTS: &str = "model.safetensors";
/// What is read where there is none.
const TORCH_WEIGHTS: &str = "pytorch_model.bin";

fn read_config(dir: &Path) -> Result<BertConfig> {
    let path = source::join(dir, CONFIG);
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

fn read_weights(dir: &Path, config: &BertConfig) -> Result<(Weights, Heads)> {
    let files = [WEIGHTS, TORCH_WEIGHTS].map(|name| source::join(dir, name));
    let path = files.iter().find(|path| source::exists(path));
    let path = path.ok_or_else(|| no_weights(dir))?;
    let bytes = source::read(path)?;
    let stored = match path.ends_with(TORCH_WEIGHTS) {
        true => Some(torch::read(&bytes).map_err(|error| not_torch(path, &bytes, error))?),
        false => None,
    };
    let file = match &stored {
        Some(tensors) => WeightFile::of_torch(path, tensors)?,
        None => WeightFile::open(path, &bytes)?,
    };
    file.refuse_other_depth(config)?;
    let heads = file.heads(config);
    let table: Vec<_> = names::table(config, heads).collect();
    file.refuse_missing(&table)?;
    let mut weights = Weights::new();
    for (name, axes) in table {
        let values = file.values(&name, &names::shape(axes, config, heads), axes)?;
        weights.insert(name, values);
    }
    file.refuse_untied(&weights, config)?;
    Ok((weights, heads))
}

fn no_weights(dir: &Path) -> Error {
    let expected = "model.safetensors or pytorch_model.bin in the folder";
    Error::input(Place::file(dir), expected, "none").with_hint(
        "get it from the BERT's own page, or save the BERT again with save_pretrained of `transformers`",
    )
}

/// A file of PyTorch that is not read. One of before 1.6 is no zip archive.
fn not_torch(path: &Path, bytes: &[u8], found: String) -> Error {
    let error = Error::input(
        Place::file(path),
        "tensors as torch.save stores them",
        found,
    );
    let is_old = bytes.starts_with(b"\x80\x02");
    // Names are arguments in quotes of the shell: inside the script, `$(…)` in a name would be run.
    let name = path.display().to_string();
    match shlex::try_quote(&name) {
        Ok(name) if is_old => error.with_hint(format!(
            "it is of PyTorch before 1.6; store it anew: python -c \"import sys, torch; \
             torch.save(torch.load(sys.argv[1], map_location='cpu', weights_only=True), sys.argv[1])\" {name}"
        )),
        _ => error.with_hint(pointer_or_cut(bytes)),
    }
}

/// The tensors of one file under our names.
struct WeightFile<'a> {
    path: PathBuf,
    tensors: BTreeMap<String, TensorView<'a>>,
}

impl<'a> WeightFile<'a> {
    fn open(path: &Path, bytes: &'a [u8]) -> Result<Self> {
        let file = SafeTensors::deserialize(bytes).map_err(|error| damaged(path, bytes, &error))?;
        Self::of(path, file.tensors())
    }

    fn of_torch(path: &Path, tensors: &'a [StoredTensor]) -> Result<Self> {
        let views = tensors.iter().map(|tensor| {
            let shape = tensor.shape.clone();
            let view = TensorView::new(tensor.dtype, shape, &tensor.bytes);
            let view = view.map_err(|error| Error::Unexpected(error.to_string()))?;
            Ok((tensor.name.clone(), view))
        });
        Self::of(path, views.collect::<Result<Vec<_>>>()?)
    }

    fn of(path: &Path, tensors: Vec<(String, TensorView<'a>)>) -> Result<Self> {
        // Sorted, so that which error comes first does not depend on the reader's hash map.
        let stored: BTreeMap<_, _> = tensors.into_iter().collect();
        let mut tensors = BTreeMap::new();
        for (name, view) in stored {
            let ours = names::canonical(&name);
            if tensors.insert(ours.clone(), view).is_some() {
                let place = Place::file(path).field(&name);
                let expected = format!("`{ours}` once");
                return Err(Error::input(place, expected, "it under two names")
                    .with_hint("save the checkpoint again with one of the two"));
            }
        }
        // A file may hold the bias of the MLM decoder under the decoder's name only.
        if !tensors.contains_key(names::MLM_BIAS)
            && let Some(bias) = tensors.remove(names::DECODER_BIAS)
        {
            tensors.insert(names::MLM_BIAS.to_owned(), bias);
        }
        Ok(Self {
            path: path.to_owned(),
            tensors,
        })
    }

    fn place(&self, name: &str) -> Place {
        Place::file(&self.path).field(name)
    }

    /// A head is there if any of its tensors is; what it lacks is then reported as missing. Many architectures call
    /// something a classifier: one of another shape than ours is not counted.
    fn heads(&self, config: &BertConfig) -> Heads {
        let any = |rows: &[(&str, &[Axis])]| {
            rows.iter()
                .any(|(name, _)| self.tensors.contains_key(*name))
        };
        let nsp = any(names::NSP);
        let shape = |name| self.tensors.get(name).map(|view| view.shape());
        let classifier = match (
            shape(names::CLASSIFIER_WEIGHT),
            shape(names::CLASSIFIER_BIAS),
        ) {
            (Some(&[n, width]), Some(&[m])) if n == m && n > 0 && width == config.hidden_size => {
                Some(n)
            }
            _ => None,
        };
        Heads {
            mlm: any(names::MLM),
            pooler: nsp || any(names::POOLER),
            nsp,
            classifier,
        }
    }

    /// A config with another number of layers is that of another model. Seen before the table is made, which
    /// is as long as `num_hidden_layers` says.
    fn refuse_other_depth(&self, config: &BertConfig) -> Result<()> {
        let layers = self.tensors.keys().filter_map(|name| {
            let (layer, _) = name.strip_prefix(names::LAYER_PREFIX)?.split_once('.')?;
            layer.parse::<usize>().ok()
        });
        let n_layers = layers.max().map_or(0, |last| last.saturating_add(1));
        if n_layers == config.num_hidden_layers {
            return Ok(());
        }
        let key = "(`num_hidden_layers` in config.json)";
        let expected = format!("{} encoder layers {key}", config.num_hidden_layers);
        let found = match self.tensors.keys().next() {
            Some(name) if n_layers == 0 => format!("none, but `{name}`"),
            _ => n_layers.to_string(),
        };
        Err(Error::input(Place::file(&self.path), expected, found).with_hint(OTHER_CONFIG))
    }

    fn refuse_missing(&self, table: &[(String, &[Axis])]) -> Result<()> {
        /// As many as one reads.
        const LISTED: usize = 6;
        let missing: Vec<_> = table
            .iter()
            .filter(|(name, _)| !self.tensors.contains_key(name))
            .map(|(name, _)| format!("`{name}`"))
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        let mut expected = missing[..missing.len().min(LISTED)].join(", ");
        if missing.len() > LISTED {
            expected += &format!(" and {} more", missing.len() - LISTED);
        }
        let found = format!("{} of {} tensors", table.len() - missing.len(), table.len());
        Err(Error::input(Place::file(&self.path), expected, found).with_hint(OTHER_CONFIG))
    }

    /// The tensor `name`, which is there, in f32.
    fn values(&self, name: &str, shape: &[usize], axes: &[Axis]) -> Result<ArrayD<f32>> {
        let view = &self.tensors[name];
        if view.shape() != shape {
            let expected = format!("shape {shape:?}");
            let found = format!("{:?}", view.shape());
            return Err(
                Error::input(self.place(name), expected, found).with_hint(shape_hint(axes, shape))
            );
        }
        let values = floats(view).ok_or_else(|| {
            Error::input(
                self.place(name),
                "numbers of type F32, F16 or BF16",
                view.dtype(),
            )
            .with_hint("save the checkpoint again as float32")
        })?;
        if let Some(x) = values.iter().find(|x| !x.is_finite()) {
            return Err(
                Error::input(self.place(name), "finite numbers", x).with_hint(
                    "the checkpoint was saved from a training that diverged, or is damaged",
                ),
            );
        }
        Ok(ArrayD::from_shape_vec(IxDyn(shape), values)
            .expect("safetensors checks the number of bytes"))
    }

    /// Copies that `transformers` ties are left out of [`Weights`], so they must be copies.
    fn refuse_untied(&self, weights: &Weights, config: &BertConfig) -> Result<()> {
        let copies: [(&str, &str, &[Axis]); 2] = [
            (
                names::DECODER_WEIGHT,
                names::WORD_EMBEDDINGS,
                &[Axis::Vocab, Axis::Hidden],
            ),
            (names::DECODER_BIAS, names::MLM_BIAS, &[Axis::Vocab]),
        ];
        for (copy, original, axes) in copies {
            let (true, Some(original_values)) =
                (self.tensors.contains_key(copy), weights.get(original))
            else {
                continue;
            };
            let values = self.values(copy, original_values.shape(), axes)?;
            if let Some(at) = values.iter().zip(original_values).position(|(a, b)| a != b) {
                let row = at / (values.len() / config.vocab_size);
                let expected = format!("the numbers of `{original}`, to which it is tied");
                return Err(Error::input(self.place(copy), expected, format!("others from row {row} on"))
                    .with_hint("a decoder of its own is not supported; take a checkpoint with tie_word_embeddings = true"));
            }
        }
        Ok(())
    }
}

const OTHER_CONFIG: &str = "is config.json that of this file?";

fn shape_hint(axes: &[Axis], shape: &[usize]) -> String {
    let mut lengths: Vec<_> = axes
        .iter()
        .zip(shape)
        .filter_map(|(axis, length)| Some(format!("{} = {length}", axis.key()?)))
        .collect();
    lengths.dedup();
    if lengths.is_empty() {
        return OTHER_CONFIG.to_owned();
    }
    format!("config.json says {}; {OTHER_CONFIG}", lengths.join(", "))
}

fn damaged(path: &Path, bytes: &[u8], error: &safetensors::SafeTensorError) -> Error {
    let found = format!("{} bytes ({error})", bytes.len());
    Error::input(Place::file(path), "a complete safetensors file", found)
        .with_hint(pointer_or_cut(bytes))
}

fn pointer_or_cut(bytes: &[u8]) -> &'static str {
    match bytes.starts_with(b"version https://git-lfs") {
        true => "this is a pointer of Git LFS: fetch the file itself with `git lfs pull`",
        false => "the file is cut off or damaged: copy or download it again",
    }
}

/// The numbers of a tensor; `None` for types that are not read.
fn floats(view: &TensorView) -> Option<Vec<f32>> {
    let pairs = || view.data().as_chunks::<2>().0.iter();
    match view.dtype() {
        Dtype::F32 => Some(
            view.data()
                .as_chunks::<4>()
                .0
                .iter()
                .map(|&b| f32::from_le_bytes(b))
                .collect(),
        ),
        Dtype::F16 => Some(pairs().map(|&b| f16::from_le_bytes(b).to_f32()).collect()),
        Dtype::BF16 => Some(pairs().map(|&b| bf16::from_le_bytes(b).to_f32()).collect()),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
