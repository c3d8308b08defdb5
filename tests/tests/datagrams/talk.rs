//! A server with a UDP socket, and clients whose datagrams go through a tap.

use std::{net::SocketAddr, sync::Arc};

use msip_runtime::{Client, DisconnectReason, Peer, Server, Status, transport::ServiceUrl};
use msip_tests::{
    Recorder,
    gauges::{
        Gauges, HandleClientToServer, HandleServerToClient, Level, Line, SendClientToServer as _,
        SendServerToClient as _,
    },
    next, recorder, soon,
};
use tokio::{
    sync::{Semaphore, mpsc},
    task::JoinSet,
};

use crate::tap::Tap;

/// What came.
#[derive(Debug, PartialEq)]
pub(crate) enum Seen {
    Log(u64),
    Metric(u64),
    Done(u64),
    State(u64),
}

#[derive(Clone)]
pub(crate) struct Gauge {
    seen: Recorder<Seen>,
    /// Each log needs a permit.
    gate: Arc<Semaphore>,
    peers: Recorder<Peer<Gauges>>,
    ends: Recorder<()>,
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
    }

    async fn on_client_disconnected(&self, _: &Peer<Gauges>, _: DisconnectReason) {
        self.ends.record(());
    }
}

/// What the server sends.
pub(crate) struct Logged(pub(crate) Recorder<u64>);

impl HandleServerToClient for Logged {
    async fn on_line_log(&self, _: &Client<Gauges>, line: Line) {
        self.0.record(line.number);
    }
}

/// A server that serves.
pub(crate) struct Served {
    pub(crate) url: ServiceUrl,
    /// Where it takes datagrams.
    pub(crate) udp: SocketAddr,
    pub(crate) seen: mpsc::Receiver<Seen>,
    pub(crate) peers: mpsc::Receiver<Peer<Gauges>>,
    /// A connection of a session has ended.
    pub(crate) ends: mpsc::Receiver<()>,
    pub(crate) gate: Arc<Semaphore>,
    _serving: JoinSet<()>,
}

impl Served {
    /// On TCP, with a UDP socket. So many logs may be handled.
    pub(crate) async fn start(url: &str, permits: usize) -> Self {
        let builder = Server::<Gauges>::builder(url).also("udp://127.0.0.1:0");
        let server = builder.bind().await.expect("binds");
        let urls: Vec<_> = server.local_urls().cloned().collect();
        let [url, udp] = &urls[..] else {
            panic!("{urls:?}");
        };
        assert_eq!(udp.address().scheme(), "udp");
        let (seen_by_handler, seen) = recorder();
        let (connected, peers) = recorder();
        let (ended, ends) = recorder();
        let gate = Arc::new(Semaphore::new(permits));
        let handler = Gauge {
            seen: seen_by_handler,
            gate: Arc::clone(&gate),
            peers: connected,
            ends: ended,
        };
        let mut serving = JoinSet::new();
        serving.spawn(server.serve(handler));
        Self {
            url: url.clone(),
            udp: udp.address().authority().parse().expect("an address"),
            seen,
            peers,
            ends,
            gate,
            _serving: serving,
        }
    }

    /// Connects a client whose datagrams of these kinds go through a tap.
    pub(crate) async fn connect(&mut self, kinds: &str, settings: &str) -> Talk {
        let url = self.url.to_string();
        self.connect_at(&url, kinds, settings).await
    }

    pub(crate) async fn connect_at(&mut self, url: &str, kinds: &str, settings: &str) -> Talk {
        let tap = Tap::start(self.udp).await;
        let url = format!("{url}?channel={kinds}:udp://{}{settings}", tap.address());
        let (logged, logs) = recorder();
        let connecting = Client::<Gauges>::builder(url)
            .handler(Logged(logged))
            .connect();
        let client = soon("a client", connecting).await.expect("connects");
        let peer = next(&mut self.peers).await;
        Talk {
            client,
            peer,
            logs,
            tap,
        }
    }
}

/// A client, and what the server has of it.
pub(crate) struct Talk {
    pub(crate) client: Client<Gauges>,
    pub(crate) peer: Peer<Gauges>,
    pub(crate) logs: mpsc::Receiver<u64>,
    pub(crate) tap: Tap,
}

impl Talk {
    /// Sends a log by a datagram, and returns that.
    pub(crate) async fn log(&mut self, number: u64) -> Vec<u8> {
        self.client.line_log(line(number, 0)).await.expect("sent");
        self.tap.of_client().await
    }

    /// Has the server send logs until one of them goes by a datagram, and returns that and its number: the first may come before
    /// the server knows where the client is.
    pub(crate) async fn log_of_server(&mut self) -> (Vec<u8>, u64) {
        let mut number = 1000;
        soon("a datagram of the server", async {
            loop {
                self.peer.line_log(line(number, 0)).await.expect("sent");
                assert_eq!(next(&mut self.logs).await, number);
                if self.tap.has_of_server() {
                    return (self.tap.of_server().await, number);
                }
                number += 1;
            }
        })
        .await
    }
}

pub(crate) fn line(number: u64, len: usize) -> Line {
    Line {
        number,
        ballast: vec![7; len],
    }
}
