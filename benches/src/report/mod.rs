//! `report`: the tables and charts of a page, from what a run has written.

mod charts;
mod page;
mod svg;
mod tables;

use std::{
    fs,
    path::{Path, PathBuf},
};

pub(crate) use self::tables::machine;
use crate::{problem::Problem, run::Report};

/// What to make of a run's JSON.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ReportJob {
    /// What `run --json` has written.
    #[arg(long)]
    json: PathBuf,
    /// A Markdown page whose tables are regenerated: the text between `<!-- table: NAME -->` and `<!-- end -->`.
    #[arg(long)]
    page: Option<PathBuf>,
    /// A folder to draw charts into, as SVG.
    #[arg(long)]
    charts: Option<PathBuf>,
}

/// Writes what was asked for. Tables that another command writes stay as they are: `is_anothers` knows their names.
pub(crate) fn report(job: &ReportJob, is_anothers: impl Fn(&str) -> bool) -> Result<(), Problem> {
    let report: Report = serde_json::from_str(&read(&job.json)?).map_err(Problem::Json)?;
    if let Some(page) = &job.page {
        update(page, |name, old| {
            if is_anothers(name) {
                return Some(old.to_owned());
            }
            tables::table(&report, name)
        })?;
    }
    if let Some(folder) = &job.charts {
        draw(&report, folder)?;
    }
    Ok(())
}

/// Writes each marked table of a page anew. `table` knows them by name, and is told what is there.
pub(crate) fn update(
    page: &Path,
    table: impl Fn(&str, &str) -> Option<String>,
) -> Result<(), Problem> {
    write(page, &page::fill(&read(page)?, table)?)
}

/// Draws the charts of a run.
pub(crate) fn draw(report: &Report, folder: &Path) -> Result<(), Problem> {
    fs::create_dir_all(folder).map_err(|source| Problem::File {
        path: folder.to_owned(),
        source,
    })?;
    for (name, svg) in charts::charts(report) {
        write(&folder.join(format!("{name}.svg")), &svg)?;
    }
    Ok(())
}

fn read(path: &Path) -> Result<String, Problem> {
    fs::read_to_string(path).map_err(|source| Problem::File {
        path: path.to_owned(),
        source,
    })
}

fn write(path: &Path, text: &str) -> Result<(), Problem> {
    fs::write(path, text).map_err(|source| Problem::File {
        path: path.to_owned(),
        source,
    })
}
