//! The model a run starts from: the checkpoint with its rows remapped, or fresh values.

use std::path::{Path, PathBuf};

use crate::align::{AlignMethod, Alignment, GraphReport};
use crate::checkpoint::head_start::start_from_nsp;
use crate::checkpoint::positions::extend_positions;
use crate::checkpoint::remap::remap_starts;
use crate::checkpoint::{BertConfig, Checkpoint, Heads, names};
use crate::config::{Experiment, Loaded};
use crate::data::LabelKind;
use crate::error::{Error, Result};
use crate::hash::sha256_of_file;
use crate::kernels;
use crate::kernels::path::Precision;
use crate::model::Bert;
use crate::objective::HeadStart;
use crate::progress::Progress;
use crate::random::{Key, Purpose};
use crate::vocab::mapping::RowStart;
use crate::vocab::{Mapping, PlainVocab};

use super::rows::Rows;
use super::stages;
use crate::workbench::Context;
use crate::workbench::alignment::AlignmentSource;
use crate::workbench::run_folder::manifest::Manifest;
use crate::workbench::run_folder::names as folder;

/// How a model begins: the same for every fold of a run, except the fresh values of `scratch`.
pub struct Start {
    /// The size, with one embedding row a token of the run's vocabulary.
    pub config: BertConfig,
    /// The heads of the model.
    pub heads: Heads,
    /// Which plaintext row each token came from.
    pub mapping: Mapping,
    /// What is known of the mapping without a key, for methods that know.
    pub quality: Option<Box<GraphReport>>,
    /// The plaintext vocabulary; the special tokens alone where there is no checkpoint.
    pub plain: PlainVocab,
    /// The kernels that the model computes with.
    pub path: kernels::path::Path,
    /// The checkpoint and what each row starts from there; none for fresh values.
    base: Option<(PathBuf, Vec<RowStart>)>,
    /// What a linear head starts as.
    head_start: Option<HeadStart>,
}

impl Start {
    /// Opens the checkpoint and aligns the vocabularies, or takes up the alignment that the folder `run` of this run holds, where
    /// there is one.
    ///
    /// # Errors
    /// Those of the checkpoint, of the counts and of the alignment; `data.max_tokens` beyond the model's
    /// positions; [`Error::Interrupted`](crate::error::Error::Interrupted).
    pub fn build(
        loaded: &Loaded,
        rows: &Rows,
        run: Option<&Path>,
        context: Context,
    ) -> Result<Self> {
        let experiment = &loaded.experiment;
        let dir = experiment.checkpoint.dir.as_deref();
        let checkpoint = dir.map(Checkpoint::open).transpose()?;
        let plain = match &checkpoint {
            Some(checkpoint) => checkpoint.plain.clone(),
            None => special_tokens_alone()?,
        };
        // Before the minutes of an alignment.
        let mut config = match &checkpoint {
            Some(checkpoint) if experiment.align.method != AlignMethod::Scratch => BertConfig {
                max_position_embeddings: loaded.positions(&checkpoint.config)?,
                ..checkpoint.config.clone()
            },
            base => {
                let base = base.as_ref().map(|checkpoint| &checkpoint.config);
                experiment.scratch_size(base, rows.vocab.size())
            }
        };
        loaded.check_model(&config)?;
        let needed = stages::heads(experiment, &rows.task, &rows.vocab)?;
        let head_start = experiment.objective.head_start;
        if head_start == Some(HeadStart::Nsp) {
            require_nsp_start(experiment, needed, checkpoint.as_ref())?;
        }
        let examples: Vec<_> = rows.counted(experiment).collect();
        let source = AlignmentSource {
            settings: &experiment.align,
            vocab: &rows.vocab,
            dictionary: &rows.dictionary,
            examples: &examples,
            folder: dir,
            plain: &plain,
            checkpoint: checkpoint.as_ref(),
            precision: experiment.train.precision,
            key: experiment.key(),
        };
        let saved = run.map(|run| SavedAlignment::of(run, context.progress));
        let Alignment { mapping, quality } = match saved.transpose()?.flatten() {
            Some(saved) => {
                context
                    .progress
                    .say("alignment: taken up from mapping.tsv of this run");
                saved.read(&source)?
            }
            None => source.align(context)?,
        };
        let starts = mapping.starts(
            &plain,
            experiment.align.soft,
            experiment.key(),
            rows.vocab.n_class_tokens,
        );
        let (heads, base) = match (&checkpoint, dir, starts) {
            (Some(checkpoint), Some(dir), Some(starts)) => {
                if needed.mlm {
                    checkpoint.require_mlm(dir)?;
                }
                config.vocab_size = starts.len();
                (
                    checkpoint.heads.without_classifier().and(needed),
                    Some((dir.to_owned(), starts)),
                )
            }
            (base, ..) => {
                let base = base.as_ref().map(|checkpoint| &checkpoint.config);
                config = experiment.scratch_size(base, rows.vocab.size());
                (needed, None)
            }
        };
        config.mark_shared = experiment.mark_shared(config.type_vocab_size);
        let start = Self {
            config,
            heads,
            mapping,
            quality,
            plain,
            path: kernels::path::Path::resolve(experiment.train.precision),
            base,
            head_start,
        };
        start.say(experiment.align.method, context.progress);
        if let Some(checkpoint) = &checkpoint
            && start.base.is_some()
        {
            say_fresh_heads(checkpoint.heads, needed, context.progress);
        }
        start.say_path(experiment.train.precision, context.progress);
        Ok(start)
    }

    /// A model before its first step, and which of its heads have fresh values. `key` is the root of the random streams of its fit.
    ///
    /// # Errors
    /// Those of the checkpoint, which is opened again: no model's weights are held for the next one.
    pub fn model(&self, key: Key) -> Result<(Bert, Heads)> {
        let (config, key) = (self.config.clone(), key.with(Purpose::Initialise));
        match &self.base {
            Some((dir, starts)) => {
                let mut weights = Checkpoint::open(dir)?.weights;
                remap_starts(&mut weights, starts);
                extend_positions(&mut weights, config.max_position_embeddings);
                if let (Some(HeadStart::Nsp), Some(outputs)) =
                    (self.head_start, self.heads.classifier)
                {
                    start_from_nsp(&mut weights, outputs);
                }
                Bert::with_fresh_heads(config, self.heads, self.path, weights, key)
            }
            None => {
                let made = Bert::initialise(config, self.heads, self.path, key);
                Ok((made?, self.heads))
            }
        }
    }

    /// Gives heads of `model` the fresh values that they have where a fit of this key begins.
    ///
    /// # Errors
    /// As [`Bert::redraw`].
    pub fn redraw(&self, model: &mut Bert, heads: Heads, key: Key) -> Result<()> {
        model.redraw(heads, key.with(Purpose::Initialise))
    }

    /// Weights of the model, all of them.
    pub fn n_parameters(&self) -> usize {
        names::n_weights(&self.config, self.heads)
    }

    /// Which number type the products have, and where that is not the one that was asked for.
    fn say_path(&self, wanted: Precision, progress: &Progress) {
        let line = match (wanted, self.path) {
            (Precision::Bf16, kernels::path::Path::F32) => {
                "train.precision = \"bf16\": this processor has no instructions for it; products are in f32"
                    .to_owned()
            }
            _ => format!("products: {}", self.path),
        };
        progress.say(&line);
    }

    fn say(&self, method: AlignMethod, progress: &Progress) {
        let config = &self.config;
        progress.say(&format!(
            "model: {} layers, {} wide, {} tokens, {:.1} million parameters, from {}",
            config.num_hidden_layers,
            config.hidden_size,
            config.vocab_size,
            self.n_parameters() as f64 / 1e6,
            match method {
                AlignMethod::Rank => "the checkpoint by frequency rank",
                AlignMethod::Random => "random rows of the checkpoint",
                AlignMethod::File => "the checkpoint by a mapping file",
                AlignMethod::Graph => "the checkpoint by neighbours in plaintext",
                AlignMethod::Scratch => "fresh values",
            }
        ));
        if let Some(quality) = &self.quality {
            progress.say(&quality.describe());
        }
        if self.mapping.wrapped > 0 {
            progress.say(&format!(
                "alignment: {} ids lie beyond the last counted plaintext token and start again from the first",
                self.mapping.wrapped
            ));
        }
    }
}

/// An alignment that an earlier process, or another fold, has left in the folder of this run: minutes of work.
struct SavedAlignment {
    mapping: PathBuf,
    quality: Box<GraphReport>,
}

impl SavedAlignment {
    /// None where the run has none, its method takes no time, or the file is not what the run has written.
    fn of(run: &Path, progress: &Progress) -> Result<Option<Self>> {
        let mapping = run.join(folder::MAPPING);
        let manifest = Manifest::read(run)?.filter(|_| mapping.exists());
        let Some((quality, recorded)) =
            manifest.and_then(|found| Some((found.alignment?, found.mapping_sha256)))
        else {
            return Ok(None);
        };
        if recorded != Some(sha256_of_file(&mapping)?.1) {
            progress.say("alignment: mapping.tsv is not what this run has written; aligning again");
            return Ok(None);
        }
        Ok(Some(Self { mapping, quality }))
    }

    fn read(self, source: &AlignmentSource) -> Result<Alignment> {
        Ok(Alignment {
            mapping: source.reread(&self.mapping)?,
            quality: Some(self.quality),
        })
    }
}

/// Refuses `objective.head_start = "nsp"` where no stage has a linear head on the pooler for labels 0 and 1, or where nothing is there to
/// start from.
fn require_nsp_start(
    experiment: &Experiment,
    needed: Heads,
    checkpoint: Option<&Checkpoint>,
) -> Result<()> {
    let refused = |message: &str, hint: &str| {
        Err(Error::refused(format!("objective.head_start = \"nsp\": {message}")).with_hint(hint))
    };
    if experiment.task.labels != LabelKind::Binary || !needed.pooler || needed.classifier.is_none()
    {
        return refused(
            "the next-sentence head answers 0 or 1 from the pooler, and no stage asks a linear head for that",
            "set objective ce, bce, cosent or mse with head = \"pooler\" and task.labels = \"binary\", or leave it out",
        );
    }
    match (checkpoint, &experiment.checkpoint.dir) {
        (Some(checkpoint), Some(dir)) if experiment.align.method != AlignMethod::Scratch => {
            checkpoint.require_nsp(dir)
        }
        _ => refused(
            "align.method = \"scratch\" has no head to start from",
            "choose another align.method, with a checkpoint",
        ),
    }
}

/// Says which heads the checkpoint lacks. A linear head is of the task, and no checkpoint has it.
pub fn say_fresh_heads(there: Heads, needed: Heads, progress: &Progress) {
    let fresh = [
        (needed.pooler && !there.pooler, "pooler"),
        (needed.nsp && !there.nsp, "next-sentence head"),
    ];
    for (is_fresh, name) in fresh {
        if is_fresh {
            progress.say(&format!(
                "the checkpoint has no {name}: it begins with fresh values"
            ));
        }
    }
}

/// Stands in for a checkpoint's vocabulary where a run from scratch has no checkpoint.
fn special_tokens_alone() -> Result<PlainVocab> {
    let names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
    let tokens = names.map(str::to_owned).to_vec();
    PlainVocab::from_tokens(tokens, Path::new("scratch"))
}
