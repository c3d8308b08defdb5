//! The plugin of protobuf's compilers: see docs/cli.md.

use std::process::ExitCode;

fn main() -> ExitCode {
    msip_cli::protoc_gen_msip()
}
