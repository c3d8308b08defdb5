//! The program `msip-gateway`: see docs/http.md.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}
