//! Charts, as SVG: lines over two logarithmic axes, and bars.

use std::fmt::Write as _;

use crate::run::short;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 400.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 130.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 52.0;

/// A line, or a bar in each group: its name and its color.
#[derive(Debug, Clone, Copy)]
pub(super) struct Series {
    pub(super) name: &'static str,
    pub(super) color: &'static str,
}

/// The labels at the axes and above them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Titles<'a> {
    pub(super) chart: &'a str,
    pub(super) x: &'a str,
}

/// A line for each series through its points, both axes logarithmic.
pub(super) fn lines(titles: Titles<'_>, series: &[(Series, Vec<(f64, f64)>)]) -> String {
    let points = || series.iter().flat_map(|(_, points)| points);
    let x = Scale::over(points().map(|point| point.0), LEFT, WIDTH - RIGHT, 2.0);
    let y = Scale::over(points().map(|point| point.1), HEIGHT - BOTTOM, TOP, 10.0);
    let mut svg = begin(titles);
    grid(&mut svg, &y);
    for tick in x.ticks() {
        let (at, bottom) = (x.at(tick), HEIGHT - BOTTOM);
        text(&mut svg, at, bottom + 18.0, "middle", &plain(tick));
    }
    for (series, points) in series.iter().filter(|(_, points)| !points.is_empty()) {
        let path: Vec<String> = points
            .iter()
            .map(|(px, py)| format!("{:.1},{:.1}", x.at(*px), y.at(*py)))
            .collect();
        let (path, color) = (path.join(" "), series.color);
        let _ = writeln!(
            svg,
            r#"<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2"/>"#
        );
        for (px, py) in points {
            let (cx, cy) = (x.at(*px), y.at(*py));
            let _ = writeln!(
                svg,
                r#"<circle cx="{cx:.1}" cy="{cy:.1}" r="3" fill="{color}"/>"#
            );
        }
    }
    legend(&mut svg, series.iter().map(|(series, _)| *series));
    svg + "</svg>\n"
}

/// A bar for each series in each group, on a logarithmic axis.
pub(super) fn bars(
    titles: Titles<'_>,
    groups: &[String],
    series: &[(Series, Vec<Option<f64>>)],
) -> String {
    let values = series
        .iter()
        .flat_map(|(_, values)| values.iter().flatten());
    let y = Scale::over(values.copied(), HEIGHT - BOTTOM, TOP, 10.0);
    let mut svg = begin(titles);
    grid(&mut svg, &y);
    let room = (WIDTH - RIGHT - LEFT) / count(groups.len());
    let width = room * 0.8 / count(series.len());
    for (group, name) in groups.iter().enumerate() {
        let left = LEFT + room * (count(group + 1) - 1.0) + room * 0.1;
        text(
            &mut svg,
            left + room * 0.4,
            HEIGHT - BOTTOM + 18.0,
            "middle",
            name,
        );
        for (index, (series, values)) in series.iter().enumerate() {
            let Some(value) = values.get(group).copied().flatten() else {
                continue;
            };
            let (x, top) = (left + width * (count(index + 1) - 1.0), y.at(value));
            let (height, color) = (HEIGHT - BOTTOM - top, series.color);
            let _ = writeln!(
                svg,
                r#"<rect x="{x:.1}" y="{top:.1}" width="{:.1}" height="{height:.1}" fill="{color}"/>"#,
                width * 0.9
            );
        }
    }
    legend(&mut svg, series.iter().map(|(series, _)| *series));
    svg + "</svg>\n"
}

/// From values to places, by their logarithm.
struct Scale {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
    base: f64,
}

impl Scale {
    /// The axis goes over whole powers of `base`, at least two of them.
    fn over(values: impl Iterator<Item = f64>, from: f64, to: f64, base: f64) -> Self {
        let (low, high) = values
            .filter(|value| *value > 0.0)
            .fold((f64::INFINITY, 0.0_f64), |(low, high), value| {
                (low.min(value), high.max(value))
            });
        let (low, high) = if low.is_finite() {
            (low, high)
        } else {
            (1.0, base)
        };
        let low = (low.log(base) + 1e-9).floor();
        let high = (high.log(base) - 1e-9).ceil().max(low + 1.0);
        Self {
            low,
            high,
            from,
            to,
            base,
        }
    }

    fn at(&self, value: f64) -> f64 {
        let part = (value.log(self.base) - self.low) / (self.high - self.low);
        self.from + (self.to - self.from) * part.clamp(0.0, 1.0)
    }

    /// Powers of the base, no more than a dozen of them.
    fn ticks(&self) -> Vec<f64> {
        let step = ((self.high - self.low) / 12.0).ceil().max(1.0);
        let mut ticks = Vec::new();
        let mut power = self.low;
        while power <= self.high {
            ticks.push(self.base.powf(power));
            power += step;
        }
        ticks
    }
}

fn begin(titles: Titles<'_>) -> String {
    let mut svg = String::new();
    let _ = writeln!(
        svg,
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">"#
    );
    let _ = writeln!(
        svg,
        r##"<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>"##
    );
    text(&mut svg, LEFT, 22.0, "start", titles.chart);
    text(
        &mut svg,
        f64::midpoint(LEFT, WIDTH - RIGHT),
        HEIGHT - 12.0,
        "middle",
        titles.x,
    );
    svg
}

fn grid(svg: &mut String, y: &Scale) {
    for tick in y.ticks() {
        let at = y.at(tick);
        let right = WIDTH - RIGHT;
        let _ = writeln!(
            svg,
            r##"<line x1="{LEFT}" y1="{at:.1}" x2="{right}" y2="{at:.1}" stroke="#dddddd"/>"##
        );
        text(svg, LEFT - 8.0, at + 4.0, "end", &plain(tick));
    }
}

fn legend(svg: &mut String, series: impl Iterator<Item = Series>) {
    for (index, Series { name, color }) in series.enumerate() {
        let (x, y) = (WIDTH - RIGHT + 16.0, TOP + 20.0 * count(index + 1));
        let _ = writeln!(
            svg,
            r#"<rect x="{x}" y="{:.1}" width="12" height="12" fill="{color}"/>"#,
            y - 10.0
        );
        text(svg, x + 18.0, y, "start", name);
    }
}

fn text(svg: &mut String, x: f64, y: f64, anchor: &str, text: &str) {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    let _ = writeln!(
        svg,
        r##"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}" fill="#333333">{text}</text>"##
    );
}

/// The label of a tick, in as few digits as needed.
fn plain(value: f64) -> String {
    if (1.0..1000.0).contains(&value) {
        return format!("{value:.0}");
    }
    if value < 1.0 {
        return format!("{value}");
    }
    short(value).replace(".00", "").replace(".0", "")
}

#[expect(clippy::cast_precision_loss, reason = "a handful of bars")]
fn count(count: usize) -> f64 {
    count.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const RAW: Series = Series {
        name: "raw",
        color: "#000000",
    };
    const TITLES: Titles<'_> = Titles {
        chart: "calls <32 B>",
        x: "in flight",
    };

    #[test]
    fn points_stand_where_they_belong() {
        let scale = Scale::over([10.0, 1000.0].into_iter(), 0.0, 100.0, 10.0);
        assert_eq!(scale.ticks(), [10.0, 100.0, 1000.0]);
        for (value, at) in [(10.0, 0.0), (100.0, 50.0), (1000.0, 100.0)] {
            assert!((scale.at(value) - at).abs() < 1e-6, "{value}");
        }
    }

    #[test]
    fn charts_are_whole() {
        let line = lines(TITLES, &[(RAW, vec![(1.0, 10.0), (64.0, 5e6)])]);
        assert_eq!(line.matches("<circle").count(), 2);
        assert!(line.contains("calls &lt;32 B>") && line.ends_with("</svg>\n"));
        let groups = ["a".to_owned(), "b".to_owned()];
        let bar = bars(TITLES, &groups, &[(RAW, vec![Some(3.0), None])]);
        assert_eq!(
            bar.matches(r##"fill="#000000"/>"##).count(),
            2,
            "a bar, and its name"
        );
    }

    #[test]
    fn nothing_to_draw_is_a_chart_too() {
        assert!(lines(TITLES, &[(RAW, Vec::new())]).ends_with("</svg>\n"));
    }
}
