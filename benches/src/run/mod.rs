//! `run`: every contender under every load, in turn.

mod plan;
mod process;
mod result;
mod table;

use std::{io::Write as _, path::PathBuf, time::Duration};

use msip_load::Load;

use self::process::Bout;
pub(crate) use self::{plan::Plan, result::Measured};
use crate::Problem;

/// What to run.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct RunJob {
    /// Only what is essential, in less than two minutes.
    #[arg(long)]
    quick: bool,
    /// Only contenders whose name is one of these (`raw,msip`).
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Only loads whose name contains this (`one-way 32 B`).
    #[arg(long)]
    load: Option<String>,
    /// How often each contender meets each load; the median counts. Default 5, with `--quick` 1.
    #[arg(long)]
    repeat: Option<usize>,
    /// For how long, each time, in milliseconds. Default 1000, with `--quick` 250.
    #[arg(long)]
    millis: Option<u64>,
    /// How many worker threads each of the two processes has; 0 is a runtime without any (`current_thread`).
    #[arg(long, default_value_t = 2)]
    workers: usize,
    /// Writes all that was measured to this file.
    #[arg(long)]
    json: Option<PathBuf>,
}

/// Runs, prints, and writes what was asked for.
pub(crate) fn run(job: &RunJob) -> Result<(), Problem> {
    let plan = Plan::new(job);
    let mut all = Vec::new();
    let mut failed = 0;
    for load in &plan.loads {
        let measured = meet(&plan, *load)?;
        table::print(*load, &measured)?;
        failed += measured.iter().map(|m| m.failed).sum::<usize>();
        all.extend(measured);
    }
    if let Some(path) = &job.json {
        let text = serde_json::to_string_pretty(&all).map_err(Problem::Json)?;
        std::fs::write(path, text).map_err(|source| Problem::File {
            path: path.clone(),
            source,
        })?;
    }
    if failed > 0 {
        let bouts = all.len() * plan.repeat;
        return Err(Problem::Lost { failed, bouts });
    }
    Ok(())
}

/// Lets every contender meet the load, each once in every round; each round begins with another one.
fn meet(plan: &Plan, load: Load) -> Result<Vec<Measured>, Problem> {
    let mut bouts: Vec<Vec<Option<Bout>>> = vec![Vec::new(); plan.contenders.len()];
    for round in 0..plan.repeat {
        for turn in 0..plan.contenders.len() {
            let index = (round + turn) % plan.contenders.len();
            let contender = &plan.contenders[index];
            // What is measured goes to the table; this line says that something happens.
            let _ = write!(
                std::io::stderr(),
                "\r\x1b[K{load}: {contender}, {}",
                round + 1
            );
            let bout = process::fight(contender, plan.workers, load, plan.time);
            if let Err(problem) = &bout {
                let _ = writeln!(std::io::stderr(), ": {problem}");
            }
            bouts[index].push(bout.ok());
        }
    }
    let _ = write!(std::io::stderr(), "\r\x1b[K");
    let medians = plan.contenders.iter().zip(&bouts);
    Ok(medians
        .map(|(contender, bouts)| Measured::median(contender, plan.workers, load, bouts))
        .collect())
}

/// The time of one bout.
fn millis(job: &RunJob) -> Duration {
    let default = if job.quick { 250 } else { 1000 };
    Duration::from_millis(job.millis.unwrap_or(default))
}
