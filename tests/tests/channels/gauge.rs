//! A server and a client of the `gauges` protocol that record what they see.

use std::sync::Arc;

use msip_runtime::{
    Client, DrainReport, Peer, Server, ServerBuilder, Status, transport::ServiceUrl,
};
use msip_tests::{
    Recorder,
    gauges::{Gauges, HandleClientToServer, HandleServerToClient, Level, Line},
    next, recorder, soon,
};
use tokio::{
    sync::{Semaphore, mpsc, oneshot},
    task::JoinHandle,
};

/// A line with this number.
pub(crate) fn line(number: u64) -> Line {
    Line {
        number,
        ..Line::default()
    }
}

/// How high the one gauge of these tests stands.
pub(crate) fn level(level: u64) -> Level {
    Level {
        gauge: "tank".to_owned(),
        level,
    }
}

/// Records what it handles, each as a line.
#[derive(Clone)]
pub(crate) struct Gauge {
    seen: Recorder<String>,
    peers: Recorder<Peer<Gauges>>,
    /// Each log needs a permit.
    gate: Arc<Semaphore>,
}

impl Gauge {
    /// What came, and by whom the session and the message are known.
    fn record(&self, peer: &Peer<Gauges>, what: &str, number: u64) {
        let of_message = peer
            .call()
            .metadata()
            .identity()
            .map(|who| who.user.clone());
        let of_session = peer.identity().map(|who| who.user.clone());
        assert_eq!(of_message, of_session, "the same principal by each way");
        self.seen.record(format!("{what} {number}"));
    }
}

impl HandleClientToServer for Gauge {
    async fn on_level_state(&self, peer: &Peer<Gauges>, level: Level) {
        self.record(peer, "state", level.level);
    }

    async fn on_line_log(&self, peer: &Peer<Gauges>, line: Line) {
        match self.gate.try_acquire() {
            Ok(permit) => permit.forget(),
            Err(_) => {
                self.record(peer, "waiting log", line.number);
                if let Ok(permit) = self.gate.acquire().await {
                    permit.forget();
                }
            }
        }
        self.record(peer, "log", line.number);
    }

    async fn on_load_metric(&self, peer: &Peer<Gauges>, line: Line) {
        self.record(peer, "metric", line.number);
    }

    async fn on_done_ind(&self, peer: &Peer<Gauges>, line: Line) {
        self.record(peer, "done", line.number);
    }

    async fn on_echo_req(&self, _: &Peer<Gauges>, line: Line) -> Result<Line, Status> {
        Ok(line)
    }

    async fn on_client_connected(&self, peer: &Peer<Gauges>) {
        self.peers.record(peer.clone());
        self.seen.record("connected".to_owned());
    }

    async fn on_client_gone(&self, _: &Peer<Gauges>) {
        self.seen.record("gone".to_owned());
    }
}

/// A server that runs until it is told to end, or dropped.
pub(crate) struct Running {
    pub(crate) url: ServiceUrl,
    pub(crate) urls: Vec<ServiceUrl>,
    pub(crate) seen: mpsc::Receiver<String>,
    pub(crate) gate: Arc<Semaphore>,
    peers: mpsc::Receiver<Peer<Gauges>>,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<DrainReport>,
}

impl Running {
    /// At this URL, with this many permits for logs.
    pub(crate) async fn at(url: &str, permits: usize) -> Self {
        Self::of(Server::<Gauges>::builder(url), permits).await
    }

    pub(crate) async fn of(builder: ServerBuilder<Gauges>, permits: usize) -> Self {
        let server = builder.bind().await.expect("a server");
        let urls: Vec<_> = server.local_urls().cloned().collect();
        let (seen, events) = recorder();
        let (peers, peer_events) = recorder();
        let gate = Arc::new(Semaphore::new(permits));
        let handler = Gauge {
            seen,
            peers,
            gate: Arc::clone(&gate),
        };
        let (stop, stopped) = oneshot::channel();
        let shutdown = async {
            // Dropped without a word it goes on until its test ends.
            if stopped.await.is_err() {
                std::future::pending().await
            }
        };
        Self {
            url: urls[0].clone(),
            urls,
            seen: events,
            gate,
            peers: peer_events,
            stop,
            serving: tokio::spawn(server.serve_until(handler, shutdown)),
        }
    }

    /// The client that connects next.
    pub(crate) async fn peer(&mut self) -> Peer<Gauges> {
        next(&mut self.peers).await
    }

    /// What it has seen next.
    pub(crate) async fn sees(&mut self) -> String {
        next(&mut self.seen).await
    }

    /// Shuts it down.
    pub(crate) async fn drain(self) -> (DrainReport, mpsc::Receiver<String>) {
        self.stop.send(()).expect("it runs");
        let report = soon("the server drains", self.serving).await;
        (report.expect("it ends"), self.seen)
    }
}

/// Records what the server pushes.
pub(crate) struct Display(Recorder<String>);

impl Display {
    pub(crate) fn new() -> (Self, mpsc::Receiver<String>) {
        let (seen, events) = recorder();
        (Self(seen), events)
    }
}

impl HandleServerToClient for Display {
    async fn on_level_state(&self, _: &Client<Gauges>, level: Level) {
        self.0.record(format!("state {}", level.level));
    }

    async fn on_line_log(&self, _: &Client<Gauges>, line: Line) {
        self.0.record(format!("log {}", line.number));
    }
}

/// Waits until the channels of a client are there, or are not.
pub(crate) async fn channels_are(client: &Client<Gauges>, expected: &[bool]) {
    let mut channels = client.connection().watch_channels();
    let changed = channels.wait_for(|channels| channels == expected);
    soon("the channels are as expected", changed)
        .await
        .expect("the client is there");
}
