//! Peers that break off, fall silent, do not read, or want too much: each affects itself only.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use msip_runtime::{
    CallError, Client, ConnectError, DisconnectReason, Peer, SendError, Server, ServerBuilder,
    Status,
    transport::{Listener, ServiceUrl},
    wire::{Credit, Flags, FrameType, Header, Metadata, MsgId, Side, write_metadata},
};
use msip_tests::{
    LabClient, LabServer, Recorder, SeenByClient, SeenByServer, advance, at, connected,
    lab::{
        ActReq, AskReq, AskRsp, ClientToServer, CountReq, EchoReq, HandleServerToClient, Lab,
        NoteInd, SaveInd, SendClientToServer as _, SendServerToClient as _, ServerToClient,
    },
    next,
    raw::{self, RawPeer},
    recorder, soon,
};
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::{Semaphore, mpsc},
};

/// So long that it never comes.
const NEVER: Duration = Duration::from_secs(3600);

/// All the credit there can be, on top of what a connection begins with.
const ENDLESS: Credit = Credit {
    items: u32::MAX - Credit::CONNECTION_START.items,
    bytes: u32::MAX - Credit::CONNECTION_START.bytes,
};

const fn call(sequence: u64) -> MsgId {
    MsgId::exchange(Side::Connecting, sequence)
}

const fn event(sequence: u64) -> MsgId {
    MsgId::exchange(Side::Accepting, sequence)
}

fn note(len: usize) -> NoteInd {
    NoteInd {
        number: 7,
        ballast: vec![0; len],
    }
}

fn act(what: &str) -> ClientToServer {
    ClientToServer::ActReq(ActReq { what: what.into() })
}

/// A request of a raw client.
fn request(sequence: u64, message: &ClientToServer) -> Vec<u8> {
    raw::message(
        Side::Connecting,
        Flags::ACK_REQUIRED,
        call(sequence),
        message,
    )
}

fn credit(credit: Credit) -> Vec<u8> {
    raw::frame(FrameType::Credit, MsgId::CONNECTION, &credit.encode())
}

/// A live server with a well-behaved client, which shows that others are untouched.
struct Hall {
    url: ServiceUrl,
    events: mpsc::Receiver<SeenByServer>,
    bystander: Client<Lab>,
    gate: Arc<Semaphore>,
}

impl Hall {
    /// Serves; notes, and requests to wait, are handled as the gate lets them.
    async fn open(url: &str, settings: fn(ServerBuilder<Lab>) -> ServerBuilder<Lab>) -> Self {
        let server = settings(Server::builder(url)).bind().await.expect("binds");
        let url = server.local_url().clone();
        let gate = Arc::new(Semaphore::new(0));
        let (handler, mut events) = LabServer::new();
        tokio::spawn(server.serve(handler.gated(&gate)));
        // However long the others keep this thread busy, it stays.
        let bystander = Client::<Lab>::builder(url.to_string())
            .ping_interval(NEVER)
            .connect()
            .await
            .expect("connects");
        connected(&mut events).await;
        Self {
            url,
            events,
            bystander,
            gate,
        }
    }

    /// A raw client that is served.
    async fn raw(&mut self) -> (RawPeer, Peer<Lab>) {
        self.greeted(RawPeer::dial(&self.url).await).await
    }

    async fn greeted(&mut self, mut raw: RawPeer) -> (RawPeer, Peer<Lab>) {
        self.is_untouched().await;
        raw.greet().await;
        match next(&mut self.events).await {
            SeenByServer::Connected(peer) => (raw, peer),
            event => panic!("{event:?}"),
        }
    }

    fn address(&self) -> SocketAddr {
        let authority = self.url.address().authority();
        authority.parse().expect("is over TCP")
    }

    /// Connects over TCP, for a test that does things to the socket.
    async fn tcp(&self) -> TcpStream {
        let connecting = TcpStream::connect(self.address());
        soon("a connection", connecting).await.expect("connects")
    }

    async fn is_untouched(&self) {
        let request = EchoReq {
            text: "still here".into(),
            ..EchoReq::default()
        };
        let answer = soon("the bystander's answer", self.bystander.echo_req(request));
        assert_eq!(answer.await.expect("answered").text, "still here");
    }

    /// Why the raw client was disconnected; the bystander must still be there then.
    async fn reason(&mut self) -> DisconnectReason {
        let reason = loop {
            match next(&mut self.events).await {
                SeenByServer::Disconnected(reason) => break reason,
                SeenByServer::Connected(peer) => panic!("{peer:?}"),
                _ => {}
            }
        };
        self.is_untouched().await;
        reason
    }
}

/// A live client whose server is raw.
struct Guest {
    client: Client<Lab>,
    seen: mpsc::Receiver<SeenByClient>,
}

impl Guest {
    async fn enter(query: &str) -> (Self, RawPeer) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let (guest, raw, _) = Self::enter_at(listener, query, |_| {}).await;
        (guest, raw)
    }

    async fn enter_at(
        listener: TcpListener,
        query: &str,
        prepare: impl FnOnce(&TcpStream),
    ) -> (Self, RawPeer, TcpListener) {
        let address = listener.local_addr().expect("has an address");
        let url = at!(format!("tcp://{address}?{query}")).to_owned();
        let (handler, mut seen) = LabClient::new();
        let connecting = Client::<Lab>::builder(url).handler(handler).connect();
        let (client, raw) = tokio::join!(connecting, async {
            let (stream, _) = soon("a client", listener.accept()).await.expect("accepts");
            prepare(&stream);
            let mut raw = RawPeer::new(stream);
            raw.welcome().await;
            raw
        });
        let client = client.expect("connects");
        assert!(matches!(next(&mut seen).await, SeenByClient::Connected));
        (Self { client, seen }, raw, listener)
    }

    async fn reason(&mut self) -> DisconnectReason {
        loop {
            if let SeenByClient::Disconnected(reason) = next(&mut self.seen).await {
                return reason;
            }
        }
    }
}

// Peers that break off.

#[tokio::test]
async fn a_server_is_told_of_a_reset_in_the_middle_of_a_frame() {
    let mut hall = Hall::open(at!("tcp://127.0.0.1:0"), |server| server).await;
    let frame = request(2, &act("hang"));
    for len in [1, 23, 24, frame.len() - 1] {
        let stream = hall.tcp().await;
        stream.set_zero_linger().expect("sets");
        let (mut raw, _) = hall.greeted(RawPeer::new(stream)).await;
        raw.say(&frame[..len]).await;
        drop(raw);
        let reason = hall.reason().await;
        assert!(
            matches!(&reason, DisconnectReason::Transport(error) if error.kind() == std::io::ErrorKind::ConnectionReset),
            "after {len} bytes: {reason:?}"
        );
    }
}

#[tokio::test]
async fn a_reset_drops_the_handlers_of_open_calls() {
    // Where sessions are kept the handlers go on.
    let mut hall = Hall::open(at!("tcp://127.0.0.1:0"), |server| {
        server.session_expiry(Duration::ZERO)
    })
    .await;
    let stream = hall.tcp().await;
    stream.set_zero_linger().expect("sets");
    let (mut raw, peer) = hall.greeted(RawPeer::new(stream)).await;
    raw.say(&request(2, &act("hang"))).await;
    assert!(matches!(next(&mut hall.events).await, SeenByServer::Act(_)));
    let asking = tokio::spawn({
        let peer = peer.clone();
        async move { peer.ask_req(AskReq::default()).await }
    });
    raw.hear_type(FrameType::Event).await;
    drop(raw);
    let dropped = next(&mut hall.events).await;
    assert!(
        matches!(&dropped, SeenByServer::Dropped(what) if what == "hang"),
        "{dropped:?}"
    );
    assert_eq!(
        asking.await.expect("no panic"),
        Err(CallError::ConnectionLost),
        "it was sent, and may have run"
    );
    let reason = hall.reason().await;
    assert!(
        matches!(reason, DisconnectReason::Transport(_)),
        "{reason:?}"
    );
    assert_eq!(peer.note_ind(note(0)).await, Err(SendError::Closed));
}

#[tokio::test]
async fn a_client_is_told_of_a_reset_in_the_middle_of_a_frame_and_comes_back() {
    let mut listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let frame = raw::message(
        Side::Accepting,
        Flags::NONE,
        event(2),
        &ServerToClient::NoteInd(note(100)),
    );
    for len in [1, 23, 24, frame.len() - 1] {
        let (mut guest, mut raw, again) =
            Guest::enter_at(listener, "reconnect_min=1ms", |stream| {
                stream.set_zero_linger().expect("sets");
            })
            .await;
        listener = again;
        raw.say(&frame[..len]).await;
        drop(raw);
        let reason = guest.reason().await;
        assert!(
            matches!(reason, DisconnectReason::Transport(_)),
            "after {len} bytes: {reason:?}"
        );
        let (stream, _) = soon("the client", listener.accept())
            .await
            .expect("accepts");
        let mut raw = RawPeer::new(stream);
        raw.welcome().await;
        assert!(matches!(
            next(&mut guest.seen).await,
            SeenByClient::Connected
        ));
        raw.say(&frame).await;
        assert!(matches!(next(&mut guest.seen).await, SeenByClient::Note(7)));
        let (closed, ()) = tokio::join!(guest.client.close(), raw.leave());
        let () = closed;
    }
}

// Peers that fall silent.

/// How often pings are sent here: with time to spare for a test that stands still between them.
const INTERVAL: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_client_that_never_pongs_is_declared_dead() {
    let mut hall = Hall::open(at!("tcp://127.0.0.1:0"), |server| {
        server.ping_interval(INTERVAL)
    })
    .await;
    let (mut raw, _) = hall.raw().await;
    advance(INTERVAL).await;
    raw.hear_type(FrameType::Ping).await;
    advance(INTERVAL).await;
    assert_eq!(raw.hear_to_the_end().await, Vec::<String>::new());
    let reason = hall.reason().await;
    assert!(
        matches!(reason, DisconnectReason::KeepaliveTimeout { silence } if silence >= 2 * INTERVAL),
        "{reason:?}"
    );
}

#[tokio::test]
async fn a_client_that_says_anything_lives_though_it_never_pongs() {
    let mut hall = Hall::open(at!("tcp://127.0.0.1:0"), |server| {
        server.ping_interval(INTERVAL)
    })
    .await;
    let (mut raw, _) = hall.raw().await;
    // It answers each ping with a message, for twice as long as silence would be death.
    for ping in 0..4 {
        advance(INTERVAL).await;
        raw.hear_type(FrameType::Ping).await;
        raw.say(&raw::message(
            Side::Connecting,
            Flags::NONE,
            call(2 + ping),
            &ClientToServer::TickInd,
        ))
        .await;
        assert!(matches!(next(&mut hall.events).await, SeenByServer::Tick));
    }
}

#[tokio::test]
async fn a_server_that_never_pongs_is_declared_dead() {
    let (mut guest, mut raw) = Guest::enter("ping_interval=20s").await;
    advance(INTERVAL).await;
    raw.hear_type(FrameType::Ping).await;
    advance(INTERVAL).await;
    raw.hear_to_the_end().await;
    let reason = guest.reason().await;
    assert!(
        matches!(reason, DisconnectReason::KeepaliveTimeout { .. }),
        "{reason:?}"
    );
}

// The clock goes on by itself where everyone waits, so that no second is spent on it.
#[tokio::test(start_paused = true)]
async fn a_frame_that_is_begun_must_be_finished() {
    let mut hall = Hall::open(at!("mem://never-finished"), |server| {
        server.ping_interval(NEVER)
    })
    .await;
    let (mut raw, _) = hall.raw().await;
    let frame = request(2, &act("hang"));
    let begun = tokio::time::Instant::now();
    raw.say(&frame[..30]).await;
    let rule = format!("a frame of {} bytes was not complete in time", frame.len());
    assert_eq!(
        raw.hear_to_the_end().await,
        [
            format!("ERROR connection: RESOURCE_EXHAUSTED: {rule}"),
            format!("CLOSE connection: RESOURCE_EXHAUSTED: {rule}")
        ]
    );
    let lasted = begun.elapsed();
    assert!((30..32).contains(&lasted.as_secs()), "{lasted:?}");
    drop(raw);
    assert_eq!(
        hall.reason().await.to_string(),
        format!("protocol error: {rule}")
    );
}

#[tokio::test(start_paused = true)]
async fn a_frame_that_comes_byte_by_byte_has_its_time_but_no_more() {
    let mut hall = Hall::open(at!("mem://a-byte-a-second"), |server| server).await;
    let (mut raw, _) = hall.raw().await;
    // 160 KiB at the rate that is asked for: ten seconds more than a small frame has.
    let frame = request(
        2,
        &ClientToServer::EchoReq(EchoReq {
            text: String::new(),
            ballast: vec![0; 160 * 1024],
        }),
    );
    let begun = tokio::time::Instant::now();
    // Each byte is life, so that it is the frame's own limit that ends this.
    let trickle = async {
        for chunk in frame.chunks(4096) {
            if begun.elapsed() > Duration::from_secs(35) {
                break;
            }
            raw.say(chunk).await;
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        raw.hear_to_the_end().await
    };
    let heard = tokio::time::timeout(Duration::from_secs(600), trickle)
        .await
        .expect("ends");
    assert_eq!(heard.len(), 2, "{heard:?}");
    let lasted = begun.elapsed().as_secs();
    assert!((40..43).contains(&lasted), "{lasted} s");
    drop(raw);
    let reason = hall.reason().await;
    assert!(
        matches!(reason, DisconnectReason::Protocol { .. }),
        "{reason:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_hello_of_one_byte_a_second_is_too_slow() {
    let mut hall = Hall::open(at!("mem://a-slow-hello"), |server| server).await;
    let mut raw = RawPeer::dial(&hall.url).await;
    let begun = tokio::time::Instant::now();
    for byte in &raw::hello_frame(&raw::hello())[..10] {
        raw.say(&[*byte]).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(raw.hear_to_the_end().await, Vec::<String>::new());
    assert!(begun.elapsed() < Duration::from_secs(11));
    hall.is_untouched().await;
    assert!(hall.events.try_recv().is_err(), "the handler saw nobody");
}

// Peers that do not read.

#[tokio::test]
async fn a_client_that_does_not_read_messages_is_cut_off() {
    let mut hall = Hall::open(at!("tcp://127.0.0.1:0"), |server| {
        server
            .write_timeout(Duration::from_millis(200))
            .ping_interval(NEVER)
    })
    .await;
    let (mut raw, peer) = hall.raw().await;
    raw.say(&credit(ENDLESS)).await;
    let flood = tokio::spawn(async move {
        // Full is said while it lives, and something else once it does not.
        loop {
            match peer.note_ind(note(64 * 1024)).await {
                Ok(()) | Err(SendError::Full) => {}
                Err(error) => break error,
            }
        }
    });
    let reason = hall.reason().await;
    assert!(
        matches!(reason, DisconnectReason::WriteStalled { stalled } if stalled >= Duration::from_millis(200)),
        "{reason:?}"
    );
    let error = soon("the sender", flood).await.expect("no panic");
    assert!(
        matches!(error, SendError::Closed | SendError::Disconnected),
        "{error}"
    );
}

#[tokio::test]
async fn a_client_that_does_not_read_its_answers_is_cut_off() {
    let mut hall = Hall::open(at!("tcp://127.0.0.1:0"), |server| {
        server
            .write_timeout(Duration::from_millis(200))
            .ping_interval(NEVER)
    })
    .await;
    let (mut raw, _) = hall.raw().await;
    let echo = ClientToServer::EchoReq(EchoReq {
        text: String::new(),
        ballast: vec![0; 1 << 20],
    });
    let asking = tokio::spawn(async move {
        // What the server no longer reads stops it, until the connection breaks.
        for sequence in 2..200 {
            raw.say(&request(sequence, &echo)).await;
        }
        raw
    });
    let reason = hall.reason().await;
    assert!(
        matches!(reason, DisconnectReason::WriteStalled { .. }),
        "{reason:?}"
    );
    soon("the raw client", asking).await.expect("no panic");
}

#[tokio::test]
async fn a_broadcast_does_not_wait_for_a_client_that_does_not_read() {
    let limit = Duration::from_secs(10);
    let mut hall = Hall::open(at!("tcp://127.0.0.1:0"), |server| {
        server
            .write_timeout(Duration::from_secs(10))
            .ping_interval(NEVER)
    })
    .await;
    let socket = TcpSocket::new_v4().expect("has sockets");
    socket.set_recv_buffer_size(4096).expect("sets");
    let stream = socket.connect(hall.address()).await.expect("connects");
    let (mut raw, peer) = hall.greeted(RawPeer::new(stream)).await;
    raw.say(&credit(ENDLESS)).await;
    let everyone = peer.everyone();
    let mut others = Vec::new();
    let saying = async {
        loop {
            use msip_tests::lab::BroadcastServerToClient as _;
            let taken = everyone.note_ind(note(32 * 1024));
            others.push(taken);
            if taken == 0 || peer.try_note_ind(note(0)) == Err(SendError::Disconnected) {
                break;
            }
            // The bystander reads, and gives credit for what it has read.
            hall.bystander
                .echo_req(EchoReq::default())
                .await
                .expect("untouched");
            // By now the slow one's connection is full, and its time goes on.
            if others.len() % 32 == 0 {
                advance(limit).await;
            }
        }
    };
    soon("the slow client is cut off", saying).await;
    assert!(
        others.iter().filter(|taken| **taken > 0).count() > 8,
        "the bystander was served all the while: {others:?}"
    );
    let reason = hall.reason().await;
    assert!(
        matches!(reason, DisconnectReason::WriteStalled { .. }),
        "{reason:?}"
    );
}

#[tokio::test]
async fn a_server_that_does_not_read_is_left() {
    let (mut guest, mut raw) = Guest::enter("write_timeout=200ms&ping_interval=1h").await;
    raw.say(&credit(ENDLESS)).await;
    let flood = tokio::spawn({
        let client = guest.client.clone();
        async move {
            loop {
                match client.note_ind(note(64 * 1024)).await {
                    Ok(()) | Err(SendError::Full) => {}
                    Err(error) => break error,
                }
            }
        }
    });
    let reason = guest.reason().await;
    assert!(
        matches!(reason, DisconnectReason::WriteStalled { .. }),
        "{reason:?}"
    );
    let error = soon("the sender", flood).await.expect("no panic");
    assert_eq!(error, SendError::Disconnected);
    drop(raw);
}

// Peers that want too much.

#[tokio::test]
async fn one_client_too_many_is_told_so() {
    let mut hall = Hall::open(at!("tcp://127.0.0.1:0"), |server| server.max_connections(1)).await;
    let text =
        "RESOURCE_EXHAUSTED: too many connections: this server takes 1 at once, try again later";
    let mut raw = RawPeer::dial(&hall.url).await;
    raw.say(&raw::hello_frame(&raw::hello())).await;
    assert_eq!(
        raw.hear_to_the_end().await,
        [format!("ERROR {}: {text}", raw::HELLO_ID)]
    );
    drop(raw);
    match Client::<Lab>::connect(hall.url.to_string()).await {
        Err(ConnectError::Refused { status, .. }) => assert_eq!(status.to_string(), text),
        outcome => panic!("{outcome:?}"),
    }
    hall.is_untouched().await;
    // There is capacity again once the first has left.
    soon("close", hall.bystander.close()).await;
    assert!(matches!(
        next(&mut hall.events).await,
        SeenByServer::Disconnected(_)
    ));
    let again = async {
        while Client::<Lab>::connect(hall.url.to_string()).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    soon("room", again).await;
}

#[tokio::test]
async fn calls_beyond_the_most_are_answered_and_the_rest_goes_on() {
    let mut hall = Hall::open(at!("tcp://127.0.0.1:0"), |server| server.max_calls(4)).await;
    let (mut raw, _) = hall.raw().await;
    let calls: Vec<u8> = (2..12)
        .flat_map(|sequence| request(sequence, &act("wait")))
        .collect();
    raw.say(&calls).await;
    for sequence in 6..12 {
        let error = raw.hear_type(FrameType::Error).await;
        assert_eq!(error.header.msg_id, call(sequence));
        assert_eq!(
            raw::text(&error.payload),
            "RESOURCE_EXHAUSTED: too many open calls: 4 (max_calls)"
        );
    }
    hall.is_untouched().await;
    hall.gate.add_permits(4);
    let mut answered = Vec::new();
    for _ in 2..6 {
        answered.push(raw.hear_type(FrameType::Ack).await.header.msg_id.sequence());
    }
    answered.sort_unstable();
    assert_eq!(answered, [2, 3, 4, 5]);
    raw.say(&request(12, &ClientToServer::EchoReq(EchoReq::default())))
        .await;
    assert_eq!(
        raw.hear_type(FrameType::Ack).await.header.msg_id,
        call(12),
        "there is room again"
    );
    raw.leave().await;
    assert!(matches!(
        hall.reason().await,
        DisconnectReason::ClosedByPeer(_)
    ));
}

#[tokio::test]
async fn requests_beyond_the_most_bytes_are_answered_and_the_rest_goes_on() {
    let mut hall = Hall::open(at!("tcp://127.0.0.1:0"), |server| {
        server.max_call_bytes(1024)
    })
    .await;
    let (mut raw, _) = hall.raw().await;
    let large = act(&"w".repeat(2000));
    raw.say(&[request(2, &act("wait")), request(3, &large)].concat())
        .await;
    let error = raw.hear_type(FrameType::Error).await;
    assert_eq!(error.header.msg_id, call(3));
    assert_eq!(
        raw::text(&error.payload),
        "RESOURCE_EXHAUSTED: the requests of open calls are too large: 1024 bytes (max_call_bytes)"
    );
    hall.gate.add_permits(1);
    assert_eq!(raw.hear_type(FrameType::Ack).await.header.msg_id, call(2));
    hall.is_untouched().await;
}

#[tokio::test]
async fn a_call_whose_time_is_up_before_it_begins_is_answered() {
    let mut hall = Hall::open(at!("tcp://127.0.0.1:0"), |server| server).await;
    let (mut raw, _) = hall.raw().await;
    let mut payload = Vec::new();
    let metadata = Metadata {
        deadline_ms: Some(0),
        ..Metadata::default()
    };
    write_metadata(&mut payload, &metadata, 100).expect("fits");
    payload.extend_from_slice(&[0, 0]);
    payload.extend_from_slice(&raw::body(&act("hang")));
    let header = Header {
        flags: Flags::ACK_REQUIRED | Flags::META,
        kind: raw::kind(&act("hang")),
        variant: raw::variant(&act("hang")),
        ..Header::control(FrameType::Publish, call(2))
    };
    raw.say(&raw::frame_of(header, &payload)).await;
    let error = raw.hear_type(FrameType::Error).await;
    assert_eq!(
        raw::text(&error.payload),
        "DEADLINE_EXCEEDED: the handler did not answer in time"
    );
    hall.is_untouched().await;
}

#[tokio::test]
async fn a_thousand_pings_at_once_are_a_burst_and_no_flood() {
    let mut hall = Hall::open(at!("tcp://127.0.0.1:0"), |server| {
        server.ping_interval(NEVER)
    })
    .await;
    let (mut raw, _) = hall.raw().await;
    let pings: Vec<u8> = (2..1002)
        .flat_map(|sequence| raw::frame(FrameType::Ping, call(sequence), b"12345"))
        .collect();
    raw.say(&pings).await;
    raw.say(&request(5000, &ClientToServer::EchoReq(EchoReq::default())))
        .await;
    let mut pongs = 0;
    loop {
        let frame = raw.hear().await.expect("goes on");
        match frame.header.frame_type {
            FrameType::Pong => {
                assert_eq!(&frame.payload[..], b"12345");
                pongs += 1;
            }
            FrameType::Ack => break,
            frame_type => panic!("{frame_type}"),
        }
    }
    assert!(
        (16..=1000).contains(&pongs),
        "{pongs}: those that wait are at most 16, and all of those are answered"
    );
    raw.leave().await;
    assert!(matches!(
        hall.reason().await,
        DisconnectReason::ClosedByPeer(_)
    ));
}

#[tokio::test]
async fn a_client_may_grant_credit_for_answers_that_have_not_begun() {
    let mut hall = Hall::open(at!("tcp://127.0.0.1:0"), |server| server).await;
    let (mut raw, _) = hall.raw().await;
    let granted = Credit {
        items: 1000,
        bytes: 1024 * 1024,
    };
    let mut frames = Vec::new();
    // In one write, so that the calls and their credit are read before any handler begins.
    for sequence in 2..52 {
        let count = CountReq {
            from: 20,
            ..CountReq::default()
        };
        frames.extend(request(sequence, &ClientToServer::CountReq(count)));
        frames.extend(raw::frame(
            FrameType::Credit,
            call(sequence),
            &granted.encode(),
        ));
    }
    raw.say(&frames).await;
    let all = usize::try_from(granted.items + Credit::STREAM_START.items).expect("small");
    let mut heard = BTreeMap::new();
    while heard.len() < 50 || heard.values().any(|&items| items < all) {
        let item = raw.hear_type(FrameType::Ack).await;
        *heard.entry(item.header.msg_id).or_insert(0) += 1;
    }
    assert_eq!(heard.into_values().max(), Some(all), "and not one more");
    raw.leave().await;
    assert!(matches!(
        hall.reason().await,
        DisconnectReason::ClosedByPeer(_)
    ));
}

const BEYOND: &str = "a message beyond the credit that was granted";

#[tokio::test]
async fn a_client_that_sends_more_than_its_credit_is_cut_off() {
    let notes = |count: u64, len: usize| -> Vec<u8> {
        (0..count)
            .flat_map(|index| {
                let note = ClientToServer::NoteInd(note(len));
                raw::message(Side::Connecting, Flags::NONE, call(2 + index), &note)
            })
            .collect()
    };
    for (name, bytes, last) in [
        ("1,025 messages", notes(1025, 0), 1026),
        ("three messages of 600 KiB", notes(3, 600 * 1024), 4),
    ] {
        let mut hall = Hall::open(at!("tcp://127.0.0.1:0"), |server| server).await;
        let (mut raw, _) = hall.raw().await;
        raw.say(&bytes).await;
        assert_eq!(
            raw.hear_to_the_end().await,
            [
                format!("ERROR c{last}: RESOURCE_EXHAUSTED: {BEYOND}"),
                format!("CLOSE connection: RESOURCE_EXHAUSTED: {BEYOND}")
            ],
            "{name}"
        );
        drop(raw);
        hall.gate.add_permits(2000);
        assert_eq!(
            hall.reason().await.to_string(),
            format!("protocol error: {BEYOND}"),
            "{name}"
        );
    }
}

/// A client's handler that handles notes as a gate lets it.
struct Gated {
    gate: Arc<Semaphore>,
    disconnected: Recorder<DisconnectReason>,
}

impl HandleServerToClient for Gated {
    async fn on_note_ind(&self, _: &Client<Lab>, _: NoteInd) {
        if let Ok(permit) = self.gate.acquire().await {
            permit.forget();
        }
    }

    async fn on_save_ind(&self, _: &Client<Lab>, _: SaveInd) -> Result<(), Status> {
        Ok(())
    }

    async fn on_ask_req(&self, _: &Client<Lab>, _: AskReq) -> Result<AskRsp, Status> {
        Ok(AskRsp::default())
    }

    async fn on_disconnected(&self, _: &Client<Lab>, reason: DisconnectReason) {
        self.disconnected.record(reason);
    }
}

#[tokio::test]
async fn a_server_that_sends_more_than_its_credit_is_left() {
    let address = ServiceUrl::parse(at!("tcp://127.0.0.1:0")).expect("an address");
    let listener = Listener::bind(&address).await.expect("binds");
    let gate = Arc::new(Semaphore::new(0));
    let (disconnected, mut reasons) = recorder();
    let handler = Gated {
        gate: Arc::clone(&gate),
        disconnected,
    };
    let connecting = Client::<Lab>::builder(listener.local_url().to_string())
        .handler(handler)
        .connect();
    let (client, mut raw) = tokio::join!(connecting, async {
        let mut raw = RawPeer::accept(&listener).await;
        raw.welcome().await;
        raw
    });
    let _client = client.expect("connects");
    let notes: Vec<u8> = (0..1025)
        .flat_map(|index| {
            let note = ServerToClient::NoteInd(note(0));
            raw::message(Side::Accepting, Flags::NONE, event(1 + index), &note)
        })
        .collect();
    raw.say(&notes).await;
    assert_eq!(
        raw.hear_to_the_end().await,
        [
            format!("ERROR s1025: RESOURCE_EXHAUSTED: {BEYOND}"),
            format!("CLOSE connection: RESOURCE_EXHAUSTED: {BEYOND}")
        ]
    );
    drop(raw);
    gate.add_permits(2000);
    let reason = soon("the reason", reasons.recv()).await.expect("lives");
    assert_eq!(reason.to_string(), format!("protocol error: {BEYOND}"));
}
