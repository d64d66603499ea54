//! A figure of a report: a chart with its caption, legend and numbers, or why there is none. And the one figure that asks
//! for no scores: how often tokens stand in the texts.
//!
//! In: axes and series; the tokens of a run as [`read`](super::read) gives them. Out: a [`Panel`]. Other figures stand in
//! `training`, `binary`, `ordinal` and `traits`. Knows no HTML.

use std::collections::BTreeMap;

use super::plots::{Axis, Mark, Series, Shape, Style, draw, extent};
use super::read::{Mapped, ReportedRun};
use crate::error::Result;

/// Dots of the rank-frequency chart.
const RANKS: usize = 160;

/// A place in the report.
#[derive(Debug, Clone)]
pub struct Panel {
    /// Heading.
    pub title: String,
    /// The figure, or why there is none.
    pub figure: std::result::Result<Figure, String>,
}

/// A drawn chart.
#[derive(Debug, Clone)]
pub struct Figure {
    /// What it shows and how to read it.
    pub caption: String,
    /// The chart.
    pub svg: String,
    /// Style, shape and name of each named series.
    pub legend: Vec<(Style, Shape, String)>,
    /// The numbers, where they are few: header and rows.
    pub table: Option<(Vec<&'static str>, Vec<Vec<String>>)>,
}

impl Panel {
    /// Without a figure; the reason follows on "Left out: ".
    pub fn left_out(title: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            figure: Err(reason.into()),
        }
    }

    /// With a chart of the series.
    ///
    /// # Errors
    /// Those of [`draw`].
    pub fn drawn(
        title: impl Into<String>,
        caption: impl Into<String>,
        (x, y): (&Axis, &Axis),
        series: &[Series],
    ) -> Result<Self> {
        Self::marked(title, caption, (x, y), series, &[])
    }

    /// As [`Panel::drawn`], with places on the x axis that have a name.
    ///
    /// # Errors
    /// Those of [`draw`].
    pub fn marked(
        title: impl Into<String>,
        caption: impl Into<String>,
        (x, y): (&Axis, &Axis),
        series: &[Series],
        marks: &[Mark],
    ) -> Result<Self> {
        let named = series.iter().filter(|one| !one.name.is_empty());
        let legend: Vec<_> = named
            .map(|one| (one.style, one.shape, one.name.clone()))
            .collect();
        let figure = Figure {
            caption: caption.into(),
            svg: draw(x, y, series, marks)?,
            legend,
            table: None,
        };
        Ok(Self {
            title: title.into(),
            figure: Ok(figure),
        })
    }

    /// With its numbers.
    pub fn with_table(mut self, header: Vec<&'static str>, rows: Vec<Vec<String>>) -> Self {
        if let Ok(figure) = &mut self.figure {
            figure.table = Some((header, rows));
        }
        self
    }
}

/// Rank and frequency of cipher tokens and of the plaintext tokens they start from.
pub fn rank_frequency(run: &ReportedRun) -> Result<Panel> {
    let title = "Rank and frequency";
    let mut rows = run.mapping.clone();
    rows.sort_by_key(|row| std::cmp::Reverse(row.count)); // stable
    if rows.is_empty() {
        return Ok(Panel::left_out(title, "there is no mapping.tsv"));
    }
    let ranks = spread_ranks(rows.len());
    let per_million = |count: u64, all: u64| (1e6 * count as f64 / all as f64).log10();
    let curve = |counts: &[u64], all: u64| -> Vec<(f64, f64)> {
        let known = ranks
            .iter()
            .filter_map(|&rank| Some((rank, *counts.get(rank)?)));
        let point = |(rank, count)| (((rank + 1) as f64).log10(), per_million(count, all));
        known.filter(|&(_, count)| count > 0).map(point).collect()
    };
    let cipher: Vec<u64> = rows.iter().map(|row| row.count).collect();
    let started: Vec<u64> = rows.iter().map(|row| row.plain_count).collect();
    let plain = plain_counts(&rows);
    let (n_cipher, n_plain) = (cipher.iter().sum(), plain.iter().sum());
    let series = [
        Series::line(
            "plaintext token that the cipher token starts from",
            Style {
                colour: Some(2),
                dash: 0,
            },
            curve(&started, n_plain),
        )
        .shaped(Shape::Dots),
        Series::line(
            "plaintext, in its own order",
            Style::nth(1),
            curve(&plain, n_plain),
        ),
        Series::line("cipher", Style::nth(0), curve(&cipher, n_cipher)),
    ];
    let series: Vec<Series> = series
        .into_iter()
        .filter(|one| !one.points.is_empty())
        .collect();
    let all = || series.iter().flat_map(|one| &one.points);
    let (Some(x), Some(y)) = (
        extent(all().map(|point| point.0)),
        extent(all().map(|point| point.1)),
    ) else {
        return Ok(Panel::left_out(title, "the mapping has no counts"));
    };
    let caption = match plain.first() {
        Some(0) | None => {
            "How often each token stands in the pairs. No plaintext is counted, so nothing is aligned."
        }
        _ => {
            "How often each token stands in the pairs and in the plaintext. Dots on the plaintext line: aligned by frequency \
             alone; dots around it: by more than that. Two lines of one form are two texts of one kind."
        }
    };
    let x = Axis::decades("rank of the cipher token", (0.0, x.1 + 0.05));
    let y = Axis::decades("count per million tokens", (y.0 - 0.1, y.1 + 0.1));
    Panel::drawn(title, caption, (&x, &y), &series)
}

/// Counts of the plaintext tokens that are started from, each once, the most frequent first.
fn plain_counts(rows: &[Mapped]) -> Vec<u64> {
    let tokens = rows
        .iter()
        .map(|row| (row.plain_token.as_str(), row.plain_count));
    let tokens: BTreeMap<&str, u64> = tokens.collect();
    let mut counts: Vec<u64> = tokens.into_values().collect();
    counts.sort_unstable_by(|a, b| b.cmp(a));
    counts
}

/// At most [`RANKS`] ranks below `n`, the first ones all, then ever wider apart.
fn spread_ranks(n: usize) -> Vec<usize> {
    let step = (n as f64).ln() / RANKS as f64;
    let mut ranks: Vec<usize> = (0..=RANKS)
        .map(|i| ((i as f64 * step).exp().round() as usize - 1).min(n - 1))
        .collect();
    ranks.dedup();
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_spread_from_the_first_to_the_last() {
        assert_eq!(spread_ranks(1), [0]);
        assert_eq!(spread_ranks(3), [0, 1, 2]);
        let ranks = spread_ranks(4140);
        assert_eq!(
            (ranks[..4].to_vec(), ranks.last()),
            (vec![0, 1, 2, 3], Some(&4139))
        );
        assert!(ranks.len() <= RANKS + 1 && ranks.is_sorted());
    }

    #[test]
    fn plaintext_tokens_that_two_ids_start_from_count_once() {
        let row = |count, plain_count, token: &str| Mapped {
            count,
            plain_count,
            plain_token: token.to_owned(),
        };
        let rows = [
            row(9, 4, "b"),
            row(8, 7, "a"),
            row(1, 4, "b"),
            row(1, 4, "c"),
        ];
        assert_eq!(plain_counts(&rows), [7, 4, 4]);
    }
}
