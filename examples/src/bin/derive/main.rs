//! The chat in Rust types: a client whose schema is derived talks to a server whose schema is a `.proto` file.
//!
//! ```text
//! cargo run -p msip-examples --bin derive                                  (with a server of its own)
//! cargo run -p msip-examples --bin derive -- --url tcp://127.0.0.1:7400    (with a chat-server that runs already)
//! cargo run -p msip-examples --bin derive -- --proto                       (the schema for other languages)
//! ```
//!
//! `chat.rs` beside this file is the whole schema. It has the fingerprint of `proto/chat.proto`, so both sides take each
//! other for one protocol.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it tells people what happens"
)]

#[expect(unreachable_pub, reason = "the schema is written as for a library")]
mod chat;

use std::{error::Error, process::ExitCode};

use chat::{
    Chat, ConnectReq, HandleServerToClient, JoinedInd, MessageInd, PresenceReq, PresenceRsp,
    SendClientToServer as _, WhoReq,
};
use clap::Parser;
use msip_examples::{Room, with_causes};
use msip_runtime::{Client, Protocol as _, Server, Status};

/// Enters the room, says something and leaves.
#[derive(Debug, Parser)]
struct Args {
    /// Where a chat-server is; without it the example starts one of its own
    #[arg(long)]
    url: Option<String>,

    /// Print the schema as a `.proto` file, and nothing else
    #[arg(long)]
    proto: bool,
}

/// What the server says to this client.
struct Visitor;

impl HandleServerToClient for Visitor {
    async fn on_presence_req(
        &self,
        _: &Client<Chat>,
        _: PresenceReq,
    ) -> Result<PresenceRsp, Status> {
        Ok(PresenceRsp { active: true })
    }

    async fn on_joined_ind(&self, _: &Client<Chat>, joined: JoinedInd) {
        println!("{} is here too", joined.user);
    }

    async fn on_message_ind(&self, _: &Client<Chat>, message: MessageInd) {
        println!("{}> {}", message.user, message.text);
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    if args.proto {
        print!("{}", msip_runtime::proto_text::<Chat>());
        return ExitCode::SUCCESS;
    }
    match visit(args.url).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", with_causes(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

async fn visit(url: Option<String>) -> Result<(), Box<dyn Error>> {
    let url = match url {
        Some(url) => url,
        None => serve().await?,
    };
    println!(
        "fingerprint: {:016x} derived, {:016x} from chat.proto",
        Chat::fingerprint(),
        msip_examples::chat::Chat::fingerprint()
    );
    let client = Client::<Chat>::builder(&url)
        .handler(Visitor)
        .connect()
        .await?;
    let user = "rusty".to_owned();
    let welcome = client
        .connect_req(ConnectReq { user: user.clone() })
        .await?;
    println!(
        "{}; in the room: {}",
        welcome.motd,
        welcome.users.join(", ")
    );
    let text = "hello from Rust types".to_owned();
    client.message_ind(MessageInd { user, text }).await?;
    for person in client.who_req(WhoReq {}).await?.people {
        let state = if person.active { "there" } else { "away" };
        println!("{} is {state}", person.user);
    }
    client.close().await;
    println!("goodbye");
    Ok(())
}

/// Starts a server of the `.proto` spelling, which ends with this process, and returns where it is.
async fn serve() -> Result<String, Box<dyn Error>> {
    let server = Server::<msip_examples::chat::Chat>::bind("tcp://127.0.0.1:0").await?;
    let url = server.local_url().to_string();
    let room = Room::new("welcome".to_owned(), |line| println!("room: {line}"));
    tokio::spawn(server.serve(room));
    Ok(url)
}
