//! The folder of an ensemble, which reads as a run's: `manifest.json`, `config.toml`, the table of scores.
//!
//! In: what was blended. Out: files. Does not write the submission.

use std::path::Path;

use serde::Serialize;

use super::agree::LabelledScores;
use super::{How, Member, Methods};
use crate::atomic;
use crate::config::{DataConfig, Experiment, SubmitConfig};
use crate::data::{Scores, Target, Task};
use crate::error::{Error, Result};
use crate::hash::sha256;
use crate::metrics::{auc, auc_interval, mean_and_deviation};
use crate::random::Key;
use crate::workbench::run_folder::folder;
use crate::workbench::run_folder::manifest::{FileRecord, Identity, State, TOOL};
use crate::workbench::run_folder::names;
use crate::workbench::run_folder::record::RunFigures;
use crate::workbench::run_folder::results::Results;
use crate::workbench::run_folder::scores::Scored;

/// The config key under which the files of the runs stand in the manifest.
const RUN_KEY: &str = "ensemble.run";

/// `manifest.json`: what it shares with a run's has the same keys.
#[derive(Serialize)]
pub(super) struct EnsembleManifest<'a> {
    tool: &'static str,
    kind: &'static str,
    state: State,
    #[serde(flatten)]
    identity: Identity,
    outputs: Vec<FileRecord>,
    ensemble: Blend<'a>,
    result: Option<RunFigures>,
}

#[derive(Serialize)]
struct Blend<'a> {
    how: How,
    runs: &'a [Member],
    methods: &'a Methods,
}

impl<'a> EnsembleManifest<'a> {
    pub(super) fn begin(
        identity: Identity,
        how: How,
        runs: &'a [Member],
        methods: &'a Methods,
    ) -> Self {
        Self {
            tool: TOOL,
            kind: "ensemble",
            state: State::Begun,
            identity,
            outputs: Vec::new(),
            ensemble: Blend { how, runs, methods },
            result: None,
        }
    }

    /// Records every file and the figures of the table; the ensemble is done when this returns.
    pub(super) fn finish(mut self, out: &Path, table: &LabelledScores, seconds: f64) -> Result<()> {
        let names = [
            names::CONFIG,
            names::OOF,
            names::VALID,
            names::SUBMISSION,
            names::SUBMISSION_ZIP,
            names::SUBMISSION_JSON,
            names::TEST,
        ];
        self.outputs = (names.into_iter().filter(|name| out.join(name).exists()))
            .map(|name| FileRecord::of("output", &out.join(name), Path::new(name)))
            .collect::<Result<_>>()?;
        self.state = State::Done;
        self.result = Some(figures(table, seconds));
        self.write(out)
    }

    pub(super) fn write(&self, out: &Path) -> Result<()> {
        let mut text = serde_json::to_string_pretty(self)
            .map_err(|error| Error::Unexpected(format!("manifest as JSON: {error}")))?;
        text.push('\n');
        atomic::write(&out.join(names::MANIFEST), text.as_bytes())
    }
}

fn figures(table: &LabelledScores, seconds: f64) -> RunFigures {
    let all = auc(&table.labels, &table.scores);
    let Some(folds) = &table.folds else {
        return RunFigures {
            valid_auc: all,
            seconds: Some(seconds),
            ..RunFigures::default()
        };
    };
    let last = folds.iter().copied().max().unwrap_or(0);
    let of_fold = |fold: usize| {
        let rows = (0..folds.len()).filter(|&row| folds[row] == fold);
        let (labels, scores): (Vec<bool>, Vec<f32>) = rows
            .map(|row| (table.labels[row], table.scores[row]))
            .unzip();
        auc(&labels, &scores)
    };
    let by_fold: Vec<f64> = (1..=last).filter_map(of_fold).collect();
    let (mean, deviation) = mean_and_deviation(&by_fold).unzip();
    let interval = auc_interval(&table.labels, &table.scores, Key::from_seed(0));
    let (low, high) = interval.unzip();
    RunFigures {
        oof_auc: all,
        oof_auc_low: low,
        oof_auc_high: high,
        fold_auc_mean: mean,
        fold_auc_sd: deviation.flatten(),
        seconds: Some(seconds),
        ..RunFigures::default()
    }
}

/// The runs, the way and the form make an ensemble what it is.
pub(super) fn identity(runs: &[Results], how: How, experiment: &Experiment) -> Result<Identity> {
    let rows = runs[0].record.inputs.iter().filter(|input| {
        matches!(
            input.key.as_str(),
            "data.train" | "data.valid" | "data.test"
        )
    });
    let mut inputs: Vec<FileRecord> = rows.cloned().collect();
    for run in runs {
        let files = [Some(run.labelled_file()?), run.test_file()?];
        for file in files.into_iter().flatten() {
            inputs.push(FileRecord::of(RUN_KEY, &file, &file)?);
        }
    }
    let submit = serde_json::to_string(&experiment.submit)
        .map_err(|error| Error::Unexpected(format!("[submit] as JSON: {error}")))?;
    let mut text = format!("ensemble {} {submit}", how.name());
    for run in runs {
        text += &format!("\n{}", run.record.config_sha256);
    }
    for input in &inputs {
        text += &format!("\n{} {}", input.key, input.sha256);
    }
    Ok(Identity {
        config_sha256: sha256(text),
        inputs,
    })
}

/// Makes the folder. One that holds the same ensemble is written anew, with the same scores.
pub(super) fn prepare(out: &Path, identity: &Identity) -> Result<()> {
    if out.join(names::MANIFEST).exists() {
        if Results::open(out)?.record.config_sha256 != identity.config_sha256 {
            let message = format!("{} holds another run or ensemble", out.display());
            return Err(Error::refused(message)
                .with_hint("choose another folder with --out, or remove this one"));
        }
    } else {
        folder::require_empty(out)?;
    }
    std::fs::create_dir_all(out).map_err(Error::io("create", out))
}

/// Writes `config.toml`, and the scores of the rows with labels: `oof.csv`, or `valid.csv` without folds in common.
pub(super) fn write_tables(
    out: &Path,
    experiment: &Experiment,
    table: &LabelledScores,
) -> Result<()> {
    #[derive(Serialize)]
    struct Config<'a> {
        data: &'a DataConfig,
        submit: &'a SubmitConfig,
    }
    let config = Config {
        data: &experiment.data,
        submit: &experiment.submit,
    };
    let config = toml::to_string(&config)
        .map_err(|error| Error::refused(format!("cannot write the config as TOML: {error}")))?;
    atomic::write(&out.join(names::CONFIG), config.as_bytes())?;
    let scored = Scored {
        rows: table.rows.clone(),
        targets: table.labels.iter().copied().map(Target::from).collect(),
        scores: Scores::single(table.scores.clone()),
        folds: table.folds.clone(),
    };
    let name = match table.folds {
        Some(_) => names::OOF,
        None => names::VALID,
    };
    scored.write(&Task::binary_pairs(), &out.join(name))
}
