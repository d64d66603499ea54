//! Writing a model folder: `config.json` and `model.safetensors`.
//!
//! Each file is written beside its place and renamed, so that a reader finds the old one or the new one and a
//! full disk leaves nothing half-written. The same weights give the same bytes.
//! Does not write the vocabulary: that is [`super::tokenizer`].

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs;
use std::path::Path;

use ndarray::ArrayD;
use safetensors::{Dtype, View};

use super::float_type::FloatType;
use super::sinusoids::Sinusoids;
use super::{BertConfig, Heads, Labels, Positions, Weights, names};
use crate::atomic;
use crate::error::{Error, Result};

/// As [`save_labelled`]; the outputs of a classifier have no names.
///
/// # Errors
/// As [`save_labelled`].
pub fn save(
    dir: &Path,
    config: &BertConfig,
    weights: &Weights,
    heads: Heads,
    float: FloatType,
) -> Result<()> {
    let labels = Labels::unnamed(heads.classifier.unwrap_or(0));
    save_labelled(dir, config, weights, (heads, &labels), float)
}

/// Writes `config.json` and `model.safetensors` into `dir` (created if absent), each beside and renamed. `labels` are those
/// of the classifier; without one they are not written.
///
/// The tensors of [`names::tensors`] for `config` and `heads` are written, under the names that `transformers` has for the
/// architecture; those of other heads are left out. The file keeps the order that safetensors prescribes, by name.
///
/// # Errors
/// [`Error::Io`] where the folder or a file cannot be written; [`Error::Refused`] where a weight is not finite in `float`;
/// [`Error::Unexpected`] where `weights` lack a tensor or have one of another shape, or there is not one name an output.
pub fn save_labelled(
    dir: &Path,
    config: &BertConfig,
    weights: &Weights,
    (heads, labels): (Heads, &Labels),
    float: FloatType,
) -> Result<()> {
    let n_outputs = heads.classifier.unwrap_or(labels.names.len());
    if n_outputs != labels.names.len() {
        let n = labels.names.len();
        let message = format!("{n} names for the {n_outputs} outputs of a classifier");
        return Err(Error::Unexpected(message));
    }
    let fixed = sinusoids(config);
    let fixed = fixed.as_ref().map(|values| {
        let name = names::stored(config, names::SINUSOIDS);
        (name, Stored { values, float })
    });
    let tensors = names::tensors(config, heads)
        .into_iter()
        .map(|(name, shape)| {
            let values = weights
                .get(&name)
                .filter(|values| values.shape() == shape)
                .ok_or_else(|| {
                    Error::Unexpected(format!("no weights `{name}` of shape {shape:?} to save"))
                })?;
            if let Some(x) = values.iter().find(|x| !float.holds(**x)) {
                let message = format!(
                    "`{name}` holds {x:e}, which is not finite as {}",
                    float.name()
                );
                return Err(Error::refused(message));
            }
            Ok((names::stored(config, &name), Stored { values, float }))
        })
        .chain(fixed.map(Ok))
        .collect::<Result<Vec<_>>>()?;
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]); // `transformers` asks for it
    let bytes = safetensors::serialize(tensors, Some(metadata))
        .map_err(|error| Error::Unexpected(format!("safetensors: {error}")))?;

    fs::create_dir_all(dir).map_err(Error::io("create", dir))?;
    atomic::write(&dir.join("model.safetensors"), &bytes)?;
    let json = config.to_json(heads, float, heads.classifier.map(|_| labels));
    atomic::write(&dir.join("config.json"), json.as_bytes())
}

/// The table of a RoFormer, which `transformers` reads although it never changes: (positions × width of a head).
fn sinusoids(config: &BertConfig) -> Option<ArrayD<f32>> {
    let (n, width) = match config.positions {
        Positions::Rotary => (
            config.max_position_embeddings,
            config.hidden_size / config.num_attention_heads,
        ),
        _ => return None,
    };
    let waves = Sinusoids::new(n, width);
    let halves = |position: usize| {
        let of = position * width / 2..(position + 1) * width / 2;
        [&waves.sines[of.clone()], &waves.cosines[of]].concat()
    };
    let values = (0..n).flat_map(halves).collect();
    let table = ArrayD::from_shape_vec(vec![n, width], values);
    Some(table.expect("two halves of a row make its width"))
}

/// A tensor that turns into bytes when its turn comes.
struct Stored<'a> {
    values: &'a ArrayD<f32>,
    float: FloatType,
}

impl View for Stored<'_> {
    fn dtype(&self) -> Dtype {
        self.float.dtype()
    }

    fn shape(&self) -> &[usize] {
        self.values.shape()
    }

    fn data(&self) -> Cow<'_, [u8]> {
        self.float.bytes(self.values.iter().copied()).into() // `iter` is row-major whatever the layout
    }

    fn data_len(&self) -> usize {
        self.values.len() * self.dtype().bitsize() / 8
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    const MLM: Heads = Heads::MLM;

    fn config() -> BertConfig {
        BertConfig {
            vocab_size: 5,
            hidden_size: 2,
            num_hidden_layers: 1,
            num_attention_heads: 1,
            intermediate_size: 3,
            max_position_embeddings: 4,
            ..BertConfig::default()
        }
    }

    fn weights(value: f32) -> Weights {
        let tensors = names::tensors(&config(), MLM).into_iter();
        tensors
            .map(|(name, shape)| (name, ArrayD::from_elem(shape, value)))
            .collect()
    }

    fn names_in(dir: &Path) -> Vec<String> {
        let entries = fs::read_dir(dir).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn same_weights_same_bytes_and_nothing_else_in_the_folder() {
        let dir = tempfile::tempdir().unwrap();
        let save_to = |name: &str| {
            let dir = dir.path().join(name).join("model"); // folders on the way are made
            save(&dir, &config(), &weights(0.5), MLM, FloatType::F32).unwrap();
            assert_eq!(names_in(&dir), ["config.json", "model.safetensors"]);
            fs::read(dir.join("model.safetensors")).unwrap()
        };
        assert_eq!(save_to("a"), save_to("b"));
    }

    #[test]
    fn the_format_is_named_for_transformers() {
        let dir = tempfile::tempdir().unwrap();
        save(dir.path(), &config(), &weights(0.5), MLM, FloatType::F32).unwrap();
        let bytes = fs::read(dir.path().join("model.safetensors")).unwrap();
        let (_, metadata) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
        assert_eq!(metadata.metadata().as_ref().unwrap()["format"], "pt");
    }

    #[test]
    fn numbers_are_stored_row_by_row_whatever_their_layout() {
        let dir = tempfile::tempdir().unwrap();
        let mut weights = weights(0.5);
        let embeddings = ndarray::Array::from_iter((0..10).map(|i| i as f32));
        let columns = embeddings
            .into_shape_with_order((2, 5))
            .unwrap()
            .reversed_axes()
            .into_dyn(); // [[0, 5], [1, 6], …]
        assert!(!columns.is_standard_layout());
        weights.insert(names::WORD_EMBEDDINGS.to_owned(), columns.clone());
        save(dir.path(), &config(), &weights, MLM, FloatType::F32).unwrap();
        let (_, read, _) = crate::checkpoint::read::read_model(dir.path()).unwrap();
        assert_eq!(read[names::WORD_EMBEDDINGS], columns);
        assert_eq!(
            read[names::WORD_EMBEDDINGS].as_slice().unwrap()[..4],
            [0.0, 5.0, 1.0, 6.0]
        );
    }

    #[test]
    fn numbers_too_large_for_f16_are_refused_and_leave_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let mut weights = weights(0.5);
        weights.get_mut(names::MLM_BIAS).unwrap()[3] = 70_000.0;
        let error = save(dir.path(), &config(), &weights, MLM, FloatType::F16).unwrap_err();
        let message = "`cls.predictions.bias` holds 7e4, which is not finite as float16";
        assert_eq!(error.to_string(), message);
        assert!(names_in(dir.path()).is_empty());
        assert!(save(dir.path(), &config(), &weights, MLM, FloatType::Bf16).is_ok());
    }

    #[test]
    fn a_misshapen_weight_is_a_bug_not_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let mut weights = weights(0.5);
        weights.insert(names::MLM_BIAS.to_owned(), ArrayD::zeros(vec![4]));
        let error = save(dir.path(), &config(), &weights, MLM, FloatType::F32).unwrap_err();
        let message = "unexpected: no weights `cls.predictions.bias` of shape [5] to save";
        assert_eq!(error.to_string(), message);
        assert!(names_in(dir.path()).is_empty());
    }

    #[test]
    fn a_folder_in_the_way_is_named_and_nothing_is_left() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("model.safetensors/in/the/way")).unwrap();
        let error = save(dir.path(), &config(), &weights(0.5), MLM, FloatType::F32).unwrap_err();
        assert!(
            matches!(&error, Error::Io { action: "write", path, .. } if path.ends_with("model.safetensors")),
            "{error}"
        );
        assert_eq!(names_in(dir.path()), ["model.safetensors"]);
    }
}
