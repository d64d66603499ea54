//! The HTML of a report: one file, no script, nothing fetched.
//!
//! In: headings, figures and tables. Out: HTML text. Made with `maud`, which escapes every value; what stands in
//! [`PreEscaped`] is our own style sheet and our own charts. Knows no runs.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::figures::{Figure, Panel};
use super::plots::{DASHES, Shape, Style};

/// The style sheet, light and dark.
const STYLE: &str = include_str!("style.css");
/// The page may use what it holds itself and nothing else.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";

/// A figure of the first row: what, how much, and what more there is to say.
pub struct Card {
    /// What.
    pub label: String,
    /// How much.
    pub value: String,
    /// Below, smaller; may be empty.
    pub more: String,
}

/// A cell of a table.
#[derive(Debug, Clone)]
pub enum Cell {
    /// Words; may be wrapped where `wide`.
    Text {
        /// What stands there.
        text: String,
        /// A path or a sentence.
        wide: bool,
    },
    /// A number, to the right.
    Number(String),
    /// The best of its column.
    Best(String),
}

impl Cell {
    /// Words on one line.
    pub fn text(text: impl Into<String>) -> Self {
        let text = text.into();
        Self::Text { text, wide: false }
    }

    /// Words that may break.
    pub fn wide(text: impl Into<String>) -> Self {
        let text = text.into();
        Self::Text { text, wide: true }
    }

    /// A number, already as text; none is a dash.
    pub fn number(text: Option<String>) -> Self {
        Self::Number(text.unwrap_or_else(|| "–".to_owned()))
    }

    fn is_number(&self) -> bool {
        !matches!(self, Self::Text { .. })
    }
}

/// The whole page.
pub fn page(title: &str, about: &str, body: &Markup) -> String {
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                link rel="icon" href="data:,";
                title { (title) " · cipherpet" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                main {
                    h1 { (title) }
                    p.about { (about) }
                    (body)
                    footer {
                        "Made by " (concat!("cipherpet ", env!("CARGO_PKG_VERSION")))
                        ". Rows are named by their numbers, from 0 in the order of the files; the page holds no sentences and no plaintext."
                    }
                }
            }
        }
    };
    markup.into_string()
}

/// The first row.
pub fn cards(cards: &[Card]) -> Markup {
    html! {
        dl.cards {
            @for card in cards {
                div {
                    dt { (card.label) }
                    dd.value { (card.value) }
                    @if !card.more.is_empty() { dd.more { (card.more) } }
                }
            }
        }
    }
}

/// Something that one should know before the rest.
pub fn note(text: &str) -> Markup {
    html! { p.note role="note" { (text) } }
}

/// A heading with figures below it.
pub fn figures(title: &str, panels: &[Panel]) -> Markup {
    let shown = panels
        .iter()
        .filter_map(|panel| Some((&panel.title, panel.figure.as_ref().ok()?)));
    let left_out = panels
        .iter()
        .filter_map(|panel| Some((&panel.title, panel.figure.as_ref().err()?)));
    html! {
        h2 { (title) }
        @if panels.iter().any(|panel| panel.figure.is_ok()) {
            div.figures {
                @for (title, figure) in shown {
                    figure {
                        h3 { (title) }
                        (drawn(title, figure))
                    }
                }
            }
        }
        @for (title, reason) in left_out {
            p.left-out { "Left out: " (title) ", as " (reason) "." }
        }
    }
}

fn drawn(title: &str, figure: &Figure) -> Markup {
    let title = html! { (title) }.into_string(); // escaped
    let open = format!("<svg class=\"chart\" role=\"img\" aria-label=\"{title}\" ");
    let svg = figure.svg.replacen("<svg ", &open, 1);
    html! {
        (PreEscaped(svg))
        @if figure.legend.len() > 1 {
            ul.legend {
                @for (style, shape, name) in &figure.legend { li { (swatch(*style, *shape)) (name) } }
            }
        }
        figcaption { (figure.caption) }
        @if let Some((header, rows)) = &figure.table {
            details {
                summary { "As a table" }
                div.scroll { (plain_table(header, rows)) }
            }
        }
    }
}

/// A piece of the line, as it is drawn.
fn swatch(style: Style, shape: Shape) -> Markup {
    html! {
        svg viewBox="0 0 26 10" aria-hidden="true" {
            @if shape == Shape::Dots {
                @for x in [5, 13, 21] { circle cx=(x) cy="5" r="3" fill=(style.css()) {} }
            } @else {
                line x1="0" y1="5" x2="26" y2="5" stroke=(style.css()) stroke-width="2.5" stroke-dasharray=(DASHES[style.dash]) {}
            }
        }
    }
}

fn plain_table(header: &[&str], rows: &[Vec<String>]) -> Markup {
    let cells = |row: &Vec<String>| {
        let (first, rest) = row
            .split_first()
            .map_or((None, &row[..]), |(f, r)| (Some(f), r));
        let first = first.into_iter().map(Cell::text);
        first
            .chain(rest.iter().cloned().map(Cell::Number))
            .collect()
    };
    let rows: Vec<Vec<Cell>> = rows.iter().map(cells).collect();
    bare_table(header, &rows)
}

/// A table in a box that scrolls by itself where it is too wide.
pub fn table(header: &[&str], rows: &[Vec<Cell>]) -> Markup {
    html! { div.box tabindex="0" { (bare_table(header, rows)) } }
}

fn bare_table(header: &[&str], rows: &[Vec<Cell>]) -> Markup {
    let is_number = |column: usize| {
        let first = rows.first().and_then(|row| row.get(column));
        first.is_some_and(Cell::is_number)
    };
    html! {
        table {
            thead {
                tr {
                    @for (column, name) in header.iter().enumerate() {
                        th scope="col" class=[is_number(column).then_some("number")] { (name) }
                    }
                }
            }
            tbody {
                @for row in rows {
                    tr { @for cell in row { (one_cell(cell)) } }
                }
            }
        }
    }
}

fn one_cell(cell: &Cell) -> Markup {
    html! {
        @match cell {
            Cell::Text { text, wide } => td class=[wide.then_some("wide")] { (text) },
            Cell::Number(text) => td.number { (text) },
            Cell::Best(text) => td.number.best { (text) },
        }
    }
}

/// Long text that opens on demand.
pub fn folded(summary: &str, text: &str) -> Markup {
    html! {
        details {
            summary { (summary) }
            pre tabindex="0" { (text) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_escaped() {
        let evil = "</pre><script>alert(\"1\")</script>&";
        let panel = Panel {
            title: evil.to_owned(),
            figure: Err(evil.to_owned()),
        };
        let drawn = Panel {
            title: evil.to_owned(),
            figure: Ok(Figure {
                caption: evil.to_owned(),
                svg: "<svg viewBox=\"0 0 1 1\"></svg>".to_owned(),
                legend: vec![(Style::nth(0), Shape::Line, evil.to_owned()); 2],
                table: None,
            }),
        };
        let card = Card {
            label: evil.to_owned(),
            value: evil.to_owned(),
            more: evil.to_owned(),
        };
        let body = html! {
            (cards(&[card])) (note(evil)) (figures(evil, &[panel, drawn])) (folded(evil, evil))
            (table(&[evil], &[vec![Cell::text(evil)], vec![Cell::wide(evil)], vec![Cell::number(Some(evil.to_owned()))]]))
        };
        let page = page(evil, evil, &body);
        assert!(!page.contains("<script"), "{page}");
        let escaped = "&lt;/pre&gt;&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;&amp;";
        assert_eq!(page.matches(escaped).count(), 21); // one for each place above, the titles of page and chart twice
    }
}
