//! A calculator, with either end MSIP's: clients of FlyRPC connect to this server, and this client to a server of FlyRPC's.
//!
//! ```text
//! cargo run -p msip-examples --bin flyrpc-calc -- server                                       (until Ctrl-C)
//! cargo run -p msip-examples --bin flyrpc-calc -- client 2 40                                  (by FlyRPC's wire)
//! cargo run -p msip-examples --bin flyrpc-calc -- client 2 40 --url tcp://127.0.0.1:7406       (by MSIP's)
//! ```
//!
//! docs/dialects.md, "FlyRPC", has what maps to what.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it tells people what happens"
)]

mod client;
#[expect(unreachable_pub, reason = "it is generated as for a library")]
mod schema {
    msip_runtime::include_protocol!("flyrpc_calc");
}
mod server;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use msip_examples::with_causes;

/// Calculates, by FlyRPC's wire or MSIP's.
#[derive(Debug, Parser)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves clients of both
    Server {
        /// Where FlyRPC's clients connect to
        #[arg(long, default_value = "flyrpc://127.0.0.1:6001")]
        flyrpc: String,

        /// Where MSIP's clients connect to
        #[arg(long, default_value = "tcp://127.0.0.1:7406")]
        url: String,
    },
    /// Adds and divides two numbers
    Client {
        /// One
        a: i32,

        /// The other
        b: i32,

        /// Where the server is
        #[arg(long, default_value = "flyrpc://127.0.0.1:6001")]
        url: String,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    let done = match Args::parse().command {
        Command::Server { flyrpc, url } => server::run(&url, &flyrpc).await,
        Command::Client { a, b, url } => client::run(a, b, &url).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("flyrpc-calc: {}", with_causes(&*error));
            ExitCode::FAILURE
        }
    }
}
