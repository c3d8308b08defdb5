//! `run`: every contender under every load, in turn.

mod contender_program;
mod peers;
mod plan;
mod process;
mod result;
mod syscalls;
mod table;

use std::{
    io::{self, Write as _},
    path::{Path, PathBuf},
    time::Duration,
};

pub(crate) use self::{
    plan::Chapter,
    result::{Measured, Median, Report},
    table::short,
};
use self::{
    plan::{Plan, Round},
    process::Trial,
    syscalls::Tool,
};
use crate::problem::Problem;

/// The duration of a trial that counts system calls.
const COUNTED: Duration = Duration::from_millis(250);

/// The options of `run`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct RunJob {
    /// Only what is essential, in less than two minutes.
    #[arg(long)]
    quick: bool,
    /// Only these contenders (`raw,msip`).
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Only these parts of the report.
    #[arg(long, value_delimiter = ',')]
    chapter: Vec<Chapter>,
    /// Only loads whose name contains this (`one-way 32 B`).
    #[arg(long)]
    load: Option<String>,
    /// How often each contender meets each load; the median counts. Default 3 or 5, with `--quick` 1.
    #[arg(long)]
    repeat: Option<usize>,
    /// For how long, each time, in milliseconds. Default 500 to 2000, with `--quick` 250.
    #[arg(long)]
    millis: Option<u64>,
    /// How many worker threads each of the two processes has; 0 is a runtime without any (`current_thread`). Default 2,
    /// and both where both are compared.
    #[arg(long)]
    workers: Option<usize>,
    /// Writes all that was measured to this file.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Draws charts of it into this folder, as SVG.
    #[arg(long)]
    charts: Option<PathBuf>,
}

impl RunJob {
    /// The options that shorten the run.
    fn shortened(&self) -> Option<String> {
        let mut parts = Vec::new();
        parts.extend(self.quick.then(|| "quick".to_owned()));
        parts.extend(self.repeat.map(|repeat| format!("{repeat} of each")));
        parts.extend(self.millis.map(|millis| format!("{millis} ms each")));
        (!parts.is_empty()).then(|| parts.join(", "))
    }
}

/// Runs the benchmarks, prints the results and writes the files that were asked for; `draw` draws charts of a report into
/// a folder.
pub(crate) fn run(
    job: &RunJob,
    draw: impl FnOnce(&Report, &Path) -> Result<(), Problem>,
) -> Result<(), Problem> {
    let plan = Plan::new(job)?;
    if plan.contenders.is_empty() || plan.rounds.is_empty() {
        return Err(Problem::Nothing);
    }
    raise_file_limit()?;
    let tool = Tool::find();
    if tool.is_none() {
        tell("neither perf nor strace can count system calls here: they are left out\n");
    }
    let mut report = Report::new(job.shortened())?;
    let (mut trials, mut failed) = (0, 0);
    for round in &plan.rounds {
        let measured = run_round(&plan, round, tool);
        table::print(round, &measured)?;
        trials += measured.len() * round.repeat;
        failed += measured.iter().map(|m| m.failed).sum::<usize>();
        report.measured.extend(measured);
    }
    if let Some(path) = &job.json {
        report.write(path)?;
    }
    if let Some(folder) = &job.charts {
        draw(&report, folder)?;
    }
    if failed > 0 {
        return Err(Problem::Lost { failed, trials });
    }
    Ok(())
}

/// Runs every contender under the load, once per repetition, each of which begins with another contender. Contenders that
/// do not support the load, or are none of the chapter's, are left out.
fn run_round(plan: &Plan, round: &Round, tool: Option<Tool>) -> Vec<Measured> {
    let count = plan.contenders.len();
    let mut trials: Vec<Vec<Option<Trial>>> = vec![Vec::new(); count];
    let names = plan.contenders.iter().map(|contender| &*contender.name);
    let mut is_offered: Vec<_> = names.map(|name| round.chapter.includes(name)).collect();
    for repetition in 0..round.repeat {
        for turn in 0..count {
            let index = (repetition + turn) % count;
            let contender = &plan.contenders[index];
            if !is_offered[index] {
                continue;
            }
            tell(&format!(
                "{}: {}, {}",
                round.load,
                contender.name,
                repetition + 1
            ));
            match process::run_trial(contender, round.workers, round.load, round.time, None) {
                Ok(Some(trial)) => trials[index].push(Some(trial)),
                Ok(None) => is_offered[index] = false,
                Err(problem) => {
                    tell("");
                    let _ = writeln!(io::stderr(), "{problem}");
                    trials[index].push(None);
                }
            }
        }
    }
    let mut measured = Vec::new();
    for (index, contender) in plan.contenders.iter().enumerate() {
        if !is_offered[index] {
            continue;
        }
        let mut row = Measured::median(&contender.name, round, &trials[index]);
        // In a separate trial, since counting slows it down.
        if let (Some(_), Some(median)) = (tool.filter(|_| round.counts_syscalls), &mut row.median) {
            tell(&format!("{}: {}, system calls", round.load, contender.name));
            let trial = process::run_trial(contender, round.workers, round.load, COUNTED, tool);
            median.syscalls = trial.ok().flatten().and_then(Trial::syscalls_per_message);
        }
        measured.push(row);
    }
    tell("");
    measured
}

/// Shows the progress on one line, which the next message replaces.
fn tell(text: &str) {
    let _ = write!(io::stderr(), "\r\x1b[K{text}");
}

/// Each of thousands of connections is a file; processes started from here inherit the limit.
fn raise_file_limit() -> Result<(), Problem> {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let raise = || {
        let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)
    };
    raise().map_err(|errno| Problem::Process(errno.into()))
}
