//! Vectors of single texts, as a `.npy` file.
//!
//! In: a run or a BERT folder, and a file of one text a line. Out: float32 numbers (texts × dimensions), a row a line, of length 1
//! unless they are asked for as they come; whitened by their own mean and covariance where that is asked for.

use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::Serialize;

use super::Context;
use super::sentences::SentenceEncoder;
use crate::data::npy;
use crate::error::{Error, Place, Result};
use crate::model::sentence::{SentencePooling, Whitening, normalise};

/// What stands for a text, and in which form.
#[derive(Debug, Clone, Copy, Default)]
pub struct EmbedOptions {
    /// Which states.
    pub pooling: SentencePooling,
    /// Mean 0 and covariance 1 over the file.
    pub whitening: bool,
    /// Of whitened vectors: how many directions are kept; none: all in which the texts differ.
    pub dimensions: Option<usize>,
    /// Vectors keep their lengths.
    pub raw: bool,
}

/// What was written; the object that `--json` prints.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EmbedReport {
    /// Where the vectors are.
    pub out: PathBuf,
    /// Texts, one a row.
    pub rows: usize,
    /// Numbers of a row.
    pub dimensions: usize,
    /// Whether they were whitened.
    pub whitened: bool,
    /// Time in the network.
    pub seconds: f64,
    /// Texts by that time.
    pub rows_per_second: f64,
}

/// Embeds the lines of `text` into `out`.
///
/// # Errors
/// Those of [`SentenceEncoder`]; [`Error::Input`] for more dimensions than the texts differ in; [`Error::Io`].
pub fn embed(
    from: &Path,
    text: &Path,
    out: &Path,
    options: EmbedOptions,
    context: Context,
) -> Result<EmbedReport> {
    let mut encoder = SentenceEncoder::open(from, options.pooling, context.progress)?;
    let texts = encoder.read(text, context.progress)?;
    let begun = Instant::now();
    let mut vectors = encoder.vectors(&texts, context)?;
    let seconds = begun.elapsed().as_secs_f64();
    let (rows, mut dimensions) = (texts.rows.len(), encoder.width());
    if options.whitening {
        let whitening = whitening(&vectors, dimensions, (text, options.dimensions))?;
        vectors = whitening.apply(&vectors);
        dimensions = whitening.dimensions();
    }
    if !options.raw {
        normalise(&mut vectors, dimensions);
    }
    npy::write(out, &vectors, dimensions)?;
    Ok(EmbedReport {
        out: out.to_owned(),
        rows,
        dimensions,
        whitened: options.whitening,
        seconds,
        rows_per_second: rows as f64 / seconds.max(f64::MIN_POSITIVE),
    })
}

/// Learnt from the vectors themselves.
fn whitening(
    vectors: &[f32],
    width: usize,
    (text, wanted): (&Path, Option<usize>),
) -> Result<Whitening> {
    let whitening = Whitening::learn(vectors, width);
    let most = whitening.dimensions();
    if most == 0 {
        let error = Error::input(Place::file(text), "texts that differ", "one vector for all");
        return Err(error.with_hint("whitening is learnt from the file: add texts"));
    }
    match wanted {
        None => Ok(whitening),
        Some(n) if (1..=most).contains(&n) => Ok(whitening.first(n)),
        Some(n) => {
            let expected = format!("1 to {most}, the directions in which the texts differ");
            let error = Error::input(Place::file("--dimensions"), expected, n);
            Err(error.with_hint("ask for fewer, or add texts"))
        }
    }
}
