//! What the report shows of rows with one class each: the confusion matrix, and precision, recall and F1 by class.
//!
//! In: targets and scores of a run. Out: numbers, and their tables as HTML. Names of classes are input and are escaped.

use indicatif::HumanCount;
use maud::{Markup, html};

use super::page::{self, Cell};
use super::read::ReportedRun;
use super::text::{figure, percent};
use crate::metrics::likeliest;
use crate::workbench::run_folder::scores::Scored;

/// Classes of the confusion matrix, the most frequent ones; the rest are one.
const MOST_CLASSES: usize = 30;
/// With more classes than this the columns have numbers for names.
const NAMED_COLUMNS: usize = 8;
/// The colour of a cell with all rows of its class, of 100: less, so that the text on it can be read.
const DEEPEST: f64 = 45.0;

/// Rows by true and said class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confusion {
    /// The classes that stand for themselves, the most frequent first.
    pub shown: Vec<u32>,
    /// Rows by true class, then by said class; one entry a shown class, and one for all others where there are any.
    pub counts: Vec<Vec<u64>>,
}

/// How well one class is told from all others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ClassCounts {
    /// Rows of the class.
    pub rows: u64,
    /// Rows that are said to be of it.
    pub said: u64,
    /// Rows that are both.
    pub hits: u64,
}

impl ClassCounts {
    /// Share of the said rows that are right.
    pub fn precision(self) -> Option<f64> {
        (self.said > 0).then(|| self.hits as f64 / self.said as f64)
    }

    /// Share of the rows that are found.
    pub fn recall(self) -> Option<f64> {
        (self.rows > 0).then(|| self.hits as f64 / self.rows as f64)
    }

    /// The harmonic mean of both.
    pub fn f1(self) -> Option<f64> {
        let all = self.rows + self.said;
        (all > 0).then(|| 2.0 * self.hits as f64 / all as f64)
    }

    /// Counts a row that is, or is said to be, of the class.
    pub fn add(&mut self, is: bool, said: bool) {
        self.rows += u64::from(is);
        self.said += u64::from(said);
        self.hits += u64::from(is && said);
    }
}

/// One entry a class.
pub fn by_class(scored: &Scored, n: usize) -> Vec<ClassCounts> {
    let mut counts = vec![ClassCounts::default(); n];
    for (class, said) in pairs(scored) {
        counts[class as usize].add(true, said == class);
        if said != class {
            counts[said as usize].add(false, true);
        }
    }
    counts
}

/// The matrix of `n` classes, of which at most `most` stand for themselves.
pub fn confusion(scored: &Scored, n: usize, most: usize) -> Confusion {
    let counts = by_class(scored, n);
    let mut shown: Vec<u32> = (0..n as u32).collect();
    shown.sort_by_key(|&class| std::cmp::Reverse(counts[class as usize].rows)); // stable
    shown.truncate(most);
    let size = shown.len() + usize::from(n > shown.len());
    let mut place = vec![shown.len(); n];
    for (at, &class) in shown.iter().enumerate() {
        place[class as usize] = at;
    }
    let mut cells = vec![vec![0; size]; size];
    for (class, said) in pairs(scored) {
        cells[place[class as usize]][place[said as usize]] += 1;
    }
    Confusion {
        shown,
        counts: cells,
    }
}

/// True and said class of each row.
fn pairs(scored: &Scored) -> impl Iterator<Item = (u32, u32)> {
    let rows = scored.targets.iter().zip(scored.scores.rows());
    rows.filter_map(|(target, row)| Some((target.class()?, likeliest(row))))
}

/// Both tables.
pub fn section(run: &ReportedRun) -> Markup {
    let classes = &run.task().classes;
    if run.scored.rows.is_empty() {
        return html! {};
    }
    let matrix = confusion(&run.scored, classes.len(), MOST_CLASSES);
    html! {
        h2 { "Confusion" }
        p {
            "Rows of each class, and which class the model says of them: their number, and their share of the row. "
            @if classes.len() > MOST_CLASSES {
                "The " (MOST_CLASSES) " most frequent classes stand for themselves; the rest are one, in which a wrong class of the rest counts as right."
            }
        }
        (matrix_table(&matrix, classes))
        h2 { "Classes" }
        (class_table(&run.scored, classes, &matrix.shown))
    }
}

fn matrix_table(matrix: &Confusion, classes: &[String]) -> Markup {
    let are_named = matrix.counts.len() <= NAMED_COLUMNS;
    let name = |at: usize| match matrix.shown.get(at) {
        Some(&class) => classes[class as usize].as_str(),
        None => "others",
    };
    let width = 0..matrix.counts.len();
    html! {
        div.box tabindex="0" {
            table.matrix {
                thead {
                    tr {
                        th scope="col" { "class ↓ said →" }
                        @for at in width.clone() {
                            th.number scope="col" title=(name(at)) { @if are_named { (name(at)) } @else { (at + 1) } }
                        }
                        th.number scope="col" { "rows" }
                    }
                }
                tbody {
                    @for (at, counts) in matrix.counts.iter().enumerate() {
                        @let rows: u64 = counts.iter().sum();
                        tr {
                            th.name scope="row" title=(name(at)) { @if !are_named { (at + 1) " · " } (name(at)) }
                            @for (said, &count) in counts.iter().enumerate() { (matrix_cell(count, rows, at == said)) }
                            td.number { (HumanCount(rows)) }
                        }
                    }
                }
            }
        }
    }
}

/// Count over share, the deeper in colour the larger the share.
fn matrix_cell(count: u64, rows: u64, is_right: bool) -> Markup {
    if count == 0 {
        return html! { td.number.none { "·" } };
    }
    let share = count as f64 / rows as f64;
    let depth = format!("--depth: {:.0}%", DEEPEST * share);
    html! {
        td.number.right[is_right].wrong[!is_right] style=(depth) {
            (HumanCount(count)) br; small { (format!("{:.0} %", 100.0 * share)) }
        }
    }
}

/// Shown classes first; the others open on demand.
fn class_table(scored: &Scored, classes: &[String], shown: &[u32]) -> Markup {
    let counts = by_class(scored, classes.len());
    let row = |class: usize| {
        let of = counts[class];
        let mut cells = vec![
            Cell::wide(classes[class].as_str()),
            Cell::number(Some(HumanCount(of.rows).to_string())),
            Cell::number(Some(HumanCount(of.said).to_string())),
        ];
        cells.extend([of.precision(), of.recall()].map(|share| Cell::number(share.map(percent))));
        cells.push(Cell::number(of.f1().map(figure)));
        cells
    };
    let header = ["class", "rows", "said", "precision", "recall", "F1"];
    let first: Vec<Vec<Cell>> = shown.iter().map(|&class| row(class as usize)).collect();
    let others = (0..classes.len()).filter(|&class| !shown.contains(&(class as u32)));
    let others: Vec<Vec<Cell>> = others.map(row).collect();
    html! {
        (page::table(&header, &first))
        @if !others.is_empty() {
            details {
                summary { "The other " (others.len()) " classes" }
                (page::table(&header, &others))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Scores, Target};

    /// True classes 0 0 0 1 1 2, said 0 0 1 1 2 2.
    fn scored() -> Scored {
        let said = [0, 0, 1, 1, 2, 2];
        let values = said
            .iter()
            .flat_map(|&said| (0..3).map(move |class| f32::from(u8::from(class == said))));
        Scored {
            rows: (0..6).collect(),
            targets: [0, 0, 0, 1, 1, 2].map(Target::Class).to_vec(),
            scores: Scores {
                width: 3,
                values: values.collect(),
            },
            folds: None,
        }
    }

    #[test]
    fn confusion_and_classes_by_hand() {
        let whole = confusion(&scored(), 3, 30);
        assert_eq!(whole.shown, [0, 1, 2]);
        assert_eq!(whole.counts, [[2, 1, 0], [0, 1, 1], [0, 0, 1]]);
        let cut = confusion(&scored(), 3, 1);
        assert_eq!(
            (cut.shown, cut.counts),
            (vec![0], vec![vec![2, 1], vec![0, 3]])
        );
        let second = by_class(&scored(), 3)[1];
        assert_eq!((second.rows, second.said, second.hits), (2, 2, 1));
        assert_eq!(second.precision(), Some(0.5));
        assert_eq!(second.f1(), Some(0.5));
        assert_eq!(ClassCounts::default().recall(), None);
    }

    #[test]
    fn names_of_classes_are_escaped() {
        let evil = "<b onclick=\"x\">";
        let classes = [evil, "1", "2"].map(str::to_owned);
        let matrix = confusion(&scored(), 3, 30);
        let markup = html! {
            (matrix_table(&matrix, &classes)) (class_table(&scored(), &classes, &matrix.shown))
        };
        let text = markup.into_string();
        assert!(!text.contains("<b "), "{text}");
        assert_eq!(text.matches("&lt;b onclick=&quot;x&quot;&gt;").count(), 5);
    }
}
