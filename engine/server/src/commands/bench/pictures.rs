//! The results of a run as pictures: plain SVG, in the colours of the reader's light or dark theme.

use std::fmt::Write;

use super::results::{BenchResults, PointResult};

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 400.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 150.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 50.0;

/// The colours of lines, by their order; the first of a pair is for light themes.
const COLOURS: [(&str, &str); 6] = [
    ("#1f5fbf", "#7fb2ff"),
    ("#b3451b", "#ff9f70"),
    ("#2c7a3f", "#7fd694"),
    ("#7b3fa0", "#cf9cf2"),
    ("#8a6d00", "#e0c34d"),
    ("#46626e", "#a9c4cf"),
];

/// A position of a mark on an axis, and its text.
type AxisMark = (f64, String);

/// A line of a picture.
struct ChartLine {
    name: String,
    points: Vec<(f64, f64)>,
}

/// A picture. Its numbers are positions on the axes; on a logarithmic axis they are logarithms.
struct Chart {
    title: String,
    across: String,
    up: String,
    marks_across: Vec<AxisMark>,
    marks_up: Vec<AxisMark>,
    lines: Vec<ChartLine>,
}

/// Returns the pictures of results, each with the name of its file.
pub(super) fn pictures(results: &BenchResults) -> Vec<(&'static str, String)> {
    let mut pictures = vec![("latency.svg", latencies(&results.points).svg())];
    let closed: Vec<&PointResult> = results
        .points
        .iter()
        .filter(|it| it.rate_wanted.is_none())
        .collect();
    if closed.len() > 1 {
        pictures.push(("rate.svg", rates(&closed).svg()));
    }
    pictures
}

/// Returns the chart of latency by the share of requests. The slowest requests have more space: each further 9 of a
/// percentile has the same width.
fn latencies(points: &[PointResult]) -> Chart {
    let place = |share: f64| -(1.0 - share).max(1e-5).log10();
    let line = |point: &PointResult| {
        let name = match point.rate_wanted {
            Some(rate) => format!("{} conn., {rate}/s", point.connections),
            None => format!("{} conn.", point.connections),
        };
        let points = point.work.latency_ms.distribution.iter();
        let points = points.filter(|(share, _)| *share < 1.0);
        ChartLine {
            name,
            points: points
                .map(|(share, ms)| (place(*share), ms.max(1e-3).log10()))
                .collect(),
        }
    };
    let lines: Vec<ChartLine> = points.iter().map(line).collect();
    let shares = [
        (0.0, "0"),
        (0.5, "50 %"),
        (0.9, "90 %"),
        (0.99, "99 %"),
        (0.999, "99.9 %"),
        (0.9999, "99.99 %"),
    ];
    Chart {
        title: "Latency of requests".into(),
        across: "share of requests that are at least as fast".into(),
        up: "ms".into(),
        marks_across: shares
            .map(|(share, text)| (place(share), text.into()))
            .into(),
        marks_up: decades(&lines),
        lines,
    }
}

/// Returns the chart of the rate by the number of connections, next to the rate of the echo.
fn rates(points: &[&PointResult]) -> Chart {
    let place = |point: &PointResult| {
        let connections = u32::try_from(point.connections).unwrap_or(u32::MAX);
        f64::from(connections).max(1.0).log2()
    };
    let work = points
        .iter()
        .map(|point| (place(point), point.work.rate))
        .collect();
    let echo = points
        .iter()
        .filter_map(|point| Some((place(point), point.echo.as_ref()?.rate)));
    let echo: Vec<(f64, f64)> = echo.collect();
    let mut lines = vec![ChartLine {
        name: "operations".into(),
        points: work,
    }];
    if !echo.is_empty() {
        lines.push(ChartLine {
            name: "echo".into(),
            points: echo,
        });
    }
    Chart {
        title: "Operations a second".into(),
        across: "connections".into(),
        up: "1/s".into(),
        marks_across: points
            .iter()
            .map(|point| (place(point), point.connections.to_string()))
            .collect(),
        marks_up: from_zero(&lines),
        lines,
    }
}

/// Returns marks at powers of ten around all points.
fn decades(lines: &[ChartLine]) -> Vec<AxisMark> {
    let heights = || {
        lines
            .iter()
            .flat_map(|line| line.points.iter().map(|point| point.1))
    };
    let least = heights().fold(f64::INFINITY, f64::min).floor();
    let most = heights().fold(f64::NEG_INFINITY, f64::max).ceil();
    if !least.is_finite() {
        return vec![(0.0, "1".into()), (1.0, "10".into())];
    }
    let most = most.max(least + 1.0);
    let marks = std::iter::successors(Some(least), |mark| Some(mark + 1.0));
    let marks = marks.take_while(|mark| *mark <= most);
    marks
        .map(|mark| (mark, format!("{}", 10_f64.powf(mark))))
        .collect()
}

/// Returns marks at round numbers, from zero to above all points.
fn from_zero(lines: &[ChartLine]) -> Vec<AxisMark> {
    let most = lines
        .iter()
        .flat_map(|line| line.points.iter().map(|point| point.1));
    let most = most.fold(1.0, f64::max);
    let decade = 10_f64.powf(most.log10().floor());
    let steps = [0.2, 0.5, 1.0, 2.0];
    let step = steps
        .iter()
        .map(|step| step * decade)
        .find(|step| most / step <= 6.0);
    let step = step.unwrap_or(decade * 2.0);
    let marks = std::iter::successors(Some(0.0), |mark| Some(mark + step));
    let marks = marks.take_while(|mark| *mark < most + step);
    marks.map(|mark| (mark, format!("{mark}"))).collect()
}

impl Chart {
    fn svg(&self) -> String {
        let (left, right) = ends(
            &self.marks_across,
            self.lines
                .iter()
                .flat_map(|it| it.points.iter().map(|it| it.0)),
        );
        let (bottom, top) = ends(
            &self.marks_up,
            self.lines
                .iter()
                .flat_map(|it| it.points.iter().map(|it| it.1)),
        );
        let x = |at: f64| LEFT + (at - left) / (right - left) * (WIDTH - LEFT - RIGHT);
        let y =
            |at: f64| HEIGHT - BOTTOM - (at - bottom) / (top - bottom) * (HEIGHT - TOP - BOTTOM);
        let mut svg = head(&self.title);
        for (at, text) in &self.marks_across {
            let x = x(*at);
            let end = HEIGHT - BOTTOM;
            line(
                &mut svg,
                &format!("<path class=\"grid\" d=\"M{x:.1} {TOP}V{end}\"/>"),
            );
            label(&mut svg, (x, end + 18.0), "middle", text);
        }
        for (at, text) in &self.marks_up {
            let y = y(*at);
            let end = WIDTH - RIGHT;
            line(
                &mut svg,
                &format!("<path class=\"grid\" d=\"M{LEFT} {y:.1}H{end}\"/>"),
            );
            label(&mut svg, (LEFT - 8.0, y + 4.0), "end", text);
        }
        label(&mut svg, (LEFT, TOP - 12.0), "end", &self.up);
        label(
            &mut svg,
            ((LEFT + WIDTH - RIGHT) / 2.0, HEIGHT - 10.0),
            "middle",
            &self.across,
        );
        label(&mut svg, (WIDTH / 2.0, 20.0), "middle", &self.title);
        let mut name_at = TOP + 10.0;
        for (number, drawn) in self.lines.iter().enumerate() {
            let class = format!("c{}", number.checked_rem(COLOURS.len()).unwrap_or(0));
            let points = drawn
                .points
                .iter()
                .map(|(across, up)| format!("{:.1},{:.1}", x(*across), y(*up)));
            let points: Vec<String> = points.collect();
            line(
                &mut svg,
                &format!(
                    "<polyline class=\"line {class}\" points=\"{}\"/>",
                    points.join(" ")
                ),
            );
            let begin = WIDTH - RIGHT + 12.0;
            let height = name_at - 4.0;
            line(
                &mut svg,
                &format!("<path class=\"line {class}\" d=\"M{begin} {height}h18\"/>"),
            );
            label(&mut svg, (begin + 24.0, name_at), "start", &drawn.name);
            name_at += 20.0;
        }
        svg.push_str("</svg>\n");
        svg
    }
}

/// Returns the smallest and the largest number of all marks and points. The two always differ.
fn ends(marks: &[AxisMark], points: impl Iterator<Item = f64>) -> (f64, f64) {
    let all: Vec<f64> = marks.iter().map(|mark| mark.0).chain(points).collect();
    let least = all.iter().copied().fold(f64::INFINITY, f64::min);
    let most = all.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if least < most {
        (least, most)
    } else {
        (least, least + 1.0)
    }
}

fn head(title: &str) -> String {
    let mut svg = String::new();
    line(
        &mut svg,
        &format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\">"
        ),
    );
    line(&mut svg, &format!("<title>{}</title>", escaped(title)));
    line(&mut svg, "<style>");
    line(
        &mut svg,
        "svg { background: #fff; font: 12px sans-serif } text { fill: #222 }",
    );
    line(
        &mut svg,
        ".grid { stroke: #ddd } .line { fill: none; stroke-width: 2 }",
    );
    for (number, (light, _)) in COLOURS.iter().enumerate() {
        line(&mut svg, &format!(".c{number} {{ stroke: {light} }}"));
    }
    line(&mut svg, "@media (prefers-color-scheme: dark) {");
    line(
        &mut svg,
        "svg { background: #16191d } text { fill: #ddd } .grid { stroke: #3a3f46 }",
    );
    for (number, (_, dark)) in COLOURS.iter().enumerate() {
        line(&mut svg, &format!(".c{number} {{ stroke: {dark} }}"));
    }
    line(&mut svg, "}");
    line(&mut svg, "</style>");
    svg
}

fn line(svg: &mut String, text: &str) {
    svg.push_str(text);
    svg.push('\n');
}

fn label(svg: &mut String, (x, y): (f64, f64), anchor: &str, text: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(
        svg,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{}</text>",
        escaped(text)
    );
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
mod tests {
    use super::*;

    fn chart(points: Vec<(f64, f64)>) -> String {
        let lines = vec![ChartLine {
            name: "a < b".into(),
            points,
        }];
        Chart {
            title: "A & B".into(),
            across: "x".into(),
            up: "y".into(),
            marks_across: vec![(0.0, "zero".into())],
            marks_up: from_zero(&lines),
            lines,
        }
        .svg()
    }

    #[test]
    fn a_picture_has_both_themes_and_escapes_its_texts() {
        let svg = chart(vec![(0.0, 0.0), (1.0, 100.0)]);
        assert!(
            svg.starts_with("<svg xmlns=") && svg.ends_with("</svg>\n"),
            "{svg}"
        );
        assert!(svg.contains("prefers-color-scheme: dark"), "{svg}");
        assert!(
            svg.contains("A &amp; B") && svg.contains("a &lt; b"),
            "{svg}"
        );
        assert!(svg.contains("points=\"70.0,350.0 570.0,40.0\""), "{svg}");
    }

    #[test]
    fn a_picture_without_points_or_of_one_point_has_finite_numbers() {
        for points in [vec![], vec![(0.0, 0.0)], vec![(3.0, 1e-9)]] {
            let svg = chart(points);
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
        assert_eq!(decades(&[]).len(), 2);
    }

    #[test]
    fn marks_are_round_and_reach_above_all_points() {
        for most in [1.0, 7.0, 49.0, 100.0, 29_000.0, 74_863.0, 600_000.0] {
            let lines = [ChartLine {
                name: String::new(),
                points: vec![(0.0, most)],
            }];
            let marks = from_zero(&lines);
            let last = marks.last().unwrap().0;
            assert!(
                last >= most && (3..=8).contains(&marks.len()),
                "{most}: {marks:?}"
            );
        }
    }

    #[test]
    fn latencies_have_marks_at_powers_of_ten() {
        let lines = [ChartLine {
            name: String::new(),
            points: vec![(0.0, -0.7), (1.0, 1.2)],
        }];
        let marks = decades(&lines);
        let texts: Vec<&str> = marks.iter().map(|mark| mark.1.as_str()).collect();
        assert_eq!(texts, ["0.1", "1", "10", "100"]);
    }
}
