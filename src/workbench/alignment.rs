//! Alignment of rows with plaintext: the one way of `run`, `align` and `audit`.
//!
//! In: encoded rows with their vocabulary, a checkpoint, and `[align]`. Out: an [`Alignment`], refined by the network where
//! that is asked for. Writes nothing; how rows are found is [`align`](mod@crate::align)'s work.

use std::path::Path;

use super::Context;
use crate::align::{self, AlignInput, Alignment, GraphInput, RefineInput};
use crate::checkpoint::Checkpoint;
use crate::config::AlignConfig;
use crate::data::{Dictionary, EncodedExample};
use crate::error::{Error, Result};
use crate::kernels;
use crate::kernels::path::Precision;
use crate::random::{Key, Purpose};
use crate::vocab::{CipherVocab, Mapping, PlainVocab, TokenCounts};

/// What is aligned, and with what.
pub struct AlignmentSource<'a> {
    /// `[align]`.
    pub settings: &'a AlignConfig,
    /// The kept ids.
    pub vocab: &'a CipherVocab,
    /// Their names.
    pub dictionary: &'a Dictionary,
    /// Every row that `vocab` counts, truncated as a run reads it.
    pub examples: &'a [&'a EncodedExample],
    /// The checkpoint's folder; none where a run from scratch has none.
    pub folder: Option<&'a Path>,
    /// Its vocabulary.
    pub plain: &'a PlainVocab,
    /// Its weights, which refinement reads with.
    pub checkpoint: Option<&'a Checkpoint>,
    /// `train.precision`: of the products that refinement computes.
    pub precision: Precision,
    /// The root of the job's randomness.
    pub key: Key,
}

impl AlignmentSource<'_> {
    /// Aligns, and refines where `align.refine` says so.
    ///
    /// # Errors
    /// Those of the counts and of the method; [`Error::Refused`] where refinement has no weights, and those of
    /// [`Checkpoint::require_mlm`]; [`Error::Interrupted`].
    pub fn align(&self, Context { progress, stop, .. }: Context) -> Result<Alignment> {
        let settings = self.settings;
        let refining = self.refining()?;
        let counts_path = settings.counts_to_read();
        let counts = counts_path.map(TokenCounts::read).transpose()?;
        let check = || stop.check();
        let input = AlignInput {
            counts: counts_path.zip(counts.as_ref()),
            graph: Some(GraphInput {
                examples: self.examples,
                files: &settings.plain,
                weights: &settings.plain_weights,
                unit: settings.unit,
                anchors: settings.anchors.as_deref(),
                progress,
                check: &check,
            }),
            ..self.input()
        };
        let mut alignment = align::align(settings.method, &input)?;
        if let Some(checkpoint) = refining {
            let input = RefineInput {
                checkpoint,
                path: kernels::path::Path::resolve(self.precision),
                examples: self.examples,
                key: input.key,
                progress,
                check: &check,
            };
            align::refine(&mut alignment, &input)?;
        }
        Ok(alignment)
    }

    /// The mapping that alignment by graph has left in the file `mapping`.
    ///
    /// # Errors
    /// Those of [`align::reread`].
    pub fn reread(&self, mapping: &Path) -> Result<Mapping> {
        align::reread(mapping, &self.input())
    }

    /// The network that refines; none where it is not asked to. Asked before alignment, which takes minutes.
    fn refining(&self) -> Result<Option<&Checkpoint>> {
        if !self.settings.refine {
            return Ok(None);
        }
        let (Some(folder), Some(checkpoint)) = (self.folder, self.checkpoint) else {
            let error = Error::refused("`align.refine` needs a checkpoint that reads the rows");
            return Err(error.with_hint("set `checkpoint.dir`"));
        };
        checkpoint.require_mlm(folder)?;
        Ok(Some(checkpoint))
    }

    fn input(&self) -> AlignInput<'_> {
        AlignInput {
            cipher: self.vocab,
            dictionary: self.dictionary,
            plain: self.plain,
            counts: None,
            file: self.settings.file.as_deref(),
            checkpoint: self.folder,
            graph: None,
            key: self.key.with(Purpose::Align),
        }
    }
}
