//! MSIP beside its peers, in one run: `cargo run --release -p msip-benches -- run`.
//!
//! Each bout is a server process and a client process over loopback. `run` starts both, lets the contenders take turns, and
//! prints medians; what a contender is asked to do, and how it is counted, is in `msip-load`.

mod contenders;
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
    #[command(flatten)]
    Contend(msip_load::Command),
}

/// Why nothing came of it.
#[derive(Debug, Error)]
enum Problem {
    #[error("nobody is left to run, or nothing: see `--only`, `--chapter` and `--load`")]
    Nothing,
    #[error("the peers' program cannot be built or run: {status}")]
    Peers { status: ExitStatus },
    #[error("{contender} failed at `{load}`: {status}")]
    Failed {
        contender: String,
        load: String,
        status: ExitStatus,
    },
    #[error("of {bouts} bouts {failed} failed; what is above says which, and why")]
    Lost { failed: usize, bouts: usize },
    #[error("cannot run a process")]
    Process(#[source] io::Error),
    #[error("cannot print")]
    Print(#[source] io::Error),
    #[error("cannot write {}", path.display())]
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
        Command::Contend(command) => {
            msip_load::exit_contender(msip_load::run_program::<Own>(command))
        }
    }
}
