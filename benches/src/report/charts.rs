//! The charts of the page.

use msip_load::{Callers, Load};

use super::svg::{Series, Titles, bars, lines};
use crate::run::{Chapter, Median, Report};

const SERIES: [Series; 7] = [
    series("raw", "#444444"),
    series("framed", "#a6761d"),
    series("tonic", "#1b9e77"),
    series("tonic-stream", "#7fc97f"),
    series("tarpc", "#7570b3"),
    series("msip", "#d95f02"),
    series("msip-sender", "#fdae6b"),
];

const fn series(name: &'static str, color: &'static str) -> Series {
    Series { name, color }
}

/// Each chart, by the name of its file.
pub(super) fn charts(report: &Report) -> Vec<(&'static str, String)> {
    let in_flight = |load: &Load| match *load {
        Load::Calls {
            size: 32,
            in_flight,
            connections: 1,
            callers: Callers::Tasks,
        } => Some(in_flight),
        _ => None,
    };
    let connections = |load: &Load| match *load {
        Load::Calls {
            size: 32,
            in_flight: 4,
            connections,
            ..
        } => Some(connections),
        _ => None,
    };
    let rate: fn(&Median) -> Option<f64> = |median| Some(median.rate);
    let cpu: fn(&Median) -> Option<f64> = |median| Some(median.cpu);
    let titles = |chart, x| Titles { chart, x };
    let by = |place: &dyn Fn(&Load) -> Option<usize>, value| by_place(report, place, value);
    let one_way = |load: &Load| matches!(load, Load::OneWay { .. });
    let idle = |load: &Load| matches!(load, Load::Idle { .. });
    vec![
        (
            "calls-by-in-flight",
            lines(
                titles(
                    "calls of 32 B per second",
                    "calls in flight, one connection",
                ),
                &by(&in_flight, rate),
            ),
        ),
        (
            "cpu-by-in-flight",
            lines(
                titles(
                    "seconds of processor time per million calls of 32 B, both processes",
                    "calls in flight, one connection",
                ),
                &by(&in_flight, cpu),
            ),
        ),
        (
            "calls-by-connections",
            lines(
                titles(
                    "calls of 32 B per second",
                    "connections, four calls in flight on each",
                ),
                &by(&connections, rate),
            ),
        ),
        (
            "cpu-by-connections",
            lines(
                titles(
                    "seconds of processor time per million calls of 32 B, both processes",
                    "connections, four calls in flight on each",
                ),
                &by(&connections, cpu),
            ),
        ),
        (
            "one-way",
            by_group(
                report,
                titles("messages per second without an answer", ""),
                &one_way,
                rate,
            ),
        ),
        (
            "memory",
            by_group(
                report,
                titles("KiB of the server's memory for each connection", ""),
                &idle,
                |median| Some(median.memory? / 1024.0),
            ),
        ),
    ]
}

/// Those with two worker threads and over TCP: the others have chapters of their own.
fn is_usual(chapter: Chapter) -> bool {
    ![Chapter::OneThread, Chapter::Transports].contains(&chapter)
}

fn by_place(
    report: &Report,
    place: &dyn Fn(&Load) -> Option<usize>,
    value: fn(&Median) -> Option<f64>,
) -> Vec<(Series, Vec<(f64, f64)>)> {
    let lines = SERIES.map(|series| {
        let rows = report.measured.iter();
        let rows = rows.filter(|row| row.contender == series.name && is_usual(row.chapter));
        let mut points: Vec<(f64, f64)> = rows
            .filter_map(|row| {
                let place = u32::try_from(place(&row.load)?).ok()?;
                Some((f64::from(place), value(row.median.as_ref()?)?))
            })
            .collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        (series, points)
    });
    lines
        .into_iter()
        .filter(|(_, points)| !points.is_empty())
        .collect()
}

fn by_group(
    report: &Report,
    titles: Titles<'_>,
    is_in: &dyn Fn(&Load) -> bool,
    value: fn(&Median) -> Option<f64>,
) -> String {
    let mut loads: Vec<Load> = Vec::new();
    for row in report.measured.iter().filter(|row| is_usual(row.chapter)) {
        if is_in(&row.load) && !loads.contains(&row.load) {
            loads.push(row.load);
        }
    }
    let series = SERIES.map(|series| {
        let values = loads.iter().map(|load| {
            let mut rows = report.measured.iter();
            let row = rows.find(|row| row.load == *load && row.contender == series.name)?;
            value(row.median.as_ref()?)
        });
        (series, values.collect::<Vec<_>>())
    });
    let series: Vec<_> = series
        .into_iter()
        .filter(|(_, values)| values.iter().any(Option::is_some))
        .collect();
    let groups: Vec<String> = loads.iter().map(ToString::to_string).collect();
    bars(titles, &groups, &series)
}
