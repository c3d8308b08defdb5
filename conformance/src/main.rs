//! Plays the same cases in every language, in both roles.
//!
//! `cargo run -p msip-conformance -- --help` says what can be chosen; README.md says how to add a language.

mod case;
mod cases;
#[path = "../drivers/rust/mod.rs"]
mod driver;
mod end;
mod languages;
mod pair;
mod process;
mod raw;
mod run;

#[expect(unreachable_pub, reason = "generated code is for a crate's users")]
mod protocol {
    //! What the drivers say to each other, and what they are told.

    msip_runtime::include_protocols!();
}

use std::{path::PathBuf, process::ExitCode, sync::Arc};

use clap::Parser;

use crate::{
    case::Play,
    pair::Ways,
    run::{Job, Outcome, Played, RAW, Sides},
};

/// Plays the same cases in every language, in both roles.
#[derive(Debug, Parser)]
struct Options {
    /// Only cases whose name contains this.
    #[arg(long)]
    only: Vec<String>,
    /// Only clients of this language, or `raw`.
    #[arg(long)]
    client: Vec<String>,
    /// Only servers of this language, or `raw`.
    #[arg(long)]
    server: Vec<String>,
    /// Lists the cases, and plays none.
    #[arg(long)]
    list: bool,
    /// Writes the results in the form of JUnit.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// How many pairs play at once.
    #[arg(long, default_value_t = 2)]
    jobs: usize,
}

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error.to_string()),
    };
    if std::env::args().nth(1).as_deref() == Some("drive") {
        let driven = runtime.block_on(driver::run());
        // Standard input is read by a thread that does not end by itself.
        runtime.shutdown_background();
        return driven.map_or_else(|error| failed(&error.to_string()), |()| ExitCode::SUCCESS);
    }
    let options = Options::parse();
    runtime.block_on(play(&options))
}

#[expect(clippy::print_stderr, reason = "this is a program")]
fn failed(error: &str) -> ExitCode {
    eprintln!("{error}");
    ExitCode::FAILURE
}

#[expect(clippy::print_stdout, reason = "this is a program")]
async fn play(options: &Options) -> ExitCode {
    let chosen = |name: &str| {
        options.only.is_empty() || options.only.iter().any(|only| name.contains(only.as_str()))
    };
    let cases: Vec<_> = cases::all()
        .into_iter()
        .filter(|case| chosen(&case.name))
        .collect();
    if options.list {
        for case in &cases {
            println!("{}", case.name);
        }
        return ExitCode::SUCCESS;
    }
    run::catch_panics();
    let ways = Ways {
        scheme: "tcp",
        origin: None,
        folder: Arc::new(std::env::temp_dir()),
    };
    let has = |chosen: &[String], side: &str| {
        chosen.is_empty() || chosen.iter().any(|chosen| chosen == side)
    };
    let mut jobs = Vec::new();
    for client in languages::LANGUAGES.into_iter().chain([RAW]) {
        for server in languages::LANGUAGES.into_iter().chain([RAW]) {
            if !has(&options.client, client) || !has(&options.server, server) {
                continue;
            }
            let cases = cases.iter().filter(|case| match case.play {
                Play::Pair(_) => client != RAW && server != RAW,
                Play::Server(_) => client == RAW && server != RAW,
                Play::Client(_) => client != RAW && server == RAW,
            });
            let cases: Vec<_> = cases.cloned().collect();
            if !cases.is_empty() {
                jobs.push(Job {
                    sides: Sides { client, server },
                    client: languages::launch(client).ok(),
                    server: languages::launch(server).ok(),
                    cases,
                    ways: ways.clone(),
                });
            }
        }
    }
    let played = run::run(jobs, options.jobs, tell).await;
    let failures = played
        .iter()
        .filter(|played| matches!(played.outcome, Outcome::Failed(_)))
        .count();
    println!("{} played, {failures} failed", played.len());
    match failures {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

/// Prints a line for a case.
#[expect(clippy::print_stdout, reason = "this is a program")]
fn tell(played: &Played) {
    let Sides { client, server } = &played.sides;
    let (case, took) = (&played.case, played.took.as_millis());
    match &played.outcome {
        Outcome::Passed => println!("ok      {client} -> {server} {case} ({took} ms)"),
        Outcome::NotOffered(profile) => {
            println!("without {client} -> {server} {case}: {profile}");
        }
        Outcome::Failed(reason) => {
            let reason = reason.replace('\n', "\n    ");
            println!("FAILED  {client} -> {server} {case} ({took} ms)\n    {reason}");
        }
    }
}
