//! A model that a run has left, at work as a writer of sentences.
//!
//! In: a run folder with the objective `simbert`, which of its models, and sentences in rows of its vocabulary. Out: for each the
//! nearest of the sentences drawn. Reads no file of sentences and writes none.

use std::path::Path;

use serde::Serialize;

use crate::config::Experiment;
use crate::data::Dictionary;
use crate::error::{Error, Result};
use crate::generate::rank::{Ranked, rank};
use crate::generate::sampling::Sampling;
use crate::generate::{GenerateOptions, Source, generate};
use crate::model::Bert;
use crate::model::decode::WRITTEN;
use crate::objective::ObjectiveName;
use crate::progress::Progress;
use crate::random::{Key, Purpose};
use crate::vocab::CipherVocab;
use crate::workbench::Context;
use crate::workbench::run::kept_run::KeptRun;
use crate::workbench::run::{kept_model, plan, stages};
use crate::workbench::run_folder::names::ModelName;

/// Sentences of one source that are drawn at most: all of them are held against each other and ranked.
const MOST_SAMPLES: usize = 10_000;

/// How sentences are drawn and kept.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct WriterOptions {
    /// Sentences that are drawn for each source, 1 to 10,000.
    pub samples: usize,
    /// Sentences of these that are kept at most, 1 up to `samples`.
    pub keep: usize,
    /// Tokens of a sentence at most, 1 or more; `None`: as `data.max_tokens` of the run.
    pub max_tokens: Option<usize>,
    /// How tokens are drawn.
    #[serde(flatten)]
    pub sampling: Sampling,
    /// Root of the draws.
    pub seed: u64,
}

impl WriterOptions {
    /// Whether they agree with each other, and with a memory.
    ///
    /// # Errors
    /// [`Error::Refused`] where more are to be kept than drawn, or more drawn than can be at once.
    pub fn check(&self) -> Result<()> {
        if self.samples > MOST_SAMPLES {
            let message = format!(
                "--n {}: all of one source are ranked together",
                self.samples
            );
            let hint = format!("{MOST_SAMPLES} at most; another --seed draws others");
            return Err(Error::refused(message).with_hint(hint));
        }
        if self.keep <= self.samples {
            return Ok(());
        }
        let message = format!(
            "--keep {} of --n {}: more sentences to keep than there are",
            self.keep, self.samples
        );
        Err(Error::refused(message).with_hint("draw more with --n, or keep fewer"))
    }
}

/// A model, and what its tokens are called.
pub struct Writer {
    /// The settings of its run.
    pub experiment: Experiment,
    /// Names of tokens; learns those of files that are read.
    pub dictionary: Dictionary,
    /// Its rows.
    pub vocab: CipherVocab,
    model: Bert,
}

impl Writer {
    /// Opens a model of `run`: that of a fold, or without one that of a single split or of all rows.
    ///
    /// # Errors
    /// [`Error::Refused`] where there is no such model, it is not what the run has written, or its run has not learnt to write;
    /// [`Error::Input`] where its files do not belong together.
    pub fn open(run: &Path, fold: Option<ModelName>) -> Result<Self> {
        let kept = KeptRun::open(run, &Progress::silent())?; // which would speak of the mean of folds
        let experiment = &kept.loaded.experiment;
        let folder = match fold {
            Some(fold) => kept.model_of(run, fold)?,
            None if plan::has_folds(experiment) && !experiment.folds.full => {
                let message = format!("{} has a model a fold, and none of all rows", run.display());
                return Err(Error::refused(message).with_hint("name one, as with --fold 1"));
            }
            None => kept.one_model(run)?,
        };
        let mut dictionary = Dictionary::new(experiment.data.tokens);
        let vocab = CipherVocab::open(&folder.join("vocab.txt"), &mut dictionary)?;
        let objective = stages::scoring_objective(experiment, &kept.record.task, &vocab);
        let model = kept_model::open(&folder, &kept.loaded, (&vocab, &*objective))?;
        require_writer(run, experiment, &model)?;
        Ok(Self {
            experiment: kept.loaded.experiment,
            dictionary,
            vocab,
            model,
        })
    }

    /// Tokens that a source may have at most, so that a token has a place behind it.
    pub fn longest_source(&self) -> usize {
        self.model.config.max_position_embeddings.saturating_sub(3)
    }

    /// For each source the nearest of its sentences that `is_wanted` says yes to (the number of the source, and the sentence), best
    /// first; a copy of the source is none.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    ///
    /// # Panics
    /// Where a source is longer than [`Writer::longest_source`].
    pub fn write(
        &self,
        sources: &[Vec<u32>],
        options: &WriterOptions,
        is_wanted: &dyn Fn(usize, &Ranked) -> bool,
        Context { progress, stop, .. }: Context<'_>,
    ) -> Result<Vec<Vec<Ranked>>> {
        let generate_options = GenerateOptions {
            samples: options.samples,
            max_tokens: options
                .max_tokens
                .unwrap_or(self.experiment.data.max_tokens),
            sampling: options.sampling,
            tokens: self.vocab.cipher_rows(),
        };
        let key = Key::from_seed(options.seed).with(Purpose::Generate);
        let total = (sources.len() * options.samples) as u64;
        let bar = progress.task("write", total, "sentences");
        let mut all = Vec::with_capacity(sources.len());
        let numbered = (0..).zip(sources);
        let numbered = numbered.map(|(number, tokens)| Source { number, tokens });
        let numbered: Vec<Source> = numbered.collect();
        for sources in numbered.chunks(generate_options.sources_at_once()) {
            let mut tick = || stop.check();
            let drawn = generate(&self.model, sources, &generate_options, key, &mut tick)?;
            let texts: Vec<&[u32]> = sources.iter().map(|source| source.tokens).collect();
            for mut ranked in rank(&self.model, &texts, drawn) {
                ranked.retain(|found| is_wanted(all.len(), found));
                ranked.truncate(options.keep);
                all.push(ranked);
            }
            bar.advance((sources.len() * options.samples) as u64);
            stop.check()?;
        }
        Ok(all)
    }

    /// A sentence as the files of the run write it.
    pub fn text(&self, sentence: &[u32]) -> String {
        let first = self.vocab.cipher_rows().start;
        let kept = |&row: &u32| self.vocab.kept[(row - first) as usize].0;
        let names = sentence.iter().map(|row| self.dictionary.name(kept(row)));
        let names: Vec<String> = names.collect();
        names.join(&self.experiment.data.token_separator)
    }
}

/// Refuses a model that was not trained to write, or has no token type to write in.
fn require_writer(run: &Path, experiment: &Experiment, model: &Bert) -> Result<()> {
    let mut stages = experiment.stages().into_iter();
    let learns = stages.any(|stage| stage.objective == ObjectiveName::Simbert);
    let message = if !(learns && model.heads.mlm && model.heads.pooler) {
        "has not learnt to write sentences: no stage of it has the objective `simbert`"
    } else if model.config.type_vocab_size <= WRITTEN as usize {
        "has one token type, and what is written needs the second"
    } else {
        return Ok(());
    };
    let message = format!("{} {message}", run.display());
    Err(Error::refused(message).with_hint(
        "train one with objective.name = \"simbert\", or with a stage that has it: it learns from pairs that mean the same",
    ))
}
