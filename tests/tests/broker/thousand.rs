//! A thousand typed clients of one service, of which one floods it.

use std::{
    collections::BTreeMap,
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use futures_util::future::{join_all, try_join_all};
use msip_broker::Broker as WholeBroker;
use msip_runtime::{Client, Peer, PeerId, SendError, Server, Status};
use msip_tests::{
    Recorder,
    gauges::{Gauges, HandleClientToServer, Level, Line, SendClientToServer as _},
    next, recorder, soon,
};
use tokio::{sync::Semaphore, task::JoinSet};

const CLIENTS: usize = 1000;

/// What the flooder sends: far more than its window, and than the broker keeps for it.
const FLOOD: u64 = 60_000;

/// The ballast of each message of the flood.
const BALLAST: usize = 64;

/// Handles what the flooder says only where the gate is open, and notes who has said what.
struct Service {
    gate: Arc<Semaphore>,
    flooded: Arc<AtomicU64>,
    seen: Recorder<(PeerId, u64)>,
}

impl HandleClientToServer for Service {
    async fn on_line_log(&self, _: &Peer<Gauges>, _: Line) {}

    async fn on_load_metric(&self, _: &Peer<Gauges>, _: Line) {}

    async fn on_level_state(&self, _: &Peer<Gauges>, _: Level) {}

    async fn on_done_ind(&self, peer: &Peer<Gauges>, line: Line) {
        if line.ballast.is_empty() {
            self.seen.record((peer.id(), line.number));
            return;
        }
        let _permit = self.gate.acquire().await;
        assert_eq!(self.flooded.fetch_add(1, Relaxed), line.number, "in order");
    }

    async fn on_echo_req(&self, _: &Peer<Gauges>, line: Line) -> Result<Line, Status> {
        Ok(line)
    }
}

fn line(number: u64) -> Line {
    Line {
        number,
        ..Line::default()
    }
}

/// The handler of the flooder is stuck, then works on; what the others say and ask is handled meanwhile, in the order of each.
#[tokio::test]
async fn of_a_thousand_clients_one_floods_and_no_other_is_held_up() {
    let broker = WholeBroker::builder().listen("mem://thousand").bind().await;
    let broker = broker.expect("listens");
    let mut running = JoinSet::new();
    running.spawn(broker.serve_until(pending()));
    let (gate, flooded) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicU64::new(0)));
    let (tell, mut seen) = recorder();
    let handler = Service {
        gate: gate.clone(),
        flooded: flooded.clone(),
        seen: tell,
    };
    let _server = Server::<Gauges>::attach("mem://thousand/gauges", handler)
        .await
        .expect("is attached");
    let mut clients = Vec::new();
    while clients.len() < CLIENTS {
        let connecting = (0..20).map(|_| Client::<Gauges>::connect("mem://thousand/gauges"));
        clients.extend(try_join_all(connecting).await.expect("all connect"));
    }
    let flooder = clients.pop().expect("a thousand");
    let sent = Arc::new(AtomicU64::new(0));
    let flooding = tokio::spawn({
        let (flooder, sent) = (flooder.clone(), sent.clone());
        async move {
            for number in 0..FLOOD {
                let mut message = line(number);
                message.ballast = vec![1; BALLAST];
                // It waits for `write_timeout`, and tries again.
                while let Err(error) = flooder.done_ind(message.clone()).await {
                    assert_eq!(error, SendError::Full);
                }
                sent.fetch_add(1, Relaxed);
            }
        }
    });

    // While the handler of the flooder is stuck: three rounds, in which each of the others says two things and asks one.
    for round in 0..3 {
        let asking = clients.iter().map(|client| async move {
            client.done_ind(line(2 * round)).await.expect("is sent");
            client.done_ind(line(2 * round + 1)).await.expect("is sent");
            let answer = client.echo_req(line(round)).await.expect("is answered");
            assert_eq!(answer.number, round);
        });
        soon("all answers", join_all(asking)).await;
        let mut heard: BTreeMap<PeerId, Vec<u64>> = BTreeMap::new();
        for _ in 0..2 * clients.len() {
            let (peer, number) = next(&mut seen).await;
            heard.entry(peer).or_default().push(number);
        }
        assert_eq!(heard.len(), clients.len());
        let expected = [2 * round, 2 * round + 1];
        assert!(heard.values().all(|numbers| *numbers == expected));
        assert_eq!(flooded.load(Relaxed), 0);
    }
    // The flooder alone is pushed back: what it has sent is bounded by the windows on the way and its queue in the broker.
    assert!(!flooding.is_finished());
    assert!(sent.load(Relaxed) < FLOOD / 2, "{sent:?}");

    // Its handler works, and takes no longer than others: those have their turns between its messages.
    gate.add_permits(1);
    for round in 3..6 {
        let asking = clients.iter().map(|client| async move {
            let answer = client.echo_req(line(round)).await.expect("is answered");
            assert_eq!(answer.number, round);
        });
        soon("all answers", join_all(asking)).await;
    }
    soon("all of the flood", flooding).await.expect("no panic");
    let last = soon("an answer", flooder.echo_req(line(FLOOD))).await;
    assert_eq!(last.expect("is answered").number, FLOOD);
    soon("the last of the flood", async {
        while flooded.load(Relaxed) < FLOOD {
            tokio::task::yield_now().await;
        }
    })
    .await;
}
