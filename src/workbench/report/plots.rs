//! Charts as SVG that follows the page's light or dark theme.
//!
//! In: axes and series of numbers. Out: an `<svg>` to stand in a page, with a `viewBox` and no size of its own, whose
//! colours are the CSS variables `--ink --muted --grid --s0 … --s7`. Drawn with `plotters`: kept, pure Rust, and its SVG
//! backend needs no fonts of the system. Labels are set by the browser; legends stand in the page, not in the chart.
//! Does not know what the numbers mean.
//!
//! `plotters` writes fixed colours, so each role is drawn in a placeholder colour of its own, which [`themed`] replaces.

use std::ops::Range;

use plotters::coord::Shift;
use plotters::coord::ranged1d::{
    BoldPoints, KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter,
};
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;

use crate::error::{Error, Result};

/// Series colours of the page.
pub const N_COLOURS: usize = 8;
/// Units of the `viewBox` for one CSS pixel at natural size: `plotters` rounds to whole units.
const UNIT: u32 = 4;
/// Natural width and height in CSS pixels; charts stand two or three in a row, so a phone shows them at this size too.
const SIZE: (u32, u32) = (420, 290);
/// Height of text in CSS pixels.
const TEXT: u32 = 14;
/// Height of a line of names above a chart.
const LINE: u32 = 18;
/// Characters of the name of a mark.
const LONGEST_NAME: usize = 24;
/// `plotters` divides font sizes by this on its way to SVG.
const FONT_FACTOR: f64 = 1.24;

/// What may stand at one side of a chart.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    /// With the unit.
    label: String,
    low: f64,
    high: f64,
    /// Position and text.
    ticks: Vec<(f64, String)>,
}

/// How a series is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// A line through the points; a dot where there is one alone.
    Line,
    /// A line with a dot at each point.
    DottedLine,
    /// Dots alone.
    Dots,
    /// A line, and the area under it down to 0.
    Area,
}

/// Colour and dash, so that nothing is told by colour alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// Below [`N_COLOURS`]; none: the colour of muted text.
    pub colour: Option<usize>,
    /// Which of the [`DASHES`].
    pub dash: usize,
}

/// `stroke-dasharray` in CSS pixels; the first is a solid line.
pub const DASHES: [&str; 4] = ["", "7 4", "2 3", "9 3 2 3"];

/// Numbers of one kind.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// For the legend; empty: not in it.
    pub name: String,
    /// Colour and dash.
    pub style: Style,
    /// Line, dots or area.
    pub shape: Shape,
    /// In order of x.
    pub points: Vec<(f64, f64)>,
    /// Low and high end of an upright bar at each point; empty: none.
    pub intervals: Vec<(f64, f64)>,
}

impl Style {
    /// The style of the `index`-th series; distinct for the first 32.
    pub fn nth(index: usize) -> Self {
        Self {
            colour: Some(index % N_COLOURS),
            dash: (index + index / N_COLOURS) % DASHES.len(),
        }
    }

    /// For what one compares with: chance, the ideal.
    pub const REFERENCE: Self = Self {
        colour: None,
        dash: 1,
    };

    /// The CSS colour.
    pub fn css(self) -> String {
        match self.colour {
            Some(colour) => format!("var(--s{colour})"),
            None => "var(--muted)".to_owned(),
        }
    }

    /// The placeholder of lines; dots and areas have no dash.
    fn stroke(self) -> RGBColor {
        RGBColor(
            1,
            1 + self.dash as u8,
            self.colour.map_or(0xff, |c| c as u8),
        )
    }

    fn fill(self) -> RGBColor {
        Self { dash: 0, ..self }.stroke()
    }
}

impl Series {
    /// A named line.
    pub fn line(name: impl Into<String>, style: Style, points: Vec<(f64, f64)>) -> Self {
        Self {
            name: name.into(),
            style,
            shape: Shape::Line,
            points,
            intervals: Vec::new(),
        }
    }

    /// The same in another shape.
    pub fn shaped(self, shape: Shape) -> Self {
        Self { shape, ..self }
    }
}

impl Axis {
    /// From `low` to `high` with about `n` round ticks.
    pub fn linear(label: impl Into<String>, (low, high): (f64, f64), n: usize) -> Self {
        let coordinate = RangedCoordf64::from(low..high);
        let ticks = coordinate.key_points(BoldPoints(n));
        let step = ticks.windows(2).map(|pair| pair[1] - pair[0]);
        let step = step.fold(f64::INFINITY, f64::min).min(high - low);
        let decimals = (0..6).find(|&d| {
            let scaled = step * 10_f64.powi(d);
            scaled > 0.99 && (scaled - scaled.round()).abs() < 1e-6
        });
        let decimals = decimals.unwrap_or(2) as usize;
        // Ticks are sums of steps: that of zero may be -6e-17, of which two decimals are "-0.00".
        let half = 0.5 * 10_f64.powi(-(decimals as i32));
        let text = |&at: &f64| {
            let shown = if at.abs() < half { 0.0 } else { at };
            (at, format!("{shown:.decimals$}"))
        };
        Self {
            label: label.into(),
            low,
            high,
            ticks: ticks.iter().map(text).collect(),
        }
    }

    /// Around all `values`, with some room above and below; `None` where there are none.
    pub fn around(label: impl Into<String>, values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let (low, high) = extent(values)?;
        let room = ((high - low) * 0.06).max(high.abs() * 1e-3).max(1e-3);
        Some(Self::linear(label, (low - room, high + room), 6))
    }

    /// Shares from 0 to 1.
    pub fn shares(label: impl Into<String>) -> Self {
        let axis = Self::linear(label, (0.0, 1.0), 6);
        Self {
            low: -0.02,
            high: 1.02,
            ..axis
        }
    }

    /// Whole numbers from 1, such as epochs.
    pub fn counting(label: impl Into<String>, last: usize) -> Self {
        let step = [1, 2, 5, 10, 20, 50, 100]
            .into_iter()
            .find(|step| last / step <= 8)
            .unwrap_or(last.div_ceil(8));
        let ticks = (step..=last).step_by(step);
        let room = (last as f64 - 1.0).max(1.0) * 0.06;
        Self {
            label: label.into(),
            low: 1.0 - room,
            high: last as f64 + room,
            ticks: ticks.map(|at| (at as f64, at.to_string())).collect(),
        }
    }

    /// Powers of ten, over less than two decades also twice and five times them; the values are decimal logarithms.
    pub fn decades(label: impl Into<String>, (low, high): (f64, f64)) -> Self {
        let times: &[u32] = if high - low < 2.0 { &[1, 2, 5] } else { &[1] };
        let powers = low.floor() as i32..=high.floor() as i32;
        let values = powers.flat_map(|power| {
            let unit = 10_f64.powi(power);
            times.iter().map(move |&times| f64::from(times) * unit)
        });
        let ticks = values.map(|value| (value.log10(), short(value)));
        let inside = ticks.filter(|(at, _)| (low - 1e-9..=high + 1e-9).contains(at));
        Self {
            label: label.into(),
            low,
            high,
            ticks: inside.collect(),
        }
    }

    /// One tick a name, at 0, 1, 2, …
    pub fn names(label: impl Into<String>, names: &[String]) -> Self {
        let ticks = names.iter().enumerate();
        Self {
            label: label.into(),
            low: -0.5,
            high: names.len() as f64 - 0.5,
            ticks: ticks.map(|(at, name)| (at as f64, name.clone())).collect(),
        }
    }
}

impl Axis {
    /// CSS pixels of the widest tick, where a digit is .6 em wide.
    fn ticks_width(&self) -> u32 {
        let longest = self.ticks.iter().map(|(_, text)| text.len()).max();
        (longest.unwrap_or(0) as u32 * TEXT * 6).div_ceil(10)
    }
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        RangedCoordf64::from(self.low..self.high).map(value, limit)
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        if hint.weight().allow_light_points() {
            return Vec::new();
        }
        self.ticks.iter().map(|(at, _)| *at).collect()
    }

    fn range(&self) -> Range<f64> {
        self.low..self.high
    }
}

impl ValueFormatter<f64> for Axis {
    fn format_ext(&self, at: &f64) -> String {
        let tick = self.ticks.iter().find(|(tick, _)| tick == at);
        tick.map_or_else(String::new, |(_, text)| text.clone())
    }
}

/// `0.2`, `500`, `20k`, `1M`
fn short(value: f64) -> String {
    match value {
        1e6.. => format!("{:.0}M", value / 1e6),
        1e4.. => format!("{:.0}k", value / 1e3),
        1.0.. => format!("{value:.0}"),
        _ => ((value * 1e9).round() / 1e9).to_string(),
    }
}

/// Lowest and highest of the values, but for those that no axis can hold (NaN, 1e30 and beyond).
pub fn extent(values: impl IntoIterator<Item = f64>) -> Option<(f64, f64)> {
    let drawable = values.into_iter().filter(|value| value.abs() < 1e30);
    drawable.fold(None, |found, value| {
        let (low, high) = found.unwrap_or((value, value));
        Some((low.min(value), high.max(value)))
    })
}

/// A named place on the x axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Mark {
    /// On the axis; moved into its range.
    pub at: f64,
    /// Stands above the chart.
    pub name: String,
}

/// Draws the series, the first lowest, and an upright line at each mark.
///
/// # Errors
/// [`Error::Unexpected`] where `plotters` fails, which it has no reason to.
pub fn draw(x: &Axis, y: &Axis, series: &[Series], marks: &[Mark]) -> Result<String> {
    let mut svg = String::new();
    let size = (SIZE.0 * UNIT, SIZE.1 * UNIT);
    {
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        draw_on(&area, (x, y), series, marks)
            .map_err(|error| Error::Unexpected(format!("cannot draw a chart: {error}")))?;
    }
    Ok(themed(&svg, size))
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn<T> = std::result::Result<T, DrawingAreaErrorKind<std::io::Error>>;

const INK: RGBColor = RGBColor(1, 0, 0);
const MUTED: RGBColor = RGBColor(1, 0, 1);
const GRID: RGBColor = RGBColor(1, 0, 2);

fn draw_on(
    area: &Area<'_>,
    (x, y): (&Axis, &Axis),
    series: &[Series],
    marks: &[Mark],
) -> Drawn<()> {
    let unit = |pixels: u32| (pixels * UNIT) as i32;
    let size = f64::from(TEXT * UNIT) * FONT_FACTOR;
    let left = 4 + y.ticks_width() + TEXT + 16;
    let names = placed(marks, x, left);
    let lines = names.iter().map(|name| name.line + 1).max().unwrap_or(0);
    let top = 10 + lines * LINE;
    let mut chart = ChartBuilder::on(area)
        .margin_top(unit(top))
        .margin_right(unit(14))
        .margin_left(unit(4))
        .x_label_area_size(unit(44))
        .y_label_area_size(unit(left - 4))
        .build_cartesian_2d(x.clone(), y.clone())?;
    chart
        .configure_mesh()
        .x_desc(&x.label)
        .y_desc(&y.label)
        .label_style(("sans-serif", size).into_font().color(&MUTED))
        .axis_desc_style(("sans-serif", size).into_font().color(&INK))
        .set_all_tick_mark_size(unit(4))
        .axis_style(ShapeStyle::from(&MUTED).stroke_width(UNIT))
        .bold_line_style(ShapeStyle::from(&GRID).stroke_width(UNIT))
        .light_line_style(TRANSPARENT)
        .draw()?;
    let reference = ShapeStyle::from(&Style::REFERENCE.stroke()).stroke_width(UNIT);
    for mark in marks.iter().filter(|mark| mark.at > x.low) {
        chart.draw_series([PathElement::new(
            vec![(mark.at, y.low), (mark.at, y.high)],
            reference,
        )])?;
    }
    let style = ("sans-serif", size).into_font().color(&MUTED);
    for name in &names {
        let at = (unit(name.left), unit(6 + name.line * LINE));
        area.draw(&Text::new(name.text.clone(), at, style.clone()))?;
    }
    for one in series {
        let stroke = ShapeStyle::from(&one.style.stroke()).stroke_width(2 * UNIT);
        let fill = one.style.fill();
        if one.shape == Shape::Area {
            let ends = |at: Option<&(f64, f64)>| at.map(|&(x, _)| (x, y.low.max(0.0)));
            let mut outline = one.points.clone();
            outline.extend(ends(one.points.last()));
            outline.extend(ends(one.points.first()));
            chart.draw_series([Polygon::new(outline, fill.mix(0.18).filled())])?;
        }
        if one.shape != Shape::Dots {
            chart.draw_series([PathElement::new(one.points.clone(), stroke)])?;
        }
        let bars = one.points.iter().zip(&one.intervals);
        let solid = ShapeStyle::from(&fill).stroke_width(2 * UNIT);
        chart.draw_series(
            bars.map(|(&(x, _), &(low, high))| PathElement::new(vec![(x, low), (x, high)], solid)),
        )?;
        // A line through one point has no length.
        let is_dotted = matches!(one.shape, Shape::Dots | Shape::DottedLine);
        if is_dotted || (one.shape == Shape::Line && one.points.len() == 1) {
            let radius = if one.points.len() > 60 { 1.6 } else { 3.2 } * f64::from(UNIT);
            let dot = |&at: &(f64, f64)| Circle::new(at, radius as i32, fill.filled());
            chart.draw_series(one.points.iter().map(dot))?;
        }
    }
    area.present()
}

/// The name of a mark, in CSS pixels.
struct Placed {
    text: String,
    left: u32,
    /// From 0, downwards.
    line: u32,
}

/// Puts each name above its mark, within the chart and on the first line where it stands on no other.
fn placed(marks: &[Mark], x: &Axis, left: u32) -> Vec<Placed> {
    let width = f64::from(SIZE.0 - left - 14);
    let mut ends: Vec<u32> = Vec::new(); // of each line
    let mut names = Vec::new();
    for mark in marks {
        let text: String = mark.name.chars().take(LONGEST_NAME).collect();
        let share = ((mark.at - x.low) / (x.high - x.low)).clamp(0.0, 1.0);
        let wide = text.chars().count() as u32 * TEXT * 2 / 3;
        let start = (left + (share * width) as u32).min(SIZE.0.saturating_sub(wide + 4));
        let line = ends.iter().position(|&end| end + TEXT <= start);
        let line = line.unwrap_or_else(|| {
            ends.push(0);
            ends.len() - 1
        });
        ends[line] = start + wide;
        names.push(Placed {
            text,
            left: start,
            line: line as u32,
        });
    }
    names
}

/// Replaces placeholders by CSS variables, and the fixed size by what the page gives.
fn themed(svg: &str, (width, height): (u32, u32)) -> String {
    let fixed = format!("width=\"{width}\" height=\"{height}\" ");
    let mut svg = svg.replace(&fixed, "").replace(" opacity=\"1\"", "");
    let mut replace = |colour: RGBColor, css: &str, dash: &str| {
        let hex = format!("\"#{:02X}{:02X}{:02X}\"", colour.0, colour.1, colour.2);
        let dash = match dash {
            "" => String::new(),
            dash => format!(" stroke-dasharray=\"{}\"", in_units(dash)),
        };
        svg = svg.replace(&hex, &format!("\"{css}\"{dash}"));
    };
    for (colour, css) in [(INK, "ink"), (MUTED, "muted"), (GRID, "grid")] {
        replace(colour, &format!("var(--{css})"), "");
    }
    for colour in (0..N_COLOURS).map(Some).chain([None]) {
        for (dash, pattern) in DASHES.iter().enumerate() {
            let style = Style { colour, dash };
            replace(style.stroke(), &style.css(), pattern);
        }
    }
    svg
}

/// A dash pattern of CSS pixels in units of the `viewBox`.
fn in_units(dash: &str) -> String {
    let lengths = dash
        .split(' ')
        .filter_map(|length| length.parse::<u32>().ok());
    let lengths: Vec<String> = lengths.map(|length| (length * UNIT).to_string()).collect();
    lengths.join(" ")
}

#[cfg(test)]
mod tests;
