//! The command `msip`: see docs/cli.md.

use std::process::ExitCode;

fn main() -> ExitCode {
    msip_cli::msip()
}
