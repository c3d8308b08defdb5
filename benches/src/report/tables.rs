//! The tables of the page.

use msip_load::Load;

use crate::run::{Chapter, Measured, Median, Report, short};

/// The contenders side by side, the encodings of MSIP aside.
const CONTENDERS: [&str; 7] = [
    "raw",
    "framed",
    "tonic",
    "tonic-stream",
    "tarpc",
    "msip",
    "msip-sender",
];
/// What is measured by several transports.
const TRANSPORTS: [&str; 13] = [
    "raw",
    "msip",
    "msip-unix",
    "raw-tls",
    "raw-anew-tls",
    "msip-tls",
    "msip-resumed-tls",
    "tonic-tls",
    "raw-ws",
    "msip-ws",
    "msip-wss",
    "msip-quic",
    "tonic",
];
/// With a broker between, and without one.
const THROUGH_BROKER: [&str; 5] = [
    "msip-broker",
    "msip-broker-sender",
    "nats",
    "msip",
    "msip-sender",
];
/// MSIP in its encodings.
const ENCODINGS: [&str; 4] = ["msip", "msip-msgpack", "msip-json", "msip-zstd"];

/// The table of this name. `None` where there is none.
pub(super) fn table(report: &Report, name: &str) -> Option<String> {
    let rate = |median: &Median| format!("{} ({:.2})", short(median.rate), median.cpu);
    let syscalls = |median: &Median| {
        let count = median.syscalls;
        count.map_or_else(String::new, |count| format!("{count:.3}"))
    };
    let rate_or_memory = |median: &Median| match median.memory {
        Some(bytes) => format!("{:.1} KiB", bytes / 1024.0),
        None => rate(median),
    };
    let text = match name {
        "machine" => machine(report),
        "ratios" => ratios(report),
        "calls" => by_load(report, &CONTENDERS, &[Chapter::Calls], rate),
        "one-way" => by_load(report, &CONTENDERS, &[Chapter::OneWay], rate),
        "streams" => by_load(report, &CONTENDERS, &[Chapter::Streams], rate),
        "broadcast" => by_load(report, &CONTENDERS, &[Chapter::Broadcast], rate),
        "growth" => by_load(report, &CONTENDERS, &[Chapter::Growth], rate),
        "one-thread" => by_load(report, &CONTENDERS, &[Chapter::OneThread], rate),
        "encodings" => by_load(report, &ENCODINGS, &[Chapter::Calls, Chapter::OneWay], rate),
        "syscalls" => {
            let chapters = [Chapter::Calls, Chapter::OneWay, Chapter::Streams];
            by_load(report, &CONTENDERS, &chapters, syscalls)
        }
        "latency" => latency(report, |row| {
            matches!(row.load, Load::Calls { in_flight: 1, .. }) && row.chapter == Chapter::Calls
        }),
        "connect" => latency(report, |row| {
            row.chapter == Chapter::Connections && row.load == Load::Connect
        }),
        "transports" => by_load(report, &TRANSPORTS, &[Chapter::Transports], rate_or_memory),
        "through-broker" => by_load(
            report,
            &THROUGH_BROKER,
            &[Chapter::ThroughBroker],
            rate_or_memory,
        ),
        "through-broker-ratios" => through_broker_ratios(report),
        "tail" => latency(report, |row| row.chapter == Chapter::Tail),
        "memory" => memory(report),
        _ => return None,
    };
    // A head and a rule, and nothing below.
    let is_empty = text.starts_with('|') && text.lines().count() <= 2;
    Some(if is_empty {
        "Not part of this run.".to_owned()
    } else {
        text
    })
}

/// Where and how it was measured.
pub(crate) fn machine(report: &Report) -> String {
    let Report {
        processor,
        processors,
        system,
        busy,
        shortened,
        ..
    } = report;
    let mut text = format!("{processors} × {processor}, {system}");
    if let Some(shortened) = shortened {
        text.push_str(&format!("; a short run ({shortened})"));
    }
    if *busy > 0.5 {
        text.push_str(&format!(
            "; **the machine was busy** (load average {busy:.1} before the run): compare processor time, not speed"
        ));
    }
    text + "."
}

/// The result of one contender under a load.
fn find<'a>(
    report: &'a Report,
    chapter: Chapter,
    load: Load,
    contender: &str,
) -> Option<&'a Median> {
    let mut rows = report.measured.iter();
    let row =
        rows.find(|row| row.chapter == chapter && row.load == load && row.contender == contender)?;
    row.median.as_ref()
}

/// The loads of some chapters, in the order in which they ran.
fn loads(report: &Report, is_in: impl Fn(&Measured) -> bool) -> Vec<(Chapter, Load)> {
    let mut loads = Vec::new();
    for row in report.measured.iter().filter(|row| is_in(row)) {
        if !loads.contains(&(row.chapter, row.load)) {
            loads.push((row.chapter, row.load));
        }
    }
    loads
}

/// A row for each load, a column for each contender that has one of them.
fn by_load(
    report: &Report,
    contenders: &[&str],
    chapters: &[Chapter],
    cell: impl Fn(&Median) -> String,
) -> String {
    let loads = loads(report, |row| chapters.contains(&row.chapter));
    let of = |(chapter, load): (Chapter, Load), contender| find(report, chapter, load, contender);
    let columns: Vec<&str> = contenders
        .iter()
        .copied()
        .filter(|contender| loads.iter().any(|load| of(*load, contender).is_some()))
        .collect();
    let mut text = head(&[&["load"], columns.as_slice()].concat());
    for load in loads {
        let cells = columns
            .iter()
            .map(|contender| of(load, contender).map_or_else(|| "–".to_owned(), &cell));
        line(&mut text, &load.1.to_string(), cells);
    }
    text
}

/// MSIP compared with `raw`: how much of its speed, and how many times its processor time.
fn ratios(report: &Report) -> String {
    let mut text = head(&[
        "load",
        "speed, of raw",
        "processor time, of raw",
        "speed, of tonic",
        "speed, of tarpc",
    ]);
    let chapters = [Chapter::Calls, Chapter::OneWay];
    for (chapter, load) in loads(report, |row| chapters.contains(&row.chapter)) {
        let find = |contender: &'static str| find(report, chapter, load, contender);
        let Some(msip) = find("msip") else { continue };
        let ratio = |of: fn(&Median) -> f64, other: &'static str| {
            find(other).map_or_else(
                || "–".to_owned(),
                |other| format!("{:.2}", of(msip) / of(other)),
            )
        };
        let rate = |median: &Median| median.rate;
        let cells = [
            ratio(rate, "raw"),
            ratio(|median| median.cpu, "raw"),
            ratio(rate, "tonic"),
            ratio(rate, "tarpc"),
        ];
        line(&mut text, &load.to_string(), cells.into_iter());
    }
    text
}

/// MSIP through a broker, compared with NATS and with itself without one.
fn through_broker_ratios(report: &Report) -> String {
    let mut text = head(&[
        "load",
        "speed, of NATS",
        "processor time, of NATS",
        "speed, of a direct connection",
        "processor time, of a direct connection",
    ]);
    let is_in = |row: &Measured| {
        row.chapter == Chapter::ThroughBroker && !matches!(row.load, Load::Idle { .. })
    };
    for (chapter, load) in loads(report, is_in) {
        let find = |contender: &'static str| find(report, chapter, load, contender);
        let Some(through) = find("msip-broker") else {
            continue;
        };
        let ratio = |of: fn(&Median) -> f64, other: &'static str| {
            find(other).map_or_else(
                || "–".to_owned(),
                |other| format!("{:.2}", of(through) / of(other)),
            )
        };
        let cells = [
            ratio(|median| median.rate, "nats"),
            ratio(|median| median.cpu, "nats"),
            ratio(|median| median.rate, "msip"),
            ratio(|median| median.cpu, "msip"),
        ];
        line(&mut text, &load.to_string(), cells.into_iter());
    }
    text
}

/// Percentiles, a row for each contender under each load.
fn latency(report: &Report, is_in: impl Fn(&Measured) -> bool) -> String {
    let rows: Vec<_> = report.measured.iter().filter(|row| is_in(row)).collect();
    let has_bulk = |row: &&Measured| row.median.is_some_and(|m| m.bulk_rate.is_some());
    let mut columns = vec!["load", "", "p50 µs", "p99", "p99.9", "per second"];
    if rows.iter().any(has_bulk) {
        columns.push("bulk per second");
    }
    let mut text = head(&columns);
    for row in rows {
        let Some((median, latency)) = row.median.and_then(|m| Some((m, m.latency?))) else {
            continue;
        };
        let mut cells = vec![
            row.contender.clone(),
            format!("{:.0}", latency.p50),
            format!("{:.0}", latency.p99),
            format!("{:.0}", latency.p999),
            short(median.rate),
        ];
        cells.extend(median.bulk_rate.map(short));
        line(&mut text, &row.load.to_string(), cells.into_iter());
    }
    text
}

/// What an idle connection takes.
fn memory(report: &Report) -> String {
    let is_idle = |row: &Measured| {
        row.chapter == Chapter::Connections && matches!(row.load, Load::Idle { .. })
    };
    let mut columns = vec!["KiB of the server's memory for each of"];
    // What these two do differently is not there when nothing happens.
    let is_alone = |name: &&&str| !["tonic-stream", "msip-sender"].contains(name);
    columns.extend(CONTENDERS.iter().filter(is_alone));
    let mut text = head(&columns);
    for (chapter, load) in loads(report, is_idle) {
        let cells = columns.iter().skip(1).map(|contender| {
            let memory = find(report, chapter, load, contender).and_then(|median| median.memory);
            memory.map_or_else(|| "–".to_owned(), |bytes| format!("{:.1}", bytes / 1024.0))
        });
        line(&mut text, &load.to_string(), cells);
    }
    text
}

fn head(columns: &[&str]) -> String {
    let mut text = format!("| {} |\n|", columns.join(" | "));
    for index in 0..columns.len() {
        text.push_str(if index == 0 { " --- |" } else { " ---: |" });
    }
    text + "\n"
}

fn line(text: &mut String, first: &str, cells: impl Iterator<Item = String>) {
    text.push_str("| ");
    text.push_str(first);
    for cell in cells {
        text.push_str(" | ");
        text.push_str(&cell);
    }
    text.push_str(" |\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(contender: &str, rate: f64) -> Measured {
        Measured {
            chapter: Chapter::OneWay,
            contender: contender.to_owned(),
            workers: 2,
            load: Load::OneWay { size: 32 },
            failed: 0,
            median: Some(Median {
                rate,
                rate_range: (rate, rate),
                cpu: 1e6 / rate,
                server_cpu: 0.5e6 / rate,
                latency: None,
                memory: None,
                syscalls: None,
                bulk_rate: None,
            }),
        }
    }

    #[test]
    fn contenders_stand_side_by_side() {
        let report = Report {
            processor: "one".to_owned(),
            processors: 2,
            system: "Linux".to_owned(),
            busy: 3.0,
            shortened: None,
            measured: vec![row("raw", 4e6), row("msip", 2e6)],
        };
        assert_eq!(
            table(&report, "one-way").expect("known"),
            "| load | raw | msip |\n| --- | ---: | ---: |\n| one-way 32 B | 4.00M (0.25) | 2.00M (0.50) |\n"
        );
        assert!(
            table(&report, "ratios")
                .expect("known")
                .contains("| 0.50 | 2.00 | – | – |")
        );
        assert!(table(&report, "machine").expect("known").contains("busy"));
        let growth = table(&report, "growth").expect("known");
        assert_eq!(growth, "Not part of this run.");
        assert_eq!(table(&report, "nothing"), None);
    }
}
