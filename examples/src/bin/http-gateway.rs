//! The chat behind a gateway for HTTP, in one process: whoever has curl is in the room with those who have a chat client.
//!
//! ```text
//! cargo run -p msip-examples --bin http-gateway
//! cargo run -p msip-examples --bin chat-client -- --name ada     (in another terminal)
//! curl -H 'Content-Type: application/json' -d '{"user": "bob"}' http://127.0.0.1:8080/v1/chat/connect_req
//! ```
//!
//! docs/http.md has more to try. Ctrl-C ends it.

#![expect(clippy::print_stdout, reason = "it tells people what happens")]

use std::error::Error;

use clap::Parser;
use msip_examples::{Room, chat::Chat, stop_signal};
use msip_gateway::{Gateway, ProtocolModel};
use msip_runtime::Server;
use tokio::sync::watch;

/// Keeps a room in which people chat, by MSIP and by HTTP.
#[derive(Debug, Parser)]
struct Args {
    /// Where to listen for HTTP
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    http: String,

    /// Where to listen for chat clients
    #[arg(long, value_name = "URL", default_value = "tcp://127.0.0.1:7400")]
    listen: String,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    let stopped = stop_signal()?;
    // The gateway needs no socket to reach a server of its own process.
    let server = Server::<Chat>::builder(&args.listen)
        .also("mem://http-gateway")
        .bind()
        .await?;
    let gateway = Gateway::builder(&args.http)
        .upstream("mem://http-gateway", [ProtocolModel::of::<Chat>()?])
        .bind()
        .await?;
    for url in server
        .local_urls()
        .filter(|url| url.address().scheme() != "mem")
    {
        println!("chat at {url}");
    }
    println!("listening on {} (Ctrl-C stops)", gateway.local_url());
    let room = Room::new("welcome", |line| println!("{line}"));
    // The gateway first: its requests end while there is a server.
    let (closed, mut is_closed) = watch::channel(false);
    let serving = server.serve_until(room, async move {
        // An error says that the gateway is gone.
        let _ = is_closed.wait_for(|closed| *closed).await;
    });
    let opening = async move {
        let report = gateway.serve_until(stopped).await;
        closed.send_replace(true);
        report
    };
    let (_, report) = tokio::join!(serving, opening);
    println!("goodbye; {} connections broken", report.aborted);
    Ok(())
}
