//! The experiment file: every setting of a run, from defaults, a TOML file and `--set key=value`.
//!
//! In: TOML text and assignments ([`load`]). Out: an [`Experiment`] with every key filled in and every path
//! made absolute, which can be written, read again and hashed ([`Experiment::sha256`]); several where there is a
//! `[grid]`.
//! [`Loaded::check`] refuses what cannot work before anything long begins. Reads no data and does no work.

mod alignment;
mod check;
mod checked;
mod grid;
mod keys;
mod load;
mod preset;
mod preset_effect;
mod pretrain;
mod sections;
mod settings;
mod stages;
mod values;

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::align::AlignMethod;
use crate::checkpoint::BertConfig;
use crate::checkpoint::read::files as files_of_checkpoint;
use crate::data::{ExampleFormat, FoldOptions, TextKind, source};
use crate::error::Result;
use crate::metrics::MetricName;
use crate::objective::ObjectiveName;
use crate::random::Key;

pub use alignment::AlignConfig;
use keys::Keys;
pub use load::{Loaded, load, load_as, load_cells, require_read};
pub use preset::Preset;
pub use pretrain::{PretrainObjectiveConfig, Pretraining, TextConfig, TextVocabConfig};
pub use sections::{
    CheckpointConfig, DataConfig, DistillConfig, FoldsConfig, ModelConfig, ObjectiveConfig,
    Precision, PredictConfig, SubmitConfig, SubmitFormat, TaskConfig, TrainConfig, UnlabelledRows,
    Valid, VocabConfig,
};
pub use settings::{Difference, Settings, unwritable};
pub use stages::{Stage, StageConfig, StageRows};

/// The experiment that runs where no file is named.
pub const DEFAULT_EXPERIMENT: &str = "demo:experiment.toml";

/// The pretrained BERT inside the tool, a value for `checkpoint.dir`.
pub const DEMO_CHECKPOINT: &str = "demo:";

/// Its token counts, a value for `align.counts`.
pub const DEMO_COUNTS: &str = "demo:counts.tsv";

/// The keys that say how pair files are read, those of [`Experiment::format`].
pub const READING: [&str; 10] = [
    "task.kind",
    "task.labels",
    "data.delimiter",
    "data.header",
    "data.text_a",
    "data.text_b",
    "data.label",
    "data.label_separator",
    "data.token_separator",
    "data.tokens",
];

/// What `[predict]` and `[submit]` say is done after the training, with the model that there is.
const AFTER_TRAINING: [&str; 2] = ["predict.", "submit."];

/// Whether a key, which may name a section or a part of one, changes no model.
pub fn is_after_training(key: &str) -> bool {
    let key = format!("{key}.");
    AFTER_TRAINING
        .iter()
        .any(|section| key.starts_with(section))
}

/// A preset is what it sets, whatever it is called.
fn changes_models(key: &str) -> bool {
    key != preset::PRESET && !is_after_training(key)
}

/// A whole experiment file. A missing key has the value of `Experiment::default()`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Experiment {
    /// `fast`, `good` or `best`: a recipe that lies under all that is set here ([`Preset`]); default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub preset: Option<Preset>,
    /// Root of all random streams; 0 up to 2^63 - 1, as TOML has no larger numbers.
    pub seed: u64,
    /// `[task]`
    pub task: TaskConfig,
    /// `[data]`
    pub data: DataConfig,
    /// `[folds]`
    pub folds: FoldsConfig,
    /// `[vocab]`
    pub vocab: VocabConfig,
    /// `[checkpoint]`
    pub checkpoint: CheckpointConfig,
    /// `[align]`
    pub align: AlignConfig,
    /// `[model]`
    pub model: ModelConfig,
    /// `[objective]`
    pub objective: ObjectiveConfig,
    /// `[train]`
    pub train: TrainConfig,
    /// `[distill]`
    pub distill: DistillConfig,
    /// `[predict]`
    pub predict: PredictConfig,
    /// `[submit]`
    pub submit: SubmitConfig,
    /// `[[stage]]`, one after the other; none: what `[objective]` and `[train]` say is all. See [`Experiment::stages`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stage: Vec<StageConfig>,
}

/// The files of a checkpoint that are there and are read; where text is cut, that with the settings of its tokenizer too.
fn checkpoint_files(dir: &Path, cuts_text: bool) -> Vec<PathBuf> {
    let mut files = files_of_checkpoint(dir);
    // Where there is no tokenizer.json this file says how text is cut.
    let settings = source::join(dir, "tokenizer_config.json");
    if cuts_text && source::exists(&settings) {
        files.push(settings);
    }
    files
}

/// The keys that end in `name`: `train.epochs` for `epochs`.
pub fn keys_named(name: &str) -> Vec<String> {
    Keys::experiment().named(name)
}

impl Settings for Experiment {
    const NAME: &'static str = "experiment";
    const ONE: &'static str = "an experiment";
    const HAS_GRID: bool = true;

    fn keys() -> &'static Keys {
        Keys::experiment()
    }

    fn other_command(section: &str) -> Option<&'static str> {
        (section == "text").then_some("cipherpet pretrain")
    }

    fn preset(name: &str) -> Option<toml::Table> {
        Preset::named(name).map(Preset::settings)
    }

    fn to_toml(&self) -> Result<String> {
        let text = toml::to_string(self).map_err(unwritable)?;
        // A preset lies under what is written, and may have stages of its own.
        Ok(match (self.preset, self.stage.is_empty()) {
            (Some(_), true) => format!("stage = []\n{text}"),
            _ => text,
        })
    }
}

impl Experiment {
    /// SHA-256 of every key that is no path, changes a model ([`is_after_training`] keys do not) and is not at its default,
    /// sorted; 64 hexadecimal digits. So a key that later versions add changes no experiment that does not set it. What a
    /// path leads to counts by its content, which is not known here.
    ///
    /// # Errors
    /// As [`Settings::to_toml`].
    pub fn sha256(&self) -> Result<String> {
        self.sha256_of(&changes_models)
    }

    /// As [`Experiment::sha256`], of the keys of `[submit]`.
    ///
    /// # Errors
    /// As [`Settings::to_toml`].
    pub fn submit_sha256(&self) -> Result<String> {
        self.sha256_of(&|key| key.starts_with("submit."))
    }

    /// The first key, paths and [`is_after_training`] keys aside, whose value differs in `other`: the key, the value here and there; none for one
    /// that is not set.
    ///
    /// # Errors
    /// As [`Settings::to_toml`].
    pub fn first_difference(&self, other: &Self) -> Result<Option<Difference>> {
        self.first_difference_of(other, &changes_models)
    }

    /// How the pair files are read.
    pub fn format(&self) -> ExampleFormat {
        let data = &self.data;
        ExampleFormat {
            delimiter: data.delimiter,
            header: data.header,
            text_a: data.text_a.clone(),
            text_b: data.text_b.clone(),
            kind: self.task.kind,
            labels: self.task.labels,
            label: data.label.clone(),
            label_separator: data.label_separator.clone(),
            token_separator: data.token_separator.clone(),
            tokens: data.tokens,
        }
    }

    /// Takes over how files are read: the reverse of [`Experiment::format`].
    pub fn read_as(&mut self, format: &ExampleFormat) {
        let ExampleFormat {
            kind,
            labels,
            delimiter,
            header,
            text_a,
            text_b,
            label,
            label_separator,
            token_separator,
            tokens,
        } = format.clone();
        (self.task.kind, self.task.labels) = (kind, labels);
        self.data = DataConfig {
            delimiter,
            header,
            text_a,
            text_b,
            label,
            label_separator,
            token_separator,
            tokens,
            ..std::mem::take(&mut self.data)
        };
    }

    /// What chooses the best epoch and sorts the board.
    pub fn metric(&self) -> MetricName {
        let default = || MetricName::default_for(self.task.labels);
        self.task.metric.unwrap_or_else(default)
    }

    /// Root of the random streams of a run.
    pub fn key(&self) -> Key {
        Key::from_seed(self.seed)
    }

    /// How the labelled rows are dealt into folds; none for a single split.
    pub fn fold_options(&self) -> Option<FoldOptions> {
        let FoldsConfig {
            k,
            repeats,
            assign,
            near,
            ..
        } = self.folds;
        (k > 0).then_some(FoldOptions {
            k,
            repeats,
            assign,
            near,
        })
    }

    /// Whether a stage learns from rows of this source, which have no label.
    pub fn learns_from(&self, rows: UnlabelledRows) -> bool {
        let rows = StageRows::from(rows);
        let mut stages = self.stages().into_iter();
        stages.any(|stage| stage.learns_without_labels() && stage.rows.contains(&rows))
    }

    /// Every file a run reads, with the key that names it, in the order of the keys. Of the checkpoint,
    /// the files that are there.
    pub fn inputs(&self) -> Vec<(String, PathBuf)> {
        let mut inputs = Vec::new();
        let mut add = |key: &str, path: &Path| inputs.push((key.to_owned(), path.to_owned()));
        let data = &self.data;
        data.train.iter().for_each(|path| add("data.train", path));
        data.test.iter().for_each(|path| add("data.test", path));
        data.unlabelled
            .iter()
            .for_each(|path| add("data.unlabelled", path));
        if let Valid::File(path) = &data.valid {
            add("data.valid", path);
        }
        let pairs = data.augment.iter().flat_map(|folder| pair_files(folder));
        pairs.for_each(|path| add("data.augment", &path));
        if let Some(dir) = &self.checkpoint.dir {
            // Only the graph cuts text.
            let cuts_text = self.align.method == AlignMethod::Graph;
            checkpoint_files(dir, cuts_text)
                .iter()
                .for_each(|path| add("checkpoint.dir", path));
        }
        for (key, path) in self.align.files() {
            add(key, path);
        }
        (self.submit.like.iter()).for_each(|path| add("submit.like", path));
        for run in &self.distill.from {
            let labelled = ["oof.csv", "valid.csv"].map(|name| run.join(name));
            // Another [submit] of that run is another submission of the same scores; runs of earlier versions may have nothing else.
            let test = ["test.csv", "submission.csv"].map(|name| run.join(name));
            let labelled = labelled.iter().filter(|path| path.exists());
            let test = test.iter().find(|path| path.exists());
            labelled
                .chain(test)
                .for_each(|path| add("distill.from", path));
        }
        for stage in &self.stage {
            let key = format!("stage.{}.files", stage.name);
            stage.files.iter().for_each(|path| add(&key, path));
        }
        inputs
    }

    /// Whether the network is told which tokens both texts of a row have, where it has `token_types` of them. By default not where
    /// the last stage has no place for it ([`Experiment::why_no_marks`]), nor where any stage reads each text by itself.
    pub fn mark_shared(&self, token_types: usize) -> bool {
        let mut stages = self.stages().into_iter();
        let is_apart = stages.any(|stage| stage.objective == ObjectiveName::Simbert);
        let may = self.why_no_marks().is_none() && !is_apart;
        let by_default = self.task.kind == TextKind::Pair && token_types > 1 && may;
        self.data.mark_shared.unwrap_or(by_default)
    }

    /// The size of a fresh model of `vocab_size` rows: as [`ModelConfig::size`].
    pub fn scratch_size(&self, base: Option<&BertConfig>, vocab_size: usize) -> BertConfig {
        self.model.size(base, vocab_size, self.train.dropout)
    }
}

/// The tables and records of `data.augment` that are there, in the order of their names.
fn pair_files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let is_one = |path: &PathBuf| {
        let extension = path.extension().and_then(|extension| extension.to_str());
        matches!(extension, Some("json" | "tsv" | "csv"))
    };
    let mut files: Vec<PathBuf> = entries.map(|e| e.path()).filter(is_one).collect();
    files.sort();
    files
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::sha256;
    use crate::vocab::UnitChoice;

    /// An experiment with every optional key present.
    fn complete() -> Experiment {
        let mut experiment = Experiment::default();
        experiment.data.train = vec!["/a/train.tsv".into(), "/a/more.tsv".into()];
        experiment.data.test = Some("/a/test.tsv".into());
        experiment.checkpoint.dir = Some("demo:".into());
        experiment.align.counts = Some("/a/counts.tsv".into());
        experiment.align.file = Some("/a/mapping.tsv".into());
        experiment.align.plain = vec!["/a/plain.txt".into()];
        experiment.align.plain_weights = vec![0.5];
        experiment.align.unit = UnitChoice::Word;
        experiment.align.anchors = Some("/a/known.tsv".into());
        experiment.align.soft = false;
        experiment.align.refine = true;
        experiment.model = ModelConfig {
            layers: Some(1),
            hidden: Some(16),
            heads: Some(2),
            intermediate: Some(32),
            positions: None,
        };
        experiment
    }

    #[test]
    fn the_keys_are_those_that_are_written() {
        let table = toml::Table::try_from(complete()).expect("UTF-8 paths");
        let mut settings = Keys::experiment().settings(&table).into_iter();
        assert_eq!(settings.next(), Some(("seed".to_owned(), 0.into())));
        let written = table
            .values()
            .map(|value| value.as_table().map_or(1, toml::Table::len));
        let document = complete().to_toml().expect("UTF-8 paths");
        let document = toml::de::DeTable::parse(&document).expect("our own text");
        let entries = Keys::experiment().entries(document.get_ref());
        assert!(entries.iter().all(|entry| entry.is_known), "{entries:?}");
        assert_eq!(entries.len(), written.sum::<usize>());
    }

    #[test]
    fn every_input_is_known_as_a_path() {
        let mut experiment = complete();
        experiment.data.unlabelled = vec!["/a/extra.tsv".into()];
        experiment.data.valid = Valid::from("/a/valid.tsv".to_owned());
        let mut paths = Vec::new();
        let mut table = toml::Table::try_from(&experiment).expect("UTF-8 paths");
        Keys::experiment().each_path(&mut table, &mut |path| paths.push(path.clone()));
        for (key, path) in experiment.inputs() {
            let path = path.to_str().expect("UTF-8");
            let is_path = |known: &String| path == known || key == "checkpoint.dir";
            assert!(paths.iter().any(is_path), "{key}: {path}");
        }
        let settings = experiment.settings().expect("UTF-8 paths");
        assert!(
            settings
                .iter()
                .all(|(_, value)| !value.to_string().contains("/a/"))
        );
    }

    #[test]
    fn what_is_written_reads_back_equal_with_the_same_hash() {
        for experiment in [Experiment::default(), complete()] {
            let text = experiment.to_toml().expect("UTF-8 paths");
            let again: Experiment = toml::from_str(&text).expect("our own text");
            assert_eq!(again, experiment);
            assert_eq!(
                again.sha256().expect("hash"),
                experiment.sha256().expect("hash")
            );
        }
    }

    #[test]
    fn the_hash_moves_with_every_kind_of_value() {
        let base = complete();
        let mut seed = base.clone();
        seed.seed = 1;
        let mut name = base.clone();
        name.data.token_separator = "|".to_owned();
        let mut rate = base.clone();
        rate.train.learning_rate = 2e-5;
        for other in [seed, name, rate] {
            assert_ne!(other.sha256().expect("hash"), base.sha256().expect("hash"));
        }
    }

    #[test]
    fn what_is_done_after_training_has_a_hash_of_its_own() {
        let base = complete();
        let mut form = base.clone();
        form.submit.id_column = Some("row".to_owned());
        form.predict.swap = false;
        let hashes = |experiment: &Experiment| (experiment.sha256(), experiment.submit_sha256());
        let (before, after) = (hashes(&base), hashes(&form));
        assert_eq!(before.0.expect("hash"), after.0.expect("hash"));
        assert_ne!(before.1.expect("hash"), after.1.expect("hash"));
        assert_eq!(base.first_difference(&form).expect("UTF-8 paths"), None);
        assert!(is_after_training("submit") && is_after_training("predict.swap"));
        assert!(!is_after_training("predictor") && !is_after_training("data.test"));
    }

    #[test]
    fn the_hash_knows_only_what_is_not_the_default() {
        assert_eq!(Experiment::default().sha256().ok(), Some(sha256("")));
    }

    #[test]
    fn the_hash_does_not_move_with_a_path() {
        let base = complete();
        let mut moved = base.clone();
        moved.data.train = vec!["/b/train.tsv".into(), "/b/more.tsv".into()];
        moved.data.test = Some("/b/test.tsv".into());
        moved.checkpoint.dir = Some("/b/bert".into());
        moved.align.counts = None;
        moved.align.plain = vec!["/b/plain.txt".into()];
        assert_eq!(moved.sha256().expect("hash"), base.sha256().expect("hash"));
        // A validation file is a path; the word for a split is none.
        let with_valid = |valid: &str| {
            let mut experiment = base.clone();
            experiment.data.valid = Valid::from(valid.to_owned());
            experiment.sha256().expect("hash")
        };
        assert_eq!(with_valid("/a/valid.tsv"), with_valid("/b/valid.tsv"));
        assert_ne!(with_valid("/a/valid.tsv"), with_valid("row10"));
        assert_ne!(with_valid("group"), with_valid("row10"));
    }

    #[test]
    fn scratch_takes_its_size_from_model_then_checkpoint_then_a_small_bert() {
        let mut experiment = Experiment::default();
        let small = experiment.scratch_size(None, 100);
        assert_eq!(
            (
                small.num_hidden_layers,
                small.hidden_size,
                small.num_attention_heads
            ),
            (4, 256, 4)
        );
        let base = BertConfig {
            num_hidden_layers: 12,
            hidden_size: 768,
            num_attention_heads: 12,
            intermediate_size: 3000,
            max_position_embeddings: 64,
            ..small.clone()
        };
        let like_base = experiment.scratch_size(Some(&base), 50);
        assert_eq!(
            (like_base.vocab_size, like_base.intermediate_size),
            (50, 3000)
        );
        experiment.model.hidden = Some(128);
        let narrow = experiment.scratch_size(Some(&base), 50);
        assert_eq!(
            (
                narrow.num_hidden_layers,
                narrow.num_attention_heads,
                narrow.intermediate_size
            ),
            (12, 2, 512)
        );
        assert_eq!(narrow.max_position_embeddings, 64);
    }
}
