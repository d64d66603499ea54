//! What the report shows of rows with several labels: AUC, F1 and rows by label.
//!
//! In: targets and scores of a run. Out: a table as HTML. Names of labels are input and are escaped.

use indicatif::HumanCount;
use maud::{Markup, html};

use super::classes::ClassCounts;
use super::page::{self, Cell};
use super::read::ReportedRun;
use super::text::{figure, percent};
use crate::metrics::auc;
use crate::workbench::run_folder::scores::Scored;

/// A label among all rows.
#[derive(Debug, Clone, Copy, PartialEq)]
struct OfLabel {
    counts: ClassCounts,
    auc: Option<f64>,
}

/// The figures of one label, said from logit 0 on.
fn of_label(scored: &Scored, label: usize) -> OfLabel {
    let scores = scored.scores.column(label);
    let holds: Vec<bool> = (scored.targets.iter())
        .map(|target| target.holds(label as u32) == Some(true))
        .collect();
    let mut counts = ClassCounts::default();
    for (&holds, &score) in holds.iter().zip(&scores) {
        counts.add(holds, score >= 0.0);
    }
    OfLabel {
        counts,
        auc: auc(&holds, &scores),
    }
}

/// One row a label.
pub fn section(run: &ReportedRun) -> Markup {
    let rows = run.scored.rows.len();
    let row = |(label, name): (usize, &String)| {
        let found = of_label(&run.scored, label);
        let count = |n: u64| Cell::number(Some(HumanCount(n).to_string()));
        let share = found.counts.rows as f64 / rows as f64;
        vec![
            Cell::wide(name.as_str()),
            count(found.counts.rows),
            Cell::number(Some(percent(share))),
            count(found.counts.said),
            Cell::number(found.auc.map(figure)),
            Cell::number(found.counts.precision().map(percent)),
            Cell::number(found.counts.recall().map(percent)),
            Cell::number(found.counts.f1().map(figure)),
        ]
    };
    let header = [
        "label",
        "rows",
        "of all",
        "said",
        "AUC",
        "precision",
        "recall",
        "F1",
    ];
    html! {
        @if rows > 0 {
            h2 { "Labels" }
            p { "Said, precision, recall and F1 from " (if run.are_logits { "logit 0" } else { "score 0" }) " on. A label that all rows have, or none, has no AUC." }
            (page::table(&header, &run.task().classes.iter().enumerate().map(row).collect::<Vec<_>>()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Scores, Target};

    #[test]
    fn a_label_by_hand() {
        let scored = Scored {
            rows: vec![0, 1, 2],
            targets: [vec![0, 1], vec![1], vec![]].map(Target::Several).to_vec(),
            scores: Scores {
                width: 2,
                values: vec![0.5, -1.0, 1.0, 2.0, -1.0, -3.0],
            },
            folds: None,
        };
        let first = of_label(&scored, 0);
        let counts = ClassCounts {
            rows: 1,
            said: 2,
            hits: 1,
        };
        assert_eq!((first.counts, first.auc), (counts, Some(0.5)));
        assert_eq!(of_label(&scored, 1).auc, Some(1.0));
    }
}
