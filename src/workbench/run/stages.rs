//! From the stages of an experiment to those of a fit: objectives, rows, random streams.
//!
//! In: the settings, the task, the rows of one fit. Out: [`Stage`]s for the loop, and the objective that scores.

use crate::config::Experiment;
use crate::data::{EncodedExample, Task, reserved};
use crate::objective::{Answers, HeadChoice, Objective, ObjectiveName, ObjectiveOptions};
use crate::random::Key;
use crate::train::Stage;

/// What the labels of a run are, as objectives need it.
pub fn answers(task: &Task) -> Answers {
    Answers {
        labels: task.labels,
        n_classes: task.classes.len(),
        tokens: vec![reserved::NO, reserved::YES],
    }
}

/// The objective of the last stage, which scores rows.
pub fn scoring_objective(task: &Task) -> Box<dyn Objective> {
    options().objective(&answers(task))
}

/// The stages of one fit, which learn from `rows`; `key` is the root of its random streams.
pub fn stages(
    experiment: &Experiment,
    task: &Task,
    rows: &[EncodedExample],
    key: Key,
) -> Vec<Stage> {
    let name = ObjectiveName::Pet;
    vec![Stage {
        name: name.name().to_owned(),
        objective: scoring_objective(task),
        objective_name: name,
        rows: rows.to_vec(),
        options: experiment.train_options(),
        key,
    }]
}

fn options() -> ObjectiveOptions {
    ObjectiveOptions {
        name: ObjectiveName::Pet,
        mlm_weight: 1.0,
        head: HeadChoice::Pooler,
    }
}
