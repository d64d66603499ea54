//! All runs at a glance: the run folders under a folder, those of one metric together, best first.
//!
//! In: a folder. Out: a [`Board`] with one row a run or ensemble, finished or not. A folder that cannot be read is
//! told and left out. Computes no score: what the runs have recorded is shown.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::run_folder::manifest::State;
use super::run_folder::names;
use super::run_folder::record::{FoldFigures, RunRecord};
use super::run_folder::results::Results;
use super::run_folder::settings::{
    STAGES, Settings, differing, has_training, settings, settings_of,
};
use super::run_folder::stage_cost::StageCost;
use super::score;
use crate::data::LabelKind;
use crate::error::{Error, Result};
use crate::metrics::{MetricName, mean_and_deviation};

/// Folders in folders are looked into this deep.
const DEPTH: usize = 4;

/// All runs under a folder.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Board {
    /// By metric, in the order of their table; those of one metric best first, in its direction.
    pub runs: Vec<Row>,
    /// Folders that look like runs and cannot be read.
    pub skipped: Vec<Skipped>,
}

/// A folder that could not be read.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Skipped {
    /// The folder.
    pub run: PathBuf,
    /// Why.
    pub reason: String,
}

/// One run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// The folder, as seen from the working folder.
    pub run: PathBuf,
    /// `done` or `begun`.
    pub state: State,
    /// First 8 digits of the hash that tells it from other runs.
    pub config: String,
    /// What decides which epoch is the best.
    pub metric: MetricName,
    /// Its figure of all out-of-fold scores, or of a single split; none before the run is done.
    pub score: Option<f64>,
    /// Mean score of the folds that are done.
    pub fold_score_mean: Option<f64>,
    /// Their standard deviation.
    pub fold_score_sd: Option<f64>,
    /// What is learnt, where there is one stage without a name; none for an ensemble.
    pub objective: Option<String>,
    /// The names of the stages, with an arrow between them.
    pub stages: Option<String>,
    /// AUC for binary labels, of the same rows as the score.
    pub auc: Option<f64>,
    /// Mean AUC of the folds that are done.
    pub fold_auc_mean: Option<f64>,
    /// Their standard deviation.
    pub fold_auc_sd: Option<f64>,
    /// Folds that are done.
    pub folds_done: usize,
    /// Folds asked for; 0 for a single split.
    pub folds: usize,
    /// Wall time, without the stages that others share.
    pub minutes: Option<f64>,
    /// That of the stages that others share; none where there are none.
    pub shared_minutes: Option<f64>,
    /// Training only.
    pub tokens_per_second: Option<f64>,
    /// Numbers in one model.
    pub parameters: Option<u64>,
    /// Of the arithmetic: `f32`, `bf16`.
    pub precision: Option<String>,
    /// `cipherpet` and its version.
    pub tool: String,
    /// The newest score that `cipherpet score` noted.
    pub public_score: Option<f64>,
    /// Its note.
    pub public_note: Option<String>,
    /// What the rows give away without a network: the share of common tokens of pairs, TF-IDF of single texts.
    pub baseline_score: Option<f64>,
    /// What that is judged by: the metric of the run, or one that the share of common tokens can be judged by.
    pub baseline_metric: Option<MetricName>,
    /// The settings in which the runs on the same files differ, and their values here: `align = rank, seed = 1`; the files too,
    /// where there are several. Empty for an ensemble.
    pub differs: String,
}

/// Lists the runs under `dir`, or `dir` itself where it is one.
///
/// # Errors
/// [`Error::Refused`] where there is no such folder.
pub fn board(dir: &Path) -> Result<Board> {
    if !dir.is_dir() {
        let message = format!("there is no folder {}", dir.display());
        return Err(Error::refused(message).with_hint(
            "`cipherpet run` makes runs in `runs`; `cipherpet board DIR` looks into another folder",
        ));
    }
    let mut board = Board {
        runs: Vec::new(),
        skipped: Vec::new(),
    };
    let mut all_settings = Vec::new();
    for folder in run_folders(dir, DEPTH) {
        match Row::of(&folder) {
            Ok((row, settings)) => {
                board.runs.push(row);
                all_settings.push(settings);
            }
            Err(error) => board.skipped.push(Skipped {
                run: folder,
                reason: error.to_string(),
            }),
        }
    }
    let described = describe(&all_settings);
    for (row, differs) in board.runs.iter_mut().zip(described) {
        row.differs = differs;
    }
    // Stable: equals stay in the order of their names. Runs without a figure go last.
    board.runs.sort_by(|a, b| {
        let of_one_metric = || match a.metric.metric().higher_is_better {
            true => b.rank_key().total_cmp(&a.rank_key()),
            false => a.rank_key().total_cmp(&b.rank_key()),
        };
        a.metric.cmp(&b.metric).then_with(of_one_metric)
    });
    Ok(board)
}

/// The keys that people choose by, those that stand first.
const FIRST_KEYS: [&str; 12] = [
    "data.train",
    "stage",
    "objective.name",
    "align.method",
    "checkpoint.dir",
    "folds.k",
    "seed",
    "train.epochs",
    "train.learning_rate",
    "train.batch",
    "train.max_steps",
    "data.mark_shared",
];
/// So many settings are written out.
const MOST_SETTINGS: usize = 6;
/// Paths that are alike in so many of their last parts are told whole.
const MOST_PARTS: usize = 32;
/// The files that a run learns from.
const FILES: &str = "data.train";

/// What each run is: the settings in which the runs on the same files differ, and the files where there are several.
fn describe(all: &[Settings]) -> Vec<String> {
    let runs: Vec<&Settings> = all.iter().filter(|one| has_training(one)).collect();
    let files: BTreeSet<_> = runs.iter().map(|run| run.get(FILES)).collect();
    let line = |settings: &Settings| {
        if !has_training(settings) {
            return String::new();
        }
        let same_files = |run: &&Settings| run.get(FILES) == settings.get(FILES);
        let alike: Vec<&Settings> = runs.iter().copied().filter(same_files).collect();
        let mut keys = differing(&alike);
        if files.len() > 1 {
            keys.push(FILES.to_owned());
        }
        let told = |key: &str| {
            let runs = match key {
                FILES => &runs,
                _ => &alike,
            };
            let values = runs.iter().filter_map(|run| run.get(key));
            let values: BTreeSet<&str> = values.map(String::as_str).collect();
            Some(brief(key, settings.get(key)?, &values))
        };
        say(settings, keys, &told)
    };
    all.iter().map(line).collect()
}

/// `align = graph, seed = 1, 3 more`; `told` has the words for the value of a key.
fn say(
    settings: &Settings,
    mut keys: Vec<String>,
    told: &dyn Fn(&str) -> Option<String>,
) -> String {
    // What stages say comes before what the sections say.
    let has_stages = settings.contains_key(STAGES);
    keys.retain(|key| settings.contains_key(key) && !(has_stages && key == "objective.name"));
    let order = |key: &str| FIRST_KEYS.iter().position(|first| *first == key);
    keys.sort_by_key(|key| order(key).unwrap_or(FIRST_KEYS.len())); // stable: the others by name
    let short = |key: &String| -> String {
        let (section, name) = key.rsplit_once('.').unwrap_or(("", key));
        let is_clear = keys.iter().filter(|other| other.ends_with(name)).count() == 1;
        match name {
            "name" | "method" | "dir" => section.to_owned(),
            "stage" => "stages".to_owned(),
            _ if is_clear => name.to_owned(),
            _ => key.clone(),
        }
    };
    let said = |key: &String| Some(format!("{} = {}", short(key), told(key)?));
    let mut all: Vec<String> = keys.iter().filter_map(said).collect();
    let more = all.len().saturating_sub(MOST_SETTINGS);
    if more > 0 {
        all.truncate(MOST_SETTINGS);
        all.push(format!("{more} more"));
    }
    all.join(", ")
}

/// A value in a few words that no other of `values` has: names of files with as few of their folders as tell them apart, of
/// stages with the settings that do.
fn brief(key: &str, value: &str, values: &BTreeSet<&str>) -> String {
    let Some(own) = parsed(value) else {
        return value.to_owned();
    };
    let others = values.iter().filter(|other| **other != value);
    let others: Vec<toml::Value> = others.filter_map(|other| parsed(other)).collect();
    let shortest = words(key, &own, 1);
    let told_alike = |other: &&toml::Value| words(key, other, 1) == shortest;
    let alike: Vec<&toml::Value> = others.iter().filter(told_alike).collect();
    if alike.is_empty() {
        return shortest;
    }
    if key == STAGES {
        return match stage_differences(&own, &alike) {
            differences if differences.is_empty() => value.to_owned(), // two stages of one name
            differences => format!("{shortest} ({differences})"),
        };
    }
    let is_clear = |parts: &usize| {
        let own = words(key, &own, *parts);
        alike.iter().all(|other| words(key, other, *parts) != own)
    };
    match (2..=MOST_PARTS).find(is_clear) {
        Some(parts) => words(key, &own, parts),
        None => value.to_owned(),
    }
}

fn parsed(value: &str) -> Option<toml::Value> {
    let table = format!("value = {value}").parse::<toml::Table>();
    table.ok().and_then(|mut table| table.remove("value"))
}

/// Of paths the last `parts`, of stages their names.
fn words(key: &str, value: &toml::Value, parts: usize) -> String {
    let word = |value: &toml::Value| match value {
        toml::Value::String(text) => last_parts(text, parts),
        toml::Value::Table(stage) if key == STAGES => stage_name(stage).to_owned(),
        other => other.to_string(),
    };
    match value {
        toml::Value::Array(list) => list.iter().map(word).collect::<Vec<_>>().join(" "),
        other => word(other),
    }
}

fn last_parts(path: &str, parts: usize) -> String {
    let all: Vec<_> = Path::new(path).iter().collect();
    let last: PathBuf = all[all.len().saturating_sub(parts)..].iter().collect();
    last.to_string_lossy().into_owned()
}

fn stage_name(stage: &toml::Table) -> &str {
    let name = stage.get("name").and_then(toml::Value::as_str);
    name.unwrap_or_default()
}

/// The settings of stages in which `own` differs from any of `others`: `labels.max_steps = 40, no mlm.rows`.
fn stage_differences(own: &toml::Value, others: &[&toml::Value]) -> String {
    let own = stage_settings(own);
    let others: Vec<Settings> = others.iter().map(|other| stage_settings(other)).collect();
    let keys = own
        .keys()
        .chain(others.iter().flat_map(|other| other.keys()));
    let keys: BTreeSet<&String> = keys.collect();
    let differs = |key: &&String| others.iter().any(|other| other.get(*key) != own.get(*key));
    let said = |key: &String| match own.get(key) {
        Some(value) => format!("{key} = {value}"),
        None => format!("no {key}"),
    };
    let differing = keys.into_iter().filter(differs);
    differing.map(said).collect::<Vec<_>>().join(", ")
}

/// By the name of the stage and the key.
fn stage_settings(stages: &toml::Value) -> Settings {
    let stages = stages.as_array().into_iter().flatten();
    let stages = stages.filter_map(toml::Value::as_table);
    let named = stages.map(|stage| {
        let settings = toml::Value::Table(stage.clone());
        (stage_name(stage).to_owned(), settings)
    });
    settings_of(&named.collect::<toml::Table>())
}

/// Folders with a manifest, in the order of their names. Nothing is looked for inside a run.
fn run_folders(dir: &Path, depth: usize) -> Vec<PathBuf> {
    if dir.join(names::MANIFEST).exists() {
        return vec![dir.to_owned()];
    }
    let Ok(entries) = std::fs::read_dir(dir) else {
        return Vec::new();
    };
    let is_hidden = |path: &Path| {
        let name = path.file_name().unwrap_or_default();
        name.as_encoded_bytes().starts_with(b".")
    };
    let mut inner: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.is_dir() && !is_hidden(path))
        .collect();
    inner.sort();
    match depth {
        0 => Vec::new(),
        _ => inner
            .iter()
            .flat_map(|path| run_folders(path, depth - 1))
            .collect(),
    }
}

impl Row {
    /// A run, and its settings.
    fn of(folder: &Path) -> Result<(Self, Settings)> {
        let results = Results::open(folder)?;
        let public = score::read(folder)?.pop();
        let done = results.folds_done();
        let record = &results.record;
        let figures = record.result.clone().unwrap_or_default();
        let config = std::fs::read_to_string(folder.join(names::CONFIG)).unwrap_or_default();
        let (metric, objective, stages) = plan(record, &config);
        let is_auc = metric == MetricName::Auc;
        let all = |of: &dyn Fn(&FoldFigures) -> Option<f64>| {
            done.iter().filter_map(of).collect::<Vec<_>>()
        };
        let aucs = mean_and_deviation(&all(&|fold| fold.valid_auc)).unzip();
        let scores = all(&|fold| fold.valid_score.or(fold.valid_auc.filter(|_| is_auc)));
        let scores = mean_and_deviation(&scores).unzip();
        let seconds = all(&|fold| fold.seconds);
        let fold_seconds = (!seconds.is_empty()).then(|| seconds.iter().sum::<f64>());
        let fold_cost = StageCost::of_folds(done.iter().map(|fold| fold.shared_stage.as_ref()));
        let fold_speed =
            mean_and_deviation(&all(&|fold| fold.tokens_per_second)).map(|(mean, _)| mean);
        let precision = record
            .kernel_path
            .as_ref()
            .and_then(|path| path.split(' ').next());
        let auc = figures.oof_auc.or(figures.valid_auc);
        let of_auc = |figure: Option<f64>| figure.filter(|_| is_auc); // runs of earlier versions
        let mut settings = settings(&config);
        for (key, value) in [
            ("tool", Some(&record.tool)),
            ("kernels", record.kernel_path.as_ref()),
        ] {
            settings.extend(value.map(|value| (key.to_owned(), value.clone())));
        }
        let row = Self {
            run: folder.to_owned(),
            state: record.state,
            config: record.config_sha256.chars().take(8).collect(),
            metric,
            score: figures.valid_score.or(of_auc(auc)),
            fold_score_mean: figures
                .fold_score_mean
                .or(of_auc(figures.fold_auc_mean))
                .or(scores.0),
            fold_score_sd: figures
                .fold_score_sd
                .or(of_auc(figures.fold_auc_sd))
                .or(scores.1.flatten()),
            objective,
            stages,
            auc,
            fold_auc_mean: figures.fold_auc_mean.or(aucs.0),
            fold_auc_sd: figures.fold_auc_sd.or(aucs.1.flatten()),
            folds_done: done.len(),
            folds: results.folds(),
            minutes: figures
                .seconds
                .or(fold_seconds)
                .map(|seconds| seconds / 60.0),
            shared_minutes: figures
                .shared_stage
                .or(fold_cost)
                .map(|cost| cost.seconds / 60.0),
            tokens_per_second: figures.tokens_per_second.or(fold_speed),
            parameters: results.parameters(),
            precision: precision.map(str::to_owned),
            tool: record.tool.clone(),
            public_score: public.as_ref().map(|public| public.score),
            public_note: public.and_then(|public| public.note),
            baseline_score: figures.baseline.as_ref().map(|baseline| baseline.score),
            baseline_metric: figures.baseline.map(|baseline| baseline.metric(metric)),
            differs: String::new(),
        };
        Ok((row, settings))
    }

    /// What it is sorted by: its score, or that of the folds so far; without one behind all others.
    fn rank_key(&self) -> f64 {
        let last = match self.metric.metric().higher_is_better {
            true => f64::NEG_INFINITY,
            false => f64::INFINITY,
        };
        self.score.or(self.fold_score_mean).unwrap_or(last)
    }
}

/// The metric of a run, its objective where it has no stages, and the names of these. What its figures say comes before its
/// config, which is read leniently: that of another version may not load.
fn plan(record: &RunRecord, config: &str) -> (MetricName, Option<String>, Option<String>) {
    let config = config.parse::<toml::Table>().unwrap_or_default();
    let task = |key: &str| config.get("task")?.get(key).cloned();
    let recorded = record.result.as_ref().and_then(|result| result.metric);
    let set = || task("metric")?.try_into().ok();
    let labels = || -> Option<LabelKind> { task("labels")?.try_into().ok() };
    let by_labels = || MetricName::default_for(labels().unwrap_or(record.task.labels));
    let metric = recorded.or_else(set).unwrap_or_else(by_labels);

    let name = |table: &toml::Value| Some(table.get("name")?.as_str()?.to_owned());
    let stages = config.get("stage").and_then(toml::Value::as_array);
    let stages: Vec<String> = stages.into_iter().flatten().filter_map(name).collect();
    let objective = config.get("objective").and_then(name);
    match stages.is_empty() {
        true => (metric, objective, None),
        false => (metric, None, Some(stages.join(" → "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(configs: &[&str]) -> Vec<String> {
        let trained = |config: &&str| settings(&format!("{config}\n[train]\nepochs = 3\n"));
        describe(&configs.iter().map(trained).collect::<Vec<_>>())
    }

    #[test]
    fn values_that_differ_are_told_apart() {
        let dirs = ["/a/first/bert", "/b/first/bert", "/a/second/bert", "other"];
        let configs = dirs.map(|dir| format!("[checkpoint]\ndir = \"{dir}\""));
        assert_eq!(
            described(&configs.each_ref().map(String::as_str)),
            [
                "checkpoint = a/first/bert",
                "checkpoint = b/first/bert",
                "checkpoint = second/bert",
                "checkpoint = other"
            ]
        );
        // Names with spaces may look like several.
        let lists = ["\"a\", \"b\"", "\"a b\""];
        let configs = lists.map(|list| format!("[data]\nunlabelled = [{list}]"));
        let told = described(&configs.each_ref().map(String::as_str));
        assert_ne!(told[0], told[1]);
    }

    #[test]
    fn files_are_told_apart_over_all_runs() {
        let configs = ["x", "y"].map(|dir| format!("[data]\ntrain = [\"/{dir}/train.tsv\"]"));
        assert_eq!(
            described(&configs.each_ref().map(String::as_str)),
            ["train = x/train.tsv", "train = y/train.tsv"]
        );
    }

    #[test]
    fn stages_of_the_same_names_are_told_by_what_differs() {
        let stages = |first: &str, last: &str| {
            format!("[[stage]]\nname = \"mlm\"\n{first}\n[[stage]]\nname = \"labels\"\n{last}")
        };
        let configs = [
            stages("epochs = 1", "max_steps = 40"),
            stages("epochs = 1", "max_steps = 50"),
            stages("", "max_steps = 40"),
        ];
        assert_eq!(
            described(&configs.each_ref().map(String::as_str)),
            [
                "stages = mlm labels (labels.max_steps = 40, mlm.epochs = 1)",
                "stages = mlm labels (labels.max_steps = 50, mlm.epochs = 1)",
                "stages = mlm labels (labels.max_steps = 40, no mlm.epochs)"
            ]
        );
        let alone = described(&[configs[0].as_str(), "[[stage]]\nname = \"labels\""]);
        assert_eq!(alone, ["stages = mlm labels", "stages = labels"]);
    }
}
