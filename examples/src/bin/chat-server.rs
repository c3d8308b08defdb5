//! The chat server: everyone who connects and gives a name can talk to everyone else in the room.
//!
//! ```text
//! cargo run -p msip-examples --bin chat-server
//! cargo run -p msip-examples --bin chat-client -- --name ada     (in another terminal, as often as you like)
//! ```
//!
//! It prints who enters and leaves, and with `-v` the events of connections. Ctrl-C closes all connections gracefully
//! and ends. Kill it instead, and start it again: the clients reconnect by themselves.
//!
//! It listens at as many addresses as it is given. With TLS, and certificates that it writes itself:
//!
//! ```text
//! cargo run -p msip-examples --features tls --bin chat-server -- --dev-certs certs --listen tls://127.0.0.1:7400
//! cargo run -p msip-examples --features tls --bin chat-client -- --name ada --url 'tls://127.0.0.1:7400?ca=certs/ca.pem'
//! ```
//!
//! With `--features quic` it listens at `quic://` too, with the same certificates, and beside other addresses at once. At SIGHUP it reads
//! its certificates again.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it tells people what happens"
)]

use std::{error::Error, process::ExitCode};

use clap::{ArgAction, Parser};
#[cfg(feature = "tls")]
use msip_examples::dev_certs;
use msip_examples::{Room, chat::Chat, reload_at_hangup, stop_signal, with_causes};
use msip_runtime::Server;
use tracing::Level;

/// Keeps a room in which people chat.
#[derive(Debug, Parser)]
struct Args {
    /// Where to listen: tcp://host:port, or another transport, with settings behind a `?`
    /// (tcp://127.0.0.1:7400?ping_interval=5s); again for further addresses
    #[arg(
        long,
        visible_alias = "url",
        value_name = "URL",
        default_value = "tcp://127.0.0.1:7400"
    )]
    listen: Vec<String>,

    /// Take the certificates for TLS and QUIC from this folder, and write some there if it has none
    #[cfg(feature = "tls")]
    #[arg(long, value_name = "DIR")]
    dev_certs: Option<std::path::PathBuf>,

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
    let (first, others) = args.listen.split_first().ok_or("no address to listen at")?;
    let mut builder = Server::<Chat>::builder(first).name("chat-server");
    for url in others {
        builder = builder.also(url);
    }
    #[cfg(feature = "tls")]
    if let Some(folder) = &args.dev_certs {
        builder = builder.tls(dev_certs(folder)?);
    }
    let server = builder.bind().await?;
    let reloading = reload_at_hangup(server.reloader())?;
    for url in server.local_urls() {
        println!("listening at {url} (Ctrl-C stops)");
    }
    let room = Room::new(args.motd, |line| println!("{line}"));
    let report = tokio::select! {
        report = server.serve_until(room, stopped) => report,
        never = reloading => match never {},
    };
    println!("goodbye; {} calls cut off", report.cut_off);
    Ok(())
}
