//! Curves of training: the metric and each part of the loss by epoch, and where stages begin.
//!
//! In: the reports of epochs. Out: a [`Panel`] a curve, and the [`Stage`]s. Knows no HTML.

use std::collections::BTreeSet;

use super::figures::Panel;
use super::plots::{Axis, Mark, Series, Shape, Style, extent};
use crate::error::Result;
use crate::metrics::MetricName;
use crate::objective::ObjectiveName;
use crate::train::EpochReport;

/// What is drawn as one line.
pub struct Trained {
    /// For the legend; empty where there is only one.
    pub name: String,
    /// One entry an epoch.
    pub epochs: Vec<EpochReport>,
}

/// Neighbouring epochs of one stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// Empty in runs of earlier versions.
    pub name: String,
    /// What it learns.
    pub objective: ObjectiveName,
    /// Its first epoch and its last so far, from 1 over all stages.
    pub epochs: (usize, usize),
    /// Its steps so far.
    pub steps: usize,
}

/// The stages that epochs went through, in order.
pub fn stages(epochs: &[EpochReport]) -> Vec<Stage> {
    let mut done = 0;
    let stage = |epochs: &[EpochReport]| {
        let (first, last) = (&epochs[0], &epochs[epochs.len() - 1]);
        let steps = last.steps.saturating_sub(done);
        done = last.steps;
        Stage {
            name: first.stage.clone(),
            objective: first.objective,
            epochs: (first.epoch, last.epoch),
            steps,
        }
    };
    epochs
        .chunk_by(|a, b| a.stage == b.stage)
        .map(stage)
        .collect()
}

/// The stages of all of them: those of the one that came furthest. Empty where they went other ways.
pub fn common_stages(trained: &[Trained]) -> Vec<Stage> {
    let all = || trained.iter().map(|one| stages(&one.epochs));
    let longest = all().max_by_key(Vec::len).unwrap_or_default();
    let goes_along = |stages: Vec<Stage>| {
        let begin = |stage: &Stage| (stage.name.clone(), stage.epochs.0);
        stages
            .iter()
            .map(begin)
            .eq(longest.iter().take(stages.len()).map(begin))
    };
    match all().all(goes_along) {
        true => longest,
        false => Vec::new(),
    }
}

/// The metric and each part of the loss by epoch. A part that no epoch has is not drawn.
///
/// # Errors
/// Those of the charts.
pub fn training(trained: &[Trained]) -> Result<Vec<Panel>> {
    let epochs = || trained.iter().flat_map(|one| &one.epochs);
    let metrics: BTreeSet<MetricName> = epochs().map(|epoch| epoch.valid.metric).collect();
    let parts: BTreeSet<&str> = epochs()
        .flat_map(|epoch| epoch.losses.keys().map(String::as_str))
        .collect();
    let mut parts: Vec<&str> = parts.into_iter().collect();
    parts.sort_by_key(|part| {
        KNOWN_PARTS
            .iter()
            .position(|known| known == part)
            .unwrap_or(KNOWN_PARTS.len())
    });
    if metrics.is_empty() {
        let panel = Panel::left_out("Validation by epoch", "no epoch is done yet");
        return Ok(vec![panel]);
    }
    let mut panels = Vec::new();
    for &metric in &metrics {
        panels.push(metric_by_epoch(trained, metric)?);
    }
    for part in parts {
        let (title, caption, unit) = said_of_part(part, &metrics);
        let value = |epoch: &EpochReport| epoch.losses.get(part).copied();
        let has_curves = epochs().any(|epoch| !epoch.curve.is_empty());
        panels.push(match has_curves {
            true => by_step(part, (&title, &caption, unit), trained)?,
            false => by_epoch(&format!("{title} by epoch"), &caption, unit, trained, value)?,
        });
    }
    Ok(panels)
}

/// Parts of the loss that most runs have, in the order in which they are drawn.
const KNOWN_PARTS: [&str; 2] = ["label_loss", "mlm_loss"];

/// The largest loss by the smallest from which a linear scale would hide how it falls.
const LOGARITHMIC: f64 = 8.0;

/// Title, caption and unit.
fn said_of_part(part: &str, metrics: &BTreeSet<MetricName>) -> (String, String, &'static str) {
    let worse = match metrics.iter().all(|name| name.metric().higher_is_better) {
        true => "falls",
        false => "gets worse",
    };
    let metric = match metrics.first() {
        Some(only) if metrics.len() == 1 => only.metric().title,
        _ => "metric",
    };
    match part {
        "label_loss" => (
            "Label loss".to_owned(),
            format!(
                "Loss of the labels over the labelled training rows. Falling on while the {metric} {worse} is overfitting."
            ),
            "loss a row",
        ),
        "mlm_loss" => (
            "Masked-token loss".to_owned(),
            "Cross-entropy of the masked tokens, over labelled and unlabelled rows.".to_owned(),
            "loss, nats a token",
        ),
        "similarity_loss" => (
            "Similarity loss".to_owned(),
            "Cross-entropy of the other text of a pair among the texts of a batch.".to_owned(),
            "loss, nats a text",
        ),
        "generation_loss" => (
            "Generation loss".to_owned(),
            "Cross-entropy of the tokens of a text, written from the other text of its pair."
                .to_owned(),
            "loss, nats a token",
        ),
        "r_drop_loss" => (
            "R-Drop".to_owned(),
            "How far two passes over a labelled row, with other dropout, say different things; without its weight."
                .to_owned(),
            "divergence, nats a row",
        ),
        _ => {
            let name = part.trim_end_matches("_loss");
            let caption = format!("The part of the loss that is named {name}.");
            (format!("Loss {name}"), caption, "loss")
        }
    }
}

fn metric_by_epoch(trained: &[Trained], metric: MetricName) -> Result<Panel> {
    let of = metric.metric();
    let better = match (metric, of.higher_is_better) {
        (MetricName::Auc, _) => "Area under the ROC curve of the rows held out.",
        (_, true) => "Of the rows held out; higher is better.",
        (_, false) => "Of the rows held out; lower is better.",
    };
    let caption = format!("{better} The best epoch is the one that is kept.");
    let value = |epoch: &EpochReport| {
        let of_earlier = || epoch.valid.valid_auc.filter(|_| metric == MetricName::Auc);
        let score = epoch.valid.valid_score.or_else(of_earlier);
        score.filter(|_| epoch.valid.metric == metric)
    };
    let title = format!("Validation {} by epoch", of.title);
    by_epoch(&title, &caption, of.title, trained, value)
}

/// A part of the loss over the steps; for that of the labels the log loss of the rows held out beside it.
fn by_step(
    part: &str,
    (title, caption, unit): (&str, &str, &str),
    trained: &[Trained],
) -> Result<Panel> {
    let of_training = |one: &Trained| -> Vec<(f64, f64)> {
        let points = one.epochs.iter().flat_map(|epoch| &epoch.curve);
        points
            .filter_map(|point| Some((point.step as f64, *point.losses.get(part)?)))
            .collect()
    };
    let of_validation = |one: &Trained| -> Vec<(f64, f64)> {
        let figure = |epoch: &EpochReport| {
            let scores = &epoch.valid.scores;
            let found = scores.get(&MetricName::LogLoss);
            Some((
                epoch.steps as f64,
                *found.or_else(|| scores.get(&MetricName::MeanLogLoss))?,
            ))
        };
        one.epochs.iter().filter_map(figure).collect()
    };
    let mut series = Vec::new();
    let mut caption = format!("{caption} Means of a twentieth of an epoch.");
    for (index, one) in trained.iter().enumerate() {
        let (style, name) = (Style::nth(index), one.name.as_str());
        let held_out = match part {
            "label_loss" => of_validation(one),
            _ => Vec::new(),
        };
        let alone = trained.len() == 1;
        let training = if alone && !held_out.is_empty() {
            "training"
        } else {
            name
        };
        series.push(Series::line(training, style, of_training(one)));
        if !held_out.is_empty() {
            let style = if alone { Style::nth(1) } else { style };
            let name = if alone { "validation" } else { "" };
            series.push(Series::line(name, style, held_out).shaped(Shape::DottedLine));
        }
    }
    if series.iter().any(|one| one.shape == Shape::DottedLine) {
        caption += " With dots: log loss of the rows held out, after each epoch.";
    }
    series.retain(|one| !one.points.is_empty());
    let title = format!("{title} by step");
    let Some((y, is_logarithmic)) = axis_of_losses(unit, &mut series) else {
        return Ok(Panel::left_out(title, "no step has such a loss yet"));
    };
    if is_logarithmic {
        caption += " The upright scale is logarithmic.";
    }
    let points = series.iter().flat_map(|one| &one.points);
    let last = points.map(|point| point.0).fold(0.0, f64::max);
    let x = Axis::linear("step", (0.0, last.max(1.0)), 6);
    Panel::marked(title, caption, (&x, &y), &series, &marks_by_step(trained))
}

/// The axis of losses; none where there are none. The first steps may have twenty times the loss of the last: beyond
/// [`LOGARITHMIC`] the scale is logarithmic, and the values of `series` become their logarithms.
fn axis_of_losses(unit: &str, series: &mut [Series]) -> Option<(Axis, bool)> {
    let values = series.iter().flat_map(|one| &one.points);
    let (low, high) = extent(values.map(|point| point.1))?;
    if low <= 0.0 || high < LOGARITHMIC * low {
        return Some((Axis::around(unit, [low, high])?, false));
    }
    let points = series.iter_mut().flat_map(|one| &mut one.points);
    points.for_each(|point| point.1 = point.1.log10());
    let (low, high) = (low.log10(), high.log10());
    let room = (high - low) * 0.06;
    Some((Axis::decades(unit, (low - room, high + room)), true))
}

fn by_epoch(
    title: &str,
    caption: &str,
    unit: &str,
    trained: &[Trained],
    value: impl Fn(&EpochReport) -> Option<f64>,
) -> Result<Panel> {
    let line = |(index, one): (usize, &Trained)| {
        let points = one.epochs.iter();
        let points = points.filter_map(|epoch| Some((epoch.epoch as f64, value(epoch)?)));
        Series::line(&one.name, Style::nth(index), points.collect()).shaped(Shape::DottedLine)
    };
    let lines = trained.iter().enumerate().map(line);
    let series: Vec<Series> = lines.filter(|one| !one.points.is_empty()).collect();
    let points = series.iter().flat_map(|one| &one.points);
    let Some(y) = Axis::around(unit, points.map(|point| point.1)) else {
        return Ok(Panel::left_out(title, "no epoch has such a figure yet"));
    };
    let epochs = trained.iter().flat_map(|one| &one.epochs);
    let last = epochs.map(|epoch| epoch.epoch).max().unwrap_or(1);
    let x = Axis::counting("epoch", last);
    Panel::marked(title, caption, (&x, &y), &series, &marks(trained))
}

/// As [`marks`], on an axis of steps.
fn marks_by_step(trained: &[Trained]) -> Vec<Mark> {
    let stages = common_stages(trained);
    let n = stages.len();
    let mut done = 0;
    let mark = |stage: Stage| {
        let at = done as f64;
        done += stage.steps;
        Mark {
            at,
            name: stage.name,
        }
    };
    let marks: Vec<Mark> = stages.into_iter().map(mark).collect();
    if n > 1 { marks } else { Vec::new() }
}

/// Where each stage begins, where there are several.
fn marks(trained: &[Trained]) -> Vec<Mark> {
    let stages = common_stages(trained);
    let mark = |stage: Stage| Mark {
        at: stage.epochs.0 as f64 - 0.5,
        name: stage.name,
    };
    match stages.len() {
        0 | 1 => Vec::new(),
        _ => stages.into_iter().map(mark).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epochs(lines: &[&str]) -> Vec<EpochReport> {
        let whole = |line: &&str| {
            format!(
                "{{{line},\"loss\":1,\"learning_rate\":0,\"seconds\":1,\"tokens_per_second\":1}}"
            )
        };
        let parsed = |line| serde_json::from_str(&whole(line)).expect("a line of metrics");
        lines.iter().map(parsed).collect()
    }

    fn trained(lines: &[&str]) -> Trained {
        Trained {
            name: String::new(),
            epochs: epochs(lines),
        }
    }

    const FIRST: &str =
        r#""epoch":1,"steps":4,"stage":"adapt","objective":"mlm","metric":"spearman","mlm_loss":5"#;
    const SECOND: &str = r#""epoch":2,"steps":10,"stage":"rank","objective":"cosent","metric":"spearman","valid_score":0.5,"label_loss":1"#;
    const THIRD: &str = r#""epoch":3,"steps":16,"stage":"rank","objective":"cosent","metric":"spearman","valid_score":0.6,"label_loss":0.5"#;

    #[test]
    fn stages_are_told_apart_and_marked_where_all_runs_go_the_same_way() {
        let whole = trained(&[FIRST, SECOND, THIRD]);
        let found = stages(&whole.epochs);
        let second = Stage {
            name: "rank".to_owned(),
            objective: ObjectiveName::Cosent,
            epochs: (2, 3),
            steps: 12,
        };
        assert_eq!((found.len(), &found[1]), (2, &second));
        assert_eq!(common_stages(&[whole, trained(&[FIRST])]).len(), 2);
        let other = SECOND.replace("rank", "other");
        let ways = [trained(&[FIRST, SECOND]), trained(&[FIRST, &other])];
        assert!(common_stages(&ways).is_empty() && marks(&ways).is_empty());
        let at = marks(&[trained(&[FIRST, SECOND])]);
        assert_eq!((at.len(), at[1].at), (2, 1.5));
    }

    #[test]
    fn every_part_of_the_loss_has_a_panel_and_the_metric_is_first() {
        let own = SECOND.replace("label_loss", "<b>_loss");
        let panels = training(&[trained(&[FIRST, &own, THIRD])]).expect("charts");
        let titles: Vec<&str> = panels.iter().map(|panel| panel.title.as_str()).collect();
        let expected = [
            "Validation Spearman by epoch",
            "Label loss by epoch",
            "Masked-token loss by epoch",
            "Loss <b> by epoch",
        ];
        assert_eq!(titles, expected);
    }

    #[test]
    fn losses_within_the_epoch_are_drawn_by_step_with_the_loss_of_the_rows_held_out() {
        let curve = r#","scores":{"log_loss":0.6},"curve":[{"step":2,"loss":3,"learning_rate":1,"label_loss":2,"mlm_loss":5},
            {"step":4,"loss":2,"learning_rate":1,"label_loss":1,"mlm_loss":4}]"#;
        let line =
            format!(r#""epoch":1,"steps":4,"valid_auc":0.75,"mlm_loss":5,"label_loss":0.7{curve}"#);
        let panels = training(&[trained(&[&line])]).expect("charts");
        let titles: Vec<&str> = panels.iter().map(|panel| panel.title.as_str()).collect();
        let expected = [
            "Validation AUC by epoch",
            "Label loss by step",
            "Masked-token loss by step",
        ];
        assert_eq!(titles, expected);
        let legend = |at: usize| -> Vec<String> {
            let figure = panels[at].figure.as_ref().expect("a chart");
            figure
                .legend
                .iter()
                .map(|(_, _, name)| name.clone())
                .collect()
        };
        assert_eq!(legend(1), ["training", "validation"]);
        assert!(legend(2).is_empty());
    }

    #[test]
    fn a_loss_that_begins_high_has_a_logarithmic_scale() {
        let of = |losses: [f64; 2]| {
            let points = (0..)
                .zip(losses)
                .map(|(step, loss)| (f64::from(step), loss));
            let mut series = [Series::line("", Style::nth(0), points.collect())];
            let (_, is_logarithmic) = axis_of_losses("loss", &mut series).expect("losses");
            (is_logarithmic, series[0].points[1].1)
        };
        let (is_logarithmic, last) = of([15.0, 0.1]);
        assert!(is_logarithmic && (last - -1.0).abs() < 1e-12);
        assert_eq!(of([1.5, 0.5]), (false, 0.5));
        assert!(!of([15.0, 0.0]).0 && !of([15.0, -1.0]).0);
    }

    #[test]
    fn lines_of_earlier_versions_show_their_auc() {
        let old =
            trained(&[r#""epoch":1,"steps":4,"valid_auc":0.75,"mlm_loss":5,"label_loss":0.7"#]);
        let panels = training(&[old]).expect("charts");
        assert_eq!(panels[0].title, "Validation AUC by epoch");
        assert!(panels.iter().all(|panel| panel.figure.is_ok()));
    }

    #[test]
    fn without_epochs_there_is_one_panel_that_says_so() {
        let panels = training(&[trained(&[])]).expect("no chart");
        let reasons = panels
            .into_iter()
            .map(|panel| panel.figure.expect_err("none"));
        assert_eq!(reasons.collect::<Vec<_>>(), ["no epoch is done yet"]);
    }
}
