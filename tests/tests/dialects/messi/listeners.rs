//! What a server's URL has to say where Messi is spoken.

use msip_runtime::{
    BindError, ConnectRequest, Identity, Server, Status,
    untyped::{Inbound, Service, UntypedPeer, UntypedProtocol, UntypedServer},
};
use msip_tests::{LabServer, lab::Lab, messi_chat::Chat};

use super::ChatServer;

async fn bind(urls: [&str; 2]) -> Result<Server<Chat>, BindError> {
    Server::<Chat>::builder(urls[0]).also(urls[1]).bind().await
}

const TCP: &str = "tcp://127.0.0.1:0";

#[tokio::test]
async fn urls_are_refused_for_what_they_lack_or_have_too_much() {
    for (urls, text) in [
        (
            [TCP, "messi://127.0.0.1:0?max_body=1MiB"],
            "setting `max_body` in messi://127.0.0.1:0?max_body=1MiB is one of the whole server: give it in the first URL or the builder",
        ),
        (
            [TCP, "messi://127.0.0.1:0?keepalive_timeout=1ms"],
            "setting `keepalive_timeout`: 1ms is out of range (10ms to 3600s)",
        ),
        (
            [TCP, "messi://0.0.0.0:0"],
            "connections to messi://0.0.0.0:0 would not be confidential: listen at 127.0.0.1, or set `insecure`",
        ),
        (
            [TCP, "messi://127.0.0.1:0?protocol=char"],
            "`protocol=char` is none of the server: clients that speak Messi at messi://127.0.0.1:0?protocol=char do not say which protocol they speak, and the server has `chat`",
        ),
        (
            [TCP, "messi://127.0.0.1:0?topic=room"],
            "the URL names the topic \"room\": leave it out, a direct connection has none, and clients of a `BrokerConnection` name theirs",
        ),
    ] {
        let error = bind(urls).await.map(drop).expect_err(text).to_string();
        assert!(error.contains(text), "{error}");
    }
    bind(["tcp://127.0.0.1:0?insecure=true", "messi://0.0.0.0:0"])
        .await
        .expect("is allowed");
    // It may be the only one, with the settings of the server.
    Server::<Chat>::bind("messi://127.0.0.1:0?max_body=1MiB&keepalive_timeout=1s")
        .await
        .expect("listens");
}

async fn anybody(_: ConnectRequest) -> Result<Identity, Status> {
    Ok(Identity::new("any"))
}

#[tokio::test]
async fn a_server_that_authenticates_has_to_know_whom_its_clients_are_taken_for() {
    let bind = |url: &'static str| {
        Server::<Chat>::builder(TCP)
            .also(url)
            .authenticate(anybody)
            .bind()
    };
    let bound = bind("messi://127.0.0.1:0").await;
    let error = bound.map(drop).expect_err("nobody says who they are");
    assert!(
        matches!(
            error,
            BindError::NoPrincipal {
                dialect: "Messi",
                ..
            }
        ),
        "{error}"
    );
    bind("messi://127.0.0.1:0?principal=plant")
        .await
        .expect("is said");
}

#[tokio::test]
async fn a_server_of_several_protocols_has_to_know_which_is_spoken() {
    let bind = |url: &'static str| {
        let (handler, _) = LabServer::new();
        Server::<Chat>::builder(TCP)
            .protocol::<Lab, _>(handler)
            .also(url)
            .bind()
    };
    let error = bind("messi://127.0.0.1:0")
        .await
        .map(drop)
        .expect_err("which?");
    assert!(
        matches!(&error, BindError::DialectProtocol { offered, .. } if offered == "`chat`, `lab`"),
        "{error}"
    );
    for url in [
        "messi://127.0.0.1:0?protocol=lab",
        "messi://127.0.0.1:0?protocol=chat",
    ] {
        let server = bind(url).await.expect("is said");
        drop(server.serve(ChatServer));
    }
}

/// Nobody.
struct Nothing;

impl Service for Nothing {
    async fn serve(&self, _: UntypedPeer, _: Inbound) {}
}

#[tokio::test]
async fn a_protocol_without_a_schema_is_not_translated() {
    let bound = UntypedServer::builder(TCP)
        .untyped(UntypedProtocol::any(), Nothing)
        .also("messi://127.0.0.1:0")
        .bind()
        .await;
    let error = bound.map(drop).expect_err("it has no schema");
    assert!(
        error
            .to_string()
            .contains("the server has none with a schema"),
        "{error}"
    );
}
