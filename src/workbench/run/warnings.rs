//! What is allowed and probably not meant: said before, or right after, the minutes it costs.
//!
//! In: rows, settings, the report of a fit. Out: a line each, or none. Does not refuse anything.

use std::collections::HashSet;
use std::path::Path;

use crate::checkpoint::BertConfig;
use crate::config::Experiment;
use crate::data::{EncodedExample, LabelKind, Task, reserved::UNK};
use crate::metrics::baseline::OVERLAP;
use crate::train::{FitReport, Stage, epochs_of};
use crate::workbench::run_folder::manifest::Outcome;

/// Larger shares are worth a word.
const CUT_ROWS: f64 = 0.01;
const UNKNOWN_TOKENS: f64 = 0.1;
/// A hidden size from which a learning rate beyond this is too much.
const LARGE_WIDTH: usize = 512;
const LARGE_RATE: f64 = 1e-4;
/// Of a score that goes from 0 to 1, in the last epoch.
const RISE: f64 = 0.002;

/// `limit`, a key and its value, cuts more than a hundredth of the rows of a file.
pub fn cut_rows(path: &Path, cut: usize, rows: usize, limit: (&str, usize)) -> Option<String> {
    let share = cut as f64 / rows.max(1) as f64;
    (share > CUT_ROWS).then(|| {
        format!(
            "warning: {}: {cut} of {rows} rows ({:.1} %) have more than {} = {} tokens and were cut",
            path.display(),
            100.0 * share,
            limit.0,
            limit.1
        )
    })
}

/// More than a tenth of the tokens of `rows` have no row in the vocabulary. `whose` says which rows, `hint` why that may be.
pub fn unknown_tokens<'a>(
    whose: &str,
    hint: &str,
    rows: impl IntoIterator<Item = &'a EncodedExample>,
) -> Option<String> {
    let (mut unknown, mut all) = (0_usize, 0_usize);
    for token in rows.into_iter().flat_map(EncodedExample::tokens) {
        unknown += usize::from(token == UNK);
        all += 1;
    }
    unknown_share(whose, hint, (unknown, all))
}

/// As [`unknown_tokens`], where so many of all tokens are unknown.
pub fn unknown_share(whose: &str, hint: &str, (unknown, all): (usize, usize)) -> Option<String> {
    let share = unknown as f64 / all.max(1) as f64;
    (share > UNKNOWN_TOKENS).then(|| {
        format!(
            "warning: {whose}: {:.0} % of the tokens are unknown to the model ([UNK]); {hint}",
            100.0 * share
        )
    })
}

/// Rows of a validation file, `valid`, that are rows of `train` too: all their texts, as they were read, in either order unless
/// it counts.
pub fn rows_trained_on(
    valid: &[EncodedExample],
    train: &[EncodedExample],
    has_order: bool,
) -> Option<String> {
    let texts = |row: &EncodedExample| {
        let mut texts = row.text_numbers?;
        if !has_order {
            texts.sort_unstable();
        }
        Some(texts)
    };
    let trained: HashSet<[u32; 2]> = train.iter().filter_map(texts).collect();
    let both = valid.iter().filter_map(texts);
    let n = both.filter(|row| trained.contains(row)).count();
    (n > 0).then(|| {
        format!(
            "warning: the validation file: {n} of {} rows are training rows too, so its score says too much of new ones; take \
             them out of one of the files",
            valid.len()
        )
    })
}

/// A class of which the training rows, with their own labels, have none: the model cannot learn it.
pub fn missing_classes(train: &[EncodedExample], task: &Task) -> Option<String> {
    if matches!(task.labels, LabelKind::Ordinal) || train.is_empty() {
        return None;
    }
    let is_there = |class: u32| {
        train
            .iter()
            .any(|row| row.target.holds(class) == Some(true))
    };
    let missing = (0..).zip(&task.classes);
    let missing: Vec<&str> = missing
        .filter(|&(class, _)| !is_there(class))
        .map(|(_, name)| name.as_str())
        .collect();
    if missing.is_empty() {
        return None;
    }
    Some(format!(
        "warning: no row to train on has the label {}, so the model cannot learn it",
        missing.join(", ")
    ))
}

/// The learning rate of a preset, all of which are for small networks, in a large one.
pub fn preset_of_small_networks(experiment: &Experiment, network: &BertConfig) -> Option<String> {
    let preset = experiment.preset?;
    let settings = preset.settings();
    let rate = settings.get("train")?.get("learning_rate")?.as_float()?;
    let is_used = (experiment.stages().iter()).any(|stage| stage.options.learning_rate == rate);
    let width = network.hidden_size;
    (is_used && rate > LARGE_RATE && width >= LARGE_WIDTH).then(|| {
        format!(
            "warning: the learning rate {rate:.0e} of preset \"{}\" is for small networks (4 layers of 256); this one is {width} \
             wide and may learn nothing: --set train.learning_rate=3e-5 --set train.epochs=3",
            preset.name()
        )
    })
}

/// One step an epoch, of fewer rows than asked for. A stage without rows is refused later, with a hint of its own.
pub fn batch_beyond_rows(stage: &Stage) -> Option<String> {
    let (options, rows) = (&stage.options, stage.rows.len());
    (rows > 0 && options.rows_of_step() > rows).then(|| {
        let batches = match options.gradient_accumulation {
            1 => String::new(),
            n => format!(" times train.gradient_accumulation = {n}"),
        };
        format!(
            "warning: stage {}: train.batch = {}{batches} is more than its {rows} rows, so an epoch is one step",
            stage.name, options.batch
        )
    })
}

/// The last epoch of the last stage is the best, and much better than the one before.
pub fn still_rising(report: &FitReport, stage: &Stage, n_stages: usize) -> Option<String> {
    let [.., before, last] = &report.epochs[..] else {
        return None;
    };
    let metric = last.valid.metric.metric();
    let rise = last.valid.valid_score? - before.valid.valid_score?;
    let gain = if metric.higher_is_better { rise } else { -rise };
    let is_rising = before.stage == last.stage && report.best_epoch == last.epoch && gain > RISE;
    // A stage that ends by its number of steps would not see more epochs.
    if !is_rising || stage.options.max_steps > 0 {
        return None;
    }
    let key = match n_stages {
        1 => "train.epochs".to_owned(),
        _ => format!("stage.{}.epochs", stage.name),
    };
    Some(format!(
        "warning: the valid {} was still getting better at the end ({rise:+.4} in the last epoch); more epochs will \
         probably help: --set {key}={}",
        metric.title,
        4 * epochs_of(stage.rows.len(), &stage.options)
    ))
}

/// What the rows give away without the model is better, by what it is judged by.
pub fn below_baseline(outcome: &Outcome, experiment: &Experiment) -> Option<String> {
    let baseline = outcome.baseline.as_ref()?;
    let metric = baseline.metric(outcome.valid.metric);
    let score = outcome.valid.score_by(metric)?;
    metric.is_better(Some(baseline.score), Some(score)).then(|| {
        format!(
            "warning: {} has {} {:.4} on the same rows, the model {score:.4}; more epochs{} may help, or the labels are not \
             those of the rows",
            baseline.describe(),
            metric.metric().title,
            baseline.score,
            match baseline.name == OVERLAP && may_mark_shared(experiment) {
                true => " or data.mark_shared = true",
                false => "",
            }
        )
    })
}

/// Whether shared tokens are not marked and could be, by a model of two token types.
fn may_mark_shared(experiment: &Experiment) -> bool {
    experiment.why_no_marks().is_none() && !experiment.mark_shared(2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use crate::data::Target;

    fn row(a: &[u32], target: Target) -> EncodedExample {
        EncodedExample {
            a: a.to_vec(),
            b: None,
            target,
            text_numbers: None,
        }
    }

    #[test]
    fn a_share_beyond_the_bound_is_said_and_no_smaller_one() {
        let path = Path::new("t.tsv");
        assert_eq!(cut_rows(path, 10, 1000, ("data.max_tokens", 32)), None);
        assert_eq!(
            cut_rows(path, 11, 1000, ("data.max_tokens", 32)).as_deref(),
            Some(
                "warning: t.tsv: 11 of 1000 rows (1.1 %) have more than data.max_tokens = 32 tokens and were cut"
            )
        );
        assert_eq!(cut_rows(path, 0, 0, ("data.max_tokens", 32)), None);
        let known = row(&[7; 9], Target::Unknown);
        let rows = [known.clone(), row(&[UNK], Target::Unknown)];
        assert_eq!(unknown_tokens("t.tsv", "why", &rows), None);
        let rows = [known, row(&[UNK, UNK], Target::Unknown)];
        assert_eq!(
            unknown_tokens("t.tsv", "why", &rows).as_deref(),
            Some("warning: t.tsv: 18 % of the tokens are unknown to the model ([UNK]); why")
        );
        assert_eq!(unknown_tokens("t.tsv", "why", &[]), None);
    }

    #[test]
    fn whole_rows_of_a_validation_file_that_are_trained_on_are_counted() {
        let pair = |a, b| EncodedExample {
            text_numbers: Some([a, b]),
            ..row(&[7], Target::Unknown)
        };
        let train = [pair(1, 2), pair(3, 4)];
        let valid = [pair(1, 2), pair(4, 3), pair(1, 3), pair(5, 6)];
        let n = |has_order| rows_trained_on(&valid, &train, has_order).expect("some are");
        let line = n(false);
        let begins = "warning: the validation file: 2 of 4 rows are training rows too";
        assert!(line.starts_with(begins), "{line}");
        assert!(n(true).contains(" 1 of 4 rows "));
        assert_eq!(rows_trained_on(&valid[2..], &train, false), None);
        assert_eq!(rows_trained_on(&[], &train, false), None);
    }

    #[test]
    fn marks_are_advised_where_there_are_none_and_may_be_some() {
        let may = |assignments: &[&str]| {
            let assignments: Vec<String> = assignments.iter().map(|a| (*a).to_owned()).collect();
            let loaded = config::load(None, &assignments).expect("known keys");
            may_mark_shared(&loaded.experiment)
        };
        assert!(!may(&[]), "they are there");
        assert!(may(&["data.mark_shared=false"]));
        for name in ["simbert", "nsp"] {
            let objective = format!("objective.name={name}");
            assert!(!may(&[&objective, "data.mark_shared=false"]), "{name}");
        }
    }

    #[test]
    fn a_preset_warns_of_its_learning_rate_in_a_large_network() {
        let warned = |assignments: &[&str], hidden: usize| {
            let assignments: Vec<String> = assignments.iter().map(|a| (*a).to_owned()).collect();
            let experiment = config::load(None, &assignments)
                .expect("known keys")
                .experiment;
            let network = BertConfig {
                hidden_size: hidden,
                ..experiment.scratch_size(None, 100)
            };
            preset_of_small_networks(&experiment, &network)
        };
        let line = warned(&["preset=good"], 768).expect("a warning");
        assert!(
            line.starts_with("warning: the learning rate 6e-4 of preset \"good\" is for small"),
            "{line}"
        );
        assert_eq!(warned(&["preset=good"], 256), None);
        assert_eq!(
            warned(&["preset=good", "train.learning_rate=3e-5"], 768),
            None
        );
        assert_eq!(
            warned(&["train.learning_rate=6e-4"], 768),
            None,
            "no preset"
        );
    }

    #[test]
    fn a_class_without_rows_is_named() {
        let mut task = Task::binary_pairs();
        let positive = [row(&[7], true.into())];
        assert_eq!(
            missing_classes(&positive, &task).as_deref(),
            Some("warning: no row to train on has the label 0, so the model cannot learn it")
        );
        let both = [row(&[7], true.into()), row(&[7], false.into())];
        assert_eq!(missing_classes(&both, &task), None);
        task.labels = LabelKind::Multilabel;
        let none = [row(&[7], Target::Several(vec![]))];
        assert!(missing_classes(&none, &task).is_some_and(|line| line.contains("label 0, 1,")));
        assert_eq!(missing_classes(&[], &task), None);
    }
}
