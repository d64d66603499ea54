//! How long a run of each preset takes on this machine, by a few seconds of real training.
//!
//! In: the size of a network, and how many rows of how many tokens it is to learn. Out: a [`PresetTime`] for each preset. The rows of the
//! measurement are random tokens; what it trains is forgotten. Minutes are those of training with its validation: reading and alignment
//! come before, the scores of test rows after.

use std::time::{Duration, Instant};

use serde::Serialize;

use super::survey::{Role, Survey};
use crate::checkpoint::BertConfig;
use crate::config::{Preset, Stage, StageRows, load};
use crate::data::masking::Masking;
use crate::data::{EncodedExample, LabelKind, TextKind, reserved};
use crate::error::Result;
use crate::kernels::path::Path;
use crate::model::Bert;
use crate::objective::{Answers, Draw, HeadChoice, Objective, ObjectiveName, ObjectiveOptions};
use crate::random::Key;
use crate::train::average::{Average, Place, renew};
use crate::train::step::{gradient, parts_of_one};
use crate::train::{Optimiser, TrainOptions, epochs_of};

/// Steps before the clock starts: memory is touched first, threads wake.
const WARM_STEPS: usize = 2;
/// How long steps are timed.
const MEASURED: Duration = Duration::from_millis(700);
/// What validation and files take beside training. Of ten rows one is held out and read in both orders after each epoch, forward alone,
/// which is a third of what a row to train on takes: 2 / 3 of a row beside nine, .074 (.070 in runs of `fast` on BQ). Files and copies
/// of weights are .01.
const BESIDE_TRAINING: f64 = 1.08;
/// Share of the labelled rows that a run validates with where nothing else is said.
const VALIDATED: f64 = 0.1;

/// What a preset costs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PresetTime {
    /// Which.
    pub preset: Preset,
    /// Of training and validation, on all threads of this machine.
    pub minutes: f64,
}

/// The rows of a task, as they cost time.
#[derive(Debug, Clone, Copy)]
pub struct RowsToLearn {
    /// With a label.
    pub labelled: usize,
    /// To be scored.
    pub test: usize,
    /// Without a label, of further files.
    pub extra: usize,
    /// Of all texts of a row together, on average.
    pub text_tokens: f64,
    /// 1 or 2.
    pub n_texts: usize,
}

impl RowsToLearn {
    /// Those of the files, cut to `max_tokens`.
    pub fn of(survey: &Survey, kind: TextKind, max_tokens: usize) -> Self {
        let rows_of = |role: Role| -> usize {
            let files = survey.files.iter().filter(|file| file.role == role);
            files.map(|file| file.rows).sum()
        };
        let files = survey.files.iter();
        let rows: usize = files.clone().map(|file| file.rows).sum();
        let tokens: f64 = files
            .map(|file| file.rows as f64 * file.pair_tokens.mean.min(max_tokens as f64))
            .sum();
        Self {
            labelled: rows_of(Role::Train),
            test: rows_of(Role::Test),
            extra: rows_of(Role::Unlabelled),
            text_tokens: tokens / rows.max(1) as f64,
            n_texts: kind.n_texts(),
        }
    }

    /// Rows of an epoch that learns from these sources.
    fn an_epoch(&self, sources: &[StageRows]) -> f64 {
        let of = |rows: &StageRows| match rows {
            StageRows::Labelled => self.labelled as f64 * (1.0 - VALIDATED),
            StageRows::Valid => self.labelled as f64 * VALIDATED,
            StageRows::Test => self.test as f64,
            StageRows::Extra => self.extra as f64,
        };
        sources.iter().map(of).sum()
    }
}

/// Each preset, from the shortest.
///
/// # Errors
/// Where memory runs out.
pub fn preset_times(config: &BertConfig, path: Path, rows: RowsToLearn) -> Result<Vec<PresetTime>> {
    let mut measured: Vec<(TrainOptions, f64)> = Vec::new();
    let mut seconds_a_row = |stage: &Stage| -> Result<f64> {
        // What changes the length of training changes no step.
        let options = TrainOptions {
            epochs: 1,
            max_rows: 0,
            max_steps: 0,
            learning_rate: 1e-4,
            ..stage.options
        };
        if let Some((_, seconds)) = measured.iter().find(|(other, _)| *other == options) {
            return Ok(*seconds);
        }
        let seconds = measure(config, path, rows, &options)?;
        measured.push((options, seconds));
        Ok(seconds)
    };
    let time = |preset: Preset| {
        let experiment = load(None, &[format!("preset={}", preset.name())])?.experiment;
        let mut seconds = 0.0;
        for stage in experiment.stages() {
            let of_epoch = rows.an_epoch(&stage.rows);
            let n_rows = epochs_of(of_epoch as usize, &stage.options) as f64 * of_epoch;
            seconds += n_rows * seconds_a_row(&stage)? * BESIDE_TRAINING;
        }
        Ok(PresetTime {
            preset,
            minutes: seconds / 60.0,
        })
    };
    Preset::ALL.into_iter().map(time).collect()
}

/// Seconds of training a row.
fn measure(
    config: &BertConfig,
    path: Path,
    rows: RowsToLearn,
    options: &TrainOptions,
) -> Result<f64> {
    let mut learner = Learner::new(config, path, rows, options)?;
    for number in 0..WARM_STEPS {
        learner.step(number as u64)?;
    }
    let (begun, mut steps) = (Instant::now(), 0);
    while steps == 0 || begun.elapsed() < MEASURED {
        learner.step((WARM_STEPS + steps) as u64)?;
        steps += 1;
    }
    let n_rows = steps * options.rows_of_step();
    Ok(begun.elapsed().as_secs_f64() / n_rows as f64)
}

/// A network that learns the same few rows in every step.
struct Learner<'a> {
    options: &'a TrainOptions,
    objective: Box<dyn Objective>,
    examples: Vec<EncodedExample>,
    model: Bert,
    optimiser: Optimiser,
    average: Option<Average>,
    key: Key,
}

impl<'a> Learner<'a> {
    fn new(
        config: &BertConfig,
        path: Path,
        rows: RowsToLearn,
        options: &'a TrainOptions,
    ) -> Result<Self> {
        let objective = ObjectiveOptions {
            name: ObjectiveName::Pet,
            mlm_weight: 1.0,
            head: HeadChoice::Pooler,
            corrupt_sources: 0.0,
            candidates: None,
            choice_smoothing: 0.0,
        };
        let objective = objective.objective(&Answers {
            labels: LabelKind::Binary,
            n_classes: 2,
            tokens: vec![reserved::NO, reserved::YES],
        });
        let key = Key::from_seed(0);
        Ok(Self {
            options,
            examples: random_rows(options.batch, rows, config.vocab_size as u32, key),
            model: Bert::initialise(config.clone(), objective.heads(), path, key)?,
            optimiser: Optimiser::new(options.adamw()),
            average: None,
            objective,
            key,
        })
    }

    /// All that a step of a fit does.
    fn step(&mut self, number: u64) -> Result<()> {
        let (options, config) = (self.options, &self.model.config);
        let draw = Draw {
            masking: Masking::of_tokens(0.15),
            cipher_rows: reserved::FIRST_CIPHER..config.vocab_size as u32,
            token_types: self.objective.token_types(config),
            swap: options.swap,
            key: self.key.at(number),
        };
        let numbers: Vec<usize> = (0..self.examples.len()).collect();
        let batch = |_| self.objective.batch(&self.examples, &numbers, &draw);
        let batches = (0..options.gradient_accumulation).map(batch).collect();
        let batches = parts_of_one(batches, options);
        let objective = &*self.objective;
        gradient(&mut self.model, objective, &batches, options, draw.key)?;
        self.optimiser
            .step(&mut self.model, options.learning_rate)?;
        let within_epoch = Place {
            ends_epoch: false,
            epochs_left: 0,
        };
        renew(&mut self.average, &self.model, options, within_epoch);
        Ok(())
    }
}

/// Rows of the average length; two of three have a label.
fn random_rows(n: usize, rows: RowsToLearn, vocab_size: u32, key: Key) -> Vec<EncodedExample> {
    let length = (rows.text_tokens / rows.n_texts as f64).round().max(1.0) as u64;
    let tokens = u64::from((vocab_size - reserved::FIRST_CIPHER).max(1));
    let text = |row: u64, side: u64| -> Vec<u32> {
        let key = key.at(row).at(side);
        let token = |i| reserved::FIRST_CIPHER + (key.bits(i) % tokens) as u32;
        (0..length).map(token).collect()
    };
    let row = |row: u64| EncodedExample {
        a: text(row, 0),
        b: (rows.n_texts > 1).then(|| text(row, 1)),
        target: match row % 3 {
            0 => Default::default(),
            rest => (rest == 1).into(),
        },
        text_numbers: None,
    };
    (0..n as u64).map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::path::Precision;
    use crate::train::average::AverageKind;

    #[test]
    fn a_measured_step_renews_the_average_where_there_is_one() {
        let config = BertConfig {
            vocab_size: 50,
            hidden_size: 16,
            num_hidden_layers: 1,
            num_attention_heads: 2,
            intermediate_size: 32,
            max_position_embeddings: 20,
            ..BertConfig::default()
        };
        let rows = RowsToLearn {
            labelled: 9,
            test: 0,
            extra: 0,
            text_tokens: 8.0,
            n_texts: 2,
        };
        let averaged = |average| {
            let options = TrainOptions {
                average,
                batch: 3,
                ..TrainOptions::default()
            };
            let path = Path::resolve(Precision::F32);
            let learner = Learner::new(&config, path, rows, &options);
            let mut learner = learner.expect("sizes above 0");
            for number in 0..3 {
                learner.step(number).expect("memory");
            }
            learner.average.map_or(0, |average| average.n)
        };
        assert_eq!(averaged(AverageKind::Ema), 3);
        assert_eq!(averaged(AverageKind::Swa), 0, "an epoch is not over");
        assert_eq!(averaged(AverageKind::None), 0);
    }

    #[test]
    fn an_epoch_has_the_rows_that_its_stage_learns_from() {
        let rows = RowsToLearn {
            labelled: 1000,
            test: 300,
            extra: 50,
            text_tokens: 12.0,
            n_texts: 2,
        };
        assert_eq!(rows.an_epoch(&[StageRows::Labelled]), 900.0);
        let sources = [StageRows::Labelled, StageRows::Valid, StageRows::Test];
        assert_eq!(rows.an_epoch(&sources), 1300.0);
        assert_eq!(rows.an_epoch(&[StageRows::Test, StageRows::Extra]), 350.0);
    }
}
