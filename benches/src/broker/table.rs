//! What is printed.

use std::io::{self, Write as _};

use super::{
    TrialError,
    contender::Contender,
    load::{Figure, Load, SlowFigure},
};

/// The medians, load by load.
pub(super) struct Table {
    names: Vec<String>,
    rows: Vec<(Load, Vec<Option<Figure>>)>,
}

impl Table {
    pub(super) fn new(contenders: &[Contender]) -> Self {
        Self {
            names: contenders
                .iter()
                .map(|contender| contender.name.clone())
                .collect(),
            rows: Vec::new(),
        }
    }

    /// The figures of each contender under this load.
    pub(super) fn add(&mut self, load: Load, figures: Vec<Vec<Figure>>) {
        let medians = figures
            .into_iter()
            .map(|mut figures| {
                figures.sort_by(|a, b| a.weight().total_cmp(&b.weight()));
                figures.get(figures.len() / 2).copied()
            })
            .collect();
        self.rows.push((load, medians));
    }

    pub(super) fn print(&self, is_markdown: bool) -> io::Result<()> {
        let mut lines = vec![
            std::iter::once(String::new())
                .chain(self.names.clone())
                .collect(),
        ];
        for (load, figures) in &self.rows {
            let mut line = vec![load.name().to_owned()];
            line.extend(figures.iter().map(|figure| match figure {
                Some(figure) => text(*figure),
                None => "-".to_owned(),
            }));
            lines.push(line);
        }
        let out = &mut io::stdout().lock();
        if is_markdown {
            return markdown(&lines, out);
        }
        let widths = widths(&lines);
        for line in &lines {
            for (cell, width) in line.iter().zip(&widths) {
                write!(out, "{cell:width$}  ")?;
            }
            writeln!(out)?;
        }
        Ok(())
    }
}

fn widths(lines: &[Vec<String>]) -> Vec<usize> {
    let columns = lines.first().map_or(0, Vec::len);
    (0..columns)
        .map(|column| {
            let cells = lines.iter().filter_map(|line| line.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        })
        .collect()
}

fn markdown(lines: &[Vec<String>], out: &mut impl io::Write) -> io::Result<()> {
    for (index, line) in lines.iter().enumerate() {
        writeln!(out, "| {} |", line.join(" | "))?;
        if index == 0 {
            writeln!(out, "| --- |{}", " ---: |".repeat(line.len() - 1))?;
        }
    }
    Ok(())
}

fn text(figure: Figure) -> String {
    match figure {
        Figure::Rate { rate, cost } => format!("{} ({:.2} µs)", thousands(rate), cost * 1e6),
        Figure::Time { median, most } => {
            format!("{} µs ({} µs)", median.as_micros(), most.as_micros())
        }
        Figure::Memory(bytes) => format!("{:.1} KiB", bytes / 1024.0),
        Figure::Slow(SlowFigure {
            others,
            lost,
            is_cut,
            memory,
        }) => {
            let cut = if is_cut { "cut" } else { "kept" };
            let memory = memory / (1024.0 * 1024.0);
            format!(
                "others at {:.0} %, lost {lost}; {cut}, {memory:.0} MiB",
                others * 100.0
            )
        }
    }
}

fn thousands(rate: f64) -> String {
    match rate {
        rate if rate >= 1e6 => format!("{:.2}M/s", rate / 1e6),
        rate if rate >= 1e4 => format!("{:.0}k/s", rate / 1e3),
        rate => format!("{:.1}k/s", rate / 1e3),
    }
}

/// Tells of a trial that failed.
pub(super) fn tell(contender: &Contender, load: Load, error: &TrialError) -> io::Result<()> {
    let mut text = format!("{} failed at `{}`: {error}", contender.name, load.name());
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    writeln!(io::stderr(), "{text}")
}
