//! The tensors of one file of weights, under our names, checked one by one.
//!
//! In: tensors as a file stores them, in f32, f16 or bf16. Out: which heads are there, and numbers in f32. Every tensor that is
//! asked for is checked: its presence, shape and type, that its numbers are finite, and that a tied copy equals what it is tied to.
//! Does not know where files lie: that is [`super::read`].

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use ndarray::{ArrayD, IxDyn};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use super::names::{self, Axis};
use super::{BertConfig, Heads, Weights};
use crate::error::{Error, Place, Result};

/// A tensor, contiguous.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredTensor {
    /// As in the file.
    pub name: String,
    /// Of its numbers.
    pub dtype: Dtype,
    /// Lengths of its axes.
    pub shape: Vec<usize>,
    /// Little-endian, row after row.
    pub bytes: Vec<u8>,
}

/// Bytes of tensors that may come out of a file of `length` bytes, or be inflated from it. A tied weight is read once for each of its
/// names, and there are few; a small file in which any number of names share their numbers would fill the memory.
pub(super) fn most_bytes(length: usize) -> usize {
    length.saturating_mul(4).saturating_add(1 << 20)
}

/// The tensors of one file under our names.
pub(super) struct WeightFile<'a> {
    path: PathBuf,
    config: BertConfig,
    tensors: BTreeMap<String, TensorView<'a>>,
}

impl<'a> WeightFile<'a> {
    pub(super) fn open(path: &Path, bytes: &'a [u8], config: &BertConfig) -> Result<Self> {
        let file = SafeTensors::deserialize(bytes).map_err(|error| damaged(path, bytes, &error))?;
        Self::of(path, file.tensors(), config)
    }

    pub(super) fn of_stored(
        path: &Path,
        tensors: &'a [StoredTensor],
        config: &BertConfig,
    ) -> Result<Self> {
        let views = tensors.iter().map(|tensor| {
            let shape = tensor.shape.clone();
            let view = TensorView::new(tensor.dtype, shape, &tensor.bytes);
            let view = view.map_err(|error| Error::Unexpected(error.to_string()))?;
            Ok((tensor.name.clone(), view))
        });
        Self::of(path, views.collect::<Result<Vec<_>>>()?, config)
    }

    fn of(
        path: &Path,
        tensors: Vec<(String, TensorView<'a>)>,
        config: &BertConfig,
    ) -> Result<Self> {
        // Sorted, so that which error comes first does not depend on the reader's hash map.
        let stored: BTreeMap<_, _> = tensors.into_iter().collect();
        let mut tensors = BTreeMap::new();
        for (name, view) in stored {
            let ours = names::of_stored(config, &name);
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
            config: config.clone(),
            tensors,
        })
    }

    /// A tensor with one of our names, as the file calls it.
    fn place(&self, name: &str) -> Place {
        Place::file(&self.path).field(names::stored(&self.config, name))
    }

    /// A head is there if any of its tensors is; what it lacks is then reported as missing. Many architectures call
    /// something a classifier: one of another shape than ours is not counted.
    pub(super) fn heads(&self) -> Heads {
        let any = |rows: &[names::Row]| {
            rows.iter()
                .any(|(name, ..)| self.tensors.contains_key(*name))
        };
        let nsp = any(names::NSP);
        let shape = |name| self.tensors.get(name).map(|view| view.shape());
        let classifier = match (
            shape(names::CLASSIFIER_WEIGHT),
            shape(names::CLASSIFIER_BIAS),
        ) {
            (Some(&[n, width]), Some(&[m]))
                if n == m && n > 0 && width == self.config.hidden_size =>
            {
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
    pub(super) fn refuse_other_depth(&self) -> Result<()> {
        let layers = self.tensors.keys().filter_map(|name| {
            let (layer, _) = name.strip_prefix(names::LAYER_PREFIX)?.split_once('.')?;
            layer.parse::<usize>().ok()
        });
        let n_layers = layers.max().map_or(0, |last| last.saturating_add(1));
        let wanted = self.config.n_distinct_layers();
        if n_layers == wanted {
            return Ok(());
        }
        let expected = match self.config.albert {
            Some(_) => format!("{wanted} groups of layers (`num_hidden_groups` in config.json)"),
            None => format!("{wanted} encoder layers (`num_hidden_layers` in config.json)"),
        };
        let found = match self.tensors.keys().next() {
            Some(name) if n_layers == 0 => format!("none, but `{name}`"),
            _ => n_layers.to_string(),
        };
        Err(Error::input(Place::file(&self.path), expected, found).with_hint(OTHER_CONFIG))
    }

    pub(super) fn refuse_missing(&self, table: &[(String, &[Axis])]) -> Result<()> {
        /// As many as one reads.
        const LISTED: usize = 6;
        let missing: Vec<_> = table
            .iter()
            .filter(|(name, _)| !self.tensors.contains_key(name))
            .map(|(name, _)| format!("`{}`", names::stored(&self.config, name)))
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
    pub(super) fn values(&self, name: &str, shape: &[usize], axes: &[Axis]) -> Result<ArrayD<f32>> {
        let view = &self.tensors[name];
        if view.shape() != shape {
            let expected = format!("shape {shape:?}");
            let found = format!("{:?}", view.shape());
            return Err(
                Error::input(self.place(name), expected, found).with_hint(shape_hint(
                    axes,
                    shape,
                    &self.config,
                )),
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

    /// The types of the table's tensors, each once, as `transformers` calls them.
    pub(super) fn float_types(&self, table: &[(String, &[Axis])]) -> Vec<&'static str> {
        let dtypes = table.iter().filter_map(|(name, _)| self.tensors.get(name));
        let names: BTreeSet<&str> = dtypes
            .map(|view| match view.dtype() {
                Dtype::F32 => "float32",
                Dtype::F16 => "float16",
                Dtype::BF16 => "bfloat16",
                _ => "another type",
            })
            .collect();
        names.into_iter().collect()
    }

    /// Names of the tensors that are neither in the table nor tied to one of them nor constants that some files hold.
    pub(super) fn unread(&self, table: &[(String, &[Axis])]) -> Vec<String> {
        let read: BTreeSet<&str> = table.iter().map(|(name, _)| name.as_str()).collect();
        let tied = [names::DECODER_WEIGHT, names::DECODER_BIAS];
        let is_unread = |name: &&String| {
            !read.contains(name.as_str())
                && !tied.contains(&name.as_str())
                && !names::is_constant(name)
        };
        self.tensors.keys().filter(is_unread).cloned().collect()
    }

    /// Copies that `transformers` ties are left out of [`Weights`], so they must be copies.
    pub(super) fn refuse_untied(&self, weights: &Weights) -> Result<()> {
        let copies: [(&str, &str, &[Axis]); 2] = [
            (
                names::DECODER_WEIGHT,
                names::WORD_EMBEDDINGS,
                &[Axis::Vocab, Axis::Embedding],
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
                let row = at / (values.len() / self.config.vocab_size);
                let expected = format!("the numbers of `{original}`, to which it is tied");
                return Err(Error::input(self.place(copy), expected, format!("others from row {row} on"))
                    .with_hint("a decoder of its own is not supported; take a checkpoint with tie_word_embeddings = true"));
            }
        }
        Ok(())
    }
}

pub(super) const OTHER_CONFIG: &str = "is config.json that of this file?";

fn shape_hint(axes: &[Axis], shape: &[usize], config: &BertConfig) -> String {
    let mut lengths: Vec<_> = axes
        .iter()
        .zip(shape)
        .filter_map(|(axis, length)| Some(format!("{} = {length}", axis.key(config)?)))
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

/// How what was found ends where a file of PyTorch calls a function.
pub(super) const CALLED: &str = "which makes no tensor; nothing was called";

/// A file of PyTorch that is not read. One of before 1.6 is no zip archive.
pub(super) fn not_torch(path: &Path, bytes: &[u8], found: String) -> Error {
    let is_call = found.ends_with(CALLED);
    let error = Error::input(
        Place::file(path),
        "tensors as torch.save stores them",
        found,
    );
    if is_call {
        return error.with_hint(
            "save the weights alone: torch.save(model.state_dict(), FILE); where the file is not your own, load it nowhere else \
             either: it may run what it likes",
        );
    }
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
