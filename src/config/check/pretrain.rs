//! What must hold of a pretraining before anything long begins.
//!
//! In: a [`Loaded`] pretraining. Out: nothing, or the first problem with the place where its key was set. Does not open the
//! files: their readers check what is in them.

use std::collections::HashSet;

use super::size::Longest;
use super::{Loaded, MISSING_HINT, missing};
use crate::checkpoint::BertConfig;
use crate::checkpoint::read::config_path;
use crate::config::{Pretraining, Stage, StageConfig};
use crate::data::source;
use crate::error::{Error, Result};
use crate::objective::ObjectiveName;
use crate::vocab::missing_folder;

/// Rows of a vocabulary that is built.
const MOST_TOKENS: usize = 1_000_000;
/// Lines of a document.
const MOST_LINES: usize = 1_000_000;

impl Loaded<Pretraining> {
    /// Refuses settings that cannot work.
    ///
    /// # Errors
    /// [`Error::Input`] for the first value out of range, key that is missing or file that is not there.
    pub fn check(&self) -> Result<()> {
        let settings = &self.experiment;
        self.check_seed(settings.seed)?;
        self.check_text()?;
        self.check_vocabulary()?;
        self.not_negative(
            "train.save_every_minutes",
            settings.train.save_every_minutes,
        )?;
        self.refuse_set("train.unlabelled")?;
        self.check_stages()?;
        let is_fresh = settings.checkpoint.dir.is_none();
        let way_out = "a size can be chosen without checkpoint.dir";
        self.check_sizes(&settings.model, is_fresh, way_out)
    }

    /// Refuses lines longer than the network has positions, and a size that cannot be.
    ///
    /// # Errors
    /// [`Error::Input`] for `text.max_tokens`, `model.heads`, `model.hidden`, and for `nsp` with one token type.
    pub fn check_model(&self, config: &BertConfig) -> Result<()> {
        self.check_length(config, &self.longest())?;
        self.check_token_types(config, "checkpoint.dir", &self.experiment.stages())?;
        self.check_width(config, self.experiment.checkpoint.dir.is_none())
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
            key: "text.max_tokens",
            max_tokens: self.experiment.text.max_tokens,
            special: self.experiment.n_special(),
        }
    }

    fn check_text(&self) -> Result<()> {
        let text = &self.experiment.text;
        self.at_least(2, "text.max_tokens", text.max_tokens)?;
        self.at_least(2, "text.document_lines", text.document_lines)?;
        self.at_most(MOST_LINES, "text.document_lines", text.document_lines)?;
        self.require(
            (0.0..=0.5).contains(&text.held_out),
            "text.held_out",
            "a share from 0 to 0.5",
            text.held_out,
        )?;
        if text.files.is_empty() && text.dialogues.is_empty() {
            let error = Error::input(self.place("text.files"), "one file or more", "none");
            return Err(error.with_hint(
                "name files with a sentence a line in text.files, those whose lines follow each other in text.dialogues",
            ));
        }
        let mut seen = HashSet::new();
        for (key, files) in [
            ("text.files", &text.files),
            ("text.dialogues", &text.dialogues),
        ] {
            for path in files {
                self.require(path.is_file(), key, "a file on disk", missing(path))
                    .map_err(|error| error.with_hint(MISSING_HINT))?;
                let found = || format!("{} twice", path.display());
                self.require(seen.insert(path), key, "each file once", found())
                    .map_err(|error| {
                        error.with_hint("its held-out lines would be learnt from: leave one out")
                    })?;
            }
        }
        Ok(())
    }

    fn check_vocabulary(&self) -> Result<()> {
        let Pretraining {
            vocab, checkpoint, ..
        } = &self.experiment;
        self.at_least(1, "vocab.min_count", vocab.min_count)?;
        if let Some(size) = vocab.size {
            self.at_least(6, "vocab.size", size)?;
            self.at_most(MOST_TOKENS, "vocab.size", size)?;
        }
        let given = match (&vocab.file, &checkpoint.dir) {
            (_, Some(_)) => &["vocab.file", "vocab.size", "vocab.lower_case"][..],
            (Some(_), None) => &["vocab.size"],
            (None, None) => &[],
        };
        for key in given {
            if self.sets(key) {
                let (owner, way_out) = match checkpoint.dir {
                    Some(_) => ("the checkpoint", "checkpoint.dir"),
                    None => ("vocab.file", "vocab.file"),
                };
                let expected = format!("no value: {owner} has its vocabulary");
                let error = Error::input(self.place(key), expected, "one");
                return Err(error.with_hint(format!("leave out {key} or {way_out}")));
            }
        }
        if let Some(file) = &vocab.file {
            self.require_file("vocab.file", file)?;
        }
        let Some(dir) = &checkpoint.dir else {
            return Ok(());
        };
        let there = source::exists(&config_path(dir));
        let expected = "a BERT folder with config.json";
        self.require(there, "checkpoint.dir", expected, missing(dir))
            .map_err(|error| error.with_hint(missing_folder::hint(dir)))
    }

    fn check_stages(&self) -> Result<()> {
        let settings = &self.experiment;
        let whole = settings.whole_stage();
        self.check_numbers(&whole, ["objective", "train"])?;
        let stages = settings.stages();
        for (at, stage) in stages.iter().enumerate() {
            let section = settings.stage.get(at).map(|own| self.check_own(own));
            let section = section.transpose()?;
            if let Some(section) = &section {
                self.check_name(section, &stages[..at], stage)?;
                self.check_numbers(stage, [section, section])?;
            }
            self.check_average(section.as_deref(), stage)?;
            let key = match &section {
                Some(section) => format!("{section}.objective"),
                None => "objective.name".to_owned(),
            };
            self.check_pretrain_objective(&key, stage)?;
        }
        self.check_unread(&whole, &stages, &settings.stage, None)
    }

    /// The section of a stage, which has no keys of labelled rows.
    fn check_own(&self, stage: &StageConfig) -> Result<String> {
        let section = format!("stage.{}", stage.name);
        for name in ["rows", "files", "head", "corrupt_sources", "candidates"] {
            self.refuse_set(&format!("{section}.{name}"))?;
        }
        Ok(section)
    }

    fn refuse_set(&self, key: &str) -> Result<()> {
        let expected = "no such key in a pretraining";
        self.require(!self.sets(key), key, expected, "one")
            .map_err(|error| error.with_hint("every stage learns from all lines of [text]"))
    }

    fn check_pretrain_objective(&self, key: &str, stage: &Stage) -> Result<()> {
        let name = stage.objective;
        let holds = matches!(name, ObjectiveName::Mlm | ObjectiveName::Nsp);
        self.require(holds, key, "`mlm` or `nsp`", format!("`{}`", name.name()))
            .map_err(|error| error.with_hint("`cipherpet run` learns from labels"))?;
        if name == ObjectiveName::Nsp && self.experiment.text.dialogues.is_empty() {
            let place = self.place("text.dialogues");
            let error = Error::input(place, "one file or more, as `nsp` needs neighbours", "none");
            return Err(error.with_hint(
                "name files whose neighbouring lines follow each other in text.dialogues, or learn `mlm` alone",
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Pretraining, load_as};

    /// The message and the hint of an otherwise good pretraining.
    fn refusal(more: &str, assignments: &[&str]) -> (String, String) {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let file = folder.path().join("p.toml");
        std::fs::write(folder.path().join("lines.txt"), "1 2\n").expect("a small file");
        std::fs::write(folder.path().join("talk.txt"), "1 2\n").expect("a small file");
        let text = "text.files = \"lines.txt\"\ntext.dialogues = \"talk.txt\"\n".to_owned() + more;
        std::fs::write(&file, text).expect("a small file");
        let assignments: Vec<String> = assignments.iter().map(|a| (*a).to_owned()).collect();
        let loaded = load_as::<Pretraining>(Some(&file), &assignments);
        let Err(error) = loaded.and_then(|loaded| loaded.check()) else {
            return ("good".to_owned(), String::new());
        };
        let prefix = format!("{}/", folder.path().display());
        (
            error.to_string().replace(&prefix, ""),
            error.hint().unwrap_or_default().to_owned(),
        )
    }

    #[test]
    fn what_cannot_work_is_refused_with_place_and_expectation() {
        let message = |more: &str, assignments: &[&str]| refusal(more, assignments).0;
        assert_eq!(message("", &[]), "good");
        assert_eq!(message("objective.name = \"nsp\"\n", &[]), "good");
        for (assignment, rest) in [
            ("text.max_tokens=1", "2 or more, found 1"),
            ("text.document_lines=1", "2 or more, found 1"),
            ("text.held_out=0.6", "a share from 0 to 0.5, found 0.6"),
            ("text.files=[]", "good"),
            (
                "text.files=/no/file.txt",
                "a file on disk, found none at /no/file.txt",
            ),
            ("vocab.size=5", "6 or more, found 5"),
            ("vocab.min_count=0", "1 or more, found 0"),
            (
                "vocab.file=/no/vocab.txt",
                "a file, found none at /no/vocab.txt",
            ),
            ("objective.name=pet", "`mlm` or `nsp`, found `pet`"),
            (
                "train.unlabelled=[]",
                "no such key in a pretraining, found one",
            ),
            ("train.epochs=0", "1 or more, found 0"),
            ("objective.mask=1", "a number between 0 and 1, found 1"),
            ("model.layers=0", "1 or more, found 0"),
        ] {
            let expected = match rest {
                "good" => rest.to_owned(),
                _ => format!("--set {assignment}: expected {rest}"),
            };
            assert_eq!(message("", &[assignment]), expected);
        }
    }

    #[test]
    fn nsp_without_dialogues_and_a_file_twice() {
        let nsp = "[[stage]]\nname = \"a\"\nobjective = \"nsp\"\n";
        let (message, hint) = refusal(nsp, &["text.dialogues=[]"]);
        assert_eq!(
            message,
            "--set text.dialogues=[]: expected one file or more, as `nsp` needs neighbours, found none"
        );
        assert!(
            hint.starts_with("name files whose neighbouring lines"),
            "{hint}"
        );
        let (message, _) = refusal("", &["text.files=[]", "text.dialogues=[]"]);
        assert_eq!(
            message,
            "--set text.files=[]: expected one file or more, found none"
        );
        let folder = tempfile::tempdir().expect("a folder for the test");
        let lines = folder.path().join("lines.txt");
        std::fs::write(&lines, "1\n").expect("a small file");
        let twice = format!("text.files=[\"{0}\", \"{0}\"]", lines.display());
        let (message, _) = refusal("", &[&twice]);
        assert!(
            message.contains("expected each file once, found "),
            "{message}"
        );
    }

    #[test]
    fn keys_of_experiments_and_slips_are_unknown_or_refused() {
        let (message, hint) = refusal("[data]\ntrain = \"a\"\n", &[]);
        assert!(
            message.starts_with("p.toml:3:data: expected a known key"),
            "{message}"
        );
        assert_eq!(hint, "`data` belongs in a file for `cipherpet run`");
        let (_, hint) = refusal("[unlike]\nall = 1\n", &[]);
        assert!(hint.starts_with("sections are text, vocab, "), "{hint}");
        let (_, hint) = refusal("text.train = \"x\"\n", &[]);
        assert!(hint.starts_with("[text] has files, dialogues, "), "{hint}");
        let (message, hint) = refusal("text.dialoges = \"x\"\n", &[]);
        assert_eq!(
            message,
            "p.toml:3:text.dialoges: expected a known key, found `text.dialoges`"
        );
        assert_eq!(hint, "did you mean `text.dialogues`?");
        let (message, _) = refusal("[grid]\nseed = [1]\n", &[]);
        assert_eq!(message, "p.toml:3:grid: expected a known key, found `grid`");
        let stage = "[[stage]]\nname = \"a\"\nhead = \"cls\"\n";
        assert_eq!(
            refusal(stage, &[]).0,
            "p.toml:5:stage.a.head: expected no such key in a pretraining, found one"
        );
    }

    #[test]
    fn keys_of_labels_do_nothing_where_there_are_none() {
        let nsp = "objective.name=nsp";
        let of_mlm = "as no stage has another objective than mlm";
        for (assignment, expected) in [
            ("train.r_drop=1", format!("0, {of_mlm}, found 1")),
            ("train.dropout_samples=4", format!("1, {of_mlm}, found 4")),
            ("objective.mlm_weight=0", format!("none, {of_mlm}, found 0")),
        ] {
            let message = format!("--set {assignment}: expected {expected}");
            assert_eq!(refusal("", &[assignment]).0, message);
            assert_eq!(refusal("", &[assignment, nsp]).0, "good");
        }
        let smoothing = "train.label_smoothing=0.1";
        for more in [&[smoothing][..], &[smoothing, nsp]] {
            let (message, hint) = refusal("", more);
            assert_eq!(
                message,
                "--set train.label_smoothing=0.1: expected 0, as no stage learns labels that it changes, found 0.1"
            );
            assert_eq!(hint, "leave it out");
        }
        let two = "[[stage]]\nname = \"a\"\n[[stage]]\nname = \"b\"\nobjective = \"nsp\"\n";
        assert_eq!(refusal(two, &["train.r_drop=1"]).0, "good");
        assert_eq!(
            refusal(two, &["stage.a.r_drop=1"]).0,
            "--set stage.a.r_drop=1: expected 0, as `mlm` does not read it, found 1"
        );
        let own = refusal(two, &["stage.b.candidates=first"]).0;
        assert!(
            own.ends_with("no such key in a pretraining, found one"),
            "{own}"
        );
    }

    #[test]
    fn a_vocabulary_comes_from_one_place() {
        let (message, hint) = refusal("", &["vocab.file=/v.txt", "vocab.size=100"]);
        assert_eq!(
            message,
            "--set vocab.size=100: expected no value: vocab.file has its vocabulary, found one"
        );
        assert_eq!(hint, "leave out vocab.size or vocab.file");
        assert_eq!(
            refusal("", &["checkpoint.dir=demo:", "vocab.file=/v.txt"]).0,
            "--set vocab.file=/v.txt: expected no value: the checkpoint has its vocabulary, found one"
        );
        assert_eq!(refusal("", &["checkpoint.dir=demo:"]).0, "good");
        assert_eq!(
            refusal("", &["checkpoint.dir=demo:", "model.hidden=64"]).0,
            "--set model.hidden=64: expected no value: the checkpoint has its size, found 64"
        );
    }
}
