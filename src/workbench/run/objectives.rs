//! What a stage learns, for the labels of a run.
//!
//! In: a stage of an experiment, the task and its vocabulary. Out: its [`Objective`]. Knows no rows.

use crate::config::Stage;
use crate::data::{Task, reserved};
use crate::objective::{Answers, Objective, ObjectiveOptions};
use crate::vocab::CipherVocab;

/// The objective of a stage.
pub fn objective(stage: &Stage, task: &Task, vocab: &CipherVocab) -> Box<dyn Objective> {
    let options = ObjectiveOptions {
        name: stage.objective,
        mlm_weight: stage.mlm_weight(),
        head: stage.head,
        corrupt_sources: stage.corrupt_sources.unwrap_or(0.0),
        candidates: stage.candidates,
        choice_smoothing: stage
            .choice()
            .map_or(0.0, |_| stage.options.label_smoothing),
    };
    options.objective(&answers(task, vocab))
}

/// What the labels of a run are, as objectives need it.
fn answers(task: &Task, vocab: &CipherVocab) -> Answers {
    let classes = 0..vocab.n_class_tokens;
    Answers {
        labels: task.labels,
        n_classes: task.classes.len(),
        tokens: match classes.is_empty() {
            true => vec![reserved::NO, reserved::YES],
            false => classes.map(|class| vocab.class_row(class)).collect(),
        },
    }
}
