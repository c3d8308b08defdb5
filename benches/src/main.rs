//! MSIP beside its peers, in one run: `cargo run --release -p msip-benches -- run`.
//!
//! Each bout is a server process and a client process over loopback. `run` starts both, lets the contenders take turns, and
//! prints medians; what a contender is asked to do, and how it is counted, is in `msip-load`.

mod codegen;
mod contenders;
mod instructions;
mod relay;
mod report;
mod run;

use std::{
    io,
    path::PathBuf,
    process::{ExitCode, ExitStatus},
};

use clap::Parser;
use thiserror::Error;

use crate::contenders::Own;

/// MSIP beside its peers, in one run.
#[derive(Debug, Parser)]
enum Command {
    /// Runs the contenders under every load, and prints what they did.
    Run(run::RunJob),
    /// Writes the tables of a page, and charts, from what `run --json` has written.
    Report(report::ReportJob),
    /// Counts the instructions of small pieces, beside what they took before.
    Instructions(instructions::InstructionsJob),
    /// Does one of these pieces, for whoever counts.
    #[command(hide = true)]
    Case(instructions::CaseJob),
    /// Measures a relay that never decodes a body, beside the typed sender and receiver around it.
    Relay(relay::RelayJob),
    /// Measures the code generator, and what it makes the compiler do, beside tonic's.
    Codegen(codegen::CodegenJob),
    #[command(flatten)]
    Contend(msip_load::Command),
}

/// Why nothing came of it.
#[derive(Debug, Error)]
enum Problem {
    #[error("nobody is left to run, or nothing: see `--only`, `--chapter` and `--load`")]
    Nothing,
    #[error("case {name} failed")]
    Case {
        name: &'static str,
        #[source]
        source: msip_benches::CaseError,
    },
    #[error("valgrind counted nothing: {said}")]
    Valgrind { said: String },
    #[error("cannot read {}", path.display())]
    Counts {
        path: PathBuf,
        #[source]
        source: Box<toml::de::Error>,
    },
    #[error(
        "more instructions than benches/instructions.toml has: {cases}; if that is meant, write them with --update"
    )]
    Grown { cases: String },
    #[error("a package of the peers cannot be built or run: {status}")]
    Peers { status: ExitStatus },
    #[error("{contender} failed at `{load}`: {status}")]
    Failed {
        contender: String,
        load: String,
        status: ExitStatus,
    },
    #[error("of {bouts} bouts {failed} failed; what is above says which, and why")]
    Lost { failed: usize, bouts: usize },
    #[error(
        "the relay takes {ratio:.2} times what the sender and the receiver take together: 1.2 are allowed"
    )]
    Relay { ratio: f64 },
    #[error("cannot run a process")]
    Process(#[source] io::Error),
    #[error("cannot print")]
    Print(#[source] io::Error),
    #[error("at `{place}`: {what}")]
    Page { place: String, what: &'static str },
    #[error("cannot read or write {}", path.display())]
    File {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("not what the other process should say")]
    Json(#[source] serde_json::Error),
}

fn main() -> ExitCode {
    match Command::parse() {
        Command::Run(job) => msip_load::exit(run::run(&job)),
        Command::Report(job) => msip_load::exit(report::report(&job)),
        Command::Instructions(job) => msip_load::exit(instructions::instructions(&job)),
        Command::Case(job) => msip_load::exit(instructions::run_case(&job)),
        Command::Relay(job) => msip_load::exit(relay::relay(&job)),
        Command::Codegen(job) => msip_load::exit(codegen::codegen(&job)),
        Command::Contend(command) => {
            msip_load::exit_contender(msip_load::run_program::<Own>(command))
        }
    }
}
