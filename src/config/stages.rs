//! `[[stage]]`: what is learnt one after the other, each stage from the weights of the one before.
//!
//! In: the stages of an experiment, and `[objective]` and `[train]` for what a stage leaves out. Out: [`Stage`]s with every
//! value. Does not read rows and does not train.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::values::one_or_many;
use super::{Experiment, Precision, TrainConfig, UnlabelledRows};
use crate::data::{LabelKind, MaskOptions, MaskReplacement, MaskUnit};
use crate::objective::{Candidates, HeadChoice, ObjectiveName};
use crate::train::average::AverageKind;
use crate::train::step::Adversarial;
use crate::train::{Schedule, TrainOptions};

/// Makes [`StageConfig`], what it means and the defaults of [`TrainConfig`] from the list of the keys that a stage may have of `[train]`. A new one stands in
/// [`TrainConfig`], in [`TrainOptions`] and here.
macro_rules! keys_of_train {
    ($($key:ident: $type:ty $(as $schema:literal)?),+ $(,)?) => {
        /// An element of `[[stage]]`. What is not set is as in `[objective]` and `[train]`.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub struct StageConfig {
            /// Its own: letters, digits, `-` and `_`.
            pub name: String,
            /// As `objective.name`.
            #[serde(skip_serializing_if = "Option::is_none")]
            #[schemars(with = "Option<String>")]
            pub objective: Option<ObjectiveName>,
            /// As `objective.mask`.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub mask: Option<f64>,
            /// As `objective.mask_unit`.
            #[serde(skip_serializing_if = "Option::is_none")]
            #[schemars(with = "Option<String>")]
            pub mask_unit: Option<MaskUnit>,
            /// As `objective.mask_replacement`.
            #[serde(skip_serializing_if = "Option::is_none")]
            #[schemars(with = "Option<String>")]
            pub mask_replacement: Option<MaskReplacement>,
            /// As `objective.mlm_weight`.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub mlm_weight: Option<f64>,
            /// As `objective.head`.
            #[serde(skip_serializing_if = "Option::is_none")]
            #[schemars(with = "Option<String>")]
            pub head: Option<HeadChoice>,
            /// As `objective.corrupt_sources`.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub corrupt_sources: Option<f64>,
            /// As `objective.candidates`.
            #[serde(skip_serializing_if = "Option::is_none")]
            #[schemars(with = "Option<String>")]
            pub candidates: Option<Candidates>,
            /// `labelled`, `valid`, `test`, `extra`; default `labelled` and those of `train.unlabelled`. All but the first are for stages
            /// that hide tokens; `test` for those of labels too, where `distill.from` has soft ones.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub rows: Option<Vec<StageRows>>,
            /// Further unlabelled files of this stage alone, where it hides tokens. One path may stand without brackets.
            #[serde(default, deserialize_with = "one_or_many")]
            #[schemars(extend("x-path" = true))]
            pub files: Vec<PathBuf>,
            $(
                #[doc = concat!("As `train.", stringify!($key), "`.")]
                #[serde(skip_serializing_if = "Option::is_none")]
                $(#[schemars(with = $schema)])?
                pub $key: Option<$type>,
            )+
        }

        impl Default for TrainConfig {
            fn default() -> Self {
                let options = TrainOptions::default();
                Self {
                    $($key: options.$key,)+
                    unlabelled: UnlabelledRows::ALL.to_vec(),
                    precision: Precision::Auto,
                    save_every_steps: 0,
                    save_every_minutes: 10.0,
                }
            }
        }

        impl TrainConfig {
            /// What a stage without values of its own is trained with.
            pub(super) fn options(&self) -> TrainOptions {
                TrainOptions { $($key: self.$key),+ }
            }
        }

        impl StageConfig {
            fn options_over(&self, whole: &TrainOptions) -> TrainOptions {
                let mut whole = whole.clone();
                if self.epochs.is_some() {
                    whole.max_rows = 0; // it limits other epochs than these
                }
                TrainOptions { $($key: self.$key.unwrap_or(whole.$key)),+ }
            }
        }
    };
}

keys_of_train! {
    epochs: usize,
    max_rows: usize,
    max_steps: usize,
    batch: usize,
    learning_rate: f64,
    warmup_steps: f64,
    schedule: Schedule as "Option<String>",
    layer_decay: f64,
    weight_decay: f64,
    dropout: f64,
    clip: f64,
    swap: bool,
    gradient_accumulation: usize,
    adversarial: Adversarial as "Option<String>",
    adversarial_epsilon: f64,
    adversarial_steps: usize,
    r_drop: f64,
    dropout_samples: usize,
    label_smoothing: f64,
    average: AverageKind as "Option<String>",
    average_decay: f64,
    average_epochs: usize,
}

/// A source of rows for a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum StageRows {
    /// The rows to train on, with their labels; test rows that `[distill]` has soft labels for are among them, but for
    /// `simbert`.
    Labelled,
    /// The validation rows, without their labels.
    Valid,
    /// The rows of `data.test`.
    Test,
    /// The files of `data.unlabelled`.
    Extra,
}

impl StageRows {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Labelled => "labelled",
            Self::Valid => "valid",
            Self::Test => "test",
            Self::Extra => "extra",
        }
    }
}

impl From<UnlabelledRows> for StageRows {
    fn from(rows: UnlabelledRows) -> Self {
        match rows {
            UnlabelledRows::Test => Self::Test,
            UnlabelledRows::Valid => Self::Valid,
            UnlabelledRows::Extra => Self::Extra,
        }
    }
}

/// A stage with every value. Ranges are those of the keys it comes from.
#[derive(Debug, Clone, PartialEq)]
pub struct Stage {
    /// Its own.
    pub name: String,
    /// What is learnt.
    pub objective: ObjectiveName,
    /// Which tokens are chosen for the MLM, and what takes their places.
    pub masking: MaskOptions,
    /// How much the MLM counts; none: as the objective has it.
    pub mlm_weight: Option<f64>,
    /// What a linear head reads.
    pub head: HeadChoice,
    /// Share of texts that are damaged before others are written from them; none: no text.
    pub corrupt_sources: Option<f64>,
    /// Which text of a pair is a candidate for the other; none: each row stands for itself.
    pub candidates: Option<Candidates>,
    /// Which rows take part.
    pub rows: Vec<StageRows>,
    /// Further unlabelled files.
    pub files: Vec<PathBuf>,
    /// How it is learnt.
    pub options: TrainOptions,
}

impl Stage {
    /// Which text of a pair is a candidate, where the stage learns which one is right of those that share the other text.
    pub fn choice(&self) -> Option<Candidates> {
        let of_nsp = self.objective == ObjectiveName::Nsp;
        self.candidates.filter(|_| of_nsp)
    }

    /// The weight of the MLM term, or of generation: its own, or as the objective has it.
    pub fn mlm_weight(&self) -> f64 {
        let default = self.objective.recipe().mlm_weight;
        self.mlm_weight.unwrap_or(default)
    }

    /// Whether a row without a label teaches it anything.
    pub fn learns_without_labels(&self) -> bool {
        self.objective.learns_without_labels(self.mlm_weight())
    }
}

impl Experiment {
    /// The stages in their order, one at least. Without `[[stage]]` it is [`Experiment::whole_stage`].
    pub fn stages(&self) -> Vec<Stage> {
        over(self.whole_stage(), &self.stage)
    }

    /// The first stages that look at no label, the last stage left out: they are the same for every fold and seed.
    pub fn shared_stages(&self) -> Vec<Stage> {
        let mut stages = self.stages();
        stages.pop();
        let needs_no_label = |stage: &Stage| stage.objective.labels().is_empty();
        stages.into_iter().take_while(needs_no_label).collect()
    }

    /// The objective of the last stage, where it scores classes by numbers that are no logits: no probability can be made of them.
    pub fn objective_without_logits(&self) -> Option<ObjectiveName> {
        let last = self.stages().pop()?.objective;
        let has_classes = self.task.labels != LabelKind::Ordinal;
        (has_classes && last.gives_scores() && !last.scores_are_logits()).then_some(last)
    }

    /// The objective of the last stage, where it learns grades. None also where no objective of grades is named: an ensemble of an
    /// earlier version does not say what its runs have learnt by.
    pub fn objective_of_grades(&self) -> Option<ObjectiveName> {
        let last = self.stages().pop()?.objective;
        let has_grades = self.task.labels == LabelKind::Ordinal;
        (has_grades && last.labels().contains(&LabelKind::Ordinal)).then_some(last)
    }

    /// Why shared tokens cannot be marked; none where they can.
    pub fn why_no_marks(&self) -> Option<&'static str> {
        match self.stages().pop()?.objective {
            ObjectiveName::Simbert => Some("the last stage reads each text by itself"),
            ObjectiveName::Nsp => Some("in the last stage token types tell the texts apart"),
            _ => None,
        }
    }

    /// What `[objective]` and `[train]` alone say: a stage that has the name of its objective.
    pub fn whole_stage(&self) -> Stage {
        let (objective, train) = (&self.objective, &self.train);
        let unlabelled = train.unlabelled.iter().map(|&rows| rows.into());
        Stage {
            name: objective.name.name().to_owned(),
            objective: objective.name,
            masking: MaskOptions {
                share: objective.mask,
                unit: objective.mask_unit,
                replacement: objective.mask_replacement,
            },
            mlm_weight: objective.mlm_weight,
            head: objective.head,
            corrupt_sources: objective.corrupt_sources,
            candidates: objective.candidates,
            rows: [StageRows::Labelled]
                .into_iter()
                .chain(unlabelled)
                .collect(),
            files: Vec::new(),
            options: train.options(),
        }
    }
}

/// Each of the stages over what it leaves out; `whole` alone where there are none.
pub(super) fn over(whole: Stage, stages: &[StageConfig]) -> Vec<Stage> {
    if stages.is_empty() {
        return vec![whole];
    }
    stages.iter().map(|stage| stage.over(&whole)).collect()
}

impl StageConfig {
    /// Its own values over those of `whole`.
    fn over(&self, whole: &Stage) -> Stage {
        Stage {
            name: self.name.clone(),
            objective: self.objective.unwrap_or(whole.objective),
            masking: MaskOptions {
                share: self.mask.unwrap_or(whole.masking.share),
                unit: self.mask_unit.unwrap_or(whole.masking.unit),
                replacement: self.mask_replacement.unwrap_or(whole.masking.replacement),
            },
            mlm_weight: self.mlm_weight.or(whole.mlm_weight),
            head: self.head.unwrap_or(whole.head),
            corrupt_sources: self.corrupt_sources.or(whole.corrupt_sources),
            candidates: self.candidates.or(whole.candidates),
            rows: self.rows.clone().unwrap_or_else(|| whole.rows.clone()),
            files: self.files.clone(),
            options: self.options_over(&whole.options),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Settings, load, load_cells};
    use crate::error::Result;

    const TWO: &str = "[train]\nepochs = 5\nbatch = 8\n[[stage]]\nname = \"first\"\nepochs = 2\n\
                       files = \"more.tsv\"\n[[stage]]\nname = \"then\"\nrows = [\"labelled\"]\n\
                       schedule = \"cosine\"\n";

    fn loaded(text: &str, assignments: &[&str]) -> Result<Experiment> {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let file = folder.path().join("e.toml");
        std::fs::write(&file, text).expect("a small file");
        let assignments: Vec<String> = assignments.iter().map(|a| (*a).to_owned()).collect();
        Ok(load(Some(&file), &assignments)?.experiment)
    }

    fn refusal(text: &str, assignments: &[&str]) -> String {
        let message = loaded(text, assignments).expect_err("refused").to_string();
        let at = message.find("e.toml").unwrap_or(0); // without the folder's name
        message[at..].to_owned()
    }

    #[test]
    fn without_stages_there_is_the_one_that_objective_and_train_say() {
        let experiment = loaded("", &[]).expect("defaults");
        let [stage] = &experiment.stages()[..] else {
            panic!("one stage")
        };
        assert_eq!((stage.name.as_str(), stage.options.epochs), ("pet", 3));
        use StageRows::{Extra, Labelled, Test, Valid};
        assert_eq!(stage.rows, [Labelled, Test, Valid, Extra]);
    }

    #[test]
    fn a_stage_takes_from_train_what_it_leaves_out() {
        let experiment = loaded(TWO, &["stage.then.batch=4", "train.epochs=7"]).expect("good");
        let stages = experiment.stages();
        let seen: Vec<_> = (stages.iter())
            .map(|stage| {
                (
                    stage.name.as_str(),
                    stage.options.epochs,
                    stage.options.batch,
                )
            })
            .collect();
        assert_eq!(seen, [("first", 2, 8), ("then", 7, 4)]);
        assert_eq!(stages[1].options.schedule, Schedule::Cosine);
        assert!(stages[0].files[0].is_absolute() && stages[0].files[0].ends_with("more.tsv"));
    }

    #[test]
    fn rows_without_labels_are_for_stages_that_hide_tokens() {
        let learns = |assignments: &[&str]| {
            let experiment = loaded("", assignments).expect("good");
            experiment.learns_from(UnlabelledRows::Extra)
        };
        assert!(learns(&[]) && learns(&["objective.name=mlm"]));
        assert!(!learns(&["objective.mlm_weight=0"]) && !learns(&["train.unlabelled=[]"]));
        assert!(!learns(&["objective.name=ce"]) && !learns(&["objective.name=simbert"]));
        assert!(learns(&["objective.name=ce", "objective.mlm_weight=0.1"]));
    }

    #[test]
    fn grades_are_learnt_by_what_comes_last() {
        let of = |assignments: &[&str]| {
            let experiment = loaded("", assignments).expect("good");
            experiment.objective_of_grades()
        };
        let labels = "task.labels=ordinal";
        for name in [ObjectiveName::Mse, ObjectiveName::Cosent] {
            let objective = format!("objective.name={}", name.name());
            assert_eq!(of(&[labels, &objective]), Some(name));
            assert_eq!(of(&[&objective]), None);
        }
        assert_eq!(of(&[labels]), None, "`pet` learns none");
    }

    #[test]
    fn first_stages_without_labels_are_shared_but_never_the_last() {
        let shared = |objectives: &[&str]| -> Vec<String> {
            let stage = |(number, objective): (usize, &&str)| {
                format!("[[stage]]\nname = \"s{number}\"\nobjective = \"{objective}\"\n")
            };
            let text: String = objectives.iter().enumerate().map(stage).collect();
            let experiment = loaded(&text, &[]).expect("good");
            let stages = experiment.shared_stages().into_iter();
            stages.map(|stage| stage.name).collect()
        };
        assert_eq!(shared(&["mlm", "mlm", "pet", "mlm", "pet"]), ["s0", "s1"]);
        assert!(shared(&["pet", "mlm", "pet"]).is_empty());
        assert!(shared(&["pet"]).is_empty() && shared(&[]).is_empty());
    }

    #[test]
    fn a_grid_reaches_into_stages() {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let file = folder.path().join("e.toml");
        let text = TWO.to_owned() + "[grid.stage.then]\nepochs = [1, 2]\n";
        std::fs::write(&file, text).expect("a small file");
        let cells = load_cells(Some(&file), &[]).expect("a good grid");
        let epochs: Vec<_> = (cells.iter())
            .map(|cell| {
                (
                    cell.cell.as_str(),
                    cell.experiment.stages()[1].options.epochs,
                )
            })
            .collect();
        let expected = [("stage.then.epochs = 1", 1), ("stage.then.epochs = 2", 2)];
        assert_eq!(epochs, expected);
    }

    #[test]
    fn stages_are_written_read_back_and_part_of_the_hash() {
        let experiment = loaded(TWO, &[]).expect("good");
        let text = experiment.to_toml().expect("UTF-8 paths");
        let again: Experiment = toml::from_str(&text).expect("our own text");
        assert_eq!(again, experiment);
        let mut turned = experiment.clone();
        turned.stage.swap(0, 1);
        assert_ne!(turned.sha256().ok(), experiment.sha256().ok());
        let mut moved = experiment.clone();
        moved.stage[0].files = vec!["/elsewhere.tsv".into()];
        assert_eq!(moved.sha256().ok(), experiment.sha256().ok());
    }

    #[test]
    fn mistakes_in_a_stage_name_its_line_and_key() {
        let cases = [
            (
                "[[stage]]\nname = \"a\"\nepoch = 1\n",
                "e.toml:3:stage.a.epoch: expected a known key, found `stage.a.epoch`",
            ),
            (
                "[[stage]]\nname = \"a\"\n[[stage]]\nepochs = \"x\"\nname = \"b\"\n",
                "e.toml:4:stage.b.epochs: expected a whole number, 0 or more, found string \"x\"",
            ),
            (
                "seed = 1\n[[stage]]\nepochs = 1\n",
                "e.toml:2:stage[1]: expected the key `name`, found none",
            ),
            (
                "stage = 3\n",
                "e.toml:1:stage: expected a sequence, found integer `3`",
            ),
        ];
        for (text, message) in cases {
            assert_eq!(refusal(text, &[]), message, "{text}");
        }
        assert_eq!(
            refusal(TWO, &["stage.thn.epochs=1"]),
            "--set stage.thn.epochs=1: expected a [[stage]] that is there: first, then, found `stage.thn.epochs`"
        );
        assert_eq!(
            refusal("", &["stage.a.epochs=1"]),
            "--set stage.a.epochs=1: expected a key of an experiment with [[stage]], found `stage.a.epochs`"
        );
    }
}
