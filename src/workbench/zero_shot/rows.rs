//! The rows that are scored, and the network that scores them.
//!
//! In: an experiment or a run folder, and perhaps a file of its own. Out: [`Rows`]. There are two ways. Rows of a cipher are read as
//! a run reads them, and the network is the one that a run starts from: a checkpoint whose rows an alignment has chosen. Rows of
//! plain text are cut by the checkpoint's own tokenizer, and the network is the checkpoint. Trains nothing.

use std::path::{Path, PathBuf};

use super::input::{BLANK, Specials};
use crate::align::AlignMethod;
use crate::checkpoint::positions::extend_positions;
use crate::checkpoint::read::config_path;
use crate::checkpoint::{Checkpoint, Heads};
use crate::config::{AlignConfig, DistillConfig, Experiment, FoldsConfig, Loaded, Valid};
use crate::data::truncate::truncate_texts;
use crate::data::{
    Classes, Dictionary, EncodedExample, Example, Labels, Task, TokenKind, ValidSplit,
    read_examples, source,
};
use crate::error::{Error, Result};
use crate::kernels;
use crate::model::Bert;
use crate::objective::ObjectiveName;
use crate::progress::Progress;
use crate::vocab::{PlainVocab, Segmenter, Unit};
use crate::workbench::Context;
use crate::workbench::run::encoder::encode_cut;
use crate::workbench::run::raw_rows::read_rows;
use crate::workbench::run::rows as run_rows;
use crate::workbench::run::start::Start;
use crate::workbench::run::warnings;

/// What is to be scored, and what scores it.
pub struct Rows {
    /// Where they stand.
    pub files: Vec<PathBuf>,
    /// Texts of a row, kind of its label, and the classes.
    pub task: Task,
    /// In file order, with labels where the files have them.
    pub rows: Vec<EncodedExample>,
    /// The network, in the vocabulary of the rows.
    pub model: Bert,
    /// Rows of its special tokens.
    pub specials: Specials,
    /// What cuts more text into the tokens of the rows; none for a cipher.
    pub tokenizer: Option<TextTokenizer>,
}

/// Plain text in rows of a checkpoint.
pub struct TextTokenizer {
    segmenter: Segmenter,
    plain: PlainVocab,
}

impl TextTokenizer {
    fn open(folder: &Path, plain: PlainVocab) -> Result<Self> {
        Ok(Self {
            segmenter: Segmenter::open(folder, Unit::WordPiece)?,
            plain,
        })
    }

    /// The tokens of a text, in rows of the checkpoint; none for a text of blanks.
    ///
    /// # Errors
    /// [`Error::Unexpected`] where the tokenizer fails.
    pub fn tokens(&self, text: &str) -> Result<Vec<u32>> {
        let unknown = self.plain.specials().unk;
        let tokens = self.segmenter.tokens(text)?.into_iter();
        let row = |token: String| self.plain.id(&token).unwrap_or(unknown).0;
        Ok(tokens.map(row).collect())
    }

    /// As [`TextTokenizer::tokens`], with [`BLANK`] where `blank` stands in the text.
    pub(super) fn tokens_around(&self, text: &str, blank: Option<&str>) -> Result<Vec<u32>> {
        let Some(blank) = blank else {
            return self.tokens(text);
        };
        let parts = text.split(blank).map(|part| self.tokens(part));
        let parts: Vec<Vec<u32>> = parts.collect::<Result<_>>()?;
        Ok(parts.join(&BLANK))
    }
}

impl Rows {
    /// Rows of a cipher: those of `pairs`, or else those of `data.train`, or else those of `data.test`. What `run` has aligned is
    /// taken up from there.
    ///
    /// # Errors
    /// Those of a run before it trains, but for the training files, of which there may be none; [`Error::Refused`] for rows of
    /// one text, for a network from scratch, and where there are no rows; [`Error::Input`] for a checkpoint without NSP head.
    pub fn of_cipher(
        loaded: &Loaded,
        run: Option<&Path>,
        pairs: Option<&Path>,
        context: Context,
    ) -> Result<Self> {
        let mut loaded = loaded.clone();
        to_score(&mut loaded.experiment);
        let data = &loaded.experiment.data;
        let alone = pairs.filter(|_| data.train.is_empty() && data.test.is_none());
        if let Some(pairs) = alone {
            count_alone(&mut loaded.experiment, pairs)?;
        }
        loaded.check_scoring()?;
        let experiment = &loaded.experiment;
        let folder = require_checkpoint(experiment)?;
        Checkpoint::open(folder)?.require_nsp(folder)?; // before the minutes of an alignment
        let files = files(experiment, pairs)?;
        let mut all = run_rows::Rows::read(experiment, context.progress)?;
        let start = Start::build(&loaded, &all, run, context)?;
        let rows = match pairs.filter(|_| alone.is_none()) {
            Some(pairs) => read_more(pairs, experiment, &mut all, context)?,
            None if experiment.data.train.is_empty() => all.test,
            None => all.labelled,
        };
        Ok(Self {
            files,
            task: all.task,
            rows,
            model: start.model(experiment.key())?.0,
            specials: Specials::OF_RUN,
            tokenizer: None,
        })
    }

    /// Rows of plain text; where they stand is as for a cipher. `heads` are those that score, `blank` marks a place in the texts.
    ///
    /// # Errors
    /// Those of the checkpoint and of the reader; [`Error::Input`] for a checkpoint without the heads.
    pub fn of_text(
        loaded: &Loaded,
        pairs: Option<&Path>,
        heads: Heads,
        blank: Option<&str>,
        Context { progress, .. }: Context,
    ) -> Result<Self> {
        let mut loaded = loaded.clone();
        to_score(&mut loaded.experiment);
        let experiment = &mut loaded.experiment;
        experiment.data.tokens = TokenKind::Text;
        experiment.align = AlignConfig {
            method: AlignMethod::Random, // there is nothing to align
            ..AlignConfig::default()
        };
        loaded.check_scoring()?;
        let experiment = &loaded.experiment;
        let folder = require_checkpoint(experiment)?;
        let checkpoint = Checkpoint::open(folder)?;
        match heads.nsp {
            true => checkpoint.require_nsp(folder)?,
            false => checkpoint.require_mlm(folder)?,
        }
        let Checkpoint {
            mut config,
            plain,
            mut weights,
            ..
        } = checkpoint;
        config.max_position_embeddings = loaded.positions(&config)?;
        extend_positions(&mut weights, config.max_position_embeddings);
        loaded.check_model(&config)?;
        let specials = Specials::from(plain.specials());
        let tokenizer = TextTokenizer::open(folder, plain)?;
        let files = files(experiment, pairs)?;
        let mut dictionary = Dictionary::new(TokenKind::Text);
        let mut classes = Classes::new(&experiment.format());
        let mut rows: Vec<Example> = Vec::new();
        for path in &files {
            let labels = Labels::Optional(&mut classes);
            rows.extend(
                read_examples(path, &experiment.format(), labels, &mut dictionary)?.examples,
            );
        }
        classes.close(&mut rows);
        let cutter = Cutter {
            tokenizer: &tokenizer,
            dictionary: &dictionary,
            separator: &experiment.data.token_separator,
            blank,
            max_tokens: experiment.data.max_tokens,
            unknown: specials.unk,
        };
        let encoded = cutter.encode(&rows)?;
        encoded.say(&files[0], experiment, progress);
        let path = kernels::path::Path::resolve(experiment.train.precision);
        let model = Bert::with_fresh_heads(config, heads, path, weights, experiment.key())?;
        Ok(Self {
            task: Task {
                kind: experiment.task.kind,
                labels: experiment.task.labels,
                classes: classes.names().to_vec(),
            },
            files,
            rows: encoded.rows,
            model: model.0,
            specials,
            tokenizer: Some(tokenizer),
        })
    }
}

/// Cuts the texts of rows into tokens.
struct Cutter<'a> {
    tokenizer: &'a TextTokenizer,
    dictionary: &'a Dictionary,
    separator: &'a str,
    blank: Option<&'a str>,
    max_tokens: usize,
    unknown: u32,
}

/// Rows, and what was lost of them.
#[derive(Default)]
struct Cut {
    rows: Vec<EncodedExample>,
    n_cut: usize,
    unknown: usize,
    all: usize,
}

impl Cutter<'_> {
    fn encode(&self, rows: &[Example]) -> Result<Cut> {
        let mut cut = Cut::default();
        for row in rows {
            let text = |ids: &Vec<_>, blank| {
                let words: Vec<String> = ids.iter().map(|&id| self.dictionary.name(id)).collect();
                let text = words.join(self.separator);
                let tokens = self.tokenizer.tokens_around(&text, blank)?;
                Ok::<_, Error>(match tokens.is_empty() {
                    true => vec![self.unknown],
                    false => tokens,
                })
            };
            let mut a = text(&row.a, self.blank)?;
            let mut b = row.b.as_ref().map(|b| text(b, None)).transpose()?;
            let was_cut = match a.contains(&BLANK) {
                true => truncate_around_blank(&mut a, b.as_mut(), self.max_tokens),
                false => truncate_texts(&mut a, b.as_mut(), self.max_tokens),
            };
            cut.n_cut += usize::from(was_cut);
            cut.all += a.len() + b.as_ref().map_or(0, Vec::len);
            let is_unknown = |token: &&u32| **token == self.unknown;
            cut.unknown += a
                .iter()
                .chain(b.iter().flatten())
                .filter(is_unknown)
                .count();
            cut.rows.push(EncodedExample {
                a,
                b,
                target: row.target.clone(),
                text_numbers: None,
            });
        }
        Ok(cut)
    }
}

/// As [`truncate_texts`], where the first text has a blank, which is no token: of that text the end that is farther from the blank goes
/// first, and a token beside the blank stays. Returns whether any was cut.
fn truncate_around_blank(
    a: &mut Vec<u32>,
    mut b: Option<&mut Vec<u32>>,
    max_tokens: usize,
) -> bool {
    let mut was_cut = false;
    loop {
        let n_first = a.len() - 1;
        let n_second = b.as_ref().map_or(0, |b| b.len());
        if n_first + n_second <= max_tokens {
            return was_cut;
        }
        match &mut b {
            Some(b) if n_second > n_first => drop(b.pop()),
            _ if n_first <= 1 => return was_cut,
            _ => match a.iter().position(|&token| token == BLANK) {
                Some(blank) if blank > n_first - blank => drop(a.remove(0)),
                _ => drop(a.pop()),
            },
        }
        was_cut = true;
    }
}

impl Cut {
    fn say(&self, path: &Path, experiment: &Experiment, progress: &Progress) {
        let limit = ("data.max_tokens", experiment.data.max_tokens);
        let cut = warnings::cut_rows(path, self.n_cut, self.rows.len(), limit);
        let hint = "is it text that the checkpoint was trained on?";
        let whose = path.display().to_string();
        let unknown = warnings::unknown_share(&whose, hint, (self.unknown, self.all));
        cut.iter()
            .chain(&unknown)
            .for_each(|line| progress.say(line));
    }
}

/// Takes out what only training reads, and what would ask for more than next sentences.
fn to_score(experiment: &mut Experiment) {
    experiment.folds = FoldsConfig::default();
    experiment.distill = DistillConfig::default();
    experiment.data.augment = None;
    experiment.stage = Vec::new();
    experiment.objective.name = ObjectiveName::Nsp;
    experiment.objective.mlm_weight = Some(0.0);
    if let Valid::Split(_) = experiment.data.valid {
        experiment.data.valid = Valid::Split(ValidSplit::None);
    }
}

/// The rows of `pairs` make the vocabulary, as there are no others.
fn count_alone(experiment: &mut Experiment, pairs: &Path) -> Result<()> {
    let mut dictionary = Dictionary::new(experiment.data.tokens);
    let format = experiment.format();
    let file = read_examples(pairs, &format, Labels::Ignored, &mut dictionary)?;
    match file.has_labels {
        true => experiment.data.train = vec![pairs.to_owned()],
        false => experiment.data.test = Some(pairs.to_owned()),
    }
    Ok(())
}

/// The files whose rows are scored.
fn files(experiment: &Experiment, pairs: Option<&Path>) -> Result<Vec<PathBuf>> {
    let data = &experiment.data;
    let files = match pairs {
        Some(pairs) => vec![pairs.to_owned()],
        None if data.train.is_empty() => data.test.iter().cloned().collect(),
        None => data.train.clone(),
    };
    match files.is_empty() {
        true => Err(Error::refused("there are no rows to score")
            .with_hint("name a file by --pairs, or set data.train or data.test")),
        false => Ok(files),
    }
}

fn require_checkpoint(experiment: &Experiment) -> Result<&Path> {
    let is_fresh = experiment.align.method == AlignMethod::Scratch;
    match &experiment.checkpoint.dir {
        Some(folder) if !is_fresh => Ok(folder),
        _ => Err(Error::refused(
            "align.method = \"scratch\" starts from fresh values, which know nothing of next sentences",
        )
        .with_hint("choose another align.method, with a checkpoint")),
    }
}

/// Rows of a file that the vocabulary has not counted.
fn read_more(
    pairs: &Path,
    experiment: &Experiment,
    all: &mut run_rows::Rows,
    Context { progress, .. }: Context,
) -> Result<Vec<EncodedExample>> {
    let mut classes = Classes::of(&all.task);
    let labels = Labels::Optional(&mut classes);
    let rows = read_rows(experiment, pairs, labels, &mut all.dictionary, progress)?;
    let encode = |row| encode_cut(row, &all.vocab, experiment.data.max_tokens);
    let rows: Vec<_> = rows.iter().map(encode).collect();
    let hint = "is it of the same cipher as the files of the experiment?";
    let unknown = warnings::unknown_tokens(&pairs.display().to_string(), hint, &rows);
    unknown.iter().for_each(|line| progress.say(line));
    Ok(rows)
}

/// A warning where the NSP head of a checkpoint is known to have learnt nothing: a RoBERTa is trained without next sentences, and
/// its head, where it is stored at all, holds what it began with.
pub fn untrained_head(experiment: &Experiment) -> Option<String> {
    let folder = experiment.checkpoint.dir.as_deref()?;
    let bytes = source::read(&config_path(folder)).ok()?;
    let config: serde_json::Value = serde_json::from_slice(&bytes).ok()?;
    let named = config
        .get("_name_or_path")
        .and_then(serde_json::Value::as_str);
    let folder_name = folder.file_name().unwrap_or_default().to_string_lossy();
    let mut names = [named.unwrap_or_default(), &folder_name].into_iter();
    names.find(|name| name.to_lowercase().contains("roberta")).map(|name| {
        format!(
            "warning: {name} is called a RoBERTa: these are trained without next sentences, and scores of such a head mean nothing"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_texts_are_cut_and_the_blank_stays() {
        // Tokens before the blank, behind it, of the second text; then the same when they are cut to 10.
        for (long, cut) in [
            ((3, 2, 5), (3, 2, 5)),
            ((0, 1, 140), (0, 1, 9)), // the second text is all that is long
            ((2, 3, 140), (2, 3, 5)),
            ((20, 1, 4), (5, 1, 4)),
            ((1, 20, 4), (1, 5, 4)),
            ((20, 20, 20), (3, 2, 5)),
            ((0, 0, 12), (0, 0, 10)),
        ] {
            let texts = |(before, behind, second): (usize, usize, usize)| {
                let a = [vec![1; before], vec![BLANK], vec![2; behind]].concat();
                (a, vec![3; second])
            };
            let (mut a, mut b) = texts(long);
            let was_cut = truncate_around_blank(&mut a, Some(&mut b), 10);
            assert_eq!(((a, b), was_cut), (texts(cut), long != cut), "{long:?}");
        }
        let mut alone = vec![1, 1, 1, BLANK, 2];
        assert!(truncate_around_blank(&mut alone, None, 2));
        assert_eq!(alone, [1, BLANK, 2]);
    }
}
