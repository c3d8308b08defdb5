//! Clients of another version of the protocol, at servers that take them or not.

use super::goes_on;
use crate::{
    case::{Case, Group},
    end::End,
    failure::fail,
    message::item,
    pair::{Listening, Pair, connect, serve, try_connect, with_settings},
    protocol::conformance::{
        Item,
        control::{Connect, Status, Version},
    },
};

pub(super) fn cases() -> Vec<Case> {
    let mut group = Group::new("versions");
    group.pair("any", &["versions"], any);
    group.pair("compatible", &["versions"], compatible);
    group.pair("not-compatible", &["versions"], not_compatible);
    group.pair("names-in-json", &["versions", "codecs"], names_in_json);
    group.pair("strict", &["versions"], strict);
    group.cases()
}

/// A server takes clients of any version, unless it is told otherwise.
async fn any(pair: Pair) {
    let server = serve(&pair.server, &pair.ways, "").await;
    let client = accepted(&pair, &server, Version::Changed).await;
    let peer = server.peer().await;
    let message = Item {
        text: "the same to both".to_owned(),
        ..Item::default()
    };
    for (caller, handler) in [(&client, &peer), (&peer, &client)] {
        let call = caller.start("unary_req", &message).await;
        let handling = handler.handling("unary_req").await;
        assert_eq!(handling.message::<Item>(), message);
        handling.answer(&message).await;
        assert_eq!(call.answer::<Item>().await, message);
    }
}

/// One that was told `schema=compatible` asks such a client for its schema, and serves it where the two understand each other.
async fn compatible(pair: Pair) {
    let server = serve(&pair.server, &pair.ways, "schema=compatible").await;
    let client = accepted(&pair, &server, Version::Renamed).await;
    // What it says before it is accepted waits.
    let call = client.start("unary_req", &item(1)).await;
    let peer = server.peer().await;
    let handling = peer.handling("unary_req").await;
    assert_eq!(handling.message::<Item>(), item(1));
    handling.answer(&item(2)).await;
    assert_eq!(call.answer::<Item>().await, item(2));
    goes_on(&peer, &client).await;
    serves_its_own(&pair, &server).await;
}

/// It refuses a client whose messages it would misread.
async fn not_compatible(pair: Pair) {
    let server = serve(&pair.server, &pair.ways, "schema=compatible").await;
    let refused = refused(&pair, &server, Version::Changed, "").await;
    assert!(refused.message.contains("not compatible"), "{refused:?}");
    assert!(refused.message.contains("number"), "{refused:?}");
    serves_its_own(&pair, &server).await;
}

/// A field with another name is the same in protobuf, and not in JSON.
async fn names_in_json(pair: Pair) {
    let server = serve(&pair.server, &pair.ways, "schema=compatible").await;
    let refused = refused(&pair, &server, Version::Renamed, "codec=json").await;
    assert!(refused.message.contains("words"), "{refused:?}");
    serves_its_own(&pair, &server).await;
}

/// One that is strict refuses every other version.
async fn strict(pair: Pair) {
    let server = serve(&pair.server, &pair.ways, "schema=strict").await;
    refused(&pair, &server, Version::Renamed, "").await;
    serves_its_own(&pair, &server).await;
}

async fn of_version(
    pair: &Pair,
    server: &Listening,
    version: Version,
    settings: &str,
) -> Result<End, Status> {
    let told = Connect {
        url: with_settings(&server.url, settings),
        version: version.into(),
        ..Connect::default()
    };
    try_connect(&pair.client, told).await
}

async fn accepted(pair: &Pair, server: &Listening, version: Version) -> End {
    match of_version(pair, server, version, "").await {
        Ok(client) => client,
        Err(status) => fail(format_args!("{version:?} is refused: {status:?}")),
    }
}

/// What a client that is refused is told. It may be connected by then, since it is asked for its schema first.
async fn refused(pair: &Pair, server: &Listening, version: Version, settings: &str) -> Status {
    let status = match of_version(pair, server, version, settings).await {
        Ok(client) => client.closed().await,
        Err(status) => status,
    };
    assert_eq!(status.code, "FAILED_PRECONDITION", "{status:?}");
    status
}

/// The next client that the server is told of is one of its own version.
async fn serves_its_own(pair: &Pair, server: &Listening) {
    let client = connect(&pair.client, &server.url, "").await;
    let peer = server.peer().await;
    goes_on(&client, &peer).await;
}
