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
            self.check_rows(section.as_deref(), stage)?;
        }
        match stages.last() {
            Some(last) => {
                self.check_scores(last)?;
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
        self.require(
            data.mark_shared != Some(true) || task.kind == TextKind::Pair,
            "data.mark_shared",
            "false, as task.kind = \"single\" has no second text",
            true,
        )?;
        self.require(
            !data.transitive_closure || (task.kind, labels) == (TextKind::Pair, LabelKind::Binary),
            "data.transitive_closure",
            "false, as it is for pairs labelled 0 or 1",
            true,
        )?;
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
mod tests {
    use crate::config::load;

    /// The message and the hint of an otherwise good scratch experiment.
    fn refusal(more: &str, assignments: &[&str]) -> (String, String) {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let file = folder.path().join("e.toml");
        std::fs::write(folder.path().join("train.tsv"), "1\t2\t0\n").expect("a small file");
        let text = "data.train = \"train.tsv\"\nalign.method = \"scratch\"\n".to_owned() + more;
        std::fs::write(&file, text).expect("a small file");
        let assignments: Vec<String> = assignments.iter().map(|a| (*a).to_owned()).collect();
        let checked = load(Some(&file), &assignments).and_then(|loaded| loaded.check());
        let Err(error) = checked else {
            return ("good".to_owned(), String::new());
        };
        let message = error.to_string();
        let at = message.find("e.toml").unwrap_or(0); // without the folder's name
        (
            message[at..].to_owned(),
            error.hint().unwrap_or_default().to_owned(),
        )
    }

    #[test]
    fn a_metric_that_does_not_fit_the_labels() {
        let (message, hint) = refusal("[task]\nmetric = \"kappa\"\n", &[]);
        assert_eq!(
            message,
            "e.toml:4:task.metric: expected a metric for task.labels = \"binary\", found `kappa`"
        );
        assert_eq!(
            hint,
            "one of auc, accuracy, f1, macro_f1, log_loss, spearman"
        );
        assert_eq!(refusal("", &["task.metric=f1"]).0, "good");
    }

    #[test]
    fn an_objective_that_does_not_fit_the_labels() {
        let ordinal = "task.labels=ordinal";
        let (message, hint) = refusal("[objective]\nname = \"pet\"\n", &[ordinal]);
        assert_eq!(
            message,
            "e.toml:4:objective.name: expected an objective for task.labels = \"ordinal\", found `pet`"
        );
        assert_eq!(hint, "`pet` learns from labels that are binary or classes");
        let stage = "[[stage]]\nname = \"a\"\nobjective = \"pet\"\n";
        assert_eq!(
            refusal(stage, &[ordinal]).0,
            "e.toml:5:stage.a.objective: expected an objective for task.labels = \"ordinal\", found `pet`"
        );
    }

    #[test]
    fn several_label_columns_of_one_label() {
        let (message, hint) = refusal("", &["data.label=[3, 4]"]);
        assert_eq!(
            message,
            "--set data.label=[3, 4]: expected one column, as task.labels = \"binary\", found a list of 2"
        );
        assert_eq!(
            hint,
            "several columns belong to task.labels = \"multilabel\""
        );
    }

    #[test]
    fn a_stage_without_rows() {
        let (message, hint) = refusal("[[stage]]\nname = \"a\"\nrows = [\"test\"]\n", &[]);
        assert_eq!(
            message,
            "e.toml:5:stage.a.rows: expected rows to learn from, found none"
        );
        assert!(hint.starts_with("set `rows` to one or more of"), "{hint}");
        let (message, _) = refusal("[[stage]]\nname = \"a\"\nrows = [\"valid\"]\n", &[]);
        assert_eq!(
            message,
            "e.toml:5:stage.a.rows: expected \"labelled\" among them, as `pet` learns from labels, \
             found none with a label"
        );
    }

    #[test]
    fn two_stages_of_one_name_and_names_with_other_letters() {
        let two = "[[stage]]\nname = \"a\"\n[[stage]]\nname = \"a\"\n";
        assert_eq!(
            refusal(two, &[]),
            (
                "e.toml:6:stage.a.name: expected a name of its own, found \"a\" for two stages"
                    .into(),
                "the keys of a stage are written stage.NAME.KEY".into()
            )
        );
        assert_eq!(
            refusal("[[stage]]\nname = \"a.b\"\n", &[]).0,
            "e.toml:4:stage.a.b.name: expected letters, digits, - and _, found \"a.b\""
        );
    }

    #[test]
    fn texts_that_were_never_swapped_are_not_scored_swapped() {
        let (message, hint) = refusal("", &["train.swap=false"]);
        assert!(
            message.ends_with(": expected false, as the last stage has swap = false, found true"),
            "{message}"
        );
        assert_eq!(hint, "set predict.swap = false, or train.swap = true");
        assert_eq!(
            refusal("", &["train.swap=false", "predict.swap=false"]).0,
            "good"
        );
        assert_eq!(
            refusal("", &["train.swap=false", "task.kind=single"]).0,
            "good"
        );
    }

    #[test]
    fn numbers_of_stages_have_the_ranges_of_train() {
        let stage = "[[stage]]\nname = \"a\"\n";
        for (assignment, rest) in [
            ("stage.a.epochs=0", "1 or more, found 0"),
            ("stage.a.mask=1", "a number between 0 and 1, found 1"),
            (
                "stage.a.mask_unit=word",
                "one of `token`, `ngram`, `pmi`, found `word`",
            ),
            (
                "objective.mask_replacement=near",
                "`random` or `similar`, found `near`",
            ),
            ("stage.a.layer_decay=1.5", "a number from 0 to 1, found 1.5"),
            ("train.layer_decay=-1", "a number from 0 to 1, found -1"),
            ("objective.mlm_weight=-1", "a number, 0 or more, found -1"),
            ("stage.a.clip=nan", "a number, 0 or more, found NaN"),
            ("stage.a.dropout_samples=0", "1 or more, found 0"),
            (
                "stage.a.label_smoothing=1",
                "a number from 0 up to, but not, 1, found 1",
            ),
            (
                "train.average_decay=-1",
                "a number from 0 up to, but not, 1, found -1",
            ),
            ("train.adversarial_epsilon=0", "a number above 0, found 0"),
            ("train.r_drop=-1", "a number, 0 or more, found -1"),
        ] {
            let expected = format!("--set {assignment}: expected {rest}");
            assert_eq!(refusal(stage, &[assignment]).0, expected);
        }
        assert_eq!(refusal(stage, &["stage.a.epochs=1"]).0, "good");
        for (assignment, rest) in [
            (
                "stage.a.r_drop=1",
                "0, as with dropout = 0 two passes say the same, found 1",
            ),
            (
                "stage.a.dropout_samples=4",
                "1, as with dropout = 0 there is nothing to sample, found 4",
            ),
        ] {
            let expected = format!("--set {assignment}: expected {rest}");
            assert_eq!(
                refusal(stage, &["stage.a.dropout=0", assignment]).0,
                expected
            );
            assert_eq!(refusal(stage, &[assignment]).0, "good");
        }
    }

    #[test]
    fn a_mean_over_all_epochs_of_a_stage() {
        let stage = "[[stage]]\nname = \"a\"\nepochs = 5\n";
        let (message, hint) = refusal(stage, &["stage.a.average=swa"]);
        assert!(
            message.ends_with(
                "stage.a.average=swa: expected average_epochs below the 5 epochs of the stage, found 5"
            ),
            "{message}"
        );
        assert_eq!(
            hint,
            "set fewer average_epochs, more epochs, or average = \"ema\""
        );
        for fine in ["stage.a.epochs=6", "stage.a.average_epochs=4"] {
            assert_eq!(refusal(stage, &["stage.a.average=swa", fine]).0, "good");
        }
        // What no stage uses is not judged.
        assert_eq!(
            refusal(stage, &["train.average=swa", "stage.a.average=none"]).0,
            "good"
        );
        let without_stages = refusal("", &["train.average=swa", "train.average_epochs=9"]).0;
        assert!(
            without_stages.starts_with("--set train.average=swa: expected average_epochs below"),
            "{without_stages}"
        );
    }

    #[test]
    fn more_than_half_of_the_tokens_in_spans_that_never_touch() {
        let stage = "[[stage]]\nname = \"a\"\n";
        let ngram = "stage.a.mask_unit=ngram";
        assert_eq!(
            refusal(stage, &[ngram, "stage.a.mask=0.6"]).0,
            "--set stage.a.mask=0.6: expected 0.5 or less, as mask_unit = \"ngram\" hides no token after a span, found 0.6"
        );
        assert_eq!(refusal(stage, &[ngram, "stage.a.mask=0.5"]).0, "good");
        let pmi = ["stage.a.mask_unit=pmi", "stage.a.mask=0.6"];
        assert_eq!(refusal(stage, &pmi).0, "good");
    }

    #[test]
    fn files_of_a_stage_and_a_sample_submission_must_be_there() {
        let stage = "[[stage]]\nname = \"a\"\nfiles = \"/no/such.tsv\"\n";
        assert_eq!(
            refusal(stage, &[]).0,
            "e.toml:5:stage.a.files: expected a file, found none at /no/such.tsv"
        );
        assert_eq!(
            refusal("", &["submit.like=/no/such.csv"]).0,
            "--set submit.like=/no/such.csv: expected a file, found none at /no/such.csv"
        );
    }
}
