//! `cipherpet board`: all runs at a glance.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::path::PathBuf;

use clap::Args;
use comfy_table::{CellAlignment, ContentArrangement, LineStyle, Table, TableStyle, presets};

use super::{Session, output};
use crate::error::{Error, Result};
use crate::workbench::board::{self as job, Board, Row};
use crate::workbench::run_folder::manifest::State;

/// Arguments of `board`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cipherpet board
  cipherpet board experiments/runs --csv > runs.csv

Runs of one metric stand together, best first. The score of a run of folds is that of all its
out-of-fold scores together, as the models gave them; beside it stands the mean of the folds, each
by itself, ± their standard deviation. Where the two are far apart, the folds have different scales.
A run whose score is missing is sorted by the mean of its folds so far. The baseline is what the
same rows give away without a network: the share of common tokens of pairs, TF-IDF of single texts.
By another metric than the score its name stands beside it, and the two are not to be compared.
Minutes that are `shared` are those of first stages that look at no label: they are trained
once, and other runs and folds find them done.
Speed, size, precision and the tool's version are in --json and --csv, which round nothing.")]
pub struct BoardArguments {
    /// Folder of run folders, at any depth up to 4
    #[arg(default_value = "runs")]
    dir: PathBuf,
    /// Print one JSON object
    #[arg(long, group = "form")]
    json: bool,
    /// Print CSV
    #[arg(long, group = "form")]
    csv: bool,
    /// Print a Markdown table
    #[arg(long, group = "form")]
    md: bool,
}

/// One line under the header; no colours, so nothing to turn off.
const RULED: TableStyle =
    TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

pub fn board(arguments: &BoardArguments, session: &Session) -> Result<()> {
    let board = job::board(&arguments.dir)?;
    for skipped in &board.skipped {
        session.note(&format!(
            "left out {}: {}",
            skipped.run.display(),
            skipped.reason
        ));
    }
    if board.runs.is_empty() {
        session.note(&format!("no runs in {}", arguments.dir.display()));
    }
    let text = match (arguments.csv, arguments.md) {
        (true, _) => csv(&board)?,
        (_, true) => table(&board, presets::ASCII_MARKDOWN, &markdown, None),
        _ => table(&board, RULED, &str::to_owned, terminal_width()),
    };
    output::print(&board, &text, arguments.json)
}

fn csv(board: &Board) -> Result<String> {
    let failed =
        |error: &dyn std::fmt::Display| Error::Unexpected(format!("board as CSV: {error}"));
    let mut rows = csv::Writer::from_writer(Vec::new());
    for row in &board.runs {
        rows.serialize(row).map_err(|error| failed(&error))?;
    }
    let bytes = rows.into_inner().map_err(|error| failed(&error))?;
    let mut reader = csv::ReaderBuilder::new();
    let mut rows = reader.has_headers(false).from_reader(&bytes[..]);
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows.records() {
        let row = row.map_err(|error| failed(&error))?;
        let written = writer.write_record(row.iter().map(|cell| no_formula(cell).into_owned()));
        written.map_err(|error| failed(&error))?;
    }
    let bytes = writer.into_inner().map_err(|error| failed(&error))?;
    String::from_utf8(bytes).map_err(|error| failed(&error))
}

/// A cell that a spreadsheet would run as a formula, as text (OWASP, CSV injection): notes and names of folders may come from
/// others.
fn no_formula(cell: &str) -> Cow<'_, str> {
    let is_formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
    match is_formula && cell.parse::<f64>().is_err() {
        true => Cow::Owned(format!("'{cell}")),
        false => Cow::Borrowed(cell),
    }
}

/// Columns fit into `width`; without one, lines are as long as they are.
fn table(
    board: &Board,
    style: TableStyle,
    escape: &dyn Fn(&str) -> String,
    width: Option<u16>,
) -> String {
    let columns: Vec<Column> = columns()
        .into_iter()
        .filter(|one| one.is_wanted(board))
        .collect();
    let mut table = Table::new();
    table.load_style(style);
    table.set_header(columns.iter().map(|column| column.title));
    if let Some(width) = width {
        table
            .set_width(width)
            .set_content_arrangement(ContentArrangement::Dynamic);
    }
    for row in &board.runs {
        table.add_row(
            columns
                .iter()
                .map(|column| escape(&or_dash((column.cell)(row)))),
        );
    }
    for (column, shown) in table.column_iter_mut().zip(&columns) {
        column.set_cell_alignment(shown.alignment);
    }
    let lines = table.lines().map(|line| line.trim_end().to_owned());
    lines.collect::<Vec<_>>().join("\n")
}

/// A column of the table; one in which no run has a cell is left out.
struct Column {
    title: &'static str,
    alignment: CellAlignment,
    cell: fn(&Row) -> Option<String>,
}

impl Column {
    fn is_wanted(&self, board: &Board) -> bool {
        let metrics = board.runs.iter().map(|row| row.metric);
        match self.title {
            "metric" => metrics.collect::<BTreeSet<_>>().len() > 1,
            "run" | "score" => true,
            _ => board.runs.iter().any(|row| (self.cell)(row).is_some()),
        }
    }
}

fn columns() -> Vec<Column> {
    let column = |title, alignment, cell| Column {
        title,
        alignment,
        cell,
    };
    let (left, right) = (CellAlignment::Left, CellAlignment::Right);
    vec![
        column("run", left, |row| Some(row.run.display().to_string())),
        column("metric", left, |row| {
            Some(row.metric.metric().title.to_owned())
        }),
        column("score", right, |row| {
            row.score.map(|score| format!("{score:.5}"))
        }),
        column("mean of folds", left, folds),
        column("baseline", right, baseline),
        column("minutes", right, |row| {
            let shared = row
                .shared_minutes
                .map_or(String::new(), |minutes| format!(" + {minutes:.1} shared"));
            row.minutes.map(|minutes| format!("{minutes:.1}{shared}"))
        }),
        column("settings that differ", left, |row| {
            Some(row.differs.clone()).filter(|differs| !differs.is_empty())
        }),
        column("public score", left, |row| {
            let score = row.public_score?;
            Some(match &row.public_note {
                Some(note) => format!("{score} ({note})"),
                None => score.to_string(),
            })
        }),
    ]
}

/// With the name of its metric, where that is not the one of the score.
fn baseline(row: &Row) -> Option<String> {
    let score = row.baseline_score?;
    Some(match row.baseline_metric {
        Some(metric) if metric != row.metric => format!("{} {score:.4}", metric.metric().title),
        _ => format!("{score:.4}"),
    })
}

/// Mean and standard deviation of the folds that are done, and how many those are; the state of a run without folds.
fn folds(row: &Row) -> Option<String> {
    if row.folds == 0 {
        return match row.state {
            State::Done => None,
            State::Begun => Some("begun".to_owned()),
            State::Reopened => Some("reopened".to_owned()),
        };
    }
    let spread = row
        .fold_score_sd
        .map_or(String::new(), |sd| format!(" ± {sd:.5}"));
    let mean = row
        .fold_score_mean
        .map_or(String::new(), |mean| format!("{mean:.5}{spread}, "));
    Some(format!("{mean}{} of {}", row.folds_done, row.folds))
}

fn or_dash(text: Option<String>) -> String {
    text.unwrap_or_else(|| "-".to_owned())
}

/// A bar ends a cell of Markdown, a line break the row, and what looks like HTML is taken for it: names of folders and notes may
/// come from others.
fn markdown(cell: &str) -> String {
    cell.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('\\', "\\\\")
        .replace('|', "\\|")
        .replace(['\n', '\r'], " ")
}

fn terminal_width() -> Option<u16> {
    let size = || console::Term::stdout().size_checked();
    if std::io::stdout().is_terminal() {
        size().map(|(_, columns)| columns)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::MetricName;

    fn row(run: &str) -> Row {
        Row {
            run: run.into(),
            state: State::Done,
            config: "5eed5eed".to_owned(),
            metric: MetricName::Auc,
            score: Some(0.875),
            fold_score_mean: Some(0.87),
            fold_score_sd: Some(0.01),
            objective: None,
            stages: Some("mlm → pet".to_owned()),
            auc: Some(0.875),
            fold_auc_mean: Some(0.87),
            fold_auc_sd: Some(0.01),
            folds_done: 5,
            folds: 5,
            minutes: Some(61.25),
            shared_minutes: None,
            tokens_per_second: Some(5120.4),
            parameters: Some(13_250_000),
            precision: Some("f32".to_owned()),
            tool: "cipherpet 0.1.0".to_owned(),
            public_score: Some(0.9),
            public_note: Some("test A".to_owned()),
            baseline_score: Some(0.79),
            baseline_metric: Some(MetricName::Auc),
            differs: "align = graph, seed = 3, epochs = 12, learning_rate = 0.0003".to_owned(),
        }
    }

    #[test]
    fn a_spreadsheet_runs_nothing() {
        let mut run = row("-runs/a");
        run.score = Some(-0.5);
        run.public_note = Some("=HYPERLINK(\"http://x\")".to_owned());
        let board = Board {
            runs: vec![run],
            skipped: Vec::new(),
        };
        let text = csv(&board).expect("CSV");
        let line = text.lines().nth(1).expect("a row");
        assert!(
            line.starts_with("'-runs/a,done,5eed5eed,auc,-0.5,"),
            "{line}"
        );
        assert!(
            line.contains(",0.9,\"'=HYPERLINK(\"\"http://x\"\")\","),
            "{line}"
        );
    }

    #[test]
    fn a_page_shows_nothing_that_a_name_of_a_folder_asks_for() {
        let board = Board {
            runs: vec![row("runs/<img src=x>|a\\&lt;b")],
            skipped: Vec::new(),
        };
        let text = table(&board, presets::ASCII_MARKDOWN, &markdown, None);
        let line = text.lines().last().expect("a row");
        assert!(
            line.starts_with(r"| runs/&lt;img src=x&gt;\|a\\&amp;lt;b |"),
            "{line}"
        );
    }

    #[test]
    fn a_baseline_by_another_metric_than_the_score_names_it() {
        let mut row = row("runs/a");
        assert_eq!(baseline(&row).as_deref(), Some("0.7900"));
        row.metric = MetricName::LogLoss;
        assert_eq!(baseline(&row).as_deref(), Some("AUC 0.7900"));
        row.baseline_score = None;
        assert_eq!(baseline(&row), None);
    }

    #[test]
    fn a_narrow_terminal_wraps_cells_and_loses_none() {
        let board = Board {
            runs: vec![row("runs/a-run-with-a-long-name-5eed5eed"), row("runs/b")],
            skipped: Vec::new(),
        };
        let wide = table(&board, RULED, &str::to_owned, None);
        assert!(
            wide.lines()
                .any(|line| line.contains("0.87500   0.87000 ± 0.01000, 5 of 5"))
        );
        assert_eq!(wide.lines().count(), 4);
        let narrow = table(&board, RULED, &str::to_owned, Some(100));
        for line in narrow.lines() {
            assert!(console::measure_text_width(line) <= 100, "{line}");
        }
        let letters = |text: &str| {
            let mut letters: Vec<char> = text.chars().filter(|c| c.is_alphanumeric()).collect();
            letters.sort_unstable();
            letters
        };
        assert_eq!(letters(&narrow), letters(&wide));
    }
}
