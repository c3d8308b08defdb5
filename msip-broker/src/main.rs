//! The program `msip-broker`: see docs/broker.md.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}
