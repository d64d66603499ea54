//! The tensors of a checkpoint: one safetensors file, written and read one tensor after the other, so that the file is
//! never in memory as a whole.
//!
//! In: a [`Snapshot`]. Out: the parts of a [`FitState`] that are no numbers, bit for bit. Checks no hashes.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use ndarray::ArrayD;
use safetensors::tensor::Metadata;
use safetensors::{Dtype, SafeTensorError, View};

use super::{Best, FitProgress, FitState, Snapshot};
use crate::checkpoint::Weights;
use crate::data::Scores;
use crate::error::{Error, Place, Result};
use crate::model::{Moment, Moments};
use crate::train::average::Average;

/// Prefixes of the tensors' names in the file.
const MODEL: &str = "model/";
const FIRST_MOMENT: &str = "first_moment/";
const SECOND_MOMENT: &str = "second_moment/";
const BEST: &str = "best/";
const AVERAGE: &str = "average/";
/// Validation scores of the best epoch.
const BEST_SCORES: &str = "best_scores";

/// A tensor that turns into bytes when its turn comes.
struct Tensor<'a> {
    values: Values<'a>,
    shape: Vec<usize>,
}

/// Where the numbers of a tensor are.
enum Values<'a> {
    Slice(&'a [f32]),
    /// Of a parameter: copied out when asked for.
    Moment(&'a Moments, &'a str, Moment),
}

impl View for Tensor<'_> {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        let values: Cow<[f32]> = match self.values {
            Values::Slice(values) => values.into(),
            Values::Moment(moments, parameter, which) => moments.tensor(parameter, which).into(),
        };
        let bytes = values.iter().flat_map(|value| value.to_le_bytes());
        bytes.collect::<Vec<u8>>().into()
    }

    fn data_len(&self) -> usize {
        self.shape.iter().product::<usize>() * size_of::<f32>()
    }
}

/// Writes the tensors of a state.
///
/// # Errors
/// [`Error::Io`].
pub fn write(snapshot: &Snapshot, path: &Path) -> Result<()> {
    let weights = snapshot.model.weights();
    let tensors = named_tensors(&weights, snapshot);
    let written = safetensors::serialize_to_file(tensors, None, path);
    written.map_err(|error| match error {
        SafeTensorError::IoError(source) => Error::io("write", path)(source),
        other => Error::Unexpected(format!("safetensors: {other}")),
    })
}

/// Reads what [`write()`] has written, and joins it with the numbers.
///
/// # Errors
/// [`Error::Input`] where the file holds something else, [`Error::Io`].
pub fn read(path: &Path, progress: FitProgress, optimiser_steps: u64) -> Result<FitState> {
    let state = state(read_tensors(path)?, progress, optimiser_steps);
    state.map_err(|found| Error::input(Place::file(path), "tensors of a checkpoint", found))
}

fn named_tensors<'a>(
    weights: &'a Weights,
    snapshot: &Snapshot<'a>,
) -> BTreeMap<String, Tensor<'a>> {
    let mut tensors = BTreeMap::new();
    let mut add = |name: String, values: Values<'a>, shape: &[usize]| {
        let shape = shape.to_vec();
        tensors.insert(name, Tensor { values, shape });
    };
    let contiguous = |array: &'a ArrayD<f32>| {
        Values::Slice(array.as_slice().expect("weights are copied row by row"))
    };
    for (name, array) in weights {
        add(format!("{MODEL}{name}"), contiguous(array), array.shape());
    }
    for (name, length) in snapshot.moments.parameters() {
        let of = |which| Values::Moment(snapshot.moments, name, which);
        add(
            format!("{FIRST_MOMENT}{name}"),
            of(Moment::First),
            &[length],
        );
        add(
            format!("{SECOND_MOMENT}{name}"),
            of(Moment::Second),
            &[length],
        );
    }
    if let Some(best) = snapshot.best {
        let scores = &best.valid_scores;
        add(
            BEST_SCORES.to_owned(),
            Values::Slice(&scores.values),
            &[scores.len(), scores.width],
        );
        for (name, array) in best.weights.iter().flatten() {
            add(format!("{BEST}{name}"), contiguous(array), array.shape());
        }
    }
    if let Some(average) = snapshot.average {
        for (name, array) in &average.weights {
            add(format!("{AVERAGE}{name}"), contiguous(array), array.shape());
        }
    }
    tensors
}

fn read_tensors(path: &Path) -> Result<Weights> {
    let read = |file: &mut BufReader<File>, n: usize| {
        let mut bytes = vec![0; n];
        let read = file.read_exact(&mut bytes);
        read.map(|()| bytes).map_err(Error::io("read", path))
    };
    let wrong = |error: &dyn std::fmt::Display| {
        Error::input(Place::file(path), "tensors of a checkpoint", error)
    };
    let mut file = BufReader::new(File::open(path).map_err(Error::io("read", path))?);
    let mut length = [0; 8];
    file.read_exact(&mut length)
        .map_err(Error::io("read", path))?;
    let length = usize::try_from(u64::from_le_bytes(length)).map_err(|error| wrong(&error))?;
    let header = read(&mut file, length)?;
    let metadata: Metadata = serde_json::from_slice(&header).map_err(|error| wrong(&error))?;
    let mut tensors = Weights::new();
    for name in metadata.offset_keys() {
        let info = metadata.info(&name).expect("it is one of its own keys");
        let bytes = read(&mut file, info.data_offsets.1 - info.data_offsets.0)?;
        let (values, _) = bytes.as_chunks::<4>();
        let values = values.iter().map(|bytes| f32::from_le_bytes(*bytes));
        let array = ArrayD::from_shape_vec(info.shape.clone(), values.collect());
        tensors.insert(name, array.map_err(|error| wrong(&error))?);
    }
    Ok(tensors)
}

/// # Errors
/// The name of a tensor that belongs to no part of a state, or is there without the other of its pair.
fn state(
    tensors: Weights,
    progress: FitProgress,
    optimiser_steps: u64,
) -> std::result::Result<FitState, String> {
    let mut weights = Weights::new();
    let mut best_weights = Weights::new();
    let mut averaged = Weights::new();
    let mut valid_scores = None;
    let mut moments: BTreeMap<String, [Option<Vec<f32>>; 2]> = BTreeMap::new();
    for (name, array) in tensors {
        let values = |array: ArrayD<f32>| array.into_raw_vec_and_offset().0;
        if let Some(name) = name.strip_prefix(MODEL) {
            weights.insert(name.to_owned(), array);
        } else if let Some(name) = name.strip_prefix(BEST) {
            best_weights.insert(name.to_owned(), array);
        } else if let Some(name) = name.strip_prefix(AVERAGE) {
            averaged.insert(name.to_owned(), array);
        } else if let Some(name) = name.strip_prefix(FIRST_MOMENT) {
            moments.entry(name.to_owned()).or_default()[0] = Some(values(array));
        } else if let Some(name) = name.strip_prefix(SECOND_MOMENT) {
            moments.entry(name.to_owned()).or_default()[1] = Some(values(array));
        } else if name == BEST_SCORES
            && let &[_, width] = array.shape()
        {
            let values = values(array);
            valid_scores = Some(Scores { width, values });
        } else {
            return Err(format!("`{name}`"));
        }
    }
    let best = valid_scores.map(|valid_scores| Best {
        valid_scores,
        weights: (!best_weights.is_empty()).then_some(best_weights),
    });
    let pair = |(name, pair): (String, [Option<Vec<f32>>; 2])| match pair {
        [Some(first), Some(second)] => Ok((name, first, second)),
        _ => Err(format!("one moment of `{name}` alone")),
    };
    let moments: std::result::Result<Vec<_>, String> = moments.into_iter().map(pair).collect();
    let average = (!averaged.is_empty()).then_some(Average {
        weights: averaged,
        n: progress.averaged,
    });
    Ok(FitState {
        progress,
        average,
        weights,
        moments: Moments::restored(optimiser_steps, moments?),
        best,
    })
}
