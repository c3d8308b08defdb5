//! The memory limit of a server, over all queues and sessions, and what happens at the limit.

use std::{sync::Arc, time::Duration};

use msip_runtime::{
    CallError, CallOptions, Client, Code, DrainReport, MemoryUse, Peer, SendError, Server,
    bytes::Buf as _,
    prost::Message as _,
    transport::ServiceUrl,
    wire::{Flags, Frame, FrameType, HEADER_LEN, MsgId, SessionId, Side, Welcome},
};
use msip_tests::{
    LabServer, SeenByServer, advance_until,
    lab::{
        ActReq, ClientToServer, EchoReq, Lab, NoteInd, SendClientToServer as _,
        SendServerToClient as _,
    },
    raw::{RawPeer, frame, hello, message, resuming_frame, text},
    soon,
};
use tokio::{
    sync::{Semaphore, mpsc, oneshot},
    task::{JoinHandle, yield_now},
};

const KIB: usize = 1024;

/// `max_memory` here.
const LIMIT: usize = 1024 * KIB;

/// What a session with a connection holds is known to this.
const STEP: usize = 64 * KIB;

/// A server with little memory, whose notes are handled with permits from the gate.
struct Small {
    url: ServiceUrl,
    memory: MemoryUse,
    events: mpsc::Receiver<SeenByServer>,
    gate: Arc<Semaphore>,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<DrainReport>,
}

impl Small {
    async fn open(query: &str) -> Self {
        // Raw clients answer nothing, so that there is nothing to drain.
        let url = format!("tcp://127.0.0.1:0?max_memory=1MiB&drain_timeout=0s{query}");
        let server = Server::<Lab>::bind(url).await.expect("binds");
        let url = server.local_url().clone();
        let memory = server.memory();
        assert_eq!((memory.held(), memory.max()), (0, LIMIT));
        let gate = Arc::new(Semaphore::new(0));
        let (handler, events) = LabServer::new();
        let handler = handler.gated(&gate);
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = tokio::spawn(server.serve_until(handler, async {
            let _ = stopped.await;
        }));
        Self {
            url,
            memory,
            events,
            gate,
            stop,
            serving,
        }
    }

    async fn next(&mut self) -> SeenByServer {
        soon("an event", self.events.recv())
            .await
            .expect("the handler lives")
    }

    async fn peer(&mut self) -> Peer<Lab> {
        match self.next().await {
            SeenByServer::Connected(peer) => peer,
            event => panic!("{event:?}"),
        }
    }

    /// A raw client, and what the server knows it by.
    async fn greet(&mut self) -> (RawPeer, Peer<Lab>) {
        let mut raw = RawPeer::dial(&self.url).await;
        raw.greet().await;
        (raw, self.peer().await)
    }

    async fn is_disconnected(&mut self) {
        match self.next().await {
            SeenByServer::Disconnected(_) => {}
            event => panic!("{event:?}"),
        }
    }

    /// Waits until what is held is as wanted; each change of it follows from what was said before.
    async fn until_held(&self, what: &str, is_wanted: impl Fn(usize) -> bool) {
        soon(what, async {
            while !is_wanted(self.memory.held()) {
                yield_now().await;
            }
        })
        .await;
    }

    async fn connect(&mut self) -> Client<Lab> {
        let client = Client::<Lab>::connect(self.url.to_string())
            .await
            .expect("connects");
        self.peer().await;
        client
    }

    /// Nothing is held by anyone once all is over.
    async fn close(self) {
        self.gate.add_permits(1000);
        self.stop.send(()).expect("serves");
        let report = soon("the end", self.serving).await.expect("no panic");
        assert_eq!(report.aborted, 0);
        assert_eq!(self.memory.held(), 0);
    }
}

fn note(number: u64, len: usize) -> NoteInd {
    NoteInd {
        number,
        ballast: vec![7; len],
    }
}

fn note_frame(flags: Flags, id: u64, len: usize) -> Vec<u8> {
    let id = MsgId::exchange(Side::Connecting, id);
    let note = ClientToServer::NoteInd(note(0, len));
    message(Side::Connecting, flags, id, &note)
}

/// A note to be acknowledged, which the client here never does.
fn deliver(peer: &Peer<Lab>, number: u64, len: usize) -> JoinHandle<Result<(), SendError>> {
    let peer = peer.clone();
    tokio::spawn(async move {
        let options = CallOptions::new().ack().timeout(Duration::from_secs(3600));
        peer.with(options).note_ind(note(number, len)).await
    })
}

/// The number of the note in an EVENT.
fn number(event: &Frame) -> u64 {
    let mut rest = event.payload.clone();
    if event.header.flags.contains(Flags::META) {
        let len = rest.get_u16();
        rest.advance(len.into());
    }
    assert_eq!(rest.get_u16(), 0, "no topic");
    // The member's tag and its length precede the note.
    let note = rest.split_off(1);
    let note = NoteInd::decode_length_delimited(note).expect("a note");
    note.number
}

fn is_resumed(welcome: &Frame) -> bool {
    let welcome = Welcome::decode(welcome.payload.slice(SessionId::LEN..)).expect("a Welcome");
    welcome.resumed
}

#[tokio::test]
async fn the_oldest_session_without_a_connection_makes_room_for_those_that_have_one() {
    let mut small = Small::open("").await;
    let mut kept = Vec::new();
    for number in 1..=3 {
        let mut raw = RawPeer::dial(&small.url).await;
        if number == 2 {
            raw.say(&resuming_frame(&hello())).await;
            raw.hear_type(FrameType::Ack).await;
        } else {
            raw.greet().await;
        }
        let peer = small.peer().await;
        let delivery = deliver(&peer, number, 300 * KIB);
        raw.hear_type(FrameType::Event).await;
        drop(raw);
        small.is_disconnected().await;
        kept.push(delivery);
    }
    small
        .until_held("all are kept", |held| held > 900 * KIB)
        .await;
    assert!(!kept.iter().any(JoinHandle::is_finished));
    let (mut busy, peer) = small.greet().await;
    let delivery = deliver(&peer, 4, 300 * KIB);
    busy.hear_type(FrameType::Event).await;
    let lost = soon("the oldest is ended", kept.remove(0)).await;
    assert!(
        matches!(
            &lost,
            Ok(Err(SendError::NotAcknowledged(error))) if **error == CallError::ConnectionLost
        ),
        "{lost:?}"
    );
    small
        .until_held("its memory is free", |held| held < LIMIT)
        .await;
    assert!(!kept.iter().any(JoinHandle::is_finished), "that was enough");
    // The second one comes back, and gets what was kept for it.
    let mut raw = RawPeer::dial(&small.url).await;
    raw.say(&resuming_frame(&hello())).await;
    assert!(is_resumed(&raw.hear_type(FrameType::Ack).await));
    let again = raw.hear_type(FrameType::Event).await;
    assert!(again.header.flags.contains(Flags::REDELIVERED));
    assert_eq!(number(&again), 2);
    drop((busy, delivery));
    small.close().await;
}

#[tokio::test]
async fn a_client_whose_session_made_room_is_told() {
    let mut small = Small::open("").await;
    let mut raw = RawPeer::dial(&small.url).await;
    raw.say(&resuming_frame(&hello())).await;
    assert!(!is_resumed(&raw.hear_type(FrameType::Ack).await));
    let peer = small.peer().await;
    let lost = deliver(&peer, 1, 600 * KIB);
    raw.hear_type(FrameType::Event).await;
    drop(raw);
    small.is_disconnected().await;
    let (mut busy, peer) = small.greet().await;
    let delivery = deliver(&peer, 2, 600 * KIB);
    busy.hear_type(FrameType::Event).await;
    assert!(soon("it is ended", lost).await.expect("no panic").is_err());
    let mut raw = RawPeer::dial(&small.url).await;
    raw.say(&resuming_frame(&hello())).await;
    assert!(
        !is_resumed(&raw.hear_type(FrameType::Ack).await),
        "a new session"
    );
    assert!(!delivery.is_finished(), "a connection is not cut for it");
    drop(busy);
    small.close().await;
}

#[tokio::test]
async fn each_connection_keeps_its_floor_and_goes_on_when_memory_is_free() {
    let mut small = Small::open("").await;
    let client = small.connect().await;
    let (mut raw, peer) = small.greet().await;
    let (mut hog, hog_peer) = small.greet().await;
    // Notes of which none is handled, and one that is not acknowledged. All have been read, and written: what buffers held
    // meanwhile may go, and memory stays short.
    for id in 1..=3 {
        hog.say(&note_frame(Flags::NONE, id, 300 * KIB)).await;
    }
    hog.say(&frame(FrameType::Ping, MsgId::new(9), b"")).await;
    hog.hear_type(FrameType::Pong).await;
    let kept = deliver(&hog_peer, 0, 300 * KIB);
    hog.hear_type(FrameType::Event).await;
    small
        .until_held("memory is short", |held| held > LIMIT)
        .await;

    let echo = |len: usize| {
        client.echo_req(EchoReq {
            text: String::new(),
            ballast: vec![7; len],
        })
    };
    for _ in 0..10 {
        let answer = soon("the floor", echo(30 * KIB)).await.expect("answered");
        assert_eq!(answer.ballast.len(), 30 * KIB);
    }
    for _ in 0..50 {
        let refused = soon("an answer", echo(100 * KIB)).await;
        let Err(CallError::Status(status)) = refused else {
            panic!("{refused:?}");
        };
        assert_eq!(status.code(), Code::ResourceExhausted);
        assert!(status.message().contains("max_memory"), "{status}");
    }

    let first = deliver(&peer, 1, 100 * KIB);
    assert_eq!(number(&raw.hear_type(FrameType::Event).await), 1);
    let options = CallOptions::new().ack().timeout(Duration::from_millis(50));
    let second = peer.with(options).note_ind(note(2, KIB)).await;
    assert!(second.is_err(), "the floor is used up: {second:?}");

    small.gate.add_permits(3);
    for _ in 0..3 {
        assert!(matches!(small.next().await, SeenByServer::Note(0)));
    }
    small
        .until_held("memory is free", |held| held < 700 * KIB)
        .await;
    let third = deliver(&peer, 3, KIB);
    let next = raw.hear_type(FrameType::Event).await;
    assert_eq!(number(&next), 3, "the second was never sent");
    let answer = soon("an answer", echo(100 * KIB)).await.expect("answered");
    assert_eq!(answer.ballast.len(), 100 * KIB);
    assert!(!first.is_finished() && !third.is_finished() && !kept.is_finished());
    // Nobody was cut off.
    hog.say(&note_frame(Flags::NONE, 9, 1)).await;
    small.gate.add_permits(1);
    assert!(matches!(small.next().await, SeenByServer::Note(0)));
    client.close().await;
    small.close().await;
}

#[tokio::test]
async fn frames_that_are_partly_there_count() {
    let mut small = Small::open("").await;
    let mut speaking = Vec::new();
    for id in 1..=3 {
        let (mut raw, _) = small.greet().await;
        let call = MsgId::exchange(Side::Connecting, id << 16);
        let request = ClientToServer::EchoReq(EchoReq {
            text: String::new(),
            ballast: vec![7; 4000 * KIB],
        });
        let whole = message(Side::Connecting, Flags::ACK_REQUIRED, call, &request);
        let (part, rest) = whole.split_at(if id == 3 { HEADER_LEN } else { 700 * KIB });
        raw.say(part).await;
        if id == 2 {
            small
                .until_held("memory is short", |held| held > LIMIT)
                .await;
        }
        speaking.push((raw, rest.to_vec()));
    }
    let (mut raw, rest) = speaking.pop().expect("there are three");
    // While memory is short a frame of this size takes minutes.
    let saying = tokio::spawn(async move {
        raw.say(&rest).await;
        raw
    });
    drop(speaking);
    for _ in 0..2 {
        small.is_disconnected().await;
    }
    let mut raw = soon("all is read", saying).await.expect("no panic");
    let answer = raw.hear().await.expect("the connection is there");
    assert!(
        matches!(answer.header.frame_type, FrameType::Ack | FrameType::Error),
        "{answer:?}"
    );
    small.close().await;
}

#[tokio::test]
async fn all_is_given_back_after_panics_kills_takeovers_and_resumes() {
    let mut small = Small::open("").await;
    let client = small.connect().await;
    let panicked = client
        .act_req(ActReq {
            what: "panic".into(),
        })
        .await;
    assert!(matches!(panicked, Err(CallError::Status(status)) if status.code() == Code::Internal));
    assert!(matches!(small.next().await, SeenByServer::Act(_)));
    assert!(matches!(small.next().await, SeenByServer::Dropped(_)));

    let mut raw = RawPeer::dial(&small.url).await;
    raw.say(&resuming_frame(&hello())).await;
    raw.hear_type(FrameType::Ack).await;
    let peer = small.peer().await;
    let delivery = deliver(&peer, 1, 200 * KIB);
    raw.hear_type(FrameType::Event).await;
    raw.say(&note_frame(Flags::NONE, 1, 200 * KIB)).await;
    small
        .until_held("both ways", |held| held > 400 * KIB - STEP)
        .await;
    // Taken over, then lost, then taken up again.
    let mut newer = RawPeer::dial(&small.url).await;
    newer.say(&resuming_frame(&hello())).await;
    assert!(is_resumed(&newer.hear_type(FrameType::Ack).await));
    assert!(raw.hear_to_the_end().await.concat().contains("taken over"));
    newer.hear_type(FrameType::Event).await;
    drop(newer);
    let mut newest = RawPeer::dial(&small.url).await;
    newest.say(&resuming_frame(&hello())).await;
    assert!(is_resumed(&newest.hear_type(FrameType::Ack).await));
    newest.hear_type(FrameType::Event).await;
    // One that is killed in the middle of a frame.
    let mut killed = RawPeer::dial(&small.url).await;
    killed.greet().await;
    let half = note_frame(Flags::NONE, 1, 300 * KIB);
    killed.say(&half[..250 * KIB]).await;
    small
        .until_held("a part of a frame", |held| held > 650 * KIB - STEP)
        .await;
    drop(killed);
    small
        .until_held("it is gone", |held| held < 500 * KIB)
        .await;
    assert!(!delivery.is_finished(), "it is kept");
    drop(newest);
    client.close().await;
    small.close().await;
}

#[tokio::test]
async fn a_clients_own_limit_is_its_own() {
    let mut small = Small::open("").await;
    let url = format!("{}?max_memory=2MiB", small.url);
    let client = Client::<Lab>::connect(url).await.expect("connects");
    small.peer().await;
    let memory = client.connection().memory();
    assert_eq!(memory.max(), 2 * LIMIT);
    let unhandled = tokio::spawn({
        let client = client.clone();
        async move {
            let options = CallOptions::new().ack();
            client.with(options).note_ind(note(1, 300 * KIB)).await
        }
    });
    small
        .until_held("it has come", |held| held > 300 * KIB - STEP)
        .await;
    assert!((300 * KIB..600 * KIB).contains(&memory.held()), "kept");
    small.gate.add_permits(1);
    soon("it is handled", unhandled)
        .await
        .expect("no panic")
        .expect("handled");
    client.close().await;
    assert_eq!(memory.held(), 0);
    small.close().await;
}

#[tokio::test]
async fn a_handshake_waits_for_its_turn() {
    let limit = Duration::from_secs(10);
    let mut small = Small::open("&max_handshakes=1&handshake_timeout=10s").await;
    let mut silent = RawPeer::dial(&small.url).await;
    let mut next = RawPeer::dial(&small.url).await;
    next.say(&resuming_frame(&hello())).await;
    // It is the next one's turn with the end of the first, and so not over once that is heard.
    let first = async {
        tokio::select! {
            biased;
            last = silent.hear_at_any_time() => last,
            welcome = next.hear_at_any_time() => panic!("before the first had its time: {welcome:?}"),
        }
    };
    let last = advance_until(limit, "the first one's end", first).await;
    assert!(last.is_none_or(|frame| text(&frame.payload).contains("in time")));
    let welcome = next.hear().await.expect("it is let in");
    assert_eq!(welcome.header.frame_type, FrameType::Ack);
    small.peer().await;
    // One that is done blocks no other.
    for _ in 0..3 {
        drop(small.greet().await);
        small.is_disconnected().await;
    }
    small.close().await;
}
