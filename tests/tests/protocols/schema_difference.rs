//! Peers with another version of the schema: what differs is compared, told in words, and refused where a server wants it.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use msip_runtime::{
    CallError, CallOptions, Client, ClientToServer, Code, ConnectError, ConnectWith,
    DisconnectReason, Message, MsgKind, Peer, Protocol, Server, ServerToClient, Status, Variant,
    bytes::Bytes,
    transport::ServiceUrl,
    untyped::{
        Event, Ignore, Inbound, Service, UntypedClient, UntypedMessage, UntypedPeer,
        UntypedProtocol, UntypedServer,
    },
    wire::{Flags, FrameType, Header, Hello, MsgId, RawKind, Side},
};
use msip_tests::{
    Recorder,
    raw::{self, RawPeer},
    recorder, rolling_new as new, rolling_old as old, soon,
};
use tokio::sync::mpsc;

/// The variant by which peers ask each other for their schema.
const DESCRIBE: u16 = 65_535;

/// The same protocol again, by someone who changed what must not be changed.
mod broken {
    use super::{Bytes, ClientToServer, Message, ServerToClient};

    #[derive(Debug, ClientToServer)]
    #[msip(protocol = "rolling")]
    pub(super) enum ClientToServer {
        #[msip(tag = 1)]
        FetchReq(FetchReq),
        #[msip(tag = 2)]
        HintInd(HintInd),
        #[msip(tag = 3)]
        CheckRsp(CheckRsp),
    }

    #[derive(Debug, ServerToClient)]
    pub(super) enum ServerToClient {
        #[msip(tag = 1)]
        FetchRsp(FetchRsp),
        #[msip(tag = 2)]
        HintInd(HintInd),
        #[msip(tag = 3)]
        CheckReq(CheckReq),
    }

    #[derive(Debug, Message)]
    pub(super) struct FetchReq {
        /// It was a string.
        #[msip(tag = 1)]
        pub(super) name: Bytes,
    }

    #[derive(Debug, Message)]
    pub(super) struct FetchRsp {
        #[msip(tag = 1)]
        pub(super) value: String,
    }

    #[derive(Debug, Message)]
    pub(super) struct HintInd {
        #[msip(tag = 1)]
        pub(super) text: String,
    }

    #[derive(Debug, Message)]
    pub(super) struct CheckReq {
        #[msip(tag = 1)]
        pub(super) topic: String,
    }

    #[derive(Debug, Message)]
    pub(super) struct CheckRsp {
        #[msip(tag = 1)]
        pub(super) is_well: bool,
    }
}

/// The same protocol again, with a field that has another name.
mod renamed {
    use super::{ClientToServer, Message, ServerToClient};

    #[derive(Debug, ClientToServer)]
    #[msip(protocol = "rolling")]
    pub(super) enum ClientToServer {
        #[msip(tag = 1)]
        FetchReq(FetchReq),
        #[msip(tag = 2)]
        HintInd(HintInd),
        #[msip(tag = 3)]
        CheckRsp(CheckRsp),
    }

    #[derive(Debug, ServerToClient)]
    pub(super) enum ServerToClient {
        #[msip(tag = 1)]
        FetchRsp(FetchRsp),
        #[msip(tag = 2)]
        HintInd(HintInd),
        #[msip(tag = 3)]
        CheckReq(CheckReq),
    }

    #[derive(Debug, Message)]
    pub(super) struct FetchReq {
        #[msip(tag = 1)]
        pub(super) title: String,
    }

    #[derive(Debug, Message)]
    pub(super) struct FetchRsp {
        #[msip(tag = 1)]
        pub(super) value: String,
    }

    #[derive(Debug, Message)]
    pub(super) struct HintInd {
        #[msip(tag = 1)]
        pub(super) text: String,
    }

    #[derive(Debug, Message)]
    pub(super) struct CheckReq {
        #[msip(tag = 1)]
        pub(super) topic: String,
    }

    #[derive(Debug, Message)]
    pub(super) struct CheckRsp {
        #[msip(tag = 1)]
        pub(super) is_well: bool,
    }
}

/// A server of the old release, which tells what reaches its handler.
#[derive(Debug, Clone)]
struct Old(Recorder<Seen>);

#[derive(Debug)]
enum Seen {
    Connected(Peer<old::Rolling>),
    Hint,
    Fetch,
    Disconnected,
    Gone,
}

impl old::HandleClientToServer for Old {
    async fn on_fetch_req(
        &self,
        _: &Peer<old::Rolling>,
        request: old::FetchReq,
    ) -> Result<old::FetchRsp, Status> {
        self.0.record(Seen::Fetch);
        let value = request.name;
        Ok(old::FetchRsp { value })
    }

    async fn on_hint_ind(&self, _: &Peer<old::Rolling>, _: old::HintInd) {
        self.0.record(Seen::Hint);
    }

    async fn on_client_connected(&self, peer: &Peer<old::Rolling>) {
        self.0.record(Seen::Connected(peer.clone()));
    }

    async fn on_client_disconnected(&self, _: &Peer<old::Rolling>, _: DisconnectReason) {
        self.0.record(Seen::Disconnected);
    }

    async fn on_client_gone(&self, _: &Peer<old::Rolling>) {
        self.0.record(Seen::Gone);
    }
}

/// Serves the old release.
async fn serve_old(url: &str) -> (ServiceUrl, mpsc::Receiver<Seen>) {
    let server = Server::<old::Rolling>::bind(url).await.expect("listens");
    let url = server.local_url().clone();
    let (seen, events) = recorder();
    tokio::spawn(server.serve(Old(seen)));
    (url, events)
}

async fn connected(events: &mut mpsc::Receiver<Seen>) -> Peer<old::Rolling> {
    match soon("a client", events.recv()).await {
        Some(Seen::Connected(peer)) => peer,
        other => panic!("{other:?}"),
    }
}

/// Where a test listens: over a network, and in memory under a name of its own.
fn addresses(name: &str) -> [String; 2] {
    [
        "tcp://127.0.0.1:0".to_owned(),
        format!("mem://schema-{name}"),
    ]
}

#[tokio::test]
async fn both_sides_learn_what_differs() {
    for (address, codec) in addresses("both").into_iter().zip(["protobuf", "json"]) {
        let (url, mut events) = serve_old(&address).await;
        let client = Client::<new::Rolling>::connect(format!("{url}?codec={codec}"))
            .await
            .expect("connects");
        let peer = connected(&mut events).await;

        let on_server = soon("a comparison", peer.schema_compared()).await;
        let on_server = on_server.expect("they differ");
        assert!(on_server.is_compared(), "{on_server}");
        assert!(!on_server.is_wire_breaking(), "{on_server}");
        assert_eq!(on_server.our_fingerprint(), old::Rolling::fingerprint());
        assert_eq!(on_server.their_fingerprint(), new::Rolling::fingerprint());
        let text = on_server.to_string();
        for expected in [
            "client-to-server `forget_req` (4): only on the client [harmless]",
            "client-to-server `fetch_req`, field `max_age` (2): only on the client [harmless]",
        ] {
            let is_there = on_server
                .differences()
                .iter()
                .any(|difference| expected.starts_with(&difference.place.to_string()));
            assert!(is_there, "{expected} is not in: {text}");
        }
        assert!(
            text.contains("(4): only on the client [harmless]"),
            "{text}"
        );

        let connection = client.connection();
        let on_client = soon("a comparison", connection.schema_compared()).await;
        let on_client = on_client.expect("they differ");
        assert_eq!(on_client.differences().len(), on_server.differences().len());
        assert!(!on_client.is_wire_breaking(), "{on_client}");
        // Once it is known, nothing is to be waited for.
        assert!(peer.schema_difference().is_some());
        assert!(connection.schema_difference().is_some());
        client.close().await;
    }
}

#[tokio::test]
async fn peers_of_one_release_have_nothing_to_compare() {
    let (url, mut events) = serve_old("tcp://127.0.0.1:0?schema=compatible").await;
    let client = Client::<old::Rolling>::connect(url.to_string())
        .await
        .expect("connects");
    let peer = connected(&mut events).await;
    assert!(peer.schema_compared().await.is_none());
    assert!(peer.schema_difference().is_none());
    assert!(client.connection().schema_compared().await.is_none());
    assert!(client.connection().schema_difference().is_none());
}

#[tokio::test]
async fn a_difference_that_breaks_is_served_unless_it_is_asked_about() {
    let (url, mut events) = serve_old("tcp://127.0.0.1:0").await;
    let client = Client::<broken::Rolling>::connect(url.to_string())
        .await
        .expect("connects");
    let peer = connected(&mut events).await;
    let difference = soon("a comparison", peer.schema_compared()).await;
    let difference = difference.expect("they differ");
    assert!(difference.is_wire_breaking());
    assert_eq!(
        difference.to_string(),
        "client-to-server `fetch_req`, field `name` (1): string on the server, bytes on the client [wire-breaking]"
    );
    client.close().await;
}

#[tokio::test]
async fn a_compatible_server_serves_what_it_understands() {
    use new::SendClientToServer as _;

    for address in addresses("served") {
        let (url, mut events) = serve_old(&format!("{address}?schema=compatible")).await;
        for _ in 0..2 {
            let client = Client::<new::Rolling>::connect(url.to_string())
                .await
                .expect("connects");
            let request = new::FetchReq {
                name: "it".into(),
                max_age: 1,
            };
            let answer = client.fetch_req(request).await.expect("answers");
            assert_eq!(answer.value, "it");
            let peer = connected(&mut events).await;
            // Nothing was handled before this was known.
            assert!(peer.schema_difference().is_some());
            assert_eq!(peer.everyone().peers().len(), 1);
            client.close().await;
            for expected in ["Fetch", "Disconnected", "Gone"] {
                let seen = soon("an event", events.recv()).await;
                let seen = format!("{:?}", seen.expect("lives"));
                assert_eq!(seen, expected);
            }
        }
    }
}

#[tokio::test]
async fn a_compatible_server_refuses_what_it_would_misread() {
    use broken::SendClientToServer as _;

    for address in addresses("refused") {
        let server = Server::<old::Rolling>::bind(format!("{address}?schema=compatible"))
            .await
            .expect("listens");
        let (url, everyone) = (server.local_url().to_string(), server.broadcast());
        let (seen, mut events) = recorder();
        let serving = tokio::spawn(server.serve(Old(seen)));

        let client = Client::<broken::Rolling>::builder(&url)
            .handler(StopsAtOnce)
            .connect()
            .await
            .expect("connects");
        // Sent before the server has compared anything: it is refused all the same.
        let request = broken::FetchReq {
            name: Bytes::from_static(b"\xff"),
        };
        let refused = client.fetch_req(request).await.expect_err("refused");
        // A call that the server has received is told why; one that meets the CLOSE is told of that.
        if let CallError::Status(status) = refused {
            assert_eq!(status.code(), Code::FailedPrecondition, "{status}");
            assert_eq!(
                status.message(),
                "the schemas are not compatible, which this server requires: client-to-server `fetch_req`, field `name` (1): string on the server, bytes on the client [wire-breaking]"
            );
        }
        let mut lost = client.connection().lost_sessions();
        let lost = soon("the end", lost.wait_for(Option::is_some)).await;
        let reason = lost
            .expect("the client lives")
            .clone()
            .expect("lost")
            .reason;
        assert!(reason.contains("FAILED_PRECONDITION"), "{reason}");
        assert!(reason.contains("string on the server"), "{reason}");
        assert!(everyone.peers().is_empty(), "it was never listed");
        serving.abort();
        let _ = serving.await;
        // Not even that it was there has reached the handler.
        assert!(events.recv().await.is_none());
    }
}

/// A client that gives up at its first failure to connect again.
struct StopsAtOnce;

impl broken::HandleServerToClient for StopsAtOnce {
    async fn on_hint_ind(&self, _: &Client<broken::Rolling>, _: broken::HintInd) {}

    async fn on_check_req(
        &self,
        _: &Client<broken::Rolling>,
        _: broken::CheckReq,
    ) -> Result<broken::CheckRsp, Status> {
        Ok(broken::CheckRsp { is_well: true })
    }
}

#[tokio::test]
async fn a_renamed_field_breaks_where_names_are_carried() {
    let (url, mut events) = serve_old("tcp://127.0.0.1:0").await;
    for (codec, is_breaking) in [("protobuf", false), ("json", true), ("msgpack", true)] {
        let client = Client::<renamed::Rolling>::connect(format!("{url}?codec={codec}"))
            .await
            .expect("connects");
        let peer = connected(&mut events).await;
        let difference = soon("a comparison", peer.schema_compared()).await;
        let difference = difference.expect("they differ");
        assert_eq!(difference.is_wire_breaking(), is_breaking, "{codec}");
        assert_eq!(
            difference.to_string(),
            "client-to-server `fetch_req`, field `name` (1): named `name` on the server, `title` on the client [wire-breaking in JSON and MessagePack]"
        );
        client.close().await;
        for _ in 0..2 {
            soon("its end", events.recv()).await;
        }
    }
}

/// A HELLO of the `rolling` protocol with this fingerprint.
fn hello(fingerprint: u64, describes: bool) -> Hello {
    let mut hello = Hello {
        protocol: "rolling".to_owned(),
        fingerprint,
        ..raw::hello()
    };
    if describes {
        let extension = ("schema-description".to_owned(), Vec::new());
        hello.extensions.extend([extension]);
    }
    hello
}

#[tokio::test]
async fn an_older_peer_cannot_describe_its_schema() {
    let (url, mut events) = serve_old("tcp://127.0.0.1:0").await;
    let mut peer = RawPeer::dial(&url).await;
    peer.greet_with(&hello(7, false)).await;
    let seen = connected(&mut events).await;
    let difference = soon("an answer", seen.schema_compared()).await;
    let difference = difference.expect("they differ");
    assert!(!difference.is_compared());
    assert!(!difference.is_wire_breaking());
    assert!(difference.differences().is_empty());
    assert_eq!(
        difference.not_compared(),
        Some("the client cannot describe its schema")
    );
    // It is asked nothing.
    peer.leave().await;

    let (url, _events) = serve_old("tcp://127.0.0.1:0?schema=compatible").await;
    let mut peer = RawPeer::dial(&url).await;
    peer.say(&raw::hello_frame(&hello(7, false))).await;
    let refused = peer.hear_to_the_end().await;
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert!(refused[0].contains("FAILED_PRECONDITION"), "{refused:?}");
    assert!(
        refused[0]
            .ends_with("the client's 0000000000000007, and the client cannot describe its own"),
        "{refused:?}"
    );
}

/// Answers the server's question for the schema with these bytes, and returns the server's next words.
async fn answer_question(peer: &mut RawPeer, answer: impl FnOnce(MsgId) -> Vec<u8>) {
    let question = peer.hear_type(FrameType::Event).await;
    assert_eq!(question.header.variant, DESCRIBE);
    assert!(question.header.flags.contains(Flags::ACK_REQUIRED));
    peer.say(&answer(question.header.msg_id)).await;
}

fn described(id: MsgId, text: &[u8]) -> Vec<u8> {
    let header = Header {
        variant: DESCRIBE,
        ..Header::control(FrameType::Ack, id)
    };
    raw::frame_of(header, text)
}

#[tokio::test]
async fn a_hostile_description_harms_nobody_else() {
    let deep: String = (0..300)
        .map(|level| format!("message p.T{level}\n1 f optional .p.T{}\n", level + 1))
        .collect();
    let deep = format!(
        "msip-description 1\npackage rolling\nclient-to-server\n1 a EVENT one-way .p.T0\nserver-to-client\ntypes\n{deep}message p.T300\n"
    );
    let other = "msip-description 1\npackage rolling\nclient-to-server\nserver-to-client\ntypes\n";
    let long = vec![b'a'; 300 * 1024];
    type Answer<'a> = &'a dyn Fn(MsgId) -> Vec<u8>;
    let cases: [(&str, Answer<'_>, &str); 7] = [
        (
            "garbage",
            &|id| described(id, &[0xff; 100]),
            "it is not UTF-8",
        ),
        ("nothing", &|id| described(id, b""), "line 1: expected"),
        (
            "too long",
            &|id| described(id, &long),
            "307200 bytes, where 262144 are allowed",
        ),
        (
            "deep",
            &|id| described(id, deep.as_bytes()),
            "of another schema than its fingerprint",
        ),
        (
            "of another schema",
            &|id| described(id, other.as_bytes()),
            "of another schema than its fingerprint",
        ),
        (
            "another variant",
            &|id| {
                raw::frame_of(
                    Header {
                        variant: 1,
                        ..Header::control(FrameType::Ack, id)
                    },
                    other.as_bytes(),
                )
            },
            "the answer is no description",
        ),
        (
            "an error with control characters",
            &|id| raw::frame(FrameType::Error, id, b"INTERNAL: \x1b[2J"),
            "\\u{1b}[2J",
        ),
    ];
    let (url, mut events) = serve_old("tcp://127.0.0.1:0").await;
    let fingerprint = new::Rolling::fingerprint();
    for (name, answer, expected) in &cases {
        let _playing = raw::Playing(name);
        let mut peer = RawPeer::dial(&url).await;
        // Under the fingerprint of honest clients.
        peer.greet_with(&hello(fingerprint, true)).await;
        let seen = connected(&mut events).await;
        answer_question(&mut peer, answer).await;
        let difference = soon("an answer", seen.schema_compared()).await;
        let difference = difference.expect("they differ");
        assert!(!difference.is_compared(), "{name}: {difference}");
        assert!(
            difference.to_string().contains(expected),
            "{name}: {difference}"
        );
        peer.leave().await;
        for _ in 0..2 {
            soon("its end", events.recv()).await;
        }
    }
    // None of it is believed of the next peer with that fingerprint.
    let _client = Client::<new::Rolling>::connect(url.to_string())
        .await
        .expect("connects");
    let seen = connected(&mut events).await;
    let difference = soon("an answer", seen.schema_compared()).await;
    assert!(difference.expect("they differ").is_compared());

    let (url, _events) = serve_old("tcp://127.0.0.1:0?schema=compatible").await;
    let mut peer = RawPeer::dial(&url).await;
    peer.greet_with(&hello(fingerprint, true)).await;
    answer_question(&mut peer, |id| described(id, b"?")).await;
    let refused = peer.hear_type(FrameType::Close).await;
    let refused = raw::text(&refused.payload);
    assert!(
        refused.starts_with("FAILED_PRECONDITION: the schemas cannot be compared, which this server requires: the client's description cannot be read"),
        "{refused}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_answer_is_waited_for_within_the_handshake_timeout() {
    let (url, _events) =
        serve_old("mem://schema-silence?schema=compatible&handshake_timeout=2s").await;
    let mut peer = RawPeer::dial(&url).await;
    peer.greet_with(&hello(7, true)).await;
    let refused = peer.hear_type(FrameType::Close).await;
    let refused = raw::text(&refused.payload);
    assert!(
        refused.ends_with("the client does not describe its schema: no response within 2s"),
        "{refused}"
    );
}

#[tokio::test]
async fn a_schema_is_asked_for_once() {
    let (url, mut events) = serve_old("tcp://127.0.0.1:0").await;
    let client = Client::<new::Rolling>::connect(url.to_string())
        .await
        .expect("connects");
    let seen = connected(&mut events).await;
    soon("an answer", seen.schema_compared()).await;
    client.close().await;
    for _ in 0..2 {
        soon("its end", events.recv()).await;
    }
    let mut peer = RawPeer::dial(&url).await;
    peer.greet_with(&hello(new::Rolling::fingerprint(), true))
        .await;
    let seen = connected(&mut events).await;
    let difference = soon("an answer", seen.schema_compared()).await;
    assert!(difference.expect("they differ").is_compared());
    // The server says nothing until it hears the goodbye.
    peer.say(&raw::frame(
        FrameType::Close,
        MsgId::CONNECTION,
        b"CANCELLED: done",
    ))
    .await;
    let heard = peer.hear_to_the_end().await;
    assert!(
        heard.iter().all(|line| line.starts_with("CLOSE")),
        "{heard:?}"
    );
}

/// The question for a schema, as anyone may ask it.
fn question() -> UntypedMessage {
    let variant = Variant::new(DESCRIBE, "", MsgKind::Command).call(DESCRIBE);
    UntypedMessage::new(&variant, Bytes::new())
}

/// Asks each client for its schema.
struct Asks(Recorder<Result<UntypedMessage, CallError>>);

impl Service for Asks {
    async fn serve(&self, peer: UntypedPeer, mut inbound: Inbound) {
        let answer = peer.call(&question(), &CallOptions::new()).await;
        self.0.record(answer);
        while inbound.next().await.is_some() {}
    }
}

async fn description_of<P: ConnectWith<()>>(
    url: &str,
    answers: &mut mpsc::Receiver<Result<UntypedMessage, CallError>>,
) -> String {
    let client = Client::<P>::connect(url).await.expect("connects");
    let answer = soon("an answer", answers.recv()).await.expect("lives");
    let answer = answer.unwrap_or_else(|error| panic!("{}: {error}", P::NAME));
    assert_eq!(answer.number(), DESCRIBE);
    client.close().await;
    String::from_utf8(answer.raw_body().to_vec()).expect("text")
}

/// What a program describes has its fingerprint, or it would answer with an error.
#[tokio::test]
async fn every_protocol_describes_itself() {
    use msip_tests::{fleet_client, gauges, lab, sampler, shapes, tree};

    let (asked, mut answers) = recorder();
    let server = UntypedServer::builder("mem://schema-descriptions")
        .untyped(UntypedProtocol::any(), Asks(asked))
        .bind()
        .await
        .expect("listens");
    let url = &server.local_url().to_string();
    let _serving = tokio::spawn(server.serve());
    let answers = &mut answers;
    let texts = [
        description_of::<lab::Lab>(url, answers).await,
        description_of::<gauges::Gauges>(url, answers).await,
        description_of::<sampler::Sampler>(url, answers).await,
        description_of::<shapes::Shapes>(url, answers).await,
        description_of::<fleet_client::Fleet>(url, answers).await,
        description_of::<tree::depot::v1::Depot>(url, answers).await,
        description_of::<new::Rolling>(url, answers).await,
        description_of::<broken::Rolling>(url, answers).await,
    ];
    for text in &texts {
        assert!(text.starts_with("msip-description 1\npackage "), "{text}");
    }
    // One protocol is described alike, however it is written.
    let old = description_of::<old::Rolling>(url, answers).await;
    assert_eq!(
        old.replace("string", "bytes"),
        texts[7].replace("string", "bytes")
    );
}

#[tokio::test]
async fn a_schema_is_told_a_few_times_and_no_more() {
    let (url, _events) = serve_old("tcp://127.0.0.1:0").await;
    let fingerprint = old::Rolling::fingerprint();
    let client = UntypedClient::builder(url.to_string(), "rolling", fingerprint)
        .service(Ignore::default())
        .connect()
        .await
        .expect("connects");
    for _ in 0..4 {
        let told = client.call(&question(), &CallOptions::new()).await;
        assert!(told.is_ok(), "{told:?}");
    }
    let refused = client.call(&question(), &CallOptions::new()).await;
    let refused = refused.expect_err("too often");
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused}");
}

/// Counts what reaches a service.
struct Counts(Arc<AtomicUsize>, Recorder<()>);

impl Service for Counts {
    async fn serve(&self, _: UntypedPeer, mut inbound: Inbound) {
        while let Some(event) = inbound.next().await {
            match event {
                Event::Messages(messages) => {
                    for message in messages.iter() {
                        assert_ne!(message.number(), DESCRIBE);
                        self.0.fetch_add(1, Ordering::Relaxed);
                        self.1.record(());
                    }
                }
                Event::Exchange(exchange) => {
                    assert_ne!(exchange.message.number(), DESCRIBE);
                    self.0.fetch_add(1, Ordering::Relaxed);
                }
                _ => {}
            }
        }
    }
}

#[tokio::test]
async fn the_question_never_reaches_an_untyped_service() {
    let count = Arc::new(AtomicUsize::new(0));
    let (counted, mut events) = recorder();
    let server = UntypedServer::builder("tcp://127.0.0.1:0")
        .untyped(UntypedProtocol::any(), Counts(Arc::clone(&count), counted))
        .bind()
        .await
        .expect("listens");
    let url = server.local_url().clone();
    let _serving = tokio::spawn(server.serve());
    let mut peer = RawPeer::dial(&url).await;
    peer.greet_with(&hello(7, true)).await;
    let message = |number, flags, variant| {
        let header = Header {
            flags,
            kind: RawKind::from(MsgKind::Event),
            variant,
            ..Header::control(FrameType::Publish, number)
        };
        raw::frame_of(header, &[0, 0])
    };
    let call = MsgId::exchange(Side::Connecting, 2);
    peer.say(&message(call, Flags::ACK_REQUIRED, DESCRIBE))
        .await;
    let answer = peer.hear_type(FrameType::Error).await;
    assert_eq!(
        raw::text(&answer.payload),
        "UNIMPLEMENTED: this side does not know the schema of what it passes on"
    );
    // As a message it is counted, and nothing else.
    let id = MsgId::exchange(Side::Connecting, 3);
    peer.say(&message(id, Flags::NONE, DESCRIBE)).await;
    let id = MsgId::exchange(Side::Connecting, 4);
    peer.say(&message(id, Flags::NONE, 1)).await;
    soon("the other message", events.recv()).await;
    assert_eq!(count.load(Ordering::Relaxed), 1);
    peer.leave().await;
}

#[tokio::test]
async fn an_untyped_service_has_nothing_to_compare_with() {
    let server = UntypedServer::builder("tcp://127.0.0.1:0?schema=compatible")
        .untyped(
            UntypedProtocol::named("rolling").with_fingerprint(1),
            Ignore::default(),
        )
        .bind()
        .await
        .expect("listens");
    let url = server.local_url().to_string();
    let _serving = tokio::spawn(server.serve());
    let Err(ConnectError::Refused { status, .. }) = Client::<old::Rolling>::connect(&url).await
    else {
        panic!("it is served");
    };
    assert!(
        status
            .message()
            .ends_with(", and the server cannot compare them"),
        "{status}"
    );
}
