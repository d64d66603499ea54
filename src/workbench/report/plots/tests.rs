//! Charts by what they draw.

use super::*;

fn texts(axis: &Axis) -> Vec<&str> {
    axis.ticks.iter().map(|(_, text)| text.as_str()).collect()
}

#[test]
fn no_fixed_colour_and_no_fixed_size_is_left() {
    let line = |i: usize| {
        let shape = [Shape::Line, Shape::DottedLine, Shape::Dots, Shape::Area][i % 4];
        let series = Series::line("a", Style::nth(i), vec![(1.0, 0.0), (2.0, i as f64)]);
        Series {
            intervals: vec![(0.0, 1.0); 2],
            ..series.shaped(shape)
        }
    };
    let mut series: Vec<Series> = (0..40).map(line).collect();
    series.push(Series::line(
        "chance",
        Style::REFERENCE,
        vec![(1.0, 1.0), (2.0, 2.0)],
    ));
    let x = Axis::counting("epoch", 2);
    let svg = draw(&x, &Axis::linear("loss", (0.0, 40.0), 5), &series, &[]).expect("a chart");
    assert!(
        svg.starts_with("<svg viewBox=\"0 0 1680 1160\" xmlns="),
        "{}",
        &svg[..80]
    );
    assert!(!svg.contains("\"#"), "a fixed colour");
    for index in 0..N_COLOURS {
        assert!(svg.contains(&format!("\"var(--s{index})\"")), "{index}");
    }
    assert!(svg.contains("stroke-dasharray=\"28 16\""));
    assert!(svg.contains("loss") && svg.contains("epoch"));
}

#[test]
fn the_first_32_styles_differ() {
    let styles: Vec<Style> = (0..32).map(Style::nth).collect();
    for (i, style) in styles.iter().enumerate() {
        assert!(!styles[..i].contains(style), "{i}");
    }
}

#[test]
fn ticks_are_round_and_say_no_more_digits_than_they_need() {
    let axis = Axis::linear("", (0.0, 1.0), 6);
    assert_eq!(texts(&axis), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
    assert_eq!(texts(&Axis::counting("", 3)), ["1", "2", "3"]);
    assert_eq!(texts(&Axis::counting("", 20)), ["5", "10", "15", "20"]);
    let axis = Axis::decades("", (-1.5, 4.2));
    assert_eq!(texts(&axis), ["0.1", "1", "10", "100", "1000", "10k"]);
    assert_eq!(
        texts(&Axis::decades("", (3.5, 5.1))),
        ["5000", "10k", "20k", "50k", "100k"]
    );
}

#[test]
fn zero_has_no_sign() {
    // The tick in the middle is at -5.6e-17.
    let axis = Axis::linear("", (-0.5, 0.5), 6);
    assert_eq!(texts(&axis), ["-0.4", "-0.2", "0.0", "0.2", "0.4"]);
}

#[test]
fn a_line_of_one_point_is_a_dot() {
    let dots = |points: &[(f64, f64)]| {
        let line = Series::line("", Style::nth(0), points.to_vec());
        let axis = Axis::shares("");
        let svg = draw(&axis, &axis, &[line], &[]).expect("a chart");
        svg.matches("<circle").count()
    };
    assert_eq!(dots(&[(1.0, 0.5)]), 1);
    assert_eq!(dots(&[(0.0, 0.5), (1.0, 0.5)]), 0);
}

#[test]
fn numbers_that_no_run_has_do_not_become_loops() {
    let axis = Axis::counting("epoch", 1_000_000_000_000_000);
    assert_eq!(axis.ticks.len(), 8);
    let axis = Axis::around("loss", [1.0, 1.7e308, -1.7e308]).expect("one value");
    assert!(axis.high < 2.0);
}

#[test]
fn an_axis_around_equal_values_has_room() {
    let axis = Axis::around("", [0.5, f64::NAN, 0.5]).expect("values");
    assert!(axis.low < 0.5 && axis.high > 0.5);
    assert_eq!(Axis::around("", [f64::NAN]), None);
}

#[test]
fn names_of_marks_stand_on_no_other_and_are_escaped() {
    let mark = |at: f64, name: &str| Mark {
        at,
        name: name.to_owned(),
    };
    let x = Axis::counting("epoch", 9);
    let names = placed(
        &[
            mark(0.5, "adapt"),
            mark(1.5, "rank"),
            mark(8.5, "a stage with a long name"),
        ],
        &x,
        60,
    );
    let lines: Vec<u32> = names.iter().map(|name| name.line).collect();
    assert_eq!(lines, [0, 1, 0]);
    assert!(names[2].left < 200 && names[0].left == 60);
    let line = Series::line("", Style::nth(0), vec![(1.0, 1.0), (9.0, 2.0)]);
    let y = Axis::linear("loss", (0.0, 3.0), 5);
    let svg = draw(&x, &y, &[line], &[mark(3.5, "<b>")]).expect("a chart");
    assert!(svg.contains("&lt;b&gt;") && !svg.contains("<b>") && !svg.contains("\"#"));
}
