//! Many connections, and none left for more.

use msip_runtime::{Client, Server};
use msip_tests::{
    Echo,
    sampler::{Sampler, SendClientToServer as _},
    soon,
};
use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};
use tokio::task::JoinSet;

use crate::{
    mip::{ACK, ACK_REQUIRED, EVENT, Peer, publish},
    process::Broker,
};

const KIB: u64 = 1024;

/// How many connections this process can hold, with some descriptors left for others.
fn places(wanted: u64) -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    // It may already be as high as it can be.
    let _ = setrlimit(Resource::Nofile, raised);
    let most = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    wanted.min(most.saturating_sub(500))
}

/// Connects so many peers that are subscribed, a few at once.
async fn crowd(address: &str, count: u64) -> Vec<Peer> {
    let mut connecting = JoinSet::new();
    let mut peers = Vec::new();
    for _ in 0..count {
        if connecting.len() == 64 {
            peers.push(
                connecting
                    .join_next()
                    .await
                    .expect("one")
                    .expect("no panic"),
            );
        }
        let address = address.to_owned();
        connecting.spawn(async move {
            let mut peer = Peer::connect(&address).await;
            peer.subscribe("idle").await;
            peer
        });
    }
    while let Some(peer) = connecting.join_next().await {
        peers.push(peer.expect("no panic"));
    }
    peers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_idle_connections_take_little() {
    let count = places(10_000);
    let broker = Broker::start(&["--listen", "tcp://127.0.0.1:0", "--log", "warn"], 1).await;
    // What the first ones take is there once.
    drop(crowd(broker.address(), 100).await);
    let before = broker.memory().resident;
    let mut peers = crowd(broker.address(), count).await;
    let each = broker.memory().resident.saturating_sub(before) / count.max(1);
    println!("{count} idle connections, subscribed: {each} bytes each");
    assert!(each < 4 * KIB, "{each} bytes each");

    let mut publisher = Peer::connect(broker.address()).await;
    publisher.publish(1, "idle", b"wake up").await;
    for peer in &mut peers {
        assert_eq!(peer.hear().await.expect("a message").0, EVENT);
    }
    broker.stop().await;
}

/// Typed clients that have called once: what they take more than others is their session, and what their service knows of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_typed_clients_take_little() {
    const MOST: u64 = 6 * KIB + 512;
    let count = places(1000);
    let broker = Broker::start(&["--listen", "tcp://127.0.0.1:0", "--log", "warn"], 1).await;
    let url = format!("tcp://{}/idle", broker.address());
    let service = Server::<Sampler>::attach(&url, Echo).await;
    let service = service.expect("attaches");
    let mut clients = Vec::new();
    let mut before = 0;
    for number in 0..count + 100 {
        // What the first ones take is there once.
        if number == 100 {
            before = broker.memory().resident;
        }
        let client = Client::<Sampler>::connect(&url).await.expect("connects");
        client.nothing_req().await.expect("answers");
        clients.push(client);
    }
    let each = || broker.memory().resident.saturating_sub(before) / count.max(1);
    // They give back what they needed for the call, once they have been idle for long enough.
    let mut watcher = Peer::connect(broker.address()).await;
    let given_back = async {
        while each() >= MOST {
            watcher.publish(1, "nobody", b"").await;
        }
    };
    soon(&format!("less than {MOST} bytes each"), given_back).await;
    println!("{count} idle typed clients: {} bytes each", each());
    drop(clients);
    service.shutdown().await;
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_descriptor_left_it_waits_and_goes_on() {
    let mut broker = Broker::plain().await;
    let address = broker.address().to_owned();
    let mut peer = Peer::connect(&address).await;
    broker.limit_descriptors(broker.descriptors() + 5);
    // The system accepts them; the broker cannot.
    let mut waiting = Vec::new();
    for _ in 0..50 {
        waiting.push(Peer::silent(&address).await.expect("connects"));
    }
    broker.logged("cannot accept a connection").await;
    peer.subscribe("news").await;
    peer.publish(1, "news", b"still here").await;
    drop(waiting);
    broker.limit_descriptors(1024);
    let mut later = Peer::connect(&address).await;
    later.subscribe("news").await;
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peers_that_are_killed_leave_nothing_behind() {
    let broker = Broker::start(&["--listen", "tcp://127.0.0.1:0", "--log", "warn"], 1).await;
    let address = broker.address().to_owned();
    let mut watcher = Peer::connect(&address).await;
    let before = broker.descriptors();
    for _ in 0..5 {
        let peers = crowd(&address, 200).await;
        for peer in &peers {
            // As the system does for a process that was killed, with data unread: a reset, not a goodbye.
            peer.stream.set_zero_linger().expect("is set");
        }
        drop(peers);
    }
    let gone = async {
        while broker.descriptors() > before {
            watcher.publish(1, "idle", b"").await;
        }
    };
    soon("their descriptors are closed", gone).await;
    broker.stop().await;
}

/// What its clock does meanwhile is tested with a clock that jumps: `broker::tests::a_clock_that_jumps_ends_nothing`.
#[tokio::test]
async fn after_it_was_stopped_and_continued_nobody_was_lost() {
    let broker = Broker::plain().await;
    let mut subscriber = Peer::connect(broker.address()).await;
    subscriber.subscribe("news").await;
    let mut publisher = Peer::connect(broker.address()).await;
    broker.signal(Signal::STOP);
    let stopped = async {
        while broker.state() != 'T' {
            tokio::task::yield_now().await;
        }
    };
    soon("it stands still", stopped).await;
    // The system takes a connection and a message for it.
    let mut late = Peer::silent(broker.address()).await.expect("connects");
    let message = publish(ACK_REQUIRED, 1, "news", b"hello");
    publisher.send(&message).await.expect("is written");
    broker.signal(Signal::CONT);
    late.greet().await.expect("is greeted");
    assert_eq!(publisher.hear().await.expect("an answer").0, ACK);
    assert_eq!(subscriber.hear().await.expect("a message").0, EVENT);
    broker.stop().await;
}
