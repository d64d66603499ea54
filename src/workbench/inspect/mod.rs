//! The first minute with a new competition, or with a checkpoint ([`checkpoint`]).
//!
//! In: files of examples. Out: an [`Inspection`]: which task they hold, what is in them, which validation split resembles
//! the test file, what a run would cost; as text for people and as JSON. Files with labels are for training, the first without is
//! the test file, further ones join the MLM.

pub mod checkpoint;
pub mod estimate;
pub mod label_survey;
pub mod measure;
pub mod starter;
pub mod survey;

use std::fmt::{self, Display, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::Context;
use super::disk::megabytes;
use super::reading::Reading;
use super::reading::files::{TaskFiles, read_files};
use super::reading::stand_in::StandIn;
use crate::checkpoint::BertConfig;
use crate::config::{Experiment, Loaded};
use crate::data::reserved::FIRST_CIPHER;
use crate::data::{ExampleFile, Task, TextKind, ValidSplit};
use crate::error::Result;
use crate::kernels;
use estimate::{Estimate, Work, estimate};
use label_survey::LabelSurvey;
use measure::{PresetTime, RowsToLearn};
use starter::{MaxTokens, preset_and_minutes, special_tokens};
use survey::{FileSurvey, Role, SplitSurvey, Survey, survey};

/// All that [`inspect`] found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Inspection {
    /// Texts of a row, kind of its label, and the classes.
    pub task: Task,
    /// How that was recognised.
    pub task_why: String,
    /// How the rows are written, and by what that was recognised.
    pub written: String,
    /// What is in the files.
    pub survey: Survey,
    /// Files whose rows all have one label, where those of others differ.
    pub stand_ins: Vec<StandIn>,
    /// What a run of the default settings costs, for a small BERT and for a BERT-base.
    pub estimates: Vec<Estimate>,
    /// What each preset costs on this machine, measured; empty without a starter.
    pub presets: Vec<PresetTime>,
    /// The experiment file that was written.
    pub starter: Option<PathBuf>,
}

/// A first experiment file that is wanted.
#[derive(Debug, Clone, Copy)]
pub struct Starter<'a> {
    /// Where to write it.
    pub file: &'a Path,
    /// Whether it names the minutes of each preset, which takes a few seconds of training.
    pub measures: bool,
}

/// Looks at the files of a competition. `loaded` says how they are read and how a run would be done; where it says nothing, that
/// is found out ([`read_files`]). `starter` is where to write a first experiment file.
///
/// # Errors
/// Those of [`read_files`] and of [`starter::write`].
pub fn inspect(
    files: &[PathBuf],
    loaded: &Loaded,
    starter: Option<Starter<'_>>,
    context: Context,
) -> Result<Inspection> {
    let TaskFiles {
        labelled: train,
        mut unlabelled,
        task,
        reading,
        stand_ins,
    } = read_files(files, loaded, context)?;
    let experiment = &loaded.experiment;
    let format = reading.format.clone();
    let rest = unlabelled.split_off(unlabelled.len().min(1));
    let mut inspection = examine((&train, &unlabelled, &rest), (task, reading), experiment);
    inspection.stand_ins = stand_ins;
    if let Some(Starter { file, measures }) = starter {
        let max_tokens = MaxTokens::of(&inspection.survey, inspection.task.kind, loaded);
        if measures {
            inspection.presets = preset_times(&inspection, experiment, &max_tokens)?;
        }
        starter::write(&inspection, &format, &max_tokens, file)?;
        inspection.starter = Some(file.to_owned());
    }
    Ok(inspection)
}

/// What each preset costs, for the small BERT and all rows, as the starter cuts them.
fn preset_times(
    inspection: &Inspection,
    experiment: &Experiment,
    max_tokens: &MaxTokens,
) -> Result<Vec<PresetTime>> {
    let survey = &inspection.survey;
    let one_token = FIRST_CIPHER as usize + 1; // where all are rare
    let mut small = experiment.scratch_size(None, n_tokens(survey, experiment).max(one_token));
    let kind = inspection.task.kind;
    let rows = RowsToLearn::of(survey, kind, max_tokens.tokens);
    // What is measured has places, whatever `model.positions` says; the two texts of a row are rounded, each by itself.
    let needed = rows.text_tokens.ceil() as usize + 1 + special_tokens(kind);
    small.max_position_embeddings = small.max_position_embeddings.max(needed);
    let path = kernels::path::Path::resolve(experiment.train.precision);
    measure::preset_times(&small, path, rows)
}

/// Rows of the vocabulary that a run has.
fn n_tokens(survey: &Survey, experiment: &Experiment) -> usize {
    let min_count = experiment.vocab.min_count;
    let band = survey
        .vocabulary
        .iter()
        .rfind(|band| band.min_count <= min_count);
    band.map_or(0, |band| band.types) + FIRST_CIPHER as usize
}

/// The files are those for training, for scoring, and without labels; the task comes with the reason for it.
fn examine(
    (train, test, unlabelled): (&[ExampleFile], &[ExampleFile], &[ExampleFile]),
    (task, reading): (Task, Reading),
    experiment: &Experiment,
) -> Inspection {
    let survey = survey(train, test, unlabelled, &task);
    let small = experiment.scratch_size(None, n_tokens(&survey, experiment));
    let base = BertConfig {
        num_hidden_layers: 12,
        hidden_size: 768,
        num_attention_heads: 12,
        intermediate_size: 3072,
        ..small.clone()
    };
    let work = work(&survey, task.kind, experiment);
    let threads = rayon::current_num_threads();
    let path = kernels::path::Path::resolve(experiment.train.precision);
    Inspection {
        estimates: vec![
            estimate(&small, work, threads, path),
            estimate(&base, work, threads, path),
        ],
        task,
        task_why: reading.task,
        written: reading.written,
        survey,
        stand_ins: Vec::new(),
        presets: Vec::new(),
        starter: None,
    }
}

/// The default run on these files: all rows train, a tenth validates each epoch, the test file is scored once.
fn work(survey: &Survey, kind: TextKind, experiment: &Experiment) -> Work {
    let max_tokens = experiment.data.max_tokens as f64;
    let n_texts = kind.n_texts();
    let special = special_tokens(kind) as f64;
    let tokens =
        |file: &FileSurvey| file.rows as f64 * (file.pair_tokens.mean.min(max_tokens) + special);
    let of_role = |role: Role| survey.files.iter().filter(move |file| file.role == role);
    let all: f64 = survey.files.iter().map(tokens).sum();
    let valid = of_role(Role::Train).map(tokens).sum::<f64>() / 10.0;
    let test: f64 = of_role(Role::Test).map(tokens).sum();
    let epochs = experiment.train.epochs as f64;
    let orders = match experiment.predict.swap {
        true => n_texts as f64,
        false => 1.0,
    };
    Work {
        training_tokens: all * epochs,
        scoring_tokens: (valid * epochs + test) * orders,
        scores: of_role(Role::Test).map(|file| file.rows).sum(),
    }
}

impl Display for Inspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let survey = &self.survey;
        writeln!(f, "files: {}", self.written)?;
        writeln!(f, "task: {}", self.task_why)?;
        for file in &survey.files {
            write_file(f, file, self.task.kind)?;
        }
        writeln!(f, "vocabulary: ids up to {}", survey.max_id)?;
        for band in &survey.vocabulary {
            writeln!(
                f,
                "  count >= {:<4} {:>7} tokens, {:>10} occurrences",
                band.min_count, band.types, band.tokens
            )?;
        }
        self.write_sharing(f)?;
        self.write_estimates(f)?;
        if let Some(starter) = &self.starter {
            writeln!(f, "starter: {}", starter.display())?;
            let (preset, minutes) = preset_and_minutes(&self.presets);
            let minutes = minutes.map_or(String::new(), |minutes| format!("; {minutes}"));
            writeln!(f, "  it has preset = \"{}\"{minutes}", preset.name())?;
        }
        Ok(())
    }
}

impl Inspection {
    fn write_sharing(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let survey = &self.survey;
        let train_rows: usize = survey
            .files
            .iter()
            .filter(|file| file.role == Role::Train)
            .map(|file| file.rows)
            .sum();
        if train_rows > 0 {
            writeln!(f, "shared sentences")?;
            writeln!(
                f,
                "  within train: {} of the rows; {} components, the largest has {} rows ({})",
                percent(survey.shared_within_train),
                survey.components,
                survey.largest_component,
                percent(survey.largest_component as f64 / train_rows as f64)
            )?;
        }
        if let Some(share) = survey.test_shared_with_train {
            writeln!(f, "  test with train: {} of the rows", percent(share))?;
        }
        for split in survey.splits.iter().filter(|split| split.rows > 0) {
            write_split(f, split)?;
        }
        if let Some(split) = survey.resembles_test {
            writeln!(
                f,
                "  data.valid = \"{}\" resembles the test file",
                split_name(split)
            )?;
        }
        match survey.jaccard_auc {
            Some(auc) => writeln!(f, "token overlap alone reaches AUC {auc:.3}"),
            None => Ok(()),
        }
    }

    fn write_estimates(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let threads = self.estimates.first().map_or(1, |first| first.threads);
        writeln!(
            f,
            "a run of the default settings on {threads} threads, roughly"
        )?;
        for estimate in &self.estimates {
            writeln!(
                f,
                "  {} layers, {} wide: {}, {} of disk",
                estimate.layers,
                estimate.hidden,
                duration(estimate.seconds),
                megabytes(estimate.disk_bytes)
            )?;
        }
        Ok(())
    }
}

fn write_file(f: &mut fmt::Formatter<'_>, file: &FileSurvey, kind: TextKind) -> fmt::Result {
    let role = match file.role {
        Role::Train => "train",
        Role::Test => "test",
        Role::Unlabelled => "unlabelled",
    };
    let labels = file.labels.as_ref();
    let labels = labels.map_or_else(|| "no labels".to_owned(), LabelSurvey::to_string);
    writeln!(
        f,
        "{} ({role}): {} rows, {labels}",
        file.path.display(),
        file.rows
    )?;
    if let Some(LabelSurvey::Classes { largest, .. } | LabelSurvey::Multilabel { largest, .. }) =
        &file.labels
    {
        let largest = largest
            .iter()
            .map(|class| format!("{} {}", class.name, class.rows));
        writeln!(f, "  most rows: {}", largest.collect::<Vec<_>>().join(", "))?;
    }
    let lengths: &[_] = match kind {
        TextKind::Pair => &[
            ("sentence", &file.sentence_tokens),
            ("pair", &file.pair_tokens),
        ],
        TextKind::Single => &[("text", &file.sentence_tokens)],
    };
    for (what, lengths) in lengths {
        writeln!(
            f,
            "  tokens a {what}: mean {:.1}, median {}, 95 % within {}, longest {}",
            lengths.mean, lengths.median, lengths.percentile_95, lengths.max
        )?;
    }
    match kind {
        TextKind::Pair => writeln!(
            f,
            "  {} distinct sentences, {} repeated rows, {} repeated with sentences exchanged",
            file.distinct_sentences, file.duplicate_rows, file.swapped_rows
        )?,
        TextKind::Single => writeln!(
            f,
            "  {} distinct texts, {} repeated rows",
            file.distinct_sentences, file.duplicate_rows
        )?,
    }
    if let (Some(unseen), Some(shared)) = (file.unseen_tokens, file.shared_with_train) {
        writeln!(
            f,
            "  {} of its tokens are not in train, {} of its rows share a sentence with train",
            percent(unseen),
            percent(shared)
        )?;
    }
    Ok(())
}

fn write_split(f: &mut fmt::Formatter<'_>, split: &SplitSurvey) -> fmt::Result {
    let mut line = format!(
        "  valid = \"{}\": {} rows, {} share a sentence with the rest",
        split_name(split.split),
        split.rows,
        percent(split.shared_with_train)
    );
    if let Some(share) = split.positive_share {
        write!(line, ", {} positive", percent(share))?;
    }
    writeln!(f, "{line}")
}

fn split_name(split: ValidSplit) -> &'static str {
    match split {
        ValidSplit::Row10 => "row10",
        ValidSplit::Group => "group",
        ValidSplit::Share(_) => "share",
        ValidSplit::None => "none",
    }
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

/// `45 s`, `12 min`, `3.5 h`
fn duration(seconds: f64) -> String {
    match seconds {
        ..60.0 => format!("{:.0} s", seconds.max(1.0)),
        60.0..3600.0 => format!("{:.0} min", seconds / 60.0),
        _ => format!("{:.1} h", seconds / 3600.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load;
    use crate::progress::Progress;
    use crate::workbench::Stop;

    fn unmeasured(file: &Path) -> Starter<'_> {
        Starter {
            file,
            measures: false,
        }
    }

    fn defaults() -> Loaded {
        load(None, &[]).expect("the defaults")
    }

    fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
        let path = folder.join(name);
        std::fs::write(&path, text).expect("a small file");
        path
    }

    #[test]
    fn files_get_their_roles_by_labels_and_order_and_the_starter_loads() {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let files = [
            write(folder.path(), "a.tsv", "1\t2\n"),
            write(folder.path(), "b.tsv", "1\t2\t1\n3\t4\t0\n"),
            write(folder.path(), "c.tsv", "1\t3\n"),
        ];
        let starter = folder.path().join("experiment.toml");
        let context = Context {
            progress: &Progress::silent(),
            stop: &Stop::default(),
            tensorboard: false,
        };
        let experiment = defaults();
        let inspection =
            inspect(&files, &experiment, Some(unmeasured(&starter)), context).expect("good files");
        let roles: Vec<_> = inspection.survey.files.iter().map(|f| f.role).collect();
        assert_eq!(roles, [Role::Train, Role::Test, Role::Unlabelled]);

        let written = load(Some(&starter), &[])
            .expect("our own starter")
            .experiment;
        assert_eq!(written.data.train, [files[1].clone()]);
        assert_eq!(written.data.test, Some(files[0].clone()));
        assert_eq!(written.data.unlabelled, [files[2].clone()]);
        let text = std::fs::read_to_string(&starter).expect("the starter");
        assert!(text.contains("train = [\"b.tsv\"]"), "{text}");

        let again = inspect(&files, &experiment, Some(unmeasured(&starter)), context);
        let message = again.expect_err("it is there already").to_string();
        assert!(message.ends_with("experiment.toml is there already"));
    }

    #[test]
    fn a_starter_keeps_the_reading_keys_that_were_needed() {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let files = [write(
            folder.path(),
            "a.csv",
            "id,q1,q2,y\n0,1|2,3,1\n1,4,5,0\n",
        )];
        let keys = [
            "data.delimiter=\",\"",
            "data.header=true",
            "data.text_a=q1",
            "data.text_b=q2",
            "data.label=y",
            "data.token_separator=|",
        ];
        let keys = keys.map(str::to_owned);
        let loaded = load(None, &keys).expect("known keys");
        let starter = folder.path().join("experiment.toml");
        let context = Context {
            progress: &Progress::silent(),
            stop: &Stop::default(),
            tensorboard: false,
        };
        inspect(&files, &loaded, Some(unmeasured(&starter)), context).expect("a good file");
        let written = load(Some(&starter), &[])
            .expect("our own starter")
            .experiment;
        assert_eq!(written.format(), loaded.experiment.format());
    }

    #[test]
    fn nothing_needs_to_be_set_for_a_table_with_a_header_and_other_separators() {
        let (text, inspection) =
            starter_for("id,text_a,text_b,label\n5,1|2,3,1\n6,4|7,5,0\n7,1|2,5|4,0\n");
        for line in [
            "delimiter = \",\"",
            "header = true",
            "token_separator = \"|\"",
        ] {
            assert!(text.contains(line), "{text}");
        }
        assert_eq!(
            inspection.written,
            "comma-separated (4 fields a row), a header (usual names in the first row), numbers with `|` between"
        );
        let (text, _) = starter_for("q,r,same\n1-2 3-4,b c,1\n2-1 c,d c,0\n");
        for line in [
            "text_a = \"q\"",
            "text_b = \"r\"",
            "label = \"same\"",
            "tokens = \"text\"",
        ] {
            assert!(text.contains(line), "{text}");
        }
    }

    /// The text of the starter for one file, and the inspection.
    fn starter_for(text: &str) -> (String, Inspection) {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let files = [write(folder.path(), "a.tsv", text)];
        let starter = folder.path().join("experiment.toml");
        let context = Context {
            progress: &Progress::silent(),
            stop: &Stop::default(),
            tensorboard: false,
        };
        let inspection = inspect(&files, &defaults(), Some(unmeasured(&starter)), context);
        let written = std::fs::read_to_string(&starter).expect("the starter");
        (written, inspection.expect("a good file"))
    }

    #[test]
    fn a_starter_says_the_task_that_was_recognised() {
        let (starter, inspection) = starter_for("1 2\tbad\n3 4\tgood\n5 6\tbad\n");
        assert!(
            starter.contains(
                "\n[task] # single texts with 2 classes: one text column, and column 2 holds 2 different strings (write them as 0 and 1 to have AUC)\n\
                 kind = \"single\"\nlabels = \"classes\"\n\n[data]\ntrain = [\"a.tsv\"]\n"
            ),
            "{starter}"
        );
        assert!(!starter.contains("label ="), "{starter}");
        assert_eq!(inspection.task.classes, ["bad", "good"]);
        let shown = inspection.to_string();
        assert!(
            shown.contains(
                "a.tsv (train): 3 rows, 2 classes\n  most rows: bad 2, good 1\n  tokens a text:"
            ),
            "{shown}"
        );
        assert_eq!(inspection.survey.jaccard_auc, None);

        let (starter, inspection) = starter_for("1 2\t3\t0\t1\n3 4\t5\t1\t1\n");
        assert!(
            starter.contains("[task] # pairs of texts with any of 2 labels: "),
            "{starter}"
        );
        assert!(starter.contains("\nlabels = \"multilabel\"\n"), "{starter}");
        assert!(starter.contains("\nlabel = [3, 4]\n"), "{starter}");
        assert_eq!(inspection.task.classes, ["label_1", "label_2"]);
        let shown = inspection.to_string();
        assert!(
            shown.contains("2 rows, 1.50 of 2 labels a row, 0.0 % of the rows have none"),
            "{shown}"
        );

        let (starter, inspection) = starter_for("1 2\t3\t0.5\n3 4\t5\t4\n");
        assert!(starter.contains("\nlabels = \"ordinal\"\n"), "{starter}");
        assert!(
            inspection
                .to_string()
                .contains("2 rows, labels from 0.5 to 4, mean 2.25")
        );
    }

    #[test]
    fn a_starter_needs_labels() {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let files = [write(folder.path(), "a.tsv", "1 2\t3 4\n")];
        let starter = folder.path().join("experiment.toml");
        let context = Context {
            progress: &Progress::silent(),
            stop: &Stop::default(),
            tensorboard: false,
        };
        let error = inspect(&files, &defaults(), Some(unmeasured(&starter)), context)
            .expect_err("nothing to train on");
        assert_eq!(
            error.to_string(),
            "no file has labels, so there is nothing to train on"
        );
        assert!(!starter.exists());
    }
}
