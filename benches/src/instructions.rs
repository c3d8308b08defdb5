//! `instructions`: the instruction counts of small cases, compared with earlier counts.

use std::{
    collections::BTreeMap,
    env, fs,
    io::{self, Write as _},
    path::PathBuf,
    process::{Command, Stdio},
};

use msip_benches::CASES;

use crate::problem::Problem;

/// The two repetition counts. The difference between them excludes startup.
const COUNTS: (u64, u64) = (2_000, 12_000);
/// How often each is counted; the least counts. A connection's turn is over after 2 ms, which under callgrind may come early.
const RUNS: usize = 3;
/// The relative growth of a count that is an error.
const SLACK: f64 = 0.015;

/// The options of `instructions`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct InstructionsJob {
    /// Fails where a count has grown by more than 1.5 %.
    #[arg(long, conflicts_with = "update")]
    check: bool,
    /// Updates the file.
    #[arg(long)]
    update: bool,
    /// Only this case.
    #[arg(long)]
    case: Option<String>,
    /// The file. Default: benches/instructions.toml of this repository.
    #[arg(long)]
    file: Option<PathBuf>,
}

/// One case, in a process of its own, to count its instructions.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct CaseJob {
    /// Which.
    name: String,
    /// How often.
    count: u64,
}

/// Runs a case.
pub(crate) fn run_case(job: &CaseJob) -> Result<(), Problem> {
    let case = CASES.iter().find(|case| case.name == job.name);
    let case = case.ok_or(Problem::Nothing)?;
    (case.run)(job.count).map_err(|source| Problem::Case {
        name: case.name,
        source: Box::new(source),
    })
}

/// Counts instructions, and compares them with the file.
pub(crate) fn instructions(job: &InstructionsJob) -> Result<(), Problem> {
    let mut out = io::stdout();
    if !has_callgrind() {
        return writeln!(out, "not counted: valgrind is not installed").map_err(Problem::Print);
    }
    let file = job
        .file
        .clone()
        .unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("instructions.toml"));
    let at_file = |source| Problem::File {
        path: file.clone(),
        source,
    };
    let known: BTreeMap<String, f64> = match fs::read_to_string(&file) {
        Ok(text) => toml::from_str(&text).map_err(|source| Problem::Counts {
            path: file.clone(),
            source: Box::new(source),
        })?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
        Err(error) => return Err(at_file(error)),
    };
    let mut counted = BTreeMap::new();
    let mut grown = Vec::new();
    for case in CASES {
        if job.case.as_deref().is_some_and(|only| only != case.name) {
            continue;
        }
        let count = count(case.name)?;
        counted.insert(case.name, count);
        let before = known.get(case.name).copied();
        let change = before.map_or(0.0, |before| count / before - 1.0);
        if change > SLACK {
            grown.push(case.name);
        }
        let change =
            before.map_or_else(|| "new".to_owned(), |_| format!("{:+.1} %", change * 100.0));
        writeln!(
            out,
            "{:<16}{count:>10.1}{change:>10}  {}",
            case.name, case.what
        )
        .map_err(Problem::Print)?;
    }
    if job.update {
        fs::write(&file, text(&counted, &known)).map_err(at_file)?;
    }
    if job.check && !grown.is_empty() {
        return Err(Problem::Grown {
            cases: grown.join(", "),
        });
    }
    Ok(())
}

/// The contents of the file: the counts of this run, and the old ones of cases that were not run.
fn text(counted: &BTreeMap<&str, f64>, known: &BTreeMap<String, f64>) -> String {
    let mut text = "# Instructions of each case, by callgrind. Written by `msip-benches instructions --update`.\n".to_owned();
    for case in CASES {
        let known = known.get(case.name);
        if let Some(count) = counted.get(case.name).or(known) {
            text.push_str(&format!("\n# {}\n{} = {count:.1}\n", case.what, case.name));
        }
    }
    text
}

fn has_callgrind() -> bool {
    let version = Command::new("valgrind")
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    version.is_ok_and(|status| status.success())
}

/// The instructions of one repetition of a case.
#[expect(
    clippy::cast_precision_loss,
    reason = "far fewer than 2^52 instructions"
)]
fn count(name: &'static str) -> Result<f64, Problem> {
    let (less, more) = COUNTS;
    let difference = least(name, more)?.saturating_sub(least(name, less)?);
    Ok(difference as f64 / (more - less) as f64)
}

/// The instructions of a case that is repeated this many times, in the run that took the fewest.
fn least(name: &'static str, count: u64) -> Result<u64, Problem> {
    (0..RUNS).try_fold(u64::MAX, |least, _| Ok(least.min(collect(name, count)?)))
}

/// The instructions of a process that repeats a case this many times.
fn collect(name: &'static str, count: u64) -> Result<u64, Problem> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(env::current_exe().map_err(Problem::Process)?)
        .args(["case", name, &count.to_string()])
        .output()
        .map_err(Problem::Process)?;
    let said = String::from_utf8_lossy(&output.stderr);
    collected(&said)
        .filter(|_| output.status.success())
        .ok_or_else(|| Problem::Valgrind {
            said: said.into_owned(),
        })
}

/// `==123== Collected : 4567`
fn collected(said: &str) -> Option<u64> {
    let line = said.lines().find(|line| line.contains("Collected"))?;
    line.rsplit(':').next()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_is_found() {
        let said = "==7== Callgrind\n==7== Events    : Ir\n==7== Collected : 4567\n==7==\n";
        assert_eq!(collected(said), Some(4567));
        assert_eq!(collected("valgrind: no such file"), None);
    }

    #[test]
    fn the_file_keeps_what_was_not_counted() {
        let known = BTreeMap::from([("call".to_owned(), 9.0), ("gone".to_owned(), 1.0)]);
        let text = text(&BTreeMap::from([("one-way", 5.25)]), &known);
        let read: BTreeMap<String, f64> = toml::from_str(&text).expect("it is TOML");
        let expected = [("call".to_owned(), 9.0), ("one-way".to_owned(), 5.2)];
        assert_eq!(read, BTreeMap::from(expected));
    }

    #[test]
    fn the_file_knows_every_case() {
        let text = include_str!("../instructions.toml");
        let read: BTreeMap<String, f64> = toml::from_str(text).expect("it is TOML");
        let names: Vec<&str> = CASES.iter().map(|case| case.name).collect();
        for name in names {
            assert!(
                read.contains_key(name),
                "{name}: run `msip-benches instructions --update`"
            );
        }
    }
}
