//! Benchmarks of MSIP and comparable libraries: `cargo run --release -p msip-benches -- run`.
//!
//! Each trial runs a server process and a client process over loopback. `run` starts both, alternates between the
//! contenders, and prints medians. The loads, and how they are measured, are in `msip-load`.

mod broker;
mod codegen;
mod contenders;
mod instructions;
mod languages;
mod problem;
mod relay;
mod report;
mod run;
mod usage;

use std::process::ExitCode;

use clap::Parser;

use crate::contenders::Own;

/// Benchmarks of MSIP and comparable libraries.
#[derive(Debug, Parser)]
enum Command {
    /// Runs the contenders under every load, and prints the results.
    Run(run::RunJob),
    /// Updates the tables of a page, and draws charts, from the output of `run --json`.
    Report(report::ReportJob),
    /// Counts the instructions of small cases, and compares them with earlier counts.
    Instructions(instructions::InstructionsJob),
    /// Runs one of these cases, to be measured.
    #[command(hide = true)]
    Case(instructions::CaseJob),
    /// Measures a relay that never decodes a body, compared with the typed sender and receiver around it.
    Relay(relay::RelayJob),
    /// Measures the build time and size of generated code, compared with tonic's.
    Codegen(codegen::CodegenJob),
    /// Measures brokers: this one, and those that are installed.
    Broker(broker::BrokerJob),
    /// Passes MIP frames on, to be measured.
    #[command(hide = true)]
    PlainLoop(broker::PlainLoopJob),
    /// Measures the packages for Python and Node, compared with what users of these languages have otherwise.
    Languages(languages::LanguagesJob),
    #[command(flatten)]
    Contend(msip_load::Command),
}

fn main() -> ExitCode {
    match Command::parse() {
        Command::Run(job) => msip_load::exit(run::run(&job, report::draw)),
        Command::Report(job) => msip_load::exit(report::report(&job, languages::is_table)),
        Command::Instructions(job) => msip_load::exit(instructions::instructions(&job)),
        Command::Case(job) => msip_load::exit(instructions::run_case(&job)),
        Command::Relay(job) => msip_load::exit(relay::relay(&job)),
        Command::Codegen(job) => msip_load::exit(codegen::codegen(&job)),
        Command::Broker(job) => msip_load::exit(broker::broker(&job)),
        Command::PlainLoop(job) => msip_load::exit(broker::plain_loop(&job)),
        Command::Languages(job) => msip_load::exit(languages::languages(&job)),
        Command::Contend(command) => {
            msip_load::exit_contender(msip_load::run_program::<Own>(command))
        }
    }
}
