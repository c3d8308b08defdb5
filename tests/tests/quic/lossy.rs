//! LOG and METRIC messages by datagrams: `lossy=datagram`.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use msip_runtime::{Client, Peer, Server, Status};
use msip_tests::{
    Recorder,
    gauges::{
        Gauges, HandleClientToServer, HandleServerToClient, Level, Line, SendClientToServer as _,
        SendServerToClient as _,
    },
    next, recorder, soon,
};
use tokio::sync::{Semaphore, mpsc};

use crate::{
    certificates::Certificates,
    relay::{Faults, Relay},
};

/// What came.
#[derive(Debug, PartialEq)]
enum Seen {
    Connected(u64),
    Log(u64),
    Metric(u64),
    Done(u64),
    State(u64),
}

#[derive(Clone)]
struct Gauge {
    seen: Recorder<Seen>,
    /// Each log needs a permit.
    gate: Arc<Semaphore>,
    peers: Recorder<Peer<Gauges>>,
}

impl HandleClientToServer for Gauge {
    async fn on_level_state(&self, _: &Peer<Gauges>, level: Level) {
        self.seen.record(Seen::State(level.level));
    }

    async fn on_line_log(&self, _: &Peer<Gauges>, line: Line) {
        if let Ok(permit) = self.gate.acquire().await {
            permit.forget();
        }
        self.seen.record(Seen::Log(line.number));
    }

    async fn on_load_metric(&self, _: &Peer<Gauges>, line: Line) {
        self.seen.record(Seen::Metric(line.number));
    }

    async fn on_done_ind(&self, _: &Peer<Gauges>, line: Line) {
        self.seen.record(Seen::Done(line.number));
    }

    async fn on_echo_req(&self, _: &Peer<Gauges>, line: Line) -> Result<Line, Status> {
        Ok(line)
    }

    async fn on_client_connected(&self, peer: &Peer<Gauges>) {
        self.peers.record(peer.clone());
        self.seen.record(Seen::Connected(peer.id().number()));
    }
}

struct Logged(Recorder<u64>);

impl HandleServerToClient for Logged {
    async fn on_line_log(&self, _: &Client<Gauges>, line: Line) {
        self.0.record(line.number);
    }
}

struct Served {
    certificates: Certificates,
    server: Server<Gauges>,
    handler: Gauge,
    seen: mpsc::Receiver<Seen>,
    peers: mpsc::Receiver<Peer<Gauges>>,
}

impl Served {
    async fn bind(permits: usize) -> Self {
        let certificates = Certificates::new();
        let listening = certificates.listening() + "&lossy=datagram";
        let server = Server::bind(listening).await.expect("binds");
        let (recorded, seen) = recorder();
        let (connected, peers) = recorder();
        let handler = Gauge {
            seen: recorded,
            gate: Arc::new(Semaphore::new(permits)),
            peers: connected,
        };
        Self {
            certificates,
            server,
            handler,
            seen,
            peers,
        }
    }

    /// Serves, and connects a client at this URL, with these settings.
    async fn connect(self, url: &str, settings: &str) -> Conversation {
        let handler = self.handler.clone();
        tokio::spawn(self.server.serve(handler));
        let url = self.certificates.connecting(url) + settings;
        let (logged, logs) = recorder();
        let connecting = Client::builder(url).handler(Logged(logged)).connect();
        let client = soon("a client", connecting).await.expect("connects");
        let (mut seen, mut peers) = (self.seen, self.peers);
        let peer = next(&mut peers).await;
        assert_eq!(next(&mut seen).await, Seen::Connected(peer.id().number()));
        Conversation {
            client,
            peer,
            seen,
            logs,
            gate: self.handler.gate,
            _certificates: self.certificates,
        }
    }
}

struct Conversation {
    client: Client<Gauges>,
    peer: Peer<Gauges>,
    seen: mpsc::Receiver<Seen>,
    logs: mpsc::Receiver<u64>,
    gate: Arc<Semaphore>,
    _certificates: Certificates,
}

fn line(number: u64, len: usize) -> Line {
    Line {
        number,
        ballast: vec![7; len],
    }
}

#[tokio::test]
async fn one_by_one_every_message_arrives_in_both_directions() {
    let served = Served::bind(1_000_000).await;
    let url = served.server.local_url().to_string();
    let mut talk = served.connect(&url, "&lossy=datagram").await;
    for number in 0..100 {
        talk.client.line_log(line(number, 10)).await.expect("sent");
        assert_eq!(next(&mut talk.seen).await, Seen::Log(number));
        talk.client
            .load_metric(line(number, 900))
            .await
            .expect("sent");
        assert_eq!(next(&mut talk.seen).await, Seen::Metric(number));
        // One that fits no datagram.
        talk.client
            .line_log(line(number, 5000))
            .await
            .expect("sent");
        assert_eq!(next(&mut talk.seen).await, Seen::Log(number));
        talk.peer.line_log(line(number, 10)).await.expect("sent");
        assert_eq!(next(&mut talk.logs).await, number);
    }
    assert_eq!(talk.client.connection().dropped().total(), 0);
    assert_eq!(talk.peer.connection().dropped().total(), 0);
}

#[tokio::test]
async fn only_they_may_be_lost_and_only_where_both_ends_say_so() {
    const COUNT: u64 = 400;
    for (settings, may_be_lost) in [
        ("&lossy=datagram", true),
        ("&lossy=stream", false),
        ("", false),
    ] {
        let served = Served::bind(1_000_000).await;
        let faults = Faults {
            lose: 7,
            ..Faults::default()
        };
        let relay = Relay::start(served.server.local_url(), faults).await;
        let mut talk = served.connect(&relay.url(), settings).await;
        for number in 0..COUNT {
            talk.client
                .line_log(line(number, 1000))
                .await
                .expect("sent");
            talk.client.done_ind(line(number, 100)).await.expect("sent");
        }
        talk.client.done_ind(line(COUNT, 0)).await.expect("sent");
        let (mut logs, mut done) = (BTreeSet::new(), Vec::new());
        while done.last() != Some(&COUNT) {
            match next(&mut talk.seen).await {
                Seen::Log(number) => assert!(logs.insert(number), "{number} came twice"),
                Seen::Done(number) => done.push(number),
                event => panic!("{event:?}"),
            }
        }
        assert_eq!(done, (0..=COUNT).collect::<Vec<_>>(), "{settings}");
        if may_be_lost {
            assert!(!logs.is_empty() && logs.len() < 400, "{}", logs.len());
        } else {
            let dropped = talk.client.connection().dropped();
            assert_eq!(logs.len(), 400, "{settings} {dropped:?}");
        }
    }
}

#[tokio::test]
async fn a_flood_is_dropped_and_counted_and_holds_up_nothing() {
    const COUNT: u64 = 20_000;
    let served = Served::bind(0).await;
    let url = served.server.local_url().to_string();
    let mut talk = served
        .connect(&url, "&lossy=datagram&write_timeout=60s")
        .await;
    // The handler of the first is never done, and no sender waits for it.
    for number in 0..COUNT {
        talk.client.line_log(line(number, 900)).await.expect("sent");
        if number.is_multiple_of(1000) {
            let ping = talk.client.ping(0, Duration::from_secs(60));
            soon("a pong", ping).await.expect("answered");
        }
    }
    let dropped = talk.client.connection().dropped();
    assert!(
        dropped.logs > 0 && dropped.total() == dropped.logs,
        "{dropped:?}"
    );
    talk.gate.add_permits(1_000_000);
    // A last one by the stream, behind all that was received.
    talk.client.done_ind(line(0, 0)).await.expect("sent");
    let mut logs = BTreeSet::new();
    loop {
        match next(&mut talk.seen).await {
            Seen::Log(number) => assert!(logs.insert(number), "{number} came twice"),
            Seen::Done(0) => break,
            event => panic!("{event:?}"),
        }
    }
    // What came and was not taken is counted once the rest was read.
    let received = || talk.peer.connection().dropped().received;
    soon("a count", async {
        while received() == 0 {
            let _ = talk.client.ping(0, Duration::from_secs(60)).await;
        }
    })
    .await;
    let received = received();
    let handled = u64::try_from(logs.len()).expect("fits");
    assert!(handled + received + dropped.logs <= COUNT);
}

#[tokio::test]
async fn what_is_no_way_to_send_messages_is_said() {
    let certificates = Certificates::new();
    let connecting =
        Client::<Gauges>::connect(certificates.connecting("quic://127.0.0.1:1") + "&lossy=perhaps");
    let error = soon("an error", connecting).await.expect_err("refused");
    let text = error.to_string();
    assert!(
        text.contains("`lossy`") && text.contains("`stream` or `datagram`"),
        "{text}"
    );
}
