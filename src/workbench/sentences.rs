//! Single texts as vectors of a network: what is embedded, searched and compared.
//!
//! In: a run, or a BERT folder, and files of one text a line. Out: [`Texts`] in rows of the network, and their vectors. For a run a
//! line is in the form of the run's files: ids of its cipher, or its tokens; a BERT folder cuts text with its own tokenizer. Every
//! text is read by itself, `[CLS] text [SEP]`. Cuts nothing: a text longer than the network is refused.

use std::path::{Path, PathBuf};

use tokenizers::Tokenizer;

use super::Context;
use super::run::kept_run::KeptRun;
use super::run::{kept_model, stages, warnings};
use super::run_folder::names;
use crate::checkpoint::read::config_path;
use crate::checkpoint::{Checkpoint, Heads};
use crate::data::reserved::{CLS, SEP};
use crate::data::{
    Dictionary, EncodedExample, ExampleFormat, Labels, PackedBatch, read_examples, source,
};
use crate::error::{Error, Place, Result};
use crate::kernels;
use crate::kernels::path::Precision;
use crate::model::Bert;
use crate::model::sentence::{SentencePooling, sentence_vectors};
use crate::progress::Progress;
use crate::random::{Key, Purpose};
use crate::train::PREDICT_ROWS;
use crate::vocab::CipherVocab;
use crate::vocab::unit::open_tokenizer;

/// `[CLS]` and `[SEP]`.
const SPECIAL: usize = 2;

/// A network, and how it reads texts.
pub struct SentenceEncoder {
    model: Bert,
    reader: Reader,
    pooling: SentencePooling,
}

/// What turns a line into tokens.
enum Reader {
    Run {
        format: Box<ExampleFormat>,
        dictionary: Dictionary,
        vocab: CipherVocab,
    },
    Folder {
        tokenizer: Box<Tokenizer>,
        cls: u32,
        sep: u32,
    },
}

/// The texts of a file, with `[CLS]` and `[SEP]`, one a line.
pub struct Texts {
    /// Where they stand.
    pub file: PathBuf,
    /// Rows of the network's vocabulary.
    pub rows: Vec<Vec<u32>>,
}

impl SentenceEncoder {
    /// Opens a run with one model, or a BERT folder.
    ///
    /// # Errors
    /// [`Error::Refused`] where `from` is neither, or a run of several models; [`Error::Input`] where it lacks the pooler that is
    /// asked for; those of the readers.
    pub fn open(from: &Path, pooling: SentencePooling, progress: &Progress) -> Result<Self> {
        let (model, reader) = if from.join(names::CONFIG).exists() {
            open_run(from, progress)?
        } else if source::exists(&config_path(from)) {
            open_folder(from)?
        } else {
            let message = format!(
                "{} is no run and no BERT folder: it has neither {} nor config.json or bert_config.json",
                from.display(),
                names::CONFIG
            );
            return Err(Error::refused(message)
                .with_hint("name the folder that `cipherpet run` has left, or that of a BERT"));
        };
        if pooling == SentencePooling::Pooler && !model.heads.pooler {
            let error = Error::input(Place::file(from), "a model with a pooler", "none");
            return Err(error.with_hint("use --pooling mean or --pooling cls"));
        }
        Ok(Self {
            model,
            reader,
            pooling,
        })
    }

    /// Numbers of a vector.
    pub fn width(&self) -> usize {
        self.model.config.hidden_size
    }

    /// Reads a file of one text a line, one or more.
    ///
    /// # Errors
    /// [`Error::Input`] for an empty file, and with its line for an empty text, for one that is not in the form of the run's files, and
    /// for one that is longer than the network has positions; [`Error::Io`].
    pub fn read(&mut self, file: &Path, progress: &Progress) -> Result<Texts> {
        if source::read(file)?.is_empty() {
            let error = Error::input(Place::file(file), "one text or more", "an empty file");
            return Err(error.with_hint("write one text a line"));
        }
        let rows = match &mut self.reader {
            Reader::Run {
                format,
                dictionary,
                vocab,
            } => read_ids(file, format, (dictionary, vocab), progress)?,
            Reader::Folder {
                tokenizer,
                cls,
                sep,
            } => read_text(file, tokenizer, (*cls, *sep))?,
        };
        let positions = self.model.config.max_position_embeddings;
        let mut lengths = (1..).zip(rows.iter().map(Vec::len));
        if let Some((line, length)) = lengths.find(|&(_, length)| length > positions) {
            let expected = format!(
                "at most {} tokens (the model has {positions} positions, {SPECIAL} are for [CLS] and [SEP])",
                positions.saturating_sub(SPECIAL)
            );
            let error = Error::input(Place::line(file, line), expected, length - SPECIAL);
            return Err(error.with_hint("shorten the text, or leave it out"));
        }
        Ok(Texts {
            file: file.to_owned(),
            rows,
        })
    }

    /// A vector a text, as it comes from the network, (texts × width).
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub fn vectors(&self, texts: &Texts, context: Context) -> Result<Vec<f32>> {
        let task = context
            .progress
            .task("embed", texts.rows.len() as u64, "texts");
        let mut vectors = Vec::with_capacity(texts.rows.len() * self.width());
        for rows in texts.rows.chunks(PREDICT_ROWS) {
            let mut batch = PackedBatch::default();
            rows.iter()
                .for_each(|row| batch.push(row, &vec![0; row.len()]));
            vectors.extend(sentence_vectors(&self.model, &batch, self.pooling));
            task.advance(rows.len() as u64);
            context.stop.check()?;
        }
        Ok(vectors)
    }
}

fn open_run(run: &Path, progress: &Progress) -> Result<(Bert, Reader)> {
    let kept = KeptRun::open(run, progress)?;
    let dir = kept.one_model(run)?;
    let experiment = &kept.loaded.experiment;
    let mut dictionary = Dictionary::new(experiment.data.tokens);
    let vocab = CipherVocab::open(&dir.join("vocab.txt"), &mut dictionary)?;
    let objective = stages::scoring_objective(experiment, &kept.record.task, &vocab);
    let model = kept_model::open(&dir, &kept.loaded, (&vocab, &*objective))?;
    let reader = Reader::Run {
        format: Box::new(experiment.format().one_a_line()),
        dictionary,
        vocab,
    };
    Ok((model, reader))
}

fn open_folder(dir: &Path) -> Result<(Bert, Reader)> {
    let Checkpoint {
        config,
        plain,
        weights,
        heads,
    } = Checkpoint::open(dir)?;
    let of = plain.specials();
    let reader = Reader::Folder {
        tokenizer: Box::new(open_tokenizer(dir)?),
        cls: of.cls.0,
        sep: of.sep.0,
    };
    let path = kernels::path::Path::resolve(Precision::Auto);
    let heads = Heads {
        pooler: heads.pooler,
        ..Heads::default()
    };
    // Nothing is fresh: the heads are those that are there. What is not asked for is left out.
    let key = Key::from_seed(0).with(Purpose::Initialise);
    let (model, _) = Bert::with_fresh_heads(config, heads, path, weights, key)?;
    Ok((model, reader))
}

fn read_ids(
    file: &Path,
    format: &ExampleFormat,
    (dictionary, vocab): (&mut Dictionary, &CipherVocab),
    progress: &Progress,
) -> Result<Vec<Vec<u32>>> {
    let read = read_examples(file, format, Labels::Ignored, dictionary)?;
    if read.has_labels {
        let place = Place::line(file, 1);
        return Err(
            Error::input(place, "one text a line", "two columns or more")
                .with_hint("write the texts alone into a file, each once"),
        );
    }
    let rows: Vec<EncodedExample> = read.examples.iter().map(|row| vocab.encode(row)).collect();
    let hint = "is it of the cipher that the run was trained on?";
    let unknown = warnings::unknown_tokens(&file.display().to_string(), hint, &rows);
    unknown.iter().for_each(|line| progress.say(line));
    let row = |row: EncodedExample| [&[CLS], &row.a[..], &[SEP]].concat();
    Ok(rows.into_iter().map(row).collect())
}

fn read_text(file: &Path, tokenizer: &Tokenizer, (cls, sep): (u32, u32)) -> Result<Vec<Vec<u32>>> {
    let bytes = source::read(file)?;
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    let mut rows = Vec::new();
    let lines = bytes.split(|&byte| byte == b'\n');
    for (number, line) in (1..).zip(lines) {
        let place = || Place::line(file, number);
        let text = std::str::from_utf8(line);
        let text = text.map_err(|_| {
            Error::input(place(), "UTF-8", "other bytes").with_hint("save the file as UTF-8")
        })?;
        let encoding = tokenizer
            .encode_fast(text.trim(), false)
            .map_err(|error| Error::input(place(), "a text", error))?;
        if encoding.get_ids().is_empty() {
            let error = Error::input(place(), "a text", "an empty line");
            return Err(error.with_hint("leave the line out, or write a token there"));
        }
        rows.push([&[cls], encoding.get_ids(), &[sep]].concat());
    }
    Ok(rows)
}
