//! Codecs, compressions, transports, credentials.

use std::fs;

use msip_tests::Authority;

use crate::{
    case::{Case, Group},
    end::{End, item},
    pair::{Listening, Pair, Talk, account, serve_with, try_connect, with_settings},
    protocol::conformance::{
        Item,
        control::{Connect, Serve, Start},
    },
};

pub(super) fn cases() -> Vec<Case> {
    let mut group = Group::new("ways");
    group.pair("json", &["codecs"], |pair| Box::pin(codec(pair, "json")));
    group.pair("msgpack", &["codecs"], |pair| {
        Box::pin(codec(pair, "msgpack"))
    });
    group.pair("gzip", &["gzip"], |pair| Box::pin(compressed(pair, "gzip")));
    group.pair("zstd", &["zstd"], |pair| Box::pin(compressed(pair, "zstd")));
    group.pair("lz4", &["lz4"], |pair| Box::pin(compressed(pair, "lz4")));
    group.pair("gzip-of-json", &["codecs", "gzip"], |pair| {
        Box::pin(gzip_of_json(pair))
    });
    group.pair("compression-not-taken", &["gzip"], |pair| {
        Box::pin(compression_not_taken(pair))
    });
    group.pair("codec-not-taken", &["codecs"], |pair| {
        Box::pin(codec_not_taken(pair))
    });
    group.pair("credentials", &[], |pair| Box::pin(credentials(pair)));
    group.pair("wrong-credential", &[], |pair| {
        Box::pin(wrong_credential(pair))
    });
    group.pair("identity", &[], |pair| Box::pin(identity(pair)));
    group.pair("tls", &["tls"], |pair| Box::pin(tls(pair)));
    group.pair("tls-of-others", &["tls"], |pair| {
        Box::pin(tls_of_others(pair))
    });
    group.pair("unix", &["unix"], |pair| Box::pin(unix(pair)));
    group.pair(
        "websocket",
        &["client:websocket", "server:websocket-server"],
        |pair| Box::pin(websocket(pair)),
    );
    group.cases()
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

async fn codec(pair: Pair, codec: &str) {
    let talk = pair.talk_with("", &format!("codec={codec}")).await;
    talks(&talk, "zwölf").await;
}

async fn compressed(pair: Pair, compression: &str) {
    let settings = format!("compress={compression}&compress_threshold=64");
    let talk = pair.talk_with("compress_threshold=64", &settings).await;
    talks(&talk, "").await;
    talks(&talk, &large()).await;
}

async fn gzip_of_json(pair: Pair) {
    let settings = "codec=json&compress=gzip&compress_threshold=64";
    let talk = pair.talk_with("compress_threshold=64", settings).await;
    talks(&talk, &large()).await;
}

async fn compression_not_taken(pair: Pair) {
    let settings = "compress=gzip&compress_threshold=64";
    let talk = pair.talk_with("compressions=none", settings).await;
    talks(&talk, &large()).await;
}

async fn codec_not_taken(pair: Pair) {
    let url = pair.ways.listen_url("codecs=protobuf");
    let server = serve_with(
        &pair.server,
        Serve {
            url,
            ..Serve::default()
        },
    )
    .await;
    let told = Connect {
        url: with_settings(&server.url, "codec=json"),
        ..Connect::default()
    };
    match try_connect(&pair.client, told).await {
        Ok(_) => panic!("a server of protobuf takes a client of JSON"),
        Err(status) => assert_eq!(status.code, "UNIMPLEMENTED", "{status:?}"),
    }
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
        let client = connected.unwrap_or_else(|status| panic!("{user}: {status:?}"));
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
            Ok(_) => panic!("{credential:?} is good enough"),
            Err(status) => assert_eq!(status.code, "UNAUTHENTICATED", "{status:?}"),
        }
    }
    assert!(!server.end.has_handled("unary_req"));
}

/// Who has sent a message says the server's authentication.
async fn identity(pair: Pair) {
    let server = authenticating(&pair).await;
    let client = try_connect(&pair.client, with_credential(&server, "ada's key")).await;
    let client: End = client.unwrap_or_else(|status| panic!("{status:?}"));
    let peer = server.peer().await;
    let call = client.start("unary_req", &item(1)).await;
    let handling = peer.handling("unary_req").await;
    assert_eq!(handling.told.user, "ada");
    handling.answer(&item(2)).await;
    call.end().await;
}

/// The URL of a server with a certificate of this authority, whose files get this name.
fn certified(pair: &Pair, authority: &Authority, name: &str) -> (String, String) {
    let folder = &*pair.ways.folder;
    let written = authority
        .issue_local()
        .write(folder, name)
        .and_then(|()| fs::write(folder.join(format!("{name}-ca.pem")), authority.pem()));
    if let Err(error) = written {
        panic!("{}: {error}", folder.display());
    }
    let file = |ending: &str| folder.join(format!("{name}{ending}")).display().to_string();
    let url = format!(
        "tls://127.0.0.1:0?cert={}&key={}",
        file(".pem"),
        file(".key")
    );
    (url, format!("ca={}", file("-ca.pem")))
}

/// A name for files of this pair.
fn file_name(pair: &Pair, what: &str) -> String {
    format!(
        "{what}-{}-{}",
        pair.client.language(),
        pair.server.language()
    )
}

async fn tls(pair: Pair) {
    let authority = Authority::new("conformance");
    let (url, ca) = certified(&pair, &authority, &file_name(&pair, "tls"));
    talks(&at(&pair, url, &ca).await, "over TLS").await;
}

async fn tls_of_others(pair: Pair) {
    let (authority, other) = (Authority::new("conformance"), Authority::new("others"));
    let (url, _) = certified(&pair, &authority, &file_name(&pair, "known"));
    let (_, other_ca) = certified(&pair, &other, &file_name(&pair, "other"));
    let told = Serve {
        url,
        ..Serve::default()
    };
    let server = serve_with(&pair.server, told).await;
    let told = Connect {
        url: with_settings(&server.url, &other_ca),
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

async fn websocket(pair: Pair) {
    let origin = pair.ways.origin.as_ref();
    let origin = origin.map_or_else(String::new, |origin| format!("?origin={origin}"));
    let url = format!("ws://127.0.0.1:0/chat{origin}");
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
