//! STATEs that are cleared: with their key, by either side, typed and untyped, and in place of what waits.

use std::sync::Arc;

use msip_runtime::{
    CallOptions, Client, Code, Peer, SendError, Server, Status, Variant,
    middleware::{ExchangeContext, Middleware, Next},
    untyped::{self, Event, Inbound, Reply, Service, UntypedMessage, UntypedPeer, UntypedProtocol},
    wire::{Flags, FrameType, MsgId},
};
use msip_tests::{
    Recorder, at,
    gauges::{
        BroadcastServerToClient as _, ClientToServer, Gauges, HandleClientToServer,
        HandleServerToClient, Level, Line, SendClientToServer as _, SendServerToClient as _,
        ServerToClient,
    },
    raw::{self, RawPeer},
    recorder, soon,
};
use tokio::sync::{Semaphore, mpsc};

#[derive(Debug, Clone, PartialEq, Eq)]
enum Seen {
    Set(String, u64),
    /// With all that is not the key, which should be nothing.
    Cleared(String, u64),
}

/// What a handler is told, on either side.
struct Watcher {
    gate: Arc<Semaphore>,
    seen: Recorder<Seen>,
    peers: Recorder<Peer<Gauges>>,
}

impl Watcher {
    async fn see(&self, seen: Seen) {
        let _permit = self.gate.acquire().await;
        self.seen.record(seen);
    }
}

impl HandleClientToServer for Watcher {
    async fn on_level_state(&self, _: &Peer<Gauges>, state: Level) {
        self.see(Seen::Set(state.gauge, state.level)).await;
    }

    async fn on_state_cleared(&self, _: &Peer<Gauges>, state: ClientToServer) {
        match state {
            ClientToServer::LevelState(state) => {
                self.see(Seen::Cleared(state.gauge, state.level)).await;
            }
            other => panic!("{other:?}"),
        }
    }

    async fn on_echo_req(&self, _: &Peer<Gauges>, line: Line) -> Result<Line, Status> {
        Ok(line)
    }

    async fn on_client_connected(&self, peer: &Peer<Gauges>) {
        self.peers.record(peer.clone());
    }
}

impl HandleServerToClient for Watcher {
    async fn on_level_state(&self, _: &Client<Gauges>, state: Level) {
        self.see(Seen::Set(state.gauge, state.level)).await;
    }

    async fn on_state_cleared(&self, _: &Client<Gauges>, state: ServerToClient) {
        match state {
            ServerToClient::LevelState(state) => {
                self.see(Seen::Cleared(state.gauge, state.level)).await;
            }
            other => panic!("{other:?}"),
        }
    }
}

struct Watch {
    gate: Arc<Semaphore>,
    seen: mpsc::Receiver<Seen>,
    peers: mpsc::Receiver<Peer<Gauges>>,
}

impl Watch {
    async fn next(&mut self) -> Seen {
        soon("a state", self.seen.recv()).await.expect("lives")
    }
}

/// A handler that handles once it is let to.
fn watcher() -> (Watcher, Watch) {
    let gate = Arc::new(Semaphore::new(0));
    let (seen, told) = recorder();
    let (peers, handed) = recorder();
    let watcher = Watcher {
        gate: Arc::clone(&gate),
        seen,
        peers,
    };
    let watch = Watch {
        gate,
        seen: told,
        peers: handed,
    };
    (watcher, watch)
}

/// A server and a client, whose handlers both run.
async fn both(query: &str) -> (Client<Gauges>, Peer<Gauges>, Watch, Watch) {
    let (server_handler, mut server) = watcher();
    let (client_handler, client_watch) = watcher();
    server.gate.add_permits(1);
    client_watch.gate.add_permits(1);
    let bound = Server::<Gauges>::bind(at!("tcp://127.0.0.1:0").to_owned())
        .await
        .expect("binds");
    let url = format!("{}{query}", bound.local_url());
    tokio::spawn(bound.serve(server_handler));
    let client = Client::<Gauges>::builder(url)
        .handler(client_handler)
        .connect()
        .await
        .expect("connects");
    let peer = soon("a client", server.peers.recv()).await.expect("lives");
    (client, peer, server, client_watch)
}

fn level(gauge: &str, level: u64) -> Level {
    Level {
        gauge: gauge.to_owned(),
        level,
    }
}

const fn clearing() -> CallOptions {
    CallOptions::new().clearing()
}

fn cleared(gauge: &str) -> Seen {
    Seen::Cleared(gauge.to_owned(), 0)
}

#[tokio::test]
async fn each_side_is_told_which_state_is_cleared() {
    for query in ["", "?codec=json", "?codec=msgpack", "?compress=zstd"] {
        let _case = raw::Playing(query);
        let (client, peer, mut server, mut watch) = both(query).await;
        client.level_state(level("oil", 7)).await.expect("sent");
        assert_eq!(server.next().await, Seen::Set("oil".to_owned(), 7));
        // Of what is given only the key counts; one that has its default is one too.
        for gauge in ["oil", ""] {
            client
                .with(clearing())
                .level_state(level(gauge, 9))
                .await
                .expect("sent");
            assert_eq!(server.next().await, cleared(gauge));
        }
        // Acknowledged, once the handler has returned.
        client
            .with(clearing().ack())
            .level_state(level("gas", 1))
            .await
            .expect("acknowledged");
        assert_eq!(server.next().await, cleared("gas"));
        // A default message is no cleared state.
        client.level_state(Level::default()).await.expect("sent");
        assert_eq!(server.next().await, Seen::Set(String::new(), 0));
        peer.with(clearing())
            .level_state(level("oil", 1))
            .await
            .expect("sent");
        assert_eq!(watch.next().await, cleared("oil"));
        let sent = peer.everyone().clearing().level_state(level("everyone", 1));
        assert_eq!(sent, 1);
        assert_eq!(watch.next().await, cleared("everyone"));
        client.close().await;
    }
}

#[tokio::test]
async fn only_a_state_is_cleared() {
    let (client, peer, ..) = both("").await;
    let refused = client.with(clearing()).line_log(Line::default()).await;
    let Err(SendError::Refused(status)) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(
        (status.code(), status.message()),
        (
            Code::InvalidArgument,
            "`line_log` is no STATE: it cannot be cleared"
        )
    );
    let called = client.with(clearing()).echo_req(Line::default()).await;
    let error = called.expect_err("a call");
    assert_eq!(error.code(), Code::InvalidArgument, "{error}");
    let sent = peer.everyone().clearing().line_log(Line::default());
    assert_eq!(sent, 0);
}

#[tokio::test]
async fn what_clears_a_state_replaces_what_waits_to_set_it() {
    let (handler, mut watch) = watcher();
    let bound = Server::<Gauges>::bind(at!("tcp://127.0.0.1:0").to_owned())
        .await
        .expect("binds");
    let url = bound.local_url().to_string();
    tokio::spawn(bound.serve(handler));
    let client = Client::<Gauges>::connect(url).await.expect("connects");
    // The window is used up, so that the rest waits here.
    for number in 0..1024 {
        client
            .level_state(level("window", number))
            .await
            .expect("sent");
    }
    client.level_state(level("oil", 1)).await.expect("waits");
    client
        .with(clearing())
        .level_state(level("oil", 0))
        .await
        .expect("waits");
    client
        .with(clearing())
        .level_state(level("gas", 0))
        .await
        .expect("waits");
    client.level_state(level("gas", 2)).await.expect("waits");
    watch.gate.add_permits(1);
    for number in 0..1024 {
        assert_eq!(watch.next().await, Seen::Set("window".to_owned(), number));
    }
    assert_eq!(watch.next().await, cleared("oil"));
    assert_eq!(watch.next().await, Seen::Set("gas".to_owned(), 2));
}

/// Refuses what clears a state, as it refuses what sets it.
struct NoStates;

impl Middleware for NoStates {
    async fn handle(
        &self,
        exchange: &mut ExchangeContext,
        mut next: Next<'_>,
    ) -> Result<(), msip_runtime::CallError> {
        if exchange.message() == "level_state" {
            return Err(exchange.refuse(Status::permission_denied("no states")));
        }
        next.run(exchange).await
    }
}

#[tokio::test]
async fn middleware_decides_of_what_clears_too() {
    let (handler, watch) = watcher();
    watch.gate.add_permits(1);
    let bound = Server::<Gauges>::builder(at!("tcp://127.0.0.1:0").to_owned())
        .incoming(NoStates)
        .bind()
        .await
        .expect("binds");
    let url = bound.local_url().to_string();
    tokio::spawn(bound.serve(handler));
    let client = Client::<Gauges>::connect(url).await.expect("connects");
    let error = client
        .with(clearing().ack())
        .level_state(level("oil", 0))
        .await
        .expect_err("refused");
    assert_eq!(error.code(), Code::PermissionDenied, "{error}");
}

#[tokio::test]
async fn the_body_is_empty_on_the_wire_and_the_metadata_says_which() {
    let bound = Server::<Gauges>::bind(at!("tcp://127.0.0.1:0").to_owned())
        .await
        .expect("binds");
    let url = bound.local_url().clone();
    let (handler, mut server) = watcher();
    server.gate.add_permits(1);
    tokio::spawn(bound.serve(handler));
    let mut raw = RawPeer::dial(&url).await;
    raw.greet_with(&raw::hello_of::<Gauges>()).await;
    let peer = soon("a client", server.peers.recv()).await.expect("lives");
    peer.with(clearing())
        .level_state(Level::default())
        .await
        .expect("sent");
    let frame = raw.hear_type(FrameType::Event).await;
    assert_eq!(frame.payload[..], [0, 0], "no topic, and no body");
    assert_eq!(frame.header.flags, Flags::NONE);
    // `cleared` alone: the envelope, the member, and field 3.
    let sent = peer.everyone().clearing().level_state(level("oil", 7));
    assert_eq!(sent, 1);
    let frame = raw.hear_type(FrameType::Event).await;
    let expected = [&[0, 9, 0x62, 7, 0x0a, 5, 0x1a, 3][..], b"oil", &[0, 0]].concat();
    assert_eq!(frame.payload[..], expected);
    assert_eq!(frame.header.flags, Flags::META);
    // What does not say it rightly is no state of this schema.
    let id = MsgId::delivery(msip_runtime::wire::Side::Connecting, 1);
    let header = msip_runtime::wire::Header {
        flags: Flags::ACK_REQUIRED | Flags::META,
        variant: 1,
        kind: msip_runtime::MsgKind::State.into(),
        ..msip_runtime::wire::Header::control(FrameType::Publish, id)
    };
    raw.say(&raw::frame_of(header, &[0, 4, 0x62, 2, 0x0a, 9, 0, 0]))
        .await;
    let (_, answer) = raw.hear_until(id).await;
    let answer = raw::text(&answer.expect("one").payload);
    assert!(
        answer.starts_with("INVALID_ARGUMENT: malformed body of level_state (1)"),
        "{answer}"
    );
}

/// Tells what it receives, and sends it back.
struct Untyped(Recorder<(bool, Vec<u8>, String)>);

impl Service for Untyped {
    async fn serve(&self, _: UntypedPeer, mut inbound: Inbound) {
        while let Some(event) = inbound.next().await {
            match event {
                Event::Exchange(exchange) => {
                    let metadata = exchange.metadata();
                    self.0.record((
                        exchange.message.clears(),
                        metadata.cleared().to_vec(),
                        metadata.key().unwrap_or_default().to_owned(),
                    ));
                    if let Reply::Delivery(acknowledgment) = exchange.reply {
                        acknowledgment.acknowledge();
                    }
                }
                Event::Messages(messages) => {
                    for message in messages.iter() {
                        let message = message.to_message();
                        self.0.record((message.clears(), Vec::new(), String::new()));
                    }
                }
                _ => {}
            }
        }
    }
}

#[tokio::test]
async fn untyped_peers_see_and_say_it() {
    let (seen, mut told) = recorder();
    let bound = untyped::UntypedServer::builder(at!("tcp://127.0.0.1:0").to_owned())
        .untyped(UntypedProtocol::any(), Untyped(seen))
        .bind()
        .await
        .expect("binds");
    let url = bound.local_url().to_string();
    tokio::spawn(bound.serve());
    let client = Client::<Gauges>::connect(url).await.expect("connects");
    client
        .with(clearing())
        .level_state(level("oil", 1))
        .await
        .expect("sent");
    let told_of_oil = soon("a state", told.recv()).await.expect("lives");
    assert_eq!(
        told_of_oil,
        (true, b"\x0a\x05\x1a\x03oil".to_vec(), String::new())
    );
    client
        .with(clearing().key("mine").ack())
        .level_state(Level::default())
        .await
        .expect("acknowledged");
    let mine = soon("a state", told.recv()).await.expect("lives");
    assert_eq!(mine, (true, Vec::new(), "mine".to_owned()));
    client.level_state(Level::default()).await.expect("sent");
    assert!(!soon("a state", told.recv()).await.expect("lives").0);

    let (handler, mut server) = watcher();
    server.gate.add_permits(1);
    let bound = Server::<Gauges>::bind(at!("tcp://127.0.0.1:0").to_owned())
        .await
        .expect("binds");
    let url = bound.local_url().to_string();
    tokio::spawn(bound.serve(handler));
    let client = untyped::UntypedClient::builder(url, "gauges", 0)
        .connect()
        .await
        .expect("connects");
    let variant = Variant::new(1, "level_state", msip_runtime::MsgKind::State);
    let empty = UntypedMessage::new(&variant, Vec::new());
    client
        .handle()
        .send(&empty, &CallOptions::new())
        .await
        .expect("sent");
    assert_eq!(server.next().await, cleared(""));
}
