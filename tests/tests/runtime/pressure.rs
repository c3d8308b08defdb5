//! Backpressure: what the kind of a message means when its receiver is slower than its sender.

use std::sync::Arc;

use msip_runtime::{CallError, CallOptions, Client, Code, Peer, SendError, Status};
use msip_tests::{
    Recorder, at, direct_only,
    gauges::{
        BroadcastServerToClient as _, Gauges, HandleClientToServer, HandleServerToClient, Level,
        Line, SendClientToServer as _,
    },
    recorder, serve, soon, with_settings,
};
use tokio::sync::{Semaphore, mpsc};

/// One window of a connection.
const WINDOW: u64 = 1024;

/// What came.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Seen {
    Level(String, u64),
    Log(u64),
    Metric(u64),
    Done(u64),
}

/// Handles nothing before it is let to.
struct Slow {
    gate: Arc<Semaphore>,
    seen: Recorder<Seen>,
    /// Where the server hands out its peer.
    peers: Recorder<Peer<Gauges>>,
}

impl Slow {
    async fn see(&self, seen: Seen) {
        let _permit = self.gate.acquire().await;
        self.seen.record(seen);
    }
}

impl HandleClientToServer for Slow {
    async fn on_level_state(&self, _: &Peer<Gauges>, state: Level) {
        self.see(Seen::Level(state.gauge, state.level)).await;
    }

    async fn on_line_log(&self, _: &Peer<Gauges>, line: Line) {
        self.see(Seen::Log(line.number)).await;
    }

    async fn on_load_metric(&self, _: &Peer<Gauges>, line: Line) {
        self.see(Seen::Metric(line.number)).await;
    }

    async fn on_done_ind(&self, _: &Peer<Gauges>, line: Line) {
        self.see(Seen::Done(line.number)).await;
    }

    async fn on_echo_req(&self, _: &Peer<Gauges>, line: Line) -> Result<Line, Status> {
        Ok(line)
    }

    async fn on_client_connected(&self, peer: &Peer<Gauges>) {
        self.peers.record(peer.clone());
    }
}

impl HandleServerToClient for Slow {
    async fn on_level_state(&self, _: &Client<Gauges>, state: Level) {
        self.see(Seen::Level(state.gauge, state.level)).await;
    }

    async fn on_line_log(&self, _: &Client<Gauges>, line: Line) {
        self.see(Seen::Log(line.number)).await;
    }
}

struct Slowness {
    gate: Arc<Semaphore>,
    seen: mpsc::Receiver<Seen>,
    peers: mpsc::Receiver<Peer<Gauges>>,
}

impl Slowness {
    fn new() -> (Slow, Self) {
        let gate = Arc::new(Semaphore::new(0));
        let (tell, seen) = recorder();
        let (hand_out, peers) = recorder();
        let slow = Slow {
            gate: Arc::clone(&gate),
            seen: tell,
            peers: hand_out,
        };
        (slow, Self { gate, seen, peers })
    }

    /// Lets everything be handled from here on.
    fn go(&self) {
        self.gate.add_permits(1);
    }

    async fn next(&mut self) -> Seen {
        soon("a message", self.seen.recv())
            .await
            .expect("the handler lives")
    }

    /// All up to this one.
    async fn until(&mut self, last: &Seen) -> Vec<Seen> {
        let mut all = Vec::new();
        loop {
            all.push(self.next().await);
            if all.last() == Some(last) {
                return all;
            }
        }
    }
}

/// A slow server, and a client of it. The test's runtime ends the server.
async fn slow_server(query: &str) -> (Client<Gauges>, Slowness) {
    let (slow, slowness) = Slowness::new();
    let (url, _serving) = serve::<Gauges, _>(at!("tcp://127.0.0.1:0"), slow).await;
    let client = Client::<Gauges>::connect(with_settings(&url, query))
        .await
        .expect("connects");
    (client, slowness)
}

fn line(number: u64) -> Line {
    Line {
        number,
        ..Line::default()
    }
}

fn level(gauge: &str, level: u64) -> Level {
    Level {
        gauge: gauge.to_owned(),
        level,
    }
}

fn acknowledged() -> CallOptions {
    CallOptions::new().ack()
}

#[tokio::test]
async fn logs_never_wait_and_the_oldest_make_room() {
    for query in ["", "?codec=json", "?compress=zstd&compress_threshold=1"] {
        if query.contains("codec=") {
            direct_only!("Codecs", continue);
        }
        let (client, mut slowness) = slow_server(query).await;
        let sent = 40_000;
        for number in 1..=sent {
            soon("sent", client.line_log(line(number)))
                .await
                .expect("taken");
        }
        let dropped = client.connection().dropped();
        assert!(dropped.logs > 0, "{query}: {dropped:?}");
        assert_eq!(dropped.total(), dropped.logs, "{query}: {dropped:?}");
        slowness.go();
        let heard = slowness.until(&Seen::Log(sent)).await;
        assert_eq!(
            heard.len() as u64 + client.connection().dropped().logs,
            sent,
            "{query}: every message is heard or counted"
        );
        direct_only!("Windows", continue);
        // The first were under way already, and of the rest the newest are left.
        let gap = heard
            .windows(2)
            .position(|pair| matches!(pair, [Seen::Log(a), Seen::Log(b)] if *b != a + 1))
            .expect("some were dropped");
        assert_eq!(gap as u64 + 1, WINDOW, "{query}");
        let gaps = heard
            .windows(2)
            .filter(|pair| matches!(pair, [Seen::Log(a), Seen::Log(b)] if *b != a + 1));
        assert_eq!(
            gaps.count(),
            1,
            "{query}: nothing newer than a survivor is lost"
        );
    }
}

#[tokio::test]
async fn logs_hold_up_neither_events_nor_calls() {
    let (client, mut slowness) = slow_server("").await;
    for number in 1..=WINDOW + 5_000 {
        client.line_log(line(number)).await.expect("taken");
    }
    let call = tokio::spawn({
        let client = client.clone();
        async move { client.echo_req(line(7)).await }
    });
    let waits = tokio::spawn({
        let client = client.clone();
        async move { client.done_ind(line(1)).await }
    });
    // Messages wait in all queues on the way, as the refusal of another one shows.
    let mut tried = 0;
    soon("a full queue", async {
        while client.try_done_ind(line(2)) != Err(SendError::Full) {
            tried += 1;
            tokio::task::yield_now().await;
        }
    })
    .await;
    slowness.go();
    soon("sent", waits).await.expect("no panic").expect("sent");
    let answer = soon("an answer", call).await.expect("no panic");
    assert_eq!(answer, Ok(line(7)));
    client.done_ind(line(3)).await.expect("sent");
    let heard = slowness.until(&Seen::Done(3)).await;
    assert_eq!(
        heard.len() as u64 + client.connection().dropped().logs,
        WINDOW + 5_000 + tried + 2,
        "every message is heard or counted"
    );
    let mut after = heard.iter().skip_while(|seen| **seen != Seen::Done(1));
    assert!(
        after.all(|seen| matches!(seen, Seen::Done(_))),
        "what came before the event is heard before it"
    );
}

#[tokio::test]
async fn what_is_dropped_although_it_asked_for_an_acknowledgment_is_told() {
    direct_only!("Windows");
    let (client, slowness) = slow_server("").await;
    for number in 1..=WINDOW {
        client.line_log(line(number)).await.expect("taken");
    }
    let told = tokio::spawn({
        let client = client.clone();
        async move { client.with(acknowledged()).load_metric(line(0)).await }
    });
    let mut number = WINDOW;
    while client.connection().dropped().metrics == 0 {
        number += 1;
        client.line_log(line(number)).await.expect("taken");
        tokio::task::yield_now().await;
    }
    let error = soon("told", told)
        .await
        .expect("no panic")
        .expect_err("it made room");
    assert_eq!(error, SendError::Dropped);
    assert_eq!(error.code(), Code::ResourceExhausted);
    assert!(CallError::NotSent(error).is_safe_to_repeat());
    slowness.go();
}

#[tokio::test]
async fn the_newest_state_of_each_key_is_the_last_that_is_heard() {
    for query in ["", "?codec=msgpack"] {
        if query.contains("codec=") {
            direct_only!("Codecs", continue);
        }
        let (client, mut slowness) = slow_server(query).await;
        for number in 1..=WINDOW {
            client.load_metric(line(number)).await.expect("taken");
        }
        for number in 1..=WINDOW {
            client.level_state(level("a", number)).await.expect("taken");
            client.level_state(level("b", number)).await.expect("taken");
        }
        slowness.go();
        let heard = slowness.until(&Seen::Level("b".to_owned(), WINDOW)).await;
        let dropped = client.connection().dropped();
        assert_eq!(
            heard.len() as u64 + dropped.total(),
            3 * WINDOW,
            "{query}: every message is heard or counted: {dropped:?}"
        );
        for gauge in ["a", "b"] {
            let levels = heard.iter().filter_map(|seen| match seen {
                Seen::Level(of, level) if of == gauge => Some(*level),
                _ => None,
            });
            let levels: Vec<u64> = levels.collect();
            assert!(levels.is_sorted(), "{query}, {gauge}: {levels:?}");
            assert_eq!(levels.last(), Some(&WINDOW), "{query}, {gauge}");
        }
    }
}

#[tokio::test]
async fn of_states_the_newest_of_each_key_survives() {
    direct_only!("Windows");
    for query in ["", "?codec=msgpack"] {
        let (client, mut slowness) = slow_server(query).await;
        for number in 1..=WINDOW {
            client.load_metric(line(number)).await.expect("taken");
        }
        let replaced = tokio::spawn({
            let client = client.clone();
            async move { client.with(acknowledged()).level_state(level("a", 0)).await }
        });
        soon("on the shelf", async {
            // Nothing else waits there.
            let queued = client.connection().queued();
            while client.connection().queued() == queued {
                tokio::task::yield_now().await;
            }
        })
        .await;
        for number in 1..=100 {
            client.level_state(level("a", number)).await.expect("taken");
            client.level_state(level("b", number)).await.expect("taken");
        }
        assert_eq!(
            soon("replaced", replaced).await.expect("no panic"),
            Ok(()),
            "{query}: a newer one has taken over"
        );
        let dropped = client.connection().dropped();
        assert_eq!(
            (dropped.replaced, dropped.total()),
            (100 + 99, 100 + 99),
            "{query}"
        );
        slowness.go();
        let heard = slowness.until(&Seen::Level("b".to_owned(), 100)).await;
        assert_eq!(
            heard.get(WINDOW as usize..),
            Some(
                &[
                    Seen::Level("a".to_owned(), 100),
                    Seen::Level("b".to_owned(), 100)
                ][..]
            ),
            "{query}"
        );
    }
}

#[tokio::test]
async fn a_broadcast_of_a_state_reaches_slow_clients_in_the_end() {
    let (server_side, mut server) = Slowness::new();
    let (url, _serving) = serve::<Gauges, _>(at!("tcp://127.0.0.1:0"), server_side).await;
    let (slow, mut client) = Slowness::new();
    let _client = Client::<Gauges>::builder(url.to_string())
        .handler(slow)
        .connect()
        .await
        .expect("connects");
    let peer = soon("a peer", server.peers.recv()).await.expect("serves");
    for number in 1..=WINDOW + 500 {
        let sent = peer.everyone().level_state(level("a", number));
        assert_eq!(sent, 1, "{number}");
    }
    let replaced = peer.connection().dropped().replaced;
    client.go();
    let heard = client
        .until(&Seen::Level("a".to_owned(), WINDOW + 500))
        .await;
    let levels = heard.iter().map(|seen| match seen {
        Seen::Level(_, level) => *level,
        other => panic!("{other:?}"),
    });
    assert!(levels.is_sorted(), "{heard:?}");
    direct_only!("Windows");
    assert_eq!((replaced, heard.len() as u64), (499, WINDOW + 1));
}

#[tokio::test]
async fn what_waits_by_its_kind_goes_out_before_a_client_is_closed() {
    let (client, mut slowness) = slow_server("").await;
    for number in 1..=WINDOW + 10 {
        client.line_log(line(number)).await.expect("taken");
    }
    let closing = tokio::spawn(async move { client.close().await });
    slowness.go();
    soon("closed", closing).await.expect("no panic");
    let heard = slowness.until(&Seen::Log(WINDOW + 10)).await;
    assert_eq!(heard.len() as u64, WINDOW + 10);
}
