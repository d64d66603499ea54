//! From the stages of an experiment to those of a fit: objectives, heads, rows, random streams.
//!
//! In: the settings, the task and its vocabulary, the rows of one fit. Out: the [`Stage`]s of the loop, the heads that they
//! need, and the objective that scores. Does not train.

use super::objectives::objective;
use super::rows::{FitRows, Rows};
use crate::checkpoint::Heads;
use crate::config::Experiment;
use crate::data::{EncodedExample, LabelKind, Masking, Task};
use crate::error::{Error, Result};
use crate::objective::choice::Questions;
use crate::objective::{Candidates, Objective};
use crate::random::{Key, Purpose};
use crate::train::Stage;
use crate::train::step::label_smoothing;
use crate::vocab::CipherVocab;

/// The objective of the last stage, which scores rows.
pub fn scoring_objective(
    experiment: &Experiment,
    task: &Task,
    vocab: &CipherVocab,
) -> Box<dyn Objective> {
    let stages = experiment.stages();
    let last = stages.last().expect("an experiment has a stage");
    objective(last, task, vocab)
}

/// The heads that the stages need together.
///
/// # Errors
/// [`Error::Refused`] where two stages need linear heads of different numbers of outputs.
pub fn heads(experiment: &Experiment, task: &Task, vocab: &CipherVocab) -> Result<Heads> {
    let mut all = Heads::default();
    let mut first: Option<(String, usize)> = None;
    for stage in experiment.stages() {
        let heads = objective(&stage, task, vocab).heads();
        if let Some(outputs) = heads.classifier {
            match &first {
                Some((name, others)) if *others != outputs => {
                    return Err(two_classifiers((name, *others), (&stage.name, outputs)));
                }
                Some(_) => {}
                None => first = Some((stage.name, outputs)),
            }
        }
        all = all.and(heads);
    }
    Ok(all)
}

fn two_classifiers((first, outputs): (&str, usize), (second, others): (&str, usize)) -> Error {
    let message = format!(
        "stage `{first}` needs a linear head of {outputs} outputs and stage `{second}` one of {others}: a model has one"
    );
    Error::refused(message).with_hint(
        "set `head = \"mlm\"` in the stage of `cosent`, or choose objectives whose heads are alike (`bce`, `cosent` and \
         `mse` have one output for 0 and 1, `ce` has two)",
    )
}

/// The stages of one fit; `key` is the root of its random streams. Those of [`Experiment::shared_stages`] have
/// streams that no seed and no fold changes.
///
/// # Errors
/// [`Error::Refused`] where a stage is to compare candidates and has none to compare.
pub fn stages(experiment: &Experiment, rows: &Rows, fit: &FitRows, key: Key) -> Result<Vec<Stage>> {
    let numbered = experiment.stages().into_iter().enumerate();
    let stages: Result<Vec<Stage>> = numbered
        .map(|(number, stage)| {
            let mut objective = objective(&stage, &rows.task, &rows.vocab);
            let stage_rows = rows.of_stage(&stage, fit).into_iter();
            // A right candidate is one of as many as its question has, and no label of two classes.
            let epsilon = match stage.choice() {
                Some(_) => 0.0,
                None => stage.options.label_smoothing,
            };
            let smooth = |row| smoothed(row, epsilon, &rows.task);
            let rows: Vec<EncodedExample> = stage_rows.map(smooth).collect();
            if let Some(candidates) = stage.choice()
                && Questions::of(&rows, candidates).is_empty()
            {
                return Err(no_question(&stage.name, candidates));
            }
            objective.prepare(&rows);
            let texts = rows.iter().filter(|_| objective.damages_texts());
            let texts = texts.flat_map(EncodedExample::texts);
            Ok(Stage {
                masking: Masking::learn(stage.masking, texts),
                rows,
                key: stage_key(key, number),
                held_out: None,
                options: stage.options,
                objective_name: stage.objective,
                name: stage.name,
                objective,
            })
        })
        .collect();
    let mut stages = stages?;
    let n_shared = experiment.shared_stages().len();
    for (number, stage) in stages[..n_shared].iter_mut().enumerate() {
        stage.key = Key::from_seed(0).with(Purpose::Stage).at(number as u64);
    }
    Ok(stages)
}

fn no_question(stage: &str, candidates: Candidates) -> Error {
    let other = candidates.other().name();
    let message = format!(
        "stage `{stage}` has nothing to choose from: no rows to train on, one of them with label 1, have the same {other} text"
    );
    Error::refused(message).with_hint(format!(
        "set candidates = \"{other}\" if the {other} texts are the candidates, or leave it out"
    ))
}

fn smoothed(row: EncodedExample, epsilon: f64, task: &Task) -> EncodedExample {
    let n_classes = match task.labels {
        LabelKind::Binary => 2,
        _ => task.classes.len(),
    };
    EncodedExample {
        target: label_smoothing::smoothed(row.target, epsilon, task.labels, n_classes),
        ..row
    }
}

/// The first stage has the streams of the fit itself.
pub fn stage_key(fit: Key, number: usize) -> Key {
    match number {
        0 => fit,
        number => fit.with(Purpose::Stage).at(number as u64),
    }
}
