//! A server that echoes whatever it is sent, in any protocol, and knows the schema of none.
//!
//! ```text
//! cargo run -p msip-examples --bin untyped-echo                      (a client of a made-up protocol tries it out)
//! cargo run -p msip-examples --bin untyped-echo -- --listen tcp://127.0.0.1:7401
//! ```
//!
//! Bodies are bytes here. What a schema would say of a variant, its kind and whether it is answered, the client reads from a
//! table that it makes while it runs.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "what comes back is what the program is for"
)]

use std::{error::Error, process::ExitCode};

use clap::Parser;
use msip_examples::with_causes;
use msip_runtime::{
    CallOptions, MsgKind, Variant,
    untyped::{
        Event, Inbound, Reply, Service, UntypedClient, UntypedPeer, UntypedProtocol, UntypedServer,
        VariantTable,
    },
};

#[derive(Debug, Parser)]
#[command(about = "Echoes any protocol")]
struct Arguments {
    /// Serves here until it is stopped, instead of trying itself out.
    #[arg(long)]
    listen: Option<String>,
}

/// Echoes one-way messages, acknowledges deliveries, and answers calls with their requests.
struct Echo;

impl Service for Echo {
    async fn serve(&self, peer: UntypedPeer, mut inbound: Inbound) {
        // Messages that were read together go back together.
        let mut sender = peer.sender();
        while let Some(event) = inbound.next().await {
            let sent = match event {
                Event::Messages(messages) => sender.push_all(messages).await,
                Event::Exchange(exchange) => match exchange.reply {
                    Reply::Nobody => sender.push(&exchange.message).await,
                    Reply::Delivery(acknowledgment) => {
                        acknowledgment.acknowledge();
                        Ok(())
                    }
                    Reply::Call(responder) => {
                        responder.answer(&exchange.message);
                        Ok(())
                    }
                    _ => Ok(()),
                },
                _ => Ok(()),
            };
            if let Err(error) = sent {
                eprintln!("not echoed: {error}");
            }
            if !inbound.has_more()
                && let Err(error) = sender.flush().await
            {
                eprintln!("not echoed: {error}");
            }
        }
    }
}

/// Prints the notes that come back.
struct Print(tokio::sync::mpsc::Sender<String>);

impl Service for Print {
    async fn serve(&self, _: UntypedPeer, mut inbound: Inbound) {
        while let Some(event) = inbound.next().await {
            if let Event::Messages(messages) = event {
                for message in messages.iter() {
                    let text = String::from_utf8_lossy(message.body()).into_owned();
                    // Where the receiver is closed, the program ends.
                    let _ = self.0.send(text).await;
                }
            }
        }
    }
}

/// What the made-up protocol has.
fn table() -> VariantTable {
    let mut table = VariantTable::new();
    table.insert("ask_req", Variant::new(1, "", MsgKind::Command).call(1));
    table.insert("note_ind", Variant::new(2, "", MsgKind::Event));
    table
}

async fn run(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let url = arguments.listen.as_deref().unwrap_or("tcp://127.0.0.1:0");
    let server = UntypedServer::builder(url)
        .untyped(UntypedProtocol::any(), Echo)
        .bind()
        .await?;
    let url = server.local_url().to_string();
    println!("echoing any protocol at {url}");
    if arguments.listen.is_some() {
        server.serve().await;
        return Ok(());
    }
    let serving = tokio::spawn(server.serve());
    let (print, mut printed) = tokio::sync::mpsc::channel(10);
    let client = UntypedClient::builder(&url, "made.up", 7)
        .service(Print(print))
        .connect()
        .await?;
    let (table, options) = (table(), CallOptions::new());
    for row in table.rows() {
        let text = format!("this is variant {}, {}", row.variant().number(), row.name());
        let message = row.message(text.into_bytes());
        match row.variant().kind() {
            MsgKind::Command => {
                let answer = client.call(&message, &options).await?;
                println!("answered: {}", String::from_utf8_lossy(&answer.body()?));
            }
            _ => {
                client.send(&message, &options).await?;
                if let Some(text) = printed.recv().await {
                    println!("told: {text}");
                }
            }
        }
    }
    client.close().await;
    serving.abort();
    Ok(())
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", with_causes(&*error));
            ExitCode::FAILURE
        }
    }
}
