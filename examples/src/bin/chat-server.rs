//! The chat server: everyone who connects and gives a name can talk to everyone else in the room.
//!
//! ```text
//! cargo run -p msip-examples --bin chat-server
//! cargo run -p msip-examples --bin chat-client -- --name ada     (in another terminal, as often as you like)
//! ```
//!
//! It prints who enters and leaves, and with `-v` the events of connections. Ctrl-C closes all connections gracefully
//! and ends. Kill it instead, and start it again: the clients reconnect by themselves.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it tells people what happens"
)]

use std::{error::Error, process::ExitCode};

use clap::{ArgAction, Parser};
use msip_examples::{Room, chat::Chat, stop_signal, with_causes};
use msip_runtime::Server;
use tracing::Level;

/// Keeps a room in which people chat.
#[derive(Debug, Parser)]
struct Args {
    /// Where to listen: tcp://host:port, with settings behind a `?` (tcp://127.0.0.1:7400?ping_interval=5s)
    #[arg(long, default_value = "tcp://127.0.0.1:7400")]
    url: String,

    /// What newcomers are told
    #[arg(long, default_value = "welcome; /who tells who is here")]
    motd: String,

    /// Show what the connections do; twice: every detail
    #[arg(short, long, action = ArgAction::Count)]
    verbose: u8,
}

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    let level = match args.verbose {
        0 => Level::WARN,
        1 => Level::INFO,
        _ => Level::DEBUG,
    };
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(std::io::stderr)
        .init();
    match serve(args).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", with_causes(&*error));
            ExitCode::FAILURE
        }
    }
}

async fn serve(args: Args) -> Result<(), Box<dyn Error>> {
    // Before anything is shown: from then on no signal ends it without a goodbye.
    let stopped = stop_signal()?;
    let server = Server::<Chat>::builder(&args.url)
        .name("chat-server")
        .bind()
        .await?;
    println!("listening at {} (Ctrl-C stops)", server.local_url());
    let room = Room::new(args.motd, |line| println!("{line}"));
    let report = server.serve_until(room, stopped).await;
    println!("goodbye; {} calls cut off", report.cut_off);
    Ok(())
}
