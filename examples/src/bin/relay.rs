//! A relay between clients and a server of any protocol: it never decodes a body, and passes on every shape of exchange.
//!
//! ```text
//! cargo run -p msip-examples --bin chat-server
//! cargo run -p msip-examples --bin relay -- --listen tcp://127.0.0.1:7500 --to tcp://127.0.0.1:7400
//! cargo run -p msip-examples --bin chat-client -- --name ada --url tcp://127.0.0.1:7500
//! ```
//!
//! Each session of a client gets a session with the server, of the protocol that the client's HELLO names. Streams keep their credit
//! from end to end: a slow reader slows down its own writer only. Cancelling, deadlines and metadata pass through.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it says where it listens, and what went wrong"
)]

use std::{error::Error, process::ExitCode};

use clap::Parser;
use msip_examples::with_causes;
use msip_runtime::{
    Status,
    untyped::{
        self, Handle, Inbound, Service, UntypedClient, UntypedPeer, UntypedProtocol, UntypedServer,
    },
};

#[derive(Debug, Parser)]
#[command(about = "Passes sessions on to a server")]
struct Arguments {
    /// Where clients connect to.
    #[arg(long, default_value = "tcp://127.0.0.1:7500")]
    listen: String,
    /// The server.
    #[arg(long, default_value = "tcp://127.0.0.1:7400")]
    to: String,
}

/// What clients say goes to the server.
struct Forward {
    to: String,
}

/// What the server says goes back to the client.
struct Back(Handle);

impl Service for Forward {
    async fn serve(&self, client: UntypedPeer, inbound: Inbound) {
        let protocol = client.protocol().to_owned();
        let server = UntypedClient::builder(&self.to, protocol, client.fingerprint())
            .name("relay")
            .service(Back(client.handle().clone()))
            .connect()
            .await;
        match server {
            Ok(server) => untyped::relay(inbound, server.handle()).await,
            Err(error) => {
                eprintln!("cannot reach the server: {error}");
                client.disconnect(Status::unavailable(
                    "the server behind the relay cannot be reached",
                ));
            }
        }
    }
}

impl Service for Back {
    async fn serve(&self, _: UntypedPeer, inbound: Inbound) {
        untyped::relay(inbound, &self.0).await;
    }
}

async fn run(Arguments { listen, to }: Arguments) -> Result<(), Box<dyn Error>> {
    let server = UntypedServer::builder(listen)
        .untyped(UntypedProtocol::any(), Forward { to: to.clone() })
        .bind()
        .await?;
    println!("from {} to {to}", server.local_url());
    server.serve().await;
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
