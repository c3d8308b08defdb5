//! The chat in a browser: one page, whose script speaks MSIP over a WebSocket, and the room in which it talks with everybody
//! who has come by a terminal.
//!
//! ```text
//! cargo run -p msip-examples --bin chat-web                         (and open http://127.0.0.1:8000)
//! cargo run -p msip-examples --bin chat-client -- --name ada --url ws://127.0.0.1:7401/chat
//! ```
//!
//! The script is `chat.ts`, with the client that is generated from `chat.proto` for TypeScript; `chat.js` is what becomes of it, checked
//! in so that no Node.js is needed here. Only this page may connect from a browser: its origin is the one that the server lists.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it tells people what happens"
)]

mod page;

use std::{error::Error, process::ExitCode};

use clap::Parser;
use msip_examples::{Room, chat::Chat, stop_signal, with_causes};
use msip_runtime::Server;
use tokio::net::TcpListener;

/// Keeps a room in which people chat by a browser, and serves the page for it.
#[derive(Debug, Parser)]
struct Args {
    /// Where the page is served, over HTTP: host:port
    #[arg(long, default_value = "127.0.0.1:8000")]
    page: String,

    /// Where to listen for the page and for chat-client: ws://host:port/path
    #[arg(long, default_value = "ws://127.0.0.1:7401/chat")]
    url: String,

    /// What newcomers are told
    #[arg(long, default_value = "welcome; /who tells who is here")]
    motd: String,
}

#[tokio::main]
async fn main() -> ExitCode {
    match serve(Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", with_causes(&*error));
            ExitCode::FAILURE
        }
    }
}

async fn serve(args: Args) -> Result<(), Box<dyn Error>> {
    let stopped = stop_signal()?;
    let pages = TcpListener::bind(&args.page).await?;
    let at = pages.local_addr()?;
    // A page is known by how it was asked for.
    let origins = format!("http://{at},http://localhost:{}", at.port());
    let separator = if args.url.contains('?') { '&' } else { '?' };
    let url = format!("{}{separator}origin={origins}", args.url);
    let server = Server::<Chat>::builder(&url)
        .name("chat-web")
        .bind()
        .await?;
    let place = server.local_url().address().to_string();
    println!("open http://{at}; others chat at {place} (Ctrl-C stops)");
    let page = page::Page::new(&place);
    let room = Room::new(args.motd, |line| println!("{line}"));
    let report = tokio::select! {
        report = server.serve_until(room, stopped) => report,
        never = page.serve(pages) => match never {},
    };
    println!("goodbye; {} calls cut off", report.cut_off);
    Ok(())
}
