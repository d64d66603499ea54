//! The page of an audit: for whoever decides whether a file may be published.
//!
//! In: an [`AuditReport`] and the files that it is about. Out: one self-contained HTML page as that of a run, in the order in which
//! an owner asks: how much comes back, by whom, which ids, what helps. Names ids and no plaintext.

use std::path::PathBuf;

use maud::{Markup, html};

use super::findings::{AuditReport, Reversible};
use crate::error::Result;
use crate::workbench::align::{BandReport, ExposedId};
use crate::workbench::report::figures::Panel;
use crate::workbench::report::page::{self, Card, Cell};
use crate::workbench::report::plots::{Axis, Series, Shape, Style};
use crate::workbench::report::text::{duration, percent};

/// The page of an audit of `files` with the plaintext in `plain`.
///
/// # Errors
/// Those of the chart.
pub fn page(report: &AuditReport, files: &[PathBuf], plain: &[PathBuf]) -> Result<String> {
    let advice = &report.owner_can;
    let body = html! {
        (page::cards(&cards(report)))
        h2 { "What was found" }
        p { (report.statement) }
        h2 { "What an attacker needs" }
        p { "An attacker needs " (report.attacker_needs) "." }
        (exposed(report))
        (page::figures("By frequency", &[by_frequency(&report.figures.bands)?]))
        (bands(&report.figures.bands))
        h2 { "What an owner can do" }
        ul { @for one in advice { li { (one) } } }
        (figures(report))
        h2 { "What went in" }
        (page::table(&["role", "file"], &inputs(files, plain)))
    };
    let about = "How much of a desensitised file comes back from public plaintext alone.";
    Ok(page::page("Audit of a masking", about, &body))
}

fn cards(report: &AuditReport) -> Vec<Card> {
    let figures = &report.figures;
    let card = |label: &str, value: String, more: &str| Card {
        label: label.to_owned(),
        value,
        more: more.to_owned(),
    };
    let measured = figures
        .token_accuracy
        .map(|share| (share, "measured with the key"));
    let estimated = figures
        .estimate
        .share
        .map(|share| (share, "estimated without the key"));
    let reversible = match report.reversible {
        Reversible::Largely => "largely reversible",
        Reversible::Partly => "partly reversible",
        Reversible::Hardly => "hardly reversible",
        Reversible::CannotTell => "not known to be safe",
    };
    let share = match measured.or(estimated) {
        Some((share, how)) => card(
            "Tokens given back",
            percent(share),
            &format!("{reversible}; {how}"),
        ),
        None => card("Tokens given back", "cannot tell".to_owned(), reversible),
    };
    let quality = &figures.quality;
    let order = quality.order_share().map(|share| percent(share.max(0.0)));
    let restarts = format!("searches from {} starts", quality.restarts);
    vec![
        share,
        card(
            "Order, as in plaintext",
            order.unwrap_or_else(|| "none".to_owned()),
            "of ids held out; below 25 % nothing is told",
        ),
        card("Agreement", percent(quality.stability), &restarts),
        card("Time", duration(figures.seconds), "on this machine"),
    ]
}

fn exposed(report: &AuditReport) -> Markup {
    let row = |one: &ExposedId| {
        vec![
            Cell::text(one.id.as_str()),
            Cell::number(Some(percent(one.tokens))),
            Cell::number(Some(percent(one.confidence))),
        ]
    };
    let rows: Vec<Vec<Cell>> = report.figures.exposed.iter().map(row).collect();
    html! {
        h2 { "Most exposed ids" }
        @if rows.is_empty() {
            p { "None is known to be told." }
        } @else {
            p { "The frequent ids whose plaintext is the surest." }
            (page::table(&["id", "of all tokens", "chance that it is told"], &rows))
        }
    }
}

fn names(bands: &[BandReport]) -> Vec<String> {
    bands
        .iter()
        .map(|band| format!("{} to {}", band.first, band.last))
        .collect()
}

/// Shares of the tokens by frequency of their ids.
fn by_frequency(bands: &[BandReport]) -> Result<Panel> {
    let title = "Tokens given back, by frequency of the id";
    let line = |name: &str, style: usize, value: fn(&BandReport) -> Option<f64>| {
        let numbered = bands.iter().enumerate();
        let points = numbered.filter_map(|(at, band)| Some((at as f64, value(band)?)));
        Series::line(name, Style::nth(style), points.collect()).shaped(Shape::DottedLine)
    };
    let lines = [
        line(
            "more right than wrong, by the alignment itself",
            0,
            |band| band.trusted,
        ),
        line("right by the key", 1, |band| band.token_accuracy),
    ];
    let series: Vec<Series> = lines
        .into_iter()
        .filter(|line| !line.points.is_empty())
        .collect();
    if series.is_empty() {
        return Ok(Panel::left_out(title, "it cannot be told"));
    }
    let caption = "Ids from the most frequent to the rarest. Frequent ids come back first.";
    let ends: Vec<String> = bands.iter().map(|band| band.last.to_string()).collect();
    let axes = (
        &Axis::names("ids by rank, up to", &ends),
        &Axis::shares("share of the band's tokens"),
    );
    Panel::drawn(title, caption, axes, &series)
}

fn bands(bands: &[BandReport]) -> Markup {
    let share = |share: Option<f64>| Cell::number(share.map(percent));
    let has_key = bands.iter().any(|band| band.token_accuracy.is_some());
    let row = |(band, name): (&BandReport, String)| {
        let mut row = vec![
            Cell::text(name),
            share(Some(band.tokens)),
            share(band.trusted),
        ];
        if has_key {
            row.push(share(band.token_accuracy));
        }
        row
    };
    let rows: Vec<Vec<Cell>> = bands.iter().zip(names(bands)).map(row).collect();
    let header = [
        "ids by rank",
        "of all tokens",
        "more right than wrong",
        "right by the key",
    ];
    html! {
        @if !rows.is_empty() {
            (page::table(&header[..if has_key { 4 } else { 3 }], &rows))
        }
    }
}

/// What was measured, for those who want to know how.
fn figures(report: &AuditReport) -> Markup {
    let (figures, quality) = (&report.figures, &report.figures.quality);
    let row = |what: String, value: String| vec![Cell::wide(what), Cell::Number(value)];
    let mut rows = vec![
        row(
            "ids with a candidate".to_owned(),
            format!("{} of {}", quality.matched, quality.cipher_types),
        ),
        row(
            "tokens in the rows".to_owned(),
            figures.cipher_tokens.to_string(),
        ),
        row(
            format!("plaintext tokens by {}", quality.unit.name()),
            quality.plain_types.to_string(),
        ),
        row(
            "pairs that are each other's best".to_owned(),
            quality.mutual_best.to_string(),
        ),
        row(
            "log-likelihood a token".to_owned(),
            format!("{:.3}", quality.likelihood),
        ),
        row(
            "the same by frequency rank".to_owned(),
            format!("{:.3}", quality.likelihood_rank),
        ),
        row(
            "the same with the pairs shuffled".to_owned(),
            format!("{:.3}", quality.likelihood_shuffled),
        ),
    ];
    for trial in &quality.units {
        let likelihood = format!("{:.3}", trial.likelihood);
        rows.push(row(
            format!("the same by {}", trial.unit.name()),
            likelihood,
        ));
    }
    html! {
        h2 { "How it was measured" }
        p {
            "Ids are aligned with plaintext tokens by the company they keep. What an estimate is worth without a key was fitted on \
             ciphers whose key is known; where order or agreement are too low, no figure is given."
        }
        (page::table(&["figure", "value"], &rows))
    }
}

fn inputs(files: &[PathBuf], plain: &[PathBuf]) -> Vec<Vec<Cell>> {
    let row =
        |role: &str, path: &PathBuf| vec![Cell::text(role), Cell::wide(path.display().to_string())];
    let masked = files.iter().map(|path| row("desensitised", path));
    masked
        .chain(plain.iter().map(|path| row("plaintext", path)))
        .collect()
}
