//! Peers that read slowly, or not at all, beside others.

use std::time::Duration;

use msip_tests::soon;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    sync::watch,
    time::{MissedTickBehavior, interval},
};

use crate::{
    mip::{EVENT, Peer, publish},
    process::{Broker, get},
};

const MIB: u64 = 1024 * 1024;

/// How many messages are published, of 4 KiB each: more than any buffer between the two ends takes.
const COUNT: u64 = 20_000;

/// How far the publisher is ahead of a good reader, at most: less than the broker keeps for it. So no good one is cut that gets no
/// processor for a while.
const AHEAD: u64 = 100;

/// How many messages are published together.
const RUN: u64 = 50;

/// Publishes as fast as the good readers take it, in runs, and reads no more of the answers than that they are there.
async fn flood(publisher: Peer, topic: &'static str, mut readers: Vec<watch::Receiver<u64>>) {
    let (mut answers, mut requests) = publisher.stream.into_split();
    let writing = tokio::spawn(async move {
        let body = [b'x'; 4096];
        for first in (0..COUNT).step_by(RUN as usize) {
            for reader in &mut readers {
                let is_near = reader.wait_for(|heard| heard + AHEAD >= first);
                soon("a good one reads", is_near)
                    .await
                    .expect("it is there");
            }
            let run: Vec<u8> = (first..first + RUN)
                .flat_map(|id| publish(0, id, topic, &body))
                .collect();
            soon("is taken", requests.write_all(&run))
                .await
                .expect("is written");
        }
        requests
    });
    let mut answer = vec![0; 24];
    for _ in 0..COUNT {
        soon("an answer", answers.read_exact(&mut answer))
            .await
            .expect("an answer");
    }
    drop(writing.await.expect("no panic"));
}

/// Reads all messages, in order, and tells how many it has read.
async fn hear_all(mut good: Peer, progress: watch::Sender<u64>) {
    for id in 0..COUNT {
        let (frame_type, heard, _) = good.hear().await.expect("a message");
        assert_eq!(
            (frame_type, heard),
            (EVENT, id),
            "in order, and none is lost"
        );
        progress.send_replace(id + 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stuck_subscriber_costs_the_others_nothing_and_is_cut() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("broker.toml");
    std::fs::write(
        &file,
        "[[listener]]\nurl = 'tcp://127.0.0.1:0'\n[limits]\noutgoing_bytes = '1MiB'",
    )
    .expect("is written");
    let mut broker = Broker::start(
        &[
            "--config",
            file.to_str().expect("text"),
            "--admin",
            "127.0.0.1:0",
        ],
        1,
    )
    .await;
    let admin = broker.line().await.replace("admin on http://", "");
    let mut stuck = Peer::connect(broker.address()).await;
    stuck.subscribe("flood").await;
    let mut good = Peer::connect(broker.address()).await;
    good.subscribe("flood").await;
    let publisher = Peer::connect(broker.address()).await;
    let before = broker.memory().resident;

    let address = broker.address().to_owned();
    let (heard, reader) = watch::channel(0);
    let publishing = tokio::spawn(flood(publisher, "flood", vec![reader]));
    hear_all(good, heard).await;
    publishing.await.expect("no panic");
    let more = broker.memory().resident.saturating_sub(before);
    println!("with a stuck subscriber: {} KiB more", more / 1024);
    assert!(more < 64 * MIB, "{more} bytes more");

    let is_cut = async {
        loop {
            let closed = get(&admin, "/connections?state=closed").await;
            if closed
                .expect("an answer")
                .1
                .contains("\"why\":\"slow_consumer\"")
            {
                break;
            }
        }
    };
    soon("the stuck one is cut", is_cut).await;
    let mut rest = Vec::new();
    let end = soon("its end", stuck.stream.read_to_end(&mut rest)).await;
    assert!(end.is_err() || rest.len() < 80 * 1024 * 1024, "it was cut");
    Peer::connect(&address).await.subscribe("flood").await;
    broker.stop().await;
}

/// Reads all that comes, 16 KiB at a time and 1 MiB a second at most, until the connection ends. Returns how many bytes came.
async fn read_slowly(mut peer: Peer) -> u64 {
    const CHUNK: usize = 16 * 1024;
    let mut buffer = vec![0; CHUNK];
    let mut len = 0;
    let mut ticks = interval(Duration::from_millis(16));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match peer.stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return len,
            Ok(read) => len += read as u64,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_subscriber_does_not_slow_down_the_others_and_is_cut() {
    let mut broker = Broker::start(
        &["--listen", "tcp://127.0.0.1:0", "--admin", "127.0.0.1:0"],
        1,
    )
    .await;
    let admin = broker.line().await.replace("admin on http://", "");
    let mut slow = Peer::connect(broker.address()).await;
    slow.subscribe("flood").await;
    let slow = tokio::spawn(read_slowly(slow));
    let (mut readers, mut paces) = (Vec::new(), Vec::new());
    for _ in 0..4 {
        let mut good = Peer::connect(broker.address()).await;
        good.subscribe("flood").await;
        let (heard, pace) = watch::channel(0);
        readers.push(tokio::spawn(hear_all(good, heard)));
        paces.push(pace);
    }
    let publisher = Peer::connect(broker.address()).await;
    // At the pace of the slow one it would take longer than anything here is waited for.
    soon("all of it is taken", flood(publisher, "flood", paces)).await;
    for reader in readers {
        soon("all of it is heard", reader).await.expect("no panic");
    }
    let is_cut = async {
        while !get(&admin, "/connections?state=closed")
            .await
            .expect("an answer")
            .1
            .contains("\"why\":\"slow_consumer\"")
        {}
    };
    soon("the slow one is cut", is_cut).await;
    slow.abort();
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_returns_after_a_burst() {
    let broker = Broker::start(&["--listen", "tcp://127.0.0.1:0", "--log", "warn"], 1).await;
    let burst = |rounds: u64| {
        let address = broker.address().to_owned();
        async move {
            for _ in 0..rounds {
                let mut subscribers = Vec::new();
                for _ in 0..20 {
                    let mut subscriber = Peer::connect(&address).await;
                    subscriber.subscribe("burst").await;
                    subscribers.push(subscriber);
                }
                let mut publisher = Peer::connect(&address).await;
                // Nobody reads: all of it waits in the broker, until they leave.
                let body = vec![b'x'; 64 * 1024];
                for id in 0..50 {
                    publisher.publish(id, "burst", &body).await;
                }
            }
        }
    };
    // What an allocator keeps after the first one is kept once.
    burst(2).await;
    let before = broker.memory().resident;
    burst(6).await;
    let mut watcher = Peer::connect(broker.address()).await;
    let returned = async {
        while broker.memory().resident > before + 32 * MIB {
            watcher.publish(1, "nobody", b"").await;
        }
    };
    soon("memory returns", returned).await;
    broker.stop().await;
}
