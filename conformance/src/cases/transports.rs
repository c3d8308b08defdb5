//! TLS, Unix sockets and WebSockets.

use std::fs;

use msip_tests::{Authority, Issued};

use super::{large, talks};
use crate::{
    case::{Case, Group},
    failure::fail,
    pair::{Pair, Talk, serve_with, try_connect, with_settings},
    protocol::conformance::control::{Connect, Serve},
};

pub(super) fn cases() -> Vec<Case> {
    let mut group = Group::new("transports");
    group.pair("tls", &["tls"], tls);
    group.pair("tls-of-others", &["tls"], tls_of_others);
    group.pair("unix", &["unix"], unix);
    let websocket = &["client:websocket", "server:websocket-server"];
    group.pair("websocket", websocket, websockets);
    let wss = &["tls", "client:websocket", "server:websocket-server"];
    group.pair("websocket-over-tls", wss, websockets_over_tls);
    group.cases()
}

/// The URL of a server with a certificate of this authority, whose files get this name.
fn certified(pair: &Pair, scheme: &str, authority: &Authority, name: &str) -> String {
    let folder = &*pair.ways.folder;
    let Issued { cert, key } = authority.issue_local();
    // With the authority's own, by which Chromium knows it.
    let cert = [cert.as_str(), authority.pem()].concat();
    let file = |ending: &str| folder.join(format!("{name}.{ending}"));
    let written = fs::write(file("pem"), cert).and_then(|()| fs::write(file("key"), key));
    if let Err(error) = written {
        fail(format_args!("{}: {error}", folder.display()));
    }
    let (cert, key) = (file("pem"), file("key"));
    let (cert, key) = (cert.display(), key.display());
    let settings = format!("cert={cert}&key={key}&{}", pair.ways.origin_setting());
    with_settings(&format!("{scheme}://127.0.0.1:0"), &settings)
}

/// A name for files of this pair.
fn file_name(pair: &Pair, what: &str) -> String {
    format!(
        "{what}-{}-{}",
        pair.client.language(),
        pair.server.language()
    )
}

/// A scheme with TLS that both have.
fn secure(pair: &Pair) -> &'static str {
    match pair.ways.scheme {
        "ws" => "wss",
        _ => "tls",
    }
}

async fn tls(pair: Pair) {
    over_tls(&pair, secure(&pair)).await;
}

async fn websockets_over_tls(pair: Pair) {
    over_tls(&pair, "wss").await;
}

async fn over_tls(pair: &Pair, scheme: &str) {
    let name = file_name(pair, scheme);
    let url = certified(pair, scheme, &pair.ways.authority, &name);
    let talk = at(pair, url, &pair.ways.trust_setting()).await;
    talks(&talk, "over TLS").await;
}

/// A certificate that an authority has issued that the client does not trust.
async fn tls_of_others(pair: Pair) {
    let others = Authority::new("others");
    let url = certified(&pair, secure(&pair), &others, &file_name(&pair, "other"));
    let told = Serve {
        url,
        ..Serve::default()
    };
    let server = serve_with(&pair.server, told).await;
    let told = Connect {
        url: with_settings(&server.url, &pair.ways.trust_setting()),
        ..Connect::default()
    };
    let connected = try_connect(&pair.client, told).await;
    assert!(
        connected.is_err(),
        "a certificate of somebody else is good enough"
    );
}

async fn unix(pair: Pair) {
    let path = pair.ways.folder.join(file_name(&pair, "socket"));
    talks(
        &at(&pair, format!("unix://{}", path.display()), "").await,
        "here",
    )
    .await;
}

async fn websockets(pair: Pair) {
    let url = with_settings("ws://127.0.0.1:0/chat", &pair.ways.origin_setting());
    talks(&at(&pair, url, "").await, &large()).await;
}

/// A server at this URL, and a client of it with these settings.
async fn at(pair: &Pair, url: String, of_client: &str) -> Talk {
    let told = Serve {
        url,
        ..Serve::default()
    };
    let server = serve_with(&pair.server, told).await;
    let client = crate::pair::connect(&pair.client, &server.url, of_client).await;
    let peer = server.peer().await;
    Talk {
        client,
        peer,
        server,
    }
}
