//! Authentication by token, with a middleware of ten lines.
//!
//! ```text
//! cargo run -p msip-examples --bin auth
//! ```
//!
//! The server's middleware reads the token from a header and sets the user for handlers; the client's adds it to
//! everything that it sends. A client without a token, or with a wrong one, is answered with `UNAUTHENTICATED`, and no
//! handler is called. It takes a moment, and ends with exit code 0.

#![expect(
    clippy::print_stdout,
    reason = "what the clients are told is what the program is for"
)]

use std::error::Error;

use msip_examples::chat::{
    Chat, ConnectReq, ConnectRsp, HandleClientToServer, SendClientToServer as _, WhoReq, WhoRsp,
};
use msip_runtime::{
    middleware::{ExchangeContext, Middleware, Next},
    prelude::*,
};

/// Tokens and their users. A real one keeps hashes of them, and compares in constant time.
struct Tokens([(&'static str, &'static str); 2]);

impl Middleware for Tokens {
    async fn handle(&self, it: &mut ExchangeContext, mut next: Next<'_>) -> Result<(), CallError> {
        let token = it.metadata().header("token").unwrap_or_default();
        let Some((_, user)) = self.0.iter().find(|(known, _)| *known == token) else {
            return Err(it.refuse(Status::unauthenticated("no token of ours")));
        };
        it.set_user(*user);
        next.run(it).await
    }
}

/// Adds this token to every outgoing exchange.
struct Token(&'static str);

impl Middleware for Token {
    async fn handle(&self, it: &mut ExchangeContext, mut next: Next<'_>) -> Result<(), CallError> {
        it.change_options(|options| options.header("token", self.0));
        next.run(it).await
    }
}

/// Welcomes the user that the middleware has authenticated, by the name that belongs to the token.
struct Porter;

impl HandleClientToServer for Porter {
    async fn on_connect_req(
        &self,
        peer: &Peer<Chat>,
        request: ConnectReq,
    ) -> Result<ConnectRsp, Status> {
        let call = peer.call();
        let identity = call.metadata().identity();
        let user = identity.map_or("nobody", |identity| &identity.user);
        if request.user != user {
            return Err(Status::permission_denied(format!(
                "{user} cannot enter as {}",
                request.user
            )));
        }
        Ok(ConnectRsp {
            motd: format!("welcome, {user}"),
            users: vec![user.to_owned()],
        })
    }

    async fn on_who_req(&self, _: &Peer<Chat>, _: WhoReq) -> Result<WhoRsp, Status> {
        Err(Status::unimplemented("who_req"))
    }
}

/// Prints the outcome of an attempt to enter.
fn tell(who: &str, outcome: Result<ConnectRsp, CallError>) {
    match outcome {
        Ok(answer) => println!("{who} is told: {}", answer.motd),
        Err(error) => println!("{who} is told: {error}"),
    }
}

fn ada() -> ConnectReq {
    ConnectReq {
        user: "ada".to_owned(),
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = Server::<Chat>::builder("tcp://127.0.0.1:0")
        .incoming(Tokens([("swordfish", "ada"), ("open sesame", "ali")]))
        .bind()
        .await?;
    let url = server.local_url().to_string();
    tokio::spawn(server.serve(Porter));

    let stranger = Client::<Chat>::connect(&url).await?;
    tell(
        "a client without a token",
        stranger.connect_req(ada()).await,
    );
    let guess = CallOptions::new().header("token", "please");
    let outcome = stranger.with(guess).connect_req(ada()).await;
    tell("a client that guesses", outcome);
    stranger.close().await;

    for (who, token) in [
        ("ada's client", "swordfish"),
        ("ali's client", "open sesame"),
    ] {
        let client = Client::<Chat>::builder(&url)
            .outgoing(Token(token))
            .connect()
            .await?;
        tell(who, client.connect_req(ada()).await);
        client.close().await;
    }
    Ok(())
}
