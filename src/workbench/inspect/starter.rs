//! A first experiment file for the files that were inspected.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use super::Inspection;
use super::measure::PresetTime;
use super::survey::{Role, Survey};
use crate::atomic;
use crate::config::{DEMO_CHECKPOINT, DEMO_COUNTS, Loaded, Preset};
use crate::data::ids::find_ids;
use crate::data::{ExampleFormat, LabelKind, TextKind, ValidSplit, source};
use crate::error::{Error, Result};

/// The keys of `[data]` that say how files are read.
const READING_KEYS: [&str; 8] = [
    "delimiter",
    "header",
    "text_a",
    "text_b",
    "label",
    "label_separator",
    "token_separator",
    "tokens",
];

/// Minutes that a first run may take.
const PATIENCE: f64 = 90.0;

/// Positions of the BERT inside the tool.
const POSITIONS: usize = 128;

/// `[CLS]`, and a `[SEP]` after each text.
pub fn special_tokens(kind: TextKind) -> usize {
    1 + kind.n_texts()
}

/// The `data.max_tokens` of a starter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MaxTokens {
    /// Of all texts of a row together.
    pub tokens: usize,
    /// What the starter says of it.
    pub why: String,
}

impl MaxTokens {
    /// What was set stands. Else enough for 95 % of the rows of every file: the tool's default or more, as far as the BERT
    /// inside the tool has room.
    pub fn of(survey: &Survey, kind: TextKind, loaded: &Loaded) -> Self {
        const KEY: &str = "data.max_tokens";
        let special = special_tokens(kind);
        let room = POSITIONS - special;
        let set = loaded.experiment.data.max_tokens; // the default where nothing is set
        if loaded.sets(KEY) {
            let why = match set > room {
                true => format!(
                    "as it was set; the BERT inside the tool takes {room}, or all with model.positions = {}",
                    set.saturating_add(special)
                ),
                false => "as it was set".to_owned(),
            };
            return Self { tokens: set, why };
        }
        let of_each = survey
            .files
            .iter()
            .map(|file| file.pair_tokens.percentile_95);
        let wanted = of_each.max().unwrap_or(0);
        let rows = match kind {
            TextKind::Pair => "rows",
            TextKind::Single => "texts",
        };
        let why = match kind {
            _ if wanted > room => format!(
                "as many as the BERT inside the tool takes; 95 % of the {rows} have {wanted} or fewer"
            ),
            TextKind::Single => "95 % of the texts are no longer".to_owned(),
            TextKind::Pair if wanted > set => {
                "of the two sentences of a row together; 95 % of the rows have no more".to_owned()
            }
            TextKind::Pair => "of the two sentences of a row together".to_owned(),
        };
        Self {
            tokens: wanted.max(set).min(room),
            why,
        }
    }
}

/// Writes the starter to `file`, with paths relative to its folder where they lie in it.
///
/// # Errors
/// [`Error::Refused`] where the file is there already or nothing is labelled; [`Error::Io`].
pub fn write(
    inspection: &Inspection,
    format: &ExampleFormat,
    max_tokens: &MaxTokens,
    file: &Path,
) -> Result<()> {
    if file.exists() {
        let error = Error::refused(format!("{} is there already", file.display()));
        return Err(error.with_hint("choose another name for --starter"));
    }
    let whole = std::path::absolute(file).map_err(Error::io("find", file))?;
    let folder = whole.parent().unwrap_or(&whole);
    let text = text(inspection, format, max_tokens, folder)?;
    atomic::write(file, text.as_bytes())
}

fn text(
    inspection: &Inspection,
    format: &ExampleFormat,
    max_tokens: &MaxTokens,
    folder: &Path,
) -> Result<String> {
    let survey = &inspection.survey;
    let paths = |role: Role| -> Vec<String> {
        let files = survey.files.iter().filter(|file| file.role == role);
        files.map(|file| quoted_path(&file.path, folder)).collect()
    };
    let train = paths(Role::Train);
    if train.is_empty() {
        let error = Error::refused("no file has labels, so there is nothing to train on");
        return Err(error.with_hint("name the labelled files too"));
    }
    let mut text = String::from(
        "# Paths are relative to this file. `cipherpet run FILE` does the whole job.\n",
    );
    text.push_str(&preset(&inspection.presets));
    let task = lines_off_default(format, &["kind", "labels"]);
    if !task.is_empty() {
        writeln!(text, "\n[task] # {}", inspection.task_why).expect("a String takes every write");
    }
    for (key, value) in task {
        writeln!(text, "{key} = {value}").expect("a String takes every write");
    }
    if let Some(objective) = objective(inspection.task.labels) {
        writeln!(text, "\n[objective]\nname = {objective}").expect("a String takes every write");
    }
    text.push_str("\n[data]\n");
    let mut line = |key: &str, value: &str| {
        writeln!(text, "{key} = {value}").expect("a String takes every write");
    };
    line("train", &format!("[{}]", train.join(", ")));
    for one in &inspection.stand_ins {
        writeln!(text, "# {}", one.describe(&from(folder, &one.path)))
            .expect("a String takes every write");
    }
    let mut line = |key: &str, value: &str| {
        writeln!(text, "{key} = {value}").expect("a String takes every write");
    };
    if let Some(test) = paths(Role::Test).first() {
        line("test", test);
    }
    let unlabelled = paths(Role::Unlabelled);
    if !unlabelled.is_empty() {
        line("unlabelled", &format!("[{}]", unlabelled.join(", ")));
    }
    let (split, why) = match survey.resembles_test {
        Some(ValidSplit::Group) => ("group", "the split that resembles the test file"),
        Some(_) => ("row10", "the split that resembles the test file"),
        None => (
            "row10",
            "or \"group\": no sentence in both training and validation rows",
        ),
    };
    line("valid", &format!("\"{split}\" # {why}"));
    let MaxTokens { tokens, why } = max_tokens;
    line("max_tokens", &format!("{tokens} # {why}"));
    if inspection.task.kind == TextKind::Pair {
        // A comment: what is the default depends on the objective, which may be set beside the starter.
        line(
            "# mark_shared",
            "true # the default: tell the network which tokens both sentences have",
        );
    }
    for (key, value) in lines_off_default(format, &READING_KEYS) {
        line(key, &value);
    }
    writeln!(
        text,
        "\n[folds]\nk = 0 # 5 trains five models, each scored on rows it has not seen, and averages them\n\n\
         [vocab]\nmin_count = 5\n\n\
         [checkpoint]\ndir = \"{DEMO_CHECKPOINT}\" # the small BERT inside the tool, or a Hugging Face folder\n\n\
         [align]\nmethod = \"rank\"\ncounts = \"{DEMO_COUNTS}\" # or what `cipherpet count` makes of your own corpus\n\n\
         # [train] what stands here goes over the preset: epochs = 3, learning_rate = 2e-5 for a BERT-base\n\
         # what a stage of \"good\" says goes over [train]: --set stage.mlm.epochs=2"
    )
    .expect("a String takes every write");
    text.push_str(&submit(inspection, format)?);
    Ok(text)
}

/// The preset of the starter, and where it was measured what each takes: `on this machine about: "fast" 10 minutes, …`
pub fn preset_and_minutes(times: &[PresetTime]) -> (Preset, Option<String>) {
    let each = times.iter().map(|time| {
        let minutes = match time.minutes {
            ..1.0 => "less than a minute".to_owned(),
            1.0..1.5 => "1 minute".to_owned(),
            1.5..100.0 => format!("{:.0} minutes", time.minutes),
            _ => format!("{:.1} hours", time.minutes / 60.0),
        };
        format!("\"{}\" {minutes}", time.preset.name())
    });
    let each = each.collect::<Vec<_>>().join(", ");
    let minutes = (!times.is_empty()).then(|| format!("on this machine about: {each}"));
    (chosen(times), minutes)
}

/// The longest of the presets that ends within [`PATIENCE`], or the shortest. [`Preset::Best`] is for those who ask.
fn chosen(times: &[PresetTime]) -> Preset {
    let fits = |time: &&PresetTime| time.preset != Preset::Best && time.minutes <= PATIENCE;
    let fitting = times.iter().rfind(fits).or(times.first());
    fitting.map_or(Preset::Fast, |time| time.preset)
}

fn preset(times: &[PresetTime]) -> String {
    let (chosen, minutes) = preset_and_minutes(times);
    let minutes = minutes.map_or(String::new(), |minutes| format!(" # {minutes}"));
    format!("preset = \"{}\"{minutes}\n", chosen.name())
}

/// `[submit]`, with the column of ids that the test file has.
fn submit(inspection: &Inspection, format: &ExampleFormat) -> Result<String> {
    let mut tests = inspection.survey.files.iter();
    let test = tests.find(|file| file.role == Role::Test);
    let ids = test.map(|file| find_ids(&file.path, format)).transpose();
    // Ids that are not all different are for the user to see when the run says so.
    let id_column = match ids {
        Ok(Some(Some((name, _)))) => format!("id_column = {}", toml::Value::String(name)),
        Ok(_) | Err(Error::Input { .. }) => "# id_column = \"id\"".to_owned(),
        Err(error) => return Err(error),
    };
    Ok(format!(
        "\n[submit] # another one writes the submission anew, without training\n\
         format = \"auto\" # ids and scores where the test file has ids, else one score a line\n\
         {id_column} # the column of the test file that holds the ids\n\
         score_column = \"score\"\n\
         probability = false # true: from 0 to 1\n\
         # like = \"sample_submission.csv\" # header, ids, order and columns as in the organisers' sample\n"
    ))
}

/// The objective, where the default one does not learn such labels; what else would do stands behind it.
fn objective(labels: LabelKind) -> Option<&'static str> {
    match labels {
        LabelKind::Binary | LabelKind::Classes => None,
        LabelKind::Multilabel => Some("\"bce\""),
        LabelKind::Ordinal => Some("\"cosent\" # learns their order; \"mse\" their values"),
    }
}

/// The keys that are not at their default.
fn lines_off_default(format: &ExampleFormat, keys: &[&'static str]) -> Vec<(&'static str, String)> {
    let (Ok(ours), Ok(default)) = (
        toml::Table::try_from(format),
        toml::Table::try_from(ExampleFormat::default()),
    ) else {
        return Vec::new(); // both are tables of strings, numbers and lists, which TOML can hold
    };
    keys.iter()
        .filter(|key| ours.get(**key) != default.get(**key))
        .filter_map(|key| Some((*key, ours.get(*key)?.to_string())))
        .collect()
}

/// As the starter in `folder` has it.
fn quoted_path(path: &Path, folder: &Path) -> String {
    let path = from(folder, path);
    toml::Value::String(path.to_string_lossy().into_owned()).to_string()
}

/// `path`, which counts from where the command is given, as it is found from `folder`, an absolute path.
fn from(folder: &Path, path: &Path) -> PathBuf {
    let whole = match source::is_embedded(path) {
        true => path.to_owned(),
        false => std::path::absolute(path).unwrap_or_else(|_| path.to_owned()),
    };
    whole.strip_prefix(folder).unwrap_or(&whole).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load;
    use crate::progress::Progress;
    use crate::workbench::inspect::measure::RowsToLearn;
    use crate::workbench::inspect::{Starter, inspect};
    use crate::workbench::{Context, Stop};

    /// The starter for twenty pairs of `n_tokens` each, and how many tokens the measurement of the minutes takes for a row.
    fn starter_for(n_tokens: usize, set: Option<usize>) -> (String, f64) {
        let text = vec!["7"; n_tokens / 2 - 1].join(" ");
        let row = |number: usize| {
            let (a, b) = (number + 10, number + 40);
            format!("{text} {a}\t{text} {b}\t{}\n", number % 2)
        };
        let folder = tempfile::tempdir().expect("a folder for the test");
        let train = folder.path().join("train.tsv");
        std::fs::write(&train, (0..20).map(row).collect::<String>()).expect("a small file");
        let file = folder.path().join("experiment.toml");
        let set = set.map(|value| format!("data.max_tokens={value}"));
        let loaded = load(None, &Vec::from_iter(set)).expect("a known key");
        let context = Context {
            progress: &Progress::silent(),
            stop: &Stop::default(),
            tensorboard: false,
        };
        let starter = Starter {
            file: &file,
            measures: false,
        };
        let inspection = inspect(&[train], &loaded, Some(starter), context).expect("a good file");
        let (survey, kind) = (&inspection.survey, inspection.task.kind);
        let max_tokens = MaxTokens::of(survey, kind, &loaded);
        let rows = RowsToLearn::of(survey, kind, max_tokens.tokens);
        assert_eq!((rows.labelled, rows.test, rows.n_texts), (20, 0, 2));
        let written = std::fs::read_to_string(&file).expect("the starter");
        (written, rows.text_tokens)
    }

    #[test]
    fn the_longest_preset_within_an_evening_is_chosen_and_all_have_their_minutes() {
        let times = |minutes: [f64; 3]| -> Vec<PresetTime> {
            let each = Preset::ALL.into_iter().zip(minutes);
            each.map(|(preset, minutes)| PresetTime { preset, minutes })
                .collect()
        };
        let (chosen, minutes) = preset_and_minutes(&times([0.5, 61.2, 138.0]));
        assert_eq!(chosen, Preset::Good);
        assert_eq!(
            minutes.as_deref(),
            Some(
                "on this machine about: \"fast\" less than a minute, \"good\" 61 minutes, \"best\" 2.3 hours"
            )
        );
        assert_eq!(
            preset_and_minutes(&times([95.0, 610.0, 1380.0])).0,
            Preset::Fast
        );
        assert_eq!(preset_and_minutes(&[]), (Preset::Fast, None));
    }

    #[test]
    fn a_starter_keeps_most_rows_whole_and_minutes_are_those_of_such_rows() {
        let both = "# of the two sentences of a row together";
        let room = "the BERT inside the tool takes";
        for (n_tokens, set, expected, measured) in [
            (20, None, format!("32 {both}"), 20.0),
            (
                100,
                None,
                format!("100 {both}; 95 % of the rows have no more"),
                100.0,
            ),
            (
                200,
                None,
                format!("125 # as many as {room}; 95 % of the rows have 200 or fewer"),
                125.0,
            ),
            (100, Some(124), "124 # as it was set".to_owned(), 100.0),
            (100, Some(16), "16 # as it was set".to_owned(), 16.0),
            (
                100,
                Some(150),
                format!("150 # as it was set; {room} 125, or all with model.positions = 153"),
                100.0,
            ),
        ] {
            let (starter, tokens) = starter_for(n_tokens, set);
            let line = format!("\nmax_tokens = {expected}\n");
            assert!(starter.contains(&line), "{line}{starter}");
            assert_eq!(tokens, measured);
        }
    }
}
