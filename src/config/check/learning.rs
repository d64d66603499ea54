//! What must hold of `[task]`, `[objective]`, `[train]` and `[[stage]]`: ranges, and parts that fit each other.
//!
//! In: a [`Loaded`] experiment. Out: nothing, or the first problem with the place where its key was set.
//! Does not know which rows there are: that a stage has some is checked by its sources.

use super::Loaded;
use crate::config::{Settings, Stage, StageRows, Valid};
use crate::data::masking::MOST_NGRAM_SHARE;
use crate::data::{LabelColumns, LabelKind, MaskUnit, TextKind, ValidSplit};
use crate::error::{Error, Result};
use crate::metrics::MetricName;
use crate::objective::{HeadChoice, ObjectiveName};
use crate::train::average::AverageKind;

/// Epochs, and rows of a batch: their products with rows and tokens stay numbers.
const MOST: usize = 1_000_000;

impl Loaded {
    pub(super) fn check_learning(&self) -> Result<()> {
        let experiment = &self.experiment;
        self.check_task()?;
        let whole = experiment.whole_stage();
        self.check_numbers(&whole, ["objective", "train"])?;
        let stages = experiment.stages();
        for (at, stage) in stages.iter().enumerate() {
            let section = match experiment.stage.is_empty() {
                true => None,
                false => Some(format!("stage.{}", stage.name)),
            };
            if let Some(section) = &section {
                self.check_name(section, &stages[..at], stage)?;
                self.check_numbers(stage, [section, section])?;
            }
            self.check_average(section.as_deref(), stage)?;
            self.check_objective(section.as_deref(), stage)?;
            self.check_head(section.as_deref(), stage)?;
            self.check_batch(section.as_deref(), stage)?;
            self.check_rows(section.as_deref(), stage)?;
            if let Some(own) = experiment.stage.get(at) {
                self.check_dropped(own, stage)?;
            }
        }
        let labels = Some(experiment.task.labels);
        self.check_unread(&whole, &stages, &experiment.stage, labels)?;
        match stages.last() {
            Some(last) => {
                self.check_scores(last)?;
                self.check_probability()?;
                self.check_metric(last)?;
                self.check_order(last)
            }
            None => Ok(()),
        }
    }

    /// A network that saw the texts of a row in one order alone must not be asked about the other.
    fn check_order(&self, last: &Stage) -> Result<()> {
        let experiment = &self.experiment;
        let is_pair = experiment.task.kind == TextKind::Pair;
        if !is_pair || last.options.swap || !experiment.predict.swap {
            return Ok(());
        }
        let expected = "false, as the last stage has swap = false";
        let error = Error::input(self.place("predict.swap"), expected, true);
        Err(error.with_hint("set predict.swap = false, or train.swap = true"))
    }

    fn check_task(&self) -> Result<()> {
        let (task, data) = (&self.experiment.task, &self.experiment.data);
        let labels = task.labels;
        if let Some(metric) = task.metric
            && !metric.metric().labels.contains(&labels)
        {
            let fitting: Vec<&str> = MetricName::all_for(labels)
                .map(|metric| metric.metric().name)
                .collect();
            let expected = format!("a metric for task.labels = \"{}\"", labels.name());
            let error = Error::input(self.place("task.metric"), expected, format!("`{metric}`"));
            return Err(error.with_hint(format!("one of {}", fitting.join(", "))));
        }
        let why_no_marks = match task.kind {
            TextKind::Single => Some("task.kind = \"single\" has no second text"),
            TextKind::Pair => self.experiment.why_no_marks(),
        };
        if data.mark_shared == Some(true)
            && let Some(why) = why_no_marks
        {
            let expected = format!("false, as {why}");
            let error = Error::input(self.place("data.mark_shared"), expected, true);
            return Err(error.with_hint("--set data.mark_shared=false"));
        }
        let is_of_pairs = (task.kind, labels) == (TextKind::Pair, LabelKind::Binary);
        self.require(
            !data.transitive_closure || is_of_pairs,
            "data.transitive_closure",
            "false, as it is for pairs labelled 0 or 1",
            true,
        )?;
        let expected = "none, as it is for pairs labelled 0 or 1";
        let holds = data.augment.is_none() || is_of_pairs;
        self.require(holds, "data.augment", expected, "a folder")?;
        let distill = &self.experiment.distill;
        self.require(
            (0.0..=1.0).contains(&distill.weight),
            "distill.weight",
            "a number from 0 to 1",
            distill.weight,
        )?;
        self.require(
            distill.temperature > 0.0 && distill.temperature.is_finite(),
            "distill.temperature",
            "a number above 0",
            distill.temperature,
        )?;
        if let Some(LabelColumns::Several(columns)) = &data.label
            && (labels != LabelKind::Multilabel || columns.is_empty())
        {
            let found = format!("a list of {}", columns.len());
            let expected = match labels {
                LabelKind::Multilabel => "one column or more".to_owned(),
                _ => format!("one column, as task.labels = \"{}\"", labels.name()),
            };
            let error = Error::input(self.place("data.label"), expected, found);
            return Err(error.with_hint("several columns belong to task.labels = \"multilabel\""));
        }
        Ok(())
    }

    fn check_objective(&self, section: Option<&str>, stage: &Stage) -> Result<()> {
        let (labels, of_objective) = (self.experiment.task.labels, stage.objective.labels());
        let key = match section {
            Some(section) => format!("{section}.objective"),
            None => "objective.name".to_owned(),
        };
        let name = stage.objective.name();
        if let Some(does) = stage.objective.of_pairs()
            && self.experiment.task.kind != TextKind::Pair
        {
            let expected = "an objective for task.kind = \"single\"";
            let error = Error::input(self.place(&key), expected, format!("`{name}`"));
            return Err(error.with_hint(format!("`{name}` {does}")));
        }
        if of_objective.is_empty() || of_objective.contains(&labels) {
            return Ok(());
        }
        let fitting: Vec<&str> = of_objective.iter().map(|labels| labels.name()).collect();
        let expected = format!("an objective for task.labels = \"{}\"", labels.name());
        let error = Error::input(self.place(&key), expected, format!("`{name}`"));
        Err(error.with_hint(format!(
            "`{name}` learns from labels that are {}",
            fitting.join(" or ")
        )))
    }

    /// The MLM head says one number of a row, which is no answer to an objective of several.
    fn check_head(&self, section: Option<&str>, stage: &Stage) -> Result<()> {
        let name = stage.objective.name();
        self.require(
            stage.head != HeadChoice::Mlm || !stage.objective.needs_linear_head(),
            &self.key_of(section, "head", "objective"),
            format!("`pooler` or `cls`, as `{name}` needs a linear head"),
            "`mlm`",
        )
        .map_err(|error| {
            error.with_hint("`cosent` and `mse` may ask the MLM head; `pet` always does")
        })
    }

    /// A row that is alone in its batch stands above no other, and is told apart from none.
    fn check_batch(&self, section: Option<&str>, stage: &Stage) -> Result<()> {
        let batch = stage.options.batch;
        let why = match stage.objective {
            ObjectiveName::Cosent => "`cosent` compares the rows of a batch",
            ObjectiveName::Simbert => {
                "`simbert` finds the partner of a text among the rows of a batch"
            }
            _ => return Ok(()),
        };
        self.require(
            batch > 1,
            &self.key_of(section, "batch", "train"),
            format!("2 or more, as {why}"),
            batch,
        )
    }

    /// The key that a stage has a value from: its own, or that of the section `whole`.
    fn key_of(&self, section: Option<&str>, name: &str, whole: &str) -> String {
        let own = section.map(|section| format!("{section}.{name}"));
        own.filter(|key| self.sets(key))
            .unwrap_or_else(|| format!("{whole}.{name}"))
    }

    /// A stage needs rows, and one that learns from labels needs rows with labels.
    fn check_rows(&self, section: Option<&str>, stage: &Stage) -> Result<()> {
        let data = &self.experiment.data;
        let there = |rows: &StageRows| match rows {
            StageRows::Labelled => true, // data.train is checked
            StageRows::Valid => self.has_valid(),
            StageRows::Test => data.test.is_some(),
            StageRows::Extra => !data.unlabelled.is_empty(),
        };
        let key = match section {
            Some(section) => format!("{section}.rows"),
            None => "train.unlabelled".to_owned(),
        };
        if !stage.rows.iter().any(there) && stage.files.is_empty() {
            let error = Error::input(self.place(&key), "rows to learn from", "none");
            return Err(error.with_hint(
                "set `rows` to one or more of \"labelled\", \"valid\", \"test\", \"extra\" that [data] has, or `files`",
            ));
        }
        let learns_labels = !stage.objective.labels().is_empty();
        if learns_labels && !stage.rows.contains(&StageRows::Labelled) {
            let name = stage.objective.name();
            let expected = format!("\"labelled\" among them, as `{name}` learns from labels");
            return Err(
                Error::input(self.place(&key), expected, "none with a label")
                    .with_hint("add \"labelled\", or choose an objective without labels"),
            );
        }
        Ok(())
    }

    /// What comes last must score what there is to score.
    fn check_scores(&self, last: &Stage) -> Result<()> {
        let scores = self.experiment.data.test.is_some() || self.has_valid();
        if !scores || last.objective.gives_scores() {
            return Ok(());
        }
        let key = match self.experiment.stage.is_empty() {
            true => "objective.name".to_owned(),
            false => format!("stage.{}.objective", last.name),
        };
        let found = format!("`{}`", last.objective.name());
        let error = Error::input(self.place(&key), "a last objective that scores rows", found);
        Err(error.with_hint(
            "add a stage that learns the labels, or leave out data.test and set data.valid = \"none\"",
        ))
    }

    /// The sigmoid of a cosine is no probability.
    fn check_probability(&self) -> Result<()> {
        let Some(objective) = self.experiment.objective_without_logits() else {
            return Ok(());
        };
        let name = objective.name();
        self.require(
            !self.experiment.submit.probability,
            "submit.probability",
            format!("false, as the scores of `{name}` are no logits"),
            true,
        )
        .map_err(|error| {
            error.with_hint(
                "set submit.probability = false, or objective.name = \"pet\" or \"ce\" in what comes last",
            )
        })
    }

    /// Kappa compares grades with scores that are rounded to grades.
    fn check_metric(&self, last: &Stage) -> Result<()> {
        let (stages, metric) = (&self.experiment.stage, self.experiment.task.metric);
        if metric != Some(MetricName::Kappa) || last.objective != ObjectiveName::Cosent {
            return Ok(());
        }
        let name = last.objective.name();
        let expected = format!("a metric of order, as the scores of `{name}` have no scale");
        let error = Error::input(self.place("task.metric"), expected, "`kappa`");
        let mse = ObjectiveName::Mse.name();
        let way_out = match stages.last() {
            Some(_) => format!("objective = \"{mse}\" in the last stage"),
            None => format!("objective.name = \"{mse}\""),
        };
        Err(error.with_hint(format!("set {way_out}, or task.metric = \"spearman\"")))
    }

    fn has_valid(&self) -> bool {
        let experiment = &self.experiment;
        experiment.folds.k > 0 || experiment.data.valid != Valid::Split(ValidSplit::None)
    }
}

impl<T: Settings> Loaded<T> {
    /// Ranges. `objective` and `train` are the sections whose keys hold the values of the stage.
    pub(super) fn check_numbers(&self, stage: &Stage, [objective, train]: [&str; 2]) -> Result<()> {
        let (options, mask) = (&stage.options, stage.masking.share);
        let of_objective = |name: &str| format!("{objective}.{name}");
        let of_train = |name: &str| format!("{train}.{name}");
        self.at_least(1, &of_train("epochs"), options.epochs)?;
        self.at_most(MOST, &of_train("epochs"), options.epochs)?;
        self.at_least(1, &of_train("batch"), options.batch)?;
        self.at_most(MOST, &of_train("batch"), options.batch)?;
        self.require(
            mask > 0.0 && mask < 1.0,
            &of_objective("mask"),
            "a number between 0 and 1",
            mask,
        )?;
        self.require(
            stage.masking.unit != MaskUnit::Ngram || mask <= MOST_NGRAM_SHARE,
            &of_objective("mask"),
            format!(
                "{MOST_NGRAM_SHARE} or less, as mask_unit = \"ngram\" hides no token after a span"
            ),
            mask,
        )?;
        if let Some(weight) = stage.mlm_weight {
            self.not_negative(&of_objective("mlm_weight"), weight)?;
        }
        if let Some(share) = stage.corrupt_sources {
            let (key, expected) = (of_objective("corrupt_sources"), "a number from 0 to 1");
            self.require((0.0..=1.0).contains(&share), &key, expected, share)?;
        }
        self.require(
            options.learning_rate > 0.0 && options.learning_rate.is_finite(),
            &of_train("learning_rate"),
            "a number above 0",
            options.learning_rate,
        )?;
        let warmup = options.warmup_steps;
        self.require(
            (0.0..1.0).contains(&warmup) || (warmup >= 1.0 && warmup.fract() == 0.0),
            &of_train("warmup_steps"),
            "a number of steps, or a share of them below 1",
            warmup,
        )?;
        self.require(
            (0.0..1.0).contains(&options.dropout),
            &of_train("dropout"),
            "a number from 0 up to, but not, 1",
            options.dropout,
        )?;
        self.require(
            (0.0..=1.0).contains(&options.layer_decay),
            &of_train("layer_decay"),
            "a number from 0 to 1",
            options.layer_decay,
        )?;
        for (key, number) in [
            ("gradient_accumulation", options.gradient_accumulation),
            ("adversarial_steps", options.adversarial_steps),
            ("dropout_samples", options.dropout_samples),
            ("average_epochs", options.average_epochs),
        ] {
            self.at_least(1, &of_train(key), number)?;
            self.at_most(MOST, &of_train(key), number)?;
        }
        for (key, share) in [
            ("label_smoothing", options.label_smoothing),
            ("average_decay", options.average_decay),
        ] {
            let expected = "a number from 0 up to, but not, 1";
            self.require((0.0..1.0).contains(&share), &of_train(key), expected, share)?;
        }
        self.require(
            options.adversarial_epsilon > 0.0 && options.adversarial_epsilon.is_finite(),
            &of_train("adversarial_epsilon"),
            "a number above 0",
            options.adversarial_epsilon,
        )?;
        self.not_negative(&of_train("r_drop"), options.r_drop)?;
        let drops = options.dropout > 0.0;
        self.require(
            drops || options.r_drop == 0.0,
            &of_train("r_drop"),
            "0, as with dropout = 0 two passes say the same",
            options.r_drop,
        )?;
        self.require(
            drops || options.dropout_samples == 1,
            &of_train("dropout_samples"),
            "1, as with dropout = 0 there is nothing to sample",
            options.dropout_samples,
        )?;
        self.not_negative(&of_train("weight_decay"), options.weight_decay)?;
        self.not_negative(&of_train("clip"), options.clip)
    }

    /// A mean over all epochs has those in it that have learnt little: it is far worse than the last weights.
    pub(super) fn check_average(&self, section: Option<&str>, stage: &Stage) -> Result<()> {
        let options = &stage.options;
        let (averaged, epochs) = (options.average_epochs, options.epochs);
        if options.average != AverageKind::Swa || averaged < epochs {
            return Ok(());
        }
        let key = format!("{}.average", section.unwrap_or("train"));
        let expected = format!("average_epochs below the {epochs} epochs of the stage");
        let error = Error::input(self.place(&key), expected, averaged);
        Err(error.with_hint("set fewer average_epochs, more epochs, or average = \"ema\""))
    }

    pub(super) fn check_name(&self, section: &str, before: &[Stage], stage: &Stage) -> Result<()> {
        let (key, name) = (format!("{section}.name"), &stage.name);
        let is_letter = |letter: char| letter.is_ascii_alphanumeric() || "-_".contains(letter);
        self.require(
            !name.is_empty() && name.chars().all(is_letter),
            &key,
            "letters, digits, - and _",
            format!("{name:?}"),
        )?;
        if before.iter().any(|other| other.name == *name) {
            let found = format!("{name:?} for two stages");
            let error = Error::input(self.place(&key), "a name of its own", found);
            return Err(error.with_hint("the keys of a stage are written stage.NAME.KEY"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
