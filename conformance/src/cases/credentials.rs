//! Credentials, and who a client is by them.

use crate::{
    case::{Case, Group},
    end::End,
    failure::fail,
    message::item,
    pair::{Listening, Pair, account, serve_with, try_connect},
    protocol::conformance::{
        Item,
        control::{Connect, Serve},
    },
};

pub(super) fn cases() -> Vec<Case> {
    let mut group = Group::new("credentials");
    group.pair("right", &[], credentials);
    group.pair("wrong", &[], wrong_credential);
    group.pair("identity", &[], identity);
    group.cases()
}

async fn authenticating(pair: &Pair) -> Listening {
    let told = Serve {
        url: pair.ways.listen_url(""),
        accounts: vec![
            account("ada's key", "ada", &["operator", "auditor"]),
            account("bob's key", "bob", &[]),
        ],
        ..Serve::default()
    };
    serve_with(&pair.server, told).await
}

fn with_credential(server: &Listening, credential: &str) -> Connect {
    Connect {
        url: server.url.clone(),
        credential: credential.to_owned(),
        ..Connect::default()
    }
}

async fn credentials(pair: Pair) {
    let server = authenticating(&pair).await;
    for (credential, user) in [("ada's key", "ada"), ("bob's key", "bob")] {
        let connected = try_connect(&pair.client, with_credential(&server, credential)).await;
        let client = connected.unwrap_or_else(|status| fail(format_args!("{user}: {status:?}")));
        let (peer, _, told) = server.connected_peer().await;
        assert_eq!(told, user);
        let call = client.start("unary_req", &item(1)).await;
        peer.handling("unary_req").await.answer(&item(2)).await;
        assert_eq!(call.answer::<Item>().await, item(2));
    }
}

async fn wrong_credential(pair: Pair) {
    let server = authenticating(&pair).await;
    for credential in ["", "eve's key", "ada's ke"] {
        match try_connect(&pair.client, with_credential(&server, credential)).await {
            Ok(_) => fail(format_args!("{credential:?} is good enough")),
            Err(status) => assert_eq!(status.code, "UNAUTHENTICATED", "{status:?}"),
        }
    }
    assert!(!server.end.has_handled("unary_req"));
}

/// Who has sent a message says the server's authentication.
async fn identity(pair: Pair) {
    let server = authenticating(&pair).await;
    let client = try_connect(&pair.client, with_credential(&server, "ada's key")).await;
    let client: End = client.unwrap_or_else(|status| fail(format_args!("{status:?}")));
    let peer = server.peer().await;
    let call = client.start("unary_req", &item(1)).await;
    let handling = peer.handling("unary_req").await;
    assert_eq!(handling.told.user, "ada");
    handling.answer(&item(2)).await;
    call.end().await;
}
