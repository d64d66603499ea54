//! Folders of BERT, ALBERT, NEZHA and RoFormer in and out, in the layout of Hugging Face; those of Google in.
//!
//! A folder holds `config.json`, `model.safetensors` (or, to be read only, `pytorch_model.bin` or a TensorFlow checkpoint with
//! `bert_config.json`) and `vocab.txt` or `tokenizer.json`.
//! [`Checkpoint::open`] reads one as [`Weights`] under the names of [`names`], the only place that knows
//! how checkpoints call their tensors. [`remap()`](remap::remap) moves them to the run's vocabulary,
//! [`save`] and [`write_tokenizer`](tokenizer::write_tokenizer) leave a folder that `transformers` opens.
//! Does not compute anything: that is `model`.

pub mod config;
mod float_type;
pub mod head_start;
mod heads;
pub mod names;
pub mod positions;
pub mod read;
pub mod remap;
pub mod sinusoids;
pub mod tensorflow;
pub mod tokenizer;
pub mod torch;
mod weight_file;
pub mod write;

pub use config::{Activation, Albert, BertConfig, Labels, Positions, Problem};
pub use float_type::FloatType;
pub use heads::Heads;
pub use read::Checkpoint;
pub use weight_file::StoredTensor;
pub use write::{save, save_labelled};

/// Named weights: Hugging Face names (`bert.embeddings.word_embeddings.weight`, …), row-major f32, finite.
///
/// Matrices are `(out, in)`. The tied decoder is left out; `cls.predictions.bias` is there.
pub type Weights = std::collections::BTreeMap<String, ndarray::ArrayD<f32>>;
