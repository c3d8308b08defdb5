//! Messi's chat, with either end MSIP's: Messi's own clients connect to this server, and this client to Messi's own server.
//!
//! ```text
//! cargo run -p msip-examples --bin messi-chat -- server                                    (until Ctrl-C)
//! cargo run -p msip-examples --bin messi-chat -- client Erik                               (by Messi's wire)
//! cargo run -p msip-examples --bin messi-chat -- client Åsa --url tcp://127.0.0.1:7405     (by MSIP's, in the same chat)
//! ```
//!
//! docs/dialects.md, "Messi", has what maps to what.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it tells people what happens"
)]

mod client;
#[expect(unreachable_pub, reason = "it is generated as for a library")]
mod schema {
    msip_runtime::include_protocol!("messi_chat");
}
mod server;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use msip_examples::with_causes;

/// Chats, by Messi's wire or MSIP's.
#[derive(Debug, Parser)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves clients of both
    Server {
        /// Where Messi's clients connect to
        #[arg(long, default_value = "messi://127.0.0.1:6000")]
        messi: String,

        /// Where MSIP's clients connect to
        #[arg(long, default_value = "tcp://127.0.0.1:7405")]
        url: String,
    },
    /// Says each line of its input, and prints what all say
    Client {
        /// Who it is
        user: String,

        /// Where the server is
        #[arg(long, default_value = "messi://127.0.0.1:6000")]
        url: String,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    let done = match Args::parse().command {
        Command::Server { messi, url } => server::run(&url, &messi).await,
        Command::Client { user, url } => client::run(user, &url).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("messi-chat: {}", with_causes(&*error));
            ExitCode::FAILURE
        }
    }
}
