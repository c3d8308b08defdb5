//! The table on the terminal.

use std::io::{self, Write as _};

use super::{Measured, plan::Round, result::Median};
use crate::problem::Problem;

/// Prints what the contenders did under one load, compared with the first of them.
pub(super) fn print(round: &Round, measured: &[Measured]) -> Result<(), Problem> {
    let text = table(round, measured);
    io::stdout()
        .write_all(text.as_bytes())
        .map_err(Problem::Print)
}

/// One column: its title, and its text, which may be empty.
struct Column {
    title: &'static str,
    width: usize,
    value: fn(&Median, &Median) -> Option<String>,
}

const COLUMNS: [Column; 10] = [
    Column {
        title: "per second",
        width: 12,
        value: |row, _| Some(short(row.rate)),
    },
    Column {
        title: "×",
        width: 7,
        value: |row, first| Some(format!("{:.2}", row.rate / first.rate)),
    },
    Column {
        title: "slowest … fastest",
        width: 20,
        value: |row, _| {
            let (slowest, fastest) = row.rate_range;
            Some(format!("{} … {}", short(slowest), short(fastest)))
        },
    },
    Column {
        title: "CPU s/million",
        width: 15,
        value: |row, _| Some(format!("{:.3}", row.cpu)),
    },
    Column {
        title: "×",
        width: 7,
        value: |row, first| Some(format!("{:.2}", row.cpu / first.cpu)),
    },
    Column {
        title: "syscalls",
        width: 10,
        value: |row, _| row.syscalls.map(|count| format!("{count:.3}")),
    },
    Column {
        title: "p50 µs",
        width: 9,
        value: |row, _| row.latency.map(|latency| format!("{:.0}", latency.p50)),
    },
    Column {
        title: "p99 / p99.9",
        width: 17,
        value: |row, _| {
            row.latency
                .map(|latency| format!("{:.0} / {:.0}", latency.p99, latency.p999))
        },
    },
    Column {
        title: "bulk/s",
        width: 9,
        value: |row, _| row.bulk_rate.map(short),
    },
    Column {
        title: "KiB each",
        width: 10,
        value: |row, _| row.memory.map(|bytes| format!("{:.1}", bytes / 1024.0)),
    },
];

fn table(round: &Round, measured: &[Measured]) -> String {
    let workers = match round.workers {
        0 => "current_thread".to_owned(),
        workers => format!("{workers} workers"),
    };
    let mut text = format!("\n{}; {workers}\n  {:<16}", round.load, "");
    let rows: Vec<Median> = measured.iter().filter_map(|row| row.median).collect();
    let Some(first) = rows.first() else {
        return text + "nobody did it\n";
    };
    let columns: Vec<&Column> = COLUMNS
        .iter()
        .filter(|column| rows.iter().any(|row| (column.value)(row, first).is_some()))
        .collect();
    for Column { title, width, .. } in &columns {
        text.push_str(&format!("{title:>width$}"));
    }
    for row in measured {
        text.push_str(&format!("\n  {:<16}", row.contender));
        match &row.median {
            Some(median) => {
                for Column { width, value, .. } in &columns {
                    let value = value(median, first).unwrap_or_default();
                    text.push_str(&format!("{value:>width$}"));
                }
            }
            None => text.push_str(&format!("{:>12}", "failed")),
        }
        if row.failed > 0 {
            text.push_str(&format!("  {} failed", row.failed));
        }
    }
    text + "\n"
}

/// A number in three digits or so: `15.1M`, `873k`.
pub(crate) fn short(value: f64) -> String {
    let (value, unit) = match value {
        v if v >= 1e6 => (v / 1e6, "M"),
        v if v >= 1e3 => (v / 1e3, "k"),
        v => (v, ""),
    };
    if value >= 100.0 {
        format!("{value:.0}{unit}")
    } else if value >= 10.0 {
        format!("{value:.1}{unit}")
    } else {
        format!("{value:.2}{unit}")
    }
}

#[cfg(test)]
mod tests {
    use super::short;

    #[test]
    fn numbers_are_short() {
        for (value, text) in [
            (0.5, "0.50"),
            (12.34, "12.3"),
            (999.0, "999"),
            (18_800.0, "18.8k"),
            (873_400.0, "873k"),
            (15_100_000.0, "15.1M"),
        ] {
            assert_eq!(short(value), text);
        }
    }
}
