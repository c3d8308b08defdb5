//! Which connection is a channel of which session: the token is used once, by the session's principal.

use msip_runtime::{
    Channel, Client, ConnectRequest, Identity, MsgKind, Server, Status,
    transport::{Listener, ServiceUrl},
    wire::{Frame, FrameType, HelloFrame, SessionId, parse_hello, parse_welcome, write_hello},
};
use msip_tests::{
    gauges::{Gauges, SendClientToServer as _},
    raw::{self, RawPeer, describe, frame, hello_of},
    soon,
};

use crate::gauge::{Running, line};

const REFUSAL: &str = "UNAUTHENTICATED: the channel does not belong to that session";

/// Who says that it is a name is that.
async fn by_name(client: ConnectRequest) -> Result<Identity, Status> {
    match std::str::from_utf8(client.credential()) {
        Ok(name) if !name.is_empty() => Ok(Identity::new("name").with_user(name)),
        _ => Err(Status::unauthenticated("no name")),
    }
}

async fn server() -> Running {
    let builder = Server::<Gauges>::builder("tcp://127.0.0.1:0").authenticate(by_name);
    Running::of(builder, 100).await
}

/// A client of this name, and the HELLO of its channel, which a test has instead of the server.
async fn client(server: &Running, name: &str) -> (Client<Gauges>, HelloFrame) {
    let url: ServiceUrl = "tcp://127.0.0.1:0".parse().expect("a URL");
    let listener = Listener::bind(&url).await.expect("a port");
    let channel = Channel::new(listener.local_url().to_string()).kinds([MsgKind::Log]);
    let client = Client::<Gauges>::builder(server.url.to_string())
        .credential(name.as_bytes().to_vec())
        .channel(channel);
    let client = soon("a client", client.connect())
        .await
        .expect("it connects");
    let mut peer = RawPeer::accept(&listener).await;
    let Frame { header, payload } = peer.hear_type(FrameType::Hello).await;
    let hello = parse_hello(header.kind, payload).expect("a HELLO");
    // The client goes on without it.
    (client, hello)
}

/// A connection that says this HELLO, and what it is answered with: nothing where it is welcome.
async fn says(server: &Running, hello: &HelloFrame) -> (RawPeer, Option<String>) {
    let mut payload = Vec::new();
    write_hello(&mut payload, hello.session_id, &hello.hello);
    let mut peer = RawPeer::dial(&server.url).await;
    peer.say(&frame(FrameType::Hello, raw::HELLO_ID, &payload))
        .await;
    let answer = peer.hear().await.expect("an answer");
    match answer.header.frame_type {
        FrameType::Ack => {
            let welcome = parse_welcome(answer.payload).expect("a Welcome");
            assert!(welcome.welcome.extensions.contains_key("channel"));
            (peer, None)
        }
        _ => (peer, Some(raw::text(&answer.payload))),
    }
}

/// The claim in a HELLO: session, channel, number and token.
fn claim(hello: &mut HelloFrame) -> &mut Vec<u8> {
    let claim = hello.hello.extensions.get_mut("channel");
    let claim = claim.expect("it is a channel");
    assert_eq!(claim.len(), 49);
    claim
}

#[tokio::test]
async fn a_token_is_used_up_by_use() {
    let server = server().await;
    let (_client, hello) = client(&server, "ada").await;
    let (_channel, refused) = says(&server, &hello).await;
    assert_eq!(refused, None);
    for _ in 0..2 {
        let (mut peer, refused) = says(&server, &hello).await;
        assert_eq!(refused.as_deref(), Some(REFUSAL));
        assert!(peer.hear().await.is_none(), "it is closed");
    }
}

#[tokio::test]
async fn a_forged_token_binds_nothing_and_does_not_use_the_right_one_up() {
    let server = server().await;
    let (_client, hello) = client(&server, "ada").await;
    // A bit of the session's id, of the channel's number, of the attempt's, and of the token.
    for place in [7, 8, 16, 17, 48] {
        let mut forged = hello.clone();
        claim(&mut forged)[place] ^= 1;
        let (_, refused) = says(&server, &forged).await;
        assert_eq!(refused.as_deref(), Some(REFUSAL), "byte {place}");
    }
    let (_channel, refused) = says(&server, &hello).await;
    assert_eq!(refused, None);
}

#[tokio::test]
async fn a_token_is_of_no_other_session_principal_or_schema() {
    let server = server().await;
    let (_ada, of_ada) = client(&server, "ada").await;
    let (_bob, mut of_bob) = client(&server, "bob").await;

    let mut mixed = of_ada.clone();
    claim(&mut mixed)[..8].copy_from_slice(&claim(&mut of_bob)[..8]);
    let (_, refused) = says(&server, &mixed).await;
    assert_eq!(
        refused.as_deref(),
        Some(REFUSAL),
        "ada's token, bob's session"
    );

    let mut stolen = of_bob.clone();
    stolen.hello.credential = b"mallory".to_vec();
    let (_, refused) = says(&server, &stolen).await;
    assert_eq!(
        refused.as_deref(),
        Some(REFUSAL),
        "bob's token, another principal"
    );
    // It is used up by that.
    let (_, refused) = says(&server, &of_bob).await;
    assert_eq!(refused.as_deref(), Some(REFUSAL));

    let mut nobody = of_ada.clone();
    nobody.hello.credential = Vec::new();
    let (_, refused) = says(&server, &nobody).await;
    assert_eq!(
        refused.as_deref(),
        Some("UNAUTHENTICATED: not authenticated")
    );

    let mut other = of_ada.clone();
    other.hello.fingerprint ^= 1;
    let (_, refused) = says(&server, &other).await;
    assert_eq!(refused.as_deref(), Some(REFUSAL), "another schema");
}

#[tokio::test]
async fn the_extensions_of_a_hello_are_checked_before_anything_begins() {
    let mut server = server().await;
    let named = |name: &str, value: &[u8]| {
        let mut hello = hello_of::<Gauges>();
        hello.credential = b"ada".to_vec();
        hello.extensions.insert(name.to_owned(), value.to_vec());
        HelloFrame {
            session_id: SessionId::new(77).expect("an id"),
            hello,
        }
    };
    let kinds = "INVALID_ARGUMENT: the extension `channels` of HELLO is not a set of kinds for each channel";
    let channel = "INVALID_ARGUMENT: the extension `channel` of HELLO does not name a channel";
    let long = vec![0x10; 4000];
    for (hello, text) in [
        (named("channels", &[0]), kinds),
        (named("channels", &[0x04]), kinds),
        (named("channels", &[0x80]), kinds),
        (named("channels", &[0x10, 0x30]), kinds),
        (named("channels", &long), kinds),
        (named("channel", &[]), channel),
        (named("channel", &[1; 48]), channel),
        (named("channel", &[0; 49]), channel),
        (named("channel", &long), channel),
        (named("channel", &[1; 49]), REFUSAL),
    ] {
        let (_, refused) = says(&server, &hello).await;
        assert_eq!(
            refused.as_deref(),
            Some(text),
            "{:?}",
            hello.hello.extensions
        );
    }
    let (client, _) = client(&server, "ada").await;
    assert_eq!(server.sees().await, "connected", "the first that is");
    client.done_ind(line(1)).await.expect("sent");
    assert_eq!(server.sees().await, "done 1");
}

#[tokio::test]
async fn a_channel_ends_with_its_session() {
    let mut server = server().await;
    let (client, hello) = client(&server, "ada").await;
    let (mut channel, refused) = says(&server, &hello).await;
    assert_eq!(refused, None);
    soon("it closes", client.close()).await;
    let heard = channel.hear_type(FrameType::Close).await;
    let said = describe(&heard).expect("a text");
    assert!(said.contains("the session has ended"), "{said}");
    channel.leave().await;
    assert_eq!(server.sees().await, "connected");
    assert_eq!(server.sees().await, "gone");
    let (_, refused) = says(&server, &hello).await;
    assert_eq!(refused.as_deref(), Some(REFUSAL), "nobody is there");
}

#[tokio::test]
async fn a_server_that_opens_a_session_of_its_own_is_no_channel() {
    let mut main = server().await;
    let mut other = server().await;
    let url = format!(
        "{}?reconnect_max=50ms&channel=log:{}",
        main.url.address(),
        other.url.address()
    );
    let client = Client::<Gauges>::builder(url).credential(b"ada".to_vec());
    let client = soon("a client", client.connect())
        .await
        .expect("it connects");
    assert_eq!(main.sees().await, "connected");
    let fails = async {
        while client.connection().dropped().channel_down == 0 {
            client.line_log(line(1)).await.expect("taken");
            client.echo_req(line(0)).await.expect("answered");
        }
    };
    soon("the channel is refused", fails).await;
    client.close().await;
    assert!(other.seen.try_recv().is_err(), "nobody was there");
}
