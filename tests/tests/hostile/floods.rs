//! Floods of what is cheap to send and costs the peer something: each ends its own connection, whether its
//! sender reads or not, and no other. And frames that come too early, too late or twice, which end nothing.

use std::time::Duration;

use msip_runtime::{
    Client, DisconnectReason, Peer, SendError, Server, ServerBuilder,
    transport::{Listener, ServiceUrl},
    wire::{Credit, Flags, FrameType, Header, Hello, MsgId, Side},
};
use msip_tests::{
    LabServer, SeenByServer, at,
    lab::{
        ActReq, ClientToServer, CountReq, EchoReq, Lab, NoteInd, SaveInd, SendClientToServer as _,
        SumReq,
    },
    raw::{self, RawPeer},
    soon,
};
use tokio::sync::mpsc;

/// So long that nothing in a test comes by it.
const NEVER: Duration = Duration::from_secs(3600);

const NUISANCE: &str = "more than 200 pings, stray answers and malformed messages a second";

const UNREADABLE: &str = "more than 200 unreadable messages a second";

const UNEARNED: &str = "more than 200 CREDITs beyond one for each message a second";

const fn call(sequence: u64) -> MsgId {
    MsgId::exchange(Side::Connecting, sequence)
}

const fn delivery(sequence: u64) -> MsgId {
    MsgId::delivery(Side::Connecting, sequence)
}

fn say(flags: Flags, id: MsgId, message: &ClientToServer) -> Vec<u8> {
    raw::message(Side::Connecting, flags, id, message)
}

fn act(what: &str) -> ClientToServer {
    ClientToServer::ActReq(ActReq { what: what.into() })
}

fn sum(number: u64) -> ClientToServer {
    ClientToServer::SumReq(SumReq { number })
}

fn save(number: u64) -> ClientToServer {
    ClientToServer::SaveInd(SaveInd { number })
}

fn echo(text: &str) -> ClientToServer {
    let text = text.to_owned();
    let ballast = Vec::new();
    ClientToServer::EchoReq(EchoReq { text, ballast })
}

fn control(frame_type: FrameType, id: MsgId) -> Vec<u8> {
    raw::frame(frame_type, id, b"")
}

fn credit(id: MsgId, items: u32, bytes: u32) -> Vec<u8> {
    raw::frame(FrameType::Credit, id, &Credit { items, bytes }.encode())
}

/// An item of a request stream that holds nothing.
fn empty_item(id: MsgId) -> Vec<u8> {
    let header = Header {
        flags: Flags::ITEM | Flags::MORE,
        ..Header::control(FrameType::Publish, id)
    };
    raw::frame_of(header, &[0, 0])
}

/// A live server with a well-behaved client, which shows that others are untouched.
struct Hall {
    url: ServiceUrl,
    events: mpsc::Receiver<SeenByServer>,
    bystander: Client<Lab>,
}

impl Hall {
    async fn open(settings: fn(ServerBuilder<Lab>) -> ServerBuilder<Lab>) -> Self {
        let server = Server::<Lab>::builder(at!("tcp://127.0.0.1:0")).ping_interval(NEVER);
        let server = settings(server).bind().await.expect("binds");
        let url = server.local_url().clone();
        let (handler, mut events) = LabServer::new();
        tokio::spawn(server.serve(handler));
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
        }
    }

    async fn raw(&mut self) -> (RawPeer, Peer<Lab>) {
        let mut raw = RawPeer::dial(&self.url).await;
        raw.greet().await;
        (raw, connected(&mut self.events).await)
    }

    async fn is_untouched(&self) {
        let answer = self.bystander.echo_req(EchoReq::default());
        soon("the bystander's answer", answer)
            .await
            .expect("answered");
    }

    /// Why the raw client was disconnected.
    async fn reason(&mut self) -> DisconnectReason {
        loop {
            match soon("an event", self.events.recv()).await.expect("lives") {
                SeenByServer::Disconnected(reason) => return reason,
                SeenByServer::Connected(peer) => panic!("{peer:?}"),
                _ => {}
            }
        }
    }
}

async fn connected(events: &mut mpsc::Receiver<SeenByServer>) -> Peer<Lab> {
    match soon("a client", events.recv()).await.expect("lives") {
        SeenByServer::Connected(peer) => peer,
        event => panic!("{event:?}"),
    }
}

/// What a client floods a server with, and the rule that ends it.
struct Flood {
    name: &'static str,
    /// Said once, before.
    opening: Vec<u8>,
    /// The n-th piece of the flood.
    piece: fn(u64) -> Vec<u8>,
    count: u64,
    rule: &'static str,
}

fn floods() -> Vec<Flood> {
    let flood = |name, piece, count, rule| Flood {
        name,
        opening: Vec::new(),
        piece,
        count,
        rule,
    };
    let ack = Flags::ACK_REQUIRED;
    let stream = Flags::ACK_REQUIRED | Flags::MORE;
    let counting = ClientToServer::CountReq(CountReq::default());
    let beyond_credit = "an item of a stream beyond the credit that was granted";
    vec![
        flood(
            "a call that is cancelled at once",
            |n| {
                let id = call(n + 2);
                let opener = say(Flags::ACK_REQUIRED, id, &act("hang"));
                [opener, control(FrameType::Cancel, id)].concat()
            },
            100_000,
            "more than 1000 calls cancelled a second",
        ),
        flood(
            "a call beyond the most",
            |n| say(Flags::ACK_REQUIRED, call(n + 2), &act("hang")),
            100_000,
            NUISANCE,
        ),
        flood(
            "a call that cannot be read",
            |n| {
                let header = Header {
                    flags: Flags::ACK_REQUIRED,
                    ..Header::control(FrameType::Publish, call(n + 2))
                };
                raw::frame_of(header, &[0xff])
            },
            100_000,
            NUISANCE,
        ),
        flood(
            "SUBSCRIBE",
            |n| raw::frame(FrameType::Subscribe, call(n + 2), b"a/b"),
            1_000_000,
            NUISANCE,
        ),
        flood(
            "a ping that nobody reads the answer of",
            |n| raw::frame(FrameType::Ping, call(n + 2), &[0; 1000]),
            10_000,
            NUISANCE,
        ),
        flood(
            "a pong that nobody asked for",
            |n| control(FrameType::Pong, call(n + 2)),
            10_000,
            NUISANCE,
        ),
        flood(
            "a delivery that came before and was not lost",
            |_| say(Flags::ACK_REQUIRED, delivery(1), &save(1)),
            100_000,
            NUISANCE,
        ),
        flood(
            "a call that its own schema does not have",
            |n| {
                let header = Header {
                    flags: Flags::ACK_REQUIRED,
                    variant: 99,
                    kind: raw::kind(&act("")),
                    ..Header::control(FrameType::Publish, call(n + 2))
                };
                raw::frame_of(header, &[0, 0, 1])
            },
            100_000,
            UNREADABLE,
        ),
        flood(
            "a call with a body that cannot be read",
            |n| {
                let header = Header {
                    flags: Flags::ACK_REQUIRED,
                    variant: raw::variant(&act("")),
                    kind: raw::kind(&act("")),
                    ..Header::control(FrameType::Publish, call(n + 2))
                };
                raw::frame_of(header, &[0, 0, 0x32, 9, 1])
            },
            100_000,
            UNREADABLE,
        ),
        flood(
            "CREDIT for messages that were not sent",
            |_| credit(MsgId::CONNECTION, 1, 1),
            100_000,
            UNEARNED,
        ),
        Flood {
            opening: say(ack, call(2), &counting),
            ..flood(
                "CREDIT for items that were not sent",
                |_| credit(call(2), 1, 1),
                100_000,
                UNEARNED,
            )
        },
        flood(
            "an ERROR of the connection",
            |_| raw::frame(FrameType::Error, MsgId::CONNECTION, b"INTERNAL: why"),
            100_000,
            "more than 200 ERRORs and CLOSEs of a connection a second",
        ),
        Flood {
            opening: say(stream, call(2), &sum(1)),
            ..flood(
                "an empty item",
                |_| empty_item(call(2)),
                1_000_000,
                beyond_credit,
            )
        },
        Flood {
            opening: say(stream, call(2), &sum(1)),
            ..flood(
                "an item beyond the credit of its stream",
                |_| say(Flags::ITEM | Flags::MORE, call(2), &sum(1)),
                1000,
                beyond_credit,
            )
        },
        Flood {
            opening: say(ack, call(2), &counting),
            ..flood(
                "a CREDIT of nothing for a stream",
                |_| credit(call(2), 0, 0),
                1,
                "a CREDIT of 0 items and 0 bytes adds nothing",
            )
        },
        Flood {
            opening: say(ack, call(2), &counting),
            ..flood(
                "a CREDIT beyond the largest window of a stream",
                |_| credit(call(2), u32::MAX, 0),
                2,
                "a CREDIT that makes the window larger than 4294967295",
            )
        },
    ]
}

#[tokio::test]
async fn a_flood_ends_its_connection_and_no_other() {
    // More than one read holds, so that what is cancelled has begun.
    let mut hall = Hall::open(|server| server.max_calls(32_768)).await;
    for flood in floods() {
        let _case = raw::Playing(flood.name);
        let (mut raw, peer) = hall.raw().await;
        raw.say(&flood.opening).await;
        if !flood.opening.is_empty() {
            // The stream is open, and is stalled: nothing gives it credit.
            hall.is_untouched().await;
        }
        let mut bytes = Vec::new();
        for n in 0..flood.count {
            bytes.extend((flood.piece)(n));
            if bytes.len() > 1 << 20 || n + 1 == flood.count {
                raw.say(&bytes).await;
                bytes.clear();
            }
        }
        // Not a byte was read so far.
        match hall.reason().await {
            DisconnectReason::Protocol { rule } => assert_eq!(rule, flood.rule),
            reason => panic!("{reason:?}"),
        }
        assert!(peer.connection().queued() < 1 << 20, "{peer:?}");
        hall.is_untouched().await;
        assert!(!peer.connection().is_open());
    }
}

/// Sends so many calls, and reads all of their answers.
async fn call_many(raw: &mut RawPeer, count: u64, call_of: impl Fn(MsgId) -> Vec<u8>) {
    const AT_ONCE: u64 = 500;
    for first in (0..count).step_by(AT_ONCE as usize) {
        let ids = first + 2..first + 2 + AT_ONCE;
        let calls: Vec<_> = ids.clone().flat_map(|n| call_of(call(n))).collect();
        raw.say(&calls).await;
        for _ in ids {
            raw.hear_type(FrameType::Error).await;
        }
    }
}

#[tokio::test]
async fn a_newer_client_and_errors_of_handlers_are_no_flood() {
    let mut hall = Hall::open(|server| server).await;
    // A newer release, of which each call is one that the server does not know.
    let newer = Hello {
        fingerprint: 1,
        ..raw::hello()
    };
    let mut raw = RawPeer::dial(&hall.url).await;
    raw.greet_with(&newer).await;
    let peer = connected(&mut hall.events).await;
    call_many(&mut raw, 20_000, |id| {
        let header = Header {
            flags: Flags::ACK_REQUIRED,
            variant: 99,
            kind: raw::kind(&act("")),
            ..Header::control(FrameType::Publish, id)
        };
        raw::frame_of(header, &[0, 0, 1])
    })
    .await;
    assert!(peer.connection().is_open());
    raw.leave().await;
    hall.reason().await;
    // The same release, with calls that its handler refuses.
    let (mut raw, peer) = hall.raw().await;
    call_many(&mut raw, 20_000, |id| {
        say(Flags::ACK_REQUIRED, id, &act("fail"))
    })
    .await;
    assert!(peer.connection().is_open());
    raw.leave().await;
}

#[tokio::test]
async fn errors_that_are_provoked_and_not_read_wait_within_the_queue() {
    const QUEUE: usize = 64 * 1024;
    let mut hall = Hall::open(|server| {
        server
            .outgoing_queue(QUEUE)
            .max_calls(32_768)
            .write_timeout(Duration::from_millis(200))
    })
    .await;
    let (mut raw, peer) = hall.raw().await;
    // The handler's own errors: each a good call, with an answer that is larger than the request.
    let provoking = tokio::spawn(async move {
        for chunk in 0..1000 {
            let calls: Vec<u8> = (0..1000)
                .flat_map(|n| {
                    say(
                        Flags::ACK_REQUIRED,
                        call(chunk * 1000 + n + 2),
                        &act("fail"),
                    )
                })
                .collect();
            raw.say(&calls).await;
        }
        raw
    });
    let mut most = 0;
    let reason = loop {
        match soon("an event", hall.events.recv()).await.expect("lives") {
            SeenByServer::Disconnected(reason) => break reason,
            _ => most = most.max(peer.connection().queued()),
        }
    };
    assert!(
        matches!(reason, DisconnectReason::WriteStalled { .. }),
        "{reason:?}"
    );
    // What one read holds is answered before the queue is looked at again.
    assert!(most > QUEUE / 2 && most < QUEUE + (1 << 20), "{most}");
    soon("the provoker", provoking).await.expect("no panic");
    hall.is_untouched().await;
}

#[tokio::test]
async fn frames_that_come_too_early_too_late_or_twice_end_nothing() {
    let mut hall = Hall::open(|server| server).await;
    let (mut raw, _) = hall.raw().await;
    let stream = Flags::ACK_REQUIRED | Flags::MORE;
    let item = Flags::ITEM | Flags::MORE;
    // The tail of a stream that was refused at its first item, and its end.
    raw.say(&say(stream, call(2), &sum(13))).await;
    let refused = raw.hear_type(FrameType::Error).await;
    assert_eq!(refused.header.msg_id, call(2));
    let tail = [
        say(item, call(2), &sum(1)).repeat(30),
        credit(call(2), 1, 1),
        say(Flags::ITEM, call(2), &sum(1)),
        control(FrameType::Cancel, call(2)),
    ];
    raw.say(&tail.concat()).await;
    // Ahead of what opens the exchange.
    let early = [
        control(FrameType::Cancel, call(3)),
        credit(call(3), 1000, 1000),
        say(item, call(3), &sum(5)),
        say(stream, call(3), &sum(1)),
        say(item, call(3), &sum(2)),
        say(Flags::ITEM, call(3), &sum(3)),
    ];
    raw.say(&early.concat()).await;
    let (heard, answer) = raw.hear_until(call(3)).await;
    assert_eq!(heard, Vec::<String>::new(), "nothing is said of all that");
    let answer = answer.expect("goes on");
    assert_eq!(answer.header.frame_type, FrameType::Ack);
    assert_eq!(answer.payload[..], [0x3a, 2, 8, 6], "1 + 2 + 3");
    // A call twice under one id: its sender gets two answers.
    raw.say(&say(Flags::ACK_REQUIRED, call(4), &echo("a")).repeat(2))
        .await;
    for _ in 0..2 {
        let (_, answer) = raw.hear_until(call(4)).await;
        assert_eq!(answer.expect("goes on").header.frame_type, FrameType::Ack);
    }
    // A delivery again and again is handled once: while its handler runs nothing is said, and then what was said first.
    let again = say(Flags::ACK_REQUIRED, delivery(1), &save(7));
    for bytes in [again.repeat(2), again] {
        raw.say(&bytes).await;
        let (heard, answer) = raw.hear_until(delivery(1)).await;
        assert_eq!(heard, Vec::<String>::new());
        assert_eq!(answer.expect("goes on").header.frame_type, FrameType::Ack);
    }
    raw.leave().await;
    let mut saved = 0;
    loop {
        match soon("an event", hall.events.recv()).await.expect("lives") {
            SeenByServer::Save(number) => saved += number,
            SeenByServer::Disconnected(_) => break,
            _ => {}
        }
    }
    assert_eq!(saved, 7);
}

#[tokio::test]
async fn a_second_or_late_acknowledgment_adds_nothing() {
    let url = at!("tcp://127.0.0.1:0").parse().expect("a URL");
    let listener = Listener::bind(&url).await.expect("binds");
    let url = listener.local_url();
    let connecting = Client::<Lab>::connect(format!("{url}?ping_interval=1h"));
    let (client, mut raw) = tokio::join!(connecting, async {
        let mut raw = RawPeer::accept(&listener).await;
        raw.welcome().await;
        raw
    });
    let client = client.expect("connects");
    let send = |number| {
        let client = client.clone();
        tokio::spawn(async move { client.save_ind(SaveInd { number }).await })
    };
    let ack = |sequence| control(FrameType::Ack, delivery(sequence));
    let first = send(1);
    raw.hear_type(FrameType::Publish).await;
    raw.say(&ack(1).repeat(2)).await;
    soon("acknowledged", first)
        .await
        .expect("no panic")
        .expect("handled");
    // A late one of the earlier delivery does not speak for the one that waits.
    let second = send(2);
    raw.hear_type(FrameType::Publish).await;
    let error = raw::frame(FrameType::Error, delivery(1), b"ABORTED: no");
    raw.say(&[ack(1), error, ack(3), ack(1)].concat()).await;
    soon("an answer", async {
        // The client has read all that once it answers what came behind.
        raw.say(&control(
            FrameType::Ping,
            MsgId::exchange(Side::Accepting, 1),
        ))
        .await;
        raw.hear_type(FrameType::Pong).await;
    })
    .await;
    assert!(!second.is_finished(), "nobody has acknowledged it");
    assert_eq!(client.connection().ignored(), 5);
    raw.say(&ack(2)).await;
    soon("acknowledged", second)
        .await
        .expect("no panic")
        .expect("handled");
    // Nor is any of them credit: what the window began with is what there is.
    let mut sent = 2;
    while client.try_note_ind(NoteInd::default()) == Ok(()) {
        sent += 1;
        assert!(sent <= 1024, "more than the window");
    }
    assert_eq!(sent, 1024);
    assert_eq!(
        client.try_note_ind(NoteInd::default()),
        Err(SendError::Full)
    );
}
