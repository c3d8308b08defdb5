//! The table on the terminal.

use std::io::{self, Write as _};

use msip_load::Load;

use super::Measured;
use crate::Problem;

/// Prints what the contenders did under one load, beside what the first of them did.
pub(super) fn print(load: Load, measured: &[Measured]) -> Result<(), Problem> {
    let mut out = io::stdout().lock();
    let first = measured.first();
    writeln!(out, "\n{load}").map_err(Problem::Print)?;
    writeln!(
        out,
        "  {:<16}{:>12}{:>7}{:>22}{:>14}{:>7}{:>9}{:>9}{:>9}",
        "", "per second", "×", "slowest … fastest", "CPU s/million", "×", "p50 µs", "p99", "p99.9"
    )
    .map_err(Problem::Print)?;
    for row in measured {
        if row.rate.is_nan() {
            writeln!(out, "  {:<16}{:>12}", row.contender, "failed").map_err(Problem::Print)?;
            continue;
        }
        let of = |value: f64, base: Option<f64>| value / base.unwrap_or(f64::NAN);
        let range = format!("{} … {}", short(row.rate_range.0), short(row.rate_range.1));
        let [p50, p99, p999] = match row.latency {
            Some(latency) => [latency.p50, latency.p99, latency.p999].map(|p| format!("{p:.0}")),
            None => [const { String::new() }; 3],
        };
        writeln!(
            out,
            "  {:<16}{:>12}{:>7.2}{:>22}{:>14}{:>7.2}{:>9}{:>9}{:>9}",
            row.contender,
            short(row.rate),
            of(row.rate, first.map(|f| f.rate)),
            range,
            format!("{:.3}", row.cpu),
            of(row.cpu, first.map(|f| f.cpu)),
            p50,
            p99,
            p999,
        )
        .map_err(Problem::Print)?;
    }
    Ok(())
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
