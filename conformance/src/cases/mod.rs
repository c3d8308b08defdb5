//! The cases, a file for each group.
//!
//! A case panics where something is not as it has to be, as a test does: `run` catches that, and reports it with its place. It returns no
//! error instead, since what it plays with is what tests play with: the raw peer, the proxy and the certificates of `msip-tests`
//! panic by themselves, so that there would be two ways to fail, and the catch as well.

mod calls;
mod codecs;
mod connections;
mod credentials;
mod fields;
mod hurried;
mod limits;
mod metadata;
mod order;
mod raw;
mod shapes;
mod topics;
mod transports;
mod versions;

use msip_tests::proxy::Proxy;

use crate::{
    case::Case,
    end::End,
    failure::fail,
    message::item,
    pair::{Listening, Pair, Talk, serve_with, try_connect, with_settings},
    protocol::conformance::{
        Item,
        control::{Connect, Serve, Start},
    },
};

/// All of them.
pub(crate) fn all() -> Vec<Case> {
    [
        shapes::cases(),
        fields::cases(),
        codecs::cases(),
        calls::cases(),
        metadata::cases(),
        order::cases(),
        limits::cases(),
        connections::cases(),
        versions::cases(),
        credentials::cases(),
        transports::cases(),
        topics::cases(),
        raw::cases(),
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
        Err(status) => fail(format_args!(
            "{} does not connect: {status:?}",
            pair.client.language()
        )),
    };
    let peer = server.peer().await;
    Talk {
        client,
        peer,
        server,
    }
}

/// A call and a message in both directions, and a stream.
async fn talks(talk: &Talk, text: &str) {
    let message = Item {
        text: text.to_owned(),
        ..item(7)
    };
    for (caller, handler) in talk.both_ways() {
        let call = caller.start("unary_req", &message).await;
        let handling = handler.handling("unary_req").await;
        assert!(handling.message::<Item>() == message);
        handling.answer(&message).await;
        assert!(call.answer::<Item>().await == message);
        for member in ["note_ind", "plain_ind", "save_ind"] {
            caller.send(member, &message).await;
            assert!(handler.handling(member).await.message::<Item>() == message);
        }
        let call = caller.start_with("both_req", Start::default()).await;
        let handling = handler.handling("both_req").await;
        handling.read(u64::MAX).await;
        call.send(&message, 3).await;
        call.finish().await;
        assert_eq!(handling.items_ended().await, None);
        for _ in 0..3 {
            assert!(handling.seen_item() == Some(message.clone()));
        }
        handling.end_items().await;
        call.end().await;
    }
}

fn large() -> String {
    "as good as new, ".repeat(2_000)
}

/// A call that may take this long.
fn within(timeout_ms: u32) -> Start {
    Start {
        timeout_ms,
        ..Start::default()
    }
}

/// A call, after whatever has happened.
async fn goes_on(caller: &End, handler: &End) {
    let call = caller.start("unary_req", &item(77)).await;
    let handling = handler.handling("unary_req").await;
    assert_eq!(handling.item_number(), 77);
    handling.answer(&item(78)).await;
    assert_eq!(call.answer::<Item>().await, item(78));
}
