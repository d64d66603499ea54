//! Alignment of rows with plaintext: the one way of `run`, `align` and `audit`.
//!
//! In: encoded rows with their vocabulary, a checkpoint, and `[align]`. Out: an [`Alignment`], refined by the network where
//! that is asked for; a warning where counts say little of the checkpoint. Writes nothing; how rows are found is [`align`](mod@crate::align)'s work.

use std::path::Path;

use super::Context;
use super::run_folder::names;
use crate::align::{self, AlignInput, AlignMethod, Alignment, GraphInput, RefineInput};
use crate::checkpoint::Checkpoint;
use crate::config::AlignConfig;
use crate::data::{Dictionary, EncodedExample};
use crate::error::{Error, Result};
use crate::kernels;
use crate::kernels::path::Precision;
use crate::random::{Key, Purpose};
use crate::vocab::{CipherVocab, Mapping, PlainVocab, TokenCounts};

/// Counts of which less than this share are tokens of the checkpoint are of another vocabulary.
const KNOWN_SHARE: f64 = 0.5;
/// Beyond this share of ids that start again from the first token, there is hardly a ladder.
const WRAPPED_SHARE: f64 = 0.5;

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
        if matches!(settings.method, AlignMethod::Rank | AlignMethod::Random)
            && let Some(counts) = input.counts
            && let Some(line) = self.poor_counts(counts, &alignment.mapping)
        {
            progress.say(&line);
        }
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

    /// A warning where the counts are of another vocabulary than the checkpoint's, or of few of its tokens: most ids start from rows
    /// that have nothing to do with them.
    fn poor_counts(
        &self,
        (path, counts): (&Path, &TokenCounts),
        mapping: &Mapping,
    ) -> Option<String> {
        let (share, known) = align::counted_share(self.plain, counts);
        let ids = mapping.rows.len();
        let what = if share < KNOWN_SHARE {
            format!(
                "{:.1} % of what it counts are tokens of the checkpoint ({known} of them, for {ids} ids)",
                100.0 * share
            )
        } else if mapping.wrapped as f64 > WRAPPED_SHARE * ids as f64 {
            format!("it counts {known} different tokens for {ids} ids, which share them")
        } else {
            return None;
        };
        let (path, way_out) = (path.display(), self.way_out());
        Some(format!("warning: {path}: {what}; {way_out}"))
    }

    /// What to do where the counts are poor.
    fn way_out(&self) -> String {
        let folder = self.folder.unwrap_or(Path::new("BERT"));
        if !self.ids_are_tokens() {
            let counted = format!("`cipherpet count TEXT --checkpoint {}`", folder.display());
            return format!("count more text with the tokenizer of this checkpoint: {counted}");
        }
        let same = "the ids are tokens of the checkpoint themselves: with align.method = \"file\" and align.file =";
        // Pretraining on ids leaves such a table beside the BERT.
        let pretraining = folder.parent().unwrap_or(Path::new(""));
        let mapping = pretraining.join(names::MAPPING);
        match pretraining.join(names::PRETRAINING).is_file() && mapping.is_file() {
            true => format!("{same} {} each starts from itself", mapping.display()),
            false => format!("{same} a table of lines `id<TAB>id` each starts from itself"),
        }
    }

    /// Whether most tokens of the rows stand in the checkpoint's vocabulary as they are.
    fn ids_are_tokens(&self) -> bool {
        let (mut known, mut all) = (0.0, 0.0);
        for &(id, count) in &self.vocab.kept {
            all += count as f64;
            if self.plain.id(&self.dictionary.name(id)).is_some() {
                known += count as f64;
            }
        }
        known > KNOWN_SHARE * all
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
