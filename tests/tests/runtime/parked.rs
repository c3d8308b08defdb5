//! Sessions without a connection of which nothing is open: little is kept of each, and its client finds all it had.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use msip_runtime::{
    Broadcast, DisconnectReason, DrainReport, MemoryUse, Peer, PeerId, SendError, Server, Status,
    transport::ServiceUrl,
    wire::{Flags, FrameType, Hello, MsgId, SECRET_LEN, Side, parse_welcome},
};
use msip_tests::{
    Recorder, at, next,
    raw::{RawPeer, frame, hello_frame, hello_of, message, resuming_frame, text},
    recorder, soon,
};
use tokio::{
    sync::{mpsc, oneshot},
    task::{JoinHandle, yield_now},
};

use inn::{
    BroadcastServerToClient as _, ClientToServer, Enter, HandleClientToServer, Inn, Note,
    SendServerToClient as _,
};

/// A protocol of guests who come back.
#[expect(
    unreachable_pub,
    reason = "what is derived is public, and so is what it names"
)]
mod inn {
    use msip_runtime::{ClientToServer, Message, ServerToClient};

    #[derive(Debug, ClientToServer)]
    #[msip(protocol = "inn")]
    pub enum ClientToServer {
        #[msip(tag = 1)]
        EnterReq(Enter),
        #[msip(tag = 2, reply = ACK)]
        NoteInd(Note),
    }

    #[derive(Debug, ServerToClient)]
    pub enum ServerToClient {
        #[msip(tag = 1)]
        EnterRsp(Enter),
        #[msip(tag = 2)]
        NewsInd(Note),
    }

    #[derive(Debug, Message)]
    pub struct Enter {
        #[msip(tag = 1)]
        pub room: String,
    }

    #[derive(Debug, Default, Message)]
    pub struct Note {
        #[msip(tag = 1)]
        pub number: u64,
    }
}

const KIB: usize = 1024;

/// What is known of a guest.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Guest {
    id: PeerId,
    resumed: bool,
    name: String,
    /// What the handler keeps for it.
    place: Option<String>,
    rooms: Vec<String>,
    has_other_schema: bool,
}

impl Guest {
    fn of(peer: &Peer<Inn>) -> Self {
        Self {
            id: peer.id(),
            resumed: peer.resumed(),
            name: peer.connection().client_name().to_owned(),
            place: peer.extensions().get::<String>().map(|it| (*it).clone()),
            rooms: peer.rooms(),
            has_other_schema: peer.schema_difference().is_some(),
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Came(Guest),
    Note(u64),
    Left,
    Gone(Guest),
}

/// Records what it sees, and keeps a handle of each guest where it is to.
struct Host {
    seen: Recorder<Seen>,
    kept: Option<&'static Mutex<Vec<Peer<Inn>>>>,
}

impl HandleClientToServer for Host {
    async fn on_enter_req(&self, peer: &Peer<Inn>, request: Enter) -> Result<Enter, Status> {
        peer.everyone().room(&request.room).join(peer)?;
        peer.extensions().insert(request.room.clone());
        Ok(request)
    }

    async fn on_note_ind(&self, _: &Peer<Inn>, note: Note) -> Result<(), Status> {
        self.seen.record(Seen::Note(note.number));
        Ok(())
    }

    async fn on_client_connected(&self, peer: &Peer<Inn>) {
        if let Some(kept) = self.kept {
            let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.push(peer.clone());
        }
        self.seen.record(Seen::Came(Guest::of(peer)));
    }

    async fn on_client_disconnected(&self, _: &Peer<Inn>, _: DisconnectReason) {
        self.seen.record(Seen::Left);
    }

    async fn on_client_gone(&self, peer: &Peer<Inn>) {
        assert!(peer.connection().is_gone() && peer.connection().lost().is_empty());
        assert_eq!(peer.news_ind(Note::default()).await, Err(SendError::Closed));
        self.seen.record(Seen::Gone(Guest::of(peer)));
    }
}

/// A server with a budget of its own.
struct House {
    url: ServiceUrl,
    memory: MemoryUse,
    everyone: Broadcast<Inn>,
    seen: mpsc::Receiver<Seen>,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<DrainReport>,
}

impl House {
    async fn open(url: &str) -> Self {
        Self::keeping(url, None).await
    }

    async fn keeping(url: &str, kept: Option<&'static Mutex<Vec<Peer<Inn>>>>) -> Self {
        let server = Server::<Inn>::bind(url).await.expect("binds");
        let (memory, everyone) = (server.memory(), server.broadcast());
        let (recorder, seen) = recorder();
        let host = Host {
            seen: recorder,
            kept,
        };
        let url = server.local_url().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = tokio::spawn(server.serve_until(host, async {
            let _ = stopped.await;
        }));
        Self {
            url,
            memory,
            everyone,
            seen,
            stop,
            serving,
        }
    }

    /// A guest of the session that all raw clients come back to, and what the server knows of it.
    async fn greet(&mut self, hello: &Hello) -> (RawPeer, Guest) {
        let mut raw = RawPeer::dial(&self.url).await;
        let welcome = greet(&mut raw, hello).await;
        match next(&mut self.seen).await {
            Seen::Came(guest) => {
                assert_eq!(guest.resumed, welcome.0);
                assert_eq!(guest.id.number(), welcome.1);
                (raw, guest)
            }
            seen => panic!("{seen:?}"),
        }
    }

    /// A guest who says this HELLO until it is let in: a place is free a moment after the connection was closed that had it.
    async fn greet_when_there_is_a_place(
        &mut self,
        frame_of: &dyn Fn(&Hello) -> Vec<u8>,
    ) -> (RawPeer, Guest) {
        loop {
            let mut raw = RawPeer::dial(&self.url).await;
            raw.say(&frame_of(&hello())).await;
            if raw.hear().await.map(|frame| frame.header.frame_type) != Some(FrameType::Ack) {
                continue;
            }
            match next(&mut self.seen).await {
                Seen::Came(guest) => return (raw, guest),
                seen => panic!("{seen:?}"),
            }
        }
    }

    /// The guest leaves, and comes back later.
    async fn leave(&mut self, raw: RawPeer) {
        drop(raw);
        assert_eq!(next(&mut self.seen).await, Seen::Left);
    }

    /// Waits until what is held is as wanted.
    async fn until_held(&self, is_wanted: impl Fn(usize) -> bool) {
        soon("the memory", async {
            while !is_wanted(self.memory.held()) {
                yield_now().await;
            }
        })
        .await;
    }

    /// Waits until little is kept of so many guests who have left.
    async fn until_parked(&self, count: usize) {
        self.until_held(|held| (count * 300..count * KIB).contains(&held))
            .await;
    }
}

fn hello() -> Hello {
    Hello {
        client_name: "ada".to_owned(),
        ..hello_of::<Inn>()
    }
}

/// Shakes hands. Returns whether the session was resumed, and its peer id.
async fn greet(raw: &mut RawPeer, hello: &Hello) -> (bool, u64) {
    raw.say(&resuming_frame(hello)).await;
    let welcome = raw.hear_type(FrameType::Ack).await.payload;
    let welcome = parse_welcome(welcome).expect("a Welcome").welcome;
    be_heard(raw).await;
    (welcome.resumed, welcome.peer_id)
}

/// From here on the server knows that the client knows of its session.
async fn be_heard(raw: &mut RawPeer) {
    raw.say(&frame(FrameType::Ping, MsgId::new(9), b"")).await;
    raw.hear_type(FrameType::Pong).await;
}

async fn enter(raw: &mut RawPeer, room: &str) {
    let id = MsgId::exchange(Side::Connecting, 5 << 16);
    let request = ClientToServer::EnterReq(Enter { room: room.into() });
    raw.say(&message(
        Side::Connecting,
        Flags::ACK_REQUIRED,
        id,
        &request,
    ))
    .await;
    raw.hear_type(FrameType::Ack).await;
}

/// Sends a delivery, and waits for its acknowledgment.
async fn deliver(raw: &mut RawPeer, number: u64) {
    let id = MsgId::delivery(Side::Connecting, number);
    let note = ClientToServer::NoteInd(Note { number });
    raw.say(&message(Side::Connecting, Flags::ACK_REQUIRED, id, &note))
        .await;
    let answer = raw.hear_type(FrameType::Ack).await;
    assert_eq!(answer.header.msg_id, id);
}

#[tokio::test]
async fn a_client_finds_all_it_had() {
    let mut house = House::open(at!("tcp://127.0.0.1:0?max_memory=16MiB")).await;
    let (mut raw, first) = house.greet(&hello()).await;
    assert!(!first.resumed && first.name == "ada");
    enter(&mut raw, "north").await;
    let north = house.everyone.room("north");
    for number in 1..=100 {
        deliver(&mut raw, number).await;
        assert_eq!(next(&mut house.seen).await, Seen::Note(number));
    }
    for round in 0..3 {
        house.leave(raw).await;
        house.until_parked(1).await;
        assert_eq!((north.len(), north.news_ind(Note::default())), (1, 0));
        let guest;
        (raw, guest) = house.greet(&hello()).await;
        let expected = Guest {
            resumed: true,
            place: Some("north".to_owned()),
            rooms: vec!["north".to_owned()],
            ..first.clone()
        };
        assert_eq!(guest, expected);
        // It may not have had the acknowledgment.
        for number in [1, 100 + round] {
            deliver(&mut raw, number).await;
        }
        deliver(&mut raw, 101 + round).await;
        let handled = next(&mut house.seen).await;
        assert_eq!(handled, Seen::Note(101 + round), "others are not new");
        assert_eq!(north.news_ind(Note { number: round }), 1);
        raw.hear_type(FrameType::Event).await;
    }
}

#[tokio::test]
async fn a_client_with_another_schema_finds_its_comparison() {
    let mut house = House::open(at!("tcp://127.0.0.1:0?max_memory=16MiB")).await;
    let hello = Hello {
        fingerprint: 7,
        ..hello()
    };
    let (raw, _) = house.greet(&hello).await;
    house.leave(raw).await;
    house.until_parked(1).await;
    let (_raw, guest) = house.greet(&hello).await;
    assert!(guest.resumed && guest.has_other_schema);
}

#[tokio::test]
async fn a_session_is_given_to_its_client_alone_and_waits_for_a_place() {
    let url = at!("tcp://127.0.0.1:0?max_memory=16MiB&max_connections=1");
    let mut house = House::open(url).await;
    let (raw, first) = house.greet(&hello()).await;
    house.leave(raw).await;
    house.until_parked(1).await;
    let stranger = Hello {
        session_secret: vec![8; SECRET_LEN],
        ..hello()
    };
    assert_eq!(
        refusal(&house, &stranger).await,
        "UNAUTHENTICATED: the session cannot be resumed"
    );
    let (other, _) = house.greet_when_there_is_a_place(&hello_frame).await;
    assert_eq!(
        refusal(&house, &hello()).await,
        "RESOURCE_EXHAUSTED: too many connections: this server takes 1 at once, try again later"
    );
    house.leave(other).await;
    let (_raw, guest) = house.greet_when_there_is_a_place(&resuming_frame).await;
    assert!(guest.resumed && guest.id == first.id);
}

/// Why a client is refused that wants to come back.
async fn refusal(house: &House, hello: &Hello) -> String {
    let mut raw = RawPeer::dial(&house.url).await;
    raw.say(&resuming_frame(hello)).await;
    text(&raw.hear_type(FrameType::Error).await.payload)
}

#[tokio::test(start_paused = true)]
async fn the_handler_hears_of_the_end_with_all_that_was_known() {
    type End = fn(&mut House) -> Option<oneshot::Sender<()>>;
    let ends: [(&str, &str, End); 3] = [
        ("expiry", "", |_| None),
        ("limit", "&max_detached_sessions=1", |_| None),
        ("shutdown", "", |house| {
            Some(std::mem::replace(&mut house.stop, oneshot::channel().0))
        }),
    ];
    for (name, setting, end) in ends {
        let url = format!("mem://parked-{name}?max_memory=16MiB&session_expiry=50s{setting}");
        let mut house = House::open(&url).await;
        let (mut raw, came) = house.greet(&hello()).await;
        enter(&mut raw, "north").await;
        house.leave(raw).await;
        house.until_parked(1).await;
        if name == "limit" {
            let mut other = RawPeer::dial(&house.url).await;
            other.greet_with(&hello()).await;
            be_heard(&mut other).await;
            assert!(matches!(next(&mut house.seen).await, Seen::Came(_)));
            house.leave(other).await;
        }
        if let Some(stop) = end(&mut house) {
            stop.send(()).expect("serves");
        }
        let gone = Guest {
            place: Some("north".to_owned()),
            rooms: vec!["north".to_owned()],
            ..came
        };
        assert_eq!(next(&mut house.seen).await, Seen::Gone(gone), "{name}");
        match name {
            "limit" => house.until_parked(1).await,
            "shutdown" => {
                let report = soon("the end", house.serving).await.expect("no panic");
                assert_eq!((report.connections, report.aborted), (0, 0));
            }
            _ => house.until_held(|held| held == 0).await,
        }
        assert!(house.everyone.room("north").is_empty(), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_of_which_a_handle_is_kept_stays_as_it_is() {
    static KEPT: Mutex<Vec<Peer<Inn>>> = Mutex::new(Vec::new());
    let kept = || std::mem::take(&mut *KEPT.lock().unwrap_or_else(PoisonError::into_inner));
    let mut house = House::keeping("mem://kept-handle?max_memory=16MiB", Some(&KEPT)).await;
    let (raw, first) = house.greet(&hello()).await;
    let peer = kept().pop().expect("connected");
    house.leave(raw).await;
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert!(house.memory.held() > 6 * KIB, "{}", house.memory.held());
    let unsent = peer.news_ind(Note::default()).await;
    assert_eq!(unsent, Err(SendError::Disconnected));
    let (mut raw, again) = house.greet(&hello()).await;
    assert_eq!(again.id, first.id);
    assert_eq!(peer.news_ind(Note::default()).await, Ok(()));
    raw.hear_type(FrameType::Event).await;
    house.leave(raw).await;
    drop((peer, kept()));
    // It is looked at again later.
    tokio::time::sleep(Duration::from_secs(30)).await;
    house.until_parked(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_comes_back_at_any_moment_finds_its_session() {
    let mut house = House::open(at!("tcp://127.0.0.1:0?max_memory=16MiB")).await;
    let (mut raw, first) = house.greet(&hello()).await;
    for round in 0..200 {
        drop(raw);
        for _ in 0..round % 25 {
            yield_now().await;
        }
        raw = RawPeer::dial(&house.url).await;
        assert_eq!(
            greet(&mut raw, &hello()).await,
            (true, first.id.number()),
            "round {round}"
        );
    }
    deliver(&mut raw, 1).await;
}

#[tokio::test]
async fn nothing_is_kept_of_a_server_that_was_dropped() {
    let mut house = House::open(at!("tcp://127.0.0.1:0?max_memory=16MiB")).await;
    let (raw, _) = house.greet(&hello()).await;
    house.leave(raw).await;
    house.until_parked(1).await;
    house.serving.abort();
    house.until_held(|held| held == 0).await;
}
