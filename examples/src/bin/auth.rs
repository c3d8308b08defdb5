//! Authentication by token: who a client is, and what it may do.
//!
//! ```text
//! cargo run -p msip-examples --bin auth
//! ```
//!
//! The server's `authenticate` knows each token's user and role, and a client without one of them is refused before
//! anything else is done for it. A middleware keeps what only some may do from the others. It takes a moment, and ends with
//! exit code 0.

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
    ConnectRequest, Identity,
    middleware::{ExchangeContext, Middleware, Next},
    prelude::*,
};

/// Tokens, their users and their roles. A real server keeps hashes of them: see the documentation of `Authenticator`.
const TOKENS: [(&[u8], &str, &str); 2] = [
    (b"swordfish", "ada", "member"),
    (b"open sesame", "ali", "guest"),
];

/// Says who a client is.
async fn by_token(client: ConnectRequest) -> Result<Identity, Status> {
    let known = TOKENS
        .iter()
        .find(|(token, ..)| *token == client.credential());
    let (_, user, role) = known.ok_or_else(|| Status::unauthenticated("no token of ours"))?;
    Ok(Identity::new("token").with_user(*user).with_role(*role))
}

/// Lets members alone see who is there.
struct MembersOnly;

impl Middleware for MembersOnly {
    async fn handle(&self, it: &mut ExchangeContext, mut next: Next<'_>) -> Result<(), CallError> {
        let is_member = it
            .identity()
            .is_some_and(|identity| identity.has_role("member"));
        if it.message() == "who_req" && !is_member {
            return Err(it.refuse(Status::permission_denied("members only")));
        }
        next.run(it).await
    }
}

/// Welcomes each user by the name that belongs to the token.
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
    let server = Server::<Chat>::builder("tcp://127.0.0.1:0")
        .authenticate(by_token)
        .incoming(MembersOnly)
        .bind()
        .await?;
    let url = server.local_url().to_string();
    tokio::spawn(server.serve(Porter));

    for (who, token) in [
        ("a client without a token", ""),
        ("a client that guesses", "please"),
    ] {
        let refused = Client::<Chat>::builder(&url)
            .credential(token)
            .connect()
            .await;
        match refused {
            Err(ConnectError::Refused { status, .. }) => println!("{who} is told: {status}"),
            Err(error) => return Err(error.into()),
            Ok(_) => return Err("it was let in".into()),
        }
    }
    for (who, token) in [
        ("ada's client", "swordfish"),
        ("ali's client", "open sesame"),
    ] {
        let client = Client::<Chat>::builder(&url)
            .credential(token)
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
