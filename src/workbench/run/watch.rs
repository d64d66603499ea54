//! The eye on a fit: progress, `metrics.jsonl`, the best model so far, checkpoints, and the wish to stop.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::events::Events;
use super::pace::Pace;
use crate::atomic;
use crate::checkpoint::tokenizer::write_tokenizer;
use crate::checkpoint::{FloatType, Labels, save, save_labelled};
use crate::data;
use crate::error::{Error, Result};
use crate::model::Bert;
use crate::progress::Task;
use crate::train::resume::{FitProgress, Snapshot};
use crate::train::{self, EpochCost, EpochReport, StepReport, Watch};
use crate::workbench::run_folder::names;
use crate::workbench::run_folder::resume::Saves;
use crate::workbench::{Context, Stop};

/// How a model is left with its tokenizer.
pub trait ModelWriter {
    /// Replaces in the folder `dir` what was written before, file by file.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Refused`] for weights that are no longer finite.
    fn write(&self, model: &Bert, dir: &Path) -> Result<()>;
}

/// A model on cipher tokens, its rows in the order of the run's vocabulary.
pub struct CipherModelWriter<'a> {
    /// The names of its labels.
    pub task: &'a data::Task,
    /// Names of the tokens, in row order.
    pub tokens: Vec<String>,
    /// What stands between two tokens.
    pub token_separator: &'a str,
}

impl ModelWriter for CipherModelWriter<'_> {
    fn write(&self, model: &Bert, dir: &Path) -> Result<()> {
        let weights = model.weights();
        let (config, heads) = (&model.config, model.heads);
        match heads.classifier {
            Some(outputs) => {
                let labels = labels(self.task, outputs);
                save_labelled(dir, config, &weights, (heads, &labels), FloatType::F32)
            }
            None => save(dir, config, &weights, heads, FloatType::F32),
        }?;
        write_tokenizer(dir, &self.tokens, self.token_separator)
    }
}

/// What transformers calls the outputs of the linear head.
fn labels(task: &data::Task, outputs: usize) -> Labels {
    let mut labels = Labels::unnamed(outputs);
    if task.classes.len() == outputs {
        labels.names = task.classes.clone();
    }
    labels
}

/// How much a fit has to do.
#[derive(Debug, Clone)]
pub struct FitSize {
    /// Optimiser steps of all epochs.
    pub steps: usize,
    /// Names of the stages, in order.
    pub stages: Vec<String>,
    /// Epochs of all stages.
    pub epochs: usize,
    /// Rows that are scored after each.
    pub valid_rows: usize,
}

impl FitSize {
    /// `mlm: `, where there are several stages.
    fn stage_title(&self, stage: &str) -> String {
        match self.stages.len() {
            1 => String::new(),
            _ => format!("{stage}: "),
        }
    }
}

/// Looks on at one fit.
pub struct RunWatch<'a> {
    task: Task,
    stop: &'a Stop,
    writer: &'a dyn ModelWriter,
    folder: PathBuf,
    saves: Saves,
    /// Steps that are done, over all stages.
    step: usize,
    metrics: File,
    metrics_path: PathBuf,
    events: Option<Events>,
    size: FitSize,
    validated: usize,
    /// Epoch of the model that this session has written.
    pub saved_epoch: Option<usize>,
    /// What this session knows of the time of its epochs.
    pub pace: Pace,
}

impl<'a> RunWatch<'a> {
    /// Begins `metrics.jsonl` with the epochs that were over at `begin`, which cuts off what came after the
    /// checkpoint. `done` is the number of steps over all stages that need not be done again; `size` is for the progress bar.
    pub fn new(
        folder: &Path,
        writer: &'a dyn ModelWriter,
        size: FitSize,
        (saves, begin, done): (Saves, &FitProgress, usize),
        context: Context<'a>,
    ) -> Result<Self> {
        let metrics_path = folder.join(names::METRICS);
        let lines: Result<String> = begin.epochs.iter().map(line).collect();
        atomic::write(&metrics_path, lines?.as_bytes())?;
        let open = OpenOptions::new().append(true).open(&metrics_path);
        let metrics = open.map_err(Error::io("write", &metrics_path))?;
        let events = context
            .tensorboard
            .then(|| Events::begin(folder, &begin.epochs));
        let task = context.progress.task("train", size.steps as u64, "steps");
        task.skip(done as u64);
        Ok(Self {
            task,
            stop: context.stop,
            writer,
            folder: folder.to_owned(),
            saves,
            step: done,
            metrics,
            metrics_path,
            events: events.transpose()?,
            size,
            validated: 0,
            saved_epoch: None,
            pace: Pace::default(),
        })
    }

    /// One whole line, on disk before the next epoch begins.
    fn append(&mut self, report: &EpochReport) -> Result<()> {
        let written = self
            .metrics
            .write_all(line(report)?.as_bytes())
            .and_then(|()| self.metrics.flush());
        written.map_err(Error::io("write", &self.metrics_path))
    }
}

impl Watch for RunWatch<'_> {
    fn epoch_begins(&mut self, cost: &EpochCost) {
        let cost = (self.pace).epoch_begins(cost, train::warm_steps(self.size.steps));
        self.task.say(&cost_line(&cost, &self.size));
    }

    fn step(&mut self, report: &StepReport) -> Result<()> {
        self.task.note(format!(
            "{}epoch {}/{} loss {:.3} lr {:.1e}",
            self.size.stage_title(&self.size.stages[report.stage]),
            report.epoch,
            self.size.epochs,
            report.loss,
            report.learning_rate
        ));
        self.task.advance(1);
        self.step = report.step;
        self.validated = 0;
        if let Some(seconds) = self.pace.step(Instant::now()) {
            self.task.say(&time_line(report, seconds, &self.size));
        }
        self.stop.advanced();
        self.stop.check()
    }

    fn epoch(&mut self, report: &EpochReport, model: &Bert, best: bool) -> Result<()> {
        self.pace.epoch_ends(report);
        // The metrics first: a model that no longer fits on the disk must not take them along.
        self.append(report)?;
        if let Some(events) = &mut self.events {
            events.epoch(report)?;
        }
        self.task.say(&epoch_line(report, &self.size, best));
        if best {
            self.writer.write(model, &self.folder.join(names::MODEL))?;
            self.saved_epoch = Some(report.epoch);
        }
        self.stop.advanced();
        self.stop.check()
    }

    fn validated(&mut self, n: usize) -> Result<()> {
        self.validated += n;
        self.task.note(format!(
            "validating {}/{}",
            self.validated, self.size.valid_rows
        ));
        self.task.advance(0); // says where it is, every few seconds
        self.stop.check()
    }

    fn wants_save(&mut self) -> bool {
        self.saves.are_due(self.step)
    }

    fn save(&mut self, state: &Snapshot) -> Result<()> {
        let stopping = self.stop.check().is_err();
        match self.saves.save(state) {
            // A checkpoint is for bad days; on a good one the fit does without.
            Err(error @ Error::Io { .. }) if !stopping => {
                let step = self.step;
                self.task
                    .say(&format!("no checkpoint at step {step}: {error}"));
                Ok(())
            }
            Ok(()) if stopping => {
                let (step, total) = (self.step, self.task.total());
                self.task.say(&format!("saved at step {step} of {total}"));
                Ok(())
            }
            saved => saved,
        }
    }
}

/// A line of `metrics.jsonl`, with its end.
fn line(report: &EpochReport) -> Result<String> {
    let line = serde_json::to_string(report)
        .map_err(|error| Error::Unexpected(format!("epoch report as JSON: {error}")))?;
    Ok(line + "\n")
}

/// `epoch 2/3 begins: 1841 steps, 1.9 million tokens, about 95 s`
fn cost_line(cost: &EpochCost, size: &FitSize) -> String {
    let stage = size.stage_title(&size.stages[cost.stage]);
    let tokens = match cost.tokens {
        few @ ..100_000 => format!("{few} tokens"),
        many => format!("{:.1} million tokens", many as f64 / 1e6),
    };
    let time = match cost.seconds {
        Some(seconds) => about(seconds),
        None => "its time is not known yet".to_owned(),
    };
    let (epoch, epochs, steps) = (cost.epoch, size.epochs, cost.steps);
    format!("{stage}epoch {epoch}/{epochs} begins: {steps} steps, {tokens}, {time}")
}

/// `epoch 1/3: about 2.4 minutes of training`
fn time_line(report: &StepReport, seconds: f64, size: &FitSize) -> String {
    let stage = size.stage_title(&size.stages[report.stage]);
    let (epoch, epochs, time) = (report.epoch, size.epochs, about(seconds));
    format!("{stage}epoch {epoch}/{epochs}: {time} of training")
}

fn about(seconds: f64) -> String {
    match seconds {
        ..120.0 => format!("about {seconds:.1} s"),
        ..600.0 => format!("about {:.1} minutes", seconds / 60.0),
        _ => format!("about {:.0} minutes", seconds / 60.0),
    }
}

/// `, 5120 tokens/s`; nothing where no step was timed, as the first ones are not.
fn speed(tokens_per_second: f64) -> String {
    match tokens_per_second > 0.0 {
        true => format!(", {tokens_per_second:.0} tokens/s"),
        false => String::new(),
    }
}

/// `epoch 2/3: loss 3.412 (MLM 3.9, label 0.6), valid AUC 0.8123 (best), 5120 tokens/s, 61.2 s`
fn epoch_line(report: &EpochReport, size: &FitSize, best: bool) -> String {
    let (stage, epochs) = (size.stage_title(&report.stage), size.epochs);
    let title = report.valid.metric.metric().title;
    let score = match report.valid.valid_score {
        Some(score) => format!(
            "valid {title} {score:.4}{}",
            if best { " (best)" } else { "" }
        ),
        None if !report.held_out.is_empty() => held_out_text(&report.held_out),
        None if size.valid_rows == 0 => "nothing is held out".to_owned(),
        None => format!("no valid {title}"),
    };
    let part = |(name, loss): (&String, &f64)| match name.trim_end_matches("_loss") {
        "mlm" => format!("MLM {loss:.4}"),
        "r_drop" => format!("R-Drop {loss:.4}"),
        name => format!("{name} {loss:.4}"),
    };
    // `mlm` before `label`, as ever.
    let parts: Vec<String> = report.losses.iter().rev().map(part).collect();
    let parts = parts.join(", ");
    format!(
        "{stage}epoch {}/{epochs}: loss {:.4} ({parts}), {score}{}, {:.1} s",
        report.epoch,
        report.loss,
        speed(report.tokens_per_second),
        report.seconds
    )
}

/// `held out: masked accuracy 0.4211, perplexity 21.30, NSP accuracy 0.8000`
pub fn held_out_text(figures: &BTreeMap<String, f64>) -> String {
    let named = [
        ("masked_accuracy", "masked accuracy", 4),
        ("perplexity", "perplexity", 2),
        ("nsp_accuracy", "NSP accuracy", 4),
    ];
    let shown = named.into_iter().filter_map(|(key, title, digits)| {
        let figure = figures.get(key)?;
        Some(format!("{title} {figure:.digits$}"))
    });
    format!("held out: {}", shown.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{MetricName, ValidFigures};
    use crate::objective::ObjectiveName;

    fn size(stages: &[&str]) -> FitSize {
        FitSize {
            steps: 30,
            stages: stages.iter().map(|&name| name.to_owned()).collect(),
            epochs: 3,
            valid_rows: 4,
        }
    }

    #[test]
    fn what_an_epoch_costs_is_told_before_it() {
        let mut cost = EpochCost {
            stage: 1,
            epoch: 2,
            steps: 1841,
            tokens: 1_912_345,
            seconds: Some(95.04),
        };
        let size = size(&["mlm", "pet"]);
        assert_eq!(
            cost_line(&cost, &size),
            "pet: epoch 2/3 begins: 1841 steps, 1.9 million tokens, about 95.0 s"
        );
        (cost.tokens, cost.seconds) = (712, Some(725.0));
        assert_eq!(
            cost_line(&cost, &size),
            "pet: epoch 2/3 begins: 1841 steps, 712 tokens, about 12 minutes"
        );
        cost.seconds = None;
        assert!(cost_line(&cost, &size).ends_with(", its time is not known yet"));
    }

    #[test]
    fn the_time_of_an_epoch_under_way_is_told_in_one_line() {
        let report = StepReport {
            stage: 0,
            epoch: 1,
            step: 20,
            loss: 3.4,
            learning_rate: 1e-4,
            gradient_norm: 1.0,
            tokens: 900,
        };
        let line = |seconds, stages: &[&str]| time_line(&report, seconds, &size(stages));
        assert_eq!(
            line(144.2, &["pet"]),
            "epoch 1/3: about 2.4 minutes of training"
        );
        assert_eq!(
            line(9.96, &["mlm", "pet"]),
            "mlm: epoch 1/3: about 10.0 s of training"
        );
    }

    #[test]
    fn an_epoch_is_told_in_one_line() {
        let mut report = EpochReport {
            stage: "pet".to_owned(),
            objective: ObjectiveName::Pet,
            valid: ValidFigures::new(MetricName::Auc, [(MetricName::Auc, 0.81234)].into()),
            epoch: 2,
            steps: 10,
            loss: 3.41239,
            losses: [("mlm_loss", 3.9), ("label_loss", 0.6)]
                .map(|(name, loss)| (name.to_owned(), loss))
                .into(),
            learning_rate: 1e-4,
            seconds: 61.25,
            tokens_per_second: 5120.4,
            held_out: Default::default(),
            curve: Vec::new(),
        };
        assert_eq!(
            epoch_line(&report, &size(&["pet"]), true),
            "epoch 2/3: loss 3.4124 (MLM 3.9000, label 0.6000), valid AUC 0.8123 (best), 5120 tokens/s, 61.2 s"
        );
        report.tokens_per_second = 0.0;
        let untimed = epoch_line(&report, &size(&["pet"]), true);
        assert!(
            untimed.ends_with(", valid AUC 0.8123 (best), 61.2 s"),
            "{untimed}"
        );
        report.tokens_per_second = 5120.4;
        report.valid.valid_score = None;
        assert!(epoch_line(&report, &size(&["pet"]), true).contains("no valid AUC, "));
        report.held_out = [("perplexity", 21.304), ("masked_accuracy", 0.42111)]
            .map(|(name, figure)| (name.to_owned(), figure))
            .into();
        let line = epoch_line(&report, &size(&["pet"]), true);
        assert!(
            line.contains("), held out: masked accuracy 0.4211, perplexity 21.30, 5120 tokens/s"),
            "{line}"
        );
        report.held_out.clear();
        report.valid.metric = MetricName::MacroF1;
        let size = size(&["mlm", "pet"]);
        let line = epoch_line(&report, &size, true);
        assert!(line.starts_with("pet: epoch 2/3: "), "{line}");
        assert!(line.contains("no valid macro F1, "), "{line}");
        let nobody = FitSize {
            valid_rows: 0,
            ..size
        };
        let line = epoch_line(&report, &nobody, true);
        assert!(
            line.contains("), nothing is held out, 5120 tokens/s"),
            "{line}"
        );
    }
}
