//! Which runs make an ensemble: done, of one task and one metric, over the same rows with the same labels, and for the same
//! test file.
//!
//! In: run folders. Out: what they hold, or a refusal that names both runs.

use std::path::PathBuf;

use super::How;
use crate::config::{self, Experiment, SubmitConfig, SubmitFormat};
use crate::data::table::quoted;
use crate::data::{LabelKind, Scores, Target, Task, source};
use crate::error::{Error, Place, Result};
use crate::metrics::MetricName;
use crate::objective::ObjectiveName;
use crate::workbench::run_folder::manifest::FileRecord;
use crate::workbench::run_folder::names;
use crate::workbench::run_folder::results::Results;
use crate::workbench::run_folder::scores::Scored;
use crate::workbench::submission;

/// Opens the runs, and refuses those that cannot be blended with the first.
pub(super) fn open_all(paths: &[PathBuf]) -> Result<Vec<Results>> {
    let runs: Vec<Results> = paths
        .iter()
        .map(|path| Results::open_done(path))
        .collect::<Result<_>>()?;
    let real = |run: &Results| run.path.canonicalize().unwrap_or(run.path.clone());
    for (number, run) in runs.iter().enumerate() {
        if runs[..number]
            .iter()
            .any(|before| real(before) == real(run))
        {
            let message = format!("{} is named twice", run.path.display());
            return Err(Error::refused(message)
                .with_hint("`--how weights` finds how much each run is worth"));
        }
    }
    if let Some((first, others)) = runs.split_first() {
        for other in others {
            require_same_files(first, other)?;
            require_same_task(first, other)?;
        }
    }
    Ok(runs)
}

/// What decides which of a run's epochs is the best; of runs that do not say it, that of their labels.
pub(super) fn metric(run: &Results) -> MetricName {
    let recorded = run.record.result.as_ref().and_then(|result| result.metric);
    recorded.unwrap_or_else(|| MetricName::default_for(run.record.task.labels))
}

/// Scores mean the same only where the rows have the same texts, labels and classes.
fn require_same_task(first: &Results, other: &Results) -> Result<()> {
    let (a, b) = (&first.record.task, &other.record.task);
    let classes = |task: &Task| match task.classes.as_slice() {
        [] => "none".to_owned(),
        names => names.join(", "),
    };
    let cases = [
        (
            "task.kind",
            a.kind.name().to_owned(),
            b.kind.name().to_owned(),
        ),
        (
            "task.labels",
            a.labels.name().to_owned(),
            b.labels.name().to_owned(),
        ),
        ("classes", classes(a), classes(b)),
        (
            "task.metric",
            metric(first).to_string(),
            metric(other).to_string(),
        ),
    ];
    match cases
        .into_iter()
        .find(|(_, expected, found)| expected != found)
    {
        Some((what, expected, found)) => {
            let (a, b) = (first.path.display(), other.path.display());
            let message = format!(
                "{a} and {b} make no ensemble: expected the {what} of {a}, {}, found {} in {b}",
                quoted(&expected),
                quoted(&found)
            );
            Err(Error::refused(message)
                .with_hint("runs of one [task] make an ensemble; leave one of these out"))
        }
        None => Ok(()),
    }
}

/// Row numbers mean the same rows only where they count over the same files.
fn require_same_files(first: &Results, other: &Results) -> Result<()> {
    let rows_key = |run: &Results| match run.inputs("data.valid").next() {
        Some(_) => "data.valid",
        None => "data.train",
    };
    let files =
        |run: &Results, key: &str| -> Vec<FileRecord> { run.inputs(key).cloned().collect() };
    let differ = |a: &[FileRecord], b: &[FileRecord]| {
        a.len() != b.len() || a.iter().zip(b).any(|(a, b)| !a.has_content_of(b))
    };
    let name = |run: &Results, files: &[FileRecord]| match files {
        [] => format!("{} has none", run.path.display()),
        files => {
            let paths = files.iter().map(|file| file.path.display().to_string());
            format!(
                "{} has {}",
                run.path.display(),
                paths.collect::<Vec<_>>().join(" ")
            )
        }
    };
    let cases = [
        (rows_key(first), rows_key(other), "rows of different files"),
        ("data.test", "data.test", "different test files"),
    ];
    for (key, other_key, what) in cases {
        let (a, b) = (files(first, key), files(other, other_key));
        if differ(&a, &b) {
            let message = format!(
                "runs over {what} make no ensemble: {}, {}",
                name(first, &a),
                name(other, &b)
            );
            return Err(Error::refused(message)
                .with_hint("files are compared by content; leave one of the runs out"));
        }
    }
    Ok(())
}

/// The validation scores of every run, of the same rows with the same labels.
pub(super) fn read_tables(runs: &[Results]) -> Result<Vec<Scored>> {
    let tables = runs.iter().map(Results::labelled_scores);
    let tables: Vec<Scored> = tables.collect::<Result<_>>()?;
    for (run, table) in runs.iter().zip(&tables).skip(1) {
        let both = (runs[0].path.display(), run.path.display());
        require_same_rows((&tables[0], table), both, &runs[0].record.task)?;
    }
    Ok(tables)
}

/// A label as an error shows it.
fn shown(target: &Target, task: &Task) -> String {
    let name = |class: u32| task.classes[class as usize].clone();
    match target {
        Target::Unknown | Target::Probabilities(_) => "none".to_owned(),
        Target::Class(class) if task.labels == LabelKind::Binary => class.to_string(),
        Target::Class(class) => name(*class),
        Target::Number(number) => number.to_string(),
        Target::Several(classes) if classes.is_empty() => "none".to_owned(),
        Target::Several(classes) => {
            let names: Vec<String> = classes.iter().map(|&class| name(class)).collect();
            names.join(", ")
        }
    }
}

fn require_same_rows(
    (a, b): (&Scored, &Scored),
    (name_a, name_b): (impl std::fmt::Display, impl std::fmt::Display),
    task: &Task,
) -> Result<()> {
    let refuse = |what: String| {
        let message = format!("{name_a} and {name_b} make no ensemble: {what}");
        Err(Error::refused(message)
            .with_hint("runs with the same [folds], or the same data.valid, have the same rows"))
    };
    let both = a.rows.iter().zip(&b.rows);
    // Both ascend: at the first difference the lower row is in one of them only.
    match both.clone().find(|(in_a, in_b)| in_a != in_b) {
        Some((in_a, in_b)) if in_a < in_b => {
            return refuse(format!("row {in_a} is held out in {name_a} only"));
        }
        Some((_, in_b)) => return refuse(format!("row {in_b} is held out in {name_b} only")),
        None => {}
    }
    let n = both.len();
    if let Some(row) = a.rows.get(n) {
        return refuse(format!("row {row} is held out in {name_a} only"));
    }
    if let Some(row) = b.rows.get(n) {
        return refuse(format!("row {row} is held out in {name_b} only"));
    }
    match (0..n).find(|&i| a.targets[i] != b.targets[i]) {
        Some(i) => {
            let (row, label) = (a.rows[i], shown(&a.targets[i], task));
            let other = shown(&b.targets[i], task);
            refuse(format!(
                "row {row} has label {label} in {name_a} and {other} in {name_b}"
            ))
        }
        None => Ok(()),
    }
}

/// The test scores of every run; none where the runs have no test file.
pub(super) fn read_test_scores(runs: &[Results]) -> Result<Option<Vec<Scores>>> {
    let scores: Option<Vec<Scores>> =
        (runs.iter().map(Results::test_scores)).collect::<Result<_>>()?;
    if let Some([first, others @ ..]) = scores.as_deref() {
        for (run, other) in runs[1..].iter().zip(others) {
            if first.len() != other.len() {
                let (a, b) = (runs[0].path.display(), run.path.display());
                let message = format!(
                    "{a} has {} test scores, {b} has {}",
                    first.len(),
                    other.len()
                );
                return Err(Error::refused(message)
                    .with_hint("one of them is damaged: run it again in a new folder"));
            }
        }
    }
    Ok(scores)
}

/// What the submission is made for: the reading keys and `[submit]` of the first run, under the assignments.
pub(super) fn experiment(runs: &[Results], assignments: &[String]) -> Result<Experiment> {
    for assignment in assignments {
        let key = assignment.split('=').next().unwrap_or_default().trim();
        if !key.starts_with("submit.") && key != "data.test" {
            let place = Place::setting(assignment);
            return Err(
                Error::input(place, "data.test or a key of [submit]", format!("`{key}`"))
                    .with_hint("nothing is trained here; other keys are those of the runs"),
            );
        }
    }
    let loaded = config::load(Some(&runs[0].path.join(names::CONFIG)), assignments)?;
    loaded.check_submit()?;
    let experiment = loaded.experiment;
    let (Some(test), Some(record)) = (&experiment.data.test, runs[0].inputs("data.test").next())
    else {
        return Ok(experiment);
    };
    let hint = "--set data.test=FILE says where it lies now";
    if source::exists(test) {
        if !FileRecord::of("data.test", test, test)?.has_content_of(record) {
            let message = format!(
                "{} is not the test file of the runs: its content differs",
                test.display()
            );
            return Err(Error::refused(message).with_hint(hint));
        }
    } else if let Some(setting) = needs_ids(&experiment.submit) {
        let message = format!(
            "{setting} needs the ids of the test file, and {} is not there",
            test.display()
        );
        return Err(Error::refused(message).with_hint(hint));
    }
    Ok(experiment)
}

/// The objective of the first run whose scores of classes are no logits; those of a blend with it are none either.
pub(super) fn objective_without_logits(runs: &[Results]) -> Result<Option<ObjectiveName>> {
    for run in runs {
        if let Some(objective) = run.experiment()?.objective_without_logits() {
            return Ok(Some(objective));
        }
    }
    Ok(None)
}

/// What the scores of a blend of grades are learnt by: the objective of the first run whose scores are no grades, as those of a blend
/// with it are none either, else that of all runs. None where a run does not say it.
pub(super) fn objective_of_grades(runs: &[Results]) -> Result<Option<ObjectiveName>> {
    let mut of_all = None;
    for run in runs {
        of_all = run.experiment()?.objective_of_grades();
        if !of_all.is_some_and(ObjectiveName::scores_are_grades) {
            break;
        }
    }
    Ok(of_all)
}

/// Probabilities are made of logits alone.
pub(super) fn require_logits(submit: &SubmitConfig, without: Option<ObjectiveName>) -> Result<()> {
    match without {
        Some(objective) if submit.probability => {
            let name = objective.name();
            let message =
                format!("submit.probability = true: the scores of `{name}` are no logits");
            Err(Error::refused(message).with_hint(format!(
                "leave out what has learnt by `{name}`, or set submit.probability = false"
            )))
        }
        _ => Ok(()),
    }
}

/// Ranks say an order alone, and no probability is made of them: half of all rows have a mean rank above one half. A warning where a
/// sample asks for numbers from 0 to 1 and `metric` reads nothing but their order. Grades have no probabilities.
pub(super) fn require_no_probabilities(
    runs: &[Results],
    how: How,
    submit: &SubmitConfig,
    (task, metric): (&Task, MetricName),
) -> Result<Option<String>> {
    if task.labels == LabelKind::Ordinal {
        return Ok(None);
    }
    let Some(setting) = submission::asks_for_probabilities(submit, task)? else {
        return Ok(None);
    };
    let of_ranks = runs.iter().find(|run| run.record.has_ranks());
    let whose = match of_ranks.filter(|_| how != How::Rank) {
        Some(run) => format!("ranks say an order, as those of {}", run.path.display()),
        None => "ranks say an order".to_owned(),
    };
    let instead = match (of_ranks, objective_without_logits(runs)?) {
        (_, Some(_)) => "take runs with objective.name = \"pet\" or \"ce\" in what comes last",
        (Some(_), None) => "blend the runs themselves with --how mean",
        (None, None) => "use --how mean",
    };
    if !submit.probability && metric.reads_order_alone() {
        let title = metric.metric().title;
        return Ok(Some(format!(
            "warning: {setting} asks for probabilities: {whose} alone, which is enough for {title}; for what reads more, {instead}"
        )));
    }
    let hint = match submit.probability {
        true => format!("{instead}, or set submit.probability = false"),
        false => instead.to_owned(),
    };
    let message = format!("{setting} asks for probabilities: {whose} alone");
    Err(Error::refused(message).with_hint(hint))
}

/// A warning where the scores of the runs are on different scales: in their mean the widest of them decides.
pub(super) fn mixed_scales(runs: &[Results]) -> Result<Option<String>> {
    let scales = runs.iter().map(Scale::of).collect::<Result<Vec<_>>>()?;
    let first = (&runs[0], scales[0]);
    let mut others = runs.iter().zip(scales);
    let Some(other) = others.find(|(_, scale)| *scale != first.1) else {
        return Ok(None);
    };
    let said = |(run, scale): (&Results, Scale)| {
        let labels = run.record.task.labels;
        format!("{} {}", run.path.display(), scale.describe(labels))
    };
    Ok(Some(format!(
        "warning: a mean of scores on different scales: {}, {}; --how rank takes nothing but their order",
        said(first),
        said(other)
    )))
}

/// What the scores of a run mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scale {
    /// Logits; of grades, grades.
    Usual,
    /// Mean ranks, or made of such.
    Ranks,
    /// Numbers of this objective's own.
    Of(ObjectiveName),
}

impl Scale {
    fn of(run: &Results) -> Result<Self> {
        if run.record.has_ranks() {
            return Ok(Self::Ranks);
        }
        let experiment = run.experiment()?;
        let of_grades = experiment.objective_of_grades();
        let of_grades = of_grades.filter(|objective| !objective.scores_are_grades());
        let own = experiment.objective_without_logits().or(of_grades);
        Ok(own.map_or(Self::Usual, Self::Of))
    }

    fn describe(self, labels: LabelKind) -> String {
        match self {
            Self::Usual if labels == LabelKind::Ordinal => "has grades".to_owned(),
            Self::Usual => "has logits".to_owned(),
            Self::Ranks => "is made of ranks".to_owned(),
            Self::Of(objective) => format!("has learnt by `{}`", objective.name()),
        }
    }
}

/// The setting under which a submission repeats the ids of the test file.
fn needs_ids(submit: &SubmitConfig) -> Option<&'static str> {
    match (&submit.like, submit.format) {
        (Some(_), _) => Some("submit.like"),
        (None, SubmitFormat::Csv) => Some("submit.format = \"csv\""),
        (None, SubmitFormat::Plain | SubmitFormat::Auto) => None,
    }
}
