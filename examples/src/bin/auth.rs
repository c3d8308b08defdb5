//! Authentication by API key: who a client is, and what it may do.
//!
//! ```text
//! cargo run -p msip-examples --bin auth
//! ```
//!
//! The server's `authenticate` knows each key's user and role, and a client without one of them is refused before
//! anything else is done for it. A table of roles and messages keeps what only some may do from the others. It takes a moment,
//! and ends with exit code 0.

#![expect(
    clippy::print_stdout,
    reason = "what the clients are told is what the program is for"
)]

use std::error::Error;

use msip_examples::chat::{
    Chat, ConnectReq, ConnectRsp, HandleClientToServer, Person, SendClientToServer as _, WhoReq,
    WhoRsp,
};
use msip_runtime::{
    auth::{ApiKey, ApiKeys},
    middleware::Authorize,
    prelude::*,
};

/// Welcomes each user by the name that belongs to the key.
struct Porter;

impl HandleClientToServer for Porter {
    async fn on_connect_req(
        &self,
        peer: &Peer<Chat>,
        request: ConnectReq,
    ) -> Result<ConnectRsp, Status> {
        let identity = peer.identity();
        let user = identity.map_or_else(String::new, |identity| identity.user.clone());
        if request.user != user {
            let text = format!("{user} cannot enter as {}", request.user);
            return Err(Status::permission_denied(text));
        }
        Ok(ConnectRsp {
            motd: format!("welcome, {user}"),
            users: vec![user],
        })
    }

    async fn on_who_req(&self, peer: &Peer<Chat>, _: WhoReq) -> Result<WhoRsp, Status> {
        let peers = peer.everyone().peers();
        let identities = peers.iter().filter_map(Peer::identity);
        let people = identities.map(|identity| Person {
            user: identity.user.clone(),
            ..Person::default()
        });
        Ok(WhoRsp {
            people: people.collect(),
        })
    }
}

/// Prints the outcome of an attempt.
fn tell<E: std::fmt::Display>(who: &str, outcome: Result<String, E>) {
    match outcome {
        Ok(answer) => println!("{who} is told: {answer}"),
        Err(error) => println!("{who} is told: {error}"),
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // A real server reads `ApiKeys::from_file`, whose lines the example `api-key` makes.
    let (ada, ali) = (ApiKey::generate()?, ApiKey::generate()?);
    let keys = ApiKeys::from_entries([
        ada.entry("ada").with_role("member"),
        ali.entry("ali").with_role("guest"),
    ])?;
    // Members alone see who is there.
    let rules = Authorize::of::<Chat>()
        .allow("*", ["connect_req"])
        .allow("member", ["who_req"])
        .build()?;
    let server = Server::<Chat>::builder("tcp://127.0.0.1:0")
        .authenticate(keys)
        .incoming(rules)
        .bind()
        .await?;
    let url = server.local_url().to_string();
    tokio::spawn(server.serve(Porter));

    for (who, key) in [
        ("a client without a key", ""),
        ("a client that guesses", "msip_please"),
    ] {
        let refused = Client::<Chat>::builder(&url)
            .credential(key)
            .connect()
            .await;
        match refused {
            Err(ConnectError::Refused { status, .. }) => println!("{who} is told: {status}"),
            Err(error) => return Err(error.into()),
            Ok(_) => return Err("it was let in".into()),
        }
    }
    for (who, key) in [("ada's client", ada), ("ali's client", ali)] {
        let client = Client::<Chat>::builder(&url)
            .credential(key.as_str())
            .connect()
            .await?;
        let user = "ada".to_owned();
        let entered = client.connect_req(ConnectReq { user }).await;
        tell(who, entered.map(|answer| answer.motd));
        let there = client.who_req(WhoReq {}).await;
        let names = |answer: WhoRsp| {
            let names: Vec<String> = answer
                .people
                .into_iter()
                .map(|person| person.user)
                .collect();
            names.join(", ")
        };
        tell(who, there.map(names));
        client.close().await;
    }
    Ok(())
}
