//! The cases, a file for each group.
//!
//! A case panics where something is not as it has to be, as a test does: `run` catches that, and reports it with its place.

mod calls;
mod connections;
mod fields;
mod limits;
mod malformed;
mod metadata;
mod order;
mod raw_clients;
mod raw_servers;
mod shapes;
mod topics;
mod ways;

use msip_tests::proxy::Proxy;

use crate::{
    case::Case,
    pair::{Listening, Pair, Talk, serve_with, try_connect, with_settings},
    protocol::conformance::control::{Connect, Serve},
};

/// All of them.
pub(crate) fn all() -> Vec<Case> {
    [
        shapes::cases(),
        fields::cases(),
        calls::cases(),
        metadata::cases(),
        order::cases(),
        limits::cases(),
        connections::cases(),
        ways::cases(),
        topics::cases(),
        raw_clients::cases(),
        raw_servers::cases(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// A server and a client of it, whose handlers of these messages wait.
async fn held(pair: &Pair, members: &[&str]) -> Talk {
    let server = holding_server(pair, members).await;
    let url = server.url.clone();
    holding_client(pair, server, url, members).await
}

/// The same, with a proxy between the two, and settings of the client.
async fn held_through(pair: &Pair, members: &[&str], of_client: &str) -> (Talk, Proxy) {
    let server = holding_server(pair, members).await;
    let proxy = Proxy::start(server.address()).await;
    let url = format!("{}://{}", pair.ways.scheme, proxy.address());
    let url = with_settings(&url, of_client);
    (holding_client(pair, server, url, members).await, proxy)
}

fn owned(members: &[&str]) -> Vec<String> {
    members.iter().copied().map(str::to_owned).collect()
}

async fn holding_server(pair: &Pair, members: &[&str]) -> Listening {
    let told = Serve {
        url: pair.ways.listen_url(""),
        held: owned(members),
        ..Serve::default()
    };
    serve_with(&pair.server, told).await
}

async fn holding_client(pair: &Pair, server: Listening, url: String, members: &[&str]) -> Talk {
    let told = Connect {
        url,
        held: owned(members),
        ..Connect::default()
    };
    let client = match try_connect(&pair.client, told).await {
        Ok(client) => client,
        Err(status) => panic!("{} does not connect: {status:?}", pair.client.language()),
    };
    let peer = server.peer().await;
    Talk {
        client,
        peer,
        server,
    }
}
