//! What must hold before anything long begins: ranges, keys that need each other, files that exist.
//!
//! In: a [`Loaded`] experiment. Out: nothing, or the first problem with the place where its key was set.
//! Does not open the files: their readers check what is in them.

mod dropped;
mod learning;
mod pretrain;
mod size;
mod switched_off;
mod unread;

use std::fmt::Display;
use std::path::Path;

use self::size::Longest;
use super::settings::Settings;
use super::{Experiment, FoldsConfig, Loaded, SubmitConfig, Valid};
use crate::align::AlignMethod;
use crate::checkpoint::BertConfig;
use crate::checkpoint::read::config_path;
use crate::data::near::is_threshold;
use crate::data::{Assign, Column, LabelColumns, LabelKind, ValidSplit, source};
use crate::error::{Error, Place, Result};
use crate::vocab::missing_folder;

/// The choices of `data.valid`.
const VALID_HINT: &str = "`row10` holds out every tenth row, 0.2 (without quotes) every fifth, `group` rows that share no \
                          sentence with the others, `none` no row";

/// The way out where a file is not there.
const MISSING_HINT: &str = "correct the path, or put the file there; a relative path in an experiment file begins at the \
                            folder of that file";

const EMBEDDED_HINT: &str = "inside the tool are demo:train.tsv, demo:test.tsv and demo:counts.tsv";

// Far beyond what anybody trains; a number from a setting must not become a loop or a size before it is looked at.
const MOST_FOLDS: usize = 1000;

impl Loaded {
    /// Refuses settings that cannot work.
    ///
    /// # Errors
    /// [`Error::Input`] for the first value out of range, key that is missing or file that is not there.
    pub fn check(&self) -> Result<()> {
        self.require_preset()?;
        self.check_reading()?;
        self.check_folds()?;
        self.check_general()?;
        self.check_learning()?;
        self.check_alignment()?;
        self.check_submit()?;
        self.check_files()
    }

    /// Refuses settings that cannot work where rows are scored and nothing is trained: there need be no training file.
    ///
    /// # Errors
    /// As [`Loaded::check`].
    pub fn check_scoring(&self) -> Result<()> {
        self.check_reading()?;
        self.check_general()?;
        self.check_alignment()?;
        self.require_files()
    }

    /// The keys that say what a submission looks like.
    ///
    /// # Errors
    /// [`Error::Input`] for the first name that cannot head a column.
    pub fn check_submit(&self) -> Result<()> {
        let submit = &self.experiment.submit;
        let id_column = submit.id_column.as_deref().unwrap_or(SubmitConfig::ID);
        let names = [
            ("submit.id_column", id_column),
            ("submit.score_column", &submit.score_column),
        ];
        for (key, name) in names {
            let holds = !name.is_empty() && !name.contains(char::is_control);
            let expected = "a column name without control characters";
            self.require(holds, key, expected, format!("{name:?}"))?;
        }
        self.require(
            id_column != submit.score_column,
            "submit.score_column",
            "another name than submit.id_column",
            format!("{:?} for both", submit.score_column),
        )
    }

    /// The keys that say how pair files are read.
    ///
    /// # Errors
    /// [`Error::Input`] for the first value out of range.
    pub fn check_reading(&self) -> Result<()> {
        let data = &self.experiment.data;
        self.require(
            data.delimiter.is_ascii() && !"\n\r\"".contains(data.delimiter),
            "data.delimiter",
            "an ASCII character that ends no line and is no quote",
            format!("{:?}", data.delimiter),
        )
        .map_err(|error| error.with_hint("a tab is \"\\t\", a comma \",\""))?;
        // With any other delimiter than a tab, fields in quotes may hold it.
        let is_delimiter = |separator: &str| data.delimiter == '\t' && separator.contains('\t');
        self.require(
            !data.token_separator.is_empty() && !is_delimiter(&data.token_separator),
            "data.token_separator",
            "one or more characters, and where no quotes can stand around a field not the delimiter",
            format!("{:?}", data.token_separator),
        )?;
        let in_one_column = self.experiment.task.labels == LabelKind::Multilabel
            && !matches!(data.label, Some(LabelColumns::Several(_)));
        let separator = &data.label_separator;
        self.require(
            !in_one_column || !separator.is_empty() && !separator.contains(data.delimiter),
            "data.label_separator",
            "one or more characters without the delimiter",
            format!("{:?}", data.label_separator),
        )?;
        self.check_columns()?;
        // Each text keeps a token or more.
        let n_texts = self.experiment.task.kind.n_texts();
        self.at_least(n_texts, "data.max_tokens", data.max_tokens)
    }

    fn check_columns(&self) -> Result<()> {
        let Some((first, second, column)) = self.experiment.format().repeated_column() else {
            return Ok(());
        };
        let [first, second] = [first, second].map(|key| format!("data.{key}"));
        // Where only one of the two was set, that is the place.
        let (key, other) = match self.places.contains_key(&second) {
            true => (second, first),
            false => (first, second),
        };
        let column = match column {
            Column::Number(number) => format!("column {number}"),
            Column::Name(name) => format!("column `{name}`"),
        };
        let expected = format!("another column than that of {other}");
        let found = format!("{column} for both");
        let hint = format!("set {key} or {other} to another column");
        Err(Error::input(self.place(&key), expected, found).with_hint(hint))
    }

    /// Refuses rows longer than the model has positions, heads that do not divide its width, and a network of more weights than
    /// a machine holds. `config` is the model's.
    ///
    /// # Errors
    /// [`Error::Input`] for `data.max_tokens`, `model.heads` or `model.hidden`.
    pub fn check_model(&self, config: &BertConfig) -> Result<()> {
        self.check_length(config, &self.longest())?;
        let has_types = config.type_vocab_size > 1;
        let expected = "false, as the model has one token type";
        let marks = self.experiment.data.mark_shared == Some(true);
        self.require(has_types || !marks, "data.mark_shared", expected, true)?;
        self.check_token_types(config, "checkpoint.dir", &self.experiment.stages())?;
        let is_fresh = self.experiment.align.method == AlignMethod::Scratch;
        self.check_width(config, is_fresh)
    }

    /// Positions of a network that starts from a checkpoint of this size.
    ///
    /// # Errors
    /// [`Error::Input`] for `model.positions` that cannot be made from these.
    pub fn positions(&self, checkpoint: &BertConfig) -> Result<usize> {
        self.positions_from(checkpoint, &self.experiment.model, &self.longest())
    }

    fn longest(&self) -> Longest<'_> {
        Longest {
            key: "data.max_tokens",
            max_tokens: self.experiment.data.max_tokens,
            special: 1 + self.experiment.task.kind.n_texts(), // [CLS], and a [SEP] after each text
        }
    }

    /// The keys that say how many models a run has.
    ///
    /// # Errors
    /// [`Error::Input`] for the first value out of range.
    pub fn check_folds(&self) -> Result<()> {
        let FoldsConfig {
            k,
            assign,
            near,
            repeats,
            full,
        } = self.experiment.folds;
        self.require(k != 1, "folds.k", "0 (a single split), or 2 or more", k)?;
        self.at_most(MOST_FOLDS, "folds.k", k)?;
        self.at_least(1, "folds.repeats", repeats)?;
        self.at_most(MOST_FOLDS, "folds.repeats", repeats)?;
        if let Some(near) = near {
            let expected = "a number above 0, up to 1";
            self.require(is_threshold(near), "folds.near", expected, near)?;
            let expected = format!("none, as folds.assign = \"{}\"", assign.name());
            let holds = k == 0 || assign == Assign::Group;
            self.require(holds, "folds.near", expected, near)
                .map_err(|error| error.with_hint("set folds.assign = \"group\""))?;
        }
        if k == 0 {
            let expected = "none, as folds.k = 0";
            let found = near.unwrap_or_default();
            self.require(near.is_none(), "folds.near", expected, found)
                .map_err(|error| error.with_hint("set folds.k, or leave folds.near out"))?;
            self.require(repeats == 1, "folds.repeats", "1, as folds.k = 0", repeats)
                .map_err(|error| error.with_hint("set folds.k, or leave folds.repeats out"))?;
            let expected = "false, as folds.k = 0";
            let full = self.require(!full, "folds.full", expected, full);
            return full.map_err(|error| {
                error.with_hint("set folds.k, or data.valid = \"none\" to train on all rows once")
            });
        }
        if let Valid::File(path) = &self.experiment.data.valid {
            let expected =
                format!("no file, as folds.k = {k} holds out rows of data.train in turn");
            let error = Error::input(self.place("data.valid"), expected, path.display());
            return Err(error.with_hint("leave data.valid out, or set folds.k = 0"));
        }
        Ok(())
    }

    fn check_general(&self) -> Result<()> {
        let Experiment {
            seed, vocab, train, ..
        } = &self.experiment;
        self.check_seed(*seed)?;
        self.at_least(1, "vocab.min_count", vocab.min_count)?;
        self.not_negative("train.save_every_minutes", train.save_every_minutes)
    }

    fn check_alignment(&self) -> Result<()> {
        let Experiment {
            align,
            checkpoint,
            model,
            ..
        } = &self.experiment;
        let method = format!("align.method = \"{}\"", align.method.name());
        let needs = [
            (
                align.method != AlignMethod::Scratch,
                "checkpoint.dir",
                checkpoint.dir.is_some(),
                "a Hugging Face folder of a BERT; align.method = \"scratch\" does without",
            ),
            (
                align.method == AlignMethod::Rank,
                "align.counts",
                align.counts.is_some(),
                "`cipherpet count` makes counts from plain text files",
            ),
            (
                align.method == AlignMethod::File,
                "align.file",
                align.file.is_some(),
                "`cipherpet align` and every run write such a mapping.tsv",
            ),
            (
                align.method == AlignMethod::Graph,
                "align.plain",
                !align.plain.is_empty(),
                "text files of the competition's domain, one sentence a line",
            ),
        ];
        for (needed, key, given, hint) in needs {
            if needed && !given {
                let expected = format!("a path, as {method} needs it");
                return Err(Error::input(self.place(key), expected, "none").with_hint(hint));
            }
        }
        let holds = !align.refine || align.method == AlignMethod::Graph;
        let expected = "false: only align.method = \"graph\" is refined";
        self.require(holds, "align.refine", expected, align.refine)?;
        self.check_plain()?;
        let is_fresh = align.method == AlignMethod::Scratch;
        let way_out = "a size can be chosen with align.method = \"scratch\"";
        self.check_sizes(model, is_fresh, way_out)
    }

    fn check_plain(&self) -> Result<()> {
        let align = &self.experiment.align;
        let (files, weights) = (align.plain.len(), align.plain_weights.len());
        self.require(
            weights == 0 || weights == files,
            "align.plain_weights",
            format!("{files} numbers, one a file of align.plain"),
            weights,
        )
        .map_err(|error| {
            error.with_hint("give one number a file, or leave align.plain_weights out")
        })?;
        for &weight in &align.plain_weights {
            let holds = weight > 0.0 && weight.is_finite();
            self.require(holds, "align.plain_weights", "numbers above 0", weight)?;
        }
        Ok(())
    }

    fn check_files(&self) -> Result<()> {
        if self.experiment.data.train.is_empty() {
            let error = Error::input(self.place("data.train"), "one file or more", "none");
            return Err(error.with_hint(
                "`cipherpet inspect FILES --starter experiment.toml` writes a first one",
            ));
        }
        self.require_files()
    }

    fn require_files(&self) -> Result<()> {
        let Experiment {
            data,
            checkpoint,
            align,
            ..
        } = &self.experiment;
        let valid = match &data.valid {
            Valid::File(path) => Some(path),
            Valid::Split(ValidSplit::Share(share)) => {
                let holds = *share > 0.0 && *share <= 0.5;
                let expected = "a share above 0, up to 0.5";
                self.require(holds, "data.valid", expected, share)?;
                None
            }
            Valid::Split(_) => None,
        };
        let files = data.train.iter().map(|path| ("data.train", path));
        let files = files.chain(data.test.iter().map(|path| ("data.test", path)));
        let files = files.chain(data.unlabelled.iter().map(|path| ("data.unlabelled", path)));
        // Text is streamed from the disk; the tool has none inside.
        let (plain, others): (Vec<_>, Vec<_>) =
            (align.files()).partition(|&(key, _)| key == "align.plain");
        let files = files.chain(others);
        let like = self.experiment.submit.like.iter();
        let files = files.chain(like.map(|path| ("submit.like", path)));
        for (key, path) in files {
            self.require_file(key, path)?;
        }
        for stage in &self.experiment.stage {
            let key = format!("stage.{}.files", stage.name);
            for path in &stage.files {
                self.require_file(&key, path)?;
            }
        }
        for (key, path) in plain {
            let there = path.is_file();
            self.require(there, key, "a file on disk", missing(path))
                .map_err(|error| error.with_hint(MISSING_HINT))?;
        }
        if let Some(folder) = &data.augment {
            let expected = "a folder that `cipherpet augment` has left";
            let there = folder.is_dir();
            self.require(there, "data.augment", expected, missing(folder))
                .map_err(|error| error.with_hint(MISSING_HINT))?;
        }
        if let Some(path) = valid {
            let there = source::exists(path);
            self.require(there, "data.valid", Valid::CHOICES, missing(path))
                .map_err(|error| error.with_hint(VALID_HINT))?;
        }
        if let Some(dir) = &checkpoint.dir {
            let config = config_path(dir);
            let expected = "a BERT folder with config.json";
            let there = source::exists(&config);
            self.require(there, "checkpoint.dir", expected, missing(dir))
                .map_err(|error| error.with_hint(missing_folder::hint(dir)))?;
        }
        Ok(())
    }
}

impl<T: Settings> Loaded<T> {
    fn check_seed(&self, seed: u64) -> Result<()> {
        let expected = format!("at most {}", i64::MAX);
        self.require(i64::try_from(seed).is_ok(), "seed", expected, seed)
    }

    fn at_least<V: PartialOrd + Display>(&self, least: V, key: &str, found: V) -> Result<()> {
        self.require(found >= least, key, format!("{least} or more"), found)
    }

    fn at_most(&self, most: usize, key: &str, found: usize) -> Result<()> {
        self.require(found <= most, key, format!("{most} or less"), found)
    }

    fn not_negative(&self, key: &str, found: f64) -> Result<()> {
        let holds = found >= 0.0 && found.is_finite();
        self.require(holds, key, "a number, 0 or more", found)
    }

    fn require_file(&self, key: &str, path: &Path) -> Result<()> {
        self.require(source::exists(path), key, "a file", missing(path))
            .map_err(|error| match source::is_embedded(path) {
                true => error.with_hint(EMBEDDED_HINT),
                false => error.with_hint(MISSING_HINT),
            })
    }

    fn require(
        &self,
        holds: bool,
        key: &str,
        expected: impl Display,
        found: impl Display,
    ) -> Result<()> {
        if holds {
            return Ok(());
        }
        Err(Error::input(self.place(key), expected, found))
    }

    /// Where `key` was set, or else what it stands in; where neither was, the file as a whole.
    fn place(&self, key: &str) -> Place {
        let mut set = key;
        loop {
            if let Some(place) = self.places.get(set) {
                return place.clone();
            }
            match set.rsplit_once('.') {
                Some((section, _)) => set = section,
                None => return Place::file(T::NAME).field(key),
            }
        }
    }
}

fn missing(path: &Path) -> String {
    format!("none at {}", path.display())
}

#[cfg(test)]
mod tests;
