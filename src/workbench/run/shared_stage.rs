//! Stages that look at no label, trained once for all folds and seeds, and by other runs found again.
//!
//! In: the first stages of a fit and the model they begin with. Out: the model that they end with. They are kept in
//! `stages/HASH` beside the run folder: `model/`, `metrics.jsonl`, and last `stage.json` with everything that the weights
//! depend on, their hash, and what they cost. Random streams of such stages depend on neither seed nor fold, so that all runs with the same rows,
//! vocabulary, start and settings want the same weights; settings that such a stage does not read have no part in it. Whoever comes
//! first trains; others wait for it. What is there is used only where it is what was recorded.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::fitting::Fitting;
use crate::atomic;
use crate::checkpoint::read::read_model;
use crate::checkpoint::{BertConfig, Weights};
use crate::data::{EncodedExample, MaskOptions};
use crate::error::{Error, Place, Result};
use crate::hash::{Hasher, sha256, sha256_of_file};
use crate::model::Bert;
use crate::train::average::AverageKind;
use crate::train::step::Adversarial;
use crate::train::{FitPlan, Stage, TrainOptions, epochs_of};
use crate::workbench::Context;
use crate::workbench::run_folder::lock::Lock;
use crate::workbench::run_folder::manifest::TOOL;
use crate::workbench::run_folder::names::{LOG, MODEL, SHARED_STAGES, WEIGHTS};
use crate::workbench::run_folder::stage_cost::StageCost;
use crate::workbench::run_folder::{folder, resume};

/// What the weights depend on, written last.
const RECORD: &str = "stage.json";
/// Between two looks at whether another process is done.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// Options that earlier versions did not have. They are written where they are not at their defaults: the stages of those versions
/// keep their folders. A new option stands here.
const LATER_OPTIONS: [&str; 1] = ["max_rows"];

/// Everything that the weights depend on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Identity {
    tool: String,
    kernel_path: String,
    /// What its weights do not show is in it: heads, marks, positions.
    network: BertConfig,
    /// Of the weights before the first step.
    start_sha256: String,
    /// Rows of the vocabulary that hidden tokens are drawn from.
    cipher_rows: (u32, u32),
    /// One entry a stage: objective, settings that it reads, rows.
    stages: Vec<StageIdentity>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct StageIdentity {
    objective: String,
    #[serde(flatten)]
    masking: MaskOptions,
    options: serde_json::Value,
    rows: usize,
    rows_sha256: String,
}

/// `stage.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Record {
    identity: Identity,
    /// Of `model/model.safetensors`.
    weights_sha256: String,
    /// Of the process that has trained them, and of those that were cut before; none in stages of earlier versions.
    #[serde(flatten, default, skip_serializing_if = "Option::is_none")]
    cost: Option<StageCost>,
}

/// The model after the stages of `plan`, which look at no label: `model`, trained in `run`'s neighbour, or what stands there.
/// Beside it what they have cost, which is the same for all that share them.
///
/// # Errors
/// [`Error::Refused`] where the folder holds another stage, or weights that are not those recorded; those of training;
/// while waiting [`Error::Interrupted`], or [`Error::Stopped`] once the session's time is over.
pub fn shared(
    fitting: &Fitting<'_>,
    run: &Path,
    mut model: Bert,
    plan: &FitPlan<'_>,
    context: Context<'_>,
) -> Result<(Bert, Option<StageCost>)> {
    let identity = Identity::of(&model, plan)?;
    let dir = place(run, &identity)?;
    let title: Vec<&str> = plan
        .stages
        .iter()
        .map(|stage| stage.name.as_str())
        .collect();
    let title = format!("stage {} in {}", title.join(", "), dir.display());
    std::fs::create_dir_all(&dir).map_err(Error::io("create", &dir))?;
    let mut has_waited = false;
    loop {
        if let Some((weights, cost)) = read(&dir, &identity)? {
            context.progress.say(&format!("{title}: done already"));
            model.restore(&weights)?;
            return Ok((model, cost));
        }
        match Lock::take(&dir) {
            Ok(lock) => {
                if dir.join(RECORD).exists() {
                    continue; // its owner has just finished
                }
                resume::say_owner_before(lock.left_by(), context.progress);
                let trained = train(fitting, &dir, &mut model, (plan, identity), context);
                let cost = trained.map_err(|error| resume::stopped(error, &dir))?;
                return Ok((model, Some(cost)));
            }
            Err(error @ Error::Refused { .. }) => {
                if !has_waited {
                    context.progress.say(&format!("{title}: waiting; {error}"));
                    has_waited = true;
                }
                context.stop.check()?;
                if context.stop.is_late() {
                    let state = format!("{title}: another process trains it");
                    return Err(Error::Stopped { state });
                }
                std::thread::sleep(LOOK_AGAIN);
            }
            Err(error) => return Err(error),
        }
    }
}

fn train(
    fitting: &Fitting<'_>,
    dir: &Path,
    model: &mut Bert,
    (plan, identity): (&FitPlan<'_>, Identity),
    context: Context<'_>,
) -> Result<StageCost> {
    let begun = Instant::now();
    folder::clear(dir)?;
    let progress = &context.progress.logging_to(&dir.join(LOG))?;
    progress.say(&format!(
        "trained once for all folds and seeds, in {}",
        dir.display()
    ));
    let report = fitting.fit(dir, model, plan, context.with_progress(progress))?;
    let cost = StageCost {
        seconds: report.earlier_seconds + begun.elapsed().as_secs_f64(),
        steps: report.steps,
        epochs: report.epochs.len(),
        tokens_per_second: report.tokens_per_second,
    };
    let record = Record {
        identity,
        weights_sha256: sha256_of_file(&dir.join(MODEL).join(WEIGHTS))?.1,
        cost: Some(cost.clone()),
    };
    let text = serde_json::to_string_pretty(&record).map_err(not_json)?;
    atomic::write(&dir.join(RECORD), (text + "\n").as_bytes())?;
    resume::forget(dir)?;
    Ok(cost)
}

/// The weights in a folder and what they cost; none where nobody has finished there.
fn read(dir: &Path, identity: &Identity) -> Result<Option<(Weights, Option<StageCost>)>> {
    let path = dir.join(RECORD);
    let text = match std::fs::read(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        read => read.map_err(Error::io("read", &path))?,
    };
    let way_out = || format!("remove {} to train it again", dir.display());
    let record: Record = serde_json::from_slice(&text).map_err(|error| {
        let place = Place::line(&path, error.line() as u64);
        Error::input(place, "the record of a stage", error).with_hint(way_out())
    })?;
    if record.identity != *identity {
        let message = format!(
            "{} is of another stage than its folder is named for",
            path.display()
        );
        return Err(Error::refused(message).with_hint(way_out()));
    }
    let model = dir.join(MODEL);
    let weights = model.join(WEIGHTS);
    if !weights.exists() || sha256_of_file(&weights)?.1 != record.weights_sha256 {
        let message = format!(
            "{} is not the file that {RECORD} was written for",
            weights.display()
        );
        return Err(Error::refused(message).with_hint(way_out()));
    }
    Ok(Some((read_model(&model)?.1, record.cost)))
}

/// `stages/HASH` beside the run folder.
fn place(run: &Path, identity: &Identity) -> Result<PathBuf> {
    let text = serde_json::to_string(identity).map_err(not_json)?;
    let hash = sha256(text);
    let parent = run.parent().unwrap_or(Path::new(""));
    Ok(parent.join(SHARED_STAGES).join(&hash[..16]))
}

impl Identity {
    fn of(model: &Bert, plan: &FitPlan<'_>) -> Result<Self> {
        let mut hasher = Hasher::default();
        for (name, weights) in &model.weights() {
            hasher.update(name.as_bytes());
            for &value in weights {
                hasher.update(&value.to_le_bytes());
            }
        }
        let stages = plan.stages.iter().map(StageIdentity::of);
        Ok(Self {
            tool: TOOL.to_owned(),
            kernel_path: model.path().name().to_owned(),
            network: model.config.clone(),
            start_sha256: hasher.finish(),
            cipher_rows: (plan.cipher_rows.start, plan.cipher_rows.end),
            stages: stages.collect::<Result<_>>()?,
        })
    }
}

impl StageIdentity {
    fn of(stage: &Stage) -> Result<Self> {
        let mut hasher = Hasher::default();
        for row in &stage.rows {
            hash_row(&mut hasher, row);
        }
        Ok(Self {
            objective: format!("{:?}", stage.objective),
            masking: stage.masking.options(), // what it has learnt, it has from the rows
            options: written(&read_options(stage))?,
            rows: stage.rows.len(),
            rows_sha256: hasher.finish(),
        })
    }
}

/// The options of a stage that looks at no label; those that change none of its weights at their defaults.
fn read_options(stage: &Stage) -> TrainOptions {
    let default = TrainOptions::default();
    let mut options = TrainOptions {
        epochs: epochs_of(stage.rows.len(), &stage.options),
        max_rows: default.max_rows,
        r_drop: default.r_drop,
        dropout_samples: default.dropout_samples,
        label_smoothing: default.label_smoothing,
        ..stage.options.clone()
    };
    if stage.rows.iter().all(|row| row.b.is_none()) {
        options.swap = default.swap;
    }
    if options.adversarial == Adversarial::None {
        options.adversarial_epsilon = default.adversarial_epsilon;
    }
    if options.adversarial != Adversarial::Pgd {
        options.adversarial_steps = default.adversarial_steps;
    }
    if options.average != AverageKind::Ema {
        options.average_decay = default.average_decay;
    }
    if options.average != AverageKind::Swa {
        options.average_epochs = default.average_epochs;
    }
    options
}

/// As they are hashed, in the order of their fields.
fn written(options: &TrainOptions) -> Result<serde_json::Value> {
    let json = |options: &TrainOptions| serde_json::to_value(options).map_err(not_json);
    let (mut written, default) = (json(options)?, json(&TrainOptions::default())?);
    if let Some(options) = written.as_object_mut() {
        for key in LATER_OPTIONS {
            if options.get(key) == default.get(key) {
                options.shift_remove(key); // the others keep their places
            }
        }
    }
    Ok(written)
}

/// The texts with their lengths: no two rows look alike.
fn hash_row(hasher: &mut Hasher, row: &EncodedExample) {
    for text in row.texts() {
        hasher.update(&(text.len() as u32).to_le_bytes());
        text.iter()
            .for_each(|token| hasher.update(&token.to_le_bytes()));
    }
    hasher.update(&[u8::from(row.b.is_some())]);
}

fn not_json(error: serde_json::Error) -> Error {
    Error::Unexpected(format!("a stage as JSON: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Masking, Target};
    use crate::objective::ObjectiveName;
    use crate::objective::mlm::Mlm;
    use crate::random::Key;
    use crate::train::Schedule;

    type Change = fn(&mut Stage);

    const NOTHING: Change = |_| ();

    /// Three epochs of two pairs.
    fn stage(change: Change) -> Stage {
        let row = |token| EncodedExample {
            a: vec![token, 8],
            b: Some(vec![9]),
            target: Target::Unknown,
            text_numbers: None,
        };
        let mut stage = Stage {
            name: "masks".to_owned(),
            objective: Box::new(Mlm),
            objective_name: ObjectiveName::Mlm,
            rows: vec![row(7), row(8)],
            masking: Masking::of_tokens(0.15),
            options: TrainOptions::default(),
            key: Key::from_seed(0),
            held_out: None,
        };
        change(&mut stage);
        stage
    }

    /// What is hashed of it.
    fn text(stage: &Stage) -> String {
        let identity = StageIdentity::of(stage).expect("no number without a form");
        serde_json::to_string(&identity).expect("no number without a form")
    }

    #[test]
    fn what_such_a_stage_does_not_read_is_not_what_it_is() {
        let changes: [Change; 10] = [
            |stage| stage.name = "mlm".to_owned(),
            |stage| stage.options.r_drop = 0.5,
            |stage| stage.options.dropout_samples = 4,
            |stage| stage.options.label_smoothing = 0.1,
            |stage| stage.options.adversarial_epsilon = 0.1,
            |stage| stage.options.adversarial_steps = 5,
            |stage| stage.options.average_decay = 0.9,
            |stage| stage.options.average_epochs = 2,
            |stage| stage.options.max_rows = 6,
            |stage| (stage.options.epochs, stage.options.max_rows) = (15, 7), // two rows, three times
        ];
        let plain = text(&stage(NOTHING));
        for (number, change) in changes.into_iter().enumerate() {
            assert_eq!(text(&stage(change)), plain, "change {number}");
        }
    }

    #[test]
    fn all_else_is() {
        let changes: [Change; 20] = [
            NOTHING,
            |stage| stage.options.epochs = 2,
            |stage| stage.options.max_rows = 3, // one epoch
            |stage| stage.options.max_steps = 5,
            |stage| stage.options.batch = 32,
            |stage| stage.options.learning_rate = 1e-4,
            |stage| stage.options.warmup_steps = 0.2,
            |stage| stage.options.schedule = Schedule::Cosine,
            |stage| stage.options.weight_decay = 0.1,
            |stage| stage.options.dropout = 0.2,
            |stage| stage.options.clip = 2.0,
            |stage| stage.options.layer_decay = 0.9,
            |stage| stage.options.swap = false,
            |stage| stage.options.gradient_accumulation = 2,
            |stage| stage.options.adversarial = Adversarial::Fgm,
            |stage| stage.options.average = AverageKind::Ema,
            |stage| stage.options.average = AverageKind::Swa,
            |stage| stage.masking = Masking::of_tokens(0.3),
            |stage| stage.rows[1].a[0] = 9,
            |stage| stage.rows[1].b = None,
        ];
        let texts: Vec<String> = changes.map(|change| text(&stage(change))).into();
        for (number, one) in texts.iter().enumerate() {
            assert!(!texts[..number].contains(one), "change {number}");
        }
    }

    #[test]
    fn what_another_setting_switches_on_is_read() {
        let differ = |base: Change, change: Change| {
            let mut changed = stage(base);
            change(&mut changed);
            text(&changed) != text(&stage(base))
        };
        let epsilon: Change = |stage| stage.options.adversarial_epsilon = 0.1;
        let steps: Change = |stage| stage.options.adversarial_steps = 5;
        let decay: Change = |stage| stage.options.average_decay = 0.9;
        let epochs: Change = |stage| stage.options.average_epochs = 2;
        let swap: Change = |stage| stage.options.swap = false;
        let fgm: Change = |stage| stage.options.adversarial = Adversarial::Fgm;
        let pgd: Change = |stage| stage.options.adversarial = Adversarial::Pgd;
        assert!(differ(fgm, epsilon) && differ(pgd, epsilon));
        assert!(!differ(fgm, steps) && differ(pgd, steps));
        let ema: Change = |stage| stage.options.average = AverageKind::Ema;
        let swa: Change = |stage| stage.options.average = AverageKind::Swa;
        assert!(differ(ema, decay) && !differ(ema, epochs));
        assert!(!differ(swa, decay) && differ(swa, epochs));
        // One text has no other to change places with.
        let single: Change = |stage| stage.rows.iter_mut().for_each(|row| row.b = None);
        assert!(differ(NOTHING, swap) && !differ(single, swap));
    }

    /// Stages that are there are found again: what is hashed is what it was before there was `max_rows`.
    #[test]
    fn the_text_that_names_a_folder_stays() {
        let expected = concat!(
            r#"{"objective":"Mlm","mask":0.15,"mask_unit":"token","mask_replacement":"random","options":{"epochs":3,"#,
            r#""max_steps":0,"batch":64,"learning_rate":0.0003,"warmup_steps":0.1,"schedule":"linear","weight_decay":0.01,"#,
            r#""dropout":0.1,"clip":1.0,"layer_decay":1.0,"swap":true,"gradient_accumulation":1,"adversarial":"none","#,
            r#""adversarial_epsilon":0.5,"adversarial_steps":3,"r_drop":0.0,"dropout_samples":1,"label_smoothing":0.0,"#,
            r#""average":"none","average_decay":0.999,"average_epochs":5},"rows":2,"rows_sha256":""#
        );
        let text = text(&stage(NOTHING));
        assert!(text.starts_with(expected), "{text}");
    }
}
