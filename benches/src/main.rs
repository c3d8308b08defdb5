//! MSIP beside its peers, in one run: `cargo run --release -p msip-benches -- run`.
//!
//! Each trial is a server process and a client process over loopback. `run` starts both, lets the contenders take turns, and
//! prints medians; what a contender is asked to do, and how it is counted, is in `msip-load`.

mod codegen;
mod contenders;
mod instructions;
mod problem;
mod report;
mod run;

use std::process::ExitCode;

use clap::Parser;

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
    /// Measures the code generator, and what it makes the compiler do, beside tonic's.
    Codegen(codegen::CodegenJob),
    #[command(flatten)]
    Contend(msip_load::Command),
}

fn main() -> ExitCode {
    match Command::parse() {
        Command::Run(job) => msip_load::exit(run::run(&job, report::draw)),
        Command::Report(job) => msip_load::exit(report::report(&job)),
        Command::Instructions(job) => msip_load::exit(instructions::instructions(&job)),
        Command::Case(job) => msip_load::exit(instructions::run_case(&job)),
        Command::Codegen(job) => msip_load::exit(codegen::codegen(&job)),
        Command::Contend(command) => {
            msip_load::exit_contender(msip_load::run_program::<Own>(command))
        }
    }
}
